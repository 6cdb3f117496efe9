/*
 * Sockets against the kernel's loopback. What needs a network of its own (sizes of paths, addresses
 * that come and go, a device that is slow) is in network_test.c.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include "runtime/real/endpoint.h"
#include "runtime/real/loop_private.h"
#include "runtime/real/sockets_testing.h"
#include "tern_test.h"

/* The socket behind a number, for what only the system can be asked. */
static struct loop_socket *loop_socket_of(struct talker *t, uint32_t socket)
{
    return loop_slot_find(t->loop, t->sockets[socket].id)->socket;
}

static bool host_has_ip6(void)
{
    struct talker *t = talker_new(false);
    uint32_t socket = talker_bind(t, talker_loopback(6));
    bool has = t->sockets[socket].bound;
    talker_free(t);
    return has;
}

/* --- there and back --- */

static void run_echo(uint8_t family, bool alone, size_t count, uint16_t last_size)
{
    enum { ROUNDS = 10, SIZE = 900 };
    struct talker *t = talker_new(alone);
    uint32_t a = talker_bind(t, talker_loopback(family));
    uint32_t b = talker_bind(t, talker_loopback(family));
    struct talker_socket *sockets = t->sockets;
    assert_true(sockets[a].bound && sockets[b].bound);
    assert_int_not_equal(sockets[a].local.port, sockets[b].local.port);
    sockets[b].echoes = true;
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        talker_say(t, a,
                   &(struct talker_batch){.to = sockets[b].local,
                                          .segment_size = SIZE,
                                          .count = count,
                                          .last_size = last_size});
        talker_hear(t, a, round * count);
    }
    size_t last = last_size == 0 ? SIZE : last_size;
    assert_int_equal(sockets[a].heard, ROUNDS * ((count - 1) * SIZE + last));
    assert_int_equal(sockets[b].heard, sockets[a].heard);
    assert_memory_equal(&sockets[a].path.remote, &sockets[b].local, sizeof(struct tern_endpoint));
    assert_memory_equal(&sockets[b].path.remote, &sockets[a].local, sizeof(struct tern_endpoint));
    assert_memory_equal(&sockets[b].path.local, &sockets[b].local, sizeof(struct tern_endpoint));
    if (alone)
        assert_int_equal(sockets[b].segments_max, 1);
    else if (loop_socket_of(t, a)->udp.segments && loop_socket_of(t, b)->udp.coalesces)
        assert_int_equal(sockets[b].batches, ROUNDS);
    talker_free(t);
}

static void single_datagrams_go_there_and_back(void **state)
{
    (void)state;
    run_echo(4, false, 1, 0);
    run_echo(4, true, 1, 0);
    if (host_has_ip6())
        run_echo(6, false, 1, 0);
}

static void batches_stay_together_and_without_offload_fall_apart(void **state)
{
    (void)state;
    static const struct {
        size_t count;
        uint16_t last_size;
    } rows[] = {{2, 0}, {2, 1}, {64, 0}, {64, 333}, {63, 899}};
    bool ip6 = host_has_ip6();
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++) {
        run_echo(4, false, rows[i].count, rows[i].last_size);
        run_echo(4, true, rows[i].count, rows[i].last_size);
        if (ip6) {
            run_echo(6, false, rows[i].count, rows[i].last_size);
            run_echo(6, true, rows[i].count, rows[i].last_size);
        }
    }
}

static void the_largest_datagram_and_the_largest_batch_pass(void **state)
{
    (void)state;
    struct talker *t = talker_new(false);
    uint32_t a = talker_bind(t, talker_loopback(4));
    uint32_t b = talker_bind(t, talker_loopback(4));
    struct talker_batch batch = {
        .to = t->sockets[b].local, .segment_size = TERN_DATAGRAMS_SIZE_MAX, .count = 1};
    talker_say(t, a, &batch);
    batch.segment_size = 1452;
    batch.count = TERN_DATAGRAMS_SIZE_MAX / 1452 + 1;
    batch.last_size = TERN_DATAGRAMS_SIZE_MAX % 1452;
    talker_say(t, a, &batch);
    talker_hear(t, b, 1 + batch.count);
    assert_int_equal(t->sockets[b].heard, 2 * TERN_DATAGRAMS_SIZE_MAX);
    talker_free(t);
}

