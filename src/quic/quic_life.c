/*
 * A session's life: packets in, time, errors, its end.
 *
 *   dial, accept ─► handshake ─► ESTABLISHED ─► CONFIRMED (at once, but for early data)
 *                                                  │ goaway: all acknowledged, then the code
 *   any ─ an error, the remote's close, silence ───┴─► ended: error says why; ngtcp2's connection
 * and TLS are gone, an ending may be left
 */
#include "quic/quic_internal.h"

/* How long a dialler's TLS session waits for a ticket. */
static const tern_time LIFE_TICKET_WAIT_NS = 10 * TERN_SECOND;

/* Round trips are told again after so long. */
static const tern_time LIFE_RTT_EVERY_NS = 5 * TERN_SECOND;

/* For how long large datagrams are not tried where they seem to vanish. */
static const tern_time LIFE_SMALL_NS = 10 * TERN_MINUTE;

enum { LIFE_SUSPECT_PTOS = 3 };

/* --- lines and news --- */

void quic_conn_wake(struct tern_quic_conn *conn)
{
    if (conn->ng != NULL && !tern_list_linked(&conn->ready))
        tern_list_push_back(&conn->quic->sockets[conn->socket].ready, &conn->ready);
}

void quic_conn_tell(struct tern_quic_conn *conn)
{
    if (!tern_list_linked(&conn->active))
        tern_list_push_back(&conn->quic->active, &conn->active);
}

/* life_follow_path keeps the session in the line of the socket that its path goes from. */
static void life_follow_path(struct tern_quic_conn *conn)
{
    uint16_t socket = tern_quic_path_socket(ngtcp2_conn_get_path(conn->ng));
    if (socket == conn->socket)
        return;
    conn->socket = socket;
    if (tern_list_linked(&conn->ready)) {
        tern_list_remove(&conn->ready);
        quic_conn_wake(conn);
    }
}

/* life_measure tells the owner a round trip from time to time. */
static void life_measure(struct tern_quic_conn *conn)
{
    tern_time now = conn->quic->now;
    if (!conn->confirmed || (conn->rtt_at != 0 && now - conn->rtt_at < LIFE_RTT_EVERY_NS))
        return;
    conn->rtt_ns = quic_conn_rtt(conn);
    if (conn->rtt_ns == 0)
        return;
    conn->rtt_at = now;
    conn->news |= QUIC_NEWS_RTT;
}

/* life_keep_ticket keeps the ticket that has come for the next dial to this peer. */
static void life_keep_ticket(struct tern_quic_conn *conn)
{
    uint8_t data[QUIC_TICKET_SIZE_MAX];
    uint8_t params[QUIC_TICKET_PARAMS_MAX];
    struct tern_writer out = tern_writer_of(data, sizeof data);
    conn->ticket_came = false;
    ngtcp2_ssize size = ngtcp2_conn_encode_0rtt_transport_params(conn->ng, params, sizeof params);
    if (size < 0 || conn->alpn != QUIC_ALPN_LIBP2P || !quic_tls_ticket(conn->tls, &out))
        return;
    const struct quic_ticket_news news = {
        .peer = &conn->peer,
        .key = &conn->key,
        .data = tern_writer_view(&out),
        .params = tern_view_of(params, (size_t)size),
        .early = quic_tls_ticket_early(conn->tls),
        .expires_at = tern_time_add(conn->quic->now, quic_tls_ticket_lifetime(conn->tls)),
    };
    quic_tickets_put(&conn->quic->tickets, &news);
}

/* life_tls lets the TLS session go when nothing more is expected of it. */
static void life_tls(struct tern_quic_conn *conn)
{
    if (conn->tls == NULL || !conn->confirmed)
        return;
    if (conn->tls_until == TERN_TIME_NEVER)
        conn->tls_until =
            conn->server ? conn->quic->now : tern_time_add(conn->quic->now, LIFE_TICKET_WAIT_NS);
    if (conn->ticket_came) {
        life_keep_ticket(conn);
        conn->tls_until = conn->quic->now;
    }
    if (conn->tls_until > conn->quic->now)
        return;
    quic_tls_free(conn->tls);
    conn->tls = NULL;
}

