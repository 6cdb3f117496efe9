#include "secure/web_tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/check.h"
#include "crypto/aead.h"
#include "crypto/secret.h"
#include "secure/web_tls_internal.h"

/* Measured costs of the jobs, for the simulator's clock. */
enum { CLIENT_JOB_NS = 600000, SERVER_JOB_NS = 500000 };

enum { HOST_FLAGS = X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS };

enum { FLIGHT_OVERHEAD = 4096 }; /* all but the chain; a key share of ML-KEM has its place */

static const struct tern_channel_ops web_ops;
static bool web_control_pending(const void *self);
static void web_shut(void *self);

static tern_err web_fail(struct tern_web_channel *web, tern_err err, tern_fault fault)
{
    TERN_CHECK(err != TERN_OK && web->err == TERN_OK);
    web->err = err;
    web->fault = fault;
    return err;
}

/* ---- life ---- */

static int web_check_ip(X509 *certificate, X509_VERIFY_PARAM *param)
{
    char *ip = X509_VERIFY_PARAM_get1_ip_asc(param);
    if (ip == NULL)
        return -1;
    int good = X509_check_ip_asc(certificate, ip, 0);
    OPENSSL_free(ip);
    return good;
}

/* The job found the handshake complete. When it lacks memory, OpenSSL verifies without the name
 * that it was told to look for, so that is looked at here once more. */
static tern_err web_complete(struct tern_web_channel *web)
{
    SSL *ssl = web->ssl;
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    X509 *certificate = SSL_get0_peer_certificate(ssl);
    if (web->role == TERN_ROLE_RESPONDER || SSL_get_verify_mode(ssl) == SSL_VERIFY_NONE)
        return TERN_OK;
    if (certificate == NULL || SSL_get_verify_result(ssl) != X509_V_OK)
        return TERN_ERR_INTERNAL;
    const char *name = X509_VERIFY_PARAM_get0_host(param, 0);
    int good = name == NULL ? web_check_ip(certificate, param)
                            : X509_check_host(certificate, name, 0, HOST_FLAGS, NULL);
    ERR_clear_error();
    if (good == 1)
        return TERN_OK;
    if (good < 0)
        return TERN_ERR_MEMORY;
    web->handshake.fault = TERN_FAULT_WEB_CERTIFICATE_NAME;
    return TERN_ERR_PROTOCOL;
}

/* In the job: a step of the handshake. */
static tern_err web_run(struct tern_tls_handshake *handshake)
{
    struct tern_web_channel *web = TERN_CONTAINER_OF(handshake, struct tern_web_channel, handshake);
    TERN_TRY(tern_web_tls_shake(web->ssl, handshake));
    return handshake->done ? web_complete(web) : TERN_OK;
}

static bool host_is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

/* The name or IP in what is dialled, without brackets, port and the root's dot, as a string. False:
 * there is none. */
static bool host_name(struct tern_view host, char name[TERN_WEB_TLS_NAME_SIZE_MAX + 1])
{
    size_t port = host.size;
    while (port > 0 && host_is_digit(host.data[port - 1]))
        port--;
    if (port > 0 && port < host.size && host.data[port - 1] == ':')
        host.size = port - 1;
    if (host.size > 2 && host.data[0] == '[' && host.data[host.size - 1] == ']')
        host = tern_view_part(host, 1, host.size - 2);
    if (host.size > 1 && host.data[host.size - 1] == '.')
        host.size--;
    if (host.size == 0 || host.size > TERN_WEB_TLS_NAME_SIZE_MAX)
        return false;
    for (size_t i = 0; i < host.size; i++) {
        if (host.data[i] <= ' ' || host.data[i] > '~')
            return false;
        name[i] = (char)host.data[i];
    }
    name[host.size] = '\0';
    return true;
}

