/* Another layer on the connection: ALPN h3, streams of one way, sessions of its own. */
#include "quic/quic_conn.h"
#include "quic/quic_world.h"
#include "tern_test.h"

#define RTT (100 * TERN_MILLISECOND)

static const struct datagram_link slow = {.latency_ns = RTT / 2};

/* What a layer above has of a connection. The streams are passed on as they are, but for those of
 * one way, which are its own. */
struct upper_session {
    struct tern_quic_conn *conn;
    struct tern_session raw;
    bool ended;
    size_t one_way_bytes;
    int64_t one_way_id; /* on the wire */
};

struct upper {
    struct upper_session sessions[4];
    size_t count;
    bool refuses;
};

static struct tern_session upper_session_of(struct upper_session *session);

static tern_err upper_attach(void *self, tern_time now, struct tern_quic_conn *conn,
                             struct tern_session *session)
{
    struct upper *upper = self;
    (void)now;
    if (upper->refuses)
        return TERN_ERR_FULL;
    assert_true(upper->count < TERN_COUNT_OF(upper->sessions));
    struct upper_session *s = &upper->sessions[upper->count++];
    *s = (struct upper_session){.conn = conn, .one_way_id = -1};
    s->raw = tern_quic_conn_session(conn);
    *session = upper_session_of(s);
    return TERN_OK;
}

static void upper_begin(struct upper_session *s)
{
    tern_stream_id stream;
    size_t accepted;
    assert_ok(tern_quic_conn_open_one_way(s->conn, TERN_STREAM_CONTROL, &stream));
    assert_true(tern_quic_conn_one_way(s->conn, stream));
    assert_int_equal(tern_quic_conn_wire_id(s->conn, stream), -1);
    assert_ok(s->raw.mux.ops->write(s->raw.mux.self, stream, tern_view_str("settings"), &accepted));
    assert_int_equal(s->raw.mux.ops->read(s->raw.mux.self, stream, &(struct tern_slice){0}),
                     TERN_ERR_END);
}

static bool upper_next(void *self, struct tern_mux_event *event)
{
    struct upper_session *s = self;
    while (s->raw.mux.ops->next(s->raw.mux.self, event)) {
        if (event->kind == TERN_MUX_ESTABLISHED)
            upper_begin(s);
        if (event->stream == TERN_STREAM_NONE || !tern_quic_conn_one_way(s->conn, event->stream))
            return true;
        struct tern_slice bytes;
        while (s->raw.mux.ops->read(s->raw.mux.self, event->stream, &bytes) == TERN_OK) {
            s->one_way_bytes += bytes.view.size;
            s->one_way_id = tern_quic_conn_wire_id(s->conn, event->stream);
            s->raw.mux.ops->consume(s->raw.mux.self, event->stream, bytes.view.size);
        }
    }
    return false;
}

static tern_err upper_open(void *self, enum tern_stream_class class, tern_stream_id *stream)
{
    struct upper_session *s = self;
    return s->raw.mux.ops->open(s->raw.mux.self, class, stream);
}

static tern_err upper_write(void *self, tern_stream_id stream, struct tern_view bytes,
                            size_t *accepted)
{
    struct upper_session *s = self;
    return s->raw.mux.ops->write(s->raw.mux.self, stream, bytes, accepted);
}

static tern_err upper_read(void *self, tern_stream_id stream, struct tern_slice *bytes)
{
    struct upper_session *s = self;
    return s->raw.mux.ops->read(s->raw.mux.self, stream, bytes);
}

static void upper_consume(void *self, tern_stream_id stream, size_t size)
{
    struct upper_session *s = self;
    s->raw.mux.ops->consume(s->raw.mux.self, stream, size);
}

static tern_err upper_close_write(void *self, tern_stream_id stream)
{
    struct upper_session *s = self;
    return s->raw.mux.ops->close_write(s->raw.mux.self, stream);
}

static void upper_reset(void *self, tern_stream_id stream, uint32_t code)
{
    const struct upper_session *s = self;
    tern_quic_conn_reset(s->conn, stream, UINT64_C(0x52e4a40fa8db) + code);
}

static tern_err upper_error(const void *self)
{
    const struct upper_session *s = self;
    return s->raw.mux.ops->error(s->raw.mux.self);
}

static tern_fault upper_fault(const void *self)
{
    const struct upper_session *s = self;
    return s->raw.mux.ops->fault(s->raw.mux.self);
}

static size_t upper_streams_count(const void *self)
{
    const struct upper_session *s = self;
    return s->raw.mux.ops->streams_count(s->raw.mux.self);
}

static void upper_goaway(void *self, uint32_t code)
{
    struct upper_session *s = self;
    s->raw.mux.ops->goaway(s->raw.mux.self, code);
}

static void upper_fini(void *self)
{
    struct upper_session *s = self;
    s->ended = true;
}

static const struct tern_secure_remote *upper_remote(const void *self)
{
    (void)self;
    static struct tern_secure_remote nobody;
    return &nobody;
}

