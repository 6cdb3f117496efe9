#include "chain/smt.h"

#include "base/check.h"
#include "crypto/sha256.h"

enum { SMT_BITS = 256 };

void tern_smt_init(struct tern_smt *smt)
{
    smt->root = NULL;
    smt->count = 0;
}

static unsigned smt_bit(const struct tern_hash *path, unsigned bit)
{
    return (path->bytes[bit / 8] >> (7 - bit % 8)) & 1U;
}

/* The first bit in which two paths differ; SMT_BITS when they are the same. */
static unsigned smt_parting(const struct tern_hash *a, const struct tern_hash *b)
{
    for (unsigned i = 0; i < TERN_HASH_SIZE; i++) {
        unsigned differ = (unsigned)(a->bytes[i] ^ b->bytes[i]);
        if (differ != 0)
            return i * 8 + (unsigned)__builtin_clz(differ) - (unsigned)(sizeof differ * 8 - 8);
    }
    return SMT_BITS;
}

static struct tern_smt_branch *smt_branch_of(struct tern_smt_node *node)
{
    TERN_DCHECK(!node->is_leaf);
    return TERN_CONTAINER_OF(node, struct tern_smt_branch, node);
}

static struct tern_smt_entry *smt_entry_of(struct tern_smt_node *node)
{
    TERN_DCHECK(node->is_leaf);
    return TERN_CONTAINER_OF(node, struct tern_smt_entry, leaf);
}

static void smt_mark(struct tern_smt_node *node)
{
    node->dirty = true;
    for (struct tern_smt_branch *b = node->parent; b != NULL && !b->node.dirty; b = b->node.parent)
        b->node.dirty = true;
}

/* Hangs node where old hangs below parent. */
static void smt_replace(struct tern_smt *smt, struct tern_smt_branch *parent,
                        const struct tern_smt_node *old, struct tern_smt_node *node)
{
    if (parent == NULL)
        smt->root = node;
    else
        parent->child[parent->child[1] == old] = node;
    node->parent = parent;
}

/* The leaf that a path leads to, its skipped bits unseen. */
static struct tern_smt_entry *smt_descend(struct tern_smt_node *node, const struct tern_hash *path)
{
    while (!node->is_leaf) {
        struct tern_smt_branch *branch = smt_branch_of(node);
        node = branch->child[smt_bit(path, branch->bit)];
    }
    return smt_entry_of(node);
}

void tern_smt_insert(struct tern_smt *smt, struct tern_smt_entry *entry, struct tern_view key,
                     struct tern_view value)
{
    tern_sha256(key, entry->path.bytes);
    entry->value = value;
    entry->leaf = (struct tern_smt_node){.is_leaf = true};
    entry->branch.used = false;
    if (smt->count++ == 0) {
        smt->root = &entry->leaf;
        smt_mark(&entry->leaf);
        return;
    }
    unsigned bit = smt_parting(&smt_descend(smt->root, &entry->path)->path, &entry->path);
    TERN_CHECK(bit < SMT_BITS);
    struct tern_smt_node *below = smt->root;
    while (!below->is_leaf && smt_branch_of(below)->bit < bit)
        below = smt_branch_of(below)->child[smt_bit(&entry->path, smt_branch_of(below)->bit)];

    struct tern_smt_branch *branch = &entry->branch;
    *branch = (struct tern_smt_branch){.bit = (uint16_t)bit, .used = true};
    smt_replace(smt, below->parent, below, &branch->node);
    unsigned side = smt_bit(&entry->path, bit);
    branch->child[side] = &entry->leaf;
    branch->child[!side] = below;
    entry->leaf.parent = branch;
    below->parent = branch;
    if (!below->is_leaf)
        below->dirty = true; /* it hangs deeper now: other empty levels are folded in */
    smt_mark(&entry->leaf);
}

