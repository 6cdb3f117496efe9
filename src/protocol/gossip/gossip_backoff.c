/*
 * Back-offs of peers that have gone. Whoever was pruned is not rid of it by connecting anew, and
 * neither are we: grafting a peer before its back-off is over would count against us there.
 */
#include "protocol/gossip/gossip_private.h"

static uint64_t backoff_peer_hash(const struct tern_gossip *g, uint32_t peer)
{
    return gossip_seen_hash(&g->seen, tern_peer_id_view(&g->peers[peer].id));
}

void gossip_backoffs_keep(struct tern_gossip *g, uint32_t peer, const struct gossip_topic *topic,
                          tern_time until)
{
    if (until <= g->now)
        return;
    g->backoffs[g->backoffs_next] = (struct gossip_backoff){
        .peer = backoff_peer_hash(g, peer), .topic = topic->entry.hash, .until = until};
    g->backoffs_next = (g->backoffs_next + 1) % GOSSIP_BACKOFFS_MAX;
}

static void backoff_restore(struct tern_gossip *g, uint32_t peer,
                            const struct gossip_backoff *backoff)
{
    TERN_MAP_FOREACH (entry, &g->topics) {
        struct gossip_topic *topic = TERN_CONTAINER_OF(entry, struct gossip_topic, entry);
        if (entry->hash != backoff->topic)
            continue;
        struct topic_member *member = gossip_member(g, topic, peer);
        if (member != NULL && backoff->until > member->backoff_until)
            member->backoff_until = backoff->until;
        return;
    }
}

void gossip_backoffs_restore(struct tern_gossip *g, uint32_t peer)
{
    uint64_t hash = backoff_peer_hash(g, peer);
    for (size_t i = 0; i < GOSSIP_BACKOFFS_MAX; i++)
        if (g->backoffs[i].peer == hash && g->backoffs[i].until > g->now)
            backoff_restore(g, peer, &g->backoffs[i]);
}
