/*
 * Application streams: protocols that the application itself speaks. This service passes the
 * swarm's stream events on, and nothing else; reading and writing go straight to the swarm.
 *
 * Events wait in a bounded queue; when the application lets it fill, new inbound streams are
 * refused and nothing else is lost, because there is at most one readable and one writable event a
 * stream.
 */
#ifndef TERN_HOST_APP_STREAMS_H
#define TERN_HOST_APP_STREAMS_H

#include "base/mem.h"
#include "swarm/swarm.h"

enum { TERN_APP_STREAMS_MAX = 16384 };

struct tern_app_streams;

TERN_NODISCARD tern_err tern_app_streams_new(struct tern_mem *mem, struct tern_swarm *swarm,
                                             struct tern_app_streams **streams);
void tern_app_streams_free(struct tern_app_streams *streams);

/* tern_app_streams_handle takes inbound streams of a protocol; the name is borrowed until
 * unhandled. */
TERN_NODISCARD tern_err tern_app_streams_handle(struct tern_app_streams *streams,
                                                struct tern_view protocol,
                                                enum tern_stream_class class);

/* A stream, for the application: slot + generation; 0: none. */
typedef uint64_t tern_app_stream;

/* tern_app_streams_open opens one to a connected peer; names are copied. Bytes may be written at
 * once when one name is offered. Errors of tern_swarm_open_stream. */
TERN_NODISCARD tern_err tern_app_streams_open(struct tern_app_streams *streams, tern_time now,
                                              tern_peer peer, const struct tern_stream_offer *offer,
                                              tern_app_stream *stream);

/* tern_app_streams_find gives the swarm's handle. When the stream has ended and the ENDED event
 * waits: TERN_ERR_END (in good order: all was read) or why it ended. TERN_ERR_STALE: that was told
 * already. */
TERN_NODISCARD tern_err tern_app_streams_find(const struct tern_app_streams *streams,
                                              tern_app_stream id, struct tern_stream *stream);

/* tern_app_streams_reset ends a stream; no event follows. */
void tern_app_streams_reset(struct tern_app_streams *streams, tern_app_stream id, uint32_t code);

enum tern_app_stream_event_kind {
    TERN_APP_STREAM_OPENED, /* by the remote: peer, protocol */
    TERN_APP_STREAM_READY,  /* ours: protocol is what was agreed on */
    TERN_APP_STREAM_READABLE,
    TERN_APP_STREAM_WRITABLE,
    TERN_APP_STREAM_ENDED, /* err, code; the id is dead */
};

struct tern_app_stream_event {
    enum tern_app_stream_event_kind kind;
    tern_app_stream id;
    tern_peer peer;
    struct tern_peer_id peer_id;
    struct tern_view protocol; /* borrowed until the next call */
    tern_err err;
    uint32_t code;
};

bool tern_app_streams_next(struct tern_app_streams *streams, struct tern_app_stream_event *event);

#endif
