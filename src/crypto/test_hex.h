/* Hexadecimal in tests. */
#ifndef TERN_CRYPTO_TEST_HEX_H
#define TERN_CRYPTO_TEST_HEX_H

#include "base/check.h"
#include "wire/multibase.h"

/* test_hex decodes into buffer and views it; the text must be good and fit. */
static inline struct tern_view test_hex(const char *hex, struct tern_span buffer)
{
    struct tern_writer w = tern_writer_of(buffer.data, buffer.size);
    tern_err err = tern_base_decode(TERN_BASE16, tern_view_str(hex), &w);
    TERN_CHECK(err == TERN_OK);
    return tern_writer_view(&w);
}

/* TEST_HEX decodes into a buffer of the block it stands in. */
#define TEST_HEX(hex, size_max)                                                                    \
    test_hex((hex), (struct tern_span){(uint8_t[(size_max)]){0}, (size_max)})

#endif
