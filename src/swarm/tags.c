#include "swarm/tags.h"

#include "swarm/private.h"

enum { TAGS_CAPACITY_FIRST = 2 };

/* --- how values fall --- */

/* tags_power is (1 - percent / 100)^n in units of 2^-32. */
static uint64_t tags_power(uint32_t percent, uint64_t n)
{
    uint64_t base = ((uint64_t)(100 - percent) << 32) / 100;
    uint64_t power = UINT64_C(1) << 32;
    for (; n > 0; n >>= 1) { /* at most 64 times */
        if (n & 1)
            power = (power * base) >> 32;
        base = (base * base) >> 32;
    }
    return power;
}

/* tags_left is what is left of a value that is not negative. */
static uint64_t tags_left(const struct tern_tag_rule *rule, uint64_t value, uint64_t intervals)
{
    uint64_t lost = 0;
    switch (rule->decay) {
    case TERN_TAG_STAYS:
        return value;
    case TERN_TAG_FIXED:
        lost = rule->amount != 0 && intervals > value / rule->amount ? value
                                                                     : intervals * rule->amount;
        return lost >= value ? 0 : value - lost;
    case TERN_TAG_LINEAR:
        if (rule->amount != 0 && intervals >= (100 + rule->amount - 1) / rule->amount)
            return 0;
        return value - value * rule->amount * intervals / 100;
    case TERN_TAG_EXPONENTIAL:
        return rule->amount >= 100 && intervals > 0
                   ? 0
                   : (value * tags_power(rule->amount, intervals)) >> 32;
    }
    TERN_UNREACHABLE();
}

int32_t tern_tag_value_at(const struct tern_tag_rule *rule, int32_t value, tern_time age)
{
    uint64_t intervals = rule->decay == TERN_TAG_STAYS ? 0 : age / rule->interval_ns;
    int64_t size = value < 0 ? -(int64_t)value : value;
    int64_t left = (int64_t)tags_left(rule, (uint64_t)size, intervals);
    return (int32_t)(value < 0 ? -left : left);
}

/* --- a peer's tags --- */

static struct swarm_tag *tags_find(const struct swarm_peer *peer, uint32_t tag)
{
    for (uint32_t i = 0; i < peer->tags.count; i++)
        if (peer->tags.list[i].tag == tag)
            return &peer->tags.list[i];
    return NULL;
}

/* tags_add makes room for one more; NULL: no memory. */
static struct swarm_tag *tags_add(struct tern_swarm *s, struct swarm_tags *tags)
{
    if (tags->count == tags->capacity) {
        size_t capacity = tags->capacity == 0 ? TAGS_CAPACITY_FIRST : tags->capacity * 2u;
        TERN_CHECK(capacity <= TERN_SWARM_TAGS_MAX);
        struct swarm_tag *grown = tern_mem_realloc(
            s->mem, tags->list, tags->capacity * sizeof *grown, capacity * sizeof *grown);
        if (grown == NULL)
            return NULL;
        tags->list = grown;
        tags->capacity = (uint8_t)capacity;
    }
    return &tags->list[tags->count++];
}

void tern_tags_fini(struct tern_swarm *s, struct swarm_peer *peer)
{
    tern_mem_free(s->mem, peer->tags.list, peer->tags.capacity * sizeof peer->tags.list[0]);
    peer->tags = (struct swarm_tags){.list = NULL};
}

static int32_t tags_value_of(const struct tern_swarm *s, const struct swarm_tag *tag)
{
    return tern_tag_value_at(&s->tag_rules[tag->tag], tag->value, tern_time_since(s->now, tag->at));
}

int64_t tern_tags_value(const struct tern_swarm *s, const struct swarm_peer *peer)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < peer->tags.count; i++)
        sum += tags_value_of(s, &peer->tags.list[i]);
    return sum;
}

static void tags_set(struct tern_swarm *s, struct swarm_peer *peer, uint32_t tag, int32_t value)
{
    struct swarm_tag *found = tags_find(peer, tag);
    if (value == 0) {
        if (found != NULL)
            *found = peer->tags.list[--peer->tags.count];
        return;
    }
    if (found == NULL)
        found = tags_add(s, &peer->tags);
    if (found != NULL)
        *found = (struct swarm_tag){.at = s->now, .value = value, .tag = (uint8_t)tag};
}

