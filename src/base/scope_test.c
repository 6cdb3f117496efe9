#include "base/scope.h"

#include "tern_test.h"

struct tree {
    struct tern_scope system;
    struct tern_scope peer;
    struct tern_scope connection;
};

static void plant(struct tree *tree)
{
    struct tern_scope_limits system = {.max = {[TERN_RESOURCE_MEMORY] = 100}};
    struct tern_scope_limits peer = {
        .max = {[TERN_RESOURCE_MEMORY] = 60, [TERN_RESOURCE_STREAMS_IN] = 2}};
    tern_scope_init(&tree->system, "system", NULL, &system);
    tern_scope_init(&tree->peer, "peer", &tree->system, &peer);
    tern_scope_init(&tree->connection, "connection", &tree->peer, NULL);
}

static void a_reservation_is_charged_to_all_parents(void **state)
{
    (void)state;
    struct tree tree;
    plant(&tree);
    assert_ok(tern_scope_reserve(&tree.connection, TERN_RESOURCE_MEMORY, 60, NULL));
    assert_int_equal(tree.connection.used[TERN_RESOURCE_MEMORY], 60);
    assert_int_equal(tree.peer.used[TERN_RESOURCE_MEMORY], 60);
    assert_int_equal(tree.system.used[TERN_RESOURCE_MEMORY], 60);
    tern_scope_release(&tree.connection, TERN_RESOURCE_MEMORY, 20);
    assert_int_equal(tree.system.used[TERN_RESOURCE_MEMORY], 40);
    tern_scope_release(&tree.connection, TERN_RESOURCE_MEMORY, 40);
    tern_scope_fini(&tree.connection);
    tern_scope_fini(&tree.peer);
    tern_scope_fini(&tree.system);
}

static void a_refusal_changes_nothing_and_names_the_scope(void **state)
{
    (void)state;
    struct tree tree;
    plant(&tree);
    const struct tern_scope *refused_by = NULL;
    assert_ok(tern_scope_reserve(&tree.system, TERN_RESOURCE_MEMORY, 50, &refused_by));
    assert_null(refused_by);
    assert_int_equal(tern_scope_reserve(&tree.connection, TERN_RESOURCE_MEMORY, 61, &refused_by),
                     TERN_ERR_SCOPE_MEMORY);
    assert_ptr_equal(refused_by, &tree.peer);
    assert_int_equal(tern_scope_reserve(&tree.connection, TERN_RESOURCE_MEMORY, 51, &refused_by),
                     TERN_ERR_SCOPE_MEMORY);
    assert_ptr_equal(refused_by, &tree.system);
    assert_int_equal(tree.peer.refused[TERN_RESOURCE_MEMORY], 1);
    assert_int_equal(tree.system.refused[TERN_RESOURCE_MEMORY], 1);
    assert_int_equal(tree.connection.used[TERN_RESOURCE_MEMORY], 0);
    assert_int_equal(tree.peer.used[TERN_RESOURCE_MEMORY], 0);
    assert_int_equal(tree.system.used[TERN_RESOURCE_MEMORY], 50);
    assert_ok(tern_scope_reserve(&tree.connection, TERN_RESOURCE_MEMORY, 50, NULL));
}

struct heard {
    const struct tern_scope *by;
    const struct tern_scope *asked;
    enum tern_resource resource;
    uint64_t amount;
    int times;
};

static void hear(void *context, const struct tern_scope *by, const struct tern_scope *asked,
                 enum tern_resource resource, uint64_t amount)
{
    struct heard *heard = context;
    int times = heard->times + 1;
    *heard = (struct heard){
        .by = by, .asked = asked, .resource = resource, .amount = amount, .times = times};
}

static void who_watches_the_root_hears_of_refusals(void **state)
{
    (void)state;
    struct tree tree;
    struct heard heard = {.times = 0};
    const struct tern_scope_watch watch = {.refused = hear, .context = &heard};
    plant(&tree);
    tree.system.watch = &watch;
    assert_ok(tern_scope_reserve(&tree.connection, TERN_RESOURCE_STREAMS_IN, 2, NULL));
    assert_int_equal(heard.times, 0);
    assert_int_equal(tern_scope_reserve(&tree.connection, TERN_RESOURCE_STREAMS_IN, 1, NULL),
                     TERN_ERR_SCOPE_STREAMS);
    assert_int_equal(heard.times, 1);
    assert_ptr_equal(heard.by, &tree.peer);
    assert_ptr_equal(heard.asked, &tree.connection);
    assert_int_equal(heard.resource, TERN_RESOURCE_STREAMS_IN);
    assert_int_equal(heard.amount, 1);
}

