/*
 * One connection against another: golden traces of the upgrade in virtual time, the count of round
 * trips, the negotiation of streams, ends in good order, and the failure of every allocation.
 */
#include "conn/conn_test_fixture.h"

#include "crypto/sha256.h"
#include "entropy.h"

static const tern_time LATENCY = 50 * TERN_MILLISECOND;

static struct conn_pair_options plain_options(void)
{
    return (struct conn_pair_options){.link = {.seed = 1, .latency_ns = LATENCY},
                                      .secure = TERN_SECURE_NOISE,
                                      .right_peer = true};
}

/* --- golden traces --- */

static void noise_upgrade_flight_by_flight(void **state)
{
    (void)state;
    struct fixture f;
    struct conn_pair_options options = plain_options();
    options.open_size = 1;
    struct conn_pair *pair = open_pair(&f, &options);
    conn_pair_run(pair, TERN_SECOND);
    golden_expect(&pair->log, "0.0 a sends 62\n"
                              "50.0 b job\n"
                              "50.0 b sends 246\n"
                              "100.0 a job\n"
                              "100.0 a established\n"
                              "100.0 a sends 263\n"
                              "150.0 b job\n"
                              "150.0 b established\n"
                              "150.0 b sends 30\n"
                              "150.0 b opened /test/echo/1\n"
                              "150.0 b readable\n"
                              "150.0 b sends 77\n"
                              "200.0 a sends 30\n"
                              "200.0 a rtt\n"
                              "200.0 a ready 0\n"
                              "200.0 a readable\n"
                              "250.0 b rtt\n");
    close_pair(&f);
}

static void noise_upgrade_with_a_late_muxer(void **state)
{
    (void)state;
    struct fixture f;
    struct conn_pair_options options = plain_options();
    options.open_size = 1;
    options.late_muxer[1] = true;
    struct conn_pair *pair = open_pair(&f, &options);
    conn_pair_run(pair, TERN_SECOND);
    golden_expect(&pair->log, "0.0 a sends 62\n"
                              "50.0 b job\n"
                              "50.0 b sends 230\n"
                              "100.0 a job\n"
                              "100.0 a established\n"
                              "100.0 a sends 297\n"
                              "150.0 b job\n"
                              "150.0 b established\n"
                              "150.0 b opened /test/echo/1\n"
                              "150.0 b readable\n"
                              "150.0 b sends 123\n"
                              "200.0 a rtt\n"
                              "200.0 a ready 0\n"
                              "200.0 a readable\n"
                              "200.0 a sends 30\n"
                              "250.0 b rtt\n");
    close_pair(&f);
}

static void plaintext_upgrade_flight_by_flight(void **state)
{
    (void)state;
    struct fixture f;
    struct conn_pair_options options = plain_options();
    options.open_size = 1;
    options.secure = TERN_SECURE_PLAINTEXT;
    struct conn_pair *pair = open_pair(&f, &options);
    conn_pair_run(pair, TERN_SECOND);
    golden_expect(&pair->log, "0.0 a sends 117\n"
                              "50.0 b sends 117\n"
                              "100.0 a established\n"
                              "100.0 a sends 93\n"
                              "150.0 b established\n"
                              "150.0 b opened /test/echo/1\n"
                              "150.0 b readable\n"
                              "150.0 b sends 105\n"
                              "200.0 a rtt\n"
                              "200.0 a ready 0\n"
                              "200.0 a readable\n"
                              "200.0 a sends 12\n"
                              "250.0 b rtt\n");
    close_pair(&f);
}

