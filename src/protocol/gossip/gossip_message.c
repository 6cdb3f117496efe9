/*
 * A message from its arrival to its forwarding.
 *
 *   FREE ─ arrived ─► VERIFYING ─ signature good ─► DELIVERED ─ accept ─► ACCEPTED ─ forwarded ─►
 *                         │                             │                 DONE (cached) ─► FREE
 *                         └─ bad, or seen: FREE         └─ ignore, reject, topic left: FREE
 *
 * An id counts as seen once its signature was found good, not before: else whoever is quicker could
 * send a forgery under the id of a message and have the message itself taken for a duplicate. While
 * a message is under verification, copies that are equal byte by byte are duplicates; a copy that
 * differs is verified for itself.
 */
#include "crypto/sha256.h"
#include "protocol/gossip/gossip_private.h"

enum { MESSAGE_VERIFY_EXTRA = 4096 }; /* what a batch needs beside the largest message */

/* --- slots --- */

static struct gossip_message *message_slot(struct tern_gossip *g)
{
    struct tern_list *node = tern_list_pop_front(&g->free_messages);
    if (node != NULL)
        return TERN_LIST_ENTRY(node, struct gossip_message, link);
    if (g->messages_count == g->messages_capacity) {
        size_t capacity = g->messages_capacity == 0 ? 64 : 2 * g->messages_capacity;
        struct gossip_message **grown = tern_mem_realloc(
            g->mem, g->messages, g->messages_capacity * sizeof *grown, capacity * sizeof *grown);
        if (grown == NULL)
            return NULL;
        g->messages = grown;
        g->messages_capacity = capacity;
    }
    struct gossip_message *message = tern_mem_zalloc(g->mem, sizeof *message);
    if (message == NULL)
        return NULL;
    message->slot = (uint32_t)g->messages_count;
    tern_list_init(&message->link);
    tern_list_init(&message->topic_link);
    g->messages[g->messages_count++] = message;
    return message;
}

struct tern_view gossip_message_id(const struct tern_gossip *g,
                                   const struct tern_gossip_message_view *view,
                                   uint8_t id[GOSSIP_ID_SIZE_MAX])
{
    if (g->policy == TERN_GOSSIP_STRICT_NO_SIGN) {
        tern_sha256(view->data, id);
        return tern_view_of(id, TERN_SHA256_SIZE);
    }
    TERN_CHECK(view->from.size <= TERN_PEER_ID_SIZE_MAX && view->seqno.size == GOSSIP_SEQNO_SIZE);
    memcpy(id, view->from.data, view->from.size);
    memcpy(id + view->from.size, view->seqno.data, view->seqno.size);
    return tern_view_of(id, view->from.size + view->seqno.size);
}

/* Both hashes are keyed, so nobody can choose two that meet. With the topic inside, the same data
 * sent on another topic does not hide a message. */
uint64_t gossip_message_hash(const struct tern_gossip *g, const struct gossip_topic *topic,
                             struct tern_view id)
{
    uint64_t hash = gossip_seen_hash(&g->seen, id) ^ topic->entry.hash;
    return hash == 0 ? 1 : hash;
}

/* Frames a Message as a whole RPC of one publish field. */
static struct tern_chunk *message_frame(struct tern_gossip *g, struct tern_view raw, size_t *offset)
{
    size_t rpc_size = tern_pb_bytes_size(TERN_GOSSIP_RPC_PUBLISH, raw.size);
    size_t size = tern_uvarint_size(rpc_size) + rpc_size;
    struct tern_chunk *chunk = tern_chunk_new(g->mem, size);
    if (chunk == NULL)
        return NULL;
    struct tern_writer w = tern_writer_of(chunk->data, size);
    tern_writer_uvarint(&w, rpc_size);
    tern_pb_write_bytes(&w, TERN_GOSSIP_RPC_PUBLISH, raw);
    TERN_CHECK(tern_writer_ok(&w) && w.size == size);
    chunk->size = (uint32_t)size;
    *offset = size - raw.size;
    return chunk;
}

