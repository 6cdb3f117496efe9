/* What the world does to datagrams, as golden logs in virtual time. Times are milliseconds. */
#include "base/map.h"
#include "runtime/sim/capture_testing.h"
#include "runtime/sim/puppet_testing.h"
#include "runtime/sim/topology.h"
#include "tern_test.h"

enum { NODES = 4, PORT = 4001 };

struct fixture {
    struct sim_world *world;
    struct golden log;
    struct puppet p[NODES];
};

/* Ten milliseconds one way, no jitter: every time in the logs is exact. */
static void exact_options(struct sim_world_options *options)
{
    sim_world_options_defaults(options);
    options->path_default = (struct sim_path){.latency_ns = 10 * TERN_MILLISECOND};
    options->cut_segment_ppm = 0;
}

static void forget_log(struct fixture *f)
{
    golden_fini(&f->log);
    golden_init(&f->log);
}

/* Every node has a socket on port 4001, in slot 0. */
static void open_world(struct fixture *f, const struct sim_world_options *options)
{
    struct sim_world_options plain;
    exact_options(&plain);
    memset(f, 0, sizeof(*f));
    golden_init(&f->log);
    f->world = sim_world_new(options == NULL ? &plain : options);
    for (size_t i = 0; i < NODES; i++) {
        puppet_add(f->world, f->p, &f->log);
        puppet_bind(f->world, &f->p[i], PORT);
    }
    forget_log(f);
}

static void close_world(struct fixture *f)
{
    sim_world_free(f->world);
    golden_fini(&f->log);
}

static void run_for(struct fixture *f, tern_time span)
{
    sim_world_run(f->world, sim_world_now(f->world) + span);
}

static void say(struct fixture *f, uint32_t from, uint32_t to, uint16_t size, uint16_t count)
{
    puppet_say(f->world, &f->p[from],
               &(struct puppet_batch){
                   .to = sim_world_endpoint(f->world, to, PORT), .size = size, .count = count});
}

static struct tern_endpoint seen_as(const struct fixture *f, uint32_t node)
{
    struct tern_endpoint seen;
    assert_true(sim_world_seen_as(f->world, node, f->p[node].links[0].id, &seen));
    return seen;
}

/* --- there --- */

static void datagrams_take_one_way_and_stay_together(void **state)
{
    (void)state;
    struct fixture f;
    open_world(&f, NULL);
    say(&f, 0, 1, 100, 1);
    puppet_say(
        f.world, &f.p[1],
        &(struct puppet_batch){
            .to = sim_world_endpoint(f.world, 0, PORT), .size = 1200, .count = 3, .last_size = 7});
    run_for(&f, TERN_SECOND);
    golden_expect(&f.log, "10.000 b got 0: 1 x 100 from 10.0.0.1:4001\n"
                          "10.000 a got 0: 2 x 1200 + 7 from 10.0.0.2:4001\n");
    const struct sim_counters *counters = sim_world_counters(f.world);
    assert_int_equal(counters->datagrams_sent, 4);
    assert_int_equal(counters->datagrams_taken, 4);
    assert_int_equal(counters->inputs_by_kind[TERN_INPUT_DATAGRAMS], 2);
    close_world(&f);
}

static void ip6_works_beside_ip4(void **state)
{
    (void)state;
    struct fixture f;
    open_world(&f, NULL);
    for (uint32_t i = 0; i < 2; i++)
        puppet_do(f.world, &f.p[i],
                  (struct tern_command){.kind = TERN_COMMAND_BIND,
                                        .endpoint = {.family = 6, .port = PORT}});
    puppet_say(
        f.world, &f.p[0],
        &(struct puppet_batch){
            .slot = 1, .to = sim_world_endpoint6(f.world, 1, PORT), .size = 1452, .count = 2});
    /* The other family's addresses lead nowhere, and so does port 0. */
    puppet_say(f.world, &f.p[0],
               &(struct puppet_batch){
                   .slot = 1, .to = sim_world_endpoint(f.world, 1, PORT), .size = 10, .count = 1});
    puppet_say(f.world, &f.p[0],
               &(struct puppet_batch){
                   .slot = 1, .to = sim_world_endpoint6(f.world, 1, 0), .size = 10, .count = 1});
    run_for(&f, TERN_SECOND);
    golden_expect(&f.log, "0.000 a bound 1 on 4001\n"
                          "0.000 b bound 1 on 4001\n"
                          "10.000 b got 1: 2 x 1452 from 6:10.0.0.1:4001\n");
    close_world(&f);
}

