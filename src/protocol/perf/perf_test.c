#include "tern_test.h"

#include "protocol/perf/perf.h"
#include "protocol/puppet_test_support.h"

enum { MIB = 1 << 20, HEADER_SIZE = 8, SAID_SIZE_MAX = 4096 };

static const struct tern_perf_service_options defaults = {
    .streams_max = 4, .bytes_max = 0, .quiet_ns = 10 * TERN_SECOND};

static struct puppet_world pw;
static struct tern_perf *perf;  /* the node's */
static struct tern_perf *other; /* the puppet's, when it is honest */

static struct tern_perf *make_perf(struct test_node *node, struct tern_perf_service_options options)
{
    struct tern_perf *made;
    options.mem = &node->mem;
    assert_ok(tern_perf_new(&options, node->swarm, &made));
    return made;
}

static int setup(void **state)
{
    (void)state;
    puppet_world_init(&pw);
    perf = NULL;
    other = NULL;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tern_perf_free(perf);
    tern_perf_free(other);
    puppet_world_fini(&pw);
    return 0;
}

/* The node asks, and the puppet is to answer. */
static tern_peer begin_asking(void)
{
    perf = make_perf(pw.node, defaults);
    puppet_serves(&pw, TERN_PERF_PROTOCOL);
    return puppet_connect(&pw);
}

/* Both are honest: the node asks, the puppet's service answers. */
static tern_peer begin_honest(enum tern_perf_header header)
{
    perf = make_perf(pw.node, defaults);
    other = make_perf(pw.puppet, defaults);
    assert_ok(tern_perf_serve(other, header));
    return puppet_connect(&pw);
}

/* The node serves, and the puppet asks. */
static void begin_serving(struct tern_perf_service_options options, enum tern_perf_header header)
{
    perf = make_perf(pw.node, options);
    assert_ok(tern_perf_serve(perf, header));
    (void)puppet_connect(&pw);
}

static struct tern_perf_request request_of(tern_peer peer, uint64_t upload, uint64_t download)
{
    return (struct tern_perf_request){.peer = peer,
                                      .token = 5,
                                      .upload_bytes = upload,
                                      .download_bytes = download,
                                      .quiet_ns = 10 * TERN_SECOND};
}

static void ask(const struct tern_perf_request *request)
{
    assert_ok(tern_perf_run(perf, pw.world->now, request));
}

static struct tern_perf_event expect_done(tern_err err)
{
    struct tern_perf_event event;
    assert_true(tern_perf_next(perf, &event));
    assert_int_equal(event.kind, TERN_PERF_EVENT_DONE);
    assert_int_equal(event.token, 5);
    assert_int_equal(event.err, err);
    assert_false(tern_perf_next(perf, &event));
    return event;
}

static void expect_fault(tern_fault fault)
{
    assert_int_equal(puppet_faults(&pw, fault), 1);
    assert_int_equal(puppet_faults_all(&pw), 1);
}

/* How the puppet's only stream of its own ended. */
static void expect_stream_end(tern_err err, uint32_t code)
{
    assert_int_equal(test_count(pw.puppet, TERN_SWARM_STREAM_ENDED), 1);
    const struct test_news *news = test_find(pw.puppet, TERN_SWARM_STREAM_ENDED, 0);
    assert_int_equal(news->event.err, err);
    assert_int_equal(news->event.code, code);
}

static size_t ends_count(void)
{
    return test_count(pw.puppet, TERN_SWARM_STREAM_ENDED);
}

static struct tern_view number(uint64_t value)
{
    static uint8_t bytes[HEADER_SIZE];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_writer_u64be(&w, value);
    return tern_writer_view(&w);
}

static struct tern_view numbers(uint64_t announced, uint64_t wanted)
{
    static uint8_t bytes[2 * HEADER_SIZE];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_writer_u64be(&w, announced);
    tern_writer_u64be(&w, wanted);
    return tern_writer_view(&w);
}