/* Whom a client asks for, and holds the certificate to. IPs are not said (RFC 6066, section 3). */
static tern_err web_ask(SSL *ssl, struct tern_view host)
{
    char name[TERN_WEB_TLS_NAME_SIZE_MAX + 1];
    if (!host_name(host, name))
        return TERN_ERR_INVALID;
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    X509_VERIFY_PARAM_set_hostflags(param, HOST_FLAGS);
    bool ip = X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1;
    ERR_clear_error();
    if (ip || (SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1))
        return TERN_OK;
    ERR_clear_error();
    return TERN_ERR_MEMORY;
}

/* The library's clock is not ours: certificates are held against what the owner says. */
static void web_set_time(SSL *ssl, tern_wall_time wall)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    if (wall == 0)
        X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_NO_CHECK_TIME);
    else
        X509_VERIFY_PARAM_set_time(param, (time_t)(wall / TERN_SECOND));
}

/* A client says whom it wants, and its first flight. */
static tern_err web_begin(struct tern_web_channel *web, const struct tern_web_tls_options *options)
{
    web_set_time(web->ssl, options->wall);
    TERN_TRY(web_ask(web->ssl, options->host));
    return tern_tls_handshake_start(&web->handshake);
}

static tern_err web_start(struct tern_web_channel *web, const struct tern_web_tls_options *options)
{
    const bool client = options->role == TERN_ROLE_INITIATOR;
    const struct tern_tls_handshake_options handshake = {
        .role = options->role,
        .mem = options->mem,
        .flight_size_max = FLIGHT_OVERHEAD + (client ? 0 : options->web->chain_size),
        .run = web_run,
        .cost_ns = client ? CLIENT_JOB_NS : SERVER_JOB_NS,
    };
    TERN_TRY(tern_tls_handshake_init(&web->handshake, &handshake));
    web->ssl = tern_web_tls_ssl_new(client ? &options->web->client : &options->web->server,
                                    &web->handshake);
    tern_err err = web->ssl == NULL ? TERN_ERR_MEMORY : TERN_OK;
    if (err == TERN_OK && client)
        err = web_begin(web, options);
    if (err != TERN_OK) {
        SSL_free(web->ssl);
        tern_tls_handshake_fini(&web->handshake);
    }
    return err;
}

tern_err tern_web_tls_new(const struct tern_web_tls_options *options, struct tern_channel *channel)
{
    if (options->role == TERN_ROLE_RESPONDER && !tern_web_tls_serves(options->web))
        return TERN_ERR_UNSUPPORTED;
    struct tern_web_channel *web = tern_mem_zalloc(options->mem, sizeof *web);
    if (web == NULL)
        return TERN_ERR_MEMORY;
    web->mem = options->mem;
    web->role = options->role;
    tern_err err = web_start(web, options);
    if (err != TERN_OK) {
        tern_mem_free(options->mem, web, sizeof *web);
        return err;
    }
    *channel = (struct tern_channel){.ops = &web_ops, .self = web};
    return TERN_OK;
}

static void web_fini(void *self)
{
    struct tern_web_channel *web = self;
    struct tern_mem *mem = web->mem;
    SSL_free(web->ssl);
    tern_tls_handshake_fini(&web->handshake);
    tern_secret_wipe(web, sizeof *web);
    tern_mem_free(mem, web, sizeof *web);
}

/* The handshake is over and its last flight sent: what we say from now on is small. Failing to get
 * less memory is no failure. */
static void web_shrink(struct tern_web_channel *web)
{
    struct tern_writer *out = &web->handshake.out;
    if (!web->open || out->size > 0 || out->capacity == TERN_WEB_TLS_SAY_MAX)
        return;
    uint8_t *room = tern_mem_alloc(web->mem, TERN_WEB_TLS_SAY_MAX);
    if (room == NULL)
        return;
    tern_mem_free(web->mem, out->data, out->capacity);
    *out = tern_writer_of(room, TERN_WEB_TLS_SAY_MAX);
}

/* ---- receiving: records ---- */

static struct tern_writer *web_say(struct tern_web_channel *web)
{
    web->handshake.pipe.out = &web->handshake.out;
    ERR_clear_error();
    return web->handshake.pipe.out;
}

