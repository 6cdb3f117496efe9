/*
 * Lives of streams. The owner's id and the stream on the wire end apart: CLOSED and RESET end the
 * id, the stream is on the wire until both ends know of its end, and its object lives as long as
 * either. What was sent is kept until it is acknowledged, for ngtcp2 sends it again from where it
 * lies.
 *
 * A stream of the remote's takes one place of those that it may have open, until its object goes.
 */
#include "quic/quic_internal.h"

#define RESETS_INTERVAL (10 * TERN_MILLISECOND)

enum { RESETS_BURST = 1024, STREAMS_RETURN_PART = 8 };

static bool stream_dead(const struct quic_stream *stream)
{
    return stream->base.slot == TERN_MUX_NO_SLOT || (stream->base.flags & MUX_DEAD) != 0;
}

static bool stream_inbound(const struct quic_stream *stream)
{
    return (stream->base.flags & MUX_INBOUND) != 0;
}

/* --- places of the remote's streams --- */

/* streams_return gives a place back, a part of all of them at a time. */
static void streams_return(struct tern_quic_conn *conn, bool one_way)
{
    uint32_t *returned = &conn->returned[one_way];
    (*returned)++;
    bool enough = *returned * STREAMS_RETURN_PART >= conn->quic->options.streams_in_max;
    if (conn->ng == NULL || (!enough && conn->streams.in_count > 0))
        return;
    if (one_way)
        ngtcp2_conn_extend_max_streams_uni(conn->ng, *returned);
    else
        ngtcp2_conn_extend_max_streams_bidi(conn->ng, *returned);
    *returned = 0;
}

/* --- making --- */

static tern_err stream_new(struct tern_quic_conn *conn, uint32_t flags, struct quic_stream **stream)
{
    struct tern_mux_stream *base;
    *stream = NULL;
    TERN_TRY(tern_mux_stream_new(&conn->streams, flags & MUX_INBOUND, &base));
    base->flags |= flags;
    struct quic_stream *s = quic_stream_of(base);
    s->wire = -1;
    s->window.size = TERN_QUIC_STREAM_WINDOW_INITIAL;
    s->window.tuned_at = conn->quic->now;
    s->granted = TERN_QUIC_STREAM_WINDOW_INITIAL;
    *stream = s;
    return TERN_OK;
}

tern_err quic_stream_open(struct tern_quic_conn *conn, enum tern_stream_class class, bool one_way,
                          struct quic_stream **stream)
{
    uint32_t flags = one_way ? (uint32_t)QUIC_ONE_WAY | MUX_FIN_RECEIVED : 0;
    TERN_TRY(stream_new(conn, flags, stream));
    tern_schedule_set_class(&conn->streams.schedule, &(*stream)->base.turn, class);
    conn->unnumbered++;
    return TERN_OK;
}

/* stream_refuse ends a stream of the remote's that has no object. */
static int stream_refuse(struct tern_quic_conn *conn, int64_t wire)
{
    quic_note(conn->quic, TERN_FAULT_QUIC_STREAM_REFUSED);
    uint64_t code = conn->closing ? TERN_MUX_CODE_SHUTDOWN : TERN_MUX_CODE_RESOURCE_LIMIT;
    return ngtcp2_conn_shutdown_stream(conn->ng, 0, wire, code);
}

/* stream_flood counts streams that were opened for nothing; true: too many. */
static bool stream_flood(struct tern_quic_conn *conn)
{
    return !tern_mux_bucket_take(&conn->resets, conn->quic->now, RESETS_BURST, RESETS_INTERVAL);
}

int quic_stream_accept(struct tern_quic_conn *conn, int64_t wire)
{
    struct quic_stream *stream;
    bool one_way = !ngtcp2_is_bidi_stream(wire);
    uint32_t flags = (uint32_t)MUX_INBOUND | QUIC_ON_WIRE;
    if (!conn->confirmed)
        flags |= QUIC_EARLY; /* what answers early data may go at once */
    if (one_way)
        flags |= (uint32_t)QUIC_ONE_WAY | MUX_FIN_ASKED | MUX_FIN_SENT;
    if (conn->closing || stream_new(conn, flags, &stream) != TERN_OK) {
        if (stream_flood(conn)) {
            conn->tls_fault = TERN_FAULT_QUIC_RESET_FLOOD;
            conn->tls_error = TERN_ERR_PROTOCOL;
            return NGTCP2_ERR_CALLBACK_FAILURE;
        }
        return stream_refuse(conn, wire);
    }
    stream->wire = wire;
    stream->base.wire_id = (uint64_t)wire + 1;
    tern_mux_stream_say(&conn->streams, &stream->base, MUX_NEWS_OPENED);
    return ngtcp2_conn_set_stream_user_data(conn->ng, wire, stream);
}

