#include "swarm/bandwidth.h"

#include "swarm/private.h"

enum {
    BANDWIDTH_TURN_MIN = 12 * 1024, /* a frame of a link needs about so much room */
    BANDWIDTH_TURN_MAX = 64 * 1024,
    BANDWIDTH_TURNS_A_SECOND = 50, /* of one who has it all */
    BANDWIDTH_BURST_FRACTION = 8,  /* of a second's bytes, when no burst is given */
    BANDWIDTH_OVERRIDES_MAX = 1024,
    BANDWIDTH_RUN_MAX = 4096, /* turns given in one dispatch */
};

/* What a flow's timer is part of. */
struct swarm_flows {
    struct swarm_timer timer;
    struct swarm_peer *peer;
    struct swarm_flow flow[TERN_DIRECTIONS];
};

/* --- buckets --- */

/* bucket_turn is the least that is worth a turn, and what one in line gets. */
static int64_t bucket_turn(const struct swarm_bucket *bucket)
{
    uint64_t turn = bucket->rate / BANDWIDTH_TURNS_A_SECOND;
    turn = turn < BANDWIDTH_TURN_MIN ? BANDWIDTH_TURN_MIN : turn;
    return turn > BANDWIDTH_TURN_MAX ? BANDWIDTH_TURN_MAX : (int64_t)turn;
}

static void bucket_set(struct swarm_bucket *bucket, tern_time now, const struct tern_quota *quota)
{
    uint64_t rate = quota->bytes_per_s;
    bucket->rate = rate != 0 && rate < TERN_QUOTA_MIN ? TERN_QUOTA_MIN : rate;
    bucket->rate = bucket->rate > TERN_QUOTA_MAX ? TERN_QUOTA_MAX : bucket->rate;
    bucket->burst =
        quota->burst_bytes != 0 ? quota->burst_bytes : bucket->rate / BANDWIDTH_BURST_FRACTION;
    uint64_t least = 2 * (uint64_t)bucket_turn(bucket);
    if (bucket->burst < least)
        bucket->burst = least;
    if (bucket->burst > TERN_QUOTA_MAX)
        bucket->burst = TERN_QUOTA_MAX;
    if (bucket->tokens > (int64_t)bucket->burst)
        bucket->tokens = (int64_t)bucket->burst;
    bucket->at = now;
}

/* bucket_time is how long so many bytes take. */
static tern_time bucket_time(const struct swarm_bucket *bucket, uint64_t bytes)
{
    uint64_t seconds = bytes / bucket->rate;
    uint64_t rest = bytes % bucket->rate;
    return tern_time_add(seconds * TERN_SECOND,
                         (rest * TERN_SECOND + bucket->rate - 1) / bucket->rate);
}

/* bucket_fill adds what has come together since; what is less than a byte's time is not lost. */
static void bucket_fill(struct swarm_bucket *bucket, tern_time now)
{
    if (bucket->rate == 0 || now <= bucket->at)
        return;
    uint64_t missing = (uint64_t)((int64_t)bucket->burst - bucket->tokens);
    if (missing == 0 || now - bucket->at >= bucket_time(bucket, missing)) {
        bucket->tokens = (int64_t)bucket->burst;
        bucket->at = now;
        return;
    }
    tern_time span = now - bucket->at; /* short: the burst takes longer */
    uint64_t whole =
        span / TERN_SECOND * bucket->rate + span % TERN_SECOND * bucket->rate / TERN_SECOND;
    bucket->tokens += (int64_t)whole;
    bucket->at +=
        whole / bucket->rate * TERN_SECOND + whole % bucket->rate * TERN_SECOND / bucket->rate;
}

static bool bucket_has_turn(const struct swarm_bucket *bucket)
{
    return bucket->rate == 0 || bucket->tokens >= bucket_turn(bucket);
}

