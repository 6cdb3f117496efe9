/*
 * The public API against real sockets on loopback: two hosts, threaded and embedded.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tern/tern.h"

enum { WAIT_MS = 20000 };

#define ASSERT_OK(expression) assert_int_equal((expression), TERN_OK)

struct pair {
    struct tern_host *a;
    struct tern_host *b;
    char address[TERN_ADDRESS_TEXT_SIZE]; /* of a */
    struct tern_event event;
};

/* Draws events until one of the kind comes; others are dropped. */
static struct tern_event *wait_for(struct pair *p, struct tern_host *host,
                                   enum tern_event_kind kind)
{
    while (tern_host_next_event(host, &p->event, WAIT_MS) == TERN_OK)
        if (p->event.kind == kind)
            return &p->event;
    fail_msg("event %d did not come", (int)kind);
    return &p->event;
}

static struct tern_host *host_new(enum tern_key_kind kind)
{
    struct tern_host_options options;
    struct tern_host *host = NULL;
    char message[256] = "";
    tern_host_options_init(&options);
    options.key_kind = kind;
    options.serve_perf = TERN_PERF_SERVING_STANDARD;
    if (tern_host_new(&options, &host, message, sizeof message) != TERN_OK)
        fail_msg("%s", message);
    return host;
}

static void pair_connect(struct pair *p)
{
    uint64_t token;
    ASSERT_OK(tern_host_listen(p->a, "/ip4/127.0.0.1/tcp/0"));
    wait_for(p, p->a, TERN_EVENT_LISTENING);
    ASSERT_OK(tern_host_address(p->a, 0, p->address, sizeof p->address));
    ASSERT_OK(tern_host_dial(p->b, p->address, &token));
    assert_int_equal(wait_for(p, p->b, TERN_EVENT_DIALED)->token, token);
    assert_string_equal(p->event.peer, tern_host_peer_id(p->a));
}

/* Both hosts run on threads of their own: either side's events can be waited for in any order. */
static int setup(void **state)
{
    struct pair *p = calloc(1, sizeof *p);
    assert_non_null(p);
    p->a = host_new(TERN_KEY_KIND_ED25519);
    p->b = host_new(TERN_KEY_KIND_SECP256K1);
    ASSERT_OK(tern_host_handle(p->a, "/test/echo/1"));
    ASSERT_OK(tern_host_serve(p->a, "/test/ask/1"));
    ASSERT_OK(tern_host_start(p->a));
    ASSERT_OK(tern_host_start(p->b));
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct pair *p = *state;
    tern_host_free(p->a);
    tern_host_free(p->b);
    free(p);
    return 0;
}

static void two_hosts_connect_and_know_each_other(void **state)
{
    struct pair *p = *state;
    char peer[TERN_PEER_TEXT_SIZE];
    struct tern_peer_info info;
    pair_connect(p);
    assert_string_equal(wait_for(p, p->a, TERN_EVENT_PEER_CONNECTED)->peer,
                        tern_host_peer_id(p->b));
    ASSERT_OK(tern_host_peer(p->a, 0, peer));
    assert_string_equal(peer, tern_host_peer_id(p->b));
    assert_int_equal(tern_host_peer(p->a, 1, peer), TERN_ERR_NOT_FOUND);
    ASSERT_OK(wait_for(p, p->b, TERN_EVENT_IDENTIFIED)->err);
    ASSERT_OK(tern_host_peer_info(p->b, tern_host_peer_id(p->a), &info));
    assert_string_equal(info.agent, "tern/" TERN_VERSION);
    assert_true(info.signed_record);
    assert_true(info.protocols_count >= 5);
    assert_true(strncmp(info.observed_address, "/ip4/127.0.0.1/tcp/", 19) == 0);
}

