#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "secure/noise_payload.h"
#include "wire/protobuf.h"

#define TEXT(s) {(const uint8_t *)(s), sizeof(s) - 1}

static const struct tern_view yamux = TEXT("/yamux/1.0.0");
static const struct tern_view mplex = TEXT("/mplex/6.7.0");

static void extensions_survive_the_way(void **state)
{
    (void)state;
    const struct tern_view muxers[] = {yamux, mplex};
    const struct tern_view hashes[] = {TEXT("\x12\x20hash")};
    struct tern_noise_list m = {muxers, 2};
    struct tern_noise_list h = {hashes, 1};
    uint8_t bytes[256];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_pb_write_bytes(&w, 1, tern_view_str("key"));
    tern_pb_write_bytes(&w, 2, tern_view_str("signature"));
    size_t before = w.size;
    tern_noise_extensions_encode(h, m, &w);
    assert_int_equal(w.size - before, tern_noise_extensions_size(h, m));

    struct tern_noise_payload payload;
    tern_fault fault = TERN_FAULT_NONE;
    assert_int_equal(tern_noise_payload_decode(tern_writer_view(&w), &payload, &fault), TERN_OK);
    assert_true(tern_view_equal(payload.identity_key, tern_view_str("key")));
    assert_true(tern_view_equal(payload.identity_sig, tern_view_str("signature")));
    assert_int_equal(payload.muxers_count, 2);
    assert_true(tern_view_equal(payload.muxers[0], yamux));
    assert_true(tern_view_equal(payload.muxers[1], mplex));
    assert_int_equal(payload.certhashes_count, 1);
    assert_true(tern_view_equal(payload.certhashes[0], hashes[0]));
}

static void empty_lists_make_no_extension(void **state)
{
    (void)state;
    uint8_t bytes[8];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    const struct tern_noise_list none = {NULL, 0};
    assert_int_equal(tern_noise_extensions_size(none, none), 0);
    tern_noise_extensions_encode(none, none, &w);
    assert_int_equal(w.size, 0);
}

struct decode_case {
    const char *what;
    struct tern_view bytes;
    tern_err err;
    tern_fault fault;
    size_t muxers_count;
};

static const struct decode_case decode_cases[] = {
    {"nothing at all", TEXT(""), TERN_OK, TERN_FAULT_NONE, 0},
    {"unknown fields", TEXT("\x1a\x03old\x28\x01"), TERN_OK, TERN_FAULT_NONE, 0},
    {"a known number with another type", TEXT("\x20\x07"), TERN_OK, TERN_FAULT_NONE, 0},
    {"unknown extensions", TEXT("\x22\x04\x1a\x02zz"), TERN_OK, TERN_FAULT_NONE, 0},
    {"extensions in two fields add up", TEXT("\x22\x03\x12\x01\x61\x22\x03\x12\x01\x62"), TERN_OK,
     TERN_FAULT_NONE, 2},
    {"a field longer than the payload", TEXT("\x0a\x05key"), TERN_ERR_MALFORMED,
     TERN_FAULT_NOISE_BAD_PAYLOAD, 0},
    {"a broken tag", TEXT("\xff\xff\xff\xff\xff\xff"), TERN_ERR_MALFORMED,
     TERN_FAULT_NOISE_BAD_PAYLOAD, 0},
    {"a broken extension", TEXT("\x22\x03\x12\x05\x61"), TERN_ERR_MALFORMED,
     TERN_FAULT_NOISE_BAD_PAYLOAD, 0},
};

static void payloads_are_judged_by_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(decode_cases); i++) {
        const struct decode_case *c = &decode_cases[i];
        struct tern_noise_payload payload;
        tern_fault fault = TERN_FAULT_NONE;
        tern_err err = tern_noise_payload_decode(c->bytes, &payload, &fault);
        if (err != c->err || fault != c->fault)
            fail_msg("%s: %s, %s", c->what, tern_err_name(err), tern_fault_name(fault));
        if (err == TERN_OK)
            assert_int_equal(payload.muxers_count, c->muxers_count);
    }
}

static void lists_have_a_limit(void **state)
{
    (void)state;
    for (uint32_t number = 1; number <= 2; number++) {
        for (size_t count = TERN_NOISE_EXTENSION_ENTRIES_MAX; count <= 65; count++) {
            uint8_t bytes[4 * 66 + 8];
            struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
            tern_pb_write_header(&w, 4, count * tern_pb_bytes_size(number, 1));
            for (size_t i = 0; i < count; i++)
                tern_pb_write_bytes(&w, number, tern_view_str("x"));
            struct tern_noise_payload payload;
            tern_fault fault = TERN_FAULT_NONE;
            tern_err err = tern_noise_payload_decode(tern_writer_view(&w), &payload, &fault);
            bool too_many = count > TERN_NOISE_EXTENSION_ENTRIES_MAX;
            assert_int_equal(err, too_many ? TERN_ERR_TOO_LARGE : TERN_OK);
            assert_int_equal(fault, too_many ? TERN_FAULT_NOISE_TOO_MANY_ENTRIES : TERN_FAULT_NONE);
        }
    }
}

static void first_common_keeps_the_first_lists_order(void **state)
{
    (void)state;
    const struct tern_view a[] = {TEXT("/quic"), yamux, mplex};
    const struct tern_view b[] = {mplex, yamux};
    struct tern_noise_list la = {a, 3};
    struct tern_noise_list lb = {b, 2};
    assert_int_equal(tern_noise_first_common(la, lb), 1);
    assert_int_equal(tern_noise_first_common(lb, la), 0);
    lb.count = 0;
    assert_int_equal(tern_noise_first_common(la, lb), SIZE_MAX);
    assert_true(tern_noise_contains_all(la, (struct tern_noise_list){b, 2}));
    assert_false(tern_noise_contains_all((struct tern_noise_list){b, 2}, la));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(extensions_survive_the_way),
        cmocka_unit_test(empty_lists_make_no_extension),
        cmocka_unit_test(payloads_are_judged_by_the_table),
        cmocka_unit_test(lists_have_a_limit),
        cmocka_unit_test(first_common_keeps_the_first_lists_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