static void upper_info(const void *self, struct tern_session_info *info)
{
    const struct upper_session *s = self;
    s->raw.ops->info(s->raw.mux.self, info);
    info->kind = TERN_SESSION_WEBTRANSPORT;
}

static struct tern_session upper_session_of(struct upper_session *session)
{
    static const struct tern_mux_ops mux_ops = {
        .protocol_id = "/upper",
        .next = upper_next,
        .open = upper_open,
        .write = upper_write,
        .read = upper_read,
        .consume = upper_consume,
        .close_write = upper_close_write,
        .reset = upper_reset,
        .goaway = upper_goaway,
        .streams_count = upper_streams_count,
        .error = upper_error,
        .fault = upper_fault,
        .fini = upper_fini,
    };
    static const struct tern_session_ops session_ops = {.remote = upper_remote, .info = upper_info};
    return (struct tern_session){.mux = {.ops = &mux_ops, .self = session}, .ops = &session_ops};
}

/* --- the world --- */

struct fixture {
    struct quic_world w;
    struct quic_host *a; /* dials */
    struct quic_host *b; /* serves both */
    struct upper of_a;
    struct upper of_b;
    struct tern_mem mem;
    struct tern_certificate certificate; /* of b, for h3 */
    uint8_t multihash[34];
    struct tern_quic_identity *identity;
};

static struct fixture *start(void)
{
    static struct fixture f;
    memset(&f, 0, sizeof f);
    quic_world_init(&f.w, 1);
    tern_mem_init(&f.mem, 0);
    assert_ok(tern_quic_identity_new(&f.mem, quic_testing_random(true), quic_testing_key(1),
                                     &f.identity));
    f.a = quic_world_add(&f.w, (struct tern_quic_options){.keep_alive_ns = 0}, &slow);
    f.b = quic_world_add(&f.w, (struct tern_quic_options){.identity = f.identity}, &slow);
    f.b->echo = true;
    const struct tern_certificate_options options = {.kind = TERN_CERTIFICATE_WEB,
                                                     .mem = &f.mem,
                                                     .random = quic_testing_random(true),
                                                     .not_before = TERN_SECOND,
                                                     .not_after = 14 * 24 * TERN_HOUR};
    assert_ok(tern_certificate_make(&options, &f.certificate));
    const struct tern_quic_upper of_a = {.self = &f.of_a, .attach = upper_attach};
    const struct tern_quic_upper of_b = {.self = &f.of_b, .attach = upper_attach};
    assert_ok(tern_quic_set_upper(&f.a->transport, &of_a, NULL));
    assert_ok(tern_quic_set_upper(&f.b->transport, &of_b, &f.certificate));
    f.multihash[0] = 0x12;
    f.multihash[1] = 32;
    memcpy(f.multihash + 2, f.certificate.sha256, 32);
    return &f;
}

static void end(struct fixture *f)
{
    quic_world_fini(&f->w);
    for (size_t i = 0; i < f->of_a.count; i++)
        assert_true(f->of_a.sessions[i].ended);
    for (size_t i = 0; i < f->of_b.count; i++)
        assert_true(f->of_b.sessions[i].ended);
    tern_quic_identity_free(f->identity);
    tern_certificate_fini(&f->certificate);
    tern_mem_fini(&f->mem);
}

/* dial_web dials with one hash that may fit, and one of another kind. */
static struct quic_seen *dial_web(struct fixture *f, const uint8_t multihash[34])
{
    const struct tern_view hashes[] = {tern_view_str("short"), tern_view_of(multihash, 34)};
    return quic_world_dial_web(&f->w, f->a, f->b, hashes, TERN_COUNT_OF(hashes));
}

static void the_upper_gets_what_speaks_h3(void **state)
{
    (void)state;
    struct fixture *f = start();
    struct quic_seen *a = dial_web(f, f->multihash);
    quic_world_run(&f->w, TERN_SECOND);
    assert_int_equal(f->of_a.count, 1);
    assert_int_equal(f->of_b.count, 1);
    struct quic_seen *b = quic_host_last(f->b);
    assert_int_equal(a->log[0].kind, TERN_MUX_ESTABLISHED);
    assert_int_equal(b->log[0].kind, TERN_MUX_ESTABLISHED);
    assert_false(tern_quic_conn_server(f->of_a.sessions[0].conn));
    assert_true(tern_quic_conn_server(f->of_b.sessions[0].conn));
    struct tern_session_info info;
    a->session.ops->info(a->session.mux.self, &info);
    assert_int_equal(info.kind, TERN_SESSION_WEBTRANSPORT);
    assert_int_equal(a->session.ops->migrate(a->session.mux.self, f->w.world.now, f->a->socket),
                     TERN_ERR_UNSUPPORTED);
    /* Streams of one way have come from both. */
    assert_int_equal(f->of_a.sessions[0].one_way_bytes, 8);
    assert_int_equal(f->of_a.sessions[0].one_way_id, 3);
    assert_int_equal(f->of_b.sessions[0].one_way_bytes, 8);
    assert_int_equal(f->of_b.sessions[0].one_way_id, 2);
    /* And the owner's go their way. */
    tern_stream_id stream = quic_seen_open(a);
    quic_seen_write(a, stream, "hello");
    quic_world_run(&f->w, TERN_SECOND);
    quic_seen_expect(a, stream, "hello");
    a->session.mux.ops->reset(a->session.mux.self, stream, 7);
    quic_world_run(&f->w, TERN_SECOND);
    assert_int_equal(quic_seen_count(b, TERN_MUX_RESET), 1);
    a->session.mux.ops->goaway(a->session.mux.self, 9);
    quic_world_run(&f->w, TERN_SECOND);
    assert_int_equal(quic_seen_error(a), TERN_ERR_CLOSED);
    assert_int_equal(quic_seen_error(b), TERN_ERR_CLOSED);
    assert_int_equal(quic_seen_event(b, TERN_MUX_GOAWAY).code, 9);
    end(f);
}

