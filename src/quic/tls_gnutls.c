#include "quic/tls_gnutls.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#include "base/check.h"
#include "base/reader.h"
#include "crypto/secret.h"
#include "crypto/sha256.h"
#include "quic/quic.h"
#include "quic/quic_partial_reset.h"
#include "secure/gnutls.h"

/* AES-128-GCM first, whatever the remote prefers: it is what GnuTLS is fast at. */
static const char tls_priority[] =
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:"
    "-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:" TERN_GNUTLS_SIGNATURES
    "%SERVER_PRECEDENCE:%DISABLE_TLS13_COMPAT_MODE";

static const char *const tls_alpn_names[QUIC_ALPN_COUNT] = {
    [QUIC_ALPN_LIBP2P] = "libp2p",
    [QUIC_ALPN_H3] = "h3",
};

/* TLS extensions (RFC 8446, sections 4.2.10 and 4.2.11). */
enum { TLS_EXTENSION_PSK = 41, TLS_EXTENSION_EARLY_DATA = 42 };

enum { TLS_PARAMS_SIZE_MAX = 512 };

/* Certificates and their keys, shared by those sessions that show them: they may be replaced
 * meanwhile. */
struct tls_credentials {
    struct tern_mem *mem;
    struct tern_gnutls_credentials *certificates;
    uint32_t refs;
};

struct tern_quic_identity {
    struct tern_mem *mem;
    gnutls_priority_t priority;
    struct tls_credentials *credentials[QUIC_ALPN_COUNT]; /* NULL: not served */
    gnutls_certificate_credentials_t nobody; /* of a client that shows no certificate */
    uint8_t secret[TERN_SHA256_SIZE];
};

struct quic_tls_server {
    struct tern_mem *mem;
    struct quic_replay *replay;
    gnutls_anti_replay_t anti_replay;
    struct quic_replay_epoch *epoch; /* of the ticket in the ClientHello that is being read */
};

struct quic_tls {
    struct tern_mem *mem;
    gnutls_session_t session;
    ngtcp2_crypto_conn_ref ref; /* what ngtcp2's glue finds by the session */
    ngtcp2_conn *ng;
    const struct tern_quic_identity *identity;
    const struct quic_tls_owner *owner;
    struct quic_tls_server *server;
    const tern_time *now;
    struct tls_credentials *shown; /* a reference; NULL: none */
    enum quic_alpn alpn;           /* a server's: chosen by the ClientHello */
    bool keyed;                    /* the keys of tickets are chosen */
    bool judged;                   /* the owner has seen the remote's certificate */
    bool ticket_early;
    uint32_t ticket_lifetime_s;
};

static struct quic_tls *tls_of(gnutls_session_t session)
{
    ngtcp2_crypto_conn_ref *ref = gnutls_session_get_ptr(session);
    return ref->user_data;
}

/* --- identities --- */

/* tls_verify is GnuTLS asking about the remote's certificates. */
static int tls_verify(gnutls_session_t session)
{
    return quic_tls_judge(tls_of(session)) == TERN_OK ? 0 : -1;
}

static void tls_credentials_unref(struct tls_credentials *credentials)
{
    if (credentials == NULL || --credentials->refs > 0)
        return;
    tern_gnutls_credentials_free(credentials->certificates);
    tern_mem_free(credentials->mem, credentials, sizeof *credentials);
}

/* tls_show gives the session what it shows from now on. A code of GnuTLS's. */
static int tls_show(struct quic_tls *tls, struct tls_credentials *credentials)
{
    tls_credentials_unref(tls->shown);
    tls->shown = credentials;
    credentials->refs++;
    return tern_gnutls_credentials_set(tls->session, credentials->certificates);
}

