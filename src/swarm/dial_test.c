/* Dialling: order and timing in virtual time, joining, names, refusals, both ends at once. */
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

static int scene_up(void **state)
{
    struct scene *sc = calloc(1, sizeof *sc);
    sc->w = test_world_new();
    sc->a = test_node_add(sc->w);
    sc->b = test_node_add(sc->w);
    assert_true(test_node_start(sc->a));
    assert_true(test_node_start(sc->b));
    test_listen(sc->b);
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

static struct tern_multiaddr parse(const char *text)
{
    struct tern_multiaddr addr;
    tern_err err = tern_multiaddr_parse(tern_view_str(text), &addr, NULL);
    assert_int_equal(err, TERN_OK);
    return addr;
}

static tern_err dial(struct test_node *from, const struct tern_peer_id *id,
                     const struct tern_multiaddr *addrs, size_t count, tern_token token)
{
    tern_err err = tern_swarm_dial(
        from->swarm, from->world->now,
        &(struct tern_dial_options){
            .id = id, .addresses = addrs, .addresses_count = count, .token = token});
    test_kick(from);
    return err;
}

static void black_hole(struct test_world *w, const char *ip, uint16_t port)
{
    w->black_holes[w->black_holes_count++] = test_endpoint(ip, port);
}

/* --- order and timing --- */

static void a_dead_first_address_costs_less_than_300_ms(void **state)
{
    struct scene *sc = *state;
    struct tern_multiaddr addrs[2] = {parse("/ip6/2a00::1/tcp/4001"),
                                      parse("/ip4/5.6.7.8/tcp/4001")};
    sc->b->ip = test_endpoint("5.6.7.8", 0);
    test_listen(sc->b);
    black_hole(sc->w, "2a00::1", 4001);
    tern_time start = sc->w->now;
    assert_int_equal(dial(sc->a, &sc->b->id, addrs, 2, 5), TERN_OK);
    test_run(sc->w, 5 * TERN_SECOND);
    const struct test_news *done = test_dial_done(sc->a, 5);
    assert_int_equal(done->event.err, TERN_OK);
    /* Two round trips and the job are the connection itself: 20 + 20 + 1 ms and so on. */
    tern_time alone = 60 * TERN_MILLISECOND;
    assert_true(done->at - start < 300 * TERN_MILLISECOND + alone);
    assert_true(done->at - start >= 250 * TERN_MILLISECOND);

    const struct tern_dial_attempt *rows;
    assert_int_equal(tern_swarm_dial_attempts(sc->a->swarm, 5, &rows), 2);
    assert_int_equal(rows[0].route.endpoint.family, 6);
    assert_int_equal(rows[0].err, TERN_ERR_CLOSED);
    assert_int_equal(rows[0].started_ns, start);
    assert_int_equal(rows[1].started_ns, start + 250 * TERN_MILLISECOND);
    assert_true(rows[1].linked_ns > rows[1].started_ns);
    assert_int_equal(rows[1].err, TERN_OK);
}

static void many_dead_addresses_cost_no_more(void **state)
{
    struct scene *sc = *state;
    struct tern_multiaddr addrs[6];
    for (int i = 0; i < 5; i++) {
        char text[64];
        snprintf(text, sizeof text, "/ip4/9.9.9.%d/tcp/%d", i, 1000 + i);
        addrs[i] = parse(text);
        text[0] = '\0';
        snprintf(text, sizeof text, "9.9.9.%d", i);
        black_hole(sc->w, text, (uint16_t)(1000 + i));
    }
    addrs[5] = parse("/ip4/5.6.7.8/tcp/4001");
    sc->b->ip = test_endpoint("5.6.7.8", 0);
    test_listen(sc->b);
    tern_time start = sc->w->now;
    assert_int_equal(dial(sc->a, &sc->b->id, addrs, 6, 5), TERN_OK);
    test_run(sc->w, 5 * TERN_SECOND);
    const struct tern_dial_attempt *rows;
    assert_int_equal(tern_swarm_dial_attempts(sc->a->swarm, 5, &rows), 6);
    assert_true(rows[5].started_ns - start < 300 * TERN_MILLISECOND);
    assert_int_equal(test_dial_done(sc->a, 5)->event.err, TERN_OK);
}

static void a_refused_address_is_followed_at_once(void **state)
{
    struct scene *sc = *state;
    struct tern_multiaddr addrs[2] = {parse("/ip4/10.0.0.2/tcp/1"),
                                      parse("/ip4/10.0.0.2/tcp/4001")};
    tern_time start = sc->w->now;
    sc->a->config.dial_stagger_ns = 8 * TERN_SECOND;
    test_node_stop(sc->a);
    assert_true(test_node_start(sc->a));
    assert_int_equal(dial(sc->a, &sc->b->id, addrs, 2, 5), TERN_OK);
    test_run(sc->w, TERN_SECOND);
    const struct tern_dial_attempt *rows;
    assert_int_equal(tern_swarm_dial_attempts(sc->a->swarm, 5, &rows), 2);
    assert_int_equal(rows[0].err, TERN_ERR_REFUSED);
    assert_int_equal(rows[1].started_ns, start + 2 * sc->w->latency);
    assert_int_equal(test_dial_done(sc->a, 5)->event.err, TERN_OK);
}

static void an_attempt_and_a_dial_time_out(void **state)
{
    struct scene *sc = *state;
    struct tern_multiaddr addr = parse("/ip4/5.5.5.5/tcp/1");
    black_hole(sc->w, "5.5.5.5", 1);
    tern_time start = sc->w->now;
    assert_int_equal(dial(sc->a, &sc->b->id, &addr, 1, 5), TERN_OK);
    test_run(sc->w, TERN_MINUTE);
    const struct test_news *done = test_dial_done(sc->a, 5);
    assert_int_equal(done->event.err, TERN_ERR_TIMEOUT);
    assert_int_equal(done->event.peer, 0);
    assert_true(tern_peer_id_equal(&done->peer_id, &sc->b->id));
    assert_int_equal(done->at - start, sc->a->config.dial_timeout_ns);
}

static void a_link_that_never_speaks_fails_its_attempt(void **state)
{
    struct scene *sc = *state;
    sc->w->mute = true;
    assert_int_equal(test_dial(sc->a, sc->b, 5), TERN_OK);
    test_run(sc->w, TERN_MINUTE);
    assert_int_equal(test_dial_done(sc->a, 5)->event.err, TERN_ERR_TIMEOUT);
}

/* --- bounds --- */

static void attempts_to_one_peer_and_in_all_are_bounded(void **state)
{
    struct scene *sc = *state;
    sc->a->config.limits.dials_max = 3;
    sc->a->config.limits.dials_per_peer_max = 2;
    test_node_stop(sc->a);
    assert_true(test_node_start(sc->a));
    struct tern_multiaddr addrs[4];
    for (int i = 0; i < 4; i++) {
        char text[64];
        snprintf(text, sizeof text, "/ip4/9.9.9.9/tcp/%d", i + 1);
        addrs[i] = parse(text);
        black_hole(sc->w, "9.9.9.9", (uint16_t)(i + 1));
    }
    struct tern_peer_id other = sc->b->id;
    other.bytes[20] ^= 1;
    assert_int_equal(dial(sc->a, &sc->b->id, addrs, 4, 1), TERN_OK);
    assert_int_equal(dial(sc->a, &other, addrs, 4, 2), TERN_OK);
    test_run(sc->w, 5 * TERN_SECOND);
    assert_int_equal(sc->w->dials_seen, 3);
    test_run(sc->w, 2 * TERN_MINUTE); /* the waiting ones had their turn */
    assert_int_equal(sc->w->dials_seen, 8);
    assert_int_equal(test_dial_done(sc->a, 1)->event.err, TERN_ERR_TIMEOUT);
    assert_int_equal(test_dial_done(sc->a, 2)->event.err, TERN_ERR_TIMEOUT);
}

static void dials_under_way_are_bounded_with_an_explanation(void **state)
{
    struct scene *sc = *state;
    sc->a->config.limits.dials_waiting_max = 2;
    test_node_stop(sc->a);
    assert_true(test_node_start(sc->a));
    struct tern_multiaddr addr = parse("/ip4/5.5.5.5/tcp/1");
    black_hole(sc->w, "5.5.5.5", 1);
    assert_int_equal(dial(sc->a, NULL, &addr, 1, 1), TERN_OK);
    assert_int_equal(dial(sc->a, NULL, &addr, 1, 2), TERN_OK);
    assert_int_equal(dial(sc->a, NULL, &addr, 1, 3), TERN_ERR_FULL);
    const struct tern_refusal *refusal = tern_swarm_last_refusal(sc->a->swarm);
    assert_string_equal(refusal->limit_info->option, "dials_waiting");
    assert_int_equal(refusal->used, 2);
    assert_int_equal(refusal->limit, 2);
}

static void a_limit_explains_itself_in_the_dials_row(void **state)
{
    struct scene *sc = *state;
    sc->a->config.limits.system.max[TERN_RESOURCE_FDS] = 1;
    test_node_stop(sc->a);
    assert_true(test_node_start(sc->a));
    struct tern_multiaddr addr = parse("/ip4/5.5.5.5/tcp/1");
    black_hole(sc->w, "5.5.5.5", 1);
    assert_int_equal(dial(sc->a, NULL, &addr, 1, 1), TERN_OK);
    assert_int_equal(test_dial(sc->a, sc->b, 2), TERN_OK);
    test_run(sc->w, TERN_SECOND);
    assert_int_equal(test_dial_done(sc->a, 2)->event.err, TERN_ERR_SCOPE_FDS);
    const struct tern_dial_attempt *rows;
    assert_int_equal(tern_swarm_dial_attempts(sc->a->swarm, 2, &rows), 1);
    assert_string_equal(rows[0].refusal.limit_info->option, "system.fds");
    assert_int_equal(rows[0].refusal.used, 1);
    assert_int_equal(rows[0].refusal.limit, 1);
}

static void finished_dials_are_kept_for_explaining_but_not_for_ever(void **state)
{
    struct scene *sc = *state;
    struct tern_multiaddr addr = parse("/ip4/10.0.0.2/tcp/1");
    const struct tern_dial_attempt *rows;
    for (tern_token token = 1; token <= 40; token++) {
        assert_int_equal(dial(sc->a, NULL, &addr, 1, token), TERN_OK);
        test_run(sc->w, TERN_SECOND);
        assert_int_equal(test_dial_done(sc->a, token)->event.err, TERN_ERR_REFUSED);
    }
    assert_int_equal(tern_swarm_dial_attempts(sc->a->swarm, 40, &rows), 1);
    assert_int_equal(tern_swarm_dial_attempts(sc->a->swarm, 25, &rows), 1);
    assert_int_equal(tern_swarm_dial_attempts(sc->a->swarm, 24, &rows), 0);
}

/* --- joining, and being connected already --- */

static void a_second_dial_joins_the_first(void **state)
{
    struct scene *sc = *state;
    assert_int_equal(test_dial(sc->a, sc->b, 1), TERN_OK);
    assert_int_equal(test_dial(sc->a, sc->b, 2), TERN_OK);
    assert_int_equal(dial(sc->a, &sc->b->id, NULL, 0, 3), TERN_OK);
    test_run(sc->w, TERN_SECOND);
    assert_int_equal(sc->w->dials_seen, 1);
    for (tern_token token = 1; token <= 3; token++)
        assert_int_equal(test_dial_done(sc->a, token)->event.err, TERN_OK);
    assert_int_equal(test_count(sc->a, TERN_SWARM_CONNECTION_UP), 1);
}

static void a_joining_dial_brings_its_addresses(void **state)
{
    struct scene *sc = *state;
    struct tern_multiaddr dead = parse("/ip4/5.5.5.5/tcp/1");
    black_hole(sc->w, "5.5.5.5", 1);
    assert_int_equal(dial(sc->a, &sc->b->id, &dead, 1, 1), TERN_OK);
    test_run(sc->w, TERN_SECOND);
    assert_int_equal(test_dial(sc->a, sc->b, 2), TERN_OK);
    test_run(sc->w, TERN_SECOND);
    assert_int_equal(test_dial_done(sc->a, 1)->event.err, TERN_OK);
    assert_int_equal(test_dial_done(sc->a, 2)->event.err, TERN_OK);
}

static void a_dial_to_a_connected_peer_is_done_without_dialling(void **state)
{
    struct scene *sc = *state;
    tern_peer peer = test_connect(sc->a, sc->b);
    assert_int_equal(test_dial(sc->a, sc->b, 9), TERN_OK);
    assert_int_equal(test_dial_done(sc->a, 9)->event.peer, peer);
    assert_int_equal(sc->w->dials_seen, 1);
}

static void an_inbound_connection_finishes_the_dial(void **state)
{
    struct scene *sc = *state;
    struct tern_multiaddr dead = parse("/ip4/5.5.5.5/tcp/1");
    black_hole(sc->w, "5.5.5.5", 1);
    test_listen(sc->a);
    assert_int_equal(dial(sc->a, &sc->b->id, &dead, 1, 1), TERN_OK);
    test_run(sc->w, TERN_SECOND);
    assert_null(test_dial_done(sc->a, 1));
    assert_int_not_equal(test_connect(sc->b, sc->a), 0);
    assert_int_equal(test_dial_done(sc->a, 1)->event.err, TERN_OK);
    test_run(sc->w, TERN_MINUTE);
    assert_int_equal(tern_swarm_peers_count(sc->a->swarm), 1);
}

static void an_address_that_worked_is_remembered(void **state)
{
    struct scene *sc = *state;
    struct tern_multiaddr addr;
    struct tern_book_entry entry;
    test_address(sc->b, &addr);
    assert_int_not_equal(test_connect(sc->a, sc->b), 0);
    assert_true(tern_swarm_book_find(sc->a->swarm, &sc->b->id, &entry));
    assert_int_equal(entry.addresses_count, 1);
    assert_true(
        tern_view_equal(tern_multiaddr_view(&entry.addresses[0]), tern_multiaddr_view(&addr)));
    assert_false(tern_swarm_book_find(sc->b->swarm, &sc->a->id, &entry)); /* a port for an hour */
}

static void two_dials_that_find_one_peer_leave_one_connection(void **state)
{
    struct scene *sc = *state;
    struct tern_multiaddr addr;
    test_address(sc->b, &addr);
    tern_peer peer = test_connect(sc->a, sc->b);
    assert_int_equal(dial(sc->a, NULL, &addr, 1, 8), TERN_OK);
    test_run(sc->w, 2 * TERN_SECOND);
    assert_int_equal(test_dial_done(sc->a, 8)->event.err, TERN_OK);
    assert_int_equal(test_dial_done(sc->a, 8)->event.peer, peer);
    assert_int_equal(test_count(sc->a, TERN_SWARM_CONNECTION_UP), 1);
    tern_connection c =
        tern_swarm_connection_first(sc->b->swarm, tern_swarm_find_peer(sc->b->swarm, &sc->a->id));
    assert_int_equal(tern_swarm_connection_next(sc->b->swarm, c), 0);
}

/* --- who is there --- */

static void whoever_answers_is_the_peer_of_a_dial_without_id(void **state)
{
    struct scene *sc = *state;
    struct tern_multiaddr addr;
    test_address(sc->b, &addr);
    assert_int_equal(dial(sc->a, NULL, &addr, 1, 5), TERN_OK);
    test_run(sc->w, TERN_SECOND);
    const struct test_news *done = test_dial_done(sc->a, 5);
    assert_int_equal(done->event.err, TERN_OK);
    assert_true(tern_peer_id_equal(&done->peer_id, &sc->b->id));
}

static void the_id_in_the_address_is_the_one_dialled(void **state)
{
    struct scene *sc = *state;
    struct tern_multiaddr addr;
    struct tern_peer_id other = sc->b->id;
    other.bytes[20] ^= 1;
    test_address(sc->b, &addr);
    assert_int_equal(tern_multiaddr_append_peer_id(&addr, &other), TERN_OK);
    assert_int_equal(dial(sc->a, NULL, &addr, 1, 5), TERN_OK);
    assert_int_equal(dial(sc->a, &sc->b->id, &addr, 1, 6), TERN_ERR_NO_ADDRESS);
    test_run(sc->w, TERN_SECOND);
    assert_int_equal(test_dial_done(sc->a, 5)->event.err, TERN_ERR_PEER_MISMATCH);
}

static void the_wrong_peer_is_refused_and_its_address_forgotten(void **state)
{
    struct scene *sc = *state;
    struct tern_multiaddr addr;
    struct tern_book_entry entry;
    struct tern_peer_id other = sc->b->id;
    other.bytes[20] ^= 1;
    test_address(sc->b, &addr);
    tern_swarm_add_address(sc->a->swarm, sc->w->now, &other, &addr, TERN_ADDR_HEARSAY);
    assert_int_equal(dial(sc->a, &other, NULL, 0, 5), TERN_OK);
    test_run(sc->w, TERN_SECOND);
    assert_int_equal(test_dial_done(sc->a, 5)->event.err, TERN_ERR_PEER_MISMATCH);
    assert_int_equal(tern_swarm_peers_count(sc->a->swarm), 0);
    assert_true(tern_swarm_book_find(sc->a->swarm, &other, &entry));
    assert_int_equal(entry.addresses_count, 0);
    assert_int_equal(entry.failures, 1);
}

static void dialling_oneself_is_refused(void **state)
{
    struct scene *sc = *state;
    struct tern_multiaddr addr;
    test_address(sc->b, &addr);
    assert_int_equal(dial(sc->b, &sc->b->id, &addr, 1, 1), TERN_ERR_SELF);
    assert_int_equal(dial(sc->b, NULL, &addr, 1, 2), TERN_OK);
    test_run(sc->w, TERN_SECOND);
    assert_int_equal(test_dial_done(sc->b, 2)->event.err, TERN_ERR_SELF);
    assert_int_equal(tern_swarm_peers_count(sc->b->swarm), 0);
}

/* --- addresses --- */

static void requests_without_a_usable_address_are_refused(void **state)
{
    struct scene *sc = *state;
    struct tern_multiaddr quic = parse("/ip4/1.2.3.4/udp/4001/quic");
    struct tern_multiaddr relay = parse("/ip4/1.2.3.4/tcp/4001/p2p-circuit");
    struct tern_multiaddr nowhere = parse("/ip4/1.2.3.4/tcp/0");
    struct tern_multiaddr any = parse("/ip4/0.0.0.0/tcp/4001");
    assert_int_equal(dial(sc->a, &sc->b->id, NULL, 0, 1), TERN_ERR_NO_ADDRESS);
    assert_int_equal(dial(sc->a, NULL, NULL, 0, 1), TERN_ERR_NO_ADDRESS);
    assert_int_equal(dial(sc->a, &sc->b->id, &quic, 1, 1), TERN_ERR_UNSUPPORTED);
    assert_int_equal(dial(sc->a, &sc->b->id, &relay, 1, 1), TERN_ERR_UNSUPPORTED);
    assert_int_equal(dial(sc->a, &sc->b->id, &nowhere, 1, 1), TERN_ERR_NO_ADDRESS);
    assert_int_equal(dial(sc->a, &sc->b->id, &any, 1, 1), TERN_ERR_NO_ADDRESS);
    assert_int_equal(sc->w->dials_seen, 0);
}

static void the_book_is_dialled_and_failures_back_off(void **state)
{
    struct scene *sc = *state;
    struct tern_multiaddr addr;
    test_address(sc->b, &addr);
    addr.bytes[addr.size - 1] ^= 1; /* another port, where nobody listens */
    tern_swarm_add_address(sc->a->swarm, sc->w->now, &sc->b->id, &addr, TERN_ADDR_IDENTIFY);
    assert_int_equal(dial(sc->a, &sc->b->id, NULL, 0, 1), TERN_OK);
    test_run(sc->w, TERN_SECOND);
    assert_int_equal(test_dial_done(sc->a, 1)->event.err, TERN_ERR_REFUSED);
    assert_int_equal(dial(sc->a, &sc->b->id, NULL, 0, 2), TERN_ERR_RATE);
    assert_int_equal(dial(sc->a, &sc->b->id, &addr, 1, 3),
                     TERN_OK); /* chosen: tried all the same */
    test_run(sc->w, 6 * TERN_SECOND);
    assert_int_equal(dial(sc->a, &sc->b->id, NULL, 0, 4), TERN_ERR_RATE); /* twice as long now */
    test_run(sc->w, 5 * TERN_SECOND);
    assert_int_equal(dial(sc->a, &sc->b->id, NULL, 0, 5), TERN_OK);
}

static void a_gate_refuses_before_dialling(void **state)
{
    struct scene *sc = *state;
    struct tern_gate_rule rule = {
        .deny = true, .any_peer = true, .ip = test_endpoint("10.0.0.0", 0), .prefix_bits = 8};
    assert_int_equal(tern_swarm_set_gate(sc->a->swarm, sc->w->now, &rule, 1), TERN_OK);
    assert_int_equal(test_dial(sc->a, sc->b, 1), TERN_ERR_GATED);
    rule = (struct tern_gate_rule){.deny = true, .any_ip = true, .id = sc->b->id};
    assert_int_equal(tern_swarm_set_gate(sc->a->swarm, sc->w->now, &rule, 1), TERN_OK);
    assert_int_equal(test_dial(sc->a, sc->b, 1), TERN_ERR_GATED);
    assert_int_equal(sc->w->dials_seen, 0);
}

/* --- names --- */

static void names_are_resolved_and_dialled(void **state)
{
    struct scene *sc = *state;
    const struct test_name names[] = {
        {"tern.example", TERN_RESOLVE_IP4, {test_endpoint("10.0.0.2", 0)}, {NULL}, 1},
        {"any.example",
         TERN_RESOLVE_IP,
         {test_endpoint("2a00::5", 0), test_endpoint("10.0.0.2", 0)},
         {NULL},
         2},
    };
    sc->w->names = names;
    sc->w->names_count = 2;
    struct tern_multiaddr addr = parse("/dns4/tern.example/tcp/4001");
    assert_int_equal(dial(sc->a, &sc->b->id, &addr, 1, 1), TERN_OK);
    test_run(sc->w, TERN_SECOND);
    assert_int_equal(test_dial_done(sc->a, 1)->event.err, TERN_OK);
    tern_swarm_disconnect(sc->a->swarm, sc->w->now, test_dial_done(sc->a, 1)->event.peer, 0);
    test_kick(sc->a);
    test_run(sc->w, TERN_SECOND);
    addr = parse("/dns/any.example/tcp/4001");
    assert_int_equal(dial(sc->a, &sc->b->id, &addr, 1, 2), TERN_OK);
    test_run(sc->w, TERN_SECOND);
    assert_int_equal(test_dial_done(sc->a, 2)->event.err, TERN_OK);
}

static void an_unknown_name_fails_the_dial(void **state)
{
    struct scene *sc = *state;
    struct tern_multiaddr addr = parse("/dns4/nowhere.example/tcp/4001");
    assert_int_equal(dial(sc->a, &sc->b->id, &addr, 1, 1), TERN_OK);
    test_run(sc->w, TERN_SECOND);
    assert_int_equal(test_dial_done(sc->a, 1)->event.err, TERN_ERR_NOT_FOUND);
}

static void dnsaddr_leads_through_names_to_the_peer(void **state)
{
    struct scene *sc = *state;
    char first[256];
    char other[256];
    struct tern_writer w = tern_writer_of(first, sizeof first);
    tern_writer_str(&w, "dnsaddr=/dnsaddr/eu.example/p2p/");
    tern_peer_id_format(&sc->b->id, &w);
    tern_writer_terminate(&w);
    w = tern_writer_of(other, sizeof other);
    tern_writer_str(&w, "dnsaddr=/ip4/10.0.0.1/tcp/4001/p2p/");
    tern_peer_id_format(&sc->a->id, &w);
    tern_writer_terminate(&w);
    const struct test_name names[] = {
        {"_dnsaddr.boot.example", TERN_RESOLVE_TXT, {{0}}, {first, other, "v=spf1 -all"}, 3},
        {"_dnsaddr.eu.example",
         TERN_RESOLVE_TXT,
         {{0}},
         {"dnsaddr=/ip4/10.0.0.2/tcp/4001", "dnsaddr=/not/an/address"},
         2},
    };
    sc->w->names = names;
    sc->w->names_count = 2;
    struct tern_multiaddr addr = parse("/dnsaddr/boot.example");
    assert_int_equal(dial(sc->a, &sc->b->id, &addr, 1, 1), TERN_OK);
    test_run(sc->w, TERN_SECOND);
    assert_int_equal(test_dial_done(sc->a, 1)->event.err, TERN_OK);
    assert_int_equal(sc->w->dials_seen, 1);
    assert_int_equal(sc->w->resolves_seen, 2);
}

static void a_dnsaddr_that_leads_round_in_circles_ends(void **state)
{
    struct scene *sc = *state;
    const struct test_name names[] = {
        {"_dnsaddr.a.example",
         TERN_RESOLVE_TXT,
         {{0}},
         {"dnsaddr=/dnsaddr/b.example", "dnsaddr=/dnsaddr/c.example"},
         2},
        {"_dnsaddr.b.example", TERN_RESOLVE_TXT, {{0}}, {"dnsaddr=/dnsaddr/a.example"}, 1},
        {"_dnsaddr.c.example", TERN_RESOLVE_TXT, {{0}}, {"dnsaddr=/dnsaddr/d.example"}, 1},
        {"_dnsaddr.d.example", TERN_RESOLVE_TXT, {{0}}, {"dnsaddr=/dnsaddr/e.example"}, 1},
        {"_dnsaddr.e.example", TERN_RESOLVE_TXT, {{0}}, {"dnsaddr=/dnsaddr/f.example"}, 1},
    };
    sc->w->names = names;
    sc->w->names_count = TERN_COUNT_OF(names);
    struct tern_multiaddr addr = parse("/dnsaddr/a.example");
    assert_int_equal(dial(sc->a, &sc->b->id, &addr, 1, 1), TERN_OK);
    test_run(sc->w, TERN_MINUTE);
    assert_int_equal(test_dial_done(sc->a, 1)->event.err, TERN_ERR_NO_ADDRESS);
    assert_int_equal(sc->w->resolves_seen, 4); /* a, b, c, d: e would be one too deep */
}

/* --- both at once --- */

/* The two nodes, the one with the smaller id first. */
static void by_id(const struct scene *sc, struct test_node **small, struct test_node **large)
{
    bool in_order = tern_peer_id_compare(&sc->a->id, &sc->b->id) < 0;
    *small = in_order ? sc->a : sc->b;
    *large = in_order ? sc->b : sc->a;
}

static void both_ends_dialling_at_once_keep_the_smaller_ids_connection(void **state)
{
    struct scene *sc = *state;
    struct test_node *nodes[2];
    by_id(sc, &nodes[0], &nodes[1]);
    test_listen(sc->a);
    assert_int_equal(test_dial(sc->a, sc->b, 1), TERN_OK);
    assert_int_equal(test_dial(sc->b, sc->a, 1), TERN_OK);
    test_run(sc->w, 200 * TERN_MILLISECOND);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(test_dial_done(nodes[i], 1)->event.err, TERN_OK);
        assert_int_equal(test_count(nodes[i], TERN_SWARM_CONNECTION_UP), 2);
    }
    test_run(sc->w, 10 * TERN_SECOND);
    for (int i = 0; i < 2; i++) {
        tern_peer peer = tern_swarm_find_peer(nodes[i]->swarm, &nodes[1 - i]->id);
        tern_connection c = tern_swarm_connection_first(nodes[i]->swarm, peer);
        struct tern_connection_info info;
        assert_true(tern_swarm_connection_info(nodes[i]->swarm, c, &info));
        assert_int_equal(tern_swarm_connection_next(nodes[i]->swarm, c), 0);
        assert_int_equal(info.outbound, i == 0);
        assert_int_equal(test_count(nodes[i], TERN_SWARM_PEER_UP), 1);
        assert_int_equal(test_count(nodes[i], TERN_SWARM_PEER_DOWN), 0);
    }
}

