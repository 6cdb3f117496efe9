#include "crypto/certificate.h"

#include <openssl/evp.h>

#include "base/check.h"
#include "crypto/certificate_parse.h"
#include "crypto/certificate_signed_key.h"
#include "crypto/der.h"
#include "crypto/key_types.h"
#include "wire/multihash.h"

/* An error of ours is nobody's fault. */
static tern_err certificate_refuse(tern_err err, tern_fault why, tern_fault *fault)
{
    TERN_CHECK(err != TERN_OK);
    *fault = err == TERN_ERR_MEMORY ? TERN_FAULT_NONE : why;
    return err;
}

/* ---- the certificate's own key and signature ---- */

enum certificate_key_kind { KEY_P256, KEY_P384, KEY_ED25519, KEY_RSA, KEY_KINDS };

/* AlgorithmIdentifiers of public keys, without the SEQUENCE around them. */
static const struct tern_view certificate_keys[KEY_KINDS] = {
    [KEY_P256] = {(const uint8_t *)"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01"
                                   "\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07",
                  19},
    [KEY_P384] = {(const uint8_t *)"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00"
                                   "\x22",
                  16},
    [KEY_ED25519] = {(const uint8_t *)"\x06\x03\x2b\x65\x70", 5},
    [KEY_RSA] = {(const uint8_t *)"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00", 13},
};

enum certificate_family { FAMILY_ECDSA, FAMILY_ED25519, FAMILY_RSA };

static const enum certificate_family certificate_families[KEY_KINDS] = {
    [KEY_P256] = FAMILY_ECDSA,
    [KEY_P384] = FAMILY_ECDSA,
    [KEY_ED25519] = FAMILY_ED25519,
    [KEY_RSA] = FAMILY_RSA,
};

/* RSASSA-PSS-params with hash, MGF1 of the same hash, and a salt of its size (RFC 4055). */
#define PSS(hash, salt)                                                                            \
    (const uint8_t *)"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a\x30\x34"                        \
                     "\xa0\x0f\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02" hash "\x05\x00"    \
                     "\xa1\x1c\x30\x1a\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08"                \
                     "\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02" hash "\x05\x00"            \
                     "\xa2\x03\x02\x01" salt
#define PKCS1(last) (const uint8_t *)"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01" last "\x05\x00"
#define ECDSA(last) (const uint8_t *)"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03" last
enum { PSS_SIZE = 65, PKCS1_SIZE = 13, ECDSA_SIZE = 10 };

/* AlgorithmIdentifiers of signatures: those with a hash of 256 bits or more. */
static const struct certificate_algorithm {
    struct tern_view identifier;
    enum certificate_family family;
    struct tern_openssl_scheme scheme; /* not of Ed25519 */
} certificate_algorithms[] = {
    {{ECDSA("\x02"), ECDSA_SIZE}, FAMILY_ECDSA, {TERN_OPENSSL_ECDSA, 32}},
    {{ECDSA("\x03"), ECDSA_SIZE}, FAMILY_ECDSA, {TERN_OPENSSL_ECDSA, 48}},
    {{ECDSA("\x04"), ECDSA_SIZE}, FAMILY_ECDSA, {TERN_OPENSSL_ECDSA, 64}},
    {{(const uint8_t *)"\x06\x03\x2b\x65\x70", 5}, FAMILY_ED25519, {TERN_OPENSSL_ECDSA, 0}},
    {{PKCS1("\x0b"), PKCS1_SIZE}, FAMILY_RSA, {TERN_OPENSSL_PKCS1, 32}},
    {{PKCS1("\x0c"), PKCS1_SIZE}, FAMILY_RSA, {TERN_OPENSSL_PKCS1, 48}},
    {{PKCS1("\x0d"), PKCS1_SIZE}, FAMILY_RSA, {TERN_OPENSSL_PKCS1, 64}},
    {{PSS("\x01", "\x20"), PSS_SIZE}, FAMILY_RSA, {TERN_OPENSSL_PSS, 32}},
    {{PSS("\x02", "\x30"), PSS_SIZE}, FAMILY_RSA, {TERN_OPENSSL_PSS, 48}},
    {{PSS("\x03", "\x40"), PSS_SIZE}, FAMILY_RSA, {TERN_OPENSSL_PSS, 64}},
};

