/*
 * Says which check of a fuzz target failed before it ends the process: the linker puts this in the
 * place of tern_check_failed (--wrap).
 */
#include <stdio.h>

#include "base/check.h"

__attribute__((noreturn)) void __wrap_tern_check_failed(const char *expression, const char *file,
                                                        int line);
__attribute__((noreturn)) void __real_tern_check_failed(const char *expression, const char *file,
                                                        int line);

void __wrap_tern_check_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "check failed: %s:%d: %s\n", file, line, expression);
    __real_tern_check_failed(expression, file, line);
}
