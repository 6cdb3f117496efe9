/*
 * Blocks and transactions, from wherever they come: each goes to the chain with a tag, and the
 * chain's answer decides whether it is relayed, who is to blame, and what whoever submitted it is
 * told.
 */
#include "node/node_private.h"

/* --- what the chain has and has not answered --- */

static struct node_pending *pending_take(struct tern_node *node, enum node_pending_kind kind,
                                         uint64_t *tag)
{
    for (uint32_t i = 0; i < TERN_NODE_PENDING_MAX; i++) {
        uint32_t slot = (node->pending_next + i) % TERN_NODE_PENDING_MAX;
        struct node_pending *pending = &node->pending[slot];
        if (pending->kind != PENDING_FREE)
            continue;
        uint32_t generation = pending->generation + 1;
        *pending = (struct node_pending){.kind = kind, .generation = generation};
        *tag = (uint64_t)generation << 32 | slot;
        node->pending_next = slot + 1;
        return pending;
    }
    return NULL;
}

static struct node_pending *pending_find(struct tern_node *node, uint64_t tag)
{
    uint32_t slot = (uint32_t)tag;
    TERN_CHECK(slot < TERN_NODE_PENDING_MAX);
    struct node_pending *pending = &node->pending[slot];
    TERN_CHECK(pending->kind != PENDING_FREE && pending->generation == tag >> 32);
    return pending;
}

static void pending_free(struct node_pending *pending)
{
    tern_chunk_unref(pending->chunk);
    pending->chunk = NULL;
    pending->kind = PENDING_FREE;
}

static void relay_step(struct tern_node *node, const struct tern_chain_in *in)
{
    struct tern_clock clock = node_clock(node);
    tern_chain_step(node->chain, &clock, in);
}

/* --- in --- */

static void relay_verdict(struct tern_node *node, tern_gossip_handle handle,
                          enum tern_gossip_verdict verdict)
{
    if (handle != 0)
        tern_gossip_service_verdict(tern_host_core_gossip(node->host), node->now, handle, verdict);
}

void node_gossip(struct tern_node *node, const struct tern_gossip_event *event)
{
    uint64_t tag;
    if (event->kind != TERN_GOSSIP_EVENT_MESSAGE)
        return;
    bool block = tern_view_equal(event->message.topic, tern_view_str(node->topic_blocks));
    struct node_pending *pending =
        node->ready ? pending_take(node, block ? PENDING_GOSSIP_BLOCK : PENDING_GOSSIP_TX, &tag)
                    : NULL;
    node->messages_in++;
    if (pending == NULL) {
        relay_verdict(node, event->handle, TERN_GOSSIP_IGNORE);
        return;
    }
    pending->handle = event->handle;
    pending->peer = tern_swarm_find_peer(tern_host_core_swarm(node->host), &event->peer);
    relay_step(node, &(struct tern_chain_in){.kind = block ? TERN_CHAIN_BLOCK : TERN_CHAIN_TX,
                                             .bytes = event->message.data,
                                             .tag = tag,
                                             .source = pending->peer});
}

void node_deliver(struct tern_node *node, const struct tern_sync_out *out)
{
    uint64_t tag;
    struct node_pending *pending = pending_take(node, PENDING_SYNC_BLOCK, &tag);
    if (pending == NULL) {
        node_sync_step(node, &(struct tern_sync_in){.kind = TERN_SYNC_RESULT,
                                                    .hash = out->hash,
                                                    .err = TERN_ERR_FULL});
        return;
    }
    pending->hash = out->hash;
    pending->peer = out->peer;
    relay_step(node, &(struct tern_chain_in){.kind = TERN_CHAIN_BLOCK,
                                             .bytes = out->bytes,
                                             .tag = tag,
                                             .source = out->peer,
                                             .solicited = true});
}

