/* A peer's bytes against mplex. Byte 0: bit 0 there is little room for what is unread. */
#include "mux/mplex.h"
#include "mux/mux_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static tern_err fuzz_make(uint8_t behaviour, struct tern_mem *mem, struct tern_scope *scope,
                          struct tern_scope *windows, struct tern_mux *mux)
{
    bool little = (behaviour & 1) != 0;
    (void)windows;
    return tern_mplex_new(&(struct tern_mplex_options){.mem = mem,
                                                       .scope = scope,
                                                       .unread_stream_max = little ? 8 : 0,
                                                       .unread_max = little ? 20 : 0},
                          mux);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return mux_fuzz_recv(fuzz_make, data, size);
}
