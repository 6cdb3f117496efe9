/*
 * Peers we are connected to. A peer is there from its first connection to its last; the struct
 * lives until the last of its connections is freed, because their charges lie in its scope.
 *
 * Two connections. When both ends dial each other at once, two connections are established, one by
 * each. Both ends keep the one that the smaller peer id dialled, and end the other when its streams
 * have ended and SWARM_SUPPLANT_GRACE_NS has passed (a stream of the remote's may be on its way).
 * Connections established further apart than SWARM_SIMULTANEOUS_NS were not dialled at once: the
 * remote has lost the old one, so the new one is kept. A second connection that we dialled
 * ourselves (to an address, not knowing whom) ends at once. Several that the remote dialled are its
 * own affair, up to connections_per_peer_max; new streams go to the newest.
 */
#include "swarm/private.h"

enum { PEER_PROTOCOLS_SIZE_MAX = 8192, PEER_PROTOCOL_NAME_MAX = 255 };

void tern_peers_init(struct tern_swarm *s)
{
    const uint64_t key[2] = {tern_random_u64(s->config.random), tern_random_u64(s->config.random)};
    tern_map_init(&s->peers, s->mem, key);
    tern_slots_init(&s->peer_slots, s->mem, s->config.limits.links_max);
    tern_list_init(&s->peers_changed);
}

void tern_peers_fini(struct tern_swarm *s)
{
    TERN_CHECK(tern_map_count(&s->peers) == 0);
    tern_map_fini(&s->peers);
    tern_slots_fini(&s->peer_slots);
}

struct swarm_peer *tern_peers_find(const struct tern_swarm *s, const struct tern_peer_id *id)
{
    struct tern_map_entry *entry = tern_map_find(&s->peers, tern_peer_id_view(id));
    return entry == NULL ? NULL : TERN_CONTAINER_OF(entry, struct swarm_peer, entry);
}

struct swarm_peer *tern_peers_of_handle(const struct tern_swarm *s, tern_peer handle)
{
    return tern_slots_find(&s->peer_slots, handle);
}

static struct swarm_peer *peers_new(struct tern_swarm *s, const struct swarm_conn *c)
{
    const struct tern_secure_remote *remote = tern_conn_remote(c->core);
    struct swarm_peer *peer = tern_mem_zalloc(s->mem, sizeof *peer);
    if (peer == NULL)
        return NULL;
    peer->id = *remote->peer_id;
    if (tern_slots_add(&s->peer_slots, peer, &peer->handle) != TERN_OK) {
        tern_mem_free(s->mem, peer, sizeof *peer);
        return NULL;
    }
    if (tern_map_insert(&s->peers, &peer->entry, tern_peer_id_view(&peer->id)) != TERN_OK) {
        tern_slots_remove(&s->peer_slots, peer->handle);
        tern_mem_free(s->mem, peer, sizeof *peer);
        return NULL;
    }
    peer->meter.at = s->now;
    tern_public_key_copy(remote->public_key, &peer->key);
    tern_list_init(&peer->connections);
    tern_list_init(&peer->changed);
    tern_limits_scope_init(&peer->scope, TERN_SCOPE_PEER, &s->system, &s->config.limits.peer);
    return peer;
}

/* peers_leave takes the peer out of the tables: its handle is stale from now on. */
static void peers_leave(struct tern_swarm *s, struct swarm_peer *peer)
{
    tern_trim_forget(s, peer);
    tern_map_remove(&s->peers, &peer->entry);
    tern_slots_remove(&s->peer_slots, peer->handle);
    tern_list_remove(&peer->changed);
    tern_scopes_peer_leaves(s, peer);
    peer->handle = 0;
}

static void peers_free(struct tern_swarm *s, struct swarm_peer *peer)
{
    TERN_CHECK(peer->refs == 0 && peer->connections_count == 0);
    tern_scopes_peer_fini(s, peer);
    tern_tags_fini(s, peer);
    tern_bandwidth_peer_fini(s, peer);
    tern_scope_fini(&peer->scope);
    tern_public_key_fini(&peer->key);
    tern_mem_free(s->mem, peer->protocols, peer->protocols_size);
    tern_mem_free(s->mem, peer, sizeof *peer);
}

/* peers_loser is the one of two connections that is to end; older was there first. */
static struct swarm_conn *peers_loser(const struct tern_swarm *s, struct swarm_conn *older,
                                      struct swarm_conn *newer)
{
    if (tern_time_since(newer->established_at, older->established_at) > SWARM_SIMULTANEOUS_NS)
        return older;
    bool ours_kept = tern_peer_id_compare(&s->own_id, &newer->peer->id) < 0;
    return newer->outbound == ours_kept ? older : newer;
}

