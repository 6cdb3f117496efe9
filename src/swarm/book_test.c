/* The address book: bounds, trust, time, and its rows in the store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "swarm/private.h"
#include "swarm/world_test_support.h"

struct scene {
    struct test_world *w;
    struct test_node *a;
};

static int scene_up(void **state)
{
    struct scene *sc = calloc(1, sizeof *sc);
    sc->w = test_world_new();
    sc->a = test_node_add(sc->w);
    sc->a->config.limits.peers_max = 10;
    sc->a->config.book_saved = true;
    sc->a->config.book_space = 3;
    assert_true(test_node_start(sc->a));
    test_run(sc->w, TERN_SECOND); /* the empty store is loaded */
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

static struct tern_peer_id peer_number(const struct scene *sc, unsigned n)
{
    struct tern_peer_id id = sc->a->id;
    id.bytes[10] = (uint8_t)n;
    id.bytes[11] = (uint8_t)(n >> 8);
    id.bytes[12] = 0xbb;
    return id;
}

static struct tern_multiaddr parse(const char *text)
{
    struct tern_multiaddr addr;
    assert_int_equal(tern_multiaddr_parse(tern_view_str(text), &addr, NULL), TERN_OK);
    return addr;
}

static void add(struct scene *sc, unsigned peer, unsigned port, enum tern_addr_source source)
{
    char text[64];
    struct tern_peer_id id = peer_number(sc, peer);
    snprintf(text, sizeof text, "/ip4/44.0.0.1/tcp/%u", port);
    struct tern_multiaddr addr = parse(text);
    tern_swarm_add_address(sc->a->swarm, sc->w->now, &id, &addr, source);
}

static size_t addresses_of(const struct scene *sc, unsigned peer)
{
    struct tern_peer_id id = peer_number(sc, peer);
    struct tern_book_entry entry;
    return tern_swarm_book_find(sc->a->swarm, &id, &entry) ? entry.addresses_count : 0;
}

static bool knows_port(const struct scene *sc, unsigned peer, unsigned port)
{
    char text[64];
    struct tern_peer_id id = peer_number(sc, peer);
    struct tern_book_entry entry;
    snprintf(text, sizeof text, "/ip4/44.0.0.1/tcp/%u", port);
    struct tern_multiaddr addr = parse(text);
    if (!tern_swarm_book_find(sc->a->swarm, &id, &entry))
        return false;
    for (size_t i = 0; i < entry.addresses_count; i++)
        if (tern_view_equal(tern_multiaddr_view(&entry.addresses[i]), tern_multiaddr_view(&addr)))
            return true;
    return false;
}

static void addresses_are_remembered_once_in_order_of_arrival(void **state)
{
    struct scene *sc = *state;
    struct tern_book_entry entry;
    add(sc, 1, 100, TERN_ADDR_HEARSAY);
    add(sc, 1, 101, TERN_ADDR_HEARSAY);
    add(sc, 1, 100, TERN_ADDR_SIGNED);
    add(sc, 2, 100, TERN_ADDR_HEARSAY);
    assert_int_equal(addresses_of(sc, 1), 2);
    assert_int_equal(tern_swarm_book_count(sc->a->swarm), 2);
    for (unsigned i = 0; i < 2; i++) {
        struct tern_peer_id id = peer_number(sc, i + 1);
        assert_true(tern_swarm_book_at(sc->a->swarm, i, &entry));
        assert_true(tern_peer_id_equal(&entry.id, &id));
        struct tern_peer_id first = peer_number(sc, 1);
        assert_true(tern_swarm_book_next(sc->a->swarm, i == 0 ? NULL : &first, &entry));
        assert_true(tern_peer_id_equal(&entry.id, &id));
    }
    assert_false(tern_swarm_book_at(sc->a->swarm, 2, &entry));
    struct tern_peer_id last = peer_number(sc, 2);
    assert_false(tern_swarm_book_next(sc->a->swarm, &last, &entry));
}

