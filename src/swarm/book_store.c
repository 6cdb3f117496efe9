/*
 * The address book in the store: one row a peer, key the peer id, value (little endian)
 *
 *     u8 version 2, u64 last seen, u32 failures, u8 addresses, then each:
 *     u8 source, u64 expiry (0: never), u16 size, bytes
 *     then, of a kept peer that failed (breaker.h): u32 failures in a row, u64 when it is dialled
 *
 * with times of the wall clock in nanoseconds. Loaded once the wall clock is known; what has
 * changed is written BOOK_SAVE_DELAY_NS after the first change, in batches of one request at a
 * time. A failed write is tried again later; rows that cannot be read are deleted.
 *
 *   OFF        (book_saved is false)
 *   LOADING ── SCAN … SCAN ──► READY ⇄ WRITE
 */
#include "swarm/private.h"

#include "base/reader.h"

#define BOOK_SAVE_DELAY_NS  (5 * TERN_SECOND)
#define BOOK_RETRY_DELAY_NS (1 * TERN_MINUTE)

enum {
    BOOK_VERSION = 2,
    BOOK_VERSION_OLDEST = 1, /* had no breakers */
    BOOK_BUFFER_SIZE = 64 * 1024,
    BOOK_ROW_SIZE_MAX = 26 + TERN_PEER_ADDRS_MAX * (11 + TERN_MULTIADDR_SIZE_MAX),
    BOOK_SCAN_ROWS = 256,
    BOOK_TOMBSTONES_MAX = 256,
};

void tern_book_store_init(struct tern_swarm *s)
{
    struct swarm_book *book = &s->book;
    tern_list_init(&book->dirty);
    tern_list_init(&book->tombstones);
    tern_list_init(&book->request.link);
    book->save_at = TERN_TIME_NEVER;
    book->store = s->config.book_saved ? BOOK_STORE_LOADING : BOOK_STORE_OFF;
}

static void book_tombstone_free(struct tern_swarm *s, struct book_tombstone *tombstone)
{
    tern_list_remove(&tombstone->link);
    s->book.tombstones_count--;
    tern_mem_free(s->mem, tombstone, sizeof *tombstone);
}

static void book_buffer_free(struct tern_swarm *s)
{
    tern_mem_free(s->mem, s->book.buffer, BOOK_BUFFER_SIZE);
    s->book.buffer = NULL;
}

void tern_book_store_fini(struct tern_swarm *s)
{
    struct tern_list *node;
    while ((node = tern_list_front(&s->book.tombstones)) != NULL)
        book_tombstone_free(s, TERN_LIST_ENTRY(node, struct book_tombstone, link));
    book_buffer_free(s);
}

static void book_store_soon(struct tern_swarm *s, tern_time now)
{
    if (s->book.save_at == TERN_TIME_NEVER)
        s->book.save_at = s->down ? now : tern_time_add(now, BOOK_SAVE_DELAY_NS);
}

void tern_book_store_dirty(struct tern_swarm *s, tern_time now, struct book_entry *entry)
{
    if (s->book.store == BOOK_STORE_OFF)
        return;
    if (!tern_list_linked(&entry->dirty))
        tern_list_push_back(&s->book.dirty, &entry->dirty);
    book_store_soon(s, now);
}

static void book_tombstone_add(struct tern_swarm *s, tern_time now, const struct tern_peer_id *id)
{
    /* Forgotten ones stay in the store until they are loaded again and have expired. */
    if (s->book.store == BOOK_STORE_OFF || s->book.tombstones_count >= BOOK_TOMBSTONES_MAX)
        return;
    struct book_tombstone *tombstone = tern_mem_zalloc(s->mem, sizeof *tombstone);
    if (tombstone == NULL)
        return;
    tombstone->id = *id;
    tern_list_push_back(&s->book.tombstones, &tombstone->link);
    s->book.tombstones_count++;
    book_store_soon(s, now);
}

void tern_book_store_removed(struct tern_swarm *s, tern_time now, struct book_entry *entry)
{
    if (entry->stored)
        book_tombstone_add(s, now, &entry->id);
}

/* --- rows --- */

