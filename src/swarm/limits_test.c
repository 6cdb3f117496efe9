/* Limits, gates, bans and ends: everything a hostile or dead remote runs into. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "swarm/private.h"
#include "swarm/world_test_support.h"

struct scene {
    struct test_world *w;
    struct test_node *a;
    struct test_node *b;
};

/* A scene whose b is started by the test, after it has changed the config. */
static int scene_up(void **state)
{
    struct scene *sc = calloc(1, sizeof *sc);
    sc->w = test_world_new();
    sc->a = test_node_add(sc->w);
    sc->b = test_node_add(sc->w);
    assert_true(test_node_start(sc->a));
    *state = sc;
    return 0;
}

static int scene_down(void **state)
{
    struct scene *sc = *state;
    test_world_free(sc->w);
    free(sc);
    return 0;
}

static void start_b(struct scene *sc)
{
    assert_true(test_node_start(sc->b));
    test_listen(sc->b);
}

static void expect_refusal(const struct test_node *node, const char *option, uint64_t used,
                           uint64_t limit)
{
    const struct tern_refusal *refusal = tern_swarm_last_refusal(node->swarm);
    assert_non_null(refusal->limit_info);
    assert_string_equal(refusal->limit_info->option, option);
    assert_int_equal(refusal->used, used);
    assert_int_equal(refusal->limit, limit);
    assert_true(node->world->traced[TERN_TRACE_SWARM_LIMIT] > 0);
    assert_true(node->metrics.values[TERN_METRIC_SWARM_LIMIT_REFUSALS] > 0);
}

/* --- floods of links --- */

static void links_that_never_upgrade_are_held_to_their_share(void **state)
{
    struct scene *sc = *state;
    sc->b->config.limits.transient.max[TERN_RESOURCE_CONNECTIONS_IN] = 20;
    sc->b->config.limits.transient_per_address_max = 5;
    start_b(sc);
    for (int i = 0; i < 50; i++)
        test_stranger(sc->b, test_endpoint("6.6.6.6", (uint16_t)(1000 + i)));
    assert_int_equal(sc->b->swarm->conns.count, 5);
    expect_refusal(sc->b, "transient_per_address", 5, 5);
    for (int i = 0; i < 50; i++) {
        char text[32];
        snprintf(text, sizeof text, "6.6.7.%d", i);
        test_stranger(sc->b, test_endpoint(text, 1000));
    }
    assert_int_equal(sc->b->swarm->conns.count, 20);
    expect_refusal(sc->b, "transient.connections_in", 20, 20);
    test_run(sc->w, sc->b->config.upgrade_timeout_ns + TERN_SECOND);
    assert_int_equal(sc->b->swarm->conns.count, 0);
    assert_int_equal(sc->b->swarm->system.used[TERN_RESOURCE_FDS], 0);
    assert_int_equal(sc->b->swarm->system.used[TERN_RESOURCE_MEMORY], 0);
    assert_int_not_equal(test_connect(sc->a, sc->b), 0); /* and it serves again */
}

/* Half of the places are shared; the other half is for addresses that have none. */
static void a_few_addresses_do_not_shut_out_the_others(void **state)
{
    struct scene *sc = *state;
    char text[32];
    sc->b->config.limits.transient.max[TERN_RESOURCE_CONNECTIONS_IN] = 20;
    sc->b->config.limits.transient_shared_max = 10;
    sc->b->config.limits.transient_per_address_max = 8;
    start_b(sc);
    for (int i = 0; i < 60; i++) {
        snprintf(text, sizeof text, "6.6.6.%d", i % 6);
        test_stranger(sc->b, test_endpoint(text, (uint16_t)(1000 + i)));
    }
    assert_int_equal(sc->b->swarm->conns.count, 10);
    expect_refusal(sc->b, "transient_shared", 10, 10);
    for (int i = 0; i < 9; i++) {
        snprintf(text, sizeof text, "6.6.7.%d", i);
        test_stranger(sc->b, test_endpoint(text, 1000));
        test_stranger(sc->b, test_endpoint(text, 1001));
        assert_int_equal(sc->b->swarm->conns.count, 11 + i);
        expect_refusal(sc->b, "transient_shared", 11 + (uint64_t)i, 10);
    }
    assert_int_not_equal(test_connect(sc->a, sc->b), 0);
}

static void without_a_limit_an_address_has_as_many_as_it_likes(void **state)
{
    struct scene *sc = *state;
    sc->b->config.limits.transient.max[TERN_RESOURCE_CONNECTIONS_IN] = 0;
    sc->b->config.limits.transient_shared_max = 0;
    sc->b->config.limits.transient_per_address_max = 0;
    start_b(sc);
    for (int i = 0; i < 50; i++)
        test_stranger(sc->b, test_endpoint("6.6.6.6", (uint16_t)(1000 + i)));
    assert_int_equal(sc->b->swarm->conns.count, 50);
}

static void one_ipv6_household_counts_as_one(void **state)
{
    struct scene *sc = *state;
    sc->b->config.limits.transient_per_address_max = 3;
    start_b(sc);
    for (int i = 0; i < 10; i++) {
        char text[64];
        snprintf(text, sizeof text, "2a00:1:2:34%02x::%d", i, i + 1); /* one /56 */
        test_stranger(sc->b, test_endpoint(text, 1000));
    }
    assert_int_equal(sc->b->swarm->conns.count, 3);
}

static void garbage_ends_a_link(void **state)
{
    struct scene *sc = *state;
    start_b(sc);
    tern_link_id link = test_stranger(sc->b, test_endpoint("6.6.6.6", 1));
    struct tern_chunk *chunk = tern_chunk_new(&sc->b->mem, 4096);
    memset(chunk->data, 0xee, 4096);
    chunk->size = 4096;
    size_t used = 0;
    test_input(sc->b, &(struct tern_input){.kind = TERN_INPUT_DATA,
                                           .link = link,
                                           .chunk = chunk,
                                           .data = {.data = chunk->data, .size = 4096},
                                           .used = &used});
    tern_chunk_unref(chunk);
    test_run(sc->w, TERN_SECOND);
    assert_int_equal(used, 4096);
    assert_int_equal(sc->b->swarm->conns.count, 0);
    assert_int_equal(test_count(sc->b, TERN_SWARM_CONNECTION_UP), 0);
}

