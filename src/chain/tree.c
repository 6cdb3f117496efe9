#include "chain/tree.h"

#include "base/check.h"

struct tern_tree_invalid {
    struct tern_map_entry entry;
    struct tern_hash hash;
    tern_fault fault;
};

void tern_tree_limits_default(struct tern_tree_limits *limits)
{
    *limits = (struct tern_tree_limits){
        .depth_max = 128,
        .side_max = 512,
        .side_bytes_max = 64U << 20,
        .orphans_max = 64,
        .orphans_source_max = 8,
        .orphans_bytes_max = 16U << 20,
        .invalid_max = 1024,
    };
}

static struct tern_tree_node *tree_node_of(struct tern_map_entry *entry)
{
    return TERN_CONTAINER_OF(entry, struct tern_tree_node, entry);
}

static struct tern_tree_orphan *tree_orphan_of(struct tern_map_entry *entry)
{
    return TERN_CONTAINER_OF(entry, struct tern_tree_orphan, entry);
}

static struct tern_tree_invalid *tree_invalid_of(struct tern_map_entry *entry)
{
    return TERN_CONTAINER_OF(entry, struct tern_tree_invalid, entry);
}

tern_err tern_tree_init(struct tern_tree *tree, const struct tern_tree_config *config,
                        const struct tern_header *root, const struct tern_hash *root_hash)
{
    *tree = (struct tern_tree){
        .mem = config->mem,
        .engine = config->engine,
        .limits = config->limits,
    };
    TERN_CHECK(config->limits.depth_max > 0);
    tern_map_init(&tree->nodes, config->mem, config->hash_key);
    tern_map_init(&tree->orphans, config->mem, config->hash_key);
    tern_map_init(&tree->invalid, config->mem, config->hash_key);
    struct tern_tree_node *node = tern_mem_zalloc(config->mem, sizeof *node);
    if (node == NULL)
        return TERN_ERR_MEMORY;
    node->hash = *root_hash;
    node->header = *root;
    node->main = true;
    if (tern_map_insert(&tree->nodes, &node->entry, tern_hash_view(&node->hash)) != TERN_OK) {
        tern_mem_free(config->mem, node, sizeof *node);
        tern_map_fini(&tree->nodes);
        return TERN_ERR_MEMORY;
    }
    tree->root = node;
    tree->head = node;
    return TERN_OK;
}

void tern_tree_reroot(struct tern_tree *tree, const struct tern_header *header,
                      const struct tern_hash *hash)
{
    TERN_CHECK(tern_map_count(&tree->nodes) == 1 && tree->head == tree->root);
    tern_map_remove(&tree->nodes, &tree->root->entry);
    tree->root->header = *header;
    tree->root->hash = *hash;
    tern_err err =
        tern_map_insert(&tree->nodes, &tree->root->entry, tern_hash_view(&tree->root->hash));
    TERN_CHECK(err == TERN_OK); /* it has held as many before */
}

static void tree_node_drop_undo(struct tern_tree *tree, struct tern_tree_node *node)
{
    tern_mem_free(tree->mem, node->undo, node->undo_size);
    node->undo = NULL;
    node->undo_size = 0;
}

static void tree_node_free(struct tern_tree *tree, struct tern_tree_node *node)
{
    tern_map_remove(&tree->nodes, &node->entry);
    if (node->parent != NULL)
        node->parent->children_count--;
    if (!node->main) {
        tree->side_count--;
        tree->side_bytes -= node->bytes_size;
    }
    tree_node_drop_undo(tree, node);
    tern_mem_free(tree->mem, node->bytes, node->bytes_size);
    tern_mem_free(tree->mem, node, sizeof *node);
}

void tern_tree_fini(struct tern_tree *tree)
{
    struct tern_map_entry *entry;
    while ((entry = tern_map_first(&tree->nodes)) != NULL) {
        struct tern_tree_node *node = tree_node_of(entry);
        node->parent = NULL;
        tree_node_free(tree, node);
    }
    while ((entry = tern_map_first(&tree->orphans)) != NULL)
        tern_tree_orphan_free(tree, tree_orphan_of(entry));
    while ((entry = tern_map_first(&tree->invalid)) != NULL) {
        tern_map_remove(&tree->invalid, entry);
        tern_mem_free(tree->mem, tree_invalid_of(entry), sizeof(struct tern_tree_invalid));
    }
    tern_map_fini(&tree->nodes);
    tern_map_fini(&tree->orphans);
    tern_map_fini(&tree->invalid);
    tree->root = NULL;
    tree->head = NULL;
}

