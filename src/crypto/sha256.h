/*
 * SHA-256 (FIPS 180-4), by value: the running state lives in the caller's struct, needs no
 * allocation, no shared context, cannot fail, and may be copied to branch a transcript.
 *
 * HMAC (RFC 2104) and HKDF (RFC 5869) over it.
 */
#ifndef TERN_CRYPTO_SHA256_H
#define TERN_CRYPTO_SHA256_H

#include "base/types.h"

enum { TERN_SHA256_SIZE = 32, TERN_SHA256_BLOCK_SIZE = 64 };

struct tern_sha256 {
    union {
        uint64_t align;
        uint8_t opaque[112]; /* the library's state */
    } state;
};

void tern_sha256_init(struct tern_sha256 *sha);
void tern_sha256_update(struct tern_sha256 *sha, struct tern_view bytes);

/* tern_sha256_final writes the digest; the state is used up. */
void tern_sha256_final(struct tern_sha256 *sha, uint8_t digest[TERN_SHA256_SIZE]);

/* tern_sha256 hashes in one go; tern_sha256_parts the concatenation of several views. */
void tern_sha256(struct tern_view bytes, uint8_t digest[TERN_SHA256_SIZE]);
void tern_sha256_parts(const struct tern_view *parts, size_t parts_count,
                       uint8_t digest[TERN_SHA256_SIZE]);

/* tern_hmac_sha256 authenticates message under a key of any size. */
void tern_hmac_sha256(struct tern_view key, struct tern_view message,
                      uint8_t mac[TERN_SHA256_SIZE]);

enum { TERN_HKDF_SIZE_MAX = 255 * TERN_SHA256_SIZE };

/* tern_hkdf_extract makes a pseudorandom key from input key material; an empty salt is 32 zero
 * bytes. */
void tern_hkdf_extract(struct tern_view salt, struct tern_view input,
                       uint8_t key[TERN_SHA256_SIZE]);

/* tern_hkdf_expand fills out (at most TERN_HKDF_SIZE_MAX bytes, checked) from a pseudorandom key.
 */
void tern_hkdf_expand(const uint8_t key[TERN_SHA256_SIZE], struct tern_view info,
                      struct tern_span out);

#endif
