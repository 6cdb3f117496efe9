/*
 * Data out: messages wait in a ring, their bytes in one queue behind those of the chunks that are
 * under way. A chunk knows where in the queue it begins; its bytes leave the queue when all before
 * it are acknowledged, too, so the queue is in the order of numbers.
 *
 *     held:  │ chunk │ chunk │ chunk │ message that is cut │ message │ …
 *            └─ cumulative + 1       └─ cursor
 */
#include "webrtc/sctp_internal.h"

enum {
    OUT_SLIVER = 128,        /* a fragment that is no message's end has at least this much */
    OUT_WINDOW_SLIVER = 300, /* likewise, when it is the remote's window that cuts it */
    OUT_ROOM_MIN = 16,       /* in a packet, for another message */
    OUT_SACK = 16,           /* of an acknowledgement … */
    OUT_SACK_BLOCKS = 32,    /* … and of its blocks, mostly */
};

void sctp_out_init(struct tern_sctp *s, const struct tern_sctp_options *options, uint32_t tsn)
{
    struct sctp_outbound *out = &s->out;
    out->pool = options->pool;
    out->packet_size = TERN_SCTP_PACKET_MAX;
    out->next = tsn;
    out->cumulative = tsn - 1;
    out->cwnd = SCTP_CWND_INITIAL;
    out->ssthresh = SIZE_MAX;
    out->timeout_at = TERN_TIME_NEVER;
    out->rto_ns = SCTP_RTO_INITIAL;
    tern_ring_init(&out->pending, s->mem, sizeof(struct sctp_pending), SCTP_PENDING_MAX);
    if (options->rtt_ns > 0)
        sctp_measured(s, options->rtt_ns);
}

static void out_free_ring(struct tern_sctp *s)
{
    struct sctp_outbound *out = &s->out;
    tern_mem_free(s->mem, out->ring, out->capacity * sizeof *out->ring);
    tern_mem_free(s->mem, out->acked, out->capacity / 64 * sizeof *out->acked);
    tern_mem_free(s->mem, out->lost, out->capacity / 64 * sizeof *out->lost);
    out->ring = NULL;
    out->acked = NULL;
    out->lost = NULL;
    out->capacity = 0;
}

void sctp_out_fini(struct tern_sctp *s)
{
    tern_mux_queue_clear(s->out.pool, &s->out.held);
    tern_ring_fini(&s->out.pending);
    out_free_ring(s);
}

void sctp_out_trim(struct tern_sctp *s)
{
    if (s->out.capacity > 0 && sctp_out_idle(s))
        out_free_ring(s);
}

bool sctp_out_idle(const struct tern_sctp *s)
{
    return s->out.next == s->out.cumulative + 1 && tern_ring_count(&s->out.pending) == 0;
}

struct sctp_sent *sctp_out_at(const struct tern_sctp *s, uint32_t tsn)
{
    return &s->out.ring[tsn & (s->out.capacity - 1)];
}

static uint32_t out_count(const struct sctp_outbound *out)
{
    return out->next - out->cumulative - 1;
}

/* ---- messages ---- */

/* out_may: is it a time for data? Until its answer comes they go with COOKIE ECHO alone. */
static bool out_may(const struct tern_sctp *s)
{
    return s->state == SCTP_ESTABLISHED || s->state == SCTP_SHUTDOWN_PENDING ||
           s->state == SCTP_SHUTDOWN_RECEIVED ||
           (s->state == SCTP_COOKIE_ECHOED && (s->due & SCTP_DUE_COOKIE_ECHO) != 0);
}

bool sctp_out_can(const struct tern_sctp *s)
{
    const struct sctp_outbound *out = &s->out;
    return out_may(s) && out->lost_count == 0 && out_count(out) < TERN_SCTP_FLIGHT_CHUNKS_MAX &&
           out->flight < out->cwnd && out->flight < TERN_SCTP_FLIGHT_BYTES_MAX &&
           (out->flight == 0 || out->flight + OUT_WINDOW_SLIVER <= out->peer_window);
}

/* out_may_again: may a lost chunk go again? */
static bool out_may_again(const struct sctp_outbound *out)
{
    return out->flight == 0 || out->rescue || out->flight + SCTP_MTU <= out->cwnd;
}

bool sctp_out_wants(const struct tern_sctp *s)
{
    const struct sctp_outbound *out = &s->out;
    if (!out_may(s))
        return false;
    if (out->lost_count > 0)
        return out_may_again(out);
    return out->pending_bytes > 0 && !out->starved && sctp_out_can(s);
}

