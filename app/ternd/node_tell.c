/*
 * What the node tells of itself: each answer is put together on the network thread, from the core
 * as it is.
 */
#include <stdlib.h>

#include "app/ternd/node_private.h"
#include "chain/store_schema.h"

static const struct tern_ledger *tell_ledger(const struct node *node)
{
    return tern_chain_ledger(tern_node_chain(node->core));
}

static struct tern_swarm *tell_swarm(const struct node *node)
{
    return tern_host_core_swarm(tern_node_host(node->core));
}

/* Until the chain is loaded there is no state to tell of. */
static bool tell_ready(struct node_call *call)
{
    if (tern_chain_ready(tern_node_chain(call->node->core)))
        return true;
    node_call_done(call, TERN_ERR_AGAIN);
    return false;
}

static tern_err tell(struct node *node, void (*begin)(struct node_call *), void *out,
                     size_t out_size)
{
    return node_ask(node,
                    &(struct node_question){
                        .begin = begin, .out = out, .out_size = out_size, .wait_ms = NODE_WAIT_MS});
}

static void tell_peer_id(const struct tern_peer_id *id, char text[NODE_PEER_SIZE])
{
    struct tern_writer w = tern_writer_of(text, NODE_PEER_SIZE);
    tern_peer_id_format(id, &w);
    tern_writer_terminate(&w);
}

/* --- the market --- */

/* Hours around the head, newest first; max of them at most. */
static size_t tell_hours(const struct node *node, struct node_hour *hours, size_t max)
{
    const struct tern_ledger *ledger = tell_ledger(node);
    tern_hour now = tern_hour_of(tern_ledger_head(ledger)->header.time_ms);
    tern_hour last = now + TERN_ORDER_AHEAD_HOURS;
    size_t count = 0;
    for (tern_hour i = 0; i < NODE_HOURS_MAX && i <= last && count < max; i++) {
        struct node_hour *hour = &hours[count];
        hour->hour = last - i;
        count += tern_row_get_hour(&ledger->state, hour->hour, &hour->row);
    }
    return count;
}

struct tell_hours_answer {
    size_t count;
    struct node_hour hours[NODE_HOURS_MAX];
};

static void tell_market(struct node_call *call)
{
    struct tell_hours_answer *answer = call->out;
    if (!tell_ready(call))
        return;
    answer->count = tell_hours(call->node, answer->hours, NODE_HOURS_MAX);
    node_call_done(call, TERN_OK);
}

tern_err node_market(struct node *node, struct node_hour *hours, size_t max, size_t *count)
{
    struct tell_hours_answer *answer = calloc(1, sizeof *answer);
    if (answer == NULL)
        return TERN_ERR_MEMORY;
    tern_err err = tell(node, tell_market, answer, sizeof *answer);
    *count = tern_min_size(answer->count, max);
    tern_copy(hours, answer->hours, *count * sizeof hours[0]);
    free(answer);
    return err;
}

/* --- status --- */

static void tell_status_market(const struct node *node, struct node_status *status)
{
    uint64_t newest = 0;
    struct node_hour hours[NODE_HOURS_MAX];
    size_t count = tell_hours(node, hours, NODE_HOURS_MAX);
    for (size_t i = 0; i < count; i++) {
        status->traded_wh += hours[i].row.sum.sold_wh;
        status->traded_money += hours[i].row.traded;
        if (hours[i].row.price > 0 && hours[i].row.height > newest) {
            newest = hours[i].row.height;
            status->last_price = hours[i].row.price;
            status->last_price_hour = hours[i].hour;
        }
    }
}

static void tell_status_chain(const struct node *node, struct node_status *status)
{
    const struct tern_chain *chain = tern_node_chain(node->core);
    const struct tern_ledger *ledger = tell_ledger(node);
    struct tern_chain_head head;
    tern_chain_stored_head(chain, &head);
    status->height = head.height;
    status->head = head.hash;
    status->confirmed_height = head.confirmed_height;
    const struct tern_tree_node *block = tern_tree_find(&ledger->tree, &head.hash);
    status->head_time_ms = block == NULL ? 0 : block->header.time_ms;
    status->pool_count = tern_pool_count(tern_chain_pool(chain));
    tell_status_market(node, status);
}