static struct tern_view some(size_t size)
{
    static const uint8_t bytes[SAID_SIZE_MAX] = {1, 2, 3};
    assert_true(size <= sizeof bytes);
    return tern_view_of(bytes, size);
}

/* --- honest peers --- */

static void both_ways_are_counted_and_timed(void **state)
{
    (void)state;
    tern_time trip = 2 * pw.world->latency;
    struct tern_perf_request request =
        request_of(begin_honest(TERN_PERF_HEADER_8), 3 * MIB, 5 * MIB);
    ask(&request);
    puppet_run(&pw, TERN_SECOND);
    struct tern_perf_event event = expect_done(TERN_OK);
    assert_int_equal(event.uploaded_bytes, 3 * MIB);
    assert_int_equal(event.downloaded_bytes, 5 * MIB);
    assert_true(event.uploaded_ns > 0); /* more than the muxer takes at once */
    assert_true(event.answered_ns >= event.uploaded_ns + trip);
    assert_true(event.ended_ns > event.answered_ns);
    assert_true(event.elapsed_ns >= event.ended_ns);
    assert_int_equal(event.ended_ns % trip, 0);
    assert_int_equal(puppet_faults_all(&pw), 0);
    assert_int_equal(tern_swarm_faults_weight(pw.puppet->swarm, pw.world->now, &pw.node->id), 0);
}

static void nothing_either_way_is_one_round_trip(void **state)
{
    (void)state;
    struct tern_perf_request request = request_of(begin_honest(TERN_PERF_HEADER_8), 0, 0);
    ask(&request);
    puppet_run(&pw, TERN_SECOND);
    struct tern_perf_event event = expect_done(TERN_OK);
    assert_int_equal(event.answered_ns, 2 * pw.world->latency);
    assert_int_equal(event.ended_ns, event.answered_ns);
}

static void an_upload_is_sent_by_reference(void **state)
{
    (void)state;
    struct tern_perf_request request = request_of(begin_honest(TERN_PERF_HEADER_8), 64 * MIB, 0);
    size_t before = pw.node->mem.used;
    ask(&request);
    assert_true(pw.node->mem.used < before + 3 * TERN_PERF_CHUNK_SIZE);
    puppet_run(&pw, 2 * TERN_SECOND);
    assert_int_equal(expect_done(TERN_OK).uploaded_bytes, 64 * MIB);
}

static void the_longer_header_is_spoken_and_served(void **state)
{
    (void)state;
    struct tern_perf_request request =
        request_of(begin_honest(TERN_PERF_HEADER_16), 2 * MIB, 100000);
    request.header = TERN_PERF_HEADER_16;
    ask(&request);
    puppet_run(&pw, TERN_SECOND);
    struct tern_perf_event event = expect_done(TERN_OK);
    assert_int_equal(event.uploaded_bytes, 2 * MIB);
    assert_int_equal(event.downloaded_bytes, 100000);
    request.download_bytes = 0;
    ask(&request);
    puppet_run(&pw, TERN_SECOND);
    (void)expect_done(TERN_OK);
    assert_int_equal(puppet_faults_all(&pw), 0);
}

static void a_duration_ends_the_upload(void **state)
{
    (void)state;
    struct tern_perf_request request =
        request_of(begin_honest(TERN_PERF_HEADER_8), UINT64_MAX, 1000);
    request.duration_ns = 5 * pw.world->latency;
    ask(&request);
    puppet_run(&pw, TERN_SECOND);
    struct tern_perf_event event = expect_done(TERN_OK);
    assert_int_equal(event.uploaded_ns, request.duration_ns);
    assert_true(event.uploaded_bytes > MIB);
    assert_true(event.answered_ns > request.duration_ns);
    assert_int_equal(event.downloaded_bytes, 1000);
}

