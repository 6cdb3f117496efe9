#include "webrtc/dtls_openssl.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/check.h"
#include "crypto/secret.h"

enum { DTLS_CLOCK_OFF_US = 3600 * 1000 * 1000U, DTLS_FINISHED = 20, DTLS_BOX_HEADER_SIZE = 2 };

struct tern_dtls_context {
    struct tern_mem *mem;
    SSL_CTX *ssl;
    BIO_METHOD *bio;
    uint32_t refs;
    uint8_t fingerprint[TERN_SHA256_SIZE];
};

/* ---- boxes ---- */

bool tern_dtls_box_put(struct tern_dtls_box *box, struct tern_view datagram)
{
    if (datagram.size > UINT16_MAX ||
        datagram.size + DTLS_BOX_HEADER_SIZE > box->capacity - box->size)
        return false;
    struct tern_writer w = tern_writer_of(box->data + box->size, box->capacity - box->size);
    tern_writer_u16be(&w, (uint16_t)datagram.size);
    tern_writer_bytes(&w, datagram);
    TERN_CHECK(tern_writer_ok(&w));
    box->size += w.size;
    return true;
}

bool tern_dtls_box_next(const struct tern_dtls_box *box, size_t *offset, struct tern_span *datagram)
{
    if (*offset >= box->size)
        return false;
    const uint8_t *head = box->data + *offset;
    size_t size = (size_t)head[0] << 8 | head[1];
    TERN_CHECK(size + DTLS_BOX_HEADER_SIZE <= box->size - *offset);
    *datagram = (struct tern_span){box->data + *offset + DTLS_BOX_HEADER_SIZE, size};
    *offset += DTLS_BOX_HEADER_SIZE + size;
    return true;
}

/* ---- a BIO of datagrams ---- */

static int dtls_bio_write(BIO *bio, const char *data, int size)
{
    struct tern_dtls_ssl *s = BIO_get_data(bio);
    struct tern_writer w =
        tern_writer_of(s->outbox.data + s->outbox.size, s->outbox.capacity - s->outbox.size);
    BIO_clear_retry_flags(bio);
    tern_writer_bytes(&w, tern_view_of(data, (size_t)size));
    s->overflow = s->overflow || w.overflow;
    s->outbox.size += w.size;
    return size;
}

static int dtls_bio_read(BIO *bio, char *data, int size)
{
    struct tern_dtls_ssl *s = BIO_get_data(bio);
    struct tern_span datagram;
    BIO_clear_retry_flags(bio);
    if (!tern_dtls_box_next(&s->inbox, &s->inbox_offset, &datagram)) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t part = tern_min_size(datagram.size, (size_t)size); /* as recv does: the rest is lost */
    tern_copy(data, datagram.data, part);
    return (int)part;
}

static long dtls_bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    switch (command) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_DGRAM_QUERY_MTU:
    case BIO_CTRL_DGRAM_GET_FALLBACK_MTU:
        return TERN_DTLS_DATAGRAM_MAX;
    default: /* OpenSSL's number, not an enum of ours */
        return 0;
    }
}

static int dtls_bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

static BIO_METHOD *dtls_bio_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "datagrams");
    if (method != NULL && BIO_meth_set_write(method, dtls_bio_write) == 1 &&
        BIO_meth_set_read(method, dtls_bio_read) == 1 &&
        BIO_meth_set_ctrl(method, dtls_bio_ctrl) == 1 &&
        BIO_meth_set_create(method, dtls_bio_create) == 1)
        return method;
    BIO_meth_free(method);
    return NULL;
}

/* ---- what sessions share ---- */

/* dtls_verify decides about a certificate; that the remote holds its key OpenSSL sees to. */
static int dtls_verify(X509_STORE_CTX *store, void *unused)
{
    (void)unused;
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    X509 *certificate = X509_STORE_CTX_get0_cert(store);
    struct tern_dtls_ssl *s = ssl == NULL ? NULL : SSL_get_app_data(ssl);
    unsigned char *der = NULL;
    int size = s == NULL || certificate == NULL ? -1 : i2d_X509(certificate, &der);
    if (size < 0)
        return 0;
    tern_sha256(tern_view_of(der, (size_t)size), s->fingerprint);
    OPENSSL_free(der);
    bool good = s->listener;
    for (size_t i = 0; i < s->certhashes_count; i++)
        good = good || memcmp(s->certhashes[i], s->fingerprint, sizeof s->fingerprint) == 0;
    if (good)
        return 1;
    s->fault = TERN_FAULT_WEBRTC_CERTHASH;
    X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
    return 0;
}

