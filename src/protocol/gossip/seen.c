#include "protocol/gossip/seen.h"

#include "base/check.h"
#include "base/map.h"

tern_err gossip_seen_init(struct gossip_seen *seen, struct tern_mem *mem,
                          struct tern_random *random, size_t capacity, tern_time ttl_ns)
{
    size_t rounded = 16;
    while (rounded < capacity)
        rounded *= 2;
    *seen = (struct gossip_seen){.mem = mem, .capacity = rounded, .ttl_ns = ttl_ns};
    seen->key[0] = tern_random_u64(random);
    seen->key[1] = tern_random_u64(random);
    seen->table = tern_mem_zalloc(mem, 2 * rounded * sizeof *seen->table);
    seen->ring = tern_mem_alloc(mem, rounded * sizeof *seen->ring);
    if (seen->table == NULL || seen->ring == NULL) {
        gossip_seen_fini(seen);
        return TERN_ERR_MEMORY;
    }
    return TERN_OK;
}

void gossip_seen_fini(struct gossip_seen *seen)
{
    tern_mem_free(seen->mem, seen->table, 2 * seen->capacity * sizeof *seen->table);
    tern_mem_free(seen->mem, seen->ring, seen->capacity * sizeof *seen->ring);
    seen->table = NULL;
    seen->ring = NULL;
}

uint64_t gossip_seen_hash(const struct gossip_seen *seen, struct tern_view id)
{
    uint64_t hash = tern_siphash(seen->key, id);
    return hash == 0 ? 1 : hash;
}

static size_t seen_mask(const struct gossip_seen *seen)
{
    return 2 * seen->capacity - 1;
}

/* The place of a hash, or of the free place where it would go. The table is never more than half
 * full. */
static size_t seen_find(const struct gossip_seen *seen, uint64_t hash)
{
    size_t i = hash & seen_mask(seen);
    while (seen->table[i] != 0 && seen->table[i] != hash)
        i = (i + 1) & seen_mask(seen);
    return i;
}

bool gossip_seen_has(const struct gossip_seen *seen, uint64_t hash)
{
    return seen->table[seen_find(seen, hash)] == hash;
}

/* Takes a hash out and moves those behind it up, so that every search still ends at a free place.
 */
static void seen_remove(struct gossip_seen *seen, uint64_t hash)
{
    size_t mask = seen_mask(seen);
    size_t hole = seen_find(seen, hash);
    TERN_CHECK(seen->table[hole] == hash);
    for (size_t i = (hole + 1) & mask; seen->table[i] != 0; i = (i + 1) & mask) {
        size_t home = seen->table[i] & mask;
        if (((i - home) & mask) < ((i - hole) & mask))
            continue;
        seen->table[hole] = seen->table[i];
        hole = i;
    }
    seen->table[hole] = 0;
}

static void seen_drop_oldest(struct gossip_seen *seen)
{
    seen_remove(seen, seen->ring[seen->head].hash);
    seen->head = (seen->head + 1) & (seen->capacity - 1);
    seen->count--;
}

void gossip_seen_expire(struct gossip_seen *seen, tern_time now)
{
    while (seen->count > 0 && seen->ring[seen->head].expires <= now)
        seen_drop_oldest(seen);
}

bool gossip_seen_add(struct gossip_seen *seen, tern_time now, uint64_t hash)
{
    TERN_DCHECK(hash != 0);
    if (gossip_seen_has(seen, hash))
        return false;
    if (seen->count == seen->capacity)
        seen_drop_oldest(seen);
    seen->table[seen_find(seen, hash)] = hash;
    size_t tail = (seen->head + seen->count) & (seen->capacity - 1);
    seen->ring[tail] =
        (struct gossip_seen_entry){.hash = hash, .expires = tern_time_add(now, seen->ttl_ns)};
    seen->count++;
    return true;
}
