#include "base/trace.h"

#include "base/check.h"

static const struct tern_trace_info trace_infos[TERN_TRACE_COUNT] = {
#define X(name, layer, text, a, b, c) [TERN_TRACE_##name] = {#name, layer, text, {a, b, c}},
#include "base/trace.def"
#undef X
};

const struct tern_trace_info *tern_trace_info(enum tern_trace_id id)
{
    TERN_CHECK((unsigned)id < TERN_TRACE_COUNT);
    return &trace_infos[id];
}

void tern_trace_emit(const struct tern_trace *trace, tern_time now, enum tern_trace_id id,
                     const uint64_t args[3])
{
    TERN_CHECK((unsigned)id < TERN_TRACE_COUNT);
    if (trace == NULL || trace->sink == NULL)
        return;
    struct tern_trace_event event = {
        .time = now, .id = id, .node = trace->node, .args = {args[0], args[1], args[2]}};
    trace->sink(trace->context, &event);
}