static enum certificate_key_kind certificate_key_kind(const struct tern_certificate_parts *parts)
{
    size_t kind = 0;
    while (kind < KEY_KINDS && !tern_view_equal(certificate_keys[kind], parts->spki_algorithm))
        kind++;
    return (enum certificate_key_kind)kind;
}

/* The signature's algorithm, if we take it and a key of that kind makes such; else NULL. */
static const struct certificate_algorithm *certificate_algorithm(
    const struct tern_certificate_parts *parts, enum certificate_key_kind kind)
{
    for (size_t i = 0; i < TERN_COUNT_OF(certificate_algorithms); i++) {
        const struct certificate_algorithm *a = &certificate_algorithms[i];
        if (tern_view_equal(a->identifier, parts->algorithm))
            return a->family == certificate_families[kind] ? a : NULL;
    }
    return NULL;
}

static tern_err certificate_verify_ed25519(const struct tern_certificate_parts *parts)
{
    enum { SPKI_SIZE = 12 + TERN_ED25519_PUBLIC_SIZE };
    if (parts->spki.size != SPKI_SIZE)
        return TERN_ERR_BAD_KEY;
    if (parts->signature.size != TERN_ED25519_SIGNATURE_SIZE)
        return TERN_ERR_BAD_SIGNATURE;
    const uint8_t *key = parts->spki.data + SPKI_SIZE - TERN_ED25519_PUBLIC_SIZE;
    return tern_ed25519_verify(key, parts->to_be_signed, parts->signature.data)
               ? TERN_OK
               : TERN_ERR_BAD_SIGNATURE;
}

static tern_err certificate_digest(struct tern_view bytes, size_t digest_size, uint8_t *digest)
{
    if (digest_size == TERN_SHA256_SIZE) {
        tern_sha256(bytes, digest);
        return TERN_OK;
    }
    const EVP_MD *md = digest_size == 48 ? EVP_sha384() : EVP_sha512();
    unsigned size = 0;
    bool done = EVP_Digest(bytes.data, bytes.size, digest, &size, md, NULL) == 1;
    TERN_CHECK(!done || size == digest_size);
    return done ? TERN_OK : tern_openssl_failure(TERN_ERR_MEMORY);
}

static tern_err certificate_decode_key(const struct tern_certificate_parts *parts,
                                       enum certificate_key_kind kind,
                                       struct tern_openssl_key **key)
{
    if (kind == KEY_RSA)
        return tern_rsa_decode_public(parts->spki, key);
    if (kind == KEY_P384)
        return tern_ecdsa_decode_p384(parts->spki, key);
    return tern_ecdsa_decode_public(parts->spki, key);
}

/* Is the certificate signed by its own key? */
static tern_err certificate_verify_self(const struct tern_certificate_parts *parts,
                                        enum certificate_key_kind kind, tern_fault *fault)
{
    const struct certificate_algorithm *algorithm = certificate_algorithm(parts, kind);
    if (algorithm == NULL)
        return certificate_refuse(TERN_ERR_UNSUPPORTED, TERN_FAULT_CERTIFICATE_ALGORITHM, fault);
    tern_err err;
    if (kind == KEY_ED25519) {
        err = certificate_verify_ed25519(parts);
        if (err == TERN_ERR_BAD_KEY)
            return certificate_refuse(err, TERN_FAULT_CERTIFICATE_KEY, fault);
    } else {
        uint8_t digest[EVP_MAX_MD_SIZE];
        struct tern_openssl_key *key;
        err = certificate_decode_key(parts, kind, &key);
        if (err != TERN_OK)
            return certificate_refuse(err, TERN_FAULT_CERTIFICATE_KEY, fault);
        err = certificate_digest(parts->to_be_signed, algorithm->scheme.digest_size, digest);
        if (err == TERN_OK)
            err = tern_openssl_verify(tern_openssl_key_pkey(key), &algorithm->scheme, digest,
                                      parts->signature);
        tern_openssl_key_unref(key);
    }
    if (err != TERN_OK)
        return certificate_refuse(err, TERN_FAULT_CERTIFICATE_SELF_SIGNATURE, fault);
    return TERN_OK;
}

/* ---- what it says ---- */