static void tls_upgrade_flight_by_flight(void **state)
{
    (void)state;
    struct fixture f;
    struct conn_pair_options options = plain_options();
    options.open_size = 1;
    options.secure = TERN_SECURE_TLS;
    struct conn_pair *pair = open_pair(&f, &options);
    conn_pair_run(pair, TERN_SECOND);
    golden_expect(&pair->log, "0.0 a sends\n"
                              "50.0 b job\n"
                              "50.0 b sends\n"
                              "100.0 a job\n"
                              "100.0 a established\n"
                              "100.0 a sends\n"
                              "150.0 b job\n"
                              "150.0 b established\n"
                              "150.0 b opened /test/echo/1\n"
                              "150.0 b readable\n"
                              "150.0 b sends\n"
                              "200.0 a rtt\n"
                              "200.0 a ready 0\n"
                              "200.0 a readable\n"
                              "200.0 a sends\n"
                              "250.0 b rtt\n");
    for (int side = 0; side < 2; side++)
        assert_true(tern_view_equal(tern_conn_remote(pair->ends[side].conn)->muxer,
                                    tern_view_str("/yamux/1.0.0")));
    close_pair(&f);
}

static void tls_upgrade_with_a_late_muxer(void **state)
{
    (void)state;
    struct fixture f;
    struct conn_pair_options options = plain_options();
    options.open_size = 1;
    options.secure = TERN_SECURE_TLS;
    options.late_muxer[1] = true;
    struct conn_pair *pair = open_pair(&f, &options);
    conn_pair_run(pair, TERN_SECOND);
    golden_expect(&pair->log, "0.0 a sends\n"
                              "50.0 b job\n"
                              "50.0 b sends\n"
                              "100.0 a job\n"
                              "100.0 a established\n"
                              "100.0 a sends\n"
                              "150.0 b job\n"
                              "150.0 b established\n"
                              "150.0 b opened /test/echo/1\n"
                              "150.0 b readable\n"
                              "150.0 b sends\n"
                              "200.0 a rtt\n"
                              "200.0 a ready 0\n"
                              "200.0 a readable\n"
                              "200.0 a sends\n"
                              "250.0 b rtt\n");
    assert_int_equal(tern_conn_remote(pair->ends[0].conn)->muxer.size, 0);
    close_pair(&f);
}

/* Behind CLOSED the channel says its own farewell. */
static void tls_says_goodbye_too(void **state)
{
    (void)state;
    struct fixture f;
    struct conn_pair_options options = plain_options();
    options.secure = TERN_SECURE_TLS;
    struct conn_pair *pair = open_pair(&f, &options);
    conn_pair_run(pair, TERN_SECOND);
    golden_fini(&pair->log);
    golden_init(&pair->log);
    tern_conn_close(pair->ends[0].conn, pair->link.now, 0x1006);
    conn_pair_serve(&pair->ends[0], pair->link.now);
    conn_pair_run(pair, 2 * TERN_SECOND);
    golden_expect(&pair->log, "250.0 a sends\n"
                              "250.0 a closed OK NONE\n"
                              "250.0 a sends\n" /* close_notify */
                              "300.0 b goaway 0x1006\n"
                              "300.0 b closed DISCONNECTED NONE\n"
                              "300.0 b sends\n");
    close_pair(&f);
}

static void a_dialer_of_two_channels_goes_on_to_the_one_that_is_served(void **state)
{
    (void)state;
    struct fixture f;
    struct conn_pair_options options = plain_options();
    options.open_size = 1;
    options.secure = TERN_SECURE_PLAINTEXT;
    options.offers_two[0] = true;
    struct conn_pair *pair = open_pair(&f, &options);
    conn_pair_run(pair, TERN_SECOND);
    golden_expect(&pair->log, "0.0 a sends 28\n"
                              "50.0 b sends 24\n"
                              "100.0 a sends 18\n"
                              "150.0 b sends 97\n"
                              "200.0 a established\n"
                              "200.0 a sends 172\n"
                              "250.0 b established\n"
                              "250.0 b opened /test/echo/1\n"
                              "250.0 b readable\n"
                              "250.0 b sends 105\n"
                              "300.0 a rtt\n"
                              "300.0 a ready 0\n"
                              "300.0 a readable\n"
                              "300.0 a sends 12\n"
                              "350.0 b rtt\n");
    close_pair(&f);
}

