/* Sessions between two hosts, and what a puppet may do in good order. */
#include "quic/quic_internal.h"
#include "tern_test.h"
#include "webtransport/http3.h"
#include "webtransport/request.h"
#include "webtransport/webtransport_world.h"

#define DAY (24 * TERN_HOUR)

static struct web_world world;

static struct web_world *start(const struct web_world_options *options)
{
    web_world_init(&world, options);
    return &world;
}

static struct quic_seen *establish(struct web_world *w)
{
    struct quic_seen *a = web_world_dial(w, &(struct web_dial){.expected = quic_testing_peer(2)});
    web_world_run(w, TERN_SECOND);
    assert_int_equal(quic_seen_error(a), TERN_OK);
    assert_int_equal(a->log[0].kind, TERN_MUX_JOB);
    assert_int_equal(quic_seen_count(a, TERN_MUX_CONFIRMED), 1);
    return a;
}

static void both_ends_know_each_other(void **state)
{
    (void)state;
    struct web_world *w = start(&(struct web_world_options){.mute = false});
    w->b->echo = true;
    tern_time from = w->w.world.now;
    struct quic_seen *a = establish(w);
    struct quic_seen *b = quic_host_last(w->b);
    assert_int_equal(quic_seen_count(a, TERN_MUX_ESTABLISHED), 1);
    assert_int_equal(quic_seen_count(b, TERN_MUX_ESTABLISHED), 1);
    /* QUIC 1, the server's SETTINGS 1, CONNECT and Noise 1; of 10 ms each. */
    assert_int_equal((quic_seen_time(a, TERN_MUX_ESTABLISHED) - from) / (10 * TERN_MILLISECOND), 3);
    assert_true(tern_peer_id_equal(a->session.ops->remote(a->session.mux.self)->peer_id,
                                   quic_testing_peer(2)));
    assert_true(tern_peer_id_equal(b->session.ops->remote(b->session.mux.self)->peer_id,
                                   quic_testing_peer(1)));
    struct tern_session_info info;
    b->session.ops->info(b->session.mux.self, &info);
    assert_int_equal(info.kind, TERN_SESSION_WEBTRANSPORT);
    assert_true(info.bytes_in > 0);
    assert_int_equal(a->session.mux.ops->streams_count(a->session.mux.self), 0);
    /* Streams of both. */
    tern_stream_id stream = quic_seen_open(a);
    assert_int_equal(a->session.mux.ops->queued(a->session.mux.self, stream), 0);
    quic_seen_write(a, stream, "hello");
    assert_int_equal(a->session.mux.ops->queued(a->session.mux.self, stream), 5);
    web_world_run(w, TERN_SECOND);
    assert_int_equal(a->session.mux.ops->queued(a->session.mux.self, stream), 0);
    quic_seen_expect(a, stream, "hello");
    stream = quic_seen_open(b);
    quic_seen_write(b, stream, "and back");
    web_world_run(w, TERN_SECOND);
    quic_seen_expect(a, quic_seen_event(a, TERN_MUX_STREAM_OPENED).stream, "and back");
    web_world_fini(w);
}

static void quic_goes_on_beside_it(void **state)
{
    (void)state;
    struct web_world *w = start(&(struct web_world_options){.mute = false});
    struct quic_seen *a = quic_world_dial(&w->w, w->a, w->b, quic_testing_peer(2));
    web_world_run(w, TERN_SECOND);
    assert_int_equal(quic_seen_count(a, TERN_MUX_CONFIRMED), 1);
    struct tern_session_info info;
    a->session.ops->info(a->session.mux.self, &info);
    assert_int_equal(info.kind, TERN_SESSION_QUIC);
    (void)establish(w);
    web_world_fini(w);
}

static void another_peer_is_found_out(void **state)
{
    (void)state;
    struct web_world *w = start(&(struct web_world_options){.mute = false});
    struct quic_seen *a = web_world_dial(w, &(struct web_dial){.expected = quic_testing_peer(3)});
    web_world_run(w, TERN_SECOND);
    assert_int_equal(quic_seen_error(a), TERN_ERR_PEER_MISMATCH);
    assert_int_equal(a->session.mux.ops->fault(a->session.mux.self), TERN_FAULT_NOISE_WRONG_PEER);
    assert_int_equal(quic_seen_count(a, TERN_MUX_ESTABLISHED), 0);
    web_world_fini(w);
}

