/*
 * A host under attack, in the simulated world. For each attack: the host counts the named fault,
 * its memory stays bounded, and an honest peer is served afterwards.
 */
#include "sim/attacker.h"

#include "protocol/gossip/rpc.h"
#include "tern_test.h"

#define MULTISTREAM "\x13/multistream/1.0.0\n"

enum {
    FRAME_DATA = 0,
    FRAME_UPDATE = 1,
    FRAME_PING = 2,
    FLAG_SYN = 1,
    FLAG_RST = 8,
    WINDOW = 256 * 1024,
    MEMORY_GROWTH_MAX = 4 << 20, /* bytes an attacker can make a host hold beyond its usual peak */
};

/* --- before the upgrade --- */

static void too_large(struct attacker *a)
{
    attacker_raw(a, "\xff\xff\x03 and so on", 13);
}

static void no_header(struct attacker *a)
{
    attacker_raw(a, "\x16\x03\x01 a TLS client says hello", 27);
}

static void random_bytes(struct attacker *a)
{
    uint8_t bytes[5000];
    tern_random_bytes(&a->random, bytes, sizeof bytes);
    bytes[0] = 40; /* a length that can be one */
    attacker_raw(a, bytes, sizeof bytes);
}

static void proposals(struct attacker *a)
{
    attacker_raw(a, MULTISTREAM, 20);
    for (int i = 0; i < 100; i++)
        attacker_raw(a, "\x06/none\n", 7);
}

static void reordered(struct attacker *a)
{
    attacker_raw(a, "\x07/noise\n", 8);
    attacker_raw(a, MULTISTREAM, 20);
}

static void slow_hello(struct attacker *a)
{
    attacker_raw(a, MULTISTREAM "\x07/noise\n", 28);
}

/* --- muxer frames --- */

static void window_overflow(struct attacker *a)
{
    attacker_frame(a, (struct attacker_frame){FRAME_UPDATE, FLAG_SYN, 1, 0});
    attacker_frame(a, (struct attacker_frame){FRAME_DATA, 0, 1, WINDOW + 1});
}

static void data_with_syn_over_the_window(struct attacker *a)
{
    attacker_frame(a, (struct attacker_frame){FRAME_DATA, FLAG_SYN, 1, WINDOW + 1});
}

static void credit_overflow(struct attacker *a)
{
    attacker_frame(a, (struct attacker_frame){FRAME_UPDATE, FLAG_SYN, 1, 0});
    attacker_frame(a, (struct attacker_frame){FRAME_UPDATE, 0, 1, UINT32_MAX});
}

static void four_gigabytes_for_nobody(struct attacker *a)
{
    attacker_frame(a, (struct attacker_frame){FRAME_DATA, 0, 77, UINT32_MAX});
}

static void pings(struct attacker *a)
{
    for (uint32_t i = 0; i < 30000; i++)
        attacker_frame(a, (struct attacker_frame){FRAME_PING, FLAG_SYN, 0, i});
}

static void opened_and_reset(struct attacker *a)
{
    for (uint32_t i = 0; i < 20000; i++) {
        attacker_frame(a, (struct attacker_frame){FRAME_UPDATE, FLAG_SYN, 2 * i + 1, 0});
        attacker_frame(a, (struct attacker_frame){FRAME_UPDATE, FLAG_RST, 2 * i + 1, 0});
    }
}

static void silent_streams(struct attacker *a)
{
    for (uint32_t i = 0; i < 10; i++)
        attacker_frame(a, (struct attacker_frame){FRAME_UPDATE, FLAG_SYN, 2 * i + 1, 0});
}

static void opened_on_and_on(struct attacker *a)
{
    for (uint32_t i = 0; i < 20000; i++)
        attacker_frame(a, (struct attacker_frame){FRAME_UPDATE, FLAG_SYN, 2 * i + 1, 0});
}

/* --- streams --- */

static void identify_bomb(struct attacker *a, struct tern_writer *out)
{
    (void)a;
    tern_writer_uvarint(out, 100000);
    memset(tern_writer_reserve(out, 100000), 0x32, 100000);
}

static void identify_garbage(struct attacker *a, struct tern_writer *out)
{
    (void)a;
    tern_writer_uvarint(out, 5);
    tern_writer_bytes(out, tern_view_of((const uint8_t *)"\xff\xff\xff\xff\xff", 5));
}

