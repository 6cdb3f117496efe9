/*
 * SCTP's chunks and parameters: numbers, and walks over them that cannot go astray.
 *
 *     source port (2) destination port (2) verification tag (4) checksum (4)
 *     chunk: type (1) flags (1) length (2) value, padded to 4      …
 *     parameter: type (2) length (2) value, padded to 4            inside of chunks
 *
 * A length counts its header and not the padding. Padding may be missing at the end of a packet.
 */
#ifndef TERN_WEBRTC_SCTP_WIRE_H
#define TERN_WEBRTC_SCTP_WIRE_H

#include "base/reader.h"
#include "base/writer.h"

enum {
    SCTP_HEADER_SIZE = 12,
    SCTP_CHUNK_HEADER_SIZE = 4,
    SCTP_DATA_HEADER_SIZE = 16, /* with the chunk's header */
    SCTP_CHECKSUM_OFFSET = 8,
};

enum sctp_chunk_type {
    SCTP_DATA = 0,
    SCTP_INIT = 1,
    SCTP_INIT_ACK = 2,
    SCTP_SACK = 3,
    SCTP_HEARTBEAT = 4,
    SCTP_HEARTBEAT_ACK = 5,
    SCTP_ABORT = 6,
    SCTP_SHUTDOWN = 7,
    SCTP_SHUTDOWN_ACK = 8,
    SCTP_ERROR = 9,
    SCTP_COOKIE_ECHO = 10,
    SCTP_COOKIE_ACK = 11,
    SCTP_SHUTDOWN_COMPLETE = 14,
    SCTP_RECONFIG = 130,
    SCTP_FORWARD_TSN = 192,
};

enum sctp_data_flag {
    SCTP_END = 1 << 0,
    SCTP_BEGIN = 1 << 1,
    SCTP_UNORDERED = 1 << 2,
    SCTP_IMMEDIATE = 1 << 3, /* acknowledge at once (RFC 7053) */
};

enum {
    SCTP_TAG_REFLECTED = 1 << 0
}; /* ABORT, SHUTDOWN COMPLETE: the tag is the receiver's peer's */

enum sctp_parameter_type {
    SCTP_PARAM_HEARTBEAT_INFO = 1,
    SCTP_PARAM_STATE_COOKIE = 7,
    SCTP_PARAM_UNRECOGNIZED = 8,
    SCTP_PARAM_HOST_NAME = 11,
    SCTP_PARAM_RESET_OUT = 13,
    SCTP_PARAM_RESET_IN = 14,
    SCTP_PARAM_RESET_ALL = 15,
    SCTP_PARAM_RESPONSE = 16,
    SCTP_PARAM_ADD_OUT = 17,
    SCTP_PARAM_ADD_IN = 18,
    SCTP_PARAM_ZERO_CHECKSUM = 0x8001,
    SCTP_PARAM_EXTENSIONS = 0x8008,
    SCTP_PARAM_FORWARD_TSN = 0xc000,
};

enum sctp_cause {
    SCTP_CAUSE_UNKNOWN_CHUNK = 6,
    SCTP_CAUSE_NO_DATA = 9,
    SCTP_CAUSE_USER_ABORT = 12,
    SCTP_CAUSE_VIOLATION = 13,
};

/* What to do with a type that is not known: its two highest bits (section 3.2). */
static inline bool sctp_unknown_stops(uint16_t type, unsigned bits)
{
    return (type >> (bits - 1) & 1) == 0;
}

static inline bool sctp_unknown_is_reported(uint16_t type, unsigned bits)
{
    return (type >> (bits - 2) & 1) != 0;
}

struct sctp_chunk {
    uint8_t type;
    uint8_t flags;
    struct tern_view value; /* behind the header, without padding */
};

struct sctp_parameter {
    uint16_t type;
    struct tern_view value;
    struct tern_view whole; /* with the header */
};

/* sctp_next_chunk, sctp_next_parameter read the next one; false at the end, or with r->err set when
 * what is there is none. */
bool sctp_next_chunk(struct tern_reader *r, struct sctp_chunk *chunk);
bool sctp_next_parameter(struct tern_reader *r, struct sctp_parameter *parameter);

/* sctp_begin_chunk writes a header whose length sctp_end_chunk puts in, with the padding; start is
 * what begin returned. The writer holds one packet. */
size_t sctp_begin_chunk(struct tern_writer *w, enum sctp_chunk_type type, uint8_t flags);
void sctp_end_chunk(struct tern_writer *w, size_t start);
size_t sctp_begin_parameter(struct tern_writer *w, enum sctp_parameter_type type);
void sctp_end_parameter(struct tern_writer *w, size_t start);

/* Comparison of numbers that go round (RFC 1982). */
static inline bool sctp_before(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}

#endif
