/*
 * The head of an HTTP/1.1 message: start line and fields, as far as WebSocket needs it (RFC 9112).
 * A head is gathered byte by byte until its empty line, then read line by line.
 *
 * Strict where leniency has let messages be read in two ways: lines end in CR LF and nothing else,
 * a field's name is a token with the colon right behind it, no line goes on in the next one
 * (obs-fold), no other control characters, a bounded size.
 *
 * Pure, no memory of its own.
 */
#ifndef TERN_WEBSOCKET_HTTP_HEAD_H
#define TERN_WEBSOCKET_HTTP_HEAD_H

#include "base/error.h"
#include "base/types.h"

enum { TERN_HTTP_HEAD_MAX = 4096 };

/* tern_http_head_end finds the empty line behind which the head ends, looking at the bytes from
 * offset on; those before have been looked at. TERN_OK: *size is the size with it;
 * TERN_ERR_TRUNCATED: it is not there yet; TERN_ERR_MALFORMED: a byte is out of place;
 * TERN_ERR_TOO_LARGE: it would end behind TERN_HTTP_HEAD_MAX. */
TERN_NODISCARD tern_err tern_http_head_end(struct tern_view bytes, size_t offset, size_t *size);

/* The lines of a whole head, without their CR LF. */
struct tern_http_lines {
    struct tern_view left;
};

/* tern_http_line_next gives the next line; false: the empty one has come. */
bool tern_http_line_next(struct tern_http_lines *lines, struct tern_view *line);

/* tern_http_field takes a line apart; whitespace around the value is left out. False: malformed. */
bool tern_http_field(struct tern_view line, struct tern_view *name, struct tern_view *value);

/* tern_http_same compares with a text in lower case, whatever case the bytes are in. */
bool tern_http_same(struct tern_view bytes, const char *text);

/* tern_http_word cuts the first word off a start line: up to the next single space, or all. False:
 * there is none left, or it is empty or not of visible characters. */
bool tern_http_word(struct tern_view *line, struct tern_view *word);

/* tern_http_list_has: is the text, in lower case, one of the comma-separated elements? */
bool tern_http_list_has(struct tern_view list, const char *text);

#endif
