#include "base/ring.h"

#include "base/random.h"
#include "tern_test.h"

static void a_ring_is_first_in_first_out_through_growth_and_wrapping(void **state)
{
    (void)state;
    struct tern_mem mem;
    struct tern_ring ring;
    struct tern_random random;
    tern_mem_init(&mem, 0);
    tern_ring_init(&ring, &mem, sizeof(uint32_t), 100);
    tern_random_init_u64(&random, 1);
    uint32_t pushed = 0;
    uint32_t popped = 0;
    for (int i = 0; i < 20000; i++) {
        if (tern_random_chance(&random, 21, 40)) {
            tern_err err = tern_ring_push(&ring, &pushed);
            assert_int_equal(err, pushed - popped == 128 ? TERN_ERR_FULL : TERN_OK);
            pushed += err == TERN_OK;
        } else {
            uint32_t value = 0;
            assert_int_equal(tern_ring_pop(&ring, &value), pushed > popped);
            if (pushed > popped)
                assert_int_equal(value, popped++);
        }
        assert_int_equal(tern_ring_count(&ring), pushed - popped);
        for (size_t j = 0; j < 3; j++) {
            uint32_t *at = tern_ring_at(&ring, j);
            assert_int_equal(at != NULL, j < pushed - popped);
            if (at != NULL)
                assert_int_equal(*at, popped + j);
        }
    }
    assert_true(popped > 1000);
    tern_ring_fini(&ring);
    tern_mem_fini(&mem);
}

static void it_takes_no_memory_before_the_first_push_and_no_more_than_needed(void **state)
{
    (void)state;
    struct tern_mem mem;
    struct tern_ring ring;
    tern_mem_init(&mem, 0);
    tern_ring_init(&ring, &mem, 10, 1);
    assert_int_equal(mem.allocs, 0);
    uint8_t element[10] = {0};
    assert_int_equal(tern_ring_push(&ring, element), TERN_OK);
    assert_int_equal(mem.used, 10);
    assert_int_equal(tern_ring_push(&ring, element), TERN_ERR_FULL);
    tern_ring_fini(&ring);
    tern_ring_fini(&ring);
    tern_mem_fini(&mem);
}

static void failing_growth_leaves_the_ring_as_it_was(void **state)
{
    (void)state;
    struct tern_mem mem;
    struct tern_ring ring;
    tern_mem_init(&mem, 0);
    tern_ring_init(&ring, &mem, sizeof(int), 1000);
    int count = 0;
    for (int i = 0; i < 40; i++) {
        tern_mem_fail_at(&mem, 1, false);
        bool grows = ring.count == ring.capacity;
        tern_err err = tern_ring_push(&ring, &count);
        assert_int_equal(err, grows ? TERN_ERR_MEMORY : TERN_OK);
        tern_mem_fail_at(&mem, 0, false);
        if (err != TERN_OK)
            assert_int_equal(tern_ring_push(&ring, &count), TERN_OK);
        count++;
    }
    for (int i = 0; i < count; i++) {
        int value = -1;
        assert_true(tern_ring_pop(&ring, &value));
        assert_int_equal(value, i);
    }
    tern_ring_fini(&ring);
    tern_mem_fini(&mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ring_is_first_in_first_out_through_growth_and_wrapping),
        cmocka_unit_test(it_takes_no_memory_before_the_first_push_and_no_more_than_needed),
        cmocka_unit_test(failing_growth_leaves_the_ring_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
