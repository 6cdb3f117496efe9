/*
 * OpenSSL takes memory by itself, outside tern_mem. Here its allocations fail in turn, while
 * contexts are made and during handshakes: no certificate is taken that would not be taken
 * otherwise, and nothing is left behind.
 */
#include "web_world.h"

#include <openssl/crypto.h>
#include <openssl/err.h>

static size_t allocations; /* since the count was last set */
static size_t fail_at;     /* 0: none */

static bool allocation_fails(void)
{
    allocations++;
    return allocations == fail_at;
}

static void *counting_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return allocation_fails() ? NULL : malloc(size);
}

static void *counting_realloc(void *ptr, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return allocation_fails() ? NULL : realloc(ptr, size);
}

static void counting_free(void *ptr, const char *file, int line)
{
    (void)file;
    (void)line;
    free(ptr);
}

/* Thousands of allocations: every eleventh one is tried. */
enum { ALLOCATIONS_MAX = 20000, ALLOCATIONS_STEP = 11 };

/* True: the client took the server's certificate. */
static bool shake(struct web_world *w)
{
    w->pump.whole_segments = true;
    if (web_world_open(w))
        pump_run(&w->pump);
    bool done = w->pump.ends[CLIENT].done;
    web_world_close(w);
    return done;
}

static void handshakes_survive_every_lack_of_memory(void **state)
{
    (void)state;
    static const char *const names[] = {"DNS:" WEB_HOST, "DNS:other.example"};
    for (int i = 0; i < 2; i++) {
        struct web_world *w = web_world_new(1);
        web_world_certify(w, &(struct web_certificate){.names = names[i]});
        assert_int_equal(shake(w), i == 0); /* OpenSSL loads what it keeps for good */
        size_t before = w->mem.used;
        bool reached = true;
        size_t n = 1;
        for (; n < ALLOCATIONS_MAX && reached; n += ALLOCATIONS_STEP) {
            allocations = 0;
            fail_at = n;
            bool done = shake(w);
            reached = allocations >= n;
            fail_at = 0;
            assert_false(i == 1 && done);
            assert_int_equal(w->mem.used, before);
        }
        assert_true(n > 100 && !reached);
        web_world_free(w);
    }
}

static void contexts_survive_every_lack_of_memory(void **state)
{
    (void)state;
    struct web_world *w = web_world_new(1);
    const struct tern_web_tls_config config = {.roots = web_chain_view(&w->root)};
    const struct tern_web_credentials credentials = {web_chain_view(&w->leaf),
                                                     web_key_view(&w->leaf)};
    bool reached = true;
    size_t made = 0;
    for (size_t n = 1; n < ALLOCATIONS_MAX && reached; n += ALLOCATIONS_STEP) {
        struct tern_web_tls web;
        allocations = 0;
        fail_at = n;
        tern_err err = tern_web_tls_init(&web, &config);
        if (err == TERN_OK) {
            err = tern_web_tls_set_credentials(&web, &credentials);
            assert_int_equal(tern_web_tls_serves(&web), err == TERN_OK);
            tern_web_tls_fini(&web);
        }
        reached = allocations >= n;
        fail_at = 0;
        made += err == TERN_OK;
        ERR_clear_error();
    }
    assert_false(reached);
    assert_true(made > 0);
    web_world_free(w);
}

int main(void)
{
    if (CRYPTO_set_mem_functions(counting_malloc, counting_realloc, counting_free) != 1)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handshakes_survive_every_lack_of_memory),
        cmocka_unit_test(contexts_survive_every_lack_of_memory),
    };
    return cmocka_run_group_tests_name("web_tls_memory", tests, NULL, NULL);
}
