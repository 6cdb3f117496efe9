/*
 * The transport and its sessions, shared by the files of webrtc:
 *
 *   webrtc           the transport: sockets, dials, time, its events
 *   webrtc_offer     checks of nobody's, until the owner has decided
 *   webrtc_route     which session a datagram is for
 *   webrtc_session   a session's life: ICE, DTLS, the end
 *   webrtc_noise     Noise on channel 0
 *   webrtc_send      datagrams out
 *   webrtc_channels  channels that open and close, messages in
 *   webrtc_refusals  channels of the remote that are not taken
 *   webrtc_streams   lives of streams
 *   webrtc_messages  messages out
 *   webrtc_mux       the owner's calls and events
 */
#ifndef TERN_WEBRTC_WEBRTC_INTERNAL_H
#define TERN_WEBRTC_WEBRTC_INTERNAL_H

#include "base/check.h"
#include "base/list.h"
#include "base/map.h"
#include "base/timer.h"
#include "mux/streams.h"
#include "webrtc/data_channel.h"
#include "webrtc/message.h"
#include "webrtc/sctp.h"
#include "webrtc/webrtc.h"

#define WEBRTC_FIN_ACK_TIMEOUT (10 * TERN_SECOND)
#define WEBRTC_STARVED_PAUSE   (100 * TERN_MILLISECOND)
#define WEBRTC_RTT_INTERVAL    (5 * TERN_SECOND)

enum {
    WEBRTC_ROUTE_KEY_SIZE = 31,
    WEBRTC_AMPLIFICATION = 3,    /* bytes to an address that is not proven, for each from it */
    WEBRTC_NOISE_MAX = 16 << 10, /* bytes of Noise that wait */
    WEBRTC_FAREWELL_MAX = 512,
    WEBRTC_WINDOW_LOW = 8 << 10, /* a window with less than this is used up */
    WEBRTC_GRAVES_MAX = 256,
};

struct webrtc;
struct webrtc_session;

/* A remote address at one of our sockets, and the sessions that have to do with it. */
struct webrtc_route {
    struct tern_map_entry entry;
    uint8_t key[WEBRTC_ROUTE_KEY_SIZE];
    struct tern_list bindings;
    uint32_t count;
};

struct webrtc_binding {
    struct tern_list in_route;
    struct tern_list in_session; /* the oldest first */
    struct webrtc_route *route;
    struct webrtc_session *session;
};

struct webrtc_socket {
    tern_link_id id;            /* TERN_LINK_NONE: free */
    struct tern_list ready;     /* sessions with something to send, in turn */
    struct tern_list farewells; /* struct webrtc_farewell */
};

/* A check of nobody's. */
struct webrtc_offer {
    struct tern_list link;
    uint64_t hash; /* of its name */
    tern_link_id socket;
    struct tern_path path;
    struct tern_chunk *datagram;
};

/* What is said to the remote of a session that has ended. */
struct webrtc_farewell {
    struct tern_list link;
    struct tern_path path;
    uint32_t size;
    uint8_t bytes[];
};

/* The name of a session that has ended. */
struct webrtc_grave {
    uint64_t hash;
    tern_time until;
};

struct webrtc {
    struct tern_mem *mem;
    struct tern_webrtc_options options;
    struct tern_random random;
    struct tern_dtls_context *dtls;
    struct tern_timer_queue timers;
    struct tern_map routes; /* struct webrtc_route, by socket and address */
    struct tern_map names;  /* struct webrtc_session that listen, by name */
    struct webrtc_socket sockets[TERN_WEBRTC_SOCKETS_MAX];
    struct tern_list sessions;
    struct tern_list active; /* sessions whose owner is to be told */
    struct tern_list offers; /* that the owner has not heard of */
    uint32_t offers_count;
    struct webrtc_offer *offer; /* that it is deciding about */
    struct tern_mux_bucket offers_taken;
    uint32_t half_open_count;
    uint32_t farewells_count;
    struct webrtc_grave graves[WEBRTC_GRAVES_MAX];
    uint32_t graves_next;
    uint64_t names_key[2];   /* of hashes of names */
    struct tern_chunk *room; /* that records are opened into; NULL: there was no memory */
    tern_time now;           /* never goes back */
};

