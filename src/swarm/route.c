#include "swarm/route.h"

#include "base/check.h"

enum { ROUTE_GROUP_BITS_IP4 = 32, ROUTE_GROUP_BITS_IP6 = 56, ROUTE_PARTS_MAX = 4 };

/* What follows the port, per transport; hashes may follow that. The first row of a transport is how
 * it is written. */
struct route_shape {
    enum tern_transport transport;
    uint32_t parts[ROUTE_PARTS_MAX]; /* codes; 0 ends them. The port's protocol comes first */
    bool hashes;
};

static const struct route_shape route_shapes[] = {
    {TERN_TRANSPORT_TCP, {TERN_MULTIADDR_TCP}, false},
    {TERN_TRANSPORT_WS, {TERN_MULTIADDR_TCP, TERN_MULTIADDR_WS}, false},
    {TERN_TRANSPORT_WSS, {TERN_MULTIADDR_TCP, TERN_MULTIADDR_TLS, TERN_MULTIADDR_WS}, false},
    {TERN_TRANSPORT_WSS, {TERN_MULTIADDR_TCP, TERN_MULTIADDR_WSS}, false},
    {TERN_TRANSPORT_WSS,
     {TERN_MULTIADDR_TCP, TERN_MULTIADDR_TLS, TERN_MULTIADDR_SNI, TERN_MULTIADDR_WS},
     false},
    {TERN_TRANSPORT_QUIC, {TERN_MULTIADDR_UDP, TERN_MULTIADDR_QUIC_V1}, false},
    {TERN_TRANSPORT_WEBTRANSPORT,
     {TERN_MULTIADDR_UDP, TERN_MULTIADDR_QUIC_V1, TERN_MULTIADDR_WEBTRANSPORT},
     true},
    {TERN_TRANSPORT_WEBRTC, {TERN_MULTIADDR_UDP, TERN_MULTIADDR_WEBRTC_DIRECT}, true},
};

static const char *const route_names[TERN_TRANSPORT_COUNT] = {
    [TERN_TRANSPORT_TCP] = "tcp",
    [TERN_TRANSPORT_WS] = "ws",
    [TERN_TRANSPORT_WSS] = "wss",
    [TERN_TRANSPORT_QUIC] = "quic-v1",
    [TERN_TRANSPORT_WEBTRANSPORT] = "webtransport",
    [TERN_TRANSPORT_WEBRTC] = "webrtc-direct",
};

const char *tern_transport_name(enum tern_transport transport)
{
    TERN_CHECK(transport < TERN_TRANSPORT_COUNT);
    return route_names[transport];
}

bool tern_transport_on_udp(enum tern_transport transport)
{
    return transport == TERN_TRANSPORT_QUIC || transport == TERN_TRANSPORT_WEBTRANSPORT ||
           transport == TERN_TRANSPORT_WEBRTC;
}

void tern_endpoint_ip(const struct tern_endpoint *endpoint, struct tern_ip *ip)
{
    *ip = (struct tern_ip){.family = endpoint->family};
    memcpy(ip->bytes, endpoint->ip, tern_ip_size(ip));
}

bool tern_endpoint_equal(const struct tern_endpoint *a, const struct tern_endpoint *b)
{
    struct tern_ip ip_a;
    struct tern_ip ip_b;
    tern_endpoint_ip(a, &ip_a);
    tern_endpoint_ip(b, &ip_b);
    return a->port == b->port && a->scope_id == b->scope_id && tern_ip_equal(&ip_a, &ip_b);
}

bool tern_route_equal(const struct tern_route *a, const struct tern_route *b)
{
    return a->transport == b->transport && tern_endpoint_equal(&a->endpoint, &b->endpoint);
}

bool tern_endpoint_same_group(const struct tern_endpoint *a, const struct tern_endpoint *b)
{
    struct tern_ip ip_a;
    struct tern_ip ip_b;
    tern_endpoint_ip(a, &ip_a);
    tern_endpoint_ip(b, &ip_b);
    return tern_ip_prefix_equal(&ip_a, &ip_b,
                                ip_a.family == 4 ? ROUTE_GROUP_BITS_IP4 : ROUTE_GROUP_BITS_IP6);
}

/* Reads what stands behind the IP or the name: port, transport, hashes, to the end. */
static bool route_read_shape(struct tern_view addr, const struct route_shape *shape,
                             struct tern_target *target)
{
    struct tern_multiaddr_iter it = tern_multiaddr_iter_of(addr);
    struct tern_multiaddr_part part;
    struct tern_view sni = {0};
    for (size_t i = 0; i < ROUTE_PARTS_MAX && shape->parts[i] != 0; i++) {
        if (!tern_multiaddr_next(&it, &part) || part.code != shape->parts[i])
            return false;
        if (i == 0 && part.value.size == 2)
            target->route.endpoint.port = (uint16_t)(part.value.data[0] << 8 | part.value.data[1]);
        if (part.code == TERN_MULTIADDR_SNI)
            sni = part.value;
    }
    struct tern_view hashes = it.left;
    while (shape->hashes && it.left.size > 0)
        if (!tern_multiaddr_next(&it, &part) || part.code != TERN_MULTIADDR_CERTHASH)
            return false;
    if (it.left.size != 0)
        return false;
    target->route.transport = shape->transport;
    target->hashes = hashes;
    if (sni.size > 0)
        target->host = sni;
    return true;
}

