/*
 * The mesh: whom we exchange full messages with, a topic at a time; and gossip about the rest.
 *
 * Each heartbeat: negative scores leave the mesh; too few members are filled up to D, too many cut
 * down to D, at least D_out of them dialled by us; some non-members are told by IHAVE what we have;
 * what was promised by IHAVE and did not come after IWANT counts against who promised.
 */
#include "protocol/gossip/gossip_private.h"

/* --- membership --- */

void gossip_mesh_remove(struct gossip_topic *topic, uint32_t peer)
{
    struct topic_member *member = gossip_member_find(topic, peer);
    if (member == NULL || (member->flags & (TOPIC_MESH | TOPIC_FANOUT)) == 0)
        return;
    member->flags &= (uint8_t)~(TOPIC_MESH | TOPIC_FANOUT);
    for (size_t i = 0; i < topic->mesh_count; i++) {
        if (topic->mesh[i] != peer)
            continue;
        topic->mesh[i] = topic->mesh[--topic->mesh_count];
        return;
    }
    TERN_UNREACHABLE();
}

static bool mesh_add(struct tern_gossip *g, struct gossip_topic *topic, uint32_t peer,
                     enum topic_flag flag)
{
    struct topic_member *member = gossip_member(g, topic, peer);
    if (member == NULL || topic->mesh_count == GOSSIP_MESH_MAX)
        return false;
    TERN_CHECK((member->flags & (TOPIC_MESH | TOPIC_FANOUT)) == 0);
    member->flags |= (uint8_t)flag;
    topic->mesh[topic->mesh_count++] = peer;
    return true;
}

static void mesh_send_graft(struct tern_gossip *g, const struct gossip_topic *topic, uint32_t peer)
{
    struct tern_view name = gossip_topic_name(topic);
    size_t size = tern_gossip_graft_size(name);
    uint8_t *room = gossip_control(g, peer, size);
    if (room == NULL)
        return;
    struct tern_writer w = tern_writer_of(room, size);
    tern_gossip_write_graft(&w, name);
    TERN_CHECK(w.size == size && tern_writer_ok(&w));
}

static void mesh_send_prune(struct tern_gossip *g, const struct gossip_topic *topic, uint32_t peer,
                            tern_time backoff)
{
    struct tern_view name = gossip_topic_name(topic);
    uint64_t seconds = backoff / TERN_SECOND;
    size_t inner = tern_pb_bytes_size(1, name.size) + tern_pb_varint_size(3, seconds);
    size_t size = tern_pb_bytes_size(TERN_GOSSIP_CONTROL_PRUNE, inner);
    uint8_t *room = gossip_control(g, peer, size);
    if (room == NULL)
        return;
    struct tern_writer w = tern_writer_of(room, size);
    tern_pb_write_header(&w, TERN_GOSSIP_CONTROL_PRUNE, inner);
    tern_pb_write_bytes(&w, 1, name);
    tern_pb_write_varint(&w, 3, seconds);
    TERN_CHECK(w.size == size && tern_writer_ok(&w));
}

static void mesh_set_backoff(struct tern_gossip *g, struct gossip_topic *topic, uint32_t peer,
                             tern_time backoff)
{
    struct topic_member *member = gossip_member(g, topic, peer);
    tern_time until = tern_time_add(g->now, backoff);
    if (member != NULL && until > member->backoff_until)
        member->backoff_until = until;
}

static void mesh_prune(struct tern_gossip *g, struct gossip_topic *topic, uint32_t peer,
                       tern_time backoff)
{
    gossip_mesh_remove(topic, peer);
    mesh_set_backoff(g, topic, peer, backoff);
    mesh_send_prune(g, topic, peer, backoff);
}

/* --- choosing --- */

enum choose { CHOOSE_ANY, CHOOSE_OUTBOUND };

