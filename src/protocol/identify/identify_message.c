#include "protocol/identify/identify_message.h"

#include "crypto/key.h"
#include "wire/protobuf.h"

struct identify_parts *identify_parts_new(struct tern_mem *mem)
{
    return tern_mem_zalloc(mem, sizeof(struct identify_parts));
}

void identify_parts_free(struct identify_parts *parts, struct tern_mem *mem)
{
    tern_mem_free(mem, parts, sizeof *parts);
}

static void parts_take(struct identify_parts *parts, const struct tern_pb_field *field)
{
    switch (field->tag) {
    case TERN_PB_TAG(1, TERN_PB_BYTES):
        parts->public_key = field->bytes;
        break;
    case TERN_PB_TAG(2, TERN_PB_BYTES):
        if (parts->addresses_count < IDENTIFY_ADDRESSES_MAX)
            parts->addresses[parts->addresses_count++] = field->bytes;
        break;
    case TERN_PB_TAG(3, TERN_PB_BYTES):
        if (parts->protocols_count < IDENTIFY_PROTOCOLS_MAX &&
            field->bytes.size <= IDENTIFY_NAME_SIZE_MAX)
            parts->protocols[parts->protocols_count++] = field->bytes;
        break;
    case TERN_PB_TAG(4, TERN_PB_BYTES):
        parts->observed = field->bytes;
        break;
    case TERN_PB_TAG(5, TERN_PB_BYTES):
        parts->version = field->bytes;
        parts->has_version = true;
        break;
    case TERN_PB_TAG(6, TERN_PB_BYTES):
        parts->agent = field->bytes;
        parts->has_agent = true;
        break;
    case TERN_PB_TAG(8, TERN_PB_BYTES):
        parts->signed_record = field->bytes;
        break;
    default:
        break; /* an unknown field */
    }
}

tern_err identify_parts_merge(struct identify_parts *parts, struct tern_view message)
{

    if (message.size > sizeof parts->bytes - parts->size)
        return TERN_ERR_TOO_LARGE;
    uint8_t *copy = parts->bytes + parts->size;
    if (message.size > 0)
        memcpy(copy, message.data, message.size);
    parts->size += message.size;
    struct tern_pb_iter it = tern_pb_iter_of(tern_view_of(copy, message.size));
    struct tern_pb_field field;
    while (tern_pb_next(&it, &field))
        parts_take(parts, &field);
    return tern_pb_end(&it);
}

bool identify_key_matches(const struct identify_parts *parts, const struct tern_peer_id *id)
{
    struct tern_public_key key;
    struct tern_peer_id derived;
    if (parts->public_key.size == 0)
        return true;
    if (tern_public_key_decode(parts->public_key, &key) != TERN_OK)
        return false;
    tern_public_key_peer_id(&key, &derived);
    tern_public_key_fini(&key);
    return tern_peer_id_equal(&derived, id);
}

void identify_encode(const struct identify_own *own, struct tern_writer *out)
{
    tern_pb_write_bytes(out, 1, own->public_key);
    for (size_t i = 0; i < own->addresses_count; i++)
        tern_pb_write_bytes(out, 2, tern_multiaddr_view(&own->addresses[i]));
    for (size_t i = 0; i < own->protocols->count; i++)
        tern_pb_write_bytes(out, 3, own->protocols->protocols[i].name);
    if (own->observed.size > 0)
        tern_pb_write_bytes(out, 4, tern_multiaddr_view(&own->observed));
    tern_pb_write_bytes(out, 5, own->version);
    tern_pb_write_bytes(out, 6, own->agent);
    if (own->signed_record.size > 0)
        tern_pb_write_bytes(out, 8, own->signed_record);
}
