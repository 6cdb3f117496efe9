/*
 * The session: what its owner calls, and the events it is given.
 */
#include "mux/yamux.h"

#include "mux/yamux_internal.h"

tern_err tern_yamux_fail(struct tern_yamux *y, tern_err err, tern_fault fault)
{
    TERN_CHECK(err != TERN_OK && y->error == TERN_OK);
    y->error = err;
    y->fault = fault;
    y->streams.over = true;
    y->goaway = true;
    y->goaway_due = err != TERN_ERR_TIMEOUT; /* to the dead there is nothing to say */
    y->goaway_code =
        fault == TERN_FAULT_NONE ? TERN_YAMUX_GOAWAY_INTERNAL : TERN_YAMUX_GOAWAY_PROTOCOL;
    return err;
}

void tern_yamux_note(struct tern_yamux *y, tern_fault fault)
{
    if (y->metrics != NULL)
        tern_metrics_fault(y->metrics, fault);
}

static tern_err yamux_recv(void *self, tern_time now, struct tern_slice in, size_t *used)
{
    *used = in.view.size;
    return tern_yamux_recv(self, now, in);
}

static void yamux_send(void *self, tern_time now, struct tern_writer *out)
{
    tern_yamux_send(self, now, out);
}

static bool yamux_want_send(const void *self)
{
    return tern_yamux_want_send(self);
}

static tern_time yamux_deadline(const void *self)
{
    return tern_yamux_ping_deadline(self);
}

static void yamux_tick(void *self, tern_time now)
{
    tern_yamux_ping_tick(self, now);
}

static bool yamux_next_of_session(struct tern_yamux *y, struct tern_mux_event *event)
{
    if (y->ping.rtt_event_ns != 0) {
        *event = (struct tern_mux_event){.kind = TERN_MUX_RTT, .rtt_ns = y->ping.rtt_event_ns};
        y->ping.rtt_event_ns = 0;
        return true;
    }
    if (y->remote_goaway_news) {
        *event = (struct tern_mux_event){.kind = TERN_MUX_GOAWAY, .code = y->remote_goaway_code};
        y->remote_goaway_news = false;
        return true;
    }
    return false;
}

static bool yamux_next(void *self, struct tern_mux_event *event)
{
    struct tern_yamux *y = self;
    if (yamux_next_of_session(y, event))
        return true;
    struct tern_mux_stream *stream = tern_mux_streams_next(&y->streams, event);
    if (stream == NULL)
        return false;
    if (event->kind == TERN_MUX_RESET || event->kind == TERN_MUX_CLOSED)
        tern_yamux_drop_id(y, tern_yamux_stream_of(stream));
    return true;
}

static tern_err yamux_open(void *self, enum tern_stream_class class, tern_stream_id *id)
{
    struct tern_yamux *y = self;
    TERN_CHECK(class < TERN_STREAM_CLASS_COUNT);
    *id = TERN_STREAM_NONE;
    /* The last number is never used, so that the next one does not wrap. */
    uint32_t numbers_left = (UINT32_MAX - y->wire_id_next) / 2;
    if (y->error != TERN_OK || y->goaway || y->remote_goaway || numbers_left <= y->unnumbered)
        return TERN_ERR_CLOSED;
    if (y->streams.out_count >= y->streams_out_max || y->unacked >= TERN_YAMUX_BACKLOG_MAX)
        return TERN_ERR_FULL;
    struct tern_yamux_stream *stream;
    TERN_TRY(tern_yamux_stream_new(y, 0, &stream));
    tern_schedule_set_class(&y->streams.schedule, &stream->base.turn, class);
    *id = tern_mux_stream_id(&stream->base);
    return TERN_OK;
}

static void yamux_set_class(void *self, tern_stream_id id, enum tern_stream_class class)
{
    struct tern_yamux *y = self;
    struct tern_mux_stream *stream = tern_mux_stream_find(&y->streams, id);
    if (stream != NULL)
        tern_schedule_set_class(&y->streams.schedule, &stream->turn, class);
}

static tern_err yamux_write(void *self, tern_stream_id id, struct tern_view bytes, size_t *accepted)
{
    struct tern_yamux *y = self;
    struct tern_mux_stream *stream;
    TERN_TRY(tern_mux_stream_write(&y->streams, id, bytes, accepted, &stream));
    tern_yamux_update_ready(y, tern_yamux_stream_of(stream));
    return TERN_OK;
}

static tern_err yamux_write_slice(void *self, tern_stream_id id, struct tern_slice slice)
{
    struct tern_yamux *y = self;
    struct tern_mux_stream *stream;
    TERN_TRY(tern_mux_stream_write_slice(&y->streams, id, slice, &stream));
    tern_yamux_update_ready(y, tern_yamux_stream_of(stream));
    return TERN_OK;
}

static tern_err yamux_read(void *self, tern_stream_id id, struct tern_slice *bytes)
{
    const struct tern_yamux *y = self;
    return tern_mux_stream_read(&y->streams, id, bytes);
}

static void yamux_consume(void *self, tern_stream_id id, size_t size)
{
    struct tern_yamux *y = self;
    struct tern_yamux_stream *stream = tern_yamux_stream_of(tern_mux_stream_find(&y->streams, id));
    if (stream == NULL || size == 0 || (stream->base.flags & MUX_DEAD) != 0)
        return;
    TERN_CHECK(size <= stream->base.in.size);
    tern_mux_queue_drop(&y->streams.pool, &stream->base.in, size);
    TERN_CHECK(tern_yamux_charge(y, stream, stream->base.in.size) == TERN_OK);
    if (tern_yamux_window_due(y, stream))
        tern_yamux_want_control(y, stream);
    tern_yamux_close_if_done(y, stream);
}

