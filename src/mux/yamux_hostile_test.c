/*
 * Hostile remotes. Each named fault is provoked, each published advisory on a yamux implementation
 * is replayed, and what an attack may cost is measured.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka.h needs those first. */
#include <cmocka.h>

#include "mux/yamux_lone.h"

enum {
    DATA = TERN_YAMUX_DATA,
    UPDATE = TERN_YAMUX_WINDOW_UPDATE,
    PING = TERN_YAMUX_PING,
    GO_AWAY = TERN_YAMUX_GO_AWAY,
    SYN = TERN_YAMUX_SYN,
    ACK = TERN_YAMUX_ACK,
    FIN = TERN_YAMUX_FIN,
    RST = TERN_YAMUX_RST,
    WINDOW = TERN_YAMUX_WINDOW_INITIAL,
};

static const struct tern_yamux_options listener = {.initiator = false};

static struct tern_yamux_header frame(unsigned type, unsigned flags, uint32_t id, uint32_t length)
{
    return (struct tern_yamux_header){
        .type = (uint8_t)type, .flags = (uint16_t)flags, .stream_id = id, .length = length};
}

/* The session has ended with this fault: it sticks, nothing can be opened or written, and the
 * farewell goes out once. */
static void expect_end(struct yamux_lone *lone, tern_err err, tern_fault fault)
{
    const struct tern_mux_ops *ops = lone->mux.ops;
    assert_int_equal(ops->error(lone->mux.self), err);
    assert_string_equal(tern_fault_name(ops->fault(lone->mux.self)), tern_fault_name(fault));
    assert_int_equal(yamux_lone_frame(lone, frame(PING, SYN, 0, 1), 0), err);
    tern_stream_id id;
    assert_int_equal(ops->open(lone->mux.self, TERN_STREAM_BULK, &id), TERN_ERR_CLOSED);
    assert_true(ops->want_send(lone->mux.self));
    assert_int_equal(yamux_lone_pull(lone, 1000), 12);
    assert_int_equal(lone->frames[0].type, GO_AWAY);
    assert_int_equal(lone->frames[0].length, TERN_YAMUX_GOAWAY_PROTOCOL);
    assert_false(ops->want_send(lone->mux.self));
    assert_int_equal(yamux_lone_pull(lone, 1000), 0);
    assert_int_equal(ops->deadline(lone->mux.self), TERN_TIME_NEVER);
}

struct rejected {
    const char *what;
    tern_fault fault;
    tern_err err;
    struct tern_yamux_header header;
    uint8_t version;
    size_t payload;
};

