#include "webrtc/sctp_wire.h"

#include "base/check.h"

/* wire_value reads a length that counts header_size bytes before it, the value, and the padding. */
static bool wire_value(struct tern_reader *r, size_t header_size, struct tern_view *value)
{
    uint16_t length;
    if (!tern_reader_u16be(r, &length))
        return false;
    if (length < header_size)
        return tern_reader_fail(r, TERN_ERR_MALFORMED);
    size_t size = length - header_size;
    if (!tern_reader_bytes(r, size, value))
        return false;
    return tern_reader_skip(r, tern_min_size(-size & 3, tern_reader_left(r)));
}

bool sctp_next_chunk(struct tern_reader *r, struct sctp_chunk *chunk)
{
    if (tern_reader_left(r) == 0)
        return false;
    tern_reader_u8(r, &chunk->type);
    tern_reader_u8(r, &chunk->flags);
    return wire_value(r, SCTP_CHUNK_HEADER_SIZE, &chunk->value);
}

bool sctp_next_parameter(struct tern_reader *r, struct sctp_parameter *parameter)
{
    if (tern_reader_left(r) == 0)
        return false;
    struct tern_view rest = tern_reader_rest(r);
    tern_reader_u16be(r, &parameter->type);
    if (!wire_value(r, 4, &parameter->value))
        return false;
    parameter->whole = tern_view_part(rest, 0, 4 + parameter->value.size);
    return true;
}

static void wire_pad(struct tern_writer *w)
{
    while (w->size % 4 != 0 && tern_writer_ok(w))
        tern_writer_u8(w, 0);
}

static void wire_end(struct tern_writer *w, size_t start)
{
    if (!tern_writer_ok(w))
        return;
    size_t length = w->size - start;
    TERN_CHECK(length >= 4 && length <= UINT16_MAX);
    w->data[start + 2] = (uint8_t)(length >> 8);
    w->data[start + 3] = (uint8_t)length;
}

size_t sctp_begin_chunk(struct tern_writer *w, enum sctp_chunk_type type, uint8_t flags)
{
    size_t start = w->size;
    tern_writer_u8(w, (uint8_t)type);
    tern_writer_u8(w, flags);
    tern_writer_u16be(w, 0);
    return start;
}

void sctp_end_chunk(struct tern_writer *w, size_t start)
{
    wire_end(w, start);
    wire_pad(w);
}

size_t sctp_begin_parameter(struct tern_writer *w, enum sctp_parameter_type type)
{
    wire_pad(w); /* of the one before: the last one's belongs to the chunk */
    size_t start = w->size;
    tern_writer_u16be(w, (uint16_t)type);
    tern_writer_u16be(w, 0);
    return start;
}

void sctp_end_parameter(struct tern_writer *w, size_t start)
{
    wire_end(w, start);
}
