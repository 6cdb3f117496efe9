/* WebTransport under the suite that every muxer passes. */
#include "mux/mux_conformance.h"
#include "webtransport/webtransport_testing.h"

static tern_err make(bool dialer, const struct session_pair_end *end,
                     struct tern_session_transport *transport)
{
    const struct web_testing testing = {
        .host = dialer ? 1 : 2,
        .now = TERN_SECOND,
        .quic = {.mem = end->mem, .random = quic_testing_random(dialer), .windows = end->windows},
        .options = {.host_key = dialer ? NULL : quic_testing_key(2)},
    };
    TERN_TRY(web_testing_new(&testing, transport));
    if (dialer)
        web_testing_dials(transport);
    return TERN_OK;
}

int main(void)
{
    const struct tern_mux_factory factory = {
        .name = "webtransport",
        .make_transport = make,
        .bookkeeping_bytes = 64 * 1024,
        .has_credit = true,
        .has_codes = true,
        .has_stops = true,
    };
    return tern_mux_conformance(&factory);
}
