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

bool tern_yamux_bucket_take(struct tern_yamux_bucket *bucket, tern_time now, uint32_t burst,
                            tern_time interval_ns)
{
    tern_time leaked = tern_time_since(now, bucket->leaked_at) / interval_ns;
    if (leaked >= bucket->level) {
        bucket->level = 0;
        bucket->leaked_at = now;
    } else {
        bucket->level -= (uint32_t)leaked;
        bucket->leaked_at += leaked * interval_ns;
    }
    if (bucket->level >= burst)
        return false;
    bucket->level++;
    return true;
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

/* yamux_take_news takes the first of the stream's events out. */
static uint32_t yamux_take_news(struct tern_yamux_stream *stream)
{
    static const uint32_t order[] = {YAMUX_NEWS_OPENED, YAMUX_NEWS_READABLE, YAMUX_NEWS_WRITABLE,
                                     YAMUX_NEWS_RESET, YAMUX_NEWS_CLOSED};
    uint32_t all = 0;
    uint32_t first = 0;
    for (size_t i = 0; i < TERN_COUNT_OF(order); i++) {
        all |= order[i];
        if (first == 0 && (stream->flags & order[i]) != 0)
            first = order[i];
    }
    TERN_CHECK(first != 0);
    stream->flags &= ~first;
    if ((stream->flags & all) == 0)
        tern_list_remove(&stream->news);
    return first;
}

static enum tern_mux_event_kind yamux_event_kind(uint32_t news)
{
    switch (news) {
    case YAMUX_NEWS_OPENED:
        return TERN_MUX_STREAM_OPENED;
    case YAMUX_NEWS_READABLE:
        return TERN_MUX_READABLE;
    case YAMUX_NEWS_WRITABLE:
        return TERN_MUX_WRITABLE;
    case YAMUX_NEWS_RESET:
        return TERN_MUX_RESET;
    case YAMUX_NEWS_CLOSED:
        return TERN_MUX_CLOSED;
    default:
        TERN_UNREACHABLE();
    }
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
    struct tern_list *node = tern_list_front(&y->news);
    if (node == NULL)
        return false;
    struct tern_yamux_stream *stream = TERN_LIST_ENTRY(node, struct tern_yamux_stream, news);
    uint32_t news = yamux_take_news(stream);
    *event = (struct tern_mux_event){
        .kind = yamux_event_kind(news),
        .stream = tern_yamux_id(stream),
        .code = news == YAMUX_NEWS_RESET ? stream->code : 0,
    };
    if (news == YAMUX_NEWS_RESET || news == YAMUX_NEWS_CLOSED)
        tern_yamux_drop_id(y, stream);
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
    if (y->streams_out >= y->streams_out_max || y->unacked >= TERN_YAMUX_BACKLOG_MAX)
        return TERN_ERR_FULL;
    struct tern_yamux_stream *stream;
    TERN_TRY(tern_yamux_stream_new(y, 0, &stream));
    tern_schedule_set_class(&y->schedule, &stream->turn, class);
    *id = tern_yamux_id(stream);
    return TERN_OK;
}

static void yamux_set_class(void *self, tern_stream_id id, enum tern_stream_class class)
{
    struct tern_yamux *y = self;
    struct tern_yamux_stream *stream = tern_yamux_find(y, id);
    if (stream != NULL)
        tern_schedule_set_class(&y->schedule, &stream->turn, class);
}

/* yamux_writable finds a stream that may be written to. */
static tern_err yamux_writable(const struct tern_yamux *y, tern_stream_id id,
                               struct tern_yamux_stream **stream)
{
    *stream = tern_yamux_find(y, id);
    if (*stream == NULL)
        return TERN_ERR_STALE;
    if ((*stream)->flags & YAMUX_DEAD)
        return TERN_ERR_RESET;
    if (y->error != TERN_OK || ((*stream)->flags & YAMUX_FIN_ASKED) != 0)
        return TERN_ERR_CLOSED;
    return TERN_OK;
}

static size_t yamux_write_room(const struct tern_yamux *y, const struct tern_yamux_stream *stream)
{
    size_t queued = stream->out.size;
    return queued >= y->send_buffer_max ? 0 : y->send_buffer_max - queued;
}

static tern_err yamux_write(void *self, tern_stream_id id, struct tern_view bytes, size_t *accepted)
{
    struct tern_yamux *y = self;
    struct tern_yamux_stream *stream;
    *accepted = 0;
    TERN_TRY(yamux_writable(y, id, &stream));
    if (bytes.size == 0) {
        if (!(stream->flags & YAMUX_INBOUND) && stream->wire_id == 0) {
            stream->flags |= YAMUX_ANNOUNCE;
            tern_yamux_want_control(y, stream);
        }
        return TERN_OK;
    }
    size_t size = tern_min_size(bytes.size, yamux_write_room(y, stream));
    if (size > 0) {
        TERN_TRY(tern_scope_reserve(y->scope, TERN_RESOURCE_MEMORY, size, NULL));
        *accepted = tern_mux_queue_copy(&y->pool, &stream->out, tern_view_of(bytes.data, size));
        if (*accepted < size)
            tern_scope_release(y->scope, TERN_RESOURCE_MEMORY, size - *accepted);
        if (*accepted == 0)
            return TERN_ERR_MEMORY;
    }
    if (*accepted < bytes.size)
        stream->flags |= YAMUX_WRITE_SHORT;
    tern_yamux_update_ready(y, stream);
    return TERN_OK;
}

/* yamux_queue_slice appends a slice, all or nothing. False: no memory. */
static bool yamux_queue_slice(struct tern_yamux *y, struct tern_yamux_stream *stream,
                              struct tern_slice slice)
{
    if (slice.view.size < TERN_MUX_COPY_MAX)
        return tern_mux_queue_put(&y->pool, &stream->out, slice.view);
    if (slice.chunk != NULL)
        return tern_mux_queue_refer(&y->pool, &stream->out, slice);
    slice.chunk = tern_chunk_copy(y->mem, slice.view);
    if (slice.chunk == NULL)
        return false;
    slice.view = tern_chunk_view(slice.chunk);
    bool ok = tern_mux_queue_refer(&y->pool, &stream->out, slice);
    tern_chunk_unref(slice.chunk);
    return ok;
}

static tern_err yamux_write_slice(void *self, tern_stream_id id, struct tern_slice slice)
{
    struct tern_yamux *y = self;
    struct tern_yamux_stream *stream;
    size_t size = slice.view.size;
    if (size == 0)
        return yamux_write(self, id, slice.view, &size);
    TERN_TRY(yamux_writable(y, id, &stream));
    if (stream->out.size > 0 && size > yamux_write_room(y, stream)) {
        stream->flags |= YAMUX_WRITE_SHORT;
        return TERN_ERR_AGAIN;
    }
    if (size > TERN_CHUNK_CAPACITY_MAX)
        return TERN_ERR_MEMORY;
    TERN_TRY(tern_scope_reserve(y->scope, TERN_RESOURCE_MEMORY, size, NULL));
    if (!yamux_queue_slice(y, stream, slice)) {
        tern_scope_release(y->scope, TERN_RESOURCE_MEMORY, size);
        return TERN_ERR_MEMORY;
    }
    tern_yamux_update_ready(y, stream);
    return TERN_OK;
}

static tern_err yamux_read(void *self, tern_stream_id id, struct tern_slice *bytes)
{
    struct tern_yamux *y = self;
    *bytes = (struct tern_slice){.chunk = NULL};
    const struct tern_yamux_stream *stream = tern_yamux_find(y, id);
    if (stream == NULL)
        return TERN_ERR_STALE;
    if (stream->flags & YAMUX_DEAD)
        return TERN_ERR_RESET;
    if (stream->in.size > 0) {
        *bytes = tern_mux_queue_front(&stream->in);
        return TERN_OK;
    }
    return stream->flags & YAMUX_FIN_RECEIVED ? TERN_ERR_END : TERN_ERR_AGAIN;
}

static void yamux_consume(void *self, tern_stream_id id, size_t size)
{
    struct tern_yamux *y = self;
    struct tern_yamux_stream *stream = tern_yamux_find(y, id);
    if (stream == NULL || size == 0 || (stream->flags & YAMUX_DEAD) != 0)
        return;
    TERN_CHECK(size <= stream->in.size);
    tern_mux_queue_drop(&y->pool, &stream->in, size);
    TERN_CHECK(tern_yamux_charge(y, stream, stream->in.size) == TERN_OK);
    if (tern_yamux_window_due(y, stream))
        tern_yamux_want_control(y, stream);
    tern_yamux_close_if_done(y, stream);
}

static tern_err yamux_close_write(void *self, tern_stream_id id)
{
    struct tern_yamux *y = self;
    struct tern_yamux_stream *stream = tern_yamux_find(y, id);
    if (stream == NULL)
        return TERN_ERR_STALE;
    if (stream->flags & YAMUX_DEAD)
        return TERN_ERR_RESET;
    stream->flags |= YAMUX_FIN_ASKED;
    stream->flags &= ~(uint32_t)YAMUX_WRITE_SHORT;
    tern_yamux_update_ready(y, stream);
    return TERN_OK;
}

static void yamux_reset(void *self, tern_stream_id id, uint32_t code)
{
    struct tern_yamux *y = self;
    struct tern_yamux_stream *stream = tern_yamux_find(y, id);
    if (stream == NULL)
        return;
    if (!(stream->flags & YAMUX_DEAD))
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
    const struct tern_yamux_stream *stream = tern_yamux_find(self, id);
    return stream == NULL ? 0 : stream->in.size;
}

static size_t yamux_queued(const void *self, tern_stream_id id)
{
    const struct tern_yamux_stream *stream = tern_yamux_find(self, id);
    return stream == NULL ? 0 : stream->out.size;
}

static size_t yamux_streams_count(const void *self)
{
    const struct tern_yamux *y = self;
    return y->slots_used;
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
    tern_yamux_tables_fini(y);
    tern_ring_fini(&y->refusals);
    tern_mem_free(y->mem, y, sizeof(*y));
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
    y->mem = options->mem;
    y->scope = options->scope;
    y->windows = options->windows;
    y->metrics = options->metrics;
    y->hash_seed = options->hash_seed;
    y->initiator = options->initiator;
    y->window_max = yamux_or(options->window_max, TERN_YAMUX_WINDOW_DEFAULT);
    y->send_buffer_max = yamux_or(options->send_buffer_max, TERN_YAMUX_SEND_BUFFER_DEFAULT);
    y->streams_in_max = yamux_or(options->streams_in_max, TERN_YAMUX_STREAMS_DEFAULT);
    y->streams_out_max = yamux_or(options->streams_out_max, TERN_YAMUX_STREAMS_DEFAULT);
    return y->window_max >= TERN_YAMUX_WINDOW_INITIAL && y->window_max <= TERN_YAMUX_WINDOW_LIMIT &&
           y->streams_in_max <= TERN_YAMUX_STREAMS_LIMIT &&
           y->streams_out_max <= TERN_YAMUX_STREAMS_LIMIT;
}

tern_err tern_yamux_new(const struct tern_yamux_options *options, tern_time now,
                        struct tern_mux *mux)
{
    TERN_CHECK(options->mem != NULL && options->scope != NULL);
    *mux = (struct tern_mux){.ops = NULL};
    struct tern_yamux *y = tern_mem_zalloc(options->mem, sizeof(*y));
    if (y == NULL)
        return TERN_ERR_MEMORY;
    if (!yamux_configure(y, options)) {
        tern_mem_free(options->mem, y, sizeof(*y));
        return TERN_ERR_INVALID;
    }
    y->slots_free = TERN_YAMUX_NO_SLOT;
    y->wire_id_next = options->initiator ? 1 : 2;
    y->pool.mem = options->mem;
    tern_list_init(&y->control);
    tern_list_init(&y->news);
    tern_schedule_init(&y->schedule);
    tern_ring_init(&y->refusals, options->mem, sizeof(struct tern_yamux_refusal),
                   TERN_YAMUX_REFUSALS_MAX);
    tern_yamux_ping_init(y, options, now);
    *mux = (struct tern_mux){.ops = &yamux_ops, .self = y};
    return TERN_OK;
}
