/*
 * What a block does to the state. In this order:
 *
 *     1  orders that expire at or before the block's time are closed, what they reserved comes back
 *     2  the transactions, in the block's order; one that is not valid makes the whole block
 * invalid 3  the auction of each delivery hour for which the block brought orders, by ascending
 * hour 4  the fees go to the proposer
 *
 * The rules of time: a reading is for an hour that has begun and began at most
 * TERN_READING_AGE_HOURS ago; an order is for an hour from TERN_ORDER_PAST_HOURS ago to
 * TERN_ORDER_AHEAD_HOURS ahead, and expires after the block's time, at the latest
 * TERN_ORDER_PAST_HOURS after its hour.
 *
 * A transaction is done whole or not at all; so is a block. Signatures are checked elsewhere,
 * before: nothing here costs more than some hashes.
 *
 *     tern_apply_begin(&apply, &params)
 *     tern_apply_tx(&apply, &tx, &id, &fault)   …
 *     tern_apply_finish(&apply)                     auctions, fees
 *     … roots, diff …
 *     tern_apply_fini(&apply)
 *
 * or tern_apply_block, which does all of it and compares roots. Not thread safe.
 */
#ifndef TERN_CHAIN_APPLY_H
#define TERN_CHAIN_APPLY_H

#include "base/error.h"
#include "base/fault.h"
#include "chain/block.h"
#include "chain/genesis.h"
#include "chain/rows.h"
#include "chain/state.h"

enum {
    TERN_READING_AGE_HOURS = 48,
    TERN_ORDER_PAST_HOURS = 48,
    TERN_ORDER_AHEAD_HOURS = 168,
    TERN_ORDERS_PER_ACCOUNT_MAX = 256,
    TERN_ORDERS_MAX = 65536,
    TERN_APPLY_HOURS_MAX = TERN_ORDER_PAST_HOURS + TERN_ORDER_AHEAD_HOURS + 1,
};

/* Energy that changed hands in an auction. */
struct tern_trade {
    tern_hour hour;
    tern_price price; /* of all trades of the hour in this block */
    tern_energy energy_wh;
    struct tern_account seller;
    struct tern_account buyer;
    struct tern_hash ask; /* order ids */
    struct tern_hash bid;
};

struct tern_apply_params {
    struct tern_state *state;
    tern_money fee_min;
    uint64_t height;
    tern_time_ms time_ms;
    struct tern_account proposer;
};

struct tern_apply {
    struct tern_apply_params params;
    struct tern_state *state; /* the same as params.state */
    struct tern_row_totals totals;
    tern_money fees;
    uint32_t txs_count;
    tern_hour hours[TERN_APPLY_HOURS_MAX]; /* with new orders; ascending */
    size_t hours_count;
    struct tern_trade *trades; /* owned */
    size_t trades_count;
    size_t trades_capacity;
};

/* tern_apply_genesis puts a genesis into an empty state and commits it. TERN_ERR_MEMORY: the state
 * is to be given up. */
TERN_NODISCARD tern_err tern_apply_genesis(struct tern_state *state,
                                           const struct tern_genesis *genesis);

/* tern_apply_begin starts a block: closes expired orders. TERN_ERR_MEMORY: roll back and fini. */
TERN_NODISCARD tern_err tern_apply_begin(struct tern_apply *apply,
                                         const struct tern_apply_params *params);

/* tern_apply_tx carries out one transaction. TERN_ERR_PROTOCOL with *fault: it is not valid, the
 * state is as before; TERN_ERR_MEMORY: likewise as before. */
TERN_NODISCARD tern_err tern_apply_tx(struct tern_apply *apply, const struct tern_tx *tx,
                                      const struct tern_hash *id, tern_fault *fault);

/* tern_apply_finish runs the auctions and pays the fees. TERN_ERR_MEMORY: roll back and fini. */
TERN_NODISCARD tern_err tern_apply_finish(struct tern_apply *apply);

void tern_apply_fini(struct tern_apply *apply);

/* tern_apply_try tells what would become of a transaction as the first of a block: TERN_OK,
 * TERN_ERR_PROTOCOL with *fault, TERN_ERR_MEMORY. The state is as before in any case. */
TERN_NODISCARD tern_err tern_apply_try(const struct tern_apply_params *params,
                                       const struct tern_tx *tx, const struct tern_hash *id,
                                       tern_fault *fault);

/* What applying a block gave; owns its memory. */
struct tern_apply_result {
    struct tern_state_diff diff;
    struct tern_mem *mem;
    struct tern_trade *trades;
    size_t trades_count;
    size_t trades_capacity;
    tern_fault tx_fault; /* with CHAIN_BLOCK_TX_INVALID: what is wrong with which transaction */
    uint32_t tx_index;
};

/* tern_apply_block carries out a whole block and compares its state root and diff root with the
 * header's. The changes stay in the state's journal for the caller to commit. On any error the
 * state is as before and *result holds tx_fault and tx_index alone. TERN_ERR_PROTOCOL with *fault:
 * the block is not valid. TERN_ERR_MEMORY. */
TERN_NODISCARD tern_err tern_apply_block(struct tern_state *state,
                                         const struct tern_genesis *genesis,
                                         const struct tern_block *block,
                                         struct tern_apply_result *result, tern_fault *fault);

void tern_apply_result_fini(struct tern_apply_result *result);

#endif
