/*
 * Between multiaddrs and what a world dials: transports, endpoints and names.
 *
 *     /ip4|ip6/…/tcp/port                        TCP
 *                    /ws                         WebSocket
 *                    /tls/[sni/name/]ws, /wss    secure WebSocket
 *     /ip4|ip6/…/udp/port/quic-v1                QUIC
 *                    /quic-v1/webtransport       WebTransport, with the hashes of its certificates
 *                    /webrtc-direct              WebRTC, likewise
 *     /dns|dns4|dns6/name/… in place of the IP; /dnsaddr/name leads to other addresses
 *
 * Specification: libp2p/specs addressing/README.md, websockets, quic, webtransport, webrtc.
 */
#ifndef TERN_SWARM_ROUTE_H
#define TERN_SWARM_ROUTE_H

#include "runtime/io.h"
#include "wire/multiaddr.h"

enum tern_transport {
    TERN_TRANSPORT_TCP,
    TERN_TRANSPORT_WS,
    TERN_TRANSPORT_WSS,
    TERN_TRANSPORT_QUIC,
    TERN_TRANSPORT_WEBTRANSPORT,
    TERN_TRANSPORT_WEBRTC,
    TERN_TRANSPORT_COUNT
};

/* Sets of transports are bit sets. */
#define TERN_TRANSPORT_BIT(transport) (1u << (transport))
#define TERN_TRANSPORTS_ALL           ((1u << TERN_TRANSPORT_COUNT) - 1)

/* tern_transport_name is "tcp", "ws", "wss", "quic-v1", "webtransport" or "webrtc-direct". */
const char *tern_transport_name(enum tern_transport transport);

/* tern_transport_on_udp: does it live on a socket of datagrams, rather than on a link? */
bool tern_transport_on_udp(enum tern_transport transport);

/* One way to reach somebody: where, and what is spoken there. */
struct tern_route {
    enum tern_transport transport;
    struct tern_endpoint endpoint;
};

enum tern_target_kind {
    TERN_TARGET_ENDPOINT,
    TERN_TARGET_NAME,    /* resolve: IP4, IP6 or IP; then the route's port */
    TERN_TARGET_DNSADDR, /* resolve: TXT */
};

enum { TERN_TARGET_CERTHASHES_MAX = 8 };

/* An address, read. Views are borrowed from it. */
struct tern_target {
    enum tern_target_kind kind;
    struct tern_route route; /* NAME: without the IP */
    enum tern_resolve_kind resolve;
    struct tern_view name;
    struct tern_view host;   /* what to call the other end in HTTP and TLS: the SNI, or else the
                                name; empty: its IP */
    struct tern_view hashes; /* the row of certhash components */
    struct tern_peer_id id;  /* of a trailing /p2p; none if there is none */
};

/* tern_target_of reads a checked address. TERN_ERR_UNSUPPORTED: not of a transport that we know;
 * TERN_ERR_INVALID: it can never be dialled (port 0, unspecified, multicast). */
TERN_NODISCARD tern_err tern_target_of(struct tern_view addr, struct tern_target *target);

/* tern_target_certhashes views the multihashes in a row of certhash components, at most max. */
size_t tern_target_certhashes(struct tern_view hashes, struct tern_view *out, size_t max);

/* tern_route_of_listen reads an address for listening: port 0 and unspecified are fine; hashes of
 * certificates are ignored, for they are ours to say. TERN_ERR_UNSUPPORTED. */
TERN_NODISCARD tern_err tern_route_of_listen(struct tern_view addr, struct tern_route *route);

/* tern_route_multiaddr makes the address of a route. */
void tern_route_multiaddr(const struct tern_route *route, struct tern_multiaddr *addr);

bool tern_route_equal(const struct tern_route *a, const struct tern_route *b);

/* --- endpoints --- */

void tern_endpoint_ip(const struct tern_endpoint *endpoint, struct tern_ip *ip);
bool tern_endpoint_equal(const struct tern_endpoint *a, const struct tern_endpoint *b);

/* tern_endpoint_same_group: are both of one IPv4 address, or of one IPv6 /56 (what one household or
 * one rented machine usually has)? */
bool tern_endpoint_same_group(const struct tern_endpoint *a, const struct tern_endpoint *b);

#endif