static void what_is_larger_than_its_path_vanishes(void **state)
{
    (void)state;
    struct fixture f;
    struct sim_world_options options;
    exact_options(&options);
    open_world(&f, &options);
    say(&f, 0, 1, 1473, 2);
    say(&f, 0, 1, 1472, 2);
    run_for(&f, TERN_SECOND);
    golden_expect(&f.log, "10.000 b got 0: 2 x 1472 from 10.0.0.1:4001\n");
    close_world(&f);
    options.path_default.mtu_bytes = 1280;
    options.capture = capture_golden;
    options.capture_context = &f.log;
    open_world(&f, &options);
    f.p[1].quiet_data = true;
    say(&f, 0, 1, 1253, 1);
    say(&f, 0, 1, 1252, 1);
    run_for(&f, TERN_SECOND);
    golden_expect(&f.log, "0.000 10.0.0.1:4001 > 10.0.0.2:4001 1253 bytes too large\n"
                          "0.000 10.0.0.1:4001 > 10.0.0.2:4001 1252 bytes sent\n"
                          "10.000 10.0.0.1:4001 > 10.0.0.2:4001 1252 bytes arrived\n");
    close_world(&f);
}

/* --- narrow paths --- */

static void a_narrow_path_parts_batches_and_marks_and_drops(void **state)
{
    (void)state;
    struct fixture f;
    struct sim_world_options options;
    exact_options(&options);
    options.path_default.bytes_per_second = 1000000;
    options.path_default.queue_bytes = 4000;
    open_world(&f, &options);
    puppet_say(f.world, &f.p[0],
               &(struct puppet_batch){
                   .to = sim_world_endpoint(f.world, 1, PORT), .ecn = 1, .size = 1000, .count = 6});
    run_for(&f, 2500 * TERN_MICROSECOND); /* two have left */
    say(&f, 0, 1, 500, 1);
    run_for(&f, TERN_SECOND);
    golden_expect(&f.log, "11.000 b got 0: 1 x 1000 from 10.0.0.1:4001\n"
                          "12.000 b got 0: 1 x 1000 from 10.0.0.1:4001\n"
                          "13.000 b got 0: 1 x 1000 from 10.0.0.1:4001, marked\n"
                          "14.000 b got 0: 1 x 1000 from 10.0.0.1:4001, marked\n"
                          "14.500 b got 0: 1 x 500 from 10.0.0.1:4001\n");
    const struct sim_counters *counters = sim_world_counters(f.world);
    assert_int_equal(counters->datagrams_sent, 7);
    assert_int_equal(counters->datagrams_dropped, 2);
    assert_int_equal(counters->datagrams_marked, 2);
    close_world(&f);
}

/* The world of a node whose uplink takes a millisecond for a thousand bytes, and keeps four. */
static void open_uplink(struct fixture *f)
{
    struct sim_world_options options;
    exact_options(&options);
    memset(f, 0, sizeof(*f));
    golden_init(&f->log);
    f->world = sim_world_new(&options);
    struct sim_node_options slow = {.ops = &puppet_node_ops,
                                    .context = f->p,
                                    .up_bytes_per_second = 1000000,
                                    .up_queue_bytes = 4000};
    assert_int_equal(sim_world_add(f->world, &slow), 0);
    f->p[0] = (struct puppet){.log = &f->log};
    assert_ok(sim_world_start(f->world, 0));
    puppet_bind(f->world, &f->p[0], PORT);
    puppet_add(f->world, f->p, &f->log);
    puppet_bind(f->world, &f->p[1], PORT);
    forget_log(f);
}

static void a_full_uplink_asks_for_no_more(void **state)
{
    (void)state;
    struct fixture f;
    open_uplink(&f);
    f.p[1].quiet_data = true;
    for (int i = 0; i < 50; i++)
        say(&f, 0, 1, 1000, 2);
    assert_int_equal(f.p[0].batches_count, 48);
    run_for(&f, 2 * TERN_MILLISECOND); /* half empty */
    assert_int_equal(f.p[0].batches_count, 47);
    run_for(&f, 50 * TERN_MILLISECOND);
    assert_int_equal(f.p[1].datagrams, 42);
    puppet_link_do(f.world, &f.p[0], TERN_COMMAND_CLOSE, 0); /* when all has gone */
    say(&f, 1, 0, 10, 1);                                    /* finds it closing */
    run_for(&f, TERN_SECOND);
    assert_int_equal(f.p[1].datagrams, 100);
    assert_int_equal(sim_world_counters(f.world)->datagrams_dropped, 1);
    golden_expect(&f.log, "98.000 a closed 0: OK\n");
    close_world(&f);
}

static void an_abort_while_the_uplink_is_full_is_at_once(void **state)
{
    (void)state;
    struct fixture f;
    open_uplink(&f);
    f.p[1].quiet_data = true;
    for (int i = 0; i < 50; i++)
        say(&f, 0, 1, 1000, 2);
    puppet_link_do(f.world, &f.p[0], TERN_COMMAND_ABORT, 0);
    run_for(&f, TERN_SECOND);
    assert_int_equal(f.p[1].datagrams, 4); /* they had left the machine */
    golden_expect(&f.log, "0.000 a closed 0: OK\n");
    close_world(&f);
}

