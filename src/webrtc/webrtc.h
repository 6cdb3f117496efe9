/*
 * WebRTC-direct: sessions of libp2p (/webrtc-direct) behind the seam of mux/session.h, for browsers
 * and for other nodes, listening and dialling. Pure: datagrams and the time go in, datagrams,
 * events and a deadline come out.
 *
 *     ICE: checks ─► DTLS ─► SCTP ─► Noise on channel 0 ─► ESTABLISHED: streams, each a data
 * channel ├─ dialer ─┤ first check answered ├─ listener ─────────── a check of an unknown name:
 * OFFER ─► accept
 *
 *   UDP │ STUN 0..3                      one socket, shared with QUIC by the first byte (RFC 7983)
 *       │ DTLS 20..63 │ SCTP │ DCEP, messages │ bytes of a stream
 *
 * Who the remote is Noise tells. Its handshake runs inside of DTLS on the channel that is agreed on
 * beforehand, begun by the listener, bound by its prologue to the certificates of both sides. A
 * dialer requires besides that the listener's certificate has a hash that the address names.
 *
 * Versions. A dialer of version 1 shows one text as name and password of both sides; version 2 is
 * for browsers that do not let their own be chosen. A listener takes either, by the prefix of its
 * name, and no other. We dial with version 1, which all listeners take, unless told otherwise.
 *
 * Strangers. A check shows neither who sent it nor that its address is its own, and all passwords
 * are known to who sees one pass. So: offers are limited in rate and number; sessions that are
 * being established are bounded (half_open_max); until a remote has proven by DTLS that it receives
 * at its address it is sent at most three times what it sent; and the path of a session moves to
 * another address only when a record of DTLS, newer than all before, has come from there. A session
 * answers checks at TERN_WEBRTC_ADDRESSES_MAX addresses.
 *
 * Streams. Data go in messages of one packet while several streams have something to send, of 4 KiB
 * when one is alone. FIN is acknowledged by FIN_ACK; the channel is closed, by resetting both
 * directions, when ours has come back and the remote's has come, or 10 s later; its number may be
 * used again after that, but ours come anew only when all have been used. A reset is a message with
 * go-libp2p's code, then the closing of the channel. STOP_SENDING with code 0 is a remote that has
 * closed and will not read: what it sent can be read, writes fail with TERN_ERR_CLOSED; with
 * another code it is a reset. A channel that the remote closes without FIN is a reset.
 *
 * Back-pressure. SCTP has one window for all streams and none for each, so a stream that nobody
 * reads takes of the window, window_bytes, what the others would need. Bytes unread are charged to
 * the scope; where that refuses, the stream is reset with TERN_MUX_CODE_RESOURCE_LIMIT. When the
 * window is used up and nothing at all is read for stall_timeout_ns, the stream that holds the most
 * is reset in the same way: a stalled stream can hold up the others for so long, not for ever.
 *
 * The end. goaway waits until all is acknowledged, then ends DTLS; there are no codes, so the
 * remote's GOAWAY is always 0. A remote that falls silent is given up after idle_timeout_ns:
 * dialers ask for consent (RFC 7675), SCTP sends heartbeats.
 *
 * Memory: from mem, but for what OpenSSL takes during a handshake (dtls.h). A session at rest takes
 * about 6 KiB, and 2 of OpenSSL's.
 *
 * Not thread safe. Specification: libp2p/specs webrtc/README.md, webrtc/webrtc-direct.md (and pull
 * request 715 for version 2).
 */
#ifndef TERN_WEBRTC_WEBRTC_H
#define TERN_WEBRTC_WEBRTC_H

#include "base/metrics.h"
#include "mux/session.h"
#include "webrtc/dtls.h"
#include "webrtc/ice.h"

struct tern_aead_engine;
struct tern_noise_identity;

#define TERN_WEBRTC_PROTOCOL_ID      "/webrtc-direct"
#define TERN_WEBRTC_IDLE_TIMEOUT_MIN (20 * TERN_SECOND) /* longer than SCTP's heartbeats take */

enum {
    TERN_WEBRTC_WINDOW_DEFAULT = 4 << 20,
    TERN_WEBRTC_WINDOW_LIMIT = 256 << 20,
    TERN_WEBRTC_SEND_BUFFER_DEFAULT = 1 << 20,
    TERN_WEBRTC_STREAMS_DEFAULT = 1024,
    TERN_WEBRTC_STREAMS_LIMIT = 16 << 10,
    TERN_WEBRTC_HALF_OPEN_DEFAULT = 128,
    TERN_WEBRTC_OFFERS_MAX = 64,
    TERN_WEBRTC_ADDRESSES_MAX = 16, /* of a session */
    TERN_WEBRTC_SHARING_MAX = 4,    /* sessions with one remote address */
    TERN_WEBRTC_SOCKETS_MAX = 16,
    TERN_WEBRTC_EARLY_STREAMS_MAX = 16, /* opened by a remote that is not known yet */
    TERN_WEBRTC_REFUSALS_MAX = 1024,    /* streams whose refusal is not over */
    TERN_WEBRTC_FAREWELLS_MAX = 128,
    TERN_WEBRTC_CERTHASH_SIZE = 2 + TERN_SHA256_SIZE, /* a multihash */
};

/* Zero means the default, where one is named. Pointers outlive the transport. */
struct tern_webrtc_options {
    struct tern_mem *mem;
    struct tern_random *random;
    struct tern_aead_engine *aead;
    const struct tern_noise_identity *noise;
    const struct tern_dtls_certificate *certificate; /* copied */
    struct tern_metrics *metrics; /* counts faults that end no session; may be NULL */
    enum tern_ice_version dial_version;
    uint32_t window_bytes;
    uint32_t send_buffer_max;       /* bytes of a stream written and not sent */
    uint32_t streams_in_max;        /* opened by the remote at a time; .. LIMIT */
    uint32_t streams_out_max;       /* opened here at a time; .. LIMIT */
    uint32_t half_open_max;         /* accepted and not established */
    tern_time handshake_timeout_ns; /* 20 s */
    tern_time idle_timeout_ns;      /* 30 s */
    tern_time stall_timeout_ns;     /* 10 s */
};

/* tern_webrtc_new makes a transport, to be ended by ops->fini. TERN_ERR_MEMORY; TERN_ERR_BAD_KEY:
 * the certificate; TERN_ERR_INVALID: an option is out of bounds. */
TERN_NODISCARD tern_err tern_webrtc_new(const struct tern_webrtc_options *options, tern_time now,
                                        struct tern_session_transport *transport);

/* tern_webrtc_set_certificate changes the certificate of sessions to come. Errors as of new; the
 * old one stays then. */
TERN_NODISCARD tern_err
tern_webrtc_set_certificate(const struct tern_session_transport *transport,
                            const struct tern_dtls_certificate *certificate);

/* tern_webrtc_certhash writes the multihash of the certificate: what /certhash of our addresses is.
 */
void tern_webrtc_certhash(const struct tern_session_transport *transport,
                          uint8_t multihash[TERN_WEBRTC_CERTHASH_SIZE]);

#endif
