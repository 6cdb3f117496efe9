/*
 * The record layer alone: RFC 8448's trace, every header, every inner type, and the messages that
 * come between data in every cut.
 */
#include "tern_test.h"

#include "base/random.h"
#include "crypto/test_hex.h"
#include "secure/tls_record.h"

enum { RECORD_MAX = TERN_TLS_HEADER_SIZE + TERN_TLS_CIPHERTEXT_MAX };

static struct tern_aead_engine engine;

static int start_engine(void **state)
{
    (void)state;
    return tern_aead_engine_init(&engine) != TERN_OK;
}

static int stop_engine(void **state)
{
    (void)state;
    tern_aead_engine_fini(&engine);
    return 0;
}

/* ---- RFC 8448, section 3 ---- */

static const char client_secret[] =
    "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5";
static const char server_secret[] =
    "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643";

static struct tern_tls_keys keys_of(const char *secret_hex)
{
    struct tern_tls_keys keys;
    tern_tls_keys_init(&keys, tern_tls_suite_find(0x1301), TEST_HEX(secret_hex, 32).data);
    return keys;
}

static void keys_are_those_of_the_trace(void **state)
{
    (void)state;
    static const struct {
        const char *secret;
        const char *key;
        const char *iv;
    } cases[] = {
        {client_secret, "17422dda596ed5d9acd890e3c63f5051", "5b78923dee08579033e523d9"},
        {server_secret, "9f02283b6c9c07efc26bb9f2ac92e356", "cf782b88dd83549aadf1e984"},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        struct tern_tls_keys keys = keys_of(cases[i].secret);
        assert_true(tern_view_equal(tern_view_of(keys.key, 16), TEST_HEX(cases[i].key, 16)));
        assert_true(
            tern_view_equal(tern_view_of(keys.iv, sizeof keys.iv), TEST_HEX(cases[i].iv, 12)));
    }
}

static const char ticket_record[] =
    "17030300de3a6b8f90414a97d6959c3487680de5134a2b240e6cffac116e95d41d6af8f6b580dcf3d11d63c758db28"
    "9a015940252f55713e061dc13e078891a38efbcf5753ad8ef170ad3c7353d16d9da773b9ca7f2b9fa1b6c0d4a3d03f"
    "75e09c30ba1e62972ac46f75f7b981be63439b2999ce13064615139891d5e4c5b406f16e3fc181a77ca475840025db"
    "2f0a77f81b5ab05b94c01346755f69232c86519d86cbeeac87aac347d143f9605d64f650db4d023e70e952ca49fe51"
    "37121c74bc2697687e248746d6df353005f3bce18696129c8153556b3b6c6779b37bf15985684f";
static const char ticket_message[] =
    "040000c90000001efad6aac502000000b22c035d829359ee5ff7af4ec900000000262a6494dc486d2c8a34cb33fa90"
    "bf1b0070ad3c498883c9367c09a2be785abc55cd226097a3a982117283f82a03a143efd3ff5dd36d64e861be7fd61d"
    "2827db279cce145077d454a3664d4e6da4d29ee03725a6a4dafcd0fc67d2aea70529513e3da2677fa5906c5b3f7d8f"
    "92f228bda40dda721470f9fbf297b5aea617646fac5c03272e970727c621a79141ef5f7de6505e5bfbc388e9334369"
    "4093934ae4d3570008002a000400000400";
