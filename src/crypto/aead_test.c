#include "crypto/aead.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include "base/random.h"
#include "crypto/test_hex.h"

#include <cmocka.h>

enum { MESSAGE_MAX = 65519, BUFFER_SIZE = MESSAGE_MAX + TERN_AEAD_TAG_SIZE };

static struct tern_aead_engine engine;
static uint8_t plain[BUFFER_SIZE];
static uint8_t sealed[BUFFER_SIZE];
static uint8_t opened[BUFFER_SIZE];

static int start_engine(void **state)
{
    (void)state;
    return tern_aead_engine_init(&engine) != TERN_OK;
}

static int stop_engine(void **state)
{
    (void)state;
    tern_aead_engine_fini(&engine);
    return 0;
}

static const uint8_t test_key[TERN_AEAD_KEY_SIZE] = {
    0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8b, 0x8c, 0x8d, 0x8e, 0x8f,
    0x90, 0x91, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f};

static void the_example_of_rfc_8439_comes_out(void **state)
{
    (void)state;
    static const char text[] = "Ladies and Gentlemen of the class of '99: If I could offer you "
                               "only one tip for the future, sunscreen would be it.";
    static const char hex[] =
        "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da"
        "92728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585"
        "808b4831d7bc3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691";
    struct tern_view expected = TEST_HEX(hex, 256);
    struct tern_aead_params params = {
        .key = test_key,
        .nonce = {7, 0, 0, 0, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47},
        .associated = TEST_HEX("50515253c0c1c2c3c4c5c6c7", 16)};
    assert_int_equal(tern_aead_seal(&engine, &params, tern_view_str(text), sealed), TERN_OK);
    assert_true(tern_view_equal(tern_view_of(sealed, sizeof text - 1 + 16), expected));
    tern_aead_seal_small(&params, tern_view_str(text), sealed);
    assert_true(tern_view_equal(tern_view_of(sealed, sizeof text - 1 + 16), expected));
    assert_int_equal(tern_aead_open(&engine, &params, expected, opened), TERN_OK);
    assert_memory_equal(opened, text, sizeof text - 1);
    memset(opened, 0, sizeof text);
    assert_int_equal(tern_aead_open_small(&params, expected, opened), TERN_OK);
    assert_memory_equal(opened, text, sizeof text - 1);
}

/* Both forms, apart and in place, for one size. */
static void check_size(const struct tern_aead_params *params, size_t size)
{
    struct tern_view in = tern_view_of(plain, size);
    assert_int_equal(tern_aead_seal(&engine, params, in, sealed), TERN_OK);
    tern_aead_seal_small(params, in, opened);
    assert_memory_equal(sealed, opened, size + TERN_AEAD_TAG_SIZE);

    memcpy(opened, plain, size);
    assert_int_equal(tern_aead_seal(&engine, params, tern_view_of(opened, size), opened), TERN_OK);
    assert_memory_equal(sealed, opened, size + TERN_AEAD_TAG_SIZE);
    memcpy(opened, plain, size);
    tern_aead_seal_small(params, tern_view_of(opened, size), opened);
    assert_memory_equal(sealed, opened, size + TERN_AEAD_TAG_SIZE);

    struct tern_view whole = tern_view_of(opened, size + TERN_AEAD_TAG_SIZE);
    assert_int_equal(tern_aead_open(&engine, params, whole, opened), TERN_OK);
    assert_memory_equal(opened, plain, size);
    memcpy(opened, sealed, size + TERN_AEAD_TAG_SIZE);
    assert_int_equal(tern_aead_open_small(params, whole, opened), TERN_OK);
    assert_memory_equal(opened, plain, size);
}

