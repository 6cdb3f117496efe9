/*
 * Frames from the remote, as a table: what each script of frames comes to, for a server and for a
 * client. The cases are those that public suites of WebSocket ask for, by category: framing, pings,
 * reserved bits, opcodes, fragments, text, closing, limits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* cmocka.h needs those first. */
#include <cmocka.h>

#include "base/check.h"
#include "websocket/websocket_lone.h"

enum { FRAMES_MAX = 12, WIRE_MAX = 20 << 20 };

struct frame {
    uint8_t first;       /* FIN, reserved bits and opcode */
    const char *payload; /* NULL: the pattern */
    size_t size;
};

struct script {
    const char *what;
    struct frame frames[FRAMES_MAX];
    const char *expected;
    tern_fault fault;
};

#define RAW(first, text) {(first), (text), sizeof(text) - 1}
#define BIN(text)        RAW(0x82, text)
#define BIN_MORE(text)   RAW(0x02, text)
#define CONT(text)       RAW(0x80, text)
#define CONT_MORE(text)  RAW(0x00, text)
#define PING(text)       RAW(0x89, text)
#define PONG(text)       RAW(0x8a, text)
#define CLOSE(text)      RAW(0x88, text)
#define BIG(first, size) {(first), NULL, (size)}

static const struct script framing[] = {
    {"nothing", {BIN("")}, ""},
    {"nothing, then something", {BIN(""), BIN("a")}, "data(a) "},
    {"one byte", {BIN("a")}, "data(a) "},
    {"several frames", {BIN("Hello"), BIN(", "), BIN("world")}, "data(Hello, world) "},
    {"125 bytes", {BIG(0x82, 125)}, "data(125 bytes) "},
    {"126 bytes", {BIG(0x82, 126)}, "data(126 bytes) "},
    {"127 bytes", {BIG(0x82, 127)}, "data(127 bytes) "},
    {"128 bytes", {BIG(0x82, 128)}, "data(128 bytes) "},
    {"65,535 bytes", {BIG(0x82, 65535)}, "data(65535 bytes) "},
    {"65,536 bytes", {BIG(0x82, 65536)}, "data(65536 bytes) "},
};

#define TEN(c)   c c c c c c c c c c
#define TEXT_125 TEN("0123456789") "0123456789012345678901234"
#define TEXT_126 TEXT_125 "5"

static const struct script pings[] = {
    {"ping without payload", {PING("")}, "pong() "},
    {"ping", {PING("Hello")}, "pong(Hello) "},
    {"ping of 125 bytes", {PING(TEXT_125)}, "pong(125 bytes) "},
    {"ping of 126 bytes", {PING(TEXT_126)}, "close(1002) ", TERN_FAULT_WEBSOCKET_BAD_CONTROL},
    {"bytes that are no text", {PING("\xff\xfe\xfd")}, "pong(\xff\xfe\xfd) "},
    {"pong that nobody asked for", {PONG("")}, ""},
    {"pong with payload", {PONG("x"), BIN("a")}, "data(a) "},
    {"pong of 126 bytes", {PONG(TEXT_126)}, "close(1002) ", TERN_FAULT_WEBSOCKET_BAD_CONTROL},
    {"pong, then ping", {PONG("x"), PING("y")}, "pong(y) "},
    {"several pings",
     {PING("1"), PING("2"), PING("3"), PING("4")},
     "pong(1) pong(2) pong(3) pong(4) "},
    {"ping between data", {BIN("a"), PING("p"), BIN("b")}, "data(a) pong(p) data(b) "},
};

