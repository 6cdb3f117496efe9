/*
 * The LMDB store: rows come back in order, writes are all or nothing, and a second owner is
 * refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/real/store_lmdb.h"

struct fixture {
    char path[64];
    struct tern_store_lmdb *store;
    uint8_t result[4096];
};

static void fixture_open(struct fixture *f)
{
    char message[256];
    struct tern_store_lmdb_options options = {.path = f->path, .map_size_bytes = 16 << 20};
    if (tern_store_lmdb_open(&options, &f->store, message, sizeof message) != TERN_OK)
        fail_msg("%s", message);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    strcpy(f->path, "/tmp/tern-store-XXXXXX");
    assert_non_null(mkdtemp(f->path));
    fixture_open(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    static const char *const names[] = {"data.mdb", "lock.mdb", "owner.lock"};
    struct fixture *f = *state;
    char path[128];
    tern_store_lmdb_ops.close(f->store);
    for (size_t i = 0; i < TERN_COUNT_OF(names); i++) {
        snprintf(path, sizeof path, "%s/%s", f->path, names[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(f->path), 0);
    free(f);
    return 0;
}

static tern_err serve(struct fixture *f, struct tern_store_request *request)
{
    request->result = (struct tern_span){.data = f->result, .size = sizeof f->result};
    tern_store_lmdb_ops.serve(f->store, &request, 1);
    return request->err;
}

static struct tern_store_op put(uint8_t space, const char *key, const char *value)
{
    return (struct tern_store_op){.kind = TERN_STORE_PUT,
                                  .space = space,
                                  .key = tern_view_str(key),
                                  .value = tern_view_str(value)};
}

static void write_three(struct fixture *f)
{
    struct tern_store_op ops[] = {put(1, "b", "two"), put(1, "a", "one"), put(2, "a", "other")};
    struct tern_store_request request = {.kind = TERN_STORE_WRITE, .ops = ops, .ops_count = 3};
    assert_int_equal(serve(f, &request), TERN_OK);
}

static void a_scan_gives_one_space_in_key_order(void **state)
{
    struct fixture *f = *state;
    write_three(f);
    struct tern_store_request scan = {.kind = TERN_STORE_SCAN, .space = 1, .rows_max = 10};
    assert_int_equal(serve(f, &scan), TERN_OK);
    assert_int_equal(scan.rows_count, 2);
    assert_false(scan.more);
    assert_int_equal(scan.result_size, 2 * (8 + 1 + 3));
    assert_memory_equal(f->result, "\1\0\0\0\3\0\0\0aone\1\0\0\0\3\0\0\0btwo", 24);
}

static void a_scan_stops_at_its_bounds_and_says_so(void **state)
{
    struct fixture *f = *state;
    write_three(f);
    struct tern_store_request scan = {.kind = TERN_STORE_SCAN, .space = 1, .rows_max = 1};
    assert_int_equal(serve(f, &scan), TERN_OK);
    assert_int_equal(scan.rows_count, 1);
    assert_true(scan.more);
    scan = (struct tern_store_request){
        .kind = TERN_STORE_SCAN, .space = 1, .rows_max = 10, .key = tern_view_str("b")};
    assert_int_equal(serve(f, &scan), TERN_OK);
    assert_int_equal(scan.rows_count, 1);
    assert_false(scan.more);
}

static void a_row_is_got_deleted_and_gone(void **state)
{
    struct fixture *f = *state;
    write_three(f);
    struct tern_store_request get = {.kind = TERN_STORE_GET, .space = 2, .key = tern_view_str("a")};
    assert_int_equal(serve(f, &get), TERN_OK);
    assert_memory_equal(f->result + 9, "other", 5);
    struct tern_store_op remove = {
        .kind = TERN_STORE_DELETE, .space = 2, .key = tern_view_str("a")};
    struct tern_store_request write = {.kind = TERN_STORE_WRITE, .ops = &remove, .ops_count = 1};
    assert_int_equal(serve(f, &write), TERN_OK);
    assert_int_equal(serve(f, &write), TERN_OK); /* deleting what is not there is no failure */
    assert_int_equal(serve(f, &get), TERN_ERR_NOT_FOUND);
}

static void a_bad_write_changes_nothing_and_takes_no_other_with_it(void **state)
{
    struct fixture *f = *state;
    char huge[600];
    memset(huge, 'k', sizeof huge);
    struct tern_store_op bad[] = {put(1, "x", "never"), put(1, "y", "never")};
    bad[1].key = tern_view_of(huge, sizeof huge);
    struct tern_store_op good = put(1, "z", "kept");
    struct tern_store_request first = {.kind = TERN_STORE_WRITE, .ops = bad, .ops_count = 2};
    struct tern_store_request second = {.kind = TERN_STORE_WRITE, .ops = &good, .ops_count = 1};
    struct tern_store_request *both[] = {&first, &second};
    tern_store_lmdb_ops.serve(f->store, both, 2);
    assert_int_equal(first.err, TERN_ERR_STORAGE);
    assert_int_equal(second.err, TERN_OK);
    struct tern_store_request get = {.kind = TERN_STORE_GET, .space = 1, .key = tern_view_str("x")};
    assert_int_equal(serve(f, &get), TERN_ERR_NOT_FOUND);
    get.key = tern_view_str("z");
    assert_int_equal(serve(f, &get), TERN_OK);
}

static void what_was_written_is_there_after_opening_again(void **state)
{
    struct fixture *f = *state;
    write_three(f);
    tern_store_lmdb_ops.close(f->store);
    fixture_open(f);
    struct tern_store_request scan = {.kind = TERN_STORE_SCAN, .space = 1, .rows_max = 10};
    assert_int_equal(serve(f, &scan), TERN_OK);
    assert_int_equal(scan.rows_count, 2);
}

static void a_second_owner_is_refused(void **state)
{
    struct fixture *f = *state;
    struct tern_store_lmdb *second;
    char message[256];
    struct tern_store_lmdb_options options = {.path = f->path};
    assert_int_equal(tern_store_lmdb_open(&options, &second, message, sizeof message),
                     TERN_ERR_EXISTS);
    assert_non_null(strstr(message, "another process uses it"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_scan_gives_one_space_in_key_order, setup, teardown),
        cmocka_unit_test_setup_teardown(a_scan_stops_at_its_bounds_and_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(a_row_is_got_deleted_and_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(a_bad_write_changes_nothing_and_takes_no_other_with_it,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_written_is_there_after_opening_again, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_second_owner_is_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
