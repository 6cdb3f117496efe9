/*
 * The rules by which a stream's object comes and goes.
 */
#include "mux/yamux_internal.h"

tern_err tern_yamux_stream_new(struct tern_yamux *y, uint32_t flags,
                               struct tern_yamux_stream **stream)
{
    struct tern_mux_stream *base;
    *stream = NULL;
    TERN_TRY(tern_mux_stream_new(&y->streams, flags, &base));
    struct tern_yamux_stream *s = tern_yamux_stream_of(base);
    s->window.size = TERN_YAMUX_WINDOW_INITIAL;
    s->recv_credit = TERN_YAMUX_WINDOW_INITIAL;
    s->send_credit = TERN_YAMUX_WINDOW_INITIAL;
    if (!(flags & MUX_INBOUND)) {
        y->unacked++;
        y->unnumbered++;
    }
    *stream = s;
    return TERN_OK;
}

void tern_yamux_number(struct tern_yamux *y, struct tern_yamux_stream *stream, uint32_t wire_id)
{
    if (!(stream->base.flags & MUX_INBOUND)) {
        TERN_CHECK(y->unnumbered > 0);
        y->unnumbered--;
    }
    tern_mux_stream_number(&y->streams, &stream->base, wire_id);
}

void tern_yamux_stream_end(struct tern_yamux *y, struct tern_yamux_stream *stream)
{
    tern_mux_stream_end(&y->streams, &stream->base);
    tern_yamux_window_release(y, stream);
    if (y->payload_stream == stream)
        y->payload_stream = NULL;
}

static void stream_free(struct tern_yamux *y, struct tern_yamux_stream *stream)
{
    tern_yamux_stream_end(y, stream);
    if (!(stream->base.flags & ((uint32_t)MUX_INBOUND | YAMUX_ACKED)))
        y->unacked--;
    if (stream->base.wire_id == 0)
        y->unnumbered--;
    tern_mux_stream_free(&y->streams, &stream->base);
}

void tern_yamux_settle(struct tern_yamux *y, struct tern_yamux_stream *stream)
{
    if (stream->base.slot == TERN_MUX_NO_SLOT && !(stream->base.flags & MUX_RST_DUE))
        stream_free(y, stream);
}

void tern_yamux_drop_id(struct tern_yamux *y, struct tern_yamux_stream *stream)
{
    tern_mux_stream_drop_id(&y->streams, &stream->base);
    tern_yamux_settle(y, stream);
}

void tern_yamux_abort(struct tern_yamux *y, struct tern_yamux_stream *stream, uint32_t code)
{
    const uint32_t both = MUX_FIN_SENT | MUX_FIN_RECEIVED;
    bool known = stream->base.wire_id != 0 && (stream->base.flags & both) != both;
    tern_yamux_stream_end(y, stream);
    stream->base.code = code;
    stream->base.flags |= MUX_DEAD;
    if (known) {
        stream->base.flags |= MUX_RST_DUE;
        tern_yamux_want_control(y, stream);
    }
}

void tern_yamux_close_if_done(struct tern_yamux *y, struct tern_yamux_stream *stream)
{
    if (!tern_mux_stream_ended(&stream->base))
        return;
    tern_yamux_stream_end(y, stream);
    tern_yamux_say(y, stream, MUX_NEWS_CLOSED);
}

void tern_yamux_update_ready(struct tern_yamux *y, struct tern_yamux_stream *stream)
{
    bool data = stream->base.out.size > 0 && stream->send_credit > 0;
    if (data || tern_mux_stream_fin_due(&stream->base))
        tern_schedule_add(&y->streams.schedule, &stream->base.turn);
    else
        tern_schedule_remove(&y->streams.schedule, &stream->base.turn);
}

static void stream_release(struct tern_mux_streams *streams, struct tern_mux_stream *stream)
{
    struct tern_yamux *y = TERN_CONTAINER_OF(streams, struct tern_yamux, streams);
    stream_free(y, tern_yamux_stream_of(stream));
}

void tern_yamux_streams_fini(struct tern_yamux *y)
{
    tern_mux_streams_fini(&y->streams, stream_release);
}