static void unknown_links_and_tokens_do_no_harm(void **state)
{
    struct scene *sc = *state;
    start_b(sc);
    uint8_t byte[1] = {0};
    size_t used = 0;
    const tern_link_id links[] = {0, 1, TERN_LINK_NONE, UINT64_C(77) << 32 | 3};
    for (size_t i = 0; i < TERN_COUNT_OF(links); i++) {
        test_input(sc->b, &(struct tern_input){.kind = TERN_INPUT_DATA,
                                               .link = links[i],
                                               .data = {.data = byte, .size = 1},
                                               .used = &used});
        assert_int_equal(used, 1);
        test_input(sc->b, &(struct tern_input){.kind = TERN_INPUT_LINK_CLOSED, .link = links[i]});
        test_input(sc->b, &(struct tern_input){.kind = TERN_INPUT_LINK_END, .link = links[i]});
        test_input(sc->b, &(struct tern_input){.kind = TERN_INPUT_DIAL_FAIL, .token = links[i]});
        test_input(sc->b, &(struct tern_input){.kind = TERN_INPUT_RESOLVED, .token = links[i]});
        test_input(sc->b, &(struct tern_input){.kind = TERN_INPUT_LISTEN_FAIL, .token = links[i]});
    }
    /* A link slot beyond the table's bound is refused. */
    test_input(sc->b, &(struct tern_input){.kind = TERN_INPUT_ACCEPTED,
                                           .link = sc->b->config.limits.links_max,
                                           .token = test_listener_token(sc->b),
                                           .remote = test_endpoint("6.6.6.6", 1)});
    assert_int_equal(sc->b->swarm->conns.count, 0);
}

/* Which bytes of the address differ from one link of a flood to the next. */
enum varies { VARIES_NOTHING, VARIES_LAST, VARIES_LAST_TWO, VARIES_MIDDLE };

/* Nobody speaks. What the links cost is what the rates allow: the number that is let in. */
static size_t flood(struct scene *sc, const char *from, enum varies varies, size_t count,
                    tern_time apart)
{
    size_t began = 0;
    for (size_t i = 0; i < count; i++) {
        struct tern_endpoint endpoint = test_endpoint(from, (uint16_t)(1000 + i % 60000));
        uint8_t *byte = &endpoint.ip[varies == VARIES_MIDDLE ? 2 : 3];
        if (varies != VARIES_NOTHING)
            byte[0] = (uint8_t)(i % 250);
        if (varies == VARIES_LAST_TWO || varies == VARIES_MIDDLE)
            byte[-1] = (uint8_t)(i / 250 % 250);
        uint64_t before = sc->b->metrics.values[TERN_METRIC_SWARM_REFUSED_IN];
        test_stranger(sc->b, endpoint);
        began += sc->b->metrics.values[TERN_METRIC_SWARM_REFUSED_IN] == before;
        test_run(sc->w, apart);
    }
    return began;
}

static void flood_world(struct scene *sc)
{
    struct tern_swarm_config *config = &sc->b->config;
    config->upgrade_timeout_ns = TERN_SECOND; /* places are not what is in short supply */
    config->limits.transient_per_address_max = 0;
    config->limits.transient_shared_max = 0;
    for (int level = 0; level < TERN_SUBNET_LEVELS; level++)
        config->limits.subnets[level] =
            (struct tern_subnet_limits){.handshakes = {.per_minute = 60, .burst = 20}};
    config->limits.subnets[TERN_SUBNET_IP4_24].handshakes =
        (struct tern_rate){.per_minute = 120, .burst = 40};
    config->limits.handshakes = (struct tern_rate){.per_minute = 600, .burst = 100};
    start_b(sc);
}

static void a_flood_from_one_address_costs_what_its_rate_allows(void **state)
{
    struct scene *sc = *state;
    flood_world(sc);
    /* 2,000 in 20 seconds: 20 at once and one a second. */
    size_t began = flood(sc, "6.6.6.6", VARIES_NOTHING, 2000, 10 * TERN_MILLISECOND);
    assert_true(began >= 39 && began <= 41);
    expect_refusal(sc->b, "subnet.ip4_32.handshakes_per_minute", 60, 60);
    assert_int_not_equal(test_connect(sc->a, sc->b), 0); /* others do not notice */
    test_run(sc->w, TERN_MINUTE);
    assert_int_equal(flood(sc, "6.6.6.6", VARIES_NOTHING, 20, 0),
                     20); /* and it has its share again */
}

static void a_flood_from_one_subnet_costs_what_its_rate_allows(void **state)
{
    struct scene *sc = *state;
    flood_world(sc);
    size_t began = flood(sc, "6.6.6.6", VARIES_LAST, 2000, 10 * TERN_MILLISECOND);
    assert_true(began >= 79 && began <= 81);
    expect_refusal(sc->b, "subnet.ip4_24.handshakes_per_minute", 120, 120);
    assert_int_not_equal(test_connect(sc->a, sc->b), 0);
}

static void a_flood_from_many_subnets_costs_what_everybody_may(void **state)
{
    struct scene *sc = *state;
    flood_world(sc);
    size_t began = flood(sc, "7.0.0.1", VARIES_MIDDLE, 4000, 5 * TERN_MILLISECOND);
    assert_true(began >= 299 && began <= 301);
    expect_refusal(sc->b, "handshakes_per_minute", 600, 600);
    test_run(sc->w, 10 * TERN_SECOND);
    assert_int_not_equal(test_connect(sc->a, sc->b), 0);
}

