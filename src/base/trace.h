/*
 * Structured trace: events from one table (trace.def) with up to three numbers. Renderings (text,
 * JSON, the simulator's hash) are made by the sink. With no sink a trace point costs one branch.
 */
#ifndef TERN_BASE_TRACE_H
#define TERN_BASE_TRACE_H

#include "base/types.h"

enum tern_trace_id {
#define X(name, layer, text, a, b, c) TERN_TRACE_##name,
#include "base/trace.def"
#undef X
    TERN_TRACE_COUNT
};

struct tern_trace_event {
    tern_time time;
    enum tern_trace_id id;
    uint32_t node; /* which node, in the simulator; 0 else */
    uint64_t args[3];
};

struct tern_trace_info {
    const char *name;
    const char *layer;
    const char *text;
    const char *arg_names[3];
};

/* A sink belongs to the world outside (a log, a test, the simulator); it must not call back in. */
struct tern_trace {
    void (*sink)(void *context, const struct tern_trace_event *event);
    void *context;
    uint32_t node;
};

const struct tern_trace_info *tern_trace_info(enum tern_trace_id id);

/* tern_trace_emit passes an event to the sink; trace may be NULL. Use the TERN_TRACE macro. */
void tern_trace_emit(const struct tern_trace *trace, tern_time now, enum tern_trace_id id,
                     const uint64_t args[3]);

#define TERN_TRACE(trace, now, id, a, b, c)                                                        \
    do {                                                                                           \
        if ((trace) != NULL && (trace)->sink != NULL)                                              \
            tern_trace_emit((trace), (now), TERN_TRACE_##id,                                       \
                            (const uint64_t[3]){(uint64_t)(a), (uint64_t)(b), (uint64_t)(c)});     \
    } while (0)

#endif
