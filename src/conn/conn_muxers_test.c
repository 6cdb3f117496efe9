/*
 * Connections that may speak several muxers: which one is agreed, early and late; mplex on a whole
 * connection, and what its slow readers do to it.
 */
#include "conn/conn_test_fixture.h"

#include "conn/conn_private.h"
#include "crypto/mlkem.h"
#include "mux/mplex.h"
#include "mux/yamux.h"

static const tern_time LATENCY = 50 * TERN_MILLISECOND;

static struct conn_pair_options mplex_options(void)
{
    return (struct conn_pair_options){.link = {.seed = 1, .latency_ns = LATENCY},
                                      .secure = TERN_SECURE_NOISE,
                                      .right_peer = true,
                                      .muxers = {"m", "m"}};
}

/* --- which one --- */

static void mplex_upgrade_flight_by_flight(void **state)
{
    (void)state;
    struct fixture f;
    struct conn_pair_options options = mplex_options();
    options.open_size = 1;
    struct conn_pair *pair = open_pair(&f, &options);
    conn_pair_run(pair, TERN_SECOND);
    golden_expect(&pair->log, "0.0 a sends 62\n"
                              "50.0 b job\n"
                              "50.0 b sends 246\n"
                              "100.0 a job\n"
                              "100.0 a established\n"
                              "100.0 a sends 243\n"
                              "150.0 b job\n"
                              "150.0 b established\n"
                              "150.0 b opened /test/echo/1\n"
                              "150.0 b readable\n"
                              "150.0 b sends 55\n"
                              "200.0 a ready 0\n"
                              "200.0 a readable\n");
    close_pair(&f);
}

static void mplex_upgrade_with_a_late_muxer(void **state)
{
    (void)state;
    struct fixture f;
    struct conn_pair_options options = mplex_options();
    options.open_size = 1;
    options.late_muxer[1] = true;
    struct conn_pair *pair = open_pair(&f, &options);
    conn_pair_run(pair, TERN_SECOND);
    golden_expect(&pair->log, "0.0 a sends 62\n"
                              "50.0 b job\n"
                              "50.0 b sends 230\n"
                              "100.0 a job\n"
                              "100.0 a established\n"
                              "100.0 a sends 277\n"
                              "150.0 b job\n"
                              "150.0 b established\n"
                              "150.0 b opened /test/echo/1\n"
                              "150.0 b readable\n"
                              "150.0 b sends 89\n"
                              "200.0 a ready 0\n"
                              "200.0 a readable\n");
    close_pair(&f);
}

/* The dialer's order counts. Early, both lists are known at once; late, it proposes one by one. */
static void the_first_muxer_of_the_dialer_that_both_have_is_agreed(void **state)
{
    (void)state;
    static const struct {
        const char *muxers[2];
        const char *agreed; /* NULL: none */
        bool slow;          /* late it takes another round trip */
    } cases[] = {
        {{"y", "y"}, TERN_YAMUX_PROTOCOL_ID, false},
        {{"m", "m"}, TERN_MPLEX_PROTOCOL_ID, false},
        {{"ym", "ym"}, TERN_YAMUX_PROTOCOL_ID, true},
        {{"ym", "my"}, TERN_YAMUX_PROTOCOL_ID, true},
        {{"my", "ym"}, TERN_MPLEX_PROTOCOL_ID, true},
        {{"ym", "m"}, TERN_MPLEX_PROTOCOL_ID, true},
        {{"m", "ym"}, TERN_MPLEX_PROTOCOL_ID, false},
        {{"my", "y"}, TERN_YAMUX_PROTOCOL_ID, true},
        {{"m", "y"}, NULL, false},
        {{"y", "m"}, NULL, false},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        for (int late = 0; late < 4; late++) {
            struct fixture f;
            struct conn_pair_options options = mplex_options();
            options.open_size = 100;
            memcpy(options.muxers, cases[i].muxers, sizeof options.muxers);
            options.late_muxer[0] = (late & 1) != 0;
            options.late_muxer[1] = (late & 2) != 0;
            struct conn_pair *pair = open_pair(&f, &options);
            conn_pair_run(pair, 3 * TERN_SECOND);
            for (int side = 0; side < 2; side++) {
                const struct conn_end *end = &pair->ends[side];
                assert_int_equal(end->counts[TERN_CONN_CLOSED], cases[i].agreed == NULL);
                if (cases[i].agreed != NULL)
                    assert_string_equal(end->conn->mux.ops->protocol_id, cases[i].agreed);
            }
            const struct conn_end *a = &pair->ends[0];
            if (cases[i].agreed == NULL) {
                assert_int_equal(a->err, TERN_ERR_NO_PROTOCOL);
            } else {
                assert_true(conn_pair_echoed(a, 100));
                assert_in_range(a->first_byte_at, 4 * LATENCY, 8 * LATENCY);
                assert_int_equal(a->first_byte_at > 4 * LATENCY, late != 0 && cases[i].slow);
            }
            close_pair(&f);
        }
    }
}

