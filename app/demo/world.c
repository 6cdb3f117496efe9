#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

#include "app/demo/demo.h"
#include "crypto/secret.h"
#include "crypto/sha256.h"
#include "runtime/real/loop.h"

enum {
    WORLD_FEE_READING =
        20, /* readings go first into a block: what is asked must have been measured */
    WORLD_FEE_ORDER = 10,
    WORLD_FEE_MIN = 10,
    WORLD_ORDER_LIFE_MS = 60000,
    WORLD_CAPACITY_WH = 100000000,
    WORLD_RESYNC_EVERY = 5, /* rows */
    WORLD_LINE_SIZE = 1024,
};

static const tern_money world_balance = UINT64_C(1000000) * 1000000;

/* --- the data --- */

static bool world_parse_row(char *line, struct demo_row *row)
{
    char *rest = NULL;
    const char *start = strtok_r(line, ",", &rest);
    const char *tariff = strtok_r(NULL, ",", &rest);
    const char *carbon = strtok_r(NULL, ",", &rest);
    if (start == NULL || tariff == NULL || carbon == NULL || strlen(start) >= sizeof row->start)
        return false;
    memcpy(row->start, start, strlen(start) + 1);
    row->tariff = (uint32_t)(strtod(tariff, NULL) * 1000 + 0.5);
    for (size_t i = 0; i < DEMO_HOMES; i++) {
        const char *load = strtok_r(NULL, ",", &rest);
        const char *pv = strtok_r(NULL, ",\r\n", &rest);
        uint64_t value[2];
        if (load == NULL || pv == NULL || !app_number(load, 1000000, &value[0]) ||
            !app_number(pv, 1000000, &value[1]))
            return false;
        row->load_wh[i] = (uint32_t)value[0];
        row->pv_wh[i] = (uint32_t)value[1];
    }
    return true;
}

static bool world_load(struct demo_world *world, const char *path, struct app_message *message)
{
    char line[WORLD_LINE_SIZE];
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return app_say(message, "%s: %m", path);
    world->rows = app_alloc(DEMO_ROWS_MAX, sizeof world->rows[0]);
    bool fine = fgets(line, sizeof line, file) != NULL; /* the names of the columns */
    while (fine && world->rows_count < DEMO_ROWS_MAX && fgets(line, sizeof line, file) != NULL) {
        fine = world_parse_row(line, &world->rows[world->rows_count]);
        world->rows_count++;
    }
    fclose(file);
    if (!fine || world->rows_count == 0)
        return app_say(message, "%s:%zu: not a row of %d homes", path, world->rows_count + 1,
                       DEMO_HOMES);
    return true;
}

static bool world_seek(struct demo_world *world, const char *from, struct app_message *message)
{
    for (size_t i = 0; i < world->rows_count; i++) {
        if (strcmp(world->rows[i].start, from) == 0) {
            world->row = i;
            return true;
        }
    }
    return app_say(message, "--from %s: there is no such row", from);
}

/* --- keys: all of them follow from one seed --- */

static void world_key(const uint8_t seed[32], const char *role, uint8_t index,
                      struct tern_private_key *key)
{
    uint8_t text[64];
    uint8_t hash[32];
    struct tern_writer w = tern_writer_of(text, sizeof text);
    tern_writer_bytes(&w, tern_view_of(seed, 32));
    tern_writer_str(&w, role);
    tern_writer_u8(&w, index);
    tern_sha256(tern_writer_view(&w), hash);
    tern_private_key_of_ed25519_seed(hash, key);
    tern_secret_wipe(hash, sizeof hash);
    tern_secret_wipe(text, sizeof text);
}

static uint64_t world_wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

bool world_init(struct demo_world *world, const struct demo_options *options,
                struct app_message *message)
{
    uint8_t seed[32];
    *world = (struct demo_world){.authorities_count = options->nodes};
    if (!world_load(world, options->data, message) || !world_seek(world, options->from, message))
        return false;
    if (tern_loop_entropy(seed, sizeof seed) != TERN_OK)
        return app_say(message, "the system gives no entropy");
    for (uint8_t i = 0; i < DEMO_HOMES; i++) {
        world_key(seed, "home", i, &world->homes[i].account);
        world_key(seed, "meter", i, &world->homes[i].meter);
    }
    for (uint8_t i = 0; i < world->authorities_count; i++)
        world_key(seed, "authority", i, &world->authorities[i]);
    tern_secret_wipe(seed, sizeof seed);
    world->hour_first = tern_hour_of(world_wall_ms()) - DEMO_HOURS_BEHIND;
    return true;
}

