/* What transactions and blocks do to the state: each rejection by name, money and energy to the
 * last unit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "chain/audit.h"
#include "chain/test_world.h"

#define HOUR WORLD_HOUR

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
};

static void run_start(struct run *run)
{
    tern_mem_init(&run->mem, 0);
    world_ledger(&world, &run->mem, &run->ledger);
}

static void check_audit(const struct tern_ledger *ledger)
{
    struct tern_audit audit;
    tern_audit_state(&ledger->state, tern_genesis_supply(&world.genesis), &audit);
    if (audit.finding != NULL)
        fail_msg("%s", audit.finding);
}

static void run_end(struct run *run)
{
    check_audit(&run->ledger);
    tern_ledger_fini(&run->ledger);
    assert_int_equal(run->mem.used, 0);
}

/* Makes a block of these transactions, all of which must go in, and pushes it. */
static void run_block(struct run *run, const struct world_tx *txs, size_t count)
{
    struct world_block block;
    tern_fault fault;
    block = world_block_make(&world, &run->ledger, 0, txs, count);
    assert_int_equal(block.header.txs_count, count);
    assert_int_equal(world_block_push(&run->ledger, &block, &fault), TERN_OK);
    assert_memory_equal(tern_ledger_head(&run->ledger)->hash.bytes, block.hash.bytes, 32);
    world_block_free(&block);
}

/* What becomes of one transaction on the head, in the next turn of authority 0. */
static tern_fault run_try(struct run *run, const struct world_tx *tx)
{
    struct tern_state *state = &run->ledger.state;
    struct tern_hash before;
    struct tern_hash after;
    struct tern_apply apply;
    tern_fault fault;
    struct tern_apply_params params = {
        .state = state,
        .fee_min = WORLD_FEE,
        .height = 1,
        .time_ms = world_turn(tern_ledger_head(&run->ledger)->header.time_ms, 0),
        .proposer = world.authorities[0],
    };
    tern_state_root(state, &before);
    assert_int_equal(tern_apply_begin(&apply, &params), TERN_OK);
    tern_err err = tern_apply_tx(&apply, &tx->tx, &tx->id, &fault);
    assert_int_equal(err, fault == TERN_FAULT_NONE ? TERN_OK : TERN_ERR_PROTOCOL);
    if (err != TERN_OK) { /* refused: nothing changed */
        tern_state_root(state, &after);
        assert_memory_equal(before.bytes, after.bytes, 32);
    }
    tern_state_rollback(state, 0);
    tern_apply_fini(&apply);
    tern_state_root(state, &after);
    assert_memory_equal(before.bytes, after.bytes, 32);
    return fault;
}

static void check_fault(struct run *run, const struct world_tx *tx, tern_fault expected)
{
    tern_fault fault = run_try(run, tx);
    if (fault != expected)
        fail_msg("%s instead of %s", tern_fault_name(fault), tern_fault_name(expected));
}

static tern_money balance_of(const struct run *run, size_t account)
{
    struct tern_row_account row;
    tern_row_get_account(&run->ledger.state, &world.accounts[account], &row);
    return row.balance;
}

static struct tern_row_energy energy_of(const struct run *run, size_t account, tern_hour hour)
{
    struct tern_row_energy row;
    tern_row_get_energy(&run->ledger.state, hour, &world.accounts[account], &row);
    return row;
}

static void a_transfer_moves_money_and_pays_the_proposer(void **unused)
{
    (void)unused;
    struct run run;
    struct world_tx tx;
    run_start(&run);
    tx = world_transfer(&world, 0, 1, 0, 500);
    run_block(&run, &tx, 1);
    assert_int_equal(balance_of(&run, 0), WORLD_BALANCE - 500 - WORLD_FEE);
    assert_int_equal(balance_of(&run, 1), WORLD_BALANCE + 500);
    struct tern_row_account proposer;
    assert_true(tern_row_get_account(&run.ledger.state, &world.authorities[0], &proposer));
    assert_int_equal(proposer.balance, WORLD_FEE);
    run_end(&run);
}

