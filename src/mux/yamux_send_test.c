/*
 * What goes out and in which order: sizes of frames, turns, weights, control first; pings and dead
 * remotes; and what a session and a stream weigh.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
/* cmocka.h needs those first. */
#include <cmocka.h>

#include "mux/yamux_lone.h"

enum { ROOM = 65519, HEADER = TERN_YAMUX_HEADER_SIZE };

static const struct tern_yamux_options dialer = {.initiator = true};

/* lone_credit raises the credit of our stream. */
static void lone_credit(struct yamux_lone *lone, uint32_t wire_id, uint32_t credit)
{
    struct tern_yamux_header update = {.type = TERN_YAMUX_WINDOW_UPDATE,
                                       .flags = TERN_YAMUX_ACK,
                                       .stream_id = wire_id,
                                       .length = credit};
    assert_int_equal(yamux_lone_frame(lone, update, 0), TERN_OK);
}

static void one_busy_stream_gets_frames_as_large_as_the_room(void **state)
{
    (void)state;
    struct yamux_lone *lone = yamux_lone_new(dialer);
    tern_stream_id id = yamux_lone_open(lone, TERN_STREAM_BULK);
    yamux_lone_open(lone, TERN_STREAM_BLOCKS); /* has nothing to say */
    yamux_lone_write(lone, id, 'x', 200000);
    assert_int_equal(yamux_lone_pull(lone, ROOM), ROOM);
    assert_int_equal(lone->frames_count, 1);
    assert_int_equal(lone->frames[0].length, ROOM - HEADER);
    assert_int_equal(yamux_lone_pull(lone, 1000), 1000);
    assert_int_equal(lone->frames_count, 1);
    yamux_lone_free(lone);
}

static void frames_are_whole_in_any_room(void **state)
{
    (void)state;
    struct yamux_lone *lone = yamux_lone_new(dialer);
    tern_stream_id id = yamux_lone_open(lone, TERN_STREAM_BULK);
    for (size_t room = 0; room < 3000; room++) {
        yamux_lone_write(lone, id, 'x', 50);
        struct tern_yamux_header update = {
            .type = TERN_YAMUX_WINDOW_UPDATE, .stream_id = 1, .length = 50};
        assert_int_equal(yamux_lone_frame(lone, update, 0), TERN_OK);
        size_t got = yamux_lone_pull(lone, room); /* checks the frames */
        assert_true(got <= room);
        assert_int_equal(got == 0, room <= HEADER);
    }
    while (lone->mux.ops->want_send(lone->mux.self))
        assert_true(yamux_lone_pull(lone, ROOM) > 0);
    yamux_lone_free(lone);
}

static void no_frame_is_cut_to_a_sliver(void **state)
{
    (void)state;
    struct yamux_lone *lone = yamux_lone_new(dialer);
    tern_stream_id a = yamux_lone_open(lone, TERN_STREAM_BULK);
    tern_stream_id b = yamux_lone_open(lone, TERN_STREAM_BULK);
    yamux_lone_write(lone, a, 'a', 3000);
    yamux_lone_write(lone, b, 'b', 3000);
    /* Room for the first and 500 bytes of the second: the second waits. */
    assert_int_equal(yamux_lone_pull(lone, 3000 + HEADER + HEADER + 500), 3000 + HEADER);
    assert_int_equal(yamux_lone_pull(lone, ROOM), 3000 + HEADER);
    yamux_lone_free(lone);
}

static void streams_of_a_class_take_turns_of_16_kib(void **state)
{
    (void)state;
    struct yamux_lone *lone = yamux_lone_new(dialer);
    uint64_t sent[8] = {0};
    tern_stream_id ids[4];
    for (uint32_t i = 0; i < 4; i++)
        ids[i] = yamux_lone_open(lone, TERN_STREAM_BLOCKS);
    for (uint32_t i = 0; i < 4; i++)
        yamux_lone_write(lone, ids[i], 'x', 200000);
    for (int i = 0; i < 8; i++) {
        yamux_lone_pull(lone, ROOM);
        for (size_t f = 0; f < lone->frames_count; f++) {
            assert_true(lone->frames[f].length <= 16 * 1024);
            sent[lone->frames[f].stream_id] += lone->frames[f].length;
        }
    }
    for (uint32_t i = 0; i < 4; i++)
        assert_in_range(sent[1 + 2 * i], 2 * ROOM - 20000, 2 * ROOM + 20000);
    yamux_lone_free(lone);
}

