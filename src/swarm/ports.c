/*
 * Ports: where the world takes links (TCP) and datagrams (UDP) for us. One port serves all
 * transports that listen at an endpoint; sockets to dial from are ports, too.
 *
 *   FREE ─ wanted ─► STARTING ─ LISTENING, BOUND ─► UP ─ wanted no more ─► ENDING ─► FREE
 *                       ├─ LISTEN_FAIL, BIND_FAIL ─► FREE                (a listener of links is
 *                       └─ wanted no more ─► ENDING ─ any answer ─► FREE   FREE at once)
 *
 * A socket that nobody listens at stays open while sessions go over it.
 */
#include "swarm/private.h"

static tern_token port_token(const struct tern_swarm *s, const struct swarm_port *port)
{
    return tern_swarm_token_make((struct swarm_token){
        .kind = SWARM_TOKEN_PORT,
        .handle = (uint64_t)port->generation << 32 | (uint64_t)(port - s->ports.list),
    });
}

struct swarm_port *tern_ports_of_token(struct tern_swarm *s, tern_token token)
{
    struct swarm_token split = tern_swarm_token_split(token);
    uint32_t i = (uint32_t)split.handle;
    if (split.kind != SWARM_TOKEN_PORT || i >= SWARM_PORTS_MAX)
        return NULL;
    struct swarm_port *port = &s->ports.list[i];
    bool live = port->state != SWARM_PORT_FREE && port->generation == split.handle >> 32;
    return live ? port : NULL;
}

struct swarm_port *tern_ports_of_link(struct tern_swarm *s, tern_link_id link)
{
    for (size_t i = 0; i < SWARM_PORTS_MAX; i++) {
        struct swarm_port *port = &s->ports.list[i];
        if (port->state != SWARM_PORT_FREE && port->udp && port->link == link)
            return port;
    }
    return NULL;
}

static struct swarm_port *port_open(struct tern_swarm *s, bool udp,
                                    const struct tern_endpoint *endpoint)
{
    for (size_t i = 0; i < SWARM_PORTS_MAX; i++) {
        struct swarm_port *port = &s->ports.list[i];
        if (port->state != SWARM_PORT_FREE || port->want_close)
            continue;
        uint32_t generation = port->generation + 1;
        *port = (struct swarm_port){
            .state = SWARM_PORT_STARTING,
            .udp = udp,
            .want_open = true,
            .generation = generation,
            .link = TERN_LINK_NONE,
            .replaces = TERN_LINK_NONE,
            .asked = *endpoint,
            .bound = *endpoint,
        };
        s->ports.commands = true;
        return port;
    }
    return NULL;
}

/* port_shared finds the port at which another transport listens already. Port 0 is a new one each
 * time. */
static struct swarm_port *port_shared(struct tern_swarm *s, bool udp,
                                      const struct tern_endpoint *endpoint)
{
    for (size_t i = 0; endpoint->port != 0 && i < SWARM_PORTS_MAX; i++) {
        struct swarm_port *port = &s->ports.list[i];
        bool open = port->state == SWARM_PORT_STARTING || port->state == SWARM_PORT_UP;
        if (open && port->udp == udp && tern_endpoint_equal(&port->bound, endpoint))
            return port;
    }
    return NULL;
}

tern_err tern_ports_listen(struct tern_swarm *s, const struct tern_route *route,
                           struct swarm_port **out)
{
    bool udp = tern_transport_on_udp(route->transport);
    uint32_t bit = TERN_TRANSPORT_BIT(route->transport);
    struct swarm_port *port = port_shared(s, udp, &route->endpoint);
    if (port == NULL)
        port = port_open(s, udp, &route->endpoint);
    if (port == NULL)
        return TERN_ERR_FULL;
    if (port->transports & bit)
        return TERN_ERR_EXISTS;
    port->transports |= bit;
    *out = port;
    return TERN_OK;
}

/* port_open_to_dial opens a socket that nobody listens at. */
static struct swarm_port *port_open_to_dial(struct tern_swarm *s, uint8_t family)
{
    const struct tern_endpoint any = {.family = family};
    struct swarm_port *port = port_open(s, true, &any);
    if (port != NULL)
        port->dials = true;
    return port;
}

