/* Every limit, one after the other: something runs into it, and what is said of that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "swarm/private.h"
#include "swarm/world_test_support.h"

enum { STREAMS_MANY = 4 };

struct scene {
    struct test_world *w;
    struct test_node *a;
    struct test_node *b;
    struct test_node *victim; /* whose limit it is */
};

/* --- what is done until the limit is hit --- */

static void do_dial(struct scene *sc)
{
    (void)test_connect(sc->a, sc->b);
}

/* do_dial_twice makes a second connection, as a remote with bad manners would. */
static void do_dial_twice(struct scene *sc)
{
    tern_peer peer = test_connect(sc->a, sc->b);
    struct swarm_peer *p = tern_peers_of_handle(sc->a->swarm, peer);
    TERN_LIST_FOREACH (node, &p->connections)
        TERN_LIST_ENTRY(node, struct swarm_conn, siblings)->going_away = true;
    assert_int_equal(test_dial(sc->a, sc->b, 99), TERN_OK);
    test_run(sc->w, TERN_SECOND);
}

static void do_streams(struct scene *sc)
{
    tern_peer peer = test_connect(sc->a, sc->b);
    for (int i = 0; i < STREAMS_MANY; i++) {
        struct tern_stream stream;
        size_t accepted;
        if (test_try_open(sc->a, peer, &stream) == TERN_OK)
            assert_int_equal(tern_swarm_write(sc->a->swarm, stream, tern_view_str("x"), &accepted),
                             TERN_OK);
        test_kick(sc->a);
    }
    test_run(sc->w, TERN_SECOND);
}

/* do_strangers lets links in that never speak. */
static void strangers_from(struct scene *sc, const char *pattern)
{
    for (int i = 1; i <= STREAMS_MANY; i++) {
        char text[64];
        snprintf(text, sizeof text, "%s", pattern);
        for (char *at = text; *at != '\0'; at++)
            if (*at == '#')
                *at = (char)('0' + i);
        test_stranger(sc->b, test_endpoint(text, (uint16_t)(1000 + i)));
    }
}

static void do_strangers(struct scene *sc)
{
    strangers_from(sc, "6.6.6.6");
}

static void do_strangers_24(struct scene *sc)
{
    strangers_from(sc, "6.6.6.#");
}

static void do_strangers_64(struct scene *sc)
{
    strangers_from(sc, "2a00:1:2:3::#");
}

static void do_strangers_56(struct scene *sc)
{
    strangers_from(sc, "2a00:1:2:30#::1");
}

static void do_strangers_48(struct scene *sc)
{
    strangers_from(sc, "2a00:1:2:#00::1");
}

static void do_link_too_high(struct scene *sc)
{
    test_input(sc->b, &(struct tern_input){.kind = TERN_INPUT_ACCEPTED,
                                           .link = sc->b->config.limits.links_max,
                                           .token = test_listener_token(sc->b),
                                           .remote = test_endpoint("6.6.6.6", 1)});
}

static void do_dials(struct scene *sc)
{
    for (uint16_t i = 0; i < STREAMS_MANY; i++) {
        struct tern_multiaddr addr;
        const struct tern_route route = {.endpoint = test_endpoint("5.5.5.5", (uint16_t)(i + 1))};
        sc->w->black_holes[sc->w->black_holes_count++] = route.endpoint;
        tern_route_multiaddr(&route, &addr);
        (void)!tern_swarm_dial(
            sc->a->swarm, sc->w->now,
            &(struct tern_dial_options){.addresses = &addr, .addresses_count = 1, .token = i + 1u});
    }
    test_kick(sc->a);
}

/* do_keep lets a's service keep memory for b until it may not. */
static void do_keep(struct scene *sc)
{
    tern_peer peer = test_connect(sc->a, sc->b);
    size_t kept = 0;
    while (tern_swarm_reserve_memory(sc->a->swarm, sc->a->service, peer, 1000) == TERN_OK)
        kept += 1000;
    assert_true(kept > 0);
    tern_swarm_release_memory(sc->a->swarm, sc->a->service, peer, kept);
}

