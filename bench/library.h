/*
 * What the libraries that make TLS and QUIC take for a handshake of libp2p's by themselves: both
 * ends, in memory, with nothing of Tern's but the check of the certificates, which they cannot do,
 * and the certificates' signatures, which are libsodium's.
 *
 *     TLS             two sessions of GnuTLS, made, at the end of the handshake, and freed
 *                     (library_tls.c)
 *     QUIC            a client and a server of ngtcp2 with GnuTLS, made, until the handshake is
 *                     confirmed at both ends, and freed (library_quic.c)
 *     QUIC_RESUMABLE  the same, and the server gives what a later session begins with: a ticket of
 *                     TLS and a token for the address; the client has taken both
 *
 * It is Tern's handshake: the same suites, groups, flags, certificates and transport parameters.
 * No time passes but a made-up one. One thread.
 */
#ifndef TERN_BENCH_LIBRARY_H
#define TERN_BENCH_LIBRARY_H

#include "base/random.h"
#include "secure/gnutls.h"
#include "secure/tls.h"

enum library_of { LIBRARY_TLS, LIBRARY_QUIC, LIBRARY_QUIC_RESUMABLE, LIBRARY_KINDS };

/* Who shakes hands; 0 begins. The identity's credentials are those of QUIC as well. */
struct library_host {
    struct tern_private_key key;
    struct tern_tls_identity identity;
};

/* What the handshakes need; made once. */
struct library {
    enum library_of of;
    struct tern_mem mem;
    struct tern_random random; /* of the hosts' keys alone */
    struct library_host hosts[2];
    /* QUIC */
    gnutls_priority_t priority;
    gnutls_datum_t ticket_key;
    uint8_t token_secret[32];
    uint64_t now; /* ns */
};

/* library_init ends the program when it cannot; tern_crypto_start has been called. */
void library_init(struct library *l, enum library_of of);
void library_fini(struct library *l);

/* library_run makes so many handshakes, one after the other. */
void library_run(struct library *l, unsigned handshakes);

/* library_text says what of the libraries it is. */
const char *library_text(enum library_of of);

/* --- of its files --- */

/* library_check holds the other end's certificate to libp2p's rules, when the handshake is over. */
void library_check(gnutls_session_t session);

/* library_set_up gives a session what both kinds have: whom it shows, and the ALPN "libp2p". */
void library_set_up(struct library *l, gnutls_session_t session, bool server);

void library_tls_handshake(struct library *l);

void library_quic_init(struct library *l);
void library_quic_fini(struct library *l);
void library_quic_handshake(struct library *l);

#endif
