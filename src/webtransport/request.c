#include "webtransport/request.h"

#include "base/check.h"
#include "webtransport/http3.h"
#include "webtransport/qpack.h"

#define REQUEST_PATH  "/.well-known/libp2p-webtransport"
#define REQUEST_TYPE  "type=noise"
#define REQUEST_QUERY "type="

/* Fields that belong to a connection of HTTP/1. */
static const char *const request_forbidden[] = {
    "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade",
};

enum pseudo {
    PSEUDO_METHOD = 1 << 0,
    PSEUDO_SCHEME = 1 << 1,
    PSEUDO_AUTHORITY = 1 << 2,
    PSEUDO_PATH = 1 << 3,
    PSEUDO_PROTOCOL = 1 << 4,
    PSEUDO_STATUS = 1 << 5,
};

static const struct {
    const char *name;
    enum pseudo bit;
} pseudos[] = {
    {":method", PSEUDO_METHOD}, {":scheme", PSEUDO_SCHEME},     {":authority", PSEUDO_AUTHORITY},
    {":path", PSEUDO_PATH},     {":protocol", PSEUDO_PROTOCOL}, {":status", PSEUDO_STATUS},
};

/* What is learned of a message. */
struct message {
    unsigned allowed; /* pseudo fields */
    unsigned seen;
    bool regular; /* a field that is none has come */
    bool connect; /* the method */
    bool webtransport;
    bool https;
    bool found; /* the path */
    bool noise; /* its query asks for Noise, and once */
    unsigned status;
};

static bool is_text(struct tern_view view, const char *text)
{
    return tern_view_equal(view, tern_view_str(text));
}

/* --- fields --- */

static bool starts_with(struct tern_view view, const char *text)
{
    size_t size = strlen(text);
    return view.size >= size && memcmp(view.data, text, size) == 0;
}

/* cut splits a view at the first byte of the kind; what is behind it is empty when there is none.
 */
static struct tern_view cut(struct tern_view view, char at, struct tern_view *behind)
{
    const uint8_t *found = view.size == 0 ? NULL : memchr(view.data, at, view.size);
    size_t size = found == NULL ? view.size : (size_t)(found - view.data);
    *behind = found == NULL ? tern_view_of(NULL, 0)
                            : tern_view_part(view, size + 1, view.size - size - 1);
    return tern_view_of(view.data, size);
}

/* message_path: the query has one type, and that is Noise. Others may stand beside it. */
static void message_path(struct message *m, struct tern_view path)
{
    struct tern_view query;
    size_t types = 0;
    bool noise = false;
    m->found = is_text(cut(path, '?', &query), REQUEST_PATH);
    while (query.size > 0) {
        struct tern_view part = cut(query, '&', &query);
        types += starts_with(part, REQUEST_QUERY);
        noise = noise || is_text(part, REQUEST_TYPE);
    }
    m->noise = noise && types == 1;
}

static bool message_status(struct message *m, struct tern_view value)
{
    if (value.size != 3)
        return false;
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return false;
        m->status = m->status * 10 + (value.data[i] - '0');
    }
    return m->status >= 100 && m->status <= 599;
}

static bool message_pseudo(struct message *m, struct tern_view name, struct tern_view value)
{
    for (size_t i = 0; i < TERN_COUNT_OF(pseudos); i++) {
        if (!is_text(name, pseudos[i].name))
            continue;
        unsigned bit = pseudos[i].bit;
        if (m->regular || (m->seen & bit) || !(m->allowed & bit))
            return false;
        m->seen |= bit;
        switch (pseudos[i].bit) {
        case PSEUDO_METHOD:
            m->connect = is_text(value, "CONNECT");
            return value.size > 0;
        case PSEUDO_SCHEME:
            m->https = is_text(value, "https");
            return value.size > 0;
        case PSEUDO_AUTHORITY:
            return true;
        case PSEUDO_PATH:
            message_path(m, value);
            return value.size > 0;
        case PSEUDO_PROTOCOL:
            /* The longer one is of draft 15. */
            m->webtransport = is_text(value, "webtransport") || is_text(value, "webtransport-h3");
            return true;
        case PSEUDO_STATUS:
            return message_status(m, value);
        }
    }
    return false;
}

/* message_name: is it one that may stand on the wire? */
static bool message_name(struct tern_view name)
{
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];
        bool upper = c >= 'A' && c <= 'Z';
        bool colon = c == ':' && i > 0;
        if (c <= ' ' || c >= 0x7f || upper || colon)
            return false;
    }
    return name.size > 0;
}

