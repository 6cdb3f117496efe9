/*
 * The seam of stream muxers: what a connection needs of yamux, mplex or QUIC. Every muxer passes one
 * conformance suite (mux/mux_conformance.h).
 *
 * Streams are known by small ids of slot + generation that the muxer gives. Receiving: recv takes
 * plaintext; next says which stream has news; read views the oldest bytes of a stream and consume
 * returns their credit to the remote. Sending: write queues (bounded by the stream's send buffer and
 * the remote's credit), send pulls frames into the caller's buffer.
 *
 *   IDLE ─open──► OPEN ─close_write─► HALF_LOCAL ─ remote FIN read ─► CLOSED
 *                  │  └─ remote FIN ─► HALF_REMOTE ─ close_write ──► CLOSED
 *                  └─ reset by either ─► CLOSED
 */
#ifndef TERN_MUX_MUX_H
#define TERN_MUX_MUX_H

#include "base/chunk.h"
#include "base/error.h"
#include "base/fault.h"
#include "base/scope.h"
#include "base/types.h"
#include "base/writer.h"

/* Slot in the low half, generation in the high half; never 0. A stale id gives TERN_ERR_STALE. */
typedef uint64_t tern_stream_id;
#define TERN_STREAM_NONE 0

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

enum tern_mux_event_kind {
    TERN_MUX_STREAM_OPENED, /* by the remote */
    TERN_MUX_READABLE,      /* new bytes or the end can be read; said again after more arrive */
    TERN_MUX_WRITABLE,      /* a write that was short before can go on */
    TERN_MUX_RESET,         /* by the remote; code, 0 if it gave none. The id dies with this event */
    TERN_MUX_CLOSED,        /* both directions ended in good order and all was read. The id dies */
    TERN_MUX_GOAWAY,        /* the remote opens and takes no more streams; code */
    TERN_MUX_RTT,           /* rtt_ns: a round trip was measured */
};

struct tern_mux_event {
    enum tern_mux_event_kind kind;
    tern_stream_id stream;
    uint32_t code;
    tern_time rtt_ns;
};

struct tern_mux_ops {
    const char *protocol_id; /* such as "/yamux/1.0.0" */

    /* recv takes plaintext; keeps bytes by reference on in.chunk or by copy (tern_slice_keep). It always
     * takes all unless it fails; memory is bounded by the receive windows. The first error is final. */
    tern_err (*recv)(void *self, tern_time now, struct tern_slice in);
    bool (*next)(void *self, struct tern_mux_event *event);

    /* send fills out with frames, as many as fit and as there are; whole frames only. */
    void (*send)(void *self, tern_time now, struct tern_writer *out);
    bool (*want_send)(const void *self);
    tern_time (*deadline)(const void *self);
    void (*tick)(void *self, tern_time now);

    /* open: TERN_ERR_SCOPE_STREAMS, TERN_ERR_FULL (too many unacknowledged), TERN_ERR_MEMORY, CLOSED
     * (going away). Sends nothing by itself until there are bytes or flush is asked by close_write. */
    tern_err (*open)(void *self, enum tern_stream_class class, tern_stream_id *stream);

    /* write by copy: *accepted may be short (then WRITABLE follows). write_slice: by reference when the
     * slice has a chunk (takes its own reference), all or nothing: TERN_ERR_AGAIN when the send buffer
     * is full. Errors: STALE, CLOSED (write side closed), RESET. */
    tern_err (*write)(void *self, tern_stream_id stream, struct tern_view bytes, size_t *accepted);
    tern_err (*write_slice)(void *self, tern_stream_id stream, struct tern_slice slice);

    /* read views the oldest unread bytes (one segment); TERN_ERR_AGAIN: none now; TERN_ERR_END: the
     * remote has closed its side and all is read; RESET; STALE. Reading does not consume. */
    tern_err (*read)(void *self, tern_stream_id stream, struct tern_slice *bytes);
    void (*consume)(void *self, tern_stream_id stream, size_t size);

    tern_err (*close_write)(void *self, tern_stream_id stream);
    /* reset ends both directions at once, frees what is buffered; the id dies. Idempotent on stale ids. */
    void (*reset)(void *self, tern_stream_id stream, uint32_t code);

    /* goaway tells the remote that we are ending; streams go on until closed. */
    void (*goaway)(void *self, uint32_t code);
    size_t (*streams_count)(const void *self);
    tern_fault (*fault)(const void *self);
    void (*fini)(void *self);
};

struct tern_mux {
    const struct tern_mux_ops *ops;
    void *self;
};

#endif
