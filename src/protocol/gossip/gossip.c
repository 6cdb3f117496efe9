#include "protocol/gossip/gossip.h"

#include "protocol/gossip/gossip_private.h"

void tern_gossip_params_defaults(struct tern_gossip_params *params)
{
    *params = (struct tern_gossip_params){
        .d = 6,
        .d_lo = 5,
        .d_hi = 12,
        .d_out = 2,
        .d_lazy = 6,
        .gossip_factor_percent = 25,
        .history_length = 5,
        .history_gossip = 3,
        .heartbeat_ns = TERN_SECOND,
        .heartbeat_initial_ns = 100 * TERN_MILLISECOND,
        .fanout_ttl_ns = TERN_MINUTE,
        .prune_backoff_ns = TERN_MINUTE,
        .unsubscribe_backoff_ns = 10 * TERN_SECOND,
        .backoff_max_ns = TERN_HOUR,
        .iwant_followup_ns = 3 * TERN_SECOND,
        .seen_ttl_ns = 2 * TERN_MINUTE,
        .ihave_length_max = 5000,
        .ihave_messages_max = 10,
        .gossip_retransmission = 3,
        .message_size_max = 1 << 20,
        .topics_max = 1024,
        .topics_per_peer_max = 256,
        .topic_size_max = 256,
        .subscriptions_per_rpc_max = 512,
        .peers_max = 1024,
        .pending_max = 4096,
        .pending_bytes_max = 64u << 20,
        .seen_max = 1 << 17,
        .cache_bytes_max = 64u << 20,
        .flood_publish = true,
        .score_gossip_min = -10,
        .score_publish_min = -50,
        .score_graylist_min = -80,
    };
}

/* --- making and freeing --- */

static tern_err gossip_init(struct tern_gossip *g, tern_time now)
{
    uint64_t key[2] = {tern_random_u64(g->random), tern_random_u64(g->random)};
    g->now = now;
    g->heartbeat_at = tern_time_add(now, g->params.heartbeat_initial_ns);
    tern_map_init(&g->topics, g->mem, key);
    tern_map_init(&g->arriving, g->mem, key);
    tern_map_init(&g->cache, g->mem, key);
    tern_list_init(&g->free_messages);
    tern_list_init(&g->unverified);
    tern_list_init(&g->cache_order);
    tern_ring_init(&g->outs, g->mem, sizeof(struct gossip_queued), GOSSIP_OUTS_MAX);
    tern_ring_init(&g->dirty, g->mem, sizeof(uint32_t), g->params.peers_max);
    size_t lists = g->params.peers_max * sizeof(uint32_t);
    g->targets = tern_mem_alloc(g->mem, lists);
    g->scratch = tern_mem_alloc(g->mem, lists);
    g->peers = tern_mem_zalloc(g->mem, g->params.peers_max * sizeof *g->peers);
    if (g->targets == NULL || g->scratch == NULL || g->peers == NULL)
        return TERN_ERR_MEMORY;
    /* All at once, so that later a queue can be full, but never without memory. */
    TERN_TRY(tern_ring_reserve(&g->outs));
    TERN_TRY(tern_ring_reserve(&g->dirty));
    return gossip_seen_init(&g->seen, g->mem, g->random, g->params.seen_max, g->params.seen_ttl_ns);
}

tern_err tern_gossip_new(const struct tern_gossip_options *options, tern_time now,
                         struct tern_gossip **out)
{
    const struct tern_gossip_params *p = &options->params;
    TERN_CHECK(p->d_lo <= p->d && p->d <= p->d_hi && p->d_hi <= GOSSIP_MESH_MAX);
    TERN_CHECK(p->peers_max >= 1 && p->history_gossip <= p->history_length);
    TERN_CHECK(p->message_size_max >= GOSSIP_MESSAGE_SIZE_MIN + p->topic_size_max);
    TERN_CHECK(options->policy == TERN_GOSSIP_STRICT_NO_SIGN || options->identity != NULL);
    struct tern_gossip *g = tern_mem_zalloc(options->mem, sizeof *g);
    if (g == NULL)
        return TERN_ERR_MEMORY;
    g->mem = options->mem;
    g->random = options->random;
    g->trace = options->trace;
    g->metrics = options->metrics;
    g->params = *p;
    g->policy = options->policy;
    g->identity = options->identity;
    g->own_id = options->own_id;
    tern_err err = gossip_init(g, now);
    if (err != TERN_OK) {
        tern_gossip_free(g);
        return err;
    }
    *out = g;
    return TERN_OK;
}

