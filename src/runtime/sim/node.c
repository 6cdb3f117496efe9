/*
 * Nodes: a machine's life, its inputs and its commands.
 */
#include "base/check.h"
#include "runtime/sim/world_private.h"

/* How often a drifting wall clock is told again, as the real loop looks after it. */
static const tern_time node_wall_repeat_ns = 10 * TERN_SECOND;

struct sim_node *sim_node_at(const struct sim_world *world, uint32_t node)
{
    TERN_CHECK(node < world->nodes_count);
    return world->nodes[node];
}

void sim_node_input(struct sim_node *node, const struct tern_input *in)
{
    TERN_CHECK(node->up);
    if (!node->stopping)
        sim_hash_input(node, in);
    node->machine.ops->input(node->machine.self, node->world->now, in);
}

/* --- commands --- */

static void node_end_command(struct sim_end *end, enum tern_command_kind kind)
{
    if (kind == TERN_COMMAND_TRANSMIT)
        sim_end_ready(end);
    else if (kind == TERN_COMMAND_READ)
        sim_end_read(end);
    else if (kind == TERN_COMMAND_ABORT)
        sim_end_abort(end);
    else
        sim_end_shut(end, kind == TERN_COMMAND_CLOSE);
}

static void node_link_command(struct sim_node *node, const struct tern_command *command)
{
    const struct sim_slot *slot = sim_slot_find(node, command->link);
    if (slot == NULL)
        return; /* it closed while the command was under way */
    if (slot->end != NULL)
        node_end_command(slot->end, command->kind);
    else
        sim_socket_command(slot->socket, command->kind);
}

static void node_command(struct sim_node *node, const struct tern_command *command)
{
    node->world->counters.commands++;
    switch (command->kind) {
    case TERN_COMMAND_LISTEN:
        sim_listen(node, command);
        return;
    case TERN_COMMAND_UNLISTEN:
        sim_unlisten(node, command->token);
        return;
    case TERN_COMMAND_DIAL:
        sim_dial(node, command);
        return;
    case TERN_COMMAND_DIAL_CANCEL:
        sim_dial_cancel(node, command->token);
        return;
    case TERN_COMMAND_JOB:
        sim_job_run(node, command->job);
        return;
    case TERN_COMMAND_STORE:
        sim_store_submit(node, command->request);
        return;
    case TERN_COMMAND_RESOLVE:
        sim_resolve(node, command);
        return;
    case TERN_COMMAND_BIND:
        sim_bind(node, command);
        return;
    case TERN_COMMAND_TRANSMIT:
    case TERN_COMMAND_READ:
    case TERN_COMMAND_SHUT:
    case TERN_COMMAND_CLOSE:
    case TERN_COMMAND_ABORT:
        node_link_command(node, command);
        return;
    }
    TERN_UNREACHABLE();
}

static void node_arm(struct sim_node *node)
{
    tern_time now = node->world->now;
    tern_time deadline = node->machine.ops->deadline(node->machine.self);
    if (deadline == TERN_TIME_NEVER || deadline >= node->wake_at)
        return; /* an earlier WAKE is in the heap: it looks again */
    node->wake_at = deadline > now ? deadline : now;
    struct sim_event event = {
        .kind = SIM_EVENT_WAKE, .node = node->index, .number = ++node->wake_number};
    sim_events_push(&node->world->events, node->wake_at, &event);
}

/* node_transmit asks for bytes and datagrams; false: nothing was ready. */
static bool node_transmit(struct sim_node *node)
{
    bool any = false;
    for (struct tern_list *at = tern_list_pop_front(&node->ready); at != NULL;
         at = tern_list_pop_front(&node->ready)) {
        sim_end_transmit(TERN_LIST_ENTRY(at, struct sim_end, ready));
        any = true;
    }
    for (struct tern_list *at = tern_list_pop_front(&node->sockets_ready); at != NULL;
         at = tern_list_pop_front(&node->sockets_ready)) {
        sim_socket_transmit(TERN_LIST_ENTRY(at, struct sim_socket, ready));
        any = true;
    }
    return any;
}

void sim_node_pump(struct sim_node *node)
{
    struct tern_command command;
    unsigned passes = 0;
    bool more = node->up && !node->stopping;
    while (more) {
        TERN_CHECK(++passes < SIM_PASSES_MAX);
        while (node->machine.ops->next_command(node->machine.self, &command))
            node_command(node, &command);
        more = node_transmit(node);
    }
    if (node->up && !node->stopping)
        node_arm(node);
}

void sim_node_wake(struct sim_node *node, uint64_t number)
{
    if (!node->up || number != node->wake_number)
        return;
    node->wake_at = TERN_TIME_NEVER;
    if (node->machine.ops->deadline(node->machine.self) <= node->world->now)
        sim_node_input(node, &(struct tern_input){.kind = TERN_INPUT_TICK});
    sim_node_pump(node);
}

