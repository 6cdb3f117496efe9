/*
 * Hash map from byte-string keys to pointers, intrusive: the entry lives in the element. Open
 * hashing with SipHash-2-4 under a random key, so a peer cannot choose collisions. Iteration
 * follows insertion order, never buckets, so it is the same in every run.
 *
 *     struct peer { struct tern_map_entry entry; uint8_t id[42]; … };
 *     tern_map_insert(&map, &peer->entry, tern_view_of(peer->id, n));   (the key's bytes must
 * outlive it) struct tern_map_entry *e = tern_map_find(&map, key);
 */
#ifndef TERN_BASE_MAP_H
#define TERN_BASE_MAP_H

#include "base/error.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/types.h"

struct tern_map_entry {
    struct tern_list order;             /* insertion order */
    struct tern_map_entry *bucket_next; /* same bucket */
    struct tern_view key;               /* borrowed from the element */
    uint64_t hash;
};

struct tern_map {
    struct tern_mem *mem;
    struct tern_map_entry **buckets;
    size_t buckets_count; /* a power of two, or 0 before the first insert */
    size_t count;
    struct tern_list order;
    uint64_t hash_key[2];
};

/* tern_map_init makes an empty map; hash_key comes from the random source. Allocates nothing. */
void tern_map_init(struct tern_map *map, struct tern_mem *mem, const uint64_t hash_key[2]);

/* tern_map_fini frees the buckets. The map must be empty or its elements no longer in use. */
void tern_map_fini(struct tern_map *map);

/* tern_map_insert adds an element. The key must not be in the map yet (checked).
 * TERN_ERR_MEMORY: the bucket table could not grow; nothing was inserted. */
TERN_NODISCARD tern_err tern_map_insert(struct tern_map *map, struct tern_map_entry *entry,
                                        struct tern_view key);

/* tern_map_find returns the entry, or NULL. */
struct tern_map_entry *tern_map_find(const struct tern_map *map, struct tern_view key);

/* tern_map_remove takes an element out. It must be in. */
void tern_map_remove(struct tern_map *map, struct tern_map_entry *entry);

static inline size_t tern_map_count(const struct tern_map *map)
{
    return map->count;
}

/* tern_map_first is the oldest entry, or NULL; tern_map_next the one after it, or NULL. */
struct tern_map_entry *tern_map_first(const struct tern_map *map);
struct tern_map_entry *tern_map_next(const struct tern_map *map,
                                     const struct tern_map_entry *entry);

#define TERN_MAP_FOREACH(entry, map)                                                               \
    for (struct tern_map_entry *entry = tern_map_first(map); entry != NULL;                        \
         entry = tern_map_next(map, entry))

/* tern_siphash is SipHash-2-4 of the bytes. */
uint64_t tern_siphash(const uint64_t key[2], struct tern_view bytes);

#endif
