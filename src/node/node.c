#include "node/node.h"

#include "node/node_private.h"

void tern_node_options_defaults(struct tern_node_options *options)
{
    *options = (struct tern_node_options){.persistent = true};
    tern_host_core_options_defaults(&options->host);
    tern_pool_limits_default(&options->pool);
}

/* --- small things --- */

struct tern_clock node_clock(const struct tern_node *node)
{
    return (struct tern_clock){
        .now = node->now, .wall = tern_swarm_wall(tern_host_core_swarm(node->host), node->now)};
}

void node_push(struct tern_node *node, const struct tern_node_event *event)
{
    if (tern_ring_push(&node->events, event) != TERN_OK)
        tern_metric_add(tern_host_core_metrics(node->host), TERN_METRIC_HOST_EVENTS_DROPPED, 1);
}

static void node_command(struct tern_node *node, const struct tern_command *command)
{
    tern_err err = tern_ring_push(&node->commands, command);
    TERN_CHECK(err == TERN_OK); /* room for all that can be out is taken at the start */
    node->out_count++;
}

void node_emit_job(struct tern_node *node, struct tern_job *job, enum node_owner owner)
{
    job->owner_kind = owner;
    node_command(node, &(struct tern_command){.kind = TERN_COMMAND_JOB, .job = job});
}

void node_emit_store(struct tern_node *node, struct tern_store_request *request,
                     enum node_owner owner)
{
    request->owner_kind = owner;
    node_command(node, &(struct tern_command){.kind = TERN_COMMAND_STORE, .request = request});
}

struct node_peer *node_find_peer(struct tern_node *node, tern_peer peer)
{
    for (size_t i = 0; i < node->peers_count; i++)
        if (node->peers[i].peer == peer)
            return &node->peers[i];
    return NULL;
}

/* --- making --- */

static void node_name(const struct tern_node *node, const char *what, char name[NODE_NAME_SIZE])
{
    struct tern_writer w = tern_writer_of(name, NODE_NAME_SIZE);
    tern_writer_str(&w, "/tern/");
    tern_writer_hex(&w, tern_view_of(node->genesis_hash.bytes, 4));
    tern_writer_str(&w, what);
    TERN_CHECK(tern_writer_terminate(&w));
}

static void node_names(struct tern_node *node)
{
    static const char *const what[NODE_PROTOCOLS_COUNT] = {"/status/1", "/headers/1", "/blocks/1",
                                                           "/validate/1", "/txs/1"};
    node_name(node, "/blocks/1", node->topic_blocks);
    node_name(node, "/txs/1", node->topic_txs);
    for (size_t i = 0; i < NODE_PROTOCOLS_COUNT; i++)
        node_name(node, what[i], node->names[i]);
}

static tern_err node_make_host(struct tern_node *node, const struct tern_node_options *options,
                               tern_time now)
{
    struct tern_host_core_options host = options->host;
    host.swarm.book_saved = options->persistent;
    host.swarm.book_space = TERN_NODE_BOOK_SPACE;
    TERN_TRY(tern_host_core_new(&host, now, &node->host));
    struct tern_gossip_service *gossip = tern_host_core_gossip(node->host);
    TERN_TRY(tern_gossip_service_subscribe(gossip, now, tern_view_str(node->topic_blocks),
                                           TERN_GOSSIP_SUBSCRIBE_VALIDATE));
    TERN_TRY(tern_gossip_service_subscribe(gossip, now, tern_view_str(node->topic_txs),
                                           TERN_GOSSIP_SUBSCRIBE_VALIDATE));
    for (size_t i = 0; i < NODE_PROTOCOLS_COUNT; i++)
        TERN_TRY(tern_requests_serve(tern_host_core_requests(node->host),
                                     tern_view_str(node->names[i]), TERN_STREAM_BLOCKS));
    return TERN_OK;
}

static tern_err node_make_chain(struct tern_node *node, const struct tern_node_options *options)
{
    struct tern_chain_config config;
    tern_random_fork(tern_host_core_random(node->host), &node->random);
    tern_authority_init(&node->engine, node->genesis,
                        options->follow ? NULL : options->host.identity);
    tern_chain_config_default(&config);
    config.mem = node->mem;
    config.random = &node->random;
    config.genesis = node->genesis;
    config.engine = tern_authority_engine(&node->engine);
    config.pool = options->pool;
    config.persistent = options->persistent;
    TERN_TRY(tern_chain_new(&config, &node->chain));
    const struct tern_ledger *ledger = tern_chain_ledger(node->chain);
    TERN_TRY(
        tern_sync_new(&(struct tern_sync_config){.mem = node->mem, .ledger = ledger}, &node->sync));
    return tern_validate_new(
        &(struct tern_validate_config){
            .mem = node->mem,
            .ledger = ledger,
            .hash_key = {tern_random_u64(&node->random), tern_random_u64(&node->random)}},
        &node->validation.core);
}

