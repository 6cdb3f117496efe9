/*
 * Whole hosts together: they find each other, gossip, survive partitions, crashes and bad lines;
 * the same seed gives the same run in any process; a byte's answer takes three round trips.
 */
#include "sim/hosts.h"
#include "swarm/manager.h"

#include <stdio.h>
#include <stdlib.h>

#include "tern_test.h"

static struct sim_hosts hosts;

static void everyone_finds_everyone_by_one_address(void **state)
{
    (void)state;
    sim_hosts_init(&hosts, &(struct sim_hosts_options){.seed = 1, .count = 10});
    sim_hosts_start_all(&hosts);
    assert_true(sim_hosts_run_until(&hosts, sim_hosts_all_know_all, 2 * TERN_MINUTE));
    sim_hosts_check_invariants(&hosts);
    sim_hosts_fini(&hosts);
}

static void gossip_reaches_all_of_twenty(void **state)
{
    (void)state;
    sim_hosts_init(&hosts, &(struct sim_hosts_options){.seed = 2, .count = 20, .peers_want = 6});
    sim_hosts_start_all(&hosts);
    sim_hosts_run_for(&hosts, 30 * TERN_SECOND);
    for (uint32_t i = 0; i < 20; i++) {
        (void)sim_hosts_publish(&hosts, i);
        sim_hosts_run_for(&hosts, 100 * TERN_MILLISECOND);
    }
    assert_true(sim_hosts_run_until(&hosts, sim_hosts_all_have_all, 5 * TERN_SECOND));
    sim_hosts_check_invariants(&hosts);
    sim_hosts_fini(&hosts);
}

/* Whom a host needs stays connected, however quiet it is; the others go as idle. */
static void mesh_peers_are_protected_and_bootstrap_peers_tagged(void **state)
{
    (void)state;
    sim_hosts_init(&hosts, &(struct sim_hosts_options){.seed = 11, .count = 6});
    sim_hosts_start_all(&hosts);
    sim_hosts_run_for(&hosts, 10 * TERN_MINUTE);
    for (uint32_t i = 0; i < 6; i++) {
        struct tern_peer_id mesh[64];
        struct tern_swarm *swarm = tern_host_core_swarm(hosts.hosts[i].core);
        size_t count =
            tern_gossip_service_peers(tern_host_core_gossip(hosts.hosts[i].core),
                                      TERN_GOSSIP_LIST_MESH, tern_view_str(SIM_TOPIC), mesh, 64);
        assert_true(count > 0);
        uint32_t protected = 0;
        for (tern_peer peer = tern_swarm_peer_first(swarm); peer != 0;
             peer = tern_swarm_peer_next(swarm, peer))
        protected += tern_swarm_protected(swarm, peer, TERN_PROTECT_MESH);
        assert_int_equal(protected, count);
        for (size_t m = 0; m < count; m++)
            assert_int_equal(tern_swarm_protected(swarm, tern_swarm_find_peer(swarm, &mesh[m]),
                                                  TERN_PROTECT_MESH),
                             1);
        tern_peer first = tern_swarm_find_peer(swarm, &hosts.hosts[0].id);
        if (i > 0 && first != 0)
            assert_true(tern_swarm_peer_value(swarm, first) >= 10);
    }
    sim_hosts_check_invariants(&hosts);
    sim_hosts_fini(&hosts);
}