static void libp2p_goes_on_beside_it(void **state)
{
    (void)state;
    struct fixture *f = start();
    struct quic_seen *a = quic_world_connect(&f->w, f->a, f->b);
    quic_world_run(&f->w, TERN_SECOND);
    assert_int_equal(f->of_b.count, 0);
    tern_stream_id stream = quic_seen_open(a);
    quic_seen_write(a, stream, "hello");
    quic_world_run(&f->w, TERN_SECOND);
    quic_seen_expect(a, stream, "hello");
    /* Nor are there streams of one way there. */
    struct tern_quic_conn *conn = a->session.mux.self;
    assert_int_equal(tern_quic_conn_open_one_way(conn, TERN_STREAM_BULK, &stream), TERN_ERR_FULL);
    /* A ticket of the one is none of the other. */
    struct quic_seen *web = dial_web(f, f->multihash);
    assert_int_equal(web->log_count, 0);
    quic_world_run(&f->w, TERN_SECOND);
    assert_int_equal(quic_seen_count(web, TERN_MUX_CONFIRMED), 1);
    end(f);
}

static void a_certificate_that_is_not_listed(void **state)
{
    (void)state;
    struct fixture *f = start();
    uint8_t other[34];
    memcpy(other, f->multihash, sizeof other);
    other[10] ^= 1;
    struct quic_seen *a = dial_web(f, other);
    quic_world_run(&f->w, TERN_SECOND);
    assert_true(quic_seen_error(a) != TERN_OK);
    assert_int_equal(a->session.mux.ops->fault(a->session.mux.self),
                     TERN_FAULT_CERTIFICATE_NOT_LISTED);
    assert_int_equal(f->of_a.count, 0);
    assert_int_equal(f->of_b.count, 0);
    assert_int_equal(a->log_count, 0);
    end(f);
}

static void an_upper_may_refuse(void **state)
{
    (void)state;
    struct fixture *f = start();
    f->of_b.refuses = true;
    struct quic_seen *a = dial_web(f, f->multihash);
    quic_world_run(&f->w, TERN_SECOND);
    assert_int_equal(quic_seen_error(quic_host_last(f->b)), TERN_ERR_FULL);
    assert_int_equal(quic_seen_error(a), TERN_ERR_CLOSED);
    end(f);
}

static void who_does_not_serve_it_says_so(void **state)
{
    (void)state;
    struct fixture *f = start();
    struct quic_seen *b = quic_world_dial_web(
        &f->w, f->b, f->a, &(struct tern_view){f->multihash, sizeof f->multihash}, 1);
    quic_world_run(&f->w, TERN_SECOND);
    assert_true(quic_seen_error(b) != TERN_OK);
    assert_int_equal(quic_seen_error(quic_host_last(f->a)), TERN_ERR_NO_PROTOCOL);
    end(f);
}

static void hashes_of_other_kinds_are_of_no_use(void **state)
{
    (void)state;
    struct fixture *f = start();
    const struct tern_view hash = tern_view_str("what is this");
    struct tern_session session;
    const struct tern_session_dial dial = {.socket = f->a->socket,
                                           .remote = f->b->at,
                                           .scope = &f->a->scope,
                                           .certhashes = &hash,
                                           .certhashes_count = 1};
    assert_int_equal(
        f->a->transport.ops->dial(f->a->transport.self, f->w.world.now, &dial, &session),
        TERN_ERR_UNSUPPORTED);
    end(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_upper_gets_what_speaks_h3),
        cmocka_unit_test(libp2p_goes_on_beside_it),
        cmocka_unit_test(a_certificate_that_is_not_listed),
        cmocka_unit_test(an_upper_may_refuse),
        cmocka_unit_test(who_does_not_serve_it_says_so),
        cmocka_unit_test(hashes_of_other_kinds_are_of_no_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
