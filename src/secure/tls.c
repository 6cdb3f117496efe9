#include "secure/tls.h"

#include "base/check.h"
#include "crypto/secret.h"
#include "secure/tls_internal.h"

static const struct tern_channel_ops tls_ops;
static bool tls_control_pending(const void *self);
static void tls_shut(void *self);

/* ---- errors ---- */

/* The first error sticks; the peer is told why. */
static tern_err tls_fail(struct tern_tls *tls, const struct tern_tls_refusal *refusal)
{
    TERN_CHECK(refusal->err != TERN_OK && tls->err == TERN_OK);
    tls->err = refusal->err;
    tls->fault = refusal->fault;
    tls->update_pending = false;
    if (!tls->shut && tls->suite != NULL) {
        tls->shut = true;
        tls->alert_pending = true;
        tls->alert = (uint8_t)refusal->alert;
    }
    return tls->err;
}

/* An error that the peer is not told, or has told us. */
static tern_err tls_fail_silently(struct tern_tls *tls, tern_err err, tern_fault fault)
{
    tls->shut = true;
    tls->alert_pending = false;
    return tls_fail(tls, &(struct tern_tls_refusal){.err = err, .fault = fault});
}

static tern_err tls_refuse(struct tern_tls *tls, tern_fault fault, enum tern_tls_alert_code alert)
{
    return tls_fail(tls, &(struct tern_tls_refusal){TERN_ERR_PROTOCOL, fault, alert});
}

/* ---- life ---- */

tern_err tern_tls_new(const struct tern_tls_options *options, struct tern_channel *channel)
{
    struct tern_tls *tls = tern_mem_zalloc(options->mem, sizeof *tls);
    if (tls == NULL)
        return TERN_ERR_MEMORY;
    tls->mem = options->mem;
    tls->aead = options->aead;
    tls->role = options->role;
    tern_err err = tern_tls_peer_new(options, &tls->peer);
    if (err != TERN_OK) {
        tern_mem_free(options->mem, tls, sizeof *tls);
        return err;
    }
    *channel = (struct tern_channel){.ops = &tls_ops, .self = tls};
    return TERN_OK;
}

static void tls_fini(void *self)
{
    struct tern_tls *tls = self;
    struct tern_mem *mem = tls->mem;
    if (tls->peer != NULL)
        tern_tls_peer_free(tls->peer);
    if (tls->remote.public_key != NULL)
        tern_public_key_fini(&tls->remote_key);
    tern_chunk_unref(tls->record);
    tern_secret_wipe(tls, sizeof *tls);
    tern_mem_free(mem, tls, sizeof *tls);
}

/* Frees the handshake when both its ends are done: the remote checked, our last flight sent. */
static void tls_end_handshake(struct tern_tls *tls)
{
    struct tern_tls_handshake *handshake = &tls->peer->handshake;
    if (handshake->step != TERN_TLS_COMPLETE || tern_tls_handshake_pending(handshake))
        return;
    tern_tls_peer_free(tls->peer);
    tls->peer = NULL;
}

/* ---- receiving: what a record holds ---- */

/* Has a key been used for long? Then we go on to the next, and have the remote do so, too. */
static void tls_consider_update(struct tern_tls *tls)
{
    bool ours = tls->send.sequence >= TERN_TLS_KEY_RECORDS_MAX;
    bool theirs = tls->receive.sequence >= TERN_TLS_KEY_RECORDS_MAX && !tls->update_requested;
    if ((!ours && !theirs) || tls->shut)
        return;
    tls->update_pending = true;
    tls->update_request = tls->update_request || theirs;
    tls->update_requested = tls->update_requested || theirs;
}

static tern_err tls_take_message(struct tern_tls *tls, struct tern_view content)
{
    enum tern_tls_message message;
    struct tern_tls_refusal refusal;
    if (tern_tls_messages_take(&tls->messages, tls->role, content, &message, &refusal) != TERN_OK)
        return tls_fail(tls, &refusal);
    if (message == TERN_TLS_MESSAGE_NONE)
        return TERN_OK;
    tern_tls_keys_update(&tls->receive, tls->suite);
    tls->update_requested = false;
    if (message == TERN_TLS_MESSAGE_UPDATE_REQUEST && !tls->shut)
        tls->update_pending = true;
    return TERN_OK;
}