/* port_used: does a session go over the socket? */
static bool port_used(const struct tern_swarm *s, const struct swarm_port *port)
{
    struct tern_session_info info;
    TERN_LIST_FOREACH (node, &s->conns.all) {
        const struct swarm_conn *c = TERN_LIST_ENTRY(node, struct swarm_conn, all);
        const struct tern_session *session = tern_conn_session(c->core);
        if (session == NULL)
            continue;
        session->ops->info(session->mux.self, &info);
        if (info.socket == port->link)
            return true;
    }
    return false;
}

/* port_close ends a port that nobody needs. */
static void port_close(struct tern_swarm *s, struct swarm_port *port)
{
    port->transports = 0;
    port->dials = false;
    if (port->state == SWARM_PORT_STARTING && port->want_open) {
        port->state = SWARM_PORT_FREE; /* the world has not heard of it */
        port->want_open = false;
    } else if (port->state == SWARM_PORT_STARTING) {
        port->state = SWARM_PORT_ENDING;
    } else if (port->state == SWARM_PORT_UP) {
        port->want_close = true;
        s->ports.commands = true;
        port->state = port->udp ? SWARM_PORT_ENDING : SWARM_PORT_FREE;
    }
}

void tern_ports_unlisten(struct tern_swarm *s, struct swarm_port *port,
                         enum tern_transport transport)
{
    port->transports &= ~TERN_TRANSPORT_BIT(transport);
    if (port->transports != 0)
        return;
    if (port->udp && port->state == SWARM_PORT_UP && (port->dials || port_used(s, port)))
        port->dials = true;
    else
        port_close(s, port);
}

/* port_reaches: can datagrams go from the port to the remote? From loopback to loopback alone. */
static bool port_reaches(const struct swarm_port *port, const struct tern_endpoint *remote)
{
    struct tern_ip ours;
    struct tern_ip theirs;
    tern_endpoint_ip(&port->bound, &ours);
    tern_endpoint_ip(remote, &theirs);
    return tern_ip_range(&ours) != TERN_IP_LOOPBACK || tern_ip_range(&theirs) == TERN_IP_LOOPBACK;
}

struct swarm_port *tern_ports_for_dial(struct tern_swarm *s, const struct tern_endpoint *remote,
                                       tern_err *err)
{
    bool starting = false;
    struct swarm_port *found = NULL;
    *err = TERN_OK;
    for (size_t i = 0; i < SWARM_PORTS_MAX; i++) {
        struct swarm_port *port = &s->ports.list[i];
        if (!port->udp || port->asked.family != remote->family || !port_reaches(port, remote))
            continue;
        starting = starting || port->state == SWARM_PORT_STARTING;
        /* The newest, for it may have taken the place of another. */
        if (port->state == SWARM_PORT_UP && (found == NULL || port->opened_at > found->opened_at))
            found = port;
    }
    if (found != NULL || starting)
        return found;
    if (port_open_to_dial(s, remote->family) == NULL)
        *err = TERN_ERR_FULL;
    return NULL;
}

/* --- the world's answers --- */

static void port_failed(struct tern_swarm *s, tern_time now, struct swarm_port *port, tern_err err)
{
    bool dials = port->dials;
    port->state = SWARM_PORT_FREE;
    port->dials = false;
    port->link = TERN_LINK_NONE;
    tern_listeners_port(s, port, err);
    port->transports = 0;
    if (dials)
        tern_dials_socket(s, now, err);
}

/* port_take_over moves the sessions of another socket to this one. */
static void port_take_over(struct tern_swarm *s, tern_time now, const struct swarm_port *port)
{
    struct tern_session_info info;
    TERN_LIST_FOREACH (node, &s->conns.all) {
        struct swarm_conn *c = TERN_LIST_ENTRY(node, struct swarm_conn, all);
        const struct tern_session *session = tern_conn_session(c->core);
        if (session == NULL || session->ops->migrate == NULL || !c->outbound)
            continue;
        session->ops->info(session->mux.self, &info);
        if (info.socket != port->replaces)
            continue;
        tern_err err = session->ops->migrate(session->mux.self, now, port->link);
        TERN_TRACE(s->config.trace, now, SWARM_MIGRATE, c->handle, err, 0);
    }
}

