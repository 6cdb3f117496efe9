#include "mux/streams.h"

enum { TABLE_SLOTS_MIN = 4, TABLE_BUCKETS_MIN = 8, TABLE_KEEP_MAX = 16 };

void tern_mux_streams_init(struct tern_mux_streams *streams,
                           const struct tern_mux_streams_options *options)
{
    TERN_CHECK(options->mem != NULL && options->scope != NULL);
    TERN_CHECK(options->stream_size >= sizeof(struct tern_mux_stream));
    *streams = (struct tern_mux_streams){
        .mem = options->mem,
        .scope = options->scope,
        .hash_seed = options->hash_seed,
        .stream_size = options->stream_size,
        .send_buffer_max = options->send_buffer_max,
        .slots_free = TERN_MUX_NO_SLOT,
        .pool = {.mem = options->mem},
    };
    tern_list_init(&streams->control);
    tern_list_init(&streams->news);
    tern_schedule_init(&streams->schedule);
}

/* --- the table of wire ids --- */

/* table_hash: seeded, so that a peer cannot choose ids that meet in one bucket (the finaliser of
 * splitmix64). */
static uint32_t table_hash(const struct tern_mux_streams *streams, uint64_t wire_id)
{
    uint64_t x = streams->hash_seed + wire_id;
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)(x >> 32);
}

static struct tern_mux_stream **table_bucket(const struct tern_mux_streams *streams,
                                             uint64_t wire_id)
{
    return &streams->buckets[table_hash(streams, wire_id) & (streams->buckets_count - 1)];
}

static void table_free_buckets(struct tern_mux_streams *streams)
{
    tern_mem_free(streams->mem, streams->buckets,
                  streams->buckets_count * sizeof(*streams->buckets));
    streams->buckets = NULL;
    streams->buckets_count = 0;
}

/* table_rehash moves all streams to count buckets; false: no memory, and all is as before. */
static bool table_rehash(struct tern_mux_streams *streams, uint32_t count)
{
    struct tern_mux_stream **old = streams->buckets;
    uint32_t old_count = streams->buckets_count;
    struct tern_mux_stream **fresh = tern_mem_zalloc(streams->mem, count * sizeof(*fresh));
    if (fresh == NULL)
        return false;
    streams->buckets = fresh;
    streams->buckets_count = count;
    for (uint32_t i = 0; i < old_count; i++) {
        struct tern_mux_stream *stream = old[i];
        while (stream != NULL) {
            struct tern_mux_stream *next = stream->hash_next;
            struct tern_mux_stream **bucket = table_bucket(streams, stream->wire_id);
            stream->hash_next = *bucket;
            *bucket = stream;
            stream = next;
        }
    }
    tern_mem_free(streams->mem, old, old_count * sizeof(*old));
    return true;
}

static bool table_grow_slots(struct tern_mux_streams *streams)
{
    TERN_CHECK(streams->slots_count < UINT32_MAX / 2);
    uint32_t count = streams->slots_count == 0 ? TABLE_SLOTS_MIN : streams->slots_count * 2;
    struct tern_mux_slot *slots =
        tern_mem_realloc(streams->mem, streams->slots, streams->slots_count * sizeof(*slots),
                         count * sizeof(*slots));
    if (slots == NULL)
        return false;
    for (uint32_t i = count; i-- > streams->slots_count;) {
        slots[i] = (struct tern_mux_slot){.next_free = streams->slots_free};
        streams->slots_free = i;
    }
    streams->slots = slots;
    streams->slots_count = count;
    return true;
}

/* table_ensure makes sure that a stream can be added, also to the table of wire ids: there a full
 * table is slow but never an error, so numbering a stream cannot fail. */
static bool table_ensure(struct tern_mux_streams *streams)
{
    if (streams->buckets == NULL && !table_rehash(streams, TABLE_BUCKETS_MIN))
        return false;
    return streams->slots_free != TERN_MUX_NO_SLOT || table_grow_slots(streams);
}

static void table_free_slots(struct tern_mux_streams *streams)
{
    tern_mem_free(streams->mem, streams->slots, streams->slots_count * sizeof(*streams->slots));
    streams->slots = NULL;
    streams->slots_count = 0;
    streams->slots_free = TERN_MUX_NO_SLOT;
}

/* table_shrink gives large tables back when the last stream has gone. Old ids stay stale: their
 * generations never come again. */
