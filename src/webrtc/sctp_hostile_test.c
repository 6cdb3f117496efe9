/*
 * What a remote may do to an association that begins and ends, fault by fault; what it may do with
 * data is in sctp_data_hostile_test.c. Known advisories of other implementations are here by their
 * numbers.
 */
#include "webrtc/sctp_hostile.h"

#include "tern_test.h"

#include "crypto/test_hex.h"
#include "webrtc/crc32c.h"

/* ---- packets ---- */

static void packets_that_are_none_are_dropped(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",   /* no chunk */
        "03", /* not even a header of one */
        "030000",
        "03000000",                   /* a length of zero: CVE-2010-0008 */
        "03000003",                   /* shorter than its header */
        "03000020000000000000000000", /* longer than the packet */
        "0b00000403000002",           /* a good chunk, then a bad one */
        "0b0000040b",                 /* then a part of one */
    };
    struct hostile *h = hostile_new(true);
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++) {
        hostile_give_hex(h, rows[i]);
        hostile_assert_dropped(h, TERN_FAULT_WEBRTC_SCTP_PACKET);
    }
    for (size_t size = 0; size < SCTP_HEADER_SIZE + SCTP_CHUNK_HEADER_SIZE; size++) {
        hostile_begin(h, h->victim->tag);
        tern_writer_u32be(&h->w, 0x0b000004);
        sctp_pair_give(&h->pair, 1, tern_view_of(h->packet, size));
        hostile_assert_dropped(h, TERN_FAULT_WEBRTC_SCTP_PACKET);
    }
    for (size_t at = 0; at < 4; at++) {
        hostile_begin(h, h->victim->tag);
        tern_writer_u32be(&h->w, 0x0b000004);
        h->packet[at] ^= 1; /* the ports */
        hostile_give(h);
        hostile_assert_dropped(h, TERN_FAULT_WEBRTC_SCTP_PACKET);
    }
    hostile_free(h);
}

static void checksums_are_right_or_left_out(void **state)
{
    (void)state;
    struct hostile *h = hostile_new(true);
    for (uint32_t bit = 0; bit < 32; bit++) {
        hostile_begin(h, h->victim->tag);
        tern_writer_u32be(&h->w, 0x0b000004);
        struct tern_view all = tern_writer_view(&h->w);
        uint32_t crc = tern_crc32c(&all, 1) ^ UINT32_C(1) << bit;
        for (size_t i = 0; i < 4; i++)
            h->packet[SCTP_CHECKSUM_OFFSET + i] = (uint8_t)(crc >> 8 * i);
        hostile_give(h);
        hostile_assert_dropped(h, TERN_FAULT_WEBRTC_SCTP_CHECKSUM);
    }
    hostile_give_hex(h, "0b000004");
    hostile_assert_dropped(h, TERN_FAULT_NONE);
    /* Who wants checksums takes none that is left out. */
    h->victim->checksums = true;
    hostile_give_hex(h, "0b000004");
    hostile_assert_dropped(h, TERN_FAULT_WEBRTC_SCTP_CHECKSUM);
    hostile_free(h);
}

/* CVE-2021-3772: chunks with a wrong tag must not end an association. */
static void nothing_counts_without_the_tag(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "06000004",         /* ABORT */
        "06010004",         /* ABORT, with the tag of the other side as it claims */
        "0e010004",         /* SHUTDOWN COMPLETE, likewise */
        "0700000800000000", /* SHUTDOWN */
        "08000004",         /* SHUTDOWN ACK */
        "0200001400000001000100000001000100000001", /* INIT ACK */
        "0b000004",                                 /* COOKIE ACK */
    };
    struct hostile *h = hostile_new(true);
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++) {
        const uint32_t tags[] = {0, h->victim->tag + 1, ~h->victim->tag};
        for (size_t j = 0; j < TERN_COUNT_OF(tags); j++) {
            hostile_begin(h, tags[j]);
            tern_writer_bytes(&h->w, TEST_HEX(rows[i], 64));
            hostile_give(h);
            hostile_assert_dropped(h, TERN_FAULT_WEBRTC_SCTP_TAG);
        }
    }
    /* Our own tag does not make a reflected one. */
    hostile_give_hex(h, "06010004");
    hostile_assert_dropped(h, TERN_FAULT_WEBRTC_SCTP_TAG);
    hostile_begin(h, h->victim->peer.tag);
    tern_writer_u32be(&h->w, 0x06010004);
    hostile_give(h);
    assert_int_equal(tern_sctp_error(h->victim), TERN_ERR_DISCONNECTED);
    hostile_free(h);
}

