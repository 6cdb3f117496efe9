/*
 * Bytes on the wire, held against the specification and against the sequences that go-yamux and
 * rust-yamux are seen to send.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
/* cmocka.h needs those first. */
#include <cmocka.h>

#include "mux/yamux_lone.h"

static const struct tern_yamux_options dialer = {.initiator = true};
static const struct tern_yamux_options listener = {.initiator = false};

/* expect_out compares what the last pull gave with hexadecimal text; spaces are for the reader. */
static void expect_out(const struct yamux_lone *lone, const char *expected)
{
    static const char digits[] = "0123456789abcdef";
    static char text[3 * YAMUX_LONE_OUT_MAX];
    size_t size = 0;
    for (size_t i = 0; i < lone->out_size; i++) {
        text[size++] = digits[lone->out[i] >> 4];
        text[size++] = digits[lone->out[i] & 15];
    }
    text[size] = '\0';
    static char wanted[4096];
    size_t wanted_size = 0;
    for (const char *p = expected; *p != '\0'; p++) {
        if (*p != ' ')
            wanted[wanted_size++] = *p;
    }
    wanted[wanted_size] = '\0';
    assert_string_equal(text, wanted);
}

static tern_err feed_hex(struct yamux_lone *lone, const char *hex)
{
    uint8_t bytes[1024];
    size_t nibbles = 0;
    for (const char *p = hex; *p != '\0'; p++) {
        if (*p == ' ')
            continue;
        unsigned digit = (unsigned)(*p <= '9' ? *p - '0' : *p - 'a' + 10);
        if (nibbles % 2 == 0)
            bytes[nibbles / 2] = (uint8_t)(digit << 4);
        else
            bytes[nibbles / 2] = (uint8_t)(bytes[nibbles / 2] | digit);
        nibbles++;
    }
    return yamux_lone_feed(lone, bytes, nibbles / 2);
}

static void headers_have_the_layout_of_the_specification(void **state)
{
    (void)state;
    uint8_t bytes[12];
    struct tern_writer w = tern_writer_of(bytes, sizeof(bytes));
    const struct tern_yamux_header header = {.type = TERN_YAMUX_WINDOW_UPDATE,
                                             .flags = 0x0a0b,
                                             .stream_id = 0x01020304,
                                             .length = 0xf1f2f3f4};
    tern_yamux_header_write(&w, &header);
    const uint8_t expected[] = {0, 1, 0x0a, 0x0b, 1, 2, 3, 4, 0xf1, 0xf2, 0xf3, 0xf4};
    assert_memory_equal(bytes, expected, sizeof(expected));
    struct tern_yamux_header back = tern_yamux_header_decode(bytes);
    assert_int_equal(back.version, 0);
    assert_int_equal(back.type, header.type);
    assert_int_equal(back.flags, header.flags);
    assert_int_equal(back.stream_id, header.stream_id);
    assert_int_equal(back.length, header.length);
}

static void a_session_begins_with_a_ping(void **state)
{
    (void)state;
    struct yamux_lone *lone = yamux_lone_new(dialer);
    expect_out(lone, "00 02 0001 00000000 00000001");
    lone->now += 25 * TERN_MILLISECOND;
    assert_int_equal(feed_hex(lone, "00 02 0002 00000000 00000001"), TERN_OK);
    assert_int_equal(yamux_lone_count(lone, TERN_MUX_RTT), 1);
    assert_int_equal(lone->log[0].rtt_ns, 25 * TERN_MILLISECOND);
    yamux_lone_free(lone);
}

