#include "wire/peer_id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

/* Ids of an Ed25519, a secp256k1, an ECDSA and an RSA key, made by an independent program. */
struct vector {
    const char *hex;
    const char *text;
    const char *base32;
    const char *base36;
};

static const struct vector vectors[] = {
    {"0024080112200ba52458b705a5805914cf8a8276463d4df64e5b1d7fd1412528f27114f8d0ff",
     "12D3KooWAbphts3GedzJ3hwP8AEPhTmHZyur8UYE7wU9xRTRTDm8",
     "bafzaajaiaejcac5fermlobnfqbmrjt4kqj3empkn6zhfwhl72faskkhsoekpruh7",
     "k51qzi5uqu5dgh1da8egw4fydclvhibl6hml91wslc86j82iux7rkyciygywhr"},
    {"002508021221034f5378d1ab550524e57903707c41ecf1a1466aaa8d3f6b2b45f3cd08816c0657",
     "16Uiu2HAmHzeP6WqtFQW9Rwo1hEEF4KZBxNtdvd82Bmhq98PZpBci",
     "bafzaajiiaijcca2pkn4ndk2vausok6idob6ed3hrufdgvkunh5vswrptzueic3agk4",
     "kzwfwjn5ji4pus137c4nw6jsumnoknpi5p0j0b95a0zkmf2eea790lzdhvgaxxz"},
    {"1220e1fce656c48fc55f2214f9cd70ab11d3d7c54074c5c4405e535e5eb5a88f55ac",
     "QmdYp7BRtNZhgpQjPvNgXD4MKVbtLMGMFgWYD4SPqQSuEK",
     "bafzbeihb7ttfnrepyvpsefhzzvykweot27cua5gfyraf4u26l222rd2vvq",
     "k2k4r8p1s97jwaudyyvjbay6b5m180umzg7gkktvebqbrrquc1j22l64"},
    {"1220cf018d79cb0c892c09a6fefafa92ebbffd1c764d3b012ae390f117cd99a06bdb",
     "QmcGiUZyeh6tMhFxnZXveGdbwFQ3vbNP44X12MF8W1WHF8",
     "bafzbeigpaggxtsymrewatjx67l5jf2577uohmtj3aevohehrc7gztidl3m",
     "k2k4r8okr46nzyz2xd5lkiydqlath6qgf4ciybemxa2af9r0s17mbahn"},
};

static struct tern_view from_hex(const char *hex, uint8_t *buffer, size_t capacity)
{
    struct tern_writer w = tern_writer_of(buffer, capacity);
    assert_int_equal(tern_base_decode(TERN_BASE16, tern_view_str(hex), &w), TERN_OK);
    return tern_writer_view(&w);
}

static void ids_are_read_and_written_in_all_their_forms(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(vectors); i++) {
        const struct vector *v = &vectors[i];
        uint8_t bytes[64];
        struct tern_peer_id id;
        assert_int_equal(tern_peer_id_decode(from_hex(v->hex, bytes, sizeof bytes), &id), TERN_OK);
        const char *const texts[] = {v->text, v->base32, v->base36};
        for (size_t j = 0; j < TERN_COUNT_OF(texts); j++) {
            struct tern_peer_id parsed;
            assert_int_equal(tern_peer_id_parse(tern_view_str(texts[j]), &parsed), TERN_OK);
            assert_true(tern_peer_id_equal(&id, &parsed));
        }
        char text[128];
        struct tern_writer w = tern_writer_of(text, TERN_PEER_ID_TEXT_SIZE_MAX);
        tern_peer_id_format(&id, &w);
        assert_true(tern_writer_terminate(&w));
        assert_string_equal(text, v->text);
        w = tern_writer_of(text, sizeof text);
        assert_int_equal(tern_peer_id_format_cid(&id, TERN_BASE32, &w), TERN_OK);
        assert_true(tern_writer_terminate(&w));
        assert_string_equal(text, v->base32);
        w = tern_writer_of(text, sizeof text);
        assert_int_equal(tern_peer_id_format_cid(&id, TERN_BASE36, &w), TERN_OK);
        assert_true(tern_writer_terminate(&w));
        assert_string_equal(text, v->base36);
    }
}

static void the_short_form_is_two_characters_and_six(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(vectors); i++) {
        struct tern_peer_id id;
        assert_int_equal(tern_peer_id_parse(tern_view_str(vectors[i].text), &id), TERN_OK);
        char text[TERN_PEER_ID_SHORT_SIZE_MAX];
        struct tern_writer w = tern_writer_of(text, sizeof text);
        tern_peer_id_format_short(&id, &w);
        assert_true(tern_writer_terminate(&w));
        assert_int_equal(w.size, 9);
        assert_memory_equal(text, vectors[i].text, 2);
        assert_int_equal(text[2], '*');
        assert_string_equal(text + 3, vectors[i].text + strlen(vectors[i].text) - 6);
    }
}

