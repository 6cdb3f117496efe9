#include "webtransport/http3.h"

#include "tern_test.h"

static void heads_come_byte_by_byte(void **state)
{
    static const struct {
        uint8_t bytes[WEB_HEAD_SIZE_MAX];
        size_t size;
        bool pair;
        uint64_t numbers[2];
    } rows[] = {
        {{0x00}, 1, false, {0, 0}},
        {{0x40, 0x54}, 2, false, {0x54, 0}},
        {{0x01, 0x05}, 2, true, {1, 5}},
        {{0x40, 0x41, 0x00}, 3, true, {0x41, 0}},
        {{0x80, 0x00, 0x00, 0x41, 0x40, 0x04}, 6, true, {0x41, 4}}, /* not the shortest form */
        {{0xc0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
         16,
         true,
         {1, (UINT64_C(1) << 62) - 1}},
    };
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++) {
        struct web_head head = {.size = 0};
        uint64_t numbers[2];
        for (size_t j = 0; j + 1 < rows[i].size; j++)
            assert_false(web_head_push(&head, rows[i].bytes[j], rows[i].pair, numbers));
        assert_true(web_head_push(&head, rows[i].bytes[rows[i].size - 1], rows[i].pair, numbers));
        assert_int_equal(numbers[0], rows[i].numbers[0]);
        assert_int_equal(numbers[1], rows[i].numbers[1]);
        assert_int_equal(head.size, 0);
    }
}

static void numbers_go_both_ways(void **state)
{
    static const uint64_t numbers[] = {
        0, 63, 64, 16383, 16384, 1073741823, 1 << 30, 4294967296, UINT64_C(1) << 61};
    static const size_t sizes[] = {1, 1, 2, 2, 4, 4, 8, 8, 8};
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(numbers); i++) {
        uint8_t bytes[8];
        uint64_t value;
        struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
        tern_quic_number_write(&w, numbers[i]);
        assert_int_equal(w.size, sizes[i]);
        struct tern_reader r = tern_reader_of(tern_writer_view(&w));
        assert_true(tern_quic_number_read(&r, &value));
        assert_int_equal(value, numbers[i]);
        r = tern_reader_of(tern_view_of(bytes, w.size - 1));
        assert_false(tern_quic_number_read(&r, &value));
    }
}

static void our_settings_are_such_as_we_want(void **state)
{
    uint8_t bytes[256];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    struct web_settings settings;
    (void)state;
    web_settings_write(&w);
    assert_int_equal(bytes[0], WEB_FRAME_SETTINGS);
    size_t head = bytes[1] < 0x40 ? 2 : 3;
    assert_int_equal(web_settings_parse(tern_view_of(bytes + head, w.size - head), &settings),
                     TERN_FAULT_NONE);
    assert_true(settings.connect && settings.webtransport);
}

static void settings_of_any_draft(void **state)
{
    static const char *const drafts[] = {"\xab\x60\x37\x42\x01",
                                         "\xc0\x00\x00\x00\xc6\x71\x70\x6a\x40\xff",
                                         "\x94\xe9\xcd\x29\x01", "\xac\x7c\xf0\x00\x3f"};
    static const size_t sizes[] = {5, 10, 5, 5};
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(drafts); i++) {
        struct web_settings settings;
        assert_int_equal(web_settings_parse(tern_view_of(drafts[i], sizes[i]), &settings),
                         TERN_FAULT_NONE);
        assert_true(settings.webtransport);
        assert_false(settings.connect);
    }
}

static void too_many_settings(void **state)
{
    uint8_t bytes[4 * (WEB_SETTINGS_ENTRIES_MAX + 1)];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    struct web_settings settings;
    (void)state;
    for (unsigned i = 0; i <= WEB_SETTINGS_ENTRIES_MAX; i++) {
        tern_quic_number_write(&w, 1000 + i);
        tern_quic_number_write(&w, 0);
    }
    assert_int_equal(web_settings_parse(tern_writer_view(&w), &settings),
                     TERN_FAULT_WEBTRANSPORT_SETTINGS);
    assert_int_equal(web_settings_parse(tern_view_of(bytes, w.size - 3), &settings),
                     TERN_FAULT_NONE);
}

static void capsules_may_be_cut_anywhere(void **state)
{
    static const uint8_t bytes[] = {0x29, 0x02, 'a',  'b',  0x78, 0xae, 0x00, 0x68, 0x43,
                                    0x07, 0x12, 0x34, 0x56, 0x78, 'b',  'y',  'e'};
    (void)state;
    for (size_t cut = 1; cut < sizeof bytes; cut++) {
        struct web_capsules capsules = {.within = false};
        uint32_t code = 0;
        uint64_t skipped = 0;
        assert_int_equal(web_capsules_feed(&capsules, tern_view_of(bytes, cut), &code, &skipped),
                         WEB_CAPSULES_MORE);
        assert_int_equal(web_capsules_feed(&capsules, tern_view_of(bytes + cut, sizeof bytes - cut),
                                           &code, &skipped),
                         WEB_CAPSULES_CLOSED);
        assert_int_equal(code, 0x12345678);
        assert_true(skipped >= 2);
    }
}

static void our_capsule_is_understood(void **state)
{
    uint8_t bytes[32];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    struct web_capsules capsules = {.within = false};
    uint32_t code = 0;
    uint64_t skipped = 0;
    (void)state;
    web_capsule_close_write(&w, 0xfedcba98);
    assert_int_equal(bytes[0], WEB_FRAME_DATA);
    assert_int_equal(bytes[1], w.size - 2);
    assert_int_equal(
        web_capsules_feed(&capsules, tern_view_of(bytes + 2, w.size - 2), &code, &skipped),
        WEB_CAPSULES_CLOSED);
    assert_int_equal(code, 0xfedcba98);
}

static void codes_go_both_ways(void **state)
{
    static const struct {
        uint32_t code;
        uint64_t wire;
    } rows[] = {
        {0, 0x52e4a40fa8db},    {1, 0x52e4a40fa8dc},          {0x1d, 0x52e4a40fa8f8},
        {0x1e, 0x52e4a40fa8fa}, {0xffffffff, 0x52e5ac983162},
    };
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++) {
        assert_int_equal(web_code_out(rows[i].code), rows[i].wire);
        assert_int_equal(web_code_in(rows[i].wire), rows[i].code);
    }
    for (uint32_t code = 0; code < 10000; code += 7)
        assert_int_equal(web_code_in(web_code_out(code)), code);
    assert_int_equal(web_code_in(WEB_NO_ERROR), 0);
    assert_int_equal(web_code_in(WEB_SESSION_GONE), 0);
    assert_int_equal(web_code_in(0x1002), 0x1002);
    assert_int_equal(web_code_in(0x52e4a40fa8f9), UINT32_MAX); /* one that is left out */
    assert_int_equal(web_code_in(0x52e4a40fa8da), UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_come_byte_by_byte),
        cmocka_unit_test(numbers_go_both_ways),
        cmocka_unit_test(our_settings_are_such_as_we_want),
        cmocka_unit_test(settings_of_any_draft),
        cmocka_unit_test(too_many_settings),
        cmocka_unit_test(capsules_may_be_cut_anywhere),
        cmocka_unit_test(our_capsule_is_understood),
        cmocka_unit_test(codes_go_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
