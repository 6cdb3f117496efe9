/*
 * Whole chain nodes together: they make one chain, trade energy, catch up, come back from crashes
 * and partitions, take no harm from hostile neighbours; whatever faults the seed draws, a healed
 * network agrees, and no money or energy is lost.
 */
#include "sim/nodes.h"

#include <stdio.h>
#include <stdlib.h>

#include "tern_test.h"

static struct sim_nodes nodes;

static const uint64_t five = 5;

static void begin(uint64_t seed, uint32_t count)
{
    sim_nodes_init(&nodes, &(struct sim_nodes_options){.seed = seed, .count = count});
    sim_nodes_start_all(&nodes);
    assert_true(sim_nodes_run_until(&nodes, sim_nodes_agree_at, &five, 2 * TERN_MINUTE));
}

static void end(void)
{
    sim_nodes_check(&nodes);
    sim_nodes_fini(&nodes);
}

static uint64_t highest(void)
{
    uint64_t height = 0;
    for (uint32_t i = 0; i < nodes.options.count; i++) {
        uint64_t own = sim_nodes_height(&nodes, i);
        height = own > height ? own : height;
    }
    return height;
}

/* All nodes that are up agree on a head that is higher than the highest one now. */
static void must_agree_higher(tern_time span)
{
    uint64_t height = highest() + 1;
    if (!sim_nodes_run_until(&nodes, sim_nodes_agree_at, &height, span)) {
        for (uint32_t i = 0; i < nodes.options.count; i++)
            print_message("node %u is at %u\n", i, (unsigned)sim_nodes_height(&nodes, i));
        fail_msg("no agreement at %u", (unsigned)height);
    }
}

static void authorities_and_followers_make_one_chain(void **unused)
{
    (void)unused;
    begin(1, 8);
    for (size_t a = 0; a < WORLD_ACCOUNTS; a++)
        for (unsigned i = 0; i < 3; i++)
            (void)sim_nodes_pay(&nodes, 4 + a % 4, a);
    assert_true(sim_nodes_run_until(&nodes, sim_nodes_all_paid, NULL, TERN_MINUTE));
    must_agree_higher(TERN_MINUTE);
    for (uint32_t i = 0; i < WORLD_AUTHORITIES; i++)
        assert_true(nodes.nodes[i].proposed > 0);
    for (uint32_t i = 4; i < 8; i++) {
        assert_int_equal(nodes.nodes[i].proposed, 0);
        for (uint64_t tag = 0; tag < nodes.tags; tag++)
            if (sim_nodes_answer(&nodes, i, tag)->here)
                assert_int_equal(sim_nodes_answer(&nodes, i, tag)->err, TERN_OK);
    }
    /* Honest nodes give each other no reason for blame. */
    for (uint32_t i = 0; i < 8; i++)
        for (unsigned f = 1; f < TERN_FAULT_COUNT; f++)
            if (tern_fault_weight((tern_fault)f) > 0 &&
                sim_nodes_fault(&nodes, i, (tern_fault)f) > 0)
                fail_msg("node %u blamed an honest one for %s", i, tern_fault_name((tern_fault)f));
    end();
}

static void energy_is_traded_at_one_price_everywhere(void **unused)
{
    (void)unused;
    begin(2, 6);
    const struct tern_tx_order ask = {WORLD_HOUR, 1000, 100, 0};
    const struct tern_tx_order bid = {WORLD_HOUR, 600, 200, 0};
    struct world_tx reading = world_reading(&nodes.chain, 0, 0, WORLD_HOUR, 5000);
    struct world_tx asked = world_order(&nodes.chain, TERN_TX_ASK, 0, 0, &ask);
    struct world_tx bidden = world_order(&nodes.chain, TERN_TX_BID, 1, 0, &bid);
    (void)sim_nodes_submit(&nodes, 4, &reading);
    (void)sim_nodes_submit(&nodes, 4, &asked);
    (void)sim_nodes_submit(&nodes, 5, &bidden);
    sim_nodes_run_for(&nodes, 15 * TERN_SECOND);
    must_agree_higher(TERN_MINUTE);
    for (uint32_t i = 0; i < 6; i++) {
        struct tern_row_hour hour;
        const struct tern_chain *chain = tern_node_chain(nodes.nodes[i].core);
        assert_true(tern_row_get_hour(&tern_chain_ledger(chain)->state, WORLD_HOUR, &hour));
        assert_int_equal(hour.sum.sold_wh, 600);
        assert_int_equal(hour.price, 100); /* supply is left: the ask's price */
        assert_int_equal(nodes.nodes[i].trades, 1);
    }
    end();
}

