#include "base/check.h"
#include "chain/sync_private.h"

void sync_headers_stop(struct tern_sync *sync)
{
    sync->headers.leader = 0;
    sync->headers.token = 0;
    sync->headers.more = false;
    sync->headers.fresh_count = 0; /* a job that is out comes back for nothing */
}

static struct sync_peer *headers_leader(struct tern_sync *sync, tern_time now)
{
    uint64_t best = tern_ledger_head(sync->ledger)->header.height;
    struct sync_peer *leader = NULL;
    for (size_t i = 0; i < TERN_SYNC_PEERS_MAX; i++) {
        struct sync_peer *peer = &sync->peers[i];
        if (!sync_peer_usable(peer, now) || peer->claim_height <= best)
            continue;
        leader = peer;
        best = peer->claim_height;
    }
    return leader;
}

static void headers_ask(struct tern_sync *sync, tern_time now, uint64_t peer)
{
    struct sync_headers *headers = &sync->headers;
    struct tern_sync_get_headers get;
    tern_sync_locator(sync->ledger, &get);
    if (sync->items_count > 0) { /* go on behind the last header that we have */
        size_t keep = tern_min_size(get.locator_count, TERN_SYNC_LOCATOR_MAX - 1);
        memmove(&get.locator[1], &get.locator[0], keep * sizeof get.locator[0]);
        const struct sync_item *last = sync_item_at(sync, sync->items_count - 1);
        get.locator[0] = (struct tern_sync_point){last->height, last->hash};
        get.locator_count = keep + 1;
    }
    struct tern_writer w = tern_writer_of(headers->body, sizeof headers->body);
    tern_sync_get_headers_encode(&get, &w);
    TERN_CHECK(tern_writer_ok(&w));
    headers->leader = peer;
    headers->token = sync->token_next++;
    headers->started_at = now;
    headers->more = false;
    sync_emit(sync, &(struct tern_sync_out){
                        .kind = TERN_SYNC_ASK_HEADERS,
                        .peer = peer,
                        .token = headers->token,
                        .bytes = tern_writer_view(&w),
                    });
}

void sync_headers_plan(struct tern_sync *sync, tern_time now)
{
    struct sync_headers *headers = &sync->headers;
    if (headers->token != 0 || headers->checking || !sync_has_room(sync) ||
        sync->items_count > TERN_SYNC_ITEMS_MAX - TERN_SYNC_HEADERS_MAX)
        return;
    if (headers->leader != 0 && headers->more) {
        headers_ask(sync, now, headers->leader);
        return;
    }
    if (sync->items_count > 0)
        return; /* first take what is known */
    const struct sync_peer *leader = headers_leader(sync, now);
    if (leader != NULL)
        headers_ask(sync, now, leader->id);
    else
        headers->leader = 0;
}

/* What the first header must follow: our last item, or a block of the tree. *fault says what is
 * wrong. */
static const struct tern_header *headers_base(struct tern_sync *sync,
                                              const struct tern_header *first, tern_fault *fault)
{
    *fault = TERN_FAULT_NONE;
    if (sync->items_count > 0) {
        const struct sync_item *last = sync_item_at(sync, sync->items_count - 1);
        /* A leader that has changed its chain meanwhile is not wrong; it is asked anew later. */
        return tern_hash_equal(&last->hash, &first->parent) ? &sync->items_last : NULL;
    }
    const struct tern_tree_node *node = tern_tree_find(&sync->ledger->tree, &first->parent);
    if (node != NULL)
        return &node->header;
    bool deep =
        first->height > 0 && tern_ledger_has(sync->ledger, first->height - 1, &first->parent);
    *fault = deep ? TERN_FAULT_CHAIN_SYNC_FORK_DEEP : TERN_FAULT_CHAIN_SYNC_HEADERS_LINK;
    return NULL;
}

/* One walk over an answer. */
struct headers_walk {
    struct tern_header last;
    struct tern_hash last_hash;
    bool ended; /* what follows is of no use to us now */
    tern_fault fault;
};

static void headers_walk_one(struct tern_sync *sync, struct headers_walk *walk,
                             const struct tern_header *header, tern_time_ms now_ms)
{
    struct sync_headers *headers = &sync->headers;
    struct tern_hash hash;
    tern_header_hash(header, &hash);
    if (!tern_hash_equal(&header->parent, &walk->last_hash)) {
        walk->fault = TERN_FAULT_CHAIN_SYNC_HEADERS_LINK;
        return;
    }
    tern_fault fault = tern_ledger_check_header(sync->ledger, &walk->last, header, now_ms);
    if (fault == TERN_FAULT_CHAIN_BLOCK_FUTURE) { /* its clock, or ours */
        walk->ended = true;
        return;
    }
    if (fault != TERN_FAULT_NONE ||
        tern_tree_invalid(&sync->ledger->tree, &hash) != TERN_FAULT_NONE) {
        walk->fault = TERN_FAULT_CHAIN_SYNC_HEADERS_INVALID;
        return;
    }
    walk->last = *header;
    walk->last_hash = hash;
    if (headers->fresh_count == 0 && tern_tree_find(&sync->ledger->tree, &hash) != NULL)
        return; /* known already */
    size_t index;
    const struct tern_engine *engine = &sync->ledger->engine;
    tern_err err = engine->ops->add_seal(engine->self, header, &headers->job, &index);
    TERN_CHECK(err == TERN_OK);
    headers->fresh[headers->fresh_count++] = (struct tern_sync_point){header->height, hash};
    headers->fresh_last = *header;
}

