/* Every way in which a connection ends says the right code, and the other end hears it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "swarm/private.h"
#include "swarm/world_test_support.h"

struct scene {
    struct test_world *w;
    struct test_node *a; /* hears the code */
    struct test_node *b; /* ends the connection */
    tern_peer b_of_a;
    tern_peer a_of_b;
};

static void connect_both(struct scene *sc)
{
    sc->b_of_a = test_connect(sc->a, sc->b);
    sc->a_of_b = tern_swarm_find_peer(sc->b->swarm, &sc->a->id);
    assert_int_not_equal(sc->a_of_b, 0);
}

/* --- ways to end --- */

static void end_idle(struct scene *sc)
{
    connect_both(sc);
    test_run(sc->w, TERN_MINUTE);
}

static void end_by_ban(struct scene *sc)
{
    connect_both(sc);
    tern_fault fault = TERN_FAULT_NONE;
    for (int i = 1; i < TERN_FAULT_COUNT && fault == TERN_FAULT_NONE; i++)
        if (tern_fault_weight((tern_fault)i) >= 20)
            fault = (tern_fault)i;
    for (int i = 0; i < 6; i++)
        tern_swarm_report(sc->b->swarm, sc->w->now, sc->a_of_b, fault);
}

static void end_while_banned(struct scene *sc)
{
    end_by_ban(sc);
    test_kick(sc->b);
    test_run(sc->w, TERN_SECOND);
    sc->a->log_count = 0;
    (void)test_connect(sc->a, sc->b);
}

static void end_by_gate(struct scene *sc)
{
    const struct tern_gate_rule rule = {.deny = true, .any_ip = true, .id = sc->a->id};
    connect_both(sc);
    assert_int_equal(tern_swarm_set_gate(sc->b->swarm, sc->w->now, &rule, 1), TERN_OK);
}

static void end_at_the_gate(struct scene *sc)
{
    const struct tern_gate_rule rule = {.deny = true, .any_ip = true, .id = sc->a->id};
    assert_int_equal(tern_swarm_set_gate(sc->b->swarm, sc->w->now, &rule, 1), TERN_OK);
    (void)test_connect(sc->a, sc->b);
}

/* A second connection, as a remote with bad manners makes it: there is no room for it. */
static void end_for_want_of_room(struct scene *sc)
{
    connect_both(sc);
    struct swarm_peer *peer = tern_peers_of_handle(sc->a->swarm, sc->b_of_a);
    TERN_LIST_FOREACH (node, &peer->connections)
        TERN_LIST_ENTRY(node, struct swarm_conn, siblings)->going_away = true;
    assert_int_equal(test_dial(sc->a, sc->b, 99), TERN_OK);
}

static void end_by_shutdown(struct scene *sc)
{
    connect_both(sc);
    tern_swarm_shutdown(sc->b->swarm, sc->w->now);
}

static void end_by_trim(struct scene *sc)
{
    connect_both(sc);
    test_run(sc->w, 10 * TERN_SECOND);
    struct test_node *c = test_node_add(sc->w);
    assert_true(test_node_start(c));
    assert_int_not_equal(test_connect(c, sc->b), 0);
}

static void end_by_application(struct scene *sc)
{
    connect_both(sc);
    tern_swarm_disconnect(sc->b->swarm, sc->w->now, sc->a_of_b, 0x2345);
}

/* Both dial at once: one of the two connections gives way. Who ends it depends on the ids. */
static void end_supplanted(struct scene *sc)
{
    test_listen(sc->a);
    assert_int_equal(test_dial(sc->a, sc->b, 1), TERN_OK);
    assert_int_equal(test_dial(sc->b, sc->a, 2), TERN_OK);
}

static const struct {
    const char *name;
    void (*end)(struct scene *sc);
    uint32_t code;
    const char *text;
} ways[] = {
    {"idle", end_idle, TERN_CONNECTION_CODE_IDLE, "it was not needed any more"},
    {"faults", end_by_ban, TERN_CONNECTION_CODE_VIOLATION, "the protocol was violated"},
    {"banned", end_while_banned, TERN_CONNECTION_CODE_RATE_LIMIT, "a rate limit was reached"},
    {"new rules", end_by_gate, TERN_CONNECTION_CODE_GATED, "the gate refused it"},
    {"the gate", end_at_the_gate, TERN_CONNECTION_CODE_GATED, "the gate refused it"},
    {"no room", end_for_want_of_room, TERN_CONNECTION_CODE_RESOURCE_LIMIT,
     "a resource limit was reached"},
    {"shutdown", end_by_shutdown, TERN_CONNECTION_CODE_SHUTDOWN, "the peer shut down"},
    {"trimmed", end_by_trim, TERN_CONNECTION_CODE_IDLE, "it was not needed any more"},
    {"application", end_by_application, 0x2345, "an application's reason"},
    {"supplanted", end_supplanted, TERN_CONNECTION_CODE_SUPPLANTED,
     "another connection took its place"},
};

/* heard: did one of the two hear the code from the other, who says that it was its own? */
static bool heard(const struct scene *sc, uint32_t code, bool by_remote)
{
    const struct test_node *const nodes[] = {sc->a, sc->b};
    for (size_t n = 0; n < TERN_COUNT_OF(nodes); n++) {
        const struct test_news *down;
        for (size_t i = 0; (down = test_find(nodes[n], TERN_SWARM_CONNECTION_DOWN, i)) != NULL; i++)
            if (down->event.code == code && down->event.by_remote == by_remote)
                return true;
    }
    return false;
}

