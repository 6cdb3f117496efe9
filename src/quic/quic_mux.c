/*
 * A connection's verbs and events: a muxer's (mux/mux.h), and a session's own (mux/session.h).
 */
#include "quic/quic_internal.h"

/* --- events --- */

/* mux_next_of_session draws what is to be said of the session itself. */
static bool mux_next_of_session(struct tern_quic_conn *conn, struct tern_mux_event *event)
{
    static const struct {
        uint32_t news;
        enum tern_mux_event_kind kind;
    } order[] = {
        {QUIC_NEWS_ESTABLISHED, TERN_MUX_ESTABLISHED},
        {QUIC_NEWS_CONFIRMED, TERN_MUX_CONFIRMED},
        {QUIC_NEWS_RTT, TERN_MUX_RTT},
        {QUIC_NEWS_GOAWAY, TERN_MUX_GOAWAY},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(order); i++) {
        if (!(conn->news & order[i].news))
            continue;
        conn->news &= ~order[i].news;
        *event = (struct tern_mux_event){.kind = order[i].kind};
        if (event->kind == TERN_MUX_CONFIRMED)
            conn->confirmed_said = true;
        if (event->kind == TERN_MUX_RTT)
            event->rtt_ns = conn->rtt_ns;
        if (event->kind == TERN_MUX_GOAWAY)
            event->code = conn->remote_code;
        return true;
    }
    return false;
}

static bool mux_next(void *self, struct tern_mux_event *event)
{
    struct tern_quic_conn *conn = self;
    if (mux_next_of_session(conn, event))
        return true;
    struct quic_stream *stream = quic_stream_of(tern_mux_streams_next(&conn->streams, event));
    if (stream == NULL)
        return false;
    event->early = event->kind == TERN_MUX_STREAM_OPENED && !conn->confirmed_said;
    if (event->kind == TERN_MUX_RESET || event->kind == TERN_MUX_CLOSED)
        quic_stream_drop_id(conn, stream);
    return true;
}

/* --- verbs of streams --- */

static struct quic_stream *mux_find(const struct tern_quic_conn *conn, tern_stream_id id)
{
    return quic_stream_of(tern_mux_stream_find(&conn->streams, id));
}

/* mux_look: a call of the owner's may have made news. */
static void mux_look(struct tern_quic_conn *conn)
{
    if (!tern_list_empty(&conn->streams.news))
        quic_conn_tell(conn);
}

static tern_err mux_open_kind(struct tern_quic_conn *conn, enum tern_stream_class class,
                              bool one_way, tern_stream_id *id)
{
    TERN_CHECK(class < TERN_STREAM_CLASS_COUNT);
    *id = TERN_STREAM_NONE;
    if (conn->ng == NULL || conn->closing || !conn->established)
        return TERN_ERR_CLOSED;
    uint64_t left = one_way ? ngtcp2_conn_get_streams_uni_left(conn->ng)
                            : ngtcp2_conn_get_streams_bidi_left(conn->ng);
    if (conn->streams.out_count >= conn->quic->options.streams_out_max || conn->unnumbered >= left)
        return TERN_ERR_FULL;
    struct quic_stream *stream;
    TERN_TRY(quic_stream_open(conn, class, one_way, &stream));
    *id = tern_mux_stream_id(&stream->base);
    return TERN_OK;
}

static tern_err mux_open(void *self, enum tern_stream_class class, tern_stream_id *id)
{
    return mux_open_kind(self, class, false, id);
}

static void mux_set_class(void *self, tern_stream_id id, enum tern_stream_class class)
{
    struct tern_quic_conn *conn = self;
    struct quic_stream *stream = mux_find(conn, id);
    if (stream != NULL)
        tern_schedule_set_class(&conn->streams.schedule, &stream->base.turn, class);
}

static void mux_set_early(void *self, tern_stream_id id)
{
    struct tern_quic_conn *conn = self;
    struct quic_stream *stream = mux_find(conn, id);
    if (stream == NULL)
        return;
    stream->base.flags |= QUIC_EARLY;
    quic_stream_update(conn, stream);
}

/* mux_stopped: has the remote said that it will not read the stream? */
static bool mux_stopped(const struct tern_quic_conn *conn, tern_stream_id id)
{
    const struct quic_stream *stream = mux_find(conn, id);
    return stream != NULL &&
           (stream->base.flags & ((uint32_t)QUIC_STOPPED | MUX_DEAD)) == QUIC_STOPPED;
}

/* mux_wait: may a write that lacks memory wait for what is not acknowledged yet? */
static bool mux_wait(struct tern_mux_stream *base, tern_err err)
{
    if ((err != TERN_ERR_SCOPE_MEMORY && err != TERN_ERR_MEMORY) || base == NULL || base->sent == 0)
        return false;
    base->flags |= MUX_WRITE_SHORT;
    return true;
}

