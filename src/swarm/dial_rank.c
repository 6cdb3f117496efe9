/*
 * In which order, and how far apart, the addresses of one peer are tried (as go-libp2p's default
 * ranker, after RFC 8305, with one change).
 *
 * Private, public and loopback addresses are three groups, tried side by side; loopback, which is
 * another machine's and by chance ours, a little later than the others. Within a group IPv6 comes
 * first, lower ports first (they are listening ports more often), and the first IPv4 address is
 * moved to the second place. The second address starts one step after the first, and all others a
 * sixth of a step after that (go waits a whole step): so however many addresses are dead, the one
 * that lives has begun within 7/6 of a step: 292 ms of 250 ms. A step is the stagger for public
 * addresses and an eighth of it for others.
 */
#include "swarm/private.h"

enum rank_group { RANK_PRIVATE, RANK_PUBLIC, RANK_LOOPBACK, RANK_GROUPS };

enum { RANK_NEAR_FRACTION = 8, RANK_REST_FRACTION = 6 };

static enum rank_group rank_group_of(const struct tern_endpoint *endpoint)
{
    struct tern_ip ip;
    tern_endpoint_ip(endpoint, &ip);
    switch (tern_ip_range(&ip)) {
    case TERN_IP_LOOPBACK:
        return RANK_LOOPBACK;
    case TERN_IP_PRIVATE:
    case TERN_IP_SHARED:
    case TERN_IP_LINK_LOCAL:
        return RANK_PRIVATE;
    case TERN_IP_PUBLIC:
    case TERN_IP_UNSPECIFIED:
    case TERN_IP_MULTICAST:
    case TERN_IP_RESERVED:
        break;
    }
    return RANK_PUBLIC;
}

/* rank_before: is a to be tried before b? */
static bool rank_before(const struct tern_endpoint *a, const struct tern_endpoint *b)
{
    if (a->family != b->family)
        return a->family > b->family;
    return a->port < b->port;
}

/* rank_sort fills order with the group's indexes in the order they are tried; equals stay as given.
 */
static size_t rank_sort(const struct tern_endpoint *endpoints, size_t count, enum rank_group group,
                        size_t *order)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if (rank_group_of(&endpoints[i]) != group)
            continue;
        size_t at = n++;
        for (; at > 0 && rank_before(&endpoints[i], &endpoints[order[at - 1]]); at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    size_t first_ip4 = 0;
    while (first_ip4 < n && endpoints[order[first_ip4]].family != 4)
        first_ip4++;
    if (first_ip4 > 1 && first_ip4 < n) {
        size_t moved = order[first_ip4];
        for (size_t at = first_ip4; at > 1; at--)
            order[at] = order[at - 1];
        order[1] = moved;
    }
    return n;
}

void tern_dial_rank(const struct tern_endpoint *endpoints, size_t count, tern_time stagger_ns,
                    tern_time *delays_ns)
{
    TERN_CHECK(count <= TERN_DIAL_ATTEMPTS_MAX);
    size_t order[TERN_DIAL_ATTEMPTS_MAX];
    size_t counts[RANK_GROUPS] = {0};
    for (size_t i = 0; i < count; i++)
        counts[rank_group_of(&endpoints[i])]++;
    tern_time near = stagger_ns / RANK_NEAR_FRACTION;
    tern_time loopback_after = counts[RANK_PRIVATE] > 0  ? near
                               : counts[RANK_PUBLIC] > 0 ? stagger_ns
                                                         : 0;
    for (int group = 0; group < RANK_GROUPS; group++) {
        size_t n = rank_sort(endpoints, count, (enum rank_group)group, order);
        tern_time step = group == RANK_PUBLIC ? stagger_ns : near;
        tern_time base = group == RANK_LOOPBACK ? loopback_after : 0;
        for (size_t place = 0; place < n; place++) {
            tern_time delay = place == 0 ? 0 : place == 1 ? step : step + step / RANK_REST_FRACTION;
            delays_ns[order[place]] = base + delay;
        }
    }
}
