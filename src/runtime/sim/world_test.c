/* What the world does to links, step by step, as golden logs in virtual time. Times are
 * milliseconds. */
#include "runtime/sim/world.h"

#include "base/map.h"
#include "runtime/sim/puppet_testing.h"
#include "tern_test.h"

enum { NODES = 4 };

struct fixture {
    struct sim_world *world;
    struct golden log;
    struct puppet p[NODES];
};

/* Ten milliseconds one way, no jitter: every time in the logs is exact. */
static void open_world(struct fixture *f, const struct sim_world_options *options)
{
    struct sim_world_options plain;
    if (options == NULL) {
        sim_world_options_defaults(&plain);
        plain.path_default = (struct sim_path){.latency_ns = 10 * TERN_MILLISECOND};
        plain.cut_segment_ppm = 0;
        options = &plain;
    }
    memset(f, 0, sizeof(*f));
    golden_init(&f->log);
    f->world = sim_world_new(options);
    for (size_t i = 0; i < NODES; i++)
        puppet_add(f->world, f->p, &f->log);
}

static void exact_options(struct sim_world_options *options)
{
    sim_world_options_defaults(options);
    options->path_default = (struct sim_path){.latency_ns = 10 * TERN_MILLISECOND};
    options->cut_segment_ppm = 0;
}

/* a (node 0) has dialled b (node 1): slot 0 on both; the log is empty, the time 40 ms. */
static void open_linked(struct fixture *f, const struct sim_world_options *options)
{
    open_world(f, options);
    puppet_listen(f->world, &f->p[1], 4001);
    puppet_dial(f->world, &f->p[0], 1, 4001);
    sim_world_run(f->world, 40 * TERN_MILLISECOND);
    assert_int_equal(sim_world_links_count(f->world, 0), 1);
    assert_int_equal(sim_world_links_count(f->world, 1), 1);
    golden_fini(&f->log);
    golden_init(&f->log);
}

static void run_for(struct fixture *f, tern_time span)
{
    sim_world_run(f->world, sim_world_now(f->world) + span);
}

static void close_world(struct fixture *f)
{
    sim_world_free(f->world);
    golden_fini(&f->log);
}

/* --- dialling --- */

static void a_dial_takes_one_round_trip(void **state)
{
    (void)state;
    struct fixture f;
    open_world(&f, NULL);
    puppet_listen(f.world, &f.p[1], 4001);
    puppet_dial(f.world, &f.p[0], 1, 4001);
    sim_world_run(f.world, TERN_SECOND);
    golden_expect(&f.log, "0.000 b listening on 4001\n"
                          "20.000 a dialed 0 for 101\n"
                          "30.000 b accepted 0 from 10.0.0.1 on 1\n");
    close_world(&f);
}

static void the_first_bytes_come_right_behind_the_acceptance(void **state)
{
    (void)state;
    struct fixture f;
    open_world(&f, NULL);
    puppet_listen(f.world, &f.p[1], 4001);
    puppet_dial(f.world, &f.p[0], 1, 4001);
    sim_world_run(f.world, 20 * TERN_MILLISECOND);
    puppet_send(f.world, &f.p[0], 0, 100);
    sim_world_run(f.world, TERN_SECOND);
    golden_expect(&f.log, "0.000 b listening on 4001\n"
                          "20.000 a dialed 0 for 101\n"
                          "30.000 b accepted 0 from 10.0.0.1 on 1\n"
                          "30.000 b data 0: 100 of 100\n");
    close_world(&f);
}