static void peers_supplant(struct tern_swarm *s, tern_time now, struct swarm_conn *newer)
{
    TERN_LIST_FOREACH (node, &newer->peer->connections) {
        struct swarm_conn *older = TERN_LIST_ENTRY(node, struct swarm_conn, siblings);
        if (older == newer || older->state != SWARM_CONN_OPEN || older->outbound == newer->outbound)
            continue;
        struct swarm_conn *loser = peers_loser(s, older, newer);
        if (loser->supplanted)
            continue;
        loser->supplanted = true;
        loser->supplanted_at = now;
        TERN_TRACE(s->config.trace, now, SWARM_SUPPLANTED, loser->handle, loser->outbound, 0);
        tern_metric_add(s->config.metrics, TERN_METRIC_SWARM_SUPPLANTED, 1);
        tern_conns_touch(s, loser);
    }
}

/* peers_has_ours: is there a usable connection that we dialled? */
static bool peers_has_ours(const struct swarm_peer *peer)
{
    TERN_LIST_FOREACH (node, &peer->connections) {
        const struct swarm_conn *c = TERN_LIST_ENTRY(node, struct swarm_conn, siblings);
        if (c->state == SWARM_CONN_OPEN && c->outbound && !c->supplanted && !c->going_away)
            return true;
    }
    return false;
}

static tern_err peers_admit(struct tern_swarm *s, struct swarm_peer *peer, struct swarm_conn *c)
{
    uint32_t max = s->config.limits.connections_per_peer_max;
    if (c->outbound && peers_has_ours(peer))
        return TERN_ERR_CLOSED;
    if (max != 0 && peer->connections_count >= max) {
        tern_limits_refuse_number(s, TERN_LIMIT_CONNECTIONS_PER_PEER, peer->connections_count,
                                  &peer->id);
        return TERN_ERR_SCOPE_CONNECTIONS;
    }
    return tern_limits_move(s, &c->scope, &peer->scope);
}

static void peers_count_connection(struct tern_swarm *s, const struct swarm_conn *c)
{
    tern_metric_add(s->config.metrics,
                    c->outbound ? TERN_METRIC_SWARM_OPENED_OUT : TERN_METRIC_SWARM_OPENED_IN, 1);
}

tern_err tern_peers_attach(struct tern_swarm *s, tern_time now, struct swarm_conn *c)
{
    struct swarm_peer *peer = tern_peers_find(s, tern_conn_remote(c->core)->peer_id);
    bool fresh = peer == NULL;
    if (fresh)
        peer = peers_new(s, c);
    if (peer == NULL)
        return TERN_ERR_MEMORY;
    tern_err err = peers_admit(s, peer, c);
    if (err != TERN_OK) {
        if (fresh) {
            peers_leave(s, peer);
            peers_free(s, peer);
        }
        return err;
    }
    bool first = peer->connections_count == 0;
    c->peer = peer;
    c->state = SWARM_CONN_OPEN;
    s->conns.open_count++;
    c->announced = true;
    peer->refs++;
    peer->connections_count++;
    tern_list_push_back(&peer->connections, &c->siblings);
    peers_count_connection(s, c);
    tern_metric_set(s->config.metrics, TERN_METRIC_SWARM_PEERS, tern_map_count(&s->peers));
    peers_supplant(s, now, c);
    TERN_TRACE(s->config.trace, now, SWARM_UP, c->handle, c->outbound, peer->connections_count);
    tern_book_connected(s, now, &peer->id);

    struct tern_swarm_event news = {
        .kind = TERN_SWARM_PEER_UP,
        .peer = peer->handle,
        .peer_id = &peer->id,
        .connection = c->handle,
    };
    if (first) {
        tern_breakers_peer_up(s, now, &peer->id);
        tern_swarm_tell_all(s, now, &news);
    }
    news.kind = TERN_SWARM_CONNECTION_UP;
    tern_swarm_tell_all(s, now, &news);
    tern_dials_connected(s, now, c);
    return TERN_OK;
}

/* peers_reinstate: if all that is left was to end in favour of the one that is gone, the newest
 * stays. */
static void peers_reinstate(struct tern_swarm *s, struct swarm_peer *peer)
{
    struct swarm_conn *best = tern_peers_best(peer);
    if (best == NULL || !best->supplanted)
        return;
    best->supplanted = false;
    best->supplanted_at = TERN_TIME_NEVER;
    tern_conns_touch(s, best);
}

