/* Our tables against the public ones of multiformats, in testing/vectors. */
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
    const char *root = getenv("TERN_SOURCE_ROOT");
    assert_non_null(root);
    assert_true(snprintf(path, sizeof path, "%s/testing/vectors/%s", root, name) <
                (int)sizeof path);
    FILE *f = fopen(path, "r");
    if (f == NULL)
        fail_msg("%s cannot be opened", path);
    return f;
}

/* Reads the next line that is no comment into words; false at the end of the file. */
static bool next_row(FILE *f, char *line, char **words, size_t words_count)
{
    do {
        if (fgets(line, LINE_MAX_SIZE, f) == NULL)
            return false;
    } while (line[0] == '#');
    char *rest = NULL;
    for (size_t i = 0; i < words_count; i++) {
        words[i] = strtok_r(i == 0 ? line : NULL, " \n", &rest);
        assert_non_null(words[i]);
    }
    assert_null(strtok_r(NULL, " \n", &rest));
    return true;
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

static void check_base(enum tern_base base, struct tern_view bytes, const char *text,
                       bool canonical)
{
    uint8_t back[256];
    struct tern_writer w = tern_writer_of(back, sizeof back);
    enum tern_base found;
    assert_int_equal(tern_multibase_decode(tern_view_str(text), &w, &found), TERN_OK);
    assert_int_equal(found, base);
    assert_true(tern_view_equal(tern_writer_view(&w), bytes));
    char out[LINE_MAX_SIZE];
    struct tern_writer o = tern_writer_of(out, sizeof out);
    assert_int_equal(tern_multibase_encode(base, bytes, &o), TERN_OK);
    assert_true(tern_writer_terminate(&o));
    if (canonical)
        assert_string_equal(out, text);
}

static void bases_agree_with_the_public_vectors(void **state)
{
    (void)state;
    FILE *f = open_vectors("multibase.txt");
    char line[LINE_MAX_SIZE];
    char *words[4]; /* form, base, bytes, text */
    size_t canonical_counts[TERN_BASE_COUNT] = {0};
    size_t folded_count = 0;
    while (next_row(f, line, words, TERN_COUNT_OF(words))) {
        enum tern_base base;
        uint8_t bytes[256];
        struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
        bool canonical = strcmp(words[0], "canonical") == 0;
        if (!base_of_name(words[1], &base))
            fail_msg("%s is no base of ours", words[1]);
        assert_int_equal(tern_base_decode(TERN_BASE16, tern_view_str(words[2]), &w), TERN_OK);
        check_base(base, tern_writer_view(&w), words[3], canonical);
        if (canonical)
            canonical_counts[base]++;
        else
            folded_count++;
    }
    fclose(f);
    for (unsigned i = 0; i < TERN_BASE_COUNT; i++) /* base64i2p is none of theirs */
        assert_int_equal(canonical_counts[i], i == TERN_BASE64_I2P ? 0 : 3);
    assert_int_equal(folded_count, 12);
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
        FILE *f = open_vectors("multicodec.txt");
        char line[LINE_MAX_SIZE];
        char *words[3]; /* tag, code, name */
        bool found = is_listed_elsewhere(rows[i].name);
        while (next_row(f, line, words, TERN_COUNT_OF(words))) {
            if (strcmp(words[0], tag) != 0 || strcmp(words[2], rows[i].name) != 0)
                continue;
            found = true;
            uint64_t code = strtoull(words[1], NULL, 16);
            if (code != rows[i].code)
                fail_msg("%s is 0x%llx", rows[i].name, (unsigned long long)code);
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
