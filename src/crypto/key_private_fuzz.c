/*
 * Any bytes as a protobuf private key: what is accepted is written back the same (but for the
 * legacy form of Ed25519) and signs what its public key verifies.
 */
#include "base/check.h"
#include "crypto/key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ED25519_LEGACY_ENCODED_SIZE = 100 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tern_view bytes = tern_view_of(data, size);
    struct tern_private_key key;
    if (tern_private_key_decode(bytes, &key) != TERN_OK)
        return 0;
    uint8_t out[TERN_PRIVATE_KEY_SIZE_MAX + 8];
    struct tern_writer w = tern_writer_of(out, sizeof out);
    tern_private_key_encode(&key, &w);
    TERN_CHECK(tern_writer_ok(&w));
    bool legacy = key.public_key.type == TERN_KEY_ED25519 && size == ED25519_LEGACY_ENCODED_SIZE;
    TERN_CHECK(legacy || tern_view_equal(tern_writer_view(&w), bytes));
    struct tern_private_key back;
    TERN_CHECK(tern_private_key_decode(tern_writer_view(&w), &back) == TERN_OK);
    TERN_CHECK(tern_private_key_equal(&key, &back));
    tern_private_key_fini(&back);
    uint8_t signature[TERN_SIGNATURE_SIZE_MAX];
    struct tern_view message = tern_view_str("message");
    w = tern_writer_of(signature, sizeof signature);
    if (tern_private_key_sign(&key, message, &w) == TERN_OK)
        TERN_CHECK(tern_public_key_verify(&key.public_key, message, tern_writer_view(&w)) ==
                   TERN_OK);
    tern_private_key_fini(&key);
    return 0;
}
