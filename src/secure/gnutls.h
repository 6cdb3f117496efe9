/*
 * What those who use GnuTLS have in common: the TLS of libp2p (tls_peer.c) and that of QUIC
 * (quic/tls_gnutls.c). Its data as views, its errors as ours, and a certificate with its key as it
 * wants them.
 */
#ifndef TERN_SECURE_GNUTLS_H
#define TERN_SECURE_GNUTLS_H

#include <gnutls/gnutls.h>

#include "crypto/certificate.h"

/* tern_gnutls_datum and tern_gnutls_view: the same bytes, borrowed. GnuTLS has no constant datum;
 * it does not change what ours are given to. */
gnutls_datum_t tern_gnutls_datum(struct tern_view view);
struct tern_view tern_gnutls_view(const gnutls_datum_t *datum);

/* tern_gnutls_error is what the failure of a call means in which no peer has a part:
 * TERN_ERR_MEMORY, TERN_ERR_INTERNAL. */
tern_err tern_gnutls_error(int code);

/* tern_gnutls_certificate finds the one certificate in a Certificate message of TLS 1.3 (RFC 8446,
 * section 4.4.2), before GnuTLS reads it or lifts a finger for its key. TERN_ERR_PROTOCOL: there
 * are more; TERN_ERR_NOT_FOUND: none, or something around it is malformed, which GnuTLS says in its
 * turn. */
TERN_NODISCARD tern_err tern_gnutls_certificate(struct tern_view message, struct tern_view *der);

/* tern_gnutls_credentials_new makes what a session shows, to be ended by
 * gnutls_certificate_free_credentials: it is read-only then, and any number of threads may use it.
 * Nothing is kept of the certificate. Its key signs by OpenSSL, which takes half of the time that
 * GnuTLS takes. TERN_ERR_MEMORY, TERN_ERR_INTERNAL. */
TERN_NODISCARD tern_err tern_gnutls_credentials_new(const struct tern_certificate *certificate,
                                                    gnutls_certificate_credentials_t *credentials);

#endif
