#include "quic/quic_route.h"

#include "tern_test.h"

static struct tern_mem mem;
static struct quic_routes routes;

static void start(void)
{
    struct tern_random random;
    tern_mem_init(&mem, 0);
    tern_random_init_u64(&random, 1);
    quic_routes_init(&routes, &mem, &random);
}

static void end(void)
{
    quic_routes_fini(&routes);
    tern_mem_fini(&mem);
}

static struct tern_view id(const char *text)
{
    return tern_view_str(text);
}

static void ids_lead_to_their_route(void **state)
{
    (void)state;
    struct quic_route one;
    struct quic_route two;
    start();
    quic_route_init(&one, QUIC_ROUTE_CONN);
    quic_route_init(&two, QUIC_ROUTE_CONN);
    assert_ok(quic_route_add_cid(&routes, &one, id("first")));
    assert_ok(quic_route_add_cid(&routes, &one, id("second")));
    assert_ok(quic_route_add_cid(&routes, &two, id("third")));
    assert_ok(quic_route_add_token(&routes, &two, id("first")));
    assert_int_equal(quic_route_add_cid(&routes, &two, id("first")), TERN_ERR_EXISTS);
    for (unsigned i = 0; i < 2; i++) { /* twice: the last that was found is remembered */
        assert_ptr_equal(quic_routes_find_cid(&routes, id("first")), &one);
        assert_ptr_equal(quic_routes_find_cid(&routes, id("third")), &two);
        assert_ptr_equal(quic_routes_find_token(&routes, id("first")), &two);
        assert_null(quic_routes_find_cid(&routes, id("firs")));
        assert_null(quic_routes_find_token(&routes, id("third")));
    }
    /* An id is forgotten by whose it is alone. */
    assert_ptr_equal(quic_routes_find_cid(&routes, id("first")), &one);
    quic_route_remove_cid(&routes, &two, id("first"));
    assert_ptr_equal(quic_routes_find_cid(&routes, id("first")), &one);
    quic_route_remove_cid(&routes, &one, id("first"));
    assert_null(quic_routes_find_cid(&routes, id("first")));
    quic_route_remove_token(&routes, &two, id("first"));
    assert_null(quic_routes_find_token(&routes, id("first")));
    quic_route_clear(&routes, &one);
    quic_route_clear(&routes, &two);
    assert_null(quic_routes_find_cid(&routes, id("second")));
    end();
}

static void all_of_a_route_moves_at_once(void **state)
{
    (void)state;
    struct quic_route session;
    struct quic_route ending;
    start();
    quic_route_init(&session, QUIC_ROUTE_CONN);
    quic_route_init(&ending, QUIC_ROUTE_ENDING);
    assert_ok(quic_route_add_cid(&routes, &session, id("first")));
    assert_ok(quic_route_add_cid(&routes, &session, id("second")));
    assert_ok(quic_route_add_token(&routes, &session, id("token")));
    assert_ptr_equal(quic_routes_find_cid(&routes, id("second")), &session);
    quic_route_move(&session, &ending);
    quic_route_clear(&routes, &session);
    assert_ptr_equal(quic_routes_find_cid(&routes, id("first")), &ending);
    assert_ptr_equal(quic_routes_find_cid(&routes, id("second")), &ending);
    assert_ptr_equal(quic_routes_find_token(&routes, id("token")), &ending);
    quic_route_clear(&routes, &ending);
    end();
}

static void want_of_memory_changes_nothing(void **state)
{
    (void)state;
    struct quic_route one;
    start();
    quic_route_init(&one, QUIC_ROUTE_CONN);
    for (uint64_t n = 1; n < 4; n++) {
        tern_mem_fail_at(&mem, n, false);
        if (quic_route_add_cid(&routes, &one, id("first")) == TERN_OK)
            quic_route_clear(&routes, &one);
        tern_mem_fail_at(&mem, 0, false);
        assert_null(quic_routes_find_cid(&routes, id("first")));
    }
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_lead_to_their_route),
        cmocka_unit_test(all_of_a_route_moves_at_once),
        cmocka_unit_test(want_of_memory_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
