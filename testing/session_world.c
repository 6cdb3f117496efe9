#include "session_world.h"

#include "base/check.h"

enum { WORLD_IDLE_TICKS_MAX = 1000, WORLD_BATCHES_MAX = 1 << 20 };

void session_world_init(struct session_world *world, uint64_t seed, session_world_event on_event,
                        void *context)
{
    *world = (struct session_world){.now = TERN_SECOND, .on_event = on_event, .context = context};
    datagram_net_init(&world->net, seed);
    world->scratch = tern_mem_alloc(&world->net.mem, TERN_DATAGRAMS_SIZE_MAX);
    TERN_CHECK(world->scratch != NULL);
}

void session_world_fini(struct session_world *world)
{
    for (size_t i = 0; i < world->nodes_count; i++)
        world->nodes[i].transport.ops->fini(world->nodes[i].transport.self);
    tern_mem_free(&world->net.mem, world->scratch, TERN_DATAGRAMS_SIZE_MAX);
    datagram_net_fini(&world->net);
}

size_t session_world_add(struct session_world *world, struct tern_session_transport transport)
{
    TERN_CHECK(world->nodes_count < SESSION_NODES_MAX);
    world->nodes[world->nodes_count] = (struct session_node){.transport = transport};
    return world->nodes_count++;
}

tern_link_id session_world_bind(struct session_world *world, size_t node,
                                const struct tern_endpoint *local, const struct datagram_link *link)
{
    struct session_node *n = &world->nodes[node];
    TERN_CHECK(node < world->nodes_count && n->sockets_count < SESSION_NODE_SOCKETS_MAX);
    tern_link_id socket = datagram_net_bind(&world->net, local, link);
    n->sockets[n->sockets_count++] = socket;
    return socket;
}

void session_world_unbind(struct session_world *world, size_t node, tern_link_id socket)
{
    struct session_node *n = &world->nodes[node];
    size_t kept = 0;
    for (size_t i = 0; i < n->sockets_count; i++)
        if (n->sockets[i] != socket)
            n->sockets[kept++] = n->sockets[i];
    TERN_CHECK(kept + 1 == n->sockets_count);
    n->sockets_count = kept;
    datagram_net_close(&world->net, socket);
    n->transport.ops->socket_closed(n->transport.self, world->now, socket);
}

static bool world_events(struct session_world *world, size_t node)
{
    const struct tern_session_transport *transport = &world->nodes[node].transport;
    struct tern_session_event event;
    bool any = false;
    while (transport->ops->next(transport->self, &event)) {
        any = true;
        world->on_event(world->context, node, &event);
    }
    return any;
}

/* world_send_on lets one socket send; room is what is left of it. */
static uint64_t world_send_on(struct session_world *world,
                              const struct tern_session_transport *transport, tern_link_id socket,
                              size_t room)
{
    uint64_t bytes = 0;
    for (unsigned batch = 0; bytes < room; batch++) {
        TERN_CHECK(batch < WORLD_BATCHES_MAX);
        size_t capacity = tern_min_size(room - bytes, TERN_DATAGRAMS_SIZE_MAX);
        struct tern_datagrams_out out = {.writer = tern_writer_of(world->scratch, capacity)};
        if (!transport->ops->send(transport->self, world->now, socket, &out))
            break;
        bytes += out.writer.size;
        datagram_net_send(&world->net, world->now, socket, &out);
    }
    return bytes;
}

uint64_t session_world_send_some(struct session_world *world, size_t node, size_t room)
{
    const struct session_node *n = &world->nodes[node];
    uint64_t bytes = 0;
    uint64_t before;
    /* What one socket sends may let another one send. */
    do {
        before = bytes;
        for (size_t i = 0; i < n->sockets_count && bytes < room; i++)
            bytes += world_send_on(world, &n->transport, n->sockets[i], room - bytes);
    } while (bytes > before && bytes < room);
    return bytes;
}

uint64_t session_world_send(struct session_world *world, size_t node)
{
    const struct session_node *n = &world->nodes[node];
    uint64_t bytes = session_world_send_some(world, node, SIZE_MAX);
    for (size_t i = 0; i < n->sockets_count; i++)
        TERN_CHECK(!n->transport.ops->want_send(n->transport.self, n->sockets[i]));
    return bytes;
}

bool session_world_flush(struct session_world *world)
{
    bool any = false;
    for (size_t node = 0; node < world->nodes_count; node++) {
        any = world_events(world, node) || any;
        any = session_world_send(world, node) > 0 || any;
    }
    return any;
}

/* world_node finds whose socket it is. */
static const struct session_node *world_node(const struct session_world *world, tern_link_id socket)
{
    for (size_t i = 0; i < world->nodes_count; i++)
        for (size_t j = 0; j < world->nodes[i].sockets_count; j++)
            if (world->nodes[i].sockets[j] == socket)
                return &world->nodes[i];
    return NULL;
}

bool session_world_deliver(struct session_world *world)
{
    tern_link_id socket;
    struct tern_datagrams in;
    if (!datagram_net_recv(&world->net, world->now, &socket, &in))
        return false;
    const struct session_node *node = world_node(world, socket);
    if (node != NULL)
        node->transport.ops->recv(node->transport.self, world->now, socket, &in);
    return true;
}

static tern_time world_deadline(const struct session_node *node)
{
    return node->transport.ops->deadline(node->transport.self);
}

tern_time session_world_next(const struct session_world *world)
{
    tern_time next = datagram_net_next(&world->net);
    for (size_t i = 0; i < world->nodes_count; i++)
        next = tern_time_min(next, world_deadline(&world->nodes[i]));
    return next;
}

static void world_tick(struct session_world *world)
{
    for (size_t i = 0; i < world->nodes_count; i++) {
        const struct session_node *node = &world->nodes[i];
        if (world_deadline(node) > world->now)
            continue;
        TERN_CHECK(++world->idle_ticks < WORLD_IDLE_TICKS_MAX);
        node->transport.ops->tick(node->transport.self, world->now);
    }
}

bool session_world_step(struct session_world *world, tern_time limit)
{
    if (session_world_flush(world) || session_world_deliver(world)) {
        world->idle_ticks = 0;
        return true;
    }
    tern_time next = session_world_next(world);
    if (next > limit) {
        world->now = limit > world->now ? limit : world->now;
        return false;
    }
    if (next > world->now) {
        world->now = next;
        world->idle_ticks = 0;
    }
    world_tick(world);
    return true;
}

void session_world_run(struct session_world *world, tern_time duration)
{
    tern_time limit = tern_time_add(world->now, duration);
    while (session_world_step(world, limit))
        continue;
}

bool session_world_run_until(struct session_world *world, bool (*done)(void *context),
                             void *context, tern_time duration)
{
    tern_time limit = tern_time_add(world->now, duration);
    while (!done(context)) {
        if (!session_world_step(world, limit))
            return done(context);
    }
    return true;
}
