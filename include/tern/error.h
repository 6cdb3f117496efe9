/*
 * Errors of Tern: one table (errors.def). A function that can fail returns tern_err; TERN_OK is 0.
 * The compiler warns when the result is dropped.
 */
#ifndef TERN_ERROR_H
#define TERN_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

#define TERN_API __attribute__((visibility("default")))

enum tern_err_class {
    TERN_CLASS_OK,
    TERN_CLASS_FLOW,  /* not a failure: again, end */
    TERN_CLASS_LIMIT, /* a cap of ours */
    TERN_CLASS_PEER,  /* the remote broke the protocol */
    TERN_CLASS_NET,   /* the network failed */
    TERN_CLASS_LOCAL, /* a bad argument or configuration, or a local resource failed */
    TERN_CLASS_BUG,
};

typedef enum tern_err {
    TERN_OK = 0,
#define X(name, class, text) TERN_ERR_##name,
#include "tern/errors.def"
#undef X
    TERN_ERR_COUNT
} tern_err;

/* tern_err_name is the error's name without prefix, such as "TIMEOUT"; "OK" for TERN_OK. */
TERN_API const char *tern_err_name(tern_err err);

/* tern_err_text is one sentence in plain words. */
TERN_API const char *tern_err_text(tern_err err);

TERN_API enum tern_err_class tern_err_class(tern_err err);

#ifdef __cplusplus
}
#endif

#endif