static tern_err relay_submit(struct tern_node *node, enum node_pending_kind kind,
                             struct tern_view bytes, uint64_t user_tag)
{
    uint64_t tag;
    if (!node->ready)
        return TERN_ERR_AGAIN;
    if (bytes.size == 0 || bytes.size > TERN_BLOCK_SIZE_MAX)
        return TERN_ERR_TOO_LARGE;
    struct node_pending *pending = pending_take(node, kind, &tag);
    if (pending == NULL)
        return TERN_ERR_FULL;
    pending->tag = user_tag;
    pending->chunk = tern_chunk_copy(node->mem, bytes);
    if (pending->chunk == NULL) {
        pending_free(pending);
        return TERN_ERR_MEMORY;
    }
    relay_step(node, &(struct tern_chain_in){.kind = kind == PENDING_OWN_BLOCK ? TERN_CHAIN_BLOCK
                                                                               : TERN_CHAIN_TX,
                                             .bytes = bytes,
                                             .tag = tag,
                                             .solicited = true});
    (void)node_chain_pump(node);
    return TERN_OK;
}

void node_offer_tx(struct tern_node *node, tern_peer peer, struct tern_view bytes)
{
    uint64_t tag;
    struct node_pending *pending = pending_take(node, PENDING_POOL_TX, &tag);
    if (pending == NULL)
        return;
    pending->peer = peer;
    pending->chunk = tern_chunk_copy(node->mem, bytes); /* NULL: not passed on */
    relay_step(node, &(struct tern_chain_in){
                         .kind = TERN_CHAIN_TX, .bytes = bytes, .tag = tag, .source = peer});
    (void)node_chain_pump(node);
}

tern_err tern_node_submit_tx(struct tern_node *node, tern_time now, struct tern_view bytes,
                             uint64_t tag)
{
    node->now = now;
    return relay_submit(node, PENDING_OWN_TX, bytes, tag);
}

tern_err tern_node_submit_block(struct tern_node *node, tern_time now, struct tern_view bytes,
                                uint64_t tag)
{
    node->now = now;
    return relay_submit(node, PENDING_OWN_BLOCK, bytes, tag);
}

/* --- the chain's answers --- */

static void relay_publish(struct tern_node *node, const char *topic, struct tern_view bytes)
{
    /* EXISTS and FULL are no trouble: what is lost here comes to others by sync. */
    TERN_IGNORE(tern_gossip_service_publish(tern_host_core_gossip(node->host), node->now,
                                            tern_view_str(topic), bytes));
    node->messages_out++;
}

/* A block beside the best chain is not passed on: its state has not been checked. What an honest
 * node might have said, one that is behind or ahead of us, is dropped without blame; such faults
 * weigh nothing. */
static enum tern_gossip_verdict relay_judge(const struct tern_chain_out *out)
{
    if (out->err == TERN_OK)
        return out->side ? TERN_GOSSIP_IGNORE : TERN_GOSSIP_ACCEPT;
    bool guilty = out->err == TERN_ERR_PROTOCOL && tern_fault_weight(out->fault) > 0;
    return guilty ? TERN_GOSSIP_REJECT : TERN_GOSSIP_IGNORE;
}

static void relay_blame(struct tern_node *node, tern_peer peer, tern_fault fault)
{
    if (peer != 0 && fault != TERN_FAULT_NONE)
        tern_swarm_report(tern_host_core_swarm(node->host), node->now, peer, fault);
}

static void relay_tell_submitter(struct tern_node *node, const struct node_pending *pending,
                                 const struct tern_chain_out *out)
{
    bool block = pending->kind == PENDING_OWN_BLOCK;
    if (out->err == TERN_OK)
        relay_publish(node, block ? node->topic_blocks : node->topic_txs,
                      tern_chunk_view(pending->chunk));
    node_push(node, &(struct tern_node_event){.kind = block ? TERN_NODE_BLOCK : TERN_NODE_TX,
                                              .tag = pending->tag,
                                              .err = out->err,
                                              .fault = out->fault,
                                              .height = out->height,
                                              .hash = out->hash});
}

/* Somebody sent a block whose parent we do not know: whoever has it knows more than we. */
static void relay_orphan(struct tern_node *node, tern_peer peer, uint64_t height)
{
    if (peer != 0)
        node_sync_step(
            node, &(struct tern_sync_in){.kind = TERN_SYNC_HINT, .peer = peer, .height = height});
}

