/*
 * mplex on the wire, what it refuses, and what it does to slow readers. The remote is the test,
 * byte by byte.
 */
#include "mux/mplex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* cmocka.h needs those first. */
#include <cmocka.h>

#include "base/reader.h"
#include "mux/mplex_internal.h"
#include "mux/mux_model.h"

enum { LONE_OUT_MAX = 1 << 20, LONE_LOG_MAX = 4096, ROOM = 65519, MESSAGE = 16 * 1024 };

struct lone {
    struct tern_mem mem;
    struct tern_scope scope;
    struct tern_metrics metrics;
    struct tern_mux mux;
    tern_time now;
    uint8_t out[LONE_OUT_MAX]; /* what the last pull gave */
    size_t out_size;
    struct tern_mux_event log[LONE_LOG_MAX]; /* events of the last call */
    size_t log_count;
};

static struct lone *lone_new(struct tern_mplex_options options)
{
    struct lone *lone = calloc(1, sizeof(*lone));
    assert_non_null(lone);
    tern_mem_init(&lone->mem, 0);
    tern_scope_init(&lone->scope, "connection", NULL, NULL);
    lone->now = TERN_SECOND;
    options.mem = &lone->mem;
    options.scope = &lone->scope;
    options.metrics = &lone->metrics;
    assert_int_equal(tern_mplex_new(&options, &lone->mux), TERN_OK);
    return lone;
}

static void lone_free(struct lone *lone)
{
    lone->mux.ops->fini(lone->mux.self);
    assert_int_equal(lone->mem.used, 0);
    tern_scope_fini(&lone->scope);
    tern_mem_fini(&lone->mem);
    free(lone);
}

static struct tern_mplex *lone_core(struct lone *lone)
{
    return lone->mux.self;
}

static void lone_drain(struct lone *lone)
{
    lone->log_count = 0;
    while (lone->mux.ops->next(lone->mux.self, &lone->log[lone->log_count])) {
        lone->log_count++;
        assert_true(lone->log_count < LONE_LOG_MAX);
    }
}

/* lone_offer gives bytes to recv once, and returns how many were taken. */
static size_t lone_offer(struct lone *lone, const void *bytes, size_t size)
{
    size_t used = 0;
    struct tern_slice slice = {.view = tern_view_of(bytes, size)};
    assert_int_equal(lone->mux.ops->recv(lone->mux.self, lone->now, slice, &used), TERN_OK);
    lone_drain(lone);
    return used;
}

static tern_err lone_feed(struct lone *lone, const void *bytes, size_t size)
{
    size_t used = 0;
    struct tern_slice slice = {.view = tern_view_of(bytes, size)};
    tern_err err = lone->mux.ops->recv(lone->mux.self, lone->now, slice, &used);
    assert_true(err != TERN_OK || used == size);
    lone_drain(lone);
    return err;
}

static size_t frame_write(uint8_t *to, uint64_t id, unsigned flag, uint64_t length)
{
    struct tern_writer w = tern_writer_of(to, 32);
    tern_writer_uvarint(&w, id << 3 | flag);
    tern_writer_uvarint(&w, length);
    return w.size;
}

/* lone_frame feeds a frame with size zero bytes. */
static tern_err lone_frame(struct lone *lone, uint64_t id, unsigned flag, size_t size)
{
    uint8_t *bytes = calloc(1, 32 + size);
    assert_non_null(bytes);
    size_t head = frame_write(bytes, id, flag, size);
    tern_err err = lone_feed(lone, bytes, head + size);
    free(bytes);
    return err;
}

static size_t lone_pull(struct lone *lone, size_t room)
{
    struct tern_writer w = tern_writer_of(lone->out, room);
    lone->mux.ops->send(lone->mux.self, lone->now, &w);
    assert_true(tern_writer_ok(&w));
    lone->out_size = w.size;
    lone_drain(lone);
    return w.size;
}

static void lone_expect(struct lone *lone, const char *bytes, size_t size)
{
    lone_pull(lone, ROOM);
    assert_int_equal(lone->out_size, size);
    assert_memory_equal(lone->out, bytes, size);
}

#define EXPECT(lone, bytes) lone_expect(lone, bytes, sizeof(bytes) - 1)
#define FEED(lone, bytes)   lone_feed(lone, bytes, sizeof(bytes) - 1)

static tern_stream_id lone_open(struct lone *lone)
{
    tern_stream_id id;
    assert_int_equal(lone->mux.ops->open(lone->mux.self, TERN_STREAM_BULK, &id), TERN_OK);
    return id;
}

static tern_stream_id lone_accept(struct lone *lone, uint64_t id)
{
    assert_int_equal(lone_frame(lone, id, MPLEX_NEW_STREAM, 0), TERN_OK);
    assert_int_equal(lone->log_count, 1);
    assert_int_equal(lone->log[0].kind, TERN_MUX_STREAM_OPENED);
    return lone->log[0].stream;
}

