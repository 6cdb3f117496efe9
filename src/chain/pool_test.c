/* The pool: who gets in, who goes first, who makes room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "chain/pool.h"
#include "chain/test_world.h"

static struct world world;

static int setup(void **unused)
{
    (void)unused;
    world_init(&world);
    return 0;
}

struct run {
    struct tern_mem mem;
    struct tern_ledger ledger;
    struct tern_pool pool;
    tern_time now;
};

static void run_start(struct run *run, uint32_t txs_max)
{
    tern_mem_init(&run->mem, 0);
    world_ledger(&world, &run->mem, &run->ledger);
    struct tern_pool_config config = {.mem = &run->mem, .fee_min = WORLD_FEE, .hash_key = {3, 4}};
    tern_pool_limits_default(&config.limits);
    config.limits.txs_max = txs_max;
    tern_pool_init(&run->pool, &config);
    run->now = TERN_SECOND;
}

static void run_end(struct run *run)
{
    tern_pool_fini(&run->pool);
    tern_ledger_fini(&run->ledger);
    assert_int_equal(run->mem.used, 0);
}

static struct world_tx transfer(size_t from, uint64_t nonce, tern_money fee, tern_money amount)
{
    struct tern_tx tx = {.kind = TERN_TX_TRANSFER, .nonce = nonce, .fee = fee};
    tx.as.transfer.to = world.accounts[(from + 1) % WORLD_ACCOUNTS];
    tx.as.transfer.amount = amount;
    struct world_tx out;
    world_sign(&world, &world.account_keys[from], &tx, &out);
    return out;
}

static tern_fault offer(struct run *run, struct world_tx tx)
{
    struct tern_pool_offer o = {.tx = tx.tx, .bytes = {tx.bytes, tx.size}, .id = tx.id};
    tern_fault fault;
    tern_err err = tern_pool_add(&run->pool, &run->ledger.state, run->now, &o, &fault);
    assert_int_equal(err, fault == TERN_FAULT_NONE ? TERN_OK : TERN_ERR_PROTOCOL);
    return fault;
}

static void update(struct run *run, tern_time now)
{
    tern_pool_update(&run->pool, &run->ledger.state, &tern_ledger_head(&run->ledger)->header, now);
}

static bool has(const struct run *run, struct world_tx tx)
{
    return tern_pool_find(&run->pool, &tx.id) != NULL;
}

static void what_cannot_ever_be_in_a_block_stays_out(void **unused)
{
    (void)unused;
    struct run run;
    run_start(&run, 100);
    assert_int_equal(offer(&run, transfer(0, 0, WORLD_FEE, 5)), TERN_FAULT_NONE);
    assert_int_equal(offer(&run, transfer(0, 0, WORLD_FEE, 5)), TERN_FAULT_CHAIN_POOL_KNOWN);
    assert_int_equal(offer(&run, transfer(0, 1, WORLD_FEE - 1, 5)), TERN_FAULT_CHAIN_TX_FEE_LOW);
    assert_int_equal(offer(&run, transfer(0, 64, WORLD_FEE, 5)), TERN_FAULT_CHAIN_TX_NONCE_GAP);
    assert_int_equal(offer(&run, transfer(0, 63, WORLD_FEE, 5)), TERN_FAULT_NONE);
    assert_int_equal(offer(&run, transfer(0, 1, WORLD_FEE, 0)), TERN_FAULT_CHAIN_TX_AMOUNT);
    assert_int_equal(offer(&run, transfer(0, 1, WORLD_FEE, WORLD_BALANCE)),
                     TERN_FAULT_CHAIN_TX_BALANCE);
    struct tern_tx reading = {.kind = TERN_TX_READING};
    reading.as.reading.hour = WORLD_HOUR;
    reading.as.reading.energy_wh = 5;
    struct world_tx tx;
    world_sign(&world, &world.account_keys[0], &reading, &tx);
    assert_int_equal(offer(&run, tx), TERN_FAULT_CHAIN_TX_DEVICE_UNKNOWN);
    assert_int_equal(offer(&run, world_reading(&world, 0, 0, WORLD_HOUR, 5)), TERN_FAULT_NONE);
    run_end(&run);
}

static void a_sender_cannot_promise_more_than_it_has(void **unused)
{
    (void)unused;
    struct run run;
    run_start(&run, 100);
    const tern_money half = WORLD_BALANCE / 2;
    assert_int_equal(offer(&run, transfer(0, 0, WORLD_FEE, half)), TERN_FAULT_NONE);
    assert_int_equal(offer(&run, transfer(0, 1, WORLD_FEE, half)), TERN_FAULT_CHAIN_TX_BALANCE);
    assert_int_equal(offer(&run, transfer(0, 1, WORLD_FEE, half - 2 * WORLD_FEE)), TERN_FAULT_NONE);
    /* A replacement counts in place of what it replaces. */
    assert_int_equal(offer(&run, transfer(0, 0, 2 * WORLD_FEE, half - WORLD_FEE)), TERN_FAULT_NONE);
    assert_int_equal(offer(&run, transfer(0, 0, 4 * WORLD_FEE, half)), TERN_FAULT_CHAIN_TX_BALANCE);
    run_end(&run);
}

