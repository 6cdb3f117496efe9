/*
 * Links in every form: golden traces of their round trips, forms told apart by their first bytes,
 * back-pressure through all layers, farewells, and hostile bytes at every place.
 */
#include "conn/conn_test_fixture.h"

#include "base/check.h"
#include "websocket/websocket_frame.h"

static const tern_time LATENCY = 50 * TERN_MILLISECOND;

enum { ALL_FORMS = TERN_LINK_PLAIN | TERN_LINK_WEBSOCKET | TERN_LINK_WEBSOCKET_TLS };

static struct conn_pair_options form_options(unsigned form)
{
    return (struct conn_pair_options){.link = {.seed = 1, .latency_ns = LATENCY},
                                      .secure = TERN_SECURE_NOISE,
                                      .right_peer = true,
                                      .form = form};
}

static const unsigned forms[] = {TERN_LINK_PLAIN, TERN_LINK_WEBSOCKET, TERN_LINK_WEBSOCKET_TLS};

/* --- round trips --- */

static void websocket_upgrade_flight_by_flight(void **state)
{
    (void)state;
    struct fixture f;
    struct conn_pair_options options = form_options(TERN_LINK_WEBSOCKET);
    options.open_size = 1;
    struct conn_pair *pair = open_pair(&f, &options);
    conn_pair_run(pair, TERN_SECOND);
    golden_expect(&pair->log, "0.0 a sends 150\n"
                              "50.0 b sends 129\n"
                              "100.0 a sends 68\n"
                              "150.0 b job\n"
                              "150.0 b sends 250\n"
                              "200.0 a job\n"
                              "200.0 a established\n"
                              "200.0 a sends 277\n"
                              "250.0 b job\n"
                              "250.0 b established\n"
                              "250.0 b sends 32\n"
                              "250.0 b opened /test/echo/1\n"
                              "250.0 b readable\n"
                              "250.0 b sends 79\n"
                              "300.0 a sends 36\n"
                              "300.0 a rtt\n"
                              "300.0 a ready 0\n"
                              "300.0 a readable\n"
                              "350.0 b rtt\n");
    close_pair(&f);
}

static void secure_websocket_upgrade_flight_by_flight(void **state)
{
    (void)state;
    struct fixture f;
    struct conn_pair_options options = form_options(TERN_LINK_WEBSOCKET_TLS);
    options.open_size = 1;
    struct conn_pair *pair = open_pair(&f, &options);
    conn_pair_run(pair, TERN_SECOND);
    golden_expect(&pair->log, "0.0 a sends\n"
                              "50.0 b job\n"
                              "50.0 b sends\n"
                              "100.0 a job\n"
                              "100.0 a sends\n"
                              "150.0 b job\n"
                              "150.0 b sends\n"
                              "200.0 a sends\n"
                              "250.0 b job\n"
                              "250.0 b sends\n"
                              "300.0 a job\n"
                              "300.0 a established\n"
                              "300.0 a sends\n"
                              "350.0 b job\n"
                              "350.0 b established\n"
                              "350.0 b sends\n"
                              "350.0 b opened /test/echo/1\n"
                              "350.0 b readable\n"
                              "350.0 b sends\n"
                              "400.0 a sends\n"
                              "400.0 a rtt\n"
                              "400.0 a ready 0\n"
                              "400.0 a readable\n"
                              "450.0 b rtt\n");
    close_pair(&f);
}

