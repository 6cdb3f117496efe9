/*
 * Inside the swarm: its state, and what its files offer each other. Not for other layers.
 *
 * Nothing here is freed while services are being told something: calls mark what has changed (a
 * connection on the dirty list, a dial on the done list, a flag), and tern_swarm_dispatch, alone
 * and never inside itself, goes through the marks. Each thing is on a list once, so no list
 * outgrows the tables, and telling a service allocates nothing.
 */
#ifndef TERN_SWARM_PRIVATE_H
#define TERN_SWARM_PRIVATE_H

#include "base/timer.h"
#include "crypto/aead.h"
#include "secure/noise.h"
#include "secure/tls.h"
#include "swarm/bandwidth.h"
#include "swarm/blackhole.h"
#include "swarm/breaker.h"
#include "swarm/scopes.h"
#include "swarm/slots.h"
#include "swarm/subnets.h"
#include "swarm/swarm.h"
#include "swarm/tags.h"
#include "swarm/trim.h"

enum {
    SWARM_REJECTS_MAX = 32,        /* links to abort, before the world next asks for commands */
    SWARM_DIALS_FINISHED_MAX = 16, /* dials kept for --explain */
    SWARM_DIAL_TOKENS_MAX = 64,    /* callers that wait for one dial */
    SWARM_DIAL_NAMES_MAX = 16,     /* names resolved for one dial */
    SWARM_DIAL_NAME_DEPTH_MAX = 4, /* dnsaddr that leads to dnsaddr … */
    SWARM_BACKOFFS_MAX = 1024,     /* addresses that failed lately */
    SWARM_BANS_MAX = 1024,         /* peers with faults */
    SWARM_OBSERVED_MAX = 16,       /* addresses that others see us at */
    SWARM_OBSERVERS_MAX = 8,       /* counted for one of these */
    SWARM_BOOK_BATCH_MAX = 64,     /* rows of one storage request */
    SWARM_PORTS_MAX = TERN_SWARM_LISTENERS_MAX + 4, /* and sockets to dial from */
    SWARM_HUBS_MAX = 2,                             /* transports that share sockets */
};

#define SWARM_LINGER_NS (5 * TERN_SECOND) /* an ending connection is cut off after this */
#define SWARM_SUPPLANT_GRACE_NS                                                                    \
    (1 * TERN_SECOND) /* the worse of two connections ends after this                              \
                       */
#define SWARM_SIMULTANEOUS_NS                                                                      \
    (10 * TERN_SECOND) /* two connections this close were dialled at once */
#define SWARM_FAR_NS (TERN_TIME_NEVER - 1)

/* A timer that knows what it is part of. */
enum swarm_timer_kind { SWARM_TIMER_CONN, SWARM_TIMER_DIAL, SWARM_TIMER_FLOWS };

struct swarm_timer {
    struct tern_timer timer;
    enum swarm_timer_kind kind;
};

/* --- streams.c --- */

struct swarm_stream {
    tern_stream_id id; /* 0: free */
    uint64_t user;
    union {
        struct swarm_protocol *protocol; /* what it is charged to; NULL: not known yet */
        struct tern_view *offer;         /* names_count names: the remote chooses among them */
    } of;
    uint32_t memory; /* that its service keeps for it */
    uint8_t service;
    uint8_t place;       /* of inbound ones: in the table of served protocols */
    uint8_t names_count; /* 0: of.protocol is meant, else of.offer */
    bool inbound : 1;
    bool background : 1;
    bool held_read : 1;  /* by a quota: READABLE and … */
    bool held_write : 1; /* … WRITABLE are told when it goes on */
};

/* --- connections.c --- */

/* As struct tern_quality, in microseconds. */
struct swarm_quality {
    uint32_t rtt_us;
    uint32_t rtt_min_us;
    uint32_t jitter_us;
    uint32_t pings;
    uint32_t lost;
    uint32_t loss_ppm;
};

enum swarm_conn_state {
    SWARM_CONN_UPGRADING,
    SWARM_CONN_OPEN,    /* belongs to a peer; services know it */
    SWARM_CONN_CLOSING, /* tern_conn_close was called; services, if they knew it, still do */
    SWARM_CONN_DOWN,    /* services were told; the link may linger */
};

