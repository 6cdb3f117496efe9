/* The set of what was seen, against a model that is slow and plain. */
#include "tern_test.h"

#include "protocol/gossip/seen.h"

enum { MODEL_MAX = 64, STEPS = 200000 };

struct model {
    uint64_t hash[MODEL_MAX];
    tern_time expires[MODEL_MAX];
    size_t count;
};

static bool model_has(const struct model *m, uint64_t hash)
{
    for (size_t i = 0; i < m->count; i++)
        if (m->hash[i] == hash)
            return true;
    return false;
}

static void model_drop_oldest(struct model *m)
{
    m->count--;
    memmove(m->hash, m->hash + 1, m->count * sizeof m->hash[0]);
    memmove(m->expires, m->expires + 1, m->count * sizeof m->expires[0]);
}

static bool model_add(struct model *m, uint64_t hash, tern_time expires)
{
    if (model_has(m, hash))
        return false;
    if (m->count == MODEL_MAX)
        model_drop_oldest(m);
    m->hash[m->count] = hash;
    m->expires[m->count++] = expires;
    return true;
}

/* Few distinct hashes with few distinct homes, so that runs in the table are long, wrap around its
 * end and are torn apart in every way. */
static uint64_t crowded_hash(struct tern_random *random)
{
    uint64_t home = tern_random_below(random, 4) * 42 + 124;
    return home % 128 + 128 * (1 + tern_random_below(random, 40));
}

static void it_behaves_as_the_model(void **state)
{
    struct gossip_seen seen;
    struct tern_mem mem;
    struct tern_random random;
    struct model model = {.count = 0};
    tern_time now = TERN_HOUR;
    (void)state;
    tern_mem_init(&mem, 0);
    tern_random_init_u64(&random, 3);
    assert_ok(gossip_seen_init(&seen, &mem, &random, MODEL_MAX, 1000));
    for (int i = 0; i < STEPS; i++) {
        uint64_t hash = crowded_hash(&random);
        if (tern_random_below(&random, 3) == 0)
            assert_int_equal(gossip_seen_has(&seen, hash), model_has(&model, hash));
        else
            assert_int_equal(gossip_seen_add(&seen, now, hash),
                             model_add(&model, hash, now + 1000));
        now += tern_random_below(&random, 40);
        if (tern_random_below(&random, 10) == 0) {
            gossip_seen_expire(&seen, now);
            while (model.count > 0 && model.expires[0] <= now)
                model_drop_oldest(&model);
        }
        assert_int_equal(seen.count, model.count);
    }
    gossip_seen_fini(&seen);
    tern_mem_fini(&mem);
}

static void what_was_seen_is_forgotten_in_time(void **state)
{
    struct gossip_seen seen;
    struct tern_mem mem;
    struct tern_random random;
    (void)state;
    tern_mem_init(&mem, 0);
    tern_random_init_u64(&random, 1);
    assert_ok(gossip_seen_init(&seen, &mem, &random, 100, TERN_MINUTE));
    uint64_t hash = gossip_seen_hash(&seen, tern_view_str("id"));
    assert_true(gossip_seen_add(&seen, TERN_HOUR, hash));
    assert_false(gossip_seen_add(&seen, TERN_HOUR + 1, hash)); /* which does not prolong it */
    gossip_seen_expire(&seen, TERN_HOUR + TERN_MINUTE - 1);
    assert_true(gossip_seen_has(&seen, hash));
    gossip_seen_expire(&seen, TERN_HOUR + TERN_MINUTE);
    assert_false(gossip_seen_has(&seen, hash));
    gossip_seen_fini(&seen);
    tern_mem_fini(&mem);
}

static void a_full_set_forgets_the_oldest(void **state)
{
    struct gossip_seen seen;
    struct tern_mem mem;
    struct tern_random random;
    (void)state;
    tern_mem_init(&mem, 0);
    tern_random_init_u64(&random, 1);
    assert_ok(gossip_seen_init(&seen, &mem, &random, 60, TERN_MINUTE));
    size_t used = mem.used;
    for (uint64_t i = 1; i <= 1000; i++)
        assert_true(gossip_seen_add(&seen, TERN_HOUR, i * UINT64_C(0x9e3779b97f4a7c15)));
    for (uint64_t i = 1; i <= 1000; i++)
        assert_int_equal(gossip_seen_has(&seen, i * UINT64_C(0x9e3779b97f4a7c15)), i > 1000 - 64);
    assert_int_equal(mem.used, used);
    gossip_seen_fini(&seen);
    tern_mem_fini(&mem);
}

static void hashes_are_keyed_and_never_zero(void **state)
{
    struct gossip_seen a, b;
    struct tern_mem mem;
    struct tern_random random;
    (void)state;
    tern_mem_init(&mem, 0);
    tern_random_init_u64(&random, 1);
    assert_ok(gossip_seen_init(&a, &mem, &random, 16, TERN_MINUTE));
    assert_ok(gossip_seen_init(&b, &mem, &random, 16, TERN_MINUTE));
    assert_true(gossip_seen_hash(&a, tern_view_str("x")) !=
                gossip_seen_hash(&b, tern_view_str("x")));
    assert_true(gossip_seen_hash(&a, tern_view_str("")) != 0);
    gossip_seen_fini(&a);
    gossip_seen_fini(&b);
    tern_mem_fini(&mem);
}

static void no_memory_is_said(void **state)
{
    struct gossip_seen seen;
    struct tern_mem mem;
    struct tern_random random;
    (void)state;
    tern_mem_init(&mem, 0);
    tern_random_init_u64(&random, 1);
    for (uint64_t n = 1; n <= 2; n++) {
        tern_mem_fail_at(&mem, n, false);
        assert_int_equal(gossip_seen_init(&seen, &mem, &random, 16, 1), TERN_ERR_MEMORY);
        assert_int_equal(mem.used, 0);
    }
    tern_mem_fini(&mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_behaves_as_the_model),
        cmocka_unit_test(what_was_seen_is_forgotten_in_time),
        cmocka_unit_test(a_full_set_forgets_the_oldest),
        cmocka_unit_test(hashes_are_keyed_and_never_zero),
        cmocka_unit_test(no_memory_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
