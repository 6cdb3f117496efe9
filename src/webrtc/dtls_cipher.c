#include "webrtc/dtls_cipher.h"

#include <openssl/evp.h>

#include "base/check.h"
#include "base/writer.h"
#include "crypto/secret.h"
#include "crypto/sha256.h"

enum {
    CIPHER_KEY_BLOCK_SIZE = 2 * (TERN_DTLS_KEY_SIZE + TERN_DTLS_SALT_SIZE),
    CIPHER_SEED_MAX = 128,
    CIPHER_EPOCH = 1,
    CIPHER_SIZE_OFFSET = 11,
    /* What OpenSSL authenticates: epoch, number, type, version, size. */
    CIPHER_AAD_SIZE = 13,
};

void tern_dtls_prf(struct tern_view secret, const char *label, const struct tern_view seed[2],
                   struct tern_span out)
{
    /* A(i) stands before label and seed, so that both can be hashed at once. */
    uint8_t buffer[TERN_SHA256_SIZE + CIPHER_SEED_MAX];
    struct tern_writer w =
        tern_writer_of(buffer + TERN_SHA256_SIZE, sizeof buffer - TERN_SHA256_SIZE);
    tern_writer_str(&w, label);
    tern_writer_bytes(&w, seed[0]);
    tern_writer_bytes(&w, seed[1]);
    TERN_CHECK(tern_writer_ok(&w));
    struct tern_view all = tern_view_of(buffer, TERN_SHA256_SIZE + w.size);
    uint8_t a[TERN_SHA256_SIZE];
    tern_hmac_sha256(secret, tern_writer_view(&w), a);
    for (size_t done = 0; done < out.size;) {
        uint8_t block[TERN_SHA256_SIZE];
        memcpy(buffer, a, sizeof a);
        tern_hmac_sha256(secret, all, block);
        size_t size = tern_min_size(sizeof block, out.size - done);
        memcpy(out.data + done, block, size);
        done += size;
        tern_hmac_sha256(secret, tern_view_of(buffer, sizeof a), a);
        tern_secret_wipe(block, sizeof block);
    }
    tern_secret_wipe(a, sizeof a);
    tern_secret_wipe(buffer, sizeof buffer);
}

static void cipher_put(uint8_t *out, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        out[i] = (uint8_t)(value >> 8 * (size - 1 - i));
}

/* cipher_context makes a context with the key set. OpenSSL counts the nonce up by itself, from
 * epoch and number. */
static EVP_CIPHER_CTX *cipher_context(bool sealing, const uint8_t *key, const uint8_t *salt,
                                      uint64_t next)
{
    uint8_t nonce[TERN_DTLS_SALT_SIZE + TERN_DTLS_NONCE_SIZE];
    memcpy(nonce, salt, TERN_DTLS_SALT_SIZE);
    cipher_put(nonce + TERN_DTLS_SALT_SIZE, (uint64_t)CIPHER_EPOCH << 48 | next, 8);
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    bool done = cipher != NULL && context != NULL &&
                EVP_CipherInit_ex2(context, cipher, key, NULL, sealing, NULL) == 1 &&
                EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_IV_FIXED, -1, nonce) == 1;
    EVP_CIPHER_free(cipher);
    if (done)
        return context;
    EVP_CIPHER_CTX_free(context);
    return NULL;
}

tern_err tern_dtls_cipher_init(struct tern_dtls_cipher *cipher, bool sealing,
                               const struct tern_dtls_secrets *secrets, bool client_writes,
                               uint64_t next)
{
    uint8_t block[CIPHER_KEY_BLOCK_SIZE];
    const struct tern_view seed[2] = {
        {secrets->server_random, sizeof secrets->server_random},
        {secrets->client_random, sizeof secrets->client_random},
    };
    tern_dtls_prf(tern_view_of(secrets->master, sizeof secrets->master), "key expansion", seed,
                  (struct tern_span){block, sizeof block});
    const uint8_t *key = block + (client_writes ? 0 : TERN_DTLS_KEY_SIZE);
    const uint8_t *salt =
        block + (size_t)2 * TERN_DTLS_KEY_SIZE + (client_writes ? 0 : TERN_DTLS_SALT_SIZE);
    cipher->context = cipher_context(sealing, key, salt, next);
    cipher->next = next;
    tern_secret_wipe(block, sizeof block);
    return cipher->context == NULL ? TERN_ERR_MEMORY : TERN_OK;
}

void tern_dtls_cipher_fini(struct tern_dtls_cipher *cipher)
{
    EVP_CIPHER_CTX_free(cipher->context); /* wipes the key */
    cipher->context = NULL;
}

/* cipher_authenticate tells OpenSSL of the header. size is as OpenSSL wants it: without the tag to
 * seal, with it to open. */
static bool cipher_authenticate(EVP_CIPHER_CTX *context, const uint8_t *record, size_t size)
{
    uint8_t aad[CIPHER_AAD_SIZE];
    memcpy(aad, record + 3, 8); /* epoch and number */
    memcpy(aad + 8, record, 3); /* type and version */
    cipher_put(aad + 11, size, 2);
    return EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_TLS1_AAD, sizeof aad, aad) ==
           TERN_DTLS_TAG_SIZE;
}

tern_err tern_dtls_cipher_seal(struct tern_dtls_cipher *cipher, enum tern_dtls_type type,
                               uint8_t *record, size_t text_size)
{
    TERN_CHECK(cipher->context != NULL);
    if (cipher->next > TERN_DTLS_NUMBER_MAX)
        return TERN_ERR_END;
    size_t size = TERN_DTLS_NONCE_SIZE + text_size + TERN_DTLS_TAG_SIZE;
    record[0] = (uint8_t)type;
    record[1] = 0xfe;
    record[2] = 0xfd;
    cipher_put(record + 3, (uint64_t)CIPHER_EPOCH << 48 | cipher->next, 8);
    cipher_put(record + CIPHER_SIZE_OFFSET, size, 2);
    uint8_t *body = record + TERN_DTLS_HEADER_SIZE;
    if (!cipher_authenticate(cipher->context, record, size - TERN_DTLS_TAG_SIZE) ||
        EVP_Cipher(cipher->context, body, body, (unsigned)size) != (int)size)
        return TERN_ERR_INTERNAL;
    TERN_DCHECK(memcmp(body, record + 3, TERN_DTLS_NONCE_SIZE) == 0);
    cipher->next++;
    return TERN_OK;
}

tern_err tern_dtls_cipher_open(struct tern_dtls_cipher *cipher, struct tern_span record,
                               struct tern_view *text)
{
    TERN_CHECK(cipher->context != NULL);
    *text = tern_view_of(NULL, 0);
    if (record.size < TERN_DTLS_OVERHEAD)
        return TERN_ERR_BAD_MAC;
    uint8_t *body = record.data + TERN_DTLS_HEADER_SIZE;
    size_t size = record.size - TERN_DTLS_HEADER_SIZE;
    size_t text_size = record.size - TERN_DTLS_OVERHEAD;
    /* How large the text is OpenSSL's releases do not agree on; that it is authentic they do. */
    if (!cipher_authenticate(cipher->context, record.data, size) ||
        EVP_Cipher(cipher->context, body, body, (unsigned)size) < 0)
        return TERN_ERR_BAD_MAC;
    *text = tern_view_of(body + TERN_DTLS_NONCE_SIZE, text_size);
    return TERN_OK;
}