/* --- ending --- */

/* stream_release gives back what is kept of bytes that were written. */
static void stream_release(struct tern_quic_conn *conn, struct quic_stream *stream, size_t keep)
{
    struct tern_mux_stream *base = &stream->base;
    TERN_CHECK(keep <= base->sent);
    if (base->out.size > keep)
        tern_scope_release(conn->scope, TERN_RESOURCE_MEMORY, base->out.size - keep);
    tern_mux_queue_cut(&conn->streams.pool, &base->out, keep);
    conn->unacked -= base->sent - keep;
    base->sent = keep;
    stream->cursor = NULL;
}

/* stream_mute ends a stream for its owner: what is unread and unsent goes. */
static void stream_mute(struct tern_quic_conn *conn, struct quic_stream *stream)
{
    struct tern_mux_stream *base = &stream->base;
    quic_window_drop(conn, stream);
    tern_mux_queue_clear(&conn->streams.pool, &base->in);
    stream_release(conn, stream, base->sent);
    tern_schedule_remove(&conn->streams.schedule, &base->turn);
    base->flags &= ~(uint32_t)(MUX_WRITE_SHORT | MUX_ANNOUNCE);
    if (!(base->flags & MUX_RST_DUE))
        tern_list_remove(&base->control);
}

static void stream_free(struct tern_quic_conn *conn, struct quic_stream *stream)
{
    bool inbound = stream_inbound(stream);
    bool one_way = (stream->base.flags & QUIC_ONE_WAY) != 0;
    stream_mute(conn, stream);
    stream_release(conn, stream, 0);
    if (!inbound && stream->wire < 0)
        conn->unnumbered--;
    tern_mux_stream_free(&conn->streams, &stream->base);
    if (inbound)
        streams_return(conn, one_way);
}

/* stream_settle frees the stream when neither its id lives nor the wire knows it. */
static void stream_settle(struct tern_quic_conn *conn, struct quic_stream *stream)
{
    if (stream->base.slot != TERN_MUX_NO_SLOT)
        return;
    if (!(stream->base.flags & QUIC_ON_WIRE)) {
        stream_free(conn, stream);
        return;
    }
    /* In the list of control it is found at the end. */
    stream->base.flags |= MUX_RST_DUE;
    tern_mux_stream_want_control(&conn->streams, &stream->base);
}

void quic_stream_drop_id(struct tern_quic_conn *conn, struct quic_stream *stream)
{
    tern_mux_stream_drop_id(&conn->streams, &stream->base);
    stream_settle(conn, stream);
}

/* stream_code is what a code on the wire is to the owner. */
static uint32_t stream_code(const struct tern_quic_conn *conn, uint64_t code)
{
    const struct tern_quic_upper *upper = &conn->quic->upper;
    if (conn->alpn != QUIC_ALPN_LIBP2P && upper->code_in != NULL)
        return upper->code_in(code);
    return (uint32_t)(code > UINT32_MAX ? UINT32_MAX : code);
}

/* stream_die is a reset that was not the owner's: it is told, if it has heard of the stream. */
static void stream_die(struct tern_quic_conn *conn, struct quic_stream *stream, uint32_t code)
{
    struct tern_mux_stream *base = &stream->base;
    stream_mute(conn, stream);
    base->code = code;
    base->flags |= MUX_DEAD;
    if (base->flags & MUX_NEWS_OPENED) {
        base->flags &= ~(uint32_t)(MUX_NEWS_OPENED | MUX_NEWS_READABLE | MUX_NEWS_WRITABLE);
        quic_stream_drop_id(conn, stream);
        return;
    }
    base->flags &= ~(uint32_t)(MUX_NEWS_READABLE | MUX_NEWS_WRITABLE | MUX_NEWS_CLOSED);
    tern_mux_stream_say(&conn->streams, base, MUX_NEWS_RESET);
}

void quic_stream_close_if_done(struct tern_quic_conn *conn, struct quic_stream *stream)
{
    if (stream_dead(stream) || !tern_mux_stream_ended(&stream->base))
        return;
    tern_mux_stream_say(&conn->streams, &stream->base, MUX_NEWS_CLOSED);
}

