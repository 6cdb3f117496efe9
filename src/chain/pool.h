/*
 * The pool: transactions that wait for a block. Each has a valid signature; each sender's stand in
 * the order of their nonces; what pays most is chosen first, what pays least goes first when room
 * is needed.
 *
 *     check ──► signature, in a batch ──► add          check costs little and comes before and
 * after update                                             after every change of head: what the
 * block took or made impossible goes pick                                               for a
 * block: by fee, each sender's in nonce order
 *
 * Rules. Nonces from the account's next to TERN_POOL_NONCES_AHEAD beyond. What a sender has in the
 * pool may not cost more than its balance. A transaction replaces one of the same sender and nonce
 * if its fee is at least a tenth higher. When the pool is full, one that could go into a block now
 * displaces the last one of the sender that pays least, if it pays more than that; one that has to
 * wait for others displaces nothing. After lifetime_ns a transaction goes.
 *
 * Devices and accounts have nonces of their own, so a device is a sender of its own, even under the
 * same key.
 *
 * Memory: about 700 bytes a transaction. Not thread safe.
 */
#ifndef TERN_CHAIN_POOL_H
#define TERN_CHAIN_POOL_H

#include "base/error.h"
#include "base/fault.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "chain/block.h"
#include "chain/ordered.h"
#include "chain/state.h"
#include "chain/tx.h"

enum { TERN_POOL_NONCES_AHEAD = 64 };

struct tern_pool_limits {
    uint32_t txs_max;
    uint32_t sender_txs_max; /* of one sender */
    tern_time lifetime_ns;
};

void tern_pool_limits_default(struct tern_pool_limits *limits);

struct tern_pool_sender;

struct tern_pool_entry {
    struct tern_map_entry entry;     /* by id; insertion order is order of arrival */
    struct tern_ordered_node by_fee; /* the one to displace first comes first */
    uint8_t by_fee_key[16];
    struct tern_list link; /* in the sender's, by nonce */
    struct tern_pool_sender *sender;
    struct tern_hash id;
    struct tern_tx tx;
    uint8_t bytes[TERN_TX_SIZE_MAX];
    uint8_t bytes_size;
    tern_time added_at;
    uint64_t added_height; /* of the head then */
    uint64_t source;
};

struct tern_pool_sender {
    struct tern_map_entry entry;
    uint8_t key[1 + TERN_ACCOUNT_SIZE];
    struct tern_list txs; /* of tern_pool_entry, by nonce */
    uint32_t txs_count;
    tern_money cost; /* of all of them, saturating */
    /* while picking */
    struct tern_ordered_node ready;
    uint8_t ready_key[16];
    struct tern_pool_entry *next;
};

struct tern_pool {
    struct tern_mem *mem;
    struct tern_pool_limits limits;
    tern_money fee_min;
    struct tern_map txs;
    struct tern_map senders;
    struct tern_ordered by_fee;
    uint64_t sequence;
    uint64_t height; /* of the head, as of the newest update */
    uint64_t hash_key[2];
    struct tern_hash digest; /* all ids, added bit by bit modulo 2: equal pools have equal ones */
    uint64_t evicted_count;  /* displaced or expired, ever */
};

struct tern_pool_config {
    struct tern_mem *mem;
    struct tern_pool_limits limits;
    tern_money fee_min;
    uint64_t hash_key[2];
};

void tern_pool_init(struct tern_pool *pool, const struct tern_pool_config *config);
void tern_pool_fini(struct tern_pool *pool);

/* A transaction at the door. */
struct tern_pool_offer {
    struct tern_tx tx;
    struct tern_view bytes; /* borrowed */
    struct tern_hash id;
    uint64_t source;
};

/* tern_pool_check tells whether add would take it, signature aside: TERN_FAULT_NONE, or why not. */
tern_fault tern_pool_check(const struct tern_pool *pool, const struct tern_state *state,
                           const struct tern_pool_offer *offer);

/* tern_pool_add takes a transaction whose signature has been verified. TERN_ERR_PROTOCOL with
 * *fault; TERN_ERR_MEMORY: the pool is as before. */
TERN_NODISCARD tern_err tern_pool_add(struct tern_pool *pool, const struct tern_state *state,
                                      tern_time now, const struct tern_pool_offer *offer,
                                      tern_fault *fault);

const struct tern_pool_entry *tern_pool_find(const struct tern_pool *pool,
                                             const struct tern_hash *id);

static inline size_t tern_pool_count(const struct tern_pool *pool)
{
    return tern_map_count(&pool->txs);
}

/* tern_pool_next_nonce is the nonce that continues what a sender has in state and pool. */
uint64_t tern_pool_next_nonce(const struct tern_pool *pool, const struct tern_state *state,
                              const struct tern_account *account);

/* tern_pool_update drops what the state, that of the head, has made impossible, and what is too
 * old. */
void tern_pool_update(struct tern_pool *pool, const struct tern_state *state,
                      const struct tern_header *head, tern_time now);

/* tern_pool_deadline is when the oldest transaction gets too old; TERN_TIME_NEVER when there is
 * none. */
tern_time tern_pool_deadline(const struct tern_pool *pool);

/* tern_pool_remove drops one by id, if it is there. */
void tern_pool_remove(struct tern_pool *pool, const struct tern_hash *id);

/* Picking for a block: start, then next until NULL; after each, say how it went. Between start and
 * stop the pool must not change. A sender whose transaction was refused is done for this block. */
struct tern_pool_pick {
    struct tern_pool *pool;
    struct tern_ordered ready;
    struct tern_pool_sender *current;
};

void tern_pool_pick_start(struct tern_pool_pick *pick, struct tern_pool *pool,
                          const struct tern_state *state);
const struct tern_pool_entry *tern_pool_pick_next(struct tern_pool_pick *pick);
void tern_pool_pick_taken(struct tern_pool_pick *pick);
void tern_pool_pick_refused(struct tern_pool_pick *pick);

/* Iteration in order of arrival; NULL ends it. */
const struct tern_pool_entry *tern_pool_first(const struct tern_pool *pool);
const struct tern_pool_entry *tern_pool_next(const struct tern_pool *pool,
                                             const struct tern_pool_entry *entry);

#endif
