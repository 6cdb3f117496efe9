/*
 * The association, shared by the files of SCTP:
 *
 *   sctp_wire      chunks and parameters     sctp_streams  numbers of streams
 *   sctp_setup     how it begins and ends    sctp_reset    streams are reset
 *   sctp_data_in   data, acknowledging       sctp_data_out messages to chunks
 *   sctp_sack      acknowledged, congestion  sctp_write    packets out
 *   sctp           the owner's calls, packets in, time
 */
#ifndef TERN_WEBRTC_SCTP_INTERNAL_H
#define TERN_WEBRTC_SCTP_INTERNAL_H

#include "base/check.h"
#include "base/map.h"
#include "base/ring.h"
#include "webrtc/sctp.h"
#include "webrtc/sctp_wire.h"

#define SCTP_RTO_INITIAL TERN_SECOND
#define SCTP_RTO_MIN     (200 * TERN_MILLISECOND)
#define SCTP_RTO_MAX     (5 * TERN_SECOND)
#define SCTP_SACK_DELAY  (100 * TERN_MILLISECOND)
#define SCTP_IDLE        (15 * TERN_SECOND) /* then a heartbeat */

enum {
    SCTP_ERRORS_MAX = 10,           /* time-outs in a row */
    SCTP_INIT_ERRORS_MAX = 8,       /* likewise, before it is up */
    SCTP_INIT_MIN = 16,             /* of INIT's value */
    SCTP_WINDOW_INITIAL_MIN = 1500, /* that a remote must offer */
    SCTP_CWND_INITIAL = 10 * TERN_SCTP_PACKET_MAX,
    SCTP_CWND_MIN = 4 * TERN_SCTP_PACKET_MAX,
    SCTP_MTU = TERN_SCTP_PACKET_MAX,
    SCTP_REPORTS = 3,              /* of a missing chunk, before it is sent again */
    SCTP_STREAM_PAGE = 256,        /* stream numbers of a page */
    SCTP_PENDING_MAX = 128,        /* messages that wait to be cut */
    SCTP_RESETS_REQUEST_MAX = 128, /* streams in one request */
    SCTP_UNKNOWN_MAX = 64,         /* bytes of unknown parameters that are reported */
    SCTP_UNKNOWN_CHUNK_SIZE = 4,
    SCTP_HEARTBEAT_MAX = 512, /* bytes of a heartbeat that is answered */
    SCTP_COOKIE_SIZE = 32,
    SCTP_GAPS_MAX = 512, /* streams in one FORWARD TSN */
    SCTP_RING_MIN = 64,
    SCTP_WORDS_MAX = TERN_SCTP_FLIGHT_CHUNKS_MAX / 64,
};

enum sctp_state {
    SCTP_COOKIE_WAIT,
    SCTP_COOKIE_ECHOED,
    SCTP_ESTABLISHED,
    SCTP_SHUTDOWN_PENDING, /* ours, once all is acknowledged */
    SCTP_SHUTDOWN_SENT,
    SCTP_SHUTDOWN_RECEIVED, /* the remote's; likewise */
    SCTP_SHUTDOWN_ACK_SENT,
    SCTP_CLOSED, /* error says why */
};

/* What is to be written by the next packets. */
enum sctp_due {
    SCTP_DUE_INIT = 1 << 0,
    SCTP_DUE_INIT_ACK = 1 << 1,
    SCTP_DUE_COOKIE_ECHO = 1 << 2,
    SCTP_DUE_COOKIE_ACK = 1 << 3,
    SCTP_DUE_SACK = 1 << 4,
    SCTP_DUE_HEARTBEAT = 1 << 5,
    SCTP_DUE_HEARTBEAT_ACK = 1 << 6,
    SCTP_DUE_RESET_REQUEST = 1 << 7,
    SCTP_DUE_RESET_RESPONSE = 1 << 8,
    SCTP_DUE_SHUTDOWN = 1 << 9,
    SCTP_DUE_SHUTDOWN_ACK = 1 << 10,
    SCTP_DUE_SHUTDOWN_COMPLETE = 1 << 11,
    SCTP_DUE_ABORT = 1 << 12,
    SCTP_DUE_ERROR = 1 << 13, /* a chunk of unknown type */
};

/* What an INIT, an INIT ACK or a cookie says of the remote. */
struct sctp_peer {
    uint32_t tag;
    uint32_t window;
    uint32_t tsn; /* the first one it will use */
    uint16_t streams_out;
    uint16_t streams_in; /* that it takes from us */
    bool zero_checksum;
    bool resets; /* it can reset streams */
};

/* ---- received ---- */