static void a_duration_ends_the_download(void **state)
{
    (void)state;
    struct tern_perf_request request = request_of(begin_honest(TERN_PERF_HEADER_8), 0, UINT64_MAX);
    request.duration_ns = 5 * pw.world->latency;
    ask(&request);
    puppet_run(&pw, TERN_SECOND);
    struct tern_perf_event event = expect_done(TERN_OK);
    assert_int_equal(event.answered_ns, 2 * pw.world->latency);
    assert_int_equal(event.ended_ns, 7 * pw.world->latency);
    assert_true(event.downloaded_bytes > 256 << 10);
    request.download_bytes = 10; /* the server has its place free again */
    ask(&request);
    puppet_run(&pw, TERN_SECOND);
    assert_int_equal(expect_done(TERN_OK).downloaded_bytes, 10);
    assert_int_equal(puppet_faults_all(&pw), 0);
}

static void progress_is_told_at_most_once_an_interval(void **state)
{
    (void)state;
    struct tern_perf_event event;
    struct tern_perf_request request = request_of(begin_asking(), 0, 3000);
    pw.answer = (struct puppet_answer){.bytes = some(1000), .leave = true};
    request.interval_ns = TERN_SECOND;
    ask(&request);
    puppet_run(&pw, TERN_SECOND / 2);
    assert_false(tern_perf_next(perf, &event));
    puppet_run(&pw, TERN_SECOND);
    assert_true(tern_perf_next(perf, &event));
    assert_int_equal(event.kind, TERN_PERF_EVENT_PROGRESS);
    assert_int_equal(event.token, 5);
    assert_int_equal(event.downloaded_bytes, 1000);
    assert_int_equal(event.elapsed_ns, TERN_SECOND);
    assert_false(tern_perf_next(perf, &event));
    puppet_say(&pw, pw.asked, some(500));
    puppet_run(&pw, 4 * TERN_SECOND);
    assert_true(tern_perf_next(perf, &event)); /* the newest of those that nobody drew */
    assert_int_equal(event.downloaded_bytes, 1500);
    assert_int_equal(event.elapsed_ns, 5 * TERN_SECOND);
    assert_false(tern_perf_next(perf, &event));
    puppet_run(&pw, TERN_SECOND);
    puppet_say(&pw, pw.asked, some(1500));
    puppet_end(&pw, pw.asked);
    assert_int_equal(expect_done(TERN_OK).downloaded_bytes, 3000); /* and no progress behind it */
}

/* --- a server that misbehaves --- */

static void a_short_answer_is_a_fault(void **state)
{
    (void)state;
    struct tern_perf_request request = request_of(begin_asking(), 10, 1000);
    pw.answer.bytes = some(999);
    ask(&request);
    puppet_run(&pw, TERN_SECOND);
    assert_int_equal(expect_done(TERN_ERR_PROTOCOL).downloaded_bytes, 999);
    expect_fault(TERN_FAULT_PERF_SHORT);
}

static void a_long_answer_is_a_fault(void **state)
{
    (void)state;
    struct tern_perf_request request = request_of(begin_asking(), 10, 1000);
    pw.answer.bytes = some(1001);
    ask(&request);
    puppet_run(&pw, TERN_SECOND);
    (void)expect_done(TERN_ERR_PROTOCOL);
    expect_fault(TERN_FAULT_PERF_LONG);
}

static void an_answer_to_who_wants_none_is_a_fault(void **state)
{
    (void)state;
    struct tern_perf_request request = request_of(begin_asking(), 10, 0);
    pw.answer.bytes = some(1);
    ask(&request);
    puppet_run(&pw, TERN_SECOND);
    (void)expect_done(TERN_ERR_PROTOCOL);
    expect_fault(TERN_FAULT_PERF_LONG);
}

/* The puppet reads nothing, so that an upload of this size is never over. */
static void an_answer_before_the_uploads_end_is_a_fault(void **state)
{
    (void)state;
    struct tern_perf_request request = request_of(begin_asking(), 8 * MIB, 1000);
    pw.answer = (struct puppet_answer){.bytes = some(1000), .leave = true};
    ask(&request);
    puppet_run(&pw, TERN_SECOND);
    struct tern_perf_event event = expect_done(TERN_ERR_PROTOCOL);
    assert_true(event.uploaded_bytes > 0 && event.uploaded_bytes < 8 * MIB);
    assert_int_equal(event.uploaded_ns, 0);
    expect_fault(TERN_FAULT_PERF_EARLY);
}