static void gossip_oversized(struct attacker *a, struct tern_writer *out)
{
    (void)a;
    tern_writer_uvarint(out, UINT32_MAX);
    tern_writer_str(out, "and little behind it");
}

static void gossip_garbage(struct attacker *a, struct tern_writer *out)
{
    (void)a;
    tern_writer_uvarint(out, 3);
    tern_writer_bytes(out, tern_view_of((const uint8_t *)"\x0a\x7f\x00", 3));
}

/* CVE-2026-46679: subscriptions to ever new topics. */
static void gossip_subscriptions(struct attacker *a, struct tern_writer *out)
{
    static uint8_t rpc[1 << 16];
    struct tern_writer w = tern_writer_of(rpc, sizeof rpc);
    (void)a;
    for (uint32_t i = 0; i < 2000; i++) {
        uint8_t topic[8] = {'t', (uint8_t)(i >> 8), (uint8_t)i};
        tern_gossip_write_subscription(&w, true, tern_view_of(topic, sizeof topic));
    }
    tern_writer_uvarint(out, w.size);
    tern_writer_bytes(out, tern_writer_view(&w));
}

/* Control { PRUNE { topic, backoff 2^64 - 1 } }, beside a subscription that makes us a peer of the
 * topic. */
static void gossip_backoff(struct attacker *a, struct tern_writer *out)
{
    uint8_t prune_bytes[64], control_bytes[128], rpc_bytes[256];
    struct tern_writer prune = tern_writer_of(prune_bytes, sizeof prune_bytes);
    struct tern_writer control = tern_writer_of(control_bytes, sizeof control_bytes);
    struct tern_writer rpc = tern_writer_of(rpc_bytes, sizeof rpc_bytes);
    (void)a;
    tern_pb_write_bytes(&prune, 1, tern_view_str(SIM_TOPIC));
    tern_pb_write_varint(&prune, 3, UINT64_MAX);
    tern_pb_write_bytes(&control, TERN_GOSSIP_CONTROL_PRUNE, tern_writer_view(&prune));
    tern_gossip_write_subscription(&rpc, true, tern_view_str(SIM_TOPIC));
    tern_pb_write_bytes(&rpc, TERN_GOSSIP_RPC_CONTROL, tern_writer_view(&control));
    tern_writer_uvarint(out, rpc.size);
    tern_writer_bytes(out, tern_writer_view(&rpc));
}

/* Thousands of messages that nobody has, in dozens of IHAVEs. */
static void gossip_ihaves(struct attacker *a, struct tern_writer *out)
{
    static uint8_t entry_bytes[2048], control_bytes[1 << 16], rpc_bytes[1 << 16];
    struct tern_writer control = tern_writer_of(control_bytes, sizeof control_bytes);
    struct tern_writer rpc = tern_writer_of(rpc_bytes, sizeof rpc_bytes);
    for (int i = 0; i < 30; i++) {
        struct tern_writer entry = tern_writer_of(entry_bytes, sizeof entry_bytes);
        tern_pb_write_bytes(&entry, 1, tern_view_str(SIM_TOPIC));
        for (int n = 0; n < 50; n++) {
            uint8_t id[20];
            tern_random_bytes(&a->random, id, sizeof id);
            tern_pb_write_bytes(&entry, 2, tern_view_of(id, sizeof id));
        }
        tern_pb_write_bytes(&control, TERN_GOSSIP_CONTROL_IHAVE, tern_writer_view(&entry));
    }
    tern_pb_write_bytes(&rpc, TERN_GOSSIP_RPC_CONTROL, tern_writer_view(&control));
    tern_writer_uvarint(out, rpc.size);
    tern_writer_bytes(out, tern_writer_view(&rpc));
}

#define IDENTIFY TERN_IDENTIFY_PROTOCOL
#define MESHSUB  "/meshsub/1.1.0"

