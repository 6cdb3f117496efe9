#include "host/app_streams.h"

#include "base/check.h"
#include "base/ring.h"

enum { APP_NAMES_SIZE_MAX = 1024 };

enum app_news {
    APP_NEWS_OPENED = 1,
    APP_NEWS_READY = 2,
    APP_NEWS_READABLE = 4,
    APP_NEWS_WRITABLE = 8,
    APP_NEWS_ENDED = 16,
};

/* One stream. Its swarm stream carries slot + 1 as user value. */
struct app_stream {
    bool used;
    bool queued;  /* it is in the ring */
    uint8_t news; /* enum app_news, not told yet */
    uint32_t generation;
    tern_peer peer;
    struct tern_peer_id peer_id;
    struct tern_stream stream;
    const struct tern_protocol *protocol; /* inbound */
    uint32_t offered_index;
    uint32_t code;
    tern_err err;
    size_t names_count;
    struct tern_view names[TERN_CONN_PROTOCOLS_OFFERED_MAX]; /* outbound, inside names_bytes */
    uint8_t *names_bytes;
    size_t names_size;
};

struct tern_app_streams {
    struct tern_mem *mem;
    struct tern_swarm *swarm;
    uint32_t number;
    struct app_stream **slots;
    size_t count;
    size_t capacity;
    struct tern_ring queue; /* uint32_t: slots with news */
    uint32_t dead;          /* slot whose end was told last, to be freed; UINT32_MAX: none */
};

/* --- slots --- */

static struct app_stream *app_slot(struct tern_app_streams *s, uint32_t *slot)
{
    for (*slot = 0; *slot < s->count; (*slot)++)
        if (!s->slots[*slot]->used)
            return s->slots[*slot];
    if (s->count == TERN_APP_STREAMS_MAX)
        return NULL;
    if (s->count == s->capacity) {
        size_t capacity = s->capacity == 0 ? 8 : 2 * s->capacity;
        struct app_stream **grown = tern_mem_realloc(s->mem, s->slots, s->capacity * sizeof *grown,
                                                     capacity * sizeof *grown);
        if (grown == NULL)
            return NULL;
        s->slots = grown;
        s->capacity = capacity;
    }
    struct app_stream *stream = tern_mem_zalloc(s->mem, sizeof *stream);
    if (stream == NULL)
        return NULL;
    *slot = (uint32_t)s->count;
    s->slots[s->count++] = stream;
    return stream;
}

static struct app_stream *app_take(struct tern_app_streams *s, tern_peer peer, uint32_t *slot)
{
    struct app_stream *stream = app_slot(s, slot);
    const struct tern_peer_id *id = tern_swarm_peer_id(s->swarm, peer);
    if (stream == NULL || id == NULL)
        return NULL;
    uint32_t generation = stream->generation + 1;
    *stream =
        (struct app_stream){.used = true, .generation = generation, .peer = peer, .peer_id = *id};
    return stream;
}

static void app_free(struct tern_app_streams *s, struct app_stream *stream)
{
    tern_mem_free(s->mem, stream->names_bytes, stream->names_size);
    stream->names_bytes = NULL;
    stream->names_size = 0;
    stream->used = false;
}

static tern_app_stream app_id(const struct app_stream *stream, uint32_t slot)
{
    return (uint64_t)stream->generation << 32 | slot;
}

static struct app_stream *app_find(const struct tern_app_streams *s, tern_app_stream id)
{
    uint32_t slot = (uint32_t)id;
    if (slot >= s->count || !s->slots[slot]->used || s->slots[slot]->generation != id >> 32)
        return NULL;
    return s->slots[slot];
}

tern_err tern_app_streams_find(const struct tern_app_streams *s, tern_app_stream id,
                               struct tern_stream *stream)
{
    const struct app_stream *found = app_find(s, id);
    if (found == NULL)
        return TERN_ERR_STALE;
    if ((found->news & APP_NEWS_ENDED) != 0)
        return found->err == TERN_OK ? TERN_ERR_END : found->err;
    *stream = found->stream;
    return TERN_OK;
}

/* --- news --- */

static void app_tell(struct tern_app_streams *s, uint32_t slot, enum app_news news)
{
    struct app_stream *stream = s->slots[slot];
    stream->news |= (uint8_t)news;
    if (stream->queued)
        return;
    tern_err err = tern_ring_push(&s->queue, &slot);
    TERN_CHECK(err != TERN_ERR_FULL); /* one entry a slot at most */
    stream->queued = err == TERN_OK;
    if (err != TERN_OK) /* no memory to tell of it: the stream cannot go on */
        tern_swarm_reset(s->swarm, stream->stream, TERN_STREAM_CODE_RESOURCE_LIMIT);
}

