#include "websocket/websocket.h"

#include "websocket/websocket_internal.h"

static const struct tern_channel_ops websocket_ops;

tern_err tern_websocket_fail(struct tern_websocket *ws, tern_err err, tern_fault fault)
{
    TERN_CHECK(err != TERN_OK && ws->err == TERN_OK);
    ws->err = err;
    ws->fault = fault;
    ws->state = TERN_WEBSOCKET_FAILED;
    ws->pong_due = false;
    return err;
}

void tern_websocket_say_close(struct tern_websocket *ws, uint16_t code)
{
    if (ws->close_due || ws->close_sent)
        return;
    ws->close_due = true;
    ws->close_code = code;
}

/* --- life --- */

static bool websocket_host_good(struct tern_view host)
{
    for (size_t i = 0; i < host.size; i++)
        if (host.data[i] <= ' ' || host.data[i] > '~')
            return false;
    return host.size > 0 && host.size <= TERN_WEBSOCKET_HOST_SIZE_MAX;
}

tern_err tern_websocket_new(const struct tern_websocket_options *options,
                            struct tern_channel *channel)
{
    bool client = options->role == TERN_ROLE_INITIATOR;
    if (client && !websocket_host_good(options->host))
        return TERN_ERR_INVALID;
    struct tern_websocket *ws = tern_mem_zalloc(options->mem, sizeof *ws);
    if (ws == NULL)
        return TERN_ERR_MEMORY;
    ws->mem = options->mem;
    ws->random = options->random;
    ws->role = options->role;
    tern_err err = client ? tern_websocket_request(ws, options->host) : TERN_OK;
    if (err != TERN_OK) {
        tern_mem_free(options->mem, ws, sizeof *ws);
        return err;
    }
    *channel = (struct tern_channel){.ops = &websocket_ops, .self = ws};
    return TERN_OK;
}

static void websocket_fini(void *self)
{
    struct tern_websocket *ws = self;
    tern_chunk_unref(ws->head);
    tern_chunk_unref(ws->out);
    tern_mem_free(ws->mem, ws, sizeof *ws);
}

/* --- receiving --- */

static bool websocket_is_busy(const struct tern_websocket *ws)
{
    return ws->done_pending || ws->data_pending || ws->end_pending;
}

static tern_err websocket_recv(void *self, tern_time now, struct tern_slice in, size_t *used)
{
    struct tern_websocket *ws = self;
    (void)now;
    *used = 0;
    while (*used < in.view.size && ws->err == TERN_OK && !websocket_is_busy(ws)) {
        struct tern_slice rest = {.chunk = in.chunk,
                                  .view = tern_view_part(in.view, *used, in.view.size - *used)};
        if (ws->state == TERN_WEBSOCKET_OPENING)
            *used += tern_websocket_open(ws, rest.view);
        else if (ws->state == TERN_WEBSOCKET_OPEN)
            *used += tern_websocket_frames(ws, rest);
        else
            *used = in.view.size; /* behind Close */
    }
    return ws->err;
}

static bool websocket_next(void *self, struct tern_channel_event *event)
{
    struct tern_websocket *ws = self;
    *event = (struct tern_channel_event){.kind = TERN_CHANNEL_HANDSHAKE_DONE};
    if (ws->done_pending) {
        ws->done_pending = false;
        return true;
    }
    if (ws->data_pending) {
        ws->data_pending = false;
        event->kind = TERN_CHANNEL_DATA;
        event->data = ws->data;
        return true;
    }
    if (ws->end_pending) {
        ws->end_pending = false;
        event->kind = TERN_CHANNEL_END;
        return true;
    }
    return false;
}

static tern_err websocket_job_done(void *self, tern_time now, struct tern_job *job)
{
    (void)self;
    (void)now;
    (void)job;
    TERN_UNREACHABLE(); /* there are no jobs */
}

/* --- sending --- */

static bool websocket_control_pending(const void *self)
{
    const struct tern_websocket *ws = self;
    return ws->out != NULL || ws->pong_due || ws->close_due;
}

/* websocket_key gives a client's frame its key; NULL: a server's has none. */
static const uint8_t *websocket_key(struct tern_websocket *ws, uint8_t key[TERN_WEBSOCKET_KEY_SIZE])
{
    if (ws->role == TERN_ROLE_RESPONDER)
        return NULL;
    tern_random_bytes(ws->random, key, TERN_WEBSOCKET_KEY_SIZE);
    return key;
}