/* identity_serve makes the identity show certificates, which it takes over, also when it fails. */
static tern_err identity_serve(struct tern_quic_identity *identity, enum quic_alpn alpn,
                               struct tern_gnutls_credentials *certificates)
{
    struct tls_credentials *credentials = tern_mem_zalloc(identity->mem, sizeof *credentials);
    if (credentials == NULL) {
        tern_gnutls_credentials_free(certificates);
        return TERN_ERR_MEMORY;
    }
    credentials->mem = identity->mem;
    credentials->refs = 1;
    credentials->certificates = certificates;
    gnutls_certificate_set_verify_function(certificates->handle, tls_verify);
    tls_credentials_unref(identity->credentials[alpn]);
    identity->credentials[alpn] = credentials;
    return TERN_OK;
}

tern_err quic_identity_set(struct tern_quic_identity *identity, enum quic_alpn alpn,
                           const struct tern_certificate *certificate)
{
    struct tern_gnutls_credentials *certificates;
    TERN_TRY(tern_gnutls_credentials_new(identity->mem, certificate, 1, &certificates));
    return identity_serve(identity, alpn, certificates);
}

static void identity_secret(struct tern_quic_identity *identity,
                            const struct tern_private_key *host_key)
{
    uint8_t bytes[TERN_PRIVATE_KEY_SIZE_MAX];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_private_key_encode(host_key, &w);
    tern_hkdf_extract(tern_view_str("tern quic stateless reset"), tern_writer_view(&w),
                      identity->secret);
    tern_secret_wipe(bytes, sizeof bytes);
}

static tern_err identity_fill(struct tern_quic_identity *identity, struct tern_random *random,
                              const struct tern_private_key *host_key)
{
    int code = gnutls_priority_init(&identity->priority, tls_priority, NULL);
    if (code != 0) {
        identity->priority = NULL;
        return tern_gnutls_error(code);
    }
    code = gnutls_certificate_allocate_credentials(&identity->nobody);
    if (code != 0) {
        identity->nobody = NULL;
        return tern_gnutls_error(code);
    }
    gnutls_certificate_set_verify_function(identity->nobody, tls_verify);
    identity_secret(identity, host_key);
    struct tern_gnutls_credentials *certificates;
    TERN_TRY(tern_gnutls_credentials_of_host(identity->mem, random, host_key, &certificates));
    return identity_serve(identity, QUIC_ALPN_LIBP2P, certificates);
}

tern_err tern_quic_identity_new(struct tern_mem *mem, struct tern_random *random,
                                const struct tern_private_key *host_key,
                                struct tern_quic_identity **identity)
{
    *identity = tern_mem_zalloc(mem, sizeof **identity);
    if (*identity == NULL)
        return TERN_ERR_MEMORY;
    (*identity)->mem = mem;
    tern_err err = identity_fill(*identity, random, host_key);
    if (err != TERN_OK) {
        tern_quic_identity_free(*identity);
        *identity = NULL;
    }
    return err;
}

void tern_quic_identity_free(struct tern_quic_identity *identity)
{
    if (identity == NULL)
        return;
    for (size_t i = 0; i < QUIC_ALPN_COUNT; i++)
        tls_credentials_unref(identity->credentials[i]);
    if (identity->nobody != NULL)
        gnutls_certificate_free_credentials(identity->nobody);
    if (identity->priority != NULL)
        gnutls_priority_deinit(identity->priority);
    tern_secret_wipe(identity->secret, sizeof identity->secret);
    tern_mem_free(identity->mem, identity, sizeof *identity);
}

void quic_identity_secret(const struct tern_quic_identity *identity,
                          uint8_t secret[TERN_SHA256_SIZE])
{
    memcpy(secret, identity->secret, TERN_SHA256_SIZE);
}

/* --- tickets of a server --- */

/* tls_flight is GnuTLS asking whether a first flight was taken before; the key ends in its binder.
 */
static int tls_flight(void *context, time_t expires, const gnutls_datum_t *key,
                      const gnutls_datum_t *data)
{
    struct quic_tls_server *server = context;
    (void)expires;
    (void)data;
    if (server->epoch == NULL)
        return GNUTLS_E_DB_ERROR;
    bool fresh = quic_replay_take(server->replay, server->epoch, tern_gnutls_view(key));
    return fresh ? 0 : GNUTLS_E_DB_ENTRY_EXISTS;
}

