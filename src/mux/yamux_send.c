/*
 * Frames out, pulled when the link has room:
 *
 *   1. the farewell, alone, after a fatal error
 *   2. GO_AWAY, answers to pings, a ping, resets of refused streams
 *   3. of each stream that asked: RST, or a window update, or SYN or ACK when no data will carry it
 *   4. data, as mux/schedule.h has it: each turn is one frame
 */
#include "mux/yamux_internal.h"

/* A frame that is cut short by the room carries at least this much, or waits for more room. */
enum { SEND_SLIVER = 1024 };

static bool send_fits(const struct tern_writer *out)
{
    return tern_writer_left(out) >= TERN_YAMUX_HEADER_SIZE;
}

/* send_opening numbers a stream of ours with its first frame, and returns the flag that this frame
 * has to carry: SYN, ACK or none. */
static uint16_t send_opening(struct tern_yamux *y, struct tern_yamux_stream *stream, tern_time now)
{
    if (tern_yamux_wire_id(stream) == 0) {
        TERN_CHECK(y->wire_id_next <= UINT32_MAX - 2);
        tern_yamux_number(y, stream, y->wire_id_next);
        y->wire_id_next += 2;
        stream->window.tuned_at = now;
        stream->base.flags &= ~(uint32_t)MUX_ANNOUNCE;
        return TERN_YAMUX_SYN;
    }
    if (stream->base.flags & YAMUX_ACK_DUE) {
        stream->base.flags &= ~(uint32_t)YAMUX_ACK_DUE;
        return TERN_YAMUX_ACK;
    }
    return 0;
}

static void send_goaway(struct tern_yamux *y, struct tern_writer *out)
{
    if (!y->goaway_due || !send_fits(out))
        return;
    y->goaway_due = false;
    tern_yamux_header_write(
        out, &(struct tern_yamux_header){.type = TERN_YAMUX_GO_AWAY, .length = y->goaway_code});
}

static void send_rst(struct tern_writer *out, uint32_t wire_id, uint32_t code)
{
    tern_yamux_header_write(out, &(struct tern_yamux_header){.type = TERN_YAMUX_WINDOW_UPDATE,
                                                             .flags = TERN_YAMUX_RST,
                                                             .stream_id = wire_id,
                                                             .length = code});
}

static void send_refusals(struct tern_yamux *y, struct tern_writer *out)
{
    struct tern_yamux_refusal refusal;
    while (send_fits(out) && tern_ring_pop(&y->refusals, &refusal))
        send_rst(out, refusal.wire_id, refusal.code);
    if (tern_ring_count(&y->refusals) == 0)
        tern_ring_fini(&y->refusals);
}

/* send_update writes a window update; or an empty one for SYN or ACK, unless data is about to go
 * and will carry the flag. */
static void send_update(struct tern_yamux *y, struct tern_yamux_stream *stream, tern_time now,
                        struct tern_writer *out)
{
    uint32_t delta = tern_yamux_wire_id(stream) == 0 ? 0 : tern_yamux_window_update(y, stream, now);
    bool flag = (stream->base.flags & ((uint32_t)YAMUX_ACK_DUE | MUX_ANNOUNCE)) != 0;
    if (delta == 0 && (!flag || tern_schedule_waits(&stream->base.turn)))
        return;
    uint16_t flags = send_opening(y, stream, now);
    tern_yamux_header_write(out,
                            &(struct tern_yamux_header){.type = TERN_YAMUX_WINDOW_UPDATE,
                                                        .flags = flags,
                                                        .stream_id = tern_yamux_wire_id(stream),
                                                        .length = delta});
}

static void send_stream_control(struct tern_yamux *y, tern_time now, struct tern_writer *out)
{
    while (send_fits(out)) {
        struct tern_list *node = tern_list_pop_front(&y->streams.control);
        if (node == NULL)
            return;
        struct tern_yamux_stream *stream =
            TERN_LIST_ENTRY(node, struct tern_yamux_stream, base.control);
        if (stream->base.flags & MUX_RST_DUE) {
            send_rst(out, tern_yamux_wire_id(stream), stream->base.code);
            stream->base.flags &= ~(uint32_t)MUX_RST_DUE;
            tern_yamux_settle(y, stream);
        } else {
            send_update(y, stream, now, out);
        }
    }
}

/* send_fin: FIN goes alone, behind the data (see yamux.h). */
static void send_fin(struct tern_yamux *y, struct tern_yamux_stream *stream, tern_time now,
                     struct tern_writer *out)
{
    uint16_t flags = (uint16_t)(TERN_YAMUX_FIN | send_opening(y, stream, now));
    tern_yamux_header_write(
        out, &(struct tern_yamux_header){
                 .type = TERN_YAMUX_DATA, .flags = flags, .stream_id = tern_yamux_wire_id(stream)});
    stream->base.flags |= MUX_FIN_SENT;
    tern_yamux_update_ready(y, stream);
    tern_yamux_close_if_done(y, stream);
}

static void send_data_frame(struct tern_yamux *y, struct tern_yamux_stream *stream, tern_time now,
                            size_t size, struct tern_writer *out)
{
    uint16_t flags = send_opening(y, stream, now);
    tern_yamux_header_write(out,
                            &(struct tern_yamux_header){.type = TERN_YAMUX_DATA,
                                                        .flags = flags,
                                                        .stream_id = tern_yamux_wire_id(stream),
                                                        .length = (uint32_t)size});
    tern_mux_stream_take(&y->streams, &stream->base, size, out);
    stream->send_credit -= (uint32_t)size;
}

/* send_turn lets one stream send once; false: there is no useful room left. */
static bool send_turn(struct tern_yamux *y, tern_time now, struct tern_writer *out, bool empty)
{
    if (!send_fits(out))
        return false;
    size_t size_max;
    struct tern_schedule_turn *turn = tern_schedule_next(&y->streams.schedule, &size_max);
    struct tern_yamux_stream *stream = TERN_CONTAINER_OF(turn, struct tern_yamux_stream, base.turn);
    size_t room = tern_writer_left(out) - TERN_YAMUX_HEADER_SIZE;
    if (stream->base.out.size == 0) {
        send_fin(y, stream, now, out);
        return true;
    }
    size_t wanted =
        tern_min_size(tern_min_size(stream->base.out.size, stream->send_credit), size_max);
    if (room == 0 || (room < wanted && room < SEND_SLIVER && !empty))
        return false;
    size_t size = tern_min_size(wanted, room);
    send_data_frame(y, stream, now, size, out);
    tern_schedule_sent(&y->streams.schedule, turn, size);
    tern_schedule_yield(&y->streams.schedule, turn);
    tern_yamux_update_ready(y, stream);
    return true;
}

void tern_yamux_send(struct tern_yamux *y, tern_time now, struct tern_writer *out)
{
    size_t start = out->size;
    send_goaway(y, out);
    if (y->error != TERN_OK)
        return;
    tern_yamux_ping_send(y, now, out);
    send_refusals(y, out);
    send_stream_control(y, now, out);
    while (!tern_schedule_empty(&y->streams.schedule) && send_turn(y, now, out, out->size == start))
        continue;
}

bool tern_yamux_want_send(const struct tern_yamux *y)
{
    if (y->goaway_due)
        return true;
    if (y->error != TERN_OK)
        return false;
    return y->pongs_count > 0 || y->ping.due || tern_ring_count(&y->refusals) > 0 ||
           !tern_list_empty(&y->streams.control) || !tern_schedule_empty(&y->streams.schedule);
}
