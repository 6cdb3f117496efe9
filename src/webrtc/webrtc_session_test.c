/* Sessions from their beginning to their end, on a network in virtual time. */
#include <stdio.h>

#include "golden.h"
#include "tern_test.h"
#include "webrtc/sctp.h"
#include "webrtc/stun.h"
#include "webrtc/webrtc_world.h"

static struct webrtc_world *world_new(uint64_t seed)
{
    struct webrtc_world *w = test_calloc(1, sizeof *w);
    webrtc_world_init(w, seed);
    return w;
}

static struct webrtc_world *world_pair(const struct datagram_link *link)
{
    struct webrtc_world *w = world_new(1);
    webrtc_world_pair(w, link);
    return w;
}

static void world_free(struct webrtc_world *w)
{
    webrtc_world_fini(w);
    test_free(w);
}

/* talk: both directions work. */
static void talk(struct webrtc_world *w, struct webrtc_seen *a, struct webrtc_seen *b)
{
    tern_stream_id id = webrtc_seen_open(a);
    webrtc_seen_write(a, id, "are you there?");
    webrtc_world_run(w, TERN_SECOND);
    tern_stream_id other = webrtc_seen_event(b, TERN_MUX_STREAM_OPENED).stream;
    webrtc_seen_expect(b, other, "are you there?");
    webrtc_seen_write(b, other, "yes");
    webrtc_seen_close(b, other);
    webrtc_world_run(w, TERN_SECOND);
    webrtc_seen_expect(a, id, "yes");
    assert_int_equal(webrtc_seen_read(a, id), TERN_ERR_END);
    webrtc_seen_close(a, id);
    webrtc_world_run(w, TERN_SECOND);
}

/* ---- beginning ---- */

struct trace {
    struct golden log;
    struct webrtc_world *world;
    tern_time start;
    bool over;
};

/* trace_records names the records of a datagram. */
static void trace_records(struct tern_view bytes, char *text, size_t size)
{
    size_t at = 0;
    size_t used = 0;
    while (at + 13 <= bytes.size && used < size) {
        const uint8_t *record = bytes.data + at;
        used += (size_t)snprintf(text + used, size - used, " %s%u",
                                 record[4] == 0 ? "clear " : "sealed ", record[0]);
        at += 13 + ((size_t)record[11] << 8) + record[12];
    }
}

static bool trace_tap(void *context, const struct datagram_seen *seen)
{
    struct trace *trace = context;
    char text[256] = "";
    const struct tern_view bytes = {seen->bytes.data, seen->bytes.size};
    double ms = (double)(seen->now - trace->start) / 1e6;
    if (trace->over)
        return true;
    if (tern_stun_is(bytes))
        snprintf(text, sizeof text, " %s", bytes.data[0] == 0 ? "check" : "answer");
    else
        trace_records(bytes, text, sizeof text);
    golden_line(&trace->log, "%5.1f %s%s", ms, seen->from.ip[3] == 1 ? "dialer  " : "listener",
                text);
    return true;
}

static void a_session_takes_five_round_trips(void **state)
{
    (void)state;
    const struct datagram_link link = {.latency_ns = 10 * TERN_MILLISECOND};
    struct webrtc_world *w = world_pair(&link);
    struct trace trace = {.world = w, .start = w->world.now};
    golden_init(&trace.log);
    w->world.net.tap = trace_tap;
    w->world.net.tap_context = &trace;
    webrtc_world_connect(w, &w->hosts[0], &w->hosts[1]);
    trace.over = true;
    golden_expect(&trace.log, "  0.0 dialer   check\n"
                              " 10.0 listener answer\n"
                              " 20.0 dialer   clear 22\n"
                              " 30.0 listener clear 22 clear 22 clear 22 clear 22 clear 22\n"
                              " 40.0 dialer   clear 22 clear 22 clear 22 clear 20 sealed 22\n"
                              " 50.0 listener clear 20 sealed 22\n"
                              " 50.0 listener sealed 23\n"
                              " 60.0 dialer   sealed 23\n"
                              " 60.0 dialer   sealed 23\n"
                              " 70.0 listener sealed 23\n"
                              " 70.0 listener sealed 23\n"
                              " 80.0 dialer   sealed 23\n"
                              " 80.0 dialer   sealed 23\n"
                              " 90.0 listener sealed 23\n"
                              " 90.0 listener sealed 23\n"
                              "100.0 dialer   sealed 23\n");
    golden_fini(&trace.log);
    world_free(w);
}

