/* Forks: random trees of blocks, delivered in different orders, end in one head and one state. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "chain/audit.h"
#include "chain/merkle.h"
#include "chain/test_world.h"

static struct world world;

static int setup(void **unused)
{
    (void)unused;
    world_init(&world);
    return 0;
}

static void check_audit(const struct tern_ledger *ledger)
{
    struct tern_audit audit;
    tern_audit_state(&ledger->state, tern_genesis_supply(&world.genesis), &audit);
    if (audit.finding != NULL)
        fail_msg("%s", audit.finding);
}

/* A ledger that stands at a given block: replayed from the genesis along that block's chain alone.
 */
static void replay(const struct world_block *blocks, size_t count, const struct tern_hash *tip,
                   struct tern_mem *mem, struct tern_ledger *ledger)
{
    size_t chain[64];
    size_t length = 0;
    struct tern_hash at = *tip;
    while (!tern_hash_equal(&at, &world.genesis_hash)) {
        size_t i = 0;
        while (i < count && !tern_hash_equal(&blocks[i].hash, &at))
            i++;
        assert_true(i < count && length < 64);
        chain[length++] = i;
        at = blocks[i].header.parent;
    }
    world_ledger(&world, mem, ledger);
    while (length > 0) {
        tern_fault fault;
        assert_int_equal(world_block_push(ledger, &blocks[chain[--length]], &fault), TERN_OK);
    }
}

static void draw_transfers(struct tern_random *random, const struct tern_state *state,
                           struct world_tx *txs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t from = tern_random_below(random, WORLD_ACCOUNTS);
        struct tern_row_account row;
        tern_row_get_account(state, &world.accounts[from], &row);
        if (tern_random_chance(random, 1, 3)) {
            struct tern_tx_order order = {.hour = WORLD_HOUR,
                                          .energy_wh = 1 + tern_random_below(random, 100),
                                          .price = 1 + tern_random_below(random, 100)};
            txs[i] = world_order(&world, TERN_TX_BID, from, row.nonce, &order);
        } else if (tern_random_chance(random, 1, 2)) {
            struct tern_row_device device;
            size_t d = tern_random_below(random, WORLD_DEVICES);
            tern_row_get_device(state, &world.devices[d], &device);
            txs[i] = world_reading(&world, d, device.nonce, WORLD_HOUR,
                                   1 + tern_random_below(random, 500));
        } else {
            txs[i] = world_transfer(&world, from, (from + 1) % WORLD_ACCOUNTS, row.nonce,
                                    1 + tern_random_below(random, 1000));
        }
    }
}

/* Grows a random tree: each block stands on a random earlier one. */
static void grow(struct tern_random *random, struct world_block *blocks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct tern_mem mem;
        struct tern_ledger ledger;
        tern_mem_init(&mem, 0);
        uint64_t back = tern_random_below(random, 4);
        const struct tern_hash *tip = i <= back ? &world.genesis_hash : &blocks[i - 1 - back].hash;
        replay(blocks, i, tip, &mem, &ledger);
        struct world_tx txs[6];
        size_t txs_count = tern_random_below(random, TERN_COUNT_OF(txs));
        draw_transfers(random, &ledger.state, txs, txs_count);
        blocks[i] = world_block_make(&world, &ledger, tern_random_below(random, WORLD_AUTHORITIES),
                                     txs, txs_count);
        tern_ledger_fini(&ledger);
        assert_int_equal(mem.used, 0);
    }
}

/* Delivers all blocks, parents before children but else in random order. */
static void deliver(struct tern_random *random, const struct world_block *blocks, size_t count,
                    struct tern_ledger *ledger)
{
    bool done[64] = {false};
    for (size_t left = count; left > 0;) {
        size_t i = tern_random_below(random, count);
        if (done[i] || tern_tree_find(&ledger->tree, &blocks[i].header.parent) == NULL)
            continue;
        tern_fault fault;
        tern_err err = world_block_push(ledger, &blocks[i], &fault);
        assert_true(err == TERN_OK || err == TERN_ERR_EXISTS);
        done[i] = true;
        left--;
        check_audit(ledger);
    }
}