static void an_end_before_the_uploads_end_is_a_fault(void **state)
{
    (void)state;
    struct tern_perf_request request = request_of(begin_asking(), 8 * MIB, 0);
    ask(&request);
    puppet_run(&pw, TERN_SECOND);
    (void)expect_done(TERN_ERR_PROTOCOL);
    expect_fault(TERN_FAULT_PERF_EARLY);
}

static void silence_is_a_time_out(void **state)
{
    (void)state;
    struct tern_perf_event event;
    struct tern_perf_request request = request_of(begin_asking(), 0, 1000);
    pw.answer.hold = true;
    ask(&request);
    puppet_run(&pw, 9 * TERN_SECOND);
    puppet_say(&pw, pw.asked, some(500));
    puppet_run(&pw, 9 * TERN_SECOND);
    assert_false(tern_perf_next(perf, &event)); /* there was a sign of life */
    puppet_run(&pw, 2 * TERN_SECOND);
    event = expect_done(TERN_ERR_TIMEOUT);
    assert_int_equal(event.downloaded_bytes, 500);
    assert_int_equal(event.ended_ns, 0);
    assert_int_equal(puppet_faults_all(&pw), 0);
}

static void an_upload_that_nobody_takes_is_a_time_out(void **state)
{
    (void)state;
    struct tern_perf_request request = request_of(begin_asking(), 8 * MIB, 0);
    pw.answer.hold = true;
    ask(&request);
    puppet_run(&pw, 11 * TERN_SECOND);
    assert_int_equal(expect_done(TERN_ERR_TIMEOUT).uploaded_ns, 0);
}

static void a_server_that_does_not_end_its_side_has_answered(void **state)
{
    (void)state;
    struct tern_perf_event event;
    struct tern_perf_request request = request_of(begin_asking(), 0, 1000);
    pw.answer = (struct puppet_answer){.bytes = some(1000), .leave = true};
    ask(&request);
    puppet_run(&pw, 9 * TERN_SECOND);
    assert_false(tern_perf_next(perf, &event));
    puppet_run(&pw, 2 * TERN_SECOND);
    event = expect_done(TERN_OK);
    assert_int_equal(event.downloaded_bytes, 1000);
    assert_int_equal(event.ended_ns, 2 * pw.world->latency);
}

static void a_reset_and_a_peer_that_goes_end_it(void **state)
{
    (void)state;
    struct tern_perf_request request = request_of(begin_asking(), 0, 1000);
    pw.answer = (struct puppet_answer){.bytes = some(10), .leave = true};
    ask(&request);
    puppet_run(&pw, TERN_SECOND);
    tern_swarm_reset(pw.puppet->swarm, pw.asked, TERN_STREAM_CODE_RESOURCE_LIMIT);
    puppet_run(&pw, TERN_SECOND);
    assert_int_equal(expect_done(TERN_ERR_RESET).downloaded_bytes, 10);
    request.upload_bytes = 8 * MIB;
    pw.answer = (struct puppet_answer){.reset = true};
    ask(&request);
    puppet_run(&pw, TERN_SECOND);
    (void)expect_done(TERN_ERR_RESET);
    pw.answer = (struct puppet_answer){.hold = true};
    ask(&request);
    puppet_run(&pw, TERN_SECOND);
    puppet_goes(&pw);
    (void)expect_done(TERN_ERR_DISCONNECTED);
    assert_int_equal(puppet_faults_all(&pw), 0);
    assert_int_equal(tern_perf_run(perf, pw.world->now, &request), TERN_ERR_STALE);
}

