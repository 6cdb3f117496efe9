#include "wire/multiaddr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include "base/random.h"

#include <cmocka.h>

#define PEER   "12D3KooWAbphts3GedzJ3hwP8AEPhTmHZyur8UYE7wU9xRTRTDm8"
#define PEER_B "QmdYp7BRtNZhgpQjPvNgXD4MKVbtLMGMFgWYD4SPqQSuEK"
#define PEER_HEX                                                                                   \
    "a503260024080112200ba52458b705a5805914cf8a8276463d4df64e5b1d7fd1412528f27114f8d0ff"
#define PEER_B_HEX "a503221220e1fce656c48fc55f2214f9cd70ab11d3d7c54074c5c4405e535e5eb5a88f55ac"
#define HASH       "uEiAAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHw"
#define HASH_HEX   "d203221220000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define ONION3     "aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypsaijc"
#define ONION3_HEX "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122"

struct vector {
    const char *text;
    const char *hex;
    const char *out; /* text as we write it; NULL: the same */
};

static const struct vector vectors[] = {
    {"/ip4/127.0.0.1", "047f000001", NULL},
    {"/ip4/192.0.2.7/tcp/4001", "04c0000207060fa1", NULL},
    {"/ip4/192.0.2.7/tcp/0", "04c0000207060000", NULL},
    {"/ip4/192.0.2.7/udp/65535/quic-v1", "04c00002079102ffffcd03", NULL},
    {"/ip4/192.0.2.7/udp/1/quic", "04c000020791020001cc03", NULL},
    {"/ip6/2001:DB8::1/tcp/80", "2920010db8000000000000000000000001060050",
     "/ip6/2001:db8::1/tcp/80"},
    {"/ip6/::ffff:127.0.0.1/udp/1", "2900000000000000000000ffff7f00000191020001", NULL},
    {"/ip6zone/eth0/ip6/fe80::1/tcp/1",
     "2a0465746830"
     "29fe800000000000000000000000000001"
     "060001",
     NULL},
    {"/ip4/10.0.0.0/ipcidr/8", "040a0000002b08", NULL},
    {"/ip6/::/ipcidr/128", "29000000000000000000000000000000002b80", NULL},
    {"/dns/example.org/tcp/443/tls/ws",
     "350b6578616d706c652e6f7267"
     "0601bb"
     "c003"
     "dd03",
     NULL},
    {"/dns4/a/tcp/443/wss",
     "360161"
     "0601bb"
     "de03",
     NULL},
    {"/dns6/a/tcp/443/tls/sni/b.c/ws",
     "370161"
     "0601bb"
     "c003"
     "c10303622e63"
     "dd03",
     NULL},
    {"/dnsaddr/bootstrap.example", "3811626f6f7473747261702e6578616d706c65", NULL},
    {"/dns/b\xc3\xbc"
     "cher.example/tcp/1",
     "350f62c3bc636865722e6578616d706c65"
     "060001",
     NULL},
    {"/ip4/1.2.3.4/sctp/5",
     "0401020304840100"
     "05",
     NULL},
    {"/ip4/1.2.3.4/dccp/5", "0401020304210005", NULL},
    {"/ip4/1.2.3.4/udp/5/utp", "040102030491020005ae02", NULL},
    {"/ip4/1.2.3.4/udp/5/udt", "040102030491020005ad02", NULL},
    {"/ip4/1.2.3.4/tcp/80/http", "0401020304060050e003", NULL},
    {"/ip4/1.2.3.4/tcp/80/https", "0401020304060050bb03", NULL},
    {"/ip4/1.2.3.4/tcp/80/http/http-path/a%2Fb%20c", "0401020304060050e003e10305612f622063", NULL},
    {"/http-path/%7e+", "e103027e2b", "/http-path/~%2B"},
    {"/ip4/1.2.3.4/tcp/80/noise", "0401020304060050c603", NULL},
    {"/ip4/1.2.3.4/tcp/80/plaintextv2", "0401020304060050e1d8c103", NULL},
    {"/memory/7", "89060000000000000007", NULL},
    {"/memory/18446744073709551615", "8906ffffffffffffffff", NULL},
    {"/unix/run/tern.sock", "90030e2f72756e2f7465726e2e736f636b", NULL},
    {"/unix/run/tern.sock/", "90030e2f72756e2f7465726e2e736f636b", "/unix/run/tern.sock"},
    {"/p2p/" PEER, PEER_HEX, NULL},
    {"/ipfs/" PEER, PEER_HEX, "/p2p/" PEER},
    {"/p2p/bafzaajaiaejcac5fermlobnfqbmrjt4kqj3empkn6zhfwhl72faskkhsoekpruh7", PEER_HEX,
     "/p2p/" PEER},
    {"/ip4/1.2.3.4/tcp/5/p2p/" PEER "/p2p-circuit/p2p/" PEER_B,
     "0401020304060005" PEER_HEX "a202" PEER_B_HEX, NULL},
    {"/ip4/1.2.3.4/udp/5/webrtc-direct/certhash/" HASH, "0401020304910200059802" HASH_HEX, NULL},
    {"/ip4/1.2.3.4/udp/5/quic-v1/webtransport/certhash/" HASH "/certhash/" HASH "/p2p/" PEER,
     "040102030491020005cd03d103" HASH_HEX HASH_HEX PEER_HEX, NULL},
    {"/webrtc", "9902", NULL},
    {"/p2p-webrtc-star", "9302", NULL},
    {"/p2p-webrtc-direct", "9402", NULL},
    {"/p2p-stardust", "9502", NULL},
    {"/p2p-websocket-star", "df03", NULL},
    {"/onion/aaaqeayeaudaocaj:80",
     "bc03"
     "00010203040506070809"
     "0050",
     NULL},
    {"/onion/AAAQEAYEAUDAOCAJ:80",
     "bc03"
     "00010203040506070809"
     "0050",
     "/onion/aaaqeayeaudaocaj:80"},
    {"/onion3/" ONION3 ":1234", "bd03" ONION3_HEX "04d2", NULL},
    {"/garlic32/aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq",
     "bf0320"
     "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
     NULL},
    {"/ip4/1.2.3.4/tcp/5///", "0401020304060005", "/ip4/1.2.3.4/tcp/5"},
    {"/ip4/1.2.3.4/tcp/00080", "0401020304060050", "/ip4/1.2.3.4/tcp/80"},
};