static void any_order_of_arrival_ends_in_the_same_head_and_state(void **unused)
{
    (void)unused;
    enum { BLOCKS = 24, NODES = 4 };
    unsigned reorganised = 0;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct world_block blocks[BLOCKS];
        struct tern_random random;
        tern_random_init_u64(&random, seed);
        grow(&random, blocks, BLOCKS);
        struct tern_hash head;
        struct tern_hash root;
        for (size_t n = 0; n < NODES; n++) {
            struct tern_mem mem;
            struct tern_ledger ledger;
            struct tern_hash own;
            tern_mem_init(&mem, 0);
            world_ledger(&world, &mem, &ledger);
            deliver(&random, blocks, BLOCKS, &ledger);
            tern_state_root(&ledger.state, &own);
            if (n == 0) {
                head = tern_ledger_head(&ledger)->hash;
                root = own;
            }
            assert_memory_equal(head.bytes, tern_ledger_head(&ledger)->hash.bytes, 32);
            assert_memory_equal(root.bytes, own.bytes, 32);
            reorganised += ledger.tree.side_count;
            /* And that state is the one of a replay from the genesis along the best chain alone. */
            struct tern_ledger again;
            struct tern_mem again_mem;
            tern_mem_init(&again_mem, 0);
            replay(blocks, BLOCKS, &head, &again_mem, &again);
            assert_int_equal(tern_state_rows_count(&again.state),
                             tern_state_rows_count(&ledger.state));
            struct tern_hash replayed;
            tern_state_root(&again.state, &replayed);
            assert_memory_equal(root.bytes, replayed.bytes, 32);
            tern_ledger_fini(&again);
            tern_ledger_fini(&ledger);
            assert_int_equal(mem.used + again_mem.used, 0);
        }
        for (size_t i = 0; i < BLOCKS; i++)
            world_block_free(&blocks[i]);
    }
    assert_true(reorganised > 0);
}

/* Two chains from the genesis: a of 3 blocks by authority 0, b of 4 by authority 1. */
static void two_chains(struct world_block a[3], struct world_block b[4])
{
    for (unsigned which = 0; which < 2; which++) {
        struct tern_mem mem;
        struct tern_ledger ledger;
        tern_mem_init(&mem, 0);
        world_ledger(&world, &mem, &ledger);
        for (size_t i = 0; i < 3 + which; i++) {
            struct world_tx tx;
            struct world_block *block = which == 0 ? &a[i] : &b[i];
            tern_fault fault;
            tx = world_transfer(&world, which, 2, i, 100 + i);
            *block = world_block_make(&world, &ledger, which, &tx, 1);
            assert_int_equal(world_block_push(&ledger, block, &fault), TERN_OK);
        }
        tern_ledger_fini(&ledger);
    }
}

static void add_quietly(struct tern_ledger *ledger, const struct world_block *made)
{
    struct tern_block block;
    struct tern_tree_added added;
    tern_fault fault;
    assert_int_equal(tern_block_decode(tern_view_of(made->bytes, made->size), &block, &fault),
                     TERN_OK);
    assert_int_equal(
        tern_tree_add(&ledger->tree, &(struct tern_tree_offer){.block = &block}, &added, &fault),
        TERN_OK);
}

