#include "tern_test.h"

#include "protocol/puppet_test_support.h"
#include "protocol/request/request.h"
#include "swarm/manager.h"

#define NAME "/test/ask/1"

enum { SIZE_MAX_BODY = 1000 };

static struct puppet_world pw;
static struct tern_requests *requests;

static const struct tern_view name = {(const uint8_t *)NAME, sizeof NAME - 1};

static int setup(void **state)
{
    (void)state;
    puppet_world_init(&pw);
    struct tern_requests_options options = {.mem = &pw.node->mem,
                                            .size_max = SIZE_MAX_BODY,
                                            .serve_timeout_ns = 10 * TERN_SECOND,
                                            .inbound_per_peer_max = 8};
    assert_ok(tern_requests_new(&options, pw.node->swarm, &requests));
    assert_ok(tern_requests_serve(requests, name, TERN_STREAM_CONTROL));
    puppet_serves(&pw, NAME);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tern_requests_free(requests);
    puppet_world_fini(&pw);
    return 0;
}

static tern_err ask(tern_peer peer, tern_token token, size_t size)
{
    static const uint8_t body[SIZE_MAX_BODY + 1];
    struct tern_request request = {.peer = peer,
                                   .protocol = name,
                                   .class = TERN_STREAM_CONTROL,
                                   .body = tern_view_of(body, size),
                                   .token = token,
                                   .timeout_ns = 5 * TERN_SECOND};
    return tern_request_send(requests, pw.world->now, &request);
}

static void expect_response(tern_token token, tern_err err)
{
    struct tern_request_event event;
    assert_true(tern_requests_next(requests, &event));
    assert_int_equal(event.kind, TERN_REQUEST_EVENT_RESPONSE);
    assert_int_equal(event.token, token);
    assert_int_equal(event.err, err);
    assert_false(tern_requests_next(requests, &event));
}

static tern_request_handle expect_request(const char *body)
{
    struct tern_request_event event;
    assert_true(tern_requests_next(requests, &event));
    assert_int_equal(event.kind, TERN_REQUEST_EVENT_REQUEST);
    assert_true(test_view_is(event.body, body));
    assert_true(test_view_is(event.protocol->name, NAME));
    assert_true(tern_peer_id_equal(&event.peer_id, &pw.puppet->id));
    return event.handle;
}

static void answer(tern_request_handle handle, const char *body)
{
    tern_request_answer(requests, handle,
                        &(struct tern_answer){.code = TERN_REQUEST_NOT_FOUND,
                                              .reason = tern_view_str("why"),
                                              .body = tern_view_str(body)});
    puppet_run(&pw, TERN_SECOND);
}

/* --- asking --- */

static void an_answer_comes_back(void **state)
{
    struct tern_request_event event;
    (void)state;
    tern_peer peer = puppet_connect(&pw);
    pw.answer.bytes = tern_view_str("\x0c\x08\x05\x12\x03why\x1a\x03yes");
    assert_ok(ask(peer, 1, 10));
    puppet_run(&pw, TERN_SECOND);
    assert_true(tern_requests_next(requests, &event));
    assert_int_equal(event.err, TERN_OK);
    assert_int_equal(event.token, 1);
    assert_int_equal(event.answer.code, TERN_REQUEST_FAILED);
    assert_true(test_view_is(event.answer.reason, "why"));
    assert_true(test_view_is(event.answer.body, "yes"));
    assert_false(tern_requests_next(requests, &event));
    assert_int_equal(puppet_faults_all(&pw), 0);
}

static void who_is_asked_is_protected_and_who_answers_is_worth_something(void **state)
{
    (void)state;
    tern_peer peer = puppet_connect(&pw);
    struct tern_swarm *s = pw.node->swarm;
    pw.answer.hold = true;
    assert_ok(ask(peer, 1, 10));
    assert_ok(ask(peer, 2, 10));
    puppet_run(&pw, TERN_SECOND);
    assert_int_equal(tern_swarm_protected(s, peer, TERN_PROTECT_REQUEST), 2);
    tern_request_cancel(requests, 1);
    assert_int_equal(tern_swarm_protected(s, peer, TERN_PROTECT_REQUEST), 1);
    puppet_run(&pw, 6 * TERN_SECOND);
    expect_response(2, TERN_ERR_TIMEOUT);
    assert_int_equal(tern_swarm_protected(s, peer, TERN_PROTECT_REQUEST), 0);
    assert_int_equal(tern_swarm_peer_value(s, peer), 0);
    pw.answer =
        (struct puppet_answer){.bytes = tern_view_str("\x0c\x08\x05\x12\x03why\x1a\x03yes")};
    assert_ok(ask(peer, 3, 10));
    puppet_run(&pw, TERN_SECOND);
    expect_response(3, TERN_OK);
    assert_int_equal(tern_swarm_protected(s, peer, TERN_PROTECT_COUNT), 0);
    assert_int_equal(tern_swarm_peer_value(s, peer), 1);
}