static void a_goodbye_over_mplex_is_the_links_end(void **state)
{
    (void)state;
    struct fixture f;
    struct conn_pair_options options = mplex_options();
    struct conn_pair *pair = open_pair(&f, &options);
    conn_pair_run(pair, TERN_SECOND);
    assert_int_equal(tern_conn_deadline(pair->ends[0].conn), TERN_TIME_NEVER);
    tern_conn_close(pair->ends[0].conn, pair->link.now, 7);
    conn_pair_serve(&pair->ends[0], pair->link.now);
    assert_int_equal(pair->ends[0].counts[TERN_CONN_CLOSED], 1);
    assert_int_equal(pair->ends[0].err, TERN_OK);
    conn_pair_run(pair, 2 * TERN_SECOND);
    assert_int_equal(pair->ends[1].counts[TERN_CONN_GOAWAY], 0);
    assert_int_equal(pair->ends[1].err, TERN_ERR_DISCONNECTED);
    close_pair(&f);
}

/* --- streams --- */

static void any_segmentation_gives_the_same(void **state)
{
    (void)state;
    const struct conn_pair_options options = mplex_options();
    expect_echo_in_any_segmentation(&options, 40);
}

/* --- slow readers --- */

static uint8_t pattern(size_t i)
{
    return (uint8_t)(i ^ i >> 8 ^ i >> 16);
}

