#include "webrtc/stun.h"

#include "base/check.h"
#include "base/reader.h"
#include "crypto/secret.h"
#include "crypto/sha1.h"

#define STUN_COOKIE          UINT32_C(0x2112a442)
#define STUN_FINGERPRINT_XOR UINT32_C(0x5354554e)

enum {
    STUN_METHOD_BINDING = 1,
    STUN_ATTRIBUTE_HEADER_SIZE = 4,
    STUN_FINGERPRINT_SIZE = STUN_ATTRIBUTE_HEADER_SIZE + 4,
    STUN_INTEGRITY_SIZE = STUN_ATTRIBUTE_HEADER_SIZE + TERN_SHA1_SIZE,
    STUN_LENGTH_OFFSET = 2,
};

enum stun_attribute {
    STUN_MAPPED_ADDRESS = 0x0001,
    STUN_USERNAME = 0x0006,
    STUN_MESSAGE_INTEGRITY = 0x0008,
    STUN_ERROR_CODE = 0x0009,
    STUN_UNKNOWN_ATTRIBUTES = 0x000a,
    STUN_REALM = 0x0014,
    STUN_NONCE = 0x0015,
    STUN_MESSAGE_INTEGRITY_SHA256 = 0x001c,
    STUN_PASSWORD_ALGORITHM = 0x001d,
    STUN_USERHASH = 0x001e,
    STUN_XOR_MAPPED_ADDRESS = 0x0020,
    STUN_PRIORITY = 0x0024,
    STUN_USE_CANDIDATE = 0x0025,
    STUN_OPTIONAL = 0x8000, /* kinds from here on need not be understood */
    STUN_FINGERPRINT = 0x8028,
    STUN_ICE_CONTROLLED = 0x8029,
    STUN_ICE_CONTROLLING = 0x802a,
};