static void transfers_are_refused_by_name(void **unused)
{
    (void)unused;
    struct run run;
    struct world_tx tx;
    run_start(&run);
    tx = world_transfer(&world, 0, 1, 0, 500);
    check_fault(&run, &tx, TERN_FAULT_NONE);
    run_block(&run, &tx, 1);
    check_fault(&run, &tx, TERN_FAULT_CHAIN_TX_NONCE_OLD);
    tx = world_transfer(&world, 0, 1, 2, 500);
    check_fault(&run, &tx, TERN_FAULT_CHAIN_TX_NONCE_GAP);
    tx = world_transfer(&world, 0, 1, 1, WORLD_BALANCE);
    check_fault(&run, &tx, TERN_FAULT_CHAIN_TX_BALANCE);
    tx = world_transfer(&world, 0, 1, 1, 0);
    check_fault(&run, &tx, TERN_FAULT_CHAIN_TX_AMOUNT);
    tx = world_transfer(&world, 0, 1, 1, UINT64_MAX);
    check_fault(&run, &tx, TERN_FAULT_CHAIN_TX_AMOUNT);
    tx = world_transfer(&world, 0, 1, UINT64_MAX, 1);
    check_fault(&run, &tx, TERN_FAULT_CHAIN_TX_AMOUNT);
    tx = world_transfer(&world, 0, 0, 1, 1);
    check_fault(&run, &tx, TERN_FAULT_CHAIN_TX_SELF);
    tx = world_transfer(&world, 0, 1, 1, 1);
    tx.tx.fee = WORLD_FEE - 1;
    check_fault(&run, &tx, TERN_FAULT_CHAIN_TX_FEE_LOW);
    tx.tx.fee = WORLD_BALANCE * 2U;
    check_fault(&run, &tx, TERN_FAULT_CHAIN_TX_BALANCE);
    tx.tx.fee = UINT64_MAX;
    check_fault(&run, &tx, TERN_FAULT_CHAIN_TX_AMOUNT);
    run_end(&run);
}

static void readings_are_refused_by_name(void **unused)
{
    (void)unused;
    struct run run;
    struct world_tx tx;
    run_start(&run);
    tx = world_reading(&world, 0, 0, HOUR, 60000);
    check_fault(&run, &tx, TERN_FAULT_NONE);
    run_block(&run, &tx, 1);
    check_fault(&run, &tx, TERN_FAULT_CHAIN_TX_NONCE_OLD);
    tx = world_reading(&world, 0, 1, HOUR, WORLD_CAPACITY - 60000 + 1);
    check_fault(&run, &tx, TERN_FAULT_CHAIN_TX_CAPACITY);
    tx = world_reading(&world, 0, 1, HOUR, WORLD_CAPACITY - 60000);
    check_fault(&run, &tx, TERN_FAULT_NONE);
    tx = world_reading(&world, 0, 2, HOUR, 1);
    check_fault(&run, &tx, TERN_FAULT_CHAIN_TX_NONCE_GAP);
    tx = world_reading(&world, 0, 1, HOUR + 1, 1); /* it has not begun */
    check_fault(&run, &tx, TERN_FAULT_CHAIN_TX_HOUR);
    tx = world_reading(&world, 0, 1, HOUR - 1, 1); /* before the device's newest */
    check_fault(&run, &tx, TERN_FAULT_CHAIN_TX_HOUR);
    tx = world_reading(&world, 1, 0, HOUR - TERN_READING_AGE_HOURS - 1, 1); /* too old */
    check_fault(&run, &tx, TERN_FAULT_CHAIN_TX_HOUR);
    tx = world_reading(&world, 1, 0, HOUR - TERN_READING_AGE_HOURS, 1);
    check_fault(&run, &tx, TERN_FAULT_NONE);
    tx = world_reading(&world, 0, 1, HOUR, 0);
    check_fault(&run, &tx, TERN_FAULT_CHAIN_TX_AMOUNT);
    struct tern_tx of_account = {.kind = TERN_TX_READING};
    of_account.as.reading.hour = HOUR;
    of_account.as.reading.energy_wh = 1;
    world_sign(&world, &world.account_keys[0], &of_account, &tx);
    check_fault(&run, &tx, TERN_FAULT_CHAIN_TX_DEVICE_UNKNOWN);
    /* The owner pays, and must be able to. */
    tx = world_reading(&world, 0, 1, HOUR, 1);
    tx.tx.fee = WORLD_BALANCE;
    check_fault(&run, &tx, TERN_FAULT_CHAIN_TX_BALANCE);
    assert_int_equal(balance_of(&run, 0), WORLD_BALANCE - WORLD_FEE);
    run_end(&run);
}

