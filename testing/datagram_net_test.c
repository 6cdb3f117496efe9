#include "datagram_net.h"

#include "tern_test.h"

#define NOW TERN_SECOND

struct fixture {
    struct datagram_net net;
    tern_link_id a;
    tern_link_id b;
    uint8_t bytes[TERN_DATAGRAMS_SIZE_MAX];
};

static struct fixture *start(uint64_t seed, const struct datagram_link *link)
{
    static struct fixture f;
    datagram_net_init(&f.net, seed);
    const struct tern_endpoint at_a = datagram_endpoint(1, 1000);
    const struct tern_endpoint at_b = datagram_endpoint(2, 2000);
    f.a = datagram_net_bind(&f.net, &at_a, link);
    f.b = datagram_net_bind(&f.net, &at_b, NULL);
    for (size_t i = 0; i < sizeof f.bytes; i++)
        f.bytes[i] = (uint8_t)(i * 7 + (i >> 8));
    return &f;
}

/* Sends count datagrams of size bytes as one batch from a to b. */
static void send(struct fixture *f, tern_time now, size_t count, size_t size, uint8_t ecn)
{
    struct tern_datagrams_out out = {.path.remote = datagram_endpoint(2, 2000),
                                     .ecn = ecn,
                                     .segment_size = (uint16_t)size,
                                     .writer = tern_writer_of(f->bytes, sizeof f->bytes)};
    out.writer.size = count * size;
    datagram_net_send(&f->net, now, f->a, &out);
}

struct received {
    size_t batches;
    size_t datagrams;
    size_t bytes;
    size_t marked;
    size_t harmed;
    tern_time first;
    tern_time last;
};

/* Receives all that is on its way, at the time of its arrival. */
static struct received drain(struct fixture *f)
{
    struct received got = {.first = TERN_TIME_NEVER};
    tern_time next;
    while ((next = datagram_net_next(&f->net)) != TERN_TIME_NEVER) {
        tern_link_id socket;
        struct tern_datagrams in;
        while (datagram_net_recv(&f->net, next, &socket, &in)) {
            assert_true(socket == f->b);
            assert_int_equal(in.path.remote.port, 1000);
            assert_int_equal(in.path.local.port, 2000);
            got.batches++;
            size_t count = (in.data.size + in.segment_size - 1) / in.segment_size;
            got.datagrams += count;
            got.bytes += in.data.size;
            got.marked += in.ecn == 3 ? count : 0;
            bool whole = false;
            for (size_t i = 0; i + in.data.size <= sizeof f->bytes && !whole; i++)
                whole = memcmp(f->bytes + i, in.data.data, in.data.size) == 0;
            got.harmed += !whole;
            got.first = tern_time_min(got.first, next);
            got.last = next;
        }
    }
    return got;
}

static void an_ideal_link_keeps_a_batch_together(void **state)
{
    (void)state;
    struct fixture *f = start(1, NULL);
    send(f, NOW, 3, 1200, 2);
    struct received got = drain(f);
    assert_int_equal(got.batches, 1);
    assert_int_equal(got.datagrams, 3);
    assert_int_equal(got.bytes, 3600);
    assert_int_equal(got.first, NOW);
    assert_int_equal(datagram_net_socket(&f->net, f->a)->sent_count, 3);
    assert_int_equal(datagram_net_socket(&f->net, f->b)->received_bytes, 3600);
    datagram_net_fini(&f->net);
}

static void rate_and_latency_say_when_datagrams_arrive(void **state)
{
    (void)state;
    struct fixture *f = start(1, &(struct datagram_link){.bits_per_second = 10000000,
                                                         .latency_ns = 30 * TERN_MILLISECOND});
    /* 1,222 + 28 bytes are 1 ms. */
    send(f, NOW, 10, 1222, 0);
    struct received got = drain(f);
    assert_int_equal(got.batches, 10);
    assert_int_equal(got.first, NOW + 31 * TERN_MILLISECOND);
    assert_int_equal(got.last, NOW + 40 * TERN_MILLISECOND);
    datagram_net_fini(&f->net);
}

static void a_full_queue_drops_and_a_long_one_marks(void **state)
{
    (void)state;
    struct fixture *f =
        start(1, &(struct datagram_link){
                     .bits_per_second = 10000000, .queue_bytes_max = 12500, .mark_bytes = 6250});
    send(f, NOW, 20, 1222, 2);
    struct received got = drain(f);
    assert_int_equal(got.datagrams, 11);
    assert_int_equal(got.marked, 5);
    assert_int_equal(datagram_net_socket(&f->net, f->a)->lost_count, 9);
    datagram_net_fini(&f->net);
}

