/*
 * Two honest ends: any segmentation, sizes of frames, masks, closing, room that is too small,
 * memory.
 */
#include "websocket/websocket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* cmocka.h needs those first. */
#include <cmocka.h>

#include "base/scope.h"
#include "secure_pump.h"
#include "sim_fail.h"
#include "websocket/websocket_internal.h"

enum { CLIENT, SERVER };

struct world {
    struct tern_mem mem;
    struct tern_random random;
    struct pump pump;
};

static bool world_open(struct world *w, struct tern_mem *mem)
{
    for (int i = 0; i < 2; i++) {
        const struct tern_websocket_options options = {
            .role = i == CLIENT ? TERN_ROLE_INITIATOR : TERN_ROLE_RESPONDER,
            .mem = mem,
            .random = &w->random,
            .host = tern_view_str("a"),
        };
        w->pump.ends[i].mem = mem;
        if (tern_websocket_new(&options, &w->pump.ends[i].secure) != TERN_OK)
            return false;
    }
    return true;
}

static struct world *world_new(uint64_t seed)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    tern_mem_init(&w->mem, 0);
    tern_random_init_u64(&w->random, seed);
    tern_random_fork(&w->random, &w->pump.random);
    w->pump.whole_segments = true;
    return w;
}

static void world_free(struct world *w)
{
    for (int i = 0; i < 2; i++)
        pump_end_fini(&w->pump.ends[i]);
    assert_int_equal(w->mem.used, 0);
    tern_mem_fini(&w->mem);
    free(w);
}

/* Both ends are open. */
static struct world *world_opened(uint64_t seed)
{
    struct world *w = world_new(seed);
    assert_true(world_open(w, &w->mem));
    pump_run(&w->pump);
    assert_true(w->pump.ends[CLIENT].done && w->pump.ends[SERVER].done);
    return w;
}

static struct tern_websocket *core(struct world *w, int end)
{
    return w->pump.ends[end].secure.self;
}

/* Seals size bytes of the pattern; returns the frame. */
static struct tern_view seal(struct world *w, int end, uint8_t *bytes, size_t capacity, size_t size)
{
    const struct tern_channel *channel = &w->pump.ends[end].secure;
    struct tern_writer out = tern_writer_of(bytes, capacity);
    struct tern_span room = channel->ops->seal_begin(channel->self, &out);
    assert_true(room.size >= size);
    for (size_t i = 0; i < size; i++)
        room.data[i] = pump_byte(i);
    channel->ops->seal_end(channel->self, &out, size);
    assert_true(tern_writer_ok(&out));
    return tern_writer_view(&out);
}

/* --- bytes --- */

static void any_segmentation_brings_every_byte(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct world *w = world_new(seed);
        w->pump.whole_segments = false;
        for (int i = 0; i < 2; i++)
            w->pump.ends[i].message_size = 1 + tern_random_below(&w->random, 300000);
        assert_true(world_open(w, &w->mem));
        pump_run(&w->pump);
        for (int i = 0; i < 2; i++)
            assert_int_equal(w->pump.ends[i].got_size, w->pump.ends[1 - i].message_size);
        world_free(w);
    }
}

/* A payload of each size arrives, behind the shortest header that there is for it. */
static void frames_of_every_size(void **state)
{
    (void)state;
    static uint8_t bytes[70000];
    static const size_t sizes[] = {1,   2,   3,   4,   5,    63,    64,    124,
                                   125, 126, 127, 128, 1000, 16384, 65534, 65535};
    for (int end = 0; end < 2; end++) {
        for (size_t i = 0; i < TERN_COUNT_OF(sizes); i++) {
            struct world *w = world_opened(1);
            struct tern_view frame = seal(w, end, bytes, sizeof bytes, sizes[i]);
            size_t header = (sizes[i] < 126 ? 2u : 4u) + (end == CLIENT ? 4u : 0u);
            assert_int_equal(frame.size, sizes[i] + header);
            assert_int_equal(bytes[0], 0x82);
            pump_feed(&w->pump.ends[1 - end], frame, true);
            assert_int_equal(w->pump.ends[1 - end].got_size, sizes[i]);
            world_free(w);
        }
    }
}

