#include "wire/ip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <arpa/inet.h>

#include "base/random.h"

#include <cmocka.h>

static void assert_text(const struct tern_ip *ip, const char *expected)
{
    char text[TERN_IP_TEXT_SIZE_MAX];
    struct tern_writer w = tern_writer_of(text, sizeof text);
    tern_ip_format(ip, &w);
    assert_true(tern_writer_terminate(&w));
    assert_string_equal(text, expected);
}

struct text_case {
    const char *in;
    const char *out; /* NULL: refused */
};

static const struct text_case text_cases[] = {
    {"0.0.0.0", "0.0.0.0"},
    {"255.255.255.255", "255.255.255.255"},
    {"192.0.2.7", "192.0.2.7"},
    {"::", "::"},
    {"::1", "::1"},
    {"1::", "1::"},
    {"2001:DB8::1", "2001:db8::1"},
    {"2001:db8:0:0:0:0:2:1", "2001:db8::2:1"},
    {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"}, /* one zero group stays */
    {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},          /* the longest run */
    {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},    /* the first of two alike */
    {"0:0:0:0:0:0:0:0", "::"},
    {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
    {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
    {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
    {"::ffff:192.0.2.128", "::ffff:192.0.2.128"},
    {"::ffff:c000:0280", "::ffff:192.0.2.128"},
    {"::192.0.2.1", "::c000:201"},
    {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
    {"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"},
    {"fe80::00ab", "fe80::ab"},
    {"", NULL},
    {"1.2.3", NULL},
    {"1.2.3.4.5", NULL},
    {"1.2.3.256", NULL},
    {"1.2.3.1000", NULL},
    {"01.2.3.4", NULL},
    {"1.2.3.00", NULL},
    {"1..3.4", NULL},
    {"1.2.3.", NULL},
    {" 1.2.3.4", NULL},
    {"1.2.3.4 ", NULL},
    {"0x1.2.3.4", NULL},
    {":", NULL},
    {":::", NULL},
    {":1", NULL},
    {"1:", NULL},
    {"1::2::3", NULL},
    {"1:2:3:4:5:6:7", NULL},
    {"1:2:3:4:5:6:7:8:9", NULL},
    {"1:2:3:4::5:6:7:8", NULL}, /* nothing left for "::" to stand for */
    {"::1:2:3:4:5:6:7:8", NULL},
    {"1:2:3:4:5:6:7:8::", NULL},
    {"12345::", NULL},
    {"g::", NULL},
    {"::1%eth0", NULL},
    {"[::1]", NULL},
    {"1.2.3.4::", NULL},
    {"::1.2.3", NULL},
    {"::1.2.3.4:5", NULL},
    {"1:2:3:4:5:6:7:1.2.3.4", NULL},
    {"::1.2.3.256", NULL},
};

static void texts_are_read_in_all_forms_and_written_in_one(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(text_cases); i++) {
        struct tern_ip ip;
        tern_err err = tern_ip_parse(tern_view_str(text_cases[i].in), &ip);
        if (err != (text_cases[i].out == NULL ? TERN_ERR_MALFORMED : TERN_OK))
            fail_msg("\"%s\"", text_cases[i].in);
        if (err == TERN_OK)
            assert_text(&ip, text_cases[i].out);
    }
}

static void each_family_refuses_the_other(void **state)
{
    (void)state;
    struct tern_ip ip;
    assert_int_equal(tern_ip4_parse(tern_view_str("::1"), &ip), TERN_ERR_MALFORMED);
    assert_int_equal(tern_ip6_parse(tern_view_str("1.2.3.4"), &ip), TERN_ERR_MALFORMED);
}

/* The C library is the oracle. It writes addresses of the deprecated IPv4-compatible form
 * (::a.b.c.d) with dots, which RFC 5952 does not ask for; those are left out. */
static void texts_agree_with_the_c_library(void **state)
{
    (void)state;
    struct tern_random random;
    tern_random_init_u64(&random, 4);
    for (int i = 0; i < 100000; i++) {
        struct tern_ip ip = {.family = 6};
        tern_random_bytes(&random, ip.bytes, sizeof ip.bytes);
        uint64_t zeros = tern_random_u64(&random) & tern_random_u64(&random);
        for (unsigned group = 0; group < 8; group++) {
            if ((zeros >> group & 1) == 0)
                memset(ip.bytes + (size_t)2 * group, 0, 2);
            else if ((zeros >> (8 + group) & 1) == 0)
                ip.bytes[2 * group] = 0;
        }
        static const uint8_t nothing[12];
        if (memcmp(ip.bytes, nothing, sizeof nothing) == 0)
            continue;
        char expected[INET6_ADDRSTRLEN];
        assert_non_null(inet_ntop(AF_INET6, ip.bytes, expected, sizeof expected));
        assert_text(&ip, expected);
        struct tern_ip back;
        assert_int_equal(tern_ip_parse(tern_view_str(expected), &back), TERN_OK);
        assert_true(tern_ip_equal(&ip, &back));
    }
}

static void damaged_texts_are_read_as_the_c_library_reads_them(void **state)
{
    (void)state;
    static const char letters[] = "0123456789abcdefF:::::....g% ";
    struct tern_random random;
    tern_random_init_u64(&random, 5);
    size_t good = 0;
    for (int i = 0; i < 400000; i++) {
        const char *start = text_cases[tern_random_below(&random, TERN_COUNT_OF(text_cases))].in;
        char text[64] = {0};
        size_t size = strlen(start);
        memcpy(text, start, size);
        uint64_t changes = tern_random_below(&random, 4);
        for (uint64_t j = 0; j < changes && size > 0; j++)
            text[tern_random_below(&random, size)] =
                letters[tern_random_below(&random, sizeof letters - 1)];
        uint8_t expected[16];
        struct tern_ip ip;
        int read = inet_pton(AF_INET6, text, expected);
        assert_int_equal(tern_ip6_parse(tern_view_str(text), &ip) == TERN_OK, read == 1);
        if (read == 1) {
            good++;
            assert_memory_equal(ip.bytes, expected, 16);
        }
        read = inet_pton(AF_INET, text, expected);
        assert_int_equal(tern_ip4_parse(tern_view_str(text), &ip) == TERN_OK, read == 1);
        if (read == 1)
            assert_memory_equal(ip.bytes, expected, 4);
    }
    assert_true(good > 1000);
}

struct range_case {
    const char *text;
    enum tern_ip_range range;
};

static void addresses_are_classified(void **state)
{
    (void)state;
    static const struct range_case cases[] = {
        {"8.8.8.8", TERN_IP_PUBLIC},
        {"1.1.1.1", TERN_IP_PUBLIC},
        {"0.0.0.0", TERN_IP_UNSPECIFIED},
        {"0.0.0.1", TERN_IP_RESERVED},
        {"127.0.0.1", TERN_IP_LOOPBACK},
        {"127.255.1.2", TERN_IP_LOOPBACK},
        {"10.1.2.3", TERN_IP_PRIVATE},
        {"172.15.0.1", TERN_IP_PUBLIC},
        {"172.16.0.1", TERN_IP_PRIVATE},
        {"172.31.255.255", TERN_IP_PRIVATE},
        {"172.32.0.0", TERN_IP_PUBLIC},
        {"192.168.1.1", TERN_IP_PRIVATE},
        {"192.169.1.1", TERN_IP_PUBLIC},
        {"100.63.0.1", TERN_IP_PUBLIC},
        {"100.64.0.1", TERN_IP_SHARED},
        {"100.127.0.1", TERN_IP_SHARED},
        {"100.128.0.1", TERN_IP_PUBLIC},
        {"169.254.7.7", TERN_IP_LINK_LOCAL},
        {"224.0.0.251", TERN_IP_MULTICAST},
        {"255.255.255.255", TERN_IP_RESERVED},
        {"192.0.2.1", TERN_IP_RESERVED},
        {"198.19.0.1", TERN_IP_RESERVED},
        {"198.51.100.9", TERN_IP_RESERVED},
        {"203.0.113.1", TERN_IP_RESERVED},
        {"::", TERN_IP_UNSPECIFIED},
        {"::1", TERN_IP_LOOPBACK},
        {"::2", TERN_IP_RESERVED},
        {"fd00::1", TERN_IP_PRIVATE},
        {"fe80::1", TERN_IP_LINK_LOCAL},
        {"ff02::fb", TERN_IP_MULTICAST},
        {"2001:db8::1", TERN_IP_RESERVED},
        {"2a00:1450::8", TERN_IP_PUBLIC},
        {"::ffff:10.0.0.1", TERN_IP_PRIVATE},
        {"::ffff:8.8.8.8", TERN_IP_PUBLIC},
        {"64:ff9b::127.0.0.1", TERN_IP_LOOPBACK},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        struct tern_ip ip;
        assert_int_equal(tern_ip_parse(tern_view_str(cases[i].text), &ip), TERN_OK);
        if (tern_ip_range(&ip) != cases[i].range)
            fail_msg("%s", cases[i].text);
    }
}

static void prefixes_are_compared_by_bits(void **state)
{
    (void)state;
    struct tern_ip a;
    struct tern_ip b;
    assert_int_equal(tern_ip_parse(tern_view_str("10.1.255.0"), &a), TERN_OK);
    assert_int_equal(tern_ip_parse(tern_view_str("10.1.128.9"), &b), TERN_OK);
    assert_true(tern_ip_prefix_equal(&a, &b, 17));
    assert_false(tern_ip_prefix_equal(&a, &b, 18));
    assert_true(tern_ip_prefix_equal(&a, &b, 0));
    assert_true(tern_ip_prefix_equal(&a, &a, 32));
    assert_int_equal(tern_ip_parse(tern_view_str("::"), &b), TERN_OK);
    assert_false(tern_ip_prefix_equal(&a, &b, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_read_in_all_forms_and_written_in_one),
        cmocka_unit_test(each_family_refuses_the_other),
        cmocka_unit_test(texts_agree_with_the_c_library),
        cmocka_unit_test(damaged_texts_are_read_as_the_c_library_reads_them),
        cmocka_unit_test(addresses_are_classified),
        cmocka_unit_test(prefixes_are_compared_by_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