static void exempt_addresses_are_not_counted(void **state)
{
    struct scene *sc = *state;
    sc->b->config.exempt[2] =
        (struct tern_subnet){.ip = {.family = 4, .bytes = {6, 6}}, .bits = 16};
    sc->b->config.exempt_count = 3;
    flood_world(sc);
    assert_int_equal(flood(sc, "6.6.6.6", VARIES_LAST_TWO, 110, 0), 110);
    assert_int_equal(flood(sc, "127.0.0.1", VARIES_LAST_TWO, 10, 0), 10);
    assert_int_equal(sc->b->swarm->subnets.count, 0);
}

/* Established ones count, too, until they are gone. */
static void connections_of_one_subnet_are_bounded(void **state)
{
    struct scene *sc = *state;
    sc->b->config.limits.subnets[TERN_SUBNET_IP4_24].connections_max = 2;
    start_b(sc);
    struct test_node *c = test_node_add(sc->w);
    struct test_node *d = test_node_add(sc->w);
    d->ip.ip[2] = 9; /* a neighbour's neighbour: 10.0.9.4 */
    assert_true(test_node_start(c) && test_node_start(d));
    assert_int_not_equal(test_connect(sc->a, sc->b), 0);
    test_stranger(sc->b, test_endpoint("10.0.0.77", 1));
    assert_int_equal(test_connect(c, sc->b), 0);
    expect_refusal(sc->b, "subnet.ip4_24.connections_in", 2, 2);
    assert_int_not_equal(test_connect(d, sc->b), 0);
    test_run(sc->w, 11 * TERN_SECOND); /* the stranger is gone */
    assert_int_not_equal(test_connect(c, sc->b), 0);
    struct tern_ip ip;
    tern_endpoint_ip(&c->ip, &ip);
    assert_int_equal(tern_subnets_connections(&sc->b->swarm->subnets, &ip, TERN_SUBNET_IP4_24), 2);
    assert_int_equal(tern_subnets_transient(&sc->b->swarm->subnets, &ip, TERN_SUBNET_IP4_24), 0);
    /* Those that b dials itself do not count. */
    test_listen(c);
    tern_swarm_disconnect(sc->b->swarm, sc->w->now, tern_swarm_find_peer(sc->b->swarm, &c->id), 0);
    test_kick(sc->b);
    test_run(sc->w, TERN_SECOND);
    assert_int_not_equal(test_connect(sc->b, c), 0);
    assert_int_equal(tern_subnets_connections(&sc->b->swarm->subnets, &ip, TERN_SUBNET_IP4_24), 1);
}

/* --- limits of established connections --- */

static void connections_in_the_system_are_bounded(void **state)
{
    struct scene *sc = *state;
    sc->b->config.limits.system.max[TERN_RESOURCE_CONNECTIONS_IN] = 1;
    start_b(sc);
    struct test_node *c = test_node_add(sc->w);
    assert_true(test_node_start(c));
    assert_int_not_equal(test_connect(sc->a, sc->b), 0);
    assert_int_equal(test_connect(c, sc->b), 0);
    expect_refusal(sc->b, "system.connections_in", 1, 1);
}

static void memory_in_the_system_is_bounded(void **state)
{
    struct scene *sc = *state;
    sc->b->config.limits.system.max[TERN_RESOURCE_MEMORY] = sizeof(struct swarm_conn) - 1;
    start_b(sc);
    assert_int_equal(test_connect(sc->a, sc->b), 0);
    expect_refusal(sc->b, "system.memory", 0, sizeof(struct swarm_conn) - 1);
}

/* dial_again makes one more connection between the same two, as a remote with bad manners would. */
static tern_err dial_again(struct test_node *from, struct test_node *to, tern_token token)
{
    tern_peer peer = tern_swarm_find_peer(from->swarm, &to->id);
    struct swarm_peer *p = tern_peers_of_handle(from->swarm, peer);
    TERN_LIST_FOREACH (node, &p->connections)
        TERN_LIST_ENTRY(node, struct swarm_conn, siblings)->going_away = true;
    tern_err err = test_dial(from, to, token);
    test_run(from->world, TERN_SECOND);
    return err;
}

static void connections_of_one_peer_are_bounded(void **state)
{
    struct scene *sc = *state;
    sc->b->config.limits.connections_per_peer_max = 2;
    start_b(sc);
    assert_int_not_equal(test_connect(sc->a, sc->b), 0);
    assert_int_equal(dial_again(sc->a, sc->b, 1), TERN_OK);
    assert_int_equal(dial_again(sc->a, sc->b, 2), TERN_OK);
    expect_refusal(sc->b, "connections_per_peer", 2, 2);
    assert_int_equal(test_count(sc->b, TERN_SWARM_CONNECTION_UP), 2);
    test_run(sc->w, 10 * TERN_SECOND);
    assert_int_equal(sc->b->swarm->conns.count, 2);
}

static void the_peer_scope_is_a_limit_too(void **state)
{
    struct scene *sc = *state;
    sc->b->config.limits.peer.max[TERN_RESOURCE_CONNECTIONS_IN] = 1;
    start_b(sc);
    assert_int_not_equal(test_connect(sc->a, sc->b), 0);
    assert_int_equal(dial_again(sc->a, sc->b, 1), TERN_OK);
    expect_refusal(sc->b, "peer.connections_in", 1, 1);
    assert_int_equal(test_count(sc->b, TERN_SWARM_CONNECTION_UP), 1);
}

