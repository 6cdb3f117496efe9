/*
 * What the files of QUIC share.
 *
 *   quic            the transport: options, sockets, time, its events        (quic.c)
 *   quic_receive    datagrams in: whose they are
 *   quic_offer      first packets of nobody's, until the owner has decided
 *   quic_stateless  answers without a session: versions, Retry, refusals, resets
 *   quic_ending     what is owed to remotes of sessions that have ended
 *   quic_conn       making a session and freeing it
 *   quic_life       its life: packets, time, errors, its end
 *   quic_events     what ngtcp2 tells of a session
 *   quic_streams    lives of streams        quic_window   credit, tuning, charges
 *   quic_send       packets out             quic_mux      verbs and events
 *   quic_front      the owner's calls, where another layer may take the session
 *
 * A session (struct tern_quic_conn) is its owner's from dial or accept until fini. ngtcp2's
 * connection in it ends earlier, when it fails or is closed; what is left of it is an ending.
 */
#ifndef TERN_QUIC_QUIC_INTERNAL_H
#define TERN_QUIC_QUIC_INTERNAL_H

#include <ngtcp2/ngtcp2.h>

#include "base/check.h"
#include "base/list.h"
#include "base/timer.h"
#include "mux/streams.h"
#include "mux/window.h"
#include "quic/quic.h"
#include "quic/quic_conn.h"
#include "quic/quic_mem.h"
#include "quic/quic_path.h"
#include "quic/quic_route.h"
#include "quic/quic_tickets.h"
#include "quic/tls_gnutls.h"

enum {
    QUIC_SOCKETS_MAX = 64,
    QUIC_OUTBOX_MAX = 256, /* datagrams that wait on one socket without a session */
    QUIC_SECRET_SIZE = 32,
    QUIC_FAREWELL_MAX = 1500,    /* a packet that tells of the end */
    QUIC_CRYPTO_MAX = 64 * 1024, /* bytes of handshake that a remote may send */
    QUIC_VECTORS_MAX = 8,        /* pieces of a stream in one packet */
    QUIC_MEMORY_BASE = 4 << 20,  /* that ngtcp2 may take for a session at rest */
    QUIC_HASHES_MAX = 8,
    QUIC_HASH_SIZE = 2 + TERN_SHA256_SIZE, /* a multihash */
    QUIC_ONE_WAY_MAX = 32,                 /* streams that an h3 remote alone writes to */
    QUIC_SERVER_NAME_MAX = 255,
};

/* Of the end, when there is nothing to be said. */
#define QUIC_CODE_NONE 0

/* --- streams --- */

enum quic_stream_flag {
    QUIC_ON_WIRE = MUX_OWN << 0, /* ngtcp2 has it: something of it is still to come or to go */
    QUIC_EARLY = MUX_OWN << 1,   /* may go before the remote has proven to be there */
    QUIC_STOPPED = MUX_OWN << 2, /* the remote will not read it */
    QUIC_ONE_WAY = MUX_OWN << 3,
};

struct quic_stream {
    struct tern_mux_stream base;     /* out holds what is not acknowledged, too */
    int64_t wire;                    /* its number; -1: not opened on the wire yet */
    struct tern_mux_segment *cursor; /* where the unsent bytes of out begin; NULL: at its front */
    uint32_t cursor_at;              /* there, counted from the chunk's beginning */
    struct tern_mux_window window;   /* what the remote may have outstanding here */
    uint64_t consumed;               /* bytes that were read or dropped, in all */
    uint64_t granted;                /* that the remote was ever allowed to send */
};

/* --- sessions --- */

/* What is kept of a dial of h3: what the certificate may be that it meets, and the server's name.
 */
struct quic_web {
    size_t hashes_count;
    size_t server_name_size;
    uint8_t multihashes[QUIC_HASHES_MAX][QUIC_HASH_SIZE];
    uint8_t server_name[QUIC_SERVER_NAME_MAX];
};

enum quic_news {
    QUIC_NEWS_ESTABLISHED = 1 << 0,
    QUIC_NEWS_CONFIRMED = 1 << 1,
    QUIC_NEWS_RTT = 1 << 2,
    QUIC_NEWS_GOAWAY = 1 << 3,
};