static struct tern_view from_hex(const char *hex, uint8_t *buffer, size_t capacity)
{
    struct tern_writer w = tern_writer_of(buffer, capacity);
    assert_int_equal(tern_base_decode(TERN_BASE16, tern_view_str(hex), &w), TERN_OK);
    return tern_writer_view(&w);
}

static void assert_text(struct tern_view addr, const char *expected)
{
    char text[TERN_MULTIADDR_TEXT_SIZE_MAX];
    struct tern_writer w = tern_writer_of(text, sizeof text);
    assert_int_equal(tern_multiaddr_format(addr, &w), TERN_OK);
    assert_true(tern_writer_terminate(&w));
    assert_string_equal(text, expected);
}

static struct tern_multiaddr parsed(const char *text)
{
    struct tern_multiaddr addr;
    if (tern_multiaddr_parse(tern_view_str(text), &addr, NULL) != TERN_OK)
        fail_msg("%s", text);
    return addr;
}

static void texts_and_bytes_turn_into_each_other(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(vectors); i++) {
        const struct vector *v = &vectors[i];
        uint8_t buffer[512];
        struct tern_view bytes = from_hex(v->hex, buffer, sizeof buffer);
        struct tern_multiaddr addr = parsed(v->text);
        if (!tern_view_equal(tern_multiaddr_view(&addr), bytes))
            fail_msg("%s", v->text);
        assert_int_equal(tern_multiaddr_check(bytes), TERN_OK);
        assert_text(bytes, v->out == NULL ? v->text : v->out);
        struct tern_multiaddr decoded;
        assert_int_equal(tern_multiaddr_decode(bytes, &decoded), TERN_OK);
        assert_true(tern_view_equal(tern_multiaddr_view(&addr), tern_multiaddr_view(&decoded)));
    }
}

