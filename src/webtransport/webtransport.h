/*
 * WebTransport: sessions of libp2p (/quic-v1/webtransport) behind the seam of mux/session.h, for
 * browsers above all. HTTP/3 on QUIC, one session of WebTransport on a connection, and in it Noise,
 * which proves who the two ends are; then streams as of any muxer. Pure, as QUIC is.
 *
 *     client                                              server
 *     QUIC, ALPN h3; a certificate that is listed   ◄───► a certificate for two weeks
 *     SETTINGS                                      ◄───► SETTINGS
 *     CONNECT, :protocol webtransport                ───►
 *     0x41 ‖ session ‖ Noise message 1               ───► 200
 *                                                    ◄─── message 2: … hashes of the certificates
 *     message 3, ESTABLISHED                         ───► ESTABLISHED
 *     0x41 ‖ session ‖ bytes                        ◄───► streams of both sides
 *
 * Construction. tern_webtransport_new takes a QUIC transport over and is one that does both: what
 * speaks "h3" becomes a session of WebTransport, what speaks "libp2p" one of QUIC, on the same
 * sockets. A swarm makes one hub of it, which serves TERN_TRANSPORT_QUIC and
 * TERN_TRANSPORT_WEBTRANSPORT and is the dialler of both:
 *
 *     tern_quic_new(&quic_options, now, &quic);
 *     tern_webtransport_new(&options, &quic, now, &hub);      quic is the hub's from now on
 *     … hub.ops as of any transport; tern_webtransport_set_wall instead of tern_quic_set_wall …
 *     hub.ops->fini(hub.self);                                ends both
 *
 * A dial with certhashes is one of WebTransport; info tells of a session what it is, which the
 * owner of an accepted one learns with ESTABLISHED.
 *
 * Security. The certificate vouches for nobody: the dialler holds it to the hashes that it has
 * (P-256, 14 days at most, SHA-256), and Noise proves the peer, who is held to the expected one. In
 * Noise the server shows all its hashes; a client that finds not all of those it dialled by among
 * them ends the session: somebody stands between.
 *
 * Certificates. A host that serves makes them from its key (webtransport/certificates.h) as soon as
 * the wall clock is known, and rolls them in time. tern_webtransport_certhashes is what belongs
 * into its addresses: the certificate in use and the next one; its version changes when they do,
 * and then addresses are to be told anew.
 *
 * Bounds. One session a connection; a request for another is refused, requests for anything else
 * are answered by a status. At most WAITING_MAX streams wait for the session; frames, capsules and
 * streams of unknown kinds (grease) are skipped, SKIPPED_MAX bytes of them. Streams of one way,
 * which libp2p has none of, are refused. HTTP datagrams are dropped. From the connection until
 * ESTABLISHED it takes at most handshake_timeout_ns.
 *
 * Streams, windows, paths, memory: as QUIC (quic/quic.h), and a few dozen bytes a stream. A reset
 * carries its code as WebTransport maps it; STOP_SENDING with code 0 is a remote that has closed
 * and will not read, as with QUIC: that is how go-libp2p closes.
 *
 * goaway closes the session with the code, by a capsule, and then the connection.
 *
 * Not thread safe. Specifications: libp2p/specs webtransport/README.md;
 * draft-ietf-webtrans-http3-02 (and 07 to 15, as far as browsers and peers ask for their SETTINGS);
 * RFC 9114, 9204, 9220, 9297.
 */
#ifndef TERN_WEBTRANSPORT_WEBTRANSPORT_H
#define TERN_WEBTRANSPORT_WEBTRANSPORT_H

#include "quic/quic.h"
#include "secure/noise.h"

#define TERN_WEBTRANSPORT_PROTOCOL_ID "/webtransport"

enum {
    TERN_WEBTRANSPORT_WAITING_MAX = 16,      /* streams that came before their session */
    TERN_WEBTRANSPORT_REQUESTS_MAX = 16,     /* that are refused before the connection is */
    TERN_WEBTRANSPORT_SKIPPED_MAX = 1 << 20, /* bytes of no use */
    TERN_WEBTRANSPORT_CERTHASHES = 2,
    TERN_WEBTRANSPORT_CERTHASH_SIZE = 34,
};

/* Pointers outlive the transport, but for host_key. */
struct tern_webtransport_options {
    struct tern_mem *mem;
    struct tern_random *random;
    struct tern_aead_engine *aead;
    const struct tern_noise_identity *identity;
    const struct tern_private_key *host_key; /* used by new alone; NULL: dials and does not serve */
    struct tern_metrics *metrics;            /* counts faults that end no session; may be NULL */
    tern_wall_time wall;                     /* 0: unknown; then nothing is served until set_wall */
    tern_time handshake_timeout_ns;          /* 0: 10 s */
};

/* tern_webtransport_new makes a transport of *quic, which has no session yet and is its own from
 * then on; on error it stays the caller's. TERN_ERR_MEMORY, TERN_ERR_INTERNAL; what making a
 * certificate returns. */
TERN_NODISCARD tern_err tern_webtransport_new(const struct tern_webtransport_options *options,
                                              const struct tern_session_transport *quic,
                                              tern_time now,
                                              struct tern_session_transport *transport);

/* tern_webtransport_set_wall tells the wall clock, at start and whenever it jumped, to QUIC as
 * well.
 */
void tern_webtransport_set_wall(const struct tern_session_transport *transport, tern_time now,
                                tern_wall_time wall);

/* What the addresses of a host that serves end in: /certhash/ of each. */
struct tern_webtransport_certhashes {
    uint32_t version; /* 0: nothing is served yet; another number whenever they have changed */
    uint8_t multihashes[TERN_WEBTRANSPORT_CERTHASHES][TERN_WEBTRANSPORT_CERTHASH_SIZE];
};

void tern_webtransport_certhashes(const struct tern_session_transport *transport,
                                  struct tern_webtransport_certhashes *certhashes);

#endif
