#include "swarm/scopes.h"

#include "swarm/private.h"

enum { SHARES_PROTOCOL = 0x100, SHARES_FIRST = 4, SHARES_MAX = 1024 };

/* --- shares: what one service or protocol has of one peer --- */

static uint16_t shares_of(enum tern_scope_kind kind, const struct swarm_charge *charge)
{
    uint32_t of = kind == TERN_SCOPE_SERVICE_PEER
                      ? charge->service + 1
                      : SHARES_PROTOCOL + (uint32_t)charge->protocol->handle;
    return (uint16_t)of;
}

static struct swarm_share *shares_find(const struct swarm_peer *peer, uint16_t of)
{
    for (uint32_t i = 0; i < peer->shares_capacity; i++)
        if (peer->shares[i].of == of)
            return &peer->shares[i];
    return NULL;
}

/* shares_get finds the share, or makes an empty one; NULL: no memory. */
static struct swarm_share *shares_get(struct tern_swarm *s, struct swarm_peer *peer, uint16_t of)
{
    struct swarm_share *share = shares_find(peer, of);
    if (share == NULL)
        share = shares_find(peer, 0);
    if (share == NULL) {
        uint32_t count = peer->shares_capacity;
        uint32_t capacity = count == 0 ? SHARES_FIRST : 2 * count;
        TERN_CHECK(capacity <= SHARES_MAX);
        struct swarm_share *grown =
            tern_mem_realloc(s->mem, peer->shares, count * sizeof *grown, capacity * sizeof *grown);
        if (grown == NULL)
            return NULL;
        memset(&grown[count], 0, (capacity - count) * sizeof *grown);
        peer->shares = grown;
        peer->shares_capacity = (uint16_t)capacity;
        share = &grown[count];
    }
    share->of = of;
    return share;
}

static uint32_t *shares_number(struct swarm_share *share, enum tern_resource resource)
{
    switch (resource) {
    case TERN_RESOURCE_MEMORY:
        return &share->memory;
    case TERN_RESOURCE_STREAMS_IN:
        return &share->streams_in;
    case TERN_RESOURCE_STREAMS_OUT:
        return &share->streams_out;
    case TERN_RESOURCE_CONNECTIONS_IN:
    case TERN_RESOURCE_CONNECTIONS_OUT:
    case TERN_RESOURCE_FDS:
    case TERN_RESOURCE_COUNT:
        break;
    }
    TERN_UNREACHABLE();
}

/* A share that counts nothing any more is free. */
static void shares_settle(struct swarm_share *share)
{
    if (share->streams_in == 0 && share->streams_out == 0 && share->memory == 0)
        share->of = 0;
}

static tern_err shares_reserve(struct tern_swarm *s, const struct swarm_charge *charge,
                               enum tern_scope_kind kind, enum tern_resource resource,
                               uint64_t amount)
{
    bool service = kind == TERN_SCOPE_SERVICE_PEER;
    const struct tern_scope_limits *limits =
        service ? &s->services[charge->service].peer_limits : &charge->protocol->peer_limits;
    struct swarm_share *share = shares_get(s, charge->peer, shares_of(kind, charge));
    if (share == NULL)
        return TERN_ERR_MEMORY;
    uint32_t *used = shares_number(share, resource);
    uint64_t max = limits->max[resource] == 0 ? UINT32_MAX : limits->max[resource];
    max = max > UINT32_MAX ? UINT32_MAX : max;
    if (*used <= max && amount <= max - *used) {
        *used += (uint32_t)amount;
        return TERN_OK;
    }
    const struct swarm_refused refused = {
        .scope = kind,
        .resource = resource,
        .used = *used,
        .limit = limits->max[resource],
        .asked = amount,
        .peer = charge->peer,
        .service = service ? &s->services[charge->service] : NULL,
        .protocol = service ? NULL : charge->protocol,
    };
    shares_settle(share);
    tern_limits_refuse_scope(s, &refused);
    return resource == TERN_RESOURCE_MEMORY ? TERN_ERR_SCOPE_MEMORY : TERN_ERR_SCOPE_STREAMS;
}

static void shares_release(const struct swarm_charge *charge, enum tern_scope_kind kind,
                           enum tern_resource resource, uint64_t amount)
{
    struct swarm_share *share = shares_find(charge->peer, shares_of(kind, charge));
    TERN_CHECK(share != NULL);
    uint32_t *used = shares_number(share, resource);
    TERN_CHECK(*used >= amount);
    *used -= (uint32_t)amount;
    shares_settle(share);
}

const struct swarm_share *tern_scopes_share(const struct tern_swarm *s,
                                            const struct swarm_charge *charge)
{
    (void)s;
    return shares_find(charge->peer, shares_of(charge->protocol == NULL ? TERN_SCOPE_SERVICE_PEER
                                                                        : TERN_SCOPE_PROTOCOL_PEER,
                                               charge));
}

/* --- all that one charge concerns --- */

/* The narrowest first, so that a refusal names it. */
static const enum tern_scope_kind scopes_order[] = {
    TERN_SCOPE_PROTOCOL_PEER,
    TERN_SCOPE_SERVICE_PEER,
    TERN_SCOPE_PROTOCOL,
    TERN_SCOPE_SERVICE,
};

