#include "wire/multibase.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include "base/random.h"

#include <cmocka.h>

enum { TEXT_MAX = 4096 };

/* One row a value; texts in the order of multibase.def, made by an independent program. */
struct vector {
    const char *bytes;
    size_t size;
    const char *texts[22];
};

static const enum tern_base vector_bases[22] = {
    TERN_BASE2,
    TERN_BASE8,
    TERN_BASE10,
    TERN_BASE16,
    TERN_BASE16_UPPER,
    TERN_BASE32,
    TERN_BASE32_UPPER,
    TERN_BASE32_PAD,
    TERN_BASE32_PAD_UPPER,
    TERN_BASE32_HEX,
    TERN_BASE32_HEX_UPPER,
    TERN_BASE32_HEX_PAD,
    TERN_BASE32_HEX_PAD_UPPER,
    TERN_BASE32_Z,
    TERN_BASE36,
    TERN_BASE36_UPPER,
    TERN_BASE58_BTC,
    TERN_BASE58_FLICKR,
    TERN_BASE64,
    TERN_BASE64_PAD,
    TERN_BASE64_URL,
    TERN_BASE64_URL_PAD,
};

static const struct vector vectors[] = {
    {"", 0, {"0", "7", "9", "f", "F", "b", "B", "c", "C", "v", "V",
             "t", "T", "h", "k", "K", "z", "Z", "m", "M", "u", "U"}},
    {"\x00", 1, {"000000000", "7000", "90",  "f00",       "F00",       "baa",  "BAA", "caa======",
                 "CAA======", "v00",  "V00", "t00======", "T00======", "hyy",  "k0",  "K0",
                 "z1",        "Z1",   "mAA", "MAA==",     "uAA",       "UAA=="}},
    {"\x00\x00tern",
     6,
     {"0000000000000000001110100011001010111001001101110",
      "70000016431271156",
      "9001952805486",
      "f00007465726e",
      "F00007465726E",
      "baaahizlsny",
      "BAAAHIZLSNY",
      "caaahizlsny======",
      "CAAAHIZLSNY======",
      "v00078pbido",
      "V00078PBIDO",
      "t00078pbido======",
      "T00078PBIDO======",
      "hyyy8e3m1pa",
      "k00wanecu",
      "K00WANECU",
      "z113yZe37",
      "Z113YyD37",
      "mAAB0ZXJu",
      "MAAB0ZXJu",
      "uAAB0ZXJu",
      "UAAB0ZXJu"}},
    {"common tern!",
     12,
     {"0011000110110111101101101011011010110111101101110001000000111010001100101011100100110111000"
      "100001",
      "730667555332675561007214534467041",
      "930773723494961513337753595425",
      "f636f6d6d6f6e207465726e21",
      "F636F6D6D6F6E207465726E21",
      "bmnxw23lpnyqhizlsnyqq",
      "BMNXW23LPNYQHIZLSNYQQ",
      "cmnxw23lpnyqhizlsnyqq====",
      "CMNXW23LPNYQHIZLSNYQQ====",
      "vcdnmqrbfdog78pbidogg",
      "VCDNMQRBFDOG78PBIDOGG",
      "tcdnmqrbfdog78pbidogg====",
      "TCDNMQRBFDOG78PBIDOGG====",
      "hcpzs45mxpao8e3m1paoo",
      "k2zep230hd9tapoj5ogx",
      "K2ZEP230HD9TAPOJ5OGX",
      "z2sqJpxU8XtyXBf688",
      "Z2SQiPXt8wTYwbE688",
      "mY29tbW9uIHRlcm4h",
      "MY29tbW9uIHRlcm4h",
      "uY29tbW9uIHRlcm4h",
      "UY29tbW9uIHRlcm4h"}},
    {"Sterna hirundo\xff\xfe",
     16,
     {"001010011011101000110010101110010011011100110000100100000011"
      "010000110100101110010011101010110111001100100011011111111111111111110",
      "72467214534467141100641513447255631067777774",
      "9110930287675279322827410504636280340478",
      "f537465726e6120686972756e646ffffe",
      "F537465726E6120686972756E646FFFFE",
      "bkn2gk4tomeqgq2lsovxgi3777y",
      "BKN2GK4TOMEQGQ2LSOVXGI3777Y",
      "ckn2gk4tomeqgq2lsovxgi3777y======",
      "CKN2GK4TOMEQGQ2LSOVXGI3777Y======",
      "vadq6asjec4g6gqbieln68rvvvo",
      "VADQ6ASJEC4G6GQBIELN68RVVVO",
      "tadq6asjec4g6gqbieln68rvvvo======",
      "TADQ6ASJEC4G6GQBIELN68RVVVO======",
      "hkp4gkhuqcrogo4m1qizge5999a",
      "k4xv661j8jbgp3q0wedr4k9q0u",
      "K4XV661J8JBGP3Q0WEDR4K9Q0U",
      "zBJiAGM4AVgo4msJpFeBFAV",
      "ZbiHagm4auFN4LSiPfDbfau",
      "mU3Rlcm5hIGhpcnVuZG///g",
      "MU3Rlcm5hIGhpcnVuZG///g==",
      "uU3Rlcm5hIGhpcnVuZG___g",
      "UU3Rlcm5hIGhpcnVuZG___g=="}},
    {"\xff\xff\xff\xff\xff",
     5,
     {"01111111111111111111111111111111111111111",
      "777777777777774",
      "91099511627775",
      "fffffffffff",
      "FFFFFFFFFFF",
      "b77777777",
      "B77777777",
      "c77777777",
      "C77777777",
      "vvvvvvvvv",
      "VVVVVVVVV",
      "tvvvvvvvv",
      "TVVVVVVVV",
      "h99999999",
      "ke13wu1of",
      "KE13WU1OF",
      "zVtB5VXc",
      "ZuTb5uwB",
      "m//////8",
      "M//////8=",
      "u______8",
      "U______8="}},
};

