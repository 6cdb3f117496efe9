/* Every allocation and every reservation fails in turn; and random lives of four swarms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "swarm/private.h"
#include "swarm/world_test_support.h"

/* failing_life is a whole life of two swarms, as far as it gets: listen, dial, echo, both
 * directions, a second dial, a peer's protocols, the book and its store, an end. True: all of it
 * worked. */
static bool failing_life(struct test_world *w)
{
    struct test_node *a = w->nodes[0];
    struct test_node *b = w->nodes[1];
    struct tern_multiaddr addr;
    test_address(b, &addr);
    tern_swarm_add_address(a->swarm, w->now, &b->id, &addr, TERN_ADDR_SIGNED);
    const struct tern_gate_rule rule = {.any_ip = true, .any_peer = true};
    bool ok = tern_swarm_set_gate(a->swarm, w->now, &rule, 1) == TERN_OK;
    ok = test_dial(a, b, 1) == TERN_OK && ok;
    ok = test_dial(a, b, 2) == TERN_OK && ok;
    test_run(w, TERN_SECOND);
    tern_peer peer = tern_swarm_find_peer(a->swarm, &b->id);
    struct tern_stream stream;
    if (peer == 0 || test_try_open(a, peer, &stream) != TERN_OK)
        return false;
    size_t accepted = 0;
    ok = tern_swarm_write(a->swarm, stream, tern_view_str("hello"), &accepted) == TERN_OK && ok;
    const struct tern_view name = tern_view_str("/test/one");
    tern_swarm_set_peer_protocols(a->swarm, peer, &name, 1);
    ok = tern_swarm_peer_supports(a->swarm, peer, name) && ok;
    test_kick(a);
    test_run(w, 10 * TERN_SECOND);
    ok = tern_swarm_close_write(a->swarm, stream) == TERN_OK && ok;
    test_kick(a);
    test_run(w, TERN_SECOND);
    ok = a->received == 5 && ok;
    tern_swarm_disconnect(a->swarm, w->now, peer, 0);
    test_kick(a);
    test_run(w, 20 * TERN_SECOND);
    return ok;
}

static struct test_world *failing_world(enum tern_secure_kind secure)
{
    struct test_world *w = test_world_new();
    for (int i = 0; i < 2; i++) {
        struct test_node *node = test_node_add(w);
        node->config.book_saved = true;
        node->config.secure[0] = secure;
        assert_true(test_node_start(node));
    }
    test_listen(w->nodes[1]);
    test_run(w, TERN_SECOND);
    return w;
}

static size_t fail_each_allocation(enum tern_secure_kind secure)
{
    size_t runs = 0;
    for (uint32_t failing = 0; failing < 2; failing++) {
        for (int onwards = 0; onwards < 2; onwards++) {
            for (uint64_t n = 1;; n++) {
                struct test_world *w = failing_world(secure);
                struct test_node *node = w->nodes[failing];
                tern_mem_fail_at(&node->mem, n, onwards != 0);
                bool ok = failing_life(w);
                bool failed = node->mem.allocs >= node->mem.fail_at;
                tern_mem_fail_at(&node->mem, 0, false);
                /* Nothing stays charged, and there is life after it. */
                test_run(w, 5 * TERN_MINUTE);
                for (int i = 0; i < 2; i++)
                    for (int r = 0; r < TERN_RESOURCE_COUNT; r++)
                        assert_int_equal(w->nodes[i]->swarm->system.used[r], 0);
                assert_int_not_equal(test_connect(w->nodes[0], w->nodes[1]), 0);
                test_world_free(w); /* checks that no memory is held */
                runs++;
                assert_true(n < 500);
                if (!failed) {
                    assert_true(ok);
                    break;
                }
            }
        }
    }
    return runs;
}

static void each_allocation_fails_in_turn(void **state)
{
    (void)state;
    size_t runs = fail_each_allocation(TERN_SECURE_PLAINTEXT);
    size_t runs_noise = fail_each_allocation(TERN_SECURE_NOISE);
    size_t runs_tls = fail_each_allocation(TERN_SECURE_TLS);
    print_message("swarm: %zu, %zu and %zu lives with a failing allocation\n", runs, runs_noise,
                  runs_tls);
    assert_true(runs > 60 && runs_noise > 60 && runs_tls > 60);
}