static void certificate_hashes_are_read_in_any_base_and_written_in_one(void **state)
{
    (void)state;
    struct tern_multiaddr url = parsed("/certhash/" HASH);
    struct tern_multiaddr hex =
        parsed("/certhash/f1220000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
    assert_true(tern_view_equal(tern_multiaddr_view(&url), tern_multiaddr_view(&hex)));
    assert_text(tern_multiaddr_view(&hex), "/certhash/" HASH);
}

static void garlic64_is_read_into_a_larger_buffer(void **state)
{
    (void)state;
    uint8_t bytes[TERN_MULTIADDR_VIEW_SIZE_MAX];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_writer_uvarint(&w, TERN_MULTIADDR_GARLIC64);
    tern_writer_uvarint(&w, 387);
    for (unsigned i = 0; i < 387; i++)
        tern_writer_u8(&w, (uint8_t)(i * 7));
    struct tern_view addr = tern_writer_view(&w);
    assert_int_equal(tern_multiaddr_check(addr), TERN_OK);
    char text[3 * TERN_MULTIADDR_TEXT_SIZE_MAX];
    struct tern_writer t = tern_writer_of(text, sizeof text);
    assert_int_equal(tern_multiaddr_format(addr, &t), TERN_OK);
    uint8_t back[TERN_MULTIADDR_VIEW_SIZE_MAX];
    struct tern_writer b = tern_writer_of(back, sizeof back);
    assert_int_equal(tern_multiaddr_parse_into(tern_writer_view(&t), &b, NULL), TERN_OK);
    assert_true(tern_view_equal(tern_writer_view(&b), addr));
    struct tern_multiaddr small;
    assert_int_equal(tern_multiaddr_decode(addr, &small), TERN_ERR_TOO_LARGE);
    assert_int_equal(small.size, 0);
    struct tern_multiaddr_fault fault;
    assert_int_equal(tern_multiaddr_parse(tern_writer_view(&t), &small, &fault),
                     TERN_ERR_TOO_LARGE);
    assert_int_equal(fault.reason, TERN_MULTIADDR_TOO_LONG);
}

struct bad_text {
    const char *text;
    enum tern_multiaddr_reason reason;
    size_t position;
};

static const struct bad_text bad_texts[] = {
    {"", TERN_MULTIADDR_EMPTY, 0},
    {"/", TERN_MULTIADDR_EMPTY, 0},
    {"////", TERN_MULTIADDR_EMPTY, 0},
    {"ip4/1.2.3.4", TERN_MULTIADDR_NO_SLASH, 0},
    {" /ip4/1.2.3.4", TERN_MULTIADDR_NO_SLASH, 0},
    {"/ip5/1.2.3.4", TERN_MULTIADDR_UNKNOWN_PROTOCOL, 1},
    {"/IP4/1.2.3.4", TERN_MULTIADDR_UNKNOWN_PROTOCOL, 1},
    {"//ip4/1.2.3.4", TERN_MULTIADDR_UNKNOWN_PROTOCOL, 1},
    {"/ip4/1.2.3.4//tcp/1", TERN_MULTIADDR_UNKNOWN_PROTOCOL, 13},
    {"/ip4/1.2.3.4/ssh/1", TERN_MULTIADDR_UNKNOWN_PROTOCOL, 13},
    {"/ip4/1.2.3.4/ws/1", TERN_MULTIADDR_UNKNOWN_PROTOCOL, 16},
    {"/ip4", TERN_MULTIADDR_MISSING_VALUE, 4},
    {"/ip4/", TERN_MULTIADDR_MISSING_VALUE, 4},
    {"/ip4/1.2.3.4/tcp", TERN_MULTIADDR_MISSING_VALUE, 16},
    {"/unix", TERN_MULTIADDR_MISSING_VALUE, 5},
    {"/ip4/1.2.3", TERN_MULTIADDR_BAD_IP4, 5},
    {"/ip4/::1", TERN_MULTIADDR_BAD_IP4, 5},
    {"/ip4//tcp/1", TERN_MULTIADDR_BAD_IP4, 5},
    {"/ip6/1.2.3.4", TERN_MULTIADDR_BAD_IP6, 5},
    {"/ip6/fe80::1%eth0", TERN_MULTIADDR_BAD_IP6, 5},
    {"/ip6zone/e th/ip6/::1", TERN_MULTIADDR_BAD_ZONE, 9},
    {"/ip4/1.2.3.4/ipcidr/129", TERN_MULTIADDR_BAD_CIDR, 20},
    {"/ip4/1.2.3.4/tcp/65536", TERN_MULTIADDR_BAD_PORT, 17},
    {"/ip4/1.2.3.4/tcp/-1", TERN_MULTIADDR_BAD_PORT, 17},
    {"/ip4/1.2.3.4/tcp/1a", TERN_MULTIADDR_BAD_PORT, 17},
    {"/ip4/1.2.3.4/udp/99999999999999999999999", TERN_MULTIADDR_BAD_PORT, 17},
    {"/ip4/1.2.3.4/tcp//ws", TERN_MULTIADDR_BAD_PORT, 17},
    {"/dns/exa mple/tcp/1", TERN_MULTIADDR_BAD_NAME, 5},
    {"/dns4/a\x1b[31m/tcp/1", TERN_MULTIADDR_BAD_NAME, 6},
    {"/dns//tcp/1", TERN_MULTIADDR_BAD_NAME, 5},
    {"/p2p/12D3KooW", TERN_MULTIADDR_BAD_PEER_ID, 5},
    {"/p2p/" PEER "x", TERN_MULTIADDR_BAD_PEER_ID, 5},
    {"/p2p/bafkqaaa", TERN_MULTIADDR_BAD_PEER_ID, 5},
    {"/certhash/uEiA", TERN_MULTIADDR_BAD_CERTHASH, 10},
    {"/certhash/EiA", TERN_MULTIADDR_BAD_CERTHASH, 10},
    {"/certhash/uAAA", TERN_MULTIADDR_BAD_CERTHASH, 10},
    {"/onion/aaaqeayeaudaocaj", TERN_MULTIADDR_BAD_ONION, 7},
    {"/onion/aaaqeayeaudaocaj:0", TERN_MULTIADDR_BAD_ONION, 7},
    {"/onion/aaaqeayeaudaocaj:65536", TERN_MULTIADDR_BAD_ONION, 7},
    {"/onion/aaaqeayeaudaoca:80", TERN_MULTIADDR_BAD_ONION, 7},
    {"/onion/aaaqeayeaudaocaj:80:1", TERN_MULTIADDR_BAD_ONION, 7},
    {"/onion3/aaaqeayeaudaocaj:80", TERN_MULTIADDR_BAD_ONION, 8},
    {"/garlic32/aaaa", TERN_MULTIADDR_BAD_GARLIC, 10},
    {"/garlic64/AAAA", TERN_MULTIADDR_BAD_GARLIC, 10},
    {"/unix/a\x01", TERN_MULTIADDR_BAD_PATH, 5},
    {"/http-path/%2", TERN_MULTIADDR_BAD_PATH, 11},
    {"/http-path/%zz", TERN_MULTIADDR_BAD_PATH, 11},
    {"/http-path//ws", TERN_MULTIADDR_BAD_PATH, 11},
    {"/memory/18446744073709551616", TERN_MULTIADDR_BAD_NUMBER, 8},
    {"/memory/x", TERN_MULTIADDR_BAD_NUMBER, 8},
};

static void what_is_wrong_with_a_text_and_where_is_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(bad_texts); i++) {
        const struct bad_text *bad = &bad_texts[i];
        struct tern_multiaddr addr;
        struct tern_multiaddr_fault fault;
        tern_err err = tern_multiaddr_parse(tern_view_str(bad->text), &addr, &fault);
        tern_err expected = bad->reason == TERN_MULTIADDR_UNKNOWN_PROTOCOL ? TERN_ERR_UNSUPPORTED
                                                                           : TERN_ERR_MALFORMED;
        if (err != expected || fault.reason != bad->reason || fault.position != bad->position)
            fail_msg("\"%s\": %s at %zu", bad->text, tern_multiaddr_reason_text(fault.reason),
                     fault.position);
        assert_int_equal(addr.size, 0);
    }
    for (unsigned i = 0; i < TERN_MULTIADDR_REASON_COUNT; i++)
        assert_true(strlen(tern_multiaddr_reason_text((enum tern_multiaddr_reason)i)) > 5);
}

