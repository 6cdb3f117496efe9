/*
 * Links of a private network: no round trip more, every form inside which it lies, forms told apart
 * on one port, and who is not of the network.
 */
#include "conn/conn_test_fixture.h"

static const tern_time LATENCY = 50 * TERN_MILLISECOND;

enum { ALL_FORMS = TERN_LINK_PLAIN | TERN_LINK_WEBSOCKET | TERN_LINK_WEBSOCKET_TLS };

static const unsigned forms[] = {TERN_LINK_PLAIN, TERN_LINK_WEBSOCKET, TERN_LINK_WEBSOCKET_TLS};

static struct conn_pair_options private_options(unsigned form)
{
    return (struct conn_pair_options){.link = {.seed = 1, .latency_ns = LATENCY},
                                      .secure = TERN_SECURE_NOISE,
                                      .right_peer = true,
                                      .networks = {1, 1},
                                      .form = form};
}

/* As a public one's, but for a listener's nonce at once and 24 bytes in front. */
static void upgrade_flight_by_flight(void **state)
{
    (void)state;
    struct fixture f;
    struct conn_pair_options options = private_options(TERN_LINK_PLAIN);
    options.open_size = 1;
    struct conn_pair *pair = open_pair(&f, &options);
    conn_pair_run(pair, TERN_SECOND);
    golden_expect(&pair->log, "0.0 a sends 86\n"
                              "0.0 b sends 24\n"
                              "50.0 b job\n"
                              "50.0 b sends 246\n"
                              "100.0 a job\n"
                              "100.0 a established\n"
                              "100.0 a sends 263\n"
                              "150.0 b job\n"
                              "150.0 b established\n"
                              "150.0 b opened /test/echo/1\n"
                              "150.0 b readable\n"
                              "150.0 b sends 89\n"
                              "200.0 a rtt\n"
                              "200.0 a ready 0\n"
                              "200.0 a readable\n"
                              "200.0 a sends 30\n"
                              "250.0 b rtt\n");
    close_pair(&f);
}

static void a_private_network_costs_no_round_trip(void **state)
{
    (void)state;
    static const unsigned round_trips[] = {2, 3, 4};
    for (size_t i = 0; i < TERN_COUNT_OF(forms); i++) {
        for (int shared = 0; shared < 2; shared++) {
            struct fixture f;
            struct conn_pair_options options = private_options(forms[i]);
            options.forms = shared ? ALL_FORMS : 0;
            options.open_size = 1;
            struct conn_pair *pair = open_pair(&f, &options);
            conn_pair_run(pair, TERN_SECOND);
            assert_true(conn_pair_echoed(&pair->ends[0], 1));
            assert_int_equal(pair->ends[0].first_byte_at, round_trips[i] * 2 * LATENCY);
            close_pair(&f);
        }
    }
}

/* Many nonces: none of them looks like another form. */
static void forms_are_told_apart_on_one_port(void **state)
{
    (void)state;
    static const size_t segments[] = {0, 1, 2, 5, 20};
    for (size_t i = 0; i < 300; i++) {
        struct fixture f;
        struct conn_pair_options options =
            private_options(i % 50 == 0 ? forms[i / 50 % TERN_COUNT_OF(forms)] : TERN_LINK_PLAIN);
        options.forms = ALL_FORMS;
        options.link.seed = i + 1;
        options.link.segment_max = segments[i % TERN_COUNT_OF(segments)];
        options.secure = TERN_SECURE_PLAINTEXT;
        options.open_size = 100;
        options.ends_early = true;
        struct conn_pair *pair = open_pair(&f, &options);
        conn_pair_run(pair, 5 * TERN_SECOND);
        assert_true(conn_pair_echoed(&pair->ends[0], 100));
        close_pair(&f);
    }
}

static tern_err feed(struct conn_end *end, const char *bytes, size_t size)
{
    tern_err err = TERN_OK;
    for (size_t i = 0; i < size && err == TERN_OK; i++) {
        uint8_t byte = (uint8_t)bytes[i];
        size_t used = 0;
        err = tern_conn_recv(end->conn, 0, (struct tern_slice){.view = tern_view_of(&byte, 1)},
                             &used);
        assert_int_equal(used, 1);
        conn_pair_serve(end, 0);
    }
    return err;
}

