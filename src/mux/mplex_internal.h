/*
 * The session, shared by the files of mplex: mplex_recv (frames in, back-pressure), mplex_send
 * (frames out), mplex (lives of streams, the owner's calls and events).
 *
 * Ids, tables, buffers and events are those of mux/streams.h; MUX_FIN_* are mplex's Close, and
 * MUX_RST_DUE its Reset.
 */
#ifndef TERN_MUX_MPLEX_INTERNAL_H
#define TERN_MUX_MPLEX_INTERNAL_H

#include "base/check.h"
#include "base/ring.h"
#include "mux/mplex.h"
#include "mux/streams.h"

/* What the lower three bits of a header say. Those of RECEIVER come from the side that did not open
 * the stream. */
enum tern_mplex_flag {
    MPLEX_NEW_STREAM,
    MPLEX_MESSAGE_RECEIVER,
    MPLEX_MESSAGE_INITIATOR,
    MPLEX_CLOSE_RECEIVER,
    MPLEX_CLOSE_INITIATOR,
    MPLEX_RESET_RECEIVER,
    MPLEX_RESET_INITIATOR,
    MPLEX_FLAG_COUNT
};

enum { MPLEX_FLAG_BITS = 3, MPLEX_NUMBER_BYTES_MAX = 9 };

/* What recv is in the middle of. */
enum mplex_part { MPLEX_HEADER, MPLEX_LENGTH, MPLEX_PAYLOAD };

struct tern_mplex {
    struct tern_mux_streams streams;
    struct tern_metrics *metrics;
    uint32_t unread_stream_max;
    uint32_t unread_max;
    uint32_t streams_in_max;
    uint32_t streams_out_max;
    uint64_t unnumbered; /* ours, without an id on the wire yet */
    uint64_t id_next;

    /* The frame that is being received (mplex_recv.c). */
    enum mplex_part part;
    uint8_t number_bytes; /* of the number that has come in part */
    uint64_t number;
    uint64_t header;
    uint32_t payload_left;
    struct tern_mux_stream *payload_stream; /* NULL: the payload is dropped */

    /* Back-pressure: nothing is taken while payload_stream waits for room. */
    size_t unread; /* of all streams */
    bool stalled;
    tern_time stalled_at;

    struct tern_ring refusals; /* uint64_t: ids of streams of the remote's that we reset */
    struct tern_mux_bucket resets_received;
    bool goaway; /* no streams are opened or taken any more */
    tern_err error;
    tern_fault fault;
};

/* A stream in the table: its id and who opened it; never 0. */
static inline uint64_t tern_mplex_key(uint64_t id, bool inbound)
{
    return (id + 1) << 1 | (inbound ? 1 : 0);
}

static inline uint64_t tern_mplex_id_of_key(uint64_t key)
{
    return (key >> 1) - 1;
}

/* tern_mplex_fail makes the first error final; returns err. */
tern_err tern_mplex_fail(struct tern_mplex *m, tern_err err, tern_fault fault);

/* tern_mplex_note counts a fault that does not end the session. */
void tern_mplex_note(struct tern_mplex *m, tern_fault fault);

/* --- mplex.c: lives --- */

/* tern_mplex_stream_end takes a stream off the wire. The object stays for its event or its Reset.
 */
void tern_mplex_stream_end(struct tern_mplex *m, struct tern_mux_stream *stream);

/* tern_mplex_drop_id makes the id dead, and frees the stream unless a Reset is due. */
void tern_mplex_drop_id(struct tern_mplex *m, struct tern_mux_stream *stream);

/* tern_mplex_settle frees the stream if neither its id lives nor a Reset is due. */
void tern_mplex_settle(struct tern_mplex *m, struct tern_mux_stream *stream);

/* tern_mplex_abort ends a stream from our side: Reset to the remote, if it knows of the stream. */
void tern_mplex_abort(struct tern_mplex *m, struct tern_mux_stream *stream, uint32_t code);

/* tern_mplex_close_if_done says CLOSED when both directions have ended and all was consumed. */
void tern_mplex_close_if_done(struct tern_mplex *m, struct tern_mux_stream *stream);

/* tern_mplex_update_ready puts the stream in or out of line to send, as its state is. */
void tern_mplex_update_ready(struct tern_mplex *m, struct tern_mux_stream *stream);

/* --- mplex_recv.c --- */

tern_err tern_mplex_recv(struct tern_mplex *m, tern_time now, struct tern_slice in, size_t *used);

/* tern_mplex_starve ends a stream for want of room or memory for its data, and tells its owner. */
void tern_mplex_starve(struct tern_mplex *m, struct tern_mux_stream *stream, tern_fault fault);

/* tern_mplex_relieve ends a stall when there is room again. */
void tern_mplex_relieve(struct tern_mplex *m);
tern_time tern_mplex_deadline(const struct tern_mplex *m);
void tern_mplex_tick(struct tern_mplex *m, tern_time now);

/* --- mplex_send.c --- */

void tern_mplex_send(struct tern_mplex *m, struct tern_writer *out);
bool tern_mplex_want_send(const struct tern_mplex *m);

#endif
