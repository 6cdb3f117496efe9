#include "tern_test.h"

#include "protocol/ping/ping.h"
#include "protocol/puppet_test_support.h"

static struct puppet_world pw;
static struct tern_ping *ping;

static int setup(void **state)
{
    (void)state;
    puppet_world_init(&pw);
    assert_ok(tern_ping_new(&pw.node->mem, &pw.node->random, pw.node->swarm, &ping));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tern_ping_free(ping);
    puppet_world_fini(&pw);
    return 0;
}

static tern_err send_ping(tern_peer peer, tern_token token)
{
    struct tern_ping_request request = {
        .peer = peer, .token = token, .timeout_ns = 10 * TERN_SECOND};
    return tern_ping_send(ping, pw.world->now, &request);
}

static void expect_event(tern_token token, tern_err err)
{
    struct tern_ping_event event;
    assert_true(tern_ping_next(ping, &event));
    assert_int_equal(event.token, token);
    assert_int_equal(event.err, err);
    assert_false(tern_ping_next(ping, &event));
}

static void a_ping_measures_the_round_trip(void **state)
{
    struct tern_ping_event event;
    (void)state;
    struct tern_ping *other;
    assert_ok(tern_ping_new(&pw.puppet->mem, &pw.puppet->random, pw.puppet->swarm, &other));
    tern_peer peer = puppet_connect(&pw);
    assert_ok(send_ping(peer, 5));
    puppet_run(&pw, TERN_SECOND);
    assert_true(tern_ping_next(ping, &event));
    assert_int_equal(event.err, TERN_OK);
    assert_int_equal(event.token, 5);
    assert_int_equal(event.rtt_ns, 2 * pw.world->latency);
    assert_int_equal(puppet_faults_all(&pw), 0);
    tern_ping_free(other);
}

/* Two streams at a time: the others wait for their ends, however fast they are asked for. */
static void many_at_once_go_two_by_two(void **state)
{
    enum { COUNT = 20 };
    struct tern_ping_event event;
    (void)state;
    struct tern_ping *other;
    assert_ok(tern_ping_new(&pw.puppet->mem, &pw.puppet->random, pw.puppet->swarm, &other));
    tern_peer peer = puppet_connect(&pw);
    for (tern_token token = 1; token <= COUNT; token++)
        assert_ok(send_ping(peer, token));
    puppet_run(&pw, 10 * TERN_SECOND);
    for (tern_token token = 1; token <= COUNT; token++) {
        assert_true(tern_ping_next(ping, &event));
        assert_int_equal(event.token, token);
        assert_int_equal(event.err, TERN_OK);
        assert_int_equal(event.rtt_ns, 2 * pw.world->latency);
    }
    assert_int_equal(puppet_faults_all(&pw), 0);
    tern_ping_free(other);
}

static void whatever_comes_goes_back_at_any_length(void **state)
{
    (void)state;
    (void)puppet_connect(&pw);
    struct tern_stream stream = puppet_open(&pw, TERN_PING_PROTOCOL, tern_view_str("short"), false);
    assert_int_equal(pw.puppet->received, 5);
    assert_memory_equal(pw.puppet->received_last, "short", 5);
    puppet_say(&pw, stream, tern_view_str("and more of it, beyond thirty-two bytes"));
    assert_int_equal(pw.puppet->received, 44);
    puppet_end(&pw, stream);
    assert_int_equal(test_count(pw.puppet, TERN_SWARM_STREAM_ENDED), 1);
    assert_int_equal(test_find(pw.puppet, TERN_SWARM_STREAM_ENDED, 0)->event.err, TERN_OK);
}

static void other_bytes_are_a_fault(void **state)
{
    static const uint8_t wrong[TERN_PING_SIZE] = {1, 2, 3};
    (void)state;
    puppet_serves(&pw, TERN_PING_PROTOCOL);
    tern_peer peer = puppet_connect(&pw);
    pw.answer = (struct puppet_answer){.bytes = tern_view_of(wrong, sizeof wrong), .leave = true};
    assert_ok(send_ping(peer, 1));
    puppet_run(&pw, TERN_SECOND);
    assert_int_equal(puppet_faults(&pw, TERN_FAULT_PING_MISMATCH), 1);
    expect_event(1, TERN_ERR_PROTOCOL);
}

