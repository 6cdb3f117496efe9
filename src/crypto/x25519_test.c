#include "crypto/x25519.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include "crypto/test_hex.h"

#include <cmocka.h>

static void assert_key(const uint8_t key[TERN_X25519_SIZE], const char *hex)
{
    assert_memory_equal(key, TEST_HEX(hex, TERN_X25519_SIZE).data, TERN_X25519_SIZE);
}

static void repeated_agreement_gives_the_values_of_rfc_7748(void **state)
{
    (void)state;
    uint8_t k[TERN_X25519_SIZE] = {9};
    uint8_t u[TERN_X25519_SIZE] = {9};
    for (int i = 0; i < 1000; i++) {
        uint8_t next[TERN_X25519_SIZE];
        assert_int_equal(tern_x25519_agree(k, u, next), TERN_OK);
        memcpy(u, k, sizeof u);
        memcpy(k, next, sizeof k);
        if (i == 0)
            assert_key(k, "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
    }
    assert_key(k, "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
}

static void two_parties_agree(void **state)
{
    (void)state;
    uint8_t a[TERN_X25519_SIZE];
    uint8_t b[TERN_X25519_SIZE];
    for (uint8_t i = 0; i < TERN_X25519_SIZE; i++) {
        a[i] = i;
        b[i] = (uint8_t)(TERN_X25519_SIZE + i);
    }
    uint8_t a_public[TERN_X25519_SIZE];
    uint8_t b_public[TERN_X25519_SIZE];
    tern_x25519_public(a, a_public);
    tern_x25519_public(b, b_public);
    assert_key(a_public, "8f40c5adb68f25624ae5b214ea767a6ec94d829d3d7b5e1ad1ba6f3e2138285f");
    assert_key(b_public, "358072d6365880d1aeea329adf9121383851ed21a28e3b75e965d0d2cd166254");
    uint8_t shared[TERN_X25519_SIZE];
    assert_int_equal(tern_x25519_agree(a, b_public, shared), TERN_OK);
    assert_key(shared, "9663aa1da97e848a914a436d04163dfbb89178f107f1b5b77ed3854203382854");
    assert_int_equal(tern_x25519_agree(b, a_public, shared), TERN_OK);
    assert_key(shared, "9663aa1da97e848a914a436d04163dfbb89178f107f1b5b77ed3854203382854");
}

static void keys_of_small_order_are_refused(void **state)
{
    (void)state;
    static const char *const points[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000080",
    };
    const uint8_t private_key[TERN_X25519_SIZE] = {8, 7, 6};
    const uint8_t zero[TERN_X25519_SIZE] = {0};
    for (size_t i = 0; i < TERN_COUNT_OF(points); i++) {
        uint8_t shared[TERN_X25519_SIZE] = {1};
        tern_err err =
            tern_x25519_agree(private_key, TEST_HEX(points[i], TERN_X25519_SIZE).data, shared);
        assert_int_equal(err, TERN_ERR_BAD_KEY);
        assert_memory_equal(shared, zero, sizeof zero);
    }
}

static void a_seed_makes_the_same_pair_again(void **state)
{
    (void)state;
    uint8_t keys[2][2][TERN_X25519_SIZE];
    for (int i = 0; i < 2; i++) {
        struct tern_random random;
        tern_random_init_u64(&random, 7);
        tern_x25519_generate(&random, keys[i][0], keys[i][1]);
    }
    assert_memory_equal(keys[0], keys[1], sizeof keys[0]);
    uint8_t public_key[TERN_X25519_SIZE];
    tern_x25519_public(keys[0][0], public_key);
    assert_memory_equal(public_key, keys[0][1], sizeof public_key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(repeated_agreement_gives_the_values_of_rfc_7748),
        cmocka_unit_test(two_parties_agree),
        cmocka_unit_test(keys_of_small_order_are_refused),
        cmocka_unit_test(a_seed_makes_the_same_pair_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
