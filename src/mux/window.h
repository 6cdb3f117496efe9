/*
 * Receive windows: the policy by which muxers that have credit return it and size their windows.
 * What a window is charged to is the muxer's.
 *
 *   - An update is due when a quarter of the window was consumed and not given back. (Half, as
 *     others have it, lets a sender that stands at its window's end get as little as half a window
 * a round trip.)
 *   - Whenever half of the window was given back since the last time: if that took less than two
 *     round trips the window is the bottleneck, or nearly: double it. That ends at four times
 *     bandwidth × round trip at the latest.
 *   - If it took more than sixteen, make it smaller by up to half, never below the smallest. Credit
 *     that was given cannot be taken back, so a window shrinks only by not returning some.
 */
#ifndef TERN_MUX_WINDOW_H
#define TERN_MUX_WINDOW_H

#include "base/types.h"

enum { TERN_MUX_WINDOW_UPDATE_PART = 4, TERN_MUX_WINDOW_TUNE_PART = 2 };
enum { TERN_MUX_WINDOW_GROW_ROUND_TRIPS = 2, TERN_MUX_WINDOW_SHRINK_ROUND_TRIPS = 16 };

struct tern_mux_window {
    tern_time tuned_at; /* when it was tuned last, or the stream began */
    uint32_t size;
    uint32_t returned; /* credit given back since tuned_at */
};

enum tern_mux_window_change {
    TERN_MUX_WINDOW_KEEP,
    TERN_MUX_WINDOW_GROW,   /* by tern_mux_window_more, if the budget has room */
    TERN_MUX_WINDOW_SHRINK, /* by at most tern_mux_window_less */
};

/* tern_mux_window_due: is so much credit enough for an update? */
static inline bool tern_mux_window_due(const struct tern_mux_window *window, uint64_t returnable)
{
    return returnable >= window->size / TERN_MUX_WINDOW_UPDATE_PART;
}

/* tern_mux_window_tune notes credit that is given back, and says what becomes of the window. rtt 0:
 * unknown. */
static inline enum tern_mux_window_change tern_mux_window_tune(struct tern_mux_window *window,
                                                               tern_time now, tern_time rtt,
                                                               uint32_t returnable)
{
    window->returned += returnable;
    if (window->returned < window->size / TERN_MUX_WINDOW_TUNE_PART)
        return TERN_MUX_WINDOW_KEEP;
    tern_time elapsed = tern_time_since(now, window->tuned_at);
    window->returned = 0;
    window->tuned_at = now;
    if (rtt > 0 && elapsed / TERN_MUX_WINDOW_GROW_ROUND_TRIPS < rtt)
        return TERN_MUX_WINDOW_GROW;
    if (rtt > 0 && elapsed / TERN_MUX_WINDOW_SHRINK_ROUND_TRIPS >= rtt)
        return TERN_MUX_WINDOW_SHRINK;
    return TERN_MUX_WINDOW_KEEP;
}

/* tern_mux_window_more is by how much it grows; size_max bounds it. */
static inline uint32_t tern_mux_window_more(const struct tern_mux_window *window, uint32_t size_max)
{
    if (window->size >= size_max)
        return 0;
    uint32_t room = size_max - window->size;
    return window->size < room ? window->size : room;
}

/* tern_mux_window_less is by how much it shrinks at most; size_min bounds it. */
static inline uint32_t tern_mux_window_less(const struct tern_mux_window *window, uint32_t size_min)
{
    if (window->size <= size_min)
        return 0;
    uint32_t room = window->size - size_min;
    return window->size / 2 < room ? window->size / 2 : room;
}

#endif
