#include "chain/test_world.h"

#include <stdlib.h>

#include "base/check.h"
#include "chain/merkle.h"

static void world_key(uint8_t group, size_t i, struct tern_private_key *key,
                      struct tern_account *account)
{
    uint8_t seed[32] = {group, (uint8_t)i, 0x5e};
    tern_private_key_of_ed25519_seed(seed, key);
    memcpy(account->bytes, key->public_key.as.ed25519, sizeof account->bytes);
}

void world_init(struct world *world)
{
    memset(world, 0, sizeof *world);
    for (size_t i = 0; i < WORLD_AUTHORITIES; i++)
        world_key(1, i, &world->authority_keys[i], &world->authorities[i]);
    for (size_t i = 0; i < WORLD_ACCOUNTS; i++) {
        world_key(2, i, &world->account_keys[i], &world->accounts[i]);
        world->genesis_accounts[i] = (struct tern_genesis_account){
            .key = world->accounts[i],
            .balance = WORLD_BALANCE,
        };
    }
    for (size_t i = 0; i < WORLD_DEVICES; i++) {
        world_key(3, i, &world->device_keys[i], &world->devices[i]);
        world->genesis_devices[i] = (struct tern_genesis_device){
            .key = world->devices[i],
            .owner = world->accounts[i],
            .capacity_wh = WORLD_CAPACITY,
        };
    }
    world->genesis = (struct tern_genesis){
        .name = tern_view_str("test-grid"),
        .engine = TERN_ENGINE_AUTHORITY,
        .time_ms = WORLD_TIME_MS,
        .period_ms = WORLD_PERIOD_MS,
        .drift_ms = 500,
        .fee_min = WORLD_FEE,
        .authorities = world->authorities,
        .authorities_count = WORLD_AUTHORITIES,
        .accounts = world->genesis_accounts,
        .accounts_count = WORLD_ACCOUNTS,
        .devices = world->genesis_devices,
        .devices_count = WORLD_DEVICES,
    };
    tern_genesis_sort(&world->genesis);
    TERN_CHECK(tern_genesis_check(&world->genesis) == NULL);
    tern_genesis_hash(&world->genesis, &world->genesis_hash);
    tern_authority_init(&world->watcher, &world->genesis, NULL);
    for (size_t i = 0; i < WORLD_AUTHORITIES; i++)
        tern_authority_init(&world->engines[i], &world->genesis, &world->authority_keys[i]);
}

void world_sign(const struct world *world, const struct tern_private_key *key, struct tern_tx *tx,
                struct world_tx *out)
{
    if (tx->fee == 0)
        tx->fee = WORLD_FEE;
    TERN_CHECK(tern_tx_sign(tx, &world->genesis_hash, key) == TERN_OK);
    struct tern_writer w = tern_writer_of(out->bytes, sizeof out->bytes);
    tern_tx_encode(tx, &w);
    TERN_CHECK(tern_writer_ok(&w));
    out->size = w.size;
    out->tx = *tx;
    tern_tx_id(tern_writer_view(&w), &out->id);
}

struct world_tx world_transfer(const struct world *world, size_t from, size_t to, uint64_t nonce,
                               tern_money amount)
{
    struct tern_tx tx = {.kind = TERN_TX_TRANSFER, .nonce = nonce};
    tx.as.transfer.to = world->accounts[to];
    tx.as.transfer.amount = amount;
    struct world_tx out;
    world_sign(world, &world->account_keys[from], &tx, &out);
    return out;
}

struct world_tx world_reading(const struct world *world, size_t device, uint64_t nonce,
                              tern_hour hour, tern_energy energy_wh)
{
    struct tern_tx tx = {.kind = TERN_TX_READING, .nonce = nonce};
    tx.as.reading.hour = hour;
    tx.as.reading.energy_wh = energy_wh;
    struct world_tx out;
    world_sign(world, &world->device_keys[device], &tx, &out);
    return out;
}

struct world_tx world_order(const struct world *world, enum tern_tx_kind kind, size_t account,
                            uint64_t nonce, const struct tern_tx_order *order)
{
    struct tern_tx tx = {.kind = kind, .nonce = nonce};
    tx.as.order = *order;
    if (tx.as.order.expires_ms == 0)
        tx.as.order.expires_ms = ((tern_time_ms)order->hour + 1) * TERN_HOUR_MS;
    struct world_tx out;
    world_sign(world, &world->account_keys[account], &tx, &out);
    return out;
}

struct world_tx world_cancel(const struct world *world, size_t account, uint64_t nonce,
                             const struct tern_hash *order)
{
    struct tern_tx tx = {.kind = TERN_TX_CANCEL, .nonce = nonce};
    tx.as.cancel = *order;
    struct world_tx out;
    world_sign(world, &world->account_keys[account], &tx, &out);
    return out;
}

void world_ledger(const struct world *world, struct tern_mem *mem, struct tern_ledger *ledger)
{
    /* The watcher's questions are pure; a ledger never changes its engine. */
    union {
        const struct tern_authority *in;
        struct tern_authority *out;
    } watcher = {.in = &world->watcher};
    struct tern_ledger_config config = {
        .mem = mem,
        .genesis = &world->genesis,
        .engine = tern_authority_engine(watcher.out),
        .hash_key = {1, 2},
    };
    tern_tree_limits_default(&config.limits);
    TERN_CHECK(tern_ledger_init(ledger, &config) == TERN_OK);
}