struct tern_tree_node *tern_tree_find(const struct tern_tree *tree, const struct tern_hash *hash)
{
    struct tern_map_entry *entry = tern_map_find(&tree->nodes, tern_hash_view(hash));
    return entry == NULL ? NULL : tree_node_of(entry);
}

/* Counts the blocks that a proposer made in the turn of header. */
static uint32_t tree_twins(const struct tern_tree *tree, const struct tern_header *header,
                           const struct tern_tree_node **twin)
{
    const struct tern_engine *engine = &tree->engine;
    uint64_t turn = engine->ops->turn(engine->self, header);
    uint32_t count = 0;
    *twin = NULL;
    TERN_MAP_FOREACH (entry, &tree->nodes) {
        const struct tern_tree_node *node = tree_node_of(entry);
        if (node == tree->root || !tern_account_equal(&node->header.proposer, &header->proposer) ||
            engine->ops->turn(engine->self, &node->header) != turn)
            continue;
        *twin = node;
        count++;
    }
    return count;
}

/* The lightest block beside the best chain on which nothing stands; NULL: there is none. */
static struct tern_tree_node *tree_lightest_side(const struct tern_tree *tree)
{
    struct tern_tree_node *lightest = NULL;
    TERN_MAP_FOREACH (entry, &tree->nodes) {
        struct tern_tree_node *node = tree_node_of(entry);
        if (!node->main && node->children_count == 0 &&
            (lightest == NULL || node->weight < lightest->weight))
            lightest = node;
    }
    return lightest;
}

static bool tree_side_full(const struct tern_tree *tree, size_t size)
{
    return tree->side_count >= tree->limits.side_max ||
           size > tree->limits.side_bytes_max - tree->side_bytes;
}

/* Makes room beside the best chain for a block of this weight, at the cost of lighter ones. */
static bool tree_make_room(struct tern_tree *tree, const struct tern_tree_node *parent,
                           uint64_t weight, size_t size)
{
    while (tree_side_full(tree, size)) {
        struct tern_tree_node *lightest = tree_lightest_side(tree);
        if (lightest == NULL || lightest == parent || lightest->weight >= weight)
            return false;
        tree_node_free(tree, lightest);
    }
    return true;
}

static tern_err tree_admit(struct tern_tree *tree, const struct tern_tree_offer *offer,
                           const struct tern_tree_node *parent, tern_fault *fault)
{
    const struct tern_block *block = offer->block;
    uint64_t weight = parent->weight + tree->engine.ops->weight(tree->engine.self, &block->header);
    const struct tern_tree_node *twin;
    *fault = TERN_FAULT_NONE;
    if (tern_tree_find(tree, &block->hash) != NULL)
        return TERN_ERR_EXISTS;
    if (!offer->solicited && tree_twins(tree, &block->header, &twin) > 1)
        *fault = TERN_FAULT_CHAIN_BLOCK_EQUIVOCATION;
    else if (!tree_make_room(tree, parent, weight, block->bytes.size))
        *fault = TERN_FAULT_CHAIN_BLOCK_SIDE_FULL;
    return *fault == TERN_FAULT_NONE ? TERN_OK : TERN_ERR_PROTOCOL;
}

tern_err tern_tree_add(struct tern_tree *tree, const struct tern_tree_offer *offer,
                       struct tern_tree_added *added, tern_fault *fault)
{
    const struct tern_block *block = offer->block;
    struct tern_tree_node *parent = tern_tree_find(tree, &block->header.parent);
    TERN_CHECK(parent != NULL);
    TERN_TRY(tree_admit(tree, offer, parent, fault));
    tree_twins(tree, &block->header, &added->twin);
    struct tern_tree_node *node = tern_mem_zalloc(tree->mem, sizeof *node);
    if (node == NULL)
        return TERN_ERR_MEMORY;
    node->bytes = tern_mem_dup(tree->mem, block->bytes);
    node->bytes_size = block->bytes.size;
    node->hash = block->hash;
    node->header = block->header;
    node->source = offer->source;
    node->parent = parent;
    node->weight = parent->weight + tree->engine.ops->weight(tree->engine.self, &block->header);
    if (node->bytes == NULL ||
        tern_map_insert(&tree->nodes, &node->entry, tern_hash_view(&node->hash)) != TERN_OK) {
        tern_mem_free(tree->mem, node->bytes, node->bytes_size);
        tern_mem_free(tree->mem, node, sizeof *node);
        return TERN_ERR_MEMORY;
    }
    parent->children_count++;
    tree->side_count++;
    tree->side_bytes += node->bytes_size;
    added->node = node;
    return TERN_OK;
}

