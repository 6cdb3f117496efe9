/*
 * Identity keys of the four types that libp2p knows, their protobuf encoding, signatures, and the
 * peer id of a key.
 *
 *     type       public data              private data               signature
 *     Ed25519    32 bytes                 64: seed, public key       64 bytes            libsodium
 *     secp256k1  33 bytes, compressed     32                         DER, over SHA-256 libsecp256k1
 *     ECDSA      SPKI in DER, P-256       SEC 1 in DER               DER, over SHA-256   OpenSSL
 *     RSA        SPKI in DER              PKCS #1 in DER             PKCS #1 v1.5, SHA-256 OpenSSL
 *
 * One key has one encoding and therefore one peer id: decoding accepts nothing that encodes
 * otherwise (protobuf fields in order and minimal, DER, compressed points), except a legacy 96-byte
 * Ed25519 private key. RSA keys have 2048 to 8192 bits and an exponent below 2^31: larger ones are
 * a way to burn our processor (CVE-2023-39533). ECDSA curves other than P-256 are
 * TERN_ERR_UNSUPPORTED.
 *
 * Ed25519 verification is libsodium's: cofactorless, S below the group order, no public key or R of
 * small order, canonical encodings. Every honest signature passes; the rare forged shapes on which
 * implementations differ are refused. Consensus uses this one verifier.
 *
 * Ownership: a key is a value, but ECDSA and RSA keys hold a parsed OpenSSL object: whoever has a
 * key calls fini once, and copies by tern_public_key_copy. Private keys are wiped by fini. Threads:
 * a public key may be used for verification by several threads at once. Specification: libp2p
 * peer-ids/peer-ids.md.
 */
#ifndef TERN_CRYPTO_KEY_H
#define TERN_CRYPTO_KEY_H

#include "base/error.h"
#include "base/random.h"
#include "base/types.h"
#include "base/writer.h"
#include "wire/peer_id.h"

/* Values are those of the protobuf enum KeyType. */
enum tern_key_type {
    TERN_KEY_RSA = 0,
    TERN_KEY_ED25519 = 1,
    TERN_KEY_SECP256K1 = 2,
    TERN_KEY_ECDSA = 3,
};

enum {
    TERN_ED25519_PUBLIC_SIZE = 32,
    TERN_ED25519_SIGNATURE_SIZE = 64,
    TERN_RSA_BITS_MIN = 2048,
    TERN_RSA_BITS_MAX = 8192,
    TERN_PUBLIC_KEY_SIZE_MAX = 1100,  /* encoded: RSA 8192 */
    TERN_PRIVATE_KEY_SIZE_MAX = 5000, /* encoded: RSA 8192 */
    TERN_SIGNATURE_SIZE_MAX = 1024,   /* RSA 8192 */
};

struct tern_openssl_key;

struct tern_public_key {
    enum tern_key_type type;
    union {
        uint8_t ed25519[TERN_ED25519_PUBLIC_SIZE];
        uint8_t secp256k1[64];            /* parsed: libsecp256k1's own form */
        struct tern_openssl_key *openssl; /* ECDSA, RSA: one reference */
    } as;
};

struct tern_private_key {
    struct tern_public_key public_key; /* its OpenSSL object, if any, holds the private part too */
    union {
        uint8_t ed25519[64]; /* seed, public key */
        uint8_t secp256k1[32];
        uint8_t ecdsa[32];
    } as; /* RSA: nothing */
};

/* tern_key_type_name is "RSA", "Ed25519", "Secp256k1" or "ECDSA". */
const char *tern_key_type_name(enum tern_key_type type);

/* tern_public_key_decode reads the protobuf PublicKey message. TERN_ERR_MALFORMED: not that
 * message; TERN_ERR_UNSUPPORTED: a type or curve we do not know; TERN_ERR_TOO_LARGE: RSA above the
 * bounds; TERN_ERR_BAD_KEY: not a key, one of too few bits, or not in its one encoding;
 * TERN_ERR_MEMORY: OpenSSL had none. On error there is nothing to fini. */
TERN_NODISCARD tern_err tern_public_key_decode(struct tern_view bytes, struct tern_public_key *key);

/* tern_public_key_encode writes the protobuf PublicKey message, at most TERN_PUBLIC_KEY_SIZE_MAX
 * bytes. */
