/*
 * What a remote may do wrong in HTTP/3 and WebTransport: each by its fault. Rows of one table are
 * done to a server, of the other to a client.
 */
#include "tern_test.h"
#include "webtransport/http3.h"
#include "webtransport/qpack.h"
#include "webtransport/webtransport_world.h"

#define PATH ":path: /.well-known/libp2p-webtransport?type=noise"

static struct web_world world;

static void say(struct web_puppet *puppet, tern_stream_id stream, const void *bytes, size_t size)
{
    web_puppet_say(puppet, stream, tern_view_of(bytes, size));
}

#define SAY(puppet, stream, ...)                                                                   \
    do {                                                                                           \
        static const uint8_t said[] = {__VA_ARGS__};                                               \
        say(puppet, stream, said, sizeof said);                                                    \
    } while (0)

static tern_stream_id one_way(struct web_puppet *puppet, uint8_t type)
{
    tern_stream_id stream = web_puppet_open(puppet, true);
    say(puppet, stream, &type, 1);
    return stream;
}

/* big says a head that announces more than the limit. */
static void big(struct web_puppet *puppet, tern_stream_id stream, uint64_t type, uint64_t length)
{
    uint8_t bytes[WEB_HEAD_SIZE_MAX];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_quic_number_write(&w, type);
    tern_quic_number_write(&w, length);
    web_puppet_say(puppet, stream, tern_writer_view(&w));
}

/* --- of the control stream --- */

static void no_settings(struct web_puppet *p)
{
    SAY(p, one_way(p, WEB_STREAM_CONTROL), 0x0d, 0x01, 0x00);
}

static void two_settings(struct web_puppet *p)
{
    SAY(p, web_puppet_settings(p), 0x04, 0x00);
}

static void settings_of_http2(struct web_puppet *p)
{
    SAY(p, one_way(p, WEB_STREAM_CONTROL), 0x04, 0x02, 0x03, 0x01);
}

static void settings_twice_the_same(struct web_puppet *p)
{
    SAY(p, one_way(p, WEB_STREAM_CONTROL), 0x04, 0x04, 0x06, 0x01, 0x06, 0x01);
}

static void settings_cut(struct web_puppet *p)
{
    SAY(p, one_way(p, WEB_STREAM_CONTROL), 0x04, 0x01, 0x06);
}

static void settings_of_no_truth(struct web_puppet *p)
{
    SAY(p, one_way(p, WEB_STREAM_CONTROL), 0x04, 0x02, 0x08, 0x02);
}

static void settings_too_large(struct web_puppet *p)
{
    big(p, one_way(p, WEB_STREAM_CONTROL), WEB_FRAME_SETTINGS, WEB_SETTINGS_SIZE_MAX + 1);
}

static void settings_that_end_within(struct web_puppet *p)
{
    tern_stream_id stream = one_way(p, WEB_STREAM_CONTROL);
    SAY(p, stream, 0x04, 0x04, 0x06);
    web_puppet_close(p, stream);
}

static void data_on_control(struct web_puppet *p)
{
    SAY(p, web_puppet_settings(p), 0x00, 0x00);
}

static void http2_on_control(struct web_puppet *p)
{
    SAY(p, web_puppet_settings(p), 0x06, 0x00);
}

static void control_that_closes(struct web_puppet *p)
{
    web_puppet_close(p, web_puppet_settings(p));
}

static void control_that_closes_at_once(struct web_puppet *p)
{
    web_puppet_close(p, one_way(p, WEB_STREAM_CONTROL));
}

static void control_that_is_reset(struct web_puppet *p)
{
    tern_stream_id stream = web_puppet_settings(p);
    web_world_run(&world, 50 * TERN_MILLISECOND);
    tern_quic_conn_reset(p->conn, stream, WEB_NO_ERROR);
}

static void control_that_ends_within_a_frame(struct web_puppet *p)
{
    tern_stream_id stream = web_puppet_settings(p);
    SAY(p, stream, 0x21, 0x05, 0x00);
    web_puppet_close(p, stream);
}

static void control_that_ends_within_a_head(struct web_puppet *p)
{
    tern_stream_id stream = web_puppet_settings(p);
    SAY(p, stream, 0x40);
    web_puppet_close(p, stream);
}

static void two_controls(struct web_puppet *p)
{
    (void)web_puppet_settings(p);
    (void)one_way(p, WEB_STREAM_CONTROL);
}