static const struct attack attacks[] = {
    {.name = "an oversized negotiation message",
     .fault = TERN_FAULT_MULTISTREAM_TOO_LARGE,
     .mute = true,
     .start = too_large},
    {.name = "another protocol's hello",
     .fault = TERN_FAULT_MULTISTREAM_NO_HEADER,
     .mute = true,
     .start = no_header},
    {.name = "random bytes",
     .fault = TERN_FAULT_MULTISTREAM_NO_HEADER,
     .mute = true,
     .start = random_bytes},
    {.name = "negotiation in the wrong order",
     .fault = TERN_FAULT_MULTISTREAM_NO_HEADER,
     .mute = true,
     .start = reordered},
    {.name = "proposals without end",
     .fault = TERN_FAULT_MULTISTREAM_TOO_MANY_PROPOSALS,
     .mute = true,
     .start = proposals},
    {.name = "a truncated negotiation", .fault = TERN_FAULT_CONN_UPGRADE_TIMEOUT, .cut_at = 10},
    {.name = "a truncated handshake", .fault = TERN_FAULT_CONN_UPGRADE_TIMEOUT, .cut_at = 50},
    {.name = "a truncated last message", .fault = TERN_FAULT_CONN_UPGRADE_TIMEOUT, .cut_at = 150},
    {.name = "a byte a second",
     .fault = TERN_FAULT_CONN_UPGRADE_TIMEOUT,
     .mute = true,
     .slow = true,
     .start = slow_hello},
    {.name = "an oversized handshake message",
     .fault = TERN_FAULT_NOISE_MESSAGE_TOO_LARGE,
     .zero_from = 28,
     .zero_to = 30,
     .value = 0xff},
    {.name = "a low-order point",
     .fault = TERN_FAULT_NOISE_BAD_POINT,
     .zero_from = 30,
     .zero_to = 62},
    {.name = "a handshake that does not authenticate",
     .fault = TERN_FAULT_NOISE_HANDSHAKE_MAC,
     .zero_from = 80,
     .zero_to = 90},
    {.name = "the wrong peer", .fault = TERN_FAULT_NOISE_WRONG_PEER, .is_dialled = true},
    {.name = "a frame that does not authenticate",
     .fault = TERN_FAULT_NOISE_FRAME_MAC,
     .flip_last = true,
     .opens = "/x"},
    {.name = "more data than the window",
     .fault = TERN_FAULT_YAMUX_WINDOW_OVERFLOW,
     .plaintext = true,
     .established = window_overflow},
    {.name = "DATA and SYN over the window",
     .advisory = "CVE-2026-32314, GHSA-vxx9-2994-q338",
     .fault = TERN_FAULT_YAMUX_WINDOW_OVERFLOW,
     .plaintext = true,
     .established = data_with_syn_over_the_window},
    {.name = "credit over 2^32",
     .advisory = "GHSA-4w32-2493-32g7",
     .fault = TERN_FAULT_YAMUX_CREDIT_OVERFLOW,
     .plaintext = true,
     .established = credit_overflow},
    {.name = "4 GiB for an unknown stream",
     .advisory = "GHSA-hmj8-5xmh-5573",
     .fault = TERN_FAULT_YAMUX_FRAME_TOO_LARGE,
     .plaintext = true,
     .established = four_gigabytes_for_nobody},
    {.name = "a flood of pings",
     .advisory = "CVE-2024-32984",
     .fault = TERN_FAULT_YAMUX_PING_FLOOD,
     .plaintext = true,
     .established = pings},
    {.name = "streams opened and reset",
     .advisory = "CVE-2024-32984",
     .fault = TERN_FAULT_YAMUX_RESET_FLOOD,
     .plaintext = true,
     .established = opened_and_reset},
    {.name = "streams opened on and on",
     .fault = TERN_FAULT_YAMUX_REFUSAL_FLOOD,
     .plaintext = true,
     .established = opened_on_and_on},
    {.name = "streams without a proposal",
     .fault = TERN_FAULT_CONN_NEGOTIATE_TIMEOUT,
     .plaintext = true,
     .established = silent_streams},
    {.name = "an identify bomb",
     .fault = TERN_FAULT_IDENTIFY_TOO_LARGE,
     .serves = IDENTIFY,
     .stream = identify_bomb},
    {.name = "identify garbage",
     .fault = TERN_FAULT_IDENTIFY_MALFORMED,
     .serves = IDENTIFY,
     .stream = identify_garbage},
    {.name = "an RPC of 4 GiB",
     .fault = TERN_FAULT_GOSSIP_RPC_TOO_LARGE,
     .serves = MESHSUB,
     .opens = MESHSUB,
     .stream = gossip_oversized},
    {.name = "an RPC that does not decode",
     .fault = TERN_FAULT_GOSSIP_RPC_MALFORMED,
     .serves = MESHSUB,
     .opens = MESHSUB,
     .stream = gossip_garbage},
    {.name = "a flood of subscriptions",
     .advisory = "CVE-2026-46679",
     .fault = TERN_FAULT_GOSSIP_SUBSCRIPTIONS,
     .serves = MESHSUB,
     .opens = MESHSUB,
     .stream = gossip_subscriptions},
    {.name = "a back-off that overflows",
     .advisory = "CVE-2026-33040, CVE-2026-34219",
     .fault = TERN_FAULT_GOSSIP_BACKOFF_HUGE,
     .serves = MESHSUB,
     .opens = MESHSUB,
     .stream = gossip_backoff},
    {.name = "a flood of IHAVE",
     .fault = TERN_FAULT_GOSSIP_IHAVE_FLOOD,
     .serves = MESHSUB,
     .opens = MESHSUB,
     .stream = gossip_ihaves},
};

