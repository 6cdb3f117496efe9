/*
 * The session and its streams, shared by the files of yamux:
 *
 *   yamux_frame    the header            yamux_table   ids and the streams' life
 *   yamux_ping     round trips           yamux_window  credit, tuning, charges
 *   yamux_send     frames out            yamux_recv    frames in
 *   yamux          the owner's calls and events
 *
 * A stream object lives as long as the owner may use its id (it has a slot) or a RST is still to be
 * sent for it. It is in the table of wire ids from its first frame until its last; in control while
 * a frame other than data is due; in line (turn) while data or FIN could be sent; in news while an
 * event waits.
 */
#ifndef TERN_MUX_YAMUX_INTERNAL_H
#define TERN_MUX_YAMUX_INTERNAL_H

#include "base/check.h"
#include "base/list.h"
#include "base/ring.h"
#include "mux/queue.h"
#include "mux/schedule.h"
#include "mux/yamux.h"
#include "mux/yamux_frame.h"

#define TERN_YAMUX_NO_SLOT UINT32_MAX

enum tern_yamux_stream_flag {
    YAMUX_INBOUND = 1 << 0,      /* opened by the remote */
    YAMUX_ACKED = 1 << 1,        /* ours, and the remote has answered */
    YAMUX_ACK_DUE = 1 << 2,      /* the remote's: no frame of ours has gone yet */
    YAMUX_ANNOUNCE = 1 << 3,     /* ours: send SYN even without data */
    YAMUX_FIN_ASKED = 1 << 4,    /* close_write was called */
    YAMUX_FIN_SENT = 1 << 5,     /* and the frame has gone */
    YAMUX_FIN_RECEIVED = 1 << 6, /* all data before it has been received too */
    YAMUX_DEAD = 1 << 7,         /* reset, and the event waits */
    YAMUX_RST_DUE = 1 << 8,      /* with code */
    YAMUX_WRITE_SHORT = 1 << 9,  /* WRITABLE is owed */
    YAMUX_NEWS_OPENED = 1 << 16, /* events that wait, in the order in which they are said */
    YAMUX_NEWS_READABLE = 1 << 17,
    YAMUX_NEWS_WRITABLE = 1 << 18,
    YAMUX_NEWS_RESET = 1 << 19,
    YAMUX_NEWS_CLOSED = 1 << 20,
};

struct tern_yamux_stream {
    struct tern_list control;
    struct tern_list news;
    struct tern_schedule_turn turn;
    struct tern_yamux_stream *hash_next;
    struct tern_mux_queue in;
    struct tern_mux_queue out;
    tern_time tuned_at; /* when the window was tuned last, or the stream began */
    uint32_t wire_id;   /* 0: nothing was sent yet */
    uint32_t slot;      /* TERN_YAMUX_NO_SLOT: the id is dead */
    uint32_t generation;
    uint32_t flags;
    uint32_t code;        /* of the RESET event and of the RST frame */
    uint32_t window;      /* receive window; above the initial it is reserved in windows */
    uint32_t returned;    /* credit given back since tuned_at */
    uint32_t recv_credit; /* what the remote may still send */
    uint32_t send_credit; /* what we may still send */
    uint32_t charged;     /* bytes of in that scope is charged for */
};

/* A leaky bucket: what comes faster than it leaks fills it. */
struct tern_yamux_bucket {
    tern_time leaked_at;
    uint32_t level;
};

struct tern_yamux_slot {
    struct tern_yamux_stream *stream; /* NULL: free */
    uint32_t next_free;
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
    struct tern_mem *mem;
    struct tern_scope *scope;
    struct tern_scope *windows;
    struct tern_metrics *metrics;
    uint64_t hash_seed;
    uint32_t window_max;
    uint32_t send_buffer_max;
    uint32_t streams_in_max;
    uint32_t streams_out_max;

    /* Streams (yamux_table.c). */
    struct tern_yamux_slot *slots;
    struct tern_yamux_stream **buckets;
    struct tern_yamux_stream *recent; /* the last one found by wire id */
    uint32_t slots_count;
    uint32_t slots_free; /* head of the free list */
    uint32_t slots_used;
    uint32_t buckets_count; /* a power of two */
    uint32_t hashed;
    uint32_t generation;
    uint32_t streams_in;  /* objects, so those count that wait for their RST to go */
    uint32_t streams_out; /* likewise */
    uint32_t unacked;
    uint32_t unnumbered;   /* ours, without a wire id yet */
    uint32_t wire_id_next; /* odd for the initiator */
    struct tern_mux_pool pool;
    struct tern_list control;
    struct tern_list news;
    struct tern_schedule schedule;

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
    struct tern_yamux_bucket pings_received;
    struct tern_yamux_bucket resets_received;

    tern_err error;
    tern_fault fault;
};

/* tern_yamux_fail makes the first error final, and the farewell due; returns err. */
tern_err tern_yamux_fail(struct tern_yamux *y, tern_err err, tern_fault fault);

/* tern_yamux_note counts a fault that does not end the session. */
void tern_yamux_note(struct tern_yamux *y, tern_fault fault);

/* tern_yamux_bucket_take is false when the bucket is full: more than burst came at once, or for
 * long more than one each interval_ns. */
bool tern_yamux_bucket_take(struct tern_yamux_bucket *bucket, tern_time now, uint32_t burst,
                            tern_time interval_ns);

/* ---- yamux_table.c: ids and lives ---- */

/* tern_yamux_stream_new makes a stream with a slot, charged to the scope. flags is YAMUX_INBOUND or
 * 0. TERN_ERR_SCOPE_STREAMS, SCOPE_MEMORY, MEMORY. */
TERN_NODISCARD tern_err tern_yamux_stream_new(struct tern_yamux *y, uint32_t flags,
                                              struct tern_yamux_stream **stream);

/* tern_yamux_find is the stream of an id, NULL if the id is dead. */
struct tern_yamux_stream *tern_yamux_find(const struct tern_yamux *y, tern_stream_id id);

/* tern_yamux_find_wire is the stream with a wire id, or NULL. */
struct tern_yamux_stream *tern_yamux_find_wire(struct tern_yamux *y, uint32_t wire_id);

tern_stream_id tern_yamux_id(const struct tern_yamux_stream *stream);

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
void tern_yamux_say(struct tern_yamux *y, struct tern_yamux_stream *stream, uint32_t news);

/* tern_yamux_want_control puts the stream in line for a frame other than data. */
void tern_yamux_want_control(struct tern_yamux *y, struct tern_yamux_stream *stream);

/* tern_yamux_update_ready puts the stream in or out of line for data, as its state is. */
void tern_yamux_update_ready(struct tern_yamux *y, struct tern_yamux_stream *stream);

/* tern_yamux_tables_fini frees all streams and tables. */
void tern_yamux_tables_fini(struct tern_yamux *y);

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
