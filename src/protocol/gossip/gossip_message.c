/*
 * A message from its arrival to its forwarding.
 *
 *   FREE ─ arrived ─► VERIFYING ─ signature good ─► DELIVERED ─ accept ─► DONE (in the cache) ─►
 * FREE └─ bad: fault, FREE            └─ ignore, reject: FREE
 */
#include "crypto/sha256.h"
#include "protocol/gossip/gossip_private.h"

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
    g->messages[g->messages_count++] = message;
    return message;
}

/* Writes the message's id: the SHA-256 of its data, or author and sequence number. */
static uint8_t message_id(const struct tern_gossip *g, const struct tern_gossip_message_view *view,
                          uint8_t id[GOSSIP_ID_SIZE_MAX])
{
    if (g->policy == TERN_GOSSIP_STRICT_NO_SIGN) {
        tern_sha256(view->data, id);
        return TERN_SHA256_SIZE;
    }
    TERN_CHECK(view->from.size <= TERN_PEER_ID_SIZE_MAX && view->seqno.size == GOSSIP_SEQNO_SIZE);
    memcpy(id, view->from.data, view->from.size);
    memcpy(id + view->from.size, view->seqno.data, view->seqno.size);
    return (uint8_t)(view->from.size + view->seqno.size);
}

static bool message_seen(const struct tern_gossip *g, const struct tern_gossip_message_view *view)
{
    uint8_t id[GOSSIP_ID_SIZE_MAX];
    uint8_t size = message_id(g, view, id);
    return gossip_seen_has(&g->seen, gossip_seen_hash(&g->seen, tern_view_of(id, size)));
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

struct gossip_message *gossip_message_new(struct tern_gossip *g, struct gossip_topic *topic,
                                          struct tern_view raw)
{
    struct tern_gossip_message_view view;
    size_t offset;
    if (g->pending_count >= g->params.pending_max)
        return NULL;
    struct gossip_message *message = message_slot(g);
    if (message == NULL)
        return NULL;
    message->chunk = message_frame(g, raw, &offset);
    if (message->chunk == NULL) {
        tern_list_push_front(&g->free_messages, &message->link);
        return NULL;
    }
    /* The views are taken again, now inside the chunk that stays. */
    tern_err err =
        tern_gossip_message_decode(tern_view_of(message->chunk->data + offset, raw.size), &view);
    TERN_CHECK(err == TERN_OK);
    message->raw = view.raw;
    message->usual_order = view.signed_part.size > 0;
    message->data = view.data;
    message->from = view.from;
    message->seqno = view.seqno;
    message->topic = topic;
    message->state = MESSAGE_VERIFYING;
    message->generation++;
    topic->messages_count++;
    g->pending_count++;
    message->id_size = message_id(g, &view, message->id);
    message->hash = gossip_seen_hash(&g->seen, tern_view_of(message->id, message->id_size));
    return message;
}

void gossip_message_release(struct tern_gossip *g, struct gossip_message *message)
{
    struct gossip_topic *topic = message->topic;
    TERN_CHECK(message->state != MESSAGE_FREE && !message->cached);
    if (message->state != MESSAGE_DONE)
        g->pending_count--;
    message->state = MESSAGE_FREE;
    message->topic = NULL;
    tern_chunk_unref(message->chunk);
    message->chunk = NULL;
    tern_mem_free(g->mem, message->sent_counts, message->sent_capacity);
    message->sent_counts = NULL;
    message->sent_capacity = 0;
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
    if (!view->has_topic)
        return TERN_FAULT_GOSSIP_MESSAGE_MALFORMED;
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

/* The encoded key a message is signed with: inside the author's id, or beside it and matching. */
static tern_fault message_key(const struct tern_gossip_message_view *view,
                              struct tern_peer_id *author, struct tern_view *key)
{
    uint8_t digest[TERN_SHA256_SIZE];
    struct tern_peer_id derived;
    if (tern_peer_id_decode(view->from, author) != TERN_OK)
        return TERN_FAULT_GOSSIP_MESSAGE_MALFORMED;
    if (tern_peer_id_key(author, key)) {
        if (view->has_key && view->key.size > 0 && !tern_view_equal(view->key, *key))
            return TERN_FAULT_GOSSIP_KEY_MISMATCH;
        return TERN_FAULT_NONE;
    }
    tern_sha256(view->key, digest);
    tern_peer_id_of_sha256(digest, &derived);
    *key = view->key;
    return tern_peer_id_equal(author, &derived) ? TERN_FAULT_NONE : TERN_FAULT_GOSSIP_KEY_MISMATCH;
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
    size_t bytes = tern_max_size(GOSSIP_BATCH_BYTES, 2 * (size_t)g->params.message_size_max);
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
    struct tern_gossip_message_view view;
    struct tern_peer_id author;
    tern_err err = tern_gossip_message_decode(message->raw, &view);
    TERN_CHECK(err == TERN_OK);
    tern_fault fault = message_key(&view, &author, &item->public_key);
    TERN_CHECK(fault == TERN_FAULT_NONE);
    /* message_key may view the key inside the copied id; the same bytes stand in the message. */
    if (!view.has_key || view.key.size == 0)
        item->public_key = tern_view_of(view.from.data + (item->public_key.data - author.bytes),
                                        item->public_key.size);
    item->signature = view.signature;
    item->parts[0] = tern_view_str("libp2p-pubsub:");
    item->parts[1] = view.signed_part;
    item->parts_count = 2;
    if (view.signed_part.size == 0) {
        tern_gossip_message_signed(&view, scratch);
        item->parts[1] = tern_writer_view(scratch);
    }
}

static tern_err verify_add(struct tern_gossip *g, struct gossip_message *message)
{
    struct tern_verify_item item = {0};
    struct gossip_batch *batch = verify_open_batch(g);
    if (batch == NULL)
        return TERN_ERR_FULL;
    size_t size = message->raw.size + 64;
    uint8_t *bytes = NULL;
    struct tern_writer scratch = {0};
    if (!message->usual_order) {
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

static void message_deliver(struct tern_gossip *g, struct gossip_message *message)
{
    message->state = MESSAGE_DELIVERED;
    gossip_queue(g, &(struct gossip_queued){
                        .kind = QUEUED_DELIVER, .message = message, .topic = message->topic});
    if (!message->topic->validate)
        gossip_message_accept(g, message);
}

static void message_verified(struct tern_gossip *g, struct gossip_message *message,
                             tern_err verdict)
{
    if (verdict == TERN_OK) {
        message_deliver(g, message);
        return;
    }
    if (gossip_peer_current(g, message->source, message->source_generation))
        gossip_fault(g, message->source, TERN_FAULT_GOSSIP_BAD_SIGNATURE);
    gossip_message_release(g, message);
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

/* --- arrival, continued: from here the message has a slot --- */

void gossip_message_arrived(struct tern_gossip *g, uint32_t peer, struct tern_view raw)
{
    struct tern_gossip_message_view view;
    struct tern_peer_id author;
    struct tern_view key;
    if (tern_gossip_message_decode(raw, &view) != TERN_OK) {
        gossip_fault(g, peer, TERN_FAULT_GOSSIP_MESSAGE_MALFORMED);
        return;
    }
    struct gossip_topic *topic = gossip_find_topic(g, view.topic);
    if (topic == NULL || !topic->joined)
        return; /* not ours to relay; it may have been sent before the peer knew */
    tern_fault fault = message_policy_fault(g, &view);
    if (fault == TERN_FAULT_NONE && g->policy == TERN_GOSSIP_STRICT_SIGN)
        fault = message_key(&view, &author, &key);
    if (fault != TERN_FAULT_NONE) {
        gossip_fault(g, peer, fault);
        return;
    }
    if (message_seen(g, &view)) {
        if (g->metrics != NULL)
            tern_metric_add(g->metrics, TERN_METRIC_GOSSIP_DUPLICATES, 1);
        return;
    }
    struct gossip_message *message = gossip_message_new(g, topic, raw);
    if (message == NULL) {
        if (g->metrics != NULL)
            tern_metric_add(g->metrics, TERN_METRIC_GOSSIP_BACKLOG_DROPPED, 1);
        return;
    }
    (void)gossip_seen_add(&g->seen, g->now, message->hash);
    gossip_fulfil(g, message->hash);
    message->source = peer;
    message->source_generation = g->peers[peer].generation;
    if (g->policy == TERN_GOSSIP_STRICT_SIGN)
        tern_list_push_back(&g->unverified, &message->link);
    else
        message_deliver(g, message);
}

/* --- verdicts --- */

void gossip_message_accept(struct tern_gossip *g, struct gossip_message *message)
{
    TERN_CHECK(message->state == MESSAGE_DELIVERED);
    gossip_queue(g, &(struct gossip_queued){.kind = QUEUED_FORWARD,
                                            .message = message,
                                            .topic = message->topic,
                                            .priority = TERN_GOSSIP_PRIORITY_FORWARD});
}

void tern_gossip_verdict(struct tern_gossip *g, tern_time now, tern_gossip_handle handle,
                         enum tern_gossip_verdict verdict)
{
    uint32_t slot = (uint32_t)handle;
    g->now = now;
    if (slot >= g->messages_count)
        return;
    struct gossip_message *message = g->messages[slot];
    if (message->generation != handle >> 32 || message->state != MESSAGE_DELIVERED)
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
