#include "webtransport/webtransport_world.h"

#include "tern_test.h"
#include "webtransport/http3.h"
#include "webtransport/qpack.h"

static const struct datagram_link world_link = {.latency_ns = 5 * TERN_MILLISECOND};

/* --- the puppet's end of a connection --- */

static void puppet_fini(void *self)
{
    (void)self;
}

static tern_err puppet_attach(void *self, tern_time now, struct tern_quic_conn *conn,
                              struct tern_session *session)
{
    static struct tern_mux_ops ops;
    struct web_puppet *puppet = self;
    (void)now;
    puppet->conn = conn;
    puppet->raw = tern_quic_conn_session(conn);
    ops = *puppet->raw.mux.ops;
    ops.fini = puppet_fini;
    *session = puppet->raw;
    session->mux.ops = &ops;
    return TERN_OK;
}

static void puppet_certificate(struct web_world *w, const struct web_world_options *options)
{
    tern_time since = options->valid_since_ns == 0 ? TERN_HOUR : options->valid_since_ns;
    tern_time length = options->valid_for_ns == 0 ? 14 * 24 * TERN_HOUR : options->valid_for_ns;
    const struct tern_certificate_options of_it = {.kind = TERN_CERTIFICATE_WEB,
                                                   .mem = &w->mem,
                                                   .random = quic_testing_random(true),
                                                   .not_before = WEB_TESTING_WALL - since,
                                                   .not_after = WEB_TESTING_WALL - since + length};
    assert_ok(tern_certificate_make(&of_it, &w->certificate));
    w->certhash[0] = 0x12;
    w->certhash[1] = TERN_SHA256_SIZE;
    memcpy(w->certhash + 2, w->certificate.sha256, TERN_SHA256_SIZE);
}

static void puppet_host(struct web_world *w, struct quic_host *host,
                        const struct web_world_options *options)
{
    const struct tern_quic_upper upper = {.self = &w->puppet, .attach = puppet_attach};
    bool serves = options->puppets == WEB_PUPPET_SERVES;
    if (serves)
        puppet_certificate(w, options);
    assert_ok(tern_quic_set_upper(&host->transport, &upper, serves ? &w->certificate : NULL));
}

/* --- hosts --- */

static struct quic_host *world_host(struct web_world *w, unsigned n,
                                    const struct web_world_options *options)
{
    struct tern_quic_options of_quic = options->quic;
    /* An identity of its own: certificates are shown by it. */
    assert_ok(tern_quic_identity_new(&w->mem, quic_testing_random(true), quic_testing_key(n),
                                     &of_quic.identity));
    of_quic.wall = WEB_TESTING_WALL;
    struct quic_host *host = quic_world_add(&w->w, of_quic, &world_link);
    w->identities[n - 1] = of_quic.identity;
    bool puppet = options->puppets == (n == 1 ? WEB_PUPPET_DIALS : WEB_PUPPET_SERVES);
    if (puppet) {
        puppet_host(w, host, options);
        return host;
    }
    struct tern_webtransport_options web = options->web;
    struct tern_session_transport quic = host->transport;
    web.mem = &host->mem;
    web.random = &host->random;
    web.metrics = &host->metrics;
    web.aead = web_testing_aead();
    web.identity = web_testing_noise(n);
    web.host_key = n == 1 || options->mute ? NULL : quic_testing_key(n);
    web.wall = WEB_TESTING_WALL;
    assert_ok(tern_webtransport_new(&web, &quic, w->w.world.now, &host->transport));
    w->w.world.nodes[host->node].transport = host->transport;
    return host;
}

void web_world_init(struct web_world *w, const struct web_world_options *options)
{
    memset(w, 0, sizeof *w);
    tern_mem_init(&w->mem, 0);
    quic_world_init(&w->w, 1);
    w->a = world_host(w, 1, options);
    w->b = world_host(w, 2, options);
}

