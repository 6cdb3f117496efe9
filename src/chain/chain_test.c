/* The chain as a whole: loading, blocks, transactions, proposing, the store; each failure in turn.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"
#include "chain/audit.h"
#include "chain/merkle.h"
#include "chain/test_node.h"

static struct world world;

static int setup(void **unused)
{
    (void)unused;
    world_init(&world);
    return 0;
}

static void check_answer(const struct node *node, enum tern_chain_out_kind kind, uint64_t tag,
                         tern_err err, tern_fault fault)
{
    const struct tern_chain_out *out = node_last(node, kind, tag);
    if (out == NULL)
        fail_msg("no answer to %u", (unsigned)tag);
    if (out->err != err || out->fault != fault)
        fail_msg("answer to %u: %s %s instead of %s %s", (unsigned)tag, tern_err_name(out->err),
                 tern_fault_name(out->fault), tern_err_name(err), tern_fault_name(fault));
}

static void check_audit(const struct node *node)
{
    struct tern_audit audit;
    tern_audit_state(&tern_chain_ledger(node->chain)->state, tern_genesis_supply(&world.genesis),
                     &audit);
    if (audit.finding != NULL)
        fail_msg("%s", audit.finding);
}

static uint64_t height_of(const struct node *node)
{
    struct tern_chain_head head;
    tern_chain_stored_head(node->chain, &head);
    return head.height;
}

/* Lets an authority propose in its next turn. */
static void propose(struct node *node, size_t authority)
{
    tern_time_ms head = tern_ledger_head(tern_chain_ledger(node->chain))->header.time_ms;
    tern_time_ms now = tern_wall_ms(node->clock.wall);
    node_tick(node, world_turn(now > head ? now : head, authority) + 1);
}

static void a_new_chain_stores_its_genesis_and_is_ready(void **unused)
{
    (void)unused;
    struct node node;
    node_init(&node, &world, 0, 1);
    node.hold_stores = true;
    assert_int_equal(node_start(&node), TERN_OK);
    assert_false(tern_chain_ready(node.chain));
    struct world_tx tx;
    tx = world_transfer(&world, 0, 1, 0, 500);
    node_tx(&node, &tx, 1);
    check_answer(&node, TERN_CHAIN_OUT_TX, 1, TERN_ERR_FULL, TERN_FAULT_NONE);
    node_block(&node, "", 0, 2);
    check_answer(&node, TERN_CHAIN_OUT_BLOCK, 2, TERN_ERR_FULL, TERN_FAULT_NONE);
    node_run_stores(&node);
    assert_true(tern_chain_ready(node.chain));
    assert_non_null(node_last(&node, TERN_CHAIN_OUT_READY, 0));
    assert_int_equal(node.store.writes, 1);
    node_fini(&node);
}

static void an_authority_proposes_what_is_in_the_pool_once_a_turn(void **unused)
{
    (void)unused;
    struct node node;
    node_init(&node, &world, 0, 1);
    assert_int_equal(node_start(&node), TERN_OK);
    struct world_tx txs[3];
    for (size_t i = 0; i < 3; i++) {
        txs[i] = world_transfer(&world, i, 5, 0, 500);
        node_tx(&node, &txs[i], i + 1);
        check_answer(&node, TERN_CHAIN_OUT_TX, i + 1, TERN_OK, TERN_FAULT_NONE);
    }
    propose(&node, 0);
    assert_int_equal(height_of(&node), 1);
    assert_int_equal(tern_pool_count(tern_chain_pool(node.chain)), 0);
    const struct tern_chain_out *head = node_last(&node, TERN_CHAIN_OUT_HEAD, 0);
    const struct tern_chain_out *ours = node_last(&node, TERN_CHAIN_OUT_PROPOSED, 0);
    assert_true(head != NULL && ours != NULL && ours < head);
    struct tern_block block;
    tern_fault fault;
    assert_int_equal(
        tern_block_decode(tern_view_of(node.proposed, node.proposed_size), &block, &fault),
        TERN_OK);
    assert_int_equal(block.header.txs_count, 3);
    node_tick(&node, tern_wall_ms(node.clock.wall) + 10); /* the same turn */
    assert_int_equal(height_of(&node), 1);
    propose(&node, 1); /* not ours */
    assert_int_equal(height_of(&node), 1);
    propose(&node, 0);
    assert_int_equal(height_of(&node), 2);
    /* The deadline leads to our next turn. */
    tern_time deadline = tern_chain_deadline(node.chain, &node.clock);
    tern_time_ms wait = (deadline - node.clock.now) / TERN_MILLISECOND;
    assert_int_equal((tern_wall_ms(node.clock.wall) + wait) / WORLD_PERIOD_MS,
                     world_turn(tern_wall_ms(node.clock.wall), 0) / WORLD_PERIOD_MS);
    check_audit(&node);
    node_fini(&node);
}

