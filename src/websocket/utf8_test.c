#include "websocket/utf8.h"

#include "tern_test.h"

/* A slow decoder that knows code points: how long the first character is; 0: it is none. */
static size_t slow_character(const uint8_t *bytes, size_t size)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint8_t first = bytes[0];
    size_t length = first < 0x80           ? 1
                    : (first >> 5) == 6    ? 2
                    : (first >> 4) == 14   ? 3
                    : (first >> 3) == 0x1e ? 4
                                           : 0;
    if (length == 0 || length > size)
        return 0;
    uint32_t point = length == 1 ? first : first & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if (bytes[i] >> 6 != 2)
            return 0;
        point = point << 6 | (bytes[i] & 0x3f);
    }
    bool surrogate = point >= 0xd800 && point <= 0xdfff;
    return point < least[length] || point > 0x10ffff || surrogate ? 0 : length;
}

static bool slow_valid(const uint8_t *bytes, size_t size)
{
    size_t length = 1;
    for (; size > 0 && length > 0; size -= length, bytes += length)
        length = slow_character(bytes, size);
    return length > 0;
}

static void every_text_of_three_bytes_is_judged_right(void **state)
{
    (void)state;
    for (uint32_t n = 0; n < 1 << 24; n++) {
        const uint8_t bytes[] = {(uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
        if (tern_utf8_valid(tern_view_of(bytes, 3)) != slow_valid(bytes, 3))
            fail_msg("%06x", n);
        if ((n & 0xff) == 0 && tern_utf8_valid(tern_view_of(bytes, 2)) != slow_valid(bytes, 2))
            fail_msg("%04x", n >> 8);
    }
}

static void every_border_of_four_bytes_is_judged_right(void **state)
{
    (void)state;
    static const uint8_t borders[] = {0x00, 0x7f, 0x80, 0x81, 0x8f, 0x90, 0xbe, 0xbf, 0xc0, 0xff};
    for (uint32_t n = 0; n < 1 << 16; n++) {
        for (size_t i = 0; i < TERN_COUNT_OF(borders) * TERN_COUNT_OF(borders); i++) {
            const uint8_t bytes[] = {(uint8_t)(n >> 8), (uint8_t)n,
                                     borders[i / TERN_COUNT_OF(borders)],
                                     borders[i % TERN_COUNT_OF(borders)]};
            if (tern_utf8_valid(tern_view_of(bytes, 4)) != slow_valid(bytes, 4))
                fail_msg("%04x %02x %02x", n, bytes[2], bytes[3]);
        }
    }
}

static void texts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool valid;
    } cases[] = {
        {"", true},
        {"Hello-\xc2\xb5@\xc3\x9f\xc3\xb6\xc3\xa4\xc3\xbc\xc3\xa0\xc3\xa1-UTF-8!!", true},
        {"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5", true},
        {"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80"
         "edited",
         false},
        {"\xf4\x8f\xbf\xbf", true},
        {"\xf4\x90\x80\x80", false},
        {"\xf0\x90\x80", false},
        {"\xc0\xaf", false},
        {"\xe0\x80\xaf", false},
        {"\xf0\x80\x80\xaf", false},
        {"\xf8\x88\x80\x80\x80", false},
        {"\xfe", false},
        {"cut \xe2\x82", false},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++)
        assert_int_equal(tern_utf8_valid(tern_view_str(cases[i].text)), cases[i].valid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_text_of_three_bytes_is_judged_right),
        cmocka_unit_test(every_border_of_four_bytes_is_judged_right),
        cmocka_unit_test(texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
