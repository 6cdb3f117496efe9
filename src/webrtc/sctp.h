/*
 * SCTP over DTLS, for data channels: one association, packets in, packets out. A subset of RFC 9260
 * that every WebRTC implementation speaks, sans I/O, in one account of memory.
 *
 *   COOKIE_WAIT ─ INIT ACK ─► COOKIE_ECHOED ─ COOKIE ACK ─► ESTABLISHED ─► SHUTDOWN … ─► CLOSED
 *        └────────── COOKIE ECHO of the remote ──────────────────┘
 *
 * Both ends send INIT at once; the two handshakes that cross make one association (RFC 9260,
 * section 5.2.1). An association that would begin anew in the middle of the other is not taken: its
 * DTLS session would begin anew, too.
 *
 * Sending is pulled. The owner hands over a message when the association is hungry, that is when
 * its first bytes could go now, so that who sends next is decided at the last moment; write makes
 * one packet of what is due. A message is cut into fragments that fill packets; once begun it is
 * ended before the next one, for the remote knows fragments by their row. Its bytes are taken over
 * by reference and held until they are acknowledged.
 *
 * Receiving. Messages of a stream come in order, those of different streams do not wait for each
 * other. A fragment is given as soon as all before it in its stream were: nothing is put together
 * here, so a message may have any length. Unordered messages of one fragment are given at once,
 * those of several in the order of all data.
 *
 * Windows. The remote may have window_bytes under way and unread; the owner returns what it
 * consumes. What comes beyond the window is dropped, not acknowledged. There is no window of a
 * stream.
 *
 * Acknowledgements are made when a packet is: one for all that came before, so a burst costs one.
 * They are due at once behind the second packet, a gap, a copy or the remote's wish (RFC 7053), and
 * after 100 ms in any case. Ours wish for one with the last packet of a burst.
 *
 * Congestion: slow start, congestion avoidance, fast retransmit on three reports, fast recovery, as
 * in section 7.2; the window begins at ten packets and grows by all bytes that are acknowledged,
 * because acknowledgements come for bursts; bytes that were acknowledged out of order make room at
 * once, which is limited transmit. A retransmission that is lost again is known by what was sent
 * later and arrived. The retransmission time-out is that of RFC 6298 between 200 ms and 5 s.
 *
 * Streams are reset (RFC 6525) in either direction; one request of ours is out at a time. FORWARD
 * TSN (RFC 3758) is not offered but understood: a stream that misses data by it is reported as
 * broken. Checksums are left out where both ends offer it (RFC 9653), DTLS being stronger.
 *
 * What is not here: more than one address, ECN, AUTH, I-DATA, partial reliability of ours, user
 * messages that are put together.
 *
 * Bounds: TERN_SCTP_FLIGHT_BYTES_MAX and _CHUNKS_MAX under way; window_bytes and
 * TERN_SCTP_HELD_CHUNKS_MAX received out of order; 12 bytes a stream number in pages of 256, at
 * most 768 KiB for a remote that uses all 65,536. Rings are given back when the association is
 * idle.
 *
 * Not thread safe. Specifications: RFC 9260 (SCTP), 8261 (over DTLS), 6525 (stream reset), 3758,
 * 7053, 9653, 6298; RFC 8831 section 6.
 */
#ifndef TERN_WEBRTC_SCTP_H
#define TERN_WEBRTC_SCTP_H

#include "base/fault.h"
#include "base/mem.h"
#include "base/random.h"
#include "mux/queue.h"

enum {
    TERN_SCTP_PORT = 5000,
    TERN_SCTP_PACKET_MIN = 576,  /* of the room for a packet */
    TERN_SCTP_PACKET_MAX = 1200, /* likewise */
    TERN_SCTP_RECEIVED_MAX = 2048,
    TERN_SCTP_HEAD_MAX = 14, /* of a message: bytes that are copied */
    TERN_SCTP_WINDOW_DEFAULT = 4 << 20,
    TERN_SCTP_WINDOW_MIN = 64 << 10,
    TERN_SCTP_FLIGHT_BYTES_MAX = 8 << 20,
    TERN_SCTP_FLIGHT_CHUNKS_MAX = 8192, /* a power of two */
    TERN_SCTP_HELD_CHUNKS_MAX = 8192,   /* likewise */
    TERN_SCTP_RESETS_MAX = 512,         /* streams whose reset waits for its turn */
};

struct tern_sctp;

struct tern_sctp_options {
    struct tern_mem *mem;
    struct tern_random *random; /* used by new alone */
    struct tern_mux_pool *pool; /* of the queues that messages are taken from; outlives it */
    size_t window_bytes;        /* 0: TERN_SCTP_WINDOW_DEFAULT */
    tern_time rtt_ns;           /* measured before; 0: none */
    bool checksums;             /* send and require them in any case */
};

enum tern_sctp_event_kind {
    TERN_SCTP_UP,         /* messages may be sent. Said once */
    TERN_SCTP_DATA,       /* a fragment of a message: stream, ppid, data, begin, end */
    TERN_SCTP_RESET_IN,   /* the remote has reset its direction of the stream; behind all data */
    TERN_SCTP_RESET_OUT,  /* our direction has been reset; err: or the remote would not */
    TERN_SCTP_STREAM_GAP, /* the remote will never send what is missing in the stream */
};

