#include "interop/tern/contract/samples.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_expect(const double *values, size_t count, const char *expected)
{
    static struct samples samples;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    samples.count = 0;
    for (size_t i = 0; i < count; i++)
        samples_add(&samples, values[i]);
    samples_write(&samples, "upload", "Gbps", out);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(text, expected);
    free(text);
}

static void test_section_sorts_and_sums_up(void **state)
{
    static const double values[] = {4, 1, 3, 2};
    (void)state;
    test_expect(values, 4,
                "upload:\n  iterations: 4\n  min: 1.000\n  q1: 1.750\n  median: 2.500\n"
                "  q3: 3.250\n  max: 4.000\n  outliers: []\n"
                "  samples: [1.000, 2.000, 3.000, 4.000]\n  unit: Gbps\n");
}

static void test_outliers_are_neither_least_nor_most(void **state)
{
    static const double values[] = {10, 11, 12, 13, 14, 100, 0};
    (void)state;
    test_expect(values, 7,
                "upload:\n  iterations: 7\n  min: 10.000\n  q1: 10.500\n  median: 12.000\n"
                "  q3: 13.500\n  max: 14.000\n  outliers: [0.000, 100.000]\n"
                "  samples: [0.000, 10.000, 11.000, 12.000, 13.000, 14.000, 100.000]\n"
                "  unit: Gbps\n");
}

static void test_one_sample_is_all_of_them(void **state)
{
    static const double values[] = {2.5};
    (void)state;
    test_expect(values, 1,
                "upload:\n  iterations: 1\n  min: 2.500\n  q1: 2.500\n  median: 2.500\n"
                "  q3: 2.500\n  max: 2.500\n  outliers: []\n  samples: [2.500]\n  unit: Gbps\n");
}

static void test_no_sample_is_zero(void **state)
{
    (void)state;
    test_expect(NULL, 0,
                "upload:\n  iterations: 0\n  min: 0.000\n  q1: 0.000\n  median: 0.000\n"
                "  q3: 0.000\n  max: 0.000\n  outliers: []\n  samples: []\n  unit: Gbps\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_section_sorts_and_sums_up),
        cmocka_unit_test(test_outliers_are_neither_least_nor_most),
        cmocka_unit_test(test_one_sample_is_all_of_them),
        cmocka_unit_test(test_no_sample_is_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
