#include "webrtc/dtls.h"

#include "tern_test.h"

#include "base/random.h"
#include "golden.h"
#include "webrtc/test_certificate.h"

enum { WORLD_PIPE_MAX = 64 };

struct end {
    struct tern_dtls_context *context;
    struct tern_dtls dtls;
    struct golden got; /* application data, a line each */
};

/* Two ends, and the datagrams between them. */
struct world {
    struct tern_mem mem;
    tern_time now;
    struct end ends[2]; /* 0 dials */
    uint8_t datagrams[WORLD_PIPE_MAX][TERN_DTLS_DATAGRAM_MAX];
    size_t sizes[WORLD_PIPE_MAX];
    size_t count; /* of the last flight that was taken */
    struct golden log;
};

static void world_init_with(struct world *w, const struct tern_dtls_certificate *dialer,
                            const struct tern_dtls_certificate *listener, const uint8_t *certhash)
{
    const struct tern_dtls_certificate *certificates[2] = {dialer, listener};
    tern_mem_init(&w->mem, 0);
    w->now = TERN_SECOND;
    golden_init(&w->log);
    for (int i = 0; i < 2; i++) {
        assert_ok(tern_dtls_context_new(&w->mem, certificates[i], &w->ends[i].context));
        golden_init(&w->ends[i].got);
    }
    uint8_t hashes[1][TERN_SHA256_SIZE];
    if (certhash == NULL)
        certhash = tern_dtls_context_fingerprint(w->ends[1].context);
    memcpy(hashes[0], certhash, sizeof hashes[0]);
    for (int i = 0; i < 2; i++) {
        const struct tern_dtls_options options = {
            .mem = &w->mem,
            .context = w->ends[i].context,
            .listener = i == 1,
            .certhashes = i == 0 ? hashes : NULL,
            .certhashes_count = i == 0,
        };
        assert_ok(tern_dtls_init(&w->ends[i].dtls, &options));
    }
}

static struct world *world_new(void)
{
    struct world *w = test_calloc(1, sizeof *w);
    world_init_with(w, &test_certificate_a, &test_certificate_b, NULL);
    return w;
}

static void world_free(struct world *w)
{
    for (int i = 0; i < 2; i++) {
        tern_dtls_fini(&w->ends[i].dtls);
        tern_dtls_context_unref(w->ends[i].context);
        golden_fini(&w->ends[i].got);
    }
    golden_fini(&w->log);
    tern_mem_fini(&w->mem);
    test_free(w);
}

static void run_jobs(struct world *w, int end)
{
    struct tern_dtls *d = &w->ends[end].dtls;
    struct tern_job *job;
    while ((job = tern_dtls_job(d)) != NULL) {
        assert_null(tern_dtls_job(d));
        job->run(job);
        tern_dtls_job_done(d, job);
    }
}

static void take_data(struct world *w, int end, struct tern_view datagram)
{
    uint8_t room[TERN_DTLS_RECORD_MAX];
    struct tern_view text;
    while (
        tern_dtls_recv(&w->ends[end].dtls, &datagram, (struct tern_span){room, sizeof room}, &text))
        golden_line(&w->ends[end].got, "%.*s", (int)text.size, (const char *)text.data);
}

static void give(struct world *w, int end, struct tern_view datagram)
{
    take_data(w, end, datagram);
    run_jobs(w, end);
    struct tern_view held;
    while (tern_dtls_held(&w->ends[end].dtls, &held))
        take_data(w, end, held);
}

/* take moves what an end has to send into the pipe. */
static void take(struct world *w, int end)
{
    struct tern_dtls *d = &w->ends[end].dtls;
    run_jobs(w, end);
    w->count = 0;
    while (tern_dtls_want_send(d)) {
        assert_true(w->count < WORLD_PIPE_MAX);
        struct tern_writer out = tern_writer_of(w->datagrams[w->count], TERN_DTLS_DATAGRAM_MAX);
        if (!tern_dtls_send(d, w->now, &out))
            break;
        w->sizes[w->count++] = out.size;
    }
}

static struct tern_view taken(const struct world *w, size_t i)
{
    return tern_view_of(w->datagrams[i], w->sizes[i]);
}

/* carry moves one flight from an end to the other; how many datagrams it had. */
static size_t carry(struct world *w, int from)
{
    take(w, from);
    for (size_t i = 0; i < w->count; i++)
        give(w, 1 - from, taken(w, i));
    return w->count;
}

