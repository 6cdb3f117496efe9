/* Limits: profiles, and refusals that say which limit it was. */
#include "swarm/private.h"

#define LIMITS_MIB (UINT64_C(1) << 20)

struct limits_profile {
    uint32_t connections; /* in each direction */
    uint32_t streams;
    uint64_t memory;
    struct tern_swarm_limits numbers;
};

static const struct limits_profile limits_profiles[] = {
    [TERN_PROFILE_METER] = {.connections = 16,
                            .streams = 256,
                            .memory = 8 * LIMITS_MIB,
                            .numbers = {.connections_per_peer_max = 3,
                                        .upgrading_max = 8,
                                        .upgrading_per_ip_max = 4,
                                        .dials_max = 4,
                                        .dials_per_peer_max = 2,
                                        .dials_waiting_max = 16,
                                        .peers_max = 128,
                                        .links_max = 256,
                                        .windows_max = 2 * LIMITS_MIB}},
    [TERN_PROFILE_DEFAULT] = {.connections = 512,
                              .streams = 16384,
                              .memory = 512 * LIMITS_MIB,
                              .numbers = {.connections_per_peer_max = 8,
                                          .upgrading_max = 128,
                                          .upgrading_per_ip_max = 32,
                                          .dials_max = 64,
                                          .dials_per_peer_max = 8,
                                          .dials_waiting_max = 256,
                                          .peers_max = 4096,
                                          .links_max = 8192,
                                          .windows_max = 256 * LIMITS_MIB}},
    [TERN_PROFILE_SERVER] = {.connections = 16384,
                             .streams = 262144,
                             .memory = 4096 * LIMITS_MIB,
                             .numbers = {.connections_per_peer_max = 8,
                                         .upgrading_max = 1024,
                                         .upgrading_per_ip_max = 64,
                                         .dials_max = 512,
                                         .dials_per_peer_max = 8,
                                         .dials_waiting_max = 2048,
                                         .peers_max = 32768,
                                         .links_max = 65536,
                                         .windows_max = 2048 * LIMITS_MIB}},
    [TERN_PROFILE_SIMULATION] = {.connections = 256,
                                 .streams = 8192,
                                 .memory = 16 * LIMITS_MIB,
                                 .numbers = {.connections_per_peer_max = 8,
                                             .upgrading_max = 128,
                                             .upgrading_per_ip_max = 128,
                                             .dials_max = 32,
                                             .dials_per_peer_max = 8,
                                             .dials_waiting_max = 128,
                                             .peers_max = 2048,
                                             .links_max = 4096,
                                             .windows_max = 8 * LIMITS_MIB}},
};

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
    *limits = p->numbers;
    uint64_t peer_streams = p->streams / 16 < 64 ? 64 : p->streams / 16;
    limits_fill(&limits->system, p->memory, p->connections, p->streams);
    limits_fill(&limits->peer, p->memory / 4, p->numbers.connections_per_peer_max, peer_streams);
    limits_fill(&limits->connection, p->memory / 4, 1, peer_streams);
    limits->connection.max[TERN_RESOURCE_FDS] = 1;
    limits->protocol.max[TERN_RESOURCE_STREAMS_IN] = p->streams / 2;
}

void tern_limits_refuse(struct tern_swarm *s, tern_time now, const struct tern_refusal *refusal)
{
    s->refusal = *refusal;
    tern_metric_add(s->config.metrics, TERN_METRIC_SWARM_LIMIT_REFUSALS, 1);
    /* The text of a trace is numbers; the scope's name travels in its first eight characters. */
    uint64_t name = 0;
    for (size_t i = 0; i < 8 && refusal->scope[i] != '\0'; i++)
        name = name << 8 | (uint8_t)refusal->scope[i];
    TERN_TRACE(s->config.trace, now, SWARM_LIMIT, name, refusal->used, refusal->limit);
}

tern_err tern_limits_reserve(struct tern_swarm *s, tern_time now, struct tern_scope *scope,
                             enum tern_resource resource, uint64_t amount)
{
    const struct tern_scope *by = NULL;
    tern_err err = tern_scope_reserve(scope, resource, amount, &by);
    if (err != TERN_OK) {
        TERN_CHECK(by != NULL);
        tern_limits_refuse(s, now,
                           &(struct tern_refusal){.scope = by->name,
                                                  .resource = tern_resource_name(resource),
                                                  .used = by->used[resource],
                                                  .limit = by->limits.max[resource]});
    }
    return err;
}

/* limits_recharge charges all that `used` holds to one scope alone, or nothing. */
static tern_err limits_recharge(struct tern_swarm *s, tern_time now, struct tern_scope *alone,
                                const uint64_t *used)
{
    for (size_t i = 0; i < TERN_RESOURCE_COUNT; i++) {
        tern_err err = used[i] == 0
                           ? TERN_OK
                           : tern_limits_reserve(s, now, alone, (enum tern_resource)i, used[i]);
        if (err == TERN_OK)
            continue;
        while (i-- > 0)
            if (used[i] != 0)
                tern_scope_release(alone, (enum tern_resource)i, used[i]);
        return err;
    }
    return TERN_OK;
}

tern_err tern_limits_move(struct tern_swarm *s, tern_time now, struct tern_scope *scope,
                          struct tern_scope *parent)
{
    struct tern_scope *old = scope->parent;
    TERN_CHECK(old->parent == &s->system && parent->parent == &s->system);
    /* Both stand under the system scope, whose account does not change: it is left out, or the move
     * would be refused when the system is just full. */
    parent->parent = NULL;
    tern_err err = limits_recharge(s, now, parent, scope->used);
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

const struct tern_refusal *tern_swarm_last_refusal(const struct tern_swarm *s)
{
    return &s->refusal;
}
