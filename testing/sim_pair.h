/*
 * Two byte-stream cores joined by a link in virtual time: for tests of multistream-select, Noise,
 * yamux, a connection. The link has latency, jitter and bandwidth, cuts what is sent into segments
 * of random size and keeps them in order. Everything is drawn from one seed, so a failing run
 * repeats.
 *
 *     core a ─ send ─► [ segment … segment ] ─ recv ─► core b      and the same back
 *
 * A core is four verbs behind struct sim_core_ops; a test wraps the core's own functions and serves
 * the core's events and jobs inside recv and tick. What the test does to a core in between (open a
 * stream, write) is noticed by the next step, which asks both cores for bytes.
 *
 *     struct sim_pair pair;
 *     sim_pair_init(&pair, &(struct sim_pair_options){.seed = 1, .latency_ns = 10 *
 * TERN_MILLISECOND, .segment_max = 300}, (struct sim_core){&ops, &a}, (struct sim_core){&ops, &b});
 *     assert_true(sim_pair_run_until(&pair, both_done, &test, 5 * TERN_SECOND));
 *     … free the cores …
 *     sim_pair_fini(&pair);
 *
 * Received bytes come in chunks of the pair's own account (so they do not disturb the failing of a
 * core's allocations), may be changed in place, and may be kept by reference until sim_pair_fini,
 * which checks that all came back.
 */
#ifndef TERN_TESTING_SIM_PAIR_H
#define TERN_TESTING_SIM_PAIR_H

#include "base/chunk.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/ring.h"
#include "base/types.h"
#include "base/writer.h"

struct sim_core_ops {
    /* Takes bytes, says how many in *used (set to 0 before the call). Less than all is
     * back-pressure: the rest is offered again after anything else happened to this core. After an
     * error nothing is offered any more, but send is still asked, for the farewell. */
    tern_err (*recv)(void *self, tern_time now, struct tern_slice in, size_t *used);
    /* Appends what there is to say; nothing ends the asking. */
    void (*send)(void *self, tern_time now, struct tern_writer *out);
    tern_time (*deadline)(void *self);       /* NULL: has none */
    void (*tick)(void *self, tern_time now); /* called at the deadline; NULL: has none */
    void (*end)(void *self, tern_time now);  /* the other side has ended; NULL: does not mind */
};

struct sim_core {
    const struct sim_core_ops *ops;
    void *self;
};

struct sim_pair_options {
    uint64_t seed;
    tern_time latency_ns;      /* one way */
    tern_time jitter_ns;       /* up to this much more, for each segment; order is kept */
    uint64_t bytes_per_second; /* 0: no limit */
    size_t segment_max; /* segments of 1 .. this many bytes at random; 0: as they were sent */
    size_t room_min;    /* send is given room of room_min .. room_max bytes at random; */
    size_t room_max;    /* 0: always 128 KiB */
    size_t buffer_max;  /* ask a core for no more while this much is on its way; 0: 1 MiB */
    /* Called for each segment when it leaves side 0 or 1; may change the bytes. NULL: none. */
    void (*tamper)(void *context, unsigned side, struct tern_span bytes);
    void *tamper_context;
};

struct sim_pair_side {
    struct sim_core core;
    tern_err err;           /* the first that recv returned */
    struct tern_ring queue; /* struct sim_pair_segment: what this side has sent */
    size_t queued_size;     /* bytes of it */
    tern_time busy_until;   /* the link is sending until then */
    tern_time last_arrival;
    bool ended; /* sim_pair_end was called */
    bool end_delivered;
    uint64_t bytes_sent;
    uint64_t bytes_received; /* taken by the core */
    uint64_t segments_sent;
};

struct sim_pair {
    struct sim_pair_options options;
    struct tern_mem mem;
    struct tern_random random;
    tern_time now;
    struct sim_pair_side sides[2];
    uint8_t *scratch;
    unsigned idle_ticks; /* ticks in a row in which nothing moved */
};

void sim_pair_init(struct sim_pair *pair, const struct sim_pair_options *options, struct sim_core a,
                   struct sim_core b);

/* sim_pair_fini drops what is on its way and checks that no received chunk is still held. */
void sim_pair_fini(struct sim_pair *pair);

/* sim_pair_step lets the next thing happen: all bytes there are to send leave, then what arrives or
 * falls due next does. False: nothing is left to happen. A core whose deadline does not move when
 * it is ticked ends the process. */
bool sim_pair_step(struct sim_pair *pair, tern_time limit);

/* sim_pair_run steps until nothing is left to happen, or until the limit; returns whether it became
 * quiet. Deadlines (as of keep-alives) count as something that happens. */
bool sim_pair_run(struct sim_pair *pair, tern_time limit);

/* sim_pair_run_until steps until the predicate is true; false: it is not at the limit, or nothing
 * is left to happen. The limit is a point in time; a pair begins at time 0. */
bool sim_pair_run_until(struct sim_pair *pair, bool (*done)(void *context), void *context,
                        tern_time limit);

/* sim_pair_end ends side's sending direction behind what it has sent; the other core's end follows.
 */
void sim_pair_end(struct sim_pair *pair, unsigned side);

#endif
