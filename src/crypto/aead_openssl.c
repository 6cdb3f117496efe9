#include "crypto/aead.h"

#include <openssl/evp.h>

#include "base/check.h"

/* A piece and its ciphertext together take three quarters of a 32 KiB cache. */
enum { AEAD_PIECE_SIZE = 12288 };

static EVP_CIPHER_CTX *aead_context(bool encrypt)
{
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    /* The context keeps its own reference of the cipher. */
    bool done = cipher != NULL && context != NULL &&
                EVP_CipherInit_ex2(context, cipher, NULL, NULL, encrypt, NULL) == 1;
    EVP_CIPHER_free(cipher);
    if (done)
        return context;
    EVP_CIPHER_CTX_free(context);
    return NULL;
}

tern_err tern_aead_engine_init(struct tern_aead_engine *engine)
{
    engine->seal = aead_context(true);
    engine->open = aead_context(false);
    if (engine->seal != NULL && engine->open != NULL)
        return TERN_OK;
    tern_aead_engine_fini(engine);
    return TERN_ERR_MEMORY;
}

void tern_aead_engine_fini(struct tern_aead_engine *engine)
{
    EVP_CIPHER_CTX_free(engine->seal);
    EVP_CIPHER_CTX_free(engine->open);
    engine->seal = NULL;
    engine->open = NULL;
}

void tern_aead_counter_nonce(uint64_t counter, uint8_t nonce[TERN_AEAD_NONCE_SIZE])
{
    memset(nonce, 0, 4);
    for (size_t i = 0; i < sizeof counter; i++)
        nonce[4 + i] = (uint8_t)(counter >> (8 * i));
}

/* Key, nonce and associated data: the same for both directions. */
static bool aead_begin(EVP_CIPHER_CTX *context, const struct tern_aead_params *params)
{
    if (EVP_CipherInit_ex2(context, NULL, params->key, params->nonce, -1, NULL) != 1)
        return false;
    int size;
    return params->associated.size == 0 ||
           EVP_CipherUpdate(context, NULL, &size, params->associated.data,
                            (int)params->associated.size) == 1;
}

/* The text itself, in pieces: OpenSSL runs over its input twice, once to encrypt and once to
 * authenticate, and a piece is still in the processor's nearest cache at the second time. */
static bool aead_update(EVP_CIPHER_CTX *context, struct tern_view in, uint8_t *out)
{
    for (size_t done = 0; done < in.size;) {
        size_t piece = tern_min_size(in.size - done, AEAD_PIECE_SIZE);
        int size = 0;
        if (EVP_CipherUpdate(context, out + done, &size, in.data + done, (int)piece) != 1 ||
            (size_t)size != piece)
            return false;
        done += piece;
    }
    return true;
}

tern_err tern_aead_seal(struct tern_aead_engine *engine, const struct tern_aead_params *params,
                        struct tern_view in, uint8_t *out)
{
    TERN_CHECK(engine->seal != NULL);
    TERN_CHECK(in.size <= TERN_AEAD_SIZE_MAX && params->associated.size <= TERN_AEAD_SIZE_MAX);
    EVP_CIPHER_CTX *context = engine->seal;
    int size;
    if (aead_begin(context, params) && aead_update(context, in, out) &&
        EVP_CipherFinal_ex(context, out + in.size, &size) == 1 &&
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TERN_AEAD_TAG_SIZE, out + in.size) == 1)
        return TERN_OK;
    return TERN_ERR_INTERNAL;
}

tern_err tern_aead_open(struct tern_aead_engine *engine, const struct tern_aead_params *params,
                        struct tern_view in, uint8_t *out)
{
    TERN_CHECK(engine->open != NULL);
    TERN_CHECK(in.size <= TERN_AEAD_SIZE_MAX && params->associated.size <= TERN_AEAD_SIZE_MAX);
    if (in.size < TERN_AEAD_TAG_SIZE)
        return TERN_ERR_BAD_MAC;
    EVP_CIPHER_CTX *context = engine->open;
    struct tern_view text = tern_view_of(in.data, in.size - TERN_AEAD_TAG_SIZE);
    /* A copy: the library's parameter is not const, and in may overlap out. */
    uint8_t tag[TERN_AEAD_TAG_SIZE];
    memcpy(tag, in.data + text.size, sizeof tag);
    uint8_t end[TERN_AEAD_TAG_SIZE]; /* stays empty: a stream cipher keeps nothing back */
    int size;
    if (aead_begin(context, params) &&
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, sizeof tag, tag) == 1 &&
        aead_update(context, text, out) && EVP_CipherFinal_ex(context, end, &size) == 1)
        return TERN_OK;
    return TERN_ERR_BAD_MAC;
}