static void table_shrink(struct tern_mux_streams *streams)
{
    if (streams->in_count + streams->out_count > 0)
        return;
    TERN_CHECK(streams->slots_used == 0 && streams->hashed == 0);
    tern_mux_pool_trim(&streams->pool);
    if (streams->slots_count > TABLE_KEEP_MAX)
        table_free_slots(streams);
    if (streams->buckets_count > TABLE_KEEP_MAX)
        table_free_buckets(streams);
}

struct tern_mux_stream *tern_mux_stream_find_wire(struct tern_mux_streams *streams,
                                                  uint64_t wire_id)
{
    if (streams->recent != NULL && streams->recent->wire_id == wire_id)
        return streams->recent;
    if (streams->hashed == 0)
        return NULL;
    struct tern_mux_stream *stream = *table_bucket(streams, wire_id);
    while (stream != NULL && stream->wire_id != wire_id)
        stream = stream->hash_next;
    if (stream != NULL)
        streams->recent = stream;
    return stream;
}

void tern_mux_stream_number(struct tern_mux_streams *streams, struct tern_mux_stream *stream,
                            uint64_t wire_id)
{
    TERN_CHECK(stream->wire_id == 0 && wire_id != 0);
    TERN_DCHECK(tern_mux_stream_find_wire(streams, wire_id) == NULL);
    if (streams->hashed >= streams->buckets_count)
        (void)table_rehash(streams, streams->buckets_count * 2);
    stream->wire_id = wire_id;
    struct tern_mux_stream **bucket = table_bucket(streams, wire_id);
    stream->hash_next = *bucket;
    *bucket = stream;
    streams->hashed++;
}

/* The stream keeps the number for its last frame. */
void tern_mux_stream_unnumber(struct tern_mux_streams *streams, struct tern_mux_stream *stream)
{
    if (stream->wire_id == 0 || streams->buckets == NULL)
        return;
    struct tern_mux_stream **link = table_bucket(streams, stream->wire_id);
    while (*link != NULL && *link != stream)
        link = &(*link)->hash_next;
    if (*link == NULL)
        return; /* it has ended already */
    *link = stream->hash_next;
    stream->hash_next = NULL;
    streams->hashed--;
    if (streams->recent == stream)
        streams->recent = NULL;
}

/* --- lives --- */

static enum tern_resource stream_resource(uint32_t flags)
{
    return flags & MUX_INBOUND ? TERN_RESOURCE_STREAMS_IN : TERN_RESOURCE_STREAMS_OUT;
}

static tern_err stream_reserve(struct tern_mux_streams *streams, uint32_t flags)
{
    TERN_TRY(tern_scope_reserve(streams->scope, stream_resource(flags), 1, NULL));
    tern_err err =
        tern_scope_reserve(streams->scope, TERN_RESOURCE_MEMORY, streams->stream_size, NULL);
    if (err != TERN_OK)
        tern_scope_release(streams->scope, stream_resource(flags), 1);
    return err;
}

static void stream_unreserve(struct tern_mux_streams *streams, uint32_t flags)
{
    tern_scope_release(streams->scope, TERN_RESOURCE_MEMORY, streams->stream_size);
    tern_scope_release(streams->scope, stream_resource(flags), 1);
}

static void stream_take_slot(struct tern_mux_streams *streams, struct tern_mux_stream *stream)
{
    stream->slot = streams->slots_free;
    struct tern_mux_slot *slot = &streams->slots[stream->slot];
    TERN_CHECK(stream->slot < streams->slots_count && slot->stream == NULL);
    streams->slots_free = slot->next_free;
    slot->stream = stream;
    streams->slots_used++;
    streams->generation = streams->generation == UINT32_MAX ? 1 : streams->generation + 1;
    stream->generation = streams->generation;
}

tern_err tern_mux_stream_new(struct tern_mux_streams *streams, uint32_t flags,
                             struct tern_mux_stream **stream)
{
    TERN_CHECK((flags & ~(uint32_t)MUX_INBOUND) == 0);
    *stream = NULL;
    TERN_TRY(stream_reserve(streams, flags));
    struct tern_mux_stream *s =
        table_ensure(streams) ? tern_mem_zalloc(streams->mem, streams->stream_size) : NULL;
    if (s == NULL) {
        stream_unreserve(streams, flags);
        return TERN_ERR_MEMORY;
    }
    tern_list_init(&s->control);
    tern_list_init(&s->news);
    tern_schedule_turn_init(&s->turn, TERN_STREAM_BULK);
    s->flags = flags;
    stream_take_slot(streams, s);
    if (flags & MUX_INBOUND)
        streams->in_count++;
    else
        streams->out_count++;
    *stream = s;
    return TERN_OK;
}

