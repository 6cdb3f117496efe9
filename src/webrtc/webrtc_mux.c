/* A session's verbs and events: a muxer's (mux/mux.h), and a session's own (mux/session.h). */
#include "webrtc/webrtc_internal.h"

/* ---- events ---- */

static bool mux_has_job(const struct webrtc_session *s)
{
    if (s->state == WEBRTC_ENDED)
        return false;
    return s->noise.job != NULL || (s->state == WEBRTC_SECURING && s->dtls.job_ready &&
                                    !s->dtls.job_out && s->dtls.state == TERN_DTLS_HANDSHAKE);
}

bool webrtc_has_news(const struct webrtc_session *s)
{
    return mux_has_job(s) || s->news != 0 ||
           (s->confirmed_said && !tern_list_empty(&s->streams.news));
}

/* mux_next_job gives a job out, of which there is one at a time. */
static struct tern_job *mux_next_job(struct webrtc_session *s)
{
    if (!mux_has_job(s))
        return NULL;
    struct tern_job *job = s->noise.job;
    if (job == NULL)
        return tern_dtls_job(&s->dtls);
    s->noise.job = NULL;
    s->noise.job_out = true;
    return job;
}

/* mux_next_of_session draws what is to be said of the session itself. */
static bool mux_next_of_session(struct webrtc_session *s, struct tern_mux_event *event)
{
    static const struct {
        uint32_t news;
        enum tern_mux_event_kind kind;
    } order[] = {
        {WEBRTC_NEWS_ESTABLISHED, TERN_MUX_ESTABLISHED},
        {WEBRTC_NEWS_CONFIRMED, TERN_MUX_CONFIRMED},
        {WEBRTC_NEWS_RTT, TERN_MUX_RTT},
        {WEBRTC_NEWS_GOAWAY, TERN_MUX_GOAWAY},
    };
    struct tern_job *job = mux_next_job(s);
    if (job != NULL) {
        *event = (struct tern_mux_event){.kind = TERN_MUX_JOB, .job = job};
        return true;
    }
    for (size_t i = 0; i < TERN_COUNT_OF(order); i++) {
        if (!(s->news & order[i].news))
            continue;
        s->news &= ~order[i].news;
        *event = (struct tern_mux_event){.kind = order[i].kind};
        if (event->kind == TERN_MUX_CONFIRMED)
            s->confirmed_said = true;
        if (event->kind == TERN_MUX_RTT)
            event->rtt_ns = tern_sctp_stats(s->sctp).rtt_ns;
        return true;
    }
    return false;
}

static bool mux_next(void *self, struct tern_mux_event *event)
{
    struct webrtc_session *s = self;
    if (mux_next_of_session(s, event))
        return true;
    if (!s->confirmed_said)
        return false;
    struct webrtc_stream *stream = webrtc_stream_of(tern_mux_streams_next(&s->streams, event));
    if (stream == NULL)
        return false;
    if (event->kind == TERN_MUX_RESET || event->kind == TERN_MUX_CLOSED)
        webrtc_stream_drop_id(s, stream);
    return true;
}

/* ---- verbs of streams ---- */

static struct webrtc_stream *mux_find(const struct webrtc_session *s, tern_stream_id id)
{
    return webrtc_stream_of(tern_mux_stream_find(&s->streams, id));
}

/* mux_changed: a call of the owner's has changed what is due of a stream. */
static void mux_changed(struct webrtc_session *s, struct webrtc_stream *stream)
{
    webrtc_stream_update(s, stream);
    webrtc_session_wake(s);
}

static tern_err mux_open(void *self, enum tern_stream_class class, tern_stream_id *id)
{
    struct webrtc_session *s = self;
    struct webrtc_stream *stream;
    TERN_CHECK(class < TERN_STREAM_CLASS_COUNT);
    *id = TERN_STREAM_NONE;
    if (s->state != WEBRTC_ESTABLISHED || s->goaway || (s->numbers_wrapped && s->numbers_spent))
        return TERN_ERR_CLOSED;
    if (s->streams.out_count >= s->webrtc->options.streams_out_max)
        return TERN_ERR_FULL;
    TERN_TRY(webrtc_stream_new(s, 0, &stream));
    tern_schedule_set_class(&s->streams.schedule, &stream->base.turn, class);
    *id = tern_mux_stream_id(&stream->base);
    return TERN_OK;
}

static void mux_set_class(void *self, tern_stream_id id, enum tern_stream_class class)
{
    struct webrtc_session *s = self;
    struct webrtc_stream *stream = mux_find(s, id);
    if (stream != NULL)
        tern_schedule_set_class(&s->streams.schedule, &stream->base.turn, class);
}

/* mux_stopped: has the remote said that it will not read the stream? */
static bool mux_stopped(const struct webrtc_session *s, tern_stream_id id)
{
    const struct webrtc_stream *stream = mux_find(s, id);
    return stream != NULL &&
           (stream->base.flags & ((uint32_t)WEBRTC_STOPPED | MUX_DEAD)) == WEBRTC_STOPPED;
}

static tern_err mux_write(void *self, tern_stream_id id, struct tern_view bytes, size_t *accepted)
{
    struct webrtc_session *s = self;
    struct tern_mux_stream *base;
    *accepted = 0;
    if (mux_stopped(s, id))
        return TERN_ERR_CLOSED;
    TERN_TRY(tern_mux_stream_write(&s->streams, id, bytes, accepted, &base));
    mux_changed(s, webrtc_stream_of(base));
    return TERN_OK;
}

