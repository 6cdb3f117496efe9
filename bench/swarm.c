/*
 * A swarm with very many idle connections: memory of each, and what time costs.
 *
 *   bench_swarm                10,000 connections, plaintext and Noise
 *   bench_swarm CONNECTIONS    so many
 *
 * Each remote is a connection core of its own at the other end of a link without latency, all in
 * one process and in virtual time. Memory is the swarm's own account: connection, channel, muxer,
 * peer, subnets, tables. Seconds are of processor time. Work that is done for each connection must
 * not grow with their number: the last tenth is compared with the first.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "swarm/crowd_test_support.h"

static double seconds_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void configure(struct tern_swarm_config *config)
{
    config->keepalive_ns = 0;
    config->limits.connections_high = 0;
}

static void configure_keepalive(struct tern_swarm_config *config)
{
    config->keepalive_ns = 30 * TERN_SECOND;
    config->limits.connections_high = 0;
}

static double connect(struct crowd *crowd, uint32_t first, uint32_t last)
{
    double began = seconds_now();
    for (uint32_t i = first; i < last; i++)
        TERN_CHECK(crowd_connect(crowd, i, crowd_address(i)));
    return (seconds_now() - began) / (last - first) * 1e6;
}

static void run(enum tern_secure_kind secure, uint32_t count)
{
    struct crowd *crowd = crowd_new(
        &(struct crowd_options){.count = count, .secure = secure, .configure = configure});
    size_t empty = crowd_mem(crowd)->used;
    double first = connect(crowd, 0, count / 10);
    (void)connect(crowd, count / 10, count - count / 10);
    double last = connect(crowd, count - count / 10, count);
    size_t each = (crowd_mem(crowd)->used - empty) / count;
    printf("%-9s %6u connections: %zu bytes each; connecting takes %.0f us at first, %.0f at last "
           "(both ends)\n",
           secure == TERN_SECURE_NOISE ? "Noise" : "plaintext", count, each, first, last);
    double began = seconds_now();
    for (int i = 0; i < 1000; i++)
        crowd_run(crowd, TERN_SECOND);
    printf("%-9s idle: %.2f us of processor time in a second\n", "",
           (seconds_now() - began) / 1000 * 1e6);
    crowd_free(crowd);
}

static void run_keepalive(uint32_t count)
{
    struct crowd *crowd = crowd_new(&(struct crowd_options){
        .count = count, .secure = TERN_SECURE_PLAINTEXT, .configure = configure_keepalive});
    (void)connect(crowd, 0, count);
    double began = seconds_now();
    uint64_t ticks = crowd_ticks(crowd);
    crowd_run(crowd, 10 * TERN_MINUTE);
    double took = seconds_now() - began;
    printf("with a keep-alive every 30 s: %.1f us each time (both ends), %.0f ticks in a second\n",
           took / (count * 20.0) * 1e6, (double)(crowd_ticks(crowd) - ticks) / 600);
    began = seconds_now();
    for (uint32_t i = 0; i < count; i++)
        tern_swarm_protect(crowd_swarm(crowd), crowd_peer(crowd, i), TERN_PROTECT_APPLICATION);
    printf("finding and protecting a peer: %.2f us\n", (seconds_now() - began) / count * 1e6);
    crowd_free(crowd);
}

int main(int argc, char **argv)
{
    uint32_t count = argc == 2 ? (uint32_t)strtoul(argv[1], NULL, 10) : 10000;
    if (count < 10) {
        fprintf(stderr, "usage: bench_swarm [CONNECTIONS]\n");
        return 2;
    }
    run(TERN_SECURE_PLAINTEXT, count);
    run(TERN_SECURE_NOISE, count);
    run_keepalive(count);
    return 0;
}