tern_err quic_tls_server_new(struct tern_mem *mem, struct quic_replay *replay,
                             struct quic_tls_server **server)
{
    struct quic_tls_server *s = tern_mem_zalloc(mem, sizeof *s);
    *server = s;
    if (s == NULL)
        return TERN_ERR_MEMORY;
    s->mem = mem;
    s->replay = replay;
    int code = gnutls_anti_replay_init(&s->anti_replay);
    if (code != 0) {
        tern_mem_free(mem, s, sizeof *s);
        *server = NULL;
        return tern_gnutls_error(code);
    }
    /* Its own window, which begins anew with its clock, would refuse every ticket that is older;
     * ours lasts as long as the tickets' keys. */
    gnutls_anti_replay_set_window(s->anti_replay, UINT32_MAX);
    gnutls_anti_replay_set_add_function(s->anti_replay, tls_flight);
    gnutls_anti_replay_set_ptr(s->anti_replay, s);
    return TERN_OK;
}

void quic_tls_server_free(struct quic_tls_server *server)
{
    if (server == NULL)
        return;
    gnutls_anti_replay_deinit(server->anti_replay);
    tern_mem_free(server->mem, server, sizeof *server);
}

/* tls_find_ticket views the first identity in pre_shared_key, if it is that extension. */
static int tls_find_ticket(void *context, unsigned extension, const unsigned char *data,
                           unsigned size)
{
    struct tern_view *ticket = context;
    if (extension != TLS_EXTENSION_PSK)
        return 0;
    struct tern_reader r = tern_reader_of(tern_view_of(data, size));
    uint16_t all;
    uint16_t first;
    if (tern_reader_u16be(&r, &all) && tern_reader_u16be(&r, &first))
        (void)tern_reader_bytes(&r, first, ticket);
    return 0;
}

/* tls_choose_key gives the session the key that the ClientHello's ticket was sealed with, or the
 * current one. */
static int tls_choose_key(struct quic_tls *tls, const gnutls_datum_t *hello)
{
    struct tern_view ticket = {.size = 0};
    struct quic_tls_server *server = tls->server;
    if (tls->keyed)
        return 0; /* a second ClientHello, behind a HelloRetryRequest */
    tls->keyed = true;
    /* What is malformed is GnuTLS's to say. */
    (void)gnutls_ext_raw_parse(&ticket, tls_find_ticket, hello,
                               GNUTLS_EXT_RAW_FLAG_TLS_CLIENT_HELLO);
    server->epoch = quic_replay_of(server->replay, *tls->now, ticket);
    const struct quic_replay_epoch *epoch = server->epoch;
    if (epoch == NULL)
        epoch = quic_replay_current(server->replay, *tls->now);
    const gnutls_datum_t key = tern_gnutls_datum(tern_view_of(epoch->key, sizeof epoch->key));
    return gnutls_session_ticket_enable_server(tls->session, &key);
}

/* A NewSessionTicket message (RFC 8446, section 4.6.1). */
struct tls_new_ticket {
    uint32_t lifetime_s;
    struct tern_view ticket;
    bool early; /* QUIC says so by the largest number there is (RFC 9001, section 4.6.1) */
};

static bool tls_parse_ticket(const gnutls_datum_t *message, struct tls_new_ticket *parsed)
{
    struct tern_reader r = tern_reader_of(tern_gnutls_view(message));
    uint32_t age_add;
    uint8_t nonce_size = 0;
    uint16_t size = 0;
    *parsed = (struct tls_new_ticket){.early = false};
    (void)tern_reader_u32be(&r, &parsed->lifetime_s);
    (void)tern_reader_u32be(&r, &age_add);
    (void)tern_reader_u8(&r, &nonce_size);
    (void)tern_reader_skip(&r, nonce_size);
    (void)tern_reader_u16be(&r, &size);
    (void)tern_reader_bytes(&r, size, &parsed->ticket);
    (void)tern_reader_u16be(&r, &size);
    while (r.err == TERN_OK && tern_reader_left(&r) > 0) {
        uint16_t kind = 0;
        struct tern_view value;
        (void)tern_reader_u16be(&r, &kind);
        (void)tern_reader_u16be(&r, &size);
        if (tern_reader_bytes(&r, size, &value) && kind == TLS_EXTENSION_EARLY_DATA)
            parsed->early = tern_view_equal(value, tern_view_of("\xff\xff\xff\xff", 4));
    }
    return r.err == TERN_OK;
}

