/*
 * The TLS of the web: what makes HTTPS of HTTP, as a channel of secure/channel.h that wraps a link,
 * for /tls/ws and /wss. It proves nothing about a peer of libp2p: Noise or libp2p's own TLS
 * (secure/tls.h) runs inside it, and remote is NULL.
 *
 *     client                                           server
 *     ClientHello {SNI, ALPN "http/1.1"}     ───────►  JOB: agreement, signature
 *                                            ◄───────  … Certificate chain … Finished
 *     JOB: agreement, chain, name                      (TLS 1.2: one flight more each way)
 *     Finished, HANDSHAKE_DONE               ───────►  JOB; HANDSHAKE_DONE
 *
 * Certificates are those of the web: a server shows a chain that leads to a root that the client
 * trusts, for the name (or the IP) that was dialled; clients show none. A host's roots are given as
 * PEM, such as the system's bundle: without any, no server verifies. A client may be told to verify
 * nothing, since who the peer is gets proven inside; then whoever stands between sees as much of a
 * connection as on /ws: that it is libp2p's. go-libp2p and rust-libp2p verify, and so does Tern by
 * default.
 *
 * TLS 1.2 (with forward secrecy and AEAD ciphers alone) and 1.3. No tickets, resumption, client
 * certificates, renegotiation, compression or early data.
 *
 * OpenSSL does all of it. The handshake runs in jobs (secure/tls_handshake.h); records go through
 * it on the caller's thread, a record at a time, which costs a copy each way. Noise, inside, costs
 * more than that; /wss is for browsers and for networks that let nothing else through. Plaintext
 * comes out in the place where its record lay in recv's input, or in the chunk that a record was
 * put together in. Keys are updated after 2^24 records (TLS 1.3).
 *
 * Memory: under 2 KiB here, and about 10 KiB of OpenSSL's own, outside of any account; during a
 * handshake 4 KiB and the chain more.
 *
 * The end: shut makes control give close_notify; the remote's gives END, and is answered by ours.
 * After an error of the peer's making control gives the alert that names it.
 *
 * Not thread safe, except that a job runs anywhere. OpenSSL draws its own entropy. Specification:
 * RFC 5246, RFC 8446, RFC 6066 section 3, RFC 7301, RFC 9110 section 4.3.4, RFC 9525.
 */
#ifndef TERN_SECURE_WEB_TLS_H
#define TERN_SECURE_WEB_TLS_H

#include "secure/channel.h"
#include "secure/web_tls_openssl.h"

enum {
    TERN_WEB_TLS_CHAIN_MAX = 10,              /* certificates of our own */
    TERN_WEB_TLS_CHAIN_SIZE_MAX = 32 * 1024,  /* of them, in DER */
    TERN_WEB_TLS_REMOTE_SIZE_MAX = 64 * 1024, /* of a server's chain */
    TERN_WEB_TLS_NAME_SIZE_MAX = 255,
    TERN_WEB_TLS_ROOM_MIN = 64,     /* seal_begin gives no less than this */
    TERN_WEB_TLS_OVERHEAD_MAX = 29, /* of a record: header, nonce, tag */
    TERN_WEB_TLS_PLAINTEXT_MAX = 16384,
    TERN_WEB_TLS_IDLE_RECORDS_MAX = 32, /* in a row without data */
};

enum tern_web_verify {
    TERN_WEB_VERIFY, /* a server's chain and name */
    TERN_WEB_VERIFY_NOTHING,
};

/* What all of a host's channels share. Outlives the channels; changed by its functions alone, on
 * the thread that makes channels. */
struct tern_web_tls {
    struct tern_web_tls_context client;
    struct tern_web_tls_context server;
    enum tern_web_verify verify;
    size_t chain_size; /* of our certificates; 0: there are none */
};

struct tern_web_tls_config {
    enum tern_web_verify verify;
    struct tern_view roots; /* certificates in PEM; may be empty; not kept */
};

/* tern_web_tls_init makes what clients need; servers need credentials besides. TERN_ERR_MEMORY;
 * TERN_ERR_MALFORMED: a root is none. Nothing to fini on error. */
TERN_NODISCARD tern_err tern_web_tls_init(struct tern_web_tls *web,
                                          const struct tern_web_tls_config *config);

/* tern_web_tls_fini frees. No channel may be left. */
void tern_web_tls_fini(struct tern_web_tls *web);

/* What a server shows, in PEM, not kept. */
struct tern_web_credentials {
    struct tern_view chain; /* the server's own certificate first */
    struct tern_view key;   /* of it, not encrypted */
};

/* tern_web_tls_set_credentials gives servers that are made from now on another certificate;
 * channels that exist keep theirs. On error nothing changes. TERN_ERR_MEMORY; TERN_ERR_MALFORMED:
 * the chain is no PEM; TERN_ERR_TOO_LARGE: it is longer than the limits; TERN_ERR_BAD_KEY: the key
 * cannot be read, or is not that of the first certificate; TERN_ERR_INVALID: the certificate is too
 * weak to be used (an RSA key under 2,048 bits, a signature by SHA-1). */
TERN_NODISCARD tern_err tern_web_tls_set_credentials(
    struct tern_web_tls *web, const struct tern_web_credentials *credentials);

/* tern_web_tls_serves: are there credentials? */
bool tern_web_tls_serves(const struct tern_web_tls *web);

struct tern_web_tls_options {
    enum tern_role role;
    struct tern_mem *mem;
    const struct tern_web_tls *web; /* borrowed for the channel's life */
    struct tern_view host; /* a client's: whom it dials, a name or an IP (of version 6 in brackets),
                              with a port or without; not kept */
    tern_wall_time wall;   /* for the validity of certificates; 0: not known, any time is good */
};

/* tern_web_tls_new makes a channel, to be ended by ops->fini. TERN_ERR_MEMORY; TERN_ERR_INVALID: a
 * client's host is none; TERN_ERR_UNSUPPORTED: a server has no credentials. */
TERN_NODISCARD tern_err tern_web_tls_new(const struct tern_web_tls_options *options,
                                         struct tern_channel *channel);

#endif
