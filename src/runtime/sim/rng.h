/*
 * A small fast generator (SplitMix64, eight bytes of state) for the world's own draws: jitter,
 * loss, levels of a skip list. There may be hundreds of thousands of them, one a direction of a
 * link, so that what one link draws does not depend on any other. Machines get a tern_random
 * instead.
 */
#ifndef TERN_RUNTIME_SIM_RNG_H
#define TERN_RUNTIME_SIM_RNG_H

#include "base/types.h"

static inline uint64_t sim_rng_u64(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* sim_rng_below draws from 0 .. bound - 1, by multiplication; its bias is below 2^-32 for bounds
 * below 2^32. bound > 0. */
static inline uint64_t sim_rng_below(uint64_t *state, uint64_t bound)
{
    return (uint64_t)(((unsigned __int128)sim_rng_u64(state) * bound) >> 64);
}

#endif
