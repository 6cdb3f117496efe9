/*
 * Addresses that failed lately are not tried for a while: 5 s, doubled with each failure in a row,
 * at most 10 minutes. A success forgets them. The table is bounded; the longest untouched makes
 * room.
 */
#include "swarm/private.h"

#define BACKOFF_BASE_NS (5 * TERN_SECOND)
#define BACKOFF_MAX_NS  (10 * TERN_MINUTE)

enum { BACKOFF_KEY_SIZE = 20, BACKOFF_DOUBLINGS_MAX = 7 };

struct backoff {
    struct tern_map_entry entry;
    struct tern_list lru;
    uint8_t key[BACKOFF_KEY_SIZE]; /* family, IP, port, transport */
    uint32_t failures;
    tern_time until;
};

void tern_backoffs_init(struct tern_swarm *s)
{
    const uint64_t key[2] = {tern_random_u64(s->config.random), tern_random_u64(s->config.random)};
    tern_map_init(&s->backoffs.map, s->mem, key);
    tern_list_init(&s->backoffs.lru);
}

static void backoff_free(struct tern_swarm *s, struct backoff *backoff)
{
    tern_map_remove(&s->backoffs.map, &backoff->entry);
    tern_list_remove(&backoff->lru);
    tern_mem_free(s->mem, backoff, sizeof *backoff);
}

void tern_backoffs_fini(struct tern_swarm *s)
{
    struct tern_list *node;
    while ((node = tern_list_front(&s->backoffs.lru)) != NULL)
        backoff_free(s, TERN_LIST_ENTRY(node, struct backoff, lru));
    tern_map_fini(&s->backoffs.map);
}

static void backoff_key(const struct tern_route *route, uint8_t key[BACKOFF_KEY_SIZE])
{
    const struct tern_endpoint *endpoint = &route->endpoint;
    memset(key, 0, BACKOFF_KEY_SIZE);
    key[0] = endpoint->family;
    memcpy(&key[1], endpoint->ip, endpoint->family == 4 ? 4 : 16);
    key[17] = (uint8_t)(endpoint->port >> 8);
    key[18] = (uint8_t)endpoint->port;
    key[19] = (uint8_t)route->transport;
}

static struct backoff *backoff_find(const struct tern_swarm *s, const struct tern_route *route)
{
    uint8_t key[BACKOFF_KEY_SIZE];
    backoff_key(route, key);
    struct tern_map_entry *entry = tern_map_find(&s->backoffs.map, tern_view_of(key, sizeof key));
    return entry == NULL ? NULL : TERN_CONTAINER_OF(entry, struct backoff, entry);
}

static struct backoff *backoff_new(struct tern_swarm *s, const struct tern_route *route)
{
    struct tern_list *oldest = tern_list_front(&s->backoffs.lru);
    if (oldest != NULL && tern_map_count(&s->backoffs.map) >= SWARM_BACKOFFS_MAX)
        backoff_free(s, TERN_LIST_ENTRY(oldest, struct backoff, lru));
    struct backoff *backoff = tern_mem_zalloc(s->mem, sizeof *backoff);
    if (backoff == NULL)
        return NULL;
    backoff_key(route, backoff->key);
    if (tern_map_insert(&s->backoffs.map, &backoff->entry,
                        tern_view_of(backoff->key, sizeof backoff->key)) != TERN_OK) {
        tern_mem_free(s->mem, backoff, sizeof *backoff);
        return NULL;
    }
    tern_list_push_back(&s->backoffs.lru, &backoff->lru);
    return backoff;
}

void tern_backoffs_failed(struct tern_swarm *s, tern_time now, const struct tern_route *route)
{
    struct backoff *backoff = backoff_find(s, route);
    if (backoff == NULL)
        backoff = backoff_new(s, route);
    if (backoff == NULL)
        return; /* without memory it is tried again sooner, no more */
    uint32_t doublings =
        backoff->failures < BACKOFF_DOUBLINGS_MAX ? backoff->failures : BACKOFF_DOUBLINGS_MAX;
    backoff->failures += backoff->failures < BACKOFF_DOUBLINGS_MAX;
    backoff->until =
        tern_time_add(now, tern_time_min(BACKOFF_BASE_NS << doublings, BACKOFF_MAX_NS));
    tern_list_remove(&backoff->lru);
    tern_list_push_back(&s->backoffs.lru, &backoff->lru);
}

void tern_backoffs_worked(struct tern_swarm *s, const struct tern_route *route)
{
    struct backoff *backoff = backoff_find(s, route);
    if (backoff != NULL)
        backoff_free(s, backoff);
}

tern_time tern_backoffs_until(const struct tern_swarm *s, tern_time now,
                              const struct tern_route *route)
{
    const struct backoff *backoff = backoff_find(s, route);
    return backoff != NULL && backoff->until > now ? backoff->until : 0;
}