static void streams_of_one_protocol_and_peer_are_bounded(void **state)
{
    struct scene *sc = *state;
    static const char name[] = "/test/two";
    start_b(sc);
    const struct tern_protocol two = {.name = tern_view_str(name),
                                      .handler = sc->b->service,
                                      .class = TERN_STREAM_BULK,
                                      .inbound_per_peer_max = 2};
    assert_int_equal(tern_swarm_handle(sc->b->swarm, &two), TERN_OK);
    tern_peer peer = test_connect(sc->a, sc->b);
    const struct tern_view offer = tern_view_str(name);
    struct tern_stream streams[3];
    for (int i = 0; i < 3; i++) {
        assert_int_equal(tern_swarm_open_stream(sc->a->swarm, sc->w->now,
                                                &(struct tern_stream_request){
                                                    .service = sc->a->service,
                                                    .peer = peer,
                                                    .offer = {.names = &offer, .names_count = 1}},
                                                &streams[i]),
                         TERN_OK);
        size_t accepted;
        assert_int_equal(tern_swarm_write(sc->a->swarm, streams[i], tern_view_str("x"), &accepted),
                         TERN_OK);
        test_kick(sc->a);
    }
    test_run(sc->w, TERN_SECOND);
    assert_int_equal(test_count(sc->b, TERN_SWARM_STREAM_OPENED), 2);
    expect_refusal(sc->b, "protocol_peer.streams_in", 2, 2);
    assert_true(tern_swarm_last_refusal(sc->b->swarm)->own);
    assert_int_equal(test_count(sc->a, TERN_SWARM_STREAM_ENDED), 1);
    const struct tern_swarm_event *ended = &test_find(sc->a, TERN_SWARM_STREAM_ENDED, 0)->event;
    assert_int_equal(ended->err, TERN_ERR_RESET);
    assert_int_equal(ended->code, TERN_STREAM_CODE_RESOURCE_LIMIT);
    tern_swarm_reset(sc->a->swarm, streams[0], 0);
    test_kick(sc->a);
    test_run(sc->w, TERN_SECOND);
    assert_int_equal(test_count(sc->b, TERN_SWARM_STREAM_ENDED), 1);
    test_open(sc->a, peer); /* other protocols are not affected */
    test_run(sc->w, TERN_SECOND);
    assert_int_equal(test_count(sc->b, TERN_SWARM_STREAM_OPENED), 3);
}

static void a_protocols_streams_are_bounded_for_all_peers(void **state)
{
    struct scene *sc = *state;
    sc->b->config.limits.protocol.max[TERN_RESOURCE_STREAMS_IN] = 3;
    start_b(sc);
    tern_peer peer = test_connect(sc->a, sc->b);
    for (int i = 0; i < 5; i++) {
        size_t accepted;
        struct tern_stream stream = test_open(sc->a, peer);
        assert_int_equal(tern_swarm_write(sc->a->swarm, stream, tern_view_str("x"), &accepted),
                         TERN_OK);
        test_kick(sc->a);
    }
    test_run(sc->w, TERN_SECOND);
    assert_int_equal(test_count(sc->b, TERN_SWARM_STREAM_OPENED), 3);
    assert_int_equal(test_count(sc->a, TERN_SWARM_STREAM_ENDED), 2);
    expect_refusal(sc->b, "protocol.streams_in", 3, 3);
}

static void a_stream_flood_is_stopped_by_the_scope(void **state)
{
    struct scene *sc = *state;
    sc->b->config.limits.connection.max[TERN_RESOURCE_STREAMS_IN] = 10;
    start_b(sc);
    tern_peer peer = test_connect(sc->a, sc->b);
    for (int i = 0; i < 40; i++) {
        struct tern_stream stream;
        size_t accepted;
        if (test_try_open(sc->a, peer, &stream) == TERN_OK) {
            assert_int_equal(tern_swarm_write(sc->a->swarm, stream, tern_view_str("x"), &accepted),
                             TERN_OK);
            test_kick(sc->a);
        }
    }
    test_run(sc->w, TERN_SECOND);
    assert_true(test_count(sc->b, TERN_SWARM_STREAM_OPENED) <= 10);
    assert_true(sc->b->swarm->system.used[TERN_RESOURCE_STREAMS_IN] <= 10);
}

static void an_unsupported_protocol_ends_the_stream_alone(void **state)
{
    struct scene *sc = *state;
    start_b(sc);
    tern_peer peer = test_connect(sc->a, sc->b);
    const struct tern_view offer = tern_view_str("/test/unknown");
    struct tern_stream stream;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(tern_swarm_open_stream(sc->a->swarm, sc->w->now,
                                                &(struct tern_stream_request){
                                                    .service = sc->a->service,
                                                    .peer = peer,
                                                    .offer = {.names = &offer, .names_count = 1}},
                                                &stream),
                         TERN_OK);
        size_t accepted;
        assert_int_equal(tern_swarm_write(sc->a->swarm, stream, tern_view_str("x"), &accepted),
                         TERN_OK);
        test_kick(sc->a);
    }
    test_run(sc->w, TERN_SECOND);
    assert_int_equal(test_count(sc->a, TERN_SWARM_STREAM_ENDED), 20);
    assert_int_equal(test_find(sc->a, TERN_SWARM_STREAM_ENDED, 3)->event.err, TERN_ERR_NO_PROTOCOL);
    assert_int_equal(test_count(sc->b, TERN_SWARM_STREAM_OPENED), 0);
    assert_int_equal(test_count(sc->a, TERN_SWARM_CONNECTION_DOWN), 0);
}

static void an_unhandled_protocol_serves_nobody_any_more(void **state)
{
    struct scene *sc = *state;
    start_b(sc);
    tern_peer peer = test_connect(sc->a, sc->b);
    struct tern_stream open = test_open(sc->a, peer);
    size_t accepted;
    assert_int_equal(tern_swarm_write(sc->a->swarm, open, tern_view_str("1"), &accepted), TERN_OK);
    test_kick(sc->a);
    test_run(sc->w, TERN_SECOND);
    tern_swarm_unhandle(sc->b->swarm, tern_view_str(test_echo_name));
    struct tern_stream late = test_open(sc->a, peer);
    assert_int_equal(tern_swarm_write(sc->a->swarm, late, tern_view_str("2"), &accepted), TERN_OK);
    assert_int_equal(tern_swarm_write(sc->a->swarm, open, tern_view_str("3"), &accepted), TERN_OK);
    test_kick(sc->a);
    test_run(sc->w, TERN_SECOND);
    assert_int_equal(test_count(sc->b, TERN_SWARM_STREAM_OPENED), 1);
    assert_int_equal(sc->a->received, 2); /* the open one goes on */
    assert_int_equal(sc->a->received_last[0], '3');
    assert_int_equal(test_find(sc->a, TERN_SWARM_STREAM_ENDED, 0)->event.err, TERN_ERR_NO_PROTOCOL);
    const struct tern_protocol echo = {.name = tern_view_str(test_echo_name),
                                       .handler = sc->b->service};
    assert_int_equal(tern_swarm_handle(sc->b->swarm, &echo), TERN_OK);
    assert_int_equal(tern_swarm_handle(sc->b->swarm, &echo), TERN_ERR_EXISTS);
}

