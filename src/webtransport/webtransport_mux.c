/*
 * A session's verbs and events: a muxer's (mux/mux.h), and a session's own (mux/session.h). What
 * QUIC says is drawn and served here; of the owner's streams it is passed on.
 */
#include "webtransport/webtransport_internal.h"

static const struct tern_mux *mux_raw(const struct web_session *s)
{
    return &s->raw.mux;
}

/* --- events --- */

/* mux_news draws what is to be said of the session itself. */
static bool mux_news(struct web_session *s, struct tern_mux_event *event)
{
    static const struct {
        uint32_t news;
        enum tern_mux_event_kind kind;
    } order[] = {
        {WEB_NEWS_JOB, TERN_MUX_JOB},
        {WEB_NEWS_ESTABLISHED, TERN_MUX_ESTABLISHED},
        {WEB_NEWS_CONFIRMED, TERN_MUX_CONFIRMED},
        {WEB_NEWS_GOAWAY, TERN_MUX_GOAWAY},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(order); i++) {
        if (!(s->news & order[i].news))
            continue;
        s->news &= ~order[i].news;
        *event = (struct tern_mux_event){.kind = order[i].kind};
        if (event->kind == TERN_MUX_JOB)
            event->job = s->job;
        if (event->kind == TERN_MUX_GOAWAY)
            event->code = s->remote_code;
        return true;
    }
    return false;
}

/* mux_opened: the remote has opened a stream of some kind. */
static void mux_opened(struct web_session *s, tern_stream_id id)
{
    if (web_stream_add(&s->streams, id, WEB_KIND_NEW) == NULL)
        mux_raw(s)->ops->reset(mux_raw(s)->self, id, TERN_MUX_CODE_RESOURCE_LIMIT);
}

/* mux_stream serves an event of a stream; true: it is the owner's to see. */
static bool mux_stream(struct web_session *s, const struct tern_mux_event *event)
{
    struct web_stream *stream = web_stream_find(&s->streams, event->stream);
    if (event->kind == TERN_MUX_STREAM_OPENED) {
        mux_opened(s, event->stream);
        return false;
    }
    if (stream == NULL)
        return false;
    enum web_kind kind = stream->kind;
    bool owner = kind == WEB_KIND_OWNER && !stream->opened;
    if (event->kind == TERN_MUX_RESET || event->kind == TERN_MUX_CLOSED) {
        web_stream_remove(&s->streams, stream);
        web_http_gone(s, event, kind);
        return owner;
    }
    if (!owner && event->kind == TERN_MUX_READABLE)
        web_http_read(s, stream);
    return owner;
}

/* mux_goaway_heard: QUIC's connection was closed; codes of HTTP/3 are none of libp2p's. */
static void mux_goaway_heard(struct web_session *s, uint32_t code)
{
    if (s->goaway_said)
        return;
    s->goaway_said = true;
    s->remote_code = web_code_in(code);
    s->news |= WEB_NEWS_GOAWAY;
}

/* mux_event serves an event of the connection; true: it is the owner's to see. */
static bool mux_event(struct web_session *s, const struct tern_mux_event *event)
{
    switch (event->kind) {
    case TERN_MUX_ESTABLISHED:
        web_begin(s);
        return false;
    case TERN_MUX_CONFIRMED:
    case TERN_MUX_JOB:
        return false;
    case TERN_MUX_RTT:
        return s->step == WEB_STEP_OPEN;
    case TERN_MUX_GOAWAY:
        mux_goaway_heard(s, event->code);
        return false;
    case TERN_MUX_STREAM_OPENED:
    case TERN_MUX_READABLE:
    case TERN_MUX_WRITABLE:
    case TERN_MUX_RESET:
    case TERN_MUX_CLOSED:
        return mux_stream(s, event);
    }
    TERN_UNREACHABLE();
}

static bool mux_next(void *self, struct tern_mux_event *event)
{
    struct web_session *s = self;
    while (!mux_news(s, event) && !web_streams_next(&s->streams, event)) {
        if (!mux_raw(s)->ops->next(mux_raw(s)->self, event))
            return false;
        if (s->error == TERN_OK && mux_event(s, event))
            return true;
    }
    return true;
}

/* --- verbs of streams --- */

/* mux_find is the owner's stream. */
static struct web_stream *mux_find(const struct web_session *s, tern_stream_id id)
{
    struct web_stream *stream = web_stream_find(&s->streams, id);
    return stream != NULL && stream->kind == WEB_KIND_OWNER ? stream : NULL;
}

