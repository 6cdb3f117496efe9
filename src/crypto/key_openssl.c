/* What ECDSA and RSA keys have in common: an EVP_PKEY that signs and verifies digests. */
#include <limits.h>
#include <stdatomic.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "base/check.h"
#include "crypto/der.h"
#include "crypto/key_types.h"

struct tern_openssl_key {
    atomic_uint references;
    EVP_PKEY *pkey;
    size_t public_data_size;
    uint8_t public_data[];
};

struct tern_openssl_key *tern_openssl_key_new(EVP_PKEY *pkey, struct tern_view public_data)
{
    TERN_CHECK(public_data.size > 0 && public_data.size <= TERN_PUBLIC_KEY_SIZE_MAX);
    /* OpenSSL's own allocator: the block lives and dies with the EVP_PKEY, which it holds anyway.
     */
    struct tern_openssl_key *key = OPENSSL_malloc(sizeof *key + public_data.size);
    if (key == NULL) {
        EVP_PKEY_free(pkey);
        return NULL;
    }
    atomic_init(&key->references, 1);
    key->pkey = pkey;
    key->public_data_size = public_data.size;
    memcpy(key->public_data, public_data.data, public_data.size);
    return key;
}

void tern_openssl_key_ref(struct tern_openssl_key *key)
{
    unsigned before = atomic_fetch_add(&key->references, 1);
    TERN_CHECK(before > 0 && before < UINT_MAX);
}

void tern_openssl_key_unref(struct tern_openssl_key *key)
{
    if (key == NULL)
        return;
    unsigned before = atomic_fetch_sub(&key->references, 1);
    TERN_CHECK(before > 0);
    if (before > 1)
        return;
    EVP_PKEY_free(key->pkey);
    OPENSSL_free(key);
}

EVP_PKEY *tern_openssl_key_pkey(const struct tern_openssl_key *key)
{
    return key->pkey;
}

struct tern_view tern_openssl_key_public_data(const struct tern_openssl_key *key)
{
    return tern_view_of(key->public_data, key->public_data_size);
}

/* What OpenSSL's queue of errors says. */
struct openssl_reasons {
    bool memory; /* it lacked memory */
    bool other;  /* it names something else, beyond "it failed below" */
};

/* Empties the queue. */
static struct openssl_reasons openssl_take_reasons(void)
{
    enum { QUEUE_MAX = 64 }; /* it holds 16 */
    struct openssl_reasons reasons = {.memory = false};
    for (int i = 0; i < QUEUE_MAX; i++) {
        unsigned long code = ERR_get_error();
        if (code == 0)
            break;
        if (ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE)
            reasons.memory = true;
        else if (ERR_GET_LIB(code) != ERR_LIB_EVP && !ERR_COMMON_ERROR(code))
            reasons.other = true;
    }
    return reasons;
}

tern_err tern_openssl_failure(tern_err err)
{
    return openssl_take_reasons().memory ? TERN_ERR_MEMORY : err;
}

static const EVP_MD *openssl_md(size_t digest_size)
{
    switch (digest_size) {
    case 32:
        return EVP_sha256();
    case 48:
        return EVP_sha384();
    case 64:
        return EVP_sha512();
    }
    TERN_UNREACHABLE();
}

static bool openssl_set_padding(EVP_PKEY_CTX *context, enum tern_openssl_padding padding)
{
    switch (padding) {
    case TERN_OPENSSL_ECDSA:
        return true;
    case TERN_OPENSSL_PKCS1:
        return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1;
    case TERN_OPENSSL_PSS:
        return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1;
    }
    TERN_UNREACHABLE();
}

static EVP_PKEY_CTX *openssl_begin(EVP_PKEY *pkey, const struct tern_openssl_scheme *scheme,
                                   int (*init)(EVP_PKEY_CTX *))
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    if (context != NULL && init(context) == 1 && openssl_set_padding(context, scheme->padding) &&
        EVP_PKEY_CTX_set_signature_md(context, openssl_md(scheme->digest_size)) == 1)
        return context;
    EVP_PKEY_CTX_free(context);
    ERR_clear_error();
    return NULL;
}

tern_err tern_openssl_sign(EVP_PKEY *pkey, bool rsa, const uint8_t digest[TERN_SHA256_SIZE],
                           struct tern_writer *signature)
{
    const struct tern_openssl_scheme scheme = {
        .padding = rsa ? TERN_OPENSSL_PKCS1 : TERN_OPENSSL_ECDSA, .digest_size = TERN_SHA256_SIZE};
    EVP_PKEY_CTX *context = openssl_begin(pkey, &scheme, EVP_PKEY_sign_init);
    if (context == NULL)
        return TERN_ERR_MEMORY;
    uint8_t bytes[TERN_SIGNATURE_SIZE_MAX];
    size_t size = sizeof bytes;
    bool done = EVP_PKEY_sign(context, bytes, &size, digest, TERN_SHA256_SIZE) == 1;
    EVP_PKEY_CTX_free(context);
    /* Out of memory in the very last step, OpenSSL 3.0 reports success and a size of -1. */
    if (!done || size == 0 || size > sizeof bytes)
        return tern_openssl_failure(TERN_ERR_INTERNAL);
    tern_writer_bytes(signature, tern_view_of(bytes, size));
    return TERN_OK;
}

/* SEQUENCE { INTEGER r, INTEGER s } and no more, in the one encoding that DER has for it. */
static bool openssl_is_ecdsa_signature(struct tern_view signature)
{
    struct tern_reader whole = tern_reader_of(signature);
    struct tern_view contents;
    if (!tern_der_read(&whole, TERN_DER_SEQUENCE, &contents) || tern_reader_left(&whole) != 0)
        return false;
    struct tern_reader pair = tern_reader_of(contents);
    struct tern_view r;
    struct tern_view s;
    return tern_der_read_unsigned(&pair, &r) && tern_der_read_unsigned(&pair, &s) &&
           tern_reader_left(&pair) == 0;
}

tern_err tern_openssl_verify(EVP_PKEY *pkey, const struct tern_openssl_scheme *scheme,
                             const uint8_t *digest, struct tern_view signature)
{
    bool rsa = scheme->padding != TERN_OPENSSL_ECDSA;
    if (signature.size == 0 || signature.size > TERN_SIGNATURE_SIZE_MAX)
        return TERN_ERR_BAD_SIGNATURE;
    if (!rsa && !openssl_is_ecdsa_signature(signature))
        return TERN_ERR_BAD_SIGNATURE;
    EVP_PKEY_CTX *context = openssl_begin(pkey, scheme, EVP_PKEY_verify_init);
    if (context == NULL)
        return TERN_ERR_MEMORY;
    ERR_clear_error(); /* what follows is about this signature */
    int verdict =
        EVP_PKEY_verify(context, signature.data, signature.size, digest, scheme->digest_size);
    EVP_PKEY_CTX_free(context);
    if (verdict == 1)
        return TERN_OK;
    struct openssl_reasons reasons = openssl_take_reasons();
    /* An error, not a refusal, and nobody says why: OpenSSL 3.5 had no memory to write the
     * signature out again, to compare it with what came. It treats bad DER alike, but that has been
     * refused above. */
    bool unexplained = !rsa && verdict < 0 && !reasons.other;
    return reasons.memory || unexplained ? TERN_ERR_MEMORY : TERN_ERR_BAD_SIGNATURE;
}
