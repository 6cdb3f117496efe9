/*
 * Data in. Each number that was received has a place in a ring until all before it were, and until
 * the owner has got what it brought.
 *
 *   WAITING ── what goes before it in its stream was given ──► READY ── next ──► TAKEN
 *
 * First fragments that wait are found by stream and sequence in a table of buckets, later ones by
 * their number, which follows the one before. So a chunk costs the same however much is out of
 * order.
 */
#include "webrtc/sctp_internal.h"

enum { IN_DATA_FIXED = SCTP_DATA_HEADER_SIZE - SCTP_CHUNK_HEADER_SIZE, IN_BLOCKS_MAX = 100 };

void sctp_in_init(struct tern_sctp *s, size_t window, uint64_t hash_seed)
{
    s->in.window = window;
    s->in.advertised = window;
    s->in.hash_seed = hash_seed;
    tern_ring_init(&s->in.gaps, s->mem, sizeof(struct sctp_gap), SCTP_GAPS_MAX);
}

void sctp_in_start(struct tern_sctp *s, uint32_t first_tsn)
{
    s->in.base = first_tsn;
    s->in.cumulative = first_tsn - 1;
    s->in.highest = first_tsn - 1;
}

static void in_free_ring(struct tern_sctp *s)
{
    struct sctp_inbound *in = &s->in;
    tern_mem_free(s->mem, in->ring, in->capacity * sizeof *in->ring);
    tern_mem_free(s->mem, in->buckets, in->capacity * sizeof *in->buckets);
    tern_mem_free(s->mem, in->present, in->capacity / 64 * sizeof *in->present);
    in->ring = NULL;
    in->buckets = NULL;
    in->present = NULL;
    in->capacity = 0;
}

void sctp_in_fini(struct tern_sctp *s)
{
    tern_chunk_unref(s->in.given);
    s->in.given = NULL;
    for (uint32_t i = 0; i < s->in.capacity; i++)
        tern_slice_release(&s->in.ring[i].data);
    in_free_ring(s);
    tern_ring_fini(&s->in.gaps);
}

void sctp_in_trim(struct tern_sctp *s)
{
    if (s->in.capacity > 0 && s->in.base == s->in.cumulative + 1 &&
        s->in.highest == s->in.cumulative)
        in_free_ring(s);
}

size_t sctp_in_window_left(const struct tern_sctp *s)
{
    return s->in.window > s->in.used ? s->in.window - s->in.used : 0;
}

/* ---- places ---- */

static struct sctp_held *in_at(const struct sctp_inbound *in, uint32_t tsn)
{
    return &in->ring[tsn & (in->capacity - 1)];
}

static uint32_t in_place(const struct sctp_inbound *in, const struct sctp_held *held)
{
    return (uint32_t)(held - in->ring) + 1;
}

static bool in_is_present(const struct sctp_inbound *in, uint32_t tsn)
{
    uint32_t i = tsn & (in->capacity - 1);
    return (in->present[i / 64] >> i % 64 & 1) != 0;
}

static void in_set_present(struct sctp_inbound *in, uint32_t tsn, bool present)
{
    uint32_t i = tsn & (in->capacity - 1);
    if (present)
        in->present[i / 64] |= UINT64_C(1) << i % 64;
    else
        in->present[i / 64] &= ~(UINT64_C(1) << i % 64);
}

static uint32_t *in_bucket(const struct sctp_inbound *in, uint16_t stream, uint16_t ssn)
{
    uint64_t x = in->hash_seed ^ ((uint64_t)stream << 16 | ssn);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return &in->buckets[(x >> 32) & (in->capacity - 1)];
}

/* in_is_first: a fragment that is found by stream and sequence. */
static bool in_is_first(const struct sctp_held *held)
{
    return (held->flags & SCTP_BEGIN) != 0 && (held->flags & SCTP_UNORDERED) == 0;
}

static void in_hash(struct sctp_inbound *in, struct sctp_held *held)
{
    uint32_t *bucket = in_bucket(in, held->stream, held->ssn);
    held->hash_next = *bucket;
    *bucket = in_place(in, held);
}

static void in_unhash(struct sctp_inbound *in, struct sctp_held *held)
{
    uint32_t *link = in_bucket(in, held->stream, held->ssn);
    while (*link != in_place(in, held)) {
        TERN_CHECK(*link != 0);
        link = &in->ring[*link - 1].hash_next;
    }
    *link = held->hash_next;
}