/* The next of a stream's news, in the order in which they make sense. */
static enum app_news app_next_news(const struct app_stream *stream)
{
    static const enum app_news order[] = {APP_NEWS_OPENED, APP_NEWS_READY, APP_NEWS_READABLE,
                                          APP_NEWS_WRITABLE, APP_NEWS_ENDED};
    for (size_t i = 0; i < TERN_COUNT_OF(order); i++)
        if ((stream->news & order[i]) != 0)
            return order[i];
    TERN_UNREACHABLE();
}

static struct tern_view app_protocol(const struct app_stream *stream)
{
    if (stream->protocol != NULL)
        return stream->protocol->name;
    return stream->offered_index < stream->names_count ? stream->names[stream->offered_index]
                                                       : (struct tern_view){0};
}

static enum tern_app_stream_event_kind app_event_kind(enum app_news news)
{
    switch (news) {
    case APP_NEWS_OPENED:
        return TERN_APP_STREAM_OPENED;
    case APP_NEWS_READY:
        return TERN_APP_STREAM_READY;
    case APP_NEWS_READABLE:
        return TERN_APP_STREAM_READABLE;
    case APP_NEWS_WRITABLE:
        return TERN_APP_STREAM_WRITABLE;
    case APP_NEWS_ENDED:
        return TERN_APP_STREAM_ENDED;
    }
    TERN_UNREACHABLE();
}

bool tern_app_streams_next(struct tern_app_streams *s, struct tern_app_stream_event *event)
{
    const uint32_t *front;
    if (s->dead != UINT32_MAX) {
        app_free(s, s->slots[s->dead]);
        s->dead = UINT32_MAX;
    }
    while ((front = tern_ring_at(&s->queue, 0)) != NULL) {
        uint32_t slot = *front;
        struct app_stream *stream = s->slots[slot];
        if (!stream->used || stream->news == 0) {
            stream->queued = false;
            (void)tern_ring_pop(&s->queue, &slot);
            continue;
        }
        enum app_news news = app_next_news(stream);
        stream->news &= (uint8_t)~news;
        *event = (struct tern_app_stream_event){.kind = app_event_kind(news),
                                                .id = app_id(stream, slot),
                                                .peer = stream->peer,
                                                .peer_id = stream->peer_id,
                                                .protocol = app_protocol(stream),
                                                .err = stream->err,
                                                .code = stream->code};
        if (news == APP_NEWS_ENDED)
            s->dead = slot;
        return true;
    }
    return false;
}

/* --- the service --- */

static void app_opened(struct tern_app_streams *s, const struct tern_swarm_event *event)
{
    uint32_t slot;
    struct app_stream *stream = app_take(s, event->peer, &slot);
    if (stream == NULL) {
        tern_swarm_reset(s->swarm, event->stream, TERN_STREAM_CODE_RESOURCE_LIMIT);
        return;
    }
    stream->stream = event->stream;
    stream->protocol = event->protocol;
    tern_swarm_set_user(s->swarm, event->stream, slot + 1);
    app_tell(s, slot, APP_NEWS_OPENED);
}

static void app_news_of(struct tern_app_streams *s, const struct tern_swarm_event *event)
{
    if (event->user == 0 || event->user > s->count)
        return;
    uint32_t slot = (uint32_t)(event->user - 1);
    struct app_stream *stream = s->slots[slot];
    if (!stream->used || stream->stream.id != event->stream.id ||
        stream->stream.connection != event->stream.connection)
        return;
    if (event->kind == TERN_SWARM_STREAM_READY) {
        stream->offered_index = event->offered_index;
        app_tell(s, slot, APP_NEWS_READY);
    } else if (event->kind == TERN_SWARM_STREAM_READABLE) {
        app_tell(s, slot, APP_NEWS_READABLE);
    } else if (event->kind == TERN_SWARM_STREAM_WRITABLE) {
        app_tell(s, slot, APP_NEWS_WRITABLE);
    } else if (event->kind == TERN_SWARM_STREAM_ENDED) {
        stream->err = event->err;
        stream->code = event->code;
        app_tell(s, slot, APP_NEWS_ENDED);
    }
}