/* A view of the same bytes in a copy of what it points into. */
static struct tern_view message_moved(struct tern_view part, struct tern_view from,
                                      const uint8_t *to)
{
    return part.data == NULL ? part : tern_view_of(to + (part.data - from.data), part.size);
}

static void message_move(struct tern_gossip_message_view *view, const uint8_t *to)
{
    struct tern_view raw = view->raw;
    struct tern_view *parts[] = {&view->from,      &view->data, &view->seqno,      &view->topic,
                                 &view->signature, &view->key,  &view->signed_part};
    for (size_t i = 0; i < TERN_COUNT_OF(parts); i++)
        *parts[i] = message_moved(*parts[i], raw, to);
    view->raw = tern_view_of(to, raw.size);
}

struct gossip_message *gossip_message_new(struct tern_gossip *g, struct gossip_topic *topic,
                                          const struct tern_gossip_message_view *view,
                                          struct tern_view id, uint64_t hash)
{
    size_t offset;
    TERN_CHECK(id.size <= GOSSIP_ID_SIZE_MAX);
    if (g->pending_count >= g->params.pending_max ||
        g->pending_bytes + view->raw.size > g->params.pending_bytes_max)
        return NULL;
    struct gossip_message *message = message_slot(g);
    if (message == NULL)
        return NULL;
    message->chunk = message_frame(g, view->raw, &offset);
    if (message->chunk == NULL) {
        tern_list_push_front(&g->free_messages, &message->link);
        return NULL;
    }
    message->view = *view;
    message_move(&message->view, message->chunk->data + offset);
    message->topic = topic;
    message->state = MESSAGE_VERIFYING;
    message->given = false;
    message->generation++;
    topic->messages_count++;
    g->pending_count++;
    g->pending_bytes += view->raw.size;
    message->id_size = (uint8_t)id.size;
    memcpy(message->id, id.data, id.size);
    message->hash = hash;
    return message;
}

/* Not among those that arrive any more. */
static void message_settled(struct tern_gossip *g, struct gossip_message *message)
{
    if (!message->arriving)
        return;
    tern_map_remove(&g->arriving, &message->entry);
    message->arriving = false;
}

void gossip_message_release(struct tern_gossip *g, struct gossip_message *message)
{
    struct gossip_topic *topic = message->topic;
    TERN_CHECK(message->state != MESSAGE_FREE && !message->cached);
    message_settled(g, message);
    if (message->state != MESSAGE_DONE) {
        g->pending_count--;
        g->pending_bytes -= message->view.raw.size;
    }
    message->state = MESSAGE_FREE;
    message->topic = NULL;
    tern_chunk_unref(message->chunk);
    message->chunk = NULL;
    tern_mem_free(g->mem, message->askers, message->askers_capacity * sizeof *message->askers);
    message->askers = NULL;
    message->askers_count = 0;
    message->askers_capacity = 0;
    tern_list_remove(&message->link);
    tern_list_push_front(&g->free_messages, &message->link);
    topic->messages_count--;
    gossip_forget_topic(g, topic);
}

/* --- arrival --- */

/* Does the message have what the policy wants, and nothing it forbids? */
static tern_fault message_policy_fault(const struct tern_gossip *g,
                                       const struct tern_gossip_message_view *view)
{
    struct tern_peer_id author;
    if (g->policy == TERN_GOSSIP_STRICT_NO_SIGN)
        return view->has_from || view->has_seqno || view->has_signature || view->has_key
                   ? TERN_FAULT_GOSSIP_SIGNED_UNWANTED
                   : TERN_FAULT_NONE;
    if (!view->has_from || !view->has_seqno || !view->has_signature)
        return TERN_FAULT_GOSSIP_UNSIGNED;
    if (view->seqno.size != GOSSIP_SEQNO_SIZE ||
        tern_peer_id_decode(view->from, &author) != TERN_OK)
        return TERN_FAULT_GOSSIP_MESSAGE_MALFORMED;
    return TERN_FAULT_NONE;
}

