/*
 * Golden traces: the readable log is the test. A test writes one line for each thing that happens
 * and compares the whole with a text in the test; a difference is printed line by line.
 *
 *     struct golden golden;
 *     golden_init(&golden);
 *     golden_line(&golden, "%s opened stream %u", "a", 1u);
 *     golden_expect(&golden, "a opened stream 1\n"
 *                            "…\n");
 *     golden_fini(&golden);
 *
 * golden_trace is a trace sink (base/trace.h): one line an event, such as
 * "      12.500 ms  n3  NODE_START" with its arguments; an
 * argument that is called "error" is written by its name.
 */
#ifndef TERN_TESTING_GOLDEN_H
#define TERN_TESTING_GOLDEN_H

#include "base/trace.h"
#include "base/types.h"

struct golden {
    char *text; /* zero-terminated */
    size_t size;
    size_t capacity;
};

void golden_init(struct golden *golden);
void golden_fini(struct golden *golden);

/* golden_line appends one line; the format has no newline at its end. */
TERN_PRINTF(2, 3) void golden_line(struct golden *golden, const char *format, ...);

/* golden_trace appends one line for the event; context is the struct golden. */
void golden_trace(void *context, const struct tern_trace_event *event);

/* golden_same says whether the text is as expected; if not, prints the difference to stderr. */
bool golden_same(const struct golden *golden, const char *expected);

/* golden_expect fails the cmocka test when the text is not as expected. */
#define golden_expect(golden, expected) assert_true(golden_same((golden), (expected)))

#endif
