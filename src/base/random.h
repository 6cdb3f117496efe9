/*
 * The injected random source: a ChaCha20 key stream from a 32-byte seed. Seeded by the operating
 * system in the real world and by the run's seed in the simulated one; fit for keys and nonces in
 * the former. Forward secure at refill: each refill replaces the key.
 */
#ifndef TERN_BASE_RANDOM_H
#define TERN_BASE_RANDOM_H

#include "base/types.h"

enum { TERN_RANDOM_SEED_SIZE = 32, TERN_RANDOM_POOL_SIZE = 512 };

struct tern_random {
    uint8_t pool[TERN_RANDOM_POOL_SIZE]; /* the next key, then unused output */
    size_t pool_used;
};

void tern_random_init(struct tern_random *random, const uint8_t seed[TERN_RANDOM_SEED_SIZE]);

/* tern_random_init_u64 seeds from a number, for simulation and tests. */
void tern_random_init_u64(struct tern_random *random, uint64_t seed);

/* tern_random_fork makes an independent source, seeded from this one. */
void tern_random_fork(struct tern_random *random, struct tern_random *child);

void tern_random_bytes(struct tern_random *random, void *out, size_t size);
uint64_t tern_random_u64(struct tern_random *random);

/* tern_random_below is uniform in 0 .. bound - 1; bound > 0. No modulo bias. */
uint64_t tern_random_below(struct tern_random *random, uint64_t bound);

/* tern_random_chance is true with probability numerator / denominator. */
bool tern_random_chance(struct tern_random *random, uint64_t numerator, uint64_t denominator);

#endif