void tern_peers_detach(struct tern_swarm *s, tern_time now, struct swarm_conn *c)
{
    struct swarm_peer *peer = c->peer;
    TERN_CHECK(c->state == SWARM_CONN_DOWN && c->announced);
    c->announced = false;
    tern_streams_end_all(s, now, c);
    tern_list_remove(&c->siblings);
    peer->connections_count--;
    tern_metric_add(s->config.metrics,
                    c->outbound ? TERN_METRIC_SWARM_CLOSED_OUT : TERN_METRIC_SWARM_CLOSED_IN, 1);
    struct tern_swarm_event news = {
        .kind = TERN_SWARM_CONNECTION_DOWN,
        .peer = peer->handle,
        .peer_id = &peer->id,
        .connection = c->handle,
        .code = c->code,
        .by_remote = c->code_theirs,
        .err = c->err,
        .fault = c->fault,
    };
    tern_swarm_tell_all(s, now, &news);
    if (peer->connections_count > 0) {
        peers_reinstate(s, peer);
        return;
    }
    tern_book_disconnected(s, now, &peer->id);
    news.kind = TERN_SWARM_PEER_DOWN;
    tern_swarm_tell_all(s, now, &news);
    peers_leave(s, peer);
    tern_breakers_peer_down(s, now, &peer->id);
    tern_metric_set(s->config.metrics, TERN_METRIC_SWARM_PEERS, tern_map_count(&s->peers));
}

void tern_peers_unref(struct tern_swarm *s, struct swarm_conn *c)
{
    struct swarm_peer *peer = c->peer;
    c->peer = NULL;
    if (c->announced) { /* the swarm is freed: nobody is told */
        c->announced = false;
        if (--peer->connections_count == 0)
            peers_leave(s, peer);
    }
    if (--peer->refs == 0)
        peers_free(s, peer);
}

struct swarm_conn *tern_peers_best(const struct swarm_peer *peer)
{
    struct swarm_conn *second = NULL;
    for (struct tern_list *node = peer->connections.prev; node != &peer->connections;
         node = node->prev) {
        struct swarm_conn *c = TERN_LIST_ENTRY(node, struct swarm_conn, siblings);
        if (c->state != SWARM_CONN_OPEN || c->going_away || c->cut)
            continue;
        if (!c->supplanted)
            return c;
        second = second == NULL ? c : second;
    }
    return second;
}

/* --- what services ask and tell --- */

tern_peer tern_swarm_find_peer(const struct tern_swarm *s, const struct tern_peer_id *id)
{
    const struct swarm_peer *peer = tern_peers_find(s, id);
    return peer == NULL || peer->connections_count == 0 ? 0 : peer->handle;
}

const struct tern_peer_id *tern_swarm_peer_id(const struct tern_swarm *s, tern_peer handle)
{
    const struct swarm_peer *peer = tern_peers_of_handle(s, handle);
    return peer == NULL ? NULL : &peer->id;
}

const struct tern_public_key *tern_swarm_peer_key(const struct tern_swarm *s, tern_peer handle)
{
    const struct swarm_peer *peer = tern_peers_of_handle(s, handle);
    return peer == NULL ? NULL : &peer->key;
}

static tern_peer peers_handle(struct tern_map_entry *entry)
{
    return entry == NULL ? 0 : TERN_CONTAINER_OF(entry, struct swarm_peer, entry)->handle;
}

tern_peer tern_swarm_peer_first(const struct tern_swarm *s)
{
    return peers_handle(tern_map_first(&s->peers));
}

tern_peer tern_swarm_peer_next(const struct tern_swarm *s, tern_peer handle)
{
    const struct swarm_peer *peer = tern_peers_of_handle(s, handle);
    return peer == NULL ? 0 : peers_handle(tern_map_next(&s->peers, &peer->entry));
}

size_t tern_swarm_peers_count(const struct tern_swarm *s)
{
    return tern_map_count(&s->peers);
}

tern_connection tern_swarm_connection_first(const struct tern_swarm *s, tern_peer handle)
{
    const struct swarm_peer *peer = tern_peers_of_handle(s, handle);
    struct tern_list *node = peer == NULL ? NULL : tern_list_front(&peer->connections);
    return node == NULL ? 0 : TERN_LIST_ENTRY(node, struct swarm_conn, siblings)->handle;
}

tern_connection tern_swarm_connection_next(const struct tern_swarm *s, tern_connection handle)
{
    const struct swarm_conn *c = tern_conns_find(s, handle);
    if (c == NULL || !c->announced || c->siblings.next == &c->peer->connections)
        return 0;
    return TERN_LIST_ENTRY(c->siblings.next, struct swarm_conn, siblings)->handle;
}