static void every_base_encodes_and_decodes_its_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(vectors); i++) {
        struct tern_view bytes = tern_view_of(vectors[i].bytes, vectors[i].size);
        for (size_t j = 0; j < TERN_COUNT_OF(vector_bases); j++) {
            char text[TEXT_MAX];
            struct tern_writer w = tern_writer_of(text, sizeof text);
            assert_int_equal(tern_multibase_encode(vector_bases[j], bytes, &w), TERN_OK);
            assert_true(tern_writer_terminate(&w));
            assert_string_equal(text, vectors[i].texts[j]);
            uint8_t back[64];
            struct tern_writer b = tern_writer_of(back, sizeof back);
            enum tern_base base;
            assert_int_equal(tern_multibase_decode(tern_writer_view(&w), &b, &base), TERN_OK);
            assert_int_equal(base, vector_bases[j]);
            assert_true(tern_view_equal(tern_writer_view(&b), bytes));
        }
    }
}

static void any_bytes_come_back_from_every_base(void **state)
{
    (void)state;
    struct tern_random random;
    tern_random_init_u64(&random, 3);
    for (unsigned base = 0; base < TERN_BASE_COUNT; base++) {
        for (size_t size = 0; size <= TERN_BASE_NUMBER_SIZE_MAX; size++) {
            uint8_t bytes[TERN_BASE_NUMBER_SIZE_MAX];
            tern_random_bytes(&random, bytes, size);
            memset(bytes, 0, tern_min_size(size, (size_t)tern_random_below(&random, 4)));
            char text[TEXT_MAX];
            struct tern_writer w = tern_writer_of(text, sizeof text);
            assert_int_equal(tern_base_encode((enum tern_base)base, tern_view_of(bytes, size), &w),
                             TERN_OK);
            assert_true(w.size <= tern_base_text_size_max((enum tern_base)base, size));
            uint8_t back[TERN_BASE_NUMBER_SIZE_MAX];
            struct tern_writer b = tern_writer_of(back, sizeof back);
            assert_int_equal(tern_base_decode((enum tern_base)base, tern_writer_view(&w), &b),
                             TERN_OK);
            assert_true(tern_view_equal(tern_writer_view(&b), tern_view_of(bytes, size)));
        }
    }
}

