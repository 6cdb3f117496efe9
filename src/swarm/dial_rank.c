/*
 * In which order, and how far apart, the addresses of one peer are tried (as go-libp2p's default
 * ranker, after RFC 8305, with changes).
 *
 * Private, public and loopback addresses are three groups, tried side by side; loopback, which is
 * another machine's and by chance ours, a little later than the others. Within a group QUIC comes
 * first (it is there in two round trips), then TCP, then what costs more round trips; of one
 * transport IPv6 first, lower ports first (they are listening ports more often), and the first IPv4
 * address is moved to the second place. The second address starts one step after the first, and all
 * others a sixth of a step after that (go waits a whole step): so however many addresses are dead,
 * the one that lives has begun within 7/6 of a step: 292 ms of 250 ms. WebSocket, WebTransport and
 * WebRTC wait a step longer when the group has anything else, for they are there for those who
 * cannot do better. A step is the stagger for public addresses and an eighth of it for others.
 */
#include "swarm/private.h"

enum rank_group { RANK_PRIVATE, RANK_PUBLIC, RANK_LOOPBACK, RANK_GROUPS };

enum { RANK_NEAR_FRACTION = 8, RANK_REST_FRACTION = 6 };

/* How soon each transport's turn is. */
static const uint8_t rank_of_transport[TERN_TRANSPORT_COUNT] = {
    [TERN_TRANSPORT_QUIC] = 0, [TERN_TRANSPORT_TCP] = 1,          [TERN_TRANSPORT_WSS] = 2,
    [TERN_TRANSPORT_WS] = 2,   [TERN_TRANSPORT_WEBTRANSPORT] = 2, [TERN_TRANSPORT_WEBRTC] = 3,
};

static bool rank_is_last_resort(const struct tern_route *route)
{
    return rank_of_transport[route->transport] > rank_of_transport[TERN_TRANSPORT_TCP];
}

static enum rank_group rank_group_of(const struct tern_route *route)
{
    struct tern_ip ip;
    tern_endpoint_ip(&route->endpoint, &ip);
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
static bool rank_before(const struct tern_route *a, const struct tern_route *b)
{
    if (rank_of_transport[a->transport] != rank_of_transport[b->transport])
        return rank_of_transport[a->transport] < rank_of_transport[b->transport];
    if (a->endpoint.family != b->endpoint.family)
        return a->endpoint.family > b->endpoint.family;
    return a->endpoint.port < b->endpoint.port;
}

/* rank_sort fills order with the group's indexes in the order they are tried; equals stay as given.
 */
static size_t rank_sort(const struct tern_route *routes, size_t count, enum rank_group group,
                        size_t *order)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if (rank_group_of(&routes[i]) != group)
            continue;
        size_t at = n++;
        for (; at > 0 && rank_before(&routes[i], &routes[order[at - 1]]); at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    size_t first_ip4 = 0;
    while (first_ip4 < n && routes[order[first_ip4]].endpoint.family != 4)
        first_ip4++;
    if (first_ip4 > 1 && first_ip4 < n && !rank_is_last_resort(&routes[order[first_ip4]])) {
        size_t moved = order[first_ip4];
        for (size_t at = first_ip4; at > 1; at--)
            order[at] = order[at - 1];
        order[1] = moved;
    }
    return n;
}

void tern_dial_rank(const struct tern_route *routes, size_t count, tern_time stagger_ns,
                    tern_time *delays_ns)
{
    TERN_CHECK(count <= TERN_DIAL_ATTEMPTS_MAX);
    size_t order[TERN_DIAL_ATTEMPTS_MAX];
    size_t counts[RANK_GROUPS] = {0};
    for (size_t i = 0; i < count; i++)
        counts[rank_group_of(&routes[i])]++;
    tern_time near = stagger_ns / RANK_NEAR_FRACTION;
    tern_time loopback_after = counts[RANK_PRIVATE] > 0  ? near
                               : counts[RANK_PUBLIC] > 0 ? stagger_ns
                                                         : 0;
    for (int group = 0; group < RANK_GROUPS; group++) {
        size_t n = rank_sort(routes, count, (enum rank_group)group, order);
        tern_time step = group == RANK_PUBLIC ? stagger_ns : near;
        tern_time base = group == RANK_LOOPBACK ? loopback_after : 0;
        for (size_t place = 0; place < n; place++) {
            tern_time delay = place == 0 ? 0 : place == 1 ? step : step + step / RANK_REST_FRACTION;
            if (rank_is_last_resort(&routes[order[place]]) &&
                !rank_is_last_resort(&routes[order[0]]))
                delay = 2 * step;
            delays_ns[order[place]] = base + delay;
        }
    }
}
