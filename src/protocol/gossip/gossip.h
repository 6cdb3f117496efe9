/*
 * Gossipsub v1.1 with floodsub as fallback: a message core. It knows peers by small slots and
 * topics by name; RPC bytes and requests go in, RPC bytes and deliveries come out. Streams, framing
 * of incoming RPCs and the swarm are gossip_service's.
 *
 *   message's way:  rpc ─ decoded ─ seen? ─ policy ─┬─ signature: VERIFY job ─ job_done ─┐
 *                                                   └─ no signature ────────────────────┤
 *                   DELIVER ◄───────────────────────────────────────────────────────────┘
 *                      └─ verdict ACCEPT (at once, if the topic has no validator) ─► SEND to the
 * mesh
 *
 * A forwarded message is framed once and shared by reference with every peer and the message cache.
 *
 * Bounds: topics, peers, subscriptions a peer and an RPC, messages that wait for verification or a
 * verdict (count and bytes), the message cache (bytes), the seen cache, IHAVE and IWANT a
 * heartbeat. Topics of peers leave a quarter of the table to our own.
 * Back-off times told by peers are clamped (CVE-2026-33040, CVE-2026-34219).
 *
 * Scores come from outside: tern_gossip_set_score is the seam of peer scoring; thresholds act on
 * it.
 *
 * Specification: libp2p/specs pubsub/README.md, pubsub/gossipsub/gossipsub-v1.0.md, -v1.1.md.
 * Not thread safe.
 */
#ifndef TERN_PROTOCOL_GOSSIP_GOSSIP_H
#define TERN_PROTOCOL_GOSSIP_GOSSIP_H

#include "base/chunk.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/job.h"
#include "base/metrics.h"
#include "base/random.h"
#include "base/trace.h"
#include "crypto/key.h"
#include "wire/peer_id.h"

enum tern_gossip_policy {
    TERN_GOSSIP_STRICT_SIGN,    /* author, sequence number and signature required and checked */
    TERN_GOSSIP_STRICT_NO_SIGN, /* none of them allowed; the id is the SHA-256 of the data */
};

struct tern_gossip_params {
    uint32_t d, d_lo, d_hi, d_out, d_lazy;
    uint32_t gossip_factor_percent;
    uint32_t history_length, history_gossip; /* heartbeats */
    tern_time heartbeat_ns, heartbeat_initial_ns;
    tern_time fanout_ttl_ns;
    tern_time prune_backoff_ns, unsubscribe_backoff_ns, backoff_max_ns;
    tern_time iwant_followup_ns;
    tern_time seen_ttl_ns;
    uint32_t ihave_length_max, ihave_messages_max; /* a heartbeat and peer */
    uint32_t gossip_retransmission; /* times one message is sent to one peer on IWANT */
    uint32_t message_size_max;      /* bytes of an RPC */
    uint32_t topics_max, topics_per_peer_max, topic_size_max, subscriptions_per_rpc_max;
    uint32_t peers_max;
    uint32_t pending_max;       /* messages waiting for verification or a verdict */
    uint64_t pending_bytes_max; /* of them */
    uint32_t seen_max;          /* message ids remembered */
    uint64_t cache_bytes_max;   /* of messages kept for IWANT, with what describes them */
    bool flood_publish;         /* own messages go to every subscriber, not to the mesh alone */
    int32_t score_gossip_min, score_publish_min, score_graylist_min;
};

/* tern_gossip_params_defaults fills in the values of go-libp2p-pubsub. */
void tern_gossip_params_defaults(struct tern_gossip_params *params);

struct tern_gossip_options {
    struct tern_mem *mem;
    struct tern_random *random;
    struct tern_trace *trace;     /* may be NULL */
    struct tern_metrics *metrics; /* may be NULL */
    struct tern_gossip_params params;
    enum tern_gossip_policy policy;
    const struct tern_private_key *identity; /* signs with STRICT_SIGN; outlives the core */
    struct tern_peer_id own_id;
};

enum tern_gossip_kind { TERN_GOSSIP_FLOODSUB, TERN_GOSSIP_V10, TERN_GOSSIP_V11 };

/* A message the application is given: slot + generation; 0: none. */
typedef uint64_t tern_gossip_handle;

enum tern_gossip_verdict {
    TERN_GOSSIP_ACCEPT, /* forward it */
    TERN_GOSSIP_IGNORE, /* drop it; nobody is to blame */
    TERN_GOSSIP_REJECT, /* drop it and count it against who sent it */
};

enum tern_gossip_out_kind {
    TERN_GOSSIP_SEND,         /* chunk: a whole length-delimited RPC, to each of peers */
    TERN_GOSSIP_DELIVER,      /* message, inside chunk; handle (0 when no verdict is wanted) */
    TERN_GOSSIP_JOB,          /* run job, then tern_gossip_job_done */
    TERN_GOSSIP_FAULT,        /* peer, fault */
    TERN_GOSSIP_SUBSCRIBED,   /* peer, topic */
    TERN_GOSSIP_UNSUBSCRIBED, /* peer, topic */
};

