/* Streams between connections and services: who a stream belongs to, and the services' calls. */
#include "swarm/private.h"

enum { STREAMS_CAPACITY_FIRST = 4, STREAMS_CAPACITY_MAX = 65536 };

static uint32_t streams_slot(tern_stream_id id)
{
    return (uint32_t)id;
}

static struct swarm_stream *streams_find(const struct swarm_conn *c, tern_stream_id id)
{
    uint32_t slot = streams_slot(id);
    if (id == TERN_STREAM_NONE || slot >= c->streams_capacity)
        return NULL;
    struct swarm_stream *stream = &c->streams[slot];
    return stream->id == id ? stream : NULL;
}

/* streams_reserve makes room for the slot; charged to the connection. */
static tern_err streams_reserve(struct tern_swarm *s, tern_time now, struct swarm_conn *c,
                                uint32_t slot)
{
    if (slot < c->streams_capacity)
        return TERN_OK;
    if (slot >= STREAMS_CAPACITY_MAX)
        return TERN_ERR_FULL;
    uint32_t capacity = c->streams_capacity == 0 ? STREAMS_CAPACITY_FIRST : c->streams_capacity;
    while (capacity <= slot)
        capacity *= 2;
    size_t old_size = c->streams_capacity * sizeof c->streams[0];
    size_t new_size = capacity * sizeof c->streams[0];
    TERN_TRY(tern_limits_reserve(s, now, &c->scope, TERN_RESOURCE_MEMORY, new_size - old_size));
    struct swarm_stream *grown = tern_mem_realloc(s->mem, c->streams, old_size, new_size);
    if (grown == NULL) {
        tern_scope_release(&c->scope, TERN_RESOURCE_MEMORY, new_size - old_size);
        return TERN_ERR_MEMORY;
    }
    memset((uint8_t *)grown + old_size, 0, new_size - old_size);
    c->streams = grown;
    c->streams_capacity = capacity;
    return TERN_OK;
}

static void streams_put(struct swarm_conn *c, const struct swarm_stream *stream)
{
    struct swarm_stream *place = &c->streams[streams_slot(stream->id)];
    TERN_CHECK(place->id == TERN_STREAM_NONE);
    *place = *stream;
    c->streams_count++;
    c->streams_active++;
    c->idle_since = TERN_TIME_NEVER;
}

static struct swarm_protocol *streams_protocol(struct tern_swarm *s,
                                               const struct tern_protocol *protocol)
{
    size_t i = (size_t)(protocol - s->protocols);
    TERN_CHECK(i < TERN_SWARM_PROTOCOLS_MAX);
    return &s->protocol_states[i];
}

static void streams_drop(struct tern_swarm *s, tern_time now, struct swarm_conn *c,
                         struct swarm_stream *stream)
{
    if (stream->protocol != NULL)
        tern_scope_release(&streams_protocol(s, stream->protocol)->scope, TERN_RESOURCE_STREAMS_IN,
                           1);
    TERN_CHECK(c->streams_count > 0);
    c->streams_count--;
    if (!stream->background && --c->streams_active == 0)
        c->idle_since = now;
    *stream = (struct swarm_stream){.id = TERN_STREAM_NONE};
    tern_conns_touch(s, c);
}

void tern_streams_free(struct tern_swarm *s, struct swarm_conn *c)
{
    for (uint32_t i = 0; i < c->streams_capacity; i++)
        if (c->streams[i].id != TERN_STREAM_NONE && c->streams[i].protocol != NULL)
            tern_scope_release(&streams_protocol(s, c->streams[i].protocol)->scope,
                               TERN_RESOURCE_STREAMS_IN, 1);
    size_t size = c->streams_capacity * sizeof c->streams[0];
    if (size > 0)
        tern_scope_release(&c->scope, TERN_RESOURCE_MEMORY, size);
    tern_mem_free(s->mem, c->streams, size);
    c->streams = NULL;
    c->streams_capacity = 0;
}

static struct tern_swarm_event streams_news(const struct swarm_conn *c,
                                            const struct swarm_stream *stream,
                                            enum tern_swarm_event_kind kind)
{
    return (struct tern_swarm_event){
        .kind = kind,
        .service = stream->service,
        .peer = c->peer->handle,
        .connection = c->handle,
        .stream = {.connection = c->handle, .id = stream->id},
        .protocol = stream->protocol,
        .user = stream->user,
    };
}

static void streams_end(struct tern_swarm *s, tern_time now, struct swarm_conn *c,
                        struct swarm_stream *stream, const struct tern_conn_event *why)
{
    struct tern_swarm_event news = streams_news(c, stream, TERN_SWARM_STREAM_ENDED);
    news.err = why->err;
    news.code = why->code;
    streams_drop(s, now, c, stream);
    tern_swarm_tell(s, now, &news);
}

