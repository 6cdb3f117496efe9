/*
 * The opening: what each side says, what other implementations say, and every head that is refused,
 * with the status that answers it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka.h needs those first. */
#include <cmocka.h>

#include "base/check.h"
#include "websocket/http_head.h"
#include "websocket/websocket_internal.h"
#include "websocket/websocket_lone.h"

#define KEY    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define V13    "Sec-WebSocket-Version: 13\r\n"
#define UP     "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define GET    "GET / HTTP/1.1\r\n"
#define HOST   "Host: a\r\n"
#define ACCEPT "Sec-WebSocket-Accept: %s\r\n"
#define S101   "HTTP/1.1 101 Switching Protocols\r\n"

/* --- what we say --- */

static void a_client_asks(void **state)
{
    (void)state;
    struct lone lone;
    lone_init(&lone, TERN_ROLE_INITIATOR);
    lone_pull(&lone);
    assert_string_equal(lone.said, "GET / HTTP/1.1\r\n"
                                   "Host: example.org\r\n"
                                   "Upgrade: websocket\r\n"
                                   "Connection: Upgrade\r\n"
                                   "Sec-WebSocket-Version: 13\r\n"
                                   "Sec-WebSocket-Key: W5SxbM7F/e83QhwDWfwRaw==\r\n"
                                   "\r\n");
    lone_fini(&lone);
}

/* The key and the answer are those of RFC 6455, section 1.3. */
static void a_server_agrees(void **state)
{
    (void)state;
    struct lone lone;
    lone_init(&lone, TERN_ROLE_RESPONDER);
    lone_open(&lone);
    assert_string_equal(lone.said, "HTTP/1.1 101 Switching Protocols\r\n"
                                   "Upgrade: websocket\r\n"
                                   "Connection: Upgrade\r\n"
                                   "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                                   "\r\n");
    lone_fini(&lone);
}

static void a_host_must_be_visible_characters(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "a b", "a\r\nX: y", "a\x7f", "\xc3\xa9"};
    char longest[TERN_WEBSOCKET_HOST_SIZE_MAX + 2];
    struct tern_mem mem;
    struct tern_random random;
    struct tern_channel channel;
    tern_mem_init(&mem, 0);
    tern_random_init_u64(&random, 1);
    memset(longest, 'a', sizeof longest);
    struct tern_websocket_options options = {
        .role = TERN_ROLE_INITIATOR, .mem = &mem, .random = &random};
    for (size_t i = 0; i < TERN_COUNT_OF(bad); i++) {
        options.host = tern_view_str(bad[i]);
        assert_int_equal(tern_websocket_new(&options, &channel), TERN_ERR_INVALID);
    }
    options.host = tern_view_of(longest, TERN_WEBSOCKET_HOST_SIZE_MAX + 1);
    assert_int_equal(tern_websocket_new(&options, &channel), TERN_ERR_INVALID);
    options.host.size--;
    assert_int_equal(tern_websocket_new(&options, &channel), TERN_OK);
    channel.ops->fini(channel.self);
    tern_mem_fini(&mem);
}

/* --- what others say --- */

