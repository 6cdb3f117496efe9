#include "app/common/table.h"

#include <stdarg.h>
#include <stdlib.h>

void table_init(struct table *table, const char *const *names)
{
    *table = (struct table){.columns_count = 0};
    table->cells = app_alloc(TABLE_ROWS_MAX, sizeof table->cells[0]);
    table_row(table);
    for (size_t i = 0; names[i] != NULL && i < TABLE_COLUMNS_MAX; i++) {
        table->right[i] = names[i][0] == '>';
        table->columns_count = i + 1;
        table_cell(table, i, "%s", names[i] + (table->right[i] ? 1 : 0));
    }
}

void table_free(struct table *table)
{
    free(table->cells);
    *table = (struct table){.columns_count = 0};
}

void table_row(struct table *table)
{
    if (table->rows_count < TABLE_ROWS_MAX)
        table->rows_count++;
}

void table_cell(struct table *table, size_t column, const char *format, ...)
{
    va_list args;
    if (column >= table->columns_count || table->rows_count == 0)
        return;
    va_start(args, format);
    vsnprintf(table->cells[table->rows_count - 1][column], TABLE_CELL_SIZE, format, args);
    va_end(args);
}

/* What others sent may hold control characters: they must not reach the terminal. */
static void table_print_cell(const char *text, FILE *out)
{
    for (; *text != '\0'; text++)
        fputc((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text, out);
}

static size_t table_width(const struct table *table, size_t column)
{
    size_t width = 0;
    for (size_t row = 0; row < table->rows_count; row++)
        width = tern_max_size(width, strlen(table->cells[row][column]));
    return width;
}

void table_print(const struct table *table, FILE *out)
{
    size_t widths[TABLE_COLUMNS_MAX] = {0};
    for (size_t i = 0; i < table->columns_count; i++)
        widths[i] = table_width(table, i);
    for (size_t row = 0; row < table->rows_count; row++) {
        for (size_t i = 0; i < table->columns_count; i++) {
            const char *text = table->cells[row][i];
            int pad = (int)(widths[i] - strlen(text));
            bool last = i + 1 == table->columns_count;
            fprintf(out, "%s%*s", i == 0 ? "" : "  ", table->right[i] ? pad : 0, "");
            table_print_cell(text, out);
            fprintf(out, "%*s", table->right[i] || last ? 0 : pad, "");
        }
        fputc('\n', out);
    }
}

const char *text_short(const char *text, char out[24])
{
    size_t size = strlen(text);
    if (size <= 14)
        snprintf(out, 24, "%s", text);
    else
        snprintf(out, 24, "%.6s..%s", text, text + size - 6);
    return out;
}

const char *text_duration(uint64_t ms, char out[24])
{
    uint64_t s = ms / 1000;
    if (s < 60)
        snprintf(out, 24, "%llu.%llus", (unsigned long long)s,
                 (unsigned long long)(ms % 1000 / 100));
    else if (s < 3600)
        snprintf(out, 24, "%llum %llus", (unsigned long long)(s / 60),
                 (unsigned long long)(s % 60));
    else
        snprintf(out, 24, "%lluh %llum", (unsigned long long)(s / 3600),
                 (unsigned long long)(s % 3600 / 60));
    return out;
}

enum { TEXT_UNITS = 5 };

/* The value in the largest of the units, each a thousand of the one before, that leaves it above 1.
 */
static const char *text_scaled(double value, const char *const units[TEXT_UNITS], int decimals,
                               char out[24])
{
    size_t unit = 0;
    while (value >= 1000 && unit + 1 < TEXT_UNITS) {
        value /= 1000;
        unit++;
    }
    snprintf(out, 24, "%.*f %s", unit == 0 ? 0 : decimals, value, units[unit]);
    return out;
}

const char *text_bytes(uint64_t bytes, char out[24])
{
    static const char *const units[TEXT_UNITS] = {"B", "KB", "MB", "GB", "TB"};
    return text_scaled((double)bytes, units, 1, out);
}

const char *text_rate(double bits_per_second, char out[24])
{
    static const char *const units[TEXT_UNITS] = {"bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"};
    return text_scaled(bits_per_second, units, 2, out);
}

const char *text_ms(double ns, char out[24])
{
    snprintf(out, 24, "%.3f ms", ns / 1e6);
    return out;
}
