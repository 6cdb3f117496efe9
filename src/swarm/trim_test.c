/* Tags and their decay, protection, trimming, room for newcomers, rotation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "swarm/crowd_test_support.h"
#include "swarm/private.h"
#include "swarm/world_test_support.h"

/* --- how tags fall --- */

static void each_rule_falls_as_it_says(void **state)
{
    (void)state;
    static const struct {
        enum tern_tag_decay decay;
        uint32_t amount;
        int32_t value;
        int32_t after[6]; /* that many intervals, and a bit */
    } rows[] = {
        {TERN_TAG_STAYS, 0, 10, {10, 10, 10, 10, 10, 10}},
        {TERN_TAG_FIXED, 3, 10, {10, 7, 4, 1, 0, 0}},
        {TERN_TAG_FIXED, 0, 10, {10, 10, 10, 10, 10, 10}},
        {TERN_TAG_FIXED, 3, -10, {-10, -7, -4, -1, 0, 0}},
        {TERN_TAG_LINEAR, 25, 200, {200, 150, 100, 50, 0, 0}},
        {TERN_TAG_LINEAR, 40, 100, {100, 60, 20, 0, 0, 0}},
        {TERN_TAG_EXPONENTIAL, 50, 100, {100, 50, 25, 12, 6, 3}},
        {TERN_TAG_EXPONENTIAL, 10, 1000, {1000, 899, 809, 728, 656, 590}},
        {TERN_TAG_EXPONENTIAL, 100, 1000, {1000, 0, 0, 0, 0, 0}},
        {TERN_TAG_EXPONENTIAL, 50, -100, {-100, -50, -25, -12, -6, -3}},
    };
    for (size_t r = 0; r < TERN_COUNT_OF(rows); r++) {
        const struct tern_tag_rule rule = {.name = "test",
                                           .decay = rows[r].decay,
                                           .interval_ns = TERN_MINUTE,
                                           .amount = rows[r].amount};
        for (uint64_t n = 0; n < 6; n++) {
            int32_t left = tern_tag_value_at(&rule, rows[r].value, n * TERN_MINUTE + 1);
            int32_t expected = rows[r].after[n];
            /* Powers of what has no end in binary may be one below. */
            assert_true(left == expected ||
                        (rule.decay == TERN_TAG_EXPONENTIAL && abs(left - expected) <= 1));
        }
    }
}

static void extremes_neither_wrap_nor_rise(void **state)
{
    (void)state;
    static const int32_t values[] = {INT32_MAX, INT32_MIN, 1, -1};
    static const uint32_t amounts[] = {0, 1, 99, 100, UINT32_MAX};
    for (int decay = TERN_TAG_STAYS; decay <= TERN_TAG_EXPONENTIAL; decay++)
        for (size_t v = 0; v < TERN_COUNT_OF(values); v++)
            for (size_t a = 0; a < TERN_COUNT_OF(amounts); a++) {
                bool percent = decay >= TERN_TAG_LINEAR && amounts[a] > 100;
                const struct tern_tag_rule rule = {.name = "test",
                                                   .decay = (enum tern_tag_decay)decay,
                                                   .interval_ns = 1,
                                                   .amount = percent ? 100 : amounts[a]};
                int64_t last = values[v];
                for (int shift = 0; shift < 64; shift += 3) {
                    int64_t left = tern_tag_value_at(&rule, values[v], UINT64_C(1) << shift);
                    assert_true(values[v] < 0 ? left <= 0 && left >= last
                                              : left >= 0 && left <= last);
                    last = left;
                }
            }
}

