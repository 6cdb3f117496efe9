/*
 * The mask of WebSocket frames (RFC 6455, section 5.3): bytes XOR a key of four, over and over.
 */
#ifndef TERN_WEBSOCKET_MASK_H
#define TERN_WEBSOCKET_MASK_H

#include "base/types.h"

enum { TERN_WEBSOCKET_KEY_SIZE = 4 };

/* tern_websocket_mask masks bytes, or unmasks them, in place. The first one goes with the key's
 * byte phase % 4, so a payload may be masked piece by piece. 64 bytes at a time. */
void tern_websocket_mask(struct tern_span bytes, const uint8_t key[TERN_WEBSOCKET_KEY_SIZE],
                         size_t phase);

#endif
