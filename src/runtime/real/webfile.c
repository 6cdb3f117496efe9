#include "runtime/real/webfile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char WEBFILE_SYSTEM_TRUST[] = "/etc/ssl/certs/ca-certificates.crt";

/* What was read, until it is freed. */
struct webfile {
    uint8_t *bytes;
    size_t size;
};

static void webfile_free(struct webfile *file)
{
    if (file->bytes != NULL)
        explicit_bzero(file->bytes, file->size); /* it may have been a key */
    free(file->bytes);
    *file = (struct webfile){.bytes = NULL};
}

static tern_err webfile_read(const char *path, struct webfile *file)
{
    FILE *stream = fopen(path, "re");
    if (stream == NULL)
        return TERN_ERR_IO;
    file->bytes = malloc(TERN_WEBFILE_SIZE_MAX);
    if (file->bytes != NULL)
        file->size = fread(file->bytes, 1, TERN_WEBFILE_SIZE_MAX, stream);
    tern_err err = file->bytes == NULL                   ? TERN_ERR_MEMORY
                   : ferror(stream)                      ? TERN_ERR_IO
                   : file->size == TERN_WEBFILE_SIZE_MAX ? TERN_ERR_TOO_LARGE
                                                         : TERN_OK;
    (void)fclose(stream);
    return err;
}

static struct tern_view webfile_view(const struct webfile *file)
{
    return tern_view_of(file->bytes, file->size);
}

static tern_err webfile_say(char *message, size_t size, tern_err err, const char *path)
{
    if (message != NULL && size > 0)
        (void)snprintf(message, size, "%.400s: %s", path,
                       err == TERN_ERR_IO ? strerror(errno) : tern_err_text(err));
    return err;
}

static tern_err webfile_serve(const struct tern_webfile_options *options, struct tern_web_tls *web,
                              char *message, size_t message_size)
{
    struct webfile chain = {.bytes = NULL};
    struct webfile key = {.bytes = NULL};
    const char *path = options->certificate;
    tern_err err = webfile_read(path, &chain);
    if (err == TERN_OK) {
        path = options->key;
        err = webfile_read(path, &key);
    }
    if (err == TERN_OK) {
        const struct tern_web_credentials credentials = {.chain = webfile_view(&chain),
                                                         .key = webfile_view(&key)};
        err = tern_web_tls_set_credentials(web, &credentials);
        path = err == TERN_ERR_BAD_KEY ? options->key : options->certificate;
    }
    if (err != TERN_OK)
        (void)webfile_say(message, message_size, err, path);
    webfile_free(&chain);
    webfile_free(&key);
    return err;
}

tern_err tern_webfile_load(const struct tern_webfile_options *options, struct tern_web_tls *web,
                           char *message, size_t message_size)
{
    struct webfile trust = {.bytes = NULL};
    const char *path = options->trust == NULL ? WEBFILE_SYSTEM_TRUST : options->trust;
    if ((options->certificate == NULL) != (options->key == NULL))
        return webfile_say(message, message_size, TERN_ERR_INVALID,
                           "a certificate's file and its key's belong together");
    tern_err err = webfile_read(path, &trust);
    if (err == TERN_ERR_IO && options->trust == NULL)
        err = TERN_OK; /* then no server is trusted */
    if (err == TERN_OK)
        err = tern_web_tls_init(web, &(struct tern_web_tls_config){.verify = TERN_WEB_VERIFY,
                                                                   .roots = webfile_view(&trust)});
    if (err != TERN_OK)
        (void)webfile_say(message, message_size, err, path);
    webfile_free(&trust);
    if (err != TERN_OK || options->certificate == NULL)
        return err;
    err = webfile_serve(options, web, message, message_size);
    if (err != TERN_OK)
        tern_web_tls_fini(web);
    return err;
}
