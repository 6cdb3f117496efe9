/*
 * yamux: the muxer "/yamux/1.0.0" behind the seam of mux/mux.h. A pure byte-stream core.
 *
 * Frames: version, type, flags, stream id, length: 12 bytes, big-endian, then the data of a DATA
 * frame. The initiator's streams are odd, the responder's even; 0 is the session.
 *
 * Opening. A stream takes its number on the wire when its first frame is sent; SYN rides on that
 * frame, ACK on the first frame back, or alone when there is nothing else to send. At most
 * TERN_YAMUX_BACKLOG_MAX streams of ours may be unacknowledged. SYN, ACK, FIN and RST are taken on
 * DATA and WINDOW_UPDATE alike, in any sensible mixture. FIN is sent in a frame of its own, because
 * go-yamux looks at the flag before it stores the payload and a reader could miss the last bytes.
 * RST and GO_AWAY carry a 32-bit error code in the length field.
 *
 * Receive windows. Each stream may always be sent 256 KiB (TERN_YAMUX_WINDOW_INITIAL). That part is
 * charged to scope when bytes are really held, not before, so an idle stream costs nothing; when
 * the scope refuses, that one stream is reset with TERN_MUX_CODE_RESOURCE_LIMIT and the session
 * lives. Above 256 KiB the window is a reservation in windows, one budget for all connections: a
 * stream whose owner consumed half its window within two round trips has it doubled, up to
 * window_max, if the budget agrees; one that took more than sixteen round trips for half has it
 * made smaller again. A stream gives its reservation back when it ends. Credit returns when bytes
 * are consumed, in one update for at least a quarter of the window.
 *
 * Sending. write copies into or references chunks, at most send_buffer_max bytes a stream, charged
 * to scope. send gives control frames first, then data as mux/schedule.h has it, a frame a turn; a
 * stream that is alone gets the whole room as one frame. Control frames are
 * state, never a queue: one update a stream, one ping, TERN_YAMUX_PONGS_MAX replies; resets of
 * refused streams are the only list, and it is bounded.
 *
 * Liveness. A ping measures the round trip at the start and, while data comes, every 30 s;
 * ping_interval_ns has it ping when nothing came for so long, too (tern_mux_keep_alive). With
 * ping_timeout_ns the session fails with TERN_ERR_TIMEOUT when a ping is unanswered and nothing at
 * all was received for so long.
 *
 * Frames for streams that are not known are taken and dropped: they cross our resets. DATA behind a
 * FIN is dropped likewise (go-yamux may send it when write and close race).
 *
 * Rejected (base/faults.def, section mux): a wrong version or type, stream 0, ids of our parity
 * with SYN, a second SYN, data over the window, credit over 2^32 - 1, frames for unknown streams
 * longer than any window, floods of pings, resets or refused streams. The session ends with
 * GO_AWAY 1.
 *
 * Memory, with no streams: one block of under 1 KiB. A stream at rest: under 300 bytes.
 *
 * Not thread safe. Specification: hashicorp/yamux spec.md; libp2p/specs yamux/README.md; error
 * codes: libp2p/specs error-codes.
 */
#ifndef TERN_MUX_YAMUX_H
#define TERN_MUX_YAMUX_H

#include "base/mem.h"
#include "base/metrics.h"
#include "base/scope.h"
#include "mux/mux.h"

#define TERN_YAMUX_PROTOCOL_ID "/yamux/1.0.0"

enum {
    TERN_YAMUX_HEADER_SIZE = 12,
    TERN_YAMUX_WINDOW_INITIAL = 256 * 1024,
    TERN_YAMUX_WINDOW_DEFAULT = 64 * 1024 * 1024,
    TERN_YAMUX_WINDOW_LIMIT = 1024 * 1024 * 1024,
    TERN_YAMUX_SEND_BUFFER_DEFAULT = 1024 * 1024,
    TERN_YAMUX_STREAMS_DEFAULT = 1024,
    TERN_YAMUX_STREAMS_LIMIT = 1 << 16,
    TERN_YAMUX_BACKLOG_MAX = 256,
    TERN_YAMUX_PONGS_MAX = 8,
    TERN_YAMUX_REFUSALS_MAX = 512,
};

/* GO_AWAY codes of yamux itself; libp2p's connection codes may be given to goaway as well. */
enum tern_yamux_goaway {
    TERN_YAMUX_GOAWAY_NORMAL = 0,
    TERN_YAMUX_GOAWAY_PROTOCOL = 1,
    TERN_YAMUX_GOAWAY_INTERNAL = 2,
};

/* Zero means the default, where one is named. Pointers outlive the session. */
struct tern_yamux_options {
    bool initiator; /* dialed: our streams are odd */
    struct tern_mem *mem;
    struct tern_scope *scope;     /* of the connection: streams, and bytes held */
    struct tern_scope *windows;   /* budget of windows above 256 KiB; NULL: they never grow */
    struct tern_metrics *metrics; /* counts faults that do not end the session; may be NULL */
    uint64_t hash_seed;           /* of the table of streams; from the random source */
    uint32_t window_max;          /* of one stream; TERN_YAMUX_WINDOW_DEFAULT; .. WINDOW_LIMIT */
    uint32_t send_buffer_max;     /* bytes queued in one stream; SEND_BUFFER_DEFAULT */
    uint32_t streams_in_max;      /* opened by the remote at a time; STREAMS_DEFAULT; .. LIMIT */
    uint32_t streams_out_max;     /* opened here at a time; STREAMS_DEFAULT; .. LIMIT */
    tern_time ping_interval_ns;   /* of silence before a keep-alive; 0: none */
    tern_time ping_timeout_ns;    /* 0: never */
};

/* tern_yamux_new makes a session, to be ended by ops->fini. TERN_ERR_MEMORY; TERN_ERR_INVALID: an
 * option is above its limit. */
TERN_NODISCARD tern_err tern_yamux_new(const struct tern_yamux_options *options, tern_time now,
                                       struct tern_mux *mux);

#endif
