#include "chain/sync.h"

#include "base/check.h"
#include "chain/sync_private.h"

tern_err tern_sync_new(const struct tern_sync_config *config, struct tern_sync **out)
{
    *out = NULL;
    struct tern_sync *sync = tern_mem_zalloc(config->mem, sizeof *sync);
    if (sync == NULL)
        return TERN_ERR_MEMORY;
    sync->mem = config->mem;
    sync->ledger = config->ledger;
    sync->token_next = 1;
    sync->stall_ns = TERN_SYNC_STALL_NS;
    sync->retry_at = TERN_TIME_NEVER;
    sync->stall_at = TERN_TIME_NEVER;
    tern_ring_init(&sync->outs, sync->mem, sizeof(struct tern_sync_out), TERN_SYNC_OUTS_MAX);
    tern_err err = tern_ring_reserve(&sync->outs);
    if (err == TERN_OK)
        err = tern_verify_job_init(&sync->headers.job, sync->mem, TERN_SYNC_HEADERS_MAX,
                                   (size_t)TERN_SYNC_HEADERS_MAX * SYNC_SEAL_BYTES);
    if (err != TERN_OK) {
        tern_ring_fini(&sync->outs);
        tern_mem_free(sync->mem, sync, sizeof *sync);
        return err;
    }
    *out = sync;
    return TERN_OK;
}

void tern_sync_free(struct tern_sync *sync)
{
    if (sync == NULL)
        return;
    sync_items_clear(sync);
    tern_verify_job_fini(&sync->headers.job);
    tern_ring_fini(&sync->outs);
    tern_mem_free(sync->mem, sync, sizeof *sync);
}

bool tern_sync_busy(const struct tern_sync *sync)
{
    return sync->headers.checking && sync->headers.emitted;
}

struct sync_peer *sync_find_peer(struct tern_sync *sync, uint64_t id)
{
    for (size_t i = 0; id != 0 && i < TERN_SYNC_PEERS_MAX; i++)
        if (sync->peers[i].id == id)
            return &sync->peers[i];
    return NULL;
}

bool sync_peer_usable(const struct sync_peer *peer, tern_time now)
{
    return peer->id != 0 && now >= peer->excluded_until;
}

bool sync_has_room(const struct tern_sync *sync)
{
    /* Some places are kept for what an answer sets off. */
    return tern_ring_count(&sync->outs) < TERN_SYNC_OUTS_MAX - 64;
}

void sync_emit(struct tern_sync *sync, const struct tern_sync_out *out)
{
    tern_err err = tern_ring_push(&sync->outs, out);
    TERN_CHECK(err == TERN_OK);
}

void sync_exclude(struct tern_sync *sync, tern_time now, uint64_t id)
{
    struct sync_peer *peer = sync_find_peer(sync, id);
    if (peer == NULL)
        return;
    tern_time span = TERN_SYNC_EXCLUDE_NS;
    for (uint32_t i = 0; i < peer->strikes && span < TERN_SYNC_EXCLUDE_MAX_NS; i++)
        span *= 2;
    if (span > TERN_SYNC_EXCLUDE_MAX_NS)
        span = TERN_SYNC_EXCLUDE_MAX_NS;
    peer->strikes += peer->strikes < 32;
    peer->excluded_until = tern_time_add(now, span);
    peer->claim_height = 0;
    peer->status_at = peer->excluded_until;
    if (sync->headers.leader == id)
        sync_headers_stop(sync);
    sync_bodies_drop_peer(sync, id);
}

void sync_blame(struct tern_sync *sync, tern_time now, uint64_t peer, tern_fault fault)
{
    if (sync_find_peer(sync, peer) == NULL)
        return;
    sync_emit(sync, &(struct tern_sync_out){
                        .kind = TERN_SYNC_BLAME,
                        .peer = peer,
                        .fault = fault,
                    });
    sync_exclude(sync, now, peer);
}

static void sync_peer_up(struct tern_sync *sync, uint64_t id)
{
    TERN_CHECK(id != 0);
    if (sync_find_peer(sync, id) != NULL)
        return;
    for (size_t i = 0; i < TERN_SYNC_PEERS_MAX; i++) {
        if (sync->peers[i].id != 0)
            continue;
        sync->peers[i] = (struct sync_peer){.id = id};
        uint64_t place = ~(UINT64_C(1) << i);
        for (size_t j = 0; j < sync->items_count; j++)
            sync_item_at(sync, j)->lacking &= place;
        return;
    }
}

