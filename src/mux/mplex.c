/*
 * The session: lives of streams, what its owner calls, and the events it is given.
 */
#include "mux/mplex.h"

#include "mux/mplex_internal.h"

tern_err tern_mplex_fail(struct tern_mplex *m, tern_err err, tern_fault fault)
{
    TERN_CHECK(err != TERN_OK && m->error == TERN_OK);
    m->error = err;
    m->fault = fault;
    m->goaway = true;
    m->streams.over = true;
    return err;
}

void tern_mplex_note(struct tern_mplex *m, tern_fault fault)
{
    if (m->metrics != NULL)
        tern_metrics_fault(m->metrics, fault);
}

/* --- lives --- */

void tern_mplex_stream_end(struct tern_mplex *m, struct tern_mux_stream *stream)
{
    TERN_CHECK(m->unread >= stream->in.size);
    m->unread -= stream->in.size;
    if (m->payload_stream == stream)
        m->payload_stream = NULL;
    tern_mux_stream_end(&m->streams, stream);
    tern_mplex_relieve(m);
}

static void mplex_free(struct tern_mplex *m, struct tern_mux_stream *stream)
{
    tern_mplex_stream_end(m, stream);
    if (stream->wire_id == 0) {
        TERN_CHECK(m->unnumbered > 0);
        m->unnumbered--;
    }
    tern_mux_stream_free(&m->streams, stream);
}

void tern_mplex_settle(struct tern_mplex *m, struct tern_mux_stream *stream)
{
    if (stream->slot == TERN_MUX_NO_SLOT && !(stream->flags & MUX_RST_DUE))
        mplex_free(m, stream);
}

void tern_mplex_drop_id(struct tern_mplex *m, struct tern_mux_stream *stream)
{
    tern_mux_stream_drop_id(&m->streams, stream);
    tern_mplex_settle(m, stream);
}

void tern_mplex_abort(struct tern_mplex *m, struct tern_mux_stream *stream, uint32_t code)
{
    const uint32_t both = MUX_FIN_SENT | MUX_FIN_RECEIVED;
    bool known = stream->wire_id != 0 && (stream->flags & both) != both;
    tern_mplex_stream_end(m, stream);
    stream->code = code;
    stream->flags |= MUX_DEAD;
    if (known) {
        stream->flags |= MUX_RST_DUE;
        tern_mux_stream_want_control(&m->streams, stream);
    }
}

void tern_mplex_close_if_done(struct tern_mplex *m, struct tern_mux_stream *stream)
{
    if (!tern_mux_stream_ended(stream))
        return;
    tern_mplex_stream_end(m, stream);
    tern_mux_stream_say(&m->streams, stream, MUX_NEWS_CLOSED);
}

void tern_mplex_update_ready(struct tern_mplex *m, struct tern_mux_stream *stream)
{
    if (stream->out.size > 0 || tern_mux_stream_fin_due(stream))
        tern_schedule_add(&m->streams.schedule, &stream->turn);
    else
        tern_schedule_remove(&m->streams.schedule, &stream->turn);
}

/* --- the owner's calls --- */

static tern_err mplex_recv(void *self, tern_time now, struct tern_slice in, size_t *used)
{
    return tern_mplex_recv(self, now, in, used);
}

static bool mplex_next(void *self, struct tern_mux_event *event)
{
    struct tern_mplex *m = self;
    struct tern_mux_stream *stream = tern_mux_streams_next(&m->streams, event);
    if (stream == NULL)
        return false;
    if (event->kind == TERN_MUX_RESET || event->kind == TERN_MUX_CLOSED)
        tern_mplex_drop_id(m, stream);
    return true;
}

static void mplex_send(void *self, tern_time now, struct tern_writer *out)
{
    (void)now;
    tern_mplex_send(self, out);
}

static bool mplex_want_send(const void *self)
{
    return tern_mplex_want_send(self);
}

static tern_time mplex_deadline(const void *self)
{
    return tern_mplex_deadline(self);
}

static void mplex_tick(void *self, tern_time now)
{
    tern_mplex_tick(self, now);
}

static tern_err mplex_open(void *self, enum tern_stream_class class, tern_stream_id *id)
{
    struct tern_mplex *m = self;
    struct tern_mux_stream *stream;
    *id = TERN_STREAM_NONE;
    uint64_t ids_left = (UINT64_C(1) << 60) - m->id_next;
    if (m->goaway || ids_left <= m->unnumbered)
        return TERN_ERR_CLOSED;
    if (m->streams.out_count >= m->streams_out_max)
        return TERN_ERR_FULL;
    TERN_TRY(tern_mux_stream_new(&m->streams, 0, &stream));
    m->unnumbered++;
    tern_schedule_set_class(&m->streams.schedule, &stream->turn, class);
    *id = tern_mux_stream_id(stream);
    return TERN_OK;
}

static void mplex_set_class(void *self, tern_stream_id id, enum tern_stream_class class)
{
    struct tern_mplex *m = self;
    struct tern_mux_stream *stream = tern_mux_stream_find(&m->streams, id);
    if (stream != NULL)
        tern_schedule_set_class(&m->streams.schedule, &stream->turn, class);
}

static tern_err mplex_write(void *self, tern_stream_id id, struct tern_view bytes, size_t *accepted)
{
    struct tern_mplex *m = self;
    struct tern_mux_stream *stream;
    TERN_TRY(tern_mux_stream_write(&m->streams, id, bytes, accepted, &stream));
    tern_mplex_update_ready(m, stream);
    return TERN_OK;
}

static tern_err mplex_write_slice(void *self, tern_stream_id id, struct tern_slice slice)
{
    struct tern_mplex *m = self;
    struct tern_mux_stream *stream;
    TERN_TRY(tern_mux_stream_write_slice(&m->streams, id, slice, &stream));
    tern_mplex_update_ready(m, stream);
    return TERN_OK;
}