static void a_failed_allocation_leaves_the_old_chain_in_place(void **unused)
{
    (void)unused;
    struct world_block a[3];
    struct world_block b[4];
    two_chains(a, b);
    struct tern_mem mem;
    struct tern_ledger ledger;
    tern_fault fault;
    tern_mem_init(&mem, 0);
    world_ledger(&world, &mem, &ledger);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(world_block_push(&ledger, &a[i], &fault), TERN_OK);
    for (size_t i = 0; i < 4; i++)
        add_quietly(&ledger, &b[i]);
    struct tern_hash before;
    struct tern_hash after;
    tern_state_root(&ledger.state, &before);
    tern_err err = TERN_ERR_MEMORY;
    for (uint64_t n = 1; err != TERN_OK; n++) {
        struct tern_ledger_change change;
        tern_mem_fail_at(&mem, n, false);
        err = tern_ledger_prepare(&ledger, &change);
        tern_mem_fail_at(&mem, 0, false);
        if (err == TERN_OK) { /* and an abort is as good as a failure */
            assert_true(n > 10);
            assert_int_equal(change.undone_count, 3);
            assert_int_equal(change.applied_count, 4);
            tern_ledger_abort(&ledger, &change);
        }
        assert_memory_equal(tern_ledger_head(&ledger)->hash.bytes, a[2].hash.bytes, 32);
        tern_state_root(&ledger.state, &after);
        assert_memory_equal(before.bytes, after.bytes, 32);
        check_audit(&ledger);
    }
    struct tern_ledger_change change;
    assert_int_equal(tern_ledger_prepare(&ledger, &change), TERN_OK);
    tern_ledger_commit(&ledger, &change);
    assert_memory_equal(tern_ledger_head(&ledger)->hash.bytes, b[3].hash.bytes, 32);
    struct tern_hash at;
    for (size_t i = 0; i < 4; i++) {
        assert_true(tern_ledger_hash_at(&ledger, i + 1, &at));
        assert_memory_equal(at.bytes, b[i].hash.bytes, 32);
    }
    assert_false(tern_ledger_hash_at(&ledger, 5, &at));
    tern_ledger_fini(&ledger);
    assert_int_equal(mem.used, 0);
    for (size_t i = 0; i < 4; i++) {
        world_block_free(&b[i]);
        if (i < 3)
            world_block_free(&a[i]);
    }
}

static void an_invalid_longer_chain_is_dropped_and_remembered(void **unused)
{
    (void)unused;
    struct world_block a[3];
    struct world_block b[4];
    two_chains(a, b);
    struct tern_mem mem;
    struct tern_ledger ledger;
    tern_fault fault;
    tern_mem_init(&mem, 0);
    world_ledger(&world, &mem, &ledger);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(world_block_push(&ledger, &a[i], &fault), TERN_OK);
    /* The second block of b lies about the state; the rest stands on the lie. */
    struct tern_header header = b[1].header;
    header.state_root.bytes[0] ^= 1;
    world_block_reseal(&world, &header, 1, &b[1]);
    for (size_t i = 2; i < 4; i++) {
        header = b[i].header;
        header.parent = b[i - 1].hash;
        world_block_reseal(&world, &header, 1, &b[i]);
    }
    struct tern_hash before;
    struct tern_hash after;
    tern_state_root(&ledger.state, &before);
    for (size_t i = 0; i < 4; i++)
        add_quietly(&ledger, &b[i]);
    struct tern_ledger_change change;
    assert_int_equal(tern_ledger_prepare(&ledger, &change), TERN_OK);
    assert_int_equal(change.fault, TERN_FAULT_CHAIN_BLOCK_STATE_ROOT);
    assert_memory_equal(change.fault_hash.bytes, b[1].hash.bytes, 32);
    tern_ledger_commit(&ledger, &change);
    assert_memory_equal(tern_ledger_head(&ledger)->hash.bytes, a[2].hash.bytes, 32);
    tern_state_root(&ledger.state, &after);
    assert_memory_equal(before.bytes, after.bytes, 32);
    assert_int_equal(tern_tree_invalid(&ledger.tree, &b[0].hash), TERN_FAULT_NONE);
    assert_int_equal(tern_tree_invalid(&ledger.tree, &b[1].hash),
                     TERN_FAULT_CHAIN_BLOCK_STATE_ROOT);
    assert_int_equal(tern_tree_invalid(&ledger.tree, &b[3].hash), TERN_FAULT_CHAIN_BLOCK_PARENT);
    assert_null(tern_tree_find(&ledger.tree, &b[3].hash));
    tern_ledger_fini(&ledger);
    assert_int_equal(mem.used, 0);
    for (size_t i = 0; i < 4; i++) {
        world_block_free(&b[i]);
        if (i < 3)
            world_block_free(&a[i]);
    }
}

struct header_case {
    const char *name;
    void (*change)(struct tern_header *header);
    size_t sealed_by;
    tern_fault fault;
};

static void change_chain(struct tern_header *header)
{
    header->chain.bytes[5] ^= 1;
}

static void change_height(struct tern_header *header)
{
    header->height++;
}

static void change_time_back(struct tern_header *header)
{
    header->time_ms = WORLD_TIME_MS;
}

