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
    struct tern_session_info info;
    a->session.ops->info(a->session.mux.self, &info);
    assert_int_equal(info.kind, TERN_SESSION_QUIC);
    assert_int_equal(info.socket, f->a->socket);
    assert_int_equal(info.path.remote.ip[3], 2);
    assert_int_equal(info.path.local.family, 0);
    b->session.ops->info(b->session.mux.self, &info);
    assert_int_equal(info.path.remote.ip[3], 1);
    assert_int_equal(info.path.local.ip[3], 2);
    assert_int_equal(info.path.local.port, 4001);
    assert_true(info.bytes_in > 0 && info.bytes_out > 0);
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

/* --- the end --- */

static bool over(void *context)
{
    return quic_seen_error(context) != TERN_OK;
}

static void expect_over(struct fixture *f, struct quic_seen *seen, tern_err err)
{
    assert_true(quic_world_until(&f->w, over, seen, TERN_MINUTE));
    (void)session_world_flush(&f->w.world);
    assert_int_equal(quic_seen_error(seen), err);
    assert_int_equal(seen->session.mux.ops->fault(seen->session.mux.self), TERN_FAULT_NONE);
}

static void goaway_ends_when_all_has_arrived(void **state)
{
    (void)state;
    struct fixture *f = start_plain();
    f->b->sink = true;
    struct quic_seen *a = quic_world_connect(&f->w, f->a, f->b);
    struct quic_seen *b = quic_host_last(f->b);
    const struct tern_mux *mux = &a->session.mux;
    tern_stream_id stream = quic_seen_open(a);
    quic_seen_write(a, stream, "all of this");
    mux->ops->goaway(mux->self, 0x1004);
    mux->ops->goaway(mux->self, 1);
    tern_stream_id refused;
    assert_int_equal(mux->ops->open(mux->self, TERN_STREAM_BULK, &refused), TERN_ERR_CLOSED);
    expect_over(f, a, TERN_ERR_CLOSED);
    assert_int_equal(b->read_bytes, 11);
    expect_over(f, b, TERN_ERR_CLOSED);
    assert_int_equal(quic_seen_event(b, TERN_MUX_GOAWAY).code, 0x1004);
    assert_int_equal(quic_seen_count(a, TERN_MUX_GOAWAY), 0);
    end(f);
}

static void fini_ends_at_once(void **state)
{
    (void)state;
    struct fixture *f = start_plain();
    struct quic_seen *a = quic_world_connect(&f->w, f->a, f->b);
    struct quic_seen *b = quic_host_last(f->b);
    tern_stream_id stream = quic_seen_open(a);
    quic_seen_write(a, stream, "perhaps");
    a->session.mux.ops->goaway(a->session.mux.self, 7);
    quic_seen_end(a);
    expect_over(f, b, TERN_ERR_CLOSED);
    assert_int_equal(quic_seen_event(b, TERN_MUX_GOAWAY).code, 7);
    end(f);
}

static void a_socket_that_closes_takes_its_sessions(void **state)
{
    (void)state;
    struct fixture *f = start_plain();
    struct quic_seen *a = quic_world_connect(&f->w, f->a, f->b);
    session_world_unbind(&f->w.world, f->a->node, f->a->socket);
    expect_over(f, a, TERN_ERR_DISCONNECTED);
    tern_stream_id stream;
    assert_int_equal(a->session.mux.ops->open(a->session.mux.self, TERN_STREAM_BULK, &stream),
                     TERN_ERR_CLOSED);
    expect_over(f, quic_host_last(f->b), TERN_ERR_TIMEOUT);
    end(f);
}

static void silence_ends_it_but_keep_alive_does_not_let_it_be_silent(void **state)
{
    (void)state;
    for (unsigned alive = 0; alive < 2; alive++) {
        struct fixture *f = start((struct tern_quic_options){
            .idle_timeout_ns = 5 * TERN_SECOND, .keep_alive_ns = alive ? 2 * TERN_SECOND : 0});
        struct quic_seen *a = quic_world_connect(&f->w, f->a, f->b);
        struct quic_seen *b = quic_host_last(f->b);
        quic_world_run(&f->w, 3 * TERN_SECOND);
        assert_int_equal(quic_seen_error(a), TERN_OK);
        quic_world_run(&f->w, TERN_MINUTE);
        assert_int_equal(quic_seen_error(a), alive ? TERN_OK : TERN_ERR_TIMEOUT);
        assert_int_equal(quic_seen_error(b), alive ? TERN_OK : TERN_ERR_TIMEOUT);
        end(f);
    }
}