static const char *const good_requests[] = {
    /* gorilla/websocket, as in go-libp2p */
    "GET / HTTP/1.1\r\nHost: 127.0.0.1:4001\r\nUser-Agent: Go-http-client/1.1\r\n"
    "Connection: Upgrade\r\n" KEY V13 "Upgrade: websocket\r\n\r\n",
    /* soketto, as in rust-libp2p */
    "GET / HTTP/1.1\r\nHost: 127.0.0.1:4001\r\nUpgrade: websocket\r\nConnection: "
    "upgrade\r\n" KEY V13 "\r\n",
    /* ws, as in js-libp2p on Node */
    "GET / HTTP/1.1\r\n" V13 KEY "Connection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
    "Host: 127.0.0.1:4001\r\n\r\n",
    /* a browser */
    "GET /chat?x=1 HTTP/1.1\r\nHost: server.example.com\r\nUser-Agent: Mozilla/5.0\r\nAccept: "
    "*/*\r\n"
    "Accept-Language: en\r\nAccept-Encoding: gzip, deflate, br\r\n" V13
    "Origin: https://example.com\r\nSec-WebSocket-Extensions: permessage-deflate\r\n" KEY
    "Connection: keep-alive, Upgrade\r\nCookie: a=b\r\nSec-Fetch-Mode: websocket\r\n"
    "Pragma: no-cache\r\nCache-Control: no-cache\r\nUpgrade: websocket\r\n\r\n",
    /* the example of RFC 6455, and what one may do with lists, cases and blanks */
    "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: "
    "Upgrade\r\n" KEY
    "Origin: http://example.com\r\nSec-WebSocket-Protocol: chat, superchat\r\n" V13 "\r\n",
    "GET / HTTP/1.1\r\nhOST:a\r\nUPGRADE:h2c\r\nupgrade: \tWebSocket \t\r\nconnection:close\r\n"
    "connection:,UPGRADE,\r\nsec-websocket-KEY:dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "sec-websocket-version:13\r\ncontent-length: 0\r\n\r\n",
    "GET http://a/ HTTP/1.1\r\n" HOST UP KEY V13 "\r\n",
};