static void settle(struct world *w)
{
    for (int i = 0; i < 20; i++) {
        if (carry(w, 0) + carry(w, 1) == 0)
            return;
    }
    fail_msg("the ends never fall silent");
}

static void assert_open(const struct world *w)
{
    for (int i = 0; i < 2; i++)
        assert_int_equal(w->ends[i].dtls.state, TERN_DTLS_OPEN);
}

static struct tern_view sealed(struct world *w, int end, const char *text,
                               uint8_t buffer[TERN_DTLS_DATAGRAM_MAX])
{
    struct tern_writer out = tern_writer_of(buffer, TERN_DTLS_DATAGRAM_MAX);
    struct tern_span room = tern_dtls_seal_begin(&w->ends[end].dtls, &out);
    assert_int_equal(room.size, TERN_DTLS_PLAINTEXT_MAX);
    memcpy(room.data, text, strlen(text));
    assert_ok(tern_dtls_seal_end(&w->ends[end].dtls, &out, strlen(text)));
    assert_int_equal(out.size, strlen(text) + TERN_DTLS_OVERHEAD);
    return tern_writer_view(&out);
}

static void say(struct world *w, int end, const char *text)
{
    uint8_t buffer[TERN_DTLS_DATAGRAM_MAX];
    give(w, 1 - end, sealed(w, end, text, buffer));
}

/* log_flight writes a line a record of what is in the pipe. */
static void log_flight(struct world *w, const char *who)
{
    for (size_t i = 0; i < w->count; i++) {
        struct tern_view rest = taken(w, i);
        golden_line(&w->log, "%s", who);
        for (size_t at = 0; at + TERN_DTLS_HEADER_SIZE <= rest.size;) {
            const uint8_t *r = rest.data + at;
            size_t size = (size_t)r[11] << 8 | r[12];
            golden_line(&w->log, "  type %u epoch %u number %u", r[0], r[4], r[10]);
            at += TERN_DTLS_HEADER_SIZE + size;
        }
    }
}

static void two_ends_agree_and_talk(void **state)
{
    (void)state;
    struct world *w = world_new();
    settle(w);
    assert_open(w);
    for (int i = 0; i < 2; i++)
        assert_memory_equal(w->ends[i].dtls.fingerprint,
                            tern_dtls_context_fingerprint(w->ends[1 - i].context),
                            TERN_SHA256_SIZE);
    say(w, 0, "a question");
    say(w, 1, "an answer");
    say(w, 1, "and more");
    golden_expect(&w->ends[1].got, "a question\n");
    golden_expect(&w->ends[0].got, "an answer\nand more\n");
    /* The handshake's memory is gone, on both sides. */
    assert_null(w->ends[0].dtls.handshake);
    assert_null(w->ends[1].dtls.handshake);
    world_free(w);
}

static void certificates_of_rsa_are_taken(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct world *w = test_calloc(1, sizeof *w);
        world_init_with(w, i & 1 ? &test_certificate_rsa : &test_certificate_a,
                        i & 2 ? &test_certificate_rsa : &test_certificate_b, NULL);
        settle(w);
        assert_open(w);
        say(w, 0, "hello");
        golden_expect(&w->ends[1].got, "hello\n");
        world_free(w);
    }
}

static void a_handshake_has_the_flights_of_the_standard(void **state)
{
    (void)state;
    struct world *w = world_new();
    for (int i = 0; i < 4; i++) {
        take(w, i % 2);
        log_flight(w, i % 2 == 0 ? "dialer" : "listener");
        for (size_t j = 0; j < w->count; j++)
            give(w, 1 - i % 2, taken(w, j));
    }
    assert_open(w);
    golden_expect(&w->log, "dialer\n"
                           "  type 22 epoch 0 number 0\n"
                           "listener\n"
                           "  type 22 epoch 0 number 0\n"
                           "  type 22 epoch 0 number 1\n"
                           "  type 22 epoch 0 number 2\n"
                           "  type 22 epoch 0 number 3\n"
                           "  type 22 epoch 0 number 4\n"
                           "dialer\n"
                           "  type 22 epoch 0 number 1\n"
                           "  type 22 epoch 0 number 2\n"
                           "  type 22 epoch 0 number 3\n"
                           "  type 20 epoch 0 number 4\n"
                           "  type 22 epoch 1 number 0\n"
                           "listener\n"
                           "  type 20 epoch 0 number 5\n"
                           "  type 22 epoch 1 number 0\n");
    world_free(w);
}

