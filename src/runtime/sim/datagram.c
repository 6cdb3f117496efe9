/*
 * What becomes of datagrams. A batch is taken apart; each datagram has its own fate; those that
 * will arrive at the same instant travel, and are given to the machine, as one batch again.
 *
 *     batch ─► uplink's queue ─► loss ─► path's queue ─► latency, jitter ─► who is there?
 *
 *     on the way out    larger than the path: gone; lost: gone; the path's queue full: gone, over
 *                       half: marked; now and then late, or twice
 *     at the end        no socket, cut, or not let in: gone
 *
 * The uplink's queue is shared with the node's links, whose bytes delay datagrams and displace
 * none. When it is full the socket is not asked for more, as the real system has no room then.
 */
#include "base/check.h"
#include "runtime/sim/world_private.h"

enum { MILLION = 1000000, QUEUE_ENTRIES_MAX = 1 << 20, CHUNK_SIZE_MIN = 2048 };

static const size_t datagram_queue_bytes = 256 << 10;
static const uint32_t datagram_mtu_bytes = 1500;

/* --- queues --- */

void sim_queue_init(struct sim_queue *queue, struct tern_mem *mem)
{
    *queue = (struct sim_queue){.bytes = 0};
    tern_ring_init(&queue->entries, mem, sizeof(struct sim_queued), QUEUE_ENTRIES_MAX);
}

void sim_queue_clear(struct sim_queue *queue)
{
    struct sim_queued entry;
    while (tern_ring_pop(&queue->entries, &entry))
        continue;
    queue->bytes = 0;
}

/* queue_settle forgets what has left by a time. */
static void queue_settle(struct sim_queue *queue, tern_time time)
{
    struct sim_queued entry;
    const struct sim_queued *head = tern_ring_at(&queue->entries, 0);
    while (head != NULL && head->departure <= time) {
        (void)tern_ring_pop(&queue->entries, &entry);
        queue->bytes -= entry.size;
        head = tern_ring_at(&queue->entries, 0);
    }
}

static bool queue_push(struct sim_queue *queue, tern_time departure, size_t size)
{
    struct sim_queued entry = {.departure = departure, .size = size};
    if (tern_ring_push(&queue->entries, &entry) != TERN_OK)
        return false;
    queue->bytes += size;
    return true;
}

static size_t queue_limit(size_t wanted)
{
    return wanted == 0 ? datagram_queue_bytes : wanted;
}

/* The time at which the queue is half empty. */
static tern_time queue_half_at(const struct sim_queue *queue, size_t limit)
{
    size_t bytes = queue->bytes;
    const struct sim_queued *entry = NULL;
    for (size_t i = 0; bytes > limit / 2; i++) {
        entry = tern_ring_at(&queue->entries, i);
        bytes -= entry->size;
    }
    TERN_CHECK(entry != NULL);
    return entry->departure;
}

bool sim_uplink_is_full(struct sim_node *node)
{
    struct sim_world *world = node->world;
    size_t limit = queue_limit(node->options.up_queue_bytes);
    queue_settle(&node->up_queue, world->now);
    if (node->up_queue.bytes < limit)
        return false;
    if (!node->up_room_due) {
        struct sim_event event = {
            .kind = SIM_EVENT_ROOM, .node = node->index, .incarnation = node->incarnation};
        sim_events_push(&world->events, queue_half_at(&node->up_queue, limit), &event);
    }
    node->up_room_due = true;
    return true;
}

/* --- flows --- */

static struct sim_flow *flow_find(const struct sim_socket *socket,
                                  const struct tern_endpoint *remote)
{
    uint8_t key[SIM_ENDPOINT_KEY_SIZE];
    sim_endpoint_key(remote, key);
    struct tern_map_entry *entry = tern_map_find(&socket->flows, tern_view_of(key, sizeof(key)));
    return entry == NULL ? NULL : TERN_CONTAINER_OF(entry, struct sim_flow, entry);
}

