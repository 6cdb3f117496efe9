/*
 * Samples of a measurement, and the section of the perf contract's YAML that sums them up:
 *
 *   upload:
 *     iterations: 3
 *     min: 2.040        least and most of what is no outlier
 *     q1: 2.045         a quarter of the samples is below
 *     median: 2.050
 *     q3: 2.055
 *     max: 2.060
 *     outliers: []      farther from the middle half than 1.5 times its width
 *     samples: [2.040, 2.050, 2.060]
 *     unit: Gbps
 */
#ifndef TERN_INTEROP_CONTRACT_SAMPLES_H
#define TERN_INTEROP_CONTRACT_SAMPLES_H

#include <stddef.h>
#include <stdio.h>

enum { SAMPLES_MAX = 10000 };

struct samples {
    double values[SAMPLES_MAX];
    size_t count;
};

/* samples_add adds one; there is room for SAMPLES_MAX. */
void samples_add(struct samples *samples, double value);

/* samples_write sorts them and writes their section. */
void samples_write(struct samples *samples, const char *name, const char *unit, FILE *out);

#endif