/* The number rides with the protocol's name, so the refusal may be a reset, as in ping. */
static void who_does_not_serve_refuses_the_stream(void **state)
{
    (void)state;
    perf = make_perf(pw.node, defaults);
    other = make_perf(pw.puppet, defaults); /* and does not serve, as nobody does by itself */
    struct tern_perf_request request = request_of(puppet_connect(&pw), 0, 1000);
    ask(&request);
    puppet_run(&pw, TERN_SECOND);
    (void)expect_done(TERN_ERR_RESET);
    assert_int_equal(puppet_faults_all(&pw), 0);
}

static void a_request_must_make_sense(void **state)
{
    (void)state;
    struct tern_perf_request request = request_of(begin_asking(), 1, 0);
    request.quiet_ns = 0;
    assert_int_equal(tern_perf_run(perf, pw.world->now, &request), TERN_ERR_INVALID);
    request.quiet_ns = TERN_SECOND;
    request.duration_ns = TERN_SECOND;
    request.header = TERN_PERF_HEADER_16; /* would have to announce how much there will be */
    assert_int_equal(tern_perf_run(perf, pw.world->now, &request), TERN_ERR_INVALID);
}

static void so_many_run_at_once(void **state)
{
    tern_err err = TERN_OK;
    size_t count = 0;
    (void)state;
    struct tern_perf_event event;
    struct tern_perf_request request = request_of(begin_asking(), 0, 1);
    pw.answer.hold = true;
    while (count <= TERN_PERF_RUNNING_MAX &&
           (err = tern_perf_run(perf, pw.world->now, &request)) == TERN_OK)
        count++;
    assert_int_equal(err, TERN_ERR_FULL);
    assert_int_equal(count, TERN_PERF_RUNNING_MAX);
    puppet_run(&pw, 11 * TERN_SECOND);
    for (size_t i = 0; i < TERN_PERF_RUNNING_MAX; i++) {
        assert_true(tern_perf_next(perf, &event));
        assert_int_equal(event.err, TERN_ERR_TIMEOUT);
    }
    ask(&request);
}

/* --- a client that misbehaves --- */

static void a_header_may_come_in_pieces(void **state)
{
    (void)state;
    begin_serving(defaults, TERN_PERF_HEADER_8);
    struct tern_stream stream = puppet_open(&pw, TERN_PERF_PROTOCOL, tern_view_str(""), false);
    struct tern_view header = number(70000);
    for (size_t i = 0; i < header.size; i++)
        puppet_say(&pw, stream, tern_view_part(header, i, 1));
    puppet_say(&pw, stream, some(3000));
    assert_int_equal(pw.puppet->received, 0); /* not before the end of the upload */
    puppet_end(&pw, stream);
    assert_int_equal(pw.puppet->received, 70000);
    expect_stream_end(TERN_OK, 0);
    assert_int_equal(puppet_faults_all(&pw), 0);
}

static void a_header_that_ends_in_its_middle_is_a_fault(void **state)
{
    (void)state;
    begin_serving(defaults, TERN_PERF_HEADER_8);
    puppet_open(&pw, TERN_PERF_PROTOCOL, tern_view_part(number(7), 0, HEADER_SIZE - 1), true);
    expect_stream_end(TERN_ERR_RESET, TERN_STREAM_CODE_VIOLATION);
    expect_fault(TERN_FAULT_PERF_HEADER);
}

static void a_huge_number_is_answered_up_to_the_limit(void **state)
{
    struct tern_perf_service_options options = defaults;
    (void)state;
    options.bytes_max = 3 * MIB;
    begin_serving(options, TERN_PERF_HEADER_8);
    puppet_open(&pw, TERN_PERF_PROTOCOL, number(UINT64_MAX), true);
    puppet_run(&pw, TERN_SECOND);
    assert_true(pw.puppet->received > MIB); /* a reset throws away what was still on its way */
    assert_true(pw.puppet->received <= options.bytes_max);
    expect_stream_end(TERN_ERR_RESET, TERN_STREAM_CODE_RESOURCE_LIMIT);
    puppet_open(&pw, TERN_PERF_PROTOCOL, number(options.bytes_max), true);
    puppet_run(&pw, TERN_SECOND);
    assert_int_equal(ends_count(), 2);
    assert_int_equal(test_find(pw.puppet, TERN_SWARM_STREAM_ENDED, 1)->event.err, TERN_OK);
    assert_int_equal(puppet_faults_all(&pw), 0);
}

