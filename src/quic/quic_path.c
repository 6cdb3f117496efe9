#include "quic/quic_path.h"

#include "base/check.h"

static uint16_t path_swap(uint16_t value)
{
    const uint8_t bytes[2] = {(uint8_t)(value >> 8), (uint8_t)value};
    uint16_t swapped;
    memcpy(&swapped, bytes, sizeof swapped);
    return swapped;
}

static uint16_t path_port(uint16_t stored)
{
    uint8_t bytes[2];
    memcpy(bytes, &stored, sizeof bytes);
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

/* path_store writes an address; ip NULL: none. */
static ngtcp2_socklen path_store(ngtcp2_sockaddr_union *to, const struct tern_endpoint *endpoint,
                                 const uint8_t *ip, uint16_t port)
{
    memset(to, 0, sizeof *to);
    TERN_CHECK(endpoint->family == 4 || endpoint->family == 6);
    if (endpoint->family == 4) {
        to->in.sin_family = NGTCP2_AF_INET;
        to->in.sin_port = path_swap(port);
        if (ip != NULL)
            memcpy(&to->in.sin_addr, ip, 4);
        return sizeof to->in;
    }
    to->in6.sin6_family = NGTCP2_AF_INET6;
    to->in6.sin6_port = path_swap(port);
    to->in6.sin6_scope_id = endpoint->scope_id;
    if (ip != NULL)
        memcpy(&to->in6.sin6_addr, ip, 16);
    return sizeof to->in6;
}

void tern_quic_path_set(ngtcp2_path_storage *storage, uint16_t socket,
                        const struct tern_endpoint *local, const struct tern_endpoint *remote)
{
    ngtcp2_path_storage_zero(storage);
    const uint8_t *ip = local == NULL || local->family != remote->family ? NULL : local->ip;
    const struct tern_endpoint *whose = ip == NULL ? remote : local;
    storage->path.local.addrlen = path_store(&storage->local_addrbuf, whose, ip, socket);
    storage->path.remote.addrlen =
        path_store(&storage->remote_addrbuf, remote, remote->ip, remote->port);
}

static const ngtcp2_sockaddr_union *path_union(const ngtcp2_addr *addr)
{
    return (const ngtcp2_sockaddr_union *)(const void *)addr->addr;
}

uint16_t tern_quic_path_socket(const ngtcp2_path *path)
{
    const ngtcp2_sockaddr_union *local = path_union(&path->local);
    bool v4 = local->sa.sa_family == NGTCP2_AF_INET;
    return path_port(v4 ? local->in.sin_port : local->in6.sin6_port);
}

static void path_load(const ngtcp2_addr *addr, struct tern_endpoint *endpoint)
{
    const ngtcp2_sockaddr_union *from = path_union(addr);
    *endpoint = (struct tern_endpoint){.family = 6};
    if (from->sa.sa_family == NGTCP2_AF_INET) {
        endpoint->family = 4;
        endpoint->port = path_port(from->in.sin_port);
        memcpy(endpoint->ip, &from->in.sin_addr, 4);
        return;
    }
    endpoint->port = path_port(from->in6.sin6_port);
    endpoint->scope_id = from->in6.sin6_scope_id;
    memcpy(endpoint->ip, &from->in6.sin6_addr, 16);
}

void tern_quic_path_get(const ngtcp2_path *path, struct tern_path *out)
{
    static const uint8_t none[16];
    path_load(&path->local, &out->local);
    path_load(&path->remote, &out->remote);
    out->local.port = 0;
    if (memcmp(out->local.ip, none, sizeof none) == 0)
        out->local = (struct tern_endpoint){.family = 0};
}