static tern_err mux_write(void *self, tern_stream_id id, struct tern_view bytes, size_t *accepted)
{
    struct tern_quic_conn *conn = self;
    struct tern_mux_stream *base = NULL;
    *accepted = 0;
    if (mux_stopped(conn, id))
        return TERN_ERR_CLOSED;
    tern_err err = tern_mux_stream_write(&conn->streams, id, bytes, accepted, &base);
    if (mux_wait(base, err))
        return TERN_OK;
    if (err == TERN_OK)
        quic_stream_update(conn, quic_stream_of(base));
    return err;
}

static tern_err mux_write_slice(void *self, tern_stream_id id, struct tern_slice slice)
{
    struct tern_quic_conn *conn = self;
    struct tern_mux_stream *base = NULL;
    if (mux_stopped(conn, id))
        return TERN_ERR_CLOSED;
    tern_err err = tern_mux_stream_write_slice(&conn->streams, id, slice, &base);
    if (mux_wait(base, err))
        return TERN_ERR_AGAIN;
    if (err == TERN_OK)
        quic_stream_update(conn, quic_stream_of(base));
    return err;
}

static tern_err mux_read(void *self, tern_stream_id id, struct tern_slice *bytes)
{
    const struct tern_quic_conn *conn = self;
    return tern_mux_stream_read(&conn->streams, id, bytes);
}

static void mux_consume(void *self, tern_stream_id id, size_t size)
{
    struct tern_quic_conn *conn = self;
    struct quic_stream *stream = mux_find(conn, id);
    if (stream == NULL || size == 0 || (stream->base.flags & MUX_DEAD) != 0)
        return;
    TERN_CHECK(size <= stream->base.in.size);
    tern_mux_queue_drop(&conn->streams.pool, &stream->base.in, size);
    quic_window_consume(conn, stream, size);
    quic_stream_close_if_done(conn, stream);
    mux_look(conn);
}

static tern_err mux_close_write(void *self, tern_stream_id id)
{
    struct tern_quic_conn *conn = self;
    struct tern_mux_stream *base;
    TERN_TRY(tern_mux_stream_close_write(&conn->streams, id, &base));
    struct quic_stream *stream = quic_stream_of(base);
    if (base->flags & QUIC_STOPPED) {
        base->flags |= MUX_FIN_SENT;
        quic_stream_close_if_done(conn, stream);
    }
    quic_stream_update(conn, stream);
    mux_look(conn);
    return TERN_OK;
}

static void mux_reset_wide(struct tern_quic_conn *conn, tern_stream_id id, uint64_t code)
{
    struct quic_stream *stream = mux_find(conn, id);
    if (stream == NULL)
        return;
    quic_stream_reset(conn, stream, code);
    quic_conn_wake(conn);
}

static void mux_reset(void *self, tern_stream_id id, uint32_t code)
{
    mux_reset_wide(self, id, code);
}

static size_t mux_unread(const void *self, tern_stream_id id)
{
    const struct tern_quic_conn *conn = self;
    return tern_mux_stream_unread(&conn->streams, id);
}

static size_t mux_queued(const void *self, tern_stream_id id)
{
    const struct tern_quic_conn *conn = self;
    return tern_mux_stream_queued(&conn->streams, id);
}

/* --- of the session --- */

static void mux_goaway(void *self, uint32_t code)
{
    struct tern_quic_conn *conn = self;
    if (conn->closing || conn->ng == NULL)
        return;
    conn->closing = true;
    conn->close_code = code;
    /* In its turn to send it is seen whether all is acknowledged already. */
    quic_conn_wake(conn);
}

static size_t mux_streams_count(const void *self)
{
    const struct tern_quic_conn *conn = self;
    return conn->streams.slots_used;
}

static tern_err mux_error(const void *self)
{
    const struct tern_quic_conn *conn = self;
    return conn->error;
}

static tern_fault mux_fault(const void *self)
{
    const struct tern_quic_conn *conn = self;
    return conn->fault;
}

static void mux_fini(void *self)
{
    quic_conn_free(self);
}

#define MUX_VERBS                                                                                  \
    .protocol_id = TERN_QUIC_PROTOCOL_ID, .next = mux_next, .open = mux_open,                      \
    .set_class = mux_set_class, .set_early = mux_set_early, .write = mux_write,                    \
    .write_slice = mux_write_slice, .read = mux_read, .consume = mux_consume,                      \
    .close_write = mux_close_write, .reset = mux_reset, .goaway = mux_goaway,                      \
    .unread = mux_unread, .queued = mux_queued, .streams_count = mux_streams_count,                \
    .error = mux_error, .fault = mux_fault

static const struct tern_mux_ops mux_ops = {MUX_VERBS, .fini = mux_fini};

/* --- a session's own --- */

static const struct tern_secure_remote *session_remote(const void *self)
{
    const struct tern_quic_conn *conn = self;
    return &conn->remote;
}

static void session_job_done(void *self, tern_time now, struct tern_job *job)
{
    (void)self;
    (void)now;
    (void)job;
    TERN_UNREACHABLE(); /* there are none */
}

