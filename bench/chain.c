/*
 * What a block costs, on one core, without storage and network:
 *
 *   transfers       transactions a second carried out, roots included, signatures not
 *   orders          the same for a market: readings, asks and bids of one hour, with the auction
 *   auction         orders a second through the auction alone
 *   pool            transactions a second into the pool, and out of it by fee
 *   verify          signatures a second in a batch: the bound of what can be taken from peers
 *   all             transactions a second that are verified, pooled, put into a block and carried
 * out reorganise      milliseconds to undo and carry out one full block
 *
 * Usage: bench_chain [ACCOUNTS]      accounts in the state (default 100,000)
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "base/random.h"
#include "chain/apply.h"
#include "chain/auction.h"
#include "chain/pool.h"
#include "chain/rows.h"
#include "crypto/start.h"
#include "crypto/verify_job.h"

enum { TXS = 4096, SIGNERS = 512 };

#define BENCH_HOUR    UINT32_C(500000)
#define BENCH_TIME_MS ((tern_time_ms)BENCH_HOUR * TERN_HOUR_MS)

static struct tern_mem mem;
static struct tern_random rng;
static struct tern_state state;
static struct tern_account *accounts;
static size_t accounts_count;
static struct tern_private_key keys[SIGNERS]; /* of the first accounts */
static struct tern_hash genesis_hash;
static struct tern_tx txs[TXS];
static struct tern_hash ids[TXS];
static uint8_t wire[TXS][TERN_TX_SIZE_MAX];
static size_t wire_size[TXS];

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void say(const char *name, double count, double seconds, const char *unit)
{
    printf("%-12s %12.0f %s\n", name, count / seconds, unit);
}

static void make_state(void)
{
    tern_state_init(&state, &mem, (const uint64_t[2]){1, 2});
    for (size_t i = 0; i < accounts_count; i++) {
        if (i < SIGNERS) {
            TERN_CHECK(tern_private_key_generate(TERN_KEY_ED25519, &rng, &keys[i]) == TERN_OK);
            memcpy(accounts[i].bytes, keys[i].public_key.as.ed25519, 32);
        } else {
            tern_random_bytes(&rng, accounts[i].bytes, 32);
        }
        struct tern_row_account row = {.balance = UINT64_C(1) << 40};
        struct tern_row_device device = {.owner = accounts[i], .capacity_wh = TERN_ORDER_WH_MAX};
        TERN_CHECK(tern_row_put_account(&state, &accounts[i], &row) == TERN_OK);
        TERN_CHECK(tern_row_put_device(&state, &accounts[i], &device) == TERN_OK);
    }
    struct tern_row_totals totals = {.accounts = accounts_count * (UINT64_C(1) << 40)};
    TERN_CHECK(tern_row_put_totals(&state, &totals) == TERN_OK);
    tern_state_commit(&state);
    struct tern_hash root;
    tern_state_root(&state, &root);
}

/* Carries out all of txs as one block; false: some transaction was not valid. The caller commits or
 * not. */
static void run_block(uint64_t height)
{
    struct tern_apply_params params = {
        .state = &state,
        .fee_min = 1,
        .height = height,
        .time_ms = BENCH_TIME_MS + height * 1000,
        .proposer = accounts[0],
    };
    size_t mark = tern_state_mark(&state);
    struct tern_apply apply;
    struct tern_state_diff diff;
    struct tern_hash root;
    TERN_CHECK(tern_apply_begin(&apply, &params) == TERN_OK);
    for (size_t i = 0; i < TXS; i++) {
        tern_fault fault;
        TERN_CHECK(tern_apply_tx(&apply, &txs[i], &ids[i], &fault) == TERN_OK);
    }
    TERN_CHECK(tern_apply_finish(&apply) == TERN_OK);
    TERN_CHECK(tern_state_diff(&state, mark, &diff) == TERN_OK);
    tern_state_diff_root(&diff, &root);
    tern_state_root(&state, &root);
    tern_state_diff_fini(&diff);
    tern_apply_fini(&apply);
}

static void draw_ids(void)
{
    for (size_t i = 0; i < TXS; i++)
        tern_random_bytes(&rng, ids[i].bytes, sizeof ids[i].bytes);
}

