/*
 * The swarm: all connections of one host, and what is known of other peers. It dials (ranked
 * addresses, staggered attempts, one dial at a time to a peer), listens, holds connections to
 * limits, and carries streams between connections and services. It is a pure machine in the
 * vocabulary of runtime/io.h.
 *
 *     world ──inputs──► swarm ──events──► services           receiving goes up
 *     world ◄─commands─ swarm ◄──calls─── services           sending goes down
 *
 * Services never call each other: they meet here, in the peers' state and the address book.
 *
 * Handles are slot + generation; a stale one gives TERN_ERR_STALE. Handle 0 is none.
 */
#ifndef TERN_SWARM_SWARM_H
#define TERN_SWARM_SWARM_H

#include "base/map.h"
#include "conn/conn.h"
#include "runtime/io.h"
#include "swarm/limits.h"
#include "swarm/meter.h"
#include "swarm/route.h"
#include "wire/multiaddr.h"
#include "wire/peer_id.h"

typedef uint64_t tern_peer;       /* a peer we have a connection to, from PEER_UP to PEER_DOWN */
typedef uint64_t tern_connection; /* one connection, from CONNECTION_UP to CONNECTION_DOWN */

/* A stream anywhere in the host: plain data, by value. */
struct tern_stream {
    tern_connection connection;
    tern_stream_id id;
};

enum {
    TERN_SWARM_SERVICES_MAX = 32,
    TERN_SWARM_PROTOCOLS_MAX = 64,
    TERN_SWARM_LISTENERS_MAX = 16,
    TERN_SWARM_EXEMPT_MAX = 16,
    TERN_PEER_ADDRS_MAX = 16,
    TERN_DIAL_ATTEMPTS_MAX = 32, /* addresses that one dial tries, names resolved */
    TERN_DIAL_ROWS_MAX = 64,     /* and those that it does not */
};

/* Codes that go over the wire when a connection or a stream ends early (libp2p/specs error-codes).
 */
enum tern_connection_code {
    TERN_CONNECTION_CODE_NONE = 0,
    TERN_CONNECTION_CODE_NEGOTIATION = 0x1000,
    TERN_CONNECTION_CODE_RESOURCE_LIMIT = 0x1001,
    TERN_CONNECTION_CODE_RATE_LIMIT = 0x1002,
    TERN_CONNECTION_CODE_VIOLATION = 0x1003,
    TERN_CONNECTION_CODE_SUPPLANTED = 0x1004, /* another connection of the two peers is kept */
    TERN_CONNECTION_CODE_IDLE = 0x1005,       /* garbage collected */
    TERN_CONNECTION_CODE_SHUTDOWN = 0x1006,
    TERN_CONNECTION_CODE_GATED = 0x1007,
    TERN_CONNECTION_CODE_OUT_OF_RANGE = 0x1008,
};
enum tern_stream_code {
    TERN_STREAM_CODE_NONE = 0,
    TERN_STREAM_CODE_NEGOTIATION = 0x1001,
    TERN_STREAM_CODE_RESOURCE_LIMIT = 0x1002,
    TERN_STREAM_CODE_RATE_LIMIT = 0x1003,
    TERN_STREAM_CODE_VIOLATION = 0x1004,
    TERN_STREAM_CODE_SUPPLANTED = 0x1005, /* another stream does the same */
    TERN_STREAM_CODE_IDLE = 0x1006,       /* garbage collected; what takes too long is that, too */
    TERN_STREAM_CODE_SHUTDOWN = 0x1007,
    TERN_STREAM_CODE_GATED = 0x1008,
    TERN_STREAM_CODE_OUT_OF_RANGE = 0x1009,
};
/* What a code means, in a few words; codes from 0x2000 on, and such as nobody knows, are an
 * application's. */
const char *tern_connection_code_text(uint32_t code);
const char *tern_stream_code_text(uint32_t code);

/* Kinds of addresses that some networks swallow without a word (blackhole.h). */
enum tern_black_hole { TERN_BLACK_HOLE_UDP, TERN_BLACK_HOLE_IP6, TERN_BLACK_HOLES };
#define TERN_BLACK_HOLE_BIT(hole) (1u << (hole))

enum tern_black_hole_state {
    TERN_BLACK_HOLE_PROBING, /* not known yet */
    TERN_BLACK_HOLE_ALLOWED,
    TERN_BLACK_HOLE_BLOCKED, /* not dialled but for one dial in a hundred */
};

