/*
 * Authenticated encryption: ChaCha20-Poly1305 (RFC 8439) and AES-GCM (NIST SP 800-38D, RFC 5116).
 *
 * The engine is the fast path for a stream of frames: OpenSSL contexts made once and shared by
 * every connection of a thread. A connection's state is its key and its counter; the key is set
 * when it is not the one of the last call (ChaCha20 30 ns, AES-GCM 300 ns), so the records of one
 * burst pay for it once. Not thread safe: one engine, one thread at a time.
 *
 * tern_aead_seal_small and tern_aead_open_small need no context (libsodium): ChaCha20-Poly1305 with
 * the same results, for handshakes, or where no engine is at hand. Pure and thread safe.
 *
 * Sealing in place is allowed (out == in.data); partial overlap is not. A key and nonce must never
 * seal two messages: the caller counts.
 */
#ifndef TERN_CRYPTO_AEAD_H
#define TERN_CRYPTO_AEAD_H

#include "base/error.h"
#include "base/types.h"

enum tern_aead_cipher {
    TERN_AEAD_CHACHA20_POLY1305,
    TERN_AEAD_AES_128_GCM,
    TERN_AEAD_AES_256_GCM,
    TERN_AEAD_CIPHERS,
};

enum {
    TERN_AEAD_KEY_SIZE = 32, /* the longest; AES-128 takes the first 16 */
    TERN_AEAD_NONCE_SIZE = 12,
    TERN_AEAD_TAG_SIZE = 16,
    TERN_AEAD_SIZE_MAX = 1 << 30, /* of a message (checked); noise uses 65,535 at most */
};

struct tern_aead_context {
    void *evp; /* OpenSSL's; NULL before init */
    bool keyed;
    uint8_t key[TERN_AEAD_KEY_SIZE]; /* the one that is set */
};

struct tern_aead_engine {
    struct tern_aead_context seal[TERN_AEAD_CIPHERS];
    struct tern_aead_context open[TERN_AEAD_CIPHERS];
};

/* What a message is sealed with; key borrowed for the call. */
struct tern_aead_params {
    enum tern_aead_cipher cipher;
    const uint8_t *key; /* tern_aead_key_size bytes */
    uint8_t nonce[TERN_AEAD_NONCE_SIZE];
    struct tern_view associated; /* authenticated, not encrypted; may be empty */
};

/* tern_aead_key_size is 32, 16 or 32. */
size_t tern_aead_key_size(enum tern_aead_cipher cipher);

/* tern_aead_has_fast_aes: does this processor have instructions for AES-GCM, as far as libsodium
 * knows? False before tern_crypto_start. Without them AES is slow. */
bool tern_aead_has_fast_aes(void);

/* tern_aead_counter_nonce writes the nonce that Noise makes of a counter: four zero bytes, then the
 * counter in little-endian order. */
void tern_aead_counter_nonce(uint64_t counter, uint8_t nonce[TERN_AEAD_NONCE_SIZE]);

/* tern_aead_engine_init makes the contexts. TERN_ERR_MEMORY: OpenSSL had no memory, or does not
 * offer a cipher; the engine is as after fini then. */
TERN_NODISCARD tern_err tern_aead_engine_init(struct tern_aead_engine *engine);

/* tern_aead_engine_fini frees them and wipes the last keys. */
void tern_aead_engine_fini(struct tern_aead_engine *engine);

/* tern_aead_seal encrypts in.size bytes to out, and writes the tag behind them: out has room for
 * in.size + TERN_AEAD_TAG_SIZE. TERN_ERR_INTERNAL: OpenSSL failed; out holds nothing of use. */
TERN_NODISCARD tern_err tern_aead_seal(struct tern_aead_engine *engine,
                                       const struct tern_aead_params *params, struct tern_view in,
                                       uint8_t *out);

/* tern_aead_open checks and decrypts in (ciphertext and tag) to out, in.size - TERN_AEAD_TAG_SIZE
 * bytes. TERN_ERR_BAD_MAC: forged, or shorter than a tag; out then holds garbage, not plaintext to
 * be used. */
TERN_NODISCARD tern_err tern_aead_open(struct tern_aead_engine *engine,
                                       const struct tern_aead_params *params, struct tern_view in,
                                       uint8_t *out);

/* The same without an engine, for ChaCha20-Poly1305 alone (checked). */
void tern_aead_seal_small(const struct tern_aead_params *params, struct tern_view in, uint8_t *out);
TERN_NODISCARD tern_err tern_aead_open_small(const struct tern_aead_params *params,
                                             struct tern_view in, uint8_t *out);

#endif
