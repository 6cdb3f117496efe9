/*
 * One writer for all building. It fills a caller's buffer and never grows it. Overflow sticks:
 * later writes do nothing, and tern_writer_ok is false at the end.
 */
#ifndef TERN_BASE_WRITER_H
#define TERN_BASE_WRITER_H

#include "base/error.h"
#include "base/types.h"

struct tern_writer {
    uint8_t *data;
    size_t capacity;
    size_t size; /* bytes written so far */
    bool overflow;
};

static inline struct tern_writer tern_writer_of(void *data, size_t capacity)
{
    return (struct tern_writer){.data = data, .capacity = capacity};
}

static inline bool tern_writer_ok(const struct tern_writer *w)
{
    return !w->overflow;
}

static inline size_t tern_writer_left(const struct tern_writer *w)
{
    return w->capacity - w->size;
}

static inline struct tern_view tern_writer_view(const struct tern_writer *w)
{
    return tern_view_of(w->data, w->size);
}

void tern_writer_u8(struct tern_writer *w, uint8_t value);
void tern_writer_u16be(struct tern_writer *w, uint16_t value);
void tern_writer_u32be(struct tern_writer *w, uint32_t value);
void tern_writer_u64be(struct tern_writer *w, uint64_t value);
void tern_writer_u32le(struct tern_writer *w, uint32_t value);
void tern_writer_u64le(struct tern_writer *w, uint64_t value);
void tern_writer_bytes(struct tern_writer *w, struct tern_view bytes);
void tern_writer_str(struct tern_writer *w, const char *text);
void tern_writer_uvarint(struct tern_writer *w, uint64_t value);

/* tern_writer_decimal writes a number in decimal text. */
void tern_writer_decimal(struct tern_writer *w, uint64_t value);

/* tern_writer_hex writes bytes as lower-case hexadecimal text. */
void tern_writer_hex(struct tern_writer *w, struct tern_view bytes);

/* tern_writer_reserve takes size bytes and returns where they are, for filling in place (or later,
 * as with a length field); NULL on overflow. */
uint8_t *tern_writer_reserve(struct tern_writer *w, size_t size);

/* tern_writer_terminate makes the text a C string: a zero byte behind it that size does not count.
 * False when there is no room, and then the text was cut at capacity - 1. */
bool tern_writer_terminate(struct tern_writer *w);

/* tern_uvarint_size is how many bytes tern_writer_uvarint needs: 1 to 10. */
size_t tern_uvarint_size(uint64_t value);

#endif
