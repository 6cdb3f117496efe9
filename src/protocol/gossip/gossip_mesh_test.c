/* Subscriptions, the mesh, fanout, gossip about messages, and whole nets. */
#include "tern_test.h"

#include "protocol/gossip/gossip_test_support.h"

static struct lone lone;

static int setup(void **state)
{
    (void)state;
    lone_init(&lone, 1, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    lone_fini(&lone);
    return 0;
}

static void up_many(uint32_t *peers, size_t count, const char *topic)
{
    for (size_t i = 0; i < count; i++) {
        peers[i] = lone_up(&lone, TERN_GOSSIP_V11, i % 2 == 0, (unsigned)i);
        if (topic != NULL)
            lone_subscribed(&lone, peers[i], topic);
    }
}

static void a_new_peer_is_told_our_subscriptions(void **state)
{
    (void)state;
    assert_true(lone_start(&lone));
    uint32_t early = lone_up(&lone, TERN_GOSSIP_V11, true, 1);
    assert_int_equal(lone.log_count, 0); /* nothing to say, so nothing is said */
    lone_subscribe(&lone, "a", 0);
    lone_subscribe(&lone, "b", 0);
    assert_int_equal(lone_sent(&lone, early, PART_SUBSCRIBE, "a"), 1);
    assert_int_equal(lone_sent(&lone, early, PART_SUBSCRIBE, "b"), 1);
    uint32_t late = lone_up(&lone, TERN_GOSSIP_V11, false, 2);
    assert_int_equal(lone_sent(&lone, late, PART_SUBSCRIBE, NULL), 2);
    tern_gossip_unsubscribe(lone.core, lone.now, tern_view_str("a"));
    lone_drain(&lone);
    assert_int_equal(lone_sent(&lone, late, PART_UNSUBSCRIBE, "a"), 1);
    assert_int_equal(lone_sent(&lone, early, PART_UNSUBSCRIBE, "a"), 1);
}

static void subscribing_twice_or_too_much_is_refused(void **state)
{
    static char name[300];
    (void)state;
    lone.options.params.topics_max = 4;
    assert_true(lone_start(&lone));
    memset(name, 'x', sizeof name - 1);
    lone_subscribe(&lone, "a", 0);
    assert_int_equal(tern_gossip_subscribe(lone.core, lone.now, tern_view_str("a"), 0),
                     TERN_ERR_EXISTS);
    assert_int_equal(tern_gossip_subscribe(lone.core, lone.now, tern_view_str(name), 0),
                     TERN_ERR_TOO_LARGE);
    lone_subscribe(&lone, "b", 0);
    lone_subscribe(&lone, "c", 0);
    lone_subscribe(&lone, "d", 0);
    assert_int_equal(tern_gossip_subscribe(lone.core, lone.now, tern_view_str("e"), 0),
                     TERN_ERR_FULL);
    tern_gossip_unsubscribe(lone.core, lone.now, tern_view_str("d"));
    lone_drain(&lone);
    lone_subscribe(&lone, "e", 0); /* the place is free again */
}

static void the_application_hears_of_subscribers(void **state)
{
    uint8_t bytes[64];
    (void)state;
    assert_true(lone_start(&lone));
    uint32_t peer = lone_up(&lone, TERN_GOSSIP_V11, true, 1);
    lone_subscribed(&lone, peer, "a");
    lone_subscribed(&lone, peer, "a"); /* said twice, heard once */
    assert_int_equal(lone_count(&lone, TERN_GOSSIP_SUBSCRIBED), 1);
    assert_true(test_view_is(lone_find(&lone, TERN_GOSSIP_SUBSCRIBED, 0)->topic, "a"));
    uint32_t found[4];
    assert_int_equal(tern_gossip_topic_peers(lone.core, tern_view_str("a"), found, 4), 1);
    assert_int_equal(found[0], peer);
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    rpc_subscription(&w, false, "a");
    rpc_subscription(&w, false, "a");
    lone_send(&lone, peer, &w);
    assert_int_equal(lone_count(&lone, TERN_GOSSIP_UNSUBSCRIBED), 1);
    assert_int_equal(tern_gossip_topic_peers(lone.core, tern_view_str("a"), found, 4), 0);
}

static void joining_grafts_d_subscribers(void **state)
{
    uint32_t peers[20];
    size_t grafts = 0;
    (void)state;
    assert_true(lone_start(&lone));
    up_many(peers, 20, "a");
    lone_subscribe(&lone, "a", 0);
    assert_int_equal(lone_mesh(&lone, "a"), 6);
    for (size_t i = 0; i < 20; i++) {
        size_t sent = lone_sent(&lone, peers[i], PART_GRAFT, "a");
        assert_int_equal(sent, lone_in_mesh(&lone, "a", peers[i]));
        grafts += sent;
    }
    assert_int_equal(grafts, 6);
}

static void leaving_prunes_with_the_short_back_off(void **state)
{
    uint32_t peers[4];
    (void)state;
    assert_true(lone_start(&lone));
    up_many(peers, 4, "a");
    lone_subscribe(&lone, "a", 0);
    assert_int_equal(lone_mesh(&lone, "a"), 4);
    tern_gossip_unsubscribe(lone.core, lone.now, tern_view_str("a"));
    lone_drain(&lone);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(lone_sent(&lone, peers[i], PART_PRUNE, "a"), 1);
        assert_int_equal(lone_sent_prune_backoff(&lone, peers[i]), 10);
    }
    lone_clear(&lone);
    lone_subscribe(&lone, "a", 0); /* and we keep to it ourselves */
    assert_int_equal(lone_mesh(&lone, "a"), 0);
    lone_run(&lone, 10 * TERN_SECOND);
    assert_int_equal(lone_mesh(&lone, "a"), 0); /* one heartbeat of slack */
    lone_run(&lone, 3 * TERN_SECOND);
    assert_int_equal(lone_mesh(&lone, "a"), 4);
}

