/*
 * The few types that every layer shares: time, views of bytes, and small helpers.
 *
 * A view borrows bytes; whoever hands it out says until when. A span is a view that may be written.
 */
#ifndef TERN_BASE_TYPES_H
#define TERN_BASE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Nanoseconds on a clock that never goes back; its zero means nothing. Always handed in, never
 * read. */
typedef uint64_t tern_time;

/* Nanoseconds since 1970-01-01 UTC, for what is signed or expires. A separate input: it may jump.
 */
typedef uint64_t tern_wall_time;

/* "No deadline": later than every time. */
#define TERN_TIME_NEVER UINT64_MAX

#define TERN_MICROSECOND UINT64_C(1000)
#define TERN_MILLISECOND UINT64_C(1000000)
#define TERN_SECOND      UINT64_C(1000000000)
#define TERN_MINUTE      (UINT64_C(60) * TERN_SECOND)
#define TERN_HOUR        (UINT64_C(60) * TERN_MINUTE)

struct tern_view {
    const uint8_t *data; /* may be NULL when size is 0 */
    size_t size;
};

struct tern_span {
    uint8_t *data;
    size_t size;
};

#define TERN_NODISCARD         __attribute__((warn_unused_result))
#define TERN_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define TERN_UNUSED            __attribute__((unused))
#define TERN_LIKELY(x)         __builtin_expect(!!(x), 1)
#define TERN_UNLIKELY(x)       __builtin_expect(!!(x), 0)
#define TERN_COUNT_OF(array)   (sizeof(array) / sizeof((array)[0]))
#define TERN_CONTAINER_OF(ptr, type, member)                                                       \
    ((type *)(void *)((char *)(ptr) - offsetof(type, member)))

static inline size_t tern_min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t tern_max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

static inline tern_time tern_time_min(tern_time a, tern_time b)
{
    return a < b ? a : b;
}

static inline tern_time tern_time_max(tern_time a, tern_time b)
{
    return a > b ? a : b;
}

/* tern_time_add adds without wrapping: the sum of a remote's claim and now is at most NEVER - 1,
 * and NEVER stays NEVER. */
static inline tern_time tern_time_add(tern_time t, tern_time delta)
{
    if (t == TERN_TIME_NEVER)
        return t;
    return delta >= TERN_TIME_NEVER - 1 - t ? TERN_TIME_NEVER - 1 : t + delta;
}

/* tern_time_coarse puts a deadline that is more than a second ahead off to the end of its eighth of
 * a second: those of many idle connections then come together, and one waking up serves them all.
 */
static inline tern_time tern_time_coarse(tern_time now, tern_time deadline)
{
    const tern_time slot = TERN_SECOND / 8;
    if (deadline == TERN_TIME_NEVER || deadline <= now || deadline - now <= TERN_SECOND)
        return deadline;
    return deadline >= TERN_TIME_NEVER - slot ? deadline : (deadline + slot - 1) / slot * slot;
}

/* tern_time_since is now - then, or 0 if then lies ahead. */
static inline tern_time tern_time_since(tern_time now, tern_time then)
{
    return now > then ? now - then : 0;
}

static inline struct tern_view tern_view_of(const void *data, size_t size)
{
    return (struct tern_view){.data = data, .size = size};
}

/* tern_view_str views a C string without its terminator. */
static inline struct tern_view tern_view_str(const char *text)
{
    return tern_view_of(text, strlen(text));
}

/* tern_view_part is size bytes from offset on; both must lie within the view. */
static inline struct tern_view tern_view_part(struct tern_view view, size_t offset, size_t size)
{
    return tern_view_of(view.data == NULL ? NULL : view.data + offset, size);
}

/* tern_copy is memcpy that allows NULL when size is 0. */
static inline void tern_copy(void *to, const void *from, size_t size)
{
    if (size > 0)
        memcpy(to, from, size);
}

static inline bool tern_view_equal(struct tern_view a, struct tern_view b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* tern_view_compare orders as memcmp does, a prefix before what it is a prefix of. */
static inline int tern_view_compare(struct tern_view a, struct tern_view b)
{
    size_t common = tern_min_size(a.size, b.size);
    int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
    if (order != 0)
        return order;
    return (a.size > b.size) - (a.size < b.size);
}

#endif