/* Stream 1 is open by the remote, stream 2 by us, when the frame comes. */
static const struct rejected rejected[] = {
    {"version 1", TERN_FAULT_YAMUX_BAD_VERSION, TERN_ERR_MALFORMED, {.type = PING}, 1, 0},
    {"version 255", TERN_FAULT_YAMUX_BAD_VERSION, TERN_ERR_MALFORMED, {.type = DATA}, 255, 0},
    {"type 4", TERN_FAULT_YAMUX_BAD_TYPE, TERN_ERR_MALFORMED, {.type = 4}, 0, 0},
    {"type 255", TERN_FAULT_YAMUX_BAD_TYPE, TERN_ERR_MALFORMED, {.type = 255}, 0, 0},
    {"data on 0", TERN_FAULT_YAMUX_STREAM_ZERO, TERN_ERR_PROTOCOL, {.type = DATA}, 0, 0},
    {"update on 0", TERN_FAULT_YAMUX_STREAM_ZERO, TERN_ERR_PROTOCOL, {.type = UPDATE}, 0, 0},
    {"SYN on 0", TERN_FAULT_YAMUX_STREAM_ZERO, TERN_ERR_PROTOCOL, {DATA, 0, SYN, 0, 0}, 0, 0},
    {"our parity", TERN_FAULT_YAMUX_WRONG_PARITY, TERN_ERR_PROTOCOL, {0, UPDATE, SYN, 4, 0}, 0, 0},
    {"our parity, data",
     TERN_FAULT_YAMUX_WRONG_PARITY,
     TERN_ERR_PROTOCOL,
     {0, DATA, SYN, 8, 1},
     0,
     1},
    {"SYN twice", TERN_FAULT_YAMUX_DUPLICATE_SYN, TERN_ERR_PROTOCOL, {0, UPDATE, SYN, 1, 0}, 0, 0},
    {"SYN on ours", TERN_FAULT_YAMUX_DUPLICATE_SYN, TERN_ERR_PROTOCOL, {0, DATA, SYN, 2, 0}, 0, 0},
    {"one byte over the window",
     TERN_FAULT_YAMUX_WINDOW_OVERFLOW,
     TERN_ERR_PROTOCOL,
     {0, DATA, 0, 1, WINDOW + 1},
     0,
     0},
    /* GHSA-hmj8-5xmh-5573: a DATA frame that claims 4 GiB was buffered as a whole. */
    {"GHSA-hmj8-5xmh-5573",
     TERN_FAULT_YAMUX_WINDOW_OVERFLOW,
     TERN_ERR_PROTOCOL,
     {0, DATA, 0, 1, UINT32_MAX},
     0,
     1000},
    /* CVE-2026-32314 (GHSA-vxx9-2994-q338): DATA|SYN with more than 256 KiB made the receiver
       panic. */
    {"CVE-2026-32314",
     TERN_FAULT_YAMUX_WINDOW_OVERFLOW,
     TERN_ERR_PROTOCOL,
     {0, DATA, SYN, 3, WINDOW + 1},
     0,
     WINDOW + 1},
    {"CVE-2026-32314 with FIN",
     TERN_FAULT_YAMUX_WINDOW_OVERFLOW,
     TERN_ERR_PROTOCOL,
     {0, DATA, SYN | FIN, 3, UINT32_MAX},
     0,
     0},
    /* GHSA-4w32-2493-32g7: credit that overflows the send window made the receiver panic. */
    {"GHSA-4w32-2493-32g7",
     TERN_FAULT_YAMUX_CREDIT_OVERFLOW,
     TERN_ERR_PROTOCOL,
     {0, UPDATE, 0, 1, UINT32_MAX},
     0,
     0},
    {"GHSA-4w32-2493-32g7 with SYN",
     TERN_FAULT_YAMUX_CREDIT_OVERFLOW,
     TERN_ERR_PROTOCOL,
     {0, UPDATE, SYN, 3, UINT32_MAX - WINDOW + 1},
     0,
     0},
    {"an unknown stream's frame over any window",
     TERN_FAULT_YAMUX_FRAME_TOO_LARGE,
     TERN_ERR_PROTOCOL,
     {0, DATA, 0, 77, TERN_YAMUX_WINDOW_DEFAULT + 1},
     0,
     0},
    {"a reset stream's frame over any window",
     TERN_FAULT_YAMUX_FRAME_TOO_LARGE,
     TERN_ERR_PROTOCOL,
     {0, DATA, RST, 1, UINT32_MAX},
     0,
     0},
};

static void bad_frames_end_the_session_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(rejected); i++) {
        const struct rejected *r = &rejected[i];
        struct yamux_lone *lone = yamux_lone_new(listener);
        yamux_lone_accept(lone, 1);
        yamux_lone_pull(lone, 1000);
        yamux_lone_open(lone, TERN_STREAM_BULK);
        size_t used = lone->mem.used;
        uint8_t *bytes = calloc(1, 12 + r->payload);
        assert_non_null(bytes);
        bytes[0] = r->version;
        bytes[1] = r->header.type;
        bytes[3] = (uint8_t)r->header.flags;
        for (unsigned b = 0; b < 4; b++) {
            bytes[4 + b] = (uint8_t)(r->header.stream_id >> (24 - 8 * b));
            bytes[8 + b] = (uint8_t)(r->header.length >> (24 - 8 * b));
        }
        tern_err err = yamux_lone_feed(lone, bytes, 12 + r->payload);
        free(bytes);
        if (err != r->err)
            fail_msg("%s: %s", r->what, tern_err_name(err));
        /* Nothing of it was kept: at most a stream's object. */
        assert_true(lone->mem.used <= used + sizeof(struct tern_yamux_stream) + 128);
        expect_end(lone, r->err, r->fault);
        yamux_lone_free(lone);
    }
}