struct tern_quic_conn {
    struct quic *quic;
    ngtcp2_conn *ng; /* NULL: ended */
    struct quic_mem ng_mem;
    struct quic_tls *tls; /* NULL: not needed any more */
    struct quic_tls_owner tls_owner;
    struct quic_route route;
    struct tern_list link;   /* of quic->conns */
    struct tern_list ready;  /* of its socket's, while it may have something to send */
    struct tern_list active; /* of quic->active, while its owner has not heard of its news */
    struct tern_timer timer;
    struct tern_mux_streams streams;
    struct tern_scope *scope;
    uint64_t tag;

    struct tern_peer_id *expected; /* owned; NULL: anyone */
    struct tern_peer_id peer;
    struct tern_public_key key;
    struct tern_secure_remote remote;
    struct quic_web *web;      /* owned: of a dial of h3; NULL: none */
    struct tern_session front; /* where the owner's calls go: the upper's when it is attached */
    enum quic_alpn alpn;

    bool server;
    bool half_open; /* counted as such */
    bool floating;  /* the system chooses our address */
    bool key_set;   /* key is to be released */
    bool early;     /* early data may be sent, or is taken */
    bool established;
    bool confirmed; /* the remote is there */
    bool confirmed_said;
    bool ticket_came; /* and is to be kept */
    bool ticket_early;
    bool tls_done;       /* its session can go */
    bool closing;        /* goaway was called */
    bool was_reset;      /* statelessly */
    bool attached;       /* front is the upper's */
    bool unordered;      /* its ClientHello begins in a packet that has not come */
    uint16_t socket;     /* number of the one its current path goes from */
    uint32_t news;       /* enum quic_news */
    uint32_t unnumbered; /* streams of ours without a number */
    uint32_t close_code;
    uint32_t remote_code;
    tern_time rtt_ns;        /* of the event */
    tern_time rtt_at;        /* when it was told last */
    tern_time tls_until;     /* the TLS session goes then at the latest */
    tern_time heard_at;      /* of the remote, last */
    tern_time waiting_since; /* nothing was in flight before what was sent then */
    tern_time small_until;   /* until then only the smallest datagrams go */
    uint64_t crypto_bytes;
    uint64_t key_bytes; /* sent since the keys were changed */
    uint32_t key_changes;
    uint64_t bytes_in;
    uint64_t bytes_out;
    struct tern_path last_path; /* where it was at its end */
    struct tern_mux_bucket resets;
    uint32_t returned[2]; /* places of the remote's streams that have ended, not given back yet:
                             two-way, one-way */

    /* All streams together (quic_window.c). */
    struct tern_mux_window window;
    uint64_t consumed;
    uint64_t granted;
    uint64_t unread;
    uint64_t charged; /* of unread, to the scope */
    uint64_t unacked;
    uint64_t stream_bytes_out;

    tern_err error;
    tern_fault fault;
    tern_err tls_error; /* why the remote's certificate was refused */
    tern_fault tls_fault;
};

/* --- the transport --- */

/* A datagram that waits to be sent outside of a batch. */
struct quic_datagram {
    struct tern_list link;
    struct tern_path path;
    uint8_t ecn;
    uint32_t size;
    uint8_t bytes[];
};

struct quic_socket {
    tern_link_id id; /* TERN_LINK_NONE: free */
    uint16_t port;   /* ours, as far as is known */
    uint16_t outbox_count;
    struct tern_list outbox;
    struct tern_list ready; /* sessions, in turn */
};

/* A first packet, and what came behind it until the owner decides. */
struct quic_offer {
    struct tern_list link;
    uint16_t socket;
    bool validated;
    struct tern_path path;
    ngtcp2_cid dcid;
    ngtcp2_cid scid;
    ngtcp2_cid original_dcid; /* before a Retry; size 0: there was none */
    ngtcp2_token_type token_type;
    uint8_t token[QUIC_TICKET_TOKEN_MAX];
    size_t token_size;
    struct tern_slice datagrams[TERN_QUIC_OFFER_DATAGRAMS_MAX]; /* owned */
    uint8_t ecns[TERN_QUIC_OFFER_DATAGRAMS_MAX];
    size_t datagrams_count;
};