static void session_info(const void *self, struct tern_session_info *info)
{
    const struct tern_quic_conn *conn = self;
    *info = (struct tern_session_info){.kind = TERN_SESSION_QUIC,
                                       .socket = conn->quic->sockets[conn->socket].id,
                                       .path = conn->last_path,
                                       .bytes_in = conn->bytes_in,
                                       .bytes_out = conn->bytes_out};
    if (conn->ng == NULL)
        return;
    tern_quic_path_get(ngtcp2_conn_get_path(conn->ng), &info->path);
    info->path.local.port = conn->quic->sockets[conn->socket].port;
}

static tern_err session_migrate(void *self, tern_time now, tern_link_id socket)
{
    struct tern_quic_conn *conn = self;
    struct quic *quic = conn->quic;
    struct tern_path path;
    ngtcp2_path_storage storage;
    quic_at(quic, now);
    if (conn->server)
        return TERN_ERR_UNSUPPORTED;
    if (conn->ng == NULL || !conn->confirmed)
        return conn->ng == NULL ? TERN_ERR_CLOSED : TERN_ERR_AGAIN;
    const ngtcp2_transport_params *params = ngtcp2_conn_get_remote_transport_params(conn->ng);
    if (params == NULL || params->disable_active_migration)
        return TERN_ERR_UNSUPPORTED;
    uint16_t number = quic_socket_number(quic, socket);
    if (number == QUIC_SOCKETS_MAX)
        return TERN_ERR_FULL;
    if (number == conn->socket)
        return TERN_OK;
    tern_quic_path_get(ngtcp2_conn_get_path(conn->ng), &path);
    tern_quic_path_set(&storage, number, NULL, &path.remote);
    int code = ngtcp2_conn_initiate_migration(conn->ng, &storage.path, quic->now);
    if (code == NGTCP2_ERR_INVALID_STATE || code == NGTCP2_ERR_CONN_ID_BLOCKED)
        return TERN_ERR_AGAIN;
    if (code != 0) {
        quic_conn_fail(conn, code);
        return TERN_ERR_MEMORY;
    }
    quic_conn_wake(conn);
    quic_conn_settle(conn);
    return TERN_OK;
}

static const struct tern_session_ops session_ops = {
    .remote = session_remote,
    .job_done = session_job_done,
    .info = session_info,
    .migrate = session_migrate,
};

struct tern_session quic_mux_session(struct tern_quic_conn *conn)
{
    return (struct tern_session){.mux = {.ops = &mux_ops, .self = conn}, .ops = &session_ops};
}

/* --- for the layer above --- */

struct tern_session tern_quic_conn_session(struct tern_quic_conn *conn)
{
    static const struct tern_mux_ops raw_ops = {MUX_VERBS};
    return (struct tern_session){.mux = {.ops = &raw_ops, .self = conn}, .ops = &session_ops};
}

bool tern_quic_conn_server(const struct tern_quic_conn *conn)
{
    return conn->server;
}

void tern_quic_conn_tell(struct tern_quic_conn *conn)
{
    quic_conn_tell(conn);
}

tern_err tern_quic_conn_open_one_way(struct tern_quic_conn *conn, enum tern_stream_class class,
                                     tern_stream_id *stream)
{
    return mux_open_kind(conn, class, true, stream);
}

bool tern_quic_conn_one_way(const struct tern_quic_conn *conn, tern_stream_id stream)
{
    const struct quic_stream *s = mux_find(conn, stream);
    return s != NULL && (s->base.flags & QUIC_ONE_WAY) != 0;
}

bool tern_quic_conn_ended(const struct tern_quic_conn *conn, tern_stream_id stream)
{
    const struct quic_stream *s = mux_find(conn, stream);
    return s != NULL && (s->base.flags & MUX_FIN_RECEIVED) != 0;
}

const struct tern_peer_id *tern_quic_conn_expected(const struct tern_quic_conn *conn)
{
    return conn->expected;
}

size_t tern_quic_conn_certhashes(const struct tern_quic_conn *conn, struct tern_view *out,
                                 size_t max)
{
    size_t count = conn->web == NULL ? 0 : tern_min_size(conn->web->hashes_count, max);
    for (size_t i = 0; i < count; i++)
        out[i] = tern_view_of(conn->web->multihashes[i], QUIC_HASH_SIZE);
    return count;
}

struct tern_view tern_quic_conn_server_name(const struct tern_quic_conn *conn)
{
    if (conn->web == NULL)
        return tern_view_of(NULL, 0);
    return tern_view_of(conn->web->server_name, conn->web->server_name_size);
}

int64_t tern_quic_conn_wire_id(const struct tern_quic_conn *conn, tern_stream_id stream)
{
    const struct quic_stream *s = mux_find(conn, stream);
    return s == NULL ? -1 : s->wire;
}

void tern_quic_conn_reset(struct tern_quic_conn *conn, tern_stream_id stream, uint64_t code)
{
    mux_reset_wide(conn, stream, code);
}