static void gossip_drop_queued(struct tern_gossip *g)
{
    struct gossip_queued queued;
    while (tern_ring_pop(&g->outs, &queued)) {
        if (queued.kind == QUEUED_SEND || queued.kind == QUEUED_ANNOUNCE)
            tern_chunk_unref(queued.chunk);
        else if (queued.kind == QUEUED_JOB)
            queued.batch->away = false;
    }
    tern_chunk_unref(g->held);
    g->held = NULL;
}

static void gossip_free_message(struct tern_gossip *g, struct gossip_message *message)
{
    if (message->state != MESSAGE_FREE)
        tern_chunk_unref(message->chunk);
    tern_mem_free(g->mem, message->askers, message->askers_capacity * sizeof *message->askers);
    tern_mem_free(g->mem, message, sizeof *message);
}

static void gossip_free_topics(struct tern_gossip *g)
{
    for (struct tern_map_entry *entry = tern_map_first(&g->topics); entry != NULL;
         entry = tern_map_first(&g->topics)) {
        struct gossip_topic *topic = TERN_CONTAINER_OF(entry, struct gossip_topic, entry);
        tern_map_remove(&g->topics, entry);
        tern_mem_free(g->mem, topic->members, topic->members_capacity * sizeof *topic->members);
        tern_mem_free(g->mem, topic, sizeof *topic + topic->name_size);
    }
}

void tern_gossip_free(struct tern_gossip *g)
{
    if (g == NULL)
        return;
    gossip_drop_queued(g);
    for (size_t i = 0; i < g->batches_made; i++) {
        TERN_CHECK(!g->batches[i].away);
        tern_verify_job_fini(&g->batches[i].verify);
    }
    for (size_t i = 0; i < g->messages_count; i++)
        gossip_free_message(g, g->messages[i]);
    tern_mem_free(g->mem, g->messages, g->messages_capacity * sizeof *g->messages);
    for (size_t i = 0; i < g->peers_count; i++)
        tern_mem_free(g->mem, g->peers[i].control, g->peers[i].control_capacity);
    tern_mem_free(g->mem, g->peers, g->peers == NULL ? 0 : g->params.peers_max * sizeof *g->peers);
    gossip_free_topics(g);
    tern_map_fini(&g->topics);
    tern_map_fini(&g->arriving);
    tern_map_fini(&g->cache);
    if (g->seen.mem != NULL)
        gossip_seen_fini(&g->seen);
    tern_ring_fini(&g->outs);
    tern_ring_fini(&g->dirty);
    tern_mem_free(g->mem, g->targets, g->params.peers_max * sizeof(uint32_t));
    tern_mem_free(g->mem, g->scratch, g->params.peers_max * sizeof(uint32_t));
    tern_mem_free(g->mem, g, sizeof *g);
}

/* --- outs --- */

bool gossip_room(const struct tern_gossip *g, size_t count)
{
    return tern_ring_count(&g->outs) + count <= GOSSIP_OUTS_MAX;
}

void gossip_count(struct tern_gossip *g, enum tern_metric metric)
{
    if (g->metrics != NULL)
        tern_metric_add(g->metrics, metric, 1);
}

static bool gossip_names_peer(enum gossip_queued_kind kind)
{
    return kind == QUEUED_SEND || kind == QUEUED_FAULT || kind == QUEUED_SUBSCRIBED ||
           kind == QUEUED_UNSUBSCRIBED;
}

/* A full queue loses the out: what matters comes again by the heartbeat. What the out owned is
 * given back. Whoever queues a message's outs made sure that there is room. */
