/*
 * Streams of HTTP/3. What comes is read head by head; the content of a frame that means something
 * stays with QUIC until it is whole, so that it costs no memory but the window's, and everything
 * else is dropped and counted.
 *
 *   NEW ─┬ one-way ─► CONTROL, ENCODER, DECODER (one of each) · others are stopped
 *        └ two-way ─► 0x41: NOISE (a server's first), WAITING, OWNER
 *                     else a server's REQUEST ─► CONNECT, or answered and SKIPPED
 */
#include "webtransport/request.h"
#include "webtransport/webtransport_internal.h"

/* --- reading --- */

enum http_got { HTTP_GOT_IT, HTTP_GOT_NOTHING, HTTP_GOT_END, HTTP_GOT_CUT };

/* http_head reads on until a head is whole. END: the stream ended before it, CUT: within it. */
static enum http_got http_head(struct web_session *s, struct web_stream *stream, bool pair,
                               uint64_t numbers[2])
{
    const struct tern_mux *raw = &s->raw.mux;
    struct tern_slice slice;
    for (unsigned i = 0; i <= WEB_HEAD_SIZE_MAX; i++) {
        tern_err err = raw->ops->read(raw->self, stream->id, &slice);
        if (err == TERN_ERR_END)
            return stream->head.size == 0 ? HTTP_GOT_END : HTTP_GOT_CUT;
        if (err != TERN_OK)
            return HTTP_GOT_NOTHING;
        size_t used = 0;
        bool whole = false;
        while (used < slice.view.size && !whole)
            whole = web_head_push(&stream->head, slice.view.data[used++], pair, numbers);
        raw->ops->consume(raw->self, stream->id, used);
        if (whole)
            return HTTP_GOT_IT;
    }
    TERN_UNREACHABLE();
}

/* http_content reads a frame's whole content; to has room for it. */
static enum http_got http_content(struct web_session *s, struct web_stream *stream, uint8_t *to)
{
    const struct tern_mux *raw = &s->raw.mux;
    size_t left = (size_t)stream->left;
    if (raw->ops->unread(raw->self, stream->id) < left)
        return tern_quic_conn_ended(s->conn, stream->id) ? HTTP_GOT_CUT : HTTP_GOT_NOTHING;
    while (left > 0) {
        struct tern_slice slice;
        tern_err err = raw->ops->read(raw->self, stream->id, &slice);
        TERN_CHECK(err == TERN_OK);
        size_t size = tern_min_size(left, slice.view.size);
        memcpy(to, slice.view.data, size);
        raw->ops->consume(raw->self, stream->id, size);
        to += size;
        left -= size;
    }
    stream->within = false;
    return HTTP_GOT_IT;
}

/* http_skip counts bytes of no use. */
static void http_skip(struct web_session *s, uint64_t size)
{
    s->skipped += size;
    if (s->skipped > TERN_WEBTRANSPORT_SKIPPED_MAX)
        web_fail(s, TERN_ERR_PROTOCOL, TERN_FAULT_WEBTRANSPORT_SKIPPED);
}

/* http_drop drops all that can be read, at most max bytes; the last result of read. */
static tern_err http_drop(struct web_session *s, struct web_stream *stream, uint64_t *max)
{
    const struct tern_mux *raw = &s->raw.mux;
    struct tern_slice slice;
    tern_err err = TERN_OK;
    while (*max > 0 && (err = raw->ops->read(raw->self, stream->id, &slice)) == TERN_OK) {
        size_t size = *max < slice.view.size ? (size_t)*max : slice.view.size;
        raw->ops->consume(raw->self, stream->id, size);
        *max -= size;
    }
    return err;
}

/* http_reset ends a stream, which is gone. */
static void http_reset(struct web_session *s, struct web_stream *stream, uint64_t code)
{
    tern_stream_id id = stream->id;
    web_stream_remove(&s->streams, stream);
    tern_quic_conn_reset(s->conn, id, code);
}

