/*
 * Any bytes as a signed envelope and as a peer record: what is read is written and read back the
 * same.
 */
#include "base/check.h"
#include "wire/envelope.h"
#include "wire/multiaddr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_record(struct tern_view bytes)
{
    static struct tern_peer_record record;
    static struct tern_peer_record back;
    if (tern_peer_record_decode(bytes, &record) != TERN_OK)
        return;
    TERN_CHECK(record.addresses_count + record.addresses_skipped <= TERN_PEER_RECORD_ADDRESSES_MAX);
    for (size_t i = 0; i < record.addresses_count; i++)
        TERN_CHECK(tern_multiaddr_check(record.addresses[i]) == TERN_OK);
    static uint8_t out[TERN_PEER_RECORD_ADDRESSES_MAX * (TERN_MULTIADDR_VIEW_SIZE_MAX + 16) + 64];
    struct tern_writer w = tern_writer_of(out, sizeof out);
    tern_peer_record_encode(&record, &w);
    TERN_CHECK(tern_writer_ok(&w));
    TERN_CHECK(tern_peer_record_decode(tern_writer_view(&w), &back) == TERN_OK);
    TERN_CHECK(tern_peer_id_equal(&record.peer_id, &back.peer_id) && record.seq == back.seq);
    TERN_CHECK(record.addresses_count == back.addresses_count && back.addresses_skipped == 0);
    for (size_t i = 0; i < record.addresses_count; i++)
        TERN_CHECK(tern_view_equal(record.addresses[i], back.addresses[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tern_view in = tern_view_of(data, size);
    check_record(in);
    struct tern_envelope envelope;
    if (tern_envelope_decode(in, &envelope) != TERN_OK)
        return 0;
    static uint8_t out[TERN_ENVELOPE_SIZE_MAX];
    struct tern_writer w = tern_writer_of(out, sizeof out);
    tern_envelope_encode(&envelope, &w);
    TERN_CHECK(tern_writer_ok(&w) && w.size == tern_envelope_size(&envelope));
    struct tern_envelope back;
    TERN_CHECK(tern_envelope_decode(tern_writer_view(&w), &back) == TERN_OK);
    TERN_CHECK(tern_view_equal(envelope.payload, back.payload) &&
               tern_view_equal(envelope.signature, back.signature));
    check_record(envelope.payload);
    return 0;
}
