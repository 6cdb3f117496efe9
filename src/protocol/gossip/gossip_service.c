#include "protocol/gossip/gossip_service.h"

#include "base/check.h"
#include "base/ring.h"
#include "swarm/manager.h"
#include "wire/protobuf.h"

enum {
    SERVICE_PEERS_MAX = 1024,
    SERVICE_REOPEN_MAX = 3,
    SERVICE_CORE_NONE = UINT32_MAX,
};

struct service_queued {
    struct tern_chunk *chunk; /* owned */
};

/* One connected peer. Streams carry its index + 1 as user value, outbound ones with OUTBOUND_BIT.
 */
struct service_peer {
    bool used;
    bool out_open;  /* a stream of ours is there */
    bool out_ready; /* and its protocol is agreed */
    bool in_open;
    bool meshed; /* and protected for it */
    uint8_t opened_count;
    tern_peer peer;
    struct tern_peer_id id;
    bool outbound;
    uint32_t core; /* its slot in the core, or SERVICE_CORE_NONE */
    struct tern_stream out;
    struct tern_stream in;
    struct tern_ring queue; /* struct service_queued */
    size_t queue_bytes;
    uint8_t *partial; /* an RPC that came in part, with its length */
    size_t partial_size;
    size_t partial_capacity;
};

struct service_event {
    enum tern_gossip_event_kind kind;
    struct tern_chunk *chunk; /* owned */
    struct tern_gossip_delivery message;
    tern_gossip_handle handle;
    struct tern_peer_id peer;
};

struct tern_gossip_service {
    struct tern_mem *mem;
    struct tern_metrics *metrics;
    struct tern_swarm *swarm;
    struct tern_gossip *core;
    uint32_t number;   /* in the swarm */
    uint32_t tag;      /* of peers that bring messages first */
    tern_time mesh_at; /* when protection is next brought up to date */
    uint32_t message_size_max;
    struct service_peer *peers;
    size_t peers_count;
    uint32_t *by_core; /* core slot to peer index */
    struct tern_ring events;
    size_t events_bytes;
    struct tern_chunk *held; /* of the event given last */
};

static const tern_time SERVICE_MESH_INTERVAL_NS = TERN_SECOND; /* a heartbeat */

/* As go-libp2p-pubsub has it: a message that is new when it comes counts one, up to 15, and one of
 * them is forgotten every ten minutes. */
static const struct tern_tag_rule service_tag = {.name = "gossip",
                                                 .decay = TERN_TAG_FIXED,
                                                 .interval_ns = 10 * TERN_MINUTE,
                                                 .amount = 1,
                                                 .value_max = 15};

static const uint64_t SERVICE_OUTBOUND_BIT = UINT64_C(1) << 32;

static const struct tern_view service_names[] = {
    {.data = (const uint8_t *)"/meshsub/1.1.0", .size = 14},
    {.data = (const uint8_t *)"/meshsub/1.0.0", .size = 14},
    {.data = (const uint8_t *)"/floodsub/1.0.0", .size = 15},
};

static enum tern_gossip_kind service_kind(uint32_t offered_index)
{
    static const enum tern_gossip_kind kinds[] = {TERN_GOSSIP_V11, TERN_GOSSIP_V10,
                                                  TERN_GOSSIP_FLOODSUB};
    TERN_CHECK(offered_index < TERN_COUNT_OF(kinds));
    return kinds[offered_index];
}

/* --- sending --- */

static void service_flush(struct tern_gossip_service *s, struct service_peer *peer)
{
    const struct service_queued *front;
    while ((front = tern_ring_at(&peer->queue, 0)) != NULL) {
        struct service_queued done;
        struct tern_chunk *chunk = front->chunk;
        struct tern_slice slice = {.chunk = chunk, .view = tern_chunk_view(chunk)};
        if (tern_swarm_write_slice(s->swarm, peer->out, slice) != TERN_OK)
            return; /* WRITABLE or ENDED follows */
        peer->queue_bytes -= chunk->size;
        (void)tern_ring_pop(&peer->queue, &done);
        tern_chunk_unref(chunk);
    }
}