void web_world_fini(struct web_world *w)
{
    if (w->puppet.noise.ops != NULL)
        w->puppet.noise.ops->fini(w->puppet.noise.self);
    quic_world_fini(&w->w);
    for (size_t i = 0; i < TERN_COUNT_OF(w->identities); i++)
        tern_quic_identity_free(w->identities[i]);
    if (w->certificate.der != NULL)
        tern_certificate_fini(&w->certificate);
    tern_mem_fini(&w->mem);
}

struct quic_seen *web_world_dial(struct web_world *w, const struct web_dial *dial)
{
    struct tern_view hashes[TERN_WEBTRANSPORT_CERTHASHES];
    const struct tern_webtransport_certhashes *of_b = web_testing_certhashes(2);
    struct tern_session_dial d = {
        .expected_peer = dial->expected,
        .socket = w->a->socket,
        .remote = w->b->at,
        .certhashes = dial->certhashes,
        .certhashes_count = dial->certhashes_count,
        .scope = &w->a->scope,
    };
    for (size_t i = 0; i < TERN_COUNT_OF(hashes); i++)
        hashes[i] = tern_view_of(of_b->multihashes[i], TERN_WEBTRANSPORT_CERTHASH_SIZE);
    if (w->certificate.der != NULL)
        hashes[0] = tern_view_of(w->certhash, sizeof w->certhash);
    if (d.certhashes == NULL) {
        d.certhashes = hashes;
        d.certhashes_count = w->certificate.der != NULL ? 1 : TERN_COUNT_OF(hashes);
    }
    struct quic_seen *seen = &w->a->seen[w->a->seen_count];
    assert_true(w->a->seen_count < QUIC_WORLD_SESSIONS_MAX);
    d.tag = w->a->seen_count++;
    w->a->last = seen;
    assert_ok(w->a->transport.ops->dial(w->a->transport.self, w->w.world.now, &d, &seen->session));
    seen->live = true;
    return seen;
}

void web_world_run(struct web_world *w, tern_time duration)
{
    quic_world_run(&w->w, duration);
}

void web_world_attach(struct web_world *w)
{
    (void)web_world_dial(w, &(struct web_dial){.expected = NULL});
    web_world_run(w, 100 * TERN_MILLISECOND);
    assert_non_null(w->puppet.conn);
}

/* --- what a puppet says --- */

tern_stream_id web_puppet_open(struct web_puppet *puppet, bool one_way)
{
    tern_stream_id stream;
    const struct tern_mux *raw = &puppet->raw.mux;
    /* In the order in which they are opened. */
    if (one_way)
        assert_ok(tern_quic_conn_open_one_way(puppet->conn, TERN_STREAM_CONTROL, &stream));
    else
        assert_ok(raw->ops->open(raw->self, TERN_STREAM_CONTROL, &stream));
    return stream;
}

void web_puppet_say(struct web_puppet *puppet, tern_stream_id stream, struct tern_view bytes)
{
    const struct tern_mux *raw = &puppet->raw.mux;
    size_t accepted;
    assert_ok(raw->ops->write(raw->self, stream, bytes, &accepted));
    assert_int_equal(accepted, bytes.size);
}

void web_puppet_close(struct web_puppet *puppet, tern_stream_id stream)
{
    assert_ok(puppet->raw.mux.ops->close_write(puppet->raw.mux.self, stream));
}

tern_stream_id web_puppet_settings(struct web_puppet *puppet)
{
    uint8_t bytes[256];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_quic_number_write(&w, WEB_STREAM_CONTROL);
    web_settings_write(&w);
    tern_stream_id stream = web_puppet_open(puppet, true);
    web_puppet_say(puppet, stream, tern_writer_view(&w));
    return stream;
}