/* The encoded key a message is signed with: inside the author's id, or beside it and matching. The
 * view is into the message. */
static tern_fault message_key(const struct tern_gossip_message_view *view, struct tern_view *key)
{
    uint8_t digest[TERN_SHA256_SIZE];
    struct tern_peer_id author;
    struct tern_peer_id derived;
    struct tern_view inlined;
    if (tern_peer_id_decode(view->from, &author) != TERN_OK)
        return TERN_FAULT_GOSSIP_MESSAGE_MALFORMED;
    if (tern_peer_id_key(&author, &inlined)) {
        /* The id's bytes are those of the message, from the first to the last. */
        TERN_CHECK(author.size == view->from.size);
        *key = tern_view_of(view->from.data + (inlined.data - author.bytes), inlined.size);
        if (view->has_key && view->key.size > 0 && !tern_view_equal(view->key, *key))
            return TERN_FAULT_GOSSIP_KEY_MISMATCH;
        return TERN_FAULT_NONE;
    }
    *key = view->key;
    tern_sha256(view->key, digest);
    tern_peer_id_of_sha256(digest, &derived);
    return tern_peer_id_equal(&author, &derived) ? TERN_FAULT_NONE : TERN_FAULT_GOSSIP_KEY_MISMATCH;
}

/* --- verification in batches --- */

static struct gossip_batch *verify_open_batch(struct tern_gossip *g)
{
    for (size_t i = 0; i < g->batches_made; i++)
        if (!g->batches[i].away)
            return &g->batches[i];
    if (g->batches_made == GOSSIP_BATCHES)
        return NULL;
    struct gossip_batch *batch = &g->batches[g->batches_made];
    size_t bytes = tern_max_size(GOSSIP_BATCH_BYTES,
                                 (size_t)g->params.message_size_max + MESSAGE_VERIFY_EXTRA);
    if (tern_verify_job_init(&batch->verify, g->mem, GOSSIP_BATCH_ITEMS, bytes) != TERN_OK)
        return NULL;
    batch->count = 0;
    g->batches_made++;
    return batch;
}

static void verify_send(struct tern_gossip *g, struct gossip_batch *batch)
{
    batch->away = true;
    gossip_queue(g, &(struct gossip_queued){.kind = QUEUED_JOB, .batch = batch});
}

/* Adds to a batch. TERN_ERR_FULL: no batch has room now. */
static tern_err verify_add_to(struct gossip_batch *batch, struct gossip_message *message,
                              const struct tern_verify_item *item)
{
    size_t index;
    if (batch->count == GOSSIP_BATCH_ITEMS)
        return TERN_ERR_FULL;
    TERN_TRY(tern_verify_job_add(&batch->verify, item, &index));
    TERN_CHECK(index == batch->count);
    batch->messages[batch->count++] = message;
    return TERN_OK;
}

/* Describes a message's signature. Views point into the message's chunk, or into scratch when the
 * fields came in an unusual order and are written anew. */
static void verify_item(const struct gossip_message *message, struct tern_writer *scratch,
                        struct tern_verify_item *item)
{
    tern_fault fault = message_key(&message->view, &item->public_key);
    TERN_CHECK(fault == TERN_FAULT_NONE);
    item->signature = message->view.signature;
    item->parts[0] = tern_view_str("libp2p-pubsub:");
    item->parts[1] = message->view.signed_part;
    item->parts_count = 2;
    if (message->view.signed_part.size > 0)
        return;
    tern_gossip_message_signed(&message->view, scratch);
    TERN_CHECK(tern_writer_ok(scratch));
    item->parts[1] = tern_writer_view(scratch);
}

