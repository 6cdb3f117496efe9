/*
 * ECDSA on P-256 with the nonce of RFC 6979. OpenSSL derives nonces so from release 3.2 on only; in
 * earlier ones the one way to hand it a nonce is through its older functions, which all releases
 * have. Should they go, the newer parameter takes their place here.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/obj_mac.h>

#include "base/check.h"
#include "crypto/der.h"
#include "crypto/key_types.h"
#include "crypto/secret.h"

enum { NONCE_DRAWS_MAX = 100 }; /* one in 2^32 is refused */

/* What one signature needs; all of it may be NULL. */
struct deterministic {
    EC_KEY *key;
    const EC_GROUP *group;
    const BIGNUM *order;
    BN_CTX *context;
    BIGNUM *secret;
    BIGNUM *nonce;
    BIGNUM *inverse; /* of the nonce */
    BIGNUM *r;
    EC_POINT *point;
};

/* K and V of the standard. */
struct nonce_source {
    uint8_t key[TERN_SHA256_SIZE];
    uint8_t value[TERN_SHA256_SIZE];
};

/* K = HMAC_K(V || byte || seed) */
static void nonce_rekey(struct nonce_source *source, uint8_t byte, struct tern_view seed)
{
    uint8_t bytes[TERN_SHA256_SIZE + 1 + TERN_ECDSA_SECRET_SIZE + TERN_SHA256_SIZE];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_writer_bytes(&w, tern_view_of(source->value, sizeof source->value));
    tern_writer_u8(&w, byte);
    tern_writer_bytes(&w, seed);
    TERN_CHECK(tern_writer_ok(&w));
    const struct tern_view key = tern_view_of(source->key, sizeof source->key);
    uint8_t next[TERN_SHA256_SIZE];
    tern_hmac_sha256(key, tern_writer_view(&w), next);
    memcpy(source->key, next, sizeof next);
    tern_secret_wipe(bytes, sizeof bytes);
    tern_secret_wipe(next, sizeof next);
}

/* V = HMAC_K(V) */
static void nonce_next(struct nonce_source *source)
{
    uint8_t next[TERN_SHA256_SIZE];
    tern_hmac_sha256(tern_view_of(source->key, sizeof source->key),
                     tern_view_of(source->value, sizeof source->value), next);
    memcpy(source->value, next, sizeof next);
    tern_secret_wipe(next, sizeof next);
}

/* RFC 6979 section 3.2, steps b to g. seed is secret and the digest modulo the order. */
static void nonce_start(struct nonce_source *source, struct tern_view seed)
{
    memset(source->value, 1, sizeof source->value);
    memset(source->key, 0, sizeof source->key);
    nonce_rekey(source, 0, seed);
    nonce_next(source);
    nonce_rekey(source, 1, seed);
    nonce_next(source);
}

/* Step h: the first candidate that is a scalar. */
static bool deterministic_draw(struct deterministic *d, struct nonce_source *source)
{
    for (int i = 0; i < NONCE_DRAWS_MAX; i++) {
        nonce_next(source);
        if (BN_bin2bn(source->value, sizeof source->value, d->nonce) == NULL)
            return false;
        if (!BN_is_zero(d->nonce) && BN_cmp(d->nonce, d->order) < 0)
            return true;
        nonce_rekey(source, 0, tern_view_of(NULL, 0));
        nonce_next(source);
    }
    return false;
}

static bool deterministic_nonce(struct deterministic *d, const uint8_t *secret,
                                const uint8_t *digest)
{
    uint8_t seed[TERN_ECDSA_SECRET_SIZE + TERN_SHA256_SIZE];
    struct nonce_source source;
    memcpy(seed, secret, TERN_ECDSA_SECRET_SIZE);
    bool done =
        BN_bin2bn(digest, TERN_SHA256_SIZE, d->r) != NULL &&
        BN_nnmod(d->r, d->r, d->order, d->context) == 1 &&
        BN_bn2binpad(d->r, seed + TERN_ECDSA_SECRET_SIZE, TERN_SHA256_SIZE) == TERN_SHA256_SIZE;
    if (done) {
        nonce_start(&source, tern_view_of(seed, sizeof seed));
        done = deterministic_draw(d, &source);
    }
    tern_secret_wipe(seed, sizeof seed);
    tern_secret_wipe(&source, sizeof source);
    return done;
}

