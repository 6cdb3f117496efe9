#include "base/timer.h"

#include "base/check.h"

enum { TIMER_ARITY = 4, TIMER_CAPACITY_MIN = 16 };

void tern_timer_queue_init(struct tern_timer_queue *queue, struct tern_mem *mem)
{
    *queue = (struct tern_timer_queue){.mem = mem};
}

void tern_timer_queue_fini(struct tern_timer_queue *queue)
{
    for (size_t i = 0; i < queue->count; i++)
        tern_timer_init(queue->heap[i].timer);
    tern_mem_free(queue->mem, queue->heap, queue->capacity * sizeof(*queue->heap));
    queue->heap = NULL;
    queue->capacity = 0;
    queue->count = 0;
}

void tern_timer_init(struct tern_timer *timer)
{
    *timer = (struct tern_timer){.deadline = TERN_TIME_NEVER, .heap_index = SIZE_MAX};
}

static bool timer_before(struct tern_timer_slot a, struct tern_timer_slot b)
{
    if (a.deadline != b.deadline)
        return a.deadline < b.deadline;
    return a.timer->sequence < b.timer->sequence;
}

static void timer_place(struct tern_timer_queue *queue, size_t index, struct tern_timer_slot slot)
{
    queue->heap[index] = slot;
    slot.timer->heap_index = index;
}

/* timer_sift_up moves the slot from the hole at index towards the root, to where it belongs. */
static size_t timer_sift_up(struct tern_timer_queue *queue, size_t index,
                            struct tern_timer_slot slot)
{
    while (index > 0) {
        size_t parent = (index - 1) / TIMER_ARITY;
        if (!timer_before(slot, queue->heap[parent]))
            break;
        timer_place(queue, index, queue->heap[parent]);
        index = parent;
    }
    timer_place(queue, index, slot);
    return index;
}

static size_t timer_first_child(const struct tern_timer_queue *queue, size_t index)
{
    size_t child = index * TIMER_ARITY + 1;
    size_t end = tern_min_size(child + TIMER_ARITY, queue->count);
    size_t best = child;
    for (size_t i = child + 1; i < end; i++) {
        if (timer_before(queue->heap[i], queue->heap[best]))
            best = i;
    }
    return best;
}

static void timer_sift_down(struct tern_timer_queue *queue, size_t index,
                            struct tern_timer_slot slot)
{
    while (index * TIMER_ARITY + 1 < queue->count) {
        size_t child = timer_first_child(queue, index);
        if (!timer_before(queue->heap[child], slot))
            break;
        timer_place(queue, index, queue->heap[child]);
        index = child;
    }
    timer_place(queue, index, slot);
}

/* timer_resift restores the order after the slot at index got a new key. */
static void timer_resift(struct tern_timer_queue *queue, size_t index, struct tern_timer_slot slot)
{
    if (timer_sift_up(queue, index, slot) == index)
        timer_sift_down(queue, index, slot);
}

static tern_err timer_reserve(struct tern_timer_queue *queue)
{
    if (queue->count < queue->capacity)
        return TERN_OK;
    size_t capacity = queue->capacity == 0 ? TIMER_CAPACITY_MIN : queue->capacity * 2;
    struct tern_timer_slot *heap = tern_mem_realloc(
        queue->mem, queue->heap, queue->capacity * sizeof(*heap), capacity * sizeof(*heap));
    if (heap == NULL)
        return TERN_ERR_MEMORY;
    queue->heap = heap;
    queue->capacity = capacity;
    return TERN_OK;
}

tern_err tern_timer_set(struct tern_timer_queue *queue, struct tern_timer *timer,
                        tern_time deadline)
{
    if (deadline == TERN_TIME_NEVER) {
        tern_timer_cancel(queue, timer);
        return TERN_OK;
    }
    bool armed = tern_timer_armed(timer);
    if (!armed)
        TERN_TRY(timer_reserve(queue));
    timer->deadline = deadline;
    timer->sequence = queue->sequence_next++;
    struct tern_timer_slot slot = {.deadline = deadline, .timer = timer};
    if (armed) {
        TERN_CHECK(timer->heap_index < queue->count);
        TERN_CHECK(queue->heap[timer->heap_index].timer == timer);
        timer_resift(queue, timer->heap_index, slot);
    } else {
        queue->count++;
        (void)timer_sift_up(queue, queue->count - 1, slot);
    }
    return TERN_OK;
}

void tern_timer_cancel(struct tern_timer_queue *queue, struct tern_timer *timer)
{
    if (!tern_timer_armed(timer))
        return;
    size_t index = timer->heap_index;
    TERN_CHECK(index < queue->count && queue->heap[index].timer == timer);
    tern_timer_init(timer);
    queue->count--;
    if (index < queue->count)
        timer_resift(queue, index, queue->heap[queue->count]);
}

struct tern_timer *tern_timer_pop(struct tern_timer_queue *queue, tern_time now)
{
    if (queue->count == 0 || queue->heap[0].deadline > now)
        return NULL;
    struct tern_timer *timer = queue->heap[0].timer;
    tern_timer_cancel(queue, timer);
    return timer;
}

tern_time tern_timer_next(const struct tern_timer_queue *queue)
{
    return queue->count == 0 ? TERN_TIME_NEVER : queue->heap[0].deadline;
}