static const char payload[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021"
                              "22232425262728292a2b2c2d2e2f3031";

struct trace_record {
    enum tern_tls_type type;
    const char *content;
    const char *record;
};

static void open_and_seal(struct tern_tls_keys *keys, const struct trace_record *r)
{
    const struct tern_tls_suite *suite = tern_tls_suite_find(0x1301);
    struct tern_tls_keys again = *keys;
    uint8_t bytes[512];
    struct tern_view record = TEST_HEX(r->record, 512);
    struct tern_view content = TEST_HEX(r->content, 512);
    struct tern_tls_refusal refusal;
    struct tern_tls_content opened;
    memcpy(bytes, record.data, record.size);
    assert_int_equal(tern_tls_judge(bytes, &refusal), TERN_OK);
    assert_int_equal(tern_tls_open(&(struct tern_tls_sealing){&engine, suite, keys}, record.data,
                                   (struct tern_span){bytes + 5, record.size - 5}, &opened,
                                   &refusal),
                     TERN_OK);
    assert_int_equal(opened.type, r->type);
    assert_true(tern_view_equal(opened.bytes, content));
    memcpy(bytes + 5, content.data, content.size);
    assert_int_equal(tern_tls_seal(&(struct tern_tls_sealing){&engine, suite, &again}, bytes,
                                   r->type, content.size),
                     TERN_OK);
    assert_true(tern_view_equal(tern_view_of(bytes, content.size + TERN_TLS_OVERHEAD), record));
    assert_int_equal(again.sequence, keys->sequence);
}

static void records_are_those_of_the_trace(void **state)
{
    (void)state;
    static const struct trace_record client[] = {
        {TERN_TLS_APPLICATION_DATA, payload,
         "1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a2"
         "0441e2b62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4"},
        {TERN_TLS_ALERT, "0100", "1703030013c9872760655666b74d7ff1153efd6db6d0b0e3"},
    };
    static const struct trace_record server[] = {
        {TERN_TLS_HANDSHAKE, ticket_message, ticket_record},
        {TERN_TLS_APPLICATION_DATA, payload,
         "17030300432e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e30efaf97d90e6dffc602dcb5"
         "01a59a8fcc49c4bf2e5f0a21c0047c2abf332540dd032e167c2955d"},
        {TERN_TLS_ALERT, "0100", "1703030013b58fd67166ebf599d24720cfbe7efa7a8864a9"},
    };
    struct tern_tls_keys keys = keys_of(client_secret);
    for (size_t i = 0; i < TERN_COUNT_OF(client); i++)
        open_and_seal(&keys, &client[i]);
    keys = keys_of(server_secret);
    for (size_t i = 0; i < TERN_COUNT_OF(server); i++)
        open_and_seal(&keys, &server[i]);
}

/* ---- records ---- */

static const uint16_t suite_ids[] = {0x1301, 0x1302, 0x1303};

static void only_our_suites_are_found(void **state)
{
    (void)state;
    assert_int_equal(tern_tls_suite_find(0x1302)->secret_size, 48);
    assert_null(tern_tls_suite_find(0x1304));
    assert_null(tern_tls_suite_find(0xc02f));
}

/* Seals any content, with padding behind its type. */
static size_t seal(struct tern_tls_keys *keys, const struct tern_tls_suite *suite,
                   struct tern_view inner, uint8_t *record)
{
    size_t length = inner.size + TERN_AEAD_TAG_SIZE;
    const uint8_t header[TERN_TLS_HEADER_SIZE] = {23, 3, 3, (uint8_t)(length >> 8),
                                                  (uint8_t)length};
    memcpy(record, header, sizeof header);
    struct tern_aead_params params = {.cipher = suite->cipher,
                                      .key = keys->key,
                                      .associated = tern_view_of(header, sizeof header)};
    memcpy(params.nonce, keys->iv, sizeof params.nonce);
    for (size_t i = 0; i < 8; i++)
        params.nonce[11 - i] ^= (uint8_t)(keys->sequence >> (8 * i));
    keys->sequence++;
    assert_int_equal(tern_aead_seal(&engine, &params, inner, record + sizeof header), TERN_OK);
    return sizeof header + length;
}

static tern_err open_record(struct tern_tls_keys *keys, const struct tern_tls_suite *suite,
                            uint8_t *record, struct tern_tls_content *content,
                            struct tern_tls_refusal *refusal)
{
    *refusal = (struct tern_tls_refusal){.err = TERN_OK};
    *content = (struct tern_tls_content){.type = 0};
    if (tern_tls_judge(record, refusal) != TERN_OK)
        return refusal->err;
    struct tern_span body = {record + 5, ((size_t)record[3] << 8) | record[4]};
    return tern_tls_open(&(struct tern_tls_sealing){&engine, suite, keys}, record, body, content,
                         refusal);
}

static void sizes_and_paddings_come_through(void **state)
{
    (void)state;
    static const struct {
        size_t size;
        size_t padding;
        tern_fault fault;
    } cases[] = {
        {0, 0, TERN_FAULT_NONE},
        {1, 0, TERN_FAULT_NONE},
        {100, 1, TERN_FAULT_NONE},
        {100, 16284, TERN_FAULT_NONE},
        {100, 16285, TERN_FAULT_TLS_RECORD_TOO_LARGE}, /* 2^14 + 1 with the type */
        {16384, 0, TERN_FAULT_NONE},
        {16385, 0, TERN_FAULT_TLS_RECORD_TOO_LARGE},
        {0, 16384, TERN_FAULT_NONE},
    };
    static uint8_t inner[20000];
    static uint8_t record[RECORD_MAX + 4000];
    uint8_t secret[TERN_TLS_SECRET_SIZE_MAX] = {1};
    for (size_t s = 0; s < TERN_COUNT_OF(suite_ids); s++) {
        const struct tern_tls_suite *suite = tern_tls_suite_find(suite_ids[s]);
        struct tern_tls_keys send;
        tern_tls_keys_init(&send, suite, secret);
        struct tern_tls_keys receive = send;
        for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
            struct tern_tls_content content;
            struct tern_tls_refusal refusal;
            memset(inner, 0, sizeof inner);
            memset(inner, 0x5a, cases[i].size);
            inner[cases[i].size] = TERN_TLS_APPLICATION_DATA;
            size_t size = cases[i].size + 1 + cases[i].padding;
            seal(&send, suite, tern_view_of(inner, size), record);
            (void)open_record(&receive, suite, record, &content, &refusal);
            assert_int_equal(refusal.fault, cases[i].fault);
            if (cases[i].fault == TERN_FAULT_NONE) {
                assert_true(tern_view_equal(content.bytes, tern_view_of(inner, cases[i].size)));
                assert_int_equal(content.type, TERN_TLS_APPLICATION_DATA);
            } else {
                assert_int_equal(refusal.alert, TERN_TLS_RECORD_OVERFLOW);
            }
        }
    }
}