static void goaway_tells_its_code(void **state)
{
    (void)state;
    struct web_world *w = start(&(struct web_world_options){.mute = false});
    struct quic_seen *a = establish(w);
    struct quic_seen *b = quic_host_last(w->b);
    tern_stream_id stream = quic_seen_open(a);
    a->session.mux.ops->goaway(a->session.mux.self, 0x1234);
    web_world_run(w, TERN_SECOND);
    assert_int_equal(quic_seen_error(a), TERN_ERR_CLOSED);
    assert_int_equal(quic_seen_error(b), TERN_ERR_CLOSED);
    assert_int_equal(quic_seen_event(b, TERN_MUX_GOAWAY).code, 0x1234);
    size_t accepted;
    assert_int_equal(
        a->session.mux.ops->write(a->session.mux.self, stream, tern_view_str("late"), &accepted),
        TERN_ERR_CLOSED);
    assert_int_equal(a->session.mux.ops->open(a->session.mux.self, TERN_STREAM_BULK, &stream),
                     TERN_ERR_CLOSED);
    web_world_fini(w);
}

static void an_owner_that_just_ends_is_heard(void **state)
{
    (void)state;
    struct web_world *w = start(&(struct web_world_options){.mute = false});
    struct quic_seen *a = establish(w);
    quic_seen_end(a);
    web_world_run(w, TERN_SECOND);
    struct quic_seen *b = quic_host_last(w->b);
    assert_int_equal(quic_seen_error(b), TERN_ERR_CLOSED);
    assert_int_equal(quic_seen_event(b, TERN_MUX_GOAWAY).code, 0);
    web_world_fini(w);
}

static void a_dialler_moves_to_another_socket(void **state)
{
    (void)state;
    struct web_world *w = start(&(struct web_world_options){.mute = false});
    w->b->echo = true;
    struct quic_seen *a = establish(w);
    const struct tern_endpoint at = datagram_endpoint(77, 4001);
    tern_link_id socket = session_world_bind(&w->w.world, w->a->node, &at, NULL);
    assert_ok(a->session.ops->migrate(a->session.mux.self, w->w.world.now, socket));
    tern_stream_id stream = quic_seen_open(a);
    quic_seen_write(a, stream, "moved");
    web_world_run(w, TERN_SECOND);
    quic_seen_expect(a, stream, "moved");
    struct quic_seen *b = quic_host_last(w->b);
    assert_int_equal(b->session.ops->migrate(b->session.mux.self, w->w.world.now, socket),
                     TERN_ERR_UNSUPPORTED);
    web_world_fini(w);
}

/* --- certificates --- */

static void certificates_roll_in_time(void **state)
{
    (void)state;
    struct web_world *w = start(&(struct web_world_options){.mute = false});
    struct tern_webtransport_certhashes first;
    struct tern_webtransport_certhashes second;
    tern_webtransport_certhashes(&w->b->transport, &first);
    assert_int_equal(first.version, 1);
    assert_memory_equal(&first, web_testing_certhashes(2), sizeof first);
    web_world_run(w, 14 * DAY - 2 * TERN_HOUR);
    tern_webtransport_certhashes(&w->b->transport, &second);
    assert_int_equal(second.version, 2);
    assert_memory_equal(second.multihashes[0], first.multihashes[1],
                        TERN_WEBTRANSPORT_CERTHASH_SIZE);
    /* Who knows what was told before still finds it, and is shown that it was told. */
    const struct tern_view old[] = {tern_view_of(first.multihashes[0], 34),
                                    tern_view_of(first.multihashes[1], 34)};
    struct quic_seen *a =
        web_world_dial(w, &(struct web_dial){.certhashes = old, .certhashes_count = 2});
    web_world_run(w, TERN_SECOND);
    assert_int_equal(quic_seen_count(a, TERN_MUX_ESTABLISHED), 1);
    web_world_fini(w);
}