/* ---- streams ---- */

enum webrtc_stream_flag {
    WEBRTC_OPENED = MUX_OWN << 0,      /* DCEP's OPEN was sent, or received */
    WEBRTC_ACK_DUE = MUX_OWN << 1,     /* DCEP's ACK */
    WEBRTC_FIN_ACK_DUE = MUX_OWN << 2, /* the remote's end is to be acknowledged */
    WEBRTC_FIN_ACKED = MUX_OWN << 3,   /* ours is, or nobody waits for that any more */
    WEBRTC_STOPPED = MUX_OWN << 4,     /* the remote does not read */
    WEBRTC_OUT_ASKED = MUX_OWN << 5,   /* SCTP was asked to reset our direction … */
    WEBRTC_OUT_DONE = MUX_OWN << 6,    /* … and has */
    WEBRTC_IN_DONE = MUX_OWN << 7,     /* the remote's direction was reset */
};

/* Flags that stand for a message other than data. */
#define WEBRTC_MESSAGES_DUE                                                                        \
    ((uint32_t)MUX_ANNOUNCE | MUX_RST_DUE | WEBRTC_ACK_DUE | WEBRTC_FIN_ACK_DUE)

/* base.wire_id is the channel's number. The object lives as long as the owner's id or the channel.
 */
struct webrtc_stream {
    struct tern_mux_stream base;
    struct tern_list linger;  /* of lingering, while the id is dead and the channel is not */
    struct tern_list waiting; /* for the remote, until close_at */
    struct tern_list closing; /* for a place among SCTP's resets */
    struct tern_message_decoder decoder;
    tern_time close_at;
};

/* A channel of the remote's that was not taken: it is told so, and the channel is closed. */
struct webrtc_refusal {
    uint32_t code;
    uint16_t number;
    bool said;
    bool out_asked;
    bool out_done;
    bool in_done;
};

struct webrtc_refusals {
    struct webrtc_refusal *list;
    uint32_t count;
    uint32_t capacity;
    uint32_t due; /* of those, to be said or closed */
};

/* ---- sessions ---- */

enum webrtc_state {
    WEBRTC_CHECKING,    /* ICE */
    WEBRTC_SECURING,    /* DTLS */
    WEBRTC_JOINING,     /* SCTP, Noise */
    WEBRTC_ESTABLISHED, /* streams */
    WEBRTC_ENDED,       /* error says why */
};

enum webrtc_news {
    WEBRTC_NEWS_ESTABLISHED = 1 << 0,
    WEBRTC_NEWS_CONFIRMED = 1 << 1,
    WEBRTC_NEWS_RTT = 1 << 2,
    WEBRTC_NEWS_GOAWAY = 1 << 3,
};

/* Channel 0. */
struct webrtc_noise {
    struct tern_channel channel; /* ops NULL: not yet */
    struct tern_job *job;        /* to be given to the owner */
    bool job_out;                /* it was given */
    struct tern_message_decoder decoder;
    struct tern_mux_queue in;
    struct tern_mux_queue out;
    tern_time speaks_at; /* listener, to a remote that may not hear yet */
    bool ended;          /* by the remote */
    bool fin_ack_due;
    bool close_asked; /* the remote has closed the channel, and so do we */
};

struct webrtc_session {
    struct webrtc *webrtc;
    struct tern_list link;   /* of sessions */
    struct tern_list ready;  /* of its socket's */
    struct tern_list active; /* of active */
    struct tern_map_entry name;
    bool named; /* it is in names */
    struct tern_list bindings;
    uint32_t bindings_count;
    struct tern_timer timer;
    uint64_t tag;

    struct webrtc_socket *socket; /* NULL: it is closed */
    struct tern_path path;        /* to the remote */
    struct tern_endpoint local;   /* of the last authentic datagram */
    bool listener;
    bool half_open; /* counted */
    bool validated; /* the remote receives at its address */
    uint64_t bytes_in;
    uint64_t bytes_out;