static void orders_are_refused_by_name(void **unused)
{
    (void)unused;
    struct run run;
    struct world_tx tx;
    run_start(&run);
    tx = world_reading(&world, 0, 0, HOUR, 5000);
    run_block(&run, &tx, 1);
    const tern_time_ms end = (tern_time_ms)(HOUR + 1) * TERN_HOUR_MS;
    const struct {
        enum tern_tx_kind kind;
        struct tern_tx_order order;
        tern_fault fault;
    } table[] = {
        {TERN_TX_ASK, {HOUR, 5000, 7, end}, TERN_FAULT_NONE},
        {TERN_TX_ASK, {HOUR, 5001, 7, end}, TERN_FAULT_CHAIN_TX_ENERGY},
        {TERN_TX_ASK, {HOUR - 1, 1, 7, end}, TERN_FAULT_CHAIN_TX_ENERGY},
        {TERN_TX_ASK, {HOUR, 0, 7, end}, TERN_FAULT_CHAIN_TX_AMOUNT},
        {TERN_TX_ASK, {HOUR, 1, 0, end}, TERN_FAULT_CHAIN_TX_AMOUNT},
        {TERN_TX_ASK, {HOUR, 1, TERN_PRICE_MAX + 1, end}, TERN_FAULT_CHAIN_TX_AMOUNT},
        {TERN_TX_BID, {HOUR, TERN_ORDER_WH_MAX + 1, 1, end}, TERN_FAULT_CHAIN_TX_AMOUNT},
        {TERN_TX_BID, {HOUR, 1000, 1000, end}, TERN_FAULT_NONE},
        {TERN_TX_BID, {HOUR, 1000, 1000000, end}, TERN_FAULT_CHAIN_TX_BALANCE},
        {TERN_TX_BID, {HOUR - 49, 1, 1, end}, TERN_FAULT_CHAIN_TX_HOUR},
        {TERN_TX_BID, {HOUR + 169, 1, 1, end}, TERN_FAULT_CHAIN_TX_HOUR},
        {TERN_TX_BID, {HOUR + 168, 1, 1, end}, TERN_FAULT_NONE},
        {TERN_TX_BID, {HOUR, 1, 1, WORLD_TIME_MS + 2000}, TERN_FAULT_CHAIN_TX_EXPIRY},
        {TERN_TX_BID, {HOUR, 1, 1, end + 48 * TERN_HOUR_MS}, TERN_FAULT_NONE},
        {TERN_TX_BID, {HOUR, 1, 1, end + 48 * TERN_HOUR_MS + 1}, TERN_FAULT_CHAIN_TX_EXPIRY},
        {TERN_TX_BID, {HOUR, 1, 1, UINT64_MAX}, TERN_FAULT_CHAIN_TX_EXPIRY},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(table); i++) {
        tx = world_order(&world, table[i].kind, 0, 0, &table[i].order);
        check_fault(&run, &tx, table[i].fault);
    }
    run_end(&run);
}

