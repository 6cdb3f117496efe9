/*
 * The seam of stream muxers: what a connection needs of yamux, mplex or QUIC. Every muxer passes
 * one conformance suite (mux/mux_conformance.h). A muxer that secures its connection itself, as
 * QUIC does, is a session (mux/session.h): the same verbs for streams, without recv and send.
 *
 * Streams are known by small ids of slot + generation that the muxer gives. Receiving: recv takes
 * plaintext; next says which stream has news; read views the oldest bytes of a stream and consume
 * returns their credit to the remote. Sending: write queues (bounded by the stream's send buffer),
 * send pulls frames into the caller's buffer as far as the remote's credit goes.
 *
 *   IDLE ─open──► OPEN ─close_write─► HALF_LOCAL ─ remote FIN, all read ─► CLOSED
 *                  │  └─ remote FIN ─► HALF_REMOTE ─ close_write, FIN sent ─► CLOSED
 *                  └─ reset by either ─► gone (RESET event if it was not our own call)
 *
 * An id is said dead once: by RESET or CLOSED when the remote or the order of things ended it, or
 * by the owner's own reset, after which no event of the stream comes any more. Until next has
 * delivered RESET or CLOSED the id may still be used.
 *
 * The owner's loop: recv; drain next, one event at a time, serving each before the next is drawn;
 * then, while there is room on the link and want_send, send. Arm a timer for deadline.
 *
 * After the first fatal error (recv's result, or error after tick) nothing is received or opened,
 * writes fail with TERN_ERR_CLOSED, and send yields the farewell once. The owner then calls fini;
 * streams that are left get no events of their own.
 */
#ifndef TERN_MUX_MUX_H
#define TERN_MUX_MUX_H

#include "base/chunk.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/job.h"
#include "base/scope.h"
#include "base/types.h"
#include "base/writer.h"

/* Slot in the low half, generation in the high half; never 0. A stale id gives TERN_ERR_STALE. */
typedef uint64_t tern_stream_id;
#define TERN_STREAM_NONE 0

/* The reset codes that muxers use by themselves (libp2p error codes). */
enum tern_mux_code {
    TERN_MUX_CODE_RESOURCE_LIMIT = 0x1002, /* a scope or the memory refused */
    TERN_MUX_CODE_SHUTDOWN = 0x1007,       /* opened after our goaway */
};

/* Weighted classes: control frames go first; the others share what is left by weight. */
enum tern_stream_class {
    TERN_STREAM_CONTROL,
    TERN_STREAM_CONSENSUS,
    TERN_STREAM_BLOCKS,
    TERN_STREAM_TRANSACTIONS,
    TERN_STREAM_MARKET,
    TERN_STREAM_BULK,
    TERN_STREAM_CLASS_COUNT
};

/* Of one stream, in this order: OPENED, READABLE, WRITABLE, then RESET or CLOSED. */
enum tern_mux_event_kind {
    TERN_MUX_STREAM_OPENED, /* by the remote */
    TERN_MUX_READABLE,      /* new bytes or the end can be read; said again after more arrive */
    TERN_MUX_WRITABLE,      /* a write that was short or AGAIN before can go on */
    TERN_MUX_RESET,  /* by the remote (code, 0 if it gave none) or, with code RESOURCE_LIMIT, for
                        want of memory here. What was not read is gone. The id dies */
    TERN_MUX_CLOSED, /* both directions ended in good order and all was consumed. The id dies */
    TERN_MUX_GOAWAY, /* the remote opens and takes no more streams; code. Said once */
    TERN_MUX_RTT,    /* rtt_ns: a round trip was measured */

    /* Of sessions alone. */
    TERN_MUX_JOB,         /* run job, then the session's job_done */
    TERN_MUX_ESTABLISHED, /* the remote is known: streams may be opened. Said once, first */
    TERN_MUX_CONFIRMED,   /* the remote has proven to be there now: what it sent before this may be
                             a recording of an earlier connection (early) */
};

struct tern_mux_event {
    enum tern_mux_event_kind kind;
    tern_stream_id stream;
    uint32_t code;
    bool early; /* OPENED: before CONFIRMED */
    tern_time rtt_ns;
    struct tern_job *job;
};

struct tern_mux_ops {
    const char *protocol_id; /* such as "/yamux/1.0.0" */