static void the_bits_of_congestion_travel_with_a_datagram(void **state)
{
    (void)state;
    static const uint8_t families[] = {4, 6};
    size_t families_count = host_has_ip6() ? 2 : 1;
    for (size_t i = 0; i < families_count; i++) {
        struct talker *t = talker_new(false);
        uint32_t a = talker_bind(t, talker_loopback(families[i]));
        uint32_t b = talker_bind(t, talker_loopback(families[i]));
        for (uint8_t ecn = 0; ecn < 4; ecn++) {
            talker_say(t, a,
                       &(struct talker_batch){
                           .to = t->sockets[b].local, .ecn = ecn, .segment_size = 100, .count = 3});
            talker_hear(t, b, (uint64_t)(ecn + 1) * 3);
            assert_int_equal(t->sockets[b].ecn, ecn);
        }
        talker_free(t);
    }
}

/* --- our addresses --- */

static void an_answer_goes_from_the_address_that_was_asked(void **state)
{
    (void)state;
    struct talker *t = talker_new(false);
    uint32_t asker = talker_bind(t, talker_loopback(4));
    uint32_t wild = talker_bind(t, (struct tern_endpoint){.family = 4});
    t->sockets[wild].echoes = true;
    struct tern_endpoint to = t->sockets[wild].local;
    for (uint8_t last = 1; last < 4; last++) {
        memcpy(to.ip, "\x7f\x00\x00", 3);
        to.ip[3] = last;
        talker_say(t, asker, &(struct talker_batch){.to = to, .segment_size = 10, .count = 2});
        talker_hear(t, asker, (uint64_t)last * 2);
        assert_memory_equal(&t->sockets[wild].path.local, &to, sizeof to);
        assert_memory_equal(&t->sockets[asker].path.remote, &to, sizeof to);
    }
    talker_free(t);
}

static void an_address_that_is_not_ours_is_left_to_the_system(void **state)
{
    (void)state;
    static const bool alones[] = {false, true};
    for (size_t i = 0; i < TERN_COUNT_OF(alones); i++) {
        struct talker *t = talker_new(alones[i]);
        uint32_t wild = talker_bind(t, (struct tern_endpoint){.family = 4});
        uint32_t b = talker_bind(t, talker_loopback(4));
        struct talker_batch batch = {.to = t->sockets[b].local,
                                     .from = {.family = 4, .ip = {192, 0, 2, 77}},
                                     .segment_size = 10,
                                     .count = 5};
        talker_say(t, wild, &batch);
        talker_hear(t, b, 5);
        assert_memory_equal(t->sockets[b].path.remote.ip, talker_loopback(4).ip, 4);
        assert_true(loop_socket_of(t, wild)->udp.segments != alones[i]);
        talker_free(t);
    }
}

static void ip6_sockets_are_for_ip6_and_know_their_address(void **state)
{
    (void)state;
    if (!host_has_ip6())
        return;
    struct talker *t = talker_new(false);
    uint32_t wild = talker_bind(t, (struct tern_endpoint){.family = 6});
    uint32_t asker = talker_bind(t, talker_loopback(6));
    struct tern_endpoint four = {.family = 4, .port = t->sockets[wild].local.port};
    uint32_t same_port = talker_bind(t, four);
    assert_true(t->sockets[same_port].bound);
    struct tern_endpoint to = t->sockets[wild].local;
    to.ip[15] = 1;
    t->sockets[wild].echoes = true;
    talker_say(t, asker, &(struct talker_batch){.to = to, .segment_size = 10, .count = 2});
    talker_hear(t, asker, 2);
    assert_memory_equal(&t->sockets[wild].path.local, &to, sizeof to);
    /* The other family's addresses lead nowhere. */
    to = talker_loopback(4);
    to.port = t->sockets[same_port].local.port;
    talker_say(t, wild, &(struct talker_batch){.to = to, .segment_size = 10, .count = 2});
    talker_say(
        t, same_port,
        &(struct talker_batch){.to = t->sockets[asker].local, .segment_size = 10, .count = 2});
    t->sockets[asker].disordered = true;
    talker_say(
        t, wild,
        &(struct talker_batch){.to = t->sockets[asker].local, .segment_size = 10, .count = 1});
    talker_hear(t, asker, 3);
    assert_int_equal(t->sockets[same_port].datagrams, 0);
    talker_free(t);
}

/* --- refusals --- */