/* --- the gate --- */

static void a_denied_ip_is_refused_before_it_can_speak(void **state)
{
    struct scene *sc = *state;
    start_b(sc);
    const struct tern_gate_rule rule = {
        .deny = true, .any_peer = true, .ip = test_endpoint("10.0.0.1", 0), .prefix_bits = 32};
    assert_int_equal(tern_swarm_set_gate(sc->b->swarm, sc->w->now, &rule, 1), TERN_OK);
    assert_int_equal(test_dial(sc->a, sc->b, 1), TERN_OK);
    test_run(sc->w, TERN_SECOND);
    assert_int_equal(test_dial_done(sc->a, 1)->event.err, TERN_ERR_DISCONNECTED);
    assert_int_equal(sc->b->metrics.values[TERN_METRIC_SWARM_BYTES_OUT], 0);
    assert_int_equal(sc->b->metrics.values[TERN_METRIC_SWARM_REFUSED_IN], 1);
}

static void a_denied_peer_is_refused_after_the_handshake(void **state)
{
    struct scene *sc = *state;
    start_b(sc);
    const struct tern_gate_rule rule = {.deny = true, .any_ip = true, .id = sc->a->id};
    assert_int_equal(tern_swarm_set_gate(sc->b->swarm, sc->w->now, &rule, 1), TERN_OK);
    assert_int_equal(test_dial(sc->a, sc->b, 1), TERN_OK);
    test_run(sc->w, TERN_SECOND);
    assert_int_equal(test_count(sc->b, TERN_SWARM_CONNECTION_UP), 0);
    assert_int_equal(tern_swarm_peers_count(sc->a->swarm), 0);
    assert_int_equal(sc->b->swarm->conns.count, 0);
}

static void a_closed_gate_lets_named_peers_through(void **state)
{
    struct scene *sc = *state;
    start_b(sc);
    struct test_node *c = test_node_add(sc->w);
    assert_true(test_node_start(c));
    const struct tern_gate_rule rules[] = {
        {.any_ip = true, .id = sc->a->id},
        {.deny = true, .any_ip = true, .any_peer = true},
    };
    assert_int_equal(tern_swarm_set_gate(sc->b->swarm, sc->w->now, rules, 2), TERN_OK);
    assert_int_not_equal(test_connect(sc->a, sc->b), 0);
    assert_int_equal(test_dial(c, sc->b, 1), TERN_OK);
    test_run(sc->w, TERN_SECOND);
    assert_int_equal(tern_swarm_find_peer(sc->b->swarm, &c->id), 0);
}

static void new_rules_end_what_they_deny(void **state)
{
    struct scene *sc = *state;
    start_b(sc);
    assert_int_not_equal(test_connect(sc->a, sc->b), 0);
    const struct tern_gate_rule rule = {.deny = true, .any_ip = true, .id = sc->a->id};
    assert_int_equal(tern_swarm_set_gate(sc->b->swarm, sc->w->now, &rule, 1), TERN_OK);
    test_kick(sc->b);
    test_run(sc->w, TERN_SECOND);
    assert_int_equal(test_find(sc->b, TERN_SWARM_CONNECTION_DOWN, 0)->event.err, TERN_ERR_GATED);
    assert_int_equal(tern_swarm_peers_count(sc->a->swarm), 0);
}

/* --- faults --- */

static tern_fault heavy_fault(void)
{
    for (int i = 1; i < TERN_FAULT_COUNT; i++)
        if (tern_fault_weight((tern_fault)i) >= 20 && tern_fault_weight((tern_fault)i) <= 50)
            return (tern_fault)i;
    return TERN_FAULT_NONE;
}

static void faults_add_up_to_a_ban_that_ends(void **state)
{
    struct scene *sc = *state;
    tern_fault fault = heavy_fault();
    unsigned weight = tern_fault_weight(fault);
    assert_int_not_equal(fault, TERN_FAULT_NONE);
    start_b(sc);
    assert_int_not_equal(test_connect(sc->a, sc->b), 0);
    tern_peer peer = tern_swarm_find_peer(sc->b->swarm, &sc->a->id);
    unsigned reports = 0;
    for (; !tern_swarm_banned(sc->b->swarm, sc->w->now, &sc->a->id); reports++) {
        assert_int_equal(tern_swarm_faults_weight(sc->b->swarm, sc->w->now, &sc->a->id),
                         reports * weight);
        tern_swarm_report(sc->b->swarm, sc->w->now, peer, fault);
        assert_true(reports < 100);
    }
    assert_int_equal(reports, (100 + weight - 1) / weight);
    assert_int_equal(sc->b->metrics.faults[fault], reports);
    test_kick(sc->b);
    test_run(sc->w, TERN_SECOND);
    assert_int_equal(tern_swarm_peers_count(sc->b->swarm), 0);
    assert_int_equal(tern_swarm_peers_count(sc->a->swarm), 0);

    assert_int_equal(test_dial(sc->a, sc->b, 1), TERN_OK);
    test_run(sc->w, TERN_SECOND);
    assert_int_equal(tern_swarm_peers_count(sc->b->swarm), 0); /* refused */
    struct tern_multiaddr addr;
    test_address(sc->a, &addr);
    assert_int_equal(tern_swarm_dial(sc->b->swarm, sc->w->now,
                                     &(struct tern_dial_options){.id = &sc->a->id,
                                                                 .addresses = &addr,
                                                                 .addresses_count = 1}),
                     TERN_ERR_RATE);
    test_run(sc->w, 6 * TERN_MINUTE);
    assert_false(tern_swarm_banned(sc->b->swarm, sc->w->now, &sc->a->id));
    assert_int_not_equal(test_connect(sc->a, sc->b), 0);
}

