/*
 * Messages kept for a few heartbeats, for peers that ask by IWANT. Bounded in bytes, what describes
 * a message included: the oldest go first.
 */
#include "protocol/gossip/gossip_private.h"

enum { CACHE_ASKERS_MIN = 4 };

static uint64_t cache_cost(const struct gossip_message *message)
{
    return (uint64_t)message->chunk->size + sizeof *message;
}

static void cache_drop(struct tern_gossip *g, struct gossip_message *message)
{
    TERN_CHECK(message->cached);
    tern_map_remove(&g->cache, &message->entry);
    tern_list_remove(&message->link);
    tern_list_remove(&message->topic_link);
    g->cache_bytes -= cache_cost(message);
    message->cached = false;
    gossip_message_release(g, message);
}

static struct gossip_message *cache_oldest(struct tern_gossip *g)
{
    return TERN_LIST_ENTRY(tern_list_front(&g->cache_order), struct gossip_message, link);
}

void gossip_cache_put(struct tern_gossip *g, struct gossip_message *message)
{
    struct tern_view id = tern_view_of(message->id, message->id_size);
    TERN_CHECK(!message->cached && !message->arriving && message->state == MESSAGE_DONE);
    if (gossip_cache_find(g, id) != NULL ||
        tern_map_insert(&g->cache, &message->entry, id) != TERN_OK) {
        gossip_message_release(g, message);
        return;
    }
    message->cached = true;
    message->cached_beat = g->beats;
    tern_list_push_back(&g->cache_order, &message->link);
    tern_list_push_back(&message->topic->cached, &message->topic_link);
    g->cache_bytes += cache_cost(message);
    while (g->cache_bytes > g->params.cache_bytes_max && cache_oldest(g) != message)
        cache_drop(g, cache_oldest(g));
}

struct gossip_message *gossip_cache_find(const struct tern_gossip *g, struct tern_view id)
{
    struct tern_map_entry *entry = tern_map_find(&g->cache, id);
    return entry == NULL ? NULL : TERN_CONTAINER_OF(entry, struct gossip_message, entry);
}

uint64_t gossip_cache_age(const struct tern_gossip *g, const struct gossip_message *message)
{
    return g->beats - message->cached_beat;
}

/* The cache is in order of age: those past the history stand in front. */
void gossip_cache_shift(struct tern_gossip *g)
{
    while (!tern_list_empty(&g->cache_order) &&
           gossip_cache_age(g, cache_oldest(g)) >= g->params.history_length)
        cache_drop(g, cache_oldest(g));
}

/* The peer's row among those who asked. A slot that another peer has now starts anew. NULL: no
 * memory. */
static struct gossip_asker *cache_asker(struct tern_gossip *g, struct gossip_message *message,
                                        uint32_t peer)
{
    uint32_t generation = g->peers[peer].generation;
    for (size_t i = 0; i < message->askers_count; i++) {
        struct gossip_asker *asker = &message->askers[i];
        if (asker->peer != peer)
            continue;
        if (asker->generation != generation)
            *asker = (struct gossip_asker){.peer = peer, .generation = generation};
        return asker;
    }
    if (message->askers_count == message->askers_capacity) {
        size_t capacity = tern_max_size(CACHE_ASKERS_MIN, 2 * message->askers_capacity);
        struct gossip_asker *grown =
            tern_mem_realloc(g->mem, message->askers, message->askers_capacity * sizeof *grown,
                             capacity * sizeof *grown);
        if (grown == NULL)
            return NULL;
        message->askers = grown;
        message->askers_capacity = capacity;
    }
    struct gossip_asker *asker = &message->askers[message->askers_count++];
    *asker = (struct gossip_asker){.peer = peer, .generation = generation};
    return asker;
}

tern_err gossip_cache_may_send(struct tern_gossip *g, struct gossip_message *message, uint32_t peer)
{
    struct gossip_asker *asker = cache_asker(g, message, peer);
    if (asker == NULL)
        return TERN_ERR_MEMORY;
    if (asker->count >= g->params.gossip_retransmission)
        return TERN_ERR_RATE;
    asker->count++;
    return TERN_OK;
}
