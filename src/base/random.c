#include "base/random.h"

#include <sodium/crypto_stream_chacha20.h>
#include <sodium/utils.h>

#include "base/check.h"

_Static_assert(TERN_RANDOM_SEED_SIZE == crypto_stream_chacha20_KEYBYTES, "the seed is a key");

void tern_random_init(struct tern_random *random, const uint8_t seed[TERN_RANDOM_SEED_SIZE])
{
    memset(random->pool, 0, sizeof(random->pool));
    memcpy(random->pool, seed, TERN_RANDOM_SEED_SIZE);
    random->pool_used = sizeof(random->pool);
}

void tern_random_init_u64(struct tern_random *random, uint64_t seed)
{
    uint8_t bytes[TERN_RANDOM_SEED_SIZE] = {0};
    for (size_t i = 0; i < sizeof(seed); i++)
        bytes[i] = (uint8_t)(seed >> (8 * i));
    tern_random_init(random, bytes);
}

void tern_random_fork(struct tern_random *random, struct tern_random *child)
{
    uint8_t seed[TERN_RANDOM_SEED_SIZE];
    tern_random_bytes(random, seed, sizeof(seed));
    tern_random_init(child, seed);
    sodium_memzero(seed, sizeof(seed));
}

/* random_refill fills the pool from the key at its front; the new front is the next key. */
static void random_refill(struct tern_random *random)
{
    static const uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];
    uint8_t key[TERN_RANDOM_SEED_SIZE];
    memcpy(key, random->pool, sizeof(key));
    crypto_stream_chacha20(random->pool, sizeof(random->pool), nonce, key);
    sodium_memzero(key, sizeof(key));
    random->pool_used = TERN_RANDOM_SEED_SIZE;
}

void tern_random_bytes(struct tern_random *random, void *out, size_t size)
{
    uint8_t *to = out;
    while (size > 0) {
        TERN_CHECK(random->pool_used <= sizeof(random->pool));
        if (random->pool_used == sizeof(random->pool))
            random_refill(random);
        size_t take = tern_min_size(size, sizeof(random->pool) - random->pool_used);
        memcpy(to, random->pool + random->pool_used, take);
        sodium_memzero(random->pool + random->pool_used, take);
        random->pool_used += take;
        to += take;
        size -= take;
    }
}

uint64_t tern_random_u64(struct tern_random *random)
{
    uint8_t bytes[8];
    tern_random_bytes(random, bytes, sizeof(bytes));
    uint64_t value = 0;
    for (size_t i = sizeof(bytes); i > 0; i--)
        value = value << 8 | bytes[i - 1];
    return value;
}

uint64_t tern_random_below(struct tern_random *random, uint64_t bound)
{
    enum { TRIES_MAX = 128 };
    TERN_CHECK(bound > 0);
    /* The highest value of a whole number of ranges; above it a draw is repeated. A draw is
     * repeated with probability below one half, so the bound on tries is never met. */
    uint64_t top = UINT64_MAX - (UINT64_MAX % bound + 1) % bound;
    uint64_t value = tern_random_u64(random);
    for (int i = 0; value > top && i < TRIES_MAX; i++)
        value = tern_random_u64(random);
    return value % bound;
}

bool tern_random_chance(struct tern_random *random, uint64_t numerator, uint64_t denominator)
{
    return tern_random_below(random, denominator) < numerator;
}
