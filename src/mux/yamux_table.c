/*
 * Streams: slots for the owner's ids, a hash table for the ids on the wire, and the rules by which
 * a stream's object comes and goes.
 */
#include "mux/yamux_internal.h"

enum { TABLE_SLOTS_MIN = 4, TABLE_BUCKETS_MIN = 8, TABLE_KEEP_MAX = 16 };

/* table_hash: seeded, so that a peer cannot choose ids that meet in one bucket (the finaliser of
 * splitmix64). */
static uint32_t table_hash(const struct tern_yamux *y, uint32_t wire_id)
{
    uint64_t x = y->hash_seed + wire_id;
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)(x >> 32);
}

static struct tern_yamux_stream **table_bucket(const struct tern_yamux *y, uint32_t wire_id)
{
    return &y->buckets[table_hash(y, wire_id) & (y->buckets_count - 1)];
}

static void table_free_buckets(struct tern_yamux *y)
{
    tern_mem_free(y->mem, y->buckets, y->buckets_count * sizeof(*y->buckets));
    y->buckets = NULL;
    y->buckets_count = 0;
}

/* table_rehash moves all streams to count buckets; false: no memory, and all is as before. */
static bool table_rehash(struct tern_yamux *y, uint32_t count)
{
    struct tern_yamux_stream **old = y->buckets;
    uint32_t old_count = y->buckets_count;
    struct tern_yamux_stream **fresh = tern_mem_zalloc(y->mem, count * sizeof(*fresh));
    if (fresh == NULL)
        return false;
    y->buckets = fresh;
    y->buckets_count = count;
    for (uint32_t i = 0; i < old_count; i++) {
        struct tern_yamux_stream *stream = old[i];
        while (stream != NULL) {
            struct tern_yamux_stream *next = stream->hash_next;
            struct tern_yamux_stream **bucket = table_bucket(y, stream->wire_id);
            stream->hash_next = *bucket;
            *bucket = stream;
            stream = next;
        }
    }
    tern_mem_free(y->mem, old, old_count * sizeof(*old));
    return true;
}

static bool table_grow_slots(struct tern_yamux *y)
{
    TERN_CHECK(y->slots_count < UINT32_MAX / 2);
    uint32_t count = y->slots_count == 0 ? TABLE_SLOTS_MIN : y->slots_count * 2;
    struct tern_yamux_slot *slots =
        tern_mem_realloc(y->mem, y->slots, y->slots_count * sizeof(*slots), count * sizeof(*slots));
    if (slots == NULL)
        return false;
    for (uint32_t i = count; i-- > y->slots_count;) {
        slots[i] = (struct tern_yamux_slot){.next_free = y->slots_free};
        y->slots_free = i;
    }
    y->slots = slots;
    y->slots_count = count;
    return true;
}

/* table_ensure makes sure that a stream can be added, also to the table of wire ids: there a full
 * table is slow but never an error, so numbering a stream cannot fail. */
static bool table_ensure(struct tern_yamux *y)
{
    if (y->buckets == NULL && !table_rehash(y, TABLE_BUCKETS_MIN))
        return false;
    return y->slots_free != TERN_YAMUX_NO_SLOT || table_grow_slots(y);
}

/* table_shrink gives large tables back when the last stream has gone. Old ids stay stale: their
 * generations never come again. */
static void table_shrink(struct tern_yamux *y)
{
    if (y->streams_in + y->streams_out > 0)
        return;
    TERN_CHECK(y->slots_used == 0 && y->hashed == 0);
    tern_mux_pool_trim(&y->pool);
    if (y->slots_count > TABLE_KEEP_MAX) {
        tern_mem_free(y->mem, y->slots, y->slots_count * sizeof(*y->slots));
        y->slots = NULL;
        y->slots_count = 0;
        y->slots_free = TERN_YAMUX_NO_SLOT;
    }
    if (y->buckets_count > TABLE_KEEP_MAX)
        table_free_buckets(y);
}

static enum tern_resource stream_resource(uint32_t flags)
{
    return flags & YAMUX_INBOUND ? TERN_RESOURCE_STREAMS_IN : TERN_RESOURCE_STREAMS_OUT;
}

static tern_err stream_reserve(struct tern_yamux *y, uint32_t flags)
{
    TERN_TRY(tern_scope_reserve(y->scope, stream_resource(flags), 1, NULL));
    tern_err err =
        tern_scope_reserve(y->scope, TERN_RESOURCE_MEMORY, sizeof(struct tern_yamux_stream), NULL);
    if (err != TERN_OK)
        tern_scope_release(y->scope, stream_resource(flags), 1);
    return err;
}

static void stream_unreserve(struct tern_yamux *y, uint32_t flags)
{
    tern_scope_release(y->scope, TERN_RESOURCE_MEMORY, sizeof(struct tern_yamux_stream));
    tern_scope_release(y->scope, stream_resource(flags), 1);
}

