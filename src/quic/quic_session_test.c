/* Sessions: handshakes, round trips, offers, endings. */
#include "quic/quic_world.h"
#include "tern_test.h"

#define RTT (100 * TERN_MILLISECOND)

static const struct datagram_link slow = {.latency_ns = RTT / 2};

struct fixture {
    struct quic_world w;
    struct quic_host *a;
    struct quic_host *b;
};

static struct fixture *start(struct tern_quic_options options)
{
    static struct fixture f;
    quic_world_init(&f.w, 1);
    f.a = quic_world_add(&f.w, options, &slow);
    f.b = quic_world_add(&f.w, options, &slow);
    return &f;
}

static struct fixture *start_plain(void)
{
    return start((struct tern_quic_options){.keep_alive_ns = 0});
}

static void end(struct fixture *f)
{
    quic_world_fini(&f->w);
}

static void both_sides_know_each_other(void **state)
{
    (void)state;
    struct fixture *f = start_plain();
    struct quic_seen *a = quic_world_connect(&f->w, f->a, f->b);
    struct quic_seen *b = quic_host_last(f->b);
    assert_int_equal(a->log[0].kind, TERN_MUX_ESTABLISHED);
    assert_int_equal(a->log[1].kind, TERN_MUX_CONFIRMED);
    assert_int_equal(b->log[0].kind, TERN_MUX_ESTABLISHED);
    const struct tern_secure_remote *of_a = a->session.ops->remote(a->session.mux.self);
    const struct tern_secure_remote *of_b = b->session.ops->remote(b->session.mux.self);
    assert_true(tern_peer_id_equal(of_a->peer_id, quic_testing_peer(1)));
    assert_true(tern_peer_id_equal(of_b->peer_id, quic_testing_peer(0)));
    assert_true(tern_public_key_equal(of_a->public_key, &quic_testing_key(1)->public_key));
    struct tern_path path;
    a->session.ops->path(a->session.mux.self, &path);
    assert_int_equal(path.remote.ip[3], 2);
    assert_int_equal(path.local.family, 0);
    b->session.ops->path(b->session.mux.self, &path);
    assert_int_equal(path.remote.ip[3], 1);
    assert_int_equal(path.local.ip[3], 2);
    assert_int_equal(path.local.port, 4001);
    end(f);
}

/* The dialler asks as soon as it may; answers come back at once. How long until the first byte. */
struct ask {
    struct quic_seen *seen;
    tern_stream_id stream;
    bool early;
    bool answered;
};

static bool ask_done(void *context)
{
    struct ask *ask = context;
    const struct tern_mux *mux = &ask->seen->session.mux;
    if (ask->stream == TERN_STREAM_NONE && quic_seen_count(ask->seen, TERN_MUX_ESTABLISHED) > 0) {
        ask->stream = quic_seen_open(ask->seen);
        if (ask->early)
            mux->ops->set_early(mux->self, ask->stream);
        quic_seen_write(ask->seen, ask->stream, "?");
    }
    return ask->stream != TERN_STREAM_NONE && quic_seen_read(ask->seen, ask->stream) == TERN_OK;
}

static tern_time ask_time(struct fixture *f, bool early)
{
    struct ask ask = {.early = early};
    f->b->echo = true;
    tern_time start = f->w.world.now;
    ask.seen = quic_world_dial(&f->w, f->a, f->b, quic_testing_peer(1));
    assert_true(quic_world_until(&f->w, ask_done, &ask, 10 * TERN_SECOND));
    quic_seen_expect(ask.seen, ask.stream, "?");
    return f->w.world.now - start;
}

static void a_byte_is_answered_in_two_round_trips(void **state)
{
    (void)state;
    struct fixture *f = start_plain();
    assert_int_equal(ask_time(f, false) / TERN_MILLISECOND, 2 * RTT / TERN_MILLISECOND);
    end(f);
}

static void with_a_ticket_in_one(void **state)
{
    (void)state;
    struct fixture *f = start_plain();
    assert_int_equal(ask_time(f, true) / TERN_MILLISECOND, 2 * RTT / TERN_MILLISECOND);
    quic_world_run(&f->w, TERN_SECOND);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ask_time(f, true) / TERN_MILLISECOND, RTT / TERN_MILLISECOND);
        struct quic_seen *b = quic_host_last(f->b);
        assert_int_equal(b->log[0].kind, TERN_MUX_ESTABLISHED);
        assert_int_equal(b->log[1].kind, TERN_MUX_STREAM_OPENED);
        assert_true(b->log[1].early);
        quic_world_run(&f->w, TERN_SECOND);
        assert_int_equal(quic_seen_count(b, TERN_MUX_CONFIRMED), 1);
        const struct tern_secure_remote *of_b = b->session.ops->remote(b->session.mux.self);
        assert_true(tern_peer_id_equal(of_b->peer_id, quic_testing_peer(0)));
        const struct quic_seen *a = quic_host_last(f->a);
        assert_int_equal(quic_seen_count(a, TERN_MUX_CONFIRMED), 1);
        assert_int_equal(quic_seen_error(a), TERN_OK);
    }
    end(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_byte_is_answered_in_two_round_trips),
        cmocka_unit_test(with_a_ticket_in_one),
        cmocka_unit_test(both_sides_know_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