    enum webrtc_state state;
    tern_err error;
    tern_fault fault;
    uint32_t news;
    bool confirmed_said; /* the owner hears of streams from then on */
    bool goaway;         /* the owner has said so */

    struct tern_dtls_context *context;
    struct tern_ice ice;
    struct tern_dtls dtls;
    bool has_dtls;
    struct tern_sctp *sctp; /* NULL before JOINING */
    struct webrtc_noise noise;
    struct tern_peer_id expected; /* size 0: anyone */
    uint8_t certhashes[TERN_DTLS_CERTHASHES_MAX][TERN_SHA256_SIZE];
    size_t certhashes_count;

    tern_time give_up_at;    /* unless it is established */
    tern_time heard_at;      /* of the remote, last */
    tern_time rtt_at;        /* when it was told last */
    tern_time starved_until; /* there was no memory for what is to be sent */
    tern_time stall_at;      /* NEVER: the window is open … */
    bool stall_read;         /* … or something was read since it is not */

    struct tern_mux_streams streams;
    struct tern_list lingering;
    struct tern_list waiting; /* by close_at */
    struct tern_list closing;
    uint32_t number_next; /* of the next channel of ours */
    bool numbers_wrapped; /* all have been used once */
    bool numbers_spent;   /* and cannot be used again: the remote does not close channels */
    size_t charged_held;  /* bytes of streams that SCTP holds, charged to the scope */
    struct webrtc_refusals refusals;
    struct tern_mux_bucket resets_received;
};

static inline struct webrtc_stream *webrtc_stream_of(struct tern_mux_stream *base)
{
    return base == NULL ? NULL : TERN_CONTAINER_OF(base, struct webrtc_stream, base);
}

/* ---- webrtc.c ---- */

/* webrtc_at takes the time of a call over: it never goes back. */
static inline void webrtc_at(struct webrtc *w, tern_time now)
{
    if (now > w->now)
        w->now = now;
}

/* webrtc_note counts a fault that ends no session. */
void webrtc_note(struct webrtc *w, tern_fault fault);

/* webrtc_socket_find finds a socket; NULL: it is not known. webrtc_socket_use makes it known; NULL:
 * there are too many. */
struct webrtc_socket *webrtc_socket_find(struct webrtc *w, tern_link_id id);
struct webrtc_socket *webrtc_socket_use(struct webrtc *w, tern_link_id id);

/* webrtc_farewell keeps a datagram for the socket, if it can. */
void webrtc_farewell(struct webrtc *w, struct webrtc_socket *socket, const struct tern_path *path,
                     struct tern_view bytes);

/* ---- webrtc_offer.c ---- */

/* webrtc_offer_take takes a check of a name that no session has. */
void webrtc_offer_take(struct webrtc *w, tern_link_id socket,
                       const struct tern_ice_message *message);

/* webrtc_offer_next makes the oldest one that which the owner decides about. False: there is none.
 */
bool webrtc_offer_next(struct webrtc *w, struct tern_session_offer *offer);
void webrtc_offer_refuse(struct webrtc *w);

/* webrtc_offer_accept makes a session of it, to which the check comes. TERN_ERR_MEMORY,
 * SCOPE_MEMORY, FULL: what accept returns. */
TERN_NODISCARD tern_err webrtc_offer_accept(struct webrtc *w, struct tern_scope *scope,
                                            uint64_t tag, struct webrtc_session **session);

/* webrtc_offers_drop drops those of a socket, or all: TERN_LINK_NONE. */
void webrtc_offers_drop(struct webrtc *w, tern_link_id socket);

/* webrtc_bury: who goes on checking this name is not answered any more, for a while. */
void webrtc_bury(struct webrtc *w, struct tern_view name);

/* ---- webrtc_route.c ---- */

struct webrtc_route *webrtc_route_find(const struct webrtc *w, tern_link_id socket,
                                       const struct tern_endpoint *remote);

/* webrtc_route_busy is the session of the route whose DTLS handshake is not done; NULL: none. */
struct webrtc_session *webrtc_route_busy(const struct webrtc_route *route);

/* webrtc_bind lets datagrams from an address come to the session; of too many the oldest is
 * forgotten. Idempotent. TERN_ERR_MEMORY; FULL: too many sessions have to do with the address. */
