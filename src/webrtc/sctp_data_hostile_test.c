/*
 * What a remote may do with data, acknowledgements and resets, fault by fault. Known advisories of
 * other implementations are here by their numbers.
 */
#include "webrtc/sctp_hostile.h"

#include <stdio.h>

#include "tern_test.h"

#include "crypto/test_hex.h"

enum { B = SCTP_BEGIN, E = SCTP_END, U = SCTP_UNORDERED };

/* ---- data ---- */

static void data_that_are_none_end_it(void **state)
{
    (void)state;
    static const struct {
        const char *chunk;
        tern_fault fault;
    } rows[] = {
        {"00030010"
         "00000001"
         "00000000"
         "00000035",
         TERN_FAULT_WEBRTC_SCTP_NO_DATA},
        {"0003000f"
         "00000001"
         "00000000"
         "00000035",
         TERN_FAULT_WEBRTC_SCTP_CHUNK},
        {"00030004", TERN_FAULT_WEBRTC_SCTP_CHUNK},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++) {
        struct hostile *h = hostile_new(true);
        hostile_give_hex(h, rows[i].chunk);
        hostile_assert_ended(h, rows[i].fault);
        hostile_free(h);
    }
}

/* Rows of fragments, each of the next number: what no sender does. */
static void fragments_out_of_their_order_end_it(void **state)
{
    (void)state;
    struct fragment {
        uint8_t flags;
        uint32_t stream_ssn;
    };
    static const struct fragment rows[][3] = {
        {{E, 0}},                           /* the end of nothing */
        {{0, 0}},                           /* the middle of nothing */
        {{B, 0}, {B, 0}},                   /* two beginnings */
        {{B, 0}, {E, 0x10000}},             /* the end is in another stream */
        {{B, 0}, {E, 1}},                   /* in another message */
        {{B, 0}, {B | E, 0x10000}, {E, 0}}, /* something in between */
        {{B | E, 1}},                       /* not the first message of its stream */
        {{B | E, 0}, {B | E, 0}},           /* the same one twice */
        {{B | E, 0}, {B | E, 2}},           /* one is left out */
        {{B | E, 0xffff}},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++) {
        struct hostile *h = hostile_new(true);
        hostile_begin(h, h->victim->tag);
        for (uint32_t j = 0; j < 3 && (j == 0 || rows[i][j].flags != 0); j++)
            hostile_put_data(h, j, rows[i][j].flags, rows[i][j].stream_ssn, 10);
        hostile_give(h);
        hostile_assert_ended(h, TERN_FAULT_WEBRTC_SCTP_SEQUENCE);
        hostile_free(h);
    }
}

/* The same in packets that come in the wrong order, where it shows later. */
static void fragments_are_judged_when_all_before_them_came(void **state)
{
    (void)state;
    struct hostile *h = hostile_new(true);
    hostile_give_data(h, 2, E, 0, 10);
    hostile_give_data(h, 1, B, 0, 10);
    assert_ok(tern_sctp_error(h->victim));
    hostile_give_data(h, 0, B, 0x10000, 10); /* the message before has no end */
    hostile_give_data(h, 3, B | E, 0x20000, 10);
    assert_ok(tern_sctp_error(h->victim));
    hostile_give_data(h, 4, E, 0x10000, 10);
    hostile_assert_ended(h, TERN_FAULT_WEBRTC_SCTP_SEQUENCE);
    hostile_free(h);
}

static void unordered_messages_are_given_whole(void **state)
{
    (void)state;
    struct hostile *h = hostile_new(true);
    hostile_give_data(h, 3, B | E | U, 0, 10); /* at once */
    assert_int_equal(h->pair.ends[1].unread, 10);
    hostile_give_data(h, 2, E | U, 0, 20);
    hostile_give_data(h, 1, B | U, 0, 30);
    assert_int_equal(h->pair.ends[1].unread, 10);
    hostile_give_data(h, 0, B | E, 0, 40);
    assert_int_equal(h->pair.ends[1].unread, 100);
    assert_ok(tern_sctp_error(h->victim));
    hostile_free(h);
}