static void connections_say_how_they_are_made(void **state)
{
    struct pair *p = *state;
    struct tern_host_connection_info info = {.size = sizeof info};
    assert_int_equal(tern_host_connection(p->a, 0, &info), TERN_ERR_NOT_FOUND);
    pair_connect(p);
    const struct tern_event *event = wait_for(p, p->a, TERN_EVENT_PEER_CONNECTED);
    assert_string_equal(event->transport, "tcp");
    assert_string_equal(event->secure, "noise");
    assert_string_equal(event->muxer, "yamux");
    assert_string_equal(wait_for(p, p->a, TERN_EVENT_IDENTIFIED)->transport, "");
    ASSERT_OK(tern_host_connection(p->b, 0, &info));
    assert_string_equal(info.peer, tern_host_peer_id(p->a));
    assert_true(strncmp(p->address, info.address, strlen(info.address)) == 0);
    assert_string_equal(info.transport, "tcp");
    assert_string_equal(info.secure, "noise");
    assert_string_equal(info.muxer, "yamux");
    assert_true(info.outbound && info.age_ns > 0 && info.bytes_in > 0 && info.bytes_out > 0);
    assert_int_equal(tern_host_connection(p->b, 1, &info), TERN_ERR_NOT_FOUND);
    info.size--;
    assert_int_equal(tern_host_connection(p->b, 0, &info), TERN_ERR_INVALID);
    info.size = sizeof info + 1;
    assert_int_equal(tern_host_connection(p->b, 0, &info), TERN_ERR_INVALID);
}

static void a_ping_comes_back(void **state)
{
    struct pair *p = *state;
    uint64_t token;
    pair_connect(p);
    ASSERT_OK(tern_host_ping(p->b, tern_host_peer_id(p->a), &token));
    struct tern_event *event = wait_for(p, p->b, TERN_EVENT_PING);
    ASSERT_OK(event->err);
    assert_int_equal(event->token, token);
    assert_true(event->rtt_ns > 0);
}

/* a sends back what it reads, in pieces of whatever size comes. */
static void serve_echo(struct pair *p, tern_stream_handle stream)
{
    uint8_t bytes[16384];
    size_t got = 0;
    size_t done = 0;
    for (;;) {
        while (done < got) {
            size_t accepted;
            ASSERT_OK(tern_stream_write(p->a, stream, bytes + done, got - done, &accepted));
            done += accepted;
            if (done < got)
                wait_for(p, p->a, TERN_EVENT_STREAM_WRITABLE);
        }
        done = 0;
        tern_err err = tern_stream_read(p->a, stream, bytes, sizeof bytes, &got);
        if (err == TERN_ERR_AGAIN)
            wait_for(p, p->a, TERN_EVENT_STREAM_READABLE);
        else if (err == TERN_ERR_END)
            break;
        else
            ASSERT_OK(err);
    }
    ASSERT_OK(tern_stream_close_write(p->a, stream));
}

static void a_measurement_counts_and_times_both_ways(void **state)
{
    struct pair *p = *state;
    uint64_t token;
    pair_connect(p);
    struct tern_perf_options options = {.size = sizeof options,
                                        .peer = tern_host_peer_id(p->a),
                                        .upload_bytes = 3 << 20,
                                        .download_bytes = 2 << 20,
                                        .timeout_ms = WAIT_MS};
    ASSERT_OK(tern_host_perf(p->b, &options, &token));
    const struct tern_event *event = wait_for(p, p->b, TERN_EVENT_PERF);
    ASSERT_OK(event->err);
    assert_int_equal(event->token, token);
    assert_string_equal(event->peer, tern_host_peer_id(p->a));
    assert_int_equal(event->perf->uploaded_bytes, 3 << 20);
    assert_int_equal(event->perf->downloaded_bytes, 2 << 20);
    assert_true(event->perf->answered_ns >= event->perf->uploaded_ns);
    assert_true(event->perf->ended_ns >= event->perf->answered_ns);
    assert_true(event->perf->elapsed_ns >= event->perf->ended_ns);
}

static void a_measurement_by_time_tells_of_its_progress(void **state)
{
    struct pair *p = *state;
    pair_connect(p);
    struct tern_perf_options options = {.size = sizeof options,
                                        .peer = tern_host_peer_id(p->a),
                                        .download_bytes = UINT64_MAX,
                                        .timeout_ms = WAIT_MS,
                                        .duration_ms = 100,
                                        .progress_ms = 10};
    ASSERT_OK(tern_host_perf(p->b, &options, NULL));
    assert_non_null(wait_for(p, p->b, TERN_EVENT_PERF_PROGRESS)->perf);
    const struct tern_event *event = wait_for(p, p->b, TERN_EVENT_PERF);
    ASSERT_OK(event->err);
    assert_true(event->perf->downloaded_bytes > 0);
}