static tern_err mux_open(void *self, enum tern_stream_class class, tern_stream_id *id)
{
    struct web_session *s = self;
    *id = TERN_STREAM_NONE;
    if (s->step != WEB_STEP_OPEN || s->error != TERN_OK)
        return TERN_ERR_CLOSED;
    TERN_TRY(mux_raw(s)->ops->open(mux_raw(s)->self, class, id));
    struct web_stream *stream = web_stream_add(&s->streams, *id, WEB_KIND_OWNER);
    if (stream == NULL) {
        mux_raw(s)->ops->reset(mux_raw(s)->self, *id, 0);
        *id = TERN_STREAM_NONE;
        return TERN_ERR_MEMORY;
    }
    stream->head_due = true;
    return TERN_OK;
}

static void mux_set_class(void *self, tern_stream_id id, enum tern_stream_class class)
{
    struct web_session *s = self;
    if (mux_find(s, id) != NULL)
        mux_raw(s)->ops->set_class(mux_raw(s)->self, id, class);
}

/* head_put writes what a stream of ours begins with. */
static void head_put(const struct web_session *s, struct tern_writer *w)
{
    tern_quic_number_write(w, WEB_FRAME_STREAM);
    tern_quic_number_write(w, s->session_id);
}

tern_err web_stream_head(struct web_session *s, struct web_stream *stream)
{
    uint8_t bytes[WEB_HEAD_SIZE_MAX];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    size_t accepted = 0;
    if (!stream->head_due)
        return TERN_OK;
    head_put(s, &w);
    tern_err err =
        mux_raw(s)->ops->write(mux_raw(s)->self, stream->id, tern_writer_view(&w), &accepted);
    if (err == TERN_OK && accepted < w.size) {
        /* A part of a head cannot be taken back. */
        mux_raw(s)->ops->reset(mux_raw(s)->self, stream->id, TERN_MUX_CODE_RESOURCE_LIMIT);
        web_stream_remove(&s->streams, stream);
        return TERN_ERR_MEMORY;
    }
    if (err == TERN_OK)
        stream->head_due = false;
    return err;
}

/* mux_headed finds a stream that the owner writes to, and sees to its head. */
static tern_err mux_headed(struct web_session *s, tern_stream_id id)
{
    struct web_stream *stream = mux_find(s, id);
    if (stream == NULL)
        return TERN_ERR_STALE;
    if (s->error != TERN_OK)
        return TERN_ERR_CLOSED;
    return web_stream_head(s, stream);
}

static tern_err mux_write(void *self, tern_stream_id id, struct tern_view bytes, size_t *accepted)
{
    struct web_session *s = self;
    *accepted = 0;
    TERN_TRY(mux_headed(s, id));
    return mux_raw(s)->ops->write(mux_raw(s)->self, id, bytes, accepted);
}

static tern_err mux_write_slice(void *self, tern_stream_id id, struct tern_slice slice)
{
    struct web_session *s = self;
    TERN_TRY(mux_headed(s, id));
    return mux_raw(s)->ops->write_slice(mux_raw(s)->self, id, slice);
}

static tern_err mux_read(void *self, tern_stream_id id, struct tern_slice *bytes)
{
    struct web_session *s = self;
    *bytes = (struct tern_slice){.chunk = NULL};
    if (mux_find(s, id) == NULL)
        return TERN_ERR_STALE;
    return mux_raw(s)->ops->read(mux_raw(s)->self, id, bytes);
}

static void mux_consume(void *self, tern_stream_id id, size_t size)
{
    struct web_session *s = self;
    if (mux_find(s, id) != NULL)
        mux_raw(s)->ops->consume(mux_raw(s)->self, id, size);
}

static tern_err mux_close_write(void *self, tern_stream_id id)
{
    struct web_session *s = self;
    struct web_stream *stream = mux_find(s, id);
    if (stream == NULL)
        return TERN_ERR_STALE;
    if (s->error == TERN_OK)
        TERN_TRY(web_stream_head(s, stream));
    return mux_raw(s)->ops->close_write(mux_raw(s)->self, id);
}

static void mux_reset(void *self, tern_stream_id id, uint32_t code)
{
    struct web_session *s = self;
    struct web_stream *stream = mux_find(s, id);
    if (stream == NULL)
        return;
    web_stream_remove(&s->streams, stream);
    tern_quic_conn_reset(s->conn, id, web_code_out(code));
}