static void what_the_window_has_no_room_for_is_dropped(void **state)
{
    (void)state;
    struct hostile *h = hostile_new(true);
    for (uint32_t i = 0; i < 100; i++)
        hostile_give_data(h, i, B | E, i, 1000);
    hostile_assert_dropped(h, TERN_FAULT_WEBRTC_SCTP_WINDOW);
    assert_in_range(h->pair.ends[1].unread, TERN_SCTP_WINDOW_MIN - 1000, TERN_SCTP_WINDOW_MIN);
    uint8_t room[SCTP_PAIR_PACKET];
    struct tern_view out = hostile_answer(h, room);
    assert_int_equal(out.data[0], SCTP_SACK);
    /* Far ahead: there is no place for it. */
    sctp_pair_release(&h->pair, 1, SIZE_MAX);
    hostile_give_data(h, TERN_SCTP_HELD_CHUNKS_MAX + 100, B | E, 0, 10);
    hostile_assert_dropped(h, TERN_FAULT_WEBRTC_SCTP_WINDOW);
    hostile_give_data(h, 0x7fffff00, B | E, 0, 10);
    hostile_assert_dropped(h, TERN_FAULT_WEBRTC_SCTP_WINDOW);
    hostile_give_data(h, 0x80000100, B | E, 0, 10); /* far behind: a copy */
    hostile_assert_dropped(h, TERN_FAULT_NONE);
    hostile_free(h);
}

/* CVE-2014-3688, CVE-2019-3874: what is held out of order is bounded, however small it is, and
 * however many packets bring it. */
static void chunks_out_of_order_cost_what_the_window_says(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 100, 511, 512, 800, 1132};
    for (size_t i = 0; i < TERN_COUNT_OF(sizes); i++) {
        struct hostile *h = hostile_new(true);
        size_t before = h->pair.ends[1].mem.used;
        for (uint32_t n = 1; n < 20000; n++)
            hostile_give_data(h, n, B | E, n, sizes[i]);
        /* Each byte of the window costs two, and each place its own. */
        size_t held = h->pair.ends[1].mem.used - before;
        size_t count = h->victim->in.used / sizes[i];
        assert_true(count > 50);
        size_t places = h->victim->in.capacity * (sizeof(struct sctp_held) + 5);
        assert_true(held < 2 * TERN_SCTP_WINDOW_MIN + places + count * 100 + 8192);
        assert_ok(tern_sctp_error(h->victim));
        hostile_free(h);
    }
}

/* Every second number, then all the others, from the far end: no step is dear. */
static void disorder_is_not_dear(void **state)
{
    (void)state;
    struct hostile *h = hostile_new(true);
    uint8_t room[SCTP_PAIR_PACKET];
    for (uint32_t n = 4000; n >= 2; n -= 2)
        hostile_give_data(h, n, B | E, n, 1);
    (void)hostile_answer(h, room);
    for (uint32_t n = 3999; n < 4000 && n > 0; n -= 2)
        hostile_give_data(h, n, B | E, n, 1);
    assert_int_equal(h->pair.ends[1].unread, 0);
    hostile_give_data(h, 0, B | E, 0, 1);
    assert_int_equal(h->pair.ends[1].unread, 4001);
    hostile_free(h);
}

static void numbers_of_streams_have_their_bound(void **state)
{
    (void)state;
    struct hostile *h = hostile_new(true);
    size_t before = h->pair.ends[1].mem.used;
    uint32_t n = 0;
    for (uint32_t stream = 0; stream <= UINT16_MAX; stream += 50) {
        hostile_begin(h, h->victim->tag);
        for (uint32_t i = stream; i < stream + 50 && i <= UINT16_MAX; i++)
            hostile_put_data(h, n++, B | E, i << 16, 1);
        hostile_give(h);
        sctp_pair_release(&h->pair, 1, SIZE_MAX);
    }
    assert_ok(tern_sctp_error(h->victim));
    assert_int_equal(h->victim->in.cumulative, h->tsn + UINT16_MAX);
    assert_true(h->pair.ends[1].mem.used - before < 1100 * 1024);
    hostile_free(h);
}

/* ---- acknowledgements ---- */

static void put_sack(struct hostile *h, uint32_t cumulative, const char *rest)
{
    hostile_begin(h, h->victim->tag);
    size_t start = sctp_begin_chunk(&h->w, SCTP_SACK, 0);
    tern_writer_u32be(&h->w, cumulative);
    tern_writer_u32be(&h->w, 100000);
    tern_writer_bytes(&h->w, TEST_HEX(rest, 512));
    sctp_end_chunk(&h->w, start);
    hostile_give(h);
}