static void tell_status_genesis(const struct node *node, struct node_status *status)
{
    const struct tern_genesis *genesis = &node->genesis.genesis;
    memcpy(status->chain_name, node->genesis.name, sizeof status->chain_name);
    status->genesis_hash = node->genesis.hash;
    status->fee_min = genesis->fee_min;
    status->period_ms = genesis->period_ms;
    for (size_t i = 0; i < genesis->authorities_count && node->config->propose; i++)
        if (memcmp(genesis->authorities[i].bytes, node->key.public_key.as.ed25519,
                   TERN_ACCOUNT_SIZE) == 0)
            status->authority = true;
}

static void tell_status_sync(const struct node *node, struct node_status *status)
{
    struct tern_sync_info info;
    struct tern_swarm *swarm = tell_swarm(node);
    tern_node_sync_info(node->core, tern_loop_now(), &info);
    status->syncing = info.behind;
    status->best_height = status->height;
    for (tern_peer peer = tern_swarm_peer_first(swarm); peer != 0;
         peer = tern_swarm_peer_next(swarm, peer)) {
        uint64_t height = tern_node_peer_height(node->core, peer);
        if (height > status->best_height)
            status->best_height = height;
    }
}

static void tell_status(struct node_call *call)
{
    struct node *node = call->node;
    struct node_status *status = call->out;
    struct tern_swarm *swarm = tell_swarm(node);
    struct tern_multiaddr own[NODE_ADDRESSES_MAX];
    size_t count = tern_swarm_own_addresses(swarm, own, NODE_ADDRESSES_MAX);
    tell_peer_id(tern_swarm_own_id(swarm), status->peer_id);
    for (size_t i = 0; i < count; i++) {
        struct tern_writer w =
            tern_writer_of(status->addresses[status->addresses_count], NODE_ADDRESS_SIZE);
        tern_err err = tern_multiaddr_format(tern_multiaddr_view(&own[i]), &w);
        status->addresses_count += err == TERN_OK && tern_writer_terminate(&w);
    }
    tell_status_genesis(node, status);
    status->ready = tern_chain_ready(tern_node_chain(node->core));
    if (status->ready)
        tell_status_chain(node, status);
    status->peers_count = tern_swarm_peers_count(swarm);
    status->reorganisations = node->reorganisations;
    status->uptime_ns = tern_loop_now() - node->started_at;
    status->messages_in = tern_node_messages_in(node->core);
    status->messages_out = tern_node_messages_out(node->core);
    tell_status_sync(node, status);
    node_call_done(call, TERN_OK);
}

tern_err node_status(struct node *node, struct node_status *status)
{
    return tell(node, tell_status, status, sizeof *status);
}

/* --- peers --- */

struct tell_peers_answer {
    size_t count;
    struct node_peer peers[NODE_PEERS_MAX];
};

static void tell_peer_agent(const struct node *node, tern_peer peer, char agent[NODE_AGENT_SIZE])
{
    const struct tern_identity_info *info =
        tern_identify_info(tern_host_core_identify(tern_node_host(node->core)), peer);
    if (info == NULL)
        return;
    size_t size = tern_min_size(info->agent_size, NODE_AGENT_SIZE - 1);
    tern_copy(agent, info->agent, size);
    agent[size] = '\0';
}

/* The first connection is the one told of. */
static void tell_peer(const struct node *node, tern_peer peer, struct node_peer *out)
{
    struct tern_swarm *swarm = tell_swarm(node);
    struct tern_connection_info info;
    tern_time now = tern_loop_now();
    tell_peer_id(tern_swarm_peer_id(swarm, peer), out->peer_id);
    tell_peer_agent(node, peer, out->agent);
    out->height = tern_node_peer_height(node->core, peer);
    out->faults_weight = tern_swarm_faults_weight(swarm, now, tern_swarm_peer_id(swarm, peer));
    tern_connection connection = tern_swarm_connection_first(swarm, peer);
    if (connection == 0 || !tern_swarm_connection_info(swarm, connection, &info))
        return;
    struct tern_multiaddr address;
    struct tern_writer w = tern_writer_of(out->address, sizeof out->address);
    tern_route_multiaddr(&info.remote, &address);
    if (tern_multiaddr_format(tern_multiaddr_view(&address), &w) == TERN_OK)
        tern_writer_terminate(&w);
    out->transport = tern_transport_name(info.remote.transport);
    out->secure = info.secure;
    out->muxer = info.muxer;
    out->outbound = info.outbound;
    out->rtt_ns = info.rtt_ns;
    out->age_ns = tern_time_since(now, info.opened_at);
    out->bytes_in = info.bytes_in;
    out->bytes_out = info.bytes_out;
    out->streams_count = info.streams_count;
}