static void weights_halve_every_ten_minutes(void **state)
{
    struct scene *sc = *state;
    tern_fault fault = heavy_fault();
    unsigned weight = tern_fault_weight(fault);
    start_b(sc);
    assert_int_not_equal(test_connect(sc->a, sc->b), 0);
    tern_swarm_report(sc->b->swarm, sc->w->now, tern_swarm_find_peer(sc->b->swarm, &sc->a->id),
                      fault);
    struct tern_swarm *s = sc->b->swarm;
    const struct tern_peer_id *id = &sc->a->id;
    assert_int_equal(tern_swarm_faults_weight(s, sc->w->now, id), weight);
    assert_int_equal(tern_swarm_faults_weight(s, sc->w->now + 10 * TERN_MINUTE, id), weight / 2);
    assert_int_equal(tern_swarm_faults_weight(s, sc->w->now + 5 * TERN_MINUTE, id), weight * 3 / 4);
    assert_int_equal(tern_swarm_faults_weight(s, sc->w->now + 24 * TERN_HOUR, id), 0);
}

static void the_table_of_bans_is_bounded(void **state)
{
    struct scene *sc = *state;
    tern_fault fault = heavy_fault();
    start_b(sc);
    struct tern_peer_id id = sc->a->id;
    for (unsigned i = 0; i < 3 * SWARM_BANS_MAX; i++) {
        id.bytes[10] = (uint8_t)i;
        id.bytes[11] = (uint8_t)(i >> 8);
        tern_faults_add(sc->b->swarm, sc->w->now, &id, fault);
    }
    assert_int_equal(tern_map_count(&sc->b->swarm->bans.map), SWARM_BANS_MAX);
}

/* --- ends --- */

static void an_idle_connection_ends(void **state)
{
    struct scene *sc = *state;
    sc->b->config.idle_timeout_ns = 30 * TERN_SECOND;
    start_b(sc);
    tern_peer peer = test_connect(sc->a, sc->b);
    struct tern_stream stream = test_open(sc->a, peer);
    size_t accepted;
    assert_int_equal(tern_swarm_write(sc->a->swarm, stream, tern_view_str("x"), &accepted),
                     TERN_OK);
    test_kick(sc->a);
    test_run(sc->w, 5 * TERN_MINUTE);
    assert_int_equal(tern_swarm_peers_count(sc->b->swarm), 1); /* a stream is open */
    tern_swarm_reset(sc->a->swarm, stream, 0);
    test_kick(sc->a);
    test_run(sc->w, 29 * TERN_SECOND);
    assert_int_equal(tern_swarm_peers_count(sc->b->swarm), 1);
    test_run(sc->w, 2 * TERN_SECOND);
    assert_int_equal(tern_swarm_peers_count(sc->b->swarm), 0);
    assert_int_equal(test_find(sc->b, TERN_SWARM_CONNECTION_DOWN, 0)->event.err, TERN_OK);
    assert_int_equal(tern_swarm_peers_count(sc->a->swarm), 0);
    assert_int_equal(sc->b->swarm->conns.count, 0);
}

static void background_streams_do_not_keep_a_connection(void **state)
{
    struct scene *sc = *state;
    sc->a->config.idle_timeout_ns = 30 * TERN_SECOND;
    test_node_stop(sc->a);
    assert_true(test_node_start(sc->a));
    start_b(sc);
    tern_peer peer = test_connect(sc->a, sc->b);
    struct tern_stream stream = test_open(sc->a, peer);
    tern_swarm_set_background(sc->a->swarm, stream);
    test_kick(sc->a);
    test_run(sc->w, 31 * TERN_SECOND);
    assert_int_equal(tern_swarm_peers_count(sc->a->swarm), 0);
    assert_int_equal(test_find(sc->a, TERN_SWARM_STREAM_ENDED, 0)->event.err,
                     TERN_ERR_DISCONNECTED);
}

static void a_protected_peer_stays_until_it_is_not(void **state)
{
    struct scene *sc = *state;
    sc->a->config.idle_timeout_ns = 30 * TERN_SECOND;
    test_node_stop(sc->a);
    assert_true(test_node_start(sc->a));
    start_b(sc);
    tern_peer peer = test_connect(sc->a, sc->b);
    tern_swarm_protect(sc->a->swarm, peer, TERN_PROTECT_APPLICATION);
    tern_swarm_protect(sc->a->swarm, peer, TERN_PROTECT_APPLICATION);
    test_run(sc->w, 90 * TERN_SECOND); /* b's own idle timeout is 2 minutes */
    assert_int_equal(tern_swarm_peers_count(sc->a->swarm), 1);
    tern_swarm_unprotect(sc->a->swarm, peer, TERN_PROTECT_APPLICATION);
    test_run(sc->w, 10 * TERN_SECOND);
    assert_int_equal(tern_swarm_peers_count(sc->a->swarm), 1);
    tern_swarm_unprotect(sc->a->swarm, peer, TERN_PROTECT_APPLICATION);
    test_kick(sc->a);
    test_run(sc->w, 2 * TERN_SECOND);
    assert_int_equal(tern_swarm_peers_count(sc->a->swarm), 1); /* idle since now */
    test_run(sc->w, 17 * TERN_SECOND);
    test_run(sc->w, 12 * TERN_SECOND);
    assert_int_equal(tern_swarm_peers_count(sc->a->swarm), 0);
}

static void a_dead_remote_is_noticed(void **state)
{
    struct scene *sc = *state;
    sc->a->config.idle_timeout_ns = 0;
    test_node_stop(sc->a);
    assert_true(test_node_start(sc->a));
    start_b(sc);
    assert_int_not_equal(test_connect(sc->a, sc->b), 0);
    test_silence(sc->a, sc->b);
    test_run(sc->w, sc->a->config.keepalive_ns + sc->a->config.keepalive_timeout_ns + TERN_SECOND);
    assert_int_equal(tern_swarm_peers_count(sc->a->swarm), 0);
    assert_int_equal(test_find(sc->a, TERN_SWARM_CONNECTION_DOWN, 0)->event.err, TERN_ERR_TIMEOUT);
    test_run(sc->w, 10 * TERN_SECOND);
    assert_int_equal(sc->a->swarm->conns.count, 0);
}