struct swarm_conn {
    struct tern_conn *core;
    struct tern_job *job; /* the core's, in the world; at most one */
    struct swarm_peer *peer;
    tern_link_id link; /* TERN_LINK_NONE: a session */
    enum tern_transport transport;
    tern_token dial; /* the attempt that made it; 0: inbound, or no longer of interest to a dial */
    tern_connection handle;
    enum swarm_conn_state state;
    bool outbound;
    bool counted;    /* in the subnets that it comes from … */
    bool settled;    /* … and not as one that is being set up */
    bool supplanted; /* another connection to the peer is kept */
    bool going_away; /* the remote takes no more streams */
    bool cut;        /* end at once */
    bool announced;  /* services were told of it */
    bool link_dead;  /* LINK_CLOSED was said */
    bool sending;    /* a TRANSMIT command is out and not used up */
    bool blocked;    /* it did not take all data; the world waits for READ */
    bool by_streams; /* a session: quotas hold what its streams write, not a link */
    bool held_in;    /* streams, by a quota, until its turn comes; likewise: */
    bool held_out;
    bool woken;                                            /* its streams are to be told so */
    bool want_transmit, want_read, want_close, want_abort; /* commands to give */
    bool code_theirs;                                      /* code is the remote's */
    uint32_t code;                                         /* said why it ends; 0: none */
    tern_err err; /* why it is ending, once that is known */
    tern_fault fault;
    struct swarm_stream *streams; /* by slot of the stream id */
    uint32_t streams_capacity;
    uint32_t streams_count;
    uint32_t streams_active; /* not background */
    struct tern_endpoint local;
    struct tern_endpoint remote;
    tern_time opened_at;
    tern_time established_at;
    tern_time idle_since;    /* NEVER while streams are active */
    tern_time supplanted_at; /* or NEVER */
    tern_time linger_until;  /* or NEVER */
    uint64_t bytes_in;
    uint64_t bytes_out;
    struct swarm_quality quality;
    struct swarm_timer timer;
    struct tern_list siblings; /* of the peer, oldest first; or upgrading */
    struct tern_list dirty;
    struct tern_list command;
    struct tern_list all; /* every connection there is; of orphans: swarm->orphans */
    struct tern_scope scope;
};

struct swarm_conns {
    struct tern_slots slots;     /* by handle */
    struct swarm_conn **by_link; /* by the slot of the link id */
    uint32_t by_link_count;
    uint32_t count;
    uint32_t open_count; /* of them, those that are OPEN */
    uint32_t upgrading_in_count;
    struct tern_list all;
    struct tern_list upgrading;
    struct tern_list dirty;
    struct tern_list commands;
    struct tern_list orphans; /* ended while their job was out */
    tern_link_id rejects[SWARM_REJECTS_MAX];
    uint32_t rejects_count;
};

/* --- peers.c --- */

struct swarm_peer {
    struct tern_map_entry entry;
    struct tern_peer_id id;
    struct tern_public_key key;
    tern_peer handle;
    struct tern_list connections; /* announced ones, oldest first */
    uint32_t connections_count;
    uint32_t refs; /* connections that are charged to its scope, dead ones included */
    uint32_t protects;
    uint16_t protects_by[TERN_PROTECT_COUNT];
    uint16_t shares_capacity;
    struct tern_list changed; /* PROTOCOLS is to be told */
    uint8_t *protocols;       /* sizes and names, one after the other */
    uint32_t protocols_size;
    struct swarm_tags tags;
    struct swarm_flows *flows; /* NULL: no quota has been looked at */
    struct swarm_meter meter;
    struct swarm_share *shares; /* what services and protocols have of it */
    struct tern_scope scope;
};

/* --- dial.c --- */

enum swarm_candidate_state {
    SWARM_CANDIDATE_WAITING,
    SWARM_CANDIDATE_CONNECTING, /* DIAL is out */
    SWARM_CANDIDATE_CANCELLED,  /* DIAL_CANCEL is out, or about to be */
    SWARM_CANDIDATE_UPGRADING,  /* there is a connection */
    SWARM_CANDIDATE_DONE,
};

struct swarm_candidate {
    struct tern_route route;
    uint8_t *address; /* what its transport wants to know besides; NULL: nothing */
    uint16_t address_size;
    enum swarm_candidate_state state;
    bool want_dial, want_cancel; /* commands to give */
    bool want_socket;            /* there is none to dial from yet */
    bool reserved;               /* charged to the transient scope until the world has answered */
    uint32_t attempt;            /* row of attempts */
    tern_time start_at;
    tern_time deadline;
    tern_connection connection; /* UPGRADING */
};

struct swarm_name {
    struct tern_multiaddr address;
    enum tern_resolve_kind resolve;
    uint8_t depth;
    bool chosen; /* given by the caller */
    bool want_resolve;
    bool pending;
};

enum swarm_dial_state {
    SWARM_DIAL_ACTIVE,
    SWARM_DIAL_DONE, /* on the done list: services are to be told */
    SWARM_DIAL_KEPT, /* for --explain, and until the world has answered its attempts */
};

struct swarm_dial {
    struct tern_map_entry entry; /* in by_id, while active and the id is known */
    struct tern_peer_id id;      /* none: whoever answers */
    uint64_t handle;
    enum swarm_dial_state state;
    bool starved; /* has an address to try and waits for dials_max */
    tern_err err;
    tern_peer peer;
    tern_token *tokens;
    uint32_t tokens_count;
    uint32_t tokens_capacity;
    uint32_t candidates_count;
    uint32_t candidates_capacity;
    uint32_t waiting_count; /* of them, not begun */
    uint32_t skipped_count; /* rows of what is not tried */
    uint32_t holes_asked;   /* black holes that it has asked about, as bits … */
    uint32_t holes_allowed; /* … and what was said */
    uint32_t attempts_count;
    uint32_t attempts_capacity;
    uint32_t names_count;
    uint32_t in_flight;   /* CONNECTING or UPGRADING */
    uint32_t outstanding; /* the world owes an answer */
    tern_time deadline;
    tern_time hold_until; /* an upgrade is under way: start nothing new before this */
    struct swarm_timer timer;
    struct tern_list link;    /* active, done or kept */
    struct tern_list command; /* something in it wants a command */
    struct swarm_name *names; /* NULL, or SWARM_DIAL_NAMES_MAX of them */
    struct swarm_candidate *candidates;
    struct tern_dial_attempt *attempts; /* rows: there is a place for each candidate that waits */
    struct tern_list addresses;         /* of rows of what was not tried */
};

