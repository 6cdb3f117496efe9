#include "sim_pair.h"

#include "tern_test.h"

/* A core that sends `size` counted bytes, checks that what comes is counted too, and takes at most
 * `take_max` bytes at a time. */
struct counter {
    struct sim_pair *pair;
    size_t size;
    size_t sent;
    size_t got;
    size_t take_max;
    size_t stall_at; /* takes nothing more from here on, until `unstall` is ticked */
    tern_time unstall;
    tern_time first_at;
    tern_time last_at;
    size_t fail_at; /* recv fails when this much came; 0: never */
    bool ended;
};

static uint8_t counted_byte(size_t i)
{
    return (uint8_t)(i * 31 + (i >> 8));
}

static tern_err counter_recv(void *self, tern_time now, struct tern_slice in, size_t *used)
{
    struct counter *c = self;
    if (c->got == 0)
        c->first_at = now;
    size_t size = tern_min_size(in.view.size, c->take_max);
    if (c->stall_at > 0)
        size = tern_min_size(size, c->stall_at - c->got);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(in.view.data[i], counted_byte(c->got + i));
    c->got += size;
    c->last_at = now;
    *used = size;
    return c->fail_at > 0 && c->got >= c->fail_at ? TERN_ERR_PROTOCOL : TERN_OK;
}

static void counter_send(void *self, tern_time now, struct tern_writer *out)
{
    struct counter *c = self;
    (void)now;
    size_t size = tern_min_size(c->size - c->sent, tern_writer_left(out));
    for (size_t i = 0; i < size; i++)
        tern_writer_u8(out, counted_byte(c->sent++));
}

static tern_time counter_deadline(void *self)
{
    struct counter *c = self;
    return c->stall_at > 0 ? c->unstall : TERN_TIME_NEVER;
}

static void counter_tick(void *self, tern_time now)
{
    struct counter *c = self;
    assert_true(now >= c->unstall);
    c->stall_at = 0;
}

static void counter_end(void *self, tern_time now)
{
    struct counter *c = self;
    (void)now;
    assert_false(c->ended);
    c->ended = true;
}

static const struct sim_core_ops counter_ops = {
    .recv = counter_recv,
    .send = counter_send,
    .deadline = counter_deadline,
    .tick = counter_tick,
    .end = counter_end,
};

static void start(struct sim_pair *pair, const struct sim_pair_options *options, struct counter *a,
                  struct counter *b)
{
    sim_pair_init(pair, options, (struct sim_core){&counter_ops, a},
                  (struct sim_core){&counter_ops, b});
}

static void bytes_arrive_after_the_latency_and_at_the_bandwidth(void **state)
{
    (void)state;
    struct counter a = {.size = 100000, .take_max = SIZE_MAX};
    struct counter b = {.take_max = SIZE_MAX};
    struct sim_pair pair;
    start(&pair,
          &(struct sim_pair_options){.latency_ns = 10 * TERN_MILLISECOND,
                                     .bytes_per_second = 1000000,
                                     .room_min = 1000,
                                     .room_max = 1000},
          &a, &b);
    assert_true(sim_pair_run(&pair, TERN_MINUTE));
    assert_int_equal(b.got, 100000);
    assert_true(b.first_at == 11 * TERN_MILLISECOND);
    assert_true(b.last_at == 110 * TERN_MILLISECOND);
    assert_int_equal(pair.sides[0].segments_sent, 100);
    assert_int_equal(pair.sides[1].bytes_received, 100000);
    sim_pair_fini(&pair);
}

static tern_time run_both_ways(uint64_t seed, uint64_t *segments)
{
    struct counter a = {.size = 200000, .take_max = 77};
    struct counter b = {.size = 50000, .take_max = SIZE_MAX};
    struct sim_pair pair;
    start(&pair,
          &(struct sim_pair_options){.seed = seed,
                                     .latency_ns = TERN_MILLISECOND,
                                     .jitter_ns = 5 * TERN_MILLISECOND,
                                     .segment_max = 1500,
                                     .buffer_max = 10000,
                                     .room_min = 1,
                                     .room_max = 5000},
          &a, &b);
    assert_true(sim_pair_run(&pair, TERN_HOUR));
    assert_int_equal(b.got, 200000);
    assert_int_equal(a.got, 50000);
    *segments = pair.sides[0].segments_sent;
    tern_time end = pair.now;
    sim_pair_fini(&pair);
    return end;
}

static void order_is_kept_and_a_seed_repeats_its_run(void **state)
{
    (void)state;
    tern_time times[20];
    for (uint64_t seed = 0; seed < TERN_COUNT_OF(times); seed++) {
        uint64_t first = 0;
        uint64_t second = 0;
        times[seed] = run_both_ways(seed, &first);
        assert_true(run_both_ways(seed, &second) == times[seed]);
        assert_int_equal(first, second);
    }
    assert_true(times[0] != times[1]);
}

