/* The transport: what its owner and the world call. */
#include "webrtc/webrtc.h"

#include "crypto/secret.h"
#include "webrtc/webrtc_internal.h"

/* Defaults of the options. */
#define WEBRTC_HANDSHAKE_TIMEOUT (20 * TERN_SECOND)
#define WEBRTC_IDLE_TIMEOUT      (30 * TERN_SECOND)
#define WEBRTC_STALL_TIMEOUT     (10 * TERN_SECOND)

enum { WEBRTC_MULTIHASH_SHA256 = 0x12 };

void webrtc_note(struct webrtc *w, tern_fault fault)
{
    if (fault != TERN_FAULT_NONE && w->options.metrics != NULL)
        tern_metrics_fault(w->options.metrics, fault);
}

/* ---- sockets ---- */

struct webrtc_socket *webrtc_socket_find(struct webrtc *w, tern_link_id id)
{
    for (size_t i = 0; i < TERN_WEBRTC_SOCKETS_MAX; i++) {
        if (w->sockets[i].id == id)
            return &w->sockets[i];
    }
    return NULL;
}

struct webrtc_socket *webrtc_socket_use(struct webrtc *w, tern_link_id id)
{
    TERN_CHECK(id != TERN_LINK_NONE);
    struct webrtc_socket *socket = webrtc_socket_find(w, id);
    if (socket == NULL)
        socket = webrtc_socket_find(w, TERN_LINK_NONE);
    if (socket != NULL)
        socket->id = id;
    return socket;
}

void webrtc_farewell(struct webrtc *w, struct webrtc_socket *socket, const struct tern_path *path,
                     struct tern_view bytes)
{
    if (w->farewells_count >= TERN_WEBRTC_FAREWELLS_MAX)
        return;
    struct webrtc_farewell *farewell = tern_mem_alloc(w->mem, sizeof *farewell + bytes.size);
    if (farewell == NULL)
        return;
    farewell->path = *path;
    farewell->size = (uint32_t)bytes.size;
    memcpy(farewell->bytes, bytes.data, bytes.size);
    tern_list_push_back(&socket->farewells, &farewell->link);
    w->farewells_count++;
}

static void webrtc_farewell_free(struct webrtc *w, struct webrtc_farewell *farewell)
{
    tern_list_remove(&farewell->link);
    tern_mem_free(w->mem, farewell, sizeof *farewell + farewell->size);
    w->farewells_count--;
}

static bool webrtc_farewell_send(struct webrtc *w, struct webrtc_socket *socket,
                                 struct tern_datagrams_out *out)
{
    struct tern_list *node = tern_list_front(&socket->farewells);
    if (node == NULL)
        return false;
    struct webrtc_farewell *farewell = TERN_LIST_ENTRY(node, struct webrtc_farewell, link);
    if (farewell->size > tern_writer_left(&out->writer))
        return false;
    out->path = farewell->path;
    out->segment_size = (uint16_t)farewell->size;
    tern_writer_bytes(&out->writer, tern_view_of(farewell->bytes, farewell->size));
    webrtc_farewell_free(w, farewell);
    return true;
}

static void webrtc_socket_forget(struct webrtc *w, struct webrtc_socket *socket)
{
    struct tern_list *node;
    while ((node = tern_list_front(&socket->farewells)) != NULL)
        webrtc_farewell_free(w, TERN_LIST_ENTRY(node, struct webrtc_farewell, link));
    TERN_CHECK(tern_list_empty(&socket->ready));
    socket->id = TERN_LINK_NONE;
}

/* ---- dials ---- */

/* dial_hashes keeps the sums of SHA-256 among the certificate's multihashes. */
static void dial_hashes(struct webrtc_session *s, const struct tern_session_dial *dial)
{
    for (size_t i = 0; i < dial->certhashes_count; i++) {
        struct tern_view hash = dial->certhashes[i];
        if (s->certhashes_count == TERN_DTLS_CERTHASHES_MAX)
            return;
        if (hash.size != TERN_WEBRTC_CERTHASH_SIZE || hash.data[0] != WEBRTC_MULTIHASH_SHA256 ||
            hash.data[1] != TERN_SHA256_SIZE)
            continue;
        memcpy(s->certhashes[s->certhashes_count++], hash.data + 2, TERN_SHA256_SIZE);
    }
}

