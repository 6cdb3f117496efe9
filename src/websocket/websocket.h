/*
 * WebSocket (RFC 6455) as a channel: the form in which libp2p's byte stream goes over /ws. The
 * initiator is the client, the responder the server.
 *
 *   client ─ GET / HTTP/1.1, Upgrade ─► server      one round trip; HANDSHAKE_DONE at both ends,
 *   client ◄─ 101 Switching Protocols ─ server      then binary frames both ways
 *
 * Opening. Heads are at most TERN_HTTP_HEAD_MAX bytes and parsed strictly (websocket/http_head.h).
 * The server takes any path and any origin, wants Host, Upgrade, Connection, version 13 and a key
 * of 16 bytes, and passes over extensions and subprotocols that are offered. What it refuses it
 * answers by a status (400, 405, 426, 431, 505), which control still gives after the error. The
 * client follows no redirection and takes no extension or subprotocol that it has not asked for.
 *
 * Frames. The payload of data frames goes up as it comes, piece by piece, unmasked where it lies; a
 * frame need not be whole and may be of any size. Pings are answered, the newest one if several
 * wait; pongs are passed over. Going down, seal_begin gives room behind a header of which the
 * length has 16 bits, so a frame holds at most 65,535 bytes, a whole Noise frame; a small payload
 * is moved by two bytes when its header turns out shorter. The client masks with a fresh key for
 * each frame.
 *
 * Text frames are refused: libp2p sends none. (go-libp2p, rust-libp2p and js-libp2p would read one
 * as bytes, and send binary frames alone.)
 *
 * Closing. shut says Close 1000; a Close that comes is answered by its own code and ends the
 * channel with END, and what follows it is dropped. After an error of the peer's, control gives a
 * Close that tells its kind (1002, 1003, 1007).
 *
 * Rejected (base/faults.def, section websocket): heads that are too long, malformed, without what
 * they need or with twice what may be there once; frames with reserved bits, unknown opcodes, text,
 * masked or not against their direction, lengths not in their shortest form, control frames that
 * are fragmented or too long, continuations of nothing, malformed Close.
 *
 * Memory: under 512 bytes; during the opening a head, as large as it is.
 *
 * Not thread safe.
 */
#ifndef TERN_WEBSOCKET_WEBSOCKET_H
#define TERN_WEBSOCKET_WEBSOCKET_H

#include "base/mem.h"
#include "base/random.h"
#include "secure/channel.h"

enum {
    TERN_WEBSOCKET_PAYLOAD_MAX = 65535, /* of a frame that is sent */
    TERN_WEBSOCKET_OVERHEAD_MAX = 8,    /* of it: header, length, key */
    TERN_WEBSOCKET_ROOM_MIN = 64,       /* a frame for less is not worth its header */
    TERN_WEBSOCKET_HOST_SIZE_MAX = 300,
};

struct tern_websocket_options {
    enum tern_role role;
    struct tern_mem *mem;
    struct tern_random *random; /* of an initiator: its key, and those of its masks */
    struct tern_view host;      /* of an initiator: what Host says, such as "example.org:4001";
                                   1 .. HOST_SIZE_MAX visible characters; copied */
};

/* tern_websocket_new makes a channel, to be ended by ops->fini. TERN_ERR_MEMORY; TERN_ERR_INVALID:
 * host is none. */
TERN_NODISCARD tern_err tern_websocket_new(const struct tern_websocket_options *options,
                                           struct tern_channel *channel);

#endif
