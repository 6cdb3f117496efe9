/*
 * What the tests of this layer share: a small chain with known keys, and ways to make signed
 * transactions and blocks by hand. Everything comes from seeds.
 */
#ifndef TERN_CHAIN_TEST_WORLD_H
#define TERN_CHAIN_TEST_WORLD_H

#include "base/mem.h"
#include "base/random.h"
#include "chain/engine_authority.h"
#include "chain/ledger.h"

enum {
    WORLD_AUTHORITIES = 4,
    WORLD_ACCOUNTS = 8,
    WORLD_DEVICES = 4, /* device i meters account i */
    WORLD_BALANCE = 1000000000,
    WORLD_CAPACITY = 100000,
    WORLD_PERIOD_MS = 1000,
    WORLD_FEE = 10,
    WORLD_BLOCK_ROOM = 1 << 20,
};

/* The genesis's time: the start of an hour and of authority 0's turn. */
#define WORLD_HOUR    UINT32_C(500000)
#define WORLD_TIME_MS ((tern_time_ms)WORLD_HOUR * TERN_HOUR_MS)

struct world {
    struct tern_private_key authority_keys[WORLD_AUTHORITIES];
    struct tern_private_key account_keys[WORLD_ACCOUNTS];
    struct tern_private_key device_keys[WORLD_DEVICES];
    struct tern_account authorities[WORLD_AUTHORITIES];
    struct tern_account accounts[WORLD_ACCOUNTS];
    struct tern_account devices[WORLD_DEVICES];
    struct tern_genesis_account genesis_accounts[WORLD_ACCOUNTS];
    struct tern_genesis_device genesis_devices[WORLD_DEVICES];
    struct tern_genesis genesis;
    struct tern_hash genesis_hash;
    struct tern_authority engines[WORLD_AUTHORITIES]; /* each may propose */
    struct tern_authority watcher;
};

void world_init(struct world *world);

/* A signed transaction in its wire form. */
struct world_tx {
    uint8_t bytes[TERN_TX_SIZE_MAX];
    size_t size;
    struct tern_hash id;
    struct tern_tx tx;
};

void world_sign(const struct world *world, const struct tern_private_key *key, struct tern_tx *tx,
                struct world_tx *out);
struct world_tx world_transfer(const struct world *world, size_t from, size_t to, uint64_t nonce,
                               tern_money amount);
struct world_tx world_reading(const struct world *world, size_t device, uint64_t nonce,
                              tern_hour hour, tern_energy energy_wh);
struct world_tx world_order(const struct world *world, enum tern_tx_kind kind, size_t account,
                            uint64_t nonce, const struct tern_tx_order *order);
struct world_tx world_cancel(const struct world *world, size_t account, uint64_t nonce,
                             const struct tern_hash *order);

void world_ledger(const struct world *world, struct tern_mem *mem, struct tern_ledger *ledger);

/* The time of the first turn after `after` that belongs to an authority. */
tern_time_ms world_turn(tern_time_ms after, size_t authority);

/* A whole block in its wire form. */
struct world_block {
    uint8_t *bytes;
    size_t size;
    struct tern_hash hash;
    struct tern_header header;
};

/* world_block_make builds a block of an authority's next turn on the ledger's head. Transactions
 * that are not valid there are left out; The ledger is
 * as before. */
struct world_block world_block_make(const struct world *world, struct tern_ledger *ledger,
                                    size_t authority, const struct world_tx *txs, size_t txs_count);

/* world_block_reseal encodes a header that was changed by hand, sealed by an authority, over the
 * old body. */
void world_block_reseal(const struct world *world, const struct tern_header *header,
                        size_t authority, struct world_block *block);
void world_block_free(struct world_block *block);

/* world_block_push adds a block to the ledger and moves to the best chain. What stands in the way
 * comes back. */
tern_err world_block_push(struct tern_ledger *ledger, const struct world_block *block,
                          tern_fault *fault);

#endif