/* life_attach gives a connection that does not speak libp2p to who takes such. */
static void life_attach(struct tern_quic_conn *conn)
{
    struct quic *quic = conn->quic;
    if (conn->alpn == QUIC_ALPN_LIBP2P || !conn->established || conn->attached)
        return;
    struct tern_session session;
    tern_err err = TERN_ERR_UNSUPPORTED;
    if (quic->upper.attach != NULL)
        err = quic->upper.attach(quic->upper.self, quic->now, conn, &session);
    if (err != TERN_OK) {
        quic_conn_end(conn, err, TERN_FAULT_NONE, TERN_MUX_CODE_RESOURCE_LIMIT);
        return;
    }
    conn->front = session;
    conn->attached = true;
    quic_conn_tell(conn);
}

/* life_goodbye ends a session that says goodbye when the remote has all that was written. */
static void life_goodbye(struct tern_quic_conn *conn)
{
    ngtcp2_conn_info info;
    if (!conn->closing || !conn->confirmed || tern_list_linked(&conn->ready) ||
        !tern_schedule_empty(&conn->streams.schedule))
        return;
    ngtcp2_conn_get_conn_info(conn->ng, &info);
    if (info.bytes_in_flight == 0)
        quic_conn_end(conn, TERN_ERR_CLOSED, TERN_FAULT_NONE, conn->close_code);
}

void quic_conn_settle(struct tern_quic_conn *conn)
{
    if (conn->ng != NULL) {
        life_follow_path(conn);
        life_measure(conn);
        life_tls(conn);
        life_attach(conn);
    }
    if (conn->ng != NULL)
        life_goodbye(conn);
    if (conn->ng != NULL) {
        conn->ng_mem.used_max = quic_conn_memory_max(conn);
        tern_time deadline = ngtcp2_conn_get_expiry(conn->ng);
        if (conn->tls != NULL)
            deadline = tern_time_min(deadline, conn->tls_until);
        deadline = tern_time_coarse(conn->quic->now, deadline);
        /* Never out of the queue, so that it cannot lack room to come back. */
        deadline = tern_time_min(deadline, TERN_TIME_NEVER - 1);
        TERN_CHECK(tern_timer_set(&conn->quic->timers, &conn->timer, deadline) == TERN_OK);
    }
    if (conn->news != 0 || conn->error != TERN_OK || !tern_list_empty(&conn->streams.news))
        quic_conn_tell(conn);
}

/* --- packets and time --- */

void quic_conn_packet(struct tern_quic_conn *conn, const ngtcp2_path *path, uint8_t ecn,
                      struct tern_view bytes)
{
    if (conn->ng == NULL)
        return;
    const ngtcp2_pkt_info info = {.ecn = ecn};
    conn->bytes_in += bytes.size;
    conn->heard_at = conn->quic->now;
    int code = ngtcp2_conn_read_pkt(conn->ng, path, &info, bytes.data, bytes.size, conn->quic->now);
    if (code != 0)
        quic_conn_fail(conn, code);
    else
        quic_conn_wake(conn);
}

/* life_suspect: when nothing is heard while something is to be acknowledged, the path may have
 * begun to swallow large datagrams (RFC 8899, section 4.3); then it gets none for a while. */
static void life_suspect(struct tern_quic_conn *conn)
{
    ngtcp2_conn_info info;
    tern_time now = conn->quic->now;
    tern_time since = conn->heard_at > conn->waiting_since ? conn->heard_at : conn->waiting_since;
    if (!conn->confirmed || now - since < LIFE_SUSPECT_PTOS * ngtcp2_conn_get_pto(conn->ng))
        return;
    ngtcp2_conn_get_conn_info(conn->ng, &info);
    if (info.bytes_in_flight > 0)
        conn->small_until = tern_time_add(now, LIFE_SMALL_NS);
}

void quic_conn_tick(struct tern_quic_conn *conn)
{
    if (conn->ng == NULL)
        return;
    int code = ngtcp2_conn_handle_expiry(conn->ng, conn->quic->now);
    if (code != 0) {
        quic_conn_fail(conn, code);
    } else {
        life_suspect(conn);
        quic_conn_wake(conn);
    }
    quic_conn_settle(conn);
}

/* --- the end --- */

/* life_over makes the error final. What ngtcp2 and TLS held goes. */
static void life_over(struct tern_quic_conn *conn, tern_err err, tern_fault fault)
{
    TERN_CHECK(err != TERN_OK && conn->error == TERN_OK);
    struct quic *quic = conn->quic;
    conn->error = err;
    conn->fault = fault;
    conn->streams.over = true;
    tern_quic_path_get(ngtcp2_conn_get_path(conn->ng), &conn->last_path);
    tern_list_remove(&conn->ready);
    tern_timer_cancel(&quic->timers, &conn->timer);
    quic_tls_free(conn->tls);
    conn->tls = NULL;
    ngtcp2_conn_del(conn->ng);
    conn->ng = NULL;
    quic_streams_off(conn);
    quic_route_clear(&quic->routes, &conn->route);
    if (conn->half_open)
        quic->half_open_count--;
    conn->half_open = false;
    quic_conn_tell(conn);
}

