#include "webrtc/stun.h"

#include "tern_test.h"

#include "base/random.h"
#include "crypto/test_hex.h"

/* RFC 5769, sections 2.1 to 2.3. */
#define VECTOR_PASSWORD "VOkJxbRl1RmTxUk/WvJxBt"
#define VECTOR_REQUEST                                                                             \
    "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e7400240004"     \
    "6e0001ff80290008932ff9b151263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56"     \
    "781ef2b5b2d3f249c1b571a280280004e57a3bcf"
#define VECTOR_RESPONSE_4                                                                          \
    "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147"     \
    "e112a643000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96"
#define VECTOR_RESPONSE_6                                                                          \
    "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a147"     \
    "0113a9faa5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed41"             \
    "80280004c8fb0b4c"

static struct tern_view vector(const char *hex, uint8_t buffer[512])
{
    return test_hex(hex, (struct tern_span){buffer, 512});
}

static struct tern_stun decoded(struct tern_view datagram)
{
    struct tern_stun m;
    tern_fault fault;
    assert_true(tern_stun_is(datagram));
    assert_ok(tern_stun_decode(datagram, &m, &fault));
    assert_int_equal(fault, TERN_FAULT_NONE);
    return m;
}

static void assert_fault(struct tern_view datagram, tern_fault expected)
{
    struct tern_stun m;
    tern_fault fault;
    assert_int_equal(tern_stun_decode(datagram, &m, &fault), TERN_ERR_MALFORMED);
    assert_int_equal(fault, expected);
}

static void the_sample_request_is_understood(void **state)
{
    (void)state;
    uint8_t buffer[512];
    struct tern_view request = vector(VECTOR_REQUEST, buffer);
    struct tern_stun m = decoded(request);
    assert_int_equal(m.class, TERN_STUN_REQUEST);
    assert_true(test_view_is(m.username, "evtj:h6vY"));
    assert_int_equal(m.priority, 0x6e0001ff);
    assert_int_equal(m.role, TERN_STUN_ROLE_CONTROLLED);
    assert_int_equal(m.tie_breaker, 0x932ff9b151263b36);
    assert_false(m.use_candidate);
    assert_int_equal(m.unknown_count, 0);
    assert_true(tern_stun_authentic(&m, request, tern_view_str(VECTOR_PASSWORD)));
    assert_false(tern_stun_authentic(&m, request, tern_view_str("another password")));
    assert_false(tern_stun_authentic(&m, request, tern_view_str("")));
}

static void the_sample_responses_are_understood(void **state)
{
    (void)state;
    uint8_t buffer[512];
    struct tern_view response = vector(VECTOR_RESPONSE_4, buffer);
    struct tern_stun m = decoded(response);
    assert_int_equal(m.class, TERN_STUN_SUCCESS);
    assert_int_equal(m.mapped.family, 4);
    assert_int_equal(m.mapped.port, 32853);
    assert_memory_equal(m.mapped.ip, ((uint8_t[]){192, 0, 2, 1}), 4);
    assert_true(tern_stun_authentic(&m, response, tern_view_str(VECTOR_PASSWORD)));
    response = vector(VECTOR_RESPONSE_6, buffer);
    m = decoded(response);
    assert_int_equal(m.mapped.family, 6);
    assert_int_equal(m.mapped.port, 32853);
    assert_true(tern_view_equal(tern_view_of(m.mapped.ip, 16),
                                TEST_HEX("20010db8123456780011223344556677", 16)));
    assert_true(tern_stun_authentic(&m, response, tern_view_str(VECTOR_PASSWORD)));
}