static void useless_addresses_are_not_kept(void **state)
{
    struct scene *sc = *state;
    struct tern_peer_id id = peer_number(sc, 1);
    struct tern_peer_id other = peer_number(sc, 2);
    struct tern_peer_id none = {.size = 0};
    struct tern_multiaddr addr = parse("/ip4/44.0.0.1/tcp/0");
    tern_swarm_add_address(sc->a->swarm, sc->w->now, &id, &addr, TERN_ADDR_SIGNED);
    addr = parse("/ip4/224.0.0.1/tcp/1");
    tern_swarm_add_address(sc->a->swarm, sc->w->now, &id, &addr, TERN_ADDR_SIGNED);
    addr = parse("/ip4/44.0.0.1/tcp/1");
    tern_swarm_add_address(sc->a->swarm, sc->w->now, &none, &addr, TERN_ADDR_SIGNED);
    tern_swarm_add_address(sc->a->swarm, sc->w->now, &sc->a->id, &addr, TERN_ADDR_SIGNED);
    assert_int_equal(tern_multiaddr_append_peer_id(&addr, &other), TERN_OK);
    tern_swarm_add_address(sc->a->swarm, sc->w->now, &id, &addr, TERN_ADDR_SIGNED);
    assert_int_equal(tern_swarm_book_count(sc->a->swarm), 0);
    /* Its own id is taken off; a transport we lack is kept for others. */
    tern_swarm_add_address(sc->a->swarm, sc->w->now, &other, &addr, TERN_ADDR_SIGNED);
    assert_true(knows_port(sc, 2, 1));
    addr = parse("/ip4/44.0.0.1/udp/1/quic-v1");
    tern_swarm_add_address(sc->a->swarm, sc->w->now, &other, &addr, TERN_ADDR_SIGNED);
    assert_int_equal(addresses_of(sc, 2), 2);
}

static void a_flood_of_addresses_for_one_peer_is_bounded(void **state)
{
    struct scene *sc = *state;
    add(sc, 1, 1, TERN_ADDR_CONFIGURED);
    add(sc, 1, 2, TERN_ADDR_SIGNED);
    for (unsigned port = 100; port < 1000; port++)
        add(sc, 1, port, TERN_ADDR_HEARSAY);
    assert_int_equal(addresses_of(sc, 1), TERN_PEER_ADDRS_MAX);
    assert_true(knows_port(sc, 1, 1));
    assert_true(knows_port(sc, 1, 2));
    for (unsigned port = 1000; port < 1000 + TERN_PEER_ADDRS_MAX; port++)
        add(sc, 1, port, TERN_ADDR_SIGNED);
    assert_true(knows_port(sc, 1, 1));
    assert_false(knows_port(sc, 1, 999)); /* hearsay had to go */
    add(sc, 1, 5000, TERN_ADDR_HEARSAY);
    assert_false(knows_port(sc, 1, 5000)); /* and does not come back */
}

static void a_flood_of_peers_displaces_hearsay_alone(void **state)
{
    struct scene *sc = *state;
    add(sc, 1, 1, TERN_ADDR_CONFIGURED);
    add(sc, 2, 1, TERN_ADDR_SIGNED);
    add(sc, 3, 1, TERN_ADDR_IDENTIFY);
    for (unsigned peer = 100; peer < 3000; peer++)
        add(sc, peer, 1, TERN_ADDR_HEARSAY);
    assert_int_equal(tern_swarm_book_count(sc->a->swarm), 10);
    for (unsigned peer = 1; peer <= 3; peer++)
        assert_int_equal(addresses_of(sc, peer), 1);
    assert_int_equal(addresses_of(sc, 2999), 1); /* the newest hearsay is there */
    assert_int_equal(addresses_of(sc, 2992), 0);
    for (unsigned peer = 5000; peer < 5100; peer++)
        add(sc, peer, 1, TERN_ADDR_IDENTIFY);
    assert_int_equal(addresses_of(sc, 3), 0);
    assert_int_equal(addresses_of(sc, 2), 1);
    add(sc, 9000, 1, TERN_ADDR_HEARSAY); /* nothing as little trusted is left to displace */
    assert_int_equal(addresses_of(sc, 9000), 0);
    assert_true(sc->a->metrics.values[TERN_METRIC_SWARM_BOOK_REFUSED] > 0);
    for (unsigned peer = 6000; peer < 6100; peer++)
        add(sc, peer, 1, TERN_ADDR_CONFIGURED);
    assert_int_equal(addresses_of(sc, 1), 1);
    assert_int_equal(addresses_of(sc, 6000), 1);
    assert_int_equal(addresses_of(sc, 6099), 0); /* configured ones never displace each other */
}

static void a_connected_peer_is_not_displaced(void **state)
{
    struct scene *sc = *state;
    struct test_node *b = test_node_add(sc->w);
    struct tern_multiaddr addr;
    struct tern_book_entry entry;
    assert_true(test_node_start(b));
    test_listen(b);
    test_address(b, &addr);
    tern_swarm_add_address(sc->a->swarm, sc->w->now, &b->id, &addr, TERN_ADDR_HEARSAY);
    tern_peer peer = test_connect(sc->a, b);
    assert_int_not_equal(peer, 0);
    for (unsigned i = 100; i < 200; i++)
        add(sc, i, 1, TERN_ADDR_IDENTIFY);
    assert_true(tern_swarm_book_find(sc->a->swarm, &b->id, &entry));
    tern_swarm_disconnect(sc->a->swarm, sc->w->now, peer, 0);
    test_kick(sc->a);
    test_run(sc->w, TERN_SECOND);
    for (unsigned i = 200; i < 300; i++)
        add(sc, i, 1, TERN_ADDR_IDENTIFY);
    assert_false(tern_swarm_book_find(sc->a->swarm, &b->id, &entry));
}