static const struct script reserved[] = {
    {"RSV3", {RAW(0x92, "a")}, "close(1002) ", TERN_FAULT_WEBSOCKET_RESERVED_BITS},
    {"RSV2", {RAW(0xa2, "a")}, "close(1002) ", TERN_FAULT_WEBSOCKET_RESERVED_BITS},
    {"RSV2 and RSV3",
     {BIN("a"), RAW(0xb2, "b")},
     "data(a) close(1002) ",
     TERN_FAULT_WEBSOCKET_RESERVED_BITS},
    {"RSV1, as of compression that was not agreed",
     {RAW(0xc2, "a")},
     "close(1002) ",
     TERN_FAULT_WEBSOCKET_RESERVED_BITS},
    {"RSV1 and RSV3 of a ping",
     {RAW(0xd9, "a")},
     "close(1002) ",
     TERN_FAULT_WEBSOCKET_RESERVED_BITS},
    {"RSV1 and RSV2 of a close",
     {RAW(0xe8, "")},
     "close(1002) ",
     TERN_FAULT_WEBSOCKET_RESERVED_BITS},
    {"all", {RAW(0xf2, "")}, "close(1002) ", TERN_FAULT_WEBSOCKET_RESERVED_BITS},
    {"of a continuation",
     {BIN_MORE("a"), RAW(0x90, "b")},
     "data(a) close(1002) ",
     TERN_FAULT_WEBSOCKET_RESERVED_BITS},
};

static const struct script opcodes[] = {
    {"3", {RAW(0x83, "")}, "close(1002) ", TERN_FAULT_WEBSOCKET_BAD_OPCODE},
    {"4", {RAW(0x84, "a")}, "close(1002) ", TERN_FAULT_WEBSOCKET_BAD_OPCODE},
    {"5",
     {BIN("a"), RAW(0x85, ""), PING("")},
     "data(a) close(1002) ",
     TERN_FAULT_WEBSOCKET_BAD_OPCODE},
    {"6", {RAW(0x86, "a")}, "close(1002) ", TERN_FAULT_WEBSOCKET_BAD_OPCODE},
    {"7", {RAW(0x87, "a")}, "close(1002) ", TERN_FAULT_WEBSOCKET_BAD_OPCODE},
    {"11", {RAW(0x8b, "")}, "close(1002) ", TERN_FAULT_WEBSOCKET_BAD_OPCODE},
    {"12", {RAW(0x8c, "a")}, "close(1002) ", TERN_FAULT_WEBSOCKET_BAD_OPCODE},
    {"13", {RAW(0x8d, "a")}, "close(1002) ", TERN_FAULT_WEBSOCKET_BAD_OPCODE},
    {"14", {RAW(0x8e, "a")}, "close(1002) ", TERN_FAULT_WEBSOCKET_BAD_OPCODE},
    {"15", {RAW(0x8f, "a")}, "close(1002) ", TERN_FAULT_WEBSOCKET_BAD_OPCODE},
};