struct bad_bytes {
    const char *what;
    const char *hex;
    tern_err err;
};

static void bad_bytes_are_refused(void **state)
{
    (void)state;
    static const struct bad_bytes cases[] = {
        {"nothing", "", TERN_ERR_MALFORMED},
        {"an unknown protocol", "05", TERN_ERR_UNSUPPORTED},
        {"a code in a long form", "84007f000001", TERN_ERR_NOT_MINIMAL},
        {"a code cut short", "91", TERN_ERR_MALFORMED},
        {"an ip4 cut short", "047f0000", TERN_ERR_MALFORMED},
        {"a port cut short", "047f00000106", TERN_ERR_MALFORMED},
        {"a name without length", "35", TERN_ERR_MALFORMED},
        {"a name cut short", "350361", TERN_ERR_MALFORMED},
        {"an empty name", "3500", TERN_ERR_MALFORMED},
        {"a name with a slash", "3503612f62", TERN_ERR_MALFORMED},
        {"a name with a zero byte", "3503610062", TERN_ERR_MALFORMED},
        {"a length in a long form", "35810061", TERN_ERR_NOT_MINIMAL},
        {"a length beyond all limits", "35ffffffff0f", TERN_ERR_TOO_LARGE},
        {"a prefix of 129 bits", "2b81", TERN_ERR_MALFORMED},
        {"a zone with a slash", "2a03612f62", TERN_ERR_MALFORMED},
        {"a peer id of sha1", "a503161114e1fce656c48fc55f2214f9cd70ab11d3d7c54074",
         TERN_ERR_MALFORMED},
        {"an empty peer id", "a50300", TERN_ERR_MALFORMED},
        {"a certhash that is no multihash", "d2030161", TERN_ERR_MALFORMED},
        {"a certhash of an empty digest", "d203021200", TERN_ERR_MALFORMED},
        {"an onion port 0", "bc03000102030405060708090000", TERN_ERR_MALFORMED},
        {"a garlic32 of 33 bytes",
         "bf0321000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20",
         TERN_ERR_MALFORMED},
        {"a short garlic64", "be030161", TERN_ERR_MALFORMED},
        {"an empty http-path", "e10300", TERN_ERR_MALFORMED},
        {"a path without slash", "900303616263", TERN_ERR_MALFORMED},
        {"a path that is a slash", "9003012f", TERN_ERR_MALFORMED},
        {"a path that ends in a slash", "9003032f612f", TERN_ERR_MALFORMED},
        {"a component behind a path", "9003022f61dd03", TERN_ERR_MALFORMED},
        {"rubbish behind a good address", "047f00000105", TERN_ERR_UNSUPPORTED},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        uint8_t bytes[128];
        struct tern_view addr = from_hex(cases[i].hex, bytes, sizeof bytes);
        if (tern_multiaddr_check(addr) != cases[i].err)
            fail_msg("%s: %d", cases[i].what, tern_multiaddr_check(addr));
        struct tern_multiaddr decoded;
        assert_int_equal(tern_multiaddr_decode(addr, &decoded), cases[i].err);
        char text[64];
        struct tern_writer w = tern_writer_of(text, sizeof text);
        assert_int_equal(tern_multiaddr_format(addr, &w), cases[i].err);
    }
}