static void nothing_is_acknowledged_before_it_is_stored(void **unused)
{
    (void)unused;
    struct node author;
    struct node node;
    node_init(&author, &world, 0, 1);
    node_init(&node, &world, SIZE_MAX, 2);
    assert_int_equal(node_start(&author), TERN_OK);
    assert_int_equal(node_start(&node), TERN_OK);
    author.hold_stores = true;
    propose(&author, 0);
    assert_null(node_last(&author, TERN_CHAIN_OUT_PROPOSED, 0));
    assert_null(node_last(&author, TERN_CHAIN_OUT_HEAD, 0));
    assert_int_equal(height_of(&author), 0);
    node_run_stores(&author);
    assert_int_equal(height_of(&author), 1);
    node.hold_stores = true;
    node_tick(&node, tern_wall_ms(author.clock.wall));
    node_block(&node, author.proposed, author.proposed_size, 7);
    assert_null(node_last(&node, TERN_CHAIN_OUT_BLOCK, 7));
    assert_int_equal(height_of(&node), 0);
    node_run_stores(&node);
    check_answer(&node, TERN_CHAIN_OUT_BLOCK, 7, TERN_OK, TERN_FAULT_NONE);
    assert_int_equal(height_of(&node), 1);
    node_fini(&author);
    node_fini(&node);
}

/* A line of blocks by authorities in turn, made by hand. */
static void make_line(struct world_block *blocks, size_t count, size_t first_account)
{
    struct tern_mem mem;
    struct tern_ledger ledger;
    tern_mem_init(&mem, 0);
    world_ledger(&world, &mem, &ledger);
    for (size_t i = 0; i < count; i++) {
        struct world_tx tx;
        tern_fault fault;
        tx = world_transfer(&world, first_account, 7, i, 10 + i);
        blocks[i] =
            world_block_make(&world, &ledger, (i + first_account) % WORLD_AUTHORITIES, &tx, 1);
        assert_int_equal(world_block_push(&ledger, &blocks[i], &fault), TERN_OK);
    }
    tern_ledger_fini(&ledger);
}

static void free_blocks(struct world_block *blocks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        world_block_free(&blocks[i]);
}

static void blocks_in_any_order_come_together(void **unused)
{
    (void)unused;
    enum { COUNT = 6 };
    struct world_block blocks[COUNT];
    make_line(blocks, COUNT, 0);
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct node node;
        struct tern_random random;
        tern_random_init_u64(&random, seed);
        node_init(&node, &world, SIZE_MAX, seed);
        node.hold_jobs = seed % 2 == 0;
        assert_int_equal(node_start(&node), TERN_OK);
        node_tick(&node, blocks[COUNT - 1].header.time_ms);
        bool given[COUNT] = {false};
        for (size_t left = COUNT; left > 0;) {
            size_t i = tern_random_below(&random, COUNT);
            if (given[i])
                continue;
            given[i] = true;
            left--;
            node_block(&node, blocks[i].bytes, blocks[i].size, 1 + i);
        }
        while (node.jobs_count > 0)
            node_run_jobs(&node);
        assert_int_equal(height_of(&node), COUNT);
        for (size_t i = 0; i < COUNT; i++)
            assert_non_null(node_last(&node, TERN_CHAIN_OUT_BLOCK, 1 + i));
        node_block(&node, blocks[2].bytes, blocks[2].size, 99);
        check_answer(&node, TERN_CHAIN_OUT_BLOCK, 99, TERN_ERR_EXISTS, TERN_FAULT_NONE);
        check_audit(&node);
        node_fini(&node);
    }
    free_blocks(blocks, COUNT);
}

static void blocks_gather_while_the_store_is_slow(void **unused)
{
    (void)unused;
    enum { COUNT = 12 };
    struct world_block blocks[COUNT];
    make_line(blocks, COUNT, 0);
    struct node node;
    node_init(&node, &world, SIZE_MAX, 1);
    assert_int_equal(node_start(&node), TERN_OK);
    node_tick(&node, blocks[COUNT - 1].header.time_ms);
    uint64_t before = node.store.writes;
    node.hold_stores = true;
    for (size_t i = 0; i < COUNT; i++)
        node_block(&node, blocks[i].bytes, blocks[i].size, 1 + i);
    assert_int_equal(node.requests_count, 2);
    assert_int_equal(height_of(&node), 0);
    node_run_stores(&node);
    assert_int_equal(height_of(&node), COUNT);
    assert_int_equal(node.store.writes - before, 3); /* one, one, and the other ten together */
    for (size_t i = 0; i < COUNT; i++)
        check_answer(&node, TERN_CHAIN_OUT_BLOCK, 1 + i, TERN_OK, TERN_FAULT_NONE);
    node_stop(&node);
    node.hold_stores = false;
    assert_int_equal(node_start(&node), TERN_OK);
    assert_int_equal(height_of(&node), COUNT);
    node_fini(&node);
    free_blocks(blocks, COUNT);
}

