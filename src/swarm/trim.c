#include "swarm/trim.h"

#include "swarm/private.h"

/* So near to its limit are inbound connections when room is made for newcomers: ending one takes a
 * moment, so it has to begin before the last place is taken. */
enum { TRIM_ROOM_SHARE = 32 };

void tern_trim_init(struct tern_swarm *s, tern_time now)
{
    bool rotates = s->config.rotate_percent > 0 && s->config.rotate_interval_ns > 0;
    s->trim.next_at = now;
    s->trim.rotate_at =
        rotates ? tern_time_add(now, s->config.rotate_interval_ns) : TERN_TIME_NEVER;
}

size_t tern_swarm_open_count(const struct tern_swarm *s)
{
    return s->conns.open_count;
}

void tern_swarm_trim(struct tern_swarm *s)
{
    s->trim.forced = true;
}

/* --- who may go, and who goes first --- */

static struct swarm_peer *trim_peer_of(struct tern_map_entry *entry)
{
    return entry == NULL ? NULL : TERN_CONTAINER_OF(entry, struct swarm_peer, entry);
}

/* trim_settled: is the peer there for longer than the time in which it is left alone? */
static bool trim_settled(const struct tern_swarm *s, tern_time now,
                         const struct swarm_trim_candidate *candidate)
{
    return tern_time_since(now, candidate->since) >= s->config.trim_grace_ns;
}

/* trim_judge looks at one peer; false: it may not go. */
static bool trim_judge(const struct tern_swarm *s, tern_time now, const struct swarm_peer *peer,
                       struct swarm_trim_candidate *out)
{
    *out = (struct swarm_trim_candidate){.peer = peer->handle, .inbound = true, .since = now};
    TERN_LIST_FOREACH (node, &peer->connections) {
        const struct swarm_conn *c = TERN_LIST_ENTRY(node, struct swarm_conn, siblings);
        if (c->state != SWARM_CONN_OPEN)
            continue;
        out->connections++;
        out->since = tern_time_min(out->since, c->established_at);
        out->streams += c->streams_count;
        out->active += c->streams_active;
        out->inbound = out->inbound && !c->outbound;
    }
    out->value = tern_tags_value(s, peer);
    return out->connections > 0 && peer->protects == 0 && trim_settled(s, now, out);
}

/* trim_before: does a go before b? */
static bool trim_before(const struct swarm_trim_candidate *a, const struct swarm_trim_candidate *b)
{
    if (a->value != b->value)
        return a->value < b->value;
    if ((a->active == 0) != (b->active == 0))
        return a->active == 0;
    if (a->inbound != b->inbound)
        return a->inbound;
    if (a->streams != b->streams)
        return a->streams < b->streams;
    if (a->since != b->since)
        return a->since > b->since;
    return a->peer > b->peer;
}

/* --- the heap: the worst so far, of which the one that goes last is on top --- */

static void heap_swap(struct swarm_trim *trim, uint32_t a, uint32_t b)
{
    struct swarm_trim_candidate moved = trim->heap[a];
    trim->heap[a] = trim->heap[b];
    trim->heap[b] = moved;
}

static void heap_sink(struct swarm_trim *trim)
{
    for (uint32_t at = 0;;) {
        uint32_t last = at;
        for (uint32_t child = 2 * at + 1; child <= 2 * at + 2; child++)
            if (child < trim->heap_count && trim_before(&trim->heap[last], &trim->heap[child]))
                last = child;
        if (last == at)
            return;
        heap_swap(trim, at, last);
        at = last;
    }
}

static void heap_keep(struct swarm_trim *trim, const struct swarm_trim_candidate *candidate)
{
    if (trim->heap_count == SWARM_TRIM_BATCH) {
        if (!trim_before(candidate, &trim->heap[0]))
            return;
        trim->heap[0] = *candidate;
        heap_sink(trim);
        return;
    }
    uint32_t at = trim->heap_count++;
    trim->heap[at] = *candidate;
    for (; at > 0 && trim_before(&trim->heap[(at - 1) / 2], &trim->heap[at]); at = (at - 1) / 2)
        heap_swap(trim, at, (at - 1) / 2);
}

