/*
 * Varint-length-delimited messages on a stream: how identify, requests and most libp2p protocols
 * frame what they say. A reader collects one message at a time in memory of its own, bounded, which
 * counts as memory of the stream until that ends.
 */
#ifndef TERN_PROTOCOL_FRAME_H
#define TERN_PROTOCOL_FRAME_H

#include "base/error.h"
#include "base/mem.h"
#include "base/types.h"
#include "swarm/swarm.h"

struct tern_frame_reader {
    struct tern_mem *mem;
    size_t size_max; /* of a message */
    uint8_t *bytes;  /* what came, lengths included */
    size_t size;
    size_t capacity;
    size_t taken; /* of the message given last: dropped with the next read */
};

/* tern_frame_reader_init allocates nothing. */
void tern_frame_reader_init(struct tern_frame_reader *reader, struct tern_mem *mem,
                            size_t size_max);
void tern_frame_reader_fini(struct tern_frame_reader *reader);

/* tern_frame_read gives the next whole message, borrowed until the next call. TERN_ERR_AGAIN: wait
 * for READABLE. TERN_ERR_END: the remote ended its side between messages. TERN_ERR_TRUNCATED: it
 * ended inside one. TERN_ERR_TOO_LARGE, MALFORMED, NOT_MINIMAL, MEMORY, SCOPE_MEMORY, RESET, STALE.
 */
TERN_NODISCARD tern_err tern_frame_read(struct tern_frame_reader *reader, struct tern_swarm *swarm,
                                        struct tern_stream stream, struct tern_view *message);

/* tern_frame_chunk makes a chunk of length and message, for tern_swarm_write_slice; NULL: no
 * memory. */
struct tern_chunk *tern_frame_chunk(struct tern_mem *mem, struct tern_view message);

#endif