static void a_disconnect_ends_streams_then_connection_then_peer(void **state)
{
    struct scene *sc = *state;
    start_b(sc);
    tern_peer peer = test_connect(sc->a, sc->b);
    struct tern_stream stream = test_open(sc->a, peer);
    size_t accepted;
    assert_int_equal(tern_swarm_write(sc->a->swarm, stream, tern_view_str("x"), &accepted),
                     TERN_OK);
    test_kick(sc->a);
    test_run(sc->w, TERN_SECOND);
    tern_swarm_disconnect(sc->b->swarm, sc->w->now, tern_swarm_find_peer(sc->b->swarm, &sc->a->id),
                          0);
    test_kick(sc->b);
    test_run(sc->w, TERN_SECOND);
    for (int i = 0; i < 2; i++) {
        struct test_node *node = i == 0 ? sc->a : sc->b;
        assert_int_equal(test_count(node, TERN_SWARM_STREAM_ENDED), 1);
        assert_ptr_equal(test_find(node, TERN_SWARM_STREAM_ENDED, 0) + 1,
                         test_find(node, TERN_SWARM_CONNECTION_DOWN, 0));
        assert_ptr_equal(test_find(node, TERN_SWARM_CONNECTION_DOWN, 0) + 1,
                         test_find(node, TERN_SWARM_PEER_DOWN, 0));
        assert_int_equal(node->swarm->conns.count, 0);
        assert_int_equal(node->swarm->system.used[TERN_RESOURCE_FDS], 0);
    }
    /* Every handle is stale now, and says so. */
    struct tern_slice bytes;
    struct tern_connection_info info;
    struct tern_swarm *s = sc->a->swarm;
    assert_int_equal(tern_swarm_read(s, stream, &bytes), TERN_ERR_STALE);
    assert_int_equal(tern_swarm_write_slice(s, stream, bytes), TERN_ERR_STALE);
    assert_int_equal(tern_swarm_close_write(s, stream), TERN_ERR_STALE);
    assert_int_equal(test_try_open(sc->a, peer, &stream), TERN_ERR_STALE);
    tern_swarm_consume(s, stream, 1);
    tern_swarm_reset(s, stream, 1);
    tern_swarm_set_user(s, stream, 1);
    tern_swarm_set_background(s, stream);
    assert_int_equal(tern_swarm_stream_peer(s, stream), 0);
    assert_null(tern_swarm_peer_id(s, peer));
    assert_null(tern_swarm_peer_key(s, peer));
    assert_false(tern_swarm_connection_info(s, stream.connection, &info));
    assert_int_equal(tern_swarm_connection_first(s, peer), 0);
    tern_swarm_disconnect(s, sc->w->now, peer, 0);
    tern_swarm_protect(s, peer, TERN_PROTECT_APPLICATION);
    tern_swarm_report(s, sc->w->now, peer, heavy_fault());
    assert_false(tern_swarm_peer_supports(s, peer, tern_view_str("x")));
}

static void a_link_that_breaks_ends_its_streams(void **state)
{
    struct scene *sc = *state;
    start_b(sc);
    tern_peer peer = test_connect(sc->a, sc->b);
    test_open(sc->a, peer);
    test_run(sc->w, TERN_SECOND);
    test_node_stop(sc->b);
    test_run(sc->w, TERN_SECOND);
    assert_int_equal(test_find(sc->a, TERN_SWARM_STREAM_ENDED, 0)->event.err,
                     TERN_ERR_DISCONNECTED);
    assert_int_equal(test_find(sc->a, TERN_SWARM_CONNECTION_DOWN, 0)->event.err,
                     TERN_ERR_DISCONNECTED);
    assert_int_equal(sc->a->swarm->conns.count, 0);
}

static void a_shutdown_ends_everything_in_good_order(void **state)
{
    struct scene *sc = *state;
    start_b(sc);
    assert_int_not_equal(test_connect(sc->a, sc->b), 0);
    test_stranger(sc->b, test_endpoint("6.6.6.6", 1));
    sc->w->black_holes[sc->w->black_holes_count++] = test_endpoint("5.5.5.5", 1);
    struct tern_multiaddr addr;
    assert_int_equal(tern_multiaddr_parse(tern_view_str("/ip4/5.5.5.5/tcp/1"), &addr, NULL),
                     TERN_OK);
    assert_int_equal(tern_swarm_dial(sc->b->swarm, sc->w->now,
                                     &(struct tern_dial_options){
                                         .addresses = &addr, .addresses_count = 1, .token = 4}),
                     TERN_OK);
    test_kick(sc->b);
    assert_false(tern_swarm_is_down(sc->b->swarm));
    tern_swarm_shutdown(sc->b->swarm, sc->w->now);
    test_kick(sc->b);
    test_run(sc->w, TERN_SECOND);
    assert_true(tern_swarm_is_down(sc->b->swarm));
    assert_int_equal(test_dial_done(sc->b, 4)->event.err, TERN_ERR_CLOSED);
    assert_int_equal(test_find(sc->a, TERN_SWARM_CONNECTION_DOWN, 0)->event.err,
                     TERN_ERR_DISCONNECTED);
    assert_int_equal(tern_swarm_listen(sc->b->swarm, &addr), TERN_ERR_CLOSED);
    assert_int_equal(test_dial(sc->b, sc->a, 5), TERN_ERR_CLOSED);
    assert_int_equal(test_dial(sc->a, sc->b, 5), TERN_OK);
    test_run(sc->w, TERN_SECOND);
    assert_int_equal(test_dial_done(sc->a, 5)->event.err, TERN_ERR_REFUSED);
}

