#include "websocket/http_head.h"

static const uint8_t CR = '\r';
static const uint8_t LF = '\n';
static const uint8_t DELETE = 0x7f;

/* Is the byte in place behind the one before it (0: it is the first)? */
static bool http_byte_fits(uint8_t before, uint8_t byte)
{
    if (before == CR || byte == LF)
        return before == CR && byte == LF;
    return (byte >= ' ' && byte != DELETE) || byte == '\t' || byte == CR;
}

tern_err tern_http_head_end(struct tern_view bytes, size_t offset, size_t *size)
{
    for (size_t i = offset; i < bytes.size; i++) {
        if (i >= TERN_HTTP_HEAD_MAX)
            return TERN_ERR_TOO_LARGE;
        if (!http_byte_fits(i == 0 ? 0 : bytes.data[i - 1], bytes.data[i]))
            return TERN_ERR_MALFORMED;
        if (i >= 3 && memcmp(bytes.data + i - 3, "\r\n\r\n", 4) == 0) {
            *size = i + 1;
            return TERN_OK;
        }
    }
    return TERN_ERR_TRUNCATED;
}

bool tern_http_line_next(struct tern_http_lines *lines, struct tern_view *line)
{
    const uint8_t *end =
        lines->left.size == 0 ? NULL : memchr(lines->left.data, CR, lines->left.size);
    if (end == NULL || end == lines->left.data)
        return false;
    size_t size = (size_t)(end - lines->left.data);
    *line = tern_view_part(lines->left, 0, size);
    lines->left = tern_view_part(lines->left, size + 2, lines->left.size - size - 2);
    return true;
}

/* RFC 9110, section 5.6.2. */
static bool http_token_char(uint8_t byte)
{
    bool letter = (byte | 0x20) >= 'a' && (byte | 0x20) <= 'z';
    bool digit = byte >= '0' && byte <= '9';
    return letter || digit || (byte > ' ' && byte < DELETE && strchr("!#$%&'*+-.^_`|~", byte));
}

static bool http_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

static struct tern_view http_trim(struct tern_view view)
{
    while (view.size > 0 && http_blank(view.data[0]))
        view = tern_view_part(view, 1, view.size - 1);
    while (view.size > 0 && http_blank(view.data[view.size - 1]))
        view.size--;
    return view;
}

bool tern_http_field(struct tern_view line, struct tern_view *name, struct tern_view *value)
{
    size_t colon = 0;
    while (colon < line.size && http_token_char(line.data[colon]))
        colon++;
    if (colon == 0 || colon == line.size || line.data[colon] != ':')
        return false;
    *name = tern_view_part(line, 0, colon);
    *value = http_trim(tern_view_part(line, colon + 1, line.size - colon - 1));
    return true;
}

bool tern_http_same(struct tern_view bytes, const char *text)
{
    if (bytes.size != strlen(text))
        return false;
    for (size_t i = 0; i < bytes.size; i++) {
        uint8_t byte = bytes.data[i];
        if (byte >= 'A' && byte <= 'Z')
            byte |= 0x20;
        if (byte != (uint8_t)text[i])
            return false;
    }
    return true;
}

bool tern_http_word(struct tern_view *line, struct tern_view *word)
{
    size_t size = 0;
    while (size < line->size && line->data[size] > ' ' && line->data[size] < DELETE)
        size++;
    if (size == 0 || (size < line->size && line->data[size] != ' '))
        return false;
    *word = tern_view_part(*line, 0, size);
    size_t skip = size < line->size ? size + 1 : size;
    *line = tern_view_part(*line, skip, line->size - skip);
    return true;
}

bool tern_http_list_has(struct tern_view list, const char *text)
{
    while (list.size > 0) {
        const uint8_t *comma = memchr(list.data, ',', list.size);
        size_t size = comma == NULL ? list.size : (size_t)(comma - list.data);
        if (tern_http_same(http_trim(tern_view_part(list, 0, size)), text))
            return true;
        size_t skip = comma == NULL ? size : size + 1;
        list = tern_view_part(list, skip, list.size - skip);
    }
    return false;
}