/* Whatever else is agreed how, WebSocket adds one round trip, and the web's TLS another. */
static void each_form_takes_its_round_trips(void **state)
{
    (void)state;
    static const struct {
        unsigned form;
        unsigned round_trips; /* from the link to the first byte of an answer */
    } cases[] = {{TERN_LINK_PLAIN, 2}, {TERN_LINK_WEBSOCKET, 3}, {TERN_LINK_WEBSOCKET_TLS, 4}};
    static const char *const muxers[] = {"y", "m"};
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        for (int how = 0; how < 16; how++) {
            struct fixture f;
            struct conn_pair_options options = form_options(cases[i].form);
            options.open_size = 1;
            options.late_muxer[0] = (how & 1) != 0;
            options.late_muxer[1] = (how & 2) != 0;
            options.forms = how & 4 ? ALL_FORMS : 0;
            options.muxers[0] = options.muxers[1] = muxers[how / 8];
            struct conn_pair *pair = open_pair(&f, &options);
            conn_pair_run(pair, TERN_SECOND);
            assert_true(conn_pair_echoed(&pair->ends[0], 1));
            assert_int_equal(pair->ends[0].first_byte_at, cases[i].round_trips * 2 * LATENCY);
            close_pair(&f);
        }
    }
}

/* --- forms told apart --- */

static void forms_are_told_apart_on_one_port(void **state)
{
    (void)state;
    static const size_t segments[] = {0, 1, 2, 5, 20};
    for (size_t i = 0; i < TERN_COUNT_OF(forms); i++) {
        for (size_t n = 0; n < TERN_COUNT_OF(segments); n++) {
            struct fixture f;
            struct conn_pair_options options = form_options(forms[i]);
            options.forms = ALL_FORMS;
            options.link.segment_max = segments[n];
            options.open_size = 1000;
            options.ends_early = true;
            struct conn_pair *pair = open_pair(&f, &options);
            conn_pair_run(pair, 5 * TERN_SECOND);
            assert_true(conn_pair_echoed(&pair->ends[0], 1000));
            assert_true(pair->ends[0].read_end);
            close_pair(&f);
        }
    }
}

static tern_err feed(struct conn_end *end, const void *bytes, size_t size)
{
    uint8_t copy[64];
    size_t used = 0;
    TERN_CHECK(size <= sizeof copy);
    memcpy(copy, bytes, size);
    tern_err err =
        tern_conn_recv(end->conn, 0, (struct tern_slice){.view = tern_view_of(copy, size)}, &used);
    assert_int_equal(used, size);
    conn_pair_serve(end, 0);
    return err;
}

/* What begins as none of the forms is refused at the first byte that says so. */
static void a_link_of_no_form_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        unsigned forms;
        const char *bytes;
        size_t good; /* bytes that may still become something */
    } cases[] = {
        {ALL_FORMS, "SSH-2.0-OpenSSH\r\n", 0},
        {ALL_FORMS, "POST / HTTP/1.1\r\n", 0},
        {ALL_FORMS, "GEM / HTTP/1.1\r\n", 2},
        {ALL_FORMS, "GET\t/ HTTP/1.1\r\n", 3},
        {ALL_FORMS, "\x13/multicast/1.0.0\n", 7},
        {ALL_FORMS, "\x13/multistreaM/1.0.0\n", 12},
        {ALL_FORMS, "\x12/multistream", 0},
        {ALL_FORMS, "\x16\x02\x01", 1},
        {ALL_FORMS, "\x15\x03\x01", 0},
        {TERN_LINK_PLAIN | TERN_LINK_WEBSOCKET, "\x16\x03\x01", 0},
        {TERN_LINK_PLAIN | TERN_LINK_WEBSOCKET_TLS, "GET / HTTP/1.1", 0},
        {TERN_LINK_WEBSOCKET | TERN_LINK_WEBSOCKET_TLS, "\x13/multistream", 0},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        for (int whole = 0; whole < 2; whole++) {
            struct fixture f;
            struct conn_pair_options options = form_options(TERN_LINK_PLAIN);
            options.forms = cases[i].forms;
            struct conn_pair *pair = open_pair(&f, &options);
            struct conn_end *b = &pair->ends[1];
            for (size_t n = 0; n < cases[i].good && whole == 0; n++)
                assert_ok(feed(b, cases[i].bytes + n, 1));
            tern_err err = whole ? feed(b, cases[i].bytes, strlen(cases[i].bytes))
                                 : feed(b, cases[i].bytes + cases[i].good, 1);
            assert_int_equal(err, TERN_ERR_PROTOCOL);
            assert_int_equal(b->counts[TERN_CONN_CLOSED], 1);
            assert_int_equal(b->fault, TERN_FAULT_CONN_WRONG_FORM);
            assert_false(tern_conn_want_send(b->conn));
            close_pair(&f);
        }
    }
}