struct tern_mux_stream *tern_mux_stream_find(const struct tern_mux_streams *streams,
                                             tern_stream_id id)
{
    uint32_t slot = (uint32_t)id;
    if (slot >= streams->slots_count)
        return NULL;
    struct tern_mux_stream *stream = streams->slots[slot].stream;
    return stream != NULL && stream->generation == id >> 32 ? stream : NULL;
}

tern_stream_id tern_mux_stream_id(const struct tern_mux_stream *stream)
{
    TERN_CHECK(stream->slot != TERN_MUX_NO_SLOT);
    return (tern_stream_id)stream->generation << 32 | stream->slot;
}

void tern_mux_stream_end(struct tern_mux_streams *streams, struct tern_mux_stream *stream)
{
    tern_mux_queue_clear(&streams->pool, &stream->in);
    TERN_CHECK(tern_mux_stream_charge(streams, stream, 0) == TERN_OK);
    if (stream->out.size > 0)
        tern_scope_release(streams->scope, TERN_RESOURCE_MEMORY, stream->out.size);
    tern_mux_queue_clear(&streams->pool, &stream->out);
    stream->sent = 0;
    tern_mux_stream_unnumber(streams, stream);
    tern_schedule_remove(&streams->schedule, &stream->turn);
    if (!(stream->flags & MUX_RST_DUE))
        tern_list_remove(&stream->control);
}

void tern_mux_stream_drop_id(struct tern_mux_streams *streams, struct tern_mux_stream *stream)
{
    uint32_t slot = stream->slot;
    TERN_CHECK(slot < streams->slots_count && streams->slots[slot].stream == stream);
    tern_list_remove(&stream->news);
    stream->slot = TERN_MUX_NO_SLOT;
    streams->slots[slot] = (struct tern_mux_slot){.next_free = streams->slots_free};
    streams->slots_free = slot;
    streams->slots_used--;
}

void tern_mux_stream_free(struct tern_mux_streams *streams, struct tern_mux_stream *stream)
{
    TERN_CHECK(stream->slot == TERN_MUX_NO_SLOT);
    tern_mux_stream_end(streams, stream);
    tern_list_remove(&stream->control);
    tern_list_remove(&stream->news);
    uint32_t *count = stream->flags & MUX_INBOUND ? &streams->in_count : &streams->out_count;
    TERN_CHECK(*count > 0);
    (*count)--;
    stream_unreserve(streams, stream->flags);
    tern_mem_free(streams->mem, stream, streams->stream_size);
    table_shrink(streams);
}

void tern_mux_streams_fini(struct tern_mux_streams *streams,
                           void (*release)(struct tern_mux_streams *streams,
                                           struct tern_mux_stream *stream))
{
    /* With the last stream the tables may go. */
    for (uint32_t i = 0; i < streams->slots_count; i++) {
        struct tern_mux_stream *stream = streams->slots[i].stream;
        if (stream == NULL)
            continue;
        tern_mux_stream_drop_id(streams, stream);
        release(streams, stream);
    }
    while (!tern_list_empty(&streams->control))
        release(streams, TERN_LIST_ENTRY(streams->control.next, struct tern_mux_stream, control));
    TERN_CHECK(streams->in_count == 0 && streams->out_count == 0);
    if (streams->slots != NULL)
        table_free_slots(streams);
    if (streams->buckets != NULL)
        table_free_buckets(streams);
    tern_mux_pool_trim(&streams->pool);
}

/* --- news and lines --- */

void tern_mux_stream_say(struct tern_mux_streams *streams, struct tern_mux_stream *stream,
                         uint32_t news)
{
    TERN_CHECK(stream->slot != TERN_MUX_NO_SLOT);
    stream->flags |= news;
    if (!tern_list_linked(&stream->news))
        tern_list_push_back(&streams->news, &stream->news);
}

static const struct {
    uint32_t news;
    enum tern_mux_event_kind kind;
} news_order[] = {
    {MUX_NEWS_OPENED, TERN_MUX_STREAM_OPENED}, {MUX_NEWS_READABLE, TERN_MUX_READABLE},
    {MUX_NEWS_WRITABLE, TERN_MUX_WRITABLE},    {MUX_NEWS_RESET, TERN_MUX_RESET},
    {MUX_NEWS_CLOSED, TERN_MUX_CLOSED},
};