/* do_keep_for_stream does so for a stream. */
static void do_keep_for_stream(struct scene *sc)
{
    struct tern_stream stream = test_open(sc->a, test_connect(sc->a, sc->b));
    size_t kept = 0;
    while (tern_swarm_reserve_stream_memory(sc->a->swarm, stream, 1000) == TERN_OK)
        kept += 1000;
    assert_true(kept > 0);
    tern_swarm_release_stream_memory(sc->a->swarm, stream, kept);
}

/* --- the table --- */

struct limit_case {
    enum tern_limit limit;
    uint64_t value;
    bool of_b;
    void (*action)(struct scene *sc);
    const char *sentence; /* P: the other peer; U, A: what was used and asked for (memory) */
    struct {
        enum tern_limit limit;
        uint64_t value;
    } also; /* value 0: nothing */
};

static const struct limit_case limit_cases[] = {
    {TERN_LIMIT_SYSTEM_MEMORY, 4000, false, do_keep,
     "this host has U of at most 4000 bytes of memory and needs A more; raise system.memory to "
     "allow more"},
    {TERN_LIMIT_SYSTEM_STREAMS_IN, 2, true, do_streams,
     "this host has 2 of at most 2 inbound streams; raise system.streams_in to allow more"},
    {TERN_LIMIT_SYSTEM_STREAMS_OUT, 2, false, do_streams,
     "this host has 2 of at most 2 outbound streams; raise system.streams_out to allow more"},
    {TERN_LIMIT_SYSTEM_CONNECTIONS_IN, 3, true, do_strangers,
     "this host has 3 of at most 3 inbound connections; raise system.connections_in to allow "
     "more"},
    {TERN_LIMIT_SYSTEM_CONNECTIONS_OUT, 3, false, do_dials,
     "this host has 3 of at most 3 outbound connections; raise system.connections_out to allow "
     "more"},
    {TERN_LIMIT_SYSTEM_FDS, 3, true, do_strangers,
     "this host has 3 of at most 3 file descriptors; raise system.fds to allow more"},
    {TERN_LIMIT_TRANSIENT_MEMORY, 300, true, do_dial,
     "what is being set up has U of at most 300 bytes of memory and needs A more; raise "
     "transient.memory to allow more"},
    {TERN_LIMIT_TRANSIENT_CONNECTIONS_IN, 3, true, do_strangers,
     "what is being set up has 3 of at most 3 inbound connections; raise "
     "transient.connections_in to allow more"},
    {TERN_LIMIT_TRANSIENT_CONNECTIONS_OUT, 3, false, do_dials,
     "what is being set up has 3 of at most 3 outbound connections; raise "
     "transient.connections_out to allow more"},
    {TERN_LIMIT_TRANSIENT_FDS, 3, false, do_dials,
     "what is being set up has 3 of at most 3 file descriptors; raise transient.fds to allow "
     "more"},
    {TERN_LIMIT_PEER_MEMORY, 4000, false, do_keep,
     "peer P has U of at most 4000 bytes of memory and needs A more; raise peer.memory to allow "
     "more"},
    {TERN_LIMIT_PEER_STREAMS_IN, 2, true, do_streams,
     "peer P has 2 of at most 2 inbound streams; raise peer.streams_in to allow more"},
    {TERN_LIMIT_PEER_STREAMS_OUT, 2, false, do_streams,
     "peer P has 2 of at most 2 outbound streams; raise peer.streams_out to allow more"},
    {TERN_LIMIT_PEER_CONNECTIONS_IN, 1, true, do_dial_twice,
     "peer P has 1 of at most 1 inbound connections; raise peer.connections_in to allow more"},
    {TERN_LIMIT_PEER_CONNECTIONS_OUT, 1, false, do_dial_twice,
     "peer P has 1 of at most 1 outbound connections; raise peer.connections_out to allow more"},
    {TERN_LIMIT_PEER_FDS, 1, true, do_dial_twice,
     "peer P has 1 of at most 1 file descriptors; raise peer.fds to allow more"},
    {TERN_LIMIT_CONNECTION_MEMORY, 4000, false, do_keep_for_stream,
     "one connection of peer P has U of at most 4000 bytes of memory and needs A more; raise "
     "connection.memory to allow more"},
    {TERN_LIMIT_CONNECTION_STREAMS_IN, 2, true, do_streams,
     "one connection of peer P has 2 of at most 2 inbound streams; raise connection.streams_in "
     "to allow more"},
    {TERN_LIMIT_CONNECTION_STREAMS_OUT, 2, false, do_streams,
     "one connection of peer P has 2 of at most 2 outbound streams; raise "
     "connection.streams_out to allow more"},
    {TERN_LIMIT_STREAM_MEMORY, 4000, false, do_keep_for_stream,
     "one stream of service test, protocol /test/echo/1, peer P has 4000 of at most 4000 bytes "
     "of memory and needs 1000 more; raise stream.memory to allow more"},
    {TERN_LIMIT_SERVICE_MEMORY, 4000, false, do_keep,
     "service test has 4000 of at most 4000 bytes of memory and needs 1000 more; raise "
     "service.memory to allow more"},
    {TERN_LIMIT_SERVICE_STREAMS_IN, 2, true, do_streams,
     "service test has 2 of at most 2 inbound streams; raise service.streams_in to allow more"},
    {TERN_LIMIT_SERVICE_STREAMS_OUT, 2, false, do_streams,
     "service test has 2 of at most 2 outbound streams; raise service.streams_out to allow more"},
    {TERN_LIMIT_SERVICE_PEER_MEMORY, 4000, false, do_keep,
     "service test with peer P has 4000 of at most 4000 bytes of memory and needs 1000 more; "
     "raise service_peer.memory to allow more"},
    {TERN_LIMIT_SERVICE_PEER_STREAMS_IN, 2, true, do_streams,
     "service test with peer P has 2 of at most 2 inbound streams; raise "
     "service_peer.streams_in to allow more"},
    {TERN_LIMIT_SERVICE_PEER_STREAMS_OUT, 2, false, do_streams,
     "service test with peer P has 2 of at most 2 outbound streams; raise "
     "service_peer.streams_out to allow more"},
    {TERN_LIMIT_PROTOCOL_MEMORY, 4000, false, do_keep_for_stream,
     "protocol /test/echo/1 has 4000 of at most 4000 bytes of memory and needs 1000 more; raise "
     "protocol.memory to allow more"},
    {TERN_LIMIT_PROTOCOL_STREAMS_IN, 2, true, do_streams,
     "protocol /test/echo/1 has 2 of at most 2 inbound streams; raise protocol.streams_in to "
     "allow more"},
    {TERN_LIMIT_PROTOCOL_STREAMS_OUT, 2, false, do_streams,
     "protocol /test/echo/1 has 2 of at most 2 outbound streams; raise protocol.streams_out to "
     "allow more"},
    {TERN_LIMIT_PROTOCOL_PEER_MEMORY, 4000, false, do_keep_for_stream,
     "protocol /test/echo/1 with peer P has 4000 of at most 4000 bytes of memory and needs 1000 "
     "more; raise protocol_peer.memory to allow more"},
    {TERN_LIMIT_PROTOCOL_PEER_STREAMS_IN, 2, true, do_streams,
     "protocol /test/echo/1 with peer P has 2 of at most 2 inbound streams; raise "
     "protocol_peer.streams_in to allow more"},
    {TERN_LIMIT_PROTOCOL_PEER_STREAMS_OUT, 2, false, do_streams,
     "protocol /test/echo/1 with peer P has 2 of at most 2 outbound streams; raise "
     "protocol_peer.streams_out to allow more"},
    {TERN_LIMIT_CONNECTIONS_PER_PEER, 1, true, do_dial_twice,
     "peer P has 1 of at most 1 connections; raise connections_per_peer to allow more"},
    {TERN_LIMIT_TRANSIENT_PER_ADDRESS, 3, true, do_strangers,
     "address 6.6.6.6 has 3 of at most 3 inbound connections being set up; raise "
     "transient_per_address to allow more"},
    {TERN_LIMIT_TRANSIENT_SHARED, 3, true, do_strangers,
     "this host has 3 of at most 3 inbound connections being set up; raise transient_shared to "
     "allow more"},
    {TERN_LIMIT_SUBNET_IP4_32_CONNECTIONS_IN, 3, true, do_strangers,
     "address 6.6.6.6 has 3 of at most 3 inbound connections; raise subnet.ip4_32.connections_in "
     "to allow more"},
    {TERN_LIMIT_SUBNET_IP4_24_CONNECTIONS_IN, 3, true, do_strangers_24,
     "addresses 6.6.6.0/24 have 3 of at most 3 inbound connections; raise "
     "subnet.ip4_24.connections_in to allow more"},
    {TERN_LIMIT_SUBNET_IP6_64_CONNECTIONS_IN, 3, true, do_strangers_64,
     "addresses 2a00:1:2:3::/64 have 3 of at most 3 inbound connections; raise "
     "subnet.ip6_64.connections_in to allow more"},
    {TERN_LIMIT_SUBNET_IP6_56_CONNECTIONS_IN, 3, true, do_strangers_56,
     "addresses 2a00:1:2:300::/56 have 3 of at most 3 inbound connections; raise "
     "subnet.ip6_56.connections_in to allow more"},
    {TERN_LIMIT_SUBNET_IP6_48_CONNECTIONS_IN, 3, true, do_strangers_48,
     "addresses 2a00:1:2::/48 have 3 of at most 3 inbound connections; raise "
     "subnet.ip6_48.connections_in to allow more"},
    {TERN_LIMIT_SUBNET_IP4_32_HANDSHAKES_PER_MINUTE,
     60,
     true,
     do_strangers,
     "address 6.6.6.6 has 60 of at most 60 handshakes a minute; raise "
     "subnet.ip4_32.handshakes_per_minute to allow more",
     {TERN_LIMIT_SUBNET_IP4_32_HANDSHAKES_BURST, 3}},
    {TERN_LIMIT_SUBNET_IP4_24_HANDSHAKES_PER_MINUTE,
     60,
     true,
     do_strangers_24,
     "addresses 6.6.6.0/24 have 60 of at most 60 handshakes a minute; raise "
     "subnet.ip4_24.handshakes_per_minute to allow more",
     {TERN_LIMIT_SUBNET_IP4_24_HANDSHAKES_BURST, 3}},
    {TERN_LIMIT_SUBNET_IP6_64_HANDSHAKES_PER_MINUTE,
     60,
     true,
     do_strangers_64,
     "addresses 2a00:1:2:3::/64 have 60 of at most 60 handshakes a minute; raise "
     "subnet.ip6_64.handshakes_per_minute to allow more",
     {TERN_LIMIT_SUBNET_IP6_64_HANDSHAKES_BURST, 3}},
    {TERN_LIMIT_SUBNET_IP6_56_HANDSHAKES_PER_MINUTE,
     60,
     true,
     do_strangers_56,
     "addresses 2a00:1:2:300::/56 have 60 of at most 60 handshakes a minute; raise "
     "subnet.ip6_56.handshakes_per_minute to allow more",
     {TERN_LIMIT_SUBNET_IP6_56_HANDSHAKES_BURST, 3}},
    {TERN_LIMIT_SUBNET_IP6_48_HANDSHAKES_PER_MINUTE,
     60,
     true,
     do_strangers_48,
     "addresses 2a00:1:2::/48 have 60 of at most 60 handshakes a minute; raise "
     "subnet.ip6_48.handshakes_per_minute to allow more",
     {TERN_LIMIT_SUBNET_IP6_48_HANDSHAKES_BURST, 3}},
    {TERN_LIMIT_HANDSHAKES_PER_MINUTE,
     60,
     true,
     do_strangers,
     "this host has 60 of at most 60 handshakes a minute; raise handshakes_per_minute to allow "
     "more",
     {TERN_LIMIT_HANDSHAKES_BURST, 3}},
    {TERN_LIMIT_DIALS_WAITING, 3, false, do_dials,
     "this host has 3 of at most 3 dials; raise dials_waiting to allow more"},
    {TERN_LIMIT_LINKS, 3, true, do_link_too_high,
     "this host has 3 of at most 3 links; raise links to allow more"},
};

