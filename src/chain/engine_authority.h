/*
 * The authority engine: the authorities of the genesis take turns. A turn lasts period_ms; turn
 * number t, counted from 1970, belongs to authority t modulo their count. A block's time lies in
 * its proposer's turn, and its turn is after its parent's, so a chain has at most one block a turn.
 *
 * Every block weighs the same: the longest valid chain wins. A block is confirmed when more than
 * half of the authorities have blocks on its chain from it on. That is advice, not finality: an
 * authority may build on one fork and then on another. Nothing is final but by depth
 * (chain/tree.h).
 *
 * An authority proposes once a turn, and only on a head of an earlier turn.
 */
#ifndef TERN_CHAIN_ENGINE_AUTHORITY_H
#define TERN_CHAIN_ENGINE_AUTHORITY_H

#include "chain/engine.h"
#include "chain/genesis.h"

struct tern_authority {
    const struct tern_genesis *genesis;
    const struct tern_private_key *key; /* NULL: only watches */
    size_t own;                         /* our place among the authorities; SIZE_MAX: none */
    uint64_t head_turn;
    uint64_t proposed_turn; /* the newest turn that we have used */
    uint64_t confirmed_height;
    struct tern_engine_out outs[2];
    size_t outs_count;
};

/* tern_authority_init makes the engine. genesis and key are borrowed and outlive it; key is an
 * Ed25519 key or NULL; a key that is no authority's watches, too. Allocates nothing; there is
 * nothing to fini. */
void tern_authority_init(struct tern_authority *authority, const struct tern_genesis *genesis,
                         const struct tern_private_key *key);

struct tern_engine tern_authority_engine(struct tern_authority *authority);

#endif
