#include "quic/quic_tickets.h"

#include "quic/quic_testing.h"
#include "tern_test.h"

static struct tern_mem mem;
static struct quic_tickets tickets;

static void start(size_t bytes_max)
{
    tern_mem_init(&mem, 0);
    quic_tickets_init(&tickets, &mem, quic_testing_random(true), bytes_max);
}

static void end(void)
{
    quic_tickets_fini(&tickets);
    tern_mem_fini(&mem);
}

static void put(unsigned n, const char *data, const char *token)
{
    const struct quic_ticket_news news = {.peer = quic_testing_peer(n),
                                          .key = &quic_testing_key(n)->public_key,
                                          .data = tern_view_str(data),
                                          .params = tern_view_str(data[0] == 0 ? "" : "params"),
                                          .early = true,
                                          .expires_at = 100,
                                          .token = tern_view_str(token)};
    quic_tickets_put(&tickets, &news);
}

static void a_ticket_is_used_once(void **state)
{
    (void)state;
    start(100000);
    put(0, "ticket", "");
    put(0, "", "token");
    put(1, "other", "");
    struct quic_ticket *ticket = quic_tickets_find(&tickets, 1, quic_testing_peer(0));
    assert_non_null(ticket);
    assert_memory_equal(ticket->data, "ticket", 6);
    assert_int_equal(ticket->token_size, 5);
    assert_int_equal(ticket->params_size, 6);
    assert_true(ticket->early);
    assert_true(tern_public_key_equal(&ticket->key, &quic_testing_key(0)->public_key));
    quic_tickets_spend(&tickets, ticket);
    ticket = quic_tickets_find(&tickets, 1, quic_testing_peer(0));
    assert_null(ticket->data);
    assert_int_equal(ticket->token_size, 5); /* tokens hold longer */
    assert_null(quic_tickets_find(&tickets, 1, quic_testing_peer(2)));
    put(0, "newer", "");
    put(0, "newest", "");
    ticket = quic_tickets_find(&tickets, 1, quic_testing_peer(0));
    assert_memory_equal(ticket->data, "newest", 6);
    end();
}

static void tickets_expire(void **state)
{
    (void)state;
    start(100000);
    put(0, "ticket", "");
    assert_non_null(quic_tickets_find(&tickets, 99, quic_testing_peer(0))->data);
    assert_null(quic_tickets_find(&tickets, 100, quic_testing_peer(0))->data);
    end();
}

static void the_least_lately_used_goes_first(void **state)
{
    (void)state;
    start(3 * (sizeof(struct quic_ticket) + 6));
    for (unsigned n = 0; n < 3; n++)
        put(n, "ticket", "");
    assert_non_null(quic_tickets_find(&tickets, 1, quic_testing_peer(0)));
    put(3, "ticket", "");
    assert_non_null(quic_tickets_find(&tickets, 1, quic_testing_peer(0)));
    assert_null(quic_tickets_find(&tickets, 1, quic_testing_peer(1)));
    assert_non_null(quic_tickets_find(&tickets, 1, quic_testing_peer(2)));
    assert_non_null(quic_tickets_find(&tickets, 1, quic_testing_peer(3)));
    assert_true(tickets.bytes <= tickets.bytes_max);
    end();
}

static void what_is_too_large_is_not_kept(void **state)
{
    (void)state;
    static char large[QUIC_TICKET_SIZE_MAX + 2];
    memset(large, 'x', sizeof large - 1);
    start(100000);
    put(0, large, "");
    assert_null(quic_tickets_find(&tickets, 1, quic_testing_peer(0))->data);
    large[QUIC_TICKET_TOKEN_MAX + 1] = 0;
    put(0, "", large);
    assert_int_equal(quic_tickets_find(&tickets, 1, quic_testing_peer(0))->token_size, 0);
    end();
}

static void without_memory_it_is_not_kept(void **state)
{
    (void)state;
    start(100000);
    for (uint64_t n = 1; n < 4; n++) {
        tern_mem_fail_at(&mem, n, false);
        put(0, "ticket", "token");
        tern_mem_fail_at(&mem, 0, false);
    }
    put(0, "ticket", "token");
    assert_memory_equal(quic_tickets_find(&tickets, 1, quic_testing_peer(0))->data, "ticket", 6);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ticket_is_used_once),
        cmocka_unit_test(tickets_expire),
        cmocka_unit_test(the_least_lately_used_goes_first),
        cmocka_unit_test(what_is_too_large_is_not_kept),
        cmocka_unit_test(without_memory_it_is_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