static void dials_fail_as_they_do_outside(void **state)
{
    (void)state;
    struct fixture f;
    open_world(&f, NULL);
    sim_world_set_inbound(f.world, 2, SIM_INBOUND_DROPPED);
    puppet_listen(f.world, &f.p[2], 4001);
    puppet_dial(f.world, &f.p[0], 1, 4001); /* nobody listens */
    puppet_dial(f.world, &f.p[0], 2, 4001); /* behind a NAT */
    sim_world_crash(f.world, 3, SIM_CRASH_HOST);
    puppet_dial(f.world, &f.p[0], 3, 4001); /* no host */
    struct tern_command dial = {.kind = TERN_COMMAND_DIAL, .token = 7};
    dial.endpoint = (struct tern_endpoint){.family = 4, .ip = {192, 0, 2, 1}, .port = 1};
    puppet_do(f.world, &f.p[0], dial); /* no such address */
    dial.token = 8;
    dial.endpoint = (struct tern_endpoint){.family = 4, .port = 1};
    puppet_do(f.world, &f.p[0], dial); /* the unspecified address */
    dial.token = 9;
    dial.endpoint = (struct tern_endpoint){.family = 9, .ip = {10, 0, 0, 2}, .port = 1};
    puppet_do(f.world, &f.p[0], dial); /* no such family */
    sim_world_run(f.world, TERN_MINUTE);
    golden_expect(&f.log, "0.000 c listening on 4001\n"
                          "0.000 a dial 8 failed: UNREACHABLE\n"
                          "0.000 a dial 9 failed: UNREACHABLE\n"
                          "20.000 a dial 101 failed: REFUSED\n"
                          "20000.000 a dial 102 failed: TIMEOUT\n"
                          "20000.000 a dial 103 failed: TIMEOUT\n"
                          "20000.000 a dial 7 failed: TIMEOUT\n");
    assert_int_equal(sim_world_counters(f.world)->dials_failed, 6);
    close_world(&f);
}

static void a_dial_that_begins_in_a_cut_succeeds_after_it(void **state)
{
    (void)state;
    struct fixture f;
    open_world(&f, NULL);
    puppet_listen(f.world, &f.p[1], 4001);
    sim_world_cut(f.world, 0, 1);
    puppet_dial(f.world, &f.p[0], 1, 4001);
    sim_world_run(f.world, 1500 * TERN_MILLISECOND);
    sim_world_heal(f.world, 0, 1);
    sim_world_run(f.world, TERN_MINUTE);
    /* The SYN is sent again after 1 s and after 2 s more. */
    golden_expect(&f.log, "0.000 b listening on 4001\n"
                          "3040.000 a dialed 0 for 101\n"
                          "3050.000 b accepted 0 from 10.0.0.1 on 1\n");
    close_world(&f);
}

static void a_cancelled_dial_fails_and_leaves_nothing(void **state)
{
    (void)state;
    struct fixture f;
    open_world(&f, NULL);
    puppet_listen(f.world, &f.p[1], 4001);
    puppet_dial(f.world, &f.p[0], 1, 4001);
    struct tern_command cancel = {.kind = TERN_COMMAND_DIAL_CANCEL, .token = 101};
    sim_world_run(f.world, 15 * TERN_MILLISECOND);
    puppet_do(f.world, &f.p[0], cancel);
    sim_world_run(f.world, 50 * TERN_MILLISECOND);
    puppet_do(f.world, &f.p[0], cancel); /* too late, and nothing is said */
    sim_world_run(f.world, TERN_MINUTE);
    golden_expect(&f.log, "0.000 b listening on 4001\n"
                          "15.000 a dial 101 failed: CLOSED\n");
    close_world(&f);
}

static void listening_fails_on_a_used_port_or_a_foreign_address(void **state)
{
    (void)state;
    struct fixture f;
    open_world(&f, NULL);
    puppet_listen(f.world, &f.p[0], 4001);
    puppet_listen(f.world, &f.p[0], 4001);
    puppet_listen(f.world, &f.p[0], 0);
    struct tern_command listen = {.kind = TERN_COMMAND_LISTEN, .token = 2};
    listen.endpoint = sim_world_endpoint(f.world, 1, 4002);
    puppet_do(f.world, &f.p[0], listen);
    listen.endpoint = sim_world_endpoint6(f.world, 0, 4001);
    puppet_do(f.world, &f.p[0], listen);
    listen.endpoint.family = 5;
    puppet_do(f.world, &f.p[0], listen);
    golden_expect(&f.log, "0.000 a listening on 4001\n"
                          "0.000 a listen failed: EXISTS\n"
                          "0.000 a listening on 32768\n"
                          "0.000 a listen failed: UNREACHABLE\n"
                          "0.000 a listening on 4001\n"
                          "0.000 a listen failed: UNREACHABLE\n");
    close_world(&f);
}