    /* recv takes plaintext and says how much in *used; keeps bytes by reference on in.chunk or by
     * copy (tern_slice_keep). A muxer with credit takes all, memory being bounded by its windows;
     * one without takes less while it holds too much: give the rest again after a consume. The
     * first error is final and sticks: TERN_ERR_PROTOCOL, TERN_ERR_MALFORMED (fault says which),
     * CLOSED. */
    tern_err (*recv)(void *self, tern_time now, struct tern_slice in, size_t *used);
    bool (*next)(void *self, struct tern_mux_event *event);

    /* send appends frames to out, as many as fit and as there are; whole frames only. Room for one
     * Noise frame (65,519 bytes) is best; under 64 bytes nothing may come. */
    void (*send)(void *self, tern_time now, struct tern_writer *out);
    bool (*want_send)(const void *self);
    tern_time (*deadline)(const void *self);
    void (*tick)(void *self, tern_time now);

    /* open: TERN_ERR_SCOPE_STREAMS, SCOPE_MEMORY, FULL (too many streams, or too many that the
     * remote has not acknowledged), MEMORY, CLOSED (going away, failed, or out of ids). Sends
     * nothing by itself: the remote hears of the stream with the first bytes, with close_write, or
     * after a write of no bytes. */
    tern_err (*open)(void *self, enum tern_stream_class class, tern_stream_id *stream);

    /* set_class moves a stream to another class, as when its protocol is agreed: an inbound stream
     * begins in TERN_STREAM_BULK. A stale id is ignored. */
    void (*set_class)(void *self, tern_stream_id stream, enum tern_stream_class class);

    /* set_early lets a stream's bytes go before the remote has proven to be there, who may then be
     * sent a recording of them again: for requests that may be carried out twice. Right behind
     * open. NULL where it makes no difference. */
    void (*set_early)(void *self, tern_stream_id stream);

    /* write by copy: *accepted may be short (then WRITABLE follows when half the buffer is free).
     * Errors: STALE, CLOSED (write side closed, or failed), RESET; MEMORY and SCOPE_MEMORY when
     * nothing could be taken for want of memory (no WRITABLE follows). */
    tern_err (*write)(void *self, tern_stream_id stream, struct tern_view bytes, size_t *accepted);

    /* write_slice is write by reference, all or nothing: takes its own reference on slice.chunk (or
     * copies, when the slice is small or has no chunk). TERN_ERR_AGAIN when the buffer has no room
     * for all (WRITABLE follows); an empty buffer takes a slice of any size. */
    tern_err (*write_slice)(void *self, tern_stream_id stream, struct tern_slice slice);

    /* read views the oldest unread bytes (one segment; chunk set, so they can be kept by
     * reference), borrowed until the next call of consume, recv or reset. TERN_ERR_AGAIN: none now;
     * TERN_ERR_END: the remote has closed its side and all is consumed; RESET; STALE. */
    tern_err (*read)(void *self, tern_stream_id stream, struct tern_slice *bytes);

    /* consume drops the oldest size bytes, at most what is unread, perhaps over several segments.
     */
    void (*consume)(void *self, tern_stream_id stream, size_t size);

    /* close_write ends our direction behind what is queued. Idempotent. STALE, RESET. */
    tern_err (*close_write)(void *self, tern_stream_id stream);
    /* reset ends both directions at once, frees what is buffered; the id dies. Idempotent on stale
     * ids. */
    void (*reset)(void *self, tern_stream_id stream, uint32_t code);

    /* goaway tells the remote that we are ending: it may open no more streams and we open none;
     * those that are open go on until closed. The first code counts. go-libp2p drops all streams
     * when it hears it, so it is the last thing to say. */
    void (*goaway)(void *self, uint32_t code);

    /* unread and queued: bytes received and not consumed; bytes written and not sent. */
    size_t (*unread)(const void *self, tern_stream_id stream);
    size_t (*queued)(const void *self, tern_stream_id stream);

    size_t (*streams_count)(const void *self); /* live ids */
    tern_err (*error)(const void *self);       /* the first fatal error; TIMEOUT: a dead remote */
    tern_fault (*fault)(const void *self);     /* its fault, if it was of the peer's making */
    void (*fini)(void *self);                  /* frees everything */
};

struct tern_mux {
    const struct tern_mux_ops *ops;
    void *self;
};

/* tern_mux_keep_alive is the silence after which an end pings. A listener waits an eighth longer
 * than it was told: the dialler's ping is a sign of life, and spares it one of its own. 0 stays 0.
 */
static inline tern_time tern_mux_keep_alive(tern_time interval, bool initiator)
{
    return initiator ? interval : tern_time_add(interval, interval / 8);
}

#endif