void quic_conn_lose(struct tern_quic_conn *conn, tern_err err)
{
    life_over(conn, err, TERN_FAULT_NONE);
}

/* life_end tells the remote of the end, and remembers it for three probe time-outs. */
static void life_end(struct tern_quic_conn *conn, tern_err err, tern_fault fault,
                     const ngtcp2_ccerr *reason)
{
    uint8_t packet[QUIC_FAREWELL_MAX];
    struct tern_path path;
    size_t size = quic_conn_farewell(conn, reason, packet, &path);
    if (size > 0)
        quic_outbox(conn->quic, conn->socket, &path, 0, tern_view_of(packet, size));
    quic_ending_begin(conn, tern_view_of(packet, size), 3 * ngtcp2_conn_get_pto(conn->ng));
    life_over(conn, err, fault);
}

void quic_conn_end(struct tern_quic_conn *conn, tern_err err, tern_fault fault, uint64_t code)
{
    ngtcp2_ccerr reason;
    ngtcp2_ccerr_set_application_error(&reason, code, NULL, 0);
    life_end(conn, err, fault, &reason);
}

/* life_drained: the remote has ended the session, or lost it. */
static void life_drained(struct tern_quic_conn *conn)
{
    const ngtcp2_ccerr *reason = ngtcp2_conn_get_ccerr(conn->ng);
    tern_err err = TERN_ERR_DISCONNECTED;
    if (!conn->was_reset && reason->type == NGTCP2_CCERR_TYPE_APPLICATION) {
        err = TERN_ERR_CLOSED;
        conn->remote_code =
            (uint32_t)(reason->error_code > UINT32_MAX ? UINT32_MAX : reason->error_code);
        conn->news |= QUIC_NEWS_GOAWAY;
    } else if (!conn->was_reset && reason->error_code == NGTCP2_NO_ERROR) {
        err = TERN_ERR_CLOSED;
        conn->news |= QUIC_NEWS_GOAWAY;
    } else if (!conn->was_reset && reason->error_code == NGTCP2_CONNECTION_REFUSED) {
        err = TERN_ERR_REFUSED;
    }
    quic_ending_begin(conn, tern_view_of(NULL, 0), 3 * ngtcp2_conn_get_pto(conn->ng));
    life_over(conn, err, TERN_FAULT_NONE);
}

/* Alerts of TLS that say more than that it failed (RFC 8446, section 6). */
enum {
    ALERT_BAD_CERTIFICATE = 42,
    ALERT_CERTIFICATE_REQUIRED = 116,
    ALERT_NO_APPLICATION_PROTOCOL = 120,
};

/* life_tls_failed: TLS has refused what the remote sent. */
static void life_tls_failed(struct tern_quic_conn *conn)
{
    uint8_t alert = ngtcp2_conn_get_tls_alert(conn->ng);
    tern_err err = TERN_ERR_PROTOCOL;
    tern_fault fault = TERN_FAULT_QUIC_TLS;
    if (conn->tls_error != TERN_OK) {
        err = conn->tls_error;
        fault = conn->tls_fault;
    } else if (alert == ALERT_CERTIFICATE_REQUIRED) {
        fault = TERN_FAULT_QUIC_NO_CERTIFICATE;
    } else if (alert == ALERT_NO_APPLICATION_PROTOCOL) {
        err = TERN_ERR_NO_PROTOCOL;
        fault = TERN_FAULT_QUIC_NO_ALPN;
    }
    ngtcp2_ccerr reason;
    ngtcp2_ccerr_set_tls_alert(&reason, alert, NULL, 0);
    life_end(conn, err, fault, &reason);
}