static void both_families_lead_to_a_node(void **state)
{
    (void)state;
    struct fixture f;
    open_world(&f, NULL);
    struct tern_command command = {
        .kind = TERN_COMMAND_LISTEN, .token = 6, .endpoint = {.family = 6, .port = 4001}};
    puppet_do(f.world, &f.p[1], command);
    command = (struct tern_command){
        .kind = TERN_COMMAND_DIAL, .token = 66, .endpoint = sim_world_endpoint6(f.world, 1, 4001)};
    puppet_do(f.world, &f.p[0], command);
    puppet_dial(f.world, &f.p[0], 1, 4001); /* IPv4: nobody listens there */
    sim_world_run(f.world, TERN_SECOND);
    golden_expect(&f.log, "0.000 b listening on 4001\n"
                          "20.000 a dialed 0 for 66\n"
                          "20.000 a dial 101 failed: REFUSED\n"
                          "30.000 b accepted 0 from 10.0.0.0 on 6\n");
    close_world(&f);
}

static void a_listener_that_went_away_resets_who_is_on_the_way(void **state)
{
    (void)state;
    struct fixture f;
    open_world(&f, NULL);
    puppet_listen(f.world, &f.p[1], 4001);
    puppet_dial(f.world, &f.p[0], 1, 4001);
    sim_world_run(f.world, 25 * TERN_MILLISECOND);
    puppet_do(f.world, &f.p[1], (struct tern_command){.kind = TERN_COMMAND_UNLISTEN, .token = 1});
    puppet_do(f.world, &f.p[1], (struct tern_command){.kind = TERN_COMMAND_UNLISTEN, .token = 9});
    puppet_dial(f.world, &f.p[2], 1, 4001);
    sim_world_run(f.world, TERN_SECOND);
    golden_expect(&f.log, "0.000 b listening on 4001\n"
                          "20.000 a dialed 0 for 101\n"
                          "40.000 a closed 0: DISCONNECTED\n"
                          "45.000 c dial 101 failed: REFUSED\n");
    close_world(&f);
}

/* --- bytes --- */

static void bandwidth_serialises_and_the_buffer_pushes_back(void **state)
{
    (void)state;
    struct fixture f;
    struct sim_world_options options;
    exact_options(&options);
    options.path_default.bytes_per_second = 1000000;
    options.buffer_bytes = 100000;
    open_linked(&f, &options);
    f.p[1].quiet_data = true;
    puppet_send(f.world, &f.p[0], 0, 1000000);
    assert_int_equal(f.p[0].links[0].sent, 100000);
    run_for(&f, 500 * TERN_MILLISECOND);
    assert_in_range(f.p[1].links[0].got, 430000, 490000);
    uint64_t under_way = f.p[0].links[0].sent - f.p[1].links[0].got;
    assert_true(under_way <= 100000 + 65600);
    run_for(&f, TERN_SECOND);
    assert_int_equal(f.p[1].links[0].got, 1000000);
    close_world(&f);
}

static void one_uplink_is_shared_by_all_links(void **state)
{
    (void)state;
    struct fixture f;
    struct sim_world_options options;
    exact_options(&options);
    open_world(&f, &options);
    struct sim_node_options slow = {
        .ops = &puppet_node_ops, .context = f.p, .up_bytes_per_second = 100000};
    sim_world_free(f.world);
    f.world = sim_world_new(&options);
    assert_int_equal(sim_world_add(f.world, &slow), 0);
    f.p[0] = (struct puppet){.log = &f.log};
    assert_ok(sim_world_start(f.world, 0));
    for (uint32_t i = 1; i < 3; i++) {
        puppet_add(f.world, f.p, &f.log);
        puppet_listen(f.world, &f.p[i], 4001);
        puppet_dial(f.world, &f.p[0], i, 4001);
    }
    sim_world_run(f.world, 40 * TERN_MILLISECOND);
    golden_fini(&f.log);
    golden_init(&f.log);
    puppet_send(f.world, &f.p[0], 0, 10000); /* 100 ms */
    puppet_send(f.world, &f.p[0], 1, 10000);
    sim_world_run(f.world, TERN_SECOND);
    golden_expect(&f.log, "150.000 b data 0: 10000 of 10000\n"
                          "250.000 c data 0: 10000 of 10000\n");
    close_world(&f);
}

