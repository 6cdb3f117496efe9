/*
 * Sockets of datagrams: how they begin and end, and when their machine is asked for batches. What
 * becomes of the datagrams is in datagram.c, as what they are seen by others in nat.c.
 *
 *     BIND ──► OPEN ── CLOSE and all is sent, ABORT ──► closed, LINK_CLOSED
 *                └──── the node crashes ──────────────► closed, nobody is told
 */
#include "base/check.h"
#include "runtime/sim/world_private.h"

/* --- life --- */

static bool socket_has_port(const struct sim_node *node, const struct tern_endpoint *endpoint)
{
    TERN_LIST_FOREACH (at, &node->sockets) {
        const struct sim_socket *socket = TERN_LIST_ENTRY(at, struct sim_socket, all);
        if (socket->local.family == endpoint->family && socket->local.port == endpoint->port)
            return true;
    }
    return false;
}

static tern_err socket_check(const struct sim_node *node, const struct tern_endpoint *endpoint)
{
    if (endpoint->family != 4 && endpoint->family != 6)
        return TERN_ERR_UNREACHABLE;
    if (!sim_net_any(endpoint) && sim_net_find(node->world, endpoint) != node)
        return TERN_ERR_UNREACHABLE;
    if (endpoint->port != 0 && socket_has_port(node, endpoint))
        return TERN_ERR_EXISTS;
    return node->sockets_count == SIM_SOCKETS_MAX ? TERN_ERR_SCOPE_FDS : TERN_OK;
}

void sim_bind(struct sim_node *node, const struct tern_command *command)
{
    struct sim_world *world = node->world;
    struct tern_input in = {.kind = TERN_INPUT_BOUND,
                            .token = command->token,
                            .local = command->endpoint,
                            .err = socket_check(node, &command->endpoint)};
    TERN_CHECK(node->machine.ops->datagrams != NULL);
    if (in.err != TERN_OK) {
        in.kind = TERN_INPUT_BIND_FAIL;
        sim_node_input(node, &in);
        return;
    }
    while (in.local.port == 0 || (command->endpoint.port == 0 && socket_has_port(node, &in.local)))
        in.local.port = sim_port_take(node);
    struct sim_socket *socket = sim_take(world, sizeof(*socket));
    *socket =
        (struct sim_socket){.node = node, .local = in.local, .wildcard = sim_net_any(&in.local)};
    tern_list_init(&socket->ready);
    tern_list_push_back(&node->sockets, &socket->all);
    node->sockets_count++;
    tern_map_init(&socket->flows, &world->mem, world->key);
    sim_nat_open(socket, in.local.port);
    socket->id = sim_slot_take(node, (struct sim_slot){.socket = socket});
    in.link = socket->id;
    sim_node_input(node, &in);
}

void sim_socket_vanish(struct sim_socket *socket)
{
    struct sim_node *node = socket->node;
    sim_slot_give(node, socket->id);
    sim_nat_close(socket);
    sim_flows_clear(socket);
    tern_map_fini(&socket->flows);
    tern_list_remove(&socket->ready);
    tern_list_remove(&socket->all);
    node->sockets_count--;
    tern_mem_free(&node->world->mem, socket, sizeof(*socket));
}

static void socket_close(struct sim_socket *socket)
{
    struct sim_node *node = socket->node;
    struct tern_input in = {.kind = TERN_INPUT_LINK_CLOSED, .link = socket->id};
    sim_socket_vanish(socket);
    sim_node_input(node, &in);
}

size_t sim_world_sockets_count(const struct sim_world *world, uint32_t node)
{
    return sim_node_at(world, node)->sockets_count;
}

/* --- sending --- */

static void socket_ready(struct sim_socket *socket)
{
    if (!tern_list_linked(&socket->ready))
        tern_list_push_back(&socket->node->sockets_ready, &socket->ready);
}

void sim_socket_transmit(struct sim_socket *socket)
{
    struct sim_node *node = socket->node;
    struct sim_world *world = node->world;
    for (unsigned batches = 0; !sim_uplink_is_full(node); batches++) {
        TERN_CHECK(batches < SIM_BATCHES_MAX); /* else the machine sends without end */
        struct tern_datagrams_out out = {
            .writer = tern_writer_of(world->scratch, TERN_DATAGRAMS_SIZE_MAX)};
        if (!node->machine.ops->datagrams(node->machine.self, world->now, socket->id, &out)) {
            if (socket->close_wanted)
                socket_close(socket);
            return;
        }
        size_t size = out.writer.size;
        TERN_CHECK(!out.writer.overflow && size > 0 && out.segment_size > 0);
        TERN_CHECK(size <= (size_t)out.segment_size * TERN_DATAGRAMS_SEGMENTS_MAX);
        sim_datagrams_send(socket, &out);
    }
    socket->blocked = true;
}

void sim_socket_room(struct sim_node *node)
{
    node->up_room_due = false;
    TERN_LIST_FOREACH (at, &node->sockets) {
        struct sim_socket *socket = TERN_LIST_ENTRY(at, struct sim_socket, all);
        if (socket->blocked)
            socket_ready(socket);
        socket->blocked = false;
    }
    sim_node_pump(node);
}

void sim_socket_command(struct sim_socket *socket, enum tern_command_kind kind)
{
    if (kind == TERN_COMMAND_ABORT) {
        socket_close(socket);
        return;
    }
    if (kind == TERN_COMMAND_CLOSE)
        socket->close_wanted = true;
    if ((kind == TERN_COMMAND_TRANSMIT || kind == TERN_COMMAND_CLOSE) && !socket->blocked)
        socket_ready(socket);
}
