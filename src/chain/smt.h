/*
 * Sparse Merkle tree: a commitment to a set of (key, value), with proofs that a key has a value or
 * has none. A key's place is SHA-256(key), 256 levels deep; a subtree with one leaf is that leaf;
 * an empty one is 32 zero bytes:
 *
 *     leaf = SHA-256(0x00 ‖ SHA-256(key) ‖ SHA-256(value))      node = SHA-256(0x01 ‖ left ‖ right)
 *
 * This is the form that ICS-23 calls the SMT spec, so its verifiers check our proofs.
 *
 * In memory it is a path-compressed binary trie. Both the leaf and one branch lie inside the
 * element, as in a crit-bit tree with n leaves and n - 1 branches: inserting, updating and removing
 * never allocate and never fail. They only mark what they touch; tern_smt_root hashes what is
 * marked, each node once, however many changes came before.
 *
 * Not thread safe: belongs to its state.
 */
#ifndef TERN_CHAIN_SMT_H
#define TERN_CHAIN_SMT_H

#include "chain/types.h"

struct tern_smt_branch;

struct tern_smt_node {
    struct tern_smt_branch *parent;
    bool is_leaf;
    bool dirty; /* then all above it are, too */
    struct tern_hash hash;
};

struct tern_smt_branch {
    struct tern_smt_node node; /* hash: as seen from below its parent, empty levels folded in */
    struct tern_smt_node *child[2];
    uint16_t bit; /* where the paths below part: 0 is the highest bit */
    bool used;
};

/* Embedded in the element, which must not move while it is in the tree. */
struct tern_smt_entry {
    struct tern_smt_node leaf;
    struct tern_smt_branch branch;
    struct tern_hash path;
    struct tern_view value; /* borrowed; read when the root is computed */
};

struct tern_smt {
    struct tern_smt_node *root;
    size_t count;
};

void tern_smt_init(struct tern_smt *smt);

/* tern_smt_insert adds an element; its key must not be in the tree (checked). */
void tern_smt_insert(struct tern_smt *smt, struct tern_smt_entry *entry, struct tern_view key,
                     struct tern_view value);

/* tern_smt_update says that an element's value changed. */
void tern_smt_update(struct tern_smt_entry *entry, struct tern_view value);

/* tern_smt_remove takes an element out; it must be in. */
void tern_smt_remove(struct tern_smt *smt, struct tern_smt_entry *entry);

/* tern_smt_root computes the root: 32 zero bytes for an empty tree. */
void tern_smt_root(struct tern_smt *smt, struct tern_hash *root);

enum { TERN_SMT_DEPTH_MAX = 256 };

/* A proof: the siblings from the root down, and the leaf that was found at the key's place. */
struct tern_smt_proof {
    uint16_t siblings_count;
    struct tern_hash siblings[TERN_SMT_DEPTH_MAX];
    bool has_leaf; /* false: the place is empty */
    struct tern_hash leaf_path;
    struct tern_hash leaf_value_hash;
};

/* tern_smt_prove makes the proof for a key, whether it is in the tree or not, under the root that
 * tern_smt_root gives. */
void tern_smt_prove(struct tern_smt *smt, struct tern_view key, struct tern_smt_proof *proof);

/* tern_smt_verify checks a proof, which may come from a peer, for a key: that it has the value, or,
 * with value NULL, that it has none. */
bool tern_smt_verify(const struct tern_smt_proof *proof, const struct tern_hash *root,
                     struct tern_view key, const struct tern_view *value);

#endif
