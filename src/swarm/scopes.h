/*
 * What streams and services are charged to beside connections: services, protocols, and each of
 * them with one peer. Inside the swarm.
 *
 * A scope of a service or a protocol is a struct tern_scope. What one of them has with one peer is
 * a share: a few numbers in an array of the peer's, because there are as many shares as peers times
 * services.
 *
 * Protocols are known by name, served ones and those that services open. One that has no streams,
 * is not served and has no limits of its own stays for its meter, until another needs the place.
 */
#ifndef TERN_SWARM_SCOPES_H
#define TERN_SWARM_SCOPES_H

#include "base/map.h"
#include "swarm/limits.h"
#include "swarm/meter.h"

struct swarm_peer;
struct swarm_stream;
struct tern_service_ops;
struct tern_swarm;

enum {
    SWARM_PROTOCOL_NAMES_MAX = 256, /* protocols that are served, spoken, or limited */
    SWARM_PROTOCOL_NAME_SIZE_MAX = 1024,
    SWARM_SERVICE_NONE = 255,
};

struct swarm_share {
    uint16_t of; /* service number + 1, or SHARES_PROTOCOL + protocol number; 0: free */
    uint32_t streams_in;
    uint32_t streams_out;
    uint32_t memory;
};

struct swarm_service {
    const struct tern_service_ops *ops;
    void *self;
    struct tern_scope scope;
    struct tern_scope_limits peer_limits; /* of its share of each peer */
};

struct swarm_protocol {
    struct tern_map_entry entry;
    struct tern_scope scope;
    struct tern_scope_limits peer_limits;
    struct swarm_meter meter;
    uint64_t handle;
    uint32_t users; /* streams, places in the table of served ones, limits of its own */
    bool limited;   /* the program has given it limits */
    uint16_t name_size;
    uint8_t name[];
};

/* Whom something is charged to; peer NULL, service SWARM_SERVICE_NONE, protocol NULL: not to one.
 */
struct swarm_charge {
    struct swarm_peer *peer;
    uint32_t service;
    struct swarm_protocol *protocol;
};

/* tern_scopes_reserve charges all of them, or none. TERN_ERR_SCOPE_STREAMS, SCOPE_MEMORY; MEMORY
 * (no room to count in). */
TERN_NODISCARD tern_err tern_scopes_reserve(struct tern_swarm *s, const struct swarm_charge *charge,
                                            enum tern_resource resource, uint64_t amount);
void tern_scopes_release(struct tern_swarm *s, const struct swarm_charge *charge,
                         enum tern_resource resource, uint64_t amount);

/* tern_scopes_share finds what a service or a protocol has of a peer; NULL: nothing. */
const struct swarm_share *tern_scopes_share(const struct tern_swarm *s,
                                            const struct swarm_charge *charge);

/* tern_scopes_peer_leaves takes a peer out of the accounts: what services still hold for it stays
 * charged to the services alone. tern_scopes_peer_fini frees its shares. */
void tern_scopes_peer_leaves(struct tern_swarm *s, struct swarm_peer *peer);
void tern_scopes_peer_fini(struct tern_swarm *s, struct swarm_peer *peer);

/* --- protocols by name --- */

void tern_protocols_init(struct tern_swarm *s);
void tern_protocols_fini(struct tern_swarm *s);
/* tern_protocols_use finds the protocol, or makes it, for one more user. TERN_ERR_FULL, MEMORY;
 * INVALID: no name is so long. */
TERN_NODISCARD tern_err tern_protocols_use(struct tern_swarm *s, struct tern_view name,
                                           struct swarm_protocol **protocol);
void tern_protocols_drop(struct tern_swarm *s, struct swarm_protocol *protocol);
struct swarm_protocol *tern_protocols_find(const struct tern_swarm *s, struct tern_view name);

#endif
