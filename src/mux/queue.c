#include "mux/queue.h"

/* Capacities of the chunks that copies go to: those that base keeps pools of. */
enum { QUEUE_SMALL = 2 << 10, QUEUE_MIDDLE = 16 << 10, QUEUE_LARGE = TERN_MUX_PUT_MAX };

void tern_mux_pool_trim(struct tern_mux_pool *pool)
{
    while (pool->free != NULL) {
        struct tern_mux_segment *segment = pool->free;
        pool->free = segment->next;
        pool->free_count--;
        tern_mem_free(pool->mem, segment, sizeof *segment);
    }
    TERN_CHECK(pool->free_count == 0);
}

static struct tern_mux_segment *queue_segment_new(struct tern_mux_pool *pool)
{
    struct tern_mux_segment *segment = pool->free;
    if (segment == NULL)
        return tern_mem_alloc(pool->mem, sizeof *segment);
    pool->free = segment->next;
    pool->free_count--;
    return segment;
}

static void queue_segment_free(struct tern_mux_pool *pool, struct tern_mux_segment *segment)
{
    if (pool->free_count >= TERN_MUX_SEGMENTS_KEPT) {
        tern_mem_free(pool->mem, segment, sizeof *segment);
        return;
    }
    segment->next = pool->free;
    pool->free = segment;
    pool->free_count++;
}

/* queue_append takes over the caller's reference on the chunk if it succeeds. */
static bool queue_append(struct tern_mux_pool *pool, struct tern_mux_queue *queue,
                         struct tern_chunk *chunk, uint32_t offset, uint32_t size)
{
    struct tern_mux_segment *segment = queue_segment_new(pool);
    if (segment == NULL)
        return false;
    *segment = (struct tern_mux_segment){.chunk = chunk, .offset = offset, .size = size};
    if (queue->first == NULL)
        queue->first = segment;
    else
        queue->last->next = segment;
    queue->last = segment;
    queue->size += size;
    return true;
}

/* queue_tail_room is how many bytes can be added to the last chunk: none if anybody else
 * holds it, for then it is immutable. */
static size_t queue_tail_room(const struct tern_mux_queue *queue)
{
    if (queue->first == NULL)
        return 0;
    const struct tern_mux_segment *last = queue->last;
    const struct tern_chunk *chunk = last->chunk;
    if (chunk->refs != 1 || last->offset + last->size != chunk->size)
        return 0;
    return chunk->capacity - chunk->size;
}

static void queue_extend(struct tern_mux_queue *queue, struct tern_mux_segment *segment,
                         struct tern_view bytes)
{
    struct tern_chunk *chunk = segment->chunk;
    TERN_CHECK(bytes.size <= chunk->capacity - chunk->size);
    if (bytes.size == 0)
        return;
    memcpy(chunk->data + chunk->size, bytes.data, bytes.size);
    chunk->size += (uint32_t)bytes.size;
    segment->size += (uint32_t)bytes.size;
    queue->size += bytes.size;
}

/* queue_grow appends an empty chunk to copy to. A queue that has grown gets larger ones, so
 * the count of segments stays in proportion to the bytes. */
static bool queue_grow(struct tern_mux_pool *pool, struct tern_mux_queue *queue, size_t size)
{
    size_t expected = tern_max_size(size, queue->size);
    size_t capacity = QUEUE_LARGE;
    if (expected <= QUEUE_SMALL)
        capacity = QUEUE_SMALL;
    else if (expected <= QUEUE_MIDDLE)
        capacity = QUEUE_MIDDLE;
    struct tern_chunk *chunk = tern_chunk_new(pool->mem, capacity);
    if (chunk == NULL)
        return false;
    if (queue_append(pool, queue, chunk, 0, 0))
        return true;
    tern_chunk_unref(chunk);
    return false;
}

bool tern_mux_queue_put(struct tern_mux_pool *pool, struct tern_mux_queue *queue,
                        struct tern_view bytes)
{
    TERN_CHECK(bytes.size <= TERN_MUX_PUT_MAX);
    if (bytes.size == 0)
        return true;
    size_t head = tern_min_size(queue_tail_room(queue), bytes.size);
    struct tern_mux_segment *tail = queue->last;
    if (head < bytes.size && !queue_grow(pool, queue, bytes.size - head))
        return false;
    if (head > 0)
        queue_extend(queue, tail, tern_view_of(bytes.data, head));
    if (head < bytes.size)
        queue_extend(queue, queue->last, tern_view_of(bytes.data + head, bytes.size - head));
    return true;
}

size_t tern_mux_queue_copy(struct tern_mux_pool *pool, struct tern_mux_queue *queue,
                           struct tern_view bytes)
{
    size_t done = 0;
    while (done < bytes.size) {
        size_t part = tern_min_size(TERN_MUX_PUT_MAX, bytes.size - done);
        if (!tern_mux_queue_put(pool, queue, tern_view_of(bytes.data + done, part)))
            break;
        done += part;
    }
    return done;
}

bool tern_mux_queue_refer(struct tern_mux_pool *pool, struct tern_mux_queue *queue,
                          struct tern_slice slice)
{
    TERN_CHECK(slice.chunk != NULL && slice.view.size > 0);
    TERN_CHECK(slice.view.data >= slice.chunk->data);
    size_t offset = (size_t)(slice.view.data - slice.chunk->data);
    TERN_CHECK(offset <= slice.chunk->capacity);
    TERN_CHECK(slice.view.size <= slice.chunk->capacity - offset);
    if (!queue_append(pool, queue, slice.chunk, (uint32_t)offset, (uint32_t)slice.view.size))
        return false;
    tern_chunk_ref(slice.chunk);
    return true;
}

