#include "wire/multihash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static const uint8_t digest[TERN_MULTIHASH_DIGEST_SIZE_MAX + 1] = {1, 2, 3};

static void multihashes_come_back_as_they_were_written(void **state)
{
    (void)state;
    static const struct tern_multihash hashes[] = {
        {TERN_MULTIHASH_IDENTITY, {NULL, 0}},
        {TERN_MULTIHASH_IDENTITY, {digest, 128}},
        {TERN_MULTIHASH_SHA2_256, {digest, 32}},
        {TERN_MULTIHASH_SHA2_256, {digest, 20}}, /* cut digests are legal */
        {TERN_MULTIHASH_SHA2_512, {digest, 64}},
        {TERN_MULTIHASH_BLAKE2B_256, {digest, 32}},
        {0x1234567, {digest, 100}}, /* a hash we have never heard of */
    };
    for (size_t i = 0; i < TERN_COUNT_OF(hashes); i++) {
        uint8_t bytes[160];
        struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
        tern_multihash_encode(&w, &hashes[i]);
        assert_true(tern_writer_ok(&w));
        assert_int_equal(w.size, tern_multihash_size(&hashes[i]));
        struct tern_multihash back;
        assert_int_equal(tern_multihash_decode(tern_writer_view(&w), &back), TERN_OK);
        assert_true(back.code == hashes[i].code);
        assert_true(tern_view_equal(back.digest, hashes[i].digest));
    }
}

static void the_layout_is_code_length_digest(void **state)
{
    (void)state;
    uint8_t bytes[40];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_multihash_encode(&w, &(struct tern_multihash){TERN_MULTIHASH_BLAKE2B_256, {digest, 3}});
    assert_true(
        tern_view_equal(tern_writer_view(&w), tern_view_of("\xa0\xe4\x02\x03\x01\x02\x03", 7)));
}

struct refused_case {
    const char *what;
    const char *bytes;
    size_t size;
    tern_err err;
};

static void bad_multihashes_are_refused(void **state)
{
    (void)state;
    static const struct refused_case cases[] = {
        {"nothing", "", 0, TERN_ERR_MALFORMED},
        {"a code alone", "\x12", 1, TERN_ERR_MALFORMED},
        {"a digest cut short",
         "\x12\x20"
         "abc",
         5, TERN_ERR_MALFORMED},
        {"bytes behind the digest",
         "\x00\x01"
         "ab",
         4, TERN_ERR_MALFORMED},
        {"a code in a long form",
         "\x92\x00\x01"
         "a",
         4, TERN_ERR_NOT_MINIMAL},
        {"a length in a long form",
         "\x00\x81\x00"
         "a",
         4, TERN_ERR_NOT_MINIMAL},
        {"a digest over the maximum", "\x00\x81\x01", 3, TERN_ERR_TOO_LARGE},
        {"a length of 2^62", "\x00\x80\x80\x80\x80\x80\x80\x80\x80\x40", 10, TERN_ERR_TOO_LARGE},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        struct tern_multihash hash;
        if (tern_multihash_decode(tern_view_of(cases[i].bytes, cases[i].size), &hash) !=
            cases[i].err)
            fail_msg("%s", cases[i].what);
        assert_null(hash.digest.data);
    }
    uint8_t long_sha256[2 + 33] = {TERN_MULTIHASH_SHA2_256, 33};
    struct tern_multihash hash;
    assert_int_equal(tern_multihash_decode(tern_view_of(long_sha256, sizeof long_sha256), &hash),
                     TERN_ERR_MALFORMED);
}

static void reading_one_leaves_what_follows(void **state)
{
    (void)state;
    struct tern_reader r = tern_reader_of(tern_view_of("\x00\x01"
                                                       "abc",
                                                       5));
    struct tern_multihash hash;
    assert_true(tern_multihash_read(&r, &hash));
    assert_int_equal(tern_reader_left(&r), 2);
    r = tern_reader_of(tern_view_of("\x00\x05"
                                    "abc",
                                    5));
    assert_false(tern_multihash_read(&r, &hash));
    assert_int_equal(r.err, TERN_ERR_TRUNCATED);
}

static void names_are_the_tables(void **state)
{
    (void)state;
    assert_string_equal(tern_multihash_name(TERN_MULTIHASH_SHA2_256), "sha2-256");
    assert_string_equal(tern_multihash_name(TERN_MULTIHASH_IDENTITY), "identity");
    assert_null(tern_multihash_name(0x7777));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(multihashes_come_back_as_they_were_written),
        cmocka_unit_test(the_layout_is_code_length_digest),
        cmocka_unit_test(bad_multihashes_are_refused),
        cmocka_unit_test(reading_one_leaves_what_follows),
        cmocka_unit_test(names_are_the_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