tern_err tern_node_new(const struct tern_node_options *options, tern_time now,
                       struct tern_node **out)
{
    TERN_CHECK(tern_genesis_check(options->genesis) == NULL);
    struct tern_node *node = tern_mem_zalloc(options->host.mem, sizeof *node);
    if (node == NULL)
        return TERN_ERR_MEMORY;
    node->mem = options->host.mem;
    node->genesis = options->genesis;
    node->persistent = options->persistent;
    node->now = now;
    node->remote_again = TERN_TIME_NEVER;
    node->pool_at = TERN_TIME_NEVER;
    tern_list_init(&node->serving);
    tern_genesis_hash(node->genesis, &node->genesis_hash);
    node_names(node);
    tern_ring_init(&node->commands, node->mem, sizeof(struct tern_command), 1024);
    tern_ring_init(&node->events, node->mem, sizeof(struct tern_node_event), TERN_NODE_EVENTS_MAX);
    tern_err err = tern_ring_reserve(&node->commands);
    if (err == TERN_OK)
        err = node_make_host(node, options, now);
    if (err == TERN_OK)
        err = node_make_chain(node, options);
    if (err != TERN_OK) {
        tern_node_free(node);
        return err;
    }
    *out = node;
    return TERN_OK;
}

void tern_node_free(struct tern_node *node)
{
    if (node == NULL)
        return;
    node_validate_fini(node);
    node_serve_fini(node);
    for (size_t i = 0; i < TERN_NODE_PENDING_MAX; i++)
        tern_chunk_unref(node->pending[i].chunk);
    if (node->sync != NULL)
        tern_sync_free(node->sync);
    if (node->chain != NULL)
        tern_chain_free(node->chain);
    tern_host_core_free(node->host);
    tern_ring_fini(&node->commands);
    tern_ring_fini(&node->events);
    tern_mem_free(node->mem, node, sizeof *node);
}

/* --- the host's events --- */

static void node_host_plain(struct tern_node *node, enum tern_node_event_kind kind,
                            const struct tern_host_event *event)
{
    node_push(node, &(struct tern_node_event){.kind = kind,
                                              .err = event->err,
                                              .peer = event->peer,
                                              .peer_id = event->peer_id,
                                              .token = event->token,
                                              .rtt_ns = event->rtt_ns,
                                              .address = event->address});
}

static void node_host_event(struct tern_node *node, const struct tern_host_event *event)
{
    switch (event->kind) {
    case TERN_HOST_PEER_UP:
        node_host_plain(node, TERN_NODE_PEER_UP, event);
        break;
    case TERN_HOST_PEER_DOWN:
        node_peer_gone(node, event->peer);
        node_host_plain(node, TERN_NODE_PEER_DOWN, event);
        break;
    case TERN_HOST_LISTENING:
        node_host_plain(node, TERN_NODE_LISTENING, event);
        break;
    case TERN_HOST_LISTEN_FAILED:
        node_host_plain(node, TERN_NODE_LISTEN_FAILED, event);
        break;
    case TERN_HOST_DIAL_DONE:
        node_host_plain(node, TERN_NODE_DIAL_DONE, event);
        break;
    case TERN_HOST_PING:
        node_host_plain(node, TERN_NODE_PING, event);
        break;
    case TERN_HOST_PERF:
        break; /* the node measures nobody */
    case TERN_HOST_IDENTIFIED:
        node_peer_speaks(node, event->peer);
        break;
    case TERN_HOST_GOSSIP:
        node_gossip(node, &event->gossip);
        break;
    case TERN_HOST_REQUEST:
        if (event->request.kind == TERN_REQUEST_EVENT_REQUEST)
            node_request(node, &event->request);
        else
            node_response(node, &event->request);
        break;
    case TERN_HOST_STREAM:
        break; /* the node serves no streams of its own */
    }
}

bool node_chain_pump(struct tern_node *node)
{
    struct tern_chain_out out;
    bool any = false;
    while (tern_chain_next(node->chain, &out)) {
        node_chain_out(node, &out);
        any = true;
    }
    return any;
}

static bool node_host_pump(struct tern_node *node)
{
    struct tern_host_event event;
    bool any = false;
    while (tern_host_core_next(node->host, &event)) {
        node_host_event(node, &event);
        (void)node_chain_pump(node); /* the chain is drained after every step */
        any = true;
    }
    return any;
}

/* Lets all parts talk until none has anything to say. Each round is caused by work that is bounded,
 * so it ends; what the host has to send is dispatched last. */
static void node_pump(struct tern_node *node)
{
    bool any = true;
    while (any) {
        any = node_chain_pump(node);
        any = node_sync_pump(node) || any;
        any = node_validate_pump(node) || any;
        tern_host_core_flush(node->host, node->now);
        any = node_host_pump(node) || any;
    }
}

/* --- the machine --- */

static void node_step_chain(struct tern_node *node, const struct tern_chain_in *in)
{
    struct tern_clock clock = node_clock(node);
    tern_chain_step(node->chain, &clock, in);
}

