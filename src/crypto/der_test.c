#include "crypto/der.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void elements_of_any_size_come_back(void **state)
{
    (void)state;
    static const uint8_t contents[70000] = {1};
    static uint8_t bytes[70010];
    static const size_t sizes[] = {0, 1, 127, 128, 255, 256, 65535, 65536, 70000};
    static const size_t overheads[] = {2, 2, 2, 3, 3, 4, 4, 5, 5};
    for (size_t i = 0; i < TERN_COUNT_OF(sizes); i++) {
        struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
        tern_der_write_header(&w, TERN_DER_OCTET_STRING, sizes[i]);
        tern_writer_bytes(&w, tern_view_of(contents, sizes[i]));
        assert_true(tern_writer_ok(&w));
        assert_int_equal(w.size, sizes[i] + overheads[i]);
        assert_int_equal(w.size, tern_der_size(sizes[i]));
        struct tern_reader r = tern_reader_of(tern_writer_view(&w));
        struct tern_view back;
        assert_true(tern_der_read(&r, TERN_DER_OCTET_STRING, &back));
        assert_int_equal(back.size, sizes[i]);
        assert_int_equal(tern_reader_end(&r), TERN_OK);
    }
}

struct bad_case {
    const char *what;
    const char *bytes;
    size_t size;
    tern_err err;
};

static void bad_elements_are_refused(void **state)
{
    (void)state;
    static const struct bad_case cases[] = {
        {"nothing", "", 0, TERN_ERR_TRUNCATED},
        {"another tag", "\x05\x00", 2, TERN_ERR_MALFORMED},
        {"no length", "\x04", 1, TERN_ERR_TRUNCATED},
        {"contents cut short",
         "\x04\x02"
         "a",
         3, TERN_ERR_TRUNCATED},
        {"indefinite length",
         "\x04\x80"
         "a\0\0",
         5, TERN_ERR_MALFORMED},
        {"long length that would fit the short form",
         "\x04\x81\x01"
         "a",
         4, TERN_ERR_MALFORMED},
        {"length with a leading zero", "\x04\x82\x00\x80", 4, TERN_ERR_MALFORMED},
        {"length of five bytes", "\x04\x85\x01\x00\x00\x00\x00", 7, TERN_ERR_MALFORMED},
        {"length cut short", "\x04\x82\x01", 3, TERN_ERR_TRUNCATED},
        {"length far beyond the end", "\x04\x84\xff\xff\xff\xff", 6, TERN_ERR_TRUNCATED},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        struct tern_reader r = tern_reader_of(tern_view_of(cases[i].bytes, cases[i].size));
        struct tern_view contents;
        if (tern_der_read(&r, TERN_DER_OCTET_STRING, &contents) || r.err != cases[i].err)
            fail_msg("%s", cases[i].what);
        assert_int_equal(contents.size, 0);
    }
}

static void numbers_come_back_without_their_sign_byte(void **state)
{
    (void)state;
    static const struct tern_view numbers[] = {
        {NULL, 0},
        {(const uint8_t *)"\x01", 1},
        {(const uint8_t *)"\x7f", 1},
        {(const uint8_t *)"\x80", 1},
        {(const uint8_t *)"\xff\x00", 2},
    };
    static const size_t sizes[] = {3, 3, 3, 4, 5};
    for (size_t i = 0; i < TERN_COUNT_OF(numbers); i++) {
        uint8_t bytes[8];
        struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
        tern_der_write_unsigned(&w, numbers[i]);
        assert_int_equal(w.size, sizes[i]);
        assert_int_equal(w.size, tern_der_unsigned_size(numbers[i]));
        struct tern_reader r = tern_reader_of(tern_writer_view(&w));
        struct tern_view back;
        assert_true(tern_der_read_unsigned(&r, &back));
        assert_true(tern_view_equal(back, numbers[i]));
    }
}

static void bad_numbers_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"\x02\x01\x80", "\x02\x02\x00\x7f", "\x02\x02\xff\x80"};
    for (size_t i = 0; i < TERN_COUNT_OF(bad); i++) {
        struct tern_reader r = tern_reader_of(tern_view_of(bad[i], i == 0 ? 3 : 4));
        struct tern_view magnitude;
        assert_false(tern_der_read_unsigned(&r, &magnitude));
        assert_int_equal(r.err, TERN_ERR_MALFORMED);
    }
    struct tern_reader r = tern_reader_of(tern_view_of("\x02\x00", 2));
    struct tern_view magnitude;
    assert_false(tern_der_read_unsigned(&r, &magnitude));
}

