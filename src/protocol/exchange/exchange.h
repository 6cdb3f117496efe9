/*
 * Peer exchange: peers learned from peers. A node that is started with one address asks whoever it
 * meets for signed peer records and so finds the others.
 *
 *   asking:   on meeting a peer that serves it, and again every few minutes: open, end our side
 *   serving:  our own record, then some of those we hold, each length-delimited; end
 *
 * A record is a signed envelope: whoever passes it on cannot change it, and what it says goes into
 * the address book as the peer's own word. Bounds: records an answer and in memory, size of each,
 * one request in TERN_EXCHANGE_PAUSE_NS from each peer.
 *
 * The protocol is Tern's own, "/tern/peers/1.0.0"; envelopes are libp2p RFC 0002 and 0003.
 */
#ifndef TERN_PROTOCOL_EXCHANGE_EXCHANGE_H
#define TERN_PROTOCOL_EXCHANGE_EXCHANGE_H

#include "base/mem.h"
#include "base/random.h"
#include "swarm/swarm.h"

#define TERN_EXCHANGE_PROTOCOL "/tern/peers/1.0.0"
#define TERN_EXCHANGE_PAUSE_NS (5 * TERN_SECOND)

enum {
    TERN_EXCHANGE_RECORDS_MAX = 32, /* in one answer */
    TERN_EXCHANGE_CACHE_MAX = 512,  /* held */
    TERN_EXCHANGE_RECORD_SIZE_MAX = 4096,
};

struct tern_exchange;

TERN_NODISCARD tern_err tern_exchange_new(struct tern_mem *mem, struct tern_random *random,
                                          struct tern_swarm *swarm,
                                          struct tern_exchange **exchange);
void tern_exchange_free(struct tern_exchange *exchange);

/* tern_exchange_count is how many peers' records are held. */
size_t tern_exchange_count(const struct tern_exchange *exchange);

#endif
