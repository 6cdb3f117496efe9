#include "crypto/mlkem.h"

#include "crypto/sha256.h"
#include "crypto/test_hex.h"
#include "tern_test.h"

static void count_up(uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)i;
}

static void expect_digest(const uint8_t *bytes, size_t size, const char *digest)
{
    const struct tern_view view = tern_view_of(bytes, size);
    uint8_t got[TERN_SHA256_SIZE];
    tern_sha256_parts(&view, 1, got);
    assert_memory_equal(got, TEST_HEX(digest, sizeof got).data, sizeof got);
}

/* OpenSSL before 3.5 says that it has none. */
static void what_the_library_lacks_is_said(void **state)
{
    uint8_t seed[TERN_MLKEM_SEED_SIZE] = {0};
    uint8_t public_key[TERN_MLKEM_PUBLIC_SIZE] = {0};
    struct tern_mlkem_encapsulated out;
    (void)state;
    tern_err err = tern_mlkem_available() ? TERN_OK : TERN_ERR_UNSUPPORTED;
    assert_int_equal(tern_mlkem_public(seed, public_key), err);
    assert_int_equal(tern_mlkem_encapsulate(public_key, seed, &out), err);
    assert_int_equal(tern_mlkem_decapsulate(seed, out.cipher, out.shared), err);
}

/* Computed by another implementation of FIPS 203, which gives the same as public vectors. */
static void keys_are_those_of_their_seed(void **state)
{
    uint8_t seed[TERN_MLKEM_SEED_SIZE];
    uint8_t public_key[TERN_MLKEM_PUBLIC_SIZE];
    (void)state;
    if (!tern_mlkem_available())
        skip();
    count_up(seed, sizeof seed);
    assert_ok(tern_mlkem_public(seed, public_key));
    expect_digest(public_key, sizeof public_key,
                  "0b7934c83125c788995e2ba6bd761e33046b3e40571be53e023309a29f398cc9");
}

static void both_ends_have_the_same_secret(void **state)
{
    uint8_t seed[TERN_MLKEM_SEED_SIZE];
    uint8_t public_key[TERN_MLKEM_PUBLIC_SIZE];
    uint8_t shared[TERN_MLKEM_SHARED_SIZE];
    struct tern_mlkem_encapsulated out;
    struct tern_mlkem_encapsulated again;
    (void)state;
    if (!tern_mlkem_available())
        skip();
    count_up(seed, sizeof seed);
    assert_ok(tern_mlkem_public(seed, public_key));
    assert_ok(tern_mlkem_encapsulate(public_key, seed, &out));
    assert_ok(tern_mlkem_decapsulate(seed, out.cipher, shared));
    assert_memory_equal(shared, out.shared, sizeof shared);
    assert_ok(tern_mlkem_encapsulate(public_key, seed, &again));
    assert_memory_equal(&again, &out, sizeof out); /* of the same entropy */
    assert_ok(tern_mlkem_encapsulate(public_key, seed + 1, &again));
    assert_memory_not_equal(again.shared, out.shared, sizeof out.shared);
    out.cipher[500] ^= 1;
    assert_ok(tern_mlkem_decapsulate(seed, out.cipher, shared));
    assert_memory_not_equal(shared, out.shared, sizeof shared);
}

/* FIPS 203, section 6.3: a secret that nobody else can know. */
static void what_is_no_encapsulation_gives_a_secret_too(void **state)
{
    static const uint8_t nothing[TERN_MLKEM_CIPHER_SIZE];
    uint8_t seed[TERN_MLKEM_SEED_SIZE];
    uint8_t shared[TERN_MLKEM_SHARED_SIZE];
    (void)state;
    if (!tern_mlkem_available())
        skip();
    count_up(seed, sizeof seed);
    assert_ok(tern_mlkem_decapsulate(seed, nothing, shared));
    assert_memory_equal(
        shared,
        TEST_HEX("c8fbeddafdacef2ffeb8b354ea644f11b5c150f3e2c4a74ce38abba8f854ae16", 32).data, 32);
}

/* FIPS 203, section 7.2: coefficients are below 3329. */
static void a_key_that_is_none_is_refused(void **state)
{
    uint8_t public_key[TERN_MLKEM_PUBLIC_SIZE];
    uint8_t entropy[TERN_MLKEM_ENTROPY_SIZE] = {0};
    struct tern_mlkem_encapsulated out;
    (void)state;
    if (!tern_mlkem_available())
        skip();
    memset(public_key, 0xff, sizeof public_key);
    assert_int_equal(tern_mlkem_encapsulate(public_key, entropy, &out), TERN_ERR_BAD_KEY);
    memset(public_key, 0, sizeof public_key);
    public_key[0] = 0x01; /* 0xd01 is 3329 */
    public_key[1] = 0x0d;
    assert_int_equal(tern_mlkem_encapsulate(public_key, entropy, &out), TERN_ERR_BAD_KEY);
    public_key[0] = 0x00;
    assert_ok(tern_mlkem_encapsulate(public_key, entropy, &out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_library_lacks_is_said),
        cmocka_unit_test(keys_are_those_of_their_seed),
        cmocka_unit_test(both_ends_have_the_same_secret),
        cmocka_unit_test(what_is_no_encapsulation_gives_a_secret_too),
        cmocka_unit_test(a_key_that_is_none_is_refused),
    };
    return cmocka_run_group_tests_name("mlkem", tests, NULL, NULL);
}