static void both_ends_know_each_other(void **state)
{
    (void)state;
    for (int version = TERN_ICE_V1; version <= TERN_ICE_V2; version++) {
        struct webrtc_world *w = world_new(1);
        const struct tern_webrtc_options options = {.dial_version = (enum tern_ice_version)version};
        webrtc_world_add(w, options, NULL);
        webrtc_world_add(w, options, NULL);
        struct webrtc_seen *a = webrtc_world_connect(w, &w->hosts[0], &w->hosts[1]);
        struct webrtc_seen *b = w->hosts[1].last;
        struct webrtc_seen *ends[2] = {a, b};
        for (unsigned i = 0; i < 2; i++) {
            const struct tern_secure_remote *remote =
                ends[i]->session.ops->remote(ends[i]->session.mux.self);
            assert_true(tern_peer_id_equal(remote->peer_id, &webrtc_testing_host(1 - i)->peer));
            size_t jobs = webrtc_seen_count(ends[i], TERN_MUX_JOB);
            assert_int_equal(ends[i]->log[jobs].kind, TERN_MUX_ESTABLISHED);
            assert_int_equal(ends[i]->log[jobs + 1].kind, TERN_MUX_CONFIRMED);
            struct tern_session_info info;
            webrtc_seen_info(ends[i], &info);
            assert_int_equal(info.kind, TERN_SESSION_WEBRTC);
            assert_int_equal(info.socket, w->hosts[i].socket);
            assert_int_equal(info.path.local.ip[3], i + 1);
            assert_int_equal(info.path.remote.ip[3], 2 - i);
            assert_true(info.bytes_in > 1000 && info.bytes_out > 1000);
        }
        talk(w, a, b);
        talk(w, b, a);
        world_free(w);
    }
}

static void a_bad_network_is_survived(void **state)
{
    (void)state;
    const struct datagram_link link = {.latency_ns = 20 * TERN_MILLISECOND,
                                       .jitter_ns = 10 * TERN_MILLISECOND,
                                       .loss_ppm = 100000,
                                       .duplicate_ppm = 100000,
                                       .reorder_ppm = 100000,
                                       .reorder_ns = 30 * TERN_MILLISECOND};
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct webrtc_world *w = world_new(seed);
        webrtc_world_pair(w, &link);
        w->hosts[1].echo = true;
        struct webrtc_seen *a = webrtc_world_connect(w, &w->hosts[0], &w->hosts[1]);
        tern_stream_id id = webrtc_seen_open(a);
        assert_int_equal(webrtc_seen_fill(a, id, 200000), 200000);
        webrtc_seen_close(a, id);
        a->sink = true;
        webrtc_world_run(w, 15 * TERN_SECOND);
        assert_int_equal(a->read_bytes, 200000);
        assert_int_equal(webrtc_seen_count(a, TERN_MUX_CLOSED), 1);
        assert_int_equal(webrtc_seen_count(w->hosts[1].last, TERN_MUX_CLOSED), 1);
        assert_int_equal(webrtc_seen_error(a), TERN_OK);
        world_free(w);
    }
}

static void what_cannot_be_dialled_is_told(void **state)
{
    (void)state;
    struct webrtc_world *w = world_pair(NULL);
    struct webrtc_host *host = &w->hosts[0];
    const struct tern_session_transport *transport = &host->transport;
    uint8_t hash[TERN_WEBRTC_CERTHASH_SIZE + 1] = {0x12, 0x20};
    struct tern_view view = tern_view_of(hash, TERN_WEBRTC_CERTHASH_SIZE);
    struct tern_session_dial dial = {
        .socket = host->socket, .remote = w->hosts[1].at, .scope = &host->scope};
    struct tern_session session;
    assert_int_equal(transport->ops->dial(transport->self, w->world.now, &dial, &session),
                     TERN_ERR_UNSUPPORTED);
    dial.certhashes = &view;
    dial.certhashes_count = 1;
    dial.remote.family = 0;
    assert_int_equal(transport->ops->dial(transport->self, w->world.now, &dial, &session),
                     TERN_ERR_UNSUPPORTED);
    dial.remote = w->hosts[1].at;
    static const struct {
        uint8_t code, size;
        size_t length;
    } rows[] = {{0x13, 0x20, 34}, {0x12, 0x21, 34}, {0x12, 0x20, 33}, {0x12, 0x20, 35}, {0, 0, 0}};
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++) {
        hash[0] = rows[i].code;
        hash[1] = rows[i].size;
        view.size = rows[i].length;
        assert_int_equal(transport->ops->dial(transport->self, w->world.now, &dial, &session),
                         TERN_ERR_UNSUPPORTED);
    }
    struct webrtc_seen *first = webrtc_world_dial(w, host, &w->hosts[1]);
    struct webrtc_seen *second;
    assert_int_equal(webrtc_world_try_dial(host, &w->hosts[1].at, 1, true, &second),
                     TERN_ERR_FULL); /* the first one is not done */
    webrtc_seen_end(first);
    world_free(w);
}

