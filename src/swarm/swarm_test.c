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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listening_is_told_with_the_bound_port),
        cmocka_unit_test(a_dial_connects_both_ends),
        cmocka_unit_test(a_stream_echoes_and_ends_in_good_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
