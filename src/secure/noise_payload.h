/*
 * The payload that libp2p puts in Noise's messages 2 and 3.
 *
 *     NoiseHandshakePayload { 1 identity_key, 2 identity_sig, 4 extensions }
 *     NoiseExtensions       { 1 repeated webtransport_certhashes, 2 repeated stream_muxers }
 *
 * Unknown fields are skipped. The signature covers "noise-libp2p-static-key:" ‖ static public key.
 *
 * Specification: libp2p/specs noise/README.md, "The libp2p Handshake Payload". Pure, thread safe.
 */
#ifndef TERN_SECURE_NOISE_PAYLOAD_H
#define TERN_SECURE_NOISE_PAYLOAD_H

#include "secure/noise.h"

struct tern_noise_list {
    const struct tern_view *entries;
    size_t count;
};

/* A decoded payload. All views are borrowed from it. */
struct tern_noise_payload {
    struct tern_view identity_key;
    struct tern_view identity_sig;
    size_t certhashes_count;
    size_t muxers_count;
    struct tern_view certhashes[TERN_NOISE_EXTENSION_ENTRIES_MAX];
    struct tern_view muxers[TERN_NOISE_EXTENSION_ENTRIES_MAX];
};

/* tern_noise_payload_decode reads one. TERN_ERR_MALFORMED, TERN_ERR_TOO_LARGE (too many entries);
 * *fault names it. Missing fields are empty. */
TERN_NODISCARD tern_err tern_noise_payload_decode(struct tern_view bytes,
                                                  struct tern_noise_payload *payload,
                                                  tern_fault *fault);

/* The encoded size of the extensions field, and the field; nothing when both lists are empty. */
size_t tern_noise_extensions_size(struct tern_noise_list certhashes, struct tern_noise_list muxers);
void tern_noise_extensions_encode(struct tern_noise_list certhashes, struct tern_noise_list muxers,
                                  struct tern_writer *out);

/* tern_noise_first_common is the first entry of a that is also in b, as an index of a; SIZE_MAX:
 * none. */
size_t tern_noise_first_common(struct tern_noise_list a, struct tern_noise_list b);

/* tern_noise_contains_all: is each entry of some in all? */
bool tern_noise_contains_all(struct tern_noise_list all, struct tern_noise_list some);

#define TERN_NOISE_SIGNED_PREFIX "noise-libp2p-static-key:"
enum { TERN_NOISE_SIGNED_SIZE = sizeof TERN_NOISE_SIGNED_PREFIX - 1 + TERN_NOISE_KEY_SIZE };

/* tern_noise_signed_bytes writes what an identity signs. */
void tern_noise_signed_bytes(const uint8_t static_public[TERN_NOISE_KEY_SIZE],
                             uint8_t out[TERN_NOISE_SIGNED_SIZE]);

#endif