static void requests_of_others_are_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(good_requests); i++) {
        size_t size = strlen(good_requests[i]);
        for (size_t piece = 0; piece < size; piece = piece < 4 ? piece + 1 : piece * 3) {
            struct lone lone;
            lone_init(&lone, TERN_ROLE_RESPONDER);
            lone_feed(&lone, good_requests[i], size, piece);
            if (strcmp(lone_log(&lone), "open ") != 0)
                fail_msg("request %zu: %s", i, tern_fault_name(lone_fault(&lone)));
            assert_non_null(strstr(lone.said, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
            lone_fini(&lone);
        }
    }
}

/* answer_of fills in what the key demands. */
static size_t answer_of(const struct lone *lone, const char *format, char *bytes, size_t size)
{
    char accept[TERN_WEBSOCKET_ACCEPT_SIZE + 1] = {0};
    const struct tern_websocket *ws = lone->channel.self;
    memcpy(accept, ws->accept, sizeof ws->accept);
    const char *place = strstr(format, "%s");
    size_t before = place == NULL ? strlen(format) : (size_t)(place - format);
    int written = snprintf(bytes, size, "%.*s%s%s", (int)before, format,
                           place == NULL ? "" : accept, place == NULL ? "" : place + 2);
    TERN_CHECK(written >= 0 && (size_t)written < size);
    return (size_t)written;
}

static void answers_of_others_are_taken(void **state)
{
    (void)state;
    static const char *const answers[] = {
        S101 UP ACCEPT "\r\n",
        S101 "Server: soketto-0.8.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n" ACCEPT "\r\n",
        "HTTP/1.1 101 \r\n" UP ACCEPT "\r\n",
        ("HTTP/1.1 101\r\nconnection: keep-alive,upgrade\r\nUPGRADE:WebSocket\r\n"
         "sec-websocket-accept:%s\r\nDate: now\r\n\r\n"),
    };
    for (size_t i = 0; i < TERN_COUNT_OF(answers); i++) {
        for (size_t piece = 0; piece < 60; piece++) {
            struct lone lone;
            char bytes[512];
            lone_init(&lone, TERN_ROLE_INITIATOR);
            lone_pull(&lone);
            size_t size = answer_of(&lone, answers[i], bytes, sizeof bytes - 3);
            memcpy(bytes + size, "\x82\x01x", 3); /* a frame right behind */
            lone_feed(&lone, bytes, size + 3, piece);
            assert_string_equal(lone_log(&lone), "open data(x) ");
            lone_fini(&lone);
        }
    }
}

/* --- what is refused --- */

struct refusal {
    const char *what;
    const char *bytes;
    tern_fault fault;
    const char *answer; /* how it begins; NULL: a client says nothing */
};

#define S400 "HTTP/1.1 400 "
#define S426 "HTTP/1.1 426 "

static const struct refusal requests[] = {
    {"TLS", "\x16\x03\x01\x02", TERN_FAULT_WEBSOCKET_HEAD_MALFORMED, S400},
    {"multistream", "\x13/multistream/1.0.0\n", TERN_FAULT_WEBSOCKET_HEAD_MALFORMED, S400},
    {"an empty line first", "\r\n" GET HOST UP KEY V13 "\r\n", TERN_FAULT_WEBSOCKET_HEAD_MALFORMED,
     S400},
    {"lines without CR", "GET / HTTP/1.1\nHost: a\n\n", TERN_FAULT_WEBSOCKET_HEAD_MALFORMED, S400},
    {"no target", "GET HTTP/1.1\r\n" HOST UP KEY V13 "\r\n", TERN_FAULT_WEBSOCKET_HEAD_MALFORMED,
     S400},
    {"two blanks", "GET  / HTTP/1.1\r\n" HOST UP KEY V13 "\r\n",
     TERN_FAULT_WEBSOCKET_HEAD_MALFORMED, S400},
    {"words behind the version", "GET / HTTP/1.1 x\r\n" HOST UP KEY V13 "\r\n",
     TERN_FAULT_WEBSOCKET_HEAD_MALFORMED, S400},
    {"no colon", GET HOST "what\r\n" UP KEY V13 "\r\n", TERN_FAULT_WEBSOCKET_HEAD_MALFORMED, S400},
    {"a blank before the colon", GET HOST "X : y\r\n" UP KEY V13 "\r\n",
     TERN_FAULT_WEBSOCKET_HEAD_MALFORMED, S400},
    {"a folded line", GET HOST "X: y\r\n z\r\n" UP KEY V13 "\r\n",
     TERN_FAULT_WEBSOCKET_HEAD_MALFORMED, S400},
    {"a line folded by a tab", GET HOST "X: y\r\n\tz\r\n" UP KEY V13 "\r\n",
     TERN_FAULT_WEBSOCKET_HEAD_MALFORMED, S400},
    {"no host", GET UP KEY V13 "\r\n", TERN_FAULT_WEBSOCKET_HEAD_MALFORMED, S400},
    {"two hosts", GET HOST HOST UP KEY V13 "\r\n", TERN_FAULT_WEBSOCKET_HEAD_DUPLICATE, S400},
    {"two keys", GET HOST UP KEY KEY V13 "\r\n", TERN_FAULT_WEBSOCKET_HEAD_DUPLICATE, S400},
    {"two keys, one empty", GET HOST UP "Sec-WebSocket-Key:\r\n" KEY V13 "\r\n",
     TERN_FAULT_WEBSOCKET_HEAD_DUPLICATE, S400},
    {"two versions", GET HOST UP KEY V13 V13 "\r\n", TERN_FAULT_WEBSOCKET_HEAD_DUPLICATE, S400},
    {"two lengths", GET HOST UP KEY V13 "Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
     TERN_FAULT_WEBSOCKET_HEAD_DUPLICATE, S400},
    {"POST", "POST / HTTP/1.1\r\n" HOST UP KEY V13 "\r\n", TERN_FAULT_WEBSOCKET_BAD_METHOD,
     "HTTP/1.1 405 "},
    {"get", "get / HTTP/1.1\r\n" HOST UP KEY V13 "\r\n", TERN_FAULT_WEBSOCKET_BAD_METHOD,
     "HTTP/1.1 405 "},
    {"HTTP/1.0", "GET / HTTP/1.0\r\n" HOST UP KEY V13 "\r\n", TERN_FAULT_WEBSOCKET_BAD_HTTP,
     "HTTP/1.1 505 "},
    {"HTTP/2", "PRI * HTTP/2.0\r\n\r\n", TERN_FAULT_WEBSOCKET_BAD_HTTP, "HTTP/1.1 505 "},
    {"a body", GET HOST UP KEY V13 "Content-Length: 5\r\n\r\nhello", TERN_FAULT_WEBSOCKET_BODY,
     S400},
    {"a body in chunks", GET HOST UP KEY V13 "Transfer-Encoding: chunked\r\n\r\n",
     TERN_FAULT_WEBSOCKET_BODY, S400},
    {"a length that is no number", GET HOST UP KEY V13 "Content-Length: x\r\n\r\n",
     TERN_FAULT_WEBSOCKET_BODY, S400},
    {"a plain request", GET HOST "\r\n", TERN_FAULT_WEBSOCKET_NO_UPGRADE, S426},
    {"upgrade to something else", GET HOST "Upgrade: h2c\r\nConnection: Upgrade\r\n" KEY V13 "\r\n",
     TERN_FAULT_WEBSOCKET_NO_UPGRADE, S426},
    {"no connection", GET HOST "Upgrade: websocket\r\n" KEY V13 "\r\n",
     TERN_FAULT_WEBSOCKET_NO_UPGRADE, S426},
    {"another connection", GET HOST "Upgrade: websocket\r\nConnection: close\r\n" KEY V13 "\r\n",
     TERN_FAULT_WEBSOCKET_NO_UPGRADE, S426},
    {"no version", GET HOST UP KEY "\r\n", TERN_FAULT_WEBSOCKET_BAD_VERSION, S426},
    {"version 8", GET HOST UP KEY "Sec-WebSocket-Version: 8\r\n\r\n",
     TERN_FAULT_WEBSOCKET_BAD_VERSION, S426},
    {"several versions", GET HOST UP KEY "Sec-WebSocket-Version: 13, 8\r\n\r\n",
     TERN_FAULT_WEBSOCKET_BAD_VERSION, S426},
    {"no key", GET HOST UP V13 "\r\n", TERN_FAULT_WEBSOCKET_BAD_KEY, S400},
    {"an empty key", GET HOST UP V13 "Sec-WebSocket-Key: \r\n\r\n", TERN_FAULT_WEBSOCKET_BAD_KEY,
     S400},
    {"a key of 15 bytes", GET HOST UP V13 "Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4P\r\n\r\n",
     TERN_FAULT_WEBSOCKET_BAD_KEY, S400},
    {"a key of 17 bytes", GET HOST UP V13 "Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEBE=\r\n\r\n",
     TERN_FAULT_WEBSOCKET_BAD_KEY, S400},
    {"a key without padding", GET HOST UP V13 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ\r\n\r\n",
     TERN_FAULT_WEBSOCKET_BAD_KEY, S400},
    {"a key that is no base64",
     GET HOST UP V13 "Sec-WebSocket-Key: dGhl!HNhbXBsZSBub25jZQ==\r\n\r\n",
     TERN_FAULT_WEBSOCKET_BAD_KEY, S400},
    {"a key with bits left over",
     GET HOST UP V13 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==\r\n\r\n",
     TERN_FAULT_WEBSOCKET_BAD_KEY, S400},
};

static const struct refusal answers[] = {
    {"TLS", "\x15\x03\x01", TERN_FAULT_WEBSOCKET_HEAD_MALFORMED, NULL},
    {"no status", "HTTP/1.1\r\n\r\n", TERN_FAULT_WEBSOCKET_HEAD_MALFORMED, NULL},
    {"two digits", "HTTP/1.1 10 x\r\n\r\n", TERN_FAULT_WEBSOCKET_HEAD_MALFORMED, NULL},
    {"letters", "HTTP/1.1 1O1 x\r\n\r\n", TERN_FAULT_WEBSOCKET_HEAD_MALFORMED, NULL},
    {"HTTP/1.0", "HTTP/1.0 101 x\r\n" UP ACCEPT "\r\n", TERN_FAULT_WEBSOCKET_HEAD_MALFORMED, NULL},
    {"a folded line", S101 UP ACCEPT "X: y\r\n z\r\n\r\n", TERN_FAULT_WEBSOCKET_HEAD_MALFORMED,
     NULL},
    {"200", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", TERN_FAULT_WEBSOCKET_REFUSED, NULL},
    {"a redirection", "HTTP/1.1 301 Moved\r\nLocation: http://b/\r\n\r\n",
     TERN_FAULT_WEBSOCKET_REFUSED, NULL},
    {"403", "HTTP/1.1 403 Forbidden\r\n\r\n", TERN_FAULT_WEBSOCKET_REFUSED, NULL},
    {"no upgrade", S101 "Connection: Upgrade\r\n" ACCEPT "\r\n", TERN_FAULT_WEBSOCKET_NO_UPGRADE,
     NULL},
    {"no connection", S101 "Upgrade: websocket\r\n" ACCEPT "\r\n", TERN_FAULT_WEBSOCKET_NO_UPGRADE,
     NULL},
    {"no accept", S101 UP "\r\n", TERN_FAULT_WEBSOCKET_BAD_ACCEPT, NULL},
    {"the accept of another key",
     S101 UP "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
     TERN_FAULT_WEBSOCKET_BAD_ACCEPT, NULL},
    {"two accepts", S101 UP ACCEPT "Sec-WebSocket-Accept: x\r\n\r\n",
     TERN_FAULT_WEBSOCKET_HEAD_DUPLICATE, NULL},
    {"an extension", S101 UP ACCEPT "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
     TERN_FAULT_WEBSOCKET_UNASKED, NULL},
    {"a subprotocol", S101 UP ACCEPT "Sec-WebSocket-Protocol: chat\r\n\r\n",
     TERN_FAULT_WEBSOCKET_UNASKED, NULL},
};

static void refuse(const struct refusal *refusal, enum tern_role role, size_t cut)
{
    struct lone lone;
    char bytes[1024];
    lone_init(&lone, role);
    lone_pull(&lone);
    lone.said_size = 0;
    size_t size = answer_of(&lone, refusal->bytes, bytes, sizeof bytes);
    lone_feed(&lone, bytes, tern_min_size(cut, size), 0);
    lone_feed(&lone, bytes + tern_min_size(cut, size), size - tern_min_size(cut, size), 0);
    if (lone_fault(&lone) != refusal->fault)
        fail_msg("%s: %s", refusal->what, tern_fault_name(lone_fault(&lone)));
    assert_int_equal(lone.err, refusal->fault == TERN_FAULT_WEBSOCKET_REFUSED ? TERN_ERR_NO_PROTOCOL
                                                                              : TERN_ERR_PROTOCOL);
    assert_string_equal(lone_log(&lone), "");
    lone.said[lone.said_size] = '\0';
    if (refusal->answer == NULL) {
        assert_int_equal(lone.said_size, 0);
    } else {
        if (strncmp(lone.said, refusal->answer, strlen(refusal->answer)) != 0)
            fail_msg("%s: answered by %s", refusal->what, lone.said);
        assert_non_null(strstr(lone.said, "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"));
        assert_string_equal(lone.said + lone.said_size - 4, "\r\n\r\n");
    }
    /* Nothing is taken or sealed any more, and shut has nothing to say. */
    uint8_t room[4096];
    struct tern_writer out = tern_writer_of(room, sizeof room);
    lone.channel.ops->shut(lone.channel.self);
    assert_false(lone.channel.ops->control_pending(lone.channel.self));
    assert_int_equal(lone.channel.ops->seal_begin(lone.channel.self, &out).size, 0);
    lone_fini(&lone);
}

static void heads_that_may_not_be_are_refused_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(requests); i++)
        for (size_t cut = 0; cut <= strlen(requests[i].bytes); cut++)
            refuse(&requests[i], TERN_ROLE_RESPONDER, cut);
    for (size_t i = 0; i < TERN_COUNT_OF(answers); i++)
        for (size_t cut = 0; cut <= strlen(answers[i].bytes); cut++)
            refuse(&answers[i], TERN_ROLE_INITIATOR, cut);
}