/* An alert in place of the first data is a refusal, and later an end. */
static tern_err web_read_error(struct tern_web_channel *web)
{
    tern_fault fault = TERN_FAULT_NONE;
    tern_err err = tern_web_tls_record_error(&fault);
    if (fault == TERN_FAULT_TLS_REFUSED && (web->role == TERN_ROLE_RESPONDER || web->heard))
        return web_fail(web, TERN_ERR_DISCONNECTED, TERN_FAULT_TLS_ALERT);
    return web_fail(web, err, fault);
}

/* A record brought no data: an alert, a ticket, new keys; or the remote is at its end. */
static tern_err web_read_nothing(struct tern_web_channel *web, int result, uint8_t type)
{
    int error = SSL_get_error(web->ssl, result);
    if (error == SSL_ERROR_ZERO_RETURN) {
        web->ended = true;
        web->end_pending = true;
        web_shut(web); /* and so do we */
        return TERN_OK;
    }
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
        return web_read_error(web);
    if (web->renegotiates && type == TERN_TLS_HANDSHAKE)
        return web_fail(web, TERN_ERR_PROTOCOL, TERN_FAULT_TLS_RENEGOTIATION);
    /* Who sends so many without reading the answers, or so many in a row, wants us to work. */
    web->idle_records++;
    if (web->idle_records > TERN_WEB_TLS_IDLE_RECORDS_MAX || error == SSL_ERROR_WANT_WRITE)
        return web_fail(web, TERN_ERR_PROTOCOL, TERN_FAULT_TLS_USELESS_RECORDS);
    return TERN_OK;
}

/* Says at once that we go on to our next key. OpenSSL, when asked for that by the remote, would say
 * it in front of the next data, in the place where that lies. */
static tern_err web_say_update(struct tern_web_channel *web)
{
    SSL *ssl = web->ssl;
    web->records_sealed = 0;
    web_say(web);
    int result = SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
    if (result == 1)
        result = SSL_do_handshake(ssl);
    int error = SSL_get_error(ssl, result);
    web->handshake.pipe.out = NULL;
    if (result == 1)
        return TERN_OK;
    if (error == SSL_ERROR_WANT_WRITE) /* it asks for many and takes none */
        return web_fail(web, TERN_ERR_PROTOCOL, TERN_FAULT_TLS_USELESS_RECORDS);
    return web_fail(web, TERN_ERR_INTERNAL, TERN_FAULT_NONE);
}

/* What lies around the plaintext of a sealed record of TLS 1.2: a tag, and before it a nonce if it
 * is AES-GCM's (RFC 5288). TLS 1.3's OpenSSL measures by itself. */
static size_t web_overhead(const struct tern_web_channel *web)
{
    if (SSL_version(web->ssl) != TLS1_2_VERSION)
        return 0;
    int cipher = SSL_CIPHER_get_cipher_nid(SSL_get_current_cipher(web->ssl));
    return TERN_AEAD_TAG_SIZE + (cipher == NID_chacha20_poly1305 ? 0 : EVP_GCM_TLS_EXPLICIT_IV_LEN);
}

/* Opens a whole record. Its plaintext is written where it lay itself, which is longer. Of one that
 * is too short to be sealed some versions of OpenSSL say that they have failed. */
static tern_err web_open_record(struct tern_web_channel *web, struct tern_chunk *chunk,
                                struct tern_span record)
{
    struct tern_tls_pipe *pipe = &web->handshake.pipe;
    uint8_t type = record.data[0];
    size_t got = 0;
    if (record.size < TERN_TLS_HEADER_SIZE + web_overhead(web))
        return web_fail(web, TERN_ERR_BAD_MAC, TERN_FAULT_TLS_RECORD_MAC);
    web_say(web);
    pipe->in[0] = tern_view_of(record.data, record.size);
    int result = SSL_read_ex(web->ssl, record.data, record.size, &got);
    pipe->out = NULL;
    if (result != 1) {
        TERN_TRY(web_read_nothing(web, result, type));
        bool asked = SSL_get_key_update_type(web->ssl) != SSL_KEY_UPDATE_NONE;
        return asked && !web->shut ? web_say_update(web) : TERN_OK;
    }
    TERN_CHECK(got > 0 && got <= record.size && pipe->in[0].size == 0);
    web->idle_records = 0;
    web->heard = true;
    web->data = (struct tern_slice){.chunk = chunk, .view = tern_view_of(record.data, got)};
    web->data_pending = true;
    return TERN_OK;
}

