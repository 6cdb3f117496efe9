/*
 * For tests of the gossip core: one core whose peers are the test's own hands, and a net of such
 * cores in virtual time.
 *
 *     lone: the test gives RPCs and reads the log of what came out; nothing is lost or reordered
 *     net:  what a core sends to a peer that is wired to another core arrives there after a latency
 */
#ifndef TERN_PROTOCOL_GOSSIP_GOSSIP_TEST_SUPPORT_H
#define TERN_PROTOCOL_GOSSIP_GOSSIP_TEST_SUPPORT_H

#include "protocol/gossip/gossip.h"
#include "protocol/gossip/rpc.h"

enum {
    LONE_PEERS_MAX = 80,
    LONE_JOBS_MAX = 8,
    NET_NODES_MAX = 32,
    TEST_BYTES_MAX = 1 << 16,
};

#define LONE_START (TERN_HOUR)
#define LONE_WALL  (UINT64_C(1700000000) * TERN_SECOND)

/* One out, without borrowed pointers; the bytes are the log's. */
struct lone_out {
    enum tern_gossip_out_kind kind;
    enum tern_gossip_priority priority;
    uint32_t peer; /* a SEND to several peers makes one row for each */
    tern_fault fault;
    tern_gossip_handle handle;
    struct tern_view bytes; /* SEND: the RPC, without its length; DELIVER: the data */
    struct tern_view topic;
    struct tern_view from;
};

struct lone {
    struct tern_mem own_mem;
    struct tern_mem *mem; /* the core's: own_mem, or a scenario's */
    struct tern_random random;
    struct tern_metrics metrics;
    struct tern_private_key key;
    struct tern_gossip_options options;
    struct tern_gossip *core;
    tern_time now;
    bool hold_jobs; /* jobs stay in the list until lone_jobs */
    struct tern_job *jobs[LONE_JOBS_MAX];
    size_t jobs_count;
    struct lone_out *log;
    size_t log_count, log_capacity;
    enum tern_gossip_verdict verdict; /* given at once to what waits for one, if auto_verdict */
    bool auto_verdict;
};

/* lone_init fills in options with defaults (STRICT_NO_SIGN); the test may change them before
 * lone_start, which is false without memory. lone_fini frees and checks that nothing leaked. */
void lone_init(struct lone *l, unsigned seed, struct tern_mem *mem);
bool lone_start(struct lone *l);
void lone_fini(struct lone *l);

/* lone_up makes a peer; its id is that of test_key(number). */
uint32_t lone_up(struct lone *l, enum tern_gossip_kind kind, bool outbound, unsigned number);
bool lone_try_up(struct lone *l, enum tern_gossip_kind kind, unsigned number, uint32_t *peer);
void lone_down(struct lone *l, uint32_t peer);
/* lone_drain takes all outs into the log, and runs jobs unless they are held. */
void lone_drain(struct lone *l);
/* lone_jobs runs what was held and gives it back. */
void lone_jobs(struct lone *l);
void lone_run(struct lone *l, tern_time duration);
void lone_clear(struct lone *l);
void lone_rpc(struct lone *l, uint32_t peer, struct tern_view rpc);
void lone_send(struct lone *l, uint32_t peer, const struct tern_writer *rpc);
void lone_subscribe(struct lone *l, const char *topic, unsigned flags);
/* lone_subscribed: the peer says that it is subscribed. lone_graft: it grafts us. */
void lone_subscribed(struct lone *l, uint32_t peer, const char *topic);
void lone_graft(struct lone *l, uint32_t peer, const char *topic);
void lone_prune(struct lone *l, uint32_t peer, const char *topic, uint64_t backoff_s);
tern_err lone_publish(struct lone *l, const char *topic, const char *data);
void lone_verdict(struct lone *l, tern_gossip_handle handle, enum tern_gossip_verdict verdict);

