/*
 * Listeners: addresses at which we are to be found, each a transport on a port (ports.c). A small
 * fixed table.
 */
#include "swarm/private.h"

tern_err tern_swarm_listen(struct tern_swarm *s, const struct tern_multiaddr *address)
{
    struct tern_route route;
    if (s->down)
        return TERN_ERR_CLOSED;
    TERN_TRY(tern_route_of_listen(tern_multiaddr_view(address), &route));
    if (!tern_transports_serves(s, route.transport))
        return TERN_ERR_UNSUPPORTED;
    for (size_t i = 0; i < TERN_SWARM_LISTENERS_MAX; i++) {
        struct swarm_listener *listener = &s->listeners.list[i];
        if (listener->port != NULL || listener->tell)
            continue;
        struct swarm_port *port;
        TERN_TRY(tern_transports_need(s, s->now, route.transport));
        TERN_TRY(tern_ports_listen(s, &route, &port));
        *listener = (struct swarm_listener){.port = port, .asked = route};
        if (port->state == SWARM_PORT_UP)
            tern_listeners_port(s, port, TERN_OK);
        return TERN_OK;
    }
    return TERN_ERR_FULL;
}

static void listener_end(struct tern_swarm *s, struct swarm_listener *listener)
{
    struct swarm_port *port = listener->port;
    enum tern_transport transport = listener->asked.transport;
    if (port == NULL)
        return;
    if (listener->up)
        s->addresses_changed = true;
    *listener = (struct swarm_listener){.port = NULL};
    tern_ports_unlisten(s, port, transport);
}

void tern_swarm_unlisten(struct tern_swarm *s, const struct tern_multiaddr *address)
{
    struct tern_route route;
    if (tern_route_of_listen(tern_multiaddr_view(address), &route) != TERN_OK)
        return;
    for (size_t i = 0; i < TERN_SWARM_LISTENERS_MAX; i++) {
        struct swarm_listener *listener = &s->listeners.list[i];
        if (listener->port == NULL || listener->asked.transport != route.transport)
            continue;
        if (tern_endpoint_equal(&listener->asked.endpoint, &route.endpoint) ||
            tern_endpoint_equal(&listener->port->bound, &route.endpoint))
            listener_end(s, listener);
    }
}

void tern_listeners_end_all(struct tern_swarm *s)
{
    for (size_t i = 0; i < TERN_SWARM_LISTENERS_MAX; i++)
        listener_end(s, &s->listeners.list[i]);
}

void tern_listeners_port(struct tern_swarm *s, struct swarm_port *port, tern_err err)
{
    for (size_t i = 0; i < TERN_SWARM_LISTENERS_MAX; i++) {
        struct swarm_listener *listener = &s->listeners.list[i];
        if (listener->port != port || (listener->up && err == TERN_OK))
            continue;
        listener->err = err;
        listener->tell = true;
        s->listeners.tell = true;
        s->addresses_changed = s->addresses_changed || listener->up || err == TERN_OK;
        listener->up = err == TERN_OK;
        if (err != TERN_OK)
            listener->port = NULL;
    }
}

void tern_listeners_address(const struct tern_swarm *s, const struct tern_route *route,
                            struct tern_multiaddr *address)
{
    tern_route_multiaddr(route, address);
    tern_transports_certhashes(s, route->transport, address);
}

bool tern_listeners_tell(struct tern_swarm *s, tern_time now)
{
    for (size_t i = 0; s->listeners.tell && i < TERN_SWARM_LISTENERS_MAX; i++) {
        struct swarm_listener *listener = &s->listeners.list[i];
        if (!listener->tell)
            continue;
        listener->tell = false;
        struct tern_multiaddr address;
        struct tern_route route = listener->asked;
        if (listener->port != NULL)
            route.endpoint = listener->port->bound;
        tern_listeners_address(s, &route, &address);
        const struct tern_swarm_event news = {
            .kind = listener->err == TERN_OK ? TERN_SWARM_LISTENING : TERN_SWARM_LISTEN_FAILED,
            .err = listener->err,
            .address = &address,
        };
        tern_swarm_tell_all(s, now, &news);
        return true;
    }
    s->listeners.tell = false;
    return false;
}

bool tern_listeners_at(const struct tern_swarm *s, uint16_t port)
{
    for (size_t i = 0; i < TERN_SWARM_LISTENERS_MAX; i++)
        if (s->listeners.list[i].up && s->listeners.list[i].port->bound.port == port)
            return true;
    return false;
}