enum sctp_held_state {
    SCTP_HELD_NOTHING,
    SCTP_HELD_WAITING, /* for what goes before it */
    SCTP_HELD_READY,   /* in line for the owner */
    SCTP_HELD_TAKEN,   /* given, but a number before it is missing */
};

/* A chunk whose number was received. Places are those of the ring, plus one; 0: none. */
struct sctp_held {
    struct tern_slice data; /* owns a reference while WAITING or READY */
    uint32_t tsn;
    uint32_t ppid;
    uint32_t hash_next; /* in its bucket of first fragments */
    uint32_t ready_next;
    uint16_t stream;
    uint16_t ssn;
    uint8_t flags;
    uint8_t state;
};

struct sctp_inbound {
    struct sctp_held *ring; /* by number; capacity is a power of two */
    uint32_t *buckets;      /* WAITING first fragments, by stream and sequence; as many */
    uint64_t *present;      /* bits of numbers that were received and are not cumulative */
    uint32_t capacity;
    uint32_t base; /* the lowest number whose place is in use */
    uint32_t cumulative;
    uint32_t highest;
    uint32_t waiting_low; /* WAITING, though all numbers before them were received */
    uint32_t ready_first;
    uint32_t ready_last;
    uint64_t hash_seed;
    size_t window;
    size_t used;              /* of the window: held here or by the owner */
    size_t advertised;        /* what is left, as it was said last */
    struct tern_ring gaps;    /* struct sctp_gap: events */
    struct tern_chunk *given; /* of the last event */
    bool any;                 /* data has come since the last acknowledgement */
    bool disorder;            /* the last packets leave gaps, or filled one */
    uint32_t packets;         /* with data, since the last acknowledgement */
};

/* ---- sent ---- */

enum sctp_sent_state { SCTP_SENT_FLIGHT, SCTP_SENT_LOST, SCTP_SENT_ACKED };

/* A chunk that was sent and is not acknowledged cumulatively. */
struct sctp_sent {
    struct tern_mux_segment *segment; /* where its bytes begin behind the head; NULL: it has none */
    uint32_t offset;                  /* in the segment's chunk */
    uint32_t ppid;
    tern_time sent_at;
    uint16_t size; /* of user data, with the head */
    uint16_t stream;
    uint16_t ssn;
    uint8_t flags;
    uint8_t state;
    uint8_t reports; /* that it is missing */
    uint8_t sends;   /* up to 255 */
    uint8_t head_size;
    uint8_t head[TERN_SCTP_HEAD_MAX];
};

/* A message that waits to be cut, or is being. */
struct sctp_pending {
    uint32_t ppid;
    uint32_t left; /* bytes, with those of the head */
    uint16_t stream;
    uint16_t ssn;
    bool unordered;
    bool begun;
    uint8_t head_size;
    uint8_t head[TERN_SCTP_HEAD_MAX];
};

struct sctp_outbound {
    struct tern_mux_pool *pool;
    size_t packet_size;     /* that the last packet could have */
    struct sctp_sent *ring; /* by number; capacity is a power of two */
    uint64_t *acked;        /* bits of chunks by state */
    uint64_t *lost;
    uint32_t capacity;
    uint32_t next;       /* number of the next chunk */
    uint32_t cumulative; /* all up to it are acknowledged */
    uint32_t acked_count;
    uint32_t lost_count;
    size_t flight;                   /* bytes of chunks in FLIGHT */
    struct tern_mux_queue held;      /* bytes of all chunks and messages, heads left out */
    struct tern_mux_segment *cursor; /* the segment that holds the next byte to be cut; NULL: none
                                        has been looked for */
    uint32_t cursor_offset;
    struct tern_ring pending;
    size_t pending_bytes;    /* of user data that was not cut */
    size_t uncut_bytes;      /* of those in held */
    uint64_t messages_taken; /* handed over since the start */
    uint64_t messages_cut;   /* of those, wholly sent */
    uint32_t peer_window;
    /* Congestion. */
    size_t cwnd;
    size_t ssthresh;
    size_t partial_acked;
    uint32_t recovery_end; /* in recovery: until this is acknowledged */
    bool recovery;
    bool rescue;  /* one packet may go again whatever the window is */
    bool starved; /* there was no memory for a chunk */
    tern_time last_sent_at;
    /* Round trips. */
    tern_time srtt_ns; /* 0: not measured yet */
    tern_time rttvar_ns;
    tern_time rto_ns;
    tern_time timeout_at; /* T3 */
    uint32_t errors;      /* time-outs in a row */
};

/* ---- resets ---- */

struct sctp_reset {
    uint16_t stream;
    uint64_t behind; /* messages that must have been cut before */
};

