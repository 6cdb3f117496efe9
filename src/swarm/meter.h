/*
 * How much passes, and how fast: bytes in each direction, and their rate as exponentially weighted
 * averages over 1, 10 and 60 seconds. Counting is an addition; the averages are brought up to date
 * when METER_STEP_NS has passed since the last time, or when somebody asks.
 *
 * Pure, not thread safe.
 */
#ifndef TERN_SWARM_METER_H
#define TERN_SWARM_METER_H

#include "base/types.h"

enum tern_direction { TERN_IN, TERN_OUT, TERN_DIRECTIONS };

/* Windows of the averages. */
enum tern_rate_window { TERN_RATE_1S, TERN_RATE_10S, TERN_RATE_60S, TERN_RATE_WINDOWS };

struct swarm_meter {
    tern_time at; /* the averages are as of then */
    uint64_t bytes[TERN_DIRECTIONS];
    uint32_t pending[TERN_DIRECTIONS]; /* bytes since */
    float rates[TERN_DIRECTIONS][TERN_RATE_WINDOWS];
};

#define SWARM_METER_STEP_NS (100 * TERN_MILLISECOND)

/* tern_meter_fold brings the averages up to date. */
void tern_meter_fold(struct swarm_meter *meter, tern_time now);

static inline void tern_meter_add(struct swarm_meter *meter, tern_time now,
                                  enum tern_direction direction, size_t size)
{
    meter->bytes[direction] += size;
    if (TERN_UNLIKELY(now - meter->at >= SWARM_METER_STEP_NS))
        tern_meter_fold(meter, now);
    uint64_t pending = (uint64_t)meter->pending[direction] + size;
    meter->pending[direction] = pending > UINT32_MAX ? UINT32_MAX : (uint32_t)pending;
}

/* What a meter says: bytes, and bytes a second by window. */
struct tern_traffic {
    uint64_t bytes[TERN_DIRECTIONS];
    uint64_t rates[TERN_DIRECTIONS][TERN_RATE_WINDOWS];
};

void tern_meter_read(const struct swarm_meter *meter, tern_time now, struct tern_traffic *traffic);

#endif