static void answers_that_make_no_sense_are_faults(void **state)
{
    static const struct {
        struct tern_view bytes;
        tern_fault fault;
    } rows[] = {
        {{(const uint8_t *)"\x03\x1a\x09x", 4}, TERN_FAULT_REQUEST_MALFORMED}, /* inside */
        {{(const uint8_t *)"\x81\x00x", 3}, TERN_FAULT_REQUEST_MALFORMED},     /* its length */
        {{(const uint8_t *)"\x09\x1a", 2}, TERN_FAULT_REQUEST_MALFORMED},      /* cut off */
        {{NULL, 0}, TERN_FAULT_REQUEST_MALFORMED},                             /* nothing */
        {{(const uint8_t *)"\xff\xff\x03", 3}, TERN_FAULT_REQUEST_TOO_LARGE},  /* too long */
    };
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++) {
        (void)teardown(NULL); /* five such faults and it is banned */
        (void)setup(NULL);
        tern_peer peer = puppet_connect(&pw);
        pw.answer.bytes = rows[i].bytes;
        assert_ok(ask(peer, i, 10));
        puppet_run(&pw, TERN_SECOND);
        assert_int_equal(puppet_faults(&pw, rows[i].fault), 1);
        assert_int_equal(puppet_faults_all(&pw), 1);
        expect_response(i, TERN_ERR_PROTOCOL);
    }
}

static void no_answer_is_a_time_out(void **state)
{
    struct tern_request_event event;
    (void)state;
    tern_peer peer = puppet_connect(&pw);
    pw.answer.hold = true;
    assert_ok(ask(peer, 1, 10));
    puppet_run(&pw, 4 * TERN_SECOND);
    assert_false(tern_requests_next(requests, &event));
    puppet_run(&pw, 2 * TERN_SECOND);
    expect_response(1, TERN_ERR_TIMEOUT);
}

static void a_reset_and_a_peer_that_goes_end_requests(void **state)
{
    (void)state;
    tern_peer peer = puppet_connect(&pw);
    pw.answer.reset = true;
    assert_ok(ask(peer, 1, 10));
    puppet_run(&pw, TERN_SECOND);
    expect_response(1, TERN_ERR_RESET);
    pw.answer = (struct puppet_answer){.hold = true};
    assert_ok(ask(peer, 2, 10));
    puppet_run(&pw, TERN_SECOND);
    puppet_goes(&pw);
    expect_response(2, TERN_ERR_DISCONNECTED);
    assert_int_equal(ask(peer, 3, 10), TERN_ERR_STALE);
    assert_int_equal(puppet_faults_all(&pw), 0);
}

static void a_cancelled_request_gives_no_event(void **state)
{
    struct tern_request_event event;
    (void)state;
    tern_peer peer = puppet_connect(&pw);
    pw.answer.hold = true;
    assert_ok(ask(peer, 1, 10));
    puppet_run(&pw, TERN_SECOND);
    tern_request_cancel(requests, 1);
    puppet_run(&pw, 20 * TERN_SECOND);
    assert_false(tern_requests_next(requests, &event));
    pw.answer = (struct puppet_answer){.bytes = tern_view_str("\x02\x08\x01")};
    assert_ok(ask(peer, 2, 10));
    assert_ok(ask(peer, 3, 10));
    puppet_run(&pw, TERN_SECOND);
    tern_request_cancel(requests, 2); /* its answer is here already, and was not taken */
    expect_response(3, TERN_OK);
    tern_request_cancel(requests, 3);
    tern_request_cancel(requests, 77);
}

static void a_request_too_large_or_too_many_is_refused(void **state)
{
    struct tern_request_event event;
    size_t count = 0;
    (void)state;
    tern_peer peer = puppet_connect(&pw);
    pw.answer.hold = true;
    assert_int_equal(ask(peer, 1, SIZE_MAX_BODY + 1), TERN_ERR_TOO_LARGE);
    tern_err err = TERN_OK;
    while (count < 5000 && (err = ask(peer, count, 1)) == TERN_OK)
        count++;
    assert_true(count >= 8 && err != TERN_OK); /* the swarm's limit of streams or ours */
    (void)puppet_open(&pw, NAME, tern_view_str("\x03one"), true);
    (void)expect_request("one"); /* which uses up none of the others' places */
    puppet_run(&pw, 20 * TERN_SECOND);
    for (size_t i = 0; i < count; i++) {
        assert_true(tern_requests_next(requests, &event));
        assert_int_equal(event.kind, TERN_REQUEST_EVENT_RESPONSE);
    }
    assert_ok(ask(peer, 1, 1));
}

/* --- serving --- */