static void a_host_that_knows_no_time_serves_nobody(void **state)
{
    (void)state;
    struct web_world *w = start(&(struct web_world_options){.mute = false});
    struct tern_webtransport_certhashes certhashes;
    tern_webtransport_certhashes(&w->a->transport, &certhashes);
    assert_int_equal(certhashes.version, 0); /* it has no key to serve with */
    /* A clock that jumps two weeks ahead, and back. */
    tern_webtransport_set_wall(&w->b->transport, w->w.world.now, WEB_TESTING_WALL + 14 * DAY);
    tern_webtransport_certhashes(&w->b->transport, &certhashes);
    assert_int_equal(certhashes.version, 2);
    assert_memory_equal(certhashes.multihashes[0], web_testing_certhashes(2)->multihashes[1], 34);
    tern_webtransport_set_wall(&w->b->transport, w->w.world.now, WEB_TESTING_WALL);
    tern_webtransport_certhashes(&w->b->transport, &certhashes);
    assert_int_equal(certhashes.version, 3);
    assert_memory_equal(certhashes.multihashes[0], web_testing_certhashes(2)->multihashes[0], 34);
    (void)establish(w);
    web_world_fini(w);
}

static void who_does_not_serve_it_says_so(void **state)
{
    (void)state;
    struct web_world *w = start(&(struct web_world_options){.mute = true});
    struct quic_seen *a = web_world_dial(w, &(struct web_dial){.expected = NULL});
    web_world_run(w, TERN_SECOND);
    assert_true(quic_seen_error(a) != TERN_OK);
    assert_int_equal(quic_seen_error(quic_host_last(w->b)), TERN_ERR_NO_PROTOCOL);
    web_world_fini(w);
}

/* --- a puppet that keeps the rules --- */

static struct web_world *start_puppet(enum web_puppets puppets)
{
    struct web_world *w = start(&(struct web_world_options){.puppets = puppets});
    web_world_attach(w);
    return w;
}

static struct quic_seen *victim(struct web_world *w)
{
    return w->certificate.der != NULL ? quic_host_last(w->a) : quic_host_last(w->b);
}

/* shake lets a puppet that dials finish its handshake on a stream. */
static void shake(struct web_world *w, tern_stream_id stream)
{
    web_puppet_noise(w, stream, 0);
    (void)web_puppet_shake(&w->puppet, w->w.world.now);
    web_world_run(w, 100 * TERN_MILLISECOND);
    assert_true(web_puppet_shake(&w->puppet, w->w.world.now));
    web_world_run(w, 100 * TERN_MILLISECOND);
}

static void what_comes_too_early_waits(void **state)
{
    (void)state;
    struct web_world *w = start_puppet(WEB_PUPPET_DIALS);
    struct web_puppet *puppet = &w->puppet;
    /* Stream 0 is to be the request; what is said on the others comes first. */
    tern_stream_id request = web_puppet_open(puppet, false);
    web_puppet_say(puppet, request, tern_view_str("\x01"));
    tern_stream_id noise = web_puppet_stream(puppet, 0);
    tern_stream_id other = web_puppet_stream(puppet, 0);
    web_puppet_say(puppet, other, tern_view_str("early"));
    tern_stream_id unknown = web_puppet_stream(puppet, 40);
    web_puppet_noise(w, noise, 0);
    (void)web_puppet_shake(puppet, w->w.world.now);
    web_world_run(w, 100 * TERN_MILLISECOND);
    uint8_t bytes[1200];
    struct tern_writer section = tern_writer_of(bytes, sizeof bytes);
    struct tern_mem mem;
    tern_mem_init(&mem, 0);
    assert_ok(web_request_write(&mem, tern_view_str("host:1"), &section));
    tern_mem_fini(&mem);
    web_puppet_say(puppet, request, tern_view_of(bytes + 1, section.size - 1));
    web_world_run(w, 100 * TERN_MILLISECOND);
    assert_int_equal(quic_seen_count(victim(w), TERN_MUX_JOB), 0); /* SETTINGS have to come */
    (void)web_puppet_settings(puppet);
    web_world_run(w, 100 * TERN_MILLISECOND);
    assert_true(web_puppet_shake(puppet, w->w.world.now));
    web_world_run(w, 100 * TERN_MILLISECOND);
    struct quic_seen *b = victim(w);
    assert_int_equal(quic_seen_count(b, TERN_MUX_ESTABLISHED), 1);
    assert_int_equal(quic_seen_count(b, TERN_MUX_STREAM_OPENED), 1);
    quic_seen_expect(b, quic_seen_event(b, TERN_MUX_STREAM_OPENED).stream, "early");
    assert_int_equal(w->b->metrics.faults[TERN_FAULT_WEBTRANSPORT_UNKNOWN_SESSION], 1);
    size_t accepted;
    assert_true(puppet->raw.mux.ops->write(puppet->raw.mux.self, unknown, tern_view_str("x"),
                                           &accepted) != TERN_OK);
    web_world_fini(w);
}

