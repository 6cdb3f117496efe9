/* A peer's bytes against yamux. Byte 0: bit 0 we are the initiator, bit 1 pings may time out. */
#include "mux/mux_fuzz.h"
#include "mux/yamux.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static tern_err fuzz_make(uint8_t behaviour, struct tern_mem *mem, struct tern_scope *scope,
                          struct tern_scope *windows, struct tern_mux *mux)
{
    const struct tern_yamux_options options = {
        .initiator = (behaviour & 1) != 0,
        .mem = mem,
        .scope = scope,
        .windows = windows,
        .ping_timeout_ns = (behaviour & 2) != 0 ? 10 * TERN_SECOND : 0,
    };
    return tern_yamux_new(&options, TERN_SECOND, mux);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return mux_fuzz_recv(fuzz_make, data, size);
}
