#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"
#include "swarm/route.h"

#define PEER "/p2p/12D3KooWLNkNu2zbxpEErfDMG57u9fRt2BRrhgVk7Bf8ShkvF1eu"
#define HASH "/certhash/uEiDDq4_xNyDorZBH3TlGazyJdOWSwvo4PUo5YHFMrvDE8g"

struct route_case {
    const char *text;
    tern_err err;
    enum tern_target_kind kind;
    enum tern_transport transport;
    uint16_t port;
    const char *host;
    size_t hashes;
};

static const struct route_case route_cases[] = {
    {"/ip4/1.2.3.4/tcp/4001", TERN_OK, TERN_TARGET_ENDPOINT, TERN_TRANSPORT_TCP, 4001, "", 0},
    {"/ip6/2a00::1/tcp/4001" PEER, TERN_OK, TERN_TARGET_ENDPOINT, TERN_TRANSPORT_TCP, 4001, "", 0},
    {"/ip4/1.2.3.4/tcp/80/ws", TERN_OK, TERN_TARGET_ENDPOINT, TERN_TRANSPORT_WS, 80, "", 0},
    {"/ip4/1.2.3.4/tcp/443/wss", TERN_OK, TERN_TARGET_ENDPOINT, TERN_TRANSPORT_WSS, 443, "", 0},
    {"/ip4/1.2.3.4/tcp/443/tls/ws", TERN_OK, TERN_TARGET_ENDPOINT, TERN_TRANSPORT_WSS, 443, "", 0},
    {"/ip4/1.2.3.4/tcp/443/tls/sni/a.example/ws" PEER, TERN_OK, TERN_TARGET_ENDPOINT,
     TERN_TRANSPORT_WSS, 443, "a.example", 0},
    {"/ip4/1.2.3.4/udp/9/quic-v1" PEER, TERN_OK, TERN_TARGET_ENDPOINT, TERN_TRANSPORT_QUIC, 9, "",
     0},
    {"/ip6/2a00::1/udp/9/quic-v1/webtransport" HASH HASH PEER, TERN_OK, TERN_TARGET_ENDPOINT,
     TERN_TRANSPORT_WEBTRANSPORT, 9, "", 2},
    {"/ip4/1.2.3.4/udp/9/webrtc-direct" HASH, TERN_OK, TERN_TARGET_ENDPOINT, TERN_TRANSPORT_WEBRTC,
     9, "", 1},
    {"/dns4/a.example/tcp/443/wss", TERN_OK, TERN_TARGET_NAME, TERN_TRANSPORT_WSS, 443, "a.example",
     0},
    {"/dns/a.example/tcp/443/tls/sni/b.example/ws", TERN_OK, TERN_TARGET_NAME, TERN_TRANSPORT_WSS,
     443, "b.example", 0},
    {"/dns6/a.example/udp/443/quic-v1", TERN_OK, TERN_TARGET_NAME, TERN_TRANSPORT_QUIC, 443,
     "a.example", 0},
    {"/dnsaddr/a.example", TERN_OK, TERN_TARGET_DNSADDR, TERN_TRANSPORT_TCP, 0, "a.example", 0},
    /* what can never be dialled */
    {"/ip4/1.2.3.4/tcp/0", TERN_ERR_INVALID, TERN_TARGET_ENDPOINT, 0, 0, NULL, 0},
    {"/ip4/0.0.0.0/tcp/1", TERN_ERR_INVALID, TERN_TARGET_ENDPOINT, 0, 0, NULL, 0},
    {"/ip4/224.0.0.1/udp/1/quic-v1", TERN_ERR_INVALID, TERN_TARGET_ENDPOINT, 0, 0, NULL, 0},
    {"/dns/a.example/tcp/0", TERN_ERR_INVALID, TERN_TARGET_NAME, 0, 0, NULL, 0},
    /* what we do not speak */
    {"/ip4/1.2.3.4/udp/9", TERN_ERR_UNSUPPORTED, TERN_TARGET_ENDPOINT, 0, 0, NULL, 0},
    {"/ip4/1.2.3.4/udp/9/quic", TERN_ERR_UNSUPPORTED, TERN_TARGET_ENDPOINT, 0, 0, NULL, 0},
    {"/ip4/1.2.3.4/tcp/9/tls", TERN_ERR_UNSUPPORTED, TERN_TARGET_ENDPOINT, 0, 0, NULL, 0},
    {"/ip4/1.2.3.4/tcp/9/ws/ws", TERN_ERR_UNSUPPORTED, TERN_TARGET_ENDPOINT, 0, 0, NULL, 0},
    {"/ip4/1.2.3.4/tcp/9" HASH, TERN_ERR_UNSUPPORTED, TERN_TARGET_ENDPOINT, 0, 0, NULL, 0},
    {"/ip4/1.2.3.4/udp/9/quic-v1" HASH, TERN_ERR_UNSUPPORTED, TERN_TARGET_ENDPOINT, 0, 0, NULL, 0},
    {"/ip4/1.2.3.4/tcp/9" PEER "/p2p-circuit" PEER, TERN_ERR_UNSUPPORTED, TERN_TARGET_ENDPOINT, 0,
     0, NULL, 0},
    {"/dnsaddr/a.example/tcp/9", TERN_ERR_UNSUPPORTED, TERN_TARGET_DNSADDR, 0, 0, NULL, 0},
    {"/ip6zone/eth0/ip6/fe80::1/tcp/9", TERN_ERR_UNSUPPORTED, TERN_TARGET_ENDPOINT, 0, 0, NULL, 0},
    {"/memory/1", TERN_ERR_UNSUPPORTED, TERN_TARGET_ENDPOINT, 0, 0, NULL, 0},
};