static void what_is_not_taken_is_offered_again_after_read(void **state)
{
    (void)state;
    struct fixture f;
    struct sim_world_options options;
    exact_options(&options);
    options.buffer_bytes = 20000;
    options.segment_bytes = 10000;
    open_linked(&f, &options);
    f.p[1].links[0].take_max = 3000;
    puppet_send(f.world, &f.p[0], 0, 300000);
    puppet_link_do(f.world, &f.p[0], TERN_COMMAND_SHUT, 0);
    run_for(&f, TERN_SECOND);
    golden_expect(&f.log, "50.000 b data 0: 3000 of 10000\n");
    assert_int_equal(f.p[0].links[0].sent, 65600); /* transmit has room for 64 KiB + 64 at least */
    f.p[1].links[0].take_max = 10000;
    puppet_link_do(f.world, &f.p[1], TERN_COMMAND_READ, 0);
    run_for(&f, TERN_SECOND);
    golden_expect(&f.log, "50.000 b data 0: 3000 of 10000\n"
                          "1040.000 b data 0: 7000 of 7000\n"
                          "1040.000 b data 0: 0 of 10000\n");
    f.p[1].links[0].take_max = UINT64_MAX;
    f.p[1].quiet_data = true;
    puppet_link_do(f.world, &f.p[1], TERN_COMMAND_READ, 0);
    puppet_link_do(f.world, &f.p[1], TERN_COMMAND_READ, 0); /* once more does no harm */
    run_for(&f, TERN_SECOND);
    assert_int_equal(f.p[1].links[0].got, 300000);
    golden_expect(&f.log, "50.000 b data 0: 3000 of 10000\n"
                          "1040.000 b data 0: 7000 of 7000\n"
                          "1040.000 b data 0: 0 of 10000\n"
                          "2140.000 b end 0\n");
    close_world(&f);
}

static void jitter_loss_and_cutting_keep_bytes_in_order(void **state)
{
    (void)state;
    struct fixture f;
    struct sim_world_options options;
    sim_world_options_defaults(&options);
    options.path_default = (struct sim_path){.latency_ns = 5 * TERN_MILLISECOND,
                                             .jitter_ns = 15 * TERN_MILLISECOND,
                                             .loss_ppm = 20000,
                                             .bytes_per_second = 10000000};
    options.cut_segment_ppm = 500000;
    for (uint64_t seed = 0; seed < 5; seed++) {
        options.seed = seed;
        open_world(&f, &options);
        puppet_listen(f.world, &f.p[1], 4001);
        puppet_dial(f.world, &f.p[0], 1, 4001);
        sim_world_run(f.world, 10 * TERN_SECOND);
        f.p[0].quiet_data = f.p[1].quiet_data = true;
        puppet_send(f.world, &f.p[0], 0, 1000000);
        puppet_send(f.world, &f.p[1], 0, 500000);
        sim_world_run(f.world, TERN_MINUTE);
        assert_int_equal(f.p[1].links[0].got, 1000000);
        assert_int_equal(f.p[0].links[0].got, 500000);
        assert_true(sim_world_counters(f.world)->lost > 0);
        close_world(&f);
    }
}

static void links_do_not_disturb_each_others_jitter(void **state)
{
    (void)state;
    uint64_t got[2];
    for (unsigned i = 0; i < 2; i++) {
        struct fixture f;
        struct sim_world_options options;
        exact_options(&options);
        options.path_default.jitter_ns = 10 * TERN_MILLISECOND;
        open_world(&f, &options);
        puppet_listen(f.world, &f.p[1], 4001);
        puppet_listen(f.world, &f.p[3], 4001);
        puppet_dial(f.world, &f.p[0], 1, 4001);
        puppet_dial(f.world, &f.p[2], 3, 4001);
        sim_world_run(f.world, TERN_SECOND);
        golden_fini(&f.log);
        golden_init(&f.log);
        if (i == 1) {
            f.p[3].quiet_data = true;
            puppet_send(f.world, &f.p[2], 0, 100000); /* another link is busy */
        }
        puppet_send(f.world, &f.p[0], 0, 10);
        sim_world_run(f.world, 2 * TERN_SECOND);
        const uint64_t key[2] = {0, 0};
        got[i] = tern_siphash(key, tern_view_of(f.log.text, f.log.size));
        close_world(&f);
    }
    assert_true(got[0] == got[1]);
}

/* --- ends --- */

