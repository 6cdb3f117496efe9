#include "mux/yamux_frame.h"

#include "base/check.h"

static uint32_t yamux_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

struct tern_yamux_header tern_yamux_header_decode(const uint8_t bytes[12])
{
    return (struct tern_yamux_header){
        .version = bytes[0],
        .type = bytes[1],
        .flags = (uint16_t)(bytes[2] << 8 | bytes[3]),
        .stream_id = yamux_u32(bytes + 4),
        .length = yamux_u32(bytes + 8),
    };
}

void tern_yamux_header_write(struct tern_writer *out, const struct tern_yamux_header *header)
{
    TERN_CHECK(header->type < TERN_YAMUX_TYPE_COUNT);
    tern_writer_u8(out, 0);
    tern_writer_u8(out, header->type);
    tern_writer_u16be(out, header->flags);
    tern_writer_u32be(out, header->stream_id);
    tern_writer_u32be(out, header->length);
    TERN_CHECK(tern_writer_ok(out));
}
