/*
 * Data channels: what WebRTC makes of SCTP's streams, and the messages that open them (DCEP).
 *
 *     OPEN: type 3 (1) channel type (1) priority (2) reliability (4) label size (2) protocol size
 * (2) label, protocol ACK:  type 2 (1)
 *
 * A channel is a stream of SCTP in each direction, of one number. Who is the DTLS client opens even
 * numbers, the server odd ones; number 0 is agreed on beforehand and is not opened. Messages may
 * follow OPEN at once. A channel is closed by resetting our direction; the remote answers by
 * resetting its own, and when both are reset the number may be used again.
 *
 *   ─ OPEN ─► open ─ reset by either ─► closing: ours done? theirs done? ─ both ─► closed
 *
 * Here are the codec and the rules; who has which channels is the session's to know. Nothing
 * allocates. Specifications: RFC 8832 (DCEP), RFC 8831 sections 6.4 to 6.7, 8.
 */
#ifndef TERN_WEBRTC_DATA_CHANNEL_H
#define TERN_WEBRTC_DATA_CHANNEL_H

#include "base/error.h"
#include "base/types.h"
#include "base/writer.h"

/* What a message is (SCTP's payload protocol identifier). */
enum tern_channel_ppid {
    TERN_CHANNEL_DCEP = 50,
    TERN_CHANNEL_STRING = 51,
    TERN_CHANNEL_BINARY = 53,
    TERN_CHANNEL_STRING_EMPTY = 56, /* one byte that does not count: SCTP knows no empty message */
    TERN_CHANNEL_BINARY_EMPTY = 57,
};

enum {
    TERN_CHANNEL_HANDSHAKE = 0, /* the number that is agreed on: Noise */
    TERN_CHANNEL_LAST = 65534,  /* the highest number; 65535 is not used */
    TERN_DCEP_OPEN_SIZE = 12,   /* of ours: no label, no protocol */
    TERN_DCEP_ACK_SIZE = 1,
    TERN_DCEP_SIZE_MAX = 12 + 2 * 1024, /* of the remote's */
};

enum tern_dcep_type { TERN_DCEP_ACK = 2, TERN_DCEP_OPEN = 3 };

struct tern_dcep {
    enum tern_dcep_type type;
    bool reliable; /* OPEN: reliable and ordered, as a stream has to be */
};

/* tern_dcep_decode reads a whole message. TERN_ERR_MALFORMED: it is none. Label and protocol may be
 * anything and are not looked at. */
TERN_NODISCARD tern_err tern_dcep_decode(struct tern_view message, struct tern_dcep *dcep);

/* tern_dcep_encode appends ours: reliable and ordered, without label and protocol. */
void tern_dcep_encode(enum tern_dcep_type type, struct tern_writer *out);

/* tern_channel_is_theirs: may the remote open this number? */
static inline bool tern_channel_is_theirs(uint16_t number, bool we_listen)
{
    return number != TERN_CHANNEL_HANDSHAKE && number <= TERN_CHANNEL_LAST &&
           (number % 2 == 0) == we_listen;
}

/* tern_channel_first is the first number that we open; the next ones are two apart. */
static inline uint16_t tern_channel_first(bool we_listen)
{
    return we_listen ? 1 : 2;
}

#endif