static void shut_ends_one_direction_behind_its_bytes(void **state)
{
    (void)state;
    struct fixture f;
    open_linked(&f, NULL);
    puppet_send(f.world, &f.p[0], 0, 100);
    puppet_link_do(f.world, &f.p[0], TERN_COMMAND_SHUT, 0);
    puppet_link_do(f.world, &f.p[0], TERN_COMMAND_SHUT, 0);
    run_for(&f, 20 * TERN_MILLISECOND);
    puppet_send(f.world, &f.p[1], 0, 50); /* the other direction is still open */
    puppet_link_do(f.world, &f.p[1], TERN_COMMAND_CLOSE, 0);
    run_for(&f, 20 * TERN_MILLISECOND);
    puppet_link_do(f.world, &f.p[0], TERN_COMMAND_CLOSE, 0);
    run_for(&f, TERN_MINUTE);
    golden_expect(&f.log, "50.000 b data 0: 100 of 100\n"
                          "50.000 b end 0\n"
                          "60.000 b closed 0: OK\n"
                          "70.000 a data 0: 50 of 50\n"
                          "70.000 a end 0\n"
                          "80.000 a closed 0: OK\n");
    close_world(&f);
}

static void close_sends_everything_first(void **state)
{
    (void)state;
    struct fixture f;
    struct sim_world_options options;
    exact_options(&options);
    options.buffer_bytes = 10000;
    open_linked(&f, &options);
    f.p[1].quiet_data = true;
    puppet_send(f.world, &f.p[0], 0, 200000);
    puppet_link_do(f.world, &f.p[0], TERN_COMMAND_CLOSE, 0);
    run_for(&f, TERN_SECOND);
    assert_int_equal(f.p[1].links[0].got, 200000);
    golden_expect(&f.log, "100.000 a closed 0: OK\n"
                          "110.000 b end 0\n");
    close_world(&f);
}

static void bytes_for_a_closed_end_are_answered_by_a_reset(void **state)
{
    (void)state;
    struct fixture f;
    open_linked(&f, NULL);
    puppet_link_do(f.world, &f.p[0], TERN_COMMAND_CLOSE, 0);
    run_for(&f, 20 * TERN_MILLISECOND);
    puppet_send(f.world, &f.p[1], 0, 10);
    run_for(&f, TERN_SECOND);
    golden_expect(&f.log, "40.000 a closed 0: OK\n"
                          "50.000 b end 0\n"
                          "80.000 b closed 0: DISCONNECTED\n");
    close_world(&f);
}

static void abort_drops_what_has_not_left(void **state)
{
    (void)state;
    struct fixture f;
    struct sim_world_options options;
    exact_options(&options);
    options.path_default.bytes_per_second = 100000;
    options.segment_bytes = 1000;
    open_linked(&f, &options);
    puppet_send(f.world, &f.p[0], 0, 50000); /* half a second */
    run_for(&f, 25 * TERN_MILLISECOND);
    puppet_link_do(f.world, &f.p[0], TERN_COMMAND_ABORT, 0);
    run_for(&f, TERN_SECOND);
    golden_expect(&f.log, "60.000 b data 0: 1000 of 1000\n"
                          "65.000 a closed 0: OK\n"
                          "70.000 b data 0: 1000 of 1000\n"
                          "75.000 b closed 0: DISCONNECTED\n");
    close_world(&f);
}

static void stale_ids_and_late_commands_do_nothing(void **state)
{
    (void)state;
    struct fixture f;
    open_linked(&f, NULL);
    tern_link_id old = f.p[0].links[0].id;
    puppet_link_do(f.world, &f.p[0], TERN_COMMAND_ABORT, 0);
    run_for(&f, TERN_SECOND);
    puppet_dial(f.world, &f.p[0], 1, 4001);
    run_for(&f, TERN_SECOND);
    assert_int_equal(tern_link_slot(f.p[0].links[0].id), tern_link_slot(old));
    assert_true(f.p[0].links[0].id != old);
    static const enum tern_command_kind kinds[] = {TERN_COMMAND_TRANSMIT, TERN_COMMAND_READ,
                                                   TERN_COMMAND_SHUT, TERN_COMMAND_CLOSE,
                                                   TERN_COMMAND_ABORT};
    for (size_t i = 0; i < TERN_COUNT_OF(kinds); i++) {
        puppet_do(f.world, &f.p[0], (struct tern_command){.kind = kinds[i], .link = old});
        puppet_do(f.world, &f.p[0], (struct tern_command){.kind = kinds[i], .link = 12345});
    }
    run_for(&f, TERN_SECOND);
    assert_int_equal(sim_world_links_count(f.world, 0), 1);
    struct sim_link_stats stats;
    assert_false(sim_world_link_stats(f.world, 0, old, &stats));
    assert_true(sim_world_link_stats(f.world, 0, f.p[0].links[0].id, &stats));
    close_world(&f);
}

