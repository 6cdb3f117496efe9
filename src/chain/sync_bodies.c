#include "base/check.h"
#include "chain/sync_private.h"

struct sync_request *sync_find_request(struct tern_sync *sync, tern_token token)
{
    for (size_t i = 0; token != 0 && i < TERN_SYNC_REQUESTS_MAX; i++)
        if (sync->requests[i].token == token)
            return &sync->requests[i];
    return NULL;
}

static void item_drop_bytes(struct tern_sync *sync, struct sync_item *item)
{
    tern_mem_free(sync->mem, item->bytes, item->size);
    sync->bytes_kept -= item->size;
    item->bytes = NULL;
    item->size = 0;
}

/* Ends a request; what it did not bring is wanted again. */
void sync_bodies_give_up(struct tern_sync *sync, struct sync_request *request)
{
    for (size_t i = 0; i < sync->items_count; i++) {
        struct sync_item *item = sync_item_at(sync, i);
        if (item->state == SYNC_REQUESTED && item->token == request->token)
            item->state = SYNC_WANTED;
    }
    struct sync_peer *peer = sync_find_peer(sync, request->peer);
    if (peer != NULL && peer->requests > 0)
        peer->requests--;
    request->token = 0;
}

void sync_bodies_drop_peer(struct tern_sync *sync, uint64_t peer)
{
    for (size_t i = 0; i < TERN_SYNC_REQUESTS_MAX; i++)
        if (sync->requests[i].token != 0 && sync->requests[i].peer == peer)
            sync_bodies_give_up(sync, &sync->requests[i]);
}

void sync_items_clear(struct tern_sync *sync)
{
    for (size_t i = 0; i < TERN_SYNC_REQUESTS_MAX; i++)
        if (sync->requests[i].token != 0)
            sync_bodies_give_up(sync, &sync->requests[i]);
    for (size_t i = 0; i < sync->items_count; i++)
        item_drop_bytes(sync, sync_item_at(sync, i));
    sync->items_count = 0;
    sync->items_first = 0;
    sync->delivered_count = 0;
    sync->retry_at = TERN_TIME_NEVER;
    TERN_CHECK(sync->bytes_kept == 0);
    sync_headers_stop(sync);
}

/* Takes off the front what is done, or came by another way. */
static void items_advance(struct tern_sync *sync, tern_time now)
{
    while (sync->items_count > 0) {
        struct sync_item *item = sync_item_at(sync, 0);
        bool came =
            item->state == SYNC_WANTED && tern_tree_find(&sync->ledger->tree, &item->hash) != NULL;
        if (item->state != SYNC_DONE && !came)
            return;
        item_drop_bytes(sync, item);
        sync->items_first = (sync->items_first + 1) % TERN_SYNC_ITEMS_MAX;
        sync->items_count--;
        sync->front_since = now;
        tern_time calmer = sync->stall_ns / 100 * 85;
        sync->stall_ns = calmer > TERN_SYNC_STALL_NS ? calmer : TERN_SYNC_STALL_NS;
    }
}

static bool peer_may_have(const struct tern_sync *sync, const struct sync_peer *peer,
                          const struct sync_item *item)
{
    uint64_t place = UINT64_C(1) << (size_t)(peer - sync->peers);
    return (item->lacking & place) == 0 &&
           (peer->id == item->source || peer->claim_height >= item->height);
}

/* Whom to ask for an item: of those that may have it, who has least to do. */
static struct sync_peer *bodies_choose(struct tern_sync *sync, tern_time now,
                                       const struct sync_item *item)
{
    struct sync_peer *best = NULL;
    for (size_t i = 0; i < TERN_SYNC_PEERS_MAX; i++) {
        struct sync_peer *peer = &sync->peers[i];
        if (!sync_peer_usable(peer, now) || peer->requests >= TERN_SYNC_REQUESTS_PER_PEER ||
            !peer_may_have(sync, peer, item))
            continue;
        if (best == NULL || peer->requests < best->requests)
            best = peer;
    }
    return best;
}