static tern_err verify_add(struct tern_gossip *g, struct gossip_message *message)
{
    struct tern_verify_item item = {0};
    struct gossip_batch *batch = verify_open_batch(g);
    if (batch == NULL)
        return TERN_ERR_FULL;
    size_t size = message->view.raw.size + 64;
    uint8_t *bytes = NULL;
    struct tern_writer scratch = {0};
    if (message->view.signed_part.size == 0) {
        bytes = tern_mem_alloc(g->mem, size);
        if (bytes == NULL)
            return TERN_ERR_MEMORY;
        scratch = tern_writer_of(bytes, size);
    }
    verify_item(message, &scratch, &item);
    tern_err err = verify_add_to(batch, message, &item);
    if (err == TERN_ERR_FULL) {
        verify_send(g, batch);
        batch = verify_open_batch(g);
        if (batch != NULL)
            err = verify_add_to(batch, message, &item);
    }
    tern_mem_free(g->mem, bytes, size);
    return err;
}

/* Fills batches with what waits, and sends them; with all batches away the rest waits for one to
 * come back. A message that cannot be added for another reason is dropped. */
void gossip_verify_flush(struct tern_gossip *g)
{
    while (!tern_list_empty(&g->unverified)) {
        struct gossip_message *message =
            TERN_LIST_ENTRY(tern_list_front(&g->unverified), struct gossip_message, link);
        tern_err err = verify_add(g, message);
        if (err == TERN_ERR_FULL)
            break;
        tern_list_remove(&message->link);
        if (err != TERN_OK)
            gossip_message_release(g, message);
    }
    for (size_t i = 0; i < g->batches_made; i++)
        if (!g->batches[i].away && g->batches[i].count > 0)
            verify_send(g, &g->batches[i]);
}

/* --- to the application --- */

void gossip_message_accept(struct tern_gossip *g, struct gossip_message *message)
{
    TERN_CHECK(message->state == MESSAGE_DELIVERED);
    if (!message->topic->joined || !gossip_room(g, 1)) { /* the topic was left meanwhile */
        gossip_message_release(g, message);
        return;
    }
    message->state = MESSAGE_ACCEPTED;
    gossip_queue(g, &(struct gossip_queued){.kind = QUEUED_FORWARD,
                                            .message = message,
                                            .priority = TERN_GOSSIP_PRIORITY_FORWARD});
}

/* There is room for both outs of a message, or for none. */
static void message_deliver(struct tern_gossip *g, struct gossip_message *message)
{
    if (!message->topic->joined || !gossip_room(g, 2)) {
        if (message->topic->joined)
            gossip_count(g, TERN_METRIC_GOSSIP_OUTS_DROPPED);
        gossip_message_release(g, message);
        return;
    }
    bool validate = message->topic->validate;
    message->state = MESSAGE_DELIVERED;
    message->given = false;
    gossip_queue(g, &(struct gossip_queued){.kind = validate ? QUEUED_VALIDATE : QUEUED_DELIVER,
                                            .message = message});
    if (!validate)
        gossip_message_accept(g, message);
}

static void message_verified(struct tern_gossip *g, struct gossip_message *message,
                             tern_err verdict)
{
    message_settled(g, message);
    if (verdict != TERN_OK) {
        if (gossip_peer_current(g, message->source, message->source_generation))
            gossip_fault(g, message->source, TERN_FAULT_GOSSIP_BAD_SIGNATURE);
        gossip_message_release(g, message);
        return;
    }
    if (!gossip_seen_add(&g->seen, g->now, message->hash)) {
        gossip_count(g, TERN_METRIC_GOSSIP_DUPLICATES);
        gossip_message_release(g, message);
        return;
    }
    message_deliver(g, message);
}

void tern_gossip_job_done(struct tern_gossip *g, tern_time now, struct tern_job *job)
{
    g->now = now;
    for (size_t i = 0; i < g->batches_made; i++) {
        struct gossip_batch *batch = &g->batches[i];
        if (&batch->verify.job != job)
            continue;
        TERN_CHECK(batch->away);
        batch->away = false;
        for (size_t k = 0; k < batch->count; k++)
            message_verified(g, batch->messages[k], tern_verify_job_verdict(&batch->verify, k));
        tern_verify_job_reset(&batch->verify);
        batch->count = 0;
        return;
    }
    TERN_UNREACHABLE();
}

