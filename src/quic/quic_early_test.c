/* Resumption and early data: who may send what before the remote has proven to be there. */
#include "quic/quic_world.h"
#include "tern_test.h"

#define RTT (100 * TERN_MILLISECOND)

static const struct datagram_link slow = {.latency_ns = RTT / 2};

enum { CAPTURED_MAX = 64 };

struct captured {
    size_t size;
    uint8_t bytes[TERN_QUIC_DATAGRAM_DEFAULT];
};

struct fixture {
    struct quic_world w;
    struct quic_host *a; /* dials */
    struct quic_host *b; /* echoes */
    /* What a sends while capturing. */
    bool capturing;
    struct captured captured[CAPTURED_MAX];
    size_t captured_count;
};

static bool capture(void *context, const struct datagram_seen *seen)
{
    struct fixture *f = context;
    if (f->capturing && seen->socket == f->a->socket && f->captured_count < CAPTURED_MAX) {
        struct captured *to = &f->captured[f->captured_count++];
        assert_true(seen->bytes.size <= sizeof to->bytes);
        to->size = seen->bytes.size;
        memcpy(to->bytes, seen->bytes.data, seen->bytes.size);
    }
    return true;
}

static struct fixture *start_on(struct tern_quic_options of_a, struct tern_quic_options of_b,
                                const struct datagram_link *link, uint64_t seed)
{
    static struct fixture f;
    f.capturing = false;
    f.captured_count = 0;
    quic_world_init(&f.w, seed);
    f.a = quic_world_add(&f.w, of_a, link);
    f.b = quic_world_add(&f.w, of_b, link);
    f.b->echo = true;
    f.w.world.net.tap = capture;
    f.w.world.net.tap_context = &f;
    return &f;
}

static struct fixture *start(struct tern_quic_options of_b)
{
    return start_on((struct tern_quic_options){.keep_alive_ns = 0}, of_b, &slow, 1);
}

static struct fixture *start_plain(void)
{
    return start((struct tern_quic_options){.keep_alive_ns = 0});
}

static void end(struct fixture *f)
{
    quic_world_fini(&f->w);
}

/* meet lets a session come and go, after which a has a ticket. */
static void meet(struct fixture *f)
{
    struct quic_seen *a = quic_world_connect(&f->w, f->a, f->b);
    quic_world_run(&f->w, TERN_SECOND);
    quic_seen_end(a);
    quic_world_run(&f->w, 10 * TERN_SECOND);
}

static struct quic_seen *dial(struct fixture *f)
{
    struct quic_seen *a = quic_world_dial(&f->w, f->a, f->b, quic_testing_peer(1));
    (void)session_world_flush(&f->w.world);
    return a;
}

static tern_stream_id open_early(struct quic_seen *seen, bool early)
{
    const struct tern_mux *mux = &seen->session.mux;
    tern_stream_id stream = quic_seen_open(seen);
    if (early)
        mux->ops->set_early(mux->self, stream);
    return stream;
}

static bool early(const struct quic_seen *seen)
{
    return quic_seen_count(seen, TERN_MUX_ESTABLISHED) == 1 &&
           quic_seen_count(seen, TERN_MUX_CONFIRMED) == 0;
}

/* The dialler asks as soon as it may. */
struct ask {
    struct quic_seen *seen;
    tern_stream_id stream;
};

static bool ask_done(void *context)
{
    struct ask *ask = context;
    if (ask->stream == TERN_STREAM_NONE && quic_seen_count(ask->seen, TERN_MUX_ESTABLISHED) > 0) {
        ask->stream = open_early(ask->seen, true);
        quic_seen_write(ask->seen, ask->stream, "?");
    }
    return ask->stream != TERN_STREAM_NONE && quic_seen_read(ask->seen, ask->stream) == TERN_OK;
}

/* ask_in is in how many round trips the first byte came back. */
static unsigned ask_in(struct fixture *f)
{
    tern_time since = f->w.world.now;
    struct ask ask = {.seen = quic_world_dial(&f->w, f->a, f->b, quic_testing_peer(1))};
    assert_true(quic_world_until(&f->w, ask_done, &ask, 10 * TERN_SECOND));
    quic_seen_expect(ask.seen, ask.stream, "?");
    return (unsigned)((f->w.world.now - since + TERN_MILLISECOND) / RTT);
}

