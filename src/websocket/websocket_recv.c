/*
 * Frames in. The bytes may be cut anywhere: a header is gathered, the payload of data goes up where
 * it lies, that of control frames is gathered.
 *
 *   header ─► data: a piece at a time ──────────────► DATA
 *          ─► Ping: answered · Pong: passed over
 *          ─► Close: answered, and the channel ends ─► END
 */
#include "websocket/utf8.h"
#include "websocket/websocket_internal.h"

enum { CLOSE_CODE_SIZE = 2 };

/* A fault of the peer's ends the channel, with a Close that tells its kind. */
static void recv_refuse(struct tern_websocket *ws, tern_fault fault, uint16_t code)
{
    tern_websocket_say_close(ws, code);
    (void)tern_websocket_fail(ws, TERN_ERR_PROTOCOL, fault);
}

/* --- headers --- */

static bool recv_is_control(const struct tern_websocket *ws)
{
    return ws->frame.opcode >= TERN_WEBSOCKET_CLOSE;
}

/* A header is whole: may the frame come here? */
static void recv_header(struct tern_websocket *ws)
{
    ws->start_have = 0;
    if (!tern_websocket_header_decode(ws->start, &ws->frame)) {
        recv_refuse(ws, TERN_FAULT_WEBSOCKET_BAD_LENGTH, TERN_WEBSOCKET_CODE_PROTOCOL);
        return;
    }
    ws->in_payload = true;
    ws->payload_done = 0;
    if (recv_is_control(ws)) {
        if (ws->frame.opcode != TERN_WEBSOCKET_PONG)
            ws->pong_due = false; /* the place is needed; of several pings the newest counts */
        return;
    }
    bool continues = ws->frame.opcode == TERN_WEBSOCKET_CONTINUATION;
    if (continues != ws->in_message) {
        recv_refuse(ws, TERN_FAULT_WEBSOCKET_BAD_FRAGMENT, TERN_WEBSOCKET_CODE_PROTOCOL);
        return;
    }
    ws->in_message = !ws->frame.fin;
}

/* recv_start gathers a header; returns how many bytes it took. */
static size_t recv_start(struct tern_websocket *ws, struct tern_view in)
{
    size_t wanted = ws->start_have < TERN_WEBSOCKET_START_SIZE
                        ? TERN_WEBSOCKET_START_SIZE
                        : tern_websocket_header_size(ws->start);
    size_t part = tern_min_size(wanted - ws->start_have, in.size);
    memcpy(ws->start + ws->start_have, in.data, part);
    bool judged = ws->start_have >= TERN_WEBSOCKET_START_SIZE;
    ws->start_have = (uint8_t)(ws->start_have + part);
    if (ws->start_have < TERN_WEBSOCKET_START_SIZE)
        return part;
    if (!judged) {
        tern_fault fault = tern_websocket_header_check(ws->start, ws->role == TERN_ROLE_RESPONDER);
        if (fault != TERN_FAULT_NONE) {
            recv_refuse(ws, fault,
                        fault == TERN_FAULT_WEBSOCKET_TEXT ? TERN_WEBSOCKET_CODE_UNACCEPTABLE
                                                           : TERN_WEBSOCKET_CODE_PROTOCOL);
            return part;
        }
    }
    if (ws->start_have == tern_websocket_header_size(ws->start))
        recv_header(ws);
    return part;
}

/* --- control frames --- */

/* May a Close have this code (RFC 6455, section 7.4; the registry of IANA)? */
static bool recv_code_allowed(uint16_t code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

static void recv_close(struct tern_websocket *ws)
{
    uint16_t code = TERN_WEBSOCKET_CODE_NONE;
    struct tern_view reason = {.data = NULL};
    if (ws->control_size >= CLOSE_CODE_SIZE) {
        code = (uint16_t)(ws->control[0] << 8 | ws->control[1]);
        reason =
            tern_view_of(ws->control + CLOSE_CODE_SIZE, (size_t)ws->control_size - CLOSE_CODE_SIZE);
    }
    bool coded =
        ws->control_size == 0 || (ws->control_size >= CLOSE_CODE_SIZE && recv_code_allowed(code));
    if (!coded || !tern_utf8_valid(reason)) {
        recv_refuse(ws, TERN_FAULT_WEBSOCKET_BAD_CLOSE,
                    coded ? TERN_WEBSOCKET_CODE_NOT_UTF8 : TERN_WEBSOCKET_CODE_PROTOCOL);
        return;
    }
    tern_websocket_say_close(ws, code);
    ws->state = TERN_WEBSOCKET_CLOSED;
    ws->end_pending = true;
}

static void recv_control_whole(struct tern_websocket *ws)
{
    if (ws->frame.opcode == TERN_WEBSOCKET_CLOSE)
        recv_close(ws);
    else if (ws->frame.opcode == TERN_WEBSOCKET_PING)
        ws->pong_due = !ws->close_due && !ws->close_sent;
}

/* A piece of a control frame's payload, which is at most CONTROL_MAX long. */
static void recv_control(struct tern_websocket *ws, struct tern_view piece)
{
    if (ws->frame.opcode != TERN_WEBSOCKET_PONG) {
        uint8_t *at = ws->control + ws->payload_done;
        tern_copy(at, piece.data, piece.size);
        tern_websocket_mask((struct tern_span){at, piece.size}, ws->frame.key, ws->payload_done);
        ws->control_size = (uint8_t)(ws->payload_done + piece.size);
    }
    if (ws->payload_done + piece.size == ws->frame.size)
        recv_control_whole(ws);
}

/* --- data --- */

static void recv_data(struct tern_websocket *ws, struct tern_slice in, size_t size)
{
    if (size == 0)
        return;
    if (ws->role == TERN_ROLE_RESPONDER) {
        /* recv's contract says that the input is changed in place. */
        uint8_t *at = in.chunk != NULL ? in.chunk->data + (in.view.data - in.chunk->data)
                                       : (uint8_t *)(uintptr_t)in.view.data;
        tern_websocket_mask((struct tern_span){at, size}, ws->frame.key,
                            (size_t)(ws->payload_done % TERN_WEBSOCKET_KEY_SIZE));
    }
    ws->data = (struct tern_slice){.chunk = in.chunk, .view = tern_view_of(in.view.data, size)};
    ws->data_pending = true;
}

size_t tern_websocket_frames(struct tern_websocket *ws, struct tern_slice in)
{
    if (!ws->in_payload) {
        size_t took = recv_start(ws, in.view);
        /* A frame without payload is whole with its header. */
        if (!ws->in_payload || ws->frame.size > 0 || ws->state == TERN_WEBSOCKET_FAILED)
            return took;
        ws->in_payload = false;
        if (recv_is_control(ws))
            recv_control(ws, tern_view_of(NULL, 0));
        return took;
    }
    uint64_t left = ws->frame.size - ws->payload_done;
    size_t size = left < in.view.size ? (size_t)left : in.view.size;
    if (recv_is_control(ws))
        recv_control(ws, tern_view_of(in.view.data, size));
    else
        recv_data(ws, in, size);
    ws->payload_done += size;
    ws->in_payload = ws->payload_done < ws->frame.size;
    return size;
}
