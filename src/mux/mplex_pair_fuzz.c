/*
 * Two sessions against each other: the input is the script of what their owners and the link do
 * (mux/mux_model.h), and every stream must arrive whole. There is little room for what is unread,
 * so streams hold each other up.
 */
#include "mux/mplex.h"
#include "mux/mux_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static tern_err fuzz_make(bool initiator, struct tern_mem *mem, struct tern_scope *scope,
                          struct tern_scope *windows, struct tern_mux *mux)
{
    (void)initiator;
    (void)windows;
    return tern_mplex_new(&(struct tern_mplex_options){.mem = mem,
                                                       .scope = scope,
                                                       .unread_stream_max = 2000,
                                                       .unread_max = 6000,
                                                       .send_buffer_max = 100000},
                          mux);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct tern_mux_factory factory = {.name = "mplex", .make = fuzz_make};
    struct mux_model_result result = mux_model_script(&factory, tern_view_of(data, size));
    if (!result.ok)
        tern_check_failed(result.what, __FILE__, __LINE__);
    return 0;
}
