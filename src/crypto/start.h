/*
 * The libraries behind this layer: OpenSSL (SHA-256, ChaCha20-Poly1305, ECDSA P-256, RSA),
 * libsodium (Ed25519, X25519, ChaCha20-Poly1305 for handshakes, wiping) and libsecp256k1. Each is
 * called from the files named <module>_openssl.c, <module>_sodium.c and secp256k1.c alone.
 */
#ifndef TERN_CRYPTO_START_H
#define TERN_CRYPTO_START_H

#include "base/error.h"

/* tern_crypto_start lets libsodium choose the fastest code for this processor. Programs call it
 * once, before they start threads; calling it again does no harm. Without it everything works and
 * gives the same results, slower. TERN_ERR_INTERNAL: libsodium found no source of entropy. */
TERN_NODISCARD tern_err tern_crypto_start(void);

#endif