struct refused_case {
    const char *what;
    const char *text;
    tern_err err;
};

static void bad_texts_are_refused(void **state)
{
    (void)state;
    static const struct refused_case cases[] = {
        {"no prefix", "", TERN_ERR_MALFORMED},
        {"unknown prefix", "?abc", TERN_ERR_UNSUPPORTED},
        {"NUL prefix, which is no base of ours", NULL, TERN_ERR_UNSUPPORTED},
        {"hex of odd length", "fabc", TERN_ERR_MALFORMED},
        {"hex with a space", "f ab", TERN_ERR_MALFORMED},
        {"hex with a letter beyond f", "f0g", TERN_ERR_MALFORMED},
        {"base32 of an impossible length", "ba", TERN_ERR_MALFORMED},
        {"base32 of three characters", "baaa", TERN_ERR_MALFORMED},
        {"base32 with unused bits set", "bab", TERN_ERR_MALFORMED},
        {"base32 with padding that it has not", "baa======", TERN_ERR_MALFORMED},
        {"base32 digit 1", "ba1", TERN_ERR_MALFORMED},
        {"base32pad without padding", "caa", TERN_ERR_MALFORMED},
        {"base32pad with a group of padding", "caa==============", TERN_ERR_MALFORMED},
        {"base32pad with padding inside", "ca=a=====", TERN_ERR_MALFORMED},
        {"base32z in the other case", "hYY", TERN_ERR_MALFORMED},
        {"base58 digit 0", "z10", TERN_ERR_MALFORMED},
        {"base58 letter l", "zl", TERN_ERR_MALFORMED},
        {"base58 letter I", "zI", TERN_ERR_MALFORMED},
        {"base64 of one character", "mA", TERN_ERR_MALFORMED},
        {"base64 with unused bits set", "mAB", TERN_ERR_MALFORMED},
        {"base64 with the other alphabet's character", "m-A", TERN_ERR_MALFORMED},
        {"base64url with the other alphabet's character", "u+A", TERN_ERR_MALFORMED},
        {"base64pad of padding alone", "M====", TERN_ERR_MALFORMED},
        {"base64pad short of padding", "MAA=", TERN_ERR_MALFORMED},
        {"base64 with a line feed", "mAA\n", TERN_ERR_MALFORMED},
        {"base2 of nine digits", "0000000001", TERN_ERR_MALFORMED},
        {"base2 of four digits", "00000", TERN_ERR_MALFORMED},
        {"base8 digit 8", "7008", TERN_ERR_MALFORMED},
        {"base8 of four digits", "70000", TERN_ERR_MALFORMED},
        {"base10 letter", "91a", TERN_ERR_MALFORMED},
        {"base36 sign", "k-", TERN_ERR_MALFORMED},
        {"a character beyond ASCII", "z\xc3\xa9", TERN_ERR_MALFORMED},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        uint8_t bytes[64];
        struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
        struct tern_view text =
            cases[i].text == NULL ? tern_view_of("\0a", 2) : tern_view_str(cases[i].text);
        if (tern_multibase_decode(text, &w, NULL) != cases[i].err)
            fail_msg("%s", cases[i].what);
    }
}

