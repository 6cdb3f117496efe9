#include "secure/noise.h"

#include "base/check.h"
#include "crypto/aead.h"
#include "crypto/secret.h"
#include "secure/noise_handshake.h"
#include "secure/noise_internal.h"

static const struct tern_channel_ops noise_ops;
static const struct tern_channel_ops noise_hybrid_ops;
static bool noise_control_pending(const void *self);

/* ---- errors ---- */

static tern_err noise_fail(struct tern_noise *noise, tern_err err, tern_fault fault)
{
    TERN_CHECK(err != TERN_OK && noise->err == TERN_OK);
    noise->err = err;
    noise->fault = fault;
    return err;
}

/* ---- life ---- */

tern_err tern_noise_new(const struct tern_noise_options *options, struct tern_channel *secure)
{
    TERN_CHECK(options->muxers_count <= TERN_NOISE_LIST_MAX);
    TERN_CHECK(options->certhashes_count <= TERN_NOISE_LIST_MAX);
    if (options->hybrid && !tern_mlkem_available())
        return TERN_ERR_UNSUPPORTED;
    struct tern_noise *noise = tern_mem_zalloc(options->mem, sizeof *noise);
    if (noise == NULL)
        return TERN_ERR_MEMORY;
    noise->mem = options->mem;
    noise->aead = options->aead;
    noise->handshake = tern_noise_handshake_new(options);
    if (noise->handshake == NULL) {
        tern_mem_free(options->mem, noise, sizeof *noise);
        return TERN_ERR_MEMORY;
    }
    *secure = (struct tern_channel){.ops = options->hybrid ? &noise_hybrid_ops : &noise_ops,
                                    .self = noise};
    return TERN_OK;
}

static void noise_fini(void *self)
{
    struct tern_noise *noise = self;
    struct tern_mem *mem = noise->mem;
    if (noise->handshake != NULL)
        tern_noise_handshake_free(noise->handshake);
    if (noise->remote.public_key != NULL)
        tern_public_key_fini(&noise->remote_key);
    tern_chunk_unref(noise->frame);
    tern_secret_wipe(noise, sizeof *noise);
    tern_mem_free(mem, noise, sizeof *noise);
}

/* Frees the handshake when both its ends are done: the remote checked, our last message sent. */
static void noise_end_handshake(struct tern_noise *noise)
{
    struct tern_noise_handshake *hs = noise->handshake;
    if (hs->step != TERN_NOISE_COMPLETE || hs->out_sent < hs->out_size)
        return;
    tern_noise_handshake_free(hs);
    noise->handshake = NULL;
}

/* ---- receiving ---- */

static bool noise_in_transport(const struct tern_noise *noise)
{
    return noise->remote.peer_id != NULL;
}

/* Has next to be drained, or a job to come back, before more is taken? */
static bool noise_is_busy(const struct tern_noise *noise)
{
    if (noise->done_pending || noise->data_pending)
        return true;
    return noise->handshake != NULL && (noise->handshake->step == TERN_NOISE_JOB_READY ||
                                        noise->handshake->step == TERN_NOISE_JOB_AWAY);
}

/* Judges a frame's length as soon as it is known, before memory is taken for it. */
static tern_err noise_check_length(struct tern_noise *noise, size_t size)
{
    tern_fault fault = TERN_FAULT_NONE;
    if (!noise_in_transport(noise))
        fault = tern_noise_handshake_check_size(noise->handshake, size);
    else if (size < TERN_NOISE_TAG_SIZE)
        fault = TERN_FAULT_NOISE_FRAME_SHORT;
    if (fault == TERN_FAULT_NONE)
        return TERN_OK;
    bool too_large = fault == TERN_FAULT_NOISE_MESSAGE_TOO_LARGE;
    return noise_fail(noise, too_large ? TERN_ERR_TOO_LARGE : TERN_ERR_PROTOCOL, fault);
}

/* Decrypts a frame where it lies and makes DATA of it; an empty one is gone then. */
static tern_err noise_open(struct tern_noise *noise, struct tern_chunk *chunk, uint8_t *data,
                           size_t size)
{
    if (noise->receive_nonce == UINT64_MAX)
        return noise_fail(noise, TERN_ERR_CLOSED, TERN_FAULT_NONE);
    struct tern_aead_params params = {.key = noise->keys.receive};
    tern_aead_counter_nonce(noise->receive_nonce++, params.nonce);
    tern_err err = tern_aead_open(noise->aead, &params, tern_view_of(data, size), data);
    if (err != TERN_OK)
        return noise_fail(noise, err, TERN_FAULT_NOISE_FRAME_MAC);
    noise->data.chunk = chunk;
    noise->data.view = tern_view_of(data, size - TERN_NOISE_TAG_SIZE);
    noise->data_pending = noise->data.view.size > 0;
    return TERN_OK;
}

/* The assembled frame is whole: a message of the handshake, or data. The chunk of the latter stays
 * until its DATA has been drained. */
