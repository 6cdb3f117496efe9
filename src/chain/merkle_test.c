/* Lists, keys and numbers that everything stands on: Merkle trees, the genesis, the authority's
 * turns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "chain/merkle.h"
#include "chain/ordered.h"
#include "chain/sort.h"
#include "chain/test_world.h"

static void check_hex(const struct tern_hash *hash, const char *hex)
{
    char text[2 * TERN_HASH_SIZE + 1];
    struct tern_writer w = tern_writer_of(text, sizeof text);
    tern_writer_hex(&w, tern_hash_view(hash));
    assert_true(tern_writer_terminate(&w));
    assert_string_equal(text, hex);
}

/* The test tree of certificate transparency: eight leaves, known roots (RFC 6962 reference code).
 */
static const struct {
    const char *data;
    size_t size;
} merkle_leaves[] = {
    {"", 0},
    {"\x00", 1},
    {"\x10", 1},
    {"\x20\x21", 2},
    {"\x30\x31", 2},
    {"\x40\x41\x42\x43", 4},
    {"\x50\x51\x52\x53\x54\x55\x56\x57", 8},
    {"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f", 16},
};

static const char *merkle_roots[] = {
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
};

static void roots_are_those_of_rfc_6962(void **unused)
{
    (void)unused;
    struct tern_hash leaves[8];
    for (size_t count = 0; count <= 8; count++) {
        struct tern_hash root;
        tern_merkle_root_of(leaves, count, &root);
        check_hex(&root, merkle_roots[count]);
        if (count < 8)
            tern_merkle_leaf(tern_view_of(merkle_leaves[count].data, merkle_leaves[count].size),
                             &leaves[count]);
    }
}

static void each_leaf_is_proven_and_no_other(void **unused)
{
    (void)unused;
    struct tern_hash leaves[70];
    for (uint8_t i = 0; i < 70; i++)
        tern_merkle_leaf(tern_view_of(&i, 1), &leaves[i]);
    for (uint32_t count = 1; count <= 70; count++) {
        struct tern_hash root;
        tern_merkle_root_of(leaves, count, &root);
        for (uint32_t i = 0; i < count; i++) {
            struct tern_merkle_proof proof;
            tern_merkle_prove(leaves, count, i, &proof);
            assert_true(tern_merkle_verify(&proof, &leaves[i], &root));
            assert_false(tern_merkle_verify(&proof, &leaves[(i + 1) % 70], &root));
            struct tern_merkle_proof wrong = proof;
            wrong.index = (i + 1) % count;
            if (count > 1)
                assert_false(tern_merkle_verify(&wrong, &leaves[i], &root));
            wrong = proof;
            wrong.leaves_count = i; /* an index past the end */
            assert_false(tern_merkle_verify(&wrong, &leaves[i], &root));
            wrong = proof;
            wrong.path_count = UINT32_MAX;
            assert_false(tern_merkle_verify(&wrong, &leaves[i], &root));
            if (proof.path_count > 0) {
                wrong = proof;
                wrong.path[0].bytes[0] ^= 1;
                assert_false(tern_merkle_verify(&wrong, &leaves[i], &root));
                wrong = proof;
                wrong.path_count--;
                assert_false(tern_merkle_verify(&wrong, &leaves[i], &root));
            }
        }
    }
}

struct element {
    struct tern_ordered_node node;
    uint8_t key[4];
    bool in;
};

static void the_ordered_set_agrees_with_a_list(void **unused)
{
    (void)unused;
    enum { COUNT = 300 };
    static struct element elements[COUNT];
    struct tern_ordered set;
    struct tern_random random;
    tern_random_init_u64(&random, 4);
    tern_ordered_init(&set, (const uint64_t[2]){1, 2});
    for (uint32_t i = 0; i < COUNT; i++) {
        struct tern_writer w = tern_writer_of(elements[i].key, 4);
        tern_writer_u32be(&w, i * 3); /* in ascending order, the worst for a plain tree */
    }
    for (unsigned round = 0; round < 4000; round++) {
        struct element *e = &elements[tern_random_below(&random, COUNT)];
        if (e->in)
            tern_ordered_remove(&set, &e->node);
        else
            tern_ordered_insert(&set, &e->node, tern_view_of(e->key, 4));
        e->in = !e->in;
        size_t i = tern_random_below(&random, COUNT);
        size_t at = i;
        while (at < COUNT && !elements[at].in)
            at++;
        struct tern_ordered_node *found = tern_ordered_seek(&set, tern_view_of(elements[i].key, 4));
        assert_ptr_equal(found, at == COUNT ? NULL : &elements[at].node);
        if (found != NULL) {
            for (at++; at < COUNT && !elements[at].in;)
                at++;
            assert_ptr_equal(tern_ordered_next(found), at == COUNT ? NULL : &elements[at].node);
        }
    }
    size_t first = 0;
    size_t last = COUNT - 1;
    while (!elements[first].in)
        first++;
    while (!elements[last].in)
        last--;
    assert_ptr_equal(tern_ordered_first(&set), &elements[first].node);
    assert_ptr_equal(tern_ordered_last(&set), &elements[last].node);
}