void gossip_queue(struct tern_gossip *g, const struct gossip_queued *out)
{
    struct gossip_queued queued = *out;
    if (gossip_names_peer(queued.kind))
        queued.generation = g->peers[queued.peer].generation;
    if (tern_ring_push(&g->outs, &queued) == TERN_OK) {
        if (queued.topic != NULL)
            queued.topic->outs_count++;
        return;
    }
    TERN_CHECK(queued.message == NULL);
    gossip_count(g, TERN_METRIC_GOSSIP_OUTS_DROPPED);
    tern_chunk_unref(queued.chunk);
    if (queued.kind == QUEUED_JOB)
        queued.batch->away = false; /* it is sent with the next flush */
}

void gossip_fault(struct tern_gossip *g, uint32_t peer, tern_fault fault)
{
    gossip_queue(g, &(struct gossip_queued){.kind = QUEUED_FAULT, .peer = peer, .fault = fault});
}

static void gossip_out_send(struct tern_gossip *g, const struct gossip_queued *queued,
                            struct tern_gossip_out *out)
{
    out->kind = TERN_GOSSIP_SEND;
    out->priority = queued->priority;
    out->peers = g->targets;
    out->chunk = queued->chunk;
    out->peers_count = 1;
    g->targets[0] = queued->peer;
    g->held = queued->chunk; /* given back with the next call */
}

static bool gossip_out_announce(struct tern_gossip *g, const struct gossip_queued *queued,
                                struct tern_gossip_out *out)
{
    gossip_out_send(g, queued, out);
    out->peers_count = 0;
    for (uint32_t i = 0; i < g->peers_count; i++)
        if (g->peers[i].used)
            g->targets[out->peers_count++] = i;
    return out->peers_count > 0;
}

static bool gossip_out_forward(struct tern_gossip *g, const struct gossip_queued *queued,
                               struct tern_gossip_out *out)
{
    struct gossip_message *message = queued->message;
    TERN_CHECK(message->state == MESSAGE_ACCEPTED);
    out->kind = TERN_GOSSIP_SEND;
    out->priority = queued->priority;
    out->chunk = message->chunk;
    out->peers_count = gossip_targets(g, message);
    out->peers = g->targets;
    g->held = tern_chunk_ref(message->chunk);
    message->state = MESSAGE_DONE;
    g->pending_count--;
    g->pending_bytes -= message->view.raw.size;
    gossip_cache_put(g, message);
    return out->peers_count > 0;
}

static void gossip_out_deliver(const struct tern_gossip *g, const struct gossip_queued *queued,
                               struct tern_gossip_out *out)
{
    struct gossip_message *message = queued->message;
    bool here = gossip_peer_current(g, message->source, message->source_generation);
    out->kind = TERN_GOSSIP_DELIVER;
    out->chunk = message->chunk;
    out->peer = here ? message->source : UINT32_MAX;
    out->message = (struct tern_gossip_delivery){.topic = message->view.topic,
                                                 .data = message->view.data,
                                                 .from = message->view.from,
                                                 .seqno = message->view.seqno};
    if (queued->kind != QUEUED_VALIDATE)
        return;
    out->handle = (uint64_t)message->generation << 32 | message->slot;
    message->given = true;
}