static void a_flood_of_grease(struct web_puppet *p)
{
    big(p, web_puppet_settings(p), 0x21, TERN_WEBTRANSPORT_SKIPPED_MAX);
}

/* --- of other one-way streams --- */

static void push(struct web_puppet *p)
{
    (void)one_way(p, WEB_STREAM_PUSH);
}

static void two_encoders(struct web_puppet *p)
{
    (void)one_way(p, WEB_STREAM_QPACK_ENCODER);
    (void)one_way(p, WEB_STREAM_QPACK_ENCODER);
}

static void encoder_that_fills_its_table(struct web_puppet *p)
{
    SAY(p, one_way(p, WEB_STREAM_QPACK_ENCODER), 0x3f, 0xe1, 0x1f);
}

static void encoder_that_closes(struct web_puppet *p)
{
    web_puppet_close(p, one_way(p, WEB_STREAM_QPACK_ENCODER));
}

static void decoder_that_confirms(struct web_puppet *p)
{
    SAY(p, one_way(p, WEB_STREAM_QPACK_DECODER), 0x80);
}

static void decoder_without_end(struct web_puppet *p)
{
    SAY(p, one_way(p, WEB_STREAM_QPACK_DECODER), 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff);
}

static void one_way_of_webtransport(struct web_puppet *p)
{
    tern_stream_id stream = web_puppet_open(p, true);
    SAY(p, stream, 0x40, 0x54, 0x00, 'x');
}

/* --- of requests --- */

static void send_request(struct web_puppet *p, const char *const *fields)
{
    (void)web_puppet_settings(p);
    (void)web_puppet_fields(p, TERN_STREAM_NONE, fields);
}

static void settings_on_a_request(struct web_puppet *p)
{
    SAY(p, web_puppet_open(p, false), 0x04, 0x00);
}

static void data_before_headers(struct web_puppet *p)
{
    SAY(p, web_puppet_open(p, false), 0x00, 0x01, 'x');
}

static void headers_that_do_not_decode(struct web_puppet *p)
{
    (void)web_puppet_settings(p);
    SAY(p, web_puppet_open(p, false), 0x01, 0x03, 0x00, 0x00, 0xff);
}

static void headers_of_the_dynamic_table(struct web_puppet *p)
{
    (void)web_puppet_settings(p);
    SAY(p, web_puppet_open(p, false), 0x01, 0x03, 0x02, 0x00, 0x80);
}

static void headers_of_nothing(struct web_puppet *p)
{
    (void)web_puppet_settings(p);
    SAY(p, web_puppet_open(p, false), 0x01, 0x00);
}

static void headers_that_end_within(struct web_puppet *p)
{
    (void)web_puppet_settings(p);
    tern_stream_id stream = web_puppet_open(p, false);
    SAY(p, stream, 0x01, 0x10, 0x00);
    web_puppet_close(p, stream);
}

static void a_request_of_nothing(struct web_puppet *p)
{
    tern_stream_id stream = web_puppet_open(p, false);
    SAY(p, stream, 0x21);
    web_puppet_close(p, stream);
}

static void a_request_of_grease(struct web_puppet *p)
{
    tern_stream_id stream = web_puppet_open(p, false);
    SAY(p, stream, 0x21, 0x00);
    web_puppet_close(p, stream);
}

static void headers_too_large(struct web_puppet *p)
{
    (void)web_puppet_settings(p);
    big(p, web_puppet_open(p, false), WEB_FRAME_HEADERS, WEB_FIELDS_SIZE_MAX + 1);
}

/* One byte each names a field of the static table with a long value. */
static void headers_that_swell(struct web_puppet *p)
{
    uint8_t bytes[4 + 2 + 600];
    memset(bytes, 0xc0 | 55, sizeof bytes); /* strict-transport-security: …, static 57 and near */
    bytes[0] = WEB_FRAME_HEADERS;
    bytes[1] = 0x42;
    bytes[2] = 0x5a; /* 602 */
    bytes[3] = 0x00;
    bytes[4] = 0x00;
    (void)web_puppet_settings(p);
    say(p, web_puppet_open(p, false), bytes, 3 + 602);
}

static void a_get(struct web_puppet *p)
{
    static const char *const fields[] = {":method: GET", ":scheme: https", ":authority: a", PATH,
                                         NULL};
    send_request(p, fields);
}