static bool route_read_transport(struct tern_view addr, struct tern_target *target)
{
    for (size_t i = 0; i < TERN_COUNT_OF(route_shapes); i++)
        if (route_read_shape(addr, &route_shapes[i], target))
            return true;
    return false;
}

/* Zones are names of interfaces, which only an operating system can turn into numbers, so an
 * address with one is not supported. */
static bool route_read_ip(struct tern_view *addr, struct tern_target *target)
{
    struct tern_multiaddr_iter it = tern_multiaddr_iter_of(*addr);
    struct tern_multiaddr_part part;
    if (!tern_multiaddr_next(&it, &part))
        return false;
    if (part.code == TERN_MULTIADDR_IP4 && part.value.size == 4)
        target->route.endpoint.family = 4;
    else if (part.code == TERN_MULTIADDR_IP6 && part.value.size == 16)
        target->route.endpoint.family = 6;
    else
        return false;
    memcpy(target->route.endpoint.ip, part.value.data, part.value.size);
    *addr = it.left;
    return true;
}

static bool route_dialable(const struct tern_endpoint *endpoint)
{
    struct tern_ip ip;
    tern_endpoint_ip(endpoint, &ip);
    enum tern_ip_range range = tern_ip_range(&ip);
    return endpoint->port != 0 && range != TERN_IP_UNSPECIFIED && range != TERN_IP_MULTICAST;
}

/* Reads /dns|dns4|dns6/name/…, or /dnsaddr/name. */
static tern_err route_read_name(struct tern_view addr, struct tern_target *target)
{
    struct tern_multiaddr_iter it = tern_multiaddr_iter_of(addr);
    struct tern_multiaddr_part name;
    if (!tern_multiaddr_next(&it, &name))
        return TERN_ERR_UNSUPPORTED;
    target->name = target->host = name.value;
    if (name.code == TERN_MULTIADDR_DNSADDR) {
        target->kind = TERN_TARGET_DNSADDR;
        target->resolve = TERN_RESOLVE_TXT;
        return it.left.size == 0 ? TERN_OK : TERN_ERR_UNSUPPORTED;
    }
    target->kind = TERN_TARGET_NAME;
    if (name.code == TERN_MULTIADDR_DNS)
        target->resolve = TERN_RESOLVE_IP;
    else if (name.code == TERN_MULTIADDR_DNS4)
        target->resolve = TERN_RESOLVE_IP4;
    else if (name.code == TERN_MULTIADDR_DNS6)
        target->resolve = TERN_RESOLVE_IP6;
    else
        return TERN_ERR_UNSUPPORTED;
    if (!route_read_transport(it.left, target))
        return TERN_ERR_UNSUPPORTED;
    return target->route.endpoint.port != 0 ? TERN_OK : TERN_ERR_INVALID;
}

tern_err tern_target_of(struct tern_view addr, struct tern_target *target)
{
    *target = (struct tern_target){.kind = TERN_TARGET_ENDPOINT};
    if (tern_multiaddr_peer_id(addr, &target->id))
        addr = tern_multiaddr_without_peer_id(addr);
    if (!route_read_ip(&addr, target))
        return route_read_name(addr, target);
    if (!route_read_transport(addr, target))
        return TERN_ERR_UNSUPPORTED;
    return route_dialable(&target->route.endpoint) ? TERN_OK : TERN_ERR_INVALID;
}

size_t tern_target_certhashes(struct tern_view hashes, struct tern_view *out, size_t max)
{
    struct tern_multiaddr_iter it = tern_multiaddr_iter_of(hashes);
    struct tern_multiaddr_part part;
    size_t count = 0;
    while (count < max && tern_multiaddr_next(&it, &part))
        if (part.code == TERN_MULTIADDR_CERTHASH)
            out[count++] = part.value;
    return count;
}

tern_err tern_route_of_listen(struct tern_view addr, struct tern_route *route)
{
    struct tern_target target = {.kind = TERN_TARGET_ENDPOINT};
    addr = tern_multiaddr_without_peer_id(addr);
    if (!route_read_ip(&addr, &target) || !route_read_transport(addr, &target))
        return TERN_ERR_UNSUPPORTED;
    *route = target.route;
    return TERN_OK;
}

void tern_route_multiaddr(const struct tern_route *route, struct tern_multiaddr *addr)
{
    const struct route_shape *shape = route_shapes;
    struct tern_ip ip;
    while (shape->transport != route->transport)
        shape++;
    tern_endpoint_ip(&route->endpoint, &ip);
    *addr = (struct tern_multiaddr){.size = 0};
    tern_err err = tern_multiaddr_append_ip(addr, &ip);
    if (err == TERN_OK)
        err = tern_multiaddr_append_port(addr, (enum tern_multiaddr_code)shape->parts[0],
                                         route->endpoint.port);
    for (size_t i = 1; err == TERN_OK && i < ROUTE_PARTS_MAX && shape->parts[i] != 0; i++)
        err = tern_multiaddr_append(addr, (enum tern_multiaddr_code)shape->parts[i],
                                    tern_view_of(NULL, 0));
    TERN_CHECK(err == TERN_OK); /* some 30 bytes fit */
}