static void stream_take_slot(struct tern_yamux *y, struct tern_yamux_stream *stream)
{
    stream->slot = y->slots_free;
    TERN_CHECK(stream->slot < y->slots_count && y->slots[stream->slot].stream == NULL);
    y->slots_free = y->slots[stream->slot].next_free;
    y->slots[stream->slot].stream = stream;
    y->slots_used++;
    y->generation = y->generation == UINT32_MAX ? 1 : y->generation + 1;
    stream->generation = y->generation;
}

tern_err tern_yamux_stream_new(struct tern_yamux *y, uint32_t flags,
                               struct tern_yamux_stream **stream)
{
    TERN_CHECK((flags & ~(uint32_t)YAMUX_INBOUND) == 0);
    *stream = NULL;
    TERN_TRY(stream_reserve(y, flags));
    struct tern_yamux_stream *s = table_ensure(y) ? tern_mem_zalloc(y->mem, sizeof(*s)) : NULL;
    if (s == NULL) {
        stream_unreserve(y, flags);
        return TERN_ERR_MEMORY;
    }
    tern_list_init(&s->control);
    tern_list_init(&s->news);
    s->flags = flags;
    tern_schedule_turn_init(&s->turn, TERN_STREAM_BULK);
    s->window = TERN_YAMUX_WINDOW_INITIAL;
    s->recv_credit = TERN_YAMUX_WINDOW_INITIAL;
    s->send_credit = TERN_YAMUX_WINDOW_INITIAL;
    stream_take_slot(y, s);
    if (flags & YAMUX_INBOUND) {
        y->streams_in++;
    } else {
        y->streams_out++;
        y->unacked++;
        y->unnumbered++;
    }
    *stream = s;
    return TERN_OK;
}

struct tern_yamux_stream *tern_yamux_find(const struct tern_yamux *y, tern_stream_id id)
{
    uint32_t slot = (uint32_t)id;
    if (slot >= y->slots_count)
        return NULL;
    struct tern_yamux_stream *stream = y->slots[slot].stream;
    return stream != NULL && stream->generation == id >> 32 ? stream : NULL;
}

tern_stream_id tern_yamux_id(const struct tern_yamux_stream *stream)
{
    TERN_CHECK(stream->slot != TERN_YAMUX_NO_SLOT);
    return (tern_stream_id)stream->generation << 32 | stream->slot;
}

struct tern_yamux_stream *tern_yamux_find_wire(struct tern_yamux *y, uint32_t wire_id)
{
    if (y->recent != NULL && y->recent->wire_id == wire_id)
        return y->recent;
    if (y->hashed == 0)
        return NULL;
    struct tern_yamux_stream *stream = *table_bucket(y, wire_id);
    while (stream != NULL && stream->wire_id != wire_id)
        stream = stream->hash_next;
    if (stream != NULL)
        y->recent = stream;
    return stream;
}

void tern_yamux_number(struct tern_yamux *y, struct tern_yamux_stream *stream, uint32_t wire_id)
{
    TERN_CHECK(stream->wire_id == 0 && wire_id != 0);
    TERN_DCHECK(tern_yamux_find_wire(y, wire_id) == NULL);
    if (!(stream->flags & YAMUX_INBOUND)) {
        TERN_CHECK(y->unnumbered > 0);
        y->unnumbered--;
    }
    if (y->hashed >= y->buckets_count)
        (void)table_rehash(y, y->buckets_count * 2);
    stream->wire_id = wire_id;
    struct tern_yamux_stream **bucket = table_bucket(y, wire_id);
    stream->hash_next = *bucket;
    *bucket = stream;
    y->hashed++;
}

/* table_remove forgets the wire id in the table; the stream keeps the number for its RST. */
static void table_remove(struct tern_yamux *y, struct tern_yamux_stream *stream)
{
    struct tern_yamux_stream **link = table_bucket(y, stream->wire_id);
    while (*link != NULL && *link != stream)
        link = &(*link)->hash_next;
    if (*link == NULL)
        return; /* it has ended already */
    *link = stream->hash_next;
    stream->hash_next = NULL;
    y->hashed--;
    if (y->recent == stream)
        y->recent = NULL;
}

static void stream_discard_buffers(struct tern_yamux *y, struct tern_yamux_stream *stream)
{
    tern_mux_queue_clear(&y->pool, &stream->in);
    TERN_CHECK(tern_yamux_charge(y, stream, 0) == TERN_OK);
    if (stream->out.size > 0)
        tern_scope_release(y->scope, TERN_RESOURCE_MEMORY, stream->out.size);
    tern_mux_queue_clear(&y->pool, &stream->out);
}

void tern_yamux_stream_end(struct tern_yamux *y, struct tern_yamux_stream *stream)
{
    stream_discard_buffers(y, stream);
    tern_yamux_window_release(y, stream);
    if (stream->wire_id != 0 && y->buckets != NULL)
        table_remove(y, stream);
    if (y->payload_stream == stream)
        y->payload_stream = NULL;
    tern_schedule_remove(&y->schedule, &stream->turn);
    if (!(stream->flags & YAMUX_RST_DUE))
        tern_list_remove(&stream->control);
}

