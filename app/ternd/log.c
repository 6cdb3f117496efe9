#include "app/ternd/log.h"

#include <time.h>
#include <unistd.h>

enum { LOG_LINE_MAX = 2048 };

struct log_writer {
    char text[LOG_LINE_MAX];
    size_t size;
};

void log_init(struct log *log, enum config_log_level level, enum config_log_format format)
{
    *log = (struct log){.level = level, .format = format};
}

static void log_put(struct log_writer *w, const char *text)
{
    size_t size = tern_min_size(strlen(text), sizeof w->text - 2 - w->size);
    memcpy(w->text + w->size, text, size);
    w->size += size;
}

/* Text of others may hold anything: what is not printable is escaped, in JSON's way. */
static void log_put_quoted(struct log_writer *w, const char *text)
{
    log_put(w, "\"");
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        char out[8];
        if (c == '"' || c == '\\')
            snprintf(out, sizeof out, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            snprintf(out, sizeof out, "\\u%04x", c);
        else
            snprintf(out, sizeof out, "%c", c);
        log_put(w, out);
    }
    log_put(w, "\"");
}

static void log_put_time(struct log_writer *w)
{
    struct timespec now;
    struct tm parts;
    char date[32];
    char text[48];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text, sizeof text, "%s.%03ldZ", date, now.tv_nsec / 1000000);
    log_put(w, text);
}

static void log_put_value(struct log_writer *w, const struct log_field *field, bool quote)
{
    char number[32];
    if (field->text == NULL) {
        snprintf(number, sizeof number, "%llu", (unsigned long long)field->number);
        log_put(w, number);
    } else if (quote || strpbrk(field->text, " \"\\\n\r\t=") != NULL || field->text[0] == '\0') {
        log_put_quoted(w, field->text);
    } else {
        log_put(w, field->text);
    }
}

static void log_put_text(struct log_writer *w, const struct log_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        log_put(w, " ");
        for (const char *c = fields[i].name; *c != '\0'; c++)
            log_put(w, (char[]){(char)(*c == ' ' ? '_' : *c), '\0'});
        log_put(w, "=");
        log_put_value(w, &fields[i], false);
    }
}

static void log_put_json(struct log_writer *w, const struct log_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        log_put(w, ",");
        log_put_quoted(w, fields[i].name);
        log_put(w, ":");
        log_put_value(w, &fields[i], true);
    }
    log_put(w, "}");
}

void log_line(const struct log *log, const struct log_entry *entry)
{
    struct log_writer w = {.size = 0};
    if (entry->level > log->level)
        return;
    if (log->format == CONFIG_LOG_JSON) {
        log_put(&w, "{\"ts\":\"");
        log_put_time(&w);
        log_put(&w, "\",\"level\":\"");
        log_put(&w, config_level_name(entry->level));
        log_put(&w, "\",\"part\":\"");
        log_put(&w, entry->part);
        log_put(&w, "\",\"msg\":");
        log_put_quoted(&w, entry->what);
        log_put_json(&w, entry->fields, entry->fields_count);
    } else {
        log_put_time(&w);
        log_put(&w, " ");
        log_put(&w, config_level_name(entry->level));
        log_put(&w, " ");
        log_put(&w, entry->part);
        log_put(&w, ": ");
        log_put(&w, entry->what);
        log_put_text(&w, entry->fields, entry->fields_count);
    }
    w.text[w.size++] = '\n';
    /* A log that nobody takes is no reason to stop. */
    ssize_t ignored = write(STDERR_FILENO, w.text, w.size);
    (void)ignored;
}

void log_trace(void *context, const struct tern_trace_event *event)
{
    const struct log *log = context;
    const struct tern_trace_info *info = tern_trace_info(event->id);
    struct log_field fields[3];
    size_t count = 0;
    if (log->level < CONFIG_LOG_DEBUG)
        return;
    for (size_t i = 0; i < 3; i++)
        if (info->arg_names[i][0] != '\0')
            fields[count++] =
                (struct log_field){.name = info->arg_names[i], .number = event->args[i]};
    log_line(log, &(struct log_entry){.level = CONFIG_LOG_DEBUG,
                                      .part = info->layer,
                                      .what = info->text,
                                      .fields = fields,
                                      .fields_count = count});
}