/* Turns a queued out into one for the caller; false: it came to nothing. */
static bool gossip_out(struct tern_gossip *g, const struct gossip_queued *queued,
                       struct tern_gossip_out *out)
{
    *out = (struct tern_gossip_out){.peer = queued->peer, .fault = queued->fault};
    g->held_topic = queued->topic;
    if (gossip_names_peer(queued->kind) &&
        !gossip_peer_current(g, queued->peer, queued->generation)) {
        g->held = queued->chunk;
        return false;
    }
    switch (queued->kind) {
    case QUEUED_SEND:
        gossip_out_send(g, queued, out);
        return true;
    case QUEUED_ANNOUNCE:
        return gossip_out_announce(g, queued, out);
    case QUEUED_FORWARD:
        return gossip_out_forward(g, queued, out);
    case QUEUED_DELIVER:
    case QUEUED_VALIDATE:
        gossip_out_deliver(g, queued, out);
        return true;
    case QUEUED_JOB:
        out->kind = TERN_GOSSIP_JOB;
        out->job = &queued->batch->verify.job;
        return true;
    case QUEUED_FAULT:
        out->kind = TERN_GOSSIP_FAULT;
        return true;
    case QUEUED_SUBSCRIBED:
    case QUEUED_UNSUBSCRIBED:
        out->kind =
            queued->kind == QUEUED_SUBSCRIBED ? TERN_GOSSIP_SUBSCRIBED : TERN_GOSSIP_UNSUBSCRIBED;
        out->topic = gossip_topic_name(queued->topic);
        return true;
    }
    TERN_UNREACHABLE();
}

/* Gives back what the out given last held. */
static void gossip_let_go(struct tern_gossip *g)
{
    struct gossip_topic *topic = g->held_topic;
    tern_chunk_unref(g->held);
    g->held = NULL;
    g->held_topic = NULL;
    if (topic == NULL)
        return;
    topic->outs_count--;
    gossip_forget_topic(g, topic);
}

/* Frames what waits as control for one peer into an RPC. */
static bool gossip_flush_control(struct tern_gossip *g)
{
    uint32_t slot;
    if (!tern_ring_pop(&g->dirty, &slot))
        return false;
    struct gossip_peer *peer = &g->peers[slot];
    peer->dirty = false;
    if (peer->control_size == 0)
        return true;
    size_t rpc_size = tern_pb_bytes_size(TERN_GOSSIP_RPC_CONTROL, peer->control_size);
    size_t size = tern_uvarint_size(rpc_size) + rpc_size;
    struct tern_chunk *chunk = tern_chunk_new(g->mem, size);
    if (chunk != NULL) {
        struct tern_writer w = tern_writer_of(chunk->data, size);
        tern_writer_uvarint(&w, rpc_size);
        tern_pb_write_bytes(&w, TERN_GOSSIP_RPC_CONTROL,
                            tern_view_of(peer->control, peer->control_size));
        TERN_CHECK(tern_writer_ok(&w));
        chunk->size = (uint32_t)w.size;
        gossip_queue(g, &(struct gossip_queued){.kind = QUEUED_SEND,
                                                .peer = slot,
                                                .chunk = chunk,
                                                .priority = TERN_GOSSIP_PRIORITY_CONTROL});
    }
    tern_mem_free(g->mem, peer->control, peer->control_capacity);
    peer->control = NULL;
    peer->control_size = 0;
    peer->control_capacity = 0;
    return true;
}

bool tern_gossip_next(struct tern_gossip *g, struct tern_gossip_out *out)
{
    struct gossip_queued queued;
    gossip_let_go(g);
    for (;;) {
        while (tern_ring_pop(&g->outs, &queued)) {
            if (gossip_out(g, &queued, out))
                return true;
            gossip_let_go(g);
        }
        if (gossip_work(g))
            continue;
        gossip_verify_flush(g);
        if (tern_ring_count(&g->outs) > 0)
            continue;
        if (!gossip_flush_control(g))
            return false;
    }
}

uint8_t *gossip_control(struct tern_gossip *g, uint32_t slot, size_t size)
{
    struct gossip_peer *peer = &g->peers[slot];
    size_t needed = peer->control_size + size;
    if (needed > g->params.message_size_max - 16)
        return NULL;
    if (needed > peer->control_capacity) {
        size_t capacity = tern_max_size(needed, 2 * peer->control_capacity);
        uint8_t *grown = tern_mem_realloc(g->mem, peer->control, peer->control_capacity, capacity);
        if (grown == NULL)
            return NULL;
        peer->control = grown;
        peer->control_capacity = capacity;
    }
    if (!peer->dirty) {
        if (tern_ring_push(&g->dirty, &slot) != TERN_OK)
            return NULL;
        peer->dirty = true;
    }
    uint8_t *room = peer->control + peer->control_size;
    peer->control_size = needed;
    return room;
}

