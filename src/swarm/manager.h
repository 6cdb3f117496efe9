/*
 * The connection manager: how much each peer is worth to us, and who has to go when there are too
 * many connections.
 *
 * A peer's value is the sum of its tags. A tag is a number that a service gives a peer for
 * something (it is in our mesh, it has answered a request); its rule says how it falls with time. A
 * service registers its rules once. Whom services protect is never trimmed and never ended as idle;
 * each reason counts by itself.
 *
 * When there are more than connections_high open connections, those of the least valuable peers are
 * ended until connections_low are left (limits.h), at most every trim_interval_ns. Of equal value
 * those go first that nobody uses, then inbound ones, then those with fewer streams, then the
 * younger ones: who has been there long is likely to stay. A peer is left alone for trim_grace_ns
 * after it came, and does not count until then: a rush of new ones drives out nobody. All
 * connections of a peer go together.
 *
 * When the limit of inbound connections is near, room is made for a newcomer, as far as that makes
 * the neighbourhood more diverse: an inbound, unused, unprotected, untagged peer goes whose subnet
 * has more connections than the newcomer's. So whoever floods us from one subnet crowds out its own
 * and nobody else, and one who comes from elsewhere still gets in.
 */
#ifndef TERN_SWARM_MANAGER_H
#define TERN_SWARM_MANAGER_H

#include "swarm/swarm.h"

enum tern_tag_decay {
    TERN_TAG_STAYS,
    TERN_TAG_FIXED,       /* each interval: amount less */
    TERN_TAG_LINEAR,      /* each interval: amount percent of what it was when it was set less */
    TERN_TAG_EXPONENTIAL, /* each interval: amount percent of what is left less */
};

struct tern_tag_rule {
    const char *name; /* static text */
    enum tern_tag_decay decay;
    tern_time interval_ns; /* not 0 unless it stays */
    uint32_t amount;
    int32_t value_max; /* of bumps; 0: no limit */
};

enum { TERN_SWARM_TAGS_MAX = 32 };

/* tern_swarm_tag_rule registers a rule; *tag is its number. TERN_ERR_FULL. */
TERN_NODISCARD tern_err tern_swarm_tag_rule(struct tern_swarm *swarm,
                                            const struct tern_tag_rule *rule, uint32_t *tag);

/* tern_swarm_tag sets a peer's tag (0 takes it away), tern_swarm_tag_bump adds to what is left of
 * it. A value may be negative; it falls towards 0 in either case. Stale handles are ignored;
 * without memory nothing is set. */
void tern_swarm_tag(struct tern_swarm *swarm, tern_peer peer, uint32_t tag, int32_t value);
void tern_swarm_tag_bump(struct tern_swarm *swarm, tern_peer peer, uint32_t tag, int32_t delta);

/* tern_swarm_tag_value is what is left of a tag now, tern_swarm_peer_value the sum of all. */
int32_t tern_swarm_tag_value(const struct tern_swarm *swarm, tern_peer peer, uint32_t tag);
int64_t tern_swarm_peer_value(const struct tern_swarm *swarm, tern_peer peer);

/* Why a peer is protected. */
enum tern_protect {
    TERN_PROTECT_APPLICATION,
    TERN_PROTECT_KEPT,    /* static: it is to stay connected */
    TERN_PROTECT_MESH,    /* gossip: in the mesh of a topic */
    TERN_PROTECT_REQUEST, /* an answer of it is awaited */
    TERN_PROTECT_SYNC,    /* the chain is compared with it */
    TERN_PROTECT_COUNT
};

/* tern_swarm_protect keeps a peer's connections from being ended as idle and from being trimmed, as
 * long as it is not unprotected as often, for the same reason. */
void tern_swarm_protect(struct tern_swarm *swarm, tern_peer peer, enum tern_protect reason);
void tern_swarm_unprotect(struct tern_swarm *swarm, tern_peer peer, enum tern_protect reason);
/* tern_swarm_protected: how often, for this reason; for all together if it is COUNT. */
uint32_t tern_swarm_protected(const struct tern_swarm *swarm, tern_peer peer,
                              enum tern_protect reason);

/* --- kept peers --- */

/*
 * A kept peer is dialled until it is connected and again when it is lost; it is protected. Between
 * two attempts there is, after n failures in a row:
 *
 *     n      0    1   2   3   4   5    6    7    8     9     10 and more
 *     wait   0 s  1 s 2 s 4 s 8 s 16 s 32 s 64 s 128 s 256 s 300 s
 *
 * and up to a quarter of it besides (250 ms for n = 0), another for each two peers and the same
 * each time. A dial that finds no connection is a failure, and so is a connection that ends within
 * 10 s: a peer that is there and gone again is not there. A connection that lasts longer forgets
 * the failures. They are kept in the store with the address book, when that is: peers to be kept
 * are named before the first input, so that they are known when it is loaded.
 */