struct tern_sctp_event {
    enum tern_sctp_event_kind kind;
    tern_err err;
    uint16_t stream;
    bool begin;
    bool end;
    bool unordered;
    uint32_t ppid;
    struct tern_slice data; /* never empty; borrowed until the next call of next or recv */
};

/* tern_sctp_new makes an association, due to send INIT. TERN_ERR_MEMORY. */
TERN_NODISCARD tern_err tern_sctp_new(const struct tern_sctp_options *options, tern_time now,
                                      struct tern_sctp **sctp);
void tern_sctp_free(struct tern_sctp *s); /* NULL is allowed */

/* tern_sctp_recv takes a packet, at most TERN_SCTP_RECEIVED_MAX bytes; parts of it may be kept by
 * reference on its chunk. Drain next before and after it. */
void tern_sctp_recv(struct tern_sctp *s, tern_time now, struct tern_slice packet);
bool tern_sctp_next(struct tern_sctp *s, struct tern_sctp_event *event);

/* tern_sctp_consume returns credit for bytes that DATA gave. */
void tern_sctp_consume(struct tern_sctp *s, size_t size);

struct tern_sctp_message {
    uint16_t stream;
    bool unordered;
    uint32_t ppid;
    struct tern_view head;        /* .. TERN_SCTP_HEAD_MAX bytes that go first; copied */
    struct tern_mux_queue *queue; /* and size bytes of it behind them; may be NULL when size is 0 */
    size_t size;
};

/* tern_sctp_room is how many bytes of another message would go with the next packet, which is as
 * large as the last one could be; 0: none. It is an estimate: a message of that size is seldom cut.
 */
size_t tern_sctp_room(const struct tern_sctp *s);

/* tern_sctp_hungry: would the first bytes of another message go now? */
static inline bool tern_sctp_hungry(const struct tern_sctp *s)
{
    return tern_sctp_room(s) > 0;
}

/* tern_sctp_send takes a message of at least a byte. TERN_ERR_MEMORY, FULL (too many wait; not when
 * it is hungry), CLOSED; nothing was taken then. */
TERN_NODISCARD tern_err tern_sctp_send(struct tern_sctp *s,
                                       const struct tern_sctp_message *message);

/* tern_sctp_held is how many bytes of messages are not acknowledged, heads left out. */
size_t tern_sctp_held(const struct tern_sctp *s);

/* tern_sctp_reset resets our direction of a stream behind all messages that were handed over; none
 * may be sent on it until RESET_OUT. TERN_ERR_FULL: too many wait; CLOSED. */
TERN_NODISCARD tern_err tern_sctp_reset(struct tern_sctp *s, uint16_t stream);

/* tern_sctp_resetting: may nothing be sent on the stream before its RESET_OUT? When the remote has
 * refused that stays so. */
bool tern_sctp_resetting(const struct tern_sctp *s, uint16_t stream);

/* tern_sctp_idle: is everything that was handed over acknowledged? */
bool tern_sctp_idle(const struct tern_sctp *s);

/* tern_sctp_takes_zero_checksum: has the remote offered to do without checksums? False before it
 * has said anything. */
bool tern_sctp_takes_zero_checksum(const struct tern_sctp *s);

/* tern_sctp_window_left is how much more the remote may send. */
size_t tern_sctp_window_left(const struct tern_sctp *s);

/* tern_sctp_shutdown ends the association in good order when all is acknowledged; tern_sctp_abort
 * at once, by a last packet. Nothing can be sent afterwards. */
void tern_sctp_shutdown(struct tern_sctp *s);
void tern_sctp_abort(struct tern_sctp *s);

/* tern_sctp_write makes the next packet in room, whose size is PACKET_MIN .. PACKET_MAX and the
 * same each time; returns its size, 0: nothing is due. */
size_t tern_sctp_write(struct tern_sctp *s, tern_time now, struct tern_span room);
bool tern_sctp_want_write(const struct tern_sctp *s);
tern_time tern_sctp_deadline(const struct tern_sctp *s);
void tern_sctp_tick(struct tern_sctp *s, tern_time now);

/* tern_sctp_error: TERN_OK while the association lives; CLOSED: ended in good order; DISCONNECTED:
 * aborted by the remote; TIMEOUT: the remote is silent; PROTOCOL: fault says which of the remote's
 * doings; MEMORY. */
tern_err tern_sctp_error(const struct tern_sctp *s);
tern_fault tern_sctp_fault(const struct tern_sctp *s);

/* tern_sctp_dropped is why the last packet or chunk was dropped since this was asked, or NONE. */
tern_fault tern_sctp_dropped(struct tern_sctp *s);

/* What tests and the owner may look at. */
struct tern_sctp_stats {
    tern_time rtt_ns; /* smoothed; 0: not measured yet */
    tern_time rto_ns;
    size_t cwnd_bytes;
    size_t flight_bytes; /* of user data, not acknowledged and not taken for lost */
    uint32_t peer_window_bytes;
    size_t window_left_bytes; /* of ours */
    uint64_t packets_sent;
    uint64_t packets_received;
    uint64_t retransmitted; /* chunks */
    uint64_t timeouts;
    bool checksums; /* sent */
};

struct tern_sctp_stats tern_sctp_stats(const struct tern_sctp *s);

#endif