static tern_err yamux_close_write(void *self, tern_stream_id id)
{
    struct tern_yamux *y = self;
    struct tern_mux_stream *stream;
    TERN_TRY(tern_mux_stream_close_write(&y->streams, id, &stream));
    tern_yamux_update_ready(y, tern_yamux_stream_of(stream));
    return TERN_OK;
}

static void yamux_reset(void *self, tern_stream_id id, uint32_t code)
{
    struct tern_yamux *y = self;
    struct tern_yamux_stream *stream = tern_yamux_stream_of(tern_mux_stream_find(&y->streams, id));
    if (stream == NULL)
        return;
    if (!(stream->base.flags & MUX_DEAD))
        tern_yamux_abort(y, stream, code);
    tern_yamux_drop_id(y, stream);
}

static void yamux_goaway(void *self, uint32_t code)
{
    struct tern_yamux *y = self;
    if (y->goaway)
        return;
    y->goaway = true;
    y->goaway_due = true;
    y->goaway_code = code;
}

static size_t yamux_unread(const void *self, tern_stream_id id)
{
    const struct tern_yamux *y = self;
    return tern_mux_stream_unread(&y->streams, id);
}

static size_t yamux_queued(const void *self, tern_stream_id id)
{
    const struct tern_yamux *y = self;
    return tern_mux_stream_queued(&y->streams, id);
}

static size_t yamux_streams_count(const void *self)
{
    const struct tern_yamux *y = self;
    return y->streams.slots_used;
}

static tern_err yamux_error(const void *self)
{
    const struct tern_yamux *y = self;
    return y->error;
}

static tern_fault yamux_fault(const void *self)
{
    const struct tern_yamux *y = self;
    return y->fault;
}

static void yamux_fini(void *self)
{
    struct tern_yamux *y = self;
    tern_yamux_streams_fini(y);
    tern_ring_fini(&y->refusals);
    tern_mem_free(y->streams.mem, y, sizeof(*y));
}

static const struct tern_mux_ops yamux_ops = {
    .protocol_id = TERN_YAMUX_PROTOCOL_ID,
    .recv = yamux_recv,
    .next = yamux_next,
    .send = yamux_send,
    .want_send = yamux_want_send,
    .deadline = yamux_deadline,
    .tick = yamux_tick,
    .open = yamux_open,
    .set_class = yamux_set_class,
    .write = yamux_write,
    .write_slice = yamux_write_slice,
    .read = yamux_read,
    .consume = yamux_consume,
    .close_write = yamux_close_write,
    .reset = yamux_reset,
    .goaway = yamux_goaway,
    .unread = yamux_unread,
    .queued = yamux_queued,
    .streams_count = yamux_streams_count,
    .error = yamux_error,
    .fault = yamux_fault,
    .fini = yamux_fini,
};

static uint32_t yamux_or(uint32_t value, uint32_t otherwise)
{
    return value == 0 ? otherwise : value;
}

/* yamux_configure takes the options over; false: one is out of bounds. */
static bool yamux_configure(struct tern_yamux *y, const struct tern_yamux_options *options)
{
    tern_mux_streams_init(
        &y->streams,
        &(struct tern_mux_streams_options){
            .mem = options->mem,
            .scope = options->scope,
            .hash_seed = options->hash_seed,
            .stream_size = sizeof(struct tern_yamux_stream),
            .send_buffer_max = yamux_or(options->send_buffer_max, TERN_YAMUX_SEND_BUFFER_DEFAULT),
        });
    y->windows = options->windows;
    y->metrics = options->metrics;
    y->initiator = options->initiator;
    y->window_max = yamux_or(options->window_max, TERN_YAMUX_WINDOW_DEFAULT);
    y->streams_in_max = yamux_or(options->streams_in_max, TERN_YAMUX_STREAMS_DEFAULT);
    y->streams_out_max = yamux_or(options->streams_out_max, TERN_YAMUX_STREAMS_DEFAULT);
    return y->window_max >= TERN_YAMUX_WINDOW_INITIAL && y->window_max <= TERN_YAMUX_WINDOW_LIMIT &&
           y->streams_in_max <= TERN_YAMUX_STREAMS_LIMIT &&
           y->streams_out_max <= TERN_YAMUX_STREAMS_LIMIT;
}

tern_err tern_yamux_new(const struct tern_yamux_options *options, tern_time now,
                        struct tern_mux *mux)
{
    *mux = (struct tern_mux){.ops = NULL};
    struct tern_yamux *y = tern_mem_zalloc(options->mem, sizeof(*y));
    if (y == NULL)
        return TERN_ERR_MEMORY;
    if (!yamux_configure(y, options)) {
        tern_mem_free(options->mem, y, sizeof(*y));
        return TERN_ERR_INVALID;
    }
    y->wire_id_next = options->initiator ? 1 : 2;
    tern_ring_init(&y->refusals, options->mem, sizeof(struct tern_yamux_refusal),
                   TERN_YAMUX_REFUSALS_MAX);
    tern_yamux_ping_init(y, options, now);
    *mux = (struct tern_mux){.ops = &yamux_ops, .self = y};
    return TERN_OK;
}
