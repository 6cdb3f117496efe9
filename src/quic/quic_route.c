#include "quic/quic_route.h"

#include "base/check.h"

void quic_routes_init(struct quic_routes *routes, struct tern_mem *mem, struct tern_random *random)
{
    uint64_t keys[4];
    tern_random_bytes(random, keys, sizeof keys);
    *routes = (struct quic_routes){.mem = mem};
    tern_map_init(&routes->cids, mem, keys);
    tern_map_init(&routes->tokens, mem, keys + 2);
}

void quic_routes_fini(struct quic_routes *routes)
{
    TERN_CHECK(tern_map_count(&routes->cids) == 0 && tern_map_count(&routes->tokens) == 0);
    tern_map_fini(&routes->cids);
    tern_map_fini(&routes->tokens);
}

void quic_route_init(struct quic_route *route, enum quic_route_kind kind)
{
    route->kind = kind;
    tern_list_init(&route->keys);
}

static struct quic_route_key *route_find(struct tern_map *map, struct tern_view bytes)
{
    struct tern_map_entry *entry = tern_map_find(map, bytes);
    return entry == NULL ? NULL : TERN_CONTAINER_OF(entry, struct quic_route_key, entry);
}

static tern_err route_add(struct quic_routes *routes, struct tern_map *map,
                          struct quic_route *route, struct tern_view bytes)
{
    TERN_CHECK(bytes.size > 0 && bytes.size <= QUIC_CID_SIZE_MAX);
    if (route_find(map, bytes) != NULL)
        return TERN_ERR_EXISTS;
    struct quic_route_key *key = tern_mem_zalloc(routes->mem, sizeof *key);
    if (key == NULL)
        return TERN_ERR_MEMORY;
    key->route = route;
    key->map = map;
    key->size = (uint8_t)bytes.size;
    memcpy(key->bytes, bytes.data, bytes.size);
    tern_err err = tern_map_insert(map, &key->entry, tern_view_of(key->bytes, key->size));
    if (err != TERN_OK) {
        tern_mem_free(routes->mem, key, sizeof *key);
        return err;
    }
    tern_list_push_back(&route->keys, &key->link);
    return TERN_OK;
}

static void route_forget(struct quic_routes *routes, struct quic_route_key *key)
{
    if (routes->recent == key)
        routes->recent = NULL;
    tern_map_remove(key->map, &key->entry);
    tern_list_remove(&key->link);
    tern_mem_free(routes->mem, key, sizeof *key);
}

static void route_remove(struct quic_routes *routes, struct tern_map *map,
                         const struct quic_route *route, struct tern_view bytes)
{
    struct quic_route_key *key = route_find(map, bytes);
    if (key != NULL && key->route == route)
        route_forget(routes, key);
}

tern_err quic_route_add_cid(struct quic_routes *routes, struct quic_route *route,
                            struct tern_view cid)
{
    return route_add(routes, &routes->cids, route, cid);
}

tern_err quic_route_add_token(struct quic_routes *routes, struct quic_route *route,
                              struct tern_view token)
{
    return route_add(routes, &routes->tokens, route, token);
}

void quic_route_remove_cid(struct quic_routes *routes, struct quic_route *route,
                           struct tern_view cid)
{
    route_remove(routes, &routes->cids, route, cid);
}

void quic_route_remove_token(struct quic_routes *routes, struct quic_route *route,
                             struct tern_view token)
{
    route_remove(routes, &routes->tokens, route, token);
}

void quic_route_move(struct quic_route *from, struct quic_route *to)
{
    TERN_LIST_FOREACH (node, &from->keys)
        TERN_LIST_ENTRY(node, struct quic_route_key, link)->route = to;
    tern_list_take_all(&to->keys, &from->keys);
}

void quic_route_clear(struct quic_routes *routes, struct quic_route *route)
{
    while (!tern_list_empty(&route->keys))
        route_forget(routes, TERN_LIST_ENTRY(route->keys.next, struct quic_route_key, link));
}

struct quic_route *quic_routes_find_cid(struct quic_routes *routes, struct tern_view cid)
{
    const struct quic_route_key *recent = routes->recent;
    if (recent != NULL && recent->size == cid.size &&
        memcmp(recent->bytes, cid.data, cid.size) == 0)
        return recent->route;
    struct quic_route_key *key = route_find(&routes->cids, cid);
    if (key == NULL)
        return NULL;
    routes->recent = key;
    return key->route;
}

struct quic_route *quic_routes_find_token(struct quic_routes *routes, struct tern_view token)
{
    struct quic_route_key *key = route_find(&routes->tokens, token);
    return key == NULL ? NULL : key->route;
}