static void floodsub_peers_are_never_grafted(void **state)
{
    (void)state;
    assert_true(lone_start(&lone));
    uint32_t peer = lone_up(&lone, TERN_GOSSIP_FLOODSUB, true, 1);
    lone_subscribed(&lone, peer, "a");
    lone_subscribe(&lone, "a", 0);
    lone_graft(&lone, peer, "a"); /* it does not speak that: ignored */
    lone_run(&lone, 5 * TERN_SECOND);
    assert_int_equal(lone_mesh(&lone, "a"), 0);
    assert_int_equal(lone_sent(&lone, peer, PART_GRAFT, NULL), 0);
    assert_int_equal(lone_sent(&lone, peer, PART_PRUNE, NULL), 0);
}

static void floodsub_peers_get_and_give_every_message(void **state)
{
    uint8_t bytes[128];
    (void)state;
    lone.options.params.flood_publish = false;
    assert_true(lone_start(&lone));
    uint32_t old = lone_up(&lone, TERN_GOSSIP_FLOODSUB, true, 1);
    uint32_t other = lone_up(&lone, TERN_GOSSIP_V11, true, 2);
    lone_subscribe(&lone, "a", 0);
    lone_subscribed(&lone, old, "a");
    lone_subscribed(&lone, other, "a");
    assert_int_equal(lone_publish(&lone, "a", "mine"), TERN_OK);
    assert_int_equal(lone_sent(&lone, old, PART_MESSAGE, "mine"), 1);
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    rpc_unsigned(&w, "a", "theirs");
    lone_send(&lone, other, &w);
    assert_int_equal(lone_sent(&lone, old, PART_MESSAGE, "theirs"), 1);
    assert_int_equal(lone_sent(&lone, other, PART_MESSAGE, "theirs"), 0);
    w = tern_writer_of(bytes, sizeof bytes);
    rpc_unsigned(&w, "a", "flooded");
    lone_send(&lone, old, &w);
    assert_int_equal(lone_delivered(&lone, "flooded"), 1);
    assert_int_equal(lone_sent(&lone, other, PART_MESSAGE, "flooded"), 1);
}

