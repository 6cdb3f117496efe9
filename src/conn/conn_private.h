/*
 * A connection's insides, shared by conn.c (upgrade, bytes in and out, end) and conn_streams.c (the
 * streams' negotiation and verbs).
 */
#ifndef TERN_CONN_CONN_PRIVATE_H
#define TERN_CONN_CONN_PRIVATE_H

#include "base/list.h"
#include "conn/conn.h"
#include "negotiate/multistream.h"

enum conn_state {
    CONN_SELECT_SECURE, /* agreeing on a secure channel; a lazy dialer's handshake is under way
                           already */
    CONN_HANDSHAKE,
    CONN_SELECT_MUX, /* agreeing on a muxer; a dialer uses it already */
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

/* A stream whose protocol is being negotiated. */
struct conn_stream {
    struct tern_list link; /* conn->negotiating, oldest first */
    tern_stream_id id;
    tern_time deadline;
    bool outbound;
    bool lazy;
    uint8_t names_count;
    const struct tern_protocol *protocol; /* inbound: the accepted one */
    union {
        struct tern_multistream_dialer dialer;
        struct tern_multistream_listener listener;
    };
    struct tern_view names[]; /* outbound: names_count of them */
};

enum { CONN_PENDING_MAX = 3 };

struct tern_conn {
    const struct tern_conn_config *config;
    struct tern_mem *mem;
    struct tern_scope *scope;
    enum tern_role role;
    enum conn_state state;
    enum tern_secure_kind secure_kind;
    bool established; /* ESTABLISHED was said, or waits in pending */
    bool job_out;     /* the secure channel's job is with the owner */
    bool freed;       /* free when the job comes back */
    tern_err err;
    tern_fault fault;
    tern_time now;      /* of the newest call */
    tern_time deadline; /* of the upgrade, or of saying goodbye */
    tern_time rtt_ns;
    struct tern_peer_id *expected; /* NULL: any, or checked already */
    struct conn_select
        *select_secure; /* until a listener's echo is sent, or a dialer's answer is in */
    struct conn_select *select_mux; /* likewise */
    struct tern_channel secure;     /* ops NULL: none yet */
    struct tern_mux mux;            /* ops NULL: none yet */
    struct tern_list negotiating;
    struct conn_stream **by_slot; /* negotiating streams by their id's slot */
    size_t by_slot_capacity;
    struct tern_conn_event pending[CONN_PENDING_MAX]; /* said before the muxer's events */
    size_t pending_count;
};

/* conn_fail records the first fatal error; CLOSED follows from next. */
void conn_fail(struct tern_conn *conn, tern_err err, tern_fault fault);

void conn_pend(struct tern_conn *conn, const struct tern_conn_event *event);

/* Error codes on the wire (libp2p/specs error codes): what a reset stream tells. */
enum { CONN_STREAM_CODE_NEGOTIATION = 0x1001 };

/* conn_drop_events forgets what is pending of a stream that its owner has reset. */
void conn_drop_events(struct tern_conn *conn, tern_stream_id stream);

/* conn_streams_event turns a muxer's event into the connection's; false: it was negotiation and is
 * no event for the owner. */
bool conn_streams_event(struct tern_conn *conn, const struct tern_mux_event *in,
                        struct tern_conn_event *out);

/* conn_streams_tick ends negotiations whose time is over. */
void conn_streams_tick(struct tern_conn *conn, tern_time now);
tern_time conn_streams_deadline(const struct tern_conn *conn);
void conn_streams_fini(struct tern_conn *conn);

#endif
