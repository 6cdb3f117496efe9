/* Jobs, the store of a node, names and clocks, as golden logs in virtual time. */
#include "runtime/sim/puppet_testing.h"
#include "tern_test.h"

enum { NODES = 2 };

struct fixture {
    struct sim_world *world;
    struct golden log;
    struct puppet p[NODES];
};

static void open_world(struct fixture *f, const struct sim_world_options *options)
{
    struct sim_world_options plain;
    sim_world_options_defaults(&plain);
    memset(f, 0, sizeof(*f));
    golden_init(&f->log);
    f->world = sim_world_new(options == NULL ? &plain : options);
    for (size_t i = 0; i < NODES; i++)
        puppet_add(f->world, f->p, &f->log);
}

static void close_world(struct fixture *f)
{
    sim_world_free(f->world);
    golden_fini(&f->log);
}

/* --- jobs --- */

struct job {
    struct tern_job job;
    unsigned runs;
};

static void job_run(struct tern_job *job)
{
    TERN_CONTAINER_OF(job, struct job, job)->runs++;
}

static void give_jobs(struct fixture *f, struct job *jobs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        jobs[i] = (struct job){
            .job = {.run = job_run, .owner_slot = i, .cost_ns = (i + 1) * TERN_MILLISECOND}};
        tern_list_init(&jobs[i].job.link);
        puppet_do(f->world, &f->p[0],
                  (struct tern_command){.kind = TERN_COMMAND_JOB, .job = &jobs[i].job});
    }
}

static void jobs_take_their_cost_on_a_few_workers(void **state)
{
    (void)state;
    struct fixture f;
    struct job jobs[4];
    open_world(&f, NULL); /* two workers */
    give_jobs(&f, jobs, 4);
    sim_world_run(f.world, TERN_SECOND);
    golden_expect(&f.log, "1.000 a job 0 done\n"
                          "2.000 a job 1 done\n"
                          "4.000 a job 2 done\n"
                          "6.000 a job 3 done\n");
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(jobs[i].runs, 1);
    close_world(&f);
}

static void jobs_come_back_before_the_machine_ends(void **state)
{
    (void)state;
    struct fixture f;
    struct job jobs[3];
    open_world(&f, NULL);
    give_jobs(&f, jobs, 3);
    sim_world_run(f.world, 1500 * TERN_MICROSECOND);
    sim_world_crash(f.world, 0, SIM_CRASH_PROCESS);
    assert_ok(sim_world_start(f.world, 0));
    sim_world_run(f.world, TERN_SECOND);
    golden_expect(&f.log, "1.000 a job 0 done\n"
                          "1.500 a job 1 done\n"
                          "1.500 a job 2 done\n");
    close_world(&f);
}

/* --- the store --- */

struct write {
    struct tern_store_op op;
    struct tern_store_request request;
    uint8_t key;
};

static void give_write(struct fixture *f, struct write *write, uint8_t key)
{
    *write = (struct write){.key = key};
    write->op = (struct tern_store_op){.kind = TERN_STORE_PUT,
                                       .key = tern_view_of(&write->key, 1),
                                       .value = tern_view_str("value")};
    write->request = (struct tern_store_request){
        .kind = TERN_STORE_WRITE, .owner_tag = key, .ops = &write->op, .ops_count = 1};
    tern_list_init(&write->request.link);
    puppet_do(f->world, &f->p[0],
              (struct tern_command){.kind = TERN_COMMAND_STORE, .request = &write->request});
}

static void requests_are_served_in_order_and_take_time(void **state)
{
    (void)state;
    struct fixture f;
    struct write writes[2];
    uint8_t result[64];
    struct tern_store_request scan = {.kind = TERN_STORE_SCAN,
                                      .owner_tag = 9,
                                      .rows_max = 9,
                                      .result = {.data = result, .size = sizeof(result)}};
    open_world(&f, NULL);
    give_write(&f, &writes[0], 1);
    give_write(&f, &writes[1], 2);
    tern_list_init(&scan.link);
    puppet_do(f.world, &f.p[0],
              (struct tern_command){.kind = TERN_COMMAND_STORE, .request = &scan});
    sim_world_run(f.world, TERN_SECOND);
    golden_expect(&f.log, "2.000 a stored 1: OK, 0 rows\n"
                          "4.000 a stored 2: OK, 0 rows\n"
                          "4.050 a stored 9: OK, 2 rows\n");
    close_world(&f);
}

static bool is_stored(struct fixture *f, uint8_t key)
{
    struct tern_view value;
    return sim_store_get(sim_world_store(f->world, 0), 0, tern_view_of(&key, 1), &value);
}