static void sizes_and_counts_are_bounded(void **state)
{
    (void)state;
    uint8_t bytes[TERN_MULTIADDR_VIEW_SIZE_MAX + 1];
    for (size_t i = 0; i + 1 < sizeof bytes; i += 2) {
        bytes[i] = 0xdd;
        bytes[i + 1] = 0x03;
    }
    assert_int_equal(tern_multiaddr_check(tern_view_of(bytes, 2 * TERN_MULTIADDR_PARTS_MAX)),
                     TERN_OK);
    assert_int_equal(tern_multiaddr_check(tern_view_of(bytes, 2 * TERN_MULTIADDR_PARTS_MAX + 2)),
                     TERN_ERR_TOO_LARGE);
    assert_int_equal(tern_multiaddr_check(tern_view_of(bytes, sizeof bytes)), TERN_ERR_TOO_LARGE);

    char text[8 * TERN_MULTIADDR_VIEW_SIZE_MAX];
    struct tern_writer w = tern_writer_of(text, sizeof text);
    for (int i = 0; i < TERN_MULTIADDR_PARTS_MAX + 1; i++)
        tern_writer_str(&w, "/ws");
    struct tern_multiaddr addr;
    struct tern_multiaddr_fault fault;
    assert_int_equal(tern_multiaddr_parse(tern_writer_view(&w), &addr, &fault), TERN_ERR_TOO_LARGE);
    assert_int_equal(fault.reason, TERN_MULTIADDR_TOO_LONG);
    assert_int_equal(fault.position, 3 * TERN_MULTIADDR_PARTS_MAX);

    w = tern_writer_of(text, sizeof text);
    tern_writer_str(&w, "/dns/");
    for (int i = 0; i < TERN_MULTIADDR_NAME_SIZE_MAX + 1; i++)
        tern_writer_u8(&w, 'a');
    assert_int_equal(tern_multiaddr_parse(tern_writer_view(&w), &addr, &fault), TERN_ERR_MALFORMED);
    assert_int_equal(fault.reason, TERN_MULTIADDR_BAD_NAME);
    for (int i = 0; i < TERN_MULTIADDR_VIEW_SIZE_MAX; i++)
        tern_writer_u8(&w, 'a');
    assert_int_equal(tern_multiaddr_parse(tern_writer_view(&w), &addr, &fault), TERN_ERR_TOO_LARGE);
    assert_int_equal(fault.reason, TERN_MULTIADDR_TOO_LONG);

    /* Names that fit a view, but together no struct, and then no view either. */
    uint8_t large[8192];
    w = tern_writer_of(text, sizeof text);
    for (int i = 0; i < 6; i++) {
        tern_writer_str(&w, "/dns/");
        for (int j = 0; j < 200; j++)
            tern_writer_u8(&w, 'a');
        struct tern_writer b = tern_writer_of(large, sizeof large);
        tern_err err = tern_multiaddr_parse_into(tern_writer_view(&w), &b, &fault);
        assert_int_equal(err, i < 5 ? TERN_OK : TERN_ERR_TOO_LARGE);
        err = tern_multiaddr_parse(tern_writer_view(&w), &addr, &fault);
        assert_int_equal(err, i < 1 ? TERN_OK : TERN_ERR_TOO_LARGE);
    }
}

