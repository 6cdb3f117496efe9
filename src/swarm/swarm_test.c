/* Connections and streams between swarms: the ordinary life. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "swarm/world_test_support.h"

static struct test_world *pair(struct test_node **a, struct test_node **b)
{
    struct test_world *w = test_world_new();
    *a = test_node_add(w);
    *b = test_node_add(w);
    assert_true(test_node_start(*a));
    assert_true(test_node_start(*b));
    test_listen(*b);
    return w;
}

static void send_text(struct test_node *node, struct tern_stream stream, const char *text)
{
    size_t accepted = 0;
    assert_int_equal(tern_swarm_write(node->swarm, stream, tern_view_str(text), &accepted),
                     TERN_OK);
    assert_int_equal(accepted, strlen(text));
    test_kick(node);
}

static void listening_is_told_with_the_bound_port(void **state)
{
    (void)state;
    struct test_node *a;
    struct test_node *b;
    struct test_world *w = pair(&a, &b);
    assert_int_equal(test_count(b, TERN_SWARM_LISTENING), 1);
    assert_int_equal(test_count(b, TERN_SWARM_ADDRESSES), 1);
    struct tern_multiaddr own[4];
    struct tern_multiaddr addr;
    test_address(b, &addr);
    assert_int_equal(tern_swarm_own_addresses(b->swarm, own, 4), 1);
    assert_memory_equal(own[0].bytes, addr.bytes, addr.size);
    test_world_free(w);
}

static void a_dial_connects_both_ends(void **state)
{
    (void)state;
    struct test_node *a;
    struct test_node *b;
    struct test_world *w = pair(&a, &b);
    tern_peer peer = test_connect(a, b);
    assert_int_not_equal(peer, 0);
    assert_true(tern_peer_id_equal(tern_swarm_peer_id(a->swarm, peer), &b->id));
    assert_int_equal(test_count(a, TERN_SWARM_PEER_UP), 1);
    assert_int_equal(test_count(b, TERN_SWARM_PEER_UP), 1);
    assert_int_equal(test_count(a, TERN_SWARM_CONNECTION_UP), 1);
    assert_int_equal(test_count(a, TERN_SWARM_DIAL_DONE), 1);
    assert_int_equal(test_find(a, TERN_SWARM_DIAL_DONE, 0)->event.err, TERN_OK);
    assert_int_equal(test_find(a, TERN_SWARM_DIAL_DONE, 0)->event.peer, peer);
    struct tern_connection_info info;
    tern_connection c = tern_swarm_connection_first(a->swarm, peer);
    assert_true(tern_swarm_connection_info(a->swarm, c, &info));
    assert_true(info.outbound);
    assert_true(info.bytes_in > 0 && info.bytes_out > 0);
    assert_int_equal(tern_swarm_connection_next(a->swarm, c), 0);
    test_world_free(w);
}

static void a_stream_echoes_and_ends_in_good_order(void **state)
{
    (void)state;
    struct test_node *a;
    struct test_node *b;
    struct test_world *w = pair(&a, &b);
    tern_peer peer = test_connect(a, b);
    struct tern_stream stream = test_open(a, peer);
    send_text(a, stream, "hello");
    test_run(w, TERN_SECOND);
    assert_int_equal(test_count(a, TERN_SWARM_STREAM_READY), 1);
    assert_int_equal(test_count(b, TERN_SWARM_STREAM_OPENED), 1);
    assert_int_equal(a->received, 5);
    assert_memory_equal(a->received_last, "hello", 5);
    assert_int_equal(tern_swarm_stream_peer(a->swarm, stream), peer);
    assert_int_equal(tern_swarm_close_write(a->swarm, stream), TERN_OK);
    test_kick(a);
    test_run(w, TERN_SECOND);
    for (int i = 0; i < 2; i++) {
        const struct test_node *node = i == 0 ? a : b;
        assert_int_equal(test_count(node, TERN_SWARM_STREAM_ENDED), 1);
        assert_int_equal(test_find(node, TERN_SWARM_STREAM_ENDED, 0)->event.err, TERN_OK);
    }
    assert_int_equal(test_find(a, TERN_SWARM_STREAM_ENDED, 0)->event.user, 7);
    size_t accepted;
    assert_int_equal(tern_swarm_write(a->swarm, stream, tern_view_str("late"), &accepted),
                     TERN_ERR_STALE);
    test_world_free(w);
}

static void noise_connects_in_three_round_trips(void **state)
{
    (void)state;
    struct test_world *w = test_world_new();
    struct test_node *nodes[2];
    for (int i = 0; i < 2; i++) {
        nodes[i] = test_node_add(w);
        nodes[i]->config.secure[0] = TERN_SECURE_NOISE;
        assert_true(test_node_start(nodes[i]));
    }
    test_listen(nodes[1]);
    w->latency = 50 * TERN_MILLISECOND;
    tern_time start = w->now;
    assert_int_equal(test_dial(nodes[0], nodes[1], 1), TERN_OK);
    test_run(w,
             220 * TERN_MILLISECOND); /* TCP, then message 1 and 2; the jobs take a millisecond */
    tern_peer peer = tern_swarm_find_peer(nodes[0]->swarm, &nodes[1]->id);
    assert_int_not_equal(peer, 0);
    struct tern_stream stream = test_open(nodes[0], peer);
    send_text(nodes[0], stream, "hello");
    test_run(w, 2 * TERN_SECOND);
    assert_int_equal(nodes[0]->received, 5);
    assert_true(test_dial_done(nodes[0], 1)->at - start < 4 * w->latency + 5 * TERN_MILLISECOND);
    test_world_free(w);
}

