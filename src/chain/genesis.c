#include "chain/genesis.h"

#include "base/check.h"
#include "base/writer.h"
#include "chain/sort.h"
#include "crypto/sha256.h"

static int genesis_compare_keys(const void *a, const void *b)
{
    return memcmp(a, b, TERN_ACCOUNT_SIZE); /* the key comes first in both structs */
}

_Static_assert(offsetof(struct tern_genesis_account, key) == 0, "the key comes first");
_Static_assert(offsetof(struct tern_genesis_device, key) == 0, "the key comes first");

void tern_genesis_sort(struct tern_genesis *genesis)
{
    tern_sort(genesis->accounts, genesis->accounts_count, sizeof genesis->accounts[0],
              genesis_compare_keys);
    tern_sort(genesis->devices, genesis->devices_count, sizeof genesis->devices[0],
              genesis_compare_keys);
}

tern_money tern_genesis_supply(const struct tern_genesis *genesis)
{
    tern_money supply = 0;
    for (size_t i = 0; i < genesis->accounts_count; i++)
        supply += genesis->accounts[i].balance;
    return supply;
}

static const char *genesis_check_name(struct tern_view name)
{
    if (name.size == 0 || name.size > TERN_GENESIS_NAME_MAX)
        return "the chain's name must have 1 to 32 characters";
    for (size_t i = 0; i < name.size; i++)
        if (name.data[i] < 0x21 || name.data[i] > 0x7e)
            return "the chain's name must be printable ASCII without spaces";
    return NULL;
}

static const char *genesis_check_authorities(const struct tern_genesis *genesis)
{
    size_t count = genesis->authorities_count;
    if (count == 0 || count > TERN_GENESIS_AUTHORITIES_MAX)
        return "there must be 1 to 64 authorities";
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            if (tern_account_equal(&genesis->authorities[i], &genesis->authorities[j]))
                return "an authority is named twice";
    return NULL;
}

static const char *genesis_check_accounts(const struct tern_genesis *genesis)
{
    if (genesis->accounts_count > TERN_GENESIS_ACCOUNTS_MAX)
        return "there are too many accounts";
    tern_money supply = 0;
    for (size_t i = 0; i < genesis->accounts_count; i++) {
        const struct tern_genesis_account *account = &genesis->accounts[i];
        if (i > 0 && genesis_compare_keys(account - 1, account) >= 0)
            return "accounts must be in ascending order of key, each once";
        if (account->balance > TERN_SUPPLY_MAX - supply)
            return "the balances' sum is beyond the largest supply";
        supply += account->balance;
    }
    return NULL;
}

static const char *genesis_check_devices(const struct tern_genesis *genesis)
{
    if (genesis->devices_count > TERN_GENESIS_DEVICES_MAX)
        return "there are too many devices";
    for (size_t i = 0; i < genesis->devices_count; i++) {
        const struct tern_genesis_device *device = &genesis->devices[i];
        if (i > 0 && genesis_compare_keys(device - 1, device) >= 0)
            return "devices must be in ascending order of key, each once";
        if (device->capacity_wh == 0 || device->capacity_wh > TERN_ORDER_WH_MAX)
            return "a device's capacity must be 1 Wh to 1 GWh an hour";
    }
    return NULL;
}

const char *tern_genesis_check(const struct tern_genesis *genesis)
{
    const char *objection = genesis_check_name(genesis->name);
    if (objection != NULL)
        return objection;
    if (genesis->engine != TERN_ENGINE_AUTHORITY)
        return "the engine is not known";
    if (genesis->period_ms < TERN_PERIOD_MS_MIN || genesis->period_ms > TERN_PERIOD_MS_MAX)
        return "the period must be 100 ms to one hour";
    if (genesis->drift_ms > TERN_DRIFT_MS_MAX)
        return "the allowed drift must be at most one minute";
    if (genesis->time_ms > TERN_TIME_MS_MAX / 2)
        return "the time lies too far in the future";
    if (genesis->fee_min > TERN_SUPPLY_MAX)
        return "the smallest fee is beyond the largest supply";
    objection = genesis_check_authorities(genesis);
    if (objection == NULL)
        objection = genesis_check_accounts(genesis);
    if (objection == NULL)
        objection = genesis_check_devices(genesis);
    return objection;
}

static void genesis_hash_head(const struct tern_genesis *genesis, struct tern_sha256 *sha)
{
    uint8_t bytes[64 + TERN_GENESIS_NAME_MAX];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_writer_str(&w, "tern/genesis/1");
    tern_writer_u8(&w, 1);
    tern_writer_u8(&w, (uint8_t)genesis->name.size);
    tern_writer_bytes(&w, genesis->name);
    tern_writer_u8(&w, (uint8_t)genesis->engine);
    tern_writer_u64le(&w, genesis->time_ms);
    tern_writer_u32le(&w, genesis->period_ms);
    tern_writer_u32le(&w, genesis->drift_ms);
    tern_writer_u64le(&w, genesis->fee_min);
    TERN_CHECK(tern_writer_ok(&w));
    tern_sha256_update(sha, tern_writer_view(&w));
}

static void genesis_hash_count(size_t count, struct tern_sha256 *sha)
{
    TERN_CHECK(count <= UINT32_MAX);
    uint8_t bytes[4];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_writer_u32le(&w, (uint32_t)count);
    tern_sha256_update(sha, tern_writer_view(&w));
}

void tern_genesis_hash(const struct tern_genesis *genesis, struct tern_hash *hash)
{
    TERN_CHECK(genesis->name.size <= TERN_GENESIS_NAME_MAX);
    struct tern_sha256 sha;
    tern_sha256_init(&sha);
    genesis_hash_head(genesis, &sha);
    genesis_hash_count(genesis->authorities_count, &sha);
    for (size_t i = 0; i < genesis->authorities_count; i++)
        tern_sha256_update(&sha, tern_account_view(&genesis->authorities[i]));
    uint8_t bytes[2 * TERN_ACCOUNT_SIZE + 8];
    genesis_hash_count(genesis->accounts_count, &sha);
    for (size_t i = 0; i < genesis->accounts_count; i++) {
        struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
        tern_writer_bytes(&w, tern_account_view(&genesis->accounts[i].key));
        tern_writer_u64le(&w, genesis->accounts[i].balance);
        tern_sha256_update(&sha, tern_writer_view(&w));
    }
    genesis_hash_count(genesis->devices_count, &sha);
    for (size_t i = 0; i < genesis->devices_count; i++) {
        struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
        tern_writer_bytes(&w, tern_account_view(&genesis->devices[i].key));
        tern_writer_bytes(&w, tern_account_view(&genesis->devices[i].owner));
        tern_writer_u64le(&w, genesis->devices[i].capacity_wh);
        tern_sha256_update(&sha, tern_writer_view(&w));
    }
    tern_sha256_final(&sha, hash->bytes);
}