static void links_and_sockets_share_the_uplink(void **state)
{
    (void)state;
    struct fixture f;
    open_uplink(&f);
    puppet_listen(f.world, &f.p[1], PORT);
    puppet_dial(f.world, &f.p[0], 1, PORT);
    run_for(&f, 40 * TERN_MILLISECOND);
    forget_log(&f);
    puppet_send(f.world, &f.p[0], 1, 20000);
    say(&f, 0, 1, 1000, 2);
    run_for(&f, TERN_SECOND);
    golden_expect(&f.log, "66.384 b data 1: 16384 of 16384\n"
                          "70.000 b data 1: 3616 of 3616\n"
                          "71.000 b got 0: 1 x 1000 from 10.0.0.1:4001\n"
                          "72.000 b got 0: 1 x 1000 from 10.0.0.1:4001\n");
    close_world(&f);
}

/* --- loss, disorder --- */

static void loss_takes_its_share(void **state)
{
    (void)state;
    struct fixture f;
    struct sim_world_options options;
    exact_options(&options);
    options.path_default.loss_ppm = 100000;
    open_world(&f, &options);
    f.p[1].quiet_data = true;
    for (int i = 0; i < 100; i++) {
        say(&f, 0, 1, 100, 20);
        run_for(&f, TERN_MILLISECOND);
    }
    run_for(&f, TERN_SECOND);
    const struct sim_counters *counters = sim_world_counters(f.world);
    assert_in_range(counters->datagrams_lost, 150, 250);
    assert_int_equal(counters->datagrams_taken, 2000 - counters->datagrams_lost);
    assert_int_equal(counters->inputs_by_kind[TERN_INPUT_DATAGRAMS], 100);
    close_world(&f);
}

static bool lose_second(void *context, const struct sim_datagram *datagram)
{
    unsigned *seen = context;
    assert_int_equal(datagram->from, 0);
    assert_int_equal(datagram->to, 1);
    return ++*seen == 2;
}

static void a_scenario_loses_what_it_chooses(void **state)
{
    (void)state;
    struct fixture f;
    struct sim_world_options options;
    unsigned seen = 0;
    exact_options(&options);
    options.lose = lose_second;
    options.lose_context = &seen;
    options.capture = capture_golden;
    options.capture_context = &f.log;
    open_world(&f, &options);
    puppet_say(
        f.world, &f.p[0],
        &(struct puppet_batch){
            .to = sim_world_endpoint(f.world, 1, PORT), .size = 100, .count = 3, .last_size = 50});
    run_for(&f, TERN_SECOND);
    golden_expect(&f.log, "0.000 10.0.0.1:4001 > 10.0.0.2:4001 100 bytes sent\n"
                          "0.000 10.0.0.1:4001 > 10.0.0.2:4001 100 bytes lost\n"
                          "0.000 10.0.0.1:4001 > 10.0.0.2:4001 50 bytes sent\n"
                          "10.000 10.0.0.1:4001 > 10.0.0.2:4001 100 bytes arrived\n"
                          "10.000 10.0.0.1:4001 > 10.0.0.2:4001 50 bytes arrived\n"
                          "10.000 b got 0: 1 x 100 + 50 from 10.0.0.1:4001\n");
    close_world(&f);
}

static void some_come_late_and_some_come_twice(void **state)
{
    (void)state;
    struct fixture f;
    struct sim_world_options options;
    exact_options(&options);
    options.path_default.reorder_ppm = 50000;
    options.path_default.duplicate_ppm = 20000;
    open_world(&f, &options);
    f.p[1].quiet_data = true;
    for (int i = 0; i < 100; i++) {
        say(&f, 0, 1, 100, 20);
        run_for(&f, TERN_MILLISECOND);
    }
    run_for(&f, TERN_SECOND);
    const struct sim_counters *counters = sim_world_counters(f.world);
    assert_in_range(counters->datagrams_late, 60, 140);
    assert_in_range(counters->datagrams_twice, 20, 60);
    assert_int_equal(counters->datagrams_taken, 2000 + counters->datagrams_twice);
    assert_int_equal(f.p[1].datagrams, counters->datagrams_taken);
    uint64_t alone = counters->datagrams_late + counters->datagrams_twice;
    assert_true(counters->inputs_by_kind[TERN_INPUT_DATAGRAMS] >= alone);
    close_world(&f);
}

static void late_is_up_to_half_the_latency(void **state)
{
    (void)state;
    struct fixture f;
    struct sim_world_options options;
    exact_options(&options);
    options.path_default.reorder_ppm = 1000000;
    open_world(&f, &options);
    for (uint64_t i = 1; i <= 20; i++) {
        tern_time sent = sim_world_now(f.world);
        say(&f, 0, 1, 100, 1);
        run_for(&f, TERN_SECOND);
        assert_int_equal(f.p[1].datagrams, i);
        assert_in_range(f.p[1].last_input - sent, 10 * TERN_MILLISECOND + 1,
                        15 * TERN_MILLISECOND + 1);
    }
    close_world(&f);
}

