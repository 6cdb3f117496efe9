/*
 * One reader for all parsing. It walks a borrowed view; nothing else does pointer arithmetic on a
 * peer's bytes. The first failure sticks: later reads fail too and leave their outputs zero, so a
 * parser may read several fields and check once.
 */
#ifndef TERN_BASE_READER_H
#define TERN_BASE_READER_H

#include "base/error.h"
#include "base/types.h"

struct tern_reader {
    const uint8_t *data;
    size_t size;
    size_t offset;
    tern_err err;
};

static inline struct tern_reader tern_reader_of(struct tern_view view)
{
    return (struct tern_reader){.data = view.data, .size = view.size};
}

static inline size_t tern_reader_left(const struct tern_reader *r)
{
    return r->size - r->offset;
}

/* tern_reader_rest views what is left, without reading it. */
static inline struct tern_view tern_reader_rest(const struct tern_reader *r)
{
    return tern_view_part(tern_view_of(r->data, r->size), r->offset, r->size - r->offset);
}

/* All reads below return false and set r->err to TERN_ERR_TRUNCATED when too few bytes are left. */
bool tern_reader_u8(struct tern_reader *r, uint8_t *value);
bool tern_reader_u16be(struct tern_reader *r, uint16_t *value);
bool tern_reader_u32be(struct tern_reader *r, uint32_t *value);
bool tern_reader_u64be(struct tern_reader *r, uint64_t *value);
bool tern_reader_u32le(struct tern_reader *r, uint32_t *value);
bool tern_reader_u64le(struct tern_reader *r, uint64_t *value);

/* tern_reader_bytes views the next size bytes; they stay borrowed from the reader's view. */
bool tern_reader_bytes(struct tern_reader *r, size_t size, struct tern_view *bytes);

/* tern_reader_copy copies the next size bytes to out. */
bool tern_reader_copy(struct tern_reader *r, void *out, size_t size);

bool tern_reader_skip(struct tern_reader *r, size_t size);

/* tern_reader_uvarint reads an unsigned varint of at most nine bytes
 * (multiformats/unsigned-varint). Sets r->err to TRUNCATED, NOT_MINIMAL, or MALFORMED (longer than
 * nine bytes). */
bool tern_reader_uvarint(struct tern_reader *r, uint64_t *value);

/* tern_reader_fail records err, unless a failure is recorded already; returns false. */
bool tern_reader_fail(struct tern_reader *r, tern_err err);

/* tern_reader_end is r->err, or TERN_ERR_MALFORMED when bytes are left over, or TERN_OK. */
TERN_NODISCARD tern_err tern_reader_end(const struct tern_reader *r);

#endif
