/*
 * The tree of recent blocks: the best chain's last blocks, and the forks beside it.
 *
 *     root ── 1 ── 2 ── 3 ── head          the root cannot change any more
 *              └── 2' ── 3'                 side blocks: form and header are checked, state is not
 *
 * A block joins when its parent is in the tree. Its transactions are carried out only when its
 * chain is to become the best (chain/ledger.h); if that shows that it is invalid, it goes, and all
 * that stand on it, and its hash is remembered with the fault. Only faults that the hash commits to
 * are remembered.
 *
 * Blocks whose parent is not known wait as orphans.
 *
 * Limits: depth below the head; side blocks in number and bytes, where a heavier block takes the
 * place of the lightest; orphans in all and for each source; two blocks for a proposer and turn,
 * where a third is taken only when we asked for it (the rest of the network may have built on it);
 * remembered faults.
 */
#ifndef TERN_CHAIN_TREE_H
#define TERN_CHAIN_TREE_H

#include "base/error.h"
#include "base/fault.h"
#include "base/map.h"
#include "base/mem.h"
#include "chain/block.h"
#include "chain/engine.h"

struct tern_tree_limits {
    uint32_t depth_max; /* blocks above the root on the best chain: how far it can change */
    uint32_t side_max;  /* blocks beside the best chain */
    size_t side_bytes_max;
    uint32_t orphans_max;
    uint32_t orphans_source_max; /* for one source */
    size_t orphans_bytes_max;
    uint32_t invalid_max; /* remembered hashes of invalid blocks */
};

void tern_tree_limits_default(struct tern_tree_limits *limits);

struct tern_tree_node {
    struct tern_map_entry entry;   /* by hash */
    struct tern_tree_node *parent; /* NULL for the root */
    struct tern_hash hash;
    struct tern_header header;
    uint64_t weight; /* of the chain up to here, from the root on */
    uint64_t source; /* who sent it */
    uint8_t *bytes;  /* the whole block, owned; NULL for the root */
    size_t bytes_size;
    uint8_t *undo; /* encoded diff, owned; of blocks of the best chain */
    size_t undo_size;
    uint32_t children_count;
    bool main; /* on the best chain */
};

struct tern_tree_orphan {
    struct tern_map_entry entry; /* by hash */
    struct tern_hash hash;
    struct tern_hash parent;
    uint64_t source;
    uint8_t *bytes;
    size_t bytes_size;
};

struct tern_tree_invalid; /* a remembered hash */

struct tern_tree {
    struct tern_mem *mem;
    struct tern_engine engine;
    struct tern_tree_limits limits;
    struct tern_map nodes;
    struct tern_tree_node *root;
    struct tern_tree_node *head; /* end of the best chain whose state we have */
    uint32_t side_count;
    size_t side_bytes;
    struct tern_map orphans;
    size_t orphans_bytes;
    struct tern_map invalid;
};

/* tern_tree_init starts a tree at a root block. Allocates the root's node: TERN_ERR_MEMORY. */
struct tern_tree_config {
    struct tern_mem *mem;
    struct tern_engine engine;
    struct tern_tree_limits limits;
    uint64_t hash_key[2];
};
TERN_NODISCARD tern_err tern_tree_init(struct tern_tree *tree,
                                       const struct tern_tree_config *config,
                                       const struct tern_header *root,
                                       const struct tern_hash *root_hash);
void tern_tree_fini(struct tern_tree *tree);

/* tern_tree_reroot makes another block the root of a tree that holds nothing but its root
 * (checked). */
void tern_tree_reroot(struct tern_tree *tree, const struct tern_header *header,
                      const struct tern_hash *hash);

struct tern_tree_node *tern_tree_find(const struct tern_tree *tree, const struct tern_hash *hash);

struct tern_tree_offer {
    const struct tern_block *block;
    uint64_t source;
    bool solicited; /* we asked for it */
};

struct tern_tree_added {
    struct tern_tree_node *node;
    const struct tern_tree_node *twin; /* another block of the proposer in this turn, or NULL */
};

/* tern_tree_add puts a block under its parent, which must be in the tree (checked); the caller has
 * checked its header, seal and body. TERN_ERR_EXISTS: it is there; TERN_ERR_PROTOCOL with *fault:
 * CHAIN_BLOCK_SIDE_FULL, CHAIN_BLOCK_EQUIVOCATION; TERN_ERR_MEMORY. */
TERN_NODISCARD tern_err tern_tree_add(struct tern_tree *tree, const struct tern_tree_offer *offer,
                                      struct tern_tree_added *added, tern_fault *fault);

/* tern_tree_best is the end of the heaviest chain, of equal ones that with the lower hash. */
struct tern_tree_node *tern_tree_best(const struct tern_tree *tree);

/* tern_tree_fork is the last block that two chains share. */
struct tern_tree_node *tern_tree_fork(struct tern_tree_node *a, struct tern_tree_node *b);

/* tern_tree_invalidate removes a side block and all that stand on it, and remembers them as
 * invalid. */
void tern_tree_invalidate(struct tern_tree *tree, struct tern_tree_node *node, tern_fault fault);

/* tern_tree_remember notes that a hash is invalid; when there is no memory, or no room, an older
 * one or this one is forgotten: the cost is a second look. */
void tern_tree_remember(struct tern_tree *tree, const struct tern_hash *hash, tern_fault fault);

/* tern_tree_invalid is the remembered fault of a hash, or TERN_FAULT_NONE. */
tern_fault tern_tree_invalid(const struct tern_tree *tree, const struct tern_hash *hash);

/* tern_tree_set_head marks the chain that ends in head as the best one. */
void tern_tree_set_head(struct tern_tree *tree, struct tern_tree_node *head);

/* tern_tree_prune moves the root up to depth_max below the head and drops the forks that this cuts
 * off. */
void tern_tree_prune(struct tern_tree *tree);

/* tern_tree_orphan_add keeps a block until its parent comes. TERN_ERR_EXISTS; TERN_ERR_PROTOCOL
 * with CHAIN_BLOCK_ORPHANS_FULL: the source has too many; TERN_ERR_MEMORY. When all places are
 * taken, the oldest orphan goes. */
TERN_NODISCARD tern_err tern_tree_orphan_add(struct tern_tree *tree, const struct tern_block *block,
                                             uint64_t source, tern_fault *fault);

/* tern_tree_orphan_of finds an orphan that waits for this parent, the oldest first; NULL: none. */
struct tern_tree_orphan *tern_tree_orphan_of(const struct tern_tree *tree,
                                             const struct tern_hash *parent);

/* tern_tree_orphan_free takes an orphan out and frees it. */
void tern_tree_orphan_free(struct tern_tree *tree, struct tern_tree_orphan *orphan);

#endif