/* tls_note_ticket learns what tickets under the session's key begin with. */
static void tls_note_ticket(struct quic_tls *tls, const gnutls_datum_t *message)
{
    struct tls_new_ticket parsed;
    if (tls_parse_ticket(message, &parsed))
        quic_replay_name(quic_replay_current(tls->server->replay, *tls->now), parsed.ticket);
}

/* tls_read_ticket: a ticket has come; GnuTLS takes it next. */
static void tls_read_ticket(struct quic_tls *tls, const gnutls_datum_t *message)
{
    struct tls_new_ticket parsed;
    (void)tls_parse_ticket(message, &parsed); /* what is malformed is GnuTLS's to say */
    tls->ticket_early = parsed.early;
    tls->ticket_lifetime_s = parsed.lifetime_s;
}

/* tls_judge_one asks the owner about the one certificate of the remote. */
static tern_err tls_judge_one(struct quic_tls *tls, struct tern_view der)
{
    TERN_TRY(tls->owner->certificate(tls->owner->self, der));
    tls->judged = true;
    return TERN_OK;
}

static tern_err tls_refuse_many(struct quic_tls *tls)
{
    tls->owner->refused(tls->owner->self, TERN_FAULT_QUIC_CERTIFICATES);
    return TERN_ERR_PROTOCOL;
}

/* tls_judge_message judges before GnuTLS lifts a finger for the certificate's key. */
static tern_err tls_judge_message(struct quic_tls *tls, struct tern_view message)
{
    struct tern_view der;
    tern_err err = tern_gnutls_certificate(message, &der);
    if (err == TERN_ERR_NOT_FOUND)
        return TERN_OK; /* GnuTLS says so */
    if (err != TERN_OK || tls->judged)
        return tls_refuse_many(tls);
    return tls_judge_one(tls, der);
}

/* tls_message sees each handshake message, before and behind GnuTLS. */
static int tls_message(gnutls_session_t session, unsigned kind, unsigned when, unsigned incoming,
                       const gnutls_datum_t *message)
{
    struct quic_tls *tls = tls_of(session);
    bool before = when == GNUTLS_HOOK_PRE;
    if (kind == GNUTLS_HANDSHAKE_KEY_UPDATE)
        return GNUTLS_E_UNEXPECTED_PACKET;
    if (kind == GNUTLS_HANDSHAKE_CLIENT_HELLO && incoming && before && tls->server != NULL)
        return tls_choose_key(tls, message);
    if (kind == GNUTLS_HANDSHAKE_CERTIFICATE_PKT && incoming && before)
        return tls_judge_message(tls, tern_gnutls_view(message)) == TERN_OK
                   ? 0
                   : GNUTLS_E_CERTIFICATE_ERROR;
    if (kind != GNUTLS_HANDSHAKE_NEW_SESSION_TICKET)
        return 0;
    if (before && incoming)
        tls_read_ticket(tls, message);
    else if (before)
        tls_note_ticket(tls, message);
    else if (incoming)
        tls->owner->ticket(tls->owner->self);
    return 0;
}

/* --- sessions --- */

static ngtcp2_conn *tls_conn(ngtcp2_crypto_conn_ref *ref)
{
    const struct quic_tls *tls = ref->user_data;
    return tls->ng;
}

/* --- what GnuTLS tells QUIC, and asks of it --- */