static struct swarm_trim_candidate heap_pop(struct swarm_trim *trim)
{
    struct swarm_trim_candidate top = trim->heap[0];
    trim->heap[0] = trim->heap[--trim->heap_count];
    heap_sink(trim);
    return top;
}

/* --- scans --- */

static void trim_begin(struct tern_swarm *s, enum swarm_trim_state state)
{
    s->trim.state = state;
    s->trim.heap_count = 0;
    s->trim.eligible = 0;
    s->trim.settled = 0;
    s->trim.cursor = trim_peer_of(tern_map_first(&s->peers));
}

/* trim_slice looks at a slice of the peers; true: all have been seen. */
static bool trim_slice(struct tern_swarm *s, tern_time now)
{
    struct swarm_trim *trim = &s->trim;
    struct swarm_trim_candidate candidate;
    for (int i = 0; i < SWARM_TRIM_SLICE && trim->cursor != NULL; i++) {
        const struct swarm_peer *peer = trim->cursor;
        trim->cursor = trim_peer_of(tern_map_next(&s->peers, &peer->entry));
        bool may_go = trim_judge(s, now, peer, &candidate);
        if (trim_settled(s, now, &candidate))
            trim->settled += candidate.connections;
        if (!may_go)
            continue;
        if (trim->state == SWARM_TRIM_ROTATE && candidate.inbound)
            continue;
        trim->eligible++;
        heap_keep(trim, &candidate);
    }
    return trim->cursor == NULL;
}

/* trim_end ends all connections of a peer that may still go. */
static bool trim_end(struct tern_swarm *s, tern_time now, tern_peer handle)
{
    struct swarm_trim_candidate fresh;
    const struct swarm_peer *peer = tern_peers_of_handle(s, handle);
    if (peer == NULL || !trim_judge(s, now, peer, &fresh))
        return false;
    s->trim.settled -= s->trim.settled < fresh.connections ? s->trim.settled : fresh.connections;
    TERN_TRACE(s->config.trace, now, SWARM_TRIM, handle, fresh.value, fresh.streams);
    TERN_LIST_FOREACH (node, &peer->connections) {
        struct swarm_conn *c = TERN_LIST_ENTRY(node, struct swarm_conn, siblings);
        if (c->state == SWARM_CONN_OPEN)
            tern_metric_add(s->config.metrics, TERN_METRIC_SWARM_TRIMMED, 1);
        tern_conns_close(s, now, c, TERN_CONNECTION_CODE_IDLE, TERN_OK);
    }
    return true;
}

/* trim_sort turns the heap into a list: who goes first is first. */
static uint32_t trim_sort(struct swarm_trim *trim)
{
    uint32_t count = trim->heap_count;
    while (trim->heap_count > 0) {
        uint32_t at = trim->heap_count - 1;
        struct swarm_trim_candidate top = heap_pop(trim);
        trim->heap[at] = top;
    }
    return count;
}

/* trim_apply ends what the scan has found: until connections_low are left, or the share of
 * outbound peers that a rotation takes. */
static void trim_apply(struct tern_swarm *s, tern_time now)
{
    struct swarm_trim *trim = &s->trim;
    uint32_t rotating = (uint32_t)((uint64_t)trim->eligible * s->config.rotate_percent / 100);
    bool rotates = trim->state == SWARM_TRIM_ROTATE;
    uint32_t low = s->config.limits.connections_low;
    uint32_t count = trim_sort(trim);
    uint32_t ended = 0;
    for (uint32_t i = 0; i < count; i++) {
        bool enough = rotates ? ended >= rotating : trim->settled <= low;
        if (enough)
            break;
        ended += trim_end(s, now, trim->heap[i].peer);
    }
    /* A full batch leaves others who may go. */
    if (!rotates && ended == SWARM_TRIM_BATCH && trim->settled > low) {
        trim_begin(s, SWARM_TRIM_SCAN);
        return;
    }
    trim->state = SWARM_TRIM_OFF;
    trim->next_at = tern_time_add(now, s->config.trim_interval_ns);
}

