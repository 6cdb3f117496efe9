/*
 * Our own signed peer record, which identify and the peer exchange both give out.
 */
#ifndef TERN_PROTOCOL_OWN_RECORD_H
#define TERN_PROTOCOL_OWN_RECORD_H

#include "swarm/swarm.h"

enum { TERN_OWN_RECORD_SIZE_MAX = 8192 };

/* tern_own_record_seal signs what we know of ourselves now and appends the envelope. Later records
 * replace earlier ones, also those from before a restart: the sequence number is the wall-clock
 * time. Errors of tern_peer_record_seal. */
TERN_NODISCARD tern_err tern_own_record_seal(const struct tern_swarm *swarm, tern_time now,
                                             struct tern_writer *out);

#endif
