/*
 * Two sessions against each other: the input is the script of what their owners and the network do
 * (mux/mux_model.h), and every stream must arrive whole.
 */
#include "mux/mux_model.h"
#include "webtransport/webtransport_testing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static tern_err fuzz_make(bool dialer, const struct session_pair_end *end,
                          struct tern_session_transport *transport)
{
    const struct web_testing testing = {
        .host = dialer ? 1 : 2,
        .now = TERN_SECOND,
        .quic = {.mem = end->mem,
                 .random = quic_testing_random(dialer),
                 .windows = end->windows,
                 .send_buffer_max = 100000},
        .options = {.host_key = dialer ? NULL : quic_testing_key(2)},
    };
    TERN_TRY(web_testing_new(&testing, transport));
    if (dialer)
        web_testing_dials(transport);
    return TERN_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct tern_mux_factory factory = {.name = "webtransport",
                                             .make_transport = fuzz_make,
                                             .bookkeeping_bytes = 64 * 1024,
                                             .has_credit = true,
                                             .has_codes = true,
                                             .has_stops = true};
    quic_testing_random_again();
    struct mux_model_result result = mux_model_script(&factory, tern_view_of(data, size));
    if (!result.ok)
        tern_check_failed(result.what, __FILE__, __LINE__);
    return 0;
}
