/* WebRTC under the suite that every muxer passes. */
#include "mux/mux_conformance.h"
#include "webrtc/webrtc_testing.h"

int main(void)
{
    const struct tern_mux_factory factory = {
        .name = "webrtc",
        .make_transport = webrtc_testing_make,
        .bookkeeping_bytes = 64 * 1024,
        .fragile_start = true, /* DTLS begins in the clear */
        .has_codes = true,
    };
    return tern_mux_conformance(&factory);
}
