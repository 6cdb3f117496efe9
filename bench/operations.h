/*
 * The bare cryptography that a handshake cannot do without, of both ends together. What takes less
 * than a hundredth of it is left out: encryption, and hashes in Noise. One thread.
 */
#ifndef TERN_BENCH_OPERATIONS_H
#define TERN_BENCH_OPERATIONS_H

#include "base/random.h"
#include "crypto/key.h"
#include "crypto/x25519.h"

/* Of whose handshake. Hosts have Ed25519 keys, and so have the certificates that two of ours show
 * each other; QUIC's handshake is TLS's. */
enum operations_of {
    OPERATIONS_NOISE,
    OPERATIONS_TLS,         /* by those libraries that make them */
    OPERATIONS_TLS_FASTEST, /* the same by the fastest library there is here */
    OPERATIONS_KINDS,
};

/* What the operations need; made once. */
struct operations {
    struct tern_random random;
    struct tern_private_key key;
    uint8_t signature_bytes[TERN_SIGNATURE_SIZE_MAX];
    struct tern_view signature;
    uint8_t secret[TERN_X25519_SIZE];
    uint8_t public_key[TERN_X25519_SIZE];
};

/* operations_init ends the program when it cannot; tern_crypto_start has been called. */
void operations_init(struct operations *o);
void operations_fini(struct operations *o);

/* operations_run does those of so many handshakes. */
void operations_run(struct operations *o, enum operations_of of, unsigned handshakes);

/* operations_text says which they are. */
const char *operations_text(enum operations_of of);

#endif
