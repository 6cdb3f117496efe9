/*
 * A connection whose remote is hostile, broken or gone: every rejection by the name of its fault,
 * the link's end at every byte of the upgrade, changed bytes at every place of it.
 */
#include "conn/conn_test_fixture.h"

#include "base/check.h"

static const tern_time LATENCY = 20 * TERN_MILLISECOND;

static struct conn_pair_options plain_options(void)
{
    return (struct conn_pair_options){.link = {.seed = 3, .latency_ns = LATENCY},
                                      .secure = TERN_SECURE_NOISE,
                                      .right_peer = true};
}

static void expect_closed(const struct conn_end *end, tern_err err, tern_fault fault)
{
    assert_int_equal(end->counts[TERN_CONN_CLOSED], 1);
    assert_string_equal(tern_fault_name(end->fault), tern_fault_name(fault));
    assert_string_equal(tern_err_name(end->err), tern_err_name(err));
}

/* --- one end whose remote is the test, byte by byte --- */

static tern_err feed(struct conn_end *end, tern_time now, struct tern_view bytes)
{
    uint8_t copy[4096];
    size_t used = 0;
    TERN_CHECK(bytes.size <= sizeof copy);
    if (bytes.size == 0)
        return TERN_OK;
    memcpy(copy, bytes.data, bytes.size);
    tern_err err = tern_conn_recv(
        end->conn, now, (struct tern_slice){.view = tern_view_of(copy, bytes.size)}, &used);
    conn_pair_serve(end, now);
    return err;
}

static const char header[] = "\x13/multistream/1.0.0\n";

static void bytes_that_are_no_negotiation_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        tern_fault fault;
        unsigned side;
    } cases[] = {
        {"\x16\x03\x01 a TLS client's hello", 24, TERN_FAULT_MULTISTREAM_NO_HEADER, 1},
        {"\x13/multistream/1.0.0\n\x05hello", 26, TERN_FAULT_MULTISTREAM_NO_NEWLINE, 1},
        {"\x06hello\n", 7, TERN_FAULT_MULTISTREAM_NO_HEADER, 1},
        {"\x00", 1, TERN_FAULT_MULTISTREAM_BAD_LENGTH, 1},
        {"\x80\x00", 2, TERN_FAULT_MULTISTREAM_BAD_LENGTH, 1},
        {"\xff\xff\x03", 3, TERN_FAULT_MULTISTREAM_TOO_LARGE, 1},
        {"\x13/multistream/1.0.0\n\x07/other\n", 28, TERN_FAULT_MULTISTREAM_BOTH_DIAL, 0},
        {"\x13/multistream/1.0.0\n\x06other\n", 27, TERN_FAULT_MULTISTREAM_BAD_ANSWER, 0},
        {"\x13/multistream/1.0.1\n", 20, TERN_FAULT_MULTISTREAM_NO_HEADER, 0},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        struct fixture f;
        struct conn_pair_options options = plain_options();
        struct conn_pair *pair = open_pair(&f, &options);
        struct conn_end *end = &pair->ends[cases[i].side];
        const uint8_t *bytes = (const uint8_t *)cases[i].bytes;
        assert_int_not_equal(feed(end, 0, tern_view_of(bytes, cases[i].size)), TERN_OK);
        expect_closed(end, TERN_ERR_PROTOCOL, cases[i].fault);
        assert_int_not_equal(feed(end, 0, tern_view_str("more")), TERN_OK);
        assert_int_equal(tern_conn_deadline(end->conn), TERN_TIME_NEVER);
        close_pair(&f);
    }
}

static void proposals_without_end_are_named(void **state)
{
    (void)state;
    struct fixture f;
    struct conn_pair_options options = plain_options();
    struct conn_pair *pair = open_pair(&f, &options);
    struct conn_end *b = &pair->ends[1];
    uint8_t scratch[4096];
    assert_ok(feed(b, 0, tern_view_str(header)));
    tern_err err = TERN_OK;
    int i;
    for (i = 0; i < 1000 && err == TERN_OK; i++) {
        struct tern_writer out = tern_writer_of(scratch, sizeof scratch);
        err = feed(b, 0, tern_view_str("\x06/none\n"));
        tern_conn_send(b->conn, 0, &out);
    }
    assert_true(i < 100);
    expect_closed(b, TERN_ERR_PROTOCOL, TERN_FAULT_MULTISTREAM_TOO_MANY_PROPOSALS);
    close_pair(&f);
}

