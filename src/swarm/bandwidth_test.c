/* Meters, and quotas of bytes a second: how exact, how fair, and who is exempt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "swarm/private.h"
#include "swarm/world_test_support.h"

/* --- meters --- */

static void near(uint64_t value, uint64_t expected, uint64_t per_mille)
{
    uint64_t most = expected * per_mille / 1000 + 1;
    if (value + most < expected || value > expected + most)
        print_error("%llu is not near %llu\n", (unsigned long long)value,
                    (unsigned long long)expected);
    assert_true(value + most >= expected && value <= expected + most);
}

static void a_steady_stream_is_seen_in_each_window_in_its_time(void **state)
{
    (void)state;
    struct swarm_meter meter = {.at = TERN_HOUR};
    struct tern_traffic t;
    tern_time now = TERN_HOUR;
    for (int i = 0; i < 100000; i++) { /* 1 MB/s for 100 s */
        now += TERN_MILLISECOND;
        tern_meter_add(&meter, now, TERN_IN, 1000);
        tern_meter_read(&meter, now, &t);
        if (i == 999) /* after one second, 1 - 1/e of it is seen in the first window */
            near(t.rates[TERN_IN][TERN_RATE_1S], 632121, 10);
        if (i == 9999)
            near(t.rates[TERN_IN][TERN_RATE_10S], 632121, 10);
        if (i == 59999)
            near(t.rates[TERN_IN][TERN_RATE_60S], 632121, 10);
    }
    near(t.rates[TERN_IN][TERN_RATE_1S], 1000000, 10);
    near(t.rates[TERN_IN][TERN_RATE_10S], 1000000, 10);
    assert_int_equal(t.bytes[TERN_IN], 100000000);
    assert_int_equal(t.rates[TERN_OUT][TERN_RATE_1S], 0);
    /* Then nothing: each forgets in its time, whenever it is asked. */
    tern_meter_read(&meter, now + TERN_SECOND, &t);
    near(t.rates[TERN_IN][TERN_RATE_1S], 367879, 10);
    tern_meter_read(&meter, now + 10 * TERN_SECOND, &t);
    near(t.rates[TERN_IN][TERN_RATE_10S], 367879, 20);
    assert_true(t.rates[TERN_IN][TERN_RATE_1S] < 100);
    tern_meter_read(&meter, now + TERN_HOUR, &t);
    assert_int_equal(t.rates[TERN_IN][TERN_RATE_60S], 0);
    assert_int_equal(t.bytes[TERN_IN], 100000000);
}

static void asking_changes_nothing(void **state)
{
    (void)state;
    struct swarm_meter asked = {.at = 0};
    struct swarm_meter left = {.at = 0};
    struct tern_traffic a;
    struct tern_traffic b;
    for (tern_time now = 0; now < TERN_MINUTE; now += 37 * TERN_MILLISECOND) {
        tern_meter_add(&asked, now, TERN_OUT, 500);
        tern_meter_add(&left, now, TERN_OUT, 500);
        tern_meter_read(&asked, now + 5, &a);
    }
    tern_meter_read(&asked, TERN_MINUTE, &a);
    tern_meter_read(&left, TERN_MINUTE, &b);
    assert_memory_equal(&a, &b, sizeof a);
}

static void extremes_do_not_overflow(void **state)
{
    (void)state;
    struct swarm_meter meter = {.at = 0};
    struct tern_traffic t;
    tern_meter_add(&meter, 0, TERN_IN, SIZE_MAX / 2);
    tern_meter_add(&meter, 0, TERN_IN, 1);
    tern_meter_read(&meter, TERN_TIME_NEVER - 1, &t);
    assert_int_equal(t.bytes[TERN_IN], SIZE_MAX / 2 + 1);
    assert_int_equal(t.rates[TERN_IN][TERN_RATE_60S], 0);
}

/* --- a world of bulk --- */

/* The first node sends to the others, or they to it, as fast as they are let. */
struct bulk {
    struct test_world *w;
    struct test_node *nodes[4];
    uint32_t count;
};

static uint64_t bulk_received[TEST_NODES_MAX];
static bool bulk_stopped[TEST_NODES_MAX];
static bool bulk_by_slice;

static void bulk_fill(struct test_node *node, struct tern_stream stream)
{
    static const uint8_t bytes[16384];
    size_t accepted = 1;
    for (int i = 0; i < 1000 && accepted > 0 && !bulk_stopped[node->index]; i++) {
        accepted = 0;
        if (bulk_by_slice) {
            const struct tern_slice slice = {.view = tern_view_of(bytes, 4000)};
            if (tern_swarm_write_slice(node->swarm, stream, slice) == TERN_OK)
                accepted = 4000;
        } else if (tern_swarm_write(node->swarm, stream, tern_view_of(bytes, sizeof bytes),
                                    &accepted) != TERN_OK) {
            return;
        }
    }
}

