/* Requests and responses, and the field sections that they are made of. */
#include "webtransport/request.h"

#include "tern_test.h"
#include "webtransport/http3.h"
#include "webtransport/qpack.h"

#define PATH       {":path", VIEW("/.well-known/libp2p-webtransport?type=noise")}
#define VIEW(text) {(const uint8_t *)(text), sizeof(text) - 1}
#define CONNECT                                                                                    \
    {":method", VIEW("CONNECT")}, {":protocol", VIEW("webtransport")}, {":scheme", VIEW("https")}, \
    {                                                                                              \
        ":authority", VIEW("a")                                                                    \
    }

static struct tern_mem mem;

static tern_err request(const struct web_field *fields, size_t count, enum web_status *status,
                        tern_fault *fault)
{
    uint8_t bytes[4096];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    assert_ok(web_qpack_encode(&mem, fields, count, &w));
    return web_request_read(&mem, tern_writer_view(&w), status, fault);
}

static void our_request_is_good(void **state)
{
    uint8_t bytes[WEB_MESSAGE_SIZE_MAX];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    enum web_status status;
    tern_fault fault;
    (void)state;
    assert_ok(web_request_write(&mem, tern_view_str("example.org:4001"), &w));
    assert_int_equal(bytes[0], WEB_FRAME_HEADERS);
    size_t head = bytes[1] < 0x40 ? 2 : 3;
    assert_ok(web_request_read(&mem, tern_view_of(bytes + head, w.size - head), &status, &fault));
    assert_int_equal(status, WEB_STATUS_OK);
}

static void our_answers_are_good(void **state)
{
    static const enum web_status statuses[] = {WEB_STATUS_OK, WEB_STATUS_NOT_FOUND,
                                               WEB_STATUS_NOT_IMPLEMENTED};
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(statuses); i++) {
        uint8_t bytes[WEB_MESSAGE_SIZE_MAX];
        struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
        unsigned status;
        tern_fault fault;
        assert_ok(web_response_write(&mem, statuses[i], &w));
        assert_ok(web_response_read(&mem, tern_view_of(bytes + 2, w.size - 2), &status, &fault));
        assert_int_equal(status, statuses[i]);
    }
}

static void messages_that_break_the_rules(void **state)
{
    static const struct {
        struct web_field fields[8];
        size_t count;
    } rows[] = {
        {{{":scheme", VIEW("https")}}, 1},
        {{CONNECT, PATH, PATH}, 6},                     /* twice */
        {{CONNECT, {"a", VIEW("b")}, PATH}, 6},         /* behind another one */
        {{CONNECT, PATH, {":status", VIEW("200")}}, 6}, /* of an answer */
        {{CONNECT, PATH, {":other", VIEW("x")}}, 6},    /* unknown */
        {{CONNECT, PATH, {"Upper", VIEW("x")}}, 6},
        {{CONNECT, PATH, {"with space", VIEW("x")}}, 6},
        {{CONNECT, PATH, {"co:lon", VIEW("x")}}, 6},
        {{CONNECT, PATH, {"connection", VIEW("close")}}, 6},
        {{CONNECT, PATH, {"transfer-encoding", VIEW("chunked")}}, 6},
        {{CONNECT, {":path", VIEW("")}}, 5},
        {{CONNECT}, 4}, /* no path */
        {{{":method", VIEW("CONNECT")}, {":protocol", VIEW("webtransport")}, PATH}, 3},
        {{{":method", VIEW("GET")},
          {":protocol", VIEW("webtransport")},
          {":scheme", VIEW("https")},
          {":authority", VIEW("a")},
          PATH},
         5},
        {{{":method", VIEW("CONNECT")}, {":authority", VIEW("a")}, PATH}, 3},
    };
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++) {
        enum web_status status;
        tern_fault fault;
        assert_int_equal(request(rows[i].fields, rows[i].count, &status, &fault),
                         TERN_ERR_PROTOCOL);
        assert_int_equal(fault, TERN_FAULT_WEBTRANSPORT_FIELDS);
    }
}

