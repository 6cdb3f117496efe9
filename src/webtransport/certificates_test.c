#include "webtransport/certificates.h"

#include "quic/quic_testing.h"
#include "tern_test.h"
#include "webtransport/webtransport_testing.h"

#define DAY (24 * TERN_HOUR)

static void roll(struct web_certificates *certificates, tern_wall_time wall, bool expected)
{
    bool rolled;
    assert_ok(web_certificates_roll(certificates, wall, &rolled));
    assert_int_equal(rolled, expected);
}

static void they_follow_from_key_and_time(void **state)
{
    struct tern_mem mem;
    struct web_certificates a;
    struct web_certificates again;
    struct web_certificates other;
    (void)state;
    tern_mem_init(&mem, 0);
    web_certificates_init(&a, &mem, quic_testing_key(1));
    web_certificates_init(&again, &mem, quic_testing_key(1));
    web_certificates_init(&other, &mem, quic_testing_key(2));
    roll(&a, WEB_TESTING_WALL, true);
    roll(&again, web_certificates_until(&a) - 1, true);
    roll(&other, WEB_TESTING_WALL, true);
    assert_memory_equal(a.multihashes, again.multihashes, sizeof a.multihashes);
    assert_memory_not_equal(a.multihashes, other.multihashes, sizeof a.multihashes);
    assert_true(web_certificates_until(&a) != web_certificates_until(&other));
    web_certificates_fini(&a);
    web_certificates_fini(&again);
    web_certificates_fini(&other);
    tern_mem_fini(&mem);
}

static void each_is_good_while_it_is_used(void **state)
{
    struct tern_mem mem;
    struct web_certificates c;
    uint8_t before[WEB_MULTIHASH_SIZE];
    (void)state;
    tern_mem_init(&mem, 0);
    web_certificates_init(&c, &mem, quic_testing_key(1));
    tern_wall_time wall = WEB_TESTING_WALL;
    roll(&c, wall, true);
    roll(&c, wall, false);
    for (int i = 0; i < 5; i++) {
        const struct tern_view hashes[] = {tern_view_of(c.multihashes[1], WEB_MULTIHASH_SIZE)};
        const struct tern_certificate_hashes listed = {.multihashes = hashes, .count = 1};
        struct tern_view der = tern_view_of(c.current.der, c.current.der_size);
        tern_fault fault;
        tern_wall_time until = web_certificates_until(&c);
        assert_true(until > wall && until <= wall + 14 * DAY);
        assert_ok(tern_certificate_check_web(der, wall, &listed, &fault));
        assert_ok(tern_certificate_check_web(der, until, &listed, &fault));
        memcpy(before, c.multihashes[2], sizeof before);
        roll(&c, until - 1, false);
        roll(&c, until, true);
        /* The one that was told of is in use, and what was in use is still known. */
        assert_memory_equal(c.multihashes[1], before, sizeof before);
        wall = until;
    }
    web_certificates_fini(&c);
    tern_mem_fini(&mem);
}

static void times_that_cannot_be(void **state)
{
    struct tern_mem mem;
    struct web_certificates c;
    bool rolled;
    (void)state;
    tern_mem_init(&mem, 0);
    web_certificates_init(&c, &mem, quic_testing_key(1));
    assert_int_equal(web_certificates_roll(&c, TERN_HOUR, &rolled), TERN_ERR_INVALID);
    assert_int_equal(web_certificates_roll(&c, TERN_TIME_NEVER - 1, &rolled), TERN_ERR_INVALID);
    assert_false(rolled);
    web_certificates_fini(&c);
    tern_mem_fini(&mem);
}

static void every_allocation_may_fail(void **state)
{
    struct tern_mem mem;
    struct web_certificates c;
    bool rolled = false;
    (void)state;
    tern_mem_init(&mem, 0);
    web_certificates_init(&c, &mem, quic_testing_key(1));
    roll(&c, WEB_TESTING_WALL, true);
    uint8_t before[WEB_HASHES][WEB_MULTIHASH_SIZE];
    memcpy(before, c.multihashes, sizeof before);
    tern_wall_time until = web_certificates_until(&c);
    for (uint64_t n = 1; !rolled; n++) {
        size_t used = mem.used;
        tern_mem_fail_at(&mem, n, false);
        tern_err err = web_certificates_roll(&c, until, &rolled);
        assert_true(rolled || err == TERN_ERR_MEMORY);
        if (!rolled)
            assert_int_equal(mem.used, used);
        if (!rolled)
            assert_memory_equal(c.multihashes, before, sizeof before);
    }
    tern_mem_fail_at(&mem, 0, false);
    web_certificates_fini(&c);
    tern_mem_fini(&mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_follow_from_key_and_time),
        cmocka_unit_test(each_is_good_while_it_is_used),
        cmocka_unit_test(times_that_cannot_be),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