/* --- topics --- */

struct tern_view gossip_topic_name(const struct gossip_topic *topic)
{
    return tern_view_of(topic->name, topic->name_size);
}

struct gossip_topic *gossip_find_topic(const struct tern_gossip *g, struct tern_view name)
{
    struct tern_map_entry *entry = tern_map_find(&g->topics, name);
    return entry == NULL ? NULL : TERN_CONTAINER_OF(entry, struct gossip_topic, entry);
}

tern_err gossip_get_topic(struct tern_gossip *g, struct tern_view name, enum gossip_whose whose,
                          struct gossip_topic **out)
{
    size_t max = g->params.topics_max;
    if (whose == GOSSIP_THEIRS)
        max -= max / 4;
    *out = gossip_find_topic(g, name);
    if (*out != NULL)
        return TERN_OK;
    if (name.size > g->params.topic_size_max)
        return TERN_ERR_TOO_LARGE;
    if (tern_map_count(&g->topics) >= max)
        return TERN_ERR_FULL;
    struct gossip_topic *topic = tern_mem_zalloc(g->mem, sizeof *topic + name.size);
    if (topic == NULL)
        return TERN_ERR_MEMORY;
    topic->name_size = name.size;
    tern_list_init(&topic->cached);
    if (name.size > 0)
        memcpy(topic->name, name.data, name.size);
    if (tern_map_insert(&g->topics, &topic->entry, gossip_topic_name(topic)) != TERN_OK) {
        tern_mem_free(g->mem, topic, sizeof *topic + name.size);
        return TERN_ERR_MEMORY;
    }
    *out = topic;
    return TERN_OK;
}

/* Back-offs of a topic that we have not joined are of no use and are forgotten with it. */
void gossip_forget_topic(struct tern_gossip *g, struct gossip_topic *topic)
{
    if (topic->joined || topic->unannounced || topic->subscribers_count > 0 ||
        topic->messages_count > 0 || topic->outs_count > 0)
        return;
    tern_map_remove(&g->topics, &topic->entry);
    tern_mem_free(g->mem, topic->members, topic->members_capacity * sizeof *topic->members);
    tern_mem_free(g->mem, topic, sizeof *topic + topic->name_size);
}

struct topic_member *gossip_member_find(const struct gossip_topic *topic, uint32_t peer)
{
    return peer < topic->members_capacity ? &topic->members[peer] : NULL;
}

struct topic_member *gossip_member(struct tern_gossip *g, struct gossip_topic *topic, uint32_t peer)
{
    if (peer < topic->members_capacity)
        return &topic->members[peer];
    size_t capacity = topic->members_capacity == 0 ? 8 : topic->members_capacity;
    while (capacity <= peer)
        capacity *= 2;
    size_t old_size = topic->members_capacity * sizeof *topic->members;
    struct topic_member *grown =
        tern_mem_realloc(g->mem, topic->members, old_size, capacity * sizeof *grown);
    if (grown == NULL)
        return NULL;
    memset((uint8_t *)grown + old_size, 0, capacity * sizeof *grown - old_size);
    topic->members = grown;
    topic->members_capacity = capacity;
    return &grown[peer];
}

/* --- peers --- */

bool gossip_peer_current(const struct tern_gossip *g, uint32_t peer, uint32_t generation)
{
    return peer < g->peers_count && g->peers[peer].used && g->peers[peer].generation == generation;
}

