#include "quic/quic_partial_reset.h"

#include "base/check.h"
#include "quic/quic_number.h"

/* Transport parameters, both empty. */
static const uint64_t partial_parameters[] = {0x1d, 0x17f7586d2cb571};

enum {
    FRAME_PADDING = 0x00,
    FRAME_ACK = 0x02,
    FRAME_ACK_ECN = 0x03,
    FRAME_RESET_STREAM = 0x04,
    FRAME_CRYPTO = 0x06,
    FRAME_NEW_TOKEN = 0x07,
    FRAME_STREAM = 0x08, /* .. 0x0f: with bits that say what is there */
    FRAME_STREAM_LAST = 0x0f,
    FRAME_NEW_CONNECTION_ID = 0x18,
    FRAME_RESET_STREAM_AT = 0x24,
    FRAME_DATAGRAM = 0x30,
    FRAME_DATAGRAM_LENGTH = 0x31,
    STREAM_LENGTH = 0x02,
    STREAM_OFFSET = 0x04,
    RESET_TOKEN = 16,
};

void quic_partial_reset_offer(struct tern_writer *w)
{
    for (size_t i = 0; i < TERN_COUNT_OF(partial_parameters); i++) {
        tern_quic_number_write(w, partial_parameters[i]);
        tern_quic_number_write(w, 0);
    }
}

/* --- skipping other frames --- */

static bool skip_numbers(struct tern_reader *r, uint64_t count)
{
    uint64_t value;
    while (count > 0 && tern_quic_number_read(r, &value))
        count--;
    return count == 0;
}

static bool skip_sized(struct tern_reader *r)
{
    uint64_t size;
    return tern_quic_number_read(r, &size) && size <= tern_reader_left(r) &&
           tern_reader_skip(r, (size_t)size);
}

/* Packets are padded by the thousand bytes: PADDING, a frame of one byte each, goes all at once. */
static void skip_padding(struct tern_reader *r)
{
    struct tern_view rest = tern_reader_rest(r);
    size_t count = 0;
    while (count < rest.size && rest.data[count] == FRAME_PADDING)
        count++;
    TERN_CHECK(tern_reader_skip(r, count));
}

static bool skip_ack(struct tern_reader *r, uint64_t type)
{
    uint64_t ranges;
    if (!skip_numbers(r, 2) || !tern_quic_number_read(r, &ranges))
        return false;
    /* Each takes bytes, so that a large number fails soon. */
    return skip_numbers(r, 1 + 2 * ranges) && (type != FRAME_ACK_ECN || skip_numbers(r, 3));
}

static bool skip_stream(struct tern_reader *r, uint64_t type)
{
    if (!skip_numbers(r, type & STREAM_OFFSET ? 2 : 1))
        return false;
    return type & STREAM_LENGTH ? skip_sized(r) : tern_reader_skip(r, tern_reader_left(r));
}

/* Frames that are numbers alone: how many. */
static const uint8_t skip_counts[] = {
    [0x00] = 0, [0x01] = 0, [0x04] = 3, [0x05] = 2, [0x10] = 1, [0x11] = 2, [0x12] = 1,
    [0x13] = 1, [0x14] = 1, [0x15] = 2, [0x16] = 1, [0x17] = 1, [0x19] = 1, [0x1e] = 0,
};

static bool skip_frame(struct tern_reader *r, uint64_t type)
{
    if (type >= FRAME_STREAM && type <= FRAME_STREAM_LAST)
        return skip_stream(r, type);
    switch (type) { /* numbers of the wire */
    case FRAME_ACK:
    case FRAME_ACK_ECN:
        return skip_ack(r, type);
    case FRAME_CRYPTO:
        return skip_numbers(r, 1) && skip_sized(r);
    case FRAME_NEW_TOKEN:
    case FRAME_DATAGRAM_LENGTH:
        return skip_sized(r);
    case FRAME_NEW_CONNECTION_ID: {
        uint8_t size;
        return skip_numbers(r, 2) && tern_reader_u8(r, &size) &&
               tern_reader_skip(r, (size_t)size + RESET_TOKEN);
    }
    case 0x1a: /* PATH_CHALLENGE */
    case 0x1b: /* PATH_RESPONSE */
        return tern_reader_skip(r, 8);
    case FRAME_DATAGRAM:
    case 0x1c: /* CONNECTION_CLOSE: nothing behind it matters */
    case 0x1d:
        return false;
    default:
        return type < TERN_COUNT_OF(skip_counts) && skip_numbers(r, skip_counts[type]);
    }
}

/* --- the frame itself --- */

/* rewrite_one makes the frame at r, whose type has been read, a RESET_STREAM. */
static bool rewrite_one(struct tern_reader *r, uint8_t *frames, size_t start)
{
    uint64_t stream;
    uint64_t code;
    uint64_t final_size;
    uint64_t reliable_size;
    if (!tern_quic_number_read(r, &stream) || !tern_quic_number_read(r, &code) ||
        !tern_quic_number_read(r, &final_size) || !tern_quic_number_read(r, &reliable_size) ||
        reliable_size > final_size)
        return false;
    struct tern_writer w = tern_writer_of(frames + start, r->offset - start);
    tern_quic_number_write(&w, FRAME_RESET_STREAM);
    tern_quic_number_write(&w, stream);
    tern_quic_number_write(&w, code);
    tern_quic_number_write(&w, final_size);
    while (tern_writer_left(&w) > 0)
        tern_writer_u8(&w, FRAME_PADDING);
    return true;
}

void quic_partial_reset_rewrite(uint8_t *frames, size_t size)
{
    struct tern_reader r = tern_reader_of(tern_view_of(frames, size));
    bool ok = true;
    while (ok && tern_reader_left(&r) > 0) {
        uint64_t type;
        size_t start = r.offset;
        ok = tern_quic_number_read(&r, &type);
        if (ok && type == FRAME_RESET_STREAM_AT)
            ok = rewrite_one(&r, frames, start);
        else if (ok && type == FRAME_PADDING)
            skip_padding(&r);
        else if (ok)
            ok = skip_frame(&r, type);
    }
}
