/*
 * Receive windows: how much credit goes back to the remote and when, how large a window is, and
 * what is charged for it.
 *
 *   - An update is due when a quarter of the window was consumed and not given back. (Half, as
 * others have it, lets a sender that stands at its window's end get as little as half a window a
 * round trip.)
 *   - Whenever half of the window was given back since the last time: if that took less than two
 *     round trips the window is the bottleneck, or nearly: double it, if the budget has room. That
 *     ends at four times bandwidth × round trip at the latest.
 *   - If it took more than sixteen, make it smaller by up to half, never below the initial window.
 *     Credit that was given cannot be taken back, so a window shrinks only by not returning some.
 */
#include "mux/yamux_internal.h"

enum { WINDOW_UPDATE_PART = 4, WINDOW_TUNE_PART = 2 };
enum { WINDOW_GROW_ROUND_TRIPS = 2, WINDOW_SHRINK_ROUND_TRIPS = 16 };

uint32_t tern_yamux_window_returnable(const struct tern_yamux *y,
                                      const struct tern_yamux_stream *stream)
{
    size_t held = stream->recv_credit + stream->base.in.size;
    if (y->payload_stream == stream)
        held += y->payload_left;
    TERN_CHECK(held <= stream->window);
    return stream->window - (uint32_t)held;
}

bool tern_yamux_window_due(const struct tern_yamux *y, const struct tern_yamux_stream *stream)
{
    if (stream->base.flags & (MUX_FIN_RECEIVED | MUX_DEAD))
        return false;
    return tern_yamux_window_returnable(y, stream) >= stream->window / WINDOW_UPDATE_PART;
}

static void window_grow(struct tern_yamux *y, struct tern_yamux_stream *stream)
{
    if (y->windows == NULL || stream->window >= y->window_max)
        return;
    uint32_t more = stream->window;
    if (more > y->window_max - stream->window)
        more = y->window_max - stream->window;
    if (tern_scope_reserve(y->windows, TERN_RESOURCE_MEMORY, more, NULL) == TERN_OK)
        stream->window += more;
}

static void window_shrink(struct tern_yamux *y, struct tern_yamux_stream *stream)
{
    if (stream->window <= TERN_YAMUX_WINDOW_INITIAL)
        return;
    uint32_t less = stream->window / 2;
    if (stream->window - less < TERN_YAMUX_WINDOW_INITIAL)
        less = stream->window - TERN_YAMUX_WINDOW_INITIAL;
    uint32_t returnable = tern_yamux_window_returnable(y, stream);
    if (less > returnable)
        less = returnable;
    stream->window -= less;
    tern_scope_release(y->windows, TERN_RESOURCE_MEMORY, less);
}

static void window_tune(struct tern_yamux *y, struct tern_yamux_stream *stream, tern_time now)
{
    tern_time rtt = y->ping.rtt_ns;
    tern_time elapsed = tern_time_since(now, stream->tuned_at);
    if (rtt > 0 && elapsed / WINDOW_GROW_ROUND_TRIPS < rtt)
        window_grow(y, stream);
    else if (rtt > 0 && elapsed / WINDOW_SHRINK_ROUND_TRIPS >= rtt)
        window_shrink(y, stream);
    stream->returned = 0;
    stream->tuned_at = now;
}

uint32_t tern_yamux_window_update(struct tern_yamux *y, struct tern_yamux_stream *stream,
                                  tern_time now)
{
    if (!tern_yamux_window_due(y, stream))
        return 0;
    stream->returned += tern_yamux_window_returnable(y, stream);
    if (stream->returned >= stream->window / WINDOW_TUNE_PART)
        window_tune(y, stream, now);
    uint32_t delta = tern_yamux_window_returnable(y, stream);
    stream->recv_credit += delta;
    return delta;
}

void tern_yamux_window_release(struct tern_yamux *y, struct tern_yamux_stream *stream)
{
    TERN_CHECK(stream->window >= TERN_YAMUX_WINDOW_INITIAL);
    uint32_t reserved = stream->window - TERN_YAMUX_WINDOW_INITIAL;
    if (reserved > 0)
        tern_scope_release(y->windows, TERN_RESOURCE_MEMORY, reserved);
    stream->window = TERN_YAMUX_WINDOW_INITIAL;
    stream->recv_credit = 0;
}

tern_err tern_yamux_charge(struct tern_yamux *y, struct tern_yamux_stream *stream, size_t unread)
{
    return tern_mux_stream_charge(&y->streams, &stream->base,
                                  tern_min_size(unread, TERN_YAMUX_WINDOW_INITIAL));
}
