/*
 * AES-128-GCM as records of DTLS 1.2 use it, and the keys for it.
 *
 *     header (13): type, version, epoch, number, size │ explicit nonce (8) │ text │ tag (16)
 *
 * The explicit nonce is epoch and number, so it never repeats under a key. The header is
 * authenticated. A cipher is one direction of one session: OpenSSL's context with its key set, in
 * the mode that OpenSSL's own record layer uses, which takes two thirds of the time of the general
 * one for a record of this size.
 *
 * Specifications: RFC 6347 section 4.1, RFC 5288 section 3, RFC 5246 sections 5, 6.3.
 */
#ifndef TERN_WEBRTC_DTLS_CIPHER_H
#define TERN_WEBRTC_DTLS_CIPHER_H

#include "base/error.h"
#include "base/types.h"

enum {
    TERN_DTLS_HEADER_SIZE = 13,
    TERN_DTLS_NONCE_SIZE = 8,
    TERN_DTLS_TAG_SIZE = 16,
    TERN_DTLS_OVERHEAD = TERN_DTLS_HEADER_SIZE + TERN_DTLS_NONCE_SIZE + TERN_DTLS_TAG_SIZE,
    TERN_DTLS_KEY_SIZE = 16,
    TERN_DTLS_SALT_SIZE = 4,
    TERN_DTLS_SECRET_SIZE = 48,
    TERN_DTLS_RANDOM_SIZE = 32,
};

#define TERN_DTLS_NUMBER_MAX ((UINT64_C(1) << 48) - 1)

enum tern_dtls_type {
    TERN_DTLS_CHANGE_CIPHER_SPEC = 20,
    TERN_DTLS_ALERT = 21,
    TERN_DTLS_HANDSHAKE_MESSAGE = 22,
    TERN_DTLS_APPLICATION_DATA = 23,
};

struct tern_dtls_cipher {
    void *context; /* OpenSSL's; NULL before init */
    uint64_t next; /* sealing: the number of the next record */
};

/* What a handshake leaves. Wiped by whoever holds it. */
struct tern_dtls_secrets {
    uint8_t master[TERN_DTLS_SECRET_SIZE];
    uint8_t client_random[TERN_DTLS_RANDOM_SIZE];
    uint8_t server_random[TERN_DTLS_RANDOM_SIZE];
};

/* tern_dtls_cipher_init derives the key of one direction: what the client writes, or the server.
 * The first record to be sealed has the number next. TERN_ERR_MEMORY; the cipher is as after fini
 * then. */
TERN_NODISCARD tern_err tern_dtls_cipher_init(struct tern_dtls_cipher *cipher, bool sealing,
                                              const struct tern_dtls_secrets *secrets,
                                              bool client_writes, uint64_t next);
void tern_dtls_cipher_fini(struct tern_dtls_cipher *cipher);

/* tern_dtls_cipher_seal makes a record around text_size bytes that stand behind header and nonce:
 * record has room for them and TERN_DTLS_OVERHEAD. TERN_ERR_INTERNAL: OpenSSL failed. TERN_ERR_END:
 * the numbers are used up. */
TERN_NODISCARD tern_err tern_dtls_cipher_seal(struct tern_dtls_cipher *cipher,
                                              enum tern_dtls_type type, uint8_t *record,
                                              size_t text_size);

/* tern_dtls_cipher_open decrypts a whole record in place; *text views what was in it.
 * TERN_ERR_BAD_MAC: too short, or forged; the record then holds garbage. */
TERN_NODISCARD tern_err tern_dtls_cipher_open(struct tern_dtls_cipher *cipher,
                                              struct tern_span record, struct tern_view *text);

/* tern_dtls_prf is the pseudorandom function of TLS 1.2 with SHA-256; the seed is in two parts. */
void tern_dtls_prf(struct tern_view secret, const char *label, const struct tern_view seed[2],
                   struct tern_span out);

#endif