static tern_err noise_frame_whole(struct tern_noise *noise)
{
    struct tern_chunk *frame = noise->frame;
    noise->length_bytes = 0;
    if (noise_in_transport(noise)) {
        noise->frame_delivered = true;
        return noise_open(noise, frame, frame->data, frame->size);
    }
    /* An answer to what has not been sent whole cannot be honest; and its job would want our room.
     */
    if (noise_control_pending(noise))
        return noise_fail(noise, TERN_ERR_PROTOCOL, TERN_FAULT_NOISE_EARLY_MESSAGE);
    noise->frame = NULL;
    tern_noise_handshake_take(noise->handshake, frame);
    return TERN_OK;
}

/* Takes one byte of a frame's length, and makes room for the frame when it is known. */
static tern_err noise_length_byte(struct tern_noise *noise, uint8_t byte)
{
    noise->length[noise->length_bytes++] = byte;
    if (noise->length_bytes < sizeof noise->length)
        return TERN_OK;
    size_t size = ((size_t)noise->length[0] << 8) | noise->length[1];
    TERN_TRY(noise_check_length(noise, size));
    TERN_CHECK(noise->frame == NULL);
    noise->frame = tern_chunk_new(noise->mem, size);
    if (noise->frame == NULL)
        return noise_fail(noise, TERN_ERR_MEMORY, TERN_FAULT_NONE);
    noise->frame_size = size;
    return TERN_OK;
}

/* Adds input to the frame that has come in part. Returns how much it took. */
static size_t noise_assemble(struct tern_noise *noise, struct tern_view in, tern_err *err)
{
    if (noise->length_bytes < sizeof noise->length) {
        *err = noise_length_byte(noise, in.data[0]);
        return 1;
    }
    struct tern_chunk *frame = noise->frame;
    size_t size = tern_min_size(noise->frame_size - frame->size, in.size);
    memcpy(frame->data + frame->size, in.data, size);
    frame->size += (uint32_t)size;
    *err = frame->size == noise->frame_size ? noise_frame_whole(noise) : TERN_OK;
    return size;
}

/* Where the input may be written: recv's contract says that it is changed in place. */
static uint8_t *noise_writable(struct tern_slice in, size_t offset)
{
    if (in.chunk != NULL)
        return in.chunk->data + (in.view.data - in.chunk->data) + offset;
    return (uint8_t *)(uintptr_t)in.view.data + offset;
}

/* Opens the frame at the front of the input if it is there whole; returns its size with its length,
 * or 0. The fast path: no copy, no memory. */
static size_t noise_open_in_place(struct tern_noise *noise, struct tern_slice in, size_t used,
                                  tern_err *err)
{
    const uint8_t *at = in.view.data + used;
    size_t left = in.view.size - used;
    if (noise->length_bytes > 0 || !noise_in_transport(noise) || left < 2)
        return 0;
    size_t size = ((size_t)at[0] << 8) | at[1];
    if (left - 2 < size)
        return 0;
    *err = noise_check_length(noise, size);
    if (*err == TERN_OK)
        *err = noise_open(noise, in.chunk, noise_writable(in, used + 2), size);
    return size + 2;
}

static void noise_release_delivered(struct tern_noise *noise)
{
    if (!noise->frame_delivered)
        return;
    tern_chunk_unref(noise->frame);
    noise->frame = NULL;
    noise->frame_delivered = false;
}

static tern_err noise_recv(void *self, tern_time now, struct tern_slice in, size_t *used)
{
    (void)now;
    struct tern_noise *noise = self;
    *used = 0;
    while (*used < in.view.size && noise->err == TERN_OK && !noise_is_busy(noise)) {
        noise_release_delivered(noise);
        tern_err err = TERN_OK;
        size_t took = noise_open_in_place(noise, in, *used, &err);
        if (took == 0)
            took = noise_assemble(noise, tern_view_of(in.view.data + *used, in.view.size - *used),
                                  &err);
        *used += took;
        TERN_CHECK(took > 0 && err == noise->err);
    }
    return noise->err;
}

static bool noise_next(void *self, struct tern_channel_event *event)
{
    struct tern_noise *noise = self;
    struct tern_noise_handshake *hs = noise->handshake;
    *event = (struct tern_channel_event){.kind = TERN_CHANNEL_JOB};
    if (noise->err != TERN_OK)
        return false;
    if (!noise->data_pending)
        noise_release_delivered(noise);
    if (hs != NULL && hs->step == TERN_NOISE_JOB_READY) {
        hs->step = TERN_NOISE_JOB_AWAY;
        event->job = &hs->job;
        return true;
    }
    if (noise->done_pending) {
        noise->done_pending = false;
        event->kind = TERN_CHANNEL_HANDSHAKE_DONE;
        return true;
    }
    if (noise->data_pending) {
        noise->data_pending = false;
        event->kind = TERN_CHANNEL_DATA;
        event->data = noise->data;
        return true;
    }
    return false;
}

