#include "mux/mux_conformance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka.h needs those first. */
#include <cmocka.h>

#include "mux/mux_model.h"

static struct mux_pair *conformance_pair(void **state)
{
    struct mux_pair *pair = calloc(1, sizeof(*pair));
    assert_non_null(pair);
    assert_true(mux_pair_init(pair, *state));
    return pair;
}

static void conformance_end(struct mux_pair *pair)
{
    assert_false(pair->broken);
    mux_pair_fini(pair);
    free(pair);
}

/* conformance_streams makes one stream that both sides know; ids[i] is end i's. */
static void conformance_stream(struct mux_pair *pair, int opener, tern_stream_id ids[2])
{
    struct mux_end *from = &pair->ends[opener];
    struct mux_end *to = &pair->ends[1 - opener];
    size_t before = mux_end_count(to, TERN_MUX_STREAM_OPENED, TERN_STREAM_NONE);
    ids[opener] = mux_open(from, TERN_STREAM_BULK);
    mux_write(from, ids[opener], "x", 1);
    mux_pair_settle(pair);
    assert_int_equal(mux_end_count(to, TERN_MUX_STREAM_OPENED, TERN_STREAM_NONE), before + 1);
    ids[1 - opener] = mux_end_last(to, TERN_MUX_STREAM_OPENED).stream;
    mux_expect(to, ids[1 - opener], "x", 1);
    mux_pair_settle(pair);
}

static void close_write(struct mux_end *end, tern_stream_id id)
{
    assert_int_equal(end->mux.ops->close_write(end->mux.self, id), TERN_OK);
}

static void a_stream_echoes(void **state)
{
    struct mux_pair *pair = conformance_pair(state);
    for (int opener = 0; opener < 2; opener++) {
        struct mux_end *a = &pair->ends[opener];
        struct mux_end *b = &pair->ends[1 - opener];
        tern_stream_id ids[2];
        conformance_stream(pair, opener, ids);
        mux_write(a, ids[opener], "hello, stream", 13);
        mux_pair_settle(pair);
        assert_true(mux_end_count(b, TERN_MUX_READABLE, ids[1 - opener]) >= 1);
        mux_expect(b, ids[1 - opener], "hello, stream", 13);
        assert_int_equal(mux_read_err(b, ids[1 - opener]), TERN_ERR_AGAIN);
        mux_write(b, ids[1 - opener], "hello, opener", 13);
        mux_pair_settle(pair);
        mux_expect(a, ids[opener], "hello, opener", 13);
        assert_int_equal(a->mux.ops->streams_count(a->mux.self), opener + 1);
        assert_int_equal(b->mux.ops->streams_count(b->mux.self), opener + 1);
    }
    conformance_end(pair);
}

static void nothing_is_sent_for_a_stream_that_was_only_opened(void **state)
{
    struct mux_pair *pair = conformance_pair(state);
    mux_pair_settle(pair);
    uint64_t before = pair->ends[0].sent_bytes;
    tern_stream_id id = mux_open(&pair->ends[0], TERN_STREAM_BULK);
    mux_pair_settle(pair);
    assert_int_equal(pair->ends[0].sent_bytes, before);
    pair->ends[0].mux.ops->reset(pair->ends[0].mux.self, id, 7);
    mux_pair_settle(pair);
    assert_int_equal(pair->ends[0].sent_bytes, before);
    assert_int_equal(mux_end_count(&pair->ends[1], TERN_MUX_STREAM_OPENED, TERN_STREAM_NONE), 0);
    conformance_end(pair);
}

static void a_write_of_nothing_announces_the_stream(void **state)
{
    struct mux_pair *pair = conformance_pair(state);
    tern_stream_id id = mux_open(&pair->ends[0], TERN_STREAM_BULK);
    mux_write(&pair->ends[0], id, NULL, 0);
    const struct tern_slice nothing = {.chunk = NULL};
    assert_int_equal(pair->ends[0].mux.ops->write_slice(pair->ends[0].mux.self, id, nothing),
                     TERN_OK);
    mux_pair_settle(pair);
    struct tern_mux_event opened = mux_end_last(&pair->ends[1], TERN_MUX_STREAM_OPENED);
    mux_write(&pair->ends[1], opened.stream, "first", 5);
    mux_pair_settle(pair);
    mux_expect(&pair->ends[0], id, "first", 5);
    assert_int_equal(mux_end_count(&pair->ends[1], TERN_MUX_STREAM_OPENED, TERN_STREAM_NONE), 1);
    conformance_end(pair);
}

/* Closing in either order, and both at once, says CLOSED once on each side, and only when all is
 * read. */
