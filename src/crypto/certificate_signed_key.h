/*
 * What making and checking of a libp2p certificate share: the extension's name, and what the host
 * signs. Specification: libp2p/specs tls/tls.md, "libp2p Public Key Extension".
 */
#ifndef TERN_CRYPTO_CERTIFICATE_SIGNED_KEY_H
#define TERN_CRYPTO_CERTIFICATE_SIGNED_KEY_H

#include "base/writer.h"
#include "crypto/certificate.h"

/* 1.3.6.1.4.1.53594.1.1 */
static const uint8_t tern_certificate_oid[] = {0x2b, 0x06, 0x01, 0x04, 0x01,
                                               0x83, 0xa2, 0x5a, 0x01, 0x01};

#define TERN_CERTIFICATE_SIGNED_PREFIX "libp2p-tls-handshake:"
enum {
    TERN_CERTIFICATE_SPKI_SIZE_MAX = TERN_PUBLIC_KEY_SIZE_MAX,
    TERN_CERTIFICATE_SIGNED_SIZE_MAX =
        sizeof TERN_CERTIFICATE_SIGNED_PREFIX - 1 + TERN_CERTIFICATE_SPKI_SIZE_MAX,
};

/* tern_certificate_signed_bytes writes what a host signs for a certificate of that key, at most
 * TERN_CERTIFICATE_SIGNED_SIZE_MAX bytes if spki has at most TERN_CERTIFICATE_SPKI_SIZE_MAX. */
static inline void tern_certificate_signed_bytes(struct tern_view spki, struct tern_writer *w)
{
    tern_writer_str(w, TERN_CERTIFICATE_SIGNED_PREFIX);
    tern_writer_bytes(w, spki);
}

#endif
