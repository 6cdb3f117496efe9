#include "crypto/envelope.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include "wire/multiaddr.h"

#include <cmocka.h>

enum { ENVELOPE_BUFFER = TERN_ENVELOPE_SIZE_MAX + 16 };

static struct tern_private_key keys[3];

static int make_keys(void **state)
{
    (void)state;
    struct tern_random random;
    tern_random_init_u64(&random, 21);
    static const enum tern_key_type types[] = {TERN_KEY_ED25519, TERN_KEY_SECP256K1,
                                               TERN_KEY_ECDSA};
    for (size_t i = 0; i < TERN_COUNT_OF(keys); i++) {
        if (tern_private_key_generate(types[i], &random, &keys[i]) != TERN_OK)
            return 1;
    }
    return 0;
}

static int end_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(keys); i++)
        tern_private_key_fini(&keys[i]);
    return 0;
}

static struct tern_envelope_content content(void)
{
    return (struct tern_envelope_content){.domain = tern_view_str("domain"),
                                          .payload_type = tern_view_str("type"),
                                          .payload = tern_view_str("payload")};
}

static void what_is_sealed_opens_and_names_its_signer(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(keys); i++) {
        struct tern_envelope_content c = content();
        uint8_t bytes[512];
        struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
        assert_int_equal(tern_envelope_seal(&keys[i], &c, &w), TERN_OK);
        struct tern_envelope envelope;
        struct tern_peer_id signer;
        struct tern_peer_id expected;
        assert_int_equal(tern_envelope_open(tern_writer_view(&w), c.domain, &envelope, &signer),
                         TERN_OK);
        tern_public_key_peer_id(&keys[i].public_key, &expected);
        assert_true(tern_peer_id_equal(&signer, &expected));
        assert_true(tern_view_equal(envelope.payload, c.payload));
        assert_true(tern_view_equal(envelope.payload_type, c.payload_type));
    }
}

static void another_domain_or_any_change_does_not_verify(void **state)
{
    (void)state;
    struct tern_envelope_content c = content();
    uint8_t bytes[512];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    struct tern_envelope envelope;
    struct tern_peer_id signer;
    assert_int_equal(tern_envelope_seal(&keys[0], &c, &w), TERN_OK);
    assert_int_equal(
        tern_envelope_open(tern_writer_view(&w), tern_view_str("domaim"), &envelope, &signer),
        TERN_ERR_BAD_SIGNATURE);
    assert_true(tern_peer_id_is_none(&signer));
    assert_int_equal(envelope.payload.size, 0);
    for (size_t bit = 0; bit < w.size * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        assert_int_not_equal(tern_envelope_open(tern_writer_view(&w), c.domain, &envelope, &signer),
                             TERN_OK);
        bytes[bit / 8] ^= (uint8_t)(1U << (bit % 8));
    }
    for (size_t size = 0; size < w.size; size++)
        assert_int_not_equal(
            tern_envelope_open(tern_view_of(bytes, size), c.domain, &envelope, &signer), TERN_OK);
}

static void contents_over_the_limits_are_not_sealed(void **state)
{
    (void)state;
    static uint8_t large[TERN_ENVELOPE_PAYLOAD_SIZE_MAX + 1];
    static uint8_t bytes[ENVELOPE_BUFFER];
    for (int i = 0; i < 5; i++) {
        struct tern_envelope_content c = content();
        struct tern_writer w = tern_writer_of(bytes, i == 3 ? 20 : sizeof bytes);
        if (i == 0)
            c.domain = tern_view_of(large, TERN_ENVELOPE_DOMAIN_SIZE_MAX + 1);
        if (i == 1)
            c.payload_type = tern_view_of(large, TERN_ENVELOPE_TYPE_SIZE_MAX + 1);
        if (i == 2)
            c.payload = tern_view_of(large, TERN_ENVELOPE_PAYLOAD_SIZE_MAX + 1);
        if (i == 4)
            c.payload = tern_view_of(large, TERN_ENVELOPE_PAYLOAD_SIZE_MAX);
        assert_int_equal(tern_envelope_seal(&keys[0], &c, &w),
                         i == 4 ? TERN_OK : TERN_ERR_TOO_LARGE);
    }
}

static void fill_record(struct tern_peer_record *record, struct tern_multiaddr *addr)
{
    *record = (struct tern_peer_record){.seq = 7, .addresses_count = 1};
    tern_public_key_peer_id(&keys[0].public_key, &record->peer_id);
    assert_int_equal(tern_multiaddr_parse(tern_view_str("/ip4/192.0.2.7/tcp/4001"), addr, NULL),
                     TERN_OK);
    record->addresses[0] = tern_multiaddr_view(addr);
}

