/* What peers ask of the mesh, well-meant and not: GRAFT, PRUNE, IHAVE, IWANT, subscriptions. Each
 * fault of the control plane is provoked here by name. */
#include "tern_test.h"

#include "protocol/gossip/gossip_test_support.h"

static struct lone lone;
static uint8_t buffer[2 * TEST_BYTES_MAX];

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

static uint32_t start_with_peer(void)
{
    assert_true(lone_start(&lone));
    lone_subscribe(&lone, "a", 0);
    return lone_up(&lone, TERN_GOSSIP_V11, false, 1);
}

static struct tern_writer begin(void)
{
    return tern_writer_of(buffer, sizeof buffer);
}

/* A 32-byte id that no message here has. */
static void strange_id(uint32_t number, uint8_t id[32])
{
    memset(id, 0xee, 32);
    memcpy(id, &number, sizeof number);
}

static void send_ihave(uint32_t peer, uint32_t first, uint32_t count)
{
    static uint8_t ids[1200][32];
    static struct tern_view views[1200];
    assert_true(count <= 1200);
    for (uint32_t i = 0; i < count; i++) {
        strange_id(first + i, ids[i]);
        views[i] = tern_view_of(ids[i], 32);
    }
    struct tern_writer w = begin();
    rpc_ids(&w, "a", views, count);
    lone_send(&lone, peer, &w);
}

static void send_iwant(uint32_t peer, const char *data, size_t times)
{
    uint8_t id[32];
    struct tern_view view = {id, sizeof id};
    test_id_of_data(data, id);
    for (size_t i = 0; i < times; i++) {
        struct tern_writer w = begin();
        rpc_ids(&w, NULL, &view, 1);
        lone_send(&lone, peer, &w);
    }
}

/* --- RPCs as such --- */

static void an_rpc_over_the_limit_is_a_fault(void **state)
{
    static uint8_t large[TEST_BYTES_MAX + 1];
    (void)state;
    uint32_t peer = start_with_peer();
    lone_rpc(&lone, peer, tern_view_of(large, sizeof large));
    assert_int_equal(lone_faults(&lone, peer, TERN_FAULT_GOSSIP_RPC_TOO_LARGE), 1);
    assert_int_equal(lone_faults_all(&lone), 1);
}

static void what_does_not_decode_is_one_fault_and_the_rest_is_not_looked_at(void **state)
{
    /* Fields that end too early: of the RPC, of a subscription, of the control message, of each of
     * its entries. A good subscription stands behind each. */
    static const char *const bad[] = {"\x0a\x02\x0a\x05",
                                      "\x1a\x02\x0a\x05",
                                      "\x1a\x04\x0a\x02\x0a\x05",
                                      "\x1a\x04\x12\x02\x0a\x05",
                                      "\x1a\x04\x1a\x02\x0a\x05",
                                      "\x1a\x04\x22\x02\x0a\x05",
                                      "\x0b"};
    (void)state;
    uint32_t peer = start_with_peer();
    for (size_t i = 0; i < TERN_COUNT_OF(bad); i++) {
        struct tern_writer w = begin();
        tern_writer_str(&w, bad[i]);
        rpc_subscription(&w, true, "behind");
        lone_clear(&lone);
        lone_send(&lone, peer, &w);
        assert_int_equal(lone_faults(&lone, peer, TERN_FAULT_GOSSIP_RPC_MALFORMED), 1);
        assert_int_equal(lone.log_count, 1);
    }
}

static void unknown_fields_are_passed_over(void **state)
{
    (void)state;
    uint32_t peer = start_with_peer();
    struct tern_writer w = begin();
    tern_pb_write_varint(&w, 99, 1);
    tern_pb_write_bytes(&w, 3, tern_view_str("\x2a\x01x")); /* IDONTWANT of v1.2 */
    rpc_subscription(&w, true, "b");
    lone_send(&lone, peer, &w);
    assert_int_equal(lone_faults_all(&lone), 0);
    assert_int_equal(lone_count(&lone, TERN_GOSSIP_SUBSCRIBED), 1);
}

/* --- subscriptions --- */