/* SYN rides on the data; the answer's ACK does too; FIN goes alone. */
static void a_request_and_its_answer_as_dialer(void **state)
{
    (void)state;
    struct yamux_lone *lone = yamux_lone_new(dialer);
    const struct tern_mux_ops *ops = lone->mux.ops;
    tern_stream_id id;
    assert_int_equal(ops->open(lone->mux.self, TERN_STREAM_BULK, &id), TERN_OK);
    yamux_lone_write(lone, id, 'a', 3);
    yamux_lone_pull(lone, 1000);
    expect_out(lone, "00 00 0001 00000001 00000003 616161");
    yamux_lone_write(lone, id, 'b', 2);
    assert_int_equal(ops->close_write(lone->mux.self, id), TERN_OK);
    yamux_lone_pull(lone, 1000);
    expect_out(lone, "00 00 0000 00000001 00000002 6262  00 00 0004 00000001 00000000");
    assert_int_equal(feed_hex(lone, "00 00 0006 00000001 00000001 7a"), TERN_OK);
    assert_int_equal(yamux_lone_count(lone, TERN_MUX_READABLE), 1);
    assert_int_equal(yamux_lone_count(lone, TERN_MUX_CLOSED), 0);
    ops->consume(lone->mux.self, id, 1);
    yamux_lone_pull(lone, 1000);
    expect_out(lone, "");
    assert_int_equal(yamux_lone_count(lone, TERN_MUX_CLOSED), 1);
    yamux_lone_free(lone);
}

static void ids_are_odd_for_the_dialer_and_even_for_the_listener(void **state)
{
    (void)state;
    for (uint32_t first = 1; first <= 2; first++) {
        struct yamux_lone *lone = yamux_lone_new(first == 1 ? dialer : listener);
        tern_stream_id unused;
        for (uint32_t i = 0; i < 5; i++) {
            /* A stream that is opened and reset without a byte takes no number. */
            assert_int_equal(lone->mux.ops->open(lone->mux.self, TERN_STREAM_BULK, &unused),
                             TERN_OK);
            lone->mux.ops->reset(lone->mux.self, unused, 0);
            yamux_lone_open(lone, TERN_STREAM_BULK);
            assert_int_equal(lone->frames[0].stream_id, first + 2 * i);
            assert_int_equal(lone->frames[0].flags, TERN_YAMUX_SYN);
        }
        yamux_lone_free(lone);
    }
}

/* go-yamux opens with an empty window update, then data; it closes with FIN on a window update. */
static void go_yamux_opens_with_a_window_update(void **state)
{
    (void)state;
    struct yamux_lone *lone = yamux_lone_new(listener);
    assert_int_equal(feed_hex(lone, "00 01 0001 00000001 00000000"
                                    "00 00 0000 00000001 00000002 6869"
                                    "00 01 0004 00000001 00000000"),
                     TERN_OK);
    assert_int_equal(yamux_lone_count(lone, TERN_MUX_STREAM_OPENED), 1);
    tern_stream_id id = lone->log[0].stream;
    struct tern_slice bytes;
    assert_int_equal(lone->mux.ops->read(lone->mux.self, id, &bytes), TERN_OK);
    assert_memory_equal(bytes.view.data, "hi", 2);
    lone->mux.ops->consume(lone->mux.self, id, 2);
    assert_int_equal(lone->mux.ops->read(lone->mux.self, id, &bytes), TERN_ERR_END);
    /* ACK rides on the first data back. */
    yamux_lone_write(lone, id, 'y', 1);
    yamux_lone_pull(lone, 1000);
    expect_out(lone, "00 00 0002 00000001 00000001 79");
    yamux_lone_free(lone);
}

/* rust-yamux opens with data and may close in the same frame. */
static void rust_yamux_opens_with_data(void **state)
{
    (void)state;
    struct yamux_lone *lone = yamux_lone_new(listener);
    assert_int_equal(feed_hex(lone, "00 00 0001 00000003 00000002 6869"), TERN_OK);
    assert_int_equal(yamux_lone_count(lone, TERN_MUX_STREAM_OPENED), 1);
    assert_int_equal(yamux_lone_count(lone, TERN_MUX_READABLE), 1);
    /* With nothing to say, ACK goes on an empty window update at the next send. */
    yamux_lone_pull(lone, 1000);
    expect_out(lone, "00 01 0002 00000003 00000000");
    assert_false(lone->mux.ops->want_send(lone->mux.self));
    /* Everything in one frame. */
    assert_int_equal(feed_hex(lone, "00 00 0005 00000005 00000002 6869"), TERN_OK);
    assert_int_equal(yamux_lone_count(lone, TERN_MUX_STREAM_OPENED), 1);
    assert_int_equal(lone->mux.ops->unread(lone->mux.self, lone->log[0].stream), 2);
    /* And with neither data nor window. */
    assert_int_equal(feed_hex(lone, "00 01 0005 00000007 00000000"), TERN_OK);
    struct tern_slice bytes;
    assert_int_equal(lone->mux.ops->read(lone->mux.self, lone->log[0].stream, &bytes),
                     TERN_ERR_END);
    yamux_lone_free(lone);
}