/* Jitter delays a batch as a whole, and never lets one overtake another. */
static void jitter_keeps_order_and_batches(void **state)
{
    (void)state;
    struct fixture f;
    struct sim_world_options options;
    exact_options(&options);
    options.path_default.jitter_ns = 5 * TERN_MILLISECOND;
    open_world(&f, &options);
    f.p[1].quiet_data = true;
    for (uint16_t i = 0; i < 50; i++) {
        say(&f, 0, 1, 100, 10);
        run_for(&f, TERN_MILLISECOND / 10);
    }
    run_for(&f, TERN_SECOND);
    assert_int_equal(sim_world_counters(f.world)->inputs_by_kind[TERN_INPUT_DATAGRAMS], 50);
    assert_int_equal(f.p[1].datagrams, 500);
    close_world(&f);
}

static void a_batch_may_come_in_two_parts(void **state)
{
    (void)state;
    struct fixture f;
    struct sim_world_options options;
    exact_options(&options);
    options.cut_segment_ppm = 1000000;
    open_world(&f, &options);
    f.p[1].quiet_data = true;
    for (int i = 0; i < 50; i++)
        say(&f, 0, 1, 100, 10);
    run_for(&f, TERN_SECOND);
    assert_int_equal(f.p[1].datagrams, 500);
    assert_in_range(sim_world_counters(f.world)->inputs_by_kind[TERN_INPUT_DATAGRAMS], 80, 100);
    close_world(&f);
}

static void sockets_do_not_disturb_each_others_draws(void **state)
{
    (void)state;
    uint64_t got[2];
    for (unsigned i = 0; i < 2; i++) {
        struct fixture f;
        struct sim_world_options options;
        exact_options(&options);
        options.path_default.jitter_ns = 10 * TERN_MILLISECOND;
        options.path_default.loss_ppm = 200000;
        options.path_default.reorder_ppm = 200000;
        open_world(&f, &options);
        f.p[3].quiet_data = f.p[2].quiet_data = true;
        for (int j = 0; i == 1 && j < 10; j++) { /* others are busy */
            say(&f, 2, 3, 100, 20);
            say(&f, 3, 2, 100, 20);
        }
        for (int j = 0; j < 10; j++)
            say(&f, 0, 1, 100, 20);
        run_for(&f, TERN_SECOND);
        const uint64_t key[2] = {0, 0};
        got[i] = tern_siphash(key, tern_view_of(f.log.text, f.log.size));
        close_world(&f);
    }
    assert_true(got[0] == got[1]);
}

static void one_seed_gives_one_run(void **state)
{
    (void)state;
    uint64_t hashes[3];
    static const uint64_t seeds[3] = {1, 1, 2};
    for (unsigned i = 0; i < 3; i++) {
        struct fixture f;
        struct sim_world_options options;
        exact_options(&options);
        options.seed = seeds[i];
        options.path_default.loss_ppm = 100000;
        open_world(&f, &options);
        for (int j = 0; j < 10; j++)
            say(&f, 0, 1, 100, 20);
        run_for(&f, TERN_SECOND);
        hashes[i] = sim_world_trace_hash(f.world);
        close_world(&f);
    }
    assert_true(hashes[0] == hashes[1]);
    assert_true(hashes[0] != hashes[2]);
}

/* --- nobody there --- */

static void datagrams_for_nobody_are_gone(void **state)
{
    (void)state;
    struct fixture f;
    struct sim_world_options options;
    exact_options(&options);
    options.capture = capture_golden;
    options.capture_context = &f.log;
    open_world(&f, &options);
    struct puppet_batch batch = {
        .to = {.family = 4, .ip = {192, 0, 2, 1}, .port = 1}, .size = 10, .count = 1};
    puppet_say(f.world, &f.p[0], &batch);
    batch.to = sim_world_endpoint(f.world, 1, PORT + 1);
    puppet_say(f.world, &f.p[0], &batch);
    sim_world_crash(f.world, 2, SIM_CRASH_PROCESS);
    say(&f, 0, 2, 11, 1);
    sim_world_crash(f.world, 3, SIM_CRASH_HOST);
    say(&f, 0, 3, 12, 1);
    run_for(&f, TERN_SECOND);
    golden_expect(&f.log, "0.000 10.0.0.1:4001 > 192.0.2.1:1 10 bytes nobody\n"
                          "0.000 10.0.0.1:4001 > 10.0.0.2:4002 10 bytes sent\n"
                          "0.000 10.0.0.1:4001 > 10.0.0.3:4001 11 bytes sent\n"
                          "0.000 10.0.0.1:4001 > 10.0.0.4:4001 12 bytes sent\n"
                          "10.000 10.0.0.1:4001 > 10.0.0.2:4002 10 bytes nobody\n"
                          "10.000 10.0.0.1:4001 > 10.0.0.3:4001 11 bytes nobody\n"
                          "10.000 10.0.0.1:4001 > 10.0.0.4:4001 12 bytes nobody\n");
    close_world(&f);
}

