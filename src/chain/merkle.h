/*
 * Merkle tree hash of a list, as in RFC 6962 section 2.1: leaf = SHA-256(0x00 ‖ data), node =
 * SHA-256(0x01 ‖ left ‖ right), the left part being the largest power of two below the count. No
 * element is ever doubled, so two lists never share a root (the fault of CVE-2012-2459). The root
 * of an empty list is SHA-256 of nothing.
 *
 * Pure and thread safe; allocates nothing.
 */
#ifndef TERN_CHAIN_MERKLE_H
#define TERN_CHAIN_MERKLE_H

#include "chain/types.h"

enum { TERN_MERKLE_DEPTH_MAX = 32 };

/* Builds a root leaf by leaf, in order; at most 2^32 - 1 leaves. */
struct tern_merkle {
    struct tern_hash stack[TERN_MERKLE_DEPTH_MAX]; /* complete subtrees, the largest first */
    uint32_t stack_count;
    uint32_t leaves_count;
};

struct tern_merkle_proof {
    uint32_t index;
    uint32_t leaves_count;
    struct tern_hash path[TERN_MERKLE_DEPTH_MAX]; /* siblings, from the leaf up */
    uint32_t path_count;
};

void tern_merkle_leaf(struct tern_view data, struct tern_hash *hash);
void tern_merkle_node(const struct tern_hash *left, const struct tern_hash *right,
                      struct tern_hash *hash);

void tern_merkle_init(struct tern_merkle *merkle);
void tern_merkle_add(struct tern_merkle *merkle, const struct tern_hash *leaf);
void tern_merkle_root(const struct tern_merkle *merkle, struct tern_hash *root);

/* tern_merkle_root_of hashes an array of leaf hashes. */
void tern_merkle_root_of(const struct tern_hash *leaves, size_t count, struct tern_hash *root);

/* tern_merkle_prove makes the inclusion proof of leaf index; index < count (checked). */
void tern_merkle_prove(const struct tern_hash *leaves, uint32_t count, uint32_t index,
                       struct tern_merkle_proof *proof);

/* tern_merkle_verify tells whether the proof leads from the leaf to the root (RFC 9162, 2.1.3.2).
 * The proof may come from a peer. */
bool tern_merkle_verify(const struct tern_merkle_proof *proof, const struct tern_hash *leaf,
                        const struct tern_hash *root);

#endif