static void other_fields_may_stand_beside(void **state)
{
    static const struct web_field fields[] = {CONNECT,
                                              PATH,
                                              {"origin", VIEW("https://example.org")},
                                              {"sec-webtransport-http3-draft02", VIEW("1")},
                                              {"user-agent", VIEW("")}};
    enum web_status status;
    tern_fault fault;
    (void)state;
    assert_ok(request(fields, TERN_COUNT_OF(fields), &status, &fault));
    assert_int_equal(status, WEB_STATUS_OK);
}

static void sections_are_bounded(void **state)
{
    static uint8_t bytes[WEB_FIELDS_SIZE_MAX + 1];
    enum web_status status;
    tern_fault fault;
    (void)state;
    assert_int_equal(web_request_read(&mem, tern_view_of(bytes, sizeof bytes), &status, &fault),
                     TERN_ERR_TOO_LARGE);
    assert_int_equal(fault, TERN_FAULT_WEBTRANSPORT_FIELDS_TOO_LARGE);
    /* A name that says to be longer than all. */
    static const uint8_t huge[] = {0x00, 0x00, 0x27, 0xff, 0xff, 0xff, 0xff, 0x7f};
    assert_int_not_equal(web_request_read(&mem, tern_view_of(huge, sizeof huge), &status, &fault),
                         TERN_OK);
    assert_int_not_equal(fault, TERN_FAULT_NONE);
    /* Room that does not suffice. */
    struct tern_writer w = tern_writer_of(bytes, 10);
    assert_int_equal(web_request_write(&mem, tern_view_str("a"), &w), TERN_ERR_TOO_LARGE);
}

static void every_allocation_may_fail(void **state)
{
    uint8_t bytes[WEB_MESSAGE_SIZE_MAX];
    enum web_status status;
    tern_fault fault;
    bool done = false;
    (void)state;
    for (uint64_t n = 1; !done; n++) {
        struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
        tern_mem_fail_at(&mem, n, false);
        tern_err err = web_request_write(&mem, tern_view_str("x-long-authority.example"), &w);
        done = err == TERN_OK;
        assert_true(done || err == TERN_ERR_MEMORY);
        assert_int_equal(mem.used, 0);
    }
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_mem_fail_at(&mem, 0, false);
    assert_ok(web_request_write(&mem, tern_view_str("x-long-authority.example"), &w));
    size_t head = bytes[1] < 0x40 ? 2 : 3;
    done = false;
    for (uint64_t n = 1; !done; n++) {
        tern_mem_fail_at(&mem, n, false);
        tern_err err =
            web_request_read(&mem, tern_view_of(bytes + head, w.size - head), &status, &fault);
        done = err == TERN_OK;
        assert_true(done || (err == TERN_ERR_MEMORY && fault == TERN_FAULT_NONE));
        assert_int_equal(mem.used, 0);
    }
    tern_mem_fail_at(&mem, 0, false);
}

static void what_qpack_may_say(void **state)
{
    struct web_qpack_decoder decoder = {.more = 0};
    (void)state;
    assert_true(web_qpack_encoder_byte(0x20));
    for (unsigned byte = 0; byte < 256; byte++)
        assert_true(byte == 0x20 || !web_qpack_encoder_byte((uint8_t)byte));
    assert_true(web_qpack_decoder_byte(&decoder, 0x40));
    assert_true(web_qpack_decoder_byte(&decoder, 0x7f));
    assert_true(web_qpack_decoder_byte(&decoder, 0x80));
    assert_true(web_qpack_decoder_byte(&decoder, 0x01));
    assert_false(web_qpack_decoder_byte(&decoder, 0x01)); /* Insert Count Increment */
    assert_false(web_qpack_decoder_byte(&decoder, 0x80)); /* Section Acknowledgment */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_request_is_good),
        cmocka_unit_test(our_answers_are_good),
        cmocka_unit_test(messages_that_break_the_rules),
        cmocka_unit_test(other_fields_may_stand_beside),
        cmocka_unit_test(sections_are_bounded),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(what_qpack_may_say),
    };
    tern_mem_init(&mem, 0);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    tern_mem_fini(&mem);
    return failed;
}