static tern_err certificate_parse(struct tern_view der, struct tern_certificate_parts *parts,
                                  tern_fault *fault)
{
    *fault = TERN_FAULT_NONE;
    if (der.size > TERN_CERTIFICATE_SIZE_MAX)
        return certificate_refuse(TERN_ERR_TOO_LARGE, TERN_FAULT_CERTIFICATE_TOO_LARGE, fault);
    if (!tern_certificate_parse(der, parts))
        return certificate_refuse(TERN_ERR_MALFORMED, TERN_FAULT_CERTIFICATE_MALFORMED, fault);
    return TERN_OK;
}

/* Is now within its validity, give or take skew? */
static tern_err certificate_check_time(const struct tern_certificate_parts *parts,
                                       tern_wall_time wall, tern_time skew_ns, tern_fault *fault)
{
    int64_t now = (int64_t)(wall / TERN_SECOND);
    int64_t skew = (int64_t)(skew_ns / TERN_SECOND);
    if (wall == 0)
        return TERN_OK;
    if (parts->not_before > now + skew)
        return certificate_refuse(TERN_ERR_PROTOCOL, TERN_FAULT_CERTIFICATE_NOT_YET_VALID, fault);
    if (parts->not_after < now - skew)
        return certificate_refuse(TERN_ERR_PROTOCOL, TERN_FAULT_CERTIFICATE_EXPIRED, fault);
    return TERN_OK;
}

/* keyUsage, a BIT STRING, must have digitalSignature, its first bit: it is what TLS does with the
 * key. */
static bool certificate_allows_signing(struct tern_view value)
{
    struct tern_reader r = tern_reader_of(value);
    struct tern_view bits;
    return tern_der_read(&r, TERN_DER_BIT_STRING, &bits) && tern_reader_left(&r) == 0 &&
           bits.size >= 2 && bits.data[0] < 8 && (bits.data[1] & 0x80) != 0;
}

/* Is this critical extension one that we understand, and does it agree? basicConstraints says
 * whether the key may sign other certificates; there are none. */
static bool certificate_understands(const struct tern_certificate_extension *extension)
{
    static const uint8_t basic_constraints[] = {0x55, 0x1d, 0x13};
    static const uint8_t key_usage[] = {0x55, 0x1d, 0x0f};
    if (tern_view_equal(extension->oid,
                        tern_view_of(tern_certificate_oid, sizeof tern_certificate_oid)))
        return true;
    if (tern_view_equal(extension->oid, tern_view_of(basic_constraints, sizeof basic_constraints)))
        return true;
    return tern_view_equal(extension->oid, tern_view_of(key_usage, sizeof key_usage)) &&
           certificate_allows_signing(extension->value);
}

/* Finds libp2p's extension. No other one may be critical, unless it is understood. */
static tern_err certificate_find_identity(const struct tern_certificate_parts *parts,
                                          struct tern_view *value, tern_fault *fault)
{
    const struct tern_view oid = tern_view_of(tern_certificate_oid, sizeof tern_certificate_oid);
    bool found = false;
    for (size_t i = 0; i < parts->extensions_count; i++) {
        const struct tern_certificate_extension *extension = &parts->extensions[i];
        if (extension->critical && !certificate_understands(extension))
            return certificate_refuse(TERN_ERR_UNSUPPORTED,
                                      TERN_FAULT_CERTIFICATE_CRITICAL_EXTENSION, fault);
        if (tern_view_equal(extension->oid, oid)) {
            found = true;
            *value = extension->value;
        }
    }
    if (!found)
        return certificate_refuse(TERN_ERR_PROTOCOL, TERN_FAULT_CERTIFICATE_NO_IDENTITY, fault);
    return TERN_OK;
}

/* SignedKey { publicKey OCTET STRING, signature OCTET STRING } */
struct certificate_signed_key {
    struct tern_view public_key;
    struct tern_view signature;
};

static bool certificate_read_signed_key(struct tern_view value,
                                        struct certificate_signed_key *signed_key)
{
    struct tern_reader whole = tern_reader_of(value);
    struct tern_view contents;
    if (!tern_der_read(&whole, TERN_DER_SEQUENCE, &contents) || tern_reader_left(&whole) != 0)
        return false;
    struct tern_reader r = tern_reader_of(contents);
    return tern_der_read(&r, TERN_DER_OCTET_STRING, &signed_key->public_key) &&
           tern_der_read(&r, TERN_DER_OCTET_STRING, &signed_key->signature) &&
           tern_reader_left(&r) == 0;
}