static void grease_does_no_harm(void **state)
{
    (void)state;
    static const uint8_t control[] = {0x00,                               /* the stream */
                                      0x04, 0x04, 0x21, 0x05, 0x22, 0x07, /* SETTINGS */
                                      0x40, 0x5f, 0x03, 1,    2,    3,    /* a frame */
                                      0x0d, 0x01, 0x05};                  /* MAX_PUSH_ID */
    struct web_world *w = start_puppet(WEB_PUPPET_DIALS);
    struct web_puppet *puppet = &w->puppet;
    tern_stream_id stream = web_puppet_open(puppet, true);
    web_puppet_say(puppet, stream, tern_view_of(control, sizeof control));
    stream = web_puppet_open(puppet, true);
    web_puppet_say(puppet, stream, tern_view_str("\x40\x5funknown"));
    stream = web_puppet_open(puppet, true);
    web_puppet_say(puppet, stream, tern_view_str("\x02\x20"));
    stream = web_puppet_open(puppet, true);
    web_puppet_say(puppet, stream, tern_view_str("\x03\x7f\xff\x01\x44"));
    /* A frame before the request, another one behind it, capsules that nobody knows, in pieces. */
    tern_stream_id request = web_puppet_open(puppet, false);
    web_puppet_say(puppet, request, tern_view_str("\x21\x02..\x40\x5f\x03xyz"));
    static const char *const fields[] = {":method: CONNECT",
                                         ":protocol: webtransport-h3",
                                         ":scheme: https",
                                         ":authority: a",
                                         ":path: /.well-known/libp2p-webtransport?x&type=noise",
                                         NULL};
    (void)web_puppet_fields(puppet, request, fields);
    web_world_run(w, 100 * TERN_MILLISECOND);
    shake(w, web_puppet_stream(puppet, 0));
    assert_int_equal(quic_seen_count(victim(w), TERN_MUX_ESTABLISHED), 1);
    static const uint8_t capsules[] = {0x00, 0x02, 0x29, 0x03, /* DATA: an unknown one begins */
                                       0x00, 0x05, 'a',  'b',  'c', 0x80, 0x00, /* ends; DRAIN */
                                       0x00, 0x03, 0x78, 0xae, 0x00};
    web_puppet_say(puppet, request, tern_view_of(capsules, sizeof capsules));
    web_world_run(w, 100 * TERN_MILLISECOND);
    assert_int_equal(quic_seen_error(victim(w)), TERN_OK);
    web_world_fini(w);
}

static void a_stream_that_is_not_read_is_no_reset(void **state)
{
    (void)state;
    struct web_world *w = start_puppet(WEB_PUPPET_DIALS);
    struct web_puppet *puppet = &w->puppet;
    (void)web_puppet_settings(puppet);
    (void)web_puppet_request(puppet);
    shake(w, web_puppet_stream(puppet, 0));
    /* As go-libp2p closes a stream: all is said, and nothing more is read. */
    tern_stream_id stream = web_puppet_stream(puppet, 0);
    web_puppet_say(puppet, stream, tern_view_str("bye"));
    web_puppet_close(puppet, stream);
    web_world_run(w, 100 * TERN_MILLISECOND);
    struct tern_quic_conn *conn = puppet->conn;
    assert_int_equal(ngtcp2_conn_shutdown_stream_read(
                         conn->ng, 0, tern_quic_conn_wire_id(conn, stream), web_code_out(0)),
                     0);
    quic_conn_wake(conn);
    web_world_run(w, 100 * TERN_MILLISECOND);
    struct quic_seen *b = victim(w);
    assert_int_equal(quic_seen_count(b, TERN_MUX_RESET), 0);
    stream = quic_seen_event(b, TERN_MUX_STREAM_OPENED).stream;
    quic_seen_expect(b, stream, "bye");
    assert_int_equal(quic_seen_read(b, stream), TERN_ERR_END);
    size_t accepted;
    assert_int_equal(
        b->session.mux.ops->write(b->session.mux.self, stream, tern_view_str("?"), &accepted),
        TERN_ERR_CLOSED);
    /* With another code it is one. */
    stream = web_puppet_stream(puppet, 0);
    web_world_run(w, 100 * TERN_MILLISECOND);
    assert_int_equal(ngtcp2_conn_shutdown_stream(conn->ng, 0, tern_quic_conn_wire_id(conn, stream),
                                                 web_code_out(77)),
                     0);
    quic_conn_wake(conn);
    web_world_run(w, 100 * TERN_MILLISECOND);
    assert_int_equal(quic_seen_count(b, TERN_MUX_RESET), 1);
    assert_int_equal(quic_seen_event(b, TERN_MUX_RESET).code, 77);
    web_world_fini(w);
}