static bool scopes_concerns(const struct swarm_charge *charge, enum tern_scope_kind kind)
{
    bool protocol = kind == TERN_SCOPE_PROTOCOL || kind == TERN_SCOPE_PROTOCOL_PEER;
    bool share = kind == TERN_SCOPE_PROTOCOL_PEER || kind == TERN_SCOPE_SERVICE_PEER;
    if (share && charge->peer == NULL)
        return false;
    return protocol ? charge->protocol != NULL : charge->service != SWARM_SERVICE_NONE;
}

static struct tern_scope *scopes_scope(struct tern_swarm *s, const struct swarm_charge *charge,
                                       enum tern_scope_kind kind)
{
    if (kind == TERN_SCOPE_PROTOCOL)
        return &charge->protocol->scope;
    return kind == TERN_SCOPE_SERVICE ? &s->services[charge->service].scope : NULL;
}

static void scopes_release_first(struct tern_swarm *s, const struct swarm_charge *charge, size_t n,
                                 enum tern_resource resource, uint64_t amount)
{
    while (n-- > 0) {
        enum tern_scope_kind kind = scopes_order[n];
        if (!scopes_concerns(charge, kind))
            continue;
        struct tern_scope *scope = scopes_scope(s, charge, kind);
        if (scope != NULL)
            tern_scope_release(scope, resource, amount);
        else
            shares_release(charge, kind, resource, amount);
    }
}

tern_err tern_scopes_reserve(struct tern_swarm *s, const struct swarm_charge *charge,
                             enum tern_resource resource, uint64_t amount)
{
    for (size_t i = 0; i < TERN_COUNT_OF(scopes_order); i++) {
        enum tern_scope_kind kind = scopes_order[i];
        if (!scopes_concerns(charge, kind))
            continue;
        struct tern_scope *scope = scopes_scope(s, charge, kind);
        tern_err err = scope != NULL ? tern_scope_reserve(scope, resource, amount, NULL)
                                     : shares_reserve(s, charge, kind, resource, amount);
        if (err == TERN_OK)
            continue;
        scopes_release_first(s, charge, i, resource, amount);
        return err;
    }
    return TERN_OK;
}

void tern_scopes_release(struct tern_swarm *s, const struct swarm_charge *charge,
                         enum tern_resource resource, uint64_t amount)
{
    scopes_release_first(s, charge, TERN_COUNT_OF(scopes_order), resource, amount);
}

void tern_scopes_peer_leaves(struct tern_swarm *s, struct swarm_peer *peer)
{
    for (uint32_t i = 0; i < peer->shares_capacity; i++) {
        struct swarm_share *share = &peer->shares[i];
        if (share->of == 0)
            continue;
        TERN_CHECK(share->of < SHARES_PROTOCOL && share->streams_in == 0 &&
                   share->streams_out == 0);
        tern_scope_release(&peer->scope, TERN_RESOURCE_MEMORY, share->memory);
        s->system.used[TERN_RESOURCE_MEMORY] += share->memory; /* just given back, so it fits */
        *share = (struct swarm_share){.of = 0};
    }
}

void tern_scopes_peer_fini(struct tern_swarm *s, struct swarm_peer *peer)
{
    tern_mem_free(s->mem, peer->shares, peer->shares_capacity * sizeof peer->shares[0]);
    peer->shares = NULL;
    peer->shares_capacity = 0;
}

/* --- protocols by name --- */

void tern_protocols_init(struct tern_swarm *s)
{
    tern_map_init(&s->protocol_names, s->mem, s->peers.hash_key);
    tern_slots_init(&s->protocol_slots, s->mem, SWARM_PROTOCOL_NAMES_MAX);
}

static void protocol_free(struct tern_swarm *s, struct swarm_protocol *protocol)
{
    tern_map_remove(&s->protocol_names, &protocol->entry);
    tern_slots_remove(&s->protocol_slots, protocol->handle);
    tern_scope_fini(&protocol->scope);
    tern_mem_free(s->mem, protocol, sizeof *protocol + protocol->name_size);
}

void tern_protocols_fini(struct tern_swarm *s)
{
    struct tern_map_entry *entry;
    while ((entry = tern_map_first(&s->protocol_names)) != NULL)
        protocol_free(s, TERN_CONTAINER_OF(entry, struct swarm_protocol, entry));
    tern_map_fini(&s->protocol_names);
    tern_slots_fini(&s->protocol_slots);
}

struct swarm_protocol *tern_protocols_find(const struct tern_swarm *s, struct tern_view name)
{
    struct tern_map_entry *entry = tern_map_find(&s->protocol_names, name);
    return entry == NULL ? NULL : TERN_CONTAINER_OF(entry, struct swarm_protocol, entry);
}

/* protocol_make_room forgets one that nobody uses, if all places are taken. */
static void protocol_make_room(struct tern_swarm *s)
{
    if (tern_map_count(&s->protocol_names) < SWARM_PROTOCOL_NAMES_MAX)
        return;
    TERN_MAP_FOREACH (entry, &s->protocol_names) {
        struct swarm_protocol *protocol = TERN_CONTAINER_OF(entry, struct swarm_protocol, entry);
        if (protocol->users > 0)
            continue;
        protocol_free(s, protocol);
        return;
    }
}

