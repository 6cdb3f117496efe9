/*
 * Swarms of private networks: members meet, strangers do not, transports that have no place for the
 * key are left out and said to be; and secure WebSocket as far as a swarm has what it needs.
 */
#include "swarm/world_test_support.h"

#include "secure/pnet.h"
#include "secure/web_tls.h"
#include "swarm/private.h"
#include "tern_test.h"
#include "web_certificates.h"

static const struct tern_pnet_key keys[] = {{{1}}, {{2}}};

static struct test_world *two_swarms(struct test_node **nodes, const struct tern_pnet_key *a,
                                     const struct tern_pnet_key *b)
{
    struct test_world *w = test_world_new();
    for (int i = 0; i < 2; i++) {
        nodes[i] = test_node_add(w);
        nodes[i]->config.psk = i == 0 ? a : b;
        assert_true(test_node_start(nodes[i]));
    }
    return w;
}

static void members_meet(void **state)
{
    (void)state;
    struct test_node *nodes[2];
    struct test_world *w = two_swarms(nodes, &keys[0], &keys[0]);
    test_listen(nodes[1]);
    assert_int_not_equal(test_connect(nodes[0], nodes[1]), 0);
    test_world_free(w);
}

static void strangers_do_not(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct test_node *nodes[2];
        struct test_world *w = two_swarms(nodes, &keys[0], i == 0 ? &keys[1] : NULL);
        test_listen(nodes[1]);
        assert_ok(test_dial(nodes[0], nodes[1], 1));
        test_run(w, TERN_MINUTE);
        const struct test_news *done = test_dial_done(nodes[0], 1);
        assert_non_null(done);
        assert_int_not_equal(done->event.err, TERN_OK);
        assert_int_equal(tern_swarm_find_peer(nodes[0]->swarm, &nodes[1]->id), 0);
        assert_int_equal(tern_swarm_find_peer(nodes[1]->swarm, &nodes[0]->id), 0);
        uint64_t told = nodes[0]->metrics.faults[TERN_FAULT_PNET_OTHER_KEY] +
                        nodes[1]->metrics.faults[TERN_FAULT_PNET_OTHER_KEY];
        assert_true(i == 1 || told > 0);
        test_world_free(w);
    }
}

static void parse(const char *text, struct tern_multiaddr *address)
{
    assert_ok(tern_multiaddr_parse(tern_view_str(text), address, NULL));
}

static const char *const outside[] = {
    "/ip4/10.0.0.2/udp/4001/quic-v1",
    "/ip4/10.0.0.2/udp/4001/quic-v1/webtransport",
    "/ip4/10.0.0.2/udp/4001/webrtc-direct",
    "/dns4/b.example/udp/4001/quic-v1",
};

static void what_goes_around_the_key_is_left_out(void **state)
{
    (void)state;
    struct test_node *nodes[2];
    struct test_world *w = two_swarms(nodes, &keys[0], NULL);
    for (size_t i = 0; i < TERN_COUNT_OF(outside); i++) {
        struct tern_multiaddr address;
        char text[TERN_DIAL_ATTEMPT_TEXT_SIZE_MAX];
        const struct tern_dial_attempt *rows;
        parse(outside[i], &address);
        tern_err err = tern_swarm_dial(
            nodes[0]->swarm, w->now,
            &(struct tern_dial_options){
                .id = &nodes[1]->id, .addresses = &address, .addresses_count = 1, .token = i + 1});
        test_kick(nodes[0]);
        assert_true(err == TERN_ERR_UNSUPPORTED ||
                    test_dial_done(nodes[0], i + 1)->event.err == TERN_ERR_UNSUPPORTED);
        assert_int_equal(w->dials_seen, 0);
        if (tern_swarm_dial_attempts(nodes[0]->swarm, i + 1, &rows) == 1) {
            struct tern_writer out = tern_writer_of(text, sizeof text);
            assert_true(rows[0].outside_network);
            tern_dial_attempt_format(&rows[0], 0, w->now, &out);
            assert_true(tern_writer_terminate(&out));
            assert_non_null(strstr(text, TERN_DIAL_OUTSIDE_NETWORK));
        }
        if (strncmp(outside[i], "/dns", 4) != 0)
            assert_int_equal(tern_swarm_listen(nodes[0]->swarm, &address), TERN_ERR_UNSUPPORTED);
    }
    test_world_free(w);
}

/* ---- secure WebSocket ---- */

static void secure_websocket_wants_roots_and_credentials(void **state)
{
    (void)state;
    struct tern_web_tls web;
    struct tern_multiaddr address;
    struct web_pem own;
    assert_ok(tern_web_tls_init(&web, &(struct tern_web_tls_config){0}));
    web_certify(&(struct web_certificate){.names = "DNS:a.example"}, NULL, &own);
    parse("/ip4/10.0.0.1/tcp/443/tls/ws", &address);
    for (int i = 0; i < 3; i++) {
        struct test_world *w = test_world_new();
        struct test_node *node = test_node_add(w);
        node->config.web = i == 0 ? NULL : &web;
        if (i == 2)
            assert_ok(tern_web_tls_set_credentials(
                &web, &(struct tern_web_credentials){web_chain_view(&own), web_key_view(&own)}));
        assert_true(test_node_start(node));
        assert_int_equal(tern_transports_supports(node->swarm, TERN_TRANSPORT_WSS), i > 0);
        assert_int_equal(tern_swarm_listen(node->swarm, &address),
                         i == 2 ? TERN_OK : TERN_ERR_UNSUPPORTED);
        test_world_free(w);
    }
    web_pem_fini(&own);
    tern_web_tls_fini(&web);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_meet),
        cmocka_unit_test(strangers_do_not),
        cmocka_unit_test(what_goes_around_the_key_is_left_out),
        cmocka_unit_test(secure_websocket_wants_roots_and_credentials),
    };
    return cmocka_run_group_tests_name("private_network", tests, NULL, NULL);
}
