/*
 * The cryptographic half of Noise: the handshakes Noise_XX_25519_ChaChaPoly_SHA256 and
 * Noise_XXhfs_25519+MLKEM768_ChaChaPoly_SHA256 as a value, without framing, payloads' meaning, or
 * memory. secure/noise.h is what others use.
 *
 *     XX:   -> e                    XXhfs:  -> e, e1
 *           <- e, ee, s, es                 <- e, ee, ekem1, s, es
 *           -> s, se                        -> s, se
 *
 * The hybrid one mixes in what ML-KEM-768 gives: e1 is a key of the initiator's, ekem1 what the
 * responder encapsulates to it. Whoever breaks X25519 alone, or ML-KEM alone, has nothing.
 *
 * The two ends call write and read in turn; after three messages, split gives the transport keys. A
 * call may run on any thread: it touches nothing but its arguments.
 *
 * Specification: The Noise Protocol Framework, revision 34, sections 5.1 to 5.3, 7.5; KEM-based
 * Hybrid Forward Secrecy for Noise.
 */
#ifndef TERN_SECURE_NOISE_XX_H
#define TERN_SECURE_NOISE_XX_H

#include "base/fault.h"
#include "crypto/mlkem.h"
#include "secure/noise.h"

enum {
    TERN_NOISE_XX_MESSAGES = 3,
    TERN_NOISE_HASH_SIZE = 32,
    TERN_NOISE_XX_FIELDS_MAX = 32 + 48 + 16, /* a message is its payload and at most this */
    TERN_NOISE_XXHFS_FIELDS_MAX = 32 + TERN_MLKEM_PUBLIC_SIZE,
};

/* SymmetricState and its CipherState. */
struct tern_noise_symmetric {
    uint8_t chaining_key[TERN_NOISE_HASH_SIZE];
    uint8_t hash[TERN_NOISE_HASH_SIZE];
    uint8_t key[TERN_NOISE_KEY_SIZE];
    uint64_t nonce;
    bool has_key;
};

struct tern_noise_xx {
    struct tern_noise_symmetric symmetric;
    enum tern_role role;
    bool hybrid;
    unsigned messages_done; /* 0 .. 3 */
    uint8_t static_secret[TERN_NOISE_KEY_SIZE];
    uint8_t static_public[TERN_NOISE_KEY_SIZE];
    uint8_t ephemeral_secret[TERN_NOISE_KEY_SIZE];
    uint8_t remote_static[TERN_NOISE_KEY_SIZE];
    uint8_t remote_ephemeral[TERN_NOISE_KEY_SIZE];
    uint8_t kem_secret[TERN_MLKEM_SEED_SIZE]; /* an initiator's seed, a responder's entropy */
    const uint8_t *remote_kem; /* a responder's, between message 1, where it lies, and message 2 */
};

struct tern_noise_xx_options {
    enum tern_role role;
    const uint8_t *static_secret; /* TERN_NOISE_KEY_SIZE bytes each, copied */
    const uint8_t *static_public;
    const uint8_t *ephemeral_secret; /* fresh random bytes */
    const uint8_t *kem_secret; /* likewise, TERN_MLKEM_SEED_SIZE of them: the hybrid handshake;
                                  NULL: the other */
    struct tern_view prologue;
};

struct tern_noise_keys {
    uint8_t send[TERN_NOISE_KEY_SIZE];
    uint8_t receive[TERN_NOISE_KEY_SIZE];
};

void tern_noise_xx_init(struct tern_noise_xx *xx, const struct tern_noise_xx_options *options);

/* tern_noise_xx_is_writer: is the next message ours to write? Not so when all are done. */
bool tern_noise_xx_is_writer(const struct tern_noise_xx *xx);

/* tern_noise_xx_size_min is the size of the next message with an empty payload: 32, 96, 64; of the
 * hybrid 1216, 1200, 64. */
size_t tern_noise_xx_size_min(const struct tern_noise_xx *xx);

/* tern_noise_xx_write appends the next message; out has room for the payload and
 * tern_noise_xx_size_min (checked). TERN_ERR_BAD_KEY: a key of the remote's has low order, or is
 * none; the handshake is dead, and *fault names that. The hybrid's also TERN_ERR_UNSUPPORTED and
 * TERN_ERR_MEMORY; its message 2 is written while message 1 still lies where it was read. */
TERN_NODISCARD tern_err tern_noise_xx_write(struct tern_noise_xx *xx, struct tern_view payload,
                                            struct tern_writer *out, tern_fault *fault);

/* tern_noise_xx_read takes the next message of the remote, decrypts it where it lies, and views the
 * payload there. TERN_ERR_MALFORMED (short), TERN_ERR_BAD_KEY, TERN_ERR_BAD_MAC: *fault names it,
 * the handshake is dead. The hybrid's also as of write. */
TERN_NODISCARD tern_err tern_noise_xx_read(struct tern_noise_xx *xx, struct tern_span message,
                                           struct tern_view *payload, tern_fault *fault);

/* tern_noise_xx_split makes the transport keys when all messages are done (checked). */
void tern_noise_xx_split(const struct tern_noise_xx *xx, struct tern_noise_keys *keys);

#endif