struct tern_mux_stream *tern_mux_streams_next(struct tern_mux_streams *streams,
                                              struct tern_mux_event *event)
{
    struct tern_list *node = tern_list_front(&streams->news);
    if (node == NULL)
        return NULL;
    struct tern_mux_stream *stream = TERN_LIST_ENTRY(node, struct tern_mux_stream, news);
    uint32_t all = 0;
    size_t first = TERN_COUNT_OF(news_order);
    for (size_t i = TERN_COUNT_OF(news_order); i-- > 0;) {
        all |= news_order[i].news;
        if (stream->flags & news_order[i].news)
            first = i;
    }
    TERN_CHECK(first < TERN_COUNT_OF(news_order));
    stream->flags &= ~news_order[first].news;
    if ((stream->flags & all) == 0)
        tern_list_remove(&stream->news);
    *event = (struct tern_mux_event){.kind = news_order[first].kind,
                                     .stream = tern_mux_stream_id(stream)};
    if (event->kind == TERN_MUX_RESET)
        event->code = stream->code;
    return stream;
}

void tern_mux_stream_want_control(struct tern_mux_streams *streams, struct tern_mux_stream *stream)
{
    if (!tern_list_linked(&stream->control))
        tern_list_push_back(&streams->control, &stream->control);
}

bool tern_mux_stream_fin_due(const struct tern_mux_stream *stream)
{
    return tern_mux_stream_unsent(stream) == 0 && (stream->flags & MUX_FIN_ASKED) != 0 &&
           (stream->flags & MUX_FIN_SENT) == 0;
}

bool tern_mux_stream_ended(const struct tern_mux_stream *stream)
{
    const uint32_t both = MUX_FIN_SENT | MUX_FIN_RECEIVED;
    return (stream->flags & both) == both && stream->in.size == 0;
}

/* --- bytes --- */

tern_err tern_mux_stream_charge(struct tern_mux_streams *streams, struct tern_mux_stream *stream,
                                size_t charge)
{
    if (charge > stream->charged)
        TERN_TRY(tern_scope_reserve(streams->scope, TERN_RESOURCE_MEMORY, charge - stream->charged,
                                    NULL));
    else if (charge < stream->charged)
        tern_scope_release(streams->scope, TERN_RESOURCE_MEMORY, stream->charged - charge);
    stream->charged = (uint32_t)charge;
    return TERN_OK;
}

void tern_mux_stream_say_writable(struct tern_mux_streams *streams, struct tern_mux_stream *stream)
{
    if (!(stream->flags & MUX_WRITE_SHORT) ||
        tern_mux_stream_unsent(stream) > streams->send_buffer_max / 2)
        return;
    stream->flags &= ~(uint32_t)MUX_WRITE_SHORT;
    tern_mux_stream_say(streams, stream, MUX_NEWS_WRITABLE);
}

void tern_mux_stream_take(struct tern_mux_streams *streams, struct tern_mux_stream *stream,
                          size_t size, struct tern_writer *out)
{
    tern_mux_queue_take(&streams->pool, &stream->out, size, out);
    tern_scope_release(streams->scope, TERN_RESOURCE_MEMORY, size);
    tern_mux_stream_say_writable(streams, stream);
}

/* stream_writable finds a stream that may be written to. */
static tern_err stream_writable(const struct tern_mux_streams *streams, tern_stream_id id,
                                struct tern_mux_stream **stream)
{
    *stream = tern_mux_stream_find(streams, id);
    if (*stream == NULL)
        return TERN_ERR_STALE;
    if ((*stream)->flags & MUX_DEAD)
        return TERN_ERR_RESET;
    if (streams->over || ((*stream)->flags & MUX_FIN_ASKED) != 0)
        return TERN_ERR_CLOSED;
    return TERN_OK;
}

static size_t stream_write_room(const struct tern_mux_streams *streams,
                                const struct tern_mux_stream *stream)
{
    size_t queued = tern_mux_stream_unsent(stream);
    return queued >= streams->send_buffer_max ? 0 : streams->send_buffer_max - queued;
}

static void stream_announce(struct tern_mux_streams *streams, struct tern_mux_stream *stream)
{
    if ((stream->flags & MUX_INBOUND) || stream->wire_id != 0)
        return;
    stream->flags |= MUX_ANNOUNCE;
    tern_mux_stream_want_control(streams, stream);
}

