/*
 * Our tables against the public ones. Built when -Dvectors=FOLDER names a folder with checkouts of
 * multiformats/multibase (as multibase/) and multiformats/multicodec (as multicodec/).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "wire/multiaddr.h"
#include "wire/multibase.h"
#include "wire/multihash.h"

#include <cmocka.h>

enum { LINE_MAX_SIZE = 1024 };

static FILE *open_vectors(const char *name)
{
    char path[4096];
    assert_true(snprintf(path, sizeof path, "%s/%s", TERN_VECTORS, name) < (int)sizeof path);
    FILE *f = fopen(path, "r");
    if (f == NULL)
        fail_msg("%s cannot be opened", path);
    return f;
}

/* Cuts the next comma-separated cell off a line, without the spaces and quotes around it. */
static char *next_cell(char **line)
{
    char *cell = *line;
    char *comma = strchr(cell, ',');
    *line = comma == NULL ? cell + strlen(cell) : comma + 1;
    if (comma != NULL)
        *comma = '\0';
    cell += strspn(cell, " \"");
    size_t size = strlen(cell);
    while (size > 0 && strchr(" \"\r\n", cell[size - 1]) != NULL)
        cell[--size] = '\0';
    return cell;
}

static bool base_of_name(const char *name, enum tern_base *base)
{
    for (unsigned i = 0; i < TERN_BASE_COUNT; i++) {
        *base = (enum tern_base)i;
        if (strcmp(tern_base_name(*base), name) == 0)
            return true;
    }
    return false;
}

static size_t check_base_file(const char *name, struct tern_view expected, bool canonical)
{
    FILE *f = open_vectors(name);
    char line[LINE_MAX_SIZE];
    assert_non_null(fgets(line, sizeof line, f)); /* the heading */
    size_t count = 0;
    while (fgets(line, sizeof line, f) != NULL) {
        char *rest = line;
        char *base_name = next_cell(&rest);
        char *text = rest + strspn(rest, " \"");
        text[strcspn(text, "\"\r\n")] = '\0';
        enum tern_base base;
        if (!base_of_name(base_name, &base))
            continue; /* one that we do not speak */
        uint8_t bytes[256];
        struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
        enum tern_base found;
        assert_int_equal(tern_multibase_decode(tern_view_str(text), &w, &found), TERN_OK);
        assert_int_equal(found, base);
        assert_true(tern_view_equal(tern_writer_view(&w), expected));
        char out[LINE_MAX_SIZE];
        struct tern_writer o = tern_writer_of(out, sizeof out);
        assert_int_equal(tern_multibase_encode(base, expected, &o), TERN_OK);
        assert_true(tern_writer_terminate(&o));
        if (canonical)
            assert_string_equal(out, text);
        count++;
    }
    fclose(f);
    return count;
}

static void bases_agree_with_the_public_vectors(void **state)
{
    (void)state;
    size_t ours = TERN_BASE_COUNT - 1; /* base64i2p is none of theirs */
    assert_int_equal(
        check_base_file("multibase/tests/basic.csv", tern_view_str("yes mani !"), true), ours);
    assert_int_equal(
        check_base_file("multibase/tests/leading_zero.csv", tern_view_of("\0yes mani !", 11), true),
        ours);
    assert_int_equal(check_base_file("multibase/tests/two_leading_zeros.csv",
                                     tern_view_of("\0\0yes mani !", 12), true),
                     ours);
    assert_true(check_base_file("multibase/tests/case_insensitivity.csv",
                                tern_view_str("hello world"), false) >= 12);
}

struct row {
    const char *name;
    uint64_t code;
};

static const struct row addresses[] = {
#define X(name, code, text, value) {text, code},
#include "wire/multiaddr.def"
#undef X
};

static const struct row hashes[] = {
#define X(name, code, size, text) {text, code},
#include "wire/multihash.def"
#undef X
};

/* "memory" is agreed on by all implementations, but is not in the table. */
static bool is_listed_elsewhere(const char *name)
{
    return strcmp(name, "memory") == 0;
}

static void check_codes(const char *tag, const struct row *rows, size_t rows_count)
{
    for (size_t i = 0; i < rows_count; i++) {
        FILE *f = open_vectors("multicodec/table.csv");
        char line[LINE_MAX_SIZE];
        bool found = is_listed_elsewhere(rows[i].name);
        while (fgets(line, sizeof line, f) != NULL) {
            char *rest = line;
            const char *name = next_cell(&rest);
            const char *row_tag = next_cell(&rest);
            uint64_t code = strtoull(next_cell(&rest), NULL, 16);
            if (strcmp(name, rows[i].name) != 0 || strcmp(row_tag, tag) != 0)
                continue;
            found = true;
            if (code != rows[i].code)
                fail_msg("%s is 0x%llx", name, (unsigned long long)code);
        }
        fclose(f);
        if (!found)
            fail_msg("%s is not in the table", rows[i].name);
    }
}

static void codes_agree_with_the_public_table(void **state)
{
    (void)state;
    check_codes("multiaddr", addresses, TERN_COUNT_OF(addresses));
    check_codes("multihash", hashes, TERN_COUNT_OF(hashes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bases_agree_with_the_public_vectors),
        cmocka_unit_test(codes_agree_with_the_public_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