static void streams_on_the_connection_that_ends_finish_first(void **state)
{
    struct scene *sc = *state;
    struct test_node *small;
    struct test_node *large;
    by_id(sc, &small, &large);
    test_listen(sc->a);
    tern_peer peer = test_connect(large, small); /* the one that will not be kept */
    struct tern_stream stream = test_open(large, peer);
    struct tern_multiaddr addr;
    test_address(large, &addr);
    assert_int_equal(dial(small, NULL, &addr, 1, 3), TERN_OK);
    test_run(sc->w, 5 * TERN_SECOND);
    assert_int_equal(test_count(large, TERN_SWARM_CONNECTION_UP), 2);
    assert_int_equal(test_count(large, TERN_SWARM_CONNECTION_DOWN), 0);
    size_t accepted;
    assert_int_equal(tern_swarm_write(large->swarm, stream, tern_view_str("still"), &accepted),
                     TERN_OK);
    assert_int_equal(tern_swarm_close_write(large->swarm, stream), TERN_OK);
    test_kick(large);
    test_run(sc->w, 5 * TERN_SECOND);
    assert_int_equal(large->received, 5);
    assert_int_equal(test_count(large, TERN_SWARM_CONNECTION_DOWN), 1);
    assert_int_equal(test_count(large, TERN_SWARM_PEER_DOWN), 0);
    assert_int_equal(test_find(large, TERN_SWARM_STREAM_ENDED, 0)->event.err, TERN_OK);
}