static int compare_u16(const void *a, const void *b)
{
    uint16_t x = *(const uint16_t *)a;
    uint16_t y = *(const uint16_t *)b;
    return (x > y) - (x < y);
}

static void sorting_sorts(void **unused)
{
    (void)unused;
    struct tern_random random;
    tern_random_init_u64(&random, 4);
    for (size_t count = 0; count < 200; count++) {
        uint16_t values[200];
        uint64_t sum = 0;
        for (size_t i = 0; i < count; i++) {
            values[i] = (uint16_t)tern_random_below(&random, 100);
            sum += values[i] * (uint64_t)values[i];
        }
        tern_sort(values, count, sizeof values[0], compare_u16);
        for (size_t i = 0; i < count; i++) {
            sum -= values[i] * (uint64_t)values[i];
            assert_true(i == 0 || values[i - 1] <= values[i]);
        }
        assert_int_equal(sum, 0);
    }
}

static void every_field_of_the_genesis_is_in_its_hash(void **unused)
{
    (void)unused;
    struct world world;
    struct tern_hash hash;
    world_init(&world);
    struct tern_hash before = world.genesis_hash;
    struct tern_genesis genesis = world.genesis;
    tern_genesis_hash(&genesis, &hash);
    assert_memory_equal(hash.bytes, before.bytes, 32);
    tern_time_ms *times[] = {&genesis.time_ms, &genesis.fee_min, &genesis.accounts[3].balance,
                             &genesis.devices[2].capacity_wh};
    for (size_t i = 0; i < TERN_COUNT_OF(times); i++) {
        (*times[i])++;
        tern_genesis_hash(&genesis, &hash);
        assert_memory_not_equal(hash.bytes, before.bytes, 32);
        (*times[i])--;
    }
    uint32_t *numbers[] = {&genesis.period_ms, &genesis.drift_ms};
    for (size_t i = 0; i < TERN_COUNT_OF(numbers); i++) {
        (*numbers[i])++;
        tern_genesis_hash(&genesis, &hash);
        assert_memory_not_equal(hash.bytes, before.bytes, 32);
        (*numbers[i])--;
    }
    uint8_t *bytes[] = {&world.authorities[1].bytes[7], &genesis.accounts[1].key.bytes[7],
                        &genesis.devices[1].key.bytes[7], &genesis.devices[1].owner.bytes[7]};
    for (size_t i = 0; i < TERN_COUNT_OF(bytes); i++) {
        *bytes[i] ^= 1;
        tern_genesis_hash(&genesis, &hash);
        assert_memory_not_equal(hash.bytes, before.bytes, 32);
        *bytes[i] ^= 1;
    }
    genesis.name = tern_view_str("test-grie");
    tern_genesis_hash(&genesis, &hash);
    assert_memory_not_equal(hash.bytes, before.bytes, 32);
}

