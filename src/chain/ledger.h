/*
 * The ledger: the state at the head of the best chain, the tree of blocks around it, and the way
 * from one head to another. Changing heads is atomic: all of a reorganisation is done, or none of
 * it.
 *
 *     add a block to the tree                    tern_ledger_check, tern_tree_add
 *     move to the best chain                     tern_ledger_prepare   the state has moved,
 * journaled …  the caller builds what it must store tern_ledger_commit    for good or
 * tern_ledger_abort     as it was
 *
 * prepare undoes the blocks down to where the chains part, carries out those of the better chain,
 * and when one of them turns out invalid, drops it and tries the next best chain. If that ends
 * where it began, there is nothing to commit.
 *
 * The ledger also knows the hash of every block of the best chain, by height: 32 bytes a block.
 *
 * Not thread safe.
 */
#ifndef TERN_CHAIN_LEDGER_H
#define TERN_CHAIN_LEDGER_H

#include "chain/apply.h"
#include "chain/genesis.h"
#include "chain/state.h"
#include "chain/tree.h"

enum { TERN_LEDGER_INDEX_CHUNK = 4096 };

struct tern_ledger_config {
    struct tern_mem *mem;
    const struct tern_genesis *genesis; /* borrowed, outlives the ledger */
    struct tern_engine engine;
    struct tern_tree_limits limits;
    uint64_t hash_key[2];
};

struct tern_ledger {
    struct tern_mem *mem;
    const struct tern_genesis *genesis;
    struct tern_hash genesis_hash;
    struct tern_engine engine;
    struct tern_state state;
    struct tern_tree tree;
    struct tern_hash **index; /* chunks of TERN_LEDGER_INDEX_CHUNK hashes, by height */
    size_t index_chunks;
    size_t index_capacity; /* of the array of chunks */
};

/* A change of heads under way. Nodes stay in the tree at least until commit or abort. */
struct tern_ledger_change {
    struct tern_tree_node *fork; /* the last block that stays */
    struct tern_tree_node *head_old;
    struct tern_tree_node *head_new; /* head_old: nothing changes */
    size_t undone_count;
    struct tern_tree_node **applied;   /* from the fork up, owned */
    struct tern_apply_result *results; /* of each applied block, owned */
    size_t applied_count;
    struct tern_state_diff diff; /* of the whole change, owned */
    size_t mark;
    tern_fault fault; /* of the last block that turned out invalid, or NONE */
    struct tern_hash fault_hash;
    uint64_t fault_source;
    tern_fault fault_tx; /* with CHAIN_BLOCK_TX_INVALID */
};

/* tern_ledger_init makes the ledger of a genesis: its state, and a tree whose root is block 0.
 * TERN_ERR_MEMORY: nothing to fini. */
TERN_NODISCARD tern_err tern_ledger_init(struct tern_ledger *ledger,
                                         const struct tern_ledger_config *config);
void tern_ledger_fini(struct tern_ledger *ledger);

/* tern_ledger_genesis_header is block 0 as a header: height 0, the genesis's time; its hash is the
 * genesis hash. */
void tern_ledger_genesis_header(const struct tern_genesis *genesis, struct tern_header *header);

/* tern_ledger_check_header judges a header by its parent's: chain, height, time, engine's rules; no
 * signature. now_ms 0 skips the comparison with the clock. TERN_FAULT_NONE: nothing to object to.
 */
tern_fault tern_ledger_check_header(const struct tern_ledger *ledger,
                                    const struct tern_header *parent,
                                    const struct tern_header *header, tern_time_ms now_ms);

/* tern_ledger_prepare moves the state to the best chain. TERN_OK with head_new == head_old: nothing
 * to do; fini by commit or abort is needed all the same. TERN_ERR_MEMORY: the ledger is as before,
 * nothing to commit or abort. */
TERN_NODISCARD tern_err tern_ledger_prepare(struct tern_ledger *ledger,
                                            struct tern_ledger_change *change);
void tern_ledger_commit(struct tern_ledger *ledger, struct tern_ledger_change *change);
void tern_ledger_abort(struct tern_ledger *ledger, struct tern_ledger_change *change);

/* tern_ledger_head is the head's node. */
static inline const struct tern_tree_node *tern_ledger_head(const struct tern_ledger *ledger)
{
    return ledger->tree.head;
}

/* tern_ledger_hash_at tells the hash of the best chain's block at a height; false above the head.
 */
bool tern_ledger_hash_at(const struct tern_ledger *ledger, uint64_t height, struct tern_hash *hash);

/* tern_ledger_node_at finds the best chain's node at a height, from the root on; NULL outside. */
const struct tern_tree_node *tern_ledger_node_at(const struct tern_ledger *ledger, uint64_t height);

/* tern_ledger_has tells whether the best chain has this block at this height. */
bool tern_ledger_has(const struct tern_ledger *ledger, uint64_t height,
                     const struct tern_hash *hash);

/* For loading (chain_load.c): tern_ledger_index_set notes the hash at a height, in ascending order.
 * TERN_ERR_MEMORY. */
TERN_NODISCARD tern_err tern_ledger_index_set(struct tern_ledger *ledger, uint64_t height,
                                              const struct tern_hash *hash);

/* tern_ledger_index_hash is what was noted at a height, be the head there or not; noted (checked).
 */
const struct tern_hash *tern_ledger_index_hash(const struct tern_ledger *ledger, uint64_t height);

#endif