/* http_reject does so over a fault that is no reason to end the session. */
static void http_reject(struct web_session *s, struct web_stream *stream, tern_fault fault,
                        uint64_t code)
{
    web_note(s->web, fault);
    http_reset(s, stream, code);
}

/* --- requests, of a server --- */

static bool http_write_response(struct web_session *s, tern_stream_id stream,
                                enum web_status status)
{
    uint8_t bytes[WEB_MESSAGE_SIZE_MAX + WEB_HEAD_SIZE_MAX];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_err err = web_response_write(s->web->mem, status, &w);
    if (err == TERN_OK)
        return web_write(s, stream, tern_writer_view(&w));
    web_fail(s, err, TERN_FAULT_NONE);
    return false;
}

/* http_refused counts requests that were refused; false: they are too many. */
static bool http_refused(struct web_session *s, tern_fault fault)
{
    web_note(s->web, fault);
    if (++s->refused_count <= TERN_WEBTRANSPORT_REQUESTS_MAX)
        return true;
    web_fail(s, TERN_ERR_PROTOCOL, TERN_FAULT_WEBTRANSPORT_REQUEST_FLOOD);
    return false;
}

/* http_refuse answers by a status that is not 200. What is left of the request is dropped. */
static void http_refuse(struct web_session *s, struct web_stream *stream, enum web_status status,
                        tern_fault fault)
{
    const struct tern_mux *raw = &s->raw.mux;
    if (!http_refused(s, fault) || !http_write_response(s, stream->id, status))
        return;
    web_stream_become(&s->streams, stream, WEB_KIND_SKIPPED);
    tern_err err = raw->ops->close_write(raw->self, stream->id);
    if (err != TERN_OK)
        web_fail(s, err, TERN_FAULT_NONE);
}

/* http_find_noise is the stream that the client opened first, of those that wait for the session.
 */
static struct web_stream *http_find_noise(struct web_session *s)
{
    struct web_stream *first = NULL;
    int64_t lowest = INT64_MAX;
    for (uint32_t i = 0; i < s->streams.count; i++) {
        struct web_stream *stream = &s->streams.list[i];
        if (stream->id == TERN_STREAM_NONE || stream->kind != WEB_KIND_WAITING)
            continue;
        int64_t wire = tern_quic_conn_wire_id(s->conn, stream->id);
        if (stream->left != s->session_id) {
            http_reject(s, stream, TERN_FAULT_WEBTRANSPORT_UNKNOWN_SESSION,
                        WEB_BUFFERED_STREAM_REJECTED);
        } else if (wire < lowest) {
            lowest = wire;
            first = stream;
        }
    }
    return first;
}

static void http_noise(struct web_session *s, struct web_stream *stream)
{
    tern_stream_id id = stream->id;
    web_stream_become(&s->streams, stream, WEB_KIND_NOISE);
    web_noise_begin(s, id);
    web_noise_run(s);
}

/* http_accept makes the request's stream the session. */
static void http_accept(struct web_session *s, struct web_stream *stream)
{
    s->connect = stream->id;
    s->session_id = (uint64_t)tern_quic_conn_wire_id(s->conn, stream->id);
    s->accepted = true;
    web_stream_become(&s->streams, stream, WEB_KIND_CONNECT);
    if (!http_write_response(s, s->connect, WEB_STATUS_OK))
        return;
    struct web_stream *noise = http_find_noise(s);
    if (noise != NULL)
        http_noise(s, noise);
}

static void http_request(struct web_session *s, struct web_stream *stream, struct tern_view section)
{
    enum web_status status;
    tern_fault fault;
    tern_err err = web_request_read(s->web->mem, section, &status, &fault);
    if (err == TERN_ERR_TOO_LARGE) {
        http_refuse(s, stream, WEB_STATUS_TOO_LARGE, fault);
    } else if (err != TERN_OK && fault == TERN_FAULT_WEBTRANSPORT_FIELDS) {
        if (http_refused(s, fault))
            http_reset(s, stream, WEB_MESSAGE_ERROR);
    } else if (err != TERN_OK) {
        web_fail(s, err, fault);
    } else if (status != WEB_STATUS_OK) {
        http_refuse(s, stream, status, TERN_FAULT_WEBTRANSPORT_REQUEST);
    } else if (s->connect != TERN_STREAM_NONE) {
        if (http_refused(s, TERN_FAULT_WEBTRANSPORT_SECOND_SESSION))
            http_reset(s, stream, WEB_REQUEST_REJECTED);
    } else {
        http_accept(s, stream);
    }
}