static void a_message_without_a_method(struct web_puppet *p)
{
    static const char *const fields[] = {":scheme: https", ":authority: a", PATH, NULL};
    send_request(p, fields);
}

static void many_gets(struct web_puppet *p)
{
    for (int i = 0; i <= TERN_WEBTRANSPORT_REQUESTS_MAX; i++) {
        if (i == 0)
            (void)web_puppet_settings(p);
        static const char *const fields[] = {":method: GET", ":scheme: https", ":path: /", NULL};
        (void)web_puppet_fields(p, TERN_STREAM_NONE, fields);
    }
}

static void two_sessions(struct web_puppet *p)
{
    (void)web_puppet_settings(p);
    (void)web_puppet_request(p);
    (void)web_puppet_request(p);
}

/* --- of sessions --- */

static tern_stream_id session(struct web_puppet *p)
{
    (void)web_puppet_settings(p);
    return web_puppet_request(p);
}

static void trailers(struct web_puppet *p)
{
    SAY(p, session(p), 0x01, 0x02, 0x00, 0x00);
}

static void a_capsule_too_short(struct web_puppet *p)
{
    SAY(p, session(p), 0x00, 0x06, 0x68, 0x43, 0x03, 0x00, 0x00, 0x00);
}

static void a_capsule_too_long(struct web_puppet *p)
{
    SAY(p, session(p), 0x00, 0x04, 0x68, 0x43, 0x44, 0x05);
}

static void a_capsule_that_ends_within(struct web_puppet *p)
{
    tern_stream_id stream = session(p);
    SAY(p, stream, 0x00, 0x03, 0x68, 0x43, 0x04);
    web_puppet_close(p, stream);
}

static void data_that_ends_within(struct web_puppet *p)
{
    tern_stream_id stream = session(p);
    SAY(p, stream, 0x00, 0x05, 0x29);
    web_puppet_close(p, stream);
}

static void capsules_without_end(struct web_puppet *p)
{
    static uint8_t bytes[64 * 1024];
    tern_stream_id stream = session(p);
    SAY(p, stream, 0x00, 0xa0, 0x00, 0x00, 0x00, 0x29, 0x9f, 0xff, 0xff, 0xff);
    for (int i = 0; i < 17; i++) {
        say(p, stream, bytes, sizeof bytes);
        web_world_run(&world, 50 * TERN_MILLISECOND);
        if (p->raw.mux.ops->error(p->raw.mux.self) != TERN_OK)
            return;
    }
}

static void a_session_that_cannot_be(struct web_puppet *p)
{
    (void)session(p);
    (void)web_puppet_stream(p, 1);
}

static void a_session_that_is_not(struct web_puppet *p)
{
    (void)session(p);
    (void)web_puppet_stream(p, 4);
}

static void many_that_wait(struct web_puppet *p)
{
    for (int i = 0; i <= TERN_WEBTRANSPORT_WAITING_MAX; i++)
        (void)web_puppet_stream(p, 400);
}

static void a_handshake_that_ends(struct web_puppet *p)
{
    (void)session(p);
    web_puppet_close(p, web_puppet_stream(p, 0));
}

static void a_handshake_that_is_reset(struct web_puppet *p)
{
    (void)session(p);
    tern_stream_id stream = web_puppet_stream(p, 0);
    web_world_run(&world, 50 * TERN_MILLISECOND);
    tern_quic_conn_reset(p->conn, stream, web_code_out(1));
}

static void a_handshake_that_is_not_noise(struct web_puppet *p)
{
    (void)session(p);
    SAY(p, web_puppet_stream(p, 0), 0x00, 0x01, 0x00);
}

struct row {
    const char *name;
    void (*attack)(struct web_puppet *puppet);
    tern_fault fault;
    uint64_t
        code; /* that the puppet's connection ends with; 0: it goes on, and the fault is noted */
};

#define ROW(name, fault, code) {#name, name, TERN_FAULT_WEBTRANSPORT_##fault, code}