static void classes_share_by_weight_and_none_starves(void **state)
{
    (void)state;
    static const struct {
        enum tern_stream_class class;
        uint64_t weight;
    } rows[] = {{TERN_STREAM_CONSENSUS, 8},
                {TERN_STREAM_BLOCKS, 4},
                {TERN_STREAM_TRANSACTIONS, 2},
                {TERN_STREAM_MARKET, 2},
                {TERN_STREAM_BULK, 1}};
    struct tern_yamux_options options = dialer;
    options.send_buffer_max = 16 * 1024 * 1024;
    struct yamux_lone *lone = yamux_lone_new(options);
    uint64_t sent[16] = {0};
    /* Two streams of BLOCKS: the share is the class's, however many streams it has. */
    tern_stream_id ids[TERN_COUNT_OF(rows) + 1];
    for (uint32_t i = 0; i <= TERN_COUNT_OF(rows); i++) {
        bool extra = i == TERN_COUNT_OF(rows);
        ids[i] = yamux_lone_open(lone, extra ? TERN_STREAM_BLOCKS : rows[i].class);
        lone_credit(lone, lone->frames[0].stream_id, 1 << 30);
    }
    for (uint32_t i = 0; i <= TERN_COUNT_OF(rows); i++) {
        bool extra = i == TERN_COUNT_OF(rows);
        yamux_lone_write(lone, ids[i], (uint8_t)(extra ? 1 : i), 12 * 1024 * 1024);
    }
    uint64_t total = 0;
    while (total < 17 * 1024 * 1024) {
        yamux_lone_pull(lone, ROOM);
        size_t offset = 0;
        for (size_t f = 0; f < lone->frames_count; f++) {
            sent[lone->out[offset + HEADER]] += lone->frames[f].length;
            total += lone->frames[f].length;
            offset += HEADER + lone->frames[f].length;
        }
    }
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++) {
        uint64_t share = total * rows[i].weight / 17;
        assert_in_range(sent[i], share * 95 / 100, share * 105 / 100);
    }
    yamux_lone_free(lone);
}

static void a_control_stream_goes_before_all_others(void **state)
{
    (void)state;
    struct yamux_lone *lone = yamux_lone_new(dialer);
    tern_stream_id bulk = yamux_lone_open(lone, TERN_STREAM_CONSENSUS);
    tern_stream_id control = yamux_lone_open(lone, TERN_STREAM_CONTROL);
    yamux_lone_write(lone, bulk, 'b', 200000);
    yamux_lone_pull(lone, ROOM);
    yamux_lone_write(lone, control, 'c', 40000);
    yamux_lone_pull(lone, ROOM);
    assert_int_equal(lone->frames[0].stream_id, 3);
    assert_int_equal(lone->frames[0].length, 40000);
    assert_int_equal(lone->frames[1].stream_id, 1);
    assert_int_equal(lone->out_size, ROOM);
    yamux_lone_free(lone);
}

static void set_class_moves_a_stream_that_waits(void **state)
{
    (void)state;
    struct yamux_lone *lone = yamux_lone_new(dialer);
    tern_stream_id a = yamux_lone_open(lone, TERN_STREAM_BULK);
    tern_stream_id b = yamux_lone_open(lone, TERN_STREAM_BULK);
    yamux_lone_write(lone, a, 'a', 100);
    yamux_lone_write(lone, b, 'b', 100);
    lone->mux.ops->set_class(lone->mux.self, b, TERN_STREAM_CONTROL);
    yamux_lone_pull(lone, ROOM);
    assert_int_equal(lone->frames_count, 2);
    assert_int_equal(lone->frames[0].stream_id, 3);
    assert_int_equal(lone->frames[1].stream_id, 1);
    yamux_lone_free(lone);
}