static void lone_write(struct lone *lone, tern_stream_id id, const void *bytes, size_t size)
{
    size_t accepted;
    assert_int_equal(lone->mux.ops->write(lone->mux.self, id, tern_view_of(bytes, size), &accepted),
                     TERN_OK);
    assert_int_equal(accepted, size);
}

static size_t lone_count(const struct lone *lone, enum tern_mux_event_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < lone->log_count; i++)
        count += lone->log[i].kind == kind;
    return count;
}

static size_t lone_unread(const struct lone *lone, tern_stream_id id)
{
    return lone->mux.ops->unread(lone->mux.self, id);
}

static void lone_consume(struct lone *lone, tern_stream_id id, size_t size)
{
    lone->mux.ops->consume(lone->mux.self, id, size);
}

static tern_err lone_read_err(struct lone *lone, tern_stream_id id)
{
    struct tern_slice bytes;
    return lone->mux.ops->read(lone->mux.self, id, &bytes);
}

static void lone_tick(struct lone *lone)
{
    lone->mux.ops->tick(lone->mux.self, lone->now);
    lone_drain(lone);
}

static void lone_close_write(struct lone *lone, tern_stream_id id)
{
    assert_int_equal(lone->mux.ops->close_write(lone->mux.self, id), TERN_OK);
}

static const struct tern_mplex_options defaults = {.hash_seed = 1};

/* --- the wire --- */

static void what_we_send_is_as_specified(void **state)
{
    (void)state;
    struct lone *lone = lone_new(defaults);
    tern_stream_id ours = lone_open(lone);
    EXPECT(lone, "");
    lone_write(lone, ours, "hello", 5);
    EXPECT(lone, "\x00\x00\x02\x05hello");
    lone_write(lone, ours, "x", 1);
    lone_close_write(lone, ours);
    EXPECT(lone, "\x02\x01x\x04\x00");
    tern_stream_id theirs = lone_accept(lone, 300);
    lone_write(lone, theirs, "hi", 2);
    EXPECT(lone, "\xe1\x12\x02hi");
    lone_close_write(lone, theirs);
    EXPECT(lone, "\xe3\x12\x00");
    /* A stream of ours that has never been heard of, one that has been, and one of theirs. */
    lone->mux.ops->reset(lone->mux.self, lone_open(lone), 1);
    EXPECT(lone, "");
    tern_stream_id second = lone_open(lone);
    lone_write(lone, second, NULL, 0);
    EXPECT(lone, "\x08\x00");
    lone->mux.ops->reset(lone->mux.self, second, 1);
    lone->mux.ops->reset(lone->mux.self, lone_accept(lone, 7), 1);
    EXPECT(lone, "\x0e\x00\x3d\x00");
    /* Closed before anything was said. */
    lone_close_write(lone, lone_open(lone));
    EXPECT(lone, "\x10\x00\x14\x00");
    lone_free(lone);
}

static void what_we_receive_is_as_specified(void **state)
{
    (void)state;
    struct lone *lone = lone_new(defaults);
    tern_stream_id ours = lone_open(lone);
    lone_write(lone, ours, "x", 1);
    lone_pull(lone, ROOM);
    /* Both sides have a stream 0; a name is passed over. */
    assert_int_equal(FEED(lone, "\x00\x04name\x02\x01t\x01\x02ou"), TERN_OK);
    assert_int_equal(lone_count(lone, TERN_MUX_STREAM_OPENED), 1);
    tern_stream_id theirs = lone->log[0].stream;
    assert_int_equal(lone_unread(lone, ours), 2);
    assert_int_equal(lone_unread(lone, theirs), 1);
    lone_consume(lone, ours, 2);
    assert_int_equal(FEED(lone, "\x03\x00"), TERN_OK);
    assert_int_equal(lone_read_err(lone, ours), TERN_ERR_END);
    lone_close_write(lone, ours);
    lone_pull(lone, ROOM);
    assert_int_equal(lone_count(lone, TERN_MUX_CLOSED), 1);
    assert_int_equal(FEED(lone, "\x06\x00"), TERN_OK);
    assert_int_equal(lone_count(lone, TERN_MUX_RESET), 1);
    assert_int_equal(lone->log[0].stream, theirs);
    assert_int_equal(lone->log[0].code, 0);
    assert_int_equal(lone->mux.ops->streams_count(lone->mux.self), 0);
    lone_free(lone);
}

