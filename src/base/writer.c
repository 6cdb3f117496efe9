#include "base/writer.h"

#include "base/check.h"

uint8_t *tern_writer_reserve(struct tern_writer *w, size_t size)
{
    TERN_DCHECK(w->size <= w->capacity);
    if (w->overflow || size > w->capacity - w->size) {
        w->overflow = true;
        return NULL;
    }
    if (w->data == NULL)
        return NULL;
    uint8_t *at = w->data + w->size;
    w->size += size;
    return at;
}

static void store_be(uint8_t *at, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        at[i] = (uint8_t)(value >> (8 * (size - 1 - i)));
}

static void store_le(uint8_t *at, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static void writer_be(struct tern_writer *w, uint64_t value, size_t size)
{
    uint8_t *at = tern_writer_reserve(w, size);
    if (at != NULL)
        store_be(at, value, size);
}

static void writer_le(struct tern_writer *w, uint64_t value, size_t size)
{
    uint8_t *at = tern_writer_reserve(w, size);
    if (at != NULL)
        store_le(at, value, size);
}

void tern_writer_u8(struct tern_writer *w, uint8_t value)
{
    writer_be(w, value, 1);
}

void tern_writer_u16be(struct tern_writer *w, uint16_t value)
{
    writer_be(w, value, 2);
}

void tern_writer_u32be(struct tern_writer *w, uint32_t value)
{
    writer_be(w, value, 4);
}

void tern_writer_u64be(struct tern_writer *w, uint64_t value)
{
    writer_be(w, value, 8);
}

void tern_writer_u32le(struct tern_writer *w, uint32_t value)
{
    writer_le(w, value, 4);
}

void tern_writer_u64le(struct tern_writer *w, uint64_t value)
{
    writer_le(w, value, 8);
}

void tern_writer_bytes(struct tern_writer *w, struct tern_view bytes)
{
    uint8_t *at = tern_writer_reserve(w, bytes.size);
    if (at != NULL)
        tern_copy(at, bytes.data, bytes.size);
}

void tern_writer_str(struct tern_writer *w, const char *text)
{
    tern_writer_bytes(w, tern_view_str(text));
}

size_t tern_uvarint_size(uint64_t value)
{
    size_t bits = 64 - (size_t)__builtin_clzll(value | 1);
    return (bits + 6) / 7;
}

void tern_writer_uvarint(struct tern_writer *w, uint64_t value)
{
    size_t size = tern_uvarint_size(value);
    uint8_t *at = tern_writer_reserve(w, size);
    if (at == NULL)
        return;
    for (size_t i = 0; i + 1 < size; i++) {
        at[i] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    at[size - 1] = (uint8_t)value;
}

void tern_writer_decimal(struct tern_writer *w, uint64_t value)
{
    uint8_t digits[20];
    size_t start = sizeof(digits);
    do {
        digits[--start] = (uint8_t)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    tern_writer_bytes(w, tern_view_of(digits + start, sizeof(digits) - start));
}

void tern_writer_hex(struct tern_writer *w, struct tern_view bytes)
{
    static const char digits[] = "0123456789abcdef";
    if (bytes.size > SIZE_MAX / 2) {
        w->overflow = true;
        return;
    }
    uint8_t *at = tern_writer_reserve(w, bytes.size * 2);
    if (at == NULL)
        return;
    for (size_t i = 0; i < bytes.size; i++) {
        at[2 * i] = (uint8_t)digits[bytes.data[i] >> 4];
        at[2 * i + 1] = (uint8_t)digits[bytes.data[i] & 15];
    }
}

bool tern_writer_terminate(struct tern_writer *w)
{
    if (w->capacity == 0)
        return false;
    if (w->size == w->capacity) {
        w->size--;
        w->overflow = true;
    }
    w->data[w->size] = 0;
    return !w->overflow;
}
