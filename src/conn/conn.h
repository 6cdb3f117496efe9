/*
 * ONE connection: a link is wrapped, negotiated, secured, negotiated again and multiplexed; then
 * streams come and go, each negotiating its protocol. A pure byte-stream core: link bytes in and
 * out, events out.
 *
 *   UPGRADING: [HTTPS →] [WebSocket →] [private network →]
 *              /multistream → /noise or /tls/1.0.0 → handshake
 *              [→ /multistream → /yamux when not agreed early]
 *       │ ESTABLISHED (remote identity known and, for a dialer, as expected)
 *   OPEN: streams
 *       │ tern_conn_close (also the owner's answer to the remote's GOAWAY)
 *   CLOSING: farewell frames, then CLOSED, at the latest after 2 s or when the link ends
 *       └─ first fatal error at any time: FAILED, then CLOSED with the error and its fault
 *
 * Round trips: the dialer's first flight holds both multistream headers, the proposal and the first
 * handshake message; stream frames with a lazily negotiated protocol and its first bytes ride
 * behind the last handshake message. TCP, Noise or TLS, and yamux reach the first byte of an answer
 * in 3 RTT, TCP's included; WebSocket adds one.
 *
 * A session (mux/session.h: QUIC, WebRTC, WebTransport) is a connection, too: it has been wrapped,
 * secured and multiplexed by its transport, so it begins at ESTABLISHED, and no link bytes go
 * through here.
 *
 * Specifications: libp2p/specs connections/README.md, connections/inlined-muxer-negotiation.md.
 */
#ifndef TERN_CONN_CONN_H
#define TERN_CONN_CONN_H

#include "base/metrics.h"
#include "base/random.h"
#include "base/scope.h"
#include "base/trace.h"
#include "mux/session.h"

struct tern_aead_engine;
struct tern_noise_identity;
struct tern_pnet_key;
struct tern_tls_identity;
struct tern_web_tls;

/* How a link is wrapped before it is negotiated: /tcp, /tcp/ws, /tcp/tls/ws. A dialer knows the
 * form from the address. A listener may take several on one port, and tells them apart by what
 * comes first: multistream-select's header, "GET ", a ClientHello. */
enum tern_link_form {
    TERN_LINK_PLAIN = 1,
    TERN_LINK_WEBSOCKET = 2,
    TERN_LINK_WEBSOCKET_TLS = 4,
};

enum tern_secure_kind {
    TERN_SECURE_NOISE,
    TERN_SECURE_TLS,
    TERN_SECURE_PLAINTEXT,
    TERN_SECURE_NOISE_HYBRID, /* post-quantum, where the library has it (secure/noise.h) */
};
enum tern_muxer_kind { TERN_MUXER_YAMUX, TERN_MUXER_MPLEX };

/* tern_secure_name is "noise", "tls", "plaintext" or "noise-mlkem768", tern_muxer_name "yamux" or
 * "mplex": the words of settings and of what is told. */
const char *tern_secure_name(enum tern_secure_kind kind);
const char *tern_muxer_name(enum tern_muxer_kind kind);

enum {
    TERN_CONN_PROTOCOLS_OFFERED_MAX = 8,
    TERN_CONN_SECURE_MAX = 4,
    TERN_CONN_MUXERS_MAX = 2,
};

/* What a supported stream protocol is to the swarm: a name and a number the swarm understands. */
struct tern_protocol {
    struct tern_view
        name;         /* such as "/ipfs/ping/1.0.0"; borrowed for as long as it is registered */
    uint32_t handler; /* index of the service that serves it */
    enum tern_stream_class class;
    uint32_t
        inbound_per_peer_max; /* streams of this protocol one peer may have open; 0: no limit */
    bool replay_harmless;     /* a recording of a stream's first bytes, sent again by somebody else,
                                 does no harm: it may come before the remote has proven to be there.
                                 Other streams wait for that */
};

/* The protocols served here: a small table, looked up by exact name. Owned by the swarm. */
struct tern_protocol_table {
    const struct tern_protocol *protocols;
    size_t count;
};

