#include "wire/multiaddr_value.h"

#include "base/check.h"
#include "wire/multibase.h"
#include "wire/multihash.h"

enum {
    VALUE_ZONE_SIZE_MAX = 64,
    VALUE_CIDR_BITS_MAX = 128,
    VALUE_ONION_HOST_SIZE = 10,
    VALUE_ONION3_HOST_SIZE = 35,
    VALUE_GARLIC64_SIZE_MIN = 386,
    VALUE_GARLIC32_SIZE = 32,
    VALUE_GARLIC32_ENCRYPTED_SIZE_MIN = 35,
};

static uint64_t value_be(struct tern_view value)
{
    uint64_t number = 0;
    for (size_t i = 0; i < value.size; i++)
        number = number << 8 | value.data[i];
    return number;
}

/* Reads decimal digits and nothing else, up to max. */
static bool value_decimal(struct tern_view text, uint64_t max, uint64_t *number)
{
    *number = 0;
    if (text.size == 0)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        unsigned digit = text.data[i] - (unsigned)'0';
        if (digit > 9 || *number > (max - digit) / 10)
            return false;
        *number = *number * 10 + digit;
    }
    return true;
}

/* No spaces, control characters or slashes: such a name would not survive as text. */
static bool value_is_plain(struct tern_view value)
{
    for (size_t i = 0; i < value.size; i++) {
        uint8_t c = value.data[i];
        if (c <= ' ' || c == 0x7f || c == '/')
            return false;
    }
    return value.size > 0;
}

static bool value_copy(struct tern_view text, struct tern_writer *value)
{
    tern_writer_bytes(value, text);
    return tern_writer_ok(value);
}

static void value_write(struct tern_view value, struct tern_writer *text)
{
    tern_writer_bytes(text, value);
}

static void value_write_decimal(struct tern_view value, struct tern_writer *text)
{
    tern_writer_decimal(text, value_be(value));
}

static bool ip4_parse(struct tern_view text, struct tern_writer *value)
{
    struct tern_ip ip;
    return tern_ip4_parse(text, &ip) == TERN_OK && value_copy(tern_view_of(ip.bytes, 4), value);
}

static bool ip6_parse(struct tern_view text, struct tern_writer *value)
{
    struct tern_ip ip;
    return tern_ip6_parse(text, &ip) == TERN_OK && value_copy(tern_view_of(ip.bytes, 16), value);
}

static void ip_format(struct tern_view value, struct tern_writer *text)
{
    struct tern_ip ip = {.family = value.size == 4 ? 4 : 6};
    memcpy(ip.bytes, value.data, tern_min_size(value.size, sizeof ip.bytes));
    tern_ip_format(&ip, text);
}

static bool zone_check(struct tern_view value)
{
    return value.size <= VALUE_ZONE_SIZE_MAX && value_is_plain(value);
}

static bool cidr_check(struct tern_view value)
{
    return value.data[0] <= VALUE_CIDR_BITS_MAX;
}

static bool cidr_parse(struct tern_view text, struct tern_writer *value)
{
    uint64_t bits;
    if (!value_decimal(text, VALUE_CIDR_BITS_MAX, &bits))
        return false;
    tern_writer_u8(value, (uint8_t)bits);
    return tern_writer_ok(value);
}

static bool port_parse(struct tern_view text, struct tern_writer *value)
{
    uint64_t port;
    if (!value_decimal(text, UINT16_MAX, &port))
        return false;
    tern_writer_u16be(value, (uint16_t)port);
    return tern_writer_ok(value);
}

static bool number_parse(struct tern_view text, struct tern_writer *value)
{
    uint64_t number;
    if (!value_decimal(text, UINT64_MAX, &number))
        return false;
    tern_writer_u64be(value, number);
    return tern_writer_ok(value);
}

static bool name_check(struct tern_view value)
{
    return value.size <= TERN_MULTIADDR_NAME_SIZE_MAX && value_is_plain(value);
}

/* The value of a path starts with the slash that the text has before it. */
static bool path_check(struct tern_view value)
{
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] < ' ' || value.data[i] == 0x7f)
            return false;
    }
    return value.size >= 2 && value.data[0] == '/' && value.data[value.size - 1] != '/';
}

static bool peer_id_check(struct tern_view value)
{
    struct tern_peer_id id;
    return tern_peer_id_decode(value, &id) == TERN_OK;
}

static bool peer_id_parse(struct tern_view text, struct tern_writer *value)
{
    struct tern_peer_id id;
    return tern_peer_id_parse(text, &id) == TERN_OK && value_copy(tern_peer_id_view(&id), value);
}

