/* Counting inbound connections by subnet: limits, rates, and a table that stays bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"
#include "swarm/subnets.h"

struct table {
    struct tern_mem mem;
    struct tern_swarm_limits limits;
    struct swarm_subnets subnets;
};

static const uint64_t table_key[2] = {1, 2};

static int table_up(void **state)
{
    struct table *t = calloc(1, sizeof *t);
    tern_mem_init(&t->mem, 0);
    tern_subnets_init(&t->subnets, &t->mem, table_key, &t->limits);
    *state = t;
    return 0;
}

static int table_down(void **state)
{
    struct table *t = *state;
    tern_subnets_fini(&t->subnets);
    tern_mem_fini(&t->mem);
    free(t);
    return 0;
}

static struct tern_ip ip(const char *text)
{
    struct tern_ip out;
    assert_int_equal(tern_ip_parse(tern_view_str(text), &out), TERN_OK);
    return out;
}

/* come lets one in, if it may come. */
static tern_err come(struct table *t, tern_time now, const char *text,
                     struct swarm_subnets_refusal *why)
{
    struct tern_ip from = ip(text);
    tern_err err = tern_subnets_check(&t->subnets, now, &from, why);
    if (err == TERN_OK)
        err = tern_subnets_enter(&t->subnets, now, &from);
    return err;
}

static void go(struct table *t, tern_time now, const char *text)
{
    struct tern_ip from = ip(text);
    tern_subnets_settle(&t->subnets, &from);
    tern_subnets_leave(&t->subnets, now, &from);
}

/* One row for each size: addresses of one subnet, one outside it. */
static const struct {
    enum tern_subnet_level level;
    uint8_t bits;
    const char *inside[3];
    const char *outside;
    const char *subnet;
} sizes[] = {
    {TERN_SUBNET_IP4_32, 32, {"6.6.6.6", "6.6.6.6", "::ffff:6.6.6.6"}, "6.6.6.7", "6.6.6.6"},
    {TERN_SUBNET_IP4_24, 24, {"6.6.6.6", "6.6.6.7", "6.6.6.255"}, "6.6.7.6", "6.6.6.0"},
    {TERN_SUBNET_IP6_64,
     64,
     {"2a00:1:2:3::1", "2a00:1:2:3::2", "2a00:1:2:3:ffff::"},
     "2a00:1:2:4::1",
     "2a00:1:2:3::"},
    {TERN_SUBNET_IP6_56,
     56,
     {"2a00:1:2:300::1", "2a00:1:2:301::1", "2a00:1:2:3ff::1"},
     "2a00:1:2:400::1",
     "2a00:1:2:300::"},
    {TERN_SUBNET_IP6_48,
     48,
     {"2a00:1:2:1::1", "2a00:1:2:2::1", "2a00:1:2:ffff::1"},
     "2a00:1:3::1",
     "2a00:1:2::"},
};

static void each_size_has_its_limit_of_connections(void **state)
{
    struct table *t = *state;
    for (size_t i = 0; i < TERN_COUNT_OF(sizes); i++) {
        struct swarm_subnets_refusal why;
        t->limits.subnets[sizes[i].level].connections_max = 2;
        assert_int_equal(come(t, 1, sizes[i].inside[0], &why), TERN_OK);
        assert_int_equal(come(t, 1, sizes[i].inside[1], &why), TERN_OK);
        assert_int_equal(come(t, 1, sizes[i].inside[2], &why), TERN_ERR_SCOPE_CONNECTIONS);
        assert_int_equal(why.bits, sizes[i].bits);
        assert_int_equal(why.used, 2);
        struct tern_ip subnet = ip(sizes[i].subnet);
        assert_true(tern_ip_equal(&why.ip, &subnet));
        assert_int_equal(tern_subnets_connections(&t->subnets, &subnet, sizes[i].level), 2);
        assert_int_equal(come(t, 1, sizes[i].outside, &why), TERN_OK);
        go(t, 1, sizes[i].inside[0]);
        assert_int_equal(come(t, 1, sizes[i].inside[2], &why), TERN_OK);
        go(t, 1, sizes[i].inside[2]);
        go(t, 1, sizes[i].inside[1]);
        go(t, 1, sizes[i].outside);
        t->limits.subnets[sizes[i].level].connections_max = 0;
        assert_int_equal(t->subnets.count, 0);
    }
}