/* book_wall_of turns a time into wall-clock time; 0 stays for NEVER. */
static tern_wall_time book_wall_of(const struct tern_swarm *s, tern_time t)
{
    if (t == TERN_TIME_NEVER)
        return 0;
    tern_wall_time now = tern_swarm_wall(s, s->now);
    return t >= s->now ? tern_time_add(now, t - s->now) : now - tern_time_since(s->now, t);
}

static tern_time book_time_of(const struct tern_swarm *s, tern_wall_time wall)
{
    if (wall == 0)
        return TERN_TIME_NEVER;
    tern_wall_time now = tern_swarm_wall(s, s->now);
    if (wall >= now)
        return tern_time_add(s->now, wall - now);
    return tern_time_since(s->now, now - wall);
}

static void book_row_encode(const struct tern_swarm *s, const struct book_entry *entry,
                            struct tern_writer *w)
{
    tern_writer_u8(w, BOOK_VERSION);
    tern_writer_u64le(w, book_wall_of(s, entry->last_seen));
    tern_writer_u32le(w, entry->failures);
    tern_writer_u8(w, entry->addrs_count);
    for (size_t i = 0; i < entry->addrs_count; i++) {
        const struct book_addr *addr = &entry->addrs[i];
        uint8_t size[2] = {(uint8_t)addr->size, (uint8_t)(addr->size >> 8)};
        tern_writer_u8(w, addr->source);
        tern_writer_u64le(w, book_wall_of(s, addr->expires_at));
        tern_writer_bytes(w, tern_view_of(size, sizeof size));
        tern_writer_bytes(w, tern_view_of(addr->bytes, addr->size));
    }
    const struct swarm_breaker *breaker = tern_breakers_find(s, &entry->id);
    if (breaker == NULL || breaker->failures == 0)
        return;
    tern_writer_u32le(w, breaker->failures);
    tern_writer_u64le(w, book_wall_of(s, breaker->connected ? s->now : breaker->retry_at));
}

/* book_row_breaker reads what stands behind the addresses, if anything does. */
static bool book_row_breaker(struct tern_swarm *s, struct tern_reader *r,
                             const struct tern_peer_id *id)
{
    uint32_t failures = 0;
    uint64_t retry_at = 0;
    if (tern_reader_end(r) == TERN_OK)
        return true;
    tern_reader_u32le(r, &failures);
    if (!tern_reader_u64le(r, &retry_at) || tern_reader_end(r) != TERN_OK)
        return false;
    tern_breakers_restore(s, id, failures, book_time_of(s, retry_at));
    return true;
}

static bool book_row_address(struct tern_swarm *s, struct tern_reader *r,
                             const struct tern_peer_id *id)
{
    uint8_t source = 0;
    uint64_t expires = 0;
    uint8_t size[2] = {0, 0};
    struct tern_view address = {.size = 0};
    tern_reader_u8(r, &source);
    tern_reader_u64le(r, &expires);
    tern_reader_copy(r, size, sizeof size);
    if (!tern_reader_bytes(r, (size_t)(size[0] | size[1] << 8), &address) ||
        source > TERN_ADDR_HEARSAY || address.size > TERN_MULTIADDR_SIZE_MAX ||
        tern_multiaddr_check(address) != TERN_OK)
        return false;
    const struct book_add add = {
        .id = id,
        .address = address,
        .source = (enum tern_addr_source)source,
        .expires_at = book_time_of(s, expires),
        .loaded = true,
    };
    if (add.expires_at > s->now)
        tern_book_add(s, s->now, &add);
    return true;
}

/* book_row_decode takes a row over; false: it is of no use and to be deleted. */
static bool book_row_decode(struct tern_swarm *s, struct tern_view key, struct tern_view value)
{
    struct tern_peer_id id;
    struct tern_reader r = tern_reader_of(value);
    uint8_t version = 0;
    uint8_t count = 0;
    uint64_t last_seen = 0;
    uint32_t failures = 0;
    tern_reader_u8(&r, &version);
    tern_reader_u64le(&r, &last_seen);
    tern_reader_u32le(&r, &failures);
    if (!tern_reader_u8(&r, &count) || version < BOOK_VERSION_OLDEST || version > BOOK_VERSION ||
        count > TERN_PEER_ADDRS_MAX || tern_peer_id_decode(key, &id) != TERN_OK ||
        tern_peer_id_equal(&id, &s->own_id))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!book_row_address(s, &r, &id))
            return false;
    struct book_entry *entry = tern_book_entry_find(s, &id);
    if (entry == NULL)
        return false; /* all has expired, or there was no room */
    if (entry->last_seen == 0 && last_seen != 0) {
        entry->last_seen = book_time_of(s, last_seen);
        if (entry->last_seen > s->now)
            entry->last_seen = s->now; /* the wall clock has gone back since */
        entry->failures = failures;
    }
    return book_row_breaker(s, &r, &id);
}

