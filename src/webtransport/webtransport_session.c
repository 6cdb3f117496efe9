/*
 * A session: made on a connection, its errors, its end.
 *
 *   attach ─► BEGIN ─ QUIC established ─► SETTINGS ─ the remote's ─► HANDSHAKE ─► OPEN
 *                                                     client: CONNECT, Noise │ 200 and Noise done
 *   any ─ a fault, the time limit, the session's close ─► error says why; the owner ends it
 */
#include "webtransport/request.h"
#include "webtransport/webtransport_internal.h"
#include "wire/ip.h"

static tern_err session_attach(void *self, tern_time now, struct tern_quic_conn *conn,
                               struct tern_session *session)
{
    struct web *web = self;
    struct web_session *s = tern_mem_zalloc(web->mem, sizeof *s);
    if (s == NULL)
        return TERN_ERR_MEMORY;
    s->web = web;
    s->conn = conn;
    s->raw = tern_quic_conn_session(conn);
    s->server = tern_quic_conn_server(conn);
    web_streams_init(&s->streams, web->mem);
    tern_timer_init(&s->timer);
    tern_time until = tern_time_add(now, web->options.handshake_timeout_ns);
    if (tern_timer_set(&web->timers, &s->timer, until) != TERN_OK) {
        tern_mem_free(web->mem, s, sizeof *s);
        return TERN_ERR_MEMORY;
    }
    *session = web_mux_session(s);
    return TERN_OK;
}

const struct tern_quic_upper web_upper_ops = {.attach = session_attach, .code_in = web_code_in};

void web_free(struct web_session *s)
{
    struct web *web = s->web;
    TERN_CHECK(!s->job_out);
    tern_timer_cancel(&web->timers, &s->timer);
    s->raw.mux.ops->goaway(s->raw.mux.self, WEB_NO_ERROR);
    if (s->noise.ops != NULL)
        s->noise.ops->fini(s->noise.self);
    web_streams_fini(&s->streams);
    tern_mem_free(web->mem, s, sizeof *s);
}

/* --- errors --- */

/* What the remote is told of a fault. */
static enum web_code session_code(tern_fault fault)
{
    static const struct {
        tern_fault fault;
        enum web_code code;
    } codes[] = {
        {TERN_FAULT_WEBTRANSPORT_NO_SETTINGS, WEB_MISSING_SETTINGS},
        {TERN_FAULT_WEBTRANSPORT_SETTINGS, WEB_SETTINGS_ERROR},
        {TERN_FAULT_WEBTRANSPORT_FRAME, WEB_FRAME_ERROR},
        {TERN_FAULT_WEBTRANSPORT_FRAME_UNEXPECTED, WEB_FRAME_UNEXPECTED},
        {TERN_FAULT_WEBTRANSPORT_CRITICAL_STREAM, WEB_CLOSED_CRITICAL_STREAM},
        {TERN_FAULT_WEBTRANSPORT_STREAM, WEB_STREAM_CREATION_ERROR},
        {TERN_FAULT_WEBTRANSPORT_SESSION_ID, WEB_ID_ERROR},
        {TERN_FAULT_WEBTRANSPORT_QPACK, WEB_QPACK_DECOMPRESSION_FAILED},
        {TERN_FAULT_WEBTRANSPORT_QPACK_ENCODER, WEB_QPACK_ENCODER_STREAM_ERROR},
        {TERN_FAULT_WEBTRANSPORT_QPACK_DECODER, WEB_QPACK_DECODER_STREAM_ERROR},
        {TERN_FAULT_WEBTRANSPORT_FIELDS, WEB_MESSAGE_ERROR},
        {TERN_FAULT_WEBTRANSPORT_CAPSULE, WEB_MESSAGE_ERROR},
        {TERN_FAULT_WEBTRANSPORT_FIELDS_TOO_LARGE, WEB_EXCESSIVE_LOAD},
        {TERN_FAULT_WEBTRANSPORT_SKIPPED, WEB_EXCESSIVE_LOAD},
        {TERN_FAULT_WEBTRANSPORT_REQUEST_FLOOD, WEB_EXCESSIVE_LOAD},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(codes); i++)
        if (codes[i].fault == fault)
            return codes[i].code;
    return WEB_NO_ERROR;
}

/* session_over makes the error final; the connection ends with the code. */
static void session_over(struct web_session *s, tern_err err, enum web_code code)
{
    TERN_CHECK(err != TERN_OK && s->error == TERN_OK);
    s->error = err;
    tern_timer_cancel(&s->web->timers, &s->timer);
    s->raw.mux.ops->goaway(s->raw.mux.self, code);
    tern_quic_conn_tell(s->conn);
}

void web_fail(struct web_session *s, tern_err err, tern_fault fault)
{
    if (s->error != TERN_OK)
        return;
    s->fault = fault;
    session_over(s, err, session_code(fault));
}

void web_end(struct web_session *s, uint32_t code)
{
    if (s->error != TERN_OK)
        return;
    if (!s->goaway_said) {
        s->goaway_said = true;
        s->remote_code = code;
        s->news |= WEB_NEWS_GOAWAY;
    }
    session_over(s, TERN_ERR_CLOSED, WEB_NO_ERROR);
}

void web_timeout(struct tern_timer *timer)
{
    struct web_session *s = TERN_CONTAINER_OF(timer, struct web_session, timer);
    web_fail(s, TERN_ERR_TIMEOUT, TERN_FAULT_NONE);
}

/* --- beginnings --- */