TERN_NODISCARD tern_err webrtc_bind(struct webrtc_session *s, const struct tern_endpoint *remote);

/* webrtc_bindable: would it not be FULL? */
bool webrtc_bindable(const struct webrtc_session *s, const struct tern_endpoint *remote);
void webrtc_unbind_all(struct webrtc_session *s);

/* webrtc_route_datagrams takes what came. */
void webrtc_route_datagrams(struct webrtc *w, tern_link_id socket, const struct tern_datagrams *in);

/* ---- webrtc_session.c ---- */

/* What dialled and accepted sessions begin with. */
struct webrtc_birth {
    bool listener;
    struct webrtc_socket *socket;
    struct tern_path path;
    struct tern_scope *scope;
    uint64_t tag;
};

/* webrtc_session_new makes a session, whose ICE is the caller's to begin; NULL: no memory. */
struct webrtc_session *webrtc_session_new(struct webrtc *w, const struct webrtc_birth *birth);
void webrtc_session_free(struct webrtc_session *s);

/* webrtc_session_fail ends it, with a word to the remote if there are keys. The first one counts.
 */
void webrtc_session_fail(struct webrtc_session *s, tern_err error, tern_fault fault);

/* webrtc_session_stun takes a check, or the answer to one; false: it is not meant for it. */
bool webrtc_session_stun(struct webrtc_session *s, const struct tern_ice_message *message);

/* webrtc_session_datagram takes a datagram of DTLS; false: nothing in it was authentic. */
bool webrtc_session_datagram(struct webrtc_session *s, struct tern_view datagram,
                             const struct tern_path *path);
void webrtc_session_job_done(struct webrtc_session *s, struct tern_job *job);
void webrtc_session_tick(struct webrtc_session *s);

/* webrtc_session_established: Noise knows the remote. */
void webrtc_session_established(struct webrtc_session *s);

/* webrtc_session_wake puts it in line to send, and its owner in line to be told, if there is
 * reason. _update does so after anything that happened on the wire, and sets the timer. */
void webrtc_session_wake(struct webrtc_session *s);
void webrtc_session_update(struct webrtc_session *s);

/* ---- webrtc_noise.c ---- */

/* webrtc_noise_prologue appends what both ends have to have in common. */
void webrtc_noise_prologue(const uint8_t dialer[TERN_SHA256_SIZE],
                           const uint8_t listener[TERN_SHA256_SIZE], struct tern_writer *w);

/* webrtc_noise_begin makes the channel, when DTLS has told the certificates. TERN_ERR_MEMORY. */
TERN_NODISCARD tern_err webrtc_noise_begin(struct webrtc_session *s);

/* webrtc_noise_up: the association is up. webrtc_noise_waits: is the remote given time until
 * speaks_at, to hear what there is to be said? */
void webrtc_noise_up(struct webrtc_session *s);
bool webrtc_noise_waits(const struct webrtc_session *s);
void webrtc_noise_data(struct webrtc_session *s, struct tern_view bytes);
void webrtc_noise_job_done(struct webrtc_session *s, struct tern_job *job);

/* webrtc_noise_closed: the remote has closed the channel. */
void webrtc_noise_closed(struct webrtc_session *s);
void webrtc_noise_fini(struct webrtc_session *s);

/* ---- webrtc_send.c ---- */

bool webrtc_session_wants_send(const struct webrtc_session *s);

/* webrtc_session_send gives the next batch; false: there is none. */
bool webrtc_session_send(struct webrtc_session *s, struct tern_datagrams_out *out);

/* webrtc_session_last_words ends SCTP and DTLS, as far as they have come. */
void webrtc_session_last_words(struct webrtc_session *s);

/* ---- webrtc_channels.c ---- */

/* webrtc_channel_event takes what SCTP tells of a channel other than 0. */
void webrtc_channel_event(struct webrtc_session *s, const struct tern_sctp_event *event);

/* ---- webrtc_refusals.c ---- */

/* webrtc_refuse closes a channel that the remote has opened. */
void webrtc_refuse(struct webrtc_session *s, uint16_t number, uint32_t code);