/* May the peer be grafted? One heartbeat of slack, so that clocks a little apart do not offend. */
static bool mesh_eligible(const struct tern_gossip *g, const struct gossip_topic *topic,
                          uint32_t peer, enum choose choose)
{
    const struct topic_member *member = &topic->members[peer];
    const struct gossip_peer *p = &g->peers[peer];
    if ((member->flags & TOPIC_SUBSCRIBER) == 0 ||
        (member->flags & (TOPIC_MESH | TOPIC_FANOUT)) != 0)
        return false;
    if (p->kind == TERN_GOSSIP_FLOODSUB || p->score < 0)
        return false;
    if (choose == CHOOSE_OUTBOUND && !p->outbound)
        return false;
    return member->backoff_until == 0 ||
           g->now >= tern_time_add(member->backoff_until, g->params.heartbeat_ns);
}

static void mesh_shuffle(struct tern_gossip *g, uint32_t *list, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t k = (size_t)tern_random_below(g->random, i);
        uint32_t swap = list[i - 1];
        list[i - 1] = list[k];
        list[k] = swap;
    }
}

/* Lists eligible peers in scratch, in random order. */
static size_t mesh_candidates(struct tern_gossip *g, const struct gossip_topic *topic,
                              enum choose choose)
{
    size_t count = 0;
    for (uint32_t i = 0; i < topic->members_capacity; i++)
        if (mesh_eligible(g, topic, i, choose))
            g->scratch[count++] = i;
    mesh_shuffle(g, g->scratch, count);
    return count;
}

static void mesh_graft_some(struct tern_gossip *g, struct gossip_topic *topic, size_t wanted,
                            enum choose choose)
{
    size_t count = mesh_candidates(g, topic, choose);
    for (size_t i = 0; i < count && i < wanted; i++)
        if (mesh_add(g, topic, g->scratch[i], TOPIC_MESH))
            mesh_send_graft(g, topic, g->scratch[i]);
}

static size_t mesh_outbound_count(const struct tern_gossip *g, const struct gossip_topic *topic)
{
    size_t count = 0;
    for (size_t i = 0; i < topic->mesh_count; i++)
        count += g->peers[topic->mesh[i]].outbound;
    return count;
}

/* --- joining and leaving --- */

/* A topic we published to before has a fanout: its members become the mesh. */
static void mesh_promote_fanout(struct tern_gossip *g, struct gossip_topic *topic)
{
    for (size_t i = 0; i < topic->mesh_count; i++) {
        struct topic_member *member = &topic->members[topic->mesh[i]];
        if ((member->flags & TOPIC_FANOUT) == 0)
            continue;
        member->flags = (uint8_t)((member->flags & ~TOPIC_FANOUT) | TOPIC_MESH);
        mesh_send_graft(g, topic, topic->mesh[i]);
    }
    topic->fanout_expires = 0;
}

void gossip_join(struct tern_gossip *g, struct gossip_topic *topic)
{
    TERN_CHECK(topic->joined);
    mesh_promote_fanout(g, topic);
    if (topic->mesh_count < g->params.d)
        mesh_graft_some(g, topic, g->params.d - topic->mesh_count, CHOOSE_ANY);
}

void gossip_leave(struct tern_gossip *g, struct gossip_topic *topic)
{
    while (topic->mesh_count > 0)
        mesh_prune(g, topic, topic->mesh[topic->mesh_count - 1], g->params.unsubscribe_backoff_ns);
}

/* --- GRAFT and PRUNE of others --- */

/* Why a graft is refused; NONE with *refuse for a reason that is nobody's fault. */
static tern_fault graft_check(struct tern_gossip *g, const struct gossip_topic *topic,
                              uint32_t peer, bool *refuse)
{
    const struct topic_member *member = gossip_member_find(topic, peer);
    *refuse = true;
    if (member != NULL && g->now < member->backoff_until)
        return TERN_FAULT_GOSSIP_GRAFT_BACKOFF;
    if (g->peers[peer].score < 0)
        return TERN_FAULT_NONE;
    *refuse = topic->mesh_count >= g->params.d_hi && !g->peers[peer].outbound;
    return TERN_FAULT_NONE;
}

