#include "secure/tls_record.h"

#include "base/check.h"
#include "crypto/secret.h"
#include "crypto/sha256.h"
#include "crypto/sha384.h"

/* ---- keys ---- */

const struct tern_tls_suite *tern_tls_suite_find(uint16_t id)
{
    static const struct tern_tls_suite suites[] = {
        {TERN_TLS_AES_128_GCM_SHA256, TERN_AEAD_AES_128_GCM, TERN_SHA256_SIZE},
        {TERN_TLS_AES_256_GCM_SHA384, TERN_AEAD_AES_256_GCM, TERN_SHA384_SIZE},
        {TERN_TLS_CHACHA20_POLY1305_SHA256, TERN_AEAD_CHACHA20_POLY1305, TERN_SHA256_SIZE},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(suites); i++)
        if (suites[i].id == id)
            return &suites[i];
    return NULL;
}

/* HKDF-Expand-Label(secret, label, "", out.size), section 7.1. */
static void keys_expand(const struct tern_tls_suite *suite, const uint8_t *secret,
                        const char *label, struct tern_span out)
{
    uint8_t bytes[64];
    struct tern_writer info = tern_writer_of(bytes, sizeof bytes);
    tern_writer_u16be(&info, (uint16_t)out.size);
    tern_writer_u8(&info, (uint8_t)(6 + strlen(label)));
    tern_writer_str(&info, "tls13 ");
    tern_writer_str(&info, label);
    tern_writer_u8(&info, 0); /* no context */
    TERN_CHECK(tern_writer_ok(&info));
    if (suite->secret_size == TERN_SHA384_SIZE)
        tern_hkdf_expand_sha384(secret, tern_writer_view(&info), out);
    else
        tern_hkdf_expand(secret, tern_writer_view(&info), out);
}

void tern_tls_keys_init(struct tern_tls_keys *keys, const struct tern_tls_suite *suite,
                        const uint8_t *secret)
{
    *keys = (struct tern_tls_keys){.sequence = 0};
    memcpy(keys->secret, secret, suite->secret_size);
    keys_expand(suite, keys->secret, "key",
                (struct tern_span){keys->key, tern_aead_key_size(suite->cipher)});
    keys_expand(suite, keys->secret, "iv", (struct tern_span){keys->iv, sizeof keys->iv});
}

void tern_tls_keys_update(struct tern_tls_keys *keys, const struct tern_tls_suite *suite)
{
    uint8_t next[TERN_TLS_SECRET_SIZE_MAX];
    keys_expand(suite, keys->secret, "traffic upd", (struct tern_span){next, suite->secret_size});
    tern_tls_keys_init(keys, suite, next);
    tern_secret_wipe(next, sizeof next);
}

/* Section 5.3. */
static void keys_nonce(struct tern_tls_keys *keys, uint8_t nonce[TERN_AEAD_NONCE_SIZE])
{
    TERN_CHECK(keys->sequence != UINT64_MAX);
    memcpy(nonce, keys->iv, TERN_AEAD_NONCE_SIZE);
    for (size_t i = 0; i < sizeof keys->sequence; i++)
        nonce[TERN_AEAD_NONCE_SIZE - 1 - i] ^= (uint8_t)(keys->sequence >> (8 * i));
    keys->sequence++;
}

/* ---- records ---- */

tern_err tern_tls_seal(const struct tern_tls_sealing *sealing, uint8_t *record,
                       enum tern_tls_type type, size_t size)
{
    TERN_CHECK(size <= TERN_TLS_PLAINTEXT_MAX);
    size_t length = size + 1 + TERN_AEAD_TAG_SIZE;
    uint8_t *body = record + TERN_TLS_HEADER_SIZE;
    record[0] = TERN_TLS_APPLICATION_DATA;
    record[1] = 3;
    record[2] = 3;
    record[3] = (uint8_t)(length >> 8);
    record[4] = (uint8_t)length;
    body[size] = (uint8_t)type;
    struct tern_aead_params params = {
        .cipher = sealing->suite->cipher,
        .key = sealing->keys->key,
        .associated = tern_view_of(record, TERN_TLS_HEADER_SIZE),
    };
    keys_nonce(sealing->keys, params.nonce);
    return tern_aead_seal(sealing->aead, &params, tern_view_of(body, size + 1), body);
}