/* A flow's draws depend on the socket's port and how many flows it had before, and on nothing that
 * other sockets do. */
static uint64_t flow_seed(struct sim_socket *socket)
{
    const struct sim_node *node = socket->node;
    const uint32_t purpose[4] = {node->index, node->incarnation,
                                 (uint32_t)socket->local.family << 16 | socket->local.port,
                                 socket->flows_number++};
    return sim_world_seed_of(node->world, tern_view_of(purpose, sizeof(purpose)), 0);
}

static struct sim_flow *flow_of(struct sim_socket *socket, const struct tern_endpoint *remote)
{
    struct sim_world *world = socket->node->world;
    struct sim_flow *flow = flow_find(socket, remote);
    if (flow != NULL)
        return flow;
    flow = sim_take(world, sizeof(*flow));
    *flow = (struct sim_flow){.rng = flow_seed(socket)};
    sim_endpoint_key(remote, flow->key);
    sim_queue_init(&flow->queue, &world->mem);
    tern_err err =
        tern_map_insert(&socket->flows, &flow->entry, tern_view_of(flow->key, sizeof(flow->key)));
    TERN_CHECK(err == TERN_OK);
    return flow;
}

void sim_flows_clear(struct sim_socket *socket)
{
    struct tern_mem *mem = &socket->node->world->mem;
    for (struct tern_map_entry *at = tern_map_first(&socket->flows); at != NULL;
         at = tern_map_first(&socket->flows)) {
        struct sim_flow *flow = TERN_CONTAINER_OF(at, struct sim_flow, entry);
        tern_map_remove(&socket->flows, at);
        tern_ring_fini(&flow->queue.entries);
        tern_mem_free(mem, flow, sizeof(*flow));
    }
}

void sim_flows_repath(struct sim_socket *socket)
{
    for (struct tern_map_entry *at = tern_map_first(&socket->flows); at != NULL;
         at = tern_map_next(&socket->flows, at))
        TERN_CONTAINER_OF(at, struct sim_flow, entry)->to = NULL;
}

/* Whose address it is, and the path there. */
static void flow_route(struct sim_flow *flow, const struct sim_socket *socket,
                       const struct tern_endpoint *remote)
{
    struct sim_world *world = socket->node->world;
    const struct sim_socket *target = sim_nat_find(world, remote);
    struct sim_node *to = target != NULL ? target->node : sim_net_find(world, remote);
    if (to != NULL && to != flow->to)
        sim_net_path(world, socket->node->index, to->index, &flow->path);
    flow->to = to;
}

static bool flow_chance(struct sim_flow *flow, uint32_t ppm)
{
    return ppm > 0 && sim_rng_below(&flow->rng, MILLION) < ppm;
}

/* --- sending --- */

struct send_one {
    enum sim_fate fate;
    tern_time arrival;
    uint8_t ecn;
    bool alone; /* late or twice: it travels by itself */
};

/* One batch on its way out. */
struct send {
    struct sim_socket *socket;
    struct sim_flow *flow;
    const struct tern_datagrams_out *out;
    tern_time jitter;
    size_t count;
    size_t part_at; /* the batch comes in two parts from here on */
    struct send_one ones[TERN_DATAGRAMS_SEGMENTS_MAX];
};

static struct tern_view send_bytes(const struct send *send, size_t index)
{
    struct tern_view all = tern_writer_view(&send->out->writer);
    size_t at = index * send->out->segment_size;
    return tern_view_part(all, at, tern_min_size(all.size - at, send->out->segment_size));
}

static void send_describe(const struct send *send, size_t index, struct sim_datagram *datagram)
{
    const struct sim_node *node = send->socket->node;
    const struct sim_node *to = send->flow->to;
    *datagram = (struct sim_datagram){.time = node->world->now,
                                      .fate = send->ones[index].fate,
                                      .from = node->index,
                                      .to = to == NULL ? SIM_NODE_NONE : to->index,
                                      .source = send->socket->seen,
                                      .target = send->out->path.remote,
                                      .ecn = send->ones[index].ecn,
                                      .bytes = send_bytes(send, index),
                                      .arrival = send->ones[index].arrival};
}

