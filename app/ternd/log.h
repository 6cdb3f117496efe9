/*
 * The log: lines on the standard error, as text for people or JSON for programs, one line an event.
 *
 *     2026-01-31T12:00:00.123Z info node started peer=12D3… height=17
 *     {"ts":"2026-01-31T12:00:00.123Z","level":"info","part":"node","msg":"started","height":17}
 *
 * May be used from any thread: a line is written at once.
 */
#ifndef TERN_APP_TERND_LOG_H
#define TERN_APP_TERND_LOG_H

#include <stdio.h>

#include "app/ternd/config.h"
#include "base/trace.h"

struct log {
    enum config_log_level level;
    enum config_log_format format;
};

/* One member of a line: text, or a number when text is NULL. */
struct log_field {
    const char *name;
    const char *text;
    uint64_t number;
};

void log_init(struct log *log, enum config_log_level level, enum config_log_format format);

/* One line. */
struct log_entry {
    enum config_log_level level;
    const char *part; /* such as "node" or "api" */
    const char *what;
    const struct log_field *fields;
    size_t fields_count;
};

/* log_line writes a line when its level is wanted. */
void log_line(const struct log *log, const struct log_entry *entry);

/* LOG_LINE(log, level, part, what, fields in braces…) is the short way. */
#define LOG_LINE(log, line_level, line_part, line_what, ...)                                       \
    log_line((log),                                                                                \
             &(struct log_entry){.level = (line_level),                                            \
                                 .part = (line_part),                                              \
                                 .what = (line_what),                                              \
                                 .fields = (const struct log_field[]){__VA_ARGS__},                \
                                 .fields_count = sizeof((const struct log_field[]){__VA_ARGS__}) / \
                                                 sizeof(struct log_field)})

/* log_trace is a trace sink (base/trace.h) with a struct log as context: debug lines. */
void log_trace(void *context, const struct tern_trace_event *event);

#endif