static void both_ends_dialling_is_seen_by_both(void **state)
{
    (void)state;
    static const struct {
        enum tern_secure_kind secure;
        bool two;
    } cases[] = {{TERN_SECURE_NOISE, false}, {TERN_SECURE_NOISE, true}, {TERN_SECURE_TLS, false}};
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        struct fixture f;
        struct conn_pair_options options = plain_options();
        options.both_dial = true;
        options.secure = cases[i].secure;
        options.offers_two[0] = options.offers_two[1] = cases[i].two;
        struct conn_pair *pair = open_pair(&f, &options);
        conn_pair_run(pair, TERN_SECOND);
        for (int side = 0; side < 2; side++) {
            const struct conn_end *end = &pair->ends[side];
            assert_int_equal(end->counts[TERN_CONN_CLOSED], 1);
            assert_int_equal(end->counts[TERN_CONN_ESTABLISHED], 0);
            if (end->fault != TERN_FAULT_NOISE_BOTH_INITIATE &&
                end->fault != TERN_FAULT_TLS_BOTH_INITIATE &&
                end->fault != TERN_FAULT_MULTISTREAM_BOTH_DIAL && end->err != TERN_ERR_DISCONNECTED)
                fail_msg("case %zu: %s %s", i, tern_err_name(end->err),
                         tern_fault_name(end->fault));
        }
        close_pair(&f);
    }
}

static void the_wrong_peer_is_refused_before_it_learns_who_dialled(void **state)
{
    (void)state;
    static const struct {
        enum tern_secure_kind secure;
        tern_fault fault;
    } cases[] = {{TERN_SECURE_NOISE, TERN_FAULT_NOISE_WRONG_PEER},
                 {TERN_SECURE_TLS, TERN_FAULT_TLS_WRONG_PEER},
                 {TERN_SECURE_PLAINTEXT, TERN_FAULT_PLAINTEXT_WRONG_PEER}};
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        struct fixture f;
        struct conn_pair_options options = plain_options();
        options.right_peer = false;
        options.wrong_peer = true;
        options.secure = cases[i].secure;
        struct conn_pair *pair = open_pair(&f, &options);
        conn_pair_run(pair, 20 * TERN_SECOND);
        assert_int_equal(pair->ends[0].counts[TERN_CONN_ESTABLISHED], 0);
        assert_string_equal(tern_fault_name(pair->ends[0].fault), tern_fault_name(cases[i].fault));
        assert_int_equal(pair->ends[1].counts[TERN_CONN_ESTABLISHED], 0);
        assert_int_equal(pair->ends[1].counts[TERN_CONN_CLOSED], 1);
        close_pair(&f);
    }
}

/* --- time --- */

/* A byte now and then keeps no upgrade alive. */
static void a_slow_upgrade_times_out(void **state)
{
    (void)state;
    static const struct {
        unsigned side;
        size_t bytes; /* of what an honest remote would send */
    } cases[] = {{0, 0}, {1, 0}, {0, 5}, {1, 25}, {0, 80}, {1, 40}};
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        struct fixture f;
        struct conn_pair_options options = plain_options();
        struct conn_pair *pair = open_pair(&f, &options);
        struct conn_end *end = &pair->ends[cases[i].side];
        struct conn_end *remote = &pair->ends[1 - cases[i].side];
        uint8_t bytes[8192];
        struct tern_writer out = tern_writer_of(bytes, sizeof bytes);
        tern_conn_send(remote->conn, 0, &out);
        tern_time now = 0;
        for (size_t n = 0; n < tern_min_size(cases[i].bytes, out.size); n++) {
            now += 100 * TERN_MILLISECOND;
            assert_ok(feed(end, now, tern_view_of(bytes + n, 1)));
        }
        assert_int_equal(tern_conn_deadline(end->conn), 10 * TERN_SECOND);
        tern_conn_tick(end->conn, 10 * TERN_SECOND - 1);
        conn_pair_serve(end, 10 * TERN_SECOND - 1);
        assert_int_equal(end->counts[TERN_CONN_CLOSED], 0);
        tern_conn_tick(end->conn, 10 * TERN_SECOND);
        conn_pair_serve(end, 10 * TERN_SECOND);
        expect_closed(end, TERN_ERR_TIMEOUT, TERN_FAULT_CONN_UPGRADE_TIMEOUT);
        close_pair(&f);
    }
}