/* The listener only acknowledges; now and then ngtcp2 has it ask for an acknowledgement of that. */
static void a_keep_alive_is_the_dialers(void **state)
{
    (void)state;
    struct fixture *f = start((struct tern_quic_options){.keep_alive_ns = 10 * TERN_SECOND});
    const struct quic_seen *a = quic_world_connect(&f->w, f->a, f->b);
    struct datagram_net *net = &f->w.world.net;
    quic_world_run(&f->w, 5 * TERN_SECOND);
    uint64_t dialer = datagram_net_socket(net, f->a->socket)->sent_count;
    uint64_t listener = datagram_net_socket(net, f->b->socket)->sent_count;
    quic_world_run(&f->w, 5 * TERN_MINUTE);
    assert_int_equal(quic_seen_error(a), TERN_OK);
    dialer = datagram_net_socket(net, f->a->socket)->sent_count - dialer;
    listener = datagram_net_socket(net, f->b->socket)->sent_count - listener;
    assert_in_range(dialer, 28, 46);
    assert_in_range(listener, 28, 31);
    end(f);
}

static void a_cable_that_is_cut_is_a_time_out(void **state)
{
    (void)state;
    struct fixture *f = start((struct tern_quic_options){.idle_timeout_ns = 5 * TERN_SECOND,
                                                         .keep_alive_ns = TERN_SECOND});
    struct quic_seen *a = quic_world_connect(&f->w, f->a, f->b);
    datagram_net_socket(&f->w.world.net, f->a->socket)->link.down = true;
    tern_time since = f->w.world.now;
    expect_over(f, a, TERN_ERR_TIMEOUT);
    expect_over(f, quic_host_last(f->b), TERN_ERR_TIMEOUT);
    assert_in_range(f->w.world.now - since, 5 * TERN_SECOND, 12 * TERN_SECOND);
    end(f);
}

/* --- offers --- */

static void nobody_there_is_a_time_out(void **state)
{
    (void)state;
    struct fixture *f = start((struct tern_quic_options){.handshake_timeout_ns = 3 * TERN_SECOND});
    f->b->accepts = false;
    f->b->refusal = TERN_SESSION_IGNORE;
    struct quic_seen *a = quic_world_dial(&f->w, f->a, f->b, NULL);
    tern_time since = f->w.world.now;
    expect_over(f, a, TERN_ERR_TIMEOUT);
    assert_int_equal((f->w.world.now - since) / TERN_SECOND, 3);
    assert_int_equal(a->log_count, 0);
    assert_int_equal(datagram_net_socket(&f->w.world.net, f->b->socket)->sent_count, 0);
    end(f);
}

static void who_is_busy_says_so(void **state)
{
    (void)state;
    struct fixture *f = start_plain();
    f->b->accepts = false;
    f->b->refusal = TERN_SESSION_REFUSE;
    struct quic_seen *a = quic_world_dial(&f->w, f->a, f->b, NULL);
    tern_time since = f->w.world.now;
    expect_over(f, a, TERN_ERR_REFUSED);
    assert_int_equal((f->w.world.now - since) / TERN_MILLISECOND, RTT / TERN_MILLISECOND);
    end(f);
}

static void a_retry_shows_where_the_dialler_is(void **state)
{
    (void)state;
    struct fixture *f = start_plain();
    f->b->retry_first = true;
    assert_int_equal(ask_time(f, false) / TERN_MILLISECOND, 3 * RTT / TERN_MILLISECOND);
    assert_int_equal(f->b->offers_count, 2);
    assert_true(f->b->offer.validated);
    assert_int_equal(f->b->offer.path.remote.ip[3], 1);
    assert_int_equal(f->b->offer.socket, f->b->socket);
    /* The token that it was given is as good the next time; a fresh ticket goes with it. */
    quic_world_run(&f->w, TERN_SECOND);
    assert_int_equal(ask_time(f, true) / TERN_MILLISECOND, RTT / TERN_MILLISECOND);
    assert_int_equal(f->b->offers_count, 3);
    assert_true(f->b->offer.validated);
    end(f);
}