static void half_close(struct mux_pair *pair, int first, bool together)
{
    tern_stream_id ids[2];
    conformance_stream(pair, 0, ids);
    struct mux_end *a = &pair->ends[first];
    struct mux_end *b = &pair->ends[1 - first];
    tern_stream_id ida = ids[first];
    tern_stream_id idb = ids[1 - first];
    mux_write(a, ida, "last words", 10);
    close_write(a, ida);
    close_write(a, ida);
    size_t accepted;
    assert_int_equal(a->mux.ops->write(a->mux.self, ida, tern_view_str("no"), &accepted),
                     TERN_ERR_CLOSED);
    if (together)
        close_write(b, idb);
    mux_pair_settle(pair);
    assert_int_equal(mux_end_count(b, TERN_MUX_CLOSED, idb), 0);
    mux_expect(b, idb, "last words", 10);
    if (!together) {
        assert_int_equal(mux_read_err(b, idb), TERN_ERR_END);
        assert_int_equal(mux_read_err(a, ida), TERN_ERR_AGAIN);
        mux_write(b, idb, "an answer", 9);
        mux_pair_settle(pair);
        mux_expect(a, ida, "an answer", 9);
        close_write(b, idb);
    } else {
        assert_int_equal(mux_read_err(b, idb), TERN_ERR_END);
    }
    mux_pair_settle(pair);
    mux_end_drain(b);
    assert_int_equal(mux_end_count(a, TERN_MUX_CLOSED, ida), 1);
    assert_int_equal(mux_end_count(b, TERN_MUX_CLOSED, idb), 1);
    assert_int_equal(mux_read_err(a, ida), TERN_ERR_STALE);
    assert_int_equal(mux_read_err(b, idb), TERN_ERR_STALE);
    assert_int_equal(a->mux.ops->streams_count(a->mux.self), 0);
    assert_int_equal(b->mux.ops->streams_count(b->mux.self), 0);
}

static void streams_half_close_in_every_order(void **state)
{
    struct mux_pair *pair = conformance_pair(state);
    half_close(pair, 0, false);
    half_close(pair, 1, false);
    half_close(pair, 0, true);
    half_close(pair, 1, true);
    conformance_end(pair);
}

static void a_stream_may_open_and_close_without_a_byte(void **state)
{
    struct mux_pair *pair = conformance_pair(state);
    tern_stream_id a = mux_open(&pair->ends[0], TERN_STREAM_BULK);
    close_write(&pair->ends[0], a);
    mux_pair_settle(pair);
    tern_stream_id b = mux_end_last(&pair->ends[1], TERN_MUX_STREAM_OPENED).stream;
    assert_int_equal(mux_end_count(&pair->ends[1], TERN_MUX_READABLE, b), 1);
    assert_int_equal(mux_read_err(&pair->ends[1], b), TERN_ERR_END);
    close_write(&pair->ends[1], b);
    mux_pair_settle(pair);
    assert_int_equal(mux_end_count(&pair->ends[0], TERN_MUX_CLOSED, a), 1);
    assert_int_equal(mux_end_count(&pair->ends[1], TERN_MUX_CLOSED, b), 1);
    conformance_end(pair);
}

static void a_reset_ends_both_sides_at_once(void **state)
{
    struct mux_pair *pair = conformance_pair(state);
    for (int resetter = 0; resetter < 2; resetter++) {
        tern_stream_id ids[2];
        conformance_stream(pair, 0, ids);
        struct mux_end *a = &pair->ends[resetter];
        struct mux_end *b = &pair->ends[1 - resetter];
        mux_write(a, ids[resetter], "never", 5);
        mux_write(b, ids[1 - resetter], "read", 4);
        mux_pair_settle(pair);
        mux_write(b, ids[1 - resetter], "queued", 6);
        a->mux.ops->reset(a->mux.self, ids[resetter], 0x1004);
        a->mux.ops->reset(a->mux.self, ids[resetter], 0x1004);
        assert_int_equal(mux_read_err(a, ids[resetter]), TERN_ERR_STALE);
        mux_pair_settle(pair);
        assert_int_equal(mux_end_count(b, TERN_MUX_RESET, ids[1 - resetter]), 1);
        if (pair->factory->has_codes)
            assert_int_equal(mux_end_last(b, TERN_MUX_RESET).code, 0x1004);
        assert_int_equal(mux_read_err(b, ids[1 - resetter]), TERN_ERR_STALE);
        assert_int_equal(mux_end_count(a, TERN_MUX_RESET, ids[resetter]), 0);
        assert_int_equal(mux_end_count(a, TERN_MUX_CLOSED, ids[resetter]), 0);
        assert_int_equal(a->scope.used[TERN_RESOURCE_MEMORY], a->rest[TERN_RESOURCE_MEMORY]);
        assert_int_equal(b->scope.used[TERN_RESOURCE_MEMORY], b->rest[TERN_RESOURCE_MEMORY]);
    }
    conformance_end(pair);
}

static void resets_that_cross_do_no_harm(void **state)
{
    struct mux_pair *pair = conformance_pair(state);
    tern_stream_id ids[2];
    conformance_stream(pair, 0, ids);
    for (int i = 0; i < 2; i++) {
        mux_write(&pair->ends[i], ids[i], "data in flight", 14);
        pair->ends[i].mux.ops->reset(pair->ends[i].mux.self, ids[i], 1);
    }
    mux_pair_settle(pair);
    conformance_stream(pair, 0, ids);
    conformance_end(pair);
}