/* What a dial did with an address, for explaining: one row each. */
struct tern_dial_attempt {
    struct tern_route route;
    struct tern_view
        address;          /* not tried: the address, also when it has no route; borrowed likewise */
    tern_err err;         /* tried: how it ended. Not tried, why: UNSUPPORTED, INVALID, GATED;
                             RATE (it failed lately: not before until); BLACK_HOLE; CLOSED (not
                             needed any more); what resolving its name said */
    tern_time started_ns; /* 0: not tried */
    tern_time linked_ns;  /* the link was there and its upgrade began; 0: never */
    tern_time ended_ns;   /* 0: still under way */
    tern_time until;
    uint32_t black_holes; /* bits of those that it lies in */
    bool outside_network; /* UNSUPPORTED because the host is in a private network */
    struct tern_refusal refusal;
};

/* What is said of such an address. */
#define TERN_DIAL_OUTSIDE_NETWORK "its transport has no place for the private network's key"

/* tern_dial_attempt_format writes a row in words, without a full stop: the address, when it was
 * tried (counted from when the dial began), how that ended, or why it was not. */
enum { TERN_DIAL_ATTEMPT_TEXT_SIZE_MAX = 2048 };
void tern_dial_attempt_format(const struct tern_dial_attempt *row, tern_time began, tern_time now,
                              struct tern_writer *out);

const char *tern_black_hole_name(enum tern_black_hole hole);

/* Addresses that begin alike. */
struct tern_subnet {
    struct tern_ip ip;
    uint8_t bits;
};

/* Bandwidth (manager.h). */
struct tern_quota {
    uint64_t bytes_per_s; /* 0: no limit */
    uint64_t burst_bytes; /* at once, after a pause; 0: an eighth of a second's */
};

struct tern_quotas {
    struct tern_quota total[TERN_DIRECTIONS];
    struct tern_quota peer[TERN_DIRECTIONS]; /* of each */
};

struct tern_swarm_config {
    struct tern_mem *mem;
    struct tern_random *random;
    struct tern_trace *trace;
    struct tern_metrics *metrics;
    const struct tern_private_key *identity;
    struct tern_swarm_limits limits;
    struct tern_quotas quotas;
    struct tern_subnet exempt[TERN_SWARM_EXEMPT_MAX]; /* whose addresses no subnet's limit is for */
    size_t exempt_count;
    enum tern_secure_kind secure[TERN_CONN_SECURE_MAX];
    size_t secure_count;
    bool slow_aes; /* the processor has no instructions for AES: TLS prefers another cipher */
    enum tern_muxer_kind muxers[TERN_CONN_MUXERS_MAX];
    size_t muxers_count;
    bool dial_first_choice; /* dialers offer the first of both lists alone, which saves a round trip
                               for each: listeners still take all */
    uint32_t transports;    /* bits of those that may be dialled and listened at */
    const struct tern_pnet_key *psk; /* of the private network that the host is in, without those
                                        that encrypt by themselves: QUIC, WebRTC, WebTransport;
                                        NULL: in none. Outlives the swarm */
    const struct tern_web_tls *web;  /* for secure WebSocket: dialled with it, listened at when it
                                        has credentials; NULL: neither. Outlives the swarm */
    tern_time dial_timeout_ns;       /* one attempt, from its start to established */
    tern_time dial_peer_timeout_ns;  /* a whole dial, names resolved, all its attempts */
    tern_time dial_stagger_ns;       /* until the next address is tried beside the first */
    tern_time upgrade_timeout_ns;    /* an inbound link, from accepted to established */
    tern_time negotiate_timeout_ns;  /* of one stream's protocol */
    tern_time
        idle_timeout_ns; /* a connection without streams or protection ends after this; 0: never */
    tern_time keepalive_ns; /* of silence before a ping (tern_mux_keep_alive); 0: none */
    tern_time keepalive_timeout_ns;
    tern_time shutdown_drain_ns;  /* so long streams in use may go on when it shuts down */
    tern_time trim_grace_ns;      /* no peer is trimmed for so long after it came */
    tern_time trim_interval_ns;   /* from one trim to the next */
    uint32_t rotate_percent;      /* of outbound peers that are replaced by others … */
    tern_time rotate_interval_ns; /* … each time this has passed; either 0: never */
    uint32_t observers_min; /* distinct peers that must see us at an address before we believe it */
    bool book_saved;        /* keep the address book in the store's space book_space */
    uint8_t book_space;
};

