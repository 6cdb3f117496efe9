/*
 * The session and its streams, shared by the files of yamux:
 *
 *   yamux_frame    the header            yamux_table   the streams' life
 *   yamux_ping     round trips           yamux_window  credit, tuning, charges
 *   yamux_send     frames out            yamux_recv    frames in
 *   yamux          the owner's calls and events
 *
 * Ids, tables, buffers and events are those of mux/streams.h; MUX_FIN_*, MUX_RST_DUE are yamux's
 * FIN and RST.
 */
#ifndef TERN_MUX_YAMUX_INTERNAL_H
#define TERN_MUX_YAMUX_INTERNAL_H

#include "base/check.h"
#include "base/ring.h"
#include "mux/streams.h"
#include "mux/window.h"
#include "mux/yamux.h"
#include "mux/yamux_frame.h"

enum tern_yamux_stream_flag {
    YAMUX_ACKED = MUX_OWN,        /* ours, and the remote has answered */
    YAMUX_ACK_DUE = MUX_OWN << 1, /* the remote's: no frame of ours has gone yet */
};

struct tern_yamux_stream {
    struct tern_mux_stream base;
    struct tern_mux_window window; /* receive window; above the initial it is reserved in windows */
    uint32_t recv_credit;          /* what the remote may still send */
    uint32_t send_credit;          /* what we may still send */
};

/* A refused stream whose RST is still to be sent. */
struct tern_yamux_refusal {
    uint32_t wire_id;
    uint32_t code;
};

struct tern_yamux_ping {
    tern_time asked_at;     /* when the ping became due */
    tern_time sent_at;      /* when its frame was written */
    tern_time answered_at;  /* when the last answer came */
    tern_time received_at;  /* when anything was received last */
    tern_time interval_ns;  /* keep-alive; 0: none */
    tern_time timeout_ns;   /* 0: never */
    tern_time rtt_ns;       /* estimate for the windows; 0: unknown */
    tern_time rtt_event_ns; /* sample to tell the owner; 0: none */
    uint32_t id;
    bool due;         /* to be written */
    bool outstanding; /* written, not answered */
};

struct tern_yamux {
    struct tern_mux_streams streams;
    struct tern_scope *windows;
    struct tern_metrics *metrics;
    uint32_t window_max;
    uint32_t streams_in_max;
    uint32_t streams_out_max;
    uint32_t unacked;
    uint32_t unnumbered;   /* ours, without a wire id yet */
    uint32_t wire_id_next; /* odd for the initiator */

    /* The frame that is being received (yamux_recv.c). */
    struct tern_yamux_stream *payload_stream; /* NULL: the payload is dropped */
    uint32_t payload_left;
    bool payload_fin;
    uint8_t header_have;
    uint8_t header[TERN_YAMUX_HEADER_SIZE];

    /* What is to be said about the session (yamux_send.c). */
    struct tern_ring refusals;
    uint32_t pongs[TERN_YAMUX_PONGS_MAX];
    uint32_t pongs_count;
    uint32_t goaway_code;
    uint32_t remote_goaway_code;
    bool initiator;
    bool goaway;     /* said or to be said by us */
    bool goaway_due; /* the frame is still to be sent */
    bool remote_goaway;
    bool remote_goaway_news;

    struct tern_yamux_ping ping;
    struct tern_mux_bucket pings_received;
    struct tern_mux_bucket resets_received;

    tern_err error;
    tern_fault fault;
};

/* tern_yamux_fail makes the first error final, and the farewell due; returns err. */
tern_err tern_yamux_fail(struct tern_yamux *y, tern_err err, tern_fault fault);

/* tern_yamux_note counts a fault that does not end the session. */
void tern_yamux_note(struct tern_yamux *y, tern_fault fault);

/* ---- yamux_table.c: lives ---- */

static inline struct tern_yamux_stream *tern_yamux_stream_of(struct tern_mux_stream *base)
{
    return base == NULL ? NULL : TERN_CONTAINER_OF(base, struct tern_yamux_stream, base);
}

/* tern_yamux_wire_id is the stream's number in frames; 0: it has none yet. */
static inline uint32_t tern_yamux_wire_id(const struct tern_yamux_stream *stream)
{
    return (uint32_t)stream->base.wire_id;
}

/* tern_yamux_stream_new makes a stream with a slot, charged to the scope. flags is MUX_INBOUND or
 * 0. TERN_ERR_SCOPE_STREAMS, SCOPE_MEMORY, MEMORY. */
TERN_NODISCARD tern_err tern_yamux_stream_new(struct tern_yamux *y, uint32_t flags,
                                              struct tern_yamux_stream **stream);

