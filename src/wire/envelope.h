/*
 * Signed envelopes and peer records, as encodings; sealing and opening (signatures) is
 * crypto/envelope.h.
 *
 * An envelope carries a payload, its type, the signer's public key and a signature over
 *     varint(|domain|) domain  varint(|type|) type  varint(|payload|) payload
 * where the domain is agreed out of band, so a signature for one use is worth nothing in another.
 *
 * A peer record is the payload by which a peer vouches for its own addresses; a higher seq replaces
 * a lower one. Limits: TERN_PEER_RECORD_ADDRESSES_MAX addresses (more: TOO_LARGE). Addresses that
 * are no valid multiaddr, or of a protocol we do not know, are skipped and counted, so that a newer
 * peer's record still serves.
 *
 * Specification: libp2p RFC 0002 (signed envelopes), RFC 0003 (routing records). Pure, thread safe.
 */
#ifndef TERN_WIRE_ENVELOPE_H
#define TERN_WIRE_ENVELOPE_H

#include "base/error.h"
#include "base/types.h"
#include "base/writer.h"
#include "wire/peer_id.h"

enum {
    TERN_ENVELOPE_PAYLOAD_SIZE_MAX = 16384,
    TERN_ENVELOPE_DOMAIN_SIZE_MAX = 64,
    TERN_ENVELOPE_TYPE_SIZE_MAX = 64,
    TERN_ENVELOPE_SIGNATURE_SIZE_MAX = 1024, /* RSA 8192 */
    TERN_ENVELOPE_KEY_SIZE_MAX = 1100,       /* RSA 8192 */
    TERN_ENVELOPE_SIZE_MAX = 16384 + 2300,   /* all of that with its headers */
    TERN_PEER_RECORD_ADDRESSES_MAX = 64,
};

struct tern_envelope {
    struct tern_view public_key; /* the protobuf PublicKey message */
    struct tern_view payload_type;
    struct tern_view payload;
    struct tern_view signature;
};

/* tern_envelope_decode reads one; the views are borrowed. TERN_ERR_MALFORMED (also: key or
 * signature missing), TERN_ERR_TOO_LARGE (over a limit above). The signature is not checked here.
 */
TERN_NODISCARD tern_err tern_envelope_decode(struct tern_view bytes,
                                             struct tern_envelope *envelope);

void tern_envelope_encode(const struct tern_envelope *envelope, struct tern_writer *w);
size_t tern_envelope_size(const struct tern_envelope *envelope);

/* tern_envelope_write_signed writes the bytes that the signature covers. */
void tern_envelope_write_signed(const struct tern_envelope *envelope, struct tern_view domain,
                                struct tern_writer *w);

/* What a peer record is sealed with. Also read: the domain and type that rust used before. */
#define TERN_PEER_RECORD_DOMAIN        "libp2p-peer-record"
#define TERN_PEER_RECORD_TYPE          "\x03\x01"
#define TERN_PEER_RECORD_LEGACY_DOMAIN "libp2p-routing-state"
#define TERN_PEER_RECORD_LEGACY_TYPE   "/libp2p/routing-state-record"

struct tern_peer_record {
    struct tern_peer_id peer_id;
    uint64_t seq;
    size_t addresses_count;
    size_t addresses_skipped;
    struct tern_view addresses[TERN_PEER_RECORD_ADDRESSES_MAX]; /* checked multiaddrs, borrowed */
};

/* tern_peer_record_decode reads one. TERN_ERR_MALFORMED (also: a bad or missing peer id),
 * TERN_ERR_TOO_LARGE (too many addresses). */
TERN_NODISCARD tern_err tern_peer_record_decode(struct tern_view bytes,
                                                struct tern_peer_record *record);

void tern_peer_record_encode(const struct tern_peer_record *record, struct tern_writer *w);

#endif