static void bulk_hook(struct test_node *node, const struct tern_swarm_event *event)
{
    node->log_count = 0;
    if (event->kind == TERN_SWARM_STREAM_READABLE && event->protocol != NULL) {
        struct tern_slice bytes;
        while (tern_swarm_read(node->swarm, event->stream, &bytes) == TERN_OK) {
            bulk_received[node->index] += bytes.view.size;
            tern_swarm_consume(node->swarm, event->stream, bytes.view.size);
        }
    }
    if ((event->kind == TERN_SWARM_STREAM_WRITABLE || event->kind == TERN_SWARM_STREAM_READY) &&
        event->protocol == NULL)
        bulk_fill(node, event->stream);
}

static struct bulk bulk_of(uint32_t count, const struct tern_quotas *quotas)
{
    struct bulk bulk = {.w = test_world_new(), .count = count};
    memset(bulk_received, 0, sizeof bulk_received);
    memset(bulk_stopped, 0, sizeof bulk_stopped);
    bulk_by_slice = false;
    for (uint32_t i = 0; i < count; i++) {
        bulk.nodes[i] = test_node_add(bulk.w);
        bulk.nodes[i]->echo = false;
        bulk.nodes[i]->hook = bulk_hook;
        if (i == 0)
            bulk.nodes[i]->config.quotas = *quotas;
        assert_true(test_node_start(bulk.nodes[i]));
    }
    test_listen(bulk.nodes[0]);
    for (uint32_t i = 1; i < count; i++)
        assert_int_not_equal(test_connect(bulk.nodes[i], bulk.nodes[0]), 0);
    return bulk;
}

static struct tern_stream bulk_start(struct test_node *from, struct test_node *to)
{
    struct tern_stream stream = test_open(from, tern_swarm_find_peer(from->swarm, &to->id));
    bulk_fill(from, stream);
    test_kick(from);
    return stream;
}

/* bulk_rate is what a node receives a second in that time. */
static uint64_t bulk_rate(struct bulk *bulk, const struct test_node *node, tern_time span)
{
    uint64_t before = bulk_received[node->index];
    test_run(bulk->w, span);
    return (bulk_received[node->index] - before) * TERN_SECOND / span;
}

static struct tern_quotas quota_of(enum tern_direction direction, bool total, uint64_t rate)
{
    struct tern_quotas quotas = {.total = {{0}}};
    struct tern_quota *quota = total ? &quotas.total[direction] : &quotas.peer[direction];
    quota->bytes_per_s = rate;
    return quotas;
}

/* Each kind of quota, over orders of magnitude: within 5 % over 10 s. */
static void quotas_are_kept_within_five_per_cent(void **state)
{
    (void)state;
    static const uint64_t rates[] = {20000, 300000, 2000000};
    for (size_t r = 0; r < TERN_COUNT_OF(rates); r++) {
        for (int kind = 0; kind < 4; kind++) {
            enum tern_direction direction = kind & 1 ? TERN_IN : TERN_OUT;
            struct tern_quotas quotas = quota_of(direction, kind & 2, rates[r]);
            struct bulk bulk = bulk_of(2, &quotas);
            struct test_node *from = bulk.nodes[direction == TERN_OUT ? 0 : 1];
            struct test_node *to = bulk.nodes[direction == TERN_OUT ? 1 : 0];
            bulk_start(from, to);
            /* A whole window is on its way before anybody is held. */
            test_run(bulk.w, rates[r] < 100000 ? 40 * TERN_SECOND : 5 * TERN_SECOND);
            near(bulk_rate(&bulk, to, 10 * TERN_SECOND), rates[r], 50);
            test_world_free(bulk.w);
        }
    }
}

static void streams_of_sessions_are_held_as_exactly(void **state)
{
    (void)state;
    for (int kind = 0; kind < 8; kind++) {
        enum tern_direction direction = kind & 1 ? TERN_IN : TERN_OUT;
        struct tern_quotas quotas = quota_of(direction, kind & 2, 500000);
        struct bulk bulk = bulk_of(2, &quotas);
        bulk_by_slice = kind & 4;
        struct tern_swarm *s = bulk.nodes[0]->swarm;
        struct swarm_conn *c =
            tern_conns_find(s, tern_swarm_connection_first(s, tern_swarm_peer_first(s)));
        c->by_streams = true; /* as sessions are */
        struct test_node *from = bulk.nodes[direction == TERN_OUT ? 0 : 1];
        struct test_node *to = bulk.nodes[direction == TERN_OUT ? 1 : 0];
        bulk_start(from, to);
        test_run(bulk.w, 10 * TERN_SECOND);
        near(bulk_rate(&bulk, to, 20 * TERN_SECOND), 500000, 50);
        test_world_free(bulk.w);
    }
}