/* out_control is what control chunks will take of the next packet, about. */
static size_t out_control(const struct tern_sctp *s)
{
    size_t size = 0;
    if ((s->due & SCTP_DUE_SACK) || s->sack_at != TERN_TIME_NEVER)
        size += s->in.highest == s->in.cumulative ? OUT_SACK : OUT_SACK + OUT_SACK_BLOCKS;
    if ((s->due & SCTP_DUE_COOKIE_ECHO) && s->cookie != NULL)
        size += SCTP_CHUNK_HEADER_SIZE + s->cookie->size;
    return size;
}

size_t tern_sctp_room(const struct tern_sctp *s)
{
    const struct sctp_outbound *out = &s->out;
    size_t waiting = tern_ring_count(&out->pending);
    if (s->state > SCTP_ESTABLISHED || !sctp_out_can(s) || out->starved)
        return 0;
    size_t used = SCTP_HEADER_SIZE + out_control(s) + out->pending_bytes +
                  waiting * (SCTP_DATA_HEADER_SIZE + 3) + SCTP_DATA_HEADER_SIZE;
    if (used + OUT_ROOM_MIN <= out->packet_size)
        return out->packet_size - used;
    return waiting == 0 ? OUT_SLIVER : 0;
}

tern_err tern_sctp_send(struct tern_sctp *s, const struct tern_sctp_message *message)
{
    struct sctp_outbound *out = &s->out;
    size_t head_size = message->head.size;
    TERN_CHECK(head_size <= TERN_SCTP_HEAD_MAX && head_size + message->size > 0);
    TERN_CHECK(message->size <= UINT32_MAX - TERN_SCTP_HEAD_MAX);
    if (s->state > SCTP_ESTABLISHED)
        return TERN_ERR_CLOSED;
    struct sctp_stream *stream = sctp_stream_use(s, message->stream);
    if (stream == NULL)
        return TERN_ERR_MEMORY;
    TERN_CHECK(!stream->resetting);
    struct sctp_pending pending = {
        .ppid = message->ppid,
        .left = (uint32_t)(head_size + message->size),
        .stream = message->stream,
        .ssn = stream->ssn_out,
        .unordered = message->unordered,
        .head_size = (uint8_t)head_size,
    };
    tern_copy(pending.head, message->head.data, head_size);
    TERN_TRY(tern_ring_push(&out->pending, &pending));
    out->messages_taken++;
    if (message->size > 0 &&
        !tern_mux_queue_move(out->pool, message->queue, &out->held, message->size)) {
        /* It stays in line, as one of which nothing is left. */
        struct sctp_pending *last = tern_ring_at(&out->pending, tern_ring_count(&out->pending) - 1);
        last->left = 0;
        return TERN_ERR_MEMORY;
    }
    out->pending_bytes += pending.left;
    out->uncut_bytes += message->size;
    if (!message->unordered)
        stream->ssn_out++;
    return TERN_OK;
}

size_t tern_sctp_held(const struct tern_sctp *s)
{
    return s->out.held.size;
}

/* ---- chunks ---- */

/* out_grow makes the ring large enough for one more. False: no memory. */
static bool out_grow(struct tern_sctp *s)
{
    struct sctp_outbound *out = &s->out;
    if (out_count(out) < out->capacity)
        return true;
    struct sctp_outbound old = *out;
    uint32_t capacity = old.capacity == 0 ? SCTP_RING_MIN : old.capacity * 2;
    TERN_CHECK(capacity <= TERN_SCTP_FLIGHT_CHUNKS_MAX);
    out->ring = tern_mem_alloc(s->mem, capacity * sizeof *out->ring);
    out->acked = tern_mem_zalloc(s->mem, capacity / 64 * sizeof *out->acked);
    out->lost = tern_mem_zalloc(s->mem, capacity / 64 * sizeof *out->lost);
    out->capacity = capacity;
    if (out->ring == NULL || out->acked == NULL || out->lost == NULL) {
        out_free_ring(s);
        *out = old;
        return false;
    }
    for (uint32_t tsn = out->cumulative + 1; tsn != out->next; tsn++) {
        uint32_t from = tsn & (old.capacity - 1);
        uint32_t to = tsn & (capacity - 1);
        out->ring[to] = old.ring[from];
        out->acked[to / 64] |= (old.acked[from / 64] >> from % 64 & 1) << to % 64;
        out->lost[to / 64] |= (old.lost[from / 64] >> from % 64 & 1) << to % 64;
    }
    tern_mem_free(s->mem, old.ring, old.capacity * sizeof *old.ring);
    tern_mem_free(s->mem, old.acked, old.capacity / 64 * sizeof *old.acked);
    tern_mem_free(s->mem, old.lost, old.capacity / 64 * sizeof *old.lost);
    return true;
}

