/*
 * A host under hundreds of links that are held open and brought to nothing: silent ones, ones that
 * stop at each stage of the upgrade, ones that trickle, ones that are upgraded and then agree on no
 * stream's protocol. They come from several addresses, and a link that the host ends or refuses is
 * followed by another. All the while a peer that is connected is served, and a newcomer gets in.
 */
#include "sim/crowd.h"

#include "tern_test.h"

enum {
    CONNECTED = 1, /* the host that is there before the crowd */
    NEWCOMER = 2,
    HOSTS = 3,
    UPGRADING_MAX = 128, /* of the default profile */
    UPGRADING_PER_IP_MAX = 32,
    CONNECTIONS_PER_PEER_MAX = 8,
    MEMORY_GROWTH_MAX = 2 << 20, /* bytes beyond the host's usual peak */
};

static const tern_time time_out_ns = 10 * TERN_SECOND; /* of upgrades and of streams' negotiation */

struct row {
    const char *name;
    struct crowd_way way;
    unsigned jobs;       /* of public-key work, of both ends, that a link gets to */
    uint32_t nodes;      /* 0: 8 */
    uint32_t links;      /* 0: 40 */
    const char *refusal; /* which limit holds them; NULL: transient_shared */
    uint64_t held;       /* links that it lets be; 0: half of the places for upgrades */
    bool shuts_out;      /* more addresses than places: a newcomer has to wait until they leave */
};

/* A dialer says 20 bytes of header, 8 of proposal, 34 of handshake message 1; when the answer is
 * there, 170 of handshake message 3. */
static const struct row upgrades[] = {
    {.name = "silence", .way = {.says = 0}},
    {.name = "half of the header", .way = {.says = 10}},
    {.name = "a proposal and no handshake", .way = {.says = 28}},
    {.name = "half of handshake message 1", .way = {.says = 45}},
    {.name = "handshake message 1 alone", .way = {.says = 62}, .jobs = 2},
    {.name = "half of handshake message 3", .way = {.says = 150}, .jobs = 2},
    {.name = "a handshake and no muxer", .way = {.says_no_muxer = true}, .jobs = 3},
    {.name = "a byte every 50 ms", .way = {.says = SIZE_MAX, .byte_ns = TERN_SECOND / 20}},
    {.name = "silence of one address",
     .nodes = 1,
     .links = 300,
     .refusal = "transient_per_address",
     .held = UPGRADING_PER_IP_MAX},
    {.name = "silence of more addresses than places",
     .nodes = 150,
     .links = 2,
     .refusal = "transient.connections_in",
     .held = UPGRADING_MAX,
     .shuts_out = true},
};

/* Four streams, each of which says five bytes of its negotiation. */
#define STREAM(id)                                                                                 \
    "\0\1\0\1\0\0\0" id "\0\0\0\0"                                                                 \
    "\0\0\0\0\0\0\0" id "\0\0\0\5"                                                                 \
    "\x13/mul"
static const char silent_streams[] = STREAM("\1") STREAM("\3") STREAM("\5") STREAM("\7");

static const struct row streams = {
    .name = "streams without a protocol",
    .way = {.says = SIZE_MAX,
            .plaintext = true,
            .frames = {.data = (const uint8_t *)silent_streams, .size = sizeof silent_streams - 1}},
};

static struct sim_hosts hosts;
static struct crowd crowd;

static uint64_t metric(enum tern_metric name)
{
    return tern_host_core_metrics(hosts.hosts[0].core)->values[name];
}

static uint64_t jobs_done(void)
{
    return sim_world_counters(hosts.world)->inputs_by_kind[TERN_INPUT_JOB_DONE];
}

static void expect_service(const char *name, uint32_t peer, uint32_t up)
{
    bool begun = sim_hosts_ping(&hosts, peer, 0) && sim_hosts_echo(&hosts, peer, 0);
    uint32_t message = sim_hosts_publish(&hosts, peer);
    sim_hosts_run_for(&hosts, TERN_SECOND);
    if (!begun || !hosts.hosts[peer].ping_done || hosts.hosts[peer].ping_err != TERN_OK ||
        hosts.hosts[peer].echo_got != 1 || sim_hosts_got_by(&hosts, message) != up)
        fail_msg("%s: host %u is not served", name, peer);
}

