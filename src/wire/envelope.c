#include "wire/envelope.h"

#include "base/check.h"
#include "wire/multiaddr.h"
#include "wire/protobuf.h"

/* message Envelope { bytes public_key = 1; bytes payload_type = 2; bytes payload = 3;
 *                    bytes signature = 5; } with public_key itself a PublicKey message. */
enum { ENVELOPE_KEY = 1, ENVELOPE_TYPE = 2, ENVELOPE_PAYLOAD = 3, ENVELOPE_SIGNATURE = 5 };

/* message PeerRecord { bytes peer_id = 1; uint64 seq = 2; repeated AddressInfo addresses = 3; }
 * message AddressInfo { bytes multiaddr = 1; } */
enum { RECORD_PEER_ID = 1, RECORD_SEQ = 2, RECORD_ADDRESS = 3, ADDRESS_MULTIADDR = 1 };

static tern_err envelope_check(const struct tern_envelope *envelope)
{
    if (envelope->public_key.size == 0 || envelope->signature.size == 0)
        return TERN_ERR_MALFORMED;
    if (envelope->public_key.size > TERN_ENVELOPE_KEY_SIZE_MAX ||
        envelope->payload_type.size > TERN_ENVELOPE_TYPE_SIZE_MAX ||
        envelope->payload.size > TERN_ENVELOPE_PAYLOAD_SIZE_MAX ||
        envelope->signature.size > TERN_ENVELOPE_SIGNATURE_SIZE_MAX)
        return TERN_ERR_TOO_LARGE;
    return TERN_OK;
}

tern_err tern_envelope_decode(struct tern_view bytes, struct tern_envelope *envelope)
{
    *envelope = (struct tern_envelope){0};
    struct tern_pb_iter it = tern_pb_iter_of(bytes);
    struct tern_pb_field f;
    while (tern_pb_next(&it, &f)) {
        switch (f.tag) {
        case TERN_PB_TAG(ENVELOPE_KEY, TERN_PB_BYTES):
            envelope->public_key = f.bytes;
            break;
        case TERN_PB_TAG(ENVELOPE_TYPE, TERN_PB_BYTES):
            envelope->payload_type = f.bytes;
            break;
        case TERN_PB_TAG(ENVELOPE_PAYLOAD, TERN_PB_BYTES):
            envelope->payload = f.bytes;
            break;
        case TERN_PB_TAG(ENVELOPE_SIGNATURE, TERN_PB_BYTES):
            envelope->signature = f.bytes;
            break;
        default:
            break;
        }
    }
    tern_err err = tern_pb_end(&it);
    if (err == TERN_OK)
        err = envelope_check(envelope);
    if (err != TERN_OK)
        *envelope = (struct tern_envelope){0};
    return err;
}

void tern_envelope_encode(const struct tern_envelope *envelope, struct tern_writer *w)
{
    tern_pb_write_bytes(w, ENVELOPE_KEY, envelope->public_key);
    tern_pb_write_bytes(w, ENVELOPE_TYPE, envelope->payload_type);
    tern_pb_write_bytes(w, ENVELOPE_PAYLOAD, envelope->payload);
    tern_pb_write_bytes(w, ENVELOPE_SIGNATURE, envelope->signature);
}

size_t tern_envelope_size(const struct tern_envelope *envelope)
{
    return tern_pb_bytes_size(ENVELOPE_KEY, envelope->public_key.size) +
           tern_pb_bytes_size(ENVELOPE_TYPE, envelope->payload_type.size) +
           tern_pb_bytes_size(ENVELOPE_PAYLOAD, envelope->payload.size) +
           tern_pb_bytes_size(ENVELOPE_SIGNATURE, envelope->signature.size);
}

void tern_envelope_write_signed(const struct tern_envelope *envelope, struct tern_view domain,
                                struct tern_writer *w)
{
    const struct tern_view parts[] = {domain, envelope->payload_type, envelope->payload};
    for (size_t i = 0; i < TERN_COUNT_OF(parts); i++) {
        tern_writer_uvarint(w, parts[i].size);
        tern_writer_bytes(w, parts[i]);
    }
}

/* Adds one AddressInfo. One without a multiaddr, or with several, is what protobuf makes of it:
 * none, or the last. */
static tern_err record_add_address(struct tern_peer_record *record, struct tern_view info)
{
    struct tern_view address = {0};
    struct tern_pb_iter it = tern_pb_iter_of(info);
    struct tern_pb_field f;
    while (tern_pb_next(&it, &f)) {
        if (f.tag == TERN_PB_TAG(ADDRESS_MULTIADDR, TERN_PB_BYTES))
            address = f.bytes;
    }
    TERN_TRY(tern_pb_end(&it));
    if (record->addresses_count + record->addresses_skipped == TERN_PEER_RECORD_ADDRESSES_MAX)
        return TERN_ERR_TOO_LARGE;
    if (tern_multiaddr_check(address) == TERN_OK)
        record->addresses[record->addresses_count++] = address;
    else
        record->addresses_skipped++;
    return TERN_OK;
}

tern_err tern_peer_record_decode(struct tern_view bytes, struct tern_peer_record *record)
{
    record->peer_id = (struct tern_peer_id){0};
    record->seq = 0;
    record->addresses_count = 0;
    record->addresses_skipped = 0;
    struct tern_view id = {0};
    struct tern_pb_iter it = tern_pb_iter_of(bytes);
    struct tern_pb_field f;
    while (tern_pb_next(&it, &f)) {
        switch (f.tag) {
        case TERN_PB_TAG(RECORD_PEER_ID, TERN_PB_BYTES):
            id = f.bytes;
            break;
        case TERN_PB_TAG(RECORD_SEQ, TERN_PB_VARINT):
            record->seq = f.value;
            break;
        case TERN_PB_TAG(RECORD_ADDRESS, TERN_PB_BYTES):
            TERN_TRY(record_add_address(record, f.bytes));
            break;
        default:
            break;
        }
    }
    TERN_TRY(tern_pb_end(&it));
    return tern_peer_id_decode(id, &record->peer_id);
}

void tern_peer_record_encode(const struct tern_peer_record *record, struct tern_writer *w)
{
    TERN_CHECK(record->addresses_count <= TERN_PEER_RECORD_ADDRESSES_MAX);
    tern_pb_write_bytes(w, RECORD_PEER_ID, tern_peer_id_view(&record->peer_id));
    tern_pb_write_varint(w, RECORD_SEQ, record->seq);
    for (size_t i = 0; i < record->addresses_count; i++) {
        struct tern_view address = record->addresses[i];
        tern_pb_write_header(w, RECORD_ADDRESS,
                             tern_pb_bytes_size(ADDRESS_MULTIADDR, address.size));
        tern_pb_write_bytes(w, ADDRESS_MULTIADDR, address);
    }
}
