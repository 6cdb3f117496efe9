/* QUIC under the suite that every muxer passes. */
#include "mux/mux_conformance.h"
#include "quic/quic.h"
#include "quic/quic_testing.h"

static tern_err make(bool dialer, const struct session_pair_end *end,
                     struct tern_session_transport *transport)
{
    const struct tern_quic_options options = {
        .mem = end->mem,
        .random = quic_testing_random(dialer),
        .identity = quic_testing_identity(dialer ? 1 : 2),
        .windows = end->windows,
    };
    return tern_quic_new(&options, TERN_SECOND, transport);
}

int main(void)
{
    const struct tern_mux_factory factory = {
        .name = "quic",
        .make_transport = make,
        .bookkeeping_bytes = 64 * 1024,
        .has_credit = true,
        .has_codes = true,
        .has_stops = true,
    };
    return tern_mux_conformance(&factory);
}
