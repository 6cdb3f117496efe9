/* An association in virtual time: how it begins and ends, what is lost, windows, streams, memory.
 */
#include "webrtc/sctp_pair.h"

#include <stdlib.h>

#include "tern_test.h"

struct lossy {
    struct sctp_pair *pair;
    int from;       /* whose packets are counted */
    uint64_t which; /* bits: the first, second … is lost */
    unsigned count;
};

static bool lossy_tap(void *context, const struct datagram_seen *seen)
{
    struct lossy *lossy = context;
    if (seen->socket != lossy->pair->ends[lossy->from].socket || lossy->count >= 64)
        return true;
    return (lossy->which >> lossy->count++ & 1) == 0;
}

static struct sctp_pair *pair_new(const struct sctp_pair_options *options)
{
    struct sctp_pair *pair = malloc(sizeof *pair);
    assert_non_null(pair);
    assert_true(sctp_pair_init(pair, options));
    return pair;
}

static struct sctp_pair *pair_ideal(void)
{
    return pair_new(
        &(struct sctp_pair_options){.seed = 1, .link = {.latency_ns = 10 * TERN_MILLISECOND}});
}

/* A pair that is up and silent. */
static struct sctp_pair *pair_up(void)
{
    struct sctp_pair *pair = pair_ideal();
    sctp_pair_run(pair, TERN_SECOND);
    assert_true(pair->ends[0].up && pair->ends[1].up);
    return pair;
}

static void pair_end(struct sctp_pair *pair)
{
    if (pair->wrong != NULL)
        fail_msg("%s", pair->wrong);
    sctp_pair_fini(pair);
    free(pair);
}

static void log_begin(struct sctp_pair *pair, struct golden *log)
{
    golden_init(log);
    pair->log = log;
}

static void lose(struct sctp_pair *pair, struct lossy *lossy, int from, uint64_t which)
{
    *lossy = (struct lossy){.pair = pair, .from = from, .which = which};
    pair->net.tap = lossy_tap;
    pair->net.tap_context = lossy;
}

/* ---- how it begins and ends ---- */

static void both_begin_and_one_association_comes_of_it(void **state)
{
    (void)state;
    struct sctp_pair *pair = pair_ideal();
    struct golden log;
    log_begin(pair, &log);
    assert_true(sctp_pair_settle(pair, TERN_SECOND));
    assert_ok(sctp_pair_send(pair, 1, 0, 100));
    assert_true(sctp_pair_settle(pair, TERN_SECOND));
    golden_expect(&log, "     0 ms  a  INIT\n"
                        "     0 ms  b  INIT\n"
                        "    10 ms  b  INIT ACK\n"
                        "    10 ms  a  INIT ACK\n"
                        "    20 ms  a  COOKIE ECHO\n"
                        "    20 ms  b  COOKIE ECHO\n"
                        "    30 ms  b  COOKIE ACK\n"
                        "    30 ms  a  COOKIE ACK\n"
                        "    30 ms  b  DATA 0 [100]!\n"
                        "    40 ms  a  SACK\n");
    golden_fini(&log);
    pair_end(pair);
}

/* Messages that wait go with COOKIE ECHO, and no other packet goes before its answer. */
static void data_go_with_the_cookie(void **state)
{
    (void)state;
    struct sctp_pair *pair = pair_ideal();
    struct golden log;
    struct lossy lossy;
    lose(pair, &lossy, 1, 1); /* b's INIT */
    log_begin(pair, &log);
    sctp_pair_run(pair, 15 * TERN_MILLISECOND);
    for (int i = 0; i < 3; i++)
        assert_ok(sctp_pair_send(pair, 0, 2, 900));
    assert_true(sctp_pair_settle(pair, TERN_SECOND));
    golden_expect(&log, "     0 ms  a  INIT\n"
                        "     0 ms  b  INIT\n"
                        "    10 ms  b  INIT ACK\n"
                        "    20 ms  a  COOKIE ECHO  DATA 2 [900]  DATA 2 [180\n"
                        "    30 ms  b  COOKIE ACK\n"
                        "    40 ms  a  DATA 2 720]  DATA 2 [396\n"
                        "    40 ms  a  DATA 2 504]!\n"
                        "    50 ms  b  SACK\n"
                        "    50 ms  b  SACK\n");
    golden_fini(&log);
    pair_end(pair);
}