static void with_a_ticket_a_byte_is_answered_in_one_round_trip(void **state)
{
    (void)state;
    struct fixture *f = start_plain();
    assert_int_equal(ask_in(f), 2);
    quic_world_run(&f->w, TERN_SECOND);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ask_in(f), 1);
        struct quic_seen *b = quic_host_last(f->b);
        assert_int_equal(b->log[0].kind, TERN_MUX_ESTABLISHED);
        assert_int_equal(b->log[1].kind, TERN_MUX_STREAM_OPENED);
        assert_true(b->log[1].early);
        quic_world_run(&f->w, TERN_SECOND);
        assert_int_equal(quic_seen_count(b, TERN_MUX_CONFIRMED), 1);
        const struct tern_secure_remote *of_b = b->session.ops->remote(b->session.mux.self);
        assert_true(tern_peer_id_equal(of_b->peer_id, quic_testing_peer(0)));
        assert_true(tern_public_key_equal(of_b->public_key, &quic_testing_key(0)->public_key));
        const struct quic_seen *a = quic_host_last(f->a);
        assert_int_equal(quic_seen_count(a, TERN_MUX_CONFIRMED), 1);
        assert_int_equal(quic_seen_error(a), TERN_OK);
    }
    end(f);
}

static void what_is_not_marked_waits_for_the_remote(void **state)
{
    (void)state;
    struct fixture *f = start_plain();
    meet(f);
    struct quic_seen *a = dial(f);
    assert_true(early(a));
    const struct tern_secure_remote *of_a = a->session.ops->remote(a->session.mux.self);
    assert_true(tern_peer_id_equal(of_a->peer_id, quic_testing_peer(1)));
    tern_stream_id held = open_early(a, false);
    quic_seen_write(a, held, "once only");
    assert_ok(a->session.mux.ops->close_write(a->session.mux.self, held));
    assert_int_equal(a->session.mux.ops->queued(a->session.mux.self, held), 9);
    quic_world_run(&f->w, TERN_SECOND);
    quic_seen_expect(a, held, "once only");
    const struct quic_seen *b = quic_host_last(f->b);
    assert_int_equal(b->log[0].kind, TERN_MUX_ESTABLISHED);
    assert_int_equal(b->log[1].kind, TERN_MUX_CONFIRMED);
    assert_false(quic_seen_event(b, TERN_MUX_STREAM_OPENED).early);
    end(f);
}

static void more_than_the_first_window_goes_early(void **state)
{
    (void)state;
    struct fixture *f = start_plain();
    meet(f);
    struct quic_seen *a = dial(f);
    tern_stream_id stream = open_early(a, true);
    static char text[700001];
    memset(text, 'x', sizeof text - 1);
    quic_seen_write(a, stream, text);
    f->b->echo = false;
    f->b->sink = true;
    assert_ok(a->session.mux.ops->close_write(a->session.mux.self, stream));
    quic_world_run(&f->w, 3 * TERN_SECOND);
    assert_int_equal(quic_host_last(f->b)->read_bytes, sizeof text - 1);
    assert_true(quic_seen_event(quic_host_last(f->b), TERN_MUX_STREAM_OPENED).early);
    end(f);
}

/* restart puts another transport, of the host with that identity, in b's place. */
static struct quic_host *restart(struct fixture *f, unsigned identity)
{
    const struct tern_quic_options options = {.identity = quic_testing_identity(identity)};
    struct quic_host *c = quic_world_add(&f->w, options, &slow);
    struct tern_endpoint elsewhere = datagram_endpoint(77, 1);
    datagram_net_remap(&f->w.world.net, f->b->socket, &elsewhere);
    datagram_net_remap(&f->w.world.net, c->socket, &f->b->at);
    c->echo = true;
    return c;
}

static void what_is_refused_is_sent_again(void **state)
{
    (void)state;
    struct fixture *f = start_plain();
    meet(f);
    struct quic_host *c = restart(f, 1);
    struct quic_seen *a = dial(f);
    const struct tern_mux *mux = &a->session.mux;
    assert_true(early(a));
    tern_stream_id whole = open_early(a, true);
    tern_stream_id gone = open_early(a, true);
    tern_stream_id bare = open_early(a, true);
    tern_stream_id open = open_early(a, true);
    tern_stream_id held = open_early(a, false);
    quic_seen_write(a, whole, "whole");
    assert_ok(mux->ops->close_write(mux->self, whole));
    quic_seen_write(a, gone, "gone");
    assert_ok(mux->ops->close_write(mux->self, bare));
    quic_seen_write(a, open, "open");
    quic_seen_write(a, held, "held");
    (void)session_world_flush(&f->w.world);
    mux->ops->reset(mux->self, gone, 5);
    quic_world_run(&f->w, TERN_SECOND);
    assert_int_equal(quic_seen_count(a, TERN_MUX_CONFIRMED), 1);
    const struct quic_seen *at_c = quic_host_last(c);
    assert_int_equal(at_c->log[0].kind, TERN_MUX_ESTABLISHED);
    assert_int_equal(at_c->log[1].kind, TERN_MUX_CONFIRMED);
    assert_int_equal(quic_seen_count(at_c, TERN_MUX_STREAM_OPENED), 4);
    quic_seen_expect(a, whole, "whole");
    quic_seen_expect(a, open, "open");
    quic_seen_expect(a, held, "held");
    assert_int_equal(quic_seen_count(a, TERN_MUX_CLOSED), 1);
    assert_int_equal(quic_seen_event(a, TERN_MUX_CLOSED).stream, bare);
    quic_world_run(&f->w, TERN_SECOND);
    assert_int_equal(mux->ops->streams_count(mux->self), 2);
    end(f);
}