void tern_public_key_encode(const struct tern_public_key *key, struct tern_writer *w);

/* tern_public_key_of_ed25519 makes a key of its 32 bytes; whether they are a point shows in verify.
 */
void tern_public_key_of_ed25519(const uint8_t bytes[TERN_ED25519_PUBLIC_SIZE],
                                struct tern_public_key *key);

/* tern_public_key_of_peer_id reads the key inside an id. TERN_ERR_NOT_FOUND: the id is a hash;
 * otherwise errors of decode. */
TERN_NODISCARD tern_err tern_public_key_of_peer_id(const struct tern_peer_id *id,
                                                   struct tern_public_key *key);

/* tern_public_key_peer_id derives the peer id. */
void tern_public_key_peer_id(const struct tern_public_key *key, struct tern_peer_id *id);

/* tern_public_key_copy takes a second reference; both are given to fini. */
void tern_public_key_copy(const struct tern_public_key *key, struct tern_public_key *copy);

/* tern_public_key_fini releases what the key holds. Nothing to do for Ed25519 and secp256k1. */
void tern_public_key_fini(struct tern_public_key *key);

bool tern_public_key_equal(const struct tern_public_key *a, const struct tern_public_key *b);

/* tern_public_key_verify checks a signature. TERN_ERR_BAD_SIGNATURE: it does not verify;
 * TERN_ERR_MEMORY: OpenSSL lacked memory for the check, which says nothing of the signature. */
TERN_NODISCARD tern_err tern_public_key_verify(const struct tern_public_key *key,
                                               struct tern_view message,
                                               struct tern_view signature);

/* tern_verify_encoded does it all for a protobuf public key as it came from the wire: errors of
 * tern_public_key_decode and tern_public_key_verify. */
TERN_NODISCARD tern_err tern_verify_encoded(struct tern_view public_key, struct tern_view message,
                                            struct tern_view signature);

/* tern_private_key_generate makes a key of type Ed25519, secp256k1 or ECDSA (checked). All its
 * randomness comes from random, so a seed makes the same key again. TERN_ERR_MEMORY (ECDSA alone).
 */
TERN_NODISCARD tern_err tern_private_key_generate(enum tern_key_type type,
                                                  struct tern_random *random,
                                                  struct tern_private_key *key);

/* tern_private_key_generate_rsa makes an RSA key of TERN_RSA_BITS_MIN to TERN_RSA_BITS_MAX bits, a
 * multiple of 256 (else TERN_ERR_INVALID). It takes OpenSSL's own entropy: the result cannot be
 * repeated, so simulations do not call it. It takes from a tenth of a second to minutes. */
TERN_NODISCARD tern_err tern_private_key_generate_rsa(unsigned bits, struct tern_private_key *key);

/* tern_private_key_of_ed25519_seed makes the key of a 32-byte seed. */
void tern_private_key_of_ed25519_seed(const uint8_t seed[32], struct tern_private_key *key);

/* tern_private_key_decode reads the protobuf PrivateKey message. The public part is checked against
 * the private one. Errors as for tern_public_key_decode. */
TERN_NODISCARD tern_err tern_private_key_decode(struct tern_view bytes,
                                                struct tern_private_key *key);

/* tern_private_key_encode writes the protobuf PrivateKey message, at most TERN_PRIVATE_KEY_SIZE_MAX
 * bytes; the caller wipes them. */
void tern_private_key_encode(const struct tern_private_key *key, struct tern_writer *w);

/* tern_private_key_sign appends the signature of message, at most TERN_SIGNATURE_SIZE_MAX bytes.
 * Ed25519, secp256k1 and RSA signatures are a function of key and message; ECDSA ones are not
 * (OpenSSL draws a nonce from its own entropy), so simulations that compare bytes use another type.
 * TERN_ERR_TOO_LARGE: no room in the writer; TERN_ERR_INTERNAL: OpenSSL failed. */
TERN_NODISCARD tern_err tern_private_key_sign(const struct tern_private_key *key,
                                              struct tern_view message,
                                              struct tern_writer *signature);

/* tern_private_key_equal compares in constant time (the type is no secret). */
bool tern_private_key_equal(const struct tern_private_key *a, const struct tern_private_key *b);

/* tern_private_key_fini releases and wipes. */
void tern_private_key_fini(struct tern_private_key *key);

#endif