struct swarm_dials {
    struct tern_slots slots;
    struct tern_map by_id;
    struct tern_list active; /* oldest first */
    struct tern_list done;
    struct tern_list kept; /* oldest first */
    struct tern_list commands;
    uint32_t kept_count;
    uint32_t active_count;
    uint32_t in_flight;
    uint32_t starved_count;
    struct swarm_dial *telling; /* services are being told of it */
    bool wake;                  /* an attempt ended while others waited for dials_max */
    tern_token token_next;
};

/* --- backoff.c --- */

struct swarm_backoffs {
    struct tern_map map;
    struct tern_list lru; /* longest untouched first */
};

/* --- ports.c --- */

enum swarm_port_state {
    SWARM_PORT_FREE,
    SWARM_PORT_STARTING,
    SWARM_PORT_UP,
    SWARM_PORT_ENDING, /* unwanted before the world has answered, or a socket being closed */
};

/* A place where the world takes links or datagrams for us: one for all transports that listen at an
 * endpoint. */
struct swarm_port {
    enum swarm_port_state state;
    bool udp;
    bool dials;                 /* opened to dial from; nobody need listen */
    bool want_open, want_close; /* commands to give */
    bool want_transmit;         /* likewise, of sockets */
    bool sending;               /* a TRANSMIT command is out and not used up */
    uint32_t generation;
    uint32_t transports;   /* bits of those that listen here */
    tern_link_id link;     /* the socket; or TERN_LINK_NONE */
    tern_link_id replaces; /* a socket whose sessions move here when it is open; or NONE */
    tern_time opened_at;
    struct tern_endpoint asked;
    struct tern_endpoint bound;
};

struct swarm_ports {
    struct swarm_port list[SWARM_PORTS_MAX];
    bool commands; /* some port wants one */
};

/* --- listen.c --- */

struct swarm_listener {
    struct swarm_port *port; /* NULL: free, unless there is something to tell */
    bool up;
    bool tell; /* LISTENING or LISTEN_FAILED */
    tern_err err;
    struct tern_route asked;
};

struct swarm_listeners {
    struct swarm_listener list[TERN_SWARM_LISTENERS_MAX];
    bool tell; /* some listener has something to tell */
};

/* --- sessions.c --- */

/* A transport of sessions; it sees the datagrams that it claims. */
struct swarm_hub {
    struct tern_session_transport transport;
    uint32_t transports; /* bits of those that are listened at by it */
};

struct swarm_sessions {
    struct swarm_hub hubs[SWARM_HUBS_MAX];
    uint32_t hubs_count;
    struct tern_session_transport dialers[TERN_TRANSPORT_COUNT]; /* ops NULL: not made (yet) */
    struct tern_quic_identity *quic_identity;                    /* NULL likewise */
    uint32_t certhashes_version; /* of those that our addresses were told with */
};

/* --- observed.c --- */

struct swarm_observer {
    struct tern_peer_id id;
    struct tern_endpoint from;
};

struct swarm_observed {
    struct tern_route route; /* family 0: free */
    tern_time seen_at;
    uint32_t observers_count;
    struct swarm_observer observers[SWARM_OBSERVERS_MAX];
};

/* --- book.c, book_store.c --- */

enum { SWARM_BOOK_LEVELS = 4 /* of trust: enum tern_addr_source */ };

struct book_addr {
    tern_time expires_at; /* or NEVER */
    uint8_t *bytes;
    uint16_t size;
    uint8_t source; /* enum tern_addr_source */
};

struct book_entry {
    struct tern_map_entry entry;
    struct tern_peer_id id;
    struct book_addr *addrs;
    uint8_t addrs_count;
    uint8_t addrs_capacity;
    uint8_t level; /* the most trusted of its addresses: which list it is on */
    bool pinned;   /* connected: not on a level's list, never evicted */
    bool stored;   /* the store has a row of it */
    uint32_t failures;
    tern_time last_seen;
    struct tern_list lru;
    struct tern_list dirty;
};

/* A peer whose row is to be deleted in the store. */
struct book_tombstone {
    struct tern_list link;
    struct tern_peer_id id;
};

enum book_store_state { BOOK_STORE_OFF, BOOK_STORE_LOADING, BOOK_STORE_READY };

struct swarm_book {
    struct tern_map map;
    struct tern_list levels[SWARM_BOOK_LEVELS]; /* longest unseen first */
    struct tern_list dirty;
    struct tern_list tombstones;
    uint32_t tombstones_count;
    enum book_store_state store;
    bool request_out;
    tern_time load_at;  /* LOADING: not before */
    tern_time save_at;  /* or NEVER */
    tern_time sweep_at; /* when expired addresses go; or NEVER */
    uint8_t scan_key[TERN_PEER_ID_SIZE_MAX + 1];
    size_t scan_key_size;
    struct tern_store_request request;
    struct tern_store_op ops[SWARM_BOOK_BATCH_MAX];
    uint8_t *buffer; /* rows on their way in or out */
    size_t buffer_size;
};