static tern_err record_refuse(struct tern_tls_refusal *refusal, tern_err err, tern_fault fault,
                              enum tern_tls_alert_code alert)
{
    *refusal = (struct tern_tls_refusal){err, fault, alert};
    return err;
}

tern_err tern_tls_judge(const uint8_t header[TERN_TLS_HEADER_SIZE],
                        struct tern_tls_refusal *refusal)
{
    size_t length = ((size_t)header[3] << 8) | header[4];
    /* Everything is encrypted now, and so of one type; the version is not to be looked at. */
    if (header[0] != TERN_TLS_APPLICATION_DATA)
        return record_refuse(refusal, TERN_ERR_PROTOCOL, TERN_FAULT_TLS_RECORD_TYPE,
                             TERN_TLS_UNEXPECTED_MESSAGE);
    if (length > TERN_TLS_CIPHERTEXT_MAX)
        return record_refuse(refusal, TERN_ERR_TOO_LARGE, TERN_FAULT_TLS_RECORD_TOO_LARGE,
                             TERN_TLS_RECORD_OVERFLOW);
    if (length < TERN_TLS_CIPHERTEXT_MIN)
        return record_refuse(refusal, TERN_ERR_PROTOCOL, TERN_FAULT_TLS_RECORD_SHORT,
                             TERN_TLS_DECODE_ERROR);
    return TERN_OK;
}

tern_err tern_tls_open(const struct tern_tls_sealing *sealing,
                       const uint8_t header[TERN_TLS_HEADER_SIZE], struct tern_span body,
                       struct tern_tls_content *content, struct tern_tls_refusal *refusal)
{
    TERN_CHECK(body.size >= TERN_TLS_CIPHERTEXT_MIN);
    *content = (struct tern_tls_content){.type = 0};
    if (sealing->keys->sequence == UINT64_MAX)
        return record_refuse(refusal, TERN_ERR_CLOSED, TERN_FAULT_NONE, TERN_TLS_INTERNAL_ERROR);
    struct tern_aead_params params = {
        .cipher = sealing->suite->cipher,
        .key = sealing->keys->key,
        .associated = tern_view_of(header, TERN_TLS_HEADER_SIZE),
    };
    keys_nonce(sealing->keys, params.nonce);
    tern_err err =
        tern_aead_open(sealing->aead, &params, tern_view_of(body.data, body.size), body.data);
    if (err != TERN_OK)
        return record_refuse(refusal, err, TERN_FAULT_TLS_RECORD_MAC, TERN_TLS_BAD_RECORD_MAC);
    size_t size = body.size - TERN_AEAD_TAG_SIZE;
    if (size > TERN_TLS_PLAINTEXT_MAX + 1)
        return record_refuse(refusal, TERN_ERR_TOO_LARGE, TERN_FAULT_TLS_RECORD_TOO_LARGE,
                             TERN_TLS_RECORD_OVERFLOW);
    while (size > 0 && body.data[size - 1] == 0) /* padding, section 5.4 */
        size--;
    if (size == 0)
        return record_refuse(refusal, TERN_ERR_PROTOCOL, TERN_FAULT_TLS_RECORD_TYPE,
                             TERN_TLS_UNEXPECTED_MESSAGE);
    content->type = body.data[size - 1];
    content->bytes = tern_view_of(body.data, size - 1);
    return TERN_OK;
}

/* ---- messages after the handshake ---- */

enum { MESSAGE_NEW_SESSION_TICKET = 4, MESSAGE_KEY_UPDATE = 24 };

/* The longest NewSessionTicket: two numbers, a nonce of 255, a ticket and extensions of 65,535. */
enum { MESSAGE_TICKET_MAX = 4 + 4 + 1 + 255 + 2 + 65535 + 2 + 65535 };