static void goodbye_is_said_by_both(void **state)
{
    (void)state;
    struct fixture f;
    struct conn_pair_options options = plain_options();
    struct conn_pair *pair = open_pair(&f, &options);
    conn_pair_run(pair, TERN_SECOND);
    golden_fini(&pair->log);
    golden_init(&pair->log);
    tern_conn_close(pair->ends[0].conn, pair->link.now, 0x1006);
    conn_pair_serve(&pair->ends[0], pair->link.now);
    conn_pair_run(pair, 2 * TERN_SECOND);
    golden_expect(&pair->log, "250.0 a sends 30\n"
                              "250.0 a closed OK NONE\n"
                              "300.0 b goaway 0x1006\n"
                              "300.0 b closed DISCONNECTED NONE\n");
    tern_stream_id id;
    const struct tern_view echo = tern_view_str(CONN_PAIR_ECHO);
    assert_int_equal(
        tern_conn_open_stream(pair->ends[0].conn, pair->link.now,
                              &(struct tern_stream_offer){.names = &echo, .names_count = 1}, &id),
        TERN_ERR_CLOSED);
    close_pair(&f);
}

/* --- round trips --- */

/* The link is there one round trip after the dial began (SYN, SYN+ACK); the clock of the pair
 * starts then. Proposal, Noise, muxer, stream, protocol, request and answer take two more. */
static void the_first_byte_of_an_answer_comes_after_three_round_trips(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        bool late[2];
        enum tern_secure_kind secure;
    } cases[] = {
        {"early muxer", {false, false}, TERN_SECURE_NOISE},
        {"a dialer without early muxers", {true, false}, TERN_SECURE_NOISE},
        {"a listener without early muxers", {false, true}, TERN_SECURE_NOISE},
        {"neither", {true, true}, TERN_SECURE_NOISE},
        {"TLS, early muxer", {false, false}, TERN_SECURE_TLS},
        {"TLS, a dialer without early muxers", {true, false}, TERN_SECURE_TLS},
        {"TLS, a listener without early muxers", {false, true}, TERN_SECURE_TLS},
        {"TLS, neither", {true, true}, TERN_SECURE_TLS},
    };
    const tern_time round_trip = 2 * LATENCY;
    const tern_time tcp = round_trip;
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        struct fixture f;
        struct conn_pair_options options = plain_options();
        options.open_size = 1;
        options.secure = cases[i].secure;
        memcpy(options.late_muxer, cases[i].late, sizeof options.late_muxer);
        struct conn_pair *pair = open_pair(&f, &options);
        conn_pair_run(pair, TERN_SECOND);
        assert_true(conn_pair_echoed(&pair->ends[0], 1));
        if (tcp + pair->ends[0].first_byte_at != 3 * round_trip)
            fail_msg("%s: %.2f round trips", cases[i].what,
                     (double)(tcp + pair->ends[0].first_byte_at) / (double)round_trip);
        close_pair(&f);
    }
}

/* --- streams --- */

static void a_lazy_stream_may_end_before_the_echo(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 100, 50000};
    for (size_t i = 0; i < TERN_COUNT_OF(sizes); i++) {
        struct fixture f;
        struct conn_pair_options options = plain_options();
        options.open_size = sizes[i];
        options.ends_early = true;
        struct conn_pair *pair = open_pair(&f, &options);
        conn_pair_run(pair, 3 * TERN_SECOND);
        assert_true(conn_pair_echoed(&pair->ends[0], sizes[i]));
        assert_true(pair->ends[0].read_end);
        for (int side = 0; side < 2; side++) {
            assert_int_equal(pair->ends[side].counts[TERN_CONN_STREAM_CLOSED], 1);
            assert_int_equal(tern_conn_streams_count(pair->ends[side].conn), 0);
        }
        close_pair(&f);
    }
}