static int tls_secrets(gnutls_session_t session, gnutls_record_encryption_level_t of,
                       const void *rx, const void *tx, size_t size)
{
    ngtcp2_conn *ng = tls_of(session)->ng;
    ngtcp2_encryption_level level = ngtcp2_crypto_gnutls_from_gnutls_record_encryption_level(of);
    if (rx != NULL &&
        ngtcp2_crypto_derive_and_install_rx_key(ng, NULL, NULL, NULL, level, rx, size) != 0)
        return -1;
    if (tx != NULL &&
        ngtcp2_crypto_derive_and_install_tx_key(ng, NULL, NULL, NULL, level, tx, size) != 0)
        return -1;
    return 0;
}

/* tls_said: GnuTLS has a message for the remote. */
static int tls_said(gnutls_session_t session, gnutls_record_encryption_level_t of,
                    gnutls_handshake_description_t kind, const void *data, size_t size)
{
    ngtcp2_conn *ng = tls_of(session)->ng;
    ngtcp2_encryption_level level = ngtcp2_crypto_gnutls_from_gnutls_record_encryption_level(of);
    if (kind == GNUTLS_HANDSHAKE_CHANGE_CIPHER_SPEC)
        return 0; /* QUIC has none */
    int code = ngtcp2_conn_submit_crypto_data(ng, level, data, size);
    if (code != 0)
        ngtcp2_conn_set_tls_error(ng, code);
    return code == 0 ? 0 : -1;
}

static int tls_alert(gnutls_session_t session, gnutls_record_encryption_level_t of,
                     gnutls_alert_level_t severity, gnutls_alert_description_t alert)
{
    (void)of;
    (void)severity;
    ngtcp2_conn_set_tls_alert(tls_of(session)->ng, (uint8_t)alert);
    return 0;
}

static int tls_read_params(gnutls_session_t session, const unsigned char *data, size_t size)
{
    ngtcp2_conn *ng = tls_of(session)->ng;
    int code = ngtcp2_conn_decode_and_set_remote_transport_params(ng, data, size);
    if (code != 0)
        ngtcp2_conn_set_tls_error(ng, code);
    return code == 0 ? 0 : -1;
}

static int tls_write_params(gnutls_session_t session, gnutls_buffer_t out)
{
    const struct quic_tls *tls = tls_of(session);
    uint8_t params[TLS_PARAMS_SIZE_MAX];
    ngtcp2_ssize size = ngtcp2_conn_encode_local_transport_params(tls->ng, params, sizeof params);
    if (size < 0)
        return -1;
    struct tern_writer w = tern_writer_of(params, sizeof params);
    w.size = (size_t)size;
    if (tls->alpn == QUIC_ALPN_H3)
        quic_partial_reset_offer(&w);
    TERN_CHECK(tern_writer_ok(&w));
    return gnutls_buffer_append_data(out, params, w.size) == 0 ? 0 : -1;
}

/* tls_join ties the session to QUIC; false: no memory. */
static bool tls_join(gnutls_session_t session)
{
    gnutls_handshake_set_secret_function(session, tls_secrets);
    gnutls_handshake_set_read_function(session, tls_said);
    gnutls_alert_set_read_function(session, tls_alert);
    return gnutls_session_ext_register(
               session, "QUIC transport parameters", NGTCP2_TLSEXT_QUIC_TRANSPORT_PARAMETERS_V1,
               GNUTLS_EXT_TLS, tls_read_params, tls_write_params, NULL, NULL, NULL,
               GNUTLS_EXT_FLAG_TLS | GNUTLS_EXT_FLAG_CLIENT_HELLO | GNUTLS_EXT_FLAG_EE) == 0;
}

static tern_err tls_set_alpn(struct quic_tls *tls, const enum quic_alpn *only)
{
    gnutls_datum_t names[QUIC_ALPN_COUNT];
    unsigned count = 0;
    for (size_t i = 0; i < QUIC_ALPN_COUNT; i++) {
        bool wanted = only == NULL ? tls->identity->credentials[i] != NULL : *only == i;
        if (wanted)
            names[count++] = tern_gnutls_datum(tern_view_str(tls_alpn_names[i]));
    }
    unsigned flags = GNUTLS_ALPN_MANDATORY | GNUTLS_ALPN_SERVER_PRECEDENCE;
    int code = gnutls_alpn_set_protocols(tls->session, names, count, flags);
    return code == 0 ? TERN_OK : tern_gnutls_error(code);
}