static void each_size_has_its_rate(void **state)
{
    struct table *t = *state;
    for (size_t i = 0; i < TERN_COUNT_OF(sizes); i++) {
        struct tern_rate *rate = &t->limits.subnets[sizes[i].level].handshakes;
        struct swarm_subnets_refusal why;
        tern_time now = (i + 1) * TERN_HOUR;
        *rate = (struct tern_rate){.per_minute = 6, .burst = 3};
        for (int n = 0; n < 3; n++) { /* so many at once, though none stays */
            assert_int_equal(come(t, now, sizes[i].inside[n], &why), TERN_OK);
            go(t, now, sizes[i].inside[n]);
        }
        assert_int_equal(come(t, now, sizes[i].inside[0], &why), TERN_ERR_RATE);
        assert_int_equal(why.bits, sizes[i].bits);
        assert_int_equal(come(t, now, sizes[i].outside, &why), TERN_OK);
        go(t, now, sizes[i].outside);
        /* then one in ten seconds */
        assert_int_equal(come(t, now + 10 * TERN_SECOND - 1, sizes[i].inside[0], &why),
                         TERN_ERR_RATE);
        assert_int_equal(come(t, now + 10 * TERN_SECOND, sizes[i].inside[0], &why), TERN_OK);
        go(t, now + 10 * TERN_SECOND, sizes[i].inside[0]);
        assert_int_equal(come(t, now + 10 * TERN_SECOND, sizes[i].inside[0], &why), TERN_ERR_RATE);
        *rate = (struct tern_rate){.per_minute = 0};
    }
}

static void everybody_together_has_a_rate(void **state)
{
    struct table *t = *state;
    struct swarm_subnets_refusal why;
    t->limits.handshakes = (struct tern_rate){.per_minute = 60, .burst = 10};
    char text[32];
    int in = 0;
    for (int i = 0; i < 200; i++) {
        snprintf(text, sizeof text, "7.%d.0.1", i);
        in += come(t, TERN_HOUR, text, &why) == TERN_OK;
    }
    assert_int_equal(in, 10);
    assert_int_equal(why.limit, TERN_LIMIT_HANDSHAKES_PER_MINUTE);
    assert_int_equal(why.bits, 0);
    assert_int_equal(come(t, TERN_HOUR + TERN_SECOND, text, &why), TERN_OK);
}

static void strain_shows_before_the_limit(void **state)
{
    struct table *t = *state;
    struct swarm_subnets_refusal why;
    struct tern_ip from = ip("6.6.6.6");
    t->limits.subnets[TERN_SUBNET_IP4_32].handshakes =
        (struct tern_rate){.per_minute = 60, .burst = 10};
    for (int i = 0; i < 5; i++) {
        assert_false(tern_subnets_strained(&t->subnets, TERN_HOUR, &from));
        assert_int_equal(come(t, TERN_HOUR, "6.6.6.6", &why), TERN_OK);
    }
    assert_true(tern_subnets_strained(&t->subnets, TERN_HOUR, &from));
    from = ip("6.6.6.7");
    assert_false(tern_subnets_strained(&t->subnets, TERN_HOUR, &from));
    t->limits.subnets[TERN_SUBNET_IP4_24].connections_max = 10;
    assert_true(tern_subnets_strained(&t->subnets, TERN_HOUR, &from));
}

static void transient_ones_are_counted_apart(void **state)
{
    struct table *t = *state;
    struct swarm_subnets_refusal why;
    struct tern_ip from = ip("6.6.6.6");
    assert_int_equal(come(t, 1, "6.6.6.6", &why), TERN_OK);
    assert_int_equal(come(t, 1, "6.6.6.6", &why), TERN_OK);
    assert_int_equal(tern_subnets_transient(&t->subnets, &from, TERN_SUBNET_IP4_32), 2);
    tern_subnets_settle(&t->subnets, &from);
    assert_int_equal(tern_subnets_transient(&t->subnets, &from, TERN_SUBNET_IP4_32), 1);
    assert_int_equal(tern_subnets_connections(&t->subnets, &from, TERN_SUBNET_IP4_32), 2);
    assert_int_equal(tern_subnets_connections(&t->subnets, &from, TERN_SUBNET_IP6_56), 0);
}

static void the_largest_numbers_do_not_overflow(void **state)
{
    struct table *t = *state;
    struct swarm_subnets_refusal why;
    const struct tern_rate rates[] = {
        {1, UINT32_MAX}, {UINT32_MAX, UINT32_MAX}, {UINT32_MAX, 1}, {1, 0}};
    for (size_t i = 0; i < TERN_COUNT_OF(rates); i++) {
        t->limits.handshakes = t->limits.subnets[TERN_SUBNET_IP4_24].handshakes = rates[i];
        t->subnets.full_at = 0;
        char text[32];
        snprintf(text, sizeof text, "6.6.%zu.6", i);
        assert_int_equal(come(t, TERN_HOUR, text, &why), TERN_OK);
    }
}

/* A flood from ever new subnets, none of which stays: the table does not follow it. */
static void a_flood_from_many_subnets_does_not_grow_the_table(void **state)
{
    struct table *t = *state;
    struct swarm_subnets_refusal why;
    struct tern_random random;
    tern_random_init_u64(&random, 7);
    for (int level = 0; level < TERN_SUBNET_LEVELS; level++)
        t->limits.subnets[level].handshakes = (struct tern_rate){.per_minute = 1, .burst = 10};
    for (int i = 0; i < 200000; i++) {
        char text[64];
        uint64_t r = tern_random_u64(&random);
        snprintf(text, sizeof text, "2a00:%x:%x:%x::1", (unsigned)(r & 0xffff),
                 (unsigned)(r >> 16 & 0xffff), (unsigned)(r >> 32 & 0xffff));
        assert_int_equal(come(t, TERN_HOUR + (tern_time)i * TERN_MILLISECOND, text, &why), TERN_OK);
        go(t, TERN_HOUR + (tern_time)i * TERN_MILLISECOND, text);
    }
    assert_true(t->subnets.count < 9000);
    assert_true(t->mem.used <= 16384 * sizeof(struct swarm_subnet));
    assert_true(sizeof(struct swarm_subnet) <= 24);
}