static tern_err tls_take_alert(struct tern_tls *tls, struct tern_view content)
{
    if (content.size != 2)
        return tls_refuse(tls, TERN_FAULT_TLS_BAD_MESSAGE, TERN_TLS_DECODE_ERROR);
    switch (content.data[1]) {
    case TERN_TLS_CLOSE_NOTIFY:
        tls->ended = true;
        tls->end_pending = true;
        tls_shut(tls); /* and so do we */
        return TERN_OK;
    case TERN_TLS_USER_CANCELED: /* close_notify follows */
        return TERN_OK;
    }
    if (tls->role == TERN_ROLE_INITIATOR && !tls->heard)
        return tls_fail_silently(tls, TERN_ERR_REFUSED, TERN_FAULT_TLS_REFUSED);
    return tls_fail_silently(tls, TERN_ERR_DISCONNECTED, TERN_FAULT_TLS_ALERT);
}

static tern_err tls_take_content(struct tern_tls *tls, struct tern_chunk *chunk,
                                 const struct tern_tls_content *content)
{
    if (content->type != TERN_TLS_HANDSHAKE && tern_tls_messages_open(&tls->messages))
        return tls_refuse(tls, TERN_FAULT_TLS_INTERLEAVED, TERN_TLS_UNEXPECTED_MESSAGE);
    bool data = content->type == TERN_TLS_APPLICATION_DATA && content->bytes.size > 0;
    tls->idle_records = data ? 0 : (uint8_t)(tls->idle_records + 1);
    if (tls->idle_records > TERN_TLS_IDLE_RECORDS_MAX)
        return tls_refuse(tls, TERN_FAULT_TLS_USELESS_RECORDS, TERN_TLS_UNEXPECTED_MESSAGE);
    switch (content->type) {
    case TERN_TLS_APPLICATION_DATA:
        tls->data = (struct tern_slice){.chunk = chunk, .view = content->bytes};
        tls->data_pending = data;
        tls->heard = tls->heard || data;
        return TERN_OK;
    case TERN_TLS_HANDSHAKE:
        return tls_take_message(tls, content->bytes);
    case TERN_TLS_ALERT:
        return tls_take_alert(tls, content->bytes);
    }
    return tls_refuse(tls, TERN_FAULT_TLS_RECORD_TYPE, TERN_TLS_UNEXPECTED_MESSAGE);
}

/* ---- receiving: records ---- */

static tern_err tls_judge(struct tern_tls *tls, const uint8_t *header)
{
    struct tern_tls_refusal refusal;
    return tern_tls_judge(header, &refusal) == TERN_OK ? TERN_OK : tls_fail(tls, &refusal);
}

/* Decrypts a record where it lies, and sees to what it holds. */
static tern_err tls_open(struct tern_tls *tls, const uint8_t *header, struct tern_chunk *chunk,
                         struct tern_span body)
{
    const struct tern_tls_sealing sealing = {tls->aead, tls->suite, &tls->receive};
    struct tern_tls_content content;
    struct tern_tls_refusal refusal;
    if (tern_tls_open(&sealing, header, body, &content, &refusal) != TERN_OK)
        return tls_fail(tls, &refusal);
    TERN_TRY(tls_take_content(tls, chunk, &content));
    tls_consider_update(tls);
    return TERN_OK;
}

/* Takes one byte of a record's header, and makes room for the record when it is known. */
static tern_err tls_header_byte(struct tern_tls *tls, uint8_t byte)
{
    tls->header[tls->header_bytes++] = byte;
    if (tls->header_bytes < sizeof tls->header)
        return TERN_OK;
    TERN_TRY(tls_judge(tls, tls->header));
    TERN_CHECK(tls->record == NULL);
    tls->record_size = ((size_t)tls->header[3] << 8) | tls->header[4];
    tls->record = tern_chunk_new(tls->mem, tls->record_size);
    if (tls->record == NULL)
        return tls_fail(tls, &(struct tern_tls_refusal){.err = TERN_ERR_MEMORY,
                                                        .alert = TERN_TLS_INTERNAL_ERROR});
    return TERN_OK;
}

