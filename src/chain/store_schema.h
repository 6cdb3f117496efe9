/*
 * How the chain lies in the store (runtime/io.h), and how a change of heads becomes one atomic
 * write.
 *
 *     space  key                value
 *     META   "head"             u8 version (1), genesis hash, u64 LE height, head's hash
 *     BLOCK  block hash         the whole block; blocks of the best chain alone
 *     HEIGHT u64 BE height      the block's header and 8 bytes of its SHA-256 (a hash does not
 * cover the seal); of the best chain. At height 0 the genesis hash STATE  row key            row
 * value (chain/rows.h), as of the head UNDO   u64 BE height      the block's diff (chain/state.h);
 * of heights that can still change
 *
 * Recovery. A write is all or nothing and comes back when it is durable, and a block counts as
 * accepted only then. So whatever moment the power fails at, the store holds the chain as of one
 * whole change of heads; what was in flight is fetched again from peers. At start the chain is read
 * back and checked: every row's form, the state's root against the head's header, the hash, parent
 * and body of each block that can still change. Anything that does not fit is TERN_ERR_CORRUPT, and
 * the node does not start: the operator removes the store, and the node synchronises anew.
 *
 * Side blocks and the pool are not stored.
 */
#ifndef TERN_CHAIN_STORE_SCHEMA_H
#define TERN_CHAIN_STORE_SCHEMA_H

#include "chain/ledger.h"
#include "runtime/io.h"

enum tern_chain_space {
    TERN_CHAIN_SPACE_META = 1,
    TERN_CHAIN_SPACE_BLOCK = 2,
    TERN_CHAIN_SPACE_HEIGHT = 3,
    TERN_CHAIN_SPACE_STATE = 4,
    TERN_CHAIN_SPACE_UNDO = 5,
};

enum {
    TERN_STORE_HEIGHT_KEY_SIZE = 8,
    TERN_STORE_HEAD_SIZE = 1 + 32 + 8 + 32,
    TERN_STORE_DIGEST_SIZE = 8
};

#define TERN_STORE_HEAD_KEY "head"

void tern_store_height_key(uint64_t height, uint8_t key[TERN_STORE_HEIGHT_KEY_SIZE]);

/* tern_store_header_of views the header in a HEIGHT row above 0. TERN_ERR_CORRUPT. */
TERN_NODISCARD tern_err tern_store_header_of(struct tern_view value, struct tern_view *header);

struct tern_store_head {
    struct tern_hash genesis;
    uint64_t height;
    struct tern_hash hash;
};

/* tern_store_head_decode reads the META row. TERN_ERR_CORRUPT. */
TERN_NODISCARD tern_err tern_store_head_decode(struct tern_view value,
                                               struct tern_store_head *head);

/* A write and everything it points to. */
struct tern_store_batch {
    struct tern_mem *mem;
    struct tern_store_request request;
    struct tern_store_op *ops;
    size_t ops_count;
    size_t ops_capacity;
    uint8_t *bytes;
    size_t bytes_used;
    size_t bytes_capacity;
};

/* tern_store_batch_of_change builds the write for a prepared change of heads. TERN_ERR_MEMORY:
 * *batch holds nothing. */
TERN_NODISCARD tern_err tern_store_batch_of_change(const struct tern_ledger *ledger,
                                                   const struct tern_ledger_change *change,
                                                   struct tern_store_batch *batch);

/* tern_store_batch_of_genesis builds the first write: the genesis's state and block 0.
 * TERN_ERR_MEMORY. */
TERN_NODISCARD tern_err tern_store_batch_of_genesis(const struct tern_ledger *ledger,
                                                    struct tern_store_batch *batch);

void tern_store_batch_fini(struct tern_store_batch *batch);

/* Walks the rows that a SCAN or GET brought back. */
struct tern_store_rows {
    struct tern_reader reader;
    bool corrupt; /* the result does not have its form */
};

struct tern_store_rows tern_store_rows_of(const struct tern_store_request *request);
bool tern_store_rows_next(struct tern_store_rows *rows, struct tern_view *key,
                          struct tern_view *value);

#endif
