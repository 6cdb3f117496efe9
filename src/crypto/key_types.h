/*
 * The four kinds of key, each over its library. For key.c alone: it knows the protobuf around them
 * and which one is meant. `data` is what stands in the protobuf's Data field. Digests are SHA-256.
 */
#ifndef TERN_CRYPTO_KEY_TYPES_H
#define TERN_CRYPTO_KEY_TYPES_H

#include "crypto/key.h"
#include "crypto/sha256.h"

/* Ed25519, by libsodium. */
void tern_ed25519_of_seed(const uint8_t seed[32], uint8_t private_key[64]);
void tern_ed25519_sign(const uint8_t private_key[64], struct tern_view message,
                       uint8_t signature[64]);
bool tern_ed25519_verify(const uint8_t public_key[32], struct tern_view message,
                         const uint8_t signature[64]);

/* secp256k1, by libsecp256k1. A parsed public key is its own 64-byte form. */
enum { TERN_SECP256K1_DATA_SIZE = 33, TERN_SECP256K1_SECRET_SIZE = 32 };
bool tern_secp256k1_parse(struct tern_view data, uint8_t public_key[64]);
void tern_secp256k1_format(const uint8_t public_key[64], uint8_t data[TERN_SECP256K1_DATA_SIZE]);
bool tern_secp256k1_public(const uint8_t secret[32], uint8_t public_key[64]);
void tern_secp256k1_sign(const uint8_t secret[32], const uint8_t digest[TERN_SHA256_SIZE],
                         struct tern_writer *signature);
bool tern_secp256k1_verify(const uint8_t public_key[64], const uint8_t digest[TERN_SHA256_SIZE],
                           struct tern_view signature);

/* ECDSA on P-256 and RSA, by OpenSSL: the parsed key (private ones with both parts) beside the data
 * of the public one, so that encoding needs no OpenSSL and cannot fail. Counted references, from
 * any thread. */
struct tern_openssl_key;
struct evp_pkey_st; /* OpenSSL's EVP_PKEY */

/* tern_openssl_key_new takes over pkey, also when it fails. NULL: no memory. */
struct tern_openssl_key *tern_openssl_key_new(struct evp_pkey_st *pkey,
                                              struct tern_view public_data);
void tern_openssl_key_ref(struct tern_openssl_key *key);
void tern_openssl_key_unref(struct tern_openssl_key *key);
struct evp_pkey_st *tern_openssl_key_pkey(const struct tern_openssl_key *key);
struct tern_view tern_openssl_key_public_data(const struct tern_openssl_key *key);

/* How an EVP_PKEY signs: which digest, by its size (SHA-256, SHA-384, SHA-512), and of RSA which
 * padding (PSS with a salt of the digest's size). */
enum tern_openssl_padding { TERN_OPENSSL_ECDSA, TERN_OPENSSL_PKCS1, TERN_OPENSSL_PSS };
struct tern_openssl_scheme {
    enum tern_openssl_padding padding;
    size_t digest_size; /* 32, 48 or 64 (checked) */
};

/* Signatures over a digest, by an EVP_PKEY. Signing is with SHA-256; rsa says that PKCS #1 v1.5
 * padding is wanted. */
TERN_NODISCARD tern_err tern_openssl_sign(struct evp_pkey_st *pkey, bool rsa,
                                          const uint8_t digest[TERN_SHA256_SIZE],
                                          struct tern_writer *signature);
TERN_NODISCARD tern_err tern_openssl_verify(struct evp_pkey_st *pkey,
                                            const struct tern_openssl_scheme *scheme,
                                            const uint8_t *digest, struct tern_view signature);

/* tern_openssl_failure empties the thread's error queue, which nobody else reads, and tells what a
 * failed call means: TERN_ERR_MEMORY when memory ran out on the way, else err. */
tern_err tern_openssl_failure(tern_err err);

/* Decoding gives one reference in *key, or an error of tern_public_key_decode. */
enum { TERN_ECDSA_SECRET_SIZE = 32 };
TERN_NODISCARD tern_err tern_ecdsa_decode_public(struct tern_view data,
                                                 struct tern_openssl_key **key);
TERN_NODISCARD tern_err tern_ecdsa_decode_private(struct tern_view data,
                                                  uint8_t secret[TERN_ECDSA_SECRET_SIZE],
                                                  struct tern_openssl_key **key);
TERN_NODISCARD tern_err tern_ecdsa_generate(struct tern_random *random,
                                            uint8_t secret[TERN_ECDSA_SECRET_SIZE],
                                            struct tern_openssl_key **key);
/* tern_ecdsa_of_secret makes the pair of a secret. TERN_ERR_BAD_KEY: it is none. */
TERN_NODISCARD tern_err tern_ecdsa_of_secret(const uint8_t secret[TERN_ECDSA_SECRET_SIZE],
                                             struct tern_openssl_key **key);
void tern_ecdsa_encode_private(const struct tern_openssl_key *key,
                               const uint8_t secret[TERN_ECDSA_SECRET_SIZE],
                               struct tern_writer *data);

/* tern_ecdsa_decode_p384 is tern_ecdsa_decode_public for the curve P-384, which certificates may be
 * signed on. */
TERN_NODISCARD tern_err tern_ecdsa_decode_p384(struct tern_view data,
                                               struct tern_openssl_key **key);

/* tern_ecdsa_sign_deterministic signs on P-256 with the nonce that RFC 6979 derives from secret and
 * digest, so that the signature is a function of them. At most TERN_ECDSA_SIGNATURE_SIZE_MAX bytes.
 * TERN_ERR_MEMORY; TERN_ERR_INTERNAL: OpenSSL failed. */
enum { TERN_ECDSA_SIGNATURE_SIZE_MAX = 72 };
TERN_NODISCARD tern_err tern_ecdsa_sign_deterministic(const uint8_t secret[TERN_ECDSA_SECRET_SIZE],
                                                      const uint8_t digest[TERN_SHA256_SIZE],
                                                      struct tern_writer *signature);

TERN_NODISCARD tern_err tern_rsa_decode_public(struct tern_view data,
                                               struct tern_openssl_key **key);
TERN_NODISCARD tern_err tern_rsa_decode_private(struct tern_view data,
                                                struct tern_openssl_key **key);
/* tern_rsa_adopt takes over a key pair that OpenSSL made or read, also when it fails: checks its
 * public numbers and puts their encoding beside it. */
TERN_NODISCARD tern_err tern_rsa_adopt(struct evp_pkey_st *pkey, struct tern_openssl_key **key);

TERN_NODISCARD tern_err tern_rsa_generate(unsigned bits, struct tern_openssl_key **key);

/* tern_rsa_encode_private says by the writer's overflow that OpenSSL had no memory, too. */
void tern_rsa_encode_private(const struct tern_openssl_key *key, struct tern_writer *data);

#endif
