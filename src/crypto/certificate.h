/*
 * X.509 certificates that nobody signs but their own key: those of libp2p's TLS and QUIC, which
 * carry the host's identity, and the short-lived ones that WebTransport and WebRTC pin by hash.
 *
 *     LIBP2P   an extension holds SignedKey { host's public key, host's signature over
 *              "libp2p-tls-handshake:" ‖ SubjectPublicKeyInfo }; valid from 1970 to 2120, so that
 *              no clock is needed; the extension is not critical, and there is no other
 *     WEB      valid between two given times; names nobody; known by the SHA-256 of its bytes
 *
 * The key is ECDSA on P-256, which every peer and browser takes, or Ed25519, which costs both ends
 * less; a browser does not take it. Key, serial number and signature are functions of the options
 * and the random source: the same of both give the same bytes, and so the same hash after a
 * restart.
 *
 * Checking is strict DER by our own reader: OpenSSL's takes 300 us for a certificate in release 3.0
 * and gives each key to its general decoders; here a key's bytes are known to be a point or two
 * bounded numbers before a library sees them. Taken are certificates of version 3 with keys on
 * P-256 or P-384, Ed25519, and RSA of 2,048 to 8,192 bits, signed with SHA-256 or better (Ed25519;
 * ECDSA; RSA with PKCS #1 v1.5 or PSS). Refused, each by its own fault: what is over
 * TERN_CERTIFICATE_SIZE_MAX, malformed, outside its validity by more than TERN_CERTIFICATE_SKEW_NS,
 * holds a critical extension that is not understood (basicConstraints and keyUsage are), does not
 * verify by its own key, or lacks a proven host key.
 *
 * Pure and thread safe. Specification: libp2p/specs tls/tls.md; RFC 5280; RFC 5958 (private keys);
 * RFC 6979 (signatures); W3C WebTransport, section 6.10 (serverCertificateHashes).
 */
#ifndef TERN_CRYPTO_CERTIFICATE_H
#define TERN_CRYPTO_CERTIFICATE_H

#include "base/fault.h"
#include "base/mem.h"
#include "crypto/key.h"
#include "crypto/sha256.h"

enum {
    TERN_CERTIFICATE_SIZE_MAX = 8192, /* RSA 8192 for host and certificate needs about 4.7 KiB */
    TERN_CERTIFICATE_KEY_SIZE_MAX = 138,
    TERN_CERTIFICATE_EXTENSIONS_MAX = 32,
};

/* How wrong a clock may be, here or there, before validity is judged. */
#define TERN_CERTIFICATE_SKEW_NS (24 * TERN_HOUR)

/* The longest validity of a certificate that is pinned by its hash: what browsers allow. */
#define TERN_CERTIFICATE_WEB_VALIDITY_MAX_NS (14 * 24 * TERN_HOUR)

enum tern_certificate_kind { TERN_CERTIFICATE_LIBP2P, TERN_CERTIFICATE_WEB };

enum tern_certificate_key { TERN_CERTIFICATE_P256, TERN_CERTIFICATE_ED25519 };

struct tern_certificate {
    struct tern_mem *mem;
    uint8_t *der; /* owned: der_size bytes */
    size_t der_size;
    enum tern_certificate_key key_type;
    uint8_t key[TERN_CERTIFICATE_KEY_SIZE_MAX]; /* PKCS #8 in DER, for a TLS library to load */
    size_t key_size;
    uint8_t sha256[TERN_SHA256_SIZE]; /* of der */
};

struct tern_certificate_options {
    enum tern_certificate_kind kind;
    enum tern_certificate_key key_type; /* WEB: P256 (checked) */
    struct tern_mem *mem;
    struct tern_random *random;
    const struct tern_private_key *host_key; /* LIBP2P; used by make alone */
    tern_wall_time not_before;               /* WEB; whole seconds count, up to the year 2554 */
    tern_wall_time not_after;
};

/* tern_certificate_make makes one with a new key. TERN_ERR_MEMORY; what signing with the host key
 * returns. Nothing to fini on error. */
TERN_NODISCARD tern_err tern_certificate_make(const struct tern_certificate_options *options,
                                              struct tern_certificate *certificate);

/* What signs with a certificate's own key, for a TLS library whose own signatures take longer.
 * Read-only: any number of threads may sign at once. */
struct tern_certificate_signer;

/* tern_certificate_signer_open makes one, to be ended by close; the certificate may go before.
 * TERN_ERR_MEMORY. */
TERN_NODISCARD tern_err tern_certificate_signer_open(struct tern_mem *mem,
                                                     const struct tern_certificate *certificate,
                                                     struct tern_certificate_signer **signer);

enum tern_certificate_key tern_certificate_signer_type(
    const struct tern_certificate_signer *signer);

/* tern_certificate_signer_sign appends a signature of at most TERN_SIGNATURE_SIZE_MAX bytes: by a
 * key on P-256 in DER, over a SHA-256 digest (its size is checked), with a nonce of OpenSSL's own
 * entropy; by one of Ed25519 64 bytes, over the message itself. TERN_ERR_MEMORY, TERN_ERR_INTERNAL.
 */
TERN_NODISCARD tern_err tern_certificate_signer_sign(const struct tern_certificate_signer *signer,
                                                     struct tern_view bytes,
                                                     struct tern_writer *signature);

void tern_certificate_signer_close(struct tern_certificate_signer *signer);

/* tern_certificate_fini wipes the key and frees. */
void tern_certificate_fini(struct tern_certificate *certificate);

/* tern_certificate_check holds a peer's certificate to libp2p's profile and gives the host's key,
 * which the caller ends by fini. wall may be 0: unknown, then validity is not judged. An error says
 * which kind of refusal it is, *fault names it; of TERN_ERR_MEMORY, which is not the peer's doing,
 * *fault is NONE, and there is nothing to fini. */
TERN_NODISCARD tern_err tern_certificate_check(struct tern_view der, tern_wall_time wall,
                                               struct tern_public_key *host_key, tern_fault *fault);

/* What a dialler of WebTransport knows of the certificate that it is to meet: multihashes, one of
 * which must be SHA-256 of it. Borrowed for the call. */
struct tern_certificate_hashes {
    const struct tern_view *multihashes;
    size_t count;
};

/* tern_certificate_check_web holds a certificate to what browsers ask of one that is pinned: its
 * hash is listed, its key is ECDSA on P-256, it is valid for at most
 * TERN_CERTIFICATE_WEB_VALIDITY_MAX_NS, and now (unless wall is 0). Errors as above. */
TERN_NODISCARD tern_err tern_certificate_check_web(struct tern_view der, tern_wall_time wall,
                                                   const struct tern_certificate_hashes *hashes,
                                                   tern_fault *fault);

#endif
