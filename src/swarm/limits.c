/*
 * Limits: the profiles, the scopes that enforce them, and what is kept of a refusal.
 *
 * Refusals are heard of where they happen (a scope's watch), also those inside a muxer, so none
 * goes unexplained. What a refusal keeps is plain data; the sentence is made when somebody asks.
 */
#include "swarm/private.h"

#define LIMITS_MIB (UINT64_C(1) << 20)

struct limits_profile {
    uint32_t connections; /* in each direction */
    uint32_t transient;   /* inbound ones that are not established yet */
    uint32_t streams;
    uint64_t memory;
    struct tern_swarm_limits numbers;
};

/* One IPv4 address may be many users behind a carrier's NAT, and one IPv6 /64 is one of them: hence
 * an eighth of all places for an address, a quarter for its neighbourhood. Rates let all of a site
 * come back at once after its line was down; in the long run a handshake every 200 ms of one
 * address costs a fiftieth of a core. */
#define LIMITS_SUBNET(connections, per_minute_, burst_)                                            \
    {                                                                                              \
        .connections_max = connections, .handshakes = {                                            \
            .per_minute = per_minute_,                                                             \
            .burst = burst_                                                                        \
        }                                                                                          \
    }

static const struct limits_profile
    limits_profiles[] =
        {
            [TERN_PROFILE_METER] = {.connections = 16,
                                    .transient = 8,
                                    .streams = 256,
                                    .memory = 8 * LIMITS_MIB,
                                    .numbers =
                                        {.connections_per_peer_max = 3,
                                         .connections_high = 14,
                                         .connections_low = 12,
                                         .transient_per_address_max = 4,
                                         .dials_max = 4,
                                         .dials_per_peer_max = 2,
                                         .dials_waiting_max = 16,
                                         .peers_max = 128,
                                         .subnets =
                                             {
                                                 [TERN_SUBNET_IP4_32] = LIMITS_SUBNET(8, 60, 16),
                                                 [TERN_SUBNET_IP4_24] = LIMITS_SUBNET(12, 120, 24),
                                                 [TERN_SUBNET_IP6_64] = LIMITS_SUBNET(8, 60, 16),
                                                 [TERN_SUBNET_IP6_56] = LIMITS_SUBNET(8, 60, 16),
                                                 [TERN_SUBNET_IP6_48] = LIMITS_SUBNET(12, 120, 24),
                                             },
                                         .handshakes = {.per_minute = 600, .burst = 32},
                                         .links_max = 256,
                                         .windows_max = 2 * LIMITS_MIB}},
            [TERN_PROFILE_DEFAULT] =
                {
                    .connections = 512,
                    .transient = 128,
                    .streams = 16384,
                    .memory = 512 * LIMITS_MIB,
                    .numbers = {.connections_per_peer_max = 8,
                                .connections_high = 384,
                                .connections_low = 320,
                                .transient_per_address_max = 32,
                                .dials_max = 64,
                                .dials_per_peer_max =
                                    8,
                                .dials_waiting_max = 256,
                                .peers_max = 4096,
                                .subnets =
                                    {
                                        [TERN_SUBNET_IP4_32] = LIMITS_SUBNET(64, 300, 100),
                                        [TERN_SUBNET_IP4_24] = LIMITS_SUBNET(128, 1200, 300),
                                        [TERN_SUBNET_IP6_64] = LIMITS_SUBNET(32, 300, 100),
                                        [TERN_SUBNET_IP6_56] = LIMITS_SUBNET(64, 600, 150),
                                        [TERN_SUBNET_IP6_48] = LIMITS_SUBNET(128, 1200, 300),
                                    },
                                .handshakes = {.per_minute = 12000, .burst = 1000},
                                .links_max = 8192,
                                .windows_max = 256 * LIMITS_MIB}},
            [TERN_PROFILE_SERVER] = {.connections = 16384,
                                     .transient = 1024,
                                     .streams = 262144,
                                     .memory = 4096 * LIMITS_MIB,
                                     .numbers =
                                         {.connections_per_peer_max = 8,
                                          .connections_high = 14336,
                                          .connections_low = 12288,
                                          .transient_per_address_max = 64,
                                          .dials_max = 512,
                                          .dials_per_peer_max = 8,
                                          .dials_waiting_max = 2048,
                                          .peers_max = 32768,
                                          .subnets =
                                              {
                                                  [TERN_SUBNET_IP4_32] =
                                                      LIMITS_SUBNET(512, 600, 200),
                                                  [TERN_SUBNET_IP4_24] =
                                                      LIMITS_SUBNET(2048, 2400, 600),
                                                  [TERN_SUBNET_IP6_64] =
                                                      LIMITS_SUBNET(256, 600, 200),
                                                  [TERN_SUBNET_IP6_56] =
                                                      LIMITS_SUBNET(512, 1200, 300),
                                                  [TERN_SUBNET_IP6_48] =
                                                      LIMITS_SUBNET(2048, 2400, 600),
                                              },
                                          .handshakes = {.per_minute = 60000, .burst = 4000},
                                          .links_max = 65536,
                                          .windows_max = 2048 * LIMITS_MIB}},
            [TERN_PROFILE_SIMULATION] = {.connections = 256,
                                         .transient = 128,
                                         .streams = 8192,
                                         .memory = 16 * LIMITS_MIB,
                                         .numbers = {.connections_per_peer_max = 8,
                                                     .connections_high = 0,
                                                     .connections_low = 0,
                                                     .transient_per_address_max = 128,
                                                     .dials_max = 32,
                                                     .dials_per_peer_max = 8,
                                                     .dials_waiting_max = 128,
                                                     .peers_max = 2048,
                                                     .links_max = 4096,
                                                     .windows_max = 8 * LIMITS_MIB}},
};