static void sync_peer_down(struct tern_sync *sync, uint64_t id)
{
    struct sync_peer *peer = sync_find_peer(sync, id);
    if (peer == NULL)
        return;
    if (sync->headers.leader == id)
        sync_headers_stop(sync);
    sync_bodies_drop_peer(sync, id);
    peer->id = 0;
}

static void sync_status_in(struct tern_sync *sync, tern_time now, const struct tern_sync_in *in)
{
    struct sync_peer *peer = sync_find_peer(sync, in->peer);
    struct tern_sync_status status;
    if (peer == NULL)
        return;
    if (tern_sync_status_decode(in->bytes, &status) != TERN_OK)
        sync_blame(sync, now, in->peer, TERN_FAULT_CHAIN_SYNC_MALFORMED);
    else if (!tern_hash_equal(&status.genesis, &sync->ledger->genesis_hash))
        sync_blame(sync, now, in->peer, TERN_FAULT_CHAIN_SYNC_GENESIS);
    else if (sync_peer_usable(peer, now))
        peer->claim_height = status.height;
}

static void sync_ask_status(struct tern_sync *sync, tern_time now)
{
    struct tern_sync_status status = {
        .genesis = sync->ledger->genesis_hash,
        .height = tern_ledger_head(sync->ledger)->header.height,
        .head = tern_ledger_head(sync->ledger)->hash,
    };
    struct tern_writer w = tern_writer_of(sync->status, sizeof sync->status);
    tern_sync_status_encode(&status, &w);
    TERN_CHECK(tern_writer_ok(&w));
    for (size_t i = 0; i < TERN_SYNC_PEERS_MAX && sync_has_room(sync); i++) {
        struct sync_peer *peer = &sync->peers[i];
        if (!sync_peer_usable(peer, now) || now < peer->status_at)
            continue;
        peer->status_at = tern_time_add(now, TERN_SYNC_STATUS_NS);
        sync_emit(sync, &(struct tern_sync_out){
                            .kind = TERN_SYNC_ASK_STATUS,
                            .peer = peer->id,
                            .token = sync->token_next++,
                            .bytes = tern_writer_view(&w),
                        });
    }
}

static void sync_failed(struct tern_sync *sync, tern_time now, const struct tern_sync_in *in)
{
    struct sync_request *request = sync_find_request(sync, in->token);
    bool headers = in->token != 0 && in->token == sync->headers.token;
    if (headers || request != NULL)
        sync_exclude(sync, now, in->peer);
}

/* Requests that took too long. */
static void sync_time_out(struct tern_sync *sync, tern_time now)
{
    struct sync_headers *headers = &sync->headers;
    if (headers->token != 0 && tern_time_since(now, headers->started_at) >= TERN_SYNC_TIMEOUT_NS)
        sync_blame(sync, now, headers->leader, TERN_FAULT_CHAIN_SYNC_TIMEOUT);
    for (size_t i = 0; i < TERN_SYNC_REQUESTS_MAX; i++) {
        struct sync_request *request = &sync->requests[i];
        if (request->token != 0 &&
            tern_time_since(now, request->started_at) >= TERN_SYNC_TIMEOUT_NS)
            sync_blame(sync, now, request->peer, TERN_FAULT_CHAIN_SYNC_TIMEOUT);
    }
}

static void sync_take(struct tern_sync *sync, const struct tern_clock *clock,
                      const struct tern_sync_in *in)
{
    switch (in->kind) {
    case TERN_SYNC_TICK:
        return;
    case TERN_SYNC_PEER_UP:
        sync_peer_up(sync, in->peer);
        return;
    case TERN_SYNC_PEER_DOWN:
        sync_peer_down(sync, in->peer);
        return;
    case TERN_SYNC_STATUS:
        sync_status_in(sync, clock->now, in);
        return;
    case TERN_SYNC_HEADERS:
        sync_headers_in(sync, clock, in);
        return;
    case TERN_SYNC_BLOCKS:
        sync_bodies_in(sync, clock->now, in);
        return;
    case TERN_SYNC_FAILED:
        sync_failed(sync, clock->now, in);
        return;
    case TERN_SYNC_JOB_DONE:
        TERN_CHECK(in->job == &sync->headers.job.job);
        sync_headers_job_done(sync, clock->now);
        return;
    case TERN_SYNC_RESULT:
        sync_bodies_result(sync, clock->now, in);
        return;
    case TERN_SYNC_HINT: {
        struct sync_peer *peer = sync_find_peer(sync, in->peer);
        if (peer != NULL && in->height > peer->claim_height)
            peer->status_at = 0;
        return;
    }
    }
    TERN_UNREACHABLE();
}