/* webrtc_refusal_find: is there one? */
struct webrtc_refusal *webrtc_refusal_find(const struct webrtc_session *s, uint16_t number);

/* webrtc_refusal_over forgets it when both directions are reset. */
void webrtc_refusal_over(struct webrtc_session *s, struct webrtc_refusal *refusal);

/* webrtc_refusals_fill says the next one. TERN_ERR_MEMORY, FULL: not now. */
TERN_NODISCARD tern_err webrtc_refusals_fill(struct webrtc_session *s);
void webrtc_refusals_fini(struct webrtc_session *s);

/* ---- webrtc_streams.c ---- */

/* webrtc_stream_dead: was it reset? */
static inline bool webrtc_stream_dead(const struct webrtc_stream *stream)
{
    return (stream->base.flags & MUX_DEAD) != 0;
}

struct webrtc_stream *webrtc_stream_find(struct webrtc_session *s, uint16_t number);

/* webrtc_stream_new makes one; flags is MUX_INBOUND or 0. TERN_ERR_SCOPE_STREAMS, SCOPE_MEMORY,
 * MEMORY. */
TERN_NODISCARD tern_err webrtc_stream_new(struct webrtc_session *s, uint32_t flags,
                                          struct webrtc_stream **stream);

/* webrtc_stream_reset is the owner's reset: the id is dead in the call. */
void webrtc_stream_reset(struct webrtc_session *s, struct webrtc_stream *stream, uint32_t code);

/* webrtc_stream_abort resets a stream for a reason of ours; the owner is told. */
void webrtc_stream_abort(struct webrtc_session *s, struct webrtc_stream *stream, uint32_t code);

/* webrtc_stream_die: the remote has reset it. */
void webrtc_stream_die(struct webrtc_session *s, struct webrtc_stream *stream, uint32_t code);

/* webrtc_stream_stop: the remote does not read it. */
void webrtc_stream_stop(struct webrtc_session *s, struct webrtc_stream *stream);

/* webrtc_stream_close_if_done says CLOSED when both directions have ended and all was consumed. */
void webrtc_stream_close_if_done(struct webrtc_session *s, struct webrtc_stream *stream);

/* webrtc_stream_update puts a stream in line for what is due, or out of it. */
void webrtc_stream_update(struct webrtc_session *s, struct webrtc_stream *stream);

/* webrtc_stream_over: its channel is closed in both directions. */
void webrtc_stream_over(struct webrtc_session *s, struct webrtc_stream *stream);
void webrtc_stream_drop_id(struct webrtc_session *s, struct webrtc_stream *stream);

/* webrtc_streams_closing closes channels that waited for SCTP to have a place. */
void webrtc_streams_closing(struct webrtc_session *s);

/* webrtc_streams_tick gives up waiting for the remote, and for readers that stall all others. */
void webrtc_streams_tick(struct webrtc_session *s);
tern_time webrtc_streams_deadline(const struct webrtc_session *s);

/* webrtc_streams_stall looks whether the window is used up. */
void webrtc_streams_stall(struct webrtc_session *s);

/* webrtc_streams_end: nothing is sent any more. */
void webrtc_streams_end(struct webrtc_session *s);
void webrtc_streams_fini(struct webrtc_session *s);

/* ---- webrtc_messages.c ---- */

/* webrtc_fill hands messages to SCTP while it is hungry. */
void webrtc_fill(struct webrtc_session *s);

/* webrtc_fill_wants: is there a message to be handed over? */
bool webrtc_fill_wants(const struct webrtc_session *s);

/* webrtc_message_flag hands a message of a flag over. */
TERN_NODISCARD tern_err webrtc_message_flag(struct webrtc_session *s, uint16_t number,
                                            enum tern_message_flag flag, uint32_t code);

/* webrtc_settle_charges gives back what SCTP does not hold any more. */
void webrtc_settle_charges(struct webrtc_session *s);

/* ---- webrtc_mux.c ---- */

/* webrtc_has_news: is there something for the owner? */
bool webrtc_has_news(const struct webrtc_session *s);
struct tern_session webrtc_mux_session(struct webrtc_session *s);

#endif
