/* What libp2p asks of a TLS handshake with one peer, which GnuTLS does in a job. */
#include <errno.h>

#include <gnutls/gnutls.h>

#include "base/check.h"
#include "crypto/secret.h"
#include "secure/gnutls.h"
#include "secure/tls_internal.h"

/* Measured costs of the jobs, for the simulator's clock; see bench/tls.c. A responder's two are 90
 * and 160 us. */
enum { PEER_INITIATOR_JOB_NS = 225000, PEER_RESPONDER_JOB_NS = 125000 };

enum {
    PEER_FLIGHT_OVERHEAD = 2048, /* all but the certificate and the names of muxers */
    /* Of a message. One certificate too many is still read, to be told as what it is. */
    PEER_MESSAGE_SIZE_MAX = 2 * TERN_CERTIFICATE_SIZE_MAX + 1024,
};

#define PEER_ALPN_LIBP2P "libp2p"

/* ---- the remote's certificate, in the job ---- */

static tern_err peer_refuse(struct tern_tls_peer *peer, tern_err err, tern_fault fault)
{
    peer->handshake.err = err;
    peer->handshake.fault = fault;
    return err;
}

/* Holds the remote's certificate to the profile, and learns who it is. */
static tern_err peer_check(struct tern_tls_peer *peer, struct tern_view der)
{
    tern_fault fault;
    tern_err err = tern_certificate_check(der, peer->wall, &peer->remote_key, &fault);
    if (err != TERN_OK)
        return peer_refuse(peer, err, fault);
    peer->has_remote = true;
    tern_public_key_peer_id(&peer->remote_key, &peer->remote_id);
    if (!tern_peer_id_is_none(&peer->expected) &&
        !tern_peer_id_equal(&peer->expected, &peer->remote_id))
        return peer_refuse(peer, TERN_ERR_PEER_MISMATCH, TERN_FAULT_TLS_WRONG_PEER);
    return TERN_OK;
}

static tern_err peer_check_message(struct tern_tls_peer *peer, struct tern_view message)
{
    struct tern_view der;
    tern_err err = tern_gnutls_certificate(message, &der);
    if (err == TERN_ERR_NOT_FOUND)
        return TERN_OK; /* GnuTLS says so */
    if (err != TERN_OK || peer->has_remote)
        return peer_refuse(peer, TERN_ERR_PROTOCOL, TERN_FAULT_TLS_CERTIFICATES);
    return peer_check(peer, der);
}

/* ---- what GnuTLS calls in the job ---- */

/* Sees the header of a record. Where all are encrypted, GnuTLS does not look at their types (RFC
 * 8446, section 5.2). An alert in the clear is of a peer that found no keys for us. */
static tern_err peer_see_header(struct tern_tls_peer *peer, const uint8_t *header)
{
    peer->record_left = ((size_t)header[3] << 8) | header[4];
    if (!peer->encrypted || header[0] == TERN_TLS_APPLICATION_DATA ||
        header[0] == TERN_TLS_CHANGE_CIPHER_SPEC)
        return TERN_OK;
    if (header[0] == TERN_TLS_ALERT)
        return peer_refuse(peer, TERN_ERR_REFUSED, TERN_FAULT_TLS_REFUSED);
    return peer_refuse(peer, TERN_ERR_PROTOCOL, TERN_FAULT_TLS_RECORD_TYPE);
}

/* GnuTLS reads a header, then the record, and no more than that. */
static ssize_t peer_pull(gnutls_transport_ptr_t self, void *data, size_t size)
{
    struct tern_tls_peer *peer = self;
    bool header = peer->record_left == 0;
    size_t got = tern_tls_pipe_read(&peer->handshake.pipe, data, size);
    if (got == 0) {
        gnutls_transport_set_errno(peer->session, EAGAIN);
        return -1;
    }
    TERN_CHECK(header ? got == TERN_TLS_HEADER_SIZE : got <= peer->record_left);
    if (!header) {
        peer->record_left -= got;
        return (ssize_t)got;
    }
    if (peer_see_header(peer, data) == TERN_OK)
        return (ssize_t)got;
    gnutls_transport_set_errno(peer->session, EIO);
    return -1;
}

