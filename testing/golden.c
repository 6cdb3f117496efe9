#include "golden.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/error.h"

enum { GOLDEN_LINE_MAX = 1024, GOLDEN_CONTEXT_LINES = 3 };

void golden_init(struct golden *golden)
{
    *golden = (struct golden){.capacity = 4096, .text = calloc(1, 4096)};
    TERN_CHECK(golden->text != NULL);
}

void golden_fini(struct golden *golden)
{
    free(golden->text);
    golden->text = NULL;
}

void golden_line(struct golden *golden, const char *format, ...)
{
    char line[GOLDEN_LINE_MAX];
    va_list args;
    va_start(args, format);
    int written = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    TERN_CHECK(written >= 0 && (size_t)written < sizeof(line));
    size_t size = (size_t)written;
    while (golden->capacity - golden->size < size + 2) {
        golden->capacity *= 2;
        golden->text = realloc(golden->text, golden->capacity);
        TERN_CHECK(golden->text != NULL);
    }
    memcpy(golden->text + golden->size, line, size);
    memcpy(golden->text + golden->size + size, "\n", 2);
    golden->size += size + 1;
}

/* Errors are written by name: their numbers change when the table grows. */
static size_t golden_arg(char *out, size_t room, const char *name, uint64_t value)
{
    int n;
    if (strcmp(name, "error") == 0 && value < TERN_ERR_COUNT)
        n = snprintf(out, room, " error=%s", tern_err_name((tern_err)value));
    else
        n = snprintf(out, room, " %s=%" PRIu64, name, value);
    TERN_CHECK(n > 0 && (size_t)n < room);
    return (size_t)n;
}

void golden_trace(void *context, const struct tern_trace_event *event)
{
    const struct tern_trace_info *info = tern_trace_info(event->id);
    char args[256] = "";
    size_t size = 0;
    for (size_t i = 0; i < TERN_COUNT_OF(event->args); i++) {
        if (info->arg_names[i][0] == 0)
            continue;
        size += golden_arg(args + size, sizeof(args) - size, info->arg_names[i], event->args[i]);
    }
    golden_line(context, "%8" PRIu64 ".%03" PRIu64 " ms  n%" PRIu32 "  %s%s",
                event->time / TERN_MILLISECOND, event->time / TERN_MICROSECOND % 1000, event->node,
                info->name, args);
}

/* golden_cut returns the text's next line (without newline) and moves past it. */
static struct tern_view golden_cut(const char **text)
{
    const char *start = *text;
    const char *end = strchr(start, '\n');
    size_t size = end == NULL ? strlen(start) : (size_t)(end - start);
    *text = start + size + (end != NULL);
    return tern_view_of(start, size);
}

static void golden_print(const char *mark, struct tern_view line)
{
    fprintf(stderr, "%s%.*s\n", mark, (int)line.size, (const char *)line.data);
}

/* golden_far_match: how many lines of text lie before the first that equals line; SIZE_MAX: none.
 */
static size_t golden_far_match(const char *text, struct tern_view line)
{
    for (size_t i = 0; *text != 0; i++) {
        if (tern_view_equal(golden_cut(&text), line))
            return i;
    }
    return SIZE_MAX;
}

static void golden_print_lines(const char *mark, const char **text, size_t count)
{
    for (size_t i = 0; i < count && **text != 0; i++)
        golden_print(mark, golden_cut(text));
}

/* golden_resync prints one difference: lines missing (-) or too many (+), or a changed line. */
static void golden_resync(const char **expected, const char **got)
{
    const char *e = *expected;
    const char *g = *got;
    size_t missing = SIZE_MAX;
    size_t extra = SIZE_MAX;
    if (*g != 0)
        missing = golden_far_match(*expected, golden_cut(&g));
    if (*e != 0)
        extra = golden_far_match(*got, golden_cut(&e));
    if (missing == SIZE_MAX && extra == SIZE_MAX) {
        golden_print_lines("- ", expected, 1);
        golden_print_lines("+ ", got, 1);
    } else if (missing <= extra) {
        golden_print_lines("- ", expected, missing);
    } else {
        golden_print_lines("+ ", got, extra);
    }
}

bool golden_same(const struct golden *golden, const char *expected)
{
    if (strcmp(golden->text, expected) == 0)
        return true;
    fprintf(stderr, "the trace differs (- expected, + got):\n");
    const char *got = golden->text;
    size_t same = 0;
    while (*expected != 0 || *got != 0) {
        const char *e = expected;
        const char *g = got;
        struct tern_view line = golden_cut(&e);
        if (*expected != 0 && *got != 0 && tern_view_equal(line, golden_cut(&g))) {
            if (same++ < GOLDEN_CONTEXT_LINES)
                golden_print("  ", line);
            expected = e;
            got = g;
            continue;
        }
        same = 0;
        golden_resync(&expected, &got);
    }
    fprintf(stderr, "the whole trace:\n%s", golden->text);
    return false;
}