static void chunks_that_are_not_known_are_treated_by_their_type(void **state)
{
    (void)state;
    static const struct {
        const char *chunk;
        bool goes_on; /* the chunk behind it counts */
        bool reported;
    } rows[] = {
        {"3f000004", false, false},
        {"7f000004", false, true},
        {"bf000004", true, false},
        {"ff000004", true, true},
        {"40000004", false, true},                 /* I-DATA */
        {"0f000008000100ff", false, false},        /* AUTH: CVE-2014-0101 */
        {"c100000800000001", true, true},          /* ASCONF: CVE-2014-3673, CVE-2014-3687 */
        {"8000000800000001", true, false},         /* ASCONF ACK */
        {"840000080000000000000000", true, false}, /* PAD */
    };
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++) {
        struct hostile *h = hostile_new(true);
        hostile_begin(h, h->victim->tag);
        struct tern_view chunk = TEST_HEX(rows[i].chunk, 64);
        tern_writer_bytes(&h->w, tern_view_part(chunk, 0, chunk.data[3]));
        tern_writer_bytes(&h->w, TEST_HEX("0400000c0001000801020304", 64)); /* HEARTBEAT */
        hostile_give(h);
        uint8_t room[SCTP_PAIR_PACKET];
        struct tern_view out = hostile_answer(h, room);
        struct tern_reader r = tern_reader_of(out);
        struct sctp_chunk got;
        bool echoed = false;
        bool reported = false;
        while (sctp_next_chunk(&r, &got)) {
            echoed = echoed || got.type == SCTP_HEARTBEAT_ACK;
            reported = reported || got.type == SCTP_ERROR;
        }
        assert_int_equal(echoed, rows[i].goes_on);
        assert_int_equal(reported, rows[i].reported);
        hostile_free(h);
    }
}

/* ---- how it begins ---- */

#define INIT_HEAD "01000014"
#define INIT_GOOD                                                                                  \
    "0badcafe"                                                                                     \
    "00010000"                                                                                     \
    "0010"                                                                                         \
    "0010"                                                                                         \
    "00000001"

static void offers_that_cannot_be_agreed_to_end_it(void **state)
{
    (void)state;
    static const char *const rows[] = {
        INIT_HEAD "00000000"
                  "00010000"
                  "0010"
                  "0010"
                  "00000001", /* tag 0 */
        INIT_HEAD "0badcafe"
                  "000005db"
                  "0010"
                  "0010"
                  "00000001", /* a window of less than 1,500 */
        INIT_HEAD "0badcafe"
                  "00010000"
                  "0000"
                  "0010"
                  "00000001", /* no streams out */
        INIT_HEAD "0badcafe"
                  "00010000"
                  "0010"
                  "0000"
                  "00000001", /* none in */
        "01000012"
        "0badcafe"
        "00010000"
        "0010"
        "0010"
        "00000000", /* cut */
        "01000004",
        "01000018" INIT_GOOD "80080003",         /* a parameter shorter than its header: */
        "01000018" INIT_GOOD "80080000",         /* CVE-2019-20503 */
        "01000018" INIT_GOOD "00060010",         /* longer than the chunk */
        "01000016" INIT_GOOD "80080000",         /* half a header: likewise */
        "0100001c" INIT_GOOD "000b000861626300", /* a host's name to be looked up */
    };
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++) {
        struct hostile *h = hostile_new(false);
        hostile_begin(h, 0);
        tern_writer_bytes(&h->w, TEST_HEX(rows[i], 64));
        hostile_give(h);
        hostile_assert_ended(h, TERN_FAULT_WEBRTC_SCTP_INIT);
        hostile_free(h);
    }
}