/* Encodes an RPC of subscriptions: to one topic, or to all that we have joined. */
static struct tern_chunk *gossip_subscriptions(struct tern_gossip *g, bool subscribe,
                                               const struct gossip_topic *only)
{
    size_t size = 0;
    TERN_MAP_FOREACH (entry, &g->topics) {
        const struct gossip_topic *topic = TERN_CONTAINER_OF(entry, struct gossip_topic, entry);
        if (only == NULL ? topic->joined : topic == only)
            size += topic->name_size + 16;
    }
    struct tern_chunk *chunk = tern_chunk_new(g->mem, size + 8);
    if (chunk == NULL)
        return NULL;
    /* The RPC first, behind room for its length, which is then put in front. */
    struct tern_writer w = tern_writer_of(chunk->data + 4, size);
    TERN_MAP_FOREACH (entry, &g->topics) {
        const struct gossip_topic *topic = TERN_CONTAINER_OF(entry, struct gossip_topic, entry);
        if (only == NULL ? topic->joined : topic == only)
            tern_gossip_write_subscription(&w, subscribe, gossip_topic_name(topic));
    }
    TERN_CHECK(tern_writer_ok(&w));
    struct tern_writer head = tern_writer_of(chunk->data, 4);
    tern_writer_uvarint(&head, w.size);
    TERN_CHECK(tern_writer_ok(&head));
    memmove(chunk->data + head.size, chunk->data + 4, w.size);
    chunk->size = (uint32_t)(head.size + w.size);
    return chunk;
}

tern_err tern_gossip_peer_up(struct tern_gossip *g, tern_time now,
                             const struct tern_gossip_peer_options *options, uint32_t *out)
{
    size_t slot = 0;
    g->now = now;
    while (slot < g->peers_count && g->peers[slot].used)
        slot++;
    if (slot == g->params.peers_max)
        return TERN_ERR_FULL;
    struct tern_chunk *hello = gossip_subscriptions(g, true, NULL);
    if (hello == NULL)
        return TERN_ERR_MEMORY;
    if (slot == g->peers_count)
        g->peers_count++;
    struct gossip_peer *peer = &g->peers[slot];
    uint32_t generation = peer->generation + 1;
    *peer = (struct gossip_peer){.used = true,
                                 .outbound = options->outbound,
                                 .kind = options->kind,
                                 .id = options->id,
                                 .generation = generation};
    *out = (uint32_t)slot;
    gossip_backoffs_restore(g, *out);
    if (hello->size > 1)
        gossip_queue(g, &(struct gossip_queued){.kind = QUEUED_SEND,
                                                .peer = *out,
                                                .chunk = hello,
                                                .priority = TERN_GOSSIP_PRIORITY_CONTROL});
    else
        tern_chunk_unref(hello);
    return TERN_OK;
}

static void gossip_peer_leave(struct tern_gossip *g, struct gossip_topic *topic, uint32_t slot)
{
    struct topic_member *member = gossip_member_find(topic, slot);
    if (member == NULL)
        return;
    gossip_backoffs_keep(g, slot, topic, member->backoff_until);
    if ((member->flags & TOPIC_SUBSCRIBER) != 0)
        topic->subscribers_count--;
    gossip_mesh_remove(topic, slot);
    *member = (struct topic_member){0};
    gossip_forget_topic(g, topic);
}

void tern_gossip_peer_down(struct tern_gossip *g, tern_time now, uint32_t slot)
{
    TERN_CHECK(slot < g->peers_count && g->peers[slot].used);
    struct gossip_peer *peer = &g->peers[slot];
    g->now = now;
    for (struct tern_map_entry *entry = tern_map_first(&g->topics), *after; entry != NULL;
         entry = after) {
        after = tern_map_next(&g->topics, entry);
        gossip_peer_leave(g, TERN_CONTAINER_OF(entry, struct gossip_topic, entry), slot);
    }
    tern_mem_free(g->mem, peer->control, peer->control_capacity);
    peer->control = NULL;
    peer->control_size = 0;
    peer->control_capacity = 0;
    peer->used = false;
    if (g->input.active && g->input.peer == slot)
        g->input.active = false;
}

void tern_gossip_set_score(struct tern_gossip *g, uint32_t peer, int32_t score)
{
    TERN_CHECK(peer < g->peers_count && g->peers[peer].used);
    g->peers[peer].score = score;
}

/* --- subscribing and publishing --- */