static void a_refusal_names_the_version_that_is_spoken(void **state)
{
    (void)state;
    struct lone lone;
    lone_init(&lone, TERN_ROLE_RESPONDER);
    lone_feed(&lone, GET HOST "\r\n", strlen(GET HOST "\r\n"), 0);
    assert_string_equal(lone.said, "HTTP/1.1 426 Upgrade Required\r\n"
                                   "Upgrade: websocket\r\n"
                                   "Sec-WebSocket-Version: 13\r\n"
                                   "Content-Length: 0\r\n"
                                   "Connection: close\r\n"
                                   "\r\n");
    lone_fini(&lone);
}

/* CVE-2023-43669 (tungstenite), CVE-2024-37890 (ws): heads without end, and of very many fields. */
static void long_heads_are_refused_in_bounded_memory(void **state)
{
    (void)state;
    static const char *const lines[] = {"X", "X: y\r\n", "a:\r\n"};
    for (int role = 0; role < 2; role++) {
        for (size_t i = 0; i < TERN_COUNT_OF(lines); i++) {
            for (size_t piece = 0; piece < 3; piece++) {
                struct lone lone;
                char bytes[3 * TERN_HTTP_HEAD_MAX];
                size_t size = 0;
                lone_init(&lone, (enum tern_role)role);
                lone_pull(&lone);
                size += (size_t)snprintf(bytes, sizeof bytes, "%s",
                                         role == TERN_ROLE_RESPONDER ? GET : S101);
                while (size + strlen(lines[i]) < sizeof bytes) {
                    memcpy(bytes + size, lines[i], strlen(lines[i]));
                    size += strlen(lines[i]);
                }
                lone_feed(&lone, bytes, size, piece == 0 ? 0 : piece * 700);
                assert_int_equal(lone_fault(&lone), TERN_FAULT_WEBSOCKET_HEAD_TOO_LARGE);
                assert_int_equal(lone.err, TERN_ERR_TOO_LARGE);
                assert_true(lone.mem.peak < 6 * TERN_HTTP_HEAD_MAX);
                if (role == TERN_ROLE_RESPONDER)
                    assert_non_null(strstr(lone.said, "HTTP/1.1 431 "));
                lone_fini(&lone);
            }
        }
    }
}

