/* What all TLS channels of a host share: its certificate, and what GnuTLS is asked for. */
#include <gnutls/gnutls.h>

#include "secure/gnutls.h"
#include "secure/tls.h"

/* Signature algorithms are those of the certificates that are taken; the last three are for
 * certificates alone (RFC 8446 section 4.2.3). */
#define IDENTITY_PRIORITY(ciphers)                                                                 \
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:" ciphers ":-GROUP-ALL:+GROUP-X25519:"              \
    "+GROUP-SECP256R1:-SIGN-ALL:+SIGN-ECDSA-SECP256R1-SHA256:+SIGN-EDDSA-ED25519:"                 \
    "+SIGN-ECDSA-SECP384R1-SHA384:+SIGN-RSA-PSS-RSAE-SHA256:+SIGN-RSA-PSS-RSAE-SHA384:"            \
    "+SIGN-RSA-PSS-RSAE-SHA512:+SIGN-RSA-SHA256:+SIGN-RSA-SHA384:+SIGN-RSA-SHA512:"                \
    "%SERVER_PRECEDENCE:%DISABLE_TLS13_COMPAT_MODE"

static const char identity_priority[] =
    IDENTITY_PRIORITY("+AES-128-GCM:+CHACHA20-POLY1305:+AES-256-GCM");
static const char identity_priority_slow_aes[] =
    IDENTITY_PRIORITY("+CHACHA20-POLY1305:+AES-128-GCM:+AES-256-GCM");

static tern_err identity_set_up(struct tern_tls_identity *identity, bool slow_aes)
{
    const char *priority = slow_aes ? identity_priority_slow_aes : identity_priority;
    int code = gnutls_priority_init(&identity->priority, priority, NULL);
    if (code != 0) {
        identity->priority = NULL;
        return tern_gnutls_error(code);
    }
    return tern_gnutls_credentials_new(&identity->certificate, &identity->credentials);
}

tern_err tern_tls_identity_init(struct tern_tls_identity *identity,
                                const struct tern_tls_identity_options *options)
{
    *identity = (struct tern_tls_identity){.priority = NULL};
    TERN_TRY(
        tern_certificate_make(&(struct tern_certificate_options){.kind = TERN_CERTIFICATE_LIBP2P,
                                                                 .mem = options->mem,
                                                                 .random = options->random,
                                                                 .host_key = options->host_key},
                              &identity->certificate));
    tern_err err = identity_set_up(identity, options->slow_aes);
    if (err != TERN_OK)
        tern_tls_identity_fini(identity);
    return err;
}

void tern_tls_identity_fini(struct tern_tls_identity *identity)
{
    if (identity->credentials != NULL)
        gnutls_certificate_free_credentials(identity->credentials);
    if (identity->priority != NULL)
        gnutls_priority_deinit(identity->priority);
    identity->credentials = NULL;
    identity->priority = NULL;
    tern_certificate_fini(&identity->certificate);
}