/* A victim with six chunks under way. */
static struct hostile *hostile_sending(void)
{
    struct hostile *h = hostile_new(true);
    uint8_t room[SCTP_PAIR_PACKET];
    assert_ok(sctp_pair_send(&h->pair, 1, 0, 6000));
    while (sctp_pair_take(&h->pair, 1, room).size > 0)
        continue;
    assert_int_equal(h->victim->out.next - h->victim->out.cumulative - 1, 6);
    return h;
}

static void lies_about_what_has_come_end_it(void **state)
{
    (void)state;
    static const struct {
        uint32_t offset; /* of the cumulative number from the last one acknowledged */
        const char *rest;
        tern_fault fault;
    } rows[] = {
        {7, "00000000", TERN_FAULT_WEBRTC_SCTP_SACK},
        {0x7fffffff, "00000000", TERN_FAULT_WEBRTC_SCTP_SACK},
        {0, "0001000000010007", TERN_FAULT_WEBRTC_SCTP_SACK}, /* beyond what was sent */
        {0, "000100000002ffff", TERN_FAULT_WEBRTC_SCTP_SACK},
        {0, "0001000000000002", TERN_FAULT_WEBRTC_SCTP_SACK}, /* a block of the number itself */
        {0, "0001000000040002", TERN_FAULT_WEBRTC_SCTP_SACK}, /* from behind to the front */
        {0, "000200000001000200050004", TERN_FAULT_WEBRTC_SCTP_SACK}, /* the second one */
        {5, "0001000000020002", TERN_FAULT_WEBRTC_SCTP_SACK},
        {0, "0000", TERN_FAULT_WEBRTC_SCTP_CHUNK},             /* cut */
        {0, "00010000", TERN_FAULT_WEBRTC_SCTP_CHUNK},         /* a block is missing */
        {0, "0000000000010002", TERN_FAULT_WEBRTC_SCTP_CHUNK}, /* one is too many */
        {0, "ffffffff", TERN_FAULT_WEBRTC_SCTP_CHUNK},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++) {
        struct hostile *h = hostile_sending();
        put_sack(h, h->victim->out.cumulative + rows[i].offset, rows[i].rest);
        hostile_assert_ended(h, rows[i].fault);
        hostile_free(h);
    }
}

static void acknowledgements_may_overlap_be_late_and_be_taken_back(void **state)
{
    (void)state;
    struct hostile *h = hostile_sending();
    uint32_t cumulative = h->victim->out.cumulative;
    put_sack(h, cumulative,
             "00020000"
             "00020004"
             "00030006");
    assert_int_equal(h->victim->out.acked_count, 5);
    size_t flight = h->victim->out.flight;
    assert_int_equal(flight, 1132);
    put_sack(h, cumulative,
             "00010000"
             "00030003"); /* four of them are not there after all */
    assert_int_equal(h->victim->out.acked_count, 1);
    assert_int_equal(h->victim->out.flight, 6000 - 1132);
    put_sack(h, cumulative + 2, "00000000");
    assert_int_equal(h->victim->out.acked_count, 0);
    put_sack(h, cumulative + 1,
             "00010000"
             "0002ffff"); /* late: it is not looked at */
    assert_ok(tern_sctp_error(h->victim));
    assert_int_equal(h->victim->out.cumulative, cumulative + 2);
    put_sack(h, cumulative + 6, "00000000");
    assert_int_equal(tern_sctp_held(h->victim), 0);
    assert_int_equal(h->victim->out.flight, 0);
    hostile_free(h);
}

/* Acknowledging in small steps does not open the window faster than the data. */
static void acknowledgements_that_are_split_gain_nothing(void **state)
{
    (void)state;
    struct hostile *h = hostile_sending();
    uint32_t cumulative = h->victim->out.cumulative;
    size_t before = h->victim->out.cwnd;
    for (uint32_t i = 1; i <= 6; i++) {
        for (int again = 0; again < 10; again++)
            put_sack(h, cumulative + i, "00000000");
    }
    assert_true(h->victim->out.cwnd <= before + 6000);
    hostile_free(h);
}

