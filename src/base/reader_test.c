#include "base/reader.h"

#include "tern_test.h"

static const uint8_t counted[] = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,
                                  0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x10};

static void numbers_are_read_in_both_orders(void **state)
{
    (void)state;
    struct tern_reader r = tern_reader_of(tern_view_of(counted, 15));
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    assert_true(tern_reader_u8(&r, &u8) && u8 == 0x01);
    assert_true(tern_reader_u16be(&r, &u16) && u16 == 0x0203);
    assert_true(tern_reader_u32be(&r, &u32) && u32 == 0x04050607);
    assert_true(tern_reader_u64be(&r, &u64) && u64 == UINT64_C(0x08090a0b0c0d0e0f));
    assert_int_equal(tern_reader_end(&r), TERN_OK);
    r = tern_reader_of(tern_view_of(counted, 12));
    assert_true(tern_reader_u32le(&r, &u32) && u32 == 0x04030201);
    assert_true(tern_reader_u64le(&r, &u64) && u64 == UINT64_C(0x0c0b0a0908070605));
    assert_int_equal(tern_reader_end(&r), TERN_OK);
}

static void bytes_are_viewed_copied_and_skipped(void **state)
{
    (void)state;
    struct tern_reader r = tern_reader_of(tern_view_of(counted, sizeof(counted)));
    struct tern_view view;
    uint8_t copy[3];
    assert_true(tern_reader_bytes(&r, 4, &view));
    assert_ptr_equal(view.data, counted);
    assert_int_equal(view.size, 4);
    assert_true(tern_reader_copy(&r, copy, 3));
    assert_memory_equal(copy, counted + 4, 3);
    assert_true(tern_reader_skip(&r, 8));
    assert_int_equal(tern_reader_left(&r), 1);
    assert_ptr_equal(tern_reader_rest(&r).data, counted + 15);
    assert_int_equal(tern_reader_rest(&r).size, 1);
    assert_int_equal(tern_reader_end(&r), TERN_ERR_MALFORMED);
}

static void too_few_bytes_give_zeros_and_an_error_that_sticks(void **state)
{
    (void)state;
    struct tern_reader r = tern_reader_of(tern_view_of(counted, 3));
    uint8_t u8 = 1;
    uint16_t u16 = 1;
    uint32_t u32 = 1;
    uint64_t u64 = 1;
    uint8_t copy[3] = {1, 1, 1};
    struct tern_view view = tern_view_of(counted, 1);
    assert_false(tern_reader_u32be(&r, &u32));
    assert_int_equal(u32, 0);
    assert_int_equal(r.err, TERN_ERR_TRUNCATED);
    /* There would be enough for these, but the failure sticks. */
    assert_false(tern_reader_u8(&r, &u8));
    assert_false(tern_reader_u16be(&r, &u16));
    assert_false(tern_reader_copy(&r, copy, 3));
    assert_false(tern_reader_bytes(&r, 1, &view));
    assert_false(tern_reader_bytes(&r, 0, &view));
    assert_false(tern_reader_skip(&r, 1));
    assert_false(tern_reader_skip(&r, 0));
    assert_false(tern_reader_copy(&r, copy, 0));
    assert_false(tern_reader_uvarint(&r, &u64));
    assert_true(u8 == 0 && u16 == 0 && u64 == 0 && view.size == 0 && view.data == NULL);
    assert_true(copy[0] == 0 && copy[1] == 0 && copy[2] == 0);
    u32 = 1;
    u64 = 1;
    assert_false(tern_reader_u32le(&r, &u32) || tern_reader_u64le(&r, &u64));
    assert_true(u32 == 0 && u64 == 0);
    u64 = 1;
    assert_false(tern_reader_u64be(&r, &u64));
    assert_true(u64 == 0);
    assert_false(tern_reader_fail(&r, TERN_ERR_PROTOCOL));
    assert_int_equal(tern_reader_end(&r), TERN_ERR_TRUNCATED);
}

static void sizes_near_the_top_do_not_wrap(void **state)
{
    (void)state;
    struct tern_reader r = tern_reader_of(tern_view_of(counted, 4));
    struct tern_view view;
    assert_true(tern_reader_skip(&r, 2));
    assert_false(tern_reader_bytes(&r, SIZE_MAX, &view));
    r = tern_reader_of(tern_view_of(counted, 4));
    assert_true(tern_reader_skip(&r, 2));
    assert_false(tern_reader_skip(&r, SIZE_MAX - 1));
}

static void an_empty_reader_is_at_its_end(void **state)
{
    (void)state;
    struct tern_reader r = tern_reader_of(tern_view_of(NULL, 0));
    struct tern_view view;
    assert_true(tern_reader_bytes(&r, 0, &view));
    assert_true(tern_reader_skip(&r, 0));
    assert_int_equal(tern_reader_rest(&r).size, 0);
    assert_int_equal(tern_reader_end(&r), TERN_OK);
    uint8_t u8;
    assert_false(tern_reader_u8(&r, &u8));
    assert_int_equal(tern_reader_end(&r), TERN_ERR_TRUNCATED);
}

static void varints_follow_the_unsigned_varint_specification(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        tern_err err;
        uint64_t value;
    } cases[] = {
        {"\x00", 1, TERN_OK, 0},
        {"\x01", 1, TERN_OK, 1},
        {"\x7f", 1, TERN_OK, 127},
        {"\x80\x01", 2, TERN_OK, 128},
        {"\xff\x01", 2, TERN_OK, 255},
        {"\xac\x02", 2, TERN_OK, 300},
        {"\x80\x80\x01", 3, TERN_OK, 16384},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 9, TERN_OK, UINT64_MAX >> 1},
        {"", 0, TERN_ERR_TRUNCATED, 0},
        {"\x80", 1, TERN_ERR_TRUNCATED, 0},
        {"\xff\xff\xff\xff\xff\xff\xff\xff", 8, TERN_ERR_TRUNCATED, 0},
        {"\x80\x00", 2, TERN_ERR_NOT_MINIMAL, 0},
        {"\x81\x80\x00", 3, TERN_ERR_NOT_MINIMAL, 0},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\x00", 9, TERN_ERR_NOT_MINIMAL, 0},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff", 9, TERN_ERR_MALFORMED, 0},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10, TERN_ERR_MALFORMED, 0},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        struct tern_reader r = tern_reader_of(tern_view_of(cases[i].bytes, cases[i].size));
        uint64_t value = 99;
        assert_int_equal(tern_reader_uvarint(&r, &value), cases[i].err == TERN_OK);
        assert_int_equal(tern_reader_end(&r), cases[i].err);
        assert_true(value == cases[i].value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_read_in_both_orders),
        cmocka_unit_test(bytes_are_viewed_copied_and_skipped),
        cmocka_unit_test(too_few_bytes_give_zeros_and_an_error_that_sticks),
        cmocka_unit_test(sizes_near_the_top_do_not_wrap),
        cmocka_unit_test(an_empty_reader_is_at_its_end),
        cmocka_unit_test(varints_follow_the_unsigned_varint_specification),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
