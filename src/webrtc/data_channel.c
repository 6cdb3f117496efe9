#include "webrtc/data_channel.h"

#include "base/reader.h"

enum { CHANNEL_RELIABLE = 0x00 };

tern_err tern_dcep_decode(struct tern_view message, struct tern_dcep *dcep)
{
    struct tern_reader r = tern_reader_of(message);
    uint8_t type;
    uint8_t channel_type;
    uint16_t priority;
    uint32_t reliability;
    uint16_t label_size;
    uint16_t protocol_size;
    if (!tern_reader_u8(&r, &type))
        return TERN_ERR_MALFORMED;
    if (type == TERN_DCEP_ACK) {
        *dcep = (struct tern_dcep){.type = TERN_DCEP_ACK};
        return TERN_OK; /* pion sends three bytes more than there are in it */
    }
    tern_reader_u8(&r, &channel_type);
    tern_reader_u16be(&r, &priority);
    tern_reader_u32be(&r, &reliability);
    tern_reader_u16be(&r, &label_size);
    tern_reader_u16be(&r, &protocol_size);
    tern_reader_skip(&r, label_size);
    tern_reader_skip(&r, protocol_size);
    if (type != TERN_DCEP_OPEN || tern_reader_end(&r) != TERN_OK)
        return TERN_ERR_MALFORMED;
    *dcep =
        (struct tern_dcep){.type = TERN_DCEP_OPEN, .reliable = channel_type == CHANNEL_RELIABLE};
    return TERN_OK;
}

void tern_dcep_encode(enum tern_dcep_type type, struct tern_writer *out)
{
    tern_writer_u8(out, (uint8_t)type);
    if (type == TERN_DCEP_ACK)
        return;
    tern_writer_u8(out, CHANNEL_RELIABLE);
    tern_writer_u16be(out, 256); /* "normal": what browsers send, too */
    tern_writer_u32be(out, 0);
    tern_writer_u16be(out, 0);
    tern_writer_u16be(out, 0);
}
