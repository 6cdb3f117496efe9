#include "chain/messages.h"

#include "base/check.h"
#include "base/reader.h"
#include "wire/protobuf.h"

/* A walk over a message's fields that sees to the one encoding. */
struct strict {
    struct tern_pb_iter it;
    struct tern_pb_field field;
    uint32_t number; /* of the newest field */
    bool bad;
};

static struct strict strict_of(struct tern_view bytes)
{
    return (struct strict){.it = tern_pb_iter_of(bytes)};
}

/* The next field; numbers ascend, and only `repeated` may come again. */
static bool strict_next(struct strict *s, uint32_t repeated)
{
    if (s->bad || !tern_pb_next(&s->it, &s->field))
        return false;
    uint32_t number = tern_pb_number(&s->field);
    bool is_bytes = tern_pb_type(&s->field) == TERN_PB_BYTES;
    bool is_number = tern_pb_type(&s->field) == TERN_PB_VARINT;
    bool in_order = number > s->number || (number == s->number && number == repeated);
    size_t shortest = is_bytes ? tern_pb_bytes_size(number, s->field.bytes.size)
                               : tern_pb_varint_size(number, s->field.value);
    bool is_default = is_bytes ? s->field.bytes.size == 0 : s->field.value == 0;
    s->bad =
        !(is_bytes || is_number) || !in_order || is_default || tern_pb_raw(&s->it).size != shortest;
    s->number = number;
    return !s->bad;
}

static bool strict_is(const struct strict *s, uint32_t number, enum tern_pb_type type)
{
    return s->field.tag == TERN_PB_TAG(number, type);
}

static tern_err strict_end(const struct strict *s)
{
    return s->bad || tern_pb_end(&s->it) != TERN_OK ? TERN_ERR_MALFORMED : TERN_OK;
}

static void strict_hash(struct strict *s, struct tern_hash *hash)
{
    if (s->field.bytes.size == TERN_HASH_SIZE)
        memcpy(hash->bytes, s->field.bytes.data, TERN_HASH_SIZE);
    else
        s->bad = true;
}

static void write_number(struct tern_writer *w, uint32_t number, uint64_t value)
{
    if (value != 0)
        tern_pb_write_varint(w, number, value);
}

void tern_sync_status_encode(const struct tern_sync_status *status, struct tern_writer *w)
{
    tern_pb_write_bytes(w, 1, tern_hash_view(&status->genesis));
    write_number(w, 2, status->height);
    tern_pb_write_bytes(w, 3, tern_hash_view(&status->head));
}

tern_err tern_sync_status_decode(struct tern_view bytes, struct tern_sync_status *status)
{
    *status = (struct tern_sync_status){.height = 0};
    struct strict s = strict_of(bytes);
    unsigned seen = 0;
    while (strict_next(&s, 0)) {
        if (strict_is(&s, 1, TERN_PB_BYTES))
            strict_hash(&s, &status->genesis);
        else if (strict_is(&s, 2, TERN_PB_VARINT))
            status->height = s.field.value;
        else if (strict_is(&s, 3, TERN_PB_BYTES))
            strict_hash(&s, &status->head);
        else
            s.bad = true;
        seen |= 1U << s.number % 32;
    }
    TERN_TRY(strict_end(&s));
    return (seen & 10U) == 10U ? TERN_OK : TERN_ERR_MALFORMED;
}

void tern_sync_get_headers_encode(const struct tern_sync_get_headers *get, struct tern_writer *w)
{
    for (size_t i = 0; i < get->locator_count; i++) {
        uint8_t bytes[TERN_SYNC_LOCATOR_ENTRY_SIZE];
        struct tern_writer entry = tern_writer_of(bytes, sizeof bytes);
        tern_writer_u64le(&entry, get->locator[i].height);
        tern_writer_bytes(&entry, tern_hash_view(&get->locator[i].hash));
        tern_pb_write_bytes(w, 1, tern_writer_view(&entry));
    }
    write_number(w, 2, get->max);
}

static void get_headers_entry(struct strict *s, struct tern_sync_get_headers *get)
{
    struct tern_reader r = tern_reader_of(s->field.bytes);
    if (get->locator_count == TERN_SYNC_LOCATOR_MAX) {
        s->bad = true;
        return;
    }
    struct tern_sync_point *point = &get->locator[get->locator_count++];
    tern_reader_u64le(&r, &point->height);
    tern_reader_copy(&r, point->hash.bytes, TERN_HASH_SIZE);
    s->bad = tern_reader_end(&r) != TERN_OK;
}

tern_err tern_sync_get_headers_decode(struct tern_view bytes, struct tern_sync_get_headers *get)
{
    get->locator_count = 0;
    get->max = 0;
    struct strict s = strict_of(bytes);
    while (strict_next(&s, 1)) {
        if (strict_is(&s, 1, TERN_PB_BYTES))
            get_headers_entry(&s, get);
        else if (strict_is(&s, 2, TERN_PB_VARINT) && s.field.value <= TERN_SYNC_HEADERS_MAX)
            get->max = (uint32_t)s.field.value;
        else
            s.bad = true;
    }
    TERN_TRY(strict_end(&s));
    return get->locator_count > 0 && get->max > 0 ? TERN_OK : TERN_ERR_MALFORMED;
}

