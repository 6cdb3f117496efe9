#include "runtime/sim/store.h"

#include "base/random.h"
#include "base/reader.h"
#include "sim_fail.h"
#include "tern_test.h"

static struct tern_store_op put(uint8_t space, const char *key, const char *value)
{
    return (struct tern_store_op){.kind = TERN_STORE_PUT,
                                  .space = space,
                                  .key = tern_view_str(key),
                                  .value = tern_view_str(value)};
}

static struct tern_store_op del(uint8_t space, const char *key)
{
    return (struct tern_store_op){
        .kind = TERN_STORE_DELETE, .space = space, .key = tern_view_str(key)};
}

static tern_err write_ops(struct sim_store *store, const struct tern_store_op *ops, size_t count)
{
    struct tern_store_request request = {.kind = TERN_STORE_WRITE, .ops = ops, .ops_count = count};
    sim_store_serve(store, &request);
    return request.err;
}

static void assert_row(struct tern_reader *r, const char *key, const char *value)
{
    uint32_t key_size;
    uint32_t value_size = 0;
    struct tern_view view;
    assert_true(tern_reader_u32le(r, &key_size) && tern_reader_u32le(r, &value_size));
    assert_true(tern_reader_bytes(r, key_size, &view) && test_view_is(view, key));
    assert_true(tern_reader_bytes(r, value_size, &view) && test_view_is(view, value));
}

static void open_filled(struct sim_store *store, struct tern_mem *mem)
{
    tern_mem_init(mem, 0);
    sim_store_init(store, mem, 1);
    const struct tern_store_op ops[] = {put(1, "b", "two"), put(1, "a", "one"), put(2, "a", "x"),
                                        put(1, "bb", ""), put(0, "z", "zero")};
    assert_ok(write_ops(store, ops, TERN_COUNT_OF(ops)));
}

static void close_store(struct sim_store *store, struct tern_mem *mem)
{
    sim_store_fini(store);
    tern_mem_fini(mem);
}

static void a_scan_gives_one_space_in_key_order(void **state)
{
    (void)state;
    struct tern_mem mem;
    struct sim_store store;
    uint8_t result[256];
    open_filled(&store, &mem);
    struct tern_store_request scan = {.kind = TERN_STORE_SCAN,
                                      .space = 1,
                                      .rows_max = 10,
                                      .result = {.data = result, .size = sizeof(result)}};
    sim_store_serve(&store, &scan);
    assert_ok(scan.err);
    assert_int_equal(scan.rows_count, 3);
    assert_false(scan.more);
    struct tern_reader r = tern_reader_of(tern_view_of(result, scan.result_size));
    assert_row(&r, "a", "one");
    assert_row(&r, "b", "two");
    assert_row(&r, "bb", "");
    assert_ok(tern_reader_end(&r));
    close_store(&store, &mem);
}

static void a_scan_begins_at_its_key_and_says_whether_there_is_more(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        size_t rows_max;
        size_t room;
        tern_err err;
        size_t rows;
        bool more;
    } cases[] = {
        {"", 2, 256, TERN_OK, 2, true},           {"", 3, 256, TERN_OK, 3, false},
        {"aa", 9, 256, TERN_OK, 2, false},        {"b", 9, 256, TERN_OK, 2, false},
        {"c", 9, 256, TERN_OK, 0, false},         {"", 9, 12, TERN_OK, 1, true},
        {"", 9, 11, TERN_ERR_TOO_LARGE, 0, true}, {"c", 9, 0, TERN_OK, 0, false},
    };
    struct tern_mem mem;
    struct sim_store store;
    uint8_t result[256];
    open_filled(&store, &mem);
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        struct tern_store_request scan = {.kind = TERN_STORE_SCAN,
                                          .space = 1,
                                          .key = tern_view_str(cases[i].key),
                                          .rows_max = cases[i].rows_max,
                                          .result = {.data = result, .size = cases[i].room}};
        sim_store_serve(&store, &scan);
        assert_int_equal(scan.err, cases[i].err);
        assert_int_equal(scan.rows_count, cases[i].rows);
        assert_int_equal(scan.more, cases[i].more);
    }
    close_store(&store, &mem);
}

static void get_reads_one_row(void **state)
{
    (void)state;
    struct tern_mem mem;
    struct sim_store store;
    uint8_t result[256];
    open_filled(&store, &mem);
    struct tern_store_request get = {.kind = TERN_STORE_GET,
                                     .space = 1,
                                     .key = tern_view_str("b"),
                                     .result = {.data = result, .size = sizeof(result)}};
    sim_store_serve(&store, &get);
    assert_ok(get.err);
    struct tern_reader r = tern_reader_of(tern_view_of(result, get.result_size));
    assert_row(&r, "b", "two");
    get.space = 3;
    sim_store_serve(&store, &get);
    assert_int_equal(get.err, TERN_ERR_NOT_FOUND);
    get.space = 1;
    get.result.size = 11;
    sim_store_serve(&store, &get);
    assert_int_equal(get.err, TERN_ERR_TOO_LARGE);
    close_store(&store, &mem);
}