tern_stream_id web_puppet_fields(struct web_puppet *puppet, tern_stream_id stream,
                                 const char *const *fields)
{
    struct web_field list[16];
    char names[16][64];
    uint8_t section[2048];
    uint8_t bytes[2064];
    size_t count = 0;
    struct tern_mem mem;
    for (; fields[count] != NULL; count++) {
        const char *colon = strstr(fields[count], ": ");
        assert_true(colon != NULL && count < TERN_COUNT_OF(list));
        size_t size = (size_t)(colon - fields[count]);
        memcpy(names[count], fields[count], size);
        names[count][size] = 0;
        list[count] = (struct web_field){names[count], tern_view_str(colon + 2)};
    }
    tern_mem_init(&mem, 0);
    struct tern_writer s = tern_writer_of(section, sizeof section);
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    assert_ok(web_qpack_encode(&mem, list, count, &s));
    tern_mem_fini(&mem);
    tern_quic_number_write(&w, WEB_FRAME_HEADERS);
    tern_quic_number_write(&w, s.size);
    tern_writer_bytes(&w, tern_writer_view(&s));
    assert_true(tern_writer_ok(&w));
    if (stream == TERN_STREAM_NONE)
        stream = web_puppet_open(puppet, false);
    web_puppet_say(puppet, stream, tern_writer_view(&w));
    return stream;
}

tern_stream_id web_puppet_request(struct web_puppet *puppet)
{
    static const char *const fields[] = {":method: CONNECT",
                                         ":protocol: webtransport",
                                         ":scheme: https",
                                         ":authority: 10.0.0.2:4001",
                                         ":path: /.well-known/libp2p-webtransport?type=noise",
                                         "origin: https://example.org",
                                         NULL};
    return web_puppet_fields(puppet, TERN_STREAM_NONE, fields);
}

tern_stream_id web_puppet_stream(struct web_puppet *puppet, uint64_t session)
{
    uint8_t bytes[WEB_HEAD_SIZE_MAX];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_quic_number_write(&w, WEB_FRAME_STREAM);
    tern_quic_number_write(&w, session);
    tern_stream_id stream = web_puppet_open(puppet, false);
    web_puppet_say(puppet, stream, tern_writer_view(&w));
    return stream;
}

size_t web_puppet_read(struct web_puppet *puppet, tern_stream_id stream, struct tern_span to)
{
    const struct tern_mux *raw = &puppet->raw.mux;
    struct tern_slice slice;
    size_t size = 0;
    while (size < to.size && raw->ops->read(raw->self, stream, &slice) == TERN_OK) {
        size_t part = tern_min_size(slice.view.size, to.size - size);
        memcpy(to.data + size, slice.view.data, part);
        raw->ops->consume(raw->self, stream, part);
        size += part;
    }
    return size;
}

/* --- Noise --- */

void web_puppet_noise(struct web_world *w, tern_stream_id stream, size_t certhashes_count)
{
    struct web_puppet *puppet = &w->puppet;
    struct tern_view hash = tern_view_of(w->certhash, sizeof w->certhash);
    bool server = tern_quic_conn_server(puppet->conn);
    const struct tern_noise_options options = {
        .role = server ? TERN_ROLE_RESPONDER : TERN_ROLE_INITIATOR,
        .mem = &w->mem,
        .random = quic_testing_random(true),
        .aead = web_testing_aead(),
        .identity = web_testing_noise(server ? 2 : 1),
        .certhashes = &hash,
        .certhashes_count = certhashes_count,
    };
    assert_ok(tern_noise_new(&options, &puppet->noise));
    puppet->noise_stream = stream;
}

bool web_puppet_shake(struct web_puppet *puppet, tern_time now)
{
    const struct tern_channel *noise = &puppet->noise;
    const struct tern_mux *raw = &puppet->raw.mux;
    struct tern_channel_event event;
    struct tern_slice slice;
    uint8_t bytes[4096];
    for (int i = 0; i < 8; i++) {
        while (noise->ops->next(noise->self, &event)) {
            if (event.kind != TERN_CHANNEL_JOB)
                continue;
            event.job->run(event.job);
            assert_ok(noise->ops->job_done(noise->self, now, event.job));
        }
        struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
        noise->ops->control(noise->self, now, &w);
        if (w.size > 0)
            web_puppet_say(puppet, puppet->noise_stream, tern_writer_view(&w));
        if (raw->ops->read(raw->self, puppet->noise_stream, &slice) != TERN_OK)
            continue;
        size_t used;
        assert_ok(noise->ops->recv(noise->self, now, slice, &used));
        raw->ops->consume(raw->self, puppet->noise_stream, used);
    }
    return noise->ops->remote(noise->self) != NULL;
}
