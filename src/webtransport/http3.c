#include "webtransport/http3.h"

#include "base/check.h"

/* SETTINGS. */
enum {
    SETTING_QPACK_MAX_TABLE_CAPACITY = 0x01,
    SETTING_MAX_FIELD_SECTION_SIZE = 0x06,
    SETTING_QPACK_BLOCKED_STREAMS = 0x07,
    SETTING_ENABLE_CONNECT_PROTOCOL = 0x08,
    SETTING_H3_DATAGRAM = 0x33,
    SETTING_H3_DATAGRAM_DRAFT = 0xffd277, /* of draft 04, which Chromium had */
};

/* WebTransport, as its drafts named it one after the other: browsers and peers look for one each.
 */
static const uint64_t settings_webtransport[] = {
    0x2b603742, /* draft 02: SETTINGS_ENABLE_WEBTRANSPORT */
    0xc671706a, /* draft 07: SETTINGS_WEBTRANSPORT_MAX_SESSIONS */
    0x14e9cd29, /* draft 14: SETTINGS_WT_MAX_SESSIONS */
    0x2c7cf000, /* draft 15: SETTINGS_WT_ENABLED */
};

/* The first code of WebTransport's streams; every 31st number is left out (reserved, to be used as
 * grease). */
#define CODE_FIRST UINT64_C(0x52e4a40fa8db)
#define CODE_LAST  UINT64_C(0x52e5ac983162)
enum { CODE_GAP = 0x1e };

/* --- heads --- */

bool web_head_push(struct web_head *head, uint8_t byte, bool pair, uint64_t numbers[2])
{
    TERN_CHECK(head->size < WEB_HEAD_SIZE_MAX);
    head->bytes[head->size++] = byte;
    size_t size = tern_quic_number_size(head->bytes[0]);
    if (pair && head->size > size)
        size += tern_quic_number_size(head->bytes[size]);
    else if (pair)
        size++;
    if (head->size < size)
        return false;
    struct tern_reader r = tern_reader_of(tern_view_of(head->bytes, head->size));
    numbers[1] = 0;
    bool ok =
        tern_quic_number_read(&r, &numbers[0]) && (!pair || tern_quic_number_read(&r, &numbers[1]));
    TERN_CHECK(ok && tern_reader_left(&r) == 0);
    head->size = 0;
    return true;
}

bool web_frame_reserved(uint64_t type)
{
    return type == 0x2 || type == 0x6 || type == 0x8 || type == 0x9;
}

/* --- SETTINGS --- */

/* settings_take notes one; false: it may not be. */
static bool settings_take(struct web_settings *settings, uint64_t id, uint64_t value)
{
    if (id == 0x0 || (id >= 0x2 && id <= 0x5))
        return false; /* HTTP/2's */
    if (id == SETTING_ENABLE_CONNECT_PROTOCOL || id == SETTING_H3_DATAGRAM) {
        if (value > 1)
            return false;
        if (id == SETTING_ENABLE_CONNECT_PROTOCOL)
            settings->connect = value == 1;
    }
    for (size_t i = 0; i < TERN_COUNT_OF(settings_webtransport); i++)
        if (id == settings_webtransport[i] && value > 0)
            settings->webtransport = true;
    return true;
}

tern_fault web_settings_parse(struct tern_view content, struct web_settings *settings)
{
    struct tern_reader r = tern_reader_of(content);
    uint64_t ids[WEB_SETTINGS_ENTRIES_MAX];
    size_t count = 0;
    *settings = (struct web_settings){.connect = false};
    while (tern_reader_left(&r) > 0) {
        uint64_t id;
        uint64_t value;
        if (count == TERN_COUNT_OF(ids) || !tern_quic_number_read(&r, &id) ||
            !tern_quic_number_read(&r, &value) || !settings_take(settings, id, value))
            return TERN_FAULT_WEBTRANSPORT_SETTINGS;
        for (size_t i = 0; i < count; i++)
            if (ids[i] == id)
                return TERN_FAULT_WEBTRANSPORT_SETTINGS;
        ids[count++] = id;
    }
    return TERN_FAULT_NONE;
}

static void settings_put(struct tern_writer *w, uint64_t id, uint64_t value)
{
    tern_quic_number_write(w, id);
    tern_quic_number_write(w, value);
}