static void nobody_answers(void **state)
{
    (void)state;
    struct webrtc_world *w = world_pair(NULL);
    w->hosts[1].refuses = true;
    struct webrtc_seen *seen = webrtc_world_dial(w, &w->hosts[0], &w->hosts[1]);
    assert_int_equal(webrtc_world_ended(w, seen, 19 * TERN_SECOND), TERN_OK);
    assert_int_equal(webrtc_world_ended(w, seen, 2 * TERN_SECOND), TERN_ERR_TIMEOUT);
    assert_true(w->hosts[1].offers_count > 5);
    assert_int_equal(datagram_net_socket(&w->world.net, w->hosts[1].socket)->sent_count, 0);
    world_free(w);
}

static void the_wrong_certificate_is_not_talked_to(void **state)
{
    (void)state;
    struct webrtc_world *w = world_pair(NULL);
    struct webrtc_seen *seen;
    /* Host 0's certificate is not host 1's. */
    assert_ok(webrtc_world_try_dial(&w->hosts[0], &w->hosts[1].at, 0, false, &seen));
    assert_int_equal(webrtc_world_ended(w, seen, TERN_SECOND), TERN_ERR_PROTOCOL);
    assert_int_equal(webrtc_seen_fault(seen), TERN_FAULT_WEBRTC_CERTHASH);
    struct webrtc_seen *other = w->hosts[1].last;
    assert_int_equal(webrtc_world_ended(w, other, TERN_SECOND), TERN_ERR_PROTOCOL);
    assert_int_equal(webrtc_seen_fault(other), TERN_FAULT_WEBRTC_DTLS_HANDSHAKE);
    world_free(w);
}

static void one_of_several_certificates_is_enough(void **state)
{
    (void)state;
    struct webrtc_world *w = world_pair(NULL);
    struct webrtc_host *host = &w->hosts[0];
    uint8_t hashes[12][TERN_WEBRTC_CERTHASH_SIZE] = {{0}};
    struct tern_view views[12];
    for (size_t i = 0; i < TERN_COUNT_OF(views); i++) {
        hashes[i][0] = i % 2 == 0 ? 0x12 : 0x1b; /* another hash does not count */
        hashes[i][1] = 0x20;
        views[i] = tern_view_of(hashes[i], sizeof hashes[i]);
    }
    memcpy(hashes[6], webrtc_testing_host(1)->certhash, sizeof hashes[6]);
    const struct tern_session_dial dial = {.socket = host->socket,
                                           .remote = w->hosts[1].at,
                                           .certhashes = views,
                                           .certhashes_count = TERN_COUNT_OF(views),
                                           .scope = &host->scope};
    struct webrtc_seen *seen = &host->seen[host->seen_count++];
    assert_ok(host->transport.ops->dial(host->transport.self, w->world.now, &dial, &seen->session));
    seen->live = true;
    webrtc_world_run(w, TERN_SECOND);
    assert_int_equal(webrtc_seen_count(seen, TERN_MUX_CONFIRMED), 1);
    world_free(w);
}

static void somebody_else_is_not_talked_to(void **state)
{
    (void)state;
    struct webrtc_world *w = world_new(1);
    for (int i = 0; i < 4; i++)
        webrtc_world_add(w, (struct tern_webrtc_options){.mem = NULL}, NULL);
    struct webrtc_seen *seen;
    /* Host 3 has the certificate of host 1, and another identity. */
    assert_ok(webrtc_world_try_dial(&w->hosts[0], &w->hosts[1].at, 3, true, &seen));
    assert_int_equal(webrtc_world_ended(w, seen, TERN_SECOND), TERN_ERR_PEER_MISMATCH);
    assert_int_equal(webrtc_seen_fault(seen), TERN_FAULT_NOISE_WRONG_PEER);
    assert_int_equal(webrtc_world_ended(w, w->hosts[1].last, TERN_SECOND), TERN_ERR_CLOSED);
    world_free(w);
}

