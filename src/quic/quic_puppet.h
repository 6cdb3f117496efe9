/*
 * For tests: a QUIC endpoint that does what it is told, right or wrong. It shakes hands by ngtcp2
 * and GnuTLS of its own, with whatever certificates and parameters the test likes; then the test
 * builds packets of any frames under the session's keys. It is a transport of session_world's, of
 * one connection, so that it lives on the same network as what is tested.
 *
 * Once it has spoken by itself, its ngtcp2 is asleep: acknowledgements of packets that it did not
 * send would end it. The puppet still hears what comes, so that it can acknowledge it.
 */
#ifndef TERN_QUIC_QUIC_PUPPET_H
#define TERN_QUIC_QUIC_PUPPET_H

#include "crypto/certificate.h"
#include "mux/session.h"

enum { PUPPET_CERTIFICATES_MAX = 2, PUPPET_QUEUE_MAX = 4096, PUPPET_DATAGRAM_MAX = 1452 };

/* Transport parameters that are out of bounds. */
enum puppet_params {
    PUPPET_PARAMS_GOOD,
    PUPPET_PARAMS_FEW_IDS,
    PUPPET_PARAMS_SMALL_DATAGRAMS,
    PUPPET_PARAMS_ACK_EXPONENT,
    PUPPET_PARAMS_ACK_DELAY,
    PUPPET_PARAMS_COUNT,
};

struct quic_puppet_options {
    bool server;
    tern_time now;
    bool no_certificate;                         /* for the test: that none is meant */
    const struct tern_certificate *certificates; /* none: shows none */
    size_t certificates_count;                   /* all are sent */
    const struct tern_certificate *signer;       /* whose key signs; NULL: the first of them */
    const char *signatures;                      /* "+SIGN-…", asked for; NULL: GnuTLS's list */
    const char *alpn;                            /* NULL: "libp2p" */
    uint32_t version;                            /* a client's; 0: 1 */
    size_t cids_max;                             /* of the other side's; 0: 7 */
    bool no_migration;                           /* forbids the other side to migrate */
    enum puppet_params params;
    struct tern_endpoint remote; /* a client's */
    tern_link_id socket;
};

struct quic_puppet;

struct quic_puppet *quic_puppet_new(const struct quic_puppet_options *options);

/* quic_puppet_transport is the puppet as a transport; its fini frees it. */
struct tern_session_transport quic_puppet_transport(struct quic_puppet *puppet);

bool quic_puppet_confirmed(const struct quic_puppet *puppet);

/* quic_puppet_shown is the kind of key in the certificate that the other side has shown. */
enum tern_certificate_key quic_puppet_shown(const struct quic_puppet *puppet);

/* quic_puppet_closed: what the other side ended the session with. False: it has not. */
bool quic_puppet_closed(const struct quic_puppet *puppet, bool *application, uint64_t *code);

/* quic_puppet_say sends a 1-RTT packet of these frames. */
void quic_puppet_say(struct quic_puppet *puppet, struct tern_view frames);

/* quic_puppet_varint writes a number as QUIC does. quic_puppet_put_ack writes an ACK frame of the
 * packets that have come since it spoke, or nothing. */
void quic_puppet_varint(struct tern_writer *w, uint64_t value);
void quic_puppet_put_ack(const struct quic_puppet *puppet, struct tern_writer *w);

/* quic_puppet_raw sends a datagram as it is. */
void quic_puppet_raw(struct quic_puppet *puppet, struct tern_view datagram);

/* quic_puppet_copy_dcid copies the id that its packets go to. */
void quic_puppet_copy_dcid(const struct quic_puppet *puppet, uint8_t to[8]);

/* quic_puppet_received is how many bytes have come. */
uint64_t quic_puppet_received(const struct quic_puppet *puppet);

/* quic_puppet_initial builds a client's first packet of these frames, padded to size: protected as
 * they are, by keys that follow from dcid. */
struct puppet_initial {
    struct tern_view dcid;
    struct tern_view scid;
    struct tern_view token;
    uint32_t version;
    uint32_t number;
    size_t size;
};
void quic_puppet_initial(const struct puppet_initial *initial, struct tern_view frames,
                         struct tern_writer *out);

#endif
