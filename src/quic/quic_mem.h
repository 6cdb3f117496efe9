/*
 * ngtcp2's memory: taken from an account, with the sizes kept in front of the blocks, and bounded
 * for each session, so that whatever a remote makes ngtcp2 keep (gaps between bytes, ids, frames to
 * be sent) ends the session and not the process.
 */
#ifndef TERN_QUIC_QUIC_MEM_H
#define TERN_QUIC_QUIC_MEM_H

#include <ngtcp2/ngtcp2.h>

#include "base/mem.h"

struct quic_mem {
    ngtcp2_mem allocator; /* what ngtcp2 is given */
    struct tern_mem *mem;
    size_t used;
    size_t used_max; /* the owner's to change */
    bool refused;    /* used_max was reached */
};

void quic_mem_init(struct quic_mem *memory, struct tern_mem *mem, size_t used_max);

#endif
