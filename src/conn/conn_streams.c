/*
 * Streams of a connection: each one's protocol is negotiated before its owner hears of it (inbound)
 * or while the owner writes already (outbound, one name: lazy). State exists only while
 * negotiating; after that every verb goes straight to the muxer.
 *
 *   inbound:   opened by the remote ─ proposal accepted ─► STREAM_OPENED ─► the owner's
 *                     └─ refused, garbage, time-out: reset, and the owner never hears of it
 *   outbound:  tern_conn_open_stream ─ answer ─► STREAM_READY
 *                     └─ refused by the remote, reset, time-out ─► STREAM_REFUSED, the id is dead
 */
#include "base/check.h"
#include "conn/conn_private.h"

static struct conn_stream *streams_find(const struct tern_conn *conn, tern_stream_id id)
{
    uint32_t slot = (uint32_t)id;
    if (slot >= conn->by_slot_capacity || conn->by_slot[slot] == NULL ||
        conn->by_slot[slot]->id != id)
        return NULL;
    return conn->by_slot[slot];
}

static size_t streams_size(const struct conn_stream *stream)
{
    return sizeof *stream + stream->names_count * sizeof stream->names[0];
}

static tern_err streams_reserve_slot(struct tern_conn *conn, uint32_t slot)
{
    if (slot < conn->by_slot_capacity)
        return TERN_OK;
    size_t capacity = conn->by_slot_capacity == 0 ? 4 : conn->by_slot_capacity;
    while (capacity <= slot)
        capacity *= 2;
    size_t old_size = conn->by_slot_capacity * sizeof *conn->by_slot;
    struct conn_stream **grown =
        tern_mem_realloc(conn->mem, conn->by_slot, old_size, capacity * sizeof *grown);
    if (grown == NULL)
        return TERN_ERR_MEMORY;
    for (size_t i = conn->by_slot_capacity; i < capacity; i++)
        grown[i] = NULL;
    conn->by_slot = grown;
    conn->by_slot_capacity = capacity;
    return TERN_OK;
}

static struct conn_stream *streams_new(struct tern_conn *conn, tern_stream_id id,
                                       size_t names_count)
{
    if (streams_reserve_slot(conn, (uint32_t)id) != TERN_OK)
        return NULL;
    struct conn_stream *stream =
        tern_mem_zalloc(conn->mem, sizeof *stream + names_count * sizeof stream->names[0]);
    if (stream == NULL)
        return NULL;
    stream->id = id;
    stream->names_count = (uint8_t)names_count;
    stream->deadline = tern_time_add(conn->now, conn->config->negotiate_timeout_ns);
    tern_list_push_back(&conn->negotiating, &stream->link);
    conn->by_slot[(uint32_t)id] = stream;
    return stream;
}

static void streams_free(struct tern_conn *conn, struct conn_stream *stream)
{
    conn->held_count -= stream->held;
    if (!stream->outbound)
        tern_multistream_listener_fini(&stream->listener);
    tern_list_remove(&stream->link);
    conn->by_slot[(uint32_t)stream->id] = NULL;
    tern_mem_free(conn->mem, stream, streams_size(stream));
}

void conn_streams_fini(struct tern_conn *conn)
{
    while (!tern_list_empty(&conn->negotiating))
        streams_free(conn, TERN_LIST_ENTRY(conn->negotiating.next, struct conn_stream, link));
    tern_mem_free(conn->mem, conn->by_slot, conn->by_slot_capacity * sizeof *conn->by_slot);
    conn->by_slot = NULL;
    conn->by_slot_capacity = 0;
}

/* Writes what the negotiation has to say to the stream. The send buffer of a stream that is
 * negotiating always has room for it, memory may be wanting; a remote that has gone shows in
 * reading. */
static tern_err streams_flush(struct tern_conn *conn, struct conn_stream *stream)
{
    uint8_t buffer[2 * TERN_MULTISTREAM_WIRE_MAX];
    for (;;) {
        struct tern_writer out = tern_writer_of(buffer, sizeof buffer);
        if (stream->outbound)
            tern_multistream_dialer_send(&stream->dialer, &out);
        else
            tern_multistream_listener_send(&stream->listener, &out);
        if (out.size == 0)
            return TERN_OK;
        size_t accepted = 0;
        tern_err err =
            conn->mux.ops->write(conn->mux.self, stream->id, tern_writer_view(&out), &accepted);
        if (err == TERN_ERR_MEMORY || err == TERN_ERR_SCOPE_MEMORY)
            return err;
        if (err != TERN_OK)
            return TERN_OK;
        if (accepted < out.size)
            return TERN_ERR_SCOPE_MEMORY;
    }
}