static void subscribe_to(struct tern_writer *w, uint32_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        char name[16];
        struct tern_writer n = tern_writer_of(name, sizeof name);
        tern_writer_str(&n, "t");
        tern_writer_decimal(&n, first + i);
        assert_true(tern_writer_terminate(&n));
        rpc_subscription(w, true, name);
    }
}

static void more_subscriptions_than_an_rpc_may_hold_are_one_fault(void **state)
{
    (void)state;
    uint32_t peer = start_with_peer();
    struct tern_writer w = begin();
    for (uint32_t i = 0; i < 600; i++)
        rpc_subscription(&w, true, "same");
    lone_send(&lone, peer, &w);
    assert_int_equal(lone_faults(&lone, peer, TERN_FAULT_GOSSIP_SUBSCRIPTIONS), 1);
    assert_int_equal(lone_faults_all(&lone), 1);
    assert_int_equal(lone_count(&lone, TERN_GOSSIP_SUBSCRIBED), 1);
}

/* The flood of CVE-2026-46679: subscriptions to ever new topics hold memory for good. */
static void a_flood_of_subscriptions_is_bounded(void **state)
{
    (void)state;
    uint32_t peer = start_with_peer();
    size_t before = lone.mem->used;
    for (uint32_t i = 0; i < 40; i++) {
        struct tern_writer w = begin();
        subscribe_to(&w, 500 * i, 500);
        lone_send(&lone, peer, &w);
        lone_clear(&lone);
    }
    assert_true(lone.mem->used - before < (size_t)512 * 1024);
    struct tern_writer w = begin();
    subscribe_to(&w, 100000, 1);
    lone_send(&lone, peer, &w);
    assert_int_equal(lone_faults(&lone, peer, TERN_FAULT_GOSSIP_SUBSCRIPTIONS), 1);
    lone_clear(&lone);
    w = begin();
    subscribe_to(&w, 0, 1); /* what it is subscribed to already it may say again */
    lone_send(&lone, peer, &w);
    assert_int_equal(lone_faults_all(&lone), 0);
    lone_down(&lone, peer);
    lone_run(&lone, 2 * TERN_SECOND);
    assert_true(lone.mem->used <= before + 16384); /* all topics are forgotten; buckets stay */
}

static void a_topic_with_too_long_a_name_is_a_fault(void **state)
{
    static char name[258];
    (void)state;
    uint32_t peer = start_with_peer();
    memset(name, 'n', 257);
    lone_subscribed(&lone, peer, name);
    assert_int_equal(lone_faults(&lone, peer, TERN_FAULT_GOSSIP_SUBSCRIPTIONS), 1);
    assert_int_equal(lone_count(&lone, TERN_GOSSIP_SUBSCRIBED), 0);
}

static void topics_of_peers_leave_room_for_ours(void **state)
{
    (void)state;
    lone.options.params.topics_max = 16;
    uint32_t peer = start_with_peer();
    struct tern_writer w = begin();
    subscribe_to(&w, 0, 20);
    lone_send(&lone, peer, &w);
    assert_int_equal(lone_count(&lone, TERN_GOSSIP_SUBSCRIBED), 11); /* and ours makes 12 */
    assert_int_equal(lone_faults(&lone, peer, TERN_FAULT_GOSSIP_TOPICS_FULL), 9);
    lone_subscribe(&lone, "b", 0);
    lone_subscribe(&lone, "c", 0);
    lone_subscribe(&lone, "d", 0);
    lone_subscribe(&lone, "e", 0);
    assert_int_equal(tern_gossip_subscribe(lone.core, lone.now, tern_view_str("f"), 0),
                     TERN_ERR_FULL);
}

/* --- GRAFT, PRUNE, back-off --- */

static void a_graft_makes_a_member(void **state)
{
    (void)state;
    uint32_t peer = start_with_peer();
    lone_graft(&lone, peer, "a");
    lone_graft(&lone, peer, "a");
    assert_int_equal(lone_mesh(&lone, "a"), 1);
    lone_clear(&lone);
    lone_graft(&lone, peer, "unknown");
    assert_int_equal(lone.log_count, 0); /* no answer to who asks for what we do not have */
}