static void tags_add_up_and_are_bumped(void **state)
{
    (void)state;
    struct test_world *w = test_world_new();
    struct test_node *a = test_node_add(w);
    struct test_node *b = test_node_add(w);
    a->config.idle_timeout_ns = 0;
    b->config.idle_timeout_ns = 0;
    assert_true(test_node_start(a) && test_node_start(b));
    test_listen(b);
    struct tern_swarm *s = a->swarm;
    tern_peer peer = test_connect(a, b);
    uint32_t stays;
    uint32_t falls;
    const struct tern_tag_rule rules[] = {
        {.name = "stays"},
        {.name = "falls",
         .decay = TERN_TAG_FIXED,
         .interval_ns = TERN_MINUTE,
         .amount = 1,
         .value_max = 5},
    };
    assert_int_equal(tern_swarm_tag_rule(s, &rules[0], &stays), TERN_OK);
    assert_int_equal(tern_swarm_tag_rule(s, &rules[1], &falls), TERN_OK);
    tern_swarm_tag(s, peer, stays, 20);
    for (int i = 0; i < 9; i++)
        tern_swarm_tag_bump(s, peer, falls, 1);
    assert_int_equal(tern_swarm_tag_value(s, peer, falls), 5);
    assert_int_equal(tern_swarm_peer_value(s, peer), 25);
    test_run(w, 2 * TERN_MINUTE + 1);
    test_kick(a);
    assert_int_equal(tern_swarm_peer_value(s, peer), 23);
    tern_swarm_tag_bump(s, peer, falls, 1); /* to what is left */
    assert_int_equal(tern_swarm_tag_value(s, peer, falls), 4);
    tern_swarm_tag(s, peer, stays, 0);
    assert_int_equal(tern_swarm_peer_value(s, peer), 4);
    test_run(w, 10 * TERN_MINUTE);
    test_kick(a);
    assert_int_equal(tern_swarm_peer_value(s, peer), 0);
    /* Stale handles and too many rules do no harm. */
    tern_swarm_tag(s, 12345, stays, 1);
    tern_swarm_tag_bump(s, 12345, stays, 1);
    assert_int_equal(tern_swarm_peer_value(s, 12345), 0);
    uint32_t more;
    int count = 2;
    while (tern_swarm_tag_rule(s, &rules[0], &more) == TERN_OK)
        count++;
    assert_int_equal(count, TERN_SWARM_TAGS_MAX);
    for (uint32_t tag = 0; tag < TERN_SWARM_TAGS_MAX; tag++)
        tern_swarm_tag(s, peer, tag, 1);
    assert_int_equal(tern_swarm_peer_value(s, peer), TERN_SWARM_TAGS_MAX);
    test_world_free(w);
}

static void protection_counts_by_reason(void **state)
{
    (void)state;
    struct test_world *w = test_world_new();
    struct test_node *a = test_node_add(w);
    struct test_node *b = test_node_add(w);
    assert_true(test_node_start(a) && test_node_start(b));
    test_listen(b);
    tern_peer peer = test_connect(a, b);
    tern_swarm_protect(a->swarm, peer, TERN_PROTECT_MESH);
    tern_swarm_protect(a->swarm, peer, TERN_PROTECT_MESH);
    tern_swarm_protect(a->swarm, peer, TERN_PROTECT_SYNC);
    assert_int_equal(tern_swarm_protected(a->swarm, peer, TERN_PROTECT_MESH), 2);
    assert_int_equal(tern_swarm_protected(a->swarm, peer, TERN_PROTECT_REQUEST), 0);
    assert_int_equal(tern_swarm_protected(a->swarm, peer, TERN_PROTECT_COUNT), 3);
    tern_swarm_unprotect(a->swarm, peer, TERN_PROTECT_MESH);
    assert_int_equal(tern_swarm_protected(a->swarm, peer, TERN_PROTECT_COUNT), 2);
    assert_int_equal(tern_swarm_protected(a->swarm, 99, TERN_PROTECT_COUNT), 0);
    tern_swarm_unprotect(a->swarm, 99, TERN_PROTECT_MESH);
    test_world_free(w);
}

/* --- trimming --- */

static void small_marks(struct tern_swarm_config *config)
{
    config->limits.connections_high = 20;
    config->limits.connections_low = 10;
    config->trim_grace_ns = 30 * TERN_SECOND;
}

static struct crowd *crowd_of(uint32_t count, void (*configure)(struct tern_swarm_config *config))
{
    return crowd_new(&(struct crowd_options){
        .count = count, .secure = TERN_SECURE_PLAINTEXT, .configure = configure});
}

/* come lets remotes first … last - 1 connect, a second apart. */
static void come(struct crowd *crowd, uint32_t first, uint32_t last)
{
    for (uint32_t i = first; i < last; i++) {
        assert_true(crowd_connect(crowd, i, crowd_address(i)));
        crowd_run(crowd, TERN_SECOND);
    }
}

static uint32_t tag_rule(struct crowd *crowd)
{
    uint32_t tag;
    const struct tern_tag_rule rule = {.name = "test"};
    assert_int_equal(tern_swarm_tag_rule(crowd_swarm(crowd), &rule, &tag), TERN_OK);
    return tag;
}

static uint32_t count_up(const struct crowd *crowd, uint32_t first, uint32_t last)
{
    uint32_t up = 0;
    for (uint32_t i = first; i < last; i++)
        up += crowd_is_up(crowd, i);
    return up;
}