/* How full the queue may be for a message of this priority: forwarded ones leave room for others.
 */
static size_t service_share(enum tern_gossip_priority priority, size_t max)
{
    switch (priority) {
    case TERN_GOSSIP_PRIORITY_CONTROL:
        return max;
    case TERN_GOSSIP_PRIORITY_OWN:
        return max / 4 * 3;
    case TERN_GOSSIP_PRIORITY_FORWARD:
        return max / 2;
    }
    TERN_UNREACHABLE();
}

static void service_enqueue(struct tern_gossip_service *s, struct service_peer *peer,
                            const struct tern_gossip_out *out)
{
    struct service_queued queued = {.chunk = out->chunk};
    bool full =
        tern_ring_count(&peer->queue) >= service_share(out->priority, TERN_GOSSIP_QUEUE_MAX) ||
        peer->queue_bytes + out->chunk->size >
            service_share(out->priority, TERN_GOSSIP_QUEUE_BYTES_MAX);
    if (full || tern_ring_push(&peer->queue, &queued) != TERN_OK) {
        if (s->metrics != NULL)
            tern_metric_add(s->metrics, TERN_METRIC_GOSSIP_QUEUE_DROPPED, 1);
        return;
    }
    tern_chunk_ref(out->chunk);
    peer->queue_bytes += out->chunk->size;
}

static void service_send(struct tern_gossip_service *s, const struct tern_gossip_out *out)
{
    struct tern_slice slice = {.chunk = out->chunk, .view = tern_chunk_view(out->chunk)};
    for (size_t i = 0; i < out->peers_count; i++) {
        struct service_peer *peer = &s->peers[s->by_core[out->peers[i]]];
        TERN_CHECK(peer->used && peer->core == out->peers[i]);
        if (tern_ring_count(&peer->queue) == 0 &&
            tern_swarm_write_slice(s->swarm, peer->out, slice) == TERN_OK)
            continue;
        service_enqueue(s, peer, out);
    }
}

/* --- events for the host --- */

static void service_lost(struct tern_gossip_service *s, tern_time now, tern_gossip_handle handle)
{
    if (s->metrics != NULL)
        tern_metric_add(s->metrics, TERN_METRIC_GOSSIP_EVENTS_DROPPED, 1);
    if (handle != 0)
        tern_gossip_verdict(s->core, now, handle, TERN_GOSSIP_IGNORE);
}

static void service_push_event(struct tern_gossip_service *s, tern_time now,
                               const struct service_event *event)
{
    if (s->events_bytes + event->chunk->size <= TERN_GOSSIP_EVENTS_BYTES_MAX &&
        tern_ring_push(&s->events, event) == TERN_OK) {
        s->events_bytes += event->chunk->size;
        return;
    }
    tern_chunk_unref(event->chunk);
    service_lost(s, now, event->handle);
}

static void service_deliver(struct tern_gossip_service *s, tern_time now,
                            const struct tern_gossip_out *out)
{
    struct service_event event = {.kind = TERN_GOSSIP_EVENT_MESSAGE,
                                  .chunk = tern_chunk_ref(out->chunk),
                                  .message = out->message,
                                  .handle = out->handle};
    if (out->peer != UINT32_MAX) {
        const struct service_peer *peer = &s->peers[s->by_core[out->peer]];
        event.peer = peer->id;
        tern_swarm_tag_bump(s->swarm, peer->peer, s->tag, 1);
    }
    service_push_event(s, now, &event);
}

static void service_subscription(struct tern_gossip_service *s, tern_time now,
                                 const struct tern_gossip_out *out)
{
    struct service_event event = {.kind = out->kind == TERN_GOSSIP_SUBSCRIBED
                                              ? TERN_GOSSIP_EVENT_SUBSCRIBED
                                              : TERN_GOSSIP_EVENT_UNSUBSCRIBED,
                                  .peer = s->peers[s->by_core[out->peer]].id};
    event.chunk = tern_chunk_copy(s->mem, out->topic);
    if (event.chunk == NULL)
        return;
    event.message.topic = tern_chunk_view(event.chunk);
    service_push_event(s, now, &event);
}

