#include "wire/envelope.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include "wire/multiaddr.h"
#include "wire/protobuf.h"

#include <cmocka.h>

static struct tern_envelope sample(void)
{
    return (struct tern_envelope){.public_key = tern_view_str("key"),
                                  .payload_type = tern_view_of("\x03\x01", 2),
                                  .payload = tern_view_str("payload"),
                                  .signature = tern_view_str("signature")};
}

static void envelopes_come_back_as_they_were_written(void **state)
{
    (void)state;
    struct tern_envelope envelope = sample();
    uint8_t bytes[128];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_envelope_encode(&envelope, &w);
    assert_int_equal(w.size, tern_envelope_size(&envelope));
    assert_true(tern_view_equal(tern_writer_view(&w),
                                tern_view_of("\x0a\x03key\x12\x02\x03\x01\x1a\x07payload"
                                             "\x2a\x09signature",
                                             29)));
    struct tern_envelope back;
    assert_int_equal(tern_envelope_decode(tern_writer_view(&w), &back), TERN_OK);
    assert_true(tern_view_equal(back.public_key, envelope.public_key));
    assert_true(tern_view_equal(back.payload_type, envelope.payload_type));
    assert_true(tern_view_equal(back.payload, envelope.payload));
    assert_true(tern_view_equal(back.signature, envelope.signature));
}

static void the_signature_covers_lengths_and_parts(void **state)
{
    (void)state;
    struct tern_envelope envelope = sample();
    uint8_t bytes[64];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_envelope_write_signed(&envelope, tern_view_str("domain"), &w);
    assert_true(tern_view_equal(tern_writer_view(&w), tern_view_of("\x06"
                                                                   "domain"
                                                                   "\x02\x03\x01"
                                                                   "\x07"
                                                                   "payload",
                                                                   18)));
}

static void unknown_fields_are_skipped(void **state)
{
    (void)state;
    uint8_t bytes[128];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    struct tern_envelope envelope = sample();
    tern_pb_write_varint(&w, 4, 7);
    tern_envelope_encode(&envelope, &w);
    tern_pb_write_bytes(&w, 99, tern_view_str("new"));
    struct tern_envelope back;
    assert_int_equal(tern_envelope_decode(tern_writer_view(&w), &back), TERN_OK);
    assert_true(tern_view_equal(back.payload, envelope.payload));
}

static void bad_envelopes_are_refused(void **state)
{
    (void)state;
    static uint8_t large[TERN_ENVELOPE_PAYLOAD_SIZE_MAX + 1];
    static uint8_t bytes[TERN_ENVELOPE_SIZE_MAX + 100];
    for (int i = 0; i < 7; i++) {
        struct tern_envelope envelope = sample();
        tern_err expected = i < 2 ? TERN_ERR_MALFORMED : TERN_ERR_TOO_LARGE;
        if (i == 0)
            envelope.public_key.size = 0;
        if (i == 1)
            envelope.signature.size = 0;
        if (i == 2)
            envelope.public_key = tern_view_of(large, TERN_ENVELOPE_KEY_SIZE_MAX + 1);
        if (i == 3)
            envelope.payload_type = tern_view_of(large, TERN_ENVELOPE_TYPE_SIZE_MAX + 1);
        if (i == 4)
            envelope.payload = tern_view_of(large, TERN_ENVELOPE_PAYLOAD_SIZE_MAX + 1);
        if (i == 5)
            envelope.signature = tern_view_of(large, TERN_ENVELOPE_SIGNATURE_SIZE_MAX + 1);
        if (i == 6) {
            envelope.payload = tern_view_of(large, TERN_ENVELOPE_PAYLOAD_SIZE_MAX);
            expected = TERN_OK;
        }
        struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
        tern_envelope_encode(&envelope, &w);
        assert_true(tern_writer_ok(&w));
        struct tern_envelope back;
        assert_int_equal(tern_envelope_decode(tern_writer_view(&w), &back), expected);
        if (expected != TERN_OK)
            assert_int_equal(back.public_key.size, 0);
    }
    struct tern_envelope back;
    assert_int_equal(tern_envelope_decode(tern_view_str("\x0a\x09key"), &back), TERN_ERR_MALFORMED);
    assert_int_equal(tern_envelope_decode((struct tern_view){0}, &back), TERN_ERR_MALFORMED);
}

static void fill_record(struct tern_peer_record *record, struct tern_multiaddr *addresses,
                        size_t count)
{
    *record = (struct tern_peer_record){.seq = UINT64_MAX, .addresses_count = count};
    const uint8_t digest[32] = {7};
    tern_peer_id_of_sha256(digest, &record->peer_id);
    for (size_t i = 0; i < count; i++) {
        addresses[i].size = 0;
        const struct tern_ip ip = {.family = 4, .bytes = {192, 0, 2, (uint8_t)i}};
        assert_int_equal(tern_multiaddr_append_ip(&addresses[i], &ip), TERN_OK);
        record->addresses[i] = tern_multiaddr_view(&addresses[i]);
    }
}

