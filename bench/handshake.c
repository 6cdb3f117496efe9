/*
 * What a connection costs by itself: two bare peers (bare.h) in the simulated world connect and
 * part, one connection at a time, in one process and on one core. There is no network: what is
 * measured is all that Tern does, from the dial to the end of both sides, negotiation, secure
 * channel and muxer, with the simulated world's own work.
 *
 *     bench_handshake WAY [ROUNDS [resumable]]
 *
 * WAY is tcp+noise, tcp+tls, ws+noise or quic. Rounds of connections take turns with rounds of the
 * cryptography that so many handshakes cannot do without (operations.h) and, where libraries make
 * the handshake, with rounds of the same by the fastest library, and of handshakes of the libraries
 * by themselves (library.h), because a machine's speed changes; the figures are medians. Time is
 * processor time.
 *
 * With resumable the libraries' server gives what a later session over QUIC begins with, as Tern's
 * always does.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bare_pair.h"
#include "base/check.h"
#include "crypto/start.h"
#include "library.h"
#include "operations.h"

enum { HANDSHAKES = 50, ROUNDS_DEFAULT = 15, ROUNDS_MAX = 1000 };

/* What takes turns, and how long each took in a round, in seconds. */
enum part { PART_CONNECTIONS, PART_OPERATIONS, PART_FASTEST, PART_LIBRARY, PARTS };

struct bench {
    const struct bare_way *way;
    enum operations_of operations_of;
    enum library_of library_of; /* LIBRARY_KINDS: no library makes it */
    struct bare_pair pair;
    struct operations operations;
    struct library library;
    uint64_t connections; /* so far */
    size_t rounds_count;
    double took[PARTS][ROUNDS_MAX];
};

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* --- rounds --- */

static void run_connections(struct bench *b)
{
    b->connections += HANDSHAKES;
    while (b->pair.ends[0]->done < b->connections)
        TERN_CHECK(sim_world_step(b->pair.world, 24 * TERN_HOUR));
}

static void run_part(struct bench *b, enum part part)
{
    switch (part) {
    case PART_CONNECTIONS:
        run_connections(b);
        break;
    case PART_OPERATIONS:
        operations_run(&b->operations, b->operations_of, HANDSHAKES);
        break;
    case PART_FASTEST:
        if (b->library_of != LIBRARY_KINDS)
            operations_run(&b->operations, OPERATIONS_TLS_FASTEST, HANDSHAKES);
        break;
    case PART_LIBRARY:
        if (b->library_of != LIBRARY_KINDS)
            library_run(&b->library, HANDSHAKES);
        break;
    case PARTS:
        break;
    }
}

static void run_rounds(struct bench *b)
{
    run_connections(b); /* the first ones fill caches and pools */
    for (size_t i = 0; i < b->rounds_count; i++) {
        for (enum part part = 0; part < PARTS; part++) {
            double start = seconds();
            run_part(b, part);
            b->took[part][i] = seconds() - start;
        }
    }
}

/* --- figures --- */

static int ascending(const void *a, const void *b)
{
    const double *x = a;
    const double *y = b;
    return (*x > *y) - (*x < *y);
}

static double median(const double *values, size_t count)
{
    double sorted[ROUNDS_MAX];
    memcpy(sorted, values, count * sizeof *values);
    qsort(sorted, count, sizeof *sorted, ascending);
    return sorted[count / 2];
}

/* The median time of one, in seconds. */
static double each(const struct bench *b, enum part part)
{
    return median(b->took[part], b->rounds_count) / HANDSHAKES;
}

/* How much of the connections' time the part takes, in per cent. */
static double share(const struct bench *b, enum part part)
{
    double shares[ROUNDS_MAX];
    for (size_t i = 0; i < b->rounds_count; i++)
        shares[i] = 100 * b->took[part][i] / b->took[PART_CONNECTIONS][i];
    return median(shares, b->rounds_count);
}

static void report_part(const struct bench *b, enum part part, const char *name, const char *text)
{
    double seconds_each = each(b, part);
    printf("%s: %.0f a second (%.0f us): %s\n", name, 1 / seconds_each, seconds_each * 1e6, text);
}

static void report(const struct bench *b)
{
    double seconds_each = each(b, PART_CONNECTIONS);
    printf("%s in memory, both ends: %.0f connections a second (%.0f us)\n", b->way->name,
           1 / seconds_each, seconds_each * 1e6);
    report_part(b, PART_OPERATIONS, "their cryptography alone", operations_text(b->operations_of));
    printf("share: %.1f %%\n", share(b, PART_OPERATIONS));
    if (b->library_of == LIBRARY_KINDS)
        return;
    report_part(b, PART_FASTEST, "the same at its fastest",
                operations_text(OPERATIONS_TLS_FASTEST));
    printf("share of the fastest: %.1f %%\n", share(b, PART_FASTEST));
    report_part(b, PART_LIBRARY, "the libraries by themselves", library_text(b->library_of));
    printf("share of the libraries: %.1f %%\n", share(b, PART_LIBRARY));
}

/* --- what is asked for --- */

static enum library_of library_of_way(const struct bare_way *way, bool resumable)
{
    if (way->quic)
        return resumable ? LIBRARY_QUIC_RESUMABLE : LIBRARY_QUIC;
    return way->secure == TERN_SECURE_TLS ? LIBRARY_TLS : LIBRARY_KINDS;
}

static bool parse(struct bench *b, int argc, char **argv)
{
    bool resumable = argc > 3 && strcmp(argv[3], "resumable") == 0;
    b->way = argc > 1 ? bare_way_find(argv[1]) : NULL;
    b->rounds_count = argc > 2 ? strtoul(argv[2], NULL, 10) : ROUNDS_DEFAULT;
    if (b->way == NULL || argc > 4 || b->rounds_count == 0 || b->rounds_count > ROUNDS_MAX)
        return false;
    b->library_of = library_of_way(b->way, resumable);
    b->operations_of = b->library_of == LIBRARY_KINDS ? OPERATIONS_NOISE : OPERATIONS_TLS;
    return argc < 4 || (resumable && b->way->quic);
}

int main(int argc, char **argv)
{
    struct bench b = {.connections = 0};
    if (!parse(&b, argc, argv)) {
        fprintf(stderr, "usage: bench_handshake WAY [ROUNDS [resumable]]\n"
                        "       WAY: " BARE_WAYS "; resumable: of quic\n");
        return 2;
    }
    b.pair = (struct bare_pair){.way = b.way,
                                .path = {.latency_ns = TERN_MILLISECOND},
                                .mode = MODE_HANDSHAKE,
                                .count = UINT64_MAX,
                                .concurrency = 1};
    TERN_CHECK(tern_crypto_start() == TERN_OK);
    operations_init(&b.operations);
    if (b.library_of != LIBRARY_KINDS)
        library_init(&b.library, b.library_of);
    bare_pair_begin(&b.pair);
    run_rounds(&b);
    report(&b);
    if (b.library_of != LIBRARY_KINDS)
        library_fini(&b.library);
    operations_fini(&b.operations);
    return 0;
}