static void until_next_says_reset_the_id_answers_reset(void **state)
{
    struct mux_pair *pair = conformance_pair(state);
    tern_stream_id ids[2];
    conformance_stream(pair, 0, ids);
    struct mux_end *a = &pair->ends[0];
    struct mux_end *b = &pair->ends[1];
    a->mux.ops->reset(a->mux.self, ids[0], 5);
    pair->quiet = true;
    assert_true(mux_pair_carry(pair, 0));
    size_t accepted;
    assert_int_equal(mux_read_err(b, ids[1]), TERN_ERR_RESET);
    assert_int_equal(b->mux.ops->write(b->mux.self, ids[1], tern_view_str("x"), &accepted),
                     TERN_ERR_RESET);
    assert_int_equal(b->mux.ops->close_write(b->mux.self, ids[1]), TERN_ERR_RESET);
    b->mux.ops->consume(b->mux.self, ids[1], 0);
    mux_end_drain(b);
    assert_int_equal(mux_end_count(b, TERN_MUX_RESET, ids[1]), 1);
    conformance_end(pair);
}

static void stale_ids_are_errors_and_nothing_else(void **state)
{
    struct mux_pair *pair = conformance_pair(state);
    struct mux_end *a = &pair->ends[0];
    tern_stream_id old = mux_open(a, TERN_STREAM_BULK);
    a->mux.ops->reset(a->mux.self, old, 0);
    tern_stream_id fresh = mux_open(a, TERN_STREAM_BULK);
    assert_true(old != fresh);
    const tern_stream_id stale[] = {old, TERN_STREAM_NONE, UINT64_MAX, fresh + 1,
                                    fresh ^ (UINT64_C(1) << 32)};
    for (size_t i = 0; i < TERN_COUNT_OF(stale); i++) {
        tern_stream_id id = stale[i];
        size_t accepted;
        struct tern_slice bytes;
        struct tern_slice text = {.view = tern_view_str("x")};
        assert_int_equal(a->mux.ops->write(a->mux.self, id, text.view, &accepted), TERN_ERR_STALE);
        assert_int_equal(a->mux.ops->write_slice(a->mux.self, id, text), TERN_ERR_STALE);
        assert_int_equal(a->mux.ops->read(a->mux.self, id, &bytes), TERN_ERR_STALE);
        assert_int_equal(a->mux.ops->close_write(a->mux.self, id), TERN_ERR_STALE);
        a->mux.ops->consume(a->mux.self, id, 1);
        a->mux.ops->reset(a->mux.self, id, 0);
        a->mux.ops->set_class(a->mux.self, id, TERN_STREAM_CONTROL);
        assert_int_equal(a->mux.ops->unread(a->mux.self, id), 0);
        assert_int_equal(a->mux.ops->queued(a->mux.self, id), 0);
    }
    assert_int_equal(a->mux.ops->streams_count(a->mux.self), 1);
    conformance_end(pair);
}

static void many_streams_live_side_by_side(void **state)
{
    enum { COUNT = 900 };
    struct mux_pair *pair = conformance_pair(state);
    struct mux_end *a = &pair->ends[0];
    struct mux_end *b = &pair->ends[1];
    static tern_stream_id ids[COUNT];
    for (int i = 0; i < COUNT; i++) {
        ids[i] = mux_open(a, (enum tern_stream_class)(i % TERN_STREAM_CLASS_COUNT));
        mux_write(a, ids[i], &i, sizeof(i));
        if (i % 100 == 99)
            mux_pair_settle(pair);
    }
    assert_int_equal(mux_end_count(b, TERN_MUX_STREAM_OPENED, TERN_STREAM_NONE), COUNT);
    assert_int_equal(b->mux.ops->streams_count(b->mux.self), COUNT);
    bool seen[COUNT] = {false};
    for (size_t i = 0; i < b->log_count; i++) {
        if (b->log[i].kind != TERN_MUX_STREAM_OPENED)
            continue;
        struct tern_slice bytes;
        int which;
        assert_int_equal(b->mux.ops->read(b->mux.self, b->log[i].stream, &bytes), TERN_OK);
        assert_int_equal(bytes.view.size, sizeof(which));
        memcpy(&which, bytes.view.data, sizeof(which));
        assert_in_range(which, 0, COUNT - 1);
        assert_false(seen[which]);
        seen[which] = true;
        b->mux.ops->consume(b->mux.self, b->log[i].stream, sizeof(which));
    }
    for (int i = 0; i < COUNT; i += 2)
        a->mux.ops->reset(a->mux.self, ids[i], 1);
    mux_pair_settle(pair);
    assert_int_equal(b->mux.ops->streams_count(b->mux.self), COUNT / 2);
    assert_int_equal(mux_end_count(b, TERN_MUX_RESET, TERN_STREAM_NONE), COUNT / 2);
    conformance_end(pair);
}

