#include "base/list.h"

#include "tern_test.h"

struct item {
    int value;
    struct tern_list link;
};

static void assert_values(const struct tern_list *head, const int *values, size_t count)
{
    size_t i = 0;
    TERN_LIST_FOREACH (node, head) {
        assert_true(i < count);
        assert_int_equal(TERN_LIST_ENTRY(node, struct item, link)->value, values[i]);
        i++;
    }
    assert_int_equal(i, count);
}

static void elements_keep_the_order_in_which_they_were_put(void **state)
{
    (void)state;
    struct tern_list head;
    tern_list_init(&head);
    assert_true(tern_list_empty(&head));
    assert_null(tern_list_front(&head));
    assert_null(tern_list_pop_front(&head));
    struct item items[4] = {{.value = 1}, {.value = 2}, {.value = 3}, {.value = 4}};
    tern_list_push_back(&head, &items[1].link);
    tern_list_push_back(&head, &items[2].link);
    tern_list_push_front(&head, &items[0].link);
    tern_list_insert_between(&items[3].link, &items[0].link, &items[1].link);
    assert_values(&head, (const int[]){1, 4, 2, 3}, 4);
    tern_list_remove(&items[3].link);
    assert_values(&head, (const int[]){1, 2, 3}, 3);
    assert_ptr_equal(tern_list_front(&head), &items[0].link);
    assert_ptr_equal(tern_list_pop_front(&head), &items[0].link);
    assert_values(&head, (const int[]){2, 3}, 2);
}

static void removing_is_idempotent(void **state)
{
    (void)state;
    struct tern_list head;
    struct item item = {.value = 1};
    tern_list_init(&head);
    tern_list_init(&item.link);
    assert_false(tern_list_linked(&item.link));
    tern_list_remove(&item.link);
    tern_list_push_back(&head, &item.link);
    assert_true(tern_list_linked(&item.link));
    tern_list_remove(&item.link);
    tern_list_remove(&item.link);
    assert_false(tern_list_linked(&item.link));
    assert_true(tern_list_empty(&head));
}

static void the_current_element_may_be_removed_in_the_safe_loop(void **state)
{
    (void)state;
    struct tern_list head;
    struct item items[5];
    tern_list_init(&head);
    for (int i = 0; i < 5; i++) {
        items[i].value = i;
        tern_list_push_back(&head, &items[i].link);
    }
    TERN_LIST_FOREACH_SAFE (node, next, &head) {
        if (TERN_LIST_ENTRY(node, struct item, link)->value % 2 == 0)
            tern_list_remove(node);
    }
    assert_values(&head, (const int[]){1, 3}, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_keep_the_order_in_which_they_were_put),
        cmocka_unit_test(removing_is_idempotent),
        cmocka_unit_test(the_current_element_may_be_removed_in_the_safe_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
