/*
 * The units and identifiers of the chain. Everything is an integer: no rounding, ever.
 *
 *     energy   watt-hours
 *     money    micro-currency: 1,000,000 is one unit of the chain's currency
 *     price    micro-currency per watt-hour, so that price times energy is exact: 250 is 0.25
 * currency per kWh, and one step is 0.001 currency per kWh hour     a delivery period: whole hours
 * since 1970-01-01 UTC time     milliseconds since 1970-01-01 UTC
 *
 * Bounds are chosen so that no product or sum of two in-range values leaves 64 bits: an order costs
 * at most TERN_ORDER_WH_MAX * TERN_PRICE_MAX = 10^18, the supply is at most 2^62.
 */
#ifndef TERN_CHAIN_TYPES_H
#define TERN_CHAIN_TYPES_H

#include "base/types.h"

typedef uint64_t tern_money;
typedef uint64_t tern_energy;
typedef uint64_t tern_price;
typedef uint64_t tern_time_ms;
typedef uint32_t tern_hour;

enum { TERN_HASH_SIZE = 32, TERN_ACCOUNT_SIZE = 32 };

#define TERN_SUPPLY_MAX   (UINT64_C(1) << 62)
#define TERN_ORDER_WH_MAX UINT64_C(1000000000) /* 1 GWh an order */
#define TERN_PRICE_MAX    UINT64_C(1000000000) /* 1,000 currency a Wh */
#define TERN_HOUR_MS      UINT64_C(3600000)
/* Later than any block: the year 2500, so that it fits 64 bits as nanoseconds, too. */
#define TERN_TIME_MS_MAX UINT64_C(16725225600000)

struct tern_hash {
    uint8_t bytes[TERN_HASH_SIZE];
};

/* What time it is, in both senses; handed in with every step. */
struct tern_clock {
    tern_time now;       /* monotonic */
    tern_wall_time wall; /* since 1970-01-01 UTC; 0: not known yet */
};

/* An account or a device is its raw Ed25519 public key. */
struct tern_account {
    uint8_t bytes[TERN_ACCOUNT_SIZE];
};

static inline bool tern_hash_equal(const struct tern_hash *a, const struct tern_hash *b)
{
    return memcmp(a->bytes, b->bytes, TERN_HASH_SIZE) == 0;
}

static inline int tern_hash_compare(const struct tern_hash *a, const struct tern_hash *b)
{
    return memcmp(a->bytes, b->bytes, TERN_HASH_SIZE);
}

static inline struct tern_view tern_hash_view(const struct tern_hash *hash)
{
    return tern_view_of(hash->bytes, TERN_HASH_SIZE);
}

static inline bool tern_account_equal(const struct tern_account *a, const struct tern_account *b)
{
    return memcmp(a->bytes, b->bytes, TERN_ACCOUNT_SIZE) == 0;
}

static inline struct tern_view tern_account_view(const struct tern_account *account)
{
    return tern_view_of(account->bytes, TERN_ACCOUNT_SIZE);
}

static inline tern_hour tern_hour_of(tern_time_ms time)
{
    return (tern_hour)(time / TERN_HOUR_MS);
}

/* tern_wall_ms turns the node's wall clock into the chain's time. */
static inline tern_time_ms tern_wall_ms(tern_wall_time wall)
{
    return wall / TERN_MILLISECOND;
}

#endif
