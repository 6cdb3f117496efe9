/*
 * ECDSA keys on P-256, and public ones on P-384. Their DER has one shape each, so it is compared
 * with a template rather than given to a general parser: a peer's bytes reach OpenSSL as a point,
 * never as ASN.1 with curve parameters.
 */
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/param_build.h>

#include "base/check.h"
#include "base/reader.h"
#include "crypto/der.h"
#include "crypto/key_types.h"
#include "crypto/secret.h"

enum {
    ECDSA_POINT_SIZE = 65, /* 0x04, x, y */
    ECDSA_SPKI_SIZE = 91,
    ECDSA_SPKI_SIZE_MAX = 120,
    ECDSA_DRAWS_MAX = 1000, /* one in 2^32 is refused */
};

/* SEQUENCE { SEQUENCE { OID ecPublicKey, OID prime256v1 }, BIT STRING (no unused bits) … } */
static const uint8_t spki_head[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                                    0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
                                    0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00};

/* The same with secp384r1. */
static const uint8_t spki_head_p384[] = {0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86,
                                         0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b,
                                         0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00};

struct ecdsa_curve {
    const char *name; /* OpenSSL's */
    struct tern_view spki_head;
    size_t point_size;
};

static const struct ecdsa_curve ecdsa_p256 = {
    "prime256v1", {spki_head, sizeof spki_head}, ECDSA_POINT_SIZE};
static const struct ecdsa_curve ecdsa_p384 = {
    "secp384r1", {spki_head_p384, sizeof spki_head_p384}, 97};

/* SEQUENCE { INTEGER 1, OCTET STRING secret, [0] OID prime256v1, [1] BIT STRING point } (SEC 1 C.4)
 */
static const uint8_t sec1_head[] = {0x30, 0x77, 0x02, 0x01, 0x01, 0x04, 0x20};
static const uint8_t sec1_middle[] = {0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
                                      0x03, 0x01, 0x07, 0xa1, 0x44, 0x03, 0x42, 0x00};

/* Takes the expected bytes off a reader. */
static bool ecdsa_expect(struct tern_reader *r, const uint8_t *expected, size_t size)
{
    struct tern_view bytes;
    return tern_reader_bytes(r, size, &bytes) &&
           tern_view_equal(bytes, tern_view_of(expected, size));
}

static OSSL_PARAM *ecdsa_params(const struct ecdsa_curve *curve, const uint8_t *point,
                                const BIGNUM *secret)
{
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;
    if (build != NULL &&
        OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, curve->name, 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point,
                                         curve->point_size) == 1 &&
        (secret == NULL || OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, secret) == 1))
        params = OSSL_PARAM_BLD_to_param(build);
    OSSL_PARAM_BLD_free(build);
    return params;
}

/* Makes the key of a point, and of a secret if there is one. BAD_KEY: the point is not on the
 * curve. */
static tern_err ecdsa_make(const struct ecdsa_curve *curve, const uint8_t *point,
                           const BIGNUM *secret, struct tern_openssl_key **key)
{
    OSSL_PARAM *params = ecdsa_params(curve, point, secret);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY *made = NULL;
    tern_err err = TERN_ERR_MEMORY;
    if (params != NULL && context != NULL && EVP_PKEY_fromdata_init(context) == 1) {
        int selection = secret == NULL ? EVP_PKEY_PUBLIC_KEY : EVP_PKEY_KEYPAIR;
        err =
            EVP_PKEY_fromdata(context, &made, selection, params) == 1 ? TERN_OK : TERN_ERR_BAD_KEY;
    }
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    *key = NULL;
    if (err != TERN_OK)
        return tern_openssl_failure(err);
    uint8_t bytes[ECDSA_SPKI_SIZE_MAX];
    struct tern_writer spki = tern_writer_of(bytes, sizeof bytes);
    tern_writer_bytes(&spki, curve->spki_head);
    tern_writer_bytes(&spki, tern_view_of(point, curve->point_size));
    TERN_CHECK(tern_writer_ok(&spki));
    *key = tern_openssl_key_new(made, tern_writer_view(&spki));
    return *key == NULL ? TERN_ERR_MEMORY : TERN_OK;
}

