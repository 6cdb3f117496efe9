/* What a path is used for, in virtual time: long, fast and lossy ones, marks, sizes, turns, keys.
 */
#include "quic/quic_internal.h"
#include "quic/quic_world.h"
#include "tern_test.h"

enum { STREAMS_MAX = 4, CHUNK_SIZE = 65536, MEGABYTE = 1 << 20 };

#define MEGABIT UINT64_C(1000000)
#define GIGABIT (1000 * MEGABIT)

/* A stream that is given bytes without end. */
struct bulk {
    struct quic_seen *seen;
    tern_stream_id stream;
    uint64_t written;
    bool paused;
};

struct fixture {
    struct quic_world w;
    struct quic_host *a; /* dials, writes */
    struct quic_host *b; /* reads */
    struct bulk bulks[STREAMS_MAX];
    size_t bulks_count;
    struct tern_mem mem;
    struct tern_chunk *chunk;
    /* What a's datagrams are like. */
    uint64_t datagrams;
    uint64_t datagram_bytes_max;
    uint64_t ecns[4];
};

static bool tap(void *context, const struct datagram_seen *seen)
{
    struct fixture *f = context;
    if (seen->socket != f->a->socket)
        return true;
    f->datagrams++;
    f->ecns[seen->ecn & 3]++;
    if (seen->bytes.size > f->datagram_bytes_max)
        f->datagram_bytes_max = seen->bytes.size;
    return true;
}

static struct fixture *start_seeded(uint64_t seed, struct tern_quic_options options,
                                    const struct datagram_link *link)
{
    static struct fixture f;
    memset(&f, 0, sizeof f);
    quic_world_init(&f.w, seed);
    f.a = quic_world_add(&f.w, options, link);
    f.b = quic_world_add(&f.w, options, link);
    f.b->sink = true;
    f.w.world.net.tap = tap;
    f.w.world.net.tap_context = &f;
    tern_mem_init(&f.mem, 0);
    f.chunk = tern_chunk_new(&f.mem, CHUNK_SIZE);
    assert_non_null(f.chunk);
    f.chunk->size = CHUNK_SIZE;
    memset(f.chunk->data, 1, CHUNK_SIZE);
    return &f;
}

static struct fixture *start(struct tern_quic_options options, const struct datagram_link *link)
{
    return start_seeded(5, options, link);
}

static struct bulk *add(struct fixture *f, struct quic_seen *seen, enum tern_stream_class class)
{
    assert_true(f->bulks_count < STREAMS_MAX);
    struct bulk *bulk = &f->bulks[f->bulks_count++];
    bulk->seen = seen;
    const struct tern_mux *mux = &seen->session.mux;
    assert_ok(mux->ops->open(mux->self, class, &bulk->stream));
    return bulk;
}

static void end(struct fixture *f)
{
    quic_world_fini(&f->w);
    tern_chunk_unref(f->chunk);
    tern_mem_fini(&f->mem);
}

/* pour gives every stream what it takes. */
static bool pour(void *context)
{
    struct fixture *f = context;
    const struct tern_slice slice = {.chunk = f->chunk, .view = tern_chunk_view(f->chunk)};
    for (size_t i = 0; i < f->bulks_count; i++) {
        struct bulk *bulk = &f->bulks[i];
        const struct tern_mux *mux = &bulk->seen->session.mux;
        while (!bulk->paused && mux->ops->write_slice(mux->self, bulk->stream, slice) == TERN_OK)
            bulk->written += slice.view.size;
    }
    return false;
}

/* give writes so many bytes to a stream that is paused. */
static void give(struct fixture *f, struct bulk *bulk, size_t size)
{
    const struct tern_slice slice = {.chunk = f->chunk, .view = tern_view_of(f->chunk->data, size)};
    const struct tern_mux *mux = &bulk->seen->session.mux;
    assert_ok(mux->ops->write_slice(mux->self, bulk->stream, slice));
    bulk->written += size;
}