/* In a long row that has come, the few that have not are found, wherever they stand. */
static void what_is_missing_in_a_long_row_is_found(void **state)
{
    (void)state;
    for (uint32_t hole = 0; hole < 140; hole++) {
        struct hostile *h = hostile_new(true);
        struct sctp_outbound *out = &h->victim->out;
        uint8_t room[SCTP_PAIR_PACKET];
        out->cwnd = 1 << 20;
        out->peer_window = 1 << 20;
        for (int i = 0; i < 10; i++)
            assert_ok(sctp_pair_send(&h->pair, 1, 0, 30000));
        while (sctp_pair_take(&h->pair, 1, room).size > 0)
            continue;
        uint32_t missing = out->cumulative + 20 + hole;
        for (uint32_t report = 0; report < SCTP_REPORTS; report++) {
            char blocks[40];
            (void)!snprintf(blocks, sizeof blocks, "000200000002%04x%04x%04x", 19 + hole, 21 + hole,
                            200 + report);
            put_sack(h, out->cumulative, blocks);
        }
        assert_int_equal(out->lost_count, 2);
        assert_int_equal(sctp_out_at(h->victim, missing)->state, SCTP_SENT_LOST);
        assert_int_equal(sctp_out_at(h->victim, out->cumulative + 1)->state, SCTP_SENT_LOST);
        hostile_free(h);
    }
}

/* ---- resets ---- */

/* A request of the remote: number is an offset from the one that is expected. */
static void give_reset(struct hostile *h, uint32_t number, uint32_t last_tsn, const char *streams)
{
    hostile_begin(h, h->victim->tag);
    size_t start = sctp_begin_chunk(&h->w, SCTP_RECONFIG, 0);
    size_t parameter = sctp_begin_parameter(&h->w, SCTP_PARAM_RESET_OUT);
    tern_writer_u32be(&h->w, h->victim->resets.expected + number);
    tern_writer_u32be(&h->w, 0);
    tern_writer_u32be(&h->w, last_tsn);
    tern_writer_bytes(&h->w, TEST_HEX(streams, 1400));
    sctp_end_parameter(&h->w, parameter);
    sctp_end_chunk(&h->w, start);
    hostile_give(h);
}

/* The result in the victim's answer; UINT32_MAX: it says nothing. */
static uint32_t result_of(struct hostile *h)
{
    uint8_t room[SCTP_PAIR_PACKET];
    struct tern_view out = hostile_answer(h, room);
    struct tern_reader r = tern_reader_of(out);
    struct sctp_chunk chunk;
    while (sctp_next_chunk(&r, &chunk)) {
        if (chunk.type == SCTP_RECONFIG && chunk.value.size == 12)
            return (uint32_t)chunk.value.data[11];
    }
    return UINT32_MAX;
}

static void requests_that_are_not_the_next_one_are_not_performed(void **state)
{
    (void)state;
    struct hostile *h = hostile_new(true);
    uint32_t last = h->tsn - 1;
    give_reset(h, 0xffffffff, last, "0001"); /* before the first one */
    hostile_assert_dropped(h, TERN_FAULT_WEBRTC_SCTP_RECONFIG);
    assert_int_equal(result_of(h), UINT32_MAX);
    give_reset(h, 1, last, "0001"); /* from the future */
    hostile_assert_dropped(h, TERN_FAULT_WEBRTC_SCTP_RECONFIG);
    assert_int_equal(result_of(h), UINT32_MAX);
    give_reset(h, 0, last, "0001");
    assert_int_equal(result_of(h), 1);
    assert_int_equal(h->pair.ends[1].resets_in, 1);
    give_reset(h, 0xffffffff, last, "0001"); /* the same again: the same answer */
    assert_int_equal(result_of(h), 1);
    assert_int_equal(h->pair.ends[1].resets_in, 1);
    give_reset(h, 0, last, ""); /* all streams */
    assert_int_equal(result_of(h), 2);
    give_reset(h, 0, last + 1, "0002"); /* behind data that have not come */
    assert_int_equal(result_of(h), 6);
    give_reset(h, 0, last + 1, "0003"); /* another one meanwhile */
    assert_int_equal(result_of(h), 4);
    hostile_give_data(h, 0, B | E, 0x20000, 10);
    assert_int_equal(h->pair.ends[1].resets_in, 2);
    hostile_free(h);
}