static void websocket_control_frame(struct tern_websocket *ws, enum tern_websocket_opcode opcode,
                                    struct tern_view payload, struct tern_writer *out)
{
    uint8_t bytes[TERN_WEBSOCKET_HEADER_MAX + TERN_WEBSOCKET_CONTROL_MAX];
    uint8_t buffer[TERN_WEBSOCKET_KEY_SIZE];
    const uint8_t *key = websocket_key(ws, buffer);
    size_t header = tern_websocket_header_write(bytes, opcode, payload.size, key);
    tern_copy(bytes + header, payload.data, payload.size);
    if (key != NULL)
        tern_websocket_mask((struct tern_span){bytes + header, payload.size}, key, 0);
    tern_writer_bytes(out, tern_view_of(bytes, header + payload.size));
}

/* websocket_head writes what is left of our head; true: all of it has gone. */
static bool websocket_head(struct tern_websocket *ws, struct tern_writer *out)
{
    if (ws->out == NULL)
        return true;
    size_t left = ws->out->size - ws->out_sent;
    size_t size = tern_min_size(left, tern_writer_left(out));
    tern_writer_bytes(out, tern_view_of(ws->out->data + ws->out_sent, size));
    ws->out_sent += size;
    if (size < left)
        return false;
    tern_chunk_unref(ws->out);
    ws->out = NULL;
    return true;
}

static void websocket_control(void *self, tern_time now, struct tern_writer *out)
{
    struct tern_websocket *ws = self;
    const size_t frame_max = TERN_WEBSOCKET_HEADER_MAX + TERN_WEBSOCKET_CONTROL_MAX;
    (void)now;
    if (!websocket_head(ws, out))
        return;
    if (ws->pong_due && tern_writer_left(out) >= frame_max) {
        websocket_control_frame(ws, TERN_WEBSOCKET_PONG,
                                tern_view_of(ws->control, ws->control_size), out);
        ws->pong_due = false;
    }
    if (!ws->close_due || tern_writer_left(out) < frame_max)
        return;
    const uint8_t code[] = {(uint8_t)(ws->close_code >> 8), (uint8_t)ws->close_code};
    size_t size = ws->close_code == TERN_WEBSOCKET_CODE_NONE ? 0 : sizeof code;
    websocket_control_frame(ws, TERN_WEBSOCKET_CLOSE, tern_view_of(code, size), out);
    ws->close_due = false;
    ws->close_sent = true;
}

/* The header before a payload of the largest size. */
static size_t websocket_overhead(const struct tern_websocket *ws)
{
    size_t key = ws->role == TERN_ROLE_INITIATOR ? TERN_WEBSOCKET_KEY_SIZE : 0;
    return TERN_WEBSOCKET_OVERHEAD_MAX - TERN_WEBSOCKET_KEY_SIZE + key;
}

static struct tern_span websocket_seal_begin(void *self, struct tern_writer *out)
{
    struct tern_websocket *ws = self;
    size_t left = tern_writer_left(out);
    size_t overhead = websocket_overhead(ws);
    bool may = ws->state == TERN_WEBSOCKET_OPEN && !ws->close_sent;
    if (!may || websocket_control_pending(ws) || out->overflow ||
        left < overhead + TERN_WEBSOCKET_ROOM_MIN)
        return (struct tern_span){.data = NULL};
    return (struct tern_span){
        .data = out->data + out->size + overhead,
        .size = tern_min_size(left - overhead, TERN_WEBSOCKET_PAYLOAD_MAX),
    };
}

static void websocket_seal_end(void *self, struct tern_writer *out, size_t size)
{
    struct tern_websocket *ws = self;
    if (size == 0)
        return;
    TERN_CHECK(size <= TERN_WEBSOCKET_PAYLOAD_MAX);
    uint8_t *at = out->data + out->size;
    uint8_t buffer[TERN_WEBSOCKET_KEY_SIZE];
    const uint8_t *key = websocket_key(ws, buffer);
    size_t header = tern_websocket_header_write(at, TERN_WEBSOCKET_BINARY, size, key);
    size_t room = websocket_overhead(ws);
    if (header < room)
        memmove(at + header, at + room, size);
    if (key != NULL)
        tern_websocket_mask((struct tern_span){at + header, size}, key, 0);
    TERN_CHECK(tern_writer_reserve(out, header + size) == at);
}

static void websocket_shut(void *self)
{
    struct tern_websocket *ws = self;
    if (ws->state == TERN_WEBSOCKET_OPEN)
        tern_websocket_say_close(ws, TERN_WEBSOCKET_CODE_NORMAL);
}

/* --- telling --- */

static tern_fault websocket_fault(const void *self)
{
    const struct tern_websocket *ws = self;
    return ws->fault;
}

static const struct tern_channel_ops websocket_ops = {
    .protocol_id = "websocket",
    .recv = websocket_recv,
    .next = websocket_next,
    .job_done = websocket_job_done,
    .control = websocket_control,
    .control_pending = websocket_control_pending,
    .seal_begin = websocket_seal_begin,
    .seal_end = websocket_seal_end,
    .shut = websocket_shut,
    .fault = websocket_fault,
    .fini = websocket_fini,
};