/* What waits or gives way at its limit, and refuses nothing. */
static const enum tern_limit limits_that_refuse_nothing[] = {
    TERN_LIMIT_CONNECTIONS_HIGH,
    TERN_LIMIT_CONNECTIONS_LOW,
    TERN_LIMIT_DIALS,
    TERN_LIMIT_DIALS_PER_PEER,
    TERN_LIMIT_PEERS,
    TERN_LIMIT_WINDOWS,
    /* These belong to a rate, which is what is named. */
    TERN_LIMIT_HANDSHAKES_BURST,
    TERN_LIMIT_SUBNET_IP4_32_HANDSHAKES_BURST,
    TERN_LIMIT_SUBNET_IP4_24_HANDSHAKES_BURST,
    TERN_LIMIT_SUBNET_IP6_64_HANDSHAKES_BURST,
    TERN_LIMIT_SUBNET_IP6_56_HANDSHAKES_BURST,
    TERN_LIMIT_SUBNET_IP6_48_HANDSHAKES_BURST,
};

/* fill_in puts the peer and the numbers into a sentence. */
static void fill_in(const char *pattern, const struct tern_peer_id *peer,
                    const struct tern_refusal *refusal, struct tern_writer *out)
{
    for (const char *at = pattern; *at != '\0'; at++) {
        bool alone = (at == pattern || at[-1] == ' ') && (at[1] == ' ' || at[1] == ',');
        if (alone && *at == 'P')
            tern_peer_id_format(peer, out);
        else if (alone && *at == 'U')
            tern_writer_decimal(out, refusal->used);
        else if (alone && *at == 'A')
            tern_writer_decimal(out, refusal->asked);
        else
            tern_writer_u8(out, (uint8_t)*at);
    }
    assert_true(tern_writer_terminate(out));
}