static void a_replacement_pays_a_tenth_more(void **unused)
{
    (void)unused;
    struct run run;
    run_start(&run, 100);
    struct world_tx first = transfer(0, 0, 100, 5);
    struct world_tx second = transfer(0, 0, 110, 6);
    assert_int_equal(offer(&run, first), TERN_FAULT_NONE);
    assert_int_equal(offer(&run, transfer(0, 0, 100, 6)), TERN_FAULT_CHAIN_POOL_UNDERPRICED);
    assert_int_equal(offer(&run, transfer(0, 0, 109, 6)), TERN_FAULT_CHAIN_POOL_UNDERPRICED);
    assert_int_equal(offer(&run, second), TERN_FAULT_NONE);
    assert_false(has(&run, first));
    assert_true(has(&run, second));
    assert_int_equal(tern_pool_count(&run.pool), 1);
    assert_int_equal(offer(&run, transfer(1, 0, 11, 5)), TERN_FAULT_NONE);
    assert_int_equal(offer(&run, transfer(1, 0, 12, 5)), TERN_FAULT_CHAIN_POOL_UNDERPRICED);
    assert_int_equal(offer(&run, transfer(1, 0, 13, 5)), TERN_FAULT_NONE);
    run_end(&run);
}

static void a_full_pool_lets_the_lowest_payer_go(void **unused)
{
    (void)unused;
    struct run run;
    run_start(&run, 4);
    struct world_tx cheap[2] = {transfer(0, 0, 20, 5), transfer(0, 1, 500, 5)};
    assert_int_equal(offer(&run, cheap[0]), TERN_FAULT_NONE);
    assert_int_equal(offer(&run, cheap[1]), TERN_FAULT_NONE);
    assert_int_equal(offer(&run, transfer(1, 0, 30, 5)), TERN_FAULT_NONE);
    assert_int_equal(offer(&run, transfer(2, 0, 30, 5)), TERN_FAULT_NONE);
    assert_int_equal(offer(&run, transfer(3, 0, 20, 5)), TERN_FAULT_CHAIN_POOL_FULL);
    /* One that has to wait for another displaces nothing, however much it pays. */
    assert_int_equal(offer(&run, transfer(3, 1, 900, 5)), TERN_FAULT_CHAIN_POOL_FULL);
    /* The sender that pays least loses its last one, so that the rest of its line still fits
     * together. */
    assert_int_equal(offer(&run, transfer(3, 0, 21, 5)), TERN_FAULT_NONE);
    assert_true(has(&run, cheap[0]));
    assert_false(has(&run, cheap[1]));
    assert_int_equal(tern_pool_count(&run.pool), 4);
    assert_int_equal(run.pool.evicted_count, 1);
    run_end(&run);
}