/* --- reading the negotiation --- */

/* Lets the listener's core read and answers its proposals from the table. */
static tern_err streams_listen(struct tern_conn *conn, struct conn_stream *stream,
                               struct tern_view in, size_t *used)
{
    const struct tern_protocol_table *table = conn->config->protocols;
    struct tern_view name;
    TERN_TRY(tern_multistream_listener_recv(&stream->listener, in, used));
    if (!tern_multistream_listener_proposal(&stream->listener, &name))
        return TERN_OK;
    for (size_t i = 0; i < table->count; i++) {
        if (!tern_view_equal(table->protocols[i].name, name))
            continue;
        stream->protocol = &table->protocols[i];
        conn->mux.ops->set_class(conn->mux.self, stream->id, stream->protocol->class);
        tern_multistream_listener_accept(&stream->listener);
        return TERN_OK;
    }
    tern_multistream_listener_refuse(&stream->listener);
    return TERN_OK;
}

static bool streams_agreed(const struct conn_stream *stream)
{
    return stream->outbound ? stream->dialer.state == TERN_MULTISTREAM_NEGOTIATED
                            : stream->protocol != NULL;
}

static tern_fault streams_fault(const struct conn_stream *stream)
{
    return stream->outbound ? stream->dialer.fault : stream->listener.fault;
}

/* Feeds what has come on the stream to its negotiation. TERN_OK: agreed. TERN_ERR_AGAIN: not yet.
 */
static tern_err streams_feed(struct tern_conn *conn, struct conn_stream *stream)
{
    tern_err err = TERN_OK;
    while (err == TERN_OK && !streams_agreed(stream)) {
        struct tern_slice bytes;
        size_t used = 0;
        err = conn->mux.ops->read(conn->mux.self, stream->id, &bytes);
        if (err != TERN_OK)
            break;
        err = stream->outbound ? tern_multistream_dialer_recv(&stream->dialer, bytes.view, &used)
                               : streams_listen(conn, stream, bytes.view, &used);
        conn_mux_consume(conn, stream->id, used);
        tern_err flushed = streams_flush(conn, stream);
        if (err == TERN_OK)
            err = flushed;
    }
    return err;
}

/* --- events --- */

static bool streams_has_news(struct tern_conn *conn, tern_stream_id id)
{
    struct tern_slice bytes;
    tern_err err = conn->mux.ops->read(conn->mux.self, id, &bytes);
    return err == TERN_OK || err == TERN_ERR_END;
}

static void streams_refused(struct tern_conn_event *out, const struct conn_stream *stream,
                            tern_err err)
{
    *out = (struct tern_conn_event){.kind = TERN_CONN_STREAM_REFUSED,
                                    .stream = stream->id,
                                    .err = err,
                                    .fault = streams_fault(stream)};
}

/* The negotiation failed: the stream goes. False: the owner never knew of it, and nobody is to
 * blame. */
static bool streams_failed(struct tern_conn *conn, struct conn_stream *stream, tern_err err,
                           struct tern_conn_event *out)
{
    bool outbound = stream->outbound;
    tern_fault fault = streams_fault(stream);
    if (err == TERN_ERR_END)
        err = TERN_ERR_NO_PROTOCOL; /* it ended without an answer */
    conn_mux_reset(conn, stream->id, CONN_STREAM_CODE_NEGOTIATION);
    if (outbound)
        streams_refused(out, stream, err);
    else if (fault != TERN_FAULT_NONE)
        *out = (struct tern_conn_event){.kind = TERN_CONN_STREAM_FAULT, .err = err, .fault = fault};
    streams_free(conn, stream);
    return outbound || fault != TERN_FAULT_NONE;
}

/* The stream's protocol is agreed: it becomes the owner's. */
static void streams_hand_over(struct tern_conn *conn, struct conn_stream *stream,
                              struct tern_conn_event *out)
{
    tern_stream_id id = stream->id;
    if (stream->outbound)
        *out = (struct tern_conn_event){
            .kind = TERN_CONN_STREAM_READY,
            .stream = id,
            .offered_index = (uint32_t)tern_multistream_dialer_index(&stream->dialer)};
    else
        *out = (struct tern_conn_event){
            .kind = TERN_CONN_STREAM_OPENED, .stream = id, .protocol = stream->protocol};
    streams_free(conn, stream);
    if (streams_has_news(conn, id))
        conn_pend(conn, &(struct tern_conn_event){.kind = TERN_CONN_STREAM_READABLE, .stream = id});
}