/* Walks over all headers of an answer; fresh ones are noted, their seals put into the batch. */
static void headers_walk(struct tern_sync *sync, const struct tern_clock *clock,
                         struct tern_view bytes, struct headers_walk *walk)
{
    struct tern_view item;
    bool first = true;
    *walk = (struct headers_walk){.fault = TERN_FAULT_NONE};
    sync->headers.fresh_count = 0;
    tern_verify_job_reset(&sync->headers.job);
    while (walk->fault == TERN_FAULT_NONE && !walk->ended && tern_sync_items_next(&bytes, &item)) {
        struct tern_header header;
        if (tern_header_decode(item, &header) != TERN_OK) {
            walk->fault = TERN_FAULT_CHAIN_SYNC_MALFORMED;
            return;
        }
        if (first) {
            const struct tern_header *base = headers_base(sync, &header, &walk->fault);
            if (base == NULL) {
                walk->ended = true;
                return;
            }
            walk->last = *base;
            walk->last_hash = header.parent;
            first = false;
        }
        headers_walk_one(sync, walk, &header, tern_wall_ms(clock->wall));
    }
}

/* The leader has shown all it has, or all that we can use now: its claim shrinks to that. */
static void headers_exhausted(struct tern_sync *sync, tern_time now,
                              const struct headers_walk *walk)
{
    uint64_t own = tern_ledger_head(sync->ledger)->header.height;
    uint64_t leader = sync->headers.leader;
    struct sync_peer *peer = sync_find_peer(sync, leader);
    TERN_CHECK(peer != NULL);
    bool fresh = sync->headers.fresh_count > 0;
    bool liar = sync->items_count == 0 && !fresh && !walk->ended && peer->claim_height > own &&
                walk->last.height <= own;
    peer->claim_height = fresh ? walk->last.height : 0;
    if (liar)
        sync_blame(sync, now, leader, TERN_FAULT_CHAIN_SYNC_CLAIM);
}

void sync_headers_in(struct tern_sync *sync, const struct tern_clock *clock,
                     const struct tern_sync_in *in)
{
    struct sync_headers *headers = &sync->headers;
    if (in->token == 0 || in->token != headers->token || in->peer != headers->leader)
        return; /* late */
    headers->token = 0;
    size_t count;
    if (tern_sync_items_check(in->bytes, TERN_SYNC_HEADERS_MAX, &count) != TERN_OK) {
        sync_blame(sync, clock->now, in->peer, TERN_FAULT_CHAIN_SYNC_MALFORMED);
        return;
    }
    struct headers_walk walk;
    headers_walk(sync, clock, in->bytes, &walk);
    if (walk.fault != TERN_FAULT_NONE) {
        headers->fresh_count = 0;
        sync_blame(sync, clock->now, in->peer, walk.fault);
        return;
    }
    headers->more = count == TERN_SYNC_HEADERS_MAX && !walk.ended;
    if (!headers->more)
        headers_exhausted(sync, clock->now, &walk);
    headers->checking = headers->fresh_count > 0;
    headers->emitted = false;
}

static bool headers_seals_hold(const struct sync_headers *headers)
{
    for (size_t i = 0; i < headers->job.slots_count; i++)
        if (tern_verify_job_verdict(&headers->job, i) != TERN_OK)
            return false;
    return true;
}

void sync_headers_job_done(struct tern_sync *sync, tern_time now)
{
    struct sync_headers *headers = &sync->headers;
    TERN_CHECK(headers->checking && headers->emitted);
    headers->checking = false;
    size_t count = headers->fresh_count;
    headers->fresh_count = 0;
    if (count == 0) /* the leader was given up meanwhile */
        return;
    if (!headers_seals_hold(headers)) {
        sync_blame(sync, now, headers->leader, TERN_FAULT_CHAIN_SYNC_HEADERS_INVALID);
        return;
    }
    if (sync->items_count == 0)
        sync->front_since = now;
    for (size_t i = 0; i < count; i++) {
        TERN_CHECK(sync->items_count < TERN_SYNC_ITEMS_MAX);
        *sync_item_at(sync, sync->items_count++) = (struct sync_item){
            .hash = headers->fresh[i].hash,
            .height = headers->fresh[i].height,
            .source = headers->leader,
            .state = SYNC_WANTED,
        };
    }
    sync->items_last = headers->fresh_last;
}