void tern_sync_get_blocks_encode(const struct tern_sync_get_blocks *get, struct tern_writer *w)
{
    for (size_t i = 0; i < get->count; i++)
        tern_pb_write_bytes(w, 1, tern_hash_view(&get->hashes[i]));
}

tern_err tern_sync_get_blocks_decode(struct tern_view bytes, struct tern_sync_get_blocks *get)
{
    get->count = 0;
    struct strict s = strict_of(bytes);
    while (strict_next(&s, 1)) {
        if (strict_is(&s, 1, TERN_PB_BYTES) && get->count < TERN_SYNC_BLOCKS_MAX)
            strict_hash(&s, &get->hashes[get->count++]);
        else
            s.bad = true;
    }
    TERN_TRY(strict_end(&s));
    return get->count > 0 ? TERN_OK : TERN_ERR_MALFORMED;
}

void tern_sync_item_encode(struct tern_view item, struct tern_writer *w)
{
    TERN_CHECK(item.size > 0);
    tern_pb_write_bytes(w, 1, item);
}

tern_err tern_sync_items_check(struct tern_view bytes, size_t items_max, size_t *count)
{
    *count = 0;
    struct strict s = strict_of(bytes);
    while (strict_next(&s, 1)) {
        if (strict_is(&s, 1, TERN_PB_BYTES) && *count < items_max)
            ++*count;
        else
            s.bad = true;
    }
    return strict_end(&s);
}

bool tern_sync_items_next(struct tern_view *bytes, struct tern_view *item)
{
    struct tern_pb_iter it = tern_pb_iter_of(*bytes);
    struct tern_pb_field field;
    if (!tern_pb_next(&it, &field))
        return false;
    *item = field.bytes;
    size_t used = tern_pb_raw(&it).size;
    *bytes = tern_view_of(bytes->data + used, bytes->size - used);
    return true;
}

static const struct tern_hash no_digest;

void tern_sync_get_txs_encode(const struct tern_hash *digest, struct tern_writer *w)
{
    if (!tern_hash_equal(digest, &no_digest))
        tern_pb_write_bytes(w, 1, tern_hash_view(digest));
}

tern_err tern_sync_get_txs_decode(struct tern_view bytes, struct tern_hash *digest)
{
    *digest = no_digest;
    struct strict s = strict_of(bytes);
    while (strict_next(&s, 0)) {
        if (strict_is(&s, 1, TERN_PB_BYTES))
            strict_hash(&s, digest);
        else
            s.bad = true;
        s.bad = s.bad || tern_hash_equal(digest, &no_digest);
    }
    return strict_end(&s);
}

void tern_sync_get_validation_encode(bool restart, struct tern_writer *w)
{
    write_number(w, 1, restart);
}

tern_err tern_sync_get_validation_decode(struct tern_view bytes, bool *restart)
{
    *restart = false;
    struct strict s = strict_of(bytes);
    while (strict_next(&s, 0)) {
        if (strict_is(&s, 1, TERN_PB_VARINT) && s.field.value == 1)
            *restart = true;
        else
            s.bad = true;
    }
    return strict_end(&s);
}

void tern_sync_validation_encode(const struct tern_sync_validation *validation,
                                 struct tern_writer *w)
{
    write_number(w, 1, (uint64_t)validation->state);
    write_number(w, 2, validation->checked_height);
    write_number(w, 3, validation->bad_height);
    struct tern_view fault = validation->fault;
    fault.size = tern_min_size(fault.size, TERN_SYNC_FAULT_TEXT_MAX);
    if (fault.size > 0)
        tern_pb_write_bytes(w, 4, fault);
    write_number(w, 5, validation->head_height);
}

tern_err tern_sync_validation_decode(struct tern_view bytes,
                                     struct tern_sync_validation *validation)
{
    *validation = (struct tern_sync_validation){.state = TERN_VALIDATION_NEVER};
    struct strict s = strict_of(bytes);
    while (strict_next(&s, 0)) {
        if (strict_is(&s, 1, TERN_PB_VARINT) && s.field.value <= TERN_VALIDATION_BAD)
            validation->state = (enum tern_validation_state)s.field.value;
        else if (strict_is(&s, 2, TERN_PB_VARINT))
            validation->checked_height = s.field.value;
        else if (strict_is(&s, 3, TERN_PB_VARINT))
            validation->bad_height = s.field.value;
        else if (strict_is(&s, 4, TERN_PB_BYTES) && s.field.bytes.size <= TERN_SYNC_FAULT_TEXT_MAX)
            validation->fault = s.field.bytes;
        else if (strict_is(&s, 5, TERN_PB_VARINT))
            validation->head_height = s.field.value;
        else
            s.bad = true;
    }
    return strict_end(&s);
}
