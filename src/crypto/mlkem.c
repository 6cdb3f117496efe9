#include "crypto/mlkem.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "crypto/secret.h"

#define MLKEM_NAME "ML-KEM-768"

/* Names of parameters that OpenSSL 3.5 brought. */
#define MLKEM_PARAM_SEED    "seed"
#define MLKEM_PARAM_ENTROPY "ikme"

bool tern_mlkem_available(void)
{
    EVP_KEM *kem = EVP_KEM_fetch(NULL, MLKEM_NAME, NULL);
    EVP_KEM_free(kem);
    ERR_clear_error();
    return kem != NULL;
}

/* Why OpenSSL failed: it lacks the thing, or else what the caller says. */
static tern_err mlkem_error(tern_err otherwise)
{
    ERR_clear_error();
    return tern_mlkem_available() ? otherwise : TERN_ERR_UNSUPPORTED;
}

/* The key that one parameter says: a seed, or a public key. NULL: there is none. */
static EVP_PKEY *mlkem_key(const char *name, struct tern_view value, int selection)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(name, (void *)(uintptr_t)value.data, value.size),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, MLKEM_NAME, NULL);
    if (context != NULL && EVP_PKEY_fromdata_init(context) == 1)
        (void)EVP_PKEY_fromdata(context, &key, selection, params); /* NULL tells */
    EVP_PKEY_CTX_free(context);
    return key;
}

static EVP_PKEY *mlkem_secret(const uint8_t seed[TERN_MLKEM_SEED_SIZE])
{
    return mlkem_key(MLKEM_PARAM_SEED, tern_view_of(seed, TERN_MLKEM_SEED_SIZE), EVP_PKEY_KEYPAIR);
}

tern_err tern_mlkem_public(const uint8_t seed[TERN_MLKEM_SEED_SIZE],
                           uint8_t public_key[TERN_MLKEM_PUBLIC_SIZE])
{
    size_t size = 0;
    EVP_PKEY *key = mlkem_secret(seed);
    bool good = key != NULL &&
                EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, public_key,
                                                TERN_MLKEM_PUBLIC_SIZE, &size) == 1 &&
                size == TERN_MLKEM_PUBLIC_SIZE;
    EVP_PKEY_free(key);
    return good ? TERN_OK : mlkem_error(TERN_ERR_MEMORY);
}

static bool mlkem_encapsulate(EVP_PKEY *key, const uint8_t entropy[TERN_MLKEM_ENTROPY_SIZE],
                              struct tern_mlkem_encapsulated *out)
{
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(MLKEM_PARAM_ENTROPY, (void *)(uintptr_t)entropy,
                                          TERN_MLKEM_ENTROPY_SIZE),
        OSSL_PARAM_construct_end(),
    };
    size_t cipher_size = sizeof out->cipher;
    size_t shared_size = sizeof out->shared;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    bool good =
        context != NULL && EVP_PKEY_encapsulate_init(context, params) == 1 &&
        EVP_PKEY_encapsulate(context, out->cipher, &cipher_size, out->shared, &shared_size) == 1 &&
        cipher_size == sizeof out->cipher && shared_size == sizeof out->shared;
    EVP_PKEY_CTX_free(context);
    return good;
}

tern_err tern_mlkem_encapsulate(const uint8_t public_key[TERN_MLKEM_PUBLIC_SIZE],
                                const uint8_t entropy[TERN_MLKEM_ENTROPY_SIZE],
                                struct tern_mlkem_encapsulated *out)
{
    EVP_PKEY *key =
        mlkem_key(OSSL_PKEY_PARAM_PUB_KEY, tern_view_of(public_key, TERN_MLKEM_PUBLIC_SIZE),
                  EVP_PKEY_PUBLIC_KEY);
    if (key == NULL)
        return mlkem_error(TERN_ERR_BAD_KEY);
    bool good = mlkem_encapsulate(key, entropy, out);
    EVP_PKEY_free(key);
    if (good)
        return TERN_OK;
    tern_secret_wipe(out, sizeof *out);
    return mlkem_error(TERN_ERR_MEMORY);
}

tern_err tern_mlkem_decapsulate(const uint8_t seed[TERN_MLKEM_SEED_SIZE],
                                const uint8_t cipher[TERN_MLKEM_CIPHER_SIZE],
                                uint8_t shared[TERN_MLKEM_SHARED_SIZE])
{
    size_t size = TERN_MLKEM_SHARED_SIZE;
    EVP_PKEY *key = mlkem_secret(seed);
    EVP_PKEY_CTX *context = key == NULL ? NULL : EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
    bool good = context != NULL && EVP_PKEY_decapsulate_init(context, NULL) == 1 &&
                EVP_PKEY_decapsulate(context, shared, &size, cipher, TERN_MLKEM_CIPHER_SIZE) == 1 &&
                size == TERN_MLKEM_SHARED_SIZE;
    EVP_PKEY_CTX_free(context);
    EVP_PKEY_free(key);
    return good ? TERN_OK : mlkem_error(TERN_ERR_MEMORY);
}
