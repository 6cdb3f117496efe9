/*
 * CRC-32C (Castagnoli): the checksum of SCTP packets (RFC 9260, appendix A). By the processor's own
 * instruction where it has one (x86 with SSE 4.2), by tables of eight bytes at a time elsewhere.
 */
#ifndef TERN_WEBRTC_CRC32C_H
#define TERN_WEBRTC_CRC32C_H

#include "base/types.h"

/* tern_crc32c of the concatenation of several views. */
uint32_t tern_crc32c(const struct tern_view *parts, size_t parts_count);

/* tern_crc32c_portable is the same by tables, for tests. */
uint32_t tern_crc32c_portable(const struct tern_view *parts, size_t parts_count);

#endif