static void addresses_expire_by_their_source(void **state)
{
    struct scene *sc = *state;
    add(sc, 1, 1, TERN_ADDR_CONFIGURED);
    add(sc, 1, 2, TERN_ADDR_SIGNED);
    add(sc, 1, 3, TERN_ADDR_IDENTIFY);
    add(sc, 1, 4, TERN_ADDR_HEARSAY);
    add(sc, 2, 4, TERN_ADDR_HEARSAY);
    test_run(sc->w, 2 * TERN_HOUR + 2 * TERN_MINUTE);
    assert_int_equal(addresses_of(sc, 1), 3);
    assert_int_equal(tern_swarm_book_count(sc->a->swarm), 1);
    test_run(sc->w, 23 * TERN_HOUR);
    assert_int_equal(addresses_of(sc, 1), 2);
    add(sc, 1, 2, TERN_ADDR_SIGNED); /* heard again: another 48 hours */
    test_run(sc->w, 47 * TERN_HOUR);
    assert_int_equal(addresses_of(sc, 1), 2);
    test_run(sc->w, 2 * TERN_HOUR);
    assert_int_equal(addresses_of(sc, 1), 1);
    assert_true(knows_port(sc, 1, 1));
}

/* --- the store --- */

static size_t rows_count(const struct test_world *w)
{
    size_t count = 0;
    for (size_t i = 0; i < TEST_ROWS_MAX; i++)
        count += w->rows[i].used;
    return count;
}

static void restart(struct scene *sc)
{
    test_node_stop(sc->a);
    assert_true(test_node_start(sc->a));
    test_run(sc->w, TERN_SECOND);
}

static void the_book_comes_back_after_a_restart(void **state)
{
    struct scene *sc = *state;
    struct tern_book_entry before;
    struct tern_book_entry after;
    struct tern_peer_id id = peer_number(sc, 2);
    add(sc, 1, 1, TERN_ADDR_CONFIGURED);
    add(sc, 2, 2, TERN_ADDR_SIGNED);
    add(sc, 2, 3, TERN_ADDR_HEARSAY);
    test_run(sc->w, 4 * TERN_SECOND);
    assert_int_equal(rows_count(sc->w), 0); /* changes are gathered first */
    test_run(sc->w, 2 * TERN_SECOND);
    assert_int_equal(rows_count(sc->w), 2);
    assert_true(tern_swarm_book_find(sc->a->swarm, &id, &before));
    test_run(sc->w, TERN_HOUR);
    restart(sc);
    assert_int_equal(tern_swarm_book_count(sc->a->swarm), 2);
    assert_true(knows_port(sc, 1, 1));
    assert_true(tern_swarm_book_find(sc->a->swarm, &id, &after));
    assert_int_equal(after.addresses_count, 2);
    assert_int_equal(after.last_seen, before.last_seen);
    test_run(sc->w, TERN_HOUR + TERN_MINUTE); /* expiry went on all the while */
    assert_int_equal(addresses_of(sc, 2), 1);
    restart(sc);
    assert_int_equal(addresses_of(sc, 2), 1);
}

static void a_book_larger_than_one_request_is_saved_and_loaded(void **state)
{
    struct scene *sc = *state;
    sc->a->config.limits.peers_max = 200;
    restart(sc);
    for (unsigned peer = 0; peer < 200; peer++)
        for (unsigned port = 1; port <= 10; port++)
            add(sc, peer, port, TERN_ADDR_SIGNED);
    test_run(sc->w, 10 * TERN_SECOND);
    assert_int_equal(rows_count(sc->w), 200);
    restart(sc);
    assert_int_equal(tern_swarm_book_count(sc->a->swarm), 200);
    for (unsigned peer = 0; peer < 200; peer++)
        assert_int_equal(addresses_of(sc, peer), 10);
}

static void what_is_forgotten_leaves_the_store(void **state)
{
    struct scene *sc = *state;
    add(sc, 1, 1, TERN_ADDR_HEARSAY);
    test_run(sc->w, 10 * TERN_SECOND);
    assert_int_equal(rows_count(sc->w), 1);
    test_run(sc->w, 3 * TERN_HOUR);
    assert_int_equal(rows_count(sc->w), 0);
}