static void components_are_walked_in_order(void **state)
{
    (void)state;
    struct tern_multiaddr addr = parsed("/ip4/1.2.3.4/tcp/5/ws/p2p/" PEER);
    static const uint32_t codes[] = {TERN_MULTIADDR_IP4, TERN_MULTIADDR_TCP, TERN_MULTIADDR_WS,
                                     TERN_MULTIADDR_P2P};
    static const size_t sizes[] = {4, 2, 0, 38};
    static const char *const names[] = {"ip4", "tcp", "ws", "p2p"};
    struct tern_multiaddr_iter it = tern_multiaddr_iter_of(tern_multiaddr_view(&addr));
    struct tern_multiaddr_part part;
    size_t whole = 0;
    for (size_t i = 0; i < TERN_COUNT_OF(codes); i++) {
        assert_true(tern_multiaddr_next(&it, &part));
        assert_int_equal(part.code, codes[i]);
        assert_int_equal(part.value.size, sizes[i]);
        assert_string_equal(part.name, names[i]);
        whole += part.whole.size;
    }
    assert_false(tern_multiaddr_next(&it, &part));
    assert_int_equal(it.err, TERN_OK);
    assert_int_equal(whole, addr.size);
}

static void walking_unchecked_bytes_stops_at_the_damage(void **state)
{
    (void)state;
    struct tern_multiaddr_iter it =
        tern_multiaddr_iter_of(tern_view_of("\x04\x7f\x00\x00\x01\x06", 6));
    struct tern_multiaddr_part part;
    assert_true(tern_multiaddr_next(&it, &part));
    assert_false(tern_multiaddr_next(&it, &part));
    assert_int_equal(it.err, TERN_ERR_MALFORMED);
    assert_false(tern_multiaddr_next(&it, &part));
    struct tern_peer_id id;
    assert_false(tern_multiaddr_peer_id(tern_view_of("\x04\x7f\x00\x00\x01\x06", 6), &id));
}

static void addresses_are_built_from_parts(void **state)
{
    (void)state;
    struct tern_ip ip;
    struct tern_peer_id id;
    struct tern_multiaddr addr = {0};
    assert_int_equal(tern_ip_parse(tern_view_str("2001:db8::7"), &ip), TERN_OK);
    assert_int_equal(tern_peer_id_parse(tern_view_str(PEER), &id), TERN_OK);
    assert_int_equal(tern_multiaddr_append_ip(&addr, &ip), TERN_OK);
    assert_int_equal(tern_multiaddr_append_port(&addr, TERN_MULTIADDR_UDP, 4001), TERN_OK);
    assert_int_equal(tern_multiaddr_append(&addr, TERN_MULTIADDR_QUIC_V1, (struct tern_view){0}),
                     TERN_OK);
    assert_int_equal(tern_multiaddr_append_peer_id(&addr, &id), TERN_OK);
    assert_text(tern_multiaddr_view(&addr), "/ip6/2001:db8::7/udp/4001/quic-v1/p2p/" PEER);
    uint16_t size = addr.size;
    assert_int_equal(tern_multiaddr_append(&addr, TERN_MULTIADDR_DNS, tern_view_str("a b")),
                     TERN_ERR_MALFORMED);
    assert_int_equal(tern_multiaddr_append(&addr, TERN_MULTIADDR_IP4, tern_view_str("abc")),
                     TERN_ERR_MALFORMED);
    assert_int_equal(tern_multiaddr_append(&addr, TERN_MULTIADDR_WS, tern_view_str("x")),
                     TERN_ERR_MALFORMED);
    assert_int_equal(addr.size, size);
}