void quic_stream_stop(struct tern_quic_conn *conn, struct quic_stream *stream)
{
    struct tern_mux_stream *base = &stream->base;
    if (base->flags & ((uint32_t)QUIC_STOPPED | MUX_FIN_SENT))
        return;
    base->flags |= QUIC_STOPPED;
    stream_release(conn, stream, base->sent);
    tern_schedule_remove(&conn->streams.schedule, &base->turn);
    if (stream_dead(stream))
        return;
    if (base->flags & MUX_FIN_ASKED)
        base->flags |= MUX_FIN_SENT;
    /* Whoever waits to write is to hear that it is over. */
    tern_mux_stream_say_writable(&conn->streams, base);
    quic_stream_close_if_done(conn, stream);
}

/* quic_stream_reset: the id is dead in the call. */
void quic_stream_reset(struct tern_quic_conn *conn, struct quic_stream *stream, uint64_t code)
{
    if (!(stream->base.flags & MUX_DEAD)) {
        stream_mute(conn, stream);
        stream->base.flags |= MUX_DEAD;
        if (stream->base.flags & QUIC_ON_WIRE &&
            ngtcp2_conn_shutdown_stream(conn->ng, 0, stream->wire, code) != 0)
            quic_conn_fail(conn, NGTCP2_ERR_NOMEM);
    }
    quic_stream_drop_id(conn, stream);
}

/* --- what the remote does --- */

/* stream_starve resets a stream for whose data there is no memory. */
static int stream_starve(struct tern_quic_conn *conn, struct quic_stream *stream)
{
    int64_t wire = stream->wire;
    quic_note(conn->quic, TERN_FAULT_QUIC_STREAM_STARVED);
    stream_die(conn, stream, TERN_MUX_CODE_RESOURCE_LIMIT);
    return ngtcp2_conn_shutdown_stream(conn->ng, 0, wire, TERN_MUX_CODE_RESOURCE_LIMIT);
}

int quic_stream_data(struct tern_quic_conn *conn, struct quic_stream *stream,
                     struct tern_view bytes, uint32_t flags)
{
    if (stream == NULL || stream_dead(stream)) {
        quic_window_skip(conn, bytes.size);
        return 0;
    }
    struct tern_mux_stream *base = &stream->base;
    if (bytes.size > 0) {
        if (quic_window_take(conn, bytes.size) != TERN_OK) {
            quic_window_skip(conn, bytes.size);
            return stream_starve(conn, stream);
        }
        size_t kept = tern_mux_queue_copy(&conn->streams.pool, &base->in, bytes);
        if (kept < bytes.size) {
            quic_window_untake(conn, bytes.size - kept);
            return stream_starve(conn, stream);
        }
    }
    if (flags & NGTCP2_STREAM_DATA_FLAG_FIN)
        base->flags |= MUX_FIN_RECEIVED;
    tern_mux_stream_say(&conn->streams, base, MUX_NEWS_READABLE);
    quic_stream_close_if_done(conn, stream);
    return 0;
}