static void a_measurement_must_make_sense(void **state)
{
    struct pair *p = *state;
    struct tern_perf_options good = {
        .size = sizeof good, .peer = tern_host_peer_id(p->a), .timeout_ms = WAIT_MS};
    assert_int_equal(tern_host_perf(p->b, &good, NULL), TERN_ERR_NOT_FOUND);
    pair_connect(p);
    struct tern_perf_options bad[] = {good, good, good, good, good, good, good, good};
    bad[0].size--;
    bad[1].size++;
    bad[2].peer = NULL;
    bad[3].timeout_ms = 0;
    bad[4].duration_ms = -1;
    bad[5].progress_ms = -1;
    bad[6].serving = (enum tern_perf_serving)3;
    bad[7].peer = "nobody";
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(tern_host_perf(p->b, &bad[i], NULL), TERN_ERR_INVALID);
}

/* --- dials, explained --- */

static void a_dial_tells_what_it_tried(void **state)
{
    struct pair *p = *state;
    struct tern_dial_attempt_info info = {.size = sizeof info};
    uint64_t token;
    ASSERT_OK(tern_host_listen(p->a, "/ip4/127.0.0.1/tcp/0"));
    wait_for(p, p->a, TERN_EVENT_LISTENING);
    ASSERT_OK(tern_host_address(p->a, 0, p->address, sizeof p->address));
    ASSERT_OK(tern_host_dial(p->b, p->address, &token));
    wait_for(p, p->b, TERN_EVENT_DIALED);
    ASSERT_OK(tern_host_dial_attempts(p->b, token, 0, &info));
    assert_memory_equal(info.address, p->address, strlen(info.address)); /* without /p2p */
    assert_true(strncmp(info.address, "/ip4/127.0.0.1/tcp/", 19) == 0);
    assert_string_equal(info.transport, "tcp");
    ASSERT_OK(info.err);
    assert_int_equal(info.started_ns, 0);
    assert_true(info.linked_ns >= 0 && info.ended_ns >= info.linked_ns);
    assert_string_equal(info.refusal, "");
    assert_int_equal(tern_host_dial_attempts(p->b, token, 1, &info), TERN_ERR_NOT_FOUND);
    assert_int_equal(tern_host_dial_attempts(p->b, token + 1, 0, &info), TERN_ERR_NOT_FOUND);
    info.size--;
    assert_int_equal(tern_host_dial_attempts(p->b, token, 0, &info), TERN_ERR_INVALID);
}

static void a_dial_that_failed_tells_why(void **state)
{
    struct pair *p = *state;
    struct tern_dial_attempt_info info = {.size = sizeof info};
    uint64_t token;
    ASSERT_OK(tern_host_dial(p->b, "/ip4/127.0.0.1/tcp/1", &token));
    assert_int_equal(wait_for(p, p->b, TERN_EVENT_DIAL_FAILED)->token, token);
    ASSERT_OK(tern_host_dial_attempts(p->b, token, 0, &info));
    assert_string_equal(info.address, "/ip4/127.0.0.1/tcp/1");
    assert_int_equal(info.err, TERN_ERR_REFUSED);
    assert_int_equal(info.linked_ns, -1);
    assert_true(info.ended_ns >= 0);
}

/* --- ways to connect --- */

static tern_err new_with(const struct tern_host_options *options, char message[256])
{
    struct tern_host *host = NULL;
    message[0] = '\0';
    tern_err err = tern_host_new(options, &host, message, 256);
    tern_host_free(host);
    return err;
}

static void a_key_of_no_private_network_is_refused(void **state)
{
    static const char good[] = "/key/swarm/psk/1.0.0/\n/base64/\n"
                               "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n";
    char message[256];
    struct tern_host_options options;
    (void)state;
    tern_host_options_init(&options);
    options.psk = (const uint8_t *)good;
    options.psk_size = sizeof good - 1;
    ASSERT_OK(new_with(&options, message));
    options.psk_size -= 5;
    assert_int_equal(new_with(&options, message), TERN_ERR_MALFORMED);
    assert_true(strncmp(message, "psk is no private network's key file", 36) == 0);
}

static void a_way_that_is_not_here_is_refused_with_a_list(void **state)
{
    char message[256];
    struct tern_host_options options;
    (void)state;
    tern_host_options_init(&options);
    options.transports = "tcp,pigeon";
    assert_int_equal(new_with(&options, message), TERN_ERR_UNSUPPORTED);
    assert_true(strncmp(message, "transports: there is no \"pigeon\" here; there is tcp", 51) == 0);
    options.transports = "tcp";
    options.muxers = "";
    assert_int_equal(new_with(&options, message), TERN_ERR_INVALID);
    options.muxers = "yamux";
    options.secure = "none";
    assert_int_equal(new_with(&options, message), TERN_ERR_UNSUPPORTED);
    options.secure = "plaintext,noise";
    ASSERT_OK(new_with(&options, message));
    options.serve_perf = (enum tern_perf_serving)7;
    assert_int_equal(new_with(&options, message), TERN_ERR_INVALID);
    assert_non_null(strstr(message, "serve_perf"));
}