static void a_swarm_is_freed_while_its_jobs_are_out(void **state)
{
    (void)state;
    struct test_world *w = test_world_new();
    struct test_node *nodes[2];
    for (int i = 0; i < 2; i++) {
        nodes[i] = test_node_add(w);
        nodes[i]->config.secure[0] = TERN_SECURE_NOISE;
        assert_true(test_node_start(nodes[i]));
    }
    test_listen(nodes[1]);
    /* Stop at each moment of the handshake; the check is that nothing leaks and nothing is touched.
     */
    for (tern_time step = 0; step < 60; step++) {
        assert_int_equal(test_dial(nodes[0], nodes[1], 1), TERN_OK);
        test_run(w, step * TERN_MILLISECOND);
        test_node_stop(nodes[0]);
        test_run(w, 15 * TERN_SECOND);
        assert_int_equal(tern_swarm_peers_count(nodes[1]->swarm), 0);
        assert_true(test_node_start(nodes[0]));
    }
    test_world_free(w);
}

static void a_link_that_breaks_while_its_job_is_out_is_freed_later(void **state)
{
    (void)state;
    struct test_world *w = test_world_new();
    struct test_node *nodes[2];
    for (int i = 0; i < 2; i++) {
        nodes[i] = test_node_add(w);
        nodes[i]->config.secure[0] = TERN_SECURE_NOISE;
        assert_true(test_node_start(nodes[i]));
    }
    w->job_time = 5 * TERN_SECOND;
    test_listen(nodes[1]);
    assert_int_equal(test_dial(nodes[0], nodes[1], 1), TERN_OK);
    test_run(w, 2 * TERN_SECOND);
    test_node_stop(nodes[1]);
    test_run(w, TERN_SECOND);
    assert_int_equal(test_dial_done(nodes[0], 1)->event.err, TERN_ERR_DISCONNECTED);
    test_run(w, 10 * TERN_SECOND);
    test_world_free(w);
}

/* ask_for_more: a service that dials from each answer to a dial, without end. */
static void ask_for_more(struct test_node *node, const struct tern_swarm_event *event)
{
    if (event->kind != TERN_SWARM_DIAL_DONE)
        return;
    node->log_count = 0;
    node->balance[0]++;
    tern_err err =
        tern_swarm_dial(node->swarm, node->world->now,
                        &(struct tern_dial_options){.id = event->peer_id, .token = event->token});
    assert_int_equal(err, TERN_OK);
}

static void a_service_that_never_stops_calling_does_not_stop_the_world(void **state)
{
    (void)state;
    struct test_node *a;
    struct test_node *b;
    struct test_world *w = pair(&a, &b);
    tern_peer peer = test_connect(a, b);
    assert_int_not_equal(peer, 0);
    a->hook = ask_for_more;
    assert_int_equal(test_dial(a, b, 1), TERN_OK); /* comes back */
    assert_true(a->balance[0] > 1000);
    assert_true(tern_swarm_deadline(a->swarm) <= w->now); /* there is more to do */
    a->hook = NULL;
    test_run(w, TERN_SECOND);
    test_world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listening_is_told_with_the_bound_port),
        cmocka_unit_test(a_dial_connects_both_ends),
        cmocka_unit_test(a_stream_echoes_and_ends_in_good_order),
        cmocka_unit_test(noise_connects_in_three_round_trips),
        cmocka_unit_test(a_swarm_is_freed_while_its_jobs_are_out),
        cmocka_unit_test(a_link_that_breaks_while_its_job_is_out_is_freed_later),
        cmocka_unit_test(a_service_that_never_stops_calling_does_not_stop_the_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