/* tls_hello is called when a server has read the ClientHello: the ALPN is chosen. */
static int tls_hello(gnutls_session_t session)
{
    struct quic_tls *tls = tls_of(session);
    gnutls_datum_t name;
    if (gnutls_alpn_get_selected_protocol(session, &name) != 0)
        return GNUTLS_E_NO_APPLICATION_PROTOCOL;
    for (size_t i = 0; i < QUIC_ALPN_COUNT; i++) {
        if (!tern_view_equal(tern_gnutls_view(&name), tern_view_str(tls_alpn_names[i])))
            continue;
        bool mutual = i == QUIC_ALPN_LIBP2P;
        gnutls_certificate_server_set_request(session,
                                              mutual ? GNUTLS_CERT_REQUIRE : GNUTLS_CERT_IGNORE);
        if (tls->owner->chosen(tls->owner->self, (enum quic_alpn)i) != 0)
            return GNUTLS_E_INTERNAL_ERROR;
        tls->alpn = (enum quic_alpn)i;
        return tls_show(tls, tls->identity->credentials[i]);
    }
    return GNUTLS_E_NO_APPLICATION_PROTOCOL;
}

static tern_err tls_setup_server(struct quic_tls *tls, const struct quic_tls_options *options)
{
    gnutls_session_t session = tls->session;
    gnutls_handshake_set_post_client_hello_function(session, tls_hello);
    gnutls_certificate_send_x509_rdn_sequence(session, 1); /* names nobody */
    gnutls_db_set_cache_expiration(session, (int)(QUIC_REPLAY_EPOCH_NS / TERN_SECOND));
    if (!tls_join(session))
        return TERN_ERR_MEMORY;
    if (options->early) {
        int code = gnutls_record_set_max_early_data_size(session, UINT32_MAX);
        if (code != 0)
            return tern_gnutls_error(code);
        gnutls_anti_replay_enable(session, options->server->anti_replay);
    }
    return tls_set_alpn(tls, NULL);
}

static tern_err tls_setup_client(struct quic_tls *tls, const struct quic_tls_options *options)
{
    gnutls_session_t session = tls->session;
    if (!tls_join(session))
        return TERN_ERR_MEMORY;
    bool shows = options->alpn == QUIC_ALPN_LIBP2P;
    int code =
        shows ? tls_show(tls, options->identity->credentials[QUIC_ALPN_LIBP2P])
              : gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, options->identity->nobody);
    if (code != 0)
        return tern_gnutls_error(code);
    if (options->server_name.size > 0 &&
        gnutls_server_name_set(session, GNUTLS_NAME_DNS, options->server_name.data,
                               options->server_name.size) != 0)
        return TERN_ERR_INVALID;
    if (options->ticket.size > 0 &&
        gnutls_session_set_data(session, options->ticket.data, options->ticket.size) != 0)
        return TERN_ERR_CORRUPT;
    return tls_set_alpn(tls, &options->alpn);
}

static tern_err tls_setup(struct quic_tls *tls, const struct quic_tls_options *options)
{
    unsigned flags = options->server != NULL ? GNUTLS_SERVER : GNUTLS_CLIENT;
    flags |= GNUTLS_NO_END_OF_EARLY_DATA | GNUTLS_NO_AUTO_SEND_TICKET | GNUTLS_KEY_SHARE_TOP |
             GNUTLS_FORCE_CLIENT_CERT;
    flags |= options->early ? GNUTLS_ENABLE_EARLY_DATA : 0;
    int code = gnutls_init(&tls->session, flags);
    if (code != 0) {
        tls->session = NULL;
        return tern_gnutls_error(code);
    }
    gnutls_session_set_ptr(tls->session, &tls->ref);
    gnutls_handshake_set_hook_function(tls->session, GNUTLS_HANDSHAKE_ANY, GNUTLS_HOOK_BOTH,
                                       tls_message);
    code = gnutls_priority_set(tls->session, options->identity->priority);
    if (code != 0)
        return tern_gnutls_error(code);
    tern_err err =
        options->server != NULL ? tls_setup_server(tls, options) : tls_setup_client(tls, options);
    if (err == TERN_OK)
        ngtcp2_conn_set_tls_native_handle(tls->ng, tls->session);
    return err;
}

