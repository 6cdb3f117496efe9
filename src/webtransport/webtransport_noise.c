/*
 * The handshake: Noise on the first stream of WebTransport that the client opens. What either side
 * says on it behind the handshake is of no meaning.
 */
#include "webtransport/webtransport_internal.h"

enum { NOISE_PIECE = 1024, NOISE_STEPS_MAX = 64 };

void web_noise_begin(struct web_session *s, tern_stream_id stream)
{
    struct web *web = s->web;
    struct tern_view hashes[TERN_NOISE_LIST_MAX];
    struct tern_noise_options options = {
        .role = s->server ? TERN_ROLE_RESPONDER : TERN_ROLE_INITIATOR,
        .mem = web->mem,
        .random = web->options.random,
        .aead = web->options.aead,
        .identity = web->options.identity,
        .expected_peer = tern_quic_conn_expected(s->conn),
        .certhashes = hashes,
    };
    TERN_CHECK(s->noise.ops == NULL);
    if (s->server) {
        memcpy(s->multihashes, web->certificates.multihashes, sizeof s->multihashes);
        for (size_t i = 0; i < WEB_HASHES; i++)
            hashes[i] = tern_view_of(s->multihashes[i], WEB_MULTIHASH_SIZE);
        options.certhashes_count = WEB_HASHES;
    } else {
        options.certhashes_count =
            tern_quic_conn_certhashes(s->conn, hashes, TERN_COUNT_OF(hashes));
    }
    s->noise_stream = stream;
    tern_err err = tern_noise_new(&options, &s->noise);
    if (err != TERN_OK)
        web_fail(s, err, TERN_FAULT_NONE);
}

/* noise_events draws what the channel has to say. */
static void noise_events(struct web_session *s)
{
    struct tern_channel_event event;
    while (!s->job_out && s->noise.ops->next(s->noise.self, &event)) {
        if (event.kind != TERN_CHANNEL_JOB)
            continue; /* that it is done shows in remote */
        s->job = event.job;
        s->job_out = true;
        s->news |= WEB_NEWS_JOB;
    }
}

static void noise_send(struct web_session *s)
{
    uint8_t bytes[NOISE_PIECE];
    while (s->error == TERN_OK && s->noise.ops->control_pending(s->noise.self)) {
        struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
        s->noise.ops->control(s->noise.self, s->web->now, &w);
        TERN_CHECK(w.size > 0);
        (void)web_write(s, s->noise_stream, tern_writer_view(&w));
    }
}

/* noise_receive gives the channel one piece; false: there is none now. */
static bool noise_receive(struct web_session *s)
{
    struct tern_slice slice;
    size_t used = 0;
    const struct tern_mux *raw = &s->raw.mux;
    tern_err err = raw->ops->read(raw->self, s->noise_stream, &slice);
    if (err == TERN_ERR_END)
        web_fail(s, TERN_ERR_PROTOCOL, TERN_FAULT_WEBTRANSPORT_HANDSHAKE_CUT);
    if (err != TERN_OK)
        return false;
    err = s->noise.ops->recv(s->noise.self, s->web->now, slice, &used);
    raw->ops->consume(raw->self, s->noise_stream, used);
    if (err != TERN_OK)
        web_fail(s, err, s->noise.ops->fault(s->noise.self));
    return err == TERN_OK && used > 0;
}

/* noise_finish: all has been said; the stream has done its duty. */
static void noise_finish(struct web_session *s)
{
    const struct tern_mux *raw = &s->raw.mux;
    struct web_stream *stream = web_stream_find(&s->streams, s->noise_stream);
    s->noise_done = true;
    TERN_CHECK(stream != NULL);
    web_stream_become(&s->streams, stream, WEB_KIND_SKIPPED);
    tern_err err = raw->ops->close_write(raw->self, s->noise_stream);
    if (err != TERN_OK)
        web_fail(s, err, TERN_FAULT_NONE);
    web_open_if_done(s);
}

void web_noise_run(struct web_session *s)
{
    for (unsigned i = 0; i < NOISE_STEPS_MAX && s->error == TERN_OK && !s->noise_done; i++) {
        noise_events(s);
        if (s->job_out)
            return;
        noise_send(s);
        if (s->error != TERN_OK)
            return;
        if (s->noise.ops->remote(s->noise.self) != NULL) {
            noise_finish(s);
            return;
        }
        if (!noise_receive(s))
            return;
    }
}