struct tern_tree_node *tern_tree_best(const struct tern_tree *tree)
{
    struct tern_tree_node *best = tree->root;
    TERN_MAP_FOREACH (entry, &tree->nodes) {
        struct tern_tree_node *node = tree_node_of(entry);
        if (node->weight > best->weight ||
            (node->weight == best->weight && tern_hash_compare(&node->hash, &best->hash) < 0))
            best = node;
    }
    return best;
}

struct tern_tree_node *tern_tree_fork(struct tern_tree_node *a, struct tern_tree_node *b)
{
    while (a != b) {
        if (a->header.height >= b->header.height)
            a = a->parent;
        else
            b = b->parent;
        TERN_CHECK(a != NULL && b != NULL);
    }
    return a;
}

static bool tree_stands_on(const struct tern_tree_node *node, const struct tern_tree_node *base)
{
    while (node != NULL && node->header.height > base->header.height)
        node = node->parent;
    return node == base;
}

/* The newest node that stands on base (or is it) and carries nothing itself; NULL: base is gone. */
static struct tern_tree_node *tree_leaf_on(const struct tern_tree *tree,
                                           const struct tern_tree_node *base)
{
    TERN_MAP_FOREACH (entry, &tree->nodes) {
        struct tern_tree_node *node = tree_node_of(entry);
        if (node->children_count == 0 && tree_stands_on(node, base))
            return node;
    }
    TERN_UNREACHABLE();
}

void tern_tree_invalidate(struct tern_tree *tree, struct tern_tree_node *node, tern_fault fault)
{
    TERN_CHECK(!node->main && fault != TERN_FAULT_NONE);
    for (;;) {
        struct tern_tree_node *leaf = tree_leaf_on(tree, node);
        TERN_CHECK(!leaf->main);
        bool last = leaf == node;
        tern_tree_remember(tree, &leaf->hash, last ? fault : TERN_FAULT_CHAIN_BLOCK_PARENT);
        tree_node_free(tree, leaf);
        if (last)
            return;
    }
}

void tern_tree_remember(struct tern_tree *tree, const struct tern_hash *hash, tern_fault fault)
{
    if (tern_tree_invalid(tree, hash) != TERN_FAULT_NONE || tree->limits.invalid_max == 0)
        return;
    struct tern_tree_invalid *invalid;
    if (tern_map_count(&tree->invalid) >= tree->limits.invalid_max) {
        invalid = tree_invalid_of(tern_map_first(&tree->invalid));
        tern_map_remove(&tree->invalid, &invalid->entry);
    } else {
        invalid = tern_mem_alloc(tree->mem, sizeof *invalid);
        if (invalid == NULL)
            return;
    }
    invalid->hash = *hash;
    invalid->fault = fault;
    if (tern_map_insert(&tree->invalid, &invalid->entry, tern_hash_view(&invalid->hash)) != TERN_OK)
        tern_mem_free(tree->mem, invalid, sizeof *invalid);
}

tern_fault tern_tree_invalid(const struct tern_tree *tree, const struct tern_hash *hash)
{
    struct tern_map_entry *entry = tern_map_find(&tree->invalid, tern_hash_view(hash));
    return entry == NULL ? TERN_FAULT_NONE : tree_invalid_of(entry)->fault;
}

static void tree_set_main(struct tern_tree *tree, struct tern_tree_node *node, bool main)
{
    TERN_DCHECK(node->main != main);
    node->main = main;
    if (main) {
        tree->side_count--;
        tree->side_bytes -= node->bytes_size;
    } else {
        tree->side_count++;
        tree->side_bytes += node->bytes_size;
        tree_node_drop_undo(tree, node);
    }
}

void tern_tree_set_head(struct tern_tree *tree, struct tern_tree_node *head)
{
    struct tern_tree_node *fork = tern_tree_fork(tree->head, head);
    for (struct tern_tree_node *n = tree->head; n != fork; n = n->parent)
        tree_set_main(tree, n, false);
    for (struct tern_tree_node *n = head; n != fork; n = n->parent)
        tree_set_main(tree, n, true);
    tree->head = head;
}