static void run(struct fixture *f, tern_time duration)
{
    (void)quic_world_until(&f->w, pour, f, duration);
}

static uint64_t read_bytes(const struct fixture *f)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < f->b->seen_count; i++)
        sum += f->b->seen[i].read_bytes;
    return sum;
}

/* percent_of is how much of a rate one stream fills behind a start. */
static unsigned percent_of(uint64_t seed, struct tern_quic_options options,
                           const struct datagram_link *link, tern_time slow_start,
                           tern_time duration)
{
    struct fixture *f = start_seeded(seed, options, link);
    (void)add(f, quic_world_connect(&f->w, f->a, f->b), TERN_STREAM_BULK);
    run(f, slow_start);
    uint64_t before = read_bytes(f);
    run(f, duration);
    uint64_t rate = (read_bytes(f) - before) * 8 * 1000 / (duration / TERN_MILLISECOND);
    end(f);
    return (unsigned)(rate * 100 / link->bits_per_second);
}

/* Where packets are lost, luck decides between two thirds and all of the path: the mean counts. */
static void one_stream_fills_a_path(void **state)
{
    (void)state;
    static const struct {
        uint64_t bits_per_second;
        tern_time latency_ns;
        uint32_t loss_ppm;
        tern_time slow_start;
        unsigned percent;
        unsigned seeds;
    } paths[] = {
        {5 * GIGABIT, 31500 * TERN_MICROSECOND, 100, 1700 * TERN_MILLISECOND, 80, 3},
        {GIGABIT, 31500 * TERN_MICROSECOND, 1000, 1500 * TERN_MILLISECOND, 80, 3},
        {100 * MEGABIT, 5 * TERN_MILLISECOND, 0, TERN_SECOND, 90, 1},
        {100 * MEGABIT, 5 * TERN_MILLISECOND, 10000, TERN_SECOND, 80, 24},
        {20 * MEGABIT, 150 * TERN_MILLISECOND, 1000, 5 * TERN_SECOND, 75, 24},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(paths); i++) {
        const struct datagram_link link = {
            .bits_per_second = paths[i].bits_per_second,
            .latency_ns = paths[i].latency_ns,
            .loss_ppm = paths[i].loss_ppm,
            .queue_bytes_max =
                (size_t)(paths[i].bits_per_second / 8 * 2 * paths[i].latency_ns / TERN_SECOND),
            .datagram_bytes_max = 1472};
        unsigned sum = 0;
        for (uint64_t seed = 1; seed <= paths[i].seeds; seed++)
            sum += percent_of(seed, (struct tern_quic_options){.keep_alive_ns = 0}, &link,
                              paths[i].slow_start, paths[i].slow_start / 2);
        unsigned percent = sum / paths[i].seeds;
        if (percent < paths[i].percent)
            fail_msg("path %zu: %u %%", i, percent);
    }
}

static void cubic_fills_a_path_that_loses_nothing(void **state)
{
    (void)state;
    const struct datagram_link link = {.bits_per_second = 200 * MEGABIT,
                                       .latency_ns = 10 * TERN_MILLISECOND,
                                       .queue_bytes_max = 500000,
                                       .datagram_bytes_max = 1472};
    assert_in_range(percent_of(5, (struct tern_quic_options){.congestion = TERN_QUIC_CUBIC}, &link,
                               TERN_SECOND, TERN_SECOND),
                    90, 100);
}

/* --- turns --- */

