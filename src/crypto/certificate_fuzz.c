/*
 * Any bytes as a certificate, or as a part of one whose other parts, signatures included, are
 * honest, so that inputs reach behind them. What is accepted, OpenSSL reads, too, and finds the
 * same key in (but for the fields: in the names among them it judges the text, we do not).
 *
 * Input: byte 0 what the rest is: a certificate, the identity extension's value, the list of
 * extensions, the fields that are signed.
 */
#include <openssl/err.h>
#include <openssl/x509.h>

#include "base/check.h"
#include "crypto/certificate_parse.h"
#include "crypto/der.h"
#include "crypto/key_types.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum fuzz_part { FUZZ_WHOLE, FUZZ_IDENTITY, FUZZ_EXTENSIONS, FUZZ_FIELDS, FUZZ_PARTS };
enum { FUZZ_SIZE_MAX = TERN_CERTIFICATE_SIZE_MAX - 512 };

/* What stands before the certificate's own key in the fields. */
static const uint8_t fuzz_algorithm[] = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86,
                                         0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
static const char fuzz_head[] = "\xa0\x03\x02\x01\x02\x02\x01\x01"
                                "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02\x30\x00"
                                "\x30\x1e\x17\x0d"
                                "200101000000Z"
                                "\x17\x0d"
                                "490101000000Z"
                                "\x30\x00";
static const uint8_t fuzz_identity[] = {0x06, 0x0a, 0x2b, 0x06, 0x01, 0x04,
                                        0x01, 0x83, 0xa2, 0x5a, 0x01, 0x01};

static struct tern_openssl_key *fuzz_key(uint8_t secret[TERN_ECDSA_SECRET_SIZE])
{
    struct tern_random random;
    struct tern_openssl_key *key;
    tern_random_init_u64(&random, 1);
    tern_err err = tern_ecdsa_generate(&random, secret, &key);
    TERN_CHECK(err == TERN_OK);
    return key;
}

static void fuzz_wrap(struct tern_writer *w, uint8_t tag, struct tern_view contents)
{
    tern_der_write(w, tag, contents);
    TERN_CHECK(tern_writer_ok(w));
}

/* The fields that are signed, with the fuzzer's bytes in their place. */
static void fuzz_fields(enum fuzz_part part, struct tern_view bytes, struct tern_view spki,
                        struct tern_writer *out)
{
    static uint8_t rooms[3][TERN_CERTIFICATE_SIZE_MAX];
    struct tern_writer list = tern_writer_of(rooms[0], sizeof rooms[0]);
    struct tern_writer wrapped = tern_writer_of(rooms[1], sizeof rooms[1]);
    if (part == FUZZ_FIELDS) {
        tern_writer_bytes(out, bytes);
        return;
    }
    if (part == FUZZ_IDENTITY) {
        struct tern_writer extension = tern_writer_of(rooms[2], sizeof rooms[2]);
        tern_writer_bytes(&extension, tern_view_of(fuzz_identity, sizeof fuzz_identity));
        fuzz_wrap(&extension, TERN_DER_OCTET_STRING, bytes);
        fuzz_wrap(&list, TERN_DER_SEQUENCE, tern_writer_view(&extension));
    } else {
        tern_writer_bytes(&list, bytes);
    }
    fuzz_wrap(&wrapped, TERN_DER_SEQUENCE, tern_writer_view(&list));
    tern_writer_bytes(out, tern_view_of(fuzz_head, sizeof fuzz_head - 1));
    tern_writer_bytes(out, spki);
    fuzz_wrap(out, TERN_DER_EXPLICIT_3, tern_writer_view(&wrapped));
}

static struct tern_view fuzz_certificate(enum fuzz_part part, struct tern_view bytes)
{
    static uint8_t rooms[3][TERN_CERTIFICATE_SIZE_MAX];
    uint8_t secret[TERN_ECDSA_SECRET_SIZE];
    struct tern_openssl_key *key = fuzz_key(secret);
    struct tern_writer fields = tern_writer_of(rooms[0], sizeof rooms[0]);
    struct tern_writer inner = tern_writer_of(rooms[1], sizeof rooms[1]);
    struct tern_writer whole = tern_writer_of(rooms[2], sizeof rooms[2]);
    fuzz_fields(part, bytes, tern_openssl_key_public_data(key), &fields);
    tern_openssl_key_unref(key);
    fuzz_wrap(&inner, TERN_DER_SEQUENCE, tern_writer_view(&fields));
    uint8_t digest[TERN_SHA256_SIZE];
    uint8_t signature_bytes[1 + TERN_ECDSA_SIGNATURE_SIZE_MAX] = {0};
    struct tern_writer signature = tern_writer_of(signature_bytes, sizeof signature_bytes);
    tern_writer_u8(&signature, 0);
    tern_sha256(tern_writer_view(&inner), digest);
    tern_err err = tern_ecdsa_sign_deterministic(secret, digest, &signature);
    TERN_CHECK(err == TERN_OK);
    tern_writer_bytes(&inner, tern_view_of(fuzz_algorithm, sizeof fuzz_algorithm));
    fuzz_wrap(&inner, TERN_DER_BIT_STRING, tern_writer_view(&signature));
    fuzz_wrap(&whole, TERN_DER_SEQUENCE, tern_writer_view(&inner));
    return tern_writer_view(&whole);
}

static void fuzz_accepted(struct tern_view der)
{
    struct tern_certificate_parts parts;
    bool parsed = tern_certificate_parse(der, &parts);
    TERN_CHECK(parsed);
    const unsigned char *at = der.data;
    X509 *x = d2i_X509(NULL, &at, (long)der.size);
    TERN_CHECK(x != NULL && at == der.data + der.size);
    unsigned char *spki = NULL;
    int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &spki);
    TERN_CHECK(size > 0 && tern_view_equal(tern_view_of(spki, (size_t)size), parts.spki));
    OPENSSL_free(spki);
    X509_free(x);
    ERR_clear_error();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > FUZZ_SIZE_MAX)
        return 0;
    enum fuzz_part part = (enum fuzz_part)(data[0] % FUZZ_PARTS);
    struct tern_view der = tern_view_of(data + 1, size - 1);
    if (part != FUZZ_WHOLE)
        der = fuzz_certificate(part, der);
    struct tern_public_key key;
    tern_fault fault = TERN_FAULT_NONE;
    tern_err err = tern_certificate_check(der, UINT64_C(1767225600) * TERN_SECOND, &key, &fault);
    TERN_CHECK((err == TERN_OK) == (fault == TERN_FAULT_NONE));
    if (err == TERN_OK) {
        tern_public_key_fini(&key);
        if (part != FUZZ_FIELDS)
            fuzz_accepted(der);
    }
    static const struct tern_certificate_hashes none = {NULL, 0};
    err = tern_certificate_check_web(der, 0, &none, &fault);
    TERN_CHECK(err != TERN_OK && fault != TERN_FAULT_NONE);
    return 0;
}
