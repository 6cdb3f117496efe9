/*
 * For tests and fuzzing: two associations on a network of datagrams in virtual time, and a model
 * that what is received is held against: the messages of each stream, whole, once and in order. No
 * cmocka: fuzz targets use it too.
 */
#ifndef TERN_WEBRTC_SCTP_PAIR_H
#define TERN_WEBRTC_SCTP_PAIR_H

#include "datagram_net.h"
#include "golden.h"
#include "webrtc/sctp.h"

enum { SCTP_PAIR_STREAMS = 32, SCTP_PAIR_MESSAGES = 512, SCTP_PAIR_PACKET = 1163 };

/* One direction of a stream: sizes of messages that were sent and not received whole. */
struct sctp_pair_flow {
    uint32_t sizes[SCTP_PAIR_MESSAGES];
    uint32_t first;
    uint32_t count;
    uint32_t part; /* of the first one, received */
    uint64_t sent; /* bytes; they are a pattern of stream and offset */
    uint64_t received;
    bool resetting;
};

struct sctp_end {
    struct tern_mem mem;
    struct tern_mux_pool pool;
    struct tern_sctp *sctp;
    tern_link_id socket;
    struct tern_endpoint at;
    bool up;
    bool hold;     /* what is received is not consumed */
    size_t unread; /* bytes held */
    uint32_t resets_in;
    uint32_t resets_out;
    uint32_t gaps;
    struct sctp_pair_flow flows[SCTP_PAIR_STREAMS]; /* that this end sends */
};

struct sctp_pair {
    struct datagram_net net;
    struct sctp_end ends[2];
    tern_time now;
    struct golden *log; /* NULL: none. A line a packet */
    const char *wrong;  /* the first thing that was not as it should be; NULL: nothing */
};

struct sctp_pair_options {
    uint64_t seed;
    struct datagram_link link;
    size_t window_bytes;
    bool checksums;
    tern_time rtt_ns;
};

/* sctp_pair_init: both are due to send INIT. False: no memory. */
bool sctp_pair_init(struct sctp_pair *pair, const struct sctp_pair_options *options);

/* sctp_pair_fini checks that nothing is left. */
void sctp_pair_fini(struct sctp_pair *pair);

/* sctp_pair_step lets the next thing happen; false: nothing does before the limit, to which the
 * clock has gone. */
bool sctp_pair_step(struct sctp_pair *pair, tern_time limit);

/* sctp_pair_run steps for a time. */
void sctp_pair_run(struct sctp_pair *pair, tern_time duration);

/* sctp_pair_settle runs until all that was sent was received and acknowledged, and resets are done;
 * false: that did not come within the time. */
bool sctp_pair_settle(struct sctp_pair *pair, tern_time duration);

/* sctp_pair_send sends a message of the pattern. */
tern_err sctp_pair_send(struct sctp_pair *pair, int from, uint16_t stream, uint32_t size);
tern_err sctp_pair_reset(struct sctp_pair *pair, int from, uint16_t stream);

/* sctp_pair_release consumes what is held, at most size bytes. */
void sctp_pair_release(struct sctp_pair *pair, int end, size_t size);

/* sctp_pair_give hands a packet to an end and drains its events. */
void sctp_pair_give(struct sctp_pair *pair, int end, struct tern_view packet);

/* sctp_pair_take makes the next packet of an end; size 0: none. Borrowed until the next call. */
struct tern_view sctp_pair_take(struct sctp_pair *pair, int end, uint8_t room[SCTP_PAIR_PACKET]);

/* sctp_pair_random draws steps choices of everything two associations can be asked to do, then lets
 * the link heal; what is wrong then, or NULL. */
const char *sctp_pair_random(const struct sctp_pair_options *options, unsigned steps);

#endif