static void a_certificate_may_be_changed(void **state)
{
    (void)state;
    struct webrtc_world *w = world_pair(NULL);
    const struct tern_session_transport *transport = &w->hosts[1].transport;
    struct webrtc_seen *before = webrtc_world_connect(w, &w->hosts[0], &w->hosts[1]);
    const struct tern_dtls_certificate bad = {.certificate = tern_view_str("none")};
    assert_int_equal(tern_webrtc_set_certificate(transport, &bad), TERN_ERR_BAD_KEY);
    assert_ok(tern_webrtc_set_certificate(transport, webrtc_testing_host(0)->certificate));
    uint8_t hash[TERN_WEBRTC_CERTHASH_SIZE];
    tern_webrtc_certhash(transport, hash);
    assert_memory_equal(hash, webrtc_testing_host(0)->certhash, sizeof hash);
    struct webrtc_seen *after;
    assert_ok(webrtc_world_try_dial(&w->hosts[0], &w->hosts[1].at, 0, false, &after));
    webrtc_world_run(w, TERN_SECOND);
    assert_int_equal(webrtc_seen_count(after, TERN_MUX_CONFIRMED), 1);
    assert_int_equal(webrtc_seen_error(before), TERN_OK);
    world_free(w);
}

static void options_have_bounds(void **state)
{
    (void)state;
    struct tern_mem mem;
    struct tern_random random;
    tern_mem_init(&mem, 0);
    tern_random_init_u64(&random, 1);
    const struct webrtc_testing_host *host = webrtc_testing_host(0);
    const struct tern_dtls_certificate bad = {.certificate = tern_view_str("none")};
    const struct tern_webrtc_options good = {
        .mem = &mem, .random = &random, .noise = &host->noise, .certificate = host->certificate};
    struct tern_webrtc_options rows[] = {good, good, good, good, good, good};
    rows[0].window_bytes = TERN_SCTP_WINDOW_MIN - 1;
    rows[1].window_bytes = TERN_WEBRTC_WINDOW_LIMIT + 1;
    rows[2].streams_in_max = TERN_WEBRTC_STREAMS_LIMIT + 1;
    rows[3].streams_out_max = TERN_WEBRTC_STREAMS_LIMIT + 1;
    rows[4].idle_timeout_ns = TERN_SECOND;
    rows[5].dial_version = (enum tern_ice_version)3;
    struct tern_session_transport transport;
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++)
        assert_int_equal(tern_webrtc_new(&rows[i], 0, &transport), TERN_ERR_INVALID);
    rows[0] = good;
    rows[0].certificate = &bad;
    assert_int_equal(tern_webrtc_new(&rows[0], 0, &transport), TERN_ERR_BAD_KEY);
    tern_mem_fini(&mem);
}

static void jobs_may_take_their_time(void **state)
{
    (void)state;
    struct webrtc_world *w = world_pair(NULL);
    w->hosts[0].holds_jobs = w->hosts[1].holds_jobs = true;
    struct webrtc_seen *a = webrtc_world_dial(w, &w->hosts[0], &w->hosts[1]);
    for (int i = 0; i < 20; i++) {
        /* Longer than flights take to be sent again. */
        webrtc_world_run(w, 700 * TERN_MILLISECOND);
        webrtc_seen_job(a, w->world.now);
        webrtc_seen_job(w->hosts[1].last, w->world.now);
        session_world_flush(&w->world);
    }
    webrtc_world_run(w, TERN_SECOND);
    assert_int_equal(webrtc_seen_count(a, TERN_MUX_CONFIRMED), 1);
    assert_int_equal(webrtc_seen_count(w->hosts[1].last, TERN_MUX_CONFIRMED), 1);
    talk(w, a, w->hosts[1].last);
    world_free(w);
}

/* A session may end, for whatever reason, while a job of it is out. */
static void a_session_may_end_while_a_job_is_out(void **state)
{
    (void)state;
    for (int n = 0; n < 8; n++) {
        struct webrtc_world *w = world_pair(NULL);
        w->hosts[0].holds_jobs = w->hosts[1].holds_jobs = true;
        struct webrtc_seen *a = webrtc_world_dial(w, &w->hosts[0], &w->hosts[1]);
        for (int i = 0; i < n; i++) {
            webrtc_world_run(w, 10 * TERN_MILLISECOND);
            if (!webrtc_seen_job(a, w->world.now) && w->hosts[1].last != NULL)
                webrtc_seen_job(w->hosts[1].last, w->world.now);
        }
        webrtc_world_run(w, 40 * TERN_SECOND);
        if (n < 7)
            assert_int_equal(webrtc_seen_error(a), TERN_ERR_TIMEOUT);
        world_free(w);
    }
}