static void another_in_its_place_learns_nothing(void **state)
{
    (void)state;
    struct fixture *f = start_plain();
    meet(f);
    struct quic_host *c = restart(f, 2);
    struct quic_seen *a = dial(f);
    assert_true(early(a));
    quic_seen_write(a, open_early(a, true), "early");
    quic_seen_write(a, open_early(a, false), "held");
    quic_world_run(&f->w, TERN_SECOND);
    assert_int_equal(quic_seen_error(a), TERN_ERR_PEER_MISMATCH);
    assert_int_equal(a->session.mux.ops->fault(a->session.mux.self), TERN_FAULT_QUIC_WRONG_PEER);
    assert_int_equal(quic_host_last(c)->log_count, 0);
    end(f);
}

static void a_flight_is_taken_once(void **state)
{
    (void)state;
    struct fixture *f = start_plain();
    meet(f);
    f->capturing = true;
    struct quic_seen *a = dial(f);
    quic_seen_write(a, open_early(a, true), "pay 100 to me");
    (void)session_world_flush(&f->w.world);
    f->capturing = false;
    quic_world_run(&f->w, TERN_SECOND);
    const struct quic_seen *b = quic_host_last(f->b);
    assert_int_equal(b->read_bytes, 13);
    quic_seen_end(a);
    quic_world_run(&f->w, TERN_MINUTE);
    assert_in_range(f->captured_count, 1, 8);
    for (uint8_t again = 0; again < 3; again++) {
        size_t offers = f->b->offers_count;
        struct tern_path path = {.local = datagram_endpoint((uint8_t)(50 + again), 99),
                                 .remote = f->b->at};
        for (size_t i = 0; i < f->captured_count; i++)
            datagram_net_inject(&f->w.world.net, f->w.world.now + i, &path,
                                tern_view_of(f->captured[i].bytes, f->captured[i].size));
        quic_world_run(&f->w, 5 * TERN_SECOND);
        assert_int_equal(f->b->offers_count, offers + 1);
        assert_int_equal(quic_host_last(f->b)->log_count, 0);
        assert_int_equal(quic_host_last(f->b)->read_bytes, 0);
        quic_world_run(&f->w, 20 * TERN_SECOND);
        assert_int_equal(quic_seen_error(quic_host_last(f->b)), TERN_ERR_TIMEOUT);
    }
    end(f);
}

static void who_refuses_early_data_still_resumes(void **state)
{
    (void)state;
    struct fixture *f = start((struct tern_quic_options){.refuse_early = true});
    meet(f);
    struct quic_seen *a = dial(f);
    assert_int_equal(a->log_count, 0);
    quic_world_run(&f->w, TERN_SECOND);
    assert_int_equal(quic_seen_count(a, TERN_MUX_CONFIRMED), 1);
    const struct quic_seen *b = quic_host_last(f->b);
    const struct tern_secure_remote *of_b = b->session.ops->remote(b->session.mux.self);
    assert_true(tern_peer_id_equal(of_b->peer_id, quic_testing_peer(0)));
    assert_int_equal(ask_in(f), 2);
    end(f);
}

static void tickets_are_for_one_dial_to_one_peer(void **state)
{
    (void)state;
    struct fixture *f = start_plain();
    meet(f);
    struct quic_seen *anyone = quic_world_dial(&f->w, f->a, f->b, NULL);
    struct quic_seen *other = quic_world_dial(&f->w, f->a, f->b, quic_testing_peer(2));
    struct quic_seen *first = dial(f);
    struct quic_seen *second = dial(f);
    assert_int_equal(anyone->log_count, 0);
    assert_int_equal(other->log_count, 0);
    assert_true(early(first));
    assert_int_equal(second->log_count, 0);
    quic_world_run(&f->w, TERN_SECOND);
    assert_int_equal(quic_seen_count(anyone, TERN_MUX_CONFIRMED), 1);
    assert_int_equal(quic_seen_error(other), TERN_ERR_PEER_MISMATCH);
    assert_int_equal(quic_seen_count(first, TERN_MUX_CONFIRMED), 1);
    assert_int_equal(quic_seen_count(second, TERN_MUX_CONFIRMED), 1);
    end(f);
}

