/*
 * The seam of sessions: connections that secure and multiplex by themselves, on datagrams: QUIC,
 * WebTransport, WebRTC. A session has a muxer's verbs for its streams (mux/mux.h; recv, send,
 * want_send, deadline and tick are NULL) and belongs to a transport, which carries the datagrams of
 * all its sessions on the sockets that it shares with other transports.
 *
 *     world ─ datagrams ─► transport: recv ─► next: OFFER, ACTIVE ─► owner: accept; drain the muxer
 *     world ◄─ datagrams ─ transport: send ◄──────────────────────── owner's calls on streams
 *
 * A session lives from dial or accept until its muxer's fini; what the protocol owes the remote
 * after that (QUIC's closing period) is the transport's.
 *
 * Events of the muxer: ESTABLISHED first. JOB may come at any time; while a job is out the session
 * takes nothing. goaway ends the session: when all that was written has been acknowledged the code
 * is sent and error becomes TERN_ERR_CLOSED; a fini before that sends it at once. There is no
 * gentler way in these protocols. When the remote has ended it, error is TERN_ERR_CLOSED
 * and GOAWAY has told its code; when it fell silent, TERN_ERR_TIMEOUT.
 *
 * Not thread safe.
 */
#ifndef TERN_MUX_SESSION_H
#define TERN_MUX_SESSION_H

#include "mux/mux.h"
#include "runtime/io.h"
#include "secure/channel.h"

enum { TERN_SESSION_SEND_MIN = 1200 }; /* bytes of room for send */

enum tern_session_kind { TERN_SESSION_QUIC, TERN_SESSION_WEBTRANSPORT, TERN_SESSION_WEBRTC };

struct tern_session_info {
    enum tern_session_kind kind; /* valid from ESTABLISHED */
    tern_link_id socket;         /* ours, from which datagrams go now … */
    struct tern_path path; /* … and on which way; it changes when the remote moves, or we do */
    uint64_t bytes_in;     /* of datagrams */
    uint64_t bytes_out;
};

struct tern_session_ops {
    /* remote is who the other end is: valid from ESTABLISHED until fini. */
    const struct tern_secure_remote *(*remote)(const void *self);
    void (*job_done)(void *self, tern_time now, struct tern_job *job);
    void (*info)(const void *self, struct tern_session_info *info);
    /* migrate moves the session to another of our sockets. TERN_ERR_UNSUPPORTED, AGAIN (not yet: it
     * is being established). NULL: the protocol cannot. */
    tern_err (*migrate)(void *self, tern_time now, tern_link_id socket);
};

struct tern_session {
    struct tern_mux mux;
    const struct tern_session_ops *ops; /* called with mux.self */
};

struct tern_session_dial {
    const struct tern_peer_id *expected_peer; /* NULL: anyone; copied */
    tern_link_id socket;
    struct tern_endpoint remote;
    struct tern_view server_name;       /* WebTransport: of the URL; empty: the address */
    const struct tern_view *certhashes; /* multihashes that the certificate must be one of */
    size_t certhashes_count;
    struct tern_scope *scope; /* memory and streams are charged to it; outlives the session */
    uint64_t tag;             /* the owner's, in ACTIVE */
};

/* Somebody knocks. The owner answers by accept or refuse before the next call of anything else. */
struct tern_session_offer {
    tern_link_id socket;
    struct tern_path path;
    bool validated; /* the remote has shown that it receives at its address */
};

enum tern_session_refusal {
    TERN_SESSION_IGNORE, /* say nothing */
    TERN_SESSION_RETRY,  /* let it show first that it receives at its address; as IGNORE where the
                            protocol has no such thing */
    TERN_SESSION_REFUSE, /* say that this end is busy; as IGNORE likewise */
};

enum tern_session_event_kind {
    TERN_SESSION_OFFER,  /* offer */
    TERN_SESSION_ACTIVE, /* tag: drain its muxer's events, look at its error */
};

struct tern_session_event {
    enum tern_session_event_kind kind;
    struct tern_session_offer offer;
    uint64_t tag;
};

struct tern_session_transport_ops {
    const char *name;

    /* dial begins a session. TERN_ERR_MEMORY, SCOPE_MEMORY, FULL, UNSUPPORTED. */
    tern_err (*dial)(void *self, tern_time now, const struct tern_session_dial *dial,
                     struct tern_session *session);
    tern_err (*accept)(void *self, tern_time now, struct tern_scope *scope, uint64_t tag,
                       struct tern_session *session);
    void (*refuse)(void *self, tern_time now, enum tern_session_refusal how);

    /* claims: does the datagram that starts with these bytes belong to this transport? Asked in
     * turn where transports share a socket. */
    bool (*claims)(const void *self, struct tern_view datagram);
    void (*recv)(void *self, tern_time now, tern_link_id socket, const struct tern_datagrams *in);
    bool (*next)(void *self, struct tern_session_event *event);

    /* send gives the next batch for the socket: it fills in *out and appends to out->writer, at
     * most 64 KiB. False: nothing now; or, where want_send says true, no room, and what waits for
     * it is kept. Less than TERN_SESSION_SEND_MIN bytes are no room for anything,
     * TERN_DATAGRAMS_SIZE_MAX are for everything. */
    bool (*send)(void *self, tern_time now, tern_link_id socket, struct tern_datagrams_out *out);
    bool (*want_send)(const void *self, tern_link_id socket);
    tern_time (*deadline)(const void *self);
    void (*tick)(void *self, tern_time now);

    /* socket_closed: the socket is no more; its sessions end with TERN_ERR_DISCONNECTED. */
    void (*socket_closed)(void *self, tern_time now, tern_link_id socket);
    void (*fini)(void *self); /* no session may be left */
};

struct tern_session_transport {
    const struct tern_session_transport_ops *ops;
    void *self;
};

#endif