void gossip_on_graft(struct tern_gossip *g, uint32_t peer, struct tern_view entry)
{
    struct tern_view name;
    bool refuse;
    if (tern_gossip_topic_decode(entry, &name) != TERN_OK) {
        gossip_fault(g, peer, TERN_FAULT_GOSSIP_RPC_MALFORMED);
        return;
    }
    struct gossip_topic *topic = gossip_find_topic(g, name);
    if (topic == NULL || !topic->joined)
        return; /* silently: an answer would let strangers make us send */
    struct topic_member *member = gossip_member_find(topic, peer);
    if (member != NULL && (member->flags & TOPIC_MESH) != 0)
        return;
    tern_fault fault = graft_check(g, topic, peer, &refuse);
    if (fault != TERN_FAULT_NONE)
        gossip_fault(g, peer, fault);
    if (refuse || !mesh_add(g, topic, peer, TOPIC_MESH))
        mesh_prune(g, topic, peer, g->params.prune_backoff_ns);
}

void gossip_on_prune(struct tern_gossip *g, uint32_t peer, struct tern_view entry)
{
    struct tern_gossip_prune prune;
    if (tern_gossip_prune_decode(entry, &prune) != TERN_OK) {
        gossip_fault(g, peer, TERN_FAULT_GOSSIP_RPC_MALFORMED);
        return;
    }
    struct gossip_topic *topic = gossip_find_topic(g, prune.topic);
    if (topic == NULL)
        return;
    /* A remote's number: clamped before it is multiplied, so that it can neither wrap nor stay. */
    uint64_t seconds_max = g->params.backoff_max_ns / TERN_SECOND;
    tern_time backoff = g->params.prune_backoff_ns;
    if (prune.backoff_s > seconds_max) {
        gossip_fault(g, peer, TERN_FAULT_GOSSIP_BACKOFF_HUGE);
        backoff = g->params.backoff_max_ns;
    } else if (prune.backoff_s > 0) {
        backoff = prune.backoff_s * TERN_SECOND;
    }
    gossip_mesh_remove(topic, peer);
    mesh_set_backoff(g, topic, peer, backoff);
}

/* --- IHAVE and IWANT --- */

static void ihave_promise(struct tern_gossip *g, uint32_t peer, uint64_t hash)
{
    if (g->promises_count == GOSSIP_PROMISES_MAX)
        return;
    size_t tail = (g->promises_head + g->promises_count) % GOSSIP_PROMISES_MAX;
    g->promises[tail] =
        (struct gossip_promise){.hash = hash,
                                .peer = peer,
                                .generation = g->peers[peer].generation,
                                .expires = tern_time_add(g->now, g->params.iwant_followup_ns)};
    g->promises_count++;
}

void gossip_fulfil(struct tern_gossip *g, uint64_t hash)
{
    for (size_t i = 0; i < g->promises_count; i++) {
        struct gossip_promise *promise = &g->promises[(g->promises_head + i) % GOSSIP_PROMISES_MAX];
        if (promise->hash == hash)
            promise->hash = 0;
    }
}

static void promises_expire(struct tern_gossip *g)
{
    while (g->promises_count > 0) {
        struct gossip_promise *promise = &g->promises[g->promises_head];
        if (promise->expires > g->now)
            return;
        if (promise->hash != 0 && gossip_peer_current(g, promise->peer, promise->generation))
            gossip_fault(g, promise->peer, TERN_FAULT_GOSSIP_PROMISE_BROKEN);
        g->promises_head = (g->promises_head + 1) % GOSSIP_PROMISES_MAX;
        g->promises_count--;
    }
}

/* Appends one id to the IWANT that is being built for the peer. */
static bool ihave_want(struct tern_gossip *g, uint32_t peer, struct tern_view id)
{
    size_t inner = tern_pb_bytes_size(1, id.size);
    size_t size = tern_pb_bytes_size(TERN_GOSSIP_CONTROL_IWANT, inner);
    uint8_t *room = gossip_control(g, peer, size);
    if (room == NULL)
        return false;
    struct tern_writer w = tern_writer_of(room, size);
    tern_pb_write_header(&w, TERN_GOSSIP_CONTROL_IWANT, inner);
    tern_pb_write_bytes(&w, 1, id);
    TERN_CHECK(w.size == size && tern_writer_ok(&w));
    return true;
}

