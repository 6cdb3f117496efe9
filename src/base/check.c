#include "base/check.h"

#include "base/writer.h"

char tern_check_message[TERN_CHECK_MESSAGE_SIZE];

void tern_check_failed(const char *expression, const char *file, int line)
{
    struct tern_writer w = tern_writer_of(tern_check_message, sizeof(tern_check_message));
    tern_writer_str(&w, file);
    tern_writer_str(&w, ":");
    tern_writer_decimal(&w, line > 0 ? (uint64_t)line : 0);
    tern_writer_str(&w, ": ");
    size_t room = tern_writer_left(&w) > 0 ? tern_writer_left(&w) - 1 : 0;
    tern_writer_bytes(&w, tern_view_of(expression, strnlen(expression, room)));
    (void)tern_writer_terminate(&w);
    __builtin_trap();
}
