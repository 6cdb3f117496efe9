/*
 * Whose datagram is it: connection ids of ours, and tokens of stateless resets that remotes may
 * send (RFC 9000, sections 5.2 and 10.3.1). Both lead to a route, which is part of a session or of
 * what is remembered of one that has ended.
 */
#ifndef TERN_QUIC_QUIC_ROUTE_H
#define TERN_QUIC_QUIC_ROUTE_H

#include "base/map.h"
#include "base/random.h"

enum {
    QUIC_CID_SIZE = 8, /* of ours */
    QUIC_CID_SIZE_MAX = 20,
    QUIC_RESET_TOKEN_SIZE = 16,
};

enum quic_route_kind { QUIC_ROUTE_CONN, QUIC_ROUTE_ENDING };

struct quic_route {
    enum quic_route_kind kind;
    struct tern_list keys; /* struct quic_route_key */
};

struct quic_route_key {
    struct tern_map_entry entry;
    struct tern_list link;
    struct quic_route *route;
    struct tern_map *map;
    uint8_t size;
    uint8_t bytes[QUIC_CID_SIZE_MAX];
};

struct quic_routes {
    struct tern_mem *mem;
    struct tern_map cids;
    struct tern_map tokens;
    struct quic_route_key *recent; /* the last id that was found */
};

void quic_routes_init(struct quic_routes *routes, struct tern_mem *mem, struct tern_random *random);

/* quic_routes_fini: no route may have keys any more. */
void quic_routes_fini(struct quic_routes *routes);

void quic_route_init(struct quic_route *route, enum quic_route_kind kind);

/* quic_route_add_cid lets a connection id lead to the route. TERN_ERR_MEMORY; TERN_ERR_EXISTS. */
TERN_NODISCARD tern_err quic_route_add_cid(struct quic_routes *routes, struct quic_route *route,
                                           struct tern_view cid);

/* quic_route_add_token is the same for a token of a stateless reset. */
TERN_NODISCARD tern_err quic_route_add_token(struct quic_routes *routes, struct quic_route *route,
                                             struct tern_view token);

/* quic_route_remove_cid and _token forget it, if it leads here. */
void quic_route_remove_cid(struct quic_routes *routes, struct quic_route *route,
                           struct tern_view cid);
void quic_route_remove_token(struct quic_routes *routes, struct quic_route *route,
                             struct tern_view token);

/* quic_route_move lets all that led to one route lead to another. */
void quic_route_move(struct quic_route *from, struct quic_route *to);

/* quic_route_clear forgets all that leads to the route. */
void quic_route_clear(struct quic_routes *routes, struct quic_route *route);

/* quic_routes_find_cid and _token are the route, or NULL. */
struct quic_route *quic_routes_find_cid(struct quic_routes *routes, struct tern_view cid);
struct quic_route *quic_routes_find_token(struct quic_routes *routes, struct tern_view token);

#endif