/* What came back is durable; of what was under way, the older part may be. */
static void a_crash_keeps_a_prefix_of_the_writes_under_way(void **state)
{
    (void)state;
    enum { WRITES = 5, DONE = 2 };
    unsigned kept[WRITES + 1] = {0};
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct fixture f;
        struct write writes[WRITES];
        struct sim_world_options options;
        sim_world_options_defaults(&options);
        options.seed = seed;
        open_world(&f, &options);
        for (uint8_t i = 0; i < WRITES; i++)
            give_write(&f, &writes[i], i);
        sim_world_run(f.world, (2 * DONE + 1) * TERN_MILLISECOND);
        sim_world_crash(f.world, 0, SIM_CRASH_HOST);
        assert_ok(sim_world_start(f.world, 0));
        sim_world_run(f.world, TERN_SECOND);
        unsigned durable = 0;
        while (durable < WRITES && is_stored(&f, (uint8_t)durable))
            durable++;
        for (unsigned i = durable; i < WRITES; i++)
            assert_false(is_stored(&f, (uint8_t)i));
        kept[durable]++;
        for (unsigned i = 0; i < WRITES; i++)
            assert_int_equal(writes[i].request.err, i < DONE ? TERN_OK : TERN_ERR_STORAGE);
        close_world(&f);
    }
    for (unsigned i = 0; i <= WRITES; i++)
        assert_int_equal(kept[i] > 0, i >= DONE);
}

static void a_failing_store_changes_nothing(void **state)
{
    (void)state;
    struct fixture f;
    struct write write;
    open_world(&f, NULL);
    sim_world_fail_store(f.world, 0, TERN_ERR_CORRUPT);
    give_write(&f, &write, 1);
    sim_world_run(f.world, TERN_SECOND);
    assert_false(is_stored(&f, 1));
    give_write(&f, &write, 1);
    sim_world_crash(f.world, 0, SIM_CRASH_HOST);
    assert_false(is_stored(&f, 1));
    assert_ok(sim_world_start(f.world, 0));
    sim_world_fail_store(f.world, 0, TERN_OK);
    give_write(&f, &write, 1);
    sim_world_run(f.world, 2 * TERN_SECOND);
    golden_expect(&f.log, "2.000 a stored 1: CORRUPT, 0 rows\n"
                          "1000.000 a stored 1: STORAGE, 0 rows\n"
                          "1002.000 a stored 1: OK, 0 rows\n");
    assert_true(is_stored(&f, 1));
    close_world(&f);
}

static void a_store_fails_as_often_as_it_is_told_to(void **state)
{
    (void)state;
    enum { WRITES = 1000 };
    struct fixture f;
    struct write write;
    struct sim_world_options options;
    sim_world_options_defaults(&options);
    options.store_fail_ppm = 250000;
    open_world(&f, &options);
    unsigned failed = 0;
    for (unsigned i = 0; i < WRITES; i++) {
        give_write(&f, &write, (uint8_t)i);
        sim_world_run(f.world, sim_world_now(f.world) + 2 * TERN_MILLISECOND);
        failed += write.request.err == TERN_ERR_STORAGE;
    }
    assert_in_range(failed, 250 - 70, 250 + 70);
    close_world(&f);
}

/* --- names --- */

static void resolve(struct fixture *f, enum tern_resolve_kind kind, const char *name)
{
    puppet_do(f->world, &f->p[0],
              (struct tern_command){.kind = TERN_COMMAND_RESOLVE,
                                    .token = kind,
                                    .resolve = kind,
                                    .name = tern_view_str(name)});
}

static void names_resolve_by_what_was_asked(void **state)
{
    (void)state;
    struct fixture f;
    open_world(&f, NULL);
    const struct tern_endpoint endpoints[] = {sim_world_endpoint(f.world, 1, 0),
                                              sim_world_endpoint6(f.world, 1, 0),
                                              sim_world_endpoint6(f.world, 0, 0)};
    const struct tern_view texts[] = {tern_view_str("dnsaddr=x"), tern_view_str("")};
    struct sim_name name = {
        .name = tern_view_str("b.example"), .endpoints = endpoints, .endpoints_count = 1};
    sim_world_set_name(f.world, &name);
    name.endpoints_count = 3;
    name.texts = texts;
    name.texts_count = 2;
    sim_world_set_name(f.world, &name); /* replaces */
    static const enum tern_resolve_kind kinds[] = {TERN_RESOLVE_IP4, TERN_RESOLVE_IP6,
                                                   TERN_RESOLVE_IP, TERN_RESOLVE_TXT};
    for (size_t i = 0; i < TERN_COUNT_OF(kinds); i++)
        resolve(&f, kinds[i], "b.example");
    resolve(&f, TERN_RESOLVE_IP, "nobody.example");
    sim_world_run(f.world, TERN_SECOND);
    golden_expect(&f.log, "20.000 a resolved 0: OK, 1\n"
                          "20.000 a resolved 1: OK, 2\n"
                          "20.000 a resolved 2: OK, 3\n"
                          "20.000 a resolved 3: OK, 2\n"
                          "20.000 a resolved 2: NOT_FOUND, 0\n");
    resolve(&f, TERN_RESOLVE_IP, "b.example"); /* and one for nobody */
    sim_world_crash(f.world, 0, SIM_CRASH_HOST);
    sim_world_run(f.world, 2 * TERN_SECOND);
    resolve(&f, TERN_RESOLVE_IP, "b.example");
    close_world(&f);
}

