#include "swarm/subnets.h"

#include "base/check.h"
#include "base/map.h"

enum {
    SUBNETS_CAPACITY_FIRST = 64,
    SUBNETS_IDLE_MAX = 8192, /* entries that are there for their rate alone */
    SUBNETS_SWEEP = 8,       /* entries looked at when one comes … */
    SUBNETS_SWEEP_MAX = 64,  /* … and when there are too many idle ones */
    SUBNETS_LEVELS_MAX = 3,  /* of one address */
};

#define SUBNETS_BUCKET_MAX_NS (24 * TERN_HOUR)

struct subnets_level {
    uint8_t family;
    uint8_t bits;
    enum tern_limit connections;
    enum tern_limit rate;
};

/* The narrowest of each family first. */
static const struct subnets_level subnets_levels[TERN_SUBNET_LEVELS] = {
    [TERN_SUBNET_IP4_32] = {4, 32, TERN_LIMIT_SUBNET_IP4_32_CONNECTIONS_IN,
                            TERN_LIMIT_SUBNET_IP4_32_HANDSHAKES_PER_MINUTE},
    [TERN_SUBNET_IP4_24] = {4, 24, TERN_LIMIT_SUBNET_IP4_24_CONNECTIONS_IN,
                            TERN_LIMIT_SUBNET_IP4_24_HANDSHAKES_PER_MINUTE},
    [TERN_SUBNET_IP6_64] = {6, 64, TERN_LIMIT_SUBNET_IP6_64_CONNECTIONS_IN,
                            TERN_LIMIT_SUBNET_IP6_64_HANDSHAKES_PER_MINUTE},
    [TERN_SUBNET_IP6_56] = {6, 56, TERN_LIMIT_SUBNET_IP6_56_CONNECTIONS_IN,
                            TERN_LIMIT_SUBNET_IP6_56_HANDSHAKES_PER_MINUTE},
    [TERN_SUBNET_IP6_48] = {6, 48, TERN_LIMIT_SUBNET_IP6_48_CONNECTIONS_IN,
                            TERN_LIMIT_SUBNET_IP6_48_HANDSHAKES_PER_MINUTE},
};

void tern_subnets_init(struct swarm_subnets *subnets, struct tern_mem *mem, const uint64_t key[2],
                       const struct tern_swarm_limits *limits)
{
    *subnets = (struct swarm_subnets){.mem = mem, .limits = limits, .key = {key[0], key[1]}};
}

void tern_subnets_fini(struct swarm_subnets *subnets)
{
    tern_mem_free(subnets->mem, subnets->entries, subnets->capacity * sizeof subnets->entries[0]);
    subnets->entries = NULL;
    subnets->capacity = 0;
}

/* --- addresses --- */

/* An address as a number: the first 64 bits; what is an IPv4 address inside an IPv6 one is that. */
struct subnets_address {
    uint8_t family;
    uint64_t bits;
};

static struct subnets_address subnets_address(const struct tern_ip *ip)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    struct subnets_address address = {.family = ip->family};
    const uint8_t *bytes = ip->bytes;
    if (ip->family == 6 && memcmp(ip->bytes, mapped, sizeof mapped) == 0) {
        address.family = 4;
        bytes = &ip->bytes[sizeof mapped];
    }
    size_t size = address.family == 4 ? 4 : 8;
    for (size_t i = 0; i < size; i++)
        address.bits |= (uint64_t)bytes[i] << (56 - 8 * i);
    return address;
}

static uint64_t subnets_prefix(uint64_t bits, enum tern_subnet_level level)
{
    return bits & ~UINT64_C(0) << (64 - subnets_levels[level].bits);
}

/* --- the table --- */

static uint32_t subnets_home(const struct swarm_subnets *subnets, uint64_t prefix, uint8_t level)
{
    uint8_t bytes[9] = {[8] = level};
    memcpy(bytes, &prefix, sizeof prefix);
    return (uint32_t)tern_siphash(subnets->key, tern_view_of(bytes, sizeof bytes)) &
           (subnets->capacity - 1);
}

