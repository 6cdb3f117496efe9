/* The reader driven by a script: the input's first byte of each step says what to read. A varint
 * that is accepted must be written back as the same bytes. */
#include "base/check.h"
#include "base/reader.h"
#include "base/writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_uvarint(struct tern_reader *r)
{
    size_t before = r->offset;
    uint64_t value;
    if (!tern_reader_uvarint(r, &value)) {
        TERN_CHECK(value == 0 && r->err != TERN_OK && r->offset == before);
        return;
    }
    uint8_t buffer[10];
    struct tern_writer w = tern_writer_of(buffer, sizeof(buffer));
    tern_writer_uvarint(&w, value);
    TERN_CHECK(
        tern_view_equal(tern_writer_view(&w), tern_view_of(r->data + before, r->offset - before)));
}

static bool fuzz_step(struct tern_reader *r, uint8_t what)
{
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    uint8_t copy[16];
    struct tern_view view;
    switch (what % 9) {
    case 0:
        fuzz_uvarint(r);
        return r->err == TERN_OK;
    case 1:
        return tern_reader_u16be(r, &u16);
    case 2:
        return tern_reader_u32be(r, &u32);
    case 3:
        return tern_reader_u64be(r, &u64);
    case 4:
        return tern_reader_u32le(r, &u32);
    case 5:
        return tern_reader_u64le(r, &u64);
    case 6:
        return tern_reader_bytes(r, what, &view);
    case 7:
        return tern_reader_copy(r, copy, what % sizeof(copy));
    default:
        return tern_reader_skip(r, what);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tern_reader r = tern_reader_of(tern_view_of(data, size));
    uint8_t what;
    while (tern_reader_u8(&r, &what)) {
        TERN_CHECK(fuzz_step(&r, what) == (r.err == TERN_OK));
        TERN_CHECK(r.offset <= r.size);
    }
    TERN_CHECK(r.err != TERN_OK && tern_reader_end(&r) == r.err);
    return 0;
}