/* Where the input may be written: recv's contract says that it is changed in place. */
static uint8_t *web_writable(struct tern_slice in, const uint8_t *at)
{
    if (in.chunk != NULL)
        return in.chunk->data + (at - in.chunk->data);
    return (uint8_t *)(uintptr_t)at;
}

static size_t web_recv_records(struct tern_web_channel *web, struct tern_slice in)
{
    struct tern_slice record;
    size_t used = 0;
    tern_err err = tern_tls_handshake_record(&web->handshake, in.view, &used, &record);
    if (err != TERN_OK) {
        web_fail(web, err, web->handshake.fault);
        return used;
    }
    if (record.view.size == 0)
        return used;
    struct tern_span span = {.size = record.view.size};
    bool in_place = record.chunk == NULL;
    span.data = in_place ? web_writable(in, record.view.data) : record.chunk->data;
    TERN_IGNORE(web_open_record(web, in_place ? in.chunk : record.chunk, span)); /* it sticks */
    return used;
}

/* ---- receiving: the seam ---- */

static bool web_is_busy(const struct tern_web_channel *web)
{
    if (web->done_pending || web->data_pending || web->end_pending)
        return true;
    return !web->open && web->handshake.step != TERN_TLS_WAIT;
}

static size_t web_recv_some(struct tern_web_channel *web, struct tern_slice in)
{
    size_t took = 0;
    if (web->skip > 0) {
        took = tern_min_size(web->skip, in.view.size);
        web->skip -= took;
        return took;
    }
    if (web->open)
        return web_recv_records(web, in);
    tern_err err = tern_tls_handshake_recv(&web->handshake, in.view, &took);
    if (err != TERN_OK)
        web_fail(web, err, web->handshake.fault);
    return took;
}

static tern_err web_recv(void *self, tern_time now, struct tern_slice in, size_t *used)
{
    struct tern_web_channel *web = self;
    (void)now;
    *used = 0;
    while (*used < in.view.size && web->err == TERN_OK && !web_is_busy(web)) {
        struct tern_slice rest = in;
        rest.view = tern_view_part(in.view, *used, in.view.size - *used);
        /* What follows close_notify is nobody's. */
        *used += web->ended ? rest.view.size : web_recv_some(web, rest);
    }
    return web->err;
}

static bool web_next(void *self, struct tern_channel_event *event)
{
    struct tern_web_channel *web = self;
    *event = (struct tern_channel_event){.kind = TERN_CHANNEL_JOB};
    if (web->handshake.step == TERN_TLS_JOB_READY && web->err == TERN_OK) {
        web->handshake.step = TERN_TLS_JOB_AWAY;
        event->job = &web->handshake.job;
        return true;
    }
    if (web->done_pending) {
        web->done_pending = false;
        event->kind = TERN_CHANNEL_HANDSHAKE_DONE;
        return true;
    }
    if (web->data_pending) {
        web->data_pending = false;
        event->kind = TERN_CHANNEL_DATA;
        event->data = web->data;
        return true;
    }
    if (web->end_pending) {
        web->end_pending = false;
        event->kind = TERN_CHANNEL_END;
        return true;
    }
    return false;
}

