/*
 * OpenSSL takes memory by itself, outside tern_mem. Here each of its allocations fails in turn:
 * everything that can report it does so, and nothing is left behind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <openssl/crypto.h>

#include "crypto/aead.h"
#include "crypto/key.h"
#include "crypto/key_vectors.h"
#include "crypto/test_hex.h"

#include <cmocka.h>

enum { HEX_SIZE_MAX = 4096, ALLOCATIONS_MAX = 5000 };

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

/* Runs a scenario with the first, second, … allocation failing, until it takes fewer than that. The
 * first, undisturbed run lets OpenSSL load what it keeps for good. */
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
        /* OpenSSL did without, or it is told as what it is. In a few places OpenSSL fails without
         * leaving a reason; then a key looks bad or signing fails, but no signature changes its
         * verdict. */
        if (err != TERN_OK && err != TERN_ERR_MEMORY && err != TERN_ERR_BAD_KEY &&
            err != TERN_ERR_INTERNAL)
            fail_msg("allocation %zu: %s", n, tern_err_name(err));
    }
    fail_msg("the scenario does not end");
}

static tern_err verify_vector(size_t i, const char *message)
{
    return tern_verify_encoded(TEST_HEX(key_vectors[i].public_key, HEX_SIZE_MAX),
                               tern_view_str(message),
                               TEST_HEX(key_vectors[i].signature, HEX_SIZE_MAX));
}

static tern_err verify_all(void)
{
    tern_err first = TERN_OK;
    for (size_t i = 0; i < TERN_COUNT_OF(key_vectors); i++) {
        tern_err err = verify_vector(i, KEY_VECTOR_MESSAGE);
        first = first == TERN_OK ? err : first;
    }
    return first;
}

/* Good only if every forgery is refused. */
static tern_err refuse_all(void)
{
    for (size_t i = 0; i < TERN_COUNT_OF(key_vectors); i++) {
        if (verify_vector(i, "another message") == TERN_OK)
            return TERN_ERR_PROTOCOL;
    }
    return TERN_OK;
}

static tern_err sign_with(size_t i)
{
    struct tern_private_key key;
    uint8_t bytes[TERN_SIGNATURE_SIZE_MAX];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    TERN_TRY(tern_private_key_decode(TEST_HEX(key_vectors[i].private_key, HEX_SIZE_MAX), &key));
    tern_err err = tern_private_key_sign(&key, tern_view_str("a"), &w);
    tern_private_key_fini(&key);
    return err;
}

static tern_err sign_ecdsa(void)
{
    return sign_with(2);
}

static tern_err sign_rsa(void)
{
    return sign_with(3);
}

static tern_err generate(void)
{
    struct tern_random random;
    struct tern_private_key key;
    tern_random_init_u64(&random, 1);
    TERN_TRY(tern_private_key_generate(TERN_KEY_ECDSA, &random, &key));
    tern_private_key_fini(&key);
    return TERN_OK;
}

static tern_err engine(void)
{
    struct tern_aead_engine engine;
    TERN_TRY(tern_aead_engine_init(&engine));
    tern_aead_engine_fini(&engine);
    return TERN_OK;
}

static void verifying_survives_every_lack_of_memory(void **state)
{
    (void)state;
    fail_each(verify_all);
}

static void forgeries_are_refused_under_every_lack_of_memory(void **state)
{
    (void)state;
    fail_each(refuse_all);
}

static void signing_survives_every_lack_of_memory(void **state)
{
    (void)state;
    fail_each(sign_ecdsa);
    fail_each(sign_rsa);
}

static void generating_survives_every_lack_of_memory(void **state)
{
    (void)state;
    fail_each(generate);
}

static void an_engine_survives_every_lack_of_memory(void **state)
{
    (void)state;
    fail_each(engine);
}

int main(void)
{
    if (CRYPTO_set_mem_functions(counting_malloc, counting_realloc, counting_free) != 1)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verifying_survives_every_lack_of_memory),
        cmocka_unit_test(forgeries_are_refused_under_every_lack_of_memory),
        cmocka_unit_test(signing_survives_every_lack_of_memory),
        cmocka_unit_test(generating_survives_every_lack_of_memory),
        cmocka_unit_test(an_engine_survives_every_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
