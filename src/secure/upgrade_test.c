/* Negotiation and Noise together, as a connection puts them: who says what in which flight. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "negotiate/multistream.h"
#include "noise_world.h"

enum { HEADER_SIZE = 20, NOISE_SIZE = 8, YAMUX_SIZE = 14, FLIGHT_MAX = 4096 };

static const struct tern_view noise_name = TEXT(TERN_NOISE_PROTOCOL_ID);
static const struct tern_view yamux_name = TEXT("/yamux/1.0.0");

struct flight {
    uint8_t bytes[FLIGHT_MAX];
    struct tern_writer out;
};

static struct tern_writer *flight_begin(struct flight *f)
{
    f->out = tern_writer_of(f->bytes, sizeof f->bytes);
    return &f->out;
}

static void dial(struct tern_multistream_dialer *d, const struct tern_view *name)
{
    tern_multistream_dialer_init(d, &(struct tern_multistream_dialer_options){name, 1, true});
}

static void control(struct pump_end *end, struct tern_writer *out)
{
    end->secure.ops->control(end->secure.self, 0, out);
}

/* A listener takes a proposal that must be name, accepts it, and answers. Returns what is left. */
static struct tern_view listen(struct tern_mem *mem, struct tern_view in, struct tern_view name,
                               struct tern_writer *out)
{
    struct tern_multistream_listener l;
    tern_multistream_listener_init(&l, mem);
    size_t used;
    assert_int_equal(tern_multistream_listener_recv(&l, in, &used), TERN_OK);
    struct tern_view proposed;
    assert_true(tern_multistream_listener_proposal(&l, &proposed));
    assert_true(tern_view_equal(proposed, name));
    tern_multistream_listener_accept(&l);
    tern_multistream_listener_send(&l, out);
    assert_int_equal(l.state, TERN_MULTISTREAM_NEGOTIATED);
    tern_multistream_listener_fini(&l);
    return tern_view_of(in.data + used, in.size - used);
}

/* Both ends of the negotiation and the first two messages: two flights. */
static void shake_in_two_flights(struct world *w, struct flight flights[2])
{
    struct pump_end *init = &w->pump.ends[INIT];
    struct pump_end *resp = &w->pump.ends[RESP];
    struct tern_multistream_dialer d;
    dial(&d, &noise_name);
    struct tern_writer *out = flight_begin(&flights[0]);
    tern_multistream_dialer_send(&d, out);
    assert_true(tern_multistream_dialer_can_write(&d));
    control(init, out);
    assert_int_equal(out->size, HEADER_SIZE + NOISE_SIZE + 2 + 32);

    struct tern_view in = tern_writer_view(out);
    out = flight_begin(&flights[1]);
    in = listen(&w->mem, in, noise_name, out);
    assert_int_equal(in.size, 2 + 32);
    assert_int_equal(pump_feed(resp, in, true), in.size);
    pump_run_job(resp);
    control(resp, out);

    in = tern_writer_view(out);
    size_t used;
    assert_int_equal(tern_multistream_dialer_recv(&d, in, &used), TERN_OK);
    assert_int_equal(d.state, TERN_MULTISTREAM_NEGOTIATED);
    assert_int_equal(used, HEADER_SIZE + NOISE_SIZE);
    in = tern_view_of(in.data + used, in.size - used);
    assert_int_equal(pump_feed(init, in, true), in.size);
    pump_run_job(init);
    assert_true(init->done);
}

/* Seals text as one frame. */
static void seal(struct pump_end *end, struct tern_view text, struct tern_writer *out)
{
    struct tern_span room = end->secure.ops->seal_begin(end->secure.self, out);
    assert_true(room.size >= text.size);
    memcpy(room.data, text.data, text.size);
    end->secure.ops->seal_end(end->secure.self, out, text.size);
}

/* Gives an end a flight and collects the plaintext; runs its job when there is one. */
static struct tern_view open_flight(struct pump_end *end, struct flight *f, struct flight *plain)
{
    struct tern_writer *collected = flight_begin(plain);
    struct tern_slice in = {.view = tern_writer_view(&f->out)};
    while (in.view.size > 0) {
        size_t used;
        assert_int_equal(end->secure.ops->recv(end->secure.self, 0, in, &used), TERN_OK);
        in.view = tern_view_of(in.view.data + used, in.view.size - used);
        struct tern_channel_event event;
        while (end->secure.ops->next(end->secure.self, &event)) {
            if (event.kind == TERN_CHANNEL_JOB) {
                event.job->run(event.job);
                assert_int_equal(end->secure.ops->job_done(end->secure.self, 0, event.job),
                                 TERN_OK);
            }
            if (event.kind == TERN_CHANNEL_DATA)
                tern_writer_bytes(collected, event.data.view);
        }
    }
    return tern_writer_view(collected);
}

/* The muxer agreed early: message 3, stream frames, a lazy stream protocol and its data in one
 * flight. */
