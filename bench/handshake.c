/*
 * What a connection costs by itself: two bare peers (bare.h) in the simulated world connect and
 * part, one connection at a time, in one process and on one core. There is no network: what is
 * measured is all that Tern does, from the dial to the end of both sides, negotiation, secure
 * channel and muxer, with the simulated world's own work.
 *
 *     bench_handshake WAY [ROUNDS]
 *
 * WAY is tcp+noise, tcp+tls, ws+noise or quic. Rounds of connections take turns with rounds of the
 * public-key operations that so many handshakes cannot do without (operations.h), because a
 * machine's speed changes; the figures are medians. Time is processor time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bare_pair.h"
#include "base/check.h"
#include "crypto/start.h"
#include "operations.h"

enum { HANDSHAKES = 50, ROUNDS_DEFAULT = 15, ROUNDS_MAX = 1000 };

struct round {
    double connections; /* seconds, of all of the round */
    double operations;
};

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Runs the world until so many connections are over. */
static void connect_until(struct bare_pair *pair, uint64_t done)
{
    while (pair->ends[0]->done < done)
        TERN_CHECK(sim_world_step(pair->world, 24 * TERN_HOUR));
}

static int ascending(const void *a, const void *b)
{
    const double *x = a;
    const double *y = b;
    return (*x > *y) - (*x < *y);
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, ascending);
    return values[count / 2];
}

static void report(const char *name, enum operations_of of, const struct round *rounds,
                   size_t count)
{
    double each[ROUNDS_MAX];
    double bare[ROUNDS_MAX];
    double share[ROUNDS_MAX];
    for (size_t i = 0; i < count; i++) {
        each[i] = rounds[i].connections / HANDSHAKES;
        bare[i] = rounds[i].operations / HANDSHAKES;
        share[i] = bare[i] / each[i];
    }
    double a = median(each, count);
    double b = median(bare, count);
    printf("%s in memory, both ends: %.0f connections a second (%.0f us)\n"
           "their public-key operations alone: %.0f a second (%.0f us): %s\n"
           "share: %.1f %%\n",
           name, 1 / a, a * 1e6, 1 / b, b * 1e6, operations_text(of), 100 * median(share, count));
}

int main(int argc, char **argv)
{
    struct round rounds[ROUNDS_MAX];
    struct operations operations;
    const struct bare_way *way = argc > 1 ? bare_way_find(argv[1]) : NULL;
    unsigned long count = argc > 2 ? strtoul(argv[2], NULL, 10) : ROUNDS_DEFAULT;
    if (way == NULL || argc > 3 || count == 0 || count > ROUNDS_MAX) {
        fprintf(stderr, "usage: bench_handshake WAY [ROUNDS]\n       WAY: " BARE_WAYS "\n");
        return 2;
    }
    enum operations_of of =
        way->quic || way->secure == TERN_SECURE_TLS ? OPERATIONS_TLS : OPERATIONS_NOISE;
    struct bare_pair pair = {.way = way,
                             .path = {.latency_ns = TERN_MILLISECOND},
                             .mode = MODE_HANDSHAKE,
                             .count = UINT64_MAX,
                             .concurrency = 1};
    TERN_CHECK(tern_crypto_start() == TERN_OK);
    operations_init(&operations);
    bare_pair_begin(&pair);
    connect_until(&pair, HANDSHAKES);
    for (unsigned long i = 0; i < count; i++) {
        double start = seconds();
        connect_until(&pair, (i + 2) * HANDSHAKES);
        double half = seconds();
        operations_run(&operations, of, HANDSHAKES);
        rounds[i] = (struct round){.connections = half - start, .operations = seconds() - half};
    }
    report(way->name, of, rounds, count);
    operations_fini(&operations);
    return 0;
}
