#include "interop/tern/contract/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SETTINGS_OLDER_TIMEOUT_S = 180 };

static const uint64_t SETTINGS_BYTES = UINT64_C(1) << 30;

struct settings_reader {
    settings_get *get;
    const void *environment;
    bool older;
    const char *wrong; /* the first variable that is */
};

static const char *settings_value(const struct settings_reader *reader, const char *name)
{
    const char *value = reader->get(reader->environment, name);
    return value == NULL || value[0] == '\0' || strcmp(value, "null") == 0 ? NULL : value;
}

/* One variable that is called otherwise in the older contract. */
static const char *settings_pick(const struct settings_reader *reader, const char *now,
                                 const char *before, const char *otherwise)
{
    const char *value = settings_value(reader, reader->older ? before : now);
    return value == NULL ? otherwise : value;
}

static void settings_blame(struct settings_reader *reader, const char *name)
{
    if (reader->wrong == NULL)
        reader->wrong = name;
}

static bool settings_flag(struct settings_reader *reader, const char *name, const char *value)
{
    if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
        settings_blame(reader, name);
    return strcmp(value, "true") == 0;
}

static uint64_t settings_number(struct settings_reader *reader, const char *name, uint64_t most,
                                uint64_t otherwise)
{
    const char *value = settings_value(reader, name);
    char *end = NULL;
    if (value == NULL)
        return otherwise;
    errno = 0;
    unsigned long long number = strtoull(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end != '\0' || errno != 0 || number > most)
        settings_blame(reader, name);
    return number;
}

static void settings_read_key(struct settings *settings, struct settings_reader *reader)
{
    const char *key = settings_value(reader, "TEST_KEY");
    const char *kind = settings_value(reader, "LISTENER_KEY_TYPE");
    if (reader->older) {
        snprintf(settings->key, sizeof settings->key, "listenerAddr");
        settings->key_is_list = true;
        return;
    }
    int size = snprintf(settings->key, sizeof settings->key, "%s_listener_multiaddr",
                        key == NULL ? "" : key);
    if (key == NULL || size >= (int)sizeof settings->key)
        settings_blame(reader, "TEST_KEY");
    /* The programs of the transport suite push and pop; those of the perf suite set and get. */
    if (kind == NULL)
        kind = strncmp(settings->redis, "perf", 4) == 0 ? "string" : "list";
    settings->key_is_list = strcmp(kind, "list") == 0;
    if (!settings->key_is_list && strcmp(kind, "string") != 0)
        settings_blame(reader, "LISTENER_KEY_TYPE");
}

static void settings_read_perf(struct settings *settings, struct settings_reader *reader)
{
    static const char *const names[] = {"UPLOAD_BYTES", "DOWNLOAD_BYTES", "LATENCY_ITERATIONS"};
    const char *header = settings_value(reader, "PERF_HEADER");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        settings->perf = settings->perf || reader->get(reader->environment, names[i]) != NULL;
    settings->upload_bytes = settings_number(reader, "UPLOAD_BYTES", INT64_MAX, SETTINGS_BYTES);
    settings->download_bytes = settings_number(reader, "DOWNLOAD_BYTES", INT64_MAX, SETTINGS_BYTES);
    settings->upload_iterations = (uint32_t)settings_number(reader, "UPLOAD_ITERATIONS", 10000, 10);
    settings->download_iterations =
        (uint32_t)settings_number(reader, "DOWNLOAD_ITERATIONS", 10000, 10);
    settings->latency_iterations =
        (uint32_t)settings_number(reader, "LATENCY_ITERATIONS", 10000, 100);
    settings->duration_s = (uint32_t)settings_number(reader, "DURATION", 3600, 0);
    settings->header16 = header != NULL && strcmp(header, "16") == 0;
    if (header != NULL && !settings->header16 && strcmp(header, "8") != 0)
        settings_blame(reader, "PERF_HEADER");
}

bool settings_asked(settings_get *get, const void *environment)
{
    const struct settings_reader reader = {.get = get, .environment = environment};
    return settings_value(&reader, "IS_DIALER") != NULL ||
           settings_value(&reader, "is_dialer") != NULL;
}

const char *settings_read(struct settings *settings, settings_get *get, const void *environment)
{
    struct settings_reader reader = {.get = get, .environment = environment};
    reader.older = settings_value(&reader, "IS_DIALER") == NULL;
    bool older = reader.older;
    const char *dialer_name = older ? "is_dialer" : "IS_DIALER";
    *settings = (struct settings){
        .older = older,
        .transport = settings_pick(&reader, "TRANSPORT", "transport", NULL),
        .secure = settings_pick(&reader, "SECURE_CHANNEL", "security", NULL),
        .muxer = settings_pick(&reader, "MUXER", "muxer", NULL),
        .redis = settings_pick(&reader, "REDIS_ADDR", "redis_addr", "redis:6379"),
        .ip = settings_pick(&reader, "LISTENER_IP", "ip", "0.0.0.0"),
    };
    settings->dialer =
        settings_flag(&reader, dialer_name, settings_pick(&reader, "IS_DIALER", "is_dialer", ""));
    settings->debug =
        settings_flag(&reader, "DEBUG", settings_pick(&reader, "DEBUG", "debug", "false"));
    if (settings->transport == NULL)
        settings_blame(&reader, older ? "transport" : "TRANSPORT");
    settings->timeout_s =
        (uint32_t)settings_number(&reader, older ? "test_timeout_seconds" : "TEST_TIMEOUT_SECS",
                                  86400, older ? SETTINGS_OLDER_TIMEOUT_S : 0);
    settings_read_key(settings, &reader);
    if (!older)
        settings_read_perf(settings, &reader);
    return reader.wrong;
}