static void the_least_valuable_go_until_few_enough_are_left(void **state)
{
    (void)state;
    struct crowd *crowd = crowd_of(32, small_marks);
    struct tern_swarm *s = crowd_swarm(crowd);
    uint32_t tag = tag_rule(crowd);
    come(crowd, 0, 20);
    for (uint32_t i = 0; i < 20; i++) /* of odd number: worth something, the later the more */
        tern_swarm_tag(s, crowd_peer(crowd, i), tag, i % 2 == 1 ? 10 + (int32_t)i : 0);
    crowd_run(crowd, TERN_MINUTE);
    assert_int_equal(tern_swarm_open_count(s), 20); /* as many as may be */
    come(crowd, 20, 21);
    crowd_run(crowd, 20 * TERN_SECOND);
    assert_int_equal(tern_swarm_open_count(s), 11);
    assert_true(crowd_is_up(crowd, 20)); /* new: left alone, and not counted */
    for (uint32_t i = 0; i < 20; i++)
        assert_int_equal(crowd_is_up(crowd, i), i % 2 == 1);
    assert_int_equal(crowd_metrics(crowd)->values[TERN_METRIC_SWARM_TRIMMED], 10);
    crowd_free(crowd);
}

static void of_equal_value_the_unused_and_the_younger_go(void **state)
{
    (void)state;
    struct crowd *crowd = crowd_of(32, small_marks);
    struct tern_swarm *s = crowd_swarm(crowd);
    come(crowd, 0, 20);
    for (uint32_t i = 10; i < 14; i++)
        assert_int_not_equal(crowd_open(crowd, i).id, 0);
    crowd_run(crowd, TERN_MINUTE);
    come(crowd, 20, 21);
    crowd_run(crowd, 20 * TERN_SECOND);
    /* The four in use and the new one; of the others the six oldest. */
    assert_int_equal(tern_swarm_open_count(s), 11);
    assert_int_equal(count_up(crowd, 0, 6), 6);
    assert_int_equal(count_up(crowd, 6, 10), 0);
    assert_int_equal(count_up(crowd, 10, 14), 4);
    assert_int_equal(count_up(crowd, 14, 20), 0);
    assert_true(crowd_is_up(crowd, 20));
    crowd_free(crowd);
}

static void the_protected_and_the_new_are_never_trimmed(void **state)
{
    (void)state;
    struct crowd *crowd = crowd_of(64, small_marks);
    struct tern_swarm *s = crowd_swarm(crowd);
    come(crowd, 0, 12);
    for (uint32_t i = 0; i < 12; i++)
        tern_swarm_protect(s, crowd_peer(crowd, i), TERN_PROTECT_SYNC);
    crowd_run(crowd, TERN_MINUTE);
    for (uint32_t i = 12; i < 40; i++) /* at once */
        assert_true(crowd_connect(crowd, i, crowd_address(i)));
    crowd_run(crowd, 29 * TERN_SECOND);
    assert_int_equal(tern_swarm_open_count(s), 40);
    crowd_run(crowd, 20 * TERN_SECOND);
    assert_int_equal(tern_swarm_open_count(s), 12); /* more than is wanted, and no one may go */
    assert_int_equal(count_up(crowd, 0, 12), 12);
    tern_swarm_unprotect(s, crowd_peer(crowd, 3), TERN_PROTECT_SYNC);
    tern_swarm_trim(s);
    crowd_run(crowd, TERN_SECOND);
    assert_int_equal(tern_swarm_open_count(s), 11);
    assert_false(crowd_is_up(crowd, 3));
    crowd_free(crowd);
}

static void a_trim_waits_for_its_interval(void **state)
{
    (void)state;
    struct crowd *crowd = crowd_of(64, small_marks);
    struct tern_swarm *s = crowd_swarm(crowd);
    come(crowd, 0, 20);
    crowd_run(crowd, TERN_MINUTE);
    come(crowd, 20, 21);
    assert_int_equal(tern_swarm_open_count(s), 11);
    for (uint32_t i = 21; i < 40; i++)
        assert_true(crowd_connect(crowd, i, crowd_address(i)));
    crowd_run(crowd, 8 * TERN_SECOND);
    assert_int_equal(tern_swarm_open_count(s), 30); /* new ones, and soon after the last trim */
    crowd_run(crowd, 40 * TERN_SECOND);
    assert_int_equal(tern_swarm_open_count(s), 10);
    crowd_free(crowd);
}

