#include "wire/ip.h"

#include "base/check.h"

enum { IP6_GROUPS = 8, IP6_GROUP_DIGITS_MAX = 4, IP4_SIZE = 4 };

static bool ip_is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* Reads "a.b.c.d" and nothing else. */
static bool ip4_read(struct tern_view text, uint8_t out[IP4_SIZE])
{
    size_t at = 0;
    for (size_t i = 0; i < IP4_SIZE; i++) {
        if (i > 0 && (at == text.size || text.data[at++] != '.'))
            return false;
        size_t start = at;
        unsigned value = 0;
        while (at < text.size && ip_is_digit(text.data[at]) && at - start < 3)
            value = value * 10 + (text.data[at++] - (unsigned)'0');
        bool leading_zero = at - start > 1 && text.data[start] == '0';
        if (at == start || value > UINT8_MAX || leading_zero)
            return false;
        out[i] = (uint8_t)value;
    }
    return at == text.size;
}

tern_err tern_ip4_parse(struct tern_view text, struct tern_ip *ip)
{
    *ip = (struct tern_ip){.family = 4};
    return ip4_read(text, ip->bytes) ? TERN_OK : TERN_ERR_MALFORMED;
}

static unsigned ip6_hex(uint8_t c)
{
    if (ip_is_digit(c))
        return c - (unsigned)'0';
    if (c >= 'a' && c <= 'f')
        return c - (unsigned)'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - (unsigned)'A' + 10;
    return 16;
}

/* The groups of an IPv6 text: those before and those after the "::", in one row. */
struct ip6_groups {
    uint8_t bytes[2 * IP6_GROUPS];
    size_t size;  /* bytes filled */
    size_t split; /* bytes before "::"; SIZE_MAX: there is none */
};

/* Reads one group of hexadecimal digits at *at. */
static bool ip6_read_group(struct tern_view text, size_t *at, struct ip6_groups *groups)
{
    size_t start = *at;
    unsigned value = 0;
    while (*at < text.size && *at - start < IP6_GROUP_DIGITS_MAX && ip6_hex(text.data[*at]) < 16)
        value = value * 16 + ip6_hex(text.data[(*at)++]);
    if (*at == start)
        return false;
    groups->bytes[groups->size++] = (uint8_t)(value >> 8);
    groups->bytes[groups->size++] = (uint8_t)value;
    return true;
}

/* Is the rest from `at` a dotted IPv4 tail? It is, if a dot comes before any colon. */
static bool ip6_dotted_ahead(struct tern_view text, size_t at)
{
    for (size_t i = at; i < text.size && text.data[i] != ':'; i++) {
        if (text.data[i] == '.')
            return true;
    }
    return false;
}

static bool ip6_read(struct tern_view text, struct ip6_groups *groups)
{
    size_t at = 0;
    if (text.size >= 2 && text.data[0] == ':' && text.data[1] == ':') {
        groups->split = 0;
        at = 2;
    }
    while (at < text.size) {
        if (groups->size == sizeof groups->bytes)
            return false;
        if (ip6_dotted_ahead(text, at)) {
            if (groups->size + IP4_SIZE > sizeof groups->bytes)
                return false;
            uint8_t *tail = groups->bytes + groups->size;
            groups->size += IP4_SIZE;
            return ip4_read(tern_view_of(text.data + at, text.size - at), tail);
        }
        if (!ip6_read_group(text, &at, groups))
            return false;
        if (at == text.size)
            return true;
        if (text.data[at++] != ':' || at == text.size)
            return false;
        if (text.data[at] == ':') {
            if (groups->split != SIZE_MAX)
                return false;
            groups->split = groups->size;
            at++;
        }
    }
    return groups->split != SIZE_MAX;
}

tern_err tern_ip6_parse(struct tern_view text, struct tern_ip *ip)
{
    *ip = (struct tern_ip){.family = 6};
    struct ip6_groups groups = {.split = SIZE_MAX};
    if (!ip6_read(text, &groups))
        return TERN_ERR_MALFORMED;
    if (groups.split == SIZE_MAX) {
        if (groups.size != sizeof ip->bytes)
            return TERN_ERR_MALFORMED;
        memcpy(ip->bytes, groups.bytes, sizeof ip->bytes);
        return TERN_OK;
    }
    /* "::" stands for at least one group. */
    if (groups.size > sizeof ip->bytes - 2)
        return TERN_ERR_MALFORMED;
    size_t tail = groups.size - groups.split;
    memcpy(ip->bytes, groups.bytes, groups.split);
    memcpy(ip->bytes + sizeof ip->bytes - tail, groups.bytes + groups.split, tail);
    return TERN_OK;
}

tern_err tern_ip_parse(struct tern_view text, struct tern_ip *ip)
{
    return memchr(text.size == 0 ? "" : (const char *)text.data, ':', text.size) != NULL
               ? tern_ip6_parse(text, ip)
               : tern_ip4_parse(text, ip);
}

static void ip4_format(const uint8_t bytes[IP4_SIZE], struct tern_writer *text)
{
    for (size_t i = 0; i < IP4_SIZE; i++) {
        if (i > 0)
            tern_writer_u8(text, '.');
        tern_writer_decimal(text, bytes[i]);
    }
}

static unsigned ip6_group(const struct tern_ip *ip, size_t i)
{
    return (unsigned)ip->bytes[2 * i] << 8 | ip->bytes[2 * i + 1];
}

static void ip6_format_group(unsigned group, struct tern_writer *text)
{
    static const char digits[] = "0123456789abcdef";
    bool started = false;
    for (unsigned shift = 16; shift > 0;) {
        shift -= 4;
        unsigned digit = group >> shift & 15;
        started = started || digit != 0 || shift == 0;
        if (started)
            tern_writer_u8(text, (uint8_t)digits[digit]);
    }
}

