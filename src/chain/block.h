/*
 * Blocks: a header that commits to everything, and transactions.
 *
 * Header, fixed layout, little-endian, canonical by construction:
 *
 *     u8 version (1)  chain[32]  u64 height  parent[32]  tx_root[32]  state_root[32]  diff_root[32]
 *     u64 time_ms  u32 txs_count  proposer[32]  nonce[8]  u8 seal_size  seal[seal_size]
 *
 * chain is the genesis hash. The block's hash is SHA-256 over "tern/header/1" and all before
 * seal_size: what is voted on or sealed. The seal is the engine's proof of the right to propose;
 * for the authority engine a signature over "tern/seal/1" ‖ hash. The nonce is the work engine's;
 * zero otherwise. The seal is not part of the hash, so whoever changes it makes no other block,
 * only an unproven one: a bad seal or a body that does not match tx_root is therefore held against
 * the sender and never against the hash.
 *
 * A block on the wire is the header followed by its transactions (chain/tx.h), nothing between,
 * nothing behind. At most TERN_BLOCK_SIZE_MAX bytes and TERN_BLOCK_TXS_MAX transactions.
 *
 *     tx_root     Merkle root of the transactions' ids
 *     state_root  of the state after the block (chain/smt.h)
 *     diff_root   Merkle root of the rows that the block changed, in key order (chain/state.h):
 * lets a node fetch and check what a block did without running it
 *
 * Pure and thread safe.
 */
#ifndef TERN_CHAIN_BLOCK_H
#define TERN_CHAIN_BLOCK_H

#include "base/error.h"
#include "base/fault.h"
#include "base/writer.h"
#include "chain/tx.h"
#include "chain/types.h"

enum {
    TERN_BLOCK_VERSION = 1,
    TERN_BLOCK_SIZE_MAX = 1 << 20,
    TERN_BLOCK_TXS_MAX = 4096,
    TERN_SEAL_SIZE_MAX = 128,
    TERN_HEADER_CORE_SIZE = 1 + 32 + 8 + 4 * 32 + 8 + 4 + 32 + 8,
    TERN_HEADER_SIZE_MAX = TERN_HEADER_CORE_SIZE + 1 + TERN_SEAL_SIZE_MAX,
};

struct tern_header {
    struct tern_hash chain;
    uint64_t height;
    struct tern_hash parent;
    struct tern_hash tx_root;
    struct tern_hash state_root;
    struct tern_hash diff_root;
    tern_time_ms time_ms;
    uint32_t txs_count;
    struct tern_account proposer;
    uint64_t nonce;
    uint8_t seal_size;
    uint8_t seal[TERN_SEAL_SIZE_MAX];
};

void tern_header_encode(const struct tern_header *header, struct tern_writer *w);

/* tern_header_read takes a header off the reader. TERN_ERR_MALFORMED (version, counts beyond the
 * limits), TERN_ERR_TRUNCATED. */
TERN_NODISCARD tern_err tern_header_read(struct tern_reader *r, struct tern_header *header);

/* tern_header_decode reads exactly one header; TERN_ERR_MALFORMED for anything else. */
TERN_NODISCARD tern_err tern_header_decode(struct tern_view bytes, struct tern_header *header);

/* tern_header_hash is the block's hash. */
void tern_header_hash(const struct tern_header *header, struct tern_hash *hash);

/* The message that an authority's seal signs. */
enum { TERN_SEAL_MESSAGE_SIZE = 11 + TERN_HASH_SIZE };
void tern_seal_message(const struct tern_hash *hash, uint8_t message[TERN_SEAL_MESSAGE_SIZE]);

/* A block taken apart: views into its bytes. */
struct tern_block {
    struct tern_header header;
    struct tern_hash hash;
    struct tern_view bytes; /* the whole block */
    struct tern_view txs;   /* its transactions, end to end */
};

/* tern_block_decode checks the form of a whole block: header, as many transactions as it says,
 * nothing behind. *fault: CHAIN_BLOCK_MALFORMED, CHAIN_BLOCK_TOO_LARGE. The block borrows bytes. */
TERN_NODISCARD tern_err tern_block_decode(struct tern_view bytes, struct tern_block *block,
                                          tern_fault *fault);

/* Walks a block's transactions. The block has been decoded: all are well formed. */
struct tern_block_txs {
    struct tern_reader reader;
    uint32_t index; /* of the transaction that next returned last */
    uint32_t left;
};

struct tern_block_txs tern_block_txs_of(const struct tern_block *block);

/* tern_block_txs_next gives the next transaction, taken apart and as bytes; false after the last.
 */
bool tern_block_txs_next(struct tern_block_txs *it, struct tern_tx *tx, struct tern_view *bytes);

/* tern_block_check_body tells whether the transactions are those the header commits to:
 * CHAIN_BLOCK_TX_ROOT, or TERN_FAULT_NONE. */
tern_fault tern_block_check_body(const struct tern_block *block);

#endif
