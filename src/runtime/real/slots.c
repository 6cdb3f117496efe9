/*
 * The ids of open links and sockets: a slot that is used again, and how often it was used.
 */
#include <stdlib.h>

#include "base/check.h"
#include "runtime/real/loop_private.h"

static bool slots_grow(struct tern_loop *loop)
{
    size_t capacity = loop->slots_capacity == 0 ? 64 : loop->slots_capacity * 2;
    struct loop_slot *slots = realloc(loop->slots, capacity * sizeof *slots);
    if (slots == NULL)
        return false;
    loop->slots = slots;
    uint32_t *free_slots = realloc(loop->free_slots, capacity * sizeof *free_slots);
    if (free_slots == NULL)
        return false;
    loop->free_slots = free_slots;
    for (size_t i = capacity; i > loop->slots_capacity; i--) {
        loop->slots[i - 1] = (struct loop_slot){.link = NULL};
        loop->free_slots[loop->free_slots_count++] = (uint32_t)(i - 1);
    }
    loop->slots_capacity = capacity;
    return true;
}

/* The lowest free slot is on top after growth; a slot's generation goes up with each use. */
bool loop_slot_take(struct tern_loop *loop, struct loop_slot what, tern_link_id *id)
{
    TERN_DCHECK((what.link == NULL) != (what.socket == NULL));
    if (loop->free_slots_count == 0 && !slots_grow(loop))
        return false;
    uint32_t slot = loop->free_slots[--loop->free_slots_count];
    what.generation = loop->slots[slot].generation + 1;
    loop->slots[slot] = what;
    *id = (uint64_t)what.generation << 32 | slot;
    return true;
}

void loop_slot_give(struct tern_loop *loop, tern_link_id id)
{
    TERN_CHECK(loop_slot_find(loop, id) != NULL);
    uint32_t slot = tern_link_slot(id);
    loop->slots[slot].link = NULL;
    loop->slots[slot].socket = NULL;
    loop->free_slots[loop->free_slots_count++] = slot;
}

const struct loop_slot *loop_slot_find(const struct tern_loop *loop, tern_link_id id)
{
    uint32_t slot = tern_link_slot(id);
    if (slot >= loop->slots_capacity || loop->slots[slot].generation != (uint32_t)(id >> 32))
        return NULL;
    const struct loop_slot *found = &loop->slots[slot];
    return found->link == NULL && found->socket == NULL ? NULL : found;
}