/* Trimming many is done in slices: no dispatch looks at more than a slice, and all of it is over
 * soon. */
static void many_marks(struct tern_swarm_config *config)
{
    config->limits.connections_high = 3000;
    config->limits.connections_low = 1000;
    config->trim_grace_ns = TERN_SECOND;
}

static void trimming_thousands_is_done_in_slices(void **state)
{
    (void)state;
    struct crowd *crowd = crowd_of(3000, many_marks);
    struct tern_swarm *s = crowd_swarm(crowd);
    uint32_t tag = tag_rule(crowd);
    for (uint32_t i = 0; i < 3000; i++) {
        assert_true(crowd_connect(crowd, i, crowd_address(i)));
        tern_swarm_tag(s, crowd_peer(crowd, i), tag, (int32_t)(i * 7919 % 3000) + 1);
    }
    crowd_run(crowd, 500 * TERN_MILLISECOND);
    assert_int_equal(tern_swarm_open_count(s), 3000); /* all are new */
    assert_int_equal(s->trim.state, SWARM_TRIM_OFF);
    crowd_run(crowd, TERN_SECOND);
    tern_swarm_trim(s);
    for (uint32_t slice = 1; slice <= 3000 / SWARM_TRIM_SLICE; slice++) {
        tern_swarm_dispatch(s, crowd_now(crowd));
        assert_int_equal(s->trim.eligible, slice * SWARM_TRIM_SLICE);
    }
    crowd_run(crowd, 20 * TERN_SECOND);
    assert_int_equal(tern_swarm_open_count(s), 1000);
    for (uint32_t i = 0; i < 3000; i++) /* exactly the right ones */
        assert_int_equal(crowd_is_up(crowd, i), i * 7919 % 3000 >= 2000);
    crowd_free(crowd);
}

/* --- room for newcomers --- */

static void full_house(struct tern_swarm_config *config)
{
    config->limits.system.max[TERN_RESOURCE_CONNECTIONS_IN] = 20;
    config->limits.connections_high = 0;
    config->trim_grace_ns = 30 * TERN_SECOND;
}

static struct tern_endpoint address_in(uint8_t subnet, uint8_t host)
{
    return (struct tern_endpoint){.family = 4, .ip = {50, 50, subnet, host}, .port = 1};
}

static void a_newcomer_takes_the_place_of_one_from_a_crowded_subnet(void **state)
{
    (void)state;
    struct crowd *crowd = crowd_of(64, full_house);
    struct tern_swarm *s = crowd_swarm(crowd);
    /* 12 from one subnet, 3 from another, 4 each from its own. */
    for (uint32_t i = 0; i < 12; i++)
        assert_true(crowd_connect(crowd, i, address_in(1, (uint8_t)i)));
    for (uint32_t i = 12; i < 15; i++)
        assert_true(crowd_connect(crowd, i, address_in(2, (uint8_t)i)));
    for (uint32_t i = 15; i < 19; i++)
        assert_true(crowd_connect(crowd, i, crowd_address(i)));
    assert_false(tern_swarm_last_refusal(s)->limit_info != NULL);
    crowd_run(crowd, TERN_MINUTE);
    /* Newcomers from elsewhere come in one after the other, at the cost of the crowded one. */
    for (uint32_t i = 20; i < 29; i++) {
        assert_true(crowd_connect(crowd, i, crowd_address(i)));
        crowd_run(crowd, TERN_SECOND);
        assert_true(tern_swarm_open_count(s) <= 20);
    }
    assert_int_equal(count_up(crowd, 0, 12), 3);
    assert_int_equal(count_up(crowd, 12, 19), 7);
    assert_int_equal(count_up(crowd, 20, 29), 9);
    crowd_free(crowd);
}

static void who_floods_crowds_out_its_own_alone(void **state)
{
    (void)state;
    struct crowd *crowd = crowd_of(256, full_house);
    struct tern_swarm *s = crowd_swarm(crowd);
    for (uint32_t i = 0; i < 15; i++) /* honest, each from its own subnet */
        assert_true(crowd_connect(crowd, i, crowd_address(i)));
    crowd_run(crowd, TERN_MINUTE);
    uint32_t in = 0;
    for (uint32_t i = 20; i < 220; i++) { /* one flooder, for an hour */
        in += crowd_connect(crowd, i, address_in(9, (uint8_t)i));
        crowd_run(crowd, 20 * TERN_SECOND);
    }
    assert_int_equal(count_up(crowd, 0, 15), 15);
    assert_true(tern_swarm_open_count(s) <= 20);
    assert_true(in >= 5);
    crowd_free(crowd);
}

