/*
 * The transport: what its owner and the world call.
 */
#include "quic/quic.h"

#include "crypto/secret.h"
#include "quic/quic_internal.h"

/* Defaults of the options. */
#define QUIC_HANDSHAKE_TIMEOUT (10 * TERN_SECOND)
#define QUIC_IDLE_TIMEOUT      (30 * TERN_SECOND)

/* Long before the limits of the ciphers (RFC 9001, section 6.6). */
static const uint64_t QUIC_KEY_BYTES = UINT64_C(64) << 30;

void quic_at(struct quic *quic, tern_time now)
{
    if (now > quic->now)
        quic->now = now;
}

tern_wall_time quic_wall(const struct quic *quic)
{
    return quic->wall == 0 ? 0 : quic->wall + tern_time_since(quic->now, quic->wall_at);
}

void quic_note(struct quic *quic, tern_fault fault)
{
    if (quic->options.metrics != NULL)
        tern_metrics_fault(quic->options.metrics, fault);
}

void quic_draw_cid(struct quic *quic, ngtcp2_cid *cid)
{
    uint8_t bytes[QUIC_CID_SIZE];
    tern_random_bytes(quic->options.random, bytes, sizeof bytes);
    ngtcp2_cid_init(cid, bytes, sizeof bytes);
}

/* --- sockets --- */

/* quic_socket_find is the number of a socket that is known. */
static uint16_t quic_socket_find(const struct quic *quic, tern_link_id socket)
{
    for (uint16_t i = 0; i < QUIC_SOCKETS_MAX; i++)
        if (quic->sockets[i].id == socket)
            return i;
    return QUIC_SOCKETS_MAX;
}

uint16_t quic_socket_number(struct quic *quic, tern_link_id socket)
{
    TERN_CHECK(socket != TERN_LINK_NONE);
    uint16_t number = quic_socket_find(quic, socket);
    if (number == QUIC_SOCKETS_MAX)
        number = quic_socket_find(quic, TERN_LINK_NONE);
    if (number < QUIC_SOCKETS_MAX)
        quic->sockets[number].id = socket;
    return number;
}

void quic_outbox(struct quic *quic, uint16_t socket, const struct tern_path *path, uint8_t ecn,
                 struct tern_view bytes)
{
    struct quic_socket *s = &quic->sockets[socket];
    TERN_CHECK(bytes.size > 0 && bytes.size <= TERN_QUIC_DATAGRAM_LIMIT);
    if (s->id == TERN_LINK_NONE || s->outbox_count >= QUIC_OUTBOX_MAX)
        return;
    struct quic_datagram *datagram = tern_mem_alloc(quic->mem, sizeof *datagram + bytes.size);
    if (datagram == NULL)
        return;
    datagram->path = *path;
    datagram->ecn = ecn;
    datagram->size = (uint32_t)bytes.size;
    memcpy(datagram->bytes, bytes.data, bytes.size);
    tern_list_push_back(&s->outbox, &datagram->link);
    s->outbox_count++;
}

static void quic_outbox_pop(struct quic *quic, struct quic_socket *socket)
{
    TERN_CHECK(!tern_list_empty(&socket->outbox));
    struct quic_datagram *datagram =
        TERN_LIST_ENTRY(socket->outbox.next, struct quic_datagram, link);
    tern_list_remove(&datagram->link);
    tern_mem_free(quic->mem, datagram, sizeof *datagram + datagram->size);
    socket->outbox_count--;
}

/* quic_outbox_send gives the oldest datagram of the outbox; false: there is none that fits. */
static bool quic_outbox_send(struct quic *quic, struct quic_socket *socket,
                             struct tern_datagrams_out *out)
{
    struct tern_list *node = tern_list_front(&socket->outbox);
    if (node == NULL)
        return false;
    const struct quic_datagram *datagram = TERN_LIST_ENTRY(node, struct quic_datagram, link);
    if (datagram->size > tern_writer_left(&out->writer))
        return false;
    out->path = datagram->path;
    out->path.local.port = socket->port;
    out->ecn = datagram->ecn;
    out->segment_size = (uint16_t)datagram->size;
    tern_writer_bytes(&out->writer, tern_view_of(datagram->bytes, datagram->size));
    quic_outbox_pop(quic, socket);
    return true;
}