static tern_err noise_job_done(void *self, tern_time now, struct tern_job *job)
{
    (void)now;
    struct tern_noise *noise = self;
    struct tern_noise_handshake *hs = noise->handshake;
    TERN_CHECK(hs != NULL && job == &hs->job);
    tern_err err = tern_noise_handshake_settle(hs);
    if (err != TERN_OK)
        return noise_fail(noise, err, hs->fault);
    if (hs->step != TERN_NOISE_COMPLETE)
        return TERN_OK;
    noise->keys = hs->keys;
    noise->remote_id = hs->remote_id;
    noise->remote_key = hs->remote_key; /* moved */
    hs->has_remote = false;
    noise->remote.peer_id = &noise->remote_id;
    noise->remote.public_key = &noise->remote_key;
    if (hs->muxer != SIZE_MAX)
        noise->remote.muxer = hs->muxers.entries[hs->muxer];
    noise->done_pending = true;
    noise_end_handshake(noise);
    return TERN_OK;
}

/* ---- sending ---- */

static bool noise_control_pending(const void *self)
{
    const struct tern_noise *noise = self;
    const struct tern_noise_handshake *hs = noise->handshake;
    return noise->err == TERN_OK && hs != NULL && hs->step != TERN_NOISE_JOB_AWAY &&
           hs->out_sent < hs->out_size;
}

static void noise_control(void *self, tern_time now, struct tern_writer *out)
{
    (void)now;
    struct tern_noise *noise = self;
    if (!noise_control_pending(noise))
        return;
    struct tern_view unsent = tern_noise_handshake_unsent(noise->handshake);
    unsent.size = tern_min_size(unsent.size, tern_writer_left(out));
    tern_writer_bytes(out, unsent);
    noise->handshake->out_sent += unsent.size;
    noise_end_handshake(noise);
}

static struct tern_span noise_seal_begin(void *self, struct tern_writer *out)
{
    struct tern_noise *noise = self;
    const struct tern_span none = {.data = NULL};
    size_t left = tern_writer_left(out);
    if (noise->err != TERN_OK || !noise_in_transport(noise) || noise_control_pending(noise))
        return none;
    if (out->overflow || left < TERN_NOISE_OVERHEAD + TERN_NOISE_ROOM_MIN)
        return none;
    if (noise->send_nonce == UINT64_MAX) {
        noise->err = TERN_ERR_CLOSED;
        return none;
    }
    return (struct tern_span){
        .data = out->data + out->size + 2,
        .size = tern_min_size(left - TERN_NOISE_OVERHEAD, TERN_NOISE_PLAINTEXT_MAX),
    };
}

static void noise_seal_end(void *self, struct tern_writer *out, size_t size)
{
    struct tern_noise *noise = self;
    if (size == 0)
        return;
    TERN_CHECK(noise_in_transport(noise) && noise->err == TERN_OK);
    TERN_CHECK(size <= TERN_NOISE_PLAINTEXT_MAX &&
               tern_writer_left(out) >= size + TERN_NOISE_OVERHEAD);
    tern_writer_u16be(out, (uint16_t)(size + TERN_NOISE_TAG_SIZE));
    uint8_t *at = tern_writer_reserve(out, size + TERN_NOISE_TAG_SIZE);
    struct tern_aead_params params = {.key = noise->keys.send};
    tern_aead_counter_nonce(noise->send_nonce++, params.nonce);
    tern_err err = tern_aead_seal(noise->aead, &params, tern_view_of(at, size), at);
    if (err != TERN_OK) {
        /* The plaintext must not leave. The frame is taken back, and the channel is over. */
        out->size -= size + TERN_NOISE_OVERHEAD;
        noise_fail(noise, err, TERN_FAULT_NONE);
    }
}

/* ---- telling ---- */

static const struct tern_secure_remote *noise_remote(const void *self)
{
    const struct tern_noise *noise = self;
    return noise_in_transport(noise) ? &noise->remote : NULL;
}

static tern_fault noise_fault(const void *self)
{
    const struct tern_noise *noise = self;
    return noise->fault;
}

/* Both handshakes lead to the same channel. */
#define NOISE_OPS(id)                                                                              \
    {                                                                                              \
        .protocol_id = (id),                                                                       \
        .recv = noise_recv,                                                                        \
        .next = noise_next,                                                                        \
        .job_done = noise_job_done,                                                                \
        .control = noise_control,                                                                  \
        .control_pending = noise_control_pending,                                                  \
        .seal_begin = noise_seal_begin,                                                            \
        .seal_end = noise_seal_end,                                                                \
        .remote = noise_remote,                                                                    \
        .fault = noise_fault,                                                                      \
        .fini = noise_fini,                                                                        \
    }

static const struct tern_channel_ops noise_ops = NOISE_OPS(TERN_NOISE_PROTOCOL_ID);
static const struct tern_channel_ops noise_hybrid_ops = NOISE_OPS(TERN_NOISE_HYBRID_PROTOCOL_ID);
