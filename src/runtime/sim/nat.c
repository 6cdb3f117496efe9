/*
 * What others see as a socket's address, and how that changes. Every socket has one such address,
 * whoever it talks to (an endpoint-independent mapping, RFC 4787); without a NAT it is its own.
 *
 *     own address ── NAT ──► seen address: where datagrams come from, and where answers go
 *
 * A node that lets nobody in (SIM_INBOUND_DROPPED) takes datagrams from where its socket has sent
 * some, since the seen address is what it is.
 */
#include "base/check.h"
#include "runtime/sim/world_private.h"

/* Ports that a NAT gives: none that a node chooses by itself. */
enum { NAT_PORT_FIRST = 61000, NAT_PORT_LAST = 65535 };

/* Addresses of nodes that moved are 10.128.0.0 and following; those of the first nodes begin at
 * 10.0.0.1. */
static const uint8_t nat_moved_second = 128;

static bool nat_is_set(const uint8_t ip4[4])
{
    static const uint8_t none[4];
    return memcmp(ip4, none, sizeof(none)) != 0;
}

struct tern_endpoint sim_nat_seen_as(const struct sim_node *node, uint8_t family, uint16_t port)
{
    struct tern_endpoint endpoint = sim_net_endpoint(node, family, port);
    if (family == 4 && nat_is_set(node->nat4))
        memcpy(endpoint.ip, node->nat4, sizeof(node->nat4));
    return endpoint;
}

void sim_endpoint_key(const struct tern_endpoint *endpoint, uint8_t key[SIM_ENDPOINT_KEY_SIZE])
{
    memset(key, 0, SIM_ENDPOINT_KEY_SIZE);
    key[0] = endpoint->family;
    key[1] = (uint8_t)(endpoint->port >> 8);
    key[2] = (uint8_t)endpoint->port;
    memcpy(key + 3, endpoint->ip, endpoint->family == 4 ? 4 : 16);
}

/* --- mappings --- */

struct sim_socket *sim_nat_find(const struct sim_world *world, const struct tern_endpoint *seen)
{
    uint8_t key[SIM_ENDPOINT_KEY_SIZE];
    sim_endpoint_key(seen, key);
    struct tern_map_entry *entry = tern_map_find(&world->seen, tern_view_of(key, sizeof(key)));
    return entry == NULL ? NULL : TERN_CONTAINER_OF(entry, struct sim_socket, by_seen);
}

static uint16_t nat_port_take(struct sim_node *node)
{
    if (node->nat_port_next < NAT_PORT_FIRST || node->nat_port_next == NAT_PORT_LAST)
        node->nat_port_next = NAT_PORT_FIRST;
    return node->nat_port_next++;
}

/* A NAT that several nodes are behind may have given the port to another one. */
void sim_nat_open(struct sim_socket *socket, uint16_t port)
{
    struct sim_node *node = socket->node;
    struct sim_world *world = node->world;
    socket->seen = sim_nat_seen_as(node, socket->local.family, port);
    for (int i = NAT_PORT_FIRST; sim_nat_find(world, &socket->seen) != NULL; i++) {
        TERN_CHECK(i <= NAT_PORT_LAST);
        socket->seen.port = nat_port_take(node);
    }
    sim_endpoint_key(&socket->seen, socket->seen_key);
    tern_err err = tern_map_insert(&world->seen, &socket->by_seen,
                                   tern_view_of(socket->seen_key, sizeof(socket->seen_key)));
    TERN_CHECK(err == TERN_OK);
}

void sim_nat_close(struct sim_socket *socket)
{
    tern_map_remove(&socket->node->world->seen, &socket->by_seen);
}

bool sim_world_seen_as(const struct sim_world *world, uint32_t node, tern_link_id socket,
                       struct tern_endpoint *seen)
{
    const struct sim_slot *slot = sim_slot_find(sim_node_at(world, node), socket);
    if (slot == NULL || slot->socket == NULL)
        return false;
    *seen = slot->socket->seen;
    return true;
}

/* --- changes --- */

/* What a NAT knew of the sockets' peers goes with the mapping. */
static void nat_map_again(struct sim_node *node, bool other_ports)
{
    TERN_LIST_FOREACH (at, &node->sockets) {
        struct sim_socket *socket = TERN_LIST_ENTRY(at, struct sim_socket, all);
        sim_nat_close(socket);
        sim_flows_clear(socket);
    }
    TERN_LIST_FOREACH (other, &node->sockets) {
        struct sim_socket *socket = TERN_LIST_ENTRY(other, struct sim_socket, all);
        sim_nat_open(socket, other_ports ? nat_port_take(node) : socket->local.port);
        TERN_TRACE(&node->trace, node->world->now, SIM_SEEN_AS, socket->id, socket->seen.port, 0);
    }
}

void sim_world_rebind(struct sim_world *world, uint32_t node)
{
    nat_map_again(sim_node_at(world, node), true);
}

static void nat_reset_links(struct sim_node *node)
{
    for (size_t i = 0; i < node->slots_capacity; i++) {
        const struct sim_end *end = node->slots[i].end;
        for (uint32_t side = 0; end != NULL && side < 2; side++)
            sim_link_event(end->link, node->world->now, SIM_EVENT_RESET, side, 0);
    }
}

static void nat_set_addresses(struct sim_node *node, const uint8_t ip4[4], const uint8_t nat4[4])
{
    struct sim_world *world = node->world;
    tern_map_remove(&world->nodes_by_ip, &node->by_ip);
    memcpy(node->ip4, ip4, sizeof(node->ip4));
    memcpy(node->nat4, nat4, sizeof(node->nat4));
    sim_node_place(node);
    TERN_TRACE(&node->trace, world->now, SIM_MOVED,
               (uint32_t)ip4[0] << 24 | (uint32_t)ip4[1] << 16 | (uint32_t)ip4[2] << 8 | ip4[3], 0,
               0);
    nat_map_again(node, false);
    nat_reset_links(node);
    if (node->sockets_count == 0)
        return;
    sim_node_input(node, &(struct tern_input){.kind = TERN_INPUT_NETWORK});
    sim_node_pump(node);
}

static void nat_fresh_address(struct sim_world *world, uint8_t ip4[4])
{
    uint32_t number = world->moves++;
    TERN_CHECK(number < 1 << 23);
    ip4[0] = 10;
    ip4[1] = (uint8_t)(nat_moved_second | number >> 16);
    ip4[2] = (uint8_t)(number >> 8);
    ip4[3] = (uint8_t)number;
}

void sim_world_move(struct sim_world *world, uint32_t index)
{
    struct sim_node *node = sim_node_at(world, index);
    uint8_t ip4[4];
    uint8_t nat4[4] = {0};
    nat_fresh_address(world, ip4);
    if (nat_is_set(node->nat4))
        nat_fresh_address(world, nat4);
    nat_set_addresses(node, ip4, nat4);
}

void sim_world_move_back(struct sim_world *world, uint32_t index)
{
    struct sim_node *node = sim_node_at(world, index);
    if (memcmp(node->ip4, node->home_ip4, sizeof(node->ip4)) != 0) {
        nat_set_addresses(node, node->home_ip4, node->options.nat4);
        return;
    }
    TERN_LIST_FOREACH (at, &node->sockets) {
        const struct sim_socket *socket = TERN_LIST_ENTRY(at, struct sim_socket, all);
        if (socket->seen.port == socket->local.port)
            continue;
        nat_map_again(node, false);
        return;
    }
}