tern_err quic_tls_new(const struct quic_tls_options *options, struct quic_tls **tls)
{
    struct quic_tls *t = tern_mem_zalloc(options->mem, sizeof *t);
    *tls = t;
    if (t == NULL)
        return TERN_ERR_MEMORY;
    t->mem = options->mem;
    t->ref = (ngtcp2_crypto_conn_ref){.get_conn = tls_conn, .user_data = t};
    t->ng = options->ng;
    t->identity = options->identity;
    t->owner = options->owner;
    t->server = options->server;
    t->now = options->now;
    t->alpn = options->alpn;
    tern_err err = tls_setup(t, options);
    if (err != TERN_OK) {
        quic_tls_free(t);
        *tls = NULL;
    }
    return err;
}

void quic_tls_free(struct quic_tls *tls)
{
    if (tls == NULL)
        return;
    ngtcp2_conn_set_tls_native_handle(tls->ng, NULL);
    if (tls->session != NULL)
        gnutls_deinit(tls->session);
    tls_credentials_unref(tls->shown);
    tern_mem_free(tls->mem, tls, sizeof *tls);
}

int quic_tls_read(struct quic_tls *tls, ngtcp2_encryption_level level, struct tern_view bytes)
{
    int result = ngtcp2_crypto_read_write_crypto_data(tls->ng, level, bytes.data, bytes.size);
    /* What the glue could not pass on to ngtcp2 is noted here, and passes for success. */
    int code = ngtcp2_conn_get_tls_error(tls->ng);
    return code != 0 || result == 0 ? code : NGTCP2_ERR_CRYPTO;
}

tern_err quic_tls_judge(struct quic_tls *tls)
{
    if (tls->judged)
        return TERN_OK;
    unsigned count = 0;
    const gnutls_datum_t *list = gnutls_certificate_get_peers(tls->session, &count);
    if (list == NULL || count == 0)
        return TERN_ERR_NOT_FOUND;
    return count == 1 ? tls_judge_one(tls, tern_gnutls_view(&list[0])) : tls_refuse_many(tls);
}

bool quic_tls_spoken(const struct quic_tls *tls, enum quic_alpn alpn)
{
    gnutls_datum_t name;
    return gnutls_alpn_get_selected_protocol(tls->session, &name) == 0 &&
           tern_view_equal(tern_gnutls_view(&name), tern_view_str(tls_alpn_names[alpn]));
}

bool quic_tls_resumed(const struct quic_tls *tls)
{
    return gnutls_session_is_resumed(tls->session) != 0;
}

bool quic_tls_early(const struct quic_tls *tls)
{
    return (gnutls_session_get_flags(tls->session) & GNUTLS_SFLAGS_EARLY_DATA) != 0;
}

void quic_tls_send_ticket(struct quic_tls *tls)
{
    /* A session without one is as good. */
    (void)gnutls_session_ticket_send(tls->session, 1, 0);
}

bool quic_tls_ticket(struct quic_tls *tls, struct tern_writer *out)
{
    gnutls_datum_t data;
    if (gnutls_session_get_data2(tls->session, &data) != 0)
        return false;
    tern_writer_bytes(out, tern_gnutls_view(&data));
    gnutls_memset(data.data, 0, data.size);
    gnutls_free(data.data);
    return tern_writer_ok(out);
}

bool quic_tls_ticket_early(const struct quic_tls *tls)
{
    return tls->ticket_early;
}

tern_time quic_tls_ticket_lifetime(const struct quic_tls *tls)
{
    return (tern_time)tls->ticket_lifetime_s * TERN_SECOND;
}
