/* The state, its journal, diffs, its tree and the ordered set: against simple models, on random
 * scripts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "chain/state.h"
#include "crypto/sha256.h"

enum { MODEL_KEYS = 48 };

/* The model: key i is a letter of an ordered or unordered space and i; its value is a number, 0:
 * none. */
struct model {
    uint32_t values[MODEL_KEYS];
};

static struct tern_view model_key(size_t i, uint8_t bytes[3])
{
    bytes[0] = i % 3 == 0 ? 'b' : 'a';
    bytes[1] = (uint8_t)(i * 37 % 251);
    bytes[2] = (uint8_t)i;
    return tern_view_of(bytes, 3);
}

static struct tern_view model_value(uint32_t value, uint8_t bytes[4])
{
    struct tern_writer w = tern_writer_of(bytes, 4);
    tern_writer_u32le(&w, value);
    return tern_view_of(bytes, 1 + value % 4);
}

/* The root by definition: recursion over sorted paths written as a walk over all prefixes, from the
 * deepest up. */
static void model_root(const struct model *model, struct tern_hash *root)
{
    struct leaf {
        struct tern_hash path;
        struct tern_hash hash;
    } leaves[MODEL_KEYS];
    size_t count = 0;
    for (size_t i = 0; i < MODEL_KEYS; i++) {
        if (model->values[i] == 0)
            continue;
        uint8_t key[3];
        uint8_t value[4];
        uint8_t bytes[65] = {0};
        tern_sha256(model_key(i, key), leaves[count].path.bytes);
        memcpy(bytes + 1, leaves[count].path.bytes, 32);
        tern_sha256(model_value(model->values[i], value), bytes + 33);
        tern_sha256(tern_view_of(bytes, 65), leaves[count].hash.bytes);
        count++;
    }
    /* Level by level: a node stands for all leaves that share its first `depth` bits. Single leaves
     * stay as they are; where only one half is there and it is no single leaf, the other half is
     * zero. */
    struct node {
        struct tern_hash path;
        struct tern_hash hash;
        bool leaf;
    } nodes[MODEL_KEYS];
    for (size_t i = 0; i < count; i++)
        nodes[i] = (struct node){leaves[i].path, leaves[i].hash, true};
    for (unsigned depth = 256; depth > 0; depth--) {
        unsigned bit = depth - 1;
        struct node merged[MODEL_KEYS];
        size_t merged_count = 0;
        bool done[MODEL_KEYS] = {false};
        for (size_t i = 0; i < count; i++) {
            if (done[i])
                continue;
            size_t twin = SIZE_MAX;
            for (size_t j = i + 1; j < count; j++) {
                bool same = memcmp(nodes[i].path.bytes, nodes[j].path.bytes, bit / 8) == 0;
                uint8_t mask = (uint8_t)(0xff00 >> bit % 8);
                same = same &&
                       ((nodes[i].path.bytes[bit / 8] ^ nodes[j].path.bytes[bit / 8]) & mask) == 0;
                if (same)
                    twin = j;
            }
            unsigned side = (nodes[i].path.bytes[bit / 8] >> (7 - bit % 8)) & 1;
            struct node out = nodes[i];
            struct tern_hash zero = {{0}};
            if (twin != SIZE_MAX || !nodes[i].leaf) {
                const struct tern_hash *other = twin == SIZE_MAX ? &zero : &nodes[twin].hash;
                uint8_t bytes[65] = {1};
                memcpy(bytes + 1, side == 0 ? nodes[i].hash.bytes : other->bytes, 32);
                memcpy(bytes + 33, side == 0 ? other->bytes : nodes[i].hash.bytes, 32);
                tern_sha256(tern_view_of(bytes, 65), out.hash.bytes);
                out.leaf = false;
            }
            if (twin != SIZE_MAX)
                done[twin] = true;
            merged[merged_count++] = out;
        }
        memcpy(nodes, merged, merged_count * sizeof nodes[0]);
        count = merged_count;
    }
    memset(root, 0, sizeof *root);
    if (count > 0)
        *root = nodes[0].hash;
}

