/* yamux under the suite that every muxer passes. */
#include "mux/mux_conformance.h"
#include "mux/yamux.h"

static tern_err make(bool initiator, struct tern_mem *mem, struct tern_scope *scope,
                     struct tern_scope *windows, struct tern_mux *mux)
{
    const struct tern_yamux_options options = {
        .initiator = initiator,
        .mem = mem,
        .scope = scope,
        .windows = windows,
        .hash_seed = 42,
    };
    return tern_yamux_new(&options, TERN_SECOND, mux);
}

int main(void)
{
    const struct tern_mux_factory factory = {
        .name = "yamux",
        .make = make,
        .has_credit = true,
        .has_codes = true,
        .has_goaway = true,
    };
    return tern_mux_conformance(&factory);
}
