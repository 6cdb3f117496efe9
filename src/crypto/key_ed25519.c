#include <sodium.h>

#include "base/check.h"
#include "crypto/key_types.h"
#include "crypto/secret.h"

_Static_assert(crypto_sign_ed25519_SECRETKEYBYTES == 64, "seed and public key");

void tern_ed25519_of_seed(const uint8_t seed[32], uint8_t private_key[64])
{
    uint8_t public_key[TERN_ED25519_PUBLIC_SIZE];
    int err = crypto_sign_ed25519_seed_keypair(public_key, private_key, seed);
    TERN_CHECK(err == 0);
}

void tern_ed25519_sign(const uint8_t private_key[64], struct tern_view message,
                       uint8_t signature[64])
{
    int err =
        crypto_sign_ed25519_detached(signature, NULL, message.data, message.size, private_key);
    TERN_CHECK(err == 0);
}

bool tern_ed25519_verify(const uint8_t public_key[32], struct tern_view message,
                         const uint8_t signature[64])
{
    return crypto_sign_ed25519_verify_detached(signature, message.data, message.size, public_key) ==
           0;
}
