/*
 * OpenSSL's allocations fail in turn while certificates are made and checked, as key_memory_test.c
 * has it for keys: no verdict turns good, nobody is blamed for our lack of memory where OpenSSL
 * says that it was.
 */
#include <stdlib.h>

#include <openssl/crypto.h>

#include "crypto/certificate_test_forge.h"

enum { ALLOCATIONS_MAX = 5000, KINDS = 3 };

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

struct world {
    struct tern_mem mem;
    struct tern_private_key host;
    struct tern_view good[KINDS]; /* on P-256, on P-384, RSA */
    struct tern_view bad[KINDS];  /* the same, each signed by another key */
    uint8_t bytes[2 * KINDS][4096];
};

static struct world world;

static void world_init(void)
{
    struct tern_random random;
    tern_random_init_u64(&random, 1);
    tern_mem_init(&world.mem, 0);
    assert_int_equal(tern_private_key_generate(TERN_KEY_ED25519, &random, &world.host), TERN_OK);
    for (size_t i = 0; i < KINDS; i++) {
        EVP_PKEY *keys[2];
        for (size_t k = 0; k < 2; k++)
            keys[k] = i == 2 ? forge_rsa(2048) : forge_key("EC", i == 0 ? "P-256" : "P-384");
        struct forge f = {.key = keys[0], .md = i == 0 ? "SHA256" : "SHA384", .host = &world.host};
        world.good[i] = forge_make(&f, (struct tern_span){world.bytes[2 * i], 4096});
        f.signer = keys[1];
        world.bad[i] = forge_make(&f, (struct tern_span){world.bytes[2 * i + 1], 4096});
        for (size_t k = 0; k < 2; k++)
            EVP_PKEY_free(keys[k]);
    }
}

static void world_fini(void)
{
    tern_private_key_fini(&world.host);
    tern_mem_fini(&world.mem);
}

/* Runs a scenario with the first, second, … allocation failing, until it takes fewer than that. */
static void fail_each(tern_err (*scenario)(void))
{
    fail_at = 0;
    assert_int_equal(scenario(), TERN_OK);
    for (size_t n = 1; n < ALLOCATIONS_MAX; n++) {
        allocations = 0;
        fail_at = n;
        tern_err err = scenario();
        bool reached = allocations >= n;
        fail_at = 0;
        if (!reached) {
            assert_int_equal(err, TERN_OK);
            return;
        }
        if (err != TERN_OK && err != TERN_ERR_MEMORY && err != TERN_ERR_BAD_KEY)
            fail_msg("allocation %zu: %s", n, tern_err_name(err));
    }
    fail_msg("the scenario does not end");
}

static tern_err check(struct tern_view der)
{
    struct tern_public_key key;
    tern_fault fault;
    tern_err err = tern_certificate_check(der, 0, &key, &fault);
    if (err == TERN_OK)
        tern_public_key_fini(&key);
    if (err == TERN_ERR_MEMORY)
        assert_int_equal(fault, TERN_FAULT_NONE);
    return err;
}

static tern_err check_all(void)
{
    tern_err first = TERN_OK;
    for (size_t i = 0; i < KINDS; i++) {
        tern_err err = check(world.good[i]);
        first = first == TERN_OK ? err : first;
    }
    return first;
}

/* Good only if every forgery is refused. */
static tern_err refuse_all(void)
{
    for (size_t i = 0; i < KINDS; i++)
        if (check(world.bad[i]) == TERN_OK)
            return TERN_ERR_PROTOCOL;
    return TERN_OK;
}

static tern_err make(void)
{
    struct tern_random random;
    struct tern_certificate certificate;
    tern_random_init_u64(&random, 2);
    tern_err err =
        tern_certificate_make(&(struct tern_certificate_options){.kind = TERN_CERTIFICATE_LIBP2P,
                                                                 .mem = &world.mem,
                                                                 .random = &random,
                                                                 .host_key = &world.host},
                              &certificate);
    if (err == TERN_OK)
        tern_certificate_fini(&certificate);
    assert_int_equal(world.mem.used, 0);
    return err;
}

static void checking_survives_every_lack_of_memory(void **state)
{
    (void)state;
    fail_each(check_all);
}

static void forgeries_are_refused_under_every_lack_of_memory(void **state)
{
    (void)state;
    fail_each(refuse_all);
}

static void making_survives_every_lack_of_memory(void **state)
{
    (void)state;
    fail_each(make);
}

int main(void)
{
    if (CRYPTO_set_mem_functions(counting_malloc, counting_realloc, counting_free) != 1)
        return 1;
    world_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checking_survives_every_lack_of_memory),
        cmocka_unit_test(forgeries_are_refused_under_every_lack_of_memory),
        cmocka_unit_test(making_survives_every_lack_of_memory),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    world_fini();
    return failed;
}
