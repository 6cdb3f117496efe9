#include "sim/nodes.h"

#include "base/check.h"
#include "chain/audit.h"
#include "chain/rows.h"
#include "testing/entropy.h"

static struct sim_node *node_at(const struct sim_nodes *nodes, uint32_t i)
{
    TERN_CHECK(i < nodes->options.count);
    /* The nodes are changed by their machines alone; looking at them changes nothing. */
    return (struct sim_node *)(uintptr_t)&nodes->nodes[i];
}

static void node_event(struct sim_node *node, const struct tern_node_event *event)
{
    switch (event->kind) {
    case TERN_NODE_READY:
        node->ready = true;
        break;
    case TERN_NODE_HEAD:
        node->heads++;
        node->undone += event->undone_count;
        node->trades += event->trades_count;
        break;
    case TERN_NODE_PROPOSED:
        node->proposed++;
        break;
    case TERN_NODE_TX:
    case TERN_NODE_BLOCK:
        TERN_CHECK(event->tag < SIM_TAGS_MAX && !node->answers[event->tag].here);
        node->answers[event->tag] = (struct sim_answer){true, event->err, event->fault};
        break;
    case TERN_NODE_VALIDATED:
        node->validated = true;
        node->validated_err = event->err;
        node->validation = event->validation;
        break;
    case TERN_NODE_FAILED:
        node->failed = true;
        break;
    case TERN_NODE_CONFIRMED:
    case TERN_NODE_LISTENING:
    case TERN_NODE_LISTEN_FAILED:
    case TERN_NODE_PEER_UP:
    case TERN_NODE_PEER_DOWN:
    case TERN_NODE_DIAL_DONE:
    case TERN_NODE_PING:
    case TERN_NODE_EQUIVOCATION:
        break;
    }
}

static void node_drain(struct sim_node *node)
{
    struct tern_node_event event;
    while (tern_node_next(node->core, &event))
        node_event(node, &event);
}

/* --- the machine: the core's, whose events are drawn after every input --- */

static void node_input(void *self, tern_time now, const struct tern_input *in)
{
    struct sim_node *node = self;
    node->inner.ops->input(node->inner.self, now, in);
    node_drain(node);
}

static bool node_next_command(void *self, struct tern_command *command)
{
    struct sim_node *node = self;
    return node->inner.ops->next_command(node->inner.self, command);
}

static void node_transmit(void *self, tern_time now, tern_link_id link, struct tern_writer *out)
{
    struct sim_node *node = self;
    node->inner.ops->transmit(node->inner.self, now, link, out);
}

static bool node_datagrams(void *self, tern_time now, tern_link_id socket,
                           struct tern_datagrams_out *out)
{
    struct sim_node *node = self;
    return node->inner.ops->datagrams(node->inner.self, now, socket, out);
}

static tern_time node_deadline(void *self)
{
    struct sim_node *node = self;
    return node->inner.ops->deadline(node->inner.self);
}

static const struct tern_machine_ops node_machine_ops = {.input = node_input,
                                                         .next_command = node_next_command,
                                                         .transmit = node_transmit,
                                                         .datagrams = node_datagrams,
                                                         .deadline = node_deadline};

/* --- starting and stopping --- */

void sim_nodes_address(const struct sim_nodes *nodes, uint32_t i, struct tern_multiaddr *address)
{
    const struct tern_route route = {.endpoint =
                                         sim_world_endpoint(nodes->world, i, SIM_NODES_PORT)};
    tern_route_multiaddr(&route, address);
    TERN_CHECK(tern_multiaddr_append_peer_id(address, &node_at(nodes, i)->id) == TERN_OK);
}

static void node_configure(const struct sim_node *node, const struct sim_node_start *start,
                           struct tern_node_options *options)
{
    tern_node_options_defaults(options);
    options->genesis = &node->nodes->chain.genesis;
    options->host.mem = start->mem;
    options->host.trace = start->trace;
    options->host.identity = &node->key;
    memcpy(options->host.seed, start->seed, sizeof options->host.seed);
    options->host.peers_want = 8;
    tern_swarm_limits_profile(&options->host.swarm.limits, TERN_PROFILE_SIMULATION);
    options->host.swarm.secure[0] =
        node->nodes->options.noise ? TERN_SECURE_NOISE : TERN_SECURE_PLAINTEXT;
    options->host.swarm.secure_count = 1;
}