static void a_chain_comes_back_from_its_store(void **unused)
{
    (void)unused;
    enum { COUNT = 40 }; /* more than the tree's depth of 16 */
    struct world_block blocks[COUNT];
    make_line(blocks, COUNT, 0);
    for (size_t stop = 0; stop <= COUNT; stop += 5) {
        struct node node;
        node_init(&node, &world, SIZE_MAX, 1);
        assert_int_equal(node_start(&node), TERN_OK);
        node_tick(&node, blocks[COUNT - 1].header.time_ms);
        for (size_t i = 0; i < stop; i++)
            node_block(&node, blocks[i].bytes, blocks[i].size, 1 + i);
        struct tern_hash before;
        struct tern_hash after;
        const struct tern_ledger *ledger = tern_chain_ledger(node.chain);
        const uint64_t root_height = ledger->tree.root->header.height;
        before = ledger->tree.head->header.state_root;
        node_stop(&node);
        node_forget(&node);
        assert_int_equal(node_start(&node), TERN_OK);
        assert_true(tern_chain_ready(node.chain));
        ledger = tern_chain_ledger(node.chain);
        after = ledger->tree.head->header.state_root;
        assert_memory_equal(before.bytes, after.bytes, 32);
        assert_int_equal(height_of(&node), stop);
        assert_int_equal(ledger->tree.root->header.height, root_height);
        for (size_t i = stop; i < COUNT; i++)
            node_block(&node, blocks[i].bytes, blocks[i].size, 1 + i);
        assert_int_equal(height_of(&node), COUNT);
        struct tern_hash at;
        for (size_t i = 0; i < COUNT; i++) {
            assert_true(tern_ledger_hash_at(tern_chain_ledger(node.chain), i + 1, &at));
            assert_memory_equal(at.bytes, blocks[i].hash.bytes, 32);
        }
        node_fini(&node);
    }
    free_blocks(blocks, COUNT);
}

static void a_reorganisation_reaches_back_over_a_restart(void **unused)
{
    (void)unused;
    struct world_block a[3];
    struct world_block b[5];
    make_line(a, 3, 0);
    make_line(b, 5, 1);
    struct node node;
    node_init(&node, &world, SIZE_MAX, 1);
    assert_int_equal(node_start(&node), TERN_OK);
    node_tick(&node, a[2].header.time_ms);
    for (size_t i = 0; i < 3; i++)
        node_block(&node, a[i].bytes, a[i].size, 1 + i);
    assert_int_equal(height_of(&node), 3);
    node_stop(&node);
    assert_int_equal(node_start(&node), TERN_OK);
    for (size_t i = 0; i < 5; i++)
        node_block(&node, b[i].bytes, b[i].size, 11 + i);
    assert_int_equal(height_of(&node), 5);
    assert_int_equal(node.undone_count, 3);
    /* The transactions of the chain that lost wait for the next block. */
    assert_int_equal(tern_pool_count(tern_chain_pool(node.chain)), 3);
    check_audit(&node);
    node_stop(&node);
    assert_int_equal(node_start(&node), TERN_OK);
    assert_int_equal(height_of(&node), 5);
    assert_memory_equal(tern_ledger_head(tern_chain_ledger(node.chain))->hash.bytes,
                        b[4].hash.bytes, 32);
    node_fini(&node);
    free_blocks(a, 3);
    free_blocks(b, 5);
}

static void every_damaged_row_is_found_at_start(void **unused)
{
    (void)unused;
    enum { COUNT = 5 };
    struct world_block blocks[COUNT];
    make_line(blocks, COUNT, 0);
    struct node node;
    node_init(&node, &world, SIZE_MAX, 1);
    assert_int_equal(node_start(&node), TERN_OK);
    node_tick(&node, blocks[COUNT - 1].header.time_ms);
    for (size_t i = 0; i < COUNT; i++)
        node_block(&node, blocks[i].bytes, blocks[i].size, 1 + i);
    node_stop(&node);
    for (size_t row = 0; row < node.store.count; row++) {
        struct node_row *r = &node.store.rows[row];
        for (size_t at = r->key_size; at < r->size; at += 1 + (r->size - r->key_size) / 7) {
            r->bytes[at] ^= 1;
            node_forget(&node);
            assert_int_equal(node_start(&node), TERN_OK);
            const struct tern_chain_out *failed = node_last(&node, TERN_CHAIN_OUT_FAILED, 0);
            if (failed == NULL)
                fail_msg("row %u of space %u, byte %u: nobody noticed", (unsigned)row, r->bytes[0],
                         (unsigned)(at - r->key_size));
            node_stop(&node);
            r->bytes[at] ^= 1;
        }
    }
    node_forget(&node);
    assert_int_equal(node_start(&node), TERN_OK);
    assert_null(node_last(&node, TERN_CHAIN_OUT_FAILED, 0));
    node_fini(&node);
    free_blocks(blocks, COUNT);
}