void gossip_on_ihave(struct tern_gossip *g, uint32_t slot, struct tern_view entry)
{
    struct gossip_peer *peer = &g->peers[slot];
    struct tern_pb_iter it = tern_pb_iter_of(entry);
    struct tern_pb_field field;
    bool known = false;
    uint64_t promised = 0;
    if (peer->score < g->params.score_gossip_min)
        return;
    if (++peer->ihave_messages > g->params.ihave_messages_max) {
        if (peer->ihave_messages == g->params.ihave_messages_max + 1)
            gossip_fault(g, slot, TERN_FAULT_GOSSIP_IHAVE_FLOOD);
        return;
    }
    while (tern_pb_next(&it, &field)) {
        if (field.tag == TERN_PB_TAG(1, TERN_PB_BYTES)) {
            const struct gossip_topic *topic = gossip_find_topic(g, field.bytes);
            known = topic != NULL && topic->joined;
        }
        if (field.tag != TERN_PB_TAG(2, TERN_PB_BYTES) || !known ||
            field.bytes.size > GOSSIP_ID_SIZE_MAX)
            continue;
        uint64_t hash = gossip_seen_hash(&g->seen, field.bytes);
        if (gossip_seen_has(&g->seen, hash))
            continue;
        if (peer->ihave_asked >= g->params.ihave_length_max)
            break;
        if (!ihave_want(g, slot, field.bytes))
            break;
        peer->ihave_asked++;
        promised = hash;
    }
    if (promised != 0)
        ihave_promise(g, slot, promised);
}

void gossip_on_iwant(struct tern_gossip *g, uint32_t peer, struct tern_view entry)
{
    struct tern_pb_iter it = tern_pb_iter_of(entry);
    struct tern_pb_field field;
    if (g->peers[peer].score < g->params.score_gossip_min)
        return;
    while (tern_pb_next(&it, &field)) {
        if (field.tag != TERN_PB_TAG(1, TERN_PB_BYTES))
            continue;
        struct gossip_message *message = gossip_cache_find(g, field.bytes);
        if (message == NULL)
            continue;
        if (!gossip_cache_may_send(g, message, peer)) {
            gossip_fault(g, peer, TERN_FAULT_GOSSIP_IWANT_FLOOD);
            break;
        }
        if (tern_ring_count(&g->outs) + 1 >= GOSSIP_OUTS_MAX)
            break; /* it asks again if it still wants the rest */
        gossip_queue(g, &(struct gossip_queued){.kind = QUEUED_SEND,
                                                .peer = peer,
                                                .chunk = tern_chunk_ref(message->chunk),
                                                .priority = TERN_GOSSIP_PRIORITY_FORWARD});
    }
    if (tern_pb_end(&it) != TERN_OK)
        gossip_fault(g, peer, TERN_FAULT_GOSSIP_RPC_MALFORMED);
}

/* --- whom a message goes to --- */

static bool target_flood(const struct tern_gossip *g, const struct gossip_message *message,
                         uint32_t peer)
{
    const struct gossip_peer *p = &g->peers[peer];
    if ((message->topic->members[peer].flags & TOPIC_SUBSCRIBER) == 0)
        return false;
    if (p->kind == TERN_GOSSIP_FLOODSUB)
        return true;
    return message->source == UINT32_MAX && g->params.flood_publish &&
           p->score >= g->params.score_publish_min;
}

/* Publishing where we have not joined: a fanout of D stands for the mesh for a while. */
static void targets_fanout(struct tern_gossip *g, struct gossip_topic *topic)
{
    size_t count = topic->mesh_count < g->params.d ? mesh_candidates(g, topic, CHOOSE_ANY) : 0;
    for (size_t i = 0; i < count && topic->mesh_count < g->params.d; i++)
        (void)mesh_add(g, topic, g->scratch[i], TOPIC_FANOUT);
    topic->fanout_expires = tern_time_add(g->now, g->params.fanout_ttl_ns);
}

size_t gossip_targets(struct tern_gossip *g, const struct gossip_message *message)
{
    struct gossip_topic *topic = message->topic;
    size_t count = 0;
    if (!topic->joined && message->source == UINT32_MAX)
        targets_fanout(g, topic);
    for (uint32_t i = 0; i < topic->members_capacity; i++) {
        bool member = (topic->members[i].flags & (TOPIC_MESH | TOPIC_FANOUT)) != 0;
        if (!member && !target_flood(g, message, i))
            continue;
        if (i == message->source && g->peers[i].generation == message->source_generation)
            continue;
        TERN_CHECK(g->peers[i].used);
        g->targets[count++] = i;
    }
    return count;
}