static void a_bind_that_fails_says_why(void **state)
{
    (void)state;
    struct talker *t = talker_new(false);
    uint32_t first = talker_bind(t, talker_loopback(4));
    const struct {
        struct tern_endpoint at;
        tern_err err;
    } rows[] = {
        {t->sockets[first].local, TERN_ERR_EXISTS},
        {{.family = 4, .ip = {192, 0, 2, 1}, .port = 0}, TERN_ERR_UNREACHABLE},
        {{.family = 5}, TERN_ERR_UNREACHABLE},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++) {
        uint32_t socket = talker_bind(t, rows[i].at);
        assert_false(t->sockets[socket].bound);
        assert_int_equal(t->sockets[socket].err, rows[i].err);
    }
    talker_free(t);
}

static void nobody_there_does_not_kill_a_socket(void **state)
{
    (void)state;
    struct talker *t = talker_new(false);
    uint32_t a = talker_bind(t, talker_loopback(4));
    uint32_t b = talker_bind(t, talker_loopback(4));
    uint32_t gone = talker_bind(t, talker_loopback(4));
    talker_command(t, gone, TERN_COMMAND_CLOSE);
    talker_await_close(t, gone);
    t->sockets[b].disordered = true;
    for (uint64_t i = 1; i <= 10; i++) {
        talker_say(
            t, a,
            &(struct talker_batch){.to = t->sockets[gone].local, .segment_size = 10, .count = 3});
        talker_say(
            t, a,
            &(struct talker_batch){.to = t->sockets[b].local, .segment_size = 10, .count = 1});
        talker_hear(t, b, i);
    }
    assert_false(t->sockets[a].closed);
    talker_free(t);
}

/* An error waits at the socket, as if it were connected: it is taken away and life goes on. */
static void an_error_of_the_network_is_taken_away(void **state)
{
    (void)state;
    struct talker *t = talker_new(false);
    uint32_t a = talker_bind(t, talker_loopback(4));
    uint32_t b = talker_bind(t, talker_loopback(4));
    int one = 1;
    int fd = loop_socket_of(t, a)->udp.fd;
    assert_int_equal(setsockopt(fd, IPPROTO_IP, IP_RECVERR, &one, sizeof one), 0);
    struct tern_endpoint nobody = talker_loopback(4);
    nobody.port = 1;
    t->sockets[b].disordered = t->sockets[a].disordered = true;
    talker_say(t, a, &(struct talker_batch){.to = nobody, .segment_size = 10, .count = 1});
    talker_say(t, a,
               &(struct talker_batch){.to = t->sockets[b].local, .segment_size = 10, .count = 1});
    talker_hear(t, b, 1);
    assert_int_equal(setsockopt(fd, IPPROTO_IP, IP_RECVERR, &(int){0}, sizeof one), 0);
    talker_say(t, b,
               &(struct talker_batch){.to = t->sockets[a].local, .segment_size = 10, .count = 1});
    talker_hear(t, a, 1);
    assert_false(t->sockets[a].closed);
    talker_free(t);
}

/* A socket without checksums takes no batches, as some devices do not. */
static void a_refused_batch_goes_datagram_by_datagram_from_then_on(void **state)
{
    (void)state;
    struct talker *t = talker_new(false);
    uint32_t a = talker_bind(t, (struct tern_endpoint){.family = 4});
    uint32_t b = talker_bind(t, talker_loopback(4));
    struct loop_socket *socket = loop_socket_of(t, a);
    int one = 1;
    struct talker_batch batch = {.to = t->sockets[b].local,
                                 .from = {.family = 4, .ip = {127, 0, 0, 2}},
                                 .segment_size = 500,
                                 .count = 20,
                                 .last_size = 100};
    talker_say(t, a, &batch);
    talker_hear(t, b, 20);
    bool segments = socket->udp.segments; /* else this kernel never took them */
    assert_int_equal(setsockopt(socket->udp.fd, SOL_SOCKET, SO_NO_CHECK, &one, sizeof one), 0);
    talker_say(t, a, &batch);
    talker_hear(t, b, 40);
    assert_int_equal(t->sockets[b].path.remote.ip[3], 2); /* the source stays the wanted one */
    assert_false(socket->udp.segments);
    talker_say(t, a, &batch);
    talker_hear(t, b, 60);
    assert_true(!segments || t->sockets[b].batches >= 1 + 20 + 20);
    talker_free(t);
}

/* --- the ends --- */

static void close_sends_what_the_machine_still_gives(void **state)
{
    (void)state;
    struct talker *t = talker_new(false);
    uint32_t a = talker_bind(t, talker_loopback(4));
    uint32_t b = talker_bind(t, talker_loopback(4));
    for (int i = 0; i < 10; i++)
        talker_say(
            t, a,
            &(struct talker_batch){.to = t->sockets[b].local, .segment_size = 1000, .count = 2});
    talker_command(t, a, TERN_COMMAND_CLOSE);
    talker_command(t, a, TERN_COMMAND_CLOSE);
    talker_await_close(t, a);
    assert_ok(t->sockets[a].err);
    talker_hear(t, b, 20);
    talker_free(t);
}