static void a_graft_within_the_back_off_is_a_fault_and_prolongs_it(void **state)
{
    (void)state;
    uint32_t peer = start_with_peer();
    lone_subscribed(&lone, peer, "a"); /* which grafts it */
    assert_int_equal(lone_mesh(&lone, "a"), 1);
    lone_prune(&lone, peer, "a", 20);
    lone_clear(&lone);
    lone_run(&lone, 15 * TERN_SECOND);
    lone_graft(&lone, peer, "a");
    assert_int_equal(lone_faults(&lone, peer, TERN_FAULT_GOSSIP_GRAFT_BACKOFF), 1);
    assert_int_equal(lone_sent(&lone, peer, PART_PRUNE, "a"), 1);
    assert_int_equal(lone_sent_prune_backoff(&lone, peer), 60);
    lone_run(&lone, 30 * TERN_SECOND);
    lone_graft(&lone, peer, "a"); /* later than the first 20 s, within the new 60 s */
    assert_int_equal(lone_faults(&lone, peer, TERN_FAULT_GOSSIP_GRAFT_BACKOFF), 2);
    lone_run(&lone, 60 * TERN_SECOND);
    lone_graft(&lone, peer, "a"); /* on the second: its turn, while we wait a heartbeat more */
    assert_int_equal(lone_faults(&lone, peer, TERN_FAULT_GOSSIP_GRAFT_BACKOFF), 2);
    assert_true(lone_in_mesh(&lone, "a", peer));
}

static void a_prune_without_back_off_means_a_minute(void **state)
{
    (void)state;
    uint32_t peer = start_with_peer();
    lone_subscribed(&lone, peer, "a");
    lone_prune(&lone, peer, "a", 0);
    lone_run(&lone, 60 * TERN_SECOND);
    assert_int_equal(lone_mesh(&lone, "a"), 0);
    lone_run(&lone, 3 * TERN_SECOND);
    assert_int_equal(lone_mesh(&lone, "a"), 1);
}

/* The panics of CVE-2026-33040 and CVE-2026-34219: a back-off near 2^64 s overflowed the clock. */
static void a_huge_back_off_is_cut_and_a_fault(void **state)
{
    static const uint64_t seconds[] = {UINT64_MAX,        UINT64_MAX / TERN_SECOND,
                                       UINT64_MAX / 2,    UINT64_MAX / TERN_SECOND + 1,
                                       UINT64_C(1) << 63, 3601};
    (void)state;
    uint32_t peer = start_with_peer();
    for (size_t i = 0; i < TERN_COUNT_OF(seconds); i++) {
        lone_clear(&lone);
        lone_subscribed(&lone, peer, "a");
        lone_prune(&lone, peer, "a", seconds[i]);
        assert_int_equal(lone_faults(&lone, peer, TERN_FAULT_GOSSIP_BACKOFF_HUGE), 1);
        assert_int_equal(lone_mesh(&lone, "a"), 0);
    }
    lone_run(&lone, TERN_HOUR);
    assert_int_equal(lone_mesh(&lone, "a"), 0);
    lone_run(&lone, 3 * TERN_SECOND); /* an hour, and no more */
    assert_int_equal(lone_mesh(&lone, "a"), 1);
    lone_clear(&lone);
    lone_prune(&lone, peer, "a", 3600);
    assert_int_equal(lone_faults_all(&lone), 0);
}

static void a_back_off_outlives_the_connection(void **state)
{
    (void)state;
    uint32_t peer = start_with_peer();
    lone_subscribed(&lone, peer, "a");
    lone_prune(&lone, peer, "a", 60);
    lone_down(&lone, peer);
    uint32_t other = lone_up(&lone, TERN_GOSSIP_V11, false, 7);
    assert_int_equal(other, peer); /* the slot is another's now, the back-off is not */
    lone_subscribed(&lone, other, "a");
    assert_true(lone_in_mesh(&lone, "a", other));
    peer = lone_up(&lone, TERN_GOSSIP_V11, false, 1);
    lone_subscribed(&lone, peer, "a");
    lone_run(&lone, 5 * TERN_SECOND);
    assert_false(lone_in_mesh(&lone, "a", peer)); /* we keep it */
    lone_clear(&lone);
    lone_graft(&lone, peer, "a"); /* and so must it */
    assert_int_equal(lone_faults(&lone, peer, TERN_FAULT_GOSSIP_GRAFT_BACKOFF), 1);
}