static const struct row to_server[] = {
    ROW(no_settings, NO_SETTINGS, WEB_MISSING_SETTINGS),
    ROW(two_settings, FRAME_UNEXPECTED, WEB_FRAME_UNEXPECTED),
    ROW(settings_of_http2, SETTINGS, WEB_SETTINGS_ERROR),
    ROW(settings_twice_the_same, SETTINGS, WEB_SETTINGS_ERROR),
    ROW(settings_cut, SETTINGS, WEB_SETTINGS_ERROR),
    ROW(settings_of_no_truth, SETTINGS, WEB_SETTINGS_ERROR),
    ROW(settings_too_large, SETTINGS, WEB_SETTINGS_ERROR),
    ROW(settings_that_end_within, FRAME, WEB_FRAME_ERROR),
    ROW(data_on_control, FRAME_UNEXPECTED, WEB_FRAME_UNEXPECTED),
    ROW(http2_on_control, FRAME_UNEXPECTED, WEB_FRAME_UNEXPECTED),
    ROW(control_that_closes, CRITICAL_STREAM, WEB_CLOSED_CRITICAL_STREAM),
    ROW(control_that_closes_at_once, CRITICAL_STREAM, WEB_CLOSED_CRITICAL_STREAM),
    ROW(control_that_is_reset, CRITICAL_STREAM, WEB_CLOSED_CRITICAL_STREAM),
    ROW(control_that_ends_within_a_frame, FRAME, WEB_FRAME_ERROR),
    ROW(control_that_ends_within_a_head, FRAME, WEB_FRAME_ERROR),
    ROW(two_controls, STREAM, WEB_STREAM_CREATION_ERROR),
    ROW(a_flood_of_grease, SKIPPED, WEB_EXCESSIVE_LOAD),
    ROW(push, STREAM, WEB_STREAM_CREATION_ERROR),
    ROW(two_encoders, STREAM, WEB_STREAM_CREATION_ERROR),
    ROW(encoder_that_fills_its_table, QPACK_ENCODER, WEB_QPACK_ENCODER_STREAM_ERROR),
    ROW(encoder_that_closes, CRITICAL_STREAM, WEB_CLOSED_CRITICAL_STREAM),
    ROW(decoder_that_confirms, QPACK_DECODER, WEB_QPACK_DECODER_STREAM_ERROR),
    ROW(decoder_without_end, QPACK_DECODER, WEB_QPACK_DECODER_STREAM_ERROR),
    ROW(one_way_of_webtransport, ONE_WAY, 0),
    ROW(settings_on_a_request, FRAME_UNEXPECTED, WEB_FRAME_UNEXPECTED),
    ROW(data_before_headers, FRAME_UNEXPECTED, WEB_FRAME_UNEXPECTED),
    ROW(headers_that_do_not_decode, QPACK, WEB_QPACK_DECOMPRESSION_FAILED),
    ROW(headers_of_the_dynamic_table, QPACK, WEB_QPACK_DECOMPRESSION_FAILED),
    ROW(headers_of_nothing, QPACK, WEB_QPACK_DECOMPRESSION_FAILED),
    ROW(headers_that_end_within, FRAME, WEB_FRAME_ERROR),
    ROW(a_request_of_nothing, STREAM_CUT, 0),
    ROW(a_request_of_grease, STREAM_CUT, 0),
    ROW(headers_too_large, FIELDS_TOO_LARGE, 0),
    ROW(headers_that_swell, FIELDS_TOO_LARGE, 0),
    ROW(a_get, REQUEST, 0),
    ROW(a_message_without_a_method, FIELDS, 0),
    ROW(many_gets, REQUEST_FLOOD, WEB_EXCESSIVE_LOAD),
    ROW(two_sessions, SECOND_SESSION, 0),
    ROW(trailers, FRAME_UNEXPECTED, WEB_FRAME_UNEXPECTED),
    ROW(a_capsule_too_short, CAPSULE, WEB_MESSAGE_ERROR),
    ROW(a_capsule_too_long, CAPSULE, WEB_MESSAGE_ERROR),
    ROW(a_capsule_that_ends_within, CAPSULE, WEB_MESSAGE_ERROR),
    ROW(data_that_ends_within, FRAME, WEB_FRAME_ERROR),
    ROW(capsules_without_end, SKIPPED, WEB_EXCESSIVE_LOAD),
    ROW(a_session_that_cannot_be, SESSION_ID, WEB_ID_ERROR),
    ROW(a_session_that_is_not, UNKNOWN_SESSION, 0),
    ROW(many_that_wait, WAITING, 0),
    ROW(a_handshake_that_ends, HANDSHAKE_CUT, WEB_NO_ERROR),
    ROW(a_handshake_that_is_reset, HANDSHAKE_CUT, WEB_NO_ERROR),
    {"a_handshake_that_is_not_noise", a_handshake_that_is_not_noise, TERN_FAULT_NOISE_MESSAGE_SHORT,
     WEB_NO_ERROR},
};