/* A listener without the web's TLS ends what asks for it at the byte that says so. */
static void a_client_hello_is_recognised_byte_by_byte(void **state)
{
    (void)state;
    struct fixture f;
    struct conn_pair_options options = form_options(TERN_LINK_PLAIN);
    options.forms = ALL_FORMS;
    options.no_web = true;
    struct conn_pair *pair = open_pair(&f, &options);
    struct conn_end *b = &pair->ends[1];
    assert_ok(feed(b, "\x16", 1));
    assert_int_equal(feed(b, "\x03", 1), TERN_ERR_UNSUPPORTED);
    assert_int_equal(b->counts[TERN_CONN_CLOSED], 1);
    assert_int_equal(b->fault, TERN_FAULT_NONE);
    close_pair(&f);
}

static void a_form_that_lacks_what_it_needs_is_none(void **state)
{
    (void)state;
    struct fixture f;
    struct conn_pair_options options = form_options(TERN_LINK_WEBSOCKET_TLS);
    tern_mem_init(&f.mem, 0);
    options.no_web = true;
    assert_false(conn_pair_init(&f.pair, &options, &f.mem));
    assert_int_equal(f.mem.used, 0);
    tern_mem_fini(&f.mem);
}

/* Who dials one form and meets another: both ends know what went wrong, or that the other left. */
static void a_form_that_is_not_served_is_seen_by_both(void **state)
{
    (void)state;
    static const struct {
        unsigned form, served;
        tern_fault faults[2];
    } cases[] = {
        {TERN_LINK_PLAIN,
         TERN_LINK_WEBSOCKET,
         {TERN_FAULT_MULTISTREAM_NO_HEADER, TERN_FAULT_WEBSOCKET_HEAD_MALFORMED}},
        {TERN_LINK_WEBSOCKET,
         TERN_LINK_PLAIN,
         {TERN_FAULT_WEBSOCKET_HEAD_MALFORMED, TERN_FAULT_MULTISTREAM_NO_HEADER}},
        {TERN_LINK_WEBSOCKET,
         TERN_LINK_PLAIN | TERN_LINK_WEBSOCKET_TLS,
         {TERN_FAULT_NONE, TERN_FAULT_CONN_WRONG_FORM}},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        struct fixture f;
        struct conn_pair_options options = form_options(cases[i].form);
        options.forms = cases[i].served;
        struct conn_pair *pair = open_pair(&f, &options);
        conn_pair_run(pair, 15 * TERN_SECOND);
        for (int side = 0; side < 2; side++) {
            const struct conn_end *end = &pair->ends[side];
            assert_int_equal(end->counts[TERN_CONN_ESTABLISHED], 0);
            assert_int_equal(end->counts[TERN_CONN_CLOSED], 1);
            if (end->fault != cases[i].faults[side] && end->err != TERN_ERR_DISCONNECTED)
                fail_msg("case %zu side %d: %s", i, side, tern_fault_name(end->fault));
        }
        close_pair(&f);
    }
}

static void a_link_that_says_nothing_or_little_times_out(void **state)
{
    (void)state;
    static const char *const starts[] = {"",       "G",   "GET ", "GET / HTTP/1.1\r\nHost: a\r\n",
                                         "\x13/m", "\x16"};
    for (size_t i = 0; i < TERN_COUNT_OF(starts); i++) {
        struct fixture f;
        struct conn_pair_options options = form_options(TERN_LINK_PLAIN);
        options.forms = ALL_FORMS;
        struct conn_pair *pair = open_pair(&f, &options);
        struct conn_end *b = &pair->ends[1];
        for (size_t n = 0; n < strlen(starts[i]); n++)
            assert_ok(feed(b, starts[i] + n, 1));
        assert_int_equal(tern_conn_deadline(b->conn), 10 * TERN_SECOND);
        tern_conn_tick(b->conn, 10 * TERN_SECOND);
        conn_pair_serve(b, 10 * TERN_SECOND);
        assert_int_equal(b->counts[TERN_CONN_CLOSED], 1);
        assert_int_equal(b->err, TERN_ERR_TIMEOUT);
        assert_int_equal(b->fault, TERN_FAULT_CONN_UPGRADE_TIMEOUT);
        close_pair(&f);
    }
}