void tern_smt_update(struct tern_smt_entry *entry, struct tern_view value)
{
    entry->value = value;
    smt_mark(&entry->leaf);
}

/* Lets the unused branch `spare` stand in for `branch`, which its element takes away. */
static void smt_move_branch(struct tern_smt *smt, struct tern_smt_branch *branch,
                            struct tern_smt_branch *spare)
{
    *spare = *branch;
    smt_replace(smt, branch->node.parent, &branch->node, &spare->node);
    spare->child[0]->parent = spare;
    spare->child[1]->parent = spare;
    branch->used = false;
}

void tern_smt_remove(struct tern_smt *smt, struct tern_smt_entry *entry)
{
    TERN_CHECK(smt->count > 0);
    smt->count--;
    struct tern_smt_branch *parent = entry->leaf.parent;
    if (parent == NULL) {
        TERN_CHECK(smt->root == &entry->leaf && smt->count == 0);
        smt->root = NULL;
        return;
    }
    struct tern_smt_node *sibling = parent->child[parent->child[0] == &entry->leaf];
    smt_replace(smt, parent->node.parent, &parent->node, sibling);
    parent->used = false;
    smt_mark(sibling);
    if (entry->branch.used)
        smt_move_branch(smt, &entry->branch, parent);
    entry->leaf.parent = NULL;
}

static void smt_hash_leaf(struct tern_smt_entry *entry)
{
    uint8_t bytes[1 + 2 * TERN_HASH_SIZE];
    bytes[0] = 0;
    memcpy(bytes + 1, entry->path.bytes, TERN_HASH_SIZE);
    tern_sha256(entry->value, bytes + 1 + TERN_HASH_SIZE);
    tern_sha256(tern_view_of(bytes, sizeof bytes), entry->leaf.hash.bytes);
}

static void smt_hash_pair(const struct tern_hash *left, const struct tern_hash *right,
                          struct tern_hash *hash)
{
    uint8_t bytes[1 + 2 * TERN_HASH_SIZE];
    bytes[0] = 1;
    memcpy(bytes + 1, left->bytes, TERN_HASH_SIZE);
    memcpy(bytes + 1 + TERN_HASH_SIZE, right->bytes, TERN_HASH_SIZE);
    tern_sha256(tern_view_of(bytes, sizeof bytes), hash->bytes);
}

static const struct tern_hash smt_empty;

/* Hashes upwards over a level of which the other half is empty. */
static void smt_fold(const struct tern_hash *path, unsigned bit, struct tern_hash *hash)
{
    if (smt_bit(path, bit) != 0)
        smt_hash_pair(&smt_empty, hash, hash);
    else
        smt_hash_pair(hash, &smt_empty, hash);
}

static void smt_hash_branch(struct tern_smt_branch *branch)
{
    struct tern_hash *hash = &branch->node.hash;
    smt_hash_pair(&branch->child[0]->hash, &branch->child[1]->hash, hash);
    unsigned top = branch->node.parent == NULL ? 0 : branch->node.parent->bit + 1U;
    TERN_DCHECK(top <= branch->bit);
    if (top == branch->bit)
        return;
    const struct tern_hash *path = &smt_descend(&branch->node, &smt_empty)->path;
    for (unsigned bit = branch->bit; bit > top; bit--)
        smt_fold(path, bit - 1, hash);
}

void tern_smt_root(struct tern_smt *smt, struct tern_hash *root)
{
    struct tern_smt_node *node = smt->root;
    while (node != NULL && node->dirty) {
        if (node->is_leaf) {
            smt_hash_leaf(smt_entry_of(node));
        } else {
            struct tern_smt_branch *branch = smt_branch_of(node);
            if (branch->child[0]->dirty || branch->child[1]->dirty) {
                node = branch->child[!branch->child[0]->dirty];
                continue;
            }
            smt_hash_branch(branch);
        }
        node->dirty = false;
        node = node->parent == NULL ? NULL : &node->parent->node;
    }
    *root = smt->root == NULL ? smt_empty : smt->root->hash;
}