/* tern_swarm_config_defaults fills in the "default" profile (Noise and yamux; the book is not
 * saved; loopback is exempt from the limits of subnets); the caller then sets mem … identity. */
void tern_swarm_config_defaults(struct tern_swarm_config *config);

enum tern_swarm_event_kind {
    TERN_SWARM_PEER_UP,         /* first connection to peer: peer, connection, peer_id */
    TERN_SWARM_PEER_DOWN,       /* last connection gone: peer is dead after this; peer_id */
    TERN_SWARM_CONNECTION_UP,   /* every connection, after PEER_UP: peer, connection */
    TERN_SWARM_CONNECTION_DOWN, /* peer, connection, err, fault; code: what was said why it ends, by
                                   the remote (by_remote) or by us. Its streams have ENDED before */
    TERN_SWARM_LISTENING,       /* address */
    TERN_SWARM_LISTEN_FAILED,   /* address, err */
    TERN_SWARM_DIAL_DONE, /* token of tern_swarm_dial; err TERN_OK: there is a connection to peer.
                             peer_id: who was dialled, NULL when that is not known */
    TERN_SWARM_ADDRESSES, /* our own listen or observed addresses changed */
    TERN_SWARM_PROTOCOLS, /* what a peer supports became known or changed (by identify): peer */
    TERN_SWARM_STREAM_OPENED, /* by the remote, for this service: stream, peer, protocol */
    TERN_SWARM_STREAM_READY,  /* ours: the remote agreed on offer[offered_index] */
    TERN_SWARM_STREAM_READABLE,
    TERN_SWARM_STREAM_WRITABLE,
    TERN_SWARM_STREAM_ENDED, /* err: TERN_OK closed in good order, RESET (code), NO_PROTOCOL,
                                TIMEOUT, DISCONNECTED … The handle is dead. Said once for every
                                stream, unless the service itself reset it */
};

struct tern_swarm_event {
    enum tern_swarm_event_kind kind;
    uint32_t service; /* stream events: whose; others go to every service */
    tern_peer peer;
    const struct tern_peer_id *peer_id; /* PEER_UP, PEER_DOWN, DIAL_DONE */
    tern_connection connection;
    struct tern_stream stream;
    const struct tern_protocol *protocol;
    uint32_t offered_index;
    uint64_t user; /* what the service gave when it opened the stream, or set later */
    uint32_t code;
    bool by_remote;
    tern_err err;
    tern_fault fault;
    tern_token token;
    const struct tern_multiaddr *address;
};

/* A service: a protocol on the swarm. It is told of events and time, and calls down. Within event()
 * and tick() it may call any tern_swarm_ function except next and the machine's own. */
struct tern_service_ops {
    const char *name;
    void (*event)(void *self, tern_time now, const struct tern_swarm_event *event);
    tern_time (*deadline)(const void *self);
    void (*tick)(void *self, tern_time now);
    void (*job_done)(void *self, tern_time now, struct tern_job *job); /* NULL: has no jobs */
    void (*stored)(void *self, tern_time now,
                   struct tern_store_request *request); /* NULL likewise */
};

struct tern_swarm;

/* tern_swarm_new makes a swarm; NULL: no memory. The config is copied, what it points to is
 * borrowed. */
struct tern_swarm *tern_swarm_new(const struct tern_swarm_config *config, tern_time now);

/* tern_swarm_free ends everything at once. The world no longer runs jobs or store requests of it.
 */
void tern_swarm_free(struct tern_swarm *swarm);

/* tern_swarm_add_service registers a service before the first input; *service is its number. */
TERN_NODISCARD tern_err tern_swarm_add_service(struct tern_swarm *swarm,
                                               const struct tern_service_ops *ops, void *self,
                                               uint32_t *service);

/* tern_swarm_handle serves a protocol: inbound streams that agree on the name go to the service.
 * protocol->name is borrowed until tern_swarm_unhandle or the end. TERN_ERR_EXISTS, FULL. */
TERN_NODISCARD tern_err tern_swarm_handle(struct tern_swarm *swarm,
                                          const struct tern_protocol *protocol);
/* tern_swarm_allow_early declares a protocol that is served here to be replay_harmless: its streams
 * may be opened, and are served, in the first flight of a session that is resumed (QUIC).
 * TERN_ERR_NOT_FOUND: it is not served. */