bool tern_tls_messages_open(const struct tern_tls_messages *messages)
{
    return messages->header_bytes > 0;
}

/* The header is whole: may such a message come? */
static tern_err messages_judge(const struct tern_tls_messages *messages, enum tern_role role,
                               struct tern_tls_refusal *refusal)
{
    uint8_t type = messages->header[0];
    if (type == MESSAGE_NEW_SESSION_TICKET && role == TERN_ROLE_INITIATOR) {
        if (messages->left <= MESSAGE_TICKET_MAX)
            return TERN_OK;
    } else if (type == MESSAGE_KEY_UPDATE) {
        if (messages->left == 1)
            return TERN_OK;
    } else {
        return record_refuse(refusal, TERN_ERR_PROTOCOL, TERN_FAULT_TLS_RECORD_TYPE,
                             TERN_TLS_UNEXPECTED_MESSAGE);
    }
    return record_refuse(refusal, TERN_ERR_PROTOCOL, TERN_FAULT_TLS_BAD_MESSAGE,
                         TERN_TLS_DECODE_ERROR);
}

/* Takes one byte of a message's header. */
static tern_err messages_header(struct tern_tls_messages *messages, enum tern_role role,
                                uint8_t byte, struct tern_tls_refusal *refusal)
{
    const uint8_t *header = messages->header;
    messages->header[messages->header_bytes++] = byte;
    if (messages->header_bytes < sizeof messages->header)
        return TERN_OK;
    messages->left = (uint32_t)header[1] << 16 | (uint32_t)header[2] << 8 | header[3];
    return messages_judge(messages, role, refusal);
}

/* A whole message is there. A KeyUpdate ends its record: what follows has another key. */
static tern_err messages_whole(struct tern_tls_messages *messages, bool record_ends,
                               enum tern_tls_message *message, struct tern_tls_refusal *refusal)
{
    messages->header_bytes = 0;
    if (messages->header[0] != MESSAGE_KEY_UPDATE)
        return TERN_OK;
    if (messages->update > 1)
        return record_refuse(refusal, TERN_ERR_PROTOCOL, TERN_FAULT_TLS_BAD_MESSAGE,
                             TERN_TLS_ILLEGAL_PARAMETER);
    if (!record_ends)
        return record_refuse(refusal, TERN_ERR_PROTOCOL, TERN_FAULT_TLS_INTERLEAVED,
                             TERN_TLS_UNEXPECTED_MESSAGE);
    *message = messages->update == 1 ? TERN_TLS_MESSAGE_UPDATE_REQUEST : TERN_TLS_MESSAGE_UPDATE;
    return TERN_OK;
}

tern_err tern_tls_messages_take(struct tern_tls_messages *messages, enum tern_role role,
                                struct tern_view content, enum tern_tls_message *message,
                                struct tern_tls_refusal *refusal)
{
    *message = TERN_TLS_MESSAGE_NONE;
    if (content.size == 0) /* section 5.1 */
        return record_refuse(refusal, TERN_ERR_PROTOCOL, TERN_FAULT_TLS_BAD_MESSAGE,
                             TERN_TLS_UNEXPECTED_MESSAGE);
    for (size_t at = 0; at < content.size;) {
        if (messages->header_bytes < sizeof messages->header) {
            TERN_TRY(messages_header(messages, role, content.data[at++], refusal));
        } else {
            size_t size = tern_min_size(messages->left, content.size - at);
            messages->update = content.data[at];
            messages->left -= (uint32_t)size;
            at += size;
        }
        if (messages->header_bytes == sizeof messages->header && messages->left == 0)
            TERN_TRY(messages_whole(messages, at == content.size, message, refusal));
    }
    return TERN_OK;
}

void tern_tls_update_write(uint8_t out[TERN_TLS_UPDATE_SIZE], bool request)
{
    static const uint8_t header[] = {MESSAGE_KEY_UPDATE, 0, 0, 1};
    memcpy(out, header, sizeof header);
    out[sizeof header] = request;
}
