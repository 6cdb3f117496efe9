#include "chain/merkle.h"

#include "base/check.h"
#include "crypto/sha256.h"

void tern_merkle_leaf(struct tern_view data, struct tern_hash *hash)
{
    const uint8_t prefix = 0;
    const struct tern_view parts[] = {tern_view_of(&prefix, 1), data};
    tern_sha256_parts(parts, 2, hash->bytes);
}

void tern_merkle_node(const struct tern_hash *left, const struct tern_hash *right,
                      struct tern_hash *hash)
{
    uint8_t bytes[1 + 2 * TERN_HASH_SIZE];
    bytes[0] = 1;
    memcpy(bytes + 1, left->bytes, TERN_HASH_SIZE);
    memcpy(bytes + 1 + TERN_HASH_SIZE, right->bytes, TERN_HASH_SIZE);
    tern_sha256(tern_view_of(bytes, sizeof bytes), hash->bytes);
}

void tern_merkle_init(struct tern_merkle *merkle)
{
    merkle->stack_count = 0;
    merkle->leaves_count = 0;
}

void tern_merkle_add(struct tern_merkle *merkle, const struct tern_hash *leaf)
{
    TERN_CHECK(merkle->leaves_count < UINT32_MAX);
    struct tern_hash hash = *leaf;
    /* Each one bit at the end of the count is a complete subtree that the new leaf completes
     * further. */
    for (uint32_t n = merkle->leaves_count; (n & 1) != 0; n >>= 1)
        tern_merkle_node(&merkle->stack[--merkle->stack_count], &hash, &hash);
    merkle->stack[merkle->stack_count++] = hash;
    merkle->leaves_count++;
}

void tern_merkle_root(const struct tern_merkle *merkle, struct tern_hash *root)
{
    if (merkle->stack_count == 0) {
        tern_sha256(tern_view_of(NULL, 0), root->bytes);
        return;
    }
    *root = merkle->stack[merkle->stack_count - 1];
    for (uint32_t i = merkle->stack_count - 1; i > 0; i--)
        tern_merkle_node(&merkle->stack[i - 1], root, root);
}

void tern_merkle_root_of(const struct tern_hash *leaves, size_t count, struct tern_hash *root)
{
    TERN_CHECK(count < UINT32_MAX);
    struct tern_merkle merkle;
    tern_merkle_init(&merkle);
    for (size_t i = 0; i < count; i++)
        tern_merkle_add(&merkle, &leaves[i]);
    tern_merkle_root(&merkle, root);
}

/* The largest power of two below n; n > 1. */
static uint32_t merkle_split(uint32_t n)
{
    uint32_t k = 1;
    while (k < n - k)
        k <<= 1;
    return k;
}

void tern_merkle_prove(const struct tern_hash *leaves, uint32_t count, uint32_t index,
                       struct tern_merkle_proof *proof)
{
    TERN_CHECK(index < count);
    proof->index = index;
    proof->leaves_count = count;
    proof->path_count = 0;
    uint32_t first = 0;
    while (count > 1) {
        uint32_t left = merkle_split(count);
        struct tern_hash *sibling = &proof->path[proof->path_count++];
        if (index < left) {
            tern_merkle_root_of(leaves + first + left, count - left, sibling);
            count = left;
        } else {
            tern_merkle_root_of(leaves + first, left, sibling);
            first += left;
            index -= left;
            count -= left;
        }
    }
    /* Gathered from the root down; told from the leaf up. */
    for (uint32_t i = 0; i < proof->path_count / 2; i++) {
        struct tern_hash swap = proof->path[i];
        proof->path[i] = proof->path[proof->path_count - 1 - i];
        proof->path[proof->path_count - 1 - i] = swap;
    }
}

bool tern_merkle_verify(const struct tern_merkle_proof *proof, const struct tern_hash *leaf,
                        const struct tern_hash *root)
{
    if (proof->index >= proof->leaves_count || proof->path_count > TERN_MERKLE_DEPTH_MAX)
        return false;
    uint32_t fn = proof->index;
    uint32_t sn = proof->leaves_count - 1;
    struct tern_hash hash = *leaf;
    for (uint32_t i = 0; i < proof->path_count; i++) {
        if (sn == 0)
            return false;
        if ((fn & 1) != 0 || fn == sn) {
            tern_merkle_node(&proof->path[i], &hash, &hash);
            while ((fn & 1) == 0 && fn != 0) {
                fn >>= 1;
                sn >>= 1;
            }
        } else {
            tern_merkle_node(&hash, &proof->path[i], &hash);
        }
        fn >>= 1;
        sn >>= 1;
    }
    return sn == 0 && tern_hash_equal(&hash, root);
}