static void tickets_end_with_their_keys(void **state)
{
    (void)state;
    struct fixture *f = start_plain();
    meet(f);
    quic_world_run(&f->w, 5 * TERN_HOUR);
    assert_int_equal(ask_in(f), 1);
    quic_world_run(&f->w, 5 * TERN_HOUR); /* the key is another by now; it is known for a while */
    assert_int_equal(ask_in(f), 1);
    quic_world_run(&f->w, 6 * TERN_HOUR + TERN_MINUTE);
    assert_int_equal(ask_in(f), 2);
    end(f);
}

static void early_and_nobody_there(void **state)
{
    (void)state;
    struct fixture *f = start_plain();
    meet(f);
    datagram_net_socket(&f->w.world.net, f->a->socket)->link.down = true;
    struct quic_seen *a = dial(f);
    quic_seen_write(a, open_early(a, true), "hello?");
    assert_true(early(a));
    quic_world_run(&f->w, 15 * TERN_SECOND);
    assert_int_equal(quic_seen_error(a), TERN_ERR_TIMEOUT);
    end(f);
}

static void goaway_before_the_remote_is_there(void **state)
{
    (void)state;
    struct fixture *f = start_plain();
    meet(f);
    struct quic_seen *a = dial(f);
    quic_seen_write(a, open_early(a, true), "first");
    quic_seen_write(a, open_early(a, false), "second");
    a->session.mux.ops->goaway(a->session.mux.self, 3);
    quic_world_run(&f->w, TERN_SECOND);
    assert_int_equal(quic_seen_error(a), TERN_ERR_CLOSED);
    const struct quic_seen *b = quic_host_last(f->b);
    assert_int_equal(b->read_bytes, 11);
    assert_int_equal(quic_seen_event(b, TERN_MUX_GOAWAY).code, 3);
    end(f);
}

static void tickets_on_a_bad_line(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        const struct datagram_link bad = {.latency_ns = 20 * TERN_MILLISECOND,
                                          .loss_ppm = 150000,
                                          .duplicate_ppm = 100000,
                                          .corrupt_ppm = 50000,
                                          .reorder_ppm = 300000,
                                          .reorder_ns = 30 * TERN_MILLISECOND};
        const struct tern_quic_options plain = {.keep_alive_ns = 0};
        struct fixture *f = start_on(plain, plain, &bad, seed);
        meet(f);
        for (unsigned i = 0; i < 4; i++) {
            struct ask ask = {.seen = quic_world_dial(&f->w, f->a, f->b, quic_testing_peer(1))};
            assert_true(quic_world_until(&f->w, ask_done, &ask, 10 * TERN_SECOND));
            quic_seen_expect(ask.seen, ask.stream, "?");
            quic_world_run(&f->w, TERN_SECOND);
        }
        end(f);
    }
}

/* Each allocation of one host fails in turn, in a dial with a ticket and all that follows. */
static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (unsigned side = 0; side < 2; side++) {
        bool failed = true;
        uint64_t n;
        for (n = 1; failed; n += n < 60 ? 1 : 7) {
            struct fixture *f = start_plain();
            meet(f);
            struct tern_mem *mem = side == 0 ? &f->a->mem : &f->b->mem;
            uint64_t before = mem->allocs;
            tern_mem_fail_at(mem, n, false);
            struct quic_seen *a;
            tern_err err = quic_world_try_dial(&f->w, f->a, f->b, quic_testing_peer(1), &a);
            assert_true(err == TERN_OK || err == TERN_ERR_MEMORY);
            tern_stream_id stream;
            const struct tern_mux *mux = &a->session.mux;
            size_t accepted;
            if (err == TERN_OK && mux->ops->open(mux->self, TERN_STREAM_BULK, &stream) == TERN_OK) {
                mux->ops->set_early(mux->self, stream);
                TERN_IGNORE(mux->ops->write(mux->self, stream, tern_view_str("?"), &accepted));
            }
            quic_world_run(&f->w, 2 * TERN_SECOND);
            failed = mem->allocs - before >= n;
            tern_mem_fail_at(mem, 0, false);
            end(f);
        }
        assert_in_range(n, 60, 2000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_a_ticket_a_byte_is_answered_in_one_round_trip),
        cmocka_unit_test(what_is_not_marked_waits_for_the_remote),
        cmocka_unit_test(more_than_the_first_window_goes_early),
        cmocka_unit_test(what_is_refused_is_sent_again),
        cmocka_unit_test(another_in_its_place_learns_nothing),
        cmocka_unit_test(a_flight_is_taken_once),
        cmocka_unit_test(who_refuses_early_data_still_resumes),
        cmocka_unit_test(tickets_are_for_one_dial_to_one_peer),
        cmocka_unit_test(tickets_end_with_their_keys),
        cmocka_unit_test(early_and_nobody_there),
        cmocka_unit_test(goaway_before_the_remote_is_there),
        cmocka_unit_test(tickets_on_a_bad_line),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