static void each_frame_of_a_client_has_a_key_of_its_own(void **state)
{
    (void)state;
    uint8_t bytes[2][300];
    struct world *w = world_opened(1);
    for (int i = 0; i < 2; i++)
        seal(w, CLIENT, bytes[i], sizeof bytes[i], 200);
    assert_memory_not_equal(bytes[0] + 4, bytes[1] + 4, 4);
    assert_memory_not_equal(bytes[0] + 8, bytes[1] + 8, 200);
    for (int i = 0; i < 2; i++)
        for (size_t n = 0; n < 200; n++)
            assert_int_equal(bytes[i][8 + n] ^ bytes[i][4 + n % 4], pump_byte(n));
    world_free(w);
}

/* What comes up lies where it came in: nothing is copied and nothing is taken from memory. */
static void payloads_are_passed_up_where_they_lie(void **state)
{
    (void)state;
    for (int end = 0; end < 2; end++) {
        struct world *w = world_opened(1);
        struct tern_channel *to = &w->pump.ends[1 - end].secure;
        struct tern_chunk *chunk = tern_chunk_new(&w->mem, 70000);
        assert_non_null(chunk);
        uint64_t allocs = w->mem.allocs;
        for (int round = 0; round < 50; round++) {
            struct tern_view frame = seal(w, end, chunk->data, chunk->capacity, 60000);
            struct tern_slice in = {.chunk = chunk, .view = frame};
            size_t header = end == CLIENT ? 8 : 4;
            size_t used = 0;
            struct tern_channel_event event;
            /* In two pieces: the frame need not be whole. */
            in.view.size = 1000;
            assert_int_equal(to->ops->recv(to->self, 0, in, &used), TERN_OK);
            assert_int_equal(used, 1000);
            assert_true(to->ops->next(to->self, &event));
            assert_ptr_equal(event.data.chunk, chunk);
            assert_ptr_equal(event.data.view.data, chunk->data + header);
            assert_int_equal(event.data.view.size, 1000 - header);
            in.view = tern_view_part(frame, 1000, frame.size - 1000);
            assert_int_equal(to->ops->recv(to->self, 0, in, &used), TERN_OK);
            assert_true(to->ops->next(to->self, &event));
            assert_ptr_equal(event.data.view.data, chunk->data + 1000);
            for (size_t i = 0; i < 60000; i++)
                assert_int_equal(chunk->data[header + i], pump_byte(i));
        }
        assert_int_equal(w->mem.allocs, allocs);
        tern_chunk_unref(chunk);
        world_free(w);
    }
}

/* DATA waits to be drained before more is taken. */
static void one_event_is_drawn_before_the_next_bytes_are_taken(void **state)
{
    (void)state;
    uint8_t bytes[600];
    struct world *w = world_opened(1);
    struct tern_channel *to = &w->pump.ends[CLIENT].secure;
    size_t size = seal(w, SERVER, bytes, sizeof bytes, 100).size;
    size += seal(w, SERVER, bytes + size, sizeof bytes - size, 50).size;
    struct tern_slice in = {.view = tern_view_of(bytes, size)};
    struct tern_channel_event event;
    size_t used = 0;
    assert_int_equal(to->ops->recv(to->self, 0, in, &used), TERN_OK);
    assert_int_equal(used, 102);
    in.view = tern_view_part(in.view, used, size - used);
    assert_int_equal(to->ops->recv(to->self, 0, in, &used), TERN_OK);
    assert_int_equal(used, 0);
    assert_true(to->ops->next(to->self, &event));
    assert_false(to->ops->next(to->self, &event));
    assert_int_equal(to->ops->recv(to->self, 0, in, &used), TERN_OK);
    assert_int_equal(used, 52);
    world_free(w);
}

/* --- room --- */

