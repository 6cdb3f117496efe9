#include "wire/multiaddr.h"

#include "base/check.h"
#include "base/reader.h"
#include "wire/multiaddr_value.h"

/* Reads one component off the front of *left. Shared by the iterator, which wants views, and the
 * check, which wants the protocol too. */
static tern_err multiaddr_read(struct tern_view *left, struct tern_multiaddr_part *part,
                               const struct tern_multiaddr_protocol **protocol)
{
    struct tern_reader r = tern_reader_of(*left);
    uint64_t code;
    if (!tern_reader_uvarint(&r, &code))
        return r.err;
    *protocol = tern_multiaddr_protocol_of_code(code);
    if (*protocol == NULL)
        return TERN_ERR_UNSUPPORTED;
    uint64_t size = tern_multiaddr_codec((*protocol)->kind)->size;
    if (size == TERN_MULTIADDR_SIZE_VARIES && !tern_reader_uvarint(&r, &size))
        return r.err;
    if (size > TERN_MULTIADDR_VIEW_SIZE_MAX)
        return TERN_ERR_TOO_LARGE;
    if (!tern_reader_bytes(&r, (size_t)size, &part->value))
        return r.err;
    part->code = (*protocol)->code;
    part->name = (*protocol)->name;
    part->whole = tern_view_of(left->data, r.offset);
    *left = tern_reader_rest(&r);
    return TERN_OK;
}

bool tern_multiaddr_next(struct tern_multiaddr_iter *it, struct tern_multiaddr_part *part)
{
    *part = (struct tern_multiaddr_part){0};
    if (it->left.size == 0 || it->err != TERN_OK)
        return false;
    const struct tern_multiaddr_protocol *protocol;
    it->err = multiaddr_read(&it->left, part, &protocol);
    if (it->err == TERN_ERR_TRUNCATED)
        it->err = TERN_ERR_MALFORMED;
    if (it->err != TERN_OK)
        *part = (struct tern_multiaddr_part){0};
    return it->err == TERN_OK;
}

tern_err tern_multiaddr_check(struct tern_view addr)
{
    if (addr.size == 0)
        return TERN_ERR_MALFORMED;
    if (addr.size > TERN_MULTIADDR_VIEW_SIZE_MAX)
        return TERN_ERR_TOO_LARGE;
    for (size_t i = 0; addr.size > 0; i++) {
        if (i == TERN_MULTIADDR_PARTS_MAX)
            return TERN_ERR_TOO_LARGE;
        struct tern_multiaddr_part part;
        const struct tern_multiaddr_protocol *protocol;
        tern_err err = multiaddr_read(&addr, &part, &protocol);
        if (err != TERN_OK)
            return err == TERN_ERR_TRUNCATED ? TERN_ERR_MALFORMED : err;
        const struct tern_multiaddr_codec *codec = tern_multiaddr_codec(protocol->kind);
        if (codec->check != NULL && !codec->check(part.value))
            return TERN_ERR_MALFORMED;
        if (protocol->kind == TERN_MULTIADDR_KIND_PATH && addr.size > 0)
            return TERN_ERR_MALFORMED;
    }
    return TERN_OK;
}

tern_err tern_multiaddr_decode(struct tern_view bytes, struct tern_multiaddr *addr)
{
    addr->size = 0;
    TERN_TRY(tern_multiaddr_check(bytes));
    return tern_multiaddr_encapsulate(addr, bytes);
}

static size_t multiaddr_parts_count(struct tern_view addr)
{
    struct tern_multiaddr_iter it = tern_multiaddr_iter_of(addr);
    struct tern_multiaddr_part part;
    size_t count = 0;
    while (tern_multiaddr_next(&it, &part))
        count++;
    return count;
}

tern_err tern_multiaddr_append(struct tern_multiaddr *addr, enum tern_multiaddr_code code,
                               struct tern_view value)
{
    const struct tern_multiaddr_protocol *protocol = tern_multiaddr_protocol_of_code(code);
    TERN_CHECK(protocol != NULL);
    const struct tern_multiaddr_codec *codec = tern_multiaddr_codec(protocol->kind);
    if (codec->size != TERN_MULTIADDR_SIZE_VARIES && value.size != codec->size)
        return TERN_ERR_MALFORMED;
    if (codec->check != NULL && !codec->check(value))
        return TERN_ERR_MALFORMED;
    struct tern_multiaddr part;
    struct tern_writer w = tern_writer_of(part.bytes, sizeof part.bytes);
    tern_writer_uvarint(&w, protocol->code);
    if (codec->size == TERN_MULTIADDR_SIZE_VARIES)
        tern_writer_uvarint(&w, value.size);
    tern_writer_bytes(&w, value);
    if (!tern_writer_ok(&w))
        return TERN_ERR_TOO_LARGE;
    return tern_multiaddr_encapsulate(addr, tern_writer_view(&w));
}

tern_err tern_multiaddr_append_ip(struct tern_multiaddr *addr, const struct tern_ip *ip)
{
    TERN_CHECK(ip->family == 4 || ip->family == 6);
    return tern_multiaddr_append(addr, ip->family == 4 ? TERN_MULTIADDR_IP4 : TERN_MULTIADDR_IP6,
                                 tern_view_of(ip->bytes, tern_ip_size(ip)));
}

tern_err tern_multiaddr_append_port(struct tern_multiaddr *addr, enum tern_multiaddr_code code,
                                    uint16_t port)
{
    const uint8_t value[2] = {(uint8_t)(port >> 8), (uint8_t)port};
    return tern_multiaddr_append(addr, code, tern_view_of(value, sizeof value));
}

