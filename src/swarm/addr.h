/*
 * Between multiaddrs and what a world dials: endpoints and names. TCP alone so far: an address with
 * anything behind its port (/ws, /quic-v1, /p2p-circuit …) is of a transport that we do not have.
 */
#ifndef TERN_SWARM_ADDR_H
#define TERN_SWARM_ADDR_H

#include "runtime/io.h"
#include "wire/multiaddr.h"

enum tern_target_kind {
    TERN_TARGET_ENDPOINT,
    TERN_TARGET_NAME,    /* resolve: IP4, IP6 or IP; then endpoint.port */
    TERN_TARGET_DNSADDR, /* resolve: TXT */
};

struct tern_target {
    enum tern_target_kind kind;
    struct tern_endpoint endpoint;
    enum tern_resolve_kind resolve;
    struct tern_view name;  /* borrowed from the address */
    struct tern_peer_id id; /* of a trailing /p2p; none if there is none */
};

/* tern_target_of reads a checked address. TERN_ERR_UNSUPPORTED: not of a transport that we have;
 * TERN_ERR_INVALID: it can never be dialled (port 0, unspecified, multicast). */
TERN_NODISCARD tern_err tern_target_of(struct tern_view addr, struct tern_target *target);

/* tern_endpoint_of_listen reads /ip4|ip6/…/tcp/port for listening: port 0 and unspecified are fine.
 * TERN_ERR_UNSUPPORTED. */
TERN_NODISCARD tern_err tern_endpoint_of_listen(struct tern_view addr,
                                                struct tern_endpoint *endpoint);

/* tern_endpoint_multiaddr makes /ip4|ip6/…/tcp/port. */
void tern_endpoint_multiaddr(const struct tern_endpoint *endpoint, struct tern_multiaddr *addr);

void tern_endpoint_ip(const struct tern_endpoint *endpoint, struct tern_ip *ip);
bool tern_endpoint_equal(const struct tern_endpoint *a, const struct tern_endpoint *b);

/* tern_endpoint_same_group: are both of one IPv4 address, or of one IPv6 /56 (what one household or
 * one rented machine usually has)? */
bool tern_endpoint_same_group(const struct tern_endpoint *a, const struct tern_endpoint *b);

#endif
