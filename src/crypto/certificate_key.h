/*
 * A certificate's own key as PKCS #8. For certificate_make.c alone; what signs with it is declared
 * in certificate.h.
 */
#ifndef TERN_CRYPTO_CERTIFICATE_KEY_H
#define TERN_CRYPTO_CERTIFICATE_KEY_H

#include "crypto/certificate.h"

/* A secret number on P-256, or a seed of Ed25519; a point on P-256, uncompressed. */
enum { TERN_CERTIFICATE_SECRET_SIZE = 32, TERN_CERTIFICATE_POINT_SIZE = 65 };

/* tern_certificate_write_key fills key and key_size, by key_type. point is the public key. */
void tern_certificate_write_key(struct tern_certificate *certificate,
                                const uint8_t secret[TERN_CERTIFICATE_SECRET_SIZE],
                                struct tern_view point);

#endif