void gossip_announce(struct tern_gossip *g, struct gossip_topic *topic)
{
    struct tern_chunk *chunk =
        gossip_room(g, 1) ? gossip_subscriptions(g, topic->joined, topic) : NULL;
    topic->unannounced = chunk == NULL;
    if (chunk != NULL)
        gossip_queue(g, &(struct gossip_queued){.kind = QUEUED_ANNOUNCE,
                                                .chunk = chunk,
                                                .priority = TERN_GOSSIP_PRIORITY_CONTROL});
}

tern_err tern_gossip_subscribe(struct tern_gossip *g, tern_time now, struct tern_view name,
                               unsigned flags)
{
    struct gossip_topic *topic;
    g->now = now;
    TERN_TRY(gossip_get_topic(g, name, GOSSIP_OURS, &topic));
    if (topic->joined)
        return TERN_ERR_EXISTS;
    topic->joined = true;
    topic->validate = (flags & TERN_GOSSIP_SUBSCRIBE_VALIDATE) != 0;
    gossip_announce(g, topic);
    gossip_join(g, topic);
    return TERN_OK;
}

void tern_gossip_unsubscribe(struct tern_gossip *g, tern_time now, struct tern_view name)
{
    g->now = now;
    struct gossip_topic *topic = gossip_find_topic(g, name);
    if (topic == NULL || !topic->joined)
        return;
    topic->joined = false;
    gossip_announce(g, topic);
    gossip_leave(g, topic);
    gossip_forget_topic(g, topic);
}

/* Encodes a message of ours; with STRICT_SIGN its signature comes last. */
static tern_err gossip_encode_own(struct tern_gossip *g, struct tern_view topic,
                                  struct tern_view data, struct tern_writer *out)
{
    uint8_t seqno[GOSSIP_SEQNO_SIZE];
    uint8_t signature[TERN_SIGNATURE_SIZE_MAX];
    if (g->policy == TERN_GOSSIP_STRICT_NO_SIGN) {
        tern_pb_write_bytes(out, 2, data);
        tern_pb_write_bytes(out, 4, topic);
        return tern_writer_ok(out) ? TERN_OK : TERN_ERR_TOO_LARGE;
    }
    struct tern_writer w = tern_writer_of(seqno, sizeof seqno);
    tern_writer_u64be(&w, g->seqno);
    /* The prefix and the fields lie behind each other, so that they are signed in one piece; the
     * prefix is cut off afterwards. */
    size_t start = out->size;
    struct tern_view prefix = tern_view_str("libp2p-pubsub:");
    tern_writer_bytes(out, prefix);
    tern_pb_write_bytes(out, 1, tern_peer_id_view(&g->own_id));
    tern_pb_write_bytes(out, 2, data);
    tern_pb_write_bytes(out, 3, tern_view_of(seqno, sizeof seqno));
    tern_pb_write_bytes(out, 4, topic);
    struct tern_writer sig = tern_writer_of(signature, sizeof signature);
    if (!tern_writer_ok(out))
        return TERN_ERR_TOO_LARGE;
    TERN_TRY(tern_private_key_sign(g->identity, tern_view_of(out->data + start, out->size - start),
                                   &sig));
    memmove(out->data + start, out->data + start + prefix.size, out->size - start - prefix.size);
    out->size -= prefix.size;
    tern_pb_write_bytes(out, 5, tern_writer_view(&sig));
    struct tern_view inlined;
    if (!tern_peer_id_key(&g->own_id, &inlined)) {
        uint8_t key[TERN_PUBLIC_KEY_SIZE_MAX];
        struct tern_writer k = tern_writer_of(key, sizeof key);
        tern_public_key_encode(&g->identity->public_key, &k);
        tern_pb_write_bytes(out, 6, tern_writer_view(&k));
    }
    return tern_writer_ok(out) ? TERN_OK : TERN_ERR_TOO_LARGE;
}