tern_time_ms world_turn(tern_time_ms after, size_t authority)
{
    uint64_t turn = after / WORLD_PERIOD_MS + 1;
    while (turn % WORLD_AUTHORITIES != authority)
        turn++;
    return turn * WORLD_PERIOD_MS;
}

static void world_block_encode(struct world_block *block, struct tern_view body)
{
    free(block->bytes);
    block->bytes = malloc(WORLD_BLOCK_ROOM);
    TERN_CHECK(block->bytes != NULL);
    struct tern_writer w = tern_writer_of(block->bytes, WORLD_BLOCK_ROOM);
    tern_header_encode(&block->header, &w);
    tern_writer_bytes(&w, body);
    TERN_CHECK(tern_writer_ok(&w));
    block->size = w.size;
    tern_header_hash(&block->header, &block->hash);
}

static void world_seal(const struct world *world, size_t authority, struct tern_header *header)
{
    union {
        const struct tern_authority *in;
        struct tern_authority *out;
    } engine = {.in = &world->engines[authority]};
    struct tern_engine e = tern_authority_engine(engine.out);
    TERN_CHECK(e.ops->seal(e.self, header) == TERN_OK);
}

struct world_block world_block_make(const struct world *world, struct tern_ledger *ledger,
                                    size_t authority, const struct world_tx *txs, size_t txs_count)
{
    const struct tern_tree_node *head = tern_ledger_head(ledger);
    struct world_block made = {.header = {
                                   .chain = world->genesis_hash,
                                   .height = head->header.height + 1,
                                   .parent = head->hash,
                                   .time_ms = world_turn(head->header.time_ms, authority),
                                   .proposer = world->authorities[authority],
                               }};
    struct tern_apply_params params = {
        .state = &ledger->state,
        .fee_min = WORLD_FEE,
        .height = made.header.height,
        .time_ms = made.header.time_ms,
        .proposer = made.header.proposer,
    };
    size_t mark = tern_state_mark(&ledger->state);
    struct tern_apply apply;
    struct tern_state_diff diff;
    struct tern_merkle merkle;
    tern_merkle_init(&merkle);
    uint8_t *body = malloc(WORLD_BLOCK_ROOM);
    struct tern_writer w = tern_writer_of(body, WORLD_BLOCK_ROOM);
    TERN_CHECK(body != NULL && tern_apply_begin(&apply, &params) == TERN_OK);
    for (size_t i = 0; i < txs_count; i++) {
        tern_fault fault;
        tern_err err = tern_apply_tx(&apply, &txs[i].tx, &txs[i].id, &fault);
        TERN_CHECK(err == TERN_OK || err == TERN_ERR_PROTOCOL);
        if (err != TERN_OK)
            continue;
        tern_merkle_add(&merkle, &txs[i].id);
        tern_writer_bytes(&w, tern_view_of(txs[i].bytes, txs[i].size));
        made.header.txs_count++;
    }
    TERN_CHECK(tern_apply_finish(&apply) == TERN_OK);
    TERN_CHECK(tern_state_diff(&ledger->state, mark, &diff) == TERN_OK);
    tern_merkle_root(&merkle, &made.header.tx_root);
    tern_state_diff_root(&diff, &made.header.diff_root);
    tern_state_root(&ledger->state, &made.header.state_root);
    tern_state_rollback(&ledger->state, mark);
    tern_state_diff_fini(&diff);
    tern_apply_fini(&apply);
    world_seal(world, authority, &made.header);
    world_block_encode(&made, tern_writer_view(&w));
    free(body);
    return made;
}

void world_block_reseal(const struct world *world, const struct tern_header *header,
                        size_t authority, struct world_block *block)
{
    struct tern_block old;
    tern_fault fault;
    TERN_CHECK(tern_block_decode(tern_view_of(block->bytes, block->size), &old, &fault) == TERN_OK);
    uint8_t *body = malloc(old.txs.size + 1);
    TERN_CHECK(body != NULL);
    memcpy(body, old.txs.data, old.txs.size);
    size_t size = old.txs.size;
    block->header = *header;
    world_seal(world, authority, &block->header);
    world_block_encode(block, tern_view_of(body, size));
    free(body);
}

void world_block_free(struct world_block *block)
{
    free(block->bytes);
    block->bytes = NULL;
}

tern_err world_block_push(struct tern_ledger *ledger, const struct world_block *block,
                          tern_fault *fault)
{
    struct tern_block decoded;
    TERN_TRY(tern_block_decode(tern_view_of(block->bytes, block->size), &decoded, fault));
    struct tern_tree_node *parent = tern_tree_find(&ledger->tree, &decoded.header.parent);
    TERN_CHECK(parent != NULL);
    *fault = tern_ledger_check_header(ledger, &parent->header, &decoded.header, 0);
    if (*fault == TERN_FAULT_NONE)
        *fault = ledger->engine.ops->check_seal(ledger->engine.self, &decoded.header);
    if (*fault == TERN_FAULT_NONE)
        *fault = tern_block_check_body(&decoded);
    if (*fault != TERN_FAULT_NONE)
        return TERN_ERR_PROTOCOL;
    struct tern_tree_added added;
    TERN_TRY(tern_tree_add(&ledger->tree,
                           &(struct tern_tree_offer){.block = &decoded, .solicited = true}, &added,
                           fault));
    struct tern_ledger_change change;
    TERN_TRY(tern_ledger_prepare(ledger, &change));
    *fault = change.fault;
    tern_ledger_commit(ledger, &change);
    return *fault == TERN_FAULT_NONE ? TERN_OK : TERN_ERR_PROTOCOL;
}
