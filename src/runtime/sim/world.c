#include "runtime/sim/world.h"

#include "base/check.h"
#include "runtime/sim/world_private.h"

void sim_world_options_defaults(struct sim_world_options *options)
{
    *options = (struct sim_world_options){
        .epoch = UINT64_C(1735689600) * TERN_SECOND, /* 2025-01-01 */
        .path_default = {.latency_ns = 25 * TERN_MILLISECOND, .jitter_ns = TERN_MILLISECOND},
        .buffer_bytes = 256 << 10,
        .segment_bytes = 16 << 10,
        .cut_segment_ppm = 50000,
        .connect_timeout_ns = 20 * TERN_SECOND,
        .retransmit_timeout_ns = 2 * TERN_MINUTE,
        .store_write_ns = 2 * TERN_MILLISECOND,
        .store_read_ns = 50 * TERN_MICROSECOND,
        .resolve_ns = 20 * TERN_MILLISECOND,
        .workers = 2,
    };
}

void *sim_take(struct sim_world *world, size_t size)
{
    void *block = tern_mem_alloc(&world->mem, size);
    TERN_CHECK(block != NULL);
    return block;
}

static struct sim_world *world_alloc(void)
{
    struct tern_mem mem;
    tern_mem_init(&mem, 0);
    struct sim_world *world = tern_mem_zalloc(&mem, sizeof(*world));
    TERN_CHECK(world != NULL);
    world->mem = mem;
    world->mem.parked_max = 256 << 20;
    return world;
}

static void world_check(const struct sim_world_options *options)
{
    TERN_CHECK(options->workers > 0 && options->workers <= SIM_WORKERS_MAX);
    TERN_CHECK(options->buffer_bytes > 0 && options->segment_bytes > 0);
    TERN_CHECK(options->segment_bytes <= SIM_SCRATCH_SIZE);
    TERN_CHECK(options->connect_timeout_ns < TERN_TIME_NEVER / 2);
    TERN_CHECK(options->retransmit_timeout_ns < TERN_TIME_NEVER / 2);
}

struct sim_world *sim_world_new(const struct sim_world_options *options)
{
    world_check(options);
    struct sim_world *world = world_alloc();
    struct tern_random random;
    world->options = *options;
    tern_random_init_u64(&random, options->seed);
    world->key[0] = tern_random_u64(&random);
    world->key[1] = tern_random_u64(&random);
    tern_random_fork(&random, &world->random);
    sim_events_init(&world->events, &world->mem);
    tern_list_init(&world->links);
    tern_list_init(&world->names);
    tern_map_init(&world->nodes_by_ip, &world->mem, world->key);
    tern_map_init(&world->cuts, &world->mem, world->key);
    tern_map_init(&world->seen, &world->mem, world->key);
    tern_list_init(&world->flights);
    world->scratch = sim_take(world, SIM_SCRATCH_SIZE);
    return world;
}

/* --- the end --- */

/* world_discard frees what an event owns, without letting it happen. */
static void world_discard(struct sim_world *world, const struct sim_event *event)
{
    switch (event->kind) {
    case SIM_EVENT_SYN:
    case SIM_EVENT_SYN_ANSWER:
    case SIM_EVENT_DIAL_FAIL:
    case SIM_EVENT_ARRIVAL:
    case SIM_EVENT_WRITABLE:
    case SIM_EVENT_RESET:
    case SIM_EVENT_GIVE_UP:
        sim_link_event_done(event->object);
        return;
    case SIM_EVENT_DATAGRAMS:
        sim_flight_done(world, event->object);
        return;
    case SIM_EVENT_RESOLVED:
        sim_lookup_free(world, event->object);
        return;
    case SIM_EVENT_CALL:
        tern_mem_free(&world->mem, event->object, sizeof(struct sim_call));
        return;
    case SIM_EVENT_WAKE:
    case SIM_EVENT_WALL:
    case SIM_EVENT_ROOM:
    case SIM_EVENT_JOB:
    case SIM_EVENT_STORE:
        return;
    }
    TERN_UNREACHABLE();
}

static void world_free_links(struct sim_world *world)
{
    tern_time time;
    struct sim_event event;
    while (sim_events_pop(&world->events, TERN_TIME_NEVER, &time, &event))
        world_discard(world, &event);
    TERN_LIST_FOREACH_SAFE (at, next, &world->links) {
        struct sim_link *link = TERN_LIST_ENTRY(at, struct sim_link, all);
        link->ends[0].state = SIM_END_CLOSED;
        link->ends[1].state = SIM_END_CLOSED;
        struct sim_segment *head = tern_ring_at(&link->ends[0].out, 0);
        if (head != NULL)
            head->kind = SIM_SEGMENT_FIN; /* nobody is going to open it */
        sim_link_reap(link);
    }
}

static void world_free_flights(struct sim_world *world)
{
    for (struct tern_list *at = tern_list_pop_front(&world->flights); at != NULL;
         at = tern_list_pop_front(&world->flights))
        tern_mem_free(&world->mem, TERN_LIST_ENTRY(at, struct sim_flight, parked),
                      sizeof(struct sim_flight));
}

void sim_world_free(struct sim_world *world)
{
    for (size_t i = 0; i < world->nodes_count; i++) {
        if (world->nodes[i]->up)
            sim_node_stop(world->nodes[i], SIM_CRASH_HOST);
    }
    world_free_links(world);
    world_free_flights(world);
    sim_net_free(world);
    for (size_t i = 0; i < world->nodes_count; i++)
        sim_node_free(world->nodes[i]);
    tern_mem_free(&world->mem, world->nodes, world->nodes_capacity * sizeof(struct sim_node *));
    tern_map_fini(&world->nodes_by_ip);
    tern_map_fini(&world->seen);
    sim_names_free(world);
    sim_events_fini(&world->events);
    tern_mem_free(&world->mem, world->scratch, SIM_SCRATCH_SIZE);
    struct tern_mem mem = world->mem;
    tern_mem_free(&mem, world, sizeof(*world));
    tern_mem_fini(&mem); /* what a machine kept of received bytes must have come back */
}

