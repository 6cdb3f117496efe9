/*
 * What the files of WebTransport share.
 *
 *   http3, qpack, request       the wire: pure functions
 *   certificates                of a host that serves
 *   webtransport                the transport: QUIC's and what is beside it
 *   webtransport_session        making a session and freeing it; errors, its end
 *   webtransport_streams        the table of a connection's streams
 *   webtransport_http           streams of HTTP/3: control, requests, whatever else comes
 *   webtransport_noise          the handshake
 *   webtransport_mux            verbs and events
 *
 * A session (struct web_session) is made on a connection of QUIC's when that is established, and
 * lives until its owner ends it. Ids of streams are QUIC's; the table says what each stream is.
 */
#ifndef TERN_WEBTRANSPORT_WEBTRANSPORT_INTERNAL_H
#define TERN_WEBTRANSPORT_WEBTRANSPORT_INTERNAL_H

#include "base/check.h"
#include "base/timer.h"
#include "quic/quic_conn.h"
#include "webtransport/certificates.h"
#include "webtransport/http3.h"
#include "webtransport/qpack.h"
#include "webtransport/webtransport.h"

/* --- streams --- */

enum web_kind {
    WEB_KIND_NEW,     /* the remote's; what it is has not come yet */
    WEB_KIND_OWN,     /* our control stream */
    WEB_KIND_CONTROL, /* the remote's */
    WEB_KIND_ENCODER, /* of QPACK */
    WEB_KIND_DECODER,
    WEB_KIND_REQUEST, /* a client's, not answered yet */
    WEB_KIND_CONNECT, /* the session's */
    WEB_KIND_WAITING, /* of WebTransport, before the session is there */
    WEB_KIND_NOISE,   /* of the handshake */
    WEB_KIND_SKIPPED, /* whatever comes is dropped */
    WEB_KIND_OWNER,   /* of libp2p */
};

#define WEB_NO_SLOT UINT32_MAX

struct web_stream {
    tern_stream_id id; /* TERN_STREAM_NONE: a free place */
    enum web_kind kind;
    bool head_due;       /* ours: the remote has not been told yet what it is */
    bool within;         /* a frame's content */
    bool opened;         /* OPENED is to be said */
    bool readable;       /* and so is READABLE */
    uint32_t ready_next; /* the line of those that have something to be said */
    uint32_t ready_previous;
    struct web_head head;
    uint64_t type; /* of the frame */
    uint64_t left; /* of its content; WAITING: the session that it belongs to */
};

/* A connection's streams, by the slots of their ids. */
struct web_streams {
    struct tern_mem *mem;
    struct web_stream *list;
    uint32_t count; /* places */
    uint32_t owner_count;
    uint32_t waiting_count;
    uint32_t ready_first;
    uint32_t ready_last;
};

/* --- sessions --- */

enum web_step {
    WEB_STEP_BEGIN,     /* QUIC has not said ESTABLISHED */
    WEB_STEP_SETTINGS,  /* what the remote can is not known yet */
    WEB_STEP_HANDSHAKE, /* CONNECT and Noise are under way, or a server waits for them */
    WEB_STEP_OPEN,
};

enum web_news {
    WEB_NEWS_JOB = 1 << 0,
    WEB_NEWS_ESTABLISHED = 1 << 1,
    WEB_NEWS_CONFIRMED = 1 << 2,
    WEB_NEWS_GOAWAY = 1 << 3,
};

struct web;

struct web_session {
    struct web *web;
    struct tern_quic_conn *conn;
    struct tern_session raw; /* the connection's own verbs */
    struct web_streams streams;
    struct tern_timer timer; /* of the handshake */
    bool server;
    bool accepted;    /* the request was answered by 200 */
    bool noise_done;  /* and our last message has been written */
    bool job_out;     /* Noise's, with the owner */
    bool goaway_said; /* or heard */
    enum web_step step;
    uint32_t news; /* enum web_news */
    uint32_t remote_code;
    uint32_t refused_count; /* requests */
    uint64_t skipped;       /* bytes of no use */
    tern_err error;
    tern_fault fault;

