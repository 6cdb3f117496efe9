#include "websocket/mask.h"

/* The compiler makes of it whatever vectors the machine has. Bytes lie anywhere. */
typedef uint64_t mask_vector __attribute__((vector_size(16), aligned(1), may_alias));

enum { MASK_VECTOR_SIZE = sizeof(mask_vector), MASK_STRIDE = 4 * MASK_VECTOR_SIZE };

void tern_websocket_mask(struct tern_span bytes, const uint8_t key[TERN_WEBSOCKET_KEY_SIZE],
                         size_t phase)
{
    uint8_t pattern[MASK_VECTOR_SIZE];
    mask_vector mask;
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = key[(phase + i) % TERN_WEBSOCKET_KEY_SIZE];
    memcpy(&mask, pattern, sizeof mask);
    uint8_t *at = bytes.data;
    size_t left = bytes.size;
    for (; left >= MASK_STRIDE; left -= MASK_STRIDE, at += MASK_STRIDE) {
        mask_vector *v = (mask_vector *)(void *)at;
        v[0] ^= mask;
        v[1] ^= mask;
        v[2] ^= mask;
        v[3] ^= mask;
    }
    for (; left >= MASK_VECTOR_SIZE; left -= MASK_VECTOR_SIZE, at += MASK_VECTOR_SIZE)
        *(mask_vector *)(void *)at ^= mask;
    for (size_t i = 0; i < left; i++)
        at[i] ^= pattern[i];
}
