/*
 * SHA-1 (FIPS 180-4), for protocols that prove nothing by it: WebSocket's answer to its key. HMAC
 * of it (RFC 2104): what STUN authenticates its messages with (RFC 8489). SHA-1 is broken where
 * collisions matter; in an HMAC they do not. Never for signatures or identities.
 */
#ifndef TERN_CRYPTO_SHA1_H
#define TERN_CRYPTO_SHA1_H

#include "base/types.h"

enum { TERN_SHA1_SIZE = 20, TERN_SHA1_BLOCK_SIZE = 64 };

/* tern_sha1_parts hashes the concatenation of several views. It cannot fail. */
void tern_sha1_parts(const struct tern_view *parts, size_t parts_count,
                     uint8_t digest[TERN_SHA1_SIZE]);

/* tern_hmac_sha1_parts authenticates the concatenation of several views under a key of any size. */
void tern_hmac_sha1_parts(struct tern_view key, const struct tern_view *parts, size_t parts_count,
                          uint8_t mac[TERN_SHA1_SIZE]);

#endif
