/*
 * Is it UTF-8 (RFC 3629)? No overlong forms, no surrogates, nothing above U+10FFFF.
 */
#ifndef TERN_WEBSOCKET_UTF8_H
#define TERN_WEBSOCKET_UTF8_H

#include "base/types.h"

bool tern_utf8_valid(struct tern_view text);

#endif