/* --- to a client --- */

/* request_of is the client's request: stream 0; its handshake is 4. */
static tern_stream_id stream_of(struct web_puppet *p, int64_t wire)
{
    const struct quic_seen *seen = quic_host_last(world.b);
    web_world_run(&world, 100 * TERN_MILLISECOND);
    for (size_t i = 0; i < seen->log_count; i++)
        if (seen->log[i].stream != TERN_STREAM_NONE &&
            tern_quic_conn_wire_id(p->conn, seen->log[i].stream) == wire)
            return seen->log[i].stream;
    fail_msg("there is no stream %d", (int)wire);
    return TERN_STREAM_NONE;
}

static void a_stream_of_no_session(struct web_puppet *p)
{
    (void)web_puppet_stream(p, 1);
}

static void a_server_without_webtransport(struct web_puppet *p)
{
    SAY(p, one_way(p, WEB_STREAM_CONTROL), 0x04, 0x02, 0x08, 0x01);
}

static void a_server_without_connect(struct web_puppet *p)
{
    SAY(p, one_way(p, WEB_STREAM_CONTROL), 0x04, 0x05, 0xab, 0x60, 0x37, 0x42, 0x01);
}

static void a_server_that_requests(struct web_puppet *p)
{
    SAY(p, web_puppet_open(p, false), 0x01, 0x00);
}

static void answer(struct web_puppet *p, const char *status)
{
    const char *const fields[] = {status, NULL};
    (void)web_puppet_settings(p);
    (void)web_puppet_fields(p, stream_of(p, 0), fields);
}

static void not_found(struct web_puppet *p)
{
    answer(p, ":status: 404");
}

static void a_redirect(struct web_puppet *p)
{
    answer(p, ":status: 301");
}

static void no_status(struct web_puppet *p)
{
    answer(p, "server: tern");
}

static void a_status_of_letters(struct web_puppet *p)
{
    answer(p, ":status: 2xx");
}

static void an_answer_too_large(struct web_puppet *p)
{
    (void)web_puppet_settings(p);
    big(p, stream_of(p, 0), WEB_FRAME_HEADERS, WEB_FIELDS_SIZE_MAX + 1);
}

static void an_answer_that_does_not_decode(struct web_puppet *p)
{
    (void)web_puppet_settings(p);
    SAY(p, stream_of(p, 0), 0x01, 0x03, 0x00, 0x00, 0xff);
}

static void data_before_the_answer(struct web_puppet *p)
{
    (void)web_puppet_settings(p);
    SAY(p, stream_of(p, 0), 0x00, 0x00);
}

static void two_answers(struct web_puppet *p)
{
    static const char *const fields[] = {":status: 200", NULL};
    answer(p, ":status: 200");
    (void)web_puppet_fields(p, stream_of(p, 0), fields);
}

static void no_answer(struct web_puppet *p)
{
    (void)web_puppet_settings(p);
    web_puppet_close(p, stream_of(p, 0));
}

static void an_answer_that_is_a_reset(struct web_puppet *p)
{
    (void)web_puppet_settings(p);
    tern_quic_conn_reset(p->conn, stream_of(p, 0), WEB_REQUEST_REJECTED);
}

static void no_handshake(struct web_puppet *p)
{
    answer(p, ":status: 200");
    web_puppet_close(p, stream_of(p, 4));
}

/* The handshake is right, but for the hashes that it does not show. */
static void a_handshake_without_hashes(struct web_puppet *p)
{
    uint8_t head[3];
    answer(p, ":status: 200");
    tern_stream_id stream = stream_of(p, 4);
    assert_int_equal(web_puppet_read(p, stream, (struct tern_span){head, 3}), 3);
    web_puppet_noise(&world, stream, 0);
    (void)web_puppet_shake(p, world.w.world.now);
}