static const struct script fragments[] = {
    {"ping in fragments", {RAW(0x09, "a")}, "close(1002) ", TERN_FAULT_WEBSOCKET_BAD_CONTROL},
    {"pong in fragments", {RAW(0x0a, "a")}, "close(1002) ", TERN_FAULT_WEBSOCKET_BAD_CONTROL},
    {"close in fragments", {RAW(0x08, "")}, "close(1002) ", TERN_FAULT_WEBSOCKET_BAD_CONTROL},
    {"two fragments", {BIN_MORE("frag"), CONT("ment")}, "data(fragment) "},
    {"empty fragments", {BIN_MORE(""), CONT_MORE(""), CONT("")}, ""},
    {"an empty one in the middle", {BIN_MORE("a"), CONT_MORE(""), CONT("b")}, "data(ab) "},
    {"ping between fragments",
     {BIN_MORE("frag"), PING("p"), CONT("ment")},
     "data(frag) pong(p) data(ment) "},
    {"pings and pongs between fragments",
     {BIN_MORE("a"), PING("1"), CONT_MORE("b"), PONG("x"), PING("2"), CONT("c")},
     "data(a) pong(1) data(b) pong(2) data(c) "},
    {"close between fragments", {BIN_MORE("a"), CLOSE("\x03\xe8")}, "data(a) end close(1000) "},
    {"continuation of nothing", {CONT("a")}, "close(1002) ", TERN_FAULT_WEBSOCKET_BAD_FRAGMENT},
    {"continuation of nothing, more to come",
     {CONT_MORE("a")},
     "close(1002) ",
     TERN_FAULT_WEBSOCKET_BAD_FRAGMENT},
    {"continuation behind a whole message",
     {BIN("a"), CONT("b")},
     "data(a) close(1002) ",
     TERN_FAULT_WEBSOCKET_BAD_FRAGMENT},
    {"continuation behind the last fragment",
     {BIN_MORE("a"), CONT("b"), CONT("c")},
     "data(ab) close(1002) ",
     TERN_FAULT_WEBSOCKET_BAD_FRAGMENT},
    {"a message inside another",
     {BIN_MORE("a"), BIN("b")},
     "data(a) close(1002) ",
     TERN_FAULT_WEBSOCKET_BAD_FRAGMENT},
    {"a message in fragments inside another",
     {BIN_MORE("a"), BIN_MORE("b"), CONT("c")},
     "data(a) close(1002) ",
     TERN_FAULT_WEBSOCKET_BAD_FRAGMENT},
    {"messages in fragments, one after the other",
     {BIN_MORE("a"), CONT("b"), BIN_MORE("c"), CONT("d"), BIN("e")},
     "data(abcde) "},
};

static const struct script text[] = {
    {"text", {RAW(0x81, "Hello")}, "close(1003) ", TERN_FAULT_WEBSOCKET_TEXT},
    {"empty text", {RAW(0x81, "")}, "close(1003) ", TERN_FAULT_WEBSOCKET_TEXT},
    {"text in fragments",
     {RAW(0x01, "Hel"), CONT("lo")},
     "close(1003) ",
     TERN_FAULT_WEBSOCKET_TEXT},
    {"text that is no UTF-8", {RAW(0x81, "\xff")}, "close(1003) ", TERN_FAULT_WEBSOCKET_TEXT},
    {"text behind data",
     {BIN("a"), RAW(0x81, "b")},
     "data(a) close(1003) ",
     TERN_FAULT_WEBSOCKET_TEXT},
    {"text inside a message",
     {BIN_MORE("a"), RAW(0x81, "b")},
     "data(a) close(1003) ",
     TERN_FAULT_WEBSOCKET_TEXT},
};

