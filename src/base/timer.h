/*
 * Timer queue: a 4-ary heap ordered by (deadline, sequence), so equal deadlines fire in the order
 * in which they were set, in every run. Each object owns one timer and re-arms it lazily.
 */
#ifndef TERN_BASE_TIMER_H
#define TERN_BASE_TIMER_H

#include "base/error.h"
#include "base/mem.h"
#include "base/types.h"

struct tern_timer {
    tern_time deadline;
    uint64_t sequence;
    size_t heap_index; /* SIZE_MAX when not queued */
};

/* The deadline stands beside the pointer, so that sifting seldom touches the timers themselves. */
struct tern_timer_slot {
    tern_time deadline;
    struct tern_timer *timer;
};

struct tern_timer_queue {
    struct tern_mem *mem;
    struct tern_timer_slot *heap;
    size_t count;
    size_t capacity;
    uint64_t sequence_next;
};

void tern_timer_queue_init(struct tern_timer_queue *queue, struct tern_mem *mem);
void tern_timer_queue_fini(struct tern_timer_queue *queue);

void tern_timer_init(struct tern_timer *timer);

static inline bool tern_timer_armed(const struct tern_timer *timer)
{
    return timer->heap_index != SIZE_MAX;
}

/* tern_timer_set arms the timer, or moves it if it is armed; TERN_TIME_NEVER disarms it.
 * TERN_ERR_MEMORY: the heap could not grow; the timer is as before. Moving never fails. */
TERN_NODISCARD tern_err tern_timer_set(struct tern_timer_queue *queue, struct tern_timer *timer,
                                       tern_time deadline);

/* tern_timer_cancel disarms; idempotent. Must be called before the timer's owner is freed. */
void tern_timer_cancel(struct tern_timer_queue *queue, struct tern_timer *timer);

/* tern_timer_pop disarms and returns the first timer whose deadline is at or before now, or NULL.
 */
struct tern_timer *tern_timer_pop(struct tern_timer_queue *queue, tern_time now);

/* tern_timer_next is the earliest deadline, or TERN_TIME_NEVER. */
tern_time tern_timer_next(const struct tern_timer_queue *queue);

#endif
