/* Topologies, paths, faults and whole scenarios, with machines that have a will: echo_testing.h. */
#include "runtime/sim/scenario.h"

#include "runtime/sim/echo_testing.h"
#include "tern_test.h"

/* --- topologies --- */

enum { GRAPH_MAX = 64 };

struct graph {
    uint32_t nodes;
    uint32_t edges;
    bool linked[GRAPH_MAX][GRAPH_MAX];
};

static void graph_edge(void *context, uint32_t from, uint32_t to)
{
    struct graph *graph = context;
    assert_true(to < from && from < graph->nodes);
    assert_false(graph->linked[from][to]);
    graph->linked[from][to] = graph->linked[to][from] = true;
    graph->edges++;
}

static bool graph_is_connected(const struct graph *graph)
{
    bool seen[GRAPH_MAX] = {true};
    uint32_t count = 1;
    for (uint32_t round = 0; round < graph->nodes; round++) {
        for (uint32_t i = 0; i < graph->nodes; i++) {
            for (uint32_t j = 0; seen[i] && j < graph->nodes; j++) {
                if (graph->linked[i][j] && !seen[j]) {
                    seen[j] = true;
                    count++;
                }
            }
        }
    }
    return count == graph->nodes;
}

static void topologies_have_their_edges_and_hang_together(void **state)
{
    (void)state;
    struct tern_random random;
    tern_random_init_u64(&random, 3);
    for (uint32_t nodes = 1; nodes <= GRAPH_MAX; nodes += 7) {
        struct graph graphs[5] = {0};
        struct sim_edges edges[5];
        for (size_t i = 0; i < 5; i++) {
            graphs[i].nodes = nodes;
            edges[i] = (struct sim_edges){.edge = graph_edge, .context = &graphs[i]};
        }
        sim_topology_line(nodes, &edges[0]);
        sim_topology_ring(nodes, &edges[1]);
        sim_topology_star(nodes, &edges[2]);
        sim_topology_full(nodes, &edges[3]);
        sim_topology_random(&random, nodes, 3, &edges[4]);
        assert_int_equal(graphs[0].edges, nodes - 1);
        assert_int_equal(graphs[1].edges, nodes > 2 ? nodes : nodes - 1);
        assert_int_equal(graphs[2].edges, nodes - 1);
        assert_int_equal(graphs[3].edges, nodes * (nodes - 1) / 2);
        assert_int_equal(graphs[4].edges, nodes > 3 ? 3 * (nodes - 2) : nodes * (nodes - 1) / 2);
        for (size_t i = 0; i < 5; i++)
            assert_true(graph_is_connected(&graphs[i]));
    }
}

static void places_are_as_far_apart_as_they_should_be(void **state)
{
    (void)state;
    struct sim_places places = {.seed = 9,
                                .base_ns = TERN_MILLISECOND,
                                .span_ns = 100 * TERN_MILLISECOND,
                                .jitter_permille = 100,
                                .bytes_per_second = 5,
                                .loss_ppm = 6};
    tern_time sum = 0;
    for (uint32_t a = 0; a < 50; a++) {
        for (uint32_t b = 0; b < 50; b++) {
            struct sim_path there;
            struct sim_path back;
            sim_places_path(&places, a, b, &there);
            sim_places_path(&places, b, a, &back);
            assert_true(there.latency_ns == back.latency_ns);
            assert_true(there.latency_ns >= TERN_MILLISECOND);
            assert_true(there.latency_ns <= 101 * TERN_MILLISECOND);
            assert_true(there.jitter_ns == there.latency_ns / 1000 * 100);
            assert_true(there.bytes_per_second == 5 && there.loss_ppm == 6);
            assert_true(a != b || there.latency_ns == TERN_MILLISECOND);
            sum += there.latency_ns;
        }
    }
    /* The mean of the larger difference of two random coordinates in two dimensions is 7/15. */
    assert_in_range(sum / 2500 / TERN_MICROSECOND, 35000, 58000);
}

/* --- echoes --- */