static const struct script closing[] = {
    {"close without code", {CLOSE("")}, "end close() "},
    {"close", {CLOSE("\x03\xe8")}, "end close(1000) "},
    {"close with a reason", {CLOSE("\x03\xe8Hello World!")}, "end close(1000) "},
    {"close with the longest reason",
     {CLOSE("\x03\xe8" TEN("0123456789") "01234567890123456789012")},
     "end close(1000) "},
    {"close with a longer one",
     {CLOSE("\x03\xe8" TEN("0123456789") "012345678901234567890123")},
     "close(1002) ",
     TERN_FAULT_WEBSOCKET_BAD_CONTROL},
    {"half a code", {CLOSE("\x03")}, "close(1002) ", TERN_FAULT_WEBSOCKET_BAD_CLOSE},
    {"a reason in UTF-8", {CLOSE("\x03\xe8\xce\xba\xe1\xbd\xb9")}, "end close(1000) "},
    {"a reason that is none",
     {CLOSE("\x03\xe8\xce\xba\xe1\xbd\xb9\xed\xa0\x80"
            "edited")},
     "close(1007) ",
     TERN_FAULT_WEBSOCKET_BAD_CLOSE},
    {"a reason cut inside a character",
     {CLOSE("\x03\xe8\xe2\x82")},
     "close(1007) ",
     TERN_FAULT_WEBSOCKET_BAD_CLOSE},
    {"two closes", {CLOSE("\x03\xe8"), CLOSE("\x03\xe9")}, "end close(1000) "},
    {"data, then close", {BIN("a"), CLOSE("\x03\xe8")}, "data(a) end close(1000) "},
    {"close, then data", {CLOSE("\x03\xe8"), BIN("a")}, "end close(1000) "},
    {"close, then ping", {CLOSE("\x03\xe8"), PING("a")}, "end close(1000) "},
    {"close, then what breaks every rule", {CLOSE("\x03\xe8"), RAW(0xff, "a")}, "end close(1000) "},
    {"ping, then close", {PING("a"), CLOSE("\x03\xe8")}, "pong(a) end close(1000) "},
    {"1001", {CLOSE("\x03\xe9")}, "end close(1001) "},
    {"1002", {CLOSE("\x03\xea")}, "end close(1002) "},
    {"1003", {CLOSE("\x03\xeb")}, "end close(1003) "},
    {"1007", {CLOSE("\x03\xef")}, "end close(1007) "},
    {"1011", {CLOSE("\x03\xf3")}, "end close(1011) "},
    {"1014", {CLOSE("\x03\xf6")}, "end close(1014) "},
    {"3000", {CLOSE("\x0b\xb8")}, "end close(3000) "},
    {"4999", {CLOSE("\x13\x87")}, "end close(4999) "},
    {"0", {CLOSE("\x00\x00")}, "close(1002) ", TERN_FAULT_WEBSOCKET_BAD_CLOSE},
    {"999", {CLOSE("\x03\xe7")}, "close(1002) ", TERN_FAULT_WEBSOCKET_BAD_CLOSE},
    {"1004", {CLOSE("\x03\xec")}, "close(1002) ", TERN_FAULT_WEBSOCKET_BAD_CLOSE},
    {"1005", {CLOSE("\x03\xed")}, "close(1002) ", TERN_FAULT_WEBSOCKET_BAD_CLOSE},
    {"1006", {CLOSE("\x03\xee")}, "close(1002) ", TERN_FAULT_WEBSOCKET_BAD_CLOSE},
    {"1015", {CLOSE("\x03\xf7")}, "close(1002) ", TERN_FAULT_WEBSOCKET_BAD_CLOSE},
    {"1016", {CLOSE("\x03\xf8")}, "close(1002) ", TERN_FAULT_WEBSOCKET_BAD_CLOSE},
    {"2000", {CLOSE("\x07\xd0")}, "close(1002) ", TERN_FAULT_WEBSOCKET_BAD_CLOSE},
    {"2999", {CLOSE("\x0b\xb7")}, "close(1002) ", TERN_FAULT_WEBSOCKET_BAD_CLOSE},
    {"5000", {CLOSE("\x13\x88")}, "close(1002) ", TERN_FAULT_WEBSOCKET_BAD_CLOSE},
    {"65535", {CLOSE("\xff\xff")}, "close(1002) ", TERN_FAULT_WEBSOCKET_BAD_CLOSE},
};

static const struct script limits[] = {
    {"64 KiB and one", {BIG(0x82, 65537)}, "data(65537 bytes) "},
    {"1 MiB", {BIG(0x82, 1 << 20)}, "data(1048576 bytes) "},
    {"16 MiB", {BIG(0x82, 16 << 20)}, "data(16777216 bytes) "},
    {"a ping behind 4 MiB", {BIG(0x82, 4 << 20), PING("p")}, "data(4194304 bytes) pong(p) "},
};

static const struct {
    const char *name;
    const struct script *scripts;
    size_t count;
} categories[] = {
#define CATEGORY(table) {#table, table, TERN_COUNT_OF(table)}
    CATEGORY(framing),   CATEGORY(pings), CATEGORY(reserved), CATEGORY(opcodes),
    CATEGORY(fragments), CATEGORY(text),  CATEGORY(closing),  CATEGORY(limits),
#undef CATEGORY
};

