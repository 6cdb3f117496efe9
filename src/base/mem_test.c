#include "base/mem.h"

#include "tern_test.h"

static void the_account_is_exact(void **state)
{
    (void)state;
    struct tern_mem mem;
    tern_mem_init(&mem, 0);
    uint8_t *a = tern_mem_alloc(&mem, 100);
    uint8_t *b = tern_mem_zalloc(&mem, 50);
    assert_non_null(a);
    assert_non_null(b);
    for (size_t i = 0; i < 50; i++)
        assert_int_equal(b[i], 0);
    assert_int_equal(mem.used, 150);
    memset(a, 7, 100);
    a = tern_mem_realloc(&mem, a, 100, 1000);
    assert_int_equal(a[99], 7);
    assert_int_equal(mem.used, 1050);
    a = tern_mem_realloc(&mem, a, 1000, 10);
    assert_int_equal(mem.used, 60);
    tern_mem_free(&mem, a, 10);
    tern_mem_free(&mem, b, 50);
    tern_mem_free(&mem, NULL, 12345);
    assert_int_equal(mem.used, 0);
    assert_int_equal(mem.peak, 1050);
    assert_int_equal(mem.allocs, 4);
    tern_mem_fini(&mem);
}

static void realloc_of_nothing_allocates(void **state)
{
    (void)state;
    struct tern_mem mem;
    tern_mem_init(&mem, 0);
    void *a = tern_mem_realloc(&mem, NULL, 0, 5);
    assert_non_null(a);
    tern_mem_free(&mem, a, 5);
    tern_mem_fini(&mem);
}

static void dup_copies_the_bytes(void **state)
{
    (void)state;
    struct tern_mem mem;
    tern_mem_init(&mem, 0);
    uint8_t *copy = tern_mem_dup(&mem, tern_view_str("tern"));
    assert_memory_equal(copy, "tern", 4);
    tern_mem_free(&mem, copy, 4);
    tern_mem_fini(&mem);
}

static void the_limit_is_met_exactly_and_never_passed(void **state)
{
    (void)state;
    struct tern_mem mem;
    tern_mem_init(&mem, 100);
    assert_null(tern_mem_alloc(&mem, 101));
    assert_null(tern_mem_alloc(&mem, SIZE_MAX));
    void *a = tern_mem_alloc(&mem, 60);
    assert_null(tern_mem_zalloc(&mem, 41));
    void *b = tern_mem_alloc(&mem, 40);
    assert_non_null(b);
    assert_null(tern_mem_alloc(&mem, 1));
    assert_null(tern_mem_realloc(&mem, a, 60, 61));
    assert_int_equal(mem.used, 100);
    a = tern_mem_realloc(&mem, a, 60, 59);
    assert_non_null(a);
    tern_mem_free(&mem, a, 59);
    tern_mem_free(&mem, b, 40);
    tern_mem_fini(&mem);
}

static void the_armed_allocation_fails_alone_or_with_all_after_it(void **state)
{
    (void)state;
    for (unsigned onwards = 0; onwards < 2; onwards++) {
        struct tern_mem mem;
        tern_mem_init(&mem, 0);
        void *before = tern_mem_alloc(&mem, 1);
        tern_mem_fail_at(&mem, 3, onwards == 1);
        void *blocks[5];
        for (size_t i = 0; i < 5; i++) {
            blocks[i] = tern_mem_alloc(&mem, 8);
            bool fails = i == 2 || (i > 2 && onwards == 1);
            assert_int_equal(blocks[i] == NULL, fails);
        }
        assert_null((tern_mem_fail_at(&mem, 1, false), tern_mem_realloc(&mem, before, 1, 2)));
        assert_null((tern_mem_fail_at(&mem, 1, false), tern_mem_zalloc(&mem, 2)));
        assert_null((tern_mem_fail_at(&mem, 1, false), tern_mem_take(&mem, 0, 64)));
        tern_mem_fail_at(&mem, 0, true);
        void *after = tern_mem_alloc(&mem, 8);
        assert_non_null(after);
        for (size_t i = 0; i < 5; i++)
            tern_mem_free(&mem, blocks[i], 8);
        tern_mem_free(&mem, before, 1);
        tern_mem_free(&mem, after, 8);
        tern_mem_fini(&mem);
    }
}

static void parked_blocks_are_not_in_use_and_come_back(void **state)
{
    (void)state;
    struct tern_mem mem;
    tern_mem_init(&mem, 0);
    void *a = tern_mem_take(&mem, 1, 4096);
    assert_int_equal(mem.used, 4096);
    tern_mem_park(&mem, 1, a, 4096);
    assert_int_equal(mem.used, 0);
#ifdef TERN_NO_POOLS
    assert_int_equal(mem.parked, 0);
#else
    assert_int_equal(mem.parked, 4096);
    void *b = tern_mem_take(&mem, 1, 4096);
    assert_ptr_equal(a, b);
    assert_int_equal(mem.used, 4096);
    assert_int_equal(mem.parked, 0);
    assert_int_equal(mem.allocs, 2);
    tern_mem_park(&mem, 1, b, 4096);
    tern_mem_fail_at(&mem, 1, false);
    assert_null(tern_mem_take(&mem, 1, 4096));
    assert_int_equal(mem.parked, 4096);
#endif
    tern_mem_trim(&mem);
    assert_int_equal(mem.parked, 0);
    tern_mem_fini(&mem);
}

static void no_more_than_the_bound_is_parked(void **state)
{
    (void)state;
    enum { BLOCKS = 10, SIZE = 1000 };
    struct tern_mem mem;
    tern_mem_init(&mem, 0);
    mem.parked_max = 3 * SIZE + SIZE / 2;
    void *blocks[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++)
        blocks[i] = tern_mem_take(&mem, 0, SIZE);
    for (size_t i = 0; i < BLOCKS; i++)
        tern_mem_park(&mem, 0, blocks[i], SIZE);
    assert_int_equal(mem.used, 0);
    assert_true(mem.parked <= 3 * SIZE);
    tern_mem_fini(&mem);
}

static void leak_a_block(void *context)
{
    struct tern_mem mem;
    tern_mem_init(&mem, 0);
    void *block = tern_mem_alloc(&mem, 8);
    if (context == NULL)
        tern_mem_free(&mem, block, 8);
    tern_mem_fini(&mem);
}

static void free_with_a_wrong_size(void *context)
{
    struct tern_mem mem;
    tern_mem_init(&mem, 0);
    void *block = tern_mem_alloc(&mem, 8);
    tern_mem_free(&mem, block, context == NULL ? 8 : 9);
}

static void leaks_and_wrong_sizes_end_the_process(void **state)
{
    (void)state;
    int yes = 1;
    assert_int_equal(test_signal_of(leak_a_block, NULL), 0);
    assert_int_not_equal(test_signal_of(leak_a_block, &yes), 0);
    assert_int_equal(test_signal_of(free_with_a_wrong_size, NULL), 0);
    assert_int_not_equal(test_signal_of(free_with_a_wrong_size, &yes), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_account_is_exact),
        cmocka_unit_test(realloc_of_nothing_allocates),
        cmocka_unit_test(dup_copies_the_bytes),
        cmocka_unit_test(the_limit_is_met_exactly_and_never_passed),
        cmocka_unit_test(the_armed_allocation_fails_alone_or_with_all_after_it),
        cmocka_unit_test(parked_blocks_are_not_in_use_and_come_back),
        cmocka_unit_test(no_more_than_the_bound_is_parked),
        cmocka_unit_test(leaks_and_wrong_sizes_end_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