static void stream_free(struct tern_yamux *y, struct tern_yamux_stream *stream)
{
    TERN_CHECK(stream->slot == TERN_YAMUX_NO_SLOT);
    tern_yamux_stream_end(y, stream);
    tern_list_remove(&stream->control);
    tern_list_remove(&stream->news);
    if (stream->flags & YAMUX_INBOUND) {
        TERN_CHECK(y->streams_in > 0);
        y->streams_in--;
    } else {
        TERN_CHECK(y->streams_out > 0);
        y->streams_out--;
        if (!(stream->flags & YAMUX_ACKED))
            y->unacked--;
        if (stream->wire_id == 0)
            y->unnumbered--;
    }
    stream_unreserve(y, stream->flags & YAMUX_INBOUND);
    tern_mem_free(y->mem, stream, sizeof(*stream));
    table_shrink(y);
}

void tern_yamux_settle(struct tern_yamux *y, struct tern_yamux_stream *stream)
{
    if (stream->slot == TERN_YAMUX_NO_SLOT && !(stream->flags & YAMUX_RST_DUE))
        stream_free(y, stream);
}

void tern_yamux_drop_id(struct tern_yamux *y, struct tern_yamux_stream *stream)
{
    uint32_t slot = stream->slot;
    TERN_CHECK(slot < y->slots_count && y->slots[slot].stream == stream);
    tern_list_remove(&stream->news);
    stream->slot = TERN_YAMUX_NO_SLOT;
    y->slots[slot] = (struct tern_yamux_slot){.next_free = y->slots_free};
    y->slots_free = slot;
    y->slots_used--;
    tern_yamux_settle(y, stream);
}

void tern_yamux_abort(struct tern_yamux *y, struct tern_yamux_stream *stream, uint32_t code)
{
    const uint32_t both = YAMUX_FIN_SENT | YAMUX_FIN_RECEIVED;
    bool known = stream->wire_id != 0 && (stream->flags & both) != both;
    tern_yamux_stream_end(y, stream);
    stream->code = code;
    stream->flags |= YAMUX_DEAD;
    if (known) {
        stream->flags |= YAMUX_RST_DUE;
        tern_yamux_want_control(y, stream);
    }
}

void tern_yamux_close_if_done(struct tern_yamux *y, struct tern_yamux_stream *stream)
{
    const uint32_t both = YAMUX_FIN_SENT | YAMUX_FIN_RECEIVED;
    if ((stream->flags & both) != both || stream->in.size > 0)
        return;
    tern_yamux_stream_end(y, stream);
    tern_yamux_say(y, stream, YAMUX_NEWS_CLOSED);
}

void tern_yamux_say(struct tern_yamux *y, struct tern_yamux_stream *stream, uint32_t news)
{
    TERN_CHECK(stream->slot != TERN_YAMUX_NO_SLOT);
    stream->flags |= news;
    if (!tern_list_linked(&stream->news))
        tern_list_push_back(&y->news, &stream->news);
}

void tern_yamux_want_control(struct tern_yamux *y, struct tern_yamux_stream *stream)
{
    if (!tern_list_linked(&stream->control))
        tern_list_push_back(&y->control, &stream->control);
}

void tern_yamux_update_ready(struct tern_yamux *y, struct tern_yamux_stream *stream)
{
    bool data = stream->out.size > 0 && stream->send_credit > 0;
    bool fin = stream->out.size == 0 && (stream->flags & YAMUX_FIN_ASKED) != 0 &&
               (stream->flags & YAMUX_FIN_SENT) == 0;
    if (data || fin)
        tern_schedule_add(&y->schedule, &stream->turn);
    else
        tern_schedule_remove(&y->schedule, &stream->turn);
}

void tern_yamux_tables_fini(struct tern_yamux *y)
{
    for (uint32_t i = 0; i < y->slots_count; i++) {
        struct tern_yamux_stream *stream = y->slots[i].stream;
        if (stream == NULL)
            continue;
        stream->flags &= ~(uint32_t)YAMUX_RST_DUE;
        y->slots[i].stream = NULL;
        y->slots_used--;
        stream->slot = TERN_YAMUX_NO_SLOT;
        stream_free(y, stream);
        if (y->slots == NULL)
            break; /* that was the last one, and the tables have shrunk */
    }
    while (!tern_list_empty(&y->control)) {
        struct tern_list *node = tern_list_front(&y->control);
        struct tern_yamux_stream *stream = TERN_LIST_ENTRY(node, struct tern_yamux_stream, control);
        stream->flags &= ~(uint32_t)YAMUX_RST_DUE;
        stream_free(y, stream);
    }
    TERN_CHECK(y->streams_in == 0 && y->streams_out == 0);
    tern_mem_free(y->mem, y->slots, y->slots_count * sizeof(*y->slots));
    if (y->buckets != NULL)
        table_free_buckets(y);
    tern_mux_pool_trim(&y->pool);
}