static void service_drain(struct tern_gossip_service *s, tern_time now)
{
    struct tern_gossip_out out;
    while (tern_gossip_next(s->core, &out)) {
        switch (out.kind) {
        case TERN_GOSSIP_SEND:
            service_send(s, &out);
            break;
        case TERN_GOSSIP_DELIVER:
            service_deliver(s, now, &out);
            break;
        case TERN_GOSSIP_JOB:
            tern_swarm_submit_job(s->swarm, s->number, out.job);
            break;
        case TERN_GOSSIP_FAULT:
            tern_swarm_report(s->swarm, now, s->peers[s->by_core[out.peer]].peer, out.fault);
            break;
        case TERN_GOSSIP_SUBSCRIBED:
        case TERN_GOSSIP_UNSUBSCRIBED:
            service_subscription(s, now, &out);
            break;
        }
    }
}

bool tern_gossip_service_next(struct tern_gossip_service *s, struct tern_gossip_event *event)
{
    struct service_event next;
    tern_chunk_unref(s->held);
    s->held = NULL;
    if (!tern_ring_pop(&s->events, &next))
        return false;
    s->held = next.chunk;
    s->events_bytes -= next.chunk->size;
    *event = (struct tern_gossip_event){.kind = next.kind,
                                        .chunk = next.chunk,
                                        .message = next.message,
                                        .handle = next.handle,
                                        .peer = next.peer};
    return true;
}

/* --- receiving --- */

static bool service_partial_append(struct tern_gossip_service *s, struct service_peer *peer,
                                   struct tern_view bytes)
{
    size_t needed = peer->partial_size + bytes.size;
    if (needed > peer->partial_capacity) {
        size_t capacity = tern_max_size(needed, 2 * peer->partial_capacity);
        size_t more = capacity - peer->partial_capacity;
        if (tern_swarm_reserve_memory(s->swarm, s->number, peer->peer, more) != TERN_OK)
            return false;
        uint8_t *grown = tern_mem_realloc(s->mem, peer->partial, peer->partial_capacity, capacity);
        if (grown == NULL) {
            tern_swarm_release_memory(s->swarm, s->number, peer->peer, more);
            return false;
        }
        peer->partial = grown;
        peer->partial_capacity = capacity;
    }
    if (bytes.size > 0)
        memcpy(peer->partial + peer->partial_size, bytes.data, bytes.size);
    peer->partial_size = needed;
    return true;
}

static void service_partial_free(struct tern_gossip_service *s, struct service_peer *peer)
{
    if (peer->partial_capacity > 0)
        tern_swarm_release_memory(s->swarm, s->number, peer->peer, peer->partial_capacity);
    tern_mem_free(s->mem, peer->partial, peer->partial_capacity);
    peer->partial = NULL;
    peer->partial_size = 0;
    peer->partial_capacity = 0;
}

/* Gives all whole RPCs to the core; *used says how far it came. TERN_ERR_TRUNCATED is no failure.
 */
static tern_err service_rpcs(struct tern_gossip_service *s, tern_time now,
                             struct service_peer *peer, struct tern_view bytes, size_t *used)
{
    *used = 0;
    while (*used < bytes.size) {
        struct tern_view rpc;
        size_t took;
        TERN_TRY(tern_pb_frame(tern_view_of(bytes.data + *used, bytes.size - *used),
                               s->message_size_max, &rpc, &took));
        *used += took;
        if (peer->core == SERVICE_CORE_NONE)
            continue; /* it cannot be answered yet; what matters comes again */
        tern_gossip_rpc(s->core, now, peer->core, rpc);
        service_drain(s, now);
    }
    return TERN_OK;
}