#define LIMITS_STREAM_MEMORY_MAX (32 * LIMITS_MIB)

static void limits_fill(struct tern_scope_limits *limits, uint64_t memory, uint64_t connections,
                        uint64_t streams)
{
    limits->max[TERN_RESOURCE_MEMORY] = memory;
    limits->max[TERN_RESOURCE_CONNECTIONS_IN] = connections;
    limits->max[TERN_RESOURCE_CONNECTIONS_OUT] = connections;
    limits->max[TERN_RESOURCE_STREAMS_IN] = streams;
    limits->max[TERN_RESOURCE_STREAMS_OUT] = streams;
    limits->max[TERN_RESOURCE_FDS] = connections * 2;
}

void tern_swarm_limits_profile(struct tern_swarm_limits *limits, enum tern_swarm_profile profile)
{
    TERN_CHECK((size_t)profile < TERN_COUNT_OF(limits_profiles));
    const struct limits_profile *p = &limits_profiles[profile];
    uint64_t share = p->memory / 4;
    *limits = p->numbers;
    uint64_t peer_streams = p->streams / 16 < 64 ? 64 : p->streams / 16;
    limits_fill(&limits->system, p->memory, p->connections, p->streams);
    limits->transient.max[TERN_RESOURCE_MEMORY] = share;
    limits->transient.max[TERN_RESOURCE_CONNECTIONS_IN] = p->transient;
    limits->transient_shared_max = p->transient - p->transient / 2;
    limits_fill(&limits->peer, share, p->numbers.connections_per_peer_max, peer_streams);
    limits_fill(&limits->connection, share, 0, peer_streams);
    limits->stream.max[TERN_RESOURCE_MEMORY] =
        share < LIMITS_STREAM_MEMORY_MAX ? share : LIMITS_STREAM_MEMORY_MAX;
    limits_fill(&limits->service, p->memory / 2, 0, p->streams / 2);
    limits_fill(&limits->service_peer, share, 0, peer_streams);
    limits->protocol = limits->service;
    limits->protocol_peer = limits->service_peer;
}

/* --- refusals --- */

static const char *const limits_scope_names[TERN_SCOPE_KINDS] = {
    [TERN_SCOPE_NONE] = "none",
    [TERN_SCOPE_SYSTEM] = "system",
    [TERN_SCOPE_TRANSIENT] = "transient",
    [TERN_SCOPE_PEER] = "peer",
    [TERN_SCOPE_CONNECTION] = "connection",
    [TERN_SCOPE_STREAM] = "stream",
    [TERN_SCOPE_SERVICE] = "service",
    [TERN_SCOPE_SERVICE_PEER] = "service_peer",
    [TERN_SCOPE_PROTOCOL] = "protocol",
    [TERN_SCOPE_PROTOCOL_PEER] = "protocol_peer",
};

const char *tern_scope_kind_name(enum tern_scope_kind kind)
{
    TERN_CHECK(kind < TERN_SCOPE_KINDS);
    return limits_scope_names[kind];
}

void tern_limits_scope_init(struct tern_scope *scope, enum tern_scope_kind kind,
                            struct tern_scope *parent, const struct tern_scope_limits *limits)
{
    tern_scope_init(scope, limits_scope_names[kind], parent, limits);
}

