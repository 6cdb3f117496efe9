/*
 * The gossip core's insides, shared by its files:
 *   gossip.c         lifecycle, peers, topics, publishing, outs
 *   gossip_recv.c    working through an RPC
 *   gossip_message.c a message from arrival to forwarding: policy, verification, verdict
 *   gossip_mesh.c    joining, grafting and pruning, IHAVE and IWANT, whom a message goes to
 *   gossip_heartbeat.c  what the mesh needs from time to time
 *   gossip_backoff.c back-offs of peers that have gone, for when they come back
 *   mcache.c         messages kept for IWANT
 */
#ifndef TERN_PROTOCOL_GOSSIP_GOSSIP_PRIVATE_H
#define TERN_PROTOCOL_GOSSIP_GOSSIP_PRIVATE_H

#include "base/check.h"
#include "base/list.h"
#include "base/map.h"
#include "base/ring.h"
#include "crypto/verify_job.h"
#include "protocol/gossip/gossip.h"
#include "protocol/gossip/rpc.h"
#include "protocol/gossip/seen.h"

enum {
    GOSSIP_ID_SIZE_MAX = TERN_PEER_ID_SIZE_MAX + 8, /* author and sequence number, or a hash */
    GOSSIP_SEQNO_SIZE = 8,
    GOSSIP_MESSAGE_SIZE_MIN = 2304, /* author, key, signature and framing of the largest kind */
    GOSSIP_BATCH_ITEMS = 64,
    GOSSIP_BATCH_BYTES = 256 * 1024,
    GOSSIP_BATCHES = 4,
    GOSSIP_OUTS_MAX = 1024,
    GOSSIP_PROMISES_MAX = 1024,
    GOSSIP_MESH_MAX = 64,
    GOSSIP_BACKOFFS_MAX = 1024, /* of peers that have gone */
};

enum topic_flag { TOPIC_SUBSCRIBER = 1, TOPIC_MESH = 2, TOPIC_FANOUT = 4 };

/* What one topic knows of one peer. */
struct topic_member {
    uint8_t flags;
    tern_time backoff_until; /* no grafting before this */
};

struct gossip_topic {
    struct tern_map_entry entry;
    size_t name_size;
    bool joined;
    bool validate;
    bool unannounced; /* peers were not told of the last change: the heartbeat does it */
    struct topic_member *members; /* by peer slot */
    size_t members_capacity;
    size_t subscribers_count;
    uint32_t mesh[GOSSIP_MESH_MAX]; /* our mesh, or our fanout when we are not joined */
    size_t mesh_count;
    tern_time fanout_expires;
    size_t messages_count;   /* that refer to this topic */
    size_t outs_count;       /* likewise: queued, or given last */
    struct tern_list cached; /* messages in the cache, oldest first */
    uint8_t name[];
};

struct gossip_peer {
    bool used;
    bool outbound;
    enum tern_gossip_kind kind;
    struct tern_peer_id id;
    int32_t score;
    uint32_t generation;
    uint32_t topics_count;   /* it is subscribed to */
    uint32_t ihave_messages; /* this heartbeat */
    uint32_t ihave_asked;    /* ids we asked it for this heartbeat */
    bool dirty;              /* control waits in the dirty list */
    uint8_t *control;        /* encoded entries of a control message */
    size_t control_size;
    size_t control_capacity;
};

enum message_state {
    MESSAGE_FREE,
    MESSAGE_VERIFYING,
    MESSAGE_DELIVERED, /* waits for a verdict */
    MESSAGE_ACCEPTED,  /* a FORWARD is queued */
    MESSAGE_DONE,
};

/* Who asked for a message by IWANT, and how often. */
struct gossip_asker {
    uint32_t peer;
    uint32_t generation;
    uint32_t count;
};

/* A message on its way, or kept for IWANT. The chunk holds the framed RPC; the offsets point
 * inside. */
struct gossip_message {
    struct tern_list link; /* free list, waiting list, or the cache's order */
    enum message_state state;
    uint32_t generation;
    uint32_t slot;
    uint32_t source; /* peer slot; UINT32_MAX: ourselves */
    uint32_t source_generation;
    struct gossip_topic *topic;
    struct tern_chunk *chunk;
    struct tern_gossip_message_view view; /* inside the chunk */
    bool given;                           /* the application has its handle */
    bool arriving;                        /* in the map of those under verification */
    uint64_t hash;                        /* of topic and id */
    uint8_t id_size;
    uint8_t id[GOSSIP_ID_SIZE_MAX];
    /* in the cache */
    bool cached;
    uint64_t cached_beat;        /* the heartbeat it was put in at */
    struct tern_list topic_link; /* in the topic's list */
    struct tern_map_entry entry; /* by id: in the cache, or arriving */
    struct gossip_asker *askers;
    size_t askers_count, askers_capacity;
};

