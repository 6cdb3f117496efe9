/*
 * How fast the simulated world is: events a second in one thread, and how much faster than real
 * time that is. Seconds are of processor time, so that other work on the machine disturbs little.
 *
 *   bench_sim                                 the four rows of hosts below
 *   bench_sim hosts NODES real|cheap SECONDS  one of them, over so much simulated time
 *   bench_sim echo                            10, 100, 1,000 and 10,000 echo machines
 *   bench_sim echo NODES SECONDS
 *
 * hosts: whole hosts (sim/hosts.h), each of which has dialled 3 others. They are subscribed to one
 * topic, and ten messages a second are published by hosts drawn from the seed; that each of them
 * reaches all is checked. Real crypto: Noise, and a signature on every message that every host
 * verifies. Cheap crypto: the plaintext channel and unsigned messages. Hosts pass on peer records,
 * which are signed either way, when they meet and seldom after that; what is measured lies between.
 *
 * echo: every machine dials 4 others; each of these links carries a message of up to 1,000 bytes
 * and its echo five times a second. The cost is the world's own: the machines do next to nothing.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/sim/echo_testing.h"
#include "runtime/sim/topology.h"
#include "sim/hosts.h"

enum {
    HOSTS_DEGREE = 3,
    HOSTS_MESSAGES_PER_SECOND = 10,
    HOSTS_SECONDS_MAX = 7, /* then records are passed on for the second time */
};

static double seconds_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* What has happened up to now. */
struct mark {
    double seconds;
    struct sim_counters counters;
};

static struct mark mark_of(const struct sim_world *world)
{
    return (struct mark){.seconds = seconds_now(), .counters = *sim_world_counters(world)};
}

/* --- whole hosts --- */

struct row {
    uint32_t nodes;
    bool cheap;
    uint32_t seconds;
};

static const struct row rows[] = {
    {100, false, 7}, {100, true, 7}, {1000, false, 5}, {1000, true, 5}};

static struct sim_hosts hosts;

static void hosts_edge(void *context, uint32_t from, uint32_t to)
{
    (void)context;
    sim_hosts_dial(&hosts, from, to);
}

static void hosts_open(const struct row *row)
{
    const struct sim_hosts_options options = {.seed = 1,
                                              .count = row->nodes,
                                              .secure = row->cheap ? TERN_SECURE_PLAINTEXT
                                                                   : TERN_SECURE_NOISE,
                                              .unsigned_gossip = row->cheap,
                                              .no_bootstrap = true};
    sim_hosts_init(&hosts, &options);
    sim_hosts_start_all(&hosts);
    sim_hosts_run_for(&hosts, TERN_SECOND);
    sim_topology_random(sim_world_random(hosts.world), row->nodes, HOSTS_DEGREE,
                        &(struct sim_edges){.edge = hosts_edge});
    sim_hosts_run_for(&hosts, 3 * TERN_SECOND); /* all are connected, and in a mesh */
}

/* False: a message did not reach all, so the figure is not one of this work. */
static bool run_hosts(const struct row *row)
{
    hosts_open(row);
    struct mark before = mark_of(hosts.world);
    for (uint32_t i = 0; i < row->seconds * HOSTS_MESSAGES_PER_SECOND; i++) {
        uint64_t from = tern_random_below(sim_world_random(hosts.world), row->nodes);
        (void)sim_hosts_publish(&hosts, (uint32_t)from);
        sim_hosts_run_for(&hosts, TERN_SECOND / HOSTS_MESSAGES_PER_SECOND);
    }
    struct mark after = mark_of(hosts.world);
    sim_hosts_run_for(&hosts, TERN_SECOND);
    bool good = sim_hosts_all_have_all(&hosts) && sim_hosts_are_sound(&hosts);
    sim_hosts_fini(&hosts);
    double took = after.seconds - before.seconds;
    double events = (double)(after.counters.events - before.counters.events);
    printf("%6" PRIu32 " hosts, %s crypto: %8.0f events/s, %8.2f x real time\n", row->nodes,
           row->cheap ? "cheap" : "real", events / took, row->seconds / took);
    fflush(stdout);
    if (!good)
        fprintf(stderr, "bench_sim: a message did not reach all %" PRIu32 " hosts\n", row->nodes);
    return good;
}

