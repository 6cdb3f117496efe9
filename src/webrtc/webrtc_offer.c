/*
 * Checks of names that no session has, until the owner has decided. They come from anybody and from
 * any address, so their number and their rate are bounded, and nothing is kept of those beyond.
 *
 * A remote whose session has ended here may go on checking its name: it lives on the answers. They
 * are not given for GRAVE_TIME, after which it has given up itself.
 */
#include "webrtc/webrtc_internal.h"

#define OFFERS_INTERVAL (2 * TERN_MILLISECOND)
#define GRAVE_TIME      TERN_MINUTE

enum { OFFERS_BURST = 256 };

static uint64_t offer_hash(const struct webrtc *w, struct tern_view name)
{
    return tern_siphash(w->names_key, name);
}

/* ---- names of the dead ---- */

void webrtc_bury(struct webrtc *w, struct tern_view name)
{
    w->graves[w->graves_next] =
        (struct webrtc_grave){.hash = offer_hash(w, name), .until = w->now + GRAVE_TIME};
    w->graves_next = (w->graves_next + 1) % WEBRTC_GRAVES_MAX;
}

static bool offer_is_buried(const struct webrtc *w, uint64_t hash)
{
    for (size_t i = 0; i < WEBRTC_GRAVES_MAX; i++) {
        if (w->graves[i].hash == hash && w->now < w->graves[i].until)
            return true;
    }
    return false;
}

/* ---- checks ---- */

static bool offer_is_known(const struct webrtc *w, uint64_t hash)
{
    TERN_LIST_FOREACH (node, &w->offers) {
        if (TERN_LIST_ENTRY(node, struct webrtc_offer, link)->hash == hash)
            return true;
    }
    return false;
}

/* offer_collides: is there a handshake with this address that goes on? When both ends dial at once
 * it is the dial with the larger tie-breaker that stays. */
static bool offer_collides(const struct webrtc *w, tern_link_id socket,
                           const struct tern_ice_message *message)
{
    const struct webrtc_route *route = webrtc_route_find(w, socket, &message->path->remote);
    const struct webrtc_session *busy = route == NULL ? NULL : webrtc_route_busy(route);
    if (busy == NULL)
        return false;
    return busy->listener || busy->state != WEBRTC_CHECKING ||
           busy->ice.tie_breaker >= message->stun->tie_breaker;
}

/* offer_fault is why a check makes no offer, or NONE; *name is its name. */
static tern_fault offer_fault(struct webrtc *w, tern_link_id socket,
                              const struct tern_ice_message *message, struct tern_ice_name *name)
{
    const struct tern_stun *m = message->stun;
    if (!tern_ice_name_parse(m->username, name))
        return TERN_FAULT_WEBRTC_STUN_USERNAME;
    if (w->half_open_count + w->offers_count >= w->options.half_open_max ||
        w->offers_count >= TERN_WEBRTC_OFFERS_MAX ||
        !tern_mux_bucket_take(&w->offers_taken, w->now, OFFERS_BURST, OFFERS_INTERVAL))
        return TERN_FAULT_WEBRTC_OFFER_FLOOD;
    if (!tern_stun_authentic(m, message->datagram, name->listener))
        return TERN_FAULT_WEBRTC_STUN_INTEGRITY;
    if (m->unknown_count > 0)
        return TERN_FAULT_WEBRTC_STUN_UNKNOWN_ATTRIBUTE;
    if (m->role == TERN_STUN_ROLE_CONTROLLED)
        return TERN_FAULT_WEBRTC_STUN_ROLE;
    if (offer_is_buried(w, offer_hash(w, name->listener)))
        return TERN_FAULT_WEBRTC_ENDED;
    if (offer_collides(w, socket, message))
        return TERN_FAULT_WEBRTC_COLLISION;
    return TERN_FAULT_NONE;
}

void webrtc_offer_take(struct webrtc *w, tern_link_id socket,
                       const struct tern_ice_message *message)
{
    struct tern_ice_name name;
    tern_fault fault = offer_fault(w, socket, message, &name);
    webrtc_note(w, fault);
    if (fault != TERN_FAULT_NONE || offer_is_known(w, offer_hash(w, name.listener)))
        return;
    struct webrtc_offer *offer = tern_mem_alloc(w->mem, sizeof *offer);
    if (offer == NULL)
        return;
    *offer = (struct webrtc_offer){
        .hash = offer_hash(w, name.listener), .socket = socket, .path = *message->path};
    offer->datagram = tern_chunk_copy(w->mem, message->datagram);
    if (offer->datagram == NULL) {
        tern_mem_free(w->mem, offer, sizeof *offer);
        return;
    }
    tern_list_push_back(&w->offers, &offer->link);
    w->offers_count++;
}

