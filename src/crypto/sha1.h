/*
 * SHA-1 (FIPS 180-4), for protocols that prove nothing by it: WebSocket's answer to its key. Never
 * for signatures or identities.
 */
#ifndef TERN_CRYPTO_SHA1_H
#define TERN_CRYPTO_SHA1_H

#include "base/types.h"

enum { TERN_SHA1_SIZE = 20 };

/* tern_sha1_parts hashes the concatenation of several views. It cannot fail. */
void tern_sha1_parts(const struct tern_view *parts, size_t parts_count,
                     uint8_t digest[TERN_SHA1_SIZE]);

#endif