/* A session that has ended, for as long as packets of it may come. */
struct quic_ending {
    struct quic *quic;
    struct quic_route route;
    struct tern_list link; /* the oldest first */
    struct tern_timer timer;
    struct tern_path path;
    uint16_t socket;
    uint16_t size; /* of what to say to the remote; 0: nothing, it has ended the session itself */
    uint32_t received_count;
    uint8_t bytes[];
};

/* A key of what is given to strangers, and the one before. */
struct quic_secret {
    tern_time born_at;
    uint8_t now[QUIC_SECRET_SIZE];
    uint8_t before[QUIC_SECRET_SIZE];
};

struct quic {
    struct tern_quic_options options;
    struct tern_mem *mem;
    tern_time now; /* never goes back */
    tern_time wall_at;
    tern_wall_time wall;
    struct tern_timer_queue timers;
    struct tern_timer_queue ending_timers;
    struct quic_routes routes;
    struct quic_socket sockets[QUIC_SOCKETS_MAX];
    struct tern_list conns;
    struct tern_list active;
    struct tern_list offers; /* that the owner has not heard of */
    size_t offers_count;
    struct quic_offer *offer; /* that it is deciding about */
    struct tern_list endings;
    size_t endings_count;
    size_t half_open_count;
    struct quic_tickets tickets;
    struct quic_replay replay;
    struct quic_tls_server *tls_server;
    struct tern_quic_upper upper;
    struct quic_secret retry;
    struct quic_secret token;
    uint8_t reset_secret[QUIC_SECRET_SIZE];
    struct tern_mux_bucket stateless; /* answers without a session */
};

/* --- quic.c --- */

/* quic_at takes the time of a call over: it never goes back. */
void quic_at(struct quic *quic, tern_time now);

/* quic_wall is the wall clock; 0: unknown. */
tern_wall_time quic_wall(const struct quic *quic);

/* quic_note counts a fault that ends no session. */
void quic_note(struct quic *quic, tern_fault fault);

/* quic_socket_number is the number of a socket, given if need be; QUIC_SOCKETS_MAX: there are too
 * many. */
uint16_t quic_socket_number(struct quic *quic, tern_link_id socket);

/* quic_outbox queues a datagram; without memory or room it is dropped. */
void quic_outbox(struct quic *quic, uint16_t socket, const struct tern_path *path, uint8_t ecn,
                 struct tern_view bytes);

/* quic_draw_cid draws a connection id of ours. */
void quic_draw_cid(struct quic *quic, ngtcp2_cid *cid);

static inline struct tern_view quic_cid_view(const ngtcp2_cid *cid)
{
    return tern_view_of(cid->data, cid->datalen);
}

/* --- quic_receive.c --- */

void quic_receive(struct quic *quic, uint16_t socket, const struct tern_datagrams *in);

/* --- quic_offer.c --- */

/* quic_offer_packet takes a first packet, or another of an offer that waits. */
void quic_offer_packet(struct quic *quic, uint16_t socket, const struct tern_datagrams *in,
                       struct tern_view bytes);
bool quic_offer_next(struct quic *quic, struct tern_session_offer *offer);
TERN_NODISCARD tern_err quic_offer_accept(struct quic *quic, struct tern_scope *scope, uint64_t tag,
                                          struct tern_quic_conn **conn);
void quic_offer_refuse(struct quic *quic, enum tern_session_refusal how);

/* quic_offers_drop forgets the offers of a socket; QUIC_SOCKETS_MAX: of all. */
void quic_offers_drop(struct quic *quic, uint16_t socket);

/* --- quic_stateless.c --- */

/* Who is answered without a session, and to what. */
struct quic_stranger {
    uint16_t socket;
    const struct tern_path *path;
    struct tern_view datagram;
};

void quic_secret_init(struct quic *quic, struct quic_secret *secret);
void quic_answer_version(struct quic *quic, const struct quic_stranger *from,
                         const ngtcp2_version_cid *ids);