static void a_sender_has_a_limit(void **unused)
{
    (void)unused;
    struct run run;
    run_start(&run, 1000);
    run.pool.limits.sender_txs_max = 3;
    for (uint64_t nonce = 0; nonce < 3; nonce++)
        assert_int_equal(offer(&run, transfer(0, nonce, WORLD_FEE, 5)), TERN_FAULT_NONE);
    assert_int_equal(offer(&run, transfer(0, 3, 1000, 5)), TERN_FAULT_CHAIN_POOL_SENDER_FULL);
    assert_int_equal(offer(&run, transfer(0, 2, 1000, 5)), TERN_FAULT_NONE); /* a replacement */
    run_end(&run);
}

static void picking_goes_by_fee_and_keeps_each_senders_order(void **unused)
{
    (void)unused;
    struct run run;
    run_start(&run, 100);
    struct world_tx a[3] = {transfer(0, 0, 20, 5), transfer(0, 1, 900, 5), transfer(0, 3, 999, 5)};
    struct world_tx b[2] = {transfer(1, 0, 50, 5), transfer(1, 1, 40, 5)};
    struct world_tx c = transfer(2, 0, 50, 5);  /* as much as b, but later */
    struct world_tx d = transfer(3, 1, 999, 5); /* its first one is missing */
    const struct world_tx offers[] = {a[2], a[1], b[1], b[0], c, a[0], d};
    for (size_t i = 0; i < TERN_COUNT_OF(offers); i++)
        assert_int_equal(offer(&run, offers[i]), TERN_FAULT_NONE);
    const struct world_tx expected[] = {b[0], c, b[1], a[0], a[1]};
    struct tern_pool_pick pick;
    tern_pool_pick_start(&pick, &run.pool, &run.ledger.state);
    for (size_t i = 0; i < TERN_COUNT_OF(expected); i++) {
        const struct tern_pool_entry *entry = tern_pool_pick_next(&pick);
        assert_non_null(entry);
        assert_memory_equal(entry->id.bytes, expected[i].id.bytes, 32);
        tern_pool_pick_taken(&pick);
    }
    assert_null(tern_pool_pick_next(&pick));
    /* A sender whose first one is refused is out for this block. */
    tern_pool_pick_start(&pick, &run.pool, &run.ledger.state);
    assert_memory_equal(tern_pool_pick_next(&pick)->id.bytes, b[0].id.bytes, 32);
    tern_pool_pick_refused(&pick);
    assert_memory_equal(tern_pool_pick_next(&pick)->id.bytes, c.id.bytes, 32);
    tern_pool_pick_taken(&pick);
    assert_memory_equal(tern_pool_pick_next(&pick)->id.bytes, a[0].id.bytes, 32);
    tern_pool_pick_refused(&pick);
    assert_null(tern_pool_pick_next(&pick));
    assert_int_equal(tern_pool_next_nonce(&run.pool, &run.ledger.state, &world.accounts[0]), 2);
    run_end(&run);
}

static void a_block_takes_its_transactions_and_what_they_made_impossible(void **unused)
{
    (void)unused;
    struct run run;
    run_start(&run, 100);
    struct world_tx taken = transfer(0, 0, WORLD_FEE, WORLD_BALANCE / 2);
    struct world_tx rival = transfer(0, 0, 1000, 5);
    struct world_tx next = transfer(0, 1, WORLD_FEE, WORLD_BALANCE / 2);
    struct world_tx other = transfer(1, 0, WORLD_FEE, 5);
    assert_int_equal(offer(&run, rival), TERN_FAULT_NONE);
    assert_int_equal(offer(&run, transfer(0, 1, WORLD_FEE, WORLD_BALANCE / 2)), TERN_FAULT_NONE);
    assert_int_equal(offer(&run, other), TERN_FAULT_NONE);
    struct world_block block = world_block_make(&world, &run.ledger, 0, &taken, 1);
    tern_fault fault;
    assert_int_equal(world_block_push(&run.ledger, &block, &fault), TERN_OK);
    update(&run, run.now);
    assert_false(has(&run, rival)); /* its nonce is used */
    assert_false(has(&run, next));  /* its sender is out of money */
    assert_true(has(&run, other));
    world_block_free(&block);
    run_end(&run);
}