static void a_static_peer_is_dialled_until_it_is_back(void **state)
{
    (void)state;
    sim_hosts_init(&hosts, &(struct sim_hosts_options){
                               .seed = 12, .count = 4, .kept = true, .book_saved = true});
    sim_hosts_start_all(&hosts);
    sim_hosts_run_for(&hosts, TERN_MINUTE);
    for (uint32_t i = 1; i < 4; i++)
        assert_true(sim_hosts_connected(&hosts, i, 0));
    sim_world_crash(hosts.world, 0, SIM_CRASH_HOST);
    sim_hosts_run_for(&hosts, 10 * TERN_MINUTE);
    sim_world_crash(hosts.world, 2, SIM_CRASH_PROCESS);
    sim_hosts_start(&hosts, 2); /* and remembers how often it has tried */
    sim_hosts_run_for(&hosts, TERN_SECOND);
    struct tern_kept_peer kept;
    assert_true(
        tern_swarm_kept_find(tern_host_core_swarm(hosts.hosts[2].core), &hosts.hosts[0].id, &kept));
    assert_true(kept.failures >= 5);
    sim_hosts_start(&hosts, 0);
    sim_hosts_run_for(&hosts, 7 * TERN_MINUTE);
    for (uint32_t i = 1; i < 4; i++)
        assert_true(sim_hosts_connected(&hosts, i, 0));
    sim_hosts_check_invariants(&hosts);
    sim_hosts_fini(&hosts);
}

static void a_partition_heals(void **state)
{
    (void)state;
    sim_hosts_init(&hosts, &(struct sim_hosts_options){.seed = 3, .count = 12});
    sim_hosts_start_all(&hosts);
    assert_true(sim_hosts_run_until(&hosts, sim_hosts_all_know_all, 2 * TERN_MINUTE));
    for (uint32_t i = 6; i < 12; i++)
        sim_world_set_group(hosts.world, i, 1);
    sim_hosts_run_for(&hosts, 3 * TERN_MINUTE);
    for (uint32_t a = 0; a < 6; a++)
        for (uint32_t b = 6; b < 12; b++)
            assert_false(sim_hosts_connected(&hosts, a, b));
    uint32_t here = sim_hosts_publish(&hosts, 1);
    sim_hosts_run_for(&hosts, 20 * TERN_SECOND);
    assert_int_equal(sim_hosts_got_by(&hosts, here), 6);
    sim_world_heal_all(hosts.world);
    sim_hosts_run_for(&hosts, 5 * TERN_MINUTE);
    uint32_t there = sim_hosts_publish(&hosts, 8);
    sim_hosts_run_for(&hosts, 20 * TERN_SECOND);
    assert_int_equal(sim_hosts_got_by(&hosts, there), 12);
    sim_hosts_check_invariants(&hosts);
    sim_hosts_fini(&hosts);
}

static bool all_got_the_newest(const struct sim_hosts *all)
{
    return sim_hosts_got_by(all, all->messages - 1) == all->options.count;
}

/* The host that everybody knows comes back without a book, together with two newcomers: the three
 * know each other, and all others have enough peers. */
static void a_bootstrap_host_that_forgot_everyone_is_found_again(void **state)
{
    (void)state;
    sim_hosts_init(&hosts, &(struct sim_hosts_options){.seed = 13, .count = 12, .peers_want = 3});
    sim_hosts_start_all(&hosts);
    assert_true(sim_hosts_run_until(&hosts, sim_hosts_all_know_all, 2 * TERN_MINUTE));
    for (uint32_t i = 0; i < 3; i++)
        sim_world_crash(hosts.world, i, SIM_CRASH_HOST);
    sim_hosts_run_for(&hosts, 3 * TERN_MINUTE);
    for (uint32_t i = 0; i < 3; i++)
        sim_hosts_start(&hosts, i);
    sim_hosts_run_for(&hosts, 6 * TERN_MINUTE); /* everyone else has looked around */
    assert_true(sim_hosts_knows(&hosts, 1, 11));
    (void)sim_hosts_publish(&hosts, 11);
    assert_true(sim_hosts_run_until(&hosts, all_got_the_newest, 10 * TERN_SECOND));
    (void)sim_hosts_publish(&hosts, 2);
    assert_true(sim_hosts_run_until(&hosts, all_got_the_newest, 10 * TERN_SECOND));
    sim_hosts_check_invariants(&hosts);
    sim_hosts_fini(&hosts);
}