/* ---- decisions ---- */

static void offer_free(struct webrtc *w, struct webrtc_offer *offer)
{
    if (offer == NULL)
        return;
    tern_chunk_unref(offer->datagram);
    tern_mem_free(w->mem, offer, sizeof *offer);
}

void webrtc_offer_refuse(struct webrtc *w)
{
    offer_free(w, w->offer);
    w->offer = NULL;
}

bool webrtc_offer_next(struct webrtc *w, struct tern_session_offer *offer)
{
    webrtc_offer_refuse(w);
    struct tern_list *node = tern_list_pop_front(&w->offers);
    if (node == NULL)
        return false;
    w->offers_count--;
    w->offer = TERN_LIST_ENTRY(node, struct webrtc_offer, link);
    *offer = (struct tern_session_offer){
        .socket = w->offer->socket, .path = w->offer->path, .validated = false};
    return true;
}

/* offer_begin makes the session known and lets it answer the check. */
static tern_err offer_begin(struct webrtc_session *s, const struct tern_ice_message *message,
                            const struct tern_ice_name *name)
{
    struct webrtc *w = s->webrtc;
    TERN_TRY(tern_ice_init_listener(&s->ice, w->mem, name));
    TERN_TRY(webrtc_bind(s, &message->path->remote));
    TERN_TRY(tern_map_insert(&w->names, &s->name, s->ice.name.listener));
    s->named = true;
    s->bytes_in = message->datagram.size;
    bool ours = webrtc_session_stun(s, message);
    TERN_CHECK(ours);
    return TERN_OK;
}

/* offer_rival is the dial that gives way to an offer; NULL: none. */
static struct webrtc_session *offer_rival(const struct webrtc *w, const struct webrtc_offer *offer)
{
    const struct webrtc_route *route = webrtc_route_find(w, offer->socket, &offer->path.remote);
    return route == NULL ? NULL : webrtc_route_busy(route);
}

static tern_err offer_accept(struct webrtc *w, const struct webrtc_offer *offer,
                             struct webrtc_birth *birth, struct webrtc_session **session)
{
    struct tern_stun stun;
    struct tern_ice_name name;
    tern_fault fault;
    const struct tern_ice_message message = {
        .stun = &stun, .datagram = tern_chunk_view(offer->datagram), .path = &offer->path};
    /* It was read before, when the offer was made. */
    if (tern_stun_decode(message.datagram, &stun, &fault) != TERN_OK ||
        !tern_ice_name_parse(stun.username, &name))
        TERN_UNREACHABLE();
    birth->socket = webrtc_socket_use(w, offer->socket);
    if (birth->socket == NULL || tern_map_find(&w->names, name.listener) != NULL ||
        offer_collides(w, offer->socket, &message))
        return TERN_ERR_FULL;
    struct webrtc_session *rival = offer_rival(w, offer);
    struct webrtc_session *s = webrtc_session_new(w, birth);
    if (s == NULL)
        return TERN_ERR_MEMORY;
    tern_err err = offer_begin(s, &message, &name);
    if (err != TERN_OK) {
        webrtc_session_free(s);
        return err;
    }
    if (rival != NULL)
        webrtc_session_fail(rival, TERN_ERR_REFUSED, TERN_FAULT_NONE);
    *session = s;
    return TERN_OK;
}

tern_err webrtc_offer_accept(struct webrtc *w, struct tern_scope *scope, uint64_t tag,
                             struct webrtc_session **session)
{
    struct webrtc_offer *offer = w->offer;
    TERN_CHECK(offer != NULL);
    w->offer = NULL;
    *session = NULL;
    struct webrtc_birth birth = {.listener = true, .path = offer->path, .scope = scope, .tag = tag};
    tern_err err = offer_accept(w, offer, &birth, session);
    offer_free(w, offer);
    return err;
}

void webrtc_offers_drop(struct webrtc *w, tern_link_id socket)
{
    TERN_LIST_FOREACH_SAFE (node, next, &w->offers) {
        struct webrtc_offer *offer = TERN_LIST_ENTRY(node, struct webrtc_offer, link);
        if (socket != TERN_LINK_NONE && offer->socket != socket)
            continue;
        tern_list_remove(node);
        w->offers_count--;
        offer_free(w, offer);
    }
    if (w->offer != NULL && (socket == TERN_LINK_NONE || w->offer->socket == socket))
        webrtc_offer_refuse(w);
}
