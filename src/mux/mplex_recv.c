/*
 * Frames in, and back-pressure. The bytes may be cut anywhere: numbers are gathered, a payload goes
 * to its stream piece by piece.
 *
 *   HEADER ─► LENGTH ─► what the frame says is done ─► PAYLOAD, of a Message to its stream ─►
 * HEADER
 *
 * What a frame may cost is bounded before anything is stored.
 */
#include "mux/mplex_internal.h"

#define RESETS_INTERVAL (10 * TERN_MILLISECOND)

enum { RESETS_BURST = 1024 };

/* --- numbers --- */

/* recv_number gathers a varint; false: not complete yet, or the session has failed. */
static bool recv_number(struct tern_mplex *m, struct tern_slice *in)
{
    while (in->view.size > 0) {
        uint8_t byte = in->view.data[0];
        in->view = tern_view_part(in->view, 1, in->view.size - 1);
        m->number |= (uint64_t)(byte & 0x7f) << (7 * m->number_bytes);
        m->number_bytes++;
        bool last = (byte & 0x80) == 0;
        bool minimal = byte != 0 || m->number_bytes == 1;
        if (last && minimal)
            return true;
        if (last || m->number_bytes == MPLEX_NUMBER_BYTES_MAX) {
            (void)tern_mplex_fail(m, TERN_ERR_MALFORMED, TERN_FAULT_MPLEX_BAD_NUMBER);
            return false;
        }
    }
    return false;
}

static uint64_t recv_take_number(struct tern_mplex *m)
{
    uint64_t number = m->number;
    m->number = 0;
    m->number_bytes = 0;
    return number;
}

/* --- what frames say --- */

static bool recv_reset_allowed(struct tern_mplex *m, tern_time now)
{
    return tern_mux_bucket_take(&m->resets_received, now, RESETS_BURST, RESETS_INTERVAL);
}

/* recv_refuse remembers to answer a NewStream with Reset. */
static tern_err recv_refuse(struct tern_mplex *m, uint64_t id)
{
    tern_mplex_note(m, TERN_FAULT_MPLEX_STREAM_REFUSED);
    tern_err err = tern_ring_push(&m->refusals, &id);
    if (err == TERN_ERR_FULL)
        return tern_mplex_fail(m, TERN_ERR_PROTOCOL, TERN_FAULT_MPLEX_REFUSAL_FLOOD);
    return err == TERN_OK ? TERN_OK : tern_mplex_fail(m, err, TERN_FAULT_NONE);
}

static tern_err recv_new_stream(struct tern_mplex *m, uint64_t id)
{
    struct tern_mux_stream *stream;
    uint64_t key = tern_mplex_key(id, true);
    if (tern_mux_stream_find_wire(&m->streams, key) != NULL)
        return tern_mplex_fail(m, TERN_ERR_PROTOCOL, TERN_FAULT_MPLEX_DUPLICATE_STREAM);
    if (m->goaway || m->streams.in_count >= m->streams_in_max ||
        tern_mux_stream_new(&m->streams, MUX_INBOUND, &stream) != TERN_OK)
        return recv_refuse(m, id);
    tern_mux_stream_number(&m->streams, stream, key);
    tern_mux_stream_say(&m->streams, stream, MUX_NEWS_OPENED);
    return TERN_OK;
}

static void recv_close(struct tern_mplex *m, struct tern_mux_stream *stream)
{
    if (stream->flags & MUX_FIN_RECEIVED)
        return;
    stream->flags |= MUX_FIN_RECEIVED;
    tern_mux_stream_say(&m->streams, stream, MUX_NEWS_READABLE);
    tern_mplex_close_if_done(m, stream);
}

/* recv_dead tells the owner of a reset, unless it has not heard of the stream yet. */
static void recv_dead(struct tern_mplex *m, struct tern_mux_stream *stream)
{
    if (stream->flags & MUX_NEWS_OPENED) {
        tern_mplex_drop_id(m, stream);
        return;
    }
    stream->flags &= ~(uint32_t)(MUX_NEWS_READABLE | MUX_NEWS_WRITABLE);
    tern_mux_stream_say(&m->streams, stream, MUX_NEWS_RESET);
}

static tern_err recv_reset(struct tern_mplex *m, tern_time now, struct tern_mux_stream *stream)
{
    if ((stream->flags & MUX_INBOUND) && !recv_reset_allowed(m, now))
        return tern_mplex_fail(m, TERN_ERR_PROTOCOL, TERN_FAULT_MPLEX_RESET_FLOOD);
    tern_mplex_stream_end(m, stream);
    stream->flags |= MUX_DEAD;
    stream->code = 0;
    recv_dead(m, stream);
    return TERN_OK;
}

/* recv_frame does what the frame says, now that its length is known. Its payload follows. */
static tern_err recv_frame(struct tern_mplex *m, tern_time now)
{
    enum tern_mplex_flag flag = (enum tern_mplex_flag)(m->header & ((1U << MPLEX_FLAG_BITS) - 1));
    uint64_t id = m->header >> MPLEX_FLAG_BITS;
    if (flag == MPLEX_NEW_STREAM)
        return recv_new_stream(m, id);
    bool inbound = flag % 2 == 0;
    struct tern_mux_stream *stream =
        tern_mux_stream_find_wire(&m->streams, tern_mplex_key(id, inbound));
    if (stream == NULL)
        return TERN_OK;
    if (flag == MPLEX_RESET_RECEIVER || flag == MPLEX_RESET_INITIATOR)
        return recv_reset(m, now, stream);
    if (flag == MPLEX_CLOSE_RECEIVER || flag == MPLEX_CLOSE_INITIATOR)
        recv_close(m, stream);
    else if (!(stream->flags & MUX_FIN_RECEIVED))
        m->payload_stream = stream;
    return TERN_OK;
}