static struct sync_request *bodies_free_request(struct tern_sync *sync)
{
    for (size_t i = 0; i < TERN_SYNC_REQUESTS_MAX; i++)
        if (sync->requests[i].token == 0)
            return &sync->requests[i];
    return NULL;
}

/* Asks a peer for item number first and those behind it that it may have. */
static void bodies_ask(struct tern_sync *sync, tern_time now, struct sync_peer *peer, size_t first)
{
    struct sync_request *request = bodies_free_request(sync);
    TERN_CHECK(request != NULL);
    request->token = sync->token_next++;
    request->peer = peer->id;
    request->started_at = now;
    struct tern_sync_get_blocks get = {.count = 0};
    size_t end = tern_min_size(sync->items_count, TERN_SYNC_WINDOW);
    size_t most = sync->bytes_kept >= TERN_SYNC_BYTES_MAX ? 1 : TERN_SYNC_BLOCKS_MAX;
    for (size_t i = first; i < end && get.count < most; i++) {
        struct sync_item *item = sync_item_at(sync, i);
        if (item->state != SYNC_WANTED || !peer_may_have(sync, peer, item))
            continue;
        item->state = SYNC_REQUESTED;
        item->token = request->token;
        get.hashes[get.count++] = item->hash;
    }
    TERN_CHECK(get.count > 0);
    peer->requests++;
    struct tern_writer w = tern_writer_of(request->body, sizeof request->body);
    tern_sync_get_blocks_encode(&get, &w);
    TERN_CHECK(tern_writer_ok(&w));
    sync_emit(sync, &(struct tern_sync_out){
                        .kind = TERN_SYNC_ASK_BLOCKS,
                        .peer = peer->id,
                        .token = request->token,
                        .bytes = tern_writer_view(&w),
                    });
}

static void bodies_assign(struct tern_sync *sync, tern_time now)
{
    size_t end = tern_min_size(sync->items_count, TERN_SYNC_WINDOW);
    if (sync->bytes_kept >= TERN_SYNC_BYTES_MAX)
        end = tern_min_size(end, 1);
    for (size_t i = 0; i < end && sync_has_room(sync); i++) {
        struct sync_item *item = sync_item_at(sync, i);
        if (item->state != SYNC_WANTED)
            continue;
        if (bodies_free_request(sync) == NULL)
            return;
        struct sync_peer *peer = bodies_choose(sync, now, item);
        if (peer != NULL)
            bodies_ask(sync, now, peer, i);
    }
}

static void bodies_deliver(struct tern_sync *sync, tern_time now)
{
    if (sync->retry_at != TERN_TIME_NEVER && now < sync->retry_at)
        return;
    sync->retry_at = TERN_TIME_NEVER;
    for (size_t i = 0; i < sync->items_count && sync_has_room(sync); i++) {
        struct sync_item *item = sync_item_at(sync, i);
        if (item->state == SYNC_DELIVERED || item->state == SYNC_DONE)
            continue;
        if (item->state != SYNC_HAVE || sync->delivered_count >= TERN_SYNC_DELIVERED_MAX)
            return;
        item->state = SYNC_DELIVERED;
        sync->delivered_count++;
        sync_emit(sync, &(struct tern_sync_out){
                            .kind = TERN_SYNC_DELIVER,
                            .hash = item->hash,
                        });
    }
}

/* Is there somebody else who could serve the item? Else it is better to wait for the one that is
 * slow. */
static bool bodies_has_other(struct tern_sync *sync, tern_time now, const struct sync_item *item,
                             uint64_t peer)
{
    for (size_t i = 0; i < TERN_SYNC_PEERS_MAX; i++)
        if (sync->peers[i].id != peer && sync_peer_usable(&sync->peers[i], now) &&
            peer_may_have(sync, &sync->peers[i], item))
            return true;
    return false;
}