static void building_stops_at_the_room(void **state)
{
    (void)state;
    struct tern_multiaddr addr = {0};
    struct tern_peer_id id;
    assert_int_equal(tern_peer_id_parse(tern_view_str(PEER), &id), TERN_OK);
    for (int i = 0; i < TERN_MULTIADDR_SIZE_MAX / 41; i++)
        assert_int_equal(tern_multiaddr_append_peer_id(&addr, &id), TERN_OK);
    struct tern_multiaddr before = addr;
    assert_int_equal(tern_multiaddr_append_peer_id(&addr, &id), TERN_ERR_TOO_LARGE);
    assert_int_equal(addr.size, before.size);
    struct tern_multiaddr many = {0};
    for (int i = 0; i < TERN_MULTIADDR_PARTS_MAX; i++)
        assert_int_equal(tern_multiaddr_append(&many, TERN_MULTIADDR_WS, (struct tern_view){0}),
                         TERN_OK);
    assert_int_equal(tern_multiaddr_append(&many, TERN_MULTIADDR_WS, (struct tern_view){0}),
                     TERN_ERR_TOO_LARGE);
    uint8_t name[TERN_MULTIADDR_NAME_SIZE_MAX];
    memset(name, 'a', sizeof name);
    addr.size = 0;
    assert_int_equal(
        tern_multiaddr_append(&addr, TERN_MULTIADDR_DNS, tern_view_of(name, sizeof name)),
        TERN_ERR_TOO_LARGE);
}

static void addresses_are_taken_apart(void **state)
{
    (void)state;
    struct tern_multiaddr addr = parsed("/ip4/1.2.3.4/tcp/5/p2p/" PEER "/p2p-circuit/p2p/" PEER_B);
    struct tern_view view = tern_multiaddr_view(&addr);
    assert_text(tern_multiaddr_before(view, TERN_MULTIADDR_P2P_CIRCUIT),
                "/ip4/1.2.3.4/tcp/5/p2p/" PEER);
    assert_text(tern_multiaddr_after(view, TERN_MULTIADDR_P2P_CIRCUIT), "/p2p/" PEER_B);
    assert_text(tern_multiaddr_decapsulate(view, TERN_MULTIADDR_P2P),
                "/ip4/1.2.3.4/tcp/5/p2p/" PEER "/p2p-circuit");
    assert_text(tern_multiaddr_before(view, TERN_MULTIADDR_P2P), "/ip4/1.2.3.4/tcp/5");
    assert_text(tern_multiaddr_without_peer_id(view),
                "/ip4/1.2.3.4/tcp/5/p2p/" PEER "/p2p-circuit");
    /* What is not there changes nothing. */
    assert_int_equal(tern_multiaddr_before(view, TERN_MULTIADDR_QUIC).size, view.size);
    assert_int_equal(tern_multiaddr_after(view, TERN_MULTIADDR_QUIC).size, 0);
    assert_int_equal(tern_multiaddr_decapsulate(view, TERN_MULTIADDR_QUIC).size, view.size);
    struct tern_multiaddr joined = parsed("/ip4/1.2.3.4/tcp/5/p2p/" PEER);
    struct tern_multiaddr inner = parsed("/p2p-circuit/p2p/" PEER_B);
    assert_int_equal(tern_multiaddr_encapsulate(&joined, tern_multiaddr_view(&inner)), TERN_OK);
    assert_true(tern_view_equal(tern_multiaddr_view(&joined), view));
}

static void the_peer_of_an_address_is_its_last_component(void **state)
{
    (void)state;
    struct tern_peer_id expected;
    struct tern_peer_id id;
    assert_int_equal(tern_peer_id_parse(tern_view_str(PEER_B), &expected), TERN_OK);
    struct tern_multiaddr addr = parsed("/ip4/1.2.3.4/tcp/5/p2p/" PEER "/p2p-circuit/p2p/" PEER_B);
    assert_true(tern_multiaddr_peer_id(tern_multiaddr_view(&addr), &id));
    assert_true(tern_peer_id_equal(&id, &expected));
    addr = parsed("/ip4/1.2.3.4/tcp/5/p2p/" PEER "/p2p-circuit");
    assert_false(tern_multiaddr_peer_id(tern_multiaddr_view(&addr), &id));
    assert_int_equal(tern_multiaddr_without_peer_id(tern_multiaddr_view(&addr)).size, addr.size);
    assert_false(tern_multiaddr_peer_id((struct tern_view){0}, &id));
}

struct socket_case {
    const char *text;
    bool found;
    const char *ip;
    uint32_t transport;
    uint16_t port;
    size_t rest_size;
    const char *zone;
};

