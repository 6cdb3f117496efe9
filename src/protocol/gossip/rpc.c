#include "protocol/gossip/rpc.h"

static void rpc_take(struct tern_gossip_message_view *m, const struct tern_pb_field *field)
{
    switch (field->tag) {
    case TERN_PB_TAG(1, TERN_PB_BYTES):
        m->from = field->bytes;
        m->has_from = true;
        break;
    case TERN_PB_TAG(2, TERN_PB_BYTES):
        m->data = field->bytes;
        break;
    case TERN_PB_TAG(3, TERN_PB_BYTES):
        m->seqno = field->bytes;
        m->has_seqno = true;
        break;
    case TERN_PB_TAG(4, TERN_PB_BYTES):
        m->topic = field->bytes;
        m->has_topic = true;
        break;
    case TERN_PB_TAG(5, TERN_PB_BYTES):
        m->signature = field->bytes;
        m->has_signature = true;
        break;
    case TERN_PB_TAG(6, TERN_PB_BYTES):
        m->key = field->bytes;
        m->has_key = true;
        break;
    default:
        break; /* an unknown field */
    }
}

tern_err tern_gossip_message_decode(struct tern_view raw, struct tern_gossip_message_view *m)
{
    struct tern_pb_iter it = tern_pb_iter_of(raw);
    struct tern_pb_field field;
    uint32_t last = 0;
    bool usual = true;
    size_t signed_size = raw.size;

    *m = (struct tern_gossip_message_view){.raw = raw};
    while (tern_pb_next(&it, &field)) {
        uint32_t number = tern_pb_number(&field);
        if (number <= 6 && tern_pb_type(&field) != TERN_PB_BYTES)
            return TERN_ERR_MALFORMED;
        usual = usual && number > last && number <= 6 &&
                tern_pb_raw(&it).size == tern_pb_bytes_size(number, field.bytes.size);
        if (number >= 5 && last < 5)
            signed_size = (size_t)(tern_pb_raw(&it).data - raw.data);
        last = number;
        rpc_take(m, &field);
    }
    TERN_TRY(tern_pb_end(&it));
    if (usual)
        m->signed_part = tern_view_of(raw.data, signed_size);
    return TERN_OK;
}

void tern_gossip_message_signed(const struct tern_gossip_message_view *m, struct tern_writer *out)
{
    if (m->has_from)
        tern_pb_write_bytes(out, 1, m->from);
    if (m->data.data != NULL)
        tern_pb_write_bytes(out, 2, m->data);
    if (m->has_seqno)
        tern_pb_write_bytes(out, 3, m->seqno);
    if (m->has_topic)
        tern_pb_write_bytes(out, 4, m->topic);
    struct tern_pb_iter it = tern_pb_iter_of(m->raw);
    struct tern_pb_field field;
    while (tern_pb_next(&it, &field))
        if (tern_pb_number(&field) > 6)
            tern_writer_bytes(out, tern_pb_raw(&it));
}

tern_err tern_gossip_subscription_decode(struct tern_view raw, struct tern_gossip_subscription *out)
{
    struct tern_pb_iter it = tern_pb_iter_of(raw);
    struct tern_pb_field field;
    *out = (struct tern_gossip_subscription){0};
    while (tern_pb_next(&it, &field)) {
        if (field.tag == TERN_PB_TAG(1, TERN_PB_VARINT))
            out->subscribe = field.value != 0;
        else if (field.tag == TERN_PB_TAG(2, TERN_PB_BYTES))
            out->topic = field.bytes;
    }
    return tern_pb_end(&it);
}

tern_err tern_gossip_prune_decode(struct tern_view raw, struct tern_gossip_prune *out)
{
    struct tern_pb_iter it = tern_pb_iter_of(raw);
    struct tern_pb_field field;
    *out = (struct tern_gossip_prune){0};
    while (tern_pb_next(&it, &field)) {
        if (field.tag == TERN_PB_TAG(1, TERN_PB_BYTES))
            out->topic = field.bytes;
        else if (field.tag == TERN_PB_TAG(3, TERN_PB_VARINT))
            out->backoff_s = field.value;
    }
    return tern_pb_end(&it);
}

tern_err tern_gossip_topic_decode(struct tern_view raw, struct tern_view *topic)
{
    struct tern_pb_iter it = tern_pb_iter_of(raw);
    struct tern_pb_field field;
    *topic = (struct tern_view){0};
    while (tern_pb_next(&it, &field))
        if (field.tag == TERN_PB_TAG(1, TERN_PB_BYTES))
            *topic = field.bytes;
    return tern_pb_end(&it);
}

void tern_gossip_write_subscription(struct tern_writer *out, bool subscribe, struct tern_view topic)
{
    size_t size = tern_pb_varint_size(1, subscribe) + tern_pb_bytes_size(2, topic.size);
    tern_pb_write_header(out, TERN_GOSSIP_RPC_SUBSCRIPTION, size);
    tern_pb_write_varint(out, 1, subscribe);
    tern_pb_write_bytes(out, 2, topic);
}

size_t tern_gossip_graft_size(struct tern_view topic)
{
    return tern_pb_bytes_size(TERN_GOSSIP_CONTROL_GRAFT, tern_pb_bytes_size(1, topic.size));
}

void tern_gossip_write_graft(struct tern_writer *out, struct tern_view topic)
{
    tern_pb_write_header(out, TERN_GOSSIP_CONTROL_GRAFT, tern_pb_bytes_size(1, topic.size));
    tern_pb_write_bytes(out, 1, topic);
}