static void a_store_that_fails_stops_the_chain(void **unused)
{
    (void)unused;
    struct node node;
    node_init(&node, &world, 0, 1);
    node.store.fail_write = 3;
    assert_int_equal(node_start(&node), TERN_OK);
    propose(&node, 0);
    assert_int_equal(height_of(&node), 1);
    propose(&node, 0);
    const struct tern_chain_out *failed = node_last(&node, TERN_CHAIN_OUT_FAILED, 0);
    assert_non_null(failed);
    assert_int_equal(failed->err, TERN_ERR_STORAGE);
    assert_false(tern_chain_ready(node.chain));
    assert_int_equal(height_of(&node), 1);
    node_stop(&node);
    node.store.fail_write = 0;
    node_forget(&node);
    assert_int_equal(node_start(&node), TERN_OK); /* as of the last whole write */
    assert_int_equal(height_of(&node), 1);
    node_fini(&node);
    node_init(&node, &world, 0, 1);
    node.store.fail_write = 1;
    assert_int_equal(node_start(&node), TERN_OK);
    assert_non_null(node_last(&node, TERN_CHAIN_OUT_FAILED, 0));
    node_fini(&node);
}

static void another_chains_store_is_refused(void **unused)
{
    (void)unused;
    struct world other;
    world_init(&other);
    other.genesis.name = tern_view_str("other-grid");
    tern_genesis_hash(&other.genesis, &other.genesis_hash);
    struct node node;
    node_init(&node, &world, SIZE_MAX, 1);
    assert_int_equal(node_start(&node), TERN_OK);
    node_stop(&node);
    node.world = &other;
    node_forget(&node);
    assert_int_equal(node_start(&node), TERN_OK);
    const struct tern_chain_out *failed = node_last(&node, TERN_CHAIN_OUT_FAILED, 0);
    assert_non_null(failed);
    assert_int_equal(failed->err, TERN_ERR_INVALID);
    node_fini(&node);
}

static void transactions_are_refused_at_the_door_by_name(void **unused)
{
    (void)unused;
    struct node node;
    struct world_tx tx;
    node_init(&node, &world, 0, 1);
    assert_int_equal(node_start(&node), TERN_OK);
    tx = world_transfer(&world, 0, 1, 0, 500);
    tx.bytes[tx.size - 1] ^= 1;
    node_tx(&node, &tx, 1);
    check_answer(&node, TERN_CHAIN_OUT_TX, 1, TERN_ERR_PROTOCOL, TERN_FAULT_CHAIN_TX_SIGNATURE);
    tx.size--;
    node_tx(&node, &tx, 2);
    check_answer(&node, TERN_CHAIN_OUT_TX, 2, TERN_ERR_PROTOCOL, TERN_FAULT_CHAIN_TX_MALFORMED);
    tx = world_transfer(&world, 0, 1, 0, 500);
    node_tx(&node, &tx, 3);
    check_answer(&node, TERN_CHAIN_OUT_TX, 3, TERN_OK, TERN_FAULT_NONE);
    node_tx(&node, &tx, 4);
    check_answer(&node, TERN_CHAIN_OUT_TX, 4, TERN_ERR_EXISTS, TERN_FAULT_CHAIN_POOL_KNOWN);
    propose(&node, 0);
    node_tx(&node, &tx, 5); /* a replay of what is in the chain */
    check_answer(&node, TERN_CHAIN_OUT_TX, 5, TERN_ERR_PROTOCOL, TERN_FAULT_CHAIN_TX_NONCE_OLD);
    /* What could be next is tried out: here the hour, there the order to cancel. */
    tx = world_reading(&world, 0, 0, WORLD_HOUR + 1, 5);
    node_tx(&node, &tx, 8);
    check_answer(&node, TERN_CHAIN_OUT_TX, 8, TERN_ERR_PROTOCOL, TERN_FAULT_CHAIN_TX_HOUR);
    tx = world_cancel(&world, 0, 1, &tx.id);
    node_tx(&node, &tx, 9);
    check_answer(&node, TERN_CHAIN_OUT_TX, 9, TERN_ERR_PROTOCOL, TERN_FAULT_CHAIN_TX_ORDER_UNKNOWN);
    /* An ask may come together with its reading. */
    struct world_tx reading = world_reading(&world, 0, 0, WORLD_HOUR, 500);
    struct world_tx ask =
        world_order(&world, TERN_TX_ASK, 0, 1, &(struct tern_tx_order){WORLD_HOUR, 500, 90, 0});
    node_tx(&node, &reading, 10);
    node_tx(&node, &ask, 11);
    check_answer(&node, TERN_CHAIN_OUT_TX, 10, TERN_OK, TERN_FAULT_NONE);
    check_answer(&node, TERN_CHAIN_OUT_TX, 11, TERN_OK, TERN_FAULT_NONE);
    propose(&node, 0);
    assert_int_equal(tern_pool_count(tern_chain_pool(node.chain)), 0);
    node.hold_jobs = true;
    tx = world_transfer(&world, 0, 1, 2, 500);
    node_tx(&node, &tx, 6);
    node_tx(&node, &tx, 7); /* while the first is being checked */
    check_answer(&node, TERN_CHAIN_OUT_TX, 7, TERN_ERR_EXISTS, TERN_FAULT_CHAIN_POOL_KNOWN);
    node_run_jobs(&node);
    check_answer(&node, TERN_CHAIN_OUT_TX, 6, TERN_OK, TERN_FAULT_NONE);
    node_fini(&node);
}