static void control_frames_go_before_data(void **state)
{
    (void)state;
    struct yamux_lone *lone = yamux_lone_new(dialer);
    tern_stream_id bulk = yamux_lone_open(lone, TERN_STREAM_BULK);
    tern_stream_id gone = yamux_lone_open(lone, TERN_STREAM_BULK);
    yamux_lone_accept(lone, 2);
    yamux_lone_write(lone, bulk, 'b', 200000);
    lone->mux.ops->reset(lone->mux.self, gone, 9);
    struct tern_yamux_header ping = {
        .type = TERN_YAMUX_PING, .flags = TERN_YAMUX_SYN, .length = 77};
    assert_int_equal(yamux_lone_frame(lone, ping, 0), TERN_OK);
    yamux_lone_pull(lone, ROOM);
    assert_int_equal(lone->frames_count, 4);
    assert_int_equal(lone->frames[0].type, TERN_YAMUX_PING);
    assert_int_equal(lone->frames[1].flags, TERN_YAMUX_ACK);
    assert_int_equal(lone->frames[2].flags, TERN_YAMUX_RST);
    assert_int_equal(lone->frames[3].type, TERN_YAMUX_DATA);
    yamux_lone_free(lone);
}

static void without_credit_nothing_is_sent_but_fin_waits_for_the_data(void **state)
{
    (void)state;
    struct yamux_lone *lone = yamux_lone_new(dialer);
    tern_stream_id id = yamux_lone_open(lone, TERN_STREAM_BULK);
    yamux_lone_write(lone, id, 'x', TERN_YAMUX_WINDOW_INITIAL);
    assert_int_equal(lone->mux.ops->close_write(lone->mux.self, id), TERN_OK);
    while (lone->mux.ops->want_send(lone->mux.self))
        yamux_lone_pull(lone, ROOM);
    assert_int_equal(lone->mux.ops->queued(lone->mux.self, id), 1);
    lone_credit(lone, 1, 1);
    yamux_lone_pull(lone, HEADER + 1);
    assert_int_equal(lone->frames[0].length, 1);
    assert_int_equal(lone->frames[0].flags, 0);
    assert_true(lone->mux.ops->want_send(lone->mux.self));
    yamux_lone_pull(lone, ROOM);
    assert_int_equal(lone->frames_count, 1);
    assert_int_equal(lone->frames[0].flags, TERN_YAMUX_FIN);
    assert_int_equal(lone->frames[0].length, 0);
    yamux_lone_free(lone);
}

static void writable_comes_when_half_the_buffer_is_free(void **state)
{
    (void)state;
    struct tern_yamux_options options = dialer;
    options.send_buffer_max = 100000;
    struct yamux_lone *lone = yamux_lone_new(options);
    tern_stream_id id = yamux_lone_open(lone, TERN_STREAM_BULK);
    static const uint8_t bytes[150000];
    size_t accepted;
    assert_int_equal(
        lone->mux.ops->write(lone->mux.self, id, tern_view_of(bytes, sizeof(bytes)), &accepted),
        TERN_OK);
    assert_int_equal(accepted, 100000);
    yamux_lone_pull(lone, 40000);
    assert_int_equal(yamux_lone_count(lone, TERN_MUX_WRITABLE), 0);
    yamux_lone_pull(lone, 20000);
    assert_int_equal(yamux_lone_count(lone, TERN_MUX_WRITABLE), 1);
    yamux_lone_pull(lone, 20000);
    assert_int_equal(yamux_lone_count(lone, TERN_MUX_WRITABLE), 0);
    yamux_lone_free(lone);
}

