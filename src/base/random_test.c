#include "base/random.h"

#include "tern_test.h"

/* The first block of ChaCha20 with an all-zero key, nonce and counter (RFC 8439, appendix A.1, test
 * vector 1): its first half is the next key, its second half the first output. */
static void the_stream_is_chacha20_whose_first_half_block_is_the_next_key(void **state)
{
    (void)state;
    static const uint8_t second_half[32] = {0xda, 0x41, 0x59, 0x7c, 0x51, 0x57, 0x48, 0x8d,
                                            0x77, 0x24, 0xe0, 0x3f, 0xb8, 0xd8, 0x4a, 0x37,
                                            0x6a, 0x43, 0xb8, 0xf4, 0x15, 0x18, 0xa1, 0x1c,
                                            0xc3, 0x87, 0xb6, 0x69, 0xb2, 0xee, 0x65, 0x86};
    static const uint8_t first_half[32] = {0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90,
                                           0x40, 0x5d, 0x6a, 0xe5, 0x53, 0x86, 0xbd, 0x28,
                                           0xbd, 0xd2, 0x19, 0xb8, 0xa0, 0x8d, 0xed, 0x1a,
                                           0xa8, 0x36, 0xef, 0xcc, 0x8b, 0x77, 0x0d, 0xc7};
    uint8_t seed[TERN_RANDOM_SEED_SIZE] = {0};
    uint8_t out[32];
    struct tern_random random;
    tern_random_init(&random, seed);
    tern_random_bytes(&random, out, sizeof(out));
    assert_memory_equal(out, second_half, sizeof(out));

    /* After the whole pool the next key is in use. */
    uint8_t rest[TERN_RANDOM_POOL_SIZE - TERN_RANDOM_SEED_SIZE - sizeof(out)];
    tern_random_bytes(&random, rest, sizeof(rest));
    struct tern_random next;
    tern_random_init(&next, first_half);
    uint8_t expected[100];
    uint8_t got[100];
    tern_random_bytes(&next, expected, sizeof(expected));
    tern_random_bytes(&random, got, sizeof(got));
    assert_memory_equal(got, expected, sizeof(got));
}

static void used_output_is_wiped(void **state)
{
    (void)state;
    struct tern_random random;
    tern_random_init_u64(&random, 5);
    uint8_t out[100];
    tern_random_bytes(&random, out, sizeof(out));
    for (size_t i = 0; i < sizeof(out); i++)
        assert_int_equal(random.pool[TERN_RANDOM_SEED_SIZE + i], 0);
}

static void the_stream_does_not_depend_on_how_it_is_cut(void **state)
{
    (void)state;
    struct tern_random whole;
    struct tern_random cut;
    tern_random_init_u64(&whole, 42);
    tern_random_init_u64(&cut, 42);
    uint8_t a[3000];
    uint8_t b[3000];
    tern_random_bytes(&whole, a, sizeof(a));
    size_t at = 0;
    for (size_t size = 0; at < sizeof(b); size = (size * 7 + 1) % 611) {
        size_t take = tern_min_size(size, sizeof(b) - at);
        tern_random_bytes(&cut, b + at, take);
        at += take;
    }
    assert_memory_equal(a, b, sizeof(a));
}

static void seeds_and_forks_give_different_streams(void **state)
{
    (void)state;
    struct tern_random random;
    uint64_t values[4];
    tern_random_init_u64(&random, 1);
    struct tern_random child;
    tern_random_fork(&random, &child);
    values[0] = tern_random_u64(&random);
    values[1] = tern_random_u64(&child);
    tern_random_fork(&random, &child);
    values[2] = tern_random_u64(&child);
    tern_random_init_u64(&random, 2);
    values[3] = tern_random_u64(&random);
    for (size_t i = 0; i < 4; i++) {
        for (size_t j = 0; j < i; j++)
            assert_true(values[i] != values[j]);
    }
}

static void below_is_even_and_in_range(void **state)
{
    (void)state;
    enum { BOUND = 7, DRAWS = 70000 };
    struct tern_random random;
    tern_random_init_u64(&random, 3);
    unsigned counts[BOUND] = {0};
    for (int i = 0; i < DRAWS; i++) {
        uint64_t value = tern_random_below(&random, BOUND);
        assert_true(value < BOUND);
        counts[value]++;
    }
    for (size_t i = 0; i < BOUND; i++) /* five standard deviations of 93 */
        assert_in_range(counts[i], DRAWS / BOUND - 465, DRAWS / BOUND + 465);
    for (int i = 0; i < 100; i++) {
        assert_true(tern_random_below(&random, 1) == 0);
        assert_true(tern_random_below(&random, UINT64_MAX) < UINT64_MAX);
        assert_true(tern_random_below(&random, (UINT64_C(1) << 63) + 1) <= UINT64_C(1) << 63);
    }
}

static void chances_come_true_as_often_as_they_should(void **state)
{
    (void)state;
    struct tern_random random;
    tern_random_init_u64(&random, 4);
    unsigned count = 0;
    for (int i = 0; i < 10000; i++) {
        count += tern_random_chance(&random, 1, 4);
        assert_false(tern_random_chance(&random, 0, 9));
        assert_true(tern_random_chance(&random, 9, 9));
    }
    assert_in_range(count, 2500 - 217, 2500 + 217);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_stream_is_chacha20_whose_first_half_block_is_the_next_key),
        cmocka_unit_test(used_output_is_wiped),
        cmocka_unit_test(the_stream_does_not_depend_on_how_it_is_cut),
        cmocka_unit_test(seeds_and_forks_give_different_streams),
        cmocka_unit_test(below_is_even_and_in_range),
        cmocka_unit_test(chances_come_true_as_often_as_they_should),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