static void cuts_take_datagrams_away(void **state)
{
    (void)state;
    struct fixture f;
    open_world(&f, NULL);
    sim_world_cut_one_way(f.world, 0, 1);
    say(&f, 0, 1, 10, 1);
    say(&f, 1, 0, 11, 1);
    run_for(&f, 5 * TERN_MILLISECOND);
    sim_world_heal_all(f.world);
    sim_world_set_group(f.world, 2, 1);
    say(&f, 2, 0, 12, 1);
    run_for(&f, 20 * TERN_MILLISECOND);
    sim_world_set_group(f.world, 2, 0);
    say(&f, 0, 2, 13, 1);
    run_for(&f, TERN_SECOND);
    /* What was under way when the cut healed comes. */
    golden_expect(&f.log, "10.000 b got 0: 1 x 10 from 10.0.0.1:4001\n"
                          "10.000 a got 0: 1 x 11 from 10.0.0.2:4001\n"
                          "35.000 c got 0: 1 x 13 from 10.0.0.1:4001\n");
    close_world(&f);
}

static void a_crash_ends_sockets_and_a_start_binds_anew(void **state)
{
    (void)state;
    struct fixture f;
    open_world(&f, NULL);
    say(&f, 0, 1, 10, 1);
    sim_world_crash(f.world, 1, SIM_CRASH_HOST);
    assert_int_equal(sim_world_sockets_count(f.world, 1), 0);
    run_for(&f, 20 * TERN_MILLISECOND);
    assert_ok(sim_world_start(f.world, 1));
    puppet_bind(f.world, &f.p[1], PORT);
    say(&f, 0, 1, 11, 1);
    run_for(&f, TERN_SECOND);
    golden_expect(&f.log, "20.000 b bound 0 on 4001\n"
                          "30.000 b got 0: 1 x 11 from 10.0.0.1:4001\n");
    close_world(&f);
}

/* --- binding and closing --- */

static void binds_fail_as_they_do_outside(void **state)
{
    (void)state;
    struct fixture f;
    open_world(&f, NULL);
    puppet_bind(f.world, &f.p[0], PORT);
    puppet_bind(f.world, &f.p[0], 0);
    puppet_bind(f.world, &f.p[0], 0);
    puppet_listen(f.world, &f.p[0], PORT); /* TCP has ports of its own */
    struct tern_command bind = {.kind = TERN_COMMAND_BIND};
    bind.endpoint = sim_world_endpoint(f.world, 1, 4002);
    puppet_do(f.world, &f.p[0], bind);
    bind.endpoint = sim_world_endpoint(f.world, 0, 4002);
    puppet_do(f.world, &f.p[0], bind);
    bind.endpoint.family = 5;
    puppet_do(f.world, &f.p[0], bind);
    golden_expect(&f.log, "0.000 a bind failed: EXISTS\n"
                          "0.000 a bound 1 on 32768\n"
                          "0.000 a bound 2 on 32769\n"
                          "0.000 a listening on 4001\n"
                          "0.000 a bind failed: UNREACHABLE\n"
                          "0.000 a bound 3 on 4002\n"
                          "0.000 a bind failed: UNREACHABLE\n");
    assert_int_equal(sim_world_sockets_count(f.world, 0), 4);
    assert_int_equal(sim_world_links_count(f.world, 0), 0);
    close_world(&f);
}

static void a_node_has_so_many_sockets(void **state)
{
    (void)state;
    struct fixture f;
    open_world(&f, NULL);
    for (int i = 1; i < SIM_SOCKETS_MAX; i++)
        puppet_bind(f.world, &f.p[0], 0);
    assert_int_equal(sim_world_sockets_count(f.world, 0), SIM_SOCKETS_MAX);
    forget_log(&f);
    puppet_bind(f.world, &f.p[0], 0);
    golden_expect(&f.log, "0.000 a bind failed: SCOPE_FDS\n");
    close_world(&f);
}