static void who_comes_late_catches_up(void **unused)
{
    (void)unused;
    sim_nodes_init(&nodes, &(struct sim_nodes_options){.seed = 3, .count = 7});
    for (uint32_t i = 0; i < 6; i++)
        sim_nodes_start(&nodes, i);
    for (unsigned i = 0; i < 200; i++) {
        (void)sim_nodes_pay(&nodes, i % 6, i % WORLD_ACCOUNTS);
        sim_nodes_run_for(&nodes, TERN_SECOND);
    }
    uint64_t height = highest();
    assert_true(height >
                150); /* more than the tree is deep: headers and bodies come from the store */
    sim_nodes_start(&nodes, 6);
    tern_time start = sim_world_now(nodes.world);
    assert_true(sim_nodes_run_until(&nodes, sim_nodes_agree_at, &height, TERN_MINUTE));
    assert_true(sim_world_now(nodes.world) - start < 20 * TERN_SECOND);
    end();
}

static void who_crashed_comes_back_with_its_chain(void **unused)
{
    (void)unused;
    static const enum sim_crash kinds[] = {SIM_CRASH_PROCESS, SIM_CRASH_HOST};
    for (size_t k = 0; k < TERN_COUNT_OF(kinds); k++) {
        begin(4 + k, 6);
        for (unsigned round = 0; round < 6; round++) {
            uint32_t who = round % 6;
            uint64_t before = sim_nodes_height(&nodes, who);
            sim_nodes_run_for(&nodes, 137 * TERN_MILLISECOND * (round + 1));
            sim_nodes_crash(&nodes, who, kinds[k]);
            sim_nodes_run_for(&nodes, 10 * TERN_SECOND);
            sim_nodes_start(&nodes, who);
            sim_nodes_run_for(&nodes, 200 * TERN_MILLISECOND);
            assert_true(sim_nodes_height(&nodes, who) >= before); /* what was shown is kept */
            must_agree_higher(2 * TERN_MINUTE);
        }
        end();
    }
}

static void both_halves_of_a_partition_agree_afterwards(void **unused)
{
    (void)unused;
    begin(7, 8);
    for (uint32_t i = 0; i < 8; i += 2)
        sim_world_set_group(nodes.world, i, 1);
    for (size_t a = 0; a < WORLD_ACCOUNTS; a++) /* each half hears of half of the payments */
        (void)sim_nodes_pay(&nodes, (uint32_t)a, a);
    sim_nodes_run_for(&nodes, 40 * TERN_SECOND);
    assert_true(sim_nodes_height(&nodes, 0) > 10 && sim_nodes_height(&nodes, 1) > 10);
    sim_world_heal_all(nodes.world);
    must_agree_higher(5 * TERN_MINUTE);
    uint64_t undone = 0;
    for (uint32_t i = 0; i < 8; i++)
        undone += nodes.nodes[i].undone;
    assert_true(undone > 10);
    /* What the losing half had carried out, or had waiting, goes into the chain. */
    assert_true(sim_nodes_run_until(&nodes, sim_nodes_all_paid, NULL, 2 * TERN_MINUTE));
    end();
}

static void a_clock_that_is_wrong_stops_nobody_else(void **unused)
{
    (void)unused;
    begin(8, 6);
    sim_world_set_skew(nodes.world, 2, 5 * (int64_t)TERN_SECOND); /* drift_ms is 500 */
    sim_nodes_run_for(&nodes, 30 * TERN_SECOND);
    uint64_t height = sim_nodes_height(&nodes, 5);
    sim_nodes_run_for(&nodes, 30 * TERN_SECOND);
    assert_true(sim_nodes_height(&nodes, 5) > height + 10);
    sim_world_set_skew(nodes.world, 2, 0);
    must_agree_higher(2 * TERN_MINUTE);
    end();
}

