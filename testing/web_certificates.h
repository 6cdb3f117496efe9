/*
 * For tests: a certificate authority of the web and what it signs, as PEM, made by OpenSSL.
 *
 *     struct web_pem root, leaf;
 *     web_certify(&(struct web_certificate){.authority = true}, NULL, &root);
 *     web_certify(&(struct web_certificate){.names = "DNS:a.example"}, &root, &leaf);
 *     web_pem_fini(&root); …
 */
#ifndef TERN_TESTING_WEB_CERTIFICATES_H
#define TERN_TESTING_WEB_CERTIFICATES_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/check.h"
#include "base/types.h"

enum { WEB_PEM_MAX = 8192 };

/* A certificate with its key. */
struct web_pem {
    X509 *certificate;
    EVP_PKEY *key;
    char text[WEB_PEM_MAX]; /* of the certificate, and of those above it but the root */
    size_t text_size;
    char key_text[WEB_PEM_MAX];
    size_t key_size;
};

struct web_certificate {
    bool authority;
    const char *common;     /* name; NULL: by what it is */
    const char *names;      /* such as "DNS:a.example,IP:10.0.0.1" */
    const char *not_before; /* NULL: 20200101000000Z */
    const char *not_after;  /* NULL: 20500101000000Z */
    const char *usage;      /* NULL: serverAuth */
    const char *group;      /* of an EC key; NULL: P-256 */
    size_t rsa_bits;        /* not 0: RSA */
    const char *digest;     /* NULL: SHA256 */
};

static inline void web_extend(X509 *x, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    TERN_CHECK(extension != NULL && X509_add_ext(x, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

static inline void web_name(X509_NAME *name, const char *common)
{
    TERN_CHECK(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)common, -1, -1,
                                          0) == 1);
}

static inline size_t web_pem_take(BIO *bio, char *text)
{
    int size = BIO_read(bio, text, WEB_PEM_MAX - 1);
    TERN_CHECK(size >= 0 && size < WEB_PEM_MAX - 1);
    BIO_free(bio);
    text[size] = '\0';
    return (size_t)size;
}

static inline void web_pem_write(struct web_pem *pem, const struct web_pem *issuer)
{
    BIO *bio = BIO_new(BIO_s_mem());
    TERN_CHECK(PEM_write_bio_X509(bio, pem->certificate) == 1);
    if (issuer != NULL && X509_NAME_cmp(X509_get_subject_name(issuer->certificate),
                                        X509_get_issuer_name(issuer->certificate)) != 0)
        TERN_CHECK(BIO_write(bio, issuer->text, (int)issuer->text_size) > 0);
    pem->text_size = web_pem_take(bio, pem->text);
    bio = BIO_new(BIO_s_mem());
    TERN_CHECK(PEM_write_bio_PrivateKey(bio, pem->key, NULL, NULL, 0, NULL, NULL) == 1);
    pem->key_size = web_pem_take(bio, pem->key_text);
}

/* web_certify makes a key and a certificate of it, signed by the issuer; NULL: by itself. */
static inline void web_certify(const struct web_certificate *options, const struct web_pem *issuer,
                               struct web_pem *pem)
{
    const char *group = options->group == NULL ? "P-256" : options->group;
    const char *from = options->not_before == NULL ? "20200101000000Z" : options->not_before;
    const char *to = options->not_after == NULL ? "20500101000000Z" : options->not_after;
    const EVP_MD *digest =
        EVP_get_digestbyname(options->digest == NULL ? "SHA256" : options->digest);
    X509 *x = X509_new();
    memset(pem, 0, sizeof *pem);
    pem->certificate = x;
    pem->key = options->rsa_bits > 0 ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", options->rsa_bits)
                                     : EVP_PKEY_Q_keygen(NULL, NULL, "EC", group);
    TERN_CHECK(x != NULL && pem->key != NULL && X509_set_version(x, 2) == 1);
    TERN_CHECK(ASN1_INTEGER_set(X509_get_serialNumber(x), issuer == NULL ? 1 : 2) == 1);
    TERN_CHECK(ASN1_TIME_set_string_X509(X509_getm_notBefore(x), from) == 1);
    TERN_CHECK(ASN1_TIME_set_string_X509(X509_getm_notAfter(x), to) == 1);
    const char *common = options->authority ? "test authority" : "test server";
    web_name(X509_get_subject_name(x), options->common == NULL ? common : options->common);
    TERN_CHECK(
        X509_set_issuer_name(x, X509_get_subject_name(issuer == NULL ? x : issuer->certificate)));
    TERN_CHECK(X509_set_pubkey(x, pem->key) == 1);
    web_extend(x, NID_basic_constraints, options->authority ? "critical,CA:TRUE" : "CA:FALSE");
    if (!options->authority)
        web_extend(x, NID_ext_key_usage, options->usage == NULL ? "serverAuth" : options->usage);
    if (options->names != NULL)
        web_extend(x, NID_subject_alt_name, options->names);
    TERN_CHECK(X509_sign(x, issuer == NULL ? pem->key : issuer->key, digest) > 0);
    web_pem_write(pem, issuer);
}

static inline struct tern_view web_chain_view(const struct web_pem *pem)
{
    return tern_view_of(pem->text, pem->text_size);
}

static inline struct tern_view web_key_view(const struct web_pem *pem)
{
    return tern_view_of(pem->key_text, pem->key_size);
}

static inline void web_pem_fini(struct web_pem *pem)
{
    X509_free(pem->certificate);
    EVP_PKEY_free(pem->key);
    *pem = (struct web_pem){.certificate = NULL};
}

#endif
