/*
 * Metrics: one table (metrics.def), one array of numbers a node. The exporter renders the table;
 * faults have a counter each besides.
 */
#ifndef TERN_BASE_METRICS_H
#define TERN_BASE_METRICS_H

#include "base/fault.h"
#include "base/types.h"

enum tern_metric {
#define X(name, kind, exported, help) TERN_METRIC_##name,
#include "base/metrics.def"
#undef X
    TERN_METRIC_COUNT
};

enum tern_metric_kind { TERN_METRIC_KIND_COUNTER, TERN_METRIC_KIND_GAUGE };

struct tern_metric_info {
    const char *name;
    const char *help;
    enum tern_metric_kind kind;
};

struct tern_metrics {
    uint64_t values[TERN_METRIC_COUNT];
    uint64_t faults[TERN_FAULT_COUNT];
};

const struct tern_metric_info *tern_metric_info(enum tern_metric metric);

static inline void tern_metric_add(struct tern_metrics *m, enum tern_metric metric, uint64_t n)
{
    m->values[metric] += n;
}

static inline void tern_metric_set(struct tern_metrics *m, enum tern_metric metric, uint64_t value)
{
    m->values[metric] = value;
}

/* tern_metrics_fault counts a fault, in total and by name. */
void tern_metrics_fault(struct tern_metrics *m, tern_fault fault);

#endif
