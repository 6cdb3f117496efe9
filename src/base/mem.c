#include "base/mem.h"

#include <stdlib.h>

#include "base/check.h"

void tern_mem_init(struct tern_mem *mem, size_t limit)
{
    *mem = (struct tern_mem){.limit = limit, .parked_max = TERN_MEM_PARKED_MAX};
}

void tern_mem_fini(struct tern_mem *mem)
{
    TERN_CHECK(mem->used == 0);
    tern_mem_trim(mem);
}

void tern_mem_trim(struct tern_mem *mem)
{
    for (size_t i = 0; i < TERN_MEM_POOLS; i++) {
        struct tern_mem_pool *pool = &mem->pools[i];
        while (pool->first != NULL) {
            void *block = pool->first;
            memcpy(&pool->first, block, sizeof(void *));
            mem->parked -= pool->block_size;
            free(block);
        }
    }
    TERN_CHECK(mem->parked == 0);
}

/* mem_admit decides whether an allocation may go on that raises the account by growth. */
static bool mem_admit(struct tern_mem *mem, size_t growth)
{
    mem->allocs++;
    if (TERN_UNLIKELY(mem->fail_at != 0)) {
        if (mem->allocs == mem->fail_at || (mem->fail_onwards && mem->allocs > mem->fail_at))
            return false;
    }
    if (mem->limit != 0 && (mem->used > mem->limit || growth > mem->limit - mem->used))
        return false;
    return growth <= SIZE_MAX - mem->used;
}

static void mem_charge(struct tern_mem *mem, size_t size)
{
    mem->used += size;
    if (mem->used > mem->peak)
        mem->peak = mem->used;
}

void *tern_mem_alloc(struct tern_mem *mem, size_t size)
{
    TERN_CHECK(size > 0);
    if (!mem_admit(mem, size))
        return NULL;
    void *ptr = malloc(size);
    if (ptr != NULL)
        mem_charge(mem, size);
    return ptr;
}

void *tern_mem_zalloc(struct tern_mem *mem, size_t size)
{
    TERN_CHECK(size > 0);
    if (!mem_admit(mem, size))
        return NULL;
    void *ptr = calloc(1, size);
    if (ptr != NULL)
        mem_charge(mem, size);
    return ptr;
}

void *tern_mem_realloc(struct tern_mem *mem, void *ptr, size_t old_size, size_t new_size)
{
    TERN_CHECK(new_size > 0);
    TERN_CHECK((ptr == NULL) == (old_size == 0));
    TERN_CHECK(mem->used >= old_size);
    if (!mem_admit(mem, new_size > old_size ? new_size - old_size : 0))
        return NULL;
    void *moved = realloc(ptr, new_size);
    if (moved == NULL)
        return NULL;
    mem->used -= old_size;
    mem_charge(mem, new_size);
    return moved;
}

void tern_mem_free(struct tern_mem *mem, void *ptr, size_t size)
{
    if (ptr == NULL)
        return;
    TERN_CHECK(size > 0 && mem->used >= size);
    mem->used -= size;
    free(ptr);
}

uint8_t *tern_mem_dup(struct tern_mem *mem, struct tern_view view)
{
    uint8_t *copy = tern_mem_alloc(mem, view.size);
    if (copy != NULL)
        memcpy(copy, view.data, view.size);
    return copy;
}

void tern_mem_fail_at(struct tern_mem *mem, uint64_t n, bool onwards)
{
    mem->fail_at = n == 0 ? 0 : mem->allocs + n;
    mem->fail_onwards = onwards && n != 0;
}

void *tern_mem_take(struct tern_mem *mem, uint32_t pool_index, size_t size)
{
    TERN_CHECK(pool_index < TERN_MEM_POOLS && size >= sizeof(void *));
    struct tern_mem_pool *pool = &mem->pools[pool_index];
    void *block = pool->first;
    if (block == NULL)
        return tern_mem_alloc(mem, size);
    TERN_CHECK(size == pool->block_size);
    if (!mem_admit(mem, size))
        return NULL;
    memcpy(&pool->first, block, sizeof(void *));
    mem->parked -= size;
    mem_charge(mem, size);
    return block;
}

void tern_mem_park(struct tern_mem *mem, uint32_t pool_index, void *ptr, size_t size)
{
    TERN_CHECK(pool_index < TERN_MEM_POOLS && ptr != NULL && size >= sizeof(void *));
#ifdef TERN_NO_POOLS
    tern_mem_free(mem, ptr, size);
#else
    struct tern_mem_pool *pool = &mem->pools[pool_index];
    TERN_CHECK(pool->first == NULL || pool->block_size == size);
    if (mem->parked > mem->parked_max || size > mem->parked_max - mem->parked) {
        tern_mem_free(mem, ptr, size);
        return;
    }
    TERN_CHECK(mem->used >= size);
    mem->used -= size;
    mem->parked += size;
    pool->block_size = size;
    memcpy(ptr, &pool->first, sizeof(void *));
    pool->first = ptr;
#endif
}
