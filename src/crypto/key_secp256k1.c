#include <secp256k1.h>
#include <secp256k1_preallocated.h>

#include "base/check.h"
#include "crypto/key_types.h"
#include "crypto/secret.h"

enum { SECP256K1_DER_SIZE_MAX = 72, SECP256K1_CONTEXT_SIZE_MAX = 1024 };

_Static_assert(sizeof(secp256k1_pubkey) == 64, "the parsed form fits the key");

/* What needs a secret needs a context of its own. It is small and quickly made, so it lives on the
 * stack for the call: nothing to keep, to share between threads, or to allocate. */
struct secp256k1_scratch {
    _Alignas(16) uint8_t bytes[SECP256K1_CONTEXT_SIZE_MAX];
};

static secp256k1_context *secp256k1_begin(struct secp256k1_scratch *scratch)
{
    TERN_CHECK(secp256k1_context_preallocated_size(SECP256K1_CONTEXT_NONE) <=
               sizeof scratch->bytes);
    return secp256k1_context_preallocated_create(scratch->bytes, SECP256K1_CONTEXT_NONE);
}

static void secp256k1_end(secp256k1_context *context, struct secp256k1_scratch *scratch)
{
    secp256k1_context_preallocated_destroy(context);
    tern_secret_wipe(scratch, sizeof *scratch);
}

bool tern_secp256k1_parse(struct tern_view data, uint8_t public_key[64])
{
    if (data.size != TERN_SECP256K1_DATA_SIZE)
        return false;
    secp256k1_pubkey parsed;
    if (!secp256k1_ec_pubkey_parse(secp256k1_context_static, &parsed, data.data, data.size))
        return false;
    memcpy(public_key, parsed.data, sizeof parsed.data);
    return true;
}

void tern_secp256k1_format(const uint8_t public_key[64], uint8_t data[TERN_SECP256K1_DATA_SIZE])
{
    secp256k1_pubkey parsed;
    memcpy(parsed.data, public_key, sizeof parsed.data);
    size_t size = TERN_SECP256K1_DATA_SIZE;
    int done = secp256k1_ec_pubkey_serialize(secp256k1_context_static, data, &size, &parsed,
                                             SECP256K1_EC_COMPRESSED);
    TERN_CHECK(done == 1 && size == TERN_SECP256K1_DATA_SIZE);
}

bool tern_secp256k1_public(const uint8_t secret[32], uint8_t public_key[64])
{
    struct secp256k1_scratch scratch;
    secp256k1_context *context = secp256k1_begin(&scratch);
    secp256k1_pubkey parsed;
    bool valid = secp256k1_ec_pubkey_create(context, &parsed, secret) == 1;
    secp256k1_end(context, &scratch);
    if (valid)
        memcpy(public_key, parsed.data, sizeof parsed.data);
    return valid;
}

void tern_secp256k1_sign(const uint8_t secret[32], const uint8_t digest[TERN_SHA256_SIZE],
                         struct tern_writer *signature)
{
    struct secp256k1_scratch scratch;
    secp256k1_context *context = secp256k1_begin(&scratch);
    secp256k1_ecdsa_signature parsed;
    /* The nonce is RFC 6979's; fails only for a secret that is none, which no key holds. */
    int done = secp256k1_ecdsa_sign(context, &parsed, digest, secret, NULL, NULL);
    TERN_CHECK(done == 1);
    uint8_t der[SECP256K1_DER_SIZE_MAX];
    size_t size = sizeof der;
    done = secp256k1_ecdsa_signature_serialize_der(context, der, &size, &parsed);
    TERN_CHECK(done == 1);
    secp256k1_end(context, &scratch);
    tern_writer_bytes(signature, tern_view_of(der, size));
}

bool tern_secp256k1_verify(const uint8_t public_key[64], const uint8_t digest[TERN_SHA256_SIZE],
                           struct tern_view signature)
{
    secp256k1_pubkey parsed_key;
    memcpy(parsed_key.data, public_key, sizeof parsed_key.data);
    secp256k1_ecdsa_signature parsed;
    if (signature.size == 0 ||
        !secp256k1_ecdsa_signature_parse_der(secp256k1_context_static, &parsed, signature.data,
                                             signature.size))
        return false;
    /* The library verifies only the lower of the two values that s can have; other implementations
     * of libp2p take either, so either is accepted here. */
    secp256k1_ecdsa_signature_normalize(secp256k1_context_static, &parsed, &parsed);
    return secp256k1_ecdsa_verify(secp256k1_context_static, &parsed, digest, &parsed_key) == 1;
}