static void nobody_goes_for_a_newcomer_who_is_of_use_or_new(void **state)
{
    (void)state;
    struct crowd *crowd = crowd_of(64, full_house);
    struct tern_swarm *s = crowd_swarm(crowd);
    uint32_t tag = tag_rule(crowd);
    for (uint32_t i = 0; i < 20; i++)
        assert_true(crowd_connect(crowd, i, address_in(1, (uint8_t)i)));
    assert_false(crowd_connect(crowd, 20, crowd_address(20))); /* all are new */
    crowd_run(crowd, TERN_MINUTE);
    for (uint32_t i = 0; i < 20; i++) {
        if (i % 3 == 0)
            tern_swarm_tag(s, crowd_peer(crowd, i), tag, 1);
        else if (i % 3 == 1)
            tern_swarm_protect(s, crowd_peer(crowd, i), TERN_PROTECT_REQUEST);
        else
            assert_int_not_equal(crowd_open(crowd, i).id, 0);
    }
    crowd_settle(crowd);
    assert_false(crowd_connect(crowd, 21, crowd_address(21)));
    assert_string_equal(tern_swarm_last_refusal(s)->limit_info->option, "system.connections_in");
    assert_int_equal(count_up(crowd, 0, 20), 20);
    crowd_free(crowd);
}

/* --- rotation --- */

static void a_rotation_replaces_a_share_of_those_we_dialled(void **state)
{
    (void)state;
    struct test_world *w = test_world_new();
    struct test_node *a = test_node_add(w);
    struct test_node *others[12];
    a->config.idle_timeout_ns = 0;
    a->config.rotate_percent = 25;
    a->config.rotate_interval_ns = 5 * TERN_MINUTE;
    assert_true(test_node_start(a));
    test_listen(a);
    for (int i = 0; i < 12; i++) {
        others[i] = test_node_add(w);
        others[i]->config.idle_timeout_ns = 0;
        assert_true(test_node_start(others[i]));
        test_listen(others[i]);
    }
    for (int i = 0; i < 8; i++) /* eight outbound, four inbound */
        assert_int_not_equal(test_connect(a, others[i]), 0);
    for (int i = 8; i < 12; i++)
        assert_int_not_equal(test_connect(others[i], a), 0);
    uint32_t tag;
    const struct tern_tag_rule rule = {.name = "test"};
    assert_int_equal(tern_swarm_tag_rule(a->swarm, &rule, &tag), TERN_OK);
    for (int i = 0; i < 8; i++)
        tern_swarm_tag(a->swarm, tern_swarm_find_peer(a->swarm, &others[i]->id), tag, 10 - i);
    test_run(w, 4 * TERN_MINUTE);
    assert_int_equal(tern_swarm_peers_count(a->swarm), 12);
    test_run(w, 2 * TERN_MINUTE);
    assert_int_equal(tern_swarm_peers_count(a->swarm), 10);
    assert_int_equal(tern_swarm_find_peer(a->swarm, &others[7]->id), 0);
    assert_int_equal(tern_swarm_find_peer(a->swarm, &others[6]->id), 0);
    test_run(w, 5 * TERN_MINUTE);
    assert_int_equal(tern_swarm_peers_count(a->swarm), 9); /* a quarter of six */
    for (int i = 8; i < 12; i++)
        assert_int_not_equal(tern_swarm_find_peer(a->swarm, &others[i]->id), 0);
    test_world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_rule_falls_as_it_says),
        cmocka_unit_test(extremes_neither_wrap_nor_rise),
        cmocka_unit_test(tags_add_up_and_are_bumped),
        cmocka_unit_test(protection_counts_by_reason),
        cmocka_unit_test(the_least_valuable_go_until_few_enough_are_left),
        cmocka_unit_test(of_equal_value_the_unused_and_the_younger_go),
        cmocka_unit_test(the_protected_and_the_new_are_never_trimmed),
        cmocka_unit_test(a_trim_waits_for_its_interval),
        cmocka_unit_test(trimming_thousands_is_done_in_slices),
        cmocka_unit_test(a_newcomer_takes_the_place_of_one_from_a_crowded_subnet),
        cmocka_unit_test(who_floods_crowds_out_its_own_alone),
        cmocka_unit_test(nobody_goes_for_a_newcomer_who_is_of_use_or_new),
        cmocka_unit_test(a_rotation_replaces_a_share_of_those_we_dialled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