/* r, the abscissa of nonce times the generator; and the nonce's inverse, as its power to order - 2:
 * that way of inverting takes the same time for each. */
static bool deterministic_commit(struct deterministic *d)
{
    BIGNUM *exponent = BN_dup(d->order);
    bool done = exponent != NULL && BN_sub_word(exponent, 2) == 1 &&
                BN_mod_exp_mont_consttime(d->inverse, d->nonce, exponent, d->order, d->context,
                                          NULL) == 1 &&
                EC_POINT_mul(d->group, d->point, d->nonce, NULL, NULL, d->context) == 1 &&
                EC_POINT_get_affine_coordinates(d->group, d->point, d->r, NULL, d->context) == 1 &&
                BN_nnmod(d->r, d->r, d->order, d->context) == 1 && !BN_is_zero(d->r);
    BN_free(exponent);
    return done;
}

static bool deterministic_init(struct deterministic *d, const uint8_t *secret)
{
    *d = (struct deterministic){.key = EC_KEY_new_by_curve_name(NID_X9_62_prime256v1),
                                .context = BN_CTX_secure_new(),
                                .secret = BN_secure_new(),
                                .nonce = BN_secure_new(),
                                .inverse = BN_secure_new(),
                                .r = BN_new()};
    if (d->key == NULL || d->context == NULL || d->secret == NULL || d->nonce == NULL ||
        d->inverse == NULL || d->r == NULL)
        return false;
    d->group = EC_KEY_get0_group(d->key);
    d->order = EC_GROUP_get0_order(d->group);
    d->point = EC_POINT_new(d->group);
    BN_set_flags(d->secret, BN_FLG_CONSTTIME);
    BN_set_flags(d->nonce, BN_FLG_CONSTTIME);
    return d->point != NULL && BN_bin2bn(secret, TERN_ECDSA_SECRET_SIZE, d->secret) != NULL &&
           EC_KEY_set_private_key(d->key, d->secret) == 1;
}

static void deterministic_fini(struct deterministic *d)
{
    EC_POINT_clear_free(d->point);
    BN_free(d->r);
    BN_clear_free(d->inverse);
    BN_clear_free(d->nonce);
    BN_clear_free(d->secret);
    BN_CTX_free(d->context);
    EC_KEY_free(d->key);
}

static struct tern_view deterministic_magnitude(const BIGNUM *number,
                                                uint8_t buffer[TERN_ECDSA_SECRET_SIZE])
{
    TERN_CHECK(BN_num_bytes(number) <= TERN_ECDSA_SECRET_SIZE);
    return tern_view_of(buffer, (size_t)BN_bn2bin(number, buffer));
}

static void deterministic_write(const ECDSA_SIG *signed_pair, struct tern_writer *signature)
{
    uint8_t buffers[2][TERN_ECDSA_SECRET_SIZE];
    struct tern_view r = deterministic_magnitude(ECDSA_SIG_get0_r(signed_pair), buffers[0]);
    struct tern_view s = deterministic_magnitude(ECDSA_SIG_get0_s(signed_pair), buffers[1]);
    tern_der_write_header(signature, TERN_DER_SEQUENCE,
                          tern_der_unsigned_size(r) + tern_der_unsigned_size(s));
    tern_der_write_unsigned(signature, r);
    tern_der_write_unsigned(signature, s);
}

tern_err tern_ecdsa_sign_deterministic(const uint8_t secret[TERN_ECDSA_SECRET_SIZE],
                                       const uint8_t digest[TERN_SHA256_SIZE],
                                       struct tern_writer *signature)
{
    struct deterministic d;
    ECDSA_SIG *signed_pair = NULL;
    if (deterministic_init(&d, secret) && deterministic_nonce(&d, secret, digest) &&
        deterministic_commit(&d))
        signed_pair = ECDSA_do_sign_ex(digest, TERN_SHA256_SIZE, d.inverse, d.r, d.key);
    deterministic_fini(&d);
    /* All that can go wrong but for lack of memory has a chance of one in 2^32 or less. */
    if (signed_pair == NULL)
        return tern_openssl_failure(TERN_ERR_MEMORY);
    deterministic_write(signed_pair, signature);
    ECDSA_SIG_free(signed_pair);
    return tern_writer_ok(signature) ? TERN_OK : TERN_ERR_TOO_LARGE;
}
