#include "wire/protobuf.h"

#include "base/check.h"
#include "base/reader.h"

enum {
    PB_VARINT_BYTES_MAX = 10,
    PB_TAG_BYTES_MAX = 5,
    PB_TYPE_GROUP_START = 3,
    PB_TYPE_GROUP_END = 4,
};

/* Reads a varint of at most bytes_max bytes that fits 64 bits. Longer forms than needed are legal
 * in protobuf. NULL: it is cut short, too long, or too large. */
static const uint8_t *pb_varint(const uint8_t *at, const uint8_t *end, size_t bytes_max,
                                uint64_t *value)
{
    if (TERN_LIKELY(at < end && *at < 0x80)) {
        *value = *at;
        return at + 1;
    }
    size_t left = (size_t)(end - at);
    size_t count_max = tern_min_size(left, bytes_max);
    uint64_t sum = 0;
    for (size_t i = 0; i < count_max; i++) {
        uint8_t byte = at[i];
        if (i == PB_VARINT_BYTES_MAX - 1 && byte > 1)
            return NULL; /* beyond 64 bits */
        sum |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            *value = sum;
            return at + i + 1;
        }
    }
    return NULL;
}

/* Reads size bytes in little-endian order. */
static const uint8_t *pb_fixed(const uint8_t *at, const uint8_t *end, size_t size, uint64_t *value)
{
    if ((size_t)(end - at) < size)
        return NULL;
    uint64_t sum = 0;
    for (size_t i = 0; i < size; i++)
        sum |= (uint64_t)at[i] << (8 * i);
    *value = sum;
    return at + size;
}

static const uint8_t *pb_bytes(const uint8_t *at, const uint8_t *end, struct tern_view *bytes)
{
    uint64_t size;
    at = pb_varint(at, end, PB_VARINT_BYTES_MAX, &size);
    if (at == NULL || size > (size_t)(end - at))
        return NULL;
    *bytes = tern_view_of(at, (size_t)size);
    return at + size;
}

struct tern_pb_iter tern_pb_iter_of(struct tern_view message)
{
    /* No arithmetic on a null pointer: an empty message may have no bytes at all. */
    static const uint8_t nothing[1];
    const uint8_t *start = message.size == 0 ? nothing : message.data;
    return (struct tern_pb_iter){.at = start, .end = start + message.size, .field = start};
}

static bool pb_fail(struct tern_pb_iter *it, struct tern_pb_field *field)
{
    *field = (struct tern_pb_field){0};
    it->err = TERN_ERR_MALFORMED;
    it->at = it->end;
    return false;
}

bool tern_pb_next(struct tern_pb_iter *it, struct tern_pb_field *field)
{
    *field = (struct tern_pb_field){0};
    if (it->at == it->end)
        return false;
    TERN_DCHECK(it->err == TERN_OK && it->at < it->end);
    const uint8_t *start = it->at;
    uint64_t tag;
    const uint8_t *at = pb_varint(start, it->end, PB_TAG_BYTES_MAX, &tag);
    if (at == NULL || tag > UINT32_MAX || tag >> 3 == 0)
        return pb_fail(it, field);
    switch (tag & 7) {
    case TERN_PB_VARINT:
        at = pb_varint(at, it->end, PB_VARINT_BYTES_MAX, &field->value);
        break;
    case TERN_PB_FIXED64:
        at = pb_fixed(at, it->end, sizeof(uint64_t), &field->value);
        break;
    case TERN_PB_FIXED32:
        at = pb_fixed(at, it->end, sizeof(uint32_t), &field->value);
        break;
    case TERN_PB_BYTES:
        at = pb_bytes(at, it->end, &field->bytes);
        break;
    case PB_TYPE_GROUP_START:
    case PB_TYPE_GROUP_END:
    default:
        at = NULL;
        break;
    }
    if (at == NULL)
        return pb_fail(it, field);
    field->tag = (uint32_t)tag;
    it->field = start;
    it->at = at;
    return true;
}

tern_err tern_pb_end(const struct tern_pb_iter *it)
{
    if (it->err != TERN_OK)
        return it->err;
    return it->at == it->end ? TERN_OK : TERN_ERR_MALFORMED;
}

struct tern_view tern_pb_raw(const struct tern_pb_iter *it)
{
    return tern_view_of(it->field, (size_t)(it->at - it->field));
}

bool tern_pb_packed_next(struct tern_view *packed, uint64_t *value)
{
    *value = 0;
    if (packed->size == 0)
        return false;
    const uint8_t *end = packed->data + packed->size;
    const uint8_t *at = pb_varint(packed->data, end, PB_VARINT_BYTES_MAX, value);
    if (at == NULL)
        return false;
    *packed = tern_view_of(at, (size_t)(end - at));
    return true;
}

tern_err tern_pb_frame(struct tern_view in, size_t size_max, struct tern_view *message,
                       size_t *used)
{
    *message = (struct tern_view){0};
    *used = 0;
    struct tern_reader r = tern_reader_of(in);
    uint64_t size;
    if (!tern_reader_uvarint(&r, &size))
        return r.err;
    if (size > size_max)
        return TERN_ERR_TOO_LARGE;
    if (!tern_reader_bytes(&r, (size_t)size, message))
        return TERN_ERR_TRUNCATED;
    *used = r.offset;
    return TERN_OK;
}

static void pb_write_tag(struct tern_writer *w, uint32_t number, enum tern_pb_type type)
{
    TERN_CHECK(number >= 1 && number <= TERN_PB_NUMBER_MAX);
    tern_writer_uvarint(w, TERN_PB_TAG(number, type));
}

void tern_pb_write_varint(struct tern_writer *w, uint32_t number, uint64_t value)
{
    pb_write_tag(w, number, TERN_PB_VARINT);
    tern_writer_uvarint(w, value);
}

void tern_pb_write_fixed32(struct tern_writer *w, uint32_t number, uint32_t value)
{
    pb_write_tag(w, number, TERN_PB_FIXED32);
    tern_writer_u32le(w, value);
}

void tern_pb_write_fixed64(struct tern_writer *w, uint32_t number, uint64_t value)
{
    pb_write_tag(w, number, TERN_PB_FIXED64);
    tern_writer_u64le(w, value);
}

void tern_pb_write_header(struct tern_writer *w, uint32_t number, size_t size)
{
    pb_write_tag(w, number, TERN_PB_BYTES);
    tern_writer_uvarint(w, size);
}

void tern_pb_write_bytes(struct tern_writer *w, uint32_t number, struct tern_view bytes)
{
    tern_pb_write_header(w, number, bytes.size);
    tern_writer_bytes(w, bytes);
}

size_t tern_pb_varint_size(uint32_t number, uint64_t value)
{
    TERN_CHECK(number >= 1 && number <= TERN_PB_NUMBER_MAX);
    return tern_uvarint_size(TERN_PB_TAG(number, TERN_PB_VARINT)) + tern_uvarint_size(value);
}

size_t tern_pb_bytes_size(uint32_t number, size_t size)
{
    TERN_CHECK(number >= 1 && number <= TERN_PB_NUMBER_MAX);
    return tern_uvarint_size(TERN_PB_TAG(number, TERN_PB_BYTES)) + tern_uvarint_size(size) + size;
}