void tern_streams_end_all(struct tern_swarm *s, tern_time now, struct swarm_conn *c)
{
    const struct tern_conn_event why = {
        .err = c->err == TERN_OK ? TERN_ERR_DISCONNECTED : c->err,
    };
    for (uint32_t i = 0; i < c->streams_capacity && c->streams_count > 0; i++)
        if (c->streams[i].id != TERN_STREAM_NONE)
            streams_end(s, now, c, &c->streams[i], &why);
    TERN_CHECK(c->streams_count == 0);
}

/* streams_inbound_count counts the peer's open inbound streams of a protocol. Walked only when one
 * is opened; the tables are bounded by the stream limits. */
static uint32_t streams_inbound_count(const struct swarm_peer *peer,
                                      const struct tern_protocol *protocol)
{
    uint32_t count = 0;
    TERN_LIST_FOREACH (node, &peer->connections) {
        const struct swarm_conn *c = TERN_LIST_ENTRY(node, struct swarm_conn, siblings);
        for (uint32_t i = 0; i < c->streams_capacity; i++)
            count += c->streams[i].id != TERN_STREAM_NONE && c->streams[i].protocol == protocol;
    }
    return count;
}

/* streams_admit charges an inbound stream to its protocol; an error is a refusal. */
static tern_err streams_admit(struct tern_swarm *s, tern_time now, struct swarm_conn *c,
                              const struct tern_conn_event *event)
{
    struct swarm_protocol *state = streams_protocol(s, event->protocol);
    if (!state->used)
        return TERN_ERR_NO_PROTOCOL;
    uint32_t max = event->protocol->inbound_per_peer_max;
    uint32_t used = max == 0 ? 0 : streams_inbound_count(c->peer, event->protocol);
    if (max != 0 && used >= max) {
        tern_limits_refuse(s, now,
                           &(struct tern_refusal){.scope = "inbound_per_peer_max",
                                                  .resource = "streams in",
                                                  .used = used,
                                                  .limit = max});
        return TERN_ERR_SCOPE_STREAMS;
    }
    TERN_TRY(streams_reserve(s, now, c, streams_slot(event->stream)));
    return tern_limits_reserve(s, now, &state->scope, TERN_RESOURCE_STREAMS_IN, 1);
}

static void streams_opened(struct tern_swarm *s, tern_time now, struct swarm_conn *c,
                           const struct tern_conn_event *event)
{
    if (c->state != SWARM_CONN_OPEN) {
        tern_conn_reset(c->core, event->stream, TERN_STREAM_CODE_SHUTDOWN);
        return;
    }
    tern_err err = streams_admit(s, now, c, event);
    if (err != TERN_OK) {
        TERN_TRACE(s->config.trace, now, SWARM_STREAM_REFUSED, c->handle, event->stream, err);
        tern_metric_add(s->config.metrics, TERN_METRIC_SWARM_STREAMS_REFUSED, 1);
        tern_conn_reset(c->core, event->stream,
                        err == TERN_ERR_NO_PROTOCOL ? TERN_STREAM_CODE_NEGOTIATION
                                                    : TERN_STREAM_CODE_RESOURCE_LIMIT);
        return;
    }
    const struct swarm_stream stream = {
        .id = event->stream, .protocol = event->protocol, .service = event->protocol->handler};
    streams_put(c, &stream);
    tern_metric_add(s->config.metrics, TERN_METRIC_SWARM_STREAMS_IN, 1);
    const struct tern_swarm_event news = streams_news(c, &stream, TERN_SWARM_STREAM_OPENED);
    tern_swarm_tell(s, now, &news);
}

void tern_streams_event(struct tern_swarm *s, tern_time now, struct swarm_conn *c,
                        const struct tern_conn_event *event)
{
    if (event->kind == TERN_CONN_STREAM_OPENED) {
        streams_opened(s, now, c, event);
        return;
    }
    struct swarm_stream *stream = streams_find(c, event->stream);
    if (stream == NULL)
        return; /* the service has reset it meanwhile */
    struct tern_conn_event why = *event;
    enum tern_swarm_event_kind kind = TERN_SWARM_STREAM_READABLE;
    switch (event->kind) {
    case TERN_CONN_STREAM_READY:
        kind = TERN_SWARM_STREAM_READY;
        break;
    case TERN_CONN_STREAM_READABLE:
        break;
    case TERN_CONN_STREAM_WRITABLE:
        kind = TERN_SWARM_STREAM_WRITABLE;
        break;
    case TERN_CONN_STREAM_REFUSED:
        streams_end(s, now, c, stream, &why);
        return;
    case TERN_CONN_STREAM_RESET:
        why.err = TERN_ERR_RESET;
        streams_end(s, now, c, stream, &why);
        return;
    case TERN_CONN_STREAM_CLOSED:
        why.err = TERN_OK;
        streams_end(s, now, c, stream, &why);
        return;
    case TERN_CONN_JOB:
    case TERN_CONN_ESTABLISHED:
    case TERN_CONN_STREAM_OPENED:
    case TERN_CONN_STREAM_FAULT:
    case TERN_CONN_GOAWAY:
    case TERN_CONN_RTT:
    case TERN_CONN_CLOSED:
        TERN_UNREACHABLE();
    }
    struct tern_swarm_event news = streams_news(c, stream, kind);
    news.offered_index = event->offered_index;
    tern_swarm_tell(s, now, &news);
}