/* --- gate.c, faults.c, limits.c --- */

struct swarm_gate {
    struct tern_gate_rule *rules;
    size_t count;
};

struct swarm_bans {
    struct tern_map map;
    struct tern_list lru;
};

/* A place in the table of served protocols. */
struct swarm_place {
    struct swarm_protocol
        *protocol;    /* as long as it is served; NULL: free, or left to its streams */
    uint32_t streams; /* inbound ones that point at it */
};

/* A scope that has no room, as it is told to tern_limits_refuse_scope. */
struct swarm_refused {
    enum tern_scope_kind scope;
    enum tern_resource resource;
    uint64_t used;
    uint64_t limit;
    uint64_t asked;
    const struct swarm_peer *peer; /* these three: NULL: of none */
    const struct swarm_service *service;
    const struct swarm_protocol *protocol;
};

struct tern_swarm {
    struct tern_swarm_config config;
    struct tern_mem *mem;
    struct tern_peer_id own_id;
    struct tern_conn_config conn_config;
    struct tern_aead_engine aead;
    struct tern_noise_identity noise;
    struct tern_tls_identity tls; /* made if secure holds TLS */
    bool tls_ready;

    struct tern_scope system;
    struct tern_scope transient; /* connections that are not established yet */
    struct tern_scope windows;
    struct tern_scope_watch watch;
    struct tern_refusal refusal;

    struct tern_protocol protocols[TERN_SWARM_PROTOCOLS_MAX];
    struct swarm_place places[TERN_SWARM_PROTOCOLS_MAX]; /* of protocols */
    struct tern_map protocol_names;
    struct tern_slots protocol_slots;
    struct tern_protocol_table protocol_table;
    struct swarm_service services[TERN_SWARM_SERVICES_MAX];
    uint32_t services_count;

    struct tern_timer_queue timers;
    struct swarm_conns conns;
    struct swarm_subnets subnets;
    struct swarm_trim trim;
    struct swarm_breakers breakers;
    struct swarm_bandwidth bandwidth;
    struct swarm_black_hole black_holes[TERN_BLACK_HOLES];
    struct tern_tag_rule tag_rules[TERN_SWARM_TAGS_MAX];
    uint32_t tag_rules_count;
    struct tern_map peers; /* connected */
    struct tern_slots peer_slots;
    struct tern_list peers_changed;
    struct swarm_dials dials;
    struct swarm_backoffs backoffs;
    struct swarm_ports ports;
    struct swarm_listeners listeners;
    struct swarm_sessions sessions;
    struct swarm_observed observed[SWARM_OBSERVED_MAX];
    struct swarm_book book;
    struct swarm_gate gate;
    struct swarm_bans bans;
    struct tern_list jobs;   /* commands to give */
    struct tern_list stores; /* likewise */

    tern_time now; /* of the newest call that brought one: for calls that bring none */
    bool wall_known;
    tern_wall_time wall;
    tern_time wall_at;
    bool dispatching;
    bool addresses_changed;
    bool down;                                    /* shut down: takes nothing new */
    tern_time drain_until;                        /* then: streams may go on so long */
    char name[TERN_MULTIADDR_NAME_SIZE_MAX + 16]; /* of the RESOLVE command just given */
};

/* Tokens given to the world: kind, index (a candidate, a name), handle. */
enum swarm_token_kind { SWARM_TOKEN_DIAL = 1, SWARM_TOKEN_NAME, SWARM_TOKEN_PORT };

struct swarm_token {
    enum swarm_token_kind kind;
    uint32_t index;  /* 8 bits */
    uint64_t handle; /* a slot of 16 bits and a generation of 32 */
};

tern_token tern_swarm_token_make(struct swarm_token token);
struct swarm_token tern_swarm_token_split(tern_token token);

/* --- swarm.c --- */

/* tern_swarm_tell passes a stream's event to the service it names; tern_swarm_tell_all to every
 * one. */
void tern_swarm_tell(struct tern_swarm *s, tern_time now, const struct tern_swarm_event *event);
void tern_swarm_tell_all(struct tern_swarm *s, tern_time now, const struct tern_swarm_event *event);

/* --- connections.c --- */

void tern_conns_init(struct tern_swarm *s);
void tern_conns_fini(struct tern_swarm *s);
struct swarm_conn *tern_conns_find(const struct tern_swarm *s, tern_connection handle);
struct swarm_conn *tern_conns_of_link(const struct tern_swarm *s, tern_link_id link);

/* tern_conns_touch: something was done to the connection; dispatch will look after it. */
void tern_conns_touch(struct tern_swarm *s, struct swarm_conn *c);

void tern_conns_accepted(struct tern_swarm *s, tern_time now, const struct tern_input *in);

/* What becomes a connection: a link, an offer that a session may be made of, or a dial that makes
 * one. */
struct swarm_birth {
    tern_link_id link; /* TERN_LINK_NONE: a session */
    struct tern_endpoint local;
    struct tern_endpoint remote;
    enum tern_transport transport;
    const struct tern_session_transport *hub;     /* of an offer to accept, or of a dial */
    const struct tern_session_dial *session_dial; /* NULL: an offer */
    struct tern_view host;                        /* of a dialled link: its name */
    uint32_t transports; /* of an accepted link: bits of those that it may be of */
    bool outbound;
    const struct tern_peer_id *expected; /* NULL: anyone */
    tern_token dial;
};