static void a_cancel_returns_exactly_what_was_reserved(void **unused)
{
    (void)unused;
    struct run run;
    struct world_tx txs[3];
    run_start(&run);
    txs[0] = world_reading(&world, 0, 0, HOUR, 5000);
    txs[1] = world_order(&world, TERN_TX_ASK, 0, 0, &(struct tern_tx_order){HOUR, 3000, 90, 0});
    txs[2] = world_order(&world, TERN_TX_BID, 1, 0, &(struct tern_tx_order){HOUR, 100, 80, 0});
    run_block(&run, txs, 3);
    assert_int_equal(energy_of(&run, 0, HOUR).available_wh, 2000);
    assert_int_equal(energy_of(&run, 0, HOUR).offered_wh, 3000);
    assert_int_equal(balance_of(&run, 1), WORLD_BALANCE - WORLD_FEE - 8000);
    struct world_tx cancel;
    struct tern_hash unknown = {{9}};
    cancel = world_cancel(&world, 1, 1, &txs[1].id);
    check_fault(&run, &cancel, TERN_FAULT_CHAIN_TX_ORDER_OWNER);
    cancel = world_cancel(&world, 1, 1, &unknown);
    check_fault(&run, &cancel, TERN_FAULT_CHAIN_TX_ORDER_UNKNOWN);
    struct world_tx cancels[2];
    cancels[0] = world_cancel(&world, 0, 1, &txs[1].id);
    cancels[1] = world_cancel(&world, 1, 1, &txs[2].id);
    run_block(&run, cancels, 2);
    assert_int_equal(energy_of(&run, 0, HOUR).available_wh, 5000);
    assert_int_equal(energy_of(&run, 0, HOUR).offered_wh, 0);
    assert_int_equal(balance_of(&run, 1), WORLD_BALANCE - 2 * WORLD_FEE);
    cancel = world_cancel(&world, 1, 2, &txs[2].id);
    check_fault(&run, &cancel, TERN_FAULT_CHAIN_TX_ORDER_UNKNOWN);
    run_end(&run);
}

static void a_trade_settles_at_one_price_and_refunds_the_rest(void **unused)
{
    (void)unused;
    struct run run;
    struct world_tx txs[4];
    run_start(&run);
    txs[0] = world_reading(&world, 0, 0, HOUR, 5000);
    txs[1] = world_order(&world, TERN_TX_ASK, 0, 0, &(struct tern_tx_order){HOUR, 1000, 100, 0});
    txs[2] = world_order(&world, TERN_TX_BID, 1, 0, &(struct tern_tx_order){HOUR, 600, 200, 0});
    txs[3] = world_order(&world, TERN_TX_BID, 2, 0, &(struct tern_tx_order){HOUR, 600, 140, 0});
    run_block(&run, txs, 4);
    /* 1,000 Wh trade; 200 Wh of the second bid are left over, which sets the price to its 140. */
    assert_int_equal(balance_of(&run, 0), WORLD_BALANCE - 2 * WORLD_FEE + 140 * 1000);
    assert_int_equal(balance_of(&run, 1), WORLD_BALANCE - WORLD_FEE - 140 * 600);
    assert_int_equal(balance_of(&run, 2), WORLD_BALANCE - WORLD_FEE - 140 * 600);
    assert_int_equal(energy_of(&run, 0, HOUR).sold_wh, 1000);
    assert_int_equal(energy_of(&run, 0, HOUR).available_wh, 4000);
    assert_int_equal(energy_of(&run, 1, HOUR).bought_wh, 600);
    assert_int_equal(energy_of(&run, 2, HOUR).bought_wh, 400);
    struct tern_order_place place;
    struct tern_row_order order;
    assert_false(tern_row_get_order(&run.ledger.state, &txs[1].id, &place, &order));
    assert_false(tern_row_get_order(&run.ledger.state, &txs[2].id, &place, &order));
    assert_true(tern_row_get_order(&run.ledger.state, &txs[3].id, &place, &order));
    assert_int_equal(order.energy_wh, 200);
    struct tern_row_hour hour;
    assert_true(tern_row_get_hour(&run.ledger.state, HOUR, &hour));
    assert_int_equal(hour.price, 140);
    assert_int_equal(hour.traded, 140000);
    /* What was bought cannot be sold on; what was sold cannot be sold again. */
    struct world_tx tx;
    tx = world_order(&world, TERN_TX_ASK, 1, 1, &(struct tern_tx_order){HOUR, 1, 1, 0});
    check_fault(&run, &tx, TERN_FAULT_CHAIN_TX_ENERGY);
    tx = world_order(&world, TERN_TX_ASK, 0, 1, &(struct tern_tx_order){HOUR, 4001, 1, 0});
    check_fault(&run, &tx, TERN_FAULT_CHAIN_TX_ENERGY);
    run_end(&run);
}