static void chains_are_validated_here_and_there(void **unused)
{
    (void)unused;
    begin(9, 5);
    for (unsigned i = 0; i < 40; i++)
        (void)sim_nodes_pay(&nodes, 4, i % WORLD_ACCOUNTS);
    sim_nodes_run_for(&nodes, 20 * TERN_SECOND);
    struct sim_node *node = &nodes.nodes[4];
    assert_int_equal(sim_nodes_validate(&nodes, 4), TERN_OK);
    sim_nodes_run_for(&nodes, 10 * TERN_SECOND);
    assert_true(node->validated);
    assert_int_equal(node->validation.state, TERN_VALIDATION_GOOD);
    assert_true(node->validation.checked_height > 10);
    assert_int_equal(sim_nodes_validate_peer(&nodes, 4, 0), TERN_OK);
    sim_nodes_run_for(&nodes, 10 * TERN_SECOND);
    assert_true(node->validated);
    assert_int_equal(node->validated_err, TERN_OK);
    assert_int_equal(node->validation.state, TERN_VALIDATION_GOOD);
    assert_int_equal(sim_nodes_validate_peer(&nodes, 4, 1), TERN_OK);
    sim_nodes_crash(&nodes, 1, SIM_CRASH_PROCESS); /* in the middle of it */
    sim_nodes_run_for(&nodes, 40 * TERN_SECOND);
    assert_true(node->validated);
    assert_int_not_equal(node->validated_err, TERN_OK);
    end();
}

static void a_store_that_fails_stops_one_node_only(void **unused)
{
    (void)unused;
    begin(10, 6);
    sim_world_fail_store(nodes.world, 5, TERN_ERR_STORAGE);
    sim_nodes_run_for(&nodes, 20 * TERN_SECOND);
    assert_true(nodes.nodes[5].failed);
    sim_world_fail_store(nodes.world, 5, TERN_OK);
    sim_nodes_crash(&nodes, 5, SIM_CRASH_PROCESS);
    sim_nodes_start(&nodes, 5);
    must_agree_higher(2 * TERN_MINUTE);
    end();
}

/* --- a hostile neighbour: a host that knows the topics and says whatever it likes --- */

struct enemy {
    struct tern_private_key key;
    struct tern_host_core *core;
    uint64_t said;
    struct tern_random random;
};

static struct enemy enemy;

static tern_err enemy_start(void *context, const struct sim_node_start *start,
                            struct tern_machine *machine)
{
    struct tern_host_core_options options;
    struct tern_multiaddr address;
    (void)context;
    tern_host_core_options_defaults(&options);
    options.mem = start->mem;
    options.identity = &enemy.key;
    memcpy(options.seed, start->seed, sizeof options.seed);
    options.peers_want = 1;
    tern_swarm_limits_profile(&options.swarm.limits, TERN_PROFILE_SIMULATION);
    options.swarm.secure[0] = TERN_SECURE_PLAINTEXT;
    options.swarm.secure_count = 1;
    struct tern_node_options as_nodes;
    tern_node_options_defaults(&as_nodes);
    options.gossip_policy = as_nodes.host.gossip_policy;
    TERN_TRY(tern_host_core_new(&options, start->now, &enemy.core));
    sim_nodes_address(&nodes, 5, &address);
    TERN_CHECK(tern_host_core_bootstrap(enemy.core, start->now, &address) == TERN_OK);
    *machine = (struct tern_machine){&tern_host_core_ops, enemy.core};
    return TERN_OK;
}

static void enemy_stop(void *context, uint32_t node, struct tern_machine machine)
{
    (void)context;
    (void)node;
    (void)machine;
    tern_host_core_free(enemy.core);
    enemy.core = NULL;
}