static void relay_answer(struct tern_node *node, const struct tern_chain_out *out)
{
    struct node_pending pending = *pending_find(node, out->tag);
    node->pending[(uint32_t)out->tag].chunk = NULL; /* it is ours now */
    pending_free(&node->pending[(uint32_t)out->tag]);
    switch (pending.kind) {
    case PENDING_GOSSIP_BLOCK:
    case PENDING_GOSSIP_TX:
        relay_verdict(node, pending.handle, relay_judge(out));
        relay_blame(node, pending.peer, out->fault);
        if (out->err == TERN_ERR_AGAIN && pending.kind == PENDING_GOSSIP_BLOCK)
            relay_orphan(node, pending.peer, out->height);
        break;
    case PENDING_SYNC_BLOCK:
        node_sync_step(node, &(struct tern_sync_in){.kind = TERN_SYNC_RESULT,
                                                    .hash = pending.hash,
                                                    .err = out->err,
                                                    .fault = out->fault});
        break;
    case PENDING_OWN_BLOCK:
    case PENDING_OWN_TX:
        relay_tell_submitter(node, &pending, out);
        break;
    case PENDING_POOL_TX:
        relay_blame(node, pending.peer, out->fault);
        if (out->err == TERN_OK && pending.chunk != NULL)
            relay_publish(node, node->topic_txs, tern_chunk_view(pending.chunk));
        break;
    case PENDING_FREE:
        TERN_UNREACHABLE();
    }
    tern_chunk_unref(pending.chunk);
}

static void relay_head(struct tern_node *node, const struct tern_chain_out *out)
{
    struct tern_node_event event = {.kind = TERN_NODE_HEAD,
                                    .height = out->height,
                                    .hash = out->hash,
                                    .undone_count = out->change.undone_count,
                                    .trades_count = out->change.trades_count};
    for (size_t i = 0; i < out->change.trades_count; i++) {
        const struct tern_trade *trade = &out->change.trades[i];
        event.traded_wh += trade->energy_wh;
        event.traded_money += trade->energy_wh * trade->price;
        event.price = trade->price;
        event.price_hour = trade->hour;
    }
    node_push(node, &event);
}

static void relay_plain(struct tern_node *node, enum tern_node_event_kind kind,
                        const struct tern_chain_out *out)
{
    node_push(node, &(struct tern_node_event){.kind = kind,
                                              .err = out->err,
                                              .height = out->height,
                                              .hash = out->hash,
                                              .text = out->text});
}

void node_chain_out(struct tern_node *node, const struct tern_chain_out *out)
{
    switch (out->kind) {
    case TERN_CHAIN_OUT_JOB:
        node_emit_job(node, out->job, NODE_OWNER_CHAIN);
        break;
    case TERN_CHAIN_OUT_STORE:
        node_emit_store(node, out->request, NODE_OWNER_CHAIN);
        break;
    case TERN_CHAIN_OUT_READY:
        node->ready = true;
        relay_plain(node, TERN_NODE_READY, out);
        break;
    case TERN_CHAIN_OUT_BLOCK:
    case TERN_CHAIN_OUT_TX:
        relay_answer(node, out);
        break;
    case TERN_CHAIN_OUT_HEAD:
        relay_head(node, out);
        break;
    case TERN_CHAIN_OUT_PROPOSED:
        relay_publish(node, node->topic_blocks, out->bytes);
        relay_plain(node, TERN_NODE_PROPOSED, out);
        break;
    case TERN_CHAIN_OUT_CONFIRMED:
        relay_plain(node, TERN_NODE_CONFIRMED, out);
        break;
    case TERN_CHAIN_OUT_BLAME:
        relay_blame(node, out->source, out->fault);
        break;
    case TERN_CHAIN_OUT_EQUIVOCATION:
        relay_plain(node, TERN_NODE_EQUIVOCATION, out);
        break;
    case TERN_CHAIN_OUT_FAILED:
        node->ready = false;
        relay_plain(node, TERN_NODE_FAILED, out);
        break;
    case TERN_CHAIN_OUT_FINAL:     /* the authority engine has no finality, */
    case TERN_CHAIN_OUT_BROADCAST: /* and no messages: an engine that has them brings its topic */
    case TERN_CHAIN_OUT_SEND:
        break;
    }
}
