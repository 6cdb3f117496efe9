/*
 * Protocol buffers as views: a message is walked field by field in place, nothing is copied or
 * allocated, and a nested message is a view to walk in turn. Written by size first: the caller adds
 * up the sizes of a nested message's fields, writes its header, then the fields.
 *
 *     struct tern_pb_iter it = tern_pb_iter_of(message);
 *     struct tern_pb_field f;
 *     while (tern_pb_next(&it, &f)) {
 *         switch (f.tag) {
 *         case TERN_PB_TAG(1, TERN_PB_BYTES):  key = f.bytes;     break;
 *         case TERN_PB_TAG(2, TERN_PB_VARINT): seq = f.value;     break;
 *         }                                       (others are unknown fields: skipped)
 *     }
 *     TERN_TRY(tern_pb_end(&it));
 *
 * A known number with another wire type falls through as unknown, as in the official libraries;
 * when a singular field comes twice, the last one counts, as they do.
 *
 * Limits: a varint has at most ten bytes and fits 64 bits, a tag at most five, field numbers are 1
 * to 2^29 - 1. Groups (wire types 3 and 4) and wire types 6 and 7 are refused. A message cannot
 * hold more fields than half its bytes, so the loop is bounded by the size limit of whoever
 * received it.
 *
 * Specification: protobuf.dev/programming-guides/encoding. Pure and thread safe: no state but the
 * iterator's.
 */
#ifndef TERN_WIRE_PROTOBUF_H
#define TERN_WIRE_PROTOBUF_H

#include "base/error.h"
#include "base/types.h"
#include "base/writer.h"

enum tern_pb_type {
    TERN_PB_VARINT = 0,
    TERN_PB_FIXED64 = 1,
    TERN_PB_BYTES = 2,
    TERN_PB_FIXED32 = 5,
};

#define TERN_PB_TAG(number, type) (((uint32_t)(number) << 3) | (uint32_t)(type))

enum { TERN_PB_NUMBER_MAX = (1 << 29) - 1 };

struct tern_pb_field {
    uint32_t tag;           /* TERN_PB_TAG(number, type) */
    uint64_t value;         /* VARINT, FIXED32, FIXED64; 0 for BYTES */
    struct tern_view bytes; /* BYTES: borrowed from the message; empty otherwise */
};

static inline uint32_t tern_pb_number(const struct tern_pb_field *field)
{
    return field->tag >> 3;
}

static inline enum tern_pb_type tern_pb_type(const struct tern_pb_field *field)
{
    return (enum tern_pb_type)(field->tag & 7);
}

struct tern_pb_iter {
    const uint8_t *at;
    const uint8_t *end;
    const uint8_t *field; /* where the current field's tag starts */
    tern_err err;
};

/* tern_pb_iter_of starts at a message's first field. The message stays borrowed. */
struct tern_pb_iter tern_pb_iter_of(struct tern_view message);

/* tern_pb_next reads one field; false at the end and at the first error, which tern_pb_end tells.
 */
bool tern_pb_next(struct tern_pb_iter *it, struct tern_pb_field *field);

/* tern_pb_end is TERN_OK when all fields were read, else TERN_ERR_MALFORMED. A message that stops
 * inside a field is MALFORMED too: whoever reads from a stream frames it first. */
TERN_NODISCARD tern_err tern_pb_end(const struct tern_pb_iter *it);

/* tern_pb_raw views the current field whole, tag included: for copying unknown fields, or for
 * signatures over a message without some of its fields. Valid after tern_pb_next returned true. */
struct tern_view tern_pb_raw(const struct tern_pb_iter *it);

/* tern_pb_packed_next takes one varint off the front of a packed repeated field's bytes. False at
 * the end (packed->size is 0) and on a bad varint (packed->size is not 0). */
bool tern_pb_packed_next(struct tern_view *packed, uint64_t *value);

/* tern_pb_frame finds the first varint-length-prefixed message in what a stream has received so
 * far. *message is borrowed; *used is the prefix's and message's size together. TERN_ERR_TRUNCATED:
 * more bytes are needed; TERN_ERR_TOO_LARGE: longer than size_max, known as soon as the prefix is
 * there; TERN_ERR_NOT_MINIMAL, TERN_ERR_MALFORMED: a bad prefix. */
TERN_NODISCARD tern_err tern_pb_frame(struct tern_view in, size_t size_max,
                                      struct tern_view *message, size_t *used);

/* Writers. Field numbers are constants of the caller: 1 to 2^29 - 1 (checked). A default value is
 * written like any other; whoever follows proto3 leaves it out himself. Overflow sticks in the
 * writer. */
void tern_pb_write_varint(struct tern_writer *w, uint32_t number, uint64_t value);
void tern_pb_write_fixed32(struct tern_writer *w, uint32_t number, uint32_t value);
void tern_pb_write_fixed64(struct tern_writer *w, uint32_t number, uint64_t value);
void tern_pb_write_bytes(struct tern_writer *w, uint32_t number, struct tern_view bytes);

/* tern_pb_write_header writes tag and length of a bytes field or nested message; the caller writes
 * its size bytes next. */
void tern_pb_write_header(struct tern_writer *w, uint32_t number, size_t size);

/* The encoded sizes of whole fields, tag and length included. */
size_t tern_pb_varint_size(uint32_t number, uint64_t value);
size_t tern_pb_bytes_size(uint32_t number, size_t size);

/* tern_pb_int turns a signed number into the varint that int32, int64 and enum fields carry
 * (negative: ten bytes); tern_pb_zigzag into the one of sint32 and sint64. The other two turn them
 * back. */
static inline uint64_t tern_pb_int(int64_t value)
{
    return (uint64_t)value;
}

static inline uint64_t tern_pb_zigzag(int64_t value)
{
    return ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0);
}

static inline int64_t tern_pb_to_int(uint64_t value)
{
    return (int64_t)value;
}

static inline int64_t tern_pb_from_zigzag(uint64_t value)
{
    return (int64_t)((value >> 1) ^ ((value & 1) != 0 ? UINT64_MAX : 0));
}

#endif