/* Another curve, or rubbish? The difference is worth telling to whoever reads the error. */
static tern_err ecdsa_refuse_public(struct tern_view data)
{
    static const uint8_t ec_public_key[] = {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01};
    struct tern_reader r = tern_reader_of(data);
    struct tern_view spki;
    struct tern_view algorithm;
    struct tern_view oid;
    if (!tern_der_read(&r, TERN_DER_SEQUENCE, &spki))
        return TERN_ERR_BAD_KEY;
    r = tern_reader_of(spki);
    if (!tern_der_read(&r, TERN_DER_SEQUENCE, &algorithm))
        return TERN_ERR_BAD_KEY;
    r = tern_reader_of(algorithm);
    struct tern_view curve;
    if (!tern_der_read(&r, TERN_DER_OID, &oid) || !tern_der_read(&r, TERN_DER_OID, &curve) ||
        !tern_view_equal(oid, tern_view_of(ec_public_key, sizeof ec_public_key)))
        return TERN_ERR_BAD_KEY;
    struct tern_view p256 = tern_view_of(spki_head + 15, 8);
    return tern_view_equal(curve, p256) ? TERN_ERR_BAD_KEY : TERN_ERR_UNSUPPORTED;
}

/* The point of a SubjectPublicKeyInfo on that curve. */
static bool ecdsa_read_point(const struct ecdsa_curve *curve, struct tern_view data,
                             struct tern_view *point)
{
    struct tern_reader r = tern_reader_of(data);
    return ecdsa_expect(&r, curve->spki_head.data, curve->spki_head.size) &&
           tern_reader_bytes(&r, curve->point_size, point) && tern_reader_left(&r) == 0 &&
           point->data[0] == POINT_CONVERSION_UNCOMPRESSED;
}

tern_err tern_ecdsa_decode_public(struct tern_view data, struct tern_openssl_key **key)
{
    *key = NULL;
    struct tern_view point;
    if (!ecdsa_read_point(&ecdsa_p256, data, &point))
        return ecdsa_refuse_public(data);
    return ecdsa_make(&ecdsa_p256, point.data, NULL, key);
}

tern_err tern_ecdsa_decode_p384(struct tern_view data, struct tern_openssl_key **key)
{
    *key = NULL;
    struct tern_view point;
    if (!ecdsa_read_point(&ecdsa_p384, data, &point))
        return TERN_ERR_BAD_KEY;
    return ecdsa_make(&ecdsa_p384, point.data, NULL, key);
}

/* The public point of a secret. BAD_KEY: the secret is 0 or not below the group's order. */
static tern_err ecdsa_point(const BIGNUM *secret, uint8_t point[ECDSA_POINT_SIZE])
{
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    EC_POINT *product = group == NULL ? NULL : EC_POINT_new(group);
    tern_err err = TERN_ERR_MEMORY;
    if (product != NULL) {
        bool valid = !BN_is_zero(secret) && BN_cmp(secret, EC_GROUP_get0_order(group)) < 0;
        err = valid ? TERN_OK : TERN_ERR_BAD_KEY;
        if (valid && (EC_POINT_mul(group, product, secret, NULL, NULL, NULL) != 1 ||
                      EC_POINT_point2oct(group, product, POINT_CONVERSION_UNCOMPRESSED, point,
                                         ECDSA_POINT_SIZE, NULL) != ECDSA_POINT_SIZE))
            err = TERN_ERR_MEMORY;
    }
    EC_POINT_free(product);
    EC_GROUP_free(group);
    return err == TERN_OK ? TERN_OK : tern_openssl_failure(err);
}

