/* What a host's web TLS channels share: contexts of OpenSSL, roots, credentials, callbacks. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/check.h"
#include "base/reader.h"
#include "secure/web_tls_internal.h"

/* Forward secrecy and AEAD, as browsers have it. */
#define WEB_CIPHERS_TLS12 "ECDHE+AESGCM:ECDHE+CHACHA20:!PSK"
#define WEB_ALPN          "\x08http/1.1"

enum { WEB_ROOTS_MAX = 10000, WEB_SECURITY_LEVEL = 2 /* 112 bits */ };

/* ---- callbacks of the contexts, in the job ---- */

/* A server speaks HTTP/1.1 alone; who offers other protocols, and not that, is turned away. */
static int web_select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                           const unsigned char *in, unsigned in_size, void *context)
{
    const struct tern_view own = tern_view_str(&WEB_ALPN[1]);
    struct tern_reader r = tern_reader_of(tern_view_of(in, in_size));
    uint8_t size;
    struct tern_view name;
    (void)ssl;
    (void)context;
    while (tern_reader_u8(&r, &size) && tern_reader_bytes(&r, size, &name)) {
        if (!tern_view_equal(name, own))
            continue;
        *out = name.data;
        *out_size = size;
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static tern_fault web_certificate_fault(int verdict)
{
    switch (verdict) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return TERN_FAULT_CERTIFICATE_EXPIRED;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return TERN_FAULT_CERTIFICATE_NOT_YET_VALID;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return TERN_FAULT_WEB_CERTIFICATE_NAME;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_UNTRUSTED:
        return TERN_FAULT_WEB_CERTIFICATE_UNTRUSTED;
    }
    return TERN_FAULT_WEB_CERTIFICATE_BAD;
}

/* The first thing that is wrong with a server's chain is what is told. */
static int web_verify(int good, X509_STORE_CTX *store)
{
    if (good)
        return 1;
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tern_tls_handshake *handshake = SSL_get_app_data(ssl);
    int verdict = X509_STORE_CTX_get_error(store);
    if (verdict == X509_V_ERR_OUT_OF_MEM) {
        handshake->err = TERN_ERR_MEMORY;
        return 0;
    }
    handshake->err = TERN_ERR_PROTOCOL;
    handshake->fault = web_certificate_fault(verdict);
    return 0;
}

/* A key's passphrase: there is nobody to ask. */
static int web_no_passphrase(char *buffer, int size, int writing, void *context)
{
    (void)buffer;
    (void)size;
    (void)writing;
    (void)context;
    return -1;
}

/* ---- contexts ---- */

static bool web_configure(SSL_CTX *ssl)
{
    SSL_CTX_set_security_level(ssl, WEB_SECURITY_LEVEL);
    SSL_CTX_set_max_cert_list(ssl, TERN_WEB_TLS_REMOTE_SIZE_MAX);
    return SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(ssl, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(ssl, WEB_CIPHERS_TLS12) == 1;
}

/* Why OpenSSL failed at something that is ours alone: memory, or what it is at that place. */
static tern_err web_own_error(tern_err otherwise)
{
    tern_fault fault = TERN_FAULT_NONE;
    tern_err err = tern_web_tls_error(&fault);
    return err == TERN_ERR_MEMORY ? err : otherwise;
}

/* Reads the next certificate; *err is set when there is none because something is wrong, and not
 * because the text is at its end. */
static X509 *web_read_certificate(BIO *bio, tern_err *err)
{
    X509 *certificate = PEM_read_bio_X509(bio, NULL, web_no_passphrase, NULL);
    if (certificate != NULL)
        return certificate;
    bool end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    *err = web_own_error(end ? TERN_OK : TERN_ERR_MALFORMED);
    return NULL;
}

static BIO *web_open(struct tern_view text)
{
    return text.size > INT32_MAX ? NULL : BIO_new_mem_buf(text.data, (int)text.size);
}

static tern_err web_add_roots(SSL_CTX *ssl, struct tern_view roots)
{
    if (roots.size == 0)
        return TERN_OK;
    BIO *bio = web_open(roots);
    if (bio == NULL)
        return TERN_ERR_MEMORY;
    tern_err err = TERN_OK;
    X509 *root = NULL;
    int count = 0;
    for (; err == TERN_OK && (root = web_read_certificate(bio, &err)) != NULL; count++) {
        if (count == WEB_ROOTS_MAX)
            err = TERN_ERR_TOO_LARGE;
        else if (X509_STORE_add_cert(SSL_CTX_get_cert_store(ssl), root) != 1)
            err = web_own_error(TERN_ERR_MEMORY);
        X509_free(root);
    }
    BIO_free(bio);
    return err == TERN_OK && count == 0 ? TERN_ERR_MALFORMED : err;
}

static tern_err web_init_client(struct tern_web_tls *web, struct tern_view roots)
{
    SSL_CTX *ssl = web->client.ssl;
    bool verify = web->verify == TERN_WEB_VERIFY;
    SSL_CTX_set_verify(ssl, verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, verify ? web_verify : NULL);
    if (!web_configure(ssl) ||
        SSL_CTX_set_alpn_protos(ssl, (const uint8_t *)WEB_ALPN, sizeof WEB_ALPN - 1) != 0)
        return web_own_error(TERN_ERR_INTERNAL);
    return verify ? web_add_roots(ssl, roots) : TERN_OK;
}

tern_err tern_web_tls_init(struct tern_web_tls *web, const struct tern_web_tls_config *config)
{
    *web = (struct tern_web_tls){.verify = config->verify};
    tern_err err = tern_web_tls_context_init(&web->client);
    if (err == TERN_OK)
        err = web_init_client(web, config->roots);
    if (err != TERN_OK)
        tern_web_tls_fini(web);
    return err;
}

void tern_web_tls_fini(struct tern_web_tls *web)
{
    tern_web_tls_context_fini(&web->client);
    tern_web_tls_context_fini(&web->server);
    web->chain_size = 0;
}

bool tern_web_tls_serves(const struct tern_web_tls *web)
{
    return web->chain_size > 0;
}

/* ---- credentials ---- */

/* Adds one certificate of the chain to the context, and its size to *size. */
static tern_err web_add_certificate(SSL_CTX *ssl, X509 *certificate, int at, size_t *size)
{
    int der = i2d_X509(certificate, NULL);
    if (der <= 0)
        return web_own_error(TERN_ERR_MALFORMED);
    *size += (size_t)der;
    if (at == TERN_WEB_TLS_CHAIN_MAX || *size > TERN_WEB_TLS_CHAIN_SIZE_MAX)
        return TERN_ERR_TOO_LARGE;
    long added = at == 0 ? SSL_CTX_use_certificate(ssl, certificate)
                         : SSL_CTX_add1_chain_cert(ssl, certificate);
    return added == 1 ? TERN_OK : web_own_error(TERN_ERR_INVALID);
}

static tern_err web_use_chain(SSL_CTX *ssl, struct tern_view chain, size_t *size)
{
    BIO *bio = web_open(chain);
    if (bio == NULL)
        return web_own_error(TERN_ERR_MALFORMED);
    tern_err err = TERN_OK;
    X509 *certificate = NULL;
    for (int i = 0; err == TERN_OK && (certificate = web_read_certificate(bio, &err)) != NULL;
         i++) {
        err = web_add_certificate(ssl, certificate, i, size);
        X509_free(certificate);
    }
    BIO_free(bio);
    return err == TERN_OK && *size == 0 ? TERN_ERR_MALFORMED : err;
}

static tern_err web_use_key(SSL_CTX *ssl, struct tern_view text)
{
    BIO *bio = web_open(text);
    EVP_PKEY *key =
        bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, web_no_passphrase, NULL);
    bool used =
        key != NULL && SSL_CTX_use_PrivateKey(ssl, key) == 1 && SSL_CTX_check_private_key(ssl) == 1;
    EVP_PKEY_free(key);
    BIO_free(bio);
    return used ? TERN_OK : web_own_error(TERN_ERR_BAD_KEY);
}

static tern_err web_init_server(struct tern_web_tls_context *server,
                                const struct tern_web_credentials *credentials, size_t *size)
{
    *size = 0;
    if (!web_configure(server->ssl))
        return web_own_error(TERN_ERR_INTERNAL);
    SSL_CTX_set_alpn_select_cb(server->ssl, web_select_alpn, NULL);
    TERN_TRY(web_use_chain(server->ssl, credentials->chain, size));
    return web_use_key(server->ssl, credentials->key);
}

tern_err tern_web_tls_set_credentials(struct tern_web_tls *web,
                                      const struct tern_web_credentials *credentials)
{
    struct tern_web_tls_context fresh;
    size_t size;
    TERN_TRY(tern_web_tls_context_init(&fresh));
    tern_err err = web_init_server(&fresh, credentials, &size);
    if (err != TERN_OK) {
        tern_web_tls_context_fini(&fresh);
        return err;
    }
    /* Channels hold on to their own SSL_CTX, but not to the methods of its memory: those stay. */
    if (web->server.bio == NULL) {
        web->server = fresh;
    } else {
        SSL_CTX_free(web->server.ssl);
        web->server.ssl = fresh.ssl;
        fresh.ssl = NULL;
        tern_web_tls_context_fini(&fresh);
    }
    web->chain_size = size;
    return TERN_OK;
}