/* Events that nobody asked for, a job among them, end with the session. */
static void a_session_may_end_before_its_job_is_asked_for(void **state)
{
    (void)state;
    for (int end = 0; end < 2; end++) {
        for (int n = 0; n < 6; n++) {
            struct webrtc_world *w = world_pair(NULL);
            w->hosts[1].holds_jobs = true;
            struct webrtc_seen *a = webrtc_world_dial(w, &w->hosts[0], &w->hosts[1]);
            a->holds_jobs = true;
            for (int i = 0; i < n; i++) {
                webrtc_world_run(w, 10 * TERN_MILLISECOND);
                if (!webrtc_seen_job(a, w->world.now) && w->hosts[1].last != NULL)
                    webrtc_seen_job(w->hosts[1].last, w->world.now);
            }
            struct webrtc_seen *deaf = end == 0 ? a : w->hosts[1].last;
            if (deaf != NULL) {
                webrtc_seen_job(deaf, w->world.now);
                deaf->deaf = true;
                webrtc_world_run(w, 10 * TERN_MILLISECOND);
                webrtc_seen_end(deaf);
            }
            world_free(w);
        }
    }
}

/* ---- addresses ---- */

static void a_listener_follows_the_dialer(void **state)
{
    (void)state;
    const struct datagram_link link = {.latency_ns = 5 * TERN_MILLISECOND};
    struct webrtc_world *w = world_pair(&link);
    struct webrtc_seen *a = webrtc_world_connect(w, &w->hosts[0], &w->hosts[1]);
    struct webrtc_seen *b = w->hosts[1].last;
    for (uint8_t i = 0; i < 40; i++) {
        /* A NAT gives the dialer another address. */
        const struct tern_endpoint moved = datagram_endpoint((uint8_t)(100 + i), 7);
        datagram_net_remap(&w->world.net, w->hosts[0].socket, &moved);
        webrtc_world_run(w, 10 * TERN_SECOND);
        talk(w, a, b);
        struct tern_session_info info;
        webrtc_seen_info(b, &info);
        assert_int_equal(info.path.remote.ip[3], 100 + i);
    }
    assert_int_equal(webrtc_seen_error(a), TERN_OK);
    world_free(w);
}

/* Whoever has seen a check can send one from anywhere: the path stays. */
struct copies {
    struct webrtc_world *world;
    unsigned checks;
    unsigned sealed;
};

static bool copy_elsewhere(void *context, const struct datagram_seen *seen)
{
    struct copies *copies = context;
    struct tern_view bytes = {seen->bytes.data, seen->bytes.size};
    bool check = tern_stun_is(bytes) && bytes.data[0] == 0;
    if (seen->from.ip[3] != 1)
        return true;
    struct tern_path path = {.local = datagram_endpoint(66, 6), .remote = seen->to};
    /* The copy comes late, so it is never the newest. */
    datagram_net_inject(&copies->world->world.net, seen->now + 50 * TERN_MILLISECOND, &path, bytes);
    if (check)
        copies->checks++;
    else
        copies->sealed++;
    return true;
}

static void copies_from_elsewhere_move_nothing(void **state)
{
    (void)state;
    struct webrtc_world *w = world_pair(NULL);
    struct copies copies = {.world = w};
    struct webrtc_seen *a = webrtc_world_connect(w, &w->hosts[0], &w->hosts[1]);
    struct webrtc_seen *b = w->hosts[1].last;
    w->world.net.tap = copy_elsewhere;
    w->world.net.tap_context = &copies;
    for (int i = 0; i < 5; i++) {
        webrtc_world_run(w, 10 * TERN_SECOND);
        talk(w, a, b);
        struct tern_session_info info;
        webrtc_seen_info(b, &info);
        assert_int_equal(info.path.remote.ip[3], 1);
    }
    assert_true(copies.checks > 5 && copies.sealed > 10);
    w->world.net.tap = NULL;
    world_free(w);
}

