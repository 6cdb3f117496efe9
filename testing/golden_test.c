#include "golden.h"

#include "tern_test.h"

static void equal_text_passes(void **state)
{
    (void)state;
    struct golden golden;
    golden_init(&golden);
    golden_expect(&golden, "");
    golden_line(&golden, "%s opened stream %u", "a", 1U);
    golden_line(&golden, "b closed");
    golden_expect(&golden, "a opened stream 1\n"
                           "b closed\n");
    golden_fini(&golden);
}

static void any_difference_is_found(void **state)
{
    (void)state;
    static const char *const others[] = {
        "",
        "one\ntwo\n",
        "one\ntwo\nthree",
        "two\nthree\n",
        "one\nthree\n",
        "one\ntwo\nfour\n",
        "one\ntwo\nthree\nfour\n",
        "zero\none\ntwo\nthree\n",
        "x\ny\nz\n",
    };
    struct golden golden;
    golden_init(&golden);
    golden_line(&golden, "one");
    golden_line(&golden, "two");
    golden_line(&golden, "three");
    int kept = dup(STDERR_FILENO);
    close(STDERR_FILENO); /* the differences are not for the reader of a passing test */
    size_t found = 0;
    for (size_t i = 0; i < TERN_COUNT_OF(others); i++)
        found += !golden_same(&golden, others[i]);
    dup2(kept, STDERR_FILENO);
    close(kept);
    assert_int_equal(found, TERN_COUNT_OF(others));
    golden_expect(&golden, "one\ntwo\nthree\n");
    golden_fini(&golden);
}

static void trace_events_become_lines(void **state)
{
    (void)state;
    struct golden golden;
    golden_init(&golden);
    struct tern_trace trace = {.sink = golden_trace, .context = &golden, .node = 3};
    TERN_TRACE(&trace, 12500 * TERN_MICROSECOND, NODE_START, 0, 0, 0);
    golden_expect(&golden, "      12.500 ms  n3  NODE_START\n");
    golden_fini(&golden);
}

static void long_logs_are_kept_whole(void **state)
{
    (void)state;
    struct golden golden;
    golden_init(&golden);
    for (unsigned i = 0; i < 5000; i++)
        golden_line(&golden, "line %04u", i);
    assert_int_equal(golden.size, 5000 * 10);
    assert_memory_equal(golden.text + golden.size - 10, "line 4999\n", 11);
    golden_fini(&golden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_text_passes),
        cmocka_unit_test(any_difference_is_found),
        cmocka_unit_test(trace_events_become_lines),
        cmocka_unit_test(long_logs_are_kept_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