/* tern_link_forms are those that a link may have: a dialer's route says which, a listener takes
 * what it listens for at the port. tern_link_host writes what a dialer by WebSocket asks for: the
 * name in the address, or else the IP; and the port. Empty for others. */
enum { SWARM_HOST_SIZE_MAX = 300 };
unsigned tern_link_forms(const struct swarm_birth *birth);
struct tern_view tern_link_host(const struct swarm_birth *birth, struct tern_span room);
enum tern_transport tern_link_transport(enum tern_link_form form);

/* tern_conns_born makes it; an error is a refusal, and what it was to be made of is the caller's.
 */
TERN_NODISCARD tern_err tern_conns_born(struct tern_swarm *s, tern_time now,
                                        const struct swarm_birth *birth, struct swarm_conn **out);

/* tern_conns_reject aborts a link that no connection was made for. */
void tern_conns_reject(struct tern_swarm *s, tern_link_id link);

/* tern_conns_close begins an orderly end: code goes to the remote, err (which CONNECTION_DOWN will
 * say) stays here. tern_conns_cut ends at once. Both take effect in dispatch; idempotent. */
void tern_conns_close(struct tern_swarm *s, tern_time now, struct swarm_conn *c,
                      enum tern_connection_code code, tern_err err);
void tern_conns_cut(struct tern_swarm *s, struct swarm_conn *c, tern_err err);

void tern_conns_data(struct tern_swarm *s, tern_time now, const struct tern_input *in);
void tern_conns_link_end(struct tern_swarm *s, tern_time now, const struct tern_input *in);
void tern_conns_link_closed(struct tern_swarm *s, tern_time now, const struct tern_input *in);
/* tern_conns_job sends the core's job out into the world. */
void tern_conns_job(struct tern_swarm *s, struct swarm_conn *c, struct tern_job *job);
void tern_conns_job_done(struct tern_swarm *s, tern_time now, struct tern_job *job);
bool tern_conns_next_command(struct tern_swarm *s, struct tern_command *command);

/* tern_conns_free frees a connection whose link is dead; kept as an orphan while its job is out. */
void tern_conns_free(struct tern_swarm *s, struct swarm_conn *c);

/* tern_conns_rearm sets the timer by what the connection waits for. */
void tern_conns_rearm(struct tern_swarm *s, tern_time now, struct swarm_conn *c);

/* --- admit.c --- */

/* tern_conns_enter_subnet counts an inbound connection where it comes from. TERN_ERR_MEMORY. */
TERN_NODISCARD tern_err tern_conns_enter_subnet(struct tern_swarm *s, tern_time now,
                                                struct swarm_conn *c);
void tern_conns_leave_subnet(struct tern_swarm *s, struct swarm_conn *c);
/* tern_conns_leave takes the connection out of what is counted of its state, which is about to
 * change; idempotent. */
void tern_conns_leave(struct tern_swarm *s, struct swarm_conn *c);
/* tern_conns_at: it turns out to come from this address. */
void tern_conns_at(struct tern_swarm *s, tern_time now, struct swarm_conn *c,
                   const struct tern_endpoint *remote);

/* tern_conns_admit judges an inbound connection before anything is made of it: TERN_ERR_CLOSED,
 * GATED, SCOPE_CONNECTIONS, RATE. It counts when it is born. */
TERN_NODISCARD tern_err tern_conns_admit(struct tern_swarm *s, tern_time now,
                                         const struct tern_endpoint *remote);
/* tern_conns_strained: so many come from where this address lies that whoever comes without having
 * shown that it receives there should do so first. */
bool tern_conns_strained(const struct tern_swarm *s, tern_time now,
                         const struct tern_endpoint *remote);

/* --- quality.c --- */

void tern_quality_rtt(struct swarm_quality *quality, tern_time rtt_ns);
void tern_quality_lost(struct swarm_quality *quality);
void tern_quality_read(const struct swarm_quality *quality, struct tern_quality *out);

/* --- conn_events.c --- */

/* tern_conns_process does for one connection what there is to do; may free it. In dispatch alone.
 */
void tern_conns_process(struct tern_swarm *s, tern_time now, struct swarm_conn *c);

/* --- peers.c --- */

void tern_peers_init(struct tern_swarm *s);
void tern_peers_fini(struct tern_swarm *s);
struct swarm_peer *tern_peers_find(const struct tern_swarm *s, const struct tern_peer_id *id);
struct swarm_peer *tern_peers_of_handle(const struct tern_swarm *s, tern_peer handle);

/* tern_peers_attach gives an established connection to its peer, which it makes if need be, and
 * tells services; or refuses: TERN_ERR_FULL, SCOPE_*, MEMORY, CLOSED (there is one from us
 * already). */
TERN_NODISCARD tern_err tern_peers_attach(struct tern_swarm *s, tern_time now,
                                          struct swarm_conn *c);
/* tern_peers_detach tells services that the connection is down, and that the peer is if it was the
 * last. */
void tern_peers_detach(struct tern_swarm *s, tern_time now, struct swarm_conn *c);
/* tern_peers_unref drops a freed connection's hold on the peer. */
void tern_peers_unref(struct tern_swarm *s, struct swarm_conn *c);