static void who_have_no_way_in_common_do_not_connect(void **state)
{
    struct pair *p = *state;
    struct tern_host_options options;
    struct tern_host *other;
    tern_host_options_init(&options);
    options.secure = "plaintext";
    ASSERT_OK(tern_host_new(&options, &other, NULL, 0));
    ASSERT_OK(tern_host_start(other));
    ASSERT_OK(tern_host_listen(p->a, "/ip4/127.0.0.1/tcp/0"));
    wait_for(p, p->a, TERN_EVENT_LISTENING);
    ASSERT_OK(tern_host_address(p->a, 0, p->address, sizeof p->address));
    ASSERT_OK(tern_host_dial(other, p->address, NULL));
    assert_int_equal(wait_for(p, other, TERN_EVENT_DIAL_FAILED)->err, TERN_ERR_NO_PROTOCOL);
    tern_host_free(other);
}

/* A program that was built when the structure ended before the ways to connect. */
static void an_older_programs_options_are_understood(void **state)
{
    char message[256];
    struct tern_host_options options;
    size_t size = offsetof(struct tern_host_options, transports);
    (void)state;
    memset(&options, 0xff, sizeof options);
    tern_host_options_init_sized(&options, size);
    assert_int_equal(options.size, size);
    assert_int_equal(((const uint8_t *)&options)[size], 0xff); /* not its own any more */
    ASSERT_OK(new_with(&options, message));
    options.size = sizeof options + 1;
    assert_int_equal(new_with(&options, message), TERN_ERR_INVALID);
}

static void a_stream_echoes_and_ends_in_good_order(void **state)
{
    struct pair *p = *state;
    tern_stream_handle stream;
    char back[32];
    size_t n;
    pair_connect(p);
    ASSERT_OK(tern_stream_open(p->b, tern_host_peer_id(p->a), "/test/echo/1", &stream));
    ASSERT_OK(tern_stream_write(p->b, stream, "hello", 5, &n));
    assert_int_equal(n, 5);
    ASSERT_OK(tern_stream_close_write(p->b, stream));
    struct tern_event *opened = wait_for(p, p->a, TERN_EVENT_STREAM_OPENED);
    assert_string_equal(opened->text, "/test/echo/1");
    serve_echo(p, opened->stream);
    wait_for(p, p->b, TERN_EVENT_STREAM_READABLE);
    ASSERT_OK(tern_stream_read(p->b, stream, back, sizeof back, &n));
    assert_int_equal(n, 5);
    assert_memory_equal(back, "hello", 5);
    struct tern_event *ended = wait_for(p, p->b, TERN_EVENT_STREAM_ENDED);
    assert_int_equal(ended->stream, stream);
    ASSERT_OK(ended->err);
    assert_int_equal(tern_stream_read(p->b, stream, back, sizeof back, &n), TERN_ERR_STALE);
}

static void a_protocol_that_nobody_speaks_is_refused(void **state)
{
    struct pair *p = *state;
    tern_stream_handle stream;
    pair_connect(p);
    ASSERT_OK(tern_stream_open(p->b, tern_host_peer_id(p->a), "/test/nobody/1", &stream));
    struct tern_event *ended = wait_for(p, p->b, TERN_EVENT_STREAM_ENDED);
    assert_int_equal(ended->stream, stream);
    assert_int_equal(ended->err, TERN_ERR_NO_PROTOCOL);
}

static void a_request_is_answered(void **state)
{
    struct pair *p = *state;
    uint64_t token;
    pair_connect(p);
    struct tern_request_options request = {.size = sizeof request,
                                           .peer = tern_host_peer_id(p->a),
                                           .protocol = "/test/ask/1",
                                           .data = "question",
                                           .data_size = 8,
                                           .timeout_ms = WAIT_MS};
    ASSERT_OK(tern_host_request(p->b, &request, &token));
    struct tern_event *asked = wait_for(p, p->a, TERN_EVENT_REQUEST);
    assert_string_equal(asked->text, "/test/ask/1");
    assert_int_equal(asked->data_size, 8);
    assert_memory_equal(asked->data, "question", 8);
    struct tern_answer_options answer = {
        .size = sizeof answer, .code = 7, .reason = "because", .data = "answer", .data_size = 6};
    tern_host_answer(p->a, asked->request, &answer);
    struct tern_event *told = wait_for(p, p->b, TERN_EVENT_RESPONSE);
    ASSERT_OK(told->err);
    assert_int_equal(told->token, token);
    assert_int_equal(told->code, 7);
    assert_string_equal(told->text, "because");
    assert_memory_equal(told->data, "answer", 6);
}