static void the_window_holds_over_many_frames(void **state)
{
    (void)state;
    struct yamux_lone *lone = yamux_lone_new(listener);
    yamux_lone_accept(lone, 1);
    for (uint32_t sent = 0; sent < WINDOW; sent += 4096)
        assert_int_equal(yamux_lone_frame(lone, frame(DATA, 0, 1, 4096), 4096), TERN_OK);
    assert_true(lone->mem.used < 2 * WINDOW);
    assert_int_equal(yamux_lone_frame(lone, frame(DATA, 0, 1, 0), 0), TERN_OK);
    yamux_lone_pull(lone, 1000);
    assert_int_equal(yamux_lone_frame(lone, frame(DATA, 0, 1, 1), 1), TERN_ERR_PROTOCOL);
    expect_end(lone, TERN_ERR_PROTOCOL, TERN_FAULT_YAMUX_WINDOW_OVERFLOW);
    yamux_lone_free(lone);
}

static void credit_up_to_the_last_unit_is_taken(void **state)
{
    (void)state;
    struct yamux_lone *lone = yamux_lone_new(listener);
    yamux_lone_accept(lone, 1);
    assert_int_equal(yamux_lone_frame(lone, frame(UPDATE, 0, 1, UINT32_MAX - WINDOW), 0), TERN_OK);
    assert_int_equal(yamux_lone_frame(lone, frame(UPDATE, 0, 1, 0), 0), TERN_OK);
    assert_int_equal(yamux_lone_frame(lone, frame(UPDATE, 0, 1, 1), 0), TERN_ERR_PROTOCOL);
    assert_int_equal(lone->mux.ops->fault(lone->mux.self), TERN_FAULT_YAMUX_CREDIT_OVERFLOW);
    yamux_lone_free(lone);
}

/* CVE-2024-32984: a remote that makes us answer but never reads grew our queue of control frames
 * without bound. Here every kind of answer is bounded while the link takes nothing. */
static void cve_2024_32984_control_frames_do_not_pile_up(void **state)
{
    (void)state;
    struct yamux_lone *lone = yamux_lone_new(listener);
    size_t idle = lone->mem.used;
    /* Pings: eight answers wait, the others are dropped. */
    for (uint32_t i = 0; i < 100; i++)
        assert_int_equal(yamux_lone_frame(lone, frame(PING, SYN, 0, i), 0), TERN_OK);
    assert_int_equal(lone->mem.used, idle);
    yamux_lone_pull(lone, 65519);
    assert_int_equal(lone->frames_count, TERN_YAMUX_PONGS_MAX);
    /* Updates: one a stream, however often it is consumed. */
    tern_stream_id id = yamux_lone_accept(lone, 1);
    size_t one = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        uint32_t credit = yamux_lone_stream(lone, id)->recv_credit;
        if (credit == 0)
            break;
        uint32_t part = credit < 1000 ? credit : 1000;
        assert_int_equal(yamux_lone_frame(lone, frame(DATA, 0, 1, part), part), TERN_OK);
        lone->mux.ops->consume(lone->mux.self, id, part);
        if (i == 0)
            one = lone->mem.used;
    }
    assert_int_equal(lone->mem.used, one);
    yamux_lone_pull(lone, 65519);
    assert_int_equal(lone->frames_count, 1);
    assert_int_equal(lone->frames[0].length, WINDOW);
    /* Window updates and stray frames of theirs ask for no answer at all. */
    for (uint32_t i = 0; i < 10000; i++) {
        assert_int_equal(yamux_lone_frame(lone, frame(UPDATE, 0, 1, 1), 0), TERN_OK);
        assert_int_equal(yamux_lone_frame(lone, frame(DATA, FIN, 99, 0), 0), TERN_OK);
        assert_int_equal(yamux_lone_frame(lone, frame(PING, ACK, 0, i), 0), TERN_OK);
    }
    assert_int_equal(lone->mem.used, one);
    assert_false(lone->mux.ops->want_send(lone->mux.self));
    yamux_lone_free(lone);
}