/* bucket_turn_at is when it has enough for a turn; NEVER: it has. */
static tern_time bucket_turn_at(const struct swarm_bucket *bucket)
{
    if (bucket_has_turn(bucket))
        return TERN_TIME_NEVER;
    uint64_t missing = (uint64_t)(bucket_turn(bucket) - bucket->tokens);
    return tern_time_add(bucket->at, bucket_time(bucket, missing));
}

/* --- flows --- */

static const struct tern_quota *flows_quota(const struct tern_swarm *s,
                                            const struct swarm_peer *peer,
                                            enum tern_direction direction)
{
    struct tern_map_entry *entry =
        tern_map_find(&s->bandwidth.overrides, tern_peer_id_view(&peer->id));
    if (entry == NULL)
        return &s->bandwidth.peer_quotas[direction];
    return &TERN_CONTAINER_OF(entry, struct swarm_quota_override, entry)->quotas[direction];
}

static void flows_configure(struct tern_swarm *s, tern_time now, struct swarm_flows *flows)
{
    for (int i = 0; i < TERN_DIRECTIONS; i++) {
        struct swarm_bucket *bucket = &flows->flow[i].bucket;
        bucket_fill(bucket, now);
        bucket_set(bucket, now, flows_quota(s, flows->peer, (enum tern_direction)i));
    }
}

/* flows_of gives a peer's flows, made when they are first needed; NULL: no memory. */
static struct swarm_flows *flows_of(struct tern_swarm *s, tern_time now, struct swarm_peer *peer)
{
    if (peer->flows != NULL)
        return peer->flows;
    struct swarm_flows *flows = tern_mem_zalloc(s->mem, sizeof *flows);
    if (flows == NULL)
        return NULL;
    flows->peer = peer;
    flows->timer.kind = SWARM_TIMER_FLOWS;
    tern_timer_init(&flows->timer.timer);
    if (tern_timer_set(&s->timers, &flows->timer.timer, SWARM_FAR_NS) != TERN_OK) {
        tern_mem_free(s->mem, flows, sizeof *flows);
        return NULL;
    }
    for (int i = 0; i < TERN_DIRECTIONS; i++) {
        tern_list_init(&flows->flow[i].queue);
        flows->flow[i].bucket.tokens = INT64_MAX; /* full: cut to the burst */
        flows->flow[i].bucket.at = now;
    }
    peer->flows = flows;
    flows_configure(s, now, flows);
    return flows;
}

void tern_bandwidth_peer_fini(struct tern_swarm *s, struct swarm_peer *peer)
{
    struct swarm_flows *flows = peer->flows;
    if (flows == NULL)
        return;
    for (int i = 0; i < TERN_DIRECTIONS; i++) {
        tern_list_remove(&flows->flow[i].queue);
        s->bandwidth.total[i].tokens += flows->flow[i].turn;
    }
    tern_timer_cancel(&s->timers, &flows->timer.timer);
    tern_mem_free(s->mem, flows, sizeof *flows);
    peer->flows = NULL;
}

static bool *flow_held(struct swarm_conn *c, enum tern_direction direction)
{
    return direction == TERN_IN ? &c->held_in : &c->held_out;
}

/* flow_next_held is the connection to wake: the one behind that which was woken last. */
static struct swarm_conn *flow_next_held(const struct swarm_peer *peer,
                                         const struct swarm_flow *flow,
                                         enum tern_direction direction)
{
    struct swarm_conn *first = NULL;
    bool behind = false;
    TERN_LIST_FOREACH (node, &peer->connections) {
        struct swarm_conn *c = TERN_LIST_ENTRY(node, struct swarm_conn, siblings);
        if (*flow_held(c, direction)) {
            if (behind)
                return c;
            first = first == NULL ? c : first;
        }
        behind = behind || c->handle == flow->last;
    }
    return first;
}

