/*
 * The parts of a certificate, as views of its DER; what they mean is certificate.c's. A strict
 * reader: one encoding, no unique identifiers, version 3, at most TERN_CERTIFICATE_EXTENSIONS_MAX
 * extensions. Specification: RFC 5280, section 4.1. Pure.
 */
#ifndef TERN_CRYPTO_CERTIFICATE_PARSE_H
#define TERN_CRYPTO_CERTIFICATE_PARSE_H

#include "base/reader.h"
#include "crypto/certificate.h"

struct tern_certificate_extension {
    struct tern_view oid;
    bool critical;
    struct tern_view value;
};

struct tern_certificate_parts {
    struct tern_view to_be_signed; /* the whole element */
    struct tern_view algorithm;    /* of the signature: the AlgorithmIdentifier's contents */
    struct tern_view signature;
    struct tern_view spki;           /* SubjectPublicKeyInfo, the whole element */
    struct tern_view spki_algorithm; /* its AlgorithmIdentifier's contents */
    int64_t not_before;              /* seconds since 1970 */
    int64_t not_after;
    struct tern_certificate_extension extensions[TERN_CERTIFICATE_EXTENSIONS_MAX];
    size_t extensions_count;
};

/* tern_certificate_parse reads a certificate; the views are borrowed from der. False: it is
 * malformed. */
bool tern_certificate_parse(struct tern_view der, struct tern_certificate_parts *parts);

/* tern_certificate_write_time writes a Time, UTCTime until 2049 and GeneralizedTime from then on;
 * seconds since 1970. */
void tern_certificate_write_time(struct tern_writer *w, int64_t seconds);

#endif
