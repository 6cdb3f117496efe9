/*
 * Packets of any remote into an association, whose owner consumes, sends and resets as the input
 * says. Each packet is an octet of choices, a size, and chunks, behind a header that is right; the
 * numbers that the victim uses are put in where the choices say so, so that the fuzzer gets past
 * them.
 */
#include <stdlib.h>

#include "webrtc/sctp_internal.h"
#include "webrtc/sctp_pair.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FUZZ_MEMORY_MAX = 4 << 20, FUZZ_ROUNDS = 400 };

static void fuzz_put(uint8_t *at, uint32_t value)
{
    for (size_t i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> 8 * (3 - i));
}

/* fuzz_right makes numbers of chunks relative to what the victim expects. */
static void fuzz_right(const struct tern_sctp *s, uint8_t *chunks, size_t size)
{
    struct tern_reader r = tern_reader_of(tern_view_of(chunks, size));
    struct sctp_chunk chunk;
    for (int i = 0; i < 64; i++) {
        size_t at = r.offset;
        if (!sctp_next_chunk(&r, &chunk))
            return;
        uint8_t *value = chunks + at + SCTP_CHUNK_HEADER_SIZE;
        if (chunk.value.size < 12)
            continue;
        if (chunk.type == SCTP_DATA || chunk.type == SCTP_FORWARD_TSN)
            fuzz_put(value, s->in.cumulative + value[3]);
        else if (chunk.type == SCTP_SACK)
            fuzz_put(value, s->out.cumulative + (value[3] & 15));
        else if (chunk.type == SCTP_RECONFIG && chunk.value.size >= 16)
            fuzz_put(value + 4, s->resets.expected + (value[7] & 1));
    }
}

static void fuzz_packet(struct sctp_pair *pair, uint8_t how, struct tern_view chunks)
{
    struct tern_sctp *s = pair->ends[1].sctp;
    uint8_t packet[SCTP_HEADER_SIZE + 512] = {0x13, 0x88, 0x13, 0x88};
    memcpy(packet + SCTP_HEADER_SIZE, chunks.data, chunks.size);
    bool init = chunks.size > 0 && chunks.data[0] == SCTP_INIT;
    fuzz_put(packet + 4, init ? 0 : s->tag);
    if ((how & 1) == 0)
        fuzz_right(s, packet + SCTP_HEADER_SIZE, chunks.size);
    sctp_pair_give(pair, 1, tern_view_of(packet, SCTP_HEADER_SIZE + chunks.size));
}

static void fuzz_owner(struct sctp_pair *pair, uint8_t how)
{
    struct tern_sctp *s = pair->ends[1].sctp;
    uint8_t room[SCTP_PAIR_PACKET];
    pair->ends[1].hold = (how & 2) != 0;
    if (how & 4)
        sctp_pair_release(pair, 1, (size_t)how << 8);
    if (how & 8)
        (void)!sctp_pair_send(pair, 1, how >> 4, 1 + (uint32_t)how * how);
    if ((how & 0xc0) == 0x40)
        (void)!sctp_pair_reset(pair, 1, how >> 2 & 7);
    if (how & 16) {
        pair->now = tern_time_min(tern_sctp_deadline(s), pair->now + TERN_MINUTE);
        tern_sctp_tick(s, pair->now);
    }
    for (int i = 0; i < FUZZ_ROUNDS && sctp_pair_take(pair, 1, room).size > 0; i++)
        continue;
    TERN_CHECK(!tern_sctp_want_write(s));
    TERN_CHECK(pair->ends[1].mem.used < FUZZ_MEMORY_MAX);
    TERN_CHECK(s->in.used <= s->in.window);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct sctp_pair_options options = {.seed = 1, .window_bytes = TERN_SCTP_WINDOW_MIN};
    struct sctp_pair *pair = calloc(1, sizeof *pair);
    if (size < 1 || pair == NULL || !sctp_pair_init(pair, &options)) {
        free(pair);
        return 0;
    }
    if (data[0] & 1)
        sctp_pair_run(pair, TERN_SECOND);
    for (size_t at = 1; at + 2 <= size;) {
        size_t part = tern_min_size(tern_min_size((size_t)data[at + 1] * 2, 512), size - at - 2);
        fuzz_packet(pair, data[at], tern_view_of(data + at + 2, part));
        fuzz_owner(pair, data[at]);
        at += 2 + part;
    }
    sctp_pair_fini(pair);
    free(pair);
    return 0;
}
