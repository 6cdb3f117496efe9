/*
 * The seam of consensus engines: who may propose, what proves it, which chain is best, what is
 * final. The ledger asks the pure questions; the chain feeds inputs and carries out outputs. Three
 * kinds fit:
 *
 *     authority  turns by time; the seal is a signature; longest chain (chain/engine_authority.h)
 *     BFT        proposals, votes and certificates are MESSAGE / BROADCAST; FINAL ends
 * reorganisations work       weight is difficulty; check_seal compares a hash, so add_seal adds
 * nothing to a batch
 *
 *     HEAD, BLOCK, MESSAGE, TICK ──step──► engine ──next──► PROPOSE, BROADCAST, SEND, CONFIRMED,
 * FINAL …
 *
 * Engines are pure: no clock but what is handed in; drain next after every step. Not thread safe.
 */
#ifndef TERN_CHAIN_ENGINE_H
#define TERN_CHAIN_ENGINE_H

#include "base/error.h"
#include "base/fault.h"
#include "chain/block.h"
#include "chain/types.h"
#include "crypto/verify_job.h"

enum tern_engine_in_kind {
    TERN_ENGINE_TICK,
    TERN_ENGINE_HEAD,    /* the best chain's end changed: recent headers, newest first */
    TERN_ENGINE_BLOCK,   /* a block joined the tree: header, hash */
    TERN_ENGINE_MESSAGE, /* an engine's message came from a peer: bytes, source */
};

struct tern_engine_in {
    enum tern_engine_in_kind kind;
    const struct tern_header *header;
    const struct tern_hash *hash;
    const struct tern_header *const *recent; /* HEAD: at least one, down to what cannot change */
    size_t recent_count;
    struct tern_view bytes;
    uint64_t source; /* the peer, as the node numbers it */
};

enum tern_engine_out_kind {
    TERN_ENGINE_PROPOSE,   /* build a block now, on the head, of this time */
    TERN_ENGINE_BROADCAST, /* bytes to all peers */
    TERN_ENGINE_SEND,      /* bytes to source */
    TERN_ENGINE_CONFIRMED, /* height: enough have built on this block that it is safe in practice */
    TERN_ENGINE_FINAL,     /* height of the head's chain: never to be undone */
    TERN_ENGINE_BLAME,     /* source, fault */
};

struct tern_engine_out {
    enum tern_engine_out_kind kind;
    tern_time_ms time_ms;
    uint64_t height;
    struct tern_view
        bytes; /* the engine keeps what it sends for some more steps: until the next TICK */
    uint64_t source;
    tern_fault fault;
};

struct tern_engine_ops {
    const char *name;

    /* May header follow parent? Everything that needs neither clock nor signature: turn, proposer,
     * form of the seal. For height 1 the parent is a header made of the genesis. TERN_FAULT_NONE:
     * yes. */
    tern_fault (*check_header)(const void *self, const struct tern_header *parent,
                               const struct tern_header *header);

    /* Puts what is left to be proven of the seal into a batch; *index is its place there, or
     * SIZE_MAX when there is nothing left. check_header has passed. TERN_ERR_FULL. */
    tern_err (*add_seal)(const void *self, const struct tern_header *header,
                         struct tern_verify_job *job, size_t *index);

    /* The same proof here and now. CHAIN_BLOCK_SEAL or TERN_FAULT_NONE. */
    tern_fault (*check_seal)(const void *self, const struct tern_header *header);

    /* What the block adds to its chain's weight; at least 1. The heaviest chain wins, of equal ones
     * that with the lower hash. */
    uint64_t (*weight)(const void *self, const struct tern_header *header);

    /* The turn a header was made in. A proposer makes one block a turn; more is equivocation. */
    uint64_t (*turn)(const void *self, const struct tern_header *header);

    /* Fills in proposer and seal of a header that is otherwise complete. TERN_ERR_UNSUPPORTED: this
     * node proposes nothing. */
    tern_err (*prepare)(const void *self, struct tern_header *header);
    tern_err (*seal)(const void *self, struct tern_header *header);

    tern_err (*step)(void *self, const struct tern_clock *clock, const struct tern_engine_in *in);
    bool (*next)(void *self, struct tern_engine_out *out);
    /* Monotonic time of the next TICK, given the clock as it is now. */
    tern_time (*deadline)(const void *self, const struct tern_clock *clock);
};

struct tern_engine {
    const struct tern_engine_ops *ops;
    void *self;
};

#endif