static void amounts_near_the_top_do_not_wrap(void **state)
{
    (void)state;
    struct tern_scope scope;
    tern_scope_init(&scope, "system", NULL, NULL);
    assert_ok(tern_scope_reserve(&scope, TERN_RESOURCE_MEMORY, UINT64_MAX, NULL));
    assert_int_equal(tern_scope_reserve(&scope, TERN_RESOURCE_MEMORY, 1, NULL),
                     TERN_ERR_SCOPE_MEMORY);
    assert_ok(tern_scope_reserve(&scope, TERN_RESOURCE_MEMORY, 0, NULL));
}

static void each_resource_has_its_error_and_its_name(void **state)
{
    (void)state;
    static const tern_err errors[TERN_RESOURCE_COUNT] = {
        TERN_ERR_SCOPE_MEMORY,      TERN_ERR_SCOPE_STREAMS,     TERN_ERR_SCOPE_STREAMS,
        TERN_ERR_SCOPE_CONNECTIONS, TERN_ERR_SCOPE_CONNECTIONS, TERN_ERR_SCOPE_FDS,
    };
    for (unsigned i = 0; i < TERN_RESOURCE_COUNT; i++) {
        enum tern_resource resource = (enum tern_resource)i;
        struct tern_scope_limits limits = {0};
        limits.max[i] = 1;
        struct tern_scope scope;
        tern_scope_init(&scope, "test", NULL, &limits);
        assert_ok(tern_scope_reserve(&scope, resource, 1, NULL));
        assert_int_equal(tern_scope_reserve(&scope, resource, 1, NULL), errors[i]);
        assert_true(strlen(tern_resource_name(resource)) > 0);
    }
}

static void the_armed_reservation_fails(void **state)
{
    (void)state;
    struct tree tree;
    plant(&tree);
    tree.system.fail_at = 2;
    const struct tern_scope *refused_by = NULL;
    assert_ok(tern_scope_reserve(&tree.peer, TERN_RESOURCE_FDS, 1, NULL));
    assert_int_equal(tern_scope_reserve(&tree.peer, TERN_RESOURCE_FDS, 1, &refused_by),
                     TERN_ERR_SCOPE_FDS);
    assert_ptr_equal(refused_by, &tree.system);
    assert_ok(tern_scope_reserve(&tree.peer, TERN_RESOURCE_FDS, 1, NULL));
    assert_int_equal(tree.system.used[TERN_RESOURCE_FDS], 2);
    assert_int_equal(tree.system.reservations, 3);
}

static void release_too_much(void *context)
{
    (void)context;
    struct tern_scope scope;
    tern_scope_init(&scope, "system", NULL, NULL);
    tern_scope_release(&scope, TERN_RESOURCE_MEMORY, 1);
}

static void end_while_charged(void *context)
{
    (void)context;
    struct tern_scope scope;
    tern_scope_init(&scope, "system", NULL, NULL);
    if (tern_scope_reserve(&scope, TERN_RESOURCE_MEMORY, 1, NULL) == TERN_OK)
        tern_scope_fini(&scope);
}

static void wrong_books_end_the_process(void **state)
{
    (void)state;
    assert_int_not_equal(test_signal_of(release_too_much, NULL), 0);
    assert_int_not_equal(test_signal_of(end_while_charged, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reservation_is_charged_to_all_parents),
        cmocka_unit_test(a_refusal_changes_nothing_and_names_the_scope),
        cmocka_unit_test(who_watches_the_root_hears_of_refusals),
        cmocka_unit_test(amounts_near_the_top_do_not_wrap),
        cmocka_unit_test(each_resource_has_its_error_and_its_name),
        cmocka_unit_test(the_armed_reservation_fails),
        cmocka_unit_test(wrong_books_end_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