static void quic_socket_forget(struct quic *quic, struct quic_socket *socket)
{
    while (!tern_list_empty(&socket->outbox))
        quic_outbox_pop(quic, socket);
    TERN_CHECK(tern_list_empty(&socket->ready));
    socket->id = TERN_LINK_NONE;
    socket->port = 0;
}

/* --- what the owner calls --- */

static tern_err quic_op_dial(void *self, tern_time now, const struct tern_session_dial *dial,
                             struct tern_session *session)
{
    struct quic *quic = self;
    quic_at(quic, now);
    *session = (struct tern_session){.ops = NULL};
    bool web = dial->certhashes_count > 0;
    if ((web && quic->upper.attach == NULL) ||
        (dial->remote.family != 4 && dial->remote.family != 6))
        return TERN_ERR_UNSUPPORTED;
    uint16_t socket = quic_socket_number(quic, dial->socket);
    if (socket == QUIC_SOCKETS_MAX)
        return TERN_ERR_FULL;
    struct tern_quic_conn *conn;
    TERN_TRY(quic_conn_dial(quic, dial, socket, &conn));
    *session = quic_front_session(conn);
    return TERN_OK;
}

static tern_err quic_op_accept(void *self, tern_time now, struct tern_scope *scope, uint64_t tag,
                               struct tern_session *session)
{
    struct quic *quic = self;
    quic_at(quic, now);
    *session = (struct tern_session){.ops = NULL};
    struct tern_quic_conn *conn;
    TERN_TRY(quic_offer_accept(quic, scope, tag, &conn));
    *session = quic_front_session(conn);
    return TERN_OK;
}

static void quic_op_refuse(void *self, tern_time now, enum tern_session_refusal how)
{
    struct quic *quic = self;
    quic_at(quic, now);
    quic_offer_refuse(quic, how);
}

/* A QUIC packet has the fixed bit; a Version Negotiation packet may lack it (RFC 9443). */
static bool quic_op_claims(const void *self, struct tern_view datagram)
{
    static const uint8_t negotiation[4];
    (void)self;
    if (datagram.size == 0)
        return false;
    uint8_t first = datagram.data[0];
    if (first & 0x40)
        return true;
    return (first & 0x80) && datagram.size > sizeof negotiation &&
           memcmp(datagram.data + 1, negotiation, sizeof negotiation) == 0;
}

static void quic_op_recv(void *self, tern_time now, tern_link_id socket,
                         const struct tern_datagrams *in)
{
    struct quic *quic = self;
    quic_at(quic, now);
    uint16_t number = quic_socket_number(quic, socket);
    if (number == QUIC_SOCKETS_MAX || in->segment_size == 0)
        return;
    quic->sockets[number].port = in->path.local.port;
    quic_receive(quic, number, in);
}

static bool quic_op_next(void *self, struct tern_session_event *event)
{
    struct quic *quic = self;
    *event = (struct tern_session_event){.kind = TERN_SESSION_ACTIVE};
    struct tern_list *node = tern_list_pop_front(&quic->active);
    if (node != NULL) {
        event->tag = TERN_LIST_ENTRY(node, struct tern_quic_conn, active)->tag;
        return true;
    }
    event->kind = TERN_SESSION_OFFER;
    return quic_offer_next(quic, &event->offer);
}

_Static_assert((int)TERN_QUIC_DATAGRAM_MIN <= (int)TERN_SESSION_SEND_MIN, "one fits");

static bool quic_op_send(void *self, tern_time now, tern_link_id socket,
                         struct tern_datagrams_out *out)
{
    struct quic *quic = self;
    quic_at(quic, now);
    uint16_t number = quic_socket_find(quic, socket);
    if (number == QUIC_SOCKETS_MAX || tern_writer_left(&out->writer) < TERN_SESSION_SEND_MIN)
        return false;
    struct quic_socket *s = &quic->sockets[number];
    /* A session's packet may end in the outbox. */
    return quic_outbox_send(quic, s, out) || quic_send(quic, number, out) ||
           quic_outbox_send(quic, s, out);
}

static bool quic_op_want_send(const void *self, tern_link_id socket)
{
    const struct quic *quic = self;
    uint16_t number = quic_socket_find(quic, socket);
    if (number == QUIC_SOCKETS_MAX)
        return false;
    const struct quic_socket *s = &quic->sockets[number];
    return !tern_list_empty(&s->outbox) || !tern_list_empty(&s->ready);
}