static void equal_prices_are_served_in_order_of_arrival(void **unused)
{
    (void)unused;
    struct run run;
    struct world_tx txs[3];
    run_start(&run);
    txs[0] = world_order(&world, TERN_TX_BID, 2, 0, &(struct tern_tx_order){HOUR, 600, 140, 0});
    run_block(&run, txs, 1);
    txs[0] = world_order(&world, TERN_TX_BID, 1, 0, &(struct tern_tx_order){HOUR, 600, 140, 0});
    txs[1] = world_reading(&world, 0, 0, HOUR, 700);
    txs[2] = world_order(&world, TERN_TX_ASK, 0, 0, &(struct tern_tx_order){HOUR, 700, 100, 0});
    run_block(&run, txs, 3);
    assert_int_equal(energy_of(&run, 2, HOUR).bought_wh, 600);
    assert_int_equal(energy_of(&run, 1, HOUR).bought_wh, 100);
    run_end(&run);
}

static void an_order_expires_with_its_block_time(void **unused)
{
    (void)unused;
    struct run run;
    struct world_tx txs[2];
    run_start(&run);
    tern_time_ms first = world_turn(WORLD_TIME_MS, 0);
    tern_time_ms second = world_turn(first, 0);
    txs[0] =
        world_order(&world, TERN_TX_BID, 1, 0, &(struct tern_tx_order){HOUR, 600, 140, second});
    txs[1] =
        world_order(&world, TERN_TX_BID, 2, 0, &(struct tern_tx_order){HOUR, 600, 140, second + 1});
    run_block(&run, txs, 2);
    assert_int_equal(balance_of(&run, 1), WORLD_BALANCE - WORLD_FEE - 84000);
    run_block(&run, NULL, 0);
    assert_int_equal(balance_of(&run, 1), WORLD_BALANCE - WORLD_FEE);
    assert_int_equal(balance_of(&run, 2), WORLD_BALANCE - WORLD_FEE - 84000);
    run_block(&run, NULL, 0);
    assert_int_equal(balance_of(&run, 2), WORLD_BALANCE - WORLD_FEE);
    run_end(&run);
}

static void an_account_has_a_limit_of_open_orders(void **unused)
{
    (void)unused;
    struct run run;
    run_start(&run);
    struct world_tx txs[TERN_ORDERS_PER_ACCOUNT_MAX];
    for (size_t i = 0; i < TERN_ORDERS_PER_ACCOUNT_MAX; i++)
        txs[i] = world_order(&world, TERN_TX_BID, 1, i, &(struct tern_tx_order){HOUR, 1, 1 + i, 0});
    run_block(&run, txs, TERN_ORDERS_PER_ACCOUNT_MAX);
    struct world_tx tx;
    tx = world_order(&world, TERN_TX_BID, 1, TERN_ORDERS_PER_ACCOUNT_MAX,
                     &(struct tern_tx_order){HOUR, 1, 1, 0});
    check_fault(&run, &tx, TERN_FAULT_CHAIN_TX_ORDERS_FULL);
    run_end(&run);
}