/* Either half has more peers than it wants, so nobody misses those of the other one. */
static void halves_that_are_content_grow_together(void **state)
{
    (void)state;
    sim_hosts_init(&hosts, &(struct sim_hosts_options){.seed = 14, .count = 32, .peers_want = 3});
    sim_hosts_start_all(&hosts);
    sim_hosts_run_for(&hosts, 2 * TERN_MINUTE);
    for (uint32_t i = 16; i < 32; i++)
        sim_world_set_group(hosts.world, i, 1);
    sim_hosts_run_for(&hosts, 30 * TERN_MINUTE);
    sim_world_heal_all(hosts.world);
    sim_hosts_run_for(&hosts, 6 * TERN_MINUTE);
    for (uint32_t i = 0; i < 20; i++) {
        (void)sim_hosts_publish(&hosts, i % 2 == 0 ? 1 : 30);
        if (!sim_hosts_run_until(&hosts, all_got_the_newest, TERN_MINUTE))
            fail_msg("message %u reached %u", i, sim_hosts_got_by(&hosts, i));
        sim_hosts_run_for(&hosts, 20 * TERN_SECOND);
    }
    sim_hosts_check_invariants(&hosts);
    sim_hosts_fini(&hosts);
}

static void who_crashed_comes_back(void **state)
{
    (void)state;
    static const enum sim_crash kinds[] = {SIM_CRASH_PROCESS, SIM_CRASH_HOST};
    for (size_t k = 0; k < TERN_COUNT_OF(kinds); k++) {
        sim_hosts_init(&hosts,
                       &(struct sim_hosts_options){.seed = 4 + k, .count = 8, .book_saved = true});
        sim_hosts_start_all(&hosts);
        assert_true(sim_hosts_run_until(&hosts, sim_hosts_all_know_all, 2 * TERN_MINUTE));
        sim_hosts_run_for(&hosts, 2 * TERN_MINUTE);
        sim_world_crash(hosts.world, 0, kinds[k]); /* the bootstrap host, too */
        sim_world_crash(hosts.world, 5, kinds[k]);
        sim_hosts_run_for(&hosts, 2 * TERN_MINUTE);
        assert_true(sim_hosts_nobody_is_alone(&hosts));
        assert_false(sim_hosts_connected(&hosts, 1, 5));
        sim_hosts_start(&hosts, 5); /* knows whom to dial from its book alone */
        assert_true(sim_hosts_run_until(&hosts, sim_hosts_nobody_is_alone, 2 * TERN_MINUTE));
        sim_hosts_start(&hosts, 0);
        sim_hosts_run_for(&hosts, 2 * TERN_MINUTE);
        (void)sim_hosts_publish(&hosts, 0);
        (void)sim_hosts_publish(&hosts, 5);
        assert_true(sim_hosts_run_until(&hosts, sim_hosts_all_have_all, 20 * TERN_SECOND));
        sim_hosts_check_invariants(&hosts);
        sim_hosts_fini(&hosts);
    }
}

static void bad_lines_delay_and_lose_nothing(void **state)
{
    (void)state;
    const struct sim_path path = {.latency_ns = 150 * TERN_MILLISECOND,
                                  .jitter_ns = 100 * TERN_MILLISECOND,
                                  .bytes_per_second = 100000,
                                  .loss_ppm = 30000};
    sim_hosts_init(&hosts, &(struct sim_hosts_options){.seed = 6, .count = 12, .path = path});
    sim_hosts_start_all(&hosts);
    assert_true(sim_hosts_run_until(&hosts, sim_hosts_all_know_all, 5 * TERN_MINUTE));
    for (uint32_t i = 0; i < 12; i++)
        (void)sim_hosts_publish(&hosts, i);
    assert_true(sim_hosts_run_until(&hosts, sim_hosts_all_have_all, TERN_MINUTE));
    assert_true(sim_world_counters(hosts.world)->lost > 0);
    sim_hosts_check_invariants(&hosts);
    sim_hosts_fini(&hosts);
}

/* From the dial to the answer's first byte: TCP, upgrade, stream, request and answer. What is more
 * than three round trips is the cost of key agreement, which the world counts. */
