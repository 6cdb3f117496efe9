/*
 * RSA keys. A peer's SubjectPublicKeyInfo is read by our own few lines of DER, bounded before any
 * big number is made, and reaches OpenSSL as two numbers. Private keys, which come from our own
 * files, are read by OpenSSL.
 */
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "base/check.h"
#include "crypto/der.h"
#include "crypto/key_types.h"
#include "crypto/secret.h"

enum {
    RSA_MODULUS_SIZE_MAX = TERN_RSA_BITS_MAX / 8,
    RSA_EXPONENT_SIZE_MAX = 4,
    RSA_EXPONENT_MIN = 3,
};

/* SEQUENCE { OID rsaEncryption, NULL } */
static const uint8_t rsa_algorithm[] = {0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                        0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00};

struct rsa_numbers {
    struct tern_view modulus; /* without leading zeros */
    struct tern_view exponent;
};

static size_t rsa_bits(struct tern_view magnitude)
{
    if (magnitude.size == 0)
        return 0;
    size_t top = 0;
    for (unsigned left = magnitude.data[0]; left > 0; left >>= 1)
        top++;
    return (magnitude.size - 1) * 8 + top;
}

static bool rsa_is_odd(struct tern_view magnitude)
{
    return magnitude.size > 0 && (magnitude.data[magnitude.size - 1] & 1) != 0;
}

/* The bounds of the header's first paragraph, before anybody calculates with the numbers. */
static tern_err rsa_check(const struct rsa_numbers *numbers)
{
    size_t bits = rsa_bits(numbers->modulus);
    if (bits < TERN_RSA_BITS_MIN)
        return TERN_ERR_BAD_KEY;
    if (bits > TERN_RSA_BITS_MAX)
        return TERN_ERR_TOO_LARGE;
    if (numbers->exponent.size > RSA_EXPONENT_SIZE_MAX || rsa_bits(numbers->exponent) > 31)
        return TERN_ERR_TOO_LARGE;
    if (!rsa_is_odd(numbers->modulus) || !rsa_is_odd(numbers->exponent))
        return TERN_ERR_BAD_KEY;
    bool below_three = numbers->exponent.size == 1 && numbers->exponent.data[0] < RSA_EXPONENT_MIN;
    return below_three ? TERN_ERR_BAD_KEY : TERN_OK;
}

/* SEQUENCE { algorithm, BIT STRING { SEQUENCE { INTEGER modulus, INTEGER exponent } } } and no
 * more. */
static bool rsa_read(struct tern_view data, struct rsa_numbers *numbers)
{
    struct tern_reader whole = tern_reader_of(data);
    struct tern_view contents;
    if (!tern_der_read(&whole, TERN_DER_SEQUENCE, &contents) || tern_reader_left(&whole) != 0)
        return false;
    struct tern_reader spki = tern_reader_of(contents);
    struct tern_view algorithm;
    struct tern_view bits;
    if (!tern_reader_bytes(&spki, sizeof rsa_algorithm, &algorithm) ||
        !tern_view_equal(algorithm, tern_view_of(rsa_algorithm, sizeof rsa_algorithm)) ||
        !tern_der_read(&spki, TERN_DER_BIT_STRING, &bits) || tern_reader_left(&spki) != 0)
        return false;
    struct tern_reader string = tern_reader_of(bits);
    uint8_t unused;
    if (!tern_reader_u8(&string, &unused) || unused != 0 ||
        !tern_der_read(&string, TERN_DER_SEQUENCE, &contents) || tern_reader_left(&string) != 0)
        return false;
    struct tern_reader pair = tern_reader_of(contents);
    return tern_der_read_unsigned(&pair, &numbers->modulus) &&
           tern_der_read_unsigned(&pair, &numbers->exponent) && tern_reader_left(&pair) == 0;
}

static EVP_PKEY *rsa_make(const BIGNUM *modulus, const BIGNUM *exponent)
{
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;
    if (build != NULL && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, modulus) == 1 &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, exponent) == 1)
        params = OSSL_PARAM_BLD_to_param(build);
    OSSL_PARAM_BLD_free(build);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *key = NULL;
    if (params == NULL || context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    return key;
}