/* --- the answer, of a client --- */

static void http_response(struct web_session *s, struct tern_view section)
{
    unsigned status;
    tern_fault fault;
    tern_err err = web_response_read(s->web->mem, section, &status, &fault);
    if (err != TERN_OK) {
        web_fail(s, err, fault);
        return;
    }
    if (status < 200)
        return; /* more is to come */
    if (status > 299) {
        web_fail(s, TERN_ERR_REFUSED, TERN_FAULT_WEBTRANSPORT_REFUSED);
        return;
    }
    s->accepted = true;
    web_open_if_done(s);
}

/* --- frames --- */

/* What becomes of a frame. */
enum http_use { HTTP_USE_BAD, HTTP_USE_CONTENT, HTTP_USE_CAPSULES, HTTP_USE_SKIP };

static enum http_use http_use_control(const struct web_session *s, const struct web_stream *stream)
{
    (void)s;
    switch (stream->type) { /* numbers of the wire */
    case WEB_FRAME_SETTINGS:
        return HTTP_USE_CONTENT;
    case WEB_FRAME_DATA:
    case WEB_FRAME_HEADERS:
    case WEB_FRAME_PUSH_PROMISE:
    case WEB_FRAME_STREAM:
        return HTTP_USE_BAD;
    default:
        return web_frame_reserved(stream->type) ? HTTP_USE_BAD : HTTP_USE_SKIP;
    }
}

static enum http_use http_use_message(const struct web_session *s, const struct web_stream *stream)
{
    bool session = stream->kind == WEB_KIND_CONNECT;
    switch (stream->type) { /* likewise */
    case WEB_FRAME_HEADERS:
        return session && (s->server || s->accepted) ? HTTP_USE_BAD : HTTP_USE_CONTENT;
    case WEB_FRAME_DATA:
        return session && s->accepted ? HTTP_USE_CAPSULES : HTTP_USE_BAD;
    case WEB_FRAME_CANCEL_PUSH:
    case WEB_FRAME_SETTINGS:
    case WEB_FRAME_PUSH_PROMISE:
    case WEB_FRAME_GOAWAY:
    case WEB_FRAME_MAX_PUSH_ID:
    case WEB_FRAME_STREAM:
        return HTTP_USE_BAD;
    default:
        return web_frame_reserved(stream->type) ? HTTP_USE_BAD : HTTP_USE_SKIP;
    }
}

static enum http_use http_use(const struct web_session *s, const struct web_stream *stream)
{
    return stream->kind == WEB_KIND_CONTROL ? http_use_control(s, stream)
                                            : http_use_message(s, stream);
}