static void both_forms_agree_for_every_size(void **state)
{
    (void)state;
    struct tern_random random;
    tern_random_init_u64(&random, 8);
    tern_random_bytes(&random, plain, sizeof plain);
    static const size_t large[] = {1023, 1024, 1025, 4096, 16384, 40000, 65518, MESSAGE_MAX};
    for (size_t i = 0; i < 600 + TERN_COUNT_OF(large); i++) {
        uint8_t associated[64];
        uint8_t key[TERN_AEAD_KEY_SIZE];
        tern_random_bytes(&random, key, sizeof key);
        tern_random_bytes(&random, associated, sizeof associated);
        struct tern_aead_params params = {.key = key,
                                          .associated = {associated, i % (sizeof associated + 1)}};
        tern_random_bytes(&random, params.nonce, sizeof params.nonce);
        check_size(&params, i < 600 ? i : large[i - 600]);
    }
}

/* Frames of several connections in turn, each with a key of its own or the same, over one engine:
 * what one leaves behind is nothing to the next. */
static void keys_and_ciphers_take_turns(void **state)
{
    (void)state;
    enum { SIZE = 1000, CONNECTIONS = 5, TURNS = 400 };
    static uint8_t frames[CONNECTIONS][SIZE + TERN_AEAD_TAG_SIZE];
    struct tern_random random;
    tern_random_init_u64(&random, 9);
    tern_random_bytes(&random, plain, SIZE);
    uint8_t keys[CONNECTIONS][TERN_AEAD_KEY_SIZE];
    tern_random_bytes(&random, keys, sizeof keys);
    memcpy(keys[1], keys[0], 16); /* the halves of two are the same */
    for (uint8_t turn = 0; turn < TURNS / 2; turn++) {
        for (int open = 0; open < 2; open++) {
            for (size_t i = 0; i < CONNECTIONS; i++) {
                const struct tern_aead_params params = {
                    .cipher = (enum tern_aead_cipher)((turn + i) % TERN_AEAD_CIPHERS),
                    .key = keys[i],
                    .nonce = {turn}};
                struct tern_view whole = tern_view_of(frames[i], sizeof frames[i]);
                if (!open)
                    assert_int_equal(
                        tern_aead_seal(&engine, &params, tern_view_of(plain, SIZE), frames[i]),
                        TERN_OK);
                else
                    assert_int_equal(tern_aead_open(&engine, &params, whole, opened), TERN_OK);
                if (open)
                    assert_memory_equal(opened, plain, SIZE);
            }
        }
    }
}

static void in_place_or_not_is_the_same(void **state)
{
    (void)state;
    static const size_t sizes[] = {0,   1,   15,   16,    17,    287,
                                   288, 289, 4096, 16384, 16385, MESSAGE_MAX};
    for (int c = 0; c < TERN_AEAD_CIPHERS; c++) {
        for (size_t i = 0; i < TERN_COUNT_OF(sizes); i++) {
            const struct tern_aead_params params = {
                .cipher = (enum tern_aead_cipher)c, .key = test_key, .nonce = {(uint8_t)i}};
            struct tern_view in = tern_view_of(plain, sizes[i]);
            struct tern_view whole = tern_view_of(opened, sizes[i] + TERN_AEAD_TAG_SIZE);
            assert_int_equal(tern_aead_seal(&engine, &params, in, sealed), TERN_OK);
            memcpy(opened, plain, sizes[i]);
            assert_int_equal(
                tern_aead_seal(&engine, &params, tern_view_of(opened, sizes[i]), opened), TERN_OK);
            assert_memory_equal(sealed, opened, whole.size);
            assert_int_equal(tern_aead_open(&engine, &params, whole, opened), TERN_OK);
            assert_memory_equal(opened, plain, sizes[i]);
        }
    }
}