static void a_mesh_below_d_lo_is_filled_by_the_heartbeat(void **state)
{
    uint32_t peers[12];
    (void)state;
    assert_true(lone_start(&lone));
    up_many(peers, 12, "a");
    lone_subscribe(&lone, "a", 0);
    size_t gone = 0;
    for (size_t i = 0; i < 12 && gone < 4; i++)
        if (lone_in_mesh(&lone, "a", peers[i])) {
            lone_prune(&lone, peers[i], "a", 60);
            gone++;
        }
    assert_int_equal(lone_mesh(&lone, "a"), 2);
    lone_run(&lone, 2 * TERN_SECOND);
    assert_int_equal(lone_mesh(&lone, "a"), 6);
}

static void a_mesh_above_d_hi_is_cut_to_d_and_keeps_d_out(void **state)
{
    uint32_t peers[40];
    size_t outbound = 0;
    (void)state;
    lone.options.params.d_hi = 12;
    assert_true(lone_start(&lone));
    lone_subscribe(&lone, "a", 0);
    for (size_t i = 0; i < 40; i++) { /* two that we dialled, and many that dialled us */
        peers[i] = lone_up(&lone, TERN_GOSSIP_V11, i < 2, (unsigned)i);
        lone_graft(&lone, peers[i], "a");
    }
    assert_int_equal(lone_mesh(&lone, "a"), 12); /* inbound grafts are refused from there on */
    for (size_t i = 0; i < 3; i++) {             /* outbound ones are not */
        uint32_t peer = lone_up(&lone, TERN_GOSSIP_V11, true, (unsigned)(100 + i));
        lone_graft(&lone, peer, "a");
    }
    assert_int_equal(lone_mesh(&lone, "a"), 15);
    lone_run(&lone, 2 * TERN_SECOND);
    assert_int_equal(lone_mesh(&lone, "a"), 6);
    for (size_t i = 0; i < 2; i++)
        outbound += lone_in_mesh(&lone, "a", peers[i]);
    for (uint32_t i = 40; i < 43; i++)
        outbound += lone_in_mesh(&lone, "a", i);
    assert_true(outbound >= 2);
}

static void a_graft_into_a_full_mesh_is_answered_with_prune(void **state)
{
    (void)state;
    assert_true(lone_start(&lone));
    lone_subscribe(&lone, "a", 0);
    uint32_t last = 0;
    for (unsigned i = 0; i < 13; i++) {
        last = lone_up(&lone, TERN_GOSSIP_V11, false, i);
        lone_graft(&lone, last, "a");
    }
    assert_false(lone_in_mesh(&lone, "a", last));
    assert_int_equal(lone_sent(&lone, last, PART_PRUNE, "a"), 1);
    assert_int_equal(lone_sent_prune_backoff(&lone, last), 60);
    assert_int_equal(lone_faults_all(&lone), 0); /* it could not know */
}

static void the_mesh_has_an_end_that_outbound_grafts_do_not_pass(void **state)
{
    (void)state;
    lone.options.params.d = 64;
    lone.options.params.d_lo = 60;
    lone.options.params.d_hi = 64;
    assert_true(lone_start(&lone));
    lone_subscribe(&lone, "a", 0);
    for (unsigned i = 0; i < 66; i++) {
        uint32_t peer = lone_up(&lone, TERN_GOSSIP_V11, true, i);
        lone_graft(&lone, peer, "a");
    }
    assert_int_equal(lone_mesh(&lone, "a"), 64);
    assert_int_equal(lone_sent(&lone, 65, PART_PRUNE, "a"), 1);
}