static void a_reader_that_never_reads_stalls_its_stream_alone(void **state)
{
    const struct tern_mux_factory *factory = *state;
    if (!factory->has_credit)
        skip();
    struct mux_pair *pair = conformance_pair(state);
    tern_stream_id slow[2];
    tern_stream_id fast[2];
    conformance_stream(pair, 0, slow);
    conformance_stream(pair, 0, fast);
    struct mux_end *a = &pair->ends[0];
    struct mux_end *b = &pair->ends[1];
    uint64_t slow_sent = 0;
    uint64_t fast_sent = 0;
    uint64_t fast_read = 0;
    tern_err err;
    for (int i = 0; i < 200; i++) {
        mux_write_some(a, slow[0], &slow_sent, 64 * 1024);
        mux_write_some(a, fast[0], &fast_sent, 64 * 1024);
        mux_pair_settle(pair);
        mux_read_some(b, fast[1], &fast_read, SIZE_MAX, &err);
    }
    mux_pair_settle(pair);
    mux_read_some(b, fast[1], &fast_read, SIZE_MAX, &err);
    assert_int_equal(fast_sent, 200 * 64 * 1024);
    assert_int_equal(fast_read, fast_sent);
    size_t held = b->mux.ops->unread(b->mux.self, slow[1]);
    assert_true(held > 0 && held < 8 * 1024 * 1024);
    assert_true(slow_sent < 200 * 64 * 1024);
    assert_int_equal(held + a->mux.ops->queued(a->mux.self, slow[0]), slow_sent);
    /* And it goes on where it stopped. */
    uint64_t slow_read = 0;
    while (slow_read < slow_sent) {
        size_t got = mux_read_some(b, slow[1], &slow_read, SIZE_MAX, &err);
        mux_pair_settle(pair);
        assert_true(got > 0);
    }
    assert_int_equal(mux_end_count(a, TERN_MUX_WRITABLE, slow[0]), 1);
    conformance_end(pair);
}

/* cut_off_at_last waits until b resets a stream by itself: at its deadline, not before. Of a
 * session the transport has the deadline, together with others. */
static void cut_off_at_last(struct mux_pair *pair, struct mux_end *b)
{
    if (pair->factory->make_transport != NULL) {
        for (int i = 0; i < 10 && mux_end_count(b, TERN_MUX_RESET, TERN_STREAM_NONE) == 0; i++)
            mux_pair_wait(pair, TERN_SECOND);
        return;
    }
    tern_time until = b->mux.ops->deadline(b->mux.self);
    assert_true(until > pair->now && until - pair->now <= 10 * TERN_SECOND);
    mux_pair_wait(pair, until - pair->now - 1);
    assert_int_equal(mux_end_count(b, TERN_MUX_RESET, TERN_STREAM_NONE), 0);
    mux_pair_wait(pair, 1);
}

/* Without credit a stream that nobody reads holds up the others; for a bounded time, and what is
 * held meanwhile is bounded, too. */
static void a_reader_that_never_reads_is_cut_off(void **state)
{
    const struct tern_mux_factory *factory = *state;
    if (factory->has_credit)
        skip();
    struct mux_pair *pair = conformance_pair(state);
    tern_stream_id slow[2];
    tern_stream_id fast[2];
    conformance_stream(pair, 0, slow);
    conformance_stream(pair, 0, fast);
    struct mux_end *a = &pair->ends[0];
    struct mux_end *b = &pair->ends[1];
    uint64_t slow_sent = 0;
    size_t before = b->mem.used;
    for (int i = 0; i < 200; i++) {
        mux_write_some(a, slow[0], &slow_sent, 64 * 1024);
        mux_pair_settle(pair);
    }
    assert_true(slow_sent < 200 * 64 * 1024);
    assert_true(b->mem.used - before < 2 * 1024 * 1024);
    mux_write(a, fast[0], "at last", 7);
    mux_pair_settle(pair);
    assert_int_equal(b->mux.ops->unread(b->mux.self, fast[1]), 0);
    cut_off_at_last(pair, b);
    assert_int_equal(mux_end_count(b, TERN_MUX_RESET, slow[1]), 1);
    assert_int_equal(mux_end_last(b, TERN_MUX_RESET).code, TERN_MUX_CODE_RESOURCE_LIMIT);
    mux_pair_settle(pair);
    mux_expect(b, fast[1], "at last", 7);
    assert_int_equal(mux_end_count(a, TERN_MUX_RESET, slow[0]), 1);
    assert_int_equal(mux_end_count(b, TERN_MUX_RESET, TERN_STREAM_NONE), 1);
    if (factory->make_transport == NULL)
        assert_true(b->mux.ops->deadline(b->mux.self) > pair->now + TERN_SECOND);
    conformance_end(pair);
}

static void streams_take_turns(void **state)
{
    struct mux_pair *pair = conformance_pair(state);
    struct mux_end *a = &pair->ends[0];
    struct mux_end *b = &pair->ends[1];
    tern_stream_id x[2];
    tern_stream_id y[2];
    conformance_stream(pair, 0, x);
    conformance_stream(pair, 0, y);
    uint64_t offset = 0;
    mux_write_some(a, x[0], &offset, 200 * 1024);
    offset = 0;
    mux_write_some(a, y[0], &offset, 200 * 1024);
    /* After each carried frame both have got about the same. */
    for (int i = 0; i < 3; i++) {
        assert_true(mux_pair_carry(pair, 0));
        size_t got_x = b->mux.ops->unread(b->mux.self, x[1]);
        size_t got_y = b->mux.ops->unread(b->mux.self, y[1]);
        size_t apart = got_x > got_y ? got_x - got_y : got_y - got_x;
        assert_true(apart <= 64 * 1024);
        assert_true(got_x > 0 && got_y > 0);
    }
    conformance_end(pair);
}

/* The bulk streams have much to send all the time and the link is as slow as it likes: what is
 * written on a CONTROL stream is in the next frame that leaves, whatever its size. */
