/*
 * The record layer of TLS 1.3 after the handshake: keys, records, and the few messages that come
 * between data. GnuTLS does the handshake; its traffic secrets come here, and its session goes:
 * records are sealed and opened where they lie, and an idle connection holds two secrets in place
 * of a library's buffers.
 *
 *     record: type 23, 03 03, length ‖ AEAD(content ‖ type of content ‖ zeros) ‖ tag
 *     nonce:  iv xor sequence number      associated data: the five bytes of the header
 *
 * Specification: RFC 8446, sections 5 (records), 4.6.3 and 7.2 (key update), 7.1 and 7.3 (keys).
 * Pure; an error is final for its direction.
 */
#ifndef TERN_SECURE_TLS_RECORD_H
#define TERN_SECURE_TLS_RECORD_H

#include "base/fault.h"
#include "crypto/aead.h"
#include "secure/tls_handshake.h"

enum {
    TERN_TLS_SECRET_SIZE_MAX = 48,
    TERN_TLS_PLAINTEXT_MAX = 16384, /* of content in a record */
    TERN_TLS_OVERHEAD = TERN_TLS_HEADER_SIZE + 1 + TERN_AEAD_TAG_SIZE,
    TERN_TLS_CIPHERTEXT_MIN = 1 + TERN_AEAD_TAG_SIZE, /* a type, and nothing of it */
    /* Records under one key. AES-GCM may take 2^24.5 (section 5.5); the others more. */
    TERN_TLS_KEY_RECORDS_MAX = 1 << 24,
};

enum tern_tls_alert_code {
    TERN_TLS_CLOSE_NOTIFY = 0,
    TERN_TLS_UNEXPECTED_MESSAGE = 10,
    TERN_TLS_BAD_RECORD_MAC = 20,
    TERN_TLS_RECORD_OVERFLOW = 22,
    TERN_TLS_ILLEGAL_PARAMETER = 47,
    TERN_TLS_DECODE_ERROR = 50,
    TERN_TLS_INTERNAL_ERROR = 80,
    TERN_TLS_USER_CANCELED = 90,
};

/* Cipher suites (RFC 8446 appendix B.4). */
enum tern_tls_suite_id {
    TERN_TLS_AES_128_GCM_SHA256 = 0x1301,
    TERN_TLS_AES_256_GCM_SHA384 = 0x1302,
    TERN_TLS_CHACHA20_POLY1305_SHA256 = 0x1303,
};

struct tern_tls_suite {
    uint16_t id;
    enum tern_aead_cipher cipher;
    size_t secret_size; /* of its hash: 32 or 48 */
};

/* tern_tls_suite_find finds one by its number; NULL: not one of ours. */
const struct tern_tls_suite *tern_tls_suite_find(uint16_t id);

/* One direction's keys. */
struct tern_tls_keys {
    uint64_t sequence; /* of the next record */
    uint8_t secret[TERN_TLS_SECRET_SIZE_MAX];
    uint8_t key[TERN_AEAD_KEY_SIZE];
    uint8_t iv[TERN_AEAD_NONCE_SIZE];
};

/* tern_tls_keys_init derives them from a traffic secret of suite->secret_size bytes;
 * tern_tls_keys_update goes on to the next secret. */
void tern_tls_keys_init(struct tern_tls_keys *keys, const struct tern_tls_suite *suite,
                        const uint8_t *secret);
void tern_tls_keys_update(struct tern_tls_keys *keys, const struct tern_tls_suite *suite);

/* With what a record is sealed or opened. */
struct tern_tls_sealing {
    struct tern_aead_engine *aead;
    const struct tern_tls_suite *suite;
    struct tern_tls_keys *keys;
};

/* tern_tls_seal makes a record of size bytes of content (at most TERN_TLS_PLAINTEXT_MAX, checked),
 * which lie TERN_TLS_HEADER_SIZE behind record; the whole takes size + TERN_TLS_OVERHEAD.
 * TERN_ERR_INTERNAL: OpenSSL failed, and record holds nothing of use. */
TERN_NODISCARD tern_err tern_tls_seal(const struct tern_tls_sealing *sealing, uint8_t *record,
                                      enum tern_tls_type type, size_t size);

/* Why a record or a message is refused: what the peer is told, and what is told of it. */
struct tern_tls_refusal {
    tern_err err;
    tern_fault fault;
    enum tern_tls_alert_code alert;
};

/* tern_tls_judge judges a record by its header alone. */
TERN_NODISCARD tern_err tern_tls_judge(const uint8_t header[TERN_TLS_HEADER_SIZE],
                                       struct tern_tls_refusal *refusal);

/* A record, opened. */
struct tern_tls_content {
    uint8_t type; /* an enum tern_tls_type, or anything */
    struct tern_view bytes;
};

/* tern_tls_open opens a record whose header has been judged well, in place; body is what follows
 * the header. TERN_ERR_CLOSED: the sequence numbers are at their end; else *refusal says why. */
TERN_NODISCARD tern_err tern_tls_open(const struct tern_tls_sealing *sealing,
                                      const uint8_t header[TERN_TLS_HEADER_SIZE],
                                      struct tern_span body, struct tern_tls_content *content,
                                      struct tern_tls_refusal *refusal);

/* ---- messages after the handshake ---- */

/* A message that has come in part. Of none is more kept than this: tickets are skipped. */
struct tern_tls_messages {
    uint8_t header[4]; /* type and length */
    uint8_t header_bytes;
    uint8_t update; /* the contents of a KeyUpdate */
    uint32_t left;  /* of the message's contents */
};

enum tern_tls_message {
    TERN_TLS_MESSAGE_NONE,           /* nothing for anybody to do */
    TERN_TLS_MESSAGE_UPDATE,         /* the remote's next record has its next key */
    TERN_TLS_MESSAGE_UPDATE_REQUEST, /* the same, and it wants us to do so, too */
};

/* tern_tls_messages_open: is a message there in part, so that no other record may come? */
bool tern_tls_messages_open(const struct tern_tls_messages *messages);

/* tern_tls_messages_take takes the content of a record of type HANDSHAKE: NewSessionTicket from a
 * responder, KeyUpdate, in any fragments. */
TERN_NODISCARD tern_err tern_tls_messages_take(struct tern_tls_messages *messages,
                                               enum tern_role role, struct tern_view content,
                                               enum tern_tls_message *message,
                                               struct tern_tls_refusal *refusal);

/* tern_tls_update_write writes a KeyUpdate; its contents say whether the other end is to follow. */
enum { TERN_TLS_UPDATE_SIZE = 5 };
void tern_tls_update_write(uint8_t out[TERN_TLS_UPDATE_SIZE], bool request);

#endif