void web_settings_write(struct tern_writer *w)
{
    uint8_t content[128];
    struct tern_writer c = tern_writer_of(content, sizeof content);
    settings_put(&c, SETTING_QPACK_MAX_TABLE_CAPACITY, 0);
    settings_put(&c, SETTING_MAX_FIELD_SECTION_SIZE, WEB_FIELDS_DECODED_SIZE_MAX);
    settings_put(&c, SETTING_QPACK_BLOCKED_STREAMS, 0);
    settings_put(&c, SETTING_ENABLE_CONNECT_PROTOCOL, 1);
    settings_put(&c, SETTING_H3_DATAGRAM, 1);
    settings_put(&c, SETTING_H3_DATAGRAM_DRAFT, 1);
    for (size_t i = 0; i < TERN_COUNT_OF(settings_webtransport); i++)
        settings_put(&c, settings_webtransport[i], 1);
    TERN_CHECK(tern_writer_ok(&c));
    tern_quic_number_write(w, WEB_FRAME_SETTINGS);
    tern_quic_number_write(w, c.size);
    tern_writer_bytes(w, tern_writer_view(&c));
}

/* --- capsules --- */

/* capsules_begin: a head has come; false: it cannot be. */
static bool capsules_begin(struct web_capsules *c, const uint64_t numbers[2], uint64_t *skipped)
{
    c->type = numbers[0];
    c->left = numbers[1];
    c->within = true;
    c->code_size = 0;
    if (c->type == WEB_CAPSULE_CLOSE)
        return c->left >= sizeof c->code && c->left <= sizeof c->code + WEB_CLOSE_MESSAGE_MAX;
    *skipped += WEB_HEAD_SIZE_MAX;
    return true;
}

/* capsules_content takes content of a capsule and says how much. */
static size_t capsules_content(struct web_capsules *c, struct tern_view bytes, uint64_t *skipped)
{
    size_t size = c->left < bytes.size ? (size_t)c->left : bytes.size;
    if (c->type == WEB_CAPSULE_CLOSE) {
        size_t part = tern_min_size(size, sizeof c->code - c->code_size);
        tern_copy(c->code + c->code_size, bytes.data, part);
        c->code_size = (uint8_t)(c->code_size + part);
    } else {
        *skipped += size;
    }
    c->left -= size;
    return size;
}

enum web_capsules_result web_capsules_feed(struct web_capsules *capsules, struct tern_view bytes,
                                           uint32_t *code, uint64_t *skipped)
{
    uint64_t numbers[2];
    size_t at = 0;
    while (at < bytes.size) {
        if (!capsules->within) {
            if (!web_head_push(&capsules->head, bytes.data[at++], true, numbers))
                continue;
            if (!capsules_begin(capsules, numbers, skipped))
                return WEB_CAPSULES_BAD;
        }
        at += capsules_content(capsules, tern_view_part(bytes, at, bytes.size - at), skipped);
        if (capsules->left > 0)
            continue;
        capsules->within = false;
        if (capsules->type == WEB_CAPSULE_CLOSE) {
            struct tern_reader r = tern_reader_of(tern_view_of(capsules->code, 4));
            (void)tern_reader_u32be(&r, code);
            return WEB_CAPSULES_CLOSED;
        }
    }
    return WEB_CAPSULES_MORE;
}

void web_capsule_close_write(struct tern_writer *w, uint32_t code)
{
    enum { CAPSULE_SIZE = 2 + 1 + 4 };
    tern_quic_number_write(w, WEB_FRAME_DATA);
    tern_quic_number_write(w, CAPSULE_SIZE);
    tern_quic_number_write(w, WEB_CAPSULE_CLOSE);
    tern_quic_number_write(w, sizeof code);
    tern_writer_u32be(w, code);
}

/* --- codes --- */

uint64_t web_code_out(uint32_t code)
{
    return CODE_FIRST + code + code / CODE_GAP;
}

uint32_t web_code_in(uint64_t code)
{
    if (code == WEB_NO_ERROR || code == WEB_SESSION_GONE)
        return 0;
    if (code >= CODE_FIRST && code <= CODE_LAST && (code - 0x21) % 0x1f != 0) {
        uint64_t shifted = code - CODE_FIRST;
        return (uint32_t)(shifted - shifted / (CODE_GAP + 1));
    }
    return code > UINT32_MAX ? UINT32_MAX : (uint32_t)code;
}
