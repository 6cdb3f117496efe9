/*
 * The swarm: all connections of one host, and what is known of other peers. It dials (ranked addresses,
 * staggered attempts, one dial at a time to a peer), listens, holds connections to limits, and carries
 * streams between connections and services. It is a pure machine in the vocabulary of runtime/io.h.
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
#include "wire/multiaddr.h"
#include "wire/peer_id.h"

typedef uint64_t tern_peer;       /* a peer we have a connection to or are dialling */
typedef uint64_t tern_connection; /* one connection */

/* A stream anywhere in the host: plain data, by value. */
struct tern_stream {
    tern_connection connection;
    tern_stream_id id;
};

enum { TERN_SWARM_SERVICES_MAX = 32, TERN_SWARM_PROTOCOLS_MAX = 64, TERN_PEER_ADDRS_MAX = 16 };

/* Why a dial or connection ended, for explaining: one row an address tried. */
struct tern_dial_attempt {
    struct tern_endpoint endpoint;
    tern_err err;
    tern_time started_ns;
    tern_time ended_ns;
};

struct tern_swarm_limits {
    struct tern_scope_limits system;
    struct tern_scope_limits peer;
    struct tern_scope_limits connection;
    struct tern_scope_limits stream;
    struct tern_scope_limits protocol;
    uint32_t connections_per_peer_max;
    uint32_t upgrading_max; /* connections that are not established yet */
    uint32_t dials_max;     /* attempts under way at once */
    uint32_t peers_max;     /* peers in the address book */
    uint64_t windows_max;   /* bytes that stream windows may grow to, together */
};

struct tern_swarm_config {
    struct tern_mem *mem;
    struct tern_random *random;
    struct tern_trace *trace;
    struct tern_metrics *metrics;
    const struct tern_key_pair *identity;
    struct tern_swarm_limits limits;
    enum tern_secure_kind secure[TERN_CONN_SECURE_MAX];
    size_t secure_count;
    tern_time dial_timeout_ns;    /* one attempt, link to established */
    tern_time dial_stagger_ns;    /* until the next address is tried beside the first */
    tern_time idle_timeout_ns;    /* a connection without streams or protection ends after this */
    tern_time keepalive_ns;       /* ping interval; 0: none */
    tern_time keepalive_timeout_ns;
};

/* tern_swarm_config_defaults fills in the "default" profile; the caller then sets mem … identity. */
void tern_swarm_config_defaults(struct tern_swarm_config *config);

enum tern_swarm_event_kind {
    TERN_SWARM_PEER_UP,          /* first connection to peer: peer, connection */
    TERN_SWARM_PEER_DOWN,        /* last connection gone: peer is dead after this */
    TERN_SWARM_CONNECTION_UP,    /* every connection: peer, connection */
    TERN_SWARM_CONNECTION_DOWN,  /* err, fault */
    TERN_SWARM_LISTENING,        /* address */
    TERN_SWARM_LISTEN_FAILED,    /* address, err */
    TERN_SWARM_DIAL_DONE,        /* token of tern_swarm_dial; peer; err TERN_OK: there is a connection */
    TERN_SWARM_ADDRESSES,        /* our own listen or observed addresses changed */
    TERN_SWARM_PROTOCOLS,        /* what a peer supports became known or changed (by identify): peer */
    TERN_SWARM_STREAM_OPENED,    /* by the remote, for this service: stream, peer, protocol */
    TERN_SWARM_STREAM_READY,     /* ours: the remote agreed on offer[offered_index] */
    TERN_SWARM_STREAM_READABLE,
    TERN_SWARM_STREAM_WRITABLE,
    TERN_SWARM_STREAM_ENDED,     /* err: TERN_OK closed in good order, RESET (code), NO_PROTOCOL, TIMEOUT,
                                    DISCONNECTED … The handle is dead. Said once for every stream,
                                    unless the service itself reset it */
};

struct tern_swarm_event {
    enum tern_swarm_event_kind kind;
    uint32_t service; /* stream events: whose; others go to every service */
    tern_peer peer;
    tern_connection connection;
    struct tern_stream stream;
    const struct tern_protocol *protocol;
    uint32_t offered_index;
    uint64_t user; /* what the service gave when it opened the stream, or set later */
    uint32_t code;
    tern_err err;
    tern_fault fault;
    tern_token token;
    const struct tern_multiaddr *address;
};

