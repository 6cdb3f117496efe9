/* Round trips, jitter, lost pings; and shutting down while streams are busy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "swarm/private.h"
#include "swarm/world_test_support.h"

static void round_trips_are_smoothed(void **state)
{
    (void)state;
    struct swarm_quality q = {.pings = 0};
    struct tern_quality out;
    tern_quality_rtt(&q, 80 * TERN_MILLISECOND);
    tern_quality_read(&q, &out);
    assert_int_equal(out.rtt_ns, 80 * TERN_MILLISECOND);
    assert_int_equal(out.rtt_min_ns, 80 * TERN_MILLISECOND);
    assert_int_equal(out.jitter_ns, 40 * TERN_MILLISECOND);
    tern_quality_rtt(&q, 160 * TERN_MILLISECOND);
    tern_quality_read(&q, &out);
    assert_int_equal(out.rtt_ns, 90 * TERN_MILLISECOND);
    assert_int_equal(out.rtt_min_ns, 80 * TERN_MILLISECOND);
    assert_int_equal(out.jitter_ns,
                     50 * TERN_MILLISECOND); /* three quarters of 40, and of 80 one */
    for (int i = 0; i < 100; i++)
        tern_quality_rtt(&q, 20 * TERN_MILLISECOND);
    tern_quality_read(&q, &out);
    assert_true(out.rtt_ns >= 20 * TERN_MILLISECOND && out.rtt_ns < 21 * TERN_MILLISECOND);
    assert_true(out.jitter_ns < TERN_MILLISECOND);
    assert_int_equal(out.rtt_min_ns, 20 * TERN_MILLISECOND);
    assert_int_equal(out.pings, 102);
    assert_int_equal(out.lost, 0);
}

static void lost_pings_show_and_are_forgotten(void **state)
{
    (void)state;
    struct swarm_quality q = {.pings = 0};
    struct tern_quality out;
    for (int i = 0; i < 100; i++)
        tern_quality_lost(&q);
    tern_quality_read(&q, &out);
    assert_true(out.loss_per_mille > 990 && out.loss_per_mille <= 1000);
    assert_int_equal(out.lost, 100);
    for (int i = 0; i < 50; i++)
        tern_quality_rtt(&q, TERN_MILLISECOND);
    tern_quality_read(&q, &out);
    assert_true(out.loss_per_mille < 10);
    assert_int_equal(out.lost, 100);
    assert_int_equal(out.pings, 150);
}

static void extreme_times_do_no_harm(void **state)
{
    (void)state;
    struct swarm_quality q = {.pings = 0};
    struct tern_quality out;
    tern_quality_rtt(&q, 1);
    tern_quality_rtt(&q, TERN_TIME_NEVER);
    tern_quality_rtt(&q, TERN_TIME_NEVER);
    tern_quality_read(&q, &out);
    assert_int_equal(out.rtt_min_ns, TERN_MICROSECOND);
    assert_true(out.rtt_ns > TERN_SECOND && out.rtt_ns < TERN_HOUR);
}

struct scene {
    struct test_world *w;
    struct test_node *a;
    struct test_node *b;
    tern_peer b_of_a;
    tern_peer a_of_b;
};

static struct scene pair(void)
{
    struct scene sc = {.w = test_world_new()};
    sc.a = test_node_add(sc.w);
    sc.b = test_node_add(sc.w);
    sc.a->config.keepalive_ns = 10 * TERN_SECOND;
    sc.a->config.idle_timeout_ns = 0;
    sc.b->config.idle_timeout_ns = 0;
    assert_true(test_node_start(sc.a) && test_node_start(sc.b));
    test_listen(sc.b);
    sc.b_of_a = test_connect(sc.a, sc.b);
    sc.a_of_b = tern_swarm_find_peer(sc.b->swarm, &sc.a->id);
    assert_int_not_equal(sc.a_of_b, 0);
    return sc;
}

