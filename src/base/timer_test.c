#include "base/timer.h"

#include "base/random.h"
#include "tern_test.h"

static void timers_fire_by_deadline_and_then_in_the_order_they_were_set(void **state)
{
    (void)state;
    struct tern_mem mem;
    struct tern_timer_queue queue;
    struct tern_timer timers[5];
    static const tern_time deadlines[5] = {30, 10, 20, 10, 10};
    static const size_t order[5] = {1, 3, 4, 2, 0};
    tern_mem_init(&mem, 0);
    tern_timer_queue_init(&queue, &mem);
    assert_true(tern_timer_next(&queue) == TERN_TIME_NEVER);
    for (size_t i = 0; i < 5; i++) {
        tern_timer_init(&timers[i]);
        assert_false(tern_timer_armed(&timers[i]));
        assert_ok(tern_timer_set(&queue, &timers[i], deadlines[i]));
        assert_true(tern_timer_armed(&timers[i]));
    }
    assert_true(tern_timer_next(&queue) == 10);
    assert_null(tern_timer_pop(&queue, 9));
    for (size_t i = 0; i < 5; i++) {
        struct tern_timer *timer = tern_timer_pop(&queue, 30);
        assert_ptr_equal(timer, &timers[order[i]]);
        assert_false(tern_timer_armed(timer));
    }
    assert_null(tern_timer_pop(&queue, TERN_TIME_NEVER));
    tern_timer_queue_fini(&queue);
    tern_mem_fini(&mem);
}

static void setting_again_moves_and_never_disarms(void **state)
{
    (void)state;
    struct tern_mem mem;
    struct tern_timer_queue queue;
    struct tern_timer a;
    struct tern_timer b;
    tern_mem_init(&mem, 0);
    tern_timer_queue_init(&queue, &mem);
    tern_timer_init(&a);
    tern_timer_init(&b);
    assert_ok(tern_timer_set(&queue, &a, 10));
    assert_ok(tern_timer_set(&queue, &b, 10));
    assert_ok(tern_timer_set(&queue, &a, 10)); /* now behind b */
    assert_ptr_equal(tern_timer_pop(&queue, 10), &b);
    assert_ok(tern_timer_set(&queue, &a, 50));
    assert_true(tern_timer_next(&queue) == 50);
    assert_ok(tern_timer_set(&queue, &a, 5));
    assert_true(tern_timer_next(&queue) == 5);
    assert_ok(tern_timer_set(&queue, &a, TERN_TIME_NEVER));
    assert_false(tern_timer_armed(&a));
    assert_true(tern_timer_next(&queue) == TERN_TIME_NEVER);
    tern_timer_cancel(&queue, &a);
    tern_timer_queue_fini(&queue);
    tern_mem_fini(&mem);
}

enum { TIMERS = 300 };

/* The slow and obvious queue: the earliest by (deadline, sequence) of an array. */
static size_t model_first(const struct tern_timer *timers)
{
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < TIMERS; i++) {
        if (!tern_timer_armed(&timers[i]))
            continue;
        if (best == SIZE_MAX || timers[i].deadline < timers[best].deadline ||
            (timers[i].deadline == timers[best].deadline &&
             timers[i].sequence < timers[best].sequence))
            best = i;
    }
    return best;
}

static void the_queue_agrees_with_a_search_of_all_timers(void **state)
{
    (void)state;
    struct tern_mem mem;
    struct tern_timer_queue queue;
    struct tern_timer timers[TIMERS];
    struct tern_random random;
    tern_mem_init(&mem, 0);
    tern_timer_queue_init(&queue, &mem);
    tern_random_init_u64(&random, 9);
    for (size_t i = 0; i < TIMERS; i++)
        tern_timer_init(&timers[i]);
    for (int step = 0; step < 20000; step++) {
        size_t i = tern_random_below(&random, TIMERS);
        uint64_t what = tern_random_below(&random, 4);
        if (what < 2) {
            assert_ok(tern_timer_set(&queue, &timers[i], tern_random_below(&random, 500)));
        } else if (what == 2) {
            tern_timer_cancel(&queue, &timers[i]);
        } else {
            size_t first = model_first(timers);
            tern_time next = first == SIZE_MAX ? TERN_TIME_NEVER : timers[first].deadline;
            assert_true(tern_timer_next(&queue) == next);
            struct tern_timer *timer = tern_timer_pop(&queue, 400);
            assert_ptr_equal(timer, next <= 400 ? &timers[first] : NULL);
        }
    }
    tern_timer_queue_fini(&queue);
    for (size_t i = 0; i < TIMERS; i++)
        assert_false(tern_timer_armed(&timers[i]));
    tern_mem_fini(&mem);
}

static void failing_growth_leaves_the_timer_disarmed(void **state)
{
    (void)state;
    struct tern_mem mem;
    struct tern_timer_queue queue;
    struct tern_timer timers[17];
    tern_mem_init(&mem, 0);
    tern_timer_queue_init(&queue, &mem);
    for (size_t i = 0; i < 17; i++) {
        tern_timer_init(&timers[i]);
        if (i == 0 || i == 16) { /* the heap grows here */
            tern_mem_fail_at(&mem, 1, false);
            assert_int_equal(tern_timer_set(&queue, &timers[i], 5), TERN_ERR_MEMORY);
            assert_false(tern_timer_armed(&timers[i]));
        }
        assert_ok(tern_timer_set(&queue, &timers[i], 5));
    }
    tern_mem_fail_at(&mem, 1, true);
    assert_ok(tern_timer_set(&queue, &timers[3], 6)); /* moving takes no memory */
    tern_timer_queue_fini(&queue);
    tern_mem_fini(&mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_by_deadline_and_then_in_the_order_they_were_set),
        cmocka_unit_test(setting_again_moves_and_never_disarms),
        cmocka_unit_test(the_queue_agrees_with_a_search_of_all_timers),
        cmocka_unit_test(failing_growth_leaves_the_timer_disarmed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