static tern_err node_start(void *context, const struct sim_node_start *start,
                           struct tern_machine *machine)
{
    struct sim_node *node = context;
    struct tern_node_options options;
    struct tern_multiaddr address;
    node_configure(node, start, &options);
    TERN_TRY(tern_node_new(&options, start->now, &node->core));
    node->ready = false;
    node->inner = (struct tern_machine){&tern_node_ops, node->core};
    const struct tern_route route = {
        .endpoint = sim_world_endpoint(node->nodes->world, node->number, SIM_NODES_PORT)};
    tern_route_multiaddr(&route, &address);
    struct tern_host_core *host = tern_node_host(node->core);
    TERN_CHECK(tern_swarm_listen(tern_host_core_swarm(host), &address) == TERN_OK);
    if (node->number != 0) {
        sim_nodes_address(node->nodes, 0, &address);
        TERN_CHECK(tern_host_core_bootstrap(host, start->now, &address) == TERN_OK);
    }
    tern_node_flush(node->core, start->now);
    *machine = (struct tern_machine){&node_machine_ops, node};
    return TERN_OK;
}

static void node_stop(void *context, uint32_t number, struct tern_machine machine)
{
    struct sim_node *node = context;
    TERN_CHECK(node->number == number && machine.self == node);
    tern_node_free(node->core);
    node->core = NULL;
    node->failed = false; /* what was under way at a crash failed, and nobody is there to mind */
    memset(node->answers, 0, sizeof node->answers);
}

static const struct sim_node_ops node_ops = {.start = node_start, .stop = node_stop};

void sim_nodes_init(struct sim_nodes *nodes, const struct sim_nodes_options *options)
{
    struct sim_world_options world;
    TERN_CHECK(options->count >= WORLD_AUTHORITIES && options->count <= SIM_CHAIN_NODES_MAX);
    memset(nodes, 0, sizeof *nodes);
    nodes->options = *options;
    world_init(&nodes->chain);
    sim_world_options_defaults(&world);
    world.seed = options->seed;
    world.epoch = (WORLD_TIME_MS + 300) * TERN_MILLISECOND;
    tern_sim_entropy_seed(options->seed);
    tern_sim_entropy_set_wall(world.epoch);
    if (options->path.latency_ns != 0)
        world.path_default = options->path;
    nodes->world = sim_world_new(&world);
    for (uint32_t i = 0; i < options->count; i++) {
        struct sim_node *node = &nodes->nodes[i];
        uint8_t seed[32] = {9, (uint8_t)i};
        node->nodes = nodes;
        if (i < WORLD_AUTHORITIES)
            node->key = nodes->chain.authority_keys[i];
        else
            tern_private_key_of_ed25519_seed(seed, &node->key);
        tern_public_key_peer_id(&node->key.public_key, &node->id);
        node->number = sim_world_add(nodes->world,
                                     &(struct sim_node_options){.ops = &node_ops, .context = node});
        TERN_CHECK(node->number == i);
    }
}

void sim_nodes_fini(struct sim_nodes *nodes)
{
    sim_world_free(nodes->world);
}

void sim_nodes_start(struct sim_nodes *nodes, uint32_t i)
{
    TERN_CHECK(sim_world_start(nodes->world, i) == TERN_OK);
}

void sim_nodes_start_all(struct sim_nodes *nodes)
{
    for (uint32_t i = 0; i < nodes->options.count; i++)
        sim_nodes_start(nodes, i);
}

void sim_nodes_crash(struct sim_nodes *nodes, uint32_t i, enum sim_crash how)
{
    sim_world_crash(nodes->world, i, how);
}

void sim_nodes_run_for(struct sim_nodes *nodes, tern_time span)
{
    sim_world_run(nodes->world, sim_world_now(nodes->world) + span);
}

struct nodes_until {
    struct sim_nodes *nodes;
    bool (*done)(const struct sim_nodes *nodes, const void *argument);
    const void *argument;
};

static bool nodes_are_done(void *context, struct sim_world *world)
{
    struct nodes_until *until = context;
    (void)world;
    return until->done(until->nodes, until->argument);
}

bool sim_nodes_run_until(struct sim_nodes *nodes,
                         bool (*done)(const struct sim_nodes *nodes, const void *argument),
                         const void *argument, tern_time span)
{
    struct nodes_until until = {nodes, done, argument};
    return sim_world_run_until(nodes->world,
                               &(struct sim_until){.done = nodes_are_done,
                                                   .context = &until,
                                                   .every_ns = 50 * TERN_MILLISECOND,
                                                   .limit = sim_world_now(nodes->world) + span});
}

/* --- what nodes do --- */

static void node_kick(struct sim_node *node)
{
    tern_node_flush(node->core, sim_world_now(node->nodes->world));
    node_drain(node);
    sim_world_kick(node->nodes->world, node->number);
}