void world_fini(struct demo_world *world)
{
    for (size_t i = 0; i < DEMO_HOMES; i++) {
        tern_private_key_fini(&world->homes[i].account);
        tern_private_key_fini(&world->homes[i].meter);
    }
    for (size_t i = 0; i < world->authorities_count; i++)
        tern_private_key_fini(&world->authorities[i]);
    free(world->rows);
}

static struct tern_account world_account(const struct tern_private_key *key)
{
    struct tern_account account;
    memcpy(account.bytes, key->public_key.as.ed25519, TERN_ACCOUNT_SIZE);
    return account;
}

bool world_write_genesis(struct demo_world *world, const struct demo_options *options,
                         const char *path, struct app_message *message)
{
    struct tern_account authorities[DEMO_NODES_MAX];
    struct tern_genesis_account accounts[DEMO_HOMES];
    struct tern_genesis_device devices[DEMO_HOMES];
    for (size_t i = 0; i < world->authorities_count; i++)
        authorities[i] = world_account(&world->authorities[i]);
    for (size_t i = 0; i < DEMO_HOMES; i++) {
        accounts[i] = (struct tern_genesis_account){.key = world_account(&world->homes[i].account),
                                                    .balance = world_balance};
        devices[i] = (struct tern_genesis_device){.key = world_account(&world->homes[i].meter),
                                                  .owner = world_account(&world->homes[i].account),
                                                  .capacity_wh = WORLD_CAPACITY_WH};
    }
    struct tern_genesis genesis = {.name = tern_view_str("tern-demo"),
                                   .engine = TERN_ENGINE_AUTHORITY,
                                   .time_ms = world_wall_ms(),
                                   .period_ms = (uint32_t)options->period_ms,
                                   .drift_ms = (uint32_t)options->period_ms,
                                   .fee_min = WORLD_FEE_MIN,
                                   .authorities = authorities,
                                   .authorities_count = world->authorities_count,
                                   .accounts = accounts,
                                   .accounts_count = DEMO_HOMES,
                                   .devices = devices,
                                   .devices_count = DEMO_HOMES};
    tern_genesis_sort(&genesis);
    const char *objection = tern_genesis_check(&genesis);
    if (objection != NULL)
        return app_say(message, "the genesis: %s", objection);
    tern_genesis_hash(&genesis, &world->genesis_hash);
    world->supply = tern_genesis_supply(&genesis);
    return app_genesis_save(path, &genesis, message);
}

bool world_write_key(const struct demo_world *world, size_t authority, const char *path,
                     struct app_message *message)
{
    uint8_t bytes[TERN_PRIVATE_KEY_SIZE_MAX];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_private_key_encode(&world->authorities[authority], &w);
    bool fine = app_write_bytes(path, tern_writer_view(&w), 0600, message);
    tern_secret_wipe(bytes, sizeof bytes);
    return fine;
}

/* --- what the homes do --- */

static void world_note_refusal(struct demo_world *world, const char *why)
{
    world->refused++;
    snprintf(world->refusal, sizeof world->refusal, "%.150s", why);
}

/* Signs and submits; true when the node took it. */
static bool world_send(struct demo_world *world, struct app_client *client, struct tern_tx *tx,
                       const struct tern_private_key *key)
{
    uint8_t bytes[TERN_TX_SIZE_MAX];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    struct app_answer answer;
    struct app_message message;
    struct tern_hash id;
    if (tern_tx_sign(tx, &world->genesis_hash, key) != TERN_OK)
        return false;
    tern_tx_encode(tx, &w);
    tern_tx_id(tern_writer_view(&w), &id);
    json_t *json = app_json_of_tx(tx, &id);
    bool sent = app_client_post(client, "/v1/transactions", json, &answer, &message);
    json_decref(json);
    if (!sent) {
        world_note_refusal(world, message.text);
        return false;
    }
    bool taken = answer.status == 200;
    if (!taken)
        world_note_refusal(world, app_answer_error(&answer));
    app_answer_free(&answer);
    return taken;
}