static bool streams_readable(struct tern_conn *conn, struct conn_stream *stream,
                             struct tern_conn_event *out)
{
    if (stream->held)
        return false;
    tern_err err = streams_feed(conn, stream);
    if (err == TERN_ERR_AGAIN)
        return false;
    if (err != TERN_OK)
        return streams_failed(conn, stream, err, out);
    if (stream->early && !conn->confirmed && !stream->protocol->replay_harmless) {
        stream->held = true;
        conn->held_count++;
        return false;
    }
    streams_hand_over(conn, stream, out);
    return true;
}

bool conn_streams_release(struct tern_conn *conn, struct tern_conn_event *out)
{
    if (conn->held_count == 0 || !conn->confirmed)
        return false;
    TERN_LIST_FOREACH (node, &conn->negotiating) {
        struct conn_stream *stream = TERN_LIST_ENTRY(node, struct conn_stream, link);
        if (!stream->held)
            continue;
        *out = (struct tern_conn_event){0};
        streams_hand_over(conn, stream, out);
        return true;
    }
    TERN_UNREACHABLE();
}

/* A stream that is being negotiated ended: the owner hears of it only if it opened it. */
static bool streams_ended(struct tern_conn *conn, struct conn_stream *stream, tern_err err,
                          struct tern_conn_event *out)
{
    bool outbound = stream->outbound;
    uint32_t code = out->code;
    if (outbound) {
        streams_refused(out, stream, err);
        out->code = code;
    }
    streams_free(conn, stream);
    return outbound;
}

static bool streams_opened(struct tern_conn *conn, const struct tern_mux_event *in)
{
    struct conn_stream *stream = streams_new(conn, in->stream, 0);
    if (stream == NULL) {
        conn_mux_reset(conn, in->stream, TERN_MUX_CODE_RESOURCE_LIMIT);
        return false;
    }
    stream->early = in->early;
    tern_multistream_listener_init(&stream->listener, conn->mem);
    return false;
}

static void streams_rtt(struct tern_conn *conn, tern_time sample)
{
    conn->rtt_ns = conn->rtt_ns == 0 ? sample : (7 * conn->rtt_ns + sample) / 8;
}

bool conn_streams_event(struct tern_conn *conn, const struct tern_mux_event *in,
                        struct tern_conn_event *out)
{
    struct conn_stream *stream = streams_find(conn, in->stream);
    out->stream = in->stream;
    out->code = in->code;
    switch (in->kind) {
    case TERN_MUX_STREAM_OPENED:
        return streams_opened(conn, in);
    case TERN_MUX_READABLE:
        if (stream != NULL)
            return streams_readable(conn, stream, out);
        out->kind = TERN_CONN_STREAM_READABLE;
        return true;
    case TERN_MUX_WRITABLE:
        out->kind = TERN_CONN_STREAM_WRITABLE;
        return stream == NULL || stream->lazy;
    case TERN_MUX_RESET:
        if (stream != NULL)
            return streams_ended(conn, stream, TERN_ERR_RESET, out);
        out->kind = TERN_CONN_STREAM_RESET;
        return true;
    case TERN_MUX_CLOSED:
        if (stream != NULL)
            return streams_ended(conn, stream, TERN_ERR_NO_PROTOCOL, out);
        out->kind = TERN_CONN_STREAM_CLOSED;
        return true;
    case TERN_MUX_GOAWAY:
        out->kind = TERN_CONN_GOAWAY;
        return true;
    case TERN_MUX_RTT:
        streams_rtt(conn, in->rtt_ns);
        out->kind = TERN_CONN_RTT;
        out->rtt_ns = in->rtt_ns;
        return true;
    case TERN_MUX_JOB:
    case TERN_MUX_ESTABLISHED:
    case TERN_MUX_CONFIRMED:
        break; /* not of a stream */
    }
    TERN_UNREACHABLE();
}

/* --- time --- */

tern_time conn_streams_deadline(const struct tern_conn *conn)
{
    struct tern_list *oldest = tern_list_front(&conn->negotiating);
    if (oldest == NULL)
        return TERN_TIME_NEVER;
    return TERN_LIST_ENTRY(oldest, struct conn_stream, link)->deadline;
}

