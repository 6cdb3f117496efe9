/*
 * A queue of bytes as segments of chunks: what a stream received and nobody consumed, and what was
 * written and not sent. Small pieces are merged into the last chunk, large ones are references.
 *
 * A segment owns a reference on its chunk. Segments come from a free list that all streams of a
 * session share, so that a busy session allocates nothing per frame.
 */
#ifndef TERN_MUX_YAMUX_QUEUE_H
#define TERN_MUX_YAMUX_QUEUE_H

#include "base/chunk.h"
#include "base/writer.h"

struct tern_yamux_segment {
    struct tern_yamux_segment *next;
    struct tern_chunk *chunk;
    uint32_t offset;
    uint32_t size;
};

struct tern_yamux_queue {
    struct tern_yamux_segment *first;
    struct tern_yamux_segment *last; /* meaningful when first is not NULL */
    size_t size;                     /* bytes in all segments */
};

/* Free segments kept by a session; the rest goes back to mem. */
enum { TERN_YAMUX_SEGMENTS_KEPT = 32 };

struct tern_yamux_pool {
    struct tern_mem *mem;
    struct tern_yamux_segment *free;
    uint32_t free_count;
};

/* tern_yamux_pool_trim frees the kept segments. */
void tern_yamux_pool_trim(struct tern_yamux_pool *pool);

/* Slices below COPY_MAX are always copied. PUT_MAX is the most that put copies at once. */
enum { TERN_YAMUX_COPY_MAX = 512, TERN_YAMUX_PUT_MAX = 64 << 10 };

/* tern_yamux_queue_put appends a copy, all or nothing. False: no memory. */
bool tern_yamux_queue_put(struct tern_yamux_pool *pool, struct tern_yamux_queue *queue,
                          struct tern_view bytes);

/* tern_yamux_queue_copy appends a copy and returns how much of it: less than all only for want of
 * memory. */
size_t tern_yamux_queue_copy(struct tern_yamux_pool *pool, struct tern_yamux_queue *queue,
                             struct tern_view bytes);

/* tern_yamux_queue_keep appends a slice, by reference or by copy as tern_slice_keep would decide.
 * False: no memory; a part may have been appended. */
bool tern_yamux_queue_keep(struct tern_yamux_pool *pool, struct tern_yamux_queue *queue,
                           struct tern_slice slice);

/* tern_yamux_queue_refer appends by reference. False: no memory. slice.chunk is set, size > 0. */
bool tern_yamux_queue_refer(struct tern_yamux_pool *pool, struct tern_yamux_queue *queue,
                            struct tern_slice slice);

/* tern_yamux_queue_front views the oldest segment, which the queue goes on owning. Not empty. */
struct tern_slice tern_yamux_queue_front(const struct tern_yamux_queue *queue);

/* tern_yamux_queue_drop drops the oldest size bytes; size is at most queue->size. */
void tern_yamux_queue_drop(struct tern_yamux_pool *pool, struct tern_yamux_queue *queue,
                           size_t size);

/* tern_yamux_queue_take moves the oldest size bytes to out, which has room. */
void tern_yamux_queue_take(struct tern_yamux_pool *pool, struct tern_yamux_queue *queue,
                           size_t size, struct tern_writer *out);

void tern_yamux_queue_clear(struct tern_yamux_pool *pool, struct tern_yamux_queue *queue);

#endif
