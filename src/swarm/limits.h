/*
 * What a swarm may use, and what it says when that is not enough.
 *
 *     system ─┬─ transient (until a connection is established) ─ connection
 *             └─ peer ─────────────────────────────────────────── connection ─ stream
 *     beside them, for streams and for the memory of services:
 *     service, service and peer, protocol, protocol and peer
 *
 * A reservation counts in all the scopes it concerns, or in none. A stream that is still agreeing
 * on its protocol counts in its connection's scope and those above; its receive window is memory of
 * the connection. What a service keeps for a stream (a message that came in part) is memory of the
 * stream, and of all that the stream belongs to; what it keeps besides is the service's.
 *
 * All limits are rows of one table (limits.def). A row's option is its name wherever it is printed,
 * set or refused. A number 0 is no limit.
 */
#ifndef TERN_SWARM_LIMITS_H
#define TERN_SWARM_LIMITS_H

#include "base/scope.h"
#include "base/writer.h"
#include "wire/ip.h"
#include "wire/peer_id.h"

enum tern_scope_kind {
    TERN_SCOPE_NONE,
    TERN_SCOPE_SYSTEM,
    TERN_SCOPE_TRANSIENT,
    TERN_SCOPE_PEER,
    TERN_SCOPE_CONNECTION,
    TERN_SCOPE_STREAM,
    TERN_SCOPE_SERVICE,
    TERN_SCOPE_SERVICE_PEER,
    TERN_SCOPE_PROTOCOL,
    TERN_SCOPE_PROTOCOL_PEER,
    TERN_SCOPE_KINDS
};

/* tern_scope_kind_name is "system", "service_peer" …: as in options and metrics. */
const char *tern_scope_kind_name(enum tern_scope_kind kind);

/* Sizes of subnets whose inbound connections are counted together. */
enum tern_subnet_level {
    TERN_SUBNET_IP4_32,
    TERN_SUBNET_IP4_24,
    TERN_SUBNET_IP6_64,
    TERN_SUBNET_IP6_56,
    TERN_SUBNET_IP6_48,
    TERN_SUBNET_LEVELS
};

/* A token bucket: so many at once, and so many in the long run. per_minute 0: no limit. */
struct tern_rate {
    uint32_t per_minute;
    uint32_t burst;
};

struct tern_subnet_limits {
    uint32_t connections_max;    /* inbound ones, established or not */
    struct tern_rate handshakes; /* inbound connections that begin */
};

struct tern_swarm_limits {
    struct tern_scope_limits system;
    struct tern_scope_limits transient;
    struct tern_scope_limits peer;
    struct tern_scope_limits connection;
    struct tern_scope_limits stream;
    struct tern_scope_limits service;
    struct tern_scope_limits service_peer;
    struct tern_scope_limits protocol;
    struct tern_scope_limits protocol_peer;
    uint32_t connections_per_peer_max;
    uint32_t connections_high;          /* more open connections than this are trimmed … */
    uint32_t connections_low;           /* … to so many (manager.h) */
    uint32_t transient_per_address_max; /* inbound connections that are not established yet, of one
                                           IPv4 address or IPv6 /56 */
    uint32_t transient_shared_max; /* when so many of them there are, only addresses that have none
                                      get one more */
    struct tern_subnet_limits subnets[TERN_SUBNET_LEVELS];
    struct tern_rate handshakes; /* of everybody together: each costs public-key work */
    uint32_t dials_max;          /* attempts under way at once; more wait their turn */
    uint32_t dials_per_peer_max; /* of them to one peer */
    uint32_t dials_waiting_max;  /* dials (peers being dialled) at once; more are TERN_ERR_FULL */
    uint32_t peers_max;          /* peers in the address book */
    uint32_t links_max;          /* highest link slot + 1 the world may use */
    uint64_t windows_max;        /* bytes that stream windows may grow to, together */
};

enum tern_swarm_profile {
    TERN_PROFILE_METER,      /* 16 connections, 8 MiB */
    TERN_PROFILE_DEFAULT,    /* 512 connections, 512 MiB */
    TERN_PROFILE_SERVER,     /* 16,384 connections, 4 GiB */
    TERN_PROFILE_SIMULATION, /* 256 connections, 16 MiB */
};
void tern_swarm_limits_profile(struct tern_swarm_limits *limits, enum tern_swarm_profile profile);

/* The table's rows. */
enum tern_limit {
#define S(scope, member, resource, option, what) TERN_LIMIT_##scope##_##resource,
#define N(name, member, unit, option, what)      TERN_LIMIT_##name,
#include "swarm/limits.def"
#undef S
#undef N
    TERN_LIMIT_COUNT
};

/* What a row says. Texts are static. */
struct tern_limit_info {
    enum tern_scope_kind scope;  /* NONE: a number of its own */
    enum tern_resource resource; /* of a scope */
    const char *option;          /* "peer.streams_in" */
    const char *unit;            /* "inbound streams" */
    const char *what;            /* what it bounds */
};

const struct tern_limit_info *tern_limit_info(enum tern_limit limit);
/* tern_limit_find finds the row of an option's name; TERN_LIMIT_COUNT: there is none. */
enum tern_limit tern_limit_find(struct tern_view option);
/* tern_limit_get and set the row's number; one that it cannot hold becomes the largest it can. */
uint64_t tern_limit_get(const struct tern_swarm_limits *limits, enum tern_limit limit);
void tern_limit_set(struct tern_swarm_limits *limits, enum tern_limit limit, uint64_t value);

enum { TERN_REFUSAL_NAME_SIZE_MAX = 64 };

/* Which limit refused something, and how full it was. Plain data; texts are static. */
struct tern_refusal {
    const struct tern_limit_info *limit_info; /* NULL: no limit was in the way */
    uint64_t used;
    uint64_t limit;
    uint64_t asked;                            /* how much more was asked for */
    bool own;                                  /* a limit that the program has set for this one */
    const char *service;                       /* its name; of SERVICE, SERVICE_PEER, STREAM */
    struct tern_peer_id peer;                  /* size 0: none, or not known yet */
    char protocol[TERN_REFUSAL_NAME_SIZE_MAX]; /* its name, perhaps cut; of PROTOCOL, PROTOCOL_PEER,
                                                  STREAM */
    struct tern_ip subnet;                     /* family 0: none */
    uint8_t subnet_bits;
};

/* tern_refusal_format writes one sentence without a full stop: who has used how much of which
 * limit, and the option that allows more. At most TERN_REFUSAL_TEXT_SIZE_MAX - 1 characters;
 * nothing when nothing was refused. */
enum { TERN_REFUSAL_TEXT_SIZE_MAX = 512 };
void tern_refusal_format(const struct tern_refusal *refusal, struct tern_writer *out);

#endif