static void an_upload_beyond_the_limit_is_reset(void **state)
{
    struct tern_perf_service_options options = defaults;
    (void)state;
    options.bytes_max = 1000;
    begin_serving(options, TERN_PERF_HEADER_8);
    struct tern_stream stream = puppet_open(&pw, TERN_PERF_PROTOCOL, number(1), false);
    puppet_say(&pw, stream, some(1000));
    assert_int_equal(ends_count(), 0);
    puppet_say(&pw, stream, some(1));
    expect_stream_end(TERN_ERR_RESET, TERN_STREAM_CODE_RESOURCE_LIMIT);
    assert_int_equal(puppet_faults_all(&pw), 0);
}

static void a_quiet_client_is_reset(void **state)
{
    (void)state;
    begin_serving(defaults, TERN_PERF_HEADER_8);
    struct tern_stream stream = puppet_open(&pw, TERN_PERF_PROTOCOL, number(1), false);
    puppet_run(&pw, 9 * TERN_SECOND);
    puppet_say(&pw, stream, some(1));
    puppet_run(&pw, 9 * TERN_SECOND);
    assert_int_equal(ends_count(), 0);
    puppet_run(&pw, 2 * TERN_SECOND);
    expect_stream_end(TERN_ERR_RESET, TERN_STREAM_CODE_RESOURCE_LIMIT);
    assert_int_equal(puppet_faults_all(&pw), 0);
}

static size_t streams_of_node(void)
{
    struct tern_connection_info info;
    struct tern_swarm *swarm = pw.node->swarm;
    tern_peer peer = tern_swarm_find_peer(swarm, &pw.puppet->id);
    assert_true(tern_swarm_connection_info(swarm, tern_swarm_connection_first(swarm, peer), &info));
    return info.streams_count;
}

static void an_answer_that_nobody_takes_is_given_up(void **state)
{
    (void)state;
    begin_serving(defaults, TERN_PERF_HEADER_8);
    struct tern_stream stream = puppet_open(&pw, TERN_PERF_PROTOCOL, number(UINT64_MAX), false);
    puppet_run(&pw, TERN_SECOND);
    assert_int_equal(pw.puppet->received, 0);
    TERN_IGNORE(tern_swarm_close_write(pw.puppet->swarm, stream));
    test_kick(pw.puppet); /* the end is under way, and the last that goes either way */
    test_silence(pw.node, pw.puppet);
    puppet_run(&pw, 9 * TERN_SECOND);
    assert_int_equal(streams_of_node(), 1);
    puppet_run(&pw, 2 * TERN_SECOND);
    assert_int_equal(streams_of_node(), 0);
}

static void so_many_are_served_to_one_peer(void **state)
{
    (void)state;
    begin_serving(defaults, TERN_PERF_HEADER_8);
    for (size_t i = 0; i < TERN_PERF_SERVED_PER_PEER; i++)
        puppet_open(&pw, TERN_PERF_PROTOCOL, number(1), false);
    assert_int_equal(ends_count(), 0);
    puppet_open(&pw, TERN_PERF_PROTOCOL, number(1), false);
    expect_stream_end(TERN_ERR_RESET, TERN_STREAM_CODE_RESOURCE_LIMIT);
}