static void control_leaves_within_one_frame_of_bulk(void **state)
{
    enum { BULK = 8 };
    static const size_t rooms[] = {1500, 16400, MUX_PAIR_FRAME_MAX};
    struct mux_pair *pair = conformance_pair(state);
    struct mux_end *a = &pair->ends[0];
    struct mux_end *b = &pair->ends[1];
    tern_stream_id control[2];
    tern_stream_id bulk[BULK][2];
    uint64_t sent[BULK] = {0};
    uint64_t read[BULK] = {0};
    conformance_stream(pair, 0, control);
    a->mux.ops->set_class(a->mux.self, control[0], TERN_STREAM_CONTROL);
    for (int i = 0; i < BULK; i++) {
        conformance_stream(pair, 0, bulk[i]);
        a->mux.ops->set_class(a->mux.self, bulk[i][0],
                              (enum tern_stream_class)(TERN_STREAM_CONSENSUS + i % 5));
    }
    for (int step = 0; step < 300; step++) {
        tern_err err;
        for (int i = 0; i < BULK; i++)
            mux_write_some(a, bulk[i][0], &sent[i], 128 * 1024);
        assert_true(mux_pair_carry_some(pair, 0, rooms[step % 3]));
        mux_write(a, control[0], &step, sizeof(step));
        assert_true(mux_pair_carry_some(pair, 0, rooms[step / 3 % 3]));
        mux_expect(b, control[1], &step, sizeof(step));
        for (int i = 0; i < BULK; i++)
            mux_read_some(b, bulk[i][1], &read[i], SIZE_MAX, &err);
        mux_pair_carry(pair, 1);
        a->log_count = b->log_count = 0;
    }
    for (int i = 0; i < BULK; i++)
        assert_true(read[i] > 0 && sent[i] > read[i]);
    conformance_end(pair);
}

static void a_slice_is_sent_by_reference_and_never_changed(void **state)
{
    struct mux_pair *pair = conformance_pair(state);
    struct mux_end *a = &pair->ends[0];
    struct tern_mem mem;
    tern_mem_init(&mem, 0);
    struct tern_chunk *chunk = tern_chunk_new(&mem, 8192);
    assert_non_null(chunk);
    for (uint32_t i = 0; i < 6000; i++)
        chunk->data[i] = (uint8_t)i;
    chunk->size = 6000;
    tern_stream_id ids[4][2];
    for (size_t i = 0; i < TERN_COUNT_OF(ids); i++)
        conformance_stream(pair, 0, ids[i]);
    for (size_t i = 0; i < TERN_COUNT_OF(ids); i++) {
        struct tern_slice slice = {.chunk = chunk, .view = tern_chunk_view(chunk)};
        assert_int_equal(a->mux.ops->write_slice(a->mux.self, ids[i][0], slice), TERN_OK);
        mux_write(a, ids[i][0], "tail", 4);
    }
    assert_int_equal(chunk->refs, 1 + TERN_COUNT_OF(ids));
    assert_int_equal(chunk->size, 6000);
    mux_pair_settle(pair);
    assert_int_equal(chunk->refs, 1);
    for (size_t i = 0; i < TERN_COUNT_OF(ids); i++) {
        mux_expect(&pair->ends[1], ids[i][1], chunk->data, 6000);
        mux_expect(&pair->ends[1], ids[i][1], "tail", 4);
    }
    tern_chunk_unref(chunk);
    tern_mem_fini(&mem);
    conformance_end(pair);
}

static void a_slice_is_taken_whole_or_not_at_all(void **state)
{
    struct mux_pair *pair = conformance_pair(state);
    struct mux_end *a = &pair->ends[0];
    struct mux_end *b = &pair->ends[1];
    tern_stream_id ids[2];
    conformance_stream(pair, 0, ids);
    enum { SIZE = 3 * 1024 * 1024 };
    struct tern_mem mem;
    tern_mem_init(&mem, 0);
    struct tern_chunk *chunk = tern_chunk_new(&mem, SIZE);
    assert_non_null(chunk);
    memset(chunk->data, 0x5a, SIZE);
    chunk->size = SIZE;
    struct tern_slice slice = {.chunk = chunk, .view = tern_chunk_view(chunk)};
    /* An empty buffer takes any size, a used one says AGAIN, then WRITABLE. */
    assert_int_equal(a->mux.ops->write_slice(a->mux.self, ids[0], slice), TERN_OK);
    assert_int_equal(a->mux.ops->write_slice(a->mux.self, ids[0], slice), TERN_ERR_AGAIN);
    assert_int_equal(a->mux.ops->queued(a->mux.self, ids[0]), SIZE);
    size_t read = 0;
    for (int i = 0; i < 1000 && read < SIZE; i++) {
        mux_pair_settle(pair);
        size_t unread = b->mux.ops->unread(b->mux.self, ids[1]);
        b->mux.ops->consume(b->mux.self, ids[1], unread);
        read += unread;
    }
    assert_int_equal(read, SIZE);
    assert_int_equal(mux_end_count(a, TERN_MUX_WRITABLE, ids[0]), 1);
    assert_int_equal(a->mux.ops->queued(a->mux.self, ids[0]), 0);
    tern_chunk_unref(chunk);
    tern_mem_fini(&mem);
    conformance_end(pair);
}