static void a_busy_session_allocates_nothing_per_frame(void **state)
{
    (void)state;
    struct yamux_lone *lone = yamux_lone_new(dialer);
    tern_stream_id id = yamux_lone_open(lone, TERN_STREAM_BULK);
    lone_credit(lone, 1, 1 << 30);
    static uint8_t bytes[HEADER + 60000];
    struct tern_writer w = tern_writer_of(bytes, HEADER);
    const struct tern_yamux_header data = {
        .type = TERN_YAMUX_DATA, .stream_id = 1, .length = 60000};
    tern_yamux_header_write(&w, &data);
    struct tern_mem link;
    tern_mem_init(&link, 0);
    struct tern_chunk *chunk = tern_chunk_copy(&link, tern_view_of(bytes, sizeof(bytes)));
    assert_non_null(chunk);
    uint64_t before = 0;
    for (int i = 0; i < 200; i++) {
        struct tern_slice in = {.chunk = chunk, .view = tern_chunk_view(chunk)};
        size_t used = 0;
        assert_int_equal(lone->mux.ops->recv(lone->mux.self, lone->now, in, &used), TERN_OK);
        lone->mux.ops->consume(lone->mux.self, id, 60000);
        struct tern_slice slice = {.chunk = chunk, .view = tern_view_of(chunk->data, 50000)};
        assert_int_equal(lone->mux.ops->write_slice(lone->mux.self, id, slice), TERN_OK);
        yamux_lone_pull(lone, ROOM);
        if (i == 10)
            before = lone->mem.allocs;
    }
    assert_int_equal(lone->mem.allocs, before);
    yamux_lone_free(lone);
    tern_chunk_unref(chunk);
    tern_mem_fini(&link);
}

static void what_a_session_and_a_stream_weigh(void **state)
{
    (void)state;
    struct yamux_lone *lone = yamux_lone_new(dialer);
    size_t session = lone->mem.used;
    for (uint32_t i = 0; i < 1000; i++)
        yamux_lone_accept(lone, 2 + 2 * i);
    yamux_lone_pull(lone, ROOM);
    size_t streams = lone->mem.used - session;
    print_message("session %zu bytes, stream %zu bytes with its share of the tables\n", session,
                  streams / 1000);
    assert_true(session < 1024);
    assert_true(streams / 1000 < 300);
    /* A stream that was busy weighs no more when it is at rest again. */
    tern_stream_id id = yamux_lone_open(lone, TERN_STREAM_BULK);
    size_t before = lone->mem.used;
    yamux_lone_write(lone, id, 'x', 100000);
    struct tern_yamux_header data = {.type = TERN_YAMUX_DATA, .stream_id = 1, .length = 100000};
    assert_int_equal(yamux_lone_frame(lone, data, 100000), TERN_OK);
    lone->mux.ops->consume(lone->mux.self, id, 100000);
    while (lone->mux.ops->want_send(lone->mux.self))
        yamux_lone_pull(lone, ROOM);
    assert_true(lone->mem.used - before < 200);
    /* And when all have ended, the session is light again. */
    for (uint32_t i = 0; i < 1000; i++) {
        struct tern_yamux_header rst = {
            .type = TERN_YAMUX_WINDOW_UPDATE, .flags = TERN_YAMUX_RST, .stream_id = 2 + 2 * i};
        assert_int_equal(yamux_lone_frame(lone, rst, 0), TERN_OK);
    }
    lone->mux.ops->reset(lone->mux.self, id, 0);
    yamux_lone_pull(lone, ROOM);
    assert_int_equal(lone->mux.ops->streams_count(lone->mux.self), 0);
    assert_true(lone->mem.used < session + 512);
    yamux_lone_free(lone);
}

/* ---- pings ---- */

static tern_err answer(struct yamux_lone *lone)
{
    assert_true(lone->frames_count > 0);
    assert_int_equal(lone->frames[0].type, TERN_YAMUX_PING);
    struct tern_yamux_header pong = lone->frames[0];
    pong.flags = TERN_YAMUX_ACK;
    return yamux_lone_frame(lone, pong, 0);
}