/* Adds input to the record that comes in part. Returns how much it took. */
static size_t tls_assemble(struct tern_tls *tls, struct tern_view in, tern_err *err)
{
    if (tls->header_bytes < sizeof tls->header) {
        *err = tls_header_byte(tls, in.data[0]);
        return 1;
    }
    struct tern_chunk *record = tls->record;
    size_t size = tern_min_size(tls->record_size - record->size, in.size);
    memcpy(record->data + record->size, in.data, size);
    record->size += (uint32_t)size;
    if (record->size == tls->record_size) {
        tls->header_bytes = 0;
        tls->record_delivered = true;
        *err = tls_open(tls, tls->header, record, (struct tern_span){record->data, record->size});
    }
    return size;
}

/* Where the input may be written: recv's contract says that it is changed in place. */
static uint8_t *tls_writable(struct tern_slice in, size_t offset)
{
    if (in.chunk != NULL)
        return in.chunk->data + (in.view.data - in.chunk->data) + offset;
    return (uint8_t *)(uintptr_t)in.view.data + offset;
}

/* Opens the record at the front of the input if it is there whole; returns its size with its
 * header, or 0. The fast path: no copy, no memory. */
static size_t tls_open_in_place(struct tern_tls *tls, struct tern_slice in, size_t used,
                                tern_err *err)
{
    const uint8_t *at = in.view.data + used;
    size_t left = in.view.size - used;
    if (tls->header_bytes > 0 || left < TERN_TLS_HEADER_SIZE)
        return 0;
    size_t size = ((size_t)at[3] << 8) | at[4];
    if (left - TERN_TLS_HEADER_SIZE < size)
        return 0;
    struct tern_span body = {tls_writable(in, used + TERN_TLS_HEADER_SIZE), size};
    *err = tls_judge(tls, at);
    if (*err == TERN_OK)
        *err = tls_open(tls, at, in.chunk, body);
    return size + TERN_TLS_HEADER_SIZE;
}

static void tls_release_delivered(struct tern_tls *tls)
{
    if (!tls->record_delivered)
        return;
    tern_chunk_unref(tls->record);
    tls->record = NULL;
    tls->record_delivered = false;
}

/* ---- receiving: the seam ---- */

/* Has next to be drained, or a job to come back, before more is taken? */
static bool tls_is_busy(const struct tern_tls *tls)
{
    if (tls->done_pending || tls->data_pending || tls->end_pending)
        return true;
    return tls->suite == NULL && tls->peer->handshake.step != TERN_TLS_WAIT;
}

/* Gives the handshake input; returns how much it took off. */
static size_t tls_recv_handshake(struct tern_tls *tls, struct tern_view in, tern_err *err)
{
    struct tern_tls_handshake *handshake = &tls->peer->handshake;
    size_t took = 0;
    *err = tern_tls_handshake_recv(handshake, in, &took);
    if (*err != TERN_OK)
        *err = tls_fail_silently(tls, *err, handshake->fault);
    return took;
}

static size_t tls_recv_some(struct tern_tls *tls, struct tern_slice in, size_t used, tern_err *err)
{
    struct tern_view rest = tern_view_part(in.view, used, in.view.size - used);
    if (tls->skip > 0) {
        size_t skipped = tern_min_size(tls->skip, rest.size);
        tls->skip -= skipped;
        return skipped;
    }
    if (tls->suite == NULL)
        return tls_recv_handshake(tls, rest, err);
    tls_release_delivered(tls);
    size_t took = tls_open_in_place(tls, in, used, err);
    if (took == 0)
        took = tls_assemble(tls, rest, err);
    TERN_CHECK(took > 0);
    return took;
}

