#include <sodium.h>

#include "base/check.h"
#include "crypto/aead.h"

_Static_assert(TERN_AEAD_TAG_SIZE == crypto_aead_chacha20poly1305_ietf_ABYTES, "size of a tag");
_Static_assert(TERN_AEAD_NONCE_SIZE == crypto_aead_chacha20poly1305_ietf_NPUBBYTES, "of a nonce");

bool tern_aead_has_fast_aes(void)
{
    return crypto_aead_aes256gcm_is_available() == 1;
}

void tern_aead_seal_small(const struct tern_aead_params *params, struct tern_view in, uint8_t *out)
{
    TERN_CHECK(params->cipher == TERN_AEAD_CHACHA20_POLY1305 && in.size <= TERN_AEAD_SIZE_MAX);
    int err = crypto_aead_chacha20poly1305_ietf_encrypt(
        out, NULL, in.data, in.size, params->associated.data, params->associated.size, NULL,
        params->nonce, params->key);
    TERN_CHECK(err == 0);
}

tern_err tern_aead_open_small(const struct tern_aead_params *params, struct tern_view in,
                              uint8_t *out)
{
    TERN_CHECK(params->cipher == TERN_AEAD_CHACHA20_POLY1305 && in.size <= TERN_AEAD_SIZE_MAX);
    int err = crypto_aead_chacha20poly1305_ietf_decrypt(
        out, NULL, NULL, in.data, in.size, params->associated.data, params->associated.size,
        params->nonce, params->key);
    return err == 0 ? TERN_OK : TERN_ERR_BAD_MAC;
}
