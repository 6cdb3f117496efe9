#include "sim_fail.h"

#include "tern_test.h"

struct fixture {
    unsigned runs;
    bool leak;        /* forget the first block when the second fails */
    bool keep_charge; /* forget the reservation when the second fails */
    bool fail_always;
};

static tern_err two_blocks(void *context, struct tern_mem *mem, struct tern_scope *root)
{
    struct fixture *fixture = context;
    fixture->runs++;
    (void)root;
    void *first = tern_mem_alloc(mem, 10);
    if (first == NULL)
        return TERN_ERR_MEMORY;
    void *second = tern_mem_alloc(mem, 20);
    if (second == NULL && fixture->leak)
        return TERN_ERR_MEMORY;
    tern_mem_free(mem, first, 10);
    tern_mem_free(mem, second, 20);
    if (second == NULL)
        return TERN_ERR_MEMORY;
    return fixture->fail_always ? TERN_ERR_INVALID : TERN_OK;
}

static tern_err two_charges(void *context, struct tern_mem *mem, struct tern_scope *root)
{
    struct fixture *fixture = context;
    fixture->runs++;
    (void)mem;
    TERN_TRY(tern_scope_reserve(root, TERN_RESOURCE_MEMORY, 10, NULL));
    tern_err err = tern_scope_reserve(root, TERN_RESOURCE_STREAMS_IN, 1, NULL);
    if (err != TERN_OK && fixture->keep_charge)
        return err;
    tern_scope_release(root, TERN_RESOURCE_MEMORY, 10);
    if (err == TERN_OK)
        tern_scope_release(root, TERN_RESOURCE_STREAMS_IN, 1);
    return err;
}

static void run_allocations(void *context)
{
    (void)sim_fail_each(two_blocks, context);
}

static void run_reservations(void *context)
{
    (void)sim_fail_each_reservation(two_charges, context);
}

static void each_allocation_fails_once_alone_and_once_with_its_successors(void **state)
{
    (void)state;
    struct fixture fixture = {0};
    assert_int_equal(sim_fail_each(two_blocks, &fixture), 2);
    assert_int_equal(fixture.runs, 2 * 3);
}

static void each_reservation_fails_once(void **state)
{
    (void)state;
    struct fixture fixture = {0};
    assert_int_equal(sim_fail_each_reservation(two_charges, &fixture), 2);
    assert_int_equal(fixture.runs, 3);
}

static void leaks_and_untouched_failures_end_the_process(void **state)
{
    (void)state;
    struct fixture leak = {.leak = true};
    assert_int_equal(test_signal_of(run_allocations, &leak), SIGABRT);
    struct fixture fails = {.fail_always = true};
    assert_int_equal(test_signal_of(run_allocations, &fails), SIGABRT);
    struct fixture charge = {.keep_charge = true};
    assert_int_equal(test_signal_of(run_reservations, &charge), SIGABRT);
    struct fixture good = {0};
    assert_int_equal(test_signal_of(run_allocations, &good), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_fails_once_alone_and_once_with_its_successors),
        cmocka_unit_test(each_reservation_fails_once),
        cmocka_unit_test(leaks_and_untouched_failures_end_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
