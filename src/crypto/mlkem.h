/*
 * ML-KEM-768 (FIPS 203), by OpenSSL 3.5 and later. An older library has no such thing, which is
 * found out when it runs: tern_mlkem_available. All randomness is the caller's.
 *
 * Thread safe. A secret key is its seed (d ‖ z); who holds it, an entropy or a shared secret wipes
 * it.
 */
#ifndef TERN_CRYPTO_MLKEM_H
#define TERN_CRYPTO_MLKEM_H

#include "base/error.h"
#include "base/types.h"

enum {
    TERN_MLKEM_SEED_SIZE = 64,
    TERN_MLKEM_PUBLIC_SIZE = 1184,
    TERN_MLKEM_ENTROPY_SIZE = 32,
    TERN_MLKEM_CIPHER_SIZE = 1088,
    TERN_MLKEM_SHARED_SIZE = 32,
};

/* tern_mlkem_available: does the library have it? */
bool tern_mlkem_available(void);

/* tern_mlkem_public computes the public key of a seed. TERN_ERR_UNSUPPORTED: the library has no
 * ML-KEM; TERN_ERR_MEMORY: it has no memory. */
TERN_NODISCARD tern_err tern_mlkem_public(const uint8_t seed[TERN_MLKEM_SEED_SIZE],
                                          uint8_t public_key[TERN_MLKEM_PUBLIC_SIZE]);

/* What is told to the holder of a key, and what only the two know. */
struct tern_mlkem_encapsulated {
    uint8_t cipher[TERN_MLKEM_CIPHER_SIZE];
    uint8_t shared[TERN_MLKEM_SHARED_SIZE];
};

/* tern_mlkem_encapsulate makes a shared secret of fresh entropy. Likewise; also TERN_ERR_BAD_KEY:
 * the public key is none (FIPS 203, section 7.2). */
TERN_NODISCARD tern_err tern_mlkem_encapsulate(const uint8_t public_key[TERN_MLKEM_PUBLIC_SIZE],
                                               const uint8_t entropy[TERN_MLKEM_ENTROPY_SIZE],
                                               struct tern_mlkem_encapsulated *out);

/* tern_mlkem_decapsulate computes the shared secret of what was told. Of what nobody honest has
 * told it computes another one, which nobody else knows. Errors as of public. */
TERN_NODISCARD tern_err tern_mlkem_decapsulate(const uint8_t seed[TERN_MLKEM_SEED_SIZE],
                                               const uint8_t cipher[TERN_MLKEM_CIPHER_SIZE],
                                               uint8_t shared[TERN_MLKEM_SHARED_SIZE]);

#endif