static void several_names_are_tried_in_turn(void **state)
{
    (void)state;
    static const struct {
        const char *names[4];
        int index; /* -1: refused */
    } cases[] = {
        {{CONN_PAIR_ECHO, CONN_PAIR_OTHER}, 0},
        {{"/none/1", CONN_PAIR_ECHO}, 1},
        {{"/none/1", "/none/2", "/none/3", CONN_PAIR_OTHER}, 3},
        {{"/none/1", "/none/2", "/none/3"}, -1},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        struct fixture f;
        struct conn_pair_options options = plain_options();
        options.open_size = 1;
        for (size_t n = 0; n < 4 && cases[i].names[n] != NULL; n++)
            options.open_names[n] = tern_view_str(cases[i].names[n]);
        struct conn_pair *pair = open_pair(&f, &options);
        conn_pair_run(pair, 3 * TERN_SECOND);
        struct conn_end *a = &pair->ends[0];
        if (cases[i].index < 0) {
            assert_int_equal(a->counts[TERN_CONN_STREAM_REFUSED], 1);
            assert_int_equal(a->last[TERN_CONN_STREAM_REFUSED].err, TERN_ERR_NO_PROTOCOL);
            assert_int_equal(a->counts[TERN_CONN_STREAM_READY], 0);
        } else {
            assert_int_equal(a->counts[TERN_CONN_STREAM_READY], 1);
            assert_int_equal(a->last[TERN_CONN_STREAM_READY].offered_index, cases[i].index);
            assert_true(conn_pair_echoed(a, 1));
        }
        close_pair(&f);
    }
}

/* A lazy stream whose protocol is not served: what was written behind the proposal is no protocol
 * to the listener, and neither end blames the other. */
static void a_refused_lazy_stream_harms_nobody(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 2000};
    for (size_t i = 0; i < TERN_COUNT_OF(sizes); i++) {
        struct fixture f;
        struct conn_pair_options options = plain_options();
        options.open_size = sizes[i];
        options.open_names[0] = tern_view_str("/none/1");
        struct conn_pair *pair = open_pair(&f, &options);
        conn_pair_run(pair, 7 * TERN_SECOND);
        struct conn_end *a = &pair->ends[0];
        assert_int_equal(a->counts[TERN_CONN_STREAM_REFUSED], 1);
        assert_int_equal(a->last[TERN_CONN_STREAM_REFUSED].fault, TERN_FAULT_NONE);
        assert_int_equal(pair->ends[1].counts[TERN_CONN_STREAM_OPENED], 0);
        const struct tern_view echo = tern_view_str(CONN_PAIR_ECHO);
        assert_ok(conn_pair_open(a, &echo, 1, 10));
        conn_pair_run(pair, 9 * TERN_SECOND);
        assert_true(conn_pair_echoed(a, 10));
        close_pair(&f);
    }
}

static void a_reset_while_negotiating_is_heard_of_once(void **state)
{
    (void)state;
    struct fixture f;
    struct conn_pair_options options = plain_options();
    options.open_size = 5;
    struct conn_pair *pair = open_pair(&f, &options);
    struct conn_end *a = &pair->ends[0];
    while (a->stream == TERN_STREAM_NONE)
        assert_true(sim_pair_step(&pair->link, TERN_SECOND));
    tern_conn_reset(a->conn, a->stream, 7);
    assert_int_equal(tern_conn_streams_count(a->conn), 0);
    struct tern_slice bytes;
    assert_int_equal(tern_conn_read(a->conn, a->stream, &bytes), TERN_ERR_STALE);
    conn_pair_run(pair, 7 * TERN_SECOND);
    assert_int_equal(a->counts[TERN_CONN_STREAM_READY], 0);
    assert_int_equal(a->counts[TERN_CONN_STREAM_REFUSED], 0);
    assert_int_equal(tern_conn_streams_count(pair->ends[1].conn), 0);
    assert_int_equal(pair->ends[1].counts[TERN_CONN_CLOSED], 0);
    close_pair(&f);
}

/* READY and READABLE wait together; the owner resets the stream at READY: READABLE is not said. */
static void nothing_is_said_of_a_stream_after_its_owner_reset_it(void **state)
{
    (void)state;
    struct fixture f;
    struct conn_pair_options options = plain_options();
    options.open_size = 5;
    options.resets_at_ready = true;
    struct conn_pair *pair = open_pair(&f, &options);
    struct conn_end *a = &pair->ends[0];
    conn_pair_run(pair, 3 * TERN_SECOND);
    assert_int_equal(a->counts[TERN_CONN_STREAM_READY], 1);
    assert_int_equal(a->counts[TERN_CONN_STREAM_READABLE], 0);
    assert_int_equal(a->counts[TERN_CONN_STREAM_CLOSED], 0);
    assert_int_equal(pair->ends[1].last[TERN_CONN_STREAM_RESET].code, 7);
    close_pair(&f);
}