static void a_link_counts_its_bytes_and_round_trips(void **state)
{
    (void)state;
    struct fixture f;
    open_linked(&f, NULL);
    struct sim_link_stats stats;
    for (int i = 0; i < 3; i++) {
        puppet_send(f.world, &f.p[0], 0, 100);
        run_for(&f, 20 * TERN_MILLISECOND);
        puppet_send(f.world, &f.p[1], 0, 10);
        puppet_send(f.world, &f.p[1], 0, 10);
        run_for(&f, 20 * TERN_MILLISECOND);
    }
    assert_true(sim_world_link_stats(f.world, 0, f.p[0].links[0].id, &stats));
    assert_int_equal(stats.bytes_out, 300);
    assert_int_equal(stats.bytes_in, 60);
    assert_int_equal(stats.round_trips, 1 + 3);
    assert_true(stats.opened_at == 20 * TERN_MILLISECOND);
    assert_int_equal(stats.unsent, 0);
    close_world(&f);
}

/* --- cuts --- */

static void bytes_wait_for_the_heal(void **state)
{
    (void)state;
    struct fixture f;
    open_linked(&f, NULL);
    sim_world_cut(f.world, 0, 1);
    assert_false(sim_world_reaches(f.world, 0, 1));
    puppet_send(f.world, &f.p[0], 0, 100);
    puppet_send(f.world, &f.p[0], 0, 100);
    run_for(&f, 10 * TERN_SECOND);
    assert_int_equal(f.p[1].links[0].got, 0);
    sim_world_heal(f.world, 1, 0);
    run_for(&f, 10 * TERN_SECOND + 11 * TERN_MILLISECOND); /* TCP tries again by then */
    assert_int_equal(f.p[1].links[0].got, 200);
    close_world(&f);
}

static void a_link_gives_up_when_its_bytes_wait_too_long(void **state)
{
    (void)state;
    struct fixture f;
    open_linked(&f, NULL);
    sim_world_set_group(f.world, 1, 7);
    puppet_send(f.world, &f.p[0], 0, 100);
    run_for(&f, TERN_HOUR);
    /* b has sent nothing, so it notices nothing; that is what keep-alives are for. */
    golden_expect(&f.log, "120050.000 a closed 0: TIMEOUT\n");
    sim_world_heal_all(f.world);
    puppet_send(f.world, &f.p[1], 0, 5);
    run_for(&f, TERN_SECOND);
    golden_expect(&f.log, "120050.000 a closed 0: TIMEOUT\n"
                          "3600060.000 b closed 0: DISCONNECTED\n");
    close_world(&f);
}

static void a_cut_may_be_one_way(void **state)
{
    (void)state;
    struct fixture f;
    open_linked(&f, NULL);
    sim_world_cut_one_way(f.world, 0, 1);
    sim_world_cut_one_way(f.world, 0, 1);
    assert_false(sim_world_reaches(f.world, 0, 1));
    assert_true(sim_world_reaches(f.world, 1, 0));
    puppet_send(f.world, &f.p[0], 0, 100);
    puppet_send(f.world, &f.p[1], 0, 100);
    run_for(&f, TERN_SECOND);
    golden_expect(&f.log, "50.000 a data 0: 100 of 100\n");
    sim_world_heal(f.world, 0, 1);
    run_for(&f, TERN_MINUTE);
    assert_int_equal(f.p[1].links[0].got, 100);
    close_world(&f);
}

static void groups_part_the_network(void **state)
{
    (void)state;
    struct fixture f;
    open_world(&f, NULL);
    sim_world_set_group(f.world, 0, 1);
    sim_world_set_group(f.world, 1, 1);
    assert_true(sim_world_reaches(f.world, 0, 1));
    assert_true(sim_world_reaches(f.world, 2, 3));
    assert_false(sim_world_reaches(f.world, 0, 2));
    assert_false(sim_world_reaches(f.world, 3, 1));
    sim_world_heal_all(f.world);
    assert_true(sim_world_reaches(f.world, 0, 2));
    close_world(&f);
}

