#include "base/ring.h"

#include "base/check.h"

enum { RING_CAPACITY_MIN = 4 };

void tern_ring_init(struct tern_ring *ring, struct tern_mem *mem, size_t element_size,
                    size_t capacity_max)
{
    TERN_CHECK(element_size > 0 && capacity_max > 0);
    size_t rounded = 1;
    while (rounded < capacity_max) {
        TERN_CHECK(rounded <= SIZE_MAX / 2 / element_size);
        rounded *= 2;
    }
    *ring = (struct tern_ring){.mem = mem, .element_size = element_size, .capacity_max = rounded};
}

void tern_ring_fini(struct tern_ring *ring)
{
    tern_mem_free(ring->mem, ring->data, ring->capacity * ring->element_size);
    ring->data = NULL;
    ring->capacity = 0;
    ring->head = 0;
    ring->count = 0;
}

static uint8_t *ring_slot(const struct tern_ring *ring, size_t i)
{
    return ring->data + ((ring->head + i) & (ring->capacity - 1)) * ring->element_size;
}

static tern_err ring_grow(struct tern_ring *ring)
{
    if (ring->capacity == ring->capacity_max)
        return TERN_ERR_FULL;
    size_t capacity = ring->capacity * 2;
    if (ring->capacity == 0)
        capacity = tern_min_size(RING_CAPACITY_MIN, ring->capacity_max);
    uint8_t *data = tern_mem_alloc(ring->mem, capacity * ring->element_size);
    if (data == NULL)
        return TERN_ERR_MEMORY;
    for (size_t i = 0; i < ring->count; i++)
        memcpy(data + i * ring->element_size, ring_slot(ring, i), ring->element_size);
    tern_mem_free(ring->mem, ring->data, ring->capacity * ring->element_size);
    ring->data = data;
    ring->capacity = capacity;
    ring->head = 0;
    return TERN_OK;
}

tern_err tern_ring_reserve(struct tern_ring *ring)
{
    while (ring->capacity < ring->capacity_max)
        TERN_TRY(ring_grow(ring));
    return TERN_OK;
}

tern_err tern_ring_push(struct tern_ring *ring, const void *element)
{
    if (ring->count == ring->capacity)
        TERN_TRY(ring_grow(ring));
    memcpy(ring_slot(ring, ring->count), element, ring->element_size);
    ring->count++;
    return TERN_OK;
}

bool tern_ring_pop(struct tern_ring *ring, void *element)
{
    if (ring->count == 0)
        return false;
    memcpy(element, ring_slot(ring, 0), ring->element_size);
    ring->head = (ring->head + 1) & (ring->capacity - 1);
    ring->count--;
    return true;
}

void *tern_ring_at(const struct tern_ring *ring, size_t i)
{
    return i < ring->count ? ring_slot(ring, i) : NULL;
}