/* --- arrival, continued --- */

/* Is the message here already: seen, or under verification with the same bytes? */
static bool message_known(const struct tern_gossip *g, uint64_t hash, struct tern_view id,
                          struct tern_view raw)
{
    if (gossip_seen_has(&g->seen, hash))
        return true;
    struct tern_map_entry *entry = tern_map_find(&g->arriving, id);
    return entry != NULL &&
           tern_view_equal(TERN_CONTAINER_OF(entry, struct gossip_message, entry)->view.raw, raw);
}

static void message_enter(struct tern_gossip *g, uint32_t peer, struct gossip_message *message)
{
    struct tern_view id = tern_view_of(message->id, message->id_size);
    message->source = peer;
    message->source_generation = g->peers[peer].generation;
    if (g->policy == TERN_GOSSIP_STRICT_NO_SIGN) {
        (void)gossip_seen_add(&g->seen, g->now, message->hash);
        message_deliver(g, message);
        return;
    }
    /* Without memory for the map copies are verified once more, and found out then. */
    message->arriving = tern_map_find(&g->arriving, id) == NULL &&
                        tern_map_insert(&g->arriving, &message->entry, id) == TERN_OK;
    tern_list_push_back(&g->unverified, &message->link);
}

void gossip_message_arrived(struct tern_gossip *g, uint32_t peer, struct tern_view raw)
{
    struct tern_gossip_message_view view;
    struct tern_view key;
    uint8_t id_bytes[GOSSIP_ID_SIZE_MAX];
    if (tern_gossip_message_decode(raw, &view) != TERN_OK || !view.has_topic) {
        gossip_fault(g, peer, TERN_FAULT_GOSSIP_MESSAGE_MALFORMED);
        return;
    }
    struct gossip_topic *topic = gossip_find_topic(g, view.topic);
    if (topic == NULL || !topic->joined)
        return; /* not ours to relay; it may have been sent before the peer knew */
    tern_fault fault = message_policy_fault(g, &view);
    if (fault != TERN_FAULT_NONE) {
        gossip_fault(g, peer, fault);
        return;
    }
    struct tern_view id = gossip_message_id(g, &view, id_bytes);
    uint64_t hash = gossip_message_hash(g, topic, id);
    bool own = view.has_from && tern_view_equal(view.from, tern_peer_id_view(&g->own_id));
    if (own || message_known(g, hash, id, raw)) {
        gossip_count(g, TERN_METRIC_GOSSIP_DUPLICATES);
        return;
    }
    if (g->policy == TERN_GOSSIP_STRICT_SIGN)
        fault = message_key(&view, &key);
    if (fault != TERN_FAULT_NONE) {
        gossip_fault(g, peer, fault);
        return;
    }
    gossip_fulfil(g, hash);
    struct gossip_message *message = gossip_message_new(g, topic, &view, id, hash);
    if (message == NULL)
        gossip_count(g, TERN_METRIC_GOSSIP_BACKLOG_DROPPED);
    else
        message_enter(g, peer, message);
}

/* --- verdicts --- */

void tern_gossip_verdict(struct tern_gossip *g, tern_time now, tern_gossip_handle handle,
                         enum tern_gossip_verdict verdict)
{
    uint32_t slot = (uint32_t)handle;
    g->now = now;
    if (slot >= g->messages_count)
        return;
    struct gossip_message *message = g->messages[slot];
    if (message->generation != handle >> 32 || message->state != MESSAGE_DELIVERED ||
        !message->given)
        return;
    if (verdict == TERN_GOSSIP_ACCEPT) {
        gossip_message_accept(g, message);
        return;
    }
    if (verdict == TERN_GOSSIP_REJECT &&
        gossip_peer_current(g, message->source, message->source_generation))
        gossip_fault(g, message->source, TERN_FAULT_GOSSIP_REJECTED);
    gossip_message_release(g, message);
}
