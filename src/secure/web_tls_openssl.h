/*
 * OpenSSL over memory, which is the engine of the web's TLS (secure/tls_handshake.h) and then takes
 * its records: contexts, objects, and what its errors mean. For web_tls.c and web_tls_context.c,
 * which say by callbacks of their contexts what is asked of the other end.
 */
#ifndef TERN_SECURE_WEB_TLS_OPENSSL_H
#define TERN_SECURE_WEB_TLS_OPENSSL_H

#include "secure/tls_handshake.h"

struct ssl_st;
struct ssl_ctx_st;
struct bio_method_st;

/* A context and the methods of its memory. Read-only after init, also by jobs. */
struct tern_web_tls_context {
    struct ssl_ctx_st *ssl;
    struct bio_method_st *bio;
};

/* tern_web_tls_context_init makes a context for both roles, without tickets, compression,
 * renegotiation, early data, or trust in anything. TERN_ERR_MEMORY. */
TERN_NODISCARD tern_err tern_web_tls_context_init(struct tern_web_tls_context *context);
void tern_web_tls_context_fini(struct tern_web_tls_context *context);

/* tern_web_tls_ssl_new makes an object of the handshake's role, which reads and writes by its pipe
 * and has it for its app data; its owner frees it. NULL: no memory. */
struct ssl_st *tern_web_tls_ssl_new(const struct tern_web_tls_context *context,
                                    struct tern_tls_handshake *handshake);

/* tern_web_tls_shake is the handshake's run, of that object. */
TERN_NODISCARD tern_err tern_web_tls_shake(struct ssl_st *ssl,
                                           struct tern_tls_handshake *handshake);

/* tern_web_tls_error tells what the failure of an SSL call means, from the thread's error queue,
 * which it empties: an error, and in *fault the peer's, if it is its. */
tern_err tern_web_tls_error(tern_fault *fault);

/* tern_web_tls_record_error tells it of a call that has read a record behind the handshake. */
tern_err tern_web_tls_record_error(tern_fault *fault);

#endif
