#include "webrtc/message.h"

#include "tern_test.h"

#include "base/random.h"
#include "crypto/test_hex.h"
#include "golden.h"
#include "webrtc/data_channel.h"

/* What a decoder makes of an input that comes in pieces, as a line: bytes in hexadecimal, flags by
 * name. */
static void read_pieces(struct golden *golden, struct tern_view in, size_t piece)
{
    static const char *const flags[] = {"FIN", "STOP_SENDING", "RESET", "FIN_ACK"};
    struct tern_message_decoder d = {.state = TERN_MESSAGE_LENGTH};
    char line[4096];
    struct tern_writer w = tern_writer_of(line, sizeof line);
    bool data = false;
    for (size_t at = 0; at < in.size;) {
        struct tern_view part = tern_view_part(in, at, tern_min_size(piece, in.size - at));
        struct tern_view bytes;
        at += part.size;
        enum tern_message_news news;
        while ((news = tern_message_decode(&d, &part, &bytes)) != TERN_MESSAGE_MORE) {
            if (news == TERN_MESSAGE_MALFORMED) {
                tern_writer_str(&w, " malformed");
                at = in.size;
                break;
            }
            if (news == TERN_MESSAGE_DATA) {
                tern_writer_str(&w, data ? "" : " ");
                tern_writer_hex(&w, bytes);
            } else {
                tern_writer_str(&w, " ");
                tern_writer_str(&w, flags[d.flag]);
                if (d.code != 0) {
                    tern_writer_str(&w, " ");
                    tern_writer_decimal(&w, d.code);
                }
            }
            data = news == TERN_MESSAGE_DATA;
        }
    }
    if (!tern_message_between(&d))
        tern_writer_str(&w, " …");
    assert_true(tern_writer_terminate(&w));
    golden_line(golden, "%s", line);
}

static const struct {
    const char *hex;
    const char *text;
} read_rows[] = {
    {"", ""},
    {"00", ""}, /* an empty message */
    {"0612046162636"
     "4",
     " 61626364"},
    {"020800", " FIN"},
    {"020801", " STOP_SENDING"},
    {"020802", " RESET"},
    {"020803", " FIN_ACK"},
    {"020804", ""}, /* flags that are not known are none */
    {"050880808001", ""},
    {"0608021880ac0a", " RESET 169472"},
    {"050800120161", " 61 FIN"}, /* a flag counts behind the bytes */
    {"051201610800", " 61 FIN"},
    {"021200", ""},                                       /* no bytes */
    {"0408010800", " FIN"},                               /* the last one counts */
    {"0612046162636402080003120165", " 61626364 FIN 65"}, /* several in a row */
    {"08"
     "2a0261622d01020304",
     " malformed"}, /* a field that goes over the end */
    {"09"
     "2a0261622d01020304"
     "020800",
     " FIN"}, /* fields that are not known */
    {"09"
     "310102030405060708"
     "020803",
     " FIN_ACK"},
    {"03"
     "289601"
     "020803",
     " FIN_ACK"},
    {"07"
     "1201611201"
     "62"
     "00",
     " 61 malformed"},        /* bytes twice */
    {"020a00", " malformed"}, /* a flag that is bytes */
    {"031001"
     "00",
     " malformed"},         /* bytes that are a number */
    {"0108", " malformed"}, /* a field without its value */
    {"0112", " malformed"},
    {"021205", " malformed"}, /* bytes longer than the message */
    {"0208"
     "80",
     " malformed"},           /* a number that goes over the end */
    {"020000", " malformed"}, /* field 0 */
    {"012b", " malformed"},   /* groups */
    {"012c", " malformed"},
    {"0b08ffffffffffffffffff01", ""},             /* a number of ten bytes */
    {"0c08ffffffffffffffffffff01", " malformed"}, /* of eleven */
    {"06"
     "8080808010"
     "00",
     " malformed"},           /* a field's number over 2^29 */
    {"818810", " malformed"}, /* longer than anything that is sent */
    {"ffffffffffffffffffff01", " malformed"},
    {"061204616263", " 616263 …"}, /* cut */
    {"80", " …"},
};

