/*
 * For tests: identities and randomness.
 */
#ifndef TERN_QUIC_QUIC_TESTING_H
#define TERN_QUIC_QUIC_TESTING_H

#include "crypto/certificate.h"
#include "quic/quic.h"

/* quic_testing_identity is the identity of host n, and quic_testing_peer its peer id. Made once. */
struct tern_quic_identity *quic_testing_identity(unsigned n);
const struct tern_peer_id *quic_testing_peer(unsigned n);
const struct tern_private_key *quic_testing_key(unsigned n);

/* quic_testing_certificate is another certificate of the host's, for who does TLS by itself. */
const struct tern_certificate *quic_testing_certificate(unsigned n);

/* quic_testing_random is a source of its own for each of two sides. */
struct tern_random *quic_testing_random(bool dialer);

/* quic_testing_random_again lets both begin again, so that a fuzzer's runs do not depend on those
 * before. */
void quic_testing_random_again(void);

#endif
