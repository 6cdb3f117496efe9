/*
 * Which messages were seen: a fixed-size set of 64-bit keyed hashes of message ids, each kept for a
 * time after it was first seen. The key is secret and random, so nobody can make ids collide; by
 * chance two of a million do once in 10^13 messages.
 *
 * Bounded: when it is full the oldest goes early. No allocation after init.
 */
#ifndef TERN_PROTOCOL_GOSSIP_SEEN_H
#define TERN_PROTOCOL_GOSSIP_SEEN_H

#include "base/error.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/types.h"

struct gossip_seen {
    struct tern_mem *mem;
    uint64_t key[2];
    uint64_t *table; /* open addressing, 0: free; twice the capacity */
    struct gossip_seen_entry *ring;
    size_t capacity; /* entries; a power of two */
    size_t head;
    size_t count;
    tern_time ttl_ns;
};

struct gossip_seen_entry {
    uint64_t hash;
    tern_time expires;
};

/* gossip_seen_init: capacity is rounded up to a power of two. TERN_ERR_MEMORY. */
TERN_NODISCARD tern_err gossip_seen_init(struct gossip_seen *seen, struct tern_mem *mem,
                                         struct tern_random *random, size_t capacity,
                                         tern_time ttl_ns);
void gossip_seen_fini(struct gossip_seen *seen);

/* gossip_seen_hash is the hash that stands for an id here; never 0. */
uint64_t gossip_seen_hash(const struct gossip_seen *seen, struct tern_view id);

bool gossip_seen_has(const struct gossip_seen *seen, uint64_t hash);

/* gossip_seen_add remembers; false: it was there already. */
bool gossip_seen_add(struct gossip_seen *seen, tern_time now, uint64_t hash);

/* gossip_seen_expire forgets what is older than the time to live. */
void gossip_seen_expire(struct gossip_seen *seen, tern_time now);

#endif