/* --- requests --- */

static void book_submit(struct tern_swarm *s)
{
    struct tern_store_request *request = &s->book.request;
    request->owner_kind = TERN_OWNER_SWARM;
    request->space = s->config.book_space;
    s->book.request_out = true;
    tern_list_push_back(&s->stores, &request->link);
}

static bool book_buffer(struct tern_swarm *s)
{
    if (s->book.buffer == NULL)
        s->book.buffer = tern_mem_alloc(s->mem, BOOK_BUFFER_SIZE);
    return s->book.buffer != NULL;
}

static void book_scan(struct tern_swarm *s, tern_time now)
{
    struct swarm_book *book = &s->book;
    if (!book_buffer(s)) {
        book->load_at = tern_time_add(now, BOOK_RETRY_DELAY_NS);
        return;
    }
    book->request = (struct tern_store_request){
        .kind = TERN_STORE_SCAN,
        .key = tern_view_of(book->scan_key, book->scan_key_size),
        .rows_max = BOOK_SCAN_ROWS,
        .result = {.data = book->buffer, .size = BOOK_BUFFER_SIZE},
    };
    tern_list_init(&book->request.link);
    book_submit(s);
}

static void book_scanned(struct tern_swarm *s, tern_time now)
{
    struct swarm_book *book = &s->book;
    const struct tern_store_request *request = &book->request;
    struct tern_reader r = tern_reader_of(
        tern_view_of(book->buffer, request->err == TERN_OK ? request->result_size : 0));
    for (size_t i = 0; request->err == TERN_OK && i < request->rows_count; i++) {
        uint32_t key_size = 0;
        uint32_t value_size = 0;
        struct tern_view key = {.size = 0};
        struct tern_view value = {.size = 0};
        tern_reader_u32le(&r, &key_size);
        tern_reader_u32le(&r, &value_size);
        tern_reader_bytes(&r, key_size, &key);
        if (!tern_reader_bytes(&r, value_size, &value))
            break;
        struct tern_peer_id id;
        if (!book_row_decode(s, key, value) && tern_peer_id_decode(key, &id) == TERN_OK &&
            tern_book_entry_find(s, &id) == NULL)
            book_tombstone_add(s, now, &id);
        if (key.size < sizeof book->scan_key) { /* go on behind this key */
            memcpy(book->scan_key, key.data, key.size);
            book->scan_key[key.size] = 0;
            book->scan_key_size = key.size + 1;
        }
    }
    if (request->err == TERN_OK && request->more && request->rows_count > 0) {
        book_scan(s, now);
        return;
    }
    TERN_TRACE(s->config.trace, now, SWARM_BOOK_LOADED, tern_swarm_book_count(s), request->err, 0);
    book->store = BOOK_STORE_READY;
    book_buffer_free(s);
}

