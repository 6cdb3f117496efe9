/*
 * The programs' small helpers: sizes, times, samples.
 */
#include "tern_test.h"

#include "app/common/stats.h"
#include "app/common/table.h"

static void sizes_are_read(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {
        {"0", 0},
        {"1000", 1000},
        {"7B", 7},
        {"64MiB", UINT64_C(64) << 20},
        {"1GiB", UINT64_C(1) << 30},
        {"1gib", UINT64_C(1) << 30},
        {"1.5GB", 1500000000},
        {"0.5KiB", 512},
        {"2kB", 2000},
        {"1.001kb", 1001},
        {"9000000000000000000", UINT64_C(9000000000000000000)},
        {"4194304TiB", UINT64_C(4194304) << 40},
    };
    static const char *const bad[] = {"",
                                      "x",
                                      "-1",
                                      "1.5.5MB",
                                      "MiB",
                                      "1 MB",
                                      "1Q",
                                      "1.2345MB",
                                      ".5MB",
                                      "1M",
                                      "0x10",
                                      "1MiBs",
                                      "9999999TiB",
                                      "18446744073709551616",
                                      "1e6",
                                      "1.5",
                                      "99999999999999999999MB"};
    uint64_t bytes = 0;
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(good); i++) {
        if (!app_size(good[i].text, &bytes))
            fail_msg("%s", good[i].text);
        assert_int_equal(bytes, good[i].bytes);
    }
    for (size_t i = 0; i < TERN_COUNT_OF(bad); i++)
        if (app_size(bad[i], &bytes))
            fail_msg("%s", bad[i]);
}

static void seconds_are_read(void **state)
{
    uint64_t ms = 0;
    (void)state;
    assert_true(app_seconds("10", 60000, &ms));
    assert_int_equal(ms, 10000);
    assert_true(app_seconds("0.2", 60000, &ms));
    assert_int_equal(ms, 200);
    assert_true(app_seconds("1.005", 60000, &ms));
    assert_int_equal(ms, 1005);
    static const char *const bad[] = {"", "x", "-1", "1.0005", "60.001", "1s", "1..2", ".5"};
    for (size_t i = 0; i < TERN_COUNT_OF(bad); i++)
        if (app_seconds(bad[i], 60000, &ms))
            fail_msg("%s", bad[i]);
}

static void samples_are_summed_up(void **state)
{
    struct stats stats = {.count = 0};
    struct stats_summary summary;
    (void)state;
    stats_summarise(&stats, &summary);
    assert_int_equal(summary.count, 0);
    for (int i = 100; i > 0; i--) /* 100 … 1 */
        stats_add(&stats, i);
    stats_summarise(&stats, &summary);
    assert_int_equal(summary.count, 100);
    assert_float_equal(summary.min, 1, 1e-9);
    assert_float_equal(summary.max, 100, 1e-9);
    assert_float_equal(summary.mean, 50.5, 1e-9);
    assert_float_equal(summary.p50, 50.5, 1e-9);
    assert_float_equal(summary.p95, 95.05, 1e-9);
    assert_float_equal(summary.p99, 99.01, 1e-9);
    assert_float_equal(summary.deviation, 28.866070047722118, 1e-9);
    assert_float_equal(stats.samples[0], 100, 1e-9); /* the order stays */
    stats_free(&stats);
    stats_add(&stats, 7);
    stats_summarise(&stats, &summary);
    assert_float_equal(summary.p50, 7, 1e-9);
    assert_float_equal(summary.p99, 7, 1e-9);
    assert_float_equal(summary.deviation, 0, 1e-9);
    stats_free(&stats);
}

static void rates_and_times_are_written_short(void **state)
{
    char text[24];
    (void)state;
    assert_string_equal(text_rate(0, text), "0 bit/s");
    assert_string_equal(text_rate(999, text), "999 bit/s");
    assert_string_equal(text_rate(1000, text), "1.00 kbit/s");
    assert_string_equal(text_rate(7.563e9, text), "7.56 Gbit/s");
    assert_string_equal(text_rate(2e15, text), "2000.00 Tbit/s");
    assert_string_equal(text_ms(123456, text), "0.123 ms");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_read),
        cmocka_unit_test(seconds_are_read),
        cmocka_unit_test(samples_are_summed_up),
        cmocka_unit_test(rates_and_times_are_written_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
