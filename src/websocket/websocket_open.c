/*
 * The opening: the request, the answer, and what either must have.
 */
#include "crypto/sha1.h"
#include "websocket/http_head.h"
#include "websocket/websocket_internal.h"
#include "wire/multibase.h"

enum { KEY_SIZE = 16, KEY_TEXT_SIZE = 24, FIELDS_MAX = 100, OUT_SIZE_MAX = 640 };

/* What section 1.3 of RFC 6455 has the server append to the key. */
static const char open_magic[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/* The fields that matter. */
struct open_fields {
    struct tern_view host;
    struct tern_view key;
    struct tern_view version;
    struct tern_view accept;
    struct tern_view length;
    bool upgrade;    /* names websocket */
    bool connection; /* names upgrade */
    bool chunked;    /* a body of another kind than by length */
    bool chosen;     /* an extension or a subprotocol is named */
};

static bool open_is_server(const struct tern_websocket *ws)
{
    return ws->role == TERN_ROLE_RESPONDER;
}

/* --- what we send --- */

static void open_accept(struct tern_view key, uint8_t accept[TERN_WEBSOCKET_ACCEPT_SIZE])
{
    uint8_t digest[TERN_SHA1_SIZE];
    const struct tern_view parts[] = {key, tern_view_str(open_magic)};
    tern_sha1_parts(parts, TERN_COUNT_OF(parts), digest);
    struct tern_writer text = tern_writer_of(accept, TERN_WEBSOCKET_ACCEPT_SIZE);
    tern_err err = tern_base_encode(TERN_BASE64_PAD, tern_view_of(digest, sizeof digest), &text);
    TERN_CHECK(err == TERN_OK && text.size == TERN_WEBSOCKET_ACCEPT_SIZE);
}

/* open_out makes the message that control sends, of several texts. */
static tern_err open_out(struct tern_websocket *ws, const struct tern_view *parts, size_t count)
{
    TERN_CHECK(ws->out == NULL);
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += parts[i].size;
    TERN_CHECK(size <= OUT_SIZE_MAX);
    ws->out = tern_chunk_new(ws->mem, size);
    if (ws->out == NULL)
        return TERN_ERR_MEMORY;
    struct tern_writer w = tern_writer_of(ws->out->data, size);
    for (size_t i = 0; i < count; i++)
        tern_writer_bytes(&w, parts[i]);
    ws->out->size = (uint32_t)w.size;
    return TERN_OK;
}

tern_err tern_websocket_request(struct tern_websocket *ws, struct tern_view host)
{
    uint8_t key[KEY_SIZE];
    uint8_t text[KEY_TEXT_SIZE];
    struct tern_writer w = tern_writer_of(text, sizeof text);
    tern_random_bytes(ws->random, key, sizeof key);
    tern_err err = tern_base_encode(TERN_BASE64_PAD, tern_view_of(key, sizeof key), &w);
    TERN_CHECK(err == TERN_OK && w.size == sizeof text);
    open_accept(tern_writer_view(&w), ws->accept);
    const struct tern_view parts[] = {
        tern_view_str("GET / HTTP/1.1\r\nHost: "),
        host,
        tern_view_str("\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13"
                      "\r\nSec-WebSocket-Key: "),
        tern_writer_view(&w),
        tern_view_str("\r\n\r\n"),
    };
    return open_out(ws, parts, TERN_COUNT_OF(parts));
}

static tern_err open_answer(struct tern_websocket *ws)
{
    const struct tern_view parts[] = {
        tern_view_str("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                      "Connection: Upgrade\r\nSec-WebSocket-Accept: "),
        tern_view_of(ws->accept, sizeof ws->accept),
        tern_view_str("\r\n\r\n"),
    };
    return open_out(ws, parts, TERN_COUNT_OF(parts));
}

/* What a server says to a request that it refuses for a fault. */
static const char *open_status(tern_fault fault)
{
    static const char upgrade[] =
        "426 Upgrade Required\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13";
    static const struct {
        tern_fault fault;
        const char *status;
    } rows[] = {
        {TERN_FAULT_WEBSOCKET_HEAD_TOO_LARGE, "431 Request Header Fields Too Large"},
        {TERN_FAULT_WEBSOCKET_NO_UPGRADE, upgrade},
        {TERN_FAULT_WEBSOCKET_BAD_VERSION, upgrade},
        {TERN_FAULT_WEBSOCKET_BAD_METHOD, "405 Method Not Allowed\r\nAllow: GET"},
        {TERN_FAULT_WEBSOCKET_BAD_HTTP, "505 HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++)
        if (rows[i].fault == fault)
            return rows[i].status;
    return "400 Bad Request";
}

/* open_refuse ends the opening; a server says why, if there is memory to. */
static void open_refuse(struct tern_websocket *ws, tern_fault fault)
{
    tern_err err = TERN_ERR_PROTOCOL;
    if (fault == TERN_FAULT_WEBSOCKET_HEAD_TOO_LARGE)
        err = TERN_ERR_TOO_LARGE;
    else if (fault == TERN_FAULT_WEBSOCKET_REFUSED)
        err = TERN_ERR_NO_PROTOCOL;
    const struct tern_view parts[] = {
        tern_view_str("HTTP/1.1 "),
        tern_view_str(open_status(fault)),
        tern_view_str("\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
    };
    if (open_is_server(ws))
        TERN_IGNORE(open_out(ws, parts, TERN_COUNT_OF(parts))); /* then it ends without a word */
    (void)tern_websocket_fail(ws, err, fault);
}

/* --- what has come --- */

/* open_once notes a field that may be there once; false: it was there. */
static bool open_once(struct tern_view *place, struct tern_view value)
{
    if (place->data != NULL)
        return false;
    *place = value;
    return true;
}

static bool open_field(struct open_fields *fields, struct tern_view name, struct tern_view value)
{
    if (tern_http_same(name, "host"))
        return open_once(&fields->host, value);
    if (tern_http_same(name, "sec-websocket-key"))
        return open_once(&fields->key, value);
    if (tern_http_same(name, "sec-websocket-version"))
        return open_once(&fields->version, value);
    if (tern_http_same(name, "sec-websocket-accept"))
        return open_once(&fields->accept, value);
    if (tern_http_same(name, "content-length"))
        return open_once(&fields->length, value);
    if (tern_http_same(name, "upgrade"))
        fields->upgrade = fields->upgrade || tern_http_list_has(value, "websocket");
    else if (tern_http_same(name, "connection"))
        fields->connection = fields->connection || tern_http_list_has(value, "upgrade");
    else if (tern_http_same(name, "transfer-encoding"))
        fields->chunked = true;
    else if (tern_http_same(name, "sec-websocket-extensions") ||
             tern_http_same(name, "sec-websocket-protocol"))
        fields->chosen = true;
    return true;
}

static tern_fault open_fields(struct tern_http_lines *lines, struct open_fields *fields)
{
    struct tern_view line;
    *fields = (struct open_fields){.upgrade = false};
    for (int i = 0; tern_http_line_next(lines, &line); i++) {
        struct tern_view name;
        struct tern_view value;
        if (i >= FIELDS_MAX)
            return TERN_FAULT_WEBSOCKET_HEAD_TOO_LARGE;
        if (!tern_http_field(line, &name, &value))
            return TERN_FAULT_WEBSOCKET_HEAD_MALFORMED;
        if (!open_field(fields, name, value))
            return TERN_FAULT_WEBSOCKET_HEAD_DUPLICATE;
    }
    return TERN_FAULT_NONE;
}

static bool open_key_good(struct tern_view text)
{
    uint8_t key[KEY_SIZE];
    struct tern_writer w = tern_writer_of(key, sizeof key);
    return text.size == KEY_TEXT_SIZE && tern_base_decode(TERN_BASE64_PAD, text, &w) == TERN_OK &&
           w.size == sizeof key;
}

/* A request line: GET, a target of visible characters, HTTP/1.1. */
static tern_fault open_request_line(struct tern_view line)
{
    struct tern_view method;
    struct tern_view target;
    struct tern_view version;
    if (!tern_http_word(&line, &method) || !tern_http_word(&line, &target) ||
        !tern_http_word(&line, &version) || line.size > 0)
        return TERN_FAULT_WEBSOCKET_HEAD_MALFORMED;
    if (!tern_view_equal(version, tern_view_str("HTTP/1.1")))
        return TERN_FAULT_WEBSOCKET_BAD_HTTP;
    bool get = tern_view_equal(method, tern_view_str("GET"));
    return get ? TERN_FAULT_NONE : TERN_FAULT_WEBSOCKET_BAD_METHOD;
}

static tern_fault open_check_request(const struct open_fields *fields)
{
    if (fields->host.data == NULL)
        return TERN_FAULT_WEBSOCKET_HEAD_MALFORMED;
    if (fields->chunked || (fields->length.data != NULL && !tern_http_same(fields->length, "0")))
        return TERN_FAULT_WEBSOCKET_BODY;
    if (!fields->upgrade || !fields->connection)
        return TERN_FAULT_WEBSOCKET_NO_UPGRADE;
    if (!tern_http_same(fields->version, "13"))
        return TERN_FAULT_WEBSOCKET_BAD_VERSION;
    return open_key_good(fields->key) ? TERN_FAULT_NONE : TERN_FAULT_WEBSOCKET_BAD_KEY;
}

/* A status line: HTTP/1.1, three digits, and words that mean nothing. */
static tern_fault open_status_line(struct tern_view line)
{
    struct tern_view version;
    struct tern_view status;
    if (!tern_http_word(&line, &version) || !tern_http_word(&line, &status) || status.size != 3 ||
        !tern_view_equal(version, tern_view_str("HTTP/1.1")))
        return TERN_FAULT_WEBSOCKET_HEAD_MALFORMED;
    for (size_t i = 0; i < status.size; i++)
        if (status.data[i] < '0' || status.data[i] > '9')
            return TERN_FAULT_WEBSOCKET_HEAD_MALFORMED;
    bool agreed = tern_view_equal(status, tern_view_str("101"));
    return agreed ? TERN_FAULT_NONE : TERN_FAULT_WEBSOCKET_REFUSED;
}

static tern_fault open_check_answer(const struct tern_websocket *ws,
                                    const struct open_fields *fields)
{
    if (!fields->upgrade || !fields->connection)
        return TERN_FAULT_WEBSOCKET_NO_UPGRADE;
    if (!tern_view_equal(fields->accept, tern_view_of(ws->accept, sizeof ws->accept)))
        return TERN_FAULT_WEBSOCKET_BAD_ACCEPT;
    return fields->chosen ? TERN_FAULT_WEBSOCKET_UNASKED : TERN_FAULT_NONE;
}

static tern_fault open_judge(struct tern_websocket *ws, struct tern_view head)
{
    struct tern_http_lines lines = {.left = head};
    struct tern_view line;
    struct open_fields fields;
    if (!tern_http_line_next(&lines, &line))
        return TERN_FAULT_WEBSOCKET_HEAD_MALFORMED;
    tern_fault fault = open_is_server(ws) ? open_request_line(line) : open_status_line(line);
    if (fault == TERN_FAULT_NONE)
        fault = open_fields(&lines, &fields);
    if (fault == TERN_FAULT_NONE)
        fault = open_is_server(ws) ? open_check_request(&fields) : open_check_answer(ws, &fields);
    if (fault == TERN_FAULT_NONE && open_is_server(ws))
        open_accept(fields.key, ws->accept);
    return fault;
}

/* The remote's head is whole. */
static void open_whole(struct tern_websocket *ws, struct tern_view head)
{
    tern_fault fault = open_judge(ws, head);
    if (fault != TERN_FAULT_NONE) {
        open_refuse(ws, fault);
        return;
    }
    tern_err err = open_is_server(ws) ? open_answer(ws) : TERN_OK;
    if (err != TERN_OK) {
        (void)tern_websocket_fail(ws, err, TERN_FAULT_NONE);
        return;
    }
    ws->state = TERN_WEBSOCKET_OPEN;
    ws->done_pending = true;
}

/* open_gather keeps bytes of a head that is not whole. */
static bool open_gather(struct tern_websocket *ws, struct tern_view bytes)
{
    if (ws->head == NULL)
        ws->head = tern_chunk_new(ws->mem, TERN_HTTP_HEAD_MAX);
    if (ws->head == NULL) {
        (void)tern_websocket_fail(ws, TERN_ERR_MEMORY, TERN_FAULT_NONE);
        return false;
    }
    tern_copy(ws->head->data + ws->head->size, bytes.data, bytes.size);
    ws->head->size += (uint32_t)bytes.size;
    return true;
}

size_t tern_websocket_open(struct tern_websocket *ws, struct tern_view in)
{
    size_t before = ws->head == NULL ? 0 : ws->head->size;
    size_t part = tern_min_size(in.size, TERN_HTTP_HEAD_MAX - before);
    size_t size = 0;
    struct tern_view head = tern_view_part(in, 0, part);
    if (before > 0) {
        if (!open_gather(ws, head))
            return part;
        head = tern_chunk_view(ws->head);
    }
    tern_err err = tern_http_head_end(head, before, &size);
    if (err == TERN_ERR_TRUNCATED && head.size == TERN_HTTP_HEAD_MAX)
        err = TERN_ERR_TOO_LARGE;
    if (err == TERN_ERR_TRUNCATED) {
        if (before == 0)
            (void)open_gather(ws, head);
        return part;
    }
    if (err == TERN_OK)
        open_whole(ws, tern_view_part(head, 0, size));
    else
        open_refuse(ws, err == TERN_ERR_TOO_LARGE ? TERN_FAULT_WEBSOCKET_HEAD_TOO_LARGE
                                                  : TERN_FAULT_WEBSOCKET_HEAD_MALFORMED);
    tern_chunk_unref(ws->head);
    ws->head = NULL;
    return err == TERN_OK ? size - before : part;
}
