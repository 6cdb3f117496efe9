/*
 * Windows in virtual time: two sessions on a link of a given rate and delay, a sender that always
 * has more, and a reader that reads at a given rate.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka.h needs those first. */
#include <cmocka.h>

#include "mux/yamux_internal.h"

enum { LINK_PACKETS_MAX = 8192, LINK_FRAME_MAX = 65519 };

struct packet {
    tern_time arrives;
    struct tern_chunk *chunk;
};

/* One direction: packets are serialised at the rate, then delayed. */
struct link {
    uint64_t bytes_per_second;
    tern_time delay;
    tern_time free_at;
    struct packet *packets; /* a ring */
    size_t head;
    size_t count;
};

struct side {
    struct tern_mem mem;
    struct tern_scope scope;
    struct tern_scope windows;
    struct tern_mux mux;
    struct link link; /* from this side to the other */
    uint64_t received;
    tern_time reads_until; /* virtual time that the reader has spent reading */
};

struct world {
    struct side sides[2]; /* 0 sends, 1 receives */
    tern_time now;
    tern_stream_id stream; /* the sender's */
    tern_stream_id remote; /* the receiver's */
    uint64_t read_rate;    /* bytes a second; 0: as fast as they come */
    struct tern_chunk *content;
};

struct world_options {
    uint64_t bytes_per_second;
    tern_time one_way;
    uint64_t window_budget; /* 0: none */
    uint32_t window_max;    /* 0: the default */
};

static void world_side(struct world *w, int i, const struct world_options *options)
{
    struct side *side = &w->sides[i];
    const struct tern_scope_limits budget = {
        .max = {[TERN_RESOURCE_MEMORY] = options->window_budget}};
    tern_mem_init(&side->mem, 0);
    tern_scope_init(&side->scope, "connection", NULL, NULL);
    tern_scope_init(&side->windows, "windows", NULL, &budget);
    side->link = (struct link){
        .bytes_per_second = options->bytes_per_second,
        .delay = options->one_way,
        .packets = calloc(LINK_PACKETS_MAX, sizeof(struct packet)),
    };
    assert_non_null(side->link.packets);
    const struct tern_yamux_options yamux = {
        .initiator = i == 0,
        .mem = &side->mem,
        .scope = &side->scope,
        .windows = &side->windows,
        .window_max = options->window_max,
    };
    assert_int_equal(tern_yamux_new(&yamux, w->now, &side->mux), TERN_OK);
}

static struct world *world_new(const struct world_options *options)
{
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    w->now = TERN_SECOND;
    for (int i = 0; i < 2; i++)
        world_side(w, i, options);
    w->content = tern_chunk_new(&w->sides[0].mem, 256 * 1024);
    assert_non_null(w->content);
    memset(w->content->data, 0x42, 256 * 1024);
    w->content->size = 256 * 1024;
    struct side *sender = &w->sides[0];
    assert_int_equal(sender->mux.ops->open(sender->mux.self, TERN_STREAM_BULK, &w->stream),
                     TERN_OK);
    return w;
}

static void world_free(struct world *w)
{
    tern_chunk_unref(w->content);
    for (int i = 0; i < 2; i++) {
        struct side *side = &w->sides[i];
        for (; side->link.count > 0; side->link.count--) {
            tern_chunk_unref(side->link.packets[side->link.head].chunk);
            side->link.head = (side->link.head + 1) % LINK_PACKETS_MAX;
        }
        free(side->link.packets);
    }
    for (int i = 0; i < 2; i++) {
        struct side *side = &w->sides[i];
        side->mux.ops->fini(side->mux.self);
    }
    /* Each side may have held chunks of the other. */
    for (int i = 0; i < 2; i++) {
        struct side *side = &w->sides[i];
        assert_int_equal(side->mem.used, 0);
        tern_scope_fini(&side->scope);
        tern_scope_fini(&side->windows);
        tern_mem_fini(&side->mem);
    }
    free(w);
}

static void world_transmit(struct world *w, int from)
{
    struct side *side = &w->sides[from];
    struct link *link = &side->link;
    if (link->free_at > w->now || !side->mux.ops->want_send(side->mux.self))
        return;
    assert_true(link->count < LINK_PACKETS_MAX);
    struct tern_chunk *chunk = tern_chunk_new(&side->mem, LINK_FRAME_MAX);
    assert_non_null(chunk);
    struct tern_writer out = tern_writer_of(chunk->data, LINK_FRAME_MAX);
    side->mux.ops->send(side->mux.self, w->now, &out);
    if (out.size == 0) {
        tern_chunk_unref(chunk);
        return;
    }
    chunk->size = (uint32_t)out.size;
    link->free_at = w->now + out.size * TERN_SECOND / link->bytes_per_second;
    size_t tail = (link->head + link->count) % LINK_PACKETS_MAX;
    link->packets[tail] = (struct packet){.arrives = link->free_at + link->delay, .chunk = chunk};
    link->count++;
}

