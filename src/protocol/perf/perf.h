/*
 * Perf: how fast do bytes go to a peer and come from it? The client says how many bytes it wants,
 * sends as many as it likes, and ends its side; the server throws away what comes and then sends
 * what was asked for. All bytes are zeros out of one chunk, by reference: nothing is copied before
 * the muxer's frames.
 *
 *   client:  OPEN ─ number ‖ upload ─► UPLOADING ─ all taken, side ended ─► DOWNLOADING ─ end ─►
 * DONE server:  HEADER ─ number ─► DISCARDING ─ the client's end ─► ANSWERING ─ all taken, end ─►
 * gone
 *
 * Times count from the opening of the stream on a connection that is there; the stream's
 * negotiation rides with the number. The muxer takes bytes before they are sent, so that an upload
 * is over only when the server answers, with its first byte or its end: answered_ns.
 *
 * Two forms of the header:
 *   8 bytes    the specification's: the number of bytes wanted, big-endian; the end of the client's
 *              side ends the upload
 *   16 bytes   what the rust-v0.56 and dotnet-v1.0 programs of libp2p's unified-testing/perf speak
 *              under the same name: the number of bytes that come, then the number wanted, both
 *              big-endian; the server answers when the announced bytes are there and waits for no
 *              end. A server of 8 bytes takes such a request's first number for what is wanted and
 *              the second for upload, and nothing on the wire tells the two apart: both ends are
 *              told which form is spoken. (rust-libp2p's own protocols/perf has the 8-byte form.)
 *
 * A server hands out bytes to whoever asks, so it serves only when told to. Limits: two requests a
 * peer, streams_max in all, bytes_max of each either way, quiet_ns in which no byte moves. The
 * largest number, 2^64 - 1, is what clients ask for that measure by time; a request for more than
 * bytes_max is therefore answered up to there, and then reset. What the muxer has taken moves
 * unseen from here: quiet_ns must let a send buffer (1 MiB) go out over the slowest link.
 *
 * Specification: libp2p/specs perf/perf.md.
 */
#ifndef TERN_PROTOCOL_PERF_PERF_H
#define TERN_PROTOCOL_PERF_PERF_H

#include "base/mem.h"
#include "swarm/swarm.h"

#define TERN_PERF_PROTOCOL "/perf/1.0.0"

enum {
    TERN_PERF_RUNNING_MAX = 16, /* of ours, at once */
    TERN_PERF_SERVED_MAX = 64,  /* of others; streams_max may say less */
    TERN_PERF_SERVED_PER_PEER = 2,
    TERN_PERF_CHUNK_SIZE = 64 << 10,
};

enum tern_perf_header { TERN_PERF_HEADER_8, TERN_PERF_HEADER_16 };

struct tern_perf;

struct tern_perf_service_options {
    struct tern_mem *mem;
    uint32_t streams_max; /* requests served at once, at most TERN_PERF_SERVED_MAX */
    uint64_t bytes_max;   /* of one request served, each way; 0: no limit */
    tern_time quiet_ns;   /* a request served is reset when no byte has moved for so long */
};

TERN_NODISCARD tern_err tern_perf_new(const struct tern_perf_service_options *options,
                                      struct tern_swarm *swarm, struct tern_perf **perf);
void tern_perf_free(struct tern_perf *perf);

/* tern_perf_serve begins to serve, with headers of this form. TERN_ERR_EXISTS: it does already;
 * MEMORY; errors of tern_swarm_handle. tern_perf_unserve ends it, and resets what is being served.
 */
TERN_NODISCARD tern_err tern_perf_serve(struct tern_perf *perf, enum tern_perf_header header);
void tern_perf_unserve(struct tern_perf *perf);

struct tern_perf_request {
    tern_peer peer;
    tern_token token;
    uint64_t upload_bytes;
    uint64_t download_bytes;
    tern_time quiet_ns;    /* it ends with TIMEOUT when no byte has moved for so long */
    tern_time duration_ns; /* 0: all bytes; else the upload ends after so long at the latest, and
                              the download so long after its first byte */
    tern_time interval_ns; /* of PROGRESS events; 0: none */
    enum tern_perf_header header;
};

/* tern_perf_run measures with a connected peer; exactly one DONE event with the token follows, and
 * none after an error. TERN_ERR_FULL: too many are running; INVALID (quiet_ns is 0, or an upload by
 * time with a 16-byte header, which announces its length); MEMORY; errors of
 * tern_swarm_open_stream. */
TERN_NODISCARD tern_err tern_perf_run(struct tern_perf *perf, tern_time now,
                                      const struct tern_perf_request *request);

enum tern_perf_event_kind { TERN_PERF_EVENT_PROGRESS, TERN_PERF_EVENT_DONE };

struct tern_perf_event {
    enum tern_perf_event_kind kind;
    tern_token token;
    tern_peer peer;
    tern_err err; /* DONE: TERN_OK; PROTOCOL (a fault says which); TIMEOUT; RESET; NO_PROTOCOL; … */
    uint64_t uploaded_bytes;   /* taken by the muxer */
    uint64_t downloaded_bytes; /* that have come */
    /* Since the stream was opened. 0: that has not happened. */
    tern_time elapsed_ns;  /* until this event was made */
    tern_time uploaded_ns; /* the muxer has taken the last byte of the upload */
    tern_time answered_ns; /* the first byte of the answer, or its end if it is empty, has come */
    tern_time ended_ns;    /* the last byte that was asked for, or else the end, has come */
};

/* tern_perf_next gives the next event. At most one PROGRESS an interval and request waits: who
 * draws late gets the newest. */
bool tern_perf_next(struct tern_perf *perf, struct tern_perf_event *event);

#endif
