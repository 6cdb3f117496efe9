#include "sim_pair.h"

#include "base/check.h"

enum {
    PAIR_ROOM_DEFAULT = 128 << 10,
    PAIR_BUFFER_DEFAULT = 1 << 20,
    PAIR_SEGMENTS_MAX = 1 << 22,
    PAIR_IDLE_TICKS_MAX = 1000,
};

struct sim_pair_segment {
    struct tern_chunk *chunk;
    size_t offset; /* bytes that the core has taken */
    tern_time arrival;
};

void sim_pair_init(struct sim_pair *pair, const struct sim_pair_options *options, struct sim_core a,
                   struct sim_core b)
{
    *pair = (struct sim_pair){.options = *options};
    if (pair->options.room_max == 0) {
        pair->options.room_min = PAIR_ROOM_DEFAULT;
        pair->options.room_max = PAIR_ROOM_DEFAULT;
    }
    if (pair->options.buffer_max == 0)
        pair->options.buffer_max = PAIR_BUFFER_DEFAULT;
    TERN_CHECK(pair->options.room_min <= pair->options.room_max);
    tern_mem_init(&pair->mem, 0);
    tern_random_init_u64(&pair->random, options->seed);
    pair->scratch = tern_mem_alloc(&pair->mem, pair->options.room_max);
    TERN_CHECK(pair->scratch != NULL);
    pair->sides[0].core = a;
    pair->sides[1].core = b;
    for (unsigned i = 0; i < 2; i++) {
        tern_ring_init(&pair->sides[i].queue, &pair->mem, sizeof(struct sim_pair_segment),
                       PAIR_SEGMENTS_MAX);
    }
}

static void pair_drop(struct sim_pair_side *from)
{
    struct sim_pair_segment segment;
    while (tern_ring_pop(&from->queue, &segment))
        tern_chunk_unref(segment.chunk);
    from->queued_size = 0;
}

void sim_pair_fini(struct sim_pair *pair)
{
    for (unsigned i = 0; i < 2; i++) {
        pair_drop(&pair->sides[i]);
        tern_ring_fini(&pair->sides[i].queue);
    }
    tern_mem_free(&pair->mem, pair->scratch, pair->options.room_max);
    tern_mem_fini(&pair->mem);
}

/* pair_arrival books size bytes on the link and returns when they arrive. */
static tern_time pair_arrival(struct sim_pair *pair, struct sim_pair_side *from, size_t size)
{
    tern_time start = from->busy_until > pair->now ? from->busy_until : pair->now;
    if (pair->options.bytes_per_second > 0)
        start += size * TERN_SECOND / pair->options.bytes_per_second;
    from->busy_until = start;
    tern_time arrival = start + pair->options.latency_ns;
    if (pair->options.jitter_ns > 0)
        arrival += tern_random_below(&pair->random, pair->options.jitter_ns + 1);
    if (arrival < from->last_arrival)
        arrival = from->last_arrival;
    from->last_arrival = arrival;
    return arrival;
}

static void pair_post(struct sim_pair *pair, unsigned side, struct tern_view bytes)
{
    struct sim_pair_side *from = &pair->sides[side];
    struct sim_pair_segment segment = {.chunk = tern_chunk_copy(&pair->mem, bytes)};
    TERN_CHECK(segment.chunk != NULL);
    if (pair->options.tamper != NULL) {
        pair->options.tamper(pair->options.tamper_context, side,
                             (struct tern_span){segment.chunk->data, segment.chunk->size});
    }
    segment.arrival = pair_arrival(pair, from, bytes.size);
    TERN_CHECK(tern_ring_push(&from->queue, &segment) == TERN_OK);
    from->queued_size += bytes.size;
    from->bytes_sent += bytes.size;
    from->segments_sent++;
}

static size_t pair_between(struct sim_pair *pair, size_t low, size_t high)
{
    return low == high ? low : low + (size_t)tern_random_below(&pair->random, high - low + 1);
}

/* pair_pull asks a core for bytes until it has none or the link is full; whether any came. */
static bool pair_pull(struct sim_pair *pair, unsigned side)
{
    struct sim_pair_side *from = &pair->sides[side];
    bool any = false;
    while (!from->ended && from->queued_size < pair->options.buffer_max) {
        size_t room = pair_between(pair, pair->options.room_min, pair->options.room_max);
        struct tern_writer out = tern_writer_of(pair->scratch, room);
        from->core.ops->send(from->core.self, pair->now, &out);
        TERN_CHECK(out.size <= room);
        struct tern_view left = tern_writer_view(&out);
        if (left.size == 0)
            break;
        any = true;
        while (left.size > 0) {
            size_t size = left.size;
            if (pair->options.segment_max > 0)
                size = tern_min_size(size, pair_between(pair, 1, pair->options.segment_max));
            pair_post(pair, side, tern_view_part(left, 0, size));
            left = tern_view_part(left, size, left.size - size);
        }
    }
    return any;
}

