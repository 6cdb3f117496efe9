/*
 * Samples of a measurement, and what can be said of them.
 */
#ifndef TERN_APP_COMMON_STATS_H
#define TERN_APP_COMMON_STATS_H

#include <stddef.h>

enum { STATS_SAMPLES_MAX = 100000 };

struct stats {
    double *samples; /* in the order in which they came; owned */
    size_t count;
    size_t capacity;
};

/* stats_add adds one; those beyond the limit are dropped. The process ends when there is no memory.
 */
void stats_add(struct stats *stats, double sample);
void stats_free(struct stats *stats);

/* All 0 without samples. A percentile lies between the two samples next to its rank, as far from
 * each as the rank is. */
struct stats_summary {
    size_t count;
    double min;
    double mean;
    double max;
    double deviation; /* of the samples from their mean: the root of the mean square */
    double p50;
    double p95;
    double p99;
};
void stats_summarise(const struct stats *stats, struct stats_summary *summary);

#endif
