/* Sorting in place, without memory of its own and without recursion: heap sort, n log n always. Not
 * stable: the order of equal elements must not matter to the caller. */
#ifndef TERN_CHAIN_SORT_H
#define TERN_CHAIN_SORT_H

#include "base/types.h"

enum { TERN_SORT_ELEMENT_MAX = 128 };

/* tern_sort orders count elements of size bytes (at most TERN_SORT_ELEMENT_MAX, checked) so that
 * compare(a, b) <= 0 for neighbours. base may be NULL when count is 0. */
void tern_sort(void *base, size_t count, size_t size, int (*compare)(const void *, const void *));

#endif