static void enemy_topic(const char *what, char topic[64])
{
    struct tern_writer w = tern_writer_of(topic, 64);
    tern_writer_str(&w, "/tern/");
    tern_writer_hex(&w, tern_view_of(nodes.chain.genesis_hash.bytes, 4));
    tern_writer_str(&w, what);
    assert_true(tern_writer_terminate(&w));
}

static void enemy_say(uint32_t number, const char *what, struct tern_view bytes)
{
    char topic[64];
    enemy_topic(what, topic);
    tern_time now = sim_world_now(nodes.world);
    tern_err err = tern_gossip_service_publish(tern_host_core_gossip(enemy.core), now,
                                               tern_view_str(topic), bytes);
    enemy.said += err == TERN_OK;
    struct tern_host_event event;
    while (tern_host_core_next(enemy.core, &event)) {
    }
    tern_host_core_flush(enemy.core, now);
    sim_world_kick(nodes.world, number);
}

static void floods_of_nonsense_do_no_harm(void **unused)
{
    (void)unused;
    static const struct sim_node_ops ops = {.start = enemy_start, .stop = enemy_stop};
    uint8_t seed[32] = {77};
    tern_private_key_of_ed25519_seed(seed, &enemy.key);
    tern_random_init_u64(&enemy.random, 11);
    begin(11, 6);
    uint32_t number = sim_world_add(nodes.world, &(struct sim_node_options){.ops = &ops});
    assert_int_equal(sim_world_start(nodes.world, number), TERN_OK);
    sim_nodes_run_for(&nodes, 5 * TERN_SECOND);
    /* Thousands of replays and of transactions that nobody can pay, in one go: no harm, and no
     * blame, for they might be an honest node's that is behind. */
    for (unsigned i = 0; i < 3000; i++) {
        struct world_tx tx =
            world_transfer(&nodes.chain, i % WORLD_ACCOUNTS, 1, 63, UINT64_C(1) << 61);
        tx.bytes[60] ^= (uint8_t)i;
        tx.bytes[61] ^= (uint8_t)(i >> 8);
        enemy_say(number, "/txs/1", tern_view_of(tx.bytes, tx.size));
    }
    must_agree_higher(TERN_MINUTE);
    assert_true(sim_nodes_fault(&nodes, 5, TERN_FAULT_CHAIN_TX_BALANCE) > 500);
    /* What no honest node says is held against it: by name. */
    struct world_tx forged = world_transfer(&nodes.chain, 0, 1, 0, 5);
    forged.bytes[forged.size - 1] ^= 1;
    enemy_say(number, "/txs/1", tern_view_of(forged.bytes, forged.size));
    enemy_say(number, "/txs/1", tern_view_str("not a transaction"));
    enemy_say(number, "/blocks/1", tern_view_str("not a block"));
    sim_nodes_run_for(&nodes, 2 * TERN_SECOND);
    assert_true(sim_nodes_fault(&nodes, 5, TERN_FAULT_CHAIN_TX_SIGNATURE) > 0);
    assert_true(sim_nodes_fault(&nodes, 5, TERN_FAULT_CHAIN_TX_MALFORMED) > 0);
    assert_true(sim_nodes_fault(&nodes, 5, TERN_FAULT_CHAIN_BLOCK_MALFORMED) > 0);
    /* It does not reach the others: what is not valid is not passed on. */
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(sim_nodes_fault(&nodes, i, TERN_FAULT_CHAIN_TX_SIGNATURE), 0);
    assert_true(enemy.said > 100);
    must_agree_higher(TERN_MINUTE);
    end();
}

/* --- whatever the seed draws --- */

