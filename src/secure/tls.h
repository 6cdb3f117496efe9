/*
 * TLS 1.3: the secure channel "/tls/1.0.0", behind the seam of secure/channel.h.
 *
 *     initiator                                        responder
 *     ClientHello {ALPN: muxers, "libp2p"}    ───────►
 *                                                      JOB: agreement, signature
 *                                             ◄─────── ServerHello … Certificate,
 * CertificateVerify, JOB: agreement, 3 verifications, signature       Finished HANDSHAKE_DONE
 *     Certificate, CertificateVerify, Finished ──────► JOB: 3 verifications
 *     data …                                           HANDSHAKE_DONE
 *
 * Who is there is told by certificates that sign themselves and carry the host's proof
 * (crypto/certificate.h); each end shows one, of the kind of key that the other prefers
 * (secure/gnutls.h). No names are sent, no tickets given or taken, no early data. The muxer is
 * agreed on by ALPN: the first of the initiator's list that the responder has too; with "libp2p",
 * or without ALPN, remote()->muxer is empty and multistream-select decides.
 *
 * The remote's identity is checked before our certificate leaves, so an initiator reveals its own
 * only to the peer it meant to reach. It is done before the responder has judged it: a refusal
 * comes as an alert in place of the first data (TLS_REFUSED).
 *
 * GnuTLS does the handshake, in jobs (tls_handshake.h); an initiator's first message is made inline
 * (one key generation), so that it rides with the negotiation. Then its session is freed and
 * records are our own (tls_record.h): sealed and opened in place. Through a library a byte is
 * copied twice on either way, which costs as much as half of its encryption, and an idle connection
 * holds its buffers; so it holds sizeof(struct tern_tls), about 700 bytes, and the remote's
 * identity.
 *
 * Records hold at most 16 KiB of plaintext, or what the remote said that it takes (RFC 8449, RFC
 * 6066); seal_begin gives room for one. A record that lies whole
 * in what recv is given is decrypted there; one that comes in part is put together in a chunk of
 * its size. Keys are updated after 2^24 records in either direction, and when the remote asks.
 *
 * The end: shut makes control give close_notify; the remote's gives END, and is answered by ours. A
 * link that ends without it was cut. After an error of the peer's making, control still gives the
 * alert that names it.
 *
 * Refused: anything but TLS 1.3; no certificate, or more than one; what tern_certificate_check
 * refuses; the wrong peer; an ALPN that was not offered; what RFC 8446 forbids; more than
 * TERN_TLS_IDLE_RECORDS_MAX records in a row without data.
 *
 * Not thread safe, except that a job runs anywhere. GnuTLS draws its own entropy. Specification:
 * libp2p/specs tls/tls.md, connections/inlined-muxer-negotiation.md; RFC 8446; RFC 7301.
 */
#ifndef TERN_SECURE_TLS_H
#define TERN_SECURE_TLS_H

#include "crypto/certificate.h"
#include "secure/channel.h"
#include "secure/tls_handshake.h"

#define TERN_TLS_PROTOCOL_ID "/tls/1.0.0"

struct tern_aead_engine;
struct gnutls_priority_st;
struct tern_gnutls_credentials;

/* GnuTLS has places for 8 protocols of up to 31 bytes; one is "libp2p". */
enum {
    TERN_TLS_MUXERS_MAX = 7,
    TERN_TLS_MUXER_NAME_SIZE_MAX = 31,
    TERN_TLS_ROOM_MIN = 64, /* seal_begin gives no less than this */
    TERN_TLS_IDLE_RECORDS_MAX = 32,
};

/* What all of a host's channels share. Read-only after init, also by jobs on other threads;
 * outlives the channels. */
struct tern_tls_identity {
    struct tern_gnutls_credentials *credentials;
    struct gnutls_priority_st *priority;
};

struct tern_tls_identity_options {
    struct tern_mem *mem;
    struct tern_random *random;
    const struct tern_private_key *host_key; /* used by init alone */
    bool slow_aes; /* prefer ChaCha20: the processor has no instructions for AES */
};

/* tern_tls_identity_init makes the certificates and signs them with the host's key. Slow (four
 * signatures). TERN_ERR_MEMORY; what signing returns; TERN_ERR_INTERNAL: GnuTLS lacks what TLS 1.3
 * needs. Nothing to fini on error. */
TERN_NODISCARD tern_err tern_tls_identity_init(struct tern_tls_identity *identity,
                                               const struct tern_tls_identity_options *options);

/* tern_tls_identity_fini wipes and frees; nothing, if all is zero. No channel may be left. */
void tern_tls_identity_fini(struct tern_tls_identity *identity);

/* Everything that is pointed to is borrowed for the channel's life, unless it is said to be copied.
 */
struct tern_tls_options {
    enum tern_role role;
    struct tern_mem *mem;
    struct tern_aead_engine *aead;
    const struct tern_tls_identity *identity;
    const struct tern_peer_id *expected_peer; /* NULL: anyone; copied */
    const struct tern_view *muxers; /* in order of preference; the list is copied, the names (1 to
                                       TERN_TLS_MUXER_NAME_SIZE_MAX bytes, checked) are borrowed */
    size_t muxers_count;            /* .. TERN_TLS_MUXERS_MAX */
    tern_wall_time wall;            /* for the remote certificate's validity; 0: not known */
};

/* tern_tls_new makes a channel, to be ended by ops->fini. TERN_ERR_MEMORY, TERN_ERR_INTERNAL. */
TERN_NODISCARD tern_err tern_tls_new(const struct tern_tls_options *options,
                                     struct tern_channel *channel);

#endif
