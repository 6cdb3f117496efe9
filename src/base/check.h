/*
 * Checks of what must be true in a correct program. Never on a peer's data: that is an error, not a
 * check. TERN_CHECK is always compiled in; TERN_DCHECK in debug builds, simulation and fuzzing.
 */
#ifndef TERN_BASE_CHECK_H
#define TERN_BASE_CHECK_H

/* tern_check_failed ends the process by a trap; a debugger and the core file show the place. It
 * prints nothing: pure code has no stdio. The failing expression and place stand in
 * tern_check_message. */
__attribute__((noreturn, cold)) void tern_check_failed(const char *expression, const char *file,
                                                       int line);

/* tern_check_message is "file:line: expression" once a check failed, else "". It is written by
 * tern_check_failed alone, in a process that is about to end; it is there for the core file, and
 * for a program's trap handler to print. */
enum { TERN_CHECK_MESSAGE_SIZE = 256 };
extern char tern_check_message[TERN_CHECK_MESSAGE_SIZE];

#define TERN_CHECK(expression)                                                                     \
    (__builtin_expect(!!(expression), 1) ? (void)0                                                 \
                                         : tern_check_failed(#expression, __FILE__, __LINE__))

#ifdef TERN_DEBUG_CHECKS
#define TERN_DCHECK(expression) TERN_CHECK(expression)
#else
#define TERN_DCHECK(expression) ((void)sizeof(!(expression)))
#endif

#define TERN_UNREACHABLE() tern_check_failed("unreachable", __FILE__, __LINE__)

#endif