static void tell_peers(struct node_call *call)
{
    struct tell_peers_answer *answer = call->out;
    struct tern_swarm *swarm = tell_swarm(call->node);
    for (tern_peer peer = tern_swarm_peer_first(swarm); peer != 0 && answer->count < NODE_PEERS_MAX;
         peer = tern_swarm_peer_next(swarm, peer))
        tell_peer(call->node, peer, &answer->peers[answer->count++]);
    node_call_done(call, TERN_OK);
}

tern_err node_peers(struct node *node, struct node_peer *peers, size_t max, size_t *count)
{
    struct tell_peers_answer *answer = calloc(1, sizeof *answer);
    if (answer == NULL)
        return TERN_ERR_MEMORY;
    tern_err err = tell(node, tell_peers, answer, sizeof *answer);
    *count = tern_min_size(answer->count, max);
    tern_copy(peers, answer->peers, *count * sizeof peers[0]);
    free(answer);
    return err;
}

/* --- accounts --- */

static void tell_account(struct node_call *call)
{
    struct node_account *out = call->out;
    const struct tern_account *key = call->in;
    if (!tell_ready(call))
        return;
    const struct tern_ledger *ledger = tell_ledger(call->node);
    const struct tern_pool *pool = tern_chain_pool(tern_node_chain(call->node->core));
    out->exists = tern_row_get_account(&ledger->state, key, &out->account);
    out->is_device = tern_row_get_device(&ledger->state, key, &out->device);
    out->next_nonce = tern_pool_next_nonce(pool, &ledger->state, key);
    out->next_device_nonce = out->device.nonce;
    for (const struct tern_pool_entry *entry = tern_pool_first(pool); entry != NULL;
         entry = tern_pool_next(pool, entry))
        if (entry->tx.kind == TERN_TX_READING && tern_account_equal(&entry->tx.sender, key) &&
            entry->tx.nonce == out->next_device_nonce)
            out->next_device_nonce++;
    node_call_done(call, TERN_OK);
}

tern_err node_account(struct node *node, const struct tern_account *key,
                      struct node_account *account)
{
    return node_ask(node, &(struct node_question){.begin = tell_account,
                                                  .in = key,
                                                  .in_size = sizeof *key,
                                                  .out = account,
                                                  .out_size = sizeof *account,
                                                  .wait_ms = NODE_WAIT_MS});
}

struct tell_energy_question {
    struct tern_account key;
    tern_hour hour;
};

static void tell_energy(struct node_call *call)
{
    const struct tell_energy_question *question = call->in;
    if (!tell_ready(call))
        return;
    /* An hour without a row is one without energy. */
    tern_row_get_energy(&tell_ledger(call->node)->state, question->hour, &question->key, call->out);
    node_call_done(call, TERN_OK);
}

tern_err node_energy(struct node *node, const struct tern_account *key, tern_hour hour,
                     struct tern_row_energy *energy)
{
    const struct tell_energy_question question = {.key = *key, .hour = hour};
    return node_ask(node, &(struct node_question){.begin = tell_energy,
                                                  .in = &question,
                                                  .in_size = sizeof question,
                                                  .out = energy,
                                                  .out_size = sizeof *energy,
                                                  .wait_ms = NODE_WAIT_MS});
}

/* --- audit --- */

static void tell_audit_energy(const struct tern_state *state, struct node_audit *out)
{
    for (const struct tern_state_row *row = tern_state_row_first(state); row != NULL;
         row = tern_state_row_after(state, row)) {
        struct tern_row_hour hour;
        if (row->key[0] != 'h' || tern_row_decode_hour(tern_state_row_value(row), &hour) != TERN_OK)
            continue;
        out->energy.measured_wh += hour.sum.measured_wh;
        out->energy.available_wh += hour.sum.available_wh;
        out->energy.offered_wh += hour.sum.offered_wh;
        out->energy.sold_wh += hour.sum.sold_wh;
        out->energy.bought_wh += hour.sum.bought_wh;
        out->traded += hour.traded;
    }
}