TERN_NODISCARD tern_err tern_swarm_allow_early(struct tern_swarm *swarm, struct tern_view name);
void tern_swarm_unhandle(struct tern_swarm *swarm, struct tern_view name);
const struct tern_protocol_table *tern_swarm_protocols(const struct tern_swarm *swarm);

/* tern_swarm_set_service_limits and set_protocol_limits give one service or protocol limits of its
 * own, for all that it has and for what it has with each peer; NULL: those of the configuration.
 * For protocols TERN_ERR_MEMORY, FULL, INVALID (the name is empty or too long). */
void tern_swarm_set_service_limits(struct tern_swarm *swarm, uint32_t service,
                                   const struct tern_scope_limits *all,
                                   const struct tern_scope_limits *each_peer);
TERN_NODISCARD tern_err tern_swarm_set_protocol_limits(struct tern_swarm *swarm,
                                                       struct tern_view name,
                                                       const struct tern_scope_limits *all,
                                                       const struct tern_scope_limits *each_peer);

/* --- the machine (runtime/io.h). Events are dispatched to the services inside input. --- */
void tern_swarm_input(struct tern_swarm *swarm, tern_time now, const struct tern_input *in);
bool tern_swarm_next_command(struct tern_swarm *swarm, struct tern_command *command);
void tern_swarm_transmit(struct tern_swarm *swarm, tern_time now, tern_link_id link,
                         struct tern_writer *out);
bool tern_swarm_datagrams(struct tern_swarm *swarm, tern_time now, tern_link_id socket,
                          struct tern_datagrams_out *out);
tern_time tern_swarm_deadline(const struct tern_swarm *swarm);

/* tern_swarm_dispatch carries out what calls from outside (the host's API) have set off: dispatches
 * pending events to services. Idempotent; input calls it. */
void tern_swarm_dispatch(struct tern_swarm *swarm, tern_time now);

/* tern_swarm_wall is the wall-clock time at now, as the world told it; 0 before it did. */
tern_wall_time tern_swarm_wall(const struct tern_swarm *swarm, tern_time now);

/* --- listening, dialling, ending --- */
/* tern_swarm_listen listens at an IP, a port (0: any) and a transport (swarm/route.h); LISTENING or
 * LISTEN_FAILED follows. Transports that differ may share a port: TCP, WebSocket and secure
 * WebSocket one, and those on UDP another. TERN_ERR_UNSUPPORTED (an address of another kind, or of
 * a transport that is not to be had), EXISTS, FULL, CLOSED (shut down). */
TERN_NODISCARD tern_err tern_swarm_listen(struct tern_swarm *swarm,
                                          const struct tern_multiaddr *address);
/* tern_swarm_unlisten ends the listener whose address (as given, or as bound) it is; connections
 * stay. */
void tern_swarm_unlisten(struct tern_swarm *swarm, const struct tern_multiaddr *address);

/* tern_swarm_token gives a number that no other caller of this swarm has: for dials. */
tern_token tern_swarm_token(struct tern_swarm *swarm);

/* tern_swarm_dial connects to a peer; DIAL_DONE with the token follows (never inside this call), at
 * once if there is a connection already. A dial to a peer that is being dialled joins that dial. id
 * may be NULL when addresses are given: then the id in their /p2p suffix, or else whoever answers,
 * is it. Addresses are added to those of the address book; unlike those, they are tried even when
 * they failed a moment ago or seem to be blocked. Names (/dns…, /dnsaddr) are resolved.
 * TERN_ERR_NO_ADDRESS; UNSUPPORTED (no address is of a transport we have); GATED; RATE (all that is
 * known failed lately, or the peer is banned); BLACK_HOLE (all that is known is of a kind that does
 * not seem to get through here); SELF (it is us); FULL, MEMORY; CLOSED (shut down). */
struct tern_dial_options {
    const struct tern_peer_id *id;
    const struct tern_multiaddr *addresses;
    size_t addresses_count;
    tern_token token;
    bool insist; /* addresses of the book are tried, too, even when they failed a moment ago */
};
TERN_NODISCARD tern_err tern_swarm_dial(struct tern_swarm *swarm, tern_time now,
                                        const struct tern_dial_options *options);