/* --- IHAVE and IWANT --- */

static void news_is_asked_for_once(void **state)
{
    uint8_t known[32], news[32];
    (void)state;
    uint32_t peer = start_with_peer();
    assert_int_equal(lone_publish(&lone, "a", "known"), TERN_OK);
    test_id_of_data("known", known);
    test_id_of_data("news", news);
    const struct tern_view ids[] = {{known, 32}, {news, 32}, {news, 0}, {buffer, 200}};
    struct tern_writer w = begin();
    rpc_ids(&w, "a", ids, 3);
    rpc_ids(&w, "unknown", ids, 2);
    lone_send(&lone, peer, &w);
    assert_int_equal(lone_sent(&lone, peer, PART_IWANT_IDS, NULL), 1);
    w = begin();
    rpc_unsigned(&w, "a", "news");
    lone_send(&lone, peer, &w);
    lone_run(&lone, 10 * TERN_SECOND);
    assert_int_equal(lone_faults_all(&lone), 0); /* promised and kept */
    assert_int_equal(lone_delivered(&lone, "news"), 1);
}

static void too_many_ihaves_in_a_heartbeat_are_one_fault(void **state)
{
    (void)state;
    uint32_t peer = start_with_peer();
    for (uint32_t i = 0; i < 20; i++)
        send_ihave(peer, i, 1);
    assert_int_equal(lone_faults(&lone, peer, TERN_FAULT_GOSSIP_IHAVE_FLOOD), 1);
    assert_int_equal(lone_sent(&lone, peer, PART_IWANT_IDS, NULL), 10);
    lone_run(&lone, TERN_SECOND + TERN_SECOND / 2);
    send_ihave(peer, 100, 1); /* the next heartbeat counts anew */
    assert_int_equal(lone_sent(&lone, peer, PART_IWANT_IDS, NULL), 11);
}

static void so_many_ids_are_asked_for_in_a_heartbeat(void **state)
{
    (void)state;
    lone.options.params.ihave_length_max = 1500;
    uint32_t peer = start_with_peer();
    send_ihave(peer, 0, 1000);
    send_ihave(peer, 1000, 1000);
    send_ihave(peer, 2000, 1000);
    assert_int_equal(lone_sent(&lone, peer, PART_IWANT_IDS, NULL), 1500);
    assert_int_equal(lone_faults_all(&lone), 0); /* a cut-off list is not a malformed one */
}

static void a_broken_promise_is_a_fault(void **state)
{
    (void)state;
    uint32_t peer = start_with_peer();
    send_ihave(peer, 0, 50);
    lone_run(&lone, 2 * TERN_SECOND);
    assert_int_equal(lone_faults_all(&lone), 0);
    lone_run(&lone, 3 * TERN_SECOND);
    assert_int_equal(lone_faults(&lone, peer, TERN_FAULT_GOSSIP_PROMISE_BROKEN), 1);
    assert_int_equal(lone_faults_all(&lone), 1); /* one of fifty */
}

static void the_promise_of_one_who_went_is_nobodys(void **state)
{
    (void)state;
    uint32_t peer = start_with_peer();
    send_ihave(peer, 0, 5);
    lone_down(&lone, peer);
    assert_int_equal(lone_up(&lone, TERN_GOSSIP_V11, false, 9), peer);
    lone_run(&lone, 10 * TERN_SECOND);
    assert_int_equal(lone_faults_all(&lone), 0);
}

static void more_promises_than_are_kept_in_mind_do_no_harm(void **state)
{
    (void)state;
    assert_true(lone_start(&lone));
    lone_subscribe(&lone, "a", 0);
    for (unsigned i = 0; i < 70; i++)
        (void)lone_up(&lone, TERN_GOSSIP_V11, false, i);
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t peer = 0; peer < 70; peer++)
            for (uint32_t i = 0; i < 10; i++)
                send_ihave(peer, 1000 * peer + 100 * round + i, 1);
        lone_run(&lone, TERN_SECOND);
    }
    lone_run(&lone, 5 * TERN_SECOND);
    assert_int_equal(lone_faults_all(&lone), 1024);
}

