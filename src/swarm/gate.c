/* The gate: plain rules, the first that matches decides, default allow. */
#include "swarm/private.h"

enum { GATE_RULES_MAX = 65536 };

void tern_gate_fini(struct tern_swarm *s)
{
    tern_mem_free(s->mem, s->gate.rules, s->gate.count * sizeof s->gate.rules[0]);
    s->gate = (struct swarm_gate){.rules = NULL};
}

static bool gate_ip_matches(const struct tern_gate_rule *rule, const struct tern_endpoint *remote)
{
    struct tern_ip a;
    struct tern_ip b;
    if (rule->any_ip)
        return true;
    tern_endpoint_ip(&rule->ip, &a);
    tern_endpoint_ip(remote, &b);
    return tern_ip_prefix_equal(&a, &b, rule->prefix_bits);
}

bool tern_gate_allows(const struct tern_swarm *s, const struct tern_endpoint *remote,
                      const struct tern_peer_id *id)
{
    for (size_t i = 0; i < s->gate.count; i++) {
        const struct tern_gate_rule *rule = &s->gate.rules[i];
        if (!gate_ip_matches(rule, remote))
            continue;
        if (rule->any_peer)
            return !rule->deny;
        if (id != NULL && tern_peer_id_equal(id, &rule->id))
            return !rule->deny;
        /* It may turn out to be the one peer that this rule lets through. */
        if (id == NULL && !rule->deny)
            return true;
    }
    return true;
}

tern_err tern_swarm_set_gate(struct tern_swarm *s, tern_time now,
                             const struct tern_gate_rule *rules, size_t count)
{
    struct tern_gate_rule *copy = NULL;
    if (count > GATE_RULES_MAX)
        return TERN_ERR_FULL;
    if (count > 0) {
        copy = tern_mem_alloc(s->mem, count * sizeof copy[0]);
        if (copy == NULL)
            return TERN_ERR_MEMORY;
        memcpy(copy, rules, count * sizeof copy[0]);
    }
    tern_gate_fini(s);
    s->gate = (struct swarm_gate){.rules = copy, .count = count};
    TERN_LIST_FOREACH (node, &s->conns.all) {
        struct swarm_conn *c = TERN_LIST_ENTRY(node, struct swarm_conn, all);
        if (!tern_gate_allows(s, &c->remote, c->peer == NULL ? NULL : &c->peer->id))
            tern_conns_close(s, now, c, TERN_CONNECTION_CODE_GATED, TERN_ERR_GATED);
    }
    return TERN_OK;
}
