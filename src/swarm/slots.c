#include "swarm/slots.h"

#include "base/check.h"

enum { SLOTS_CAPACITY_FIRST = 8 };

void tern_slots_init(struct tern_slots *slots, struct tern_mem *mem, uint32_t capacity_max)
{
    *slots = (struct tern_slots){.mem = mem, .capacity_max = capacity_max};
}

void tern_slots_fini(struct tern_slots *slots)
{
    TERN_CHECK(slots->count == 0);
    tern_mem_free(slots->mem, slots->slots, slots->capacity * sizeof slots->slots[0]);
    slots->slots = NULL;
    slots->capacity = 0;
    slots->free_first = 0;
}

static tern_err slots_grow(struct tern_slots *slots)
{
    if (slots->capacity >= slots->capacity_max)
        return TERN_ERR_FULL;
    uint32_t capacity = slots->capacity == 0 ? SLOTS_CAPACITY_FIRST : slots->capacity * 2;
    if (capacity > slots->capacity_max)
        capacity = slots->capacity_max;
    struct tern_slot *grown =
        tern_mem_realloc(slots->mem, slots->slots, slots->capacity * sizeof slots->slots[0],
                         capacity * sizeof slots->slots[0]);
    if (grown == NULL)
        return TERN_ERR_MEMORY;
    slots->slots = grown;
    for (uint32_t i = capacity; i > slots->capacity; i--) {
        grown[i - 1] = (struct tern_slot){.generation = 1, .next_free = slots->free_first};
        slots->free_first = i;
    }
    slots->capacity = capacity;
    return TERN_OK;
}

tern_err tern_slots_add(struct tern_slots *slots, void *item, uint64_t *handle)
{
    TERN_CHECK(item != NULL);
    if (slots->free_first == 0)
        TERN_TRY(slots_grow(slots));
    uint32_t i = slots->free_first - 1;
    struct tern_slot *slot = &slots->slots[i];
    slots->free_first = slot->next_free;
    slot->item = item;
    slots->count++;
    *handle = (uint64_t)slot->generation << 32 | i;
    return TERN_OK;
}

void *tern_slots_find(const struct tern_slots *slots, uint64_t handle)
{
    uint32_t i = (uint32_t)handle;
    if (i >= slots->capacity || slots->slots[i].generation != handle >> 32)
        return NULL;
    return slots->slots[i].item;
}

void tern_slots_remove(struct tern_slots *slots, uint64_t handle)
{
    TERN_CHECK(tern_slots_find(slots, handle) != NULL);
    uint32_t i = (uint32_t)handle;
    struct tern_slot *slot = &slots->slots[i];
    slot->item = NULL;
    slot->generation = slot->generation == UINT32_MAX ? 1 : slot->generation + 1;
    slot->next_free = slots->free_first;
    slots->free_first = i + 1;
    slots->count--;
}
