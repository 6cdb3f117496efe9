/*
 * A connection's insides, shared by its files: conn.c (life, events, time), conn_stack.c (channels
 * one inside the other: bytes in and out), conn_wrap.c (the form of the link), conn_upgrade.c (what
 * is agreed, and what is made of it), conn_streams.c (the streams' negotiation and verbs).
 */
#ifndef TERN_CONN_CONN_PRIVATE_H
#define TERN_CONN_CONN_PRIVATE_H

#include "base/list.h"
#include "conn/conn.h"
#include "negotiate/multistream.h"

enum conn_state {
    CONN_SNIFF,         /* a listener of several forms: which one is it? */
    CONN_WRAP,          /* what wraps the link is being agreed */
    CONN_SELECT_SECURE, /* agreeing on a secure channel; a lazy dialer's handshake is under way
                           already */
    CONN_HANDSHAKE,
    CONN_SELECT_MUX, /* agreeing on a muxer; a dialer with one uses it already */
    CONN_OPEN,
    CONN_CLOSING, /* saying goodbye */
    CONN_FAILED,  /* CLOSED is to be said, err says why; the farewell may still be sent */
    CONN_CLOSED,  /* CLOSED was said */
};

/* The negotiation of one connection-level protocol, freed when it is done. */
struct conn_select {
    union {
        struct tern_multistream_dialer dialer;
        struct tern_multistream_listener listener;
    };
    struct tern_view names[TERN_CONN_SECURE_MAX]; /* what the dialer proposes */
};

/* A stream whose protocol is being negotiated, or which came too early to be served. */
struct conn_stream {
    struct tern_list link; /* conn->negotiating, oldest first */
    tern_stream_id id;
    tern_time deadline;
    bool outbound;
    bool lazy;
    bool early; /* came before the remote has proven to be there */
    bool held;  /* and must not be served before that */
    uint8_t names_count;
    const struct tern_protocol *protocol; /* inbound: the accepted one */
    union {
        struct tern_multistream_dialer dialer;
        struct tern_multistream_listener listener;
    };
    struct tern_view names[]; /* outbound: names_count of them */
};

enum { CONN_PENDING_MAX = 3, CONN_CHANNELS_MAX = 4, CONN_SNIFF_SIZE = 13 };

/* Bytes that wait for a channel or the consumer: borrowed during a call, owned between calls. */
struct conn_input {
    struct tern_slice slice;
    bool owned;
};

/* The stack: channels[0] is on the link, each next one inside the one before; the last one secures.
 * Above them is the consumer: a negotiation or the muxer. */
struct conn_stack {
    struct tern_channel channels[CONN_CHANNELS_MAX];
    struct conn_input inputs[CONN_CHANNELS_MAX + 1]; /* of channel i; [count]: of the consumer */
    uint8_t count;
    uint8_t opened;   /* channels that are done with their handshake */
    uint8_t carries;  /* of them, those that can carry what is above: fewer when one has ended */
    uint8_t shutting; /* channels that are still to say their farewell, from the innermost on */
    uint8_t err_of;   /* the channel that has failed: what was good before that still counts */
    tern_err err;
};

struct tern_conn {
    const struct tern_conn_config *config;
    struct tern_mem *mem;
    struct tern_scope *scope;
    enum tern_role role;
    enum conn_state state;
    bool established; /* ESTABLISHED was said, or waits in pending */
    bool confirmed;   /* the remote has proven to be there */
    bool job_out;     /* a channel's job, or the session's, is with the owner */
    uint8_t job_of;   /* the channel's index */
    bool freed;       /* free when the job comes back */
    bool resumes;     /* bytes wait for the muxer, which may take them now: the next tick sees */
    tern_err err;
    tern_fault fault;
    tern_time now;      /* of the newest call */
    tern_time deadline; /* of the upgrade, or of saying goodbye */
    tern_time rtt_ns;
    tern_wall_time wall;           /* when it was made; 0: not known */
    struct tern_peer_id *expected; /* NULL: any, or checked already */
    bool private_network;          /* its cipher is on the stack, or there is none to be */
    uint8_t secure_kind;           /* enum tern_secure_kind, of the channel on the stack */
    uint8_t muxer_kind;            /* enum tern_muxer_kind, of mux, on a link */
    uint8_t forms;                 /* that the link may have; enum tern_link_form */
    uint8_t sniffed_size;
    uint8_t sniffed[CONN_SNIFF_SIZE]; /* what came while the form was not known */
    struct conn_select
        *select_secure; /* until a listener's echo is sent, or a dialer's answer is in */
    struct conn_select *select_mux; /* likewise */
    struct conn_stack stack;
    struct tern_mux mux;          /* ops NULL: none yet */
    struct tern_session *session; /* NULL: on a link */
    struct tern_list negotiating;
    size_t held_count;            /* of them, those that came too early to be served */
    struct conn_stream **by_slot; /* negotiating streams by their id's slot */
    size_t by_slot_capacity;
    struct tern_conn_event pending[CONN_PENDING_MAX]; /* said before the muxer's events */
    size_t pending_count;
};

/* --- conn.c --- */

/* conn_fail records the first fatal error; CLOSED follows from next. */
void conn_fail(struct tern_conn *conn, tern_err err, tern_fault fault);