/* http_frame_begin judges a frame by its head. */
static void http_frame_begin(struct web_session *s, struct web_stream *stream)
{
    bool control = stream->kind == WEB_KIND_CONTROL;
    stream->within = true;
    if (control && s->settings_came == (stream->type == WEB_FRAME_SETTINGS)) {
        /* SETTINGS come first, and once. */
        web_fail(s, TERN_ERR_PROTOCOL,
                 s->settings_came ? TERN_FAULT_WEBTRANSPORT_FRAME_UNEXPECTED
                                  : TERN_FAULT_WEBTRANSPORT_NO_SETTINGS);
        return;
    }
    switch (http_use(s, stream)) {
    case HTTP_USE_BAD:
        web_fail(s, TERN_ERR_PROTOCOL, TERN_FAULT_WEBTRANSPORT_FRAME_UNEXPECTED);
        break;
    case HTTP_USE_CONTENT:
        if (control && stream->left > WEB_SETTINGS_SIZE_MAX)
            web_fail(s, TERN_ERR_TOO_LARGE, TERN_FAULT_WEBTRANSPORT_SETTINGS);
        else if (stream->kind == WEB_KIND_REQUEST && stream->left > WEB_FIELDS_SIZE_MAX)
            http_refuse(s, stream, WEB_STATUS_TOO_LARGE, TERN_FAULT_WEBTRANSPORT_FIELDS_TOO_LARGE);
        else if (stream->left > WEB_FIELDS_SIZE_MAX)
            web_fail(s, TERN_ERR_TOO_LARGE, TERN_FAULT_WEBTRANSPORT_FIELDS_TOO_LARGE);
        break;
    case HTTP_USE_SKIP:
        http_skip(s, WEB_HEAD_SIZE_MAX);
        if (s->error == TERN_OK)
            http_skip(s, stream->left);
        break;
    case HTTP_USE_CAPSULES:
        break;
    }
}

static void http_settings(struct web_session *s, struct tern_view content)
{
    struct web_settings settings;
    tern_fault fault = web_settings_parse(content, &settings);
    if (fault != TERN_FAULT_NONE) {
        web_fail(s, TERN_ERR_MALFORMED, fault);
        return;
    }
    if (s->server) {
        s->step = WEB_STEP_HANDSHAKE;
        /* Requests have waited for them. */
        for (uint32_t i = 0; i < s->streams.count && s->error == TERN_OK; i++) {
            struct web_stream *stream = &s->streams.list[i];
            if (stream->id != TERN_STREAM_NONE && stream->kind == WEB_KIND_REQUEST)
                web_http_read(s, stream);
        }
    } else if (settings.connect && settings.webtransport) {
        web_request(s);
    } else {
        web_fail(s, TERN_ERR_NO_PROTOCOL, TERN_FAULT_WEBTRANSPORT_UNSUPPORTED);
    }
}

/* http_capsules reads what there is of a DATA frame; false: no more of it is there now. */
static bool http_capsules(struct web_session *s, struct web_stream *stream)
{
    const struct tern_mux *raw = &s->raw.mux;
    struct tern_slice slice;
    uint32_t code = 0;
    uint64_t skipped = 0;
    while (stream->left > 0) {
        tern_err err = raw->ops->read(raw->self, stream->id, &slice);
        if (err == TERN_ERR_END)
            web_fail(s, TERN_ERR_MALFORMED, TERN_FAULT_WEBTRANSPORT_FRAME);
        if (err != TERN_OK)
            return false;
        size_t size = stream->left < slice.view.size ? (size_t)stream->left : slice.view.size;
        enum web_capsules_result result =
            web_capsules_feed(&s->capsules, tern_view_of(slice.view.data, size), &code, &skipped);
        raw->ops->consume(raw->self, stream->id, size);
        stream->left -= size;
        if (result == WEB_CAPSULES_BAD)
            web_fail(s, TERN_ERR_MALFORMED, TERN_FAULT_WEBTRANSPORT_CAPSULE);
        else if (result == WEB_CAPSULES_CLOSED)
            web_end(s, code);
        http_skip(s, skipped);
        skipped = 0;
        if (s->error != TERN_OK)
            return false;
    }
    stream->within = false;
    return true;
}

/* http_whole reads the content of a frame that means something; false: it is not there yet, or the
 * stream is no more what it was. */