/* Works on one segment: whole RPCs in place, the rest is kept. */
static tern_err service_segment(struct tern_gossip_service *s, tern_time now,
                                struct service_peer *peer, struct tern_view bytes)
{
    size_t used = 0;
    if (peer->partial_size > 0) {
        if (!service_partial_append(s, peer, bytes))
            return TERN_ERR_MEMORY;
        tern_err err =
            service_rpcs(s, now, peer, tern_view_of(peer->partial, peer->partial_size), &used);
        memmove(peer->partial, peer->partial + used, peer->partial_size - used);
        peer->partial_size -= used;
        if (peer->partial_size == 0)
            service_partial_free(s, peer);
        return err == TERN_ERR_TRUNCATED ? TERN_OK : err;
    }
    tern_err err = service_rpcs(s, now, peer, bytes, &used);
    if (err != TERN_ERR_TRUNCATED)
        return err;
    return service_partial_append(s, peer, tern_view_of(bytes.data + used, bytes.size - used))
               ? TERN_OK
               : TERN_ERR_MEMORY;
}

static void service_readable(struct tern_gossip_service *s, tern_time now,
                             struct service_peer *peer)
{
    struct tern_slice bytes;
    struct tern_stream in = peer->in;
    /* RPCs count for nothing before our own stream is agreed: then they wait, and so does the peer.
     */
    if (peer->core == SERVICE_CORE_NONE)
        return;
    while (peer->used && peer->in_open && tern_swarm_read(s->swarm, in, &bytes) == TERN_OK) {
        tern_err err = service_segment(s, now, peer, bytes.view);
        tern_swarm_consume(s->swarm, in, bytes.view.size);
        if (err == TERN_OK)
            continue;
        if (err != TERN_ERR_MEMORY)
            tern_swarm_report(s->swarm, now, peer->peer,
                              err == TERN_ERR_TOO_LARGE ? TERN_FAULT_GOSSIP_RPC_TOO_LARGE
                                                        : TERN_FAULT_GOSSIP_RPC_MALFORMED);
        tern_swarm_reset(s->swarm, in,
                         err == TERN_ERR_MEMORY ? TERN_STREAM_CODE_RESOURCE_LIMIT
                                                : TERN_STREAM_CODE_VIOLATION);
        peer->in_open = false;
        service_partial_free(s, peer);
    }
    /* The remote's end of its side: our answer is to end ours. */
    if (peer->used && peer->in_open && tern_swarm_read(s->swarm, in, &bytes) == TERN_ERR_END)
        TERN_IGNORE(tern_swarm_close_write(s->swarm, in)); /* it may have ended already */
}

/* --- peers and their streams --- */

static struct service_peer *service_find(struct tern_gossip_service *s, tern_peer peer)
{
    for (size_t i = 0; i < s->peers_count; i++)
        if (s->peers[i].used && s->peers[i].peer == peer)
            return &s->peers[i];
    return NULL;
}

static uint64_t service_user(const struct tern_gossip_service *s, const struct service_peer *peer)
{
    return (uint64_t)(peer - s->peers) + 1;
}

static struct service_peer *service_of_user(struct tern_gossip_service *s, uint64_t user)
{
    uint64_t index = user & ~SERVICE_OUTBOUND_BIT;
    TERN_CHECK(index >= 1 && index <= s->peers_count);
    return &s->peers[index - 1];
}

static void service_open(struct tern_gossip_service *s, tern_time now, struct service_peer *peer)
{
    struct tern_stream_request request = {.service = s->number,
                                          .peer = peer->peer,
                                          .offer = {.names = service_names,
                                                    .names_count = TERN_COUNT_OF(service_names),
                                                    .class = TERN_STREAM_TRANSACTIONS},
                                          .user = service_user(s, peer) | SERVICE_OUTBOUND_BIT};
    if (peer->opened_count >= SERVICE_REOPEN_MAX)
        return;
    peer->opened_count++;
    if (tern_swarm_open_stream(s->swarm, now, &request, &peer->out) != TERN_OK)
        return;
    tern_swarm_set_background(s->swarm, peer->out);
    peer->out_open = true;
}

static bool service_connection_outbound(struct tern_gossip_service *s, tern_peer peer)
{
    struct tern_connection_info info;
    tern_connection connection = tern_swarm_connection_first(s->swarm, peer);
    return connection != 0 && tern_swarm_connection_info(s->swarm, connection, &info) &&
           info.outbound;
}