static bool world_ask_nonce(struct app_client *client, const struct tern_private_key *key,
                            bool device, uint64_t *nonce)
{
    char path[128] = "/v1/accounts/";
    struct app_answer answer;
    struct app_message message;
    app_hex(key->public_key.as.ed25519, TERN_ACCOUNT_SIZE, path + strlen(path));
    if (!app_client_get(client, path, &answer, &message))
        return false;
    const json_t *from = device ? json_object_get(answer.json, "device") : answer.json;
    const json_t *next = json_object_get(from, "next_nonce");
    bool known = json_is_integer(next);
    if (known)
        *nonce = (uint64_t)json_integer_value(next);
    app_answer_free(&answer);
    return known;
}

/* When the node expects a lower nonce than ours twice in a row, a transaction was lost: begin again
 * there. */
static void world_resync(struct demo_home *home, struct app_client *client)
{
    uint64_t nonce = 0;
    if (!world_ask_nonce(client, &home->account, false, &nonce))
        return;
    home->behind = nonce < home->nonce ? home->behind + 1 : 0;
    if (home->behind >= 2 || nonce > home->nonce) {
        home->nonce = nonce;
        home->behind = 0;
    }
    if (world_ask_nonce(client, &home->meter, true, &nonce))
        home->meter_nonce = nonce;
}

static void world_report(struct demo_world *world, struct demo_home *home,
                         struct app_client *client, const struct tern_tx_order *order)
{
    struct tern_tx tx = {.kind = TERN_TX_READING,
                         .nonce = home->meter_nonce,
                         .fee = WORLD_FEE_READING,
                         .as.reading = {.hour = order->hour, .energy_wh = order->energy_wh}};
    if (world_send(world, client, &tx, &home->meter)) {
        home->meter_nonce++;
        world->readings++;
    } else {
        world_ask_nonce(client, &home->meter, true, &home->meter_nonce);
    }
}

static bool world_place(struct demo_world *world, struct demo_home *home, struct app_client *client,
                        const struct tern_tx_order *order, enum tern_tx_kind kind)
{
    struct tern_tx tx = {
        .kind = kind, .nonce = home->nonce, .fee = WORLD_FEE_ORDER, .as.order = *order};
    bool taken = world_send(world, client, &tx, &home->account);
    if (taken)
        home->nonce++;
    else
        world_ask_nonce(client, &home->account, false, &home->nonce);
    return taken;
}

/* Prices around the tariff: who sells wants less than the grid takes, who buys offers up to a
 * little more, and every home has a mind of its own. */
static tern_price world_price(const struct demo_row *row, size_t home, enum tern_tx_kind kind)
{
    uint64_t mind = (home * 7 + 3) % DEMO_HOMES; /* 0 to 16, each once */
    uint64_t percent = kind == TERN_TX_ASK ? 45 + 2 * mind : 75 + 2 * mind;
    return row->tariff * percent / 100;
}

void world_step(struct demo_world *world, const struct demo_clients *clients)
{
    const struct demo_row *row = &world->rows[world->row % world->rows_count];
    uint64_t now_ms = world_wall_ms();
    tern_hour hour = world->hour_first + (tern_hour)world->steps;
    if (hour > tern_hour_of(now_ms))
        hour = tern_hour_of(now_ms);
    for (size_t i = 0; i < DEMO_HOMES; i++) {
        struct demo_home *home = &world->homes[i];
        struct app_client *client = clients->all[i % clients->count];
        bool sells = row->pv_wh[i] > row->load_wh[i];
        enum tern_tx_kind kind = sells ? TERN_TX_ASK : TERN_TX_BID;
        struct tern_tx_order order = {.hour = hour,
                                      .energy_wh = sells ? row->pv_wh[i] - row->load_wh[i]
                                                         : row->load_wh[i] - row->pv_wh[i],
                                      .price = world_price(row, i, kind),
                                      .expires_ms = now_ms + WORLD_ORDER_LIFE_MS};
        if (world->steps % WORLD_RESYNC_EVERY == i % WORLD_RESYNC_EVERY)
            world_resync(home, client);
        if (order.energy_wh == 0 || demo_told_to_end())
            continue;
        if (sells)
            world_report(world, home, client, &order);
        if (world_place(world, home, client, &order, kind)) {
            world->asks += sells;
            world->bids += !sells;
        }
    }
    world->row++;
    world->steps++;
}