static void without_useful_room_nothing_is_sealed(void **state)
{
    (void)state;
    for (int end = 0; end < 2; end++) {
        struct world *w = world_opened(1);
        const struct tern_channel *channel = &w->pump.ends[end].secure;
        size_t overhead = end == CLIENT ? 8 : 4;
        static uint8_t bytes[100000];
        for (size_t room = 0; room < 200; room++) {
            struct tern_writer out = tern_writer_of(bytes, room);
            struct tern_span span = channel->ops->seal_begin(channel->self, &out);
            size_t expected = room < overhead + TERN_WEBSOCKET_ROOM_MIN ? 0 : room - overhead;
            assert_int_equal(span.size, expected);
            channel->ops->seal_end(channel->self, &out, 0);
            assert_int_equal(out.size, 0);
        }
        struct tern_writer out = tern_writer_of(bytes, sizeof bytes);
        assert_int_equal(channel->ops->seal_begin(channel->self, &out).size,
                         TERN_WEBSOCKET_PAYLOAD_MAX);
        world_free(w);
    }
}

static void nothing_is_sealed_before_the_opening(void **state)
{
    (void)state;
    struct world *w = world_new(1);
    assert_true(world_open(w, &w->mem));
    uint8_t bytes[1000];
    for (int end = 0; end < 2; end++) {
        const struct tern_channel *channel = &w->pump.ends[end].secure;
        struct tern_writer out = tern_writer_of(bytes, sizeof bytes);
        assert_int_equal(channel->ops->seal_begin(channel->self, &out).size, 0);
        assert_int_equal(channel->ops->control_pending(channel->self), end == CLIENT);
    }
    /* The server's answer goes before its data. */
    struct pump_end *client = &w->pump.ends[CLIENT];
    struct tern_writer out = tern_writer_of(bytes, sizeof bytes);
    client->secure.ops->control(client->secure.self, 0, &out);
    pump_feed(&w->pump.ends[SERVER], tern_writer_view(&out), false);
    const struct tern_channel *server = &w->pump.ends[SERVER].secure;
    assert_true(w->pump.ends[SERVER].done);
    out = tern_writer_of(bytes, sizeof bytes);
    assert_int_equal(server->ops->seal_begin(server->self, &out).size, 0);
    /* A head goes in any room. */
    while (server->ops->control_pending(server->self)) {
        out = tern_writer_of(bytes, 1);
        server->ops->control(server->self, 0, &out);
        assert_int_equal(out.size, 1);
        pump_feed(client, tern_writer_view(&out), false);
    }
    assert_true(client->done);
    out = tern_writer_of(bytes, sizeof bytes);
    assert_true(server->ops->seal_begin(server->self, &out).size > 0);
    world_free(w);
}

/* --- closing --- */

/* Moves what one end's control gives to the other; returns whether END came. */
static bool carry_control(struct world *w, int from)
{
    const struct tern_channel *a = &w->pump.ends[from].secure;
    const struct tern_channel *b = &w->pump.ends[1 - from].secure;
    uint8_t bytes[500];
    struct tern_writer out = tern_writer_of(bytes, sizeof bytes);
    a->ops->control(a->self, 0, &out);
    assert_false(a->ops->control_pending(a->self));
    size_t used = 0;
    struct tern_slice in = {.view = tern_writer_view(&out)};
    assert_int_equal(b->ops->recv(b->self, 0, in, &used), TERN_OK);
    assert_int_equal(used, out.size);
    struct tern_channel_event event;
    bool ended = false;
    while (b->ops->next(b->self, &event)) {
        assert_int_equal(event.kind, TERN_CHANNEL_END);
        assert_false(ended);
        ended = true;
    }
    return ended;
}

static bool can_seal(struct world *w, int end)
{
    const struct tern_channel *channel = &w->pump.ends[end].secure;
    uint8_t bytes[500];
    struct tern_writer out = tern_writer_of(bytes, sizeof bytes);
    return channel->ops->seal_begin(channel->self, &out).size > 0;
}

