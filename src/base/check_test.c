#include "base/check.h"

#include "tern_test.h"

static void fail_a_check(void *context)
{
    const int *value = context;
    TERN_CHECK(*value == 1);
}

static void reach_the_unreachable(void *context)
{
    (void)context;
    TERN_UNREACHABLE();
}

static void a_true_check_passes_and_a_false_one_ends_the_process(void **state)
{
    (void)state;
    int value = 1;
    assert_int_equal(test_signal_of(fail_a_check, &value), 0);
    value = 2;
    assert_int_not_equal(test_signal_of(fail_a_check, &value), 0);
    assert_int_not_equal(test_signal_of(reach_the_unreachable, NULL), 0);
    assert_string_equal(tern_check_message, "");
}

/* Written by the handler of the trap, read by the parent: the message is whole when the trap comes.
 */
static void say_message(int signal)
{
    (void)signal;
    size_t size = strlen(tern_check_message);
    _exit(write(STDOUT_FILENO, tern_check_message, size) == (ssize_t)size ? 0 : 1);
}

static size_t message_of(const char *expression, const char *file, char *out, size_t out_size)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        signal(SIGILL, say_message);
        signal(SIGTRAP, say_message);
        tern_check_failed(expression, file, 42);
    }
    close(ends[1]);
    ssize_t got = read(ends[0], out, out_size);
    close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return (size_t)got;
}

static void the_message_names_place_and_expression(void **state)
{
    (void)state;
    char text[2 * TERN_CHECK_MESSAGE_SIZE];
    size_t size = message_of("a == b", "x.c", text, sizeof(text));
    assert_true(test_view_is(tern_view_of(text, size), "x.c:42: a == b"));
    char expression[1000];
    memset(expression, 'e', sizeof(expression) - 1);
    expression[sizeof(expression) - 1] = 0;
    size = message_of(expression, "x.c", text, sizeof(text));
    assert_int_equal(size, TERN_CHECK_MESSAGE_SIZE - 1);
    assert_memory_equal(text, "x.c:42: eeee", 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_true_check_passes_and_a_false_one_ends_the_process),
        cmocka_unit_test(the_message_names_place_and_expression),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
