/*
 * How fast the simulated world is: events a second with 1,000 nodes (and others) that echo
 * messages, in one thread. Also how much faster than real time that is. Seconds are of processor
 * time, so that other work on the machine disturbs little.
 *
 *   bench_sim                  10, 100, 1,000 and 10,000 nodes
 *   bench_sim NODES SECONDS    so many nodes, so much simulated time
 *
 * Every node dials 4 others; each of these links carries a message of up to 1,000 bytes and its
 * echo five times a second. The cost is the world's own: the machines do next to nothing.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "runtime/sim/echo_testing.h"

static double seconds_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void run(uint32_t nodes, tern_time span)
{
    struct sim_world_options options;
    struct sim_places places = {.seed = 1,
                                .base_ns = TERN_MILLISECOND,
                                .span_ns = 100 * TERN_MILLISECOND,
                                .jitter_permille = 100};
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
    struct sim_counters before = *sim_world_counters(world);
    double began = seconds_now();
    sim_world_run(world, 5 * TERN_SECOND + span);
    double took = seconds_now() - began;
    const struct sim_counters *after = sim_world_counters(world);
    double events = (double)(after->events - before.events);
    double inputs = (double)(after->inputs - before.inputs);
    double bytes = (double)(after->bytes_taken - before.bytes_taken);
    printf("%6" PRIu32 " nodes: %8.0f events/s, %8.0f inputs/s, %7.1f MB/s, %8.1f x real time\n",
           nodes, events / took, inputs / took, bytes / took / 1e6,
           (double)span / (double)TERN_SECOND / took);
    sim_world_free(world);
    echo_net_close(net);
}

int main(int argc, char **argv)
{
    if (argc == 3) {
        run((uint32_t)strtoul(argv[1], NULL, 10), strtoull(argv[2], NULL, 10) * TERN_SECOND);
        return 0;
    }
    run(10, 1000 * TERN_SECOND);
    run(100, 100 * TERN_SECOND);
    run(1000, 20 * TERN_SECOND);
    run(10000, 5 * TERN_SECOND);
    return 0;
}