static void a_flood_of_pings_ends_the_session(void **state)
{
    (void)state;
    struct yamux_lone *lone = yamux_lone_new(listener);
    uint32_t answered = 0;
    uint32_t sent = 0;
    while (yamux_lone_frame(lone, frame(PING, SYN, 0, sent), 0) == TERN_OK) {
        sent++;
        yamux_lone_pull(lone, 65519);
        answered += (uint32_t)lone->frames_count;
        assert_true(sent < 1000);
    }
    assert_int_equal(answered, sent);
    assert_in_range(sent, 100, 200);
    expect_end(lone, TERN_ERR_PROTOCOL, TERN_FAULT_YAMUX_PING_FLOOD);
    yamux_lone_free(lone);
}

static void regular_pings_are_answered_for_ever(void **state)
{
    (void)state;
    struct yamux_lone *lone = yamux_lone_new(listener);
    for (uint32_t i = 0; i < 5000; i++) {
        lone->now += 200 * TERN_MILLISECOND;
        assert_int_equal(yamux_lone_frame(lone, frame(PING, SYN, 0, i), 0), TERN_OK);
        yamux_lone_pull(lone, 65519);
        assert_true(lone->frames_count >= 1);
    }
    yamux_lone_free(lone);
}

/* As HTTP/2's rapid reset (CVE-2023-44487): streams that are opened and reset at once cost the
 * other side work without limit, because none counts as open. */
static void rapid_resets_end_the_session(void **state)
{
    (void)state;
    for (int form = 0; form < 3; form++) {
        struct yamux_lone *lone = yamux_lone_new(listener);
        size_t idle = lone->mem.used;
        uint32_t cycles = 0;
        tern_err err = TERN_OK;
        while (err == TERN_OK && cycles < 100000) {
            uint32_t id = 1 + 2 * cycles;
            if (form == 0)
                err = yamux_lone_frame(lone, frame(UPDATE, SYN | RST, id, 0), 0);
            else
                err = yamux_lone_frame(lone, frame(DATA, SYN, id, 0), 0);
            if (form == 1 && err == TERN_OK)
                err = yamux_lone_frame(lone, frame(UPDATE, RST, id, 0), 0);
            if (form == 2 && err == TERN_OK)
                err = yamux_lone_frame(lone, frame(DATA, RST, id, 0), 0);
            yamux_lone_pull(lone, 65519);
            cycles++;
        }
        assert_in_range(cycles, 1000, 2000);
        assert_true(lone->mem.used < idle + 4096);
        assert_int_equal(lone->mux.ops->error(lone->mux.self), TERN_ERR_PROTOCOL);
        assert_int_equal(lone->mux.ops->fault(lone->mux.self), TERN_FAULT_YAMUX_RESET_FLOOD);
        yamux_lone_free(lone);
    }
}

/* In one piece of bytes, streams that are reset before their owner heard of them leave no trace. */
static void a_stream_that_is_reset_at_once_is_never_seen(void **state)
{
    (void)state;
    struct yamux_lone *lone = yamux_lone_new(listener);
    uint8_t bytes[500 * 24];
    struct tern_writer w = tern_writer_of(bytes, sizeof(bytes));
    for (uint32_t i = 0; i < 500; i++) {
        struct tern_yamux_header syn = frame(DATA, SYN, 1 + 2 * i, 0);
        struct tern_yamux_header rst = frame(UPDATE, RST, 1 + 2 * i, 5);
        tern_yamux_header_write(&w, &syn);
        tern_yamux_header_write(&w, &rst);
    }
    size_t used = lone->mem.used;
    assert_int_equal(yamux_lone_feed(lone, bytes, sizeof(bytes)), TERN_OK);
    assert_int_equal(lone->log_count, 0);
    assert_int_equal(lone->mux.ops->streams_count(lone->mux.self), 0);
    assert_true(lone->mem.used < used + 1024);
    assert_false(lone->mux.ops->want_send(lone->mux.self));
    yamux_lone_free(lone);
}

