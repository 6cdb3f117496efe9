/* What happened, as one number, and the counters. */
#include "base/check.h"
#include "runtime/sim/world_private.h"

/* hash_fold makes the hash of everything before the key of the hash of what comes next. */
static void hash_fold(struct sim_world *world, const void *bytes, size_t size)
{
    uint64_t key[2] = {world->hash, UINT64_C(0x7465726e2d73696d)};
    world->hash = tern_siphash(key, tern_view_of(bytes, size));
}

static uint64_t hash_bytes(const void *bytes, size_t size)
{
    static const uint64_t key[2] = {1, 2};
    return tern_siphash(key, tern_view_of(bytes, size));
}

static uint64_t hash_endpoint(const struct tern_endpoint *endpoint)
{
    uint8_t bytes[19] = {endpoint->family, (uint8_t)(endpoint->port >> 8), (uint8_t)endpoint->port};
    memcpy(bytes + 3, endpoint->ip, sizeof(endpoint->ip));
    return hash_bytes(bytes, sizeof(bytes));
}

static uint64_t hash_datagrams(const struct tern_datagrams *datagrams)
{
    const uint64_t words[5] = {hash_bytes(datagrams->data.data, datagrams->data.size),
                               hash_endpoint(&datagrams->path.remote),
                               hash_endpoint(&datagrams->path.local), datagrams->ecn,
                               datagrams->segment_size};
    return hash_bytes(words, sizeof(words));
}

/* hash_content is what an input carries besides its numbers. Never a pointer: they differ from run
 * to run. */
static uint64_t hash_content(const struct tern_input *in)
{
    switch (in->kind) {
    case TERN_INPUT_DATA:
        return hash_bytes(in->data.data, in->data.size);
    case TERN_INPUT_JOB_DONE:
        return in->job->owner_kind ^ ((uint64_t)in->job->owner_slot << 32) ^
               in->job->owner_generation;
    case TERN_INPUT_STORED:
        return in->request->owner_tag ^ ((uint64_t)in->request->err << 48) ^
               hash_bytes(in->request->result.data, in->request->result_size);
    case TERN_INPUT_LISTENING:
    case TERN_INPUT_DIALED:
    case TERN_INPUT_ACCEPTED:
    case TERN_INPUT_BOUND:
        return hash_endpoint(&in->local) ^ (hash_endpoint(&in->remote) * 3);
    case TERN_INPUT_DATAGRAMS:
        return hash_datagrams(in->datagrams);
    case TERN_INPUT_RESOLVED:
        return in->resolved_count;
    case TERN_INPUT_WALL:
        return in->wall;
    case TERN_INPUT_TICK:
    case TERN_INPUT_LISTEN_FAIL:
    case TERN_INPUT_DIAL_FAIL:
    case TERN_INPUT_LINK_END:
    case TERN_INPUT_LINK_CLOSED:
    case TERN_INPUT_BIND_FAIL:
    case TERN_INPUT_NETWORK:
        return 0;
    }
    TERN_UNREACHABLE();
}

void sim_hash_input(struct sim_node *node, const struct tern_input *in)
{
    struct sim_world *world = node->world;
    const uint64_t words[6] = {
        world->now,    node->index | ((uint64_t)in->kind << 32) | ((uint64_t)in->err << 40),
        in->link,      in->token,
        in->data.size, hash_content(in)};
    hash_fold(world, words, sizeof(words));
    world->counters.inputs++;
    world->counters.inputs_by_kind[in->kind]++;
}

void sim_trace_sink(void *context, const struct tern_trace_event *event)
{
    struct sim_node *node = context;
    struct sim_world *world = node->world;
    if (node->stopping)
        return;
    const uint64_t words[5] = {event->time, event->node | ((uint64_t)event->id << 32),
                               event->args[0], event->args[1], event->args[2]};
    hash_fold(world, words, sizeof(words));
    world->counters.traces++;
    if (world->options.sink != NULL)
        world->options.sink(world->options.sink_context, event);
}

uint64_t sim_world_trace_hash(const struct sim_world *world)
{
    return world->hash;
}

const struct sim_counters *sim_world_counters(const struct sim_world *world)
{
    return &world->counters;
}

uint64_t sim_world_seed_of(const struct sim_world *world, struct tern_view purpose, uint64_t number)
{
    uint64_t key[2] = {world->key[0] ^ number, world->key[1]};
    return tern_siphash(key, purpose);
}
