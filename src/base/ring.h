/*
 * A bounded queue of equal-sized plain-data elements, first in first out. It allocates once, up to
 * a maximum, growing by doubling from small; push fails when full, which is back-pressure and not
 * an accident.
 */
#ifndef TERN_BASE_RING_H
#define TERN_BASE_RING_H

#include "base/error.h"
#include "base/mem.h"
#include "base/types.h"

struct tern_ring {
    struct tern_mem *mem;
    uint8_t *data;
    size_t element_size;
    size_t capacity;     /* elements there is room for now: 0 or a power of two */
    size_t capacity_max; /* a power of two */
    size_t head;         /* index of the oldest, not wrapped */
    size_t count;
};

/* tern_ring_init: capacity_max is rounded up to a power of two. Allocates nothing. */
void tern_ring_init(struct tern_ring *ring, struct tern_mem *mem, size_t element_size,
                    size_t capacity_max);
void tern_ring_fini(struct tern_ring *ring);

/* tern_ring_reserve takes all the memory at once, so that push can only fail with FULL.
 * TERN_ERR_MEMORY. */
TERN_NODISCARD tern_err tern_ring_reserve(struct tern_ring *ring);

/* tern_ring_push copies the element in. TERN_ERR_FULL at capacity_max, TERN_ERR_MEMORY. */
TERN_NODISCARD tern_err tern_ring_push(struct tern_ring *ring, const void *element);

/* tern_ring_pop copies the oldest element out; false when empty. */
bool tern_ring_pop(struct tern_ring *ring, void *element);

/* tern_ring_at points at the i-th oldest, NULL when there is none. Valid until the next push or
 * pop. */
void *tern_ring_at(const struct tern_ring *ring, size_t i);

static inline size_t tern_ring_count(const struct tern_ring *ring)
{
    return ring->count;
}

#endif