static void change_time_same_turn(struct tern_header *header)
{
    header->time_ms = WORLD_TIME_MS + 1;
}

static void change_time_far(struct tern_header *header)
{
    header->time_ms = UINT64_MAX;
}

static void change_time_other_turn(struct tern_header *header)
{
    header->time_ms += WORLD_PERIOD_MS;
}

static void change_proposer(struct tern_header *header)
{
    header->proposer = world.authorities[2];
}

static void change_nonce(struct tern_header *header)
{
    header->nonce = 1;
}

static void change_nothing(struct tern_header *header)
{
    (void)header;
}

static void change_tx_root(struct tern_header *header)
{
    header->tx_root.bytes[0] ^= 1;
}

static void change_state_root(struct tern_header *header)
{
    header->state_root.bytes[0] ^= 1;
}

static void change_diff_root(struct tern_header *header)
{
    header->diff_root.bytes[0] ^= 1;
}

static void blocks_are_refused_by_name(void **unused)
{
    (void)unused;
    static const struct header_case table[] = {
        {"as it was", change_nothing, 1, TERN_FAULT_NONE},
        {"another chain", change_chain, 1, TERN_FAULT_CHAIN_BLOCK_CHAIN},
        {"a height too high", change_height, 1, TERN_FAULT_CHAIN_BLOCK_HEIGHT},
        {"not after its parent", change_time_back, 1, TERN_FAULT_CHAIN_BLOCK_TIME},
        {"in its parent's turn", change_time_same_turn, 1, TERN_FAULT_CHAIN_BLOCK_TIME},
        {"after all time", change_time_far, 1, TERN_FAULT_CHAIN_BLOCK_TIME},
        {"in another's turn", change_time_other_turn, 1, TERN_FAULT_CHAIN_BLOCK_PROPOSER},
        {"by another", change_proposer, 2, TERN_FAULT_CHAIN_BLOCK_PROPOSER},
        {"with a nonce", change_nonce, 1, TERN_FAULT_CHAIN_BLOCK_SEAL},
        {"sealed by another", change_nothing, 2, TERN_FAULT_CHAIN_BLOCK_SEAL},
        {"other transactions", change_tx_root, 1, TERN_FAULT_CHAIN_BLOCK_TX_ROOT},
        {"another state", change_state_root, 1, TERN_FAULT_CHAIN_BLOCK_STATE_ROOT},
        {"other changes", change_diff_root, 1, TERN_FAULT_CHAIN_BLOCK_DIFF_ROOT},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(table); i++) {
        struct tern_mem mem;
        struct tern_ledger ledger;
        struct world_tx tx;
        struct world_block block;
        tern_fault fault;
        tern_mem_init(&mem, 0);
        world_ledger(&world, &mem, &ledger);
        tx = world_transfer(&world, 0, 1, 0, 500);
        block = world_block_make(&world, &ledger, 1, &tx, 1);
        struct tern_header header = block.header;
        table[i].change(&header);
        world_block_reseal(&world, &header, table[i].sealed_by, &block);
        tern_err err = world_block_push(&ledger, &block, &fault);
        if (fault != table[i].fault ||
            err != (fault == TERN_FAULT_NONE ? TERN_OK : TERN_ERR_PROTOCOL))
            fail_msg("%s: %s", table[i].name, tern_fault_name(fault));
        world_block_free(&block);
        tern_ledger_fini(&ledger);
        assert_int_equal(mem.used, 0);
    }
}

static void a_block_of_the_future_is_refused(void **unused)
{
    (void)unused;
    struct tern_mem mem;
    struct tern_ledger ledger;
    struct world_block block;
    tern_mem_init(&mem, 0);
    world_ledger(&world, &mem, &ledger);
    block = world_block_make(&world, &ledger, 1, NULL, 0);
    const struct tern_header *root = &tern_ledger_head(&ledger)->header;
    tern_time_ms drift = world.genesis.drift_ms;
    assert_int_equal(
        tern_ledger_check_header(&ledger, root, &block.header, block.header.time_ms - drift),
        TERN_FAULT_NONE);
    assert_int_equal(
        tern_ledger_check_header(&ledger, root, &block.header, block.header.time_ms - drift - 1),
        TERN_FAULT_CHAIN_BLOCK_FUTURE);
    world_block_free(&block);
    tern_ledger_fini(&ledger);
}