/* A browser that looks in gets an answer before the link ends. */
static void a_plain_request_is_answered(void **state)
{
    (void)state;
    struct fixture f;
    uint8_t bytes[1 << 17];
    struct conn_pair_options options = form_options(TERN_LINK_PLAIN);
    options.forms = ALL_FORMS;
    struct conn_pair *pair = open_pair(&f, &options);
    struct conn_end *b = &pair->ends[1];
    const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_int_equal(feed(b, request, sizeof request - 1), TERN_ERR_PROTOCOL);
    assert_int_equal(b->fault, TERN_FAULT_WEBSOCKET_NO_UPGRADE);
    assert_int_equal(b->counts[TERN_CONN_CLOSED], 1);
    assert_true(tern_conn_want_send(b->conn));
    struct tern_writer out = tern_writer_of(bytes, sizeof bytes);
    tern_conn_send(b->conn, 0, &out);
    assert_memory_equal(bytes, "HTTP/1.1 426 ", 13);
    assert_false(tern_conn_want_send(b->conn));
    close_pair(&f);
}

/* --- bytes --- */

static void any_segmentation_gives_the_same(void **state)
{
    (void)state;
    struct conn_pair_options options = form_options(TERN_LINK_WEBSOCKET);
    options.forms = ALL_FORMS;
    expect_echo_in_any_segmentation(&options, 40);
    options.muxers[0] = options.muxers[1] = "m";
    expect_echo_in_any_segmentation(&options, 10);
    options.form = TERN_LINK_WEBSOCKET_TLS;
    expect_echo_in_any_segmentation(&options, 20);
}

/* While a job is out nothing moves up, whatever the layers below have in hand. */
static void a_job_that_is_away_holds_all_layers_back(void **state)
{
    (void)state;
    for (int how = 0; how < 8; how++) {
        int side = how & 1;
        struct fixture f;
        struct conn_pair_options options =
            form_options(how & 4 ? TERN_LINK_WEBSOCKET_TLS : TERN_LINK_WEBSOCKET);
        options.open_size = 100;
        options.hold_jobs[side] = true;
        options.link.segment_max = (how & 2) == 0 ? 0 : 3;
        struct conn_pair *pair = open_pair(&f, &options);
        struct conn_end *end = &pair->ends[side];
        conn_pair_run(pair, TERN_SECOND);
        for (int i = 0; i < 8 && end->job != NULL; i++) {
            conn_pair_run_job(end, pair->link.now);
            conn_pair_serve(end, pair->link.now);
            conn_pair_run(pair, pair->link.now + TERN_SECOND);
        }
        assert_true(conn_pair_echoed(&pair->ends[0], 100));
        close_pair(&f);
    }
}

/* --- farewells --- */

struct wire {
    uint8_t bytes[2][1 << 16];
    size_t sizes[2];
    size_t flip_at; /* of flip_side; SIZE_MAX: nowhere */
    unsigned flip_side;
};

static void wire_tap(void *context, unsigned side, struct tern_span bytes)
{
    struct wire *wire = context;
    size_t at = wire->sizes[side];
    if (side == wire->flip_side && wire->flip_at >= at && wire->flip_at - at < bytes.size)
        bytes.data[wire->flip_at - at] ^= (uint8_t)(1u << wire->flip_at % 8);
    TERN_CHECK(at + bytes.size <= sizeof wire->bytes[side]);
    memcpy(wire->bytes[side] + at, bytes.data, bytes.size);
    wire->sizes[side] += bytes.size;
}

static struct wire tapped;