static bool http_whole(struct web_session *s, struct web_stream *stream)
{
    uint8_t content[WEB_FIELDS_SIZE_MAX];
    tern_stream_id id = stream->id;
    enum web_kind kind = stream->kind;
    if (kind == WEB_KIND_REQUEST && s->step < WEB_STEP_HANDSHAKE)
        return false; /* the client's SETTINGS have to come first */
    size_t size = (size_t)stream->left;
    switch (http_content(s, stream, content)) {
    case HTTP_GOT_IT:
        break;
    case HTTP_GOT_NOTHING:
        return false;
    case HTTP_GOT_END:
    case HTTP_GOT_CUT:
        web_fail(s, TERN_ERR_MALFORMED, TERN_FAULT_WEBTRANSPORT_FRAME);
        return false;
    }
    if (kind == WEB_KIND_CONTROL) {
        s->settings_came = true;
        http_settings(s, tern_view_of(content, size));
    } else if (kind == WEB_KIND_REQUEST) {
        http_request(s, stream, tern_view_of(content, size));
    } else {
        http_response(s, tern_view_of(content, size));
    }
    /* The table may have grown, and the stream may be gone. */
    return web_stream_find(&s->streams, id) != NULL && s->error == TERN_OK;
}

/* http_frame goes on with a frame that has begun; false: as above. */
static bool http_frame(struct web_session *s, struct web_stream *stream)
{
    switch (http_use(s, stream)) {
    case HTTP_USE_CONTENT:
        return http_whole(s, stream);
    case HTTP_USE_CAPSULES:
        return http_capsules(s, stream);
    case HTTP_USE_SKIP:
        if (http_drop(s, stream, &stream->left) == TERN_ERR_END && stream->left > 0)
            web_fail(s, TERN_ERR_MALFORMED, TERN_FAULT_WEBTRANSPORT_FRAME);
        stream->within = stream->left > 0;
        return !stream->within && s->error == TERN_OK;
    case HTTP_USE_BAD:
        break;
    }
    TERN_UNREACHABLE();
}

/* http_ended: the remote has ended a stream of frames behind one of them. */
static void http_ended(struct web_session *s, struct web_stream *stream)
{
    if (stream->kind == WEB_KIND_CONTROL)
        web_fail(s, TERN_ERR_PROTOCOL, TERN_FAULT_WEBTRANSPORT_CRITICAL_STREAM);
    else if (stream->kind == WEB_KIND_REQUEST)
        http_reject(s, stream, TERN_FAULT_WEBTRANSPORT_STREAM_CUT, WEB_REQUEST_INCOMPLETE);
    else if (!s->accepted)
        web_fail(s, TERN_ERR_PROTOCOL, TERN_FAULT_WEBTRANSPORT_STREAM_CUT);
    else if (s->capsules.within || s->capsules.head.size > 0)
        web_fail(s, TERN_ERR_MALFORMED, TERN_FAULT_WEBTRANSPORT_CAPSULE);
    else
        web_end(s, 0);
}

/* http_frames reads a stream of frames as far as it goes. Each round takes bytes. */
static void http_frames(struct web_session *s, tern_stream_id id)
{
    struct web_stream *stream;
    uint64_t numbers[2];
    while (s->error == TERN_OK && (stream = web_stream_find(&s->streams, id)) != NULL &&
           stream->kind != WEB_KIND_SKIPPED) {
        if (stream->within) {
            if (!http_frame(s, stream))
                return;
            continue;
        }
        switch (http_head(s, stream, true, numbers)) {
        case HTTP_GOT_IT:
            stream->type = numbers[0];
            stream->left = numbers[1];
            http_frame_begin(s, stream);
            break;
        case HTTP_GOT_NOTHING:
            return;
        case HTTP_GOT_END:
            http_ended(s, stream);
            return;
        case HTTP_GOT_CUT:
            web_fail(s, TERN_ERR_MALFORMED, TERN_FAULT_WEBTRANSPORT_FRAME);
            return;
        }
    }
}

/* --- what is new --- */

/* http_take notes a stream of which there is one; a second one ends the session. */
static void http_take(struct web_session *s, struct web_stream *stream, enum web_kind kind,
                      bool *came)
{
    if (*came)
        web_fail(s, TERN_ERR_PROTOCOL, TERN_FAULT_WEBTRANSPORT_STREAM);
    else
        web_stream_become(&s->streams, stream, kind);
    *came = true;
}

