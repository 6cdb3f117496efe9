#include "secure/gnutls.h"

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

/* Are these the signatures of such a key? Before TLS 1.3 the curve was not said. */
static bool signer_makes(enum tern_certificate_key type, gnutls_sign_algorithm_t algorithm)
{
    if (type == TERN_CERTIFICATE_ED25519)
        return algorithm == GNUTLS_SIGN_EDDSA_ED25519;
    return algorithm == GNUTLS_SIGN_ECDSA_SECP256R1_SHA256 || algorithm == GNUTLS_SIGN_ECDSA_SHA256;
}

/* Signs a digest, or with Ed25519 the message. */
static int signer_sign(gnutls_privkey_t key, gnutls_sign_algorithm_t algorithm, void *signer,
                       unsigned flags, const gnutls_datum_t *signed_bytes,
                       gnutls_datum_t *signature)
{
    uint8_t bytes[TERN_SIGNATURE_SIZE_MAX];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    enum tern_certificate_key type = tern_certificate_signer_type(signer);
    (void)key;
    (void)flags;
    if (!signer_makes(type, algorithm) ||
        (type == TERN_CERTIFICATE_P256 && signed_bytes->size != TERN_SHA256_SIZE))
        return GNUTLS_E_UNSUPPORTED_SIGNATURE_ALGORITHM;
    tern_err err = tern_certificate_signer_sign(signer, tern_gnutls_view(signed_bytes), &w);
    if (err != TERN_OK)
        return err == TERN_ERR_MEMORY ? GNUTLS_E_MEMORY_ERROR : GNUTLS_E_PK_SIGN_FAILED;
    signature->data = gnutls_malloc(w.size);
    if (signature->data == NULL)
        return GNUTLS_E_MEMORY_ERROR;
    memcpy(signature->data, bytes, w.size);
    signature->size = (unsigned)w.size;
    return 0;
}

static int signer_info(gnutls_privkey_t key, unsigned flags, void *signer)
{
    enum tern_certificate_key type = tern_certificate_signer_type(signer);
    (void)key;
    if ((flags & GNUTLS_PRIVKEY_INFO_HAVE_SIGN_ALGO) != 0)
        return signer_makes(type, (gnutls_sign_algorithm_t)GNUTLS_FLAGS_TO_SIGN_ALGO(flags));
    if ((flags & GNUTLS_PRIVKEY_INFO_PK_ALGO) != 0)
        return type == TERN_CERTIFICATE_ED25519 ? GNUTLS_PK_EDDSA_ED25519 : GNUTLS_PK_ECDSA;
    return (flags & GNUTLS_PRIVKEY_INFO_PK_ALGO_BITS) != 0 ? 256 : -1;
}

static void signer_close(gnutls_privkey_t key, void *signer)
{
    (void)key;
    tern_certificate_signer_close(signer);
}

/* Makes the key, which owns what signs. */
static tern_err signer_new(struct tern_mem *mem, const struct tern_certificate *certificate,
                           gnutls_privkey_t *key)
{
    struct tern_certificate_signer *signer;
    TERN_TRY(tern_certificate_signer_open(mem, certificate, &signer));
    int code = gnutls_privkey_init(key);
    if (code != 0) {
        tern_certificate_signer_close(signer);
        return tern_gnutls_error(code);
    }
    code = gnutls_privkey_import_ext4(*key, signer, signer_sign, signer_sign, NULL, signer_close,
                                      signer_info, 0);
    TERN_CHECK(code == 0); /* it takes no memory */
    return TERN_OK;
}

/* ---- which certificate is shown ---- */

/* NULL: none of our keys makes such signatures. */
static const struct tern_gnutls_shown *show_find(const struct tern_gnutls_credentials *credentials,
                                                 gnutls_sign_algorithm_t algorithm)
{
    for (size_t i = 0; i < credentials->shown_count; i++)
        if (signer_makes(credentials->shown[i].type, algorithm))
            return &credentials->shown[i];
    return NULL;
}

static const struct tern_gnutls_shown *show_best(const struct tern_gnutls_credentials *credentials,
                                                 gnutls_session_t session)
{
    gnutls_sign_algorithm_t algorithm;
    for (size_t i = 0; gnutls_sign_algorithm_get_requested(session, i, &algorithm) == 0; i++) {
        const struct tern_gnutls_shown *shown = show_find(credentials, algorithm);
        if (shown != NULL)
            return shown;
    }
    return &credentials->shown[0];
}