void tern_ports_input(struct tern_swarm *s, tern_time now, const struct tern_input *in)
{
    struct swarm_port *port = tern_ports_of_token(s, in->token);
    if (port == NULL)
        return;
    bool ok = in->kind == TERN_INPUT_LISTENING || in->kind == TERN_INPUT_BOUND;
    bool ending = port->state == SWARM_PORT_ENDING;
    TERN_TRACE(s->config.trace, now, SWARM_LISTENING, port - s->ports.list, in->local.port,
               ok ? TERN_OK : in->err);
    if (!ok) {
        port_failed(s, now, port, in->err);
        return;
    }
    port->bound = in->local;
    port->opened_at = now;
    port->link = port->udp ? in->link : TERN_LINK_NONE;
    port->state = SWARM_PORT_UP;
    if (ending) {
        port_close(s, port);
        return;
    }
    tern_listeners_port(s, port, TERN_OK);
    if (port->udp)
        tern_dials_socket(s, now, TERN_OK);
    if (port->replaces != TERN_LINK_NONE)
        port_take_over(s, now, port);
}

bool tern_ports_socket_closed(struct tern_swarm *s, tern_time now, tern_link_id link)
{
    struct swarm_port *port = tern_ports_of_link(s, link);
    if (port == NULL)
        return false;
    tern_sessions_socket_closed(s, now, link);
    port->want_close = port->want_transmit = false;
    port_failed(s, now, port, TERN_ERR_CLOSED);
    return true;
}

/* port_moves: are the sessions that were dialled from the socket to go to another one, now that our
 * addresses have changed? From one that was bound to a single address, for that may be gone. From
 * any other the system sends from the address that there is now, and the remote follows. */
static bool port_moves(const struct tern_swarm *s, const struct swarm_port *port)
{
    struct tern_ip ip;
    if (!port->udp || port->state != SWARM_PORT_UP || !port_used(s, port))
        return false;
    tern_endpoint_ip(&port->bound, &ip);
    enum tern_ip_range range = tern_ip_range(&ip);
    return range != TERN_IP_UNSPECIFIED && range != TERN_IP_LOOPBACK;
}

/* The old sockets close when the sessions have moved. */
void tern_ports_network(struct tern_swarm *s)
{
    for (size_t i = 0; i < SWARM_PORTS_MAX; i++) {
        struct swarm_port *port = &s->ports.list[i];
        if (!port_moves(s, port))
            continue;
        struct swarm_port *fresh = port_open_to_dial(s, port->asked.family);
        if (fresh != NULL)
            fresh->replaces = port->link;
    }
    tern_ports_sweep(s);
}

void tern_ports_sweep(struct tern_swarm *s)
{
    for (size_t i = 0; i < SWARM_PORTS_MAX; i++) {
        struct swarm_port *port = &s->ports.list[i];
        bool idle = port->state == SWARM_PORT_UP && port->udp && port->transports == 0;
        if (idle && !port_used(s, port))
            port_close(s, port);
    }
}

bool tern_ports_all_closed(const struct tern_swarm *s)
{
    for (size_t i = 0; i < SWARM_PORTS_MAX; i++)
        if (s->ports.list[i].state != SWARM_PORT_FREE)
            return false;
    return true;
}

/* --- commands --- */

static bool port_take_command(const struct tern_swarm *s, struct swarm_port *port,
                              struct tern_command *command)
{
    *command = (struct tern_command){
        .token = port_token(s, port), .endpoint = port->asked, .link = port->link};
    if (port->want_close) {
        port->want_close = port->want_transmit = false;
        command->kind = port->udp ? TERN_COMMAND_CLOSE : TERN_COMMAND_UNLISTEN;
    } else if (port->want_open) {
        port->want_open = false;
        command->kind = port->udp ? TERN_COMMAND_BIND : TERN_COMMAND_LISTEN;
    } else if (port->want_transmit) {
        port->want_transmit = false;
        command->kind = TERN_COMMAND_TRANSMIT;
    } else {
        return false;
    }
    return true;
}

bool tern_ports_next_command(struct tern_swarm *s, struct tern_command *command)
{
    for (size_t i = 0; s->ports.commands && i < SWARM_PORTS_MAX; i++)
        if (port_take_command(s, &s->ports.list[i], command))
            return true;
    s->ports.commands = false;
    return false;
}