static void close_and_abort_end_a_socket(void **state)
{
    (void)state;
    struct fixture f;
    open_world(&f, NULL);
    tern_link_id old = f.p[0].links[0].id;
    for (int i = 0; i < 3; i++) {
        struct puppet_batch batch = {
            .to = sim_world_endpoint(f.world, 1, PORT), .size = 10, .count = 1};
        f.p[0].batches[f.p[0].batches_count++] = batch;
    }
    puppet_link_do(f.world, &f.p[0], TERN_COMMAND_CLOSE, 0);
    puppet_link_do(f.world, &f.p[1], TERN_COMMAND_READ, 0); /* means nothing to a socket */
    puppet_link_do(f.world, &f.p[1], TERN_COMMAND_SHUT, 0);
    puppet_link_do(f.world, &f.p[2], TERN_COMMAND_ABORT, 0);
    puppet_bind(f.world, &f.p[0], PORT);
    assert_int_equal(tern_link_slot(f.p[0].links[0].id), tern_link_slot(old));
    assert_true(f.p[0].links[0].id != old);
    static const enum tern_command_kind kinds[] = {TERN_COMMAND_TRANSMIT, TERN_COMMAND_CLOSE,
                                                   TERN_COMMAND_ABORT};
    for (size_t i = 0; i < TERN_COUNT_OF(kinds); i++)
        puppet_do(f.world, &f.p[0], (struct tern_command){.kind = kinds[i], .link = old});
    struct tern_endpoint seen;
    assert_false(sim_world_seen_as(f.world, 0, old, &seen));
    run_for(&f, TERN_SECOND);
    golden_expect(&f.log, "0.000 a closed 0: OK\n"
                          "0.000 c closed 0: OK\n"
                          "0.000 a bound 0 on 4001\n"
                          "10.000 b got 0: 1 x 10 from 10.0.0.1:4001\n"
                          "10.000 b got 0: 1 x 10 from 10.0.0.1:4001\n"
                          "10.000 b got 0: 1 x 10 from 10.0.0.1:4001\n");
    close_world(&f);
}

/* --- NATs and addresses --- */

/* Nodes a and b behind one NAT, 198.51.100.7, which lets nobody in; c and d outside. */
static void open_nat(struct fixture *f)
{
    struct sim_world_options options;
    exact_options(&options);
    memset(f, 0, sizeof(*f));
    golden_init(&f->log);
    f->world = sim_world_new(&options);
    struct sim_node_options hidden = {.ops = &puppet_node_ops,
                                      .context = f->p,
                                      .nat4 = {198, 51, 100, 7},
                                      .inbound = SIM_INBOUND_DROPPED};
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(sim_world_add(f->world, &hidden), i);
        f->p[i] = (struct puppet){.log = &f->log};
        assert_ok(sim_world_start(f->world, i));
    }
    for (uint32_t i = 2; i < NODES; i++)
        puppet_add(f->world, f->p, &f->log);
    for (uint32_t i = 0; i < NODES; i++)
        puppet_bind(f->world, &f->p[i], PORT);
    forget_log(f);
}

static void answer(struct fixture *f, uint32_t from, uint32_t to, uint16_t size)
{
    puppet_say(f->world, &f->p[from],
               &(struct puppet_batch){.to = seen_as(f, to), .size = size, .count = 1});
}

static void a_nat_lets_answers_in_and_nobody_else(void **state)
{
    (void)state;
    struct fixture f;
    open_nat(&f);
    answer(&f, 2, 0, 10); /* nobody asked for it */
    run_for(&f, 20 * TERN_MILLISECOND);
    say(&f, 0, 2, 11, 1);
    say(&f, 1, 2, 12, 1);
    run_for(&f, 20 * TERN_MILLISECOND);
    answer(&f, 2, 0, 13);
    answer(&f, 2, 1, 14);
    answer(&f, 3, 0, 15); /* not the one that was asked */
    say(&f, 2, 0, 16, 1); /* an address that is known inside alone */
    run_for(&f, TERN_SECOND);
    golden_expect(&f.log, "30.000 c got 0: 1 x 11 from 198.51.100.7:4001\n"
                          "30.000 c got 0: 1 x 12 from 198.51.100.7:61000\n"
                          "50.000 a got 0: 1 x 13 from 10.0.0.3:4001\n"
                          "50.000 b got 0: 1 x 14 from 10.0.0.3:4001\n");
    close_world(&f);
}

static void a_nat_that_forgets_shows_other_ports(void **state)
{
    (void)state;
    struct fixture f;
    open_nat(&f);
    say(&f, 0, 2, 10, 1);
    run_for(&f, 20 * TERN_MILLISECOND);
    struct tern_endpoint old = seen_as(&f, 0);
    answer(&f, 2, 0, 11);
    sim_world_rebind(f.world, 0);
    puppet_say(f.world, &f.p[2], &(struct puppet_batch){.to = old, .size = 12, .count = 1});
    answer(&f, 2, 0, 13); /* the new one lets nobody in yet */
    run_for(&f, 20 * TERN_MILLISECOND);
    say(&f, 0, 2, 14, 1);
    run_for(&f, 20 * TERN_MILLISECOND);
    answer(&f, 2, 0, 15);
    run_for(&f, 20 * TERN_MILLISECOND);
    sim_world_move_back(f.world, 0);
    sim_world_move_back(f.world, 0);
    say(&f, 0, 2, 16, 1);
    run_for(&f, TERN_SECOND);
    golden_expect(&f.log, "10.000 c got 0: 1 x 10 from 198.51.100.7:4001\n"
                          "50.000 c got 0: 1 x 14 from 198.51.100.7:61001\n"
                          "70.000 a got 0: 1 x 15 from 10.0.0.3:4001\n"
                          "90.000 c got 0: 1 x 16 from 198.51.100.7:4001\n");
    close_world(&f);
}

