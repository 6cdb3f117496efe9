/* What libp2p asks of a TLS handshake: the context that all of a host's share, and one peer's. */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/check.h"
#include "base/reader.h"
#include "crypto/secret.h"
#include "secure/tls_internal.h"
#include "wire/multibase.h"

/* Measured costs of the jobs, for the simulator's clock; see bench/tls.c. A responder's two are 250
 * and 550 us. */
enum { PEER_INITIATOR_JOB_NS = 700000, PEER_RESPONDER_JOB_NS = 400000 };

enum {
    PEER_FLIGHT_OVERHEAD = 2048, /* all but the certificate and the names of muxers */
    PEER_NAME_SIZE_MAX = 255,
    PEER_ALPN_SIZE_MAX = (TERN_TLS_MUXERS_MAX + 1) * (1 + PEER_NAME_SIZE_MAX),
    /* One certificate too many is still read, to be told as what it is. */
    IDENTITY_CHAIN_SIZE_MAX = 2 * TERN_CERTIFICATE_SIZE_MAX + 1024,
};

#define PEER_ALPN_LIBP2P "libp2p"

static struct tern_tls_peer *peer_of(const SSL *ssl)
{
    struct tern_tls_handshake *handshake = SSL_get_app_data(ssl);
    return TERN_CONTAINER_OF(handshake, struct tern_tls_peer, handshake);
}

/* ---- callbacks of the context, in the job ---- */

/* Which of our muxers has that name; SIZE_MAX: none. */
static size_t peer_muxer(const struct tern_tls_peer *peer, struct tern_view name)
{
    for (size_t i = 0; i < peer->muxers_count; i++)
        if (tern_view_equal(peer->muxers[i], name))
            return i;
    return SIZE_MAX;
}

