/* Who reaches whom: addresses, paths, cuts and groups. */
#include "base/check.h"
#include "runtime/sim/world_private.h"

void sim_net_path(const struct sim_world *world, uint32_t from, uint32_t to, struct sim_path *path)
{
    *path = world->options.path_default;
    if (world->options.path != NULL)
        world->options.path(world->options.path_context, from, to, path);
}

tern_time sim_serialise(tern_time *busy_until, tern_time start, size_t size, uint64_t rate)
{
    if (rate == 0)
        return start;
    if (*busy_until > start)
        start = *busy_until;
    *busy_until = start + size * TERN_SECOND / rate;
    return *busy_until;
}

static void net_repath_node(const struct sim_node *node)
{
    TERN_LIST_FOREACH (at, &node->sockets)
        sim_flows_repath(TERN_LIST_ENTRY(at, struct sim_socket, all));
}

void sim_world_repath(struct sim_world *world)
{
    TERN_LIST_FOREACH (node, &world->links) {
        struct sim_link *link = TERN_LIST_ENTRY(node, struct sim_link, all);
        if (link->ends[1].node == NULL)
            continue;
        uint32_t ends[2] = {link->ends[0].node->index, link->ends[1].node->index};
        sim_net_path(world, ends[0], ends[1], &link->ends[0].path);
        sim_net_path(world, ends[1], ends[0], &link->ends[1].path);
    }
    for (size_t i = 0; i < world->nodes_count; i++)
        net_repath_node(world->nodes[i]);
}

/* --- cuts --- */

static struct tern_view cut_key(const uint32_t pair[2])
{
    return tern_view_of(pair, 2 * sizeof(pair[0]));
}

bool sim_net_passes(const struct sim_world *world, const struct sim_node *from,
                    const struct sim_node *to)
{
    if (from->group != to->group)
        return false;
    if (tern_map_count(&world->cuts) == 0)
        return true;
    const uint32_t pair[2] = {from->index, to->index};
    return tern_map_find(&world->cuts, cut_key(pair)) == NULL;
}

bool sim_world_reaches(const struct sim_world *world, uint32_t from, uint32_t to)
{
    return sim_net_passes(world, sim_node_at(world, from), sim_node_at(world, to));
}

void sim_world_cut_one_way(struct sim_world *world, uint32_t from, uint32_t to)
{
    const struct sim_node *node = sim_node_at(world, from);
    (void)sim_node_at(world, to);
    const uint32_t pair[2] = {from, to};
    if (tern_map_find(&world->cuts, cut_key(pair)) != NULL)
        return;
    struct sim_cut *cut = sim_take(world, sizeof(*cut));
    TERN_TRACE(&node->trace, world->now, SIM_CUT, to, 0, 0);
    cut->pair[0] = from;
    cut->pair[1] = to;
    TERN_CHECK(tern_map_insert(&world->cuts, &cut->entry, cut_key(cut->pair)) == TERN_OK);
}

void sim_world_cut(struct sim_world *world, uint32_t a, uint32_t b)
{
    sim_world_cut_one_way(world, a, b);
    sim_world_cut_one_way(world, b, a);
}

static void cut_free(struct sim_world *world, struct tern_map_entry *entry)
{
    struct sim_cut *cut = TERN_CONTAINER_OF(entry, struct sim_cut, entry);
    const struct sim_node *node = sim_node_at(world, cut->pair[0]);
    TERN_TRACE(&node->trace, world->now, SIM_HEALED, cut->pair[1], 0, 0);
    tern_map_remove(&world->cuts, entry);
    tern_mem_free(&world->mem, cut, sizeof(*cut));
}

static void cut_undo(struct sim_world *world, uint32_t from, uint32_t to)
{
    const uint32_t pair[2] = {from, to};
    struct tern_map_entry *entry = tern_map_find(&world->cuts, cut_key(pair));
    if (entry != NULL)
        cut_free(world, entry);
}

void sim_world_heal(struct sim_world *world, uint32_t a, uint32_t b)
{
    cut_undo(world, a, b);
    cut_undo(world, b, a);
    sim_net_release(world);
}

static void node_set_group(struct sim_node *node, uint32_t group)
{
    if (node->group == group)
        return;
    node->group = group;
    TERN_TRACE(&node->trace, node->world->now, SIM_GROUP, group, 0, 0);
}