static void check_limit(const struct limit_case *row)
{
    struct scene sc = {.w = test_world_new()};
    sc.a = test_node_add(sc.w);
    sc.b = test_node_add(sc.w);
    sc.victim = row->of_b ? sc.b : sc.a;
    tern_limit_set(&sc.victim->config.limits, row->limit, row->value);
    assert_int_equal(tern_limit_get(&sc.victim->config.limits, row->limit), row->value);
    if (row->also.value != 0)
        tern_limit_set(&sc.victim->config.limits, row->also.limit, row->also.value);
    assert_true(test_node_start(sc.a) && test_node_start(sc.b));
    test_listen(sc.b);
    assert_null(tern_swarm_last_refusal(sc.victim->swarm)->limit_info);
    row->action(&sc);

    const struct tern_refusal *refusal = tern_swarm_last_refusal(sc.victim->swarm);
    char expected[TERN_REFUSAL_TEXT_SIZE_MAX];
    char text[TERN_REFUSAL_TEXT_SIZE_MAX];
    struct tern_writer e = tern_writer_of(expected, sizeof expected);
    struct tern_writer t = tern_writer_of(text, sizeof text);
    fill_in(row->sentence, row->of_b ? &sc.a->id : &sc.b->id, refusal, &e);
    assert_non_null(refusal->limit_info);
    tern_refusal_format(refusal, &t);
    assert_true(tern_writer_terminate(&t));
    assert_string_equal(text, expected);
    assert_int_equal(refusal->limit, row->value);
    assert_true(refusal->used + refusal->asked > refusal->limit);
    assert_true(sc.victim->metrics.values[TERN_METRIC_SWARM_LIMIT_REFUSALS] > 0);
    assert_true(sc.w->traced[TERN_TRACE_SWARM_LIMIT] > 0);
    test_world_free(sc.w); /* all accounts are even */
}