static void any_change_is_noticed_by(enum tern_aead_cipher cipher)
{
    const uint8_t associated[] = {1, 2, 3};
    struct tern_aead_params params = {
        .cipher = cipher, .key = test_key, .associated = {associated, sizeof associated}};
    enum { SIZE = 40 };
    bool small = cipher == TERN_AEAD_CHACHA20_POLY1305;
    assert_int_equal(tern_aead_seal(&engine, &params, tern_view_of(plain, SIZE), sealed), TERN_OK);
    struct tern_view whole = tern_view_of(sealed, SIZE + TERN_AEAD_TAG_SIZE);
    for (size_t bit = 0; bit < whole.size * 8; bit++) {
        sealed[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        assert_int_equal(tern_aead_open(&engine, &params, whole, opened), TERN_ERR_BAD_MAC);
        if (small)
            assert_int_equal(tern_aead_open_small(&params, whole, opened), TERN_ERR_BAD_MAC);
        sealed[bit / 8] ^= (uint8_t)(1U << (bit % 8));
    }
    struct tern_aead_params other = params;
    other.nonce[11] = 1;
    assert_int_equal(tern_aead_open(&engine, &other, whole, opened), TERN_ERR_BAD_MAC);
    other = params;
    other.associated.size = 2;
    assert_int_equal(tern_aead_open(&engine, &other, whole, opened), TERN_ERR_BAD_MAC);
    uint8_t other_key[TERN_AEAD_KEY_SIZE] = {0};
    other = params;
    other.key = other_key;
    assert_int_equal(tern_aead_open(&engine, &other, whole, opened), TERN_ERR_BAD_MAC);
    /* and after all that failure the engine works as before */
    assert_int_equal(tern_aead_open(&engine, &params, whole, opened), TERN_OK);
}

static void any_change_is_noticed(void **state)
{
    (void)state;
    for (int c = 0; c < TERN_AEAD_CIPHERS; c++)
        any_change_is_noticed_by((enum tern_aead_cipher)c);
}

static void what_is_shorter_than_a_tag_is_forged(void **state)
{
    (void)state;
    struct tern_aead_params params = {.key = test_key};
    assert_int_equal(tern_aead_seal(&engine, &params, tern_view_of(NULL, 0), sealed), TERN_OK);
    for (size_t size = 0; size < TERN_AEAD_TAG_SIZE; size++) {
        struct tern_view cut = tern_view_of(sealed, size);
        assert_int_equal(tern_aead_open(&engine, &params, cut, opened), TERN_ERR_BAD_MAC);
        assert_int_equal(tern_aead_open_small(&params, cut, opened), TERN_ERR_BAD_MAC);
    }
    struct tern_view whole = tern_view_of(sealed, TERN_AEAD_TAG_SIZE);
    assert_int_equal(tern_aead_open(&engine, &params, whole, opened), TERN_OK);
}

static void counters_become_nonces_in_little_endian(void **state)
{
    (void)state;
    uint8_t nonce[TERN_AEAD_NONCE_SIZE];
    tern_aead_counter_nonce(UINT64_C(0x0102030405060708), nonce);
    static const uint8_t expected[] = {0, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1};
    assert_memory_equal(nonce, expected, sizeof expected);
}

static void an_engine_may_be_ended_twice(void **state)
{
    (void)state;
    struct tern_aead_engine other;
    assert_int_equal(tern_aead_engine_init(&other), TERN_OK);
    tern_aead_engine_fini(&other);
    static const struct tern_aead_engine none;
    assert_memory_equal(&other, &none, sizeof other);
    tern_aead_engine_fini(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_rfc_8439_comes_out),
        cmocka_unit_test(both_forms_agree_for_every_size),
        cmocka_unit_test(keys_and_ciphers_take_turns),
        cmocka_unit_test(in_place_or_not_is_the_same),
        cmocka_unit_test(any_change_is_noticed),
        cmocka_unit_test(what_is_shorter_than_a_tag_is_forged),
        cmocka_unit_test(counters_become_nonces_in_little_endian),
        cmocka_unit_test(an_engine_may_be_ended_twice),
    };
    return cmocka_run_group_tests(tests, start_engine, stop_engine);
}
