#include "websocket/websocket_frame.h"

#include "base/check.h"

enum {
    FIN = 0x80,
    RESERVED = 0x70,
    OPCODE = 0x0f,
    CONTROL = 0x08, /* of opcodes */
    MASKED = 0x80,
    LENGTH = 0x7f,
    LENGTH_16 = 126, /* the length is in the next 2 bytes */
    LENGTH_64 = 127, /* in the next 8 */
};

static tern_fault header_check_opcode(uint8_t first)
{
    bool control = (first & CONTROL) != 0;
    switch (first & OPCODE) {
    case TERN_WEBSOCKET_CONTINUATION:
    case TERN_WEBSOCKET_BINARY:
        return TERN_FAULT_NONE;
    case TERN_WEBSOCKET_TEXT:
        return TERN_FAULT_WEBSOCKET_TEXT;
    case TERN_WEBSOCKET_CLOSE:
    case TERN_WEBSOCKET_PING:
    case TERN_WEBSOCKET_PONG:
        return control && (first & FIN) == 0 ? TERN_FAULT_WEBSOCKET_BAD_CONTROL : TERN_FAULT_NONE;
    default: /* a peer's number, not an enum of ours */
        return TERN_FAULT_WEBSOCKET_BAD_OPCODE;
    }
}

tern_fault tern_websocket_header_check(const uint8_t start[TERN_WEBSOCKET_START_SIZE],
                                       bool from_client)
{
    bool masked = (start[1] & MASKED) != 0;
    if (start[0] & RESERVED)
        return TERN_FAULT_WEBSOCKET_RESERVED_BITS;
    tern_fault fault = header_check_opcode(start[0]);
    if (fault != TERN_FAULT_NONE)
        return fault;
    if (masked != from_client)
        return from_client ? TERN_FAULT_WEBSOCKET_NOT_MASKED : TERN_FAULT_WEBSOCKET_MASKED;
    if ((start[0] & CONTROL) && (start[1] & LENGTH) > TERN_WEBSOCKET_CONTROL_MAX)
        return TERN_FAULT_WEBSOCKET_BAD_CONTROL;
    return TERN_FAULT_NONE;
}

static size_t header_length_bytes(uint8_t second)
{
    uint8_t length = second & LENGTH;
    return length == LENGTH_64 ? 8 : length == LENGTH_16 ? 2 : 0;
}

size_t tern_websocket_header_size(const uint8_t start[TERN_WEBSOCKET_START_SIZE])
{
    size_t key = start[1] & MASKED ? TERN_WEBSOCKET_KEY_SIZE : 0;
    return TERN_WEBSOCKET_START_SIZE + header_length_bytes(start[1]) + key;
}

bool tern_websocket_header_decode(const uint8_t *bytes, struct tern_websocket_header *header)
{
    size_t length_bytes = header_length_bytes(bytes[1]);
    const uint8_t *at = bytes + TERN_WEBSOCKET_START_SIZE;
    *header = (struct tern_websocket_header){
        .fin = (bytes[0] & FIN) != 0,
        .opcode = bytes[0] & OPCODE,
        .size = length_bytes == 0 ? bytes[1] & LENGTH : 0,
    };
    for (size_t i = 0; i < length_bytes; i++)
        header->size = header->size << 8 | *at++;
    if (bytes[1] & MASKED)
        memcpy(header->key, at, sizeof header->key);
    if (length_bytes == 2)
        return header->size >= LENGTH_16;
    return length_bytes == 0 || (header->size > UINT16_MAX && header->size <= INT64_MAX);
}

size_t tern_websocket_header_write(uint8_t *bytes, enum tern_websocket_opcode opcode, size_t size,
                                   const uint8_t *key)
{
    TERN_CHECK(size <= UINT16_MAX);
    uint8_t mask = key == NULL ? 0 : MASKED;
    size_t at = 0;
    bytes[at++] = (uint8_t)(FIN | opcode);
    if (size < LENGTH_16) {
        bytes[at++] = (uint8_t)(mask | size);
    } else {
        bytes[at++] = mask | LENGTH_16;
        bytes[at++] = (uint8_t)(size >> 8);
        bytes[at++] = (uint8_t)size;
    }
    if (key == NULL)
        return at;
    memcpy(bytes + at, key, TERN_WEBSOCKET_KEY_SIZE);
    return at + TERN_WEBSOCKET_KEY_SIZE;
}
