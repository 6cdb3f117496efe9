/*
 * IP addresses as data: text both ways and the ranges that matter to a peer. No operating system
 * behind it, so the simulator and the parsers of peers' bytes can use it.
 *
 * Text of IPv6 is written as RFC 5952 says (shortest, lower case, the longest run of zeros as "::",
 * and IPv4-mapped addresses with a dotted tail) and read in every form of RFC 4291 section 2.2.
 * IPv4 is read as four decimal numbers without leading zeros only. Zones ("%eth0") are not part of
 * it.
 */
#ifndef TERN_WIRE_IP_H
#define TERN_WIRE_IP_H

#include "base/error.h"
#include "base/types.h"
#include "base/writer.h"

enum { TERN_IP_TEXT_SIZE_MAX = 46 /* and a terminator */ };

struct tern_ip {
    uint8_t family;    /* 4 or 6 */
    uint8_t bytes[16]; /* network order; the first 4 for IPv4, the others zero then */
};

static inline size_t tern_ip_size(const struct tern_ip *ip)
{
    return ip->family == 4 ? 4 : 16;
}

static inline bool tern_ip_equal(const struct tern_ip *a, const struct tern_ip *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* tern_ip4_parse and tern_ip6_parse read one family; tern_ip_parse either. TERN_ERR_MALFORMED. */
TERN_NODISCARD tern_err tern_ip4_parse(struct tern_view text, struct tern_ip *ip);
TERN_NODISCARD tern_err tern_ip6_parse(struct tern_view text, struct tern_ip *ip);
TERN_NODISCARD tern_err tern_ip_parse(struct tern_view text, struct tern_ip *ip);

/* tern_ip_format appends at most TERN_IP_TEXT_SIZE_MAX - 1 characters. */
void tern_ip_format(const struct tern_ip *ip, struct tern_writer *text);

enum tern_ip_range {
    TERN_IP_PUBLIC,      /* reachable from anywhere, as far as the number tells */
    TERN_IP_UNSPECIFIED, /* 0.0.0.0, :: */
    TERN_IP_LOOPBACK,    /* 127/8, ::1 */
    TERN_IP_PRIVATE,     /* 10/8, 172.16/12, 192.168/16, fc00::/7 */
    TERN_IP_SHARED,      /* 100.64/10: carrier-grade NAT (RFC 6598) */
    TERN_IP_LINK_LOCAL,  /* 169.254/16, fe80::/10 */
    TERN_IP_MULTICAST,   /* 224/4, ff00::/8 */
    TERN_IP_RESERVED,    /* documentation, benchmarking, 0/8, 240/4, 2001:db8::/32, discard … */
};

/* tern_ip_range classifies; an IPv4-mapped or NAT64 (64:ff9b::/96) address as the IPv4 one inside.
 */
enum tern_ip_range tern_ip_range(const struct tern_ip *ip);

/* tern_ip_prefix_equal compares the first `bits` bits; false when the families differ. */
bool tern_ip_prefix_equal(const struct tern_ip *a, const struct tern_ip *b, unsigned bits);

#endif
