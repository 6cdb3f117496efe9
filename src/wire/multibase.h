/*
 * Bytes as text: the bases of the multibase table (multibase.def), with and without their prefix
 * character. Decoding is strict, so that one text means one value and back: no whitespace, unused
 * bits zero, padding exactly where the base has it. The case of letters is free where the table
 * says so.
 *
 * The bases that are big numbers (10, 36, 58) take time quadratic in their length, so their input
 * is bounded: at most TERN_BASE_NUMBER_SIZE_MAX bytes. Base64 and its kin are linear and unbounded.
 *
 * Not spoken: base45, proquint, base256emoji, and the identity "base" U+0000, which no text can
 * carry. Specification: github.com/multiformats/multibase, RFC 4648. Pure, no state, thread safe.
 */
#ifndef TERN_WIRE_MULTIBASE_H
#define TERN_WIRE_MULTIBASE_H

#include "base/error.h"
#include "base/types.h"
#include "base/writer.h"

enum tern_base {
#define X(name, prefix, text, kind, bits, padded, folded, alphabet) TERN_##name,
#include "wire/multibase.def"
#undef X
    TERN_BASE_COUNT
};

enum { TERN_BASE_NUMBER_SIZE_MAX = 256 };

/* tern_base_name is the table's name, such as "base58btc". */
const char *tern_base_name(enum tern_base base);

/* tern_base_of_prefix finds the base of a multibase prefix character. False: none of ours. */
bool tern_base_of_prefix(uint8_t prefix, enum tern_base *base);

/* tern_base_text_size_max is how many characters `size` bytes need at most, prefix not counted. */
size_t tern_base_text_size_max(enum tern_base base, size_t size);

/* tern_base_encode appends the text of bytes, without prefix. TERN_ERR_TOO_LARGE: over the bound of
 * a number base, or the writer has no room; nothing useful was written then. */
TERN_NODISCARD tern_err tern_base_encode(enum tern_base base, struct tern_view bytes,
                                         struct tern_writer *text);

/* tern_base_decode appends the bytes of a text without prefix. TERN_ERR_MALFORMED: a character,
 * unused bits or padding are wrong; TERN_ERR_TOO_LARGE: over the bound of a number base, or no
 * room. */
TERN_NODISCARD tern_err tern_base_decode(enum tern_base base, struct tern_view text,
                                         struct tern_writer *bytes);

/* tern_multibase_encode and tern_multibase_decode do the same with the prefix character in front;
 * decode tells the base it found (base may be NULL). TERN_ERR_UNSUPPORTED: an unknown prefix. */
TERN_NODISCARD tern_err tern_multibase_encode(enum tern_base base, struct tern_view bytes,
                                              struct tern_writer *text);
TERN_NODISCARD tern_err tern_multibase_decode(struct tern_view text, struct tern_writer *bytes,
                                              enum tern_base *base);

#endif
