#include "crypto/aead.h"

#include <openssl/evp.h>
#include <sodium.h>

#include "base/check.h"
#include "crypto/secret.h"

static const struct aead_kind {
    const char *name; /* OpenSSL's */
    size_t key_size;
    /* OpenSSL runs over ChaCha20's input twice, once to encrypt and once to authenticate: given in
     * pieces, a piece and its ciphertext are still in the processor's nearest cache of 32 KiB at
     * the second time. AES-GCM does both at once. */
    size_t piece_size;
} aead_kinds[TERN_AEAD_CIPHERS] = {
    [TERN_AEAD_CHACHA20_POLY1305] = {"ChaCha20-Poly1305", 32, 12288},
    [TERN_AEAD_AES_128_GCM] = {"AES-128-GCM", 16, TERN_AEAD_SIZE_MAX},
    [TERN_AEAD_AES_256_GCM] = {"AES-256-GCM", 32, TERN_AEAD_SIZE_MAX},
};

size_t tern_aead_key_size(enum tern_aead_cipher cipher)
{
    TERN_CHECK(cipher < TERN_AEAD_CIPHERS);
    return aead_kinds[cipher].key_size;
}

static bool aead_context_init(struct tern_aead_context *context, enum tern_aead_cipher cipher,
                              bool encrypt)
{
    EVP_CIPHER *evp_cipher = EVP_CIPHER_fetch(NULL, aead_kinds[cipher].name, NULL);
    EVP_CIPHER_CTX *evp = EVP_CIPHER_CTX_new();
    /* The context keeps its own reference of the cipher. */
    bool done = evp_cipher != NULL && evp != NULL &&
                EVP_CipherInit_ex2(evp, evp_cipher, NULL, NULL, encrypt, NULL) == 1;
    EVP_CIPHER_free(evp_cipher);
    *context = (struct tern_aead_context){.evp = evp};
    return done;
}

static void aead_context_fini(struct tern_aead_context *context)
{
    EVP_CIPHER_CTX_free(context->evp);
    tern_secret_wipe(context, sizeof *context);
}

tern_err tern_aead_engine_init(struct tern_aead_engine *engine)
{
    bool done = true;
    for (int i = 0; i < TERN_AEAD_CIPHERS; i++) {
        enum tern_aead_cipher cipher = (enum tern_aead_cipher)i;
        done = aead_context_init(&engine->seal[i], cipher, true) && done;
        done = aead_context_init(&engine->open[i], cipher, false) && done;
    }
    if (done)
        return TERN_OK;
    tern_aead_engine_fini(engine);
    return TERN_ERR_MEMORY;
}

void tern_aead_engine_fini(struct tern_aead_engine *engine)
{
    for (int i = 0; i < TERN_AEAD_CIPHERS; i++) {
        aead_context_fini(&engine->seal[i]);
        aead_context_fini(&engine->open[i]);
    }
}

void tern_aead_counter_nonce(uint64_t counter, uint8_t nonce[TERN_AEAD_NONCE_SIZE])
{
    memset(nonce, 0, 4);
    for (size_t i = 0; i < sizeof counter; i++)
        nonce[4 + i] = (uint8_t)(counter >> (8 * i));
}

/* Sets key and nonce. A context that already has the key keeps its schedule. */
static bool aead_set(struct tern_aead_context *context, const struct tern_aead_params *params)
{
    size_t key_size = aead_kinds[params->cipher].key_size;
    if (context->keyed && tern_secret_equal(context->key, params->key, key_size))
        return EVP_CipherInit_ex2(context->evp, NULL, NULL, params->nonce, -1, NULL) == 1;
    context->keyed =
        EVP_CipherInit_ex2(context->evp, NULL, params->key, params->nonce, -1, NULL) == 1;
    memcpy(context->key, params->key, key_size);
    return context->keyed;
}

/* Key, nonce and associated data: the same for both directions. */
static bool aead_begin(struct tern_aead_context *context, const struct tern_aead_params *params)
{
    int size;
    return aead_set(context, params) &&
           (params->associated.size == 0 ||
            EVP_CipherUpdate(context->evp, NULL, &size, params->associated.data,
                             (int)params->associated.size) == 1);
}