static void keepalives_and_services_tell_of_a_connection(void **state)
{
    (void)state;
    struct scene sc = pair();
    struct tern_swarm *s = sc.a->swarm;
    struct tern_quality quality;
    test_run(sc.w, TERN_MINUTE);
    assert_true(tern_swarm_peer_quality(s, sc.b_of_a, &quality));
    assert_true(quality.pings >= 4);
    assert_int_equal(quality.rtt_ns, 20 * TERN_MILLISECOND);
    assert_int_equal(quality.rtt_min_ns, 20 * TERN_MILLISECOND);
    assert_int_equal(quality.loss_per_mille, 0);
    tern_connection c = tern_swarm_connection_first(s, sc.b_of_a);
    uint32_t pings = quality.pings;
    tern_swarm_ping_result(s, c, 0);
    tern_swarm_ping_result(s, c, 12 * TERN_MILLISECOND);
    tern_swarm_ping_result(s, 12345, 0);
    struct tern_connection_info info;
    assert_true(tern_swarm_connection_info(s, c, &info));
    assert_int_equal(info.quality.pings, pings + 2);
    assert_int_equal(info.quality.lost, 1);
    assert_true(info.quality.loss_per_mille > 100 && info.quality.loss_per_mille < 125);
    assert_int_equal(info.quality.rtt_min_ns, 12 * TERN_MILLISECOND);
    assert_false(tern_swarm_peer_quality(s, 99, &quality));
    test_world_free(sc.w);
}

/* --- shutting down --- */

enum { BULK_SIZE = 3000000 };

static size_t bulk_left;
static size_t bulk_got;

static void bulk_hook(struct test_node *node, const struct tern_swarm_event *event)
{
    static const uint8_t bytes[65536];
    bool ours = event->protocol == NULL;
    if (ours &&
        (event->kind == TERN_SWARM_STREAM_WRITABLE || event->kind == TERN_SWARM_STREAM_READY))
        for (size_t accepted = 1; accepted > 0 && bulk_left > 0; bulk_left -= accepted)
            if (tern_swarm_write(node->swarm, event->stream,
                                 tern_view_of(bytes, tern_min_size(sizeof bytes, bulk_left)),
                                 &accepted) != TERN_OK)
                return;
    if (ours && bulk_left == 0 && event->kind == TERN_SWARM_STREAM_WRITABLE)
        assert_int_equal(tern_swarm_close_write(node->swarm, event->stream), TERN_OK);
    if (!ours && event->kind == TERN_SWARM_STREAM_READABLE) {
        struct tern_slice bytes_in;
        tern_err err;
        while ((err = tern_swarm_read(node->swarm, event->stream, &bytes_in)) == TERN_OK) {
            bulk_got += bytes_in.view.size;
            tern_swarm_consume(node->swarm, event->stream, bytes_in.view.size);
        }
        if (err == TERN_ERR_END)
            assert_int_equal(tern_swarm_close_write(node->swarm, event->stream), TERN_OK);
    }
}

static struct scene busy_pair(size_t size)
{
    struct scene sc = pair();
    bulk_left = size;
    bulk_got = 0;
    sc.a->hook = sc.b->hook = bulk_hook;
    sc.a->echo = sc.b->echo = false;
    sc.a->swarm->config.shutdown_drain_ns = 2 * TERN_SECOND;
    return sc;
}

static const struct tern_swarm_event *last_down(const struct test_node *node)
{
    const struct test_news *down = test_find(node, TERN_SWARM_CONNECTION_DOWN, 0);
    assert_non_null(down);
    return &down->event;
}