static void bytes_arrive_however_they_are_cut(void **state)
{
    static const size_t pieces[] = {1, 2, 3, 11, 12, 13, 100, 5000, 0};
    for (size_t i = 0; i < TERN_COUNT_OF(pieces); i++) {
        for (int borrowed = 0; borrowed < 2; borrowed++) {
            struct mux_pair *pair = conformance_pair(state);
            pair->piece_max = pieces[i];
            pair->borrowed = borrowed != 0;
            tern_stream_id ids[2];
            conformance_stream(pair, 0, ids);
            uint64_t sent = 0;
            uint64_t read = 0;
            tern_err err = TERN_OK;
            for (int j = 0; j < 12; j++) {
                mux_write_some(&pair->ends[0], ids[0], &sent, (size_t)(1 << j));
                mux_pair_settle(pair);
                mux_read_some(&pair->ends[1], ids[1], &read, SIZE_MAX, &err);
                pair->ends[1].log_count = 0;
            }
            close_write(&pair->ends[0], ids[0]);
            mux_pair_settle(pair);
            mux_read_some(&pair->ends[1], ids[1], &read, SIZE_MAX, &err);
            assert_int_equal(err, TERN_ERR_END);
            assert_int_equal(read, sent);
            conformance_end(pair);
        }
    }
}

static void what_finds_no_room_is_sent_later(void **state)
{
    static const size_t rooms[] = {0, 1, 11, 12, 63, 64, 100, 1199, 1200};
    struct mux_pair *pair = conformance_pair(state);
    tern_stream_id ids[2];
    conformance_stream(pair, 0, ids);
    for (size_t i = 0; i < TERN_COUNT_OF(rooms); i++) {
        mux_write(&pair->ends[0], ids[0], rooms, sizeof(rooms));
        (void)mux_pair_carry_some(pair, 0, rooms[i]);
        mux_pair_settle(pair);
        mux_expect(&pair->ends[1], ids[1], rooms, sizeof(rooms));
        pair->ends[1].log_count = 0;
    }
    conformance_end(pair);
}

static void small_writes_do_not_cost_a_chunk_each(void **state)
{
    struct mux_pair *pair = conformance_pair(state);
    tern_stream_id ids[2];
    conformance_stream(pair, 0, ids);
    size_t before[2] = {pair->ends[0].mem.used, pair->ends[1].mem.used};
    uint64_t sent = 0;
    for (int i = 0; i < 2000; i++) {
        mux_write_some(&pair->ends[0], ids[0], &sent, 8);
        if (i % 2 == 0)
            mux_pair_carry(pair, 0);
    }
    mux_pair_settle(pair);
    assert_int_equal(pair->ends[1].mux.ops->unread(pair->ends[1].mux.self, ids[1]), sent);
    /* 16,000 bytes unread: at most twice that is held. */
    size_t bookkeeping = tern_max_size(pair->factory->bookkeeping_bytes, 4096);
    assert_true(pair->ends[1].mem.used - before[1] < 2 * sent + bookkeeping);
    assert_true(pair->ends[0].mem.used - before[0] < bookkeeping);
    uint64_t read = 0;
    tern_err err;
    mux_read_some(&pair->ends[1], ids[1], &read, SIZE_MAX, &err);
    assert_int_equal(read, sent);
    conformance_end(pair);
}

static void goaway_stops_opening_and_lets_streams_end(void **state)
{
    const struct tern_mux_factory *factory = *state;
    if (!factory->has_goaway)
        skip();
    struct mux_pair *pair = conformance_pair(state);
    struct mux_end *a = &pair->ends[0];
    struct mux_end *b = &pair->ends[1];
    tern_stream_id ids[2];
    conformance_stream(pair, 0, ids);
    tern_stream_id crossing = mux_open(b, TERN_STREAM_BULK);
    mux_write(b, crossing, "too late", 8);
    a->mux.ops->goaway(a->mux.self, 0x1006);
    a->mux.ops->goaway(a->mux.self, 0x1001);
    tern_stream_id id;
    assert_int_equal(a->mux.ops->open(a->mux.self, TERN_STREAM_BULK, &id), TERN_ERR_CLOSED);
    mux_pair_settle(pair);
    assert_int_equal(mux_end_count(b, TERN_MUX_GOAWAY, TERN_STREAM_NONE), 1);
    assert_int_equal(mux_end_last(b, TERN_MUX_GOAWAY).code, 0x1006);
    assert_int_equal(b->mux.ops->open(b->mux.self, TERN_STREAM_BULK, &id), TERN_ERR_CLOSED);
    assert_int_equal(mux_end_count(b, TERN_MUX_RESET, crossing), 1);
    if (factory->has_codes)
        assert_int_equal(mux_end_last(b, TERN_MUX_RESET).code, TERN_MUX_CODE_SHUTDOWN);
    mux_write(a, ids[0], "still here", 10);
    mux_pair_settle(pair);
    mux_expect(b, ids[1], "still here", 10);
    close_write(a, ids[0]);
    close_write(b, ids[1]);
    mux_pair_settle(pair);
    assert_int_equal(mux_end_count(a, TERN_MUX_CLOSED, ids[0]), 1);
    conformance_end(pair);
}