static bool trim_too_many(const struct tern_swarm *s)
{
    const struct tern_swarm_limits *limits = &s->config.limits;
    return limits->connections_high != 0 && s->conns.open_count > limits->connections_high;
}

/* trim_start begins what is due. */
static void trim_start(struct tern_swarm *s, tern_time now, bool forced)
{
    struct swarm_trim *trim = &s->trim;
    if (forced || (trim_too_many(s) && trim->next_at <= now)) {
        trim_begin(s, SWARM_TRIM_SCAN);
    } else if (trim->rotate_at <= now) {
        trim->rotate_at = tern_time_add(now, s->config.rotate_interval_ns);
        trim_begin(s, SWARM_TRIM_ROTATE);
    }
}

void tern_trim_run(struct tern_swarm *s, tern_time now)
{
    struct swarm_trim *trim = &s->trim;
    bool forced = trim->forced && s->config.limits.connections_high != 0;
    trim->forced = false;
    if (s->down)
        trim->state = SWARM_TRIM_OFF;
    else if (trim->state == SWARM_TRIM_OFF)
        trim_start(s, now, forced);
    if (trim->state != SWARM_TRIM_OFF && trim_slice(s, now))
        trim_apply(s, now);
}

bool tern_trim_busy(const struct tern_swarm *s)
{
    return s->trim.state != SWARM_TRIM_OFF || s->trim.forced;
}

tern_time tern_trim_deadline(const struct tern_swarm *s)
{
    tern_time deadline = s->down ? TERN_TIME_NEVER : s->trim.rotate_at;
    return trim_too_many(s) && !s->down ? tern_time_min(deadline, s->trim.next_at) : deadline;
}

void tern_trim_forget(struct tern_swarm *s, const struct swarm_peer *peer)
{
    struct tern_map_entry *next = tern_map_next(&s->peers, &peer->entry);
    if (s->trim.cursor == peer)
        s->trim.cursor = trim_peer_of(next);
    if (s->trim.look == peer)
        s->trim.look = trim_peer_of(next);
}

/* --- room for a newcomer --- */

/* trim_crowd is how many connections there are where the peer's come from. */
static uint32_t trim_crowd(const struct tern_swarm *s, const struct swarm_peer *peer)
{
    const struct tern_list *front = peer->connections.next;
    const struct swarm_conn *c =
        (const struct swarm_conn *)(const void *)((const char *)front -
                                                  offsetof(struct swarm_conn, siblings));
    struct tern_ip ip;
    tern_endpoint_ip(&c->remote, &ip);
    return tern_subnets_connections(&s->subnets, &ip, tern_subnets_neighbourhood(&ip));
}

void tern_trim_make_room(struct tern_swarm *s, tern_time now, const struct tern_ip *newcomer)
{
    uint64_t max = s->system.limits.max[TERN_RESOURCE_CONNECTIONS_IN];
    uint64_t used = s->system.used[TERN_RESOURCE_CONNECTIONS_IN];
    uint64_t spare = max / TRIM_ROOM_SHARE + 1;
    struct swarm_trim_candidate candidate;
    struct swarm_trim_candidate victim = {.peer = 0};
    uint32_t crowd =
        tern_subnets_connections(&s->subnets, newcomer, tern_subnets_neighbourhood(newcomer)) + 1;
    if (max == 0 || used + spare < max)
        return;
    for (int i = 0; i < SWARM_TRIM_ROOM_LOOK && i < (int)tern_map_count(&s->peers); i++) {
        const struct swarm_peer *peer =
            s->trim.look != NULL ? s->trim.look : trim_peer_of(tern_map_first(&s->peers));
        s->trim.look = trim_peer_of(tern_map_next(&s->peers, &peer->entry));
        if (!trim_judge(s, now, peer, &candidate) || !candidate.inbound || candidate.active > 0 ||
            candidate.value > 0)
            continue;
        uint32_t its = trim_crowd(s, peer);
        if (its > crowd || (its == crowd && victim.peer != 0 && trim_before(&candidate, &victim))) {
            crowd = its;
            victim = candidate;
        }
    }
    if (victim.peer != 0)
        trim_end(s, now, victim.peer);
}
