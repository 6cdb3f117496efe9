#include "crypto/sha256.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include "crypto/test_hex.h"

#include <cmocka.h>

static void assert_hex(const uint8_t *bytes, size_t size, const char *hex)
{
    assert_true(tern_view_equal(tern_view_of(bytes, size), TEST_HEX(hex, 128)));
}

static void digests_are_those_of_the_standard(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "abc",
                                        "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"};
    static const char *const digests[] = {
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"};
    uint8_t digest[TERN_SHA256_SIZE];
    for (size_t i = 0; i < TERN_COUNT_OF(texts); i++) {
        tern_sha256(tern_view_str(texts[i]), digest);
        assert_hex(digest, sizeof digest, digests[i]);
    }
    struct tern_sha256 sha;
    uint8_t letters[1000];
    memset(letters, 'a', sizeof letters);
    tern_sha256_init(&sha);
    for (int i = 0; i < 1000; i++)
        tern_sha256_update(&sha, tern_view_of(letters, sizeof letters));
    tern_sha256_final(&sha, digest);
    assert_hex(digest, sizeof digest,
               "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void a_message_may_come_in_any_pieces(void **state)
{
    (void)state;
    uint8_t message[200];
    for (size_t i = 0; i < sizeof message; i++)
        message[i] = (uint8_t)(i * 31);
    uint8_t whole[TERN_SHA256_SIZE];
    tern_sha256(tern_view_of(message, sizeof message), whole);
    for (size_t cut = 0; cut <= sizeof message; cut++) {
        const struct tern_view parts[] = {
            {message, cut}, {NULL, 0}, {message + cut, sizeof message - cut}};
        uint8_t digest[TERN_SHA256_SIZE];
        tern_sha256_parts(parts, TERN_COUNT_OF(parts), digest);
        assert_memory_equal(digest, whole, sizeof whole);
    }
}

static void a_running_hash_can_be_branched(void **state)
{
    (void)state;
    struct tern_sha256 sha;
    tern_sha256_init(&sha);
    tern_sha256_update(&sha, tern_view_str("ab"));
    struct tern_sha256 branch = sha;
    uint8_t digest[TERN_SHA256_SIZE];
    tern_sha256_update(&branch, tern_view_str("x"));
    tern_sha256_final(&branch, digest);
    tern_sha256_update(&sha, tern_view_str("c"));
    tern_sha256_final(&sha, digest);
    assert_hex(digest, sizeof digest,
               "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

struct hmac_case {
    uint8_t key_byte; /* 0: the key is "Jefe" */
    size_t key_size;
    const char *message; /* NULL: fifty times 0xdd */
    const char *mac;
};

static void macs_are_those_of_rfc_4231(void **state)
{
    (void)state;
    static const struct hmac_case cases[] = {
        {0x0b, 20, "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {0, 4, "what do ya want for nothing?",
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {0xaa, 20, NULL, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
        {0xaa, 131, "Test Using Larger Than Block-Size Key - Hash Key First",
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        uint8_t key[131];
        memset(key, cases[i].key_byte, sizeof key);
        if (cases[i].key_byte == 0)
            memcpy(key, "Jefe", 4);
        uint8_t fifty[50];
        memset(fifty, 0xdd, sizeof fifty);
        struct tern_view message = cases[i].message == NULL ? tern_view_of(fifty, sizeof fifty)
                                                            : tern_view_str(cases[i].message);
        uint8_t mac[TERN_SHA256_SIZE];
        tern_hmac_sha256(tern_view_of(key, cases[i].key_size), message, mac);
        assert_hex(mac, sizeof mac, cases[i].mac);
    }
}

struct hkdf_case {
    uint8_t input_start; /* bytes count up from it, or stay at 0x0b */
    size_t input_size;
    uint8_t salt_start;
    size_t salt_size;
    uint8_t info_start;
    size_t info_size;
    size_t size;
    const char *out;
};

static struct tern_view count_up(uint8_t *buffer, uint8_t start, size_t size)
{
    for (size_t i = 0; i < size; i++)
        buffer[i] = start == 0x0b ? start : (uint8_t)(start + i);
    return tern_view_of(buffer, size);
}

static void derived_keys_are_those_of_rfc_5869(void **state)
{
    (void)state;
    static const struct hkdf_case cases[] = {
        {0x0b, 22, 0, 13, 0xf0, 10, 42,
         "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"},
        {0, 80, 0x60, 80, 0xb0, 80, 82,
         "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c6"
         "5e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"},
        {0x0b, 22, 0, 0, 0, 0, 42,
         "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        const struct hkdf_case *c = &cases[i];
        uint8_t input[80];
        uint8_t salt[80];
        uint8_t info[80];
        uint8_t key[TERN_SHA256_SIZE];
        tern_hkdf_extract(count_up(salt, c->salt_start, c->salt_size),
                          count_up(input, c->input_start, c->input_size), key);
        uint8_t out[82];
        tern_hkdf_expand(key, count_up(info, c->info_start, c->info_size),
                         (struct tern_span){out, c->size});
        assert_hex(out, c->size, c->out);
    }
}

static void shorter_and_longer_keys_begin_alike(void **state)
{
    (void)state;
    static uint8_t longest[TERN_HKDF_SIZE_MAX];
    static uint8_t shorter[TERN_HKDF_SIZE_MAX];
    const uint8_t key[TERN_SHA256_SIZE] = {1, 2, 3};
    tern_hkdf_expand(key, tern_view_str("info"), (struct tern_span){longest, sizeof longest});
    const size_t sizes[] = {0, 1, 31, 32, 33, 64, 8159};
    for (size_t i = 0; i < TERN_COUNT_OF(sizes); i++) {
        memset(shorter, 0, sizeof shorter);
        tern_hkdf_expand(key, tern_view_str("info"), (struct tern_span){shorter, sizes[i]});
        assert_memory_equal(shorter, longest, sizes[i]);
        assert_int_equal(shorter[sizes[i]], 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_those_of_the_standard),
        cmocka_unit_test(a_message_may_come_in_any_pieces),
        cmocka_unit_test(a_running_hash_can_be_branched),
        cmocka_unit_test(macs_are_those_of_rfc_4231),
        cmocka_unit_test(derived_keys_are_those_of_rfc_5869),
        cmocka_unit_test(shorter_and_longer_keys_begin_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