/* tern_peers_best is the connection for new streams, or NULL. */
struct swarm_conn *tern_peers_best(const struct swarm_peer *peer);
/* tern_peers_tell_changed tells PROTOCOLS for one changed peer; false: there is none. */
bool tern_peers_tell_changed(struct tern_swarm *s, tern_time now);

/* --- streams.c --- */

/* tern_streams_event carries a stream's event from the core to its service. */
void tern_streams_event(struct tern_swarm *s, tern_time now, struct swarm_conn *c,
                        const struct tern_conn_event *event);
/* tern_streams_wake tells those that a quota held that they may go on. */
void tern_streams_wake(struct tern_swarm *s, tern_time now, struct swarm_conn *c);
/* tern_streams_end_all tells that all streams of a dead connection have ended. */
void tern_streams_end_all(struct tern_swarm *s, tern_time now, struct swarm_conn *c);
/* tern_streams_free forgets the table, telling nobody. */
void tern_streams_free(struct tern_swarm *s, struct swarm_conn *c);

/* --- dial.c: a dial from its request to DIAL_DONE --- */

void tern_dials_init(struct tern_swarm *s);
void tern_dials_fini(struct tern_swarm *s);

/* tern_dials_connected: this connection is established; whoever dials its peer is done. */
void tern_dials_connected(struct tern_swarm *s, tern_time now, struct swarm_conn *c);
/* tern_dials_finish ends an active dial: winner, or NULL and d->err. */
void tern_dials_finish(struct tern_swarm *s, tern_time now, struct swarm_dial *d,
                       const struct swarm_conn *winner);
/* tern_dials_tell_done tells DIAL_DONE for one finished dial; false: there is none. */
bool tern_dials_tell_done(struct tern_swarm *s, tern_time now);
/* tern_dials_cancel_all ends every dial with TERN_ERR_CLOSED. */
void tern_dials_cancel_all(struct tern_swarm *s, tern_time now);
/* tern_dials_trim forgets kept dials above the bound. */
void tern_dials_trim(struct tern_swarm *s);

/* --- dial_rows.c: what is told of it --- */

/* tern_dial_rows_reserve makes room for one more row. TERN_ERR_FULL, MEMORY. */
TERN_NODISCARD tern_err tern_dial_rows_reserve(struct tern_swarm *s, struct swarm_dial *d);
void tern_dial_rows_fini(struct tern_swarm *s, struct swarm_dial *d);
/* tern_dial_rows_skip adds a row of an address that is not tried, if there is room. */
void tern_dial_rows_skip(struct tern_swarm *s, struct swarm_dial *d,
                         const struct tern_dial_attempt *row);
/* tern_dial_row_reached: something came back from there. (A session begins without that.) */
bool tern_dial_row_reached(const struct tern_dial_attempt *row);

/* --- dial_address.c: what there is to try --- */

struct swarm_origin {
    bool chosen;   /* given by the caller: tried even if it failed lately */
    uint8_t depth; /* of dnsaddr */
};

/* tern_dials_add_address adds what a checked address leads to: an endpoint, or a name to resolve.
 * What is not to be tried gets a row that says so. TERN_ERR_UNSUPPORTED, INVALID, GATED, RATE
 * (backed off), BLACK_HOLE, EXISTS, FULL, MEMORY. */
TERN_NODISCARD tern_err tern_dials_add_address(struct tern_swarm *s, tern_time now,
                                               struct swarm_dial *d, struct tern_view addr,
                                               struct swarm_origin origin);
/* tern_dials_rank says when each of the waiting addresses is to start. */
void tern_dials_rank(struct tern_swarm *s, tern_time now, struct swarm_dial *d);
void tern_dials_resolved(struct tern_swarm *s, tern_time now, const struct tern_input *in);
bool tern_dials_names_pending(const struct swarm_dial *d);

/* --- dial_attempt.c: attempts, their commands and answers --- */

/* tern_dials_schedule starts what is due, and finishes the dial when nothing is left. */
void tern_dials_schedule(struct tern_swarm *s, tern_time now, struct swarm_dial *d);
/* tern_dials_release gives back what an attempt without a connection is charged. */
void tern_dials_release(struct tern_swarm *s, struct swarm_candidate *candidate);
/* tern_dials_drop ends one attempt that is under way; its row says err. */
void tern_dials_drop(struct tern_swarm *s, tern_time now, struct swarm_dial *d,
                     struct swarm_candidate *candidate, tern_err err);
/* tern_dials_conn_ended: the connection of an attempt ended before it was established. */
void tern_dials_conn_ended(struct tern_swarm *s, tern_time now, struct swarm_conn *c);
void tern_dials_linked(struct tern_swarm *s, tern_time now, const struct tern_input *in);
void tern_dials_failed(struct tern_swarm *s, tern_time now, const struct tern_input *in);
void tern_dials_timer(struct tern_swarm *s, tern_time now, struct swarm_dial *d);
bool tern_dials_next_command(struct tern_swarm *s, struct tern_command *command);
/* tern_dials_socket: a socket was opened, or could not be: attempts that wait for one go on. */
void tern_dials_socket(struct tern_swarm *s, tern_time now, tern_err err);
/* tern_dials_wake lets dials go on that waited for dials_max. */
void tern_dials_wake(struct tern_swarm *s, tern_time now);
struct swarm_dial *tern_dials_of_token(const struct tern_swarm *s, enum swarm_token_kind kind,
                                       tern_token token, uint32_t *index);