void conn_pend(struct tern_conn *conn, const struct tern_conn_event *event);

/* conn_drop_events forgets what is pending of a stream that its owner has reset. */
void conn_drop_events(struct tern_conn *conn, tern_stream_id stream);

/* conn_over: nothing is received any more. */
static inline bool conn_over(const struct tern_conn *conn)
{
    return conn->state == CONN_FAILED || conn->state == CONN_CLOSED;
}

/* conn_established says ESTABLISHED, once. */
void conn_established(struct tern_conn *conn);

/* --- conn_wrap.c --- */

/* conn_wrap_start begins: a listener may have to see what comes. TERN_ERR_MEMORY, INVALID, or what
 * making a channel returns. */
TERN_NODISCARD tern_err conn_wrap_start(struct tern_conn *conn, struct tern_view host);

/* conn_wrap_sniff looks at the first bytes of a link until its form is known, and keeps what it has
 * looked at in sniffed; returns how many bytes that was. */
size_t conn_wrap_sniff(struct tern_conn *conn, struct tern_view in);

/* conn_wrap_opened: a channel that wraps the link is done with its handshake. */
void conn_wrap_opened(struct tern_conn *conn);

/* --- conn_stack.c --- */

/* conn_stack_push puts a channel on top. */
void conn_stack_push(struct tern_conn *conn, struct tern_channel channel);

/* conn_stack_recv moves link bytes up as far as they are taken, behind what still waits from
 * before; *used says how many were. */
void conn_stack_recv(struct tern_conn *conn, tern_time now, struct tern_slice in, size_t *used);

/* conn_stack_waits: is there something that the muxer has not taken? */
bool conn_stack_waits(const struct tern_conn *conn);

/* conn_stack_resume offers it again. */
void conn_stack_resume(struct tern_conn *conn, tern_time now);

/* The muxer's verbs after which it may take what it has not taken. */
static inline void conn_mux_consume(struct tern_conn *conn, tern_stream_id stream, size_t size)
{
    conn->mux.ops->consume(conn->mux.self, stream, size);
    conn->resumes = conn_stack_waits(conn);
}

static inline void conn_mux_reset(struct tern_conn *conn, tern_stream_id stream, uint32_t code)
{
    conn->mux.ops->reset(conn->mux.self, stream, code);
    conn->resumes = conn_stack_waits(conn);
}

/* conn_stack_job_done gives a channel its job back, and goes on with what waits. */
void conn_stack_job_done(struct tern_conn *conn, tern_time now, struct tern_job *job);

/* conn_stack_send writes what all parts have to say, the outermost first. */
void conn_stack_send(struct tern_conn *conn, tern_time now, struct tern_writer *out);
bool conn_stack_want_send(const struct tern_conn *conn);

/* conn_stack_shut makes every channel say its farewell, the innermost first, when all that was to
 * be said inside it has gone. */
void conn_stack_shut(struct tern_conn *conn);
void conn_stack_fini(struct tern_conn *conn);

/* conn_stack_secure is the secure channel; NULL: none yet. */
const struct tern_channel *conn_stack_secure(const struct tern_conn *conn);

/* --- conn_upgrade.c --- */

/* conn_upgrade_start begins to agree on the secure channel, inside what wraps the link.
 * TERN_ERR_MEMORY, or what making a channel returns. */
TERN_NODISCARD tern_err conn_upgrade_start(struct tern_conn *conn);

/* conn_upgrade_secured: the secure channel is done with its handshake. */
void conn_upgrade_secured(struct tern_conn *conn, tern_time now);

/* conn_upgrade_recv takes what a negotiation of the connection's own has to read. */
TERN_NODISCARD tern_err conn_upgrade_recv(struct tern_conn *conn, tern_time now,
                                          struct tern_view in, size_t *used);

/* conn_upgrade_reads: are the consumer's next bytes a negotiation's? */
bool conn_upgrade_reads(const struct tern_conn *conn);

/* conn_select_send writes what a negotiation has to say; a listener's is done with when it is out.
 */
void conn_select_send(struct tern_conn *conn, struct conn_select **slot, struct tern_writer *out);
bool conn_select_want_send(const struct tern_conn *conn, const struct conn_select *select);
void conn_upgrade_fini(struct tern_conn *conn);

/* --- conn_streams.c --- */

/* Error codes on the wire (libp2p/specs error codes): what a reset stream tells. */
enum { CONN_STREAM_CODE_NEGOTIATION = 0x1001 };

/* conn_streams_event turns a muxer's event into the connection's; false: it was negotiation and is
 * no event for the owner. */
bool conn_streams_event(struct tern_conn *conn, const struct tern_mux_event *in,
                        struct tern_conn_event *out);

/* conn_streams_release gives one stream that came too early to its owner, now that the remote has
 * proven to be there; false: there is none, or it has not. */
bool conn_streams_release(struct tern_conn *conn, struct tern_conn_event *out);

/* conn_streams_tick ends negotiations whose time is over. */
void conn_streams_tick(struct tern_conn *conn, tern_time now);
tern_time conn_streams_deadline(const struct tern_conn *conn);
void conn_streams_fini(struct tern_conn *conn);

#endif