static const uint8_t ip6_mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/* The longest run of at least two zero groups, the first of equals; *count is 0 if there is none.
 */
static void ip6_longest_zeros(const struct tern_ip *ip, size_t *start, size_t *count)
{
    *start = 0;
    *count = 0;
    size_t run = 0;
    for (size_t i = 0; i < IP6_GROUPS; i++) {
        run = ip6_group(ip, i) == 0 ? run + 1 : 0;
        if (run >= 2 && run > *count) {
            *count = run;
            *start = i + 1 - run;
        }
    }
}

static void ip6_format(const struct tern_ip *ip, struct tern_writer *text)
{
    if (memcmp(ip->bytes, ip6_mapped_prefix, sizeof ip6_mapped_prefix) == 0) {
        tern_writer_str(text, "::ffff:");
        ip4_format(ip->bytes + sizeof ip6_mapped_prefix, text);
        return;
    }
    size_t zeros_start;
    size_t zeros_count;
    ip6_longest_zeros(ip, &zeros_start, &zeros_count);
    for (size_t i = 0; i < IP6_GROUPS; i++) {
        if (zeros_count > 0 && i == zeros_start) {
            tern_writer_str(text, "::");
            i += zeros_count - 1;
            continue;
        }
        if (i > 0 && (zeros_count == 0 || i != zeros_start + zeros_count))
            tern_writer_u8(text, ':');
        ip6_format_group(ip6_group(ip, i), text);
    }
}

void tern_ip_format(const struct tern_ip *ip, struct tern_writer *text)
{
    TERN_CHECK(ip->family == 4 || ip->family == 6);
    if (ip->family == 4)
        ip4_format(ip->bytes, text);
    else
        ip6_format(ip, text);
}

struct ip_range_row {
    uint8_t prefix[16];
    uint8_t bits;
    enum tern_ip_range range;
};

/* The first row that matches counts. */
static const struct ip_range_row ip4_ranges[] = {
    {{0, 0, 0, 0}, 32, TERN_IP_UNSPECIFIED},
    {{0}, 8, TERN_IP_RESERVED},
    {{127}, 8, TERN_IP_LOOPBACK},
    {{10}, 8, TERN_IP_PRIVATE},
    {{172, 16}, 12, TERN_IP_PRIVATE},
    {{192, 168}, 16, TERN_IP_PRIVATE},
    {{100, 64}, 10, TERN_IP_SHARED},
    {{169, 254}, 16, TERN_IP_LINK_LOCAL},
    {{192, 0, 0}, 24, TERN_IP_RESERVED},
    {{192, 0, 2}, 24, TERN_IP_RESERVED},
    {{198, 18}, 15, TERN_IP_RESERVED},
    {{198, 51, 100}, 24, TERN_IP_RESERVED},
    {{203, 0, 113}, 24, TERN_IP_RESERVED},
    {{224}, 4, TERN_IP_MULTICAST},
    {{240}, 4, TERN_IP_RESERVED},
};

static const struct ip_range_row ip6_ranges[] = {
    {{0}, 128, TERN_IP_UNSPECIFIED},
    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 128, TERN_IP_LOOPBACK},
    {{0xfc}, 7, TERN_IP_PRIVATE},
    {{0xfe, 0x80}, 10, TERN_IP_LINK_LOCAL},
    {{0xff}, 8, TERN_IP_MULTICAST},
    {{0x01, 0x00}, 64, TERN_IP_RESERVED},
    {{0x20, 0x01, 0x0d, 0xb8}, 32, TERN_IP_RESERVED},
    {{0x3f, 0xff}, 20, TERN_IP_RESERVED},
    {{0}, 8, TERN_IP_RESERVED},
};

static bool ip_bits_equal(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    if (memcmp(a, b, bits / 8) != 0)
        return false;
    unsigned rest = bits % 8;
    return rest == 0 || (a[bits / 8] ^ b[bits / 8]) >> (8 - rest) == 0;
}

static enum tern_ip_range ip_range_find(const uint8_t *bytes, const struct ip_range_row *rows,
                                        size_t rows_count)
{
    for (size_t i = 0; i < rows_count; i++) {
        if (ip_bits_equal(bytes, rows[i].prefix, rows[i].bits))
            return rows[i].range;
    }
    return TERN_IP_PUBLIC;
}

enum tern_ip_range tern_ip_range(const struct tern_ip *ip)
{
    static const uint8_t nat64_prefix[12] = {0x00, 0x64, 0xff, 0x9b};
    TERN_CHECK(ip->family == 4 || ip->family == 6);
    const uint8_t *ip4 = NULL;
    if (ip->family == 4)
        ip4 = ip->bytes;
    else if (memcmp(ip->bytes, ip6_mapped_prefix, sizeof ip6_mapped_prefix) == 0 ||
             memcmp(ip->bytes, nat64_prefix, sizeof nat64_prefix) == 0)
        ip4 = ip->bytes + sizeof nat64_prefix;
    if (ip4 != NULL)
        return ip_range_find(ip4, ip4_ranges, TERN_COUNT_OF(ip4_ranges));
    return ip_range_find(ip->bytes, ip6_ranges, TERN_COUNT_OF(ip6_ranges));
}

bool tern_ip_prefix_equal(const struct tern_ip *a, const struct tern_ip *b, unsigned bits)
{
    TERN_CHECK(bits <= 8 * tern_ip_size(a));
    return a->family == b->family && ip_bits_equal(a->bytes, b->bytes, bits);
}