/* A script of everything, cut at every byte, gives the same events. */
static void frames_may_be_cut_anywhere(void **state)
{
    (void)state;
    static const char script[] = "\x00\x03one\x02\x05"
                                 "first\x08\x00\xf8\xff\xff\xff\xff\xff\xff\xff"
                                 "\x7f\x00\x0a\x80\x01"
                                 "0123456789012345678901234567890123456789012345678901234567890123"
                                 "0123456789012345678901234567890123456789012345678901234567890123"
                                 "\x04\x00\x0e\x03why\x02\x04late";
    enum { SIZE = sizeof(script) - 1 };
    for (size_t cut = 0; cut <= SIZE; cut++) {
        struct lone *lone = lone_new(defaults);
        size_t opened = 0;
        size_t resets = 0;
        tern_stream_id ids[3];
        const size_t parts[2] = {cut, SIZE - cut};
        for (int part = 0; part < 2; part++) {
            assert_int_equal(lone_feed(lone, script + (part == 0 ? 0 : cut), parts[part]), TERN_OK);
            for (size_t i = 0; i < lone->log_count; i++)
                if (lone->log[i].kind == TERN_MUX_STREAM_OPENED && opened < 3)
                    ids[opened++] = lone->log[i].stream;
            resets += lone_count(lone, TERN_MUX_RESET);
        }
        /* The second one may be gone before it was told of. */
        assert_true(opened == 3 || (opened == 2 && resets == 0));
        assert_int_equal(lone_unread(lone, ids[0]), 5);
        assert_int_equal(lone_unread(lone, ids[opened - 1]), 0);
        assert_int_equal(lone->mux.ops->streams_count(lone->mux.self), 2);
        lone_consume(lone, ids[0], 5);
        assert_int_equal(lone_read_err(lone, ids[0]), TERN_ERR_END);
        lone_free(lone);
    }
}

/* lone_parse checks that out holds whole frames, and returns the payload bytes of Messages. */
static size_t lone_parse(const struct lone *lone)
{
    size_t payload = 0;
    struct tern_reader r = tern_reader_of(tern_view_of(lone->out, lone->out_size));
    while (tern_reader_left(&r) > 0) {
        uint64_t header = 0;
        uint64_t length = 0;
        assert_true(tern_reader_uvarint(&r, &header) && tern_reader_uvarint(&r, &length));
        assert_true(length <= TERN_MPLEX_MESSAGE_MAX && tern_reader_skip(&r, length));
        if ((header & 7) == MPLEX_MESSAGE_INITIATOR || (header & 7) == MPLEX_MESSAGE_RECEIVER)
            payload += length;
        else
            assert_int_equal(length, 0);
    }
    return payload;
}

/* Around the sizes at which a length takes one byte more, and with ids of every size. */
static void frames_are_whole_in_any_room(void **state)
{
    (void)state;
    static const uint64_t ids[] = {0, 15, 16, 2047, UINT64_C(1) << 39, (UINT64_C(1) << 60) - 2};
    static uint8_t bytes[40000];
    for (size_t i = 0; i < TERN_COUNT_OF(ids); i++) {
        struct lone *lone = lone_new(defaults);
        size_t sent = 0;
        lone_core(lone)->id_next = ids[i];
        tern_stream_id id = lone_open(lone);
        lone_write(lone, id, bytes, sizeof(bytes));
        for (size_t room = 0; sent < sizeof(bytes);
             room = room < 300 ? room + 1 : 16300 + room % 99) {
            size_t got = lone_pull(lone, room);
            assert_true(got <= room && (got > 0 || room < 64));
            sent += lone_parse(lone);
        }
        assert_int_equal(sent, sizeof(bytes));
        lone_free(lone);
    }
}

static void one_busy_stream_gets_frames_as_large_as_the_room(void **state)
{
    (void)state;
    static uint8_t bytes[LONE_OUT_MAX];
    struct lone *lone = lone_new((struct tern_mplex_options){.send_buffer_max = 4 << 20});
    tern_stream_id id = lone_open(lone);
    lone_write(lone, id, "x", 1);
    lone_pull(lone, ROOM);
    lone_write(lone, id, bytes, sizeof(bytes));
    lone_write(lone, id, bytes, sizeof(bytes));
    assert_int_equal(lone_pull(lone, ROOM), ROOM);
    assert_int_equal(lone_parse(lone), ROOM - 4);
    /* But no longer than the remote takes. */
    assert_int_equal(lone_pull(lone, LONE_OUT_MAX), LONE_OUT_MAX);
    assert_int_equal(lone_parse(lone), LONE_OUT_MAX - 4);
    lone_free(lone);
}

static void the_largest_message_is_taken(void **state)
{
    (void)state;
    struct lone *lone = lone_new((struct tern_mplex_options){.unread_stream_max = 2 << 20});
    tern_stream_id id = lone_accept(lone, 1);
    assert_int_equal(lone_frame(lone, 1, MPLEX_MESSAGE_INITIATOR, TERN_MPLEX_MESSAGE_MAX), TERN_OK);
    assert_int_equal(lone_unread(lone, id), TERN_MPLEX_MESSAGE_MAX);
    assert_int_equal(lone_frame(lone, 2, MPLEX_NEW_STREAM, TERN_MPLEX_MESSAGE_MAX), TERN_OK);
    assert_int_equal(lone_count(lone, TERN_MUX_STREAM_OPENED), 1);
    lone_free(lone);
}