    bool settings_came;
    bool control_came; /* the remote's streams of which there is one */
    bool encoder_came;
    bool decoder_came;
    struct web_qpack_decoder decoder;
    struct web_capsules capsules;

    tern_stream_id connect; /* NONE: not requested yet */
    uint64_t session_id;    /* meaningful when connect is not NONE */
    tern_stream_id noise_stream;
    struct tern_channel noise; /* ops NULL: not begun */
    struct tern_job *job;
    uint8_t multihashes[WEB_HASHES][WEB_MULTIHASH_SIZE]; /* a server's, that Noise shows */
};

/* --- the transport --- */

struct web {
    struct tern_webtransport_options options;
    struct tern_mem *mem;
    struct tern_session_transport quic;
    struct tern_timer_queue timers;
    struct tern_timer roll; /* of certificates */
    tern_time now;          /* never goes back */
    tern_time wall_at;
    tern_wall_time wall;
    bool serves;
    bool show_due;    /* QUIC does not have the certificate in use yet */
    uint32_t version; /* of the certificates */
    struct web_certificates certificates;
};

/* --- webtransport.c --- */

/* web_note counts a fault that ends no session. */
void web_note(struct web *web, tern_fault fault);

/* --- webtransport_session.c --- */

extern const struct tern_quic_upper web_upper_ops;

/* web_fail ends a session over a fault of the remote's, or an error of ours (FAULT_NONE). */
void web_fail(struct web_session *s, tern_err err, tern_fault fault);

/* web_end: the remote has closed the session. */
void web_end(struct web_session *s, uint32_t code);

/* web_timeout: the handshake has taken too long. */
void web_timeout(struct tern_timer *timer);

/* web_begin: QUIC is established; our control stream begins. */
void web_begin(struct web_session *s);

/* web_request asks for the session and begins the handshake: the server's SETTINGS have come. */
void web_request(struct web_session *s);

/* web_release gives the owner a stream that has waited. */
void web_release(struct web_session *s, struct web_stream *stream);

/* web_open_if_done opens the session when all that has to be is done. */
void web_open_if_done(struct web_session *s);
void web_free(struct web_session *s);

/* web_write writes bytes of our own, which always have room. False: the session has failed. */
bool web_write(struct web_session *s, tern_stream_id stream, struct tern_view bytes);

/* --- webtransport_streams.c --- */

void web_streams_init(struct web_streams *streams, struct tern_mem *mem);
void web_streams_fini(struct web_streams *streams);
struct web_stream *web_stream_find(const struct web_streams *streams, tern_stream_id id);

/* web_stream_add notes a stream; NULL: no memory. Others may move. */
struct web_stream *web_stream_add(struct web_streams *streams, tern_stream_id id,
                                  enum web_kind kind);
void web_stream_remove(struct web_streams *streams, struct web_stream *stream);
void web_stream_become(struct web_streams *streams, struct web_stream *stream, enum web_kind kind);

/* web_stream_ready puts a stream in the line of those that have something to be said. */
void web_stream_ready(struct web_streams *streams, struct web_stream *stream);

/* web_streams_next draws an event; false: none waits. */
bool web_streams_next(struct web_streams *streams, struct tern_mux_event *event);

/* --- webtransport_http.c --- */

/* web_http_read serves a stream that is not the owner's and has something to read. */
void web_http_read(struct web_session *s, struct web_stream *stream);

/* web_http_gone: QUIC has ended such a stream, by a reset (code) or in good order. */
void web_http_gone(struct web_session *s, const struct tern_mux_event *event, enum web_kind kind);

/* --- webtransport_noise.c --- */

/* web_noise_begin begins the handshake on a stream. */
void web_noise_begin(struct web_session *s, tern_stream_id stream);

/* web_noise_run goes on with it as far as it goes. */
void web_noise_run(struct web_session *s);

/* --- webtransport_mux.c --- */

struct tern_session web_mux_session(struct web_session *s);

/* web_stream_head tells the remote what a stream of ours is, if that is due. An error of write. */
TERN_NODISCARD tern_err web_stream_head(struct web_session *s, struct web_stream *stream);

#endif
