#include "secure/gnutls.h"

#include <gnutls/abstract.h>

#include "base/check.h"
#include "base/reader.h"

gnutls_datum_t tern_gnutls_datum(struct tern_view view)
{
    union {
        const uint8_t *in;
        uint8_t *out;
    } data = {.in = view.data};
    return (gnutls_datum_t){.data = data.out, .size = (unsigned)view.size};
}

struct tern_view tern_gnutls_view(const gnutls_datum_t *datum)
{
    return tern_view_of(datum->data, datum->size);
}

tern_err tern_gnutls_error(int code)
{
    return code == GNUTLS_E_MEMORY_ERROR ? TERN_ERR_MEMORY : TERN_ERR_INTERNAL;
}

/* ---- the remote's certificate ---- */

static bool certificate_read_u24(struct tern_reader *r, size_t *value)
{
    uint8_t high = 0;
    uint16_t low = 0;
    bool read = tern_reader_u8(r, &high) && tern_reader_u16be(r, &low);
    *value = ((size_t)high << 16) | low;
    return read;
}

/* A context, which is empty in a handshake, and entries, each a certificate and extensions. */
tern_err tern_gnutls_certificate(struct tern_view message, struct tern_view *der)
{
    struct tern_reader r = tern_reader_of(message);
    uint8_t context_size;
    uint16_t extensions_size;
    size_t size;
    if (!tern_reader_u8(&r, &context_size) || !tern_reader_skip(&r, context_size) ||
        !certificate_read_u24(&r, &size) || size != tern_reader_left(&r) ||
        !certificate_read_u24(&r, &size) || !tern_reader_bytes(&r, size, der) ||
        !tern_reader_u16be(&r, &extensions_size) || !tern_reader_skip(&r, extensions_size))
        return TERN_ERR_NOT_FOUND;
    return tern_reader_left(&r) == 0 ? TERN_OK : TERN_ERR_PROTOCOL;
}

/* ---- a certificate's key ---- */

/* Are these the signatures of a key on P-256? Before TLS 1.3 the curve was not said. */
static bool signer_makes(gnutls_sign_algorithm_t algorithm)
{
    return algorithm == GNUTLS_SIGN_ECDSA_SECP256R1_SHA256 || algorithm == GNUTLS_SIGN_ECDSA_SHA256;
}

static int signer_sign(gnutls_privkey_t key, gnutls_sign_algorithm_t algorithm, void *userdata,
                       unsigned flags, const gnutls_datum_t *digest, gnutls_datum_t *signature)
{
    uint8_t bytes[TERN_SIGNATURE_SIZE_MAX];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    (void)key;
    (void)flags;
    if (!signer_makes(algorithm) || digest->size != TERN_SHA256_SIZE)
        return GNUTLS_E_UNSUPPORTED_SIGNATURE_ALGORITHM;
    tern_err err = tern_certificate_signer_sign(userdata, digest->data, &w);
    if (err != TERN_OK)
        return err == TERN_ERR_MEMORY ? GNUTLS_E_MEMORY_ERROR : GNUTLS_E_PK_SIGN_FAILED;
    signature->data = gnutls_malloc(w.size);
    if (signature->data == NULL)
        return GNUTLS_E_MEMORY_ERROR;
    memcpy(signature->data, bytes, w.size);
    signature->size = (unsigned)w.size;
    return 0;
}

static int signer_info(gnutls_privkey_t key, unsigned flags, void *userdata)
{
    (void)key;
    (void)userdata;
    if ((flags & GNUTLS_PRIVKEY_INFO_HAVE_SIGN_ALGO) != 0)
        return signer_makes((gnutls_sign_algorithm_t)GNUTLS_FLAGS_TO_SIGN_ALGO(flags));
    if ((flags & GNUTLS_PRIVKEY_INFO_PK_ALGO) != 0)
        return GNUTLS_PK_ECDSA;
    return (flags & GNUTLS_PRIVKEY_INFO_PK_ALGO_BITS) != 0 ? 256 : -1;
}

static void signer_close(gnutls_privkey_t key, void *userdata)
{
    (void)key;
    tern_certificate_signer_close(userdata);
}

/* Makes the key, which owns what signs. */
static tern_err signer_new(const struct tern_certificate *certificate, gnutls_privkey_t *key)
{
    struct tern_openssl_key *signer;
    TERN_TRY(tern_certificate_signer_open(certificate, &signer));
    int code = gnutls_privkey_init(key);
    if (code != 0) {
        tern_certificate_signer_close(signer);
        return tern_gnutls_error(code);
    }
    code = gnutls_privkey_import_ext4(*key, signer, NULL, signer_sign, NULL, signer_close,
                                      signer_info, 0);
    TERN_CHECK(code == 0); /* it takes no memory */
    return TERN_OK;
}

/* ---- credentials ---- */

/* Adds the pair to the credentials, which own both from then on. */
static int credentials_add(gnutls_certificate_credentials_t credentials,
                           const struct tern_certificate *certificate, gnutls_privkey_t key)
{
    const gnutls_datum_t der =
        tern_gnutls_datum(tern_view_of(certificate->der, certificate->der_size));
    gnutls_pcert_st pcert;
    int code = gnutls_pcert_import_x509_raw(&pcert, &der, GNUTLS_X509_FMT_DER, 0);
    if (code != 0)
        return code;
    code = gnutls_certificate_set_key(credentials, NULL, 0, &pcert, 1, key);
    if (code < 0)
        gnutls_pcert_deinit(&pcert);
    return code < 0 ? code : 0;
}

tern_err tern_gnutls_credentials_new(const struct tern_certificate *certificate,
                                     gnutls_certificate_credentials_t *credentials)
{
    gnutls_privkey_t key;
    TERN_TRY(signer_new(certificate, &key));
    int code = gnutls_certificate_allocate_credentials(credentials);
    if (code == 0) {
        code = credentials_add(*credentials, certificate, key);
        if (code == 0)
            return TERN_OK;
        gnutls_certificate_free_credentials(*credentials);
    }
    gnutls_privkey_deinit(key);
    *credentials = NULL;
    return tern_gnutls_error(code);
}