/* No answer comes to five proposals: more than the events that wait at a time. */
static void a_stream_that_is_not_agreed_in_time_is_reset(void **state)
{
    (void)state;
    struct fixture f;
    struct conn_pair_options options = plain_options();
    struct conn_pair *pair = open_pair(&f, &options);
    conn_pair_run(pair, TERN_SECOND);
    struct conn_end *a = &pair->ends[0];
    const struct tern_view echo = tern_view_str(CONN_PAIR_ECHO);
    for (size_t i = 0; i < 5; i++)
        assert_ok(conn_pair_open(a, &echo, 1, 3));
    tern_time due = pair->link.now + 5 * TERN_SECOND;
    assert_int_equal(tern_conn_deadline(a->conn), due);
    for (int i = 0; i < 2; i++) {
        tern_conn_tick(a->conn, due); /* nothing came in between */
        conn_pair_serve(a, due);
    }
    assert_int_equal(a->counts[TERN_CONN_STREAM_REFUSED], 5);
    const struct tern_conn_event *last = &a->last[TERN_CONN_STREAM_REFUSED];
    assert_int_equal(last->err, TERN_ERR_TIMEOUT);
    assert_int_equal(last->code, 0);
    assert_int_equal(last->fault, TERN_FAULT_CONN_NEGOTIATE_TIMEOUT);
    assert_int_equal(tern_conn_streams_count(a->conn), 0);
    assert_int_equal(a->counts[TERN_CONN_CLOSED], 0);
    close_pair(&f);
}

/* A remote in plaintext, frame by frame: the muxer's frames can be written by hand. */
struct raw {
    struct fixture f;
    struct conn_end *b;
    tern_time now;
};

static void raw_open(struct raw *raw)
{
    struct conn_pair_options options = plain_options();
    options.secure = TERN_SECURE_PLAINTEXT;
    struct conn_pair *pair = open_pair(&raw->f, &options);
    conn_pair_run(pair, TERN_SECOND);
    raw->b = &pair->ends[1];
    raw->now = TERN_SECOND;
    assert_int_equal(raw->b->counts[TERN_CONN_ESTABLISHED], 1);
}

/* DATA with SYN for the wire id (an odd one), or without. */
static void raw_data(struct raw *raw, bool syn, uint8_t id, struct tern_view text)
{
    uint8_t bytes[1200] = {
        0, 0, 0, syn, 0, 0, 0, id, 0, 0, (uint8_t)(text.size >> 8), (uint8_t)text.size};
    assert_true(text.size <= sizeof bytes - 12);
    memcpy(bytes + 12, text.data, text.size);
    assert_ok(feed(raw->b, raw->now, tern_view_of(bytes, 12 + text.size)));
}

static void a_stream_that_proposes_nothing_is_ended_by_name(void **state)
{
    (void)state;
    static const char *const starts[] = {"", "\x13", "\x13/multistream/1.0.0\n",
                                         "\x13/multistream/1.0.0\n\x20/test/ec"};
    for (size_t i = 0; i < TERN_COUNT_OF(starts); i++) {
        struct raw raw;
        raw_open(&raw);
        raw_data(&raw, true, 1, tern_view_str(starts[i]));
        assert_int_equal(tern_conn_streams_count(raw.b->conn), 1);
        raw.now += 5 * TERN_SECOND;
        tern_conn_tick(raw.b->conn, raw.now);
        conn_pair_serve(raw.b, raw.now);
        assert_int_equal(raw.b->stream_faults[TERN_FAULT_CONN_NEGOTIATE_TIMEOUT], 1);
        assert_int_equal(raw.b->counts[TERN_CONN_STREAM_OPENED], 0);
        assert_int_equal(raw.b->counts[TERN_CONN_STREAM_RESET], 0);
        assert_int_equal(tern_conn_streams_count(raw.b->conn), 0);
        assert_int_equal(raw.b->counts[TERN_CONN_CLOSED], 0);
        close_pair(&raw.f);
    }
}

static void garbage_on_a_stream_ends_the_stream_alone(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        tern_fault fault;
    } cases[] = {
        {"\x06hello\n", TERN_FAULT_MULTISTREAM_NO_HEADER},
        {"\x13/multistream/1.0.0\n\x05hello", TERN_FAULT_MULTISTREAM_NO_NEWLINE},
        {"\xff\xff\x03", TERN_FAULT_MULTISTREAM_TOO_LARGE},
        {"\x80\x80\x80\x80", TERN_FAULT_MULTISTREAM_TOO_LARGE},
        {"\x13/multistream/1.0.0\n\x06/none\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
         TERN_FAULT_MULTISTREAM_GARBAGE_AFTER_REFUSAL},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        struct raw raw;
        raw_open(&raw);
        raw_data(&raw, true, 1, tern_view_str(cases[i].text));
        if (raw.b->stream_faults[cases[i].fault] != 1)
            fail_msg("case %zu: %s", i, tern_fault_name(raw.b->last[TERN_CONN_STREAM_FAULT].fault));
        assert_int_equal(raw.b->counts[TERN_CONN_STREAM_OPENED], 0);
        assert_int_equal(tern_conn_streams_count(raw.b->conn), 0);
        assert_int_equal(raw.b->counts[TERN_CONN_CLOSED], 0);
        raw_data(&raw, true, 3, tern_view_str("\x13/multistream/1.0.0\n\x0d/test/echo/1\n"));
        assert_int_equal(raw.b->counts[TERN_CONN_STREAM_OPENED], 1);
        close_pair(&raw.f);
    }
}

