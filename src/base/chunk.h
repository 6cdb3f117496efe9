/*
 * Reference-counted buffers. Received bytes are kept by taking a reference on the chunk that holds
 * them; one published message is one chunk, shared by every stream that sends it. A published chunk
 * (more than one reference) is immutable.
 *
 * Not thread safe, as all of a node's state: a chunk stays on the network thread.
 */
#ifndef TERN_BASE_CHUNK_H
#define TERN_BASE_CHUNK_H

#include "base/check.h"
#include "base/mem.h"
#include "base/types.h"

struct tern_chunk {
    struct tern_mem *mem;
    uint32_t refs;
    uint32_t capacity;
    uint32_t size; /* bytes that are filled */
    uint32_t class;
    uint8_t data[];
};

enum { TERN_CHUNK_CAPACITY_MAX = 1 << 30 };

/* tern_chunk_new makes an empty chunk with room for capacity bytes and one reference; NULL: no
 * memory. */
struct tern_chunk *tern_chunk_new(struct tern_mem *mem, size_t capacity);

/* tern_chunk_copy makes a chunk that holds a copy of the view; NULL: no memory. */
struct tern_chunk *tern_chunk_copy(struct tern_mem *mem, struct tern_view view);

static inline struct tern_chunk *tern_chunk_ref(struct tern_chunk *chunk)
{
    TERN_DCHECK(chunk->refs > 0 && chunk->refs < UINT32_MAX);
    chunk->refs++;
    return chunk;
}

/* tern_chunk_unref drops a reference and frees the chunk with the last one; NULL is allowed. */
void tern_chunk_unref(struct tern_chunk *chunk);

static inline struct tern_view tern_chunk_view(const struct tern_chunk *chunk)
{
    return tern_view_of(chunk->data, chunk->size);
}

/* A slice is a part of a chunk. It owns one reference when it is stored; the comment of whoever
 * stores it says so. A slice with chunk NULL borrows its bytes. */
struct tern_slice {
    struct tern_chunk *chunk;
    struct tern_view view;
};

/* tern_slice_keep returns an owned slice of the same bytes. Bytes that are at least a quarter of
 * their chunk are kept by reference; smaller ones are copied, so that a few bytes never pin a large
 * chunk. *ok is false when there is no memory. */
struct tern_slice tern_slice_keep(struct tern_mem *mem, struct tern_slice slice, bool *ok);

static inline void tern_slice_release(struct tern_slice *slice)
{
    tern_chunk_unref(slice->chunk);
    *slice = (struct tern_slice){.chunk = NULL};
}

#endif
