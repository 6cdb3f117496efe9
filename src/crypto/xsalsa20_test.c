#include "crypto/xsalsa20.h"

#include <stdlib.h>

#include "base/random.h"
#include "crypto/sha256.h"
#include "crypto/test_hex.h"
#include "tern_test.h"

#define NACL_KEY   "1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389"
#define NACL_NONCE "69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37"

static void begin(struct tern_xsalsa20 *stream)
{
    tern_xsalsa20_init(stream, TEST_HEX(NACL_KEY, TERN_XSALSA20_KEY_SIZE).data,
                       TEST_HEX(NACL_NONCE, TERN_XSALSA20_NONCE_SIZE).data);
}

/* NaCl's tests, stream3 and stream. */
static void the_published_key_stream(void **state)
{
    (void)state;
    enum { SIZE = 4194304 };
    uint8_t *bytes = calloc(1, SIZE);
    uint8_t digest[TERN_SHA256_SIZE];
    struct tern_xsalsa20 stream;
    assert_non_null(bytes);
    begin(&stream);
    tern_xsalsa20_xor(&stream, (struct tern_span){bytes, SIZE});
    assert_memory_equal(
        bytes,
        TEST_HEX("eea6a7251c1e72916d11c2cb214d3c252539121d8e234e652d651fa4c8cff880", 32).data, 32);
    const struct tern_view whole = tern_view_of(bytes, SIZE);
    tern_sha256_parts(&whole, 1, digest);
    assert_memory_equal(
        digest,
        TEST_HEX("662b9d0e3463029156069b12f918691a98f7dfb2ca0393c96bbfc6b1fbd630a2", 32).data, 32);
    free(bytes);
}

static void pieces_of_any_size_give_the_same(void **state)
{
    (void)state;
    static uint8_t whole[3000];
    struct tern_random random;
    struct tern_xsalsa20 stream;
    memset(whole, 0, sizeof whole);
    begin(&stream);
    tern_xsalsa20_xor(&stream, (struct tern_span){whole, sizeof whole});
    for (uint64_t seed = 1; seed <= 100; seed++) {
        uint8_t parts[sizeof whole] = {0};
        size_t at = 0;
        tern_random_init_u64(&random, seed);
        begin(&stream);
        while (at < sizeof parts) {
            size_t size = (size_t)tern_random_below(&random, seed % 2 == 0 ? 10 : 300);
            size = tern_min_size(size, sizeof parts - at);
            tern_xsalsa20_xor(&stream, (struct tern_span){parts + at, size});
            at += size;
        }
        assert_memory_equal(parts, whole, sizeof whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_key_stream),
        cmocka_unit_test(pieces_of_any_size_give_the_same),
    };
    return cmocka_run_group_tests_name("xsalsa20", tests, NULL, NULL);
}
