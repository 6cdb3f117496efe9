/*
 * Memory comes in through init: each object is given a struct tern_mem and takes all it needs
 * there. Frees are sized, so the account is exact and costs nothing; the account is what "memory of
 * a connection" and the limits are measured by. Every allocation can be made to fail in turn.
 *
 * Not thread safe: one tern_mem belongs to one thread.
 */
#ifndef TERN_BASE_MEM_H
#define TERN_BASE_MEM_H

#include "base/types.h"

/* Chunks of the common capacities (chunk.h) are parked in free lists here and handed out again.
 * Parked bytes are not counted in used. A build with -Dpools=false (TERN_NO_POOLS) parks nothing.
 */
enum { TERN_MEM_POOLS = 4, TERN_MEM_PARKED_MAX = 1 << 20 };

struct tern_mem_pool {
    void *first; /* each parked block begins with a pointer to the next one */
    size_t block_size;
};

struct tern_mem {
    size_t used;       /* bytes held now */
    size_t peak;       /* most bytes ever held */
    size_t limit;      /* refuse above this; 0: no limit */
    uint64_t allocs;   /* allocations asked for so far, failed ones included */
    uint64_t fail_at;  /* make this allocation (counted from 1) fail; 0: none */
    bool fail_onwards; /* and all that follow it */
    size_t parked;     /* bytes in the pools: given back by their owner, not yet to the system */
    size_t parked_max; /* most bytes to park; tern_mem_init sets TERN_MEM_PARKED_MAX */
    struct tern_mem_pool pools[TERN_MEM_POOLS];
};

/* tern_mem_init starts an empty account. */
void tern_mem_init(struct tern_mem *mem, size_t limit);

/* tern_mem_fini checks that nothing is held any more (a leak ends the process) and empties the
 * pools. */
void tern_mem_fini(struct tern_mem *mem);

/* tern_mem_trim gives what is parked in the pools back to the system. */
void tern_mem_trim(struct tern_mem *mem);

/* tern_mem_alloc returns size bytes (uninitialised), or NULL. size > 0. The caller frees them with
 * the same size. */
void *tern_mem_alloc(struct tern_mem *mem, size_t size);

/* tern_mem_zalloc is tern_mem_alloc, zeroed. */
void *tern_mem_zalloc(struct tern_mem *mem, size_t size);

/* tern_mem_realloc resizes; NULL leaves the old block as it was. ptr may be NULL when old_size is
 * 0. */
void *tern_mem_realloc(struct tern_mem *mem, void *ptr, size_t old_size, size_t new_size);

/* tern_mem_free gives back; ptr may be NULL (then size does not count). */
void tern_mem_free(struct tern_mem *mem, void *ptr, size_t size);

/* tern_mem_dup copies a view's bytes to the heap; NULL on failure. view.size > 0. */
uint8_t *tern_mem_dup(struct tern_mem *mem, struct tern_view view);

/* tern_mem_fail_at arms the failure of the n-th allocation from now (1 is the next); 0 disarms. */
void tern_mem_fail_at(struct tern_mem *mem, uint64_t n, bool onwards);

/* tern_mem_take is tern_mem_alloc that looks in the pool first; tern_mem_park is tern_mem_free that
 * keeps the block there if it may. All blocks of one pool have one size. Counted, limited and made
 * to fail as any allocation. pool < TERN_MEM_POOLS. */
void *tern_mem_take(struct tern_mem *mem, uint32_t pool, size_t size);
void tern_mem_park(struct tern_mem *mem, uint32_t pool, void *ptr, size_t size);

#endif