static void http_new_one_way(struct web_session *s, struct web_stream *stream)
{
    uint64_t numbers[2];
    switch (http_head(s, stream, false, numbers)) {
    case HTTP_GOT_IT:
        break;
    case HTTP_GOT_NOTHING:
        return;
    case HTTP_GOT_END:
    case HTTP_GOT_CUT:
        return; /* it is gone in good order */
    }
    switch (numbers[0]) { /* numbers of the wire */
    case WEB_STREAM_CONTROL:
        http_take(s, stream, WEB_KIND_CONTROL, &s->control_came);
        break;
    case WEB_STREAM_QPACK_ENCODER:
        http_take(s, stream, WEB_KIND_ENCODER, &s->encoder_came);
        break;
    case WEB_STREAM_QPACK_DECODER:
        http_take(s, stream, WEB_KIND_DECODER, &s->decoder_came);
        break;
    case WEB_STREAM_PUSH:
        web_fail(s, TERN_ERR_PROTOCOL, TERN_FAULT_WEBTRANSPORT_STREAM);
        break;
    case WEB_STREAM_WEBTRANSPORT:
        http_reject(s, stream, TERN_FAULT_WEBTRANSPORT_ONE_WAY, web_code_out(0));
        break;
    default:
        http_skip(s, WEB_HEAD_SIZE_MAX);
        http_reset(s, stream, WEB_STREAM_CREATION_ERROR);
        break;
    }
}

/* http_new_web: it belongs to a session of WebTransport. */
static void http_new_web(struct web_session *s, struct web_stream *stream, uint64_t session)
{
    bool known = s->connect != TERN_STREAM_NONE;
    if (session % 4 != 0) {
        web_fail(s, TERN_ERR_PROTOCOL, TERN_FAULT_WEBTRANSPORT_SESSION_ID);
    } else if (known && session != s->session_id) {
        http_reject(s, stream, TERN_FAULT_WEBTRANSPORT_UNKNOWN_SESSION,
                    WEB_BUFFERED_STREAM_REJECTED);
    } else if (known && s->server && s->noise.ops == NULL) {
        http_noise(s, stream);
    } else if (s->step < WEB_STEP_OPEN &&
               s->streams.waiting_count >= TERN_WEBTRANSPORT_WAITING_MAX) {
        http_reject(s, stream, TERN_FAULT_WEBTRANSPORT_WAITING, WEB_BUFFERED_STREAM_REJECTED);
    } else {
        stream->left = session;
        web_stream_become(&s->streams, stream, WEB_KIND_WAITING);
        if (s->step == WEB_STEP_OPEN)
            web_release(s, stream);
    }
}

static void http_new_two_way(struct web_session *s, struct web_stream *stream)
{
    uint64_t numbers[2];
    switch (http_head(s, stream, true, numbers)) {
    case HTTP_GOT_IT:
        break;
    case HTTP_GOT_NOTHING:
        return;
    case HTTP_GOT_END:
    case HTTP_GOT_CUT:
        http_reject(s, stream, TERN_FAULT_WEBTRANSPORT_STREAM_CUT, WEB_REQUEST_INCOMPLETE);
        return;
    }
    if (numbers[0] == WEB_FRAME_STREAM) {
        http_new_web(s, stream, numbers[1]);
        return;
    }
    if (!s->server) {
        web_fail(s, TERN_ERR_PROTOCOL, TERN_FAULT_WEBTRANSPORT_STREAM);
        return;
    }
    web_stream_become(&s->streams, stream, WEB_KIND_REQUEST);
    stream->type = numbers[0];
    stream->left = numbers[1];
    http_frame_begin(s, stream);
}

/* --- QPACK's streams --- */

/* http_qpack_byte: may this be said on the stream? */
static bool http_qpack_byte(struct web_session *s, enum web_kind kind, uint8_t byte)
{
    return kind == WEB_KIND_ENCODER ? web_qpack_encoder_byte(byte)
                                    : web_qpack_decoder_byte(&s->decoder, byte);
}

