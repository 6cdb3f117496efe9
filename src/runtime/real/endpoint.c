#include "runtime/real/endpoint.h"

#include <netinet/in.h>
#include <uv.h>

void tern_endpoint_to_sockaddr(const struct tern_endpoint *endpoint, struct sockaddr_storage *addr)
{
    memset(addr, 0, sizeof *addr);
    if (endpoint->family == 4) {
        struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(endpoint->port)};
        memcpy(&in4.sin_addr, endpoint->ip, 4);
        memcpy(addr, &in4, sizeof in4);
    } else {
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6,
                                   .sin6_port = htons(endpoint->port),
                                   .sin6_scope_id = endpoint->scope_id};
        memcpy(&in6.sin6_addr, endpoint->ip, 16);
        memcpy(addr, &in6, sizeof in6);
    }
}

tern_err tern_endpoint_from_sockaddr(const struct sockaddr *addr, struct tern_endpoint *endpoint)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

    *endpoint = (struct tern_endpoint){0};
    if (addr->sa_family == AF_INET) {
        struct sockaddr_in in4;
        memcpy(&in4, addr, sizeof in4);
        endpoint->family = 4;
        endpoint->port = ntohs(in4.sin_port);
        memcpy(endpoint->ip, &in4.sin_addr, 4);
        return TERN_OK;
    }
    if (addr->sa_family != AF_INET6)
        return TERN_ERR_UNSUPPORTED;
    struct sockaddr_in6 in6;
    memcpy(&in6, addr, sizeof in6);
    endpoint->port = ntohs(in6.sin6_port);
    if (memcmp(&in6.sin6_addr, mapped, sizeof mapped) == 0) {
        endpoint->family = 4;
        memcpy(endpoint->ip, (const uint8_t *)&in6.sin6_addr + sizeof mapped, 4);
        return TERN_OK;
    }
    endpoint->family = 6;
    endpoint->scope_id = in6.sin6_scope_id;
    memcpy(endpoint->ip, &in6.sin6_addr, 16);
    return TERN_OK;
}

tern_err tern_err_from_uv(int status)
{
    switch (status) {
    case 0:
        return TERN_OK;
    case UV_ECONNREFUSED:
        return TERN_ERR_REFUSED;
    case UV_ENETUNREACH:
    case UV_EHOSTUNREACH:
    case UV_EADDRNOTAVAIL:
    case UV_EAFNOSUPPORT:
        return TERN_ERR_UNREACHABLE;
    case UV_ETIMEDOUT:
        return TERN_ERR_TIMEOUT;
    case UV_ECONNRESET:
    case UV_ECONNABORTED:
    case UV_EPIPE:
    case UV_EOF:
    case UV_ENOTCONN:
        return TERN_ERR_DISCONNECTED;
    case UV_ECANCELED:
        return TERN_ERR_CLOSED;
    case UV_EADDRINUSE:
        return TERN_ERR_EXISTS;
    case UV_EMFILE:
    case UV_ENFILE:
        return TERN_ERR_SCOPE_FDS;
    case UV_ENOMEM:
    case UV_ENOBUFS:
        return TERN_ERR_MEMORY;
    default:
        return TERN_ERR_IO;
    }
}
