#include "webrtc/webrtc_certificate.h"

#include "tern_test.h"

static void key_of(unsigned n, struct tern_private_key *key)
{
    uint8_t seed[32] = {(uint8_t)n};
    tern_private_key_of_ed25519_seed(seed, key);
}

static void a_host_has_one_certificate_for_ever(void **state)
{
    (void)state;
    struct tern_mem mem;
    struct tern_certificate certificates[3];
    tern_mem_init(&mem, 0);
    for (unsigned i = 0; i < 3; i++) {
        struct tern_private_key key;
        key_of(i / 2, &key); /* 0, 0, 1 */
        assert_ok(tern_webrtc_certificate_make(&mem, &key, &certificates[i]));
        tern_private_key_fini(&key);
    }
    assert_memory_equal(certificates[0].sha256, certificates[1].sha256, TERN_SHA256_SIZE);
    assert_memory_not_equal(certificates[0].sha256, certificates[2].sha256, TERN_SHA256_SIZE);
    for (unsigned i = 0; i < 3; i++)
        tern_certificate_fini(&certificates[i]);
    tern_mem_fini(&mem);
}

static void dtls_takes_it(void **state)
{
    (void)state;
    struct tern_mem mem;
    struct tern_private_key key;
    struct tern_certificate certificate;
    struct tern_dtls_context *context;
    tern_mem_init(&mem, 0);
    key_of(1, &key);
    assert_ok(tern_webrtc_certificate_make(&mem, &key, &certificate));
    const struct tern_dtls_certificate view = tern_webrtc_certificate_view(&certificate);
    assert_ok(tern_dtls_context_new(&mem, &view, &context));
    assert_memory_equal(tern_dtls_context_fingerprint(context), certificate.sha256,
                        TERN_SHA256_SIZE);
    tern_dtls_context_unref(context);
    tern_certificate_fini(&certificate);
    tern_private_key_fini(&key);
    tern_mem_fini(&mem);
}

static void it_needs_memory(void **state)
{
    (void)state;
    struct tern_private_key key;
    key_of(1, &key);
    for (uint64_t n = 1;; n++) {
        struct tern_mem mem;
        struct tern_certificate certificate;
        tern_mem_init(&mem, 0);
        tern_mem_fail_at(&mem, n, false);
        tern_err err = tern_webrtc_certificate_make(&mem, &key, &certificate);
        if (err == TERN_OK)
            tern_certificate_fini(&certificate);
        else
            assert_int_equal(err, TERN_ERR_MEMORY);
        tern_mem_fini(&mem);
        if (err == TERN_OK)
            break;
        assert_true(n < 20);
    }
    tern_private_key_fini(&key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_has_one_certificate_for_ever),
        cmocka_unit_test(dtls_takes_it),
        cmocka_unit_test(it_needs_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
