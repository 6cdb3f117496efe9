/*
 * What every test file includes first: cmocka with what it needs before it, and a few helpers.
 */
#ifndef TERN_TESTING_TERN_TEST_H
#define TERN_TESTING_TERN_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/types.h"

/* test_signal_of runs fn(context) in a child process with stderr closed and returns the signal that
 * ended it, or 0 when it returned: for checks that must end the process. Under sanitizers a trap
 * may be turned into an exit with an error; that counts as SIGABRT. */
static inline int test_signal_of(void (*fn)(void *context), void *context)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGILL, SIG_DFL);
        signal(SIGTRAP, SIG_DFL);
        signal(SIGABRT, SIG_DFL);
        signal(SIGSEGV, SIG_DFL);
        close(STDERR_FILENO);
        fn(context);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status))
        return WTERMSIG(status);
    return WEXITSTATUS(status) == 0 ? 0 : SIGABRT;
}

/* test_view_is: are the view's bytes this text? */
static inline bool test_view_is(struct tern_view view, const char *text)
{
    return tern_view_equal(view, tern_view_str(text));
}

#define assert_ok(expression) assert_int_equal((expression), TERN_OK)

#endif
