/*
 * What the owner of a session calls where another layer may take the connection (quic_conn.h): each
 * call goes to that layer's session once there is one, and to the connection's own until then.
 */
#include "quic/quic_internal.h"

static const struct tern_session *front_session(const void *self)
{
    const struct tern_quic_conn *conn = self;
    return &conn->front;
}

static const struct tern_mux *front_mux(const void *self)
{
    return &front_session(self)->mux;
}

static bool front_next(void *self, struct tern_mux_event *event)
{
    const struct tern_quic_conn *conn = self;
    if (conn->alpn != QUIC_ALPN_LIBP2P && !conn->attached)
        return false;
    const struct tern_mux *mux = front_mux(self);
    return mux->ops->next(mux->self, event);
}

static tern_err front_open(void *self, enum tern_stream_class class, tern_stream_id *stream)
{
    const struct tern_mux *mux = front_mux(self);
    return mux->ops->open(mux->self, class, stream);
}

static void front_set_class(void *self, tern_stream_id stream, enum tern_stream_class class)
{
    const struct tern_mux *mux = front_mux(self);
    mux->ops->set_class(mux->self, stream, class);
}

static void front_set_early(void *self, tern_stream_id stream)
{
    const struct tern_mux *mux = front_mux(self);
    if (mux->ops->set_early != NULL)
        mux->ops->set_early(mux->self, stream);
}

static tern_err front_write(void *self, tern_stream_id stream, struct tern_view bytes,
                            size_t *accepted)
{
    const struct tern_mux *mux = front_mux(self);
    return mux->ops->write(mux->self, stream, bytes, accepted);
}

static tern_err front_write_slice(void *self, tern_stream_id stream, struct tern_slice slice)
{
    const struct tern_mux *mux = front_mux(self);
    return mux->ops->write_slice(mux->self, stream, slice);
}

static tern_err front_read(void *self, tern_stream_id stream, struct tern_slice *bytes)
{
    const struct tern_mux *mux = front_mux(self);
    return mux->ops->read(mux->self, stream, bytes);
}

static void front_consume(void *self, tern_stream_id stream, size_t size)
{
    const struct tern_mux *mux = front_mux(self);
    mux->ops->consume(mux->self, stream, size);
}

static tern_err front_close_write(void *self, tern_stream_id stream)
{
    const struct tern_mux *mux = front_mux(self);
    return mux->ops->close_write(mux->self, stream);
}

static void front_reset(void *self, tern_stream_id stream, uint32_t code)
{
    const struct tern_mux *mux = front_mux(self);
    mux->ops->reset(mux->self, stream, code);
}

static void front_goaway(void *self, uint32_t code)
{
    const struct tern_mux *mux = front_mux(self);
    mux->ops->goaway(mux->self, code);
}

static size_t front_unread(const void *self, tern_stream_id stream)
{
    const struct tern_mux *mux = front_mux(self);
    return mux->ops->unread(mux->self, stream);
}

static size_t front_queued(const void *self, tern_stream_id stream)
{
    const struct tern_mux *mux = front_mux(self);
    return mux->ops->queued(mux->self, stream);
}

static size_t front_streams_count(const void *self)
{
    const struct tern_mux *mux = front_mux(self);
    return mux->ops->streams_count(mux->self);
}

static tern_err front_error(const void *self)
{
    const struct tern_mux *mux = front_mux(self);
    return mux->ops->error(mux->self);
}

static tern_fault front_fault(const void *self)
{
    const struct tern_mux *mux = front_mux(self);
    return mux->ops->fault(mux->self);
}

/* front_fini ends the upper's session as well. */
static void front_fini(void *self)
{
    quic_conn_free(self);
}

static const struct tern_mux_ops front_mux_ops = {
    .protocol_id = TERN_QUIC_PROTOCOL_ID,
    .next = front_next,
    .open = front_open,
    .set_class = front_set_class,
    .set_early = front_set_early,
    .write = front_write,
    .write_slice = front_write_slice,
    .read = front_read,
    .consume = front_consume,
    .close_write = front_close_write,
    .reset = front_reset,
    .goaway = front_goaway,
    .unread = front_unread,
    .queued = front_queued,
    .streams_count = front_streams_count,
    .error = front_error,
    .fault = front_fault,
    .fini = front_fini,
};

static const struct tern_secure_remote *front_remote(const void *self)
{
    const struct tern_session *session = front_session(self);
    return session->ops->remote(session->mux.self);
}

static void front_job_done(void *self, tern_time now, struct tern_job *job)
{
    const struct tern_session *session = front_session(self);
    session->ops->job_done(session->mux.self, now, job);
}

static void front_info(const void *self, struct tern_session_info *info)
{
    const struct tern_session *session = front_session(self);
    session->ops->info(session->mux.self, info);
}

static tern_err front_migrate(void *self, tern_time now, tern_link_id socket)
{
    const struct tern_session *session = front_session(self);
    if (session->ops->migrate == NULL)
        return TERN_ERR_UNSUPPORTED;
    return session->ops->migrate(session->mux.self, now, socket);
}

static const struct tern_session_ops front_session_ops = {
    .remote = front_remote,
    .job_done = front_job_done,
    .info = front_info,
    .migrate = front_migrate,
};

struct tern_session quic_front_session(struct tern_quic_conn *conn)
{
    if (conn->quic->upper.attach == NULL)
        return quic_mux_session(conn);
    return (struct tern_session){.mux = {.ops = &front_mux_ops, .self = conn},
                                 .ops = &front_session_ops};
}