static void a_close_is_answered_and_ends_both(void **state)
{
    (void)state;
    for (int end = 0; end < 2; end++) {
        struct world *w = world_opened(1);
        const struct tern_channel *a = &w->pump.ends[end].secure;
        const struct tern_channel *b = &w->pump.ends[1 - end].secure;
        assert_true(can_seal(w, end));
        a->ops->shut(a->self);
        a->ops->shut(a->self);
        assert_false(can_seal(w, end));
        assert_true(carry_control(w, end));
        assert_false(can_seal(w, 1 - end));
        b->ops->shut(b->self);
        assert_true(carry_control(w, 1 - end));
        a->ops->shut(a->self);
        assert_false(a->ops->control_pending(a->self));
        assert_false(carry_control(w, end));
        assert_int_equal(core(w, end)->err, TERN_OK);
        world_free(w);
    }
}

static void closes_may_cross(void **state)
{
    (void)state;
    struct world *w = world_opened(1);
    uint8_t bytes[2][100];
    size_t sizes[2];
    for (int end = 0; end < 2; end++) {
        const struct tern_channel *channel = &w->pump.ends[end].secure;
        struct tern_writer out = tern_writer_of(bytes[end], sizeof bytes[end]);
        channel->ops->shut(channel->self);
        out.capacity = 10; /* too little: a control frame goes whole or not */
        channel->ops->control(channel->self, 0, &out);
        assert_int_equal(out.size, 0);
        uint8_t room[500];
        out = tern_writer_of(room, sizeof room);
        channel->ops->control(channel->self, 0, &out);
        sizes[end] = out.size;
        memcpy(bytes[end], room, out.size);
    }
    for (int end = 0; end < 2; end++) {
        const struct tern_channel *channel = &w->pump.ends[end].secure;
        struct tern_channel_event event;
        size_t used = 0;
        struct tern_slice in = {.view = tern_view_of(bytes[1 - end], sizes[1 - end])};
        assert_int_equal(channel->ops->recv(channel->self, 0, in, &used), TERN_OK);
        assert_true(channel->ops->next(channel->self, &event));
        assert_int_equal(event.kind, TERN_CHANNEL_END);
        assert_false(channel->ops->control_pending(channel->self));
    }
    world_free(w);
}

/* --- memory --- */

static void at_rest_it_weighs_little(void **state)
{
    (void)state;
    struct world *w = world_opened(1);
    print_message("two ends at rest weigh %zu bytes\n", w->mem.used);
    assert_true(w->mem.used < 2 * 512);
    world_free(w);
}

static tern_err whole_life(void *context, struct tern_mem *mem, struct tern_scope *root)
{
    struct world *w = world_new(1);
    (void)root;
    w->pump.whole_segments = *(const bool *)context;
    for (int i = 0; i < 2; i++)
        w->pump.ends[i].message_size = 5000;
    bool whole = false;
    if (world_open(w, mem)) {
        pump_run(&w->pump);
        whole = w->pump.ends[0].got_size == 5000 && w->pump.ends[1].got_size == 5000;
    }
    world_free(w);
    return whole ? TERN_OK : TERN_ERR_MEMORY;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        bool whole_segments = i == 0;
        assert_true(sim_fail_each(whole_life, &whole_segments) >= 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_segmentation_brings_every_byte),
        cmocka_unit_test(frames_of_every_size),
        cmocka_unit_test(each_frame_of_a_client_has_a_key_of_its_own),
        cmocka_unit_test(payloads_are_passed_up_where_they_lie),
        cmocka_unit_test(one_event_is_drawn_before_the_next_bytes_are_taken),
        cmocka_unit_test(without_useful_room_nothing_is_sealed),
        cmocka_unit_test(nothing_is_sealed_before_the_opening),
        cmocka_unit_test(a_close_is_answered_and_ends_both),
        cmocka_unit_test(closes_may_cross),
        cmocka_unit_test(at_rest_it_weighs_little),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("websocket", tests, NULL, NULL);
}