static void ip_and_port_are_read_from_the_front(void **state)
{
    (void)state;
    static const struct socket_case cases[] = {
        {"/ip4/1.2.3.4/tcp/4001/ws", true, "1.2.3.4", TERN_MULTIADDR_TCP, 4001, 2, ""},
        {"/ip6/::1/udp/9/quic-v1", true, "::1", TERN_MULTIADDR_UDP, 9, 2, ""},
        {"/ip6zone/eth0/ip6/fe80::1/tcp/9", true, "fe80::1", TERN_MULTIADDR_TCP, 9, 0, "eth0"},
        {"/ip4/1.2.3.4", true, "1.2.3.4", 0, 0, 0, ""},
        {"/ip4/1.2.3.4/p2p-circuit", true, "1.2.3.4", 0, 0, 2, ""},
        {"/ip6zone/eth0/ip4/1.2.3.4/tcp/9", false, NULL, 0, 0, 0, NULL},
        {"/dns4/a/tcp/1", false, NULL, 0, 0, 0, NULL},
        {"/memory/1", false, NULL, 0, 0, 0, NULL},
        {"/p2p/" PEER, false, NULL, 0, 0, 0, NULL},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        const struct socket_case *c = &cases[i];
        struct tern_multiaddr addr = parsed(c->text);
        struct tern_multiaddr_socket out;
        assert_int_equal(tern_multiaddr_socket(tern_multiaddr_view(&addr), &out), c->found);
        if (!c->found)
            continue;
        struct tern_ip ip;
        assert_int_equal(tern_ip_parse(tern_view_str(c->ip), &ip), TERN_OK);
        assert_true(tern_ip_equal(&ip, &out.ip));
        assert_int_equal(out.transport, c->transport);
        assert_int_equal(out.port, c->port);
        assert_int_equal(out.rest.size, c->rest_size);
        assert_true(tern_view_equal(out.zone, tern_view_str(c->zone)));
    }
}

/* Damage to good addresses: whatever is still accepted must survive the way through text. */
static void accepted_bytes_survive_their_text(void **state)
{
    (void)state;
    struct tern_random random;
    tern_random_init_u64(&random, 6);
    size_t accepted = 0;
    for (int i = 0; i < 60000; i++) {
        uint8_t bytes[256];
        const struct vector *v = &vectors[tern_random_below(&random, TERN_COUNT_OF(vectors))];
        struct tern_view addr = from_hex(v->hex, bytes, sizeof bytes);
        uint64_t changes = tern_random_below(&random, 3);
        for (uint64_t j = 0; j < changes; j++)
            bytes[tern_random_below(&random, addr.size)] ^=
                (uint8_t)(1 << tern_random_below(&random, 8));
        if (tern_multiaddr_check(addr) != TERN_OK)
            continue;
        accepted++;
        char text[TERN_MULTIADDR_TEXT_SIZE_MAX];
        struct tern_writer w = tern_writer_of(text, sizeof text);
        assert_int_equal(tern_multiaddr_format(addr, &w), TERN_OK);
        struct tern_multiaddr back;
        assert_int_equal(tern_multiaddr_parse(tern_writer_view(&w), &back, NULL), TERN_OK);
        assert_true(tern_view_equal(addr, tern_multiaddr_view(&back)));
    }
    assert_true(accepted > 20000);
}

static void text_without_room_is_reported(void **state)
{
    (void)state;
    struct tern_multiaddr addr = parsed("/ip4/1.2.3.4/tcp/5");
    char text[10];
    struct tern_writer w = tern_writer_of(text, sizeof text);
    assert_int_equal(tern_multiaddr_format(tern_multiaddr_view(&addr), &w), TERN_ERR_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_and_bytes_turn_into_each_other),
        cmocka_unit_test(certificate_hashes_are_read_in_any_base_and_written_in_one),
        cmocka_unit_test(garlic64_is_read_into_a_larger_buffer),
        cmocka_unit_test(what_is_wrong_with_a_text_and_where_is_told),
        cmocka_unit_test(bad_bytes_are_refused),
        cmocka_unit_test(sizes_and_counts_are_bounded),
        cmocka_unit_test(components_are_walked_in_order),
        cmocka_unit_test(walking_unchecked_bytes_stops_at_the_damage),
        cmocka_unit_test(addresses_are_built_from_parts),
        cmocka_unit_test(building_stops_at_the_room),
        cmocka_unit_test(addresses_are_taken_apart),
        cmocka_unit_test(the_peer_of_an_address_is_its_last_component),
        cmocka_unit_test(ip_and_port_are_read_from_the_front),
        cmocka_unit_test(accepted_bytes_survive_their_text),
        cmocka_unit_test(text_without_room_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