static void tokens_hold_for_two_hours_at_most(void **state)
{
    (void)state;
    struct fixture *f = start_plain();
    (void)quic_world_connect(&f->w, f->a, f->b);
    quic_world_run(&f->w, TERN_HOUR + TERN_MINUTE);
    (void)quic_world_connect(&f->w, f->a, f->b);
    assert_true(f->b->offer.validated);
    quic_world_run(&f->w, 2 * TERN_HOUR + TERN_MINUTE);
    (void)quic_world_connect(&f->w, f->a, f->b);
    assert_false(f->b->offer.validated);
    assert_int_equal(f->b->offers_count, 3);
    end(f);
}

static void half_open_sessions_are_bounded(void **state)
{
    (void)state;
    struct fixture *f = start((struct tern_quic_options){.half_open_max = 3});
    datagram_net_socket(&f->w.world.net, f->b->socket)->link.down = true;
    struct quic_seen *a = NULL;
    for (unsigned i = 0; i < 6; i++)
        a = quic_world_dial(&f->w, f->a, f->b, NULL);
    quic_world_run(&f->w, TERN_SECOND);
    assert_int_equal(f->b->offers_count, 3);
    /* Who is late is told to show first where it is, and gets in when there is room. */
    datagram_net_socket(&f->w.world.net, f->b->socket)->link.down = false;
    quic_world_run(&f->w, 3 * TERN_SECOND);
    assert_int_equal(f->b->offers_count, 6);
    assert_true(f->b->offer.validated);
    assert_int_equal(quic_seen_count(a, TERN_MUX_ESTABLISHED), 1);
    end(f);
}

/* --- who it is --- */

static void a_wrong_peer_gets_nothing(void **state)
{
    (void)state;
    struct fixture *f = start_plain();
    struct quic_seen *a = quic_world_dial(&f->w, f->a, f->b, quic_testing_peer(2));
    assert_true(quic_world_until(&f->w, over, a, TERN_MINUTE));
    assert_int_equal(quic_seen_error(a), TERN_ERR_PEER_MISMATCH);
    assert_int_equal(a->session.mux.ops->fault(a->session.mux.self), TERN_FAULT_QUIC_WRONG_PEER);
    assert_int_equal(a->log_count, 0);
    expect_over(f, quic_host_last(f->b), TERN_ERR_DISCONNECTED);
    assert_int_equal(quic_host_last(f->b)->log_count, 0);
    end(f);
}

/* --- many --- */

static void sessions_go_both_ways_on_one_socket(void **state)
{
    (void)state;
    struct fixture *f = start_plain();
    f->a->echo = f->b->echo = true;
    struct quic_seen *seen[6];
    tern_stream_id streams[6];
    for (unsigned i = 0; i < 6; i++) {
        seen[i] =
            i % 2 ? quic_world_connect(&f->w, f->a, f->b) : quic_world_connect(&f->w, f->b, f->a);
        streams[i] = quic_seen_open(seen[i]);
        quic_seen_write(seen[i], streams[i], "hello");
    }
    quic_world_run(&f->w, TERN_SECOND);
    for (unsigned i = 0; i < 6; i++)
        quic_seen_expect(seen[i], streams[i], "hello");
    end(f);
}

static void round_trips_are_told(void **state)
{
    (void)state;
    struct fixture *f = start((struct tern_quic_options){.keep_alive_ns = TERN_SECOND});
    struct quic_seen *a = quic_world_connect(&f->w, f->a, f->b);
    quic_world_run(&f->w, 21 * TERN_SECOND);
    assert_in_range(quic_seen_count(a, TERN_MUX_RTT), 3, 6);
    assert_int_equal(quic_seen_event(a, TERN_MUX_RTT).rtt_ns / TERN_MILLISECOND,
                     RTT / TERN_MILLISECOND);
    end(f);
}

/* --- losses --- */

