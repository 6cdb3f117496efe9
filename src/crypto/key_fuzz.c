/*
 * Any bytes as a protobuf public key: what is accepted has this one encoding and one peer id,
 * survives the way through the id where it is inside, and verifies no rubbish.
 */
#include "base/check.h"
#include "crypto/key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tern_view bytes = tern_view_of(data, size);
    struct tern_public_key key;
    if (tern_public_key_decode(bytes, &key) != TERN_OK)
        return 0;
    uint8_t out[TERN_PUBLIC_KEY_SIZE_MAX];
    struct tern_writer w = tern_writer_of(out, sizeof out);
    tern_public_key_encode(&key, &w);
    TERN_CHECK(tern_view_equal(tern_writer_view(&w), bytes));
    struct tern_peer_id id;
    tern_public_key_peer_id(&key, &id);
    struct tern_public_key inside;
    tern_err err = tern_public_key_of_peer_id(&id, &inside);
    TERN_CHECK(err == (size <= TERN_PEER_ID_KEY_SIZE_MAX ? TERN_OK : TERN_ERR_NOT_FOUND));
    if (err == TERN_OK) {
        TERN_CHECK(tern_public_key_equal(&key, &inside));
        tern_public_key_fini(&inside);
    }
    struct tern_public_key copy;
    tern_public_key_copy(&key, &copy);
    tern_public_key_fini(&key);
    TERN_CHECK(tern_public_key_verify(&copy, tern_view_str("message"), bytes) ==
               TERN_ERR_BAD_SIGNATURE);
    static const uint8_t zeros[TERN_ED25519_SIGNATURE_SIZE];
    TERN_CHECK(tern_public_key_verify(&copy, tern_view_str("message"),
                                      tern_view_of(zeros, sizeof zeros)) == TERN_ERR_BAD_SIGNATURE);
    tern_public_key_fini(&copy);
    return 0;
}
