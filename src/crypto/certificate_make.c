#include "base/check.h"
#include "crypto/certificate_key.h"
#include "crypto/certificate_parse.h"
#include "crypto/certificate_signed_key.h"
#include "crypto/der.h"
#include "crypto/key_types.h"
#include "crypto/secret.h"

enum {
    MAKE_SERIAL_SIZE = 16,
    MAKE_SPKI_SIZE_MAX = 26 + TERN_CERTIFICATE_POINT_SIZE,
    MAKE_EXTENSION_SIZE_MAX = TERN_PUBLIC_KEY_SIZE_MAX + TERN_SIGNATURE_SIZE_MAX + 64,
    MAKE_TBS_SIZE_MAX = MAKE_EXTENSION_SIZE_MAX + 512,
    MAKE_DER_SIZE_MAX = MAKE_TBS_SIZE_MAX + 128,
};
_Static_assert((int)MAKE_DER_SIZE_MAX <= (int)TERN_CERTIFICATE_SIZE_MAX, "we take what we make");

/* From 1970-01-01, where a clock stands that was never set, to 2120-01-01. */
static const int64_t MAKE_NOT_BEFORE = 0;
static const int64_t MAKE_NOT_AFTER = 4733510400;

/* AlgorithmIdentifiers of signatures: ecdsa-with-SHA256; Ed25519, which names keys, too. */
static const uint8_t make_ecdsa[] = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86,
                                     0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
static const uint8_t make_ed25519[] = {0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70};

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

/* What is being made, and with what. */
struct make {
    const struct tern_certificate_options *options;
    struct tern_view algorithm; /* of its signature */
    uint8_t secret[TERN_CERTIFICATE_SECRET_SIZE];
    uint8_t ed25519[64]; /* the pair, of an Ed25519 key */
    uint8_t spki_bytes[MAKE_SPKI_SIZE_MAX];
    struct tern_view spki;
};

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
    tern_writer_bytes(&fields, m->algorithm);
    tern_writer_bytes(&fields, tern_view_of(make_name, sizeof make_name));
    make_validity(m, &fields);
    tern_writer_bytes(&fields, tern_view_of(make_name, sizeof make_name));
    tern_writer_bytes(&fields, m->spki);
    TERN_TRY(make_extensions(m, &fields));
    TERN_CHECK(tern_writer_ok(&fields));
    tern_der_write(w, TERN_DER_SEQUENCE, tern_writer_view(&fields));
    return TERN_OK;
}

/* The certificate's signature, by its own key. */
static tern_err make_signature(const struct make *m, struct tern_view to_be_signed,
                               struct tern_writer *signature)
{
    if (m->options->key_type == TERN_CERTIFICATE_ED25519) {
        uint8_t bytes[TERN_ED25519_SIGNATURE_SIZE];
        tern_ed25519_sign(m->ed25519, to_be_signed, bytes);
        tern_writer_bytes(signature, tern_view_of(bytes, sizeof bytes));
        return TERN_OK;
    }
    uint8_t digest[TERN_SHA256_SIZE];
    tern_sha256(to_be_signed, digest);
    return tern_ecdsa_sign_deterministic(m->secret, digest, signature);
}

/* Certificate */
static tern_err make_der(const struct make *m, struct tern_writer *w)
{
    uint8_t tbs_bytes[MAKE_TBS_SIZE_MAX];
    uint8_t signature_bytes[1 + TERN_ECDSA_SIGNATURE_SIZE_MAX] = {0}; /* no unused bits */
    struct tern_writer tbs = tern_writer_of(tbs_bytes, sizeof tbs_bytes);
    struct tern_writer signature = tern_writer_of(signature_bytes, sizeof signature_bytes);
    TERN_TRY(make_to_be_signed(m, &tbs));
    tern_writer_u8(&signature, 0);
    TERN_TRY(make_signature(m, tern_writer_view(&tbs), &signature));
    TERN_CHECK(tern_writer_ok(&tbs) && tern_writer_ok(&signature));
    tern_der_write_header(w, TERN_DER_SEQUENCE,
                          tbs.size + m->algorithm.size + tern_der_size(signature.size));
    tern_writer_bytes(w, tern_writer_view(&tbs));
    tern_writer_bytes(w, m->algorithm);
    tern_der_write(w, TERN_DER_BIT_STRING, tern_writer_view(&signature));
    TERN_CHECK(tern_writer_ok(w));
    return TERN_OK;
}

/* The public key itself, which ends the SubjectPublicKeyInfo. */
static struct tern_view make_point(const struct make *m)
{
    bool p256 = m->options->key_type == TERN_CERTIFICATE_P256;
    size_t size = p256 ? TERN_CERTIFICATE_POINT_SIZE : TERN_ED25519_PUBLIC_SIZE;
    return tern_view_part(m->spki, m->spki.size - size, size);
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
    certificate->key_type = m->options->key_type;
    tern_certificate_write_key(certificate, m->secret, make_point(m));
    return TERN_OK;
}

/* ---- a new key ---- */

static tern_err make_p256(struct make *m)
{
    struct tern_openssl_key *key;
    TERN_TRY(tern_ecdsa_generate(m->options->random, m->secret, &key));
    struct tern_view spki = tern_openssl_key_public_data(key);
    TERN_CHECK(spki.size <= sizeof m->spki_bytes);
    memcpy(m->spki_bytes, spki.data, spki.size);
    m->spki = tern_view_of(m->spki_bytes, spki.size);
    m->algorithm = tern_view_of(make_ecdsa, sizeof make_ecdsa);
    tern_openssl_key_unref(key);
    return TERN_OK;
}

static void make_ed25519_key(struct make *m)
{
    struct tern_writer w = tern_writer_of(m->spki_bytes, sizeof m->spki_bytes);
    tern_random_bytes(m->options->random, m->secret, sizeof m->secret);
    tern_ed25519_of_seed(m->secret, m->ed25519);
    m->algorithm = tern_view_of(make_ed25519, sizeof make_ed25519);
    tern_der_write_header(&w, TERN_DER_SEQUENCE,
                          m->algorithm.size + tern_der_size(1 + TERN_ED25519_PUBLIC_SIZE));
    tern_writer_bytes(&w, m->algorithm);
    tern_der_write_header(&w, TERN_DER_BIT_STRING, 1 + TERN_ED25519_PUBLIC_SIZE);
    tern_writer_u8(&w, 0); /* no unused bits */
    tern_writer_bytes(&w, tern_view_of(m->ed25519 + 32, TERN_ED25519_PUBLIC_SIZE));
    TERN_CHECK(tern_writer_ok(&w));
    m->spki = tern_writer_view(&w);
}

tern_err tern_certificate_make(const struct tern_certificate_options *options,
                               struct tern_certificate *certificate)
{
    bool p256 = options->key_type == TERN_CERTIFICATE_P256;
    TERN_CHECK((options->kind == TERN_CERTIFICATE_LIBP2P) == (options->host_key != NULL));
    TERN_CHECK(p256 || options->kind == TERN_CERTIFICATE_LIBP2P);
    struct make m = {.options = options};
    *certificate = (struct tern_certificate){.mem = options->mem};
    tern_err err = TERN_OK;
    if (p256)
        err = make_p256(&m);
    else
        make_ed25519_key(&m);
    if (err == TERN_OK)
        err = make_fill(&m, certificate);
    tern_secret_wipe(&m, sizeof m);
    return err;
}

void tern_certificate_fini(struct tern_certificate *certificate)
{
    tern_mem_free(certificate->mem, certificate->der, certificate->der_size);
    tern_secret_wipe(certificate, sizeof *certificate);
}
