/* What all TLS channels of a host share: its certificates, and what GnuTLS is asked for. */
#include <gnutls/gnutls.h>

#include "secure/gnutls.h"
#include "secure/tls.h"

#define IDENTITY_PRIORITY(ciphers)                                                                 \
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:" ciphers ":-GROUP-ALL:+GROUP-X25519:"              \
    "+GROUP-SECP256R1:" TERN_GNUTLS_SIGNATURES "%SERVER_PRECEDENCE:%DISABLE_TLS13_COMPAT_MODE"

static const char identity_priority[] =
    IDENTITY_PRIORITY("+AES-128-GCM:+CHACHA20-POLY1305:+AES-256-GCM");
static const char identity_priority_slow_aes[] =
    IDENTITY_PRIORITY("+CHACHA20-POLY1305:+AES-128-GCM:+AES-256-GCM");

tern_err tern_tls_identity_init(struct tern_tls_identity *identity,
                                const struct tern_tls_identity_options *options)
{
    const char *priority = options->slow_aes ? identity_priority_slow_aes : identity_priority;
    *identity = (struct tern_tls_identity){.priority = NULL};
    TERN_TRY(tern_gnutls_credentials_of_host(options->mem, options->random, options->host_key,
                                             &identity->credentials));
    int code = gnutls_priority_init(&identity->priority, priority, NULL);
    if (code == 0)
        return TERN_OK;
    identity->priority = NULL;
    tern_tls_identity_fini(identity);
    return tern_gnutls_error(code);
}

void tern_tls_identity_fini(struct tern_tls_identity *identity)
{
    if (identity->credentials != NULL)
        tern_gnutls_credentials_free(identity->credentials);
    if (identity->priority != NULL)
        gnutls_priority_deinit(identity->priority);
    *identity = (struct tern_tls_identity){.priority = NULL};
}