static void a_quiet_network_echoes_at_its_round_trip(void **state)
{
    (void)state;
    struct sim_world_options options;
    struct echo_options echo = {.nodes = 20,
                                .degree = 3,
                                .interval_ns = 100 * TERN_MILLISECOND,
                                .message_bytes = 100,
                                .datagrams = 9,
                                .greedy = true};
    sim_world_options_defaults(&options);
    options.path_default = (struct sim_path){.latency_ns = 25 * TERN_MILLISECOND};
    struct echo_net *net = echo_net_open(&echo, 1);
    struct sim_world *world = sim_world_new(&options);
    echo_net_setup(net, world);
    struct sim_until until = {.done = echo_net_converged, .context = net, .limit = 3 * TERN_SECOND};
    assert_true(sim_world_run_until(world, &until));
    sim_world_run(world, TERN_MINUTE);
    uint64_t rounds = echo_net_rounds(net);
    assert_in_range(rounds, 54 * 350, 54 * 450); /* 54 links, about 150 ms a round */
    for (uint32_t i = 1; i < 20; i++)
        assert_true(net->nodes[i].rtt_sum == net->nodes[i].rounds * 50 * TERN_MILLISECOND);
    const struct sim_counters *counters = sim_world_counters(world);
    assert_int_equal(counters->dials_failed, 0);
    assert_int_equal(counters->links_opened, 2 * 54);
    assert_true(counters->bytes_taken <= counters->bytes_sent);
    assert_in_range(counters->datagrams_sent, rounds * 9, rounds * 11);
    assert_true(counters->datagrams_sent - counters->datagrams_taken < 54 * 9);
    sim_world_free(world);
    echo_net_close(net);
}

static uint64_t run_echo(uint64_t seed, uint32_t nodes)
{
    struct sim_world_options options;
    struct sim_places places = {.seed = seed,
                                .base_ns = TERN_MILLISECOND,
                                .span_ns = 80 * TERN_MILLISECOND,
                                .jitter_permille = 200};
    struct echo_options echo = {.nodes = nodes,
                                .degree = 3,
                                .interval_ns = 100 * TERN_MILLISECOND,
                                .message_bytes = 30000,
                                .store_every = 2,
                                .job_every = 2,
                                .datagrams = 9};
    sim_world_options_defaults(&options);
    options.seed = seed;
    options.path = sim_places_path;
    options.path_context = &places;
    struct echo_net *net = echo_net_open(&echo, 7);
    struct sim_world *world = sim_world_new(&options);
    echo_net_setup(net, world);
    sim_world_run(world, 5 * TERN_SECOND);
    uint64_t hash = sim_world_trace_hash(world);
    sim_world_free(world);
    echo_net_close(net);
    return hash;
}

static void one_seed_gives_one_run(void **state)
{
    (void)state;
    uint64_t first = run_echo(1, 30);
    assert_true(run_echo(1, 30) == first);
    assert_true(run_echo(2, 30) != first);
    assert_true(run_echo(1, 31) != first);
}

/* --- scenarios --- */

static void scenarios_stay_safe_and_converge_under_random_faults(void **state)
{
    (void)state;
    uint64_t faults[SIM_FAULT_KINDS] = {0};
    for (uint64_t seed = 0; seed < 30; seed++) {
        struct sim_scenario_result result;
        bool good = sim_scenario_run(&echo_scenario, seed, &result);
        if (!good)
            fail_msg("sim-check echo %llu: %s at %llu ms", (unsigned long long)seed,
                     sim_verdict_name(result.verdict),
                     (unsigned long long)(result.at / TERN_MILLISECOND));
        for (size_t i = 0; i < SIM_FAULT_KINDS; i++)
            faults[i] += result.faults[i];
    }
    for (size_t i = 0; i < SIM_FAULT_KINDS; i++)
        assert_true(faults[i] > 10);
}

static void a_scenario_repeats_itself(void **state)
{
    (void)state;
    struct sim_scenario_result a;
    struct sim_scenario_result b;
    assert_true(sim_scenario_run(&echo_scenario, 77, &a));
    assert_true(sim_scenario_run(&echo_scenario, 77, &b));
    assert_true(a.trace_hash == b.trace_hash);
    assert_memory_equal(&a.counters, &b.counters, sizeof(a.counters));
}