/* in_rebuild puts what the old ring holds into the new one. */
static void in_rebuild(struct sctp_inbound *in, const struct sctp_inbound *old)
{
    for (uint32_t i = 0; i < old->capacity; i++) {
        if (old->ring[i].state == SCTP_HELD_NOTHING)
            continue;
        struct sctp_held *held = in_at(in, old->ring[i].tsn);
        *held = old->ring[i];
        in_set_present(in, held->tsn, true);
        if (held->state == SCTP_HELD_WAITING && in_is_first(held))
            in_hash(in, held);
    }
    uint32_t *link = &in->ready_first;
    in->ready_last = 0;
    for (uint32_t at = old->ready_first; at != 0; at = old->ring[at - 1].ready_next) {
        struct sctp_held *held = in_at(in, old->ring[at - 1].tsn);
        *link = in_place(in, held);
        in->ready_last = *link;
        link = &held->ready_next;
    }
    *link = 0;
}

/* in_grow makes the ring so large that it has a place for tsn. False: no memory, or too far ahead.
 */
static bool in_grow(struct tern_sctp *s, uint32_t tsn)
{
    struct sctp_inbound *in = &s->in;
    uint32_t capacity = in->capacity == 0 ? SCTP_RING_MIN : in->capacity;
    while (tsn - in->base >= capacity) {
        if (capacity >= TERN_SCTP_HELD_CHUNKS_MAX)
            return false;
        capacity *= 2;
    }
    if (capacity == in->capacity)
        return true;
    struct sctp_inbound old = *in;
    in->ring = tern_mem_zalloc(s->mem, capacity * sizeof *in->ring);
    in->buckets = tern_mem_zalloc(s->mem, capacity * sizeof *in->buckets);
    in->present = tern_mem_zalloc(s->mem, capacity / 64 * sizeof *in->present);
    in->capacity = capacity;
    if (in->ring == NULL || in->buckets == NULL || in->present == NULL) {
        in_free_ring(s);
        *in = old;
        return false;
    }
    in_rebuild(in, &old);
    tern_mem_free(s->mem, old.ring, old.capacity * sizeof *old.ring);
    tern_mem_free(s->mem, old.buckets, old.capacity * sizeof *old.buckets);
    tern_mem_free(s->mem, old.present, old.capacity / 64 * sizeof *old.present);
    return true;
}

void sctp_in_packet(struct tern_sctp *s)
{
    struct sctp_inbound *in = &s->in;
    TERN_DCHECK(in->ready_first == 0);
    for (uint32_t n = 0; n < in->capacity && !sctp_before(in->cumulative, in->base); n++) {
        struct sctp_held *held = in_at(in, in->base);
        if (held->state == SCTP_HELD_WAITING)
            return;
        held->state = SCTP_HELD_NOTHING;
        in_set_present(in, in->base, false);
        in->base++;
    }
    /* A FORWARD TSN may skip more than there are places. */
    if (sctp_before(in->base, in->cumulative + 1))
        in->base = in->cumulative + 1;
}

/* ---- what can be given ---- */

/* in_is_next: does the owner get this fragment next of its stream? Unordered messages of several
 * fragments come in the order of numbers. */
static bool in_is_next(const struct tern_sctp *s, const struct sctp_held *held)
{
    if (held->flags & SCTP_UNORDERED)
        return (held->flags & (SCTP_BEGIN | SCTP_END)) == (SCTP_BEGIN | SCTP_END) ||
               !sctp_before(s->in.cumulative, held->tsn);
    const struct sctp_stream *stream = sctp_stream(s, held->stream);
    TERN_CHECK(stream != NULL);
    if (stream->in_message)
        return held->tsn == stream->tsn_in && (held->flags & SCTP_BEGIN) == 0 &&
               held->ssn == stream->ssn_in;
    return (held->flags & SCTP_BEGIN) != 0 && held->ssn == stream->ssn_in;
}

static void in_wait(struct tern_sctp *s, struct sctp_held *held)
{
    held->state = SCTP_HELD_WAITING;
    if (in_is_first(held))
        in_hash(&s->in, held);
    if (!sctp_before(s->in.cumulative, held->tsn))
        s->in.waiting_low++;
}

static void in_stop_waiting(struct tern_sctp *s, struct sctp_held *held)
{
    TERN_CHECK(held->state == SCTP_HELD_WAITING);
    if (in_is_first(held))
        in_unhash(&s->in, held);
    if (sctp_before(s->in.cumulative, held->tsn))
        return;
    TERN_CHECK(s->in.waiting_low > 0);
    s->in.waiting_low--;
}