enum tern_breaker_state {
    TERN_BREAKER_CLOSED,    /* connected, and has proven itself */
    TERN_BREAKER_OPEN,      /* waits until it is dialled */
    TERN_BREAKER_HALF_OPEN, /* is being dialled, or connected for less than 10 s */
};

enum { TERN_SWARM_KEPT_MAX = 256 };

/* tern_swarm_keep keeps a peer whose addresses are in the book (tern_swarm_add_address);
 * idempotent. TERN_ERR_SELF, FULL, MEMORY. */
TERN_NODISCARD tern_err tern_swarm_keep(struct tern_swarm *swarm, tern_time now,
                                        const struct tern_peer_id *id);
/* tern_swarm_unkeep stops that; a connection stays until it is idle. */
void tern_swarm_unkeep(struct tern_swarm *swarm, const struct tern_peer_id *id);

struct tern_kept_peer {
    struct tern_peer_id id;
    enum tern_breaker_state state;
    uint32_t failures;  /* in a row */
    tern_time retry_at; /* OPEN; else NEVER */
    tern_peer peer;     /* 0: not connected */
};

bool tern_swarm_kept_find(const struct tern_swarm *swarm, const struct tern_peer_id *id,
                          struct tern_kept_peer *kept);
/* tern_swarm_kept_next gives the one after this (NULL: the first), in order of keeping. */
bool tern_swarm_kept_next(const struct tern_swarm *swarm, const struct tern_peer_id *after,
                          struct tern_kept_peer *kept);

/* --- bandwidth --- */

/*
 * Quotas hold bytes up, they lose none. Out: less is given to the world. In: streams give less to
 * read, and by that less credit to the remote; what is read counts. Over seconds the rates are
 * exact to a few per cent. The smallest quota is TERN_QUOTA_MIN: with less, a frame would take so
 * long that the remote's pings time out. Busy peers share the total evenly, and have what others do
 * not use.
 *
 * Of connections on datagrams (QUIC …) what streams write counts instead of what is sent: headers,
 * acknowledgements and what is sent again come on top (some per cent, more on bad lines).
 */
#define TERN_QUOTA_MIN UINT64_C(16384)
#define TERN_QUOTA_MAX UINT64_C(16000000000)

/* tern_swarm_set_quotas sets what everything may use together, and what each peer may (default: the
 * configuration's; tern_quotas in swarm.h). */
void tern_swarm_set_quotas(struct tern_swarm *swarm, tern_time now,
                           const struct tern_quotas *quotas);
/* tern_swarm_set_peer_quota sets what one peer may use instead, connected or not; NULL: as others.
 * TERN_ERR_FULL, MEMORY. */
TERN_NODISCARD tern_err tern_swarm_set_peer_quota(struct tern_swarm *swarm, tern_time now,
                                                  const struct tern_peer_id *id,
                                                  const struct tern_quota quotas[TERN_DIRECTIONS]);

/* tern_swarm_traffic is what passes in all, tern_swarm_peer_traffic with one peer (false: no such
 * peer): bytes on links and datagrams' payload. */
void tern_swarm_traffic(const struct tern_swarm *swarm, tern_time now,
                        struct tern_traffic *traffic);
bool tern_swarm_peer_traffic(const struct tern_swarm *swarm, tern_time now, tern_peer peer,
                             struct tern_traffic *traffic);

/* What passes on streams of one protocol: bytes that services write and read. */
struct tern_protocol_traffic {
    struct tern_view name; /* borrowed until the next call that uses a protocol */
    uint64_t streams_in;
    uint64_t streams_out;
    struct tern_traffic traffic;
};

/* tern_swarm_protocol_traffic_next goes on to the protocol behind traffic->name (empty: the first);
 * false: there is none. */
bool tern_swarm_protocol_traffic_next(const struct tern_swarm *swarm, tern_time now,
                                      struct tern_protocol_traffic *traffic);

/* --- the whole --- */

/* tern_swarm_trim trims to connections_low now, whatever the interval. What it ends goes in the
 * next dispatches. */
void tern_swarm_trim(struct tern_swarm *swarm);

/* tern_swarm_open_count is how many connections are established and not ending. */
size_t tern_swarm_open_count(const struct tern_swarm *swarm);

#endif
