#include "websocket/utf8.h"

/* How a character of more than one byte begins: by its first byte, how many follow, and within
 * which bounds the first of those lies. */
static const struct {
    uint8_t first_min, first_max, follow, second_min, second_max;
} utf8_rows[] = {
    {0xc2, 0xdf, 1, 0x80, 0xbf}, {0xe0, 0xe0, 2, 0xa0, 0xbf}, {0xe1, 0xec, 2, 0x80, 0xbf},
    {0xed, 0xed, 2, 0x80, 0x9f}, {0xee, 0xef, 2, 0x80, 0xbf}, {0xf0, 0xf0, 3, 0x90, 0xbf},
    {0xf1, 0xf3, 3, 0x80, 0xbf}, {0xf4, 0xf4, 3, 0x80, 0x8f},
};

/* How many bytes the first character has; 0: it is none. */
static size_t utf8_character(struct tern_view text)
{
    uint8_t first = text.data[0];
    if (first < 0x80)
        return 1;
    for (size_t i = 0; i < TERN_COUNT_OF(utf8_rows); i++) {
        if (first < utf8_rows[i].first_min || first > utf8_rows[i].first_max)
            continue;
        size_t size = 1u + utf8_rows[i].follow;
        if (text.size < size || text.data[1] < utf8_rows[i].second_min ||
            text.data[1] > utf8_rows[i].second_max)
            return 0;
        for (size_t n = 2; n < size; n++)
            if ((text.data[n] & 0xc0) != 0x80)
                return 0;
        return size;
    }
    return 0;
}

bool tern_utf8_valid(struct tern_view text)
{
    while (text.size > 0) {
        size_t size = utf8_character(text);
        if (size == 0)
            return false;
        text = tern_view_part(text, size, text.size - size);
    }
    return true;
}
