/*
 * A chain node: one host, one chain, and what ties them together, as a pure machine.
 *
 *   topics    /tern/<net>/blocks/1, /tern/<net>/txs/1     what is valid is passed on, no more
 *   requests  /tern/<net>/{status,headers,blocks,validate,txs}/1
 *
 *     gossip ─► chain ─► verdict ─► gossip            a block or transaction is relayed when it is
 * valid peers ─► sync ─► chain                          who is ahead is asked for headers, then
 * bodies chain ─► store ─► HEAD                          nothing is shown before it is stored
 *
 * Gossip tells a transaction once, to those who are there. So a node also asks a peer now and then,
 * and a new one soon, for the transactions of its pool, if the pools differ; what it did not have
 * it passes on. A partition that heals, and whoever restarts, gets to know what waits.
 *
 * <net> is the first four bytes of the genesis hash as hexadecimal text, so nodes of different
 * chains find no common protocol. Peers that speak ours are protected from being ended as idle.
 *
 * Roles: a node whose key is one of the genesis's authorities makes blocks; every other follows.
 *
 * Use: give tern_node_ops to a world; call in between, then tern_node_flush; draw tern_node_next
 * after each. Not thread safe.
 */
#ifndef TERN_NODE_NODE_H
#define TERN_NODE_NODE_H

#include "chain/chain.h"
#include "chain/sync.h"
#include "host/host_core.h"

enum {
    TERN_NODE_BOOK_SPACE = 64, /* of the address book, in the store */
    TERN_NODE_PENDING_MAX = 8192,
    TERN_NODE_EVENTS_MAX = 4096,
    TERN_NODE_SERVING_MAX = 64, /* requests answered from the store at a time */
};

struct tern_node_options {
    struct tern_host_core_options host; /* mem, seed, trace and identity set by the caller */
    const struct tern_genesis *genesis; /* passes tern_genesis_check; outlives the node */
    struct tern_pool_limits pool;
    bool persistent; /* blocks, state and address book are stored */
    bool follow;     /* make no blocks, even with the key of an authority */
};

/* tern_node_options_defaults fills in everything but the host's mem, seed, trace, identity and the
 * genesis. */
void tern_node_options_defaults(struct tern_node_options *options);

struct tern_node;

TERN_NODISCARD tern_err tern_node_new(const struct tern_node_options *options, tern_time now,
                                      struct tern_node **node);

/* tern_node_free: the world no longer runs jobs or store requests of it. */
void tern_node_free(struct tern_node *node);

extern const struct tern_machine_ops tern_node_ops;

/* tern_node_flush carries out what calls have set off. */
void tern_node_flush(struct tern_node *node, tern_time now);

/* tern_node_shutdown ends connections in good order; tern_node_is_down: that is done, and nothing
 * is being stored any more. */
void tern_node_shutdown(struct tern_node *node, tern_time now);
bool tern_node_is_down(const struct tern_node *node);

/* The parts, for looking and calling. Borrowed for the node's life. */
struct tern_host_core *tern_node_host(struct tern_node *node);
const struct tern_chain *tern_node_chain(const struct tern_node *node);
void tern_node_sync_info(const struct tern_node *node, tern_time now, struct tern_sync_info *info);
const struct tern_hash *tern_node_genesis_hash(const struct tern_node *node);

/* tern_node_submit_tx and tern_node_submit_block take what a user gives; a TX or BLOCK event with
 * the tag follows, and what is valid is published. TERN_ERR_AGAIN: the chain is still loading;
 * TERN_ERR_FULL. */
TERN_NODISCARD tern_err tern_node_submit_tx(struct tern_node *node, tern_time now,
                                            struct tern_view bytes, uint64_t tag);
TERN_NODISCARD tern_err tern_node_submit_block(struct tern_node *node, tern_time now,
                                               struct tern_view bytes, uint64_t tag);

/* tern_node_validate judges the stored chain anew from the genesis (chain/validate.h); a VALIDATED
 * event with the tag follows. TERN_ERR_EXISTS: one is running (its result is shown by
 * tern_node_validation); AGAIN: loading; UNSUPPORTED: not persistent; MEMORY. */
TERN_NODISCARD tern_err tern_node_validate(struct tern_node *node, tern_time now, uint64_t tag);

/* tern_node_validate_peer asks a peer to check its own chain and waits for the end of that; a
 * VALIDATED event with the tag follows. Errors of tern_request_send; FULL: one is being asked
 * already. */
TERN_NODISCARD tern_err tern_node_validate_peer(struct tern_node *node, tern_time now,
                                                tern_peer peer, uint64_t tag);

struct tern_node_validation {
    enum tern_validation_state state;
    uint64_t checked_height; /* all up to here is well */
    uint64_t bad_height;     /* BAD: the first that is not */
    uint64_t head_height;
    char fault[TERN_SYNC_FAULT_TEXT_MAX]; /* BAD: its name */
};
void tern_node_validation(const struct tern_node *node, struct tern_node_validation *validation);

/* tern_node_peer_height is what a peer said its height is; 0: nothing. */
uint64_t tern_node_peer_height(const struct tern_node *node, tern_peer peer);

/* Messages of the chain, each way: gossip and requests. */
uint64_t tern_node_messages_in(const struct tern_node *node);
uint64_t tern_node_messages_out(const struct tern_node *node);

enum tern_node_event_kind {
    TERN_NODE_READY, /* the chain is loaded: height, hash */
    TERN_NODE_HEAD,  /* height, hash, undone_count, trades_count, traded_wh, traded_money, price */
    TERN_NODE_PROPOSED,      /* we made a block: height, hash */
    TERN_NODE_CONFIRMED,     /* height */
    TERN_NODE_TX,            /* tag, err, fault, hash: what became of a submission */
    TERN_NODE_BLOCK,         /* likewise */
    TERN_NODE_VALIDATED,     /* tag, err; validation when TERN_OK */
    TERN_NODE_LISTENING,     /* address */
    TERN_NODE_LISTEN_FAILED, /* address, err */
    TERN_NODE_PEER_UP,       /* peer, peer_id */
    TERN_NODE_PEER_DOWN,     /* peer, peer_id */
    TERN_NODE_DIAL_DONE,     /* token, peer, err */
    TERN_NODE_PING,          /* token, peer, err, rtt_ns */
    TERN_NODE_EQUIVOCATION,  /* height, hash: a proposer made two blocks in one turn */
    TERN_NODE_FAILED,        /* err, text: the chain has stopped */
};

struct tern_node_event {
    enum tern_node_event_kind kind;
    tern_err err;
    tern_fault fault;
    uint64_t tag;
    uint64_t height;
    struct tern_hash hash;
    uint64_t undone_count;
    size_t trades_count;
    tern_energy traded_wh;
    tern_money traded_money;
    tern_price price; /* of the newest clearing in this change; 0: none */
    tern_hour price_hour;
    struct tern_node_validation validation;
    tern_peer peer;
    struct tern_peer_id peer_id;
    tern_token token;
    tern_time rtt_ns;
    struct tern_multiaddr address;
    const char *text; /* static */
};

bool tern_node_next(struct tern_node *node, struct tern_node_event *event);

#endif
