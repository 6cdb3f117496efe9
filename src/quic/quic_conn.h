/*
 * A QUIC connection as the layers above this one may use it raw: WebTransport, which speaks HTTP/3
 * on streams of both kinds and gives the streams behind its own framing to libp2p.
 *
 * A session that was accepted speaks what its ClientHello chose by ALPN. When that is not libp2p,
 * the transport asks the options' upper for a session of its own on the connection, to which all
 * the owner's calls go from then on; until then the owner has heard of nothing. The upper drains
 * the connection by tern_quic_conn_next and uses its streams by the verbs of tern_quic_conn_mux,
 * whose ids are those of mux/mux.h; the ids of one-way streams are told apart by
 * tern_quic_conn_one_way.
 */
#ifndef TERN_QUIC_QUIC_CONN_H
#define TERN_QUIC_QUIC_CONN_H

#include "quic/quic.h"

struct tern_quic_conn;

/* Who takes connections that do not speak libp2p. */
struct tern_quic_upper {
    void *self;
    /* attach makes a session on the connection, which has been established. An error ends it. */
    tern_err (*attach)(void *self, tern_time now, struct tern_quic_conn *conn,
                       struct tern_session *session);
};

/* tern_quic_set_upper serves ALPN "h3" with the certificate, which may be changed at any time, for
 * the upper. TERN_ERR_MEMORY, TERN_ERR_INTERNAL. */
struct tern_certificate;
TERN_NODISCARD tern_err tern_quic_set_upper(const struct tern_session_transport *transport,
                                            const struct tern_quic_upper *upper,
                                            const struct tern_certificate *certificate);

/* tern_quic_conn_mux is the connection's own verbs and events, whatever session is on it. */
struct tern_mux tern_quic_conn_mux(struct tern_quic_conn *conn);

/* tern_quic_conn_open_one_way opens a stream that this side alone writes to. Errors of open. */
TERN_NODISCARD tern_err tern_quic_conn_open_one_way(struct tern_quic_conn *conn,
                                                    enum tern_stream_class class,
                                                    tern_stream_id *stream);
bool tern_quic_conn_one_way(const struct tern_quic_conn *conn, tern_stream_id stream);

/* tern_quic_conn_wire_id is the stream's number on the wire; -1: it has none yet. */
int64_t tern_quic_conn_wire_id(const struct tern_quic_conn *conn, tern_stream_id stream);

/* tern_quic_conn_reset is reset with a code as large as QUIC has them. */
void tern_quic_conn_reset(struct tern_quic_conn *conn, tern_stream_id stream, uint64_t code);

#endif