static void messages_are_read_however_they_are_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(read_rows); i++) {
        struct tern_view in = TEST_HEX(read_rows[i].hex, 64);
        for (size_t piece = 1; piece <= 64; piece++) {
            struct golden golden;
            golden_init(&golden);
            read_pieces(&golden, in, piece);
            char expected[128];
            struct tern_writer w = tern_writer_of(expected, sizeof expected);
            tern_writer_str(&w, read_rows[i].text);
            bool malformed = strstr(read_rows[i].text, "malformed") != NULL;
            /* Where the input ends does not count when it cannot be read. */
            if (malformed && golden.size > 5 &&
                memcmp(golden.text + golden.size - 5, " …\n", 5) == 0) {
                golden.size -= 4;
                golden.text[golden.size - 1] = '\n';
                golden.text[golden.size] = 0;
            }
            tern_writer_str(&w, "\n");
            assert_true(tern_writer_terminate(&w));
            golden_expect(&golden, expected);
            golden_fini(&golden);
        }
    }
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 127, 128, 1125, 4000, TERN_MESSAGE_BYTES_MAX};
    for (size_t i = 0; i < TERN_COUNT_OF(sizes); i++) {
        uint8_t head[TERN_MESSAGE_HEAD_MAX];
        struct tern_writer w = tern_writer_of(head, sizeof head);
        tern_message_encode_bytes(sizes[i], &w);
        assert_true(tern_writer_ok(&w));
        assert_true(w.size + sizes[i] <= TERN_MESSAGE_SIZE_MAX);
        struct tern_message_decoder d = {.state = TERN_MESSAGE_LENGTH};
        struct tern_view in = tern_writer_view(&w);
        struct tern_view bytes;
        assert_int_equal(tern_message_decode(&d, &in, &bytes), TERN_MESSAGE_MORE);
        assert_int_equal(d.state, TERN_MESSAGE_BYTES);
        assert_int_equal(d.part_left, sizes[i]);
        assert_int_equal(d.left, sizes[i]);
    }
    static const uint32_t codes[] = {0, 1, 127, 128, 0x1002, UINT32_MAX};
    for (enum tern_message_flag flag = 0; flag < TERN_MESSAGE_NO_FLAG; flag++) {
        for (size_t i = 0; i < TERN_COUNT_OF(codes); i++) {
            uint8_t head[TERN_MESSAGE_HEAD_MAX];
            struct tern_writer w = tern_writer_of(head, sizeof head);
            tern_message_encode_flag(flag, codes[i], &w);
            assert_true(tern_writer_ok(&w));
            struct tern_message_decoder d = {.state = TERN_MESSAGE_LENGTH};
            struct tern_view in = tern_writer_view(&w);
            struct tern_view bytes;
            assert_int_equal(tern_message_decode(&d, &in, &bytes), TERN_MESSAGE_FLAGGED);
            assert_int_equal(d.flag, flag);
            assert_int_equal(d.code, codes[i]);
            assert_int_equal(tern_message_decode(&d, &in, &bytes), TERN_MESSAGE_MORE);
            assert_true(tern_message_between(&d));
        }
    }
}

/* ---- DCEP ---- */

static void channels_are_opened_as_browsers_do(void **state)
{
    (void)state;
    uint8_t buffer[TERN_DCEP_OPEN_SIZE];
    struct tern_writer w = tern_writer_of(buffer, sizeof buffer);
    tern_dcep_encode(TERN_DCEP_OPEN, &w);
    assert_true(tern_view_equal(tern_writer_view(&w), TEST_HEX("030001000000000000000000", 16)));
    w = tern_writer_of(buffer, sizeof buffer);
    tern_dcep_encode(TERN_DCEP_ACK, &w);
    assert_true(tern_view_equal(tern_writer_view(&w), TEST_HEX("02", 16)));
}

static void messages_of_dcep_are_held_to_their_form(void **state)
{
    (void)state;
    static const struct {
        const char *hex;
        bool good;
        bool reliable;
    } rows[] = {
        {"030001000000000000000000", true, true},
        {"03000100000000000003000461626370726f74", true, true}, /* a label and a protocol */
        {"030101000000000500000000", true, false},              /* so many retransmissions */
        {"038001000000000000000000", true, false},              /* unordered */
        {"030001000000000000000001", false, false},             /* the protocol is missing */
        {"03000100000000000000000061", false, false},           /* something is left over */
        {"0300010000000000ffff0000", false, false},
        {"0300010000000000000000", false, false}, /* cut */
        {"03", false, false},
        {"02", true, false},
        {"02000000", true, false}, /* as pion sends it */
        {"01", false, false},
        {"04", false, false},
        {"", false, false},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++) {
        struct tern_dcep dcep;
        tern_err err = tern_dcep_decode(TEST_HEX(rows[i].hex, 64), &dcep);
        assert_int_equal(err, rows[i].good ? TERN_OK : TERN_ERR_MALFORMED);
        if (rows[i].good)
            assert_int_equal(dcep.reliable, rows[i].reliable);
    }
}

static void numbers_belong_to_the_client_or_the_server(void **state)
{
    (void)state;
    assert_int_equal(tern_channel_first(false), 2);
    assert_int_equal(tern_channel_first(true), 1);
    for (uint32_t i = 0; i <= UINT16_MAX; i++) {
        bool usable = i != 0 && i != UINT16_MAX;
        assert_int_equal(tern_channel_is_theirs((uint16_t)i, true), usable && i % 2 == 0);
        assert_int_equal(tern_channel_is_theirs((uint16_t)i, false), usable && i % 2 == 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_read_however_they_are_cut),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(channels_are_opened_as_browsers_do),
        cmocka_unit_test(messages_of_dcep_are_held_to_their_form),
        cmocka_unit_test(numbers_belong_to_the_client_or_the_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