static bool newcomer_is_in(const struct sim_hosts *h)
{
    return sim_hosts_connected(h, NEWCOMER, 0) && sim_hosts_connected(h, 0, NEWCOMER);
}

static size_t begin(const struct row *row)
{
    sim_hosts_init(&hosts,
                   &(struct sim_hosts_options){.seed = 1,
                                               .count = HOSTS,
                                               .secure = row->way.plaintext ? TERN_SECURE_PLAINTEXT
                                                                            : TERN_SECURE_NOISE,
                                               .default_limits = true});
    sim_hosts_start(&hosts, 0);
    sim_hosts_start(&hosts, CONNECTED);
    sim_hosts_run_for(&hosts, 10 * TERN_SECOND);
    expect_service("before the attack", CONNECTED, 2);
    size_t peak = sim_hosts_mem(&hosts, 0)->peak;
    crowd_add(&crowd, &hosts,
              &(struct crowd_options){.nodes = row->nodes == 0 ? 8 : row->nodes,
                                      .links = row->links == 0 ? 40 : row->links,
                                      .way = &row->way});
    return peak;
}

static void end(const struct row *row, size_t peak)
{
    if (sim_hosts_mem(&hosts, 0)->peak > peak + MEMORY_GROWTH_MAX)
        fail_msg("%s: the host held %zu bytes more", row->name,
                 sim_hosts_mem(&hosts, 0)->peak - peak);
    sim_hosts_fini(&hosts);
    crowd_fini(&crowd);
}

/* Lets time pass, and looks ten times a second how many connections the host has. */
static void run_and_watch(const struct row *row, tern_time span, uint64_t connections_max)
{
    tern_time until = sim_hosts_now(&hosts) + span;
    while (sim_hosts_now(&hosts) < until) {
        sim_hosts_run_for(&hosts, TERN_SECOND / 10);
        if (metric(TERN_METRIC_SWARM_CONNECTIONS) > connections_max)
            fail_msg("%s: %u connections", row->name,
                     (unsigned)metric(TERN_METRIC_SWARM_CONNECTIONS));
    }
}

/* The newcomer's first dial is let in; or, when there are more hostile addresses than places, not
 * before they have gone. */
static void bring_newcomer(const struct row *row)
{
    sim_hosts_start(&hosts, NEWCOMER);
    if (sim_hosts_run_until(&hosts, newcomer_is_in, TERN_SECOND) == row->shuts_out)
        fail_msg("%s: the newcomer is %s", row->name, row->shuts_out ? "in" : "shut out");
    sim_hosts_run_for(&hosts, 2 * TERN_SECOND); /* it learns who is subscribed */
    if (!row->shuts_out)
        expect_service(row->name, NEWCOMER, HOSTS);
}

/* The crowd has left: the newcomer is in by now, and nothing is left of the attack. */
static void expect_calm(const struct row *row)
{
    crowd_leave(&crowd);
    sim_hosts_run_for(&hosts, 2 * time_out_ns);
    if (!sim_hosts_run_until(&hosts, newcomer_is_in, TERN_MINUTE))
        fail_msg("%s: the newcomer does not get in", row->name);
    sim_hosts_run_for(&hosts, 2 * TERN_SECOND);
    expect_service(row->name, CONNECTED, HOSTS);
    expect_service(row->name, NEWCOMER, HOSTS);
    if (crowd.open != 0 || metric(TERN_METRIC_SWARM_CONNECTIONS) != HOSTS - 1)
        fail_msg("%s: %u connections are left", row->name,
                 (unsigned)metric(TERN_METRIC_SWARM_CONNECTIONS));
}

static void expect_fault_alone(const struct row *row, tern_fault fault)
{
    for (size_t i = 1; i < TERN_FAULT_COUNT; i++)
        if (tern_fault_weight((tern_fault)i) > 0 &&
            (sim_hosts_fault(&hosts, 0, (tern_fault)i) > 0) != ((tern_fault)i == fault))
            fail_msg("%s: %s", row->name, tern_fault_name((tern_fault)i));
}

