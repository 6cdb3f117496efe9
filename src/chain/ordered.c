#include "chain/ordered.h"

#include "base/check.h"
#include "base/map.h"

void tern_ordered_init(struct tern_ordered *set, const uint64_t hash_key[2])
{
    set->root = NULL;
    set->count = 0;
    set->hash_key[0] = hash_key[0];
    set->hash_key[1] = hash_key[1];
}

/* Puts node where old hangs below parent. */
static void ordered_replace(struct tern_ordered *set, struct tern_ordered_node *parent,
                            const struct tern_ordered_node *old, struct tern_ordered_node *node)
{
    if (parent == NULL)
        set->root = node;
    else
        parent->child[parent->child[1] == old] = node;
    if (node != NULL)
        node->parent = parent;
}

/* Rotates node above its parent. */
static void ordered_lift(struct tern_ordered *set, struct tern_ordered_node *node)
{
    struct tern_ordered_node *parent = node->parent;
    unsigned side = parent->child[1] == node;
    struct tern_ordered_node *inner = node->child[!side];
    ordered_replace(set, parent->parent, parent, node);
    node->child[!side] = parent;
    parent->parent = node;
    parent->child[side] = inner;
    if (inner != NULL)
        inner->parent = parent;
}

void tern_ordered_insert(struct tern_ordered *set, struct tern_ordered_node *node,
                         struct tern_view key)
{
    *node = (struct tern_ordered_node){
        .key = key,
        .priority = tern_siphash(set->hash_key, key),
    };
    struct tern_ordered_node *parent = NULL;
    struct tern_ordered_node **place = &set->root;
    while (*place != NULL) {
        parent = *place;
        int order = tern_view_compare(key, parent->key);
        TERN_CHECK(order != 0);
        place = &parent->child[order > 0];
    }
    *place = node;
    node->parent = parent;
    set->count++;
    while (node->parent != NULL && node->priority > node->parent->priority)
        ordered_lift(set, node);
}

void tern_ordered_remove(struct tern_ordered *set, struct tern_ordered_node *node)
{
    TERN_CHECK(set->count > 0);
    while (node->child[0] != NULL && node->child[1] != NULL) {
        unsigned side = node->child[1]->priority > node->child[0]->priority;
        ordered_lift(set, node->child[side]);
    }
    struct tern_ordered_node *only = node->child[node->child[0] == NULL];
    ordered_replace(set, node->parent, node, only);
    node->parent = NULL;
    set->count--;
}

struct tern_ordered_node *tern_ordered_seek(const struct tern_ordered *set, struct tern_view key)
{
    struct tern_ordered_node *best = NULL;
    struct tern_ordered_node *node = set->root;
    while (node != NULL) {
        bool below = tern_view_compare(node->key, key) < 0;
        if (!below)
            best = node;
        node = node->child[below];
    }
    return best;
}

static struct tern_ordered_node *ordered_end(struct tern_ordered_node *node, unsigned side)
{
    while (node != NULL && node->child[side] != NULL)
        node = node->child[side];
    return node;
}

struct tern_ordered_node *tern_ordered_first(const struct tern_ordered *set)
{
    return ordered_end(set->root, 0);
}

struct tern_ordered_node *tern_ordered_last(const struct tern_ordered *set)
{
    return ordered_end(set->root, 1);
}

struct tern_ordered_node *tern_ordered_next(const struct tern_ordered_node *node)
{
    if (node->child[1] != NULL)
        return ordered_end(node->child[1], 0);
    while (node->parent != NULL && node->parent->child[1] == node)
        node = node->parent;
    return node->parent;
}