static void so_many_are_served_in_all(void **state)
{
    struct tern_perf_service_options options = defaults;
    (void)state;
    options.streams_max = 1;
    begin_serving(options, TERN_PERF_HEADER_8);
    struct tern_stream first = puppet_open(&pw, TERN_PERF_PROTOCOL, number(1), false);
    puppet_open(&pw, TERN_PERF_PROTOCOL, number(1), true);
    expect_stream_end(TERN_ERR_RESET, TERN_STREAM_CODE_RESOURCE_LIMIT);
    puppet_end(&pw, first);
    assert_int_equal(pw.puppet->received, 1);
    puppet_open(&pw, TERN_PERF_PROTOCOL, number(2), true);
    assert_int_equal(pw.puppet->received, 3); /* the place is free again */
}

static void the_longer_header_is_answered_without_an_end(void **state)
{
    (void)state;
    begin_serving(defaults, TERN_PERF_HEADER_16);
    struct tern_stream stream = puppet_open(&pw, TERN_PERF_PROTOCOL, numbers(1500, 2500), false);
    puppet_say(&pw, stream, some(1000));
    assert_int_equal(pw.puppet->received, 0);
    puppet_say(&pw, stream, some(500));
    assert_int_equal(pw.puppet->received, 2500);
    puppet_end(&pw, stream);
    expect_stream_end(TERN_OK, 0);
    puppet_open(&pw, TERN_PERF_PROTOCOL, numbers(0, 7), false);
    assert_int_equal(pw.puppet->received, 2507);
    assert_int_equal(puppet_faults_all(&pw), 0);
}

static void fewer_than_announced_is_a_fault(void **state)
{
    (void)state;
    begin_serving(defaults, TERN_PERF_HEADER_16);
    puppet_open(&pw, TERN_PERF_PROTOCOL, numbers(1, 7), true);
    expect_stream_end(TERN_ERR_RESET, TERN_STREAM_CODE_VIOLATION);
    expect_fault(TERN_FAULT_PERF_SHORT);
}

static void more_than_announced_is_a_fault(void **state)
{
    (void)state;
    begin_serving(defaults, TERN_PERF_HEADER_16);
    struct tern_stream stream = puppet_open(&pw, TERN_PERF_PROTOCOL, numbers(10, 7), false);
    puppet_say(&pw, stream, some(11));
    expect_stream_end(TERN_ERR_RESET, TERN_STREAM_CODE_VIOLATION);
    expect_fault(TERN_FAULT_PERF_LONG);
}

/* --- serving, not serving, memory --- */

static void serving_can_end_and_begin_again(void **state)
{
    (void)state;
    begin_serving(defaults, TERN_PERF_HEADER_8);
    assert_int_equal(tern_perf_serve(perf, TERN_PERF_HEADER_8), TERN_ERR_EXISTS);
    puppet_open(&pw, TERN_PERF_PROTOCOL, number(1), false);
    tern_perf_unserve(perf);
    tern_perf_unserve(perf);
    puppet_run(&pw, TERN_SECOND);
    expect_stream_end(TERN_ERR_RESET, TERN_STREAM_CODE_SHUTDOWN);
    assert_ok(tern_perf_serve(perf, TERN_PERF_HEADER_16));
    puppet_open(&pw, TERN_PERF_PROTOCOL, numbers(0, 3), true);
    assert_int_equal(pw.puppet->received, 3);
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    struct tern_perf_event event;
    struct tern_perf_request request =
        request_of(begin_honest(TERN_PERF_HEADER_8), 3 * MIB, 100000);
    size_t failed = 0;
    for (uint64_t n = 1; n < 40; n++) {
        tern_mem_fail_at(&pw.node->mem, n, false);
        tern_err err = tern_perf_run(perf, pw.world->now, &request);
        puppet_run(&pw, 15 * TERN_SECOND);
        tern_mem_fail_at(&pw.node->mem, 0, false);
        size_t told = 0;
        for (; tern_perf_next(perf, &event); told++)
            failed += event.err != TERN_OK;
        assert_int_equal(told, err == TERN_OK);
        failed += err != TERN_OK;
        if (tern_swarm_find_peer(pw.node->swarm, &pw.puppet->id) == 0)
            request.peer = puppet_connect(&pw);
    }
    assert_true(failed > 0);
    ask(&request);
    puppet_run(&pw, TERN_SECOND);
    (void)expect_done(TERN_OK);
}

