/*
 * Tables for people: columns as wide as their widest cell, numbers to the right.
 */
#ifndef TERN_APP_COMMON_TABLE_H
#define TERN_APP_COMMON_TABLE_H

#include <stdio.h>

#include "app/common/text.h"

enum { TABLE_COLUMNS_MAX = 12, TABLE_ROWS_MAX = 2048, TABLE_CELL_SIZE = 100 };

/* Names starting with '>' are columns of numbers, set to the right. */
struct table {
    size_t columns_count;
    size_t rows_count; /* the head included */
    bool right[TABLE_COLUMNS_MAX];
    char (*cells)[TABLE_COLUMNS_MAX][TABLE_CELL_SIZE];
};

/* table_init takes the columns' names; NULL ends the list. */
void table_init(struct table *table, const char *const *names);
void table_free(struct table *table);

/* table_row begins a row; rows beyond the limit are dropped. table_cell fills in the next cell of
 * it. */
void table_row(struct table *table);
void table_cell(struct table *table, size_t column, const char *format, ...) TERN_PRINTF(3, 4);
void table_print(const struct table *table, FILE *out);

/* Short forms for people: a hash or peer id by its ends, money with its unit, a time ago. */
const char *text_short(const char *text, char out[24]);
const char *text_duration(uint64_t ms, char out[24]);
const char *text_bytes(uint64_t bytes, char out[24]);
const char *text_rate(double bits_per_second, char out[24]);
const char *text_ms(double ns, char out[24]);

#endif
