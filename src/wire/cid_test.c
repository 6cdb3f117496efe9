#include "wire/cid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

/* Any 32 bytes serve as a digest here. */
#define DIGEST_TEXT "0123456789abcdefghijklmnopqrstuv"

static const char v0_bytes[] = "\x12\x20" DIGEST_TEXT;
static const char v1_raw_bytes[] = "\x01\x55\x12\x20" DIGEST_TEXT;
static const char v1_v0_inside[] = "\x12\x20" DIGEST_TEXT;

static struct tern_view literal(const char *bytes, size_t size_with_zero)
{
    return tern_view_of(bytes, size_with_zero - 1);
}

static void versions_are_told_apart_and_come_back(void **state)
{
    (void)state;
    const struct tern_view inputs[] = {literal(v0_bytes, sizeof v0_bytes),
                                       literal(v1_raw_bytes, sizeof v1_raw_bytes),
                                       tern_view_of("\x01\x72\x00\x03"
                                                    "abc",
                                                    7),
                                       tern_view_of("\x01\xa9\x02\x00\x00", 5)};
    const uint8_t versions[] = {0, 1, 1, 1};
    const uint64_t codecs[] = {TERN_CID_DAG_PB, TERN_CID_RAW, TERN_CID_LIBP2P_KEY,
                               TERN_CID_DAG_JSON};
    for (size_t i = 0; i < TERN_COUNT_OF(inputs); i++) {
        struct tern_cid cid;
        assert_int_equal(tern_cid_decode(inputs[i], &cid), TERN_OK);
        assert_int_equal(cid.version, versions[i]);
        assert_true(cid.codec == codecs[i]);
        uint8_t bytes[TERN_CID_SIZE_MAX];
        struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
        tern_cid_encode(&w, &cid);
        assert_true(tern_view_equal(tern_writer_view(&w), inputs[i]));
    }
}

static void texts_come_back_in_their_base(void **state)
{
    (void)state;
    static const enum tern_base bases[] = {TERN_BASE32,     TERN_BASE36, TERN_BASE58_BTC,
                                           TERN_BASE64_URL, TERN_BASE16, TERN_BASE2};
    struct tern_cid cid;
    assert_int_equal(tern_cid_decode(literal(v1_raw_bytes, sizeof v1_raw_bytes), &cid), TERN_OK);
    for (size_t i = 0; i < TERN_COUNT_OF(bases); i++) {
        uint8_t text[TERN_CID_TEXT_SIZE_MAX];
        struct tern_writer w = tern_writer_of(text, sizeof text);
        assert_int_equal(tern_cid_format(&cid, bases[i], &w), TERN_OK);
        uint8_t bytes[TERN_CID_SIZE_MAX];
        struct tern_cid back;
        enum tern_base base;
        assert_int_equal(tern_cid_parse(tern_writer_view(&w),
                                        (struct tern_span){bytes, sizeof bytes}, &back, &base),
                         TERN_OK);
        assert_int_equal(base, bases[i]);
        assert_true(back.codec == cid.codec);
        assert_true(tern_view_equal(back.hash.digest, cid.hash.digest));
    }
}

static void version_0_is_base58_without_a_prefix(void **state)
{
    (void)state;
    struct tern_cid cid;
    assert_int_equal(tern_cid_decode(literal(v0_bytes, sizeof v0_bytes), &cid), TERN_OK);
    char text[64];
    struct tern_writer w = tern_writer_of(text, sizeof text);
    assert_int_equal(tern_cid_format(&cid, TERN_BASE32, &w), TERN_OK);
    assert_true(tern_writer_terminate(&w));
    assert_int_equal(w.size, 46);
    assert_memory_equal(text, "Qm", 2);
    uint8_t bytes[TERN_CID_SIZE_MAX];
    struct tern_cid back;
    assert_int_equal(
        tern_cid_parse(tern_writer_view(&w), (struct tern_span){bytes, sizeof bytes}, &back, NULL),
        TERN_OK);
    assert_int_equal(back.version, 0);
}