static void each_allocation_of_a_server_may_fail(void **state)
{
    (void)state;
    begin_serving(defaults, TERN_PERF_HEADER_8);
    for (uint64_t n = 1; n < 40; n++) {
        if (tern_swarm_find_peer(pw.puppet->swarm, &pw.node->id) == 0)
            (void)puppet_connect(&pw);
        tern_mem_fail_at(&pw.node->mem, n, false);
        puppet_open(&pw, TERN_PERF_PROTOCOL, number(200000), true);
        puppet_run(&pw, 15 * TERN_SECOND);
        tern_mem_fail_at(&pw.node->mem, 0, false);
    }
    if (tern_swarm_find_peer(pw.puppet->swarm, &pw.node->id) == 0)
        (void)puppet_connect(&pw);
    size_t before = pw.puppet->received;
    puppet_open(&pw, TERN_PERF_PROTOCOL, number(200000), true);
    puppet_run(&pw, TERN_SECOND);
    assert_int_equal(pw.puppet->received, before + 200000);
    assert_int_equal(tern_swarm_faults_weight(pw.node->swarm, pw.world->now, &pw.puppet->id), 0);
}

static void making_one_may_fail(void **state)
{
    struct tern_perf_service_options options = defaults;
    (void)state;
    options.mem = &pw.node->mem;
    tern_mem_fail_at(&pw.node->mem, 1, false);
    assert_int_equal(tern_perf_new(&options, pw.node->swarm, &perf), TERN_ERR_MEMORY);
    tern_mem_fail_at(&pw.node->mem, 0, false);
    perf = make_perf(pw.node, defaults);
    tern_mem_fail_at(&pw.node->mem, 1, false);
    assert_int_equal(tern_perf_serve(perf, TERN_PERF_HEADER_8), TERN_ERR_MEMORY);
    tern_mem_fail_at(&pw.node->mem, 0, false);
    assert_ok(tern_perf_serve(perf, TERN_PERF_HEADER_8));
}

int main(void)
{
#define PERF(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        PERF(both_ways_are_counted_and_timed),
        PERF(nothing_either_way_is_one_round_trip),
        PERF(an_upload_is_sent_by_reference),
        PERF(the_longer_header_is_spoken_and_served),
        PERF(a_duration_ends_the_upload),
        PERF(a_duration_ends_the_download),
        PERF(progress_is_told_at_most_once_an_interval),
        PERF(a_short_answer_is_a_fault),
        PERF(a_long_answer_is_a_fault),
        PERF(an_answer_to_who_wants_none_is_a_fault),
        PERF(an_answer_before_the_uploads_end_is_a_fault),
        PERF(an_end_before_the_uploads_end_is_a_fault),
        PERF(silence_is_a_time_out),
        PERF(an_upload_that_nobody_takes_is_a_time_out),
        PERF(a_server_that_does_not_end_its_side_has_answered),
        PERF(a_reset_and_a_peer_that_goes_end_it),
        PERF(who_does_not_serve_refuses_the_stream),
        PERF(a_request_must_make_sense),
        PERF(so_many_run_at_once),
        PERF(a_header_may_come_in_pieces),
        PERF(a_header_that_ends_in_its_middle_is_a_fault),
        PERF(a_huge_number_is_answered_up_to_the_limit),
        PERF(an_upload_beyond_the_limit_is_reset),
        PERF(a_quiet_client_is_reset),
        PERF(an_answer_that_nobody_takes_is_given_up),
        PERF(so_many_are_served_to_one_peer),
        PERF(so_many_are_served_in_all),
        PERF(the_longer_header_is_answered_without_an_end),
        PERF(fewer_than_announced_is_a_fault),
        PERF(more_than_announced_is_a_fault),
        PERF(serving_can_end_and_begin_again),
        PERF(each_allocation_may_fail),
        PERF(each_allocation_of_a_server_may_fail),
        PERF(making_one_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