static struct swarm_subnet *subnets_find(const struct swarm_subnets *subnets,
                                         const struct subnets_address *address,
                                         enum tern_subnet_level level)
{
    if (subnets->capacity == 0 || subnets_levels[level].family != address->family)
        return NULL;
    uint64_t prefix = subnets_prefix(address->bits, level);
    uint32_t at = subnets_home(subnets, prefix, (uint8_t)level);
    for (uint32_t i = 0; i < subnets->capacity; i++) {
        struct swarm_subnet *entry = &subnets->entries[at];
        if (!entry->used)
            return NULL;
        if (entry->prefix == prefix && entry->level == level)
            return entry;
        at = (at + 1) & (subnets->capacity - 1);
    }
    return NULL;
}

/* subnets_remove closes the gap: whoever stands behind it and would be looked for from before it
 * moves up. */
static void subnets_remove(struct swarm_subnets *subnets, struct swarm_subnet *entry)
{
    uint32_t mask = subnets->capacity - 1;
    uint32_t gap = (uint32_t)(entry - subnets->entries);
    subnets->count--;
    subnets->idle_count -= entry->connections == 0;
    for (uint32_t at = (gap + 1) & mask; subnets->entries[at].used; at = (at + 1) & mask) {
        const struct swarm_subnet *next = &subnets->entries[at];
        uint32_t home = subnets_home(subnets, next->prefix, (uint8_t)next->level);
        if (((at - home) & mask) < ((at - gap) & mask))
            continue;
        subnets->entries[gap] = *next;
        gap = at;
    }
    subnets->entries[gap] = (struct swarm_subnet){.used = 0};
}

/* subnets_sweep looks at a few entries and drops what knows nothing any more; when there are too
 * many without connections, it drops such a one whatever it knows. */
static void subnets_sweep(struct swarm_subnets *subnets, tern_time now)
{
    for (int i = 0; i < SUBNETS_SWEEP_MAX && subnets->capacity > 0; i++) {
        struct swarm_subnet *entry = &subnets->entries[subnets->hand & (subnets->capacity - 1)];
        bool crowded = subnets->idle_count >= SUBNETS_IDLE_MAX;
        if (i >= SUBNETS_SWEEP && !crowded)
            return;
        if (entry->used && entry->connections == 0 && (entry->full_at <= now || crowded))
            subnets_remove(subnets, entry); /* another may stand here now: look again */
        else
            subnets->hand++;
    }
}

static void subnets_place(struct swarm_subnets *subnets, const struct swarm_subnet *entry)
{
    uint32_t at = subnets_home(subnets, entry->prefix, (uint8_t)entry->level);
    while (subnets->entries[at].used)
        at = (at + 1) & (subnets->capacity - 1);
    subnets->entries[at] = *entry;
}

/* subnets_reserve keeps a quarter of the places free, with so many entries more. */
static tern_err subnets_reserve(struct swarm_subnets *subnets, uint32_t more)
{
    uint32_t old_capacity = subnets->capacity;
    uint32_t capacity = old_capacity == 0 ? SUBNETS_CAPACITY_FIRST : old_capacity;
    while (subnets->count + more > capacity / 4 * 3)
        capacity *= 2; /* entries are at most three a connection, and the idle ones */
    if (capacity == old_capacity)
        return TERN_OK;
    struct swarm_subnet *old = subnets->entries;
    struct swarm_subnet *entries = tern_mem_zalloc(subnets->mem, capacity * sizeof entries[0]);
    if (entries == NULL)
        return TERN_ERR_MEMORY;
    subnets->entries = entries;
    subnets->capacity = capacity;
    for (uint32_t i = 0; i < old_capacity; i++)
        if (old[i].used)
            subnets_place(subnets, &old[i]);
    tern_mem_free(subnets->mem, old, old_capacity * sizeof old[0]);
    return TERN_OK;
}

/* --- rates --- */