static void a_syn_may_raise_the_window_at_once(void **state)
{
    (void)state;
    struct yamux_lone *lone = yamux_lone_new(listener);
    assert_int_equal(feed_hex(lone, "00 01 0001 00000001 00000010"), TERN_OK);
    tern_stream_id id = lone->log[0].stream;
    yamux_lone_write(lone, id, 'x', TERN_YAMUX_WINDOW_INITIAL + 100);
    size_t sent = 0;
    while (lone->mux.ops->want_send(lone->mux.self)) {
        yamux_lone_pull(lone, 65519);
        for (size_t i = 0; i < lone->frames_count; i++)
            sent += lone->frames[i].type == TERN_YAMUX_DATA ? lone->frames[i].length : 0;
    }
    assert_int_equal(sent, TERN_YAMUX_WINDOW_INITIAL + 16);
    yamux_lone_free(lone);
}

static void resets_carry_a_code_on_a_window_update(void **state)
{
    (void)state;
    struct yamux_lone *lone = yamux_lone_new(dialer);
    tern_stream_id id = yamux_lone_open(lone, TERN_STREAM_BULK);
    lone->mux.ops->reset(lone->mux.self, id, 0x1004);
    yamux_lone_pull(lone, 1000);
    expect_out(lone, "00 01 0008 00000001 00001004");
    yamux_lone_open(lone, TERN_STREAM_BULK);
    assert_int_equal(feed_hex(lone, "00 01 0008 00000003 12345678"), TERN_OK);
    assert_int_equal(yamux_lone_count(lone, TERN_MUX_RESET), 1);
    assert_int_equal(lone->log[0].code, 0x12345678);
    /* rust-yamux sends RST on empty data: no code. */
    yamux_lone_open(lone, TERN_STREAM_BULK);
    assert_int_equal(feed_hex(lone, "00 00 0008 00000005 00000000"), TERN_OK);
    assert_int_equal(yamux_lone_count(lone, TERN_MUX_RESET), 1);
    assert_int_equal(lone->log[0].code, 0);
    yamux_lone_free(lone);
}

static void frames_of_an_ended_stream_are_dropped(void **state)
{
    (void)state;
    struct yamux_lone *lone = yamux_lone_new(dialer);
    tern_stream_id id = yamux_lone_open(lone, TERN_STREAM_BULK);
    lone->mux.ops->reset(lone->mux.self, id, 1);
    yamux_lone_pull(lone, 1000);
    /* Data, credit, FIN, and RST that crossed ours; then another stream's frame is still read. */
    assert_int_equal(feed_hex(lone, "00 00 0002 00000001 00000003 010203"
                                    "00 01 0000 00000001 00001000"
                                    "00 00 0004 00000001 00000000"
                                    "00 01 0008 00000001 00000007"
                                    "00 00 0001 00000002 00000001 21"),
                     TERN_OK);
    assert_int_equal(lone->log_count, 2);
    assert_int_equal(lone->log[0].kind, TERN_MUX_STREAM_OPENED);
    assert_int_equal(lone->mux.ops->unread(lone->mux.self, lone->log[0].stream), 1);
    yamux_lone_free(lone);
}

/* go-yamux may send data behind FIN when write and close race; the reader has its end already. */
static void data_behind_fin_is_dropped(void **state)
{
    (void)state;
    struct yamux_lone *lone = yamux_lone_new(listener);
    assert_int_equal(feed_hex(lone, "00 00 0005 00000001 00000001 61"
                                    "00 00 0000 00000001 00000002 6262"
                                    "00 00 0004 00000001 00000000"),
                     TERN_OK);
    tern_stream_id id = lone->log[0].stream;
    assert_int_equal(lone->mux.ops->unread(lone->mux.self, id), 1);
    assert_int_equal(lone->mux.ops->error(lone->mux.self), TERN_OK);
    yamux_lone_free(lone);
}