/* flow_sleep waits for the flow's own bucket. */
static void flow_sleep(struct tern_swarm *s, struct swarm_flows *flows, struct swarm_flow *flow)
{
    tern_time at = bucket_turn_at(&flow->bucket);
    flow->sleeps = true;
    if (at < flows->timer.timer.deadline) {
        tern_err err = tern_timer_set(&s->timers, &flows->timer.timer, at);
        TERN_CHECK(err == TERN_OK); /* it is armed: moving never fails */
    }
}

/* flow_wait puts a flow where it waits for what it lacks. */
static void flow_wait(struct tern_swarm *s, struct swarm_flows *flows,
                      enum tern_direction direction)
{
    struct swarm_flow *flow = &flows->flow[direction];
    if (!bucket_has_turn(&flow->bucket))
        flow_sleep(s, flows, flow);
    else if (!tern_list_linked(&flow->queue))
        tern_list_push_back(&s->bandwidth.queue[direction], &flow->queue);
}

/* flow_wake lets one of the peer's held connections go on; if others are held, the flow waits for
 * its next turn. */
static void flow_wake(struct tern_swarm *s, struct swarm_flows *flows,
                      enum tern_direction direction)
{
    struct swarm_flow *flow = &flows->flow[direction];
    struct swarm_conn *c = flow_next_held(flows->peer, flow, direction);
    if (c == NULL) {
        s->bandwidth.total[direction].tokens += flow->turn;
        flow->turn = 0;
        return;
    }
    flow->last = c->handle;
    *flow_held(c, direction) = false;
    c->woken = c->woken || direction == TERN_IN || c->by_streams;
    tern_conns_touch(s, c);
    if (flow_next_held(flows->peer, flow, direction) != NULL)
        flow_wait(s, flows, direction);
}

/* flow_take_turn takes a share of the total; false: it has to wait for it. */
static bool flow_take_turn(struct tern_swarm *s, struct swarm_flow *flow,
                           enum tern_direction direction)
{
    struct swarm_bucket *total = &s->bandwidth.total[direction];
    if (total->rate == 0 || flow->turn >= BANDWIDTH_TURN_MIN)
        return true;
    if (!tern_list_empty(&s->bandwidth.queue[direction]) || !bucket_has_turn(total))
        return false;
    total->tokens -= bucket_turn(total);
    flow->turn += bucket_turn(total);
    return true;
}

size_t tern_bandwidth_allow(struct tern_swarm *s, tern_time now, struct swarm_conn *c,
                            enum tern_direction direction)
{
    struct swarm_flows *flows = c->peer == NULL ? NULL : flows_of(s, now, c->peer);
    /* Nobody to be charged yet, a farewell, or no memory to count by. */
    if (flows == NULL || c->state != SWARM_CONN_OPEN)
        return SIZE_MAX;
    struct swarm_flow *flow = &flows->flow[direction];
    struct swarm_bucket *total = &s->bandwidth.total[direction];
    bucket_fill(&flow->bucket, now);
    bucket_fill(total, now);
    bool broke = flow->sleeps || !bucket_has_turn(&flow->bucket);
    if (broke) /* what it has of the total is for others meanwhile */
        tern_bandwidth_done(s, c, direction);
    if (broke || !flow_take_turn(s, flow, direction)) {
        *flow_held(c, direction) = true;
        flow_wait(s, flows, direction);
        return 0;
    }
    uint64_t allowed = total->rate == 0 ? UINT64_MAX : (uint64_t)flow->turn;
    if (flow->bucket.rate != 0 && (uint64_t)flow->bucket.tokens < allowed)
        allowed = (uint64_t)flow->bucket.tokens;
    return allowed > SIZE_MAX ? SIZE_MAX : (size_t)allowed;
}

