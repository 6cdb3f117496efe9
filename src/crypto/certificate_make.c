#include "base/check.h"
#include "crypto/certificate_parse.h"
#include "crypto/certificate_signed_key.h"
#include "crypto/der.h"
#include "crypto/key_types.h"
#include "crypto/secret.h"

enum {
    MAKE_SERIAL_SIZE = 16,
    MAKE_POINT_SIZE = 65,
    MAKE_EXTENSION_SIZE_MAX = TERN_PUBLIC_KEY_SIZE_MAX + TERN_SIGNATURE_SIZE_MAX + 64,
    MAKE_TBS_SIZE_MAX = MAKE_EXTENSION_SIZE_MAX + 512,
    MAKE_DER_SIZE_MAX = MAKE_TBS_SIZE_MAX + 128,
};
_Static_assert((int)MAKE_DER_SIZE_MAX <= (int)TERN_CERTIFICATE_SIZE_MAX, "we take what we make");

/* From 1970-01-01, where a clock stands that was never set, to 2120-01-01. */
static const int64_t MAKE_NOT_BEFORE = 0;
static const int64_t MAKE_NOT_AFTER = 4733510400;

/* AlgorithmIdentifier { ecdsa-with-SHA256 } */
static const uint8_t make_algorithm[] = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86,
                                         0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};

/* Name { organizationName "libp2p.io" }, as issuer and as subject; it means nothing, but there are
 * parsers that want one. */
static const uint8_t make_name[] = {0x30, 0x14, 0x31, 0x12, 0x30, 0x10, 0x06, 0x03,
                                    0x55, 0x04, 0x0a, 0x0c, 0x09, 'l',  'i',  'b',
                                    'p',  '2',  'p',  '.',  'i',  'o'};

/* keyUsage, critical: digitalSignature. subjectAltName: the DNS name "localhost". Chromium refuses
 * a certificate without extensions. */
static const uint8_t make_web_extensions[] = {
    0x30, 0x0e, 0x06, 0x03, 0x55, 0x1d, 0x0f, 0x01, 0x01, 0xff, 0x04, 0x04, 0x03,
    0x02, 0x07, 0x80, 0x30, 0x14, 0x06, 0x03, 0x55, 0x1d, 0x11, 0x04, 0x0d, 0x30,
    0x0b, 0x82, 0x09, 'l',  'o',  'c',  'a',  'l',  'h',  'o',  's',  't'};

/* PrivateKeyInfo { 0, { ecPublicKey, prime256v1 }, OCTET STRING { ECPrivateKey { 1, secret,
 * [1] point } } } */
static const uint8_t pkcs8_head[] = {0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06,
                                     0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
                                     0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
                                     0x04, 0x6d, 0x30, 0x6b, 0x02, 0x01, 0x01, 0x04, 0x20};
static const uint8_t pkcs8_middle[] = {0xa1, 0x44, 0x03, 0x42, 0x00};
_Static_assert(sizeof pkcs8_head + TERN_ECDSA_SECRET_SIZE + sizeof pkcs8_middle + MAKE_POINT_SIZE ==
                   TERN_CERTIFICATE_KEY_SIZE,
               "the sizes add up");

/* What is being made, and with what. */
struct make {
    const struct tern_certificate_options *options;
    uint8_t secret[TERN_ECDSA_SECRET_SIZE];
    struct tern_view spki;
};

static void make_key(const struct make *m, uint8_t key[TERN_CERTIFICATE_KEY_SIZE])
{
    struct tern_writer w = tern_writer_of(key, TERN_CERTIFICATE_KEY_SIZE);
    tern_writer_bytes(&w, tern_view_of(pkcs8_head, sizeof pkcs8_head));
    tern_writer_bytes(&w, tern_view_of(m->secret, sizeof m->secret));
    tern_writer_bytes(&w, tern_view_of(pkcs8_middle, sizeof pkcs8_middle));
    tern_writer_bytes(&w, tern_view_part(m->spki, m->spki.size - MAKE_POINT_SIZE, MAKE_POINT_SIZE));
    TERN_CHECK(tern_writer_ok(&w) && tern_writer_left(&w) == 0);
}

