/* Networks that swallow UDP or IPv6; and what a dial tells of what it tried and what not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "swarm/private.h"
#include "swarm/world_test_support.h"

/* --- the detector --- */

static void results(struct swarm_black_hole *hole, int count, bool success)
{
    for (int i = 0; i < count; i++)
        tern_black_hole_result(hole, success);
}

static void too_few_successes_block(void **state)
{
    (void)state;
    struct swarm_black_hole hole = {.state = TERN_BLACK_HOLE_PROBING};
    results(&hole, 4, true);
    results(&hole, 95, false);
    assert_int_equal(hole.state, TERN_BLACK_HOLE_PROBING);
    results(&hole, 1, false);
    assert_int_equal(hole.state, TERN_BLACK_HOLE_BLOCKED);
}

static void enough_successes_allow_until_they_are_too_long_ago(void **state)
{
    (void)state;
    struct swarm_black_hole hole = {.state = TERN_BLACK_HOLE_PROBING};
    results(&hole, 95, false);
    results(&hole, 5, true);
    assert_int_equal(hole.state, TERN_BLACK_HOLE_ALLOWED);
    results(&hole, 95, false); /* the 95 of before give way */
    assert_int_equal(hole.state, TERN_BLACK_HOLE_ALLOWED);
    assert_int_equal(hole.successes, 5);
    results(&hole, 1, false);
    assert_int_equal(hole.state, TERN_BLACK_HOLE_BLOCKED);
}

static void one_dial_in_a_hundred_probes(void **state)
{
    (void)state;
    struct swarm_black_hole hole = {.state = TERN_BLACK_HOLE_PROBING};
    results(&hole, 100, false);
    int probes = 0;
    for (int i = 0; i < 1000; i++)
        probes += tern_black_hole_ask(&hole);
    assert_int_equal(probes, 10);
    results(&hole, 1, false); /* of a probe */
    assert_int_equal(hole.state, TERN_BLACK_HOLE_BLOCKED);
    results(&hole, 1, true);
    assert_int_equal(hole.state, TERN_BLACK_HOLE_PROBING); /* begins anew */
    assert_int_equal(hole.count, 0);
    assert_true(tern_black_hole_ask(&hole));
}

static struct tern_route route_of(const char *text)
{
    struct tern_multiaddr addr;
    struct tern_target target;
    assert_int_equal(tern_multiaddr_parse(tern_view_str(text), &addr, NULL), TERN_OK);
    assert_int_equal(tern_target_of(tern_multiaddr_view(&addr), &target), TERN_OK);
    return target.route;
}

static void public_addresses_alone_have_classes(void **state)
{
    (void)state;
    static const struct {
        const char *address;
        uint32_t classes;
    } rows[] = {
        {"/ip4/44.1.2.3/tcp/1", 0},
        {"/ip4/44.1.2.3/udp/1/quic-v1", TERN_BLACK_HOLE_BIT(TERN_BLACK_HOLE_UDP)},
        {"/ip6/2a00::1/tcp/1", TERN_BLACK_HOLE_BIT(TERN_BLACK_HOLE_IP6)},
        {"/ip6/2a00::1/udp/1/quic-v1/webtransport", 3},
        {"/ip4/10.1.2.3/udp/1/quic-v1", 0},
        {"/ip6/::1/udp/1/quic-v1", 0},
        {"/ip6/fd00::1/tcp/1", 0},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(rows); i++) {
        const struct tern_route route = route_of(rows[i].address);
        assert_int_equal(tern_black_hole_classes(&route), rows[i].classes);
    }
}

/* --- a swarm --- */

struct scene {
    struct test_world *w;
    struct test_node *a;
    struct test_node *b;
};

static int scene_up(void **state)
{
    struct scene *sc = calloc(1, sizeof *sc);
    sc->w = test_world_new();
    sc->a = test_node_add(sc->w);
    sc->b = test_node_add(sc->w);
    sc->b->ip = test_endpoint("44.0.0.2", 0); /* public */
    assert_true(test_node_start(sc->a));
    assert_true(test_node_start(sc->b));
    test_listen(sc->b);
    *state = sc;
    return 0;
}

static int scene_down(void **state)
{
    struct scene *sc = *state;
    test_world_free(sc->w);
    free(sc);
    return 0;
}

static void know(struct scene *sc, const char *text)
{
    struct tern_multiaddr addr;
    assert_int_equal(tern_multiaddr_parse(tern_view_str(text), &addr, NULL), TERN_OK);
    tern_swarm_add_address(sc->a->swarm, sc->w->now, &sc->b->id, &addr, TERN_ADDR_CONFIGURED);
}