static void the_connection_that_was_to_end_stays_when_the_other_breaks(void **state)
{
    struct scene *sc = *state;
    struct test_node *small;
    struct test_node *large;
    by_id(sc, &small, &large);
    test_listen(sc->a);
    tern_peer peer = test_connect(large, small);
    test_open(large, peer); /* keeps the worse one for now */
    struct tern_multiaddr addr;
    test_address(large, &addr);
    assert_int_equal(dial(small, NULL, &addr, 1, 3), TERN_OK);
    test_run(sc->w, 2 * TERN_SECOND);
    tern_connection kept =
        tern_swarm_connection_next(large->swarm, tern_swarm_connection_first(large->swarm, peer));
    assert_int_not_equal(kept, 0);
    tern_conns_cut(large->swarm, tern_conns_find(large->swarm, kept), TERN_ERR_IO);
    test_kick(large);
    test_run(sc->w, 30 * TERN_SECOND);
    assert_int_equal(test_count(large, TERN_SWARM_CONNECTION_DOWN), 1);
    assert_false(
        tern_conns_find(large->swarm, tern_swarm_connection_first(large->swarm, peer))->supplanted);
    assert_int_equal(tern_swarm_peers_count(small->swarm), 1);
}

static void a_peer_that_came_back_supplants_its_dead_connection(void **state)
{
    struct scene *sc = *state;
    test_listen(sc->a);
    tern_peer peer = test_connect(sc->a, sc->b);
    tern_connection old = tern_swarm_connection_first(sc->a->swarm, peer);
    test_silence(sc->a, sc->b); /* b loses power; a does not notice */
    test_node_stop(sc->b);
    test_run(sc->w, 20 * TERN_SECOND);
    assert_true(test_node_start(sc->b));
    assert_int_not_equal(test_connect(sc->b, sc->a), 0);
    struct tern_stream stream = test_open(sc->a, peer);
    assert_int_not_equal(stream.connection, old); /* new streams go to the new connection */
    test_run(sc->w, 10 * TERN_SECOND);
    assert_int_equal(tern_swarm_connection_next(sc->a->swarm, stream.connection), 0);
    assert_int_equal(tern_swarm_connection_first(sc->a->swarm, peer), stream.connection);
}