static tern_err dial_begin(struct webrtc_session *s, const struct tern_session_dial *dial)
{
    struct webrtc *w = s->webrtc;
    dial_hashes(s, dial);
    if (s->certhashes_count == 0)
        return TERN_ERR_UNSUPPORTED;
    if (dial->expected_peer != NULL)
        s->expected = *dial->expected_peer;
    TERN_TRY(tern_ice_init_dialer(&s->ice, w->mem, &w->random, w->options.dial_version, &s->path));
    return webrtc_bind(s, &s->path.remote);
}

static tern_err webrtc_op_dial(void *self, tern_time now, const struct tern_session_dial *dial,
                               struct tern_session *session)
{
    struct webrtc *w = self;
    webrtc_at(w, now);
    *session = (struct tern_session){.ops = NULL};
    if (dial->remote.family != 4 && dial->remote.family != 6)
        return TERN_ERR_UNSUPPORTED;
    const struct webrtc_route *route = webrtc_route_find(w, dial->socket, &dial->remote);
    struct webrtc_socket *socket = webrtc_socket_use(w, dial->socket);
    if (socket == NULL || (route != NULL && webrtc_route_busy(route) != NULL))
        return TERN_ERR_FULL;
    const struct webrtc_birth birth = {.listener = false,
                                       .socket = socket,
                                       .path = {.remote = dial->remote},
                                       .scope = dial->scope,
                                       .tag = dial->tag};
    struct webrtc_session *s = webrtc_session_new(w, &birth);
    if (s == NULL)
        return TERN_ERR_MEMORY;
    tern_err err = dial_begin(s, dial);
    if (err != TERN_OK) {
        webrtc_session_free(s);
        return err;
    }
    webrtc_session_update(s);
    *session = webrtc_mux_session(s);
    return TERN_OK;
}

/* ---- what the owner calls ---- */

static tern_err webrtc_op_accept(void *self, tern_time now, struct tern_scope *scope, uint64_t tag,
                                 struct tern_session *session)
{
    struct webrtc *w = self;
    webrtc_at(w, now);
    *session = (struct tern_session){.ops = NULL};
    struct webrtc_session *s;
    TERN_TRY(webrtc_offer_accept(w, scope, tag, &s));
    webrtc_session_update(s);
    *session = webrtc_mux_session(s);
    return TERN_OK;
}

/* There is no way to say anything to a remote before DTLS. */
static void webrtc_op_refuse(void *self, tern_time now, enum tern_session_refusal how)
{
    struct webrtc *w = self;
    (void)how;
    webrtc_at(w, now);
    webrtc_offer_refuse(w);
}

static bool webrtc_op_claims(const void *self, struct tern_view datagram)
{
    (void)self;
    return tern_stun_is(datagram) || tern_dtls_is(datagram);
}

static void webrtc_op_recv(void *self, tern_time now, tern_link_id socket,
                           const struct tern_datagrams *in)
{
    struct webrtc *w = self;
    webrtc_at(w, now);
    if (in->segment_size > 0)
        webrtc_route_datagrams(w, socket, in);
}

static bool webrtc_op_next(void *self, struct tern_session_event *event)
{
    struct webrtc *w = self;
    *event = (struct tern_session_event){.kind = TERN_SESSION_ACTIVE};
    struct tern_list *node = tern_list_pop_front(&w->active);
    if (node != NULL) {
        event->tag = TERN_LIST_ENTRY(node, struct webrtc_session, active)->tag;
        return true;
    }
    event->kind = TERN_SESSION_OFFER;
    return webrtc_offer_next(w, &event->offer);
}

_Static_assert((int)TERN_DTLS_DATAGRAM_MAX <= (int)TERN_SESSION_SEND_MIN, "one fits");

static bool webrtc_op_send(void *self, tern_time now, tern_link_id socket,
                           struct tern_datagrams_out *out)
{
    struct webrtc *w = self;
    webrtc_at(w, now);
    struct webrtc_socket *from = webrtc_socket_find(w, socket);
    if (from == NULL || tern_writer_left(&out->writer) < TERN_SESSION_SEND_MIN)
        return false;
    out->ecn = 0;
    if (webrtc_farewell_send(w, from, out))
        return true;
    struct tern_list *node;
    while ((node = tern_list_pop_front(&from->ready)) != NULL) {
        struct webrtc_session *s = TERN_LIST_ENTRY(node, struct webrtc_session, ready);
        bool sent = webrtc_session_send(s, out);
        webrtc_session_update(s);
        if (sent)
            return true;
    }
    return webrtc_farewell_send(w, from, out);
}

