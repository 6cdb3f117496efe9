#include "crypto/xsalsa20.h"

#include <sodium.h>

#include "base/check.h"

_Static_assert(TERN_XSALSA20_KEY_SIZE == crypto_stream_xsalsa20_KEYBYTES, "size of a key");
_Static_assert(TERN_XSALSA20_NONCE_SIZE == crypto_stream_xsalsa20_NONCEBYTES, "size of a nonce");

void tern_xsalsa20_init(struct tern_xsalsa20 *stream, const uint8_t key[TERN_XSALSA20_KEY_SIZE],
                        const uint8_t nonce[TERN_XSALSA20_NONCE_SIZE])
{
    *stream = (struct tern_xsalsa20){.blocks_done = 0};
    int err = crypto_core_hsalsa20(stream->key, nonce, key, NULL);
    TERN_CHECK(err == 0);
    memcpy(stream->nonce, nonce + crypto_core_hsalsa20_INPUTBYTES, sizeof stream->nonce);
}

/* Adds whole blocks of the key stream, and the front of one more. */
static void xsalsa20_add(struct tern_xsalsa20 *stream, uint8_t *data, size_t size)
{
    int err = crypto_stream_salsa20_xor_ic(data, data, size, stream->nonce, stream->blocks_done,
                                           stream->key);
    TERN_CHECK(err == 0);
}

/* Adds what is left of the block that was begun; returns how much. */
static size_t xsalsa20_rest(struct tern_xsalsa20 *stream, struct tern_span data)
{
    size_t size = tern_min_size(stream->block_left, data.size);
    const uint8_t *key = stream->block + TERN_XSALSA20_BLOCK_SIZE - stream->block_left;
    for (size_t i = 0; i < size; i++)
        data.data[i] ^= key[i];
    stream->block_left -= (uint8_t)size;
    return size;
}

void tern_xsalsa20_xor(struct tern_xsalsa20 *stream, struct tern_span data)
{
    size_t done = xsalsa20_rest(stream, data);
    size_t whole = (data.size - done) / TERN_XSALSA20_BLOCK_SIZE;
    if (whole > 0) {
        xsalsa20_add(stream, data.data + done, whole * TERN_XSALSA20_BLOCK_SIZE);
        stream->blocks_done += whole;
        done += whole * TERN_XSALSA20_BLOCK_SIZE;
    }
    if (done == data.size)
        return;
    memset(stream->block, 0, sizeof stream->block);
    xsalsa20_add(stream, stream->block, sizeof stream->block);
    stream->blocks_done++;
    stream->block_left = TERN_XSALSA20_BLOCK_SIZE;
    done += xsalsa20_rest(stream, (struct tern_span){data.data + done, data.size - done});
    TERN_CHECK(done == data.size);
}