static void init_comes_alone_and_without_a_tag(void **state)
{
    (void)state;
    struct hostile *h = hostile_new(false);
    uint8_t room[SCTP_PAIR_PACKET];
    (void)hostile_answer(h, room); /* its own INIT */
    hostile_begin(h, 0);
    tern_writer_bytes(&h->w, TEST_HEX(INIT_HEAD INIT_GOOD "0b000004", 64));
    hostile_give(h);
    hostile_assert_dropped(h, TERN_FAULT_WEBRTC_SCTP_PACKET);
    hostile_give_hex(h, INIT_HEAD INIT_GOOD);
    hostile_assert_dropped(h, TERN_FAULT_WEBRTC_SCTP_TAG);
    hostile_give_hex(h, "0b000004" INIT_HEAD INIT_GOOD);
    hostile_assert_dropped(h, TERN_FAULT_WEBRTC_SCTP_PACKET);
    assert_int_equal(hostile_answer(h, room).size, 0);
    hostile_begin(h, 0);
    tern_writer_bytes(&h->w, TEST_HEX(INIT_HEAD INIT_GOOD, 64));
    hostile_give(h);
    struct tern_view out = hostile_answer(h, room);
    assert_int_equal(out.data[0], SCTP_INIT_ACK);
    hostile_free(h);
}

/* CVE-2010-1173: the report of parameters that are not known is bounded. */
static void unknown_parameters_are_reported_within_bounds(void **state)
{
    (void)state;
    struct hostile *h = hostile_new(false);
    uint8_t room[SCTP_PAIR_PACKET];
    (void)hostile_answer(h, room);
    hostile_begin(h, 0);
    size_t start = sctp_begin_chunk(&h->w, SCTP_INIT, 0);
    tern_writer_bytes(&h->w, TEST_HEX(INIT_GOOD, 64));
    for (int i = 0; i < 200; i++)
        tern_writer_u32be(&h->w, 0xff010004);
    tern_writer_u32be(&h->w, 0x3f010004); /* one that ends the reading */
    tern_writer_u32be(&h->w, 0x00000000);
    sctp_end_chunk(&h->w, start);
    hostile_give(h);
    struct tern_view out = hostile_answer(h, room);
    assert_int_equal(out.data[0], SCTP_INIT_ACK);
    assert_true(out.size < 200);
    /* 36 bytes of what was asked for, then the cookie. */
    assert_non_null(memmem(out.data, out.size, "\x00\x08\x00\x08\xff\x01\x00\x04", 8));
    hostile_free(h);
}

static void an_answer_without_a_cookie_ends_it(void **state)
{
    (void)state;
    struct hostile *h = hostile_new(false);
    hostile_give_hex(h, "02000014" INIT_GOOD);
    hostile_assert_ended(h, TERN_FAULT_WEBRTC_SCTP_INIT);
    hostile_free(h);
    h = hostile_new(false);
    hostile_begin(h, h->victim->tag);
    size_t start = sctp_begin_chunk(&h->w, SCTP_INIT_ACK, 0);
    tern_writer_bytes(&h->w, TEST_HEX(INIT_GOOD, 64));
    size_t cookie = sctp_begin_parameter(&h->w, SCTP_PARAM_STATE_COOKIE);
    for (size_t i = 0; i < TERN_SCTP_PACKET_MIN; i++)
        tern_writer_u8(&h->w, 7);
    sctp_end_parameter(&h->w, cookie);
    sctp_end_chunk(&h->w, start);
    hostile_give(h);
    hostile_assert_ended(h, TERN_FAULT_WEBRTC_SCTP_INIT);
    hostile_free(h);
}

/* The victim's cookie for a good INIT. */
static size_t cookie_of(struct hostile *h, uint8_t cookie[64])
{
    uint8_t room[SCTP_PAIR_PACKET];
    (void)hostile_answer(h, room);
    hostile_begin(h, 0);
    tern_writer_bytes(&h->w, TEST_HEX(INIT_HEAD INIT_GOOD, 64));
    hostile_give(h);
    struct tern_view out = hostile_answer(h, room);
    struct tern_reader r = tern_reader_of(tern_view_part(out, 20, out.size - 20));
    struct sctp_parameter parameter;
    while (sctp_next_parameter(&r, &parameter)) {
        if (parameter.type != SCTP_PARAM_STATE_COOKIE)
            continue;
        memcpy(cookie, parameter.value.data, parameter.value.size);
        return parameter.value.size;
    }
    fail_msg("no cookie");
    return 0;
}

