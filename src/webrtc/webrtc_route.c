/*
 * Which session a datagram is for. Nothing in DTLS says so: it is the address that it came from,
 * which a check has made known. Several sessions may have to do with one address, when both ends
 * have dialled, or when the remote has begun anew: then a check is told by its name, a handshake
 * is that of the one session that has none yet, and a record is whose key opens it.
 */
#include "webrtc/webrtc_internal.h"

#include "base/writer.h"

static void route_key(uint8_t key[WEBRTC_ROUTE_KEY_SIZE], tern_link_id socket,
                      const struct tern_endpoint *remote)
{
    static const uint8_t zeros[sizeof remote->ip];
    size_t size = remote->family == 4 ? 4 : sizeof remote->ip;
    struct tern_writer w = tern_writer_of(key, WEBRTC_ROUTE_KEY_SIZE);
    tern_writer_u64be(&w, socket);
    tern_writer_u8(&w, remote->family);
    tern_writer_bytes(&w, tern_view_of(remote->ip, size));
    tern_writer_bytes(&w, tern_view_of(zeros, sizeof remote->ip - size));
    tern_writer_u16be(&w, remote->port);
    tern_writer_u32be(&w, remote->scope_id);
    TERN_CHECK(tern_writer_ok(&w) && w.size == WEBRTC_ROUTE_KEY_SIZE);
}

struct webrtc_route *webrtc_route_find(const struct webrtc *w, tern_link_id socket,
                                       const struct tern_endpoint *remote)
{
    uint8_t key[WEBRTC_ROUTE_KEY_SIZE];
    route_key(key, socket, remote);
    struct tern_map_entry *entry = tern_map_find(&w->routes, tern_view_of(key, sizeof key));
    return entry == NULL ? NULL : TERN_CONTAINER_OF(entry, struct webrtc_route, entry);
}

static struct webrtc_session *route_session(struct tern_list *node)
{
    return TERN_LIST_ENTRY(node, struct webrtc_binding, in_route)->session;
}

struct webrtc_session *webrtc_route_busy(const struct webrtc_route *route)
{
    TERN_LIST_FOREACH (node, &route->bindings) {
        struct webrtc_session *s = route_session(node);
        if (s->state == WEBRTC_CHECKING || s->state == WEBRTC_SECURING)
            return s;
    }
    return NULL;
}

/* ---- bindings ---- */

static void route_unbind(struct webrtc_session *s, struct webrtc_binding *binding)
{
    struct webrtc *w = s->webrtc;
    struct webrtc_route *route = binding->route;
    tern_list_remove(&binding->in_route);
    tern_list_remove(&binding->in_session);
    s->bindings_count--;
    tern_mem_free(w->mem, binding, sizeof *binding);
    if (--route->count > 0)
        return;
    tern_map_remove(&w->routes, &route->entry);
    tern_mem_free(w->mem, route, sizeof *route);
}

void webrtc_unbind_all(struct webrtc_session *s)
{
    struct tern_list *node;
    while ((node = tern_list_front(&s->bindings)) != NULL)
        route_unbind(s, TERN_LIST_ENTRY(node, struct webrtc_binding, in_session));
}

/* route_oldest is the oldest address of a session that it does not send to. */
static struct webrtc_binding *route_oldest(const struct webrtc_session *s)
{
    const struct webrtc_route *current =
        webrtc_route_find(s->webrtc, s->socket->id, &s->path.remote);
    TERN_LIST_FOREACH (node, &s->bindings) {
        struct webrtc_binding *binding = TERN_LIST_ENTRY(node, struct webrtc_binding, in_session);
        if (binding->route != current)
            return binding;
    }
    TERN_UNREACHABLE();
}

static struct webrtc_route *route_new(struct webrtc *w, tern_link_id socket,
                                      const struct tern_endpoint *remote)
{
    struct webrtc_route *route = tern_mem_zalloc(w->mem, sizeof *route);
    if (route == NULL)
        return NULL;
    tern_list_init(&route->bindings);
    route_key(route->key, socket, remote);
    struct tern_view key = tern_view_of(route->key, sizeof route->key);
    if (tern_map_insert(&w->routes, &route->entry, key) == TERN_OK)
        return route;
    tern_mem_free(w->mem, route, sizeof *route);
    return NULL;
}

static bool route_has(const struct webrtc_route *route, const struct webrtc_session *s)
{
    TERN_LIST_FOREACH (node, &route->bindings) {
        if (route_session(node) == s)
            return true;
    }
    return false;
}

bool webrtc_bindable(const struct webrtc_session *s, const struct tern_endpoint *remote)
{
    const struct webrtc_route *route = webrtc_route_find(s->webrtc, s->socket->id, remote);
    return route == NULL || route->count < TERN_WEBRTC_SHARING_MAX || route_has(route, s);
}

tern_err webrtc_bind(struct webrtc_session *s, const struct tern_endpoint *remote)
{
    struct webrtc *w = s->webrtc;
    struct webrtc_route *route = webrtc_route_find(w, s->socket->id, remote);
    if (route != NULL && route_has(route, s))
        return TERN_OK;
    if (!webrtc_bindable(s, remote))
        return TERN_ERR_FULL;
    struct webrtc_binding *binding = tern_mem_zalloc(w->mem, sizeof *binding);
    if (binding == NULL)
        return TERN_ERR_MEMORY;
    if (route == NULL)
        route = route_new(w, s->socket->id, remote);
    if (route == NULL) {
        tern_mem_free(w->mem, binding, sizeof *binding);
        return TERN_ERR_MEMORY;
    }
    binding->route = route;
    binding->session = s;
    tern_list_push_back(&route->bindings, &binding->in_route);
    tern_list_push_back(&s->bindings, &binding->in_session);
    route->count++;
    s->bindings_count++;
    if (s->bindings_count > TERN_WEBRTC_ADDRESSES_MAX)
        route_unbind(s, route_oldest(s));
    return TERN_OK;
}