static tern_time rate_interval(const struct tern_rate *rate)
{
    return TERN_MINUTE / rate->per_minute;
}

/* rate_owed is how much of the bucket is used, as time. */
static tern_time rate_owed(tern_time full_at, tern_time now)
{
    return tern_time_since(full_at, now);
}

/* rate_size is the bucket's size as time: what burst handshakes take to come back. */
static tern_time rate_size(const struct tern_rate *rate)
{
    tern_time interval = rate_interval(rate);
    uint64_t burst = rate->burst == 0 ? 1 : rate->burst;
    return burst > SUBNETS_BUCKET_MAX_NS / interval ? SUBNETS_BUCKET_MAX_NS : burst * interval;
}

static bool rate_admits(const struct tern_rate *rate, tern_time full_at, tern_time now)
{
    if (rate->per_minute == 0)
        return true;
    return rate_owed(full_at, now) + rate_interval(rate) <= rate_size(rate);
}

static bool rate_half_used(const struct tern_rate *rate, tern_time full_at, tern_time now)
{
    return rate->per_minute != 0 && full_at > now && rate_owed(full_at, now) >= rate_size(rate) / 2;
}

static tern_time rate_take(const struct tern_rate *rate, tern_time full_at, tern_time now)
{
    if (rate->per_minute == 0)
        return 0;
    return (full_at > now ? full_at : now) + rate_interval(rate);
}

/* --- what may come --- */

static struct tern_ip subnets_ip(const struct subnets_address *address,
                                 enum tern_subnet_level level)
{
    uint64_t prefix = subnets_prefix(address->bits, level);
    struct tern_ip ip = {.family = address->family};
    for (size_t i = 0; i < (address->family == 4 ? 4u : 8u); i++)
        ip.bytes[i] = (uint8_t)(prefix >> (56 - 8 * i));
    return ip;
}

/* subnets_refuse fills in the refusal; always returns err. */
static tern_err subnets_refuse(const struct subnets_address *address, enum tern_subnet_level level,
                               uint64_t used, tern_err err, struct swarm_subnets_refusal *refusal)
{
    const struct subnets_level *of = &subnets_levels[level];
    *refusal = (struct swarm_subnets_refusal){
        .limit = err == TERN_ERR_RATE ? of->rate : of->connections,
        .used = used,
        .ip = subnets_ip(address, level),
        .bits = of->bits,
    };
    return err;
}

tern_err tern_subnets_check(const struct swarm_subnets *subnets, tern_time now,
                            const struct tern_ip *ip, struct swarm_subnets_refusal *refusal)
{
    struct subnets_address address = subnets_address(ip);
    for (int level = 0; level < TERN_SUBNET_LEVELS; level++) {
        const struct tern_subnet_limits *limits = &subnets->limits->subnets[level];
        const struct swarm_subnet *entry =
            subnets_find(subnets, &address, (enum tern_subnet_level)level);
        if (entry == NULL)
            continue;
        if (limits->connections_max != 0 && entry->connections >= limits->connections_max)
            return subnets_refuse(&address, (enum tern_subnet_level)level, entry->connections,
                                  TERN_ERR_SCOPE_CONNECTIONS, refusal);
        if (!rate_admits(&limits->handshakes, entry->full_at, now))
            return subnets_refuse(&address, (enum tern_subnet_level)level,
                                  limits->handshakes.per_minute, TERN_ERR_RATE, refusal);
    }
    if (rate_admits(&subnets->limits->handshakes, subnets->full_at, now))
        return TERN_OK;
    *refusal = (struct swarm_subnets_refusal){.limit = TERN_LIMIT_HANDSHAKES_PER_MINUTE,
                                              .used = subnets->limits->handshakes.per_minute};
    return TERN_ERR_RATE;
}