static void a_cached_message_is_sent_on_request_so_many_times(void **state)
{
    (void)state;
    uint32_t peer = start_with_peer();
    assert_int_equal(lone_publish(&lone, "a", "x"), TERN_OK);
    send_iwant(peer, "x", 3);
    assert_int_equal(lone_sent(&lone, peer, PART_MESSAGE, "x"), 3);
    assert_int_equal(lone_faults_all(&lone), 0);
    send_iwant(peer, "x", 1);
    assert_int_equal(lone_sent(&lone, peer, PART_MESSAGE, "x"), 3);
    assert_int_equal(lone_faults(&lone, peer, TERN_FAULT_GOSSIP_IWANT_FLOOD), 1);
    assert_int_equal(lone_faults_all(&lone), 1); /* and no other one for the cut-off list */
    lone_down(&lone, peer);
    assert_int_equal(lone_up(&lone, TERN_GOSSIP_V11, false, 9), peer);
    lone_clear(&lone);
    send_iwant(peer, "x", 1); /* who has the slot now has asked for nothing yet */
    assert_int_equal(lone_sent(&lone, peer, PART_MESSAGE, "x"), 1);
    assert_int_equal(lone_faults_all(&lone), 0);
}

static void many_may_ask_for_one_message(void **state)
{
    (void)state;
    assert_true(lone_start(&lone));
    assert_int_equal(lone_publish(&lone, "a", "x"), TERN_OK);
    for (unsigned i = 0; i < 70; i++) {
        uint32_t peer = lone_up(&lone, TERN_GOSSIP_V10, false, i);
        send_iwant(peer, "x", 3);
        assert_int_equal(lone_sent(&lone, peer, PART_MESSAGE, "x"), 3);
    }
    assert_int_equal(lone_faults_all(&lone), 0);
}

static void lack_of_memory_is_not_the_askers_fault(void **state)
{
    (void)state;
    uint32_t peer = start_with_peer();
    assert_int_equal(lone_publish(&lone, "a", "x"), TERN_OK);
    tern_mem_fail_at(lone.mem, 1, true);
    send_iwant(peer, "x", 1);
    lone_subscribed(&lone, peer, "new");
    tern_mem_fail_at(lone.mem, 0, false);
    assert_int_equal(lone_faults_all(&lone), 0);
    send_iwant(peer, "x", 1);
    assert_int_equal(lone_sent(&lone, peer, PART_MESSAGE, "x"), 1);
}

/* --- outs of those who have gone --- */

static void what_is_queued_for_a_peer_that_goes_is_dropped(void **state)
{
    struct tern_gossip_out out;
    (void)state;
    uint32_t peer = start_with_peer();
    uint32_t stays = lone_up(&lone, TERN_GOSSIP_V11, false, 2);
    struct tern_writer w = begin();
    rpc_subscription(&w, true, "gone");
    rpc_topic_entry(&w, TERN_GOSSIP_CONTROL_GRAFT, "a");
    tern_writer_str(&w, "\x0b");
    /* Not drained on purpose: the peer goes while its RPC is worked on, with outs of every kind
     * waiting, and another one comes into its slot. */
    tern_gossip_rpc(lone.core, lone.now, peer, tern_writer_view(&w));
    assert_true(tern_gossip_next(lone.core, &out));
    assert_int_equal(out.kind, TERN_GOSSIP_SUBSCRIBED);
    tern_gossip_peer_down(lone.core, lone.now, peer);
    assert_true(test_view_is(out.topic, "gone")); /* borrowed until the next call, all the same */
    lone_clear(&lone);
    uint32_t next = lone_up(&lone, TERN_GOSSIP_V11, false, 3);
    assert_int_equal(next, peer);
    assert_int_equal(lone_faults_all(&lone), 0);
    assert_int_equal(lone_sent(&lone, next, PART_SUBSCRIBE, "a"), 1);
    uint32_t found[2];
    assert_int_equal(tern_gossip_topic_peers(lone.core, tern_view_str("gone"), found, 2), 0);
    lone_clear(&lone);
    tern_gossip_rpc(lone.core, lone.now, next, tern_view_str("\x0b"));
    assert_int_equal(tern_gossip_subscribe(lone.core, lone.now, tern_view_str("b"), 0), TERN_OK);
    tern_gossip_peer_down(lone.core, lone.now, next);
    lone_drain(&lone);
    assert_int_equal(lone_faults_all(&lone), 0);
    assert_int_equal(lone_sent(&lone, stays, PART_SUBSCRIBE, "b"), 1);
    assert_int_equal(lone_sent(&lone, next, PART_SUBSCRIBE, "b"), 0);
}

