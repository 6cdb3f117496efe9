/*
 * X25519 key agreement (RFC 7748), by libsodium. Keys are 32 bytes of plain data; the owner wipes
 * the private one and the shared secret.
 */
#ifndef TERN_CRYPTO_X25519_H
#define TERN_CRYPTO_X25519_H

#include "base/error.h"
#include "base/random.h"
#include "base/types.h"

enum { TERN_X25519_SIZE = 32 };

/* tern_x25519_generate draws a private key from random and computes its public key. */
void tern_x25519_generate(struct tern_random *random, uint8_t private_key[TERN_X25519_SIZE],
                          uint8_t public_key[TERN_X25519_SIZE]);

void tern_x25519_public(const uint8_t private_key[TERN_X25519_SIZE],
                        uint8_t public_key[TERN_X25519_SIZE]);

/* tern_x25519_agree computes the shared secret. TERN_ERR_BAD_KEY: it is all zero, because the
 * remote key has small order; *shared is zero then and must not be used. */
TERN_NODISCARD tern_err tern_x25519_agree(const uint8_t private_key[TERN_X25519_SIZE],
                                          const uint8_t remote_public_key[TERN_X25519_SIZE],
                                          uint8_t shared[TERN_X25519_SIZE]);

#endif