struct bytes_case {
    const char *what;
    const char *bytes;
    size_t size;
    tern_err err;
};

static void bad_bytes_are_refused(void **state)
{
    (void)state;
    static const struct bytes_case cases[] = {
        {"nothing", "", 0, TERN_ERR_MALFORMED},
        {"version 0 with another digest size",
         "\x12\x03"
         "abc",
         5, TERN_ERR_MALFORMED},
        {"version 0 as a number", "\x00\x55\x00\x00", 4, TERN_ERR_MALFORMED},
        {"version 2", "\x02\x55\x00\x00", 4, TERN_ERR_UNSUPPORTED},
        {"no codec", "\x01", 1, TERN_ERR_MALFORMED},
        {"no multihash", "\x01\x55", 2, TERN_ERR_MALFORMED},
        {"a codec in a long form", "\x01\xd5\x00\x00\x00", 5, TERN_ERR_NOT_MINIMAL},
        {"a version in a long form", "\x81\x00\x55\x00\x00", 5, TERN_ERR_NOT_MINIMAL},
        {"a version cut short", "\x81", 1, TERN_ERR_MALFORMED},
        {"bytes behind it", "\x01\x55\x00\x00z", 5, TERN_ERR_MALFORMED},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        struct tern_cid cid;
        if (tern_cid_decode(tern_view_of(cases[i].bytes, cases[i].size), &cid) != cases[i].err)
            fail_msg("%s", cases[i].what);
    }
    static uint8_t large[TERN_CID_SIZE_MAX + 1] = {1};
    struct tern_cid cid;
    assert_int_equal(tern_cid_decode(tern_view_of(large, sizeof large), &cid), TERN_ERR_TOO_LARGE);
}

static void bad_texts_are_refused(void **state)
{
    (void)state;
    uint8_t bytes[TERN_CID_SIZE_MAX];
    struct tern_span span = {bytes, sizeof bytes};
    struct tern_cid cid;
    assert_int_equal(tern_cid_parse(tern_view_str(""), span, &cid, NULL), TERN_ERR_MALFORMED);
    assert_int_equal(tern_cid_parse(tern_view_str("?abc"), span, &cid, NULL), TERN_ERR_UNSUPPORTED);
    assert_int_equal(tern_cid_parse(tern_view_str("bafk"), span, &cid, NULL), TERN_ERR_MALFORMED);
    /* "Qm" and 44 more, but not a sha2-256 multihash */
    assert_int_equal(tern_cid_parse(tern_view_str("Qmzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"),
                                    span, &cid, NULL),
                     TERN_ERR_MALFORMED);
    /* version 0 has no multibase form */
    char text[128];
    struct tern_writer w = tern_writer_of(text, sizeof text);
    assert_int_equal(
        tern_multibase_encode(TERN_BASE32, literal(v1_v0_inside, sizeof v1_v0_inside), &w),
        TERN_OK);
    assert_int_equal(tern_cid_parse(tern_writer_view(&w), span, &cid, NULL), TERN_ERR_MALFORMED);
    static char long_text[TERN_CID_TEXT_SIZE_MAX + 1];
    memset(long_text, '0', sizeof long_text);
    assert_int_equal(tern_cid_parse(tern_view_of(long_text, sizeof long_text), span, &cid, NULL),
                     TERN_ERR_TOO_LARGE);
    /* too little room for the bytes */
    span.size = 3;
    assert_int_equal(tern_cid_parse(tern_view_str("f01550000"), span, &cid, NULL),
                     TERN_ERR_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_are_told_apart_and_come_back),
        cmocka_unit_test(texts_come_back_in_their_base),
        cmocka_unit_test(version_0_is_base58_without_a_prefix),
        cmocka_unit_test(bad_bytes_are_refused),
        cmocka_unit_test(bad_texts_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