static void each_end_says_its_code(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(ways); i++) {
        struct scene sc = {.w = test_world_new()};
        sc.a = test_node_add(sc.w);
        sc.b = test_node_add(sc.w);
        sc.a->config.idle_timeout_ns = 0;
        sc.b->config.idle_timeout_ns = ways[i].end == end_idle ? 20 * TERN_SECOND : 0;
        sc.b->config.limits.connections_per_peer_max = 1;
        if (ways[i].end == end_by_trim) {
            sc.b->config.limits.connections_high = 1;
            sc.b->config.limits.connections_low = 0;
            sc.b->config.trim_grace_ns = 5 * TERN_SECOND;
        }
        if (ways[i].end == end_supplanted)
            sc.b->config.limits.connections_per_peer_max = 8;
        assert_true(test_node_start(sc.a) && test_node_start(sc.b));
        test_listen(sc.b);
        ways[i].end(&sc);
        test_kick(sc.b);
        test_run(sc.w, 15 * TERN_SECOND);
        /* Of two that were dialled at once both ends end the same one, at the same time. */
        bool by_remote = ways[i].end != end_supplanted;
        if (!heard(&sc, ways[i].code, by_remote))
            print_error("%s: %s is not heard\n", ways[i].name, ways[i].text);
        assert_true(heard(&sc, ways[i].code, by_remote));
        assert_string_equal(tern_connection_code_text(ways[i].code), ways[i].text);
        /* Who was never let in was never told of at the end that refused it. */
        if (test_count(sc.b, TERN_SWARM_CONNECTION_DOWN) > 0 &&
            ways[i].end != end_for_want_of_room && ways[i].end != end_while_banned)
            assert_true(heard(&sc, ways[i].code, false));
        assert_true(!by_remote || sc.w->traced[TERN_TRACE_SWARM_GOAWAY] > 0);
        test_world_free(sc.w);
    }
}

static void a_connection_that_breaks_has_no_code(void **state)
{
    (void)state;
    struct scene sc = {.w = test_world_new()};
    sc.a = test_node_add(sc.w);
    sc.b = test_node_add(sc.w);
    assert_true(test_node_start(sc.a) && test_node_start(sc.b));
    test_listen(sc.b);
    connect_both(&sc);
    test_node_stop(sc.b);
    test_run(sc.w, TERN_SECOND);
    const struct tern_swarm_event *down = &test_find(sc.a, TERN_SWARM_CONNECTION_DOWN, 0)->event;
    assert_int_equal(down->code, 0);
    assert_false(down->by_remote);
    assert_int_equal(down->err, TERN_ERR_DISCONNECTED);
    test_world_free(sc.w);
}

static void codes_have_texts(void **state)
{
    (void)state;
    const char *unknown = tern_connection_code_text(0x7777);
    for (uint32_t code = 0x1000; code <= TERN_CONNECTION_CODE_OUT_OF_RANGE; code++)
        assert_string_not_equal(tern_connection_code_text(code), unknown);
    for (uint32_t code = 0x1001; code <= TERN_STREAM_CODE_OUT_OF_RANGE; code++)
        assert_string_not_equal(tern_stream_code_text(code), unknown);
    assert_string_equal(tern_stream_code_text(0x1000), unknown);
    assert_string_equal(tern_connection_code_text(1), "the muxer found a protocol error");
}

/* --- streams --- */

static void a_stream_on_a_connection_that_ends_is_told_so(void **state)
{
    (void)state;
    struct scene sc = {.w = test_world_new()};
    sc.a = test_node_add(sc.w);
    sc.b = test_node_add(sc.w);
    assert_true(test_node_start(sc.a) && test_node_start(sc.b));
    test_listen(sc.b);
    connect_both(&sc);
    /* b is about to say its farewell when a's stream arrives. */
    struct tern_stream stream = test_open(sc.a, sc.b_of_a);
    size_t accepted;
    assert_int_equal(tern_swarm_write(sc.a->swarm, stream, tern_view_str("x"), &accepted), TERN_OK);
    test_kick(sc.a);
    struct swarm_conn *c =
        tern_conns_find(sc.b->swarm, tern_swarm_connection_first(sc.b->swarm, sc.a_of_b));
    c->state = SWARM_CONN_CLOSING;
    test_run(sc.w, 30 * TERN_MILLISECOND);
    c->state = SWARM_CONN_OPEN;
    test_run(sc.w, TERN_SECOND);
    const struct test_news *ended = test_find(sc.a, TERN_SWARM_STREAM_ENDED, 0);
    assert_non_null(ended);
    assert_int_equal(ended->event.err, TERN_ERR_RESET);
    assert_int_equal(ended->event.code, TERN_STREAM_CODE_SHUTDOWN);
    test_world_free(sc.w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_end_says_its_code),
        cmocka_unit_test(a_connection_that_breaks_has_no_code),
        cmocka_unit_test(codes_have_texts),
        cmocka_unit_test(a_stream_on_a_connection_that_ends_is_told_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