static void peer_id_format(struct tern_view value, struct tern_writer *text)
{
    struct tern_peer_id id;
    tern_err err = tern_peer_id_decode(value, &id);
    TERN_CHECK(err == TERN_OK);
    tern_peer_id_format(&id, text);
}

/* An onion address ends in a port that is not 0. */
static bool onion_check(struct tern_view value)
{
    return value.data[value.size - 2] != 0 || value.data[value.size - 1] != 0;
}

static bool onion_parse_host(struct tern_view text, size_t host_size, struct tern_writer *value)
{
    const uint8_t *colon = text.size == 0 ? NULL : memchr(text.data, ':', text.size);
    if (colon == NULL)
        return false;
    size_t host_text_size = (size_t)(colon - text.data);
    size_t start = value->size;
    if (tern_base_decode(TERN_BASE32, tern_view_of(text.data, host_text_size), value) != TERN_OK ||
        value->size - start != host_size)
        return false;
    return port_parse(tern_view_of(colon + 1, text.size - host_text_size - 1), value);
}

static bool onion_parse(struct tern_view text, struct tern_writer *value)
{
    return onion_parse_host(text, VALUE_ONION_HOST_SIZE, value);
}

static bool onion3_parse(struct tern_view text, struct tern_writer *value)
{
    return onion_parse_host(text, VALUE_ONION3_HOST_SIZE, value);
}

static void value_encode(enum tern_base base, struct tern_view value, struct tern_writer *text)
{
    tern_err err = tern_base_encode(base, value, text);
    TERN_DCHECK(err == TERN_OK || !tern_writer_ok(text));
    (void)err; /* a lack of room sticks in the writer */
}

static void onion_format(struct tern_view value, struct tern_writer *text)
{
    size_t host_size = value.size - 2;
    value_encode(TERN_BASE32, tern_view_of(value.data, host_size), text);
    tern_writer_u8(text, ':');
    tern_writer_decimal(text, value_be(tern_view_of(value.data + host_size, 2)));
}

static bool garlic64_check(struct tern_view value)
{
    return value.size >= VALUE_GARLIC64_SIZE_MIN;
}

static bool garlic64_parse(struct tern_view text, struct tern_writer *value)
{
    return tern_base_decode(TERN_BASE64_I2P, text, value) == TERN_OK;
}

static void garlic64_format(struct tern_view value, struct tern_writer *text)
{
    value_encode(TERN_BASE64_I2P, value, text);
}

/* 32 bytes of hash, or at least 35 for an encrypted lease set. */
static bool garlic32_check(struct tern_view value)
{
    return value.size == VALUE_GARLIC32_SIZE || value.size >= VALUE_GARLIC32_ENCRYPTED_SIZE_MIN;
}

static bool garlic32_parse(struct tern_view text, struct tern_writer *value)
{
    return tern_base_decode(TERN_BASE32, text, value) == TERN_OK;
}

static void garlic32_format(struct tern_view value, struct tern_writer *text)
{
    value_encode(TERN_BASE32, value, text);
}

static bool certhash_check(struct tern_view value)
{
    struct tern_multihash hash;
    return tern_multihash_decode(value, &hash) == TERN_OK && hash.digest.size > 0;
}

static bool certhash_parse(struct tern_view text, struct tern_writer *value)
{
    return tern_multibase_decode(text, value, NULL) == TERN_OK;
}

static void certhash_format(struct tern_view value, struct tern_writer *text)
{
    tern_writer_u8(text, 'u');
    value_encode(TERN_BASE64_URL, value, text);
}

static unsigned http_path_hex(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - (unsigned)'0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - (unsigned)'a' + 10 : 16;
}

/* The unreserved characters of RFC 3986 section 2.3 stand for themselves; all others are escaped.
 */
static bool http_path_is_unreserved(uint8_t c)
{
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return letter || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
}

static bool http_path_check(struct tern_view value)
{
    return value.size > 0;
}

static bool http_path_parse(struct tern_view text, struct tern_writer *value)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c == '%') {
            if (text.size - i < 3)
                return false;
            unsigned high = http_path_hex(text.data[i + 1]);
            unsigned low = http_path_hex(text.data[i + 2]);
            if (high > 15 || low > 15)
                return false;
            c = (uint8_t)(high << 4 | low);
            i += 2;
        }
        tern_writer_u8(value, c);
    }
    return tern_writer_ok(value);
}