static void a_genesis_that_cannot_start_a_chain_is_refused(void **unused)
{
    (void)unused;
    for (unsigned i = 0; i < 15; i++) {
        struct world world;
        world_init(&world);
        struct tern_genesis *g = &world.genesis;
        switch (i) {
        case 0:
            assert_null(tern_genesis_check(g));
            continue;
        case 1:
            g->name = tern_view_str("");
            break;
        case 2:
            g->name = tern_view_str("has space");
            break;
        case 3:
            g->name = tern_view_str("a-name-that-is-longer-than-32-chars");
            break;
        case 4:
            g->period_ms = TERN_PERIOD_MS_MIN - 1;
            break;
        case 5:
            g->period_ms = TERN_PERIOD_MS_MAX + 1;
            break;
        case 6:
            g->drift_ms = TERN_DRIFT_MS_MAX + 1;
            break;
        case 7:
            g->authorities_count = 0;
            break;
        case 8:
            world.authorities[1] = world.authorities[0];
            break;
        case 9:
            g->accounts[1] = g->accounts[0];
            break;
        case 10:
            g->accounts[0].balance = TERN_SUPPLY_MAX;
            break;
        case 11:
            g->devices[0].capacity_wh = 0;
            break;
        case 12:
            g->devices[0].capacity_wh = TERN_ORDER_WH_MAX + 1;
            break;
        case 13:
            g->time_ms = UINT64_MAX;
            break;
        default:
            g->devices[1] = g->devices[0];
            break;
        }
        if (tern_genesis_check(g) == NULL)
            fail_msg("case %u", i);
    }
}

static void a_block_is_confirmed_when_most_authorities_have_built_on_it(void **unused)
{
    (void)unused;
    struct world world;
    struct tern_authority authority;
    world_init(&world);
    tern_authority_init(&authority, &world.genesis, NULL);
    struct tern_engine engine = tern_authority_engine(&authority);
    /* Blocks by authorities 1, 1, 2, 2, 3: the third distinct one comes at height 5 and confirms 2;
     * the newest block counts itself. */
    static const size_t by[] = {1, 1, 2, 2, 3};
    struct tern_header headers[TERN_COUNT_OF(by)];
    const struct tern_header *recent[TERN_COUNT_OF(by)];
    tern_time_ms time = WORLD_TIME_MS;
    uint64_t confirmed = 0;
    for (size_t i = 0; i < TERN_COUNT_OF(by); i++) {
        time = world_turn(time, by[i]);
        headers[i] = (struct tern_header){.height = i + 1, .time_ms = time};
        for (size_t j = 0; j <= i; j++)
            recent[j] = &headers[i - j];
        struct tern_engine_in in = {
            .kind = TERN_ENGINE_HEAD, .recent = recent, .recent_count = i + 1};
        struct tern_clock clock = {1, time * TERN_MILLISECOND};
        assert_int_equal(engine.ops->step(engine.self, &clock, &in), TERN_OK);
        struct tern_engine_out out;
        while (engine.ops->next(engine.self, &out)) {
            assert_int_equal(out.kind, TERN_ENGINE_CONFIRMED);
            confirmed = out.height;
        }
        assert_int_equal(confirmed, i < 4 ? 0 : 2);
    }
    assert_int_equal(engine.ops->deadline(engine.self, &(struct tern_clock){1, TERN_SECOND}),
                     TERN_TIME_NEVER);
}

static void an_engine_without_messages_blames_who_sends_one(void **unused)
{
    (void)unused;
    struct world world;
    struct tern_authority authority;
    world_init(&world);
    tern_authority_init(&authority, &world.genesis, NULL);
    struct tern_engine engine = tern_authority_engine(&authority);
    struct tern_engine_in in = {.kind = TERN_ENGINE_MESSAGE, .source = 7};
    struct tern_engine_out out;
    assert_int_equal(engine.ops->step(engine.self, &(struct tern_clock){1, 1}, &in), TERN_OK);
    assert_true(engine.ops->next(engine.self, &out));
    assert_int_equal(out.kind, TERN_ENGINE_BLAME);
    assert_int_equal(out.source, 7);
    assert_int_equal(out.fault, TERN_FAULT_CHAIN_SYNC_MALFORMED);
    assert_false(engine.ops->next(engine.self, &out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roots_are_those_of_rfc_6962),
        cmocka_unit_test(each_leaf_is_proven_and_no_other),
        cmocka_unit_test(the_ordered_set_agrees_with_a_list),
        cmocka_unit_test(sorting_sorts),
        cmocka_unit_test(every_field_of_the_genesis_is_in_its_hash),
        cmocka_unit_test(a_genesis_that_cannot_start_a_chain_is_refused),
        cmocka_unit_test(a_block_is_confirmed_when_most_authorities_have_built_on_it),
        cmocka_unit_test(an_engine_without_messages_blames_who_sends_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