static void ids_have_an_end(void **state)
{
    (void)state;
    struct lone *lone = lone_new(defaults);
    lone_core(lone)->id_next = (UINT64_C(1) << 60) - 2;
    tern_stream_id ids[2] = {lone_open(lone), lone_open(lone)};
    tern_stream_id id;
    assert_int_equal(lone->mux.ops->open(lone->mux.self, TERN_STREAM_BULK, &id), TERN_ERR_CLOSED);
    lone->mux.ops->reset(lone->mux.self, ids[1], 0);
    ids[1] = lone_open(lone);
    for (int i = 0; i < 2; i++)
        lone_write(lone, ids[i], "x", 1);
    lone_pull(lone, ROOM);
    assert_int_equal(lone_parse(lone), 2);
    assert_int_equal(lone->mux.ops->open(lone->mux.self, TERN_STREAM_BULK, &id), TERN_ERR_CLOSED);
    lone_free(lone);
}

/* --- what is passed over --- */

static void frames_of_unknown_streams_are_dropped(void **state)
{
    (void)state;
    struct lone *lone = lone_new(defaults);
    for (unsigned flag = MPLEX_MESSAGE_RECEIVER; flag < MPLEX_FLAG_COUNT; flag++) {
        for (size_t size = 0; size < 3000; size += 1000)
            assert_int_equal(lone_frame(lone, 5, flag, size), TERN_OK);
        assert_int_equal(lone->log_count, 0);
    }
    assert_false(lone->mux.ops->want_send(lone->mux.self));
    /* Data on its way when we reset. */
    tern_stream_id id = lone_accept(lone, 5);
    assert_int_equal(lone_offer(lone, "\x2a\x0ahalf", 6), 6);
    lone->mux.ops->reset(lone->mux.self, id, 0);
    assert_int_equal(lone_offer(lone, "second\x2a\x01z", 9), 9);
    assert_int_equal(lone->log_count, 0);
    lone_free(lone);
}

static void what_follows_close_or_reset_is_dropped(void **state)
{
    (void)state;
    struct lone *lone = lone_new(defaults);
    tern_stream_id id = lone_accept(lone, 0);
    assert_int_equal(FEED(lone, "\x02\x02ok\x04\x03why\x02\x02no\x04\x00"), TERN_OK);
    assert_int_equal(lone_unread(lone, id), 2);
    assert_int_equal(lone_count(lone, TERN_MUX_READABLE), 1);
    assert_int_equal(FEED(lone, "\x06\x03why\x02\x02no\x04\x00\x06\x00"), TERN_OK);
    assert_int_equal(lone->log_count, 1);
    assert_int_equal(lone->log[0].kind, TERN_MUX_RESET);
    /* And the id may come again. */
    lone_accept(lone, 0);
    lone_free(lone);
}

/* --- what is refused --- */

