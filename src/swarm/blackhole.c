#include "swarm/blackhole.h"

#include "swarm/private.h"

static const char *const black_hole_names[TERN_BLACK_HOLES] = {
    [TERN_BLACK_HOLE_UDP] = "UDP",
    [TERN_BLACK_HOLE_IP6] = "IPv6",
};

const char *tern_black_hole_name(enum tern_black_hole hole)
{
    TERN_CHECK(hole < TERN_BLACK_HOLES);
    return black_hole_names[hole];
}

bool tern_black_hole_ask(struct swarm_black_hole *hole)
{
    hole->requests++;
    return hole->state != TERN_BLACK_HOLE_BLOCKED || hole->requests % SWARM_BLACK_HOLE_DIALS == 0;
}

static void black_hole_judge(struct swarm_black_hole *hole)
{
    if (hole->count < SWARM_BLACK_HOLE_DIALS)
        hole->state = TERN_BLACK_HOLE_PROBING;
    else if (hole->successes >= SWARM_BLACK_HOLE_SUCCESSES)
        hole->state = TERN_BLACK_HOLE_ALLOWED;
    else
        hole->state = TERN_BLACK_HOLE_BLOCKED;
}

void tern_black_hole_result(struct swarm_black_hole *hole, bool success)
{
    uint64_t *word = &hole->results[hole->head / 64];
    uint64_t bit = UINT64_C(1) << hole->head % 64;
    if (hole->state == TERN_BLACK_HOLE_BLOCKED && success) {
        /* It is open or it is not: one success says more than all that was before. */
        *hole = (struct swarm_black_hole){.state = TERN_BLACK_HOLE_PROBING};
        return;
    }
    hole->successes += success;
    if (hole->count == SWARM_BLACK_HOLE_DIALS)
        hole->successes -= (*word & bit) != 0;
    else
        hole->count++;
    *word = success ? *word | bit : *word & ~bit;
    hole->head = (hole->head + 1) % SWARM_BLACK_HOLE_DIALS;
    black_hole_judge(hole);
}

uint32_t tern_black_hole_classes(const struct tern_route *route)
{
    struct tern_ip ip;
    uint32_t classes = 0;
    tern_endpoint_ip(&route->endpoint, &ip);
    if (tern_ip_range(&ip) != TERN_IP_PUBLIC)
        return 0;
    if (tern_transport_on_udp(route->transport))
        classes |= TERN_BLACK_HOLE_BIT(TERN_BLACK_HOLE_UDP);
    if (route->endpoint.family == 6)
        classes |= TERN_BLACK_HOLE_BIT(TERN_BLACK_HOLE_IP6);
    return classes;
}

/* --- of a swarm --- */

/* A dial that is a probe of one class is not kept from it by the other: an address of both is
 * tried if either is not known to be blocked. */
uint32_t tern_black_holes_asked(struct tern_swarm *s, const struct tern_route *route,
                                uint32_t *asked, uint32_t *allowed)
{
    uint32_t classes = tern_black_hole_classes(route);
    uint32_t blocked = 0;
    bool probed = false;
    for (int i = 0; i < TERN_BLACK_HOLES; i++) {
        uint32_t bit = TERN_BLACK_HOLE_BIT(i);
        if (!(classes & bit))
            continue;
        if (!(*asked & bit)) {
            *asked |= bit;
            *allowed |= tern_black_hole_ask(&s->black_holes[i]) ? bit : 0;
        }
        if (!(*allowed & bit))
            blocked |= bit;
        else
            probed = probed || s->black_holes[i].state != TERN_BLACK_HOLE_ALLOWED;
    }
    return probed ? 0 : blocked;
}

static void black_holes_metrics(struct tern_swarm *s, enum tern_black_hole which)
{
    static const enum tern_metric states[TERN_BLACK_HOLES] = {
        [TERN_BLACK_HOLE_UDP] = TERN_METRIC_BLACK_HOLE_UDP_STATE,
        [TERN_BLACK_HOLE_IP6] = TERN_METRIC_BLACK_HOLE_IP6_STATE,
    };
    tern_metric_set(s->config.metrics, states[which], (uint64_t)s->black_holes[which].state);
}

void tern_black_holes_result(struct tern_swarm *s, tern_time now, const struct tern_route *route,
                             bool success)
{
    uint32_t classes = tern_black_hole_classes(route);
    for (int i = 0; i < TERN_BLACK_HOLES; i++) {
        struct swarm_black_hole *hole = &s->black_holes[i];
        enum tern_black_hole_state before = hole->state;
        if (!(classes & TERN_BLACK_HOLE_BIT(i)))
            continue;
        tern_black_hole_result(hole, success);
        if (hole->state == before)
            continue;
        TERN_TRACE(s->config.trace, now, SWARM_BLACK_HOLE, i, before, hole->state);
        black_holes_metrics(s, (enum tern_black_hole)i);
    }
}

enum tern_black_hole_state tern_swarm_black_hole(const struct tern_swarm *s,
                                                 enum tern_black_hole hole)
{
    TERN_CHECK(hole < TERN_BLACK_HOLES);
    return s->black_holes[hole].state;
}
