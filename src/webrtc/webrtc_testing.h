/*
 * For tests: hosts with identities and certificates, and transports whose dials know the remote's
 * certificate by themselves. No cmocka: fuzz targets use it too.
 */
#ifndef TERN_WEBRTC_WEBRTC_TESTING_H
#define TERN_WEBRTC_WEBRTC_TESTING_H

#include "secure/noise.h"
#include "webrtc/webrtc.h"

enum { WEBRTC_TESTING_HOSTS_MAX = 4 };

struct webrtc_testing_host {
    struct tern_private_key key;
    struct tern_peer_id peer;
    struct tern_noise_identity noise;
    const struct tern_dtls_certificate *certificate; /* one of two: even and odd hosts' */
    uint8_t certhash[TERN_WEBRTC_CERTHASH_SIZE];
};

/* webrtc_testing_host is host n, the same each time. */
const struct webrtc_testing_host *webrtc_testing_host(unsigned n);

struct tern_aead_engine *webrtc_testing_aead(void);

/* webrtc_testing_make is a session_pair_make: the dialer is host 0, the other one host 1, and each
 * dials the certificate of the other. */
struct session_pair_end;
tern_err webrtc_testing_make(bool dialer, const struct session_pair_end *end,
                             struct tern_session_transport *transport);

#endif