static void wire_reset(struct conn_pair_options *options, unsigned side, size_t flip_at)
{
    tapped = (struct wire){.flip_side = side, .flip_at = flip_at};
    options->link.tamper = wire_tap;
    options->link.tamper_context = &tapped;
}

/* Whether the last thing on the wire from a side is a Close with the code. */
static bool wire_ends_in_close(unsigned side, unsigned code)
{
    bool masked = side == 0;
    size_t size = masked ? 8 : 4;
    const uint8_t *at = tapped.bytes[side] + tapped.sizes[side] - size;
    const uint8_t none[4] = {0};
    const uint8_t *key = masked ? at + 2 : none;
    const uint8_t *payload = at + size - 2;
    return at[0] == (0x80 | TERN_WEBSOCKET_CLOSE) && at[1] == (masked ? 0x82 : 0x02) &&
           (unsigned)((payload[0] ^ key[0]) << 8 | (payload[1] ^ key[1])) == code;
}

static void a_goodbye_ends_in_a_close_and_is_answered(void **state)
{
    (void)state;
    for (unsigned side = 0; side < 2; side++) {
        struct fixture f;
        struct conn_pair_options options = form_options(TERN_LINK_WEBSOCKET);
        wire_reset(&options, 0, SIZE_MAX);
        struct conn_pair *pair = open_pair(&f, &options);
        conn_pair_run(pair, TERN_SECOND);
        size_t before = tapped.sizes[side];
        tern_conn_close(pair->ends[side].conn, pair->link.now, 0x1006);
        conn_pair_serve(&pair->ends[side], pair->link.now);
        conn_pair_run(pair, 3 * TERN_SECOND);
        /* The muxer's GOAWAY goes before it, in a frame of its own. */
        assert_true(tapped.sizes[side] - before > 30);
        assert_true(wire_ends_in_close(side, 1000));
        assert_true(wire_ends_in_close(1 - side, 1000));
        assert_int_equal(pair->ends[side].err, TERN_OK);
        assert_int_equal(pair->ends[1 - side].counts[TERN_CONN_GOAWAY], 1);
        assert_int_equal(pair->ends[1 - side].err, TERN_ERR_DISCONNECTED);
        assert_int_equal(pair->ends[1 - side].fault, TERN_FAULT_NONE);
        for (int i = 0; i < 2; i++)
            assert_false(tern_conn_want_send(pair->ends[i].conn));
        close_pair(&f);
    }
}

/* WebSocket's farewell goes inside of TLS's, which is a record of an alert. */
static void a_secure_goodbye_ends_in_an_alert_and_is_answered(void **state)
{
    (void)state;
    for (unsigned side = 0; side < 2; side++) {
        struct fixture f;
        struct conn_pair_options options = form_options(TERN_LINK_WEBSOCKET_TLS);
        wire_reset(&options, 0, SIZE_MAX);
        struct conn_pair *pair = open_pair(&f, &options);
        conn_pair_run(pair, TERN_SECOND);
        tern_conn_close(pair->ends[side].conn, pair->link.now, 0x1006);
        conn_pair_serve(&pair->ends[side], pair->link.now);
        conn_pair_run(pair, 3 * TERN_SECOND);
        for (unsigned i = 0; i < 2; i++) { /* 2 bytes, type and tag, encrypted */
            const uint8_t *end = tapped.bytes[i] + tapped.sizes[i];
            assert_memory_equal(end - 24, "\x17\x03\x03\x00\x13", 5);
        }
        assert_int_equal(pair->ends[side].err, TERN_OK);
        assert_int_equal(pair->ends[1 - side].counts[TERN_CONN_GOAWAY], 1);
        assert_int_equal(pair->ends[1 - side].err, TERN_ERR_DISCONNECTED);
        for (int i = 0; i < 2; i++)
            assert_false(tern_conn_want_send(pair->ends[i].conn));
        close_pair(&f);
    }
}

