/*
 * An ordered set of elements by byte-string key, intrusive: a treap whose priorities are a keyed
 * hash of the key, so its depth is logarithmic whatever keys a peer chooses, and its shape is a
 * function of its content. Order is that of tern_view_compare. Inserting and removing never
 * allocate and never fail: what was taken out can always be put back.
 */
#ifndef TERN_CHAIN_ORDERED_H
#define TERN_CHAIN_ORDERED_H

#include "base/types.h"

struct tern_ordered_node {
    struct tern_ordered_node *child[2];
    struct tern_ordered_node *parent;
    uint64_t priority;
    struct tern_view key; /* borrowed from the element, which must not move */
};

struct tern_ordered {
    struct tern_ordered_node *root;
    size_t count;
    uint64_t hash_key[2];
};

/* tern_ordered_init: hash_key comes from the random source. */
void tern_ordered_init(struct tern_ordered *set, const uint64_t hash_key[2]);

/* tern_ordered_insert adds a node; its key must not be in the set (checked). */
void tern_ordered_insert(struct tern_ordered *set, struct tern_ordered_node *node,
                         struct tern_view key);

/* tern_ordered_remove takes a node out; it must be in. */
void tern_ordered_remove(struct tern_ordered *set, struct tern_ordered_node *node);

/* tern_ordered_seek is the first node whose key is not below key, or NULL. */
struct tern_ordered_node *tern_ordered_seek(const struct tern_ordered *set, struct tern_view key);

/* The ends, and the neighbour in order; NULL where there is none. */
struct tern_ordered_node *tern_ordered_first(const struct tern_ordered *set);
struct tern_ordered_node *tern_ordered_last(const struct tern_ordered *set);
struct tern_ordered_node *tern_ordered_next(const struct tern_ordered_node *node);

#endif