static tern_err protocol_new(struct tern_swarm *s, struct tern_view name,
                             struct swarm_protocol **out)
{
    if (name.size == 0 || name.size > SWARM_PROTOCOL_NAME_SIZE_MAX)
        return TERN_ERR_INVALID;
    protocol_make_room(s);
    struct swarm_protocol *protocol = tern_mem_zalloc(s->mem, sizeof *protocol + name.size);
    if (protocol == NULL)
        return TERN_ERR_MEMORY;
    protocol->meter.at = s->now;
    protocol->name_size = (uint16_t)name.size;
    memcpy(protocol->name, name.data, name.size);
    tern_err err = tern_slots_add(&s->protocol_slots, protocol, &protocol->handle);
    if (err == TERN_OK) {
        err = tern_map_insert(&s->protocol_names, &protocol->entry,
                              tern_view_of(protocol->name, name.size));
        if (err != TERN_OK)
            tern_slots_remove(&s->protocol_slots, protocol->handle);
    }
    if (err != TERN_OK) {
        tern_mem_free(s->mem, protocol, sizeof *protocol + name.size);
        return err;
    }
    tern_limits_scope_init(&protocol->scope, TERN_SCOPE_PROTOCOL, NULL, &s->config.limits.protocol);
    protocol->scope.watch = &s->watch;
    protocol->peer_limits = s->config.limits.protocol_peer;
    *out = protocol;
    return TERN_OK;
}

tern_err tern_protocols_use(struct tern_swarm *s, struct tern_view name,
                            struct swarm_protocol **out)
{
    struct swarm_protocol *protocol = tern_protocols_find(s, name);
    if (protocol == NULL)
        TERN_TRY(protocol_new(s, name, &protocol));
    protocol->users++;
    *out = protocol;
    return TERN_OK;
}

void tern_protocols_drop(struct tern_swarm *s, struct swarm_protocol *protocol)
{
    (void)s;
    TERN_CHECK(protocol->users > 0);
    protocol->users--;
}

/* --- what services call --- */

tern_err tern_swarm_reserve_memory(struct tern_swarm *s, uint32_t service, tern_peer handle,
                                   size_t bytes)
{
    TERN_CHECK(service < s->services_count);
    struct swarm_peer *peer = tern_peers_of_handle(s, handle);
    const struct swarm_charge charge = {.peer = peer, .service = service};
    struct tern_scope *above = peer == NULL ? &s->system : &peer->scope;
    if (handle != 0 && peer == NULL)
        return TERN_ERR_STALE;
    TERN_TRY(tern_scopes_reserve(s, &charge, TERN_RESOURCE_MEMORY, bytes));
    tern_err err = tern_scope_reserve(above, TERN_RESOURCE_MEMORY, bytes, NULL);
    if (err != TERN_OK)
        tern_scopes_release(s, &charge, TERN_RESOURCE_MEMORY, bytes);
    return err;
}

void tern_swarm_release_memory(struct tern_swarm *s, uint32_t service, tern_peer handle,
                               size_t bytes)
{
    TERN_CHECK(service < s->services_count);
    struct swarm_peer *peer = tern_peers_of_handle(s, handle);
    const struct swarm_charge charge = {.peer = peer, .service = service};
    tern_scopes_release(s, &charge, TERN_RESOURCE_MEMORY, bytes);
    tern_scope_release(peer == NULL ? &s->system : &peer->scope, TERN_RESOURCE_MEMORY, bytes);
}

void tern_swarm_set_service_limits(struct tern_swarm *s, uint32_t service,
                                   const struct tern_scope_limits *all,
                                   const struct tern_scope_limits *each_peer)
{
    TERN_CHECK(service < s->services_count);
    struct swarm_service *of = &s->services[service];
    of->scope.limits = all == NULL ? s->config.limits.service : *all;
    of->peer_limits = each_peer == NULL ? s->config.limits.service_peer : *each_peer;
    tern_limits_clip(&of->scope.limits, TERN_SCOPE_SERVICE);
    tern_limits_clip(&of->peer_limits, TERN_SCOPE_SERVICE_PEER);
}

tern_err tern_swarm_set_protocol_limits(struct tern_swarm *s, struct tern_view name,
                                        const struct tern_scope_limits *all,
                                        const struct tern_scope_limits *each_peer)
{
    struct swarm_protocol *of = tern_protocols_find(s, name);
    if (of == NULL || !of->limited) {
        TERN_TRY(tern_protocols_use(s, name, &of));
        of->limited = true;
    }
    of->scope.limits = all == NULL ? s->config.limits.protocol : *all;
    of->peer_limits = each_peer == NULL ? s->config.limits.protocol_peer : *each_peer;
    tern_limits_clip(&of->scope.limits, TERN_SCOPE_PROTOCOL);
    tern_limits_clip(&of->peer_limits, TERN_SCOPE_PROTOCOL_PEER);
    return TERN_OK;
}
