/*
 * Messages kept for a few heartbeats, for peers that ask by IWANT. Bounded in bytes: the oldest go
 * first.
 */
#include "protocol/gossip/gossip_private.h"

static void cache_drop(struct tern_gossip *g, struct gossip_message *message)
{
    TERN_CHECK(message->cached);
    tern_map_remove(&g->cache, &message->entry);
    tern_list_remove(&message->link);
    g->cache_bytes -= message->chunk->size;
    message->cached = false;
    gossip_message_release(g, message);
}

static struct gossip_message *cache_oldest(struct tern_gossip *g)
{
    return TERN_LIST_ENTRY(tern_list_front(&g->cache_order), struct gossip_message, link);
}

void gossip_cache_put(struct tern_gossip *g, struct gossip_message *message)
{
    TERN_CHECK(!message->cached);
    if (gossip_cache_find(g, tern_view_of(message->id, message->id_size)) != NULL ||
        tern_map_insert(&g->cache, &message->entry, tern_view_of(message->id, message->id_size)) !=
            TERN_OK) {
        gossip_message_release(g, message);
        return;
    }
    message->cached = true;
    message->age = 0;
    tern_list_push_back(&g->cache_order, &message->link);
    g->cache_bytes += message->chunk->size;
    while (g->cache_bytes > g->params.cache_bytes_max && cache_oldest(g) != message)
        cache_drop(g, cache_oldest(g));
}

struct gossip_message *gossip_cache_find(const struct tern_gossip *g, struct tern_view id)
{
    struct tern_map_entry *entry = tern_map_find(&g->cache, id);
    return entry == NULL ? NULL : TERN_CONTAINER_OF(entry, struct gossip_message, entry);
}

/* The cache is in order of age: those past the history stand in front. */
void gossip_cache_shift(struct tern_gossip *g)
{
    TERN_LIST_FOREACH (node, &g->cache_order)
        TERN_LIST_ENTRY(node, struct gossip_message, link)->age++;
    while (!tern_list_empty(&g->cache_order) && cache_oldest(g)->age >= g->params.history_length)
        cache_drop(g, cache_oldest(g));
}

void gossip_cache_clear(struct tern_gossip *g)
{
    while (!tern_list_empty(&g->cache_order))
        cache_drop(g, cache_oldest(g));
}

bool gossip_cache_may_send(struct tern_gossip *g, struct gossip_message *message, uint32_t peer)
{
    if (message->sent_counts == NULL) {
        message->sent_counts = tern_mem_zalloc(g->mem, g->params.peers_max);
        if (message->sent_counts == NULL)
            return false;
        message->sent_capacity = g->params.peers_max;
    }
    TERN_CHECK(peer < message->sent_capacity);
    if (message->sent_counts[peer] >= g->params.gossip_retransmission)
        return false;
    message->sent_counts[peer]++;
    return true;
}