/* What is encoded decodes to the same, for every choice of attributes. */
static void messages_survive_a_round_trip(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 1 << 9; bits++) {
        struct tern_stun in = {
            .class = (enum tern_stun_class)(bits & 3),
            .transaction = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
            .username = bits & 4 ? tern_view_str("server:client") : tern_view_str(""),
            .priority = bits & 8 ? 0x6e7f1eff : 0,
            .role = (enum tern_stun_role)((bits >> 4) % 3),
            .use_candidate = (bits & 64) != 0,
            .error = bits & 128 ? TERN_STUN_ROLE_CONFLICT : 0,
        };
        if (in.role != TERN_STUN_ROLE_NONE)
            in.tie_breaker = 0x123456789abcdef0;
        if (bits & 256)
            in.mapped = (struct tern_endpoint){.family = 6, .ip = {0xfe, 0x80, 1}, .port = 4001};
        uint8_t buffer[TERN_STUN_ENCODED_MAX];
        struct tern_writer w = tern_writer_of(buffer, sizeof buffer);
        struct tern_view password = tern_view_str("a password that is long enough");
        tern_stun_encode(&in, bits & 1 ? password : tern_view_str(""), &w);
        assert_true(tern_writer_ok(&w));
        struct tern_stun out = decoded(tern_writer_view(&w));
        assert_int_equal(tern_stun_authentic(&out, tern_writer_view(&w), password), bits & 1);
        assert_int_equal(out.class, in.class);
        assert_memory_equal(out.transaction, in.transaction, sizeof in.transaction);
        assert_true(tern_view_equal(out.username, in.username));
        assert_int_equal(out.priority, in.priority);
        assert_int_equal(out.role, in.role);
        assert_int_equal(out.tie_breaker, in.tie_breaker);
        assert_int_equal(out.use_candidate, in.use_candidate);
        assert_int_equal(out.error, in.error);
        assert_memory_equal(&out.mapped, &in.mapped, sizeof in.mapped);
    }
}

static void the_longest_message_keeps_to_its_bound(void **state)
{
    (void)state;
    uint8_t name[TERN_STUN_USERNAME_MAX];
    memset(name, 'n', sizeof name);
    struct tern_stun in = {
        .class = TERN_STUN_REQUEST,
        .username = tern_view_of(name, sizeof name),
        .priority = 1,
        .role = TERN_STUN_ROLE_CONTROLLING,
        .use_candidate = true,
        .mapped = {.family = 6},
        .error = TERN_STUN_UNKNOWN_ATTRIBUTE,
        .unknown = {1, 2, 3, 4, 5, 6, 7, 8},
        .unknown_count = TERN_STUN_UNKNOWN_MAX,
    };
    uint8_t buffer[TERN_STUN_ENCODED_MAX];
    struct tern_writer w = tern_writer_of(buffer, sizeof buffer);
    tern_stun_encode(&in, tern_view_str("password"), &w);
    assert_true(tern_writer_ok(&w));
    (void)decoded(tern_writer_view(&w));
    for (size_t room = 0; room < w.size; room++) {
        struct tern_writer narrow = tern_writer_of(buffer, room);
        tern_stun_encode(&in, tern_view_str("password"), &narrow);
        assert_false(tern_writer_ok(&narrow));
    }
}

/* A message of attributes that are given in hexadecimal, with a right fingerprint, in buffer. */
static struct tern_view built(const char *attributes, uint8_t buffer[1400])
{
    struct tern_view inner = TEST_HEX(attributes, 1300);
    const struct tern_stun empty = {.class = TERN_STUN_REQUEST};
    struct tern_writer w = tern_writer_of(buffer, 1400);
    tern_stun_encode(&empty, tern_view_str(""), &w);
    memcpy(buffer + TERN_STUN_HEADER_SIZE, inner.data, inner.size);
    size_t length = inner.size + 8;
    buffer[2] = (uint8_t)(length >> 8);
    buffer[3] = (uint8_t)length;
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < TERN_STUN_HEADER_SIZE + inner.size; i++) {
        crc ^= buffer[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
    }
    w = tern_writer_of(buffer + TERN_STUN_HEADER_SIZE + inner.size, 8);
    tern_writer_u32be(&w, 0x80280004);
    tern_writer_u32be(&w, ~crc ^ 0x5354554e);
    return tern_view_of(buffer, TERN_STUN_HEADER_SIZE + length);
}