static void a_dialer_may_move_to_another_socket(void **state)
{
    (void)state;
    struct webrtc_world *w = world_pair(NULL);
    struct webrtc_host *host = &w->hosts[0];
    struct webrtc_seen *a = webrtc_world_dial(w, host, &w->hosts[1]);
    const struct tern_endpoint second = datagram_endpoint(9, 4002);
    tern_link_id socket = session_world_bind(&w->world, host->node, &second, NULL);
    assert_int_equal(a->session.ops->migrate(a->session.mux.self, w->world.now, socket),
                     TERN_ERR_AGAIN);
    webrtc_world_run(w, TERN_SECOND);
    struct webrtc_seen *b = w->hosts[1].last;
    assert_int_equal(b->session.ops->migrate(b->session.mux.self, w->world.now, socket),
                     TERN_ERR_UNSUPPORTED);
    assert_ok(a->session.ops->migrate(a->session.mux.self, w->world.now, socket));
    assert_ok(a->session.ops->migrate(a->session.mux.self, w->world.now, socket));
    session_world_unbind(&w->world, host->node, host->socket);
    talk(w, a, b);
    struct tern_session_info info;
    webrtc_seen_info(b, &info);
    assert_int_equal(info.path.remote.port, 4002);
    webrtc_seen_info(a, &info);
    assert_int_equal(info.socket, socket);
    assert_int_equal(info.path.local.ip[3], 9);
    session_world_unbind(&w->world, host->node, socket);
    assert_int_equal(webrtc_seen_error(a), TERN_ERR_DISCONNECTED);
    assert_int_equal(a->session.ops->migrate(a->session.mux.self, w->world.now, socket),
                     TERN_ERR_CLOSED);
    webrtc_seen_info(a, &info);
    assert_true(info.socket == TERN_LINK_NONE);
    world_free(w);
}

static void both_ends_may_dial_one_another(void **state)
{
    (void)state;
    /* One after the other: two sessions between the same addresses. */
    struct webrtc_world *w = world_pair(NULL);
    struct webrtc_seen *a = webrtc_world_connect(w, &w->hosts[0], &w->hosts[1]);
    struct webrtc_seen *b = w->hosts[1].last;
    struct webrtc_seen *c = webrtc_world_connect(w, &w->hosts[1], &w->hosts[0]);
    struct webrtc_seen *d = w->hosts[0].last;
    struct webrtc_seen *e = webrtc_world_connect(w, &w->hosts[0], &w->hosts[1]);
    struct webrtc_seen *f = w->hosts[1].last;
    for (int i = 0; i < 3; i++) {
        talk(w, a, b);
        talk(w, c, d);
        talk(w, e, f);
        webrtc_world_run(w, 20 * TERN_SECOND);
    }
    webrtc_seen_end(c);
    assert_int_equal(webrtc_world_ended(w, d, TERN_SECOND), TERN_ERR_CLOSED);
    talk(w, a, b);
    talk(w, f, e);
    world_free(w);
}

static void of_two_dials_at_once_one_stays(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        const struct datagram_link link = {.latency_ns = 10 * TERN_MILLISECOND,
                                           .jitter_ns = TERN_MILLISECOND};
        struct webrtc_world *w = world_new(seed);
        webrtc_world_pair(w, &link);
        tern_random_init_u64(&w->hosts[0].random, seed);
        struct webrtc_seen *dials[2];
        for (int i = 0; i < 2; i++)
            dials[i] = webrtc_world_dial(w, &w->hosts[i], &w->hosts[1 - i]);
        webrtc_world_run(w, 5 * TERN_SECOND);
        int lost = webrtc_seen_error(dials[0]) == TERN_OK ? 1 : 0;
        assert_int_equal(webrtc_seen_error(dials[lost]), TERN_ERR_REFUSED);
        assert_int_equal(webrtc_seen_error(dials[1 - lost]), TERN_OK);
        assert_int_equal(w->hosts[lost].offers_count, 1);
        assert_int_equal(w->hosts[1 - lost].offers_count, 0);
        assert_int_equal(w->hosts[1 - lost].metrics.faults[TERN_FAULT_WEBRTC_COLLISION], 1);
        talk(w, dials[1 - lost], w->hosts[lost].last);
        world_free(w);
    }
}

/* ---- ends ---- */

static void all_is_acknowledged_before_the_end(void **state)
{
    (void)state;
    const struct datagram_link link = {.latency_ns = 20 * TERN_MILLISECOND, .loss_ppm = 50000};
    struct webrtc_world *w = world_pair(&link);
    w->hosts[1].sink = true;
    struct webrtc_seen *a = webrtc_world_connect(w, &w->hosts[0], &w->hosts[1]);
    tern_stream_id id = webrtc_seen_open(a);
    assert_int_equal(webrtc_seen_fill(a, id, 300000), 300000);
    webrtc_seen_goaway(a);
    tern_stream_id none;
    assert_int_equal(a->session.mux.ops->open(a->session.mux.self, TERN_STREAM_BULK, &none),
                     TERN_ERR_CLOSED);
    assert_int_equal(webrtc_seen_error(a), TERN_OK);
    assert_int_equal(webrtc_world_ended(w, a, 10 * TERN_SECOND), TERN_ERR_CLOSED);
    assert_int_equal(w->hosts[1].last->read_bytes, 300000);
    world_free(w);
}

