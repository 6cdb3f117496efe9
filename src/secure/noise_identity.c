#include "base/check.h"
#include "crypto/secret.h"
#include "crypto/x25519.h"
#include "secure/noise_payload.h"
#include "wire/protobuf.h"

/* Encodes fields 1 and 2 of the payload. */
static tern_err identity_encode(struct tern_noise_identity *identity, struct tern_view key,
                                struct tern_view signature)
{
    size_t size = tern_pb_bytes_size(1, key.size) + tern_pb_bytes_size(2, signature.size);
    identity->payload = tern_mem_alloc(identity->mem, size);
    if (identity->payload == NULL)
        return TERN_ERR_MEMORY;
    identity->payload_size = size;
    struct tern_writer w = tern_writer_of(identity->payload, size);
    tern_pb_write_bytes(&w, 1, key);
    tern_pb_write_bytes(&w, 2, signature);
    TERN_CHECK(tern_writer_ok(&w) && tern_writer_left(&w) == 0);
    return TERN_OK;
}

tern_err tern_noise_identity_init(struct tern_noise_identity *identity, struct tern_mem *mem,
                                  struct tern_random *random,
                                  const struct tern_private_key *host_key)
{
    *identity = (struct tern_noise_identity){.mem = mem};
    tern_x25519_generate(random, identity->secret_key, identity->public_key);
    uint8_t to_sign[TERN_NOISE_SIGNED_SIZE];
    tern_noise_signed_bytes(identity->public_key, to_sign);

    uint8_t key_bytes[TERN_PUBLIC_KEY_SIZE_MAX];
    struct tern_writer key = tern_writer_of(key_bytes, sizeof key_bytes);
    tern_public_key_encode(&host_key->public_key, &key);
    TERN_CHECK(tern_writer_ok(&key));

    uint8_t signature_bytes[TERN_SIGNATURE_SIZE_MAX];
    struct tern_writer signature = tern_writer_of(signature_bytes, sizeof signature_bytes);
    tern_err err =
        tern_private_key_sign(host_key, tern_view_of(to_sign, sizeof to_sign), &signature);
    if (err == TERN_OK)
        err = identity_encode(identity, tern_writer_view(&key), tern_writer_view(&signature));
    if (err != TERN_OK)
        tern_noise_identity_fini(identity);
    return err;
}

void tern_noise_identity_fini(struct tern_noise_identity *identity)
{
    tern_mem_free(identity->mem, identity->payload, identity->payload_size);
    tern_secret_wipe(identity, sizeof *identity);
}