static void a_scope_that_is_full_refuses_streams_not_the_session(void **state)
{
    struct mux_pair *pair = conformance_pair(state);
    struct mux_end *a = &pair->ends[0];
    struct mux_end *b = &pair->ends[1];
    b->scope.limits.max[TERN_RESOURCE_STREAMS_IN] = b->rest[TERN_RESOURCE_STREAMS_IN] + 2;
    a->scope.limits.max[TERN_RESOURCE_STREAMS_OUT] = a->rest[TERN_RESOURCE_STREAMS_OUT] + 4;
    tern_stream_id ids[4];
    for (int i = 0; i < 4; i++) {
        ids[i] = mux_open(a, TERN_STREAM_BULK);
        mux_write(a, ids[i], "request", 7);
    }
    tern_stream_id fifth;
    assert_int_equal(a->mux.ops->open(a->mux.self, TERN_STREAM_BULK, &fifth),
                     TERN_ERR_SCOPE_STREAMS);
    mux_pair_settle(pair);
    assert_int_equal(mux_end_count(b, TERN_MUX_STREAM_OPENED, TERN_STREAM_NONE), 2);
    assert_int_equal(mux_end_count(a, TERN_MUX_RESET, TERN_STREAM_NONE), 2);
    if (pair->factory->has_codes)
        assert_int_equal(mux_end_last(a, TERN_MUX_RESET).code, TERN_MUX_CODE_RESOURCE_LIMIT);
    assert_int_equal(mux_end_count(a, TERN_MUX_RESET, ids[0]), 0);
    mux_write(a, ids[0], "more", 4);
    mux_pair_settle(pair);
    assert_false(pair->broken);
    conformance_end(pair);
}

static void a_scope_without_memory_resets_the_stream_that_needs_it(void **state)
{
    struct mux_pair *pair = conformance_pair(state);
    struct mux_end *a = &pair->ends[0];
    struct mux_end *b = &pair->ends[1];
    tern_stream_id ids[2][2];
    conformance_stream(pair, 0, ids[0]);
    conformance_stream(pair, 0, ids[1]);
    b->scope.limits.max[TERN_RESOURCE_MEMORY] = b->scope.used[TERN_RESOURCE_MEMORY] + 10000;
    uint64_t sent = 0;
    mux_write_some(a, ids[0][0], &sent, 100000);
    mux_pair_settle(pair);
    assert_int_equal(mux_end_count(b, TERN_MUX_RESET, ids[0][1]), 1);
    assert_int_equal(mux_end_count(a, TERN_MUX_RESET, ids[0][0]), 1);
    mux_write(a, ids[1][0], "small", 5);
    mux_pair_settle(pair);
    mux_expect(b, ids[1][1], "small", 5);
    /* Writing is charged too. */
    a->scope.limits.max[TERN_RESOURCE_MEMORY] = a->scope.used[TERN_RESOURCE_MEMORY] + 100;
    size_t accepted;
    uint8_t text[101] = {0};
    struct tern_slice slice = {.view = tern_view_of(text, sizeof(text))};
    assert_int_equal(a->mux.ops->write(a->mux.self, ids[1][0], slice.view, &accepted),
                     TERN_ERR_SCOPE_MEMORY);
    assert_int_equal(accepted, 0);
    assert_int_equal(a->mux.ops->write_slice(a->mux.self, ids[1][0], slice), TERN_ERR_SCOPE_MEMORY);
    conformance_end(pair);
}

/* The main scenario, in which any operation may fail for want of memory: nothing leaks, nothing
 * crashes, and what is read is right. */
static void scarce_scenario(struct mux_pair *pair)
{
    struct mux_end *a = &pair->ends[0];
    struct mux_end *b = &pair->ends[1];
    uint64_t sent[3] = {0};
    tern_stream_id ids[3] = {TERN_STREAM_NONE};
    for (int i = 0; i < 3; i++) {
        if (a->mux.ops->open(a->mux.self, TERN_STREAM_BULK, &ids[i]) != TERN_OK)
            continue;
        mux_write_some(a, ids[i], &sent[i], 30000);
        uint8_t text[700] = {0};
        struct tern_slice slice = {.view = tern_view_of(text, sizeof(text))};
        if (i == 2 && sent[i] == 30000)
            (void)!a->mux.ops->write_slice(a->mux.self, ids[i], slice);
    }
    mux_pair_settle(pair);
    for (size_t i = 0; i < b->log_count; i++) {
        if (b->log[i].kind != TERN_MUX_STREAM_OPENED)
            continue;
        uint64_t read = 0;
        tern_err err;
        mux_read_some(b, b->log[i].stream, &read, 30000, &err);
        uint64_t answer = 0;
        mux_write_some(b, b->log[i].stream, &answer, 5000);
        (void)!b->mux.ops->close_write(b->mux.self, b->log[i].stream);
    }
    mux_pair_settle(pair);
    if (ids[0] != TERN_STREAM_NONE)
        (void)!a->mux.ops->close_write(a->mux.self, ids[0]);
    a->mux.ops->reset(a->mux.self, ids[1], 1);
    mux_pair_settle(pair);
}