static void bench_transfers(void)
{
    double spent = 0;
    uint64_t *nonces = calloc(accounts_count, sizeof *nonces);
    TERN_CHECK(nonces != NULL);
    enum { ROUNDS = 10 };
    for (uint64_t round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < TXS; i++) {
            size_t from = tern_random_below(&rng, accounts_count);
            size_t to = (from + 1 + tern_random_below(&rng, accounts_count - 1)) % accounts_count;
            txs[i] = (struct tern_tx){
                .kind = TERN_TX_TRANSFER,
                .sender = accounts[from],
                .nonce = nonces[from]++,
                .fee = 1,
                .as.transfer = {.to = accounts[to], .amount = 1},
            };
        }
        draw_ids();
        double start = now_s();
        run_block(round + 1);
        tern_state_commit(&state);
        spent += now_s() - start;
    }
    free(nonces);
    say("transfers", (double)((size_t)TXS * ROUNDS), spent, "tx/s carried out, with roots");
}

static void bench_orders(void)
{
    /* A third each: readings, asks, bids. Nothing is committed, so nonces stay as they are. */
    size_t base = SIGNERS;
    for (size_t i = 0; i < TXS; i++) {
        size_t who = base + i / 3;
        struct tern_row_account row;
        tern_row_get_account(&state, &accounts[i % 3 == 2 ? who + TXS : who], &row);
        txs[i] = (struct tern_tx){.sender = accounts[who], .fee = 1, .nonce = row.nonce};
        if (i % 3 == 0) {
            txs[i].kind = TERN_TX_READING;
            txs[i].nonce = 0;
            txs[i].as.reading.hour = BENCH_HOUR;
            txs[i].as.reading.energy_wh = 5000;
            continue;
        }
        txs[i].kind = i % 3 == 1 ? TERN_TX_ASK : TERN_TX_BID;
        txs[i].sender = accounts[i % 3 == 2 ? who + TXS : who];
        txs[i].as.order = (struct tern_tx_order){
            .hour = BENCH_HOUR,
            .energy_wh = 1 + tern_random_below(&rng, 5000),
            .price = 100 + tern_random_below(&rng, 100),
            .expires_ms = BENCH_TIME_MS + TERN_HOUR_MS,
        };
    }
    draw_ids();
    double start = now_s();
    enum { ROUNDS = 8 };
    for (uint64_t round = 0; round < ROUNDS; round++) {
        run_block(20);
        tern_state_rollback(&state, 0);
    }
    say("orders", (double)((size_t)TXS * ROUNDS), now_s() - start,
        "tx/s carried out, with auction and roots");
}

static int compare_ascending(const void *a, const void *b)
{
    tern_price x = ((const struct tern_auction_order *)a)->price;
    tern_price y = ((const struct tern_auction_order *)b)->price;
    return (x > y) - (x < y);
}

static int compare_descending(const void *a, const void *b)
{
    return compare_ascending(b, a);
}

static void bench_auction(void)
{
    enum { SIDE = 32768, ROUNDS = 200 };
    static struct tern_auction_order asks[SIDE];
    static struct tern_auction_order bids[SIDE];
    for (size_t i = 0; i < SIDE; i++) {
        asks[i] = (struct tern_auction_order){.price = 1 + tern_random_below(&rng, 100000),
                                              .energy_wh = 1 + tern_random_below(&rng, 5000)};
        bids[i] = (struct tern_auction_order){.price = 50000 + tern_random_below(&rng, 100000),
                                              .energy_wh = 1 + tern_random_below(&rng, 5000)};
    }
    qsort(asks, SIDE, sizeof asks[0], compare_ascending);
    qsort(bids, SIDE, sizeof bids[0], compare_descending);
    struct tern_auction auction = {asks, SIDE, bids, SIDE, 0, 0};
    double start = now_s();
    for (unsigned i = 0; i < ROUNDS; i++)
        tern_auction_clear(&auction);
    say("auction", (double)((size_t)2 * SIDE * ROUNDS), now_s() - start, "orders/s cleared");
}