/* A responder takes the first name of the initiator's list that it knows. */
static int peer_select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                            const unsigned char *in, unsigned in_size, void *context)
{
    const struct tern_tls_peer *peer = peer_of(ssl);
    struct tern_reader r = tern_reader_of(tern_view_of(in, in_size));
    uint8_t size;
    struct tern_view name;
    (void)context;
    while (tern_reader_u8(&r, &size) && tern_reader_bytes(&r, size, &name)) {
        if (peer_muxer(peer, name) == SIZE_MAX &&
            !tern_view_equal(name, tern_view_str(PEER_ALPN_LIBP2P)))
            continue;
        *out = name.data;
        *out_size = size;
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static tern_err peer_refuse(struct tern_tls_peer *peer, tern_err err, tern_fault fault)
{
    peer->handshake.err = err;
    peer->handshake.fault = fault;
    return err;
}

/* Holds the remote's certificate to the profile, and learns who it is. */
static tern_err peer_check(struct tern_tls_peer *peer, X509_STORE_CTX *store)
{
    uint8_t bytes[TERN_CERTIFICATE_SIZE_MAX];
    unsigned char *at = bytes;
    X509 *certificate = X509_STORE_CTX_get0_cert(store);
    if (sk_X509_num(X509_STORE_CTX_get0_untrusted(store)) != 1)
        return peer_refuse(peer, TERN_ERR_PROTOCOL, TERN_FAULT_TLS_CERTIFICATES);
    int size = i2d_X509(certificate, NULL);
    if (size > TERN_CERTIFICATE_SIZE_MAX)
        return peer_refuse(peer, TERN_ERR_TOO_LARGE, TERN_FAULT_CERTIFICATE_TOO_LARGE);
    if (size <= 0 || i2d_X509(certificate, &at) != size)
        return peer_refuse(peer, TERN_ERR_MEMORY, TERN_FAULT_NONE);
    tern_fault fault;
    tern_err err = tern_certificate_check(tern_view_of(bytes, (size_t)size), peer->wall,
                                          &peer->remote_key, &fault);
    if (err != TERN_OK)
        return peer_refuse(peer, err, fault);
    peer->has_remote = true;
    tern_public_key_peer_id(&peer->remote_key, &peer->remote_id);
    if (!tern_peer_id_is_none(&peer->expected) &&
        !tern_peer_id_equal(&peer->expected, &peer->remote_id))
        return peer_refuse(peer, TERN_ERR_PEER_MISMATCH, TERN_FAULT_TLS_WRONG_PEER);
    return TERN_OK;
}

/* What the remote is told by its alert. */
static int peer_verdict(tern_err err, tern_fault fault)
{
    if (fault == TERN_FAULT_CERTIFICATE_EXPIRED)
        return X509_V_ERR_CERT_HAS_EXPIRED;
    if (fault == TERN_FAULT_CERTIFICATE_KEY || fault == TERN_FAULT_CERTIFICATE_ALGORITHM)
        return X509_V_ERR_INVALID_PURPOSE; /* unsupported_certificate */
    return err == TERN_ERR_MEMORY ? X509_V_ERR_OUT_OF_MEM : X509_V_ERR_CERT_REJECTED;
}

static int peer_verify(X509_STORE_CTX *store, void *context)
{
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tern_tls_peer *peer = peer_of(ssl);
    (void)context;
    if (peer_check(peer, store) == TERN_OK) {
        X509_STORE_CTX_set_error(store, X509_V_OK);
        return 1;
    }
    X509_STORE_CTX_set_error(store, peer_verdict(peer->handshake.err, peer->handshake.fault));
    return 0;
}

/* A line of the key log: label, client random, secret; the latter two in hexadecimal. OpenSSL gives
 * out traffic secrets in no other way. */
static void peer_take_secret(const SSL *ssl, const char *line)
{
    static const char *const labels[TERN_TLS_SECRETS] = {
        [TERN_ROLE_INITIATOR] = "CLIENT_TRAFFIC_SECRET_0 ",
        [TERN_ROLE_RESPONDER] = "SERVER_TRAFFIC_SECRET_0 ",
    };
    struct tern_tls_peer *peer = peer_of(ssl);
    const char *secret = strrchr(line, ' ');
    for (size_t i = 0; i < TERN_TLS_SECRETS && secret != NULL; i++) {
        if (strncmp(line, labels[i], strlen(labels[i])) != 0)
            continue;
        struct tern_writer w = tern_writer_of(peer->secrets[i], sizeof peer->secrets[i]);
        tern_err err = tern_base_decode(TERN_BASE16, tern_view_str(secret + 1), &w);
        peer->secret_sizes[i] = err == TERN_OK ? w.size : 0;
    }
}

/* ---- the end of the handshake, in the job ---- */

static tern_err peer_take_alpn(struct tern_tls_peer *peer)
{
    const unsigned char *name = NULL;
    unsigned size = 0;
    SSL_get0_alpn_selected(peer->handshake.ssl, &name, &size);
    struct tern_view selected = tern_view_of(name, size);
    peer->muxer = peer_muxer(peer, selected);
    if (size == 0 || peer->muxer != SIZE_MAX ||
        tern_view_equal(selected, tern_view_str(PEER_ALPN_LIBP2P)))
        return TERN_OK;
    return peer_refuse(peer, TERN_ERR_NO_PROTOCOL, TERN_FAULT_TLS_ALPN);
}

static tern_err peer_take_keys(struct tern_tls_peer *peer)
{
    const SSL_CIPHER *cipher = SSL_get_current_cipher(peer->handshake.ssl);
    enum tern_role role = peer->handshake.role;
    peer->suite = cipher == NULL ? NULL : tern_tls_suite_find(SSL_CIPHER_get_protocol_id(cipher));
    if (peer->suite == NULL || peer->secret_sizes[0] != peer->suite->secret_size ||
        peer->secret_sizes[1] != peer->suite->secret_size)
        return TERN_ERR_INTERNAL;
    tern_tls_keys_init(&peer->send, peer->suite, peer->secrets[role]);
    tern_tls_keys_init(&peer->receive, peer->suite, peer->secrets[1 - role]);
    tern_secret_wipe(peer->secrets, sizeof peer->secrets);
    return TERN_OK;
}

static tern_err peer_complete(struct tern_tls_handshake *handshake)
{
    struct tern_tls_peer *peer = TERN_CONTAINER_OF(handshake, struct tern_tls_peer, handshake);
    TERN_TRY(peer_take_alpn(peer));
    TERN_TRY(peer_take_keys(peer));
    if (!peer->has_remote)
        return TERN_ERR_INTERNAL;
    SSL_free(handshake->ssl);
    handshake->ssl = NULL;
    return TERN_OK;
}

/* ---- life of a peer's ---- */

static tern_err peer_offer_alpn(struct tern_tls_peer *peer)
{
    uint8_t bytes[PEER_ALPN_SIZE_MAX];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    for (size_t i = 0; i < peer->muxers_count; i++) {
        tern_writer_u8(&w, (uint8_t)peer->muxers[i].size);
        tern_writer_bytes(&w, peer->muxers[i]);
    }
    tern_writer_u8(&w, sizeof PEER_ALPN_LIBP2P - 1);
    tern_writer_str(&w, PEER_ALPN_LIBP2P);
    TERN_CHECK(tern_writer_ok(&w));
    if (SSL_set_alpn_protos(peer->handshake.ssl, w.data, (unsigned)w.size) == 0)
        return TERN_OK;
    ERR_clear_error();
    return TERN_ERR_MEMORY;
}

static size_t peer_flight_size(const struct tern_tls_options *options)
{
    size_t size = PEER_FLIGHT_OVERHEAD + options->identity->certificate.der_size;
    for (size_t i = 0; i < options->muxers_count; i++)
        size += 1 + options->muxers[i].size;
    return size;
}

tern_err tern_tls_peer_new(const struct tern_tls_options *options, struct tern_tls_peer **made)
{
    TERN_CHECK(options->muxers_count <= TERN_TLS_MUXERS_MAX);
    struct tern_tls_peer *peer = tern_mem_zalloc(options->mem, sizeof *peer);
    if (peer == NULL)
        return TERN_ERR_MEMORY;
    bool initiator = options->role == TERN_ROLE_INITIATOR;
    tern_err err = tern_tls_handshake_init(
        &peer->handshake,
        &(struct tern_tls_handshake_options){.role = options->role,
                                             .mem = options->mem,
                                             .context = &options->identity->context,
                                             .flight_size_max = peer_flight_size(options),
                                             .complete = peer_complete,
                                             .cost_ns = initiator ? PEER_INITIATOR_JOB_NS
                                                                  : PEER_RESPONDER_JOB_NS});
    if (err != TERN_OK) {
        tern_mem_free(options->mem, peer, sizeof *peer);
        return err;
    }
    if (options->expected_peer != NULL)
        peer->expected = *options->expected_peer;
    peer->wall = options->wall;
    peer->muxer = SIZE_MAX;
    peer->muxers_count = options->muxers_count;
    for (size_t i = 0; i < options->muxers_count; i++) {
        peer->muxers[i] = options->muxers[i];
        TERN_CHECK(peer->muxers[i].size > 0 && peer->muxers[i].size <= PEER_NAME_SIZE_MAX);
    }
    if (initiator) {
        err = peer_offer_alpn(peer);
        if (err == TERN_OK)
            err = tern_tls_handshake_start(&peer->handshake);
    }
    if (err != TERN_OK)
        tern_tls_peer_free(peer);
    else
        *made = peer;
    return err;
}

void tern_tls_peer_free(struct tern_tls_peer *peer)
{
    struct tern_mem *mem = peer->handshake.mem;
    tern_tls_handshake_fini(&peer->handshake);
    if (peer->has_remote)
        tern_public_key_fini(&peer->remote_key);
    tern_secret_wipe(peer, sizeof *peer);
    tern_mem_free(mem, peer, sizeof *peer);
}

/* ---- identity ---- */

static bool identity_use_certificate(const struct tern_tls_identity *identity)
{
    SSL_CTX *ssl = identity->context.ssl;
    const unsigned char *at = identity->certificate.key;
    EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &at, sizeof identity->certificate.key);
    bool done = key != NULL &&
                SSL_CTX_use_certificate_ASN1(ssl, (int)identity->certificate.der_size,
                                             identity->certificate.der) == 1 &&
                SSL_CTX_use_PrivateKey(ssl, key) == 1 && SSL_CTX_check_private_key(ssl) == 1;
    EVP_PKEY_free(key);
    return done;
}

/* Signature algorithms are those of the certificates that are taken; the last three are for
 * certificates alone (RFC 8446 section 4.2.3). */
static bool identity_configure(const struct tern_tls_identity *identity, bool slow_aes)
{
    SSL_CTX *ssl = identity->context.ssl;
    const char *suites =
        slow_aes ? "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384"
                 : "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384";
    SSL_CTX_set_security_level(ssl,
                               1); /* the certificate check is stricter, and the same anywhere */
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_cert_verify_callback(ssl, peer_verify, NULL);
    SSL_CTX_set_alpn_select_cb(ssl, peer_select_alpn, NULL);
    SSL_CTX_set_keylog_callback(ssl, peer_take_secret);
    SSL_CTX_set_max_cert_list(ssl, IDENTITY_CHAIN_SIZE_MAX);
    return SSL_CTX_set_min_proto_version(ssl, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(ssl, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_ciphersuites(ssl, suites) == 1 &&
           SSL_CTX_set1_groups_list(ssl, "X25519:P-256") == 1 &&
           SSL_CTX_set1_sigalgs_list(ssl, "ECDSA+SHA256:ed25519:ECDSA+SHA384:RSA-PSS+SHA256:"
                                          "RSA-PSS+SHA384:RSA-PSS+SHA512:RSA+SHA256:RSA+SHA384:"
                                          "RSA+SHA512") == 1;
}

tern_err tern_tls_identity_init(struct tern_tls_identity *identity,
                                const struct tern_tls_identity_options *options)
{
    *identity = (struct tern_tls_identity){.context = {.ssl = NULL}};
    TERN_TRY(
        tern_certificate_make(&(struct tern_certificate_options){.kind = TERN_CERTIFICATE_LIBP2P,
                                                                 .mem = options->mem,
                                                                 .random = options->random,
                                                                 .host_key = options->host_key},
                              &identity->certificate));
    tern_fault fault = TERN_FAULT_NONE;
    tern_err err = tern_tls_context_init(&identity->context);
    if (err == TERN_OK &&
        (!identity_use_certificate(identity) || !identity_configure(identity, options->slow_aes))) {
        err = tern_tls_error(&fault);
        err = err == TERN_ERR_MEMORY ? err : TERN_ERR_INTERNAL;
    }
    if (err != TERN_OK)
        tern_tls_identity_fini(identity);
    return err;
}

void tern_tls_identity_fini(struct tern_tls_identity *identity)
{
    tern_tls_context_fini(&identity->context);
    tern_certificate_fini(&identity->certificate);
}
