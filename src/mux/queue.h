/*
 * A queue of bytes as segments of chunks: what a stream received and nobody consumed, and what was
 * written and not sent. Small pieces are merged into the last chunk, large ones are references.
 *
 * A segment owns a reference on its chunk. Segments come from a free list that all streams of a
 * session share, so that a busy session allocates nothing per frame.
 */
#ifndef TERN_MUX_QUEUE_H
#define TERN_MUX_QUEUE_H

#include "base/chunk.h"
#include "base/writer.h"

struct tern_mux_segment {
    struct tern_mux_segment *next;
    struct tern_chunk *chunk;
    uint32_t offset;
    uint32_t size;
};

struct tern_mux_queue {
    struct tern_mux_segment *first;
    struct tern_mux_segment *last; /* meaningful when first is not NULL */
    size_t size;                   /* bytes in all segments */
};

/* Free segments kept by a session; the rest goes back to mem. */
enum { TERN_MUX_SEGMENTS_KEPT = 32 };

struct tern_mux_pool {
    struct tern_mem *mem;
    struct tern_mux_segment *free;
    uint32_t free_count;
};

/* tern_mux_pool_trim frees the kept segments. */
void tern_mux_pool_trim(struct tern_mux_pool *pool);

/* Slices below COPY_MAX are always copied. PUT_MAX is the most that put copies at once. */
enum { TERN_MUX_COPY_MAX = 512, TERN_MUX_PUT_MAX = 64 << 10 };

/* tern_mux_queue_put appends a copy, all or nothing. False: no memory. */
bool tern_mux_queue_put(struct tern_mux_pool *pool, struct tern_mux_queue *queue,
                        struct tern_view bytes);

/* tern_mux_queue_copy appends a copy and returns how much of it: less than all only for want of
 * memory. */
size_t tern_mux_queue_copy(struct tern_mux_pool *pool, struct tern_mux_queue *queue,
                           struct tern_view bytes);

/* tern_mux_queue_keep appends a slice, by reference or by copy as tern_slice_keep would decide.
 * False: no memory; a part may have been appended. */
bool tern_mux_queue_keep(struct tern_mux_pool *pool, struct tern_mux_queue *queue,
                         struct tern_slice slice);

/* tern_mux_queue_refer appends by reference. False: no memory. slice.chunk is set, size > 0. */
bool tern_mux_queue_refer(struct tern_mux_pool *pool, struct tern_mux_queue *queue,
                          struct tern_slice slice);

/* tern_mux_queue_front views the oldest segment, which the queue goes on owning. Not empty. */
struct tern_slice tern_mux_queue_front(const struct tern_mux_queue *queue);

/* tern_mux_queue_drop drops the oldest size bytes; size is at most queue->size. */
void tern_mux_queue_drop(struct tern_mux_pool *pool, struct tern_mux_queue *queue, size_t size);

/* tern_mux_queue_take moves the oldest size bytes to out, which has room. */
void tern_mux_queue_take(struct tern_mux_pool *pool, struct tern_mux_queue *queue, size_t size,
                         struct tern_writer *out);

/* tern_mux_queue_cut drops all but the oldest size bytes; size is at most queue->size. */
void tern_mux_queue_cut(struct tern_mux_pool *pool, struct tern_mux_queue *queue, size_t size);

/* tern_mux_queue_move moves the oldest size bytes to the end of another queue, by reference unless
 * they are few; all or nothing. False: no memory. */
bool tern_mux_queue_move(struct tern_mux_pool *pool, struct tern_mux_queue *from,
                         struct tern_mux_queue *to, size_t size);

void tern_mux_queue_clear(struct tern_mux_pool *pool, struct tern_mux_queue *queue);

#endif
