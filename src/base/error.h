/*
 * One table of errors (errors.def) for the whole project. A function that can fail returns
 * tern_err; TERN_OK is 0. The compiler warns when the result is dropped (mark the function
 * TERN_NODISCARD).
 */
#ifndef TERN_BASE_ERROR_H
#define TERN_BASE_ERROR_H

#include "base/types.h"

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
#include "base/errors.def"
#undef X
    TERN_ERR_COUNT
} tern_err;

/* tern_err_name is the error's name without prefix, such as "TIMEOUT"; "OK" for TERN_OK. */
const char *tern_err_name(tern_err err);

/* tern_err_text is one sentence in plain words. */
const char *tern_err_text(tern_err err);

enum tern_err_class tern_err_class(tern_err err);

/* TERN_TRY returns from the calling function with the error of the expression, if it has one. */
#define TERN_TRY(expression)                                                                       \
    do {                                                                                           \
        tern_err tern_try_err_ = (expression);                                                     \
        if (TERN_UNLIKELY(tern_try_err_ != TERN_OK))                                               \
            return tern_try_err_;                                                                  \
    } while (0)

/* TERN_IGNORE drops an error on purpose; a comment beside it says why that is right. */
#define TERN_IGNORE(expression)                                                                    \
    do {                                                                                           \
        tern_err tern_ignored_ = (expression);                                                     \
        (void)tern_ignored_;                                                                       \
    } while (0)

#endif