static struct tern_multiaddr parse(const char *text)
{
    struct tern_multiaddr address;
    if (tern_multiaddr_parse(tern_view_str(text), &address, NULL) != TERN_OK)
        fail_msg("%s", text);
    return address;
}

static void addresses_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(route_cases); i++) {
        const struct route_case *c = &route_cases[i];
        struct tern_multiaddr address = parse(c->text);
        struct tern_target target;
        struct tern_view hashes[TERN_TARGET_CERTHASHES_MAX];
        if (tern_target_of(tern_multiaddr_view(&address), &target) != c->err)
            fail_msg("%s", c->text);
        if (c->err != TERN_OK)
            continue;
        bool same =
            target.kind == c->kind && target.route.transport == c->transport &&
            target.route.endpoint.port == c->port &&
            tern_view_equal(target.host, tern_view_str(c->host)) &&
            tern_target_certhashes(target.hashes, hashes, TERN_TARGET_CERTHASHES_MAX) == c->hashes;
        if (!same)
            fail_msg("%s", c->text);
    }
}

static void routes_are_written_as_they_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(route_cases); i++) {
        struct tern_multiaddr address = parse(route_cases[i].text);
        struct tern_target target;
        struct tern_route again;
        if (tern_target_of(tern_multiaddr_view(&address), &target) != TERN_OK ||
            target.kind != TERN_TARGET_ENDPOINT)
            continue;
        tern_route_multiaddr(&target.route, &address);
        assert_int_equal(tern_route_of_listen(tern_multiaddr_view(&address), &again), TERN_OK);
        assert_true(tern_route_equal(&target.route, &again));
    }
}

static void anything_can_be_listened_at(void **state)
{
    (void)state;
    static const char *const texts[] = {"/ip4/0.0.0.0/tcp/0", "/ip6/::/udp/0/quic-v1",
                                        "/ip4/127.0.0.1/tcp/0/tls/ws",
                                        "/ip4/0.0.0.0/udp/0/webrtc-direct"};
    struct tern_route route;
    for (size_t i = 0; i < TERN_COUNT_OF(texts); i++) {
        struct tern_multiaddr address = parse(texts[i]);
        assert_int_equal(tern_route_of_listen(tern_multiaddr_view(&address), &route), TERN_OK);
    }
    struct tern_multiaddr name = parse("/dns4/a.example/tcp/1");
    assert_int_equal(tern_route_of_listen(tern_multiaddr_view(&name), &route),
                     TERN_ERR_UNSUPPORTED);
}

static void transports_have_names(void **state)
{
    (void)state;
    assert_string_equal(tern_transport_name(TERN_TRANSPORT_QUIC), "quic-v1");
    assert_true(tern_transport_on_udp(TERN_TRANSPORT_WEBRTC));
    assert_false(tern_transport_on_udp(TERN_TRANSPORT_WSS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read),
        cmocka_unit_test(routes_are_written_as_they_are_read),
        cmocka_unit_test(anything_can_be_listened_at),
        cmocka_unit_test(transports_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