/* Makes the key pair of a secret; point is filled with its public part. */
static tern_err ecdsa_make_pair(const uint8_t bytes[TERN_ECDSA_SECRET_SIZE],
                                uint8_t point[ECDSA_POINT_SIZE], struct tern_openssl_key **key)
{
    *key = NULL;
    BIGNUM *secret = BN_secure_new();
    tern_err err = TERN_ERR_MEMORY;
    if (secret != NULL && BN_bin2bn(bytes, TERN_ECDSA_SECRET_SIZE, secret) != NULL) {
        BN_set_flags(secret, BN_FLG_CONSTTIME);
        err = ecdsa_point(secret, point);
    }
    if (err == TERN_OK)
        err = ecdsa_make(&ecdsa_p256, point, secret, key);
    BN_clear_free(secret);
    return err;
}

tern_err tern_ecdsa_decode_private(struct tern_view data, uint8_t secret[TERN_ECDSA_SECRET_SIZE],
                                   struct tern_openssl_key **key)
{
    *key = NULL;
    struct tern_reader r = tern_reader_of(data);
    struct tern_view bytes;
    struct tern_view point;
    if (!ecdsa_expect(&r, sec1_head, sizeof sec1_head) ||
        !tern_reader_bytes(&r, TERN_ECDSA_SECRET_SIZE, &bytes) ||
        !ecdsa_expect(&r, sec1_middle, sizeof sec1_middle) ||
        !tern_reader_bytes(&r, ECDSA_POINT_SIZE, &point) || tern_reader_left(&r) != 0)
        return TERN_ERR_BAD_KEY;
    uint8_t derived[ECDSA_POINT_SIZE];
    TERN_TRY(ecdsa_make_pair(bytes.data, derived, key));
    if (tern_view_equal(point, tern_view_of(derived, sizeof derived))) {
        memcpy(secret, bytes.data, bytes.size);
        return TERN_OK;
    }
    tern_openssl_key_unref(*key);
    *key = NULL;
    return TERN_ERR_BAD_KEY;
}

tern_err tern_ecdsa_generate(struct tern_random *random, uint8_t secret[TERN_ECDSA_SECRET_SIZE],
                             struct tern_openssl_key **key)
{
    uint8_t point[ECDSA_POINT_SIZE];
    tern_err err = TERN_ERR_BAD_KEY;
    for (int i = 0; i < ECDSA_DRAWS_MAX && err == TERN_ERR_BAD_KEY; i++) {
        tern_random_bytes(random, secret, TERN_ECDSA_SECRET_SIZE);
        err = ecdsa_make_pair(secret, point, key);
    }
    /* Out of memory inside OpenSSL may look like a bad key; a thousand bad draws in a row are
     * nothing else. */
    return err == TERN_ERR_BAD_KEY ? TERN_ERR_MEMORY : err;
}

tern_err tern_ecdsa_of_secret(const uint8_t secret[TERN_ECDSA_SECRET_SIZE],
                              struct tern_openssl_key **key)
{
    uint8_t point[ECDSA_POINT_SIZE];
    return ecdsa_make_pair(secret, point, key);
}

void tern_ecdsa_encode_private(const struct tern_openssl_key *key,
                               const uint8_t secret[TERN_ECDSA_SECRET_SIZE],
                               struct tern_writer *data)
{
    struct tern_view spki = tern_openssl_key_public_data(key);
    TERN_CHECK(spki.size == ECDSA_SPKI_SIZE);
    tern_writer_bytes(data, tern_view_of(sec1_head, sizeof sec1_head));
    tern_writer_bytes(data, tern_view_of(secret, TERN_ECDSA_SECRET_SIZE));
    tern_writer_bytes(data, tern_view_of(sec1_middle, sizeof sec1_middle));
    tern_writer_bytes(data, tern_view_of(spki.data + sizeof spki_head, ECDSA_POINT_SIZE));
}