/* The value of libp2p's extension: SignedKey. */
static tern_err make_signed_key(const struct make *m, struct tern_writer *w)
{
    const struct tern_private_key *host = m->options->host_key;
    uint8_t key_bytes[TERN_PUBLIC_KEY_SIZE_MAX];
    uint8_t signature_bytes[TERN_SIGNATURE_SIZE_MAX];
    uint8_t to_sign[TERN_CERTIFICATE_SIGNED_SIZE_MAX];
    struct tern_writer key = tern_writer_of(key_bytes, sizeof key_bytes);
    struct tern_writer signature = tern_writer_of(signature_bytes, sizeof signature_bytes);
    struct tern_writer message = tern_writer_of(to_sign, sizeof to_sign);
    tern_public_key_encode(&host->public_key, &key);
    tern_certificate_signed_bytes(m->spki, &message);
    TERN_CHECK(tern_writer_ok(&key) && tern_writer_ok(&message));
    TERN_TRY(tern_private_key_sign(host, tern_writer_view(&message), &signature));
    tern_der_write_header(w, TERN_DER_SEQUENCE,
                          tern_der_size(key.size) + tern_der_size(signature.size));
    tern_der_write(w, TERN_DER_OCTET_STRING, tern_writer_view(&key));
    tern_der_write(w, TERN_DER_OCTET_STRING, tern_writer_view(&signature));
    return TERN_OK;
}

static tern_err make_libp2p_extension(const struct make *m, struct tern_writer *w)
{
    uint8_t bytes[MAKE_EXTENSION_SIZE_MAX];
    struct tern_writer value = tern_writer_of(bytes, sizeof bytes);
    TERN_TRY(make_signed_key(m, &value));
    TERN_CHECK(tern_writer_ok(&value));
    tern_der_write_header(w, TERN_DER_SEQUENCE,
                          tern_der_size(sizeof tern_certificate_oid) + tern_der_size(value.size));
    tern_der_write(w, TERN_DER_OID,
                   tern_view_of(tern_certificate_oid, sizeof tern_certificate_oid));
    tern_der_write(w, TERN_DER_OCTET_STRING, tern_writer_view(&value));
    return TERN_OK;
}

static tern_err make_extensions(const struct make *m, struct tern_writer *w)
{
    uint8_t bytes[MAKE_EXTENSION_SIZE_MAX];
    struct tern_writer list = tern_writer_of(bytes, sizeof bytes);
    if (m->options->kind == TERN_CERTIFICATE_LIBP2P)
        TERN_TRY(make_libp2p_extension(m, &list));
    else
        tern_writer_bytes(&list, tern_view_of(make_web_extensions, sizeof make_web_extensions));
    TERN_CHECK(tern_writer_ok(&list));
    tern_der_write_header(w, TERN_DER_EXPLICIT_3, tern_der_size(list.size));
    tern_der_write(w, TERN_DER_SEQUENCE, tern_writer_view(&list));
    return TERN_OK;
}

static void make_serial(const struct make *m, struct tern_writer *w)
{
    uint8_t serial[MAKE_SERIAL_SIZE];
    tern_random_bytes(m->options->random, serial, sizeof serial);
    serial[0] = (uint8_t)((serial[0] & 0x7f) | 0x40); /* positive, and of one length */
    tern_der_write(w, TERN_DER_INTEGER, tern_view_of(serial, sizeof serial));
}

static void make_validity(const struct make *m, struct tern_writer *w)
{
    uint8_t bytes[64];
    struct tern_writer pair = tern_writer_of(bytes, sizeof bytes);
    bool web = m->options->kind == TERN_CERTIFICATE_WEB;
    int64_t from = web ? (int64_t)(m->options->not_before / TERN_SECOND) : MAKE_NOT_BEFORE;
    int64_t to = web ? (int64_t)(m->options->not_after / TERN_SECOND) : MAKE_NOT_AFTER;
    TERN_CHECK(from <= to);
    tern_certificate_write_time(&pair, from);
    tern_certificate_write_time(&pair, to);
    TERN_CHECK(tern_writer_ok(&pair));
    tern_der_write(w, TERN_DER_SEQUENCE, tern_writer_view(&pair));
}

