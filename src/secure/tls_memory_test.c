/*
 * GnuTLS and OpenSSL take memory by themselves, outside tern_mem. Here their allocations during a
 * handshake fail in turn, at either end: nobody is taken for somebody, nothing is left behind, and
 * a lack of memory is not told as the peer's fault where the library says that it was one. What
 * lies below GnuTLS is left out: libtasn1 takes memory from the C library, and GMP ends the process
 * when it gets none.
 */
#include "tls_world.h"

#include <gnutls/gnutls.h>
#include <openssl/crypto.h>

/* For the sanitizer of leaks, whose library finds it by its name: GnuTLS 3.7.9 forgets a buffer in
 * one place when it lacks memory. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void); /* NOLINT */
const char *__lsan_default_suppressions(void)                                         /* NOLINT */
{
    return "leak:libgnutls.so";
}

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

/* GnuTLS's, which are blocks of the C library's, too: those that it has taken before main are freed
 * like others. */
static void *gnutls_counting_malloc(size_t size)
{
    return allocation_fails() ? NULL : malloc(size);
}

static void *gnutls_counting_calloc(size_t count, size_t size)
{
    return allocation_fails() ? NULL : calloc(count, size);
}

static void *gnutls_counting_realloc(void *ptr, size_t size)
{
    return allocation_fails() ? NULL : realloc(ptr, size);
}

/* A handshake takes about 730 allocations at both ends together. */
enum { ALLOCATIONS_MAX = 20000, BLAMED_MAX = 20 };

/* Does a handshake. Its faults are counted as blame unless they say what the other end, which
 * lacked memory, could not do. */
static size_t shake(struct world *w)
{
    size_t blamed = 0;
    w->pump.whole_segments = true;
    bool opened = world_open(w);
    if (opened)
        pump_run(&w->pump);
    for (int i = 0; i < 2 && opened; i++) {
        const struct pump_end *end = &w->pump.ends[i];
        tern_fault fault = fault_of(w, i);
        if (end->done)
            assert_true(tern_peer_id_equal(remote(w, i)->peer_id, &w->ids[1 - i]));
        if (end->err != TERN_OK && fault != TERN_FAULT_NONE && fault != TERN_FAULT_TLS_REFUSED)
            blamed++;
    }
    world_close(w);
    return blamed;
}

static void handshakes_survive_every_lack_of_memory(void **state)
{
    (void)state;
    struct world *w = world_new(TERN_KEY_ED25519, 1);
    w->options[INIT].expected_peer = &w->ids[RESP];
    size_t before = w->mem.used;
    size_t blamed = 0;
    size_t n = 1;
    assert_int_equal(shake(w), 0); /* what the libraries keep for good is loaded */
    for (; n < ALLOCATIONS_MAX; n++) {
        allocations = 0;
        fail_at = n;
        blamed += shake(w);
        bool reached = allocations >= n;
        fail_at = 0;
        assert_int_equal(w->mem.used, before);
        if (!reached)
            break;
    }
    assert_true(n > 100 && n < ALLOCATIONS_MAX);
    /* GnuTLS calls a signature bad that it has no memory to verify, and in a few places either
     * library gives a wrong reason. */
    if (blamed > BLAMED_MAX)
        fail_msg("%zu of %zu failures were told as the peer's", blamed, n);
    world_free(w);
}

static void an_identity_survives_every_lack_of_memory(void **state)
{
    (void)state;
    struct world *w = world_new(TERN_KEY_ED25519, 1);
    const struct tern_tls_identity_options options = {
        .mem = &w->mem, .random = &w->random, .host_key = &w->keys[0]};
    size_t before = w->mem.used;
    bool reached = true;
    for (size_t n = 1; n < ALLOCATIONS_MAX && reached; n++) {
        struct tern_tls_identity identity;
        allocations = 0;
        fail_at = n;
        tern_err err = tern_tls_identity_init(&identity, &options);
        reached = allocations >= n;
        fail_at = 0;
        if (err == TERN_OK)
            tern_tls_identity_fini(&identity);
        else
            assert_true(err == TERN_ERR_MEMORY || err == TERN_ERR_INTERNAL ||
                        err == TERN_ERR_BAD_KEY);
        assert_int_equal(w->mem.used, before);
    }
    assert_false(reached);
    world_free(w);
}

/* Nor of our own. */
static void an_identity_may_find_no_memory(void **state)
{
    (void)state;
    struct world *w = world_new(TERN_KEY_ED25519, 1);
    const struct tern_tls_identity_options options = {
        .mem = &w->mem, .random = &w->random, .host_key = &w->keys[0]};
    size_t before = w->mem.used;
    tern_err err = TERN_ERR_MEMORY;
    for (uint64_t n = 1; err != TERN_OK; n++) {
        struct tern_tls_identity identity;
        assert_true(n < 100);
        tern_mem_fail_at(&w->mem, n, false);
        err = tern_tls_identity_init(&identity, &options);
        tern_mem_fail_at(&w->mem, 0, false);
        if (err == TERN_OK)
            tern_tls_identity_fini(&identity);
        else
            assert_int_equal(err, TERN_ERR_MEMORY);
        assert_int_equal(w->mem.used, before);
    }
    world_free(w);
}

int main(void)
{
    if (CRYPTO_set_mem_functions(counting_malloc, counting_realloc, counting_free) != 1)
        return 1;
    gnutls_malloc = gnutls_counting_malloc;
    gnutls_calloc = gnutls_counting_calloc;
    gnutls_realloc = gnutls_counting_realloc;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handshakes_survive_every_lack_of_memory),
        cmocka_unit_test(an_identity_survives_every_lack_of_memory),
        cmocka_unit_test(an_identity_may_find_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