static void first_request_rides_in_the_third_flight(void **state)
{
    (void)state;
    struct world *w = world_new(TERN_KEY_ED25519, 1);
    assert_true(world_open(w));
    struct flight flights[4];
    shake_in_two_flights(w, flights);
    assert_true(tern_view_equal(remote(w, INIT)->muxer, yamux_name));

    struct tern_multistream_dialer stream;
    static const struct tern_view ping = TEXT("/ipfs/ping/1.0.0");
    dial(&stream, &ping);
    struct tern_writer *out = flight_begin(&flights[2]);
    control(&w->pump.ends[INIT], out);
    struct flight plain;
    struct tern_writer *frames = flight_begin(&plain);
    tern_writer_str(frames, "[frame]");
    tern_multistream_dialer_send(&stream, frames);
    assert_true(tern_multistream_dialer_can_write(&stream));
    tern_writer_str(frames, "thirty-two bytes of a ping's data");
    seal(&w->pump.ends[INIT], tern_writer_view(frames), out);

    struct flight got;
    struct tern_view text = open_flight(&w->pump.ends[RESP], &flights[2], &got);
    assert_true(tern_view_equal(remote(w, RESP)->muxer, yamux_name));
    assert_true(tern_view_equal(text, tern_writer_view(frames)));
    text = tern_view_of(text.data + 7, text.size - 7);
    struct flight answer;
    text = listen(&w->mem, text, ping, flight_begin(&answer));
    assert_true(tern_view_equal(text, tern_view_str("thirty-two bytes of a ping's data")));
    world_free(w);
}

/* The muxer not agreed early: its proposal goes right behind message 3, its frames right behind
 * that. */
static void muxer_proposal_costs_no_round_trip_either(void **state)
{
    (void)state;
    struct world *w = world_new(TERN_KEY_ED25519, 1);
    w->options[INIT].muxers_count = 0; /* as of a peer without the extension */
    assert_true(world_open(w));
    struct flight flights[4];
    shake_in_two_flights(w, flights);
    assert_int_equal(remote(w, INIT)->muxer.size, 0);

    struct tern_multistream_dialer d;
    dial(&d, &yamux_name);
    struct tern_writer *out = flight_begin(&flights[2]);
    control(&w->pump.ends[INIT], out);
    struct flight plain;
    struct tern_writer *text = flight_begin(&plain);
    tern_multistream_dialer_send(&d, text);
    assert_int_equal(text->size, HEADER_SIZE + YAMUX_SIZE);
    assert_true(tern_multistream_dialer_can_write(&d));
    tern_writer_str(text, "[yamux frames]");
    seal(&w->pump.ends[INIT], tern_writer_view(text), out);

    struct flight got;
    struct tern_view in = open_flight(&w->pump.ends[RESP], &flights[2], &got);
    struct flight answer;
    in = listen(&w->mem, in, yamux_name, flight_begin(&answer));
    assert_true(tern_view_equal(in, tern_view_str("[yamux frames]")));
    out = flight_begin(&flights[3]);
    seal(&w->pump.ends[RESP], tern_writer_view(&answer.out), out);
    in = open_flight(&w->pump.ends[INIT], &flights[3], &got);
    size_t used;
    assert_int_equal(tern_multistream_dialer_recv(&d, in, &used), TERN_OK);
    assert_int_equal(d.state, TERN_MULTISTREAM_NEGOTIATED);
    world_free(w);
}

/* TCP simultaneous open: each end gets the other's first flight as the answer to its own. */
static void both_ends_dialling_are_told(void **state)
{
    (void)state;
    struct world *w = world_new(TERN_KEY_ED25519, 1);
    w->options[RESP].role = TERN_ROLE_INITIATOR;
    assert_true(world_open(w));
    struct flight flights[2];
    struct tern_multistream_dialer d[2];
    for (int i = 0; i < 2; i++) {
        dial(&d[i], &noise_name);
        tern_multistream_dialer_send(&d[i], flight_begin(&flights[i]));
        control(&w->pump.ends[i], &flights[i].out);
    }
    for (int i = 0; i < 2; i++) {
        struct tern_view in = tern_writer_view(&flights[1 - i].out);
        size_t used;
        assert_int_equal(tern_multistream_dialer_recv(&d[i], in, &used), TERN_OK);
        assert_int_equal(d[i].state, TERN_MULTISTREAM_NEGOTIATED); /* it looks like an echo */
        pump_feed(&w->pump.ends[i], tern_view_of(in.data + used, in.size - used), true);
        assert_int_equal(w->pump.ends[i].err, TERN_ERR_PROTOCOL);
        assert_int_equal(fault_of(w, i), TERN_FAULT_NOISE_BOTH_INITIATE);
        assert_int_equal(tern_fault_weight(fault_of(w, i)), 0);
    }
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_request_rides_in_the_third_flight),
        cmocka_unit_test(muxer_proposal_costs_no_round_trip_either),
        cmocka_unit_test(both_ends_dialling_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
