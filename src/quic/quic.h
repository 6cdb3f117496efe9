/*
 * QUIC: sessions of libp2p (/quic-v1) behind the seam of mux/session.h. One transport serves all
 * sockets of a host. Pure: datagrams and the time go in, datagrams, events and a deadline come out.
 *
 *     recv ─► by connection id ─► session ─► its streams' events
 *          └► a first packet of nobody's ─► OFFER ─► accept, or refuse: IGNORE, RETRY, REFUSE
 *     send ◄─ sessions of the socket in turn ◄─ streams by class (mux/schedule.h)
 *
 * Security. TLS 1.3 with libp2p's certificates on both sides, ALPN "libp2p". The remote's peer id
 * is held to the expected one before anything of either side's streams is sent or delivered. A
 * session that is resumed by a ticket has the identity that the ticket was given for: the server
 * finds the client's certificate in the ticket and checks it again; the client keeps tickets by
 * peer id and uses one for a dial to that peer alone.
 *
 * Early data. A dial with a ticket is ESTABLISHED at once: streams marked by set_early send in the
 * first flight, the others when the remote has proven to be there (CONFIRMED). A server takes a
 * flight once: what it has seen is remembered as long as its ticket is good, and early data is
 * refused when there is no room for that. What is refused is sent again by itself.
 *
 * Strangers. Until a remote has shown that it receives at its address it is sent at most three
 * times what it sent. Offers, sessions that are being established, replies to what belongs to
 * nobody and endings that are remembered are all bounded. Retry and later tokens are bound to the
 * address; their keys change every hour.
 *
 * Streams. A reset sends RESET_STREAM and STOP_SENDING with the code; RESET_STREAM from the remote,
 * or STOP_SENDING with a code other than 0, is a reset. STOP_SENDING with code 0 is a remote that
 * has closed and will not read: what it sent can still be read, writes fail with TERN_ERR_CLOSED.
 * So do they while of a reset only STOP_SENDING has come.
 * Bytes are kept by reference until they are acknowledged, beyond the send buffer, so that one
 * stream can fill a long path.
 *
 * Windows. A stream may always be sent 256 KiB, a session 1 MiB, charged to the session's scope
 * when bytes are held. Both grow by what the path carries, the session's part above 1 MiB being a
 * reservation in windows, the budget of all.
 *
 * Paths. The remote may change its address at any time (a NAT forgets); we move a dialled session
 * by migrate. Either way the new path is proven first and never sent more than three times what
 * came from it. Sessions that were dialled leave it to the system from which of our addresses they
 * send.
 *
 * Memory: ngtcp2 takes it from mem; GnuTLS takes its own, which a session gives back when the
 * handshake is over and a ticket has come.
 *
 * Not thread safe. Specifications: RFC 9000, 9001, 9002, 8999, 9287 (not offered), 9368 (version 1
 * alone); libp2p/specs quic/README.md, tls/tls.md, error-codes.
 */
#ifndef TERN_QUIC_QUIC_H
#define TERN_QUIC_QUIC_H

#include "base/mem.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/scope.h"
#include "mux/session.h"

#define TERN_QUIC_PROTOCOL_ID "/quic-v1"

enum {
    TERN_QUIC_STREAM_WINDOW_INITIAL = 256 * 1024,
    TERN_QUIC_STREAM_WINDOW_DEFAULT = 128 * 1024 * 1024,
    TERN_QUIC_WINDOW_INITIAL = 1024 * 1024, /* of a session */
    TERN_QUIC_WINDOW_LIMIT = 1024 * 1024 * 1024,
    TERN_QUIC_SEND_BUFFER_DEFAULT = 1024 * 1024,
    TERN_QUIC_UNACKED_DEFAULT = 192 * 1024 * 1024,
    TERN_QUIC_STREAMS_DEFAULT = 1024,
    TERN_QUIC_STREAMS_LIMIT = 1 << 16,
    TERN_QUIC_HALF_OPEN_DEFAULT = 256,
    TERN_QUIC_OFFERS_MAX = 64,
    TERN_QUIC_OFFER_DATAGRAMS_MAX = 16,
    TERN_QUIC_ENDINGS_MAX = 1024,
    TERN_QUIC_TICKETS_DEFAULT = 256 * 1024,
    TERN_QUIC_DATAGRAM_MIN = 1200,
    TERN_QUIC_DATAGRAM_DEFAULT = 16384,
    TERN_QUIC_DATAGRAM_LIMIT = 65000,
};

/* What a host shows of itself: certificate and key. Shared by transports, outlives them. */
struct tern_quic_identity;

/* tern_quic_identity_new makes a certificate for the host's key. TERN_ERR_MEMORY, and what making a
 * certificate returns. Owned by the caller. */
TERN_NODISCARD tern_err tern_quic_identity_new(struct tern_mem *mem, struct tern_random *random,
                                               const struct tern_private_key *host_key,
                                               struct tern_quic_identity **identity);
void tern_quic_identity_free(struct tern_quic_identity *identity);

enum tern_quic_congestion { TERN_QUIC_BBR, TERN_QUIC_CUBIC };

/* Zero means the default, where one is named. Pointers outlive the transport. */
struct tern_quic_options {
    struct tern_mem *mem;
    struct tern_random *random;
    struct tern_quic_identity *identity;
    struct tern_scope *windows; /* budget of sessions' windows above 1 MiB; NULL: they never grow */
    struct tern_metrics *metrics; /* counts faults that end no session; may be NULL */
    tern_wall_time wall;          /* 0: unknown; see tern_quic_set_wall */
    enum tern_quic_congestion congestion;
    uint32_t window_max;        /* of a stream; a session has twice that; STREAM_WINDOW_DEFAULT */
    uint32_t send_buffer_max;   /* bytes of a stream written and not sent; SEND_BUFFER_DEFAULT */
    uint32_t unacked_max;       /* bytes of a session sent and not acknowledged; UNACKED_DEFAULT */
    uint32_t streams_in_max;    /* opened by the remote at a time; STREAMS_DEFAULT; .. LIMIT */
    uint32_t streams_out_max;   /* opened here at a time; likewise */
    uint32_t half_open_max;     /* accepted and not established; HALF_OPEN_DEFAULT */
    uint32_t tickets_bytes_max; /* of tickets that are kept for dials; TICKETS_DEFAULT */
    uint16_t datagram_max;      /* the largest to look for; DATAGRAM_MIN .. LIMIT; DEFAULT */
    uint64_t key_update_bytes;  /* keys are changed after so many; 0: 64 GiB */
    tern_time handshake_timeout_ns; /* 10 s */
    tern_time idle_timeout_ns;      /* 30 s */
    tern_time keep_alive_ns;        /* of silence before a ping, at most 5/6 of that; 0: none */
    bool refuse_early;              /* as a server */
};

/* tern_quic_new makes a transport, to be ended by ops->fini. TERN_ERR_MEMORY; TERN_ERR_INVALID: an
 * option is out of bounds. */
TERN_NODISCARD tern_err tern_quic_new(const struct tern_quic_options *options, tern_time now,
                                      struct tern_session_transport *transport);

/* tern_quic_set_wall tells the wall clock, at start and whenever it jumped: certificates' validity
 * is judged by it. */
void tern_quic_set_wall(const struct tern_session_transport *transport, tern_time now,
                        tern_wall_time wall);

#endif
