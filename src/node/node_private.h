/*
 * A node's insides, shared by its files:
 *   node.c          making, the machine, events
 *   node_relay.c    blocks and transactions: gossip, the chain, what is submitted
 *   node_sync.c     what sync asks of peers, and their answers
 *   node_serve.c    what peers ask of us
 *   node_pool.c     the transactions that wait at peers
 *   node_validate.c validating our own chain
 */
#ifndef TERN_NODE_NODE_PRIVATE_H
#define TERN_NODE_NODE_PRIVATE_H

#include "base/check.h"
#include "base/ring.h"
#include "chain/engine_authority.h"
#include "chain/store_schema.h"
#include "chain/validate.h"
#include "node/node.h"

enum { NODE_NAME_SIZE = 64, NODE_PEERS_MAX = 1024 };

/* Whose a job or a store request is. */
enum node_owner {
    NODE_OWNER_CHAIN = TERN_OWNER_ABOVE,
    NODE_OWNER_SYNC,
    NODE_OWNER_VALIDATE,
    NODE_OWNER_SERVE,
};

enum node_protocol {
    NODE_STATUS,
    NODE_HEADERS,
    NODE_BLOCKS,
    NODE_VALIDATE,
    NODE_TXS,
    NODE_PROTOCOLS_COUNT,
};

/* What the high byte of a request's token says of it; the rest is sync's token. */
enum node_token {
    NODE_TOKEN_STATUS = 1,
    NODE_TOKEN_HEADERS,
    NODE_TOKEN_BLOCKS,
    NODE_TOKEN_VALIDATE,
    NODE_TOKEN_TXS,
};

enum node_pending_kind {
    PENDING_FREE,
    PENDING_GOSSIP_BLOCK,
    PENDING_GOSSIP_TX,
    PENDING_SYNC_BLOCK,
    PENDING_OWN_BLOCK,
    PENDING_OWN_TX,
    PENDING_POOL_TX, /* of a peer's pool */
};

/* A block or transaction that the chain has and has not answered. Its tag is slot + generation. */
struct node_pending {
    enum node_pending_kind kind;
    uint32_t generation;
    tern_gossip_handle handle;
    tern_peer peer;
    uint64_t tag;             /* of who submitted it */
    struct tern_hash hash;    /* SYNC_BLOCK */
    struct tern_chunk *chunk; /* OWN_*, POOL_TX: to be published */
};

/* A peer that speaks our protocols. */
struct node_peer {
    tern_peer peer;
    uint64_t height;
};

/* A request that is being answered from the store, row by row. */
struct node_serving {
    struct tern_list link;
    struct tern_node *node;
    tern_request_handle handle;
    enum node_protocol protocol;
    struct tern_sync_get_blocks blocks;
    size_t blocks_next;
    uint64_t height; /* HEADERS: the next one */
    size_t left;
    uint8_t key[TERN_HASH_SIZE];
    struct tern_store_request request;
    uint8_t *row; /* what the store reads into */
    uint8_t *answer;
    struct tern_writer out;
};

/* Validation of our own chain. */
struct node_validation {
    struct tern_validate *core;
    uint64_t tag;
    bool tag_wanted;
    struct tern_store_request request;
    uint8_t key[TERN_HASH_SIZE];
    uint8_t *row; /* what the store reads into; NULL: not running */
};

struct tern_node {
    struct tern_mem *mem;
    const struct tern_genesis *genesis;
    struct tern_hash genesis_hash;
    struct tern_host_core *host;
    struct tern_random random;
    struct tern_authority engine;
    struct tern_chain *chain;
    struct tern_sync *sync;
    bool persistent;
    bool ready;
    bool shutting;
    tern_time now;
    char topic_blocks[NODE_NAME_SIZE];
    char topic_txs[NODE_NAME_SIZE];
    char names[NODE_PROTOCOLS_COUNT][NODE_NAME_SIZE];
    struct node_pending pending[TERN_NODE_PENDING_MAX];
    uint32_t pending_next;
    struct node_peer peers[NODE_PEERS_MAX];
    size_t peers_count;
    struct tern_list serving;
    size_t serving_count;
    struct node_validation validation;
    struct tern_ring commands; /* struct tern_command: jobs and store requests */
    struct tern_ring events;   /* struct tern_node_event */
    size_t out_count;          /* jobs and requests that are out */
    uint64_t messages_in;
    uint64_t messages_out;
    uint64_t remote_tag; /* of the peer validation that is asked for; remote_peer 0: none */
    tern_peer remote_peer;
    tern_time pool_at;      /* when a peer is asked for its pool; NEVER: there is none */
    tern_time remote_again; /* when to ask again; NEVER: an answer is awaited */
};

struct tern_clock node_clock(const struct tern_node *node);
void node_push(struct tern_node *node, const struct tern_node_event *event);
void node_emit_job(struct tern_node *node, struct tern_job *job, enum node_owner owner);
void node_emit_store(struct tern_node *node, struct tern_store_request *request,
                     enum node_owner owner);
/* node_chain_pump drains the chain: after every step of it, so that its answers never pile up. */
bool node_chain_pump(struct tern_node *node);
struct node_peer *node_find_peer(struct tern_node *node, tern_peer peer);

/* node_relay.c */
void node_gossip(struct tern_node *node, const struct tern_gossip_event *event);
void node_chain_out(struct tern_node *node, const struct tern_chain_out *out);
/* node_deliver gives the chain a block that sync brought. */
void node_deliver(struct tern_node *node, const struct tern_sync_out *out);

/* node_offer_tx gives the chain a transaction of a peer's pool; what is new and valid is passed on.
 */
void node_offer_tx(struct tern_node *node, tern_peer peer, struct tern_view bytes);

/* node_pool.c */
void node_pool_peer(struct tern_node *node);
void node_pool_tick(struct tern_node *node);
void node_pool_response(struct tern_node *node, const struct tern_request_event *event);
void node_pool_serve(struct tern_node *node, const struct tern_request_event *event);

/* node_sync.c */
/* node_send_request sends a request of sync's, or the like, to a peer. Errors of tern_request_send.
 */
TERN_NODISCARD tern_err node_send_request(struct tern_node *node, tern_peer peer,
                                          enum node_token token_kind,
                                          const struct tern_sync_out *out);
void node_peer_speaks(struct tern_node *node, tern_peer peer);
void node_peer_gone(struct tern_node *node, tern_peer peer);
void node_response(struct tern_node *node, const struct tern_request_event *event);
void node_sync_step(struct tern_node *node, const struct tern_sync_in *in);
bool node_sync_pump(struct tern_node *node);
tern_time node_remote_deadline(const struct tern_node *node);
void node_remote_tick(struct tern_node *node);

/* node_serve.c */
void node_serve_answer(struct tern_node *node, tern_request_handle handle, uint32_t code,
                       struct tern_view body);
void node_serve_malformed(struct tern_node *node, const struct tern_request_event *event);
void node_request(struct tern_node *node, const struct tern_request_event *event);
void node_served(struct tern_node *node, struct tern_store_request *request);
void node_serve_fini(struct tern_node *node);

/* node_validate.c */
TERN_NODISCARD tern_err node_validate_start(struct tern_node *node);
void node_validate_stored(struct tern_node *node);
void node_validate_job(struct tern_node *node, struct tern_job *job);
bool node_validate_pump(struct tern_node *node);
void node_validate_fini(struct tern_node *node);
void node_copy_validation(const struct tern_sync_validation *told,
                          struct tern_node_validation *out);

#endif