static void a_node_that_moves_has_other_addresses_and_is_told(void **state)
{
    (void)state;
    struct fixture f;
    open_world(&f, NULL);
    struct tern_endpoint old = sim_world_endpoint(f.world, 0, PORT);
    puppet_listen(f.world, &f.p[1], PORT);
    puppet_dial(f.world, &f.p[0], 1, PORT);
    run_for(&f, 40 * TERN_MILLISECOND);
    forget_log(&f);
    sim_world_move(f.world, 0);
    puppet_say(f.world, &f.p[1], &(struct puppet_batch){.to = old, .size = 10, .count = 1});
    say(&f, 0, 1, 11, 1);
    say(&f, 1, 0, 12, 1);
    run_for(&f, 20 * TERN_MILLISECOND);
    puppet_dial(f.world, &f.p[1], 0, PORT); /* its host is found where it is now */
    run_for(&f, 40 * TERN_MILLISECOND);
    sim_world_move_back(f.world, 0);
    say(&f, 0, 1, 13, 1);
    run_for(&f, TERN_SECOND);
    golden_expect(&f.log, "40.000 a network\n"
                          "40.000 a closed 1: DISCONNECTED\n"
                          "40.000 b closed 1: DISCONNECTED\n"
                          "50.000 b got 0: 1 x 11 from 10.128.0.0:4001\n"
                          "50.000 a got 0: 1 x 12 from 10.0.0.2:4001\n"
                          "80.000 b dial 100 failed: REFUSED\n"
                          "100.000 a network\n"
                          "110.000 b got 0: 1 x 13 from 10.0.0.1:4001\n");
    close_world(&f);
}

static void a_socket_bound_to_an_address_that_went_is_deaf_and_mute(void **state)
{
    (void)state;
    struct fixture f;
    open_world(&f, NULL);
    puppet_do(f.world, &f.p[0],
              (struct tern_command){.kind = TERN_COMMAND_BIND,
                                    .endpoint = sim_world_endpoint(f.world, 0, 4002)});
    struct puppet_batch out = {
        .slot = 1, .to = sim_world_endpoint(f.world, 1, PORT), .size = 10, .count = 1};
    puppet_say(f.world, &f.p[0], &out);
    sim_world_move(f.world, 0);
    puppet_say(f.world, &f.p[0], &out);
    puppet_say(
        f.world, &f.p[1],
        &(struct puppet_batch){.to = sim_world_endpoint(f.world, 0, 4002), .size = 11, .count = 1});
    run_for(&f, TERN_SECOND);
    golden_expect(&f.log, "0.000 a bound 1 on 4002\n"
                          "0.000 a network\n"
                          "10.000 b got 0: 1 x 10 from 10.0.0.1:4002\n");
    close_world(&f);
}

static void a_move_behind_a_nat_changes_both_addresses(void **state)
{
    (void)state;
    struct fixture f;
    open_nat(&f);
    sim_world_move(f.world, 0);
    say(&f, 0, 2, 10, 1);
    sim_world_crash(f.world, 1, SIM_CRASH_PROCESS);
    sim_world_move(f.world, 1); /* while it is down: nobody is told */
    sim_world_move_back(f.world, 1);
    run_for(&f, TERN_SECOND);
    golden_expect(&f.log, "0.000 a network\n"
                          "10.000 c got 0: 1 x 10 from 10.128.0.1:4001\n");
    close_world(&f);
}

static void changes_of_addresses_are_traced(void **state)
{
    (void)state;
    struct fixture f;
    struct golden trace;
    struct sim_world_options options;
    exact_options(&options);
    golden_init(&trace);
    options.sink = golden_trace;
    options.sink_context = &trace;
    open_world(&f, &options);
    golden_fini(&trace);
    golden_init(&trace);
    sim_world_rebind(f.world, 1);
    sim_world_move(f.world, 2);
    golden_expect(&trace, "       0.000 ms  n1  SIM_SEEN_AS socket=4294967296 port=61000\n"
                          "       0.000 ms  n2  SIM_MOVED IPv4 address=176160768\n"
                          "       0.000 ms  n2  SIM_SEEN_AS socket=4294967296 port=4001\n");
    golden_fini(&trace);
    close_world(&f);
}