static void a_bad_line_harms_nothing(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 8; seed++) {
        static struct fixture f;
        const struct datagram_link bad = {.latency_ns = 20 * TERN_MILLISECOND,
                                          .loss_ppm = 100000,
                                          .duplicate_ppm = 100000,
                                          .corrupt_ppm = 50000,
                                          .reorder_ppm = 200000,
                                          .reorder_ns = 30 * TERN_MILLISECOND};
        quic_world_init(&f.w, seed);
        f.a = quic_world_add(&f.w, (struct tern_quic_options){.keep_alive_ns = 0}, &bad);
        f.b = quic_world_add(&f.w, (struct tern_quic_options){.keep_alive_ns = 0}, &bad);
        f.b->echo = true;
        struct quic_seen *a = quic_world_connect(&f.w, f.a, f.b);
        tern_stream_id stream = quic_seen_open(a);
        for (unsigned i = 0; i < 50; i++) {
            quic_seen_write(a, stream, "over and over again");
            quic_world_run(&f.w, 10 * TERN_MILLISECOND);
        }
        quic_world_run(&f.w, 10 * TERN_SECOND);
        for (unsigned i = 0; i < 50; i++)
            quic_seen_expect(a, stream, "over and over again");
        end(&f);
    }
}

/* --- losing one's memory --- */

static void who_lost_the_session_resets_it(void **state)
{
    (void)state;
    struct fixture *f = start_plain();
    struct quic_seen *a = quic_world_connect(&f->w, f->a, f->b);
    quic_world_run(&f->w, TERN_SECOND);
    datagram_net_socket(&f->w.world.net, f->b->socket)->link.down = true;
    quic_seen_end(quic_host_last(f->b));
    quic_world_run(&f->w, 5 * TERN_SECOND);
    datagram_net_socket(&f->w.world.net, f->b->socket)->link.down = false;
    assert_int_equal(quic_seen_error(a), TERN_OK);
    quic_seen_write(a, quic_seen_open(a), "are you there?");
    tern_time since = f->w.world.now;
    expect_over(f, a, TERN_ERR_DISCONNECTED);
    assert_in_range(f->w.world.now - since, 0, RTT + TERN_MILLISECOND);
    end(f);
}

static void even_after_a_restart(void **state)
{
    (void)state;
    struct fixture *f = start_plain();
    struct quic_seen *a = quic_world_connect(&f->w, f->a, f->b);
    quic_world_run(&f->w, TERN_SECOND);
    /* Another transport of the same host has its address from now on. */
    struct quic_host *c = quic_world_add(
        &f->w, (struct tern_quic_options){.identity = quic_testing_identity(1)}, &slow);
    struct tern_endpoint elsewhere = datagram_endpoint(77, 1);
    datagram_net_remap(&f->w.world.net, f->b->socket, &elsewhere);
    datagram_net_remap(&f->w.world.net, c->socket, &f->b->at);
    quic_seen_write(a, quic_seen_open(a), "are you there?");
    expect_over(f, a, TERN_ERR_DISCONNECTED);
    end(f);
}

static void endings_are_bounded_and_forgotten(void **state)
{
    (void)state;
    struct fixture *f = start_plain();
    for (unsigned i = 0; i < 8; i++)
        quic_seen_end(quic_world_connect(&f->w, f->a, f->b));
    quic_world_run(&f->w, TERN_MINUTE);
    assert_int_equal(f->a->transport.ops->deadline(f->a->transport.self), TERN_TIME_NEVER);
    end(f);
}

/* --- options --- */

static void options_have_bounds(void **state)
{
    (void)state;
    static const struct tern_quic_options wrong[] = {
        {.window_max = TERN_QUIC_STREAM_WINDOW_INITIAL - 1},
        {.window_max = TERN_QUIC_WINDOW_LIMIT / 2 + 1},
        {.streams_in_max = TERN_QUIC_STREAMS_LIMIT + 1},
        {.streams_out_max = TERN_QUIC_STREAMS_LIMIT + 1},
        {.datagram_max = TERN_QUIC_DATAGRAM_MIN - 1},
        {.datagram_max = TERN_QUIC_DATAGRAM_LIMIT + 1},
    };
    struct tern_mem mem;
    tern_mem_init(&mem, 0);
    for (size_t i = 0; i < TERN_COUNT_OF(wrong); i++) {
        struct tern_quic_options options = wrong[i];
        struct tern_session_transport transport;
        options.mem = &mem;
        options.random = quic_testing_random(true);
        options.identity = quic_testing_identity(0);
        assert_int_equal(tern_quic_new(&options, 0, &transport), TERN_ERR_INVALID);
    }
    tern_mem_fini(&mem);
}

