/*
 * Any bytes as a protobuf message: the fields cover the message without gap or overlap, and what is
 * written again from them reads as the same fields.
 */
#include "base/check.h"
#include "base/reader.h"
#include "wire/protobuf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OUT_SIZE_MAX = 1 << 16 };

static void write_field(struct tern_writer *w, const struct tern_pb_field *f)
{
    uint32_t number = tern_pb_number(f);
    switch (tern_pb_type(f)) {
    case TERN_PB_VARINT:
        tern_pb_write_varint(w, number, f->value);
        break;
    case TERN_PB_FIXED32:
        tern_pb_write_fixed32(w, number, (uint32_t)f->value);
        break;
    case TERN_PB_FIXED64:
        tern_pb_write_fixed64(w, number, f->value);
        break;
    case TERN_PB_BYTES:
        tern_pb_write_bytes(w, number, f->bytes);
        break;
    }
}

static void check_frame(struct tern_view in)
{
    struct tern_view message;
    size_t used;
    tern_err err = tern_pb_frame(in, in.size, &message, &used);
    TERN_CHECK(err != TERN_OK || (used <= in.size && message.size < used));
}

static void check_packed(struct tern_view packed)
{
    uint64_t value;
    size_t left = packed.size;
    while (tern_pb_packed_next(&packed, &value)) {
        TERN_CHECK(packed.size < left);
        left = packed.size;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t out[OUT_SIZE_MAX];
    struct tern_view in = tern_view_of(data, size);
    check_frame(in);
    if (size > OUT_SIZE_MAX)
        return 0;
    struct tern_writer w = tern_writer_of(out, sizeof out);
    struct tern_pb_iter it = tern_pb_iter_of(in);
    struct tern_pb_field f;
    size_t raw_size = 0;
    size_t count = 0;
    while (tern_pb_next(&it, &f)) {
        raw_size += tern_pb_raw(&it).size;
        count++;
        write_field(&w, &f);
        check_packed(f.bytes);
    }
    if (tern_pb_end(&it) != TERN_OK)
        return 0;
    TERN_CHECK(raw_size == size);
    /* Shortest forms are never longer than what came. */
    TERN_CHECK(tern_writer_ok(&w) && w.size <= size);
    struct tern_pb_iter first = tern_pb_iter_of(in);
    struct tern_pb_iter again = tern_pb_iter_of(tern_writer_view(&w));
    struct tern_pb_field g;
    while (tern_pb_next(&first, &f)) {
        TERN_CHECK(tern_pb_next(&again, &g));
        TERN_CHECK(f.tag == g.tag && f.value == g.value && tern_view_equal(f.bytes, g.bytes));
        count--;
    }
    TERN_CHECK(count == 0 && !tern_pb_next(&again, &g) && tern_pb_end(&again) == TERN_OK);
    return 0;
}