/* --- what services call --- */

tern_err tern_swarm_tag_rule(struct tern_swarm *s, const struct tern_tag_rule *rule, uint32_t *tag)
{
    TERN_CHECK(rule->name != NULL && (rule->decay == TERN_TAG_STAYS || rule->interval_ns > 0));
    if (s->tag_rules_count == TERN_SWARM_TAGS_MAX)
        return TERN_ERR_FULL;
    *tag = s->tag_rules_count;
    s->tag_rules[s->tag_rules_count++] = *rule;
    return TERN_OK;
}

void tern_swarm_tag(struct tern_swarm *s, tern_peer handle, uint32_t tag, int32_t value)
{
    struct swarm_peer *peer = tern_peers_of_handle(s, handle);
    TERN_CHECK(tag < s->tag_rules_count);
    if (peer != NULL)
        tags_set(s, peer, tag, value);
}

void tern_swarm_tag_bump(struct tern_swarm *s, tern_peer handle, uint32_t tag, int32_t delta)
{
    struct swarm_peer *peer = tern_peers_of_handle(s, handle);
    TERN_CHECK(tag < s->tag_rules_count);
    if (peer == NULL)
        return;
    const struct swarm_tag *known = tags_find(peer, tag);
    int64_t value = (known == NULL ? 0 : tags_value_of(s, known)) + (int64_t)delta;
    int64_t max = s->tag_rules[tag].value_max == 0 ? INT32_MAX : s->tag_rules[tag].value_max;
    value = value > max ? max : value < -max ? -max : value;
    tags_set(s, peer, tag, (int32_t)value);
}

int32_t tern_swarm_tag_value(const struct tern_swarm *s, tern_peer handle, uint32_t tag)
{
    const struct swarm_peer *peer = tern_peers_of_handle(s, handle);
    const struct swarm_tag *found = peer == NULL ? NULL : tags_find(peer, tag);
    return found == NULL ? 0 : tags_value_of(s, found);
}

int64_t tern_swarm_peer_value(const struct tern_swarm *s, tern_peer handle)
{
    const struct swarm_peer *peer = tern_peers_of_handle(s, handle);
    return peer == NULL ? 0 : tern_tags_value(s, peer);
}

/* --- protection --- */

void tern_swarm_protect(struct tern_swarm *s, tern_peer handle, enum tern_protect reason)
{
    struct swarm_peer *peer = tern_peers_of_handle(s, handle);
    TERN_CHECK(reason < TERN_PROTECT_COUNT);
    if (peer == NULL)
        return;
    TERN_CHECK(peer->protects_by[reason] < UINT16_MAX);
    peer->protects_by[reason]++;
    peer->protects++;
}

void tern_swarm_unprotect(struct tern_swarm *s, tern_peer handle, enum tern_protect reason)
{
    struct swarm_peer *peer = tern_peers_of_handle(s, handle);
    TERN_CHECK(reason < TERN_PROTECT_COUNT);
    if (peer == NULL)
        return;
    TERN_CHECK(peer->protects_by[reason] > 0);
    peer->protects_by[reason]--;
    if (--peer->protects > 0)
        return;
    TERN_LIST_FOREACH (node, &peer->connections) {
        /* What is not used becomes idle now, not when it was used last. */
        struct swarm_conn *c = TERN_LIST_ENTRY(node, struct swarm_conn, siblings);
        if (c->streams_active == 0)
            c->idle_since = s->now;
        tern_conns_touch(s, c);
    }
}

uint32_t tern_swarm_protected(const struct tern_swarm *s, tern_peer handle,
                              enum tern_protect reason)
{
    const struct swarm_peer *peer = tern_peers_of_handle(s, handle);
    if (peer == NULL)
        return 0;
    return reason == TERN_PROTECT_COUNT ? peer->protects : peer->protects_by[reason];
}
