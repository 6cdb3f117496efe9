/*
 * The messages by which nodes synchronise: protobuf, in the one encoding that we write. A message
 * is refused (CHAIN_SYNC_MALFORMED) when fields are unknown, out of order or of a default value,
 * when a number is not in its shortest form, or when a limit is passed: what two nodes read in the
 * same bytes is the same.
 *
 *     Status      { 1 genesis (32 bytes)  2 height  3 head (32 bytes) }         asked and answered
 * alike GetHeaders  { 1 locator: repeated (8 bytes LE height ‖ 32 bytes hash)  2 max } Headers { 1
 * header: repeated bytes }                                   chain/block.h GetBlocks   { 1 hash:
 * repeated (32 bytes) } Blocks      { 1 block: repeated bytes }     of those asked for, the first
 * ones, in order; maybe none GetValidation { 1 restart (1: validate anew) } Validation  { 1 state
 * 2 checked_height  3 bad_height  4 fault (text)  5 head_height }
 *
 * A locator names blocks of the asker's best chain, from its end down to the genesis, first each,
 * then at doubling distance. The answer starts with the header after the first of them that the
 * answerer's best chain has, too.
 *
 * Each message travels as the body of a request or answer (src/node); its protocol carries the
 * genesis hash in its name, so nodes of other chains do not get this far.
 *
 * Pure and thread safe. Views borrow the message.
 */
#ifndef TERN_CHAIN_MESSAGES_H
#define TERN_CHAIN_MESSAGES_H

#include "base/error.h"
#include "base/writer.h"
#include "chain/block.h"
#include "chain/types.h"

enum {
    TERN_SYNC_LOCATOR_MAX = 64,
    TERN_SYNC_HEADERS_MAX = 512,
    TERN_SYNC_BLOCKS_MAX = 16,
    TERN_SYNC_BLOCKS_BYTES_MAX = 2 << 20, /* of an answer; one block always fits */
    TERN_SYNC_LOCATOR_ENTRY_SIZE = 8 + TERN_HASH_SIZE,
    TERN_SYNC_STATUS_SIZE_MAX = 128,
    TERN_SYNC_GET_HEADERS_SIZE_MAX = 8 + TERN_SYNC_LOCATOR_MAX * (2 + TERN_SYNC_LOCATOR_ENTRY_SIZE),
    TERN_SYNC_HEADERS_SIZE_MAX = TERN_SYNC_HEADERS_MAX * (3 + TERN_HEADER_SIZE_MAX),
    TERN_SYNC_GET_BLOCKS_SIZE_MAX = TERN_SYNC_BLOCKS_MAX * (2 + TERN_HASH_SIZE),
    TERN_SYNC_BLOCKS_SIZE_MAX = TERN_SYNC_BLOCKS_BYTES_MAX + TERN_SYNC_BLOCKS_MAX * 5,
    TERN_SYNC_TXS_MAX = 2048,
    TERN_SYNC_TXS_SIZE_MAX = TERN_SYNC_TXS_MAX * (3 + TERN_TX_SIZE_MAX),
    TERN_SYNC_FAULT_TEXT_MAX = 64,
    TERN_SYNC_VALIDATION_SIZE_MAX = 4 * 11 + 2 + TERN_SYNC_FAULT_TEXT_MAX,
};

struct tern_sync_status {
    struct tern_hash genesis;
    uint64_t height;
    struct tern_hash head;
};

struct tern_sync_point {
    uint64_t height;
    struct tern_hash hash;
};

struct tern_sync_get_headers {
    struct tern_sync_point locator[TERN_SYNC_LOCATOR_MAX];
    size_t locator_count;
    uint32_t max; /* 1 to TERN_SYNC_HEADERS_MAX */
};

struct tern_sync_get_blocks {
    struct tern_hash hashes[TERN_SYNC_BLOCKS_MAX];
    size_t count;
};

enum tern_validation_state {
    TERN_VALIDATION_NEVER = 0,
    TERN_VALIDATION_RUNNING = 1,
    TERN_VALIDATION_GOOD = 2,
    TERN_VALIDATION_BAD = 3,
};

struct tern_sync_validation {
    enum tern_validation_state state;
    uint64_t checked_height; /* all up to here is well */
    uint64_t bad_height;     /* BAD */
    struct tern_view fault;  /* BAD: the fault's name */
    uint64_t head_height;    /* up to where this validation goes */
};

/* Writers; overflow sticks in the writer. */
void tern_sync_status_encode(const struct tern_sync_status *status, struct tern_writer *w);
void tern_sync_get_headers_encode(const struct tern_sync_get_headers *get, struct tern_writer *w);
void tern_sync_get_blocks_encode(const struct tern_sync_get_blocks *get, struct tern_writer *w);
void tern_sync_get_txs_encode(const struct tern_hash *digest, struct tern_writer *w);
void tern_sync_get_validation_encode(bool restart, struct tern_writer *w);
void tern_sync_validation_encode(const struct tern_sync_validation *validation,
                                 struct tern_writer *w);

/* tern_sync_item_encode appends one header to a Headers message, or one block to a Blocks message.
 */
void tern_sync_item_encode(struct tern_view item, struct tern_writer *w);

/* Readers: TERN_ERR_MALFORMED for anything but the one encoding. */
TERN_NODISCARD tern_err tern_sync_status_decode(struct tern_view bytes,
                                                struct tern_sync_status *status);
TERN_NODISCARD tern_err tern_sync_get_headers_decode(struct tern_view bytes,
                                                     struct tern_sync_get_headers *get);
TERN_NODISCARD tern_err tern_sync_get_blocks_decode(struct tern_view bytes,
                                                    struct tern_sync_get_blocks *get);
TERN_NODISCARD tern_err tern_sync_get_txs_decode(struct tern_view bytes, struct tern_hash *digest);
TERN_NODISCARD tern_err tern_sync_get_validation_decode(struct tern_view bytes, bool *restart);
TERN_NODISCARD tern_err tern_sync_validation_decode(struct tern_view bytes,
                                                    struct tern_sync_validation *validation);

/* tern_sync_items_check looks over a Headers, Blocks or Txs message: its form, and at most
 * items_max items. *count is how many there are. TERN_ERR_MALFORMED. */
TERN_NODISCARD tern_err tern_sync_items_check(struct tern_view bytes, size_t items_max,
                                              size_t *count);

/* tern_sync_items_next takes one item off the front of a message that check has passed; false at
 * the end. */
bool tern_sync_items_next(struct tern_view *bytes, struct tern_view *item);

#endif