static void too_few_outbound_members_are_made_up_for(void **state)
{
    size_t outbound = 0;
    (void)state;
    assert_true(lone_start(&lone));
    lone_subscribe(&lone, "a", 0);
    for (unsigned i = 0; i < 8; i++) {
        uint32_t peer = lone_up(&lone, TERN_GOSSIP_V11, false, i);
        lone_subscribed(&lone, peer, "a");
        lone_graft(&lone, peer, "a");
    }
    uint32_t ours[3];
    for (unsigned i = 0; i < 3; i++) {
        ours[i] = lone_up(&lone, TERN_GOSSIP_V11, true, 50 + i);
        lone_subscribed(&lone, ours[i], "a");
        outbound += lone_in_mesh(&lone, "a", ours[i]);
    }
    assert_int_equal(outbound, 0);
    lone_run(&lone, 2 * TERN_SECOND);
    for (unsigned i = 0; i < 3; i++)
        outbound += lone_in_mesh(&lone, "a", ours[i]);
    assert_int_equal(outbound, 2);
}

static void negative_scores_leave_the_mesh_and_stay_out(void **state)
{
    uint32_t peers[6];
    (void)state;
    assert_true(lone_start(&lone));
    up_many(peers, 6, "a");
    lone_subscribe(&lone, "a", 0);
    assert_true(lone_in_mesh(&lone, "a", peers[3]));
    tern_gossip_set_score(lone.core, peers[3], -1);
    lone_run(&lone, 3 * TERN_SECOND);
    assert_false(lone_in_mesh(&lone, "a", peers[3]));
    assert_int_equal(lone_sent(&lone, peers[3], PART_PRUNE, "a"), 1);
    uint32_t bad = lone_up(&lone, TERN_GOSSIP_V11, false, 30);
    tern_gossip_set_score(lone.core, bad, -1);
    lone_graft(&lone, bad, "a");
    assert_false(lone_in_mesh(&lone, "a", bad));
    assert_int_equal(lone_faults_all(&lone), 0);
}

static void low_scores_lose_gossip_then_messages_then_everything(void **state)
{
    uint8_t bytes[128];
    (void)state;
    assert_true(lone_start(&lone));
    lone_subscribe(&lone, "a", 0);
    uint32_t flood = lone_up(&lone, TERN_GOSSIP_FLOODSUB, true, 1);
    uint32_t peer = lone_up(&lone, TERN_GOSSIP_V11, true, 2);
    lone_subscribed(&lone, flood, "a");
    lone_subscribed(&lone, peer, "a");
    lone_prune(&lone, peer, "a", 3600);
    tern_gossip_set_score(lone.core, flood, -51);
    tern_gossip_set_score(lone.core, peer, -51);
    assert_int_equal(lone_publish(&lone, "a", "x"), TERN_OK);
    assert_int_equal(lone_sent(&lone, flood, PART_MESSAGE, "x"), 0);
    assert_int_equal(lone_sent(&lone, peer, PART_MESSAGE, "x"), 0);
    lone_run(&lone, 2 * TERN_SECOND);
    assert_int_equal(lone_sent(&lone, peer, PART_IHAVE_IDS, NULL), 0);
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    rpc_unsigned(&w, "a", "still heard");
    lone_send(&lone, peer, &w);
    assert_int_equal(lone_delivered(&lone, "still heard"), 1);
    tern_gossip_set_score(lone.core, peer, -81);
    w = tern_writer_of(bytes, sizeof bytes);
    rpc_unsigned(&w, "a", "graylisted");
    rpc_subscription(&w, true, "b");
    lone_send(&lone, peer, &w);
    assert_int_equal(lone_delivered(&lone, "graylisted"), 0);
    assert_int_equal(lone_count(&lone, TERN_GOSSIP_SUBSCRIBED), 3); /* what it says of itself */
}

static void publishing_floods_to_all_subscribers(void **state)
{
    uint32_t peers[20];
    (void)state;
    assert_true(lone_start(&lone));
    up_many(peers, 20, "a");
    lone_subscribe(&lone, "a", 0);
    assert_int_equal(lone_publish(&lone, "a", "x"), TERN_OK);
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(lone_sent(&lone, peers[i], PART_MESSAGE, "x"), 1);
    assert_int_equal(lone_delivered(&lone, NULL), 0); /* not to ourselves */
}