static bool send_is_lost(struct send *send, size_t index)
{
    const struct sim_world_options *options = &send->socket->node->world->options;
    struct sim_datagram datagram;
    if (flow_chance(send->flow, send->flow->path.loss_ppm))
        return true;
    if (options->lose == NULL)
        return false;
    send_describe(send, index, &datagram);
    return options->lose(options->lose_context, &datagram);
}

/* send_queue takes it through the path's own queue; false: that is full. */
static bool send_queue(struct send *send, struct send_one *one, size_t size, tern_time *time)
{
    struct sim_flow *flow = send->flow;
    size_t limit = queue_limit(flow->path.queue_bytes);
    if (flow->path.bytes_per_second == 0)
        return true;
    queue_settle(&flow->queue, *time);
    if (flow->queue.bytes + size > limit)
        return false;
    *time = sim_serialise(&flow->busy_until, *time, size, flow->path.bytes_per_second);
    if (!queue_push(&flow->queue, *time, size))
        return false;
    if (flow->queue.bytes > limit / 2 && (one->ecn == 1 || one->ecn == 2)) {
        one->ecn = 3;
        send->socket->node->world->counters.datagrams_marked++;
    }
    return true;
}

static tern_time send_uplink(struct send *send, size_t size)
{
    struct sim_node *node = send->socket->node;
    uint64_t rate = node->options.up_bytes_per_second;
    tern_time left = sim_serialise(&node->up_busy_until, node->world->now, size, rate);
    if (rate > 0)
        TERN_CHECK(queue_push(&node->up_queue, left, size));
    return left;
}

/* send_decide is a datagram's fate, up to its arrival. */
static void send_decide(struct send *send, size_t index)
{
    struct sim_flow *flow = send->flow;
    const struct sim_path *path = &flow->path;
    struct send_one *one = &send->ones[index];
    size_t size = send_bytes(send, index).size;
    size_t header = send->socket->local.family == 4 ? 20 + 8 : 40 + 8;
    size_t mtu = path->mtu_bytes == 0 ? datagram_mtu_bytes : path->mtu_bytes;
    *one = (struct send_one){.fate = SIM_FATE_SENT, .ecn = send->out->ecn};
    if (flow->to != NULL && size + header > mtu) {
        one->fate = SIM_FATE_TOO_LARGE;
        return;
    }
    tern_time time = send_uplink(send, size);
    if (flow->to == NULL)
        one->fate = SIM_FATE_NOBODY;
    else if (send_is_lost(send, index))
        one->fate = SIM_FATE_LOST;
    else if (!send_queue(send, one, size, &time))
        one->fate = SIM_FATE_QUEUE_FULL;
    if (one->fate != SIM_FATE_SENT)
        return;
    one->arrival = time + path->latency_ns + send->jitter;
    if (flow_chance(flow, path->reorder_ppm)) {
        one->alone = true;
        one->arrival += 1 + sim_rng_below(&flow->rng, path->latency_ns / 2 + path->jitter_ns + 1);
        send->socket->node->world->counters.datagrams_late++;
        return;
    }
    if (one->arrival < flow->last_arrival)
        one->arrival = flow->last_arrival;
    flow->last_arrival = one->arrival;
}

/* --- under way --- */

static struct sim_flight *flight_new(struct sim_world *world, size_t size)
{
    struct tern_list *parked = tern_list_pop_front(&world->flights);
    struct sim_flight *flight = parked != NULL ? TERN_LIST_ENTRY(parked, struct sim_flight, parked)
                                               : sim_take(world, sizeof(*flight));
    *flight = (struct sim_flight){
        .chunk = tern_chunk_new(&world->mem, tern_max_size(size, CHUNK_SIZE_MIN))};
    TERN_CHECK(flight->chunk != NULL);
    tern_list_init(&flight->parked);
    return flight;
}

