/*
 * Frames out, pulled when the link has room:
 *
 *   1. resets of refused streams
 *   2. of each stream that asked: Reset, or NewStream when no data will bring it
 *   3. data, as mux/schedule.h has it: each turn is one frame
 */
#include "mux/mplex_internal.h"

enum {
    /* A frame that is cut short by the room carries at least this much, or waits for more room. */
    SEND_SLIVER = 1024,
    /* NewStream, and the header and length of a Message, with the largest id. */
    SEND_OVERHEAD_MAX = MPLEX_NUMBER_BYTES_MAX + 1 + MPLEX_NUMBER_BYTES_MAX + 4,
};

static bool send_fits(const struct tern_writer *out)
{
    return tern_writer_left(out) > SEND_OVERHEAD_MAX;
}

static void send_header(struct tern_writer *out, uint64_t id, enum tern_mplex_flag flag,
                        size_t length)
{
    tern_writer_uvarint(out, id << MPLEX_FLAG_BITS | flag);
    tern_writer_uvarint(out, length);
    TERN_CHECK(tern_writer_ok(out));
}

/* send_frame writes the header of a frame of the stream; flag is the receiver's: that of the
 * initiator is one more. A stream of ours is numbered and announced with its first frame. */
static void send_frame(struct tern_mplex *m, struct tern_mux_stream *stream,
                       enum tern_mplex_flag flag, size_t length, struct tern_writer *out)
{
    if (stream->wire_id == 0) {
        TERN_CHECK(m->unnumbered > 0 && m->id_next < UINT64_C(1) << 60);
        m->unnumbered--;
        tern_mux_stream_number(&m->streams, stream, tern_mplex_key(m->id_next, false));
        send_header(out, m->id_next, MPLEX_NEW_STREAM, 0);
        m->id_next++;
        stream->flags &= ~(uint32_t)MUX_ANNOUNCE;
    }
    if (flag == MPLEX_NEW_STREAM)
        return;
    bool inbound = (stream->flags & MUX_INBOUND) != 0;
    send_header(out, tern_mplex_id_of_key(stream->wire_id),
                (enum tern_mplex_flag)(inbound ? flag : flag + 1), length);
}

static void send_refusals(struct tern_mplex *m, struct tern_writer *out)
{
    uint64_t id;
    while (send_fits(out) && tern_ring_pop(&m->refusals, &id))
        send_header(out, id, MPLEX_RESET_RECEIVER, 0);
    if (tern_ring_count(&m->refusals) == 0)
        tern_ring_fini(&m->refusals);
}

static void send_control(struct tern_mplex *m, struct tern_writer *out)
{
    while (send_fits(out)) {
        struct tern_list *node = tern_list_pop_front(&m->streams.control);
        if (node == NULL)
            return;
        struct tern_mux_stream *stream = TERN_LIST_ENTRY(node, struct tern_mux_stream, control);
        if (stream->flags & MUX_RST_DUE) {
            send_frame(m, stream, MPLEX_RESET_RECEIVER, 0, out);
            stream->flags &= ~(uint32_t)MUX_RST_DUE;
            tern_mplex_settle(m, stream);
        } else if ((stream->flags & MUX_ANNOUNCE) && !tern_schedule_waits(&stream->turn)) {
            send_frame(m, stream, MPLEX_NEW_STREAM, 0, out);
        }
    }
}

static void send_close(struct tern_mplex *m, struct tern_mux_stream *stream,
                       struct tern_writer *out)
{
    send_frame(m, stream, MPLEX_CLOSE_RECEIVER, 0, out);
    stream->flags |= MUX_FIN_SENT;
    tern_mplex_update_ready(m, stream);
    tern_mplex_close_if_done(m, stream);
}

/* send_room is how many bytes of a Message of the stream fit. */
static size_t send_room(const struct tern_mplex *m, const struct tern_mux_stream *stream,
                        size_t left)
{
    bool fresh = stream->wire_id == 0;
    uint64_t id = fresh ? m->id_next : tern_mplex_id_of_key(stream->wire_id);
    size_t header = tern_uvarint_size(id << MPLEX_FLAG_BITS);
    left -= header + (fresh ? header + 1 : 0);
    size_t size = tern_min_size(left - 1, TERN_MPLEX_MESSAGE_MAX);
    return tern_min_size(size, left - tern_uvarint_size(size));
}

/* send_turn lets one stream send once; false: there is no useful room left. */
static bool send_turn(struct tern_mplex *m, struct tern_writer *out, bool empty)
{
    if (!send_fits(out))
        return false;
    size_t size_max;
    struct tern_schedule_turn *turn = tern_schedule_next(&m->streams.schedule, &size_max);
    struct tern_mux_stream *stream = TERN_CONTAINER_OF(turn, struct tern_mux_stream, turn);
    if (stream->out.size == 0) {
        send_close(m, stream, out);
        return true;
    }
    size_t room = send_room(m, stream, tern_writer_left(out));
    size_t wanted = tern_min_size(stream->out.size, size_max);
    if (room < wanted && room < SEND_SLIVER && !empty)
        return false;
    size_t size = tern_min_size(wanted, room);
    send_frame(m, stream, MPLEX_MESSAGE_RECEIVER, size, out);
    tern_mux_stream_take(&m->streams, stream, size, out);
    tern_schedule_sent(&m->streams.schedule, turn, size);
    tern_schedule_yield(&m->streams.schedule, turn);
    tern_mplex_update_ready(m, stream);
    return true;
}

void tern_mplex_send(struct tern_mplex *m, struct tern_writer *out)
{
    size_t start = out->size;
    if (m->error != TERN_OK)
        return;
    send_refusals(m, out);
    send_control(m, out);
    while (!tern_schedule_empty(&m->streams.schedule) && send_turn(m, out, out->size == start))
        continue;
}

bool tern_mplex_want_send(const struct tern_mplex *m)
{
    if (m->error != TERN_OK)
        return false;
    return tern_ring_count(&m->refusals) > 0 || !tern_list_empty(&m->streams.control) ||
           !tern_schedule_empty(&m->streams.schedule);
}