static void headers_are_judged_before_anything_else(void **state)
{
    (void)state;
    static const struct {
        uint8_t header[5];
        tern_fault fault;
        enum tern_tls_alert_code alert;
    } cases[] = {
        {{23, 3, 3, 0, 17}, TERN_FAULT_NONE, 0},
        {{23, 9, 9, 0, 17}, TERN_FAULT_NONE, 0}, /* the version is not looked at */
        {{23, 3, 3, 0x41, 0x00}, TERN_FAULT_NONE, 0},
        {{23, 3, 3, 0x41, 0x01}, TERN_FAULT_TLS_RECORD_TOO_LARGE, TERN_TLS_RECORD_OVERFLOW},
        {{23, 3, 3, 0xff, 0xff}, TERN_FAULT_TLS_RECORD_TOO_LARGE, TERN_TLS_RECORD_OVERFLOW},
        {{23, 3, 3, 0, 16}, TERN_FAULT_TLS_RECORD_SHORT, TERN_TLS_DECODE_ERROR},
        {{23, 3, 3, 0, 0}, TERN_FAULT_TLS_RECORD_SHORT, TERN_TLS_DECODE_ERROR},
        {{20, 3, 3, 0, 1}, TERN_FAULT_TLS_RECORD_TYPE, TERN_TLS_UNEXPECTED_MESSAGE},
        {{21, 3, 3, 0, 2}, TERN_FAULT_TLS_RECORD_TYPE, TERN_TLS_UNEXPECTED_MESSAGE},
        {{22, 3, 3, 0, 17}, TERN_FAULT_TLS_RECORD_TYPE, TERN_TLS_UNEXPECTED_MESSAGE},
        {{0, 0, 0, 0, 0}, TERN_FAULT_TLS_RECORD_TYPE, TERN_TLS_UNEXPECTED_MESSAGE},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        struct tern_tls_refusal refusal = {.err = TERN_OK};
        tern_err err = tern_tls_judge(cases[i].header, &refusal);
        assert_int_equal(err, refusal.err);
        assert_int_equal(refusal.fault, cases[i].fault);
        assert_int_equal(err == TERN_OK, cases[i].fault == TERN_FAULT_NONE);
        if (err != TERN_OK)
            assert_int_equal(refusal.alert, cases[i].alert);
    }
}

