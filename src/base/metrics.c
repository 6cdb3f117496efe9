#include "base/metrics.h"

#include "base/check.h"

static const struct tern_metric_info metric_infos[TERN_METRIC_COUNT] = {
#define X(name, kind, exported, help)                                                              \
    [TERN_METRIC_##name] = {exported, help, TERN_METRIC_KIND_##kind},
#include "base/metrics.def"
#undef X
};

const struct tern_metric_info *tern_metric_info(enum tern_metric metric)
{
    TERN_CHECK((unsigned)metric < TERN_METRIC_COUNT);
    return &metric_infos[metric];
}

void tern_metrics_fault(struct tern_metrics *m, tern_fault fault)
{
    TERN_CHECK((unsigned)fault < TERN_FAULT_COUNT && fault != TERN_FAULT_NONE);
    m->faults[fault]++;
    m->values[TERN_METRIC_FAULTS]++;
}
