#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "swarm/private.h"
#include "swarm/world_test_support.h"

struct rank_row {
    const char *ip;
    uint16_t port;
    unsigned delay_ms;
    enum tern_transport transport;
};

struct rank_case {
    const char *name;
    struct rank_row rows[6];
};

static const struct rank_case rank_cases[] = {
    {"one address starts at once", {{"1.2.3.4", 4001, 0}}},
    {"IPv6 goes first, IPv4 a stagger later", {{"1.2.3.4", 4001, 250}, {"2a00::1", 4001, 0}}},
    {"the first IPv4 address takes the second place",
     {{"2a00::1", 1, 0}, {"2a00::2", 2, 291}, {"1.2.3.4", 9, 250}, {"1.2.3.5", 10, 291}}},
    {"lower ports first", {{"1.2.3.4", 40000, 250}, {"1.2.3.4", 4001, 0}}},
    {"private addresses in steps of an eighth",
     {{"10.0.0.1", 1, 0}, {"192.168.0.1", 2, 31}, {"172.16.0.1", 3, 36}}},
    {"private and public side by side", {{"10.0.0.1", 1, 0}, {"1.2.3.4", 1, 0}}},
    {"loopback after private", {{"127.0.0.1", 1, 31}, {"10.0.0.1", 1, 0}}},
    {"loopback after public", {{"127.0.0.1", 1, 250}, {"1.2.3.4", 1, 0}}},
    {"loopback alone at once", {{"::1", 1, 0}, {"127.0.0.1", 1, 31}}},
    {"QUIC first, then TCP",
     {{"1.2.3.4", 1, 250, TERN_TRANSPORT_TCP}, {"1.2.3.4", 9, 0, TERN_TRANSPORT_QUIC}}},
    {"the first IPv4 address of the first transport takes the second place",
     {{"2a00::1", 1, 291, TERN_TRANSPORT_TCP},
      {"1.2.3.4", 1, 291, TERN_TRANSPORT_TCP},
      {"2a00::1", 1, 0, TERN_TRANSPORT_QUIC},
      {"1.2.3.4", 1, 250, TERN_TRANSPORT_QUIC}}},
    {"what costs more round trips waits two steps",
     {{"1.2.3.4", 1, 500, TERN_TRANSPORT_WS},
      {"1.2.3.4", 1, 0, TERN_TRANSPORT_TCP},
      {"1.2.3.4", 1, 500, TERN_TRANSPORT_WEBRTC},
      {"1.2.3.4", 1, 500, TERN_TRANSPORT_WEBTRANSPORT}}},
    {"but not when there is nothing else",
     {{"1.2.3.4", 1, 250, TERN_TRANSPORT_WEBRTC}, {"1.2.3.4", 1, 0, TERN_TRANSPORT_WSS}}},
    {"carrier NAT and link-local count as private", {{"100.64.0.1", 1, 31}, {"fe80::1", 1, 0}}},
};

static void addresses_are_ranked(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(rank_cases); i++) {
        const struct rank_case *c = &rank_cases[i];
        struct tern_route routes[6];
        tern_time delays[6];
        size_t count = 0;
        for (; count < 6 && c->rows[count].ip != NULL; count++)
            routes[count] = (struct tern_route){
                .transport = c->rows[count].transport,
                .endpoint = test_endpoint(c->rows[count].ip, c->rows[count].port)};
        tern_dial_rank(routes, count, 250 * TERN_MILLISECOND, delays);
        for (size_t k = 0; k < count; k++)
            if (delays[k] / TERN_MILLISECOND != c->rows[k].delay_ms)
                fail_msg("%s: address %zu after %llu ms, not %u", c->name, k,
                         (unsigned long long)(delays[k] / TERN_MILLISECOND), c->rows[k].delay_ms);
    }
}

static void no_address_waits_longer_than_seven_sixths_of_a_stagger(void **state)
{
    (void)state;
    struct tern_route routes[TERN_DIAL_ATTEMPTS_MAX];
    tern_time delays[TERN_DIAL_ATTEMPTS_MAX];
    for (size_t i = 0; i < TERN_DIAL_ATTEMPTS_MAX; i++)
        routes[i] = (struct tern_route){
            .transport = i % 2 == 0 ? TERN_TRANSPORT_TCP : TERN_TRANSPORT_QUIC,
            .endpoint = test_endpoint(i % 3 == 0 ? "2a00::1" : "1.2.3.4", (uint16_t)(i + 1))};
    tern_dial_rank(routes, TERN_DIAL_ATTEMPTS_MAX, 250 * TERN_MILLISECOND, delays);
    for (size_t i = 0; i < TERN_DIAL_ATTEMPTS_MAX; i++)
        assert_true(delays[i] < 300 * TERN_MILLISECOND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_ranked),
        cmocka_unit_test(no_address_waits_longer_than_seven_sixths_of_a_stagger),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
