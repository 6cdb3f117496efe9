/*
 * The genesis: what all nodes of a chain agree on beforehand. It is read from a file at the edge
 * (JSON, in the program) into struct tern_genesis; the core sees the struct alone.
 *
 * The genesis hash is SHA-256 over "tern/genesis/1" and the canonical encoding. It is the chain's
 * identity: the chain field of every header, part of every signed message, the parent of block 1,
 * and its first four bytes as hexadecimal text are in the names of the network's protocols and
 * topics.
 *
 * Canonical encoding, little-endian:
 *
 *     u8 version (1)  u8 name_size name  u8 engine  u64 time_ms  u32 period_ms  u32 drift_ms  u64
 * fee_min u32 authorities_count  key[32] …            in their order of turns u32 accounts_count {
 * key[32] u64 balance } …                        in ascending order of key u32 devices_count      {
 * key[32] owner[32] u64 capacity_wh } …          in ascending order of key
 *
 * tern_genesis_check says whether a struct may be encoded; tern_genesis_sort brings accounts and
 * devices into order first.
 */
#ifndef TERN_CHAIN_GENESIS_H
#define TERN_CHAIN_GENESIS_H

#include "base/error.h"
#include "base/mem.h"
#include "chain/types.h"

enum {
    TERN_GENESIS_NAME_MAX = 32,
    TERN_GENESIS_AUTHORITIES_MAX = 64,
    TERN_GENESIS_ACCOUNTS_MAX = 1 << 20,
    TERN_GENESIS_DEVICES_MAX = 1 << 20,
    TERN_PERIOD_MS_MIN = 100,
    TERN_PERIOD_MS_MAX = 3600000,
    TERN_DRIFT_MS_MAX = 60000,
};

enum tern_engine_kind { TERN_ENGINE_AUTHORITY = 1 };

struct tern_genesis_account {
    struct tern_account key;
    tern_money balance;
};

struct tern_genesis_device {
    struct tern_account key;
    struct tern_account owner;
    tern_energy capacity_wh; /* the most it may report for one hour */
};

/* Plain data; the arrays belong to whoever made it and must outlive the chain. */
struct tern_genesis {
    struct tern_view name; /* printable ASCII */
    enum tern_engine_kind engine;
    tern_time_ms time_ms; /* every block is later */
    uint32_t period_ms;   /* length of a turn */
    uint32_t drift_ms;    /* how far ahead of our clock a block's time may be */
    tern_money fee_min;
    const struct tern_account *authorities;
    size_t authorities_count;
    struct tern_genesis_account *accounts;
    size_t accounts_count;
    struct tern_genesis_device *devices;
    size_t devices_count;
};

/* tern_genesis_sort orders accounts and devices by key, in place. */
void tern_genesis_sort(struct tern_genesis *genesis);

/* tern_genesis_check returns NULL for a genesis that can start a chain, else a sentence that says
 * what is wrong with it: static text. */
const char *tern_genesis_check(const struct tern_genesis *genesis);

/* tern_genesis_hash is the chain's identity; the genesis passes tern_genesis_check (checked for
 * order and size only). */
void tern_genesis_hash(const struct tern_genesis *genesis, struct tern_hash *hash);

/* tern_genesis_supply is the sum of all balances. */
tern_money tern_genesis_supply(const struct tern_genesis *genesis);

#endif
