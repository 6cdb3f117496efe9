/*
 * Audits: is money and energy what it was? Two of them, independent of the code that moves money:
 * one over a block's diff, cheap enough for every block in debug builds, simulation and tests; one
 * over the whole state, for operators and tests.
 */
#ifndef TERN_CHAIN_AUDIT_H
#define TERN_CHAIN_AUDIT_H

#include "chain/rows.h"
#include "chain/state.h"

struct tern_audit {
    tern_money accounts; /* sum of balances */
    tern_money escrow;   /* sum over bids of price * energy */
    uint32_t orders_count;
    size_t accounts_count;
    size_t hours_count;
    const char *finding; /* NULL: all is well; else what is not, static text */
};

/* tern_audit_state sums up the whole state and checks every invariant of chain/rows.h; supply is
 * the genesis's. Takes time in proportion to the rows. */
void tern_audit_state(const struct tern_state *state, tern_money supply, struct tern_audit *audit);

/* tern_audit_diff: does the diff leave the sum of balances and escrow, and the relation of sold to
 * bought energy, as they were? */
bool tern_audit_diff(const struct tern_state_diff *diff);

#endif