static void streams_over_the_limit_are_refused_with_a_code(void **state)
{
    (void)state;
    struct tern_yamux_options options = listener;
    options.streams_in_max = 3;
    struct yamux_lone *lone = yamux_lone_new(options);
    for (uint32_t i = 0; i < 3; i++)
        yamux_lone_accept(lone, 1 + 2 * i);
    yamux_lone_pull(lone, 1000);
    /* The data of a refused stream is dropped. */
    assert_int_equal(yamux_lone_frame(lone, frame(DATA, SYN, 7, 1000), 1000), TERN_OK);
    assert_int_equal(yamux_lone_frame(lone, frame(DATA, FIN, 7, 1000), 1000), TERN_OK);
    assert_int_equal(lone->log_count, 0);
    assert_int_equal(yamux_lone_pull(lone, 1000), 12);
    assert_int_equal(lone->frames[0].flags, RST);
    assert_int_equal(lone->frames[0].stream_id, 7);
    assert_int_equal(lone->frames[0].length, TERN_MUX_CODE_RESOURCE_LIMIT);
    assert_int_equal(lone->metrics.faults[TERN_FAULT_YAMUX_STREAM_REFUSED], 1);
    assert_int_equal(lone->mux.ops->error(lone->mux.self), TERN_OK);
    yamux_lone_free(lone);
}

/* A remote that opens without end and reads no answer: the list of refusals is bounded. */
static void a_flood_of_refused_streams_ends_the_session(void **state)
{
    (void)state;
    struct tern_yamux_options options = listener;
    options.streams_in_max = 1;
    struct yamux_lone *lone = yamux_lone_new(options);
    yamux_lone_accept(lone, 1);
    uint32_t count = 0;
    while (yamux_lone_frame(lone, frame(UPDATE, SYN, 3 + 2 * count, 0), 0) == TERN_OK)
        assert_true(++count < 10000);
    assert_int_equal(count, TERN_YAMUX_REFUSALS_MAX);
    assert_true(lone->mem.used < 16 * 1024);
    expect_end(lone, TERN_ERR_PROTOCOL, TERN_FAULT_YAMUX_REFUSAL_FLOOD);
    yamux_lone_free(lone);
}

/* Streams that we reset while the link takes nothing keep counting until their RST has gone. */
static void resets_of_ours_are_bounded_by_the_limit_of_streams(void **state)
{
    (void)state;
    struct tern_yamux_options options = listener;
    options.streams_in_max = 10;
    struct yamux_lone *lone = yamux_lone_new(options);
    for (uint32_t i = 0; i < 10; i++) {
        tern_stream_id id = yamux_lone_accept(lone, 1 + 2 * i);
        lone->mux.ops->reset(lone->mux.self, id, 1);
    }
    assert_int_equal(lone->mux.ops->streams_count(lone->mux.self), 0);
    assert_int_equal(yamux_lone_frame(lone, frame(UPDATE, SYN, 101, 0), 0), TERN_OK);
    assert_int_equal(lone->log_count, 0);
    assert_int_equal(lone->metrics.faults[TERN_FAULT_YAMUX_STREAM_REFUSED], 1);
    yamux_lone_pull(lone, 1000);
    assert_int_equal(lone->frames_count, 11);
    yamux_lone_accept(lone, 103);
    yamux_lone_free(lone);
}