void tern_sync_step(struct tern_sync *sync, const struct tern_clock *clock,
                    const struct tern_sync_in *in)
{
    TERN_CHECK(sync_has_room(sync));
    sync_take(sync, clock, in);
    sync_time_out(sync, clock->now);
    sync_ask_status(sync, clock->now);
    sync_headers_plan(sync, clock->now);
    sync_bodies_plan(sync, clock->now);
}

bool tern_sync_next(struct tern_sync *sync, struct tern_sync_out *out)
{
    if (sync->headers.checking && !sync->headers.emitted) {
        sync->headers.emitted = true;
        *out = (struct tern_sync_out){
            .kind = TERN_SYNC_OUT_JOB,
            .job = &sync->headers.job.job,
        };
        return true;
    }
    while (tern_ring_pop(&sync->outs, out))
        if (out->kind != TERN_SYNC_DELIVER || sync_bodies_fill(sync, out))
            return true;
    return false;
}

tern_time tern_sync_deadline(const struct tern_sync *sync)
{
    tern_time at = tern_time_min(sync->retry_at, sync->stall_at);
    const struct sync_headers *headers = &sync->headers;
    if (headers->token != 0)
        at = tern_time_min(at, tern_time_add(headers->started_at, TERN_SYNC_TIMEOUT_NS));
    for (size_t i = 0; i < TERN_SYNC_REQUESTS_MAX; i++) {
        const struct sync_request *request = &sync->requests[i];
        if (request->token != 0)
            at = tern_time_min(at, tern_time_add(request->started_at, TERN_SYNC_TIMEOUT_NS));
    }
    for (size_t i = 0; i < TERN_SYNC_PEERS_MAX; i++) {
        const struct sync_peer *peer = &sync->peers[i];
        if (peer->id != 0)
            at = tern_time_min(at, peer->status_at > peer->excluded_until ? peer->status_at
                                                                          : peer->excluded_until);
    }
    return at;
}

void tern_sync_info(const struct tern_sync *sync, tern_time now, struct tern_sync_info *info)
{
    uint64_t own = tern_ledger_head(sync->ledger)->header.height;
    *info = (struct tern_sync_info){
        .items_count = sync->items_count,
        .bytes_kept = sync->bytes_kept,
        .target_height = sync->items_count == 0 ? 0 : sync->items_last.height,
    };
    for (size_t i = 0; i < TERN_SYNC_REQUESTS_MAX; i++)
        info->requests_count += sync->requests[i].token != 0;
    bool claimed = false;
    for (size_t i = 0; i < TERN_SYNC_PEERS_MAX; i++) {
        const struct sync_peer *peer = &sync->peers[i];
        info->peers_count += peer->id != 0;
        info->excluded_count += peer->id != 0 && !sync_peer_usable(peer, now);
        claimed = claimed || (sync_peer_usable(peer, now) && peer->claim_height > own);
    }
    info->behind = claimed || sync->items_count > 0;
}

static void locator_add(const struct tern_ledger *ledger, struct tern_sync_get_headers *get,
                        uint64_t height)
{
    struct tern_sync_point *point = &get->locator[get->locator_count];
    if (get->locator_count == TERN_SYNC_LOCATOR_MAX ||
        !tern_ledger_hash_at(ledger, height, &point->hash))
        return;
    point->height = height;
    get->locator_count++;
}

void tern_sync_locator(const struct tern_ledger *ledger, struct tern_sync_get_headers *get)
{
    uint64_t height = tern_ledger_head(ledger)->header.height;
    uint64_t step = 1;
    get->locator_count = 0;
    get->max = TERN_SYNC_HEADERS_MAX;
    /* At doubling distance there are fewer than 64 to the genesis, with room for it. */
    while (height > 0 && get->locator_count < TERN_SYNC_LOCATOR_MAX - 2) {
        locator_add(ledger, get, height);
        if (get->locator_count >= 8)
            step *= 2;
        height = height > step ? height - step : 0;
    }
    locator_add(ledger, get, 0);
}

bool tern_sync_locate(const struct tern_ledger *ledger, const struct tern_sync_get_headers *get,
                      uint64_t *height)
{
    for (size_t i = 0; i < get->locator_count; i++) {
        *height = get->locator[i].height;
        if (tern_ledger_has(ledger, *height, &get->locator[i].hash))
            return true;
    }
    return false;
}
