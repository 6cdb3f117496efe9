/*
 * Each heartbeat: negative scores leave the mesh; too few members are filled up to D, too many cut
 * down to D, at least D_out of them dialled by us; some non-members are told by IHAVE what we have;
 * what was promised by IHAVE and did not come after IWANT counts against who promised.
 */
#include "protocol/gossip/gossip_private.h"

static size_t heartbeat_outbound(const struct tern_gossip *g, const struct gossip_topic *topic)
{
    size_t count = 0;
    for (size_t i = 0; i < topic->mesh_count; i++)
        count += g->peers[topic->mesh[i]].outbound;
    return count;
}

static void heartbeat_drop_negative(struct tern_gossip *g, struct gossip_topic *topic)
{
    for (size_t i = topic->mesh_count; i > 0; i--)
        if (g->peers[topic->mesh[i - 1]].score < 0)
            gossip_prune(g, topic, topic->mesh[i - 1], g->params.prune_backoff_ns);
}

/* Cuts a mesh that is too large to D, sparing D_out of those we dialled. */
static void heartbeat_cut(struct tern_gossip *g, struct gossip_topic *topic)
{
    size_t outbound = heartbeat_outbound(g, topic);
    gossip_shuffle(g, topic->mesh, topic->mesh_count);
    for (size_t i = topic->mesh_count; i > 0 && topic->mesh_count > g->params.d; i--) {
        uint32_t peer = topic->mesh[i - 1];
        if (g->peers[peer].outbound) {
            if (outbound <= g->params.d_out)
                continue;
            outbound--;
        }
        gossip_prune(g, topic, peer, g->params.prune_backoff_ns);
    }
}

static void heartbeat_mesh(struct tern_gossip *g, struct gossip_topic *topic)
{
    heartbeat_drop_negative(g, topic);
    if (topic->mesh_count < g->params.d_lo)
        gossip_graft_some(g, topic, g->params.d - topic->mesh_count, GOSSIP_ANY);
    if (topic->mesh_count > g->params.d_hi)
        heartbeat_cut(g, topic);
    size_t outbound = heartbeat_outbound(g, topic);
    if (topic->mesh_count >= g->params.d_lo && outbound < g->params.d_out)
        gossip_graft_some(g, topic, g->params.d_out - outbound, GOSSIP_OUTBOUND);
}

static void heartbeat_fanout(struct tern_gossip *g, struct gossip_topic *topic)
{
    if (topic->mesh_count > 0 && g->now >= topic->fanout_expires)
        while (topic->mesh_count > 0)
            gossip_mesh_remove(topic, topic->mesh[topic->mesh_count - 1]);
}

/* The newest messages of a topic, as many as peers take: their ids' bytes are added up, and written
 * if there is a writer. */
static size_t heartbeat_ids(const struct tern_gossip *g, const struct gossip_topic *topic,
                            struct tern_writer *out)
{
    size_t size = 0;
    struct tern_list *node = topic->cached.prev;
    for (size_t i = 0; i < g->params.ihave_length_max && node != &topic->cached; i++) {
        const struct gossip_message *m = TERN_LIST_ENTRY(node, struct gossip_message, topic_link);
        if (gossip_cache_age(g, m) >= g->params.history_gossip)
            break;
        size += tern_pb_bytes_size(2, m->id_size);
        if (out != NULL)
            tern_pb_write_bytes(out, 2, tern_view_of(m->id, m->id_size));
        node = node->prev;
    }
    return size;
}

static void heartbeat_ihave(struct tern_gossip *g, const struct gossip_topic *topic, uint32_t peer,
                            size_t ids_size)
{
    struct tern_view name = gossip_topic_name(topic);
    size_t inner = tern_pb_bytes_size(1, name.size) + ids_size;
    size_t size = tern_pb_bytes_size(TERN_GOSSIP_CONTROL_IHAVE, inner);
    uint8_t *room = gossip_control(g, peer, size);
    if (room == NULL)
        return;
    struct tern_writer w = tern_writer_of(room, size);
    tern_pb_write_header(&w, TERN_GOSSIP_CONTROL_IHAVE, inner);
    tern_pb_write_bytes(&w, 1, name);
    (void)heartbeat_ids(g, topic, &w);
    TERN_CHECK(w.size == size && tern_writer_ok(&w));
}

static bool heartbeat_may_gossip(const struct tern_gossip *g, const struct gossip_topic *topic,
                                 uint32_t peer)
{
    const struct topic_member *member = &topic->members[peer];
    return (member->flags & TOPIC_SUBSCRIBER) != 0 &&
           (member->flags & (TOPIC_MESH | TOPIC_FANOUT)) == 0 &&
           g->peers[peer].kind != TERN_GOSSIP_FLOODSUB &&
           g->peers[peer].score >= g->params.score_gossip_min;
}

/* Tells D_lazy non-members, or a share of them if that is more, what came lately. */
static void heartbeat_gossip(struct tern_gossip *g, const struct gossip_topic *topic)
{
    size_t ids_size = heartbeat_ids(g, topic, NULL);
    size_t count = 0;
    if (ids_size == 0)
        return;
    for (uint32_t i = 0; i < topic->members_capacity; i++)
        if (heartbeat_may_gossip(g, topic, i))
            g->scratch[count++] = i;
    gossip_shuffle(g, g->scratch, count);
    size_t wanted = tern_max_size(g->params.d_lazy, count * g->params.gossip_factor_percent / 100);
    for (size_t i = 0; i < count && i < wanted; i++)
        heartbeat_ihave(g, topic, g->scratch[i], ids_size);
}

void gossip_heartbeat(struct tern_gossip *g)
{
    for (size_t i = 0; i < g->peers_count; i++) {
        g->peers[i].ihave_messages = 0;
        g->peers[i].ihave_asked = 0;
    }
    gossip_promises_expire(g);
    gossip_seen_expire(&g->seen, g->now);
    struct tern_map_entry *after;
    for (struct tern_map_entry *entry = tern_map_first(&g->topics); entry != NULL; entry = after) {
        struct gossip_topic *topic = TERN_CONTAINER_OF(entry, struct gossip_topic, entry);
        after = tern_map_next(&g->topics, entry);
        if (topic->unannounced)
            gossip_announce(g, topic);
        if (topic->joined)
            heartbeat_mesh(g, topic);
        else
            heartbeat_fanout(g, topic);
        heartbeat_gossip(g, topic);
        gossip_forget_topic(g, topic);
    }
    g->beats++;
    gossip_cache_shift(g);
}