static void the_muxers_faults_end_the_connection(void **state)
{
    (void)state;
    static const struct {
        uint8_t frame[12];
        tern_fault fault;
    } cases[] = {
        {{1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, TERN_FAULT_YAMUX_BAD_VERSION},
        {{0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, TERN_FAULT_YAMUX_BAD_TYPE},
        {{0, 0, 0, 1, 0, 0, 0, 1, 0, 4, 0, 1}, TERN_FAULT_YAMUX_WINDOW_OVERFLOW},
        {{0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 1}, TERN_FAULT_YAMUX_WRONG_PARITY},
        {{0, 1, 0, 1, 0, 0, 0, 1, 255, 255, 255, 255}, TERN_FAULT_YAMUX_CREDIT_OVERFLOW},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        struct raw raw;
        raw_open(&raw);
        assert_int_not_equal(feed(raw.b, raw.now, tern_view_of(cases[i].frame, 12)), TERN_OK);
        assert_int_equal(raw.b->counts[TERN_CONN_CLOSED], 1);
        assert_string_equal(tern_fault_name(raw.b->fault), tern_fault_name(cases[i].fault));
        /* The farewell: a GOAWAY, once. */
        uint8_t scratch[1 << 17];
        struct tern_writer out = tern_writer_of(scratch, sizeof scratch);
        assert_true(tern_conn_want_send(raw.b->conn));
        tern_conn_send(raw.b->conn, raw.now, &out);
        assert_int_equal(out.size, 12);
        assert_int_equal(scratch[1], 3);
        assert_false(tern_conn_want_send(raw.b->conn));
        close_pair(&raw.f);
    }
}

/* --- the link --- */

struct cut {
    size_t flip_at;
    unsigned flip_side;
    size_t seen[2];
    uint8_t mask;
};

static void cut_tamper(void *context, unsigned side, struct tern_span bytes)
{
    struct cut *cut = context;
    size_t at = cut->flip_at;
    if (side == cut->flip_side && at >= cut->seen[side] && at - cut->seen[side] < bytes.size)
        bytes.data[at - cut->seen[side]] ^= cut->mask;
    cut->seen[side] += bytes.size;
}

static void the_link_may_end_at_every_byte(void **state)
{
    (void)state;
    struct conn_pair_options options = plain_options();
    expect_ends_at_every_byte(&options, 150);
    options.secure = TERN_SECURE_PLAINTEXT;
    expect_ends_at_every_byte(&options, 150);
    options.secure = TERN_SECURE_TLS;
    expect_ends_at_every_byte(&options, 150);
}

/* One bit of one byte is wrong: the ends never disagree about who is there, and the stream's bytes
 * are never wrong. Plaintext protects nothing, so it only must not break. */
static void a_flipped_bit_anywhere_never_passes_noise(void **state)
{
    (void)state;
    for (unsigned side = 0; side < 2; side++) {
        size_t total = 1;
        for (size_t n = 0; n < total; n++) {
            struct fixture f;
            struct conn_pair_options options = plain_options();
            struct cut cut = {.flip_at = n, .flip_side = side, .mask = (uint8_t)(1u << (n % 8))};
            options.open_size = 3;
            options.link.tamper = cut_tamper;
            options.link.tamper_context = &cut;
            options.secure = n % 2 == 0 ? TERN_SECURE_NOISE : TERN_SECURE_PLAINTEXT;
            struct conn_pair *pair = open_pair(&f, &options);
            conn_pair_run(pair, 30 * TERN_SECOND);
            struct conn_end *a = &pair->ends[0];
            if (n % 2 == 0 && a->got_size > 0)
                assert_true(conn_pair_echoed(a, a->got_size));
            if (n % 2 == 0 && n < cut.seen[side] &&
                pair->ends[1 - side].counts[TERN_CONN_CLOSED] == 0)
                fail_msg("side %u byte %zu went through", side, n);
            total = cut.seen[side] > total ? cut.seen[side] : total;
            close_pair(&f);
        }
        assert_true(total > 200);
    }
}

/* The same over TLS; the minor version of the first record (behind 32 bytes of negotiation) is to
 * be ignored, so whatever becomes of it harms nobody. */
static void a_flipped_bit_anywhere_never_passes_tls(void **state)
{
    (void)state;
    enum { IGNORED = 32 + 2, STEP = 3 };
    for (unsigned side = 0; side < 2; side++) {
        size_t total = 1;
        for (size_t n = 0; n < total; n += STEP) {
            struct fixture f;
            struct conn_pair_options options = plain_options();
            struct cut cut = {.flip_at = n, .flip_side = side, .mask = (uint8_t)(1u << (n % 8))};
            options.open_size = 3;
            options.link.tamper = cut_tamper;
            options.link.tamper_context = &cut;
            options.secure = TERN_SECURE_TLS;
            struct conn_pair *pair = open_pair(&f, &options);
            conn_pair_run(pair, 30 * TERN_SECOND);
            struct conn_end *a = &pair->ends[0];
            if (a->got_size > 0)
                assert_true(conn_pair_echoed(a, a->got_size));
            if (n < cut.seen[side] && n != IGNORED &&
                pair->ends[1 - side].counts[TERN_CONN_CLOSED] == 0)
                fail_msg("side %u byte %zu went through", side, n);
            total = cut.seen[side] > total ? cut.seen[side] : total;
            close_pair(&f);
        }
        assert_true(total > 500);
    }
}

static void random_bytes_at_each_stage_end_it(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct fixture f;
        struct conn_pair_options options = plain_options();
        options.link.seed = seed;
        options.link.segment_max = 40;
        options.secure = seed % 3 == 0 ? TERN_SECURE_PLAINTEXT : TERN_SECURE_NOISE;
        options.secure = seed % 4 == 1 ? TERN_SECURE_TLS : options.secure;
        options.late_muxer[0] = seed % 5 == 0;
        options.ping_ns = 5 * TERN_SECOND;
        struct conn_pair *pair = open_pair(&f, &options);
        struct tern_random random;
        tern_random_init_u64(&random, seed);
        uint64_t steps = tern_random_below(&random, 40);
        for (uint64_t i = 0; i < steps; i++)
            (void)sim_pair_step(&pair->link, TERN_SECOND);
        struct conn_end *end = &pair->ends[seed % 2];
        uint8_t bytes[2000];
        tern_random_bytes(&random, bytes, sizeof bytes);
        for (int i = 0; i < 40 && end->counts[TERN_CONN_CLOSED] == 0; i++)
            (void)feed(end, pair->link.now, tern_view_of(bytes, 1 + seed * 6));
        for (int i = 0; i < 20 && end->counts[TERN_CONN_CLOSED] == 0; i++) {
            tern_time deadline = tern_conn_deadline(end->conn);
            uint8_t scratch[1 << 17];
            struct tern_writer out = tern_writer_of(scratch, sizeof scratch);
            tern_conn_tick(end->conn, deadline);
            tern_conn_send(end->conn, deadline, &out);
            conn_pair_serve(end, deadline);
        }
        assert_int_equal(end->counts[TERN_CONN_CLOSED], 1);
        assert_true(f.mem.peak < 4u << 20);
        close_pair(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_that_are_no_negotiation_are_named),
        cmocka_unit_test(proposals_without_end_are_named),
        cmocka_unit_test(both_ends_dialling_is_seen_by_both),
        cmocka_unit_test(the_wrong_peer_is_refused_before_it_learns_who_dialled),
        cmocka_unit_test(a_slow_upgrade_times_out),
        cmocka_unit_test(a_stream_that_is_not_agreed_in_time_is_reset),
        cmocka_unit_test(a_stream_that_proposes_nothing_is_ended_by_name),
        cmocka_unit_test(garbage_on_a_stream_ends_the_stream_alone),
        cmocka_unit_test(the_muxers_faults_end_the_connection),
        cmocka_unit_test(the_link_may_end_at_every_byte),
        cmocka_unit_test(a_flipped_bit_anywhere_never_passes_noise),
        cmocka_unit_test(a_flipped_bit_anywhere_never_passes_tls),
        cmocka_unit_test(random_bytes_at_each_stage_end_it),
    };
    return cmocka_run_group_tests_name("conn_hostile", tests, NULL, NULL);
}