static void a_swarm_that_cannot_be_made_leaves_nothing(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct test_world *w = test_world_new();
        struct test_node *node = test_node_add(w);
        node->config.secure[0] = TERN_SECURE_TLS;
        tern_mem_fail_at(&node->mem, n, false);
        node->swarm = tern_swarm_new(&node->config, w->now);
        bool made = node->swarm != NULL;
        tern_mem_fail_at(&node->mem, 0, false);
        if (!made)
            assert_int_equal(node->mem.used, 0);
        test_world_free(w);
        if (made)
            return;
    }
}

static void each_reservation_fails_in_turn(void **state)
{
    (void)state;
    size_t runs = 0;
    for (uint32_t failing = 0; failing < 2; failing++) {
        for (uint64_t n = 1;; n++) {
            struct test_world *w = failing_world(TERN_SECURE_PLAINTEXT);
            struct tern_scope *system = &w->nodes[failing]->swarm->system;
            system->fail_at = system->reservations + n;
            bool ok = failing_life(w);
            bool failed = system->reservations >= system->fail_at;
            system->fail_at = 0;
            test_run(w, 5 * TERN_MINUTE);
            for (int r = 0; r < TERN_RESOURCE_COUNT; r++)
                assert_int_equal(system->used[r], 0);
            assert_int_not_equal(test_connect(w->nodes[0], w->nodes[1]), 0);
            test_world_free(w);
            runs++;
            assert_true(n < 200);
            if (!failed) {
                assert_true(ok);
                break;
            }
        }
    }
    print_message("swarm: %zu lives with a failing reservation\n", runs);
    assert_true(runs > 8);
}

/* --- random lives --- */

enum { LIFE_NODES = 4, LIFE_STEPS = 300, LIFE_SEEDS = 40, LIFE_STREAMS = 32 };

struct life {
    struct test_world *w;
    struct tern_random random;
    struct tern_stream streams[LIFE_STREAMS];
    struct test_node *streams_of[LIFE_STREAMS];
    size_t streams_count;
};

static struct test_node *life_node(struct life *life)
{
    return life->w->nodes[tern_random_below(&life->random, LIFE_NODES)];
}

static void life_open(struct life *life, struct test_node *node, struct test_node *other)
{
    struct tern_stream stream;
    tern_peer peer = tern_swarm_find_peer(node->swarm, &other->id);
    if (peer == 0 || life->streams_count == LIFE_STREAMS ||
        test_try_open(node, peer, &stream) != TERN_OK)
        return;
    life->streams_of[life->streams_count] = node;
    life->streams[life->streams_count++] = stream;
}

static void life_use_stream(struct life *life)
{
    if (life->streams_count == 0)
        return;
    size_t i = tern_random_below(&life->random, life->streams_count);
    struct test_node *node = life->streams_of[i];
    size_t accepted;
    tern_err err = TERN_OK;
    if (node->swarm == NULL)
        return;
    switch (tern_random_below(&life->random, 4)) {
    case 0:
    case 1:
        err = tern_swarm_write(node->swarm, life->streams[i], tern_view_str("abc"), &accepted);
        break;
    case 2:
        err = tern_swarm_close_write(node->swarm, life->streams[i]);
        break;
    case 3:
        tern_swarm_reset(node->swarm, life->streams[i], 5);
        err = TERN_ERR_STALE;
        break;
    }
    if (err == TERN_ERR_STALE) {
        life->streams_of[i] = life->streams_of[--life->streams_count];
        life->streams[i] = life->streams[life->streams_count];
    }
    test_kick(node);
}

static void life_restart(struct life *life, struct test_node *node)
{
    test_node_stop(node);
    assert_true(test_node_start(node));
    test_listen(node);
    for (size_t i = life->streams_count; i-- > 0;)
        if (life->streams_of[i] == node) {
            life->streams_of[i] = life->streams_of[--life->streams_count];
            life->streams[i] = life->streams[life->streams_count];
        }
}

