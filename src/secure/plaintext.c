#include "secure/plaintext.h"

#include "base/check.h"
#include "wire/protobuf.h"

enum { EXCHANGE_ID = 1, EXCHANGE_PUBKEY = 2, LENGTH_BYTES_MAX = 2 };
_Static_assert(TERN_PLAINTEXT_EXCHANGE_SIZE_MAX < 1 << 14, "the length fits two varint bytes");

struct tern_plaintext {
    struct tern_mem *mem;
    struct tern_peer_id expected_peer; /* none: anyone */

    struct tern_chunk *out; /* our exchange, until it is sent */
    size_t out_sent;

    struct tern_chunk *in; /* the remote's exchange, while it has come in part */
    size_t in_size;
    size_t length;
    uint8_t length_bytes;

    struct tern_slice data; /* borrowed */
    bool data_pending;
    bool done_pending;
    tern_err err;
    tern_fault fault;

    struct tern_secure_remote remote; /* peer_id is NULL until the exchange is checked */
    struct tern_peer_id remote_id;
    struct tern_public_key remote_key;
};

static const struct tern_channel_ops plaintext_ops;

static tern_err plaintext_fail(struct tern_plaintext *plain, tern_err err, tern_fault fault)
{
    TERN_CHECK(err != TERN_OK && plain->err == TERN_OK);
    plain->err = err;
    plain->fault = fault;
    return err;
}

static struct tern_chunk *plaintext_encode(struct tern_mem *mem,
                                           const struct tern_private_key *host_key)
{
    uint8_t key_bytes[TERN_PUBLIC_KEY_SIZE_MAX];
    struct tern_writer key = tern_writer_of(key_bytes, sizeof key_bytes);
    tern_public_key_encode(&host_key->public_key, &key);
    TERN_CHECK(tern_writer_ok(&key));
    struct tern_peer_id id;
    tern_public_key_peer_id(&host_key->public_key, &id);
    struct tern_view id_bytes = tern_peer_id_view(&id);

    size_t size = tern_pb_bytes_size(EXCHANGE_ID, id_bytes.size) +
                  tern_pb_bytes_size(EXCHANGE_PUBKEY, key.size);
    struct tern_chunk *chunk = tern_chunk_new(mem, size + tern_uvarint_size(size));
    if (chunk == NULL)
        return NULL;
    struct tern_writer w = tern_writer_of(chunk->data, size + tern_uvarint_size(size));
    tern_writer_uvarint(&w, size);
    tern_pb_write_bytes(&w, EXCHANGE_ID, id_bytes);
    tern_pb_write_bytes(&w, EXCHANGE_PUBKEY, tern_writer_view(&key));
    TERN_CHECK(tern_writer_ok(&w) && tern_writer_left(&w) == 0);
    chunk->size = (uint32_t)w.size;
    return chunk;
}

tern_err tern_plaintext_new(const struct tern_plaintext_options *options,
                            struct tern_channel *secure)
{
    struct tern_plaintext *plain = tern_mem_zalloc(options->mem, sizeof *plain);
    if (plain == NULL)
        return TERN_ERR_MEMORY;
    plain->mem = options->mem;
    if (options->expected_peer != NULL)
        plain->expected_peer = *options->expected_peer;
    plain->out = plaintext_encode(options->mem, options->host_key);
    if (plain->out == NULL) {
        tern_mem_free(options->mem, plain, sizeof *plain);
        return TERN_ERR_MEMORY;
    }
    *secure = (struct tern_channel){.ops = &plaintext_ops, .self = plain};
    return TERN_OK;
}

static void plaintext_fini(void *self)
{
    struct tern_plaintext *plain = self;
    tern_chunk_unref(plain->out);
    tern_chunk_unref(plain->in);
    if (plain->remote.public_key != NULL)
        tern_public_key_fini(&plain->remote_key);
    tern_mem_free(plain->mem, plain, sizeof *plain);
}