static void requests_that_are_malformed_end_it(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "82000008"
        "000d0008", /* longer than the chunk */
        "8200000c"
        "000d000800000001", /* cut */
        "82000017"
        "000d0013"
        "000000010000000000000000"
        "000100", /* half a stream */
        "82000008"
        "000d0003",
        "8200000c"
        "0010000800000001", /* a response without result */
        "82000008"
        "00110004", /* more streams: no number */
    };
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++) {
        struct hostile *h = hostile_new(true);
        hostile_give_hex(h, rows[i]);
        hostile_assert_ended(h, TERN_FAULT_WEBRTC_SCTP_CHUNK);
        hostile_free(h);
    }
    /* A response that nobody waits for; parameters that are not known. */
    struct hostile *h = hostile_new(true);
    hostile_give_hex(h, "82000010"
                        "0010000c"
                        "00000001"
                        "00000001");
    hostile_give_hex(h, "82000008"
                        "00630004");
    assert_ok(tern_sctp_error(h->victim));
    hostile_free(h);
}

static void requests_that_data_channels_do_not_need_are_denied(void **state)
{
    (void)state;
    static const uint16_t types[] = {SCTP_PARAM_RESET_IN, SCTP_PARAM_RESET_ALL, SCTP_PARAM_ADD_OUT,
                                     SCTP_PARAM_ADD_IN};
    struct hostile *h = hostile_new(true);
    for (size_t i = 0; i < TERN_COUNT_OF(types); i++) {
        hostile_begin(h, h->victim->tag);
        tern_writer_u32be(&h->w, 0x82000010);
        tern_writer_u16be(&h->w, types[i]);
        tern_writer_u16be(&h->w, 12);
        tern_writer_u32be(&h->w, h->victim->resets.expected);
        tern_writer_u32be(&h->w, 0x00100000);
        hostile_give(h);
        assert_int_equal(result_of(h), 2);
    }
    hostile_free(h);
}

/* Data of a stream's next life that come before its reset are kept for it. */
static void a_stream_that_is_reset_may_begin_anew_at_once(void **state)
{
    (void)state;
    struct hostile *h = hostile_new(true);
    hostile_give_data(h, 0, B | E, 0x60000, 10);
    hostile_give_data(h, 2, B | E, 0x60001, 20);
    give_reset(h, 0, h->tsn + 2, "0006");
    assert_int_equal(result_of(h), 6);
    hostile_give_data(h, 3, B, 0x60000, 40); /* the next life */
    hostile_give_data(h, 4, E, 0x60000, 80);
    hostile_give_data(h, 1, B | E, 0x70000, 160);
    assert_ok(tern_sctp_error(h->victim));
    assert_int_equal(h->pair.ends[1].resets_in, 1);
    assert_int_equal(h->pair.ends[1].unread, 10 + 20 + 40 + 80 + 160);
    hostile_free(h);
}

/* But data before the reset are judged as ever. */
static void a_reset_that_waits_covers_no_disorder(void **state)
{
    (void)state;
    struct hostile *h = hostile_new(true);
    give_reset(h, 0, h->tsn + 2, "0006");
    hostile_give_data(h, 1, E, 0x60000, 10);
    assert_ok(tern_sctp_error(h->victim));
    hostile_give_data(h, 0, B | E, 0x70000, 10);
    hostile_assert_ended(h, TERN_FAULT_WEBRTC_SCTP_SEQUENCE);
    hostile_free(h);
}

/* Our direction of a stream is reset in the same packet that begins the other one. */
static void a_stream_is_not_forgotten_while_data_wait(void **state)
{
    (void)state;
    struct hostile *h = hostile_new(true);
    uint8_t room[SCTP_PAIR_PACKET];
    assert_ok(sctp_pair_reset(&h->pair, 1, 6));
    (void)hostile_answer(h, room);
    hostile_begin(h, h->victim->tag);
    hostile_put_data(h, 0, B | E, 0x60000, 10);
    tern_writer_bytes(&h->w, TEST_HEX("820000100010000c", 16));
    tern_writer_u32be(&h->w, h->victim->resets.request_next);
    tern_writer_u32be(&h->w, 1);
    hostile_give(h);
    assert_int_equal(h->pair.ends[1].resets_out, 1);
    assert_int_equal(h->pair.ends[1].unread, 10);
    assert_ok(tern_sctp_error(h->victim));
    hostile_free(h);
}