/* limits_kind_of: scopes made above are known by the very name that they were given. */
static enum tern_scope_kind limits_kind_of(const struct tern_scope *scope)
{
    for (int kind = 0; kind < TERN_SCOPE_KINDS; kind++)
        if (scope->name == limits_scope_names[kind])
            return (enum tern_scope_kind)kind;
    TERN_UNREACHABLE();
}

/* limits_owner is the object that a scope is part of. */
static const void *limits_owner(const struct tern_scope *scope, size_t offset)
{
    return (const uint8_t *)scope - offset;
}

/* limits_peer_of finds whose scope it is; NULL: nobody's. */
static const struct swarm_peer *limits_peer_of(const struct tern_scope *scope)
{
    enum tern_scope_kind kind = limits_kind_of(scope);
    if (kind == TERN_SCOPE_PEER)
        return limits_owner(scope, offsetof(struct swarm_peer, scope));
    if (kind != TERN_SCOPE_CONNECTION)
        return NULL;
    const struct swarm_conn *c = limits_owner(scope, offsetof(struct swarm_conn, scope));
    return c->peer;
}

void tern_limits_refuse(struct tern_swarm *s, enum tern_limit row, struct tern_refusal *refusal)
{
    static const enum tern_metric metrics[] = {
#define S(scope, member, resource, option, what)                                                   \
    [TERN_LIMIT_##scope##_##resource] = TERN_METRIC_SCOPE_##scope##_##resource,
#define N(name, member, unit, option, what)
#include "swarm/limits.def"
#undef S
#undef N
    };
    refusal->limit_info = tern_limit_info(row);
    s->refusal = *refusal;
    tern_metric_add(s->config.metrics, TERN_METRIC_SWARM_LIMIT_REFUSALS, 1);
    if (refusal->limit_info->scope != TERN_SCOPE_NONE)
        tern_metric_add(s->config.metrics, metrics[row], 1);
    TERN_TRACE(s->config.trace, s->now, SWARM_LIMIT, row, refusal->used, refusal->limit);
}

void tern_limits_refuse_number(struct tern_swarm *s, enum tern_limit row, uint64_t used,
                               const struct tern_peer_id *peer)
{
    struct tern_refusal refusal = {
        .used = used, .limit = tern_limit_get(&s->config.limits, row), .asked = 1};
    if (peer != NULL)
        refusal.peer = *peer;
    tern_limits_refuse(s, row, &refusal);
}

static void limits_name_protocol(struct tern_refusal *refusal,
                                 const struct swarm_protocol *protocol)
{
    size_t size = tern_min_size(protocol->name_size, sizeof refusal->protocol - 1);
    memcpy(refusal->protocol, protocol->name, size);
    refusal->protocol[size] = '\0';
}

void tern_limits_refuse_scope(struct tern_swarm *s, const struct swarm_refused *refused)
{
    enum tern_limit row = tern_limit_of_scope(refused->scope, refused->resource);
    struct tern_refusal refusal = {
        .used = refused->used,
        .limit = refused->limit,
        .asked = refused->asked,
        .own = refused->limit != tern_limit_get(&s->config.limits, row),
        .service = refused->service == NULL ? NULL : refused->service->ops->name,
    };
    if (refused->peer != NULL)
        refusal.peer = refused->peer->id;
    if (refused->protocol != NULL)
        limits_name_protocol(&refusal, refused->protocol);
    tern_limits_refuse(s, row, &refusal);
}

/* limits_refused is told by the scopes. */
static void limits_refused(void *context, const struct tern_scope *by,
                           const struct tern_scope *asked, enum tern_resource resource,
                           uint64_t amount)
{
    struct swarm_refused refused = {
        .scope = limits_kind_of(by),
        .resource = resource,
        .used = by->used[resource],
        .limit = by->limits.max[resource],
        .asked = amount,
    };
    if (refused.scope == TERN_SCOPE_PEER || refused.scope == TERN_SCOPE_CONNECTION)
        refused.peer = limits_peer_of(asked);
    if (refused.scope == TERN_SCOPE_SERVICE)
        refused.service = limits_owner(by, offsetof(struct swarm_service, scope));
    if (refused.scope == TERN_SCOPE_PROTOCOL)
        refused.protocol = limits_owner(by, offsetof(struct swarm_protocol, scope));
    tern_limits_refuse_scope(context, &refused);
}

void tern_limits_init(struct tern_swarm *s)
{
    const struct tern_swarm_limits *limits = &s->config.limits;
    const struct tern_scope_limits windows = {
        .max = {[TERN_RESOURCE_MEMORY] = limits->windows_max}};
    for (int kind = TERN_SCOPE_SYSTEM; kind < TERN_SCOPE_KINDS; kind++)
        tern_limits_clip(tern_limits_of(&s->config.limits, (enum tern_scope_kind)kind),
                         (enum tern_scope_kind)kind);
    s->watch = (struct tern_scope_watch){.refused = limits_refused, .context = s};
    tern_limits_scope_init(&s->system, TERN_SCOPE_SYSTEM, NULL, &limits->system);
    s->system.watch = &s->watch;
    tern_limits_scope_init(&s->transient, TERN_SCOPE_TRANSIENT, &s->system, &limits->transient);
    /* A window that does not grow is no refusal: nobody watches. */
    tern_scope_init(&s->windows, "windows", NULL, &windows);
}

void tern_limits_fini(struct tern_swarm *s)
{
    tern_scope_fini(&s->windows);
    tern_scope_fini(&s->transient);
    tern_scope_fini(&s->system);
}

/* limits_recharge charges all that `used` holds to one scope alone, or nothing. */
static tern_err limits_recharge(struct tern_scope *alone, const uint64_t *used)
{
    for (size_t i = 0; i < TERN_RESOURCE_COUNT; i++) {
        tern_err err = used[i] == 0
                           ? TERN_OK
                           : tern_scope_reserve(alone, (enum tern_resource)i, used[i], NULL);
        if (err == TERN_OK)
            continue;
        while (i-- > 0)
            if (used[i] != 0)
                tern_scope_release(alone, (enum tern_resource)i, used[i]);
        return err;
    }
    return TERN_OK;
}

tern_err tern_limits_move(struct tern_swarm *s, struct tern_scope *scope, struct tern_scope *parent)
{
    struct tern_scope *old = scope->parent;
    TERN_CHECK(old->parent == &s->system && parent->parent == &s->system);
    /* Both stand under the system scope, whose account does not change: it is left out, or the move
     * would be refused when the system is just full. */
    parent->parent = NULL;
    parent->watch = &s->watch;
    tern_err err = limits_recharge(parent, scope->used);
    parent->watch = NULL;
    parent->parent = &s->system;
    if (err != TERN_OK)
        return err;
    old->parent = NULL;
    for (size_t i = 0; i < TERN_RESOURCE_COUNT; i++)
        if (scope->used[i] != 0)
            tern_scope_release(old, (enum tern_resource)i, scope->used[i]);
    old->parent = &s->system;
    scope->parent = parent;
    return TERN_OK;
}

/* Gauges of a scope are drawn when they are asked for, rather than kept. */
struct limits_gauge {
    enum tern_resource resource;
    enum tern_metric used;
    enum tern_metric limit;
};

#define LIMITS_GAUGE(scope, resource_)                                                             \
    {TERN_RESOURCE_##resource_, TERN_METRIC_USED_##scope##_##resource_,                            \
     TERN_METRIC_LIMIT_##scope##_##resource_}

static const struct limits_gauge limits_system_gauges[] = {
    LIMITS_GAUGE(SYSTEM, MEMORY),          LIMITS_GAUGE(SYSTEM, STREAMS_IN),
    LIMITS_GAUGE(SYSTEM, STREAMS_OUT),     LIMITS_GAUGE(SYSTEM, CONNECTIONS_IN),
    LIMITS_GAUGE(SYSTEM, CONNECTIONS_OUT), LIMITS_GAUGE(SYSTEM, FDS),
};
static const struct limits_gauge limits_transient_gauges[] = {
    LIMITS_GAUGE(TRANSIENT, MEMORY),
    LIMITS_GAUGE(TRANSIENT, CONNECTIONS_IN),
    LIMITS_GAUGE(TRANSIENT, CONNECTIONS_OUT),
    LIMITS_GAUGE(TRANSIENT, FDS),
};

static void limits_set_gauges(struct tern_metrics *metrics, const struct tern_scope *scope,
                              const struct limits_gauge *gauges, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        tern_metric_set(metrics, gauges[i].used, scope->used[gauges[i].resource]);
        tern_metric_set(metrics, gauges[i].limit, scope->limits.max[gauges[i].resource]);
    }
}

void tern_swarm_update_metrics(struct tern_swarm *s)
{
    limits_set_gauges(s->config.metrics, &s->system, limits_system_gauges,
                      TERN_COUNT_OF(limits_system_gauges));
    limits_set_gauges(s->config.metrics, &s->transient, limits_transient_gauges,
                      TERN_COUNT_OF(limits_transient_gauges));
}

const struct tern_refusal *tern_swarm_last_refusal(const struct tern_swarm *s)
{
    return &s->refusal;
}