/* ---- receiving ---- */

static tern_err plaintext_accept(struct tern_plaintext *plain, struct tern_view id,
                                 struct tern_view key)
{
    tern_err err = tern_public_key_decode(key, &plain->remote_key);
    if (err == TERN_ERR_MEMORY)
        return plaintext_fail(plain, err, TERN_FAULT_NONE);
    if (err != TERN_OK)
        return plaintext_fail(plain, err, TERN_FAULT_PLAINTEXT_BAD_KEY);
    tern_public_key_peer_id(&plain->remote_key, &plain->remote_id);
    tern_fault fault = TERN_FAULT_NONE;
    if (!tern_view_equal(id, tern_peer_id_view(&plain->remote_id)))
        fault = TERN_FAULT_PLAINTEXT_BAD_KEY;
    else if (!tern_peer_id_is_none(&plain->expected_peer) &&
             !tern_peer_id_equal(&plain->expected_peer, &plain->remote_id))
        fault = TERN_FAULT_PLAINTEXT_WRONG_PEER;
    if (fault != TERN_FAULT_NONE) {
        tern_public_key_fini(&plain->remote_key);
        return plaintext_fail(plain, TERN_ERR_PEER_MISMATCH, fault);
    }
    plain->remote.peer_id = &plain->remote_id;
    plain->remote.public_key = &plain->remote_key;
    plain->done_pending = true;
    return TERN_OK;
}

static tern_err plaintext_exchange(struct tern_plaintext *plain, struct tern_view message)
{
    struct tern_view id = {.data = NULL};
    struct tern_view key = {.data = NULL};
    struct tern_pb_iter it = tern_pb_iter_of(message);
    struct tern_pb_field field;
    while (tern_pb_next(&it, &field)) {
        if (field.tag == TERN_PB_TAG(EXCHANGE_ID, TERN_PB_BYTES))
            id = field.bytes;
        else if (field.tag == TERN_PB_TAG(EXCHANGE_PUBKEY, TERN_PB_BYTES))
            key = field.bytes;
    }
    tern_err err = tern_pb_end(&it);
    if (err != TERN_OK)
        return plaintext_fail(plain, err, TERN_FAULT_PLAINTEXT_BAD_EXCHANGE);
    return plaintext_accept(plain, id, key);
}

static tern_err plaintext_length_byte(struct tern_plaintext *plain, uint8_t byte)
{
    plain->length |= (size_t)(byte & 0x7f) << (7 * plain->length_bytes);
    plain->length_bytes++;
    bool last = (byte & 0x80) == 0;
    if (!last && plain->length_bytes < LENGTH_BYTES_MAX)
        return TERN_OK;
    bool minimal = byte != 0 || plain->length_bytes == 1;
    if (!last || !minimal || plain->length == 0 || plain->length > TERN_PLAINTEXT_EXCHANGE_SIZE_MAX)
        return plaintext_fail(plain, TERN_ERR_MALFORMED, TERN_FAULT_PLAINTEXT_BAD_EXCHANGE);
    plain->in = tern_chunk_new(plain->mem, plain->length);
    if (plain->in == NULL)
        return plaintext_fail(plain, TERN_ERR_MEMORY, TERN_FAULT_NONE);
    return TERN_OK;
}

/* Takes bytes of the remote's exchange; returns how many. */
static size_t plaintext_handshake(struct tern_plaintext *plain, struct tern_view in, tern_err *err)
{
    if (plain->in == NULL) {
        *err = plaintext_length_byte(plain, in.data[0]);
        return 1;
    }
    struct tern_chunk *message = plain->in;
    size_t size = tern_min_size(plain->length - message->size, in.size);
    memcpy(message->data + message->size, in.data, size);
    message->size += (uint32_t)size;
    if (message->size < plain->length)
        return size;
    *err = plaintext_exchange(plain, tern_chunk_view(message));
    tern_chunk_unref(message);
    plain->in = NULL;
    return size;
}

