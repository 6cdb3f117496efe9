/*
 * What stream muxers keep of their streams, whatever their frames look like: the owner's ids, a
 * table of the ids on the wire, bytes received and not consumed, bytes written and not sent, the
 * events that wait, places in line, and what all that is charged to. A muxer's own stream begins
 * with a struct tern_mux_stream.
 *
 * When a stream begins and ends, and what is said of it on the wire, is the muxer's. Its object
 * lives as long as the owner may use the id (it has a slot) or a frame about its end is still to be
 * sent; it is in the table from its first frame until its last.
 *
 * Not thread safe.
 */
#ifndef TERN_MUX_STREAMS_H
#define TERN_MUX_STREAMS_H

#include "base/mem.h"
#include "base/scope.h"
#include "mux/queue.h"
#include "mux/schedule.h"

#define TERN_MUX_NO_SLOT UINT32_MAX

enum tern_mux_stream_flag {
    MUX_INBOUND = 1 << 0,      /* opened by the remote */
    MUX_ANNOUNCE = 1 << 1,     /* ours: the remote is to hear of it even without data */
    MUX_FIN_ASKED = 1 << 2,    /* close_write was called */
    MUX_FIN_SENT = 1 << 3,     /* and the frame has gone */
    MUX_FIN_RECEIVED = 1 << 4, /* all data before it has been received too */
    MUX_DEAD = 1 << 5,         /* reset, and the event waits */
    MUX_RST_DUE = 1 << 6,      /* the remote is to hear of our reset */
    MUX_WRITE_SHORT = 1 << 7,  /* WRITABLE is owed */
    MUX_OWN = 1 << 8,          /* the first of the muxer's own flags */
    MUX_NEWS_OPENED = 1 << 16, /* events that wait, in the order in which they are said */
    MUX_NEWS_READABLE = 1 << 17,
    MUX_NEWS_WRITABLE = 1 << 18,
    MUX_NEWS_RESET = 1 << 19,
    MUX_NEWS_CLOSED = 1 << 20,
};

struct tern_mux_stream {
    struct tern_list control; /* while a frame other than data is due */
    struct tern_list news;    /* while an event waits */
    struct tern_schedule_turn turn;
    struct tern_mux_stream *hash_next;
    struct tern_mux_queue in;
    struct tern_mux_queue out;
    size_t sent;      /* bytes of out that have gone, and are kept until the remote has them */
    uint64_t wire_id; /* as the muxer has it; 0: nothing was sent yet */
    uint32_t slot;    /* TERN_MUX_NO_SLOT: the id is dead */
    uint32_t generation;
    uint32_t flags;
    uint32_t code;    /* of the RESET event and of the frame that tells the remote */
    uint32_t charged; /* bytes of in that scope is charged for */
};

struct tern_mux_slot {
    struct tern_mux_stream *stream; /* NULL: free */
    uint32_t next_free;
};

struct tern_mux_streams {
    struct tern_mem *mem;
    struct tern_scope *scope;
    uint64_t hash_seed;
    size_t stream_size; /* of the muxer's own struct */
    uint32_t send_buffer_max;
    bool over; /* nothing is written any more */

    struct tern_mux_slot *slots;
    struct tern_mux_stream **buckets;
    struct tern_mux_stream *recent; /* the last one found by wire id */
    uint32_t slots_count;
    uint32_t slots_free; /* head of the free list */
    uint32_t slots_used;
    uint32_t buckets_count; /* a power of two */
    uint32_t hashed;
    uint32_t generation;
    uint32_t in_count;  /* objects, so those count that wait for their last frame to go */
    uint32_t out_count; /* likewise */
    struct tern_mux_pool pool;
    struct tern_list control;
    struct tern_list news;
    struct tern_schedule schedule;
};

struct tern_mux_streams_options {
    struct tern_mem *mem;
    struct tern_scope *scope;
    uint64_t hash_seed;
    size_t stream_size;
    uint32_t send_buffer_max;
};

void tern_mux_streams_init(struct tern_mux_streams *streams,
                           const struct tern_mux_streams_options *options);

/* tern_mux_streams_fini ends all streams and frees the tables. release is the muxer's, which frees
 * a stream by tern_mux_stream_free. */
void tern_mux_streams_fini(struct tern_mux_streams *streams,
                           void (*release)(struct tern_mux_streams *streams,
                                           struct tern_mux_stream *stream));

/* tern_mux_streams_next draws an event; the muxer drops the id with RESET and CLOSED. NULL: there
 * is none. */
struct tern_mux_stream *tern_mux_streams_next(struct tern_mux_streams *streams,
                                              struct tern_mux_event *event);

/* --- lives --- */

/* tern_mux_stream_new makes a stream with a slot, of class BULK, charged to the scope. flags is
 * MUX_INBOUND or 0. TERN_ERR_SCOPE_STREAMS, SCOPE_MEMORY, MEMORY. */
TERN_NODISCARD tern_err tern_mux_stream_new(struct tern_mux_streams *streams, uint32_t flags,
                                            struct tern_mux_stream **stream);