static void tick_at_deadline(struct world *w, int end)
{
    tern_time deadline = tern_dtls_deadline(&w->ends[end].dtls);
    assert_true(deadline != TERN_TIME_NEVER);
    tern_dtls_tick(&w->ends[end].dtls, deadline - 1);
    assert_false(tern_dtls_want_send(&w->ends[end].dtls));
    w->now = deadline;
    tern_dtls_tick(&w->ends[end].dtls, w->now);
}

/* Each flight is lost once, and again; both ends come together all the same. */
static void a_flight_that_is_lost_is_sent_again(void **state)
{
    (void)state;
    for (int lost = 0; lost < 4; lost++) {
        for (int times = 1; times <= 3; times++) {
            struct world *w = world_new();
            for (int i = 0; i < lost; i++)
                carry(w, i % 2);
            take(w, lost % 2);
            assert_true(w->count > 0);
            /* The last flight has no timer: the dialer's is sent again, and brings it out. */
            int who = lost == 3 ? 0 : lost % 2;
            for (int i = 1; i < times; i++) {
                tick_at_deadline(w, who);
                take(w, who);
                assert_true(w->count > 0);
            }
            tick_at_deadline(w, who);
            settle(w);
            assert_open(w);
            say(w, 0, "hello");
            say(w, 1, "hello");
            golden_expect(&w->ends[0].got, "hello\n");
            golden_expect(&w->ends[1].got, "hello\n");
            world_free(w);
        }
    }
}

/* A flight that is sent again has fresh numbers, also where they are sealed. */
static void what_is_sent_again_has_new_numbers(void **state)
{
    (void)state;
    struct world *w = world_new();
    carry(w, 0);
    carry(w, 1);
    take(w, 0);
    for (int i = 0; i < 2; i++) {
        tick_at_deadline(w, 0);
        take(w, 0);
        log_flight(w, "dialer");
        for (size_t j = 0; j < w->count; j++)
            give(w, 1, taken(w, j));
        take(w, 1);
        log_flight(w, "listener");
    }
    golden_expect(&w->log, "dialer\n"
                           "  type 22 epoch 0 number 5\n"
                           "  type 22 epoch 0 number 6\n"
                           "  type 22 epoch 0 number 7\n"
                           "  type 20 epoch 0 number 8\n"
                           "  type 22 epoch 1 number 1\n"
                           "listener\n"
                           "  type 20 epoch 0 number 5\n"
                           "  type 22 epoch 1 number 0\n"
                           "dialer\n"
                           "  type 22 epoch 0 number 9\n"
                           "  type 22 epoch 0 number 10\n"
                           "  type 22 epoch 0 number 11\n"
                           "  type 20 epoch 0 number 12\n"
                           "  type 22 epoch 1 number 2\n"
                           "listener\n"
                           "  type 20 epoch 0 number 6\n"
                           "  type 22 epoch 1 number 1\n");
    for (size_t i = 0; i < w->count; i++)
        give(w, 0, taken(w, i));
    assert_open(w);
    world_free(w);
}

static void the_time_between_goes_by_the_round_trip(void **state)
{
    (void)state;
    static const struct {
        tern_time rtt_ns;
        unsigned first_ms[7];
    } rows[] = {
        {0, {100, 200, 400, 800, 1600, 3000, 3000}},
        {TERN_MILLISECOND, {50, 100, 200, 400, 800, 1600, 3000}},
        {200 * TERN_MILLISECOND, {300, 600, 1200, 2400, 3000, 3000, 3000}},
        {TERN_MINUTE, {1000, 2000, 3000, 3000, 3000, 3000, 3000}},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++) {
        struct world *w = world_new();
        tern_dtls_fini(&w->ends[0].dtls);
        static const uint8_t hashes[1][TERN_SHA256_SIZE];
        const struct tern_dtls_options options = {.mem = &w->mem,
                                                  .context = w->ends[0].context,
                                                  .rtt_ns = rows[i].rtt_ns,
                                                  .certhashes = hashes,
                                                  .certhashes_count = 1};
        assert_ok(tern_dtls_init(&w->ends[0].dtls, &options));
        for (size_t j = 0; j < TERN_COUNT_OF(rows[i].first_ms); j++) {
            take(w, 0);
            tern_time wait = tern_dtls_deadline(&w->ends[0].dtls) - w->now;
            assert_int_equal(wait / TERN_MILLISECOND, rows[i].first_ms[j]);
            tick_at_deadline(w, 0);
        }
        world_free(w);
    }
}

