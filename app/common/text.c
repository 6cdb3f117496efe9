#include "app/common/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint64_t TEXT_SIZE_MAX = UINT64_C(1) << 63;

bool app_say(struct app_message *message, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(message->text, sizeof message->text, format, args);
    va_end(args);
    return false;
}

void app_hex(const void *bytes, size_t size, char *text)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *in = bytes;
    for (size_t i = 0; i < size; i++) {
        text[2 * i] = digits[in[i] >> 4];
        text[2 * i + 1] = digits[in[i] & 15];
    }
    text[2 * size] = '\0';
}

static int text_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool app_unhex_any(const char *text, size_t text_size, uint8_t *bytes, size_t max, size_t *size)
{
    if (text_size % 2 != 0 || text_size / 2 > max)
        return false;
    for (size_t i = 0; i < text_size / 2; i++) {
        int high = text_digit(text[2 * i]);
        int low = text_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        bytes[i] = (uint8_t)(high * 16 + low);
    }
    *size = text_size / 2;
    return true;
}

bool app_unhex(const char *text, void *bytes, size_t size)
{
    size_t got = 0;
    return strlen(text) == 2 * size && app_unhex_any(text, 2 * size, bytes, size, &got);
}

bool app_number(const char *text, uint64_t max, uint64_t *value)
{
    if (*text < '0' || *text > '9')
        return false;
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0' || number > max)
        return false;
    *value = number;
    return true;
}

/* Reads digits and up to decimals_max digits behind a point as a number of 10^-decimals_max;
 * returns what follows, NULL when that is no number or is beyond max. */
static const char *text_decimal(const char *text, unsigned decimals_max, uint64_t max,
                                uint64_t *value)
{
    uint64_t number = 0;
    unsigned decimals = 0;
    bool point = false;
    if (*text < '0' || *text > '9')
        return NULL;
    for (; (*text >= '0' && *text <= '9') || (*text == '.' && !point); text++) {
        if (*text == '.') {
            point = true;
            continue;
        }
        decimals += point;
        if (decimals > decimals_max || number > (max - 9) / 10)
            return NULL;
        number = 10 * number + (uint64_t)(*text - '0');
    }
    for (; decimals < decimals_max; decimals++) {
        if (number > max / 10)
            return NULL;
        number *= 10;
    }
    *value = number;
    return text;
}

bool app_size(const char *text, uint64_t *bytes)
{
    static const struct {
        const char *name;
        uint64_t bytes;
    } units[] = {
        {"", 1},
        {"B", 1},
        {"kB", UINT64_C(1000)},
        {"MB", UINT64_C(1000000)},
        {"GB", UINT64_C(1000000000)},
        {"TB", UINT64_C(1000000000000)},
        {"KiB", UINT64_C(1) << 10},
        {"MiB", UINT64_C(1) << 20},
        {"GiB", UINT64_C(1) << 30},
        {"TiB", UINT64_C(1) << 40},
    };
    uint64_t thousandths = 0;
    bool whole = strchr(text, '.') == NULL;
    const char *unit = text_decimal(text, whole ? 0 : 3, TEXT_SIZE_MAX, &thousandths);
    for (size_t i = 0; unit != NULL && i < TERN_COUNT_OF(units); i++) {
        if (strcasecmp(unit, units[i].name) != 0)
            continue;
        if (thousandths > TEXT_SIZE_MAX / units[i].bytes || (!whole && units[i].bytes == 1))
            return false;
        *bytes = thousandths * units[i].bytes / (whole ? 1 : 1000);
        return true;
    }
    return false;
}

bool app_seconds(const char *text, uint64_t max_ms, uint64_t *ms)
{
    uint64_t value = 0;
    const char *end = text_decimal(text, 3, TEXT_SIZE_MAX, &value);
    if (end == NULL || *end != '\0' || value > max_ms)
        return false;
    *ms = value;
    return true;
}

static void text_no_memory(void)
{
    fputs("out of memory\n", stderr);
    _Exit(71);
}

char *app_copy(const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL)
        text_no_memory();
    return copy;
}

void *app_alloc(size_t count, size_t size)
{
    void *memory = calloc(count == 0 ? 1 : count, size);
    if (memory == NULL)
        text_no_memory();
    return memory;
}

static bool text_write_all(int fd, struct tern_view bytes)
{
    size_t size = bytes.size;
    size_t done = 0;
    while (done < size) {
        ssize_t n = write(fd, bytes.data + done, size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

bool app_write_bytes(const char *path, struct tern_view bytes, unsigned mode,
                     struct app_message *message)
{
    char beside[4096];
    int n = snprintf(beside, sizeof beside, "%s.new.%ld", path, (long)getpid());
    if (n < 0 || (size_t)n >= sizeof beside)
        return app_say(message, "%s: the path is too long", path);
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, (mode_t)mode);
    if (fd < 0)
        return app_say(message, "%s: %s", path, strerror(errno));
    bool fine = text_write_all(fd, bytes) && fsync(fd) == 0;
    int failure = errno;
    close(fd);
    if (fine && rename(beside, path) == 0)
        return true;
    failure = fine ? errno : failure;
    unlink(beside);
    return app_say(message, "%s: %s", path, strerror(failure));
}

bool app_write_file(const char *path, const char *text, unsigned mode, struct app_message *message)
{
    return app_write_bytes(path, tern_view_str(text), mode, message);
}
