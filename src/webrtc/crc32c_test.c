#include "webrtc/crc32c.h"

#include "tern_test.h"

#include "base/random.h"

/* RFC 3720, appendix B.4, and the check value of the polynomial. */
static void sums_are_those_of_the_standard(void **state)
{
    (void)state;
    uint8_t zeros[32] = {0};
    uint8_t ones[32];
    uint8_t rising[32];
    uint8_t falling[32];
    memset(ones, 0xff, sizeof ones);
    for (size_t i = 0; i < 32; i++) {
        rising[i] = (uint8_t)i;
        falling[i] = (uint8_t)(31 - i);
    }
    const struct {
        struct tern_view bytes;
        uint32_t sum;
    } rows[] = {
        {{zeros, 32}, 0x8a9136aa},
        {{ones, 32}, 0x62a8ab43},
        {{rising, 32}, 0x46dd794e},
        {{falling, 32}, 0x113fdb5c},
        {{NULL, 0}, 0},
        {tern_view_str("123456789"), 0xe3069283},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++) {
        assert_int_equal(tern_crc32c(&rows[i].bytes, 1), rows[i].sum);
        assert_int_equal(tern_crc32c_portable(&rows[i].bytes, 1), rows[i].sum);
    }
}

static void both_ways_agree_on_any_pieces(void **state)
{
    (void)state;
    uint8_t bytes[300];
    struct tern_random random;
    tern_random_init_u64(&random, 5);
    tern_random_bytes(&random, bytes, sizeof bytes);
    for (size_t size = 0; size <= sizeof bytes; size++) {
        const struct tern_view all = {bytes, size};
        uint32_t sum = tern_crc32c(&all, 1);
        assert_int_equal(tern_crc32c_portable(&all, 1), sum);
        size_t a = tern_random_below(&random, size + 1);
        size_t b = a + tern_random_below(&random, size - a + 1);
        const struct tern_view parts[] = {{bytes, a}, {bytes + a, b - a}, {bytes + b, size - b}};
        assert_int_equal(tern_crc32c(parts, TERN_COUNT_OF(parts)), sum);
        assert_int_equal(tern_crc32c_portable(parts, TERN_COUNT_OF(parts)), sum);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_those_of_the_standard),
        cmocka_unit_test(both_ways_agree_on_any_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