static bool aead_update(EVP_CIPHER_CTX *evp, size_t piece_size, struct tern_view in, uint8_t *out)
{
    for (size_t done = 0; done < in.size;) {
        size_t piece = tern_min_size(in.size - done, piece_size);
        int size = 0;
        if (EVP_CipherUpdate(evp, out + done, &size, in.data + done, (int)piece) != 1 ||
            (size_t)size != piece)
            return false;
        done += piece;
    }
    return true;
}

/* OpenSSL 3.0's ChaCha20-Poly1305 leaves the upper halves of the vector registers in use, and
 * instructions of SSE, which is what the compiler makes of our code, have to keep them: masking of
 * WebSocket frames took six times as long behind it. */
static void aead_leave_vectors(void)
{
#ifdef __x86_64__
    if (sodium_runtime_has_avx())
        __asm__ volatile("vzeroupper");
#endif
}

static bool aead_seal_all(struct tern_aead_context *context, const struct tern_aead_params *params,
                          struct tern_view in, uint8_t *out)
{
    int size;
    return aead_begin(context, params) &&
           aead_update(context->evp, aead_kinds[params->cipher].piece_size, in, out) &&
           EVP_CipherFinal_ex(context->evp, out + in.size, &size) == 1 &&
           EVP_CIPHER_CTX_ctrl(context->evp, EVP_CTRL_AEAD_GET_TAG, TERN_AEAD_TAG_SIZE,
                               out + in.size) == 1;
}

tern_err tern_aead_seal(struct tern_aead_engine *engine, const struct tern_aead_params *params,
                        struct tern_view in, uint8_t *out)
{
    TERN_CHECK(params->cipher < TERN_AEAD_CIPHERS);
    struct tern_aead_context *context = &engine->seal[params->cipher];
    TERN_CHECK(context->evp != NULL);
    TERN_CHECK(in.size <= TERN_AEAD_SIZE_MAX && params->associated.size <= TERN_AEAD_SIZE_MAX);
    bool done = aead_seal_all(context, params, in, out);
    aead_leave_vectors();
    return done ? TERN_OK : TERN_ERR_INTERNAL;
}

static bool aead_open_all(struct tern_aead_context *context, const struct tern_aead_params *params,
                          struct tern_view in, uint8_t *out)
{
    struct tern_view text = tern_view_of(in.data, in.size - TERN_AEAD_TAG_SIZE);
    /* A copy: the library's parameter is not const, and in may overlap out. */
    uint8_t tag[TERN_AEAD_TAG_SIZE];
    memcpy(tag, in.data + text.size, sizeof tag);
    uint8_t end[TERN_AEAD_TAG_SIZE]; /* stays empty: a stream cipher keeps nothing back */
    int size;
    return aead_begin(context, params) &&
           EVP_CIPHER_CTX_ctrl(context->evp, EVP_CTRL_AEAD_SET_TAG, sizeof tag, tag) == 1 &&
           aead_update(context->evp, aead_kinds[params->cipher].piece_size, text, out) &&
           EVP_CipherFinal_ex(context->evp, end, &size) == 1;
}

tern_err tern_aead_open(struct tern_aead_engine *engine, const struct tern_aead_params *params,
                        struct tern_view in, uint8_t *out)
{
    TERN_CHECK(params->cipher < TERN_AEAD_CIPHERS);
    struct tern_aead_context *context = &engine->open[params->cipher];
    TERN_CHECK(context->evp != NULL);
    TERN_CHECK(in.size <= TERN_AEAD_SIZE_MAX && params->associated.size <= TERN_AEAD_SIZE_MAX);
    if (in.size < TERN_AEAD_TAG_SIZE)
        return TERN_ERR_BAD_MAC;
    bool done = aead_open_all(context, params, in, out);
    aead_leave_vectors();
    return done ? TERN_OK : TERN_ERR_BAD_MAC;
}