bool tern_subnets_strained(const struct swarm_subnets *subnets, tern_time now,
                           const struct tern_ip *ip)
{
    struct subnets_address address = subnets_address(ip);
    if (rate_half_used(&subnets->limits->handshakes, subnets->full_at, now))
        return true;
    for (int level = 0; level < TERN_SUBNET_LEVELS; level++) {
        const struct tern_subnet_limits *limits = &subnets->limits->subnets[level];
        const struct swarm_subnet *entry =
            subnets_find(subnets, &address, (enum tern_subnet_level)level);
        if (entry == NULL)
            continue;
        if (limits->connections_max != 0 && entry->connections >= limits->connections_max / 2)
            return true;
        if (rate_half_used(&limits->handshakes, entry->full_at, now))
            return true;
    }
    return false;
}

/* subnets_get finds the entry or makes it; there is room. */
static struct swarm_subnet *subnets_get(struct swarm_subnets *subnets,
                                        const struct subnets_address *address,
                                        enum tern_subnet_level level)
{
    struct swarm_subnet *entry = subnets_find(subnets, address, level);
    if (entry != NULL)
        return entry;
    const struct swarm_subnet fresh = {
        .prefix = subnets_prefix(address->bits, level), .level = (uint8_t)level, .used = 1};
    subnets_place(subnets, &fresh);
    subnets->count++;
    subnets->idle_count++;
    return subnets_find(subnets, address, level);
}

tern_err tern_subnets_enter(struct swarm_subnets *subnets, tern_time now, const struct tern_ip *ip)
{
    struct subnets_address address = subnets_address(ip);
    subnets_sweep(subnets, now);
    TERN_TRY(subnets_reserve(subnets, SUBNETS_LEVELS_MAX));
    for (int level = 0; level < TERN_SUBNET_LEVELS; level++) {
        if (subnets_levels[level].family != address.family)
            continue;
        struct swarm_subnet *entry = subnets_get(subnets, &address, (enum tern_subnet_level)level);
        subnets->idle_count -= entry->connections == 0;
        entry->connections++;
        entry->transient++;
        entry->full_at =
            rate_take(&subnets->limits->subnets[level].handshakes, entry->full_at, now);
    }
    subnets->full_at = rate_take(&subnets->limits->handshakes, subnets->full_at, now);
    return TERN_OK;
}

void tern_subnets_settle(struct swarm_subnets *subnets, const struct tern_ip *ip)
{
    struct subnets_address address = subnets_address(ip);
    for (int level = 0; level < TERN_SUBNET_LEVELS; level++) {
        struct swarm_subnet *entry = subnets_find(subnets, &address, (enum tern_subnet_level)level);
        if (entry == NULL)
            continue;
        TERN_CHECK(entry->transient > 0);
        entry->transient--;
    }
}

void tern_subnets_leave(struct swarm_subnets *subnets, tern_time now, const struct tern_ip *ip)
{
    struct subnets_address address = subnets_address(ip);
    for (int level = 0; level < TERN_SUBNET_LEVELS; level++) {
        struct swarm_subnet *entry = subnets_find(subnets, &address, (enum tern_subnet_level)level);
        if (entry == NULL)
            continue;
        TERN_CHECK(entry->connections > 0);
        if (--entry->connections > 0)
            continue;
        subnets->idle_count++;
        if (entry->full_at <= now)
            subnets_remove(subnets, entry);
    }
}

static const struct swarm_subnet *subnets_at(const struct swarm_subnets *subnets,
                                             const struct tern_ip *ip, enum tern_subnet_level level)
{
    struct subnets_address address = subnets_address(ip);
    return subnets_find(subnets, &address, level);
}

uint32_t tern_subnets_connections(const struct swarm_subnets *subnets, const struct tern_ip *ip,
                                  enum tern_subnet_level level)
{
    const struct swarm_subnet *entry = subnets_at(subnets, ip, level);
    return entry == NULL ? 0 : entry->connections;
}

uint32_t tern_subnets_transient(const struct swarm_subnets *subnets, const struct tern_ip *ip,
                                enum tern_subnet_level level)
{
    const struct swarm_subnet *entry = subnets_at(subnets, ip, level);
    return entry == NULL ? 0 : entry->transient;
}