/* CRC-32 of ISO 3309, four bits at a time: a message has a hundred bytes and comes seldom. */
static uint32_t stun_crc32(struct tern_view bytes)
{
    static const uint32_t table[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
        0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < bytes.size; i++) {
        crc ^= bytes.data[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

/* The type field's 14 bits: method and class are interleaved. */
static uint16_t stun_type(enum tern_stun_class class)
{
    unsigned bits = (unsigned)class;
    return (uint16_t)(STUN_METHOD_BINDING | (bits & 1) << 4 | (bits & 2) << 7);
}

bool tern_stun_is(struct tern_view datagram)
{
    struct tern_reader r = tern_reader_of(datagram);
    uint16_t type;
    uint16_t length;
    uint32_t cookie;
    tern_reader_u16be(&r, &type);
    tern_reader_u16be(&r, &length);
    tern_reader_u32be(&r, &cookie);
    return r.err == TERN_OK && type < 0x4000 && cookie == STUN_COOKIE;
}

/* ---- decoding ---- */

static bool stun_mapped(struct tern_reader *r, struct tern_stun *m)
{
    uint8_t zero;
    uint8_t family;
    uint16_t port;
    tern_reader_u8(r, &zero);
    tern_reader_u8(r, &family);
    tern_reader_u16be(r, &port);
    if (r->err != TERN_OK || (family != 1 && family != 2))
        return false;
    size_t size = family == 1 ? 4 : 16;
    uint8_t mask[16] = {0x21, 0x12, 0xa4, 0x42};
    memcpy(mask + 4, m->transaction, sizeof m->transaction);
    struct tern_endpoint mapped = {.family = family == 1 ? 4 : 6,
                                   .port = (uint16_t)(port ^ (STUN_COOKIE >> 16))};
    if (tern_reader_left(r) != size || !tern_reader_copy(r, mapped.ip, size))
        return false;
    for (size_t i = 0; i < size; i++)
        mapped.ip[i] ^= mask[i];
    if (m->mapped.family == 0)
        m->mapped = mapped;
    return true;
}

static bool stun_error_code(struct tern_reader *r, struct tern_stun *m)
{
    uint16_t zero;
    uint8_t class;
    uint8_t number;
    tern_reader_u16be(r, &zero);
    tern_reader_u8(r, &class);
    if (!tern_reader_u8(r, &number))
        return false;
    class &= 7;
    if (class < 3 || class > 6 || number > 99)
        return false;
    if (m->error == 0)
        m->error = (uint16_t)(class * 100 + number);
    return true;
}

static bool stun_role(struct tern_reader *r, struct tern_stun *m, enum tern_stun_role role)
{
    uint64_t tie_breaker;
    if (!tern_reader_u64be(r, &tie_breaker) || tern_reader_left(r) != 0)
        return false;
    if (m->role == TERN_STUN_ROLE_NONE) {
        m->role = role;
        m->tie_breaker = tie_breaker;
    }
    return true;
}

static bool stun_priority(struct tern_reader *r, struct tern_stun *m)
{
    uint32_t priority;
    if (!tern_reader_u32be(r, &priority) || tern_reader_left(r) != 0)
        return false;
    if (m->priority == 0)
        m->priority = priority;
    return true;
}

static void stun_unknown(struct tern_stun *m, uint16_t kind)
{
    if (kind < STUN_OPTIONAL && m->unknown_count < TERN_STUN_UNKNOWN_MAX)
        m->unknown[m->unknown_count++] = kind;
}

/* stun_attribute takes one attribute; false: it is malformed. */
static bool stun_attribute(struct tern_stun *m, uint16_t kind, struct tern_view value)
{
    struct tern_reader r = tern_reader_of(value);
    switch (kind) {
    case STUN_USERNAME:
        if (value.size > TERN_STUN_USERNAME_MAX)
            return false;
        if (m->username.size == 0)
            m->username = value;
        return true;
    case STUN_XOR_MAPPED_ADDRESS:
        return stun_mapped(&r, m);
    case STUN_ERROR_CODE:
        return stun_error_code(&r, m);
    case STUN_PRIORITY:
        return stun_priority(&r, m);
    case STUN_USE_CANDIDATE:
        m->use_candidate = true;
        return value.size == 0;
    case STUN_ICE_CONTROLLED:
        return stun_role(&r, m, TERN_STUN_ROLE_CONTROLLED);
    case STUN_ICE_CONTROLLING:
        return stun_role(&r, m, TERN_STUN_ROLE_CONTROLLING);
    case STUN_MAPPED_ADDRESS:
    case STUN_UNKNOWN_ATTRIBUTES:
    case STUN_REALM:
    case STUN_NONCE:
    case STUN_MESSAGE_INTEGRITY_SHA256:
    case STUN_PASSWORD_ALGORITHM:
    case STUN_USERHASH:
        return true; /* understood, and of no use here */
    default:         /* a peer's number, not an enum of ours */
        stun_unknown(m, kind);
        return true;
    }
}

/* stun_attributes reads what is between the header and FINGERPRINT. */
static bool stun_attributes(struct tern_reader *r, struct tern_stun *m)
{
    for (size_t i = 0; tern_reader_left(r) > 0; i++) {
        uint16_t kind;
        uint16_t size;
        struct tern_view value;
        size_t offset = r->offset;
        tern_reader_u16be(r, &kind);
        tern_reader_u16be(r, &size);
        tern_reader_bytes(r, size, &value);
        if (!tern_reader_skip(r, -(size_t)size & 3) || i >= TERN_STUN_ATTRIBUTES_MAX)
            return false;
        if (m->integrity_offset > 0)
            continue;
        if (kind == STUN_FINGERPRINT)
            return false; /* not the last one */
        if (kind != STUN_MESSAGE_INTEGRITY) {
            if (!stun_attribute(m, kind, value))
                return false;
            continue;
        }
        if (size != TERN_SHA1_SIZE)
            return false;
        m->integrity_offset = offset;
    }
    return true;
}

static bool stun_header(struct tern_reader *r, struct tern_stun *m)
{
    uint16_t type;
    uint16_t length;
    uint32_t cookie;
    tern_reader_u16be(r, &type);
    tern_reader_u16be(r, &length);
    tern_reader_u32be(r, &cookie);
    if (!tern_reader_copy(r, m->transaction, sizeof m->transaction))
        return false;
    if (cookie != STUN_COOKIE || length % 4 != 0 || length != tern_reader_left(r))
        return false;
    m->class = (enum tern_stun_class)((type >> 4 & 1) | (type >> 7 & 2));
    return type == stun_type(m->class);
}

/* stun_fingerprinted: does the message end in a FINGERPRINT that is right? */
static bool stun_fingerprinted(struct tern_view datagram)
{
    struct tern_view body = tern_view_part(datagram, 0, datagram.size - STUN_FINGERPRINT_SIZE);
    struct tern_reader r =
        tern_reader_of(tern_view_part(datagram, body.size, STUN_FINGERPRINT_SIZE));
    uint16_t kind;
    uint16_t size;
    uint32_t value;
    tern_reader_u16be(&r, &kind);
    tern_reader_u16be(&r, &size);
    tern_reader_u32be(&r, &value);
    return kind == STUN_FINGERPRINT && size == sizeof value &&
           value == (stun_crc32(body) ^ STUN_FINGERPRINT_XOR);
}

tern_err tern_stun_decode(struct tern_view datagram, struct tern_stun *m, tern_fault *fault)
{
    *m = (struct tern_stun){0};
    *fault = TERN_FAULT_WEBRTC_STUN_MALFORMED;
    struct tern_reader r = tern_reader_of(datagram);
    if (datagram.size > TERN_STUN_SIZE_MAX || !stun_header(&r, m))
        return TERN_ERR_MALFORMED;
    if (datagram.size < TERN_STUN_HEADER_SIZE + STUN_FINGERPRINT_SIZE ||
        !stun_fingerprinted(datagram)) {
        *fault = TERN_FAULT_WEBRTC_STUN_FINGERPRINT;
        return TERN_ERR_MALFORMED;
    }
    r.size -= STUN_FINGERPRINT_SIZE;
    if (!stun_attributes(&r, m))
        return TERN_ERR_MALFORMED;
    *fault = TERN_FAULT_NONE;
    return TERN_OK;
}

/* stun_mac is the integrity of the first offset bytes: of the message as if it ended behind
 * MESSAGE-INTEGRITY. */
static void stun_mac(struct tern_view message, size_t offset, struct tern_view password,
                     uint8_t mac[TERN_SHA1_SIZE])
{
    size_t length = offset + STUN_INTEGRITY_SIZE - TERN_STUN_HEADER_SIZE;
    const uint8_t bytes[2] = {(uint8_t)(length >> 8), (uint8_t)length};
    const struct tern_view parts[] = {
        tern_view_part(message, 0, STUN_LENGTH_OFFSET),
        tern_view_of(bytes, sizeof bytes),
        tern_view_part(message, STUN_LENGTH_OFFSET + sizeof bytes,
                       offset - STUN_LENGTH_OFFSET - sizeof bytes),
    };
    tern_hmac_sha1_parts(password, parts, TERN_COUNT_OF(parts), mac);
}

bool tern_stun_authentic(const struct tern_stun *m, struct tern_view datagram,
                         struct tern_view password)
{
    if (m->integrity_offset == 0 || password.size == 0)
        return false;
    uint8_t mac[TERN_SHA1_SIZE];
    stun_mac(datagram, m->integrity_offset, password, mac);
    return tern_secret_equal(mac, datagram.data + m->integrity_offset + STUN_ATTRIBUTE_HEADER_SIZE,
                             sizeof mac);
}

/* ---- encoding ---- */

static void stun_begin_attribute(struct tern_writer *out, uint16_t kind, size_t size)
{
    tern_writer_u16be(out, kind);
    tern_writer_u16be(out, (uint16_t)size);
}

static void stun_pad(struct tern_writer *out, size_t size)
{
    for (size_t left = -size & 3; left > 0; left--)
        tern_writer_u8(out, 0);
}

static void stun_put_mapped(const struct tern_stun *m, struct tern_writer *out)
{
    size_t size = m->mapped.family == 4 ? 4 : 16;
    uint8_t mask[16] = {0x21, 0x12, 0xa4, 0x42};
    memcpy(mask + 4, m->transaction, sizeof m->transaction);
    stun_begin_attribute(out, STUN_XOR_MAPPED_ADDRESS, 4 + size);
    tern_writer_u8(out, 0);
    tern_writer_u8(out, m->mapped.family == 4 ? 1 : 2);
    tern_writer_u16be(out, (uint16_t)(m->mapped.port ^ (STUN_COOKIE >> 16)));
    for (size_t i = 0; i < size; i++)
        tern_writer_u8(out, m->mapped.ip[i] ^ mask[i]);
}

static void stun_put_error(const struct tern_stun *m, struct tern_writer *out)
{
    stun_begin_attribute(out, STUN_ERROR_CODE, 4);
    tern_writer_u16be(out, 0);
    tern_writer_u8(out, (uint8_t)(m->error / 100));
    tern_writer_u8(out, (uint8_t)(m->error % 100));
    if (m->unknown_count == 0)
        return;
    stun_begin_attribute(out, STUN_UNKNOWN_ATTRIBUTES, 2 * m->unknown_count);
    for (size_t i = 0; i < m->unknown_count; i++)
        tern_writer_u16be(out, m->unknown[i]);
    stun_pad(out, 2 * m->unknown_count);
}

static void stun_put_attributes(const struct tern_stun *m, struct tern_writer *out)
{
    if (m->username.size > 0) {
        stun_begin_attribute(out, STUN_USERNAME, m->username.size);
        tern_writer_bytes(out, m->username);
        stun_pad(out, m->username.size);
    }
    if (m->priority > 0) {
        stun_begin_attribute(out, STUN_PRIORITY, 4);
        tern_writer_u32be(out, m->priority);
    }
    if (m->role != TERN_STUN_ROLE_NONE) {
        bool controlling = m->role == TERN_STUN_ROLE_CONTROLLING;
        stun_begin_attribute(out, controlling ? STUN_ICE_CONTROLLING : STUN_ICE_CONTROLLED, 8);
        tern_writer_u64be(out, m->tie_breaker);
    }
    if (m->use_candidate)
        stun_begin_attribute(out, STUN_USE_CANDIDATE, 0);
    if (m->mapped.family != 0)
        stun_put_mapped(m, out);
    if (m->error != 0)
        stun_put_error(m, out);
}

/* stun_set_length makes the header say that so many bytes follow it. */
static void stun_set_length(uint8_t *message, size_t length)
{
    message[STUN_LENGTH_OFFSET] = (uint8_t)(length >> 8);
    message[STUN_LENGTH_OFFSET + 1] = (uint8_t)length;
}

void tern_stun_encode(const struct tern_stun *m, struct tern_view password, struct tern_writer *out)
{
    TERN_CHECK(m->username.size <= TERN_STUN_USERNAME_MAX);
    TERN_CHECK(m->unknown_count <= TERN_STUN_UNKNOWN_MAX);
    size_t start = out->size;
    tern_writer_u16be(out, stun_type(m->class));
    tern_writer_u16be(out, 0);
    tern_writer_u32be(out, STUN_COOKIE);
    tern_writer_bytes(out, tern_view_of(m->transaction, sizeof m->transaction));
    stun_put_attributes(m, out);
    if (tern_writer_left(out) < STUN_INTEGRITY_SIZE + STUN_FINGERPRINT_SIZE) {
        out->overflow = true;
        return;
    }
    uint8_t *message = out->data + start;
    if (password.size > 0) {
        uint8_t mac[TERN_SHA1_SIZE];
        stun_mac(tern_view_of(message, out->size - start), out->size - start, password, mac);
        stun_begin_attribute(out, STUN_MESSAGE_INTEGRITY, sizeof mac);
        tern_writer_bytes(out, tern_view_of(mac, sizeof mac));
    }
    size_t size = out->size - start;
    stun_set_length(message, size + STUN_FINGERPRINT_SIZE - TERN_STUN_HEADER_SIZE);
    stun_begin_attribute(out, STUN_FINGERPRINT, 4);
    tern_writer_u32be(out, stun_crc32(tern_view_of(message, size)) ^ STUN_FINGERPRINT_XOR);
}