static void every_limit_is_hit_and_explained(void **state)
{
    (void)state;
    bool seen[TERN_LIMIT_COUNT] = {false};
    for (size_t i = 0; i < TERN_COUNT_OF(limit_cases); i++) {
        seen[limit_cases[i].limit] = true;
        check_limit(&limit_cases[i]);
    }
    for (size_t i = 0; i < TERN_COUNT_OF(limits_that_refuse_nothing); i++)
        seen[limits_that_refuse_nothing[i]] = true;
    for (int i = 0; i < TERN_LIMIT_COUNT; i++) {
        if (!seen[i])
            print_error("no test hits %s\n", tern_limit_info((enum tern_limit)i)->option);
        assert_true(seen[i]);
    }
}

static void options_are_found_by_name(void **state)
{
    (void)state;
    struct tern_swarm_limits limits;
    tern_swarm_limits_profile(&limits, TERN_PROFILE_SERVER);
    for (int i = 0; i < TERN_LIMIT_COUNT; i++) {
        enum tern_limit row = (enum tern_limit)i;
        const struct tern_limit_info *info = tern_limit_info(row);
        assert_int_equal(tern_limit_find(tern_view_str(info->option)), row);
        assert_true(strlen(info->unit) > 0 && strlen(info->what) > 0);
        tern_limit_set(&limits, row, UINT64_MAX);
        assert_true(tern_limit_get(&limits, row) >= UINT32_MAX);
        tern_limit_set(&limits, row, 7);
        assert_int_equal(tern_limit_get(&limits, row), 7);
    }
    assert_int_equal(limits.windows_max, 7);
    assert_int_equal(limits.protocol_peer.max[TERN_RESOURCE_STREAMS_OUT], 7);
    assert_int_equal(tern_limit_find(tern_view_str("system.love")), TERN_LIMIT_COUNT);
}