static tern_time quic_op_deadline(const void *self)
{
    const struct quic *quic = self;
    return tern_time_min(tern_timer_next(&quic->timers), tern_timer_next(&quic->ending_timers));
}

static void quic_op_tick(void *self, tern_time now)
{
    struct quic *quic = self;
    quic_at(quic, now);
    struct tern_timer *timer;
    while ((timer = tern_timer_pop(&quic->ending_timers, quic->now)) != NULL)
        quic_ending_free(TERN_CONTAINER_OF(timer, struct quic_ending, timer));
    /* A session's next deadline lies ahead, so each is served once. */
    while ((timer = tern_timer_pop(&quic->timers, quic->now)) != NULL)
        quic_conn_tick(TERN_CONTAINER_OF(timer, struct tern_quic_conn, timer));
}

static void quic_op_socket_closed(void *self, tern_time now, tern_link_id socket)
{
    struct quic *quic = self;
    quic_at(quic, now);
    uint16_t number = quic_socket_find(quic, socket);
    if (number == QUIC_SOCKETS_MAX)
        return;
    TERN_LIST_FOREACH (node, &quic->conns) {
        struct tern_quic_conn *conn = TERN_LIST_ENTRY(node, struct tern_quic_conn, link);
        if (conn->ng != NULL && conn->socket == number)
            quic_conn_lose(conn, TERN_ERR_DISCONNECTED);
    }
    quic_offers_drop(quic, number);
    quic_endings_drop(quic, number);
    quic_socket_forget(quic, &quic->sockets[number]);
}

static void quic_op_fini(void *self)
{
    struct quic *quic = self;
    TERN_CHECK(tern_list_empty(&quic->conns) && tern_list_empty(&quic->active));
    quic_offers_drop(quic, QUIC_SOCKETS_MAX);
    quic_endings_drop(quic, QUIC_SOCKETS_MAX);
    for (uint16_t i = 0; i < QUIC_SOCKETS_MAX; i++)
        quic_socket_forget(quic, &quic->sockets[i]);
    TERN_CHECK(quic->half_open_count == 0);
    quic_tls_server_free(quic->tls_server);
    quic_replay_fini(&quic->replay);
    quic_tickets_fini(&quic->tickets);
    quic_routes_fini(&quic->routes);
    tern_timer_queue_fini(&quic->timers);
    tern_timer_queue_fini(&quic->ending_timers);
    struct tern_mem *mem = quic->mem;
    tern_secret_wipe(quic, sizeof *quic);
    tern_mem_free(mem, quic, sizeof *quic);
}

static const struct tern_session_transport_ops quic_ops = {
    .name = TERN_QUIC_PROTOCOL_ID,
    .dial = quic_op_dial,
    .accept = quic_op_accept,
    .refuse = quic_op_refuse,
    .claims = quic_op_claims,
    .recv = quic_op_recv,
    .next = quic_op_next,
    .send = quic_op_send,
    .want_send = quic_op_want_send,
    .deadline = quic_op_deadline,
    .tick = quic_op_tick,
    .socket_closed = quic_op_socket_closed,
    .fini = quic_op_fini,
};

/* --- making --- */

static uint32_t quic_or(uint32_t value, uint32_t otherwise)
{
    return value == 0 ? otherwise : value;
}

static tern_time quic_time_or(tern_time value, tern_time otherwise)
{
    return value == 0 ? otherwise : value;
}