void quic_answer_reset(struct quic *quic, const struct quic_stranger *from, struct tern_view cid);
void quic_answer_close(struct quic *quic, const struct quic_offer *offer, uint64_t code);
void quic_answer_retry(struct quic *quic, const struct quic_offer *offer);

/* quic_reset_token is what a stateless reset of the connection id ends in. */
void quic_reset_token(const struct quic *quic, struct tern_view cid,
                      uint8_t token[QUIC_RESET_TOKEN_SIZE]);

/* quic_check_token looks at a first packet's token and notes in the offer what it shows. False: it
 * is one of a Retry and does not hold. */
bool quic_check_token(struct quic *quic, struct quic_offer *offer, struct tern_view token);

/* quic_new_token writes one for the remote's next session; false: it cannot. */
bool quic_new_token(struct quic *quic, const ngtcp2_path *path, struct tern_writer *out);

/* --- quic_ending.c --- */

/* quic_ending_begin remembers a session that ends for so long: what leads to it, and packet, which
 * tells the remote (empty: nothing). */
void quic_ending_begin(struct tern_quic_conn *conn, struct tern_view packet, tern_time duration);
void quic_ending_packet(struct quic_ending *ending, struct tern_view datagram);
void quic_ending_free(struct quic_ending *ending);

/* quic_endings_drop forgets those of a socket; QUIC_SOCKETS_MAX: all. */
void quic_endings_drop(struct quic *quic, uint16_t socket);

/* --- quic_conn.c --- */

TERN_NODISCARD tern_err quic_conn_dial(struct quic *quic, const struct tern_session_dial *dial,
                                       uint16_t socket, struct tern_quic_conn **conn);
TERN_NODISCARD tern_err quic_conn_accept(struct quic *quic, const struct quic_offer *offer,
                                         struct tern_scope *scope, uint64_t tag,
                                         struct tern_quic_conn **conn);

/* quic_conn_free is the owner's fini. */
void quic_conn_free(struct tern_quic_conn *conn);

/* quic_conn_chosen: a server's session has its ALPN. An error of ngtcp2's. */
int quic_conn_chosen(struct tern_quic_conn *conn);

/* quic_conn_memory_max is how much ngtcp2 may take for the session: bytes that came out of order
 * fill the window at most, and some hundred bytes are kept of each packet that was sent. */
size_t quic_conn_memory_max(const struct tern_quic_conn *conn);

/* quic_conn_rtt is the smoothed round trip; 0: not measured. */
tern_time quic_conn_rtt(const struct tern_quic_conn *conn);

/* --- quic_life.c --- */

/* quic_conn_packet gives a session one datagram. */
void quic_conn_packet(struct tern_quic_conn *conn, const ngtcp2_path *path, uint8_t ecn,
                      struct tern_view bytes);
void quic_conn_tick(struct tern_quic_conn *conn);

/* quic_conn_settle does what is due behind calls into ngtcp2: timer, TLS, the owner's news. */
void quic_conn_settle(struct tern_quic_conn *conn);

/* quic_conn_wake: there may be something to send. */
void quic_conn_wake(struct tern_quic_conn *conn);

/* quic_conn_tell: the owner is to look. */
void quic_conn_tell(struct tern_quic_conn *conn);

/* quic_conn_fail ends a session over an error of ngtcp2's. */
void quic_conn_fail(struct tern_quic_conn *conn, int code);

/* quic_conn_end ends it for a reason of ours, telling the remote an application's code. */
void quic_conn_end(struct tern_quic_conn *conn, tern_err err, tern_fault fault, uint64_t code);

/* quic_conn_lose ends it silently. */
void quic_conn_lose(struct tern_quic_conn *conn, tern_err err);

/* --- quic_events.c --- */

extern const ngtcp2_callbacks quic_client_callbacks;
extern const ngtcp2_callbacks quic_server_callbacks;

/* quic_tls_owner_of is what a session's TLS tells of. */
struct quic_tls_owner quic_tls_owner_of(struct tern_quic_conn *conn);

/* --- quic_streams.c --- */

