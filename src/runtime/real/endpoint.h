/*
 * Endpoints (runtime/io.h) to and from the operating system's socket addresses.
 */
#ifndef TERN_RUNTIME_REAL_ENDPOINT_H
#define TERN_RUNTIME_REAL_ENDPOINT_H

#include <sys/socket.h>

#include "base/error.h"
#include "runtime/io.h"

void tern_endpoint_to_sockaddr(const struct tern_endpoint *endpoint, struct sockaddr_storage *addr);

/* TERN_ERR_UNSUPPORTED: neither IPv4 nor IPv6. An IPv4-mapped IPv6 address becomes IPv4. */
TERN_NODISCARD tern_err tern_endpoint_from_sockaddr(const struct sockaddr *addr,
                                                    struct tern_endpoint *endpoint);

/* tern_err_from_uv maps libuv's negative error numbers to ours. */
tern_err tern_err_from_uv(int status);

#endif
