#include "quic/quic_number.h"

#include "base/check.h"

bool tern_quic_number_read(struct tern_reader *r, uint64_t *value)
{
    uint8_t byte;
    *value = 0;
    if (!tern_reader_u8(r, &byte))
        return false;
    uint64_t sum = byte & 0x3f;
    for (size_t i = tern_quic_number_size(byte); i > 1; i--) {
        if (!tern_reader_u8(r, &byte))
            return false;
        sum = sum << 8 | byte;
    }
    *value = sum;
    return true;
}

void tern_quic_number_write(struct tern_writer *w, uint64_t value)
{
    TERN_CHECK(value < UINT64_C(1) << 62);
    if (value < 1 << 6)
        tern_writer_u8(w, (uint8_t)value);
    else if (value < 1 << 14)
        tern_writer_u16be(w, (uint16_t)(value | 0x4000));
    else if (value < 1 << 30)
        tern_writer_u32be(w, (uint32_t)(value | 0x80000000));
    else
        tern_writer_u64be(w, value | UINT64_C(3) << 62);
}