static ssize_t peer_push(gnutls_transport_ptr_t self, const void *data, size_t size)
{
    struct tern_tls_peer *peer = self;
    size_t took = tern_tls_pipe_write(&peer->handshake.pipe, tern_view_of(data, size));
    if (took > 0)
        return (ssize_t)took;
    gnutls_transport_set_errno(peer->session, EAGAIN);
    return -1;
}

/* The remote's certificate is judged before GnuTLS reads it or lifts a finger for its key. */
static int peer_message(gnutls_session_t session, unsigned kind, unsigned when, unsigned incoming,
                        const gnutls_datum_t *message)
{
    struct tern_tls_peer *peer = gnutls_session_get_ptr(session);
    TERN_CHECK(kind == GNUTLS_HANDSHAKE_CERTIFICATE_PKT && when == GNUTLS_HOOK_PRE);
    if (!incoming || peer_check_message(peer, tern_gnutls_view(message)) == TERN_OK)
        return 0;
    return GNUTLS_E_CERTIFICATE_ERROR;
}

static void peer_keep_secret(struct tern_tls_peer *peer, enum tern_role of, const void *secret,
                             size_t size)
{
    if (secret == NULL)
        return;
    TERN_CHECK(size <= TERN_TLS_SECRET_SIZE_MAX);
    memcpy(peer->secrets[of], secret, size);
    peer->secret_sizes[of] = size;
}

static int peer_secrets(gnutls_session_t session, gnutls_record_encryption_level_t level,
                        const void *theirs, const void *ours, size_t size)
{
    struct tern_tls_peer *peer = gnutls_session_get_ptr(session);
    enum tern_role role = peer->handshake.role;
    peer->encrypted = true;
    if (level != GNUTLS_ENCRYPTION_LEVEL_APPLICATION)
        return 0;
    peer_keep_secret(peer, role, ours, size);
    peer_keep_secret(peer, (enum tern_role)(1 - role), theirs, size);
    return 0;
}

/* ---- the end of the handshake, in the job ---- */

static tern_err peer_take_alpn(struct tern_tls_peer *peer)
{
    gnutls_datum_t name;
    if (gnutls_alpn_get_selected_protocol(peer->session, &name) != 0)
        return TERN_OK; /* the remote does not know it */
    for (size_t i = 0; i < peer->muxers_count; i++) {
        if (!tern_view_equal(peer->muxers[i], tern_gnutls_view(&name)))
            continue;
        peer->muxer = i;
        return TERN_OK;
    }
    bool fallback = tern_view_equal(tern_gnutls_view(&name), tern_view_str(PEER_ALPN_LIBP2P));
    return fallback ? TERN_OK : TERN_ERR_INTERNAL;
}

/* The suite that was agreed on; NULL: none that was asked for. */
static const struct tern_tls_suite *peer_suite(const struct tern_tls_peer *peer)
{
    static const struct {
        gnutls_cipher_algorithm_t cipher;
        enum tern_tls_suite_id id;
    } suites[] = {
        {GNUTLS_CIPHER_AES_128_GCM, TERN_TLS_AES_128_GCM_SHA256},
        {GNUTLS_CIPHER_AES_256_GCM, TERN_TLS_AES_256_GCM_SHA384},
        {GNUTLS_CIPHER_CHACHA20_POLY1305, TERN_TLS_CHACHA20_POLY1305_SHA256},
    };
    gnutls_cipher_algorithm_t cipher = gnutls_cipher_get(peer->session);
    for (size_t i = 0; i < TERN_COUNT_OF(suites); i++)
        if (suites[i].cipher == cipher)
            return tern_tls_suite_find((uint16_t)suites[i].id);
    return NULL;
}