static void control_waits_for_nothing(void **state)
{
    (void)state;
    const tern_time latency = 20 * TERN_MILLISECOND;
    const struct datagram_link link = {.bits_per_second = 200 * MEGABIT,
                                       .latency_ns = latency,
                                       .queue_bytes_max = 4 * MEGABYTE,
                                       .datagram_bytes_max = 1472};
    struct fixture *f = start((struct tern_quic_options){.keep_alive_ns = 0}, &link);
    struct quic_seen *a = quic_world_connect(&f->w, f->a, f->b);
    struct quic_seen *b = quic_host_last(f->b);
    (void)add(f, a, TERN_STREAM_BULK);
    run(f, TERN_SECOND);
    const struct tern_mux *mux = &a->session.mux;
    tern_time worst = 0;
    for (unsigned i = 0; i < 50; i++) {
        tern_stream_id control;
        size_t accepted;
        assert_ok(mux->ops->open(mux->self, TERN_STREAM_CONTROL, &control));
        size_t opened = quic_seen_count(b, TERN_MUX_STREAM_OPENED);
        tern_time since = f->w.world.now;
        assert_ok(mux->ops->write(mux->self, control, tern_view_str("now"), &accepted));
        while (quic_seen_count(b, TERN_MUX_STREAM_OPENED) == opened)
            run(f, TERN_MILLISECOND / 4);
        worst = tern_max_size(worst, f->w.world.now - since - latency);
        run(f, 10 * TERN_MILLISECOND);
    }
    /* What may stand in the network's queue, and one turn to send. */
    assert_in_range(worst, 0, 25 * TERN_MILLISECOND);
    end(f);
}

static void classes_share_by_weight(void **state)
{
    (void)state;
    const struct datagram_link link = {.bits_per_second = 100 * MEGABIT,
                                       .latency_ns = 5 * TERN_MILLISECOND,
                                       .queue_bytes_max = MEGABYTE,
                                       .datagram_bytes_max = 1472};
    struct fixture *f = start((struct tern_quic_options){.keep_alive_ns = 0}, &link);
    struct quic_seen *a = quic_world_connect(&f->w, f->a, f->b);
    const struct bulk *consensus = add(f, a, TERN_STREAM_CONSENSUS);
    const struct bulk *bulk = add(f, a, TERN_STREAM_BULK);
    const struct bulk *same = add(f, a, TERN_STREAM_BULK);
    run(f, 3 * TERN_SECOND);
    assert_true(consensus->written > 4 * bulk->written);
    assert_in_range(bulk->written * 100 / same->written, 80, 125);
    end(f);
}

static void sessions_of_a_socket_take_turns(void **state)
{
    (void)state;
    const struct datagram_link link = {.bits_per_second = 100 * MEGABIT,
                                       .latency_ns = 5 * TERN_MILLISECOND,
                                       .queue_bytes_max = MEGABYTE,
                                       .datagram_bytes_max = 1472};
    struct fixture *f = start((struct tern_quic_options){.keep_alive_ns = 0}, &link);
    for (unsigned i = 0; i < 3; i++)
        (void)add(f, quic_world_connect(&f->w, f->a, f->b), TERN_STREAM_BULK);
    run(f, 5 * TERN_SECOND);
    uint64_t sum = read_bytes(f);
    assert_in_range(sum * 8 / 5, 80 * MEGABIT, 100 * MEGABIT);
    for (unsigned i = 0; i < 3; i++)
        assert_in_range(f->b->seen[i].read_bytes * 100 / sum, 15, 60);
    end(f);
}

/* --- datagrams --- */

static void the_largest_datagrams_that_pass_are_found(void **state)
{
    (void)state;
    static const uint16_t sizes[][2] = {{1200, 1200}, {1452, 1452}, {1472, 1472},
                                        {9000, 8952}, {0, 16384},   {1400, 1200}};
    for (size_t i = 0; i < TERN_COUNT_OF(sizes); i++) {
        const struct datagram_link link = {.bits_per_second = 100 * MEGABIT,
                                           .latency_ns = 5 * TERN_MILLISECOND,
                                           .queue_bytes_max = MEGABYTE,
                                           .datagram_bytes_max = sizes[i][0]};
        struct fixture *f = start((struct tern_quic_options){.keep_alive_ns = 0}, &link);
        (void)add(f, quic_world_connect(&f->w, f->a, f->b), TERN_STREAM_BULK);
        run(f, 3 * TERN_SECOND);
        f->datagram_bytes_max = 0;
        run(f, TERN_SECOND / 2);
        assert_int_equal(f->datagram_bytes_max, sizes[i][1]);
        end(f);
    }
}

