/*
 * The table of a connection's streams: what each of them is. Places are those of QUIC's ids, so
 * that a stream is found by its slot; a stale id finds nothing.
 */
#include "webtransport/webtransport_internal.h"

enum { STREAMS_PLACES_MIN = 8 };

void web_streams_init(struct web_streams *streams, struct tern_mem *mem)
{
    *streams =
        (struct web_streams){.mem = mem, .ready_first = WEB_NO_SLOT, .ready_last = WEB_NO_SLOT};
}

void web_streams_fini(struct web_streams *streams)
{
    tern_mem_free(streams->mem, streams->list, streams->count * sizeof *streams->list);
    streams->list = NULL;
    streams->count = 0;
}

static uint32_t stream_slot(tern_stream_id id)
{
    return (uint32_t)id;
}

struct web_stream *web_stream_find(const struct web_streams *streams, tern_stream_id id)
{
    uint32_t slot = stream_slot(id);
    if (id == TERN_STREAM_NONE || slot >= streams->count || streams->list[slot].id != id)
        return NULL;
    return &streams->list[slot];
}

/* streams_grow makes a place for the slot; false: no memory. */
static bool streams_grow(struct web_streams *streams, uint32_t slot)
{
    TERN_CHECK(slot < UINT32_MAX / 2);
    uint32_t count = streams->count == 0 ? STREAMS_PLACES_MIN : streams->count;
    while (count <= slot)
        count *= 2;
    if (count == streams->count)
        return true;
    struct web_stream *list = tern_mem_realloc(streams->mem, streams->list,
                                               streams->count * sizeof *list, count * sizeof *list);
    if (list == NULL)
        return false;
    memset(list + streams->count, 0, (count - streams->count) * sizeof *list);
    streams->list = list;
    streams->count = count;
    return true;
}

/* streams_count adds a stream to the number of its kind. */
static void streams_count(struct web_streams *streams, enum web_kind kind, int by)
{
    if (kind == WEB_KIND_OWNER)
        streams->owner_count = (uint32_t)((int64_t)streams->owner_count + by);
    if (kind == WEB_KIND_WAITING)
        streams->waiting_count = (uint32_t)((int64_t)streams->waiting_count + by);
}

struct web_stream *web_stream_add(struct web_streams *streams, tern_stream_id id,
                                  enum web_kind kind)
{
    uint32_t slot = stream_slot(id);
    if (!streams_grow(streams, slot))
        return NULL;
    struct web_stream *stream = &streams->list[slot];
    TERN_CHECK(stream->id == TERN_STREAM_NONE);
    *stream = (struct web_stream){
        .id = id, .kind = kind, .ready_next = WEB_NO_SLOT, .ready_previous = WEB_NO_SLOT};
    streams_count(streams, kind, 1);
    return stream;
}

void web_stream_become(struct web_streams *streams, struct web_stream *stream, enum web_kind kind)
{
    streams_count(streams, stream->kind, -1);
    streams_count(streams, kind, 1);
    stream->kind = kind;
}

/* --- the line --- */

static bool stream_is_ready(const struct web_streams *streams, const struct web_stream *stream)
{
    return stream->ready_previous != WEB_NO_SLOT || streams->ready_first == stream_slot(stream->id);
}

void web_stream_ready(struct web_streams *streams, struct web_stream *stream)
{
    uint32_t slot = stream_slot(stream->id);
    if (stream_is_ready(streams, stream))
        return;
    stream->ready_previous = streams->ready_last;
    stream->ready_next = WEB_NO_SLOT;
    if (streams->ready_last == WEB_NO_SLOT)
        streams->ready_first = slot;
    else
        streams->list[streams->ready_last].ready_next = slot;
    streams->ready_last = slot;
}

static void stream_unready(struct web_streams *streams, struct web_stream *stream)
{
    if (!stream_is_ready(streams, stream))
        return;
    uint32_t next = stream->ready_next;
    uint32_t previous = stream->ready_previous;
    if (previous == WEB_NO_SLOT)
        streams->ready_first = next;
    else
        streams->list[previous].ready_next = next;
    if (next == WEB_NO_SLOT)
        streams->ready_last = previous;
    else
        streams->list[next].ready_previous = previous;
    stream->ready_next = WEB_NO_SLOT;
    stream->ready_previous = WEB_NO_SLOT;
}

bool web_streams_next(struct web_streams *streams, struct tern_mux_event *event)
{
    if (streams->ready_first == WEB_NO_SLOT)
        return false;
    struct web_stream *stream = &streams->list[streams->ready_first];
    *event = (struct tern_mux_event){
        .kind = stream->opened ? TERN_MUX_STREAM_OPENED : TERN_MUX_READABLE, .stream = stream->id};
    if (stream->opened)
        stream->opened = false;
    else
        stream->readable = false;
    if (!stream->readable)
        stream_unready(streams, stream);
    return true;
}

void web_stream_remove(struct web_streams *streams, struct web_stream *stream)
{
    stream_unready(streams, stream);
    streams_count(streams, stream->kind, -1);
    stream->id = TERN_STREAM_NONE;
}