static void damaged_rows_are_deleted(void **state)
{
    struct scene *sc = *state;
    add(sc, 1, 1, TERN_ADDR_SIGNED);
    add(sc, 2, 2, TERN_ADDR_SIGNED);
    add(sc, 3, 3, TERN_ADDR_SIGNED);
    add(sc, 4, 4, TERN_ADDR_SIGNED);
    test_run(sc->w, 10 * TERN_SECOND);
    for (size_t i = 0, n = 0; i < TEST_ROWS_MAX; i++) {
        struct test_row *row = &sc->w->rows[i];
        if (!row->used)
            continue;
        if (n == 0)
            row->value[0] = 9; /* another version */
        if (n == 1)
            row->value_size = 5;
        if (n == 2)
            row->value[13] = 200; /* far too many addresses */
        n++;
    }
    restart(sc);
    assert_int_equal(tern_swarm_book_count(sc->a->swarm), 1);
    test_run(sc->w, 10 * TERN_SECOND);
    assert_int_equal(rows_count(sc->w), 1);
}

static void rows_damaged_anywhere_do_no_harm(void **state)
{
    struct scene *sc = *state;
    struct tern_random random;
    tern_random_init_u64(&random, 7);
    for (int round = 0; round < 300; round++) {
        for (unsigned peer = 1; peer <= 5; peer++)
            add(sc, peer, 1 + (unsigned)tern_random_below(&random, 60000), TERN_ADDR_SIGNED);
        test_run(sc->w, 10 * TERN_SECOND);
        for (size_t i = 0; i < TEST_ROWS_MAX; i++) {
            struct test_row *row = &sc->w->rows[i];
            if (!row->used || !tern_random_chance(&random, 1, 2))
                continue;
            if (tern_random_chance(&random, 1, 4))
                row->value_size = tern_random_below(&random, row->value_size + 1);
            else if (row->value_size > 0)
                row->value[tern_random_below(&random, row->value_size)] ^=
                    (uint8_t)(1u << tern_random_below(&random, 8));
        }
        restart(sc);
        assert_true(tern_swarm_book_count(sc->a->swarm) <= 10);
    }
}

static void a_failed_write_is_tried_again(void **state)
{
    struct scene *sc = *state;
    sc->a->store_fails = true;
    add(sc, 1, 1, TERN_ADDR_SIGNED);
    test_run(sc->w, 10 * TERN_SECOND);
    assert_int_equal(rows_count(sc->w), 0);
    sc->a->store_fails = false;
    test_run(sc->w, 2 * TERN_MINUTE);
    assert_int_equal(rows_count(sc->w), 1);
}

static void a_shutdown_saves_what_has_changed(void **state)
{
    struct scene *sc = *state;
    add(sc, 1, 1, TERN_ADDR_SIGNED);
    tern_swarm_shutdown(sc->a->swarm, sc->w->now);
    assert_false(tern_swarm_is_down(sc->a->swarm));
    test_kick(sc->a);
    test_run(sc->w, 100 * TERN_MILLISECOND);
    assert_int_equal(rows_count(sc->w), 1);
    assert_true(tern_swarm_is_down(sc->a->swarm));
}

static void the_book_survives_without_memory(void **state)
{
    struct scene *sc = *state;
    for (uint64_t n = 1; n <= 40; n++) {
        tern_mem_fail_at(&sc->a->mem, n, true);
        add(sc, 1, (unsigned)n, TERN_ADDR_SIGNED);
        add(sc, 2 + (unsigned)n, 1, TERN_ADDR_HEARSAY);
        test_run(sc->w, 7 * TERN_SECOND);
        tern_mem_fail_at(&sc->a->mem, 0, false);
    }
    test_run(sc->w, 2 * TERN_MINUTE);
    assert_true(rows_count(sc->w) > 0);
    restart(sc);
    assert_true(tern_swarm_book_count(sc->a->swarm) > 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, scene_up, scene_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(addresses_are_remembered_once_in_order_of_arrival),
        T(useless_addresses_are_not_kept),
        T(a_flood_of_addresses_for_one_peer_is_bounded),
        T(a_flood_of_peers_displaces_hearsay_alone),
        T(a_connected_peer_is_not_displaced),
        T(addresses_expire_by_their_source),
        T(the_book_comes_back_after_a_restart),
        T(a_book_larger_than_one_request_is_saved_and_loaded),
        T(what_is_forgotten_leaves_the_store),
        T(damaged_rows_are_deleted),
        T(rows_damaged_anywhere_do_no_harm),
        T(a_failed_write_is_tried_again),
        T(a_shutdown_saves_what_has_changed),
        T(the_book_survives_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