/* Whichever of the first packets is lost, and however often, both come up. */
static void any_loss_at_the_start_is_survived(void **state)
{
    (void)state;
    for (uint64_t which = 1; which < 256; which++) {
        for (int from = 0; from < 2; from++) {
            struct sctp_pair *pair = pair_ideal();
            struct lossy lossy;
            lose(pair, &lossy, from, which);
            sctp_pair_run(pair, 25 * TERN_MILLISECOND);
            assert_ok(sctp_pair_send(pair, from, 0, 3000));
            assert_ok(sctp_pair_send(pair, 1 - from, 0, 3000));
            assert_true(sctp_pair_settle(pair, 60 * TERN_SECOND));
            pair_end(pair);
        }
    }
}

static void a_remote_that_never_answers_is_given_up(void **state)
{
    (void)state;
    struct sctp_pair *pair =
        pair_new(&(struct sctp_pair_options){.seed = 1, .link = {.down = true}});
    struct golden log;
    log_begin(pair, &log);
    sctp_pair_run(pair, TERN_MINUTE);
    for (int i = 0; i < 2; i++)
        assert_int_equal(tern_sctp_error(pair->ends[i].sctp), TERN_ERR_TIMEOUT);
    assert_int_equal(tern_sctp_deadline(pair->ends[0].sctp), TERN_TIME_NEVER);
    golden_expect(&log, "     0 ms  a  INIT\n     0 ms  b  INIT\n"
                        "  1000 ms  a  INIT\n  1000 ms  b  INIT\n"
                        "  3000 ms  a  INIT\n  3000 ms  b  INIT\n"
                        "  7000 ms  a  INIT\n  7000 ms  b  INIT\n"
                        " 12000 ms  a  INIT\n 12000 ms  b  INIT\n"
                        " 17000 ms  a  INIT\n 17000 ms  b  INIT\n"
                        " 22000 ms  a  INIT\n 22000 ms  b  INIT\n"
                        " 27000 ms  a  INIT\n 27000 ms  b  INIT\n"
                        " 32000 ms  a  INIT\n 32000 ms  b  INIT\n");
    golden_fini(&log);
    pair_end(pair);
}

static void a_round_trip_that_is_known_shortens_the_first_wait(void **state)
{
    (void)state;
    struct sctp_pair *pair = pair_new(&(struct sctp_pair_options){
        .seed = 1, .link = {.down = true}, .rtt_ns = 100 * TERN_MILLISECOND});
    assert_true(sctp_pair_step(pair, TERN_TIME_NEVER));
    /* RFC 6298: three round trips at first. */
    assert_int_equal(tern_sctp_deadline(pair->ends[0].sctp) - pair->now, 300 * TERN_MILLISECOND);
    pair_end(pair);
}

static void a_shutdown_waits_for_what_is_under_way(void **state)
{
    (void)state;
    struct sctp_pair *pair = pair_up();
    struct golden log;
    log_begin(pair, &log);
    assert_ok(sctp_pair_send(pair, 0, 4, 2000));
    tern_sctp_shutdown(pair->ends[0].sctp);
    assert_int_equal(sctp_pair_send(pair, 0, 4, 10), TERN_ERR_CLOSED);
    sctp_pair_run(pair, TERN_SECOND);
    golden_expect(&log, "  1000 ms  a  DATA 4 [1132\n"
                        "  1000 ms  a  DATA 4 868]!\n"
                        "  1010 ms  b  SACK\n"
                        "  1020 ms  a  SHUTDOWN\n"
                        "  1030 ms  b  SHUTDOWN ACK\n"
                        "  1040 ms  a  SHUTDOWN COMPLETE\n");
    for (int i = 0; i < 2; i++)
        assert_int_equal(tern_sctp_error(pair->ends[i].sctp), TERN_ERR_CLOSED);
    golden_fini(&log);
    pair_end(pair);
}