/* Shared by all connections of a host; outlives them. */
struct tern_conn_config {
    struct tern_mem *mem;
    struct tern_random *random;
    struct tern_trace *trace;
    struct tern_metrics *metrics;
    struct tern_aead_engine *aead;
    const struct tern_noise_identity *noise;
    const struct tern_tls_identity *tls; /* NULL where secure does not hold it */
    const struct tern_pnet_key *psk;     /* of the private network; NULL: in none */
    const struct tern_web_tls *web;      /* NULL: no WEBSOCKET_TLS; without credentials: dialled
                                            only */
    const struct tern_private_key *identity;
    const struct tern_protocol_table *protocols;
    struct tern_scope *windows; /* the global budget that stream windows grow under */
    enum tern_secure_kind secure[TERN_CONN_SECURE_MAX]; /* in order of preference */
    size_t secure_count;
    enum tern_muxer_kind muxers[TERN_CONN_MUXERS_MAX]; /* likewise */
    size_t muxers_count;
    bool dial_first_choice; /* a dialer offers the first of both alone */
    bool late_muxer; /* agree on the muxer behind the handshake, as peers that know no early one do
                      */
    tern_time upgrade_timeout_ns;   /* from link to ESTABLISHED */
    tern_time negotiate_timeout_ns; /* of one stream's protocol */
    tern_time ping_interval_ns;     /* keep-alive; 0: none. mplex has no pings */
    tern_time ping_timeout_ns;
};

struct tern_conn_options {
    enum tern_role role;
    const struct tern_peer_id *expected_peer; /* the dialled identity, or NULL for any; copied */
    struct tern_scope *scope;                 /* of this connection; outlives it */
    tern_wall_time wall;                      /* for the validity of certificates; 0: not known */
    unsigned forms; /* enum tern_link_form: a dialer's is one, a listener's are those that it takes;
                       0: PLAIN */
    struct tern_view host; /* a dialer's by WebSocket: what it asks for, such as "example.org:443",
                              which is what the certificate of WEBSOCKET_TLS must be for; copied */
};

enum tern_conn_event_kind {
    TERN_CONN_JOB,            /* run event.job, then tern_conn_job_done */
    TERN_CONN_ESTABLISHED,    /* tern_conn_remote tells who */
    TERN_CONN_STREAM_OPENED,  /* by the remote, protocol agreed: protocol */
    TERN_CONN_STREAM_READY,   /* opened here, and the remote confirmed a protocol: offered_index. A
                                 lazily   negotiated stream is usable before this */
    TERN_CONN_STREAM_REFUSED, /* opened here, and the remote supports none of what was offered, or
                                 reset or timed out during the negotiation: err, fault when it is to
                                 blame. The id is dead */
    TERN_CONN_STREAM_READABLE,
    TERN_CONN_STREAM_WRITABLE,
    TERN_CONN_STREAM_RESET,  /* by the remote: code. The id is dead */
    TERN_CONN_STREAM_CLOSED, /* both sides ended, all read. The id is dead */
    TERN_CONN_STREAM_FAULT,  /* a stream of the remote's failed to agree on a protocol: fault. The
                                owner  never knew of the stream */
    TERN_CONN_GOAWAY,
    TERN_CONN_RTT,    /* rtt_ns */
    TERN_CONN_CLOSED, /* the last event: err (TERN_OK: in good order), fault */
};

struct tern_conn_event {
    enum tern_conn_event_kind kind;
    tern_stream_id stream;
    const struct tern_protocol *protocol; /* OPENED */
    uint32_t offered_index;               /* READY */
    uint32_t code;
    tern_err err;
    tern_fault fault;
    tern_time rtt_ns;
    struct tern_job *job;
};

struct tern_conn;

/* tern_conn_new makes a connection on a fresh link; NULL: no memory, or the only form is one that
 * config lacks something for, or a dialer's host is none. Owned by the caller. */
struct tern_conn *tern_conn_new(const struct tern_conn_config *config,
                                const struct tern_conn_options *options, tern_time now);

/* tern_conn_new_session makes a connection of a session, which it takes over, also when it fails.
 */
struct tern_conn *tern_conn_new_session(const struct tern_conn_config *config,
                                        const struct tern_conn_options *options,
                                        const struct tern_session *session, tern_time now);

/* tern_conn_free ends at once and frees everything. If a job is under way the connection is kept,
 * invisible, until tern_conn_job_done brings it back. */
