/*
 * Frames in. The bytes may be cut anywhere: a header is gathered, a payload goes to its stream
 * piece by piece.
 *
 *   header ─► DATA, WINDOW_UPDATE: find or accept the stream; flags; credit ─► payload of DATA
 *          ─► PING, GO_AWAY
 *
 * What a frame may cost is bounded before anything is stored: a payload longer than the stream's
 * credit is refused at its header.
 */
#include "mux/yamux_internal.h"

#define RESETS_INTERVAL (10 * TERN_MILLISECOND)

enum { RESETS_BURST = 1024 };

static bool recv_reset_allowed(struct tern_yamux *y, tern_time now)
{
    return tern_mux_bucket_take(&y->resets_received, now, RESETS_BURST, RESETS_INTERVAL);
}

/* recv_refuse remembers to answer a SYN with RST. */
static tern_err recv_refuse(struct tern_yamux *y, uint32_t wire_id, uint32_t code)
{
    const struct tern_yamux_refusal refusal = {.wire_id = wire_id, .code = code};
    tern_yamux_note(y, TERN_FAULT_YAMUX_STREAM_REFUSED);
    tern_err err = tern_ring_push(&y->refusals, &refusal);
    if (err == TERN_ERR_FULL)
        return tern_yamux_fail(y, TERN_ERR_PROTOCOL, TERN_FAULT_YAMUX_REFUSAL_FLOOD);
    return err == TERN_OK ? TERN_OK : tern_yamux_fail(y, err, TERN_FAULT_NONE);
}

/* recv_accept answers SYN: *stream is NULL when the stream was refused or is reset at once. */
static tern_err recv_accept(struct tern_yamux *y, tern_time now,
                            const struct tern_yamux_header *header,
                            struct tern_yamux_stream **stream)
{
    TERN_CHECK(*stream == NULL);
    bool remote_initiated = (header->stream_id & 1) != (y->initiator ? 1U : 0U);
    if (!remote_initiated)
        return tern_yamux_fail(y, TERN_ERR_PROTOCOL, TERN_FAULT_YAMUX_WRONG_PARITY);
    if (header->type == TERN_YAMUX_DATA && header->length > TERN_YAMUX_WINDOW_INITIAL)
        return tern_yamux_fail(y, TERN_ERR_PROTOCOL, TERN_FAULT_YAMUX_WINDOW_OVERFLOW);
    if (header->flags & TERN_YAMUX_RST) {
        if (recv_reset_allowed(y, now))
            return TERN_OK;
        return tern_yamux_fail(y, TERN_ERR_PROTOCOL, TERN_FAULT_YAMUX_RESET_FLOOD);
    }
    if (y->goaway)
        return recv_refuse(y, header->stream_id, TERN_MUX_CODE_SHUTDOWN);
    if (y->streams.in_count >= y->streams_in_max ||
        tern_yamux_stream_new(y, MUX_INBOUND, stream) != TERN_OK)
        return recv_refuse(y, header->stream_id, TERN_MUX_CODE_RESOURCE_LIMIT);
    (*stream)->window.tuned_at = now;
    (*stream)->base.flags |= YAMUX_ACK_DUE;
    tern_yamux_number(y, *stream, header->stream_id);
    tern_yamux_want_control(y, *stream);
    tern_yamux_say(y, *stream, MUX_NEWS_OPENED);
    return TERN_OK;
}

/* recv_dead tells the owner of a reset, unless it has not heard of the stream yet. */
static void recv_dead(struct tern_yamux *y, struct tern_yamux_stream *stream)
{
    if (stream->base.flags & MUX_NEWS_OPENED) {
        tern_yamux_drop_id(y, stream);
        return;
    }
    stream->base.flags &= ~(uint32_t)(MUX_NEWS_READABLE | MUX_NEWS_WRITABLE);
    tern_yamux_say(y, stream, MUX_NEWS_RESET);
}