/* quic_configure puts the defaults in; false: an option is out of bounds. */
static bool quic_configure(struct tern_quic_options *o)
{
    o->window_max = quic_or(o->window_max, TERN_QUIC_STREAM_WINDOW_DEFAULT);
    o->send_buffer_max = quic_or(o->send_buffer_max, TERN_QUIC_SEND_BUFFER_DEFAULT);
    o->unacked_max = quic_or(o->unacked_max, TERN_QUIC_UNACKED_DEFAULT);
    o->streams_in_max = quic_or(o->streams_in_max, TERN_QUIC_STREAMS_DEFAULT);
    o->streams_out_max = quic_or(o->streams_out_max, TERN_QUIC_STREAMS_DEFAULT);
    o->half_open_max = quic_or(o->half_open_max, TERN_QUIC_HALF_OPEN_DEFAULT);
    o->tickets_bytes_max = quic_or(o->tickets_bytes_max, TERN_QUIC_TICKETS_DEFAULT);
    o->datagram_max = (uint16_t)quic_or(o->datagram_max, TERN_QUIC_DATAGRAM_DEFAULT);
    o->key_update_bytes = o->key_update_bytes == 0 ? QUIC_KEY_BYTES : o->key_update_bytes;
    o->handshake_timeout_ns = quic_time_or(o->handshake_timeout_ns, QUIC_HANDSHAKE_TIMEOUT);
    o->idle_timeout_ns = quic_time_or(o->idle_timeout_ns, QUIC_IDLE_TIMEOUT);
    o->keep_alive_ns = tern_time_min(o->keep_alive_ns, o->idle_timeout_ns / 6 * 5);
    return o->window_max >= TERN_QUIC_STREAM_WINDOW_INITIAL &&
           o->window_max <= TERN_QUIC_WINDOW_LIMIT / 2 &&
           o->streams_in_max <= TERN_QUIC_STREAMS_LIMIT &&
           o->streams_out_max <= TERN_QUIC_STREAMS_LIMIT &&
           o->datagram_max >= TERN_QUIC_DATAGRAM_MIN && o->datagram_max <= TERN_QUIC_DATAGRAM_LIMIT;
}

static void quic_init(struct quic *quic, tern_time now)
{
    const struct tern_quic_options *options = &quic->options;
    quic->mem = options->mem;
    quic->now = now;
    quic->wall = options->wall;
    quic->wall_at = now;
    tern_timer_queue_init(&quic->timers, quic->mem);
    tern_timer_queue_init(&quic->ending_timers, quic->mem);
    quic_routes_init(&quic->routes, quic->mem, options->random);
    quic_tickets_init(&quic->tickets, quic->mem, options->random, options->tickets_bytes_max);
    quic_replay_init(&quic->replay, quic->mem, options->random);
    tern_list_init(&quic->conns);
    tern_list_init(&quic->active);
    tern_list_init(&quic->offers);
    tern_list_init(&quic->endings);
    for (uint16_t i = 0; i < QUIC_SOCKETS_MAX; i++) {
        quic->sockets[i].id = TERN_LINK_NONE;
        tern_list_init(&quic->sockets[i].outbox);
        tern_list_init(&quic->sockets[i].ready);
    }
    quic_secret_init(quic, &quic->retry);
    quic_secret_init(quic, &quic->token);
    quic_identity_secret(options->identity, quic->reset_secret);
}

tern_err tern_quic_new(const struct tern_quic_options *options, tern_time now,
                       struct tern_session_transport *transport)
{
    TERN_CHECK(options->mem != NULL && options->random != NULL && options->identity != NULL);
    *transport = (struct tern_session_transport){.ops = NULL};
    struct quic *quic = tern_mem_zalloc(options->mem, sizeof *quic);
    if (quic == NULL)
        return TERN_ERR_MEMORY;
    quic->options = *options;
    if (!quic_configure(&quic->options)) {
        tern_mem_free(options->mem, quic, sizeof *quic);
        return TERN_ERR_INVALID;
    }
    quic_init(quic, now);
    tern_err err = quic_tls_server_new(quic->mem, &quic->replay, &quic->tls_server);
    if (err != TERN_OK) {
        quic_op_fini(quic);
        return err;
    }
    *transport = (struct tern_session_transport){.ops = &quic_ops, .self = quic};
    return TERN_OK;
}

void tern_quic_set_wall(const struct tern_session_transport *transport, tern_time now,
                        tern_wall_time wall)
{
    TERN_CHECK(transport->ops == &quic_ops);
    struct quic *quic = transport->self;
    quic_at(quic, now);
    quic->wall = wall;
    quic->wall_at = quic->now;
}

tern_err tern_quic_set_upper(const struct tern_session_transport *transport,
                             const struct tern_quic_upper *upper,
                             const struct tern_certificate *certificate)
{
    TERN_CHECK(transport->ops == &quic_ops);
    struct quic *quic = transport->self;
    if (certificate != NULL)
        TERN_TRY(quic_identity_set(quic->options.identity, QUIC_ALPN_H3, certificate));
    quic->upper = *upper;
    return TERN_OK;
}