static void sign_all(void)
{
    for (size_t i = 0; i < TXS; i++) {
        size_t who = i % SIGNERS;
        struct tern_row_account row;
        tern_row_get_account(&state, &accounts[who], &row);
        txs[i] = (struct tern_tx){.kind = TERN_TX_TRANSFER,
                                  .nonce = row.nonce + i / SIGNERS,
                                  .fee = 1 + tern_random_below(&rng, 1000),
                                  .as.transfer = {.to = accounts[who + SIGNERS], .amount = 1}};
        TERN_CHECK(tern_tx_sign(&txs[i], &genesis_hash, &keys[who]) == TERN_OK);
        struct tern_writer w = tern_writer_of(wire[i], sizeof wire[i]);
        tern_tx_encode(&txs[i], &w);
        wire_size[i] = w.size;
        tern_tx_id(tern_writer_view(&w), &ids[i]);
    }
}

static double verify_all(void)
{
    struct tern_verify_job job;
    TERN_CHECK(tern_verify_job_init(&job, &mem, TXS, (size_t)TXS * TERN_TX_VERIFY_BYTES) ==
               TERN_OK);
    double start = now_s();
    for (size_t i = 0; i < TXS; i++) {
        size_t index;
        TERN_CHECK(tern_tx_verify_add(tern_view_of(wire[i], wire_size[i]), &genesis_hash, &job,
                                      &index) == TERN_OK);
    }
    job.job.run(&job.job);
    for (size_t i = 0; i < TXS; i++)
        TERN_CHECK(tern_verify_job_verdict(&job, i) == TERN_OK);
    double spent = now_s() - start;
    tern_verify_job_fini(&job);
    return spent;
}

static double pool_all(struct tern_pool *pool)
{
    double start = now_s();
    for (size_t i = 0; i < TXS; i++) {
        struct tern_pool_offer offer;
        tern_fault fault;
        offer.bytes = tern_view_of(wire[i], wire_size[i]);
        TERN_CHECK(tern_tx_decode(offer.bytes, &offer.tx) == TERN_OK);
        tern_tx_id(offer.bytes, &offer.id);
        offer.source = 0;
        TERN_CHECK(tern_pool_add(pool, &state, 1, &offer, &fault) == TERN_OK);
    }
    return now_s() - start;
}

static double pick_all(struct tern_pool *pool)
{
    struct tern_pool_pick pick;
    const struct tern_pool_entry *entry;
    size_t count = 0;
    double start = now_s();
    tern_pool_pick_start(&pick, pool, &state);
    while ((entry = tern_pool_pick_next(&pick)) != NULL) {
        txs[count] = entry->tx;
        ids[count++] = entry->id;
        tern_pool_pick_taken(&pick);
    }
    TERN_CHECK(count == TXS);
    return now_s() - start;
}

static void bench_all(void)
{
    struct tern_pool pool;
    struct tern_pool_config config = {.mem = &mem, .fee_min = 1, .hash_key = {3, 4}};
    tern_pool_limits_default(&config.limits);
    tern_pool_init(&pool, &config);
    sign_all();
    double verify = verify_all();
    double add = pool_all(&pool);
    double pick = pick_all(&pool);
    double start = now_s();
    run_block(30);
    double apply = now_s() - start;
    start = now_s();
    tern_state_rollback(&state, 0);
    struct tern_hash root;
    tern_state_root(&state, &root);
    double undo = now_s() - start;
    tern_pool_fini(&pool);
    say("pool in", TXS, add, "tx/s");
    say("pool out", TXS, pick, "tx/s by fee");
    say("verify", TXS, verify, "signatures/s");
    say("all", TXS, verify + add + pick + apply, "tx/s verified, pooled, picked, carried out");
    printf("%-12s %12.1f ms to undo, %.1f ms to carry out %d transactions\n", "reorganise",
           undo * 1e3, apply * 1e3, TXS);
}

int main(int argc, char **argv)
{
    accounts_count = argc > 1 ? (size_t)strtoul(argv[1], NULL, 10) : 100000;
    if (accounts_count < 3 * TXS) {
        fprintf(stderr, "bench_chain: at least %d accounts\n", 3 * TXS);
        return 2;
    }
    TERN_CHECK(tern_crypto_start() == TERN_OK);
    tern_mem_init(&mem, 0);
    tern_random_init_u64(&rng, 1);
    accounts = calloc(accounts_count, sizeof *accounts);
    TERN_CHECK(accounts != NULL);
    make_state();
    printf("%zu rows of state, %zu bytes a row\n", tern_state_rows_count(&state),
           mem.used / tern_state_rows_count(&state));
    bench_transfers();
    bench_orders();
    bench_auction();
    bench_all();
    tern_state_fini(&state);
    free(accounts);
    return 0;
}