void sim_world_set_group(struct sim_world *world, uint32_t node, uint32_t group)
{
    node_set_group(sim_node_at(world, node), group);
    sim_net_release(world);
}

static void cuts_clear(struct sim_world *world)
{
    for (struct tern_map_entry *e = tern_map_first(&world->cuts); e != NULL;
         e = tern_map_first(&world->cuts))
        cut_free(world, e);
}

void sim_world_heal_all(struct sim_world *world)
{
    cuts_clear(world);
    for (size_t i = 0; i < world->nodes_count; i++)
        node_set_group(world->nodes[i], 0);
    sim_net_release(world);
}

static bool net_end_is_dark(const struct sim_end *end)
{
    return !end->node->up && end->node->crashed == SIM_CRASH_HOST;
}

void sim_net_release(struct sim_world *world)
{
    TERN_LIST_FOREACH (node, &world->links) {
        struct sim_link *link = TERN_LIST_ENTRY(node, struct sim_link, all);
        for (size_t side = 0; side < 2; side++) {
            struct sim_end *from = &link->ends[side];
            const struct sim_end *to = &link->ends[1 - side];
            if (from->held && !net_end_is_dark(to) && sim_net_passes(world, from->node, to->node))
                sim_end_release(from);
        }
    }
}

void sim_net_free(struct sim_world *world)
{
    cuts_clear(world);
    tern_map_fini(&world->cuts);
}

size_t sim_world_reset_links(struct sim_world *world, uint32_t a, uint32_t b)
{
    size_t count = 0;
    TERN_LIST_FOREACH (node, &world->links) {
        struct sim_link *link = TERN_LIST_ENTRY(node, struct sim_link, all);
        const struct sim_end *ends = link->ends;
        if (ends[1].node == NULL || ends[0].state != SIM_END_OPEN)
            continue;
        uint32_t x = ends[0].node->index;
        uint32_t y = ends[1].node->index;
        if ((x != a || y != b) && (x != b || y != a))
            continue;
        for (uint32_t side = 0; side < 2; side++)
            sim_link_event(link, world->now, SIM_EVENT_RESET, side, 0);
        count++;
    }
    return count;
}

/* --- addresses --- */

bool sim_net_any(const struct tern_endpoint *endpoint)
{
    static const uint8_t zeros[16];
    return memcmp(endpoint->ip, zeros, endpoint->family == 4 ? 4 : 16) == 0;
}

/* IPv6 addresses are fd00::a.b.c.d of the IPv4 ones. */
static const uint8_t net_prefix6[12] = {0xfd};

struct tern_endpoint sim_net_endpoint(const struct sim_node *node, uint8_t family, uint16_t port)
{
    struct tern_endpoint endpoint = {.family = family, .port = port};
    if (family == 6) {
        memcpy(endpoint.ip, net_prefix6, sizeof(net_prefix6));
        memcpy(endpoint.ip + sizeof(net_prefix6), node->ip4, 4);
    } else {
        memcpy(endpoint.ip, node->ip4, 4);
    }
    return endpoint;
}

struct tern_endpoint sim_world_endpoint(const struct sim_world *world, uint32_t node, uint16_t port)
{
    return sim_net_endpoint(sim_node_at(world, node), 4, port);
}

struct tern_endpoint sim_world_endpoint6(const struct sim_world *world, uint32_t node,
                                         uint16_t port)
{
    return sim_net_endpoint(sim_node_at(world, node), 6, port);
}

struct sim_node *sim_net_find(const struct sim_world *world, const struct tern_endpoint *endpoint)
{
    const uint8_t *ip4 = endpoint->ip;
    if (endpoint->family == 6) {
        if (memcmp(endpoint->ip, net_prefix6, sizeof(net_prefix6)) != 0)
            return NULL;
        ip4 = endpoint->ip + sizeof(net_prefix6);
    }
    struct tern_map_entry *entry = tern_map_find(&world->nodes_by_ip, tern_view_of(ip4, 4));
    return entry == NULL ? NULL : TERN_CONTAINER_OF(entry, struct sim_node, by_ip);
}

void sim_world_set_inbound(struct sim_world *world, uint32_t node, enum sim_inbound inbound)
{
    sim_node_at(world, node)->options.inbound = inbound;
}
