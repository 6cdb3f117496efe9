/*
 * For tests and fuzzing: a random schedule of everything two muxers can be asked to do, held
 * against a model. Each direction of a stream is a pattern with an offset; what is read must be the
 * pattern, in order, and at the end as long as what was written. No cmocka: fuzz targets use it
 * too.
 */
#ifndef TERN_MUX_MUX_MODEL_H
#define TERN_MUX_MUX_MODEL_H

#include "mux/mux_pair.h"

struct mux_model_result {
    bool ok;
    const char *what; /* the first thing that was wrong */
};

/* mux_model_run draws steps choices from the seed. */
struct mux_model_result mux_model_run(const struct tern_mux_factory *factory, uint64_t seed,
                                      unsigned steps);

/* mux_model_script takes the choices from the bytes, until they are used up. */
struct mux_model_result mux_model_script(const struct tern_mux_factory *factory,
                                         struct tern_view script);

#endif