/* Each end keeps room for the largest datagram that came, which a session at rest does not need. */
static void large_datagrams_are_looked_for_when_they_pay(void **state)
{
    (void)state;
    const struct datagram_link link = {.bits_per_second = 100 * MEGABIT,
                                       .latency_ns = 5 * TERN_MILLISECOND,
                                       .queue_bytes_max = MEGABYTE};
    struct fixture *f = start((struct tern_quic_options){.keep_alive_ns = TERN_SECOND}, &link);
    struct quic_seen *a = quic_world_connect(&f->w, f->a, f->b);
    run(f, 10 * TERN_SECOND);
    struct bulk *bulk = add(f, a, TERN_STREAM_BULK);
    bulk->paused = true;
    give(f, bulk, 4000);
    run(f, TERN_SECOND);
    assert_int_equal(f->datagram_bytes_max, TERN_QUIC_DATAGRAM_MIN);
    give(f, bulk, 4000);
    run(f, TERN_SECOND);
    assert_int_equal(f->datagram_bytes_max, 1472);
    size_t used = f->b->mem.used;
    bulk->paused = false;
    run(f, TERN_SECOND);
    assert_int_equal(f->datagram_bytes_max, 16384);
    assert_true(f->b->mem.used > used + 14000);
    end(f);
}

/* Silence is suspicious when there is something to be acknowledged, and not before. */
static void a_session_that_rested_sends_large_datagrams_at_once(void **state)
{
    (void)state;
    const struct datagram_link link = {.bits_per_second = 100 * MEGABIT,
                                       .latency_ns = 5 * TERN_MILLISECOND,
                                       .queue_bytes_max = MEGABYTE};
    struct fixture *f = start((struct tern_quic_options){.keep_alive_ns = TERN_SECOND}, &link);
    struct bulk *bulk = add(f, quic_world_connect(&f->w, f->a, f->b), TERN_STREAM_BULK);
    run(f, TERN_SECOND);
    bulk->paused = true;
    run(f, 10 * TERN_SECOND);
    bulk->paused = false;
    f->datagram_bytes_max = 0;
    run(f, TERN_SECOND / 20);
    assert_int_equal(f->datagram_bytes_max, 16384);
    end(f);
}

static void a_path_that_shrinks_goes_on(void **state)
{
    (void)state;
    const struct datagram_link link = {.bits_per_second = 100 * MEGABIT,
                                       .latency_ns = 5 * TERN_MILLISECOND,
                                       .queue_bytes_max = MEGABYTE,
                                       .datagram_bytes_max = 9000};
    struct fixture *f = start((struct tern_quic_options){.keep_alive_ns = 0}, &link);
    (void)add(f, quic_world_connect(&f->w, f->a, f->b), TERN_STREAM_BULK);
    run(f, 2 * TERN_SECOND);
    f->datagram_bytes_max = 0;
    run(f, TERN_SECOND / 10);
    assert_int_equal(f->datagram_bytes_max, 8952);
    datagram_net_socket(&f->w.world.net, f->a->socket)->link.datagram_bytes_max = 1300;
    uint64_t before = read_bytes(f);
    run(f, 3 * TERN_SECOND);
    assert_true(read_bytes(f) - before > 15 * MEGABYTE);
    end(f);
}

