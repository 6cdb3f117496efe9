/* Kept peers: when they are dialled again, what a flapping one is, and what a restart remembers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "swarm/private.h"
#include "swarm/world_test_support.h"

struct scene {
    struct test_world *w;
    struct test_node *a; /* keeps b */
    struct test_node *b;
};

static int scene_up(void **state)
{
    struct scene *sc = calloc(1, sizeof *sc);
    sc->w = test_world_new();
    sc->a = test_node_add(sc->w);
    sc->b = test_node_add(sc->w);
    sc->a->config.idle_timeout_ns = 30 * TERN_SECOND;
    sc->a->config.book_saved = true;
    assert_true(test_node_start(sc->a));
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

static void keep(struct scene *sc)
{
    struct tern_multiaddr addr;
    test_address(sc->b, &addr);
    tern_swarm_add_address(sc->a->swarm, sc->w->now, &sc->b->id, &addr, TERN_ADDR_CONFIGURED);
    assert_int_equal(tern_swarm_keep(sc->a->swarm, sc->w->now, &sc->b->id), TERN_OK);
    test_kick(sc->a);
}

static void start_b(struct scene *sc)
{
    assert_true(test_node_start(sc->b));
    test_listen(sc->b);
}

static struct tern_kept_peer kept(const struct scene *sc)
{
    struct tern_kept_peer info;
    assert_true(tern_swarm_kept_find(sc->a->swarm, &sc->b->id, &info));
    return info;
}

/* The documented waits, in seconds. */
static const uint64_t waits[] = {0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300};

static tern_time wait_of(const struct scene *sc, uint32_t failures)
{
    return tern_breaker_delay(&sc->a->id, &sc->b->id, failures);
}

static void waits_are_as_documented(void **state)
{
    struct scene *sc = *state;
    bool differ = false;
    for (uint32_t n = 0; n < TERN_COUNT_OF(waits); n++) {
        tern_time base = waits[n] * TERN_SECOND;
        tern_time most = n == 0 ? 250 * TERN_MILLISECOND : base / 4;
        assert_true(wait_of(sc, n) >= base && wait_of(sc, n) <= base + most);
        assert_int_equal(wait_of(sc, n), wait_of(sc, n)); /* the same each time */
        differ = differ || wait_of(sc, n) != tern_breaker_delay(&sc->b->id, &sc->a->id, n);
    }
    assert_true(differ);
    assert_true(wait_of(sc, UINT32_MAX) <= 375 * TERN_SECOND);
}

/* Each failure is told by the address that nobody answers at; the next dial comes exactly then. */
static void a_peer_that_is_not_there_is_dialled_at_the_documented_times(void **state)
{
    struct scene *sc = *state;
    keep(sc);
    test_run(sc->w, TERN_HOUR);
    assert_true(sc->w->dials_seen >= TERN_COUNT_OF(waits));
    tern_time expected = sc->w->dialled_at[0]; /* as soon as the book is loaded */
    assert_true(expected <= TEST_START + 10 * TERN_MILLISECOND);
    for (uint32_t n = 0; n < TERN_COUNT_OF(waits); n++) {
        assert_int_equal(sc->w->dialled_at[n], expected);
        expected += 2 * sc->w->latency + wait_of(sc, n + 1); /* refused after a round trip */
    }
    assert_int_equal(kept(sc).state, TERN_BREAKER_OPEN);
    assert_int_equal(kept(sc).failures, sc->w->dials_seen);
    assert_int_equal(test_count(sc->a, TERN_SWARM_DIAL_DONE), 0); /* nobody else's affair */
    assert_int_equal(sc->a->metrics.values[TERN_METRIC_SWARM_KEPT_FAILURES], sc->w->dials_seen);
}

static void hang_up(struct test_node *node, const struct tern_swarm_event *event)
{
    if (event->kind == TERN_SWARM_PEER_UP)
        tern_swarm_disconnect(node->swarm, node->world->now, event->peer, 0);
}

static void a_flapping_peer_is_dialled_at_exactly_these_times(void **state)
{
    struct scene *sc = *state;
    sc->b->hook = hang_up;
    start_b(sc);
    keep(sc);
    test_run(sc->w, 10 * TERN_MINUTE);
    size_t downs = test_count(sc->a, TERN_SWARM_PEER_DOWN);
    assert_true(downs >= 9);
    for (uint32_t n = 0; n < downs; n++) {
        tern_time down_at = test_find(sc->a, TERN_SWARM_PEER_DOWN, n)->at;
        if (n + 1 < sc->w->dials_seen)
            assert_int_equal(sc->w->dialled_at[n + 1], down_at + wait_of(sc, n + 1));
    }
    assert_int_equal(kept(sc).failures, downs);
    /* It stays now: that proves it, and the failures are forgotten. */
    sc->b->hook = NULL;
    test_run(sc->w, 6 * TERN_MINUTE);
    assert_int_equal(kept(sc).state, TERN_BREAKER_CLOSED);
    assert_int_equal(kept(sc).failures, 0);
    assert_int_not_equal(kept(sc).peer, 0);
}

static void a_peer_proves_itself_by_staying(void **state)
{
    struct scene *sc = *state;
    start_b(sc);
    keep(sc);
    test_run(sc->w, 9 * TERN_SECOND);
    assert_int_equal(kept(sc).state, TERN_BREAKER_HALF_OPEN);
    test_run(sc->w, 2 * TERN_SECOND);
    assert_int_equal(kept(sc).state, TERN_BREAKER_CLOSED);
    /* It is protected, and not ended as idle by the one who keeps it. */
    assert_int_equal(tern_swarm_protected(sc->a->swarm, kept(sc).peer, TERN_PROTECT_KEPT), 1);
    test_run(sc->w, TERN_MINUTE);
    assert_int_equal(sc->w->dials_seen, 1);
    /* Lost after that, it is dialled at once, and this is no failure. */
    tern_swarm_disconnect(sc->b->swarm, sc->w->now, tern_swarm_find_peer(sc->b->swarm, &sc->a->id),
                          0);
    test_kick(sc->b);
    test_run(sc->w, TERN_SECOND);
    tern_time down_at = test_find(sc->a, TERN_SWARM_PEER_DOWN, 0)->at;
    assert_int_equal(sc->w->dials_seen, 2);
    assert_int_equal(sc->w->dialled_at[1], down_at + wait_of(sc, 0));
    assert_int_equal(kept(sc).failures, 0);
    assert_int_not_equal(kept(sc).peer, 0);
}

static void a_peer_that_dials_us_is_connected_too(void **state)
{
    struct scene *sc = *state;
    start_b(sc);
    test_listen(sc->a);
    sc->w->black_holes[sc->w->black_holes_count++] = sc->b->ip;
    sc->w->black_holes[0].port = 4001;
    keep(sc);
    test_run(sc->w, TERN_SECOND);
    assert_int_not_equal(test_connect(sc->b, sc->a), 0);
    test_run(sc->w, 11 * TERN_SECOND);
    assert_int_equal(kept(sc).state, TERN_BREAKER_CLOSED);
    size_t dials = sc->w->dials_seen;
    test_run(sc->w, TERN_MINUTE);
    assert_int_equal(sc->w->dials_seen, dials);
}

/* stop_and_start is a restart with the same store, after so long. */
static void restart(struct scene *sc, tern_time span)
{
    tern_swarm_shutdown(sc->a->swarm, sc->w->now);
    test_kick(sc->a);
    test_run(sc->w, TERN_SECOND);
    assert_true(tern_swarm_is_down(sc->a->swarm));
    test_node_stop(sc->a);
    test_run(sc->w, span - TERN_SECOND);
    assert_true(test_node_start(sc->a));
}

static void a_restart_goes_on_where_it_was(void **state)
{
    struct scene *sc = *state;
    keep(sc);
    test_run(sc->w, 40 * TERN_SECOND);
    uint32_t failures = kept(sc).failures;
    tern_time retry_at = kept(sc).retry_at;
    size_t dials = sc->w->dials_seen;
    assert_int_equal(failures, 6);
    restart(sc, 5 * TERN_SECOND);
    keep(sc);
    test_run(sc->w, TERN_SECOND);
    assert_int_equal(kept(sc).failures, failures);
    assert_int_equal(kept(sc).retry_at, retry_at);
    test_run(sc->w, 10 * TERN_MINUTE);
    assert_int_equal(sc->w->dialled_at[dials], retry_at);
    assert_int_equal(sc->w->dialled_at[dials + 1],
                     retry_at + 2 * sc->w->latency + wait_of(sc, failures + 1));
}

static void a_wait_that_is_over_when_it_restarts_is_over(void **state)
{
    struct scene *sc = *state;
    keep(sc);
    test_run(sc->w, 40 * TERN_SECOND);
    size_t dials = sc->w->dials_seen;
    restart(sc, TERN_HOUR);
    tern_time started = sc->w->now;
    keep(sc);
    test_run(sc->w, TERN_SECOND);
    assert_int_equal(sc->w->dials_seen, dials + 1);
    assert_true(sc->w->dialled_at[dials] <= started + 100 * TERN_MILLISECOND);
    assert_int_equal(kept(sc).failures, 7);
}

static void a_clock_that_goes_back_makes_no_wait_longer(void **state)
{
    struct scene *sc = *state;
    keep(sc);
    test_run(sc->w, 40 * TERN_SECOND);
    restart(sc, 5 * TERN_SECOND);
    test_input(sc->a, &(struct tern_input){.kind = TERN_INPUT_WALL, .wall = TEST_WALL / 2});
    keep(sc);
    test_run(sc->w, TERN_SECOND);
    assert_true(kept(sc).retry_at <= sc->w->now + wait_of(sc, 6));
}

static void a_store_that_does_not_answer_holds_up_nobody_for_long(void **state)
{
    struct scene *sc = *state;
    test_node_stop(sc->a);
    sc->a->config.book_saved = true;
    sc->a->swarm = tern_swarm_new(&sc->a->config, sc->w->now); /* hears no wall clock: no scan */
    assert_non_null(sc->a->swarm);
    start_b(sc);
    keep(sc);
    test_run(sc->w, 4 * TERN_SECOND);
    assert_int_equal(sc->w->dials_seen, 0);
    test_run(sc->w, 2 * TERN_SECOND);
    assert_int_equal(sc->w->dials_seen, 1);
    assert_int_not_equal(kept(sc).peer, 0);
}

static void what_is_kept_no_more_is_left_alone(void **state)
{
    struct scene *sc = *state;
    struct tern_kept_peer info;
    start_b(sc);
    keep(sc);
    keep(sc); /* once is enough */
    test_run(sc->w, TERN_MINUTE);
    assert_true(tern_swarm_kept_next(sc->a->swarm, NULL, &info));
    assert_true(tern_peer_id_equal(&info.id, &sc->b->id));
    assert_false(tern_swarm_kept_next(sc->a->swarm, &sc->b->id, &info));
    tern_swarm_unkeep(sc->a->swarm, &sc->b->id);
    tern_swarm_unkeep(sc->a->swarm, &sc->b->id);
    assert_false(tern_swarm_kept_find(sc->a->swarm, &sc->b->id, &info));
    test_run(sc->w, 5 * TERN_MINUTE);
    assert_int_equal(tern_swarm_peers_count(sc->a->swarm), 0); /* idle, and not dialled again */
    assert_int_equal(sc->w->dials_seen, 1);
}

static void so_many_are_kept_and_none_of_them_is_us(void **state)
{
    struct scene *sc = *state;
    struct tern_peer_id id = sc->b->id;
    struct tern_swarm *s = sc->a->swarm;
    tern_time now = sc->w->now;
    assert_int_equal(tern_swarm_keep(s, now, &sc->a->id), TERN_ERR_SELF);
    for (unsigned i = 0; i < TERN_SWARM_KEPT_MAX; i++) {
        id.bytes[10] = (uint8_t)i;
        assert_int_equal(tern_swarm_keep(s, now, &id), TERN_OK);
    }
    id.bytes[11]++;
    assert_int_equal(tern_swarm_keep(s, now, &id), TERN_ERR_FULL);
    id.bytes[11]--;
    tern_swarm_unkeep(s, &id);
    for (uint64_t n = 1; n <= 2; n++) { /* the peer, and perhaps the table */
        tern_mem_fail_at(&sc->a->mem, n, false);
        tern_err err = tern_swarm_keep(s, now, &id);
        assert_true(err == TERN_ERR_MEMORY || n == 2);
        tern_mem_fail_at(&sc->a->mem, 0, false);
        tern_swarm_unkeep(s, &id);
    }
    assert_int_equal(tern_swarm_keep(s, now, &id), TERN_OK);
}

#define T(f) cmocka_unit_test_setup_teardown(f, scene_up, scene_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(waits_are_as_documented),
        T(a_peer_that_is_not_there_is_dialled_at_the_documented_times),
        T(a_flapping_peer_is_dialled_at_exactly_these_times),
        T(a_peer_proves_itself_by_staying),
        T(a_peer_that_dials_us_is_connected_too),
        T(a_restart_goes_on_where_it_was),
        T(a_wait_that_is_over_when_it_restarts_is_over),
        T(a_clock_that_goes_back_makes_no_wait_longer),
        T(a_store_that_does_not_answer_holds_up_nobody_for_long),
        T(what_is_kept_no_more_is_left_alone),
        T(so_many_are_kept_and_none_of_them_is_us),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