static void zeros_alone_are_no_record(void **state)
{
    (void)state;
    static const uint8_t zeros[1000];
    const struct tern_tls_suite *suite = tern_tls_suite_find(0x1301);
    struct tern_tls_keys send = keys_of(client_secret);
    struct tern_tls_keys receive = send;
    static const size_t sizes[] = {1, 2, 1000};
    for (size_t i = 0; i < TERN_COUNT_OF(sizes); i++) {
        uint8_t record[1100];
        struct tern_tls_content content;
        struct tern_tls_refusal refusal;
        seal(&send, suite, tern_view_of(zeros, sizes[i]), record);
        assert_int_equal(open_record(&receive, suite, record, &content, &refusal),
                         TERN_ERR_PROTOCOL);
        assert_int_equal(refusal.fault, TERN_FAULT_TLS_RECORD_TYPE);
        assert_int_equal(refusal.alert, TERN_TLS_UNEXPECTED_MESSAGE);
    }
}

static void any_flipped_bit_is_noticed(void **state)
{
    (void)state;
    for (size_t s = 0; s < TERN_COUNT_OF(suite_ids); s++) {
        const struct tern_tls_suite *suite = tern_tls_suite_find(suite_ids[s]);
        uint8_t secret[TERN_TLS_SECRET_SIZE_MAX] = {3};
        struct tern_tls_keys keys;
        tern_tls_keys_init(&keys, suite, secret);
        for (size_t bit = 0; bit < 8 * (20 + TERN_TLS_OVERHEAD); bit++) {
            uint8_t record[RECORD_MAX] = {0};
            struct tern_tls_keys send = keys;
            struct tern_tls_keys receive = keys;
            struct tern_tls_content content;
            struct tern_tls_refusal refusal;
            assert_int_equal(tern_tls_seal(&(struct tern_tls_sealing){&engine, suite, &send},
                                           record, TERN_TLS_APPLICATION_DATA, 20),
                             TERN_OK);
            record[bit / 8] ^= (uint8_t)(1U << bit % 8);
            tern_err err = open_record(&receive, suite, record, &content, &refusal);
            assert_int_not_equal(err, TERN_OK);
            assert_int_not_equal(refusal.fault, TERN_FAULT_NONE);
            assert_int_equal(content.bytes.size, 0);
        }
    }
}

static void sequence_numbers_have_an_end(void **state)
{
    (void)state;
    const struct tern_tls_suite *suite = tern_tls_suite_find(0x1301);
    struct tern_tls_keys keys = keys_of(client_secret);
    struct tern_tls_content content;
    struct tern_tls_refusal refusal;
    uint8_t record[RECORD_MAX] = {23, 3, 3, 0, 17};
    keys.sequence = UINT64_MAX;
    assert_int_equal(open_record(&keys, suite, record, &content, &refusal), TERN_ERR_CLOSED);
    assert_int_equal(refusal.fault, TERN_FAULT_NONE);
}

static void updated_keys_are_others_and_start_anew(void **state)
{
    (void)state;
    for (size_t s = 0; s < TERN_COUNT_OF(suite_ids); s++) {
        const struct tern_tls_suite *suite = tern_tls_suite_find(suite_ids[s]);
        uint8_t secret[TERN_TLS_SECRET_SIZE_MAX] = {9};
        struct tern_tls_keys first;
        tern_tls_keys_init(&first, suite, secret);
        first.sequence = 77;
        struct tern_tls_keys next = first;
        tern_tls_keys_update(&next, suite);
        assert_int_equal(next.sequence, 0);
        assert_memory_not_equal(next.secret, first.secret, suite->secret_size);
        assert_memory_not_equal(next.key, first.key, 16);
        assert_memory_not_equal(next.iv, first.iv, sizeof next.iv);
    }
}