static void requests_are_answered_in_any_order(void **state)
{
    (void)state;
    (void)puppet_connect(&pw);
    (void)puppet_open(&pw, NAME, tern_view_str("\x03one"), true);
    (void)puppet_open(&pw, NAME, tern_view_str("\x03two"), true);
    tern_request_handle one = expect_request("one");
    tern_request_handle two = expect_request("two");
    answer(two, "second");
    assert_int_equal(pw.puppet->received, 1 + 2 + 5 + 8);
    assert_memory_equal(pw.puppet->received_last, "\x0f\x08\x03\x12\x03why\x1a\x06second", 16);
    answer(one, "first");
    assert_memory_equal(pw.puppet->received_last,
                        "\x0e\x08\x03\x12\x03why\x1a\x05"
                        "first",
                        15);
    assert_int_equal(test_count(pw.puppet, TERN_SWARM_STREAM_ENDED), 2);
    answer(one, "again"); /* stale by now */
    assert_int_equal(pw.puppet->received, 16 + 15);
}

static void a_request_may_come_in_pieces(void **state)
{
    struct tern_request_event event;
    (void)state;
    (void)puppet_connect(&pw);
    struct tern_stream stream = puppet_open(&pw, NAME, tern_view_str("\x05he"), false);
    assert_false(tern_requests_next(requests, &event));
    puppet_say(&pw, stream, tern_view_str("llo"));
    answer(expect_request("hello"), "");
}

static void requests_that_make_no_sense_are_faults(void **state)
{
    (void)state;
    (void)puppet_connect(&pw);
    (void)puppet_open(&pw, NAME, tern_view_str("\xff\xff\x03"), false);
    assert_int_equal(puppet_faults(&pw, TERN_FAULT_REQUEST_TOO_LARGE), 1);
    (void)puppet_open(&pw, NAME,
                      tern_view_str("\x05"
                                    "cut"),
                      true);
    assert_int_equal(puppet_faults(&pw, TERN_FAULT_REQUEST_MALFORMED), 1);
    (void)puppet_open(&pw, NAME, tern_view_str(""), true);
    assert_int_equal(puppet_faults(&pw, TERN_FAULT_REQUEST_MALFORMED), 2);
    assert_int_equal(test_count(pw.puppet, TERN_SWARM_STREAM_ENDED), 3);
    struct tern_request_event event;
    assert_false(tern_requests_next(requests, &event));
}

static void a_request_that_does_not_come_is_given_up(void **state)
{
    struct tern_request_event event;
    (void)state;
    (void)puppet_connect(&pw);
    (void)puppet_open(&pw, NAME, tern_view_str("\x05he"), false);
    puppet_run(&pw, 11 * TERN_SECOND);
    assert_int_equal(test_count(pw.puppet, TERN_SWARM_STREAM_ENDED), 1);
    assert_false(tern_requests_next(requests, &event));
    assert_int_equal(puppet_faults_all(&pw), 0);
}

static void an_answer_after_its_time_or_its_peer_is_ignored(void **state)
{
    (void)state;
    (void)puppet_connect(&pw);
    (void)puppet_open(&pw, NAME, tern_view_str("\x03one"), true);
    tern_request_handle late = expect_request("one");
    puppet_run(&pw, 11 * TERN_SECOND);
    answer(late, "late");
    assert_int_equal(pw.puppet->received, 0);
    (void)puppet_open(&pw, NAME, tern_view_str("\x03two"), true);
    tern_request_handle gone = expect_request("two");
    (void)puppet_open(&pw, NAME, tern_view_str("\x05three"), true); /* not taken yet */
    puppet_goes(&pw);
    answer(gone, "x");
    answer(expect_request("three"), "x");
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    tern_peer peer = puppet_connect(&pw);
    pw.answer.bytes = tern_view_str("\x05\x1a\x03yes");
    size_t responses = 0;
    for (uint64_t n = 1; n < 40; n++) {
        struct tern_request_event event;
        tern_mem_fail_at(&pw.node->mem, n, false);
        tern_err err = ask(peer, n, 100);
        puppet_run(&pw, 10 * TERN_SECOND);
        tern_mem_fail_at(&pw.node->mem, 0, false);
        size_t events = 0;
        while (tern_requests_next(requests, &event))
            events++;
        assert_int_equal(events, err == TERN_OK); /* exactly one, or an error at once */
        responses += events;
        if (tern_swarm_find_peer(pw.node->swarm, &pw.puppet->id) == 0)
            peer = puppet_connect(&pw);
    }
    assert_true(responses > 10);
}

int main(void)
{
#define REQUEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        REQUEST(an_answer_comes_back),
        REQUEST(who_is_asked_is_protected_and_who_answers_is_worth_something),
        REQUEST(answers_that_make_no_sense_are_faults),
        REQUEST(no_answer_is_a_time_out),
        REQUEST(a_reset_and_a_peer_that_goes_end_requests),
        REQUEST(a_cancelled_request_gives_no_event),
        REQUEST(a_request_too_large_or_too_many_is_refused),
        REQUEST(requests_are_answered_in_any_order),
        REQUEST(a_request_may_come_in_pieces),
        REQUEST(requests_that_make_no_sense_are_faults),
        REQUEST(a_request_that_does_not_come_is_given_up),
        REQUEST(an_answer_after_its_time_or_its_peer_is_ignored),
        REQUEST(each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
