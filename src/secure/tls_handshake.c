#include "secure/tls_handshake.h"

#include "base/check.h"
#include "crypto/secret.h"

/* ---- what an engine reads and writes ---- */

size_t tern_tls_pipe_read(struct tern_tls_pipe *pipe, void *data, size_t size)
{
    struct tern_view *in = &pipe->in[pipe->in[0].size == 0];
    size_t got = tern_min_size(size, in->size);
    tern_copy(data, in->data, got);
    *in = tern_view_part(*in, got, in->size - got);
    return got;
}

size_t tern_tls_pipe_write(struct tern_tls_pipe *pipe, struct tern_view bytes)
{
    if (pipe->out == NULL)
        return 0;
    size_t took = tern_min_size(bytes.size, tern_writer_left(pipe->out));
    tern_writer_bytes(pipe->out, tern_view_part(bytes, 0, took));
    return took;
}

/* ---- the job ---- */

/* What is unsent of our flight will not be sent. */
static void handshake_drop_output(struct tern_tls_handshake *hs)
{
    hs->out.size = hs->out_sent;
}

static void handshake_step(struct tern_tls_handshake *hs)
{
    hs->pipe.out = &hs->out;
    hs->err = hs->run(hs);
    hs->pipe.out = NULL;
    if (hs->err != TERN_OK && hs->done)
        handshake_drop_output(hs);
    hs->done = hs->done && hs->err == TERN_OK;
}

static void handshake_job_run(struct tern_job *job)
{
    handshake_step(TERN_CONTAINER_OF(job, struct tern_tls_handshake, job));
}

/* ---- life ---- */

tern_err tern_tls_handshake_init(struct tern_tls_handshake *hs,
                                 const struct tern_tls_handshake_options *options)
{
    *hs = (struct tern_tls_handshake){
        .job = {.run = handshake_job_run, .cost_ns = options->cost_ns},
        .mem = options->mem,
        .role = options->role,
        .run = options->run,
    };
    tern_list_init(&hs->job.link);
    uint8_t *room = tern_mem_alloc(options->mem, options->flight_size_max);
    if (room == NULL)
        return TERN_ERR_MEMORY;
    hs->out = tern_writer_of(room, options->flight_size_max);
    return TERN_OK;
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
    /* A record that was put together is used up: the engine asks for more only then. */
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