static size_t who_got(const uint32_t *peers, size_t count, const char *data, bool *got)
{
    size_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        got[i] = lone_sent(&lone, peers[i], PART_MESSAGE, data) == 1;
        sum += got[i];
    }
    return sum;
}

static void a_topic_not_joined_has_a_fanout_that_lasts_a_while(void **state)
{
    uint32_t peers[20];
    bool first[20], second[20], third[20];
    (void)state;
    lone.options.params.flood_publish = false;
    assert_true(lone_start(&lone));
    up_many(peers, 20, "a");
    assert_int_equal(lone_publish(&lone, "a", "1"), TERN_OK);
    assert_int_equal(who_got(peers, 20, "1", first), 6);
    lone_run(&lone, 30 * TERN_SECOND);
    assert_int_equal(lone_publish(&lone, "a", "2"), TERN_OK);
    assert_int_equal(who_got(peers, 20, "2", second), 6);
    assert_memory_equal(first, second, sizeof first);
    lone_run(&lone, 50 * TERN_SECOND); /* renewed by the second message */
    assert_int_equal(lone_publish(&lone, "a", "2b"), TERN_OK);
    assert_int_equal(who_got(peers, 20, "2b", second), 6);
    assert_memory_equal(first, second, sizeof first);
    lone_run(&lone, 62 * TERN_SECOND);
    assert_int_equal(lone_publish(&lone, "a", "3"), TERN_OK);
    assert_int_equal(who_got(peers, 20, "3", third), 6);
    assert_memory_not_equal(first, third, sizeof first);
    assert_int_equal(lone_mesh(&lone, "a"), 0);
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(lone_sent(&lone, peers[i], PART_GRAFT, NULL), 0);
}

static void joining_makes_the_fanout_the_mesh(void **state)
{
    uint32_t peers[20];
    bool got[20];
    (void)state;
    lone.options.params.flood_publish = false;
    assert_true(lone_start(&lone));
    up_many(peers, 20, "a");
    assert_int_equal(lone_publish(&lone, "a", "1"), TERN_OK);
    assert_int_equal(who_got(peers, 20, "1", got), 6);
    lone_subscribe(&lone, "a", 0);
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(lone_in_mesh(&lone, "a", peers[i]), got[i]);
        assert_int_equal(lone_sent(&lone, peers[i], PART_GRAFT, "a"), got[i]);
    }
}

static void non_members_are_told_what_came(void **state)
{
    uint32_t peers[20];
    size_t told = 0;
    (void)state;
    lone.options.params.flood_publish = false;
    assert_true(lone_start(&lone));
    up_many(peers, 20, "a");
    lone_subscribe(&lone, "a", 0);
    assert_int_equal(lone_publish(&lone, "a", "1"), TERN_OK);
    assert_int_equal(lone_publish(&lone, "a", "2"), TERN_OK);
    lone_run(&lone, 200 * TERN_MILLISECOND); /* one heartbeat */
    for (size_t i = 0; i < 20; i++) {
        size_t ids = lone_sent(&lone, peers[i], PART_IHAVE_IDS, "a");
        assert_true(ids == 0 || (ids == 2 && !lone_in_mesh(&lone, "a", peers[i])));
        told += ids > 0;
    }
    assert_int_equal(told, 6); /* D_lazy */
    lone_clear(&lone);
    lone_run(&lone, 3 * TERN_SECOND);
    lone_clear(&lone);
    lone_run(&lone, 3 * TERN_SECOND); /* older than history_gossip: not told any more */
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(lone_sent(&lone, peers[i], PART_IHAVE_IDS, NULL), 0);
}