static void a_signature_is_good_for_one_chain_and_one_content(void **unused)
{
    (void)unused;
    struct world_tx tx;
    tx = world_transfer(&world, 0, 1, 0, 500);
    struct tern_view bytes = tern_view_of(tx.bytes, tx.size);
    assert_int_equal(tern_tx_verify(bytes, &world.genesis_hash), TERN_OK);
    struct tern_hash other = world.genesis_hash;
    other.bytes[0] ^= 1;
    assert_int_equal(tern_tx_verify(bytes, &other), TERN_ERR_BAD_SIGNATURE);
    struct tern_mem mem;
    struct tern_verify_job job;
    tern_mem_init(&mem, 0);
    assert_int_equal(
        tern_verify_job_init(&job, &mem, tx.size + 1, (tx.size + 1) * TERN_TX_VERIFY_BYTES),
        TERN_OK);
    size_t index;
    assert_int_equal(tern_tx_verify_add(bytes, &world.genesis_hash, &job, &index), TERN_OK);
    for (size_t i = 2; i < tx.size; i++) { /* not version and kind: those are form */
        tx.bytes[i] ^= 0x10;
        assert_int_equal(tern_tx_verify_add(bytes, &world.genesis_hash, &job, &index), TERN_OK);
        tx.bytes[i] ^= 0x10;
    }
    job.job.run(&job.job);
    assert_int_equal(tern_verify_job_verdict(&job, 0), TERN_OK);
    for (size_t i = 1; i <= tx.size - 2; i++)
        assert_int_not_equal(tern_verify_job_verdict(&job, i), TERN_OK);
    tern_verify_job_fini(&job);
    assert_int_equal(mem.used, 0);
}

static void only_the_one_encoding_is_read(void **unused)
{
    (void)unused;
    struct world_tx txs[5];
    txs[0] = world_transfer(&world, 0, 1, 7, 500);
    txs[1] = world_reading(&world, 0, 7, HOUR, 500);
    txs[2] = world_order(&world, TERN_TX_ASK, 0, 7, &(struct tern_tx_order){HOUR, 1, 2, 3});
    txs[3] = world_order(&world, TERN_TX_BID, 0, 7, &(struct tern_tx_order){HOUR, 1, 2, 3});
    txs[4] = world_cancel(&world, 0, 7, &txs[0].id);
    for (size_t i = 0; i < TERN_COUNT_OF(txs); i++) {
        struct tern_tx tx;
        uint8_t bytes[TERN_TX_SIZE_MAX + 1];
        assert_int_equal(txs[i].size, tern_tx_size(txs[i].tx.kind));
        assert_int_equal(tern_tx_decode(tern_view_of(txs[i].bytes, txs[i].size), &tx), TERN_OK);
        struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
        tern_tx_encode(&tx, &w);
        assert_true(tern_view_equal(tern_writer_view(&w), tern_view_of(txs[i].bytes, txs[i].size)));
        tern_writer_u8(&w, 0);
        assert_int_equal(tern_tx_decode(tern_writer_view(&w), &tx), TERN_ERR_MALFORMED);
        for (size_t cut = 0; cut < txs[i].size; cut++)
            assert_int_equal(tern_tx_decode(tern_view_of(txs[i].bytes, cut), &tx),
                             TERN_ERR_MALFORMED);
        bytes[0] = 2;
        assert_int_equal(tern_tx_decode(tern_view_of(bytes, txs[i].size), &tx), TERN_ERR_MALFORMED);
        bytes[0] = TERN_TX_VERSION;
        bytes[1] = 6;
        assert_int_equal(tern_tx_decode(tern_view_of(bytes, txs[i].size), &tx), TERN_ERR_MALFORMED);
        bytes[1] = 0;
        assert_int_equal(tern_tx_decode(tern_view_of(bytes, txs[i].size), &tx), TERN_ERR_MALFORMED);
    }
}