/* --- life --- */

void sim_node_place(struct sim_node *node)
{
    tern_err err = tern_map_insert(&node->world->nodes_by_ip, &node->by_ip,
                                   tern_view_of(node->ip4, sizeof(node->ip4)));
    TERN_CHECK(err == TERN_OK);
}

static void node_give_address(struct sim_node *node)
{
    static const uint8_t none[4];
    memcpy(node->ip4, node->options.ip4, sizeof(node->ip4));
    if (memcmp(node->ip4, none, sizeof(none)) == 0) {
        uint32_t number = node->index + 1;
        const uint8_t ip4[4] = {10, (uint8_t)(number >> 16), (uint8_t)(number >> 8),
                                (uint8_t)number};
        memcpy(node->ip4, ip4, sizeof(ip4));
    }
    memcpy(node->home_ip4, node->ip4, sizeof(node->ip4));
    memcpy(node->nat4, node->options.nat4, sizeof(node->nat4));
    sim_node_place(node);
}

uint32_t sim_world_add(struct sim_world *world, const struct sim_node_options *options)
{
    TERN_CHECK(options->ops != NULL && world->nodes_count < SIM_NODES_MAX);
    if (world->nodes_count == world->nodes_capacity) {
        size_t capacity = world->nodes_capacity == 0 ? 16 : world->nodes_capacity * 2;
        world->nodes = tern_mem_realloc(&world->mem, world->nodes,
                                        world->nodes_capacity * sizeof(struct sim_node *),
                                        capacity * sizeof(struct sim_node *));
        TERN_CHECK(world->nodes != NULL);
        world->nodes_capacity = capacity;
    }
    struct sim_node *node = sim_take(world, sizeof(*node));
    memset(node, 0, sizeof(*node));
    node->world = world;
    node->index = (uint32_t)world->nodes_count;
    node->options = *options;
    node->wake_at = TERN_TIME_NEVER;
    node->trace = (struct tern_trace){.sink = sim_trace_sink, .context = node, .node = node->index};
    tern_mem_init(&node->mem, 0);
    tern_list_init(&node->ready);
    tern_list_init(&node->sockets);
    tern_list_init(&node->sockets_ready);
    sim_queue_init(&node->up_queue, &world->mem);
    tern_list_init(&node->dials);
    tern_list_init(&node->jobs);
    tern_list_init(&node->requests);
    node->store_rng = sim_world_seed_of(world, tern_view_str("store"), node->index);
    sim_store_init(&node->store, &world->mem, node->store_rng + 1);
    node_give_address(node);
    world->nodes[world->nodes_count++] = node;
    return node->index;
}

tern_wall_time sim_world_wall(const struct sim_world *world, uint32_t index)
{
    const struct sim_node *node = sim_node_at(world, index);
    int64_t drift = (int64_t)(world->now / 1000000) * node->options.drift_ppm;
    return world->options.epoch + world->now + (tern_wall_time)(node->options.skew_ns + drift);
}

static void node_tell_wall(struct sim_node *node)
{
    struct sim_world *world = node->world;
    sim_node_input(node, &(struct tern_input){.kind = TERN_INPUT_WALL,
                                              .wall = sim_world_wall(world, node->index)});
    if (node->options.drift_ppm == 0)
        return;
    struct sim_event event = {
        .kind = SIM_EVENT_WALL, .node = node->index, .incarnation = node->incarnation};
    sim_events_push(&world->events, world->now + node_wall_repeat_ns, &event);
}

static void node_seed(struct sim_node *node)
{
    for (size_t i = 0; i < TERN_RANDOM_SEED_SIZE / 8; i++) {
        uint64_t number = ((uint64_t)node->index << 32 | node->incarnation) * 4 + i;
        uint64_t word = sim_world_seed_of(node->world, tern_view_str("node"), number);
        for (size_t j = 0; j < 8; j++)
            node->seed[i * 8 + j] = (uint8_t)(word >> (8 * j));
    }
}

tern_err sim_world_start(struct sim_world *world, uint32_t index)
{
    struct sim_node *node = sim_node_at(world, index);
    TERN_CHECK(!node->up);
    node_seed(node);
    struct sim_node_start start = {.world = world,
                                   .node = index,
                                   .incarnation = node->incarnation,
                                   .mem = &node->mem,
                                   .trace = &node->trace,
                                   .seed = node->seed,
                                   .now = world->now,
                                   .wall = sim_world_wall(world, index)};
    TERN_TRY(node->options.ops->start(node->options.context, &start, &node->machine));
    node->up = true;
    TERN_TRACE(&node->trace, world->now, SIM_STARTED, node->incarnation, 0, 0);
    node->wake_at = TERN_TIME_NEVER;
    memset(node->workers, 0, sizeof(node->workers));
    node->store_busy_until = world->now;
    node->up_busy_until = world->now;
    sim_queue_clear(&node->up_queue);
    node->up_room_due = false;
    node_tell_wall(node);
    sim_net_release(world);
    sim_node_pump(node);
    return TERN_OK;
}