static void small_keys_live_in_the_id_and_large_ones_as_a_hash(void **state)
{
    (void)state;
    uint8_t key[TERN_PEER_ID_KEY_SIZE_MAX + 1] = {8, 1, 18, 32};
    struct tern_peer_id id;
    assert_int_equal(tern_peer_id_of_key(tern_view_of(key, TERN_PEER_ID_KEY_SIZE_MAX), &id),
                     TERN_OK);
    assert_int_equal(id.size, TERN_PEER_ID_SIZE_MAX);
    struct tern_view inside;
    assert_true(tern_peer_id_key(&id, &inside));
    assert_true(tern_view_equal(inside, tern_view_of(key, TERN_PEER_ID_KEY_SIZE_MAX)));
    char text[TERN_PEER_ID_TEXT_SIZE_MAX];
    memset(key, 0xff, sizeof key);
    assert_int_equal(tern_peer_id_of_key(tern_view_of(key, TERN_PEER_ID_KEY_SIZE_MAX), &id),
                     TERN_OK);
    struct tern_writer w = tern_writer_of(text, sizeof text);
    tern_peer_id_format(&id, &w);
    assert_true(tern_writer_terminate(&w));

    assert_int_equal(tern_peer_id_of_key(tern_view_of(key, sizeof key), &id), TERN_ERR_TOO_LARGE);
    assert_true(tern_peer_id_is_none(&id));
    tern_peer_id_of_sha256(key, &id);
    assert_int_equal(id.size, 34);
    assert_false(tern_peer_id_key(&id, &inside));
    struct tern_peer_id back;
    assert_int_equal(tern_peer_id_decode(tern_peer_id_view(&id), &back), TERN_OK);
    assert_true(tern_peer_id_equal(&id, &back));
}

#define LONG_IDENTITY                                                                              \
    "002b08011220000102030405060708090a0b0c0d0e0f1011121314151617"                                 \
    "18191a1b1c1d1e1f20212223242526"

static void other_multihashes_are_no_peer_ids(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "00",           /* cut short */
        "0000",         /* an identity of nothing */
        "002408011220", /* a key cut short */
        "1220e1fce656", /* a hash cut short */
        "121fe1fce656c48fc55f2214f9cd70ab11d3d7c54074c5c4405e535e5eb5a88f55",   /* a cut digest */
        "1114e1fce656c48fc55f2214f9cd70ab11d3d7c54074",                         /* sha1 */
        "1620e1fce656c48fc55f2214f9cd70ab11d3d7c54074c5c4405e535e5eb5a88f55ac", /* sha3-256 */
        /* an identity of 43 bytes */
        LONG_IDENTITY,
        /* bytes behind it */
        "1220e1fce656c48fc55f2214f9cd70ab11d3d7c54074c5c4405e535e5eb5a88f55ac00",
    };
    for (size_t i = 0; i < TERN_COUNT_OF(bad); i++) {
        uint8_t bytes[64];
        struct tern_peer_id id;
        if (tern_peer_id_decode(from_hex(bad[i], bytes, sizeof bytes), &id) != TERN_ERR_MALFORMED)
            fail_msg("%s", bad[i]);
        assert_true(tern_peer_id_is_none(&id));
    }
}

struct text_case {
    const char *what;
    const char *text;
    tern_err err;
};

static void bad_texts_are_refused(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        {"nothing", "", TERN_ERR_MALFORMED},
        {"one letter", "Q", TERN_ERR_UNSUPPORTED},
        {"cut short", "QmdYp7BRtNZhgpQjPvNgXD4MKVbtLMGMFgWYD4SPqQSuE", TERN_ERR_MALFORMED},
        {"one letter more", "12D3KooWAbphts3GedzJ3hwP8AEPhTmHZyur8UYE7wU9xRTRTDm81",
         TERN_ERR_MALFORMED},
        {"a zero", "12D3KooWAbphts3GedzJ3hwP8AEPhTmHZyur8UYE7wU9xRTRTDm0", TERN_ERR_MALFORMED},
        {"a space in front", " 12D3KooWAbphts3GedzJ3hwP8AEPhTmHZyur8UYE7wU9xRTRTDm8",
         TERN_ERR_UNSUPPORTED},
        {"a CID of another codec",
         "f0155122001020304050607080910111213141516171819202122232425262"
         "728293031323334353637",
         TERN_ERR_MALFORMED},
        {"a libp2p-key CID of sha1", "f01721114e1fce656c48fc55f2214f9cd70ab11d3d7c54074",
         TERN_ERR_MALFORMED},
        {"a hundred base58 digits",
         "1111111111111111111111111111111111111111111111111111111111111111111111111111111111111111"
         "111111111111",
         TERN_ERR_TOO_LARGE},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        struct tern_peer_id id;
        if (tern_peer_id_parse(tern_view_str(cases[i].text), &id) != cases[i].err)
            fail_msg("%s", cases[i].what);
        assert_true(tern_peer_id_is_none(&id));
    }
}

static void ids_are_ordered_by_their_bytes(void **state)
{
    (void)state;
    struct tern_peer_id a;
    struct tern_peer_id b;
    assert_int_equal(tern_peer_id_parse(tern_view_str(vectors[0].text), &a), TERN_OK);
    assert_int_equal(tern_peer_id_parse(tern_view_str(vectors[2].text), &b), TERN_OK);
    assert_true(tern_peer_id_compare(&a, &b) < 0);
    assert_true(tern_peer_id_compare(&b, &a) > 0);
    assert_int_equal(tern_peer_id_compare(&a, &a), 0);
    assert_false(tern_peer_id_equal(&a, &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_read_and_written_in_all_their_forms),
        cmocka_unit_test(the_short_form_is_two_characters_and_six),
        cmocka_unit_test(small_keys_live_in_the_id_and_large_ones_as_a_hash),
        cmocka_unit_test(other_multihashes_are_no_peer_ids),
        cmocka_unit_test(bad_texts_are_refused),
        cmocka_unit_test(ids_are_ordered_by_their_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