static tern_err mux_write_slice(void *self, tern_stream_id id, struct tern_slice slice)
{
    struct webrtc_session *s = self;
    struct tern_mux_stream *base;
    if (mux_stopped(s, id))
        return TERN_ERR_CLOSED;
    TERN_TRY(tern_mux_stream_write_slice(&s->streams, id, slice, &base));
    mux_changed(s, webrtc_stream_of(base));
    return TERN_OK;
}

static tern_err mux_read(void *self, tern_stream_id id, struct tern_slice *bytes)
{
    const struct webrtc_session *s = self;
    return tern_mux_stream_read(&s->streams, id, bytes);
}

static void mux_consume(void *self, tern_stream_id id, size_t size)
{
    struct webrtc_session *s = self;
    struct webrtc_stream *stream = mux_find(s, id);
    if (stream == NULL || size == 0 || webrtc_stream_dead(stream))
        return;
    struct tern_mux_stream *base = &stream->base;
    TERN_CHECK(size <= base->in.size);
    tern_mux_queue_drop(&s->streams.pool, &base->in, size);
    TERN_CHECK(tern_mux_stream_charge(&s->streams, base, base->in.size) == TERN_OK);
    tern_sctp_consume(s->sctp, size);
    s->stall_read = true;
    webrtc_stream_close_if_done(s, stream);
    webrtc_session_wake(s);
}

static tern_err mux_close_write(void *self, tern_stream_id id)
{
    struct webrtc_session *s = self;
    struct tern_mux_stream *base;
    TERN_TRY(tern_mux_stream_close_write(&s->streams, id, &base));
    struct webrtc_stream *stream = webrtc_stream_of(base);
    if (base->flags & WEBRTC_STOPPED) {
        base->flags |= MUX_FIN_SENT;
        webrtc_stream_close_if_done(s, stream);
    }
    mux_changed(s, stream);
    return TERN_OK;
}

static void mux_reset(void *self, tern_stream_id id, uint32_t code)
{
    struct webrtc_session *s = self;
    struct webrtc_stream *stream = mux_find(s, id);
    if (stream == NULL)
        return;
    webrtc_stream_reset(s, stream, code);
    webrtc_session_wake(s);
}

static size_t mux_unread(const void *self, tern_stream_id id)
{
    const struct webrtc_session *s = self;
    return tern_mux_stream_unread(&s->streams, id);
}

static size_t mux_queued(const void *self, tern_stream_id id)
{
    const struct webrtc_session *s = self;
    return tern_mux_stream_queued(&s->streams, id);
}

/* ---- of the session ---- */

/* There are no codes. */
static void mux_goaway(void *self, uint32_t code)
{
    struct webrtc_session *s = self;
    (void)code;
    s->goaway = true;
    webrtc_session_update(s);
}

static size_t mux_streams_count(const void *self)
{
    const struct webrtc_session *s = self;
    return s->streams.slots_used;
}

static tern_err mux_error(const void *self)
{
    const struct webrtc_session *s = self;
    return s->error;
}

static tern_fault mux_fault(const void *self)
{
    const struct webrtc_session *s = self;
    return s->fault;
}

static void mux_fini(void *self)
{
    webrtc_session_free(self);
}

static const struct tern_mux_ops mux_ops = {
    .protocol_id = TERN_WEBRTC_PROTOCOL_ID,
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

/* ---- a session's own ---- */

static const struct tern_secure_remote *session_remote(const void *self)
{
    const struct webrtc_session *s = self;
    return s->noise.channel.ops->remote(s->noise.channel.self);
}

static void session_job_done(void *self, tern_time now, struct tern_job *job)
{
    struct webrtc_session *s = self;
    webrtc_at(s->webrtc, now);
    webrtc_session_job_done(s, job);
}

static void session_info(const void *self, struct tern_session_info *info)
{
    const struct webrtc_session *s = self;
    *info = (struct tern_session_info){
        .kind = TERN_SESSION_WEBRTC,
        .socket = s->socket == NULL ? TERN_LINK_NONE : s->socket->id,
        .path = {.local = s->local, .remote = s->path.remote},
        .bytes_in = s->bytes_in,
        .bytes_out = s->bytes_out,
    };
}

/* A dialer may check from another socket at any time: the listener answers, and follows the first
 * record that comes from there. */
static tern_err session_migrate(void *self, tern_time now, tern_link_id id)
{
    struct webrtc_session *s = self;
    struct webrtc *w = s->webrtc;
    webrtc_at(w, now);
    if (s->listener)
        return TERN_ERR_UNSUPPORTED;
    if (s->state != WEBRTC_ESTABLISHED)
        return s->state == WEBRTC_ENDED ? TERN_ERR_CLOSED : TERN_ERR_AGAIN;
    struct webrtc_socket *socket = webrtc_socket_use(w, id);
    if (socket == NULL)
        return TERN_ERR_FULL;
    struct webrtc_socket *before = s->socket;
    if (socket == before)
        return TERN_OK;
    webrtc_unbind_all(s);
    s->socket = socket;
    tern_err err = webrtc_bind(s, &s->path.remote);
    if (err != TERN_OK) {
        s->socket = before;
        tern_err again = webrtc_bind(s, &s->path.remote);
        if (again != TERN_OK)
            webrtc_session_fail(s, again, TERN_FAULT_NONE);
        return err;
    }
    tern_list_remove(&s->ready);
    s->ice.check_due = true;
    webrtc_session_update(s);
    return TERN_OK;
}

static const struct tern_session_ops session_ops = {
    .remote = session_remote,
    .job_done = session_job_done,
    .info = session_info,
    .migrate = session_migrate,
};

struct tern_session webrtc_mux_session(struct webrtc_session *s)
{
    return (struct tern_session){.mux = {.ops = &mux_ops, .self = s}, .ops = &session_ops};
}