/* Both signatures, the costly part. */
static tern_err certificate_verify(const struct tern_certificate_parts *parts,
                                   struct tern_view host_signature,
                                   const struct tern_public_key *host_key, tern_fault *fault)
{
    enum certificate_key_kind kind = certificate_key_kind(parts);
    if (kind == KEY_KINDS || parts->spki.size > TERN_CERTIFICATE_SPKI_SIZE_MAX)
        return certificate_refuse(TERN_ERR_UNSUPPORTED, TERN_FAULT_CERTIFICATE_KEY, fault);
    TERN_TRY(certificate_verify_self(parts, kind, fault));
    uint8_t bytes[TERN_CERTIFICATE_SIGNED_SIZE_MAX];
    struct tern_writer message = tern_writer_of(bytes, sizeof bytes);
    tern_certificate_signed_bytes(parts->spki, &message);
    TERN_CHECK(tern_writer_ok(&message));
    tern_err err = tern_public_key_verify(host_key, tern_writer_view(&message), host_signature);
    if (err != TERN_OK)
        return certificate_refuse(err, TERN_FAULT_CERTIFICATE_HOST_SIGNATURE, fault);
    return TERN_OK;
}

tern_err tern_certificate_check(struct tern_view der, tern_wall_time wall,
                                struct tern_public_key *host_key, tern_fault *fault)
{
    struct tern_certificate_parts parts;
    struct tern_view value;
    struct certificate_signed_key signed_key;
    TERN_TRY(certificate_parse(der, &parts, fault));
    TERN_TRY(certificate_find_identity(&parts, &value, fault));
    TERN_TRY(certificate_check_time(&parts, wall, TERN_CERTIFICATE_SKEW_NS, fault));
    if (!certificate_read_signed_key(value, &signed_key))
        return certificate_refuse(TERN_ERR_MALFORMED, TERN_FAULT_CERTIFICATE_BAD_IDENTITY, fault);
    tern_err err = tern_public_key_decode(signed_key.public_key, host_key);
    if (err != TERN_OK)
        return certificate_refuse(err, TERN_FAULT_CERTIFICATE_HOST_KEY, fault);
    err = certificate_verify(&parts, signed_key.signature, host_key, fault);
    if (err != TERN_OK)
        tern_public_key_fini(host_key);
    return err;
}

static bool certificate_is_listed(struct tern_view der,
                                  const struct tern_certificate_hashes *hashes)
{
    uint8_t digest[TERN_SHA256_SIZE];
    uint8_t bytes[TERN_SHA256_SIZE + 8];
    struct tern_writer ours = tern_writer_of(bytes, sizeof bytes);
    tern_sha256(der, digest);
    tern_multihash_encode(&ours, &(struct tern_multihash){TERN_MULTIHASH_SHA2_256,
                                                          tern_view_of(digest, sizeof digest)});
    TERN_CHECK(tern_writer_ok(&ours));
    for (size_t i = 0; i < hashes->count; i++)
        if (tern_view_equal(hashes->multihashes[i], tern_writer_view(&ours)))
            return true;
    return false;
}

tern_err tern_certificate_check_web(struct tern_view der, tern_wall_time wall,
                                    const struct tern_certificate_hashes *hashes, tern_fault *fault)
{
    const int64_t validity_max = (int64_t)(TERN_CERTIFICATE_WEB_VALIDITY_MAX_NS / TERN_SECOND);
    struct tern_certificate_parts parts;
    TERN_TRY(certificate_parse(der, &parts, fault));
    if (!certificate_is_listed(der, hashes))
        return certificate_refuse(TERN_ERR_PEER_MISMATCH, TERN_FAULT_CERTIFICATE_NOT_LISTED, fault);
    if (certificate_key_kind(&parts) != KEY_P256)
        return certificate_refuse(TERN_ERR_UNSUPPORTED, TERN_FAULT_CERTIFICATE_KEY, fault);
    if (parts.not_after - parts.not_before > validity_max)
        return certificate_refuse(TERN_ERR_PROTOCOL, TERN_FAULT_CERTIFICATE_LONG_LIVED, fault);
    return certificate_check_time(&parts, wall, 0, fault);
}
