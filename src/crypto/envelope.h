/*
 * Sealing and opening of signed envelopes and signed peer records; their encoding is
 * wire/envelope.h, which also tells the limits and the specification. Pure; up to 40 KiB of stack.
 *
 * The signature covers an envelope's contents, not its bytes: protobuf can encode the same contents
 * in more than one way, so the bytes of an envelope are no identity.
 */
#ifndef TERN_CRYPTO_ENVELOPE_H
#define TERN_CRYPTO_ENVELOPE_H

#include "crypto/key.h"
#include "wire/envelope.h"

struct tern_envelope_content {
    struct tern_view domain;
    struct tern_view payload_type;
    struct tern_view payload;
};

/* tern_envelope_seal signs and appends a whole envelope. TERN_ERR_TOO_LARGE: over a limit of the
 * content or no room; errors of tern_private_key_sign. */
TERN_NODISCARD tern_err tern_envelope_seal(const struct tern_private_key *key,
                                           const struct tern_envelope_content *content,
                                           struct tern_writer *w);

/* tern_envelope_open decodes an envelope and verifies it for that domain; its views are borrowed
 * from bytes, *signer is the peer id of its key. TERN_ERR_BAD_SIGNATURE, errors of
 * tern_envelope_decode and tern_public_key_decode. The caller checks payload_type and whether
 * signer may say this. */
TERN_NODISCARD tern_err tern_envelope_open(struct tern_view bytes, struct tern_view domain,
                                           struct tern_envelope *envelope,
                                           struct tern_peer_id *signer);

/* tern_peer_record_seal signs a record; record->peer_id is the key's (checked). Errors of
 * tern_envelope_seal. */
TERN_NODISCARD tern_err tern_peer_record_seal(const struct tern_private_key *key,
                                              const struct tern_peer_record *record,
                                              struct tern_writer *w);

/* tern_peer_record_open opens an envelope that holds a peer record, in today's domain or the one
 * rust used before. TERN_ERR_PEER_MISMATCH: signed by another peer than the record is about;
 * TERN_ERR_PROTOCOL: an envelope of something else; errors of tern_envelope_open and
 * tern_peer_record_decode. Addresses are borrowed from bytes. */
TERN_NODISCARD tern_err tern_peer_record_open(struct tern_view bytes,
                                              struct tern_peer_record *record);

#endif
