/*
 * The little of DER that keys and certificates of libp2p need: definite, minimal lengths; one-byte
 * tags. For fixed shapes, not for ASN.1 at large. Specification: ITU-T X.690 section 10. Pure.
 */
#ifndef TERN_CRYPTO_DER_H
#define TERN_CRYPTO_DER_H

#include "base/reader.h"
#include "base/writer.h"

enum tern_der_tag {
    TERN_DER_BOOLEAN = 0x01,
    TERN_DER_INTEGER = 0x02,
    TERN_DER_BIT_STRING = 0x03,
    TERN_DER_OCTET_STRING = 0x04,
    TERN_DER_NULL = 0x05,
    TERN_DER_OID = 0x06,
    TERN_DER_UTF8_STRING = 0x0c,
    TERN_DER_UTC_TIME = 0x17,
    TERN_DER_GENERALIZED_TIME = 0x18,
    TERN_DER_SEQUENCE = 0x30,
    TERN_DER_SET = 0x31,
    TERN_DER_EXPLICIT_0 = 0xa0, /* [0], [3]: a tag around another element */
    TERN_DER_EXPLICIT_3 = 0xa3,
};

/* tern_der_read reads one element of that tag and views its contents. False sets r->err: TRUNCATED,
 * or MALFORMED (another tag, a length that is indefinite, not minimal, or over four bytes). */
bool tern_der_read(struct tern_reader *r, uint8_t tag, struct tern_view *contents);

/* tern_der_read_element views the element with its tag and length. */
bool tern_der_read_element(struct tern_reader *r, uint8_t tag, struct tern_view *element);

/* tern_der_is: does an element of that tag come next? For what may be left out. */
bool tern_der_is(const struct tern_reader *r, uint8_t tag);

/* tern_der_read_bits reads a BIT STRING of whole bytes and views them. */
bool tern_der_read_bits(struct tern_reader *r, struct tern_view *bits);

/* tern_der_read_unsigned reads an INTEGER that is not negative and minimal, and views its magnitude
 * without leading zero (empty for zero). */
bool tern_der_read_unsigned(struct tern_reader *r, struct tern_view *magnitude);

/* tern_der_read_oid reads an OBJECT IDENTIFIER whose numbers are whole and minimal, and views its
 * contents. */
bool tern_der_read_oid(struct tern_reader *r, struct tern_view *oid);

/* tern_der_write_header writes tag and length; the caller writes size bytes of contents next.
 * tern_der_size is the size of the whole element. */
void tern_der_write_header(struct tern_writer *w, uint8_t tag, size_t size);
size_t tern_der_size(size_t contents_size);

/* tern_der_write writes a whole element. */
void tern_der_write(struct tern_writer *w, uint8_t tag, struct tern_view contents);

/* tern_der_write_unsigned writes an INTEGER from a magnitude without leading zeros;
 * tern_der_unsigned_size is its whole size. */
void tern_der_write_unsigned(struct tern_writer *w, struct tern_view magnitude);
size_t tern_der_unsigned_size(struct tern_view magnitude);

#endif
