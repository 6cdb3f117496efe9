/*
 * What those who use GnuTLS have in common: the TLS of libp2p (tls_peer.c) and that of QUIC
 * (quic/tls_gnutls.c). Its data as views, its errors as ours, and certificates with their keys as
 * it wants them.
 */
#ifndef TERN_SECURE_GNUTLS_H
#define TERN_SECURE_GNUTLS_H

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>

#include "crypto/certificate.h"

/* A part of a priority string: the signature algorithms of the certificates that are taken
 * (tern_certificate_check), in the order of what they cost us to verify; the last three are for
 * certificates alone (RFC 8446, section 4.2.3). */
#define TERN_GNUTLS_SIGNATURES                                                                     \
    "-SIGN-ALL:+SIGN-EDDSA-ED25519:+SIGN-ECDSA-SECP256R1-SHA256:"                                  \
    "+SIGN-ECDSA-SECP384R1-SHA384:+SIGN-RSA-PSS-RSAE-SHA256:+SIGN-RSA-PSS-RSAE-SHA384:"            \
    "+SIGN-RSA-PSS-RSAE-SHA512:+SIGN-RSA-SHA256:+SIGN-RSA-SHA384:+SIGN-RSA-SHA512:"

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

/* A certificate, and what signs for it. */
struct tern_gnutls_shown {
    enum tern_certificate_key type;
    gnutls_pcert_st certificate;
    gnutls_privkey_t key;
};

/* What sessions show. Read-only once made: any number of threads may use it. */
enum { TERN_GNUTLS_SHOWN_MAX = 2 };
struct tern_gnutls_credentials {
    struct tern_mem *mem;
    gnutls_certificate_credentials_t handle;
    struct tern_gnutls_shown shown[TERN_GNUTLS_SHOWN_MAX];
    size_t shown_count;
    size_t certificate_size_max; /* of those shown */
};

/* tern_gnutls_credentials_new makes them of 1 to TERN_GNUTLS_SHOWN_MAX certificates (checked), of
 * which nothing is kept. Their keys sign by OpenSSL and libsodium, which take
 * half of the time that GnuTLS takes. TERN_ERR_MEMORY, TERN_ERR_INTERNAL. */
TERN_NODISCARD tern_err tern_gnutls_credentials_new(struct tern_mem *mem,
                                                    const struct tern_certificate *certificates,
                                                    size_t count,
                                                    struct tern_gnutls_credentials **credentials);

/* tern_gnutls_credentials_of_host makes them of two new certificates of libp2p's, with a key on
 * P-256 and one of Ed25519. Slow (four signatures). Errors as above, and what signing with the
 * host's key returns. */
TERN_NODISCARD tern_err tern_gnutls_credentials_of_host(
    struct tern_mem *mem, struct tern_random *random, const struct tern_private_key *host_key,
    struct tern_gnutls_credentials **credentials);

/* tern_gnutls_credentials_free: no session may be left that has them. */
void tern_gnutls_credentials_free(struct tern_gnutls_credentials *credentials);

/* tern_gnutls_credentials_set makes a session show what its remote likes best: of the signature
 * algorithms that this asks for, which stand in the order of its preference (RFC 8446, section
 * 4.2.3), the first that one of our keys makes. So Ed25519 is shown to those who put it first, as
 * we do, and P-256 to all others. If it asks for none, the first certificate, which GnuTLS then
 * does not show. The session's database pointer (gnutls_db_set_ptr) is used for it. A code of
 * GnuTLS's.
 */
int tern_gnutls_credentials_set(gnutls_session_t session,
                                const struct tern_gnutls_credentials *credentials);

#endif
