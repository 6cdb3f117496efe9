/*
 * The chain: one node's blockchain as a message core. It puts together what lies beside it: the
 * ledger (state, forks), the pool, an engine, batches of signature checks, and the store.
 *
 *     BLOCK ─► form, header ─► seal and new signatures: JOB ─► tree ─► best chain ─► STORE ─► HEAD
 *     TX ────► form, pool's rules ─► signature: JOB ─► pool
 *     TICK ──► engine: our turn ─► a block of the pool's best ─► STORE ─► PROPOSED, HEAD
 *
 *     starting ──► loading ──► ready ──► failed        start: tern_chain_init, then drain next
 *
 * Every BLOCK and TX input is answered by exactly one BLOCK or TX output with its tag, though not
 * at once. A block that becomes part of the best chain is answered, and shows in HEAD, only when it
 * is stored: nothing is acknowledged that a power cut could take back. Without a store
 * (config.persistent false) that is at once.
 *
 * Drain next after every step. Jobs and store requests are the chain's: they come back by JOB_DONE
 * and STORED, and until all have, tern_chain_fini must wait.
 *
 * Bounds: blocks being checked, transactions waiting for a signature check, writes under way;
 * beyond them inputs are answered TERN_ERR_FULL, which is no fault of anybody. Pure; not thread
 * safe.
 */
#ifndef TERN_CHAIN_CHAIN_H
#define TERN_CHAIN_CHAIN_H

#include "base/random.h"
#include "chain/apply.h"
#include "chain/engine.h"
#include "chain/ledger.h"
#include "chain/pool.h"
#include "runtime/io.h"

enum {
    TERN_CHAIN_CHECKS_MAX = 16,       /* blocks whose signatures are being checked */
    TERN_CHAIN_WRITES_MAX = 8,        /* changes of head that are not stored yet */
    TERN_CHAIN_TX_BATCH = 256,        /* transactions a batch */
    TERN_CHAIN_OUTS_MAX = 1024,       /* answers between two drains */
    TERN_CHAIN_SCAN_SIZE = 4 << 20,   /* bytes read at a time while loading */
    TERN_CHAIN_TX_WAITING_MAX = 4096, /* transactions waiting for their check */
};

struct tern_chain_config {
    struct tern_mem *mem;
    struct tern_random *random; /* borrowed for init */
    const struct tern_genesis
        *genesis; /* passes tern_genesis_check; borrowed, outlives the chain */
    struct tern_engine engine;
    struct tern_tree_limits tree;
    struct tern_pool_limits pool;
    bool persistent; /* false: nothing is stored, for simulations and light use */
};

/* tern_chain_config_default fills in limits; the caller sets mem, random, genesis and engine. */
void tern_chain_config_default(struct tern_chain_config *config);

enum tern_chain_in_kind {
    TERN_CHAIN_TICK,
    TERN_CHAIN_BLOCK,    /* bytes; tag, source; solicited: we had asked for it */
    TERN_CHAIN_TX,       /* bytes; tag, source */
    TERN_CHAIN_JOB_DONE, /* job */
    TERN_CHAIN_STORED,   /* request */
    TERN_CHAIN_MESSAGE,  /* bytes: an engine's message; source */
};

struct tern_chain_in {
    enum tern_chain_in_kind kind;
    struct tern_view bytes; /* borrowed for the call */
    uint64_t tag;           /* comes back with the answer */
    uint64_t source;        /* the peer, as the node numbers it; 0: ourselves */
    bool solicited;
    struct tern_job *job;
    struct tern_store_request *request;
};

enum tern_chain_out_kind {
    TERN_CHAIN_OUT_JOB,   /* job: run it, JOB_DONE */
    TERN_CHAIN_OUT_STORE, /* request: serve it, STORED */
    TERN_CHAIN_OUT_READY, /* loaded: height, hash */
    TERN_CHAIN_OUT_BLOCK, /* the answer to a BLOCK: tag, source, hash, err, fault. TERN_OK: it is
                             valid and on the best chain, or, with side, beside it: its state has
                             not been checked then, and it is not for passing on; EXISTS: known;
                             AGAIN: its parent is not known, it waits as an orphan (parent); FULL:
                             try later; PROTOCOL: fault */
    TERN_CHAIN_OUT_TX,    /* the answer to a TX: tag, source, hash (its id), err, fault; likewise */
    TERN_CHAIN_OUT_HEAD,  /* the best chain's end changed, and that is stored: height, hash, change
                           */
    TERN_CHAIN_OUT_PROPOSED,     /* a block of ours is stored: bytes to publish; hash, height */
    TERN_CHAIN_OUT_CONFIRMED,    /* height: the engine's word */
    TERN_CHAIN_OUT_FINAL,        /* height */
    TERN_CHAIN_OUT_BROADCAST,    /* bytes: an engine's message for all */
    TERN_CHAIN_OUT_SEND,         /* bytes for source */
    TERN_CHAIN_OUT_BLAME,        /* source, fault */
    TERN_CHAIN_OUT_EQUIVOCATION, /* hash, parent (the other block's hash): proof of a proposer's
                                    fault */
    TERN_CHAIN_OUT_FAILED, /* err, text: the chain has stopped; the store failed or is damaged */
};

/* What a change of heads did; borrowed until the next call. */
struct tern_chain_change {
    uint64_t undone_count;
    const struct tern_hash *blocks; /* joined, in order of height up to the head */
    size_t blocks_count;
    const struct tern_trade *trades;
    size_t trades_count;
};

struct tern_chain_out {
    enum tern_chain_out_kind kind;
    tern_err err;
    tern_fault fault;
    uint64_t tag;
    uint64_t source;
    uint64_t height;
    bool side; /* BLOCK */
    struct tern_hash hash;
    struct tern_hash parent;
    struct tern_view bytes; /* borrowed until the next call */
    const char *text;
    struct tern_job *job;
    struct tern_store_request *request;
    struct tern_chain_change change;
};

struct tern_chain;

/* tern_chain_new makes a chain; with a store it starts loading at once: drain next.
 * TERN_ERR_MEMORY. */
TERN_NODISCARD tern_err tern_chain_new(const struct tern_chain_config *config,
                                       struct tern_chain **chain);

/* tern_chain_free: no job and no request of it may be running; what is out must not come back. */
void tern_chain_free(struct tern_chain *chain);

/* tern_chain_step takes one input. It always does: failures are outputs. */
void tern_chain_step(struct tern_chain *chain, const struct tern_clock *clock,
                     const struct tern_chain_in *in);
bool tern_chain_next(struct tern_chain *chain, struct tern_chain_out *out);

/* tern_chain_deadline is when the next TICK is due. */
tern_time tern_chain_deadline(const struct tern_chain *chain, const struct tern_clock *clock);

/* tern_chain_busy: are jobs or requests out? */
bool tern_chain_busy(const struct tern_chain *chain);
bool tern_chain_ready(const struct tern_chain *chain);

/* Looking inside. The ledger's head may be ahead of what is stored by the writes under way. */
const struct tern_ledger *tern_chain_ledger(const struct tern_chain *chain);
const struct tern_pool *tern_chain_pool(const struct tern_chain *chain);

/* The head as of the newest stored write. */
struct tern_chain_head {
    uint64_t height;
    struct tern_hash hash;
    uint64_t confirmed_height;
};
void tern_chain_stored_head(const struct tern_chain *chain, struct tern_chain_head *head);

/* tern_chain_prove proves a row of the state, or its absence, under the ledger head's state root.
 */
void tern_chain_prove(struct tern_chain *chain, struct tern_view key, struct tern_smt_proof *proof);

#endif
