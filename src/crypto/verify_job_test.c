#include "crypto/verify_job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <pthread.h>

#include "crypto/key_vectors.h"
#include "crypto/test_hex.h"

#include <cmocka.h>

enum { HEX_SIZE_MAX = 4096 };

static tern_err add_vector(struct tern_verify_job *batch, const struct key_vector *v,
                           const char *tail, size_t *index)
{
    struct tern_verify_item item = {
        .public_key = TEST_HEX(v->public_key, HEX_SIZE_MAX),
        .signature = TEST_HEX(v->signature, HEX_SIZE_MAX),
        .parts = {tern_view_str("Ster"), tern_view_str(""), tern_view_str(tail)},
        .parts_count = 3,
    };
    return tern_verify_job_add(batch, &item, index);
}

static void each_item_gets_its_own_verdict(void **state)
{
    (void)state;
    struct tern_mem mem;
    struct tern_verify_job batch;
    tern_mem_init(&mem, 0);
    assert_int_equal(tern_verify_job_init(&batch, &mem, 16, 16384), TERN_OK);
    for (int round = 0; round < 2; round++) {
        size_t count = TERN_COUNT_OF(key_vectors);
        size_t index;
        tern_time cost = 0;
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(add_vector(&batch, &key_vectors[i], "na hirundo", &index), TERN_OK);
            assert_int_equal(index, 2 * i);
            assert_int_equal(add_vector(&batch, &key_vectors[i], "na albifrons", &index), TERN_OK);
            assert_int_equal(tern_verify_job_verdict(&batch, index), TERN_ERR_AGAIN);
            assert_true(batch.job.cost_ns > cost);
            cost = batch.job.cost_ns;
        }
        struct tern_verify_item rubbish = {.public_key = tern_view_str("rubbish")};
        assert_int_equal(tern_verify_job_add(&batch, &rubbish, &index), TERN_OK);
        batch.job.run(&batch.job);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(tern_verify_job_verdict(&batch, 2 * i), TERN_OK);
            assert_int_equal(tern_verify_job_verdict(&batch, 2 * i + 1), TERN_ERR_BAD_SIGNATURE);
        }
        assert_int_equal(tern_verify_job_verdict(&batch, index), TERN_ERR_MALFORMED);
        tern_verify_job_reset(&batch);
        assert_int_equal(batch.job.cost_ns, 0);
    }
    tern_verify_job_fini(&batch);
    assert_int_equal(mem.used, 0);
    tern_mem_fini(&mem);
}

static void a_batch_takes_what_it_has_room_for(void **state)
{
    (void)state;
    struct tern_mem mem;
    struct tern_verify_job batch;
    tern_mem_init(&mem, 0);
    assert_int_equal(tern_verify_job_init(&batch, &mem, 2, 20), TERN_OK);
    struct tern_verify_item item = {.signature = tern_view_str("0123456789")};
    size_t index;
    assert_int_equal(tern_verify_job_add(&batch, &item, &index), TERN_OK);
    item.signature = tern_view_str("0123456789a");
    assert_int_equal(tern_verify_job_add(&batch, &item, &index), TERN_ERR_FULL);
    item.signature = tern_view_str("0123456789");
    assert_int_equal(tern_verify_job_add(&batch, &item, &index), TERN_OK);
    assert_int_equal(index, 1);
    item.signature = tern_view_str("");
    assert_int_equal(tern_verify_job_add(&batch, &item, &index), TERN_ERR_FULL);
    item.signature = tern_view_str("0123456789012345678901");
    assert_int_equal(tern_verify_job_add(&batch, &item, &index), TERN_ERR_TOO_LARGE);
    item.signature = tern_view_of("", SIZE_MAX / 2);
    item.parts[0] = tern_view_of("", SIZE_MAX);
    item.parts_count = 1;
    assert_int_equal(tern_verify_job_add(&batch, &item, &index), TERN_ERR_TOO_LARGE);
    tern_verify_job_fini(&batch);
    assert_int_equal(mem.used, 0);
    tern_mem_fini(&mem);
}

static void a_lack_of_memory_leaves_nothing_behind(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= 2; n++) {
        struct tern_mem mem;
        struct tern_verify_job batch;
        tern_mem_init(&mem, 0);
        tern_mem_fail_at(&mem, n, false);
        assert_int_equal(tern_verify_job_init(&batch, &mem, 4, 1000), TERN_ERR_MEMORY);
        assert_int_equal(mem.used, 0);
        tern_mem_fini(&mem);
    }
}

static void *run_batch(void *argument)
{
    struct tern_verify_job *batch = argument;
    batch->job.run(&batch->job);
    return NULL;
}

static void batches_run_on_several_threads_at_once(void **state)
{
    (void)state;
    enum { THREADS = 4, ITEMS = 24 };
    struct tern_mem mem;
    struct tern_verify_job batches[THREADS];
    pthread_t threads[THREADS];
    tern_mem_init(&mem, 0);
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(tern_verify_job_init(&batches[i], &mem, ITEMS, 64 * 1024), TERN_OK);
        for (size_t j = 0; j < ITEMS; j++) {
            size_t index;
            const struct key_vector *v = &key_vectors[j % TERN_COUNT_OF(key_vectors)];
            assert_int_equal(add_vector(&batches[i], v, j % 3 == 0 ? "x" : "na hirundo", &index),
                             TERN_OK);
        }
    }
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_batch, &batches[i]), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (size_t i = 0; i < THREADS; i++) {
        for (size_t j = 0; j < ITEMS; j++)
            assert_int_equal(tern_verify_job_verdict(&batches[i], j),
                             j % 3 == 0 ? TERN_ERR_BAD_SIGNATURE : TERN_OK);
        tern_verify_job_fini(&batches[i]);
    }
    assert_int_equal(mem.used, 0);
    tern_mem_fini(&mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_item_gets_its_own_verdict),
        cmocka_unit_test(a_batch_takes_what_it_has_room_for),
        cmocka_unit_test(a_lack_of_memory_leaves_nothing_behind),
        cmocka_unit_test(batches_run_on_several_threads_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