static void verbs_wait_for_a_stream_that_is_not_lazy(void **state)
{
    (void)state;
    struct fixture f;
    struct conn_pair_options options = plain_options();
    struct conn_pair *pair = open_pair(&f, &options);
    struct conn_end *a = &pair->ends[0];
    tern_stream_id id;
    const struct tern_view names[] = {tern_view_str("/none/1"), tern_view_str(CONN_PAIR_ECHO)};
    const struct tern_stream_offer offer = {.names = names, .names_count = 2};
    assert_int_equal(tern_conn_open_stream(a->conn, 0, &offer, &id), TERN_ERR_CLOSED);
    conn_pair_run(pair, TERN_SECOND);
    assert_ok(tern_conn_open_stream(a->conn, pair->link.now, &offer, &id));
    size_t accepted = 1;
    struct tern_slice bytes;
    assert_ok(tern_conn_write(a->conn, id, tern_view_str("x"), &accepted));
    assert_int_equal(accepted, 0);
    assert_int_equal(
        tern_conn_write_slice(a->conn, id, (struct tern_slice){.view = tern_view_str("x")}),
        TERN_ERR_AGAIN);
    assert_int_equal(tern_conn_read(a->conn, id, &bytes), TERN_ERR_AGAIN);
    assert_int_equal(tern_conn_close_write(a->conn, id), TERN_ERR_AGAIN);
    conn_pair_run(pair, 2 * TERN_SECOND);
    assert_int_equal(a->counts[TERN_CONN_STREAM_READY], 1);
    assert_ok(tern_conn_write(a->conn, id, tern_view_str("x"), &accepted));
    assert_int_equal(accepted, 1);
    tern_conn_reset(a->conn, id, 0);
    close_pair(&f);
}

/* --- segmentation, jobs, keep-alive --- */

static void any_segmentation_gives_the_same(void **state)
{
    (void)state;
    const struct conn_pair_options options = plain_options();
    expect_echo_in_any_segmentation(&options, 60);
}

static void hash_tamper(void *context, unsigned side, struct tern_span bytes)
{
    struct tern_sha256 *sha = context;
    uint8_t from = (uint8_t)side;
    tern_sha256_update(sha, tern_view_of(&from, 1));
    tern_sha256_update(sha, tern_view_of(bytes.data, bytes.size));
}

/* To the byte, also where a library draws keys, nonces and signatures by itself. */
static void the_same_seed_gives_the_same_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(each_secure); i++) {
        uint8_t digests[3][TERN_SHA256_SIZE];
        for (uint64_t run = 0; run < 3; run++) {
            struct fixture f;
            struct tern_sha256 sha;
            struct conn_pair_options options = plain_options();
            tern_sim_entropy_seed(run / 2);
            tern_sha256_init(&sha);
            options.secure = each_secure[i];
            options.open_size = 1000;
            options.link.seed = 1 + run / 2;
            options.link.tamper = hash_tamper;
            options.link.tamper_context = &sha;
            struct conn_pair *pair = open_pair(&f, &options);
            conn_pair_run(pair, 2 * TERN_SECOND);
            assert_true(conn_pair_echoed(&pair->ends[0], 1000));
            tern_sha256_final(&sha, digests[run]);
            close_pair(&f);
        }
        assert_memory_equal(digests[0], digests[1], TERN_SHA256_SIZE);
        assert_memory_not_equal(digests[0], digests[2], TERN_SHA256_SIZE);
    }
}