static void a_stalled_core_is_offered_the_rest_after_its_tick(void **state)
{
    (void)state;
    struct counter a = {.size = 5000, .take_max = SIZE_MAX};
    struct counter b = {.take_max = SIZE_MAX, .stall_at = 1234, .unstall = TERN_SECOND};
    struct sim_pair pair;
    start(&pair, &(struct sim_pair_options){.segment_max = 100, .buffer_max = 2000}, &a, &b);
    assert_false(sim_pair_run(&pair, TERN_SECOND / 2));
    assert_int_equal(b.got, 1234);
    assert_true(a.sent >= 2000 && a.sent <= 5000);
    assert_true(sim_pair_run(&pair, TERN_MINUTE));
    assert_int_equal(b.got, 5000);
    assert_true(pair.now == TERN_SECOND);
    sim_pair_fini(&pair);
}

static void an_error_stops_the_offering(void **state)
{
    (void)state;
    struct counter a = {.size = 5000, .take_max = SIZE_MAX};
    struct counter b = {.take_max = SIZE_MAX, .fail_at = 300};
    struct sim_pair pair;
    start(&pair, &(struct sim_pair_options){.segment_max = 10}, &a, &b);
    assert_true(sim_pair_run(&pair, TERN_SECOND));
    assert_int_equal(pair.sides[1].err, TERN_ERR_PROTOCOL);
    assert_in_range(b.got, 300, 310);
    sim_pair_fini(&pair);
}

static bool half_came(void *context)
{
    const struct counter *b = context;
    return b->got >= 500;
}

static void the_end_follows_the_last_byte_once(void **state)
{
    (void)state;
    struct counter a = {.size = 1000, .take_max = SIZE_MAX};
    struct counter b = {.take_max = SIZE_MAX};
    struct sim_pair pair;
    start(&pair, &(struct sim_pair_options){.segment_max = 1, .latency_ns = TERN_SECOND}, &a, &b);
    sim_pair_end(&pair, 0);
    assert_true(sim_pair_run_until(&pair, half_came, &b, TERN_MINUTE));
    assert_false(b.ended);
    assert_true(sim_pair_run(&pair, TERN_MINUTE));
    assert_true(b.ended);
    assert_false(a.ended);
    assert_int_equal(b.got, 1000);
    sim_pair_fini(&pair);
}

static void flip_back(void *context, unsigned side, struct tern_span bytes)
{
    assert_int_equal(side, 0);
    size_t *place = context;
    for (size_t i = 0; i < bytes.size; i++)
        bytes.data[i] = counted_byte((*place)++);
}

static void zeros_send(void *self, tern_time now, struct tern_writer *out)
{
    struct counter *c = self;
    (void)now;
    for (; c->sent < c->size && tern_writer_left(out) > 0; c->sent++)
        tern_writer_u8(out, 0);
}

static void tampering_changes_what_arrives(void **state)
{
    (void)state;
    static const struct sim_core_ops zeros_ops = {.recv = counter_recv, .send = zeros_send};
    struct counter a = {.size = 3000};
    struct counter b = {.take_max = SIZE_MAX};
    size_t place = 0;
    struct sim_pair pair;
    sim_pair_init(
        &pair,
        &(struct sim_pair_options){.segment_max = 9, .tamper = flip_back, .tamper_context = &place},
        (struct sim_core){&zeros_ops, &a}, (struct sim_core){&counter_ops, &b});
    assert_true(sim_pair_run(&pair, TERN_SECOND));
    assert_int_equal(b.got, 3000);
    sim_pair_fini(&pair);
}

static void stuck_tick(void *self, tern_time now)
{
    (void)self;
    (void)now;
}

static void run_stuck(void *context)
{
    static const struct sim_core_ops stuck_ops = {.recv = counter_recv,
                                                  .send = counter_send,
                                                  .deadline = counter_deadline,
                                                  .tick = stuck_tick};
    (void)context;
    struct counter a = {.stall_at = 1, .unstall = TERN_SECOND};
    struct counter b = {0};
    struct sim_pair pair;
    sim_pair_init(&pair, &(struct sim_pair_options){0}, (struct sim_core){&stuck_ops, &a},
                  (struct sim_core){&counter_ops, &b});
    (void)sim_pair_run(&pair, TERN_MINUTE);
}

static void a_deadline_that_does_not_move_ends_the_process(void **state)
{
    (void)state;
    assert_int_not_equal(test_signal_of(run_stuck, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_arrive_after_the_latency_and_at_the_bandwidth),
        cmocka_unit_test(order_is_kept_and_a_seed_repeats_its_run),
        cmocka_unit_test(a_stalled_core_is_offered_the_rest_after_its_tick),
        cmocka_unit_test(an_error_stops_the_offering),
        cmocka_unit_test(the_end_follows_the_last_byte_once),
        cmocka_unit_test(tampering_changes_what_arrives),
        cmocka_unit_test(a_deadline_that_does_not_move_ends_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