static void peer_records_come_back_as_they_were_written(void **state)
{
    (void)state;
    static struct tern_multiaddr addresses[TERN_PEER_RECORD_ADDRESSES_MAX];
    struct tern_peer_record record;
    fill_record(&record, addresses, TERN_PEER_RECORD_ADDRESSES_MAX);
    uint8_t bytes[2048];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_peer_record_encode(&record, &w);
    assert_true(tern_writer_ok(&w));
    struct tern_peer_record back;
    assert_int_equal(tern_peer_record_decode(tern_writer_view(&w), &back), TERN_OK);
    assert_true(tern_peer_id_equal(&back.peer_id, &record.peer_id));
    assert_true(back.seq == UINT64_MAX);
    assert_int_equal(back.addresses_count, TERN_PEER_RECORD_ADDRESSES_MAX);
    assert_int_equal(back.addresses_skipped, 0);
    for (size_t i = 0; i < back.addresses_count; i++)
        assert_true(tern_view_equal(back.addresses[i], record.addresses[i]));
}

static void write_address(struct tern_writer *w, struct tern_view address)
{
    tern_pb_write_header(w, 3, tern_pb_bytes_size(1, address.size));
    tern_pb_write_bytes(w, 1, address);
}

static void addresses_we_cannot_read_are_skipped_and_counted(void **state)
{
    (void)state;
    struct tern_multiaddr address;
    struct tern_peer_record record;
    fill_record(&record, &address, 1);
    uint8_t bytes[512];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_peer_record_encode(&record, &w);
    write_address(&w, tern_view_of("\x05", 1)); /* an unknown protocol */
    write_address(&w, (struct tern_view){0});
    tern_pb_write_header(&w, 3, 0); /* an AddressInfo without multiaddr */
    write_address(&w, tern_view_of("\xdd\x03", 2));
    struct tern_peer_record back;
    assert_int_equal(tern_peer_record_decode(tern_writer_view(&w), &back), TERN_OK);
    assert_int_equal(back.addresses_count, 2);
    assert_int_equal(back.addresses_skipped, 3);
}

static void too_many_addresses_are_refused_good_or_bad(void **state)
{
    (void)state;
    for (int bad = 0; bad < 2; bad++) {
        static struct tern_multiaddr addresses[TERN_PEER_RECORD_ADDRESSES_MAX];
        struct tern_peer_record record;
        fill_record(&record, addresses, TERN_PEER_RECORD_ADDRESSES_MAX);
        uint8_t bytes[2048];
        struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
        tern_peer_record_encode(&record, &w);
        write_address(&w, bad ? (struct tern_view){0} : record.addresses[0]);
        struct tern_peer_record back;
        assert_int_equal(tern_peer_record_decode(tern_writer_view(&w), &back), TERN_ERR_TOO_LARGE);
    }
}

static void bad_peer_records_are_refused(void **state)
{
    (void)state;
    struct tern_peer_record record;
    assert_int_equal(tern_peer_record_decode((struct tern_view){0}, &record), TERN_ERR_MALFORMED);
    assert_int_equal(tern_peer_record_decode(tern_view_of("\x10\x01", 2), &record),
                     TERN_ERR_MALFORMED); /* no peer id */
    assert_int_equal(tern_peer_record_decode(tern_view_of("\x0a\x03"
                                                          "abc",
                                                          5),
                                             &record),
                     TERN_ERR_MALFORMED); /* no multihash */
    assert_int_equal(tern_peer_record_decode(tern_view_of("\x0a\x03"
                                                          "ab",
                                                          4),
                                             &record),
                     TERN_ERR_MALFORMED); /* cut short */
    /* an AddressInfo that is no message */
    uint8_t bytes[256];
    struct tern_multiaddr address;
    fill_record(&record, &address, 1);
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_peer_record_encode(&record, &w);
    tern_pb_write_bytes(&w, 3, tern_view_of("\x0a\x09", 2));
    assert_int_equal(tern_peer_record_decode(tern_writer_view(&w), &record), TERN_ERR_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(envelopes_come_back_as_they_were_written),
        cmocka_unit_test(the_signature_covers_lengths_and_parts),
        cmocka_unit_test(unknown_fields_are_skipped),
        cmocka_unit_test(bad_envelopes_are_refused),
        cmocka_unit_test(peer_records_come_back_as_they_were_written),
        cmocka_unit_test(addresses_we_cannot_read_are_skipped_and_counted),
        cmocka_unit_test(too_many_addresses_are_refused_good_or_bad),
        cmocka_unit_test(bad_peer_records_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