/* The pair checks at every recv that nothing is taken while a job is out. */
static void a_job_that_is_away_holds_the_bytes_back(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        int side = i % 2;
        struct fixture f;
        struct conn_pair_options options = plain_options();
        options.secure = each_secure[i / 2];
        options.open_size = 100;
        options.hold_jobs[side] = true;
        struct conn_pair *pair = open_pair(&f, &options);
        struct conn_end *end = &pair->ends[side];
        conn_pair_run(pair, TERN_SECOND);
        for (int round = 0; round < 8; round++) {
            assert_int_equal(pair->ends[0].counts[TERN_CONN_CLOSED], 0);
            if (end->job == NULL)
                break;
            conn_pair_run_job(end, pair->link.now);
            conn_pair_serve(end, pair->link.now);
            conn_pair_run(pair, pair->link.now + TERN_SECOND);
        }
        assert_true(conn_pair_echoed(&pair->ends[0], 100));
        close_pair(&f);
    }
}

static void a_connection_freed_while_its_job_is_out_goes_when_it_is_back(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        int side = i % 2;
        struct fixture f;
        struct conn_pair_options options = plain_options();
        options.secure = each_secure[i / 2];
        options.hold_jobs[side] = true;
        struct conn_pair *pair = open_pair(&f, &options);
        conn_pair_run(pair, TERN_SECOND);
        struct conn_end *end = &pair->ends[side];
        struct tern_job *job = end->job;
        assert_non_null(job);
        tern_conn_free(end->conn);
        size_t kept = f.mem.used;
        assert_false(tern_conn_want_send(end->conn));
        assert_int_equal(tern_conn_deadline(end->conn), TERN_TIME_NEVER);
        job->run(job);
        tern_conn_job_done(end->conn, pair->link.now, job);
        assert_true(f.mem.used < kept);
        end->conn = NULL;
        end->job = NULL;
        close_pair(&f);
    }
}

/* A whole upgrade fails with TIMEOUT when the job takes too long. */
static void a_job_does_not_stop_the_clock(void **state)
{
    (void)state;
    struct fixture f;
    struct conn_pair_options options = plain_options();
    options.hold_jobs[1] = true;
    struct conn_pair *pair = open_pair(&f, &options);
    conn_pair_run(pair, 20 * TERN_SECOND);
    assert_int_equal(pair->ends[1].counts[TERN_CONN_CLOSED], 1);
    assert_int_equal(pair->ends[1].fault, TERN_FAULT_CONN_UPGRADE_TIMEOUT);
    conn_pair_run_job(&pair->ends[1], pair->link.now);
    conn_pair_serve(&pair->ends[1], pair->link.now);
    assert_int_equal(pair->ends[1].counts[TERN_CONN_ESTABLISHED], 0);
    close_pair(&f);
}

static void round_trips_are_measured(void **state)
{
    (void)state;
    struct fixture f;
    struct conn_pair_options options = plain_options();
    options.ping_ns = 10 * TERN_SECOND;
    struct conn_pair *pair = open_pair(&f, &options);
    conn_pair_run(pair, TERN_MINUTE);
    for (int side = 0; side < 2; side++) {
        /* At the start; then the dialer's keep-alives measure its own. */
        assert_in_range(pair->ends[side].counts[TERN_CONN_RTT], side == 0 ? 5 : 1, 6);
        assert_int_equal(tern_conn_rtt(pair->ends[side].conn), 2 * LATENCY);
    }
    close_pair(&f);
}

/* --- ends --- */

static void a_dialer_may_leave_before_the_late_muxer_is_agreed(void **state)
{
    (void)state;
    struct fixture f;
    struct conn_pair_options options = plain_options();
    options.late_muxer[1] = true;
    struct conn_pair *pair = open_pair(&f, &options);
    struct conn_end *a = &pair->ends[0];
    while (a->counts[TERN_CONN_ESTABLISHED] == 0)
        assert_true(sim_pair_step(&pair->link, TERN_SECOND));
    tern_conn_close(a->conn, pair->link.now, 0);
    conn_pair_run(pair, 4 * TERN_SECOND);
    assert_int_equal(a->err, TERN_OK);
    assert_int_equal(a->fault, TERN_FAULT_NONE);
    assert_int_equal(pair->ends[1].fault, TERN_FAULT_NONE);
    assert_int_equal(pair->ends[1].counts[TERN_CONN_GOAWAY], 1);
    close_pair(&f);
}