static void a_session_at_rest_is_left_alone(void **state)
{
    (void)state;
    struct yamux_lone *lone = yamux_lone_new(dialer);
    assert_int_equal(answer(lone), TERN_OK);
    assert_int_equal(lone->mux.ops->deadline(lone->mux.self), TERN_TIME_NEVER);
    lone->now += TERN_HOUR;
    lone->mux.ops->tick(lone->mux.self, lone->now);
    assert_false(lone->mux.ops->want_send(lone->mux.self));
    /* When something comes, the round trip is measured anew. */
    struct tern_yamux_header stray = {
        .type = TERN_YAMUX_DATA, .flags = TERN_YAMUX_FIN, .stream_id = 2};
    assert_int_equal(yamux_lone_frame(lone, stray, 0), TERN_OK);
    assert_true(lone->mux.ops->want_send(lone->mux.self));
    yamux_lone_pull(lone, ROOM);
    lone->now += 7 * TERN_MILLISECOND;
    assert_int_equal(answer(lone), TERN_OK);
    assert_int_equal(lone->log[0].kind, TERN_MUX_RTT);
    assert_int_equal(lone->log[0].rtt_ns, 7 * TERN_MILLISECOND);
    /* Not again within 30 s, nor while nothing comes. */
    lone->now += 29 * TERN_SECOND;
    assert_int_equal(yamux_lone_frame(lone, stray, 0), TERN_OK);
    assert_false(lone->mux.ops->want_send(lone->mux.self));
    yamux_lone_free(lone);
}

static void a_keep_alive_pings_each_interval(void **state)
{
    (void)state;
    struct tern_yamux_options options = dialer;
    options.ping_interval_ns = 15 * TERN_SECOND;
    struct yamux_lone *lone = yamux_lone_new(options);
    assert_int_equal(answer(lone), TERN_OK);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(lone->mux.ops->deadline(lone->mux.self), lone->now + 15 * TERN_SECOND);
        lone->now += 15 * TERN_SECOND - 1;
        lone->mux.ops->tick(lone->mux.self, lone->now);
        assert_false(lone->mux.ops->want_send(lone->mux.self));
        lone->now += 1;
        lone->mux.ops->tick(lone->mux.self, lone->now);
        assert_int_equal(yamux_lone_pull(lone, ROOM), HEADER);
        assert_int_equal(answer(lone), TERN_OK);
    }
    yamux_lone_free(lone);
}

static void what_comes_is_as_good_as_a_ping(void **state)
{
    (void)state;
    struct tern_yamux_options options = dialer;
    options.ping_interval_ns = 15 * TERN_SECOND;
    struct yamux_lone *lone = yamux_lone_new(options);
    assert_int_equal(answer(lone), TERN_OK);
    for (int i = 0; i < 2; i++) { /* then the round trip is measured again */
        lone->now += 14 * TERN_SECOND;
        struct tern_yamux_header stray = {.type = TERN_YAMUX_WINDOW_UPDATE, .stream_id = 9};
        assert_int_equal(yamux_lone_frame(lone, stray, 0), TERN_OK);
        assert_int_equal(lone->mux.ops->deadline(lone->mux.self), lone->now + 15 * TERN_SECOND);
        lone->mux.ops->tick(lone->mux.self, lone->now);
        assert_false(lone->mux.ops->want_send(lone->mux.self));
    }
    yamux_lone_free(lone);
}

static void a_listener_leaves_the_ping_to_the_dialer(void **state)
{
    (void)state;
    struct tern_yamux_options options = dialer;
    options.initiator = false;
    options.ping_interval_ns = 20 * TERN_SECOND;
    struct yamux_lone *lone = yamux_lone_new(options);
    assert_int_equal(answer(lone), TERN_OK);
    assert_int_equal(lone->mux.ops->deadline(lone->mux.self), lone->now + 22500 * TERN_MILLISECOND);
    yamux_lone_free(lone);
}

static void a_silent_remote_is_dead_after_the_timeout(void **state)
{
    (void)state;
    struct tern_yamux_options options = dialer;
    options.ping_interval_ns = 15 * TERN_SECOND;
    options.ping_timeout_ns = 10 * TERN_SECOND;
    struct yamux_lone *lone = yamux_lone_new(options);
    const struct tern_mux_ops *ops = lone->mux.ops;
    assert_int_equal(answer(lone), TERN_OK);
    lone->now = ops->deadline(lone->mux.self);
    ops->tick(lone->mux.self, lone->now);
    yamux_lone_pull(lone, ROOM);
    assert_int_equal(ops->deadline(lone->mux.self), lone->now + 10 * TERN_SECOND);
    /* Anything at all that comes is a sign of life. */
    lone->now += 6 * TERN_SECOND;
    struct tern_yamux_header stray = {.type = TERN_YAMUX_WINDOW_UPDATE, .stream_id = 9};
    assert_int_equal(yamux_lone_frame(lone, stray, 0), TERN_OK);
    assert_int_equal(ops->deadline(lone->mux.self), lone->now + 10 * TERN_SECOND);
    lone->now += 10 * TERN_SECOND - 1;
    ops->tick(lone->mux.self, lone->now);
    assert_int_equal(ops->error(lone->mux.self), TERN_OK);
    lone->now = ops->deadline(lone->mux.self);
    ops->tick(lone->mux.self, lone->now);
    assert_int_equal(ops->error(lone->mux.self), TERN_ERR_TIMEOUT);
    assert_int_equal(ops->fault(lone->mux.self), TERN_FAULT_NONE);
    assert_false(ops->want_send(lone->mux.self));
    assert_int_equal(ops->deadline(lone->mux.self), TERN_TIME_NEVER);
    yamux_lone_free(lone);
}