static void a_topic_of_nobody_is_forgotten(void **state)
{
    (void)state;
    lone.options.params.topics_max = 4;
    assert_true(lone_start(&lone));
    uint32_t peer = lone_up(&lone, TERN_GOSSIP_V11, true, 1);
    for (unsigned i = 0; i < 20; i++) {
        char name[2] = {(char)('a' + i), 0};
        uint8_t bytes[64];
        struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
        rpc_subscription(&w, true, name);
        rpc_subscription(&w, false, name);
        lone_send(&lone, peer, &w);
        assert_int_equal(lone_publish(&lone, name, name), TERN_OK);
        lone_run(&lone, 7 * TERN_SECOND); /* its message leaves the cache */
    }
    assert_int_equal(lone_faults_all(&lone), 0);
}

/* --- nets --- */

static void net_publish_from_each(struct net *n, size_t from_count)
{
    char data[32];
    for (size_t i = 0; i < from_count; i++) {
        struct tern_writer w = tern_writer_of(data, sizeof data);
        tern_writer_str(&w, "from ");
        tern_writer_decimal(&w, i);
        assert_true(tern_writer_terminate(&w));
        assert_int_equal(lone_publish(&n->nodes[i], "a", data), TERN_OK);
        net_run(n, 500 * TERN_MILLISECOND);
        for (size_t k = 0; k < n->count; k++)
            assert_int_equal(lone_delivered(&n->nodes[k], data), k != i);
    }
}

static void net_check_clean(const struct net *n)
{
    for (size_t i = 0; i < n->count; i++)
        assert_int_equal(lone_faults_all(&n->nodes[i]), 0);
}

static void net_scenario(enum tern_gossip_policy policy)
{
    struct net *n = net_new(24, policy, NULL);
    for (size_t i = 0; i < n->count; i++)
        n->nodes[i].options.params.flood_publish = i % 2 == 0;
    assert_true(net_start(n));
    net_connect_all(n);
    net_subscribe_all(n, "a");
    net_run(n, 3 * TERN_MINUTE); /* the back-offs of the crowded beginning are over */
    for (size_t i = 0; i < n->count; i++) {
        size_t mesh = lone_mesh(&n->nodes[i], "a");
        assert_true(mesh >= 5 && mesh <= 12);
    }
    net_publish_from_each(n, 10);
    net_run(n, TERN_MINUTE);
    net_check_clean(n);
    net_free(n);
}

static void a_message_reaches_all_nodes_once(void **state)
{
    (void)state;
    net_scenario(TERN_GOSSIP_STRICT_NO_SIGN);
}

static void a_signed_message_reaches_all_nodes_once(void **state)
{
    (void)state;
    net_scenario(TERN_GOSSIP_STRICT_SIGN);
}

static void meshes_agree_at_both_ends(void **state)
{
    (void)state;
    struct net *n = net_new(24, TERN_GOSSIP_STRICT_NO_SIGN, NULL);
    assert_true(net_start(n));
    net_connect_all(n);
    net_subscribe_all(n, "a");
    net_run(n, 30 * TERN_SECOND);
    for (size_t a = 0; a < n->count; a++)
        for (uint32_t i = 0; i < LONE_PEERS_MAX; i++)
            if (n->wires[a][i].used)
                assert_int_equal(
                    lone_in_mesh(&n->nodes[a], "a", i),
                    lone_in_mesh(&n->nodes[n->wires[a][i].node], "a", n->wires[a][i].peer));
    net_free(n);
}

static void a_line_of_nodes_carries_messages_to_its_end(void **state)
{
    (void)state;
    struct net *n = net_new(10, TERN_GOSSIP_STRICT_SIGN, NULL);
    assert_true(net_start(n));
    for (size_t i = 0; i + 1 < n->count; i++)
        assert_true(net_connect(n, i, i + 1, TERN_GOSSIP_V11));
    net_subscribe_all(n, "a");
    net_run(n, 5 * TERN_SECOND);
    net_publish_from_each(n, 10);
    net_check_clean(n);
    net_free(n);
}

