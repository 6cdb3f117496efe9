#include "app/common/stats.h"

#include <math.h>
#include <stdlib.h>

#include "app/common/text.h"

void stats_add(struct stats *stats, double sample)
{
    if (stats->count == STATS_SAMPLES_MAX)
        return;
    if (stats->count == stats->capacity) {
        size_t capacity = stats->capacity == 0 ? 64 : 2 * stats->capacity;
        double *grown = app_alloc(capacity, sizeof *grown);
        tern_copy(grown, stats->samples, stats->count * sizeof *grown);
        free(stats->samples);
        stats->samples = grown;
        stats->capacity = capacity;
    }
    stats->samples[stats->count++] = sample;
}

void stats_free(struct stats *stats)
{
    free(stats->samples);
    *stats = (struct stats){.count = 0};
}

static int stats_order(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;
    return (left > right) - (left < right);
}

static double stats_percentile(const double *sorted, size_t count, double percent)
{
    double rank = percent / 100 * (double)(count - 1);
    size_t below = (size_t)rank;
    size_t above = below + 1 < count ? below + 1 : below;
    double part = rank - (double)below;
    return sorted[below] * (1 - part) + sorted[above] * part;
}

void stats_summarise(const struct stats *stats, struct stats_summary *summary)
{
    double sum = 0;
    double squares = 0;
    size_t count = stats->count;
    *summary = (struct stats_summary){.count = count};
    if (count == 0)
        return;
    double *sorted = app_alloc(count, sizeof *sorted);
    memcpy(sorted, stats->samples, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, stats_order);
    for (size_t i = 0; i < count; i++)
        sum += sorted[i];
    summary->mean = sum / (double)count;
    for (size_t i = 0; i < count; i++)
        squares += (sorted[i] - summary->mean) * (sorted[i] - summary->mean);
    summary->deviation = sqrt(squares / (double)count);
    summary->min = sorted[0];
    summary->max = sorted[count - 1];
    summary->p50 = stats_percentile(sorted, count, 50);
    summary->p95 = stats_percentile(sorted, count, 95);
    summary->p99 = stats_percentile(sorted, count, 99);
    free(sorted);
}