static void marks_are_heeded_where_they_pass(void **state)
{
    (void)state;
    for (unsigned bleach = 0; bleach < 2; bleach++) {
        const struct datagram_link link = {.bits_per_second = 50 * MEGABIT,
                                           .latency_ns = 5 * TERN_MILLISECOND,
                                           .queue_bytes_max = 4 * MEGABYTE,
                                           .mark_bytes = bleach ? 0 : 20000,
                                           .bleach = bleach,
                                           .datagram_bytes_max = 1472};
        struct fixture *f = start(
            (struct tern_quic_options){.congestion = TERN_QUIC_CUBIC, .keep_alive_ns = 0}, &link);
        (void)add(f, quic_world_connect(&f->w, f->a, f->b), TERN_STREAM_BULK);
        run(f, TERN_SECOND);
        memset(f->ecns, 0, sizeof f->ecns);
        run(f, TERN_SECOND);
        assert_int_equal(f->ecns[bleach ? 2 : 0], 0);
        assert_true(f->ecns[bleach ? 0 : 2] > 1000);
        /* The sizes that were looked for are lost, and nothing else. */
        if (!bleach)
            assert_in_range(datagram_net_socket(&f->w.world.net, f->a->socket)->lost_count, 0, 10);
        end(f);
    }
}

static void batches_are_large(void **state)
{
    (void)state;
    const struct datagram_link link = {.latency_ns = 10 * TERN_MILLISECOND,
                                       .datagram_bytes_max = 1472};
    struct fixture *f = start((struct tern_quic_options){.window_max = MEGABYTE}, &link);
    (void)add(f, quic_world_connect(&f->w, f->a, f->b), TERN_STREAM_BULK);
    run(f, TERN_SECOND);
    struct datagram_socket before = *datagram_net_socket(&f->w.world.net, f->a->socket);
    run(f, TERN_SECOND / 2);
    const struct datagram_socket *now = datagram_net_socket(&f->w.world.net, f->a->socket);
    uint64_t segments = now->sent_count - before.sent_count;
    uint64_t batches = now->batches_count - before.batches_count;
    assert_true(segments > 5000);
    assert_true(segments / batches >= 15);
    end(f);
}

/* --- costs --- */

static void a_packet_costs_no_allocation(void **state)
{
    (void)state;
    const struct datagram_link link = {.bits_per_second = GIGABIT,
                                       .latency_ns = 5 * TERN_MILLISECOND,
                                       .queue_bytes_max = 4 * MEGABYTE,
                                       .datagram_bytes_max = 1472};
    struct fixture *f = start((struct tern_quic_options){.keep_alive_ns = 0}, &link);
    (void)add(f, quic_world_connect(&f->w, f->a, f->b), TERN_STREAM_BULK);
    struct quic_seen *b = quic_host_last(f->b);
    uint64_t datagrams = 0;
    uint64_t allocs[2] = {0, 0};
    uint64_t before = 0;
    /* It is read once a millisecond, as who has other things to do would. */
    for (unsigned i = 0; i < 500; i++) {
        if (i == 300) {
            datagrams = f->datagrams;
            allocs[0] = f->a->mem.allocs;
            allocs[1] = f->b->mem.allocs;
            before = read_bytes(f);
        }
        b->sink = false;
        run(f, TERN_MILLISECOND);
        b->log_count = 0;
        b->sink = true;
        run(f, 100 * TERN_MICROSECOND);
    }
    datagrams = f->datagrams - datagrams;
    uint64_t megabytes = (read_bytes(f) - before) / MEGABYTE;
    assert_in_range(megabytes, 20, 30);
    assert_true(datagrams > 14000);
    /* Of chunks that bytes lie in, and their places in a queue: some for each megabyte. */
    assert_true(f->a->mem.allocs - allocs[0] < 10 * megabytes);
    assert_true(f->b->mem.allocs - allocs[1] < 100 * megabytes);
    end(f);
}

/* changes_of counts how often a session has made new keys. */
static uint32_t changes_of(const struct quic_seen *seen)
{
    const struct tern_quic_conn *conn = seen->session.mux.self;
    return conn->key_changes;
}