static bool webrtc_op_want_send(const void *self, tern_link_id socket)
{
    const struct webrtc *w = self;
    for (size_t i = 0; i < TERN_WEBRTC_SOCKETS_MAX; i++) {
        const struct webrtc_socket *s = &w->sockets[i];
        if (s->id == socket)
            return !tern_list_empty(&s->farewells) || !tern_list_empty(&s->ready);
    }
    return false;
}

static tern_time webrtc_op_deadline(const void *self)
{
    const struct webrtc *w = self;
    return tern_timer_next(&w->timers);
}

static void webrtc_op_tick(void *self, tern_time now)
{
    struct webrtc *w = self;
    webrtc_at(w, now);
    struct tern_timer *timer;
    while ((timer = tern_timer_pop(&w->timers, w->now)) != NULL)
        webrtc_session_tick(TERN_CONTAINER_OF(timer, struct webrtc_session, timer));
}

static void webrtc_op_socket_closed(void *self, tern_time now, tern_link_id id)
{
    struct webrtc *w = self;
    webrtc_at(w, now);
    struct webrtc_socket *socket = webrtc_socket_find(w, id);
    webrtc_offers_drop(w, id);
    if (socket == NULL)
        return;
    TERN_LIST_FOREACH (node, &w->sessions) {
        struct webrtc_session *s = TERN_LIST_ENTRY(node, struct webrtc_session, link);
        if (s->socket != socket)
            continue;
        webrtc_session_fail(s, TERN_ERR_DISCONNECTED, TERN_FAULT_NONE);
        s->socket = NULL;
    }
    webrtc_socket_forget(w, socket);
}

static void webrtc_op_fini(void *self)
{
    struct webrtc *w = self;
    TERN_CHECK(tern_list_empty(&w->sessions) && w->half_open_count == 0);
    webrtc_offers_drop(w, TERN_LINK_NONE);
    for (size_t i = 0; i < TERN_WEBRTC_SOCKETS_MAX; i++)
        webrtc_socket_forget(w, &w->sockets[i]);
    tern_chunk_unref(w->room);
    tern_dtls_context_unref(w->dtls);
    tern_map_fini(&w->routes);
    tern_map_fini(&w->names);
    tern_timer_queue_fini(&w->timers);
    struct tern_mem *mem = w->mem;
    tern_secret_wipe(w, sizeof *w);
    tern_mem_free(mem, w, sizeof *w);
}

static const struct tern_session_transport_ops webrtc_ops = {
    .name = TERN_WEBRTC_PROTOCOL_ID,
    .dial = webrtc_op_dial,
    .accept = webrtc_op_accept,
    .refuse = webrtc_op_refuse,
    .claims = webrtc_op_claims,
    .recv = webrtc_op_recv,
    .next = webrtc_op_next,
    .send = webrtc_op_send,
    .want_send = webrtc_op_want_send,
    .deadline = webrtc_op_deadline,
    .tick = webrtc_op_tick,
    .socket_closed = webrtc_op_socket_closed,
    .fini = webrtc_op_fini,
};

/* ---- making ---- */

static uint32_t webrtc_or(uint32_t value, uint32_t otherwise)
{
    return value == 0 ? otherwise : value;
}

static tern_time webrtc_time_or(tern_time value, tern_time otherwise)
{
    return value == 0 ? otherwise : value;
}