static void blocks_are_refused_at_the_door_by_name(void **unused)
{
    (void)unused;
    struct world_block line[3];
    make_line(line, 3, 0);
    struct node node;
    node_init(&node, &world, SIZE_MAX, 1);
    assert_int_equal(node_start(&node), TERN_OK);
    node_tick(&node, line[2].header.time_ms);
    node_block(&node, line[0].bytes, line[0].size - 1, 1);
    check_answer(&node, TERN_CHAIN_OUT_BLOCK, 1, TERN_ERR_PROTOCOL,
                 TERN_FAULT_CHAIN_BLOCK_MALFORMED);
    static uint8_t large[TERN_BLOCK_SIZE_MAX + 1];
    node_block(&node, large, sizeof large, 2);
    check_answer(&node, TERN_CHAIN_OUT_BLOCK, 2, TERN_ERR_PROTOCOL,
                 TERN_FAULT_CHAIN_BLOCK_TOO_LARGE);
    /* A seal that is wrong is not held against the block: the same with its right seal is taken. */
    line[0].bytes[TERN_HEADER_CORE_SIZE + 1] ^= 1;
    node_block(&node, line[0].bytes, line[0].size, 3);
    check_answer(&node, TERN_CHAIN_OUT_BLOCK, 3, TERN_ERR_PROTOCOL, TERN_FAULT_CHAIN_BLOCK_SEAL);
    line[0].bytes[TERN_HEADER_CORE_SIZE + 1] ^= 1;
    node_block(&node, line[0].bytes, line[0].size, 4);
    check_answer(&node, TERN_CHAIN_OUT_BLOCK, 4, TERN_OK, TERN_FAULT_NONE);
    /* Neither is a body that is not the header's. */
    line[1].bytes[line[1].size - 1] ^= 1;
    node_block(&node, line[1].bytes, line[1].size, 5);
    check_answer(&node, TERN_CHAIN_OUT_BLOCK, 5, TERN_ERR_PROTOCOL, TERN_FAULT_CHAIN_BLOCK_TX_ROOT);
    /* A wrong signature that the header commits to is. */
    struct tern_header header = line[1].header;
    struct tern_hash id;
    size_t tx_size = tern_tx_size(TERN_TX_TRANSFER);
    tern_tx_id(tern_view_of(line[1].bytes + line[1].size - tx_size, tx_size), &id);
    tern_merkle_root_of(&id, 1, &header.tx_root);
    struct world_block bad = {.bytes = line[1].bytes, .size = line[1].size};
    line[1].bytes = NULL;
    world_block_reseal(&world, &header, 1, &bad);
    node_block(&node, bad.bytes, bad.size, 6);
    check_answer(&node, TERN_CHAIN_OUT_BLOCK, 6, TERN_ERR_PROTOCOL,
                 TERN_FAULT_CHAIN_BLOCK_TX_INVALID);
    node_block(&node, bad.bytes, bad.size, 7);
    check_answer(&node, TERN_CHAIN_OUT_BLOCK, 7, TERN_ERR_PROTOCOL, TERN_FAULT_CHAIN_BLOCK_INVALID);
    /* What stands on it is as bad. */
    header = line[2].header;
    header.parent = bad.hash;
    world_block_reseal(&world, &header, 2, &line[2]);
    node_block(&node, line[2].bytes, line[2].size, 8);
    check_answer(&node, TERN_CHAIN_OUT_BLOCK, 8, TERN_ERR_PROTOCOL, TERN_FAULT_CHAIN_BLOCK_PARENT);
    header.chain.bytes[0] ^= 1;
    header.parent.bytes[0] ^= 1;
    world_block_reseal(&world, &header, 2, &line[2]);
    node_block(&node, line[2].bytes, line[2].size, 9);
    check_answer(&node, TERN_CHAIN_OUT_BLOCK, 9, TERN_ERR_PROTOCOL, TERN_FAULT_CHAIN_BLOCK_CHAIN);
    assert_int_equal(height_of(&node), 1);
    world_block_free(&bad);
    free_blocks(line, 3);
    node_fini(&node);
}

