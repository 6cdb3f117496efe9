/*
 * How many inbound connections each part of the address space has, and how often it comes: one
 * address and its IPv4 /24, an IPv6 /64, /56 and /48. Whoever has one address usually has its /64,
 * often its /56 (a household, a rented machine), sometimes a /48; a limit on one size alone is a
 * limit on nobody who has another.
 *
 * A flat hash table under a random key. An entry is there while it counts connections or its rate
 * has not recovered; what knows nothing any more goes when others come. The number of those that
 * count no connections is bounded: in a flood from more subnets than that the oldest are forgotten,
 * and the limit of everybody's handshakes together holds.
 *
 * A rate is kept as one time (GCRA): when the bucket will be full again.
 *
 * Pure, not thread safe. IPv4 addresses inside IPv6 ones count as what they are.
 */
#ifndef TERN_SWARM_SUBNETS_H
#define TERN_SWARM_SUBNETS_H

#include "base/mem.h"
#include "swarm/limits.h"

struct swarm_subnet {
    uint64_t prefix; /* the first bits of the address, left-aligned */
    tern_time full_at;
    uint64_t connections : 24; /* as many as there are links */
    uint64_t transient : 24;   /* of them, not established yet */
    uint64_t level : 8;        /* enum tern_subnet_level */
    uint64_t used : 8;
};

struct swarm_subnets {
    struct tern_mem *mem;
    const struct tern_swarm_limits *limits;
    uint64_t key[2];
    struct swarm_subnet *entries;
    uint32_t capacity; /* a power of two, or 0 */
    uint32_t count;
    uint32_t idle_count; /* of them, without connections */
    uint32_t hand;       /* where the next sweep goes on */
    tern_time full_at;   /* of everybody's bucket */
};

/* Why somebody is not let in: the row of the limit, how far it is used, and by which subnet (bits
 * 0: everybody). */
struct swarm_subnets_refusal {
    enum tern_limit limit;
    uint64_t used;
    struct tern_ip ip;
    uint8_t bits;
};

/* tern_subnets_init allocates nothing; limits are borrowed. */
void tern_subnets_init(struct swarm_subnets *subnets, struct tern_mem *mem, const uint64_t key[2],
                       const struct tern_swarm_limits *limits);
void tern_subnets_fini(struct swarm_subnets *subnets);

/* tern_subnets_check: may one more come from this address now? TERN_ERR_SCOPE_CONNECTIONS, RATE;
 * *refusal says why. Changes nothing. */
TERN_NODISCARD tern_err tern_subnets_check(const struct swarm_subnets *subnets, tern_time now,
                                           const struct tern_ip *ip,
                                           struct swarm_subnets_refusal *refusal);
/* tern_subnets_strained: has any part of the address space that it lies in used up half of what it
 * may? Then whoever comes should show first that the address is its own. */
bool tern_subnets_strained(const struct swarm_subnets *subnets, tern_time now,
                           const struct tern_ip *ip);

/* tern_subnets_enter counts one more inbound connection, and one handshake; tern_subnets_settle: it
 * is established, or given up; tern_subnets_leave: it is gone. TERN_ERR_MEMORY: nothing is counted.
 */
TERN_NODISCARD tern_err tern_subnets_enter(struct swarm_subnets *subnets, tern_time now,
                                           const struct tern_ip *ip);
void tern_subnets_settle(struct swarm_subnets *subnets, const struct tern_ip *ip);
void tern_subnets_leave(struct swarm_subnets *subnets, tern_time now, const struct tern_ip *ip);

/* tern_subnets_connections and transient: how many there are now of the address's subnet of this
 * level; 0 when the level is of the other family. */
uint32_t tern_subnets_connections(const struct swarm_subnets *subnets, const struct tern_ip *ip,
                                  enum tern_subnet_level level);
uint32_t tern_subnets_transient(const struct swarm_subnets *subnets, const struct tern_ip *ip,
                                enum tern_subnet_level level);

/* tern_subnets_group is the level of what one household or one rented machine usually has. */
static inline enum tern_subnet_level tern_subnets_group(const struct tern_ip *ip)
{
    return ip->family == 4 ? TERN_SUBNET_IP4_32 : TERN_SUBNET_IP6_56;
}

/* tern_subnets_neighbourhood is the level of what one owner may have a lot of. */
static inline enum tern_subnet_level tern_subnets_neighbourhood(const struct tern_ip *ip)
{
    return ip->family == 4 ? TERN_SUBNET_IP4_24 : TERN_SUBNET_IP6_48;
}

#endif