/* An upgrade that fails inside says goodbye outside: the wrong peer, a time-out. */
static void a_failed_upgrade_ends_in_a_close(void **state)
{
    (void)state;
    for (int how = 0; how < 2; how++) {
        struct fixture f;
        struct conn_pair_options options = form_options(TERN_LINK_WEBSOCKET);
        options.right_peer = false;
        options.wrong_peer = how == 0;
        options.hold_jobs[0] = how == 1;
        wire_reset(&options, 0, SIZE_MAX);
        struct conn_pair *pair = open_pair(&f, &options);
        conn_pair_run(pair, 20 * TERN_SECOND);
        assert_int_equal(pair->ends[0].counts[TERN_CONN_ESTABLISHED], 0);
        assert_int_equal(pair->ends[0].err, how == 0 ? TERN_ERR_PEER_MISMATCH : TERN_ERR_TIMEOUT);
        assert_true(wire_ends_in_close(0, 1000));
        assert_int_equal(pair->ends[1].counts[TERN_CONN_CLOSED], 1);
        close_pair(&f);
    }
}

/* A frame that breaks the rules is answered by what it was. */
static void a_bad_frame_ends_in_a_close_that_tells(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        tern_fault fault;
        uint16_t code;
    } cases[] = {
        {"\x82\x05hello", TERN_FAULT_WEBSOCKET_NOT_MASKED, 1002},
        {"\x83\x80....", TERN_FAULT_WEBSOCKET_BAD_OPCODE, 1002},
        {"\x81\x81....x", TERN_FAULT_WEBSOCKET_TEXT, 1003},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        struct fixture f;
        struct conn_pair_options options = form_options(TERN_LINK_WEBSOCKET);
        wire_reset(&options, 0, SIZE_MAX);
        struct conn_pair *pair = open_pair(&f, &options);
        conn_pair_run(pair, TERN_SECOND);
        struct conn_end *b = &pair->ends[1];
        assert_int_not_equal(feed(b, cases[i].bytes, strlen(cases[i].bytes)), TERN_OK);
        assert_int_equal(b->fault, cases[i].fault);
        conn_pair_run(pair, 2 * TERN_SECOND);
        assert_true(wire_ends_in_close(1, cases[i].code));
        close_pair(&f);
    }
}

/* --- hostile links --- */

static void the_link_may_end_at_every_byte(void **state)
{
    (void)state;
    struct conn_pair_options options = form_options(TERN_LINK_WEBSOCKET);
    options.forms = ALL_FORMS;
    expect_ends_at_every_byte(&options, 400);
    options.form = TERN_LINK_WEBSOCKET_TLS;
    expect_ends_at_every_byte(&options, 800);
}

/* One bit of one byte is wrong. What Noise protects never comes through changed; a bit of a head or
 * of a frame's header may mean nothing. */
static void a_flipped_bit_anywhere_changes_no_byte_of_a_stream(void **state)
{
    (void)state;
    for (unsigned side = 0; side < 2; side++) {
        size_t total = 1;
        for (size_t n = 0; n < total; n++) {
            struct fixture f;
            struct conn_pair_options options = form_options(TERN_LINK_WEBSOCKET);
            options.forms = n % 2 == 0 ? ALL_FORMS : 0;
            options.open_size = 3;
            wire_reset(&options, side, n);
            struct conn_pair *pair = open_pair(&f, &options);
            conn_pair_run(pair, 30 * TERN_SECOND);
            struct conn_end *a = &pair->ends[0];
            if (a->got_size > 0)
                assert_true(conn_pair_echoed(a, a->got_size));
            total = tern_max_size(total, tapped.sizes[side]);
            close_pair(&f);
        }
        assert_true(total > 400);
    }
}