/* The hash of a branch at its own bit, without the empty levels above it; where the path of a proof
 * leaves a compressed run, that run's subtree is the sibling, folded up to there. */
static void smt_hash_at(struct tern_smt_branch *branch, unsigned top, struct tern_hash *hash)
{
    smt_hash_pair(&branch->child[0]->hash, &branch->child[1]->hash, hash);
    const struct tern_hash *path = &smt_descend(&branch->node, &smt_empty)->path;
    for (unsigned bit = branch->bit; bit > top; bit--)
        smt_fold(path, bit - 1, hash);
}

static void smt_proof_leaf(struct tern_smt_entry *entry, struct tern_smt_proof *proof)
{
    proof->has_leaf = true;
    proof->leaf_path = entry->path;
    tern_sha256(entry->value, proof->leaf_value_hash.bytes);
}

void tern_smt_prove(struct tern_smt *smt, struct tern_view key, struct tern_smt_proof *proof)
{
    struct tern_hash root;
    struct tern_hash path;
    tern_smt_root(smt, &root);
    tern_sha256(key, path.bytes);
    proof->siblings_count = 0;
    proof->has_leaf = false;
    struct tern_smt_node *node = smt->root;
    while (node != NULL && !node->is_leaf) {
        struct tern_smt_branch *branch = smt_branch_of(node);
        unsigned parting = smt_parting(&smt_descend(node, &smt_empty)->path, &path);
        unsigned end = parting < branch->bit ? parting : branch->bit;
        while (proof->siblings_count < end)
            proof->siblings[proof->siblings_count++] = smt_empty;
        struct tern_hash *sibling = &proof->siblings[proof->siblings_count++];
        if (parting < branch->bit) { /* the key's place is empty: the run goes the other way */
            smt_hash_at(branch, parting + 1, sibling);
            return;
        }
        unsigned side = smt_bit(&path, branch->bit);
        *sibling = branch->child[!side]->hash;
        node = branch->child[side];
    }
    if (node != NULL)
        smt_proof_leaf(smt_entry_of(node), proof);
}

bool tern_smt_verify(const struct tern_smt_proof *proof, const struct tern_hash *root,
                     struct tern_view key, const struct tern_view *value)
{
    if (proof->siblings_count > TERN_SMT_DEPTH_MAX)
        return false;
    struct tern_hash path;
    tern_sha256(key, path.bytes);
    struct tern_hash hash = smt_empty;
    bool found = false;
    if (proof->has_leaf) {
        /* The leaf must lie on the key's way down, and be the key's own to prove that it is there.
         */
        if (smt_parting(&proof->leaf_path, &path) < proof->siblings_count)
            return false;
        found = tern_hash_equal(&proof->leaf_path, &path);
        uint8_t bytes[1 + 2 * TERN_HASH_SIZE];
        bytes[0] = 0;
        memcpy(bytes + 1, proof->leaf_path.bytes, TERN_HASH_SIZE);
        memcpy(bytes + 1 + TERN_HASH_SIZE, proof->leaf_value_hash.bytes, TERN_HASH_SIZE);
        tern_sha256(tern_view_of(bytes, sizeof bytes), hash.bytes);
    }
    for (unsigned bit = proof->siblings_count; bit > 0; bit--) {
        const struct tern_hash *sibling = &proof->siblings[bit - 1];
        if (smt_bit(&path, bit - 1) != 0)
            smt_hash_pair(sibling, &hash, &hash);
        else
            smt_hash_pair(&hash, sibling, &hash);
    }
    if (!tern_hash_equal(&hash, root) || found != (value != NULL))
        return false;
    if (value == NULL)
        return true;
    struct tern_hash value_hash;
    tern_sha256(*value, value_hash.bytes);
    return tern_hash_equal(&value_hash, &proof->leaf_value_hash);
}