/* Who sends shuts down in the middle: all of it arrives, and then the end. */
static void what_is_under_way_arrives_before_the_end(void **state)
{
    (void)state;
    struct scene sc = busy_pair(BULK_SIZE);
    (void)test_open(sc.a, sc.b_of_a);
    test_run(sc.w, 50 * TERN_MILLISECOND);
    assert_true(bulk_got > 0 && bulk_got < BULK_SIZE);
    tern_swarm_shutdown(sc.a->swarm, sc.w->now);
    test_kick(sc.a);
    struct tern_stream late;
    assert_int_equal(test_try_open(sc.a, sc.b_of_a, &late), TERN_ERR_CLOSED);
    test_run(sc.w, 1900 * TERN_MILLISECOND);
    assert_int_equal(bulk_got, BULK_SIZE);
    test_run(sc.w, TERN_SECOND);
    assert_true(tern_swarm_is_down(sc.a->swarm));
    assert_int_equal(test_find(sc.b, TERN_SWARM_STREAM_ENDED, 0)->event.err, TERN_OK);
    assert_int_equal(last_down(sc.b)->code, TERN_CONNECTION_CODE_SHUTDOWN);
    assert_true(last_down(sc.b)->by_remote);
    test_world_free(sc.w);
}

/* A stream that never ends is cut off when the time is over; so is a remote that takes nothing. */
static void what_takes_too_long_is_cut_off(void **state)
{
    (void)state;
    for (int silent = 0; silent < 2; silent++) {
        struct scene sc = busy_pair(SIZE_MAX / 2);
        /* b reads nothing. */
        sc.b->hook = NULL;
        (void)test_open(sc.a, sc.b_of_a);
        test_run(sc.w, 100 * TERN_MILLISECOND);
        if (silent)
            test_silence(sc.a, sc.b);
        tern_time began = sc.w->now;
        tern_swarm_shutdown(sc.a->swarm, sc.w->now);
        tern_swarm_shutdown(sc.a->swarm, sc.w->now); /* once is enough */
        test_kick(sc.a);
        test_run(sc.w, TERN_SECOND);
        assert_false(tern_swarm_is_down(sc.a->swarm));
        assert_int_equal(test_count(sc.a, TERN_SWARM_CONNECTION_DOWN), 0);
        test_run(sc.w, sc.a->config.shutdown_drain_ns + 12 * TERN_SECOND - TERN_SECOND);
        assert_true(tern_swarm_is_down(sc.a->swarm));
        const struct test_news *down = test_find(sc.a, TERN_SWARM_CONNECTION_DOWN, 0);
        assert_true(down->at >= began + sc.a->config.shutdown_drain_ns);
        test_world_free(sc.w);
    }
}

static void a_remotes_new_stream_is_refused_with_the_code(void **state)
{
    (void)state;
    struct scene sc = busy_pair(BULK_SIZE);
    (void)test_open(sc.a, sc.b_of_a);
    test_run(sc.w, 50 * TERN_MILLISECOND);
    tern_swarm_shutdown(sc.a->swarm, sc.w->now);
    struct tern_stream stream;
    size_t accepted;
    assert_int_equal(test_try_open(sc.b, sc.a_of_b, &stream), TERN_OK);
    sc.b->hook = NULL;
    assert_int_equal(tern_swarm_write(sc.b->swarm, stream, tern_view_str("x"), &accepted), TERN_OK);
    test_kick(sc.a);
    test_kick(sc.b);
    sc.b->hook = bulk_hook;
    test_run(sc.w, 100 * TERN_MILLISECOND);
    const struct test_news *ended = test_find(sc.b, TERN_SWARM_STREAM_ENDED, 0);
    assert_non_null(ended);
    assert_int_equal(ended->event.err, TERN_ERR_RESET);
    assert_int_equal(ended->event.code, TERN_STREAM_CODE_SHUTDOWN);
    test_run(sc.w, 15 * TERN_SECOND);
    assert_int_equal(bulk_got, BULK_SIZE);
    assert_true(tern_swarm_is_down(sc.a->swarm));
    test_world_free(sc.w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trips_are_smoothed),
        cmocka_unit_test(lost_pings_show_and_are_forgotten),
        cmocka_unit_test(extreme_times_do_no_harm),
        cmocka_unit_test(keepalives_and_services_tell_of_a_connection),
        cmocka_unit_test(what_is_under_way_arrives_before_the_end),
        cmocka_unit_test(what_takes_too_long_is_cut_off),
        cmocka_unit_test(a_remotes_new_stream_is_refused_with_the_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
