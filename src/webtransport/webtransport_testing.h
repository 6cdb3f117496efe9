/*
 * For tests: transports of WebTransport whose certificates are known to each other.
 */
#ifndef TERN_WEBTRANSPORT_WEBTRANSPORT_TESTING_H
#define TERN_WEBTRANSPORT_WEBTRANSPORT_TESTING_H

#include "quic/quic_testing.h"
#include "webtransport/webtransport.h"

/* The wall clock when a test begins: some day in 2027. */
#define WEB_TESTING_WALL (UINT64_C(1800000000) * TERN_SECOND)

/* web_testing_noise is the Noise identity of host n (as quic_testing has it). Made once. */
const struct tern_noise_identity *web_testing_noise(unsigned n);
struct tern_aead_engine *web_testing_aead(void);

/* web_testing_certhashes are those of host n on that day. */
const struct tern_webtransport_certhashes *web_testing_certhashes(unsigned n);

/* web_testing_new makes a transport of host n on QUIC's, with options completed. */
struct web_testing {
    unsigned host;
    tern_time now;
    struct tern_quic_options quic; /* identity, wall: completed */
    struct tern_webtransport_options options;
};
tern_err web_testing_new(const struct web_testing *testing,
                         struct tern_session_transport *transport);

/* web_testing_dials makes a transport of web_testing_new dial by the hashes of host 2 when the dial
 * has none. */
void web_testing_dials(struct tern_session_transport *transport);

#endif