tern_err tern_rsa_decode_public(struct tern_view data, struct tern_openssl_key **key)
{
    *key = NULL;
    struct rsa_numbers numbers;
    if (!rsa_read(data, &numbers))
        return TERN_ERR_BAD_KEY;
    TERN_TRY(rsa_check(&numbers));
    BIGNUM *modulus = BN_bin2bn(numbers.modulus.data, (int)numbers.modulus.size, NULL);
    BIGNUM *exponent = BN_bin2bn(numbers.exponent.data, (int)numbers.exponent.size, NULL);
    EVP_PKEY *made = NULL;
    if (modulus != NULL && exponent != NULL)
        made = rsa_make(modulus, exponent);
    BN_free(modulus);
    BN_free(exponent);
    ERR_clear_error();
    /* There is one encoding, so what was read is what will be written. */
    if (made != NULL)
        *key = tern_openssl_key_new(made, data);
    return *key == NULL ? TERN_ERR_MEMORY : TERN_OK;
}

static void rsa_write_public(const struct rsa_numbers *numbers, struct tern_writer *data)
{
    size_t pair_size =
        tern_der_unsigned_size(numbers->modulus) + tern_der_unsigned_size(numbers->exponent);
    size_t string_size = 1 + tern_der_size(pair_size);
    tern_der_write_header(data, TERN_DER_SEQUENCE,
                          sizeof rsa_algorithm + tern_der_size(string_size));
    tern_writer_bytes(data, tern_view_of(rsa_algorithm, sizeof rsa_algorithm));
    tern_der_write_header(data, TERN_DER_BIT_STRING, string_size);
    tern_writer_u8(data, 0);
    tern_der_write_header(data, TERN_DER_SEQUENCE, pair_size);
    tern_der_write_unsigned(data, numbers->modulus);
    tern_der_write_unsigned(data, numbers->exponent);
}

/* Copies one of the key's numbers to a buffer and views it. TERN_ERR_TOO_LARGE: it does not fit. */
static tern_err rsa_number(EVP_PKEY *pkey, const char *name, struct tern_span buffer,
                           struct tern_view *magnitude)
{
    BIGNUM *number = NULL;
    if (EVP_PKEY_get_bn_param(pkey, name, &number) != 1)
        return TERN_ERR_MEMORY;
    bool fits = (size_t)BN_num_bytes(number) <= buffer.size;
    if (fits)
        *magnitude = tern_view_of(buffer.data, (size_t)BN_bn2bin(number, buffer.data));
    BN_free(number);
    return fits ? TERN_OK : TERN_ERR_TOO_LARGE;
}

/* Takes over a key pair that OpenSSL made or read: checks its public numbers and puts their
 * encoding beside it. */
tern_err tern_rsa_adopt(EVP_PKEY *pkey, struct tern_openssl_key **key)
{
    uint8_t modulus[RSA_MODULUS_SIZE_MAX];
    uint8_t exponent[RSA_EXPONENT_SIZE_MAX];
    uint8_t bytes[TERN_PUBLIC_KEY_SIZE_MAX];
    struct rsa_numbers numbers;
    tern_err err = rsa_number(pkey, OSSL_PKEY_PARAM_RSA_N,
                              (struct tern_span){modulus, sizeof modulus}, &numbers.modulus);
    if (err == TERN_OK)
        err = rsa_number(pkey, OSSL_PKEY_PARAM_RSA_E, (struct tern_span){exponent, sizeof exponent},
                         &numbers.exponent);
    if (err == TERN_OK)
        err = rsa_check(&numbers);
    if (err != TERN_OK) {
        EVP_PKEY_free(pkey);
        return err;
    }
    struct tern_writer data = tern_writer_of(bytes, sizeof bytes);
    rsa_write_public(&numbers, &data);
    TERN_CHECK(tern_writer_ok(&data));
    *key = tern_openssl_key_new(pkey, tern_writer_view(&data));
    return *key == NULL ? TERN_ERR_MEMORY : TERN_OK;
}

void tern_rsa_encode_private(const struct tern_openssl_key *key, struct tern_writer *data)
{
    unsigned char *der = NULL;
    int size = i2d_PrivateKey(tern_openssl_key_pkey(key), &der);
    if (size <= 0 || der == NULL) {
        data->overflow = true; /* the caller sees that nothing whole was written */
        ERR_clear_error();
        return;
    }
    tern_writer_bytes(data, tern_view_of(der, (size_t)size));
    OPENSSL_clear_free(der, (size_t)size);
}

/* The numbers of a private key. A key that has them all agree signs what its public part verifies.
 */
struct rsa_private {
    BIGNUM *n, *e, *d, *p, *q, *dp, *dq, *qinv;
};

