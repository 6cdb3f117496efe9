#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "swarm/slots.h"

static void a_removed_items_handle_finds_nothing(void **state)
{
    (void)state;
    struct tern_mem mem;
    struct tern_slots slots;
    int a = 1;
    int b = 2;
    uint64_t handle_a;
    uint64_t handle_b;
    tern_mem_init(&mem, 0);
    tern_slots_init(&slots, &mem, 100);
    assert_int_equal(tern_slots_add(&slots, &a, &handle_a), TERN_OK);
    assert_ptr_equal(tern_slots_find(&slots, handle_a), &a);
    tern_slots_remove(&slots, handle_a);
    assert_null(tern_slots_find(&slots, handle_a));
    assert_int_equal(tern_slots_add(&slots, &b, &handle_b), TERN_OK);
    assert_int_equal((uint32_t)handle_a, (uint32_t)handle_b);
    assert_null(tern_slots_find(&slots, handle_a));
    assert_ptr_equal(tern_slots_find(&slots, handle_b), &b);
    tern_slots_remove(&slots, handle_b);
    tern_slots_fini(&slots);
    assert_int_equal(mem.used, 0);
}

static void any_number_is_a_safe_handle(void **state)
{
    (void)state;
    struct tern_mem mem;
    struct tern_slots slots;
    int a = 1;
    uint64_t handle;
    tern_mem_init(&mem, 0);
    tern_slots_init(&slots, &mem, 100);
    assert_null(tern_slots_find(&slots, 0));
    assert_int_equal(tern_slots_add(&slots, &a, &handle), TERN_OK);
    const uint64_t strange[] = {0, 1, UINT64_MAX, handle + 1, handle + (UINT64_C(1) << 32), 1000};
    for (size_t i = 0; i < TERN_COUNT_OF(strange); i++)
        assert_null(tern_slots_find(&slots, strange[i]));
    tern_slots_remove(&slots, handle);
    tern_slots_fini(&slots);
}

static void the_table_is_bounded_and_survives_without_memory(void **state)
{
    (void)state;
    struct tern_mem mem;
    struct tern_slots slots;
    int items[20];
    uint64_t handles[20];
    tern_mem_init(&mem, 0);
    tern_slots_init(&slots, &mem, 20);
    tern_mem_fail_at(&mem, 1, false);
    assert_int_equal(tern_slots_add(&slots, &items[0], &handles[0]), TERN_ERR_MEMORY);
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(tern_slots_add(&slots, &items[i], &handles[i]), TERN_OK);
    assert_int_equal(tern_slots_add(&slots, &items[0], &handles[0]), TERN_ERR_FULL);
    for (size_t i = 0; i < 20; i++) {
        assert_ptr_equal(tern_slots_find(&slots, handles[i]), &items[i]);
        tern_slots_remove(&slots, handles[i]);
    }
    tern_slots_fini(&slots);
    assert_int_equal(mem.used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_removed_items_handle_finds_nothing),
        cmocka_unit_test(any_number_is_a_safe_handle),
        cmocka_unit_test(the_table_is_bounded_and_survives_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