static tern_err peer_take_keys(struct tern_tls_peer *peer)
{
    enum tern_role role = peer->handshake.role;
    peer->suite = peer_suite(peer);
    if (peer->suite == NULL || peer->secret_sizes[0] != peer->suite->secret_size ||
        peer->secret_sizes[1] != peer->suite->secret_size)
        return TERN_ERR_INTERNAL;
    tern_tls_keys_init(&peer->send, peer->suite, peer->secrets[role]);
    tern_tls_keys_init(&peer->receive, peer->suite, peer->secrets[1 - role]);
    tern_secret_wipe(peer->secrets, sizeof peer->secrets);
    return TERN_OK;
}

static tern_err peer_complete(struct tern_tls_peer *peer)
{
    TERN_TRY(peer_take_alpn(peer));
    TERN_TRY(peer_take_keys(peer));
    if (!peer->has_remote)
        return TERN_ERR_INTERNAL;
    size_t size = gnutls_record_get_max_size(peer->session);
    peer->plaintext_max = (uint16_t)tern_min_size(size, TERN_TLS_PLAINTEXT_MAX);
    gnutls_deinit(peer->session);
    peer->session = NULL;
    return TERN_OK;
}

/* ---- errors ---- */

struct peer_error {
    int code;
    tern_err err;
    tern_fault fault;
};

/* What GnuTLS says of the other end, and of us. What is not here broke the rules in some other way.
 */
static const struct peer_error peer_errors[] = {
    {GNUTLS_E_MEMORY_ERROR, TERN_ERR_MEMORY, TERN_FAULT_NONE},
    {GNUTLS_E_AGAIN, TERN_ERR_INTERNAL, TERN_FAULT_NONE}, /* a flight larger than we said */
    {GNUTLS_E_INTERNAL_ERROR, TERN_ERR_INTERNAL, TERN_FAULT_NONE},
    {GNUTLS_E_RANDOM_FAILED, TERN_ERR_INTERNAL, TERN_FAULT_NONE},
    {GNUTLS_E_PK_SIGN_FAILED, TERN_ERR_INTERNAL, TERN_FAULT_NONE},
    {GNUTLS_E_UNSUPPORTED_VERSION_PACKET, TERN_ERR_UNSUPPORTED, TERN_FAULT_TLS_VERSION},
    {GNUTLS_E_NO_CIPHER_SUITES, TERN_ERR_UNSUPPORTED, TERN_FAULT_TLS_NOTHING_IN_COMMON},
    {GNUTLS_E_NO_COMMON_KEY_SHARE, TERN_ERR_UNSUPPORTED, TERN_FAULT_TLS_NOTHING_IN_COMMON},
    {GNUTLS_E_INCOMPATIBLE_SIG_WITH_KEY, TERN_ERR_UNSUPPORTED, TERN_FAULT_TLS_NOTHING_IN_COMMON},
    {GNUTLS_E_INSUFFICIENT_CREDENTIALS, TERN_ERR_UNSUPPORTED, TERN_FAULT_TLS_NOTHING_IN_COMMON},
    {GNUTLS_E_NO_CERTIFICATE_FOUND, TERN_ERR_PROTOCOL, TERN_FAULT_TLS_NO_CERTIFICATE},
    {GNUTLS_E_CERTIFICATE_REQUIRED, TERN_ERR_PROTOCOL, TERN_FAULT_TLS_NO_CERTIFICATE},
    {GNUTLS_E_NO_APPLICATION_PROTOCOL, TERN_ERR_NO_PROTOCOL, TERN_FAULT_TLS_ALPN},
    {GNUTLS_E_PK_SIG_VERIFY_FAILED, TERN_ERR_BAD_SIGNATURE, TERN_FAULT_TLS_BAD_PROOF},
    {GNUTLS_E_FATAL_ALERT_RECEIVED, TERN_ERR_REFUSED, TERN_FAULT_TLS_REFUSED},
    {GNUTLS_E_WARNING_ALERT_RECEIVED, TERN_ERR_REFUSED, TERN_FAULT_TLS_REFUSED},
    {GNUTLS_E_SESSION_EOF, TERN_ERR_REFUSED, TERN_FAULT_TLS_REFUSED}, /* close_notify */
    {GNUTLS_E_PREMATURE_TERMINATION, TERN_ERR_REFUSED, TERN_FAULT_TLS_REFUSED},
};