static void shutdowns_survive_loss_and_each_other(void **state)
{
    (void)state;
    for (uint64_t which = 0; which < 16; which++) {
        for (int from = 0; from < 2; from++) {
            struct sctp_pair *pair = pair_up();
            struct lossy lossy;
            lose(pair, &lossy, from, which);
            tern_sctp_shutdown(pair->ends[0].sctp);
            if (which & 1)
                tern_sctp_shutdown(pair->ends[1].sctp);
            sctp_pair_run(pair, TERN_MINUTE);
            assert_int_equal(tern_sctp_error(pair->ends[0].sctp), TERN_ERR_CLOSED);
            /* Who sends the last packet cannot know that it is lost; its remote finds out. */
            tern_err err = tern_sctp_error(pair->ends[1].sctp);
            assert_true(err == TERN_ERR_CLOSED || err == TERN_ERR_TIMEOUT);
            pair_end(pair);
        }
    }
}

static void an_abort_ends_both_at_once(void **state)
{
    (void)state;
    struct sctp_pair *pair = pair_up();
    struct golden log;
    log_begin(pair, &log);
    tern_sctp_abort(pair->ends[1].sctp);
    tern_sctp_abort(pair->ends[1].sctp);
    sctp_pair_run(pair, TERN_SECOND);
    golden_expect(&log, "  1000 ms  b  ABORT\n");
    assert_int_equal(tern_sctp_error(pair->ends[0].sctp), TERN_ERR_DISCONNECTED);
    assert_int_equal(tern_sctp_error(pair->ends[1].sctp), TERN_ERR_CLOSED);
    golden_fini(&log);
    pair_end(pair);
}

/* ---- acknowledgements, loss ---- */

static void an_acknowledgement_waits_unless_it_is_asked_for(void **state)
{
    (void)state;
    struct sctp_pair *pair = pair_up();
    struct golden log;
    log_begin(pair, &log);
    uint8_t room[SCTP_PAIR_PACKET];
    assert_ok(sctp_pair_send(pair, 0, 0, 10));
    struct tern_view packet = sctp_pair_take(pair, 0, room);
    room[13] &= (uint8_t)~8; /* the wish for an answer */
    memset(room + 8, 0, 4);
    sctp_pair_give(pair, 1, packet);
    sctp_pair_run(pair, TERN_SECOND);
    golden_expect(&log, "  1100 ms  b  SACK\n");
    golden_fini(&log);
    pair_end(pair);
}

static void one_acknowledgement_answers_a_burst(void **state)
{
    (void)state;
    struct sctp_pair *pair = pair_up();
    uint8_t rooms[8][SCTP_PAIR_PACKET];
    struct tern_view packets[8];
    assert_ok(sctp_pair_send(pair, 0, 0, 9000));
    for (int i = 0; i < 8; i++)
        packets[i] = sctp_pair_take(pair, 0, rooms[i]);
    for (int i = 0; i < 8; i++)
        sctp_pair_give(pair, 1, packets[i]);
    uint8_t room[SCTP_PAIR_PACKET];
    assert_true(sctp_pair_take(pair, 1, room).size > 0);
    assert_int_equal(sctp_pair_take(pair, 1, room).size, 0);
    pair_end(pair);
}

static void a_lost_packet_is_sent_again_after_three_reports(void **state)
{
    (void)state;
    struct sctp_pair *pair = pair_up();
    struct golden log;
    struct lossy lossy;
    lose(pair, &lossy, 0, 2);
    log_begin(pair, &log);
    assert_ok(sctp_pair_send(pair, 0, 0, 6000));
    sctp_pair_run(pair, 12 * TERN_MILLISECOND);
    assert_ok(sctp_pair_send(pair, 0, 1, 3000));
    assert_true(sctp_pair_settle(pair, TERN_SECOND));
    golden_expect(&log, "  1000 ms  a  DATA 0 [1132\n"
                        "  1000 ms  a  DATA 0 1132\n"
                        "  1000 ms  a  DATA 0 1132\n"
                        "  1000 ms  a  DATA 0 1132\n"
                        "  1000 ms  a  DATA 0 1132\n"
                        "  1000 ms  a  DATA 0 340]!\n"
                        "  1010 ms  b  SACK +2..2\n"
                        "  1010 ms  b  SACK +2..3\n"
                        "  1010 ms  b  SACK +2..4\n"
                        "  1010 ms  b  SACK +2..5\n"
                        "  1012 ms  a  DATA 1 [1132\n"
                        "  1012 ms  a  DATA 1 1132\n"
                        "  1012 ms  a  DATA 1 736]!\n"
                        "  1020 ms  a  DATA 0 1132!\n"
                        "  1022 ms  b  SACK +2..6\n"
                        "  1022 ms  b  SACK +2..7\n"
                        "  1022 ms  b  SACK +2..8\n"
                        "  1030 ms  b  SACK\n");
    assert_int_equal(tern_sctp_stats(pair->ends[0].sctp).timeouts, 0);
    golden_fini(&log);
    pair_end(pair);
}

