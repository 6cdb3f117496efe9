/*
 * Requests: one message to a peer, one answer back, each on a stream of its own. Any number of
 * protocols share the service; the application (or the node) asks, is asked, and answers.
 *
 *   asking:   stream opened ─ length ‖ body ─ end ─► … length ‖ answer ─► RESPONSE
 *   serving:  length ‖ body ─► REQUEST {handle} … tern_request_answer(handle) ─► length ‖ answer ─
 * end
 *
 *   answer: protobuf { 1 code (0: fine), 2 reason (text, when code is not 0), 3 body }
 *
 * Correlated by stream, so answers come in any order. Bounds: body size, requests running each way,
 * inbound per peer; a time-out each way. Cancelled by tern_request_cancel, or by the peer's reset.
 */
#ifndef TERN_PROTOCOL_REQUEST_REQUEST_H
#define TERN_PROTOCOL_REQUEST_REQUEST_H

#include "base/chunk.h"
#include "base/mem.h"
#include "swarm/swarm.h"

enum {
    TERN_REQUEST_RUNNING_MAX = 1024, /* each way */
    TERN_REQUEST_REASON_MAX = 256,
};

/* Codes of answers; protocols may define their own from 100 on. */
enum tern_request_code {
    TERN_REQUEST_OK = 0,
    TERN_REQUEST_BAD = 1,         /* the request makes no sense */
    TERN_REQUEST_BUSY = 2,        /* not now; ask again later */
    TERN_REQUEST_NOT_FOUND = 3,   /* what was asked for is not here */
    TERN_REQUEST_UNSUPPORTED = 4, /* of a kind that is not served here */
    TERN_REQUEST_FAILED = 5,      /* our own trouble */
};

struct tern_requests;

struct tern_requests_options {
    struct tern_mem *mem;
    size_t size_max;            /* of a request's or an answer's body */
    tern_time serve_timeout_ns; /* a request must be here, and be answered, within this */
    uint32_t inbound_per_peer_max;
};

TERN_NODISCARD tern_err tern_requests_new(const struct tern_requests_options *options,
                                          struct tern_swarm *swarm,
                                          struct tern_requests **requests);
void tern_requests_free(struct tern_requests *requests);

/* tern_requests_serve takes requests of a protocol; the name is borrowed for good. Errors of
 * tern_swarm_handle. */
TERN_NODISCARD tern_err tern_requests_serve(struct tern_requests *requests,
                                            struct tern_view protocol,
                                            enum tern_stream_class class);

struct tern_request {
    tern_peer peer;
    struct tern_view protocol; /* borrowed until the RESPONSE event */
    enum tern_stream_class class;
    struct tern_view body;
    tern_token token;
    tern_time timeout_ns;
};

/* tern_request_send asks; exactly one RESPONSE event with the token follows. TERN_ERR_FULL,
 * TOO_LARGE, errors of tern_swarm_open_stream: then there is no event. */
TERN_NODISCARD tern_err tern_request_send(struct tern_requests *requests, tern_time now,
                                          const struct tern_request *request);

/* tern_request_cancel gives a request up; no event follows. */
void tern_request_cancel(struct tern_requests *requests, tern_token token);

typedef uint64_t tern_request_handle;

struct tern_answer {
    uint32_t code;
    struct tern_view reason; /* cut at TERN_REQUEST_REASON_MAX bytes */
    struct tern_view body;
};

/* tern_request_answer answers a REQUEST; a stale handle (the peer has gone) is ignored. */
void tern_request_answer(struct tern_requests *requests, tern_request_handle handle,
                         const struct tern_answer *answer);

enum tern_request_event_kind { TERN_REQUEST_EVENT_REQUEST, TERN_REQUEST_EVENT_RESPONSE };

struct tern_request_event {
    enum tern_request_event_kind kind;
    tern_peer peer;
    struct tern_peer_id peer_id;
    const struct tern_protocol *protocol; /* REQUEST; NULL when it is no longer served */
    tern_request_handle handle;           /* REQUEST */
    tern_token token;                     /* RESPONSE */
    tern_err err;                         /* RESPONSE: TERN_OK: answer holds what was said */
    struct tern_answer answer;            /* borrowed until the next call */
    struct tern_view body;                /* REQUEST: likewise */
};
bool tern_requests_next(struct tern_requests *requests, struct tern_request_event *event);

#endif
