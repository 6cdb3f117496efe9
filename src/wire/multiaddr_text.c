#include "base/check.h"
#include "wire/multiaddr.h"
#include "wire/multiaddr_value.h"

static const char *const multiaddr_reasons[TERN_MULTIADDR_REASON_COUNT] = {
    [TERN_MULTIADDR_FINE] = "nothing is wrong",
    [TERN_MULTIADDR_EMPTY] = "the address is empty",
    [TERN_MULTIADDR_NO_SLASH] = "an address begins with a slash",
    [TERN_MULTIADDR_UNKNOWN_PROTOCOL] = "no protocol has this name",
    [TERN_MULTIADDR_MISSING_VALUE] = "the protocol's value is missing",
    [TERN_MULTIADDR_BAD_IP4] = "this is not an IPv4 address",
    [TERN_MULTIADDR_BAD_IP6] = "this is not an IPv6 address",
    [TERN_MULTIADDR_BAD_ZONE] = "this is not an IPv6 zone",
    [TERN_MULTIADDR_BAD_CIDR] = "a prefix length is a number from 0 to 128",
    [TERN_MULTIADDR_BAD_PORT] = "a port is a number from 0 to 65535",
    [TERN_MULTIADDR_BAD_NAME] = "this is not a host name",
    [TERN_MULTIADDR_BAD_PEER_ID] = "this is not a peer id",
    [TERN_MULTIADDR_BAD_CERTHASH] = "this is not a multibase-encoded multihash",
    [TERN_MULTIADDR_BAD_ONION] = "this is not an onion address and port",
    [TERN_MULTIADDR_BAD_GARLIC] = "this is not an I2P address",
    [TERN_MULTIADDR_BAD_PATH] = "this is not a path",
    [TERN_MULTIADDR_BAD_NUMBER] = "this is not a number of 64 bits",
    [TERN_MULTIADDR_TOO_LONG] = "the address is too long",
};

const char *tern_multiaddr_reason_text(enum tern_multiaddr_reason reason)
{
    TERN_CHECK((unsigned)reason < TERN_MULTIADDR_REASON_COUNT);
    return multiaddr_reasons[reason];
}

/* A text being parsed. */
struct multiaddr_text {
    struct tern_view text; /* without trailing slashes */
    size_t at;
    struct tern_multiaddr_fault *fault;
};

static tern_err multiaddr_fail(struct multiaddr_text *t, enum tern_multiaddr_reason reason,
                               size_t position)
{
    t->fault->reason = reason;
    t->fault->position = position;
    if (reason == TERN_MULTIADDR_TOO_LONG)
        return TERN_ERR_TOO_LARGE;
    return reason == TERN_MULTIADDR_UNKNOWN_PROTOCOL ? TERN_ERR_UNSUPPORTED : TERN_ERR_MALFORMED;
}

/* Takes what stands between this slash and the next one. */
static struct tern_view multiaddr_take_word(struct multiaddr_text *t)
{
    TERN_DCHECK(t->at < t->text.size && t->text.data[t->at] == '/');
    size_t start = ++t->at;
    while (t->at < t->text.size && t->text.data[t->at] != '/')
        t->at++;
    return tern_view_of(t->text.data + start, t->at - start);
}

/* Writes code, length and value of a component whose name has been read. */
static tern_err multiaddr_parse_value(struct multiaddr_text *t, struct tern_writer *w,
                                      enum tern_multiaddr_kind kind)
{
    const struct tern_multiaddr_codec *codec = tern_multiaddr_codec(kind);
    if (t->at == t->text.size)
        return multiaddr_fail(t, TERN_MULTIADDR_MISSING_VALUE, t->at);
    size_t position = t->at + 1;
    struct tern_view word;
    if (kind == TERN_MULTIADDR_KIND_PATH) {
        position = t->at;
        word = tern_view_of(t->text.data + t->at, t->text.size - t->at);
        t->at = t->text.size;
    } else {
        word = multiaddr_take_word(t);
    }
    uint8_t buffer[TERN_MULTIADDR_VIEW_SIZE_MAX];
    struct tern_writer value = tern_writer_of(buffer, sizeof buffer);
    bool parsed = codec->parse(word, &value);
    if (!tern_writer_ok(&value))
        return multiaddr_fail(t, TERN_MULTIADDR_TOO_LONG, position);
    if (!parsed || (codec->check != NULL && !codec->check(tern_writer_view(&value))))
        return multiaddr_fail(t, codec->reason, position);
    if (codec->size == TERN_MULTIADDR_SIZE_VARIES)
        tern_writer_uvarint(w, value.size);
    else
        TERN_CHECK(value.size == codec->size);
    tern_writer_bytes(w, tern_writer_view(&value));
    return TERN_OK;
}