static bool dtls_configure(SSL_CTX *ssl)
{
    static const char ciphers[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256";
    /* Nobody sends media; but pion ends a handshake in which SRTP is not agreed on. */
    static const char profiles[] =
        "SRTP_AEAD_AES_128_GCM:SRTP_AEAD_AES_256_GCM:SRTP_AES128_CM_SHA1_80";
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(ssl, dtls_verify, NULL);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_NO_QUERY_MTU | SSL_OP_SINGLE_ECDH_USE);
    SSL_CTX_set_read_ahead(ssl, 1);
    return SSL_CTX_set_min_proto_version(ssl, DTLS1_2_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(ssl, DTLS1_2_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(ssl, ciphers) == 1 &&
           SSL_CTX_set_tlsext_use_srtp(ssl, profiles) == 0;
}

static tern_err dtls_use(struct tern_dtls_context *context,
                         const struct tern_dtls_certificate *certificate)
{
    const unsigned char *der = certificate->certificate.data;
    X509 *x509 = d2i_X509(NULL, &der, (long)certificate->certificate.size);
    der = certificate->private_key.data;
    EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &der, (long)certificate->private_key.size);
    bool done = x509 != NULL && key != NULL && SSL_CTX_use_certificate(context->ssl, x509) == 1 &&
                SSL_CTX_use_PrivateKey(context->ssl, key) == 1 &&
                SSL_CTX_check_private_key(context->ssl) == 1;
    X509_free(x509);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return done ? TERN_OK : TERN_ERR_BAD_KEY;
}

static void dtls_context_free(struct tern_dtls_context *context)
{
    SSL_CTX_free(context->ssl);
    BIO_meth_free(context->bio);
    tern_mem_free(context->mem, context, sizeof *context);
}

tern_err tern_dtls_context_new(struct tern_mem *mem,
                               const struct tern_dtls_certificate *certificate,
                               struct tern_dtls_context **out)
{
    *out = NULL;
    struct tern_dtls_context *context = tern_mem_zalloc(mem, sizeof *context);
    if (context == NULL)
        return TERN_ERR_MEMORY;
    context->mem = mem;
    context->refs = 1;
    context->ssl = SSL_CTX_new(DTLS_method());
    context->bio = dtls_bio_method();
    tern_err err = TERN_ERR_MEMORY;
    if (context->ssl != NULL && context->bio != NULL && dtls_configure(context->ssl))
        err = dtls_use(context, certificate);
    ERR_clear_error();
    if (err != TERN_OK) {
        dtls_context_free(context);
        return err;
    }
    tern_sha256(certificate->certificate, context->fingerprint);
    *out = context;
    return TERN_OK;
}

struct tern_dtls_context *tern_dtls_context_ref(struct tern_dtls_context *context)
{
    TERN_CHECK(context->refs > 0 && context->refs < UINT32_MAX);
    context->refs++;
    return context;
}

void tern_dtls_context_unref(struct tern_dtls_context *context)
{
    if (context == NULL)
        return;
    TERN_CHECK(context->refs > 0);
    if (--context->refs == 0)
        dtls_context_free(context);
}

const uint8_t *tern_dtls_context_fingerprint(const struct tern_dtls_context *context)
{
    return context->fingerprint;
}

/* ---- a handshake ---- */

static unsigned dtls_timer(SSL *ssl, unsigned previous)
{
    (void)ssl;
    (void)previous;
    return DTLS_CLOCK_OFF_US;
}

/* dtls_message keeps our Finished, which has to be sealed anew should it be sent again. */
static void dtls_message(int written, int version, int type, const void *data, size_t size,
                         SSL *ssl, void *context)
{
    (void)version;
    (void)ssl;
    struct tern_dtls_ssl *s = context;
    const uint8_t *message = data;
    if (written == 0 || type != TERN_DTLS_HANDSHAKE_MESSAGE || size == 0 ||
        message[0] != DTLS_FINISHED)
        return;
    if (size > sizeof s->finished) {
        s->overflow = true;
        return;
    }
    memcpy(s->finished, message, size);
    s->finished_size = size;
}

tern_err tern_dtls_ssl_init(struct tern_dtls_ssl *s, struct tern_dtls_context *context)
{
    SSL *ssl = SSL_new(context->ssl);
    BIO *bio = BIO_new(context->bio);
    if (ssl == NULL || bio == NULL) {
        SSL_free(ssl);
        BIO_free(bio);
        ERR_clear_error();
        return TERN_ERR_MEMORY;
    }
    BIO_set_data(bio, s);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_app_data(ssl, s);
    SSL_set_msg_callback(ssl, dtls_message);
    SSL_set_msg_callback_arg(ssl, s);
    DTLS_set_timer_cb(ssl, dtls_timer);
    SSL_set_mtu(ssl, TERN_DTLS_DATAGRAM_MAX);
    if (s->listener)
        SSL_set_accept_state(ssl);
    else
        SSL_set_connect_state(ssl);
    s->ssl = ssl;
    return TERN_OK;
}

void tern_dtls_ssl_fini(struct tern_dtls_ssl *s)
{
    SSL_free(s->ssl);
    s->ssl = NULL;
    tern_secret_wipe(&s->secrets, sizeof s->secrets);
    tern_secret_wipe(s->finished, sizeof s->finished);
}

static void dtls_export(struct tern_dtls_ssl *s)
{
    struct tern_dtls_secrets *secrets = &s->secrets;
    const SSL_SESSION *session = SSL_get_session(s->ssl);
    s->has_secrets =
        session != NULL && s->finished_size > 0 &&
        SSL_SESSION_get_master_key(session, secrets->master, sizeof secrets->master) ==
            sizeof secrets->master &&
        SSL_get_client_random(s->ssl, secrets->client_random, sizeof secrets->client_random) ==
            sizeof secrets->client_random &&
        SSL_get_server_random(s->ssl, secrets->server_random, sizeof secrets->server_random) ==
            sizeof secrets->server_random;
}

static void dtls_fail(struct tern_dtls_ssl *s, tern_err error, tern_fault fault)
{
    s->step = TERN_DTLS_STEP_FAILED;
    s->error = error;
    if (s->fault == TERN_FAULT_NONE)
        s->fault = fault;
}

/* dtls_judge says what became of a call. OpenSSL's own want of memory is nobody's fault. */
static void dtls_judge(struct tern_dtls_ssl *s, int result)
{
    unsigned long reason = ERR_peek_last_error();
    if (s->overflow)
        dtls_fail(s, TERN_ERR_INTERNAL, TERN_FAULT_NONE);
    else if (result == 1 && !s->has_secrets)
        dtls_fail(s, TERN_ERR_INTERNAL, TERN_FAULT_NONE);
    else if (result == 1 && SSL_get_extms_support(s->ssl) != 1)
        dtls_fail(s, TERN_ERR_PROTOCOL, TERN_FAULT_WEBRTC_DTLS_HANDSHAKE);
    else if (result == 1)
        s->step = TERN_DTLS_STEP_DONE;
    else if (SSL_get_error(s->ssl, result) == SSL_ERROR_WANT_READ)
        s->step = TERN_DTLS_STEP_MORE;
    else if (ERR_GET_REASON(reason) == ERR_R_MALLOC_FAILURE)
        dtls_fail(s, TERN_ERR_MEMORY, TERN_FAULT_NONE);
    else
        dtls_fail(s, TERN_ERR_PROTOCOL, TERN_FAULT_WEBRTC_DTLS_HANDSHAKE);
}

void tern_dtls_ssl_step(struct tern_dtls_ssl *s)
{
    ERR_clear_error();
    int result = SSL_do_handshake(s->ssl);
    dtls_export(s);
    dtls_judge(s, result);
    ERR_clear_error();
    s->inbox.size = 0;
    s->inbox_offset = 0;
}