static bool message_field(void *context, struct tern_view name, struct tern_view value)
{
    struct message *m = context;
    if (!message_name(name))
        return false;
    if (name.data[0] == ':')
        return message_pseudo(m, name, value);
    m->regular = true;
    for (size_t i = 0; i < TERN_COUNT_OF(request_forbidden); i++)
        if (is_text(name, request_forbidden[i]))
            return false;
    return true;
}

/* --- requests --- */

/* request_whole: does it have the pseudo fields that its kind must have, and no others? */
static bool request_whole(const struct message *m)
{
    const unsigned usual = PSEUDO_METHOD | PSEUDO_SCHEME | PSEUDO_PATH;
    const unsigned extended = usual | PSEUDO_AUTHORITY | PSEUDO_PROTOCOL;
    if (m->seen & PSEUDO_PROTOCOL)
        return m->connect && m->seen == extended;
    if (m->connect)
        return m->seen == (PSEUDO_METHOD | PSEUDO_AUTHORITY);
    return (m->seen & usual) == usual;
}

static enum web_status request_judge(const struct message *m)
{
    if (!m->connect)
        return m->found ? WEB_STATUS_NOT_ALLOWED : WEB_STATUS_NOT_FOUND;
    if (!(m->seen & PSEUDO_PROTOCOL) || !m->webtransport)
        return WEB_STATUS_NOT_IMPLEMENTED;
    if (!m->found)
        return WEB_STATUS_NOT_FOUND;
    return m->https && m->noise ? WEB_STATUS_OK : WEB_STATUS_BAD_REQUEST;
}

tern_err web_request_read(struct tern_mem *mem, struct tern_view section, enum web_status *status,
                          tern_fault *fault)
{
    struct message m = {.allowed = PSEUDO_METHOD | PSEUDO_SCHEME | PSEUDO_AUTHORITY | PSEUDO_PATH |
                                   PSEUDO_PROTOCOL};
    *status = WEB_STATUS_BAD_REQUEST;
    TERN_TRY(web_qpack_decode(mem, section, message_field, &m, fault));
    if (!request_whole(&m)) {
        *fault = TERN_FAULT_WEBTRANSPORT_FIELDS;
        return TERN_ERR_PROTOCOL;
    }
    *status = request_judge(&m);
    return TERN_OK;
}

/* --- responses --- */

tern_err web_response_read(struct tern_mem *mem, struct tern_view section, unsigned *status,
                           tern_fault *fault)
{
    struct message m = {.allowed = PSEUDO_STATUS};
    *status = 0;
    TERN_TRY(web_qpack_decode(mem, section, message_field, &m, fault));
    if (!(m.seen & PSEUDO_STATUS)) {
        *fault = TERN_FAULT_WEBTRANSPORT_FIELDS;
        return TERN_ERR_PROTOCOL;
    }
    *status = m.status;
    return TERN_OK;
}

/* --- writing --- */

static tern_err message_write(struct tern_mem *mem, const struct web_field *fields, size_t count,
                              struct tern_writer *out)
{
    uint8_t section[WEB_MESSAGE_SIZE_MAX];
    struct tern_writer w = tern_writer_of(section, sizeof section);
    TERN_TRY(web_qpack_encode(mem, fields, count, &w));
    tern_quic_number_write(out, WEB_FRAME_HEADERS);
    tern_quic_number_write(out, w.size);
    tern_writer_bytes(out, tern_writer_view(&w));
    return tern_writer_ok(out) ? TERN_OK : TERN_ERR_TOO_LARGE;
}

tern_err web_request_write(struct tern_mem *mem, struct tern_view authority,
                           struct tern_writer *out)
{
    const struct web_field fields[] = {
        {":method", tern_view_str("CONNECT")},
        {":protocol", tern_view_str("webtransport")},
        {":scheme", tern_view_str("https")},
        {":authority", authority},
        {":path", tern_view_str(REQUEST_PATH "?" REQUEST_TYPE)},
        {"sec-webtransport-http3-draft02", tern_view_str("1")},
    };
    return message_write(mem, fields, TERN_COUNT_OF(fields), out);
}

tern_err web_response_write(struct tern_mem *mem, enum web_status status, struct tern_writer *out)
{
    uint8_t digits[4];
    struct tern_writer text = tern_writer_of(digits, sizeof digits);
    tern_writer_decimal(&text, status);
    const struct web_field fields[] = {
        {":status", tern_writer_view(&text)},
        {"sec-webtransport-http3-draft", tern_view_str("draft02")},
    };
    return message_write(mem, fields, status == WEB_STATUS_OK ? 2 : 1, out);
}