void tern_bandwidth_used(struct tern_swarm *s, tern_time now, struct swarm_conn *c,
                         enum tern_direction direction, size_t size)
{
    struct swarm_flows *flows = c->peer == NULL ? NULL : flows_of(s, now, c->peer);
    struct swarm_bucket *total = &s->bandwidth.total[direction];
    int64_t charge = (int64_t)size;
    if (flows != NULL) {
        struct swarm_flow *flow = &flows->flow[direction];
        if (flow->bucket.rate != 0)
            flow->bucket.tokens -= charge;
        int64_t covered = charge < flow->turn ? charge : flow->turn;
        flow->turn -= covered;
        charge -= covered;
    }
    if (total->rate != 0)
        total->tokens -= charge;
}

void tern_bandwidth_done(struct tern_swarm *s, struct swarm_conn *c, enum tern_direction direction)
{
    struct swarm_flows *flows = c->peer == NULL ? NULL : c->peer->flows;
    if (flows == NULL)
        return;
    s->bandwidth.total[direction].tokens += flows->flow[direction].turn;
    flows->flow[direction].turn = 0;
}

void tern_bandwidth_timer(struct tern_swarm *s, tern_time now, struct tern_timer *timer)
{
    struct swarm_flows *flows =
        (struct swarm_flows *)(void *)((char *)timer - offsetof(struct swarm_flows, timer));
    for (int i = 0; i < TERN_DIRECTIONS; i++) {
        struct swarm_flow *flow = &flows->flow[i];
        if (!flow->sleeps)
            continue;
        bucket_fill(&flow->bucket, now);
        flow->sleeps = false;
        if (!bucket_has_turn(&flow->bucket))
            flow_sleep(s, flows, flow);
        else if (s->bandwidth.total[i].rate != 0)
            flow_wait(s, flows, (enum tern_direction)i);
        else
            flow_wake(s, flows, (enum tern_direction)i);
    }
}

void tern_bandwidth_run(struct tern_swarm *s, tern_time now)
{
    for (int i = 0; s->bandwidth.on && i < TERN_DIRECTIONS; i++) {
        struct swarm_bucket *total = &s->bandwidth.total[i];
        bucket_fill(total, now);
        for (int n = 0; n < BANDWIDTH_RUN_MAX && bucket_has_turn(total); n++) {
            struct tern_list *node = tern_list_pop_front(&s->bandwidth.queue[i]);
            if (node == NULL)
                break;
            struct swarm_flow *flow = TERN_LIST_ENTRY(node, struct swarm_flow, queue);
            struct swarm_flows *flows =
                (struct swarm_flows *)(void *)((char *)(flow - i) -
                                               offsetof(struct swarm_flows, flow));
            if (total->rate != 0) {
                total->tokens -= bucket_turn(total);
                flow->turn += bucket_turn(total);
            }
            flow_wake(s, flows, (enum tern_direction)i);
        }
    }
}

tern_time tern_bandwidth_deadline(const struct tern_swarm *s)
{
    tern_time deadline = TERN_TIME_NEVER;
    for (int i = 0; s->bandwidth.on && i < TERN_DIRECTIONS; i++)
        if (!tern_list_empty(&s->bandwidth.queue[i])) {
            tern_time at = bucket_turn_at(&s->bandwidth.total[i]);
            deadline = tern_time_min(deadline, at == TERN_TIME_NEVER ? s->now : at);
        }
    return deadline;
}

/* --- on the way of bytes --- */

void tern_bandwidth_send(struct tern_swarm *s, tern_time now, struct swarm_conn *c,
                         struct tern_writer *out)
{
    size_t before = out->size;
    if (!tern_conn_want_send(c->core)) {
        tern_conn_send(c->core, now, out); /* farewells of what wraps the link */
        tern_bandwidth_done(s, c, TERN_OUT);
        return;
    }
    size_t allowed = tern_bandwidth_allow(s, now, c, TERN_OUT);
    if (allowed == 0)
        return;
    struct tern_writer part =
        tern_writer_of(out->data + out->size, tern_min_size(allowed, tern_writer_left(out)));
    tern_conn_send(c->core, now, &part);
    out->size += part.size;
    if (part.size == 0) /* it needs more room than that: then it goes into debt */
        tern_conn_send(c->core, now, out);
    tern_bandwidth_used(s, now, c, TERN_OUT, out->size - before);
    if (!tern_conn_want_send(c->core))
        tern_bandwidth_done(s, c, TERN_OUT);
}

