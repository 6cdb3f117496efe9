#include "quic/quic_mem.h"

#include "base/check.h"

/* Keeps what follows aligned for any type. */
struct quic_mem_header {
    _Alignas(16) size_t size; /* of the whole block */
};

static void *mem_alloc(size_t size, void *user_data)
{
    if (size == 0 || size > SIZE_MAX - sizeof(struct quic_mem_header))
        return NULL;
    struct quic_mem_header *header = tern_mem_alloc(user_data, sizeof *header + size);
    if (header == NULL)
        return NULL;
    header->size = sizeof *header + size;
    return header + 1;
}

static struct quic_mem_header *mem_header(void *ptr)
{
    return (struct quic_mem_header *)ptr - 1;
}

static void mem_free(void *ptr, void *user_data)
{
    if (ptr == NULL)
        return;
    struct quic_mem_header *header = mem_header(ptr);
    tern_mem_free(user_data, header, header->size);
}

static void *mem_calloc(size_t count, size_t size, void *user_data)
{
    if (size > 0 && count > SIZE_MAX / size)
        return NULL;
    void *ptr = mem_alloc(count * size, user_data);
    if (ptr != NULL)
        memset(ptr, 0, count * size);
    return ptr;
}

static void *mem_realloc(void *ptr, size_t size, void *user_data)
{
    if (ptr == NULL)
        return mem_alloc(size, user_data);
    if (size == 0 || size > SIZE_MAX - sizeof(struct quic_mem_header))
        return NULL;
    struct quic_mem_header *header = mem_header(ptr);
    size_t whole = sizeof *header + size;
    header = tern_mem_realloc(user_data, header, header->size, whole);
    if (header == NULL)
        return NULL;
    header->size = whole;
    return header + 1;
}

void tern_quic_mem_init(ngtcp2_mem *allocator, struct tern_mem *mem)
{
    TERN_CHECK(mem != NULL);
    *allocator = (ngtcp2_mem){.user_data = mem,
                              .malloc = mem_alloc,
                              .free = mem_free,
                              .calloc = mem_calloc,
                              .realloc = mem_realloc};
}