static bool never(void *self, struct sim_world *world)
{
    (void)self;
    (void)world;
    return false;
}

static bool until_ten_seconds(void *self, struct sim_world *world)
{
    (void)self;
    return sim_world_now(world) < 10 * TERN_SECOND;
}

static void what_goes_wrong_is_named(void **state)
{
    (void)state;
    struct sim_scenario_result result;
    struct sim_scenario scenario = echo_scenario;
    scenario.converged = never;
    assert_false(sim_scenario_run(&scenario, 1, &result));
    assert_int_equal(result.verdict, SIM_VERDICT_STUCK);
    assert_true(result.at == scenario.safety_ns + scenario.liveness_ns);
    scenario.safe = until_ten_seconds;
    assert_false(sim_scenario_run(&scenario, 1, &result));
    assert_int_equal(result.verdict, SIM_VERDICT_UNSAFE);
    assert_in_range(result.at, 10 * TERN_SECOND, 11 * TERN_SECOND);
    scenario.safety_ns = 5 * TERN_SECOND; /* it goes wrong in the second phase */
    assert_false(sim_scenario_run(&scenario, 1, &result));
    assert_int_equal(result.verdict, SIM_VERDICT_UNSAFE);
    assert_string_equal(sim_verdict_name(result.verdict), "unsafe");
}

static bool spare_the_first_three(void *context, enum sim_fault_kind kind, uint32_t node)
{
    (void)context;
    (void)kind;
    return node >= 3;
}

static void faults_keep_to_their_bounds_and_end(void **state)
{
    (void)state;
    struct sim_world_options options;
    struct echo_options echo = {
        .nodes = 12, .degree = 2, .interval_ns = TERN_SECOND, .message_bytes = 10};
    struct sim_faults_options fault_options = {
        .down_max = 2, .skew_ns_max = TERN_SECOND, .may_hit = spare_the_first_three};
    for (size_t i = 0; i < SIM_FAULT_KINDS; i++) {
        fault_options.kinds[i].every_ns = TERN_SECOND / 4;
        fault_options.kinds[i].most_ns = 3 * TERN_SECOND;
    }
    sim_world_options_defaults(&options);
    struct echo_net *net = echo_net_open(&echo, 1);
    struct sim_world *world = sim_world_new(&options);
    struct sim_faults faults;
    echo_net_setup(net, world);
    sim_faults_start(&faults, world, &fault_options);
    bool was_down = false;
    for (int i = 0; i < 3000; i++) {
        uint32_t down = 0;
        sim_world_run(world, sim_world_now(world) + 20 * TERN_MILLISECOND);
        for (uint32_t node = 0; node < 12; node++)
            down += !sim_world_is_up(world, node);
        assert_true(down <= 2);
        was_down = was_down || down == 2;
        for (uint32_t node = 0; node < 3; node++)
            assert_true(sim_world_is_up(world, node));
    }
    assert_true(was_down);
    assert_ok(sim_faults_stop(&faults));
    for (uint32_t a = 0; a < 12; a++) {
        assert_true(sim_world_is_up(world, a));
        assert_true(sim_world_wall(world, a) == options.epoch + sim_world_now(world));
        for (uint32_t b = 0; b < 12; b++)
            assert_true(sim_world_reaches(world, a, b));
    }
    uint64_t crashes = sim_world_counters(world)->crashes;
    assert_true(crashes > 50);
    sim_world_run(world, sim_world_now(world) + TERN_MINUTE);
    assert_int_equal(sim_world_counters(world)->crashes, crashes);
    sim_world_free(world);
    echo_net_close(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topologies_have_their_edges_and_hang_together),
        cmocka_unit_test(places_are_as_far_apart_as_they_should_be),
        cmocka_unit_test(a_quiet_network_echoes_at_its_round_trip),
        cmocka_unit_test(one_seed_gives_one_run),
        cmocka_unit_test(scenarios_stay_safe_and_converge_under_random_faults),
        cmocka_unit_test(a_scenario_repeats_itself),
        cmocka_unit_test(what_goes_wrong_is_named),
        cmocka_unit_test(faults_keep_to_their_bounds_and_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