static void draw_fault(struct tern_random *random)
{
    uint32_t a = (uint32_t)tern_random_below(random, nodes.options.count);
    uint32_t b = (uint32_t)tern_random_below(random, nodes.options.count);
    switch (tern_random_below(random, 7)) {
    case 0:
        if (sim_world_is_up(nodes.world, a))
            sim_nodes_crash(&nodes, a,
                            tern_random_chance(random, 1, 2) ? SIM_CRASH_HOST : SIM_CRASH_PROCESS);
        break;
    case 1:
        if (!sim_world_is_up(nodes.world, a))
            sim_nodes_start(&nodes, a);
        break;
    case 2:
        if (a != b)
            sim_world_cut(nodes.world, a, b);
        break;
    case 3:
        sim_world_set_group(nodes.world, a, (uint32_t)tern_random_below(random, 2));
        break;
    case 4:
        sim_world_heal_all(nodes.world);
        break;
    case 5:
        sim_world_set_skew(nodes.world, a,
                           (int64_t)tern_random_below(random, 4 * TERN_SECOND) -
                               (int64_t)(2 * TERN_SECOND));
        break;
    default:
        if (a != b)
            (void)sim_world_reset_links(nodes.world, a, b);
        break;
    }
}

static uint64_t run_faults(uint64_t seed)
{
    struct tern_random random;
    tern_random_init_u64(&random, seed);
    sim_nodes_init(&nodes, &(struct sim_nodes_options){.seed = seed, .count = 7});
    sim_nodes_start_all(&nodes);
    for (unsigned round = 0; round < 40; round++) {
        sim_nodes_run_for(&nodes, tern_random_below(&random, 3 * TERN_SECOND));
        draw_fault(&random);
        uint32_t who = (uint32_t)tern_random_below(&random, 7);
        if (nodes.nodes[who].core != NULL && nodes.nodes[who].ready)
            (void)sim_nodes_pay(&nodes, who, tern_random_below(&random, WORLD_ACCOUNTS));
        sim_nodes_check(&nodes);
    }
    /* From now on all is well: everybody comes back, and they must agree. */
    sim_world_heal_all(nodes.world);
    for (uint32_t i = 0; i < 7; i++) {
        sim_world_set_skew(nodes.world, i, 0);
        if (!sim_world_is_up(nodes.world, i))
            sim_nodes_start(&nodes, i);
    }
    sim_nodes_run_for(&nodes, 30 * TERN_SECOND);
    must_agree_higher(5 * TERN_MINUTE);
    uint64_t hash = sim_world_trace_hash(nodes.world);
    end();
    return hash;
}

static void whatever_happened_a_healed_network_agrees(void **unused)
{
    (void)unused;
    const char *text = getenv("TERN_SEED");
    uint64_t first = text == NULL ? 1 : strtoull(text, NULL, 10);
    uint64_t count = text == NULL ? 12 : 1;
    for (uint64_t seed = first; seed < first + count; seed++) {
        print_message("again: TERN_SEED=%llu test_sim_nodes\n", (unsigned long long)seed);
        (void)run_faults(seed);
    }
}

static void seeds_that_once_found_something_stay_well(void **unused)
{
    (void)unused;
    /* A stream was opened in the place of one whose time-out had not been told yet. */
    static const uint64_t seeds[] = {160, 355, 368};
    for (size_t i = 0; i < TERN_COUNT_OF(seeds); i++)
        (void)run_faults(seeds[i]);
}

static void a_seed_gives_the_same_run_again(void **unused)
{
    (void)unused;
    uint64_t hash = run_faults(3);
    assert_true(hash == run_faults(3));
    assert_true(hash != run_faults(4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(authorities_and_followers_make_one_chain),
        cmocka_unit_test(energy_is_traded_at_one_price_everywhere),
        cmocka_unit_test(who_comes_late_catches_up),
        cmocka_unit_test(who_crashed_comes_back_with_its_chain),
        cmocka_unit_test(both_halves_of_a_partition_agree_afterwards),
        cmocka_unit_test(a_clock_that_is_wrong_stops_nobody_else),
        cmocka_unit_test(chains_are_validated_here_and_there),
        cmocka_unit_test(a_store_that_fails_stops_one_node_only),
        cmocka_unit_test(floods_of_nonsense_do_no_harm),
        cmocka_unit_test(whatever_happened_a_healed_network_agrees),
        cmocka_unit_test(seeds_that_once_found_something_stay_well),
        cmocka_unit_test(a_seed_gives_the_same_run_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
