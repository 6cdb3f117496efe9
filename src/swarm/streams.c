/* Streams between connections and services: who a stream belongs to, and the services' calls. */
#include "swarm/private.h"

enum { STREAMS_CAPACITY_FIRST = 4, STREAMS_CAPACITY_MAX = 65536, STREAMS_SMALL = 512 };

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
static tern_err streams_reserve(struct tern_swarm *s, struct swarm_conn *c, uint32_t slot)
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
    TERN_TRY(tern_scope_reserve(&c->scope, TERN_RESOURCE_MEMORY, new_size - old_size, NULL));
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

/* streams_charge is what a stream is charged to beside its connection. */
static struct swarm_charge streams_charge(const struct swarm_conn *c,
                                          const struct swarm_stream *stream)
{
    return (struct swarm_charge){
        .peer = c->peer,
        .service = stream->service,
        .protocol = stream->names_count > 0 ? NULL : stream->of.protocol,
    };
}

static void streams_forget_offer(struct tern_swarm *s, const struct swarm_stream *stream)
{
    if (stream->names_count > 0)
        tern_mem_free(s->mem, stream->of.offer, stream->names_count * sizeof stream->of.offer[0]);
    else
        tern_protocols_drop(s, stream->of.protocol);
}

/* streams_uncharge gives back all that the stream holds. */
static void streams_uncharge(struct tern_swarm *s, struct swarm_conn *c,
                             const struct swarm_stream *stream)
{
    const struct swarm_charge charge = streams_charge(c, stream);
    if (stream->memory > 0) {
        tern_scopes_release(s, &charge, TERN_RESOURCE_MEMORY, stream->memory);
        tern_scope_release(&c->scope, TERN_RESOURCE_MEMORY, stream->memory);
    }
    tern_scopes_release(s, &charge,
                        stream->inbound ? TERN_RESOURCE_STREAMS_IN : TERN_RESOURCE_STREAMS_OUT, 1);
    if (stream->inbound)
        s->places[stream->place].streams--;
    streams_forget_offer(s, stream);
}

static void streams_drop(struct tern_swarm *s, tern_time now, struct swarm_conn *c,
                         struct swarm_stream *stream)
{
    streams_uncharge(s, c, stream);
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
        if (c->streams[i].id != TERN_STREAM_NONE)
            streams_uncharge(s, c, &c->streams[i]);
    size_t size = c->streams_capacity * sizeof c->streams[0];
    if (size > 0)
        tern_scope_release(&c->scope, TERN_RESOURCE_MEMORY, size);
    tern_mem_free(s->mem, c->streams, size);
    c->streams = NULL;
    c->streams_capacity = 0;
}

static struct tern_swarm_event streams_news(const struct tern_swarm *s, const struct swarm_conn *c,
                                            const struct swarm_stream *stream,
                                            enum tern_swarm_event_kind kind)
{
    return (struct tern_swarm_event){
        .kind = kind,
        .service = stream->service,
        .peer = c->peer->handle,
        .connection = c->handle,
        .stream = {.connection = c->handle, .id = stream->id},
        .protocol = stream->inbound ? &s->protocols[stream->place] : NULL,
        .user = stream->user,
    };
}