static void a_request_that_is_not_answered_times_out(void **state)
{
    struct pair *p = *state;
    pair_connect(p);
    struct tern_request_options request = {.size = sizeof request,
                                           .peer = tern_host_peer_id(p->a),
                                           .protocol = "/test/ask/1",
                                           .timeout_ms = 50};
    ASSERT_OK(tern_host_request(p->b, &request, NULL));
    assert_int_equal(wait_for(p, p->b, TERN_EVENT_RESPONSE)->err, TERN_ERR_TIMEOUT);
}

static void a_message_reaches_the_subscriber_signed(void **state)
{
    struct pair *p = *state;
    pair_connect(p);
    ASSERT_OK(tern_host_subscribe(p->a, "news", TERN_SUBSCRIBE_VALIDATE));
    ASSERT_OK(tern_host_subscribe(p->b, "news", 0));
    assert_string_equal(wait_for(p, p->b, TERN_EVENT_SUBSCRIBED)->text, "news");
    ASSERT_OK(tern_host_publish(p->b, "news", "sunrise", 7));
    struct tern_event *message = wait_for(p, p->a, TERN_EVENT_MESSAGE);
    assert_string_equal(message->text, "news");
    assert_string_equal(message->author, tern_host_peer_id(p->b));
    assert_int_equal(message->data_size, 7);
    assert_memory_equal(message->data, "sunrise", 7);
    assert_true(message->message != 0);
    tern_host_verdict(p->a, message->message, TERN_VERDICT_ACCEPT);
    assert_int_equal(tern_host_subscribe(p->a, "news", 0), TERN_ERR_EXISTS);
}

static void a_disconnect_is_told_to_both(void **state)
{
    struct pair *p = *state;
    pair_connect(p);
    wait_for(p, p->a, TERN_EVENT_PEER_CONNECTED);
    ASSERT_OK(tern_host_disconnect(p->b, tern_host_peer_id(p->a)));
    wait_for(p, p->b, TERN_EVENT_PEER_DISCONNECTED);
    wait_for(p, p->a, TERN_EVENT_PEER_DISCONNECTED);
    assert_int_equal(tern_host_ping(p->b, tern_host_peer_id(p->a), NULL), TERN_ERR_NOT_FOUND);
}

static void bad_arguments_get_errors(void **state)
{
    struct pair *p = *state;
    tern_stream_handle stream;
    assert_int_equal(tern_host_listen(p->a, "127.0.0.1:4001"), TERN_ERR_INVALID);
    assert_int_equal(tern_host_listen(p->a, "/dns4/example.org/tcp/1"), TERN_ERR_UNSUPPORTED);
    assert_int_equal(tern_host_dial(p->a, "/ip4/127.0.0.1", NULL), TERN_ERR_UNSUPPORTED);
    assert_int_equal(tern_host_bootstrap(p->a, "/ip4/127.0.0.1/tcp/1"), TERN_ERR_INVALID);
    assert_int_equal(tern_host_ping(p->a, "nobody", NULL), TERN_ERR_INVALID);
    assert_int_equal(tern_stream_open(p->a, tern_host_peer_id(p->b), "/x", &stream),
                     TERN_ERR_NOT_FOUND);
    assert_int_equal(tern_host_handle(p->a, "no slash"), TERN_ERR_INVALID);
    assert_int_equal(tern_host_allow_early(p->a, "/not/handled/1"), TERN_ERR_NOT_FOUND);
    assert_int_equal(tern_host_start(p->a), TERN_ERR_EXISTS);
}

/* --- embedded --- */

static void embedded_hosts_need_no_threads(void **state)
{
    struct pair p = {.a = host_new(TERN_KEY_KIND_ECDSA), .b = host_new(TERN_KEY_KIND_ED25519)};
    struct tern_event event;
    bool dialed = false;
    (void)state;
    ASSERT_OK(tern_host_listen(p.a, "/ip4/127.0.0.1/tcp/0"));
    wait_for(&p, p.a, TERN_EVENT_LISTENING);
    ASSERT_OK(tern_host_address(p.a, 0, p.address, sizeof p.address));
    ASSERT_OK(tern_host_dial(p.b, p.address, NULL));
    for (int i = 0; i < 1000000 && !dialed; i++) {
        tern_host_process(p.a);
        dialed = tern_host_next_event(p.b, &event, 1) == TERN_OK && event.kind == TERN_EVENT_DIALED;
    }
    assert_true(dialed);
    tern_host_free(p.a);
    tern_host_free(p.b);
}