/* book_batch fills the request with deletions and changed entries, as many as fit. */
static size_t book_batch(struct tern_swarm *s)
{
    struct swarm_book *book = &s->book;
    struct tern_writer w = tern_writer_of(book->buffer, BOOK_BUFFER_SIZE);
    struct tern_list *node;
    size_t n = 0;
    while (n < SWARM_BOOK_BATCH_MAX && (node = tern_list_front(&book->tombstones)) != NULL) {
        struct book_tombstone *tombstone = TERN_LIST_ENTRY(node, struct book_tombstone, link);
        size_t start = w.size;
        tern_writer_bytes(&w, tern_peer_id_view(&tombstone->id));
        /* It may have come back meanwhile. */
        if (tern_book_entry_find(s, &tombstone->id) == NULL)
            book->ops[n++] = (struct tern_store_op){
                .kind = TERN_STORE_DELETE,
                .space = s->config.book_space,
                .key = tern_view_of(&book->buffer[start], w.size - start),
            };
        book_tombstone_free(s, tombstone);
    }
    while (n < SWARM_BOOK_BATCH_MAX && (node = tern_list_front(&book->dirty)) != NULL &&
           tern_writer_left(&w) >= BOOK_ROW_SIZE_MAX + TERN_PEER_ID_SIZE_MAX) {
        struct book_entry *entry = TERN_LIST_ENTRY(node, struct book_entry, dirty);
        size_t start = w.size;
        tern_writer_bytes(&w, tern_peer_id_view(&entry->id));
        size_t value = w.size;
        book_row_encode(s, entry, &w);
        book->ops[n++] = (struct tern_store_op){
            .kind = TERN_STORE_PUT,
            .space = s->config.book_space,
            .key = tern_view_of(&book->buffer[start], value - start),
            .value = tern_view_of(&book->buffer[value], w.size - value),
        };
        entry->stored = true;
        tern_list_remove(node);
    }
    TERN_CHECK(tern_writer_ok(&w));
    return n;
}

static void book_save(struct tern_swarm *s, tern_time now)
{
    struct swarm_book *book = &s->book;
    if (!book_buffer(s)) {
        book->save_at = tern_time_add(now, BOOK_RETRY_DELAY_NS);
        return;
    }
    book->save_at = TERN_TIME_NEVER;
    size_t n = book_batch(s);
    if (n == 0) {
        book_buffer_free(s);
        return;
    }
    book->request =
        (struct tern_store_request){.kind = TERN_STORE_WRITE, .ops = book->ops, .ops_count = n};
    tern_list_init(&book->request.link);
    book_submit(s);
}

/* book_unsaved makes the entries of a failed request dirty again: those that still exist. */
static void book_unsaved(struct tern_swarm *s)
{
    const struct tern_store_request *request = &s->book.request;
    for (size_t i = 0; i < request->ops_count; i++) {
        struct tern_peer_id id;
        struct book_entry *entry = NULL;
        if (tern_peer_id_decode(request->ops[i].key, &id) == TERN_OK)
            entry = tern_book_entry_find(s, &id);
        if (entry != NULL && !tern_list_linked(&entry->dirty))
            tern_list_push_back(&s->book.dirty, &entry->dirty);
    }
}

static void book_saved(struct tern_swarm *s, tern_time now)
{
    bool failed = s->book.request.err != TERN_OK;
    TERN_TRACE(s->config.trace, now, SWARM_BOOK_SAVED, s->book.request.ops_count,
               s->book.request.err, 0);
    if (failed)
        book_unsaved(s);
    book_buffer_free(s);
    if (tern_list_empty(&s->book.dirty) && tern_list_empty(&s->book.tombstones))
        s->book.save_at = TERN_TIME_NEVER;
    else
        s->book.save_at = failed ? tern_time_add(now, BOOK_RETRY_DELAY_NS) : now;
}

void tern_book_store_done(struct tern_swarm *s, tern_time now, struct tern_store_request *request)
{
    TERN_CHECK(request == &s->book.request && s->book.request_out);
    s->book.request_out = false;
    if (request->kind == TERN_STORE_SCAN)
        book_scanned(s, now);
    else
        book_saved(s, now);
}

static bool book_store_ready(const struct tern_swarm *s)
{
    return s->book.store != BOOK_STORE_OFF && !s->book.request_out && s->wall_known;
}

void tern_book_store_run(struct tern_swarm *s, tern_time now)
{
    if (!book_store_ready(s))
        return;
    if (s->book.store == BOOK_STORE_LOADING && s->book.load_at <= now)
        book_scan(s, now);
    else if (s->book.store == BOOK_STORE_READY && s->book.save_at <= now)
        book_save(s, now);
}

tern_time tern_book_store_deadline(const struct tern_swarm *s)
{
    if (!book_store_ready(s))
        return TERN_TIME_NEVER;
    return s->book.store == BOOK_STORE_LOADING ? s->book.load_at : s->book.save_at;
}

bool tern_book_store_busy(const struct tern_swarm *s)
{
    return s->book.request_out || (book_store_ready(s) && s->book.store == BOOK_STORE_READY &&
                                   s->book.save_at != TERN_TIME_NEVER);
}
