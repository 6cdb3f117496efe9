#include "quic/quic_mem.h"

#include "base/check.h"

/* Keeps what follows aligned for any type. */
struct mem_header {
    _Alignas(16) size_t size; /* of the whole block */
};

/* mem_grow counts bytes that are about to be taken; false: they are too many. */
static bool mem_grow(struct quic_mem *memory, size_t size)
{
    if (memory->used + size > memory->used_max) {
        memory->refused = true;
        return false;
    }
    memory->used += size;
    return true;
}

static bool mem_too_large(size_t size)
{
    return size == 0 || size > SIZE_MAX / 2;
}

static void *mem_alloc(size_t size, void *user_data)
{
    struct quic_mem *memory = user_data;
    size_t whole = sizeof(struct mem_header) + size;
    if (mem_too_large(size) || !mem_grow(memory, whole))
        return NULL;
    struct mem_header *header = tern_mem_alloc(memory->mem, whole);
    if (header == NULL) {
        memory->used -= whole;
        return NULL;
    }
    header->size = whole;
    return header + 1;
}

static struct mem_header *mem_header(void *ptr)
{
    return (struct mem_header *)ptr - 1;
}

static void mem_free(void *ptr, void *user_data)
{
    struct quic_mem *memory = user_data;
    if (ptr == NULL)
        return;
    struct mem_header *header = mem_header(ptr);
    TERN_CHECK(header->size <= memory->used);
    memory->used -= header->size;
    tern_mem_free(memory->mem, header, header->size);
}

static void *mem_calloc(size_t count, size_t size, void *user_data)
{
    if (size > 0 && count > SIZE_MAX / 2 / size)
        return NULL;
    void *ptr = mem_alloc(count * size, user_data);
    if (ptr != NULL)
        memset(ptr, 0, count * size);
    return ptr;
}

static void *mem_realloc(void *ptr, size_t size, void *user_data)
{
    struct quic_mem *memory = user_data;
    if (ptr == NULL)
        return mem_alloc(size, user_data);
    struct mem_header *header = mem_header(ptr);
    size_t before = header->size;
    size_t whole = sizeof *header + size;
    if (mem_too_large(size) || (whole > before && !mem_grow(memory, whole - before)))
        return NULL;
    header = tern_mem_realloc(memory->mem, header, before, whole);
    if (header == NULL) {
        memory->used -= whole > before ? whole - before : 0;
        return NULL;
    }
    memory->used -= whole < before ? before - whole : 0;
    header->size = whole;
    return header + 1;
}

void quic_mem_init(struct quic_mem *memory, struct tern_mem *mem, size_t used_max)
{
    TERN_CHECK(mem != NULL);
    *memory = (struct quic_mem){.allocator = {.user_data = memory,
                                              .malloc = mem_alloc,
                                              .free = mem_free,
                                              .calloc = mem_calloc,
                                              .realloc = mem_realloc},
                                .mem = mem,
                                .used_max = used_max};
}