static void a_block_of_the_future_is_refused_and_taken_in_its_time(void **unused)
{
    (void)unused;
    struct world_block line[1];
    make_line(line, 1, 0);
    struct node node;
    node_init(&node, &world, SIZE_MAX, 1);
    assert_int_equal(node_start(&node), TERN_OK);
    node_block(&node, line[0].bytes, line[0].size, 1);
    check_answer(&node, TERN_CHAIN_OUT_BLOCK, 1, TERN_ERR_PROTOCOL, TERN_FAULT_CHAIN_BLOCK_FUTURE);
    node_tick(&node, line[0].header.time_ms - world.genesis.drift_ms);
    node_block(&node, line[0].bytes, line[0].size, 2);
    check_answer(&node, TERN_CHAIN_OUT_BLOCK, 2, TERN_OK, TERN_FAULT_NONE);
    free_blocks(line, 1);
    node_fini(&node);
}

static void orphans_are_bounded_for_each_source(void **unused)
{
    (void)unused;
    enum { COUNT = 12 };
    struct world_block line[COUNT];
    make_line(line, COUNT, 0);
    struct node node;
    node_init(&node, &world, SIZE_MAX, 1);
    assert_int_equal(node_start(&node), TERN_OK);
    node_tick(&node, line[COUNT - 1].header.time_ms);
    for (size_t i = 2; i < COUNT; i++) /* always the same source */
        node_block(&node, line[i].bytes, line[i].size, 5);
    check_answer(&node, TERN_CHAIN_OUT_BLOCK, 5, TERN_ERR_PROTOCOL,
                 TERN_FAULT_CHAIN_BLOCK_ORPHANS_FULL);
    assert_int_equal(tern_map_count(&tern_chain_ledger(node.chain)->tree.orphans), 8);
    free_blocks(line, COUNT);
    node_fini(&node);
}

static void two_blocks_of_one_turn_are_told_and_a_third_is_refused(void **unused)
{
    (void)unused;
    struct world_block twins[3];
    for (size_t i = 0; i < 3; i++)
        make_line(&twins[i], 1, 4 * i % WORLD_ACCOUNTS);
    /* Accounts 0, 4, 0: the third differs by its time within the turn. */
    struct tern_header header = twins[2].header;
    header.time_ms += 7;
    world_block_reseal(&world, &header, 0, &twins[2]);
    struct node node;
    node_init(&node, &world, SIZE_MAX, 1);
    assert_int_equal(node_start(&node), TERN_OK);
    node_tick(&node, header.time_ms);
    node_block(&node, twins[0].bytes, twins[0].size, 1);
    assert_null(node_last(&node, TERN_CHAIN_OUT_EQUIVOCATION, 0));
    node_block(&node, twins[1].bytes, twins[1].size, 2);
    assert_non_null(node_last(&node, TERN_CHAIN_OUT_EQUIVOCATION, 0));
    /* One of the two is the head, the other beside it: not for passing on. */
    assert_false(node_last(&node, TERN_CHAIN_OUT_BLOCK, 1)->side);
    bool won = tern_hash_compare(&twins[1].hash, &twins[0].hash) < 0;
    assert_int_equal(node_last(&node, TERN_CHAIN_OUT_BLOCK, 2)->side, !won);
    node_block(&node, twins[2].bytes, twins[2].size, 3);
    check_answer(&node, TERN_CHAIN_OUT_BLOCK, 3, TERN_ERR_PROTOCOL,
                 TERN_FAULT_CHAIN_BLOCK_EQUIVOCATION);
    free_blocks(twins, 3);
    node_fini(&node);
}

