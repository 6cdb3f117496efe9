/* The vectors of RFC 6979, section A.2.5 (P-256 with SHA-256), and what else must hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include "crypto/der.h"
#include "crypto/key_types.h"
#include "crypto/test_hex.h"

#include <cmocka.h>

static const char secret_hex[] = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721";

static struct tern_view sign(const uint8_t *secret, const char *message, struct tern_writer *w)
{
    uint8_t digest[TERN_SHA256_SIZE];
    tern_sha256(tern_view_str(message), digest);
    assert_int_equal(tern_ecdsa_sign_deterministic(secret, digest, w), TERN_OK);
    return tern_writer_view(w);
}

static void the_standards_signatures_come_out(void **state)
{
    (void)state;
    static const struct {
        const char *message;
        const char *r;
        const char *s;
    } cases[] = {
        {"sample", "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
         "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"},
        {"test", "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367",
         "019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083"},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        uint8_t bytes[TERN_ECDSA_SIGNATURE_SIZE_MAX];
        struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
        struct tern_view signature = sign(TEST_HEX(secret_hex, 32).data, cases[i].message, &w);
        struct tern_reader whole = tern_reader_of(signature);
        struct tern_view contents;
        struct tern_view r = {0};
        struct tern_view s = {0};
        assert_true(tern_der_read(&whole, TERN_DER_SEQUENCE, &contents));
        assert_int_equal(tern_reader_left(&whole), 0);
        struct tern_reader pair = tern_reader_of(contents);
        assert_true(tern_der_read_unsigned(&pair, &r) && tern_der_read_unsigned(&pair, &s));
        assert_true(tern_view_equal(r, TEST_HEX(cases[i].r, 32)));
        assert_true(tern_view_equal(s, TEST_HEX(cases[i].s, 32)));
    }
}

static void signatures_verify_and_repeat(void **state)
{
    (void)state;
    const struct tern_openssl_scheme scheme = {TERN_OPENSSL_ECDSA, TERN_SHA256_SIZE};
    struct tern_random random;
    tern_random_init_u64(&random, 1);
    for (int i = 0; i < 200; i++) {
        uint8_t secret[TERN_ECDSA_SECRET_SIZE];
        uint8_t digest[TERN_SHA256_SIZE];
        uint8_t bytes[2][TERN_ECDSA_SIGNATURE_SIZE_MAX];
        struct tern_openssl_key *key;
        assert_int_equal(tern_ecdsa_generate(&random, secret, &key), TERN_OK);
        tern_random_bytes(&random, digest, sizeof digest);
        if (i == 0)
            memset(digest, 0xff, sizeof digest); /* above the group's order */
        struct tern_writer a = tern_writer_of(bytes[0], sizeof bytes[0]);
        struct tern_writer b = tern_writer_of(bytes[1], sizeof bytes[1]);
        assert_int_equal(tern_ecdsa_sign_deterministic(secret, digest, &a), TERN_OK);
        assert_int_equal(tern_ecdsa_sign_deterministic(secret, digest, &b), TERN_OK);
        assert_true(tern_view_equal(tern_writer_view(&a), tern_writer_view(&b)));
        assert_int_equal(
            tern_openssl_verify(tern_openssl_key_pkey(key), &scheme, digest, tern_writer_view(&a)),
            TERN_OK);
        digest[31] ^= 1;
        assert_int_equal(
            tern_openssl_verify(tern_openssl_key_pkey(key), &scheme, digest, tern_writer_view(&a)),
            TERN_ERR_BAD_SIGNATURE);
        tern_openssl_key_unref(key);
    }
}

static void a_signature_needs_its_room(void **state)
{
    (void)state;
    uint8_t bytes[40];
    uint8_t digest[TERN_SHA256_SIZE] = {1};
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    assert_int_equal(tern_ecdsa_sign_deterministic(TEST_HEX(secret_hex, 32).data, digest, &w),
                     TERN_ERR_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_standards_signatures_come_out),
        cmocka_unit_test(signatures_verify_and_repeat),
        cmocka_unit_test(a_signature_needs_its_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
