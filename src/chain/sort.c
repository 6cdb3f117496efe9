#include "chain/sort.h"

#include "base/check.h"

struct sort {
    uint8_t *base;
    size_t size;
    int (*compare)(const void *, const void *);
};

static uint8_t *sort_at(const struct sort *s, size_t i)
{
    return s->base + i * s->size;
}

static void sort_swap(const struct sort *s, size_t i, size_t j)
{
    uint8_t swap[TERN_SORT_ELEMENT_MAX];
    memcpy(swap, sort_at(s, i), s->size);
    memcpy(sort_at(s, i), sort_at(s, j), s->size);
    memcpy(sort_at(s, j), swap, s->size);
}

/* Lets element i sink until it is not smaller than those below it in a heap of count elements. */
static void sort_sink(const struct sort *s, size_t i, size_t count)
{
    while (i < count / 2) {
        size_t child = 2 * i + 1;
        if (child + 1 < count && s->compare(sort_at(s, child), sort_at(s, child + 1)) < 0)
            child++;
        if (s->compare(sort_at(s, i), sort_at(s, child)) >= 0)
            return;
        sort_swap(s, i, child);
        i = child;
    }
}

void tern_sort(void *base, size_t count, size_t size, int (*compare)(const void *, const void *))
{
    TERN_CHECK(size > 0 && size <= TERN_SORT_ELEMENT_MAX);
    struct sort s = {.base = base, .size = size, .compare = compare};
    for (size_t i = count / 2; i > 0; i--)
        sort_sink(&s, i - 1, count);
    for (size_t n = count; n > 1; n--) {
        sort_swap(&s, 0, n - 1);
        sort_sink(&s, 0, n - 1);
    }
}