static tern_err recv_rst(struct tern_yamux *y, tern_time now, struct tern_yamux_stream *stream,
                         const struct tern_yamux_header *header)
{
    if ((stream->base.flags & MUX_INBOUND) && !recv_reset_allowed(y, now))
        return tern_yamux_fail(y, TERN_ERR_PROTOCOL, TERN_FAULT_YAMUX_RESET_FLOOD);
    tern_yamux_stream_end(y, stream);
    stream->base.flags |= MUX_DEAD;
    stream->base.code = header->type == TERN_YAMUX_WINDOW_UPDATE ? header->length : 0;
    recv_dead(y, stream);
    return TERN_OK;
}

static void recv_fin(struct tern_yamux *y, struct tern_yamux_stream *stream)
{
    if (stream->base.flags & MUX_FIN_RECEIVED)
        return;
    stream->base.flags |= MUX_FIN_RECEIVED;
    tern_yamux_say(y, stream, MUX_NEWS_READABLE);
    tern_yamux_close_if_done(y, stream);
}

/* recv_drop lets the payload of a DATA frame go by. Nothing legitimate is longer than a window. */
static tern_err recv_drop(struct tern_yamux *y, const struct tern_yamux_header *header)
{
    if (header->type != TERN_YAMUX_DATA)
        return TERN_OK;
    if (header->length > y->window_max)
        return tern_yamux_fail(y, TERN_ERR_PROTOCOL, TERN_FAULT_YAMUX_FRAME_TOO_LARGE);
    y->payload_left = header->length;
    y->payload_stream = NULL;
    return TERN_OK;
}

static tern_err recv_data(struct tern_yamux *y, struct tern_yamux_stream *stream,
                          const struct tern_yamux_header *header)
{
    if (stream->base.flags & MUX_FIN_RECEIVED)
        return recv_drop(y, header);
    if (header->length > stream->recv_credit)
        return tern_yamux_fail(y, TERN_ERR_PROTOCOL, TERN_FAULT_YAMUX_WINDOW_OVERFLOW);
    stream->recv_credit -= header->length;
    y->payload_left = header->length;
    y->payload_stream = header->length > 0 ? stream : NULL;
    y->payload_fin = (header->flags & TERN_YAMUX_FIN) != 0;
    if (header->length == 0 && y->payload_fin)
        recv_fin(y, stream);
    return TERN_OK;
}

static tern_err recv_window_update(struct tern_yamux *y, struct tern_yamux_stream *stream,
                                   const struct tern_yamux_header *header)
{
    if (header->length > UINT32_MAX - stream->send_credit)
        return tern_yamux_fail(y, TERN_ERR_PROTOCOL, TERN_FAULT_YAMUX_CREDIT_OVERFLOW);
    stream->send_credit += header->length;
    tern_yamux_update_ready(y, stream);
    if (header->flags & TERN_YAMUX_FIN)
        recv_fin(y, stream);
    return TERN_OK;
}

/* recv_acknowledged: any frame of the remote shows that it knows the stream; not all send ACK. */
static void recv_acknowledged(struct tern_yamux *y, struct tern_yamux_stream *stream)
{
    if (stream->base.flags & ((uint32_t)MUX_INBOUND | YAMUX_ACKED))
        return;
    TERN_CHECK(y->unacked > 0);
    stream->base.flags |= YAMUX_ACKED;
    y->unacked--;
}

static tern_err recv_stream_frame(struct tern_yamux *y, tern_time now,
                                  const struct tern_yamux_header *header)
{
    if (header->stream_id == 0)
        return tern_yamux_fail(y, TERN_ERR_PROTOCOL, TERN_FAULT_YAMUX_STREAM_ZERO);
    struct tern_yamux_stream *stream =
        tern_yamux_stream_of(tern_mux_stream_find_wire(&y->streams, header->stream_id));
    if (header->flags & TERN_YAMUX_SYN) {
        if (stream != NULL)
            return tern_yamux_fail(y, TERN_ERR_PROTOCOL, TERN_FAULT_YAMUX_DUPLICATE_SYN);
        TERN_TRY(recv_accept(y, now, header, &stream));
    }
    if (stream == NULL)
        return recv_drop(y, header);
    recv_acknowledged(y, stream);
    if (header->flags & TERN_YAMUX_RST) {
        TERN_TRY(recv_rst(y, now, stream, header));
        return recv_drop(y, header);
    }
    if (header->type == TERN_YAMUX_DATA)
        return recv_data(y, stream, header);
    return recv_window_update(y, stream, header);
}