static void a_reset_in_the_middle_is_told_to_both(void **state)
{
    (void)state;
    struct fixture f;
    open_linked(&f, NULL);
    puppet_send(f.world, &f.p[0], 0, 100);
    assert_int_equal(sim_world_reset_links(f.world, 1, 0), 1);
    assert_int_equal(sim_world_reset_links(f.world, 1, 2), 0);
    run_for(&f, TERN_SECOND);
    golden_expect(&f.log, "40.000 a closed 0: DISCONNECTED\n"
                          "40.000 b closed 0: DISCONNECTED\n");
    close_world(&f);
}

/* --- crashes --- */

static void a_crashed_process_resets_its_links(void **state)
{
    (void)state;
    struct fixture f;
    open_linked(&f, NULL);
    sim_world_crash(f.world, 1, SIM_CRASH_PROCESS);
    assert_false(sim_world_is_up(f.world, 1));
    assert_null(sim_world_machine(f.world, 1).self);
    puppet_dial(f.world, &f.p[0], 1, 4001);
    run_for(&f, TERN_SECOND);
    golden_expect(&f.log, "50.000 a closed 0: DISCONNECTED\n"
                          "60.000 a dial 101 failed: REFUSED\n");
    close_world(&f);
}

static void a_crashed_host_says_nothing_until_it_starts_again(void **state)
{
    (void)state;
    struct fixture f;
    open_linked(&f, NULL);
    uint8_t seed[TERN_RANDOM_SEED_SIZE];
    memcpy(seed, f.p[1].seed, sizeof(seed));
    sim_world_crash(f.world, 1, SIM_CRASH_HOST);
    puppet_send(f.world, &f.p[0], 0, 100);
    run_for(&f, 10 * TERN_SECOND);
    golden_expect(&f.log, "");
    assert_ok(sim_world_start(f.world, 1));
    assert_int_equal(f.p[1].starts, 2);
    assert_memory_not_equal(f.p[1].seed, seed, sizeof(seed));
    run_for(&f, TERN_MINUTE);
    assert_int_equal(sim_world_links_count(f.world, 0), 0);
    close_world(&f);
}

static void a_node_that_fails_to_start_stays_down(void **state)
{
    (void)state;
    struct fixture f;
    open_world(&f, NULL);
    sim_world_crash(f.world, 0, SIM_CRASH_PROCESS);
    f.p[0].start_err = TERN_ERR_CORRUPT;
    assert_int_equal(sim_world_start(f.world, 0), TERN_ERR_CORRUPT);
    assert_false(sim_world_is_up(f.world, 0));
    f.p[0].start_err = TERN_OK;
    assert_ok(sim_world_start(f.world, 0));
    assert_int_equal(f.p[0].starts, 2);
    close_world(&f);
}

static void crash_with_everything_under_way(void **state)
{
    (void)state;
    static const enum sim_crash ways[] = {SIM_CRASH_PROCESS, SIM_CRASH_HOST};
    for (size_t i = 0; i < TERN_COUNT_OF(ways); i++) {
        for (tern_time at = 0; at < 100; at += 3) {
            struct fixture f;
            open_world(&f, NULL);
            f.p[1].quiet_data = true;
            puppet_listen(f.world, &f.p[1], 4001);
            puppet_listen(f.world, &f.p[0], 4001);
            puppet_dial(f.world, &f.p[0], 1, 4001);
            puppet_dial(f.world, &f.p[1], 0, 4001);
            sim_world_run(f.world, at * TERN_MILLISECOND);
            if (f.p[0].links[0].id != TERN_LINK_NONE)
                puppet_send(f.world, &f.p[0], 0, 300000);
            f.p[1].links[0].take_max = 100;
            run_for(&f, at * TERN_MILLISECOND / 2);
            sim_world_crash(f.world, (uint32_t)(at % 2), ways[i]);
            run_for(&f, at * TERN_MILLISECOND / 4);
            assert_ok(sim_world_start(f.world, (uint32_t)(at % 2)));
            run_for(&f, TERN_HOUR);
            close_world(&f);
        }
    }
}

static void leak_at_stop(void *context)
{
    struct fixture f;
    (void)context;
    open_world(&f, NULL);
    f.p[2].leak = true;
    sim_world_crash(f.world, 2, SIM_CRASH_PROCESS);
}

static void a_machine_that_leaks_ends_the_process(void **state)
{
    (void)state;
    assert_int_not_equal(test_signal_of(leak_at_stop, NULL), 0);
}