/* The second try is lost, too: what was sent later tells. */
static void a_retransmission_that_is_lost_is_found_without_a_time_out(void **state)
{
    (void)state;
    struct sctp_pair *pair = pair_up();
    struct lossy lossy;
    lose(pair, &lossy, 0, UINT64_C(1) << 1 | UINT64_C(3) << 14);
    for (int i = 0; i < 40; i++) {
        assert_ok(sctp_pair_send(pair, 0, 0, 1000));
        sctp_pair_run(pair, 2 * TERN_MILLISECOND);
    }
    assert_true(sctp_pair_settle(pair, 100 * TERN_MILLISECOND));
    assert_int_equal(tern_sctp_stats(pair->ends[0].sctp).retransmitted, 3);
    assert_int_equal(tern_sctp_stats(pair->ends[0].sctp).timeouts, 0);
    pair_end(pair);
}

static void a_tail_that_is_lost_waits_for_the_time_out(void **state)
{
    (void)state;
    struct sctp_pair *pair = pair_up();
    struct golden log;
    struct lossy lossy;
    lose(pair, &lossy, 0, 7);
    log_begin(pair, &log);
    assert_ok(sctp_pair_send(pair, 0, 0, 100));
    assert_true(sctp_pair_settle(pair, 10 * TERN_SECOND));
    golden_expect(&log, "  1000 ms  a  DATA 0 [100]!\n"
                        "  1200 ms  a  DATA 0 [100]!\n"
                        "  1600 ms  a  DATA 0 [100]!\n"
                        "  2400 ms  a  DATA 0 [100]!\n"
                        "  2410 ms  b  SACK\n");
    assert_int_equal(tern_sctp_stats(pair->ends[0].sctp).timeouts, 3);
    golden_fini(&log);
    pair_end(pair);
}

static void a_remote_that_falls_silent_is_given_up(void **state)
{
    (void)state;
    struct sctp_pair *pair = pair_up();
    for (int i = 0; i < 2; i++)
        datagram_net_socket(&pair->net, pair->ends[i].socket)->link.down = true;
    assert_ok(sctp_pair_send(pair, 0, 0, 100));
    sctp_pair_run(pair, 2 * TERN_MINUTE);
    /* One has data that nobody acknowledges, the other heartbeats that nobody answers. */
    for (int i = 0; i < 2; i++)
        assert_int_equal(tern_sctp_error(pair->ends[i].sctp), TERN_ERR_TIMEOUT);
    pair_end(pair);
}

static void silence_is_broken_by_heartbeats(void **state)
{
    (void)state;
    struct sctp_pair *pair = pair_up();
    struct golden log;
    struct lossy lossy;
    log_begin(pair, &log);
    lose(pair, &lossy, 0, 2);
    sctp_pair_run(pair, 35 * TERN_SECOND);
    golden_expect(&log, " 15040 ms  a  HEARTBEAT\n"
                        " 15040 ms  b  HEARTBEAT\n"
                        " 15050 ms  b  HEARTBEAT ACK\n"
                        " 15050 ms  a  HEARTBEAT ACK\n"
                        " 30050 ms  b  HEARTBEAT\n"
                        " 30060 ms  a  HEARTBEAT\n"
                        " 30060 ms  a  HEARTBEAT ACK\n"
                        " 30070 ms  b  HEARTBEAT ACK\n");
    golden_fini(&log);
    pair_end(pair);
}

/* ---- streams ---- */