/* --- dial_rank.c --- */

/* tern_dial_rank says after what delay each route should be tried. */
void tern_dial_rank(const struct tern_route *routes, size_t count, tern_time stagger_ns,
                    tern_time *delays_ns);

/* --- backoff.c --- */

void tern_backoffs_init(struct tern_swarm *s);
void tern_backoffs_fini(struct tern_swarm *s);
void tern_backoffs_failed(struct tern_swarm *s, tern_time now, const struct tern_route *route);
void tern_backoffs_worked(struct tern_swarm *s, const struct tern_route *route);
/* tern_backoffs_until is when the route may be tried again; 0: now. */
tern_time tern_backoffs_until(const struct tern_swarm *s, tern_time now,
                              const struct tern_route *route);

/* --- ports.c --- */

/* tern_ports_listen gives the port of this endpoint, opened if need be, and notes the transport on
 * it. TERN_ERR_FULL, EXISTS (the transport listens there already). */
TERN_NODISCARD tern_err tern_ports_listen(struct tern_swarm *s, const struct tern_route *route,
                                          struct swarm_port **port);
/* tern_ports_unlisten takes the transport off the port, which closes when nobody needs it. */
void tern_ports_unlisten(struct tern_swarm *s, struct swarm_port *port,
                         enum tern_transport transport);
/* tern_ports_for_dial finds a socket to reach a remote from; NULL: there is none yet (one is being
 * opened, and tern_dials_socket follows when it is there), or none can be had (*err). */
struct swarm_port *tern_ports_for_dial(struct tern_swarm *s, const struct tern_endpoint *remote,
                                       tern_err *err);
void tern_ports_input(struct tern_swarm *s, tern_time now, const struct tern_input *in);
struct swarm_port *tern_ports_of_token(struct tern_swarm *s, tern_token token);
struct swarm_port *tern_ports_of_link(struct tern_swarm *s, tern_link_id link);
/* tern_ports_socket_closed: the world says that a socket is no more; false: it is no socket. */
bool tern_ports_socket_closed(struct tern_swarm *s, tern_time now, tern_link_id link);
bool tern_ports_next_command(struct tern_swarm *s, struct tern_command *command);
/* tern_ports_network: our addresses have changed; sessions that we dialled move on. */
void tern_ports_network(struct tern_swarm *s);
/* tern_ports_sweep closes sockets that nobody listens at and no session uses. */
void tern_ports_sweep(struct tern_swarm *s);
bool tern_ports_all_closed(const struct tern_swarm *s);

/* --- listen.c --- */

/* tern_listeners_port: news of a port, for those that listen at it. */
void tern_listeners_port(struct tern_swarm *s, struct swarm_port *port, tern_err err);
/* tern_listeners_tell tells one listener's news; false: there is none. */
bool tern_listeners_tell(struct tern_swarm *s, tern_time now);
void tern_listeners_end_all(struct tern_swarm *s);
/* tern_listeners_at: does one of ours listen at this port number? */
bool tern_listeners_at(const struct tern_swarm *s, uint16_t port);
/* tern_listeners_address makes the address of a route of ours, with the hashes of our certificates
 * where its transport wants them. */
void tern_listeners_address(const struct tern_swarm *s, const struct tern_route *route,
                            struct tern_multiaddr *address);

/* --- swarm.c --- */

/* tern_swarm_find_place finds a protocol that is served here; NULL: it is not. */
struct swarm_place *tern_swarm_find_place(struct tern_swarm *s, struct tern_view name);

/* --- transports.c --- */

/* tern_transports_supports: may this transport be used? */
bool tern_transports_supports(const struct tern_swarm *s, enum tern_transport transport);

/* tern_transports_serves: may it be listened at, too? */
bool tern_transports_serves(const struct tern_swarm *s, enum tern_transport transport);

/* tern_transports_outside_network: does the private network that we are in rule it out? */
bool tern_transports_outside_network(const struct tern_swarm *s, enum tern_transport transport);

/* tern_transports_need makes the transport if there is none yet; it is supported. TERN_ERR_MEMORY.
 */
TERN_NODISCARD tern_err tern_transports_need(struct tern_swarm *s, tern_time now,
                                             enum tern_transport transport);
/* tern_transports_certhashes appends the hashes of the certificates of ours that are met there, if
 * there are any yet. */
void tern_transports_certhashes(const struct tern_swarm *s, enum tern_transport transport,
                                struct tern_multiaddr *address);
void tern_transports_wall(struct tern_swarm *s, tern_time now, tern_wall_time wall);
/* tern_transports_look: time has passed, and certificates may have changed; then so have addresses.
 */
void tern_transports_look(struct tern_swarm *s);
void tern_transports_fini(struct tern_swarm *s);

/* --- sessions.c --- */

void tern_sessions_datagrams(struct tern_swarm *s, tern_time now, const struct tern_input *in);
/* tern_sessions_run draws what the hubs have to say; tern_sessions_wants finds out which sockets
 * have something to send. */
