#include "base/reader.h"

#include "base/check.h"

bool tern_reader_fail(struct tern_reader *r, tern_err err)
{
    TERN_CHECK(err != TERN_OK);
    if (r->err == TERN_OK)
        r->err = err;
    return false;
}

/* reader_take returns the next size bytes and moves past them, or NULL. size > 0. */
static const uint8_t *reader_take(struct tern_reader *r, size_t size)
{
    if (r->err != TERN_OK)
        return NULL;
    if (size > tern_reader_left(r)) {
        r->err = TERN_ERR_TRUNCATED;
        return NULL;
    }
    const uint8_t *at = r->data + r->offset;
    r->offset += size;
    return at;
}

bool tern_reader_u8(struct tern_reader *r, uint8_t *value)
{
    const uint8_t *at = reader_take(r, 1);
    *value = at == NULL ? 0 : at[0];
    return at != NULL;
}

bool tern_reader_u16be(struct tern_reader *r, uint16_t *value)
{
    const uint8_t *at = reader_take(r, 2);
    *value = 0;
    if (at != NULL)
        *value = (uint16_t)((unsigned)at[0] << 8 | at[1]);
    return at != NULL;
}

static uint64_t load_be(const uint8_t *at, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value = value << 8 | at[i];
    return value;
}

static uint64_t load_le(const uint8_t *at, size_t size)
{
    uint64_t value = 0;
    for (size_t i = size; i > 0; i--)
        value = value << 8 | at[i - 1];
    return value;
}

bool tern_reader_u32be(struct tern_reader *r, uint32_t *value)
{
    const uint8_t *at = reader_take(r, 4);
    *value = at == NULL ? 0 : (uint32_t)load_be(at, 4);
    return at != NULL;
}

bool tern_reader_u64be(struct tern_reader *r, uint64_t *value)
{
    const uint8_t *at = reader_take(r, 8);
    *value = at == NULL ? 0 : load_be(at, 8);
    return at != NULL;
}

bool tern_reader_u32le(struct tern_reader *r, uint32_t *value)
{
    const uint8_t *at = reader_take(r, 4);
    *value = at == NULL ? 0 : (uint32_t)load_le(at, 4);
    return at != NULL;
}

bool tern_reader_u64le(struct tern_reader *r, uint64_t *value)
{
    const uint8_t *at = reader_take(r, 8);
    *value = at == NULL ? 0 : load_le(at, 8);
    return at != NULL;
}

bool tern_reader_bytes(struct tern_reader *r, size_t size, struct tern_view *bytes)
{
    *bytes = tern_view_of(NULL, 0);
    if (size == 0)
        return r->err == TERN_OK;
    const uint8_t *at = reader_take(r, size);
    if (at != NULL)
        *bytes = tern_view_of(at, size);
    return at != NULL;
}

bool tern_reader_copy(struct tern_reader *r, void *out, size_t size)
{
    if (size == 0)
        return r->err == TERN_OK;
    const uint8_t *at = reader_take(r, size);
    if (at == NULL)
        memset(out, 0, size);
    else
        memcpy(out, at, size);
    return at != NULL;
}

bool tern_reader_skip(struct tern_reader *r, size_t size)
{
    if (size == 0)
        return r->err == TERN_OK;
    return reader_take(r, size) != NULL;
}

bool tern_reader_uvarint(struct tern_reader *r, uint64_t *value)
{
    enum { UVARINT_BYTES_MAX = 9 };
    *value = 0;
    if (r->err != TERN_OK)
        return false;
    size_t left = tern_reader_left(r);
    uint64_t sum = 0;
    for (size_t i = 0; i < UVARINT_BYTES_MAX; i++) {
        if (i == left)
            return tern_reader_fail(r, TERN_ERR_TRUNCATED);
        uint8_t byte = r->data[r->offset + i];
        sum |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte >= 0x80)
            continue;
        if (byte == 0 && i > 0)
            return tern_reader_fail(r, TERN_ERR_NOT_MINIMAL);
        r->offset += i + 1;
        *value = sum;
        return true;
    }
    return tern_reader_fail(r, TERN_ERR_MALFORMED);
}

tern_err tern_reader_end(const struct tern_reader *r)
{
    if (r->err != TERN_OK)
        return r->err;
    return r->offset == r->size ? TERN_OK : TERN_ERR_MALFORMED;
}
