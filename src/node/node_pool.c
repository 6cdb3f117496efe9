/*
 * The transactions that wait at peers: asked for from one peer at a time, at random, unless its
 * pool is ours. Gossip tells each but once; this is what heals what gossip missed.
 */
#include "node/node_private.h"

static const tern_time POOL_ASK_NS = 10 * TERN_SECOND;
static const tern_time POOL_SOON_NS = TERN_SECOND; /* after a peer came */

void node_pool_peer(struct tern_node *node)
{
    node->pool_at = tern_time_min(node->pool_at, tern_time_add(node->now, POOL_SOON_NS));
}

static void pool_ask(struct tern_node *node, tern_peer peer)
{
    uint8_t bytes[2 + TERN_HASH_SIZE];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_sync_get_txs_encode(&tern_chain_pool(node->chain)->digest, &w);
    TERN_CHECK(tern_writer_ok(&w));
    struct tern_sync_out out = {.bytes = tern_writer_view(&w)};
    TERN_IGNORE(node_send_request(node, peer, NODE_TOKEN_TXS, &out)); /* another time, then */
}

void node_pool_tick(struct tern_node *node)
{
    if (node->now < node->pool_at)
        return;
    node->pool_at = TERN_TIME_NEVER;
    if (node->peers_count == 0 || node->shutting)
        return;
    node->pool_at = tern_time_add(node->now, POOL_ASK_NS);
    /* A node that is behind would refuse most of it: nonces that it has not come to yet. */
    struct tern_sync_info info;
    tern_sync_info(node->sync, node->now, &info);
    if (node->ready && !info.behind)
        pool_ask(node, node->peers[tern_random_below(&node->random, node->peers_count)].peer);
}

void node_pool_response(struct tern_node *node, const struct tern_request_event *event)
{
    struct tern_view rest = event->answer.body;
    struct tern_view tx;
    size_t count;
    if (event->err != TERN_OK || event->answer.code != TERN_REQUEST_OK || !node->ready)
        return;
    if (tern_sync_items_check(rest, TERN_SYNC_TXS_MAX, &count) != TERN_OK) {
        tern_swarm_report(tern_host_core_swarm(node->host), node->now, event->peer,
                          TERN_FAULT_CHAIN_SYNC_MALFORMED);
        return;
    }
    while (tern_sync_items_next(&rest, &tx))
        node_offer_tx(node, event->peer, tx);
}

void node_pool_serve(struct tern_node *node, const struct tern_request_event *event)
{
    const struct tern_pool *pool = tern_chain_pool(node->chain);
    struct tern_hash digest;
    if (tern_sync_get_txs_decode(event->body, &digest) != TERN_OK) {
        node_serve_malformed(node, event);
        return;
    }
    size_t count = tern_min_size(tern_pool_count(pool), TERN_SYNC_TXS_MAX);
    if (count == 0 || tern_hash_equal(&digest, &pool->digest)) {
        node_serve_answer(node, event->handle, TERN_REQUEST_OK, tern_view_of(NULL, 0));
        return;
    }
    uint8_t *bytes = tern_mem_alloc(node->mem, TERN_SYNC_TXS_SIZE_MAX);
    struct tern_writer w = tern_writer_of(bytes, bytes == NULL ? 0 : TERN_SYNC_TXS_SIZE_MAX);
    const struct tern_pool_entry *entry = tern_pool_first(pool);
    for (size_t i = 0; bytes != NULL && i < count; i++) {
        tern_sync_item_encode(tern_view_of(entry->bytes, entry->bytes_size), &w);
        entry = tern_pool_next(pool, entry);
    }
    TERN_CHECK(bytes == NULL || tern_writer_ok(&w));
    node_serve_answer(node, event->handle, bytes == NULL ? TERN_REQUEST_BUSY : TERN_REQUEST_OK,
                      tern_writer_view(&w));
    tern_mem_free(node->mem, bytes, TERN_SYNC_TXS_SIZE_MAX);
}