static void a_remote_that_takes_no_farewell_is_cut_off(void **state)
{
    struct scene *sc = *state;
    start_b(sc);
    tern_peer peer = test_connect(sc->a, sc->b);
    /* A link that takes no bytes: the world never asks for what a has to say. */
    tern_swarm_disconnect(sc->a->swarm, sc->w->now, peer, 0);
    tern_swarm_dispatch(sc->a->swarm, sc->w->now);
    struct tern_command command;
    while (tern_swarm_next_command(sc->a->swarm, &command))
        assert_int_equal(command.kind, TERN_COMMAND_TRANSMIT);
    assert_int_equal(test_count(sc->a, TERN_SWARM_PEER_DOWN), 0);
    tern_time t = sc->w->now + 6 * TERN_SECOND;
    tern_swarm_input(sc->a->swarm, t, &(struct tern_input){.kind = TERN_INPUT_TICK});
    assert_int_equal(test_count(sc->a, TERN_SWARM_PEER_DOWN), 1);
    bool aborted = false;
    for (int i = 0; i < 3; i++) {
        while (tern_swarm_next_command(sc->a->swarm, &command))
            aborted =
                aborted || command.kind == TERN_COMMAND_ABORT || command.kind == TERN_COMMAND_CLOSE;
        t += 6 * TERN_SECOND;
        tern_swarm_input(sc->a->swarm, t, &(struct tern_input){.kind = TERN_INPUT_TICK});
    }
    assert_true(aborted);
    sc->w->now = t;
}

static void observed_addresses_need_several_witnesses(void **state)
{
    struct scene *sc = *state;
    sc->b->config.observers_min = 3;
    start_b(sc);
    struct tern_multiaddr seen;
    struct tern_multiaddr own[8];
    assert_int_equal(tern_multiaddr_parse(tern_view_str("/ip4/44.1.2.3/tcp/4001"), &seen, NULL),
                     TERN_OK);
    struct test_node *others[4] = {sc->a};
    for (int i = 1; i < 4; i++) {
        others[i] = test_node_add(sc->w);
        assert_true(test_node_start(others[i]));
    }
    for (int i = 0; i < 4; i++) {
        assert_int_not_equal(test_connect(others[i], sc->b), 0);
        tern_connection c = tern_swarm_connection_first(
            sc->b->swarm, tern_swarm_find_peer(sc->b->swarm, &others[i]->id));
        for (int again = 0; again < 3; again++)
            tern_swarm_observed(sc->b->swarm, sc->w->now, c, &seen);
        test_kick(sc->b);
        assert_int_equal(tern_swarm_own_addresses(sc->b->swarm, own, 8), i < 2 ? 1 : 2);
    }
    assert_memory_equal(own[1].bytes, seen.bytes, seen.size);
    assert_int_equal(test_count(sc->b, TERN_SWARM_ADDRESSES), 2);
    test_run(sc->w, TERN_HOUR); /* not seen any more */
    test_input(sc->b, &(struct tern_input){.kind = TERN_INPUT_TICK});
    assert_int_equal(tern_swarm_own_addresses(sc->b->swarm, own, 8), 1);
}

static void an_idle_connection_costs_little(void **state)
{
    (void)state;
    size_t size = sizeof(struct swarm_conn) + sizeof(struct swarm_peer) +
                  4 * sizeof(struct swarm_stream) + sizeof(struct tern_slot) + 3 * sizeof(void *);
    print_message("swarm: %zu bytes for a peer with one connection and up to 4 streams "
                  "(connection %zu, peer %zu, stream %zu, book entry %zu, dial %zu, swarm %zu)\n",
                  size, sizeof(struct swarm_conn), sizeof(struct swarm_peer),
                  sizeof(struct swarm_stream), sizeof(struct book_entry), sizeof(struct swarm_dial),
                  sizeof(struct tern_swarm));
    assert_true(size < 1536);
}

#define T(f) cmocka_unit_test_setup_teardown(f, scene_up, scene_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(links_that_never_upgrade_are_held_to_their_share),
        T(a_few_addresses_do_not_shut_out_the_others),
        T(without_a_limit_an_address_has_as_many_as_it_likes),
        T(one_ipv6_household_counts_as_one),
        T(a_flood_from_one_address_costs_what_its_rate_allows),
        T(a_flood_from_one_subnet_costs_what_its_rate_allows),
        T(a_flood_from_many_subnets_costs_what_everybody_may),
        T(exempt_addresses_are_not_counted),
        T(connections_of_one_subnet_are_bounded),
        T(garbage_ends_a_link),
        T(unknown_links_and_tokens_do_no_harm),
        T(connections_in_the_system_are_bounded),
        T(memory_in_the_system_is_bounded),
        T(connections_of_one_peer_are_bounded),
        T(the_peer_scope_is_a_limit_too),
        T(streams_of_one_protocol_and_peer_are_bounded),
        T(a_protocols_streams_are_bounded_for_all_peers),
        T(a_stream_flood_is_stopped_by_the_scope),
        T(an_unsupported_protocol_ends_the_stream_alone),
        T(an_unhandled_protocol_serves_nobody_any_more),
        T(a_denied_ip_is_refused_before_it_can_speak),
        T(a_denied_peer_is_refused_after_the_handshake),
        T(a_closed_gate_lets_named_peers_through),
        T(new_rules_end_what_they_deny),
        T(faults_add_up_to_a_ban_that_ends),
        T(weights_halve_every_ten_minutes),
        T(the_table_of_bans_is_bounded),
        T(an_idle_connection_ends),
        T(background_streams_do_not_keep_a_connection),
        T(a_protected_peer_stays_until_it_is_not),
        T(a_dead_remote_is_noticed),
        T(a_disconnect_ends_streams_then_connection_then_peer),
        T(a_link_that_breaks_ends_its_streams),
        T(a_shutdown_ends_everything_in_good_order),
        T(a_remote_that_takes_no_farewell_is_cut_off),
        T(observed_addresses_need_several_witnesses),
        cmocka_unit_test(an_idle_connection_costs_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