static void streams_do_not_wait_for_each_other(void **state)
{
    (void)state;
    struct sctp_pair *pair = pair_up();
    struct lossy lossy;
    lose(pair, &lossy, 0, 1);
    assert_ok(sctp_pair_send(pair, 0, 0, 1132));
    for (uint16_t stream = 1; stream < 8; stream++)
        assert_ok(sctp_pair_send(pair, 0, stream, 1132));
    sctp_pair_run(pair, 11 * TERN_MILLISECOND);
    assert_int_equal(pair->ends[0].flows[0].received, 0);
    for (uint16_t stream = 1; stream < 8; stream++)
        assert_int_equal(pair->ends[0].flows[stream].received, 1132);
    assert_true(sctp_pair_settle(pair, TERN_SECOND));
    pair_end(pair);
}

/* A fragment is given as soon as all before it in its stream were. */
static void a_message_is_given_as_it_comes(void **state)
{
    (void)state;
    struct sctp_pair *pair = pair_up();
    struct lossy lossy;
    lose(pair, &lossy, 0, 4);
    assert_ok(sctp_pair_send(pair, 0, 3, 5000));
    sctp_pair_run(pair, 11 * TERN_MILLISECOND);
    assert_int_equal(pair->ends[0].flows[3].received, 2 * 1132);
    assert_true(sctp_pair_settle(pair, TERN_SECOND));
    pair_end(pair);
}

static void a_stream_is_reset_behind_its_last_message(void **state)
{
    (void)state;
    struct sctp_pair *pair = pair_up();
    struct golden log;
    log_begin(pair, &log);
    assert_ok(sctp_pair_send(pair, 0, 6, 1500));
    assert_ok(sctp_pair_reset(pair, 0, 6));
    assert_true(sctp_pair_settle(pair, TERN_SECOND));
    assert_int_equal(pair->ends[1].resets_in, 1);
    assert_int_equal(pair->ends[0].resets_out, 1);
    /* It begins anew, as often as one likes. */
    for (int i = 0; i < 3; i++) {
        assert_ok(sctp_pair_send(pair, 0, 6, 10));
        assert_ok(sctp_pair_reset(pair, 0, 6));
        assert_true(sctp_pair_settle(pair, TERN_SECOND));
    }
    assert_int_equal(pair->ends[1].resets_in, 4);
    sctp_pair_run(pair, TERN_SECOND);
    golden_expect(&log, "  1000 ms  a  DATA 6 [1132\n"
                        "  1000 ms  a  DATA 6 368]!\n"
                        "  1000 ms  a  RE-CONFIG\n"
                        "  1010 ms  b  SACK\n"
                        "  1010 ms  b  RE-CONFIG\n"
                        "  1020 ms  a  DATA 6 [10]!\n"
                        "  1020 ms  a  RE-CONFIG\n"
                        "  1030 ms  b  SACK\n"
                        "  1030 ms  b  RE-CONFIG\n"
                        "  1040 ms  a  DATA 6 [10]!\n"
                        "  1040 ms  a  RE-CONFIG\n"
                        "  1050 ms  b  SACK\n"
                        "  1050 ms  b  RE-CONFIG\n"
                        "  1060 ms  a  DATA 6 [10]!\n"
                        "  1060 ms  a  RE-CONFIG\n"
                        "  1070 ms  b  SACK\n"
                        "  1070 ms  b  RE-CONFIG\n");
    golden_fini(&log);
    pair_end(pair);
}

/* The request overtakes data that is lost: it is in progress until they come. */
static void a_reset_waits_for_the_data_before_it(void **state)
{
    (void)state;
    struct sctp_pair *pair = pair_up();
    struct golden log;
    struct lossy lossy;
    lose(pair, &lossy, 0, 1);
    assert_ok(sctp_pair_send(pair, 0, 6, 100));
    assert_ok(sctp_pair_reset(pair, 0, 6));
    log_begin(pair, &log);
    sctp_pair_run(pair, 50 * TERN_MILLISECOND);
    assert_int_equal(pair->ends[1].resets_in, 0);
    assert_int_equal(pair->ends[0].resets_out, 0);
    assert_true(sctp_pair_settle(pair, 10 * TERN_SECOND));
    assert_int_equal(pair->ends[1].resets_in, 1);
    golden_expect(&log, "  1000 ms  a  DATA 6 [100]!\n"
                        "  1000 ms  a  RE-CONFIG\n"
                        "  1010 ms  b  RE-CONFIG\n"
                        "  1200 ms  a  RE-CONFIG  DATA 6 [100]!\n"
                        "  1210 ms  b  SACK  RE-CONFIG\n");
    golden_fini(&log);
    pair_end(pair);
}