static void abort_closes_at_once(void **state)
{
    (void)state;
    struct talker *t = talker_new(false);
    uint32_t a = talker_bind(t, talker_loopback(4));
    uint32_t b = talker_bind(t, talker_loopback(4));
    struct talker_batch batch = {.to = t->sockets[b].local, .segment_size = 10, .count = 1};
    talker_command(t, a, TERN_COMMAND_ABORT);
    talker_say(t, a, &batch);
    talker_await_close(t, a);
    assert_ok(t->sockets[a].err);
    assert_int_equal(tern_ring_count(&t->sockets[a].says), 1);
    /* The port is free again at once, and the id is dead. */
    uint32_t again = talker_bind(t, t->sockets[a].local);
    assert_true(t->sockets[again].bound);
    assert_int_equal(tern_link_slot(t->sockets[again].id), tern_link_slot(t->sockets[a].id));
    static const enum tern_command_kind kinds[] = {TERN_COMMAND_TRANSMIT, TERN_COMMAND_READ,
                                                   TERN_COMMAND_SHUT, TERN_COMMAND_CLOSE,
                                                   TERN_COMMAND_ABORT};
    for (size_t i = 0; i < TERN_COUNT_OF(kinds); i++)
        talker_command(t, a, kinds[i]);
    talker_command(t, again, TERN_COMMAND_READ); /* means nothing to a socket */
    talker_command(t, again, TERN_COMMAND_SHUT);
    t->sockets[b].echoes = true;
    talker_say(t, again, &batch);
    talker_hear(t, again, 1);
    assert_false(t->sockets[again].closed);
    talker_free(t);
}

static void what_comes_while_a_socket_closes_is_not_told(void **state)
{
    (void)state;
    struct talker *t = talker_new(false);
    uint32_t a = talker_bind(t, talker_loopback(4));
    uint32_t b = talker_bind(t, talker_loopback(4));
    talker_say(t, a,
               &(struct talker_batch){.to = t->sockets[b].local, .segment_size = 10, .count = 1});
    talker_command(t, b, TERN_COMMAND_CLOSE);
    talker_await_close(t, b);
    talker_free(t);
}

/* --- memory --- */

/* A machine that keeps small datagrams fills chunks with them, and does not take one for each. */
static void kept_datagrams_share_chunks(void **state)
{
    (void)state;
    enum { COUNT = 800 };
    struct talker *t = talker_new(true);
    uint32_t a = talker_bind(t, talker_loopback(4));
    uint32_t b = talker_bind(t, talker_loopback(4));
    size_t before = t->mem.used;
    t->keeps = true;
    for (uint64_t i = 1; i <= COUNT; i++) {
        talker_say(
            t, a,
            &(struct talker_batch){.to = t->sockets[b].local, .segment_size = 100, .count = 1});
        talker_hear(t, b, i);
    }
    assert_int_equal(t->kept_count, COUNT);
    assert_true(t->mem.used - before < 3 * (256 << 10));
    talker_free(t); /* and all bytes are what they were */
}

static void steady_traffic_allocates_nothing(void **state)
{
    (void)state;
    struct talker *t = talker_new(false);
    uint32_t a = talker_bind(t, talker_loopback(4));
    uint32_t b = talker_bind(t, talker_loopback(4));
    struct talker_batch batch = {.to = t->sockets[b].local, .segment_size = 1000, .count = 10};
    talker_say(t, a, &batch);
    talker_hear(t, b, 10);
    uint64_t allocs = t->mem.allocs;
    for (uint64_t i = 2; i <= 100; i++) {
        talker_say(t, a, &batch);
        talker_hear(t, b, i * 10);
    }
    assert_int_equal(t->mem.allocs, allocs);
    talker_free(t);
}

static bool a_failure_was_met(struct talker *t)
{
    return t->mem.allocs >= t->want;
}