static void nothing_refused_says_nothing(void **state)
{
    (void)state;
    char text[8];
    const struct tern_refusal none = {.used = 1};
    struct tern_writer out = tern_writer_of(text, sizeof text);
    tern_refusal_format(&none, &out);
    assert_int_equal(out.size, 0);
}

/* --- services and protocols --- */

static struct scene pair(void)
{
    struct scene sc = {.w = test_world_new()};
    sc.a = test_node_add(sc.w);
    sc.b = test_node_add(sc.w);
    assert_true(test_node_start(sc.a) && test_node_start(sc.b));
    test_listen(sc.b);
    return sc;
}

static void memory_kept_for_a_peer_outlives_it_in_the_accounts(void **state)
{
    (void)state;
    struct scene sc = pair();
    struct tern_swarm *s = sc.a->swarm;
    tern_peer peer = test_connect(sc.a, sc.b);
    assert_int_equal(tern_swarm_reserve_memory(s, sc.a->service, peer, 5000), TERN_OK);
    assert_int_equal(tern_swarm_reserve_memory(s, sc.a->service, 0, 300), TERN_OK);
    assert_int_equal(s->services[0].scope.used[TERN_RESOURCE_MEMORY], 5300);
    assert_true(tern_peers_of_handle(s, peer)->scope.used[TERN_RESOURCE_MEMORY] >= 5000);
    tern_swarm_disconnect(s, sc.w->now, peer, 0);
    test_kick(sc.a);
    test_run(sc.w, 10 * TERN_SECOND);
    assert_null(tern_swarm_peer_id(s, peer));
    assert_int_equal(s->system.used[TERN_RESOURCE_MEMORY], 5300);
    assert_int_equal(tern_swarm_reserve_memory(s, sc.a->service, peer, 1), TERN_ERR_STALE);
    tern_swarm_release_memory(s, sc.a->service, peer, 5000);
    tern_swarm_release_memory(s, sc.a->service, 0, 300);
    assert_int_equal(s->system.used[TERN_RESOURCE_MEMORY], 0);
    assert_int_equal(s->services[0].scope.used[TERN_RESOURCE_MEMORY], 0);
    test_world_free(sc.w);
}