static tern_err mplex_read(void *self, tern_stream_id id, struct tern_slice *bytes)
{
    const struct tern_mplex *m = self;
    return tern_mux_stream_read(&m->streams, id, bytes);
}

static void mplex_consume(void *self, tern_stream_id id, size_t size)
{
    struct tern_mplex *m = self;
    struct tern_mux_stream *stream = tern_mux_stream_find(&m->streams, id);
    if (stream == NULL || size == 0 || (stream->flags & MUX_DEAD) != 0)
        return;
    TERN_CHECK(size <= stream->in.size);
    tern_mux_queue_drop(&m->streams.pool, &stream->in, size);
    m->unread -= size;
    TERN_CHECK(tern_mux_stream_charge(&m->streams, stream, stream->in.size) == TERN_OK);
    tern_mplex_relieve(m);
    tern_mplex_close_if_done(m, stream);
}

static tern_err mplex_close_write(void *self, tern_stream_id id)
{
    struct tern_mplex *m = self;
    struct tern_mux_stream *stream;
    TERN_TRY(tern_mux_stream_close_write(&m->streams, id, &stream));
    tern_mplex_update_ready(m, stream);
    return TERN_OK;
}

static void mplex_reset(void *self, tern_stream_id id, uint32_t code)
{
    struct tern_mplex *m = self;
    struct tern_mux_stream *stream = tern_mux_stream_find(&m->streams, id);
    if (stream == NULL)
        return;
    if (!(stream->flags & MUX_DEAD))
        tern_mplex_abort(m, stream, code);
    tern_mplex_drop_id(m, stream);
}

/* There is nothing to tell the remote with: it learns it by a stream that is refused. */
static void mplex_goaway(void *self, uint32_t code)
{
    struct tern_mplex *m = self;
    (void)code;
    m->goaway = true;
}

static size_t mplex_unread(const void *self, tern_stream_id id)
{
    const struct tern_mplex *m = self;
    return tern_mux_stream_unread(&m->streams, id);
}

static size_t mplex_queued(const void *self, tern_stream_id id)
{
    const struct tern_mplex *m = self;
    return tern_mux_stream_queued(&m->streams, id);
}

static size_t mplex_streams_count(const void *self)
{
    const struct tern_mplex *m = self;
    return m->streams.slots_used;
}

static tern_err mplex_error(const void *self)
{
    const struct tern_mplex *m = self;
    return m->error;
}

static tern_fault mplex_fault(const void *self)
{
    const struct tern_mplex *m = self;
    return m->fault;
}

static void mplex_release(struct tern_mux_streams *streams, struct tern_mux_stream *stream)
{
    mplex_free(TERN_CONTAINER_OF(streams, struct tern_mplex, streams), stream);
}

static void mplex_fini(void *self)
{
    struct tern_mplex *m = self;
    tern_mux_streams_fini(&m->streams, mplex_release);
    tern_ring_fini(&m->refusals);
    tern_mem_free(m->streams.mem, m, sizeof(*m));
}

static const struct tern_mux_ops mplex_ops = {
    .protocol_id = TERN_MPLEX_PROTOCOL_ID,
    .recv = mplex_recv,
    .next = mplex_next,
    .send = mplex_send,
    .want_send = mplex_want_send,
    .deadline = mplex_deadline,
    .tick = mplex_tick,
    .open = mplex_open,
    .set_class = mplex_set_class,
    .write = mplex_write,
    .write_slice = mplex_write_slice,
    .read = mplex_read,
    .consume = mplex_consume,
    .close_write = mplex_close_write,
    .reset = mplex_reset,
    .goaway = mplex_goaway,
    .unread = mplex_unread,
    .queued = mplex_queued,
    .streams_count = mplex_streams_count,
    .error = mplex_error,
    .fault = mplex_fault,
    .fini = mplex_fini,
};

static uint32_t mplex_or(uint32_t value, uint32_t otherwise)
{
    return value == 0 ? otherwise : value;
}

tern_err tern_mplex_new(const struct tern_mplex_options *options, struct tern_mux *mux)
{
    *mux = (struct tern_mux){.ops = NULL};
    if (options->streams_in_max > TERN_MPLEX_STREAMS_LIMIT ||
        options->streams_out_max > TERN_MPLEX_STREAMS_LIMIT)
        return TERN_ERR_INVALID;
    struct tern_mplex *m = tern_mem_zalloc(options->mem, sizeof(*m));
    if (m == NULL)
        return TERN_ERR_MEMORY;
    tern_mux_streams_init(
        &m->streams,
        &(struct tern_mux_streams_options){
            .mem = options->mem,
            .scope = options->scope,
            .hash_seed = options->hash_seed,
            .stream_size = sizeof(struct tern_mux_stream),
            .send_buffer_max = mplex_or(options->send_buffer_max, TERN_MPLEX_SEND_BUFFER_DEFAULT),
        });
    m->metrics = options->metrics;
    m->unread_stream_max = mplex_or(options->unread_stream_max, TERN_MPLEX_UNREAD_STREAM_DEFAULT);
    m->unread_max = mplex_or(options->unread_max, TERN_MPLEX_UNREAD_DEFAULT);
    m->streams_in_max = mplex_or(options->streams_in_max, TERN_MPLEX_STREAMS_DEFAULT);
    m->streams_out_max = mplex_or(options->streams_out_max, TERN_MPLEX_STREAMS_DEFAULT);
    tern_ring_init(&m->refusals, options->mem, sizeof(uint64_t), TERN_MPLEX_REFUSALS_MAX);
    *mux = (struct tern_mux){.ops = &mplex_ops, .self = m};
    return TERN_OK;
}
