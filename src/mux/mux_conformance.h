/*
 * For tests: what every muxer must do, whatever its frames. A muxer's test program calls
 * tern_mux_conformance with its factory; the result is that of cmocka's runner.
 */
#ifndef TERN_MUX_MUX_CONFORMANCE_H
#define TERN_MUX_MUX_CONFORMANCE_H

#include "mux/mux_pair.h"

int tern_mux_conformance(const struct tern_mux_factory *factory);

#endif