static void check_same(struct tern_state *state, const struct model *model)
{
    size_t count = 0;
    for (size_t i = 0; i < MODEL_KEYS; i++) {
        uint8_t key[3];
        uint8_t value[4];
        struct tern_view got;
        bool there = tern_state_get(state, model_key(i, key), &got);
        assert_int_equal(there, model->values[i] != 0);
        if (there)
            assert_true(tern_view_equal(got, model_value(model->values[i], value)));
        count += there;
    }
    assert_int_equal(count, tern_state_rows_count(state));
    struct tern_hash expected;
    struct tern_hash root;
    model_root(model, &expected);
    tern_state_root(state, &root);
    assert_memory_equal(root.bytes, expected.bytes, sizeof root.bytes);
}

static tern_err change_one(struct tern_state *state, struct model *model,
                           struct tern_random *random)
{
    size_t i = tern_random_below(random, MODEL_KEYS);
    uint8_t key[3];
    uint8_t value[4];
    if (model->values[i] != 0 && tern_random_chance(random, 1, 2)) {
        TERN_TRY(tern_state_delete(state, model_key(i, key)));
        model->values[i] = 0;
        return TERN_OK;
    }
    uint32_t number = 1 + (uint32_t)tern_random_below(random, 1000);
    TERN_TRY(tern_state_put(state, model_key(i, key), model_value(number, value)));
    model->values[i] = number;
    return TERN_OK;
}

static void random_changes_keep_rows_and_root_as_the_model(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct tern_mem mem;
        struct tern_random random;
        struct tern_state state;
        struct model model = {{0}};
        tern_mem_init(&mem, 0);
        tern_random_init_u64(&random, seed);
        tern_state_init(&state, &mem, (const uint64_t[2]){seed, 1});
        for (unsigned round = 0; round < 60; round++) {
            struct model before = model;
            size_t mark = tern_state_mark(&state);
            uint64_t changes = tern_random_below(&random, 20);
            for (uint64_t i = 0; i < changes; i++)
                assert_int_equal(change_one(&state, &model, &random), TERN_OK);
            if (tern_random_chance(&random, 1, 2))
                check_same(&state, &model);
            if (tern_random_chance(&random, 1, 3)) {
                tern_state_rollback(&state, mark);
                model = before;
                check_same(&state, &model);
            }
            if (tern_random_chance(&random, 1, 4))
                tern_state_commit(&state);
        }
        tern_state_fini(&state);
        assert_int_equal(mem.used, 0);
    }
}

static void a_diff_undoes_and_survives_its_encoding(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct tern_mem mem;
        struct tern_random random;
        struct tern_state state;
        struct model model = {{0}};
        tern_mem_init(&mem, 0);
        tern_random_init_u64(&random, seed);
        tern_state_init(&state, &mem, (const uint64_t[2]){seed, 1});
        for (unsigned i = 0; i < 30; i++)
            assert_int_equal(change_one(&state, &model, &random), TERN_OK);
        tern_state_commit(&state);
        struct model before = model;
        size_t mark = tern_state_mark(&state);
        for (unsigned i = 0; i < 40; i++)
            assert_int_equal(change_one(&state, &model, &random), TERN_OK);
        struct tern_state_diff diff;
        assert_int_equal(tern_state_diff(&state, mark, &diff), TERN_OK);
        size_t changed = 0;
        for (size_t i = 0; i < MODEL_KEYS; i++)
            changed += model.values[i] != before.values[i];
        assert_int_equal(diff.count, changed);
        uint8_t bytes[8192];
        struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
        tern_state_diff_encode(&diff, &w);
        assert_true(tern_writer_ok(&w));
        assert_int_equal(w.size, tern_state_diff_size(&diff));
        struct tern_state_diff copy;
        assert_int_equal(tern_state_diff_decode(tern_writer_view(&w), &mem, &copy), TERN_OK);
        for (size_t cut = 0; cut < w.size; cut++) {
            struct tern_state_diff broken;
            assert_int_equal(tern_state_diff_decode(tern_view_of(bytes, cut), &mem, &broken),
                             TERN_ERR_CORRUPT);
        }
        tern_state_commit(&state);
        assert_int_equal(tern_state_undo(&state, &copy), TERN_OK);
        check_same(&state, &before);
        tern_state_diff_fini(&diff);
        tern_state_diff_fini(&copy);
        tern_state_fini(&state);
        assert_int_equal(mem.used, 0);
    }
}