/* dial_by_book dials b by what is known of it, and lets it go again. */
static tern_err dial_by_book(struct scene *sc, tern_token token)
{
    tern_err err = tern_swarm_dial(sc->a->swarm, sc->w->now,
                                   &(struct tern_dial_options){.id = &sc->b->id, .token = token});
    test_kick(sc->a);
    test_run(sc->w, TERN_SECOND);
    tern_swarm_disconnect(sc->a->swarm, sc->w->now, tern_swarm_find_peer(sc->a->swarm, &sc->b->id),
                          0);
    test_kick(sc->a);
    test_run(sc->w, TERN_SECOND);
    return err;
}

/* say writes a row in words. */
static const char *say(const struct scene *sc, const struct tern_dial_attempt *row, tern_time began)
{
    static char text[TERN_DIAL_ATTEMPT_TEXT_SIZE_MAX];
    struct tern_writer out = tern_writer_of(text, sizeof text);
    tern_dial_attempt_format(row, began, sc->w->now, &out);
    assert_true(tern_writer_terminate(&out));
    return text;
}

static size_t rows_of(const struct scene *sc, tern_token token,
                      const struct tern_dial_attempt **rows)
{
    return tern_swarm_dial_attempts(sc->a->swarm, token, rows);
}

static void ipv6_that_leads_nowhere_is_found_out(void **state)
{
    struct scene *sc = *state;
    const struct tern_dial_attempt *rows;
    sc->w->black_holes[sc->w->black_holes_count++] = test_endpoint("2a00::1", 4001);
    know(sc, "/ip4/44.0.0.2/tcp/4001");
    know(sc, "/ip6/2a00::1/tcp/4001");
    for (tern_token i = 1; i <= 100; i++) {
        assert_int_equal(tern_swarm_black_hole(sc->a->swarm, TERN_BLACK_HOLE_IP6),
                         TERN_BLACK_HOLE_PROBING);
        assert_int_equal(dial_by_book(sc, i), TERN_OK);
    }
    /* Each time IPv6 was tried first, in vain; IPv4 won a little later. */
    assert_int_equal(tern_swarm_black_hole(sc->a->swarm, TERN_BLACK_HOLE_IP6),
                     TERN_BLACK_HOLE_BLOCKED);
    assert_int_equal(sc->a->metrics.values[TERN_METRIC_BLACK_HOLE_IP6_STATE], 2);
    assert_int_equal(tern_swarm_black_hole(sc->a->swarm, TERN_BLACK_HOLE_UDP),
                     TERN_BLACK_HOLE_PROBING);
    size_t dials = sc->w->dials_seen;
    tern_time began = sc->w->now;
    assert_int_equal(dial_by_book(sc, 1000), TERN_OK);
    assert_int_equal(sc->w->dials_seen, dials + 1);
    assert_int_equal(rows_of(sc, 1000, &rows), 2);
    assert_string_equal(say(sc, &rows[0], began),
                        "/ip6/2a00::1/tcp/4001 not tried: IPv6 seems to be blocked here");
    assert_string_equal(say(sc, &rows[1], began),
                        "/ip4/44.0.0.2/tcp/4001 after 0 ms: reached in 20 ms, connected in 40 ms");
    /* Whom the caller names is tried all the same; and now and then so is what is known. */
    struct tern_multiaddr named;
    assert_int_equal(tern_multiaddr_parse(tern_view_str("/ip6/2a00::1/tcp/4001"), &named, NULL),
                     TERN_OK);
    assert_int_equal(tern_swarm_dial(sc->a->swarm, sc->w->now,
                                     &(struct tern_dial_options){.id = &sc->b->id,
                                                                 .addresses = &named,
                                                                 .addresses_count = 1}),
                     TERN_OK);
    test_kick(sc->a);
    test_run(sc->w, TERN_MINUTE);
    assert_int_equal(sc->w->dials_seen, dials + 3);
    tern_swarm_disconnect(sc->a->swarm, sc->w->now, tern_swarm_find_peer(sc->a->swarm, &sc->b->id),
                          0);
    test_kick(sc->a);
    test_run(sc->w, TERN_SECOND);
    dials = sc->w->dials_seen;
    for (tern_token i = 0; i < 100; i++)
        assert_int_equal(dial_by_book(sc, 2000 + i), TERN_OK);
    assert_int_equal(sc->w->dials_seen, dials + 101);
}