/* tern_swarm_dial_attempts lists what the dial of this token tried and what not, for --explain:
 * while it runs, and afterwards for the last 16 dials, also of one that tern_swarm_dial refused
 * because there was nothing to try. Borrowed until the next input. */
size_t tern_swarm_dial_attempts(const struct tern_swarm *swarm, tern_token token,
                                const struct tern_dial_attempt **attempts);

/* tern_swarm_black_hole: does this network seem to swallow such dials? */
enum tern_black_hole_state tern_swarm_black_hole(const struct tern_swarm *swarm,
                                                 enum tern_black_hole hole);

/* tern_swarm_last_refusal is the newest refusal by a limit, for the message beside a LIMIT error
 * (tern_refusal_format). */
const struct tern_refusal *tern_swarm_last_refusal(const struct tern_swarm *swarm);

/* tern_swarm_update_metrics brings those gauges up to date that are not kept: before they are read.
 */
void tern_swarm_update_metrics(struct tern_swarm *swarm);

/* tern_swarm_disconnect ends all connections to the peer in good order; code goes to the remote. */
void tern_swarm_disconnect(struct tern_swarm *swarm, tern_time now, tern_peer peer, uint32_t code);

/* tern_swarm_shutdown ends everything in good order, and takes nothing new: listeners and dials end
 * at once, what is being set up is cut off, new streams are refused with the code SHUTDOWN. Streams
 * that are in use may go on for shutdown_drain_ns; each connection says SHUTDOWN when its streams
 * have ended and all is sent, or that time is over. The address book is saved. tern_swarm_is_down
 * tells when all that is done: within shutdown_drain_ns and 12 s, whatever remotes do. */
void tern_swarm_shutdown(struct tern_swarm *swarm, tern_time now);
bool tern_swarm_is_down(const struct tern_swarm *swarm);

/* --- streams --- */
struct tern_stream_request {
    uint32_t service; /* who gets the stream's events */
    tern_peer peer;
    struct tern_stream_offer offer;
    uint64_t user;
};
/* tern_swarm_open_stream opens a stream on the peer's best connection. TERN_ERR_STALE (no such
 * peer), CLOSED (its connections are ending), SCOPE_STREAMS, FULL, MEMORY. The offer's names are
 * borrowed until READY or ENDED. */
TERN_NODISCARD tern_err tern_swarm_open_stream(struct tern_swarm *swarm, tern_time now,
                                               const struct tern_stream_request *request,
                                               struct tern_stream *stream);
/* As tern_conn_ (conn/conn.h) and mux/mux.h have them; TERN_ERR_STALE when the stream has ended. */
TERN_NODISCARD tern_err tern_swarm_write(struct tern_swarm *swarm, struct tern_stream stream,
                                         struct tern_view bytes, size_t *accepted);
TERN_NODISCARD tern_err tern_swarm_write_slice(struct tern_swarm *swarm, struct tern_stream stream,
                                               struct tern_slice slice);
TERN_NODISCARD tern_err tern_swarm_read(struct tern_swarm *swarm, struct tern_stream stream,
                                        struct tern_slice *bytes);
void tern_swarm_consume(struct tern_swarm *swarm, struct tern_stream stream, size_t size);
TERN_NODISCARD tern_err tern_swarm_close_write(struct tern_swarm *swarm, struct tern_stream stream);
void tern_swarm_reset(struct tern_swarm *swarm, struct tern_stream stream, uint32_t code);
void tern_swarm_set_user(struct tern_swarm *swarm, struct tern_stream stream, uint64_t user);

/* tern_swarm_reserve_memory charges what a service keeps, for a peer (0: for none): to the service,
 * to what it has of the peer, to the peer and the system. TERN_ERR_SCOPE_MEMORY, MEMORY, STALE (no
 * such peer). release gives back; when the peer has gone meanwhile, what was reserved for it is
 * the service's until then. All must be given back before the swarm is freed. */
TERN_NODISCARD tern_err tern_swarm_reserve_memory(struct tern_swarm *swarm, uint32_t service,
                                                  tern_peer peer, size_t bytes);
void tern_swarm_release_memory(struct tern_swarm *swarm, uint32_t service, tern_peer peer,
                               size_t bytes);

/* tern_swarm_reserve_stream_memory charges what a service keeps for a stream: to the stream, its
 * connection, its service and its protocol. It is given back with the stream's end at the latest.
 * TERN_ERR_SCOPE_MEMORY, STALE. */
