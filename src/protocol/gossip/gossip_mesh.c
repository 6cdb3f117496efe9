/*
 * The mesh: whom we exchange full messages with, a topic at a time; and gossip about the rest. What
 * peers ask of it (GRAFT, PRUNE, IHAVE, IWANT), and whom a message goes to. What it needs from time
 * to time is gossip_heartbeat.c's.
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

static bool mesh_send_graft(struct tern_gossip *g, const struct gossip_topic *topic, uint32_t peer)
{
    struct tern_view name = gossip_topic_name(topic);
    size_t size = tern_gossip_graft_size(name);
    uint8_t *room = gossip_control(g, peer, size);
    if (room == NULL)
        return false;
    struct tern_writer w = tern_writer_of(room, size);
    tern_gossip_write_graft(&w, name);
    TERN_CHECK(w.size == size && tern_writer_ok(&w));
    return true;
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

void gossip_prune(struct tern_gossip *g, struct gossip_topic *topic, uint32_t peer,
                  tern_time backoff)
{
    gossip_mesh_remove(topic, peer);
    mesh_set_backoff(g, topic, peer, backoff);
    mesh_send_prune(g, topic, peer, backoff);
}

/* --- choosing --- */

/* May the peer be grafted? One heartbeat of slack, so that clocks a little apart do not offend. */
static bool mesh_eligible(const struct tern_gossip *g, const struct gossip_topic *topic,
                          uint32_t peer, enum gossip_choose choose)
{
    const struct topic_member *member = &topic->members[peer];
    const struct gossip_peer *p = &g->peers[peer];
    if ((member->flags & TOPIC_SUBSCRIBER) == 0 ||
        (member->flags & (TOPIC_MESH | TOPIC_FANOUT)) != 0)
        return false;
    if (p->kind == TERN_GOSSIP_FLOODSUB || p->score < 0)
        return false;
    if (choose == GOSSIP_OUTBOUND && !p->outbound)
        return false;
    return member->backoff_until == 0 ||
           g->now >= tern_time_add(member->backoff_until, g->params.heartbeat_ns);
}

void gossip_shuffle(struct tern_gossip *g, uint32_t *list, size_t count)
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
                              enum gossip_choose choose)
{
    size_t count = 0;
    for (uint32_t i = 0; i < topic->members_capacity; i++)
        if (mesh_eligible(g, topic, i, choose))
            g->scratch[count++] = i;
    gossip_shuffle(g, g->scratch, count);
    return count;
}

/* Whoever could not be told is no member: it would not know that it is in our mesh. */
void gossip_graft_some(struct tern_gossip *g, struct gossip_topic *topic, size_t wanted,
                       enum gossip_choose choose)
{
    size_t count = mesh_candidates(g, topic, choose);
    for (size_t i = 0; i < count && i < wanted; i++)
        if (mesh_add(g, topic, g->scratch[i], TOPIC_MESH) &&
            !mesh_send_graft(g, topic, g->scratch[i]))
            gossip_mesh_remove(topic, g->scratch[i]);
}

/* --- joining and leaving --- */

/* A topic we published to before has a fanout: its members become the mesh. */
static void mesh_promote_fanout(struct tern_gossip *g, struct gossip_topic *topic)
{
    for (size_t i = topic->mesh_count; i > 0; i--) {
        uint32_t peer = topic->mesh[i - 1];
        struct topic_member *member = &topic->members[peer];
        if ((member->flags & TOPIC_FANOUT) == 0)
            continue;
        member->flags = (uint8_t)((member->flags & ~TOPIC_FANOUT) | TOPIC_MESH);
        if (!mesh_send_graft(g, topic, peer))
            gossip_mesh_remove(topic, peer);
    }
    topic->fanout_expires = 0;
}

void gossip_join(struct tern_gossip *g, struct gossip_topic *topic)
{
    TERN_CHECK(topic->joined);
    mesh_promote_fanout(g, topic);
    if (topic->mesh_count < g->params.d)
        gossip_graft_some(g, topic, g->params.d - topic->mesh_count, GOSSIP_ANY);
}

void gossip_leave(struct tern_gossip *g, struct gossip_topic *topic)
{
    while (topic->mesh_count > 0)
        gossip_prune(g, topic, topic->mesh[topic->mesh_count - 1],
                     g->params.unsubscribe_backoff_ns);
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
        gossip_malformed(g, peer);
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
        gossip_prune(g, topic, peer, g->params.prune_backoff_ns);
}