void sctp_out_lose(struct tern_sctp *s, uint32_t tsn)
{
    struct sctp_outbound *out = &s->out;
    struct sctp_sent *sent = sctp_out_at(s, tsn);
    uint32_t i = tsn & (out->capacity - 1);
    TERN_CHECK(sent->state == SCTP_SENT_FLIGHT && out->flight >= sent->size);
    sent->state = SCTP_SENT_LOST;
    sent->reports = 0;
    out->flight -= sent->size;
    out->lost[i / 64] |= UINT64_C(1) << i % 64;
    out->lost_count++;
}

void sctp_out_lose_all(struct tern_sctp *s)
{
    for (uint32_t tsn = s->out.cumulative + 1; tsn != s->out.next; tsn++) {
        if (sctp_out_at(s, tsn)->state == SCTP_SENT_FLIGHT)
            sctp_out_lose(s, tsn);
    }
}

/* out_first_lost: there is one. */
static uint32_t out_first_lost(const struct sctp_outbound *out)
{
    uint32_t tsn = out->cumulative + 1;
    while (tsn != out->next) {
        uint32_t i = tsn & (out->capacity - 1);
        uint64_t word = out->lost[i / 64] >> i % 64;
        if (word != 0)
            return tsn + (uint32_t)__builtin_ctzll(word);
        uint32_t step = 64 - i % 64;
        tsn = out->next - tsn < step ? out->next : tsn + step;
    }
    TERN_UNREACHABLE();
}

/* out_bytes writes size bytes of the queue from a place on. */
static void out_bytes(const struct tern_mux_segment *segment, uint32_t offset, size_t size,
                      struct tern_writer *w)
{
    while (size > 0) {
        size_t end = (size_t)segment->offset + segment->size;
        size_t part = tern_min_size(size, end - offset);
        tern_writer_bytes(w, tern_view_of(segment->chunk->data + offset, part));
        size -= part;
        segment = segment->next;
        offset = segment == NULL ? 0 : segment->offset;
    }
}

static void out_put(struct tern_sctp *s, uint32_t tsn, struct tern_writer *w)
{
    const struct sctp_sent *sent = sctp_out_at(s, tsn);
    size_t start = sctp_begin_chunk(w, SCTP_DATA, sent->flags);
    tern_writer_u32be(w, tsn);
    tern_writer_u16be(w, sent->stream);
    tern_writer_u16be(w, sent->ssn);
    tern_writer_u32be(w, sent->ppid);
    tern_writer_bytes(w, tern_view_of(sent->head, sent->head_size));
    out_bytes(sent->segment, sent->offset, (size_t)sent->size - sent->head_size, w);
    sctp_end_chunk(w, start);
    TERN_CHECK(tern_writer_ok(w));
}

/* out_sent: a chunk goes, for the first time or again. */
static void out_sent(struct tern_sctp *s, tern_time now, uint32_t tsn)
{
    struct sctp_outbound *out = &s->out;
    struct sctp_sent *sent = sctp_out_at(s, tsn);
    sent->sent_at = now;
    sent->state = SCTP_SENT_FLIGHT;
    sent->sends = (uint8_t)(sent->sends + (sent->sends < UINT8_MAX));
    out->flight += sent->size;
    out->last_sent_at = now;
    if (out->timeout_at == TERN_TIME_NEVER)
        out->timeout_at = now + out->rto_ns;
}

/* out_again sends the first lost chunk again; false: it has to wait. */
static bool out_again(struct tern_sctp *s, tern_time now, struct tern_writer *w)
{
    struct sctp_outbound *out = &s->out;
    uint32_t tsn = out_first_lost(out);
    const struct sctp_sent *sent = sctp_out_at(s, tsn);
    size_t padded = ((size_t)sent->size + 3) & ~(size_t)3;
    if (!out_may_again(out) || tern_writer_left(w) < SCTP_DATA_HEADER_SIZE + padded)
        return false;
    uint32_t i = tsn & (out->capacity - 1);
    out->lost[i / 64] &= ~(UINT64_C(1) << i % 64);
    out->lost_count--;
    out_put(s, tsn, w);
    out_sent(s, now, tsn);
    s->stats.retransmitted++;
    return true;
}

/* out_cursor moves the cursor to the segment that holds the next byte to be cut. */
static void out_cursor(struct sctp_outbound *out)
{
    if (out->cursor == NULL) {
        out->cursor = out->held.first;
        out->cursor_offset = out->cursor->offset;
    }
    while (out->cursor_offset == out->cursor->offset + out->cursor->size) {
        out->cursor = out->cursor->next;
        out->cursor_offset = out->cursor->offset;
    }
}