static void old_transactions_go(void **unused)
{
    (void)unused;
    struct run run;
    run_start(&run, 100);
    struct world_tx old = transfer(0, 0, WORLD_FEE, 5);
    struct world_tx young = transfer(1, 0, WORLD_FEE, 5);
    assert_int_equal(tern_pool_deadline(&run.pool), TERN_TIME_NEVER);
    assert_int_equal(offer(&run, old), TERN_FAULT_NONE);
    tern_time deadline = tern_pool_deadline(&run.pool);
    assert_int_equal(deadline, TERN_SECOND + 3 * TERN_HOUR);
    run.now += TERN_SECOND;
    assert_int_equal(offer(&run, young), TERN_FAULT_NONE);
    update(&run, deadline - 1);
    assert_true(has(&run, old));
    update(&run, deadline);
    assert_false(has(&run, old));
    assert_true(has(&run, young));
    run_end(&run);
}

static void what_no_block_could_take_goes_after_the_next_one(void **unused)
{
    (void)unused;
    struct run run;
    run_start(&run, 100);
    tern_time_ms next = world_turn(WORLD_TIME_MS, 0);
    const struct tern_tx_order bare = {WORLD_HOUR, 500, 90, 0};
    const struct tern_tx_order brief = {WORLD_HOUR, 500, 90, next};
    struct world_tx ask = world_order(&world, TERN_TX_ASK, 0, 0, &bare);  /* nothing was measured */
    struct world_tx bid = world_order(&world, TERN_TX_BID, 1, 0, &brief); /* dead by then */
    struct world_tx good = world_order(&world, TERN_TX_BID, 2, 0, &bare);
    struct world_tx old = world_reading(&world, 3, 0, WORLD_HOUR - 49, 5);
    struct world_tx later = world_order(&world, TERN_TX_ASK, 3, 1, &bare); /* not its turn yet */
    assert_int_equal(offer(&run, ask), TERN_FAULT_NONE);
    assert_int_equal(offer(&run, bid), TERN_FAULT_NONE);
    assert_int_equal(offer(&run, good), TERN_FAULT_NONE);
    assert_int_equal(offer(&run, old), TERN_FAULT_NONE);
    assert_int_equal(offer(&run, later), TERN_FAULT_NONE);
    update(&run, run.now);
    assert_int_equal(tern_pool_count(&run.pool), 5); /* no block has come since */
    struct world_block block = world_block_make(&world, &run.ledger, 0, NULL, 0);
    tern_fault fault;
    assert_int_equal(world_block_push(&run.ledger, &block, &fault), TERN_OK);
    update(&run, run.now);
    assert_false(has(&run, ask));
    assert_false(has(&run, bid));
    assert_false(has(&run, old));
    assert_true(has(&run, good));
    assert_true(has(&run, later));
    world_block_free(&block);
    run_end(&run);
}

static void a_failed_allocation_leaves_the_pool_as_it_was(void **unused)
{
    (void)unused;
    tern_err err = TERN_ERR_MEMORY;
    for (uint64_t n = 1; err != TERN_OK; n++) {
        struct run run;
        run_start(&run, 100);
        tern_mem_fail_at(&run.mem, n, false);
        struct world_tx tx = transfer(0, 0, WORLD_FEE, 5);
        struct tern_pool_offer o = {.tx = tx.tx, .bytes = {tx.bytes, tx.size}, .id = tx.id};
        tern_fault fault;
        err = tern_pool_add(&run.pool, &run.ledger.state, run.now, &o, &fault);
        tern_mem_fail_at(&run.mem, 0, false);
        assert_int_equal(tern_pool_count(&run.pool), err == TERN_OK);
        assert_int_equal(offer(&run, tx),
                         err == TERN_OK ? TERN_FAULT_CHAIN_POOL_KNOWN : TERN_FAULT_NONE);
        run_end(&run);
    }
}