/* --- clocks --- */

static void wall_clocks_are_wrong_as_told(void **state)
{
    (void)state;
    struct fixture f;
    struct sim_world_options options;
    sim_world_options_defaults(&options);
    open_world(&f, &options);
    assert_true(f.p[0].wall == options.epoch);
    sim_world_run(f.world, TERN_SECOND);
    sim_world_set_skew(f.world, 0, -5 * (int64_t)TERN_SECOND);
    assert_true(f.p[0].wall == options.epoch - 4 * TERN_SECOND);
    assert_true(f.p[1].wall == options.epoch);
    assert_true(sim_world_wall(f.world, 1) == options.epoch + TERN_SECOND);
    sim_world_crash(f.world, 0, SIM_CRASH_PROCESS);
    sim_world_set_skew(f.world, 0, (int64_t)TERN_HOUR);
    assert_ok(sim_world_start(f.world, 0));
    assert_true(f.p[0].wall == options.epoch + TERN_SECOND + TERN_HOUR);
    close_world(&f);
}

static void a_drifting_clock_is_told_again_and_again(void **state)
{
    (void)state;
    struct fixture f;
    open_world(&f, NULL);
    struct sim_node_options options = {.ops = &puppet_node_ops, .context = f.p, .drift_ppm = -100};
    struct sim_world_options world_options;
    sim_world_options_defaults(&world_options);
    sim_world_free(f.world);
    f.world = sim_world_new(&world_options);
    f.p[0] = (struct puppet){.log = &f.log};
    assert_int_equal(sim_world_add(f.world, &options), 0);
    assert_ok(sim_world_start(f.world, 0));
    sim_world_run(f.world, 1005 * TERN_SECOND);
    assert_true(f.p[0].wall == world_options.epoch + 1000 * TERN_SECOND - 100 * TERN_MILLISECOND);
    sim_world_crash(f.world, 0, SIM_CRASH_HOST);
    tern_wall_time last = f.p[0].wall;
    sim_world_run(f.world, 1100 * TERN_SECOND);
    assert_true(f.p[0].wall == last);
    close_world(&f);
}

static void deadlines_are_kept_and_may_move(void **state)
{
    (void)state;
    struct fixture f;
    open_world(&f, NULL);
    f.p[0].deadline = 50 * TERN_MILLISECOND;
    sim_world_kick(f.world, 0);
    f.p[0].deadline = 20 * TERN_MILLISECOND; /* earlier */
    sim_world_kick(f.world, 0);
    sim_world_run(f.world, 60 * TERN_MILLISECOND);
    f.p[0].deadline = 100 * TERN_MILLISECOND;
    sim_world_kick(f.world, 0);
    f.p[0].deadline = 200 * TERN_MILLISECOND; /* later */
    sim_world_kick(f.world, 0);
    sim_world_run(f.world, 300 * TERN_MILLISECOND);
    f.p[0].deadline = 10; /* long past: at once */
    sim_world_kick(f.world, 0);
    sim_world_run(f.world, TERN_SECOND);
    golden_expect(&f.log, "20.000 a tick\n"
                          "200.000 a tick\n"
                          "300.000 a tick\n");
    close_world(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_take_their_cost_on_a_few_workers),
        cmocka_unit_test(jobs_come_back_before_the_machine_ends),
        cmocka_unit_test(requests_are_served_in_order_and_take_time),
        cmocka_unit_test(a_crash_keeps_a_prefix_of_the_writes_under_way),
        cmocka_unit_test(a_failing_store_changes_nothing),
        cmocka_unit_test(a_store_fails_as_often_as_it_is_told_to),
        cmocka_unit_test(names_resolve_by_what_was_asked),
        cmocka_unit_test(wall_clocks_are_wrong_as_told),
        cmocka_unit_test(a_drifting_clock_is_told_again_and_again),
        cmocka_unit_test(deadlines_are_kept_and_may_move),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
