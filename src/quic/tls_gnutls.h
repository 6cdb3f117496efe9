/*
 * TLS 1.3 for QUIC (RFC 9001), by GnuTLS: the one file here that knows it. A session of it lives
 * while there is a handshake, and at a client until a ticket has come.
 *
 * A server tells by ALPN what is spoken, and so which certificate it shows and whether it asks for
 * one: "libp2p" has libp2p's on both sides; "h3" (WebTransport) a short-lived one of the server
 * alone.
 *
 * What a remote might send in CRYPTO frames behind the handshake and GnuTLS would take, but QUIC
 * forbids (KeyUpdate: RFC 9001, section 6), is refused before GnuTLS sees it: ngtcp2 would end the
 * process over keys that are installed twice.
 */
#ifndef TERN_QUIC_TLS_GNUTLS_H
#define TERN_QUIC_TLS_GNUTLS_H

#include <ngtcp2/ngtcp2.h>

#include "crypto/certificate.h"
#include "quic/quic_replay.h"

enum quic_alpn { QUIC_ALPN_LIBP2P, QUIC_ALPN_H3, QUIC_ALPN_COUNT };

/* What a host shows of itself, for each ALPN that it serves. */
struct tern_quic_identity;

/* quic_identity_set shows a certificate from now on to those who speak the ALPN. TERN_ERR_MEMORY,
 * TERN_ERR_INTERNAL. */
TERN_NODISCARD tern_err quic_identity_set(struct tern_quic_identity *identity, enum quic_alpn alpn,
                                          const struct tern_certificate *certificate);

/* quic_identity_secret is a secret that follows from the host's key: the same after a restart. */
void quic_identity_secret(const struct tern_quic_identity *identity,
                          uint8_t secret[TERN_SHA256_SIZE]);

/* What all servers' sessions of a transport share: the tickets' keys. */
struct quic_tls_server;

TERN_NODISCARD tern_err quic_tls_server_new(struct tern_mem *mem, struct quic_replay *replay,
                                            struct quic_tls_server **server);
void quic_tls_server_free(struct quic_tls_server *server);

/* Who is told of what happens. All are called while the session is given bytes. */
struct quic_tls_owner {
    void *self;
    /* The remote's certificate, of which there is exactly one. An error refuses it. */
    tern_err (*certificate)(void *self, struct tern_view der);
    /* The remote's certificates were not one (NULL fault: count). */
    void (*refused)(void *self, tern_fault fault);
    /* A server's: what is spoken, before anything is answered. Not 0: an error. */
    int (*chosen)(void *self, enum quic_alpn alpn);
    /* A client's: a ticket has come; quic_tls_ticket gives it. */
    void (*ticket)(void *self);
};

struct quic_tls_options {
    struct tern_mem *mem;
    const struct tern_quic_identity *identity;
    ngtcp2_conn *ng;
    const struct quic_tls_owner *owner; /* outlives the session */
    struct quic_tls_server *server;     /* NULL: a client */
    const tern_time *now;               /* of the transport; read when the replay's keys are */
    enum quic_alpn alpn;                /* a client's */
    struct tern_view server_name;       /* a client's, that it asks for; empty: none */
    struct tern_view ticket;            /* a client's; empty: none */
    bool early;                         /* offer or take early data */
};

struct quic_tls;

/* quic_tls_new makes a session and ties it to the connection. TERN_ERR_MEMORY; TERN_ERR_CORRUPT:
 * the ticket is of no use. */
TERN_NODISCARD tern_err quic_tls_new(const struct quic_tls_options *options, struct quic_tls **tls);
void quic_tls_free(struct quic_tls *tls);

/* quic_tls_read gives it what came in CRYPTO frames; 0 or an error of ngtcp2's. */
int quic_tls_read(struct quic_tls *tls, ngtcp2_encryption_level level, struct tern_view bytes);

/* quic_tls_judge asks the owner about the remote's certificate, if that has not been done: that of
 * a resumed session is in its ticket. TERN_ERR_NOT_FOUND: there is none. */
TERN_NODISCARD tern_err quic_tls_judge(struct quic_tls *tls);

/* quic_tls_spoken: has the remote agreed to the ALPN? A client's to ask when the handshake is done;
 * a server agrees or ends it. */
bool quic_tls_spoken(const struct quic_tls *tls, enum quic_alpn alpn);

/* quic_tls_resumed: has the ticket been taken? quic_tls_early: has the early data? */
bool quic_tls_resumed(const struct quic_tls *tls);
bool quic_tls_early(const struct quic_tls *tls);

/* quic_tls_send_ticket lets a server send one. */
void quic_tls_send_ticket(struct quic_tls *tls);

/* quic_tls_ticket writes the ticket that has come, for a later quic_tls_new. False: it does not
 * fit.
 */
bool quic_tls_ticket(struct quic_tls *tls, struct tern_writer *out);

/* quic_tls_ticket_early: may early data go with it? quic_tls_ticket_lifetime is how long it is
 * good. */
bool quic_tls_ticket_early(const struct quic_tls *tls);
tern_time quic_tls_ticket_lifetime(const struct quic_tls *tls);

#endif