/* A service: a protocol on the swarm. It is told of events and time, and calls down. Within event() and
 * tick() it may call any tern_swarm_ function except next and the machine's own. */
struct tern_service_ops {
    const char *name;
    void (*event)(void *self, tern_time now, const struct tern_swarm_event *event);
    tern_time (*deadline)(const void *self);
    void (*tick)(void *self, tern_time now);
    void (*job_done)(void *self, tern_time now, struct tern_job *job); /* NULL: has no jobs */
    void (*stored)(void *self, tern_time now, struct tern_store_request *request); /* NULL likewise */
};

struct tern_swarm;

struct tern_swarm *tern_swarm_new(const struct tern_swarm_config *config, tern_time now);
void tern_swarm_free(struct tern_swarm *swarm);

/* tern_swarm_add_service registers a service before the first input; *service is its number. */
TERN_NODISCARD tern_err tern_swarm_add_service(struct tern_swarm *swarm,
                                               const struct tern_service_ops *ops, void *self,
                                               uint32_t *service);

/* tern_swarm_handle serves a protocol: inbound streams that agree on the name go to the service.
 * protocol->name is borrowed until tern_swarm_unhandle or the end. TERN_ERR_EXISTS, FULL. */
TERN_NODISCARD tern_err tern_swarm_handle(struct tern_swarm *swarm,
                                          const struct tern_protocol *protocol);
void tern_swarm_unhandle(struct tern_swarm *swarm, struct tern_view name);
const struct tern_protocol_table *tern_swarm_protocols(const struct tern_swarm *swarm);

/* --- the machine (runtime/io.h). Events are dispatched to the services inside input. --- */
void tern_swarm_input(struct tern_swarm *swarm, tern_time now, const struct tern_input *in);
bool tern_swarm_next_command(struct tern_swarm *swarm, struct tern_command *command);
void tern_swarm_transmit(struct tern_swarm *swarm, tern_time now, tern_link_id link,
                         struct tern_writer *out);
tern_time tern_swarm_deadline(const struct tern_swarm *swarm);

/* tern_swarm_dispatch carries out what calls from outside (the host's API) have set off: dispatches
 * pending events to services. Idempotent; input calls it. */
void tern_swarm_dispatch(struct tern_swarm *swarm, tern_time now);

tern_wall_time tern_swarm_wall(const struct tern_swarm *swarm, tern_time now);

/* --- listening, dialling, ending --- */
TERN_NODISCARD tern_err tern_swarm_listen(struct tern_swarm *swarm,
                                          const struct tern_multiaddr *address);

/* tern_swarm_dial connects to a peer; DIAL_DONE with the token follows, at once if there is a connection
 * already. id may be NULL when addresses are given: then whoever answers is it. Addresses are added to
 * those of the address book. TERN_ERR_NO_ADDRESS, GATED, SCOPE_*. */
struct tern_dial_options {
    const struct tern_peer_id *id;
    const struct tern_multiaddr *addresses;
    size_t addresses_count;
    tern_token token;
};
TERN_NODISCARD tern_err tern_swarm_dial(struct tern_swarm *swarm, tern_time now,
                                        const struct tern_dial_options *options);

/* tern_swarm_dial_attempts lists what the newest dial to the peer tried, for --explain. */
size_t tern_swarm_dial_attempts(const struct tern_swarm *swarm, tern_token token,
                                const struct tern_dial_attempt **attempts);

void tern_swarm_disconnect(struct tern_swarm *swarm, tern_time now, tern_peer peer, uint32_t code);
/* tern_swarm_shutdown closes listeners and all connections in good order. */
void tern_swarm_shutdown(struct tern_swarm *swarm, tern_time now);

/* --- streams --- */
struct tern_stream_request {
    uint32_t service; /* who gets the stream's events */
    tern_peer peer;
    struct tern_stream_offer offer;
    uint64_t user;
};
TERN_NODISCARD tern_err tern_swarm_open_stream(struct tern_swarm *swarm, tern_time now,
                                               const struct tern_stream_request *request,
                                               struct tern_stream *stream);
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