static void peer_records_are_sealed_and_opened(void **state)
{
    (void)state;
    struct tern_multiaddr addr;
    struct tern_peer_record record;
    fill_record(&record, &addr);
    uint8_t bytes[512];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    assert_int_equal(tern_peer_record_seal(&keys[0], &record, &w), TERN_OK);
    struct tern_peer_record back;
    assert_int_equal(tern_peer_record_open(tern_writer_view(&w), &back), TERN_OK);
    assert_true(tern_peer_id_equal(&back.peer_id, &record.peer_id));
    assert_true(back.seq == 7);
    assert_int_equal(back.addresses_count, 1);
    assert_true(tern_view_equal(back.addresses[0], record.addresses[0]));
}

/* Seals the record's bytes with any key, domain and type. */
static struct tern_view seal_as(const struct tern_private_key *key, const char *domain,
                                const char *type, const struct tern_peer_record *record,
                                struct tern_span buffer)
{
    uint8_t payload[256];
    struct tern_writer p = tern_writer_of(payload, sizeof payload);
    if (record != NULL)
        tern_peer_record_encode(record, &p);
    struct tern_envelope_content c = {.domain = tern_view_str(domain),
                                      .payload_type = tern_view_str(type),
                                      .payload = tern_writer_view(&p)};
    struct tern_writer w = tern_writer_of(buffer.data, buffer.size);
    assert_int_equal(tern_envelope_seal(key, &c, &w), TERN_OK);
    return tern_writer_view(&w);
}

static void records_in_the_legacy_domain_open_too(void **state)
{
    (void)state;
    struct tern_multiaddr addr;
    struct tern_peer_record record;
    struct tern_peer_record back;
    fill_record(&record, &addr);
    uint8_t bytes[512];
    struct tern_span span = {bytes, sizeof bytes};
    struct tern_view sealed = seal_as(&keys[0], TERN_PEER_RECORD_LEGACY_DOMAIN,
                                      TERN_PEER_RECORD_LEGACY_TYPE, &record, span);
    assert_int_equal(tern_peer_record_open(sealed, &back), TERN_OK);
    assert_true(back.seq == 7);
}

static void records_that_should_not_be_believed_are_refused(void **state)
{
    (void)state;
    struct tern_multiaddr addr;
    struct tern_peer_record record;
    struct tern_peer_record back;
    fill_record(&record, &addr);
    uint8_t bytes[512];
    struct tern_span span = {bytes, sizeof bytes};
    /* one domain's signature under the other's type */
    assert_int_equal(tern_peer_record_open(seal_as(&keys[0], TERN_PEER_RECORD_LEGACY_DOMAIN,
                                                   TERN_PEER_RECORD_TYPE, &record, span),
                                           &back),
                     TERN_ERR_BAD_SIGNATURE);
    /* another peer's key */
    assert_int_equal(tern_peer_record_open(seal_as(&keys[1], TERN_PEER_RECORD_DOMAIN,
                                                   TERN_PEER_RECORD_TYPE, &record, span),
                                           &back),
                     TERN_ERR_PEER_MISMATCH);
    /* something else in the envelope */
    assert_int_equal(
        tern_peer_record_open(seal_as(&keys[0], TERN_PEER_RECORD_DOMAIN, "\x03\x02", &record, span),
                              &back),
        TERN_ERR_PROTOCOL);
    assert_int_equal(
        tern_peer_record_open(
            seal_as(&keys[0], TERN_PEER_RECORD_DOMAIN, TERN_PEER_RECORD_TYPE, NULL, span), &back),
        TERN_ERR_MALFORMED);
    assert_int_equal(tern_peer_record_open((struct tern_view){0}, &back), TERN_ERR_MALFORMED);
}

static void a_record_too_large_for_an_envelope_is_not_sealed(void **state)
{
    (void)state;
    static uint8_t name[TERN_MULTIADDR_VIEW_SIZE_MAX];
    struct tern_multiaddr addr;
    struct tern_peer_record record;
    fill_record(&record, &addr);
    /* 64 addresses of 1,010 bytes: four components of 252 each */
    struct tern_writer n = tern_writer_of(name, sizeof name);
    for (int i = 0; i < 4; i++) {
        tern_writer_u8(&n, TERN_MULTIADDR_DNS);
        tern_writer_uvarint(&n, 249);
        for (int j = 0; j < 249; j++)
            tern_writer_u8(&n, 'a');
    }
    record.addresses_count = TERN_PEER_RECORD_ADDRESSES_MAX;
    for (size_t i = 0; i < record.addresses_count; i++)
        record.addresses[i] = tern_writer_view(&n);
    static uint8_t bytes[ENVELOPE_BUFFER];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    assert_int_equal(tern_peer_record_seal(&keys[0], &record, &w), TERN_ERR_TOO_LARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sealed_opens_and_names_its_signer),
        cmocka_unit_test(another_domain_or_any_change_does_not_verify),
        cmocka_unit_test(contents_over_the_limits_are_not_sealed),
        cmocka_unit_test(peer_records_are_sealed_and_opened),
        cmocka_unit_test(records_in_the_legacy_domain_open_too),
        cmocka_unit_test(records_that_should_not_be_believed_are_refused),
        cmocka_unit_test(a_record_too_large_for_an_envelope_is_not_sealed),
    };
    return cmocka_run_group_tests(tests, make_keys, end_keys);
}
