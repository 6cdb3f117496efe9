/*
 * The market's part of a block: orders come, go and are matched. Called by apply.c, with the block
 * under way.
 *
 *     ask ── offered energy is taken from what the account measured and has not sold or offered
 *     bid ── price * energy is taken from the balance into escrow
 *
 *     open ──fill──► open (less) ──fill──► closed      the auction; bids get back limit - price
 *       └──cancel, expiry──► closed                     what is left comes back
 *
 * Every function returns TERN_ERR_MEMORY with part of its changes done: the caller rolls back.
 * Those with a fault return TERN_ERR_PROTOCOL and have changed nothing.
 */
#ifndef TERN_CHAIN_MARKET_H
#define TERN_CHAIN_MARKET_H

#include "chain/apply.h"

/* tern_market_place adds an ask or bid. The account's row holds what is left after the fee, and is
 * changed, not written. */
TERN_NODISCARD tern_err tern_market_place(struct tern_apply *apply, const struct tern_tx *tx,
                                          const struct tern_hash *id,
                                          struct tern_row_account *account, tern_fault *fault);

/* tern_market_cancel closes an order of the sender. The account's row likewise. */
TERN_NODISCARD tern_err tern_market_cancel(struct tern_apply *apply, const struct tern_tx *tx,
                                           struct tern_row_account *account, tern_fault *fault);

/* tern_market_expire closes all orders that expire at or before the block's time. */
TERN_NODISCARD tern_err tern_market_expire(struct tern_apply *apply);

/* tern_market_clear runs the auction of one hour. */
TERN_NODISCARD tern_err tern_market_clear(struct tern_apply *apply, tern_hour hour);

/* tern_market_credit adds measured energy to an account's hour. */
TERN_NODISCARD tern_err tern_market_credit(struct tern_apply *apply, tern_hour hour,
                                           const struct tern_account *account,
                                           tern_energy energy_wh);

#endif
