#include "interop/tern/contract/samples.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/check.h"

void samples_add(struct samples *samples, double value)
{
    TERN_CHECK(samples->count < SAMPLES_MAX);
    samples->values[samples->count++] = value;
}

static int samples_order(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

/* Between the two samples nearest to this part of them, in proportion. */
static double samples_quantile(const struct samples *samples, double part)
{
    if (samples->count == 0)
        return 0;
    double place = part * (double)(samples->count - 1);
    size_t below = (size_t)place;
    size_t above = below + 1 < samples->count ? below + 1 : below;
    return samples->values[below] +
           (samples->values[above] - samples->values[below]) * (place - (double)below);
}

struct samples_range {
    double low, high;
};

static bool samples_inside(const struct samples_range *range, double value)
{
    return range->low <= value && value <= range->high;
}

/* The samples inside of the range or, with inside false, those outside. */
static void samples_write_list(const struct samples *samples, const char *name,
                               const struct samples_range *range, FILE *out)
{
    const char *separator = "";
    fprintf(out, "  %s: [", name);
    for (size_t i = 0; i < samples->count; i++) {
        if (range != NULL && samples_inside(range, samples->values[i]))
            continue;
        fprintf(out, "%s%.3f", separator, samples->values[i]);
        separator = ", ";
    }
    fputs("]\n", out);
}

void samples_write(struct samples *samples, const char *name, const char *unit, FILE *out)
{
    qsort(samples->values, samples->count, sizeof samples->values[0], samples_order);
    double q1 = samples_quantile(samples, 0.25);
    double median = samples_quantile(samples, 0.5);
    double q3 = samples_quantile(samples, 0.75);
    const struct samples_range range = {q1 - 1.5 * (q3 - q1), q3 + 1.5 * (q3 - q1)};
    double min = median;
    double max = median;
    for (size_t i = 0; i < samples->count; i++) {
        double value = samples->values[i];
        if (!samples_inside(&range, value))
            continue;
        min = value < min ? value : min;
        max = value > max ? value : max;
    }
    fprintf(out, "%s:\n  iterations: %zu\n  min: %.3f\n  q1: %.3f\n", name, samples->count, min,
            q1);
    fprintf(out, "  median: %.3f\n  q3: %.3f\n  max: %.3f\n", median, q3, max);
    samples_write_list(samples, "outliers", &range, out);
    samples_write_list(samples, "samples", NULL, out);
    fprintf(out, "  unit: %s\n", unit);
}
