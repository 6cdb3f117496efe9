/*
 * SHA-384 (FIPS 180-4), by value as SHA-256 is (crypto/sha256.h), with HMAC (RFC 2104) and HKDF's
 * second half (RFC 5869) over it: what TLS_AES_256_GCM_SHA384 derives its keys with. Cannot fail.
 */
#ifndef TERN_CRYPTO_SHA384_H
#define TERN_CRYPTO_SHA384_H

#include "base/types.h"

enum { TERN_SHA384_SIZE = 48, TERN_SHA384_BLOCK_SIZE = 128 };

/* tern_sha384_parts hashes the concatenation of several views. */
void tern_sha384_parts(const struct tern_view *parts, size_t parts_count,
                       uint8_t digest[TERN_SHA384_SIZE]);

/* tern_hmac_sha384 authenticates message under a key of any size. */
void tern_hmac_sha384(struct tern_view key, struct tern_view message,
                      uint8_t mac[TERN_SHA384_SIZE]);

enum { TERN_HKDF_SHA384_SIZE_MAX = 255 * TERN_SHA384_SIZE };

/* tern_hkdf_expand_sha384 fills out (at most TERN_HKDF_SHA384_SIZE_MAX bytes, checked) from a
 * pseudorandom key; info has at most TERN_HKDF_SHA384_INFO_MAX bytes (checked). */
enum { TERN_HKDF_SHA384_INFO_MAX = 512 };
void tern_hkdf_expand_sha384(const uint8_t key[TERN_SHA384_SIZE], struct tern_view info,
                             struct tern_span out);

#endif