uint64_t sim_nodes_submit(struct sim_nodes *nodes, uint32_t i, const struct world_tx *tx)
{
    struct sim_node *node = node_at(nodes, i);
    uint64_t tag = nodes->tags++;
    TERN_CHECK(tag < SIM_TAGS_MAX);
    tern_err err = tern_node_submit_tx(node->core, sim_world_now(nodes->world),
                                       tern_view_of(tx->bytes, tx->size), tag);
    if (err != TERN_OK)
        node->answers[tag] = (struct sim_answer){true, err, TERN_FAULT_NONE};
    node_kick(node);
    return tag;
}

uint64_t sim_nodes_pay(struct sim_nodes *nodes, uint32_t i, size_t account)
{
    struct world_tx tx = world_transfer(&nodes->chain, account, (account + 1) % WORLD_ACCOUNTS,
                                        nodes->nonces[account]++, 1);
    return sim_nodes_submit(nodes, i, &tx);
}

tern_err sim_nodes_validate(struct sim_nodes *nodes, uint32_t i)
{
    struct sim_node *node = node_at(nodes, i);
    node->validated = false;
    tern_err err = tern_node_validate(node->core, sim_world_now(nodes->world), 1);
    node_kick(node);
    return err;
}

tern_err sim_nodes_validate_peer(struct sim_nodes *nodes, uint32_t i, uint32_t peer)
{
    struct sim_node *node = node_at(nodes, i);
    struct tern_swarm *swarm = tern_host_core_swarm(tern_node_host(node->core));
    tern_peer found = tern_swarm_find_peer(swarm, &node_at(nodes, peer)->id);
    if (found == 0)
        return TERN_ERR_NOT_FOUND;
    node->validated = false;
    tern_err err = tern_node_validate_peer(node->core, sim_world_now(nodes->world), found, 2);
    node_kick(node);
    return err;
}

/* --- what is so --- */

uint64_t sim_nodes_height(const struct sim_nodes *nodes, uint32_t i)
{
    const struct sim_node *node = node_at(nodes, i);
    struct tern_chain_head head = {.height = 0};
    if (node->core != NULL)
        tern_chain_stored_head(tern_node_chain(node->core), &head);
    return head.height;
}

const struct sim_answer *sim_nodes_answer(const struct sim_nodes *nodes, uint32_t i, uint64_t tag)
{
    TERN_CHECK(tag < SIM_TAGS_MAX);
    return &node_at(nodes, i)->answers[tag];
}

uint64_t sim_nodes_fault(const struct sim_nodes *nodes, uint32_t i, tern_fault fault)
{
    return tern_host_core_metrics(tern_node_host(node_at(nodes, i)->core))->faults[fault];
}

bool sim_nodes_agree_at(const struct sim_nodes *nodes, const void *height)
{
    struct tern_chain_head first = {.height = 0};
    bool seen = false;
    for (uint32_t i = 0; i < nodes->options.count; i++) {
        struct tern_chain_head head;
        if (nodes->nodes[i].core == NULL)
            continue;
        tern_chain_stored_head(tern_node_chain(nodes->nodes[i].core), &head);
        if (head.height < *(const uint64_t *)height ||
            (seen && !tern_hash_equal(&head.hash, &first.hash)))
            return false;
        first = head;
        seen = true;
    }
    return seen;
}

bool sim_nodes_all_paid(const struct sim_nodes *nodes, const void *unused)
{
    (void)unused;
    for (uint32_t i = 0; i < nodes->options.count; i++) {
        if (nodes->nodes[i].core == NULL)
            continue;
        const struct tern_chain *chain = tern_node_chain(nodes->nodes[i].core);
        for (size_t a = 0; a < WORLD_ACCOUNTS; a++) {
            struct tern_row_account row;
            tern_row_get_account(&tern_chain_ledger(chain)->state, &nodes->chain.accounts[a], &row);
            if (row.nonce != nodes->nonces[a])
                return false;
        }
    }
    return true;
}

void sim_nodes_check(const struct sim_nodes *nodes)
{
    for (uint32_t i = 0; i < nodes->options.count; i++) {
        const struct sim_node *node = &nodes->nodes[i];
        if (node->core == NULL || !node->ready)
            continue;
        struct tern_audit audit;
        tern_audit_state(&tern_chain_ledger(tern_node_chain(node->core))->state,
                         tern_genesis_supply(&nodes->chain.genesis), &audit);
        TERN_CHECK(audit.finding == NULL);
        TERN_CHECK(!node->failed);
        const struct tern_metrics *metrics = tern_host_core_metrics(tern_node_host(node->core));
        TERN_CHECK(metrics->values[TERN_METRIC_HOST_EVENTS_DROPPED] == 0);
    }
}