/* A nonce may begin as other forms do, up to a place. */
static void nonces_that_look_like_something_else_are_nonces(void **state)
{
    (void)state;
    static const struct {
        unsigned forms;
        const char *bytes;
        bool plain;
    } cases[] = {
        {ALL_FORMS, "GET.....................", true},
        {ALL_FORMS, "\x16\x03........................", true},
        {ALL_FORMS, "\x16\x03\x03\x02\x02\x02..................", true},
        {ALL_FORMS, "\x16\x03\x08\x02\x02\x01..................", true},
        {ALL_FORMS, "\x16\x03\x01\x02\x02\x01..................", false},
        {ALL_FORMS, "GET /...................", false},
        {TERN_LINK_PLAIN | TERN_LINK_WEBSOCKET, "\x16\x03\x01\x02\x02\x01..................", true},
        {TERN_LINK_PLAIN | TERN_LINK_WEBSOCKET_TLS, "GET /...................", true},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        struct fixture f;
        struct conn_pair_options options = private_options(TERN_LINK_PLAIN);
        options.forms = cases[i].forms;
        struct conn_pair *pair = open_pair(&f, &options);
        struct conn_end *b = &pair->ends[1];
        tern_err err = feed(b, cases[i].bytes, 24);
        if (cases[i].plain) { /* and then the cipher wants to hear the greeting */
            assert_ok(err);
            assert_int_equal(feed(b, "........", 8), TERN_ERR_PROTOCOL);
            assert_int_equal(b->fault, TERN_FAULT_PNET_OTHER_KEY);
        } else {
            assert_int_not_equal(b->fault, TERN_FAULT_PNET_OTHER_KEY);
        }
        close_pair(&f);
    }
}

static void only_other_forms_may_be_refused(void **state)
{
    (void)state;
    struct fixture f;
    struct conn_pair_options options = private_options(TERN_LINK_WEBSOCKET);
    options.forms = TERN_LINK_WEBSOCKET | TERN_LINK_WEBSOCKET_TLS;
    struct conn_pair *pair = open_pair(&f, &options);
    assert_int_equal(feed(&pair->ends[1], "SSH-2.0", 7), TERN_ERR_PROTOCOL);
    assert_int_equal(pair->ends[1].fault, TERN_FAULT_CONN_WRONG_FORM);
    close_pair(&f);
}

/* Another network, or the public one: no word gets through, and a member that has heard one says
 * what is wrong. A public end hears noise and may leave before it is heard itself. */
static void strangers_are_told_by_name(void **state)
{
    (void)state;
    static const unsigned networks[][2] = {{1, 2}, {1, 0}, {0, 1}};
    for (size_t n = 0; n < TERN_COUNT_OF(networks) * TERN_COUNT_OF(forms); n++) {
        struct fixture f;
        struct conn_pair_options options = private_options(forms[n / TERN_COUNT_OF(networks)]);
        memcpy(options.networks, networks[n % TERN_COUNT_OF(networks)], sizeof options.networks);
        struct conn_pair *pair = open_pair(&f, &options);
        conn_pair_run(pair, 15 * TERN_SECOND);
        unsigned told = 0;
        for (int i = 0; i < 2; i++) {
            const struct conn_end *end = &pair->ends[i];
            assert_int_equal(end->counts[TERN_CONN_ESTABLISHED], 0);
            assert_int_equal(end->counts[TERN_CONN_CLOSED], 1);
            told += end->fault == TERN_FAULT_PNET_OTHER_KEY;
            assert_true(options.networks[i] != 0 || end->fault != TERN_FAULT_PNET_OTHER_KEY);
        }
        if (told == 0 && options.networks[0] != 0 && options.networks[1] != 0)
            fail_msg("case %zu: %s, %s", n, tern_fault_name(pair->ends[0].fault),
                     tern_fault_name(pair->ends[1].fault));
        close_pair(&f);
    }
}

static void any_segmentation_gives_the_same(void **state)
{
    (void)state;
    struct conn_pair_options options = private_options(TERN_LINK_PLAIN);
    options.forms = ALL_FORMS;
    expect_echo_in_any_segmentation(&options, 30);
    options.form = TERN_LINK_WEBSOCKET;
    expect_echo_in_any_segmentation(&options, 20);
    options.form = TERN_LINK_WEBSOCKET_TLS;
    expect_echo_in_any_segmentation(&options, 10);
}

static void the_link_may_end_at_every_byte(void **state)
{
    (void)state;
    struct conn_pair_options options = private_options(TERN_LINK_PLAIN);
    expect_ends_at_every_byte(&options, 300);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(forms); i++) {
        struct conn_pair_options options = private_options(forms[i]);
        options.secure = TERN_SECURE_PLAINTEXT;
        options.forms = i == 0 ? ALL_FORMS : 0;
        expect_allocations_may_fail(options, 200);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(upgrade_flight_by_flight),
        cmocka_unit_test(a_private_network_costs_no_round_trip),
        cmocka_unit_test(forms_are_told_apart_on_one_port),
        cmocka_unit_test(nonces_that_look_like_something_else_are_nonces),
        cmocka_unit_test(only_other_forms_may_be_refused),
        cmocka_unit_test(strangers_are_told_by_name),
        cmocka_unit_test(any_segmentation_gives_the_same),
        cmocka_unit_test(the_link_may_end_at_every_byte),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("conn_pnet", tests, NULL, NULL);
}