static void resets_survive_any_loss(void **state)
{
    (void)state;
    for (uint64_t which = 1; which < 64; which++) {
        for (int from = 0; from < 2; from++) {
            struct sctp_pair *pair = pair_up();
            struct lossy lossy;
            lose(pair, &lossy, from, which);
            for (int i = 0; i < 2; i++) {
                assert_ok(sctp_pair_send(pair, i, 2, 2000));
                assert_ok(sctp_pair_reset(pair, i, 2));
                assert_ok(sctp_pair_send(pair, i, 4, 10));
                assert_ok(sctp_pair_reset(pair, i, 4));
            }
            assert_true(sctp_pair_settle(pair, TERN_MINUTE));
            for (int i = 0; i < 2; i++) {
                assert_int_equal(pair->ends[i].resets_in, 2);
                assert_int_equal(pair->ends[i].resets_out, 2);
                assert_ok(sctp_pair_send(pair, i, 2, 2000));
            }
            assert_true(sctp_pair_settle(pair, TERN_MINUTE));
            pair_end(pair);
        }
    }
}

static void many_resets_go_in_few_requests(void **state)
{
    (void)state;
    struct sctp_pair *pair = pair_up();
    struct tern_sctp *s = pair->ends[0].sctp;
    for (uint16_t i = 0; i < TERN_SCTP_RESETS_MAX; i++)
        assert_ok(tern_sctp_reset(s, (uint16_t)(100 + i)));
    uint64_t before = tern_sctp_stats(s).packets_sent;
    sctp_pair_run(pair, TERN_SECOND);
    assert_int_equal(pair->ends[0].resets_out, TERN_SCTP_RESETS_MAX);
    assert_int_equal(pair->ends[1].resets_in, TERN_SCTP_RESETS_MAX);
    assert_true(tern_sctp_stats(s).packets_sent - before < 10);
    for (uint16_t i = 0; i < TERN_SCTP_RESETS_MAX; i++)
        assert_ok(tern_sctp_reset(s, (uint16_t)(100 + i)));
    /* Those of one request are out; there is room for as many, and no more. */
    tern_err err = TERN_OK;
    uint16_t more = 1000;
    while (err == TERN_OK && more < 2000)
        err = tern_sctp_reset(s, more++);
    assert_int_equal(err, TERN_ERR_FULL);
    pair_end(pair);
}

/* ---- windows ---- */

static void a_window_that_is_full_stops_the_sender(void **state)
{
    (void)state;
    struct sctp_pair *pair =
        pair_new(&(struct sctp_pair_options){.seed = 1,
                                             .link = {.latency_ns = 10 * TERN_MILLISECOND},
                                             .window_bytes = TERN_SCTP_WINDOW_MIN});
    sctp_pair_run(pair, TERN_SECOND);
    pair->ends[1].hold = true;
    struct sctp_pair_flow *flow = &pair->ends[0].flows[0];
    for (int i = 0; i < 400; i++) {
        if (tern_sctp_hungry(pair->ends[0].sctp))
            assert_ok(sctp_pair_send(pair, 0, 0, 10000));
        sctp_pair_run(pair, 20 * TERN_MILLISECOND);
    }
    assert_in_range(pair->ends[1].unread, TERN_SCTP_WINDOW_MIN - 1200, TERN_SCTP_WINDOW_MIN);
    assert_false(tern_sctp_hungry(pair->ends[0].sctp));
    assert_ok(tern_sctp_error(pair->ends[0].sctp));
    /* It goes on when there is room again, without waiting for a time-out. */
    uint64_t before = flow->received;
    pair->ends[1].hold = false;
    sctp_pair_release(pair, 1, SIZE_MAX);
    sctp_pair_run(pair, 45 * TERN_MILLISECOND);
    assert_true(flow->received > before);
    assert_true(sctp_pair_settle(pair, TERN_MINUTE));
    pair_end(pair);
}