/* A link that takes nothing: the ping cannot even be sent, and that counts too. */
static void a_remote_that_reads_nothing_is_dead_too(void **state)
{
    (void)state;
    struct tern_yamux_options options = dialer;
    options.ping_interval_ns = 15 * TERN_SECOND;
    options.ping_timeout_ns = 10 * TERN_SECOND;
    struct yamux_lone *lone = yamux_lone_new(options);
    assert_int_equal(answer(lone), TERN_OK);
    for (int i = 0; i < 2; i++) {
        lone->now = lone->mux.ops->deadline(lone->mux.self);
        lone->mux.ops->tick(lone->mux.self, lone->now);
    }
    assert_int_equal(lone->now, TERN_SECOND + 25 * TERN_SECOND);
    assert_int_equal(lone->mux.ops->error(lone->mux.self), TERN_ERR_TIMEOUT);
    yamux_lone_free(lone);
}

static void options_over_their_limits_are_refused(void **state)
{
    (void)state;
    struct tern_mem mem;
    struct tern_scope scope;
    tern_mem_init(&mem, 0);
    tern_scope_init(&scope, "connection", NULL, NULL);
    const struct tern_yamux_options rows[] = {
        {.window_max = TERN_YAMUX_WINDOW_INITIAL - 1},
        {.window_max = TERN_YAMUX_WINDOW_LIMIT + 1},
        {.streams_in_max = TERN_YAMUX_STREAMS_LIMIT + 1},
        {.streams_out_max = TERN_YAMUX_STREAMS_LIMIT + 1},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++) {
        struct tern_yamux_options options = rows[i];
        options.mem = &mem;
        options.scope = &scope;
        struct tern_mux mux;
        assert_int_equal(tern_yamux_new(&options, TERN_SECOND, &mux), TERN_ERR_INVALID);
    }
    tern_scope_fini(&scope);
    tern_mem_fini(&mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_busy_stream_gets_frames_as_large_as_the_room),
        cmocka_unit_test(frames_are_whole_in_any_room),
        cmocka_unit_test(no_frame_is_cut_to_a_sliver),
        cmocka_unit_test(streams_of_a_class_take_turns_of_16_kib),
        cmocka_unit_test(classes_share_by_weight_and_none_starves),
        cmocka_unit_test(a_control_stream_goes_before_all_others),
        cmocka_unit_test(set_class_moves_a_stream_that_waits),
        cmocka_unit_test(control_frames_go_before_data),
        cmocka_unit_test(without_credit_nothing_is_sent_but_fin_waits_for_the_data),
        cmocka_unit_test(writable_comes_when_half_the_buffer_is_free),
        cmocka_unit_test(a_busy_session_allocates_nothing_per_frame),
        cmocka_unit_test(what_a_session_and_a_stream_weigh),
        cmocka_unit_test(a_session_at_rest_is_left_alone),
        cmocka_unit_test(a_keep_alive_pings_each_interval),
        cmocka_unit_test(what_comes_is_as_good_as_a_ping),
        cmocka_unit_test(a_listener_leaves_the_ping_to_the_dialer),
        cmocka_unit_test(a_silent_remote_is_dead_after_the_timeout),
        cmocka_unit_test(a_remote_that_reads_nothing_is_dead_too),
        cmocka_unit_test(options_over_their_limits_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