static void fill(struct conn_end *end, size_t size)
{
    static uint8_t bytes[1 << 20];
    size_t accepted = 0;
    TERN_CHECK(size <= sizeof bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = pattern(i);
    assert_ok(tern_conn_write(end->conn, end->stream, tern_view_of(bytes, size), &accepted));
    assert_int_equal(accepted, size);
}

static size_t take(struct conn_end *end, tern_stream_id stream, size_t size)
{
    struct tern_slice bytes;
    size_t took = 0;
    while (took < size && tern_conn_read(end->conn, stream, &bytes) == TERN_OK) {
        size_t part = tern_min_size(bytes.view.size, size - took);
        tern_conn_consume(end->conn, stream, part);
        took += part;
    }
    return took;
}

/* Opens a pair whose b reads nothing by itself, with a stream that both know. */
static struct conn_pair *open_slow(struct fixture *f, tern_stream_id *theirs)
{
    struct conn_pair_options options = mplex_options();
    options.open_size = 1;
    options.mute[1] = true;
    struct conn_pair *pair = open_pair(f, &options);
    conn_pair_run(pair, TERN_SECOND);
    *theirs = pair->ends[1].last[TERN_CONN_STREAM_OPENED].stream;
    assert_int_equal(take(&pair->ends[1], *theirs, 1), 1);
    return pair;
}

/* Just a little more than may be unread: the link has given all it had, and the rest waits in the
 * connection. It comes when enough was read, though nothing happens on the link. */
static void what_waits_in_the_connection_comes_when_enough_was_read(void **state)
{
    (void)state;
    enum { SIZE = TERN_MPLEX_UNREAD_STREAM_DEFAULT + 1000 };
    struct fixture f;
    tern_stream_id theirs;
    struct conn_pair *pair = open_slow(&f, &theirs);
    struct conn_end *b = &pair->ends[1];
    fill(&pair->ends[0], SIZE);
    conn_pair_run(pair, 2 * TERN_SECOND);
    assert_int_equal(pair->link.sides[0].queued_size, 0);
    assert_true(conn_stack_waits(b->conn));
    assert_int_equal(take(b, theirs, SIZE / 4), SIZE / 4);
    conn_pair_run(pair, 3 * TERN_SECOND);
    assert_true(conn_stack_waits(b->conn));
    size_t took = SIZE / 4 + take(b, theirs, SIZE / 2);
    assert_int_equal(tern_conn_deadline(b->conn), b->conn->now);
    conn_pair_run(pair, 4 * TERN_SECOND);
    assert_false(conn_stack_waits(b->conn));
    took += take(b, theirs, SIZE);
    assert_int_equal(took, SIZE);
    assert_int_equal(b->counts[TERN_CONN_STREAM_RESET], 0);
    close_pair(&f);
}

/* Far more than that: the link is held up, too, and goes on by and by. */
static void a_slow_reader_gets_everything_if_it_reads_at_all(void **state)
{
    (void)state;
    enum { SIZE = 1 << 20 };
    struct fixture f;
    tern_stream_id theirs;
    struct conn_pair *pair = open_slow(&f, &theirs);
    struct conn_end *b = &pair->ends[1];
    fill(&pair->ends[0], SIZE);
    size_t took = 0;
    for (int i = 0; i < 20; i++) {
        conn_pair_run(pair, pair->link.now + 4 * TERN_SECOND);
        assert_true(f.mem.used < 4 << 20);
        took += take(b, theirs, TERN_MPLEX_UNREAD_STREAM_DEFAULT / 2 + 100);
    }
    assert_int_equal(took, SIZE);
    assert_int_equal(b->counts[TERN_CONN_STREAM_RESET], 0);
    close_pair(&f);
}

static size_t take_pattern(struct conn_end *end, tern_stream_id stream, size_t from, size_t size)
{
    struct tern_slice bytes;
    size_t took = 0;
    while (took < size && tern_conn_read(end->conn, stream, &bytes) == TERN_OK) {
        size_t part = tern_min_size(bytes.view.size, size - took);
        for (size_t i = 0; i < part; i++)
            assert_int_equal(bytes.view.data[i], pattern(from + took + i));
        tern_conn_consume(end->conn, stream, part);
        took += part;
    }
    return took;
}

enum { FRAMES = 90, FRAMES_A_CHUNK = 6 };

/* Writes pieces of the pattern, each of which leaves in a frame of its own, all of one size. */
static size_t frames_of(struct conn_end *end, tern_time now, struct tern_writer *out)
{
    enum { PIECE = 9000 };
    uint8_t bytes[PIECE];
    size_t accepted = 0;
    for (size_t i = 0; i < FRAMES; i++) {
        for (size_t k = 0; k < PIECE; k++)
            bytes[k] = pattern(i * PIECE + k);
        assert_ok(tern_conn_write(end->conn, end->stream, tern_view_of(bytes, PIECE), &accepted));
        assert_int_equal(accepted, PIECE);
        tern_conn_send(end->conn, now, out);
        assert_int_equal(out->size % (i + 1), 0);
    }
    assert_true(tern_writer_ok(out));
    return (size_t)FRAMES * PIECE;
}

/* Gives b the bytes in chunks, which hold several whole frames, and reads a little whenever it
 * takes no more. Between two channels, then, wait bytes of frames whose first ones the upper
 * channel has given already. What one of them has taken may still be viewed by what waits above. */
static size_t deliver_slowly(struct conn_pair *pair, tern_stream_id theirs, struct tern_view all)
{
    const size_t chunk_size = all.size / (FRAMES / FRAMES_A_CHUNK);
    struct conn_end *b = &pair->ends[1];
    tern_time now = pair->link.now;
    size_t took = 0;
    for (size_t at = 0; at < all.size; at += chunk_size) {
        struct tern_chunk *chunk = tern_chunk_copy(
            pair->mem, tern_view_part(all, at, tern_min_size(chunk_size, all.size - at)));
        assert_non_null(chunk);
        size_t from = 0;
        for (int rounds = 0; from < chunk->size && rounds < 10000; rounds++) {
            size_t used = 0;
            struct tern_view rest =
                tern_view_part(tern_chunk_view(chunk), from, chunk->size - from);
            assert_ok(tern_conn_recv(b->conn, now,
                                     (struct tern_slice){.chunk = chunk, .view = rest}, &used));
            from += used;
            conn_pair_serve(b, now);
            if (used == 0)
                took += take_pattern(b, theirs, took, 1000);
        }
        tern_chunk_unref(chunk);
    }
    return took;
}

static void what_waits_below_a_slow_reader_stays_as_it_was(void **state)
{
    (void)state;
    static uint8_t wire[1 << 20];
    struct fixture f;
    struct conn_pair_options options = mplex_options();
    options.open_size = 1;
    options.mute[1] = true;
    options.networks[0] = options.networks[1] = 1;
    struct conn_pair *pair = open_pair(&f, &options);
    conn_pair_run(pair, TERN_SECOND);
    struct conn_end *b = &pair->ends[1];
    tern_stream_id theirs = b->last[TERN_CONN_STREAM_OPENED].stream;
    assert_int_equal(take(b, theirs, 1), 1);
    struct tern_writer out = tern_writer_of(wire, sizeof wire);
    size_t size = frames_of(&pair->ends[0], pair->link.now, &out);
    assert_true(size > 2 * TERN_MPLEX_UNREAD_STREAM_DEFAULT);
    size_t took = deliver_slowly(pair, theirs, tern_writer_view(&out));
    for (int i = 0; took < size && i < 10000; i++) {
        took += take_pattern(b, theirs, took, 1000);
        tern_conn_tick(b->conn, pair->link.now);
        conn_pair_serve(b, pair->link.now);
    }
    assert_int_equal(took, size);
    close_pair(&f);
}

static void a_reader_that_never_reads_loses_its_stream_alone(void **state)
{
    (void)state;
    struct fixture f;
    tern_stream_id theirs;
    struct conn_pair *pair = open_slow(&f, &theirs);
    struct conn_end *a = &pair->ends[0];
    struct conn_end *b = &pair->ends[1];
    tern_stream_id slow = a->stream;
    fill(a, 1 << 20);
    conn_pair_run(pair, 2 * TERN_SECOND);
    b->mute = false;
    const struct tern_view echo = tern_view_str(CONN_PAIR_ECHO);
    assert_ok(conn_pair_open(a, &echo, 1, 10));
    conn_pair_run(pair, 5 * TERN_SECOND);
    assert_false(conn_pair_echoed(a, 10));
    conn_pair_run(pair, 8 * TERN_SECOND);
    assert_true(conn_pair_echoed(a, 10));
    assert_int_equal(b->counts[TERN_CONN_STREAM_RESET], 1);
    assert_int_equal(b->last[TERN_CONN_STREAM_RESET].stream, theirs);
    assert_int_equal(b->last[TERN_CONN_STREAM_RESET].code, TERN_MUX_CODE_RESOURCE_LIMIT);
    assert_int_equal(a->counts[TERN_CONN_STREAM_RESET], 1);
    assert_int_equal(a->last[TERN_CONN_STREAM_RESET].stream, slow);
    close_pair(&f);
}

static void a_reset_by_the_owner_lets_the_connection_go_on(void **state)
{
    (void)state;
    struct fixture f;
    tern_stream_id theirs;
    struct conn_pair *pair = open_slow(&f, &theirs);
    struct conn_end *b = &pair->ends[1];
    fill(&pair->ends[0], TERN_MPLEX_UNREAD_STREAM_DEFAULT + 1000);
    conn_pair_run(pair, 2 * TERN_SECOND);
    assert_true(conn_stack_waits(b->conn));
    tern_conn_reset(b->conn, theirs, 1);
    conn_pair_run(pair, 3 * TERN_SECOND);
    assert_false(conn_stack_waits(b->conn));
    assert_int_equal(pair->ends[0].counts[TERN_CONN_STREAM_RESET], 1);
    close_pair(&f);
}

/* --- memory --- */

/* Bytes wait in the connection while its memory ends. */
static tern_err slow_life(void *context, struct tern_mem *mem, struct tern_scope *root)
{
    static struct conn_pair pair;
    static const uint8_t bytes[TERN_MPLEX_UNREAD_STREAM_DEFAULT + 1000];
    struct conn_pair_options options = *(const struct conn_pair_options *)context;
    options.root = root;
    if (!conn_pair_init(&pair, &options, mem))
        return TERN_ERR_MEMORY;
    conn_pair_run(&pair, TERN_SECOND);
    size_t took = 0;
    tern_stream_id theirs = pair.ends[1].last[TERN_CONN_STREAM_OPENED].stream;
    if (pair.ends[0].stream != TERN_STREAM_NONE)
        TERN_IGNORE(tern_conn_write(pair.ends[0].conn, pair.ends[0].stream,
                                    tern_view_of(bytes, sizeof bytes),
                                    &took)); /* as much as there is memory for */
    took = 0;
    for (int i = 2; i < 4; i++) {
        conn_pair_run(&pair, (tern_time)i * TERN_SECOND);
        took += take(&pair.ends[1], theirs, sizeof bytes + 1);
    }
    conn_pair_fini(&pair);
    return took == sizeof bytes + 1 ? TERN_OK : TERN_ERR_MEMORY;
}

static void every_allocation_of_a_slow_life_may_fail(void **state)
{
    (void)state;
    struct conn_pair_options options = mplex_options();
    options.secure = TERN_SECURE_PLAINTEXT;
    options.open_size = 1;
    options.mute[1] = true;
    assert_true(sim_fail_each(slow_life, &options) > 10);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (int late = 0; late < 2; late++) {
        struct conn_pair_options options = mplex_options();
        options.secure = TERN_SECURE_PLAINTEXT;
        options.muxers[0] = "my";
        options.late_muxer[1] = late != 0;
        expect_allocations_may_fail(options, 3000);
    }
}

/* --- secure channels --- */

/* Both know the post-quantum Noise, or one does, which is then asked for the other. */
static void the_hybrid_is_agreed_where_both_have_it(void **state)
{
    (void)state;
    for (int how = 1; how < 4; how++) {
        struct fixture f;
        struct conn_pair_options options = {.link = {.seed = 1, .latency_ns = LATENCY},
                                            .secure = TERN_SECURE_NOISE,
                                            .right_peer = true,
                                            .open_size = 100,
                                            .ends_early = true};
        options.hybrid[0] = (how & 1) != 0;
        options.hybrid[1] = (how & 2) != 0;
        struct conn_pair *pair = open_pair(&f, &options);
        conn_pair_run(pair, 5 * TERN_SECOND);
        if (how == 3 && !tern_mlkem_available()) {
            assert_int_equal(pair->ends[1].err, TERN_ERR_UNSUPPORTED);
        } else {
            assert_true(conn_pair_echoed(&pair->ends[0], 100));
            const struct tern_channel *secure = conn_stack_secure(pair->ends[1].conn);
            assert_string_equal(secure->ops->protocol_id,
                                how == 3 ? TERN_NOISE_HYBRID_PROTOCOL_ID : TERN_NOISE_PROTOCOL_ID);
        }
        close_pair(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mplex_upgrade_flight_by_flight),
        cmocka_unit_test(mplex_upgrade_with_a_late_muxer),
        cmocka_unit_test(the_first_muxer_of_the_dialer_that_both_have_is_agreed),
        cmocka_unit_test(a_goodbye_over_mplex_is_the_links_end),
        cmocka_unit_test(any_segmentation_gives_the_same),
        cmocka_unit_test(what_waits_in_the_connection_comes_when_enough_was_read),
        cmocka_unit_test(what_waits_below_a_slow_reader_stays_as_it_was),
        cmocka_unit_test(a_slow_reader_gets_everything_if_it_reads_at_all),
        cmocka_unit_test(a_reader_that_never_reads_loses_its_stream_alone),
        cmocka_unit_test(a_reset_by_the_owner_lets_the_connection_go_on),
        cmocka_unit_test(every_allocation_of_a_slow_life_may_fail),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(the_hybrid_is_agreed_where_both_have_it),
    };
    return cmocka_run_group_tests_name("conn_muxers", tests, NULL, NULL);
}
