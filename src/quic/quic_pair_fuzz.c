/*
 * Two sessions against each other: the input is the script of what their owners and the network do
 * (mux/mux_model.h), and every stream must arrive whole.
 */
#include "mux/mux_model.h"
#include "quic/quic_testing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static tern_err fuzz_make(bool dialer, const struct session_pair_end *end,
                          struct tern_session_transport *transport)
{
    const struct tern_quic_options options = {
        .mem = end->mem,
        .random = quic_testing_random(dialer),
        .identity = quic_testing_identity(dialer ? 1 : 2),
        .windows = end->windows,
        .send_buffer_max = 100000,
    };
    return tern_quic_new(&options, TERN_SECOND, transport);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct tern_mux_factory factory = {.name = "quic",
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