static tern_err plaintext_recv(void *self, tern_time now, struct tern_slice in, size_t *used)
{
    (void)now;
    struct tern_plaintext *plain = self;
    *used = 0;
    while (*used < in.view.size && plain->err == TERN_OK && !plain->done_pending &&
           !plain->data_pending) {
        struct tern_view rest = tern_view_of(in.view.data + *used, in.view.size - *used);
        if (plain->remote.peer_id != NULL) {
            plain->data = (struct tern_slice){.chunk = in.chunk, .view = rest};
            plain->data_pending = true;
            *used = in.view.size;
            break;
        }
        tern_err err = TERN_OK;
        *used += plaintext_handshake(plain, rest, &err);
        TERN_CHECK(err == plain->err);
    }
    return plain->err;
}

static bool plaintext_next(void *self, struct tern_channel_event *event)
{
    struct tern_plaintext *plain = self;
    *event = (struct tern_channel_event){.kind = TERN_CHANNEL_HANDSHAKE_DONE};
    if (plain->done_pending) {
        plain->done_pending = false;
        return true;
    }
    if (plain->data_pending) {
        plain->data_pending = false;
        event->kind = TERN_CHANNEL_DATA;
        event->data = plain->data;
        return true;
    }
    return false;
}

static tern_err plaintext_job_done(void *self, tern_time now, struct tern_job *job)
{
    (void)self;
    (void)now;
    (void)job;
    TERN_UNREACHABLE(); /* there are no jobs */
}

/* ---- sending ---- */

static bool plaintext_control_pending(const void *self)
{
    const struct tern_plaintext *plain = self;
    return plain->err == TERN_OK && plain->out != NULL;
}

static void plaintext_control(void *self, tern_time now, struct tern_writer *out)
{
    (void)now;
    struct tern_plaintext *plain = self;
    if (!plaintext_control_pending(plain))
        return;
    size_t left = plain->out->size - plain->out_sent;
    size_t size = tern_min_size(left, tern_writer_left(out));
    tern_writer_bytes(out, tern_view_of(plain->out->data + plain->out_sent, size));
    plain->out_sent += size;
    if (size < left)
        return;
    tern_chunk_unref(plain->out);
    plain->out = NULL;
}

static struct tern_span plaintext_seal_begin(void *self, struct tern_writer *out)
{
    struct tern_plaintext *plain = self;
    if (plain->err != TERN_OK || plain->remote.peer_id == NULL || plain->out != NULL ||
        out->overflow || tern_writer_left(out) == 0)
        return (struct tern_span){.data = NULL};
    return (struct tern_span){.data = out->data + out->size, .size = tern_writer_left(out)};
}

static void plaintext_seal_end(void *self, struct tern_writer *out, size_t size)
{
    (void)self;
    uint8_t *at = tern_writer_reserve(out, size); /* the caller's bytes are there already */
    TERN_CHECK(at != NULL || size == 0);
}

/* ---- telling ---- */

static const struct tern_secure_remote *plaintext_remote(const void *self)
{
    const struct tern_plaintext *plain = self;
    return plain->remote.peer_id != NULL ? &plain->remote : NULL;
}

static tern_fault plaintext_fault(const void *self)
{
    const struct tern_plaintext *plain = self;
    return plain->fault;
}

static const struct tern_channel_ops plaintext_ops = {
    .protocol_id = TERN_PLAINTEXT_PROTOCOL_ID,
    .recv = plaintext_recv,
    .next = plaintext_next,
    .job_done = plaintext_job_done,
    .control = plaintext_control,
    .control_pending = plaintext_control_pending,
    .seal_begin = plaintext_seal_begin,
    .seal_end = plaintext_seal_end,
    .remote = plaintext_remote,
    .fault = plaintext_fault,
    .fini = plaintext_fini,
};