static void with_nothing_else_to_try_the_dial_says_so(void **state)
{
    struct scene *sc = *state;
    const struct tern_dial_attempt *rows;
    results(&sc->a->swarm->black_holes[TERN_BLACK_HOLE_IP6], 100, false);
    know(sc, "/ip6/2a00::1/tcp/4001");
    assert_int_equal(dial_by_book(sc, 7), TERN_ERR_BLACK_HOLE);
    assert_int_equal(rows_of(sc, 7, &rows), 1);
    assert_int_equal(rows[0].err, TERN_ERR_BLACK_HOLE);
    assert_int_equal(rows[0].started_ns, 0);
}

/* An address of two classes is tried as a probe of either. */
static void one_class_does_not_keep_another_from_being_probed(void **state)
{
    struct scene *sc = *state;
    struct tern_swarm *s = sc->a->swarm;
    const struct tern_route both = route_of("/ip6/2a00::1/udp/1/quic-v1");
    const struct tern_route udp = route_of("/ip4/44.1.2.3/udp/1/quic-v1");
    uint32_t asked = 0;
    uint32_t allowed = 0;
    results(&s->black_holes[TERN_BLACK_HOLE_UDP], 100, false);
    assert_int_equal(tern_black_holes_asked(s, &both, &asked, &allowed), 0); /* IPv6: not known */
    assert_int_equal(tern_black_holes_asked(s, &udp, &asked, &allowed),
                     TERN_BLACK_HOLE_BIT(TERN_BLACK_HOLE_UDP));
    assert_int_equal(s->black_holes[TERN_BLACK_HOLE_UDP].requests, 1); /* once a dial */
    results(&s->black_holes[TERN_BLACK_HOLE_IP6], 100, true);
    asked = allowed = 0;
    assert_int_equal(tern_black_holes_asked(s, &both, &asked, &allowed),
                     TERN_BLACK_HOLE_BIT(TERN_BLACK_HOLE_UDP));
}

static void what_answers_is_no_black_hole(void **state)
{
    struct scene *sc = *state;
    struct swarm_black_hole *ip6 = &sc->a->swarm->black_holes[TERN_BLACK_HOLE_IP6];
    sc->b->ip = test_endpoint("2a00::2", 0);
    /* Refused: nobody listens there, and somebody said so. */
    know(sc, "/ip6/2a00::2/tcp/9");
    assert_int_equal(dial_by_book(sc, 1), TERN_OK);
    assert_int_equal(ip6->count, 0);
    /* Not answered: the time-out counts. */
    sc->w->black_holes[sc->w->black_holes_count++] = test_endpoint("2a00::3", 9);
    struct tern_multiaddr addr;
    assert_int_equal(tern_multiaddr_parse(tern_view_str("/ip6/2a00::3/tcp/9"), &addr, NULL),
                     TERN_OK);
    assert_int_equal(tern_swarm_dial(sc->a->swarm, sc->w->now,
                                     &(struct tern_dial_options){
                                         .addresses = &addr, .addresses_count = 1, .token = 2}),
                     TERN_OK);
    test_kick(sc->a);
    test_run(sc->w, 11 * TERN_SECOND);
    assert_int_equal(ip6->count, 1);
    assert_int_equal(ip6->successes, 0);
}

/* --- rows of what was not tried --- */

static void each_reason_not_to_try_is_told(void **state)
{
    struct scene *sc = *state;
    const struct tern_dial_attempt *rows;
    const struct tern_gate_rule rule = {
        .deny = true, .any_peer = true, .ip = test_endpoint("44.9.9.9", 0), .prefix_bits = 32};
    assert_int_equal(tern_swarm_set_gate(sc->a->swarm, sc->w->now, &rule, 1), TERN_OK);
    know(sc, "/ip4/44.1.1.1/tcp/1"); /* refused: backed off for 5 s from then on */
    assert_int_equal(dial_by_book(sc, 1), TERN_OK);
    know(sc, "/ip4/44.9.9.9/tcp/1");
    know(sc, "/ip4/44.2.2.2/udp/1/quic");
    know(sc, "/unix/tmp%2Fsocket");
    know(sc, "/ip4/44.0.0.2/tcp/4001");
    know(sc, "/ip4/44.0.0.3/tcp/4001");
    know(sc, "/dns4/nowhere.example/tcp/1");
    tern_time began = sc->w->now;
    assert_int_equal(tern_swarm_dial(sc->a->swarm, sc->w->now,
                                     &(struct tern_dial_options){.id = &sc->b->id, .token = 2}),
                     TERN_OK);
    test_kick(sc->a);
    test_run(sc->w, 200 * TERN_MILLISECOND);
    static const char *const expected[] = {
        "/ip4/44.1.1.1/tcp/1 not tried: it failed lately; again in 3 s",
        "/ip4/44.9.9.9/tcp/1 not tried: the connection gater refused it",
        "/ip4/44.2.2.2/udp/1/quic not tried: it is of no transport that is to be had here",
        "/unix/tmp%2Fsocket not tried: it is of no transport that is to be had here",
        "/ip4/44.0.0.2/tcp/4001 after 0 ms: reached in 20 ms, connected in 40 ms",
        "/ip4/44.0.0.3/tcp/4001 not tried: it was not needed any more",
        "/dns4/nowhere.example/tcp/1 not tried: it does not exist",
    };
    size_t count = rows_of(sc, 2, &rows);
    for (size_t e = 0; e < TERN_COUNT_OF(expected); e++) {
        bool found = false;
        for (size_t i = 0; i < count; i++)
            found = found || strcmp(say(sc, &rows[i], began), expected[e]) == 0;
        if (!found) {
            for (size_t i = 0; i < count; i++)
                print_error("%s\n", say(sc, &rows[i], began));
            print_error("missing: %s\n", expected[e]);
        }
        assert_true(found);
    }
    assert_int_equal(count, TERN_COUNT_OF(expected));
}