static void attributes_that_do_not_keep_to_their_form_are_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "0024000300000000",                         /* PRIORITY of three bytes */
        "00240008000000000000000000",               /* of eight, and short */
        "002400080000000000000000",                 /* of eight */
        "0025000400000000",                         /* USE-CANDIDATE with a value */
        "802a000400000000",                         /* ICE-CONTROLLING of four bytes */
        "002000080003a147e112a643",                 /* an unknown address family */
        "002000080002a147e112a643",                 /* an IPv6 address of four bytes */
        "0020000c0001a147e112a64300000000",         /* an IPv4 address of eight */
        "0020000400010000",                         /* no address */
        "0009000400000200",                         /* ERROR-CODE 200 */
        "0009000400000464",                         /* a number over 99 */
        "0009000200000000",                         /* of two bytes */
        "0008001000000000000000000000000000000000", /* MESSAGE-INTEGRITY of sixteen bytes */
        "0006ffff00000000",                         /* longer than the message */
        "802800040000000080220000",                 /* FINGERPRINT not last */
        "00060003616263",                           /* the padding is missing */
    };
    uint8_t buffer[1400];
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++)
        assert_fault(built(rows[i], buffer), TERN_FAULT_WEBRTC_STUN_MALFORMED);
    (void)decoded(built("", buffer));
    (void)decoded(built("0006000361626300", buffer));
}

static void a_user_name_and_a_message_have_their_bounds(void **state)
{
    (void)state;
    char hex[2800];
    uint8_t buffer[1400];
    for (size_t size = TERN_STUN_USERNAME_MAX; size <= TERN_STUN_USERNAME_MAX + 1; size++) {
        struct tern_writer w = tern_writer_of(hex, sizeof hex);
        const uint8_t head[] = {0, 6, (uint8_t)(size >> 8), (uint8_t)size};
        tern_writer_hex(&w, tern_view_of(head, sizeof head));
        for (size_t i = 0; i < ((size + 3) & ~(size_t)3); i++)
            tern_writer_str(&w, "61");
        assert_true(tern_writer_terminate(&w));
        if (size == TERN_STUN_USERNAME_MAX)
            assert_int_equal(decoded(built(hex, buffer)).username.size, size);
        else
            assert_fault(built(hex, buffer), TERN_FAULT_WEBRTC_STUN_MALFORMED);
    }
    /* Too many attributes, then too large a message. */
    for (size_t count = TERN_STUN_ATTRIBUTES_MAX; count <= TERN_STUN_ATTRIBUTES_MAX + 1; count++) {
        struct tern_writer w = tern_writer_of(hex, sizeof hex);
        for (size_t i = 0; i < count; i++)
            tern_writer_str(&w, "80220000");
        assert_true(tern_writer_terminate(&w));
        if (count == TERN_STUN_ATTRIBUTES_MAX)
            (void)decoded(built(hex, buffer));
        else
            assert_fault(built(hex, buffer), TERN_FAULT_WEBRTC_STUN_MALFORMED);
    }
    struct tern_writer w = tern_writer_of(hex, sizeof hex);
    tern_writer_str(&w, "802204f0");
    for (size_t i = 0; i < 0x4f0; i++)
        tern_writer_str(&w, "00");
    assert_true(tern_writer_terminate(&w));
    assert_fault(built(hex, buffer), TERN_FAULT_WEBRTC_STUN_MALFORMED);
}

static void the_first_of_a_kind_counts_and_nothing_behind_the_integrity(void **state)
{
    (void)state;
    uint8_t buffer[1400];
    struct tern_stun m = decoded(built("0024000400000001"
                                       "0024000400000002"
                                       "000600016100000000060001620000000"
                                       "0080014000000000000000000000000000000000000000"
                                       "000250000",
                                       buffer));
    assert_int_equal(m.priority, 1);
    assert_true(test_view_is(m.username, "a"));
    assert_false(m.use_candidate);
    assert_int_equal(m.integrity_offset, TERN_STUN_HEADER_SIZE + 32);
}