static const struct row to_client[] = {
    ROW(no_settings, NO_SETTINGS, WEB_MISSING_SETTINGS),
    ROW(control_that_closes, CRITICAL_STREAM, WEB_CLOSED_CRITICAL_STREAM),
    ROW(push, STREAM, WEB_STREAM_CREATION_ERROR),
    ROW(one_way_of_webtransport, ONE_WAY, 0),
    ROW(many_that_wait, WAITING, 0),
    ROW(a_stream_of_no_session, SESSION_ID, WEB_ID_ERROR),
    ROW(a_server_without_webtransport, UNSUPPORTED, WEB_NO_ERROR),
    ROW(a_server_without_connect, UNSUPPORTED, WEB_NO_ERROR),
    ROW(a_server_that_requests, STREAM, WEB_STREAM_CREATION_ERROR),
    ROW(not_found, REFUSED, WEB_NO_ERROR),
    ROW(a_redirect, REFUSED, WEB_NO_ERROR),
    ROW(no_status, FIELDS, WEB_MESSAGE_ERROR),
    ROW(a_status_of_letters, FIELDS, WEB_MESSAGE_ERROR),
    ROW(an_answer_too_large, FIELDS_TOO_LARGE, WEB_EXCESSIVE_LOAD),
    ROW(an_answer_that_does_not_decode, QPACK, WEB_QPACK_DECOMPRESSION_FAILED),
    ROW(data_before_the_answer, FRAME_UNEXPECTED, WEB_FRAME_UNEXPECTED),
    ROW(two_answers, FRAME_UNEXPECTED, WEB_FRAME_UNEXPECTED),
    ROW(no_answer, STREAM_CUT, WEB_NO_ERROR),
    ROW(an_answer_that_is_a_reset, REFUSED, WEB_NO_ERROR),
    ROW(no_handshake, HANDSHAKE_CUT, WEB_NO_ERROR),
    {"a_handshake_without_hashes", a_handshake_without_hashes, TERN_FAULT_NOISE_CERTHASH_MISSING,
     WEB_NO_ERROR},
};

/* --- running --- */

static void run_row(const struct row *row, enum web_puppets puppets)
{
    const struct web_world_options options = {.puppets = puppets};
    web_world_init(&world, &options);
    web_world_attach(&world);
    struct quic_host *host = puppets == WEB_PUPPET_DIALS ? world.b : world.a;
    row->attack(&world.puppet);
    web_world_run(&world, TERN_SECOND);
    struct quic_seen *seen = quic_host_last(host);
    struct quic_seen *of_puppet = quic_host_last(host == world.a ? world.b : world.a);
    tern_fault fault = seen->session.mux.ops->fault(seen->session.mux.self);
    print_message("             %s\n", row->name);
    if (row->code == 0) {
        assert_int_equal(quic_seen_error(seen), TERN_OK);
        assert_int_equal(host->metrics.faults[row->fault], 1);
    } else {
        assert_int_equal(fault, row->fault);
        assert_true(quic_seen_error(seen) != TERN_OK);
        assert_int_equal(quic_seen_error(of_puppet), TERN_ERR_CLOSED);
        assert_int_equal(quic_seen_event(of_puppet, TERN_MUX_GOAWAY).code, row->code);
    }
    assert_int_equal(quic_seen_count(seen, TERN_MUX_ESTABLISHED), 0);
    web_world_fini(&world);
}

static void faults_of_clients(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(to_server); i++)
        run_row(&to_server[i], WEB_PUPPET_DIALS);
}

static void faults_of_servers(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(to_client); i++)
        run_row(&to_client[i], WEB_PUPPET_SERVES);
}