static void life_step(struct life *life)
{
    struct test_node *node = life_node(life);
    struct test_node *other = life_node(life);
    tern_err err = TERN_OK;
    switch (tern_random_below(&life->random, 12)) {
    case 0:
    case 1:
    case 2:
        err = test_dial(node, other, tern_swarm_token(node->swarm));
        assert_true(node != other || err == TERN_ERR_SELF);
        break;
    case 3:
    case 4:
        life_open(life, node, other);
        test_kick(node);
        break;
    case 5:
    case 6:
    case 7:
        life_use_stream(life);
        break;
    case 8:
        tern_swarm_disconnect(node->swarm, life->w->now,
                              tern_swarm_find_peer(node->swarm, &other->id), 0);
        test_kick(node);
        break;
    case 9:
        if (tern_random_chance(&life->random, 1, 4))
            test_silence(node, other);
        break;
    case 10:
        if (tern_random_chance(&life->random, 1, 4))
            life_restart(life, node);
        break;
    case 11:
        test_stranger(node, test_endpoint("6.6.6.6", 6));
        break;
    }
}

/* life_check: what services were told is what is. */
static void life_check(const struct test_node *node)
{
    size_t up = 0;
    size_t connections = 0;
    for (tern_peer peer = tern_swarm_peer_first(node->swarm); peer != 0;
         peer = tern_swarm_peer_next(node->swarm, peer)) {
        up++;
        size_t of_peer = 0;
        for (tern_connection c = tern_swarm_connection_first(node->swarm, peer); c != 0;
             c = tern_swarm_connection_next(node->swarm, c))
            of_peer++;
        assert_true(of_peer > 0);
        connections += of_peer;
    }
    assert_int_equal(up, tern_swarm_peers_count(node->swarm));
    assert_true(connections <= node->swarm->conns.count);
}

static void hook_count(struct test_node *node, const struct tern_swarm_event *event)
{
    /* The log would be long; what counts is the balance. */
    node->log_count = 0;
    node->balance[0] += (event->kind == TERN_SWARM_PEER_UP) - (event->kind == TERN_SWARM_PEER_DOWN);
    node->balance[1] +=
        (event->kind == TERN_SWARM_CONNECTION_UP) - (event->kind == TERN_SWARM_CONNECTION_DOWN);
}

static void random_lives_keep_their_balance(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= LIFE_SEEDS; seed++) {
        struct life life = {.w = test_world_new()};
        tern_random_init_u64(&life.random, seed);
        life.w->latency = (1 + tern_random_below(&life.random, 200)) * TERN_MILLISECOND;
        for (int i = 0; i < LIFE_NODES; i++) {
            struct test_node *node = test_node_add(life.w);
            node->hook = hook_count;
            node->config.idle_timeout_ns = 20 * TERN_SECOND;
            node->config.limits.connections_per_peer_max = 3;
            assert_true(test_node_start(node));
            test_listen(node);
        }
        for (int step = 0; step < LIFE_STEPS; step++) {
            life_step(&life);
            test_run(life.w, tern_random_below(&life.random, 400) * TERN_MILLISECOND);
            for (int i = 0; i < LIFE_NODES; i++)
                life_check(life.w->nodes[i]);
        }
        for (size_t i = 0; i < life.streams_count; i++)
            tern_swarm_reset(life.streams_of[i]->swarm, life.streams[i], 0);
        test_run(life.w, 5 * TERN_MINUTE); /* all is idle, and ends */
        for (int i = 0; i < LIFE_NODES; i++) {
            struct test_node *node = life.w->nodes[i];
            assert_int_equal(tern_swarm_peers_count(node->swarm), 0);
            assert_int_equal(node->swarm->conns.count, 0);
            assert_int_equal(node->balance[0], 0);
            assert_int_equal(node->balance[1], 0);
            for (int r = 0; r < TERN_RESOURCE_COUNT; r++)
                assert_int_equal(node->swarm->system.used[r], 0);
            assert_int_equal(node->swarm->dials.in_flight, 0);
        }
        test_world_free(life.w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_fails_in_turn),
        cmocka_unit_test(a_swarm_that_cannot_be_made_leaves_nothing),
        cmocka_unit_test(each_reservation_fails_in_turn),
        cmocka_unit_test(random_lives_keep_their_balance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