static tern_err tls_recv(void *self, tern_time now, struct tern_slice in, size_t *used)
{
    (void)now;
    struct tern_tls *tls = self;
    *used = 0;
    while (*used < in.view.size && tls->err == TERN_OK && !tls_is_busy(tls)) {
        if (tls->ended) { /* what follows is nobody's (section 6.1) */
            *used = in.view.size;
            break;
        }
        tern_err err = TERN_OK;
        *used += tls_recv_some(tls, in, *used, &err);
        TERN_CHECK(err == tls->err);
    }
    return tls->err;
}

static bool tls_next(void *self, struct tern_channel_event *event)
{
    struct tern_tls *tls = self;
    *event = (struct tern_channel_event){.kind = TERN_CHANNEL_JOB};
    if (tls->err != TERN_OK)
        return false;
    if (!tls->data_pending)
        tls_release_delivered(tls);
    if (tls->suite == NULL && tls->peer->handshake.step == TERN_TLS_JOB_READY) {
        tls->peer->handshake.step = TERN_TLS_JOB_AWAY;
        event->job = &tls->peer->handshake.job;
        return true;
    }
    if (tls->done_pending) {
        tls->done_pending = false;
        event->kind = TERN_CHANNEL_HANDSHAKE_DONE;
        return true;
    }
    if (tls->data_pending) {
        tls->data_pending = false;
        event->kind = TERN_CHANNEL_DATA;
        event->data = tls->data;
        return true;
    }
    if (tls->end_pending) {
        tls->end_pending = false;
        event->kind = TERN_CHANNEL_END;
        return true;
    }
    return false;
}

static tern_err tls_job_done(void *self, tern_time now, struct tern_job *job)
{
    (void)now;
    struct tern_tls *tls = self;
    struct tern_tls_peer *peer = tls->peer;
    TERN_CHECK(peer != NULL && job == &peer->handshake.job);
    tern_err err = tern_tls_handshake_settle(&peer->handshake);
    if (err != TERN_OK)
        return tls_fail_silently(tls, err, peer->handshake.fault);
    TERN_CHECK(tls->skip == 0);
    tls->skip = peer->handshake.skip;
    if (peer->handshake.step != TERN_TLS_COMPLETE)
        return TERN_OK;
    tls->suite = peer->suite;
    tls->send = peer->send;
    tls->receive = peer->receive;
    tls->plaintext_max = peer->plaintext_max;
    tls->remote_id = peer->remote_id;
    tls->remote_key = peer->remote_key; /* moved */
    peer->has_remote = false;
    tls->remote.peer_id = &tls->remote_id;
    tls->remote.public_key = &tls->remote_key;
    if (peer->muxer != SIZE_MAX)
        tls->remote.muxer = peer->muxers[peer->muxer];
    tls->done_pending = true;
    tls_end_handshake(tls);
    return TERN_OK;
}

/* ---- sending ---- */

static bool tls_control_pending(const void *self)
{
    const struct tern_tls *tls = self;
    return tls->update_pending || tls->alert_pending ||
           (tls->peer != NULL && tern_tls_handshake_pending(&tls->peer->handshake));
}

/* Seals a small record of our own, if there is room; false: there is none, or it failed. */
static bool tls_say(struct tern_tls *tls, struct tern_writer *out, enum tern_tls_type type,
                    struct tern_view content)
{
    const struct tern_tls_sealing sealing = {tls->aead, tls->suite, &tls->send};
    if (out->overflow || tern_writer_left(out) < content.size + TERN_TLS_OVERHEAD)
        return false;
    uint8_t *record = tern_writer_reserve(out, content.size + TERN_TLS_OVERHEAD);
    memcpy(record + TERN_TLS_HEADER_SIZE, content.data, content.size);
    if (tern_tls_seal(&sealing, record, type, content.size) == TERN_OK)
        return true;
    out->size -= content.size + TERN_TLS_OVERHEAD;
    tls->update_pending = false;
    tls->alert_pending = false;
    if (tls->err == TERN_OK)
        tls->err = TERN_ERR_INTERNAL;
    return false;
}