/* --- the heartbeat --- */

static void heartbeat_drop_negative(struct tern_gossip *g, struct gossip_topic *topic)
{
    for (size_t i = topic->mesh_count; i > 0; i--)
        if (g->peers[topic->mesh[i - 1]].score < 0)
            mesh_prune(g, topic, topic->mesh[i - 1], g->params.prune_backoff_ns);
}

/* Cuts a mesh that is too large to D, sparing D_out of those we dialled. */
static void heartbeat_cut(struct tern_gossip *g, struct gossip_topic *topic)
{
    size_t outbound = mesh_outbound_count(g, topic);
    mesh_shuffle(g, topic->mesh, topic->mesh_count);
    for (size_t i = topic->mesh_count; i > 0 && topic->mesh_count > g->params.d; i--) {
        uint32_t peer = topic->mesh[i - 1];
        if (g->peers[peer].outbound) {
            if (outbound <= g->params.d_out)
                continue;
            outbound--;
        }
        mesh_prune(g, topic, peer, g->params.prune_backoff_ns);
    }
}

static void heartbeat_mesh(struct tern_gossip *g, struct gossip_topic *topic)
{
    heartbeat_drop_negative(g, topic);
    if (topic->mesh_count < g->params.d_lo)
        mesh_graft_some(g, topic, g->params.d - topic->mesh_count, CHOOSE_ANY);
    if (topic->mesh_count > g->params.d_hi)
        heartbeat_cut(g, topic);
    size_t outbound = mesh_outbound_count(g, topic);
    if (topic->mesh_count >= g->params.d_lo && outbound < g->params.d_out)
        mesh_graft_some(g, topic, g->params.d_out - outbound, CHOOSE_OUTBOUND);
}

static void heartbeat_fanout(struct tern_gossip *g, struct gossip_topic *topic)
{
    if (topic->mesh_count > 0 && g->now >= topic->fanout_expires)
        while (topic->mesh_count > 0)
            gossip_mesh_remove(topic, topic->mesh[topic->mesh_count - 1]);
}

/* The bytes of all ids that a peer is told of; 0: none. */
static size_t heartbeat_ids_size(const struct tern_gossip *g, const struct gossip_topic *topic)
{
    size_t size = 0;
    size_t count = 0;
    TERN_LIST_FOREACH (node, &g->cache_order) {
        const struct gossip_message *m = TERN_LIST_ENTRY(node, struct gossip_message, link);
        if (m->topic == topic && m->age < g->params.history_gossip &&
            count++ < g->params.ihave_length_max)
            size += tern_pb_bytes_size(2, m->id_size);
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
    size_t count = 0;
    TERN_LIST_FOREACH (node, &g->cache_order) {
        const struct gossip_message *m = TERN_LIST_ENTRY(node, struct gossip_message, link);
        if (m->topic == topic && m->age < g->params.history_gossip &&
            count++ < g->params.ihave_length_max)
            tern_pb_write_bytes(&w, 2, tern_view_of(m->id, m->id_size));
    }
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
    size_t ids_size = heartbeat_ids_size(g, topic);
    size_t count = 0;
    if (ids_size == 0)
        return;
    for (uint32_t i = 0; i < topic->members_capacity; i++)
        if (heartbeat_may_gossip(g, topic, i))
            g->scratch[count++] = i;
    mesh_shuffle(g, g->scratch, count);
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
    promises_expire(g);
    gossip_seen_expire(&g->seen, g->now);
    struct tern_map_entry *after;
    for (struct tern_map_entry *entry = tern_map_first(&g->topics); entry != NULL; entry = after) {
        struct gossip_topic *topic = TERN_CONTAINER_OF(entry, struct gossip_topic, entry);
        after = tern_map_next(&g->topics, entry);
        if (topic->joined)
            heartbeat_mesh(g, topic);
        else
            heartbeat_fanout(g, topic);
        heartbeat_gossip(g, topic);
        gossip_forget_topic(g, topic);
    }
    gossip_cache_shift(g);
}