static void an_answer_takes_three_round_trips(void **state)
{
    (void)state;
    const tern_time latency = 100 * TERN_MILLISECOND;
    sim_hosts_init(&hosts, &(struct sim_hosts_options){.seed = 7,
                                                       .count = 2,
                                                       .path = {.latency_ns = latency},
                                                       .exact = true,
                                                       .no_bootstrap = true});
    sim_hosts_start_all(&hosts);
    sim_hosts_run_for(&hosts, TERN_SECOND);
    tern_time began = sim_hosts_now(&hosts);
    sim_hosts_dial(&hosts, 0, 1);
    while (!sim_hosts_connected(&hosts, 0, 1))
        assert_true(sim_world_step(hosts.world, began + TERN_MINUTE));
    assert_true(sim_hosts_echo(&hosts, 0, 1));
    sim_hosts_run_for(&hosts, TERN_SECOND);
    assert_int_equal(hosts.hosts[0].echo_got, 1);
    tern_time took = hosts.hosts[0].echo_first_byte - began;
    assert_true(took >= 3 * 2 * latency);
    assert_true(took < 3 * 2 * latency + 5 * TERN_MILLISECOND);
    sim_hosts_fini(&hosts);
}

/* --- determinism --- */

static uint64_t run_hash(uint64_t seed)
{
    const struct sim_path path = {
        .latency_ns = 40 * TERN_MILLISECOND, .jitter_ns = 20 * TERN_MILLISECOND, .loss_ppm = 5000};
    sim_hosts_init(&hosts, &(struct sim_hosts_options){.seed = seed, .count = 8, .path = path});
    sim_hosts_start_all(&hosts);
    sim_hosts_run_for(&hosts, 30 * TERN_SECOND);
    (void)sim_hosts_publish(&hosts, 3);
    sim_world_crash(hosts.world, 2, SIM_CRASH_PROCESS);
    sim_hosts_run_for(&hosts, 30 * TERN_SECOND);
    uint64_t hash = sim_world_trace_hash(hosts.world);
    sim_hosts_fini(&hosts);
    return hash;
}

/* Runs this program anew, so that addresses, environment and heap are other ones. */
static uint64_t run_hash_in_a_process(const char *seed)
{
    char self[4096];
    char command[4200];
    unsigned long long hash = 0;
    ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(size > 0);
    self[size] = 0;
    snprintf(command, sizeof command, "'%s' %s", self, seed);
    FILE *out = popen(command, "r");
    assert_non_null(out);
    assert_int_equal(fscanf(out, "%llx", &hash), 1);
    assert_int_equal(pclose(out), 0);
    return hash;
}

static void the_same_seed_gives_the_same_run_in_any_process(void **state)
{
    (void)state;
    uint64_t hash = run_hash(21);
    assert_int_equal(run_hash_in_a_process("21"), hash);
    assert_int_equal(run_hash_in_a_process("21"), hash);
    assert_int_not_equal(run_hash_in_a_process("22"), hash);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everyone_finds_everyone_by_one_address),
        cmocka_unit_test(gossip_reaches_all_of_twenty),
        cmocka_unit_test(mesh_peers_are_protected_and_bootstrap_peers_tagged),
        cmocka_unit_test(a_static_peer_is_dialled_until_it_is_back),
        cmocka_unit_test(a_partition_heals),
        cmocka_unit_test(a_bootstrap_host_that_forgot_everyone_is_found_again),
        cmocka_unit_test(halves_that_are_content_grow_together),
        cmocka_unit_test(who_crashed_comes_back),
        cmocka_unit_test(bad_lines_delay_and_lose_nothing),
        cmocka_unit_test(an_answer_takes_three_round_trips),
        cmocka_unit_test(the_same_seed_gives_the_same_run_in_any_process),
    };
    if (argc > 1) {
        printf("%llx\n", (unsigned long long)run_hash(strtoull(argv[1], NULL, 10)));
        return 0;
    }
    return cmocka_run_group_tests_name("hosts", tests, NULL, NULL);
}