static void tls_say_update(struct tern_tls *tls, struct tern_writer *out)
{
    uint8_t update[TERN_TLS_UPDATE_SIZE];
    tern_tls_update_write(update, tls->update_request);
    if (!tls_say(tls, out, TERN_TLS_HANDSHAKE, tern_view_of(update, sizeof update)))
        return;
    tern_tls_keys_update(&tls->send, tls->suite);
    tls->update_pending = false;
    tls->update_request = false;
}

static void tls_say_alert(struct tern_tls *tls, struct tern_writer *out)
{
    enum { WARNING = 1, FATAL = 2 };
    const uint8_t alert[] = {tls->alert == TERN_TLS_CLOSE_NOTIFY ? WARNING : FATAL, tls->alert};
    if (tls_say(tls, out, TERN_TLS_ALERT, tern_view_of(alert, sizeof alert)))
        tls->alert_pending = false;
}

static void tls_control(void *self, tern_time now, struct tern_writer *out)
{
    (void)now;
    struct tern_tls *tls = self;
    if (tls->peer != NULL && tern_tls_handshake_pending(&tls->peer->handshake)) {
        tern_tls_handshake_send(&tls->peer->handshake, out);
        tls_end_handshake(tls);
    }
    if (tls->peer != NULL)
        return; /* it has more to say, or its keys are still to come */
    if (tls->update_pending)
        tls_say_update(tls, out);
    if (tls->alert_pending && !tls->update_pending)
        tls_say_alert(tls, out);
}

static struct tern_span tls_seal_begin(void *self, struct tern_writer *out)
{
    struct tern_tls *tls = self;
    size_t left = tern_writer_left(out);
    if (tls->err != TERN_OK || tls->suite == NULL || tls->shut || tls_control_pending(tls) ||
        out->overflow || left < TERN_TLS_OVERHEAD + TERN_TLS_ROOM_MIN)
        return (struct tern_span){.data = NULL};
    return (struct tern_span){
        .data = out->data + out->size + TERN_TLS_HEADER_SIZE,
        .size = tern_min_size(left - TERN_TLS_OVERHEAD, tls->plaintext_max),
    };
}

static void tls_seal_end(void *self, struct tern_writer *out, size_t size)
{
    struct tern_tls *tls = self;
    const struct tern_tls_sealing sealing = {tls->aead, tls->suite, &tls->send};
    if (size == 0)
        return;
    TERN_CHECK(tls->suite != NULL && tls->err == TERN_OK && !tls->shut);
    uint8_t *record = tern_writer_reserve(out, size + TERN_TLS_OVERHEAD);
    TERN_CHECK(record != NULL);
    tern_err err = tern_tls_seal(&sealing, record, TERN_TLS_APPLICATION_DATA, size);
    if (err != TERN_OK) {
        /* The plaintext must not leave. The record is taken back, and the channel is over. */
        out->size -= size + TERN_TLS_OVERHEAD;
        tls_fail_silently(tls, err, TERN_FAULT_NONE);
        return;
    }
    tls_consider_update(tls);
}

static void tls_shut(void *self)
{
    struct tern_tls *tls = self;
    if (tls->shut || tls->suite == NULL || tls->err != TERN_OK)
        return;
    tls->shut = true;
    tls->alert_pending = true;
    tls->alert = TERN_TLS_CLOSE_NOTIFY;
}

/* ---- telling ---- */

static const struct tern_secure_remote *tls_remote(const void *self)
{
    const struct tern_tls *tls = self;
    return tls->suite != NULL ? &tls->remote : NULL;
}

static tern_fault tls_fault(const void *self)
{
    const struct tern_tls *tls = self;
    return tls->fault;
}

static const struct tern_channel_ops tls_ops = {
    .protocol_id = TERN_TLS_PROTOCOL_ID,
    .recv = tls_recv,
    .next = tls_next,
    .job_done = tls_job_done,
    .control = tls_control,
    .control_pending = tls_control_pending,
    .seal_begin = tls_seal_begin,
    .seal_end = tls_seal_end,
    .shut = tls_shut,
    .remote = tls_remote,
    .fault = tls_fault,
    .fini = tls_fini,
};