/* tern_mux_stream_free frees it. The id is dead. */
void tern_mux_stream_free(struct tern_mux_streams *streams, struct tern_mux_stream *stream);

/* tern_mux_stream_end takes it off the wire: buffers, table, its place in line, and the list of
 * control unless MUX_RST_DUE. */
void tern_mux_stream_end(struct tern_mux_streams *streams, struct tern_mux_stream *stream);

/* tern_mux_stream_drop_id makes the id dead. */
void tern_mux_stream_drop_id(struct tern_mux_streams *streams, struct tern_mux_stream *stream);

/* tern_mux_stream_find is the stream of an id, NULL if the id is dead. */
struct tern_mux_stream *tern_mux_stream_find(const struct tern_mux_streams *streams,
                                             tern_stream_id id);
tern_stream_id tern_mux_stream_id(const struct tern_mux_stream *stream);

/* tern_mux_stream_number gives a stream its wire id and puts it in the table. It cannot fail: a
 * table that cannot grow is slow. */
void tern_mux_stream_number(struct tern_mux_streams *streams, struct tern_mux_stream *stream,
                            uint64_t wire_id);

/* tern_mux_stream_unnumber takes it out of the table. The owner does not notice. */
void tern_mux_stream_unnumber(struct tern_mux_streams *streams, struct tern_mux_stream *stream);

/* tern_mux_stream_find_wire is the stream with a wire id, or NULL. */
struct tern_mux_stream *tern_mux_stream_find_wire(struct tern_mux_streams *streams,
                                                  uint64_t wire_id);

/* --- news and lines --- */

/* tern_mux_stream_say puts an event of the stream in line. */
void tern_mux_stream_say(struct tern_mux_streams *streams, struct tern_mux_stream *stream,
                         uint32_t news);

/* tern_mux_stream_want_control puts the stream in line for a frame other than data. */
void tern_mux_stream_want_control(struct tern_mux_streams *streams, struct tern_mux_stream *stream);

/* tern_mux_stream_unsent is how many bytes of out have not gone. */
static inline size_t tern_mux_stream_unsent(const struct tern_mux_stream *stream)
{
    return stream->out.size - stream->sent;
}

/* tern_mux_stream_fin_due: is the end of our direction the next thing to send? */
bool tern_mux_stream_fin_due(const struct tern_mux_stream *stream);

/* tern_mux_stream_ended: have both directions ended, and was all consumed? */
bool tern_mux_stream_ended(const struct tern_mux_stream *stream);

/* --- bytes --- */

/* tern_mux_stream_charge charges the scope for so many received bytes. TERN_ERR_SCOPE_MEMORY when
 * it has to rise and cannot; then nothing has changed. */
TERN_NODISCARD tern_err tern_mux_stream_charge(struct tern_mux_streams *streams,
                                               struct tern_mux_stream *stream, size_t charge);

/* tern_mux_stream_say_writable says WRITABLE when it is owed and half of the buffer is free. */
void tern_mux_stream_say_writable(struct tern_mux_streams *streams, struct tern_mux_stream *stream);

/* tern_mux_stream_take moves the oldest written bytes to out, which has room, and says WRITABLE
 * when it is owed. */
void tern_mux_stream_take(struct tern_mux_streams *streams, struct tern_mux_stream *stream,
                          size_t size, struct tern_writer *out);

/* The owner's verbs as mux.h has them; *stream is the one they are about, NULL when it is stale.
 * The muxer puts it in line to send. A write of nothing sets MUX_ANNOUNCE, if there is reason to.
 */
TERN_NODISCARD tern_err tern_mux_stream_write(struct tern_mux_streams *streams, tern_stream_id id,
                                              struct tern_view bytes, size_t *accepted,
                                              struct tern_mux_stream **stream);
TERN_NODISCARD tern_err tern_mux_stream_write_slice(struct tern_mux_streams *streams,
                                                    tern_stream_id id, struct tern_slice slice,
                                                    struct tern_mux_stream **stream);
TERN_NODISCARD tern_err tern_mux_stream_read(const struct tern_mux_streams *streams,
                                             tern_stream_id id, struct tern_slice *bytes);
TERN_NODISCARD tern_err tern_mux_stream_close_write(struct tern_mux_streams *streams,
                                                    tern_stream_id id,
                                                    struct tern_mux_stream **stream);

size_t tern_mux_stream_unread(const struct tern_mux_streams *streams, tern_stream_id id);
size_t tern_mux_stream_queued(const struct tern_mux_streams *streams, tern_stream_id id);

/* --- floods --- */

/* A leaky bucket: what comes faster than it leaks fills it. */
struct tern_mux_bucket {
    tern_time leaked_at;
    uint32_t level;
};

/* tern_mux_bucket_take is false when the bucket is full: more than burst came at once, or for long
 * more than one each interval_ns. */
bool tern_mux_bucket_take(struct tern_mux_bucket *bucket, tern_time now, uint32_t burst,
                          tern_time interval_ns);

#endif
