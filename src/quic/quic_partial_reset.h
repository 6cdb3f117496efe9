/*
 * RESET_STREAM_AT (draft-ietf-quic-reliable-stream-reset), which peers of WebTransport want to be
 * offered and which ngtcp2 does not know: a reset that promises the first bytes of a stream all the
 * same. Those are the head that says to which session it belongs; on a connection of one session
 * nothing is lost without it. So each is made a plain RESET_STREAM, in the packet, before ngtcp2
 * reads it; what is left over of its room becomes padding.
 *
 * It is offered where ALPN is h3. A remote that sends it elsewhere is understood, too.
 *
 * Pure, thread safe.
 */
#ifndef TERN_QUIC_QUIC_PARTIAL_RESET_H
#define TERN_QUIC_QUIC_PARTIAL_RESET_H

#include "base/types.h"
#include "base/writer.h"

/* quic_partial_reset_offer writes the transport parameters that offer it: the draft's, and the one
 * that its earlier versions had. */
void quic_partial_reset_offer(struct tern_writer *w);

/* quic_partial_reset_rewrite looks through the frames of a packet of 1-RTT and changes them in
 * place. What is malformed stays as it is, and so does what follows: that is ngtcp2's to judge. */
void quic_partial_reset_rewrite(uint8_t *frames, size_t size);

#endif