static void service_peer_up(struct tern_gossip_service *s, tern_time now,
                            const struct tern_swarm_event *event)
{
    size_t i = 0;
    while (i < s->peers_count && s->peers[i].used)
        i++;
    if (i == SERVICE_PEERS_MAX)
        return;
    if (i == s->peers_count)
        s->peers_count++;
    struct service_peer *peer = &s->peers[i];
    *peer = (struct service_peer){.used = true,
                                  .peer = event->peer,
                                  .id = *event->peer_id,
                                  .core = SERVICE_CORE_NONE,
                                  .outbound = service_connection_outbound(s, event->peer)};
    tern_ring_init(&peer->queue, s->mem, sizeof(struct service_queued), TERN_GOSSIP_QUEUE_MAX);
    service_open(s, now, peer);
}

static void service_set_meshed(struct tern_gossip_service *s, struct service_peer *peer,
                               bool meshed)
{
    if (peer->meshed == meshed)
        return;
    peer->meshed = meshed;
    if (meshed)
        tern_swarm_protect(s->swarm, peer->peer, TERN_PROTECT_MESH);
    else
        tern_swarm_unprotect(s->swarm, peer->peer, TERN_PROTECT_MESH);
}

/* Peers in a mesh are protected, as of the last heartbeat. */
static void service_protect(struct tern_gossip_service *s, tern_time now)
{
    bool marks[SERVICE_PEERS_MAX] = {false};
    if (now < s->mesh_at)
        return;
    s->mesh_at = tern_time_add(now, SERVICE_MESH_INTERVAL_NS);
    tern_gossip_mesh_marks(s->core, marks, SERVICE_PEERS_MAX);
    for (size_t i = 0; i < s->peers_count; i++) {
        struct service_peer *peer = &s->peers[i];
        if (peer->used)
            service_set_meshed(s, peer, peer->core != SERVICE_CORE_NONE && marks[peer->core]);
    }
}

/* Our stream to the peer is gone: what waits for it goes too. */
static void service_out_ended(struct tern_gossip_service *s, tern_time now,
                              struct service_peer *peer)
{
    struct service_queued queued;
    peer->out_open = false;
    peer->out_ready = false;
    service_set_meshed(s, peer, false);
    while (tern_ring_pop(&peer->queue, &queued))
        tern_chunk_unref(queued.chunk);
    peer->queue_bytes = 0;
    if (peer->core == SERVICE_CORE_NONE)
        return;
    tern_gossip_peer_down(s->core, now, peer->core);
    peer->core = SERVICE_CORE_NONE;
}

static void service_peer_down(struct tern_gossip_service *s, tern_time now, tern_peer handle)
{
    struct service_peer *peer = service_find(s, handle);
    if (peer == NULL)
        return;
    service_out_ended(s, now, peer);
    service_partial_free(s, peer);
    tern_ring_fini(&peer->queue);
    peer->used = false;
}

static void service_ready(struct tern_gossip_service *s, tern_time now, struct service_peer *peer,
                          uint32_t offered_index)
{
    uint32_t core;
    TERN_CHECK(peer->core == SERVICE_CORE_NONE);
    struct tern_gossip_peer_options options = {
        .kind = service_kind(offered_index), .outbound = peer->outbound, .id = peer->id};
    if (tern_gossip_peer_up(s->core, now, &options, &core) != TERN_OK) {
        tern_swarm_reset(s->swarm, peer->out, TERN_STREAM_CODE_RESOURCE_LIMIT);
        peer->out_open = false;
        return;
    }
    peer->out_ready = true;
    peer->core = core;
    s->by_core[core] = (uint32_t)(peer - s->peers);
    service_drain(s, now);
    if (peer->in_open)
        service_readable(s, now, peer);
}