tern_err tern_multiaddr_append_peer_id(struct tern_multiaddr *addr, const struct tern_peer_id *id)
{
    return tern_multiaddr_append(addr, TERN_MULTIADDR_P2P, tern_peer_id_view(id));
}

tern_err tern_multiaddr_encapsulate(struct tern_multiaddr *addr, struct tern_view inner)
{
    TERN_CHECK(addr->size <= TERN_MULTIADDR_SIZE_MAX);
    if (inner.size > TERN_MULTIADDR_SIZE_MAX - (size_t)addr->size)
        return TERN_ERR_TOO_LARGE;
    size_t parts_count =
        multiaddr_parts_count(tern_multiaddr_view(addr)) + multiaddr_parts_count(inner);
    if (parts_count > TERN_MULTIADDR_PARTS_MAX)
        return TERN_ERR_TOO_LARGE;
    if (inner.size > 0)
        memcpy(addr->bytes + addr->size, inner.data, inner.size);
    addr->size = (uint16_t)(addr->size + inner.size);
    return TERN_OK;
}

bool tern_multiaddr_find(struct tern_view addr, enum tern_multiaddr_code code,
                         struct tern_multiaddr_part *part)
{
    struct tern_multiaddr_part unused;
    struct tern_multiaddr_part *found = part == NULL ? &unused : part;
    struct tern_multiaddr_iter it = tern_multiaddr_iter_of(addr);
    while (tern_multiaddr_next(&it, found)) {
        if (found->code == (uint32_t)code)
            return true;
    }
    return false;
}

struct tern_view tern_multiaddr_before(struct tern_view addr, enum tern_multiaddr_code code)
{
    struct tern_multiaddr_part part;
    if (!tern_multiaddr_find(addr, code, &part))
        return addr;
    return tern_view_of(addr.data, (size_t)(part.whole.data - addr.data));
}

struct tern_view tern_multiaddr_after(struct tern_view addr, enum tern_multiaddr_code code)
{
    struct tern_multiaddr_part part;
    if (!tern_multiaddr_find(addr, code, &part))
        return (struct tern_view){0};
    size_t end = (size_t)(part.whole.data - addr.data) + part.whole.size;
    return tern_view_of(addr.data + end, addr.size - end);
}

struct tern_view tern_multiaddr_decapsulate(struct tern_view addr, enum tern_multiaddr_code code)
{
    struct tern_multiaddr_iter it = tern_multiaddr_iter_of(addr);
    struct tern_multiaddr_part part;
    struct tern_view before = addr;
    while (tern_multiaddr_next(&it, &part)) {
        if (part.code == (uint32_t)code)
            before.size = (size_t)(part.whole.data - addr.data);
    }
    return before;
}

/* The last component; false: there is none, or the address cannot be read to its end. */
static bool multiaddr_last(struct tern_view addr, struct tern_multiaddr_part *last)
{
    *last = (struct tern_multiaddr_part){0};
    struct tern_multiaddr_iter it = tern_multiaddr_iter_of(addr);
    struct tern_multiaddr_part part;
    while (tern_multiaddr_next(&it, &part))
        *last = part;
    return it.err == TERN_OK && last->whole.size > 0;
}

bool tern_multiaddr_peer_id(struct tern_view addr, struct tern_peer_id *id)
{
    *id = (struct tern_peer_id){0};
    struct tern_multiaddr_part last;
    return multiaddr_last(addr, &last) && last.code == TERN_MULTIADDR_P2P &&
           tern_peer_id_decode(last.value, id) == TERN_OK;
}

struct tern_view tern_multiaddr_without_peer_id(struct tern_view addr)
{
    struct tern_multiaddr_part last;
    if (multiaddr_last(addr, &last) && last.code == TERN_MULTIADDR_P2P)
        addr.size -= last.whole.size;
    return addr;
}

static void multiaddr_take_port(struct tern_multiaddr_iter it, struct tern_multiaddr_socket *out)
{
    struct tern_multiaddr_part part;
    if (!tern_multiaddr_next(&it, &part))
        return;
    const struct tern_multiaddr_protocol *protocol = tern_multiaddr_protocol_of_code(part.code);
    if (protocol->kind != TERN_MULTIADDR_KIND_PORT)
        return;
    out->transport = part.code;
    out->port = (uint16_t)(part.value.data[0] << 8 | part.value.data[1]);
    out->rest = it.left;
}

bool tern_multiaddr_socket(struct tern_view addr, struct tern_multiaddr_socket *out)
{
    *out = (struct tern_multiaddr_socket){0};
    struct tern_multiaddr_iter it = tern_multiaddr_iter_of(addr);
    struct tern_multiaddr_part part;
    if (!tern_multiaddr_next(&it, &part))
        return false;
    if (part.code == TERN_MULTIADDR_IP6ZONE) {
        out->zone = part.value;
        if (!tern_multiaddr_next(&it, &part) || part.code != TERN_MULTIADDR_IP6)
            return false;
    }
    if (part.code != TERN_MULTIADDR_IP4 && part.code != TERN_MULTIADDR_IP6)
        return false;
    out->ip.family = part.code == TERN_MULTIADDR_IP4 ? 4 : 6;
    memcpy(out->ip.bytes, part.value.data, tern_ip_size(&out->ip));
    out->rest = it.left;
    multiaddr_take_port(it, out);
    return true;
}
