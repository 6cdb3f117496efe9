#include "websocket/http_head.h"

#include "tern_test.h"

static struct tern_view text(const char *bytes)
{
    return tern_view_str(bytes);
}

/* What head_end says when the bytes come in pieces of so many. */
static tern_err end_in_pieces(struct tern_view bytes, size_t piece, size_t *size)
{
    tern_err err = TERN_ERR_TRUNCATED;
    for (size_t have = 0; have < bytes.size && err == TERN_ERR_TRUNCATED;) {
        size_t next = tern_min_size(bytes.size, have + piece);
        err = tern_http_head_end(tern_view_part(bytes, 0, next), have, size);
        have = next;
    }
    return err;
}

static void a_head_ends_at_its_empty_line(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        tern_err err;
        size_t size;
    } cases[] = {
        {"GET / HTTP/1.1\r\n\r\n", TERN_OK, 18},
        {"GET / HTTP/1.1\r\nHost: a\r\n\r\nframes\x01\x02", TERN_OK, 27},
        {"GET / HTTP/1.1\r\nHost: a\r\n", TERN_ERR_TRUNCATED, 0},
        {"GET / HTTP/1.1\r\n\r", TERN_ERR_TRUNCATED, 0},
        {"a:\tb\r\n\r\n", TERN_OK, 8},
        {"a: \xc3\xa9\r\n\r\n", TERN_OK, 9},
        {"GET / HTTP/1.1\n\n", TERN_ERR_MALFORMED, 0},
        {"GET / HTTP/1.1\r\r\n", TERN_ERR_MALFORMED, 0},
        {"GET / HTTP/1.1\rHost", TERN_ERR_MALFORMED, 0},
        {"\n", TERN_ERR_MALFORMED, 0},
        {"GET \x01", TERN_ERR_MALFORMED, 0},
        {"GET \x7f", TERN_ERR_MALFORMED, 0},
        {"\x16\x03\x01", TERN_ERR_MALFORMED, 0},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        for (size_t piece = 1; piece <= strlen(cases[i].bytes); piece++) {
            size_t size = 0;
            assert_int_equal(end_in_pieces(text(cases[i].bytes), piece, &size), cases[i].err);
            assert_int_equal(size, cases[i].size);
        }
    }
    size_t size;
    assert_int_equal(tern_http_head_end(tern_view_of("GET\0", 4), 0, &size), TERN_ERR_MALFORMED);
}

static void a_head_is_bounded(void **state)
{
    (void)state;
    uint8_t bytes[TERN_HTTP_HEAD_MAX + 10];
    size_t size;
    memset(bytes, 'a', sizeof bytes);
    memcpy(bytes + TERN_HTTP_HEAD_MAX - 4, "\r\n\r\n", 4);
    assert_ok(tern_http_head_end(tern_view_of(bytes, sizeof bytes), 0, &size));
    assert_int_equal(size, TERN_HTTP_HEAD_MAX);
    memcpy(bytes + TERN_HTTP_HEAD_MAX - 4, "aaa\r\n\r\n", 7);
    assert_int_equal(tern_http_head_end(tern_view_of(bytes, sizeof bytes), 0, &size),
                     TERN_ERR_TOO_LARGE);
}

static void lines_come_one_by_one(void **state)
{
    (void)state;
    struct tern_http_lines lines = {.left = text("one\r\ntwo: 2\r\nthree:\r\n\r\nrest")};
    static const char *const expected[] = {"one", "two: 2", "three:"};
    struct tern_view line;
    for (size_t i = 0; i < TERN_COUNT_OF(expected); i++) {
        assert_true(tern_http_line_next(&lines, &line));
        assert_true(tern_view_equal(line, text(expected[i])));
    }
    assert_false(tern_http_line_next(&lines, &line));
    assert_false(tern_http_line_next(&lines, &line));
}

static void fields_are_taken_apart_strictly(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *name; /* NULL: malformed */
        const char *value;
    } cases[] = {
        {"Host: example.org", "Host", "example.org"},
        {"host:example.org", "host", "example.org"},
        {"Host: \t a b \t ", "Host", "a b"},
        {"X:", "X", ""},
        {"X: a:b", "X", "a:b"},
        {"!#$%&'*+-.^_`|~09azAZ: v", "!#$%&'*+-.^_`|~09azAZ", "v"},
        {"Host : a", NULL, NULL}, /* read by some as another field: request smuggling */
        {" Host: a", NULL, NULL}, /* obs-fold */
        {"\tfolded", NULL, NULL},
        {"Host", NULL, NULL},
        {": a", NULL, NULL},
        {"Ho(st: a", NULL, NULL},
        {"H\xc3\xb6st: a", NULL, NULL},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        struct tern_view name;
        struct tern_view value;
        bool good = tern_http_field(text(cases[i].line), &name, &value);
        assert_int_equal(good, cases[i].name != NULL);
        if (good) {
            assert_true(tern_view_equal(name, text(cases[i].name)));
            assert_true(tern_view_equal(value, text(cases[i].value)));
        }
    }
}

static void words_lists_and_cases(void **state)
{
    (void)state;
    struct tern_view line = text("GET /a?b HTTP/1.1");
    struct tern_view word;
    assert_true(tern_http_word(&line, &word) && tern_view_equal(word, text("GET")));
    assert_true(tern_http_word(&line, &word) && tern_view_equal(word, text("/a?b")));
    assert_true(tern_http_word(&line, &word) && tern_view_equal(word, text("HTTP/1.1")));
    assert_false(tern_http_word(&line, &word));
    static const char *const bad[] = {"", " GET", "\tGET", "GE\tT", "GE\xc3\xa9T"};
    for (size_t i = 0; i < TERN_COUNT_OF(bad); i++) {
        line = text(bad[i]);
        assert_false(tern_http_word(&line, &word));
    }
    line = text("GET  /"); /* two spaces: the second word is empty */
    assert_true(tern_http_word(&line, &word));
    assert_false(tern_http_word(&line, &word));

    assert_true(tern_http_same(text("WebSocket"), "websocket"));
    assert_false(tern_http_same(text("websockets"), "websocket"));
    assert_false(tern_http_same(text("@"), "`"));
    static const struct {
        const char *list;
        bool has;
    } lists[] = {
        {"upgrade", true},
        {"Upgrade", true},
        {"keep-alive, Upgrade", true},
        {"keep-alive,\tUPGRADE ,x", true},
        {",,upgrade", true},
        {"keep-alive", false},
        {"upgraded", false},
        {"up grade", false},
        {"", false},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(lists); i++)
        assert_int_equal(tern_http_list_has(text(lists[i].list), "upgrade"), lists[i].has);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_ends_at_its_empty_line),
        cmocka_unit_test(a_head_is_bounded),
        cmocka_unit_test(lines_come_one_by_one),
        cmocka_unit_test(fields_are_taken_apart_strictly),
        cmocka_unit_test(words_lists_and_cases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