static void a_peer_out_of_the_mesh_recovers_by_iwant(void **state)
{
    (void)state;
    struct net *n = net_new(2, TERN_GOSSIP_STRICT_NO_SIGN, NULL);
    n->nodes[0].options.params.flood_publish = false;
    assert_true(net_start(n));
    assert_true(net_connect(n, 0, 1, TERN_GOSSIP_V11));
    net_subscribe_all(n, "a");
    net_run(n, TERN_SECOND);
    lone_prune(&n->nodes[0], 0, "a", 600); /* as if node 1 had sent it */
    lone_prune(&n->nodes[1], 0, "a", 600);
    net_pump(n);
    assert_int_equal(lone_mesh(&n->nodes[0], "a"), 0);
    assert_int_equal(lone_publish(&n->nodes[0], "a", "x"), TERN_OK);
    net_pump(n);
    assert_int_equal(lone_sent(&n->nodes[0], 0, PART_MESSAGE, "x"), 0);
    net_run(n, 2 * TERN_SECOND);
    assert_int_equal(lone_delivered(&n->nodes[1], "x"), 1);
    assert_int_equal(lone_sent(&n->nodes[1], 0, PART_IWANT_IDS, NULL), 1);
    net_run(n, 10 * TERN_SECOND);
    net_check_clean(n); /* the promise was kept */
    net_free(n);
}

static void a_net_heals_when_nodes_come_and_go(void **state)
{
    (void)state;
    struct net *n = net_new(16, TERN_GOSSIP_STRICT_SIGN, NULL);
    struct tern_random random;
    tern_random_init_u64(&random, 5);
    assert_true(net_start(n));
    net_connect_all(n);
    net_subscribe_all(n, "a");
    net_run(n, 3 * TERN_SECOND);
    for (int round = 0; round < 60; round++) {
        size_t a = (size_t)tern_random_below(&random, n->count);
        size_t b = (a + 1 + (size_t)tern_random_below(&random, n->count - 1)) % n->count;
        assert_int_equal(lone_publish(&n->nodes[a], "a", "noise"), TERN_OK);
        net_pump(n);
        net_disconnect(n, a, b); /* with its messages in flight */
        net_run(n, tern_random_below(&random, TERN_SECOND));
        assert_true(net_connect(n, b, a, TERN_GOSSIP_V11));
    }
    net_run(n, 2 * TERN_MINUTE);
    net_publish_from_each(n, 16);
    net_check_clean(n); /* nobody grafted within a back-off, whatever happened */
    net_free(n);
}

int main(void)
{
#define LONE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        LONE(a_new_peer_is_told_our_subscriptions),
        LONE(subscribing_twice_or_too_much_is_refused),
        LONE(the_application_hears_of_subscribers),
        LONE(joining_grafts_d_subscribers),
        LONE(leaving_prunes_with_the_short_back_off),
        LONE(floodsub_peers_are_never_grafted),
        LONE(floodsub_peers_get_and_give_every_message),
        LONE(a_mesh_below_d_lo_is_filled_by_the_heartbeat),
        LONE(a_mesh_above_d_hi_is_cut_to_d_and_keeps_d_out),
        LONE(a_graft_into_a_full_mesh_is_answered_with_prune),
        LONE(the_mesh_has_an_end_that_outbound_grafts_do_not_pass),
        LONE(too_few_outbound_members_are_made_up_for),
        LONE(negative_scores_leave_the_mesh_and_stay_out),
        LONE(low_scores_lose_gossip_then_messages_then_everything),
        LONE(publishing_floods_to_all_subscribers),
        LONE(a_topic_not_joined_has_a_fanout_that_lasts_a_while),
        LONE(joining_makes_the_fanout_the_mesh),
        LONE(non_members_are_told_what_came),
        LONE(a_topic_of_nobody_is_forgotten),
        cmocka_unit_test(a_message_reaches_all_nodes_once),
        cmocka_unit_test(a_signed_message_reaches_all_nodes_once),
        cmocka_unit_test(meshes_agree_at_both_ends),
        cmocka_unit_test(a_line_of_nodes_carries_messages_to_its_end),
        cmocka_unit_test(a_peer_out_of_the_mesh_recovers_by_iwant),
        cmocka_unit_test(a_net_heals_when_nodes_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
