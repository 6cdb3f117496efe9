#include "tern_test.h"

#include "host/ways.h"

#include "crypto/mlkem.h"

static struct tern_swarm_config config;
static char text[256];

static int setup(void **state)
{
    (void)state;
    tern_swarm_config_defaults(&config);
    memset(text, 0, sizeof text);
    return 0;
}

static tern_err apply(struct tern_ways ways)
{
    struct tern_writer message = tern_writer_of(text, sizeof text - 1);
    return tern_ways_apply(&ways, &config, &message);
}

static void nothing_said_changes_nothing(void **state)
{
    (void)state;
    assert_ok(apply((struct tern_ways){.transports = NULL}));
    assert_int_equal(config.transports, TERN_TRANSPORTS_ALL);
    assert_int_equal(config.secure_count, 1);
    assert_int_equal(config.secure[0], TERN_SECURE_NOISE);
    assert_int_equal(config.muxers_count, 1);
    assert_string_equal(text, "");
}

/* What is told of connections are the words of the settings. */
static void names_are_the_same_everywhere(void **state)
{
    (void)state;
    for (enum tern_transport i = 0; i < TERN_TRANSPORT_COUNT; i++) {
        assert_ok(apply((struct tern_ways){.transports = tern_transport_name(i)}));
        assert_int_equal(config.transports, TERN_TRANSPORT_BIT(i));
    }
    for (int i = 0; i < (tern_mlkem_available() ? 4 : 3); i++) {
        assert_ok(apply((struct tern_ways){.secure = tern_secure_name((enum tern_secure_kind)i)}));
        assert_int_equal(config.secure[0], i);
    }
    for (int i = 0; i < 2; i++) {
        assert_ok(apply((struct tern_ways){.muxers = tern_muxer_name((enum tern_muxer_kind)i)}));
        assert_int_equal(config.muxers[0], i);
    }
}

static void what_is_said_is_used_in_that_order(void **state)
{
    (void)state;
    assert_ok(apply((struct tern_ways){
        .transports = "tcp", .secure = "plaintext, noise ,plaintext", .muxers = " yamux "}));
    assert_int_equal(config.transports, TERN_TRANSPORT_BIT(TERN_TRANSPORT_TCP));
    assert_int_equal(config.secure_count, 2);
    assert_int_equal(config.secure[0], TERN_SECURE_PLAINTEXT);
    assert_int_equal(config.secure[1], TERN_SECURE_NOISE);
    assert_int_equal(config.muxers_count, 1);
    assert_int_equal(config.muxers[0], TERN_MUXER_YAMUX);
    assert_ok(apply((struct tern_ways){.secure = "tls,noise"}));
    assert_int_equal(config.secure_count, 2);
    assert_int_equal(config.secure[0], TERN_SECURE_TLS);
    if (tern_mlkem_available()) {
        assert_ok(apply((struct tern_ways){.secure = "noise-mlkem768,noise"}));
        assert_int_equal(config.secure[0], TERN_SECURE_NOISE_HYBRID);
        assert_int_equal(config.secure_count, 2);
    } else {
        assert_int_equal(apply((struct tern_ways){.secure = "noise-mlkem768,noise"}),
                         TERN_ERR_UNSUPPORTED);
    }
    assert_ok(apply((struct tern_ways){.secure = "noise"}));
    assert_int_equal(config.secure_count, 1);
    assert_int_equal(config.transports, TERN_TRANSPORT_BIT(TERN_TRANSPORT_TCP));
}

static void another_name_is_refused_with_a_list_of_all(void **state)
{
    static const struct {
        struct tern_ways ways;
        const char *begins;
        const char *lists;
    } cases[] = {
        {{.transports = "tcp,pigeon"}, "transports: there is no \"pigeon\" here; there is ", "tcp"},
        {{.secure = "none"}, "secure: there is no \"none\" here; there is ", "noise"},
        {{.secure = "noisey"}, "secure: there is no \"noisey\" here; there is ", "plaintext"},
        {{.muxers = "spdy,yamux"}, "muxers: there is no \"spdy\" here; there is ", "yamux"},
        {{.secure = "plaintext", .muxers = "NOISE"}, "muxers: there is no \"NOISE\"", "yamux"},
    };
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        assert_int_equal(apply(cases[i].ways), TERN_ERR_UNSUPPORTED);
        assert_memory_equal(text, cases[i].begins, strlen(cases[i].begins));
        assert_non_null(strstr(text + strlen(cases[i].begins), cases[i].lists));
        assert_int_equal(config.secure[0], TERN_SECURE_NOISE); /* all or nothing */
    }
}

static void an_empty_name_is_none(void **state)
{
    static const char *const texts[] = {"", " ", ",", "tcp,", ",tcp", "tcp,,tcp"};
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(texts); i++)
        assert_int_equal(apply((struct tern_ways){.transports = texts[i]}), TERN_ERR_INVALID);
    assert_int_equal(config.transports, TERN_TRANSPORTS_ALL);
}

static void a_long_name_is_cut_short(void **state)
{
    static char name[1000];
    struct tern_writer none = {.capacity = 0};
    (void)state;
    memset(name, 'x', sizeof name - 1);
    assert_int_equal(apply((struct tern_ways){.muxers = name}), TERN_ERR_UNSUPPORTED);
    assert_non_null(strstr(text, "xxx\" here; there is yamux"));
    assert_int_equal(tern_ways_apply(&(struct tern_ways){.muxers = name}, &config, &none),
                     TERN_ERR_UNSUPPORTED);
}

int main(void)
{
#define WAYS(name) cmocka_unit_test_setup(name, setup)
    const struct CMUnitTest tests[] = {
        WAYS(nothing_said_changes_nothing),
        WAYS(names_are_the_same_everywhere),
        WAYS(what_is_said_is_used_in_that_order),
        WAYS(another_name_is_refused_with_a_list_of_all),
        WAYS(an_empty_name_is_none),
        WAYS(a_long_name_is_cut_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
