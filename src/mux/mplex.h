/*
 * mplex: the muxer "/mplex/6.7.0" behind the seam of mux/mux.h, for peers that have no other. A
 * pure byte-stream core. It has no credit, no reset codes, no goaway and no pings; where a peer
 * offers yamux too, that is better in every way.
 *
 * Frames: a header (varint: stream id << 3 | flag), a length (varint), so many bytes. The flag says
 * what it is (NewStream, Message, Close, Reset) and whether its sender opened the stream: both
 * sides count their streams from 0, and a stream is known by its id and its opener.
 *
 * Opening. A stream takes its id on the wire when its first frame is sent; NewStream goes right
 * before that frame, with an empty name. Names that come are passed over.
 *
 * Receiving. What is unread is bounded per stream and in sum, and what is read is charged to scope.
 * When a bound is reached recv takes nothing more, and so holds up the whole connection, until half
 * of it has been consumed. If that takes longer than TERN_MPLEX_STALL_NS, whoever holds it up is
 * reset with TERN_MUX_CODE_RESOURCE_LIMIT: the stream that is over its own bound; if it is the sum,
 * every stream with more than its share of half the sum. So one slow reader delays the others for a
 * bounded time.
 *
 * Sending. As mux/schedule.h has it, a frame a turn, at most as large as the room. The remote
 * cannot be asked to wait: what it does not read fills the link.
 *
 * Frames for streams that are not known are taken and dropped: they cross our resets. So is data
 * behind Close. The data of Close and Reset, which should be none, is passed over.
 *
 * Rejected (base/faults.def, section mux): numbers over 63 bits or not in their shortest form,
 * flags that do not exist, messages over 1 MiB, NewStream for a stream that is open, floods of
 * streams that are reset or refused. The session ends; mplex has no word for why.
 *
 * Memory, with no streams: one block of under 1 KiB. A stream at rest: under 300 bytes.
 *
 * Not thread safe. Specification: libp2p/specs mplex/README.md.
 */
#ifndef TERN_MUX_MPLEX_H
#define TERN_MUX_MPLEX_H

#include "base/mem.h"
#include "base/metrics.h"
#include "base/scope.h"
#include "mux/mux.h"

#define TERN_MPLEX_PROTOCOL_ID "/mplex/6.7.0"

#define TERN_MPLEX_STALL_NS (5 * TERN_SECOND)

enum {
    TERN_MPLEX_MESSAGE_MAX = 1 << 20,
    TERN_MPLEX_UNREAD_STREAM_DEFAULT = 256 * 1024,
    TERN_MPLEX_UNREAD_DEFAULT = 4 * 1024 * 1024,
    TERN_MPLEX_SEND_BUFFER_DEFAULT = 1024 * 1024,
    TERN_MPLEX_STREAMS_DEFAULT = 1024,
    TERN_MPLEX_STREAMS_LIMIT = 1 << 16,
    TERN_MPLEX_REFUSALS_MAX = 512,
};

/* Zero means the default, where one is named. Pointers outlive the session. */
struct tern_mplex_options {
    struct tern_mem *mem;
    struct tern_scope *scope;     /* of the connection: streams, and bytes held */
    struct tern_metrics *metrics; /* counts faults that do not end the session; may be NULL */
    uint64_t hash_seed;           /* of the table of streams; from the random source */
    uint32_t unread_stream_max;   /* unread bytes of one stream; UNREAD_STREAM_DEFAULT */
    uint32_t unread_max;          /* of all streams together; UNREAD_DEFAULT */
    uint32_t send_buffer_max;     /* bytes queued in one stream; SEND_BUFFER_DEFAULT */
    uint32_t streams_in_max;      /* opened by the remote at a time; STREAMS_DEFAULT; .. LIMIT */
    uint32_t streams_out_max;     /* opened here at a time; STREAMS_DEFAULT; .. LIMIT */
};

/* tern_mplex_new makes a session, to be ended by ops->fini. Who dialled makes no difference.
 * TERN_ERR_MEMORY; TERN_ERR_INVALID: an option is above its limit. */
TERN_NODISCARD tern_err tern_mplex_new(const struct tern_mplex_options *options,
                                       struct tern_mux *mux);

#endif
