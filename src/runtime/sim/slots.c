/* The ids of a node's open links and sockets: a slot that is used again, and how often it was. */
#include "base/check.h"
#include "runtime/sim/world_private.h"

static void *slots_resize(struct sim_node *node, void *block, size_t item, size_t capacity)
{
    void *moved =
        tern_mem_realloc(&node->world->mem, block, node->slots_capacity * item, capacity * item);
    TERN_CHECK(moved != NULL);
    return moved;
}

static void slots_grow(struct sim_node *node)
{
    size_t capacity = node->slots_capacity == 0 ? 8 : node->slots_capacity * 2;
    node->slots = slots_resize(node, node->slots, sizeof(*node->slots), capacity);
    node->free_slots = slots_resize(node, node->free_slots, sizeof(uint32_t), capacity);
    for (size_t i = capacity; i > node->slots_capacity; i--) {
        node->slots[i - 1] = (struct sim_slot){.end = NULL};
        node->free_slots[node->free_slots_count++] = (uint32_t)(i - 1);
    }
    node->slots_capacity = capacity;
}

tern_link_id sim_slot_take(struct sim_node *node, struct sim_slot what)
{
    if (node->free_slots_count == 0)
        slots_grow(node);
    uint32_t slot = node->free_slots[--node->free_slots_count];
    what.generation = node->slots[slot].generation + 1;
    node->slots[slot] = what;
    return (uint64_t)what.generation << 32 | slot;
}

void sim_slot_give(struct sim_node *node, tern_link_id id)
{
    TERN_CHECK(sim_slot_find(node, id) != NULL);
    struct sim_slot *slot = &node->slots[tern_link_slot(id)];
    slot->end = NULL;
    slot->socket = NULL;
    node->free_slots[node->free_slots_count++] = tern_link_slot(id);
}

const struct sim_slot *sim_slot_find(const struct sim_node *node, tern_link_id id)
{
    uint32_t slot = tern_link_slot(id);
    if (slot >= node->slots_capacity || node->slots[slot].generation != (uint32_t)(id >> 32))
        return NULL;
    const struct sim_slot *found = &node->slots[slot];
    return found->end == NULL && found->socket == NULL ? NULL : found;
}

void sim_slots_free(struct sim_node *node)
{
    struct tern_mem *mem = &node->world->mem;
    tern_mem_free(mem, node->slots, node->slots_capacity * sizeof(*node->slots));
    tern_mem_free(mem, node->free_slots, node->slots_capacity * sizeof(uint32_t));
}