/* ---- FORWARD TSN ---- */

static void give_forward(struct hostile *h, uint32_t offset, const char *streams)
{
    hostile_begin(h, h->victim->tag);
    size_t start = sctp_begin_chunk(&h->w, SCTP_FORWARD_TSN, 0);
    tern_writer_u32be(&h->w, h->tsn + offset);
    tern_writer_bytes(&h->w, TEST_HEX(streams, 1400));
    sctp_end_chunk(&h->w, start);
    hostile_give(h);
}

static void what_is_skipped_leaves_a_gap(void **state)
{
    (void)state;
    struct hostile *h = hostile_new(true);
    hostile_give_data(h, 2, B, 0x30000, 10);     /* never ends */
    hostile_give_data(h, 4, B | E, 0x30001, 20); /* behind it */
    hostile_give_data(h, 3, B | E, 0x40000, 40); /* another stream's */
    assert_int_equal(h->pair.ends[1].unread, 10 + 40);
    give_forward(h, 3, "00030000");
    assert_int_equal(h->pair.ends[1].gaps, 1);
    assert_int_equal(h->pair.ends[1].unread, 10 + 20 + 40);
    assert_int_equal(h->victim->in.cumulative, h->tsn + 4);
    give_forward(h, 3, "00030000"); /* an old one */
    assert_int_equal(h->pair.ends[1].gaps, 1);
    hostile_give_data(h, 5, B | E, 0x40001, 80);
    assert_int_equal(h->pair.ends[1].unread, 10 + 20 + 40 + 80);
    assert_ok(tern_sctp_error(h->victim));
    hostile_free(h);
}

static void a_gap_without_end_is_crossed_at_once(void **state)
{
    (void)state;
    struct hostile *h = hostile_new(true);
    for (uint32_t i = 1; i < 50; i++)
        hostile_give_data(h, i * 2, B | E, i << 16 | 1, 100);
    give_forward(h, 0x7ffffff0, "");
    assert_int_equal(h->victim->in.cumulative, h->tsn + 0x7ffffff0);
    assert_int_equal(h->victim->in.used, 0);
    hostile_give_data(h, 0x7ffffff1, B | E, 0, 10);
    assert_int_equal(h->pair.ends[1].unread, 10);
    assert_ok(tern_sctp_error(h->victim));
    hostile_free(h);
    static const char *const rows[] = {"c0000004",
                                       "c0000006"
                                       "0000",
                                       "c000000a"
                                       "00000001"
                                       "0001"};
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++) {
        h = hostile_new(true);
        hostile_give_hex(h, rows[i]);
        hostile_assert_ended(h, TERN_FAULT_WEBRTC_SCTP_CHUNK);
        hostile_free(h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_that_are_none_end_it),
        cmocka_unit_test(fragments_out_of_their_order_end_it),
        cmocka_unit_test(fragments_are_judged_when_all_before_them_came),
        cmocka_unit_test(unordered_messages_are_given_whole),
        cmocka_unit_test(what_the_window_has_no_room_for_is_dropped),
        cmocka_unit_test(chunks_out_of_order_cost_what_the_window_says),
        cmocka_unit_test(disorder_is_not_dear),
        cmocka_unit_test(numbers_of_streams_have_their_bound),
        cmocka_unit_test(lies_about_what_has_come_end_it),
        cmocka_unit_test(acknowledgements_may_overlap_be_late_and_be_taken_back),
        cmocka_unit_test(acknowledgements_that_are_split_gain_nothing),
        cmocka_unit_test(what_is_missing_in_a_long_row_is_found),
        cmocka_unit_test(requests_that_are_not_the_next_one_are_not_performed),
        cmocka_unit_test(requests_that_are_malformed_end_it),
        cmocka_unit_test(requests_that_data_channels_do_not_need_are_denied),
        cmocka_unit_test(a_stream_that_is_reset_may_begin_anew_at_once),
        cmocka_unit_test(a_reset_that_waits_covers_no_disorder),
        cmocka_unit_test(a_stream_is_not_forgotten_while_data_wait),
        cmocka_unit_test(what_is_skipped_leaves_a_gap),
        cmocka_unit_test(a_gap_without_end_is_crossed_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
