/* mplex under the suite that every muxer passes. */
#include "mux/mplex.h"
#include "mux/mux_conformance.h"

static tern_err make(bool initiator, struct tern_mem *mem, struct tern_scope *scope,
                     struct tern_scope *windows, struct tern_mux *mux)
{
    (void)initiator;
    (void)windows;
    return tern_mplex_new(&(struct tern_mplex_options){.mem = mem, .scope = scope, .hash_seed = 42},
                          mux);
}

int main(void)
{
    const struct tern_mux_factory factory = {.name = "mplex", .make = make};
    return tern_mux_conformance(&factory);
}