void sim_flight_done(struct sim_world *world, struct sim_flight *flight)
{
    tern_chunk_unref(flight->chunk);
    flight->chunk = NULL;
    tern_list_push_back(&world->flights, &flight->parked);
}

static bool send_fits(const struct send *send, size_t first, size_t index)
{
    const struct send_one *a = &send->ones[first];
    const struct send_one *b = &send->ones[index];
    if (index == first)
        return true;
    return b->fate == SIM_FATE_SENT && !a->alone && !b->alone && a->arrival == b->arrival &&
           a->ecn == b->ecn && (first < send->part_at) == (index < send->part_at);
}

/* send_launch lets a datagram go, with all others of its batch that arrive with it; those are
 * marked as gone. */
static void send_launch(struct send *send, size_t first, tern_time arrival)
{
    const struct sim_node *node = send->socket->node;
    struct sim_world *world = node->world;
    size_t size = 0;
    for (size_t i = first; i < send->count; i++)
        size += send_fits(send, first, i) ? send_bytes(send, i).size : 0;
    struct sim_flight *flight = flight_new(world, size);
    struct tern_chunk *chunk = flight->chunk;
    for (size_t i = first; i < send->count; i++) {
        if (!send_fits(send, first, i))
            continue;
        struct tern_view bytes = send_bytes(send, i);
        memcpy(chunk->data + chunk->size, bytes.data, bytes.size);
        chunk->size += (uint32_t)bytes.size;
        if (i != first)
            send->ones[i].fate = SIM_FATE_ARRIVED;
    }
    flight->from = node->index;
    flight->source = send->socket->seen;
    flight->target = send->out->path.remote;
    flight->ecn = send->ones[first].ecn;
    flight->segment_size = (uint16_t)tern_min_size(chunk->size, send->out->segment_size);
    struct sim_event event = {.kind = SIM_EVENT_DATAGRAMS, .object = flight};
    sim_events_push(&world->events, arrival, &event);
}

/* A second copy of one datagram, a little later. */
static void send_twice(struct send *send, size_t index)
{
    struct sim_flow *flow = send->flow;
    struct send_one *one = &send->ones[index];
    tern_time after = flow->path.latency_ns / 2 + flow->path.jitter_ns + 1;
    bool alone = one->alone;
    one->alone = true;
    send_launch(send, index, one->arrival + sim_rng_below(&flow->rng, after));
    one->alone = alone;
    send->socket->node->world->counters.datagrams_twice++;
}

static void send_count(struct send *send, size_t index)
{
    struct sim_world *world = send->socket->node->world;
    struct sim_datagram datagram;
    world->counters.datagrams_sent++;
    world->counters.datagrams_lost += send->ones[index].fate == SIM_FATE_LOST;
    world->counters.datagrams_dropped +=
        send->ones[index].fate != SIM_FATE_LOST && send->ones[index].fate != SIM_FATE_SENT;
    if (world->options.capture == NULL)
        return;
    send_describe(send, index, &datagram);
    world->options.capture(world->options.capture_context, &datagram);
}

static void send_draw(struct send *send)
{
    struct sim_flow *flow = send->flow;
    uint32_t part_ppm = send->socket->node->world->options.cut_segment_ppm;
    if (flow->path.jitter_ns > 0)
        send->jitter = sim_rng_below(&flow->rng, flow->path.jitter_ns + 1);
    if (send->count > 1 && flow_chance(flow, part_ppm))
        send->part_at = (size_t)sim_rng_below(&flow->rng, send->count);
}