static uint8_t wire[WIRE_MAX];

static size_t script_frames(const struct script *script)
{
    size_t count = 0;
    while (count < FRAMES_MAX && script->frames[count].first != 0)
        count++;
    /* The first byte of a fragment in the middle is 0. */
    for (size_t i = count; i < FRAMES_MAX; i++)
        if (script->frames[i].first != 0 || script->frames[i].payload != NULL)
            count = i + 1;
    return count;
}

static void expect(struct lone *lone, const char *category, const struct script *script,
                   const char *how)
{
    if (strcmp(lone_log(lone), script->expected) != 0 || lone_fault(lone) != script->fault)
        fail_msg("%s, %s, as %s, %s: %s%s", category, script->what,
                 lone->role == TERN_ROLE_RESPONDER ? "server" : "client", how, lone_log(lone),
                 tern_fault_name(lone_fault(lone)));
}

/* A script frame by frame, each in pieces of so many bytes. */
static void play(const char *category, const struct script *script, enum tern_role role,
                 size_t piece)
{
    struct lone lone;
    lone_init(&lone, role);
    lone_open(&lone);
    for (size_t i = 0; i < script_frames(script); i++) {
        const struct frame *frame = &script->frames[i];
        TERN_CHECK(frame->size + 14 <= sizeof wire);
        size_t size = lone_frame(&lone, wire, frame->first, frame->payload, frame->size);
        lone_feed(&lone, wire, size, piece);
    }
    expect(&lone, category, script, piece == 1 ? "byte by byte" : "frame by frame");
    lone_fini(&lone);
}

static size_t script_size(const struct script *script)
{
    size_t size = 0;
    for (size_t i = 0; i < script_frames(script); i++)
        size += script->frames[i].size;
    return size;
}

static void each_case_comes_to_what_is_expected(void **state)
{
    (void)state;
    for (size_t c = 0; c < TERN_COUNT_OF(categories); c++) {
        for (size_t i = 0; i < categories[c].count; i++) {
            const struct script *script = &categories[c].scripts[i];
            for (int role = 0; role < 2; role++) {
                play(categories[c].name, script, (enum tern_role)role, 0);
                play(categories[c].name, script, (enum tern_role)role, 997);
                if (script_size(script) < 2000)
                    play(categories[c].name, script, (enum tern_role)role, 1);
            }
        }
    }
}

/* The whole script at once, cut in two at every byte, comes to the same; not with pings, which are
 * answered when there is time to, and only the newest of those that wait. */
static void each_case_may_be_cut_at_every_byte(void **state)
{
    (void)state;
    for (size_t c = 0; c < TERN_COUNT_OF(categories); c++) {
        for (size_t i = 0; i < categories[c].count; i++) {
            const struct script *script = &categories[c].scripts[i];
            if (script_size(script) > 2000 || strstr(script->expected, "pong") != NULL)
                continue;
            size_t total = 1;
            for (size_t cut = 0; cut <= total; cut++) {
                struct lone lone;
                lone_init(&lone, TERN_ROLE_RESPONDER);
                lone_open(&lone);
                total = 0;
                for (size_t f = 0; f < script_frames(script); f++)
                    total += lone_frame(&lone, wire + total, script->frames[f].first,
                                        script->frames[f].payload, script->frames[f].size);
                lone_feed(&lone, wire, cut, 0);
                lone_feed(&lone, wire + cut, total - cut, 0);
                expect(&lone, categories[c].name, script, "cut");
                lone_fini(&lone);
            }
        }
    }
}

/* --- lengths and masks, which the frames above always have right --- */