struct sctp_resets {
    /* Ours. */
    struct tern_ring waiting; /* struct sctp_reset */
    uint16_t *asked;          /* of the request that is out; SCTP_RESETS_REQUEST_MAX places */
    uint32_t asked_count;
    uint32_t asked_last_tsn;
    uint32_t request_next; /* number of the next request */
    tern_time retry_at;
    struct tern_ring done; /* uint32_t: stream, and 1 << 16 if the remote would not; events */
    /* The remote's. */
    uint32_t expected; /* number of its next request */
    uint32_t result;   /* of the last one */
    bool any;          /* there was one */
    bool deferred;     /* it waits until deferred_tsn has come */
    uint32_t deferred_tsn;
    struct tern_ring incoming; /* uint16_t: streams of that request; then events */
    size_t incoming_ready;     /* so many of them are events */
};

/* What both directions know of a stream number. */
struct sctp_stream {
    uint16_t ssn_in;  /* of the next message */
    uint16_t ssn_out; /* likewise */
    uint32_t tsn_in;  /* in a message: number of its next fragment */
    bool in_message;
    bool resetting; /* our direction: nothing may be sent */
    bool used;      /* it is not as at the start */
};

struct sctp_stream_page {
    struct sctp_stream streams[SCTP_STREAM_PAGE];
    uint32_t used;
};

/* A stream that misses data for good: messages up to ssn are skipped. */
struct sctp_gap {
    uint16_t stream;
    uint16_t ssn;
};

struct tern_sctp {
    struct tern_mem *mem;
    enum sctp_state state;
    uint32_t due;
    uint32_t tag;      /* ours: of packets that come */
    uint32_t init_tsn; /* the first one that we use */
    struct sctp_peer peer;
    struct sctp_peer init_peer;        /* of the INIT that is to be answered */
    uint8_t unknown[SCTP_UNKNOWN_MAX]; /* its parameters that are to be reported */
    size_t unknown_size;
    uint8_t unknown_chunk[SCTP_UNKNOWN_CHUNK_SIZE]; /* the start of one that is to be reported */
    uint64_t cookie_key[2];
    struct tern_chunk *cookie;    /* the remote's, to be echoed */
    struct tern_chunk *heartbeat; /* the value of a heartbeat that is to be answered */
    uint64_t heartbeat_nonce;     /* of ours */
    tern_time heartbeat_sent_at;
    bool heartbeat_out;
    bool up_news;
    bool checksums; /* wanted in any case */
    uint16_t abort_cause;
    tern_time setup_at; /* T1, T2 */
    tern_time init_sent_at;
    tern_time sack_at;
    tern_time idle_at;
    struct sctp_inbound in;
    struct sctp_outbound out;
    struct sctp_resets resets;
    struct sctp_stream_page **pages; /* 256, or NULL */
    tern_err error;
    tern_fault fault;
    tern_fault dropped;
    struct tern_sctp_stats stats;
};

/* ---- sctp.c ---- */

/* sctp_close ends the association. */
void sctp_close(struct tern_sctp *s, tern_err err, tern_fault fault);

/* sctp_violation ends it for the remote's fault, and tells the remote. */
void sctp_violation(struct tern_sctp *s, tern_fault fault, enum sctp_cause cause);

static inline void sctp_drop(struct tern_sctp *s, tern_fault fault)
{
    s->dropped = fault;
}

/* sctp_takes_data: are user messages expected of the remote? */
static inline bool sctp_takes_data(const struct tern_sctp *s)
{
    return s->state >= SCTP_ESTABLISHED && s->state <= SCTP_SHUTDOWN_SENT;
}

/* ---- sctp_setup.c ---- */

void sctp_recv_init(struct tern_sctp *s, struct tern_view value);
void sctp_recv_init_ack(struct tern_sctp *s, tern_time now, struct tern_view value);
void sctp_recv_cookie_echo(struct tern_sctp *s, struct tern_view value);
void sctp_recv_shutdown(struct tern_sctp *s, tern_time now, struct tern_view value);
void sctp_recv_shutdown_ack(struct tern_sctp *s);

/* sctp_establish: the remote has shown to know our tag. */
void sctp_establish(struct tern_sctp *s);

/* sctp_setup_progress goes on with a shutdown when all is acknowledged. */
void sctp_setup_progress(struct tern_sctp *s);

/* sctp_setup_tick: T1 and T2. */
void sctp_setup_tick(struct tern_sctp *s, tern_time now);
void sctp_write_init(struct tern_sctp *s, struct tern_writer *w);
void sctp_write_init_ack(struct tern_sctp *s, struct tern_writer *w);