/* TBSCertificate */
static tern_err make_to_be_signed(const struct make *m, struct tern_writer *w)
{
    static const uint8_t version[] = {TERN_DER_EXPLICIT_0, 3, TERN_DER_INTEGER, 1, 2};
    uint8_t bytes[MAKE_TBS_SIZE_MAX];
    struct tern_writer fields = tern_writer_of(bytes, sizeof bytes);
    tern_writer_bytes(&fields, tern_view_of(version, sizeof version));
    make_serial(m, &fields);
    tern_writer_bytes(&fields, tern_view_of(make_algorithm, sizeof make_algorithm));
    tern_writer_bytes(&fields, tern_view_of(make_name, sizeof make_name));
    make_validity(m, &fields);
    tern_writer_bytes(&fields, tern_view_of(make_name, sizeof make_name));
    tern_writer_bytes(&fields, m->spki);
    TERN_TRY(make_extensions(m, &fields));
    TERN_CHECK(tern_writer_ok(&fields));
    tern_der_write(w, TERN_DER_SEQUENCE, tern_writer_view(&fields));
    return TERN_OK;
}

/* Certificate */
static tern_err make_der(const struct make *m, struct tern_writer *w)
{
    uint8_t tbs_bytes[MAKE_TBS_SIZE_MAX];
    uint8_t signature_bytes[1 + TERN_ECDSA_SIGNATURE_SIZE_MAX] = {0}; /* no unused bits */
    struct tern_writer tbs = tern_writer_of(tbs_bytes, sizeof tbs_bytes);
    struct tern_writer signature = tern_writer_of(signature_bytes, sizeof signature_bytes);
    TERN_TRY(make_to_be_signed(m, &tbs));
    uint8_t digest[TERN_SHA256_SIZE];
    tern_sha256(tern_writer_view(&tbs), digest);
    tern_writer_u8(&signature, 0);
    TERN_TRY(tern_ecdsa_sign_deterministic(m->secret, digest, &signature));
    TERN_CHECK(tern_writer_ok(&tbs) && tern_writer_ok(&signature));
    tern_der_write_header(w, TERN_DER_SEQUENCE,
                          tbs.size + sizeof make_algorithm + tern_der_size(signature.size));
    tern_writer_bytes(w, tern_writer_view(&tbs));
    tern_writer_bytes(w, tern_view_of(make_algorithm, sizeof make_algorithm));
    tern_der_write(w, TERN_DER_BIT_STRING, tern_writer_view(&signature));
    TERN_CHECK(tern_writer_ok(w));
    return TERN_OK;
}

static tern_err make_fill(const struct make *m, struct tern_certificate *certificate)
{
    uint8_t bytes[MAKE_DER_SIZE_MAX];
    struct tern_writer der = tern_writer_of(bytes, sizeof bytes);
    TERN_TRY(make_der(m, &der));
    certificate->der = tern_mem_dup(certificate->mem, tern_writer_view(&der));
    if (certificate->der == NULL)
        return TERN_ERR_MEMORY;
    certificate->der_size = der.size;
    tern_sha256(tern_writer_view(&der), certificate->sha256);
    make_key(m, certificate->key);
    return TERN_OK;
}

tern_err tern_certificate_make(const struct tern_certificate_options *options,
                               struct tern_certificate *certificate)
{
    TERN_CHECK((options->kind == TERN_CERTIFICATE_LIBP2P) == (options->host_key != NULL));
    struct make m = {.options = options};
    struct tern_openssl_key *key;
    *certificate = (struct tern_certificate){.mem = options->mem};
    tern_err err = tern_ecdsa_generate(options->random, m.secret, &key);
    if (err == TERN_OK) {
        m.spki = tern_openssl_key_public_data(key);
        err = make_fill(&m, certificate);
        tern_openssl_key_unref(key);
    }
    tern_secret_wipe(&m, sizeof m);
    return err;
}

tern_err tern_certificate_signer_open(const struct tern_certificate *certificate,
                                      struct tern_openssl_key **signer)
{
    return tern_ecdsa_of_secret(certificate->key + sizeof pkcs8_head, signer);
}

tern_err tern_certificate_signer_sign(const struct tern_openssl_key *signer,
                                      const uint8_t digest[TERN_SHA256_SIZE],
                                      struct tern_writer *signature)
{
    return tern_openssl_sign(tern_openssl_key_pkey(signer), false, digest, signature);
}

void tern_certificate_signer_close(struct tern_openssl_key *signer)
{
    tern_openssl_key_unref(signer);
}

void tern_certificate_fini(struct tern_certificate *certificate)
{
    tern_mem_free(certificate->mem, certificate->der, certificate->der_size);
    tern_secret_wipe(certificate, sizeof *certificate);
}