static void letters_of_either_case_are_read_where_the_table_says_so(void **state)
{
    (void)state;
    static const char *const texts[] = {"f48454c4c6f", "F48454c4C6f", "bJBCUYTDP", "BjbcUYTDP",
                                        "v912KOJ3F",   "cjbcuyTDP",   "K3ylgb3vz", "k3YLGB3VZ"};
    for (size_t i = 0; i < TERN_COUNT_OF(texts); i++) {
        uint8_t bytes[16];
        struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
        assert_int_equal(tern_multibase_decode(tern_view_str(texts[i]), &w, NULL), TERN_OK);
        assert_true(tern_view_equal(tern_writer_view(&w), tern_view_str("HELLo")));
    }
}

static void numbers_beyond_the_bound_are_refused(void **state)
{
    (void)state;
    static uint8_t bytes[TERN_BASE_NUMBER_SIZE_MAX + 1];
    static uint8_t text[TEXT_MAX];
    static uint8_t out[TEXT_MAX];
    memset(text, '1', sizeof text); /* zeros in base58 */
    for (unsigned base = 0; base < TERN_BASE_COUNT; base++) {
        struct tern_writer w = tern_writer_of(out, sizeof out);
        tern_err err =
            tern_base_encode((enum tern_base)base, tern_view_of(bytes, sizeof bytes), &w);
        bool number = base == TERN_BASE10 || base == TERN_BASE36 || base == TERN_BASE36_UPPER ||
                      base == TERN_BASE58_BTC || base == TERN_BASE58_FLICKR;
        assert_int_equal(err, number ? TERN_ERR_TOO_LARGE : TERN_OK);
    }
    const size_t sizes[] = {TERN_BASE_NUMBER_SIZE_MAX + 1, 600, 641, TEXT_MAX};
    for (size_t i = 0; i < TERN_COUNT_OF(sizes); i++) {
        struct tern_writer w = tern_writer_of(out, sizeof out);
        assert_int_equal(tern_base_decode(TERN_BASE58_BTC, tern_view_of(text, sizes[i]), &w),
                         TERN_ERR_TOO_LARGE);
    }
    memset(text, 'z', sizeof text);
    struct tern_writer w = tern_writer_of(out, sizeof out);
    assert_int_equal(tern_base_decode(TERN_BASE58_BTC, tern_view_of(text, 400), &w),
                     TERN_ERR_TOO_LARGE);
}

static void a_lack_of_room_is_reported(void **state)
{
    (void)state;
    uint8_t out[3];
    struct tern_writer w = tern_writer_of(out, sizeof out);
    assert_int_equal(tern_base_encode(TERN_BASE16, tern_view_str("ab"), &w), TERN_ERR_TOO_LARGE);
    w = tern_writer_of(out, sizeof out);
    assert_int_equal(tern_base_encode(TERN_BASE58_BTC, tern_view_str("abcd"), &w),
                     TERN_ERR_TOO_LARGE);
    w = tern_writer_of(out, sizeof out);
    assert_int_equal(tern_base_decode(TERN_BASE16, tern_view_str("61626364"), &w),
                     TERN_ERR_TOO_LARGE);
    w = tern_writer_of(out, sizeof out);
    assert_int_equal(tern_base_decode(TERN_BASE58_BTC, tern_view_str("111111"), &w),
                     TERN_ERR_TOO_LARGE);
}

static void bases_have_names_and_prefixes(void **state)
{
    (void)state;
    enum tern_base base;
    assert_true(tern_base_of_prefix('z', &base));
    assert_int_equal(base, TERN_BASE58_BTC);
    assert_string_equal(tern_base_name(base), "base58btc");
    assert_false(tern_base_of_prefix('Q', &base));
    assert_false(tern_base_of_prefix(0, &base));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_base_encodes_and_decodes_its_vectors),
        cmocka_unit_test(any_bytes_come_back_from_every_base),
        cmocka_unit_test(bad_texts_are_refused),
        cmocka_unit_test(letters_of_either_case_are_read_where_the_table_says_so),
        cmocka_unit_test(numbers_beyond_the_bound_are_refused),
        cmocka_unit_test(a_lack_of_room_is_reported),
        cmocka_unit_test(bases_have_names_and_prefixes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