/* peers_tell_way names what secures a connection and carries its streams. */
static void peers_tell_way(const struct swarm_conn *c, struct tern_connection_info *info)
{
    static const char *const sessions[TERN_TRANSPORT_COUNT] = {
        [TERN_TRANSPORT_QUIC] = "tls",
        [TERN_TRANSPORT_WEBTRANSPORT] = "tls+noise",
        [TERN_TRANSPORT_WEBRTC] = "dtls+noise",
    };
    bool session = tern_conn_session(c->core) != NULL;
    info->secure =
        session ? sessions[c->transport] : tern_secure_name(tern_conn_secure_kind(c->core));
    info->muxer = session ? tern_transport_name(c->transport)
                          : tern_muxer_name(tern_conn_muxer_kind(c->core));
    TERN_CHECK(info->secure != NULL);
}

bool tern_swarm_connection_info(const struct tern_swarm *s, tern_connection handle,
                                struct tern_connection_info *info)
{
    const struct swarm_conn *c = tern_conns_find(s, handle);
    *info = (struct tern_connection_info){.connection = 0};
    if (c == NULL || !c->announced)
        return false;
    *info = (struct tern_connection_info){
        .connection = handle,
        .peer = c->peer->handle,
        .outbound = c->outbound,
        .local = c->local,
        .remote = {.transport = c->transport, .endpoint = c->remote},
        .opened_at = c->opened_at,
        .rtt_ns = tern_conn_rtt(c->core),
        .streams_count = c->streams_count,
        .bytes_in = c->bytes_in,
        .bytes_out = c->bytes_out,
    };
    peers_tell_way(c, info);
    tern_quality_read(&c->quality, &info->quality);
    return true;
}

void tern_swarm_disconnect(struct tern_swarm *s, tern_time now, tern_peer handle, uint32_t code)
{
    struct swarm_peer *peer = tern_peers_of_handle(s, handle);
    if (peer == NULL)
        return;
    TERN_LIST_FOREACH (node, &peer->connections) {
        struct swarm_conn *c = TERN_LIST_ENTRY(node, struct swarm_conn, siblings);
        tern_conns_close(s, now, c, (enum tern_connection_code)code, TERN_OK);
    }
}

/* peers_protocols_encode writes size and name of each, as many as fit the bounds. */
static uint32_t peers_protocols_encode(const struct tern_view *names, size_t count, uint8_t *out)
{
    uint32_t size = 0;
    for (size_t i = 0; i < count && i < TERN_SWARM_PROTOCOLS_MAX; i++) {
        if (names[i].size == 0 || names[i].size > PEER_PROTOCOL_NAME_MAX ||
            size + 1 + names[i].size > PEER_PROTOCOLS_SIZE_MAX)
            continue;
        if (out != NULL) {
            out[size] = (uint8_t)names[i].size;
            memcpy(&out[size + 1], names[i].data, names[i].size);
        }
        size += 1 + (uint32_t)names[i].size;
    }
    return size;
}

void tern_swarm_set_peer_protocols(struct tern_swarm *s, tern_peer handle,
                                   const struct tern_view *names, size_t count)
{
    struct swarm_peer *peer = tern_peers_of_handle(s, handle);
    if (peer == NULL)
        return;
    uint32_t size = peers_protocols_encode(names, count, NULL);
    uint8_t *protocols = size == 0 ? NULL : tern_mem_alloc(s->mem, size);
    if (size > 0 && protocols == NULL)
        return; /* what was known before still is */
    if (size > 0)
        peers_protocols_encode(names, count, protocols);
    bool same = tern_view_equal(tern_view_of(peer->protocols, peer->protocols_size),
                                tern_view_of(protocols, size));
    tern_mem_free(s->mem, peer->protocols, peer->protocols_size);
    peer->protocols = protocols;
    peer->protocols_size = size;
    if (!same && !tern_list_linked(&peer->changed))
        tern_list_push_back(&s->peers_changed, &peer->changed);
}

bool tern_swarm_peer_supports(const struct tern_swarm *s, tern_peer handle, struct tern_view name)
{
    const struct swarm_peer *peer = tern_peers_of_handle(s, handle);
    if (peer == NULL)
        return false;
    for (uint32_t i = 0; i < peer->protocols_size; i += 1u + peer->protocols[i])
        if (tern_view_equal(tern_view_of(&peer->protocols[i + 1], peer->protocols[i]), name))
            return true;
    return false;
}

bool tern_peers_tell_changed(struct tern_swarm *s, tern_time now)
{
    struct tern_list *node = tern_list_pop_front(&s->peers_changed);
    if (node == NULL)
        return false;
    struct swarm_peer *peer = TERN_LIST_ENTRY(node, struct swarm_peer, changed);
    const struct tern_swarm_event news = {
        .kind = TERN_SWARM_PROTOCOLS, .peer = peer->handle, .peer_id = &peer->id};
    tern_swarm_tell_all(s, now, &news);
    return true;
}