size_t lone_count(const struct lone *l, enum tern_gossip_out_kind kind);
size_t lone_faults(const struct lone *l, uint32_t peer, tern_fault fault);
size_t lone_faults_all(const struct lone *l);
/* lone_delivered counts deliveries of this data; data NULL: of any. */
size_t lone_delivered(const struct lone *l, const char *data);
const struct lone_out *lone_find(const struct lone *l, enum tern_gossip_out_kind kind, size_t n);
bool lone_in_mesh(const struct lone *l, const char *topic, uint32_t peer);
size_t lone_mesh(const struct lone *l, const char *topic);

/* What is counted in the RPCs that were sent to a peer. */
enum test_part {
    PART_SUBSCRIBE,
    PART_UNSUBSCRIBE,
    PART_MESSAGE, /* text: its data */
    PART_IHAVE_IDS,
    PART_IWANT_IDS,
    PART_GRAFT, /* text: its topic, as for those above */
    PART_PRUNE,
};
/* lone_sent counts parts; text NULL: of any topic or data. */
size_t lone_sent(const struct lone *l, uint32_t peer, enum test_part part, const char *text);
/* lone_sent_prune_backoff is that of the last PRUNE sent to the peer. */
uint64_t lone_sent_prune_backoff(const struct lone *l, uint32_t peer);

/* Building RPCs: whole fields are appended. */
void rpc_subscription(struct tern_writer *w, bool subscribe, const char *topic);
void rpc_topic_entry(struct tern_writer *w, uint32_t control, const char *topic);
void rpc_prune(struct tern_writer *w, const char *topic, uint64_t backoff_s);
void rpc_ids(struct tern_writer *w, const char *topic, const struct tern_view *ids, size_t count);
void rpc_message(struct tern_writer *w, struct tern_view message);
/* rpc_unsigned appends a whole publish field of a message with data and topic alone. */
void rpc_unsigned(struct tern_writer *w, const char *topic, const char *data);

/* test_key is the Ed25519 key of a number; test_id its peer id. */
void test_key(unsigned number, struct tern_private_key *key);
struct tern_peer_id test_id(unsigned number);
/* test_message writes a signed Message in its usual form. */
void test_message(struct tern_writer *w, const struct tern_private_key *key, uint64_t seqno,
                  const char *topic, const char *data);
/* test_signature appends field 5 over the message's bytes so far. */
void test_signature(struct tern_writer *message, const struct tern_private_key *key);
void test_id_of_data(const char *data, uint8_t id[32]);

/* --- a net --- */

struct net_flight {
    tern_time at;
    uint32_t node;
    uint32_t peer;
    uint32_t wire; /* the generation of the wire it travels on */
    uint8_t *bytes;
    size_t size;
};

struct net_wire {
    bool used;
    uint32_t node; /* who is there, and what it calls us */
    uint32_t peer;
    uint32_t generation;
};

struct net {
    tern_time now;
    tern_time latency;
    struct lone nodes[NET_NODES_MAX];
    size_t count;
    struct net_wire wires[NET_NODES_MAX][LONE_PEERS_MAX];
    size_t taken[NET_NODES_MAX]; /* how much of each node's log was sent on */
    struct net_flight *flights;
    size_t flights_count, flights_capacity;
    uint32_t generations;
};

/* net_new makes nodes that are not connected; mem NULL: each has its own account. */
struct net *net_new(size_t count, enum tern_gossip_policy policy, struct tern_mem *mem);
bool net_start(struct net *n);
void net_free(struct net *n);
/* net_connect wires a to b (a dialled); false: no memory. */
bool net_connect(struct net *n, size_t a, size_t b, enum tern_gossip_kind kind);
/* net_connect_all: each node dialled half of the others. */
void net_connect_all(struct net *n);
void net_disconnect(struct net *n, size_t a, size_t b);
/* net_pump sends on what the nodes' logs hold. net_run lets time pass. */
void net_pump(struct net *n);
void net_run(struct net *n, tern_time duration);
void net_subscribe_all(struct net *n, const char *topic);

#endif
