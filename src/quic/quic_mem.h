/*
 * ngtcp2's memory, from a tern_mem: a header before each block holds its size, which ngtcp2 does
 * not tell when it frees.
 */
#ifndef TERN_QUIC_QUIC_MEM_H
#define TERN_QUIC_QUIC_MEM_H

#include <ngtcp2/ngtcp2.h>

#include "base/mem.h"

/* tern_quic_mem_init makes an allocator over mem; both outlive what is allocated. */
void tern_quic_mem_init(ngtcp2_mem *allocator, struct tern_mem *mem);

#endif