static void a_starved_stream_is_reset_and_the_session_lives(void **state)
{
    (void)state;
    struct yamux_lone *lone = yamux_lone_new(listener);
    tern_stream_id poor = yamux_lone_accept(lone, 1);
    tern_stream_id other = yamux_lone_accept(lone, 3);
    yamux_lone_pull(lone, 1000);
    lone->scope.limits.max[TERN_RESOURCE_MEMORY] = lone->scope.used[TERN_RESOURCE_MEMORY] + 5000;
    assert_int_equal(yamux_lone_frame(lone, frame(DATA, 0, 1, 6000), 6000), TERN_OK);
    assert_int_equal(yamux_lone_count(lone, TERN_MUX_RESET), 1);
    assert_int_equal(lone->log[lone->log_count - 1].stream, poor);
    assert_int_equal(lone->log[lone->log_count - 1].code, TERN_MUX_CODE_RESOURCE_LIMIT);
    assert_int_equal(lone->metrics.faults[TERN_FAULT_YAMUX_STREAM_STARVED], 1);
    yamux_lone_pull(lone, 1000);
    assert_int_equal(lone->frames_count, 1);
    assert_int_equal(lone->frames[0].flags, RST);
    assert_int_equal(lone->frames[0].stream_id, 1);
    assert_int_equal(yamux_lone_frame(lone, frame(DATA, 0, 3, 4000), 4000), TERN_OK);
    assert_int_equal(lone->mux.ops->unread(lone->mux.self, other), 4000);
    yamux_lone_free(lone);
}

/* The id of a stream that has ended may come again, as a new stream of which nothing is old. */
static void a_wire_id_that_ended_is_a_new_stream(void **state)
{
    (void)state;
    struct yamux_lone *lone = yamux_lone_new(listener);
    tern_stream_id first = yamux_lone_accept(lone, 1);
    assert_int_equal(yamux_lone_frame(lone, frame(DATA, 0, 1, 100), 100), TERN_OK);
    assert_int_equal(yamux_lone_frame(lone, frame(UPDATE, RST, 1, 0), 0), TERN_OK);
    tern_stream_id second = yamux_lone_accept(lone, 1);
    assert_true(first != second);
    assert_int_equal(lone->mux.ops->unread(lone->mux.self, second), 0);
    struct tern_slice bytes;
    assert_int_equal(lone->mux.ops->read(lone->mux.self, first, &bytes), TERN_ERR_STALE);
    yamux_lone_free(lone);
}

static void our_ids_run_out_in_good_order(void **state)
{
    (void)state;
    struct yamux_lone *lone = yamux_lone_new(listener);
    yamux_lone_core(lone)->wire_id_next = UINT32_MAX - 5; /* even, as a listener's */
    tern_stream_id ids[3];
    assert_int_equal(lone->mux.ops->open(lone->mux.self, TERN_STREAM_BULK, &ids[0]), TERN_OK);
    assert_int_equal(lone->mux.ops->open(lone->mux.self, TERN_STREAM_BULK, &ids[1]), TERN_OK);
    assert_int_equal(lone->mux.ops->open(lone->mux.self, TERN_STREAM_BULK, &ids[2]),
                     TERN_ERR_CLOSED);
    for (int i = 0; i < 2; i++)
        yamux_lone_write(lone, ids[i], 'x', 1);
    yamux_lone_pull(lone, 1000);
    assert_int_equal(lone->frames[0].stream_id, UINT32_MAX - 5);
    assert_int_equal(lone->frames[1].stream_id, UINT32_MAX - 3);
    assert_int_equal(lone->mux.ops->open(lone->mux.self, TERN_STREAM_BULK, &ids[2]),
                     TERN_ERR_CLOSED);
    assert_int_equal(lone->mux.ops->error(lone->mux.self), TERN_OK);
    yamux_lone_free(lone);
}

static void generations_never_repeat_an_id(void **state)
{
    (void)state;
    struct yamux_lone *lone = yamux_lone_new(listener);
    yamux_lone_core(lone)->streams.generation = UINT32_MAX - 2;
    tern_stream_id last = TERN_STREAM_NONE;
    for (int i = 0; i < 6; i++) {
        tern_stream_id id;
        assert_int_equal(lone->mux.ops->open(lone->mux.self, TERN_STREAM_BULK, &id), TERN_OK);
        assert_true(id != TERN_STREAM_NONE && id != last && id >> 32 != 0);
        lone->mux.ops->reset(lone->mux.self, id, 0);
        last = id;
    }
    yamux_lone_free(lone);
}