static void whole_elements_are_viewed_with_their_headers(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {0x30, 0x03, 0x02, 0x01, 0x05, 0x01, 0x01, 0xff};
    struct tern_reader r = tern_reader_of(tern_view_of(bytes, sizeof bytes));
    struct tern_view element;
    assert_true(tern_der_is(&r, TERN_DER_SEQUENCE));
    assert_false(tern_der_is(&r, TERN_DER_BOOLEAN));
    assert_true(tern_der_read_element(&r, TERN_DER_SEQUENCE, &element));
    assert_ptr_equal(element.data, bytes);
    assert_int_equal(element.size, 5);
    assert_true(tern_der_is(&r, TERN_DER_BOOLEAN));
    assert_false(tern_der_read_element(&r, TERN_DER_SEQUENCE, &element));
    assert_int_equal(element.size, 0);
    assert_int_equal(r.err, TERN_ERR_MALFORMED);
    assert_false(tern_der_is(&r, TERN_DER_BOOLEAN)); /* a failure sticks */
    r = tern_reader_of(tern_view_of(bytes, 0));
    assert_false(tern_der_is(&r, TERN_DER_SEQUENCE));
}

static void bit_strings_are_whole_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        size_t bits; /* SIZE_MAX: refused */
    } cases[] = {
        {"\x03\x01\x00", 3, 0},
        {"\x03\x03\x00\xab\xcd", 5, 2},
        {"\x03\x00", 2, SIZE_MAX},
        {"\x03\x02\x01\xfe", 4, SIZE_MAX},
        {"\x04\x02\x00\xfe", 4, SIZE_MAX},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        struct tern_reader r = tern_reader_of(tern_view_of(cases[i].bytes, cases[i].size));
        struct tern_view bits;
        bool good = tern_der_read_bits(&r, &bits);
        assert_int_equal(good, cases[i].bits != SIZE_MAX);
        assert_int_equal(bits.size, good ? cases[i].bits : 0);
        assert_int_equal(r.err, good ? TERN_OK : TERN_ERR_MALFORMED);
    }
}

static void numbers_of_names_are_whole_and_minimal(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        bool good;
    } cases[] = {
        {"\x06\x01\x2a", 3, true},          {"\x06\x03\x2a\x81\x00", 5, true},
        {"\x06\x03\x2a\x81\x80", 5, false}, {"\x06\x03\x2a\x80\x01", 5, false},
        {"\x06\x01\x80", 3, false},         {"\x06\x00", 2, false},
        {"\x05\x01\x2a", 3, false},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        struct tern_reader r = tern_reader_of(tern_view_of(cases[i].bytes, cases[i].size));
        struct tern_view oid;
        assert_int_equal(tern_der_read_oid(&r, &oid), cases[i].good);
        assert_int_equal(oid.size, cases[i].good ? cases[i].size - 2 : 0);
    }
}

static void a_written_element_is_read_again(void **state)
{
    (void)state;
    uint8_t bytes[16];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_der_write(&w, TERN_DER_UTF8_STRING, tern_view_str("tern"));
    assert_int_equal(w.size, tern_der_size(4));
    struct tern_reader r = tern_reader_of(tern_writer_view(&w));
    struct tern_view contents;
    assert_true(tern_der_read(&r, TERN_DER_UTF8_STRING, &contents));
    assert_true(tern_view_equal(contents, tern_view_str("tern")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_of_any_size_come_back),
        cmocka_unit_test(bad_elements_are_refused),
        cmocka_unit_test(numbers_come_back_without_their_sign_byte),
        cmocka_unit_test(bad_numbers_are_refused),
        cmocka_unit_test(whole_elements_are_viewed_with_their_headers),
        cmocka_unit_test(bit_strings_are_whole_bytes),
        cmocka_unit_test(numbers_of_names_are_whole_and_minimal),
        cmocka_unit_test(a_written_element_is_read_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