/* A hello, a fault, a subscription's answer: queued, not drained, and then the peer is gone. */
static void outs_that_wait_go_with_their_peer(void **state)
{
    static uint8_t large[TEST_BYTES_MAX + 1];
    struct tern_gossip_peer_options options = {.kind = TERN_GOSSIP_V11, .id = test_id(3)};
    uint32_t peer, next;
    (void)state;
    assert_true(lone_start(&lone));
    lone_subscribe(&lone, "a", 0);
    for (int reused = 0; reused < 2; reused++) {
        lone_clear(&lone);
        assert_ok(tern_gossip_peer_up(lone.core, lone.now, &options, &peer));
        tern_gossip_rpc(lone.core, lone.now, peer, tern_view_of(large, sizeof large));
        tern_gossip_peer_down(lone.core, lone.now, peer);
        if (reused == 1) {
            assert_ok(tern_gossip_peer_up(lone.core, lone.now, &options, &next));
            assert_int_equal(next, peer);
        }
        lone_drain(&lone);
        assert_int_equal(lone_faults_all(&lone), 0);
        assert_int_equal(lone_count(&lone, TERN_GOSSIP_SEND), reused); /* its own hello, once */
    }
}

static void a_list_cut_off_by_the_limit_is_not_malformed(void **state)
{
    uint8_t id[32];
    (void)state;
    uint32_t peer = start_with_peer();
    assert_int_equal(lone_publish(&lone, "a", "x"), TERN_OK);
    test_id_of_data("x", id);
    const struct tern_view ids[] = {{id, 32}, {id, 32}, {id, 32}, {id, 32}, {id, 32}, {id, 32}};
    struct tern_writer w = begin();
    rpc_ids(&w, NULL, ids, TERN_COUNT_OF(ids)); /* the fourth is too many, two are behind it */
    lone_send(&lone, peer, &w);
    assert_int_equal(lone_sent(&lone, peer, PART_MESSAGE, "x"), 3);
    assert_int_equal(lone_faults(&lone, peer, TERN_FAULT_GOSSIP_IWANT_FLOOD), 1);
    assert_int_equal(lone_faults_all(&lone), 1);
}

int main(void)
{
#define LONE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        LONE(an_rpc_over_the_limit_is_a_fault),
        LONE(what_does_not_decode_is_one_fault_and_the_rest_is_not_looked_at),
        LONE(unknown_fields_are_passed_over),
        LONE(more_subscriptions_than_an_rpc_may_hold_are_one_fault),
        LONE(a_flood_of_subscriptions_is_bounded),
        LONE(a_topic_with_too_long_a_name_is_a_fault),
        LONE(topics_of_peers_leave_room_for_ours),
        LONE(a_graft_makes_a_member),
        LONE(a_graft_within_the_back_off_is_a_fault_and_prolongs_it),
        LONE(a_prune_without_back_off_means_a_minute),
        LONE(a_huge_back_off_is_cut_and_a_fault),
        LONE(a_back_off_outlives_the_connection),
        LONE(news_is_asked_for_once),
        LONE(too_many_ihaves_in_a_heartbeat_are_one_fault),
        LONE(so_many_ids_are_asked_for_in_a_heartbeat),
        LONE(a_broken_promise_is_a_fault),
        LONE(the_promise_of_one_who_went_is_nobodys),
        LONE(more_promises_than_are_kept_in_mind_do_no_harm),
        LONE(a_cached_message_is_sent_on_request_so_many_times),
        LONE(many_may_ask_for_one_message),
        LONE(lack_of_memory_is_not_the_askers_fault),
        LONE(what_is_queued_for_a_peer_that_goes_is_dropped),
        LONE(outs_that_wait_go_with_their_peer),
        LONE(a_list_cut_off_by_the_limit_is_not_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
