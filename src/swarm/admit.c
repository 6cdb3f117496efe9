/*
 * Who is let in before anything is known but the address: the gate, how many connections the parts
 * of the address space that it lies in have, how often they come, and how many of them never finish
 * (subnets.h). A handshake costs public-key work, so what is refused here costs next to nothing.
 */
#include "swarm/private.h"

static bool admit_exempt(const struct tern_swarm *s, const struct tern_ip *ip)
{
    for (size_t i = 0; i < s->config.exempt_count; i++)
        if (tern_ip_prefix_equal(&s->config.exempt[i].ip, ip, s->config.exempt[i].bits))
            return true;
    return false;
}

static tern_err admit_subnet(struct tern_swarm *s, tern_time now, const struct tern_ip *ip)
{
    struct swarm_subnets_refusal why;
    tern_err err = tern_subnets_check(&s->subnets, now, ip, &why);
    if (err == TERN_OK)
        return TERN_OK;
    struct tern_refusal refusal = {
        .used = why.used,
        .limit = tern_limit_get(&s->config.limits, why.limit),
        .asked = 1,
        .subnet = why.ip,
        .subnet_bits = why.bits,
    };
    tern_limits_refuse(s, why.limit, &refusal);
    return err;
}

/* admit_transient: an address that has an upgrade under way is given another one as long as
 * less than transient_shared are. The rest of the places is for addresses that have none: a few
 * whose upgrades never end do not shut out everybody else. */
static tern_err admit_transient(struct tern_swarm *s, const struct tern_ip *ip)
{
    const struct tern_swarm_limits *limits = &s->config.limits;
    uint64_t all = s->transient.used[TERN_RESOURCE_CONNECTIONS_IN];
    uint32_t same = tern_subnets_transient(&s->subnets, ip, tern_subnets_group(ip));
    struct tern_refusal refusal = {
        .used = same, .limit = limits->transient_per_address_max, .asked = 1, .subnet = *ip};
    refusal.subnet_bits = ip->family == 4 ? 32 : 56;
    if (refusal.limit != 0 && same >= refusal.limit) {
        tern_limits_refuse(s, TERN_LIMIT_TRANSIENT_PER_ADDRESS, &refusal);
        return TERN_ERR_SCOPE_CONNECTIONS;
    }
    if (limits->transient_shared_max != 0 && same > 0 && all >= limits->transient_shared_max) {
        tern_limits_refuse_number(s, TERN_LIMIT_TRANSIENT_SHARED, all, NULL);
        return TERN_ERR_SCOPE_CONNECTIONS;
    }
    return TERN_OK;
}

tern_err tern_conns_admit(struct tern_swarm *s, tern_time now, const struct tern_endpoint *remote)
{
    uint64_t all = s->transient.used[TERN_RESOURCE_CONNECTIONS_IN];
    uint64_t places = s->transient.limits.max[TERN_RESOURCE_CONNECTIONS_IN];
    struct tern_ip ip;
    if (s->down)
        return TERN_ERR_CLOSED;
    if (!tern_gate_allows(s, remote, NULL))
        return TERN_ERR_GATED;
    if (places != 0 && all >= places) /* full is full, whoever asks: the scope says so */
        return tern_scope_reserve(&s->transient, TERN_RESOURCE_CONNECTIONS_IN, 1, NULL);
    tern_endpoint_ip(remote, &ip);
    if (!admit_exempt(s, &ip)) {
        TERN_TRY(admit_subnet(s, now, &ip));
        TERN_TRY(admit_transient(s, &ip));
    }
    tern_trim_make_room(s, now, &ip);
    return TERN_OK;
}

bool tern_conns_strained(const struct tern_swarm *s, tern_time now,
                         const struct tern_endpoint *remote)
{
    struct tern_ip ip;
    tern_endpoint_ip(remote, &ip);
    return !admit_exempt(s, &ip) && tern_subnets_strained(&s->subnets, now, &ip);
}

/* admit_settle: it counts no longer as one that is being set up. */
static void admit_settle(struct tern_swarm *s, struct swarm_conn *c)
{
    struct tern_ip ip;
    if (!c->counted || c->settled)
        return;
    tern_endpoint_ip(&c->remote, &ip);
    tern_subnets_settle(&s->subnets, &ip);
    c->settled = true;
}

void tern_conns_leave(struct tern_swarm *s, struct swarm_conn *c)
{
    s->conns.open_count -= c->state == SWARM_CONN_OPEN;
    if (c->state != SWARM_CONN_UPGRADING || !tern_list_linked(&c->siblings))
        return;
    tern_list_remove(&c->siblings);
    s->conns.upgrading_in_count -= !c->outbound;
    admit_settle(s, c);
}

tern_err tern_conns_enter_subnet(struct tern_swarm *s, tern_time now, struct swarm_conn *c)
{
    struct tern_ip ip;
    tern_endpoint_ip(&c->remote, &ip);
    if (c->outbound || admit_exempt(s, &ip))
        return TERN_OK;
    TERN_TRY(tern_subnets_enter(&s->subnets, now, &ip));
    c->counted = true;
    c->settled = false;
    return TERN_OK;
}

void tern_conns_leave_subnet(struct tern_swarm *s, struct swarm_conn *c)
{
    struct tern_ip ip;
    tern_endpoint_ip(&c->remote, &ip);
    admit_settle(s, c);
    if (c->counted)
        tern_subnets_leave(&s->subnets, s->now, &ip);
    c->counted = false;
}

void tern_conns_at(struct tern_swarm *s, tern_time now, struct swarm_conn *c,
                   const struct tern_endpoint *remote)
{
    if (!c->counted || tern_endpoint_equal(&c->remote, remote)) {
        c->remote = *remote;
        return;
    }
    tern_conns_leave_subnet(s, c);
    c->remote = *remote;
    /* Without memory it is not counted: that harms nobody. */
    TERN_IGNORE(tern_conns_enter_subnet(s, now, c));
    admit_settle(s, c);
}