void gossip_on_prune(struct tern_gossip *g, uint32_t peer, struct tern_view entry)
{
    struct tern_gossip_prune prune;
    if (tern_gossip_prune_decode(entry, &prune) != TERN_OK) {
        gossip_malformed(g, peer);
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

void gossip_promises_expire(struct tern_gossip *g)
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

/* Is the message of this id on its way to the application already? */
static bool ihave_arriving(const struct tern_gossip *g, const struct gossip_topic *topic,
                           struct tern_view id)
{
    struct tern_map_entry *entry = tern_map_find(&g->arriving, id);
    return entry != NULL && TERN_CONTAINER_OF(entry, struct gossip_message, entry)->topic == topic;
}

/* Asks for one id, if it is news. False: the peer had its share. Of the ids asked for, one that
 * it cannot foresee is its promise. */
static bool ihave_id(struct tern_gossip *g, uint32_t slot, const struct gossip_topic *topic,
                     struct tern_view id, struct gossip_promise *promise)
{
    struct gossip_peer *peer = &g->peers[slot];
    uint64_t hash = gossip_message_hash(g, topic, id);
    if (id.size == 0 || id.size > GOSSIP_ID_SIZE_MAX || gossip_seen_has(&g->seen, hash) ||
        ihave_arriving(g, topic, id))
        return true;
    if (peer->ihave_asked >= g->params.ihave_length_max || !ihave_want(g, slot, id))
        return false;
    peer->ihave_asked++;
    if (tern_random_below(g->random, ++promise->generation) == 0)
        promise->hash = hash;
    return true;
}

void gossip_on_ihave(struct tern_gossip *g, uint32_t slot, struct tern_view entry)
{
    struct gossip_peer *peer = &g->peers[slot];
    struct tern_pb_iter it = tern_pb_iter_of(entry);
    struct tern_pb_field field;
    const struct gossip_topic *topic = NULL;
    struct gossip_promise promise = {0}; /* generation counts the ids asked for, until it is made */
    bool more = true;
    if (peer->score < g->params.score_gossip_min)
        return;
    if (++peer->ihave_messages > g->params.ihave_messages_max) {
        if (peer->ihave_messages == g->params.ihave_messages_max + 1)
            gossip_fault(g, slot, TERN_FAULT_GOSSIP_IHAVE_FLOOD);
        return;
    }
    while (more && tern_pb_next(&it, &field)) {
        if (field.tag == TERN_PB_TAG(1, TERN_PB_BYTES))
            topic = gossip_find_topic(g, field.bytes);
        else if (field.tag == TERN_PB_TAG(2, TERN_PB_BYTES) && topic != NULL && topic->joined)
            more = ihave_id(g, slot, topic, field.bytes, &promise);
    }
    if (promise.hash != 0)
        ihave_promise(g, slot, promise.hash);
    if (more && tern_pb_end(&it) != TERN_OK)
        gossip_malformed(g, slot);
}

/* Sends one message that was asked for; false: enough for now. */
static bool iwant_id(struct tern_gossip *g, uint32_t peer, struct tern_view id)
{
    struct gossip_message *message = gossip_cache_find(g, id);
    if (message == NULL)
        return true;
    if (!gossip_room(g, 2))
        return false; /* it asks again if it still wants the rest */
    tern_err err = gossip_cache_may_send(g, message, peer);
    if (err == TERN_ERR_RATE)
        gossip_fault(g, peer, TERN_FAULT_GOSSIP_IWANT_FLOOD);
    if (err != TERN_OK)
        return false;
    gossip_queue(g, &(struct gossip_queued){.kind = QUEUED_SEND,
                                            .peer = peer,
                                            .chunk = tern_chunk_ref(message->chunk),
                                            .priority = TERN_GOSSIP_PRIORITY_FORWARD});
    return true;
}

void gossip_on_iwant(struct tern_gossip *g, uint32_t peer, struct tern_view entry)
{
    struct tern_pb_iter it = tern_pb_iter_of(entry);
    struct tern_pb_field field;
    bool more = true;
    if (g->peers[peer].score < g->params.score_gossip_min)
        return;
    while (more && tern_pb_next(&it, &field))
        if (field.tag == TERN_PB_TAG(1, TERN_PB_BYTES))
            more = iwant_id(g, peer, field.bytes);
    if (more && tern_pb_end(&it) != TERN_OK)
        gossip_malformed(g, peer);
}

/* --- whom a message goes to --- */

static bool target_flood(const struct tern_gossip *g, const struct gossip_message *message,
                         uint32_t peer)
{
    const struct gossip_peer *p = &g->peers[peer];
    if ((message->topic->members[peer].flags & TOPIC_SUBSCRIBER) == 0)
        return false;
    if (p->score < g->params.score_publish_min)
        return false;
    return p->kind == TERN_GOSSIP_FLOODSUB ||
           (message->source == UINT32_MAX && g->params.flood_publish);
}

/* Publishing where we have not joined: a fanout of D stands for the mesh for a while. */
static void targets_fanout(struct tern_gossip *g, struct gossip_topic *topic)
{
    size_t count = topic->mesh_count < g->params.d ? mesh_candidates(g, topic, GOSSIP_ANY) : 0;
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
        if (message->view.has_from &&
            tern_view_equal(message->view.from, tern_peer_id_view(&g->peers[i].id)))
            continue;
        TERN_CHECK(g->peers[i].used);
        g->targets[count++] = i;
    }
    return count;
}