/* When whoever holds up the first item has done so for too long; NEVER: nobody does, or nobody else
 * could help. */
static tern_time bodies_stall_at(struct tern_sync *sync, tern_time now, uint64_t *peer)
{
    const struct sync_item *item = sync_item_at(sync, 0);
    if (sync->items_count == 0 || item->state != SYNC_REQUESTED)
        return TERN_TIME_NEVER;
    const struct sync_request *request = sync_find_request(sync, item->token);
    TERN_CHECK(request != NULL);
    *peer = request->peer;
    if (!bodies_has_other(sync, now, item, request->peer))
        return TERN_TIME_NEVER;
    tern_time since =
        request->started_at > sync->front_since ? request->started_at : sync->front_since;
    return tern_time_add(since, sync->stall_ns);
}

/* Who holds up the first item for too long makes room for another. */
static void bodies_unstall(struct tern_sync *sync, tern_time now)
{
    uint64_t peer = 0;
    if (now < bodies_stall_at(sync, now, &peer))
        return;
    sync->stall_ns = sync->stall_ns * 2;
    if (sync->stall_ns > TERN_SYNC_STALL_MAX_NS)
        sync->stall_ns = TERN_SYNC_STALL_MAX_NS;
    sync_blame(sync, now, peer, TERN_FAULT_CHAIN_SYNC_STALL);
}

/* A chain whose next block no peer claims to have is given up; a peer that has it will show its
 * headers anew. */
static void bodies_abandon(struct tern_sync *sync)
{
    const struct sync_item *item = sync_item_at(sync, 0);
    if (sync->items_count == 0 || item->state != SYNC_WANTED)
        return;
    size_t peers = 0;
    for (size_t i = 0; i < TERN_SYNC_PEERS_MAX; i++) {
        if (sync->peers[i].id != 0 && peer_may_have(sync, &sync->peers[i], item))
            return;
        peers += sync->peers[i].id != 0;
    }
    if (peers > 0)
        sync_items_clear(sync);
}

void sync_bodies_plan(struct tern_sync *sync, tern_time now)
{
    items_advance(sync, now);
    bodies_unstall(sync, now);
    bodies_abandon(sync);
    bodies_assign(sync, now);
    bodies_deliver(sync, now);
    uint64_t peer;
    sync->stall_at = bodies_stall_at(sync, now, &peer);
}

/* Takes one body; false: it is not the one that was asked for. */
static bool bodies_take(struct tern_sync *sync, struct sync_item *item, struct tern_view bytes,
                        uint64_t peer)
{
    struct tern_block block;
    tern_fault fault;
    if (tern_block_decode(bytes, &block, &fault) != TERN_OK ||
        !tern_hash_equal(&block.hash, &item->hash) ||
        tern_block_check_body(&block) != TERN_FAULT_NONE)
        return false;
    item->state = SYNC_WANTED;
    item->bytes = tern_mem_dup(sync->mem, bytes);
    if (item->bytes == NULL)
        return true; /* it is asked for again */
    item->size = bytes.size;
    item->from = peer;
    item->state = SYNC_HAVE;
    sync->bytes_kept += item->size;
    return true;
}

/* Goes through what was asked and what came, side by side. *taken counts what came. */
static tern_fault bodies_walk(struct tern_sync *sync, const struct tern_sync_in *in, size_t *taken)
{
    size_t count;
    *taken = 0;
    if (tern_sync_items_check(in->bytes, TERN_SYNC_BLOCKS_MAX, &count) != TERN_OK)
        return TERN_FAULT_CHAIN_SYNC_MALFORMED;
    struct tern_view rest = in->bytes;
    struct tern_view body;
    for (size_t i = 0; i < sync->items_count; i++) {
        struct sync_item *item = sync_item_at(sync, i);
        if (item->state != SYNC_REQUESTED || item->token != in->token)
            continue;
        if (!tern_sync_items_next(&rest, &body))
            return TERN_FAULT_NONE;
        if (!bodies_take(sync, item, body, in->peer))
            return TERN_FAULT_CHAIN_SYNC_BODY;
        ++*taken;
    }
    return rest.size == 0 ? TERN_FAULT_NONE : TERN_FAULT_CHAIN_SYNC_BODY;
}

