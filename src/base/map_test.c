#include "base/map.h"

#include "tern_test.h"

static void siphash_matches_its_reference_vector(void **state)
{
    (void)state;
    /* SipHash-2-4 reference implementation, key 00..0f, inputs of 0 and 8 bytes 00 01 02 … */
    const uint64_t key[2] = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
    const uint8_t input[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    assert_true(tern_siphash(key, tern_view_of(input, 0)) == UINT64_C(0x726fdb47dd0e0e31));
    assert_true(tern_siphash(key, tern_view_of(input, 8)) == UINT64_C(0x93f5f5799a932462));
}

struct item {
    struct tern_map_entry entry;
    uint32_t key;
};

static struct tern_view item_key(const struct item *item)
{
    return tern_view_of(&item->key, sizeof(item->key));
}

static void entries_are_found_in_any_number_and_listed_in_insertion_order(void **state)
{
    (void)state;
    enum { ITEMS = 1000 };
    static struct item items[ITEMS];
    struct tern_mem mem;
    struct tern_map map;
    tern_mem_init(&mem, 0);
    tern_map_init(&map, &mem, (const uint64_t[2]){1, 2});
    for (uint32_t i = 0; i < ITEMS; i++) {
        items[i].key = i * 7;
        assert_null(tern_map_find(&map, item_key(&items[i])));
        assert_int_equal(tern_map_insert(&map, &items[i].entry, item_key(&items[i])), TERN_OK);
    }
    for (uint32_t i = 0; i < ITEMS; i += 2)
        tern_map_remove(&map, &items[i].entry);
    for (uint32_t i = 0; i < ITEMS; i++) {
        struct tern_map_entry *expected = i % 2 == 0 ? NULL : &items[i].entry;
        assert_ptr_equal(tern_map_find(&map, item_key(&items[i])), expected);
    }
    assert_int_equal(tern_map_count(&map), ITEMS / 2);
    uint32_t next = 1;
    TERN_MAP_FOREACH (entry, &map) {
        assert_ptr_equal(entry, &items[next].entry);
        next += 2;
    }
    assert_int_equal(next, ITEMS + 1);
    tern_map_fini(&map);
    tern_mem_fini(&mem);
}

static void failing_growth_inserts_nothing(void **state)
{
    (void)state;
    enum { ITEMS = 9 };
    struct item items[ITEMS];
    struct tern_mem mem;
    struct tern_map map;
    tern_mem_init(&mem, 0);
    tern_map_init(&map, &mem, (const uint64_t[2]){1, 2});
    for (uint32_t i = 0; i < ITEMS; i++) {
        items[i].key = i;
        if (i == 0 || i == ITEMS - 1) { /* the table grows here */
            tern_mem_fail_at(&mem, 1, false);
            tern_err err = tern_map_insert(&map, &items[i].entry, item_key(&items[i]));
            assert_int_equal(err, TERN_ERR_MEMORY);
            assert_int_equal(tern_map_count(&map), i);
            assert_null(tern_map_find(&map, item_key(&items[i])));
        }
        assert_int_equal(tern_map_insert(&map, &items[i].entry, item_key(&items[i])), TERN_OK);
    }
    for (uint32_t i = 0; i < ITEMS; i++)
        assert_ptr_equal(tern_map_find(&map, item_key(&items[i])), &items[i].entry);
    tern_map_fini(&map);
    tern_mem_fini(&mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(siphash_matches_its_reference_vector),
        cmocka_unit_test(entries_are_found_in_any_number_and_listed_in_insertion_order),
        cmocka_unit_test(failing_growth_inserts_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
