/*
 * Whole hosts over every transport, secure channel and muxer: they find each other, gossip and
 * echo, also on bad lines; a transfer outlives a cut; a session lives on when its address changes;
 * what a first byte takes; the same seed gives the same run.
 */
#include "sim/hosts.h"

#include <stdlib.h>

#include "tern_test.h"

enum { TRANSFER_SIZE = 2 << 20 };

static struct sim_hosts hosts;

struct way {
    const char *name;
    enum tern_transport transport;
    enum tern_secure_kind secure;
    enum tern_muxer_kind muxer;
    const char *told_secure; /* what is told of a connection */
    const char *told_muxer;
    unsigned round_trips; /* from the dial to the first byte of an answer */
};

static const struct way ways[] = {
    {"tcp, noise, yamux", TERN_TRANSPORT_TCP, TERN_SECURE_NOISE, TERN_MUXER_YAMUX, "noise", "yamux",
     3},
    {"tcp, noise, mplex", TERN_TRANSPORT_TCP, TERN_SECURE_NOISE, TERN_MUXER_MPLEX, "noise", "mplex",
     3},
    {"tcp, tls, yamux", TERN_TRANSPORT_TCP, TERN_SECURE_TLS, TERN_MUXER_YAMUX, "tls", "yamux", 3},
    {"tcp, tls, mplex", TERN_TRANSPORT_TCP, TERN_SECURE_TLS, TERN_MUXER_MPLEX, "tls", "mplex", 3},
    {"ws, noise, yamux", TERN_TRANSPORT_WS, TERN_SECURE_NOISE, TERN_MUXER_YAMUX, "noise", "yamux",
     4},
    {"ws, tls, mplex", TERN_TRANSPORT_WS, TERN_SECURE_TLS, TERN_MUXER_MPLEX, "tls", "mplex", 4},
    {"webtransport", TERN_TRANSPORT_WEBTRANSPORT, TERN_SECURE_NOISE, TERN_MUXER_YAMUX, "tls+noise",
     "webtransport", 4},
    {"quic-v1", TERN_TRANSPORT_QUIC, TERN_SECURE_NOISE, TERN_MUXER_YAMUX, "tls", "quic-v1", 2},
    {"webrtc-direct", TERN_TRANSPORT_WEBRTC, TERN_SECURE_NOISE, TERN_MUXER_YAMUX, "dtls+noise",
     "webrtc-direct", 6},
};

static const struct way *way_of(enum tern_transport transport)
{
    size_t i = 0;
    while (ways[i].transport != transport)
        i++;
    return &ways[i];
}

static struct sim_hosts_options options_of(const struct way *way, uint64_t seed, uint32_t count)
{
    return (struct sim_hosts_options){
        .seed = seed,
        .count = count,
        .transport = way->transport,
        .secure = way->secure,
        .muxer = way->muxer,
    };
}

static void hosts_find_each_other_and_gossip(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(ways); i++) {
        const struct sim_hosts_options options = options_of(&ways[i], 1 + i, 8);
        sim_hosts_init(&hosts, &options);
        sim_hosts_start_all(&hosts);
        bool well = sim_hosts_run_until(&hosts, sim_hosts_all_know_all, 2 * TERN_MINUTE);
        sim_hosts_run_for(&hosts, 10 * TERN_SECOND);
        for (uint32_t from = 0; from < 8; from++)
            (void)sim_hosts_publish(&hosts, from);
        well = well && sim_hosts_run_until(&hosts, sim_hosts_all_have_all, 5 * TERN_SECOND);
        if (!well)
            fail_msg("%s", ways[i].name);
        sim_hosts_check_invariants(&hosts);
        sim_hosts_fini(&hosts);
    }
}

static void bad_lines_lose_nothing(void **state)
{
    (void)state;
    const struct sim_path path = {.latency_ns = 80 * TERN_MILLISECOND,
                                  .jitter_ns = 40 * TERN_MILLISECOND,
                                  .bytes_per_second = 200000,
                                  .loss_ppm = 20000};
    for (size_t i = 0; i < TERN_COUNT_OF(ways); i++) {
        struct sim_hosts_options options = options_of(&ways[i], 20 + i, 6);
        options.path = path;
        sim_hosts_init(&hosts, &options);
        sim_hosts_start_all(&hosts);
        bool well = sim_hosts_run_until(&hosts, sim_hosts_all_know_all, 5 * TERN_MINUTE);
        for (uint32_t from = 0; from < 6; from++)
            (void)sim_hosts_publish(&hosts, from);
        well = well && sim_hosts_run_until(&hosts, sim_hosts_all_have_all, TERN_MINUTE);
        if (!well)
            fail_msg("%s", ways[i].name);
        sim_hosts_check_invariants(&hosts);
        sim_hosts_fini(&hosts);
    }
}

