/*
 * A table of objects known by handle: slot in the low half, generation in the high half. A slot
 * that is used again has another generation, so a stale handle finds nothing. Handles are never 0.
 */
#ifndef TERN_SWARM_SLOTS_H
#define TERN_SWARM_SLOTS_H

#include "base/error.h"
#include "base/mem.h"
#include "base/types.h"

struct tern_slot {
    void *item; /* NULL: free */
    uint32_t generation;
    uint32_t next_free; /* slot + 1; 0: none */
};

struct tern_slots {
    struct tern_mem *mem;
    struct tern_slot *slots;
    uint32_t capacity;
    uint32_t capacity_max;
    uint32_t count;      /* items */
    uint32_t free_first; /* slot + 1; 0: none */
};

/* tern_slots_init: at most capacity_max items. Allocates nothing. */
void tern_slots_init(struct tern_slots *slots, struct tern_mem *mem, uint32_t capacity_max);
void tern_slots_fini(struct tern_slots *slots);

/* tern_slots_add gives the item a handle. TERN_ERR_FULL at capacity_max, TERN_ERR_MEMORY. */
TERN_NODISCARD tern_err tern_slots_add(struct tern_slots *slots, void *item, uint64_t *handle);

/* tern_slots_find returns the item, or NULL for a stale handle, or any number at all. */
void *tern_slots_find(const struct tern_slots *slots, uint64_t handle);

/* tern_slots_remove takes the item out (it must be in); its handle is stale from now on. */
void tern_slots_remove(struct tern_slots *slots, uint64_t handle);

#endif
