#include "crypto/envelope.h"

#include "base/check.h"

enum {
    /* Domain, type and payload, each with its length. */
    ENVELOPE_SIGNED_SIZE_MAX = TERN_ENVELOPE_DOMAIN_SIZE_MAX + TERN_ENVELOPE_TYPE_SIZE_MAX +
                               TERN_ENVELOPE_PAYLOAD_SIZE_MAX + 16,
};

tern_err tern_envelope_seal(const struct tern_private_key *key,
                            const struct tern_envelope_content *content, struct tern_writer *w)
{
    if (content->domain.size > TERN_ENVELOPE_DOMAIN_SIZE_MAX ||
        content->payload_type.size > TERN_ENVELOPE_TYPE_SIZE_MAX ||
        content->payload.size > TERN_ENVELOPE_PAYLOAD_SIZE_MAX)
        return TERN_ERR_TOO_LARGE;
    struct tern_envelope envelope = {.payload_type = content->payload_type,
                                     .payload = content->payload};
    uint8_t signed_bytes[ENVELOPE_SIGNED_SIZE_MAX];
    struct tern_writer covered = tern_writer_of(signed_bytes, sizeof signed_bytes);
    tern_envelope_write_signed(&envelope, content->domain, &covered);
    TERN_CHECK(tern_writer_ok(&covered));

    uint8_t signature_bytes[TERN_SIGNATURE_SIZE_MAX];
    struct tern_writer signature = tern_writer_of(signature_bytes, sizeof signature_bytes);
    TERN_TRY(tern_private_key_sign(key, tern_writer_view(&covered), &signature));
    envelope.signature = tern_writer_view(&signature);

    uint8_t key_bytes[TERN_PUBLIC_KEY_SIZE_MAX];
    struct tern_writer public_key = tern_writer_of(key_bytes, sizeof key_bytes);
    tern_public_key_encode(&key->public_key, &public_key);
    envelope.public_key = tern_writer_view(&public_key);
    tern_envelope_encode(&envelope, w);
    return tern_writer_ok(w) ? TERN_OK : TERN_ERR_TOO_LARGE;
}

/* Checks the signature of a decoded envelope. */
static tern_err envelope_verify(const struct tern_envelope *envelope, struct tern_view domain,
                                struct tern_peer_id *signer)
{
    struct tern_public_key key;
    uint8_t signed_bytes[ENVELOPE_SIGNED_SIZE_MAX];
    struct tern_writer covered = tern_writer_of(signed_bytes, sizeof signed_bytes);
    tern_envelope_write_signed(envelope, domain, &covered);
    TERN_CHECK(tern_writer_ok(&covered));
    TERN_TRY(tern_public_key_decode(envelope->public_key, &key));
    tern_err err = tern_public_key_verify(&key, tern_writer_view(&covered), envelope->signature);
    if (err == TERN_OK)
        tern_public_key_peer_id(&key, signer);
    tern_public_key_fini(&key);
    return err;
}

tern_err tern_envelope_open(struct tern_view bytes, struct tern_view domain,
                            struct tern_envelope *envelope, struct tern_peer_id *signer)
{
    TERN_CHECK(domain.size <= TERN_ENVELOPE_DOMAIN_SIZE_MAX);
    *signer = (struct tern_peer_id){0};
    TERN_TRY(tern_envelope_decode(bytes, envelope));
    tern_err err = envelope_verify(envelope, domain, signer);
    if (err != TERN_OK)
        *envelope = (struct tern_envelope){0};
    return err;
}

tern_err tern_peer_record_seal(const struct tern_private_key *key,
                               const struct tern_peer_record *record, struct tern_writer *w)
{
    struct tern_peer_id id;
    tern_public_key_peer_id(&key->public_key, &id);
    TERN_CHECK(tern_peer_id_equal(&id, &record->peer_id));
    uint8_t bytes[TERN_ENVELOPE_PAYLOAD_SIZE_MAX];
    struct tern_writer payload = tern_writer_of(bytes, sizeof bytes);
    tern_peer_record_encode(record, &payload);
    if (!tern_writer_ok(&payload))
        return TERN_ERR_TOO_LARGE;
    return tern_envelope_seal(key,
                              &(struct tern_envelope_content){
                                  .domain = tern_view_str(TERN_PEER_RECORD_DOMAIN),
                                  .payload_type = tern_view_str(TERN_PEER_RECORD_TYPE),
                                  .payload = tern_writer_view(&payload),
                              },
                              w);
}

tern_err tern_peer_record_open(struct tern_view bytes, struct tern_peer_record *record)
{
    struct tern_envelope envelope;
    struct tern_peer_id signer;
    record->peer_id = (struct tern_peer_id){0};
    record->addresses_count = 0;
    TERN_TRY(tern_envelope_decode(bytes, &envelope));
    struct tern_view domain;
    if (tern_view_equal(envelope.payload_type, tern_view_str(TERN_PEER_RECORD_TYPE)))
        domain = tern_view_str(TERN_PEER_RECORD_DOMAIN);
    else if (tern_view_equal(envelope.payload_type, tern_view_str(TERN_PEER_RECORD_LEGACY_TYPE)))
        domain = tern_view_str(TERN_PEER_RECORD_LEGACY_DOMAIN);
    else
        return TERN_ERR_PROTOCOL;
    TERN_TRY(envelope_verify(&envelope, domain, &signer));
    TERN_TRY(tern_peer_record_decode(envelope.payload, record));
    return tern_peer_id_equal(&signer, &record->peer_id) ? TERN_OK : TERN_ERR_PEER_MISMATCH;
}