/* tern_yamux_number gives a stream its wire id and puts it in the table. */
void tern_yamux_number(struct tern_yamux *y, struct tern_yamux_stream *stream, uint32_t wire_id);

/* tern_yamux_stream_end takes a stream off the wire: buffers, reservation, table, its place in line
 * and the list of control. The object stays for its event or its RST. */
void tern_yamux_stream_end(struct tern_yamux *y, struct tern_yamux_stream *stream);

/* tern_yamux_drop_id makes the id dead, and frees the stream unless a RST is due. */
void tern_yamux_drop_id(struct tern_yamux *y, struct tern_yamux_stream *stream);

/* tern_yamux_settle frees the stream if neither its id lives nor a RST is due. */
void tern_yamux_settle(struct tern_yamux *y, struct tern_yamux_stream *stream);

/* tern_yamux_abort ends a stream from our side: RST to the remote, if it knows of the stream. */
void tern_yamux_abort(struct tern_yamux *y, struct tern_yamux_stream *stream, uint32_t code);

/* tern_yamux_close_if_done says CLOSED when both directions have ended and all was consumed. */
void tern_yamux_close_if_done(struct tern_yamux *y, struct tern_yamux_stream *stream);

/* tern_yamux_say puts an event of the stream in line. */
static inline void tern_yamux_say(struct tern_yamux *y, struct tern_yamux_stream *stream,
                                  uint32_t news)
{
    tern_mux_stream_say(&y->streams, &stream->base, news);
}

/* tern_yamux_want_control puts the stream in line for a frame other than data. */
static inline void tern_yamux_want_control(struct tern_yamux *y, struct tern_yamux_stream *stream)
{
    tern_mux_stream_want_control(&y->streams, &stream->base);
}

/* tern_yamux_update_ready puts the stream in or out of line for data, as its state is. */
void tern_yamux_update_ready(struct tern_yamux *y, struct tern_yamux_stream *stream);

/* tern_yamux_streams_fini frees all streams and tables. */
void tern_yamux_streams_fini(struct tern_yamux *y);

/* ---- yamux_window.c ---- */

/* tern_yamux_window_returnable is how much credit could be given back now. */
uint32_t tern_yamux_window_returnable(const struct tern_yamux *y,
                                      const struct tern_yamux_stream *stream);

/* tern_yamux_window_due: is it enough for an update? */
bool tern_yamux_window_due(const struct tern_yamux *y, const struct tern_yamux_stream *stream);

/* tern_yamux_window_update tunes the window and returns the credit to give, which counts as given;
 * 0: none now. */
uint32_t tern_yamux_window_update(struct tern_yamux *y, struct tern_yamux_stream *stream,
                                  tern_time now);

/* tern_yamux_window_release gives the reservation back. */
void tern_yamux_window_release(struct tern_yamux *y, struct tern_yamux_stream *stream);

/* tern_yamux_charge charges the scope for so many unread bytes: for those within the initial
 * window; the rest is covered by the reservation. TERN_ERR_SCOPE_MEMORY when it has to rise and
 * cannot; then nothing has changed. */
TERN_NODISCARD tern_err tern_yamux_charge(struct tern_yamux *y, struct tern_yamux_stream *stream,
                                          size_t unread);

/* ---- yamux_ping.c ---- */

void tern_yamux_ping_init(struct tern_yamux *y, const struct tern_yamux_options *options,
                          tern_time now);

/* tern_yamux_ping_activity notes that bytes came, and asks for a ping when the last is old. */
void tern_yamux_ping_activity(struct tern_yamux *y, tern_time now);

/* tern_yamux_ping_frame takes a PING frame. The session's error. */
TERN_NODISCARD tern_err tern_yamux_ping_frame(struct tern_yamux *y, tern_time now,
                                              const struct tern_yamux_header *header);

/* tern_yamux_ping_send writes the replies and the ping that are due, as far as there is room. */
void tern_yamux_ping_send(struct tern_yamux *y, tern_time now, struct tern_writer *out);
tern_time tern_yamux_ping_deadline(const struct tern_yamux *y);
void tern_yamux_ping_tick(struct tern_yamux *y, tern_time now);

/* ---- yamux_recv.c, yamux_send.c ---- */

tern_err tern_yamux_recv(struct tern_yamux *y, tern_time now, struct tern_slice in);
void tern_yamux_send(struct tern_yamux *y, tern_time now, struct tern_writer *out);
bool tern_yamux_want_send(const struct tern_yamux *y);

#endif