static void no_answer_is_a_time_out(void **state)
{
    (void)state;
    puppet_serves(&pw, TERN_PING_PROTOCOL);
    tern_peer peer = puppet_connect(&pw);
    pw.answer.hold = true;
    assert_ok(send_ping(peer, 1));
    puppet_run(&pw, 9 * TERN_SECOND);
    struct tern_ping_event event;
    assert_false(tern_ping_next(ping, &event));
    puppet_run(&pw, 2 * TERN_SECOND);
    expect_event(1, TERN_ERR_TIMEOUT);
    assert_int_equal(puppet_faults_all(&pw), 0);
}

/* The bytes ride with the protocol's name: a listener that refuses the name may reset the stream
 * over them before its refusal is read. */
static void who_does_not_speak_it_resets_the_stream(void **state)
{
    (void)state;
    tern_peer peer = puppet_connect(&pw);
    assert_ok(send_ping(peer, 1));
    puppet_run(&pw, TERN_SECOND);
    expect_event(1, TERN_ERR_RESET);
    assert_int_equal(puppet_faults_all(&pw), 0);
}

static void a_reset_and_a_peer_that_goes_end_the_ping(void **state)
{
    (void)state;
    puppet_serves(&pw, TERN_PING_PROTOCOL);
    tern_peer peer = puppet_connect(&pw);
    pw.answer.reset = true;
    assert_ok(send_ping(peer, 1));
    puppet_run(&pw, TERN_SECOND);
    expect_event(1, TERN_ERR_RESET);
    pw.answer = (struct puppet_answer){.hold = true};
    assert_ok(send_ping(peer, 2));
    puppet_run(&pw, TERN_SECOND);
    puppet_goes(&pw);
    expect_event(2, TERN_ERR_DISCONNECTED);
    assert_int_equal(send_ping(peer, 3), TERN_ERR_STALE);
}

static void so_many_run_at_once(void **state)
{
    tern_err err = TERN_OK;
    tern_token sent = 0;
    (void)state;
    puppet_serves(&pw, TERN_PING_PROTOCOL);
    tern_peer peer = puppet_connect(&pw);
    pw.answer.hold = true;
    while (sent <= TERN_PING_RUNNING_MAX && (err = send_ping(peer, sent)) == TERN_OK)
        sent++;
    assert_int_equal(err, TERN_ERR_FULL);
    assert_int_equal(sent, TERN_PING_RUNNING_MAX);
    puppet_run(&pw, 11 * TERN_SECOND);
    struct tern_ping_event event;
    for (size_t i = 0; i < TERN_PING_RUNNING_MAX; i++) {
        assert_true(tern_ping_next(ping, &event));
        assert_int_equal(event.err, TERN_ERR_TIMEOUT);
    }
    assert_ok(send_ping(peer, 1000));
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    puppet_serves(&pw, TERN_PING_PROTOCOL);
    tern_peer peer = puppet_connect(&pw);
    size_t used = pw.node->mem.used;
    for (uint64_t n = 1; n < 30; n++) {
        struct tern_ping_event event;
        tern_mem_fail_at(&pw.node->mem, n, false);
        tern_err err = send_ping(peer, n);
        tern_mem_fail_at(&pw.node->mem, 0, false);
        puppet_run(&pw, 15 * TERN_SECOND);
        while (tern_ping_next(ping, &event))
            assert_int_equal(err, TERN_OK);
    }
    assert_true(pw.node->mem.used <= used + 16384); /* queues that have grown; no ping is left */
}

int main(void)
{
#define PING(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        PING(a_ping_measures_the_round_trip),
        PING(many_at_once_go_two_by_two),
        PING(whatever_comes_goes_back_at_any_length),
        PING(other_bytes_are_a_fault),
        PING(no_answer_is_a_time_out),
        PING(who_does_not_speak_it_resets_the_stream),
        PING(a_reset_and_a_peer_that_goes_end_the_ping),
        PING(so_many_run_at_once),
        PING(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