static void kinds_that_must_be_understood_are_listed(void **state)
{
    (void)state;
    uint8_t buffer[1400];
    struct tern_stun m = decoded(built("7ffe0000"
                                       "c0570004000000ff"
                                       "00030000",
                                       buffer));
    assert_int_equal(m.unknown_count, 2);
    assert_int_equal(m.unknown[0], 0x7ffe);
    assert_int_equal(m.unknown[1], 3);
    char hex[8 * 12 + 1];
    struct tern_writer w = tern_writer_of(hex, sizeof hex);
    for (size_t i = 0; i < 12; i++)
        tern_writer_str(&w, "00030000");
    assert_true(tern_writer_terminate(&w));
    assert_int_equal(decoded(built(hex, buffer)).unknown_count, TERN_STUN_UNKNOWN_MAX);
}

static void a_fingerprint_is_required_and_must_be_right(void **state)
{
    (void)state;
    uint8_t buffer[512];
    struct tern_view request = vector(VECTOR_REQUEST, buffer);
    buffer[request.size - 1] ^= 1;
    assert_fault(request, TERN_FAULT_WEBRTC_STUN_FINGERPRINT);
    /* RFC 5769, section 2.4: a message without one. */
    request = vector("000100602112a44278ad3433c6ad72c029da412e00060012e3839ee38388e383aae38383e382"
                     "af"
                     "e382b90000"
                     "0015001c662f2f3439396b39353464364f4c33346f4c39465354767936"
                     "347341"
                     "0014000b6578616d706c652e6f726700"
                     "00080014f67024656dd64a3e02b8e071"
                     "2e85c9a28ca89666",
                     buffer);
    assert_fault(request, TERN_FAULT_WEBRTC_STUN_FINGERPRINT);
}

/* No bit can be changed without notice: by the fingerprint, or by the form. */
static void every_changed_bit_is_noticed(void **state)
{
    (void)state;
    uint8_t buffer[512];
    struct tern_view request = vector(VECTOR_REQUEST, buffer);
    for (size_t bit = 0; bit < request.size * 8; bit++) {
        struct tern_stun m;
        tern_fault fault;
        buffer[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(tern_stun_decode(request, &m, &fault), TERN_ERR_MALFORMED);
        buffer[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t size = 0; size < request.size; size++) {
        struct tern_stun m;
        tern_fault fault;
        struct tern_view part = tern_view_part(request, 0, size);
        assert_int_equal(tern_stun_decode(part, &m, &fault), TERN_ERR_MALFORMED);
    }
}

static void other_protocols_are_not_taken_for_stun(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",                                         /* nothing */
        "00010000",                                 /* cut */
        "16fefd00000000000000010036",               /* DTLS */
        "c00000000108",                             /* QUIC */
        "800000002112a442000000000000000000000000", /* TURN's channels and RTP */
        "400100002112a442000000000000000000000000",
        "000100002112a443000000000000000000000000", /* another cookie */
    };
    uint8_t buffer[512];
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++)
        assert_false(tern_stun_is(vector(rows[i], buffer)));
    /* Another method than Binding. */
    struct tern_view request = vector(VECTOR_REQUEST, buffer);
    buffer[1] = 3;
    assert_true(tern_stun_is(request));
    assert_fault(request, TERN_FAULT_WEBRTC_STUN_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sample_request_is_understood),
        cmocka_unit_test(the_sample_responses_are_understood),
        cmocka_unit_test(messages_survive_a_round_trip),
        cmocka_unit_test(the_longest_message_keeps_to_its_bound),
        cmocka_unit_test(attributes_that_do_not_keep_to_their_form_are_refused),
        cmocka_unit_test(a_user_name_and_a_message_have_their_bounds),
        cmocka_unit_test(the_first_of_a_kind_counts_and_nothing_behind_the_integrity),
        cmocka_unit_test(kinds_that_must_be_understood_are_listed),
        cmocka_unit_test(a_fingerprint_is_required_and_must_be_right),
        cmocka_unit_test(every_changed_bit_is_noticed),
        cmocka_unit_test(other_protocols_are_not_taken_for_stun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