/* Each link was refused at once, or ended by the time-out. */
static void expect_time_outs(const struct row *row)
{
    uint64_t faults = sim_hosts_fault(&hosts, 0, TERN_FAULT_CONN_UPGRADE_TIMEOUT);
    expect_fault_alone(row, TERN_FAULT_CONN_UPGRADE_TIMEOUT);
    if (faults != crowd.ended || crowd.lived_min < time_out_ns ||
        crowd.lived_max > time_out_ns + TERN_SECOND / 5)
        fail_msg("%s: %u time-outs, %u links ended", row->name, (unsigned)faults,
                 (unsigned)crowd.ended);
    uint64_t refused = metric(TERN_METRIC_SWARM_REFUSED_IN);
    if (refused < crowd.refused || crowd.refused < 100)
        fail_msg("%s: %u links refused", row->name, (unsigned)refused);
}

/* The attack comes up to the limit, and that limit holds it. Each link got as far as it should. */
static void expect_held(const struct row *row, uint64_t held, uint64_t jobs)
{
    const char *scope = row->refusal == NULL ? "transient_shared" : row->refusal;
    const struct tern_refusal *refusal =
        tern_swarm_last_refusal(tern_host_core_swarm(hosts.hosts[0].core));
    if (refusal->limit_info == NULL || strcmp(refusal->limit_info->option, scope) != 0)
        fail_msg("%s: it is not %s that holds them, but %s", row->name, scope,
                 refusal->limit_info == NULL ? "nothing" : refusal->limit_info->option);
    if (metric(TERN_METRIC_SWARM_CONNECTIONS) < held)
        fail_msg("%s: %u connections alone", row->name,
                 (unsigned)metric(TERN_METRIC_SWARM_CONNECTIONS));
    if (row->way.byte_ns == 0 && jobs != (crowd.ended + held) * row->jobs)
        fail_msg("%s: %u jobs", row->name, (unsigned)jobs);
}

static void run_upgrades(const struct row *row)
{
    uint64_t held = row->held == 0 ? UPGRADING_MAX / 2 : row->held;
    size_t peak = begin(row);
    uint64_t jobs = jobs_done();
    run_and_watch(row, 12 * TERN_SECOND, held + HOSTS);
    expect_held(row, held, jobs_done() - jobs);
    expect_service(row->name, CONNECTED, 2);
    bring_newcomer(row);
    run_and_watch(row, 5 * TERN_SECOND, held + HOSTS);
    expect_calm(row);
    expect_time_outs(row);
    end(row, peak);
}

static void upgrades_that_stop_are_held_to_their_places_and_time_out(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(upgrades); i++)
        run_upgrades(&upgrades[i]);
}

/* A crowd that is upgraded: each identity has the connections that one may have, its streams time
 * out, and for that it is banned. */
static void streams_that_stop_time_out_and_end_in_a_ban(void **state)
{
    (void)state;
    const struct row *row = &streams;
    size_t peak = begin(row);
    uint64_t held = (uint64_t)crowd.options.nodes * CONNECTIONS_PER_PEER_MAX;
    run_and_watch(row, 5 * TERN_SECOND, held + UPGRADING_MAX + HOSTS);
    assert_true(metric(TERN_METRIC_SWARM_CONNECTIONS) >= held);
    assert_int_equal(metric(TERN_METRIC_SWARM_PEERS), crowd.options.nodes + 1);
    expect_service(row->name, CONNECTED, 2);
    bring_newcomer(row);
    run_and_watch(row, time_out_ns, held + UPGRADING_MAX + HOSTS);
    assert_int_equal(metric(TERN_METRIC_SWARM_BANS), crowd.options.nodes);
    assert_int_equal(metric(TERN_METRIC_SWARM_PEERS), HOSTS - 1);
    expect_calm(row);
    expect_fault_alone(row, TERN_FAULT_CONN_NEGOTIATE_TIMEOUT);
    end(row, peak);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(upgrades_that_stop_are_held_to_their_places_and_time_out),
        cmocka_unit_test(streams_that_stop_time_out_and_end_in_a_ban),
    };
    return cmocka_run_group_tests_name("hostile links", tests, NULL, NULL);
}