/* Two hosts of which none dials by itself. */
static void begin_pair(const struct way *way, uint64_t seed, tern_time latency)
{
    struct sim_hosts_options options = options_of(way, seed, 2);
    options.early = true;
    options.path.latency_ns = latency;
    options.exact = true;
    options.no_bootstrap = true;
    sim_hosts_init(&hosts, &options);
    sim_hosts_start_all(&hosts);
    sim_hosts_run_for(&hosts, TERN_SECOND);
}

/* From a dial to the first byte of an echo. */
static tern_time first_byte_time(void)
{
    tern_time began = sim_hosts_now(&hosts);
    sim_hosts_dial(&hosts, 0, 1);
    while (!sim_hosts_connected(&hosts, 0, 1))
        assert_true(sim_world_step(hosts.world, began + TERN_MINUTE));
    assert_true(sim_hosts_echo(&hosts, 0, 1));
    sim_hosts_run_for(&hosts, 2 * TERN_SECOND);
    assert_int_equal(hosts.hosts[0].echo_got, 1);
    return hosts.hosts[0].echo_first_byte - began;
}

static void connections_say_how_they_are_made(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(ways); i++) {
        begin_pair(&ways[i], 30 + i, 5 * TERN_MILLISECOND);
        (void)first_byte_time();
        for (uint32_t n = 0; n < 2; n++) {
            struct tern_connection_info info;
            const struct tern_swarm *swarm = tern_host_core_swarm(hosts.hosts[n].core);
            assert_true(tern_swarm_connection_info(
                swarm, tern_swarm_connection_first(swarm, tern_swarm_peer_first(swarm)), &info));
            assert_int_equal(info.remote.transport, ways[i].transport);
            assert_string_equal(info.secure, ways[i].told_secure);
            assert_string_equal(info.muxer, ways[i].told_muxer);
        }
        sim_hosts_fini(&hosts);
    }
}

static void a_first_byte_takes_as_few_round_trips_as_it_can(void **state)
{
    (void)state;
    const tern_time latency = 100 * TERN_MILLISECOND;
    for (size_t i = 0; i < TERN_COUNT_OF(ways); i++) {
        begin_pair(&ways[i], 40 + i, latency);
        tern_time took = first_byte_time();
        tern_time least = ways[i].round_trips * 2 * latency;
        /* What is more is the cost of key agreement, which the world counts. */
        if (took < least || took >= least + 10 * TERN_MILLISECOND)
            fail_msg("%s: %.3f round trips", ways[i].name, (double)took / (double)(2 * latency));
        sim_hosts_fini(&hosts);
    }
}

static bool transfer_is_back(const struct sim_hosts *all)
{
    return all->hosts[0].echo_got == all->hosts[0].echo_size;
}

/* Each byte comes back as it was sent, though the line loses some and is cut for a while. */
static void a_transfer_outlives_a_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(ways); i++) {
        struct sim_hosts_options options = options_of(&ways[i], 70 + i, 2);
        options.path = (struct sim_path){.latency_ns = 20 * TERN_MILLISECOND,
                                         .jitter_ns = 5 * TERN_MILLISECOND,
                                         .bytes_per_second = 1000000,
                                         .loss_ppm = 5000};
        options.no_bootstrap = true;
        sim_hosts_init(&hosts, &options);
        sim_hosts_start_all(&hosts);
        sim_hosts_run_for(&hosts, TERN_SECOND);
        sim_hosts_dial(&hosts, 0, 1);
        sim_hosts_run_for(&hosts, 5 * TERN_SECOND);
        assert_true(sim_hosts_transfer(&hosts, 0, 1, TRANSFER_SIZE));
        sim_hosts_run_for(&hosts, 500 * TERN_MILLISECOND);
        sim_world_cut(hosts.world, 0, 1);
        sim_hosts_run_for(&hosts, 4 * TERN_SECOND);
        size_t before = hosts.hosts[0].echo_got;
        assert_true(before > 0 && before < TRANSFER_SIZE);
        sim_world_heal(hosts.world, 0, 1);
        if (!sim_hosts_run_until(&hosts, transfer_is_back, TERN_MINUTE))
            fail_msg("%s: %zu bytes, and %zu", ways[i].name, before, hosts.hosts[0].echo_got);
        assert_int_equal(hosts.hosts[0].peer_downs + hosts.hosts[1].peer_downs, 0);
        sim_hosts_check_invariants(&hosts);
        sim_hosts_fini(&hosts);
    }
}