static void keys_change(void **state)
{
    (void)state;
    const struct datagram_link link = {.bits_per_second = 100 * MEGABIT,
                                       .latency_ns = 5 * TERN_MILLISECOND,
                                       .queue_bytes_max = MEGABYTE,
                                       .loss_ppm = 1000,
                                       .reorder_ppm = 10000,
                                       .reorder_ns = TERN_MILLISECOND,
                                       .datagram_bytes_max = 1472};
    struct fixture *f = start((struct tern_quic_options){.key_update_bytes = MEGABYTE}, &link);
    (void)add(f, quic_world_connect(&f->w, f->a, f->b), TERN_STREAM_BULK);
    run(f, TERN_SECOND);
    /* b, which sends nothing but acknowledgements, follows. */
    assert_true(changes_of(f->bulks[0].seen) >= 5);
    assert_in_range(changes_of(f->bulks[0].seen) - changes_of(quic_host_last(f->b)), 0, 1);
    assert_true(read_bytes(f) > 8 * MEGABYTE);
    end(f);
}

/* --- a bound on what is kept --- */

static void what_is_not_acknowledged_is_bounded(void **state)
{
    (void)state;
    const struct datagram_link link = {.latency_ns = 200 * TERN_MILLISECOND,
                                       .datagram_bytes_max = 1472};
    const struct tern_quic_options options = {.unacked_max = 2 * MEGABYTE,
                                              .send_buffer_max = 128 * 1024};
    struct fixture *f = start(options, &link);
    (void)add(f, quic_world_connect(&f->w, f->a, f->b), TERN_STREAM_BULK);
    (void)add(f, f->bulks[0].seen, TERN_STREAM_BULK);
    uint64_t most = 0;
    for (unsigned i = 0; i < 200; i++) {
        run(f, 20 * TERN_MILLISECOND);
        most = tern_max_size(most, f->a->scope.used[TERN_RESOURCE_MEMORY]);
    }
    assert_in_range(most, 2 * MEGABYTE, 2 * MEGABYTE + 512 * 1024);
    end(f);
}

static void a_stream_that_nobody_reads_stalls_itself_alone(void **state)
{
    (void)state;
    const struct datagram_link link = {.bits_per_second = 500 * MEGABIT,
                                       .latency_ns = 5 * TERN_MILLISECOND,
                                       .queue_bytes_max = MEGABYTE,
                                       .datagram_bytes_max = 1472};
    const struct tern_quic_options options = {.window_max = MEGABYTE};
    struct fixture *f = start(options, &link);
    f->b->sink = false;
    struct quic_seen *a = quic_world_connect(&f->w, f->a, f->b);
    struct quic_seen *b = quic_host_last(f->b);
    (void)add(f, a, TERN_STREAM_BULK);
    run(f, TERN_SECOND);
    /* Unread bytes stay within the stream's first window; others go on. */
    assert_int_equal(b->session.mux.ops->unread(b->session.mux.self,
                                                quic_seen_event(b, TERN_MUX_STREAM_OPENED).stream),
                     TERN_QUIC_STREAM_WINDOW_INITIAL);
    b->sink = true;
    (void)add(f, a, TERN_STREAM_BULK);
    run(f, TERN_SECOND);
    assert_true(b->read_bytes > 20 * MEGABYTE);
    end(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_stream_fills_a_path),
        cmocka_unit_test(cubic_fills_a_path_that_loses_nothing),
        cmocka_unit_test(control_waits_for_nothing),
        cmocka_unit_test(classes_share_by_weight),
        cmocka_unit_test(sessions_of_a_socket_take_turns),
        cmocka_unit_test(the_largest_datagrams_that_pass_are_found),
        cmocka_unit_test(large_datagrams_are_looked_for_when_they_pay),
        cmocka_unit_test(a_session_that_rested_sends_large_datagrams_at_once),
        cmocka_unit_test(a_path_that_shrinks_goes_on),
        cmocka_unit_test(marks_are_heeded_where_they_pass),
        cmocka_unit_test(batches_are_large),
        cmocka_unit_test(a_packet_costs_no_allocation),
        cmocka_unit_test(keys_change),
        cmocka_unit_test(what_is_not_acknowledged_is_bounded),
        cmocka_unit_test(a_stream_that_nobody_reads_stalls_itself_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
