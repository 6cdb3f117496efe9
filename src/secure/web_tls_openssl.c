#include "secure/web_tls_openssl.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/check.h"

/* ---- memory as a BIO ---- */

static int bio_read(BIO *bio, char *data, size_t size, size_t *got)
{
    BIO_clear_retry_flags(bio);
    *got = tern_tls_pipe_read(BIO_get_data(bio), data, size);
    if (*got > 0)
        return 1;
    BIO_set_retry_read(bio);
    return 0;
}

static int bio_write(BIO *bio, const char *data, size_t size, size_t *took)
{
    BIO_clear_retry_flags(bio);
    *took = tern_tls_pipe_write(BIO_get_data(bio), tern_view_of(data, size));
    if (*took > 0)
        return 1;
    BIO_set_retry_write(bio);
    return 0;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static BIO *bio_new(const struct tern_web_tls_context *context, struct tern_tls_pipe *pipe)
{
    BIO *bio = BIO_new(context->bio);
    if (bio == NULL)
        return NULL;
    BIO_set_data(bio, pipe);
    BIO_set_init(bio, 1);
    return bio;
}

/* ---- context ---- */

static const uint64_t CONTEXT_OPTIONS = SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
                                        SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE;

static const long CONTEXT_MODES = SSL_MODE_NO_AUTO_CHAIN | SSL_MODE_RELEASE_BUFFERS |
                                  SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER;

tern_err tern_web_tls_context_init(struct tern_web_tls_context *context)
{
    context->ssl = SSL_CTX_new(TLS_method());
    context->bio = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "tern");
    if (context->ssl == NULL || context->bio == NULL ||
        BIO_meth_set_read_ex(context->bio, bio_read) != 1 ||
        BIO_meth_set_write_ex(context->bio, bio_write) != 1 ||
        BIO_meth_set_ctrl(context->bio, bio_ctrl) != 1 ||
        SSL_CTX_set_num_tickets(context->ssl, 0) != 1 ||
        SSL_CTX_set_max_early_data(context->ssl, 0) != 1) {
        tern_web_tls_context_fini(context);
        ERR_clear_error();
        return TERN_ERR_MEMORY;
    }
    SSL_CTX_set_options(context->ssl, CONTEXT_OPTIONS);
    /* A second, empty message for the sake of old middle boxes, which never see a connection whose
     * first bytes are not TLS. */
    SSL_CTX_clear_options(context->ssl, SSL_OP_ENABLE_MIDDLEBOX_COMPAT);
    SSL_CTX_set_mode(context->ssl, CONTEXT_MODES);
    SSL_CTX_set_session_cache_mode(context->ssl, SSL_SESS_CACHE_OFF);
    return TERN_OK;
}

void tern_web_tls_context_fini(struct tern_web_tls_context *context)
{
    SSL_CTX_free(context->ssl);
    BIO_meth_free(context->bio);
    *context = (struct tern_web_tls_context){.ssl = NULL};
}

/* ---- errors ---- */

struct error_row {
    int reason;
    tern_err err;
    tern_fault fault;
};

/* What OpenSSL says of the other end. What is not here broke the rules in some other way. */
static const struct error_row error_rows[] = {
    {SSL_R_UNSUPPORTED_PROTOCOL, TERN_ERR_UNSUPPORTED, TERN_FAULT_TLS_VERSION},
    {SSL_R_WRONG_SSL_VERSION, TERN_ERR_UNSUPPORTED, TERN_FAULT_TLS_VERSION},
    {SSL_R_VERSION_TOO_LOW, TERN_ERR_UNSUPPORTED, TERN_FAULT_TLS_VERSION},
    {SSL_R_VERSION_TOO_HIGH, TERN_ERR_UNSUPPORTED, TERN_FAULT_TLS_VERSION},
    {SSL_R_LEGACY_SIGALG_DISALLOWED_OR_UNSUPPORTED, TERN_ERR_UNSUPPORTED,
     TERN_FAULT_TLS_NOTHING_IN_COMMON},
    {SSL_R_NO_SHARED_CIPHER, TERN_ERR_UNSUPPORTED, TERN_FAULT_TLS_NOTHING_IN_COMMON},
    {SSL_R_NO_SHARED_GROUPS, TERN_ERR_UNSUPPORTED, TERN_FAULT_TLS_NOTHING_IN_COMMON},
    {SSL_R_NO_SUITABLE_KEY_SHARE, TERN_ERR_UNSUPPORTED, TERN_FAULT_TLS_NOTHING_IN_COMMON},
    {SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, TERN_ERR_UNSUPPORTED, TERN_FAULT_TLS_NOTHING_IN_COMMON},
    {SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS, TERN_ERR_UNSUPPORTED, TERN_FAULT_TLS_NOTHING_IN_COMMON},
    {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, TERN_ERR_PROTOCOL, TERN_FAULT_TLS_NO_CERTIFICATE},
    {SSL_R_NO_APPLICATION_PROTOCOL, TERN_ERR_NO_PROTOCOL, TERN_FAULT_TLS_ALPN},
    {SSL_R_BAD_SIGNATURE, TERN_ERR_BAD_SIGNATURE, TERN_FAULT_TLS_BAD_PROOF},
    /* The certificate has been judged by then, its key among the rest: what OpenSSL lacked when it
     * read the key was memory, but it does not say so. */
    {SSL_R_UNKNOWN_CERTIFICATE_TYPE, TERN_ERR_MEMORY, TERN_FAULT_NONE},
    {SSL_R_UNABLE_TO_FIND_PUBLIC_KEY_PARAMETERS, TERN_ERR_MEMORY, TERN_FAULT_NONE},
};