static void tell_audit(struct node_call *call)
{
    struct node_audit *out = call->out;
    if (!tell_ready(call))
        return;
    const struct tern_ledger *ledger = tell_ledger(call->node);
    out->height = tern_ledger_head(ledger)->header.height;
    out->head = tern_ledger_head(ledger)->hash;
    out->supply = tern_genesis_supply(&call->node->genesis.genesis);
    tern_audit_state(&ledger->state, out->supply, &out->audit);
    tell_audit_energy(&ledger->state, out);
    node_call_done(call, TERN_OK);
}

tern_err node_audit(struct node *node, struct node_audit *audit)
{
    return tell(node, tell_audit, audit, sizeof *audit);
}

/* --- metrics --- */

static void tell_metrics(struct node_call *call)
{
    memcpy(call->out, tern_host_core_metrics(tern_node_host(call->node->core)),
           sizeof(struct tern_metrics));
    node_call_done(call, TERN_OK);
}

tern_err node_metrics(struct node *node, struct tern_metrics *metrics)
{
    return tell(node, tell_metrics, metrics, sizeof *metrics);
}

/* --- blocks: from the tree when they are recent, else from the store --- */

enum { TELL_BLOCK_ROOM = TERN_BLOCK_SIZE_MAX + 64 };

static void tell_block_bytes(struct node_call *call, struct tern_view bytes)
{
    call->bytes = malloc(bytes.size + 1);
    if (call->bytes == NULL) {
        node_call_done(call, TERN_ERR_MEMORY);
        return;
    }
    tern_copy(call->bytes, bytes.data, bytes.size);
    call->bytes_size = bytes.size;
    node_call_done(call, TERN_OK);
}

static void tell_block_stored(struct node_call *call, const struct tern_hash *hash)
{
    call->result = malloc(TELL_BLOCK_ROOM);
    if (call->result == NULL) {
        node_call_done(call, TERN_ERR_MEMORY);
        return;
    }
    memcpy(call->key, hash->bytes, TERN_HASH_SIZE);
    call->request =
        (struct tern_store_request){.kind = TERN_STORE_GET,
                                    .owner_kind = NODE_OWNER,
                                    .space = TERN_CHAIN_SPACE_BLOCK,
                                    .key = tern_view_of(call->key, TERN_HASH_SIZE),
                                    .result = {.data = call->result, .size = TELL_BLOCK_ROOM}};
    node_call_wait(call);
    tern_list_push_back(&call->node->asking, &call->request.link);
}

void node_store_done(struct tern_store_request *request)
{
    struct node_call *call = TERN_CONTAINER_OF(request, struct node_call, request);
    struct tern_store_rows rows = tern_store_rows_of(request);
    struct tern_view key;
    struct tern_view value;
    if (request->err != TERN_OK)
        node_call_done(call, request->err);
    else if (tern_store_rows_next(&rows, &key, &value))
        tell_block_bytes(call, value);
    else
        node_call_done(call, TERN_ERR_NOT_FOUND);
}

static void tell_block(struct node_call *call)
{
    const struct node_block_ref *ref = call->in;
    struct tern_hash hash = ref->hash;
    struct tern_chain_head head;
    if (!tell_ready(call))
        return;
    const struct tern_ledger *ledger = tell_ledger(call->node);
    tern_chain_stored_head(tern_node_chain(call->node->core), &head);
    /* What is not stored yet is not shown. */
    if (!ref->by_hash && (ref->height > head.height || ref->height == 0 ||
                          !tern_ledger_hash_at(ledger, ref->height, &hash))) {
        node_call_done(call, TERN_ERR_NOT_FOUND);
        return;
    }
    const struct tern_tree_node *block = tern_tree_find(&ledger->tree, &hash);
    if (block != NULL && block->bytes != NULL)
        tell_block_bytes(call, tern_view_of(block->bytes, block->bytes_size));
    else
        tell_block_stored(call, &hash);
}

tern_err node_block(struct node *node, const struct node_block_ref *ref, uint8_t **bytes,
                    size_t *size)
{
    return node_ask(node, &(struct node_question){.begin = tell_block,
                                                  .in = ref,
                                                  .in_size = sizeof *ref,
                                                  .bytes = bytes,
                                                  .bytes_size = size,
                                                  .wait_ms = NODE_WAIT_MS});
}
