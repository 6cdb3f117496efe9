/*
 * The header of a WebSocket frame (RFC 6455, section 5.2): 2 bytes, then a length of 0, 2 or 8 more
 * bytes, then, of a client's frame, the masking key.
 */
#ifndef TERN_WEBSOCKET_WEBSOCKET_FRAME_H
#define TERN_WEBSOCKET_WEBSOCKET_FRAME_H

#include "base/fault.h"
#include "base/types.h"
#include "websocket/mask.h"

enum tern_websocket_opcode {
    TERN_WEBSOCKET_CONTINUATION = 0,
    TERN_WEBSOCKET_TEXT = 1,
    TERN_WEBSOCKET_BINARY = 2,
    TERN_WEBSOCKET_CLOSE = 8,
    TERN_WEBSOCKET_PING = 9,
    TERN_WEBSOCKET_PONG = 10,
};

enum {
    TERN_WEBSOCKET_START_SIZE = 2, /* what has to be there before the rest can be judged */
    TERN_WEBSOCKET_HEADER_MAX = 14,
    TERN_WEBSOCKET_CONTROL_MAX = 125, /* of a control frame's payload */
};

struct tern_websocket_header {
    bool fin;
    uint8_t opcode;
    uint64_t size;
    uint8_t key[TERN_WEBSOCKET_KEY_SIZE]; /* zero of a server's */
};

/* tern_websocket_header_check judges the first two bytes of a frame from a client or a server;
 * TERN_FAULT_NONE: they may be. */
tern_fault tern_websocket_header_check(const uint8_t start[TERN_WEBSOCKET_START_SIZE],
                                       bool from_client);

/* tern_websocket_header_size is how long the header is that begins so. */
size_t tern_websocket_header_size(const uint8_t start[TERN_WEBSOCKET_START_SIZE]);

/* tern_websocket_header_decode reads a whole header that has been checked; false: its length is
 * over 63 bits or not in its shortest form. */
bool tern_websocket_header_decode(const uint8_t *bytes, struct tern_websocket_header *header);

/* tern_websocket_header_write writes the header of a whole frame, and returns its size. key is NULL
 * of a server's. size is at most 65,535. */
size_t tern_websocket_header_write(uint8_t *bytes, enum tern_websocket_opcode opcode, size_t size,
                                   const uint8_t *key);

#endif