static const struct {
    const char *what;
    tern_fault fault;
    tern_err err;
    const char *bytes;
    size_t size;
} refused[] = {
#define R(what, fault, err, bytes)                                                                 \
    {what, TERN_FAULT_##fault, TERN_ERR_##err, bytes, sizeof(bytes) - 1}
    R("a header of ten bytes", MPLEX_BAD_NUMBER, MALFORMED,
      "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01\x00"),
    R("a header that does not end", MPLEX_BAD_NUMBER, MALFORMED,
      "\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
    R("a length that does not end", MPLEX_BAD_NUMBER, MALFORMED,
      "\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
    R("a header not in its shortest form", MPLEX_BAD_NUMBER, MALFORMED, "\x82\x00"),
    R("a length not in its shortest form", MPLEX_BAD_NUMBER, MALFORMED, "\x00\x80\x00"),
    R("flag 7", MPLEX_BAD_FLAG, MALFORMED, "\x07"),
    R("flag 7 of another stream", MPLEX_BAD_FLAG, MALFORMED, "\xff\x01"),
    R("a message of 1 MiB and one", MPLEX_MESSAGE_TOO_LARGE, PROTOCOL, "\x02\x81\x80\x40"),
    R("a name of 1 MiB and one", MPLEX_MESSAGE_TOO_LARGE, PROTOCOL, "\x00\x81\x80\x40"),
    R("a reset of 2^63 - 1 bytes", MPLEX_MESSAGE_TOO_LARGE, PROTOCOL,
      "\x06\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
    R("a stream opened twice", MPLEX_DUPLICATE_STREAM, PROTOCOL, "\x08\x00\x08\x00"),
    R("a stream opened again while it is half closed", MPLEX_DUPLICATE_STREAM, PROTOCOL,
      "\x08\x00\x0c\x00\x08\x00"),
#undef R
};

static void what_breaks_the_protocol_ends_the_session(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(refused); i++) {
        for (size_t cut = 0; cut < refused[i].size; cut++) {
            struct lone *lone = lone_new(defaults);
            const struct tern_mux_ops *ops = lone->mux.ops;
            tern_stream_id ours = lone_open(lone);
            lone_write(lone, ours, "x", 1);
            tern_err err = lone_feed(lone, refused[i].bytes, cut);
            if (err == TERN_OK)
                err = lone_feed(lone, refused[i].bytes + cut, refused[i].size - cut);
            if (err != refused[i].err || ops->fault(lone->mux.self) != refused[i].fault)
                fail_msg("%s: %s %s", refused[i].what, tern_err_name(err),
                         tern_fault_name(ops->fault(lone->mux.self)));
            assert_int_equal(ops->error(lone->mux.self), err);
            assert_int_equal(FEED(lone, "\x02\x01y"), err);
            size_t accepted;
            tern_stream_id id;
            assert_int_equal(ops->write(lone->mux.self, ours, tern_view_str("y"), &accepted),
                             TERN_ERR_CLOSED);
            assert_int_equal(ops->open(lone->mux.self, TERN_STREAM_BULK, &id), TERN_ERR_CLOSED);
            assert_int_equal(ops->deadline(lone->mux.self), TERN_TIME_NEVER);
            assert_false(ops->want_send(lone->mux.self));
            EXPECT(lone, "");
            lone_free(lone);
        }
    }
}

static void streams_opened_and_reset_on_and_on_end_the_session(void **state)
{
    (void)state;
    struct lone *lone = lone_new(defaults);
    tern_err err = TERN_OK;
    uint64_t count;
    for (count = 0; err == TERN_OK && count < 5000; count++) {
        assert_int_equal(lone_frame(lone, count, MPLEX_NEW_STREAM, 0), TERN_OK);
        err = lone_frame(lone, count, MPLEX_RESET_INITIATOR, 0);
    }
    assert_int_equal(err, TERN_ERR_PROTOCOL);
    assert_int_equal(lone->mux.ops->fault(lone->mux.self), TERN_FAULT_MPLEX_RESET_FLOOD);
    assert_in_range(count, 1000, 1100);
    assert_true(lone->mem.used < 4096);
    lone_free(lone);
    /* At a pace that anybody may have it goes on for ever. */
    lone = lone_new(defaults);
    for (count = 0; count < 5000; count++) {
        lone->now += 10 * TERN_MILLISECOND;
        assert_int_equal(lone_frame(lone, count, MPLEX_NEW_STREAM, 0), TERN_OK);
        assert_int_equal(lone_frame(lone, count, MPLEX_RESET_INITIATOR, 0), TERN_OK);
    }
    lone_free(lone);
}

/* CVE-2022-23486 (rust-libp2p), CVE-2022-23487 (js-libp2p), CVE-2022-23492 (go-libp2p): streams
 * without end. */
static void streams_over_the_limit_are_refused_and_a_flood_ends_the_session(void **state)
{
    (void)state;
    struct lone *lone = lone_new((struct tern_mplex_options){.streams_in_max = 10});
    for (uint64_t i = 0; i < 12; i++)
        assert_int_equal(lone_frame(lone, i, MPLEX_NEW_STREAM, 1), TERN_OK);
    EXPECT(lone, "\x55\x00\x5d\x00"); /* ResetReceiver of 10 and 11 */
    assert_int_equal(lone->metrics.faults[TERN_FAULT_MPLEX_STREAM_REFUSED], 2);
    size_t before = lone->mem.used;
    tern_err err = TERN_OK;
    uint64_t count;
    for (count = 12; err == TERN_OK && count < 5000; count++)
        err = lone_frame(lone, count, MPLEX_NEW_STREAM, 1000);
    assert_int_equal(err, TERN_ERR_PROTOCOL);
    assert_int_equal(lone->mux.ops->fault(lone->mux.self), TERN_FAULT_MPLEX_REFUSAL_FLOOD);
    assert_true(count - 12 <= TERN_MPLEX_REFUSALS_MAX + 1);
    assert_true(lone->mem.used - before <= TERN_MPLEX_REFUSALS_MAX * sizeof(uint64_t));
    lone_free(lone);
}

static void behind_goaway_streams_are_refused(void **state)
{
    (void)state;
    struct lone *lone = lone_new(defaults);
    tern_stream_id ours = lone_open(lone);
    lone_write(lone, ours, "x", 1);
    lone->mux.ops->goaway(lone->mux.self, 7);
    tern_stream_id id;
    assert_int_equal(lone->mux.ops->open(lone->mux.self, TERN_STREAM_BULK, &id), TERN_ERR_CLOSED);
    assert_int_equal(lone_frame(lone, 3, MPLEX_NEW_STREAM, 0), TERN_OK);
    EXPECT(lone, "\x1d\x00\x00\x00\x02\x01x");
    assert_int_equal(FEED(lone, "\x01\x02go"), TERN_OK);
    assert_int_equal(lone_unread(lone, ours), 2);
    lone_free(lone);
}

/* --- slow readers --- */

/* Fills a stream until nothing more is taken; returns how much of the bytes, which begin with the
 * header of a message, was taken. */
static size_t lone_stall(struct lone *lone, uint64_t id, uint8_t *bytes, size_t size)
{
    size_t head = frame_write(bytes, id, MPLEX_MESSAGE_INITIATOR, size);
    memset(bytes + head, 0x42, size);
    return lone_offer(lone, bytes, head + size);
}

static uint8_t stall_bytes[TERN_MPLEX_MESSAGE_MAX + 32];

static void a_slow_reader_who_comes_in_time_loses_nothing(void **state)
{
    (void)state;
    struct lone *lone = lone_new(defaults);
    enum { LIMIT = TERN_MPLEX_UNREAD_STREAM_DEFAULT, SIZE = TERN_MPLEX_MESSAGE_MAX };
    tern_stream_id id = lone_accept(lone, 0);
    size_t taken = lone_stall(lone, 0, stall_bytes, SIZE);
    assert_int_equal(lone_unread(lone, id), LIMIT);
    assert_int_equal(lone->mux.ops->deadline(lone->mux.self), lone->now + TERN_MPLEX_STALL_NS);
    size_t read = 0;
    for (int i = 0; i < 100 && taken < SIZE + 4; i++) {
        lone->now += TERN_MPLEX_STALL_NS - 1;
        lone_tick(lone);
        /* A byte less than half is not enough; the clock runs on. */
        lone_consume(lone, id, LIMIT / 2 - 1);
        assert_int_equal(lone_offer(lone, stall_bytes + taken, SIZE + 4 - taken), 0);
        assert_int_equal(lone->mux.ops->deadline(lone->mux.self), lone->now + 1);
        lone_consume(lone, id, 1);
        assert_int_equal(lone->mux.ops->deadline(lone->mux.self), TERN_TIME_NEVER);
        taken += lone_offer(lone, stall_bytes + taken, SIZE + 4 - taken);
        assert_int_equal(lone_count(lone, TERN_MUX_READABLE), 1);
        read += LIMIT / 2;
    }
    assert_int_equal(read + lone_unread(lone, id), SIZE);
    lone_free(lone);
}

static void a_reader_who_dribbles_is_cut_off(void **state)
{
    (void)state;
    struct lone *lone = lone_new(defaults);
    tern_stream_id id = lone_accept(lone, 0);
    tern_stream_id other = lone_accept(lone, 1);
    assert_int_equal(lone_frame(lone, 1, MPLEX_MESSAGE_INITIATOR, 1000), TERN_OK);
    size_t taken = lone_stall(lone, 0, stall_bytes, TERN_MPLEX_MESSAGE_MAX);
    tern_time until = lone->now + TERN_MPLEX_STALL_NS;
    for (int i = 0; i < 49; i++) {
        lone->now += 100 * TERN_MILLISECOND;
        lone_consume(lone, id, 1);
        assert_int_equal(lone_offer(lone, stall_bytes + taken, 1000), 0);
        assert_int_equal(lone->mux.ops->deadline(lone->mux.self), until);
    }
    lone->now = until;
    lone_tick(lone);
    assert_int_equal(lone->log_count, 1);
    assert_int_equal(lone->log[0].kind, TERN_MUX_RESET);
    assert_int_equal(lone->log[0].code, TERN_MUX_CODE_RESOURCE_LIMIT);
    assert_int_equal(lone->metrics.faults[TERN_FAULT_MPLEX_STREAM_STALLED], 1);
    EXPECT(lone, "\x05\x00");
    /* The rest goes by, and what lies behind it is heard. */
    size_t left = TERN_MPLEX_MESSAGE_MAX + 4 - taken;
    assert_int_equal(lone_offer(lone, stall_bytes + taken, left), left);
    assert_int_equal(FEED(lone, "\x0a\x01x"), TERN_OK);
    assert_int_equal(lone_unread(lone, other), 1001);
    assert_int_equal(lone->mux.ops->deadline(lone->mux.self), TERN_TIME_NEVER);
    lone_free(lone);
}

static void an_owner_who_resets_the_stream_ends_the_stall(void **state)
{
    (void)state;
    struct lone *lone = lone_new(defaults);
    tern_stream_id id = lone_accept(lone, 0);
    size_t taken = lone_stall(lone, 0, stall_bytes, TERN_MPLEX_MESSAGE_MAX);
    lone->mux.ops->reset(lone->mux.self, id, 0);
    assert_int_equal(lone->mux.ops->deadline(lone->mux.self), TERN_TIME_NEVER);
    size_t left = TERN_MPLEX_MESSAGE_MAX + 4 - taken;
    assert_int_equal(lone_offer(lone, stall_bytes + taken, left), left);
    lone_free(lone);
}

/* js-libp2p issue 3220: buffers that are bounded one by one, and gigabytes in sum. */
static void all_streams_together_hold_a_bounded_amount(void **state)
{
    (void)state;
    enum { STREAMS = 1024, LIMIT = TERN_MPLEX_UNREAD_DEFAULT };
    struct lone *lone = lone_new(defaults);
    static tern_stream_id ids[STREAMS];
    for (uint64_t i = 0; i < STREAMS; i++)
        ids[i] = lone_accept(lone, i);
    /* The first 100 hold little, the others much. */
    size_t before = lone->mem.used;
    size_t size = 1000;
    size_t taken = 0;
    size_t head = 0;
    uint64_t next = 0;
    while (next < STREAMS && taken == head) {
        size = next < 100 ? 1000 : MESSAGE;
        head = frame_write(stall_bytes, next, MPLEX_MESSAGE_INITIATOR, size) + size;
        taken = lone_stall(lone, next, stall_bytes, size);
        next++;
    }
    assert_true(next > 100 && next < STREAMS);
    assert_int_equal(lone_core(lone)->unread, LIMIT);
    assert_true(lone->mem.used - before < 2 * LIMIT);
    /* Whoever holds more than a share of half of it goes. */
    lone->now += TERN_MPLEX_STALL_NS;
    lone_tick(lone);
    assert_true(lone_count(lone, TERN_MUX_RESET) >= next - 102);
    assert_true(lone_core(lone)->unread <= LIMIT / 2);
    for (uint64_t i = 0; i < 100; i++)
        assert_int_equal(lone_unread(lone, ids[i]), 1000);
    assert_int_equal(lone_offer(lone, stall_bytes + taken, head - taken), head - taken);
    assert_int_equal(lone->mux.ops->deadline(lone->mux.self), TERN_TIME_NEVER);
    lone_free(lone);
}

static void a_stall_by_the_sum_ends_when_others_are_read(void **state)
{
    (void)state;
    struct lone *lone = lone_new((struct tern_mplex_options){.unread_max = 100000});
    tern_stream_id a = lone_accept(lone, 0);
    tern_stream_id b = lone_accept(lone, 1);
    assert_int_equal(lone_frame(lone, 0, MPLEX_MESSAGE_INITIATOR, 90000), TERN_OK);
    size_t taken = lone_stall(lone, 1, stall_bytes, 50000);
    assert_int_equal(lone_unread(lone, b), 10000);
    assert_int_equal(lone_offer(lone, stall_bytes + taken, 1), 0);
    lone_consume(lone, a, 49999);
    assert_int_equal(lone_offer(lone, stall_bytes + taken, 1), 0);
    lone_consume(lone, a, 1);
    assert_int_equal(lone_offer(lone, stall_bytes + taken, 40000), 40000);
    assert_int_equal(lone_unread(lone, b), 50000);
    lone_free(lone);
}

static void without_memory_for_its_data_a_stream_is_reset(void **state)
{
    (void)state;
    struct lone *lone = lone_new(defaults);
    lone_accept(lone, 0);
    tern_stream_id other = lone_accept(lone, 1);
    lone->scope.limits.max[TERN_RESOURCE_MEMORY] = lone->scope.used[TERN_RESOURCE_MEMORY] + 1000;
    assert_int_equal(lone_frame(lone, 0, MPLEX_MESSAGE_INITIATOR, 1001), TERN_OK);
    assert_int_equal(lone_count(lone, TERN_MUX_RESET), 1);
    assert_int_equal(lone->log[0].code, TERN_MUX_CODE_RESOURCE_LIMIT);
    assert_int_equal(lone->metrics.faults[TERN_FAULT_MPLEX_STREAM_STARVED], 1);
    EXPECT(lone, "\x05\x00");
    assert_int_equal(lone_frame(lone, 1, MPLEX_MESSAGE_INITIATOR, 1000), TERN_OK);
    assert_int_equal(lone_unread(lone, other), 1000);
    lone_free(lone);
}

/* --- weights --- */

static void what_a_session_and_a_stream_weigh(void **state)
{
    (void)state;
    struct lone *lone = lone_new(defaults);
    size_t session = lone->mem.used;
    for (uint64_t i = 0; i < 1000; i++)
        lone_accept(lone, i);
    size_t stream = (lone->mem.used - session) / 1000;
    print_message("session %zu bytes, stream %zu bytes with its share of the tables\n", session,
                  stream);
    assert_true(session < 1024);
    assert_true(stream < 300);
    lone_free(lone);
}

static void a_busy_session_allocates_nothing_per_frame(void **state)
{
    (void)state;
    struct lone *lone = lone_new(defaults);
    tern_stream_id id = lone_accept(lone, 0);
    struct tern_mem link;
    tern_mem_init(&link, 0);
    struct tern_chunk *chunk = tern_chunk_new(&link, 60010);
    assert_non_null(chunk);
    size_t head = frame_write(chunk->data, 0, MPLEX_MESSAGE_INITIATOR, 60000);
    memset(chunk->data + head, 0, 60000);
    chunk->size = (uint32_t)(head + 60000);
    uint64_t before = 0;
    for (int i = 0; i < 200; i++) {
        struct tern_slice in = {.chunk = chunk, .view = tern_chunk_view(chunk)};
        size_t used = 0;
        assert_int_equal(lone->mux.ops->recv(lone->mux.self, lone->now, in, &used), TERN_OK);
        lone_consume(lone, id, 60000);
        struct tern_slice slice = {.chunk = chunk, .view = tern_view_of(chunk->data, 50000)};
        assert_int_equal(lone->mux.ops->write_slice(lone->mux.self, id, slice), TERN_OK);
        lone_pull(lone, ROOM);
        if (i == 10)
            before = lone->mem.allocs;
    }
    assert_int_equal(lone->mem.allocs, before);
    lone_free(lone);
    tern_chunk_unref(chunk);
    tern_mem_fini(&link);
}

static void options_over_their_limits_are_refused(void **state)
{
    (void)state;
    const struct tern_mplex_options rows[] = {
        {.streams_in_max = TERN_MPLEX_STREAMS_LIMIT + 1},
        {.streams_out_max = TERN_MPLEX_STREAMS_LIMIT + 1},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++) {
        struct tern_mux mux;
        assert_int_equal(tern_mplex_new(&rows[i], &mux), TERN_ERR_INVALID);
    }
}

/* --- any schedule, with so little room that streams stall all the time --- */

static tern_err make_small(bool initiator, struct tern_mem *mem, struct tern_scope *scope,
                           struct tern_scope *windows, struct tern_mux *mux)
{
    (void)initiator;
    (void)windows;
    return tern_mplex_new(&(struct tern_mplex_options){.mem = mem,
                                                       .scope = scope,
                                                       .unread_stream_max = 20000,
                                                       .unread_max = 50000,
                                                       .send_buffer_max = 100000},
                          mux);
}

static void any_schedule_with_little_room_keeps_every_stream_whole(void **state)
{
    (void)state;
    const struct tern_mux_factory factory = {.name = "mplex", .make = make_small};
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct mux_model_result result = mux_model_run(&factory, seed, 3000);
        if (!result.ok)
            fail_msg("seed %llu: %s", (unsigned long long)seed, result.what);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_we_send_is_as_specified),
        cmocka_unit_test(what_we_receive_is_as_specified),
        cmocka_unit_test(frames_may_be_cut_anywhere),
        cmocka_unit_test(frames_are_whole_in_any_room),
        cmocka_unit_test(one_busy_stream_gets_frames_as_large_as_the_room),
        cmocka_unit_test(the_largest_message_is_taken),
        cmocka_unit_test(ids_have_an_end),
        cmocka_unit_test(frames_of_unknown_streams_are_dropped),
        cmocka_unit_test(what_follows_close_or_reset_is_dropped),
        cmocka_unit_test(what_breaks_the_protocol_ends_the_session),
        cmocka_unit_test(streams_opened_and_reset_on_and_on_end_the_session),
        cmocka_unit_test(streams_over_the_limit_are_refused_and_a_flood_ends_the_session),
        cmocka_unit_test(behind_goaway_streams_are_refused),
        cmocka_unit_test(a_slow_reader_who_comes_in_time_loses_nothing),
        cmocka_unit_test(a_reader_who_dribbles_is_cut_off),
        cmocka_unit_test(an_owner_who_resets_the_stream_ends_the_stall),
        cmocka_unit_test(all_streams_together_hold_a_bounded_amount),
        cmocka_unit_test(a_stall_by_the_sum_ends_when_others_are_read),
        cmocka_unit_test(without_memory_for_its_data_a_stream_is_reset),
        cmocka_unit_test(what_a_session_and_a_stream_weigh),
        cmocka_unit_test(a_busy_session_allocates_nothing_per_frame),
        cmocka_unit_test(options_over_their_limits_are_refused),
        cmocka_unit_test(any_schedule_with_little_room_keeps_every_stream_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