static void in_ready(struct tern_sctp *s, struct sctp_held *held, bool first)
{
    struct sctp_inbound *in = &s->in;
    uint32_t place = in_place(in, held);
    held->state = SCTP_HELD_READY;
    held->ready_next = 0;
    if (in->ready_first == 0) {
        in->ready_first = place;
        in->ready_last = place;
    } else if (first) {
        held->ready_next = in->ready_first;
        in->ready_first = place;
    } else {
        in->ring[in->ready_last - 1].ready_next = place;
        in->ready_last = place;
    }
}

/* in_follow finds what a stream waits for, if it is here. */
static void in_follow(struct tern_sctp *s, uint16_t number)
{
    struct sctp_inbound *in = &s->in;
    const struct sctp_stream *stream = sctp_stream(s, number);
    if (stream == NULL || in->capacity == 0)
        return;
    struct sctp_held *held = NULL;
    if (stream->in_message) {
        held = in_at(in, stream->tsn_in);
        if (held->tsn != stream->tsn_in || held->stream != number)
            return;
    } else {
        uint32_t at = *in_bucket(in, number, stream->ssn_in);
        while (at != 0 &&
               (in->ring[at - 1].stream != number || in->ring[at - 1].ssn != stream->ssn_in))
            at = in->ring[at - 1].hash_next;
        if (at == 0)
            return;
        held = &in->ring[at - 1];
    }
    if (held->state != SCTP_HELD_WAITING || (held->flags & SCTP_UNORDERED) != 0 ||
        !in_is_next(s, held))
        return;
    in_stop_waiting(s, held);
    in_ready(s, held, true);
}

/* in_advance moves on over numbers that are here. */
static void in_advance(struct tern_sctp *s)
{
    struct sctp_inbound *in = &s->in;
    while (sctp_before(in->cumulative, in->highest) && in_is_present(in, in->cumulative + 1)) {
        in->cumulative++;
        struct sctp_held *held = in_at(in, in->cumulative);
        if (held->state != SCTP_HELD_WAITING)
            continue;
        in->waiting_low++;
        if ((held->flags & SCTP_UNORDERED) == 0)
            continue;
        in_stop_waiting(s, held);
        in_ready(s, held, false);
    }
}

bool sctp_in_disordered(const struct tern_sctp *s)
{
    const struct sctp_inbound *in = &s->in;
    if (in->waiting_low == 0)
        return false;
    for (uint32_t tsn = in->base; !sctp_before(in->cumulative, tsn); tsn++) {
        const struct sctp_held *held = in_at(in, tsn);
        if (held->state == SCTP_HELD_WAITING && !sctp_resets_cover(s, held))
            return true;
    }
    return false;
}

/* ---- chunks ---- */

/* in_keep takes the bytes: by reference if they fill half of their packet's chunk or will be given
 * at once. False: no memory. */
static bool in_keep(struct tern_sctp *s, struct sctp_held *held, struct tern_chunk *packet)
{
    bool large = held->data.view.size * 2 >= (packet == NULL ? SIZE_MAX : packet->capacity);
    if (packet != NULL && (large || held->state == SCTP_HELD_READY)) {
        held->data.chunk = tern_chunk_ref(packet);
        return true;
    }
    held->data.chunk = tern_chunk_copy(s->mem, held->data.view);
    if (held->data.chunk == NULL)
        return false;
    held->data.view = tern_chunk_view(held->data.chunk);
    return true;
}

/* in_refuses: is this number of no use? A copy is acknowledged once more; what the window has no
 * room for is as if it had been lost. */
static bool in_refuses(struct tern_sctp *s, const struct sctp_held *held)
{
    struct sctp_inbound *in = &s->in;
    if (!sctp_before(in->cumulative, held->tsn) ||
        (in->capacity > 0 && held->tsn - in->base < in->capacity && in_is_present(in, held->tsn))) {
        in->disorder = true;
        return true;
    }
    if (held->data.view.size <= sctp_in_window_left(s) && in_grow(s, held->tsn))
        return false;
    in->disorder = true;
    sctp_drop(s, TERN_FAULT_WEBRTC_SCTP_WINDOW);
    return true;
}