/* Whatever is lost, copied or comes in another order, both ends come together. */
static void any_disorder_is_survived(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct world *w = world_new();
        struct tern_random random;
        tern_random_init_u64(&random, seed);
        for (int round = 0; round < 200; round++) {
            int from = (int)tern_random_below(&random, 2);
            take(w, from);
            for (size_t i = 0; i < w->count; i++) {
                size_t which = tern_random_below(&random, w->count);
                if (!tern_random_chance(&random, 1, 3))
                    give(w, 1 - from, taken(w, which));
            }
            tern_time deadline = tern_dtls_deadline(&w->ends[from].dtls);
            if (deadline != TERN_TIME_NEVER && tern_random_chance(&random, 1, 2)) {
                w->now = deadline;
                tern_dtls_tick(&w->ends[from].dtls, w->now);
            }
        }
        settle(w);
        assert_open(w);
        world_free(w);
    }
}

static void what_comes_too_early_is_held(void **state)
{
    (void)state;
    struct world *w = world_new();
    uint8_t early[TERN_DTLS_DATAGRAM_MAX];
    carry(w, 0);
    carry(w, 1);
    carry(w, 0);
    assert_int_equal(w->ends[1].dtls.state, TERN_DTLS_OPEN);
    take(w, 1);
    give(w, 0, sealed(w, 1, "before the end of the handshake", early));
    golden_expect(&w->ends[0].got, "");
    for (size_t i = 0; i < w->count; i++)
        give(w, 0, taken(w, i));
    golden_expect(&w->ends[0].got, "before the end of the handshake\n");
    world_free(w);
}

static void the_wrong_certificate_is_refused(void **state)
{
    (void)state;
    struct world *w = test_calloc(1, sizeof *w);
    static const uint8_t other[TERN_SHA256_SIZE] = {1};
    world_init_with(w, &test_certificate_a, &test_certificate_b, other);
    settle(w);
    assert_int_equal(w->ends[0].dtls.state, TERN_DTLS_FAILED);
    assert_int_equal(w->ends[0].dtls.error, TERN_ERR_PROTOCOL);
    assert_int_equal(w->ends[0].dtls.fault, TERN_FAULT_WEBRTC_CERTHASH);
    /* Its alert ends the listener's handshake. */
    assert_int_equal(w->ends[1].dtls.state, TERN_DTLS_FAILED);
    assert_int_equal(w->ends[1].dtls.fault, TERN_FAULT_WEBRTC_DTLS_HANDSHAKE);
    assert_int_equal(tern_dtls_deadline(&w->ends[0].dtls), TERN_TIME_NEVER);
    assert_int_equal(tern_dtls_deadline(&w->ends[1].dtls), TERN_TIME_NEVER);
    world_free(w);
}

/* Each bit of each flight in turn: the handshake fails or goes on as if the datagram had been lost,
 * and nobody takes the other for somebody else. */
static void a_changed_handshake_is_never_agreed_on(void **state)
{
    (void)state;
    struct tern_random random;
    tern_random_init_u64(&random, 3);
    for (int round = 0; round < 120; round++) {
        struct world *w = world_new();
        int flight = round % 4;
        for (int i = 0; i < flight; i++)
            carry(w, i % 2);
        take(w, flight % 2);
        struct tern_view datagram = taken(w, 0);
        size_t bit = tern_random_below(&random, datagram.size * 8);
        w->datagrams[0][bit / 8] ^= (uint8_t)(1 << bit % 8);
        give(w, 1 - flight % 2, datagram);
        settle(w);
        for (int i = 0; i < 2; i++) {
            const struct tern_dtls *d = &w->ends[i].dtls;
            if (d->state == TERN_DTLS_OPEN)
                assert_memory_equal(d->fingerprint,
                                    tern_dtls_context_fingerprint(w->ends[1 - i].context),
                                    TERN_SHA256_SIZE);
            else if (d->state == TERN_DTLS_FAILED)
                assert_true(d->error == TERN_ERR_PROTOCOL || d->error == TERN_ERR_DISCONNECTED);
        }
        world_free(w);
    }
}