static struct sim_hosts hosts;
static struct attacker attacker;

/* The host believes that the attacker is host 1. */
static void dial_the_attacker(void)
{
    struct tern_swarm *swarm = tern_host_core_swarm(hosts.hosts[0].core);
    struct tern_peer_id nobody = hosts.hosts[0].id;
    struct tern_multiaddr address;
    const struct tern_route route = {.endpoint =
                                         sim_world_endpoint(hosts.world, attacker.node, SIM_PORT)};
    nobody.bytes[nobody.size - 1] ^= 1;
    tern_route_multiaddr(&route, &address);
    const struct tern_dial_options dial = {.id = &nobody,
                                           .addresses = &address,
                                           .addresses_count = 1,
                                           .token = tern_swarm_token(swarm)};
    assert_ok(tern_swarm_dial(swarm, sim_hosts_now(&hosts), &dial));
    tern_host_core_flush(hosts.hosts[0].core, sim_hosts_now(&hosts));
    sim_world_kick(hosts.world, 0);
}

static void expect_honest_service(const char *name)
{
    bool pinged = sim_hosts_ping(&hosts, 1, 0);
    bool echoed = sim_hosts_echo(&hosts, 1, 0);
    uint32_t message = sim_hosts_publish(&hosts, 1);
    sim_hosts_run_for(&hosts, 15 * TERN_SECOND);
    if (!pinged || !echoed || !hosts.hosts[1].ping_done || hosts.hosts[1].ping_err != TERN_OK ||
        hosts.hosts[1].echo_got != 1 || sim_hosts_got_by(&hosts, message) != 2)
        fail_msg("%s: the honest peer is not served", name);
}

static void run_attack(const struct attack *attack)
{
    sim_hosts_init(&hosts,
                   &(struct sim_hosts_options){.seed = 1,
                                               .count = 2,
                                               .secure = attack->plaintext ? TERN_SECURE_PLAINTEXT
                                                                           : TERN_SECURE_NOISE});
    sim_hosts_start_all(&hosts);
    sim_hosts_run_for(&hosts, 10 * TERN_SECOND);
    expect_honest_service("before the attack");
    size_t peak = sim_hosts_mem(&hosts, 0)->peak;
    attacker_add(&attacker, &hosts, attack);
    if (attack->is_dialled)
        dial_the_attacker();
    sim_hosts_run_for(&hosts, TERN_MINUTE);
    if (attacker.links == 0)
        fail_msg("%s: there was no link", attack->name);
    if (sim_hosts_fault(&hosts, 0, attack->fault) == 0) {
        for (size_t i = 1; i < TERN_FAULT_COUNT; i++)
            if (sim_hosts_fault(&hosts, 0, (tern_fault)i) > 0)
                print_message("counted: %s\n", tern_fault_name((tern_fault)i));
        fail_msg("%s: %s is not counted", attack->name, tern_fault_name(attack->fault));
    }
    if (sim_hosts_mem(&hosts, 0)->peak > peak + MEMORY_GROWTH_MAX)
        fail_msg("%s: the host held %zu bytes more", attack->name,
                 sim_hosts_mem(&hosts, 0)->peak - peak);
    expect_honest_service(attack->name);
    sim_hosts_fini(&hosts);
    attacker_fini(&attacker);
}

static void each_attack_is_named_bounded_and_survived(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(attacks); i++)
        run_attack(&attacks[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_attack_is_named_bounded_and_survived),
    };
    return cmocka_run_group_tests_name("hostile", tests, NULL, NULL);
}