void tern_conn_free(struct tern_conn *conn);

/* tern_conn_recv takes link bytes (changed in place). *used < size is back-pressure: give the rest
 * again after the next event, job or call (with mplex, one that consumes). Drain tern_conn_next
 * before the next recv. An error is final and follows as CLOSED. */
TERN_NODISCARD tern_err tern_conn_recv(struct tern_conn *conn, tern_time now, struct tern_slice in,
                                       size_t *used);

/* tern_conn_link_end tells that the link's remote side ended. */
void tern_conn_link_end(struct tern_conn *conn, tern_time now);

/* tern_conn_send appends link bytes to out, as much as there is and fits. out should have room for
 * at least 64 KiB + 512. After CLOSED the farewells of what wraps the link may still come. Of a
 * session nothing comes, and want_send is false. */
void tern_conn_send(struct tern_conn *conn, tern_time now, struct tern_writer *out);
bool tern_conn_want_send(const struct tern_conn *conn);

/* tern_conn_next gives the next event; false: there is none. What a session's datagrams brought the
 * connection learns here, so this is when a stream that the remote opened begins to be negotiated.
 */
bool tern_conn_next(struct tern_conn *conn, tern_time now, struct tern_conn_event *event);

tern_time tern_conn_deadline(const struct tern_conn *conn);
void tern_conn_tick(struct tern_conn *conn, tern_time now);
void tern_conn_job_done(struct tern_conn *conn, tern_time now, struct tern_job *job);

/* tern_conn_close begins an orderly end: no new streams, goaway, CLOSED when the farewell is sent.
 */
void tern_conn_close(struct tern_conn *conn, tern_time now, uint32_t code);

const struct tern_secure_remote *tern_conn_remote(const struct tern_conn *conn);
tern_time tern_conn_rtt(const struct tern_conn *conn); /* smoothed; 0: not measured yet */
/* tern_conn_secure_kind and tern_conn_muxer_kind are what was agreed on; known when it is
 * established, of a link alone. */
enum tern_secure_kind tern_conn_secure_kind(const struct tern_conn *conn);
enum tern_muxer_kind tern_conn_muxer_kind(const struct tern_conn *conn);
/* tern_conn_form is how its link is wrapped; known when it is established, of a link alone. */
enum tern_link_form tern_conn_form(const struct tern_conn *conn);
/* tern_conn_session is the session it was made of; NULL: it was made on a link. */
const struct tern_session *tern_conn_session(const struct tern_conn *conn);
size_t tern_conn_streams_count(const struct tern_conn *conn);

/* What to offer on a new stream. One name is negotiated lazily: bytes written go out with the
 * proposal. The names are borrowed until READY or REFUSED. */
struct tern_stream_offer {
    const struct tern_view *names;
    size_t names_count; /* 1 .. TERN_CONN_PROTOCOLS_OFFERED_MAX */
    enum tern_stream_class class;
    bool replay_harmless; /* the bytes may go before the remote has proven to be there; see
                             struct tern_protocol */
};

/* tern_conn_open_stream: TERN_ERR_SCOPE_STREAMS, FULL, MEMORY, CLOSED (not established, or ending).
 */
TERN_NODISCARD tern_err tern_conn_open_stream(struct tern_conn *conn, tern_time now,
                                              const struct tern_stream_offer *offer,
                                              tern_stream_id *stream);

/* As the muxer's functions of the same name (mux/mux.h), behind the stream's negotiation. */
TERN_NODISCARD tern_err tern_conn_write(struct tern_conn *conn, tern_stream_id stream,
                                        struct tern_view bytes, size_t *accepted);
TERN_NODISCARD tern_err tern_conn_write_slice(struct tern_conn *conn, tern_stream_id stream,
                                              struct tern_slice slice);
TERN_NODISCARD tern_err tern_conn_read(struct tern_conn *conn, tern_stream_id stream,
                                       struct tern_slice *bytes);
void tern_conn_consume(struct tern_conn *conn, tern_stream_id stream, size_t size);
TERN_NODISCARD tern_err tern_conn_close_write(struct tern_conn *conn, tern_stream_id stream);
void tern_conn_reset(struct tern_conn *conn, tern_stream_id stream, uint32_t code);

#endif