static void app_event(void *self, tern_time now, const struct tern_swarm_event *event)
{
    (void)now;
    if (event->kind == TERN_SWARM_STREAM_OPENED)
        app_opened(self, event);
    else
        app_news_of(self, event);
}

static tern_time app_deadline(const void *self)
{
    (void)self;
    return TERN_TIME_NEVER;
}

static void app_tick(void *self, tern_time now)
{
    (void)self;
    (void)now;
}

static const struct tern_service_ops app_ops = {
    .name = "streams", .event = app_event, .deadline = app_deadline, .tick = app_tick};

/* --- making, and calls --- */

tern_err tern_app_streams_new(struct tern_mem *mem, struct tern_swarm *swarm,
                              struct tern_app_streams **out)
{
    struct tern_app_streams *s = tern_mem_zalloc(mem, sizeof *s);
    if (s == NULL)
        return TERN_ERR_MEMORY;
    s->mem = mem;
    s->swarm = swarm;
    s->dead = UINT32_MAX;
    tern_ring_init(&s->queue, mem, sizeof(uint32_t), TERN_APP_STREAMS_MAX);
    tern_err err = tern_swarm_add_service(swarm, &app_ops, s, &s->number);
    if (err != TERN_OK) {
        tern_app_streams_free(s);
        return err;
    }
    *out = s;
    return TERN_OK;
}

void tern_app_streams_free(struct tern_app_streams *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->count; i++) {
        app_free(s, s->slots[i]);
        tern_mem_free(s->mem, s->slots[i], sizeof *s->slots[i]);
    }
    tern_mem_free(s->mem, s->slots, s->capacity * sizeof *s->slots);
    tern_ring_fini(&s->queue);
    tern_mem_free(s->mem, s, sizeof *s);
}

tern_err tern_app_streams_handle(struct tern_app_streams *s, struct tern_view protocol,
                                 enum tern_stream_class class)
{
    return tern_swarm_handle(
        s->swarm, &(struct tern_protocol){.name = protocol, .handler = s->number, .class = class});
}

/* Keeps the offered names for as long as the stream lives. */
static bool app_copy_names(struct tern_app_streams *s, struct app_stream *stream,
                           const struct tern_stream_offer *offer)
{
    size_t size = 0;
    for (size_t i = 0; i < offer->names_count; i++)
        size += offer->names[i].size;
    if (size == 0 || size > APP_NAMES_SIZE_MAX)
        return false;
    stream->names_bytes = tern_mem_alloc(s->mem, size);
    if (stream->names_bytes == NULL)
        return false;
    stream->names_size = size;
    stream->names_count = offer->names_count;
    struct tern_writer w = tern_writer_of(stream->names_bytes, size);
    for (size_t i = 0; i < offer->names_count; i++) {
        stream->names[i] = tern_view_of(w.data + w.size, offer->names[i].size);
        tern_writer_bytes(&w, offer->names[i]);
    }
    return tern_writer_ok(&w);
}

tern_err tern_app_streams_open(struct tern_app_streams *s, tern_time now, tern_peer peer,
                               const struct tern_stream_offer *offer, tern_app_stream *id)
{
    uint32_t slot;
    if (offer->names_count == 0 || offer->names_count > TERN_CONN_PROTOCOLS_OFFERED_MAX)
        return TERN_ERR_INVALID;
    if (tern_swarm_peer_id(s->swarm, peer) == NULL)
        return TERN_ERR_STALE;
    struct app_stream *stream = app_take(s, peer, &slot);
    if (stream == NULL)
        return TERN_ERR_MEMORY;
    if (!app_copy_names(s, stream, offer)) {
        app_free(s, stream);
        return TERN_ERR_INVALID;
    }
    struct tern_stream_request request = {.service = s->number,
                                          .peer = peer,
                                          .offer = {.names = stream->names,
                                                    .names_count = stream->names_count,
                                                    .class = offer->class},
                                          .user = slot + 1};
    tern_err err = tern_swarm_open_stream(s->swarm, now, &request, &stream->stream);
    if (err != TERN_OK) {
        app_free(s, stream);
        return err;
    }
    *id = app_id(stream, slot);
    return TERN_OK;
}

void tern_app_streams_reset(struct tern_app_streams *s, tern_app_stream id, uint32_t code)
{
    struct app_stream *stream = app_find(s, id);
    if (stream == NULL)
        return;
    tern_swarm_reset(s->swarm, stream->stream, code);
    app_free(s, stream);
}