/* What an error of ngtcp2's is to us, where the remote is to blame. */
static const struct {
    int code;
    tern_err err;
    tern_fault fault;
} life_faults[] = {
    {NGTCP2_ERR_PROTO, TERN_ERR_PROTOCOL, TERN_FAULT_QUIC_PROTOCOL},
    {NGTCP2_ERR_ACK_FRAME, TERN_ERR_MALFORMED, TERN_FAULT_QUIC_ACK},
    {NGTCP2_ERR_FLOW_CONTROL, TERN_ERR_PROTOCOL, TERN_FAULT_QUIC_FLOW_CONTROL},
    {NGTCP2_ERR_STREAM_LIMIT, TERN_ERR_PROTOCOL, TERN_FAULT_QUIC_STREAM_LIMIT},
    {NGTCP2_ERR_STREAM_STATE, TERN_ERR_PROTOCOL, TERN_FAULT_QUIC_STREAM_STATE},
    {NGTCP2_ERR_FINAL_SIZE, TERN_ERR_PROTOCOL, TERN_FAULT_QUIC_FINAL_SIZE},
    {NGTCP2_ERR_FRAME_ENCODING, TERN_ERR_MALFORMED, TERN_FAULT_QUIC_FRAME},
    {NGTCP2_ERR_TRANSPORT_PARAM, TERN_ERR_PROTOCOL, TERN_FAULT_QUIC_PARAMETERS},
    {NGTCP2_ERR_MALFORMED_TRANSPORT_PARAM, TERN_ERR_MALFORMED, TERN_FAULT_QUIC_PARAMETERS},
    {NGTCP2_ERR_REQUIRED_TRANSPORT_PARAM, TERN_ERR_PROTOCOL, TERN_FAULT_QUIC_PARAMETERS},
    {NGTCP2_ERR_CONNECTION_ID_LIMIT, TERN_ERR_PROTOCOL, TERN_FAULT_QUIC_ID_LIMIT},
    {NGTCP2_ERR_CRYPTO_BUFFER_EXCEEDED, TERN_ERR_PROTOCOL, TERN_FAULT_QUIC_CRYPTO_BUFFER},
    {NGTCP2_ERR_AEAD_LIMIT_REACHED, TERN_ERR_PROTOCOL, TERN_FAULT_QUIC_PROTOCOL},
    {NGTCP2_ERR_INTERNAL, TERN_ERR_PROTOCOL, TERN_FAULT_QUIC_HOARD}, /* too many gaps */
    {NGTCP2_ERR_RECV_VERSION_NEGOTIATION, TERN_ERR_NO_PROTOCOL, TERN_FAULT_QUIC_VERSION},
    {NGTCP2_ERR_VERSION_NEGOTIATION_FAILURE, TERN_ERR_NO_PROTOCOL, TERN_FAULT_QUIC_VERSION},
};

/* life_failed: the remote broke the protocol, or something of ours failed. */
static void life_failed(struct tern_quic_conn *conn, int code)
{
    tern_err err = code == NGTCP2_ERR_NOMEM ? TERN_ERR_MEMORY : TERN_ERR_INTERNAL;
    tern_fault fault = TERN_FAULT_NONE;
    ngtcp2_ccerr reason;
    ngtcp2_ccerr_set_liberr(&reason, code, NULL, 0);
    if (code == NGTCP2_ERR_CALLBACK_FAILURE && conn->tls_error != TERN_OK) {
        err = conn->tls_error;
        fault = conn->tls_fault;
        uint8_t alert = fault == TERN_FAULT_QUIC_NO_ALPN ? ALERT_NO_APPLICATION_PROTOCOL
                                                         : ALERT_BAD_CERTIFICATE;
        ngtcp2_ccerr_set_tls_alert(&reason, alert, NULL, 0);
    }
    if (code == NGTCP2_ERR_NOMEM && conn->ng_mem.refused) {
        err = TERN_ERR_PROTOCOL;
        fault = TERN_FAULT_QUIC_HOARD;
    }
    for (size_t i = 0; i < TERN_COUNT_OF(life_faults); i++) {
        if (life_faults[i].code != code)
            continue;
        err = life_faults[i].err;
        fault = life_faults[i].fault;
    }
    life_end(conn, err, fault, &reason);
}

void quic_conn_fail(struct tern_quic_conn *conn, int code)
{
    if (conn->ng == NULL)
        return;
    switch (code) { /* a library's numbers, not an enum of ours */
    case NGTCP2_ERR_DRAINING:
        life_drained(conn);
        return;
    case NGTCP2_ERR_IDLE_CLOSE:
    case NGTCP2_ERR_HANDSHAKE_TIMEOUT:
        quic_conn_lose(conn, TERN_ERR_TIMEOUT);
        return;
    case NGTCP2_ERR_RETRY:
        conn->unordered = true;
        quic_conn_lose(conn, TERN_ERR_DISCONNECTED);
        return;
    case NGTCP2_ERR_DROP_CONN:
        quic_conn_lose(conn, TERN_ERR_DISCONNECTED);
        return;
    case NGTCP2_ERR_CRYPTO:
        life_tls_failed(conn);
        return;
    default:
        life_failed(conn, code);
        return;
    }
}
