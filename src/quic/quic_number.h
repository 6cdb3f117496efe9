/*
 * Numbers as QUIC and HTTP/3 write them: 1, 2, 4 or 8 bytes by their first two bits, 62 bits at
 * most. They need not be in their shortest form. Specification: RFC 9000, section 16. Pure, thread
 * safe.
 */
#ifndef TERN_QUIC_QUIC_NUMBER_H
#define TERN_QUIC_QUIC_NUMBER_H

#include "base/reader.h"
#include "base/writer.h"

enum { TERN_QUIC_NUMBER_SIZE_MAX = 8 };

/* tern_quic_number_size is how many bytes a number has that begins so. */
static inline size_t tern_quic_number_size(uint8_t first)
{
    return (size_t)1 << (first >> 6);
}

/* tern_quic_number_read: as the reads of base/reader.h. */
bool tern_quic_number_read(struct tern_reader *r, uint64_t *value);

/* tern_quic_number_write writes the shortest form of a number below 2^62. */
void tern_quic_number_write(struct tern_writer *w, uint64_t value);

#endif