/* The peer's end of the connection is closed while much waits to be written to it: nothing that the
 * program hears of but as an event. */
static void a_peer_that_hangs_up_raises_no_signal(void **state)
{
    struct pair p = {.a = host_new(TERN_KEY_KIND_ED25519), .b = host_new(TERN_KEY_KIND_ED25519)};
    struct tern_perf_options options = {
        .size = sizeof options, .download_bytes = UINT64_MAX, .timeout_ms = WAIT_MS};
    (void)state;
    ASSERT_OK(tern_host_listen(p.a, "/ip4/127.0.0.1/tcp/0"));
    wait_for(&p, p.a, TERN_EVENT_LISTENING);
    ASSERT_OK(tern_host_address(p.a, 0, p.address, sizeof p.address));
    ASSERT_OK(tern_host_start(p.b));
    ASSERT_OK(tern_host_dial(p.b, p.address, NULL));
    wait_for(&p, p.a, TERN_EVENT_PEER_CONNECTED);
    options.peer = tern_host_peer_id(p.a);
    ASSERT_OK(tern_host_perf(p.b, &options, NULL));
    for (int i = 0; i < 50; i++)
        tern_host_process(p.a);
    tern_host_free(p.b);
    wait_for(&p, p.a, TERN_EVENT_PEER_DISCONNECTED);
    tern_host_free(p.a);
}

static void an_identity_is_kept_in_a_file_only_its_owner_reads(void **state)
{
    char folder[] = "/tmp/tern-key-XXXXXX";
    char path[64];
    char first[TERN_PEER_TEXT_SIZE];
    char message[256];
    struct stat info;
    struct tern_host_options options;
    struct tern_host *host;
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/key", folder);
    tern_host_options_init(&options);
    options.key_file = path;
    ASSERT_OK(tern_host_new(&options, &host, message, sizeof message));
    snprintf(first, sizeof first, "%s", tern_host_peer_id(host));
    tern_host_free(host);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    ASSERT_OK(tern_host_new(&options, &host, message, sizeof message));
    assert_string_equal(tern_host_peer_id(host), first);
    tern_host_free(host);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(tern_host_new(&options, &host, message, sizeof message), TERN_ERR_GATED);
    assert_non_null(strstr(message, "chmod 600"));
    unlink(path);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(two_hosts_connect_and_know_each_other, setup, teardown),
        cmocka_unit_test_setup_teardown(connections_say_how_they_are_made, setup, teardown),
        cmocka_unit_test_setup_teardown(a_ping_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(a_measurement_counts_and_times_both_ways, setup, teardown),
        cmocka_unit_test_setup_teardown(a_measurement_by_time_tells_of_its_progress, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_measurement_must_make_sense, setup, teardown),
        cmocka_unit_test_setup_teardown(a_dial_tells_what_it_tried, setup, teardown),
        cmocka_unit_test_setup_teardown(a_dial_that_failed_tells_why, setup, teardown),
        cmocka_unit_test(a_key_of_no_private_network_is_refused),
        cmocka_unit_test(a_way_that_is_not_here_is_refused_with_a_list),
        cmocka_unit_test_setup_teardown(who_have_no_way_in_common_do_not_connect, setup, teardown),
        cmocka_unit_test(an_older_programs_options_are_understood),
        cmocka_unit_test_setup_teardown(a_stream_echoes_and_ends_in_good_order, setup, teardown),
        cmocka_unit_test_setup_teardown(a_protocol_that_nobody_speaks_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_request_is_answered, setup, teardown),
        cmocka_unit_test_setup_teardown(a_request_that_is_not_answered_times_out, setup, teardown),
        cmocka_unit_test_setup_teardown(a_message_reaches_the_subscriber_signed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_disconnect_is_told_to_both, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_arguments_get_errors, setup, teardown),
        cmocka_unit_test(embedded_hosts_need_no_threads),
        cmocka_unit_test(a_peer_that_hangs_up_raises_no_signal),
        cmocka_unit_test(an_identity_is_kept_in_a_file_only_its_owner_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
