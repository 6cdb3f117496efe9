#include "crypto/sha1.h"

#include "crypto/test_hex.h"
#include "tern_test.h"

/* FIPS 180-4's examples, and RFC 6455's of a WebSocket key. */
static void known_digests(void **state)
{
    (void)state;
    static const struct {
        const char *parts[2];
        const char *digest;
    } cases[] = {
        {{"", ""}, "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
        {{"abc", ""}, "a9993e364706816aba3e25717850c26c9cd0d89d"},
        {{"a", "bc"}, "a9993e364706816aba3e25717850c26c9cd0d89d"},
        {{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmno", "mnopnopq"},
         "84983e441c3bd26ebaae4aa1f95129e5e54670f1"},
        {{"dGhlIHNhbXBsZSBub25jZQ==", "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"},
         "b37a4f2cc0624f1690f64606cf385945b2bec4ea"},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        const struct tern_view parts[2] = {tern_view_str(cases[i].parts[0]),
                                           tern_view_str(cases[i].parts[1])};
        uint8_t digest[TERN_SHA1_SIZE];
        tern_sha1_parts(parts, 2, digest);
        assert_memory_equal(digest, TEST_HEX(cases[i].digest, sizeof digest).data, sizeof digest);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(known_digests)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