static void memory_of_a_stream_goes_with_it(void **state)
{
    (void)state;
    struct scene sc = pair();
    struct tern_swarm *s = sc.a->swarm;
    struct tern_stream stream = test_open(sc.a, test_connect(sc.a, sc.b));
    uint64_t before = s->system.used[TERN_RESOURCE_MEMORY];
    assert_int_equal(tern_swarm_reserve_stream_memory(s, stream, 700), TERN_OK);
    assert_int_equal(s->system.used[TERN_RESOURCE_MEMORY], before + 700);
    const struct swarm_protocol *echo = tern_protocols_find(s, tern_view_str(test_echo_name));
    assert_int_equal(echo->scope.used[TERN_RESOURCE_MEMORY], 700);
    tern_swarm_reset(s, stream, 0);
    assert_int_equal(echo->scope.used[TERN_RESOURCE_MEMORY], 0);
    assert_true(s->system.used[TERN_RESOURCE_MEMORY] <= before);
    assert_int_equal(tern_swarm_reserve_stream_memory(s, stream, 1), TERN_ERR_STALE);
    tern_swarm_release_stream_memory(s, stream, 700);
    test_world_free(sc.w);
}

/* Of several names the remote chooses one: that is what the stream counts for from then on. */
static void a_chosen_protocol_is_what_counts(void **state)
{
    (void)state;
    struct scene sc = pair();
    struct tern_swarm *s = sc.a->swarm;
    tern_peer peer = test_connect(sc.a, sc.b);
    const struct tern_view names[] = {tern_view_str("/test/none"), tern_view_str(test_echo_name)};
    const struct tern_stream_request request = {
        .service = sc.a->service, .peer = peer, .offer = {.names = names, .names_count = 2}};
    struct tern_stream stream;
    assert_int_equal(tern_swarm_open_stream(s, sc.w->now, &request, &stream), TERN_OK);
    assert_int_equal(tern_swarm_reserve_stream_memory(s, stream, 50), TERN_OK);
    const struct swarm_protocol *echo = tern_protocols_find(s, names[1]);
    assert_int_equal(echo->scope.used[TERN_RESOURCE_STREAMS_OUT], 0);
    assert_int_equal(s->services[0].scope.used[TERN_RESOURCE_STREAMS_OUT], 1);
    test_kick(sc.a);
    test_run(sc.w, TERN_SECOND);
    assert_int_equal(test_find(sc.a, TERN_SWARM_STREAM_READY, 0)->event.offered_index, 1);
    assert_int_equal(echo->scope.used[TERN_RESOURCE_STREAMS_OUT], 1);
    assert_int_equal(echo->scope.used[TERN_RESOURCE_MEMORY], 50);
    assert_null(tern_protocols_find(s, names[0]));

    /* One more has no room: it ends as soon as the remote has chosen. */
    const struct tern_scope_limits one = {.max = {[TERN_RESOURCE_STREAMS_OUT] = 1}};
    assert_int_equal(tern_swarm_set_protocol_limits(s, names[1], &one, NULL), TERN_OK);
    assert_int_equal(tern_swarm_open_stream(s, sc.w->now, &request, &stream), TERN_OK);
    test_kick(sc.a);
    test_run(sc.w, TERN_SECOND);
    const struct test_news *ended = test_find(sc.a, TERN_SWARM_STREAM_ENDED, 0);
    assert_non_null(ended);
    assert_int_equal(ended->event.err, TERN_ERR_SCOPE_STREAMS);
    const struct tern_refusal *refusal = tern_swarm_last_refusal(s);
    assert_true(refusal->own);
    assert_int_equal(refusal->limit, 1);
    assert_int_equal(test_count(sc.b, TERN_SWARM_STREAM_OPENED), 2);
    assert_int_equal(test_find(sc.b, TERN_SWARM_STREAM_ENDED, 0)->event.code,
                     TERN_STREAM_CODE_RESOURCE_LIMIT);
    test_world_free(sc.w);
}