#define T(f) cmocka_unit_test_setup_teardown(f, scene_up, scene_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_dead_first_address_costs_less_than_300_ms),
        T(many_dead_addresses_cost_no_more),
        T(a_refused_address_is_followed_at_once),
        T(an_attempt_and_a_dial_time_out),
        T(a_link_that_never_speaks_fails_its_attempt),
        T(attempts_to_one_peer_and_in_all_are_bounded),
        T(dials_under_way_are_bounded_with_an_explanation),
        T(a_limit_explains_itself_in_the_dials_row),
        T(finished_dials_are_kept_for_explaining_but_not_for_ever),
        T(a_second_dial_joins_the_first),
        T(a_joining_dial_brings_its_addresses),
        T(a_dial_to_a_connected_peer_is_done_without_dialling),
        T(an_inbound_connection_finishes_the_dial),
        T(an_address_that_worked_is_remembered),
        T(two_dials_that_find_one_peer_leave_one_connection),
        T(whoever_answers_is_the_peer_of_a_dial_without_id),
        T(the_id_in_the_address_is_the_one_dialled),
        T(the_wrong_peer_is_refused_and_its_address_forgotten),
        T(dialling_oneself_is_refused),
        T(requests_without_a_usable_address_are_refused),
        T(the_book_is_dialled_and_failures_back_off),
        T(a_gate_refuses_before_dialling),
        T(names_are_resolved_and_dialled),
        T(an_unknown_name_fails_the_dial),
        T(dnsaddr_leads_through_names_to_the_peer),
        T(a_dnsaddr_that_leads_round_in_circles_ends),
        T(both_ends_dialling_at_once_keep_the_smaller_ids_connection),
        T(streams_on_the_connection_that_ends_finish_first),
        T(the_connection_that_was_to_end_stays_when_the_other_breaks),
        T(a_peer_that_came_back_supplants_its_dead_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
