/* RESET_STREAM_AT becomes RESET_STREAM, wherever it stands among other frames. */
#include "quic/quic_partial_reset.h"

#include "quic/quic_number.h"
#include "tern_test.h"

/* RESET_STREAM_AT { stream 4, code 7, final size 300, reliable size 3 } and what becomes of it. */
#define AT    0x24, 0x04, 0x07, 0x41, 0x2c, 0x03
#define PLAIN 0x04, 0x04, 0x07, 0x41, 0x2c, 0x00

static void it_is_found_among_all_frames(void **state)
{
    static const struct {
        uint8_t before[48];
        uint8_t size;
    } rows[] = {
        {{0x00, 0x00, 0x00}, 3},                         /* PADDING */
        {{0x01}, 1},                                     /* PING */
        {{0x02, 0x0a, 0x00, 0x01, 0x02, 0x03, 0x04}, 7}, /* ACK of two ranges */
        {{0x03, 0x0a, 0x00, 0x00, 0x02, 0x24, 0x24, 0x24}, 8},
        {{0x04, 0x24, 0x24, 0x24}, 4},       /* RESET_STREAM */
        {{0x05, 0x24, 0x24}, 3},             /* STOP_SENDING */
        {{0x06, 0x00, 0x02, 0x24, 0x24}, 5}, /* CRYPTO */
        {{0x07, 0x01, 0x24}, 3},             /* NEW_TOKEN */
        {{0x0a, 0x24, 0x02, 0x24, 0x24}, 5}, /* STREAM with a length */
        {{0x0f, 0x24, 0x05, 0x01, 0x24}, 5}, /* and an offset, and the end */
        {{0x10, 0x24, 0x11, 0x24, 0x24, 0x12, 0x24, 0x13, 0x24}, 9},
        {{0x14, 0x24, 0x15, 0x24, 0x24, 0x16, 0x24, 0x17, 0x24}, 9},
        {{0x18, 0x01, 0x00, 0x01, 0x24, 0x24, 0x24, 0x24, 0x24, 0x24, 0x24,
          0x24, 0x24, 0x24, 0x24, 0x24, 0x24, 0x24, 0x24, 0x24, 0x24},
         21}, /* NEW_CONNECTION_ID */
        {{0x19, 0x24}, 2},
        {{0x1a, 0x24, 0x24, 0x24, 0x24, 0x24, 0x24, 0x24, 0x24}, 9},
        {{0x1b, 0x24, 0x24, 0x24, 0x24, 0x24, 0x24, 0x24, 0x24}, 9},
        {{0x1e}, 1},
        {{0x31, 0x02, 0x24, 0x24}, 4}, /* DATAGRAM with a length */
        {{AT}, 0},
    };
    static const uint8_t at[] = {AT};
    static const uint8_t plain[] = {PLAIN};
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++) {
        uint8_t bytes[64];
        size_t size = rows[i].size;
        memcpy(bytes, rows[i].before, size);
        memcpy(bytes + size, at, sizeof at);
        memcpy(bytes + size + sizeof at, at, sizeof at);
        quic_partial_reset_rewrite(bytes, size + 2 * sizeof at);
        assert_memory_equal(bytes, rows[i].before, size);
        assert_memory_equal(bytes + size, plain, sizeof plain);
        assert_memory_equal(bytes + size + sizeof at, plain, sizeof plain);
    }
}

static void what_is_not_sure_stays_as_it_is(void **state)
{
    static const struct {
        uint8_t bytes[16];
        uint8_t size;
    } rows[] = {
        {{0x24, 0x04, 0x07, 0x02, 0x03}, 5}, /* promises more than there is */
        {{0x24, 0x04, 0x07, 0x41}, 4},       /* cut */
        {{0x08, 0x04, AT}, 8},               /* STREAM to the end of the packet */
        {{0x30, AT}, 7},                     /* DATAGRAM likewise */
        {{0x1c, 0x00, 0x00, 0x00, AT}, 10},  /* behind the end of all */
        {{0x1f, AT}, 7},                     /* unknown */
        {{0x40, 0x99, AT}, 8},
        {{0x06, 0x00, 0x20, AT}, 9},              /* longer than the packet */
        {{0x02, 0x0a, 0x00, 0x7f, 0xff, AT}, 11}, /* ranges that are not there */
    };
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++) {
        uint8_t bytes[16];
        memcpy(bytes, rows[i].bytes, sizeof bytes);
        quic_partial_reset_rewrite(bytes, rows[i].size);
        assert_memory_equal(bytes, rows[i].bytes, sizeof bytes);
    }
    quic_partial_reset_rewrite(NULL, 0);
}

/* Numbers that are not in their shortest form leave room, which is padding then. */
static void long_numbers_leave_padding(void **state)
{
    uint8_t bytes[] = {0x40, 0x24, 0x40, 0x04, 0x40, 0x07, 0x80, 0, 0, 9, 0x40, 0x03, 0x01};
    static const uint8_t expected[] = {0x04, 0x04, 0x07, 0x09, 0, 0, 0, 0, 0, 0, 0, 0, 0x01};
    (void)state;
    quic_partial_reset_rewrite(bytes, sizeof bytes);
    assert_memory_equal(bytes, expected, sizeof bytes);
}

static void it_is_offered_twice(void **state)
{
    static const uint8_t expected[] = {0x1d, 0x00, 0xc0, 0x17, 0xf7, 0x58,
                                       0x6d, 0x2c, 0xb5, 0x71, 0x00};
    uint8_t bytes[16];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    (void)state;
    quic_partial_reset_offer(&w);
    assert_int_equal(w.size, sizeof expected);
    assert_memory_equal(bytes, expected, sizeof expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_found_among_all_frames),
        cmocka_unit_test(what_is_not_sure_stays_as_it_is),
        cmocka_unit_test(long_numbers_leave_padding),
        cmocka_unit_test(it_is_offered_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
