/*
 * What goes over the wire of HTTP/3 and WebTransport, but for field sections
 * (webtransport/qpack.h): numbers, heads of frames, streams and capsules, SETTINGS, capsules,
 * codes.
 *
 *     one-way stream    type ‖ bytes;  of WebTransport: 0x54 ‖ session ‖ bytes
 *     two-way stream    frames, or of WebTransport: 0x41 ‖ session ‖ bytes
 *     frame, capsule    type ‖ length ‖ that many bytes
 *     number            QUIC's varint: 1, 2, 4 or 8 bytes by its first two bits
 *
 * A two-way stream of WebTransport so begins as a frame does, with the session in place of the
 * length: one head is read, and then it is known what it was.
 *
 * Pure, thread safe. Specifications: RFC 9114, RFC 9297 (capsules, datagrams), RFC 9220 (extended
 * CONNECT), draft-ietf-webtrans-http3-02, whose numbers the drafts after it kept but for SETTINGS.
 */
#ifndef TERN_WEBTRANSPORT_HTTP3_H
#define TERN_WEBTRANSPORT_HTTP3_H

#include "base/fault.h"
#include "base/reader.h"
#include "base/writer.h"
#include "quic/quic_number.h"

enum web_frame {
    WEB_FRAME_DATA = 0x0,
    WEB_FRAME_HEADERS = 0x1,
    WEB_FRAME_CANCEL_PUSH = 0x3,
    WEB_FRAME_SETTINGS = 0x4,
    WEB_FRAME_PUSH_PROMISE = 0x5,
    WEB_FRAME_GOAWAY = 0x7,
    WEB_FRAME_MAX_PUSH_ID = 0xd,
    WEB_FRAME_STREAM = 0x41, /* no frame: the stream is WebTransport's */
};

enum web_stream_type {
    WEB_STREAM_CONTROL = 0x0,
    WEB_STREAM_PUSH = 0x1,
    WEB_STREAM_QPACK_ENCODER = 0x2,
    WEB_STREAM_QPACK_DECODER = 0x3,
    WEB_STREAM_WEBTRANSPORT = 0x54,
};

enum web_capsule {
    WEB_CAPSULE_CLOSE = 0x2843, /* code (32 bits) ‖ a message of at most 1,024 bytes */
    WEB_CAPSULE_DRAIN = 0x78ae,
};

/* Codes of connections and streams. */
enum web_code {
    WEB_NO_ERROR = 0x100,
    WEB_STREAM_CREATION_ERROR = 0x103,
    WEB_CLOSED_CRITICAL_STREAM = 0x104,
    WEB_FRAME_UNEXPECTED = 0x105,
    WEB_FRAME_ERROR = 0x106,
    WEB_EXCESSIVE_LOAD = 0x107,
    WEB_ID_ERROR = 0x108,
    WEB_SETTINGS_ERROR = 0x109,
    WEB_MISSING_SETTINGS = 0x10a,
    WEB_REQUEST_REJECTED = 0x10b,
    WEB_REQUEST_CANCELLED = 0x10c,
    WEB_REQUEST_INCOMPLETE = 0x10d,
    WEB_MESSAGE_ERROR = 0x10e,
    WEB_QPACK_DECOMPRESSION_FAILED = 0x200,
    WEB_QPACK_ENCODER_STREAM_ERROR = 0x201,
    WEB_QPACK_DECODER_STREAM_ERROR = 0x202,
    WEB_SESSION_GONE = 0x170d7b68,
    WEB_BUFFERED_STREAM_REJECTED = 0x3994bd84,
};

enum {
    WEB_HEAD_SIZE_MAX = 16,
    WEB_SETTINGS_SIZE_MAX = 1024,
    WEB_SETTINGS_ENTRIES_MAX = 64,
    WEB_CLOSE_MESSAGE_MAX = 1024,
    WEB_FIELDS_SIZE_MAX = 8192,          /* of a field section as it comes */
    WEB_FIELDS_DECODED_SIZE_MAX = 16384, /* and decoded: names, values and 32 bytes a field */
};

/* --- heads --- */

/* One or two numbers that come byte by byte. Zeroed: nothing has come. */
struct web_head {
    uint8_t size;
    uint8_t bytes[WEB_HEAD_SIZE_MAX];
};

/* web_head_push takes a byte; true: the first number, or with pair both, are there, and the head is
 * as new. */
bool web_head_push(struct web_head *head, uint8_t byte, bool pair, uint64_t numbers[2]);

/* web_frame_reserved: is it one of HTTP/2's, which may never come? */
bool web_frame_reserved(uint64_t type);

/* --- SETTINGS --- */

/* What a remote offers that WebTransport needs. */
struct web_settings {
    bool connect;      /* extended CONNECT */
    bool webtransport; /* by any of its drafts */
};

/* web_settings_parse reads the frame's content. FAULT_NONE, or WEBTRANSPORT_SETTINGS. */
tern_fault web_settings_parse(struct tern_view content, struct web_settings *settings);

/* web_settings_write writes our whole frame. */
void web_settings_write(struct tern_writer *w);

/* --- capsules --- */

/* Capsules that come in pieces, as frames cut them. Zeroed: nothing has come. */
struct web_capsules {
    struct web_head head;
    bool within; /* a capsule's content */
    uint64_t type;
    uint64_t left;
    uint8_t code[4];
    uint8_t code_size;
};

enum web_capsules_result { WEB_CAPSULES_MORE, WEB_CAPSULES_CLOSED, WEB_CAPSULES_BAD };

/* web_capsules_feed takes all bytes. CLOSED: the remote has closed the session, *code says how.
 * BAD: WEB_CAPSULE_CLOSE has a length that it cannot have. *skipped grows by what was of no use. */
enum web_capsules_result web_capsules_feed(struct web_capsules *capsules, struct tern_view bytes,
                                           uint32_t *code, uint64_t *skipped);

/* web_capsule_close_write writes a DATA frame with the capsule that closes a session. */
void web_capsule_close_write(struct tern_writer *w, uint32_t code);

/* --- codes of WebTransport's streams --- */

/* web_code_out is a code of an application's as it goes over the wire; web_code_in the way back.
 * Codes of HTTP/3 that say that nothing is wrong are 0, all others as they are, UINT32_MAX when
 * they do not fit. */
uint64_t web_code_out(uint32_t code);
uint32_t web_code_in(uint64_t code);

#endif
