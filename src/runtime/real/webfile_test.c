/* Certificates from files: what is read, and what is said about what cannot be. */
#include "runtime/real/webfile.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tern_test.h"
#include "web_certificates.h"

static char folder[] = "/tmp/tern-webfile.XXXXXX";
static char paths[4][64]; /* chain, its key, another key, what is no PEM */

static void put(char *path, const char *name, const char *text, size_t size)
{
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static int setup(void **state)
{
    struct web_pem own;
    struct web_pem other;
    (void)state;
    assert_non_null(mkdtemp(folder));
    web_certify(&(struct web_certificate){.names = "DNS:a.example"}, NULL, &own);
    web_certify(&(struct web_certificate){.names = "DNS:b.example"}, NULL, &other);
    put(paths[0], "chain.pem", own.text, own.text_size);
    put(paths[1], "key.pem", own.key_text, own.key_size);
    put(paths[2], "other.pem", other.key_text, other.key_size);
    put(paths[3], "odd.pem", "odd", 3);
    web_pem_fini(&own);
    web_pem_fini(&other);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(paths); i++)
        (void)unlink(paths[i]);
    return rmdir(folder);
}

static void what_is_there_is_used(void **state)
{
    struct tern_web_tls web;
    char text[256] = "";
    (void)state;
    assert_ok(tern_webfile_load(&(struct tern_webfile_options){.trust = paths[0]}, &web, text,
                                sizeof text));
    assert_false(tern_web_tls_serves(&web));
    tern_web_tls_fini(&web);
    assert_ok(tern_webfile_load(
        &(struct tern_webfile_options){.certificate = paths[0], .key = paths[1]}, &web, NULL, 0));
    assert_true(tern_web_tls_serves(&web));
    tern_web_tls_fini(&web);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    const struct {
        struct tern_webfile_options files;
        tern_err err;
        const char *path, *says;
    } cases[] = {
        {{.certificate = paths[0]}, TERN_ERR_INVALID, paths[0], "belong together"},
        {{.key = paths[1]}, TERN_ERR_INVALID, paths[1], "belong together"},
        {{.trust = "/nowhere.pem"}, TERN_ERR_IO, "/nowhere.pem", "No such file"},
        {{.trust = folder}, TERN_ERR_IO, folder, "Is a directory"},
        {{.trust = paths[3]}, TERN_ERR_MALFORMED, paths[3], ""},
        {{.certificate = paths[3], .key = paths[1]}, TERN_ERR_MALFORMED, paths[3], ""},
        {{.certificate = paths[0], .key = "/nowhere.pem"}, TERN_ERR_IO, "/nowhere.pem", "No such"},
        {{.certificate = paths[0], .key = paths[2]}, TERN_ERR_BAD_KEY, paths[2], ""},
        {{.certificate = paths[0], .key = paths[3]}, TERN_ERR_BAD_KEY, paths[3], ""},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        struct tern_web_tls web;
        char text[256] = "";
        assert_int_equal(tern_webfile_load(&cases[i].files, &web, text, sizeof text), cases[i].err);
        assert_memory_equal(text, cases[i].path, strlen(cases[i].path));
        assert_non_null(strstr(text, cases[i].says));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_there_is_used),
        cmocka_unit_test(what_is_wrong_is_named),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