static void http_qpack(struct web_session *s, const struct web_stream *stream)
{
    const struct tern_mux *raw = &s->raw.mux;
    struct tern_slice slice;
    bool encoder = stream->kind == WEB_KIND_ENCODER;
    tern_err err = TERN_OK;
    while (s->error == TERN_OK &&
           (err = raw->ops->read(raw->self, stream->id, &slice)) == TERN_OK) {
        size_t size = slice.view.size;
        bool ok = true;
        for (size_t i = 0; i < size && ok; i++)
            ok = http_qpack_byte(s, stream->kind, slice.view.data[i]);
        raw->ops->consume(raw->self, stream->id, size);
        if (!ok)
            web_fail(s, TERN_ERR_PROTOCOL,
                     encoder ? TERN_FAULT_WEBTRANSPORT_QPACK_ENCODER
                             : TERN_FAULT_WEBTRANSPORT_QPACK_DECODER);
        http_skip(s, size);
    }
    if (s->error == TERN_OK && err == TERN_ERR_END)
        web_fail(s, TERN_ERR_PROTOCOL, TERN_FAULT_WEBTRANSPORT_CRITICAL_STREAM);
}

/* --- from outside --- */

static void http_new(struct web_session *s, tern_stream_id id)
{
    struct web_stream *stream = web_stream_find(&s->streams, id);
    if (tern_quic_conn_one_way(s->conn, id))
        http_new_one_way(s, stream);
    else
        http_new_two_way(s, stream);
}

void web_http_read(struct web_session *s, struct web_stream *stream)
{
    tern_stream_id id = stream->id;
    if (stream->kind == WEB_KIND_NEW) {
        http_new(s, id);
        stream = web_stream_find(&s->streams, id);
        if (stream == NULL || s->error != TERN_OK)
            return;
    }
    switch (stream->kind) {
    case WEB_KIND_CONTROL:
    case WEB_KIND_REQUEST:
    case WEB_KIND_CONNECT:
        http_frames(s, id);
        break;
    case WEB_KIND_ENCODER:
    case WEB_KIND_DECODER:
        http_qpack(s, stream);
        break;
    case WEB_KIND_NOISE:
        web_noise_run(s);
        break;
    case WEB_KIND_SKIPPED: {
        uint64_t left = UINT64_MAX;
        (void)http_drop(s, stream, &left);
        http_skip(s, UINT64_MAX - left);
        break;
    }
    case WEB_KIND_NEW:
    case WEB_KIND_OWN:
    case WEB_KIND_WAITING:
    case WEB_KIND_OWNER:
        break;
    }
}

void web_http_gone(struct web_session *s, const struct tern_mux_event *event, enum web_kind kind)
{
    bool starved = event->kind == TERN_MUX_RESET && event->code == TERN_MUX_CODE_RESOURCE_LIMIT;
    tern_err err = starved ? TERN_ERR_SCOPE_MEMORY : TERN_ERR_PROTOCOL;
    switch (kind) {
    case WEB_KIND_OWN:
    case WEB_KIND_CONTROL:
    case WEB_KIND_ENCODER:
    case WEB_KIND_DECODER:
        web_fail(s, err, starved ? TERN_FAULT_NONE : TERN_FAULT_WEBTRANSPORT_CRITICAL_STREAM);
        break;
    case WEB_KIND_NOISE:
        web_fail(s, err, starved ? TERN_FAULT_NONE : TERN_FAULT_WEBTRANSPORT_HANDSHAKE_CUT);
        break;
    case WEB_KIND_CONNECT:
        if (s->accepted)
            web_end(s, event->kind == TERN_MUX_RESET ? event->code : 0);
        else
            web_fail(s, TERN_ERR_REFUSED, TERN_FAULT_WEBTRANSPORT_REFUSED);
        break;
    case WEB_KIND_NEW:
    case WEB_KIND_REQUEST:
    case WEB_KIND_WAITING:
    case WEB_KIND_SKIPPED:
    case WEB_KIND_OWNER:
        break;
    }
}
