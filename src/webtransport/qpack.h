/*
 * Field sections of HTTP/3 by QPACK, without its dynamic table: the one file that knows nghttp3.
 * SETTINGS say that the table has no room, so each section stands by itself, and the streams of
 * encoder and decoder have nothing to say that matters: what may come on them is checked here, too.
 *
 * Bounded: a section as it comes by WEB_FIELDS_SIZE_MAX, decoded by WEB_FIELDS_DECODED_SIZE_MAX.
 *
 * Pure, thread safe. Specification: RFC 9204.
 */
#ifndef TERN_WEBTRANSPORT_QPACK_H
#define TERN_WEBTRANSPORT_QPACK_H

#include "base/fault.h"
#include "base/mem.h"
#include "base/writer.h"

struct web_field {
    const char *name;
    struct tern_view value;
};

/* Takes a field, borrowed for the call; false: it may not be. */
typedef bool (*web_field_taker)(void *context, struct tern_view name, struct tern_view value);

/* web_qpack_decode gives the taker all fields of a section. TERN_ERR_MEMORY; TERN_ERR_PROTOCOL, and
 * the fault WEBTRANSPORT_QPACK: it does not decode; WEBTRANSPORT_FIELDS: the taker has refused one;
 * TERN_ERR_TOO_LARGE, WEBTRANSPORT_FIELDS_TOO_LARGE. */
TERN_NODISCARD tern_err web_qpack_decode(struct tern_mem *mem, struct tern_view section,
                                         web_field_taker take, void *context, tern_fault *fault);

/* web_qpack_encode writes a section. TERN_ERR_MEMORY, TERN_ERR_TOO_LARGE (out is too small). */
TERN_NODISCARD tern_err web_qpack_encode(struct tern_mem *mem, const struct web_field *fields,
                                         size_t count, struct tern_writer *out);

/* web_qpack_encoder_byte: may the remote's encoder say this, byte by byte? Only that its table has
 * no room. */
bool web_qpack_encoder_byte(uint8_t byte);

/* What the remote's decoder has said in part. Zeroed: nothing. */
struct web_qpack_decoder {
    uint8_t more; /* bytes of a number that has begun */
};

/* web_qpack_decoder_byte likewise: only that it gives up sections of a stream. */
bool web_qpack_decoder_byte(struct web_qpack_decoder *decoder, uint8_t byte);

#endif
