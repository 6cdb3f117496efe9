#include "secure/tls_handshake.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/check.h"
#include "crypto/secret.h"

/* ---- memory as a BIO ---- */

static int bio_read(BIO *bio, char *data, size_t size, size_t *got)
{
    struct tern_tls_pipe *pipe = BIO_get_data(bio);
    struct tern_view *in = &pipe->in[pipe->in[0].size == 0];
    BIO_clear_retry_flags(bio);
    *got = tern_min_size(size, in->size);
    if (*got == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    memcpy(data, in->data, *got);
    *in = tern_view_part(*in, *got, in->size - *got);
    return 1;
}

static int bio_write(BIO *bio, const char *data, size_t size, size_t *took)
{
    struct tern_tls_pipe *pipe = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    *took = pipe->out == NULL ? 0 : tern_min_size(size, tern_writer_left(pipe->out));
    if (*took == 0) {
        BIO_set_retry_write(bio);
        return 0;
    }
    tern_writer_bytes(pipe->out, tern_view_of(data, *took));
    return 1;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static BIO *bio_new(const struct tern_tls_context *context, struct tern_tls_pipe *pipe)
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

tern_err tern_tls_context_init(struct tern_tls_context *context)
{
    context->ssl = SSL_CTX_new(TLS_method());
    context->bio = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "tern");
    if (context->ssl == NULL || context->bio == NULL ||
        BIO_meth_set_read_ex(context->bio, bio_read) != 1 ||
        BIO_meth_set_write_ex(context->bio, bio_write) != 1 ||
        BIO_meth_set_ctrl(context->bio, bio_ctrl) != 1 ||
        SSL_CTX_set_num_tickets(context->ssl, 0) != 1 ||
        SSL_CTX_set_max_early_data(context->ssl, 0) != 1) {
        tern_tls_context_fini(context);
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

void tern_tls_context_fini(struct tern_tls_context *context)
{
    SSL_CTX_free(context->ssl);
    BIO_meth_free(context->bio);
    *context = (struct tern_tls_context){.ssl = NULL};
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

tern_err tern_tls_error(tern_fault *fault)
{
    return error_find(&error_table, fault);
}

tern_err tern_tls_record_error(tern_fault *fault)
{
    return error_find(&error_record_table, fault);
}

/* ---- the job ---- */

/* What is unsent of our flight will not be sent. */
static void handshake_drop_output(struct tern_tls_handshake *hs)
{
    hs->out.size = hs->out_sent;
}

static tern_err handshake_complete(struct tern_tls_handshake *hs)
{
    tern_err err = hs->complete(hs);
    hs->done = err == TERN_OK;
    if (err != TERN_OK)
        handshake_drop_output(hs);
    return err;
}

static tern_err handshake_run(struct tern_tls_handshake *hs)
{
    ERR_clear_error();
    int result = SSL_do_handshake(hs->ssl);
    if (result == 1)
        return handshake_complete(hs);
    int error = SSL_get_error(hs->ssl, result);
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
    return tern_tls_error(&hs->fault);
}

static void handshake_step(struct tern_tls_handshake *hs)
{
    hs->pipe.out = &hs->out;
    hs->err = handshake_run(hs);
    hs->pipe.out = NULL;
}

static void handshake_job_run(struct tern_job *job)
{
    handshake_step(TERN_CONTAINER_OF(job, struct tern_tls_handshake, job));
}

/* ---- life ---- */

static bool handshake_make_ssl(struct tern_tls_handshake *hs,
                               const struct tern_tls_context *context)
{
    hs->ssl = SSL_new(context->ssl);
    BIO *bio = hs->ssl == NULL ? NULL : bio_new(context, &hs->pipe);
    if (bio == NULL)
        return false;
    SSL_set_bio(hs->ssl, bio, bio);
    if (hs->role == TERN_ROLE_INITIATOR)
        SSL_set_connect_state(hs->ssl);
    else
        SSL_set_accept_state(hs->ssl);
    return SSL_set_app_data(hs->ssl, hs) == 1;
}

tern_err tern_tls_handshake_init(struct tern_tls_handshake *hs,
                                 const struct tern_tls_handshake_options *options)
{
    *hs = (struct tern_tls_handshake){
        .job = {.run = handshake_job_run, .cost_ns = options->cost_ns},
        .mem = options->mem,
        .role = options->role,
        .complete = options->complete,
    };
    tern_list_init(&hs->job.link);
    uint8_t *room = tern_mem_alloc(options->mem, options->flight_size_max);
    if (room != NULL) {
        hs->out = tern_writer_of(room, options->flight_size_max);
        if (handshake_make_ssl(hs, options->context))
            return TERN_OK;
    }
    tern_tls_handshake_fini(hs);
    ERR_clear_error();
    return TERN_ERR_MEMORY;
}

tern_err tern_tls_handshake_start(struct tern_tls_handshake *hs)
{
    TERN_CHECK(hs->role == TERN_ROLE_INITIATOR && hs->step == TERN_TLS_WAIT);
    handshake_step(hs);
    return hs->err;
}

static void handshake_drop_input(struct tern_tls_handshake *hs)
{
    tern_chunk_unref(hs->part);
    tern_chunk_unref(hs->rest);
    hs->part = NULL;
    hs->rest = NULL;
    hs->pipe = (struct tern_tls_pipe){.out = NULL};
}

void tern_tls_handshake_fini(struct tern_tls_handshake *hs)
{
    TERN_CHECK(hs->step != TERN_TLS_JOB_AWAY);
    handshake_drop_input(hs);
    SSL_free(hs->ssl);
    tern_mem_free(hs->mem, hs->out.data, hs->out.capacity);
    tern_secret_wipe(hs, sizeof *hs);
}

/* ---- what comes ---- */

static size_t header_length(const uint8_t header[TERN_TLS_HEADER_SIZE])
{
    return ((size_t)header[3] << 8) | header[4];
}

static tern_err handshake_refuse(struct tern_tls_handshake *hs, tern_err err, tern_fault fault)
{
    hs->fault = fault;
    return err;
}

/* Judges a record by its header. The first one is a message of the handshake, or an alert. */
static tern_err handshake_judge(struct tern_tls_handshake *hs,
                                const uint8_t header[TERN_TLS_HEADER_SIZE])
{
    uint8_t type = header[0];
    bool known = type >= TERN_TLS_CHANGE_CIPHER_SPEC && type <= TERN_TLS_APPLICATION_DATA;
    bool first = type == TERN_TLS_HANDSHAKE || type == TERN_TLS_ALERT;
    if (!known || header[1] != 3 || header_length(header) == 0 || (!hs->heard && !first))
        return handshake_refuse(hs, TERN_ERR_PROTOCOL, TERN_FAULT_TLS_NOT_TLS);
    if (header_length(header) > TERN_TLS_CIPHERTEXT_MAX)
        return handshake_refuse(hs, TERN_ERR_TOO_LARGE, TERN_FAULT_TLS_RECORD_TOO_LARGE);
    return TERN_OK;
}

/* The first record of the remote is there: is it another initiator's ClientHello? */
static tern_err handshake_first(struct tern_tls_handshake *hs, const uint8_t *record)
{
    enum { CLIENT_HELLO = 1 };
    if (hs->heard)
        return TERN_OK;
    hs->heard = true;
    bool hello = record[0] == TERN_TLS_HANDSHAKE && record[TERN_TLS_HEADER_SIZE] == CLIENT_HELLO;
    if (hs->role == TERN_ROLE_INITIATOR && hello)
        return handshake_refuse(hs, TERN_ERR_PROTOCOL, TERN_FAULT_TLS_BOTH_INITIATE);
    return TERN_OK;
}

/* Takes one byte of a record's header, and makes room for the record when it is known. */
static tern_err handshake_header_byte(struct tern_tls_handshake *hs, uint8_t byte)
{
    hs->header[hs->header_bytes++] = byte;
    if (hs->header_bytes < TERN_TLS_HEADER_SIZE)
        return TERN_OK;
    TERN_TRY(handshake_judge(hs, hs->header));
    TERN_CHECK(hs->part == NULL);
    hs->part = tern_chunk_new(hs->mem, TERN_TLS_HEADER_SIZE + header_length(hs->header));
    if (hs->part == NULL)
        return TERN_ERR_MEMORY;
    memcpy(hs->part->data, hs->header, TERN_TLS_HEADER_SIZE);
    hs->part->size = TERN_TLS_HEADER_SIZE;
    return TERN_OK;
}

static bool handshake_part_is_whole(const struct tern_tls_handshake *hs)
{
    return hs->part != NULL && hs->part->size == TERN_TLS_HEADER_SIZE + header_length(hs->header);
}

/* Adds input to the record that comes in part; returns how much of it. */
static size_t handshake_assemble(struct tern_tls_handshake *hs, struct tern_view in, tern_err *err)
{
    size_t used = 0;
    while (*err == TERN_OK && used < in.size && hs->header_bytes < TERN_TLS_HEADER_SIZE)
        *err = handshake_header_byte(hs, in.data[used++]);
    if (*err != TERN_OK || hs->part == NULL)
        return used;
    size_t whole = TERN_TLS_HEADER_SIZE + header_length(hs->header);
    size_t size = tern_min_size(whole - hs->part->size, in.size - used);
    tern_copy(hs->part->data + hs->part->size, in.data + used, size);
    hs->part->size += (uint32_t)size;
    if (hs->part->size == whole)
        *err = handshake_first(hs, hs->part->data);
    return used + size;
}

/* How many bytes at the front of the input are whole records, up to the limit. */
static size_t handshake_whole(struct tern_tls_handshake *hs, struct tern_view in, tern_err *err)
{
    size_t size = 0;
    while (in.size - size >= TERN_TLS_HEADER_SIZE) {
        const uint8_t *record = in.data + size;
        size_t next = TERN_TLS_HEADER_SIZE + header_length(record);
        *err = handshake_judge(hs, record);
        if (*err != TERN_OK || next > in.size - size || size + next > TERN_TLS_HANDSHAKE_INPUT_MAX)
            break;
        *err = handshake_first(hs, record);
        if (*err != TERN_OK)
            break;
        size += next;
    }
    return size;
}

/* Hands the records that are there to the job. */
static void handshake_post(struct tern_tls_handshake *hs)
{
    if (hs->part != NULL)
        hs->pipe.in[0] = tern_chunk_view(hs->part);
    if (hs->rest != NULL)
        hs->pipe.in[1] = tern_chunk_view(hs->rest);
    hs->step = TERN_TLS_JOB_READY;
}

/* Takes input up to the end of a record, and copies whole ones behind it; *whole says how much. */
static tern_err handshake_gather(struct tern_tls_handshake *hs, struct tern_view in, size_t *used,
                                 size_t *whole)
{
    tern_err err = TERN_OK;
    *whole = hs->header_bytes == 0 ? handshake_whole(hs, in, &err) : 0;
    if (err != TERN_OK || *whole > 0)
        return err;
    *used = handshake_assemble(hs, in, &err);
    if (err == TERN_OK && handshake_part_is_whole(hs))
        *whole = handshake_whole(hs, tern_view_part(in, *used, in.size - *used), &err);
    return err;
}

tern_err tern_tls_handshake_recv(struct tern_tls_handshake *hs, struct tern_view in, size_t *used)
{
    size_t whole;
    TERN_CHECK(hs->step == TERN_TLS_WAIT);
    *used = 0;
    tern_err err = handshake_gather(hs, in, used, &whole);
    if (err == TERN_OK && whole > 0) {
        hs->rest = tern_chunk_copy(hs->mem, tern_view_part(in, *used, whole));
        err = hs->rest == NULL ? TERN_ERR_MEMORY : TERN_OK;
    }
    if (err != TERN_OK) {
        handshake_drop_output(hs);
        return err;
    }
    if (whole > 0 || handshake_part_is_whole(hs))
        handshake_post(hs);
    return TERN_OK;
}

tern_err tern_tls_handshake_record(struct tern_tls_handshake *hs, struct tern_view in, size_t *used,
                                   struct tern_slice *record)
{
    tern_err err = TERN_OK;
    TERN_CHECK(hs->step == TERN_TLS_COMPLETE);
    if (handshake_part_is_whole(hs)) {
        handshake_drop_input(hs);
        hs->header_bytes = 0;
    }
    *record = (struct tern_slice){.chunk = NULL};
    *used = 0;
    if (hs->header_bytes == 0 && in.size >= TERN_TLS_HEADER_SIZE) {
        size_t size = TERN_TLS_HEADER_SIZE + header_length(in.data);
        TERN_TRY(handshake_judge(hs, in.data));
        if (size <= in.size) {
            record->view = tern_view_part(in, 0, size);
            *used = size;
            return TERN_OK;
        }
    }
    *used = handshake_assemble(hs, in, &err);
    if (err == TERN_OK && handshake_part_is_whole(hs))
        *record = (struct tern_slice){.chunk = hs->part, .view = tern_chunk_view(hs->part)};
    return err;
}

tern_err tern_tls_handshake_settle(struct tern_tls_handshake *hs)
{
    TERN_CHECK(hs->step == TERN_TLS_JOB_AWAY);
    hs->step = hs->done ? TERN_TLS_COMPLETE : TERN_TLS_WAIT;
    if (hs->err != TERN_OK)
        return hs->err;
    /* A record that was put together is used up: OpenSSL asks for more only then. */
    TERN_CHECK(hs->pipe.in[0].size == 0);
    hs->skip = hs->rest == NULL ? 0 : hs->rest->size - hs->pipe.in[1].size;
    handshake_drop_input(hs);
    hs->header_bytes = 0;
    return TERN_OK;
}

/* ---- what goes ---- */

bool tern_tls_handshake_pending(const struct tern_tls_handshake *hs)
{
    return hs->step != TERN_TLS_JOB_READY && hs->step != TERN_TLS_JOB_AWAY &&
           hs->out_sent < hs->out.size;
}

void tern_tls_handshake_send(struct tern_tls_handshake *hs, struct tern_writer *out)
{
    TERN_CHECK(tern_tls_handshake_pending(hs));
    struct tern_view unsent =
        tern_view_part(tern_writer_view(&hs->out), hs->out_sent, hs->out.size - hs->out_sent);
    unsent.size = tern_min_size(unsent.size, tern_writer_left(out));
    tern_writer_bytes(out, unsent);
    hs->out_sent += unsent.size;
    if (hs->out_sent == hs->out.size) {
        hs->out.size = 0;
        hs->out_sent = 0;
    }
}