/* A peer that has none of what was asked lacks the first of it; who gave its header has no excuse.
 */
static tern_fault bodies_lacking(struct tern_sync *sync, const struct tern_sync_in *in)
{
    struct sync_peer *peer = sync_find_peer(sync, in->peer);
    TERN_CHECK(peer != NULL);
    for (size_t i = 0; i < sync->items_count; i++) {
        struct sync_item *item = sync_item_at(sync, i);
        if (item->state != SYNC_REQUESTED || item->token != in->token)
            continue;
        item->lacking |= UINT64_C(1) << (size_t)(peer - sync->peers);
        return item->source == in->peer ? TERN_FAULT_CHAIN_SYNC_CLAIM : TERN_FAULT_NONE;
    }
    return TERN_FAULT_NONE;
}

void sync_bodies_in(struct tern_sync *sync, tern_time now, const struct tern_sync_in *in)
{
    struct sync_request *request = sync_find_request(sync, in->token);
    struct sync_peer *peer = sync_find_peer(sync, in->peer);
    if (request == NULL || peer == NULL || request->peer != in->peer)
        return; /* late */
    size_t taken;
    tern_fault fault = bodies_walk(sync, in, &taken);
    if (fault == TERN_FAULT_NONE && taken == 0)
        fault = bodies_lacking(sync, in);
    else if (taken > 0)
        peer->strikes = 0;
    sync_bodies_give_up(sync, request);
    if (fault != TERN_FAULT_NONE)
        sync_blame(sync, now, in->peer, fault);
}

static void bodies_refused(struct tern_sync *sync, tern_time now, const struct sync_item *item,
                           const struct tern_sync_in *in)
{
    bool excused = in->err != TERN_ERR_PROTOCOL || in->fault == TERN_FAULT_CHAIN_BLOCK_FUTURE ||
                   in->fault == TERN_FAULT_CHAIN_BLOCK_OLD ||
                   in->fault == TERN_FAULT_CHAIN_BLOCK_SIDE_FULL ||
                   in->fault == TERN_FAULT_CHAIN_BLOCK_ORPHANS_FULL;
    uint64_t source = item->source;
    sync_items_clear(sync);
    if (!excused)
        sync_blame(sync, now, source, TERN_FAULT_CHAIN_SYNC_CHAIN_INVALID);
}

static struct sync_item *bodies_delivered(struct tern_sync *sync, const struct tern_hash *hash)
{
    for (size_t i = 0; i < sync->items_count; i++) {
        struct sync_item *item = sync_item_at(sync, i);
        if (item->state == SYNC_DELIVERED && tern_hash_equal(&item->hash, hash))
            return item;
    }
    return NULL;
}

bool sync_bodies_fill(struct tern_sync *sync, struct tern_sync_out *out)
{
    const struct sync_item *item = bodies_delivered(sync, &out->hash);
    if (item == NULL)
        return false;
    out->peer = item->from;
    out->bytes = tern_view_of(item->bytes, item->size);
    return true;
}

void sync_bodies_result(struct tern_sync *sync, tern_time now, const struct tern_sync_in *in)
{
    struct sync_item *item = bodies_delivered(sync, &in->hash);
    if (item == NULL)
        return;
    sync->delivered_count--;
    if (in->err == TERN_OK || in->err == TERN_ERR_EXISTS) {
        item->state = SYNC_DONE;
    } else if (in->err == TERN_ERR_FULL || in->err == TERN_ERR_MEMORY) {
        item->state = SYNC_HAVE;
        sync->retry_at = tern_time_add(now, TERN_SYNC_RETRY_NS);
    } else {
        bodies_refused(sync, now, item, in);
    }
}