/* Draws a transaction that is often valid. */
static void draw(struct tern_random *random, const struct tern_state *state, struct world_tx *tx)
{
    size_t who = tern_random_below(random, WORLD_ACCOUNTS);
    struct tern_row_account account;
    tern_row_get_account(state, &world.accounts[who], &account);
    uint64_t nonce = account.nonce + tern_random_chance(random, 1, 20);
    tern_hour hour = HOUR - 1 + (tern_hour)tern_random_below(random, 3);
    struct tern_tx_order order = {
        .hour = hour,
        .energy_wh = 1 + tern_random_below(random, 4000),
        .price = 100 + tern_random_below(random, 50),
        .expires_ms = WORLD_TIME_MS + tern_random_below(random, 200000),
    };
    switch (tern_random_below(random, 6)) {
    case 0:
        *tx = world_transfer(&world, who, tern_random_below(random, WORLD_ACCOUNTS), nonce,
                             1 + tern_random_below(random, WORLD_BALANCE / 2));
        return;
    case 1: {
        size_t d = tern_random_below(random, WORLD_DEVICES);
        struct tern_row_device device;
        tern_row_get_device(state, &world.devices[d], &device);
        *tx = world_reading(&world, d, device.nonce, hour, 1 + tern_random_below(random, 20000));
        return;
    }
    case 2: {
        const struct tern_state_row *row = tern_state_seek(state, tern_view_str("b"));
        uint64_t skip = tern_random_below(random, 8);
        for (; row != NULL && row->key[0] == 'b' && skip > 0; skip--)
            row = tern_state_next(row);
        struct tern_row_order open = {.energy_wh = 0};
        if (row != NULL && row->key[0] == 'b')
            assert_int_equal(tern_row_decode_order(tern_state_row_value(row), &open), TERN_OK);
        for (size_t i = 0; i < WORLD_ACCOUNTS; i++)
            if (tern_account_equal(&open.account, &world.accounts[i]))
                who = i;
        tern_row_get_account(state, &world.accounts[who], &account);
        *tx = world_cancel(&world, who, account.nonce, &open.id);
        return;
    }
    case 3:
        *tx = world_order(&world, TERN_TX_ASK, who % WORLD_DEVICES, nonce, &order);
        return;
    default:
        *tx = world_order(&world, TERN_TX_BID, who, nonce, &order);
        return;
    }
}

static void random_blocks_conserve_money_and_energy(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct run run;
        struct tern_random random;
        tern_random_init_u64(&random, seed);
        run_start(&run);
        uint64_t taken = 0;
        for (unsigned height = 0; height < 40; height++) {
            struct world_tx txs[24];
            size_t count = tern_random_below(&random, TERN_COUNT_OF(txs));
            for (size_t i = 0; i < count; i++)
                draw(&random, &run.ledger.state, &txs[i]);
            struct world_block block;
            tern_fault fault;
            block = world_block_make(&world, &run.ledger,
                                     tern_random_below(&random, WORLD_AUTHORITIES), txs, count);
            assert_int_equal(world_block_push(&run.ledger, &block, &fault), TERN_OK);
            taken += block.header.txs_count;
            world_block_free(&block);
            check_audit(&run.ledger);
        }
        assert_true(taken > 50); /* else the draw tests nothing */
        run_end(&run);
    }
}

static void a_failed_allocation_leaves_a_block_undone(void **unused)
{
    (void)unused;
    struct run run;
    struct tern_random random;
    tern_random_init_u64(&random, 5);
    run_start(&run);
    struct world_tx txs[30];
    for (unsigned i = 0; i < 4; i++) {
        for (size_t j = 0; j < TERN_COUNT_OF(txs); j++)
            draw(&random, &run.ledger.state, &txs[j]);
        struct world_block block;
        tern_fault fault;
        block = world_block_make(&world, &run.ledger, 0, txs, TERN_COUNT_OF(txs));
        assert_int_equal(world_block_push(&run.ledger, &block, &fault), TERN_OK);
        world_block_free(&block);
    }
    for (size_t j = 0; j < TERN_COUNT_OF(txs); j++)
        draw(&random, &run.ledger.state, &txs[j]);
    struct world_block made;
    struct tern_block block;
    tern_fault fault;
    made = world_block_make(&world, &run.ledger, 0, txs, TERN_COUNT_OF(txs));
    assert_int_equal(tern_block_decode(tern_view_of(made.bytes, made.size), &block, &fault),
                     TERN_OK);
    struct tern_hash before;
    struct tern_hash after;
    tern_state_root(&run.ledger.state, &before);
    tern_err err = TERN_ERR_MEMORY;
    for (uint64_t n = 1; err != TERN_OK; n++) {
        struct tern_apply_result result;
        tern_mem_fail_at(&run.mem, n, false);
        err = tern_apply_block(&run.ledger.state, &world.genesis, &block, &result, &fault);
        tern_mem_fail_at(&run.mem, 0, false);
        if (err == TERN_OK) {
            assert_true(n > 10);
            tern_state_rollback(&run.ledger.state, 0);
            tern_apply_result_fini(&result);
        } else {
            assert_int_equal(err, TERN_ERR_MEMORY);
        }
        tern_state_root(&run.ledger.state, &after);
        assert_memory_equal(before.bytes, after.bytes, 32);
        check_audit(&run.ledger);
    }
    world_block_free(&made);
    run_end(&run);
}