static void busy_peers_share_the_total_evenly(void **state)
{
    (void)state;
    struct tern_quotas quotas = quota_of(TERN_OUT, true, 1200000);
    struct bulk bulk = bulk_of(4, &quotas);
    struct tern_stream streams[4];
    for (uint32_t i = 1; i < 4; i++) /* one with two streams: that makes no difference */
        streams[i] = bulk_start(bulk.nodes[0], bulk.nodes[i]);
    bulk_start(bulk.nodes[0], bulk.nodes[1]);
    test_run(bulk.w, 5 * TERN_SECOND);
    uint64_t before[4];
    memcpy(before, bulk_received, sizeof before);
    test_run(bulk.w, 20 * TERN_SECOND);
    for (uint32_t i = 1; i < 4; i++)
        near((bulk_received[i] - before[i]) / 20, 400000, 50);
    /* One has enough: the others have its share. */
    tern_swarm_reset(bulk.nodes[0]->swarm, streams[2], 0);
    test_kick(bulk.nodes[0]);
    test_run(bulk.w, 5 * TERN_SECOND);
    memcpy(before, bulk_received, sizeof before);
    test_run(bulk.w, 20 * TERN_SECOND);
    near((bulk_received[1] - before[1]) / 20, 600000, 50);
    near((bulk_received[3] - before[3]) / 20, 600000, 50);
    test_world_free(bulk.w);
}

static void what_comes_in_is_shared_evenly_too(void **state)
{
    (void)state;
    struct tern_quotas quotas = quota_of(TERN_IN, true, 900000);
    struct bulk bulk = bulk_of(4, &quotas);
    for (uint32_t i = 1; i < 4; i++)
        bulk_start(bulk.nodes[i], bulk.nodes[0]);
    test_run(bulk.w, 5 * TERN_SECOND);
    struct tern_swarm *s = bulk.nodes[0]->swarm;
    struct tern_traffic before[4];
    struct tern_traffic after;
    for (uint32_t i = 1; i < 4; i++)
        assert_true(tern_swarm_peer_traffic(
            s, bulk.w->now, tern_swarm_find_peer(s, &bulk.nodes[i]->id), &before[i]));
    near(bulk_rate(&bulk, bulk.nodes[0], 20 * TERN_SECOND), 900000, 50);
    for (uint32_t i = 1; i < 4; i++) {
        assert_true(tern_swarm_peer_traffic(s, bulk.w->now,
                                            tern_swarm_find_peer(s, &bulk.nodes[i]->id), &after));
        near((after.bytes[TERN_IN] - before[i].bytes[TERN_IN]) / 20, 300000, 50);
    }
    test_world_free(bulk.w);
}

static void one_peer_may_have_another_quota(void **state)
{
    (void)state;
    struct tern_quotas quotas = quota_of(TERN_OUT, false, 100000);
    struct bulk bulk = bulk_of(4, &quotas);
    struct tern_swarm *s = bulk.nodes[0]->swarm;
    const struct tern_quota more[TERN_DIRECTIONS] = {[TERN_OUT] = {.bytes_per_s = 400000}};
    const struct tern_quota most[TERN_DIRECTIONS] = {[TERN_OUT] = {.bytes_per_s = 2000000}};
    const struct tern_quota none[TERN_DIRECTIONS] = {{0}};
    assert_int_equal(tern_swarm_set_peer_quota(s, bulk.w->now, &bulk.nodes[1]->id, more), TERN_OK);
    assert_int_equal(tern_swarm_set_peer_quota(s, bulk.w->now, &bulk.nodes[2]->id, most), TERN_OK);
    for (uint32_t i = 1; i < 4; i++)
        bulk_start(bulk.nodes[0], bulk.nodes[i]);
    test_run(bulk.w, 2 * TERN_SECOND);
    uint64_t before[4];
    memcpy(before, bulk_received, sizeof before);
    test_run(bulk.w, 4 * TERN_SECOND);
    near((bulk_received[1] - before[1]) / 4, 400000, 50);
    near((bulk_received[2] - before[2]) / 4, 2000000, 50);
    near((bulk_received[3] - before[3]) / 4, 100000, 150);
    /* Changed while all wait. */
    assert_int_equal(tern_swarm_set_peer_quota(s, bulk.w->now, &bulk.nodes[1]->id, NULL), TERN_OK);
    assert_int_equal(tern_swarm_set_peer_quota(s, bulk.w->now, &bulk.nodes[1]->id, NULL), TERN_OK);
    test_kick(bulk.nodes[0]);
    test_run(bulk.w, 2 * TERN_SECOND);
    near(bulk_rate(&bulk, bulk.nodes[1], 4 * TERN_SECOND), 100000, 150);
    struct tern_peer_id id = bulk.nodes[1]->id;
    tern_err err = TERN_OK;
    for (unsigned i = 0; err == TERN_OK; i++) {
        id.bytes[10] = (uint8_t)i;
        id.bytes[11] = (uint8_t)(i >> 8);
        err = tern_swarm_set_peer_quota(s, bulk.w->now, &id, none);
        assert_true(i < 2000);
    }
    assert_int_equal(err, TERN_ERR_FULL);
    test_world_free(bulk.w);
}

