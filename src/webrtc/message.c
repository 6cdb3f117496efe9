#include "webrtc/message.h"

#include "base/check.h"

enum {
    MESSAGE_FIELD_FLAG = 1,
    MESSAGE_FIELD_BYTES = 2,
    MESSAGE_FIELD_CODE = 3,
    MESSAGE_TYPE_NUMBER = 0,
    MESSAGE_TYPE_64 = 1,
    MESSAGE_TYPE_BYTES = 2,
    MESSAGE_TYPE_32 = 5,
    MESSAGE_NUMBER_SIZE_MAX = 10,
};

void tern_message_encode_bytes(size_t size, struct tern_writer *out)
{
    TERN_CHECK(size > 0 && size <= TERN_MESSAGE_BYTES_MAX);
    tern_writer_uvarint(out, 1 + tern_uvarint_size(size) + size);
    tern_writer_u8(out, MESSAGE_FIELD_BYTES << 3 | MESSAGE_TYPE_BYTES);
    tern_writer_uvarint(out, size);
}

void tern_message_encode_flag(enum tern_message_flag flag, uint32_t code, struct tern_writer *out)
{
    TERN_CHECK(flag < TERN_MESSAGE_NO_FLAG);
    tern_writer_u8(out, (uint8_t)(2 + (code == 0 ? 0 : 1 + tern_uvarint_size(code))));
    tern_writer_u8(out, MESSAGE_FIELD_FLAG << 3 | MESSAGE_TYPE_NUMBER);
    tern_writer_u8(out, (uint8_t)flag);
    if (code == 0)
        return;
    tern_writer_u8(out, MESSAGE_FIELD_CODE << 3 | MESSAGE_TYPE_NUMBER);
    tern_writer_uvarint(out, code);
}

/* message_number reads on in a varint; false: its end has not come, or *bad. */
static bool message_number(struct tern_message_decoder *d, struct tern_view *in, bool *bad)
{
    while (in->size > 0) {
        uint8_t byte = in->data[0];
        *in = tern_view_of(in->data + 1, in->size - 1);
        if (d->state != TERN_MESSAGE_LENGTH)
            d->left--;
        d->number |= (uint64_t)(byte & 0x7f) << 7 * d->shift;
        d->shift++;
        if ((byte & 0x80) == 0) {
            d->shift = 0;
            return true;
        }
        if (d->shift == MESSAGE_NUMBER_SIZE_MAX ||
            (d->state != TERN_MESSAGE_LENGTH && d->left == 0)) {
            *bad = true;
            return false;
        }
    }
    return false;
}

/* message_key begins a field. False: it is none. */
static bool message_key(struct tern_message_decoder *d)
{
    d->field = (uint32_t)(d->number >> 3);
    uint64_t type = d->number & 7;
    bool known = d->field >= MESSAGE_FIELD_FLAG && d->field <= MESSAGE_FIELD_CODE;
    bool bytes = d->field == MESSAGE_FIELD_BYTES;
    if (d->number > UINT32_MAX || d->field == 0)
        return false;
    if (known && type != (bytes ? MESSAGE_TYPE_BYTES : MESSAGE_TYPE_NUMBER))
        return false;
    if (type == MESSAGE_TYPE_NUMBER) {
        d->state = TERN_MESSAGE_NUMBER;
        return d->left > 0;
    }
    if (type == MESSAGE_TYPE_BYTES) {
        d->state = TERN_MESSAGE_SIZE;
        return d->left > 0;
    }
    if (type != MESSAGE_TYPE_32 && type != MESSAGE_TYPE_64)
        return false;
    d->state = TERN_MESSAGE_SKIP;
    d->part_left = type == MESSAGE_TYPE_32 ? 4 : 8;
    return d->part_left <= d->left;
}

/* message_size begins the bytes of a field. False: they are longer than the message, or come twice.
 */
static bool message_size(struct tern_message_decoder *d)
{
    if (d->number > d->left)
        return false;
    d->part_left = (uint32_t)d->number;
    d->state = d->field == MESSAGE_FIELD_BYTES ? TERN_MESSAGE_BYTES : TERN_MESSAGE_SKIP;
    if (d->field != MESSAGE_FIELD_BYTES)
        return true;
    bool first = !d->has_bytes;
    d->has_bytes = true;
    return first;
}

static void message_value(struct tern_message_decoder *d)
{
    if (d->field == MESSAGE_FIELD_FLAG)
        d->flag = d->number < TERN_MESSAGE_NO_FLAG ? (enum tern_message_flag)d->number
                                                   : TERN_MESSAGE_NO_FLAG;
    else if (d->field == MESSAGE_FIELD_CODE)
        d->code = (uint32_t)d->number;
    d->state = TERN_MESSAGE_KEY;
}

/* message_take moves on with a number that is whole. False: it cannot be. */
static bool message_take(struct tern_message_decoder *d)
{
    switch (d->state) {
    case TERN_MESSAGE_LENGTH:
        if (d->number > TERN_MESSAGE_RECEIVED_MAX)
            return false;
        *d = (struct tern_message_decoder){
            .state = TERN_MESSAGE_KEY, .left = (uint32_t)d->number, .flag = TERN_MESSAGE_NO_FLAG};
        return true;
    case TERN_MESSAGE_KEY:
        return message_key(d);
    case TERN_MESSAGE_SIZE:
        return message_size(d);
    case TERN_MESSAGE_NUMBER:
        message_value(d);
        return true;
    case TERN_MESSAGE_BYTES:
    case TERN_MESSAGE_SKIP:
        break;
    }
    TERN_UNREACHABLE();
}

/* message_part takes bytes of a field. */
static enum tern_message_news message_part(struct tern_message_decoder *d, struct tern_view *in,
                                           struct tern_view *bytes)
{
    size_t part = tern_min_size(in->size, d->part_left);
    bool data = d->state == TERN_MESSAGE_BYTES && part > 0;
    *bytes = tern_view_part(*in, 0, part);
    *in = tern_view_part(*in, part, in->size - part);
    d->part_left -= (uint32_t)part;
    d->left -= (uint32_t)part;
    if (d->part_left == 0)
        d->state = TERN_MESSAGE_KEY;
    return data ? TERN_MESSAGE_DATA : TERN_MESSAGE_MORE;
}

enum tern_message_news tern_message_decode(struct tern_message_decoder *d, struct tern_view *in,
                                           struct tern_view *bytes)
{
    for (;;) {
        if (d->state == TERN_MESSAGE_KEY && d->shift == 0 && d->left == 0) {
            d->state = TERN_MESSAGE_LENGTH;
            d->number = 0;
            if (d->flag != TERN_MESSAGE_NO_FLAG)
                return TERN_MESSAGE_FLAGGED;
        }
        bool part = d->state == TERN_MESSAGE_BYTES || d->state == TERN_MESSAGE_SKIP;
        if (in->size == 0 && !(part && d->part_left == 0))
            return TERN_MESSAGE_MORE;
        if (part) {
            if (message_part(d, in, bytes) == TERN_MESSAGE_DATA)
                return TERN_MESSAGE_DATA;
            continue;
        }
        bool bad = false;
        if (d->shift == 0)
            d->number = 0;
        bool whole = message_number(d, in, &bad);
        if (bad || (whole && !message_take(d)))
            return TERN_MESSAGE_MALFORMED;
    }
}