/* The block of the best chain right above the root. */
static struct tern_tree_node *tree_above_root(const struct tern_tree *tree)
{
    struct tern_tree_node *node = tree->head;
    while (node->parent != tree->root)
        node = node->parent;
    return node;
}

/* A leaf that does not stand on base; NULL: there is none. */
static struct tern_tree_node *tree_leaf_off(const struct tern_tree *tree,
                                            const struct tern_tree_node *base)
{
    TERN_MAP_FOREACH (entry, &tree->nodes) {
        struct tern_tree_node *node = tree_node_of(entry);
        if (node->children_count == 0 && node != base && !tree_stands_on(node, base))
            return node;
    }
    return NULL;
}

void tern_tree_prune(struct tern_tree *tree)
{
    while (tree->head->header.height - tree->root->header.height > tree->limits.depth_max) {
        struct tern_tree_node *root = tree_above_root(tree);
        struct tern_tree_node *leaf;
        while ((leaf = tree_leaf_off(tree, root)) != NULL && leaf != tree->root)
            tree_node_free(tree, leaf);
        struct tern_tree_node *old = tree->root;
        TERN_CHECK(old->children_count == 1);
        root->parent = NULL;
        tree->root = root;
        tree_node_free(tree, old);
        tree_node_drop_undo(tree, root);
    }
}

static uint32_t tree_orphans_from(const struct tern_tree *tree, uint64_t source)
{
    uint32_t count = 0;
    TERN_MAP_FOREACH (entry, &tree->orphans) {
        count += tree_orphan_of(entry)->source == source;
    }
    return count;
}

tern_err tern_tree_orphan_add(struct tern_tree *tree, const struct tern_block *block,
                              uint64_t source, tern_fault *fault)
{
    *fault = TERN_FAULT_NONE;
    if (tern_map_find(&tree->orphans, tern_hash_view(&block->hash)) != NULL)
        return TERN_ERR_EXISTS;
    if (tree_orphans_from(tree, source) >= tree->limits.orphans_source_max ||
        block->bytes.size > tree->limits.orphans_bytes_max || tree->limits.orphans_max == 0) {
        *fault = TERN_FAULT_CHAIN_BLOCK_ORPHANS_FULL;
        return TERN_ERR_PROTOCOL;
    }
    while (tern_map_count(&tree->orphans) >= tree->limits.orphans_max ||
           block->bytes.size > tree->limits.orphans_bytes_max - tree->orphans_bytes)
        tern_tree_orphan_free(tree, tree_orphan_of(tern_map_first(&tree->orphans)));
    struct tern_tree_orphan *orphan = tern_mem_zalloc(tree->mem, sizeof *orphan);
    if (orphan == NULL)
        return TERN_ERR_MEMORY;
    orphan->hash = block->hash;
    orphan->parent = block->header.parent;
    orphan->source = source;
    orphan->bytes = tern_mem_dup(tree->mem, block->bytes);
    orphan->bytes_size = block->bytes.size;
    if (orphan->bytes == NULL ||
        tern_map_insert(&tree->orphans, &orphan->entry, tern_hash_view(&orphan->hash)) != TERN_OK) {
        tern_mem_free(tree->mem, orphan->bytes, orphan->bytes_size);
        tern_mem_free(tree->mem, orphan, sizeof *orphan);
        return TERN_ERR_MEMORY;
    }
    tree->orphans_bytes += orphan->bytes_size;
    return TERN_OK;
}

struct tern_tree_orphan *tern_tree_orphan_of(const struct tern_tree *tree,
                                             const struct tern_hash *parent)
{
    TERN_MAP_FOREACH (entry, &tree->orphans) {
        struct tern_tree_orphan *orphan = tree_orphan_of(entry);
        if (tern_hash_equal(&orphan->parent, parent))
            return orphan;
    }
    return NULL;
}

void tern_tree_orphan_free(struct tern_tree *tree, struct tern_tree_orphan *orphan)
{
    tern_map_remove(&tree->orphans, &orphan->entry);
    tree->orphans_bytes -= orphan->bytes_size;
    tern_mem_free(tree->mem, orphan->bytes, orphan->bytes_size);
    tern_mem_free(tree->mem, orphan, sizeof *orphan);
}