static void http_path_format(struct tern_view value, struct tern_writer *text)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < value.size; i++) {
        uint8_t c = value.data[i];
        if (http_path_is_unreserved(c)) {
            tern_writer_u8(text, c);
            continue;
        }
        tern_writer_u8(text, '%');
        tern_writer_u8(text, (uint8_t)digits[c >> 4]);
        tern_writer_u8(text, (uint8_t)digits[c & 15]);
    }
}

#define ROW(kind_, size_, reason_, check_, parse_, format_)                                        \
    [TERN_MULTIADDR_KIND_##kind_] = {.size = size_,                                                \
                                     .reason = TERN_MULTIADDR_##reason_,                           \
                                     .check = check_,                                              \
                                     .parse = parse_,                                              \
                                     .format = format_}

static const struct tern_multiaddr_codec value_codecs[TERN_MULTIADDR_KIND_COUNT] = {
    ROW(NONE, 0, FINE, NULL, NULL, NULL),
    ROW(IP4, 4, BAD_IP4, NULL, ip4_parse, ip_format),
    ROW(IP6, 16, BAD_IP6, NULL, ip6_parse, ip_format),
    ROW(ZONE, TERN_MULTIADDR_SIZE_VARIES, BAD_ZONE, zone_check, value_copy, value_write),
    ROW(CIDR, 1, BAD_CIDR, cidr_check, cidr_parse, value_write_decimal),
    ROW(PORT, 2, BAD_PORT, NULL, port_parse, value_write_decimal),
    ROW(NAME, TERN_MULTIADDR_SIZE_VARIES, BAD_NAME, name_check, value_copy, value_write),
    ROW(PATH, TERN_MULTIADDR_SIZE_VARIES, BAD_PATH, path_check, value_copy, value_write),
    ROW(PEER_ID, TERN_MULTIADDR_SIZE_VARIES, BAD_PEER_ID, peer_id_check, peer_id_parse,
        peer_id_format),
    ROW(ONION, VALUE_ONION_HOST_SIZE + 2, BAD_ONION, onion_check, onion_parse, onion_format),
    ROW(ONION3, VALUE_ONION3_HOST_SIZE + 2, BAD_ONION, onion_check, onion3_parse, onion_format),
    ROW(GARLIC64, TERN_MULTIADDR_SIZE_VARIES, BAD_GARLIC, garlic64_check, garlic64_parse,
        garlic64_format),
    ROW(GARLIC32, TERN_MULTIADDR_SIZE_VARIES, BAD_GARLIC, garlic32_check, garlic32_parse,
        garlic32_format),
    ROW(CERTHASH, TERN_MULTIADDR_SIZE_VARIES, BAD_CERTHASH, certhash_check, certhash_parse,
        certhash_format),
    ROW(HTTP_PATH, TERN_MULTIADDR_SIZE_VARIES, BAD_PATH, http_path_check, http_path_parse,
        http_path_format),
    ROW(NUMBER, 8, BAD_NUMBER, NULL, number_parse, value_write_decimal),
};

#undef ROW

const struct tern_multiaddr_codec *tern_multiaddr_codec(enum tern_multiaddr_kind kind)
{
    TERN_CHECK((unsigned)kind < TERN_MULTIADDR_KIND_COUNT);
    return &value_codecs[kind];
}

enum {
#define X(name, code, text, value) PROTOCOL_##name,
#include "wire/multiaddr.def"
#undef X
    PROTOCOL_COUNT
};

static const struct tern_multiaddr_protocol protocols[PROTOCOL_COUNT] = {
#define X(name_, code_, text_, value_)                                                             \
    [PROTOCOL_##name_] = {.code = code_, .name = text_, .kind = TERN_MULTIADDR_KIND_##value_},
#include "wire/multiaddr.def"
#undef X
};

const struct tern_multiaddr_protocol *tern_multiaddr_protocol_of_code(uint64_t code)
{
    switch (code) {
#define X(name, code, text, value)                                                                 \
    case code:                                                                                     \
        return &protocols[PROTOCOL_##name];
#include "wire/multiaddr.def"
#undef X
    default:
        return NULL;
    }
}

const struct tern_multiaddr_protocol *tern_multiaddr_protocol_of_name(struct tern_view name)
{
    if (tern_view_equal(name, tern_view_str("ipfs")))
        return &protocols[PROTOCOL_P2P];
    for (size_t i = 0; i < PROTOCOL_COUNT; i++) {
        if (tern_view_equal(name, tern_view_str(protocols[i].name)))
            return &protocols[i];
    }
    return NULL;
}