static void a_block_from_below_the_root_is_old(void **unused)
{
    (void)unused;
    enum { COUNT = 30 };
    struct world_block line[COUNT];
    struct world_block other[2];
    make_line(line, COUNT, 0);
    make_line(other, 2, 1);
    struct node node;
    node_init(&node, &world, SIZE_MAX, 1);
    assert_int_equal(node_start(&node), TERN_OK);
    node_tick(&node, line[COUNT - 1].header.time_ms);
    for (size_t i = 0; i < COUNT; i++)
        node_block(&node, line[i].bytes, line[i].size, 1 + i);
    node_block(&node, other[0].bytes, other[0].size, 99);
    check_answer(&node, TERN_CHAIN_OUT_BLOCK, 99, TERN_ERR_PROTOCOL, TERN_FAULT_CHAIN_BLOCK_OLD);
    node_block(&node, line[3].bytes, line[3].size, 98);
    check_answer(&node, TERN_CHAIN_OUT_BLOCK, 98, TERN_ERR_EXISTS, TERN_FAULT_NONE);
    free_blocks(line, COUNT);
    free_blocks(other, 2);
    node_fini(&node);
}

static void side_blocks_are_bounded_and_the_lightest_goes_first(void **unused)
{
    (void)unused;
    struct tern_mem mem;
    struct tern_ledger ledger;
    struct world_block line[4];
    struct world_block sides[3];
    make_line(line, 4, 0);
    for (size_t i = 0; i < 3; i++)
        make_line(&sides[i], 1, i + 1);
    tern_mem_init(&mem, 0);
    world_ledger(&world, &mem, &ledger);
    ledger.tree.limits.side_max = 2;
    tern_fault fault;
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(world_block_push(&ledger, &sides[i], &fault), TERN_OK);
    assert_int_equal(world_block_push(&ledger, &sides[2], &fault), TERN_OK);
    /* Two of equal weight are beside it: a third one does not displace them. */
    assert_int_equal(ledger.tree.side_count, 2);
    assert_int_equal(world_block_push(&ledger, &line[0], &fault), TERN_ERR_PROTOCOL);
    assert_int_equal(fault, TERN_FAULT_CHAIN_BLOCK_SIDE_FULL);
    ledger.tree.limits.side_max = 3;
    assert_int_equal(world_block_push(&ledger, &line[0], &fault), TERN_OK);
    /* A heavier one does. */
    assert_int_equal(ledger.tree.side_count, 3);
    assert_int_equal(world_block_push(&ledger, &line[1], &fault), TERN_OK);
    assert_memory_equal(tern_ledger_head(&ledger)->hash.bytes, line[1].hash.bytes, 32);
    tern_ledger_fini(&ledger);
    assert_int_equal(mem.used, 0);
    free_blocks(line, 4);
    free_blocks(sides, 3);
}

/* Restarts, a transaction, a proposal, two chains: with allocation n failing, then with memory
 * again. */
static void scenario(struct node *node, const struct world_block *a, const struct world_block *b,
                     uint64_t fail_at)
{
    struct world_tx tx;
    tern_mem_fail_at(&node->mem, fail_at, false);
    if (node_start(node) != TERN_OK) {
        tern_mem_fail_at(&node->mem, 0, false);
        assert_int_equal(node_start(node), TERN_OK);
    }
    tx = world_transfer(&world, 5, 6, 0, 500);
    node_tx(node, &tx, 1);
    propose(node, 3);
    node_tick(node, b[4].header.time_ms);
    for (size_t i = 0; i < 2; i++)
        node_block(node, a[i].bytes, a[i].size, 11 + i);
    for (size_t i = 0; i < 5; i++)
        node_block(node, b[i].bytes, b[i].size, 21 + i);
}

static void each_failed_allocation_costs_no_more_than_what_asked_for_it(void **unused)
{
    (void)unused;
    struct world_block a[3];
    struct world_block b[5];
    make_line(a, 3, 0);
    make_line(b, 5, 1);
    uint64_t allocations = 0;
    for (uint64_t n = 0; n <= allocations; n++) {
        struct node node;
        node_init(&node, &world, 3, 1);
        scenario(&node, a, b, n);
        if (n == 0)
            allocations = node.mem.allocs;
        tern_mem_fail_at(&node.mem, 0, false);
        if (node_last(&node, TERN_CHAIN_OUT_FAILED, 0) != NULL) { /* while loading: start again */
            node_stop(&node);
            node_forget(&node);
            assert_int_equal(node_start(&node), TERN_OK);
        }
        /* Whatever was missed is offered again, and all is as if nothing had been. */
        node_tick(&node, b[4].header.time_ms + 1);
        for (size_t i = 0; i < 5; i++)
            node_block(&node, b[i].bytes, b[i].size, 31 + i);
        node_tick(&node, b[4].header.time_ms + 2);
        struct tern_chain_head head;
        tern_chain_stored_head(node.chain, &head);
        assert_memory_equal(head.hash.bytes, b[4].hash.bytes, 32);
        check_audit(&node);
        node_stop(&node);
        node_forget(&node);
        assert_int_equal(node_start(&node), TERN_OK);
        assert_int_equal(height_of(&node), 5);
        node_fini(&node);
    }
    assert_true(allocations > 50);
    free_blocks(a, 3);
    free_blocks(b, 5);
}