static void an_invalid_transaction_makes_the_block_invalid(void **unused)
{
    (void)unused;
    struct tern_mem mem;
    struct tern_ledger ledger;
    struct world_tx txs[2];
    struct world_block block;
    tern_fault fault;
    tern_mem_init(&mem, 0);
    world_ledger(&world, &mem, &ledger);
    txs[0] = world_transfer(&world, 0, 1, 0, 500);
    txs[1] = world_transfer(&world, 0, 1, 1, 500);
    block = world_block_make(&world, &ledger, 1, txs, 2);
    /* The same block with its transactions the other way round: nonces no longer follow. */
    struct tern_block decoded;
    assert_int_equal(tern_block_decode(tern_view_of(block.bytes, block.size), &decoded, &fault),
                     TERN_OK);
    size_t at = block.size - decoded.txs.size;
    memcpy(block.bytes + at, txs[1].bytes, txs[1].size);
    memcpy(block.bytes + at + txs[1].size, txs[0].bytes, txs[0].size);
    assert_int_equal(world_block_push(&ledger, &block, &fault), TERN_ERR_PROTOCOL);
    assert_int_equal(fault, TERN_FAULT_CHAIN_BLOCK_TX_ROOT);
    struct tern_header header = block.header;
    struct tern_hash leaves[2] = {txs[1].id, txs[0].id};
    tern_merkle_root_of(leaves, 2, &header.tx_root);
    world_block_reseal(&world, &header, 1, &block);
    assert_int_equal(world_block_push(&ledger, &block, &fault), TERN_ERR_PROTOCOL);
    assert_int_equal(fault, TERN_FAULT_CHAIN_BLOCK_TX_INVALID);
    world_block_free(&block);
    tern_ledger_fini(&ledger);
    assert_int_equal(mem.used, 0);
}

static void the_root_follows_the_head_and_cuts_old_forks(void **unused)
{
    (void)unused;
    struct world_block a[3];
    struct world_block b[4];
    two_chains(a, b);
    struct tern_mem mem;
    struct tern_ledger ledger;
    tern_fault fault;
    tern_mem_init(&mem, 0);
    world_ledger(&world, &mem, &ledger);
    ledger.tree.limits.depth_max = 8;
    assert_int_equal(world_block_push(&ledger, &a[0], &fault), TERN_OK);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(world_block_push(&ledger, &b[i], &fault), TERN_OK);
    assert_int_equal(ledger.tree.side_count, 1);
    for (unsigned i = 0; i < 20; i++) {
        struct world_block block;
        block = world_block_make(&world, &ledger, i % WORLD_AUTHORITIES, NULL, 0);
        assert_int_equal(world_block_push(&ledger, &block, &fault), TERN_OK);
        world_block_free(&block);
    }
    assert_int_equal(ledger.tree.root->header.height, 16);
    assert_int_equal(ledger.tree.side_count, 0);
    assert_int_equal(ledger.tree.side_bytes, 0);
    assert_null(tern_tree_find(&ledger.tree, &a[0].hash));
    assert_null(tern_tree_find(&ledger.tree, &b[3].hash));
    assert_non_null(tern_ledger_node_at(&ledger, 16));
    assert_null(tern_ledger_node_at(&ledger, 15));
    assert_true(tern_ledger_has(&ledger, 4, &b[3].hash));
    tern_ledger_fini(&ledger);
    assert_int_equal(mem.used, 0);
    for (size_t i = 0; i < 4; i++) {
        world_block_free(&b[i]);
        if (i < 3)
            world_block_free(&a[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_order_of_arrival_ends_in_the_same_head_and_state),
        cmocka_unit_test(a_failed_allocation_leaves_the_old_chain_in_place),
        cmocka_unit_test(an_invalid_longer_chain_is_dropped_and_remembered),
        cmocka_unit_test(blocks_are_refused_by_name),
        cmocka_unit_test(a_block_of_the_future_is_refused),
        cmocka_unit_test(an_invalid_transaction_makes_the_block_invalid),
        cmocka_unit_test(the_root_follows_the_head_and_cuts_old_forks),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
