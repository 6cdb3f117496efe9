/*
 * Two bare peers (bare.h) in the simulated world, one of which dials the other: for benches whose
 * figures are those of the protocols and of what they cost, whatever the network does. One thread.
 */
#ifndef TERN_BENCH_BARE_PAIR_H
#define TERN_BENCH_BARE_PAIR_H

#include "bare.h"
#include "runtime/sim/world.h"

/* How they connect. */
struct bare_way {
    const char *name;
    enum tern_secure_kind secure;
    unsigned form;
    bool quic;
};

/* Words of usage: the ways' names. */
#define BARE_WAYS "tcp+noise, tcp+tls, ws+noise, quic"

/* bare_way_find: NULL when no way has that name. */
const struct bare_way *bare_way_find(const char *name);

struct bare_pair {
    const struct bare_way *way;
    struct sim_path path;    /* in both directions */
    uint64_t buffer_bytes;   /* of a link; 0: the world's default */
    enum bare_mode mode;     /* of the one that dials */
    uint64_t bytes;          /* of a stream */
    uint64_t count;          /* of connections … */
    uint64_t concurrency;    /* … so many at a time */
    struct sim_world *world; /* set by bare_pair_begin */
    struct bare *ends[2];    /* likewise; 0 dials */
};

/* bare_pair_begin makes the world and lets the first dials begin; what comes before world in the
 * struct has been set. The world keeps the pair's address; what is made lives as long as the
 * process. */
void bare_pair_begin(struct bare_pair *pair);

/* bare_pair_run runs the world until the dialler is done. */
void bare_pair_run(struct bare_pair *pair);

#endif