static size_t mux_unread(const void *self, tern_stream_id id)
{
    const struct web_session *s = self;
    return mux_find(s, id) == NULL ? 0 : mux_raw(s)->ops->unread(mux_raw(s)->self, id);
}

/* mux_queued: the head is not the owner's. It goes with the first packet of the stream. */
static size_t mux_queued(const void *self, tern_stream_id id)
{
    const struct web_session *s = self;
    const struct web_stream *stream = mux_find(s, id);
    if (stream == NULL || stream->head_due)
        return 0;
    size_t queued = mux_raw(s)->ops->queued(mux_raw(s)->self, id);
    if (tern_quic_conn_wire_id(s->conn, id) >= 0)
        return queued;
    uint8_t bytes[WEB_HEAD_SIZE_MAX];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    head_put(s, &w);
    return queued - tern_min_size(queued, w.size);
}

/* --- of the session --- */

static void mux_goaway(void *self, uint32_t code)
{
    struct web_session *s = self;
    uint8_t bytes[WEB_HEAD_SIZE_MAX];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    if (s->error != TERN_OK || s->raw.mux.ops->error(s->raw.mux.self) != TERN_OK)
        return;
    if (s->step == WEB_STEP_OPEN && web_stream_find(&s->streams, s->connect) != NULL) {
        web_capsule_close_write(&w, code);
        TERN_CHECK(tern_writer_ok(&w));
        if (!web_write(s, s->connect, tern_writer_view(&w)))
            return;
        if (mux_raw(s)->ops->close_write(mux_raw(s)->self, s->connect) != TERN_OK)
            web_fail(s, TERN_ERR_MEMORY, TERN_FAULT_NONE);
    }
    mux_raw(s)->ops->goaway(mux_raw(s)->self, WEB_NO_ERROR);
}

static size_t mux_streams_count(const void *self)
{
    const struct web_session *s = self;
    return s->streams.owner_count;
}

static tern_err mux_error(const void *self)
{
    const struct web_session *s = self;
    return s->error != TERN_OK ? s->error : mux_raw(s)->ops->error(mux_raw(s)->self);
}

static tern_fault mux_fault(const void *self)
{
    const struct web_session *s = self;
    return s->error != TERN_OK ? s->fault : mux_raw(s)->ops->fault(mux_raw(s)->self);
}

static void mux_fini(void *self)
{
    web_free(self);
}

static const struct tern_mux_ops mux_ops = {
    .protocol_id = TERN_WEBTRANSPORT_PROTOCOL_ID,
    .next = mux_next,
    .open = mux_open,
    .set_class = mux_set_class,
    .write = mux_write,
    .write_slice = mux_write_slice,
    .read = mux_read,
    .consume = mux_consume,
    .close_write = mux_close_write,
    .reset = mux_reset,
    .goaway = mux_goaway,
    .unread = mux_unread,
    .queued = mux_queued,
    .streams_count = mux_streams_count,
    .error = mux_error,
    .fault = mux_fault,
    .fini = mux_fini,
};

/* --- a session's own --- */

static const struct tern_secure_remote *session_remote(const void *self)
{
    const struct web_session *s = self;
    return s->noise.ops->remote(s->noise.self);
}

static void session_job_done(void *self, tern_time now, struct tern_job *job)
{
    struct web_session *s = self;
    TERN_CHECK(s->job_out && job == s->job);
    s->job_out = false;
    s->job = NULL;
    if (now > s->web->now)
        s->web->now = now;
    tern_err err = s->noise.ops->job_done(s->noise.self, now, job);
    if (err != TERN_OK)
        web_fail(s, err, s->noise.ops->fault(s->noise.self));
    else
        web_noise_run(s);
    tern_quic_conn_tell(s->conn);
}

static void session_info(const void *self, struct tern_session_info *info)
{
    const struct web_session *s = self;
    s->raw.ops->info(s->raw.mux.self, info);
    info->kind = TERN_SESSION_WEBTRANSPORT;
}

static tern_err session_migrate(void *self, tern_time now, tern_link_id socket)
{
    const struct web_session *s = self;
    return s->raw.ops->migrate(s->raw.mux.self, now, socket);
}

static const struct tern_session_ops session_ops = {
    .remote = session_remote,
    .job_done = session_job_done,
    .info = session_info,
    .migrate = session_migrate,
};

struct tern_session web_mux_session(struct web_session *s)
{
    return (struct tern_session){.mux = {.ops = &mux_ops, .self = s}, .ops = &session_ops};
}