static void no_more_than_256_streams_wait_for_ack(void **state)
{
    (void)state;
    struct yamux_lone *lone = yamux_lone_new(listener);
    tern_stream_id ids[TERN_YAMUX_BACKLOG_MAX];
    tern_stream_id id;
    for (size_t i = 0; i < TERN_COUNT_OF(ids); i++) {
        assert_int_equal(lone->mux.ops->open(lone->mux.self, TERN_STREAM_BULK, &ids[i]), TERN_OK);
        yamux_lone_write(lone, ids[i], 'x', 1);
    }
    assert_int_equal(lone->mux.ops->open(lone->mux.self, TERN_STREAM_BULK, &id), TERN_ERR_FULL);
    yamux_lone_pull(lone, 65519);
    assert_int_equal(lone->mux.ops->open(lone->mux.self, TERN_STREAM_BULK, &id), TERN_ERR_FULL);
    /* Any frame of a stream counts as an answer; so does its reset, by either. */
    assert_int_equal(yamux_lone_frame(lone, frame(UPDATE, ACK, 2, 0), 0), TERN_OK);
    assert_int_equal(yamux_lone_frame(lone, frame(UPDATE, ACK, 2, 0), 0), TERN_OK);
    assert_int_equal(yamux_lone_frame(lone, frame(UPDATE, RST, 4, 0), 0), TERN_OK);
    assert_int_equal(yamux_lone_frame(lone, frame(DATA, 0, 6, 3), 3), TERN_OK);
    lone->mux.ops->reset(lone->mux.self, ids[3], 0);
    yamux_lone_pull(lone, 65519);
    for (int i = 0; i < 4; i++)
        assert_int_equal(lone->mux.ops->open(lone->mux.self, TERN_STREAM_BULK, &id), TERN_OK);
    assert_int_equal(lone->mux.ops->open(lone->mux.self, TERN_STREAM_BULK, &id), TERN_ERR_FULL);
    yamux_lone_free(lone);
}

/* A header may come byte by byte for ever: it costs nothing and breaks nothing. */
static void a_header_in_pieces_is_waited_for(void **state)
{
    (void)state;
    struct yamux_lone *lone = yamux_lone_new(listener);
    static const uint8_t bytes[] = {0, 0, 0, SYN, 0, 0, 0, 1, 0, 0, 0, 1, 'x'};
    size_t used = lone->mem.used;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        assert_int_equal(yamux_lone_feed(lone, bytes + i, 1), TERN_OK);
        if (i < 11)
            assert_int_equal(lone->mem.used, used);
    }
    assert_int_equal(yamux_lone_count(lone, TERN_MUX_READABLE), 1);
    yamux_lone_free(lone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_frames_end_the_session_by_name),
        cmocka_unit_test(the_window_holds_over_many_frames),
        cmocka_unit_test(credit_up_to_the_last_unit_is_taken),
        cmocka_unit_test(cve_2024_32984_control_frames_do_not_pile_up),
        cmocka_unit_test(a_flood_of_pings_ends_the_session),
        cmocka_unit_test(regular_pings_are_answered_for_ever),
        cmocka_unit_test(rapid_resets_end_the_session),
        cmocka_unit_test(a_stream_that_is_reset_at_once_is_never_seen),
        cmocka_unit_test(streams_over_the_limit_are_refused_with_a_code),
        cmocka_unit_test(a_flood_of_refused_streams_ends_the_session),
        cmocka_unit_test(resets_of_ours_are_bounded_by_the_limit_of_streams),
        cmocka_unit_test(a_starved_stream_is_reset_and_the_session_lives),
        cmocka_unit_test(a_wire_id_that_ended_is_a_new_stream),
        cmocka_unit_test(our_ids_run_out_in_good_order),
        cmocka_unit_test(generations_never_repeat_an_id),
        cmocka_unit_test(no_more_than_256_streams_wait_for_ack),
        cmocka_unit_test(a_header_in_pieces_is_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
