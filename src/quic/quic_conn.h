/*
 * A QUIC connection as the layers above this one may use it raw: WebTransport, which speaks HTTP/3
 * on streams of both kinds and gives the streams behind its own framing to libp2p.
 *
 *     ClientHello, ALPN ─┬ libp2p ─► the owner's calls go to the connection itself
 *                        └ h3 ─► established ─► attach ─► the owner's calls go to the upper's
 * session
 *
 * A session that was accepted speaks what its ClientHello chose by ALPN; a dial with certhashes
 * asks for h3 and takes a certificate that is one of them. When the connection is established the
 * upper makes a session on it; until then the owner has heard of nothing. From then on the upper's
 * session is what the owner holds: its next is called when the connection has news (ACTIVE), and
 * draws them by the connection's own verbs. Ids of streams are those of mux/mux.h on both levels.
 * When the owner ends the session, the upper's fini is called, then the connection goes.
 *
 * The upper judges who the remote is: TLS shows a certificate of the server's alone. HTTP datagrams
 * are offered, as HTTP/3 wants for WebTransport, and dropped.
 */
#ifndef TERN_QUIC_QUIC_CONN_H
#define TERN_QUIC_QUIC_CONN_H

#include "quic/quic.h"

struct tern_quic_conn;

/* Who takes connections that do not speak libp2p. */
struct tern_quic_upper {
    void *self;
    /* attach makes a session on the connection, which has been established. An error ends it. From
     * inside of it nothing of the connection may be called but tern_quic_conn_server. */
    tern_err (*attach)(void *self, tern_time now, struct tern_quic_conn *conn,
                       struct tern_session *session);
    /* code_in is what a code that came in RESET_STREAM or STOP_SENDING is to the owner;
     * STOP_SENDING with what is 0 to it is no reset (quic.h). NULL: the same, as far as it fits. */
    uint32_t (*code_in)(uint64_t code);
};

/* tern_quic_set_upper serves ALPN "h3" for the upper with the certificate, which may be changed at
 * any time; NULL: dials alone. Before the first session. TERN_ERR_MEMORY, TERN_ERR_INTERNAL. */
struct tern_certificate;
TERN_NODISCARD tern_err tern_quic_set_upper(const struct tern_session_transport *transport,
                                            const struct tern_quic_upper *upper,
                                            const struct tern_certificate *certificate);

/* tern_quic_conn_session is the connection's own verbs and events, whatever session is on it: all
 * but fini. */
struct tern_session tern_quic_conn_session(struct tern_quic_conn *conn);

/* tern_quic_conn_server: was the connection accepted? */
bool tern_quic_conn_server(const struct tern_quic_conn *conn);

/* Of the dial: who is expected (NULL: anyone), the multihashes of SHA-256 that it came with (at
 * most max; borrowed until the session's fini; how many), and the server's name (empty: none). */
const struct tern_peer_id *tern_quic_conn_expected(const struct tern_quic_conn *conn);
size_t tern_quic_conn_certhashes(const struct tern_quic_conn *conn, struct tern_view *out,
                                 size_t max);
struct tern_view tern_quic_conn_server_name(const struct tern_quic_conn *conn);

/* tern_quic_conn_tell lets the owner look at its session: the upper has news that did not come from
 * the connection. */
void tern_quic_conn_tell(struct tern_quic_conn *conn);

/* tern_quic_conn_open_one_way opens a stream that this side alone writes to. Errors of open. */
TERN_NODISCARD tern_err tern_quic_conn_open_one_way(struct tern_quic_conn *conn,
                                                    enum tern_stream_class class,
                                                    tern_stream_id *stream);
bool tern_quic_conn_one_way(const struct tern_quic_conn *conn, tern_stream_id stream);

/* tern_quic_conn_ended: has all that the remote sends on the stream been received? */
bool tern_quic_conn_ended(const struct tern_quic_conn *conn, tern_stream_id stream);

/* tern_quic_conn_wire_id is the stream's number on the wire; -1: it has none yet. */
int64_t tern_quic_conn_wire_id(const struct tern_quic_conn *conn, tern_stream_id stream);

/* tern_quic_conn_reset is reset with a code as large as QUIC has them. */
void tern_quic_conn_reset(struct tern_quic_conn *conn, tern_stream_id stream, uint64_t code);

#endif
