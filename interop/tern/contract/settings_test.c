#include "interop/tern/contract/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* An environment: lines of NAME=VALUE, the last one NULL. */
static const char *test_get(const void *environment, const char *name)
{
    size_t size = strlen(name);
    for (const char *const *line = environment; *line != NULL; line++)
        if (strncmp(*line, name, size) == 0 && (*line)[size] == '=')
            return *line + size + 1;
    return NULL;
}

static struct settings test_read(const char *const *lines)
{
    struct settings settings;
    assert_true(settings_asked(test_get, lines));
    assert_null(settings_read(&settings, test_get, lines));
    return settings;
}

static void test_newer_listener(void **state)
{
    static const char *const lines[] = {"IS_DIALER=false",
                                        "REDIS_ADDR=transport-redis:6379",
                                        "TEST_KEY=a5b50d5e",
                                        "TRANSPORT=tcp",
                                        "LISTENER_IP=0.0.0.0",
                                        "DEBUG=true",
                                        "SECURE_CHANNEL=tls",
                                        "MUXER=mplex",
                                        NULL};
    struct settings settings = test_read(lines);
    (void)state;
    assert_false(settings.dialer);
    assert_false(settings.older);
    assert_false(settings.perf);
    assert_true(settings.debug);
    assert_string_equal(settings.redis, "transport-redis:6379");
    assert_string_equal(settings.key, "a5b50d5e_listener_multiaddr");
    assert_true(settings.key_is_list);
    assert_string_equal(settings.secure, "tls");
    assert_string_equal(settings.muxer, "mplex");
    assert_int_equal(settings.timeout_s, 0);
}

static void test_transports_of_their_own_name_no_channel_and_muxer(void **state)
{
    static const char *const lines[] = {"IS_DIALER=true", "TEST_KEY=a5b50d5e", "TRANSPORT=quic-v1",
                                        "SECURE_CHANNEL=null", NULL};
    struct settings settings = test_read(lines);
    (void)state;
    assert_true(settings.dialer);
    assert_null(settings.secure);
    assert_null(settings.muxer);
    assert_string_equal(settings.redis, "redis:6379");
    assert_string_equal(settings.ip, "0.0.0.0");
}

static void test_older_dialer(void **state)
{
    static const char *const lines[] = {"is_dialer=true",
                                        "redis_addr=redis:6379",
                                        "transport=ws",
                                        "security=noise",
                                        "muxer=yamux",
                                        "test_timeout_seconds=20",
                                        NULL};
    struct settings settings = test_read(lines);
    (void)state;
    assert_true(settings.dialer);
    assert_true(settings.older);
    assert_string_equal(settings.key, "listenerAddr");
    assert_true(settings.key_is_list);
    assert_string_equal(settings.transport, "ws");
    assert_string_equal(settings.secure, "noise");
    assert_int_equal(settings.timeout_s, 20);
}

static void test_the_older_one_has_a_time_limit_of_its_own(void **state)
{
    static const char *const lines[] = {"is_dialer=false", "transport=ws", NULL};
    (void)state;
    assert_int_equal(test_read(lines).timeout_s, 180);
}

static void test_perf_dialer_takes_null_for_the_default(void **state)
{
    static const char *const lines[] = {"IS_DIALER=true",          "REDIS_ADDR=perf-redis:6379",
                                        "TEST_KEY=a5b50d5e",       "TRANSPORT=tcp",
                                        "UPLOAD_BYTES=4194304",    "DOWNLOAD_BYTES=null",
                                        "UPLOAD_ITERATIONS=null",  "DOWNLOAD_ITERATIONS=3",
                                        "LATENCY_ITERATIONS=null", "DURATION=20",
                                        "PERF_HEADER=16",          NULL};
    struct settings settings = test_read(lines);
    (void)state;
    assert_true(settings.perf);
    assert_false(settings.key_is_list);
    assert_true(settings.header16);
    assert_int_equal(settings.upload_bytes, 4194304);
    assert_int_equal(settings.download_bytes, 1073741824);
    assert_int_equal(settings.upload_iterations, 10);
    assert_int_equal(settings.download_iterations, 3);
    assert_int_equal(settings.latency_iterations, 100);
    assert_int_equal(settings.duration_s, 20);
}

static void test_the_form_of_the_key_can_be_said(void **state)
{
    static const char *const string[] = {"IS_DIALER=false", "TEST_KEY=k", "TRANSPORT=tcp",
                                         "LISTENER_KEY_TYPE=string", NULL};
    static const char *const list[] = {"IS_DIALER=false",        "TEST_KEY=k",
                                       "TRANSPORT=tcp",          "REDIS_ADDR=perf-redis:6379",
                                       "LISTENER_KEY_TYPE=list", NULL};
    (void)state;
    assert_false(test_read(string).key_is_list);
    assert_true(test_read(list).key_is_list);
}

static void test_wrong_values_are_named(void **state)
{
    static const char *const lines[][5] = {
        {"TRANSPORT", "IS_DIALER=true", "TEST_KEY=k", NULL},
        {"transport", "is_dialer=true", NULL},
        {"TEST_KEY", "IS_DIALER=true", "TRANSPORT=tcp", NULL},
        {"IS_DIALER", "IS_DIALER=yes", "TEST_KEY=k", "TRANSPORT=tcp", NULL},
        {"UPLOAD_BYTES", "IS_DIALER=true", "TEST_KEY=k", "TRANSPORT=tcp", "UPLOAD_BYTES=1G"},
        {"DURATION", "IS_DIALER=true", "TEST_KEY=k", "TRANSPORT=tcp", "DURATION=-1"},
        {"PERF_HEADER", "IS_DIALER=true", "TEST_KEY=k", "TRANSPORT=tcp", "PERF_HEADER=12"},
        {"LISTENER_KEY_TYPE", "IS_DIALER=true", "TEST_KEY=k", "TRANSPORT=tcp",
         "LISTENER_KEY_TYPE=hash"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        const char *environment[5] = {lines[i][1], lines[i][2], lines[i][3], lines[i][4], NULL};
        struct settings settings;
        const char *wrong = settings_read(&settings, test_get, environment);
        assert_non_null(wrong);
        assert_string_equal(wrong, lines[i][0]);
    }
}

static void test_another_environment_asks_for_nothing(void **state)
{
    static const char *const lines[] = {"PATH=/usr/bin", "transport=tcp", "IS_DIALER=", NULL};
    (void)state;
    assert_false(settings_asked(test_get, lines));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_newer_listener),
        cmocka_unit_test(test_transports_of_their_own_name_no_channel_and_muxer),
        cmocka_unit_test(test_older_dialer),
        cmocka_unit_test(test_the_older_one_has_a_time_limit_of_its_own),
        cmocka_unit_test(test_perf_dialer_takes_null_for_the_default),
        cmocka_unit_test(test_the_form_of_the_key_can_be_said),
        cmocka_unit_test(test_wrong_values_are_named),
        cmocka_unit_test(test_another_environment_asks_for_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