/* --- echo machines --- */

static void run_echo(uint32_t nodes, tern_time span)
{
    struct sim_places places = {.seed = 1,
                                .base_ns = TERN_MILLISECOND,
                                .span_ns = 100 * TERN_MILLISECOND,
                                .jitter_permille = 100};
    struct sim_world_options options;
    struct echo_options echo = {.nodes = nodes,
                                .degree = 4,
                                .interval_ns = 100 * TERN_MILLISECOND,
                                .message_bytes = 1000,
                                .greedy = true};
    sim_world_options_defaults(&options);
    options.path = sim_places_path;
    options.path_context = &places;
    struct echo_net *net = echo_net_open(&echo, 1);
    struct sim_world *world = sim_world_new(&options);
    echo_net_setup(net, world);
    sim_world_run(world, 5 * TERN_SECOND); /* all are linked */
    struct mark before = mark_of(world);
    sim_world_run(world, 5 * TERN_SECOND + span);
    struct mark after = mark_of(world);
    double took = after.seconds - before.seconds;
    double events = (double)(after.counters.events - before.counters.events);
    double inputs = (double)(after.counters.inputs - before.counters.inputs);
    double bytes = (double)(after.counters.bytes_taken - before.counters.bytes_taken);
    printf("%6" PRIu32 " nodes: %8.0f events/s, %8.0f inputs/s, %7.1f MB/s, %8.1f x real time\n",
           nodes, events / took, inputs / took, bytes / took / 1e6,
           (double)span / (double)TERN_SECOND / took);
    sim_world_free(world);
    echo_net_close(net);
}

/* --- arguments --- */

static int usage(void)
{
    fprintf(stderr,
            "usage: bench_sim [hosts NODES real|cheap SECONDS | echo [NODES SECONDS]]\n"
            "       2 to %d hosts, 1 to %d seconds with them\n",
            SIM_HOSTS_MAX, HOSTS_SECONDS_MAX);
    return 2;
}

static uint32_t number_of(const char *text)
{
    return (uint32_t)strtoul(text, NULL, 10);
}

static int main_hosts(char **args)
{
    struct row row = {.nodes = number_of(args[0]),
                      .cheap = strcmp(args[1], "cheap") == 0,
                      .seconds = number_of(args[2])};
    if (row.nodes < 2 || row.nodes > SIM_HOSTS_MAX || row.seconds < 1 ||
        row.seconds > HOSTS_SECONDS_MAX || (!row.cheap && strcmp(args[1], "real") != 0))
        return usage();
    return run_hosts(&row) ? 0 : 1;
}

static void main_echo(void)
{
    run_echo(10, 1000 * TERN_SECOND);
    run_echo(100, 100 * TERN_SECOND);
    run_echo(1000, 20 * TERN_SECOND);
    run_echo(10000, 5 * TERN_SECOND);
}

int main(int argc, char **argv)
{
    bool good = true;
    if (argc == 1) {
        for (size_t i = 0; i < TERN_COUNT_OF(rows); i++)
            good = run_hosts(&rows[i]) && good;
        return good ? 0 : 1;
    }
    if (argc == 5 && strcmp(argv[1], "hosts") == 0)
        return main_hosts(argv + 2);
    if (strcmp(argv[1], "echo") != 0 || (argc != 2 && argc != 4))
        return usage();
    if (argc == 2)
        main_echo();
    else
        run_echo(number_of(argv[2]), number_of(argv[3]) * TERN_SECOND);
    return 0;
}