static void in_take(struct tern_sctp *s, const struct sctp_held *chunk, struct tern_chunk *packet)
{
    struct sctp_inbound *in = &s->in;
    if (in_refuses(s, chunk) || sctp_stream_use(s, chunk->stream) == NULL)
        return;
    struct sctp_held *held = in_at(in, chunk->tsn);
    TERN_CHECK(held->state == SCTP_HELD_NOTHING);
    *held = *chunk;
    bool next = in_is_next(s, held);
    bool in_order = held->tsn == in->cumulative + 1;
    if ((held->flags & SCTP_UNORDERED) && in_order)
        next = true;
    held->state = next ? SCTP_HELD_READY : SCTP_HELD_WAITING;
    if (!in_keep(s, held, packet)) {
        *held = (struct sctp_held){.state = SCTP_HELD_NOTHING};
        return;
    }
    in->used += held->data.view.size;
    in_set_present(in, held->tsn, true);
    in->disorder = in->disorder || !in_order || in->highest != in->cumulative;
    if (sctp_before(in->highest, held->tsn))
        in->highest = held->tsn;
    if (next)
        in_ready(s, held, false);
    else
        in_wait(s, held);
    in_advance(s);
}

void sctp_recv_data(struct tern_sctp *s, const struct sctp_chunk *chunk, struct tern_chunk *packet)
{
    struct tern_reader r = tern_reader_of(chunk->value);
    struct sctp_held held = {.flags = chunk->flags};
    tern_reader_u32be(&r, &held.tsn);
    tern_reader_u16be(&r, &held.stream);
    tern_reader_u16be(&r, &held.ssn);
    if (!tern_reader_u32be(&r, &held.ppid)) {
        sctp_violation(s, TERN_FAULT_WEBRTC_SCTP_CHUNK, SCTP_CAUSE_VIOLATION);
        return;
    }
    held.data.view = tern_reader_rest(&r);
    if (held.data.view.size == 0) {
        sctp_violation(s, TERN_FAULT_WEBRTC_SCTP_NO_DATA, SCTP_CAUSE_NO_DATA);
        return;
    }
    s->in.any = true;
    s->in.disorder = s->in.disorder || (chunk->flags & SCTP_IMMEDIATE) != 0;
    in_take(s, &held, packet);
}

/* in_skip drops what waits up to a number: its messages will never be whole. */
static void in_skip(struct tern_sctp *s, uint32_t tsn)
{
    struct sctp_inbound *in = &s->in;
    uint32_t last = sctp_before(in->highest, tsn) ? in->highest : tsn;
    for (uint32_t at = in->base; in->capacity > 0 && !sctp_before(last, at); at++) {
        struct sctp_held *held = in_at(in, at);
        if (held->state != SCTP_HELD_WAITING)
            continue;
        in_stop_waiting(s, held);
        in->used -= held->data.view.size;
        tern_slice_release(&held->data);
        held->state = SCTP_HELD_TAKEN;
    }
    in->cumulative = tsn;
    if (sctp_before(in->highest, tsn))
        in->highest = tsn;
    in_advance(s);
}

void sctp_recv_forward_tsn(struct tern_sctp *s, struct tern_view value)
{
    struct tern_reader r = tern_reader_of(value);
    uint32_t tsn;
    if (!tern_reader_u32be(&r, &tsn) || tern_reader_left(&r) % 4 != 0) {
        sctp_violation(s, TERN_FAULT_WEBRTC_SCTP_CHUNK, SCTP_CAUSE_VIOLATION);
        return;
    }
    s->in.any = true;
    s->in.disorder = true;
    if (!sctp_before(s->in.cumulative, tsn))
        return;
    while (tern_reader_left(&r) > 0) {
        struct sctp_gap gap;
        tern_reader_u16be(&r, &gap.stream);
        tern_reader_u16be(&r, &gap.ssn);
        if (sctp_stream_use(s, gap.stream) == NULL || tern_ring_push(&s->in.gaps, &gap) != TERN_OK)
            return; /* as if it had been lost; it comes again */
    }
    in_skip(s, tsn);
}

/* ---- what the owner gets ---- */

static void in_give(struct tern_sctp *s, struct sctp_held *held, struct tern_sctp_event *event)
{
    bool end = (held->flags & SCTP_END) != 0;
    *event = (struct tern_sctp_event){
        .kind = TERN_SCTP_DATA,
        .stream = held->stream,
        .begin = (held->flags & SCTP_BEGIN) != 0,
        .end = end,
        .unordered = (held->flags & SCTP_UNORDERED) != 0,
        .ppid = held->ppid,
        .data = held->data,
    };
    s->in.given = held->data.chunk;
    held->data = (struct tern_slice){.chunk = NULL};
    held->state = SCTP_HELD_TAKEN;
    if (event->unordered)
        return;
    struct sctp_stream *stream = sctp_stream(s, held->stream);
    stream->in_message = !end;
    stream->tsn_in = held->tsn + 1;
    if (end)
        stream->ssn_in++;
    in_follow(s, held->stream);
}

