/*
 * Where we are: our own listening addresses, and those that others see us at.
 *
 * One peer's word is not believed: an observed address counts once observers_min peers, each from
 * another IP address, have reported it. Reports count when the remote's view of our port can be a
 * listening one: on connections that it dialled, or that left from a port we listen at. What is
 * seen from loopback or is one of our listening addresses already tells nothing new.
 */
#include "swarm/private.h"

#define OBSERVED_TTL_NS (40 * TERN_MINUTE)

static struct swarm_observed *observed_slot(struct tern_swarm *s, tern_time now,
                                            const struct tern_route *route)
{
    struct swarm_observed *oldest = &s->observed[0];
    for (size_t i = 0; i < SWARM_OBSERVED_MAX; i++) {
        struct swarm_observed *o = &s->observed[i];
        if (o->route.endpoint.family != 0 && tern_route_equal(&o->route, route))
            return o;
        bool worse =
            o->route.endpoint.family == 0 || o->observers_count < oldest->observers_count ||
            (o->observers_count == oldest->observers_count && o->seen_at < oldest->seen_at);
        if (oldest->route.endpoint.family != 0 && worse)
            oldest = o;
    }
    /* Believed addresses make room only when they are old. */
    if (oldest->route.endpoint.family != 0 && oldest->observers_count >= s->config.observers_min &&
        tern_time_since(now, oldest->seen_at) < OBSERVED_TTL_NS)
        return NULL;
    *oldest = (struct swarm_observed){.route = *route};
    return oldest;
}

static bool observed_is_listener(const struct tern_swarm *s, const struct tern_route *route)
{
    for (size_t i = 0; i < TERN_SWARM_LISTENERS_MAX; i++) {
        const struct swarm_listener *listener = &s->listeners.list[i];
        if (listener->up && listener->asked.transport == route->transport &&
            tern_endpoint_equal(&listener->port->bound, &route->endpoint))
            return true;
    }
    return false;
}

void tern_swarm_observed(struct tern_swarm *s, tern_time now, tern_connection handle,
                         const struct tern_multiaddr *observed)
{
    const struct swarm_conn *c = tern_conns_find(s, handle);
    struct tern_target target;
    struct tern_ip ip;
    if (c == NULL || c->peer == NULL ||
        tern_target_of(tern_multiaddr_view(observed), &target) != TERN_OK ||
        target.kind != TERN_TARGET_ENDPOINT)
        return;
    tern_endpoint_ip(&target.route.endpoint, &ip);
    if (tern_ip_range(&ip) == TERN_IP_LOOPBACK || observed_is_listener(s, &target.route) ||
        target.route.transport != c->transport ||
        (c->outbound && !tern_listeners_at(s, c->local.port)))
        return;
    struct swarm_observed *o = observed_slot(s, now, &target.route);
    if (o == NULL)
        return;
    o->seen_at = now;
    for (uint32_t i = 0; i < o->observers_count; i++)
        if (tern_peer_id_equal(&o->observers[i].id, &c->peer->id) ||
            tern_endpoint_same_group(&o->observers[i].from, &c->remote))
            return;
    if (o->observers_count == SWARM_OBSERVERS_MAX)
        return;
    o->observers[o->observers_count++] =
        (struct swarm_observer){.id = c->peer->id, .from = c->remote};
    if (o->observers_count == s->config.observers_min) {
        TERN_TRACE(s->config.trace, now, SWARM_OBSERVED, o->route.endpoint.family,
                   o->route.endpoint.port, o->observers_count);
        s->addresses_changed = true;
    }
}

static bool own_add(struct tern_multiaddr *out, size_t max, size_t *count,
                    const struct tern_multiaddr *address)
{
    if (*count == max)
        return false;
    for (size_t i = 0; i < *count; i++)
        if (tern_view_equal(tern_multiaddr_view(&out[i]), tern_multiaddr_view(address)))
            return true;
    out[(*count)++] = *address;
    return true;
}

/* own_loopback: of all our interfaces loopback is the one that is there for certain. */
static void own_loopback(struct tern_endpoint *endpoint)
{
    memset(endpoint->ip, 0, sizeof endpoint->ip);
    if (endpoint->family == 4)
        memcpy(endpoint->ip, (const uint8_t[]){127, 0, 0, 1}, 4);
    else
        endpoint->ip[15] = 1;
}

size_t tern_swarm_own_addresses(const struct tern_swarm *s, struct tern_multiaddr *out, size_t max)
{
    size_t count = 0;
    struct tern_multiaddr address;
    struct tern_ip ip;
    for (size_t i = 0; i < TERN_SWARM_LISTENERS_MAX; i++) {
        const struct swarm_listener *listener = &s->listeners.list[i];
        if (!listener->up)
            continue;
        struct tern_route route = listener->asked;
        route.endpoint = listener->port->bound;
        tern_endpoint_ip(&route.endpoint, &ip);
        if (tern_ip_range(&ip) == TERN_IP_UNSPECIFIED)
            own_loopback(&route.endpoint);
        tern_listeners_address(s, &route, &address);
        own_add(out, max, &count, &address);
    }
    for (size_t i = 0; i < SWARM_OBSERVED_MAX; i++) {
        const struct swarm_observed *o = &s->observed[i];
        if (o->route.endpoint.family == 0 || o->observers_count < s->config.observers_min ||
            tern_time_since(s->now, o->seen_at) >= OBSERVED_TTL_NS)
            continue;
        tern_listeners_address(s, &o->route, &address);
        own_add(out, max, &count, &address);
    }
    return count;
}