/* ---- checks ---- */

/* route_stun_dialers gives a message to the sessions of a route that dialled; false: it is none of
 * theirs. */
static bool route_stun_dialers(const struct webrtc_route *route,
                               const struct tern_ice_message *message)
{
    TERN_LIST_FOREACH (node, &route->bindings) {
        struct webrtc_session *s = route_session(node);
        if (s->listener || !webrtc_session_stun(s, message))
            continue;
        webrtc_session_update(s);
        return true;
    }
    return false;
}

/* route_stun_listener gives a request to the session of its name; false: there is none. */
static bool route_stun_listener(struct webrtc *w, tern_link_id socket,
                                const struct tern_ice_message *message)
{
    struct tern_ice_name name;
    if (!tern_ice_name_parse(message->stun->username, &name))
        return false;
    struct tern_map_entry *entry = tern_map_find(&w->names, name.listener);
    if (entry == NULL)
        return false;
    struct webrtc_session *s = TERN_CONTAINER_OF(entry, struct webrtc_session, name);
    if (s->socket->id != socket || !webrtc_session_stun(s, message)) {
        webrtc_note(w, TERN_FAULT_WEBRTC_STUN_USERNAME);
        return true;
    }
    webrtc_session_update(s);
    return true;
}

static void route_stun(struct webrtc *w, tern_link_id socket, struct tern_view datagram,
                       const struct tern_path *path)
{
    struct tern_stun stun;
    tern_fault fault;
    if (tern_stun_decode(datagram, &stun, &fault) != TERN_OK) {
        webrtc_note(w, fault);
        return;
    }
    const struct tern_ice_message message = {.stun = &stun, .datagram = datagram, .path = path};
    const struct webrtc_route *route = webrtc_route_find(w, socket, &path->remote);
    if (route != NULL && route_stun_dialers(route, &message))
        return;
    if (stun.class == TERN_STUN_INDICATION)
        return; /* it has kept a NAT open */
    if (stun.class != TERN_STUN_REQUEST)
        webrtc_note(w, TERN_FAULT_WEBRTC_STUN_UNASKED);
    else if (!route_stun_listener(w, socket, &message))
        webrtc_offer_take(w, socket, &message);
}

/* ---- records ---- */

/* route_handshakes: does the session take records in the clear? */
static bool route_handshakes(const struct webrtc_session *s)
{
    return s->listener ? !s->has_dtls || s->dtls.handshake != NULL
                       : s->has_dtls && s->dtls.state == TERN_DTLS_HANDSHAKE;
}

/* route_clear is the session that a handshake's record is for: the one whose handshake goes on
 * before one that has only kept its last flight. */
static struct webrtc_session *route_clear(const struct webrtc_route *route)
{
    struct webrtc_session *s = webrtc_route_busy(route);
    if (s != NULL)
        return route_handshakes(s) ? s : NULL;
    TERN_LIST_FOREACH (node, &route->bindings) {
        s = route_session(node);
        if (route_handshakes(s))
            return s;
    }
    return NULL;
}

/* route_sealed gives a sealed record to the session whose key opens it, or else to the one that has
 * no keys yet, where it waits. */
static struct webrtc_session *route_sealed(const struct webrtc_route *route,
                                           struct tern_view datagram, const struct tern_path *path)
{
    struct webrtc_session *without = NULL;
    TERN_LIST_FOREACH_SAFE (node, next, &route->bindings) {
        struct webrtc_session *s = route_session(node);
        if (!s->has_dtls || s->dtls.state == TERN_DTLS_HANDSHAKE)
            without = s;
        else if (webrtc_session_datagram(s, datagram, path))
            return s;
    }
    if (without != NULL && without->has_dtls)
        webrtc_session_datagram(without, datagram, path);
    return without;
}

/* route_dtls returns the session that something may have happened to. */
static struct webrtc_session *route_dtls(const struct webrtc_route *route,
                                         struct tern_view datagram, const struct tern_path *path)
{
    if (tern_dtls_epoch(datagram) != 0)
        return route_sealed(route, datagram, path);
    struct webrtc_session *s = route_clear(route);
    if (s != NULL)
        webrtc_session_datagram(s, datagram, path);
    return s;
}

void webrtc_route_datagrams(struct webrtc *w, tern_link_id socket, const struct tern_datagrams *in)
{
    struct webrtc_session *last = NULL;
    for (size_t at = 0; at < in->data.size; at += in->segment_size) {
        size_t size = tern_min_size(in->segment_size, in->data.size - at);
        struct tern_view datagram = tern_view_part(in->data, at, size);
        if (tern_stun_is(datagram)) {
            route_stun(w, socket, datagram, &in->path);
            continue;
        }
        const struct webrtc_route *route = webrtc_route_find(w, socket, &in->path.remote);
        if (route == NULL || !tern_dtls_is(datagram)) {
            webrtc_note(w, TERN_FAULT_WEBRTC_STRAY);
            continue;
        }
        struct webrtc_session *s = route_dtls(route, datagram, &in->path);
        if (last != NULL && last != s)
            webrtc_session_update(last);
        last = s;
    }
    if (last != NULL)
        webrtc_session_update(last);
}
