/*
 * Small text helpers of the programs: messages, hexadecimal, numbers, sizes, times.
 */
#ifndef TERN_APP_COMMON_TEXT_H
#define TERN_APP_COMMON_TEXT_H

#include "base/types.h"
#include "chain/types.h"

/* A sentence about what went wrong, for people. Empty: nothing did. */
struct app_message {
    char text[512];
};

/* app_say fills a message in and returns false, so that a check can end with it. */
bool app_say(struct app_message *message, const char *format, ...) TERN_PRINTF(2, 3);

enum { APP_HEX_HASH_SIZE = 2 * TERN_HASH_SIZE + 1 };

/* app_hex writes size bytes as lower-case hexadecimal text; text has 2 * size + 1 bytes. */
void app_hex(const void *bytes, size_t size, char *text);

/* app_unhex reads exactly size bytes of hexadecimal text; false for anything else. */
bool app_unhex(const char *text, void *bytes, size_t size);

/* app_unhex_any reads text of any length up to max bytes; false when it is not hexadecimal, odd or
 * too long. */
bool app_unhex_any(const char *text, size_t text_size, uint8_t *bytes, size_t max, size_t *size);

/* app_number reads a decimal number without sign, of at most max; false for anything else. */
bool app_number(const char *text, uint64_t max, uint64_t *value);

/* app_size reads a number of bytes, such as 1000, 64MiB, 1.5GB: kB, MB, GB, TB count by 1000, KiB,
 * MiB, GiB, TiB by 1024, in either case. False for anything else, and beyond 9e18. */
bool app_size(const char *text, uint64_t *bytes);

/* app_seconds reads seconds with at most three decimals, such as 10 or 0.2, of at most max_ms;
 * false for anything else. */
bool app_seconds(const char *text, uint64_t max_ms, uint64_t *ms);

/* app_copy duplicates a string; the process ends when there is no memory. */
char *app_copy(const char *text);

/* app_alloc is calloc that ends the process when there is no memory: for the start of a program. */
void *app_alloc(size_t count, size_t size);

/* app_write_bytes is app_write_file for bytes. */
bool app_write_bytes(const char *path, struct tern_view bytes, unsigned mode,
                     struct app_message *message);

/* app_write_file writes a small file whole or not at all (beside it, then renamed) with this mode.
 */
bool app_write_file(const char *path, const char *text, unsigned mode, struct app_message *message);

#endif