/* The window stays shut for minutes: it is probed, and nobody gives up. */
static void a_shut_window_is_probed_for_ever(void **state)
{
    (void)state;
    struct sctp_pair *pair =
        pair_new(&(struct sctp_pair_options){.seed = 1,
                                             .link = {.latency_ns = 10 * TERN_MILLISECOND},
                                             .window_bytes = TERN_SCTP_WINDOW_MIN});
    sctp_pair_run(pair, TERN_SECOND);
    pair->ends[1].hold = true;
    for (int i = 0; i < 100; i++) {
        if (tern_sctp_hungry(pair->ends[0].sctp))
            assert_ok(sctp_pair_send(pair, 0, 0, 10000));
        sctp_pair_run(pair, 20 * TERN_MILLISECOND);
    }
    uint64_t before = tern_sctp_stats(pair->ends[0].sctp).packets_sent;
    sctp_pair_run(pair, 5 * TERN_MINUTE);
    uint64_t probes = tern_sctp_stats(pair->ends[0].sctp).packets_sent - before;
    assert_in_range(probes, 50, 130);
    assert_ok(tern_sctp_error(pair->ends[0].sctp));
    /* The word that it opens is lost: the next probe finds out. */
    struct lossy lossy;
    lose(pair, &lossy, 1, 1);
    pair->ends[1].hold = false;
    sctp_pair_release(pair, 1, SIZE_MAX);
    assert_true(sctp_pair_settle(pair, TERN_MINUTE));
    pair_end(pair);
}

/* ---- how fast ---- */

/* How much goes through in a time, as a share of what the link takes. */
static double share(const struct datagram_link *link, tern_time duration)
{
    struct sctp_pair *pair = pair_new(&(struct sctp_pair_options){.seed = 7, .link = *link});
    sctp_pair_run(pair, TERN_SECOND);
    struct sctp_pair_flow *flow = &pair->ends[0].flows[0];
    tern_time limit = pair->now + duration;
    bool more = true;
    while (more) {
        while (tern_sctp_hungry(pair->ends[0].sctp) && flow->count < SCTP_PAIR_MESSAGES)
            assert_ok(sctp_pair_send(pair, 0, 0, 16000));
        more = sctp_pair_step(pair, limit);
    }
    double bits = (double)flow->received * 8 / ((double)duration / 1e9);
    pair_end(pair);
    return bits / (double)link->bits_per_second;
}

static void a_link_is_filled(void **state)
{
    (void)state;
    static const struct {
        struct datagram_link link;
        double least;
    } rows[] = {
        {{.bits_per_second = 10000000,
          .latency_ns = 50 * TERN_MILLISECOND,
          .queue_bytes_max = 125000},
         0.80},
        {{.bits_per_second = 100000000,
          .latency_ns = 20 * TERN_MILLISECOND,
          .queue_bytes_max = 500000},
         0.80},
        {{.bits_per_second = 400000000, .latency_ns = 40 * TERN_MILLISECOND}, 0.80},
        {{.bits_per_second = 20000000, .latency_ns = 5 * TERN_MILLISECOND, .loss_ppm = 1000}, 0.75},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++) {
        double got = share(&rows[i].link, 10 * TERN_SECOND);
        if (got < rows[i].least)
            fail_msg("link %zu: %d %% of it", i, (int)(100 * got));
    }
}

/* ---- memory ---- */

static void idle_associations_give_memory_back(void **state)
{
    (void)state;
    struct sctp_pair *pair = pair_up();
    for (int i = 0; i < 50; i++) {
        assert_ok(sctp_pair_send(pair, 0, 0, 50000));
        assert_true(sctp_pair_settle(pair, TERN_MINUTE));
    }
    sctp_pair_run(pair, TERN_MINUTE);
    for (int i = 0; i < 2; i++)
        assert_true(pair->ends[i].mem.used < 12000);
    pair_end(pair);
}

/* Every allocation fails in turn: a message may be refused, an association may end for want of
 * memory, but what is received is right and nothing is left behind. */
