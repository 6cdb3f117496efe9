/*
 * For tests: certificates as other implementations or dishonest peers might make them, built by
 * OpenSSL, so that nothing of ours is on both sides.
 */
#ifndef TERN_CRYPTO_CERTIFICATE_TEST_FORGE_H
#define TERN_CRYPTO_CERTIFICATE_TEST_FORGE_H

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "crypto/certificate.h"
#include "crypto/der.h"
#include "tern_test.h"

enum { FORGE_SIZE_MAX = 3 * TERN_CERTIFICATE_SIZE_MAX, FORGE_EXTENSIONS_MAX = 40 };

struct forge_extension {
    const char *oid;
    bool critical;
    struct tern_view value;
};

struct forge {
    EVP_PKEY *key;
    EVP_PKEY *signer; /* NULL: key */
    const char *md;   /* NULL: none (Ed25519) */
    bool pss;
    int pss_salt; /* 0: of the digest's size */
    const struct tern_private_key *host;
    bool no_identity;
    bool identity_critical;
    bool host_signs_other;     /* the host signs another key than the certificate's */
    struct tern_view identity; /* not empty: the extension's value, whatever host is */
    int version;               /* 0: 3 */
    const char *not_before;    /* NULL: 20200101000000Z */
    const char *not_after;     /* NULL: 20500101000000Z */
    struct forge_extension extensions[FORGE_EXTENSIONS_MAX]; /* besides; until oid is NULL */
};

static inline EVP_PKEY *forge_key(const char *type, const char *group)
{
    EVP_PKEY *key = group == NULL ? EVP_PKEY_Q_keygen(NULL, NULL, type)
                                  : EVP_PKEY_Q_keygen(NULL, NULL, type, group);
    assert_non_null(key);
    return key;
}

static inline EVP_PKEY *forge_rsa(size_t bits)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", bits);
    assert_non_null(key);
    return key;
}

/* SignedKey of a host for a key. */
static inline struct tern_view forge_identity(const struct forge *f, struct tern_span room)
{
    uint8_t key_bytes[TERN_PUBLIC_KEY_SIZE_MAX];
    uint8_t signature_bytes[TERN_SIGNATURE_SIZE_MAX];
    uint8_t to_sign[2048];
    struct tern_writer key = tern_writer_of(key_bytes, sizeof key_bytes);
    struct tern_writer signature = tern_writer_of(signature_bytes, sizeof signature_bytes);
    struct tern_writer message = tern_writer_of(to_sign, sizeof to_sign);
    unsigned char *spki = NULL;
    int size = i2d_PUBKEY(f->key, &spki);
    assert_true(size > 0);
    tern_writer_str(&message, "libp2p-tls-handshake:");
    tern_writer_bytes(&message, tern_view_of(spki, (size_t)size - f->host_signs_other));
    OPENSSL_free(spki);
    tern_public_key_encode(&f->host->public_key, &key);
    assert_int_equal(tern_private_key_sign(f->host, tern_writer_view(&message), &signature),
                     TERN_OK);
    struct tern_writer w = tern_writer_of(room.data, room.size);
    tern_der_write_header(&w, TERN_DER_SEQUENCE,
                          tern_der_size(key.size) + tern_der_size(signature.size));
    tern_der_write(&w, TERN_DER_OCTET_STRING, tern_writer_view(&key));
    tern_der_write(&w, TERN_DER_OCTET_STRING, tern_writer_view(&signature));
    assert_true(tern_writer_ok(&w));
    return tern_writer_view(&w);
}

static inline void forge_add(X509 *x, const struct forge_extension *extension)
{
    ASN1_OBJECT *oid = OBJ_txt2obj(extension->oid, 1);
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    assert_non_null(oid);
    assert_int_equal(
        ASN1_OCTET_STRING_set(value, extension->value.data, (int)extension->value.size), 1);
    X509_EXTENSION *made = X509_EXTENSION_create_by_OBJ(NULL, oid, extension->critical, value);
    assert_int_equal(X509_add_ext(x, made, -1), 1);
    X509_EXTENSION_free(made);
    ASN1_OCTET_STRING_free(value);
    ASN1_OBJECT_free(oid);
}

static inline void forge_sign(X509 *x, const struct forge *f)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *pkey_context = NULL;
    EVP_PKEY *signer = f->signer == NULL ? f->key : f->signer;
    assert_int_equal(EVP_DigestSignInit_ex(context, &pkey_context, f->md, NULL, NULL, signer, NULL),
                     1);
    if (f->pss) {
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pkey_context, RSA_PKCS1_PSS_PADDING), 1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(
                             pkey_context, f->pss_salt == 0 ? RSA_PSS_SALTLEN_DIGEST : f->pss_salt),
                         1);
    }
    assert_true(X509_sign_ctx(x, context) > 0);
    EVP_MD_CTX_free(context);
}

/* forge_make builds the certificate into room (FORGE_SIZE_MAX bytes do) and views it. */
static inline struct tern_view forge_make(const struct forge *f, struct tern_span room)
{
    X509 *x = X509_new();
    assert_non_null(x);
    assert_int_equal(X509_set_version(x, f->version == 0 ? 2 : f->version - 1), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(x), 77), 1);
    assert_int_equal(ASN1_TIME_set_string_X509(X509_getm_notBefore(x), f->not_before == NULL
                                                                           ? "20200101000000Z"
                                                                           : f->not_before),
                     1);
    assert_int_equal(ASN1_TIME_set_string_X509(X509_getm_notAfter(x), f->not_after == NULL
                                                                          ? "20500101000000Z"
                                                                          : f->not_after),
                     1);
    assert_int_equal(X509_set_pubkey(x, f->key), 1);
    uint8_t value[4096];
    struct forge_extension identity = {"1.3.6.1.4.1.53594.1.1", f->identity_critical, f->identity};
    if (identity.value.size == 0 && !f->no_identity)
        identity.value = forge_identity(f, (struct tern_span){value, sizeof value});
    if (!f->no_identity)
        forge_add(x, &identity);
    for (size_t i = 0; i < FORGE_EXTENSIONS_MAX && f->extensions[i].oid != NULL; i++)
        forge_add(x, &f->extensions[i]);
    forge_sign(x, f);
    unsigned char *at = room.data;
    assert_true((size_t)i2d_X509(x, NULL) <= room.size);
    int size = i2d_X509(x, &at);
    X509_free(x);
    return tern_view_of(room.data, (size_t)size);
}

#endif