static bool rsa_private_get(EVP_PKEY *pkey, struct rsa_private *k)
{
    return EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_N, &k->n) == 1 &&
           EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &k->e) == 1 &&
           EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_D, &k->d) == 1 &&
           EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_FACTOR1, &k->p) == 1 &&
           EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_FACTOR2, &k->q) == 1 &&
           EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_EXPONENT1, &k->dp) == 1 &&
           EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_EXPONENT2, &k->dq) == 1 &&
           EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_COEFFICIENT1, &k->qinv) == 1;
}

static void rsa_private_free(struct rsa_private *k)
{
    BIGNUM *const numbers[] = {k->n, k->e, k->d, k->p, k->q, k->dp, k->dq, k->qinv};
    for (size_t i = 0; i < TERN_COUNT_OF(numbers); i++)
        BN_clear_free(numbers[i]);
}

/* For one prime factor: is e d = 1 and is the short exponent d, both modulo factor - 1? */
static bool rsa_factor_agrees(const struct rsa_private *k, const BIGNUM *factor,
                              const BIGNUM *short_exponent, BN_CTX *context)
{
    BIGNUM *order = BN_dup(factor);
    BIGNUM *product = BN_new();
    BIGNUM *reduced = BN_new();
    bool agrees = order != NULL && product != NULL && reduced != NULL &&
                  BN_sub_word(order, 1) == 1 && !BN_is_zero(order) &&
                  BN_mod_mul(product, k->e, k->d, order, context) == 1 && BN_is_one(product) &&
                  BN_nnmod(reduced, k->d, order, context) == 1 &&
                  BN_cmp(reduced, short_exponent) == 0;
    BN_clear_free(order);
    BN_clear_free(product);
    BN_clear_free(reduced);
    return agrees;
}

/* n = p q, the exponents agree, and qinv is the inverse of q modulo p. Whether p and q are prime is
 * not tried: it takes seconds for a large key, and the file is our own. */
static bool rsa_private_agrees(const struct rsa_private *k)
{
    BN_CTX *context = BN_CTX_new();
    BIGNUM *product = BN_new();
    bool agrees = context != NULL && product != NULL && BN_is_odd(k->p) && BN_is_odd(k->q) &&
                  BN_mul(product, k->p, k->q, context) == 1 && BN_cmp(product, k->n) == 0 &&
                  rsa_factor_agrees(k, k->p, k->dp, context) &&
                  rsa_factor_agrees(k, k->q, k->dq, context) &&
                  BN_mod_mul(product, k->q, k->qinv, k->p, context) == 1 && BN_is_one(product) &&
                  BN_cmp(k->qinv, k->p) < 0;
    BN_clear_free(product);
    BN_CTX_free(context);
    return agrees;
}

static bool rsa_check_private(EVP_PKEY *pkey)
{
    struct rsa_private numbers = {0};
    bool agrees = rsa_private_get(pkey, &numbers) && rsa_private_agrees(&numbers);
    rsa_private_free(&numbers);
    return agrees;
}

/* Would we write the key as it came? */
static bool rsa_is_canonical(const struct tern_openssl_key *key, struct tern_view data)
{
    uint8_t bytes[TERN_PRIVATE_KEY_SIZE_MAX];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_rsa_encode_private(key, &w);
    bool same = tern_writer_ok(&w) && tern_view_equal(tern_writer_view(&w), data);
    tern_secret_wipe(bytes, sizeof bytes);
    return same;
}

tern_err tern_rsa_decode_private(struct tern_view data, struct tern_openssl_key **key)
{
    *key = NULL;
    if (data.size > TERN_PRIVATE_KEY_SIZE_MAX)
        return TERN_ERR_TOO_LARGE;
    const unsigned char *at = data.data;
    EVP_PKEY *pkey = d2i_PrivateKey(EVP_PKEY_RSA, NULL, &at, (long)data.size);
    tern_err err = TERN_ERR_BAD_KEY;
    if (pkey != NULL && EVP_PKEY_is_a(pkey, "RSA") == 1)
        err = tern_rsa_adopt(pkey, key);
    else
        EVP_PKEY_free(pkey);
    if (err == TERN_OK && (!rsa_check_private(pkey) || !rsa_is_canonical(*key, data))) {
        tern_openssl_key_unref(*key);
        *key = NULL;
        err = TERN_ERR_BAD_KEY;
    }
    return err == TERN_OK ? TERN_OK : tern_openssl_failure(err);
}