/* ---- messages ---- */

struct message_case {
    const char *what;
    const char *bytes;
    size_t size;
    enum tern_role role;
    tern_fault fault;
    enum tern_tls_alert_code alert;
    enum tern_tls_message message;
};

#define MESSAGE(b) b, sizeof(b) - 1

static const struct message_case message_cases[] = {
    {"update", MESSAGE("\x18\x00\x00\x01\x00"), TERN_ROLE_INITIATOR, TERN_FAULT_NONE, 0,
     TERN_TLS_MESSAGE_UPDATE},
    {"update, asking", MESSAGE("\x18\x00\x00\x01\x01"), TERN_ROLE_RESPONDER, TERN_FAULT_NONE, 0,
     TERN_TLS_MESSAGE_UPDATE_REQUEST},
    {"update of no known kind", MESSAGE("\x18\x00\x00\x01\x02"), TERN_ROLE_RESPONDER,
     TERN_FAULT_TLS_BAD_MESSAGE, TERN_TLS_ILLEGAL_PARAMETER, 0},
    {"empty update", MESSAGE("\x18\x00\x00\x00"), TERN_ROLE_RESPONDER, TERN_FAULT_TLS_BAD_MESSAGE,
     TERN_TLS_DECODE_ERROR, 0},
    {"long update", MESSAGE("\x18\x00\x00\x02\x00\x00"), TERN_ROLE_RESPONDER,
     TERN_FAULT_TLS_BAD_MESSAGE, TERN_TLS_DECODE_ERROR, 0},
    {"bytes behind an update", MESSAGE("\x18\x00\x00\x01\x00\x18"), TERN_ROLE_RESPONDER,
     TERN_FAULT_TLS_INTERLEAVED, TERN_TLS_UNEXPECTED_MESSAGE, 0},
    {"ticket",
     MESSAGE("\x04\x00\x00\x03"
             "abc"),
     TERN_ROLE_INITIATOR, TERN_FAULT_NONE, 0, TERN_TLS_MESSAGE_NONE},
    {"two tickets and an update",
     MESSAGE("\x04\x00\x00\x03"
             "abc"
             "\x04\x00\x00\x01"
             "d"
             "\x18\x00\x00\x01\x00"),
     TERN_ROLE_INITIATOR, TERN_FAULT_NONE, 0, TERN_TLS_MESSAGE_UPDATE},
    {"a ticket for the responder",
     MESSAGE("\x04\x00\x00\x03"
             "abc"),
     TERN_ROLE_RESPONDER, TERN_FAULT_TLS_RECORD_TYPE, TERN_TLS_UNEXPECTED_MESSAGE, 0},
    {"a ticket of 16 MiB", MESSAGE("\x04\xff\xff\xff"), TERN_ROLE_INITIATOR,
     TERN_FAULT_TLS_BAD_MESSAGE, TERN_TLS_DECODE_ERROR, 0},
    {"a request for a certificate", MESSAGE("\x0d\x00\x00\x01\x00"), TERN_ROLE_INITIATOR,
     TERN_FAULT_TLS_RECORD_TYPE, TERN_TLS_UNEXPECTED_MESSAGE, 0},
    {"renegotiation by the client", MESSAGE("\x01\x00\x00\x01\x00"), TERN_ROLE_RESPONDER,
     TERN_FAULT_TLS_RECORD_TYPE, TERN_TLS_UNEXPECTED_MESSAGE, 0},
    {"renegotiation by the server", MESSAGE("\x00\x00\x00\x00"), TERN_ROLE_INITIATOR,
     TERN_FAULT_TLS_RECORD_TYPE, TERN_TLS_UNEXPECTED_MESSAGE, 0},
};