bool web_write(struct web_session *s, tern_stream_id stream, struct tern_view bytes)
{
    const struct tern_mux *raw = &s->raw.mux;
    size_t accepted = 0;
    tern_err err = raw->ops->write(raw->self, stream, bytes, &accepted);
    if (err == TERN_OK && accepted < bytes.size)
        err = TERN_ERR_MEMORY;
    /* The remote will not read what it cannot do without. */
    if (err == TERN_ERR_CLOSED)
        web_fail(s, TERN_ERR_PROTOCOL, TERN_FAULT_WEBTRANSPORT_CRITICAL_STREAM);
    else if (err != TERN_OK)
        web_fail(s, err, TERN_FAULT_NONE);
    return err == TERN_OK;
}

void web_begin(struct web_session *s)
{
    uint8_t bytes[256];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_stream_id stream;
    tern_err err = tern_quic_conn_open_one_way(s->conn, TERN_STREAM_CONTROL, &stream);
    if (err == TERN_OK && web_stream_add(&s->streams, stream, WEB_KIND_OWN) == NULL)
        err = TERN_ERR_MEMORY;
    if (err != TERN_OK) {
        web_fail(s, err, TERN_FAULT_NONE);
        return;
    }
    s->step = WEB_STEP_SETTINGS;
    tern_quic_number_write(&w, WEB_STREAM_CONTROL);
    web_settings_write(&w);
    TERN_CHECK(tern_writer_ok(&w));
    (void)web_write(s, stream, tern_writer_view(&w));
}

/* session_authority writes who is asked: the name that was dialled, or the address; and the port.
 */
static void session_authority(const struct web_session *s, struct tern_writer *w)
{
    struct tern_session_info info;
    struct tern_view name = tern_quic_conn_server_name(s->conn);
    s->raw.ops->info(s->raw.mux.self, &info);
    const struct tern_endpoint *remote = &info.path.remote;
    if (name.size > 0) {
        tern_writer_bytes(w, name);
    } else {
        struct tern_ip ip = {.family = remote->family};
        memcpy(ip.bytes, remote->ip, tern_ip_size(&ip));
        tern_writer_str(w, remote->family == 6 ? "[" : "");
        tern_ip_format(&ip, w);
        tern_writer_str(w, remote->family == 6 ? "]" : "");
    }
    tern_writer_str(w, ":");
    tern_writer_decimal(w, remote->port);
}

/* session_open opens a stream of ours. NONE: the session has failed. */
static tern_stream_id session_open(struct web_session *s, enum tern_stream_class class,
                                   enum web_kind kind)
{
    tern_stream_id id;
    const struct tern_mux *raw = &s->raw.mux;
    tern_err err = raw->ops->open(raw->self, class, &id);
    struct web_stream *stream = err == TERN_OK ? web_stream_add(&s->streams, id, kind) : NULL;
    if (err == TERN_OK && stream == NULL)
        err = TERN_ERR_MEMORY;
    if (err != TERN_OK) {
        web_fail(s, err, TERN_FAULT_NONE);
        return TERN_STREAM_NONE;
    }
    stream->head_due = kind == WEB_KIND_NOISE;
    return id;
}

void web_request(struct web_session *s)
{
    uint8_t name[320];
    uint8_t bytes[WEB_MESSAGE_SIZE_MAX + WEB_HEAD_SIZE_MAX];
    struct tern_writer authority = tern_writer_of(name, sizeof name);
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    s->step = WEB_STEP_HANDSHAKE;
    session_authority(s, &authority);
    TERN_CHECK(tern_writer_ok(&authority));
    tern_err err = web_request_write(s->web->mem, tern_writer_view(&authority), &w);
    if (err != TERN_OK) {
        web_fail(s, err, TERN_FAULT_NONE);
        return;
    }
    /* The request goes first, by its class, and so is stream 0: the session's id. */
    s->connect = session_open(s, TERN_STREAM_CONTROL, WEB_KIND_CONNECT);
    if (s->connect == TERN_STREAM_NONE || !web_write(s, s->connect, tern_writer_view(&w)))
        return;
    s->session_id = 0;
    tern_stream_id stream = session_open(s, TERN_STREAM_CONSENSUS, WEB_KIND_NOISE);
    if (stream == TERN_STREAM_NONE)
        return;
    err = web_stream_head(s, web_stream_find(&s->streams, stream));
    if (err != TERN_OK) {
        web_fail(s, err, TERN_FAULT_NONE);
        return;
    }
    web_noise_begin(s, stream);
    web_noise_run(s);
}

void web_release(struct web_session *s, struct web_stream *stream)
{
    const struct tern_mux *raw = &s->raw.mux;
    web_stream_become(&s->streams, stream, WEB_KIND_OWNER);
    stream->opened = true;
    stream->readable =
        raw->ops->unread(raw->self, stream->id) > 0 || tern_quic_conn_ended(s->conn, stream->id);
    web_stream_ready(&s->streams, stream);
}

void web_open_if_done(struct web_session *s)
{
    if (s->error != TERN_OK || s->step != WEB_STEP_HANDSHAKE || !s->accepted || !s->noise_done)
        return;
    s->step = WEB_STEP_OPEN;
    s->news |= WEB_NEWS_ESTABLISHED | WEB_NEWS_CONFIRMED;
    tern_timer_cancel(&s->web->timers, &s->timer);
    for (uint32_t i = 0; i < s->streams.count; i++) {
        struct web_stream *stream = &s->streams.list[i];
        if (stream->id != TERN_STREAM_NONE && stream->kind == WEB_KIND_WAITING)
            web_release(s, stream);
    }
}