void tern_bandwidth_release(struct swarm_conn *c)
{
    c->held_in = c->held_out = false;
}

/* --- setting quotas --- */

static bool quotas_any(const struct tern_quota *quotas)
{
    return quotas[TERN_IN].bytes_per_s != 0 || quotas[TERN_OUT].bytes_per_s != 0;
}

/* bandwidth_apply lets new quotas count; all who wait look again. */
static void bandwidth_apply(struct tern_swarm *s, tern_time now)
{
    struct swarm_bandwidth *b = &s->bandwidth;
    b->on =
        quotas_any(b->peer_quotas) || b->total[TERN_IN].rate != 0 || b->total[TERN_OUT].rate != 0;
    TERN_MAP_FOREACH (entry, &b->overrides)
        b->on = b->on ||
                quotas_any(TERN_CONTAINER_OF(entry, struct swarm_quota_override, entry)->quotas);
    TERN_MAP_FOREACH (entry, &s->peers) {
        struct swarm_flows *flows = TERN_CONTAINER_OF(entry, struct swarm_peer, entry)->flows;
        if (flows == NULL)
            continue;
        flows_configure(s, now, flows);
        for (int i = 0; i < TERN_DIRECTIONS; i++) {
            struct swarm_flow *flow = &flows->flow[i];
            flow->sleeps = false;
            tern_list_remove(&flow->queue);
            for (int n = 0;
                 n < 256 && flow_next_held(flows->peer, flow, (enum tern_direction)i) != NULL; n++)
                flow_wake(s, flows, (enum tern_direction)i);
            tern_list_remove(&flow->queue);
        }
    }
}

void tern_swarm_set_quotas(struct tern_swarm *s, tern_time now, const struct tern_quotas *quotas)
{
    for (int i = 0; i < TERN_DIRECTIONS; i++) {
        bucket_fill(&s->bandwidth.total[i], now);
        bucket_set(&s->bandwidth.total[i], now, &quotas->total[i]);
        s->bandwidth.peer_quotas[i] = quotas->peer[i];
    }
    bandwidth_apply(s, now);
}

tern_err tern_swarm_set_peer_quota(struct tern_swarm *s, tern_time now,
                                   const struct tern_peer_id *id,
                                   const struct tern_quota quotas[TERN_DIRECTIONS])
{
    struct swarm_bandwidth *b = &s->bandwidth;
    struct tern_map_entry *entry = tern_map_find(&b->overrides, tern_peer_id_view(id));
    struct swarm_quota_override *override =
        entry == NULL ? NULL : TERN_CONTAINER_OF(entry, struct swarm_quota_override, entry);
    if (quotas == NULL) {
        if (override != NULL) {
            tern_map_remove(&b->overrides, &override->entry);
            tern_mem_free(s->mem, override, sizeof *override);
        }
        bandwidth_apply(s, now);
        return TERN_OK;
    }
    if (override == NULL) {
        if (tern_map_count(&b->overrides) == BANDWIDTH_OVERRIDES_MAX)
            return TERN_ERR_FULL;
        override = tern_mem_zalloc(s->mem, sizeof *override);
        if (override == NULL)
            return TERN_ERR_MEMORY;
        override->id = *id;
        tern_err err =
            tern_map_insert(&b->overrides, &override->entry, tern_peer_id_view(&override->id));
        if (err != TERN_OK) {
            tern_mem_free(s->mem, override, sizeof *override);
            return err;
        }
    }
    memcpy(override->quotas, quotas, sizeof override->quotas);
    bandwidth_apply(s, now);
    return TERN_OK;
}