void tern_sessions_run(struct tern_swarm *s, tern_time now);
void tern_sessions_wants(struct tern_swarm *s);
void tern_sessions_tick(struct tern_swarm *s, tern_time now);
tern_time tern_sessions_deadline(const struct tern_swarm *s);
bool tern_sessions_send(struct tern_swarm *s, tern_time now, tern_link_id socket,
                        struct tern_datagrams_out *out);
void tern_sessions_socket_closed(struct tern_swarm *s, tern_time now, tern_link_id socket);

/* --- book.c --- */

void tern_book_init(struct tern_swarm *s);
void tern_book_fini(struct tern_swarm *s);
struct book_entry *tern_book_entry_find(const struct tern_swarm *s, const struct tern_peer_id *id);
/* tern_book_connected pins the peer's entry, if there is one; disconnected lets it age again. */
void tern_book_connected(struct tern_swarm *s, tern_time now, const struct tern_peer_id *id);
void tern_book_disconnected(struct tern_swarm *s, tern_time now, const struct tern_peer_id *id);
void tern_book_dial_failed(struct tern_swarm *s, tern_time now, const struct tern_peer_id *id);
/* tern_book_wrong_peer forgets an address at which somebody else answered, unless it is configured.
 */
void tern_book_wrong_peer(struct tern_swarm *s, tern_time now, const struct tern_peer_id *id,
                          const struct tern_route *route);

struct book_add {
    const struct tern_peer_id *id;
    struct tern_view address; /* checked, without /p2p */
    enum tern_addr_source source;
    tern_time expires_at;
    bool loaded; /* from the store: need not be written back */
};
void tern_book_add(struct tern_swarm *s, tern_time now, const struct book_add *add);
/* tern_book_tick drops what has expired. */
void tern_book_tick(struct tern_swarm *s, tern_time now);

/* --- book_store.c --- */

void tern_book_store_init(struct tern_swarm *s);
void tern_book_store_fini(struct tern_swarm *s);
void tern_book_store_dirty(struct tern_swarm *s, tern_time now, struct book_entry *entry);
void tern_book_store_removed(struct tern_swarm *s, tern_time now, struct book_entry *entry);
/* tern_book_store_run begins loading or saving when it is time. */
void tern_book_store_run(struct tern_swarm *s, tern_time now);
void tern_book_store_done(struct tern_swarm *s, tern_time now, struct tern_store_request *request);
tern_time tern_book_store_deadline(const struct tern_swarm *s);
bool tern_book_store_busy(const struct tern_swarm *s);

/* --- gate.c --- */

void tern_gate_fini(struct tern_swarm *s);
/* tern_gate_allows judges an address and a peer; id NULL: not known yet, so rules that name a peer
 * cannot deny, and one that allows a peer leaves it open. */
bool tern_gate_allows(const struct tern_swarm *s, const struct tern_endpoint *remote,
                      const struct tern_peer_id *id);

/* --- faults.c --- */

void tern_bans_init(struct tern_swarm *s);
void tern_bans_fini(struct tern_swarm *s);
/* tern_faults_add counts, traces and weighs a fault; id NULL: of nobody we know by name. True: the
 * peer is banned now. */
bool tern_faults_add(struct tern_swarm *s, tern_time now, const struct tern_peer_id *id,
                     tern_fault fault);

/* --- limits.c --- */

/* tern_limits_init makes the scopes that are there as long as the swarm is. Refusals by any scope
 * below the system's are recorded where they happen. */
void tern_limits_init(struct tern_swarm *s);
void tern_limits_fini(struct tern_swarm *s);
/* tern_limits_scope_init is tern_scope_init, with the name by which refusals are told apart. */
void tern_limits_scope_init(struct tern_scope *scope, enum tern_scope_kind kind,
                            struct tern_scope *parent, const struct tern_scope_limits *limits);
/* tern_limits_refuse counts, traces and keeps a refusal, whose limit_info it fills in;
 * refuse_number is of a limit that is a number of its own, refuse_scope of a scope's. */
void tern_limits_refuse(struct tern_swarm *s, enum tern_limit row, struct tern_refusal *refusal);
void tern_limits_refuse_number(struct tern_swarm *s, enum tern_limit row, uint64_t used,
                               const struct tern_peer_id *peer);
void tern_limits_refuse_scope(struct tern_swarm *s, const struct swarm_refused *refused);
/* tern_limits_move takes a connection's charges from one child of the system scope to another. */
TERN_NODISCARD tern_err tern_limits_move(struct tern_swarm *s, struct tern_scope *scope,
                                         struct tern_scope *parent);

/* --- refusal.c --- */

/* tern_limit_of_scope is a scope's row; TERN_LIMIT_COUNT: it has none. */
enum tern_limit tern_limit_of_scope(enum tern_scope_kind scope, enum tern_resource resource);
/* tern_limits_clip takes limits away that the table has no row for. */
void tern_limits_clip(struct tern_scope_limits *limits, enum tern_scope_kind scope);
/* tern_limits_of is the limits of a kind of scope, not NONE. */
struct tern_scope_limits *tern_limits_of(struct tern_swarm_limits *limits,
                                         enum tern_scope_kind scope);

#endif