/* In one piece, and cut at every place: the verdict is the same, wherever it falls. */
static void messages_are_judged_in_every_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(message_cases); i++) {
        const struct message_case *c = &message_cases[i];
        for (size_t cut = 1; cut <= c->size; cut++) {
            struct tern_tls_messages messages = {.left = 0};
            struct tern_tls_refusal refusal = {.err = TERN_OK};
            enum tern_tls_message message = TERN_TLS_MESSAGE_NONE;
            const struct tern_view pieces[] = {{(const uint8_t *)c->bytes, cut},
                                               {(const uint8_t *)c->bytes + cut, c->size - cut}};
            tern_err err = TERN_OK;
            for (size_t p = 0; p < 2 && err == TERN_OK && pieces[p].size > 0; p++)
                err = tern_tls_messages_take(&messages, c->role, pieces[p], &message, &refusal);
            /* Whatever stands behind an update in a record of its own has the next key. */
            bool cut_behind_update = c->fault == TERN_FAULT_TLS_INTERLEAVED && cut == c->size - 1;
            if (!cut_behind_update && refusal.fault != c->fault)
                fail_msg("%s, cut at %zu: %s", c->what, cut, tern_fault_name(refusal.fault));
            if (c->fault == TERN_FAULT_NONE) {
                assert_int_equal(message, c->message);
                assert_false(tern_tls_messages_open(&messages));
            } else if (!cut_behind_update) {
                assert_int_equal(refusal.alert, c->alert);
            }
        }
    }
}

static void a_message_in_part_is_told(void **state)
{
    (void)state;
    struct tern_tls_messages messages = {.left = 0};
    struct tern_tls_refusal refusal;
    enum tern_tls_message message;
    assert_false(tern_tls_messages_open(&messages));
    assert_int_equal(tern_tls_messages_take(&messages, TERN_ROLE_INITIATOR,
                                            tern_view_of("\x04\x00\x00\x03"
                                                         "a",
                                                         5),
                                            &message, &refusal),
                     TERN_OK);
    assert_true(tern_tls_messages_open(&messages));
    assert_int_equal(tern_tls_messages_take(&messages, TERN_ROLE_INITIATOR, tern_view_of("", 0),
                                            &message, &refusal),
                     TERN_ERR_PROTOCOL);
    assert_int_equal(refusal.fault, TERN_FAULT_TLS_BAD_MESSAGE);
}

static void our_updates_are_what_we_take(void **state)
{
    (void)state;
    for (int request = 0; request < 2; request++) {
        uint8_t update[TERN_TLS_UPDATE_SIZE];
        struct tern_tls_messages messages = {.left = 0};
        struct tern_tls_refusal refusal;
        enum tern_tls_message message;
        tern_tls_update_write(update, request != 0);
        assert_int_equal(tern_tls_messages_take(&messages, TERN_ROLE_INITIATOR,
                                                tern_view_of(update, sizeof update), &message,
                                                &refusal),
                         TERN_OK);
        assert_int_equal(message,
                         request != 0 ? TERN_TLS_MESSAGE_UPDATE_REQUEST : TERN_TLS_MESSAGE_UPDATE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_those_of_the_trace),
        cmocka_unit_test(records_are_those_of_the_trace),
        cmocka_unit_test(only_our_suites_are_found),
        cmocka_unit_test(sizes_and_paddings_come_through),
        cmocka_unit_test(headers_are_judged_before_anything_else),
        cmocka_unit_test(zeros_alone_are_no_record),
        cmocka_unit_test(any_flipped_bit_is_noticed),
        cmocka_unit_test(sequence_numbers_have_an_end),
        cmocka_unit_test(updated_keys_are_others_and_start_anew),
        cmocka_unit_test(messages_are_judged_in_every_cut),
        cmocka_unit_test(a_message_in_part_is_told),
        cmocka_unit_test(our_updates_are_what_we_take),
    };
    return cmocka_run_group_tests(tests, start_engine, stop_engine);
}