static tern_err web_job_done(void *self, tern_time now, struct tern_job *job)
{
    struct tern_web_channel *web = self;
    (void)now;
    TERN_CHECK(job == &web->handshake.job);
    tern_err err = tern_tls_handshake_settle(&web->handshake);
    if (err != TERN_OK)
        return web_fail(web, err, web->handshake.fault);
    TERN_CHECK(web->skip == 0);
    web->skip = web->handshake.skip;
    if (web->handshake.step != TERN_TLS_COMPLETE)
        return TERN_OK;
    web->open = true;
    web->done_pending = true;
    web->renegotiates = SSL_version(web->ssl) < TLS1_3_VERSION;
    web_shrink(web);
    return TERN_OK;
}

/* ---- sending ---- */

static bool web_control_pending(const void *self)
{
    const struct tern_web_channel *web = self;
    return tern_tls_handshake_pending(&web->handshake);
}

static void web_control(void *self, tern_time now, struct tern_writer *out)
{
    struct tern_web_channel *web = self;
    (void)now;
    if (!web_control_pending(web))
        return;
    tern_tls_handshake_send(&web->handshake, out);
    web_shrink(web);
}

static struct tern_span web_seal_begin(void *self, struct tern_writer *out)
{
    struct tern_web_channel *web = self;
    size_t left = tern_writer_left(out);
    if (web->err != TERN_OK || !web->open || web->shut || web_control_pending(web) ||
        out->overflow || left < TERN_WEB_TLS_OVERHEAD_MAX + TERN_WEB_TLS_ROOM_MIN)
        return (struct tern_span){.data = NULL};
    return (struct tern_span){
        .data = out->data + out->size,
        .size = tern_min_size(left - TERN_WEB_TLS_OVERHEAD_MAX, TERN_WEB_TLS_PLAINTEXT_MAX),
    };
}

/* Has a key been used for long? Then we go on to the next (RFC 8446, section 5.5). */
static void web_consider_update(struct tern_web_channel *web)
{
    if (++web->records_sealed < TERN_WEB_TLS_KEY_RECORDS_MAX || web->renegotiates)
        return;
    TERN_IGNORE(web_say_update(web)); /* it sticks */
}

/* OpenSSL copies the whole plaintext before it writes, so that both may be in one place. */
static void web_seal_end(void *self, struct tern_writer *out, size_t size)
{
    struct tern_web_channel *web = self;
    size_t before = out->size;
    size_t wrote = 0;
    if (size == 0)
        return;
    TERN_CHECK(web->open && web->err == TERN_OK && !web->shut);
    TERN_CHECK(size <= TERN_WEB_TLS_PLAINTEXT_MAX);
    ERR_clear_error();
    web->handshake.pipe.out = out;
    int result = SSL_write_ex(web->ssl, out->data + out->size, size, &wrote);
    web->handshake.pipe.out = NULL;
    if (result == 1 && wrote == size) {
        TERN_CHECK(tern_writer_ok(out) && out->size - before <= size + TERN_WEB_TLS_OVERHEAD_MAX);
        web_consider_update(web);
        return;
    }
    /* The plaintext must not leave. The record is taken back, and the channel is over. */
    out->size = before;
    tern_fault fault = TERN_FAULT_NONE;
    web_fail(web, tern_web_tls_error(&fault), TERN_FAULT_NONE);
}

static void web_shut(void *self)
{
    struct tern_web_channel *web = self;
    if (web->shut || !web->open || web->err != TERN_OK)
        return;
    web->shut = true;
    web_say(web);
    TERN_IGNORE(SSL_shutdown(web->ssl)); /* 0: ours is said, theirs has not come */
    web->handshake.pipe.out = NULL;
    ERR_clear_error();
}

/* ---- telling ---- */

static tern_fault web_fault(const void *self)
{
    const struct tern_web_channel *web = self;
    return web->fault;
}

static const struct tern_channel_ops web_ops = {
    .protocol_id = "https",
    .recv = web_recv,
    .next = web_next,
    .job_done = web_job_done,
    .control = web_control,
    .control_pending = web_control_pending,
    .seal_begin = web_seal_begin,
    .seal_end = web_seal_end,
    .shut = web_shut,
    .fault = web_fault,
    .fini = web_fini,
};