static bool in_next_gap(struct tern_sctp *s, struct tern_sctp_event *event)
{
    struct sctp_gap gap;
    if (!tern_ring_pop(&s->in.gaps, &gap))
        return false;
    struct sctp_stream *stream = sctp_stream(s, gap.stream);
    *event = (struct tern_sctp_event){.kind = TERN_SCTP_STREAM_GAP, .stream = gap.stream};
    if (stream != NULL && (int16_t)(gap.ssn - stream->ssn_in) >= 0) {
        stream->in_message = false;
        stream->ssn_in = (uint16_t)(gap.ssn + 1);
        in_follow(s, gap.stream);
    }
    return true;
}

bool sctp_in_next(struct tern_sctp *s, struct tern_sctp_event *event)
{
    struct sctp_inbound *in = &s->in;
    tern_chunk_unref(in->given);
    in->given = NULL;
    while (in->ready_first != 0) {
        struct sctp_held *held = &in->ring[in->ready_first - 1];
        in->ready_first = held->ready_next;
        if (!in_is_next(s, held)) {
            in_wait(s, held); /* another one with its number in the stream was before it */
            continue;
        }
        in_give(s, held, event);
        return true;
    }
    return in_next_gap(s, event);
}

void sctp_in_restart(struct tern_sctp *s, uint16_t number)
{
    struct sctp_stream *stream = sctp_stream(s, number);
    if (stream == NULL)
        return;
    stream->in_message = false;
    stream->ssn_in = 0;
    in_follow(s, number);
}

/* ---- acknowledging ---- */

void sctp_in_acknowledge(struct tern_sctp *s, tern_time now)
{
    struct sctp_inbound *in = &s->in;
    if (!in->any)
        return;
    in->any = false;
    in->packets++;
    if (in->disorder || in->packets >= 2) {
        s->due |= SCTP_DUE_SACK;
        s->sack_at = TERN_TIME_NEVER;
    } else if (s->sack_at == TERN_TIME_NEVER) {
        s->sack_at = now + SCTP_SACK_DELAY;
    }
    in->disorder = in->highest != in->cumulative;
}

/* in_next_block finds the next row of numbers from *from on; false: there is none. */
static bool in_next_block(const struct sctp_inbound *in, uint32_t *from, uint32_t *to)
{
    while (!sctp_before(in->highest, *from) && !in_is_present(in, *from)) {
        /* Whole words without a number are passed over at once. */
        bool empty = (*from & 63) == 0 && in->present[(*from & (in->capacity - 1)) / 64] == 0;
        *from += empty ? 64 : 1;
    }
    if (sctp_before(in->highest, *from))
        return false;
    *to = *from;
    while (sctp_before(*to, in->highest) && in_is_present(in, *to + 1)) {
        bool full = (*to & 63) == 63 &&
                    in->present[((*to + 1) & (in->capacity - 1)) / 64] == UINT64_MAX &&
                    in->highest - *to >= 64;
        *to += full ? 64 : 1;
    }
    return true;
}

void sctp_write_sack(struct tern_sctp *s, struct tern_writer *w)
{
    struct sctp_inbound *in = &s->in;
    size_t start = sctp_begin_chunk(w, SCTP_SACK, 0);
    in->advertised = sctp_in_window_left(s);
    tern_writer_u32be(w, in->cumulative);
    tern_writer_u32be(w, (uint32_t)in->advertised);
    size_t counts = w->size;
    tern_writer_u32be(w, 0);
    uint16_t blocks = 0;
    uint32_t from = in->cumulative + 1;
    uint32_t to;
    while (blocks < IN_BLOCKS_MAX && tern_writer_left(w) >= 4 && in->highest != in->cumulative &&
           in_next_block(in, &from, &to)) {
        /* An offset has sixteen bits, and the ring is smaller than that. */
        tern_writer_u16be(w, (uint16_t)(from - in->cumulative));
        tern_writer_u16be(w, (uint16_t)(to - in->cumulative));
        from = to + 1;
        blocks++;
    }
    w->data[counts] = (uint8_t)(blocks >> 8);
    w->data[counts + 1] = (uint8_t)blocks;
    sctp_end_chunk(w, start);
    in->packets = 0;
    s->sack_at = TERN_TIME_NEVER;
    s->due &= ~(uint32_t)SCTP_DUE_SACK;
}
