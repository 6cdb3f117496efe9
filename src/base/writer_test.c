#include "base/writer.h"

#include "base/reader.h"
#include "tern_test.h"

static void numbers_are_written_in_both_orders(void **state)
{
    (void)state;
    static const uint8_t expected[] = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09,
                                       0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x04, 0x03, 0x02,
                                       0x01, 0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01};
    uint8_t buffer[sizeof(expected)];
    struct tern_writer w = tern_writer_of(buffer, sizeof(buffer));
    tern_writer_u8(&w, 0x01);
    tern_writer_u16be(&w, 0x0203);
    tern_writer_u32be(&w, 0x04050607);
    tern_writer_u64be(&w, UINT64_C(0x08090a0b0c0d0e0f));
    tern_writer_u32le(&w, 0x01020304);
    tern_writer_u64le(&w, UINT64_C(0x0102030405060708));
    assert_true(tern_writer_ok(&w));
    assert_int_equal(tern_writer_left(&w), 0);
    assert_true(tern_view_equal(tern_writer_view(&w), tern_view_of(expected, sizeof(expected))));
}

static void decimals_and_hexadecimals_are_text(void **state)
{
    (void)state;
    char buffer[64];
    struct tern_writer w = tern_writer_of(buffer, sizeof(buffer));
    tern_writer_decimal(&w, 0);
    tern_writer_str(&w, " ");
    tern_writer_decimal(&w, 1234567890);
    tern_writer_str(&w, " ");
    tern_writer_decimal(&w, UINT64_MAX);
    tern_writer_str(&w, " ");
    tern_writer_hex(&w, tern_view_of("\x00\x9f\xff", 3));
    assert_true(tern_writer_terminate(&w));
    assert_string_equal(buffer, "0 1234567890 18446744073709551615 009fff");
}

static void overflow_sticks_and_writes_nothing_in_part(void **state)
{
    (void)state;
    uint8_t buffer[8] = "........";
    struct tern_writer w = tern_writer_of(buffer, 6);
    tern_writer_u32be(&w, 0);
    tern_writer_u32be(&w, UINT32_MAX);
    assert_false(tern_writer_ok(&w));
    assert_int_equal(w.size, 4);
    tern_writer_u8(&w, 1); /* would fit */
    tern_writer_u16be(&w, 1);
    tern_writer_u32le(&w, 1);
    tern_writer_u64le(&w, 1);
    tern_writer_u64be(&w, 1);
    tern_writer_uvarint(&w, 1);
    tern_writer_hex(&w, tern_view_of(buffer, 1));
    tern_writer_bytes(&w, tern_view_of(NULL, 0));
    assert_null(tern_writer_reserve(&w, 1));
    assert_int_equal(w.size, 4);
    assert_memory_equal(buffer + 4, "....", 4);
}

static void hexadecimals_too_long_to_count_overflow(void **state)
{
    (void)state;
    uint8_t buffer[8];
    struct tern_writer w = tern_writer_of(buffer, sizeof(buffer));
    tern_writer_hex(&w, tern_view_of(buffer, SIZE_MAX / 2 + 1));
    assert_false(tern_writer_ok(&w));
    assert_int_equal(w.size, 0);
}

static void reserved_room_is_filled_in_later(void **state)
{
    (void)state;
    uint8_t buffer[8];
    struct tern_writer w = tern_writer_of(buffer, sizeof(buffer));
    uint8_t *length = tern_writer_reserve(&w, 1);
    tern_writer_str(&w, "abc");
    *length = 3;
    assert_true(tern_view_equal(tern_writer_view(&w), tern_view_of("\x03"
                                                                   "abc",
                                                                   4)));
}

static void text_that_does_not_fit_is_cut_and_says_so(void **state)
{
    (void)state;
    char buffer[5] = "zzzzz";
    struct tern_writer w = tern_writer_of(buffer, 4);
    tern_writer_str(&w, "abc");
    assert_true(tern_writer_terminate(&w));
    assert_string_equal(buffer, "abc");
    tern_writer_str(&w, "d");
    assert_false(tern_writer_terminate(&w));
    assert_string_equal(buffer, "abc");
    assert_false(tern_writer_ok(&w));
    assert_int_equal(buffer[4], 'z');
    w = tern_writer_of(NULL, 0);
    assert_false(tern_writer_terminate(&w));
}

static void varints_have_the_size_they_are_said_to_have(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits <= 64; bits++) {
        uint64_t value = bits == 0 ? 0 : UINT64_MAX >> (64 - bits);
        uint8_t buffer[10];
        struct tern_writer w = tern_writer_of(buffer, sizeof(buffer));
        tern_writer_uvarint(&w, value);
        assert_true(tern_writer_ok(&w));
        assert_int_equal(w.size, tern_uvarint_size(value));
        assert_int_equal(w.size, bits == 0 ? 1 : (bits + 6) / 7);
        struct tern_reader r = tern_reader_of(tern_writer_view(&w));
        uint64_t got = 0;
        assert_int_equal(tern_reader_uvarint(&r, &got), bits <= 63);
        if (bits <= 63)
            assert_true(got == value && tern_reader_end(&r) == TERN_OK);
    }
    uint8_t small[1];
    struct tern_writer w = tern_writer_of(small, sizeof(small));
    tern_writer_uvarint(&w, 128);
    assert_false(tern_writer_ok(&w));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_written_in_both_orders),
        cmocka_unit_test(decimals_and_hexadecimals_are_text),
        cmocka_unit_test(overflow_sticks_and_writes_nothing_in_part),
        cmocka_unit_test(hexadecimals_too_long_to_count_overflow),
        cmocka_unit_test(reserved_room_is_filled_in_later),
        cmocka_unit_test(text_that_does_not_fit_is_cut_and_says_so),
        cmocka_unit_test(varints_have_the_size_they_are_said_to_have),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