static void service_accept(struct tern_gossip_service *s, const struct tern_swarm_event *event)
{
    struct service_peer *peer = service_find(s, event->peer);
    if (peer == NULL) {
        tern_swarm_reset(s->swarm, event->stream, TERN_STREAM_CODE_RESOURCE_LIMIT);
        return;
    }
    if (peer->in_open) { /* the newer one counts */
        tern_swarm_reset(s->swarm, peer->in, TERN_STREAM_CODE_SUPPLANTED);
        service_partial_free(s, peer);
    }
    peer->in = event->stream;
    peer->in_open = true;
    tern_swarm_set_user(s->swarm, event->stream, service_user(s, peer));
    tern_swarm_set_background(s->swarm, event->stream);
}

static void service_ended(struct tern_gossip_service *s, tern_time now,
                          const struct tern_swarm_event *event)
{
    struct service_peer *peer = service_of_user(s, event->user);
    if (!peer->used)
        return;
    if ((event->user & SERVICE_OUTBOUND_BIT) != 0) {
        service_out_ended(s, now, peer);
        /* With its connection gone there may be another one to the peer. */
        if (event->err != TERN_ERR_NO_PROTOCOL)
            service_open(s, now, peer);
    } else {
        peer->in_open = false;
        service_partial_free(s, peer);
    }
}

static void service_event(void *self, tern_time now, const struct tern_swarm_event *event)
{
    struct tern_gossip_service *s = self;
    switch (event->kind) {
    case TERN_SWARM_PEER_UP:
        service_peer_up(s, now, event);
        break;
    case TERN_SWARM_PEER_DOWN:
        service_peer_down(s, now, event->peer);
        break;
    case TERN_SWARM_STREAM_OPENED:
        service_accept(s, event);
        break;
    case TERN_SWARM_STREAM_READY:
        service_ready(s, now, service_of_user(s, event->user), event->offered_index);
        break;
    case TERN_SWARM_STREAM_READABLE:
        if ((event->user & SERVICE_OUTBOUND_BIT) == 0 && event->user != 0)
            service_readable(s, now, service_of_user(s, event->user));
        break;
    case TERN_SWARM_STREAM_WRITABLE:
        if (event->user != 0)
            service_flush(s, service_of_user(s, event->user));
        break;
    case TERN_SWARM_STREAM_ENDED:
        if (event->user != 0)
            service_ended(s, now, event);
        break;
    case TERN_SWARM_CONNECTION_UP:
    case TERN_SWARM_CONNECTION_DOWN:
    case TERN_SWARM_LISTENING:
    case TERN_SWARM_LISTEN_FAILED:
    case TERN_SWARM_DIAL_DONE:
    case TERN_SWARM_ADDRESSES:
    case TERN_SWARM_PROTOCOLS:
        break;
    }
}

static tern_time service_deadline(const void *self)
{
    const struct tern_gossip_service *s = self;
    return tern_gossip_deadline(s->core);
}

static void service_tick(void *self, tern_time now)
{
    struct tern_gossip_service *s = self;
    tern_gossip_tick(s->core, now);
    service_drain(s, now);
    service_protect(s, now);
}

static void service_job_done(void *self, tern_time now, struct tern_job *job)
{
    struct tern_gossip_service *s = self;
    tern_gossip_job_done(s->core, now, job);
    service_drain(s, now);
}

static const struct tern_service_ops service_ops = {.name = "gossip",
                                                    .event = service_event,
                                                    .deadline = service_deadline,
                                                    .tick = service_tick,
                                                    .job_done = service_job_done};

/* --- making, and what the host calls --- */

static tern_err service_register(struct tern_gossip_service *s)
{
    TERN_TRY(tern_swarm_add_service(s->swarm, &service_ops, s, &s->number));
    TERN_TRY(tern_swarm_tag_rule(s->swarm, &service_tag, &s->tag));
    for (size_t i = 0; i < TERN_COUNT_OF(service_names); i++)
        TERN_TRY(
            tern_swarm_handle(s->swarm, &(struct tern_protocol){.name = service_names[i],
                                                                .handler = s->number,
                                                                .class = TERN_STREAM_TRANSACTIONS,
                                                                .inbound_per_peer_max = 2}));
    return TERN_OK;
}