/* --- peers --- */
tern_peer tern_swarm_find_peer(const struct tern_swarm *swarm, const struct tern_peer_id *id);
const struct tern_peer_id *tern_swarm_peer_id(const struct tern_swarm *swarm, tern_peer peer);
const struct tern_public_key *tern_swarm_peer_key(const struct tern_swarm *swarm, tern_peer peer);

/* Iteration over connected peers, in order of arrival; 0 ends it. */
tern_peer tern_swarm_peer_first(const struct tern_swarm *swarm);
tern_peer tern_swarm_peer_next(const struct tern_swarm *swarm, tern_peer peer);
size_t tern_swarm_peers_count(const struct tern_swarm *swarm);

struct tern_connection_info {
    tern_connection connection;
    tern_peer peer;
    bool outbound;
    struct tern_endpoint local;
    struct tern_endpoint remote;
    tern_time opened_at;
    tern_time rtt_ns;
    size_t streams_count;
    uint64_t bytes_in;
    uint64_t bytes_out;
};
tern_connection tern_swarm_connection_first(const struct tern_swarm *swarm, tern_peer peer);
tern_connection tern_swarm_connection_next(const struct tern_swarm *swarm, tern_connection connection);
bool tern_swarm_connection_info(const struct tern_swarm *swarm, tern_connection connection,
                                struct tern_connection_info *info);

/* tern_swarm_report counts a fault of a peer, traces it and weighs it; the swarm may disconnect and
 * refuse the peer for a while. */
void tern_swarm_report(struct tern_swarm *swarm, tern_time now, tern_peer peer, tern_fault fault);

/* tern_swarm_protect keeps a peer's connections from being ended as idle; counted. */
void tern_swarm_protect(struct tern_swarm *swarm, tern_peer peer);
void tern_swarm_unprotect(struct tern_swarm *swarm, tern_peer peer);

/* What a peer said it supports (identify). Names are copied; bounded by TERN_SWARM_PROTOCOLS_MAX. */
void tern_swarm_set_peer_protocols(struct tern_swarm *swarm, tern_peer peer,
                                   const struct tern_view *names, size_t count);
bool tern_swarm_peer_supports(const struct tern_swarm *swarm, tern_peer peer, struct tern_view name);

/* --- the address book: peers we know addresses of, connected or not --- */
enum tern_addr_source { TERN_ADDR_CONFIGURED, TERN_ADDR_SIGNED, TERN_ADDR_IDENTIFY, TERN_ADDR_HEARSAY };

/* tern_swarm_add_address remembers an address of a peer until ttl passes (TERN_TIME_NEVER: for good).
 * Bounded per peer and in total: the least trusted, oldest entries make room. */
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
bool tern_swarm_book_find(const struct tern_swarm *swarm, const struct tern_peer_id *id,
                          struct tern_book_entry *entry);

/* Our own addresses: where we listen (with resolved ports) and what others see us at. */
size_t tern_swarm_own_addresses(const struct tern_swarm *swarm, struct tern_multiaddr *out, size_t max);
void tern_swarm_observed(struct tern_swarm *swarm, tern_time now, tern_connection connection,
                         const struct tern_multiaddr *observed);
const struct tern_peer_id *tern_swarm_own_id(const struct tern_swarm *swarm);
const struct tern_key_pair *tern_swarm_identity(const struct tern_swarm *swarm);

/* --- gating: plain rules, first match wins, default allow --- */
struct tern_gate_rule {
    bool deny;
    bool any_peer; /* else id */
    struct tern_peer_id id;
    bool any_ip; /* else ip/prefix */
    struct tern_endpoint ip;
    uint8_t prefix_bits;
};
TERN_NODISCARD tern_err tern_swarm_set_gate(struct tern_swarm *swarm, const struct tern_gate_rule *rules,
                                            size_t count);

/* --- for services: work and storage through the swarm's machine --- */
void tern_swarm_submit_job(struct tern_swarm *swarm, uint32_t service, struct tern_job *job);
void tern_swarm_submit_store(struct tern_swarm *swarm, uint32_t service,
                             struct tern_store_request *request);

#endif