TERN_NODISCARD tern_err tern_swarm_reserve_stream_memory(struct tern_swarm *swarm,
                                                         struct tern_stream stream, size_t bytes);
void tern_swarm_release_stream_memory(struct tern_swarm *swarm, struct tern_stream stream,
                                      size_t bytes);

/* tern_swarm_set_background tells that this stream does not keep its connection in use: an idle
 * connection with background streams alone is ended. For streams that live as long as the
 * connection. */
void tern_swarm_set_background(struct tern_swarm *swarm, struct tern_stream stream);

/* tern_swarm_stream_peer is who is at the other end; 0: the stream has ended. */
tern_peer tern_swarm_stream_peer(const struct tern_swarm *swarm, struct tern_stream stream);

/* --- peers --- */
/* tern_swarm_find_peer finds a connected peer; 0: there is no connection to it. */
tern_peer tern_swarm_find_peer(const struct tern_swarm *swarm, const struct tern_peer_id *id);
/* Both NULL for a stale handle; borrowed until PEER_DOWN. */
const struct tern_peer_id *tern_swarm_peer_id(const struct tern_swarm *swarm, tern_peer peer);
const struct tern_public_key *tern_swarm_peer_key(const struct tern_swarm *swarm, tern_peer peer);

/* Iteration over connected peers, in order of arrival; 0 ends it. */
tern_peer tern_swarm_peer_first(const struct tern_swarm *swarm);
tern_peer tern_swarm_peer_next(const struct tern_swarm *swarm, tern_peer peer);
size_t tern_swarm_peers_count(const struct tern_swarm *swarm);

/* How good a connection is, by its pings: the muxer's and those that tern_swarm_ping_result tells
 * of.
 */
struct tern_quality {
    tern_time rtt_ns;        /* smoothed over about eight; 0: none was measured yet */
    tern_time rtt_min_ns;    /* the shortest so far */
    tern_time jitter_ns;     /* mean deviation from the smoothed one (RFC 6298, RTTVAR) */
    uint32_t pings;          /* told of or measured */
    uint32_t lost;           /* of them, not answered in time */
    uint32_t loss_per_mille; /* smoothed over about eight */
};

struct tern_connection_info {
    tern_connection connection;
    tern_peer peer;
    bool outbound;
    struct tern_endpoint local;
    struct tern_route remote;
    /* How it is secured and multiplexed. Of a session: "tls" (QUIC), "tls+noise" (WebTransport),
     * "dtls+noise" (WebRTC), and the transport's own name. */
    const char *secure;
    const char *muxer;
    tern_time opened_at;
    tern_time rtt_ns;
    size_t streams_count;
    uint64_t bytes_in;
    uint64_t bytes_out;
    struct tern_quality quality;
};
tern_connection tern_swarm_connection_first(const struct tern_swarm *swarm, tern_peer peer);
tern_connection tern_swarm_connection_next(const struct tern_swarm *swarm,
                                           tern_connection connection);
bool tern_swarm_connection_info(const struct tern_swarm *swarm, tern_connection connection,
                                struct tern_connection_info *info);

/* tern_swarm_ping_result tells how a service's ping over a connection went: its round trip, or 0:
 * there was no answer in time. */
void tern_swarm_ping_result(struct tern_swarm *swarm, tern_connection connection, tern_time rtt_ns);

/* tern_swarm_peer_quality is the quality of the connection that new streams to the peer take;
 * false: there is none. */
bool tern_swarm_peer_quality(const struct tern_swarm *swarm, tern_peer peer,
                             struct tern_quality *quality);

/* tern_swarm_report counts a fault of a peer, traces it and adds its weight to the peer's sum,
 * which halves every 10 minutes. At 100 all its connections are ended and it is refused for 5
 * minutes, twice as long each time, at most 4 hours. */
void tern_swarm_report(struct tern_swarm *swarm, tern_time now, tern_peer peer, tern_fault fault);

/* tern_swarm_faults_weight is the peer's sum of fault weights now, also of one that is not
 * connected. */
uint32_t tern_swarm_faults_weight(const struct tern_swarm *swarm, tern_time now,
                                  const struct tern_peer_id *id);
bool tern_swarm_banned(const struct tern_swarm *swarm, tern_time now,
                       const struct tern_peer_id *id);

/* What a peer said it supports (identify). Names are copied; bounded by TERN_SWARM_PROTOCOLS_MAX.
 */