static void a_client_that_says_nothing_is_ended(void **state)
{
    (void)state;
    struct web_world *w = start_puppet(WEB_PUPPET_DIALS);
    (void)web_puppet_settings(&w->puppet);
    web_world_run(w, 11 * TERN_SECOND);
    assert_int_equal(quic_seen_error(victim(w)), TERN_ERR_TIMEOUT);
    assert_int_equal(quic_seen_count(victim(w), TERN_MUX_ESTABLISHED), 0);
    web_world_fini(w);
}

static void a_server_of_its_own_is_a_session(void **state)
{
    (void)state;
    struct web_world *w = start_puppet(WEB_PUPPET_SERVES);
    struct web_puppet *puppet = &w->puppet;
    struct quic_seen *of_puppet = quic_host_last(w->b);
    (void)web_puppet_settings(puppet);
    web_world_run(w, 100 * TERN_MILLISECOND);
    /* The request and the handshake have come: streams 0 and 4. */
    tern_stream_id streams[2] = {TERN_STREAM_NONE, TERN_STREAM_NONE};
    for (size_t i = 0; i < of_puppet->log_count; i++) {
        tern_stream_id stream = of_puppet->log[i].stream;
        int64_t wire =
            stream == TERN_STREAM_NONE ? -1 : tern_quic_conn_wire_id(puppet->conn, stream);
        if (wire == 0 || wire == 4)
            streams[wire / 4] = stream;
    }
    assert_true(streams[0] != TERN_STREAM_NONE && streams[1] != TERN_STREAM_NONE);
    uint8_t head[3];
    assert_int_equal(web_puppet_read(puppet, streams[1], (struct tern_span){head, 3}), 3);
    assert_memory_equal(head, "\x40\x41\x00", 3);
    static const char *const early[] = {":status: 103", NULL};
    static const char *const fields[] = {":status: 200", "sec-webtransport-http3-draft: draft02",
                                         NULL};
    web_puppet_noise(w, streams[1], 1);
    (void)web_puppet_shake(puppet, w->w.world.now);
    web_world_run(w, 100 * TERN_MILLISECOND);
    assert_true(web_puppet_shake(puppet, w->w.world.now));
    assert_int_equal(quic_seen_count(victim(w), TERN_MUX_ESTABLISHED), 0); /* no answer yet */
    (void)web_puppet_fields(puppet, streams[0], early);
    (void)web_puppet_fields(puppet, streams[0], fields);
    web_world_run(w, 100 * TERN_MILLISECOND);
    assert_int_equal(quic_seen_count(victim(w), TERN_MUX_ESTABLISHED), 1);
    web_puppet_close(puppet, streams[0]);
    web_world_run(w, 100 * TERN_MILLISECOND);
    assert_int_equal(quic_seen_error(victim(w)), TERN_ERR_CLOSED);
    web_world_fini(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ends_know_each_other),
        cmocka_unit_test(quic_goes_on_beside_it),
        cmocka_unit_test(another_peer_is_found_out),
        cmocka_unit_test(goaway_tells_its_code),
        cmocka_unit_test(an_owner_that_just_ends_is_heard),
        cmocka_unit_test(a_dialler_moves_to_another_socket),
        cmocka_unit_test(certificates_roll_in_time),
        cmocka_unit_test(a_host_that_knows_no_time_serves_nobody),
        cmocka_unit_test(who_does_not_serve_it_says_so),
        cmocka_unit_test(what_comes_too_early_waits),
        cmocka_unit_test(grease_does_no_harm),
        cmocka_unit_test(a_stream_that_is_not_read_is_no_reset),
        cmocka_unit_test(a_client_that_says_nothing_is_ended),
        cmocka_unit_test(a_server_of_its_own_is_a_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