static inline struct quic_stream *quic_stream_of(struct tern_mux_stream *base)
{
    return base == NULL ? NULL : TERN_CONTAINER_OF(base, struct quic_stream, base);
}

/* quic_stream_open makes a stream of ours. TERN_ERR_SCOPE_STREAMS, SCOPE_MEMORY, MEMORY. */
TERN_NODISCARD tern_err quic_stream_open(struct tern_quic_conn *conn, enum tern_stream_class class,
                                         bool one_way, struct quic_stream **stream);

/* quic_stream_accept: the remote has opened one. An error of ngtcp2's. */
int quic_stream_accept(struct tern_quic_conn *conn, int64_t wire);
int quic_stream_data(struct tern_quic_conn *conn, struct quic_stream *stream,
                     struct tern_view bytes, uint32_t flags);
int quic_stream_remote_reset(struct tern_quic_conn *conn, struct quic_stream *stream,
                             uint64_t code);
int quic_stream_closed(struct tern_quic_conn *conn, struct quic_stream *stream, int64_t wire,
                       uint64_t code);
void quic_stream_acked(struct tern_quic_conn *conn, struct quic_stream *stream, size_t size);

/* quic_stream_stop: the remote will not read it. */
void quic_stream_stop(struct tern_quic_conn *conn, struct quic_stream *stream);

/* quic_stream_update puts the stream in or out of line, as its state is. */
void quic_stream_update(struct tern_quic_conn *conn, struct quic_stream *stream);

/* quic_stream_reset is the owner's. */
void quic_stream_reset(struct tern_quic_conn *conn, struct quic_stream *stream, uint64_t code);

/* quic_stream_close_if_done says CLOSED when both directions have ended and all was consumed. */
void quic_stream_close_if_done(struct tern_quic_conn *conn, struct quic_stream *stream);

/* quic_stream_drop_id makes the id dead, and frees the stream if it is on the wire no more. */
void quic_stream_drop_id(struct tern_quic_conn *conn, struct quic_stream *stream);

/* quic_streams_update updates all: the handshake is done, or there are new numbers. */
void quic_streams_update(struct tern_quic_conn *conn);

/* quic_streams_again: early data was refused; all goes again. */
void quic_streams_again(struct tern_quic_conn *conn);

/* quic_streams_off: ngtcp2's connection is no more. */
void quic_streams_off(struct tern_quic_conn *conn);
void quic_streams_fini(struct tern_quic_conn *conn);

/* --- quic_window.c --- */

/* quic_window_take charges bytes that have come. TERN_ERR_SCOPE_MEMORY. */
TERN_NODISCARD tern_err quic_window_take(struct tern_quic_conn *conn, size_t size);

/* quic_window_untake: some of them could not be kept. */
void quic_window_untake(struct tern_quic_conn *conn, size_t size);

/* quic_window_consume: the owner has read bytes of the stream. */
void quic_window_consume(struct tern_quic_conn *conn, struct quic_stream *stream, size_t size);

/* quic_window_drop: all that is unread of the stream is dropped. */
void quic_window_drop(struct tern_quic_conn *conn, struct quic_stream *stream);

/* quic_window_skip: bytes of no stream have come. */
void quic_window_skip(struct tern_quic_conn *conn, size_t size);
void quic_window_fini(struct tern_quic_conn *conn);

/* --- quic_send.c --- */

/* quic_send gives the next batch for a socket. */
bool quic_send(struct quic *quic, uint16_t socket, struct tern_datagrams_out *out);

/* quic_conn_farewell writes the packet that tells of the end; 0: there is none. */
size_t quic_conn_farewell(struct tern_quic_conn *conn, const ngtcp2_ccerr *reason,
                          uint8_t out[QUIC_FAREWELL_MAX], struct tern_path *path);

/* --- quic_mux.c --- */

/* quic_mux_session is the session that the connection is by itself. */
struct tern_session quic_mux_session(struct tern_quic_conn *conn);

/* --- quic_front.c --- */

/* quic_front_session is the session as its owner has it, where another layer may take it. */
struct tern_session quic_front_session(struct tern_quic_conn *conn);

#endif