static void nodes_that_hear_each_other_late_agree_in_the_end(void **unused)
{
    (void)unused;
    enum { NODES = WORLD_AUTHORITIES, TURNS = 60 };
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct tern_random random;
        struct node nodes[NODES];
        struct {
            uint8_t *bytes;
            size_t size;
            size_t to;
        } wires[NODES * TURNS * 2];
        size_t wires_count = 0;
        uint64_t nonces[WORLD_ACCOUNTS] = {0};
        tern_random_init_u64(&random, seed);
        for (size_t i = 0; i < NODES; i++) {
            node_init(&nodes[i], &world, i, seed * 10 + i);
            nodes[i].persistent = i != 0;
            assert_int_equal(node_start(&nodes[i]), TERN_OK);
        }
        for (uint64_t turn = 1; turn <= TURNS; turn++) {
            tern_time_ms now = WORLD_TIME_MS + turn * WORLD_PERIOD_MS + 5;
            size_t from = tern_random_below(&random, WORLD_ACCOUNTS);
            struct world_tx tx;
            tx = world_transfer(&world, from, (from + 1) % WORLD_ACCOUNTS, nonces[from]++, 5);
            for (size_t i = 0; i < NODES; i++)
                node_tx(&nodes[i], &tx, turn);
            for (size_t i = 0; i < NODES; i++) {
                free(nodes[i].proposed);
                nodes[i].proposed = NULL;
                node_tick(&nodes[i], now);
                for (size_t to = 0; nodes[i].proposed != NULL && to < NODES; to++) {
                    wires[wires_count].bytes = malloc(nodes[i].proposed_size);
                    memcpy(wires[wires_count].bytes, nodes[i].proposed, nodes[i].proposed_size);
                    wires[wires_count].size = nodes[i].proposed_size;
                    wires[wires_count++].to = to;
                }
            }
            /* Some of what is under way arrives, in any order; in the end, all of it. */
            while (wires_count > 0 && (turn == TURNS || tern_random_chance(&random, 8, 9))) {
                size_t w = tern_random_below(&random, wires_count);
                node_block(&nodes[wires[w].to], wires[w].bytes, wires[w].size, 1 + w);
                free(wires[w].bytes);
                wires[w] = wires[--wires_count];
            }
            for (size_t i = 0; i < NODES; i++)
                node_forget(&nodes[i]);
        }
        for (size_t i = 0; i < NODES; i++) {
            assert_memory_equal(tern_ledger_head(tern_chain_ledger(nodes[i].chain))->hash.bytes,
                                tern_ledger_head(tern_chain_ledger(nodes[0].chain))->hash.bytes,
                                32);
            assert_true(height_of(&nodes[i]) > TURNS / 3);
            check_audit(&nodes[i]);
        }
        for (size_t i = 0; i < NODES; i++)
            node_fini(&nodes[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_chain_stores_its_genesis_and_is_ready),
        cmocka_unit_test(an_authority_proposes_what_is_in_the_pool_once_a_turn),
        cmocka_unit_test(nothing_is_acknowledged_before_it_is_stored),
        cmocka_unit_test(blocks_in_any_order_come_together),
        cmocka_unit_test(blocks_gather_while_the_store_is_slow),
        cmocka_unit_test(a_chain_comes_back_from_its_store),
        cmocka_unit_test(a_reorganisation_reaches_back_over_a_restart),
        cmocka_unit_test(every_damaged_row_is_found_at_start),
        cmocka_unit_test(a_store_that_fails_stops_the_chain),
        cmocka_unit_test(another_chains_store_is_refused),
        cmocka_unit_test(transactions_are_refused_at_the_door_by_name),
        cmocka_unit_test(blocks_are_refused_at_the_door_by_name),
        cmocka_unit_test(a_block_of_the_future_is_refused_and_taken_in_its_time),
        cmocka_unit_test(orphans_are_bounded_for_each_source),
        cmocka_unit_test(two_blocks_of_one_turn_are_told_and_a_third_is_refused),
        cmocka_unit_test(a_block_from_below_the_root_is_old),
        cmocka_unit_test(side_blocks_are_bounded_and_the_lightest_goes_first),
        cmocka_unit_test(each_failed_allocation_costs_no_more_than_what_asked_for_it),
        cmocka_unit_test(nodes_that_hear_each_other_late_agree_in_the_end),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
