/*
 * Identify: what peers tell each other about themselves when they meet: public key, agent,
 * protocols, addresses (signed, when they can), and at which address they see the other.
 * Identify/push says the same again when it changed.
 *
 *   peer up ─ open /ipfs/id/1.0.0 ─► its messages, merged, until it ends its side ─► IDENTIFIED
 *   asked   ─ write ours, end
 *   changed ─ after a second's quiet, open /ipfs/id/push/1.0.0 to every peer that takes it
 *
 * What was learned goes to the swarm: the peer's protocols, its addresses into the address book,
 * our observed address. Bounds: messages and bytes of one answer, addresses, protocols, pushes a
 * minute.
 *
 * Specification: libp2p/specs identify/README.md; envelopes: RFC 0002, 0003.
 */
#ifndef TERN_PROTOCOL_IDENTIFY_IDENTIFY_H
#define TERN_PROTOCOL_IDENTIFY_IDENTIFY_H

#include "base/mem.h"
#include "swarm/swarm.h"

#define TERN_IDENTIFY_PROTOCOL      "/ipfs/id/1.0.0"
#define TERN_IDENTIFY_PUSH_PROTOCOL "/ipfs/id/push/1.0.0"

enum {
    TERN_IDENTIFY_MESSAGES_MAX = 10,
    TERN_IDENTIFY_SIZE_MAX = 8192, /* of one message, and of all of one answer */
    TERN_IDENTIFY_TEXT_MAX = 128,  /* kept of agent and protocol version */
    TERN_IDENTIFY_PUSHES_PER_MINUTE = 10,
};

/* What a peer said of itself. */
struct tern_identity_info {
    struct tern_peer_id id;
    uint16_t agent_size;
    uint16_t version_size;
    char agent[TERN_IDENTIFY_TEXT_MAX];   /* as the peer wrote it: escape before showing */
    char version[TERN_IDENTIFY_TEXT_MAX]; /* its protocol version, likewise */
    size_t protocols_count;
    size_t addresses_count;
    struct tern_multiaddr addresses[TERN_PEER_ADDRS_MAX];
    struct tern_multiaddr observed; /* where it sees us; size 0: not said */
    bool signed_record;             /* it gave a signed peer record that holds */
};

struct tern_identify;

struct tern_identify_options {
    struct tern_mem *mem;
    struct tern_view agent;   /* ours; borrowed for good */
    struct tern_view version; /* ours, such as "ipfs/0.1.0"; likewise */
};

TERN_NODISCARD tern_err tern_identify_new(const struct tern_identify_options *options,
                                          struct tern_swarm *swarm,
                                          struct tern_identify **identify);
void tern_identify_free(struct tern_identify *identify);

/* tern_identify_info is what a connected peer said; NULL: nothing yet. Borrowed until the next
 * input. */
const struct tern_identity_info *tern_identify_info(const struct tern_identify *identify,
                                                    tern_peer peer);

/* tern_identify_record copies the newest signed peer record of a connected peer (an envelope), for
 * passing on; size 0: none. */
struct tern_view tern_identify_record(const struct tern_identify *identify, tern_peer peer);

/* tern_identify_protocol gives the i-th protocol name the peer said; false past the end. */
bool tern_identify_protocol(const struct tern_identify *identify, tern_peer peer, size_t i,
                            struct tern_view *name);

struct tern_identify_event {
    tern_peer peer;
    struct tern_peer_id id;
    tern_err err; /* TERN_OK: tern_identify_info tells; else why not */
    bool pushed;
};
bool tern_identify_next(struct tern_identify *identify, struct tern_identify_event *event);

/* tern_identify_changed tells that what we serve changed: peers will be told. */
void tern_identify_changed(struct tern_identify *identify, tern_time now);

#endif
