#include "crypto/x25519.h"

#include <sodium.h>

#include "base/check.h"

_Static_assert(TERN_X25519_SIZE == crypto_scalarmult_curve25519_BYTES, "size of a point");
_Static_assert(TERN_X25519_SIZE == crypto_scalarmult_curve25519_SCALARBYTES, "size of a scalar");

void tern_x25519_public(const uint8_t private_key[TERN_X25519_SIZE],
                        uint8_t public_key[TERN_X25519_SIZE])
{
    int err = crypto_scalarmult_curve25519_base(public_key, private_key);
    TERN_CHECK(err == 0);
}

void tern_x25519_generate(struct tern_random *random, uint8_t private_key[TERN_X25519_SIZE],
                          uint8_t public_key[TERN_X25519_SIZE])
{
    tern_random_bytes(random, private_key, TERN_X25519_SIZE);
    tern_x25519_public(private_key, public_key);
}

tern_err tern_x25519_agree(const uint8_t private_key[TERN_X25519_SIZE],
                           const uint8_t remote_public_key[TERN_X25519_SIZE],
                           uint8_t shared[TERN_X25519_SIZE])
{
    if (crypto_scalarmult_curve25519(shared, private_key, remote_public_key) == 0)
        return TERN_OK;
    sodium_memzero(shared, TERN_X25519_SIZE);
    return TERN_ERR_BAD_KEY;
}
