#include "quic/quic_mem.h"

#include "tern_test.h"

static struct tern_mem account;
static struct quic_mem memory;

static void start(size_t used_max)
{
    tern_mem_init(&account, 0);
    quic_mem_init(&memory, &account, used_max);
}

static void end(void)
{
    assert_int_equal(memory.used, 0);
    tern_mem_fini(&account);
}

static void blocks_are_counted_with_what_lies_before_them(void **state)
{
    (void)state;
    const ngtcp2_mem *m = &memory.allocator;
    start(1000);
    uint8_t *a = m->malloc(100, m->user_data);
    uint8_t *b = m->calloc(10, 10, m->user_data);
    assert_non_null(a);
    assert_non_null(b);
    assert_int_equal((uintptr_t)a % 16, 0);
    assert_int_equal(memory.used, 232);
    assert_int_equal(account.used, 232);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(b[i], 0);
    memset(a, 7, 100);
    a = m->realloc(a, 200, m->user_data);
    assert_non_null(a);
    assert_int_equal(a[99], 7);
    assert_int_equal(memory.used, 332);
    a = m->realloc(a, 50, m->user_data);
    assert_non_null(a);
    assert_int_equal(memory.used, 182);
    m->free(a, m->user_data);
    m->free(b, m->user_data);
    m->free(NULL, m->user_data);
    b = m->realloc(NULL, 5, m->user_data);
    assert_non_null(b);
    m->free(b, m->user_data);
    end();
}

static void there_is_a_bound(void **state)
{
    (void)state;
    const ngtcp2_mem *m = &memory.allocator;
    start(256);
    uint8_t *a = m->malloc(100, m->user_data);
    assert_null(m->malloc(200, m->user_data));
    assert_true(memory.refused);
    assert_null(m->realloc(a, 300, m->user_data));
    assert_int_equal(memory.used, 116);
    memory.used_max = 1000;
    uint8_t *b = m->malloc(200, m->user_data);
    assert_non_null(b);
    m->free(a, m->user_data);
    m->free(b, m->user_data);
    end();
}

static void what_cannot_be_had_is_not_counted(void **state)
{
    (void)state;
    const ngtcp2_mem *m = &memory.allocator;
    start(SIZE_MAX / 4);
    assert_null(m->malloc(0, m->user_data));
    assert_null(m->malloc(SIZE_MAX - 1, m->user_data));
    assert_null(m->calloc(SIZE_MAX / 2, 4, m->user_data));
    uint8_t *a = m->malloc(10, m->user_data);
    tern_mem_fail_at(&account, 1, false);
    assert_null(m->malloc(10, m->user_data));
    tern_mem_fail_at(&account, 1, false);
    assert_null(m->realloc(a, 100, m->user_data));
    assert_int_equal(memory.used, 26);
    assert_false(memory.refused);
    m->free(a, m->user_data);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_counted_with_what_lies_before_them),
        cmocka_unit_test(there_is_a_bound),
        cmocka_unit_test(what_cannot_be_had_is_not_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
