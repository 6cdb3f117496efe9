#include "base/map.h"

#include <sodium/crypto_shorthash_siphash24.h>

#include "base/check.h"
#include "base/writer.h"

enum { MAP_BUCKETS_MIN = 8 };

uint64_t tern_siphash(const uint64_t key[2], struct tern_view bytes)
{
    uint8_t key_bytes[crypto_shorthash_siphash24_KEYBYTES];
    struct tern_writer w = tern_writer_of(key_bytes, sizeof(key_bytes));
    tern_writer_u64le(&w, key[0]);
    tern_writer_u64le(&w, key[1]);
    uint8_t hash[crypto_shorthash_siphash24_BYTES];
    crypto_shorthash_siphash24(hash, bytes.data, bytes.size, key_bytes);
    uint64_t value = 0;
    for (size_t i = sizeof(hash); i > 0; i--)
        value = value << 8 | hash[i - 1];
    return value;
}

void tern_map_init(struct tern_map *map, struct tern_mem *mem, const uint64_t hash_key[2])
{
    *map = (struct tern_map){.mem = mem, .hash_key = {hash_key[0], hash_key[1]}};
    tern_list_init(&map->order);
}

void tern_map_fini(struct tern_map *map)
{
    tern_mem_free(map->mem, map->buckets, map->buckets_count * sizeof(struct tern_map_entry *));
    map->buckets = NULL;
    map->buckets_count = 0;
    map->count = 0;
    tern_list_init(&map->order);
}

static struct tern_map_entry **map_bucket(const struct tern_map *map, uint64_t hash)
{
    return &map->buckets[hash & (map->buckets_count - 1)];
}

static struct tern_map_entry *map_entry_of(struct tern_list *node)
{
    return TERN_LIST_ENTRY(node, struct tern_map_entry, order);
}

static tern_err map_grow(struct tern_map *map)
{
    size_t count = map->buckets_count == 0 ? MAP_BUCKETS_MIN : map->buckets_count * 2;
    struct tern_map_entry **buckets = tern_mem_zalloc(map->mem, count * sizeof(*buckets));
    if (buckets == NULL)
        return TERN_ERR_MEMORY;
    tern_mem_free(map->mem, map->buckets, map->buckets_count * sizeof(*buckets));
    map->buckets = buckets;
    map->buckets_count = count;
    TERN_LIST_FOREACH (node, &map->order) {
        struct tern_map_entry *entry = map_entry_of(node);
        struct tern_map_entry **bucket = map_bucket(map, entry->hash);
        entry->bucket_next = *bucket;
        *bucket = entry;
    }
    return TERN_OK;
}

static struct tern_map_entry *map_find_hashed(const struct tern_map *map, struct tern_view key,
                                              uint64_t hash)
{
    if (map->buckets_count == 0)
        return NULL;
    for (struct tern_map_entry *e = *map_bucket(map, hash); e != NULL; e = e->bucket_next) {
        if (e->hash == hash && tern_view_equal(e->key, key))
            return e;
    }
    return NULL;
}

tern_err tern_map_insert(struct tern_map *map, struct tern_map_entry *entry, struct tern_view key)
{
    uint64_t hash = tern_siphash(map->hash_key, key);
    TERN_CHECK(map_find_hashed(map, key, hash) == NULL);
    if (map->count >= map->buckets_count)
        TERN_TRY(map_grow(map));
    struct tern_map_entry **bucket = map_bucket(map, hash);
    entry->key = key;
    entry->hash = hash;
    entry->bucket_next = *bucket;
    *bucket = entry;
    tern_list_push_back(&map->order, &entry->order);
    map->count++;
    return TERN_OK;
}

struct tern_map_entry *tern_map_find(const struct tern_map *map, struct tern_view key)
{
    if (map->count == 0)
        return NULL;
    return map_find_hashed(map, key, tern_siphash(map->hash_key, key));
}

void tern_map_remove(struct tern_map *map, struct tern_map_entry *entry)
{
    TERN_CHECK(map->count > 0);
    struct tern_map_entry **at = map_bucket(map, entry->hash);
    while (*at != entry) {
        TERN_CHECK(*at != NULL);
        at = &(*at)->bucket_next;
    }
    *at = entry->bucket_next;
    entry->bucket_next = NULL;
    tern_list_remove(&entry->order);
    map->count--;
}

struct tern_map_entry *tern_map_first(const struct tern_map *map)
{
    struct tern_list *node = tern_list_front(&map->order);
    return node == NULL ? NULL : map_entry_of(node);
}

struct tern_map_entry *tern_map_next(const struct tern_map *map, const struct tern_map_entry *entry)
{
    struct tern_list *node = entry->order.next;
    return node == &map->order ? NULL : map_entry_of(node);
}