static void what_is_done_to_the_world_is_traced(void **state)
{
    (void)state;
    struct fixture f;
    struct golden trace;
    struct sim_world_options options;
    golden_init(&trace);
    exact_options(&options);
    options.sink = golden_trace;
    options.sink_context = &trace;
    open_linked(&f, &options);
    sim_world_cut_one_way(f.world, 2, 3);
    sim_world_set_group(f.world, 3, 2);
    sim_world_set_group(f.world, 3, 2); /* nothing new */
    sim_world_heal_all(f.world);
    sim_world_fail_store(f.world, 2, TERN_ERR_STORAGE);
    sim_world_set_skew(f.world, 2, (int64_t)TERN_SECOND);
    sim_world_crash(f.world, 1, SIM_CRASH_HOST);
    puppet_send(f.world, &f.p[0], 0, 10);
    run_for(&f, 5 * TERN_MINUTE);
    assert_ok(sim_world_start(f.world, 1));
    golden_expect(&trace, "       0.000 ms  n0  SIM_STARTED incarnation=0\n"
                          "       0.000 ms  n1  SIM_STARTED incarnation=0\n"
                          "       0.000 ms  n2  SIM_STARTED incarnation=0\n"
                          "       0.000 ms  n3  SIM_STARTED incarnation=0\n"
                          "      40.000 ms  n2  SIM_CUT to=3\n"
                          "      40.000 ms  n3  SIM_GROUP group=2\n"
                          "      40.000 ms  n2  SIM_HEALED to=3\n"
                          "      40.000 ms  n3  SIM_GROUP group=0\n"
                          "      40.000 ms  n2  SIM_STORE_FAILS error=STORAGE\n"
                          "      40.000 ms  n2  SIM_SKEW skew, two's complement=1000000000\n"
                          "      40.000 ms  n1  SIM_CRASHED incarnation=0 whole host=1\n"
                          "  120050.000 ms  n0  SIM_GAVE_UP link=4294967296\n"
                          "  300040.000 ms  n1  SIM_STARTED incarnation=1\n");
    golden_fini(&trace);
    close_world(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dial_takes_one_round_trip),
        cmocka_unit_test(the_first_bytes_come_right_behind_the_acceptance),
        cmocka_unit_test(dials_fail_as_they_do_outside),
        cmocka_unit_test(a_dial_that_begins_in_a_cut_succeeds_after_it),
        cmocka_unit_test(a_cancelled_dial_fails_and_leaves_nothing),
        cmocka_unit_test(listening_fails_on_a_used_port_or_a_foreign_address),
        cmocka_unit_test(both_families_lead_to_a_node),
        cmocka_unit_test(a_listener_that_went_away_resets_who_is_on_the_way),
        cmocka_unit_test(bandwidth_serialises_and_the_buffer_pushes_back),
        cmocka_unit_test(one_uplink_is_shared_by_all_links),
        cmocka_unit_test(what_is_not_taken_is_offered_again_after_read),
        cmocka_unit_test(jitter_loss_and_cutting_keep_bytes_in_order),
        cmocka_unit_test(links_do_not_disturb_each_others_jitter),
        cmocka_unit_test(shut_ends_one_direction_behind_its_bytes),
        cmocka_unit_test(close_sends_everything_first),
        cmocka_unit_test(bytes_for_a_closed_end_are_answered_by_a_reset),
        cmocka_unit_test(abort_drops_what_has_not_left),
        cmocka_unit_test(stale_ids_and_late_commands_do_nothing),
        cmocka_unit_test(a_link_counts_its_bytes_and_round_trips),
        cmocka_unit_test(bytes_wait_for_the_heal),
        cmocka_unit_test(a_link_gives_up_when_its_bytes_wait_too_long),
        cmocka_unit_test(a_cut_may_be_one_way),
        cmocka_unit_test(groups_part_the_network),
        cmocka_unit_test(a_reset_in_the_middle_is_told_to_both),
        cmocka_unit_test(a_crashed_process_resets_its_links),
        cmocka_unit_test(a_crashed_host_says_nothing_until_it_starts_again),
        cmocka_unit_test(a_node_that_fails_to_start_stays_down),
        cmocka_unit_test(crash_with_everything_under_way),
        cmocka_unit_test(a_machine_that_leaks_ends_the_process),
        cmocka_unit_test(what_is_done_to_the_world_is_traced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
