/*
 * Receive windows: how much credit goes back to the remote, and what is charged for it. When, and
 * how large a window is, is the policy of mux/window.h.
 */
#include "mux/yamux_internal.h"

uint32_t tern_yamux_window_returnable(const struct tern_yamux *y,
                                      const struct tern_yamux_stream *stream)
{
    size_t held = stream->recv_credit + stream->base.in.size;
    if (y->payload_stream == stream)
        held += y->payload_left;
    TERN_CHECK(held <= stream->window.size);
    return stream->window.size - (uint32_t)held;
}

bool tern_yamux_window_due(const struct tern_yamux *y, const struct tern_yamux_stream *stream)
{
    if (stream->base.flags & (MUX_FIN_RECEIVED | MUX_DEAD))
        return false;
    return tern_mux_window_due(&stream->window, tern_yamux_window_returnable(y, stream));
}

static void window_grow(struct tern_yamux *y, struct tern_yamux_stream *stream)
{
    uint32_t more = tern_mux_window_more(&stream->window, y->window_max);
    if (y->windows == NULL || more == 0)
        return;
    if (tern_scope_reserve(y->windows, TERN_RESOURCE_MEMORY, more, NULL) == TERN_OK)
        stream->window.size += more;
}

static void window_shrink(struct tern_yamux *y, struct tern_yamux_stream *stream)
{
    uint32_t less = tern_mux_window_less(&stream->window, TERN_YAMUX_WINDOW_INITIAL);
    uint32_t returnable = tern_yamux_window_returnable(y, stream);
    if (less > returnable)
        less = returnable;
    if (less == 0)
        return;
    stream->window.size -= less;
    tern_scope_release(y->windows, TERN_RESOURCE_MEMORY, less);
}

static void window_tune(struct tern_yamux *y, struct tern_yamux_stream *stream, tern_time now)
{
    uint32_t returnable = tern_yamux_window_returnable(y, stream);
    switch (tern_mux_window_tune(&stream->window, now, y->ping.rtt_ns, returnable)) {
    case TERN_MUX_WINDOW_KEEP:
        return;
    case TERN_MUX_WINDOW_GROW:
        window_grow(y, stream);
        return;
    case TERN_MUX_WINDOW_SHRINK:
        window_shrink(y, stream);
        return;
    }
}

uint32_t tern_yamux_window_update(struct tern_yamux *y, struct tern_yamux_stream *stream,
                                  tern_time now)
{
    if (!tern_yamux_window_due(y, stream))
        return 0;
    window_tune(y, stream, now);
    uint32_t delta = tern_yamux_window_returnable(y, stream);
    stream->recv_credit += delta;
    return delta;
}

void tern_yamux_window_release(struct tern_yamux *y, struct tern_yamux_stream *stream)
{
    TERN_CHECK(stream->window.size >= TERN_YAMUX_WINDOW_INITIAL);
    uint32_t reserved = stream->window.size - TERN_YAMUX_WINDOW_INITIAL;
    if (reserved > 0)
        tern_scope_release(y->windows, TERN_RESOURCE_MEMORY, reserved);
    stream->window.size = TERN_YAMUX_WINDOW_INITIAL;
    stream->recv_credit = 0;
}

tern_err tern_yamux_charge(struct tern_yamux *y, struct tern_yamux_stream *stream, size_t unread)
{
    return tern_mux_stream_charge(&y->streams, &stream->base,
                                  tern_min_size(unread, TERN_YAMUX_WINDOW_INITIAL));
}