static void each_failed_allocation_leaves_the_state_as_it_was(void **unused)
{
    (void)unused;
    bool failed = true;
    for (uint64_t n = 1; failed; n++) {
        struct tern_mem mem;
        struct tern_random random;
        struct tern_state state;
        struct model model = {{0}};
        tern_mem_init(&mem, 0);
        tern_random_init_u64(&random, 7);
        tern_state_init(&state, &mem, (const uint64_t[2]){7, 1});
        for (unsigned i = 0; i < 20; i++)
            assert_int_equal(change_one(&state, &model, &random), TERN_OK);
        tern_state_commit(&state);
        struct model before = model;
        tern_mem_fail_at(&mem, n, false);
        size_t mark = tern_state_mark(&state);
        tern_err err = TERN_OK;
        for (unsigned i = 0; i < 120 && err == TERN_OK; i++)
            err = change_one(&state, &model, &random);
        struct tern_state_diff diff = {.mem = &mem};
        if (err == TERN_OK)
            err = tern_state_diff(&state, mark, &diff);
        failed = err != TERN_OK;
        if (failed) {
            assert_int_equal(err, TERN_ERR_MEMORY);
            tern_state_rollback(&state, mark);
            check_same(&state, &before);
        }
        tern_state_diff_fini(&diff);
        tern_state_fini(&state);
        assert_int_equal(mem.used, 0);
    }
}

static void seeking_walks_ordered_rows_in_key_order(void **unused)
{
    (void)unused;
    struct tern_mem mem;
    struct tern_random random;
    struct tern_state state;
    struct model model = {{0}};
    tern_mem_init(&mem, 0);
    tern_random_init_u64(&random, 3);
    tern_state_init(&state, &mem, (const uint64_t[2]){3, 1});
    for (unsigned i = 0; i < 500; i++)
        assert_int_equal(change_one(&state, &model, &random), TERN_OK);
    size_t ordered = 0;
    for (size_t i = 0; i < MODEL_KEYS; i++)
        ordered += i % 3 == 0 && model.values[i] != 0;
    const struct tern_state_row *row = tern_state_seek(&state, tern_view_str("b"));
    const struct tern_state_row *last = NULL;
    while (row != NULL) {
        if (last != NULL)
            assert_true(tern_view_compare(tern_state_row_key(last), tern_state_row_key(row)) < 0);
        last = row;
        ordered--;
        row = tern_state_next(row);
    }
    assert_int_equal(ordered, 0);
    tern_state_fini(&state);
    assert_int_equal(mem.used, 0);
}

static void proofs_hold_for_what_is_and_what_is_not(void **unused)
{
    (void)unused;
    struct tern_mem mem;
    struct tern_random random;
    struct tern_state state;
    struct model model = {{0}};
    tern_mem_init(&mem, 0);
    tern_random_init_u64(&random, 5);
    tern_state_init(&state, &mem, (const uint64_t[2]){5, 1});
    for (unsigned round = 0; round < 30; round++) {
        assert_int_equal(change_one(&state, &model, &random), TERN_OK);
        struct tern_hash root;
        tern_state_root(&state, &root);
        for (size_t i = 0; i < MODEL_KEYS; i++) {
            uint8_t key[3];
            uint8_t value[4];
            struct tern_smt_proof proof;
            struct tern_view k = model_key(i, key);
            struct tern_view right = model_value(model.values[i], value);
            struct tern_view wrong = tern_view_str("wrong");
            bool is_there = model.values[i] != 0;
            tern_smt_prove(&state.smt, k, &proof);
            assert_int_equal(tern_smt_verify(&proof, &root, k, &right), is_there);
            assert_int_equal(tern_smt_verify(&proof, &root, k, NULL), !is_there);
            assert_false(tern_smt_verify(&proof, &root, k, &wrong));
            if (proof.siblings_count > 0) {
                proof.siblings[proof.siblings_count / 2].bytes[3] ^= 1;
                assert_false(tern_smt_verify(&proof, &root, k, is_there ? &right : NULL));
            }
        }
    }
    tern_state_fini(&state);
    assert_int_equal(mem.used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_changes_keep_rows_and_root_as_the_model),
        cmocka_unit_test(a_diff_undoes_and_survives_its_encoding),
        cmocka_unit_test(each_failed_allocation_leaves_the_state_as_it_was),
        cmocka_unit_test(seeking_walks_ordered_rows_in_key_order),
        cmocka_unit_test(proofs_hold_for_what_is_and_what_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
