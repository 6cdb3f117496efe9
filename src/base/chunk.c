#include "base/chunk.h"

/* Capacities that are recycled; a capacity within the top quarter of a class is rounded up to it.
 */
static const uint32_t chunk_classes[TERN_MEM_POOLS] = {2 << 10, 16 << 10, 64 << 10, 256 << 10};

enum { CHUNK_CLASS_NONE = TERN_MEM_POOLS };

static uint32_t chunk_class(size_t capacity)
{
    for (uint32_t i = 0; i < TERN_MEM_POOLS; i++) {
        if (capacity <= chunk_classes[i])
            return capacity > chunk_classes[i] / 4 * 3 ? i : CHUNK_CLASS_NONE;
    }
    return CHUNK_CLASS_NONE;
}

struct tern_chunk *tern_chunk_new(struct tern_mem *mem, size_t capacity)
{
    if (capacity > TERN_CHUNK_CAPACITY_MAX)
        return NULL;
    uint32_t class = chunk_class(capacity);
    struct tern_chunk *chunk;
    if (class == CHUNK_CLASS_NONE) {
        chunk = tern_mem_alloc(mem, sizeof(*chunk) + capacity);
    } else {
        capacity = chunk_classes[class];
        chunk = tern_mem_take(mem, class, sizeof(*chunk) + capacity);
    }
    if (chunk == NULL)
        return NULL;
    chunk->mem = mem;
    chunk->refs = 1;
    chunk->capacity = (uint32_t)capacity;
    chunk->size = 0;
    chunk->class = class;
    return chunk;
}

struct tern_chunk *tern_chunk_copy(struct tern_mem *mem, struct tern_view view)
{
    struct tern_chunk *chunk = tern_chunk_new(mem, view.size);
    if (chunk == NULL)
        return NULL;
    tern_copy(chunk->data, view.data, view.size);
    chunk->size = (uint32_t)view.size;
    return chunk;
}

void tern_chunk_unref(struct tern_chunk *chunk)
{
    if (chunk == NULL)
        return;
    TERN_CHECK(chunk->refs > 0);
    if (--chunk->refs > 0)
        return;
    size_t size = sizeof(*chunk) + chunk->capacity;
    if (chunk->class == CHUNK_CLASS_NONE)
        tern_mem_free(chunk->mem, chunk, size);
    else
        tern_mem_park(chunk->mem, chunk->class, chunk, size);
}

struct tern_slice tern_slice_keep(struct tern_mem *mem, struct tern_slice slice, bool *ok)
{
    *ok = true;
    struct tern_slice kept = {.chunk = NULL};
    if (slice.view.size == 0)
        return kept;
    if (slice.chunk != NULL && slice.view.size >= slice.chunk->capacity / 4) {
        kept.chunk = tern_chunk_ref(slice.chunk);
        kept.view = slice.view;
        return kept;
    }
    kept.chunk = tern_chunk_copy(mem, slice.view);
    *ok = kept.chunk != NULL;
    if (*ok)
        kept.view = tern_chunk_view(kept.chunk);
    return kept;
}