struct gossip_batch {
    struct tern_verify_job verify;
    struct gossip_message *messages[GOSSIP_BATCH_ITEMS];
    size_t count;
    bool away;
};

struct gossip_promise {
    uint64_t hash;
    uint32_t peer;
    uint32_t generation;
    tern_time expires;
};

/* A back-off that outlives the peer's connection. */
struct gossip_backoff {
    uint64_t peer;  /* keyed hash of its id */
    uint64_t topic; /* keyed hash of the name */
    tern_time until;
};

/* An RPC that is being worked through. */
struct gossip_input {
    bool active;
    uint32_t peer;
    uint32_t generation;
    uint32_t subscriptions;
    struct tern_pb_iter rpc;
    bool in_control;
    struct tern_pb_iter control;
};

struct tern_gossip {
    struct tern_mem *mem;
    struct tern_random *random;
    struct tern_trace *trace;
    struct tern_metrics *metrics;
    struct tern_gossip_params params;
    enum tern_gossip_policy policy;
    const struct tern_private_key *identity;
    struct tern_peer_id own_id;
    tern_time now;
    tern_time heartbeat_at;
    uint64_t seqno;
    uint64_t beats; /* heartbeats so far */
    struct gossip_peer *peers;
    size_t peers_count; /* slots in use or free below this */
    struct tern_map topics;
    struct gossip_seen seen;
    struct gossip_message **messages; /* by slot */
    size_t messages_count;
    size_t messages_capacity;
    size_t pending_count; /* not cached yet */
    size_t pending_bytes;
    struct tern_list free_messages;
    struct tern_list unverified; /* wait for a batch */
    struct tern_map arriving;    /* messages under verification, by id */
    struct tern_map cache;       /* messages by id */
    struct tern_list cache_order;
    uint64_t cache_bytes;
    struct gossip_batch batches[GOSSIP_BATCHES];
    size_t batches_made;
    struct gossip_promise promises[GOSSIP_PROMISES_MAX];
    size_t promises_head, promises_count;
    struct gossip_backoff backoffs[GOSSIP_BACKOFFS_MAX]; /* a ring: the oldest goes */
    size_t backoffs_next;
    struct gossip_input input;
    struct tern_ring outs;           /* struct gossip_queued */
    struct tern_ring dirty;          /* uint32_t: peers with control to send */
    struct tern_chunk *held;         /* the chunk of the out given last */
    struct gossip_topic *held_topic; /* its topic */
    uint32_t *targets;               /* of the out given last: peers_max */
    uint32_t *scratch;               /* peers_max */
};

enum gossip_queued_kind {
    QUEUED_SEND,     /* chunk (owned), peer */
    QUEUED_ANNOUNCE, /* chunk (owned): to all peers */
    QUEUED_FORWARD,  /* message: to mesh and floodsub peers */
    QUEUED_DELIVER,  /* message */
    QUEUED_VALIDATE, /* message, which waits for a verdict */
    QUEUED_JOB,      /* batch */
    QUEUED_FAULT,    /* peer, fault */
    QUEUED_SUBSCRIBED,
    QUEUED_UNSUBSCRIBED,
};

struct gossip_queued {
    enum gossip_queued_kind kind;
    enum tern_gossip_priority priority;
    uint32_t peer;
    uint32_t generation; /* of the peer: what is queued for one that has gone is dropped */
    tern_fault fault;
    struct tern_chunk *chunk;
    struct gossip_message *message;
    struct gossip_batch *batch;
    struct gossip_topic *topic;
};

/* gossip.c */
void gossip_queue(struct tern_gossip *g, const struct gossip_queued *out);
void gossip_fault(struct tern_gossip *g, uint32_t peer, tern_fault fault);
/* gossip_room: can so many outs be queued? */
bool gossip_room(const struct tern_gossip *g, size_t count);
void gossip_count(struct tern_gossip *g, enum tern_metric metric);
struct gossip_topic *gossip_find_topic(const struct tern_gossip *g, struct tern_view name);
/* gossip_get_topic finds or makes. TERN_ERR_FULL: too many topics (peers' topics leave a quarter
 * for ours); TOO_LARGE; MEMORY. */
enum gossip_whose { GOSSIP_OURS, GOSSIP_THEIRS };
TERN_NODISCARD tern_err gossip_get_topic(struct tern_gossip *g, struct tern_view name,
                                         enum gossip_whose whose, struct gossip_topic **topic);
/* gossip_forget_topic frees a topic that nobody has to do with any more. */
void gossip_forget_topic(struct tern_gossip *g, struct gossip_topic *topic);
/* gossip_member gives a peer's row in a topic; NULL: no memory. gossip_member_find: NULL if none.
 */