enum tern_gossip_priority {
    TERN_GOSSIP_PRIORITY_CONTROL, /* never dropped before others */
    TERN_GOSSIP_PRIORITY_OWN,
    TERN_GOSSIP_PRIORITY_FORWARD,
};

struct tern_gossip_delivery {
    struct tern_view topic;
    struct tern_view data;
    struct tern_view from; /* the author's peer id, in bytes; empty without author */
    struct tern_view seqno;
};

/* Everything an out points to is borrowed until the next call. */
struct tern_gossip_out {
    enum tern_gossip_out_kind kind;
    struct tern_chunk *chunk;
    const uint32_t *peers;
    size_t peers_count;
    enum tern_gossip_priority priority;
    uint32_t peer; /* DELIVER: who sent it, or UINT32_MAX when that peer has gone */
    tern_fault fault;
    struct tern_gossip_delivery message;
    tern_gossip_handle handle;
    struct tern_job *job;
    struct tern_view topic;
};

struct tern_gossip;

TERN_NODISCARD tern_err tern_gossip_new(const struct tern_gossip_options *options, tern_time now,
                                        struct tern_gossip **gossip);

/* tern_gossip_free: jobs that are out must have come back before. */
void tern_gossip_free(struct tern_gossip *gossip);

/* --- inputs; drain tern_gossip_next after each --- */

/* tern_gossip_peer_up adds a peer that RPCs can be sent to. TERN_ERR_FULL, TERN_ERR_MEMORY. The
 * first thing sent to it are our subscriptions. */
struct tern_gossip_peer_options {
    enum tern_gossip_kind kind;
    bool outbound; /* we dialled it */
    struct tern_peer_id id;
};
TERN_NODISCARD tern_err tern_gossip_peer_up(struct tern_gossip *gossip, tern_time now,
                                            const struct tern_gossip_peer_options *options,
                                            uint32_t *peer);
void tern_gossip_peer_down(struct tern_gossip *gossip, tern_time now, uint32_t peer);

/* tern_gossip_rpc gives one whole RPC (without its length). It is worked through by next, bit by
 * bit: the bytes stay borrowed until next returns false. Errors are outs (FAULT). */
void tern_gossip_rpc(struct tern_gossip *gossip, tern_time now, uint32_t peer,
                     struct tern_view rpc);

/* tern_gossip_subscribe joins a topic. validate: DELIVER waits for tern_gossip_verdict before the
 * message is forwarded. TERN_ERR_FULL, TOO_LARGE, MEMORY, EXISTS. */
enum tern_gossip_subscribe_flags { TERN_GOSSIP_SUBSCRIBE_VALIDATE = 1 };
TERN_NODISCARD tern_err tern_gossip_subscribe(struct tern_gossip *gossip, tern_time now,
                                              struct tern_view topic, unsigned flags);
void tern_gossip_unsubscribe(struct tern_gossip *gossip, tern_time now, struct tern_view topic);

/* tern_gossip_publish sends a message; wall makes the sequence number. Own messages are not
 * delivered to ourselves. TERN_ERR_TOO_LARGE, FULL, MEMORY, EXISTS (STRICT_NO_SIGN: seen already).
 */
TERN_NODISCARD tern_err tern_gossip_publish(struct tern_gossip *gossip, tern_time now,
                                            tern_wall_time wall, struct tern_view topic,
                                            struct tern_view data);

/* tern_gossip_verdict decides about a delivered message; stale handles are ignored (it was
 * dropped). */
void tern_gossip_verdict(struct tern_gossip *gossip, tern_time now, tern_gossip_handle handle,
                         enum tern_gossip_verdict verdict);

void tern_gossip_job_done(struct tern_gossip *gossip, tern_time now, struct tern_job *job);
void tern_gossip_set_score(struct tern_gossip *gossip, uint32_t peer, int32_t score);

bool tern_gossip_next(struct tern_gossip *gossip, struct tern_gossip_out *out);
tern_time tern_gossip_deadline(const struct tern_gossip *gossip);
void tern_gossip_tick(struct tern_gossip *gossip, tern_time now);

/* --- what is known --- */
size_t tern_gossip_topic_peers(const struct tern_gossip *gossip, struct tern_view topic,
                               uint32_t *peers, size_t max);
size_t tern_gossip_mesh_peers(const struct tern_gossip *gossip, struct tern_view topic,
                              uint32_t *peers, size_t max);
/* tern_gossip_mesh_marks sets marks[peer] of every peer below count that is in the mesh of a topic.
 */
void tern_gossip_mesh_marks(const struct tern_gossip *gossip, bool *marks, size_t count);

#endif