/* Ends at most as many as fit the pending events; the rest stay due. */
void conn_streams_tick(struct tern_conn *conn, tern_time now)
{
    while (conn->pending_count < CONN_PENDING_MAX && !tern_list_empty(&conn->negotiating)) {
        struct tern_conn_event event = {0};
        struct conn_stream *stream =
            TERN_LIST_ENTRY(conn->negotiating.next, struct conn_stream, link);
        if (stream->deadline > now)
            return;
        event.stream = stream->id; /* reset when it is told: its slot is the owner's until then */
        if (!streams_ended(conn, stream, TERN_ERR_TIMEOUT, &event))
            event.kind = TERN_CONN_STREAM_FAULT;
        event.fault = TERN_FAULT_CONN_NEGOTIATE_TIMEOUT;
        conn_pend(conn, &event);
    }
}

/* --- verbs --- */

tern_err tern_conn_open_stream(struct tern_conn *conn, tern_time now,
                               const struct tern_stream_offer *offer, tern_stream_id *id)
{
    TERN_CHECK(offer->names_count >= 1 && offer->names_count <= TERN_CONN_PROTOCOLS_OFFERED_MAX);
    conn->now = now;
    if (!conn->established || conn->state == CONN_CLOSING || conn->state == CONN_FAILED ||
        conn->state == CONN_CLOSED)
        return TERN_ERR_CLOSED;
    TERN_TRY(conn->mux.ops->open(conn->mux.self, offer->class, id));
    if (offer->replay_harmless && conn->mux.ops->set_early != NULL)
        conn->mux.ops->set_early(conn->mux.self, *id);
    struct conn_stream *stream = streams_new(conn, *id, offer->names_count);
    if (stream == NULL) {
        conn_mux_reset(conn, *id, 0);
        return TERN_ERR_MEMORY;
    }
    stream->outbound = true;
    stream->lazy = offer->names_count == 1;
    memcpy(stream->names, offer->names, offer->names_count * sizeof stream->names[0]);
    tern_multistream_dialer_init(
        &stream->dialer,
        &(struct tern_multistream_dialer_options){
            .names = stream->names, .names_count = offer->names_count, .lazy = stream->lazy});
    tern_err err = streams_flush(conn, stream);
    if (err != TERN_OK) {
        conn_mux_reset(conn, *id, CONN_STREAM_CODE_NEGOTIATION);
        streams_free(conn, stream);
    }
    return err;
}

/* May the owner use the stream now? A stream whose protocol is not agreed can only be written, if
 * it is lazy. TERN_ERR_AGAIN: wait for READY. */
static tern_err streams_usable(const struct tern_conn *conn, tern_stream_id id, bool for_writing)
{
    if (conn->mux.ops == NULL)
        return TERN_ERR_STALE;
    const struct conn_stream *stream = streams_find(conn, id);
    if (stream == NULL)
        return TERN_OK;
    if (!stream->outbound)
        return TERN_ERR_STALE;
    return for_writing && stream->lazy ? TERN_OK : TERN_ERR_AGAIN;
}

tern_err tern_conn_write(struct tern_conn *conn, tern_stream_id stream, struct tern_view bytes,
                         size_t *accepted)
{
    *accepted = 0;
    tern_err err = streams_usable(conn, stream, true);
    if (err != TERN_OK)
        return err == TERN_ERR_AGAIN ? TERN_OK : err;
    return conn->mux.ops->write(conn->mux.self, stream, bytes, accepted);
}

tern_err tern_conn_write_slice(struct tern_conn *conn, tern_stream_id stream,
                               struct tern_slice slice)
{
    TERN_TRY(streams_usable(conn, stream, true));
    return conn->mux.ops->write_slice(conn->mux.self, stream, slice);
}

tern_err tern_conn_read(struct tern_conn *conn, tern_stream_id stream, struct tern_slice *bytes)
{
    TERN_TRY(streams_usable(conn, stream, false));
    return conn->mux.ops->read(conn->mux.self, stream, bytes);
}

void tern_conn_consume(struct tern_conn *conn, tern_stream_id stream, size_t size)
{
    if (streams_usable(conn, stream, false) == TERN_OK)
        conn_mux_consume(conn, stream, size);
}

tern_err tern_conn_close_write(struct tern_conn *conn, tern_stream_id stream)
{
    TERN_TRY(streams_usable(conn, stream, true));
    return conn->mux.ops->close_write(conn->mux.self, stream);
}

void tern_conn_reset(struct tern_conn *conn, tern_stream_id id, uint32_t code)
{
    if (conn->mux.ops == NULL)
        return;
    struct conn_stream *stream = streams_find(conn, id);
    conn_mux_reset(conn, id, code);
    conn_drop_events(conn, id);
    if (stream != NULL)
        streams_free(conn, stream);
}