static void the_remote_hears_of_the_end(void **state)
{
    (void)state;
    for (int how = 0; how < 2; how++) {
        struct webrtc_world *w = world_pair(NULL);
        struct webrtc_seen *ends[2] = {webrtc_world_connect(w, &w->hosts[0], &w->hosts[1])};
        ends[1] = w->hosts[1].last;
        struct webrtc_seen *other = ends[1 - how];
        if (how == 0)
            webrtc_seen_goaway(ends[how]);
        else
            webrtc_seen_end(ends[how]);
        assert_int_equal(webrtc_world_ended(w, other, TERN_SECOND), TERN_ERR_CLOSED);
        assert_int_equal(webrtc_seen_fault(other), TERN_FAULT_NONE);
        assert_int_equal(webrtc_seen_event(other, TERN_MUX_GOAWAY).code, 0);
        world_free(w);
    }
}

static void a_silent_remote_is_given_up(void **state)
{
    (void)state;
    struct webrtc_world *w = world_pair(NULL);
    struct webrtc_seen *a = webrtc_world_connect(w, &w->hosts[0], &w->hosts[1]);
    struct webrtc_seen *b = w->hosts[1].last;
    webrtc_world_run(w, 10 * TERN_MINUTE);
    assert_int_equal(webrtc_seen_error(a), TERN_OK);
    assert_int_equal(webrtc_seen_error(b), TERN_OK);
    talk(w, a, b);
    for (int i = 0; i < 2; i++)
        datagram_net_socket(&w->world.net, w->hosts[i].socket)->link.down = true;
    webrtc_world_run(w, 14 * TERN_SECOND);
    assert_int_equal(webrtc_seen_error(a), TERN_OK);
    assert_int_equal(webrtc_seen_error(b), TERN_OK);
    assert_int_equal(webrtc_world_ended(w, a, 17 * TERN_SECOND), TERN_ERR_TIMEOUT);
    assert_int_equal(webrtc_world_ended(w, b, 17 * TERN_SECOND), TERN_ERR_TIMEOUT);
    world_free(w);
}

/* The remote's way to us is cut: it hears us, and we do not hear it. */
static void consent_that_is_not_renewed_ends_a_dialer(void **state)
{
    (void)state;
    struct webrtc_world *w = world_pair(NULL);
    struct webrtc_seen *a = webrtc_world_connect(w, &w->hosts[0], &w->hosts[1]);
    datagram_net_socket(&w->world.net, w->hosts[1].socket)->link.down = true;
    assert_int_equal(webrtc_world_ended(w, a, 31 * TERN_SECOND), TERN_ERR_TIMEOUT);
    world_free(w);
}

struct last_checks {
    uint8_t check[1024];
    size_t size;
};

static bool keep_check(void *context, const struct datagram_seen *seen)
{
    struct last_checks *last = context;
    if (seen->from.ip[3] == 1 && seen->bytes.data[0] == 0 && seen->bytes.size < 1024) {
        memcpy(last->check, seen->bytes.data, seen->bytes.size);
        last->size = seen->bytes.size;
    }
    return true;
}

/* A browser lives on the answers to its checks: after the end of a session there are none. */
static void a_name_is_not_answered_after_the_end(void **state)
{
    (void)state;
    struct webrtc_world *w = world_pair(NULL);
    struct last_checks last = {.size = 0};
    w->world.net.tap = keep_check;
    w->world.net.tap_context = &last;
    webrtc_world_connect(w, &w->hosts[0], &w->hosts[1]);
    datagram_net_socket(&w->world.net, w->hosts[0].socket)->link.down = true;
    webrtc_seen_end(w->hosts[1].last);
    webrtc_world_run(w, 2 * TERN_SECOND);
    w->world.net.tap = NULL;
    struct datagram_socket *socket = datagram_net_socket(&w->world.net, w->hosts[1].socket);
    const struct tern_path path = {.local = datagram_endpoint(1, 4001), .remote = w->hosts[1].at};
    const struct tern_view check = tern_view_of(last.check, last.size);
    uint64_t sent = socket->sent_count;
    for (int i = 0; i < 11; i++) {
        datagram_net_inject(&w->world.net, w->world.now, &path, check);
        webrtc_world_run(w, 5 * TERN_SECOND);
    }
    assert_int_equal(w->hosts[1].offers_count, 1);
    assert_int_equal(socket->sent_count, sent);
    assert_int_equal(w->hosts[1].metrics.faults[TERN_FAULT_WEBRTC_ENDED], 11);
    webrtc_world_run(w, 10 * TERN_SECOND);
    datagram_net_inject(&w->world.net, w->world.now, &path, check);
    webrtc_world_run(w, TERN_SECOND);
    assert_int_equal(w->hosts[1].offers_count, 2);
    world_free(w);
}