/* What it says of records behind the handshake. */
static const struct error_row error_record_rows[] = {
    {SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, TERN_ERR_BAD_MAC, TERN_FAULT_TLS_RECORD_MAC},
    {SSL_R_DATA_LENGTH_TOO_LONG, TERN_ERR_TOO_LARGE, TERN_FAULT_TLS_RECORD_TOO_LARGE},
    {SSL_R_ENCRYPTED_LENGTH_TOO_LONG, TERN_ERR_TOO_LARGE, TERN_FAULT_TLS_RECORD_TOO_LARGE},
    {SSL_R_BAD_RECORD_TYPE, TERN_ERR_PROTOCOL, TERN_FAULT_TLS_RECORD_TYPE},
    {SSL_R_UNEXPECTED_MESSAGE, TERN_ERR_PROTOCOL, TERN_FAULT_TLS_RECORD_TYPE},
    {SSL_R_WRONG_VERSION_NUMBER, TERN_ERR_PROTOCOL, TERN_FAULT_TLS_NOT_TLS},
};

struct error_table {
    const struct error_row *rows;
    size_t count;
    tern_fault otherwise; /* in some other way */
};

static const struct error_table error_table = {error_rows, TERN_COUNT_OF(error_rows),
                                               TERN_FAULT_TLS_HANDSHAKE};
static const struct error_table error_record_table = {
    error_record_rows, TERN_COUNT_OF(error_record_rows), TERN_FAULT_TLS_BAD_MESSAGE};

enum { ERROR_QUEUE_MAX = 64 }; /* it holds 16 */

/* Judges one entry of the queue; false: it says nothing. */
static bool error_judge(const struct error_table *table, unsigned long code, struct error_row *row)
{
    int reason = ERR_GET_REASON(code);
    if (reason == ERR_R_MALLOC_FAILURE) {
        *row = (struct error_row){reason, TERN_ERR_MEMORY, TERN_FAULT_NONE};
        return true;
    }
    if (ERR_GET_LIB(code) != ERR_LIB_SSL)
        return false;
    if (reason == ERR_R_INTERNAL_ERROR || ERR_COMMON_ERROR(code)) {
        *row = (struct error_row){reason, TERN_ERR_INTERNAL, TERN_FAULT_NONE};
        return true;
    }
    if (reason >= SSL_AD_REASON_OFFSET) {
        *row = (struct error_row){reason, TERN_ERR_REFUSED, TERN_FAULT_TLS_REFUSED};
        return true;
    }
    for (size_t i = 0; i < table->count; i++) {
        if (table->rows[i].reason == reason) {
            *row = table->rows[i];
            return true;
        }
    }
    *row = (struct error_row){reason, TERN_ERR_PROTOCOL, table->otherwise};
    return true;
}

static tern_err error_find(const struct error_table *table, tern_fault *fault)
{
    struct error_row found = {0, TERN_ERR_INTERNAL, TERN_FAULT_NONE};
    bool told = false;
    for (int i = 0; i < ERROR_QUEUE_MAX; i++) {
        struct error_row row;
        unsigned long code = ERR_get_error();
        if (code == 0)
            break;
        /* The first one is the cause; but a lack of memory explains all others. */
        if (error_judge(table, code, &row) && (!told || row.err == TERN_ERR_MEMORY)) {
            found = row;
            told = true;
        }
    }
    *fault = found.fault;
    return found.err;
}

tern_err tern_web_tls_error(tern_fault *fault)
{
    return error_find(&error_table, fault);
}

tern_err tern_web_tls_record_error(tern_fault *fault)
{
    return error_find(&error_record_table, fault);
}

/* ---- handshake ---- */

SSL *tern_web_tls_ssl_new(const struct tern_web_tls_context *context, struct tern_tls_handshake *hs)
{
    SSL *ssl = SSL_new(context->ssl);
    BIO *bio = ssl == NULL ? NULL : bio_new(context, &hs->pipe);
    if (bio != NULL) {
        SSL_set_bio(ssl, bio, bio);
        if (hs->role == TERN_ROLE_INITIATOR)
            SSL_set_connect_state(ssl);
        else
            SSL_set_accept_state(ssl);
        if (SSL_set_app_data(ssl, hs) == 1)
            return ssl;
    }
    SSL_free(ssl);
    ERR_clear_error();
    return NULL;
}

tern_err tern_web_tls_shake(SSL *ssl, struct tern_tls_handshake *hs)
{
    ERR_clear_error();
    int result = SSL_do_handshake(ssl);
    hs->done = result == 1;
    if (hs->done)
        return TERN_OK;
    int error = SSL_get_error(ssl, result);
    if (error == SSL_ERROR_WANT_READ)
        return TERN_OK;
    if (hs->err != TERN_OK) { /* a callback knows better */
        ERR_clear_error();
        return hs->err;
    }
    if (error == SSL_ERROR_ZERO_RETURN) { /* close_notify */
        hs->fault = TERN_FAULT_TLS_REFUSED;
        return TERN_ERR_REFUSED;
    }
    /* Of our own doing is a flight that is larger than we said (SSL_ERROR_WANT_WRITE). */
    return tern_web_tls_error(&hs->fault);
}