static void world_drain(struct world *w, int i)
{
    struct side *side = &w->sides[i];
    struct tern_mux_event event;
    while (side->mux.ops->next(side->mux.self, &event)) {
        if (i == 1 && event.kind == TERN_MUX_STREAM_OPENED)
            w->remote = event.stream;
        assert_int_not_equal(event.kind, TERN_MUX_RESET);
    }
}

static void world_deliver(struct world *w, int from)
{
    struct link *link = &w->sides[from].link;
    struct side *to = &w->sides[1 - from];
    while (link->count > 0 && link->packets[link->head].arrives <= w->now) {
        struct tern_chunk *chunk = link->packets[link->head].chunk;
        struct tern_slice slice = {.chunk = chunk, .view = tern_chunk_view(chunk)};
        size_t used = 0;
        assert_int_equal(to->mux.ops->recv(to->mux.self, w->now, slice, &used), TERN_OK);
        tern_chunk_unref(chunk);
        link->head = (link->head + 1) % LINK_PACKETS_MAX;
        link->count--;
        world_drain(w, 1 - from);
    }
}

static void world_write(struct world *w)
{
    struct side *sender = &w->sides[0];
    struct tern_slice slice = {.chunk = w->content, .view = tern_chunk_view(w->content)};
    while (sender->mux.ops->write_slice(sender->mux.self, w->stream, slice) == TERN_OK)
        continue;
    world_drain(w, 0);
}

static void world_read(struct world *w)
{
    struct side *side = &w->sides[1];
    if (w->remote == TERN_STREAM_NONE)
        return;
    size_t unread = side->mux.ops->unread(side->mux.self, w->remote);
    if (w->read_rate != 0) {
        if (side->reads_until > w->now)
            return;
        unread = tern_min_size(unread, 16 * 1024);
        side->reads_until = w->now + unread * TERN_SECOND / w->read_rate;
    }
    side->mux.ops->consume(side->mux.self, w->remote, unread);
    side->received += unread;
}

static tern_time world_next(const struct world *w)
{
    tern_time next = TERN_TIME_NEVER;
    for (int i = 0; i < 2; i++) {
        const struct side *side = &w->sides[i];
        if (side->link.count > 0)
            next = tern_time_min(next, side->link.packets[side->link.head].arrives);
        if (side->mux.ops->want_send(side->mux.self))
            next = tern_time_min(next, side->link.free_at);
    }
    if (w->read_rate != 0 && w->remote != TERN_STREAM_NONE &&
        w->sides[1].mux.ops->unread(w->sides[1].mux.self, w->remote) > 0)
        next = tern_time_min(next, w->sides[1].reads_until);
    return next;
}

/* world_run goes on for so long and returns the bytes a second that were read meanwhile. */
static uint64_t world_run(struct world *w, tern_time duration)
{
    tern_time start = w->now;
    tern_time until = w->now + duration;
    uint64_t before = w->sides[1].received;
    while (w->now < until) {
        for (int i = 0; i < 2; i++)
            world_deliver(w, i);
        world_read(w);
        world_write(w);
        for (int i = 0; i < 2; i++)
            world_transmit(w, i);
        tern_time next = world_next(w);
        w->now = tern_time_min(next <= w->now ? w->now + 1 : next, until);
    }
    return (w->sides[1].received - before) * TERN_SECOND / (w->now - start);
}

static uint32_t world_window(const struct world *w)
{
    struct tern_yamux *y = w->sides[1].mux.self;
    return tern_yamux_stream_of(tern_mux_stream_find(&y->streams, w->remote))->window.size;
}

#define GIGABIT UINT64_C(125000000)

static void one_stream_fills_a_gigabit_at_100_ms(void **state)
{
    (void)state;
    struct world *w = world_new(
        &(struct world_options){.bytes_per_second = GIGABIT, .one_way = 50 * TERN_MILLISECOND});
    uint64_t first = world_run(w, TERN_SECOND);
    uint64_t then = world_run(w, TERN_SECOND);
    print_message("first second %llu %%, then %llu %% of the link; window %u KiB\n",
                  (unsigned long long)(first * 100 / GIGABIT),
                  (unsigned long long)(then * 100 / GIGABIT), world_window(w) / 1024);
    /* Once a round trip the window doubles, as a congestion window does at the start. */
    assert_true(first > GIGABIT * 25 / 100);
    assert_true(then > GIGABIT * 98 / 100);
    /* Twice the product of rate and delay is needed; more than four times would be waste. */
    assert_in_range(world_window(w), 25000000, 64 * 1024 * 1024);
    assert_int_equal(w->sides[1].windows.used[TERN_RESOURCE_MEMORY],
                     world_window(w) - TERN_YAMUX_WINDOW_INITIAL);
    /* What is reserved is not what is used: a reader that keeps up holds next to nothing. */
    assert_true(w->sides[1].scope.used[TERN_RESOURCE_MEMORY] < 512 * 1024);
    world_free(w);
}

