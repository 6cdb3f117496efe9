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
    int error; /* errno, of TERN_ERR_IO */
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
    file->error = errno;
    if (stream == NULL)
        return TERN_ERR_IO;
    file->bytes = malloc(TERN_WEBFILE_SIZE_MAX);
    if (file->bytes != NULL)
        file->size = fread(file->bytes, 1, TERN_WEBFILE_SIZE_MAX, stream);
    tern_err err = file->bytes == NULL                   ? TERN_ERR_MEMORY
                   : ferror(stream)                      ? TERN_ERR_IO
                   : file->size == TERN_WEBFILE_SIZE_MAX ? TERN_ERR_TOO_LARGE
                                                         : TERN_OK;
    file->error = errno;
    (void)fclose(stream);
    return err;
}

static struct tern_view webfile_view(const struct webfile *file)
{
    return tern_view_of(file->bytes, file->size);
}

/* Where a sentence goes. */
struct webfile_message {
    char *text;
    size_t size;
};

static void webfile_say(const struct webfile_message *message, const char *path, const char *what)
{
    if (message->text != NULL && message->size > 0)
        (void)snprintf(message->text, message->size, "%.400s: %s", path, what);
}

static void webfile_explain(const struct webfile_message *message, tern_err err, const char *path,
                            const struct webfile *file)
{
    webfile_say(message, path, err == TERN_ERR_IO ? strerror(file->error) : tern_err_text(err));
}

static tern_err webfile_serve(const struct tern_webfile_options *options, struct tern_web_tls *web,
                              const struct webfile_message *message)
{
    struct webfile chain = {.bytes = NULL};
    struct webfile key = {.bytes = NULL};
    tern_err err = webfile_read(options->certificate, &chain);
    if (err != TERN_OK) {
        webfile_explain(message, err, options->certificate, &chain);
    } else if ((err = webfile_read(options->key, &key)) != TERN_OK) {
        webfile_explain(message, err, options->key, &key);
    } else {
        const struct tern_web_credentials credentials = {.chain = webfile_view(&chain),
                                                         .key = webfile_view(&key)};
        err = tern_web_tls_set_credentials(web, &credentials);
        if (err != TERN_OK)
            webfile_say(message, err == TERN_ERR_BAD_KEY ? options->key : options->certificate,
                        tern_err_text(err));
    }
    webfile_free(&chain);
    webfile_free(&key);
    return err;
}

static tern_err webfile_trust(const struct tern_webfile_options *options, struct tern_web_tls *web,
                              const struct webfile_message *message)
{
    struct webfile trust = {.bytes = NULL};
    const char *path = options->trust == NULL ? WEBFILE_SYSTEM_TRUST : options->trust;
    tern_err err = webfile_read(path, &trust);
    if (err == TERN_ERR_IO && options->trust == NULL)
        err = TERN_OK; /* then no server is trusted */
    if (err == TERN_OK)
        err = tern_web_tls_init(web, &(struct tern_web_tls_config){.verify = TERN_WEB_VERIFY,
                                                                   .roots = webfile_view(&trust)});
    if (err != TERN_OK)
        webfile_explain(message, err, path, &trust);
    webfile_free(&trust);
    return err;
}

tern_err tern_webfile_load(const struct tern_webfile_options *options, struct tern_web_tls *web,
                           char *text, size_t text_size)
{
    const struct webfile_message message = {.text = text, .size = text_size};
    if ((options->certificate == NULL) != (options->key == NULL)) {
        webfile_say(&message, options->key == NULL ? options->certificate : options->key,
                    "a certificate's file and its key's belong together; name both");
        return TERN_ERR_INVALID;
    }
    TERN_TRY(webfile_trust(options, web, &message));
    if (options->certificate == NULL)
        return TERN_OK;
    tern_err err = webfile_serve(options, web, &message);
    if (err != TERN_OK)
        tern_web_tls_fini(web);
    return err;
}