static void loss_order_harm_and_copies_come_as_often_as_they_should(void **state)
{
    (void)state;
    struct fixture *f = start(3, &(struct datagram_link){.latency_ns = TERN_MILLISECOND,
                                                         .loss_ppm = 100000,
                                                         .duplicate_ppm = 50000,
                                                         .corrupt_ppm = 20000,
                                                         .reorder_ppm = 30000,
                                                         .reorder_ns = 5 * TERN_MILLISECOND});
    for (int i = 0; i < 1000; i++)
        send(f, NOW + (tern_time)i * TERN_MICROSECOND, 10, 100, 0);
    struct received got = drain(f);
    uint64_t lost = datagram_net_socket(&f->net, f->a)->lost_count;
    assert_in_range(lost, 900, 1100);
    assert_in_range(got.datagrams, 10000 - lost + 350, 10000 - lost + 550);
    assert_in_range(got.harmed, 130, 260);
    assert_true(got.last > NOW + 5 * TERN_MILLISECOND);
    datagram_net_fini(&f->net);
}

static void one_seed_gives_one_run(void **state)
{
    (void)state;
    struct received got[2];
    for (int i = 0; i < 2; i++) {
        struct fixture *f =
            start(77, &(struct datagram_link){.jitter_ns = TERN_MILLISECOND, .loss_ppm = 200000});
        send(f, NOW, 50, 1000, 0);
        got[i] = drain(f);
        datagram_net_fini(&f->net);
    }
    assert_memory_equal(&got[0], &got[1], sizeof got[0]);
}

static void large_datagrams_and_a_link_that_is_down_are_silent(void **state)
{
    (void)state;
    struct fixture *f = start(1, &(struct datagram_link){.datagram_bytes_max = 1200});
    send(f, NOW, 2, 1201, 0);
    send(f, NOW, 2, 1200, 0);
    assert_int_equal(drain(f).datagrams, 2);
    datagram_net_socket(&f->net, f->a)->link.down = true;
    send(f, NOW, 2, 100, 0);
    assert_int_equal(drain(f).datagrams, 0);
    datagram_net_fini(&f->net);
}

static void a_socket_that_is_remapped_is_found_at_its_new_address_alone(void **state)
{
    (void)state;
    struct fixture *f = start(1, NULL);
    const struct tern_endpoint fresh = datagram_endpoint(9, 9999);
    send(f, NOW, 1, 100, 0);
    datagram_net_remap(&f->net, f->b, &fresh);
    assert_int_equal(drain(f).datagrams, 0);
    struct tern_datagrams_out out = {
        .path.remote = fresh, .segment_size = 100, .writer = tern_writer_of(f->bytes, 100)};
    out.writer.size = 100;
    datagram_net_send(&f->net, NOW, f->a, &out);
    assert_int_equal(drain(f).datagrams, 1);
    datagram_net_close(&f->net, f->b);
    datagram_net_send(&f->net, NOW, f->a, &out);
    assert_int_equal(drain(f).datagrams, 0);
    datagram_net_fini(&f->net);
}

static bool drop_second(void *context, const struct datagram_seen *seen)
{
    int *count = context;
    assert_int_equal(seen->from.port, 1000);
    assert_int_equal(seen->to.port, 2000);
    return ++*count != 2;
}

static void a_tap_sees_all_and_forged_datagrams_arrive(void **state)
{
    (void)state;
    struct fixture *f = start(1, NULL);
    int count = 0;
    f->net.tap = drop_second;
    f->net.tap_context = &count;
    send(f, NOW, 3, 100, 0);
    struct received got = drain(f);
    assert_int_equal(count, 3);
    assert_int_equal(got.batches, 2);
    assert_int_equal(got.datagrams, 2);
    const struct tern_path path = {.local = datagram_endpoint(1, 1000),
                                   .remote = datagram_endpoint(2, 2000)};
    datagram_net_inject(&f->net, NOW + 5, &path, tern_view_of(f->bytes, 77));
    got = drain(f);
    assert_int_equal(got.bytes, 77);
    assert_int_equal(got.first, NOW + 5);
    assert_int_equal(count, 3);
    datagram_net_fini(&f->net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ideal_link_keeps_a_batch_together),
        cmocka_unit_test(rate_and_latency_say_when_datagrams_arrive),
        cmocka_unit_test(a_full_queue_drops_and_a_long_one_marks),
        cmocka_unit_test(loss_order_harm_and_copies_come_as_often_as_they_should),
        cmocka_unit_test(one_seed_gives_one_run),
        cmocka_unit_test(large_datagrams_and_a_link_that_is_down_are_silent),
        cmocka_unit_test(a_socket_that_is_remapped_is_found_at_its_new_address_alone),
        cmocka_unit_test(a_tap_sees_all_and_forged_datagrams_arrive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
