/*
 * Making RSA keys: alone in a file, because it is the one thing in this layer that draws from the
 * operating system's entropy (OpenSSL's generator takes no other).
 */
#include <openssl/evp.h>

#include "crypto/key_types.h"

tern_err tern_rsa_generate(unsigned bits, struct tern_openssl_key **key)
{
    *key = NULL;
    if (bits < TERN_RSA_BITS_MIN || bits > TERN_RSA_BITS_MAX || bits % 256 != 0)
        return TERN_ERR_INVALID;
    EVP_PKEY *made = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)bits);
    if (made == NULL)
        return tern_openssl_failure(TERN_ERR_MEMORY);
    return tern_rsa_adopt(made, key);
}
