/*
 * Two sessions against each other: the input is the script of what their owners and the link do
 * (mux/mux_model.h), and every stream must arrive whole.
 */
#include "mux/mux_model.h"
#include "mux/yamux.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static tern_err fuzz_make(bool initiator, struct tern_mem *mem, struct tern_scope *scope,
                          struct tern_scope *windows, struct tern_mux *mux)
{
    const struct tern_yamux_options options = {
        .initiator = initiator,
        .mem = mem,
        .scope = scope,
        .windows = windows,
        .send_buffer_max = 100000,
    };
    return tern_yamux_new(&options, TERN_SECOND, mux);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct tern_mux_factory factory = {
        .name = "yamux", .make = fuzz_make, .has_credit = true};
    struct mux_model_result result = mux_model_script(&factory, tern_view_of(data, size));
    if (!result.ok)
        tern_check_failed(result.what, __FILE__, __LINE__);
    return 0;
}
