/*
 * The gossip RPC: what pubsub peers send each other, a varint-delimited protobuf (libp2p/specs
 * pubsub/README.md; gossipsub v1.0 and v1.1 for the control message). Decoding gives views;
 * encoding appends whole fields, so a control message is built by appending its entries one after
 * another.
 *
 *   RPC { 1 subscriptions {1 subscribe, 2 topic}*, 2 publish Message*, 3 control }
 *   Message { 1 from, 2 data, 3 seqno, 4 topic, 5 signature, 6 key }
 *   Control { 1 ihave {1 topic, 2 id*}*, 2 iwant {1 id*}*, 3 graft {1 topic}*,
 *             4 prune {1 topic, 2 peers {1 id, 2 record}*, 3 backoff s}* }
 *
 * Topics and ids are bytes: no text is validated.
 */
#ifndef TERN_PROTOCOL_GOSSIP_RPC_H
#define TERN_PROTOCOL_GOSSIP_RPC_H

#include "base/error.h"
#include "base/types.h"
#include "base/writer.h"
#include "wire/protobuf.h"

enum {
    TERN_GOSSIP_RPC_SUBSCRIPTION = 1,
    TERN_GOSSIP_RPC_PUBLISH = 2,
    TERN_GOSSIP_RPC_CONTROL = 3,
    TERN_GOSSIP_CONTROL_IHAVE = 1,
    TERN_GOSSIP_CONTROL_IWANT = 2,
    TERN_GOSSIP_CONTROL_GRAFT = 3,
    TERN_GOSSIP_CONTROL_PRUNE = 4,
};

struct tern_gossip_message_view {
    struct tern_view raw; /* the whole Message */
    struct tern_view from;
    struct tern_view data;
    struct tern_view seqno;
    struct tern_view topic;
    struct tern_view signature;
    struct tern_view key;
    bool has_from, has_seqno, has_signature, has_key, has_topic;
    /* What the signature covers (behind "libp2p-pubsub:") when the message came in the one form
     * that all implementations write: fields in order, each once, lengths minimal, none unknown.
     * Else empty, and tern_gossip_message_signed writes it anew. */
    struct tern_view signed_part;
};

/* tern_gossip_message_decode: TERN_ERR_MALFORMED, also for a known field of another type. */
TERN_NODISCARD tern_err tern_gossip_message_decode(struct tern_view raw,
                                                   struct tern_gossip_message_view *message);

/* tern_gossip_message_signed appends what is signed: fields 1 to 4, then unknown ones as they came.
 * This is what go-libp2p-pubsub verifies: a copy of a message that somebody put a field into must
 * fail here, too, or its next hop blames us for it. At most raw.size bytes. */
void tern_gossip_message_signed(const struct tern_gossip_message_view *message,
                                struct tern_writer *out);

struct tern_gossip_subscription {
    bool subscribe;
    struct tern_view topic;
};
TERN_NODISCARD tern_err tern_gossip_subscription_decode(struct tern_view raw,
                                                        struct tern_gossip_subscription *out);

/* An ihave, iwant, graft or prune entry: its topic, and an iterator over the rest is the caller's
 * (fields 1/2 are ids, see above). */
struct tern_gossip_prune {
    struct tern_view topic;
    uint64_t backoff_s; /* 0: not given */
};
TERN_NODISCARD tern_err tern_gossip_prune_decode(struct tern_view raw,
                                                 struct tern_gossip_prune *out);

/* tern_gossip_topic_decode reads field 1 of an ihave or graft entry. */
TERN_NODISCARD tern_err tern_gossip_topic_decode(struct tern_view raw, struct tern_view *topic);

/* Appending whole RPC or control fields. */
void tern_gossip_write_subscription(struct tern_writer *out, bool subscribe,
                                    struct tern_view topic);
void tern_gossip_write_graft(struct tern_writer *out, struct tern_view topic);
size_t tern_gossip_graft_size(struct tern_view topic);

#endif
