#include "crypto/sha384.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include "crypto/test_hex.h"

#include <cmocka.h>

/* FIPS 180-4's examples, and the empty message. */
static void digests_are_those_of_the_standard(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", "abc",
        "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrl"
        "mnopqrsmnopqrstnopqrstu"};
    static const char *const digests[] = {
        "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f148"
        "98b95b",
        "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134"
        "c825a7",
        "09330c33f71147e83d192fc782cd1b4753111b173b3b05d22fa08086e3b0f712fcc7c71a557e2db966c3e9fa91"
        "746039"};
    for (size_t i = 0; i < TERN_COUNT_OF(texts); i++) {
        uint8_t digest[TERN_SHA384_SIZE];
        struct tern_view text = tern_view_str(texts[i]);
        for (size_t cut = 0; cut <= text.size; cut++) {
            const struct tern_view parts[] = {{text.data, cut}, {text.data + cut, text.size - cut}};
            tern_sha384_parts(parts, TERN_COUNT_OF(parts), digest);
            assert_true(tern_view_equal(tern_view_of(digest, sizeof digest),
                                        TEST_HEX(digests[i], TERN_SHA384_SIZE)));
        }
    }
}

/* RFC 4231, test cases 2 and 6: a short key, and one longer than a block. */
static void macs_are_those_of_the_standard(void **state)
{
    (void)state;
    uint8_t mac[TERN_SHA384_SIZE];
    uint8_t long_key[131];
    memset(long_key, 0xaa, sizeof long_key);
    tern_hmac_sha384(tern_view_str("Jefe"), tern_view_str("what do ya want for nothing?"), mac);
    assert_true(tern_view_equal(
        tern_view_of(mac, sizeof mac),
        TEST_HEX("af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78"
                 "b3239ecfab21649",
                 TERN_SHA384_SIZE)));
    tern_hmac_sha384(tern_view_of(long_key, sizeof long_key),
                     tern_view_str("Test Using Larger Than Block-Size Key - Hash Key First"), mac);
    assert_true(tern_view_equal(
        tern_view_of(mac, sizeof mac),
        TEST_HEX("4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe829"
                 "6248df163f44952",
                 TERN_SHA384_SIZE)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_those_of_the_standard),
        cmocka_unit_test(macs_are_those_of_the_standard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