static void requests_are_answered(void **state)
{
    static const struct {
        const char *const fields[6];
        const char *status;
    } rows[] = {
        {{":method: GET", ":scheme: https", ":authority: a", PATH}, "405"},
        {{":method: GET", ":scheme: https", ":authority: a", ":path: /"}, "404"},
        {{":method: CONNECT", ":authority: a:1"}, "501"},
        {{":method: CONNECT", ":protocol: websocket", ":scheme: https", ":authority: a", PATH},
         "501"},
        {{":method: CONNECT", ":protocol: webtransport", ":scheme: https", ":authority: a",
          ":path: /other?type=noise"},
         "404"},
        {{":method: CONNECT", ":protocol: webtransport", ":scheme: https", ":authority: a",
          ":path: /.well-known/libp2p-webtransport"},
         "400"},
        {{":method: CONNECT", ":protocol: webtransport", ":scheme: https", ":authority: a",
          PATH "&type=noise"},
         "400"},
        {{":method: CONNECT", ":protocol: webtransport", ":scheme: http", ":authority: a", PATH},
         "400"},
    };
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++) {
        const struct web_world_options options = {.puppets = WEB_PUPPET_DIALS};
        uint8_t bytes[64];
        uint8_t expected[64];
        web_world_init(&world, &options);
        web_world_attach(&world);
        (void)web_puppet_settings(&world.puppet);
        tern_stream_id stream = web_puppet_fields(&world.puppet, TERN_STREAM_NONE, rows[i].fields);
        web_world_run(&world, 100 * TERN_MILLISECOND);
        size_t size = web_puppet_read(&world.puppet, stream, (struct tern_span){bytes, 64});
        assert_true(size > 0);
        struct tern_mem mem;
        tern_mem_init(&mem, 0);
        const struct web_field status = {":status", tern_view_str(rows[i].status)};
        struct tern_writer w = tern_writer_of(expected, sizeof expected);
        assert_ok(web_qpack_encode(&mem, &status, 1, &w));
        tern_mem_fini(&mem);
        assert_int_equal(bytes[0], WEB_FRAME_HEADERS);
        assert_int_equal(size, w.size + 2);
        assert_memory_equal(bytes + 2, expected, w.size);
        assert_int_equal(world.puppet.raw.mux.ops->read(world.puppet.raw.mux.self, stream,
                                                        &(struct tern_slice){0}),
                         TERN_ERR_END);
        assert_int_equal(world.b->metrics.faults[TERN_FAULT_WEBTRANSPORT_REQUEST], 1);
        web_world_fini(&world);
    }
}

static void certificates_that_do_not_hold(void **state)
{
    static const struct {
        tern_time since_ns;
        tern_time for_ns;
        tern_fault fault;
    } rows[] = {
        {14 * 24 * TERN_HOUR, 12 * 24 * TERN_HOUR, TERN_FAULT_CERTIFICATE_EXPIRED},
        {TERN_HOUR, 14 * 24 * TERN_HOUR + TERN_SECOND, TERN_FAULT_CERTIFICATE_LONG_LIVED},
    };
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++) {
        const struct web_world_options options = {.puppets = WEB_PUPPET_SERVES,
                                                  .valid_since_ns = rows[i].since_ns,
                                                  .valid_for_ns = rows[i].for_ns};
        web_world_init(&world, &options);
        struct quic_seen *a = web_world_dial(&world, &(struct web_dial){.expected = NULL});
        web_world_run(&world, TERN_SECOND);
        assert_int_equal(a->session.mux.ops->fault(a->session.mux.self), rows[i].fault);
        assert_null(world.puppet.conn);
        web_world_fini(&world);
    }
}

/* who dials by these hashes of b's, and one more, hears of a fault. */
static void dial_by(const uint8_t *first, const uint8_t *second, tern_fault fault)
{
    web_world_init(&world, &(struct web_world_options){.mute = false});
    const struct tern_view hashes[] = {tern_view_of(first, 34), tern_view_of(second, 34)};
    struct quic_seen *a =
        web_world_dial(&world, &(struct web_dial){.certhashes = hashes, .certhashes_count = 2});
    web_world_run(&world, TERN_SECOND);
    assert_int_equal(a->session.mux.ops->fault(a->session.mux.self), fault);
    assert_int_equal(quic_seen_count(a, TERN_MUX_ESTABLISHED), 0);
    web_world_fini(&world);
}

static void hashes_that_do_not_hold(void **state)
{
    uint8_t wrong[34];
    const struct tern_webtransport_certhashes *good = web_testing_certhashes(2);
    (void)state;
    memcpy(wrong, good->multihashes[0], sizeof wrong);
    wrong[20] ^= 1;
    /* The one in use is not among them; and one that the server does not know is. */
    dial_by(wrong, good->multihashes[1], TERN_FAULT_CERTIFICATE_NOT_LISTED);
    dial_by(good->multihashes[0], wrong, TERN_FAULT_NOISE_CERTHASH_MISSING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_of_clients),       cmocka_unit_test(faults_of_servers),
        cmocka_unit_test(requests_are_answered),   cmocka_unit_test(certificates_that_do_not_hold),
        cmocka_unit_test(hashes_that_do_not_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