/* --- time --- */

static bool world_node_is(const struct sim_world *world, const struct sim_event *event)
{
    const struct sim_node *node = sim_node_at(world, event->node);
    return node->up && node->incarnation == event->incarnation;
}

static void world_wall(struct sim_world *world, const struct sim_event *event)
{
    struct sim_node *node = sim_node_at(world, event->node);
    sim_node_input(node, &(struct tern_input){.kind = TERN_INPUT_WALL,
                                              .wall = sim_world_wall(world, node->index)});
    sim_node_pump(node);
    sim_events_push(&world->events, world->now + 10 * TERN_SECOND, event);
}

static void world_link_event(struct sim_link *link, const struct sim_event *event)
{
    struct sim_end *end = &link->ends[event->side];
    if (event->kind == SIM_EVENT_ARRIVAL)
        sim_end_arrival(end);
    else if (event->kind == SIM_EVENT_WRITABLE)
        sim_end_writable(end);
    else if (event->kind == SIM_EVENT_SYN)
        sim_dial_syn(link);
    else if (event->kind == SIM_EVENT_SYN_ANSWER)
        sim_dial_answer(link, event->number == 1);
    else if (event->kind == SIM_EVENT_DIAL_FAIL)
        sim_dial_fail(link, (tern_err)event->number);
    else if (event->kind == SIM_EVENT_RESET)
        sim_end_reset(end);
    else
        sim_end_give_up(end, event->number);
    sim_link_event_done(link);
}

static void world_node_event(struct sim_world *world, const struct sim_event *event)
{
    if (event->kind == SIM_EVENT_WAKE) {
        sim_node_wake(sim_node_at(world, event->node), event->number);
        return;
    }
    if (!world_node_is(world, event)) {
        world_discard(world, event);
        return;
    }
    struct sim_node *node = sim_node_at(world, event->node);
    if (event->kind == SIM_EVENT_JOB) {
        sim_job_done(node, event->object);
    } else if (event->kind == SIM_EVENT_STORE) {
        sim_store_done(node);
    } else if (event->kind == SIM_EVENT_ROOM) {
        sim_socket_room(node);
    } else if (event->kind == SIM_EVENT_RESOLVED) {
        sim_resolved(node, event->object);
        sim_lookup_free(world, event->object);
    } else {
        world_wall(world, event);
    }
}

static void world_event(struct sim_world *world, const struct sim_event *event)
{
    switch (event->kind) {
    case SIM_EVENT_WAKE:
    case SIM_EVENT_WALL:
    case SIM_EVENT_ROOM:
    case SIM_EVENT_JOB:
    case SIM_EVENT_STORE:
    case SIM_EVENT_RESOLVED:
        world_node_event(world, event);
        return;
    case SIM_EVENT_DATAGRAMS:
        sim_flight_arrive(world, event->object);
        return;
    case SIM_EVENT_SYN:
    case SIM_EVENT_SYN_ANSWER:
    case SIM_EVENT_DIAL_FAIL:
    case SIM_EVENT_ARRIVAL:
    case SIM_EVENT_WRITABLE:
    case SIM_EVENT_RESET:
    case SIM_EVENT_GIVE_UP:
        world_link_event(event->object, event);
        return;
    case SIM_EVENT_CALL:
        break;
    }
    struct sim_call call = *(const struct sim_call *)event->object;
    world_discard(world, event);
    call.fn(call.context, world);
}

bool sim_world_step(struct sim_world *world, tern_time limit)
{
    tern_time time;
    struct sim_event event;
    if (!sim_events_pop(&world->events, limit, &time, &event)) {
        if (limit != TERN_TIME_NEVER && limit > world->now)
            world->now = limit;
        return false;
    }
    TERN_CHECK(time >= world->now);
    world->same_time = time == world->now ? world->same_time + 1 : 0;
    TERN_CHECK(world->same_time < SIM_SAME_TIME_MAX); /* else some machine is stuck */
    world->now = time;
    world->counters.events++;
    world_event(world, &event);
    return true;
}

void sim_world_run(struct sim_world *world, tern_time until)
{
    while (sim_world_step(world, until))
        continue;
}

bool sim_world_run_until(struct sim_world *world, const struct sim_until *until)
{
    tern_time ask_at = world->now;
    for (;;) {
        if (world->now >= ask_at) {
            if (until->done(until->context, world))
                return true;
            ask_at = world->now + until->every_ns;
        }
        if (!sim_world_step(world, until->limit))
            return until->done(until->context, world);
    }
}

void sim_world_at(struct sim_world *world, tern_time time,
                  void (*fn)(void *context, struct sim_world *world), void *context)
{
    TERN_CHECK(time >= world->now);
    struct sim_call *call = sim_take(world, sizeof(*call));
    *call = (struct sim_call){.fn = fn, .context = context};
    struct sim_event event = {.kind = SIM_EVENT_CALL, .object = call};
    sim_events_push(&world->events, time, &event);
}

tern_time sim_world_now(const struct sim_world *world)
{
    return world->now;
}

uint32_t sim_world_nodes_count(const struct sim_world *world)
{
    return (uint32_t)world->nodes_count;
}

struct tern_random *sim_world_random(struct sim_world *world)
{
    return &world->random;
}