static void records_that_are_forged_or_repeated_are_dropped(void **state)
{
    (void)state;
    struct world *w = world_new();
    settle(w);
    uint8_t buffer[TERN_DTLS_DATAGRAM_MAX];
    struct tern_view datagram = sealed(w, 0, "once", buffer);
    struct tern_dtls *listener = &w->ends[1].dtls;
    for (size_t bit = 0; bit < datagram.size * 8; bit++) {
        buffer[bit / 8] ^= (uint8_t)(1 << bit % 8);
        give(w, 1, datagram);
        buffer[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(listener->dropped, TERN_FAULT_WEBRTC_DTLS_RECORD);
    golden_expect(&w->ends[1].got, "");
    listener->dropped = TERN_FAULT_NONE;
    give(w, 1, datagram);
    golden_expect(&w->ends[1].got, "once\n");
    assert_int_equal(listener->dropped, TERN_FAULT_NONE);
    give(w, 1, datagram);
    golden_expect(&w->ends[1].got, "once\n");
    assert_int_equal(listener->dropped, TERN_FAULT_WEBRTC_DTLS_REPLAY);
    assert_open(w);
    world_free(w);
}

/* Numbers in any order: each is taken once, and those that are too old not at all. */
static void the_window_of_numbers_moves_on(void **state)
{
    (void)state;
    struct world *w = world_new();
    settle(w);
    enum { COUNT = 3000 };
    static uint8_t kept[COUNT][64];
    static size_t sizes[COUNT];
    static bool taken_before[COUNT];
    uint8_t buffer[TERN_DTLS_DATAGRAM_MAX];
    for (size_t i = 0; i < COUNT; i++) {
        struct tern_view datagram = sealed(w, 0, "x", buffer);
        sizes[i] = datagram.size;
        memcpy(kept[i], datagram.data, datagram.size);
        taken_before[i] = false;
    }
    struct tern_random random;
    tern_random_init_u64(&random, 11);
    size_t highest = 0;
    size_t count = 0;
    for (int step = 0; step < 40000; step++) {
        size_t from = highest < 1500 ? 0 : highest - 1500;
        size_t to = tern_min_size(COUNT, highest + 3);
        size_t i = from + tern_random_below(&random, to - from);
        if (step % 2 == 0)
            i = to - 1 - tern_random_below(&random, tern_min_size(to, 8));
        size_t before = w->ends[1].got.size;
        give(w, 1, tern_view_of(kept[i], sizes[i]));
        bool got = w->ends[1].got.size > before;
        if (got) {
            assert_false(taken_before[i]);
            count++;
        } else if (!taken_before[i]) {
            assert_true(highest - i >= TERN_DTLS_WINDOW - 64);
        }
        taken_before[i] = taken_before[i] || got;
        if (i > highest)
            highest = i;
    }
    assert_int_equal(highest, COUNT - 1);
    assert_true(count > COUNT * 8 / 10);
    world_free(w);
}

static void a_session_is_closed_by_either(void **state)
{
    (void)state;
    for (int closer = 0; closer < 2; closer++) {
        struct world *w = world_new();
        settle(w);
        tern_dtls_close(&w->ends[closer].dtls);
        uint8_t buffer[TERN_DTLS_DATAGRAM_MAX];
        struct tern_writer out = tern_writer_of(buffer, sizeof buffer);
        assert_int_equal(tern_dtls_seal_begin(&w->ends[closer].dtls, &out).size, 0);
        settle(w);
        assert_int_equal(w->ends[1 - closer].dtls.state, TERN_DTLS_CLOSED);
        assert_false(tern_dtls_want_send(&w->ends[closer].dtls));
        world_free(w);
    }
}

/* Before the handshake is done closing says nothing: nobody could believe it. */
static void a_handshake_ends_in_silence(void **state)
{
    (void)state;
    struct world *w = world_new();
    carry(w, 0);
    tern_dtls_close(&w->ends[0].dtls);
    assert_false(w->ends[0].dtls.alert_due);
    world_free(w);
}

static void a_record_of_any_size_fits(void **state)
{
    (void)state;
    struct world *w = world_new();
    settle(w);
    uint8_t buffer[TERN_DTLS_DATAGRAM_MAX];
    uint8_t room[TERN_DTLS_RECORD_MAX];
    for (size_t size = 1; size <= TERN_DTLS_PLAINTEXT_MAX; size += 7) {
        struct tern_writer out = tern_writer_of(buffer, sizeof buffer);
        struct tern_span span = tern_dtls_seal_begin(&w->ends[0].dtls, &out);
        memset(span.data, (int)size, size);
        assert_ok(tern_dtls_seal_end(&w->ends[0].dtls, &out, size));
        struct tern_view datagram = tern_writer_view(&out);
        struct tern_view text;
        assert_true(tern_dtls_recv(&w->ends[1].dtls, &datagram,
                                   (struct tern_span){room, sizeof room}, &text));
        assert_int_equal(text.size, size);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(text.data[i], (uint8_t)size);
    }
    /* Too little room gives none; what is begun may be taken back. */
    struct tern_writer out = tern_writer_of(buffer, TERN_DTLS_DATAGRAM_MAX / 2 - 1);
    assert_int_equal(tern_dtls_seal_begin(&w->ends[0].dtls, &out).size, 0);
    out = tern_writer_of(buffer, TERN_DTLS_DATAGRAM_MAX / 2);
    assert_int_equal(tern_dtls_seal_begin(&w->ends[0].dtls, &out).size,
                     TERN_DTLS_DATAGRAM_MAX / 2 - TERN_DTLS_OVERHEAD);
    assert_ok(tern_dtls_seal_end(&w->ends[0].dtls, &out, 0));
    assert_int_equal(out.size, 0);
    world_free(w);
}

static void garbage_is_not_taken_for_dtls(void **state)
{
    (void)state;
    static const uint8_t rows[][14] = {
        {22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0}, /* good */
        {22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0}, /* longer than it is */
        {22, 0x03, 0x03, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0}, /* TLS */
        {19, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0},
        {64, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++)
        assert_int_equal(tern_dtls_is(tern_view_of(rows[i], sizeof rows[i])), i == 0);
    for (size_t size = 0; size < sizeof rows[0]; size++)
        assert_false(tern_dtls_is(tern_view_of(rows[0], size)));
    static const uint8_t epoch[14] = {23, 0xfe, 0xfd, 1, 2, 0, 0, 0, 0, 0, 0, 0, 1, 0};
    assert_int_equal(tern_dtls_epoch(tern_view_of(epoch, sizeof epoch)), 0x102);
    struct world *w = world_new();
    give(w, 1, tern_view_of(rows[2], sizeof rows[2]));
    assert_int_equal(w->ends[1].dtls.dropped, TERN_FAULT_WEBRTC_DTLS_RECORD);
    /* A flood while a job is out finds a bounded place. */
    carry(w, 0);
    uint8_t flood[1000] = {22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0x03, 0xdb};
    for (int i = 0; i < 20; i++) {
        struct tern_view datagram = tern_view_of(flood, sizeof flood);
        uint8_t room[TERN_DTLS_RECORD_MAX];
        struct tern_view text;
        assert_false(tern_dtls_recv(&w->ends[1].dtls, &datagram,
                                    (struct tern_span){room, sizeof room}, &text));
    }
    assert_int_equal(w->ends[1].dtls.dropped, TERN_FAULT_WEBRTC_DTLS_FLOOD);
    world_free(w);
}

static void a_bad_certificate_is_told(void **state)
{
    (void)state;
    struct tern_mem mem;
    struct tern_dtls_context *context;
    tern_mem_init(&mem, 0);
    struct tern_dtls_certificate bad = test_certificate_a;
    bad.private_key = test_certificate_b.private_key;
    assert_int_equal(tern_dtls_context_new(&mem, &bad, &context), TERN_ERR_BAD_KEY);
    bad = test_certificate_a;
    bad.certificate.size--;
    assert_int_equal(tern_dtls_context_new(&mem, &bad, &context), TERN_ERR_BAD_KEY);
    bad = test_certificate_a;
    bad.private_key.size = 10;
    assert_int_equal(tern_dtls_context_new(&mem, &bad, &context), TERN_ERR_BAD_KEY);
    tern_mem_fini(&mem);
}

/* RFC 5246 has no vectors; this is the one that TLS implementations share (P_SHA256). */
static void the_pseudorandom_function_is_that_of_tls(void **state)
{
    (void)state;
    static const uint8_t secret[] = {0x9b, 0xbe, 0x43, 0x6b, 0xa9, 0x40, 0xf0, 0x17,
                                     0xb1, 0x76, 0x52, 0x84, 0x9a, 0x71, 0xdb, 0x35};
    static const uint8_t text[] = {0xa0, 0xba, 0x9f, 0x93, 0x6c, 0xda, 0x31, 0x18,
                                   0x27, 0xa6, 0xf7, 0x96, 0xff, 0xd5, 0x19, 0x8c};
    static const uint8_t expected[] = {
        0xe3, 0xf2, 0x29, 0xba, 0x72, 0x7b, 0xe1, 0x7b, 0x8d, 0x12, 0x26, 0x20, 0x55, 0x7c, 0xd4,
        0x53, 0xc2, 0xaa, 0xb2, 0x1d, 0x07, 0xc3, 0xd4, 0x95, 0x32, 0x9b, 0x52, 0xd4, 0xe6, 0x1e,
        0xdb, 0x5a, 0x6b, 0x30, 0x17, 0x91, 0xe9, 0x0d, 0x35, 0xc9, 0xc9, 0xa4, 0x6b, 0x4e, 0x14,
        0xba, 0xf9, 0xaf, 0x0f, 0xa0, 0x22, 0xf7, 0x07, 0x7d, 0xef, 0x17, 0xab, 0xfd, 0x37, 0x97,
        0xc0, 0x56, 0x4b, 0xab, 0x4f, 0xbc, 0x91, 0x66, 0x6e, 0x9d, 0xef, 0x9b, 0x97, 0xfc, 0xe3,
        0x4f, 0x79, 0x67, 0x89, 0xba, 0xa4, 0x80, 0x82, 0xd1, 0x22, 0xee, 0x42, 0xc5, 0xa7, 0x2e,
        0x5a, 0x51, 0x10, 0xff, 0xf7, 0x01, 0x87, 0x34, 0x7b, 0x66};
    for (size_t cut = 0; cut <= sizeof text; cut += 8) {
        const struct tern_view seed[2] = {{text, cut}, {text + cut, sizeof text - cut}};
        uint8_t out[sizeof expected];
        tern_dtls_prf(tern_view_of(secret, sizeof secret), "test label", seed,
                      (struct tern_span){out, sizeof out});
        assert_memory_equal(out, expected, sizeof expected);
    }
}

static void memory_may_fail(void **state)
{
    (void)state;
    static const uint8_t hashes[1][TERN_SHA256_SIZE];
    struct tern_mem mem;
    tern_mem_init(&mem, 0);
    struct tern_dtls_context *context;
    tern_mem_fail_at(&mem, 1, false);
    assert_int_equal(tern_dtls_context_new(&mem, &test_certificate_a, &context), TERN_ERR_MEMORY);
    assert_ok(tern_dtls_context_new(&mem, &test_certificate_a, &context));
    struct tern_dtls dtls;
    const struct tern_dtls_options options = {
        .mem = &mem, .context = context, .certhashes = hashes, .certhashes_count = 1};
    tern_mem_fail_at(&mem, 1, false);
    assert_int_equal(tern_dtls_init(&dtls, &options), TERN_ERR_MEMORY);
    tern_dtls_context_unref(context);
    tern_dtls_context_unref(NULL);
    tern_mem_fini(&mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_ends_agree_and_talk),
        cmocka_unit_test(certificates_of_rsa_are_taken),
        cmocka_unit_test(a_handshake_has_the_flights_of_the_standard),
        cmocka_unit_test(a_flight_that_is_lost_is_sent_again),
        cmocka_unit_test(what_is_sent_again_has_new_numbers),
        cmocka_unit_test(the_time_between_goes_by_the_round_trip),
        cmocka_unit_test(any_disorder_is_survived),
        cmocka_unit_test(what_comes_too_early_is_held),
        cmocka_unit_test(the_wrong_certificate_is_refused),
        cmocka_unit_test(a_changed_handshake_is_never_agreed_on),
        cmocka_unit_test(records_that_are_forged_or_repeated_are_dropped),
        cmocka_unit_test(the_window_of_numbers_moves_on),
        cmocka_unit_test(a_session_is_closed_by_either),
        cmocka_unit_test(a_handshake_ends_in_silence),
        cmocka_unit_test(a_record_of_any_size_fits),
        cmocka_unit_test(garbage_is_not_taken_for_dtls),
        cmocka_unit_test(a_bad_certificate_is_told),
        cmocka_unit_test(the_pseudorandom_function_is_that_of_tls),
        cmocka_unit_test(memory_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
