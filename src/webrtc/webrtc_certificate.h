/*
 * The certificate of a host's WebRTC: made from the host's key and nothing else, so that the hash
 * in the host's addresses is the same after each restart, for ever. It says nothing of the host:
 * who that is Noise tells. Valid from 1970 to 2120, for nobody judges that: dialers pin it.
 *
 * Pure.
 */
#ifndef TERN_WEBRTC_WEBRTC_CERTIFICATE_H
#define TERN_WEBRTC_WEBRTC_CERTIFICATE_H

#include "crypto/certificate.h"
#include "webrtc/dtls.h"

/* tern_webrtc_certificate_make makes it, to be ended by tern_certificate_fini. TERN_ERR_MEMORY, and
 * what making a certificate returns. */
TERN_NODISCARD tern_err tern_webrtc_certificate_make(struct tern_mem *mem,
                                                     const struct tern_private_key *host_key,
                                                     struct tern_certificate *certificate);

/* tern_webrtc_certificate_view is what the options take; borrowed. */
static inline struct tern_dtls_certificate tern_webrtc_certificate_view(
    const struct tern_certificate *certificate)
{
    return (struct tern_dtls_certificate){
        .certificate = tern_view_of(certificate->der, certificate->der_size),
        .private_key = tern_view_of(certificate->key, certificate->key_size)};
}

#endif