/* out_advance moves the cursor over size bytes. */
static void out_advance(struct sctp_outbound *out, size_t size)
{
    out->uncut_bytes -= size;
    while (size > 0) {
        size_t left = (size_t)out->cursor->offset + out->cursor->size - out->cursor_offset;
        size_t part = tern_min_size(size, left);
        out->cursor_offset += (uint32_t)part;
        size -= part;
        if (size > 0) {
            out->cursor = out->cursor->next;
            out->cursor_offset = out->cursor->offset;
        }
    }
}

/* out_fragment_size is how much of a message goes into this packet; 0: it waits for the next one.
 */
static size_t out_fragment_size(const struct tern_sctp *s, const struct sctp_pending *message,
                                const struct tern_writer *w)
{
    const struct sctp_outbound *out = &s->out;
    size_t left = tern_writer_left(w) & ~(size_t)3;
    if (left <= SCTP_DATA_HEADER_SIZE)
        return 0;
    size_t size = tern_min_size(message->left, left - SCTP_DATA_HEADER_SIZE);
    if (size < message->left && size < OUT_SLIVER)
        return 0;
    if (out->flight == 0 || out->flight + size <= out->peer_window)
        return size;
    return out->peer_window - out->flight;
}

/* out_starve: there is no memory for another chunk. It is tried again when something comes, or
 * after a time-out. */
static void out_starve(struct sctp_outbound *out, tern_time now)
{
    out->starved = true;
    if (out->timeout_at == TERN_TIME_NEVER)
        out->timeout_at = now + out->rto_ns;
}

/* out_cut makes a chunk of the next bytes of the first message; false: nothing goes now. */
static bool out_cut(struct tern_sctp *s, tern_time now, struct tern_writer *w)
{
    struct sctp_outbound *out = &s->out;
    struct sctp_pending *message = tern_ring_at(&out->pending, 0);
    size_t size = out_fragment_size(s, message, w);
    if (size == 0)
        return false;
    if (!out_grow(s)) {
        out_starve(out, now);
        return false;
    }
    uint32_t tsn = out->next++;
    struct sctp_sent *sent = sctp_out_at(s, tsn);
    *sent = (struct sctp_sent){
        .ppid = message->ppid,
        .size = (uint16_t)size,
        .stream = message->stream,
        .ssn = message->ssn,
        .flags =
            (uint8_t)((message->unordered ? SCTP_UNORDERED : 0) |
                      (message->begun ? 0 : SCTP_BEGIN) | (size == message->left ? SCTP_END : 0)),
    };
    if (!message->begun) {
        sent->head_size = message->head_size;
        memcpy(sent->head, message->head, sizeof sent->head);
    }
    if (size > sent->head_size) {
        out_cursor(out);
        sent->segment = out->cursor;
        sent->offset = out->cursor_offset;
        out_advance(out, size - sent->head_size);
    }
    message->begun = true;
    message->left -= (uint32_t)size;
    out->pending_bytes -= size;
    out_put(s, tsn, w);
    out_sent(s, now, tsn);
    return true;
}

/* out_settle takes messages that are wholly cut out of line. */
static void out_settle(struct sctp_outbound *out)
{
    const struct sctp_pending *message;
    struct sctp_pending done;
    while ((message = tern_ring_at(&out->pending, 0)) != NULL && message->left == 0) {
        tern_ring_pop(&out->pending, &done);
        out->messages_cut++;
    }
}

/* out_restart: after a pause the window is no measure of the path any more (section 7.2.1). */
static void out_restart(struct sctp_outbound *out, tern_time now)
{
    if (out->flight > 0 || tern_time_since(now, out->last_sent_at) <= out->rto_ns)
        return;
    if (out->cwnd > SCTP_CWND_INITIAL)
        out->cwnd = tern_max_size(out->cwnd / 2, SCTP_CWND_INITIAL);
}

void sctp_write_data(struct tern_sctp *s, tern_time now, struct tern_writer *w)
{
    struct sctp_outbound *out = &s->out;
    size_t last = 0;
    if (!out_may(s))
        return;
    out_settle(out);
    out_restart(out, now);
    for (bool more = true; more;) {
        size_t at = w->size;
        if (out->lost_count > 0)
            more = out_again(s, now, w);
        else
            more = tern_ring_count(&out->pending) > 0 && sctp_out_can(s) && out_cut(s, now, w);
        out_settle(out);
        if (more)
            last = at;
    }
    out->rescue = false;
    /* The last packet of a burst asks for an answer (RFC 7053). */
    if (last > 0 && (out->pending_bytes == 0 || !sctp_out_can(s)))
        w->data[last + 1] |= SCTP_IMMEDIATE;
}