void tern_swarm_set_peer_protocols(struct tern_swarm *swarm, tern_peer peer,
                                   const struct tern_view *names, size_t count);
bool tern_swarm_peer_supports(const struct tern_swarm *swarm, tern_peer peer,
                              struct tern_view name);

/* --- the address book: peers we know addresses of, connected or not --- */
/* Whom an address comes from, most trusted first, and how long it is kept: by the operator (for
 * good), a record that the peer signed (48 h), the peer itself (24 h), another peer (2 h). */
enum tern_addr_source {
    TERN_ADDR_CONFIGURED,
    TERN_ADDR_SIGNED,
    TERN_ADDR_IDENTIFY,
    TERN_ADDR_HEARSAY
};

/* tern_swarm_add_address remembers an address of a peer; known already, it is refreshed. A trailing
 * /p2p with the peer's id is taken off; with another id the address is ignored, as is one that
 * cannot be dialled (port 0, multicast …) and one of our own id. Bounded per peer and in total: the
 * least trusted, oldest entries make room, never for less trusted ones. */
void tern_swarm_add_address(struct tern_swarm *swarm, tern_time now, const struct tern_peer_id *id,
                            const struct tern_multiaddr *address, enum tern_addr_source source);

struct tern_book_entry {
    struct tern_peer_id id;
    struct tern_multiaddr addresses[TERN_PEER_ADDRS_MAX];
    size_t addresses_count;
    tern_time last_seen;
    uint32_t failures;
};
size_t tern_swarm_book_count(const struct tern_swarm *swarm);
/* tern_swarm_book_at copies the i-th known peer out; false past the end. Order of arrival. */
bool tern_swarm_book_at(const struct tern_swarm *swarm, size_t i, struct tern_book_entry *entry);
/* tern_swarm_book_next copies the peer after this one (NULL: the first); false at the end, or when
 * that peer is not in the book any more. For walking through all. */
bool tern_swarm_book_next(const struct tern_swarm *swarm, const struct tern_peer_id *after,
                          struct tern_book_entry *entry);
bool tern_swarm_book_find(const struct tern_swarm *swarm, const struct tern_peer_id *id,
                          struct tern_book_entry *entry);

/* Our own addresses: where we listen (with resolved ports) and what others see us at. */
size_t tern_swarm_own_addresses(const struct tern_swarm *swarm, struct tern_multiaddr *out,
                                size_t max);
void tern_swarm_observed(struct tern_swarm *swarm, tern_time now, tern_connection connection,
                         const struct tern_multiaddr *observed);
const struct tern_peer_id *tern_swarm_own_id(const struct tern_swarm *swarm);
const struct tern_private_key *tern_swarm_identity(const struct tern_swarm *swarm);

/* --- gating: plain rules, first match wins, default allow --- */
struct tern_gate_rule {
    bool deny;
    bool any_peer; /* else id */
    struct tern_peer_id id;
    bool any_ip; /* else ip/prefix */
    struct tern_endpoint ip;
    uint8_t prefix_bits;
};
/* tern_swarm_set_gate replaces the rules (copied). They are asked when a link is accepted (a rule
 * that names a peer cannot deny yet), before an address is dialled, and when the peer is known.
 * Connections that the new rules deny are ended. TERN_ERR_MEMORY: the old rules stay. */
TERN_NODISCARD tern_err tern_swarm_set_gate(struct tern_swarm *swarm, tern_time now,
                                            const struct tern_gate_rule *rules, size_t count);

/* --- for services: work and storage through the swarm's machine --- */

/* owner_kind of jobs and store requests. JOB_DONE and STORED inputs of another kind are not the
 * swarm's: whoever stands above it takes them before. */
enum tern_owner_kind {
    TERN_OWNER_NONE,
    TERN_OWNER_CONNECTION,
    TERN_OWNER_SERVICE,
    TERN_OWNER_SWARM,
    TERN_OWNER_ABOVE, /* this and higher: free for the host and the node */
};

/* Each comes back to the service's job_done or stored; until then it is the swarm's and the
 * world's. The swarm sets owner_kind and owner_slot; owner_generation and owner_tag are the
 * service's own. */
void tern_swarm_submit_job(struct tern_swarm *swarm, uint32_t service, struct tern_job *job);
void tern_swarm_submit_store(struct tern_swarm *swarm, uint32_t service,
                             struct tern_store_request *request);

#endif
