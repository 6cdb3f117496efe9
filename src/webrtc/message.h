/*
 * The messages of a libp2p stream on a data channel: a length, and a protobuf with a part of the
 * stream's bytes, a flag, or both.
 *
 *     message Message { optional Flag flag = 1; optional bytes message = 2;
 *                       optional uint32 errorCode = 3; }
 *
 * The code is go-libp2p's addition: others pass over it. The specification allows 16 KiB for a
 * message with its length; ours have 4 KiB at most, because go-libp2p 0.51 fails on longer ones
 * that are one message of the channel. Up to 257 KiB are taken, as go-libp2p takes them.
 *
 * Decoding goes on byte by byte, however the messages are cut: bytes of the stream are given as
 * they come, flags at the end of their message, so nothing is put together and nothing is held. A
 * message may follow another in one message of the channel, or be spread over several.
 *
 * Specification: libp2p/specs webrtc/README.md, "Multiplexing".
 */
#ifndef TERN_WEBRTC_MESSAGE_H
#define TERN_WEBRTC_MESSAGE_H

#include "base/error.h"
#include "base/types.h"
#include "base/writer.h"

enum {
    TERN_MESSAGE_SIZE_MAX = 4096,          /* of ours, with its length */
    TERN_MESSAGE_RECEIVED_MAX = 257 << 10, /* of the remote's, without */
    TERN_MESSAGE_HEAD_MAX = 14,            /* what stands before the bytes */
    TERN_MESSAGE_BYTES_MAX = 4096 - 5,     /* of the stream, in one message of ours */
};

enum tern_message_flag {
    TERN_MESSAGE_FIN = 0,
    TERN_MESSAGE_STOP_SENDING = 1,
    TERN_MESSAGE_RESET = 2,
    TERN_MESSAGE_FIN_ACK = 3,
    TERN_MESSAGE_NO_FLAG = 4, /* none, or one that is not known */
};

/* tern_message_encode_bytes appends the head of a message with so many bytes (1 .. BYTES_MAX),
 * which follow it. */
void tern_message_encode_bytes(size_t size, struct tern_writer *out);

/* tern_message_encode_flag appends a whole message of a flag; code 0: without one. At most HEAD_MAX
 * bytes. */
void tern_message_encode_flag(enum tern_message_flag flag, uint32_t code, struct tern_writer *out);

enum tern_message_state {
    TERN_MESSAGE_LENGTH,
    TERN_MESSAGE_KEY,
    TERN_MESSAGE_NUMBER, /* the value of a field */
    TERN_MESSAGE_SIZE,   /* of bytes in a field */
    TERN_MESSAGE_BYTES,  /* of the stream */
    TERN_MESSAGE_SKIP,   /* a field that is not known */
};

struct tern_message_decoder {
    enum tern_message_state state;
    uint8_t shift;  /* of the number that is being read */
    bool has_bytes; /* this message has had its bytes */
    uint32_t field;
    uint64_t number;
    uint32_t left;      /* of the message */
    uint32_t part_left; /* of bytes or what is skipped */
    enum tern_message_flag flag;
    uint32_t code;
};

enum tern_message_news {
    TERN_MESSAGE_MORE,      /* all was used, or the input is empty */
    TERN_MESSAGE_DATA,      /* bytes of the stream */
    TERN_MESSAGE_FLAGGED,   /* a message with a flag has ended: flag and code of the decoder */
    TERN_MESSAGE_MALFORMED, /* and nothing that follows can be read */
};

/* tern_message_decode takes what it can of *in (moved on) until there is news. DATA: *bytes views
 * them, inside of in. */
enum tern_message_news tern_message_decode(struct tern_message_decoder *d, struct tern_view *in,
                                           struct tern_view *bytes);

/* tern_message_between: did the input end where a message does? */
static inline bool tern_message_between(const struct tern_message_decoder *d)
{
    return d->state == TERN_MESSAGE_LENGTH && d->shift == 0;
}

#endif