static tern_err gossip_publish_encoded(struct tern_gossip *g, struct gossip_topic *topic,
                                       struct tern_view raw)
{
    struct tern_gossip_message_view view;
    uint8_t id_bytes[GOSSIP_ID_SIZE_MAX];
    tern_err err = tern_gossip_message_decode(raw, &view);
    TERN_CHECK(err == TERN_OK);
    struct tern_view id = gossip_message_id(g, &view, id_bytes);
    uint64_t hash = gossip_message_hash(g, topic, id);
    if (gossip_seen_has(&g->seen, hash))
        return TERN_ERR_EXISTS;
    struct gossip_message *message = gossip_message_new(g, topic, &view, id, hash);
    if (message == NULL)
        return TERN_ERR_FULL;
    (void)gossip_seen_add(&g->seen, g->now, hash);
    message->source = UINT32_MAX;
    message->state = MESSAGE_ACCEPTED;
    gossip_queue(g, &(struct gossip_queued){.kind = QUEUED_FORWARD,
                                            .message = message,
                                            .priority = TERN_GOSSIP_PRIORITY_OWN});
    return TERN_OK;
}

tern_err tern_gossip_publish(struct tern_gossip *g, tern_time now, tern_wall_time wall,
                             struct tern_view name, struct tern_view data)
{
    struct gossip_topic *topic;
    g->now = now;
    if (name.size > g->params.topic_size_max ||
        data.size > g->params.message_size_max - name.size - GOSSIP_MESSAGE_SIZE_MIN)
        return TERN_ERR_TOO_LARGE;
    if (!gossip_room(g, 1))
        return TERN_ERR_FULL;
    TERN_TRY(gossip_get_topic(g, name, GOSSIP_OURS, &topic));
    g->seqno = wall > g->seqno ? wall : g->seqno + 1;
    size_t size = data.size + name.size + GOSSIP_MESSAGE_SIZE_MIN;
    uint8_t *buffer = tern_mem_alloc(g->mem, size);
    tern_err err = TERN_ERR_MEMORY;
    if (buffer != NULL) {
        struct tern_writer w = tern_writer_of(buffer, size);
        err = gossip_encode_own(g, name, data, &w);
        if (err == TERN_OK)
            err = gossip_publish_encoded(g, topic, tern_writer_view(&w));
    }
    tern_mem_free(g->mem, buffer, size);
    if (err != TERN_OK)
        gossip_forget_topic(g, topic);
    return err;
}

/* --- time, and what is known --- */

tern_time tern_gossip_deadline(const struct tern_gossip *g)
{
    return g->heartbeat_at;
}

void tern_gossip_tick(struct tern_gossip *g, tern_time now)
{
    g->now = now;
    if (now < g->heartbeat_at)
        return;
    g->heartbeat_at = tern_time_add(now, g->params.heartbeat_ns);
    gossip_heartbeat(g);
}

size_t tern_gossip_topic_peers(const struct tern_gossip *g, struct tern_view name, uint32_t *peers,
                               size_t max)
{
    const struct gossip_topic *topic = gossip_find_topic(g, name);
    size_t count = 0;
    for (uint32_t i = 0; topic != NULL && i < topic->members_capacity && count < max; i++)
        if ((topic->members[i].flags & TOPIC_SUBSCRIBER) != 0)
            peers[count++] = i;
    return count;
}

size_t tern_gossip_mesh_peers(const struct tern_gossip *g, struct tern_view name, uint32_t *peers,
                              size_t max)
{
    const struct gossip_topic *topic = gossip_find_topic(g, name);
    size_t count = topic == NULL || !topic->joined ? 0 : tern_min_size(topic->mesh_count, max);
    if (count > 0)
        memcpy(peers, topic->mesh, count * sizeof *peers);
    return count;
}

void tern_gossip_mesh_marks(const struct tern_gossip *g, bool *marks, size_t count)
{
    TERN_MAP_FOREACH (entry, &g->topics) {
        const struct gossip_topic *topic = TERN_CONTAINER_OF(entry, struct gossip_topic, entry);
        for (size_t i = 0; topic->joined && i < topic->mesh_count; i++)
            if (topic->mesh[i] < count)
                marks[topic->mesh[i]] = true;
    }
}