static void node_job_done(struct tern_node *node, struct tern_job *job)
{
    node->out_count--;
    if (job->owner_kind == NODE_OWNER_CHAIN)
        node_step_chain(node, &(struct tern_chain_in){.kind = TERN_CHAIN_JOB_DONE, .job = job});
    else if (job->owner_kind == NODE_OWNER_SYNC)
        node_sync_step(node, &(struct tern_sync_in){.kind = TERN_SYNC_JOB_DONE, .job = job});
    else
        node_validate_job(node, job);
}

static void node_stored(struct tern_node *node, struct tern_store_request *request)
{
    node->out_count--;
    if (request->owner_kind == NODE_OWNER_CHAIN)
        node_step_chain(node,
                        &(struct tern_chain_in){.kind = TERN_CHAIN_STORED, .request = request});
    else if (request->owner_kind == NODE_OWNER_SERVE)
        node_served(node, request);
    else
        node_validate_stored(node);
}

static void node_ticks(struct tern_node *node)
{
    struct tern_clock clock = node_clock(node);
    if (node->now >= tern_chain_deadline(node->chain, &clock) && !node->shutting)
        node_step_chain(node, &(struct tern_chain_in){.kind = TERN_CHAIN_TICK});
    if (node->now >= tern_sync_deadline(node->sync))
        node_sync_step(node, &(struct tern_sync_in){.kind = TERN_SYNC_TICK});
    node_remote_tick(node);
    node_pool_tick(node);
}

static void node_input(void *self, tern_time now, const struct tern_input *in)
{
    struct tern_node *node = self;
    node->now = now;
    if (in->kind == TERN_INPUT_JOB_DONE && in->job->owner_kind >= TERN_OWNER_ABOVE)
        node_job_done(node, in->job);
    else if (in->kind == TERN_INPUT_STORED && in->request->owner_kind >= TERN_OWNER_ABOVE)
        node_stored(node, in->request);
    else
        tern_host_core_ops.input(node->host, now, in);
    node_ticks(node);
    node_pump(node);
}

static bool node_next_command(void *self, struct tern_command *command)
{
    struct tern_node *node = self;
    return tern_ring_pop(&node->commands, command) ||
           tern_host_core_ops.next_command(node->host, command);
}

static void node_transmit(void *self, tern_time now, tern_link_id link, struct tern_writer *out)
{
    struct tern_node *node = self;
    tern_host_core_ops.transmit(node->host, now, link, out);
}

static bool node_datagrams(void *self, tern_time now, tern_link_id socket,
                           struct tern_datagrams_out *out)
{
    struct tern_node *node = self;
    return tern_host_core_ops.datagrams(node->host, now, socket, out);
}

static tern_time node_deadline(void *self)
{
    struct tern_node *node = self;
    struct tern_clock clock = node_clock(node);
    tern_time deadline = tern_host_core_ops.deadline(node->host);
    if (!node->shutting)
        deadline = tern_time_min(deadline, tern_chain_deadline(node->chain, &clock));
    deadline = tern_time_min(deadline, tern_sync_deadline(node->sync));
    deadline = tern_time_min(deadline, node->pool_at);
    return tern_time_min(deadline, node_remote_deadline(node));
}

const struct tern_machine_ops tern_node_ops = {.input = node_input,
                                               .next_command = node_next_command,
                                               .transmit = node_transmit,
                                               .datagrams = node_datagrams,
                                               .deadline = node_deadline};

void tern_node_flush(struct tern_node *node, tern_time now)
{
    node->now = now;
    node_pump(node);
}

void tern_node_shutdown(struct tern_node *node, tern_time now)
{
    node->now = now;
    node->shutting = true;
    tern_swarm_shutdown(tern_host_core_swarm(node->host), now);
    node_pump(node);
}

bool tern_node_is_down(const struct tern_node *node)
{
    return node->out_count == 0 && tern_swarm_is_down(tern_host_core_swarm(node->host));
}

/* --- looking --- */

struct tern_host_core *tern_node_host(struct tern_node *node)
{
    return node->host;
}

const struct tern_chain *tern_node_chain(const struct tern_node *node)
{
    return node->chain;
}

void tern_node_sync_info(const struct tern_node *node, tern_time now, struct tern_sync_info *info)
{
    tern_sync_info(node->sync, now, info);
}

const struct tern_hash *tern_node_genesis_hash(const struct tern_node *node)
{
    return &node->genesis_hash;
}

uint64_t tern_node_peer_height(const struct tern_node *node, tern_peer peer)
{
    for (size_t i = 0; i < node->peers_count; i++)
        if (node->peers[i].peer == peer)
            return node->peers[i].height;
    return 0;
}

uint64_t tern_node_messages_in(const struct tern_node *node)
{
    return node->messages_in;
}

uint64_t tern_node_messages_out(const struct tern_node *node)
{
    return node->messages_out;
}

bool tern_node_next(struct tern_node *node, struct tern_node_event *event)
{
    return tern_ring_pop(&node->events, event);
}
