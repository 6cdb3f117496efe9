/*
 * The channel, shared by its files: websocket.c (life, sending, the seam), websocket_open.c (the
 * opening), websocket_recv.c (frames in).
 */
#ifndef TERN_WEBSOCKET_WEBSOCKET_INTERNAL_H
#define TERN_WEBSOCKET_WEBSOCKET_INTERNAL_H

#include "base/check.h"
#include "websocket/websocket.h"
#include "websocket/websocket_frame.h"

/* Status codes of Close (RFC 6455, section 7.4.1). */
enum tern_websocket_code {
    TERN_WEBSOCKET_CODE_NORMAL = 1000,
    TERN_WEBSOCKET_CODE_PROTOCOL = 1002,
    TERN_WEBSOCKET_CODE_UNACCEPTABLE = 1003, /* data of a kind that is not taken */
    TERN_WEBSOCKET_CODE_NONE = 1005,         /* stands for a Close without code */
    TERN_WEBSOCKET_CODE_NOT_UTF8 = 1007,
};

enum tern_websocket_state {
    TERN_WEBSOCKET_OPENING, /* the remote's head is being gathered */
    TERN_WEBSOCKET_OPEN,
    TERN_WEBSOCKET_CLOSED, /* a Close has come */
    TERN_WEBSOCKET_FAILED,
};

enum { TERN_WEBSOCKET_ACCEPT_SIZE = 28 };

struct tern_websocket {
    struct tern_mem *mem;
    struct tern_random *random;
    enum tern_role role;
    enum tern_websocket_state state;
    tern_err err;
    tern_fault fault;
    struct tern_chunk *head; /* of the remote's message, while it has come in part */
    struct tern_chunk *out;  /* our own, until it is sent */
    size_t out_sent;
    uint8_t accept[TERN_WEBSOCKET_ACCEPT_SIZE]; /* what the server has to answer */

    /* The frame that is being received (websocket_recv.c). */
    uint8_t start[TERN_WEBSOCKET_HEADER_MAX];
    uint8_t start_have;
    bool in_payload;
    bool in_message; /* a fragment has come that is not the last one */
    struct tern_websocket_header frame;
    uint64_t payload_done;

    struct tern_slice data; /* borrowed */
    bool data_pending;
    bool done_pending;
    bool end_pending;

    /* A ping's payload, or a Close's; of the ping until it is answered. */
    uint8_t control[TERN_WEBSOCKET_CONTROL_MAX];
    uint8_t control_size;
    bool pong_due;
    bool close_due;
    bool close_sent;
    uint16_t close_code;
};

/* tern_websocket_fail makes the first error final; returns err. */
tern_err tern_websocket_fail(struct tern_websocket *ws, tern_err err, tern_fault fault);

/* tern_websocket_say_close makes a Close due, unless one was said. */
void tern_websocket_say_close(struct tern_websocket *ws, uint16_t code);

/* tern_websocket_request writes what a client begins with. TERN_ERR_MEMORY. */
TERN_NODISCARD tern_err tern_websocket_request(struct tern_websocket *ws, struct tern_view host);

/* tern_websocket_open takes bytes of the remote's head; returns how many. */
size_t tern_websocket_open(struct tern_websocket *ws, struct tern_view in);

/* tern_websocket_frames takes a piece of the remote's frames; returns how many bytes. in is changed
 * in place. */
size_t tern_websocket_frames(struct tern_websocket *ws, struct tern_slice in);

#endif