/* CVE-2021-32640 (ws): a subprotocol field that takes quadratic time to read. It is passed over. */
static void offers_are_passed_over_however_long(void **state)
{
    (void)state;
    struct lone lone;
    char bytes[TERN_HTTP_HEAD_MAX];
    lone_init(&lone, TERN_ROLE_RESPONDER);
    int size = snprintf(bytes, sizeof bytes,
                        GET HOST UP KEY V13 "Sec-WebSocket-Protocol: %*s,x\r\n"
                                            "Sec-WebSocket-Extensions: a;b=c, d\r\n\r\n",
                        3500, "b");
    lone_feed(&lone, bytes, (size_t)size, 1);
    assert_string_equal(lone_log(&lone), "open ");
    assert_null(strstr(lone.said, "Protocol:"));
    assert_null(strstr(lone.said, "Extensions:"));
    lone_fini(&lone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_asks),
        cmocka_unit_test(a_server_agrees),
        cmocka_unit_test(a_host_must_be_visible_characters),
        cmocka_unit_test(requests_of_others_are_taken),
        cmocka_unit_test(answers_of_others_are_taken),
        cmocka_unit_test(heads_that_may_not_be_are_refused_by_name),
        cmocka_unit_test(a_refusal_names_the_version_that_is_spoken),
        cmocka_unit_test(long_heads_are_refused_in_bounded_memory),
        cmocka_unit_test(offers_are_passed_over_however_long),
    };
    return cmocka_run_group_tests_name("websocket_open", tests, NULL, NULL);
}