void tern_bandwidth_init(struct tern_swarm *s, tern_time now)
{
    struct swarm_bandwidth *b = &s->bandwidth;
    tern_map_init(&b->overrides, s->mem, s->peers.hash_key);
    b->meter.at = now;
    for (int i = 0; i < TERN_DIRECTIONS; i++) {
        tern_list_init(&b->queue[i]);
        b->total[i].tokens = INT64_MAX;
        b->total[i].at = now;
    }
    tern_swarm_set_quotas(s, now, &s->config.quotas);
}

void tern_bandwidth_fini(struct tern_swarm *s)
{
    struct tern_map_entry *entry;
    while ((entry = tern_map_first(&s->bandwidth.overrides)) != NULL) {
        struct swarm_quota_override *override =
            TERN_CONTAINER_OF(entry, struct swarm_quota_override, entry);
        tern_map_remove(&s->bandwidth.overrides, entry);
        tern_mem_free(s->mem, override, sizeof *override);
    }
    tern_map_fini(&s->bandwidth.overrides);
}

/* --- meters --- */

void tern_bandwidth_count(struct tern_swarm *s, tern_time now, struct swarm_conn *c,
                          enum tern_direction direction, size_t size)
{
    tern_metric_add(s->config.metrics,
                    direction == TERN_IN ? TERN_METRIC_SWARM_BYTES_IN : TERN_METRIC_SWARM_BYTES_OUT,
                    size);
    tern_meter_add(&s->bandwidth.meter, now, direction, size);
    if (c == NULL)
        return;
    if (direction == TERN_IN)
        c->bytes_in += size;
    else
        c->bytes_out += size;
    if (c->peer != NULL)
        tern_meter_add(&c->peer->meter, now, direction, size);
}

void tern_bandwidth_count_session(struct tern_swarm *s, tern_time now, struct swarm_conn *c)
{
    const struct tern_session *session = tern_conn_session(c->core);
    struct tern_session_info info;
    (void)s;
    if (session == NULL)
        return;
    session->ops->info(session->mux.self, &info);
    if (c->peer != NULL) { /* in total they are counted where the datagrams are */
        tern_meter_add(&c->peer->meter, now, TERN_IN, (size_t)(info.bytes_in - c->bytes_in));
        tern_meter_add(&c->peer->meter, now, TERN_OUT, (size_t)(info.bytes_out - c->bytes_out));
    }
    c->bytes_in = info.bytes_in;
    c->bytes_out = info.bytes_out;
}

void tern_swarm_traffic(const struct tern_swarm *s, tern_time now, struct tern_traffic *traffic)
{
    tern_meter_read(&s->bandwidth.meter, now, traffic);
}

bool tern_swarm_peer_traffic(const struct tern_swarm *s, tern_time now, tern_peer handle,
                             struct tern_traffic *traffic)
{
    const struct swarm_peer *peer = tern_peers_of_handle(s, handle);
    *traffic = (struct tern_traffic){.bytes = {0}};
    if (peer != NULL)
        tern_meter_read(&peer->meter, now, traffic);
    return peer != NULL;
}

bool tern_swarm_protocol_traffic_next(const struct tern_swarm *s, tern_time now,
                                      struct tern_protocol_traffic *traffic)
{
    struct tern_map_entry *entry = tern_map_first(&s->protocol_names);
    if (traffic->name.size > 0) {
        const struct tern_map_entry *last = tern_map_find(&s->protocol_names, traffic->name);
        entry = last == NULL ? NULL : tern_map_next(&s->protocol_names, last);
    }
    if (entry == NULL)
        return false;
    const struct swarm_protocol *protocol = TERN_CONTAINER_OF(entry, struct swarm_protocol, entry);
    traffic->name = tern_view_of(protocol->name, protocol->name_size);
    traffic->streams_in = protocol->scope.used[TERN_RESOURCE_STREAMS_IN];
    traffic->streams_out = protocol->scope.used[TERN_RESOURCE_STREAMS_OUT];
    tern_meter_read(&protocol->meter, now, &traffic->traffic);
    return true;
}
