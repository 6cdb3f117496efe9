/*
 * Any bytes as a signed peer record. They also serve as payload of an envelope that is sealed here,
 * which must open, and after a change must not, or say the same: the signature covers the contents,
 * and protobuf can encode those in more than one way.
 */
#include "base/check.h"
#include "crypto/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PAYLOAD_SIZE_MAX = 600 };

static void check_sealed(struct tern_view in)
{
    static const uint8_t seed[32] = {7};
    struct tern_private_key key;
    tern_private_key_of_ed25519_seed(seed, &key);
    struct tern_envelope_content content = {
        .domain = tern_view_str("fuzz"),
        .payload_type = tern_view_of(in.data, in.size % 8),
        .payload = in,
    };
    static uint8_t out[PAYLOAD_SIZE_MAX + 200];
    struct tern_writer w = tern_writer_of(out, sizeof out);
    TERN_CHECK(tern_envelope_seal(&key, &content, &w) == TERN_OK);
    tern_private_key_fini(&key);
    struct tern_envelope envelope;
    struct tern_peer_id signer;
    TERN_CHECK(tern_envelope_open(tern_writer_view(&w), content.domain, &envelope, &signer) ==
               TERN_OK);
    TERN_CHECK(tern_view_equal(envelope.payload, in));
    out[in.size == 0 ? 0 : in.data[0] % w.size] ^= 0x40;
    struct tern_peer_id changed_signer;
    if (tern_envelope_open(tern_writer_view(&w), content.domain, &envelope, &changed_signer) !=
        TERN_OK)
        return;
    TERN_CHECK(tern_view_equal(envelope.payload, in));
    TERN_CHECK(tern_view_equal(envelope.payload_type, content.payload_type));
    TERN_CHECK(tern_peer_id_equal(&signer, &changed_signer));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tern_peer_record record;
    struct tern_view in = tern_view_of(data, size);
    /* A committed input holds a good record; any other that opens was made from it. */
    tern_err err = tern_peer_record_open(in, &record);
    TERN_CHECK(err != TERN_OK || record.addresses_count <= TERN_PEER_RECORD_ADDRESSES_MAX);
    if (size <= PAYLOAD_SIZE_MAX)
        check_sealed(in);
    return 0;
}