bool tern_mux_queue_keep(struct tern_mux_pool *pool, struct tern_mux_queue *queue,
                         struct tern_slice slice)
{
    if (slice.view.size == 0)
        return true;
    /* The rule of tern_slice_keep, but small pieces are always copied: they merge, and a reference
     * would cost more. */
    bool small = slice.view.size < TERN_MUX_COPY_MAX;
    if (!small && slice.chunk != NULL && slice.view.size >= slice.chunk->capacity / 4)
        return tern_mux_queue_refer(pool, queue, slice);
    return tern_mux_queue_copy(pool, queue, slice.view) == slice.view.size;
}

struct tern_slice tern_mux_queue_front(const struct tern_mux_queue *queue)
{
    TERN_CHECK(queue->first != NULL);
    const struct tern_mux_segment *segment = queue->first;
    return (struct tern_slice){
        .chunk = segment->chunk,
        .view = tern_view_of(segment->chunk->data + segment->offset, segment->size),
    };
}

void tern_mux_queue_drop(struct tern_mux_pool *pool, struct tern_mux_queue *queue, size_t size)
{
    TERN_CHECK(size <= queue->size);
    queue->size -= size;
    while (size > 0) {
        struct tern_mux_segment *segment = queue->first;
        if (size < segment->size) {
            segment->offset += (uint32_t)size;
            segment->size -= (uint32_t)size;
            return;
        }
        size -= segment->size;
        queue->first = segment->next;
        tern_chunk_unref(segment->chunk);
        queue_segment_free(pool, segment);
    }
}

void tern_mux_queue_take(struct tern_mux_pool *pool, struct tern_mux_queue *queue, size_t size,
                         struct tern_writer *out)
{
    TERN_CHECK(size <= queue->size && size <= tern_writer_left(out));
    while (size > 0) {
        struct tern_view front = tern_mux_queue_front(queue).view;
        size_t part = tern_min_size(front.size, size);
        tern_writer_bytes(out, tern_view_of(front.data, part));
        tern_mux_queue_drop(pool, queue, part);
        size -= part;
    }
    TERN_CHECK(tern_writer_ok(out));
}

void tern_mux_queue_cut(struct tern_mux_pool *pool, struct tern_mux_queue *queue, size_t size)
{
    TERN_CHECK(size <= queue->size);
    struct tern_mux_segment **link = &queue->first;
    struct tern_mux_segment *last = NULL;
    size_t left = size;
    while (left > 0) {
        last = *link;
        if (last->size > left)
            last->size = (uint32_t)left;
        left -= last->size;
        link = &last->next;
    }
    struct tern_mux_segment *gone = *link;
    *link = NULL;
    while (gone != NULL) {
        struct tern_mux_segment *next = gone->next;
        tern_chunk_unref(gone->chunk);
        queue_segment_free(pool, gone);
        gone = next;
    }
    queue->last = last;
    queue->size = size;
}

/* queue_split cuts a segment in two, the first of which has size bytes. False: no memory. */
static bool queue_split(struct tern_mux_pool *pool, struct tern_mux_queue *queue,
                        struct tern_mux_segment *segment, uint32_t size)
{
    struct tern_mux_segment *rest = queue_segment_new(pool);
    if (rest == NULL)
        return false;
    *rest = (struct tern_mux_segment){.next = segment->next,
                                      .chunk = tern_chunk_ref(segment->chunk),
                                      .offset = segment->offset + size,
                                      .size = segment->size - size};
    if (queue->last == segment)
        queue->last = rest;
    segment->next = rest;
    segment->size = size;
    return true;
}

/* queue_move_small copies: small pieces merge, and would each pin a chunk. */
static bool queue_move_small(struct tern_mux_pool *pool, struct tern_mux_queue *from,
                             struct tern_mux_queue *to, size_t size)
{
    uint8_t buffer[TERN_MUX_COPY_MAX];
    size_t done = 0;
    for (const struct tern_mux_segment *at = from->first; done < size; at = at->next) {
        size_t part = tern_min_size(size - done, at->size);
        memcpy(buffer + done, at->chunk->data + at->offset, part);
        done += part;
    }
    if (!tern_mux_queue_put(pool, to, tern_view_of(buffer, size)))
        return false;
    tern_mux_queue_drop(pool, from, size);
    return true;
}

bool tern_mux_queue_move(struct tern_mux_pool *pool, struct tern_mux_queue *from,
                         struct tern_mux_queue *to, size_t size)
{
    TERN_CHECK(size <= from->size);
    if (size < TERN_MUX_COPY_MAX)
        return size == 0 || queue_move_small(pool, from, to, size);
    size_t left = size;
    struct tern_mux_segment *last = from->first;
    for (; left > last->size; last = last->next)
        left -= last->size;
    if (left < last->size && !queue_split(pool, from, last, (uint32_t)left))
        return false;
    struct tern_mux_segment *first = from->first;
    from->first = last->next;
    from->size -= size;
    last->next = NULL;
    if (to->first == NULL)
        to->first = first;
    else
        to->last->next = first;
    to->last = last;
    to->size += size;
    return true;
}

void tern_mux_queue_clear(struct tern_mux_pool *pool, struct tern_mux_queue *queue)
{
    while (queue->first != NULL) {
        struct tern_mux_segment *segment = queue->first;
        queue->first = segment->next;
        tern_chunk_unref(segment->chunk);
        queue_segment_free(pool, segment);
    }
    *queue = (struct tern_mux_queue){.size = 0};
}