/* pair_offer gives the oldest segment, if it has arrived; whether the core took any of it. */
static bool pair_offer(struct sim_pair *pair, unsigned from_side)
{
    struct sim_pair_side *from = &pair->sides[from_side];
    struct sim_pair_side *to = &pair->sides[1 - from_side];
    struct sim_pair_segment *head = tern_ring_at(&from->queue, 0);
    if (head == NULL || head->arrival > pair->now)
        return false;
    if (to->err != TERN_OK) {
        pair_drop(from);
        return true;
    }
    struct tern_chunk *chunk = head->chunk;
    size_t offered = chunk->size - head->offset;
    struct tern_slice in = {.chunk = chunk,
                            .view = tern_view_of(chunk->data + head->offset, offered)};
    size_t used = 0;
    to->err = to->core.ops->recv(to->core.self, pair->now, in, &used);
    TERN_CHECK(used <= offered);
    head->offset += used;
    from->queued_size -= used;
    to->bytes_received += used;
    if (head->offset == chunk->size) {
        struct sim_pair_segment done;
        (void)tern_ring_pop(&from->queue, &done);
        tern_chunk_unref(done.chunk);
    }
    return used > 0 || to->err != TERN_OK;
}

static bool pair_deliver_end(struct sim_pair *pair, unsigned from_side)
{
    struct sim_pair_side *from = &pair->sides[from_side];
    struct sim_pair_side *to = &pair->sides[1 - from_side];
    if (!from->ended || from->end_delivered || tern_ring_count(&from->queue) > 0 ||
        pair->now < from->last_arrival)
        return false;
    from->end_delivered = true;
    if (to->core.ops->end != NULL)
        to->core.ops->end(to->core.self, pair->now);
    return true;
}

static tern_time pair_deadline(const struct sim_pair_side *side)
{
    const struct sim_core_ops *ops = side->core.ops;
    return ops->deadline == NULL ? TERN_TIME_NEVER : ops->deadline(side->core.self);
}

/* pair_next is when the next segment or end arrives or the next deadline falls due. */
static tern_time pair_next(const struct sim_pair *pair)
{
    tern_time next = TERN_TIME_NEVER;
    for (unsigned i = 0; i < 2; i++) {
        const struct sim_pair_side *side = &pair->sides[i];
        const struct sim_pair_segment *head = tern_ring_at(&side->queue, 0);
        if (head != NULL && head->arrival > pair->now)
            next = tern_time_min(next, head->arrival);
        if (head == NULL && side->ended && !side->end_delivered)
            next = tern_time_min(next, side->last_arrival);
        next = tern_time_min(next, pair_deadline(side));
    }
    return next;
}

static void pair_tick(struct sim_pair *pair)
{
    for (unsigned i = 0; i < 2; i++) {
        struct sim_pair_side *side = &pair->sides[i];
        if (side->core.ops->tick == NULL || pair_deadline(side) > pair->now)
            continue;
        TERN_CHECK(++pair->idle_ticks < PAIR_IDLE_TICKS_MAX);
        side->core.ops->tick(side->core.self, pair->now);
    }
}

bool sim_pair_step(struct sim_pair *pair, tern_time limit)
{
    bool moved = false;
    for (unsigned i = 0; i < 2; i++)
        moved = pair_pull(pair, i) || moved;
    for (unsigned i = 0; i < 2; i++)
        moved = pair_offer(pair, i) || pair_deliver_end(pair, i) || moved;
    if (moved) {
        pair->idle_ticks = 0;
        return true;
    }
    tern_time next = pair_next(pair);
    if (next == TERN_TIME_NEVER)
        return false;
    if (next > limit) {
        pair->now = limit > pair->now ? limit : pair->now;
        return false;
    }
    if (next > pair->now) {
        pair->now = next;
        pair->idle_ticks = 0;
    }
    pair_tick(pair);
    return true;
}

bool sim_pair_run(struct sim_pair *pair, tern_time limit)
{
    while (sim_pair_step(pair, limit))
        continue;
    return pair_next(pair) == TERN_TIME_NEVER;
}

bool sim_pair_run_until(struct sim_pair *pair, bool (*done)(void *context), void *context,
                        tern_time limit)
{
    while (!done(context)) {
        if (!sim_pair_step(pair, limit))
            return done(context);
    }
    return true;
}

void sim_pair_end(struct sim_pair *pair, unsigned side)
{
    TERN_CHECK(side < 2);
    (void)pair_pull(pair, side);
    struct sim_pair_side *from = &pair->sides[side];
    if (!from->ended)
        from->last_arrival = pair_arrival(pair, from, 0);
    from->ended = true;
}
