/*
 * For fuzzing: a peer's bytes against one session, whose owner reads, echoes, closes and resets as
 * the first bytes say. Whatever comes: no crash, bounded memory, nothing holds the link up for
 * ever, and nothing is left at the end.
 *
 * Byte 0: bits 0 and 1 are the muxer's own; 2: the owner resets streams; 3: it reads and never
 * consumes; 4: the bytes come in chunks; 5: nothing is sent meanwhile. Byte 1: the size of a piece;
 * 0: all at once.
 */
#ifndef TERN_MUX_MUX_FUZZ_H
#define TERN_MUX_MUX_FUZZ_H

#include "base/mem.h"
#include "mux/mux.h"

typedef tern_err mux_fuzz_make(uint8_t behaviour, struct tern_mem *mem, struct tern_scope *scope,
                               struct tern_scope *windows, struct tern_mux *mux);

int mux_fuzz_recv(mux_fuzz_make *make, const uint8_t *data, size_t size);

#endif
