#include "base/types.h"

#include "base/job.h"
#include "tern_test.h"

static void times_add_without_wrapping(void **state)
{
    (void)state;
    static const struct {
        tern_time t;
        tern_time delta;
        tern_time sum;
    } cases[] = {
        {1, 2, 3},
        {0, 0, 0},
        {TERN_TIME_NEVER, 5, TERN_TIME_NEVER},
        {5, TERN_TIME_NEVER, TERN_TIME_NEVER - 1},
        {TERN_TIME_NEVER - 1, 1, TERN_TIME_NEVER - 1},
        {TERN_TIME_NEVER - 3, 1, TERN_TIME_NEVER - 2},
        {TERN_TIME_NEVER - 3, 2, TERN_TIME_NEVER - 1},
        {TERN_TIME_NEVER - 3, 3, TERN_TIME_NEVER - 1},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++)
        assert_true(tern_time_add(cases[i].t, cases[i].delta) == cases[i].sum);
    assert_true(tern_time_since(10, 3) == 7);
    assert_true(tern_time_since(3, 10) == 0);
    assert_true(tern_time_min(3, TERN_TIME_NEVER) == 3);
    assert_true(TERN_HOUR == 3600 * TERN_SECOND);
}

static int sign(int value)
{
    return (value > 0) - (value < 0);
}

static void views_are_ordered_as_text_is(void **state)
{
    (void)state;
    static const char *const ordered[] = {"", "a", "aa", "ab", "b", "\xff"};
    for (int i = 0; i < (int)TERN_COUNT_OF(ordered); i++) {
        for (int j = 0; j < (int)TERN_COUNT_OF(ordered); j++) {
            struct tern_view a = tern_view_str(ordered[i]);
            struct tern_view b = tern_view_str(ordered[j]);
            assert_int_equal(sign(tern_view_compare(a, b)), sign(i - j));
            assert_int_equal(tern_view_equal(a, b), i == j);
        }
    }
    assert_true(tern_view_equal(tern_view_of(NULL, 0), tern_view_str("")));
    assert_int_equal(tern_view_compare(tern_view_of(NULL, 0), tern_view_str("")), 0);
}

static void parts_of_views_may_be_empty(void **state)
{
    (void)state;
    struct tern_view abc = tern_view_str("abc");
    assert_true(test_view_is(tern_view_part(abc, 1, 2), "bc"));
    assert_true(test_view_is(tern_view_part(abc, 3, 0), ""));
    assert_null(tern_view_part(tern_view_of(NULL, 0), 0, 0).data);
    char to[4] = "...";
    tern_copy(to, NULL, 0);
    tern_copy(NULL, abc.data, 0);
    tern_copy(to, abc.data, 2);
    assert_string_equal(to, "ab.");
}

struct square {
    struct tern_job job;
    int value;
};

static void square_run(struct tern_job *job)
{
    struct square *square = TERN_CONTAINER_OF(job, struct square, job);
    square->value *= square->value;
}

static void a_job_finds_what_it_needs_around_it(void **state)
{
    (void)state;
    struct square square = {.job = {.run = square_run}, .value = 7};
    square.job.run(&square.job);
    assert_int_equal(square.value, 49);
}

static void sizes_have_a_smaller_and_a_larger(void **state)
{
    (void)state;
    assert_int_equal(tern_min_size(2, 3), 2);
    assert_int_equal(tern_max_size(2, 3), 3);
    assert_int_equal(tern_min_size(SIZE_MAX, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_add_without_wrapping),
        cmocka_unit_test(views_are_ordered_as_text_is),
        cmocka_unit_test(parts_of_views_may_be_empty),
        cmocka_unit_test(a_job_finds_what_it_needs_around_it),
        cmocka_unit_test(sizes_have_a_smaller_and_a_larger),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