/* ---- sctp_streams.c ---- */

/* sctp_stream is what is known of a number; NULL: all is as at the start. */
struct sctp_stream *sctp_stream(const struct tern_sctp *s, uint16_t number);

/* sctp_stream_use is the same, made if need be; NULL: no memory. */
struct sctp_stream *sctp_stream_use(struct tern_sctp *s, uint16_t number);

/* sctp_stream_settle forgets a number that is as at the start. */
void sctp_stream_settle(struct tern_sctp *s, uint16_t number);
void sctp_streams_fini(struct tern_sctp *s);

/* ---- sctp_data_in.c ---- */

void sctp_in_init(struct tern_sctp *s, size_t window, uint64_t hash_seed);
void sctp_in_start(struct tern_sctp *s, uint32_t first_tsn);
void sctp_in_fini(struct tern_sctp *s);

/* sctp_in_packet begins a packet: places of what has been given are free again. */
void sctp_in_packet(struct tern_sctp *s);
void sctp_recv_data(struct tern_sctp *s, const struct sctp_chunk *chunk, struct tern_chunk *packet);
void sctp_recv_forward_tsn(struct tern_sctp *s, struct tern_view value);

/* sctp_in_disordered: are data waiting that belong to no message, though all before them came? */
bool sctp_in_disordered(const struct tern_sctp *s);

/* sctp_in_acknowledge decides, behind a packet with data, when to acknowledge. */
void sctp_in_acknowledge(struct tern_sctp *s, tern_time now);
bool sctp_in_next(struct tern_sctp *s, struct tern_sctp_event *event);

/* sctp_in_restart: the next message of a stream is its first. */
void sctp_in_restart(struct tern_sctp *s, uint16_t stream);

/* sctp_in_trim gives memory back when there is nothing to hold. */
void sctp_in_trim(struct tern_sctp *s);
size_t sctp_in_window_left(const struct tern_sctp *s);
void sctp_write_sack(struct tern_sctp *s, struct tern_writer *w);

/* ---- sctp_data_out.c ---- */

void sctp_out_init(struct tern_sctp *s, const struct tern_sctp_options *options, uint32_t tsn);
void sctp_out_fini(struct tern_sctp *s);
void sctp_out_trim(struct tern_sctp *s);
struct sctp_sent *sctp_out_at(const struct tern_sctp *s, uint32_t tsn);

/* sctp_out_lose takes a chunk in FLIGHT for lost. */
void sctp_out_lose(struct tern_sctp *s, uint32_t tsn);
bool sctp_out_idle(const struct tern_sctp *s);

/* sctp_out_can: may data go now? */
bool sctp_out_can(const struct tern_sctp *s);

/* sctp_out_wants: is there a chunk to be sent now? */
bool sctp_out_wants(const struct tern_sctp *s);

/* sctp_out_lose_all takes all that is under way for lost. */
void sctp_out_lose_all(struct tern_sctp *s);

/* sctp_write_data fills a packet with chunks: first those that go again. */
void sctp_write_data(struct tern_sctp *s, tern_time now, struct tern_writer *w);

/* ---- sctp_sack.c ---- */

void sctp_recv_sack(struct tern_sctp *s, tern_time now, struct tern_view value);

/* sctp_acknowledge takes all up to tsn as acknowledged. */
void sctp_acknowledge(struct tern_sctp *s, tern_time now, uint32_t tsn);

/* sctp_measured takes a round trip. */
void sctp_measured(struct tern_sctp *s, tern_time rtt_ns);

/* sctp_timeout is T3. */
void sctp_timeout(struct tern_sctp *s);

/* sctp_back_off doubles the time-out and counts it; the association may end. */
void sctp_back_off(struct tern_sctp *s);

/* ---- sctp_reset.c ---- */

void sctp_resets_init(struct tern_sctp *s, uint32_t first_request);
void sctp_resets_fini(struct tern_sctp *s);
void sctp_recv_reconfig(struct tern_sctp *s, struct tern_view value);

/* sctp_resets_progress performs what waited for data, or for its turn. */
void sctp_resets_progress(struct tern_sctp *s);

/* sctp_resets_cover: may a waiting chunk belong to a stream that is about to be reset? */
bool sctp_resets_cover(const struct tern_sctp *s, const struct sctp_held *held);
bool sctp_resets_next(struct tern_sctp *s, struct tern_sctp_event *event);
void sctp_resets_tick(struct tern_sctp *s, tern_time now);
void sctp_write_reset_request(struct tern_sctp *s, tern_time now, struct tern_writer *w);
void sctp_write_reset_response(struct tern_sctp *s, struct tern_writer *w);

#endif