int quic_stream_remote_reset(struct tern_quic_conn *conn, struct quic_stream *stream, uint64_t code)
{
    if (stream_inbound(stream) && stream_flood(conn)) {
        conn->tls_fault = TERN_FAULT_QUIC_RESET_FLOOD;
        conn->tls_error = TERN_ERR_PROTOCOL;
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    int64_t wire = stream->wire;
    bool writes = !(stream->base.flags & QUIC_ONE_WAY);
    if (!stream_dead(stream))
        stream_die(conn, stream, stream_code(conn, code));
    return writes ? ngtcp2_conn_shutdown_stream_write(conn->ng, 0, wire, code) : 0;
}

int quic_stream_closed(struct tern_quic_conn *conn, struct quic_stream *stream, int64_t wire,
                       uint64_t code)
{
    if (stream == NULL) {
        if (!ngtcp2_conn_is_local_stream(conn->ng, wire))
            streams_return(conn, !ngtcp2_is_bidi_stream(wire));
        return 0;
    }
    struct tern_mux_stream *base = &stream->base;
    stream_release(conn, stream, 0);
    base->flags &= ~((uint32_t)QUIC_ON_WIRE | MUX_RST_DUE);
    if (!stream_dead(stream) && !(base->flags & MUX_FIN_SENT)) {
        uint32_t told = stream_code(conn, code);
        if (told != QUIC_CODE_NONE)
            stream_die(conn, stream, told);
        else
            quic_stream_stop(conn, stream);
    }
    stream_settle(conn, stream);
    return 0;
}

void quic_stream_acked(struct tern_quic_conn *conn, struct quic_stream *stream, size_t size)
{
    struct tern_mux_stream *base = &stream->base;
    size = tern_min_size(size, base->sent);
    if (size == 0)
        return;
    tern_mux_queue_drop(&conn->streams.pool, &base->out, size);
    tern_scope_release(conn->scope, TERN_RESOURCE_MEMORY, size);
    base->sent -= size;
    conn->unacked -= size;
    if (base->sent == 0)
        stream->cursor = NULL;
    if (!stream_dead(stream))
        tern_mux_stream_say_writable(&conn->streams, base);
}

/* --- lines --- */

/* stream_sendable: is there something of it that may go now? */
static bool stream_sendable(const struct tern_quic_conn *conn, const struct quic_stream *stream)
{
    const struct tern_mux_stream *base = &stream->base;
    if (stream_dead(stream) || (base->flags & QUIC_STOPPED))
        return false;
    if (!conn->confirmed && !(conn->early && (base->flags & QUIC_EARLY)))
        return false;
    return tern_mux_stream_unsent(base) > 0 || tern_mux_stream_fin_due(base) ||
           (base->flags & MUX_ANNOUNCE) != 0;
}

void quic_stream_update(struct tern_quic_conn *conn, struct quic_stream *stream)
{
    if (conn->ng != NULL && stream_sendable(conn, stream)) {
        tern_schedule_add(&conn->streams.schedule, &stream->base.turn);
        quic_conn_wake(conn);
    } else {
        tern_schedule_remove(&conn->streams.schedule, &stream->base.turn);
    }
}

void quic_streams_update(struct tern_quic_conn *conn)
{
    for (uint32_t i = 0; i < conn->streams.slots_count; i++)
        if (conn->streams.slots[i].stream != NULL)
            quic_stream_update(conn, quic_stream_of(conn->streams.slots[i].stream));
}

/* stream_again makes a stream as if nothing of it had been sent. */
static void stream_again(struct tern_quic_conn *conn, struct quic_stream *stream)
{
    struct tern_mux_stream *base = &stream->base;
    if (!(base->flags & QUIC_ON_WIRE))
        return;
    if (tern_mux_stream_unsent(base) + base->sent == 0 && !(base->flags & MUX_FIN_ASKED))
        base->flags |= MUX_ANNOUNCE;
    base->flags &= ~((uint32_t)QUIC_ON_WIRE | MUX_FIN_SENT | MUX_RST_DUE);
    conn->unacked -= base->sent;
    base->sent = 0;
    stream->cursor = NULL;
    stream->wire = -1;
    base->wire_id = 0;
    conn->unnumbered++;
    stream_settle(conn, stream);
}

/* streams_each calls one function for all objects, which may free the one it is given. */
static void streams_each(struct tern_quic_conn *conn,
                         void (*each)(struct tern_quic_conn *conn, struct quic_stream *stream))
{
    TERN_LIST_FOREACH_SAFE (node, next, &conn->streams.control) {
        struct tern_mux_stream *base = TERN_LIST_ENTRY(node, struct tern_mux_stream, control);
        if (base->slot == TERN_MUX_NO_SLOT)
            each(conn, quic_stream_of(base));
    }
    for (uint32_t i = 0; i < conn->streams.slots_count; i++)
        if (conn->streams.slots[i].stream != NULL)
            each(conn, quic_stream_of(conn->streams.slots[i].stream));
}

void quic_streams_again(struct tern_quic_conn *conn)
{
    streams_each(conn, stream_again);
    quic_streams_update(conn);
}

static void stream_off(struct tern_quic_conn *conn, struct quic_stream *stream)
{
    stream->base.flags &= ~((uint32_t)QUIC_ON_WIRE | MUX_RST_DUE);
    tern_schedule_remove(&conn->streams.schedule, &stream->base.turn);
    stream_settle(conn, stream);
}

void quic_streams_off(struct tern_quic_conn *conn)
{
    TERN_CHECK(conn->ng == NULL);
    streams_each(conn, stream_off);
}

static void streams_release(struct tern_mux_streams *streams, struct tern_mux_stream *base)
{
    struct tern_quic_conn *conn = TERN_CONTAINER_OF(streams, struct tern_quic_conn, streams);
    stream_free(conn, quic_stream_of(base));
}

void quic_streams_fini(struct tern_quic_conn *conn)
{
    tern_mux_streams_fini(&conn->streams, streams_release);
}