/* --- the services' calls --- */

tern_err tern_swarm_open_stream(struct tern_swarm *s, tern_time now,
                                const struct tern_stream_request *request,
                                struct tern_stream *stream)
{
    TERN_CHECK(request->service < s->services_count);
    *stream = (struct tern_stream){.connection = 0};
    struct swarm_peer *peer = tern_peers_of_handle(s, request->peer);
    if (peer == NULL)
        return TERN_ERR_STALE;
    struct swarm_conn *c = tern_peers_best(peer);
    if (c == NULL)
        return TERN_ERR_CLOSED;
    tern_stream_id id = TERN_STREAM_NONE;
    TERN_TRY(tern_conn_open_stream(c->core, now, &request->offer, &id));
    tern_conns_touch(s, c);
    tern_err err = streams_reserve(s, now, c, streams_slot(id));
    if (err != TERN_OK) {
        tern_conn_reset(c->core, id, TERN_STREAM_CODE_RESOURCE_LIMIT);
        return err;
    }
    streams_put(
        c, &(struct swarm_stream){.id = id, .user = request->user, .service = request->service});
    tern_metric_add(s->config.metrics, TERN_METRIC_SWARM_STREAMS_OUT, 1);
    *stream = (struct tern_stream){.connection = c->handle, .id = id};
    return TERN_OK;
}

/* streams_resolve finds a live stream and its connection; NULL: stale. */
static struct swarm_stream *streams_resolve(const struct tern_swarm *s, struct tern_stream stream,
                                            struct swarm_conn **c)
{
    *c = tern_conns_find(s, stream.connection);
    return *c == NULL ? NULL : streams_find(*c, stream.id);
}

tern_err tern_swarm_write(struct tern_swarm *s, struct tern_stream stream, struct tern_view bytes,
                          size_t *accepted)
{
    struct swarm_conn *c;
    *accepted = 0;
    if (streams_resolve(s, stream, &c) == NULL)
        return TERN_ERR_STALE;
    tern_conns_touch(s, c);
    return tern_conn_write(c->core, stream.id, bytes, accepted);
}

tern_err tern_swarm_write_slice(struct tern_swarm *s, struct tern_stream stream,
                                struct tern_slice slice)
{
    struct swarm_conn *c;
    if (streams_resolve(s, stream, &c) == NULL)
        return TERN_ERR_STALE;
    tern_conns_touch(s, c);
    return tern_conn_write_slice(c->core, stream.id, slice);
}

tern_err tern_swarm_read(struct tern_swarm *s, struct tern_stream stream, struct tern_slice *bytes)
{
    struct swarm_conn *c;
    *bytes = (struct tern_slice){.chunk = NULL};
    if (streams_resolve(s, stream, &c) == NULL)
        return TERN_ERR_STALE;
    tern_conns_touch(s, c); /* reading the end may close the stream */
    return tern_conn_read(c->core, stream.id, bytes);
}

void tern_swarm_consume(struct tern_swarm *s, struct tern_stream stream, size_t size)
{
    struct swarm_conn *c;
    if (streams_resolve(s, stream, &c) == NULL)
        return;
    tern_conns_touch(s, c);
    tern_conn_consume(c->core, stream.id, size);
}

tern_err tern_swarm_close_write(struct tern_swarm *s, struct tern_stream stream)
{
    struct swarm_conn *c;
    if (streams_resolve(s, stream, &c) == NULL)
        return TERN_ERR_STALE;
    tern_conns_touch(s, c);
    return tern_conn_close_write(c->core, stream.id);
}

void tern_swarm_reset(struct tern_swarm *s, struct tern_stream stream, uint32_t code)
{
    struct swarm_conn *c;
    struct swarm_stream *found = streams_resolve(s, stream, &c);
    if (found == NULL)
        return;
    tern_conn_reset(c->core, stream.id, code);
    streams_drop(s, s->now, c, found);
}

void tern_swarm_set_user(struct tern_swarm *s, struct tern_stream stream, uint64_t user)
{
    struct swarm_conn *c;
    struct swarm_stream *found = streams_resolve(s, stream, &c);
    if (found != NULL)
        found->user = user;
}

void tern_swarm_set_background(struct tern_swarm *s, struct tern_stream stream)
{
    struct swarm_conn *c;
    struct swarm_stream *found = streams_resolve(s, stream, &c);
    if (found == NULL || found->background)
        return;
    found->background = true;
    if (--c->streams_active == 0)
        c->idle_since = s->now;
    tern_conns_touch(s, c);
}

tern_peer tern_swarm_stream_peer(const struct tern_swarm *s, struct tern_stream stream)
{
    struct swarm_conn *c;
    return streams_resolve(s, stream, &c) == NULL ? 0 : c->peer->handle;
}