static void the_audit_sees_money_and_energy_that_are_wrong(void **unused)
{
    (void)unused;
    struct run run;
    struct world_tx txs[3];
    run_start(&run);
    txs[0] = world_reading(&world, 0, 0, HOUR, 5000);
    txs[1] = world_order(&world, TERN_TX_ASK, 0, 0, &(struct tern_tx_order){HOUR, 3000, 90, 0});
    txs[2] = world_order(&world, TERN_TX_BID, 1, 0, &(struct tern_tx_order){HOUR, 100, 80, 0});
    run_block(&run, txs, 3);
    struct tern_state *state = &run.ledger.state;
    struct tern_audit audit;
    tern_money supply = tern_genesis_supply(&world.genesis);

    struct tern_row_account account;
    tern_row_get_account(state, &world.accounts[3], &account);
    account.balance++;
    assert_int_equal(tern_row_put_account(state, &world.accounts[3], &account), TERN_OK);
    struct tern_state_diff diff;
    assert_int_equal(tern_state_diff(state, 0, &diff), TERN_OK);
    assert_false(tern_audit_diff(&diff));
    tern_state_diff_fini(&diff);
    tern_audit_state(state, supply, &audit);
    assert_non_null(audit.finding);
    tern_state_rollback(state, 0);

    struct tern_row_energy energy = energy_of(&run, 0, HOUR);
    energy.offered_wh--;
    energy.available_wh++;
    assert_int_equal(tern_row_put_energy(state, HOUR, &world.accounts[0], &energy), TERN_OK);
    tern_audit_state(state, supply, &audit);
    assert_non_null(audit.finding);
    tern_state_rollback(state, 0);

    struct tern_order_place place;
    struct tern_row_order order;
    assert_true(tern_row_get_order(state, &txs[2].id, &place, &order));
    order.energy_wh++;
    assert_int_equal(tern_row_set_order(state, &place, &order), TERN_OK);
    tern_audit_state(state, supply, &audit);
    assert_non_null(audit.finding);
    tern_state_rollback(state, 0);
    run_end(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_transfer_moves_money_and_pays_the_proposer),
        cmocka_unit_test(transfers_are_refused_by_name),
        cmocka_unit_test(readings_are_refused_by_name),
        cmocka_unit_test(orders_are_refused_by_name),
        cmocka_unit_test(a_cancel_returns_exactly_what_was_reserved),
        cmocka_unit_test(a_trade_settles_at_one_price_and_refunds_the_rest),
        cmocka_unit_test(equal_prices_are_served_in_order_of_arrival),
        cmocka_unit_test(an_order_expires_with_its_block_time),
        cmocka_unit_test(an_account_has_a_limit_of_open_orders),
        cmocka_unit_test(a_signature_is_good_for_one_chain_and_one_content),
        cmocka_unit_test(only_the_one_encoding_is_read),
        cmocka_unit_test(random_blocks_conserve_money_and_energy),
        cmocka_unit_test(a_failed_allocation_leaves_a_block_undone),
        cmocka_unit_test(the_audit_sees_money_and_energy_that_are_wrong),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