static void writes_replace_and_delete_in_order(void **state)
{
    (void)state;
    struct tern_mem mem;
    struct sim_store store;
    struct tern_view value;
    open_filled(&store, &mem);
    const struct tern_store_op ops[] = {del(1, "a"), put(1, "a", "new"), put(1, "b", "three"),
                                        del(1, "b"), del(1, "missing")};
    assert_ok(write_ops(&store, ops, TERN_COUNT_OF(ops)));
    assert_true(sim_store_get(&store, 1, tern_view_str("a"), &value));
    assert_true(test_view_is(value, "new"));
    assert_false(sim_store_get(&store, 1, tern_view_str("b"), &value));
    assert_int_equal(store.rows_count, 4);
    assert_ok(write_ops(&store, NULL, 0));
    close_store(&store, &mem);
}

static void keys_that_are_too_long_are_refused_whole(void **state)
{
    (void)state;
    char key[SIM_STORE_KEY_MAX + 2];
    memset(key, 'k', sizeof(key));
    key[sizeof(key) - 1] = 0;
    struct tern_mem mem;
    struct sim_store store;
    open_filled(&store, &mem);
    const struct tern_store_op ops[] = {put(9, "fine", "1"), put(9, key, "2")};
    assert_int_equal(write_ops(&store, ops, 2), TERN_ERR_INVALID);
    assert_int_equal(store.rows_count, 5);
    struct tern_store_request get = {.kind = TERN_STORE_GET, .key = tern_view_str(key)};
    sim_store_serve(&store, &get);
    assert_int_equal(get.err, TERN_ERR_INVALID);
    close_store(&store, &mem);
}

static void a_bit_of_a_value_can_be_flipped(void **state)
{
    (void)state;
    struct tern_mem mem;
    struct sim_store store;
    struct tern_view value;
    open_filled(&store, &mem);
    assert_true(sim_store_corrupt(&store, 1, tern_view_str("a"), 24 + 8));
    assert_true(sim_store_get(&store, 1, tern_view_str("a"), &value));
    assert_memory_equal(value.data, "ooe", 3);
    assert_false(sim_store_corrupt(&store, 1, tern_view_str("bb"), 0));
    assert_false(sim_store_corrupt(&store, 7, tern_view_str("a"), 0));
    close_store(&store, &mem);
}

/* The slow and obvious store: an array with a value for each of a few keys. */
static void it_agrees_with_an_array(void **state)
{
    (void)state;
    enum { KEYS = 500, STEPS = 20000 };
    static uint32_t model[KEYS];
    struct tern_mem mem;
    struct sim_store store;
    struct tern_random random;
    tern_mem_init(&mem, 0);
    sim_store_init(&store, &mem, 5);
    tern_random_init_u64(&random, 5);
    size_t rows = 0;
    memset(model, 0, sizeof(model));
    for (uint32_t step = 1; step <= STEPS; step++) {
        size_t i = tern_random_below(&random, KEYS);
        uint8_t key[2] = {(uint8_t)(i >> 8), (uint8_t)i};
        struct tern_store_op op = {.kind = TERN_STORE_DELETE, .key = tern_view_of(key, 2)};
        rows -= model[i] != 0;
        model[i] = 0;
        if (tern_random_chance(&random, 2, 3)) {
            model[i] = step;
            op.kind = TERN_STORE_PUT;
            op.value = tern_view_of(&step, sizeof(step));
            rows++;
        }
        assert_ok(write_ops(&store, &op, 1));
        assert_int_equal(store.rows_count, rows);
    }
    for (size_t i = 0; i < KEYS; i++) {
        uint8_t key[2] = {(uint8_t)(i >> 8), (uint8_t)i};
        struct tern_view value;
        assert_int_equal(sim_store_get(&store, 0, tern_view_of(key, 2), &value), model[i] != 0);
        if (model[i] != 0)
            assert_memory_equal(value.data, &model[i], sizeof(model[i]));
    }
    close_store(&store, &mem);
}

static tern_err write_without_memory(void *context, struct tern_mem *mem, struct tern_scope *root)
{
    (void)context;
    (void)root;
    struct sim_store store;
    sim_store_init(&store, mem, 1);
    const struct tern_store_op first[] = {put(1, "a", "one"), put(1, "b", "two")};
    const struct tern_store_op second[] = {put(1, "a", "new"), del(1, "b"), put(1, "c", "three")};
    tern_err err = write_ops(&store, first, 2);
    if (err == TERN_OK) {
        struct tern_view value;
        err = write_ops(&store, second, 3);
        assert_true(sim_store_get(&store, 1, tern_view_str("a"), &value));
        assert_true(test_view_is(value, err == TERN_OK ? "new" : "one"));
        assert_int_equal(sim_store_get(&store, 1, tern_view_str("b"), &value), err != TERN_OK);
        assert_int_equal(sim_store_get(&store, 1, tern_view_str("c"), &value), err == TERN_OK);
    }
    sim_store_fini(&store);
    return err;
}

static void a_write_is_all_or_nothing_without_memory(void **state)
{
    (void)state;
    assert_int_equal(sim_fail_each(write_without_memory, NULL), 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scan_gives_one_space_in_key_order),
        cmocka_unit_test(a_scan_begins_at_its_key_and_says_whether_there_is_more),
        cmocka_unit_test(get_reads_one_row),
        cmocka_unit_test(writes_replace_and_delete_in_order),
        cmocka_unit_test(keys_that_are_too_long_are_refused_whole),
        cmocka_unit_test(a_bit_of_a_value_can_be_flipped),
        cmocka_unit_test(it_agrees_with_an_array),
        cmocka_unit_test(a_write_is_all_or_nothing_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
