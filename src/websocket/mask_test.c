#include "websocket/mask.h"

#include "base/random.h"
#include "tern_test.h"

enum { SIZE_MAX_TESTED = 400, ALIGNMENTS = 17 };

static void slow_mask(uint8_t *bytes, size_t size, const uint8_t *key, size_t phase)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] ^= key[(phase + i) % 4];
}

static void every_size_phase_and_alignment_is_masked_as_byte_by_byte(void **state)
{
    (void)state;
    static const uint8_t key[] = {0x37, 0xfa, 0x21, 0x3d};
    uint8_t bytes[ALIGNMENTS + SIZE_MAX_TESTED + 8];
    uint8_t expected[sizeof bytes];
    struct tern_random random;
    tern_random_init_u64(&random, 1);
    for (size_t size = 0; size <= SIZE_MAX_TESTED; size++) {
        for (size_t at = 0; at < ALIGNMENTS; at++) {
            tern_random_bytes(&random, bytes, sizeof bytes);
            memcpy(expected, bytes, sizeof bytes);
            size_t phase = (size + at) % 7;
            slow_mask(expected + at, size, key, phase);
            tern_websocket_mask((struct tern_span){bytes + at, size}, key, phase);
            assert_memory_equal(bytes, expected, sizeof bytes);
        }
    }
}

/* The example of RFC 6455, section 5.7. */
static void a_masked_hello_is_as_in_the_specification(void **state)
{
    (void)state;
    static const uint8_t key[] = {0x37, 0xfa, 0x21, 0x3d};
    uint8_t text[] = {0x7f, 0x9f, 0x4d, 0x51, 0x58};
    tern_websocket_mask((struct tern_span){text, sizeof text}, key, 0);
    assert_memory_equal(text, "Hello", 5);
}

static void pieces_are_masked_as_the_whole(void **state)
{
    (void)state;
    static const uint8_t key[] = {1, 2, 3, 4};
    struct tern_random random;
    uint8_t whole[1000];
    uint8_t pieces[1000];
    tern_random_init_u64(&random, 2);
    for (int round = 0; round < 200; round++) {
        tern_random_bytes(&random, whole, sizeof whole);
        memcpy(pieces, whole, sizeof whole);
        slow_mask(whole, sizeof whole, key, 0);
        size_t done = 0;
        while (done < sizeof pieces) {
            size_t size = 1 + tern_random_below(&random, sizeof pieces - done);
            tern_websocket_mask((struct tern_span){pieces + done, size}, key, done);
            done += size;
        }
        assert_memory_equal(pieces, whole, sizeof whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size_phase_and_alignment_is_masked_as_byte_by_byte),
        cmocka_unit_test(a_masked_hello_is_as_in_the_specification),
        cmocka_unit_test(pieces_are_masked_as_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
