/*
 * Receive windows: credit that goes back to the remote, of each stream and of all together, and
 * what is charged for it. How large they are is the policy of mux/window.h.
 *
 *   granted    what the remote was ever allowed to send
 *   consumed   what was read or dropped of it
 *   granted - consumed ≤ window; the difference is given back when it is enough
 *
 * What may be held at once is bounded by the session's window: its first part is charged to the
 * session's scope as bytes are held, the rest is a reservation in the budget of all. A stream's
 * window is a share of it. When streams that nobody reads fill half of it, it grows, so that they
 * stall themselves alone.
 */
#include "quic/quic_internal.h"

/* window_charge charges the scope for what is unread, within the first part of the window. */
static tern_err window_charge(struct tern_quic_conn *conn)
{
    uint64_t charge =
        conn->unread < TERN_QUIC_WINDOW_INITIAL ? conn->unread : TERN_QUIC_WINDOW_INITIAL;
    if (charge > conn->charged)
        TERN_TRY(
            tern_scope_reserve(conn->scope, TERN_RESOURCE_MEMORY, charge - conn->charged, NULL));
    else if (charge < conn->charged)
        tern_scope_release(conn->scope, TERN_RESOURCE_MEMORY, conn->charged - charge);
    conn->charged = charge;
    return TERN_OK;
}

static void window_grow(struct tern_quic_conn *conn)
{
    const struct tern_quic_options *options = &conn->quic->options;
    uint32_t more = tern_mux_window_more(&conn->window, 2 * options->window_max);
    if (options->windows == NULL || more == 0)
        return;
    if (tern_scope_reserve(options->windows, TERN_RESOURCE_MEMORY, more, NULL) == TERN_OK)
        conn->window.size += more;
}

static uint32_t window_returnable(const struct tern_mux_window *window, uint64_t consumed,
                                  uint64_t granted)
{
    TERN_CHECK(granted - consumed <= window->size);
    return window->size - (uint32_t)(granted - consumed);
}

static void window_shrink(struct tern_quic_conn *conn)
{
    uint32_t less = tern_mux_window_less(&conn->window, TERN_QUIC_WINDOW_INITIAL);
    uint32_t returnable = window_returnable(&conn->window, conn->consumed, conn->granted);
    if (less > returnable)
        less = returnable;
    if (less == 0)
        return;
    conn->window.size -= less;
    tern_scope_release(conn->quic->options.windows, TERN_RESOURCE_MEMORY, less);
}

/* window_return gives the session's credit back, when it is enough. */
static void window_return(struct tern_quic_conn *conn)
{
    uint32_t returnable = window_returnable(&conn->window, conn->consumed, conn->granted);
    if (conn->ng == NULL || !tern_mux_window_due(&conn->window, returnable))
        return;
    tern_time now = conn->quic->now;
    switch (tern_mux_window_tune(&conn->window, now, quic_conn_rtt(conn), returnable)) {
    case TERN_MUX_WINDOW_KEEP:
        break;
    case TERN_MUX_WINDOW_GROW:
        window_grow(conn);
        break;
    case TERN_MUX_WINDOW_SHRINK:
        window_shrink(conn);
        break;
    }
    returnable = window_returnable(&conn->window, conn->consumed, conn->granted);
    if (returnable == 0)
        return;
    ngtcp2_conn_extend_max_offset(conn->ng, returnable);
    conn->granted += returnable;
    quic_conn_wake(conn);
}

/* window_return_stream does the same for a stream, which the remote may go on sending on. */
static void window_return_stream(struct tern_quic_conn *conn, struct quic_stream *stream)
{
    uint32_t returnable = window_returnable(&stream->window, stream->consumed, stream->granted);
    if (conn->ng == NULL || !(stream->base.flags & QUIC_ON_WIRE) ||
        (stream->base.flags & (MUX_FIN_RECEIVED | MUX_DEAD)) != 0 ||
        !tern_mux_window_due(&stream->window, returnable))
        return;
    uint32_t size_max = conn->quic->options.window_max;
    tern_time now = conn->quic->now;
    switch (tern_mux_window_tune(&stream->window, now, quic_conn_rtt(conn), returnable)) {
    case TERN_MUX_WINDOW_KEEP:
        break;
    case TERN_MUX_WINDOW_GROW:
        /* Beyond the session's window it would be of no use. */
        if (stream->window.size < conn->window.size)
            stream->window.size += tern_mux_window_more(&stream->window, size_max);
        break;
    case TERN_MUX_WINDOW_SHRINK: {
        uint32_t less = tern_mux_window_less(&stream->window, TERN_QUIC_STREAM_WINDOW_INITIAL);
        stream->window.size -= less < returnable ? less : returnable;
        break;
    }
    }
    returnable = window_returnable(&stream->window, stream->consumed, stream->granted);
    if (returnable == 0)
        return;
    if (ngtcp2_conn_extend_max_stream_offset(conn->ng, stream->wire, returnable) != 0) {
        quic_conn_fail(conn, NGTCP2_ERR_NOMEM);
        return;
    }
    stream->granted += returnable;
    quic_conn_wake(conn);
}

tern_err quic_window_take(struct tern_quic_conn *conn, size_t size)
{
    conn->unread += size;
    tern_err err = window_charge(conn);
    if (err != TERN_OK) {
        conn->unread -= size;
        return err;
    }
    if (conn->unread > conn->window.size / 2) {
        window_grow(conn);
        window_return(conn);
    }
    return TERN_OK;
}

/* window_spend counts bytes that were unread as consumed. */
static void window_spend(struct tern_quic_conn *conn, size_t size)
{
    TERN_CHECK(size <= conn->unread);
    conn->unread -= size;
    TERN_CHECK(window_charge(conn) == TERN_OK);
    quic_window_skip(conn, size);
}

void quic_window_consume(struct tern_quic_conn *conn, struct quic_stream *stream, size_t size)
{
    stream->consumed += size;
    window_return_stream(conn, stream);
    window_spend(conn, size);
}

void quic_window_drop(struct tern_quic_conn *conn, struct quic_stream *stream)
{
    if (stream->base.in.size > 0)
        window_spend(conn, stream->base.in.size);
}

void quic_window_untake(struct tern_quic_conn *conn, size_t size)
{
    window_spend(conn, size);
}

void quic_window_skip(struct tern_quic_conn *conn, size_t size)
{
    conn->consumed += size;
    window_return(conn);
}

void quic_window_fini(struct tern_quic_conn *conn)
{
    TERN_CHECK(conn->unread == 0 && conn->charged == 0 && conn->unacked == 0);
    uint32_t reserved = conn->window.size - TERN_QUIC_WINDOW_INITIAL;
    if (reserved > 0)
        tern_scope_release(conn->quic->options.windows, TERN_RESOURCE_MEMORY, reserved);
    conn->window.size = TERN_QUIC_WINDOW_INITIAL;
}
