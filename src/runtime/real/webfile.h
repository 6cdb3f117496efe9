/*
 * Certificates of secure WebSocket from files: what a server shows, and whom a client trusts.
 *
 * Blocking; at start, or when certificates have been renewed.
 */
#ifndef TERN_RUNTIME_REAL_WEBFILE_H
#define TERN_RUNTIME_REAL_WEBFILE_H

#include "secure/web_tls.h"

enum { TERN_WEBFILE_SIZE_MAX = 4 << 20 };

/* Paths of PEM files. */
struct tern_webfile_options {
    const char *certificate; /* what a server shows, its own first; NULL: it is no server */
    const char *key;         /* of it; with certificate alone */
    const char *trust; /* authorities that a client trusts; NULL: those of the system, if it has any
                          where Debian keeps them */
};

/* tern_webfile_load makes what channels of secure WebSocket share. message, if not NULL, receives a
 * sentence about what went wrong. TERN_ERR_MEMORY; TERN_ERR_IO: a file cannot be read;
 * TERN_ERR_INVALID: only one of certificate and key is given, or the certificate is too weak;
 * TERN_ERR_MALFORMED, TOO_LARGE, BAD_KEY: see tern_web_tls_set_credentials. */
TERN_NODISCARD tern_err tern_webfile_load(const struct tern_webfile_options *options,
                                          struct tern_web_tls *web, char *message,
                                          size_t message_size);

#endif
