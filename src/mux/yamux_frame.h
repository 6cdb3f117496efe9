/*
 * The 12-byte header of a yamux frame: version, type, flags, stream id, length. Data follows a DATA
 * header alone; for the other types length is a number (a delta, an opaque value, a code).
 *
 * Specification: hashicorp/yamux spec.md, Framing.
 */
#ifndef TERN_MUX_YAMUX_FRAME_H
#define TERN_MUX_YAMUX_FRAME_H

#include "base/types.h"
#include "base/writer.h"

enum tern_yamux_type {
    TERN_YAMUX_DATA,
    TERN_YAMUX_WINDOW_UPDATE,
    TERN_YAMUX_PING,
    TERN_YAMUX_GO_AWAY,
    TERN_YAMUX_TYPE_COUNT
};

enum tern_yamux_flag {
    TERN_YAMUX_SYN = 1,
    TERN_YAMUX_ACK = 2,
    TERN_YAMUX_FIN = 4,
    TERN_YAMUX_RST = 8,
};

struct tern_yamux_header {
    uint8_t version;
    uint8_t type; /* enum tern_yamux_type, or what the remote wrote */
    uint16_t flags;
    uint32_t stream_id;
    uint32_t length;
};

/* tern_yamux_header_decode reads a header; every 12 bytes are one. */
struct tern_yamux_header tern_yamux_header_decode(const uint8_t bytes[12]);

/* tern_yamux_header_write appends a header of version 0; needs 12 bytes of room. */
void tern_yamux_header_write(struct tern_writer *out, const struct tern_yamux_header *header);

#endif
