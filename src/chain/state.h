/*
 * The state: rows of key and value, what the chain has come to. The rows' meaning is in
 * chain/rows.h.
 *
 * Every change is journaled. A mark is a place in the journal; rolling back to it undoes all
 * changes since, and neither allocates nor fails. So whoever changes the state does it whole or not
 * at all:
 *
 *     mark = tern_state_mark(state)
 *     put, delete … any of them may fail            → tern_state_rollback(state, mark), as if
 * nothing was tern_state_diff(state, mark, &diff)             what changed: (key, old, new), in key
 * order tern_state_commit(state)                        the journal is forgotten
 *
 * Marks nest: a transaction in a block, a block in a reorganisation. A diff applied backwards is
 * another set of changes, journaled like any other.
 *
 * Point look-ups go through a hash map. Rows of the spaces that are read in order (the order book)
 * are in an ordered set, too. The root is that of a sparse Merkle tree over all rows (chain/smt.h).
 *
 * Limits: keys of 1 to 40 bytes, values of 1 to 96. About 570 bytes a row. Not thread safe.
 */
#ifndef TERN_CHAIN_STATE_H
#define TERN_CHAIN_STATE_H

#include "base/error.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/writer.h"
#include "chain/ordered.h"
#include "chain/smt.h"
#include "chain/types.h"

enum { TERN_STATE_KEY_MAX = 40, TERN_STATE_VALUE_MAX = 96 };

struct tern_state_row {
    struct tern_map_entry entry;
    struct tern_ordered_node ordered; /* of the spaces that are read in order */
    struct tern_smt_entry smt;
    uint8_t key_size;
    uint8_t value_size;
    bool live; /* in the map; else a journal entry alone holds it */
    uint8_t key[TERN_STATE_KEY_MAX];
    uint8_t value[TERN_STATE_VALUE_MAX];
};

struct tern_state_change; /* a journal entry */

struct tern_state {
    struct tern_mem *mem;
    struct tern_map rows;
    struct tern_ordered ordered;
    struct tern_smt smt;
    struct tern_state_change *journal;
    size_t journal_count;
    size_t journal_capacity;
};

/* tern_state_init makes an empty state; hash_key comes from the random source. Allocates nothing.
 */
void tern_state_init(struct tern_state *state, struct tern_mem *mem, const uint64_t hash_key[2]);
void tern_state_fini(struct tern_state *state);

/* tern_state_get finds a row's value, borrowed until the next change; false when there is none. */
bool tern_state_get(const struct tern_state *state, struct tern_view key, struct tern_view *value);

/* tern_state_put sets a row, new or not. TERN_ERR_MEMORY: nothing changed. */
TERN_NODISCARD tern_err tern_state_put(struct tern_state *state, struct tern_view key,
                                       struct tern_view value);

/* tern_state_delete removes a row that exists (checked). TERN_ERR_MEMORY: nothing changed. */
TERN_NODISCARD tern_err tern_state_delete(struct tern_state *state, struct tern_view key);

/* tern_state_seek is the first row of an ordered space whose key is not below key, or NULL; its key
 * may lie outside the space asked for. tern_state_next is the one after it. Valid until the next
 * change. */
const struct tern_state_row *tern_state_seek(const struct tern_state *state, struct tern_view key);
const struct tern_state_row *tern_state_next(const struct tern_state_row *row);

static inline struct tern_view tern_state_row_key(const struct tern_state_row *row)
{
    return tern_view_of(row->key, row->key_size);
}

static inline struct tern_view tern_state_row_value(const struct tern_state_row *row)
{
    return tern_view_of(row->value, row->value_size);
}

/* Iteration over all rows, in an order that means nothing; for audits and copies. NULL ends it. */
const struct tern_state_row *tern_state_row_first(const struct tern_state *state);
const struct tern_state_row *tern_state_row_after(const struct tern_state *state,
                                                  const struct tern_state_row *row);

static inline size_t tern_state_rows_count(const struct tern_state *state)
{
    return tern_map_count(&state->rows);
}

static inline size_t tern_state_mark(const struct tern_state *state)
{
    return state->journal_count;
}

/* tern_state_rollback undoes all changes since the mark. Never fails. */
void tern_state_rollback(struct tern_state *state, size_t mark);

/* tern_state_commit forgets the journal: its changes are for good. */
void tern_state_commit(struct tern_state *state);

/* tern_state_root computes the root of all rows as they are now. */
void tern_state_root(struct tern_state *state, struct tern_hash *root);

/* One row's change. A size of zero is "no such row". */
struct tern_state_delta {
    uint8_t key_size;
    uint8_t old_size;
    uint8_t new_size;
    uint8_t key[TERN_STATE_KEY_MAX];
    uint8_t old_value[TERN_STATE_VALUE_MAX];
    uint8_t new_value[TERN_STATE_VALUE_MAX];
};

/* What changed between two moments, each row once, in key order; owns its memory. */
struct tern_state_diff {
    struct tern_mem *mem;
    struct tern_state_delta *deltas;
    size_t count;
    size_t capacity;
};

/* tern_state_diff makes the diff since the mark; rows that are as before do not appear.
 * TERN_ERR_MEMORY: *diff is empty. */
TERN_NODISCARD tern_err tern_state_diff(const struct tern_state *state, size_t mark,
                                        struct tern_state_diff *diff);

void tern_state_diff_fini(struct tern_state_diff *diff);

/* tern_state_diff_root is the Merkle root over the deltas: each leaf is u8 key size, key, u8 new
 * size, new value. */
void tern_state_diff_root(const struct tern_state_diff *diff, struct tern_hash *root);

/* tern_state_undo applies a diff backwards; the state must be as the diff left it (checked).
 * TERN_ERR_MEMORY: part may be done; roll back. */
TERN_NODISCARD tern_err tern_state_undo(struct tern_state *state,
                                        const struct tern_state_diff *diff);

/* The stored form of a diff, for undoing after a restart: u32 count, then for each delta u8 key
 * size, key, u8 old size, old value, u8 new size, new value; behind it the SHA-256 of all that. */
size_t tern_state_diff_size(const struct tern_state_diff *diff);
void tern_state_diff_encode(const struct tern_state_diff *diff, struct tern_writer *w);

/* tern_state_diff_decode reads it back. TERN_ERR_CORRUPT, TERN_ERR_MEMORY: *diff is empty. */
TERN_NODISCARD tern_err tern_state_diff_decode(struct tern_view bytes, struct tern_mem *mem,
                                               struct tern_state_diff *diff);

#endif