static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (int onwards = 0; onwards < 2; onwards++) {
        for (int side = 0; side < 2; side++) {
            uint64_t count = UINT64_MAX;
            for (uint64_t n = 1; n <= count; n += 1 + n / 40) {
                struct sctp_pair *pair = pair_ideal();
                struct tern_mem *mem = &pair->ends[side].mem;
                struct lossy lossy;
                lose(pair, &lossy, 0, 0x410);
                uint64_t before = mem->allocs;
                tern_mem_fail_at(mem, n, onwards != 0);
                sctp_pair_run(pair, TERN_SECOND);
                for (int i = 0; i < 2; i++) {
                    (void)!sctp_pair_send(pair, i, 0, 3000);
                    (void)!sctp_pair_send(pair, i, 2, 10);
                    (void)!sctp_pair_send(pair, i, 0, 9000);
                    (void)!sctp_pair_reset(pair, i, 2);
                }
                sctp_pair_run(pair, 3 * TERN_SECOND);
                count = mem->allocs - before;
                tern_mem_fail_at(mem, 0, false);
                sctp_pair_run(pair, 10 * TERN_SECOND);
                pair_end(pair);
            }
            assert_true(count > 20);
        }
    }
    struct sctp_pair *pair = malloc(sizeof *pair);
    struct tern_mem mem;
    struct tern_mux_pool pool = {.mem = &mem};
    struct tern_random random;
    struct tern_sctp *sctp;
    tern_mem_init(&mem, 0);
    tern_random_init_u64(&random, 1);
    tern_mem_fail_at(&mem, 1, false);
    const struct tern_sctp_options options = {.mem = &mem, .random = &random, .pool = &pool};
    assert_int_equal(tern_sctp_new(&options, 1, &sctp), TERN_ERR_MEMORY);
    tern_sctp_free(NULL);
    tern_mem_fini(&mem);
    free(pair);
}

/* ---- everything at once ---- */

static void any_schedule_keeps_every_message_whole(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        const struct sctp_pair_options options = {
            .seed = seed,
            .link = {.latency_ns = (1 + seed % 40) * TERN_MILLISECOND,
                     .jitter_ns = seed % 3 * TERN_MILLISECOND,
                     .loss_ppm = (uint32_t)(seed % 5 * 30000),
                     .duplicate_ppm = (uint32_t)(seed % 4 * 20000),
                     .reorder_ppm = (uint32_t)(seed % 7 * 20000),
                     .reorder_ns = 15 * TERN_MILLISECOND,
                     .bits_per_second = seed % 2 == 0 ? 0 : 20000000,
                     .queue_bytes_max = seed % 2 == 0 ? 0 : 60000},
            .window_bytes = seed % 3 == 0 ? TERN_SCTP_WINDOW_MIN : 0,
            .checksums = seed % 5 == 0,
        };
        const char *wrong = sctp_pair_random(&options, 1500);
        if (wrong != NULL)
            fail_msg("seed %llu: %s", (unsigned long long)seed, wrong);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_begin_and_one_association_comes_of_it),
        cmocka_unit_test(data_go_with_the_cookie),
        cmocka_unit_test(any_loss_at_the_start_is_survived),
        cmocka_unit_test(a_remote_that_never_answers_is_given_up),
        cmocka_unit_test(a_round_trip_that_is_known_shortens_the_first_wait),
        cmocka_unit_test(a_shutdown_waits_for_what_is_under_way),
        cmocka_unit_test(shutdowns_survive_loss_and_each_other),
        cmocka_unit_test(an_abort_ends_both_at_once),
        cmocka_unit_test(an_acknowledgement_waits_unless_it_is_asked_for),
        cmocka_unit_test(one_acknowledgement_answers_a_burst),
        cmocka_unit_test(a_lost_packet_is_sent_again_after_three_reports),
        cmocka_unit_test(a_retransmission_that_is_lost_is_found_without_a_time_out),
        cmocka_unit_test(a_tail_that_is_lost_waits_for_the_time_out),
        cmocka_unit_test(a_remote_that_falls_silent_is_given_up),
        cmocka_unit_test(silence_is_broken_by_heartbeats),
        cmocka_unit_test(streams_do_not_wait_for_each_other),
        cmocka_unit_test(a_message_is_given_as_it_comes),
        cmocka_unit_test(a_stream_is_reset_behind_its_last_message),
        cmocka_unit_test(a_reset_waits_for_the_data_before_it),
        cmocka_unit_test(resets_survive_any_loss),
        cmocka_unit_test(many_resets_go_in_few_requests),
        cmocka_unit_test(a_window_that_is_full_stops_the_sender),
        cmocka_unit_test(a_shut_window_is_probed_for_ever),
        cmocka_unit_test(a_link_is_filled),
        cmocka_unit_test(idle_associations_give_memory_back),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(any_schedule_keeps_every_message_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