static void other_paths_hold_from_the_next_datagram_on(void **state)
{
    (void)state;
    struct fixture f;
    struct sim_world_options options;
    exact_options(&options);
    struct sim_places places = {.seed = 1, .base_ns = 7 * TERN_MILLISECOND};
    options.path = sim_places_path;
    options.path_context = &places;
    open_world(&f, &options);
    say(&f, 0, 1, 10, 1);
    places.base_ns = 3 * TERN_MILLISECOND;
    run_for(&f, 10 * TERN_MILLISECOND);
    say(&f, 0, 1, 11, 1);
    sim_world_repath(f.world);
    run_for(&f, 10 * TERN_MILLISECOND);
    say(&f, 0, 1, 12, 1);
    run_for(&f, TERN_SECOND);
    golden_expect(&f.log, "7.000 b got 0: 1 x 10 from 10.0.0.1:4001\n"
                          "17.000 b got 0: 1 x 11 from 10.0.0.1:4001\n"
                          "23.000 b got 0: 1 x 12 from 10.0.0.1:4001\n");
    close_world(&f);
}

/* --- crashes of the process under test --- */

static void scribble(void *context)
{
    struct fixture f;
    (void)context;
    open_world(&f, NULL);
    f.p[1].scribbles = true;
    say(&f, 0, 1, 10, 1);
    run_for(&f, TERN_SECOND);
}

static void a_machine_that_changes_datagrams_ends_the_process(void **state)
{
    (void)state;
    assert_int_not_equal(test_signal_of(scribble, NULL), 0);
}

static void crash_with_datagrams_under_way(void **state)
{
    (void)state;
    static const enum sim_crash ways[] = {SIM_CRASH_PROCESS, SIM_CRASH_HOST};
    for (size_t i = 0; i < TERN_COUNT_OF(ways); i++) {
        for (tern_time at = 0; at < 40; at += 3) {
            struct fixture f;
            open_uplink(&f);
            f.p[1].quiet_data = f.p[0].quiet_data = true;
            for (int j = 0; j < 30; j++) {
                say(&f, 0, 1, 1000, 2);
                say(&f, 1, 0, 1000, 2);
            }
            run_for(&f, at * TERN_MILLISECOND);
            sim_world_crash(f.world, (uint32_t)(at % 2), ways[i]);
            run_for(&f, at * TERN_MILLISECOND / 4);
            assert_ok(sim_world_start(f.world, (uint32_t)(at % 2)));
            puppet_bind(f.world, &f.p[at % 2], PORT);
            if (at % 4 == 0)
                run_for(&f, TERN_HOUR);
            close_world(&f);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(datagrams_take_one_way_and_stay_together),
        cmocka_unit_test(ip6_works_beside_ip4),
        cmocka_unit_test(what_is_larger_than_its_path_vanishes),
        cmocka_unit_test(a_narrow_path_parts_batches_and_marks_and_drops),
        cmocka_unit_test(a_full_uplink_asks_for_no_more),
        cmocka_unit_test(an_abort_while_the_uplink_is_full_is_at_once),
        cmocka_unit_test(links_and_sockets_share_the_uplink),
        cmocka_unit_test(loss_takes_its_share),
        cmocka_unit_test(a_scenario_loses_what_it_chooses),
        cmocka_unit_test(some_come_late_and_some_come_twice),
        cmocka_unit_test(late_is_up_to_half_the_latency),
        cmocka_unit_test(jitter_keeps_order_and_batches),
        cmocka_unit_test(a_batch_may_come_in_two_parts),
        cmocka_unit_test(sockets_do_not_disturb_each_others_draws),
        cmocka_unit_test(one_seed_gives_one_run),
        cmocka_unit_test(datagrams_for_nobody_are_gone),
        cmocka_unit_test(cuts_take_datagrams_away),
        cmocka_unit_test(a_crash_ends_sockets_and_a_start_binds_anew),
        cmocka_unit_test(binds_fail_as_they_do_outside),
        cmocka_unit_test(a_node_has_so_many_sockets),
        cmocka_unit_test(close_and_abort_end_a_socket),
        cmocka_unit_test(a_nat_lets_answers_in_and_nobody_else),
        cmocka_unit_test(a_nat_that_forgets_shows_other_ports),
        cmocka_unit_test(a_node_that_moves_has_other_addresses_and_is_told),
        cmocka_unit_test(a_socket_bound_to_an_address_that_went_is_deaf_and_mute),
        cmocka_unit_test(a_move_behind_a_nat_changes_both_addresses),
        cmocka_unit_test(changes_of_addresses_are_traced),
        cmocka_unit_test(other_paths_hold_from_the_next_datagram_on),
        cmocka_unit_test(a_machine_that_changes_datagrams_ends_the_process),
        cmocka_unit_test(crash_with_datagrams_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