void sim_datagrams_send(struct sim_socket *socket, const struct tern_datagrams_out *out)
{
    const struct tern_endpoint *remote = &out->path.remote;
    struct send send = {.socket = socket, .out = out};
    bool own =
        socket->wildcard || sim_net_find(socket->node->world, &socket->local) == socket->node;
    if (remote->family != socket->local.family || remote->port == 0 || !own)
        return; /* the system refuses it */
    send.flow = flow_of(socket, remote);
    send.count = (out->writer.size + out->segment_size - 1) / out->segment_size;
    flow_route(send.flow, socket, remote);
    send_draw(&send);
    for (size_t i = 0; i < send.count; i++) {
        send_decide(&send, i);
        send_count(&send, i);
    }
    for (size_t i = 0; i < send.count; i++) {
        if (send.ones[i].fate == SIM_FATE_SENT &&
            flow_chance(send.flow, send.flow->path.duplicate_ppm))
            send_twice(&send, i);
    }
    for (size_t i = 0; i < send.count; i++) {
        if (send.ones[i].fate == SIM_FATE_SENT)
            send_launch(&send, i, send.ones[i].arrival);
    }
}

/* --- arriving --- */

static enum sim_fate flight_fate(const struct sim_world *world, const struct sim_flight *flight,
                                 const struct sim_socket *to)
{
    if (to == NULL || to->close_wanted)
        return SIM_FATE_NOBODY;
    if (!sim_net_passes(world, sim_node_at(world, flight->from), to->node))
        return SIM_FATE_CUT;
    if (!to->wildcard && sim_net_find(world, &to->local) != to->node)
        return SIM_FATE_NOBODY; /* the address it is bound to is not its node's any more */
    if (to->node->options.inbound == SIM_INBOUND_DROPPED && flow_find(to, &flight->source) == NULL)
        return SIM_FATE_FILTERED;
    return SIM_FATE_ARRIVED;
}

static void flight_tell(struct sim_world *world, const struct sim_flight *flight,
                        const struct sim_socket *to, enum sim_fate fate)
{
    struct tern_view all = tern_chunk_view(flight->chunk);
    size_t count = 0;
    for (size_t at = 0; at < all.size; at += flight->segment_size, count++) {
        struct sim_datagram datagram = {
            .time = world->now,
            .fate = fate,
            .from = flight->from,
            .to = to == NULL ? SIM_NODE_NONE : to->node->index,
            .source = flight->source,
            .target = flight->target,
            .ecn = flight->ecn,
            .bytes = tern_view_part(all, at, tern_min_size(all.size - at, flight->segment_size)),
            .arrival = world->now};
        if (world->options.capture != NULL)
            world->options.capture(world->options.capture_context, &datagram);
    }
    if (fate == SIM_FATE_ARRIVED)
        world->counters.datagrams_taken += count;
    else
        world->counters.datagrams_dropped += count;
}

/* The machine may keep the bytes and must not change them: others may have the same chunk. */
static void flight_deliver(struct sim_world *world, const struct sim_flight *flight,
                           struct sim_socket *to)
{
    struct sim_node *node = to->node;
    struct tern_view bytes = tern_chunk_view(flight->chunk);
    struct tern_datagrams got = {
        .path = {.local = sim_net_endpoint(node, to->local.family, to->local.port),
                 .remote = flight->source},
        .ecn = flight->ecn,
        .segment_size = flight->segment_size,
        .chunk = flight->chunk,
        .data = bytes,
    };
    uint64_t before = tern_siphash(world->key, bytes);
    sim_node_input(node, &(struct tern_input){
                             .kind = TERN_INPUT_DATAGRAMS, .link = to->id, .datagrams = &got});
    TERN_CHECK(tern_siphash(world->key, bytes) == before);
    sim_node_pump(node);
}

void sim_flight_arrive(struct sim_world *world, struct sim_flight *flight)
{
    struct sim_socket *to = sim_nat_find(world, &flight->target);
    enum sim_fate fate = flight_fate(world, flight, to);
    flight_tell(world, flight, to, fate);
    if (fate == SIM_FATE_ARRIVED)
        flight_deliver(world, flight, to);
    sim_flight_done(world, flight);
}

const char *sim_fate_name(enum sim_fate fate)
{
    static const char *const names[] = {"sent",      "arrived", "lost", "queue full",
                                        "too large", "nobody",  "cut",  "filtered"};
    TERN_CHECK((size_t)fate < TERN_COUNT_OF(names));
    return names[fate];
}