static tern_err recv_header(struct tern_mplex *m)
{
    m->header = recv_take_number(m);
    if ((m->header & ((1U << MPLEX_FLAG_BITS) - 1)) >= MPLEX_FLAG_COUNT)
        return tern_mplex_fail(m, TERN_ERR_MALFORMED, TERN_FAULT_MPLEX_BAD_FLAG);
    m->part = MPLEX_LENGTH;
    return TERN_OK;
}

static tern_err recv_length(struct tern_mplex *m, tern_time now)
{
    uint64_t length = recv_take_number(m);
    if (length > TERN_MPLEX_MESSAGE_MAX)
        return tern_mplex_fail(m, TERN_ERR_PROTOCOL, TERN_FAULT_MPLEX_MESSAGE_TOO_LARGE);
    m->payload_left = (uint32_t)length;
    m->payload_stream = NULL;
    m->part = length == 0 ? MPLEX_HEADER : MPLEX_PAYLOAD;
    return recv_frame(m, now);
}

/* --- back-pressure --- */

void tern_mplex_starve(struct tern_mplex *m, struct tern_mux_stream *stream, tern_fault fault)
{
    tern_mplex_note(m, fault);
    tern_mplex_abort(m, stream, TERN_MUX_CODE_RESOURCE_LIMIT);
    recv_dead(m, stream);
}

static bool recv_over_half(const struct tern_mplex *m, const struct tern_mux_stream *stream)
{
    return stream->in.size > m->unread_stream_max / 2;
}

void tern_mplex_relieve(struct tern_mplex *m)
{
    if (m->stalled && (m->payload_stream == NULL ||
                       (!recv_over_half(m, m->payload_stream) && m->unread <= m->unread_max / 2)))
        m->stalled = false;
}

/* recv_room is how many bytes may be stored for the stream of the payload; without room the session
 * is stalled. */
static size_t recv_room(struct tern_mplex *m, tern_time now)
{
    const struct tern_mux_stream *stream = m->payload_stream;
    if (m->stalled)
        return 0;
    size_t own = m->unread_stream_max - tern_min_size(stream->in.size, m->unread_stream_max);
    size_t room = tern_min_size(own, m->unread_max - tern_min_size(m->unread, m->unread_max));
    if (room == 0) {
        m->stalled = true;
        m->stalled_at = now;
    }
    return room;
}

tern_time tern_mplex_deadline(const struct tern_mplex *m)
{
    if (m->error != TERN_OK || !m->stalled)
        return TERN_TIME_NEVER;
    return tern_time_add(m->stalled_at, TERN_MPLEX_STALL_NS);
}

void tern_mplex_tick(struct tern_mplex *m, tern_time now)
{
    if (now < tern_mplex_deadline(m))
        return;
    if (recv_over_half(m, m->payload_stream))
        tern_mplex_starve(m, m->payload_stream, TERN_FAULT_MPLEX_STREAM_STALLED);
    /* If all together hold too much, those go that hold more than their share: afterwards it is
     * half of what is allowed. */
    size_t share = m->unread_max / 2 / tern_max_size(m->streams.slots_used, 1);
    bool too_much = m->unread > m->unread_max / 2;
    for (uint32_t i = 0; too_much && i < m->streams.slots_count; i++) {
        struct tern_mux_stream *stream = m->streams.slots[i].stream;
        if (stream != NULL && stream->in.size > share)
            tern_mplex_starve(m, stream, TERN_FAULT_MPLEX_STREAM_STALLED);
    }
    tern_mplex_relieve(m);
    TERN_CHECK(!m->stalled);
}

/* --- bytes --- */

/* recv_store keeps a part of the payload. Without memory for it the stream dies, not the session.
 */
static void recv_store(struct tern_mplex *m, struct tern_slice slice)
{
    struct tern_mux_stream *stream = m->payload_stream;
    size_t before = stream->in.size;
    bool ok = tern_mux_stream_charge(&m->streams, stream, before + slice.view.size) == TERN_OK &&
              tern_mux_queue_keep(&m->streams.pool, &stream->in, slice);
    m->unread += stream->in.size - before;
    if (ok)
        tern_mux_stream_say(&m->streams, stream, MUX_NEWS_READABLE);
    else
        tern_mplex_starve(m, stream, TERN_FAULT_MPLEX_STREAM_STARVED);
}

/* recv_payload takes what there is of the payload, and there is room for; false: there is none. */
static bool recv_payload(struct tern_mplex *m, tern_time now, struct tern_slice *in)
{
    size_t part = tern_min_size(in->view.size, m->payload_left);
    if (m->payload_stream != NULL)
        part = tern_min_size(part, recv_room(m, now));
    if (part == 0)
        return false;
    struct tern_slice slice = {.chunk = in->chunk, .view = tern_view_of(in->view.data, part)};
    m->payload_left -= (uint32_t)part;
    if (m->payload_stream != NULL)
        recv_store(m, slice);
    in->view = tern_view_part(in->view, part, in->view.size - part);
    if (m->payload_left == 0) {
        m->part = MPLEX_HEADER;
        m->payload_stream = NULL;
    }
    return true;
}

tern_err tern_mplex_recv(struct tern_mplex *m, tern_time now, struct tern_slice in, size_t *used)
{
    size_t size = in.view.size;
    *used = size;
    while (in.view.size > 0 && m->error == TERN_OK) {
        if (m->part == MPLEX_PAYLOAD) {
            if (!recv_payload(m, now, &in))
                break;
        } else if (recv_number(m, &in)) {
            TERN_TRY(m->part == MPLEX_HEADER ? recv_header(m) : recv_length(m, now));
        }
    }
    *used = size - in.view.size;
    return m->error;
}