static const struct peer_error *peer_find_error(int code)
{
    static const struct peer_error otherwise = {0, TERN_ERR_PROTOCOL, TERN_FAULT_TLS_HANDSHAKE};
    for (size_t i = 0; i < TERN_COUNT_OF(peer_errors); i++)
        if (peer_errors[i].code == code)
            return &peer_errors[i];
    return &otherwise;
}

/* GnuTLS takes a client that knows no TLS 1.3 for one of TLS 1.2, and then finds no cipher for it.
 */
static void peer_judge_error(struct tern_tls_peer *peer, int code)
{
    const struct peer_error *error = peer_find_error(code);
    bool old = gnutls_protocol_get_version(peer->session) != GNUTLS_TLS1_3;
    tern_fault fault = error->fault;
    if (fault == TERN_FAULT_TLS_NOTHING_IN_COMMON && old)
        fault = TERN_FAULT_TLS_VERSION;
    TERN_IGNORE(peer_refuse(peer, error->err, fault));
}

/* What the remote is told by its alert. */
static gnutls_alert_description_t peer_alert(const struct tern_tls_peer *peer, int code)
{
    tern_fault fault = peer->handshake.fault;
    if (fault == TERN_FAULT_NONE)
        return GNUTLS_A_INTERNAL_ERROR;
    if (fault == TERN_FAULT_TLS_VERSION)
        return GNUTLS_A_PROTOCOL_VERSION;
    if (fault == TERN_FAULT_TLS_NOTHING_IN_COMMON)
        return GNUTLS_A_HANDSHAKE_FAILURE;
    if (fault == TERN_FAULT_TLS_RECORD_TYPE)
        return GNUTLS_A_UNEXPECTED_MESSAGE;
    if (fault == TERN_FAULT_CERTIFICATE_EXPIRED)
        return GNUTLS_A_CERTIFICATE_EXPIRED;
    if (fault == TERN_FAULT_CERTIFICATE_KEY || fault == TERN_FAULT_CERTIFICATE_ALGORITHM)
        return GNUTLS_A_UNSUPPORTED_CERTIFICATE;
    if (fault == TERN_FAULT_TLS_NO_CERTIFICATE && peer->handshake.role == TERN_ROLE_RESPONDER)
        return GNUTLS_A_CERTIFICATE_REQUIRED;
    return (gnutls_alert_description_t)gnutls_error_to_alert(code, NULL);
}

/* A step of the handshake. */
static tern_err peer_run(struct tern_tls_handshake *handshake)
{
    struct tern_tls_peer *peer = TERN_CONTAINER_OF(handshake, struct tern_tls_peer, handshake);
    int code = gnutls_handshake(peer->session);
    if (code == 0) {
        handshake->done = true;
        return peer_complete(peer);
    }
    if (code == GNUTLS_E_AGAIN && gnutls_record_get_direction(peer->session) == 0)
        return TERN_OK;
    if (handshake->err == TERN_OK) /* else a callback knows better */
        peer_judge_error(peer, code);
    /* That it cannot be told is no new error. */
    if (handshake->fault != TERN_FAULT_TLS_REFUSED)
        (void)gnutls_alert_send(peer->session, GNUTLS_AL_FATAL, peer_alert(peer, code));
    return handshake->err;
}

/* ---- life ---- */

/* The names by which a muxer is agreed on; a responder takes the first of the initiator's list that
 * it has too. Who knows none of ours is refused, unless it does not know ALPN. */
static int peer_set_alpn(struct tern_tls_peer *peer)
{
    gnutls_datum_t names[TERN_TLS_MUXERS_MAX + 1];
    for (size_t i = 0; i < peer->muxers_count; i++)
        names[i] = tern_gnutls_datum(peer->muxers[i]);
    names[peer->muxers_count] = tern_gnutls_datum(tern_view_str(PEER_ALPN_LIBP2P));
    return gnutls_alpn_set_protocols(peer->session, names, (unsigned)peer->muxers_count + 1,
                                     GNUTLS_ALPN_MANDATORY);
}

