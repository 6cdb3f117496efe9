#include "base/chunk.h"

#include "tern_test.h"

static void a_chunk_has_at_least_the_room_that_was_asked_for(void **state)
{
    (void)state;
    static const struct {
        size_t asked;
        size_t capacity;
    } cases[] = {
        {0, 0},         {1, 1},         {1536, 1536},     {1537, 2048},     {2048, 2048},
        {2049, 2049},   {12288, 12288}, {12289, 16384},   {16384, 16384},   {49153, 65536},
        {65536, 65536}, {65537, 65537}, {262144, 262144}, {262145, 262145}, {1000000, 1000000},
    };
    struct tern_mem mem;
    tern_mem_init(&mem, 0);
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        struct tern_chunk *chunk = tern_chunk_new(&mem, cases[i].asked);
        assert_non_null(chunk);
        assert_int_equal(chunk->capacity, cases[i].capacity);
        assert_int_equal(chunk->size, 0);
        memset(chunk->data, 1, chunk->capacity);
        assert_int_equal(mem.used, sizeof(*chunk) + cases[i].capacity);
        tern_chunk_unref(chunk);
        assert_int_equal(mem.used, 0);
    }
    assert_null(tern_chunk_new(&mem, (size_t)TERN_CHUNK_CAPACITY_MAX + 1));
    assert_null(tern_chunk_new(&mem, SIZE_MAX));
    tern_mem_fini(&mem);
}

static void the_last_reference_frees(void **state)
{
    (void)state;
    struct tern_mem mem;
    tern_mem_init(&mem, 0);
    struct tern_chunk *chunk = tern_chunk_copy(&mem, tern_view_str("hello"));
    assert_true(test_view_is(tern_chunk_view(chunk), "hello"));
    assert_ptr_equal(tern_chunk_ref(chunk), chunk);
    tern_chunk_unref(chunk);
    assert_true(mem.used > 0);
    assert_true(test_view_is(tern_chunk_view(chunk), "hello"));
    tern_chunk_unref(chunk);
    assert_int_equal(mem.used, 0);
    tern_chunk_unref(NULL);
    struct tern_chunk *empty = tern_chunk_copy(&mem, tern_view_of(NULL, 0));
    assert_int_equal(empty->size, 0);
    tern_chunk_unref(empty);
    tern_mem_fini(&mem);
}

static void recycled_chunks_start_empty(void **state)
{
    (void)state;
    struct tern_mem mem;
    tern_mem_init(&mem, 0);
    for (int i = 0; i < 3; i++) {
        struct tern_chunk *chunks[20];
        for (size_t j = 0; j < 20; j++) {
            chunks[j] = tern_chunk_new(&mem, 2000);
            assert_int_equal(chunks[j]->size, 0);
            assert_int_equal(chunks[j]->refs, 1);
            chunks[j]->size = 2000;
            memset(chunks[j]->data, (int)j, 2000);
        }
        for (size_t j = 0; j < 20; j++) {
            assert_int_equal(chunks[j]->data[0], j);
            assert_int_equal(chunks[j]->data[1999], j);
            tern_chunk_unref(chunks[j]);
        }
    }
    assert_int_equal(mem.used, 0);
    tern_mem_fini(&mem);
}

static void large_parts_are_kept_by_reference_and_small_ones_by_copy(void **state)
{
    (void)state;
    struct tern_mem mem;
    tern_mem_init(&mem, 0);
    struct tern_chunk *chunk = tern_chunk_new(&mem, 1000);
    memset(chunk->data, 'x', 1000);
    chunk->size = 1000;
    bool ok = false;
    struct tern_slice large = {.chunk = chunk, .view = tern_view_of(chunk->data + 10, 250)};
    struct tern_slice kept = tern_slice_keep(&mem, large, &ok);
    assert_true(ok);
    assert_ptr_equal(kept.chunk, chunk);
    assert_ptr_equal(kept.view.data, chunk->data + 10);
    assert_int_equal(chunk->refs, 2);
    tern_slice_release(&kept);
    assert_null(kept.chunk);
    assert_int_equal(chunk->refs, 1);

    struct tern_slice small = {.chunk = chunk, .view = tern_view_of(chunk->data, 249)};
    kept = tern_slice_keep(&mem, small, &ok);
    assert_true(ok);
    assert_ptr_not_equal(kept.chunk, chunk);
    assert_int_equal(chunk->refs, 1);
    assert_true(tern_view_equal(kept.view, small.view));
    tern_slice_release(&kept);
    tern_chunk_unref(chunk);
    tern_mem_fini(&mem);
}

static void borrowed_and_empty_slices_are_kept_too(void **state)
{
    (void)state;
    struct tern_mem mem;
    tern_mem_init(&mem, 0);
    bool ok = false;
    struct tern_slice kept =
        tern_slice_keep(&mem, (struct tern_slice){.view = tern_view_str("abc")}, &ok);
    assert_true(ok && test_view_is(kept.view, "abc") && kept.chunk != NULL);
    tern_slice_release(&kept);
    kept = tern_slice_keep(&mem, (struct tern_slice){.chunk = NULL}, &ok);
    assert_true(ok && kept.chunk == NULL && kept.view.size == 0);
    tern_mem_fail_at(&mem, 1, false);
    kept = tern_slice_keep(&mem, (struct tern_slice){.view = tern_view_str("abc")}, &ok);
    assert_true(!ok && kept.chunk == NULL && kept.view.size == 0);
    tern_mem_fini(&mem);
}

static void without_memory_there_is_no_chunk(void **state)
{
    (void)state;
    struct tern_mem mem;
    tern_mem_init(&mem, 0);
    tern_mem_fail_at(&mem, 1, true);
    assert_null(tern_chunk_new(&mem, 10));
    assert_null(tern_chunk_new(&mem, 2048));
    assert_null(tern_chunk_copy(&mem, tern_view_str("a")));
    tern_mem_fini(&mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chunk_has_at_least_the_room_that_was_asked_for),
        cmocka_unit_test(the_last_reference_frees),
        cmocka_unit_test(recycled_chunks_start_empty),
        cmocka_unit_test(large_parts_are_kept_by_reference_and_small_ones_by_copy),
        cmocka_unit_test(borrowed_and_empty_slices_are_kept_too),
        cmocka_unit_test(without_memory_there_is_no_chunk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