tern_err tern_gossip_service_new(const struct tern_gossip_service_options *options,
                                 struct tern_swarm *swarm, tern_time now,
                                 struct tern_gossip_service **out)
{
    struct tern_gossip_service *s = tern_mem_zalloc(options->mem, sizeof *s);
    if (s == NULL)
        return TERN_ERR_MEMORY;
    s->mem = options->mem;
    s->metrics = options->metrics;
    s->swarm = swarm;
    s->message_size_max = options->params.message_size_max;
    tern_ring_init(&s->events, s->mem, sizeof(struct service_event), TERN_GOSSIP_EVENTS_MAX);
    struct tern_gossip_options core = {.mem = options->mem,
                                       .random = options->random,
                                       .trace = options->trace,
                                       .metrics = options->metrics,
                                       .params = options->params,
                                       .policy = options->policy,
                                       .identity = tern_swarm_identity(swarm),
                                       .own_id = *tern_swarm_own_id(swarm)};
    core.params.peers_max = SERVICE_PEERS_MAX;
    s->peers = tern_mem_zalloc(s->mem, SERVICE_PEERS_MAX * sizeof *s->peers);
    s->by_core = tern_mem_zalloc(s->mem, SERVICE_PEERS_MAX * sizeof *s->by_core);
    tern_err err = s->peers == NULL || s->by_core == NULL ? TERN_ERR_MEMORY
                                                          : tern_gossip_new(&core, now, &s->core);
    if (err == TERN_OK)
        err = service_register(s);
    if (err != TERN_OK) {
        tern_gossip_service_free(s);
        return err;
    }
    *out = s;
    return TERN_OK;
}

void tern_gossip_service_free(struct tern_gossip_service *s)
{
    struct service_event event;
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->peers_count; i++)
        if (s->peers[i].used)
            service_peer_down(s, 0, s->peers[i].peer);
    tern_chunk_unref(s->held);
    while (tern_ring_pop(&s->events, &event))
        tern_chunk_unref(event.chunk);
    tern_ring_fini(&s->events);
    tern_gossip_free(s->core);
    tern_mem_free(s->mem, s->peers, SERVICE_PEERS_MAX * sizeof *s->peers);
    tern_mem_free(s->mem, s->by_core, SERVICE_PEERS_MAX * sizeof *s->by_core);
    tern_mem_free(s->mem, s, sizeof *s);
}

tern_err tern_gossip_service_subscribe(struct tern_gossip_service *s, tern_time now,
                                       struct tern_view topic, unsigned flags)
{
    tern_err err = tern_gossip_subscribe(s->core, now, topic, flags);
    service_drain(s, now);
    return err;
}

void tern_gossip_service_unsubscribe(struct tern_gossip_service *s, tern_time now,
                                     struct tern_view topic)
{
    tern_gossip_unsubscribe(s->core, now, topic);
    service_drain(s, now);
}

tern_err tern_gossip_service_publish(struct tern_gossip_service *s, tern_time now,
                                     struct tern_view topic, struct tern_view data)
{
    tern_err err = tern_gossip_publish(s->core, now, tern_swarm_wall(s->swarm, now), topic, data);
    service_drain(s, now);
    return err;
}

void tern_gossip_service_verdict(struct tern_gossip_service *s, tern_time now,
                                 tern_gossip_handle handle, enum tern_gossip_verdict verdict)
{
    tern_gossip_verdict(s->core, now, handle, verdict);
    service_drain(s, now);
}

size_t tern_gossip_service_peers(const struct tern_gossip_service *s, enum tern_gossip_list list,
                                 struct tern_view topic, struct tern_peer_id *peers, size_t max)
{
    uint32_t slots[SERVICE_PEERS_MAX];
    size_t limit = tern_min_size(max, SERVICE_PEERS_MAX);
    size_t count = list == TERN_GOSSIP_LIST_MESH
                       ? tern_gossip_mesh_peers(s->core, topic, slots, limit)
                       : tern_gossip_topic_peers(s->core, topic, slots, limit);
    for (size_t i = 0; i < count; i++)
        peers[i] = s->peers[s->by_core[slots[i]]].id;
    return count;
}