/* Likewise with the web's TLS around all. */
static void a_flipped_bit_in_secure_websocket_ends_it(void **state)
{
    (void)state;
    for (unsigned side = 0; side < 2; side++) {
        struct conn_pair_options options = form_options(TERN_LINK_WEBSOCKET_TLS);
        options.open_size = 3;
        size_t total = life_size(&options, side);
        assert_true(total > 800);
        for (size_t n = 0; n < total; n += 13) {
            struct fixture f;
            options.forms = n % 2 == 0 ? ALL_FORMS : 0;
            wire_reset(&options, side, n);
            struct conn_pair *pair = open_pair(&f, &options);
            conn_pair_run(pair, 30 * TERN_SECOND);
            struct conn_end *a = &pair->ends[0];
            if (a->got_size > 0)
                assert_true(conn_pair_echoed(a, a->got_size));
            close_pair(&f);
        }
    }
}

static void random_bytes_at_each_stage_end_it(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct fixture f;
        struct conn_pair_options options =
            form_options(seed % 5 == 0 ? TERN_LINK_WEBSOCKET_TLS : TERN_LINK_WEBSOCKET);
        options.forms = seed % 2 == 0 ? ALL_FORMS : 0;
        options.link.seed = seed;
        options.link.segment_max = 40;
        struct conn_pair *pair = open_pair(&f, &options);
        struct tern_random random;
        tern_random_init_u64(&random, seed);
        uint64_t steps = tern_random_below(&random, 40);
        for (uint64_t i = 0; i < steps; i++)
            (void)sim_pair_step(&pair->link, TERN_SECOND);
        struct conn_end *end = &pair->ends[seed % 2];
        for (int i = 0; i < 400 && end->counts[TERN_CONN_CLOSED] == 0; i++) {
            uint8_t bytes[64];
            size_t used = 0;
            tern_random_bytes(&random, bytes, sizeof bytes);
            TERN_IGNORE(tern_conn_recv(end->conn, pair->link.now,
                                       (struct tern_slice){.view = tern_view_of(bytes, 64)},
                                       &used)); /* CLOSED tells */
            conn_pair_serve(end, pair->link.now);
        }
        conn_pair_run(pair, 30 * TERN_SECOND);
        assert_true(f.mem.peak < 4u << 20);
        close_pair(&f);
    }
}

/* --- memory --- */

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct conn_pair_options options =
            form_options(i == 3 ? TERN_LINK_WEBSOCKET_TLS : TERN_LINK_WEBSOCKET);
        options.secure = i == 1 ? TERN_SECURE_NOISE : TERN_SECURE_PLAINTEXT;
        options.forms = i == 0 ? 0 : ALL_FORMS;
        options.link.segment_max = i == 2 ? 20 : 0;
        expect_allocations_may_fail(options, 200);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(websocket_upgrade_flight_by_flight),
        cmocka_unit_test(secure_websocket_upgrade_flight_by_flight),
        cmocka_unit_test(each_form_takes_its_round_trips),
        cmocka_unit_test(forms_are_told_apart_on_one_port),
        cmocka_unit_test(a_link_of_no_form_is_refused_by_name),
        cmocka_unit_test(a_client_hello_is_recognised_byte_by_byte),
        cmocka_unit_test(a_form_that_lacks_what_it_needs_is_none),
        cmocka_unit_test(a_form_that_is_not_served_is_seen_by_both),
        cmocka_unit_test(a_link_that_says_nothing_or_little_times_out),
        cmocka_unit_test(a_plain_request_is_answered),
        cmocka_unit_test(any_segmentation_gives_the_same),
        cmocka_unit_test(a_job_that_is_away_holds_all_layers_back),
        cmocka_unit_test(a_goodbye_ends_in_a_close_and_is_answered),
        cmocka_unit_test(a_secure_goodbye_ends_in_an_alert_and_is_answered),
        cmocka_unit_test(a_failed_upgrade_ends_in_a_close),
        cmocka_unit_test(a_bad_frame_ends_in_a_close_that_tells),
        cmocka_unit_test(the_link_may_end_at_every_byte),
        cmocka_unit_test(a_flipped_bit_anywhere_changes_no_byte_of_a_stream),
        cmocka_unit_test(a_flipped_bit_in_secure_websocket_ends_it),
        cmocka_unit_test(random_bytes_at_each_stage_end_it),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("conn_forms", tests, NULL, NULL);
}