static void a_quota_that_is_taken_away_holds_nobody(void **state)
{
    (void)state;
    struct tern_quotas quotas = quota_of(TERN_OUT, true, 50000);
    quotas.peer[TERN_IN].bytes_per_s = 50000;
    struct bulk bulk = bulk_of(2, &quotas);
    bulk_start(bulk.nodes[0], bulk.nodes[1]);
    bulk_start(bulk.nodes[1], bulk.nodes[0]);
    test_run(bulk.w, 5 * TERN_SECOND);
    assert_true(bulk_received[0] < 500000 && bulk_received[1] < 500000);
    const struct tern_quotas none = {.total = {{0}}};
    tern_swarm_set_quotas(bulk.nodes[0]->swarm, bulk.w->now, &none);
    assert_false(bulk.nodes[0]->swarm->bandwidth.on);
    test_kick(bulk.nodes[0]);
    assert_true(bulk_rate(&bulk, bulk.nodes[1], TERN_SECOND / 10) > 2000000);
    assert_true(bulk_rate(&bulk, bulk.nodes[0], TERN_SECOND / 10) > 2000000);
    test_world_free(bulk.w);
}

/* Under a quota that is always used up pings are answered in time, and an end is an end. */
static void a_held_connection_lives_and_ends(void **state)
{
    (void)state;
    struct tern_quotas quotas = quota_of(TERN_OUT, false, TERN_QUOTA_MIN);
    quotas.peer[TERN_IN].bytes_per_s = 1; /* raised to the least there is */
    struct bulk bulk = bulk_of(2, &quotas);
    bulk_start(bulk.nodes[0], bulk.nodes[1]);
    bulk_start(bulk.nodes[1], bulk.nodes[0]);
    test_run(bulk.w, TERN_MINUTE);
    uint64_t before = bulk_received[0];
    near(bulk_rate(&bulk, bulk.nodes[1], 4 * TERN_MINUTE), TERN_QUOTA_MIN, 50);
    near((bulk_received[0] - before) / 240, TERN_QUOTA_MIN, 50);
    assert_int_equal(tern_swarm_peers_count(bulk.nodes[0]->swarm), 1);
    tern_swarm_disconnect(bulk.nodes[0]->swarm, bulk.w->now,
                          tern_swarm_peer_first(bulk.nodes[0]->swarm), 0);
    test_kick(bulk.nodes[0]);
    test_run(bulk.w, 7 * TERN_SECOND);
    assert_int_equal(tern_swarm_peers_count(bulk.nodes[0]->swarm), 0);
    assert_int_equal(tern_swarm_peers_count(bulk.nodes[1]->swarm), 0);
    assert_int_equal(bulk.nodes[0]->swarm->conns.count, 0);
    test_world_free(bulk.w);
}