static void give_cookie(struct hostile *h, const uint8_t *cookie, size_t size)
{
    hostile_begin(h, h->victim->tag);
    size_t start = sctp_begin_chunk(&h->w, SCTP_COOKIE_ECHO, 0);
    tern_writer_bytes(&h->w, tern_view_of(cookie, size));
    sctp_end_chunk(&h->w, start);
    hostile_give(h);
}

/* CVE-2026-53224: what is in a cookie counts only if all of it is as it was. */
static void a_cookie_that_was_changed_is_none(void **state)
{
    (void)state;
    struct hostile *h = hostile_new(false);
    uint8_t cookie[64];
    size_t size = cookie_of(h, cookie);
    assert_int_equal(size, SCTP_COOKIE_SIZE);
    for (size_t bit = 0; bit < size * 8; bit++) {
        cookie[bit / 8] ^= (uint8_t)(1 << bit % 8);
        give_cookie(h, cookie, size);
        hostile_assert_dropped(h, TERN_FAULT_WEBRTC_SCTP_COOKIE);
        cookie[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t cut = 0; cut < size; cut++) {
        give_cookie(h, cookie, cut);
        hostile_assert_dropped(h, TERN_FAULT_WEBRTC_SCTP_COOKIE);
    }
    give_cookie(h, cookie, size + 4);
    hostile_assert_dropped(h, TERN_FAULT_WEBRTC_SCTP_COOKIE);
    assert_int_equal(h->victim->state, SCTP_COOKIE_WAIT);
    give_cookie(h, cookie, size);
    assert_int_equal(h->victim->state, SCTP_ESTABLISHED);
    hostile_free(h);
}

static void an_association_does_not_begin_anew(void **state)
{
    (void)state;
    struct hostile *h = hostile_new(true);
    hostile_begin(h, 0);
    tern_writer_bytes(&h->w, TEST_HEX(INIT_HEAD INIT_GOOD, 64));
    hostile_give(h);
    hostile_assert_dropped(h, TERN_FAULT_WEBRTC_SCTP_RESTART);
    uint8_t room[SCTP_PAIR_PACKET];
    assert_int_equal(hostile_answer(h, room).size, 0);
    /* A cookie from the time when it began, but of another remote. */
    struct hostile *other = hostile_new(false);
    uint8_t cookie[64];
    size_t size = cookie_of(other, cookie);
    uint8_t cookie2[64];
    hostile_begin(other, 0);
    tern_writer_bytes(&other->w, TEST_HEX(INIT_HEAD "0badcaff"
                                                    "00010000"
                                                    "0010"
                                                    "0010"
                                                    "00000001",
                                          64));
    hostile_give(other);
    struct tern_view out = hostile_answer(other, room);
    memcpy(cookie2, out.data + out.size - size, size);
    give_cookie(other, cookie, size);
    assert_int_equal(other->victim->state, SCTP_ESTABLISHED);
    give_cookie(other, cookie2, size);
    hostile_assert_dropped(other, TERN_FAULT_WEBRTC_SCTP_RESTART);
    assert_int_equal(other->victim->peer.tag, 0x0badcafe);
    /* The right one once more is answered once more. */
    (void)hostile_answer(other, room);
    give_cookie(other, cookie, size);
    assert_int_equal(hostile_answer(other, room).data[0], SCTP_COOKIE_ACK);
    hostile_free(other);
    hostile_free(h);
}

static void a_flood_of_inits_costs_nothing(void **state)
{
    (void)state;
    struct hostile *h = hostile_new(false);
    size_t before = h->pair.ends[1].mem.used;
    for (uint32_t i = 0; i < 10000; i++) {
        hostile_begin(h, 0);
        tern_writer_bytes(&h->w, TEST_HEX(INIT_HEAD INIT_GOOD, 64));
        h->packet[16] = (uint8_t)(i >> 8);
        h->packet[17] = (uint8_t)i;
        h->packet[18] = 1;
        hostile_give(h);
        assert_ok(tern_sctp_error(h->victim));
        assert_int_equal(h->pair.ends[1].mem.used, before);
    }
    hostile_free(h);
}

/* CVE-2020-6514: nothing that is sent tells where anything lies in memory. */
static void addresses_do_not_leak(void **state)
{
    (void)state;
    struct hostile *h = hostile_new(false);
    uint8_t cookie[64];
    size_t size = cookie_of(h, cookie);
    uintptr_t here = (uintptr_t)h->victim;
    for (int swap = 0; swap < 2; swap++) {
        uint8_t bytes[6];
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[swap ? sizeof bytes - 1 - i : i] = (uint8_t)(here >> 8 * i);
        assert_null(memmem(cookie, size, bytes + 1, 4));
    }
    hostile_free(h);
}

/* ---- heartbeats, the end ---- */

static void heartbeats_are_answered_within_bounds(void **state)
{
    (void)state;
    struct hostile *h = hostile_new(true);
    uint8_t room[SCTP_PAIR_PACKET];
    for (size_t size = 0; size <= 1500; size += 100) {
        hostile_begin(h, h->victim->tag);
        size_t start = sctp_begin_chunk(&h->w, SCTP_HEARTBEAT, 0);
        for (size_t i = 0; i < size; i++)
            tern_writer_u8(&h->w, (uint8_t)size);
        sctp_end_chunk(&h->w, start);
        hostile_give(h);
        struct tern_view out = hostile_answer(h, room);
        assert_int_equal(out.size > 0, size > 0 && size <= SCTP_HEARTBEAT_MAX);
        if (out.size > 0)
            assert_int_equal(out.size, 4 + size);
    }
    /* Answers that were not asked for, or cut. */
    hostile_give_hex(h, "0500000400000000");
    hostile_give_hex(h, "0500000c0001000801020304");
    hostile_give_hex(h, "05000010000100100000000000000000");
    assert_ok(tern_sctp_error(h->victim));
    hostile_free(h);
}

static void the_end_needs_its_order(void **state)
{
    (void)state;
    struct hostile *h = hostile_new(true);
    hostile_give_hex(h, "08000004"); /* SHUTDOWN ACK, SHUTDOWN COMPLETE: nobody has asked */
    hostile_give_hex(h, "0e000004");
    assert_ok(tern_sctp_error(h->victim));
    assert_int_equal(h->victim->state, SCTP_ESTABLISHED);
    hostile_give_hex(h, "07000004");
    hostile_assert_ended(h, TERN_FAULT_WEBRTC_SCTP_CHUNK);
    hostile_free(h);
    h = hostile_new(true);
    hostile_begin(h, h->victim->tag);
    tern_writer_u32be(&h->w, 0x07000008);
    tern_writer_u32be(&h->w, h->victim->out.next);
    hostile_give(h);
    hostile_assert_ended(h, TERN_FAULT_WEBRTC_SCTP_SACK);
    hostile_free(h);
    /* Before there is an association nothing of one counts. */
    h = hostile_new(false);
    static const char *const rows[] = {
        "0700000800000000",
        "08000004",
        "0b000004",
        "0400000c0001000801020304",
        "0300001000000000000100000000"
        "0000",
        "00030011000000010000000000000035"
        "61000000",
    };
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++) {
        hostile_give_hex(h, rows[i]);
        assert_ok(tern_sctp_error(h->victim));
        assert_int_equal(h->victim->state, SCTP_COOKIE_WAIT);
    }
    hostile_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_that_are_none_are_dropped),
        cmocka_unit_test(checksums_are_right_or_left_out),
        cmocka_unit_test(nothing_counts_without_the_tag),
        cmocka_unit_test(chunks_that_are_not_known_are_treated_by_their_type),
        cmocka_unit_test(offers_that_cannot_be_agreed_to_end_it),
        cmocka_unit_test(init_comes_alone_and_without_a_tag),
        cmocka_unit_test(unknown_parameters_are_reported_within_bounds),
        cmocka_unit_test(an_answer_without_a_cookie_ends_it),
        cmocka_unit_test(a_cookie_that_was_changed_is_none),
        cmocka_unit_test(an_association_does_not_begin_anew),
        cmocka_unit_test(a_flood_of_inits_costs_nothing),
        cmocka_unit_test(addresses_do_not_leak),
        cmocka_unit_test(heartbeats_are_answered_within_bounds),
        cmocka_unit_test(the_end_needs_its_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