static void recv_go_away(struct tern_yamux *y, const struct tern_yamux_header *header)
{
    if (y->remote_goaway)
        return;
    y->remote_goaway = true;
    y->remote_goaway_news = true;
    y->remote_goaway_code = header->length;
}

static tern_err recv_frame(struct tern_yamux *y, tern_time now,
                           const struct tern_yamux_header *header)
{
    if (header->version != 0)
        return tern_yamux_fail(y, TERN_ERR_MALFORMED, TERN_FAULT_YAMUX_BAD_VERSION);
    switch (header->type) {
    case TERN_YAMUX_DATA:
    case TERN_YAMUX_WINDOW_UPDATE:
        return recv_stream_frame(y, now, header);
    case TERN_YAMUX_PING:
        return tern_yamux_ping_frame(y, now, header);
    case TERN_YAMUX_GO_AWAY:
        recv_go_away(y, header);
        return TERN_OK;
    default: /* a peer's number, not an enum of ours */
        return tern_yamux_fail(y, TERN_ERR_MALFORMED, TERN_FAULT_YAMUX_BAD_TYPE);
    }
}

/* recv_store keeps a part of the payload. Without memory for it the stream dies, not the session.
 */
static void recv_store(struct tern_yamux *y, struct tern_slice slice)
{
    struct tern_yamux_stream *stream = y->payload_stream;
    if (tern_yamux_charge(y, stream, stream->base.in.size + slice.view.size) == TERN_OK &&
        tern_mux_queue_keep(&y->streams.pool, &stream->base.in, slice)) {
        tern_yamux_say(y, stream, MUX_NEWS_READABLE);
        return;
    }
    tern_yamux_note(y, TERN_FAULT_YAMUX_STREAM_STARVED);
    tern_yamux_abort(y, stream, TERN_MUX_CODE_RESOURCE_LIMIT);
    recv_dead(y, stream);
}

/* recv_payload takes what there is of the payload. */
static void recv_payload(struct tern_yamux *y, struct tern_slice *in)
{
    size_t part = tern_min_size(in->view.size, y->payload_left);
    struct tern_slice slice = {.chunk = in->chunk, .view = tern_view_of(in->view.data, part)};
    y->payload_left -= (uint32_t)part;
    if (y->payload_stream != NULL)
        recv_store(y, slice);
    in->view = tern_view_of(in->view.data + part, in->view.size - part);
    if (y->payload_left > 0)
        return;
    struct tern_yamux_stream *stream = y->payload_stream;
    y->payload_stream = NULL;
    if (stream != NULL && y->payload_fin)
        recv_fin(y, stream);
}

/* recv_header gathers a header; false: not complete yet. */
static bool recv_header(struct tern_yamux *y, struct tern_slice *in,
                        struct tern_yamux_header *header)
{
    size_t part = tern_min_size(in->view.size, (size_t)TERN_YAMUX_HEADER_SIZE - y->header_have);
    memcpy(y->header + y->header_have, in->view.data, part);
    in->view = tern_view_of(in->view.data + part, in->view.size - part);
    y->header_have = (uint8_t)(y->header_have + part);
    if (y->header_have < TERN_YAMUX_HEADER_SIZE)
        return false;
    y->header_have = 0;
    *header = tern_yamux_header_decode(y->header);
    return true;
}

tern_err tern_yamux_recv(struct tern_yamux *y, tern_time now, struct tern_slice in)
{
    if (y->error != TERN_OK)
        return y->error;
    if (in.view.size > 0)
        tern_yamux_ping_activity(y, now);
    while (in.view.size > 0) {
        struct tern_yamux_header header;
        if (y->payload_left > 0)
            recv_payload(y, &in);
        else if (recv_header(y, &in, &header))
            TERN_TRY(recv_frame(y, now, &header));
    }
    return TERN_OK;
}
