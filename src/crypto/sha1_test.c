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

/* RFC 2202, section 3. Keys and messages that are one byte repeated stand as that byte and a count.
 */
struct row {
    const char *key;
    size_t key_repeat;
    const char *message;
    size_t message_repeat;
    const char *mac;
};

static const struct row rows[] = {
    {"\x0b", 20, "Hi There", 1, "b617318655057264e28bc0b6fb378c8ef146be00"},
    {"Jefe", 1, "what do ya want for nothing?", 1, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"},
    {"\xaa", 20, "\xdd", 50, "125d7342b9ac11cd91a39af48aa17b4f63f175d3"},
    {"\x0c", 20, "Test With Truncation", 1, "4c1a03424b55e07fe7f27be1d58bb9324a9a5a04"},
    {"\xaa", 80, "Test Using Larger Than Block-Size Key - Hash Key First", 1,
     "aa4ae5e15272d00e95705637ce8a3b55ed402112"},
    {"\xaa", 80, "Test Using Larger Than Block-Size Key and Larger Than One Block-Size Data", 1,
     "e8e99d0f45237d786d6bbaa7965c7808bbff1a91"},
};

static struct tern_view repeat(const char *text, size_t count, uint8_t buffer[128])
{
    size_t size = strlen(text);
    for (size_t i = 0; i < count; i++)
        memcpy(buffer + i * size, text, size);
    return tern_view_of(buffer, count * size);
}

static void macs_are_those_of_rfc_2202(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++) {
        uint8_t key[128];
        uint8_t message[128];
        uint8_t mac[TERN_SHA1_SIZE];
        struct tern_view part = repeat(rows[i].message, rows[i].message_repeat, message);
        tern_hmac_sha1_parts(repeat(rows[i].key, rows[i].key_repeat, key), &part, 1, mac);
        assert_true(tern_view_equal(tern_view_of(mac, sizeof mac), TEST_HEX(rows[i].mac, 32)));
    }
}

static void a_message_may_come_in_any_pieces(void **state)
{
    (void)state;
    uint8_t message[150];
    for (size_t i = 0; i < sizeof message; i++)
        message[i] = (uint8_t)(i * 31);
    struct tern_view key = tern_view_str("a key");
    const struct tern_view all = {message, sizeof message};
    uint8_t whole[TERN_SHA1_SIZE];
    tern_hmac_sha1_parts(key, &all, 1, whole);
    for (size_t cut = 0; cut <= sizeof message; cut++) {
        const struct tern_view parts[] = {
            {message, cut}, {NULL, 0}, {message + cut, sizeof message - cut}};
        uint8_t mac[TERN_SHA1_SIZE];
        tern_hmac_sha1_parts(key, parts, TERN_COUNT_OF(parts), mac);
        assert_memory_equal(mac, whole, sizeof whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_digests),
        cmocka_unit_test(macs_are_those_of_rfc_2202),
        cmocka_unit_test(a_message_may_come_in_any_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