struct topic_member *gossip_member(struct tern_gossip *g, struct gossip_topic *topic,
                                   uint32_t peer);
struct topic_member *gossip_member_find(const struct gossip_topic *topic, uint32_t peer);
/* gossip_control returns room for size bytes of control to the peer; NULL: no memory. */
uint8_t *gossip_control(struct tern_gossip *g, uint32_t peer, size_t size);
bool gossip_peer_current(const struct tern_gossip *g, uint32_t peer, uint32_t generation);
struct tern_view gossip_topic_name(const struct gossip_topic *topic);
/* gossip_announce tells all peers whether we are subscribed; without memory the heartbeat does. */
void gossip_announce(struct tern_gossip *g, struct gossip_topic *topic);

/* gossip_recv.c: works on the input until something is queued; false: nothing left to do. */
bool gossip_work(struct tern_gossip *g);
/* gossip_malformed: the RPC does not decode; nothing more of it is looked at. */
void gossip_malformed(struct tern_gossip *g, uint32_t peer);

/* gossip_message.c */
void gossip_message_arrived(struct tern_gossip *g, uint32_t peer, struct tern_view raw);
void gossip_message_release(struct tern_gossip *g, struct gossip_message *message);
/* gossip_message_new takes a slot and frames the decoded message, whose id and hash the caller
 * has found out already; NULL: full or no memory. */
struct gossip_message *gossip_message_new(struct tern_gossip *g, struct gossip_topic *topic,
                                          const struct tern_gossip_message_view *view,
                                          struct tern_view id, uint64_t hash);
/* gossip_message_hash is what stands for a topic and an id in the seen cache. */
uint64_t gossip_message_hash(const struct tern_gossip *g, const struct gossip_topic *topic,
                             struct tern_view id);
/* gossip_message_id writes the id: the SHA-256 of the data, or author and sequence number. */
struct tern_view gossip_message_id(const struct tern_gossip *g,
                                   const struct tern_gossip_message_view *view,
                                   uint8_t id[GOSSIP_ID_SIZE_MAX]);
void gossip_message_accept(struct tern_gossip *g, struct gossip_message *message);
/* gossip_verify_flush sends the batch that is being filled. */
void gossip_verify_flush(struct tern_gossip *g);

/* gossip_mesh.c */
void gossip_join(struct tern_gossip *g, struct gossip_topic *topic);
void gossip_leave(struct tern_gossip *g, struct gossip_topic *topic);
void gossip_mesh_remove(struct gossip_topic *topic, uint32_t peer);
void gossip_on_ihave(struct tern_gossip *g, uint32_t peer, struct tern_view entry);
void gossip_on_iwant(struct tern_gossip *g, uint32_t peer, struct tern_view entry);
void gossip_on_graft(struct tern_gossip *g, uint32_t peer, struct tern_view entry);
void gossip_on_prune(struct tern_gossip *g, uint32_t peer, struct tern_view entry);
void gossip_prune(struct tern_gossip *g, struct gossip_topic *topic, uint32_t peer,
                  tern_time backoff);
enum gossip_choose { GOSSIP_ANY, GOSSIP_OUTBOUND };
void gossip_graft_some(struct tern_gossip *g, struct gossip_topic *topic, size_t wanted,
                       enum gossip_choose choose);
void gossip_shuffle(struct tern_gossip *g, uint32_t *list, size_t count);
/* gossip_targets lists whom a message goes to, in g->targets: never its source or author. */
size_t gossip_targets(struct tern_gossip *g, const struct gossip_message *message);
/* gossip_fulfil forgets the promise of a message that came. */
void gossip_fulfil(struct tern_gossip *g, uint64_t hash);
void gossip_promises_expire(struct tern_gossip *g);

/* gossip_heartbeat.c */
void gossip_heartbeat(struct tern_gossip *g);

/* gossip_backoff.c: a peer does not get rid of a back-off by connecting anew. */
void gossip_backoffs_keep(struct tern_gossip *g, uint32_t peer, const struct gossip_topic *topic,
                          tern_time until);
void gossip_backoffs_restore(struct tern_gossip *g, uint32_t peer);

/* mcache.c */
void gossip_cache_put(struct tern_gossip *g, struct gossip_message *message);
struct gossip_message *gossip_cache_find(const struct tern_gossip *g, struct tern_view id);
void gossip_cache_shift(struct tern_gossip *g);
/* gossip_cache_age is how many heartbeats a cached message is old. */
uint64_t gossip_cache_age(const struct tern_gossip *g, const struct gossip_message *message);
/* gossip_cache_may_send counts a transmission of a cached message. TERN_ERR_RATE: the peer had its
 * share; TERN_ERR_MEMORY. */
TERN_NODISCARD tern_err gossip_cache_may_send(struct tern_gossip *g, struct gossip_message *message,
                                              uint32_t peer);

#endif