static void a_service_has_limits_of_its_own(void **state)
{
    (void)state;
    struct scene sc = pair();
    struct tern_swarm *s = sc.a->swarm;
    const struct tern_scope_limits two = {.max = {[TERN_RESOURCE_STREAMS_OUT] = 2}};
    tern_swarm_set_service_limits(s, sc.a->service, NULL, &two);
    tern_peer peer = test_connect(sc.a, sc.b);
    struct tern_stream streams[3];
    assert_int_equal(test_try_open(sc.a, peer, &streams[0]), TERN_OK);
    assert_int_equal(test_try_open(sc.a, peer, &streams[1]), TERN_OK);
    assert_int_equal(test_try_open(sc.a, peer, &streams[2]), TERN_ERR_SCOPE_STREAMS);
    char text[TERN_REFUSAL_TEXT_SIZE_MAX];
    struct tern_writer out = tern_writer_of(text, sizeof text);
    tern_refusal_format(tern_swarm_last_refusal(s), &out);
    assert_true(tern_writer_terminate(&out));
    assert_non_null(strstr(text, "raise its own service_peer.streams_out to allow more"));
    tern_swarm_reset(s, streams[0], 0);
    assert_int_equal(test_try_open(sc.a, peer, &streams[2]), TERN_OK);
    tern_swarm_set_service_limits(s, sc.a->service, NULL, NULL);
    assert_int_equal(test_try_open(sc.a, peer, &streams[0]), TERN_OK);
    test_world_free(sc.w);
}

static void protocols_known_by_name_are_bounded(void **state)
{
    (void)state;
    struct scene sc = pair();
    struct tern_swarm *s = sc.a->swarm;
    char name[32];
    tern_err err = TERN_OK;
    int count = 0;
    for (; err == TERN_OK; count++) {
        snprintf(name, sizeof name, "/test/many/%d", count);
        err = tern_swarm_set_protocol_limits(s, tern_view_str(name), NULL, NULL);
        assert_true(count < 1000);
    }
    assert_int_equal(err, TERN_ERR_FULL);
    assert_int_equal(tern_map_count(&s->protocol_names), SWARM_PROTOCOL_NAMES_MAX);
    assert_int_equal(tern_swarm_set_protocol_limits(s, (struct tern_view){.size = 0}, NULL, NULL),
                     TERN_ERR_INVALID);
    test_world_free(sc.w);
}

static void gauges_are_drawn_when_they_are_asked_for(void **state)
{
    (void)state;
    struct scene sc = pair();
    assert_int_not_equal(test_connect(sc.a, sc.b), 0);
    test_stranger(sc.b, test_endpoint("6.6.6.6", 6));
    tern_swarm_update_metrics(sc.b->swarm);
    const uint64_t *values = sc.b->metrics.values;
    assert_int_equal(values[TERN_METRIC_USED_SYSTEM_CONNECTIONS_IN], 2);
    assert_int_equal(values[TERN_METRIC_USED_TRANSIENT_CONNECTIONS_IN], 1);
    assert_int_equal(values[TERN_METRIC_USED_SYSTEM_FDS], 2);
    assert_int_equal(values[TERN_METRIC_LIMIT_SYSTEM_CONNECTIONS_IN], 512);
    assert_true(values[TERN_METRIC_USED_SYSTEM_MEMORY] > 0);
    test_world_free(sc.w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_limit_is_hit_and_explained),
        cmocka_unit_test(options_are_found_by_name),
        cmocka_unit_test(nothing_refused_says_nothing),
        cmocka_unit_test(memory_kept_for_a_peer_outlives_it_in_the_accounts),
        cmocka_unit_test(memory_of_a_stream_goes_with_it),
        cmocka_unit_test(a_chosen_protocol_is_what_counts),
        cmocka_unit_test(a_service_has_limits_of_its_own),
        cmocka_unit_test(protocols_known_by_name_are_bounded),
        cmocka_unit_test(gauges_are_drawn_when_they_are_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