static tern_err multiaddr_parse_part(struct multiaddr_text *t, struct tern_writer *w)
{
    size_t position = t->at + 1;
    const struct tern_multiaddr_protocol *protocol =
        tern_multiaddr_protocol_of_name(multiaddr_take_word(t));
    if (protocol == NULL)
        return multiaddr_fail(t, TERN_MULTIADDR_UNKNOWN_PROTOCOL, position);
    tern_writer_uvarint(w, protocol->code);
    if (protocol->kind != TERN_MULTIADDR_KIND_NONE)
        TERN_TRY(multiaddr_parse_value(t, w, protocol->kind));
    if (!tern_writer_ok(w))
        return multiaddr_fail(t, TERN_MULTIADDR_TOO_LONG, position);
    return TERN_OK;
}

tern_err tern_multiaddr_parse_into(struct tern_view text, struct tern_writer *bytes,
                                   struct tern_multiaddr_fault *fault)
{
    struct tern_multiaddr_fault unused;
    struct multiaddr_text t = {.text = text, .fault = fault == NULL ? &unused : fault};
    *t.fault = (struct tern_multiaddr_fault){0};
    if (text.size > 0 && text.data[0] != '/')
        return multiaddr_fail(&t, TERN_MULTIADDR_NO_SLASH, 0);
    while (t.text.size > 0 && t.text.data[t.text.size - 1] == '/')
        t.text.size--;
    if (t.text.size == 0)
        return multiaddr_fail(&t, TERN_MULTIADDR_EMPTY, 0);
    size_t start = bytes->size;
    for (size_t i = 0; t.at < t.text.size; i++) {
        if (i == TERN_MULTIADDR_PARTS_MAX)
            return multiaddr_fail(&t, TERN_MULTIADDR_TOO_LONG, t.at);
        TERN_TRY(multiaddr_parse_part(&t, bytes));
        if (bytes->size - start > TERN_MULTIADDR_VIEW_SIZE_MAX)
            return multiaddr_fail(&t, TERN_MULTIADDR_TOO_LONG, t.at);
    }
    return TERN_OK;
}

tern_err tern_multiaddr_parse(struct tern_view text, struct tern_multiaddr *addr,
                              struct tern_multiaddr_fault *fault)
{
    addr->size = 0;
    struct tern_writer w = tern_writer_of(addr->bytes, sizeof addr->bytes);
    TERN_TRY(tern_multiaddr_parse_into(text, &w, fault));
    addr->size = (uint16_t)w.size;
    return TERN_OK;
}

tern_err tern_multiaddr_format(struct tern_view addr, struct tern_writer *text)
{
    TERN_TRY(tern_multiaddr_check(addr));
    struct tern_multiaddr_iter it = tern_multiaddr_iter_of(addr);
    struct tern_multiaddr_part part;
    while (tern_multiaddr_next(&it, &part)) {
        const struct tern_multiaddr_protocol *protocol = tern_multiaddr_protocol_of_code(part.code);
        tern_writer_u8(text, '/');
        tern_writer_str(text, protocol->name);
        if (protocol->kind == TERN_MULTIADDR_KIND_NONE)
            continue;
        if (protocol->kind != TERN_MULTIADDR_KIND_PATH)
            tern_writer_u8(text, '/');
        tern_multiaddr_codec(protocol->kind)->format(part.value, text);
    }
    return tern_writer_ok(text) ? TERN_OK : TERN_ERR_TOO_LARGE;
}
