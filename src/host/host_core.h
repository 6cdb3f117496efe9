/*
 * One peer: identity, swarm and services together, as a pure machine. Worlds drive it
 * (runtime/io.h); the public API (include/tern) and the chain node stand on it.
 *
 *   machine:  tern_host_core_machine(core) is given to a world, or its inputs are passed on from a
 *             machine above
 *   calls:    dial, publish, request … at any time between inputs, then tern_host_core_flush
 *   events:   tern_host_core_next, until false, after every input and every call
 *
 * Services: ping, perf, identify, gossip, requests, peer exchange, application streams, and the
 * connector, which keeps enough peers connected (bootstrap addresses first, then whoever is known).
 *
 * Not thread safe: one thread at a time.
 */
#ifndef TERN_HOST_HOST_CORE_H
#define TERN_HOST_HOST_CORE_H

#include "host/app_streams.h"
#include "protocol/exchange/exchange.h"
#include "protocol/gossip/gossip_service.h"
#include "protocol/identify/identify.h"
#include "protocol/perf/perf.h"
#include "protocol/ping/ping.h"
#include "protocol/request/request.h"
#include "swarm/swarm.h"

enum { TERN_HOST_BOOTSTRAP_MAX = 64, TERN_HOST_TEXT_MAX = 128 };

struct tern_host_core_options {
    struct tern_mem *mem;
    uint8_t seed[TERN_RANDOM_SEED_SIZE];
    struct tern_trace *trace;                /* may be NULL */
    const struct tern_private_key *identity; /* outlives the core */
    struct tern_swarm_config swarm; /* mem, random, trace, metrics, identity are filled in */
    struct tern_gossip_params gossip;
    enum tern_gossip_policy gossip_policy;
    size_t request_size_max;
    tern_time request_serve_timeout_ns;
    const char *agent;   /* such as "tern/0.1.0"; static text */
    uint32_t peers_want; /* connect to known peers until there are so many; 0: only when told to */
    bool serve_perf;     /* hand out bytes to whoever measures; see protocol/perf/perf.h */
    enum tern_perf_header perf_header; /* of what is served */
};

/* tern_host_core_options_defaults fills in everything but mem, seed, trace and identity. */
void tern_host_core_options_defaults(struct tern_host_core_options *options);

struct tern_host_core;

TERN_NODISCARD tern_err tern_host_core_new(const struct tern_host_core_options *options,
                                           tern_time now, struct tern_host_core **core);
void tern_host_core_free(struct tern_host_core *core);

/* The core as a machine; also callable one by one from a machine above. */
extern const struct tern_machine_ops tern_host_core_ops;

/* tern_host_core_flush carries out what calls have set off. Before the next command is drawn. */
void tern_host_core_flush(struct tern_host_core *core, tern_time now);

/* The parts, for calls into them. Borrowed for the core's life. */
struct tern_swarm *tern_host_core_swarm(struct tern_host_core *core);
struct tern_ping *tern_host_core_ping(struct tern_host_core *core);
struct tern_perf *tern_host_core_perf(struct tern_host_core *core);
struct tern_identify *tern_host_core_identify(struct tern_host_core *core);
struct tern_gossip_service *tern_host_core_gossip(struct tern_host_core *core);
struct tern_requests *tern_host_core_requests(struct tern_host_core *core);
struct tern_app_streams *tern_host_core_streams(struct tern_host_core *core);
struct tern_exchange *tern_host_core_exchange(struct tern_host_core *core);
struct tern_metrics *tern_host_core_metrics(struct tern_host_core *core);
struct tern_random *tern_host_core_random(struct tern_host_core *core);

/* tern_host_core_bootstrap adds an address that ends in /p2p/<id>: dialled at the start, and again
 * whenever peers are too few. TERN_ERR_INVALID: it names no peer; FULL. */
TERN_NODISCARD tern_err tern_host_core_bootstrap(struct tern_host_core *core, tern_time now,
                                                 const struct tern_multiaddr *address);

/* tern_host_core_keep keeps the peer of such an address connected: a static peer. It is dialled
 * whenever it is not, with growing waits (swarm/manager.h). Likewise; also SELF, MEMORY. */
TERN_NODISCARD tern_err tern_host_core_keep(struct tern_host_core *core, tern_time now,
                                            const struct tern_multiaddr *address);

/* What happened, of all parts. Pointers are borrowed until the next call. */
enum tern_host_event_kind {
    TERN_HOST_PEER_UP,   /* peer, peer_id; of its connection: outbound, transport, secure, muxer,
                            address: the remote's */
    TERN_HOST_PEER_DOWN, /* peer, peer_id */
    TERN_HOST_LISTENING, /* address */
    TERN_HOST_LISTEN_FAILED,
    TERN_HOST_DIAL_DONE,  /* token, err, peer */
    TERN_HOST_IDENTIFIED, /* peer, peer_id, err */
    TERN_HOST_PING,       /* token, peer, err, rtt_ns */
    TERN_HOST_PERF,       /* token, peer, err, perf: of either kind */
    TERN_HOST_GOSSIP,     /* gossip */
    TERN_HOST_REQUEST,    /* request: of either kind */
    TERN_HOST_STREAM,     /* stream */
};

struct tern_host_event {
    enum tern_host_event_kind kind;
    tern_err err;
    tern_peer peer;
    struct tern_peer_id peer_id;
    tern_token token;
    tern_time rtt_ns;
    bool outbound;
    const char *transport; /* names, as those of tern_connection_info; NULL where there are none */
    const char *secure;
    const char *muxer;
    struct tern_multiaddr address;
    struct tern_perf_event perf;
    struct tern_gossip_event gossip;
    struct tern_request_event request;
    struct tern_app_stream_event stream;
};

bool tern_host_core_next(struct tern_host_core *core, struct tern_host_event *event);

#endif