/* What nobody knows anything of any more goes by and by. */
static void what_has_recovered_is_forgotten(void **state)
{
    struct table *t = *state;
    struct swarm_subnets_refusal why;
    t->limits.subnets[TERN_SUBNET_IP4_32].handshakes =
        (struct tern_rate){.per_minute = 60, .burst = 10};
    char text[32];
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "6.6.%d.%d", i / 250, i % 250);
        assert_int_equal(come(t, TERN_HOUR, text, &why), TERN_OK);
        go(t, TERN_HOUR, text);
    }
    assert_int_equal(t->subnets.idle_count, 1000);
    for (int i = 0; i < 400; i++) {
        assert_int_equal(come(t, 2 * TERN_HOUR, "7.7.7.7", &why), TERN_OK);
        go(t, 2 * TERN_HOUR, "7.7.7.7");
        t->subnets.full_at = 0;
        t->limits.subnets[TERN_SUBNET_IP4_32].handshakes.per_minute = 0;
    }
    assert_true(t->subnets.count < 10);
}

/* Against a model: plain counts by address. */
static void counts_are_right_whatever_comes_and_goes(void **state)
{
    struct table *t = *state;
    struct tern_random random;
    uint32_t counts[16][16] = {{0}};
    uint32_t total = 0;
    tern_random_init_u64(&random, 3);
    for (int step = 0; step < 200000; step++) {
        uint32_t a = (uint32_t)tern_random_below(&random, 16);
        uint32_t b = (uint32_t)tern_random_below(&random, 16);
        struct tern_ip from = {.family = 4, .bytes = {9, 9, (uint8_t)a, (uint8_t)b}};
        if (tern_random_chance(&random, 1, 2)) {
            assert_int_equal(tern_subnets_enter(&t->subnets, (tern_time)step, &from), TERN_OK);
            tern_subnets_settle(&t->subnets, &from);
            counts[a][b]++;
            total++;
        } else if (counts[a][b] > 0) {
            tern_subnets_leave(&t->subnets, (tern_time)step, &from);
            counts[a][b]--;
            total--;
        }
        uint32_t subnet = 0;
        for (int i = 0; i < 16; i++)
            subnet += counts[a][i];
        assert_int_equal(tern_subnets_connections(&t->subnets, &from, TERN_SUBNET_IP4_32),
                         counts[a][b]);
        assert_int_equal(tern_subnets_connections(&t->subnets, &from, TERN_SUBNET_IP4_24), subnet);
    }
    for (uint32_t a = 0; a < 16; a++)
        for (uint32_t b = 0; b < 16; b++)
            for (; counts[a][b] > 0; counts[a][b]--) {
                struct tern_ip from = {.family = 4, .bytes = {9, 9, (uint8_t)a, (uint8_t)b}};
                tern_subnets_leave(&t->subnets, TERN_HOUR, &from);
                total--;
            }
    assert_int_equal(total, 0);
    assert_int_equal(t->subnets.count, 0);
}

static void without_memory_nothing_is_counted(void **state)
{
    struct table *t = *state;
    struct tern_ip from = ip("6.6.6.6");
    tern_mem_fail_at(&t->mem, 1, false);
    assert_int_equal(tern_subnets_enter(&t->subnets, 1, &from), TERN_ERR_MEMORY);
    assert_int_equal(t->subnets.count, 0);
    tern_mem_fail_at(&t->mem, 0, false);
    for (int i = 0; i < 20; i++) { /* to the brink of growing */
        from.bytes[2] = (uint8_t)i;
        assert_int_equal(tern_subnets_enter(&t->subnets, 1, &from), TERN_OK);
    }
    uint32_t count = t->subnets.count;
    bool failed = false;
    for (int i = 20; i < 60; i++) {
        from.bytes[2] = (uint8_t)i;
        tern_mem_fail_at(&t->mem, 1, false);
        tern_err err = tern_subnets_enter(&t->subnets, 1, &from);
        failed = failed || err == TERN_ERR_MEMORY;
        if (err == TERN_ERR_MEMORY)
            assert_int_equal(t->subnets.count, count);
        count = t->subnets.count;
    }
    tern_mem_fail_at(&t->mem, 0, false);
    assert_true(failed);
}

#define T(f) cmocka_unit_test_setup_teardown(f, table_up, table_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(each_size_has_its_limit_of_connections),
        T(each_size_has_its_rate),
        T(everybody_together_has_a_rate),
        T(strain_shows_before_the_limit),
        T(transient_ones_are_counted_apart),
        T(the_largest_numbers_do_not_overflow),
        T(a_flood_from_many_subnets_does_not_grow_the_table),
        T(what_has_recovered_is_forgotten),
        T(counts_are_right_whatever_comes_and_goes),
        T(without_memory_nothing_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