/* webrtc_configure puts the defaults in; false: an option is out of bounds. */
static bool webrtc_configure(struct tern_webrtc_options *o)
{
    if (o->dial_version == 0)
        o->dial_version = TERN_ICE_V1;
    o->window_bytes = webrtc_or(o->window_bytes, TERN_WEBRTC_WINDOW_DEFAULT);
    o->send_buffer_max = webrtc_or(o->send_buffer_max, TERN_WEBRTC_SEND_BUFFER_DEFAULT);
    o->streams_in_max = webrtc_or(o->streams_in_max, TERN_WEBRTC_STREAMS_DEFAULT);
    o->streams_out_max = webrtc_or(o->streams_out_max, TERN_WEBRTC_STREAMS_DEFAULT);
    o->half_open_max = webrtc_or(o->half_open_max, TERN_WEBRTC_HALF_OPEN_DEFAULT);
    o->handshake_timeout_ns = webrtc_time_or(o->handshake_timeout_ns, WEBRTC_HANDSHAKE_TIMEOUT);
    o->idle_timeout_ns = webrtc_time_or(o->idle_timeout_ns, WEBRTC_IDLE_TIMEOUT);
    o->stall_timeout_ns = webrtc_time_or(o->stall_timeout_ns, WEBRTC_STALL_TIMEOUT);
    return (o->dial_version == TERN_ICE_V1 || o->dial_version == TERN_ICE_V2) &&
           o->window_bytes >= TERN_SCTP_WINDOW_MIN && o->window_bytes <= TERN_WEBRTC_WINDOW_LIMIT &&
           o->streams_in_max <= TERN_WEBRTC_STREAMS_LIMIT &&
           o->streams_out_max <= TERN_WEBRTC_STREAMS_LIMIT &&
           o->idle_timeout_ns >= TERN_WEBRTC_IDLE_TIMEOUT_MIN;
}

static void webrtc_map_init(struct webrtc *w, struct tern_map *map)
{
    const uint64_t key[2] = {tern_random_u64(&w->random), tern_random_u64(&w->random)};
    tern_map_init(map, w->mem, key);
}

static void webrtc_init(struct webrtc *w, tern_time now)
{
    w->mem = w->options.mem;
    w->now = now;
    tern_random_fork(w->options.random, &w->random);
    tern_timer_queue_init(&w->timers, w->mem);
    webrtc_map_init(w, &w->routes);
    webrtc_map_init(w, &w->names);
    tern_list_init(&w->sessions);
    tern_list_init(&w->active);
    tern_list_init(&w->offers);
    for (size_t i = 0; i < TERN_WEBRTC_SOCKETS_MAX; i++) {
        w->sockets[i].id = TERN_LINK_NONE;
        tern_list_init(&w->sockets[i].ready);
        tern_list_init(&w->sockets[i].farewells);
    }
    w->names_key[0] = tern_random_u64(&w->random);
    w->names_key[1] = tern_random_u64(&w->random);
}

tern_err tern_webrtc_new(const struct tern_webrtc_options *options, tern_time now,
                         struct tern_session_transport *transport)
{
    TERN_CHECK(options->mem != NULL && options->random != NULL && options->noise != NULL);
    *transport = (struct tern_session_transport){.ops = NULL};
    struct webrtc *w = tern_mem_zalloc(options->mem, sizeof *w);
    if (w == NULL)
        return TERN_ERR_MEMORY;
    w->options = *options;
    tern_err err = webrtc_configure(&w->options) ? TERN_OK : TERN_ERR_INVALID;
    if (err == TERN_OK)
        err = tern_dtls_context_new(options->mem, options->certificate, &w->dtls);
    if (err != TERN_OK) {
        tern_mem_free(options->mem, w, sizeof *w);
        return err;
    }
    w->options.certificate = NULL;
    webrtc_init(w, now);
    *transport = (struct tern_session_transport){.ops = &webrtc_ops, .self = w};
    return TERN_OK;
}

tern_err tern_webrtc_set_certificate(const struct tern_session_transport *transport,
                                     const struct tern_dtls_certificate *certificate)
{
    TERN_CHECK(transport->ops == &webrtc_ops);
    struct webrtc *w = transport->self;
    struct tern_dtls_context *context;
    TERN_TRY(tern_dtls_context_new(w->mem, certificate, &context));
    tern_dtls_context_unref(w->dtls);
    w->dtls = context;
    return TERN_OK;
}

void tern_webrtc_certhash(const struct tern_session_transport *transport,
                          uint8_t multihash[TERN_WEBRTC_CERTHASH_SIZE])
{
    TERN_CHECK(transport->ops == &webrtc_ops);
    const struct webrtc *w = transport->self;
    multihash[0] = WEBRTC_MULTIHASH_SHA256;
    multihash[1] = TERN_SHA256_SIZE;
    memcpy(multihash + 2, tern_dtls_context_fingerprint(w->dtls), TERN_SHA256_SIZE);
}