static void all_is_metered(void **state)
{
    (void)state;
    const struct tern_quotas none = {.total = {{0}}};
    struct bulk bulk = bulk_of(2, &none);
    struct tern_swarm *s = bulk.nodes[0]->swarm;
    bulk_stopped[1] = true;
    struct tern_stream stream =
        test_open(bulk.nodes[1], tern_swarm_peer_first(bulk.nodes[1]->swarm));
    for (int i = 0; i < 300; i++) { /* 100 KB/s for 30 s */
        static const uint8_t bytes[10000];
        size_t accepted;
        assert_int_equal(tern_swarm_write(bulk.nodes[1]->swarm, stream,
                                          tern_view_of(bytes, sizeof bytes), &accepted),
                         TERN_OK);
        assert_int_equal(accepted, sizeof bytes);
        test_kick(bulk.nodes[1]);
        test_run(bulk.w, 100 * TERN_MILLISECOND);
    }
    struct tern_traffic total;
    struct tern_traffic peer;
    tern_swarm_traffic(s, bulk.w->now, &total);
    assert_true(tern_swarm_peer_traffic(s, bulk.w->now, tern_swarm_peer_first(s), &peer));
    near(total.rates[TERN_IN][TERN_RATE_1S], 100000, 100);
    near(peer.rates[TERN_IN][TERN_RATE_10S], 95000, 50);
    assert_true(peer.rates[TERN_OUT][TERN_RATE_1S] < 1000);
    assert_int_equal(total.bytes[TERN_IN],
                     bulk.nodes[0]->metrics.values[TERN_METRIC_SWARM_BYTES_IN]);
    assert_true(total.bytes[TERN_IN] >= peer.bytes[TERN_IN]);
    struct tern_protocol_traffic protocol = {.name = {.size = 0}};
    assert_true(tern_swarm_protocol_traffic_next(s, bulk.w->now, &protocol));
    assert_true(tern_view_equal(protocol.name, tern_view_str(test_echo_name)));
    assert_int_equal(protocol.traffic.bytes[TERN_IN], 3000000);
    assert_int_equal(protocol.streams_in, 1);
    near(protocol.traffic.rates[TERN_IN][TERN_RATE_10S], 95000, 50);
    assert_false(tern_swarm_protocol_traffic_next(s, bulk.w->now, &protocol));
    assert_false(tern_swarm_peer_traffic(s, bulk.w->now, 999, &peer));
    test_world_free(bulk.w);
}

/* A connection that goes while it waits for its turn leaves the others theirs. */
static void who_goes_leaves_its_turn_to_others(void **state)
{
    (void)state;
    struct tern_quotas quotas = quota_of(TERN_OUT, true, 300000);
    quotas.total[TERN_IN].bytes_per_s = 300000;
    struct bulk bulk = bulk_of(4, &quotas);
    for (uint32_t i = 1; i < 4; i++) {
        bulk_start(bulk.nodes[0], bulk.nodes[i]);
        bulk_start(bulk.nodes[i], bulk.nodes[0]);
    }
    test_run(bulk.w, 5 * TERN_SECOND);
    test_node_stop(bulk.nodes[2]);
    test_node_stop(bulk.nodes[3]);
    test_run(bulk.w, 5 * TERN_SECOND);
    assert_int_equal(tern_swarm_peers_count(bulk.nodes[0]->swarm), 1);
    near(bulk_rate(&bulk, bulk.nodes[1], 20 * TERN_SECOND), 300000, 50);
    near(bulk_rate(&bulk, bulk.nodes[0], 20 * TERN_SECOND), 300000, 50);
    test_world_free(bulk.w);
}

static void without_memory_to_count_by_nothing_is_held(void **state)
{
    (void)state;
    struct tern_quotas quotas = quota_of(TERN_OUT, false, 50000);
    struct test_world *w = test_world_new();
    struct test_node *a = test_node_add(w);
    struct test_node *b = test_node_add(w);
    a->config.quotas = quotas;
    assert_true(test_node_start(a) && test_node_start(b));
    test_listen(b);
    for (uint64_t n = 1; n < 60; n++) {
        tern_mem_fail_at(&a->mem, n, false);
        (void)test_connect(a, b);
        tern_mem_fail_at(&a->mem, 0, false);
        tern_swarm_disconnect(a->swarm, w->now, tern_swarm_find_peer(a->swarm, &b->id), 0);
        test_kick(a);
        test_run(w, 10 * TERN_SECOND);
    }
    assert_int_not_equal(test_connect(a, b), 0);
    test_world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_steady_stream_is_seen_in_each_window_in_its_time),
        cmocka_unit_test(asking_changes_nothing),
        cmocka_unit_test(extremes_do_not_overflow),
        cmocka_unit_test(quotas_are_kept_within_five_per_cent),
        cmocka_unit_test(streams_of_sessions_are_held_as_exactly),
        cmocka_unit_test(busy_peers_share_the_total_evenly),
        cmocka_unit_test(what_comes_in_is_shared_evenly_too),
        cmocka_unit_test(one_peer_may_have_another_quota),
        cmocka_unit_test(a_quota_that_is_taken_away_holds_nobody),
        cmocka_unit_test(a_held_connection_lives_and_ends),
        cmocka_unit_test(all_is_metered),
        cmocka_unit_test(who_goes_leaves_its_turn_to_others),
        cmocka_unit_test(without_memory_to_count_by_nothing_is_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