static void every_allocation_may_fail(void **state)
{
    for (int side = 0; side < 2; side++) {
        for (int onwards = 0; onwards < 2; onwards++) {
            uint64_t allocs = UINT64_MAX;
            for (uint64_t n = 1; n <= allocs; n++) {
                struct mux_pair *pair = conformance_pair(state);
                struct tern_mem *mem = &pair->ends[side].mem;
                uint64_t before = mem->allocs;
                tern_mem_fail_at(mem, n, onwards != 0);
                scarce_scenario(pair);
                allocs = mem->allocs - before;
                tern_mem_fail_at(mem, 0, false);
                mux_pair_fini(pair);
                free(pair);
            }
            assert_true(allocs >= 4 && allocs < 10000);
        }
    }
}

/* Two sessions become one connection, with each allocation of one side failing in turn. */
static void making_by_datagrams_may_fail(void **state)
{
    for (int side = 0; side < 2; side++) {
        bool made = false;
        for (uint64_t n = 1; !made; n++) {
            assert_true(n < 2000);
            struct mux_pair *pair = calloc(1, sizeof(*pair));
            assert_non_null(pair);
            pair->fail_side = side;
            pair->fail_at = n;
            bool connected = mux_pair_init(pair, *state);
            made = connected && pair->ends[side].mem.allocs < n;
            mux_pair_fini(pair);
            free(pair);
        }
    }
}

static void making_a_session_may_fail(void **state)
{
    const struct tern_mux_factory *factory = *state;
    if (factory->make_transport != NULL) {
        making_by_datagrams_may_fail(state);
        return;
    }
    for (uint64_t n = 1; n < 100; n++) {
        struct tern_mem mem;
        struct tern_scope scope;
        struct tern_mux mux;
        tern_mem_init(&mem, 0);
        tern_scope_init(&scope, "connection", NULL, NULL);
        tern_mem_fail_at(&mem, n, false);
        tern_err err = factory->make(true, &mem, &scope, NULL, &mux);
        if (err == TERN_OK)
            mux.ops->fini(mux.self);
        else
            assert_int_equal(err, TERN_ERR_MEMORY);
        tern_scope_fini(&scope);
        tern_mem_fini(&mem);
        if (err == TERN_OK)
            return;
    }
    fail_msg("a session takes more than 100 allocations");
}

static void every_reservation_may_fail(void **state)
{
    for (int side = 0; side < 2; side++) {
        uint64_t count = UINT64_MAX;
        for (uint64_t n = 1; n <= count; n++) {
            struct mux_pair *pair = conformance_pair(state);
            struct tern_scope *scope = &pair->ends[side].scope;
            scope->fail_at = scope->reservations + n;
            scarce_scenario(pair);
            assert_false(pair->broken);
            count = scope->reservations;
            mux_pair_fini(pair);
            free(pair);
        }
        assert_true(count >= 4 && count < 10000);
    }
}

static void any_schedule_keeps_every_stream_whole(void **state)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct mux_model_result result = mux_model_run(*state, seed, 1500);
        if (!result.ok)
            fail_msg("seed %llu: %s", (unsigned long long)seed, result.what);
    }
}

int tern_mux_conformance(const struct tern_mux_factory *factory)
{
    static const struct {
        const char *name;
        void (*run)(void **state);
    } table[] = {
#define ROW(f) {#f, f}
        ROW(a_stream_echoes),
        ROW(nothing_is_sent_for_a_stream_that_was_only_opened),
        ROW(a_write_of_nothing_announces_the_stream),
        ROW(streams_half_close_in_every_order),
        ROW(a_stream_may_open_and_close_without_a_byte),
        ROW(a_reset_ends_both_sides_at_once),
        ROW(resets_that_cross_do_no_harm),
        ROW(until_next_says_reset_the_id_answers_reset),
        ROW(stale_ids_are_errors_and_nothing_else),
        ROW(many_streams_live_side_by_side),
        ROW(a_reader_that_never_reads_stalls_its_stream_alone),
        ROW(a_reader_that_never_reads_is_cut_off),
        ROW(streams_take_turns),
        ROW(control_leaves_within_one_frame_of_bulk),
        ROW(a_slice_is_sent_by_reference_and_never_changed),
        ROW(a_slice_is_taken_whole_or_not_at_all),
        ROW(bytes_arrive_however_they_are_cut),
        ROW(what_finds_no_room_is_sent_later),
        ROW(small_writes_do_not_cost_a_chunk_each),
        ROW(goaway_stops_opening_and_lets_streams_end),
        ROW(a_scope_that_is_full_refuses_streams_not_the_session),
        ROW(a_scope_without_memory_resets_the_stream_that_needs_it),
        ROW(every_allocation_may_fail),
        ROW(making_a_session_may_fail),
        ROW(every_reservation_may_fail),
        ROW(any_schedule_keeps_every_stream_whole),
#undef ROW
    };
    static struct CMUnitTest tests[TERN_COUNT_OF(table)];
    static struct tern_mux_factory copy;
    copy = *factory;
    for (size_t i = 0; i < TERN_COUNT_OF(table); i++) {
        tests[i] = (struct CMUnitTest){
            .name = table[i].name, .test_func = table[i].run, .initial_state = &copy};
    }
    return _cmocka_run_group_tests(copy.name, tests, TERN_COUNT_OF(tests), NULL, NULL);
}
