/*
 * For fuzzing: a peer's bytes against one end of a WebSocket, which seals and shuts as the first
 * bytes say. Whatever comes: no crash, bounded memory, whole frames out, and nothing is left at the
 * end.
 *
 * Byte 0: bit 0 the bytes come in chunks; 1: the end seals a frame after each piece; 2: it shuts
 * behind the first; 3: the opening is given, and the input is frames (of a client, masked by zero
 * keys if it likes). Byte 1: the size of a piece; 0: all at once.
 */
#ifndef TERN_WEBSOCKET_WEBSOCKET_FUZZ_H
#define TERN_WEBSOCKET_WEBSOCKET_FUZZ_H

#include "websocket/websocket.h"

int websocket_fuzz(enum tern_role role, const uint8_t *data, size_t size);

#endif
