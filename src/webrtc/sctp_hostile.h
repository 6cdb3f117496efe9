/*
 * For tests: an association and a remote that says whatever the test likes.
 */
#ifndef TERN_WEBRTC_SCTP_HOSTILE_H
#define TERN_WEBRTC_SCTP_HOSTILE_H

#include "webrtc/sctp_internal.h"
#include "webrtc/sctp_pair.h"

/* The victim is end 1; packets are made up in the name of end 0. */
struct hostile {
    struct sctp_pair pair;
    struct tern_sctp *victim;
    uint32_t tsn; /* the next one that the victim expects */
    uint8_t packet[TERN_SCTP_RECEIVED_MAX + 64];
    struct tern_writer w;
};

/* hostile_new: an association of the smallest window, up or about to begin. */
struct hostile *hostile_new(bool up);
void hostile_free(struct hostile *h);

/* hostile_begin begins a packet in w with this tag; hostile_give gives it to the victim. */
void hostile_begin(struct hostile *h, uint32_t tag);
void hostile_give(struct hostile *h);

/* hostile_give_hex gives a packet of chunks in hexadecimal, with the right tag. */
void hostile_give_hex(struct hostile *h, const char *hex);

/* hostile_assert_dropped: the fault was noted, and the association lives; hostile_assert_ended: it
 * does not, and the remote is told once. */
void hostile_assert_dropped(struct hostile *h, tern_fault fault);
void hostile_assert_ended(struct hostile *h, tern_fault fault);

/* hostile_answer is the next packet of the victim without its header; size 0: it says nothing. */
struct tern_view hostile_answer(struct hostile *h, uint8_t room[SCTP_PAIR_PACKET]);

/* hostile_put_data writes a DATA chunk of zeros: offset counts from the next number expected.
 * hostile_give_data gives it in a packet. */
void hostile_put_data(struct hostile *h, uint32_t offset, uint8_t flags, uint32_t stream_ssn,
                      size_t size);
void hostile_give_data(struct hostile *h, uint32_t offset, uint8_t flags, uint32_t stream_ssn,
                       size_t size);

#endif