static void node_return_all(struct sim_node *node)
{
    sim_store_crash(node);
    for (struct tern_list *at = tern_list_pop_front(&node->jobs); at != NULL;
         at = tern_list_pop_front(&node->jobs)) {
        struct tern_job *job = TERN_LIST_ENTRY(at, struct tern_job, link);
        sim_node_input(node, &(struct tern_input){.kind = TERN_INPUT_JOB_DONE, .job = job});
    }
}

void sim_node_stop(struct sim_node *node, enum sim_crash how)
{
    TERN_CHECK(node->up && !node->stopping);
    node->stopping = true;
    for (size_t i = 0; i < node->slots_capacity; i++) {
        if (node->slots[i].end != NULL)
            sim_end_vanish(node->slots[i].end, how);
        else if (node->slots[i].socket != NULL)
            sim_socket_vanish(node->slots[i].socket);
    }
    sim_dial_drop_all(node);
    node_return_all(node);
    TERN_CHECK(tern_list_empty(&node->ready) && tern_list_empty(&node->sockets_ready));
    node->options.ops->stop(node->options.context, node->index, node->machine);
    tern_mem_fini(&node->mem); /* a leak of the machine ends the process here */
    node->machine = (struct tern_machine){.ops = NULL};
    node->listeners_count = 0;
    node->wake_number++;
    node->up = false;
    node->stopping = false;
    node->crashed = how;
    node->incarnation++;
}

void sim_world_crash(struct sim_world *world, uint32_t index, enum sim_crash how)
{
    struct sim_node *node = sim_node_at(world, index);
    world->counters.crashes++;
    TERN_TRACE(&node->trace, world->now, SIM_CRASHED, node->incarnation, how == SIM_CRASH_HOST, 0);
    sim_node_stop(node, how);
}

void sim_node_free(struct sim_node *node)
{
    struct tern_mem *mem = &node->world->mem;
    sim_store_fini(&node->store);
    sim_slots_free(node);
    tern_ring_fini(&node->up_queue.entries);
    tern_map_remove(&node->world->nodes_by_ip, &node->by_ip);
    tern_mem_free(mem, node, sizeof(*node));
}

void sim_world_set_skew(struct sim_world *world, uint32_t index, int64_t skew_ns)
{
    struct sim_node *node = sim_node_at(world, index);
    node->options.skew_ns = skew_ns;
    TERN_TRACE(&node->trace, world->now, SIM_SKEW, (uint64_t)skew_ns, 0, 0);
    if (!node->up)
        return;
    sim_node_input(
        node, &(struct tern_input){.kind = TERN_INPUT_WALL, .wall = sim_world_wall(world, index)});
    sim_node_pump(node);
}

void sim_world_kick(struct sim_world *world, uint32_t node)
{
    sim_node_pump(sim_node_at(world, node));
}

/* --- what a node is --- */

bool sim_world_is_up(const struct sim_world *world, uint32_t node)
{
    return sim_node_at(world, node)->up;
}

struct tern_machine sim_world_machine(struct sim_world *world, uint32_t node)
{
    return sim_node_at(world, node)->machine;
}

struct tern_mem *sim_world_mem(struct sim_world *world, uint32_t node)
{
    return &sim_node_at(world, node)->mem;
}

struct sim_store *sim_world_store(struct sim_world *world, uint32_t node)
{
    return &sim_node_at(world, node)->store;
}

size_t sim_world_links_count(const struct sim_world *world, uint32_t index)
{
    return sim_node_at(world, index)->links_count;
}

bool sim_world_link_stats(const struct sim_world *world, uint32_t node, tern_link_id id,
                          struct sim_link_stats *stats)
{
    const struct sim_slot *slot = sim_slot_find(sim_node_at(world, node), id);
    *stats = (struct sim_link_stats){0};
    if (slot == NULL || slot->end == NULL)
        return false;
    const struct sim_end *end = slot->end;
    *stats = (struct sim_link_stats){.bytes_out = end->bytes_out,
                                     .bytes_in = end->bytes_in,
                                     .segments_out = end->segments_out,
                                     .round_trips = end->round_trips,
                                     .opened_at = end->opened_at,
                                     .unsent = end->out_bytes};
    return true;
}