static void lengths_must_be_in_their_shortest_form(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        const char *expected;
        tern_fault fault;
    } cases[] = {
#define R(bytes, ...) {bytes, sizeof(bytes) - 1, __VA_ARGS__}
        R("\x82\x7e\x00\x00", "close(1002) ", TERN_FAULT_WEBSOCKET_BAD_LENGTH),
        R("\x82\x7e\x00\x7d", "close(1002) ", TERN_FAULT_WEBSOCKET_BAD_LENGTH),
        R("\x82\x7e\x00\x7e", ""),
        R("\x82\x7f\x00\x00\x00\x00\x00\x00\x00\x01", "close(1002) ",
          TERN_FAULT_WEBSOCKET_BAD_LENGTH),
        R("\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff", "close(1002) ",
          TERN_FAULT_WEBSOCKET_BAD_LENGTH),
        R("\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00", ""),
        R("\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xffxyz", "data(xyz) "),
        R("\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00", "close(1002) ",
          TERN_FAULT_WEBSOCKET_BAD_LENGTH),
        R("\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff", "close(1002) ",
          TERN_FAULT_WEBSOCKET_BAD_LENGTH),
        R("\x89\x7e\x00\x7e", "close(1002) ", TERN_FAULT_WEBSOCKET_BAD_CONTROL),
        R("\x88\x7f\x00\x00\x00\x00\x00\x01\x00\x00", "close(1002) ",
          TERN_FAULT_WEBSOCKET_BAD_CONTROL),
#undef R
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        for (size_t piece = 0; piece < 4; piece++) {
            struct lone lone;
            lone_init(&lone, TERN_ROLE_INITIATOR);
            lone_open(&lone);
            lone_feed(&lone, cases[i].bytes, cases[i].size, piece);
            assert_string_equal(lone_log(&lone), cases[i].expected);
            assert_int_equal(lone_fault(&lone), cases[i].fault);
            lone_fini(&lone);
        }
    }
}

static void masks_go_one_way_alone(void **state)
{
    (void)state;
    static const uint8_t firsts[] = {0x82, 0x02, 0x89, 0x8a, 0x88};
    for (size_t i = 0; i < TERN_COUNT_OF(firsts); i++) {
        for (int role = 0; role < 2; role++) {
            struct lone lone;
            bool server = role == TERN_ROLE_RESPONDER;
            const uint8_t bytes[] = {firsts[i], server ? 0x02 : 0x82, 0, 0, 0, 0, 0, 0};
            lone_init(&lone, (enum tern_role)role);
            lone_open(&lone);
            lone_feed(&lone, bytes, sizeof bytes, 0);
            assert_string_equal(lone_log(&lone), "close(1002) ");
            assert_int_equal(lone_fault(&lone), server ? TERN_FAULT_WEBSOCKET_NOT_MASKED
                                                       : TERN_FAULT_WEBSOCKET_MASKED);
            lone_fini(&lone);
        }
    }
}

/* Pings that come together: the newest one is answered, and none is kept. */
static void of_pings_that_wait_the_newest_is_answered(void **state)
{
    (void)state;
    struct lone lone;
    size_t size = 0;
    lone_init(&lone, TERN_ROLE_RESPONDER);
    lone_open(&lone);
    for (int i = 0; i < 1000; i++)
        size += lone_frame(&lone, wire + size, 0x89, i == 999 ? "last" : "ping", 4);
    size += lone_frame(&lone, wire + size, 0x8a, "a pong takes no place", 21);
    size_t before = lone.mem.used;
    lone_feed(&lone, wire, size, 0);
    assert_string_equal(lone_log(&lone), "pong(last) ");
    assert_int_equal(lone.mem.used, before);
    lone_fini(&lone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_case_comes_to_what_is_expected),
        cmocka_unit_test(each_case_may_be_cut_at_every_byte),
        cmocka_unit_test(lengths_must_be_in_their_shortest_form),
        cmocka_unit_test(masks_go_one_way_alone),
        cmocka_unit_test(of_pings_that_wait_the_newest_is_answered),
    };
    return cmocka_run_group_tests_name("websocket_cases", tests, NULL, NULL);
}
