/*
 * The public-key operations that a handshake cannot do without, of both ends together, each as Tern
 * calls it: what the bare cryptography permits. One thread.
 */
#ifndef TERN_BENCH_OPERATIONS_H
#define TERN_BENCH_OPERATIONS_H

#include "base/random.h"
#include "crypto/key.h"
#include "crypto/x25519.h"

/* Of whose handshake: QUIC's is TLS's. Hosts have Ed25519 keys, certificates keys on P-256. */
enum operations_of { OPERATIONS_NOISE, OPERATIONS_TLS, OPERATIONS_KINDS };

/* A key that signs and verifies. */
struct operations_key {
    struct tern_private_key key;
    uint8_t bytes[TERN_SIGNATURE_SIZE_MAX];
    struct tern_view signature;
};

/* What the operations need; made once. */
struct operations {
    struct tern_random random;
    struct operations_key ed25519;
    struct operations_key p256;
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
