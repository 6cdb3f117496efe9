/*
 * Connections on datagrams: their transports (mux/session.h) between the sockets and the table of
 * connections. A transport that shares its sockets with others sees the datagrams that it claims.
 */
#include "swarm/private.h"

void tern_sessions_datagrams(struct tern_swarm *s, tern_time now, const struct tern_input *in)
{
    tern_bandwidth_count(s, now, NULL, TERN_IN, in->datagrams->data.size);
    for (uint32_t i = 0; i < s->sessions.hubs_count; i++) {
        struct tern_session_transport *hub = &s->sessions.hubs[i].transport;
        if (!hub->ops->claims(hub->self, in->datagrams->data))
            continue;
        hub->ops->recv(hub->self, now, in->link, in->datagrams);
        return;
    }
}

/* Many that do not show that they receive at their addresses: then all have to. */
static bool sessions_crowded(const struct tern_swarm *s)
{
    uint64_t max = s->config.limits.transient.max[TERN_RESOURCE_CONNECTIONS_IN];
    return max != 0 && s->conns.upgrading_in_count >= max / 2;
}

static void sessions_offer(struct tern_swarm *s, tern_time now, const struct swarm_hub *swarm_hub,
                           const struct tern_session_offer *offer)
{
    const struct tern_session_transport *hub = &swarm_hub->transport;
    const struct swarm_port *port = tern_ports_of_link(s, offer->socket);
    struct swarm_conn *c;
    enum tern_session_refusal how = TERN_SESSION_REFUSE;
    tern_err err = tern_conns_admit(s, now, &offer->path.remote);
    bool listens = port != NULL && (port->transports & swarm_hub->transports) != 0;
    if (err == TERN_ERR_GATED || !listens) {
        how = TERN_SESSION_IGNORE;
        err = err == TERN_OK ? TERN_ERR_CLOSED : err;
    } else if (!offer->validated &&
               (tern_conns_strained(s, now, &offer->path.remote) || sessions_crowded(s))) {
        hub->ops->refuse(hub->self, now, TERN_SESSION_RETRY);
        return;
    }
    if (err == TERN_OK) {
        const struct swarm_birth birth = {
            .link = TERN_LINK_NONE,
            .local = offer->path.local,
            .remote = offer->path.remote,
            .transport = TERN_TRANSPORT_QUIC, /* it says itself when it is established */
            .hub = hub,
        };
        err = tern_conns_born(s, now, &birth, &c);
    }
    if (err == TERN_OK) {
        TERN_TRACE(s->config.trace, now, SWARM_ACCEPTED, c->handle, offer->path.remote.port, 0);
        return;
    }
    tern_metric_add(s->config.metrics, TERN_METRIC_SWARM_REFUSED_IN, 1);
    TERN_TRACE(s->config.trace, now, SWARM_REFUSED, offer->path.remote.port, err, 0);
    hub->ops->refuse(hub->self, now, how);
}

static void sessions_drain(struct tern_swarm *s, tern_time now, const struct swarm_hub *hub)
{
    struct tern_session_event event;
    while (hub->transport.ops->next(hub->transport.self, &event)) {
        switch (event.kind) {
        case TERN_SESSION_OFFER:
            sessions_offer(s, now, hub, &event.offer);
            break;
        case TERN_SESSION_ACTIVE: {
            struct swarm_conn *c = tern_conns_find(s, event.tag);
            if (c != NULL)
                tern_conns_touch(s, c);
            break;
        }
        }
    }
}

void tern_sessions_run(struct tern_swarm *s, tern_time now)
{
    for (uint32_t i = 0; i < s->sessions.hubs_count; i++)
        sessions_drain(s, now, &s->sessions.hubs[i]);
}

void tern_sessions_wants(struct tern_swarm *s)
{
    for (size_t p = 0; s->sessions.hubs_count > 0 && p < SWARM_PORTS_MAX; p++) {
        struct swarm_port *port = &s->ports.list[p];
        if (!port->udp || port->state != SWARM_PORT_UP || port->sending)
            continue;
        for (uint32_t i = 0; i < s->sessions.hubs_count && !port->sending; i++) {
            const struct tern_session_transport *hub = &s->sessions.hubs[i].transport;
            port->sending = hub->ops->want_send(hub->self, port->link);
        }
        port->want_transmit = port->sending;
        s->ports.commands = s->ports.commands || port->sending;
    }
}

void tern_sessions_tick(struct tern_swarm *s, tern_time now)
{
    for (uint32_t i = 0; i < s->sessions.hubs_count; i++) {
        struct tern_session_transport *hub = &s->sessions.hubs[i].transport;
        if (hub->ops->deadline(hub->self) <= now)
            hub->ops->tick(hub->self, now);
    }
    tern_transports_look(s);
}

tern_time tern_sessions_deadline(const struct tern_swarm *s)
{
    tern_time deadline = TERN_TIME_NEVER;
    for (uint32_t i = 0; i < s->sessions.hubs_count; i++) {
        const struct tern_session_transport *hub = &s->sessions.hubs[i].transport;
        deadline = tern_time_min(deadline, hub->ops->deadline(hub->self));
    }
    return deadline;
}

bool tern_sessions_send(struct tern_swarm *s, tern_time now, tern_link_id socket,
                        struct tern_datagrams_out *out)
{
    struct swarm_port *port = tern_ports_of_link(s, socket);
    for (uint32_t i = 0; port != NULL && i < s->sessions.hubs_count; i++) {
        struct tern_session_transport *hub = &s->sessions.hubs[i].transport;
        if (!hub->ops->send(hub->self, now, socket, out))
            continue;
        tern_bandwidth_count(s, now, NULL, TERN_OUT, out->writer.size);
        return true;
    }
    if (port != NULL)
        port->sending = false;
    return false;
}

void tern_sessions_socket_closed(struct tern_swarm *s, tern_time now, tern_link_id socket)
{
    for (uint32_t i = 0; i < s->sessions.hubs_count; i++) {
        struct tern_session_transport *hub = &s->sessions.hubs[i].transport;
        hub->ops->socket_closed(hub->self, now, socket);
    }
}
