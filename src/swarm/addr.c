#include "swarm/addr.h"

#include "base/check.h"

enum { ADDR_GROUP_BITS_IP4 = 32, ADDR_GROUP_BITS_IP6 = 56 };

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

bool tern_endpoint_same_group(const struct tern_endpoint *a, const struct tern_endpoint *b)
{
    struct tern_ip ip_a;
    struct tern_ip ip_b;
    tern_endpoint_ip(a, &ip_a);
    tern_endpoint_ip(b, &ip_b);
    return tern_ip_prefix_equal(&ip_a, &ip_b,
                                ip_a.family == 4 ? ADDR_GROUP_BITS_IP4 : ADDR_GROUP_BITS_IP6);
}

/* addr_read_socket reads /ip/tcp/port with nothing behind it. Zones are names of interfaces, which
 * only an operating system can turn into numbers, so an address with one is not supported. */
static bool addr_read_socket(struct tern_view addr, struct tern_endpoint *endpoint)
{
    struct tern_multiaddr_socket socket;
    if (!tern_multiaddr_socket(addr, &socket) || socket.transport != TERN_MULTIADDR_TCP ||
        socket.zone.size != 0 || socket.rest.size != 0)
        return false;
    *endpoint = (struct tern_endpoint){.family = socket.ip.family, .port = socket.port};
    memcpy(endpoint->ip, socket.ip.bytes, tern_ip_size(&socket.ip));
    return true;
}

static bool addr_dialable(const struct tern_endpoint *endpoint)
{
    struct tern_ip ip;
    tern_endpoint_ip(endpoint, &ip);
    enum tern_ip_range range = tern_ip_range(&ip);
    return endpoint->port != 0 && range != TERN_IP_UNSPECIFIED && range != TERN_IP_MULTICAST;
}

/* addr_read_name reads /dns|dns4|dns6/name/tcp/port, or /dnsaddr/name. */
static tern_err addr_read_name(struct tern_view addr, struct tern_target *target)
{
    struct tern_multiaddr_iter it = tern_multiaddr_iter_of(addr);
    struct tern_multiaddr_part name;
    struct tern_multiaddr_part tcp;
    if (!tern_multiaddr_next(&it, &name))
        return TERN_ERR_UNSUPPORTED;
    target->name = name.value;
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
    if (!tern_multiaddr_next(&it, &tcp) || tcp.code != TERN_MULTIADDR_TCP || tcp.value.size != 2 ||
        it.left.size != 0)
        return TERN_ERR_UNSUPPORTED;
    target->endpoint.port = (uint16_t)(tcp.value.data[0] << 8 | tcp.value.data[1]);
    return target->endpoint.port != 0 ? TERN_OK : TERN_ERR_INVALID;
}

tern_err tern_target_of(struct tern_view addr, struct tern_target *target)
{
    *target = (struct tern_target){.kind = TERN_TARGET_ENDPOINT};
    if (tern_multiaddr_peer_id(addr, &target->id))
        addr = tern_multiaddr_without_peer_id(addr);
    if (addr_read_socket(addr, &target->endpoint))
        return addr_dialable(&target->endpoint) ? TERN_OK : TERN_ERR_INVALID;
    return addr_read_name(addr, target);
}

tern_err tern_endpoint_of_listen(struct tern_view addr, struct tern_endpoint *endpoint)
{
    if (!addr_read_socket(tern_multiaddr_without_peer_id(addr), endpoint))
        return TERN_ERR_UNSUPPORTED;
    return TERN_OK;
}

void tern_endpoint_multiaddr(const struct tern_endpoint *endpoint, struct tern_multiaddr *addr)
{
    struct tern_ip ip;
    tern_endpoint_ip(endpoint, &ip);
    *addr = (struct tern_multiaddr){.size = 0};
    tern_err err = tern_multiaddr_append_ip(addr, &ip);
    if (err == TERN_OK)
        err = tern_multiaddr_append_port(addr, TERN_MULTIADDR_TCP, endpoint->port);
    TERN_CHECK(err == TERN_OK); /* 22 bytes fit */
}