/* Who was here before says the first bytes of a protocol that declares replay harmless at once. */
static void a_resumed_session_answers_after_one_round_trip(void **state)
{
    (void)state;
    const tern_time latency = 100 * TERN_MILLISECOND;
    begin_pair(way_of(TERN_TRANSPORT_QUIC), 50, latency);
    (void)first_byte_time();
    for (int i = 0; i < 3; i++) {
        assert_true(sim_hosts_part(&hosts, 0, 1));
        sim_hosts_run_for(&hosts, 5 * TERN_SECOND);
        assert_false(sim_hosts_connected(&hosts, 0, 1));
        tern_time took = first_byte_time();
        if (took < 2 * latency || took >= 2 * latency + 10 * TERN_MILLISECOND)
            fail_msg("%.3f round trips", (double)took / (double)(2 * latency));
    }
    sim_hosts_fini(&hosts);
}

/* A NAT gives the dialler another port in the middle of a transfer, and another network address
 * after that. */
static void a_session_outlives_its_address(void **state)
{
    (void)state;
    static const enum tern_transport transports[] = {
        TERN_TRANSPORT_QUIC, TERN_TRANSPORT_WEBTRANSPORT, TERN_TRANSPORT_WEBRTC};
    for (size_t t = 0; t < TERN_COUNT_OF(transports); t++) {
        begin_pair(way_of(transports[t]), 60 + t, 20 * TERN_MILLISECOND);
        (void)first_byte_time();
        uint64_t downs = hosts.hosts[0].peer_downs + hosts.hosts[1].peer_downs;
        for (int i = 0; i < 12; i++) {
            if (i % 2 == 0)
                sim_world_rebind(hosts.world, 0);
            else
                sim_world_move(hosts.world, 0);
            assert_true(sim_hosts_echo(&hosts, 0, 1));
            sim_hosts_run_for(&hosts, 10 * TERN_SECOND); /* WebRTC looks every 5 s or so */
            if (hosts.hosts[0].echo_got != 1)
                fail_msg("%s: change %d", tern_transport_name(transports[t]), i);
        }
        assert_int_equal(hosts.hosts[0].peer_downs + hosts.hosts[1].peer_downs, downs);
        sim_hosts_fini(&hosts);
    }
}

static uint64_t run_hash(const struct way *way, uint64_t seed)
{
    struct sim_hosts_options options = options_of(way, seed, 5);
    options.path = (struct sim_path){
        .latency_ns = 40 * TERN_MILLISECOND, .jitter_ns = 20 * TERN_MILLISECOND, .loss_ppm = 5000};
    sim_hosts_init(&hosts, &options);
    sim_hosts_start_all(&hosts);
    sim_hosts_run_for(&hosts, 20 * TERN_SECOND);
    (void)sim_hosts_publish(&hosts, 3);
    sim_hosts_run_for(&hosts, 5 * TERN_SECOND);
    uint64_t hash = sim_world_trace_hash(hosts.world);
    sim_hosts_fini(&hosts);
    return hash;
}

static void the_same_seed_gives_the_same_run(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(ways); i++) {
        uint64_t hash = run_hash(&ways[i], 80);
        if (run_hash(&ways[i], 80) != hash)
            fail_msg("%s: another run", ways[i].name);
        assert_int_not_equal(run_hash(&ways[i], 81), hash);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_find_each_other_and_gossip),
        cmocka_unit_test(bad_lines_lose_nothing),
        cmocka_unit_test(connections_say_how_they_are_made),
        cmocka_unit_test(a_first_byte_takes_as_few_round_trips_as_it_can),
        cmocka_unit_test(a_transfer_outlives_a_cut),
        cmocka_unit_test(a_resumed_session_answers_after_one_round_trip),
        cmocka_unit_test(a_session_outlives_its_address),
        cmocka_unit_test(the_same_seed_gives_the_same_run),
    };
    return cmocka_run_group_tests_name("ways", tests, NULL, NULL);
}
