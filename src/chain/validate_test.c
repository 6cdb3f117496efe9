/* Validation of one's own chain: what is well passes, whatever is changed in the store is found and
 * named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "chain/store_schema.h"
#include "chain/test_node.h"
#include "chain/validate.h"

enum { BLOCKS = 24 };

static struct world world;

struct run {
    struct node node;
    struct tern_mem mem;
    struct tern_validate *validate;
    unsigned reads;
};

static int setup(void **unused)
{
    (void)unused;
    world_init(&world);
    return 0;
}

static void run_start(struct run *run)
{
    memset(run, 0, sizeof *run);
    node_init(&run->node, &world, 0, 1);
    assert_int_equal(node_start(&run->node), TERN_OK);
    tern_time_ms now = WORLD_TIME_MS;
    for (uint64_t i = 0; i < BLOCKS; i++) {
        struct world_tx tx = world_transfer(&world, 1, 2, i, 5);
        node_tx(&run->node, &tx, 1);
        now = world_turn(now, 0);
        node_tick(&run->node, now);
    }
    tern_mem_init(&run->mem, 0);
    struct tern_validate_config config = {.mem = &run->mem,
                                          .ledger = tern_chain_ledger(run->node.chain)};
    assert_int_equal(tern_validate_new(&config, &run->validate), TERN_OK);
}

static void run_end(struct run *run)
{
    tern_validate_free(run->validate);
    assert_int_equal(run->mem.used, 0);
    node_fini(&run->node);
}

static struct node_row *run_row(struct run *run, const struct tern_hash *hash)
{
    for (size_t i = 0; i < run->node.store.count; i++) {
        struct node_row *row = &run->node.store.rows[i];
        if (row->bytes[0] == TERN_CHAIN_SPACE_BLOCK && memcmp(row->bytes + 1, hash->bytes, 32) == 0)
            return row;
    }
    return NULL;
}

static void run_validation(struct run *run, struct tern_sync_validation *result)
{
    struct tern_validate_out out;
    bool done = false;
    while (!done && tern_validate_next(run->validate, &out)) {
        switch (out.kind) {
        case TERN_VALIDATE_READ: {
            struct node_row *row = run_row(run, &out.hash);
            run->reads++;
            if (row == NULL)
                tern_validate_block(run->validate, tern_view_of(NULL, 0), TERN_ERR_NOT_FOUND);
            else
                tern_validate_block(run->validate, tern_view_of(row->bytes + 33, row->size - 33),
                                    TERN_OK);
            break;
        }
        case TERN_VALIDATE_JOB:
            assert_true(tern_validate_busy(run->validate));
            out.job->run(out.job);
            tern_validate_job_done(run->validate, out.job);
            break;
        case TERN_VALIDATE_DONE:
            done = true;
            break;
        }
    }
    assert_true(done);
    tern_validate_result(run->validate, result);
}

static void a_chain_that_is_well_passes(void **unused)
{
    (void)unused;
    struct run run;
    struct tern_sync_validation result;
    run_start(&run);
    tern_validate_result(run.validate, &result);
    assert_int_equal(result.state, TERN_VALIDATION_NEVER);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(tern_validate_start(run.validate), TERN_OK);
        assert_int_equal(tern_validate_start(run.validate), TERN_ERR_EXISTS);
        run_validation(&run, &result);
        assert_int_equal(result.state, TERN_VALIDATION_GOOD);
        assert_int_equal(result.checked_height, BLOCKS);
        assert_int_equal(result.head_height, BLOCKS);
    }
    assert_int_equal(run.reads, 2 * BLOCKS);
    run_end(&run);
}

static void each_changed_block_is_found(void **unused)
{
    (void)unused;
    struct run run;
    run_start(&run);
    for (uint64_t height = 1; height <= BLOCKS; height += 5) {
        struct tern_hash hash;
        assert_true(tern_ledger_hash_at(tern_chain_ledger(run.node.chain), height, &hash));
        struct node_row *row = run_row(&run, &hash);
        TERN_CHECK(row != NULL);
        for (size_t at = row->key_size; at < row->size; at += 11) {
            struct tern_sync_validation result;
            row->bytes[at] ^= 4;
            assert_int_equal(tern_validate_start(run.validate), TERN_OK);
            run_validation(&run, &result);
            row->bytes[at] ^= 4;
            if (result.state != TERN_VALIDATION_BAD || result.bad_height != height ||
                result.checked_height != height - 1 || result.fault.size == 0)
                fail_msg("height %u byte %u: state %u, bad %u", (unsigned)height, (unsigned)at,
                         (unsigned)result.state, (unsigned)result.bad_height);
        }
    }
    run_end(&run);
}

static void a_missing_block_is_found(void **unused)
{
    (void)unused;
    struct run run;
    struct tern_hash hash;
    struct tern_sync_validation result;
    run_start(&run);
    assert_true(tern_ledger_hash_at(tern_chain_ledger(run.node.chain), 9, &hash));
    struct node_row *row = run_row(&run, &hash);
    TERN_CHECK(row != NULL);
    row->bytes[5] ^= 1;
    assert_int_equal(tern_validate_start(run.validate), TERN_OK);
    run_validation(&run, &result);
    assert_int_equal(result.state, TERN_VALIDATION_BAD);
    assert_int_equal(result.bad_height, 9);
    run_end(&run);
}

static void a_failed_allocation_is_no_verdict(void **unused)
{
    (void)unused;
    struct run run;
    struct tern_sync_validation result = {.state = TERN_VALIDATION_NEVER};
    run_start(&run);
    for (uint64_t n = 1; result.state != TERN_VALIDATION_GOOD; n++) {
        tern_mem_fail_at(&run.mem, n, false);
        tern_err err = tern_validate_start(run.validate);
        if (err == TERN_OK)
            run_validation(&run, &result);
        else
            assert_int_equal(err, TERN_ERR_MEMORY);
        assert_int_not_equal(result.state, TERN_VALIDATION_BAD);
        tern_mem_fail_at(&run.mem, 0, false);
    }
    run_end(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chain_that_is_well_passes),
        cmocka_unit_test(each_changed_block_is_found),
        cmocka_unit_test(a_missing_block_is_found),
        cmocka_unit_test(a_failed_allocation_is_no_verdict),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