tern_err tern_mux_stream_write(struct tern_mux_streams *streams, tern_stream_id id,
                               struct tern_view bytes, size_t *accepted,
                               struct tern_mux_stream **stream)
{
    *accepted = 0;
    TERN_TRY(stream_writable(streams, id, stream));
    struct tern_mux_stream *s = *stream;
    if (bytes.size == 0) {
        stream_announce(streams, s);
        return TERN_OK;
    }
    size_t size = tern_min_size(bytes.size, stream_write_room(streams, s));
    if (size > 0) {
        TERN_TRY(tern_scope_reserve(streams->scope, TERN_RESOURCE_MEMORY, size, NULL));
        *accepted = tern_mux_queue_copy(&streams->pool, &s->out, tern_view_of(bytes.data, size));
        if (*accepted < size)
            tern_scope_release(streams->scope, TERN_RESOURCE_MEMORY, size - *accepted);
        if (*accepted == 0)
            return TERN_ERR_MEMORY;
    }
    if (*accepted < bytes.size)
        s->flags |= MUX_WRITE_SHORT;
    return TERN_OK;
}

/* stream_queue appends a slice, all or nothing. False: no memory. */
static bool stream_queue(struct tern_mux_streams *streams, struct tern_mux_stream *stream,
                         struct tern_slice slice)
{
    if (slice.view.size < TERN_MUX_COPY_MAX)
        return tern_mux_queue_put(&streams->pool, &stream->out, slice.view);
    if (slice.chunk != NULL)
        return tern_mux_queue_refer(&streams->pool, &stream->out, slice);
    slice.chunk = tern_chunk_copy(streams->mem, slice.view);
    if (slice.chunk == NULL)
        return false;
    slice.view = tern_chunk_view(slice.chunk);
    bool ok = tern_mux_queue_refer(&streams->pool, &stream->out, slice);
    tern_chunk_unref(slice.chunk);
    return ok;
}

tern_err tern_mux_stream_write_slice(struct tern_mux_streams *streams, tern_stream_id id,
                                     struct tern_slice slice, struct tern_mux_stream **stream)
{
    size_t size = slice.view.size;
    if (size == 0)
        return tern_mux_stream_write(streams, id, slice.view, &size, stream);
    TERN_TRY(stream_writable(streams, id, stream));
    struct tern_mux_stream *s = *stream;
    if (tern_mux_stream_unsent(s) > 0 && size > stream_write_room(streams, s)) {
        s->flags |= MUX_WRITE_SHORT;
        return TERN_ERR_AGAIN;
    }
    if (size > TERN_CHUNK_CAPACITY_MAX)
        return TERN_ERR_MEMORY;
    TERN_TRY(tern_scope_reserve(streams->scope, TERN_RESOURCE_MEMORY, size, NULL));
    if (stream_queue(streams, s, slice))
        return TERN_OK;
    tern_scope_release(streams->scope, TERN_RESOURCE_MEMORY, size);
    return TERN_ERR_MEMORY;
}

tern_err tern_mux_stream_read(const struct tern_mux_streams *streams, tern_stream_id id,
                              struct tern_slice *bytes)
{
    *bytes = (struct tern_slice){.chunk = NULL};
    const struct tern_mux_stream *stream = tern_mux_stream_find(streams, id);
    if (stream == NULL)
        return TERN_ERR_STALE;
    if (stream->flags & MUX_DEAD)
        return TERN_ERR_RESET;
    if (stream->in.size > 0) {
        *bytes = tern_mux_queue_front(&stream->in);
        return TERN_OK;
    }
    return stream->flags & MUX_FIN_RECEIVED ? TERN_ERR_END : TERN_ERR_AGAIN;
}

tern_err tern_mux_stream_close_write(struct tern_mux_streams *streams, tern_stream_id id,
                                     struct tern_mux_stream **stream)
{
    *stream = tern_mux_stream_find(streams, id);
    if (*stream == NULL)
        return TERN_ERR_STALE;
    if ((*stream)->flags & MUX_DEAD)
        return TERN_ERR_RESET;
    (*stream)->flags |= MUX_FIN_ASKED;
    (*stream)->flags &= ~(uint32_t)MUX_WRITE_SHORT;
    return TERN_OK;
}

size_t tern_mux_stream_unread(const struct tern_mux_streams *streams, tern_stream_id id)
{
    const struct tern_mux_stream *stream = tern_mux_stream_find(streams, id);
    return stream == NULL ? 0 : stream->in.size;
}

size_t tern_mux_stream_queued(const struct tern_mux_streams *streams, tern_stream_id id)
{
    const struct tern_mux_stream *stream = tern_mux_stream_find(streams, id);
    return stream == NULL ? 0 : tern_mux_stream_unsent(stream);
}

/* --- floods --- */

bool tern_mux_bucket_take(struct tern_mux_bucket *bucket, tern_time now, uint32_t burst,
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