static void pings_are_answered_with_their_value(void **state)
{
    (void)state;
    struct yamux_lone *lone = yamux_lone_new(listener);
    assert_int_equal(feed_hex(lone, "00 02 0001 00000000 deadbeef"
                                    "00 02 0001 00000000 00000002"
                                    "00 02 0000 00000000 00000003"),
                     TERN_OK);
    yamux_lone_pull(lone, 24);
    expect_out(lone, "00 02 0002 00000000 deadbeef 00 02 0002 00000000 00000002");
    yamux_lone_pull(lone, 1000);
    expect_out(lone, "00 02 0002 00000000 00000003");
    /* An answer to nothing is ignored. */
    assert_int_equal(feed_hex(lone, "00 02 0002 00000000 00000077"), TERN_OK);
    assert_int_equal(lone->log_count, 0);
    yamux_lone_free(lone);
}

static void goaway_goes_with_its_code_and_comes_once(void **state)
{
    (void)state;
    struct yamux_lone *lone = yamux_lone_new(listener);
    lone->mux.ops->goaway(lone->mux.self, 0x1006);
    yamux_lone_pull(lone, 1000);
    expect_out(lone, "00 03 0000 00000000 00001006");
    assert_int_equal(feed_hex(lone, "00 00 0001 00000001 00000001 61"), TERN_OK);
    assert_int_equal(lone->log_count, 0);
    yamux_lone_pull(lone, 1000);
    expect_out(lone, "00 01 0008 00000001 00001007");
    assert_int_equal(feed_hex(lone, "00 03 0000 00000000 00000002 00 03 0000 00000000 00000001"),
                     TERN_OK);
    assert_int_equal(lone->log_count, 1);
    assert_int_equal(lone->log[0].kind, TERN_MUX_GOAWAY);
    assert_int_equal(lone->log[0].code, 2);
    yamux_lone_free(lone);
}

static void an_update_goes_when_a_quarter_of_the_window_was_consumed(void **state)
{
    (void)state;
    struct yamux_lone *lone = yamux_lone_new(listener);
    tern_stream_id id = yamux_lone_accept(lone, 1);
    yamux_lone_pull(lone, 1000);
    struct tern_yamux_header data = {
        .type = TERN_YAMUX_DATA, .stream_id = 1, .length = 64 * 1024 - 1};
    assert_int_equal(yamux_lone_frame(lone, data, data.length), TERN_OK);
    lone->mux.ops->consume(lone->mux.self, id, data.length);
    assert_false(lone->mux.ops->want_send(lone->mux.self));
    assert_int_equal(feed_hex(lone, "00 00 0000 00000001 00000002 0000"), TERN_OK);
    assert_false(lone->mux.ops->want_send(lone->mux.self));
    lone->mux.ops->consume(lone->mux.self, id, 1);
    assert_true(lone->mux.ops->want_send(lone->mux.self));
    yamux_lone_pull(lone, 1000);
    expect_out(lone, "00 01 0000 00000001 00010000");
    /* Between the first consume and the send more may be consumed: one update for all. */
    data.length = 200 * 1024;
    assert_int_equal(yamux_lone_frame(lone, data, data.length), TERN_OK);
    lone->mux.ops->consume(lone->mux.self, id, 150 * 1024);
    lone->mux.ops->consume(lone->mux.self, id, 50 * 1024);
    yamux_lone_pull(lone, 1000);
    expect_out(lone, "00 01 0000 00000001 00032000");
    yamux_lone_free(lone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_have_the_layout_of_the_specification),
        cmocka_unit_test(a_session_begins_with_a_ping),
        cmocka_unit_test(a_request_and_its_answer_as_dialer),
        cmocka_unit_test(ids_are_odd_for_the_dialer_and_even_for_the_listener),
        cmocka_unit_test(go_yamux_opens_with_a_window_update),
        cmocka_unit_test(rust_yamux_opens_with_data),
        cmocka_unit_test(a_syn_may_raise_the_window_at_once),
        cmocka_unit_test(resets_carry_a_code_on_a_window_update),
        cmocka_unit_test(frames_of_an_ended_stream_are_dropped),
        cmocka_unit_test(data_behind_fin_is_dropped),
        cmocka_unit_test(pings_are_answered_with_their_value),
        cmocka_unit_test(goaway_goes_with_its_code_and_comes_once),
        cmocka_unit_test(an_update_goes_when_a_quarter_of_the_window_was_consumed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