/* A goodbye that the link does not take is given up after two seconds. */
static void goodbye_does_not_wait_for_ever(void **state)
{
    (void)state;
    struct fixture f;
    struct conn_pair_options options = plain_options();
    struct conn_pair *pair = open_pair(&f, &options);
    conn_pair_run(pair, TERN_SECOND);
    struct conn_end *a = &pair->ends[0];
    tern_conn_close(a->conn, TERN_SECOND, 0);
    conn_pair_serve(a, TERN_SECOND);
    assert_int_equal(a->counts[TERN_CONN_CLOSED], 0);
    assert_int_equal(tern_conn_deadline(a->conn), 3 * TERN_SECOND);
    tern_conn_tick(a->conn, 3 * TERN_SECOND);
    conn_pair_serve(a, 3 * TERN_SECOND);
    assert_int_equal(a->counts[TERN_CONN_CLOSED], 1);
    assert_int_equal(a->err, TERN_OK);
    close_pair(&f);
}

static void closing_before_the_upgrade_is_done_ends_at_once(void **state)
{
    (void)state;
    struct fixture f;
    struct conn_pair_options options = plain_options();
    struct conn_pair *pair = open_pair(&f, &options);
    tern_conn_close(pair->ends[0].conn, 0, 0);
    conn_pair_serve(&pair->ends[0], 0);
    assert_int_equal(pair->ends[0].counts[TERN_CONN_CLOSED], 1);
    assert_int_equal(pair->ends[0].err, TERN_ERR_CLOSED);
    close_pair(&f);
}

/* --- memory --- */

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        struct conn_pair_options options = plain_options();
        options.secure = i == 1 ? TERN_SECURE_PLAINTEXT : TERN_SECURE_NOISE;
        options.secure = i == 4 ? TERN_SECURE_TLS : options.secure;
        options.late_muxer[1] = i == 2;
        options.offers_two[0] = i == 3;
        expect_allocations_may_fail(options, 3000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(noise_upgrade_flight_by_flight),
        cmocka_unit_test(noise_upgrade_with_a_late_muxer),
        cmocka_unit_test(plaintext_upgrade_flight_by_flight),
        cmocka_unit_test(tls_upgrade_flight_by_flight),
        cmocka_unit_test(tls_upgrade_with_a_late_muxer),
        cmocka_unit_test(tls_says_goodbye_too),
        cmocka_unit_test(a_dialer_of_two_channels_goes_on_to_the_one_that_is_served),
        cmocka_unit_test(goodbye_is_said_by_both),
        cmocka_unit_test(the_first_byte_of_an_answer_comes_after_three_round_trips),
        cmocka_unit_test(a_lazy_stream_may_end_before_the_echo),
        cmocka_unit_test(several_names_are_tried_in_turn),
        cmocka_unit_test(a_refused_lazy_stream_harms_nobody),
        cmocka_unit_test(a_reset_while_negotiating_is_heard_of_once),
        cmocka_unit_test(nothing_is_said_of_a_stream_after_its_owner_reset_it),
        cmocka_unit_test(verbs_wait_for_a_stream_that_is_not_lazy),
        cmocka_unit_test(any_segmentation_gives_the_same),
        cmocka_unit_test(the_same_seed_gives_the_same_bytes),
        cmocka_unit_test(a_job_that_is_away_holds_the_bytes_back),
        cmocka_unit_test(a_connection_freed_while_its_job_is_out_goes_when_it_is_back),
        cmocka_unit_test(a_job_does_not_stop_the_clock),
        cmocka_unit_test(round_trips_are_measured),
        cmocka_unit_test(a_dialer_may_leave_before_the_late_muxer_is_agreed),
        cmocka_unit_test(goodbye_does_not_wait_for_ever),
        cmocka_unit_test(closing_before_the_upgrade_is_done_ends_at_once),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("conn", tests, NULL, NULL);
}
