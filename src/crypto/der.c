#include "crypto/der.h"

#include "base/check.h"

enum { DER_LENGTH_BYTES_MAX = 4, DER_LONG = 0x80 };

static bool der_read_length(struct tern_reader *r, size_t *length)
{
    uint8_t first;
    if (!tern_reader_u8(r, &first))
        return false;
    *length = first;
    if (first < DER_LONG)
        return true;
    size_t bytes = first & 0x7fU;
    if (bytes == 0 || bytes > DER_LENGTH_BYTES_MAX)
        return tern_reader_fail(r, TERN_ERR_MALFORMED);
    *length = 0;
    for (size_t i = 0; i < bytes; i++) {
        uint8_t byte;
        if (!tern_reader_u8(r, &byte))
            return false;
        if (i == 0 && byte == 0)
            return tern_reader_fail(r, TERN_ERR_MALFORMED);
        *length = *length << 8 | byte;
    }
    return *length >= DER_LONG || tern_reader_fail(r, TERN_ERR_MALFORMED);
}

bool tern_der_read(struct tern_reader *r, uint8_t tag, struct tern_view *contents)
{
    *contents = (struct tern_view){0};
    uint8_t actual;
    size_t length;
    if (!tern_reader_u8(r, &actual))
        return false;
    if (actual != tag)
        return tern_reader_fail(r, TERN_ERR_MALFORMED);
    return der_read_length(r, &length) && tern_reader_bytes(r, length, contents);
}

bool tern_der_read_element(struct tern_reader *r, uint8_t tag, struct tern_view *element)
{
    size_t before = r->offset;
    struct tern_view contents;
    *element = (struct tern_view){0};
    if (!tern_der_read(r, tag, &contents))
        return false;
    *element = tern_view_of(r->data + before, r->offset - before);
    return true;
}

bool tern_der_is(const struct tern_reader *r, uint8_t tag)
{
    return r->err == TERN_OK && tern_reader_left(r) > 0 && r->data[r->offset] == tag;
}

bool tern_der_read_bits(struct tern_reader *r, struct tern_view *bits)
{
    if (!tern_der_read(r, TERN_DER_BIT_STRING, bits))
        return false;
    struct tern_view contents = *bits;
    *bits = (struct tern_view){0};
    if (contents.size == 0 || contents.data[0] != 0)
        return tern_reader_fail(r, TERN_ERR_MALFORMED);
    *bits = tern_view_part(contents, 1, contents.size - 1);
    return true;
}

bool tern_der_read_oid(struct tern_reader *r, struct tern_view *oid)
{
    if (!tern_der_read(r, TERN_DER_OID, oid))
        return false;
    struct tern_view v = *oid;
    bool starts = true; /* the next byte is a number's first */
    for (size_t i = 0; i < v.size; i++) {
        if (starts && v.data[i] == 0x80)
            break;
        starts = v.data[i] < 0x80;
        if (i + 1 == v.size && starts)
            return true;
    }
    *oid = (struct tern_view){0};
    return tern_reader_fail(r, TERN_ERR_MALFORMED);
}

bool tern_der_read_unsigned(struct tern_reader *r, struct tern_view *magnitude)
{
    if (!tern_der_read(r, TERN_DER_INTEGER, magnitude))
        return false;
    struct tern_view v = *magnitude;
    *magnitude = (struct tern_view){0};
    if (v.size == 0 || v.data[0] >= 0x80)
        return tern_reader_fail(r, TERN_ERR_MALFORMED);
    if (v.data[0] == 0) {
        /* A leading zero stands only before a bit that would make the number negative. */
        if (v.size > 1 && v.data[1] < 0x80)
            return tern_reader_fail(r, TERN_ERR_MALFORMED);
        v = tern_view_of(v.data + 1, v.size - 1);
    }
    *magnitude = v;
    return true;
}

static size_t der_length_bytes(size_t size)
{
    size_t bytes = 0;
    for (size_t left = size; left > 0; left >>= 8)
        bytes++;
    return bytes;
}

void tern_der_write_header(struct tern_writer *w, uint8_t tag, size_t size)
{
    tern_writer_u8(w, tag);
    if (size < DER_LONG) {
        tern_writer_u8(w, (uint8_t)size);
        return;
    }
    size_t bytes = der_length_bytes(size);
    TERN_CHECK(bytes <= DER_LENGTH_BYTES_MAX);
    tern_writer_u8(w, (uint8_t)(DER_LONG | bytes));
    for (size_t i = bytes; i > 0; i--)
        tern_writer_u8(w, (uint8_t)(size >> (8 * (i - 1))));
}

size_t tern_der_size(size_t contents_size)
{
    size_t length = contents_size < DER_LONG ? 1 : 1 + der_length_bytes(contents_size);
    return 1 + length + contents_size;
}

void tern_der_write(struct tern_writer *w, uint8_t tag, struct tern_view contents)
{
    tern_der_write_header(w, tag, contents.size);
    tern_writer_bytes(w, contents);
}

static bool der_needs_zero(struct tern_view magnitude)
{
    return magnitude.size == 0 || magnitude.data[0] >= 0x80;
}

size_t tern_der_unsigned_size(struct tern_view magnitude)
{
    return tern_der_size(magnitude.size + der_needs_zero(magnitude));
}

void tern_der_write_unsigned(struct tern_writer *w, struct tern_view magnitude)
{
    TERN_CHECK(magnitude.size == 0 || magnitude.data[0] != 0);
    bool zero = der_needs_zero(magnitude);
    tern_der_write_header(w, TERN_DER_INTEGER, magnitude.size + zero);
    if (zero)
        tern_writer_u8(w, 0);
    tern_writer_bytes(w, magnitude);
}