static int peer_set_up(struct tern_tls_peer *peer, const struct tern_tls_identity *identity)
{
    gnutls_session_t session = peer->session;
    gnutls_session_set_ptr(session, peer);
    gnutls_transport_set_ptr(session, peer);
    gnutls_transport_set_pull_function(session, peer_pull);
    gnutls_transport_set_push_function(session, peer_push);
    gnutls_handshake_set_timeout(session, 0); /* it reads no clock */
    gnutls_handshake_set_max_packet_length(session, PEER_MESSAGE_SIZE_MAX);
    gnutls_handshake_set_secret_function(session, peer_secrets);
    gnutls_handshake_set_hook_function(session, GNUTLS_HANDSHAKE_CERTIFICATE_PKT, GNUTLS_HOOK_PRE,
                                       peer_message);
    if (peer->handshake.role == TERN_ROLE_RESPONDER) {
        gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUIRE);
        gnutls_certificate_send_x509_rdn_sequence(session, 1); /* names nobody */
    }
    int code = gnutls_priority_set(session, identity->priority);
    if (code == 0)
        code = tern_gnutls_credentials_set(session, identity->credentials);
    return code == 0 ? peer_set_alpn(peer) : code;
}

/* Tickets would be of no use, and of the extensions that come by default libp2p has none. */
static tern_err peer_make_session(struct tern_tls_peer *peer,
                                  const struct tern_tls_identity *identity)
{
    const unsigned common = GNUTLS_NONBLOCK | GNUTLS_NO_TICKETS | GNUTLS_NO_AUTO_SEND_TICKET |
                            GNUTLS_NO_EXTENSIONS | GNUTLS_KEY_SHARE_TOP | GNUTLS_FORCE_CLIENT_CERT;
    bool initiator = peer->handshake.role == TERN_ROLE_INITIATOR;
    int code = gnutls_init(&peer->session, common | (initiator ? GNUTLS_CLIENT : GNUTLS_SERVER));
    if (code != 0) {
        peer->session = NULL;
        return tern_gnutls_error(code);
    }
    code = peer_set_up(peer, identity);
    return code == 0 ? TERN_OK : tern_gnutls_error(code);
}

static size_t peer_flight_size(const struct tern_tls_options *options)
{
    size_t size = PEER_FLIGHT_OVERHEAD + options->identity->credentials->certificate_size_max;
    for (size_t i = 0; i < options->muxers_count; i++)
        size += 1 + options->muxers[i].size;
    return size;
}

static void peer_fill(struct tern_tls_peer *peer, const struct tern_tls_options *options)
{
    if (options->expected_peer != NULL)
        peer->expected = *options->expected_peer;
    peer->wall = options->wall;
    peer->muxer = SIZE_MAX;
    peer->muxers_count = options->muxers_count;
    for (size_t i = 0; i < options->muxers_count; i++) {
        peer->muxers[i] = options->muxers[i];
        TERN_CHECK(peer->muxers[i].size > 0 &&
                   peer->muxers[i].size <= TERN_TLS_MUXER_NAME_SIZE_MAX);
    }
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
                                             .flight_size_max = peer_flight_size(options),
                                             .run = peer_run,
                                             .cost_ns = initiator ? PEER_INITIATOR_JOB_NS
                                                                  : PEER_RESPONDER_JOB_NS});
    if (err != TERN_OK) {
        tern_mem_free(options->mem, peer, sizeof *peer);
        return err;
    }
    peer_fill(peer, options);
    err = peer_make_session(peer, options->identity);
    if (err == TERN_OK && initiator)
        err = tern_tls_handshake_start(&peer->handshake);
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
    gnutls_deinit(peer->session);
    if (peer->has_remote)
        tern_public_key_fini(&peer->remote_key);
    tern_secret_wipe(peer, sizeof *peer);
    tern_mem_free(mem, peer, sizeof *peer);
}
