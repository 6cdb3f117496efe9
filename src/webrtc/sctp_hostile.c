#include "webrtc/sctp_hostile.h"

#include <stdlib.h>

#include "tern_test.h"

#include "crypto/test_hex.h"

struct hostile *hostile_new(bool up)
{
    struct hostile *h = calloc(1, sizeof *h);
    assert_non_null(h);
    const struct sctp_pair_options options = {
        .seed = 3, .link = {.latency_ns = TERN_MILLISECOND}, .window_bytes = TERN_SCTP_WINDOW_MIN};
    assert_true(sctp_pair_init(&h->pair, &options));
    if (up)
        sctp_pair_run(&h->pair, TERN_SECOND);
    h->victim = h->pair.ends[1].sctp;
    h->pair.ends[1].hold = true;
    h->tsn = h->victim->in.cumulative + 1;
    return h;
}

void hostile_free(struct hostile *h)
{
    sctp_pair_fini(&h->pair);
    free(h);
}

void hostile_begin(struct hostile *h, uint32_t tag)
{
    h->w = tern_writer_of(h->packet, sizeof h->packet);
    tern_writer_u16be(&h->w, TERN_SCTP_PORT);
    tern_writer_u16be(&h->w, TERN_SCTP_PORT);
    tern_writer_u32be(&h->w, tag);
    tern_writer_u32be(&h->w, 0);
}

void hostile_give(struct hostile *h)
{
    assert_true(tern_writer_ok(&h->w));
    sctp_pair_give(&h->pair, 1, tern_writer_view(&h->w));
}

/* A packet of chunks in hexadecimal, with the right tag. */
void hostile_give_hex(struct hostile *h, const char *hex)
{
    hostile_begin(h, h->victim->tag);
    tern_writer_bytes(&h->w, TEST_HEX(hex, 2048));
    hostile_give(h);
}

void hostile_assert_dropped(struct hostile *h, tern_fault fault)
{
    assert_int_equal(tern_sctp_dropped(h->victim), fault);
    assert_ok(tern_sctp_error(h->victim));
}

void hostile_assert_ended(struct hostile *h, tern_fault fault)
{
    assert_int_equal(tern_sctp_error(h->victim), TERN_ERR_PROTOCOL);
    assert_int_equal(tern_sctp_fault(h->victim), fault);
    /* The remote is told, once. */
    uint8_t room[SCTP_PAIR_PACKET];
    struct tern_view packet = sctp_pair_take(&h->pair, 1, room);
    assert_true(packet.size > SCTP_HEADER_SIZE);
    assert_int_equal(packet.data[SCTP_HEADER_SIZE], SCTP_ABORT);
    assert_int_equal(sctp_pair_take(&h->pair, 1, room).size, 0);
}

/* The next packet of the victim, by its chunks; size 0: it says nothing. */
struct tern_view hostile_answer(struct hostile *h, uint8_t room[SCTP_PAIR_PACKET])
{
    struct tern_view packet = sctp_pair_take(&h->pair, 1, room);
    return packet.size == 0
               ? packet
               : tern_view_part(packet, SCTP_HEADER_SIZE, packet.size - SCTP_HEADER_SIZE);
}

/* A DATA chunk of zeros; offset counts from the next number expected. */
void hostile_put_data(struct hostile *h, uint32_t offset, uint8_t flags, uint32_t stream_ssn,
                      size_t size)
{
    size_t start = sctp_begin_chunk(&h->w, SCTP_DATA, flags);
    tern_writer_u32be(&h->w, h->tsn + offset);
    tern_writer_u32be(&h->w, stream_ssn);
    tern_writer_u32be(&h->w, 53);
    for (size_t i = 0; i < size; i++)
        tern_writer_u8(&h->w, 0);
    sctp_end_chunk(&h->w, start);
}

void hostile_give_data(struct hostile *h, uint32_t offset, uint8_t flags, uint32_t stream_ssn,
                       size_t size)
{
    hostile_begin(h, h->victim->tag);
    hostile_put_data(h, offset, flags, stream_ssn, size);
    hostile_give(h);
    h->pair.wrong = NULL; /* the model knows nothing of this */
}