static void without_memory_datagrams_are_dropped(void **state)
{
    (void)state;
    struct talker *t = talker_new(false);
    uint32_t a = talker_bind(t, talker_loopback(4));
    uint32_t b = talker_bind(t, talker_loopback(4));
    uint32_t c = talker_bind(t, talker_loopback(4));
    struct talker_batch batch = {.to = t->sockets[b].local, .segment_size = 1000, .count = 2};
    tern_mem_fail_at(&t->mem, 1, true);
    t->want = t->mem.allocs + 1;
    talker_say(t, a, &batch);
    t->done = NULL;
    for (int i = 0; i < 1000000 && !a_failure_was_met(t); i++)
        tern_loop_process(t->loop);
    assert_true(a_failure_was_met(t));
    tern_mem_fail_at(&t->mem, 0, false);
    t->sockets[b].disordered = true;
    talker_say(t, c, &batch);
    talker_hear(t, b, 2);
    assert_int_equal(t->sockets[b].datagrams, 2);
    talker_free(t);
}

/* --- others --- */

/* Another program's batch may have more datagrams than the vocabulary knows. */
static void a_batch_of_too_many_is_given_in_parts(void **state)
{
    (void)state;
    struct talker *t = talker_new(false);
    uint32_t b = talker_bind(t, talker_loopback(4));
    struct sockaddr_storage name;
    uint8_t bytes[128] = {0};
    int one = 1;
    t->sockets[b].disordered = true;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_true(fd >= 0);
    tern_endpoint_to_sockaddr(&t->sockets[b].local, &name);
    assert_int_equal(setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &one, sizeof one), 0);
    ssize_t sent =
        sendto(fd, bytes, sizeof bytes, 0, (struct sockaddr *)&name, sizeof(struct sockaddr_in));
    if (sent > 0) { /* older kernels send 64 at most */
        talker_hear(t, b, sizeof bytes);
        assert_int_equal(t->sockets[b].datagrams, sizeof bytes);
    }
    assert_int_equal(sendto(fd, bytes, 0, 0, (struct sockaddr *)&name, sizeof(struct sockaddr_in)),
                     0);
    assert_int_equal(sendto(fd, bytes, 1, 0, (struct sockaddr *)&name, sizeof(struct sockaddr_in)),
                     1);
    uint64_t heard = t->sockets[b].datagrams;
    talker_hear(t, b, heard + 1); /* the empty one was nothing */
    assert_int_equal(t->sockets[b].heard, heard + 1);
    close(fd);
    talker_free(t);
}

static void many_sockets_take_turns(void **state)
{
    (void)state;
    enum { ROUNDS = 100 };
    struct talker *t = talker_new(false);
    uint32_t sink = talker_bind(t, talker_loopback(4));
    t->sockets[sink].echoes = true;
    t->sockets[sink].disordered = true;
    for (uint32_t i = 1; i < TALKER_SOCKETS_MAX; i++) {
        uint32_t socket = talker_bind(t, talker_loopback(4));
        t->sockets[socket].disordered = true;
        for (int round = 0; round < ROUNDS; round++)
            talker_say(t, socket,
                       &(struct talker_batch){
                           .to = t->sockets[sink].local, .segment_size = 100, .count = 1});
    }
    for (uint32_t i = 1; i < TALKER_SOCKETS_MAX; i++)
        talker_hear(t, i, ROUNDS);
    talker_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(single_datagrams_go_there_and_back),
        cmocka_unit_test(batches_stay_together_and_without_offload_fall_apart),
        cmocka_unit_test(the_largest_datagram_and_the_largest_batch_pass),
        cmocka_unit_test(the_bits_of_congestion_travel_with_a_datagram),
        cmocka_unit_test(an_answer_goes_from_the_address_that_was_asked),
        cmocka_unit_test(an_address_that_is_not_ours_is_left_to_the_system),
        cmocka_unit_test(ip6_sockets_are_for_ip6_and_know_their_address),
        cmocka_unit_test(a_bind_that_fails_says_why),
        cmocka_unit_test(nobody_there_does_not_kill_a_socket),
        cmocka_unit_test(an_error_of_the_network_is_taken_away),
        cmocka_unit_test(a_refused_batch_goes_datagram_by_datagram_from_then_on),
        cmocka_unit_test(close_sends_what_the_machine_still_gives),
        cmocka_unit_test(abort_closes_at_once),
        cmocka_unit_test(what_comes_while_a_socket_closes_is_not_told),
        cmocka_unit_test(kept_datagrams_share_chunks),
        cmocka_unit_test(steady_traffic_allocates_nothing),
        cmocka_unit_test(without_memory_datagrams_are_dropped),
        cmocka_unit_test(a_batch_of_too_many_is_given_in_parts),
        cmocka_unit_test(many_sockets_take_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