static void dials_that_cannot_be(void **state)
{
    (void)state;
    struct fixture *f = start_plain();
    const struct tern_view hash = tern_view_str("hash");
    struct tern_session session;
    struct tern_session_dial dial = {.socket = f->a->socket,
                                     .remote = f->b->at,
                                     .scope = &f->a->scope,
                                     .certhashes = &hash,
                                     .certhashes_count = 1};
    void *self = f->a->transport.self;
    const struct tern_session_transport_ops *ops = f->a->transport.ops;
    assert_int_equal(ops->dial(self, f->w.world.now, &dial, &session), TERN_ERR_UNSUPPORTED);
    dial.certhashes_count = 0;
    dial.remote.family = 0;
    assert_int_equal(ops->dial(self, f->w.world.now, &dial, &session), TERN_ERR_UNSUPPORTED);
    dial.remote = f->b->at;
    for (tern_link_id i = 0; i < 64; i++) {
        dial.socket = 1000 + i;
        assert_ok(ops->dial(self, f->w.world.now, &dial, &session));
        session.mux.ops->fini(session.mux.self);
    }
    dial.socket = 2000;
    assert_int_equal(ops->dial(self, f->w.world.now, &dial, &session), TERN_ERR_FULL);
    end(f);
}

static void an_identity_may_find_no_memory(void **state)
{
    (void)state;
    struct tern_mem mem;
    struct tern_quic_identity *identity;
    tern_err err = TERN_ERR_MEMORY;
    tern_mem_init(&mem, 0);
    for (uint64_t n = 1; err != TERN_OK; n++) {
        assert_true(n < 100);
        tern_mem_fail_at(&mem, n, false);
        err =
            tern_quic_identity_new(&mem, quic_testing_random(true), quic_testing_key(0), &identity);
        tern_mem_fail_at(&mem, 0, false);
        if (err == TERN_OK)
            tern_quic_identity_free(identity);
        else
            assert_int_equal(err, TERN_ERR_MEMORY);
        assert_int_equal(mem.used, 0);
    }
    tern_mem_fini(&mem);
}

static void claims_what_is_quic(void **state)
{
    (void)state;
    struct fixture *f = start_plain();
    bool (*claims)(const void *, struct tern_view) = f->a->transport.ops->claims;
    void *self = f->a->transport.self;
    assert_true(claims(self, tern_view_of("\x40", 1)));
    assert_true(claims(self, tern_view_of("\xc0\0\0\0\1", 5)));
    assert_true(claims(self, tern_view_of("\x80\0\0\0\0", 5)));
    assert_false(claims(self, tern_view_of("\x80\0\0\0\1", 5)));
    assert_false(claims(self, tern_view_of("", 0)));
    /* STUN, DTLS. */
    assert_false(claims(self, tern_view_of("\0\1\0\0\x21", 5)));
    assert_false(claims(self, tern_view_of("\x16\xfe\xfd\0\0", 5)));
    end(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_know_each_other),
        cmocka_unit_test(a_byte_is_answered_in_two_round_trips),
        cmocka_unit_test(goaway_ends_when_all_has_arrived),
        cmocka_unit_test(fini_ends_at_once),
        cmocka_unit_test(a_socket_that_closes_takes_its_sessions),
        cmocka_unit_test(silence_ends_it_but_keep_alive_does_not_let_it_be_silent),
        cmocka_unit_test(a_keep_alive_is_the_dialers),
        cmocka_unit_test(a_cable_that_is_cut_is_a_time_out),
        cmocka_unit_test(nobody_there_is_a_time_out),
        cmocka_unit_test(who_is_busy_says_so),
        cmocka_unit_test(a_retry_shows_where_the_dialler_is),
        cmocka_unit_test(tokens_hold_for_two_hours_at_most),
        cmocka_unit_test(half_open_sessions_are_bounded),
        cmocka_unit_test(a_wrong_peer_gets_nothing),
        cmocka_unit_test(sessions_go_both_ways_on_one_socket),
        cmocka_unit_test(round_trips_are_told),
        cmocka_unit_test(a_bad_line_harms_nothing),
        cmocka_unit_test(who_lost_the_session_resets_it),
        cmocka_unit_test(even_after_a_restart),
        cmocka_unit_test(endings_are_bounded_and_forgotten),
        cmocka_unit_test(options_have_bounds),
        cmocka_unit_test(dials_that_cannot_be),
        cmocka_unit_test(an_identity_may_find_no_memory),
        cmocka_unit_test(claims_what_is_quic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