static void streams_end(struct tern_swarm *s, tern_time now, struct swarm_conn *c,
                        struct swarm_stream *stream, const struct tern_conn_event *why)
{
    struct tern_swarm_event news = streams_news(s, c, stream, TERN_SWARM_STREAM_ENDED);
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

/* streams_admit charges an inbound stream, and fills in what it is charged to; an error is a
 * refusal. */
static tern_err streams_admit(struct tern_swarm *s, struct swarm_conn *c,
                              struct swarm_stream *stream)
{
    struct swarm_place *place = &s->places[stream->place];
    if (place->protocol == NULL)
        return TERN_ERR_NO_PROTOCOL; /* served no more since it was agreed on */
    const struct swarm_charge charge = {
        .peer = c->peer, .service = stream->service, .protocol = place->protocol};
    TERN_TRY(streams_reserve(s, c, streams_slot(stream->id)));
    TERN_TRY(tern_scopes_reserve(s, &charge, TERN_RESOURCE_STREAMS_IN, 1));
    stream->of.protocol = place->protocol;
    place->protocol->users++;
    place->streams++;
    return TERN_OK;
}

static void streams_opened(struct tern_swarm *s, tern_time now, struct swarm_conn *c,
                           const struct tern_conn_event *event)
{
    if (c->state != SWARM_CONN_OPEN || s->down) {
        tern_conn_reset(c->core, event->stream, TERN_STREAM_CODE_SHUTDOWN);
        return;
    }
    size_t place = (size_t)(event->protocol - s->protocols);
    TERN_CHECK(place < TERN_SWARM_PROTOCOLS_MAX);
    struct swarm_stream stream = {
        .id = event->stream,
        .service = (uint8_t)event->protocol->handler,
        .place = (uint8_t)place,
        .inbound = true,
    };
    tern_err err = streams_admit(s, c, &stream);
    if (err != TERN_OK) {
        TERN_TRACE(s->config.trace, now, SWARM_STREAM_REFUSED, c->handle, event->stream, err);
        tern_metric_add(s->config.metrics, TERN_METRIC_SWARM_STREAMS_REFUSED, 1);
        tern_conn_reset(c->core, event->stream,
                        err == TERN_ERR_NO_PROTOCOL ? TERN_STREAM_CODE_NEGOTIATION
                                                    : TERN_STREAM_CODE_RESOURCE_LIMIT);
        return;
    }
    streams_put(c, &stream);
    tern_metric_add(s->config.metrics, TERN_METRIC_SWARM_STREAMS_IN, 1);
    const struct tern_swarm_event news = streams_news(s, c, &stream, TERN_SWARM_STREAM_OPENED);
    tern_swarm_tell(s, now, &news);
}

/* streams_chosen: the remote has chosen among the names on offer; the stream is charged to that
 * protocol from now on. */
static tern_err streams_chosen(struct tern_swarm *s, struct swarm_conn *c,
                               struct swarm_stream *stream, uint32_t chosen)
{
    struct swarm_protocol *protocol;
    TERN_CHECK(chosen < stream->names_count);
    TERN_TRY(tern_protocols_use(s, stream->of.offer[chosen], &protocol));
    const struct swarm_charge charge = {
        .peer = c->peer, .service = SWARM_SERVICE_NONE, .protocol = protocol};
    tern_err err = tern_scopes_reserve(s, &charge, TERN_RESOURCE_STREAMS_OUT, 1);
    if (err == TERN_OK && stream->memory > 0) {
        err = tern_scopes_reserve(s, &charge, TERN_RESOURCE_MEMORY, stream->memory);
        if (err != TERN_OK)
            tern_scopes_release(s, &charge, TERN_RESOURCE_STREAMS_OUT, 1);
    }
    if (err != TERN_OK) {
        tern_protocols_drop(s, protocol);
        return err;
    }
    tern_mem_free(s->mem, stream->of.offer, stream->names_count * sizeof stream->of.offer[0]);
    stream->names_count = 0;
    stream->of.protocol = protocol;
    return TERN_OK;
}

/* streams_ready tells that our stream's protocol is agreed, or ends it when that has no room. */
static void streams_ready(struct tern_swarm *s, tern_time now, struct swarm_conn *c,
                          struct swarm_stream *stream, const struct tern_conn_event *event)
{
    tern_err err =
        stream->names_count == 0 ? TERN_OK : streams_chosen(s, c, stream, event->offered_index);
    if (err != TERN_OK) {
        const struct tern_conn_event why = {.err = err};
        tern_conn_reset(c->core, stream->id, TERN_STREAM_CODE_RESOURCE_LIMIT);
        streams_end(s, now, c, stream, &why);
        return;
    }
    struct tern_swarm_event news = streams_news(s, c, stream, TERN_SWARM_STREAM_READY);
    news.offered_index = event->offered_index;
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
        streams_ready(s, now, c, stream, event);
        return;
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
    const struct tern_swarm_event news = streams_news(s, c, stream, kind);
    tern_swarm_tell(s, now, &news);
}

/* --- the services' calls --- */

/* streams_offer notes what is offered: one name is the protocol, several are kept until the remote
 * has chosen. */
static tern_err streams_offer(struct tern_swarm *s, const struct tern_stream_offer *offer,
                              struct swarm_stream *stream)
{
    if (offer->names_count == 1)
        return tern_protocols_use(s, offer->names[0], &stream->of.protocol);
    size_t size = offer->names_count * sizeof offer->names[0];
    stream->of.offer = tern_mem_alloc(s->mem, size);
    if (stream->of.offer == NULL)
        return TERN_ERR_MEMORY;
    memcpy(stream->of.offer, offer->names, size);
    stream->names_count = (uint8_t)offer->names_count;
    return TERN_OK;
}

/* May the first bytes go before the remote has proven to be there? So it has been declared, by whom
 * opens the stream, or of a protocol that is served here, too. */
static bool streams_early(struct tern_swarm *s, const struct tern_stream_offer *offer)
{
    const struct swarm_place *place =
        offer->names_count == 1 ? tern_swarm_find_place(s, offer->names[0]) : NULL;
    return offer->replay_harmless ||
           (place != NULL && s->protocols[place - s->places].replay_harmless);
}

/* streams_open opens a stream that has been charged. */
static tern_err streams_open(struct tern_swarm *s, tern_time now, struct swarm_conn *c,
                             const struct tern_stream_offer *asked, struct swarm_stream *stream)
{
    struct tern_stream_offer offer = *asked;
    offer.replay_harmless = streams_early(s, asked);
    TERN_TRY(tern_conn_open_stream(c->core, now, &offer, &stream->id));
    tern_conns_touch(s, c);
    tern_err err = streams_reserve(s, c, streams_slot(stream->id));
    if (err != TERN_OK)
        tern_conn_reset(c->core, stream->id, TERN_STREAM_CODE_RESOURCE_LIMIT);
    return err;
}

tern_err tern_swarm_open_stream(struct tern_swarm *s, tern_time now,
                                const struct tern_stream_request *request,
                                struct tern_stream *stream)
{
    TERN_CHECK(request->service < s->services_count && request->offer.names_count > 0);
    *stream = (struct tern_stream){.connection = 0};
    struct swarm_peer *peer = tern_peers_of_handle(s, request->peer);
    if (peer == NULL)
        return TERN_ERR_STALE;
    struct swarm_conn *c = tern_peers_best(peer);
    if (c == NULL || s->down)
        return TERN_ERR_CLOSED;
    struct swarm_stream fresh = {.user = request->user, .service = (uint8_t)request->service};
    TERN_TRY(streams_offer(s, &request->offer, &fresh));
    const struct swarm_charge charge = streams_charge(c, &fresh);
    tern_err err = tern_scopes_reserve(s, &charge, TERN_RESOURCE_STREAMS_OUT, 1);
    if (err != TERN_OK) {
        streams_forget_offer(s, &fresh);
        return err;
    }
    err = streams_open(s, now, c, &request->offer, &fresh);
    if (err != TERN_OK) {
        streams_uncharge(s, c, &fresh);
        return err;
    }
    streams_put(c, &fresh);
    tern_metric_add(s->config.metrics, TERN_METRIC_SWARM_STREAMS_OUT, 1);
    *stream = (struct tern_stream){.connection = c->handle, .id = fresh.id};
    return TERN_OK;
}

/* streams_resolve finds a live stream and its connection; NULL: stale. */
static struct swarm_stream *streams_resolve(const struct tern_swarm *s, struct tern_stream stream,
                                            struct swarm_conn **c)
{
    *c = tern_conns_find(s, stream.connection);
    return *c == NULL ? NULL : streams_find(*c, stream.id);
}

/* streams_metered counts what passes on a stream, for its protocol. */
static void streams_metered(struct tern_swarm *s, const struct swarm_stream *stream,
                            enum tern_direction direction, size_t size)
{
    if (stream->names_count == 0)
        tern_meter_add(&stream->of.protocol->meter, s->now, direction, size);
}

/* streams_held: does a quota hold the stream now? *allowed is how much may pass. Its service is
 * told when it goes on. */
static bool streams_held(struct tern_swarm *s, struct swarm_conn *c, struct swarm_stream *stream,
                         enum tern_direction direction, size_t *allowed)
{
    *allowed = tern_bandwidth_allow(s, s->now, c, direction);
    if (*allowed > 0)
        return false;
    stream->held_read = stream->held_read || direction == TERN_IN;
    stream->held_write = stream->held_write || direction == TERN_OUT;
    return true;
}

/* streams_write_held is a write of a session's stream under quotas: what is cut off follows after
 * WRITABLE. */
static tern_err streams_write_held(struct tern_swarm *s, struct swarm_conn *c,
                                   struct swarm_stream *stream, struct tern_view bytes,
                                   size_t *accepted)
{
    size_t allowed;
    if (bytes.size <= STREAMS_SMALL) { /* what is said in a few bytes goes into debt */
        tern_err err = tern_conn_write(c->core, stream->id, bytes, accepted);
        tern_bandwidth_used(s, s->now, c, TERN_OUT, *accepted);
        return err;
    }
    if (streams_held(s, c, stream, TERN_OUT, &allowed))
        return TERN_OK;
    size_t size = tern_min_size(bytes.size, allowed);
    TERN_TRY(tern_conn_write(c->core, stream->id, tern_view_of(bytes.data, size), accepted));
    tern_bandwidth_used(s, s->now, c, TERN_OUT, *accepted);
    if (*accepted == size && size < bytes.size && !streams_held(s, c, stream, TERN_OUT, &allowed)) {
        stream->held_write = true; /* its next turn has come already */
        c->woken = true;
    } else if (*accepted == bytes.size) {
        tern_bandwidth_done(s, c, TERN_OUT);
    }
    return TERN_OK;
}

tern_err tern_swarm_write(struct tern_swarm *s, struct tern_stream stream, struct tern_view bytes,
                          size_t *accepted)
{
    struct swarm_conn *c;
    *accepted = 0;
    struct swarm_stream *found = streams_resolve(s, stream, &c);
    if (found == NULL)
        return TERN_ERR_STALE;
    tern_conns_touch(s, c);
    tern_err err = TERN_UNLIKELY(s->bandwidth.on) && c->by_streams
                       ? streams_write_held(s, c, found, bytes, accepted)
                       : tern_conn_write(c->core, stream.id, bytes, accepted);
    streams_metered(s, found, TERN_OUT, *accepted);
    return err;
}

tern_err tern_swarm_write_slice(struct tern_swarm *s, struct tern_stream stream,
                                struct tern_slice slice)
{
    struct swarm_conn *c;
    size_t allowed;
    struct swarm_stream *found = streams_resolve(s, stream, &c);
    if (found == NULL)
        return TERN_ERR_STALE;
    bool shaped = TERN_UNLIKELY(s->bandwidth.on) && c->by_streams;
    tern_conns_touch(s, c);
    if (shaped && streams_held(s, c, found, TERN_OUT, &allowed))
        return TERN_ERR_AGAIN;
    TERN_TRY(tern_conn_write_slice(c->core, stream.id, slice));
    if (shaped) { /* all or nothing: it may go into debt */
        tern_bandwidth_used(s, s->now, c, TERN_OUT, slice.view.size);
        tern_bandwidth_done(s, c, TERN_OUT);
    }
    streams_metered(s, found, TERN_OUT, slice.view.size);
    return TERN_OK;
}

tern_err tern_swarm_read(struct tern_swarm *s, struct tern_stream stream, struct tern_slice *bytes)
{
    struct swarm_conn *c;
    size_t allowed = SIZE_MAX;
    *bytes = (struct tern_slice){.chunk = NULL};
    struct swarm_stream *found = streams_resolve(s, stream, &c);
    if (found == NULL)
        return TERN_ERR_STALE;
    tern_conns_touch(s, c); /* reading the end may close the stream */
    if (TERN_UNLIKELY(s->bandwidth.on) && streams_held(s, c, found, TERN_IN, &allowed))
        return TERN_ERR_AGAIN;
    TERN_TRY(tern_conn_read(c->core, stream.id, bytes));
    bytes->view.size = tern_min_size(bytes->view.size, allowed);
    return TERN_OK;
}

void tern_swarm_consume(struct tern_swarm *s, struct tern_stream stream, size_t size)
{
    struct swarm_conn *c;
    struct swarm_stream *found = streams_resolve(s, stream, &c);
    if (found == NULL)
        return;
    tern_conns_touch(s, c);
    tern_conn_consume(c->core, stream.id, size);
    streams_metered(s, found, TERN_IN, size);
    if (TERN_UNLIKELY(s->bandwidth.on)) {
        tern_bandwidth_used(s, s->now, c, TERN_IN, size);
        tern_bandwidth_done(s, c, TERN_IN);
    }
}

void tern_streams_wake(struct tern_swarm *s, tern_time now, struct swarm_conn *c)
{
    uint32_t count = c->streams_capacity;
    c->woken = false;
    for (uint32_t i = 0; i < count && c->state == SWARM_CONN_OPEN; i++) {
        /* Being told, a service may do anything: the table may have moved. */
        struct swarm_stream *stream = &c->streams[i];
        if (stream->id != TERN_STREAM_NONE && stream->held_read && !c->held_in) {
            stream->held_read = false;
            const struct tern_swarm_event news =
                streams_news(s, c, stream, TERN_SWARM_STREAM_READABLE);
            tern_swarm_tell(s, now, &news);
            stream = &c->streams[i];
        }
        if (stream->id != TERN_STREAM_NONE && stream->held_write && !c->held_out) {
            stream->held_write = false;
            const struct tern_swarm_event news =
                streams_news(s, c, stream, TERN_SWARM_STREAM_WRITABLE);
            tern_swarm_tell(s, now, &news);
        }
    }
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

tern_err tern_swarm_reserve_stream_memory(struct tern_swarm *s, struct tern_stream stream,
                                          size_t bytes)
{
    struct swarm_conn *c;
    struct swarm_stream *found = streams_resolve(s, stream, &c);
    if (found == NULL)
        return TERN_ERR_STALE;
    const struct swarm_charge charge = streams_charge(c, found);
    uint64_t max = s->config.limits.stream.max[TERN_RESOURCE_MEMORY];
    uint64_t room = (max == 0 || max > UINT32_MAX ? UINT32_MAX : max);
    room = room > found->memory ? room - found->memory : 0;
    if (bytes > room) {
        tern_limits_refuse_scope(s, &(struct swarm_refused){
                                        .scope = TERN_SCOPE_STREAM,
                                        .resource = TERN_RESOURCE_MEMORY,
                                        .used = found->memory,
                                        .limit = max,
                                        .asked = bytes,
                                        .peer = c->peer,
                                        .service = &s->services[found->service],
                                        .protocol = charge.protocol,
                                    });
        return TERN_ERR_SCOPE_MEMORY;
    }
    TERN_TRY(tern_scopes_reserve(s, &charge, TERN_RESOURCE_MEMORY, bytes));
    tern_err err = tern_scope_reserve(&c->scope, TERN_RESOURCE_MEMORY, bytes, NULL);
    if (err == TERN_OK)
        found->memory += (uint32_t)bytes;
    else
        tern_scopes_release(s, &charge, TERN_RESOURCE_MEMORY, bytes);
    return err;
}

void tern_swarm_release_stream_memory(struct tern_swarm *s, struct tern_stream stream, size_t bytes)
{
    struct swarm_conn *c;
    struct swarm_stream *found = streams_resolve(s, stream, &c);
    if (found == NULL)
        return; /* it was given back with the stream */
    const struct swarm_charge charge = streams_charge(c, found);
    TERN_CHECK(found->memory >= bytes);
    found->memory -= (uint32_t)bytes;
    tern_scopes_release(s, &charge, TERN_RESOURCE_MEMORY, bytes);
    tern_scope_release(&c->scope, TERN_RESOURCE_MEMORY, bytes);
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
