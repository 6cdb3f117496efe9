/*
 * One table of errors (errors.def) for the whole project. A function that can fail returns
 * tern_err; TERN_OK is 0. The compiler warns when the result is dropped (mark the function
 * TERN_NODISCARD).
 */
#ifndef TERN_BASE_ERROR_H
#define TERN_BASE_ERROR_H

#include "base/types.h"
#include "tern/error.h"

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
