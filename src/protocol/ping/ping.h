/*
 * Ping: is a peer there, and how far away? 32 random bytes go out and come back the same. This is
 * the smallest whole service, and the template for the next.
 *
 *   serving:  whatever comes on a stream goes back on it, at the remote's pace, until it ends its
 * side asking:   open ─ 32 bytes ─► … 32 bytes ─► PONG with the round trip, or why there is none
 *
 * A ping's bytes ride with the stream's negotiation, so a round trip is what is measured. Limits:
 * TERN_PING_RUNNING_MAX at once; two streams with a peer each way, which the specification lets a
 * listener hold others to: a third ping waits until one of the streams has ended at both sides, and
 * its time-out runs meanwhile. Not thread safe.
 *
 * Specification: libp2p/specs ping/ping.md.
 */
#ifndef TERN_PROTOCOL_PING_PING_H
#define TERN_PROTOCOL_PING_PING_H

#include "base/mem.h"
#include "base/random.h"
#include "swarm/swarm.h"

#define TERN_PING_PROTOCOL "/ipfs/ping/1.0.0"

enum { TERN_PING_SIZE = 32, TERN_PING_RUNNING_MAX = 64 };

struct tern_ping;

TERN_NODISCARD tern_err tern_ping_new(struct tern_mem *mem, struct tern_random *random,
                                      struct tern_swarm *swarm, struct tern_ping **ping);
void tern_ping_free(struct tern_ping *ping);

/* tern_ping_send pings a connected peer; an event with the token follows within timeout_ns.
 * TERN_ERR_FULL: too many are running; errors of tern_swarm_open_stream. */
struct tern_ping_request {
    tern_peer peer;
    tern_token token;
    tern_time timeout_ns;
};
TERN_NODISCARD tern_err tern_ping_send(struct tern_ping *ping, tern_time now,
                                       const struct tern_ping_request *request);

struct tern_ping_event {
    tern_token token;
    tern_peer peer;
    tern_err err; /* TERN_OK: rtt_ns; PROTOCOL: other bytes came back; TIMEOUT; NO_PROTOCOL; … */
    tern_time rtt_ns;
};
bool tern_ping_next(struct tern_ping *ping, struct tern_ping_event *event);

#endif