/* The path that public libp2p measurements use: 4.78 Gbit/s, 63 ms. 16 MiB windows stop at 2.1. */
static void one_stream_fills_the_path_of_the_public_measurements(void **state)
{
    (void)state;
    const uint64_t rate = UINT64_C(4780000000) / 8;
    struct world *w = world_new(
        &(struct world_options){.bytes_per_second = rate, .one_way = 31650 * TERN_MICROSECOND});
    world_run(w, TERN_SECOND);
    uint64_t then = world_run(w, TERN_SECOND);
    print_message("%llu %% of the link; window %u KiB\n", (unsigned long long)(then * 100 / rate),
                  world_window(w) / 1024);
    assert_true(then > rate * 98 / 100);
    world_free(w);
}

static void a_fast_local_link_needs_no_large_window(void **state)
{
    (void)state;
    struct world *w = world_new(
        &(struct world_options){.bytes_per_second = GIGABIT, .one_way = 100 * TERN_MICROSECOND});
    world_run(w, TERN_SECOND);
    uint64_t then = world_run(w, TERN_SECOND);
    assert_true(then > GIGABIT * 98 / 100);
    assert_true(world_window(w) <= 1024 * 1024);
    world_free(w);
}

static void a_slow_reader_gets_no_larger_window(void **state)
{
    (void)state;
    struct world *w = world_new(
        &(struct world_options){.bytes_per_second = GIGABIT, .one_way = 10 * TERN_MILLISECOND});
    w->read_rate = 1000000;
    world_run(w, 5 * TERN_SECOND);
    assert_int_equal(world_window(w), TERN_YAMUX_WINDOW_INITIAL);
    assert_true(w->sides[1].mem.used < 2 * TERN_YAMUX_WINDOW_INITIAL);
    assert_true(w->sides[0].mem.used < 4 * 1024 * 1024);
    world_free(w);
}

static void a_window_that_is_no_longer_needed_shrinks(void **state)
{
    (void)state;
    struct world *w = world_new(
        &(struct world_options){.bytes_per_second = GIGABIT, .one_way = 10 * TERN_MILLISECOND});
    world_run(w, TERN_SECOND);
    uint32_t large = world_window(w);
    assert_true(large >= 4 * 1024 * 1024);
    w->read_rate = 500000;
    world_run(w, 60 * TERN_SECOND);
    assert_true(world_window(w) <= large / 4);
    /* And it grows again when the reader is back. */
    w->read_rate = 0;
    world_run(w, TERN_SECOND);
    assert_true(world_run(w, TERN_SECOND) > GIGABIT * 98 / 100);
    assert_true(world_window(w) >= 4 * 1024 * 1024);
    world_free(w);
}

static void an_exhausted_budget_keeps_windows_small_and_all_goes_on(void **state)
{
    (void)state;
    struct world *w = world_new(&(struct world_options){.bytes_per_second = GIGABIT,
                                                        .one_way = 50 * TERN_MILLISECOND,
                                                        .window_budget = 1000 * 1024});
    world_run(w, TERN_SECOND);
    uint64_t then = world_run(w, TERN_SECOND);
    /* 256 doubles to 512 and to 1,024 KiB, which takes 768 of the budget; there it stays. */
    assert_int_equal(world_window(w), 1024 * 1024);
    assert_true(w->sides[1].windows.refused[TERN_RESOURCE_MEMORY] > 0);
    assert_true(then > 8 * 1024 * 1024 && then < 12 * 1024 * 1024);
    /* The reservation comes back when the stream ends. */
    w->sides[1].mux.ops->reset(w->sides[1].mux.self, w->remote, 0);
    assert_int_equal(w->sides[1].windows.used[TERN_RESOURCE_MEMORY], 0);
    w->remote = TERN_STREAM_NONE;
    world_free(w);
}

static void a_window_stops_at_its_maximum(void **state)
{
    (void)state;
    struct world *w = world_new(&(struct world_options){
        .bytes_per_second = GIGABIT, .one_way = 50 * TERN_MILLISECOND, .window_max = 700 * 1024});
    world_run(w, 2 * TERN_SECOND);
    assert_int_equal(world_window(w), 700 * 1024);
    world_free(w);
}

static void without_a_round_trip_measured_windows_stay(void **state)
{
    (void)state;
    struct world *w = world_new(
        &(struct world_options){.bytes_per_second = GIGABIT, .one_way = 10 * TERN_MILLISECOND});
    struct tern_yamux *y = w->sides[1].mux.self;
    y->ping.due = false; /* as if the remote never answered */
    y->ping.outstanding = true;
    y->ping.sent_at = w->now;
    world_run(w, 2 * TERN_SECOND);
    assert_int_equal(world_window(w), TERN_YAMUX_WINDOW_INITIAL);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_stream_fills_a_gigabit_at_100_ms),
        cmocka_unit_test(one_stream_fills_the_path_of_the_public_measurements),
        cmocka_unit_test(a_fast_local_link_needs_no_large_window),
        cmocka_unit_test(a_slow_reader_gets_no_larger_window),
        cmocka_unit_test(a_window_that_is_no_longer_needed_shrinks),
        cmocka_unit_test(an_exhausted_budget_keeps_windows_small_and_all_goes_on),
        cmocka_unit_test(a_window_stops_at_its_maximum),
        cmocka_unit_test(without_a_round_trip_measured_windows_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