/* GnuTLS asks what a session shows. */
static int credentials_ask(gnutls_session_t session, const struct gnutls_cert_retr_st *info,
                           gnutls_pcert_st **certificates, unsigned *count,
                           gnutls_ocsp_data_st **ocsp, unsigned *ocsp_count, gnutls_privkey_t *key,
                           unsigned *flags)
{
    const struct tern_gnutls_shown *best = show_best(gnutls_db_get_ptr(session), session);
    union {
        const gnutls_pcert_st *in;
        gnutls_pcert_st *out;
    } shown = {.in = &best->certificate}; /* it is read alone */
    (void)info;
    (void)ocsp;
    (void)flags;
    *certificates = shown.out;
    *count = 1;
    *ocsp_count = 0;
    *key = best->key;
    return 0;
}

int tern_gnutls_credentials_set(gnutls_session_t session,
                                const struct tern_gnutls_credentials *credentials)
{
    union {
        const struct tern_gnutls_credentials *in;
        void *out;
    } pointer = {.in = credentials}; /* it comes back to credentials_ask */
    gnutls_db_set_ptr(session, pointer.out);
    return gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials->handle);
}

/* ---- credentials ---- */

static tern_err credentials_add(struct tern_gnutls_credentials *credentials,
                                const struct tern_certificate *certificate)
{
    struct tern_gnutls_shown *shown = &credentials->shown[credentials->shown_count];
    const gnutls_datum_t der =
        tern_gnutls_datum(tern_view_of(certificate->der, certificate->der_size));
    int code = gnutls_pcert_import_x509_raw(&shown->certificate, &der, GNUTLS_X509_FMT_DER, 0);
    if (code != 0)
        return tern_gnutls_error(code);
    tern_err err = signer_new(credentials->mem, certificate, &shown->key);
    if (err != TERN_OK) {
        gnutls_pcert_deinit(&shown->certificate);
        return err;
    }
    shown->type = certificate->key_type;
    credentials->shown_count++;
    credentials->certificate_size_max =
        tern_max_size(credentials->certificate_size_max, certificate->der_size);
    return TERN_OK;
}

static tern_err credentials_fill(struct tern_gnutls_credentials *credentials,
                                 const struct tern_certificate *certificates, size_t count)
{
    int code = gnutls_certificate_allocate_credentials(&credentials->handle);
    if (code != 0) {
        credentials->handle = NULL;
        return tern_gnutls_error(code);
    }
    gnutls_certificate_set_retrieve_function3(credentials->handle, credentials_ask);
    for (size_t i = 0; i < count; i++)
        TERN_TRY(credentials_add(credentials, &certificates[i]));
    return TERN_OK;
}

tern_err tern_gnutls_credentials_new(struct tern_mem *mem,
                                     const struct tern_certificate *certificates, size_t count,
                                     struct tern_gnutls_credentials **credentials)
{
    TERN_CHECK(count > 0 && count <= TERN_GNUTLS_SHOWN_MAX);
    struct tern_gnutls_credentials *c = tern_mem_zalloc(mem, sizeof *c);
    *credentials = c;
    if (c == NULL)
        return TERN_ERR_MEMORY;
    c->mem = mem;
    tern_err err = credentials_fill(c, certificates, count);
    if (err != TERN_OK) {
        tern_gnutls_credentials_free(c);
        *credentials = NULL;
    }
    return err;
}

tern_err tern_gnutls_credentials_of_host(struct tern_mem *mem, struct tern_random *random,
                                         const struct tern_private_key *host_key,
                                         struct tern_gnutls_credentials **credentials)
{
    static const enum tern_certificate_key types[] = {TERN_CERTIFICATE_P256,
                                                      TERN_CERTIFICATE_ED25519};
    struct tern_certificate certificates[TERN_COUNT_OF(types)];
    tern_err err = TERN_OK;
    size_t made = 0;
    while (made < TERN_COUNT_OF(types) && err == TERN_OK) {
        const struct tern_certificate_options options = {.kind = TERN_CERTIFICATE_LIBP2P,
                                                         .key_type = types[made],
                                                         .mem = mem,
                                                         .random = random,
                                                         .host_key = host_key};
        err = tern_certificate_make(&options, &certificates[made]);
        made += err == TERN_OK;
    }
    if (err == TERN_OK)
        err = tern_gnutls_credentials_new(mem, certificates, made, credentials);
    while (made > 0)
        tern_certificate_fini(&certificates[--made]);
    return err;
}

void tern_gnutls_credentials_free(struct tern_gnutls_credentials *credentials)
{
    for (size_t i = 0; i < credentials->shown_count; i++) {
        gnutls_pcert_deinit(&credentials->shown[i].certificate);
        gnutls_privkey_deinit(credentials->shown[i].key);
    }
    if (credentials->handle != NULL)
        gnutls_certificate_free_credentials(credentials->handle);
    tern_mem_free(credentials->mem, credentials, sizeof *credentials);
}