static void check_digest(const struct tern_pool *pool)
{
    struct tern_hash digest = {{0}};
    const struct tern_pool_entry *entry = tern_pool_first(pool);
    for (; entry != NULL; entry = tern_pool_next(pool, entry))
        for (size_t i = 0; i < sizeof digest.bytes; i++)
            digest.bytes[i] ^= entry->id.bytes[i];
    assert_true(tern_hash_equal(&digest, &pool->digest));
}

static void random_offers_keep_the_pool_within_its_rules(void **unused)
{
    (void)unused;
    struct tern_random random;
    struct run run;
    tern_random_init_u64(&random, 9);
    run_start(&run, 40);
    unsigned taken = 0;
    for (unsigned i = 0; i < 3000; i++) {
        size_t from = tern_random_below(&random, WORLD_ACCOUNTS);
        struct tern_row_account row;
        tern_row_get_account(&run.ledger.state, &world.accounts[from], &row);
        taken += offer(&run, transfer(from, row.nonce + tern_random_below(&random, 12),
                                      WORLD_FEE + tern_random_below(&random, 90),
                                      1 + tern_random_below(&random, WORLD_BALANCE / 4))) ==
                 TERN_FAULT_NONE;
        if (tern_random_chance(&random, 1, 40)) {
            struct world_tx txs[40];
            size_t count = 0;
            struct tern_pool_pick pick;
            const struct tern_pool_entry *entry;
            tern_pool_pick_start(&pick, &run.pool, &run.ledger.state);
            while (count < 6 && (entry = tern_pool_pick_next(&pick)) != NULL) {
                txs[count].tx = entry->tx;
                txs[count].id = entry->id;
                txs[count].size = entry->bytes_size;
                memcpy(txs[count].bytes, entry->bytes, entry->bytes_size);
                tern_pool_pick_taken(&pick);
                count++;
            }
            /* What is picked goes in without exception: nonces and balances were seen to. */
            struct world_block block = world_block_make(&world, &run.ledger, 0, txs, count);
            tern_fault fault;
            assert_int_equal(block.header.txs_count, count);
            assert_int_equal(world_block_push(&run.ledger, &block, &fault), TERN_OK);
            update(&run, run.now);
            world_block_free(&block);
        }
        assert_true(tern_pool_count(&run.pool) <= 40);
        check_digest(&run.pool);
        for (size_t a = 0; a < WORLD_ACCOUNTS; a++) {
            tern_money cost = 0;
            const struct tern_pool_entry *entry = tern_pool_first(&run.pool);
            for (; entry != NULL; entry = tern_pool_next(&run.pool, entry))
                if (tern_account_equal(&entry->tx.sender, &world.accounts[a]))
                    cost += tern_tx_cost(&entry->tx);
            tern_row_get_account(&run.ledger.state, &world.accounts[a], &row);
            assert_true(cost <= row.balance);
        }
    }
    assert_true(taken > 300);
    run_end(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_ever_be_in_a_block_stays_out),
        cmocka_unit_test(a_sender_cannot_promise_more_than_it_has),
        cmocka_unit_test(a_replacement_pays_a_tenth_more),
        cmocka_unit_test(a_full_pool_lets_the_lowest_payer_go),
        cmocka_unit_test(a_sender_has_a_limit),
        cmocka_unit_test(picking_goes_by_fee_and_keeps_each_senders_order),
        cmocka_unit_test(a_block_takes_its_transactions_and_what_they_made_impossible),
        cmocka_unit_test(old_transactions_go),
        cmocka_unit_test(what_no_block_could_take_goes_after_the_next_one),
        cmocka_unit_test(a_failed_allocation_leaves_the_pool_as_it_was),
        cmocka_unit_test(random_offers_keep_the_pool_within_its_rules),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
