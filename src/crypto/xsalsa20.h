/*
 * XSalsa20 as a running key stream, by libsodium: bytes are changed in place, in pieces of any
 * size. It encrypts and does not authenticate. For private networks (secure/pnet.h) alone.
 *
 * Not thread safe. Specification: Bernstein, Extending the Salsa20 nonce (2011).
 */
#ifndef TERN_CRYPTO_XSALSA20_H
#define TERN_CRYPTO_XSALSA20_H

#include "base/types.h"

enum {
    TERN_XSALSA20_KEY_SIZE = 32,
    TERN_XSALSA20_NONCE_SIZE = 24,
    TERN_XSALSA20_BLOCK_SIZE = 64,
};

/* Plain data; its owner wipes it. */
struct tern_xsalsa20 {
    uint8_t key[TERN_XSALSA20_KEY_SIZE]; /* of Salsa20, made from the key and the nonce's start */
    uint8_t nonce[8];
    uint64_t blocks_done;                    /* the next one's number */
    uint8_t block[TERN_XSALSA20_BLOCK_SIZE]; /* of the key stream, of which the end is unused */
    uint8_t block_left;
};

/* tern_xsalsa20_init begins the key stream of a key and a nonce. */
void tern_xsalsa20_init(struct tern_xsalsa20 *stream, const uint8_t key[TERN_XSALSA20_KEY_SIZE],
                        const uint8_t nonce[TERN_XSALSA20_NONCE_SIZE]);

/* tern_xsalsa20_xor adds the next bytes of the key stream to data, in place. */
void tern_xsalsa20_xor(struct tern_xsalsa20 *stream, struct tern_span data);

#endif
