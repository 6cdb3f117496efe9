/* Lingering: as long as it pays, and ever more rarely when it does not. */
#include "runtime/real/linger.h"
#include "tern_test.h"

/* How many of so many large reads are lingered after, when nothing comes in time. */
static size_t in_vain(struct tern_linger *linger, size_t reads)
{
    size_t lingered = 0;
    for (size_t i = 0; i < reads; i++) {
        tern_time now = (i + 1) * TERN_SECOND;
        lingered += tern_linger_turn(linger, true, now);
        assert_false(tern_linger_turn(linger, false, now + TERN_LINGER_NS));
    }
    return lingered;
}

static void a_small_read_is_not_lingered_after(void **state)
{
    (void)state;
    struct tern_linger linger = {.until = 0};
    assert_false(tern_linger_turn(&linger, false, TERN_SECOND));
    assert_false(tern_linger_turn(&linger, false, 2 * TERN_SECOND));
}

static void a_large_one_is_for_its_time(void **state)
{
    (void)state;
    struct tern_linger linger = {.until = 0};
    assert_true(tern_linger_turn(&linger, true, TERN_SECOND));
    assert_true(tern_linger_turn(&linger, false, TERN_SECOND + TERN_LINGER_NS - 1));
    assert_false(tern_linger_turn(&linger, false, TERN_SECOND + TERN_LINGER_NS));
}

static void it_goes_on_while_more_comes_in_time(void **state)
{
    (void)state;
    struct tern_linger linger = {.until = 0};
    for (tern_time i = 1; i <= 10000; i++) {
        assert_true(tern_linger_turn(&linger, true, i * TERN_LINGER_NS));
        assert_true(tern_linger_turn(&linger, false, i * TERN_LINGER_NS + TERN_LINGER_NS / 2));
    }
}

static void in_vain_it_is_ever_rarer(void **state)
{
    (void)state;
    struct tern_linger linger = {.until = 0};
    assert_int_equal(in_vain(&linger, 1), 1);
    assert_int_equal(in_vain(&linger, 2), 1);    /* one goes by */
    assert_int_equal(in_vain(&linger, 3), 1);    /* two */
    assert_int_equal(in_vain(&linger, 5), 1);    /* four */
    assert_int_equal(in_vain(&linger, 2048), 8); /* 8 to 1,024 */
    assert_int_equal(in_vain(&linger, 1025 * 10), 10);
}

static void once_in_time_it_is_always_again(void **state)
{
    (void)state;
    struct tern_linger linger = {.until = 0};
    (void)in_vain(&linger, 20000);
    size_t reads = 1;
    while (!tern_linger_turn(&linger, true, TERN_MINUTE))
        reads++;
    assert_in_range(reads, 1, TERN_LINGER_PAUSE_MAX + 1);
    for (tern_time i = 1; i <= 100; i++)
        assert_true(tern_linger_turn(&linger, true, TERN_MINUTE + i * TERN_LINGER_NS / 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_read_is_not_lingered_after),
        cmocka_unit_test(a_large_one_is_for_its_time),
        cmocka_unit_test(it_goes_on_while_more_comes_in_time),
        cmocka_unit_test(in_vain_it_is_ever_rarer),
        cmocka_unit_test(once_in_time_it_is_always_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