static void a_socket_may_be_closed(void **state)
{
    (void)state;
    struct webrtc_world *w = world_pair(NULL);
    struct webrtc_seen *a = webrtc_world_connect(w, &w->hosts[0], &w->hosts[1]);
    struct webrtc_seen *b = w->hosts[1].last;
    tern_stream_id id = webrtc_seen_open(a);
    webrtc_seen_write(a, id, "x");
    session_world_unbind(&w->world, w->hosts[0].node, w->hosts[0].socket);
    assert_int_equal(webrtc_seen_error(a), TERN_ERR_DISCONNECTED);
    size_t accepted;
    assert_int_equal(
        a->session.mux.ops->write(a->session.mux.self, id, tern_view_str("y"), &accepted),
        TERN_ERR_CLOSED);
    session_world_flush(&w->world);
    webrtc_seen_end(a);
    assert_int_equal(webrtc_world_ended(w, b, 31 * TERN_SECOND), TERN_ERR_TIMEOUT);
    world_free(w);
}

static void datagrams_are_claimed_by_their_first_bytes(void **state)
{
    (void)state;
    struct webrtc_world *w = world_pair(NULL);
    const struct tern_session_transport *t = &w->hosts[0].transport;
    static const struct {
        const char *bytes;
        size_t size;
        bool ours;
    } rows[] = {
        {"", 0, false},
        {"\0\1\0\0\x21\x12\xa4\x42............", 20, true},
        {"\0\1\0\0\x21\x12\xa4\x41............", 20, false},
        {"\x16\xfe\xff\0\0\0\0\0\0\0\0\0\0", 13, true},
        {"\x17\xfe\xfd\0\1\0\0\0\0\0\0\0\0", 13, true},
        {"\x17\xfd\xfd\0\1\0\0\0\0\0\0\0\0", 13, false},
        {"\x40\xfe\xfd\0\1\0\0\0\0\0\0\0\0", 13, false}, /* QUIC */
        {"\xc0\0\0\0\1\0\0\0\0\0\0\0\0", 13, false},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++)
        assert_int_equal(t->ops->claims(t->self, tern_view_of(rows[i].bytes, rows[i].size)),
                         rows[i].ours);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_takes_five_round_trips),
        cmocka_unit_test(both_ends_know_each_other),
        cmocka_unit_test(a_bad_network_is_survived),
        cmocka_unit_test(what_cannot_be_dialled_is_told),
        cmocka_unit_test(nobody_answers),
        cmocka_unit_test(the_wrong_certificate_is_not_talked_to),
        cmocka_unit_test(one_of_several_certificates_is_enough),
        cmocka_unit_test(somebody_else_is_not_talked_to),
        cmocka_unit_test(a_certificate_may_be_changed),
        cmocka_unit_test(options_have_bounds),
        cmocka_unit_test(jobs_may_take_their_time),
        cmocka_unit_test(a_session_may_end_while_a_job_is_out),
        cmocka_unit_test(a_session_may_end_before_its_job_is_asked_for),
        cmocka_unit_test(a_listener_follows_the_dialer),
        cmocka_unit_test(copies_from_elsewhere_move_nothing),
        cmocka_unit_test(a_dialer_may_move_to_another_socket),
        cmocka_unit_test(both_ends_may_dial_one_another),
        cmocka_unit_test(of_two_dials_at_once_one_stays),
        cmocka_unit_test(all_is_acknowledged_before_the_end),
        cmocka_unit_test(the_remote_hears_of_the_end),
        cmocka_unit_test(a_silent_remote_is_given_up),
        cmocka_unit_test(consent_that_is_not_renewed_ends_a_dialer),
        cmocka_unit_test(a_name_is_not_answered_after_the_end),
        cmocka_unit_test(a_socket_may_be_closed),
        cmocka_unit_test(datagrams_are_claimed_by_their_first_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