static void failures_are_told_with_their_times(void **state)
{
    struct scene *sc = *state;
    const struct tern_dial_attempt *rows;
    sc->a->config.limits.system.max[TERN_RESOURCE_FDS] = 1;
    test_node_stop(sc->a);
    assert_true(test_node_start(sc->a));
    sc->w->black_holes[sc->w->black_holes_count++] = test_endpoint("44.1.1.1", 1);
    know(sc, "/ip4/44.1.1.1/tcp/1");
    know(sc, "/ip4/44.1.1.2/tcp/1");
    tern_time began = sc->w->now;
    assert_int_equal(tern_swarm_dial(sc->a->swarm, sc->w->now,
                                     &(struct tern_dial_options){.id = &sc->b->id, .token = 2}),
                     TERN_OK);
    test_kick(sc->a);
    test_run(sc->w, TERN_SECOND);
    assert_int_equal(rows_of(sc, 2, &rows), 2);
    assert_string_equal(say(sc, &rows[0], began), "/ip4/44.1.1.1/tcp/1 after 0 ms: under way for "
                                                  "1000 ms");
    assert_string_equal(say(sc, &rows[1], began),
                        "/ip4/44.1.1.2/tcp/1 after 250 ms: the scope's file descriptor limit is "
                        "reached in 0 ms: this host has 1 of at most 1 file descriptors; raise "
                        "system.fds to allow more");
    test_run(sc->w, 10 * TERN_SECOND);
    assert_string_equal(say(sc, &rows[0], began), "/ip4/44.1.1.1/tcp/1 after 0 ms: the time limit "
                                                  "passed in 10000 ms");
}

/* However much there is not to be tried, there is a place for what is. */
static void rows_are_bounded(void **state)
{
    struct scene *sc = *state;
    const struct tern_dial_attempt *rows;
    struct tern_multiaddr addrs[101];
    for (int i = 0; i < 100; i++) {
        char text[64];
        snprintf(text, sizeof text, "/ip4/44.0.1.%d/udp/1/quic", i);
        assert_int_equal(tern_multiaddr_parse(tern_view_str(text), &addrs[i], NULL), TERN_OK);
    }
    test_address(sc->b, &addrs[100]);
    assert_int_equal(tern_swarm_dial(sc->a->swarm, sc->w->now,
                                     &(struct tern_dial_options){.id = &sc->b->id,
                                                                 .addresses = addrs,
                                                                 .addresses_count = 101,
                                                                 .token = 3}),
                     TERN_OK);
    test_kick(sc->a);
    test_run(sc->w, TERN_SECOND);
    assert_int_equal(test_dial_done(sc->a, 3)->event.err, TERN_OK);
    assert_int_equal(rows_of(sc, 3, &rows), 33);
    assert_int_equal(rows[32].err, TERN_OK);
}

#define T(f) cmocka_unit_test_setup_teardown(f, scene_up, scene_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(too_few_successes_block),
        cmocka_unit_test(enough_successes_allow_until_they_are_too_long_ago),
        cmocka_unit_test(one_dial_in_a_hundred_probes),
        cmocka_unit_test(public_addresses_alone_have_classes),
        T(ipv6_that_leads_nowhere_is_found_out),
        T(with_nothing_else_to_try_the_dial_says_so),
        T(one_class_does_not_keep_another_from_being_probed),
        T(what_answers_is_no_black_hole),
        T(each_reason_not_to_try_is_told),
        T(failures_are_told_with_their_times),
        T(rows_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
