/* The world's heap of events: 4-ary, ordered by (time, sequence). */
#include "base/check.h"
#include "runtime/sim/world_private.h"

enum { EVENTS_ARITY = 4, EVENTS_CAPACITY_MIN = 256 };

void sim_events_init(struct sim_events *events, struct tern_mem *mem)
{
    *events = (struct sim_events){.mem = mem};
}

void sim_events_fini(struct sim_events *events)
{
    tern_mem_free(events->mem, events->heap, events->capacity * sizeof(*events->heap));
    tern_mem_free(events->mem, events->slots, events->capacity * sizeof(*events->slots));
    tern_mem_free(events->mem, events->free_slots, events->capacity * sizeof(*events->free_slots));
    *events = (struct sim_events){.mem = events->mem};
}

static void *events_resize(struct sim_events *events, void *block, size_t item, size_t capacity)
{
    void *moved = tern_mem_realloc(events->mem, block, events->capacity * item, capacity * item);
    TERN_CHECK(moved != NULL);
    return moved;
}

static void events_grow(struct sim_events *events)
{
    size_t capacity = events->capacity == 0 ? EVENTS_CAPACITY_MIN : events->capacity * 2;
    TERN_CHECK(capacity <= UINT32_MAX);
    events->heap = events_resize(events, events->heap, sizeof(*events->heap), capacity);
    events->slots = events_resize(events, events->slots, sizeof(*events->slots), capacity);
    events->free_slots =
        events_resize(events, events->free_slots, sizeof(*events->free_slots), capacity);
    for (size_t i = capacity; i > events->capacity; i--)
        events->free_slots[events->free_count++] = (uint32_t)(i - 1);
    events->capacity = capacity;
}

static bool entry_before(const struct sim_heap_entry *a, const struct sim_heap_entry *b)
{
    return a->time < b->time || (a->time == b->time && a->sequence < b->sequence);
}

void sim_events_push(struct sim_events *events, tern_time time, const struct sim_event *event)
{
    TERN_CHECK(time != TERN_TIME_NEVER);
    if (events->free_count == 0)
        events_grow(events);
    uint32_t slot = events->free_slots[--events->free_count];
    events->slots[slot] = *event;
    struct sim_heap_entry entry = {.time = time, .sequence = events->sequence_next++, .slot = slot};
    size_t index = events->count++;
    while (index > 0) {
        size_t parent = (index - 1) / EVENTS_ARITY;
        if (!entry_before(&entry, &events->heap[parent]))
            break;
        events->heap[index] = events->heap[parent];
        index = parent;
    }
    events->heap[index] = entry;
}

tern_time sim_events_next(const struct sim_events *events)
{
    return events->count == 0 ? TERN_TIME_NEVER : events->heap[0].time;
}

static size_t events_first_child(const struct sim_events *events, size_t child)
{
    size_t end = tern_min_size(child + EVENTS_ARITY, events->count);
    size_t best = child;
    for (size_t i = child + 1; i < end; i++) {
        if (entry_before(&events->heap[i], &events->heap[best]))
            best = i;
    }
    return best;
}

bool sim_events_pop(struct sim_events *events, tern_time limit, tern_time *time,
                    struct sim_event *event)
{
    if (events->count == 0 || events->heap[0].time > limit)
        return false;
    uint32_t slot = events->heap[0].slot;
    *time = events->heap[0].time;
    *event = events->slots[slot];
    events->free_slots[events->free_count++] = slot;
    struct sim_heap_entry last = events->heap[--events->count];
    size_t index = 0;
    while (index * EVENTS_ARITY + 1 < events->count) {
        size_t child = events_first_child(events, index * EVENTS_ARITY + 1);
        if (!entry_before(&events->heap[child], &last))
            break;
        events->heap[index] = events->heap[child];
        index = child;
    }
    events->heap[index] = last; /* when the heap became empty, this writes to unused room */
    return true;
}
