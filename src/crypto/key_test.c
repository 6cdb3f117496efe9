#include "crypto/key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include "crypto/der.h"
#include "crypto/key_vectors.h"
#include "crypto/test_hex.h"

#include <cmocka.h>

enum { HEX_SIZE_MAX = 4096 };

static struct tern_view encode_public(const struct tern_public_key *key, struct tern_span buffer)
{
    struct tern_writer w = tern_writer_of(buffer.data, buffer.size);
    tern_public_key_encode(key, &w);
    assert_true(tern_writer_ok(&w));
    return tern_writer_view(&w);
}

static void keys_of_another_program_are_read_and_written_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(key_vectors); i++) {
        const struct key_vector *v = &key_vectors[i];
        struct tern_view public_bytes = TEST_HEX(v->public_key, HEX_SIZE_MAX);
        struct tern_view private_bytes = TEST_HEX(v->private_key, HEX_SIZE_MAX);
        struct tern_public_key public_key;
        struct tern_private_key private_key;
        assert_int_equal(tern_public_key_decode(public_bytes, &public_key), TERN_OK);
        assert_int_equal(tern_private_key_decode(private_bytes, &private_key), TERN_OK);
        assert_int_equal(public_key.type, v->type);
        assert_true(tern_public_key_equal(&public_key, &private_key.public_key));
        uint8_t buffer[TERN_PRIVATE_KEY_SIZE_MAX];
        struct tern_span span = {buffer, sizeof buffer};
        assert_true(tern_view_equal(encode_public(&public_key, span), public_bytes));
        assert_true(tern_view_equal(encode_public(&private_key.public_key, span), public_bytes));
        struct tern_writer w = tern_writer_of(buffer, sizeof buffer);
        tern_private_key_encode(&private_key, &w);
        assert_true(tern_view_equal(tern_writer_view(&w), private_bytes));
        tern_private_key_fini(&private_key);
        tern_public_key_fini(&public_key);
    }
}

static void peer_ids_are_those_of_another_program(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(key_vectors); i++) {
        const struct key_vector *v = &key_vectors[i];
        struct tern_public_key key;
        struct tern_peer_id id;
        struct tern_peer_id expected;
        assert_int_equal(tern_public_key_decode(TEST_HEX(v->public_key, HEX_SIZE_MAX), &key),
                         TERN_OK);
        tern_public_key_peer_id(&key, &id);
        assert_int_equal(tern_peer_id_parse(tern_view_str(v->peer_id), &expected), TERN_OK);
        assert_true(tern_peer_id_equal(&id, &expected));
        struct tern_public_key inside;
        tern_err err = tern_public_key_of_peer_id(&id, &inside);
        bool small = v->type == TERN_KEY_ED25519 || v->type == TERN_KEY_SECP256K1;
        assert_int_equal(err, small ? TERN_OK : TERN_ERR_NOT_FOUND);
        if (small) {
            assert_true(tern_public_key_equal(&key, &inside));
            tern_public_key_fini(&inside);
        }
        tern_public_key_fini(&key);
    }
}

static void signatures_of_another_program_verify(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(key_vectors); i++) {
        const struct key_vector *v = &key_vectors[i];
        struct tern_view key = TEST_HEX(v->public_key, HEX_SIZE_MAX);
        struct tern_view signature = TEST_HEX(v->signature, HEX_SIZE_MAX);
        struct tern_view message = tern_view_str(KEY_VECTOR_MESSAGE);
        assert_int_equal(tern_verify_encoded(key, message, signature), TERN_OK);
        assert_int_equal(tern_verify_encoded(key, tern_view_str("Sterna paradisaea"), signature),
                         TERN_ERR_BAD_SIGNATURE);
    }
}

static void sign_and_check(const struct tern_private_key *key)
{
    uint8_t bytes[TERN_SIGNATURE_SIZE_MAX];
    static const char *const messages[] = {"", "a", "a message that is a little longer"};
    for (size_t i = 0; i < TERN_COUNT_OF(messages); i++) {
        struct tern_view message = tern_view_str(messages[i]);
        struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
        assert_int_equal(tern_private_key_sign(key, message, &w), TERN_OK);
        struct tern_view signature = tern_writer_view(&w);
        assert_int_equal(tern_public_key_verify(&key->public_key, message, signature), TERN_OK);
        /* every bit of the signature counts */
        for (size_t bit = 0; bit < signature.size * 8; bit += signature.size > 200 ? 41 : 1) {
            bytes[bit / 8] ^= (uint8_t)(1U << (bit % 8));
            assert_int_equal(tern_public_key_verify(&key->public_key, message, signature),
                             TERN_ERR_BAD_SIGNATURE);
            bytes[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        }
        /* and so does its length */
        for (size_t size = 0; size < signature.size; size++)
            assert_int_equal(
                tern_public_key_verify(&key->public_key, message, tern_view_of(bytes, size)),
                TERN_ERR_BAD_SIGNATURE);
        if (signature.size < sizeof bytes) {
            bytes[signature.size] = 0;
            assert_int_equal(tern_public_key_verify(&key->public_key, message,
                                                    tern_view_of(bytes, signature.size + 1)),
                             TERN_ERR_BAD_SIGNATURE);
        }
    }
    struct tern_writer narrow = tern_writer_of(bytes, 10);
    assert_int_equal(tern_private_key_sign(key, tern_view_str("a"), &narrow), TERN_ERR_TOO_LARGE);
}

static void what_a_key_signs_its_public_key_verifies(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(key_vectors); i++) {
        struct tern_private_key key;
        assert_int_equal(
            tern_private_key_decode(TEST_HEX(key_vectors[i].private_key, HEX_SIZE_MAX), &key),
            TERN_OK);
        sign_and_check(&key);
        tern_private_key_fini(&key);
    }
}

static void signatures_are_repeatable_where_the_header_says_so(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(key_vectors); i++) {
        if (key_vectors[i].type == TERN_KEY_ECDSA)
            continue;
        struct tern_private_key key;
        assert_int_equal(
            tern_private_key_decode(TEST_HEX(key_vectors[i].private_key, HEX_SIZE_MAX), &key),
            TERN_OK);
        uint8_t bytes[2][TERN_SIGNATURE_SIZE_MAX];
        struct tern_writer a = tern_writer_of(bytes[0], sizeof bytes[0]);
        struct tern_writer b = tern_writer_of(bytes[1], sizeof bytes[1]);
        struct tern_view message = tern_view_str(KEY_VECTOR_MESSAGE);
        assert_int_equal(tern_private_key_sign(&key, message, &a), TERN_OK);
        assert_int_equal(tern_private_key_sign(&key, message, &b), TERN_OK);
        assert_true(tern_view_equal(tern_writer_view(&a), tern_writer_view(&b)));
        tern_private_key_fini(&key);
    }
}

static void a_seed_makes_the_same_key_again(void **state)
{
    (void)state;
    static const enum tern_key_type types[] = {TERN_KEY_ED25519, TERN_KEY_SECP256K1,
                                               TERN_KEY_ECDSA};
    for (size_t i = 0; i < TERN_COUNT_OF(types); i++) {
        struct tern_private_key keys[3];
        for (size_t j = 0; j < TERN_COUNT_OF(keys); j++) {
            struct tern_random random;
            tern_random_init_u64(&random, j < 2 ? 11 : 12);
            assert_int_equal(tern_private_key_generate(types[i], &random, &keys[j]), TERN_OK);
        }
        assert_true(tern_private_key_equal(&keys[0], &keys[1]));
        assert_false(tern_private_key_equal(&keys[0], &keys[2]));
        assert_true(tern_public_key_equal(&keys[0].public_key, &keys[1].public_key));
        assert_false(tern_public_key_equal(&keys[0].public_key, &keys[2].public_key));
        sign_and_check(&keys[0]);
        for (size_t j = 0; j < TERN_COUNT_OF(keys); j++)
            tern_private_key_fini(&keys[j]);
    }
}

static void rsa_keys_are_made_within_the_bounds(void **state)
{
    (void)state;
    struct tern_private_key key;
    assert_int_equal(tern_private_key_generate_rsa(1024, &key), TERN_ERR_INVALID);
    assert_int_equal(tern_private_key_generate_rsa(2049, &key), TERN_ERR_INVALID);
    assert_int_equal(tern_private_key_generate_rsa(16384, &key), TERN_ERR_INVALID);
    assert_int_equal(tern_private_key_generate_rsa(2048, &key), TERN_OK);
    sign_and_check(&key);
    uint8_t bytes[TERN_PRIVATE_KEY_SIZE_MAX];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_private_key_encode(&key, &w);
    struct tern_private_key back;
    assert_int_equal(tern_private_key_decode(tern_writer_view(&w), &back), TERN_OK);
    assert_true(tern_private_key_equal(&key, &back));
    tern_private_key_fini(&back);
    tern_private_key_fini(&key);
}

static void keys_of_different_types_are_never_equal(void **state)
{
    (void)state;
    struct tern_private_key keys[TERN_COUNT_OF(key_vectors)];
    for (size_t i = 0; i < TERN_COUNT_OF(keys); i++)
        assert_int_equal(
            tern_private_key_decode(TEST_HEX(key_vectors[i].private_key, HEX_SIZE_MAX), &keys[i]),
            TERN_OK);
    for (size_t i = 0; i < TERN_COUNT_OF(keys); i++) {
        for (size_t j = 0; j < TERN_COUNT_OF(keys); j++) {
            assert_int_equal(tern_private_key_equal(&keys[i], &keys[j]), i == j);
            assert_int_equal(tern_public_key_equal(&keys[i].public_key, &keys[j].public_key),
                             i == j);
        }
    }
    for (size_t i = 0; i < TERN_COUNT_OF(keys); i++)
        tern_private_key_fini(&keys[i]);
}

static void a_copy_outlives_the_original(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(key_vectors); i++) {
        struct tern_public_key key;
        struct tern_public_key copy;
        assert_int_equal(
            tern_public_key_decode(TEST_HEX(key_vectors[i].public_key, HEX_SIZE_MAX), &key),
            TERN_OK);
        tern_public_key_copy(&key, &copy);
        tern_public_key_fini(&key);
        assert_int_equal(tern_public_key_verify(&copy, tern_view_str(KEY_VECTOR_MESSAGE),
                                                TEST_HEX(key_vectors[i].signature, HEX_SIZE_MAX)),
                         TERN_OK);
        tern_public_key_fini(&copy);
    }
}

static void a_private_key_is_wiped_at_its_end(void **state)
{
    (void)state;
    struct tern_random random;
    struct tern_private_key key;
    tern_random_init_u64(&random, 1);
    assert_int_equal(tern_private_key_generate(TERN_KEY_ED25519, &random, &key), TERN_OK);
    tern_private_key_fini(&key);
    static const struct tern_private_key nothing;
    assert_memory_equal(&key, &nothing, sizeof key);
}

static void the_legacy_form_of_ed25519_is_read(void **state)
{
    (void)state;
    struct tern_view now = TEST_HEX(key_vectors[0].private_key, HEX_SIZE_MAX);
    assert_int_equal(key_vectors[0].type, TERN_KEY_ED25519);
    uint8_t bytes[100] = {8, 1, 18, 96};
    memcpy(bytes + 4, now.data + 4, 64);
    memcpy(bytes + 68, now.data + 36, 32);
    struct tern_private_key legacy;
    struct tern_private_key key;
    assert_int_equal(tern_private_key_decode(tern_view_of(bytes, sizeof bytes), &legacy), TERN_OK);
    assert_int_equal(tern_private_key_decode(now, &key), TERN_OK);
    assert_true(tern_private_key_equal(&legacy, &key));
    tern_private_key_fini(&legacy);
    tern_private_key_fini(&key);
    /* the two copies of the public key differ */
    bytes[99] ^= 1;
    assert_int_equal(tern_private_key_decode(tern_view_of(bytes, sizeof bytes), &key),
                     TERN_ERR_BAD_KEY);
    bytes[99] ^= 1;
    bytes[40] ^= 1;
    assert_int_equal(tern_private_key_decode(tern_view_of(bytes, sizeof bytes), &key),
                     TERN_ERR_BAD_KEY);
}

struct bad_key {
    const char *what;
    const char *hex;
    tern_err err;
};

#define X32       "4f5378d1ab550524e57903707c41ecf1a1466aaa8d3f6b2b45f3cd08816c0657"
#define P256_X    "3f1b445cd31f8f42b3f629084fee89d380b75ea7e9e4eacd181785e1f0b04bd1"
#define P256_Y    "6cf6be3291e0cb7f2c3561685cd95051f336817ce39b48b4b712b8053126d506"
#define P256_HEAD "3059301306072a8648ce3d020106082a8648ce3d030107034200"

static const struct bad_key bad_public_keys[] = {
    {"nothing", "", TERN_ERR_MALFORMED},
    {"no data", "0801", TERN_ERR_MALFORMED},
    {"no type", "1220" X32, TERN_ERR_MALFORMED},
    {"data before type", "1220" X32 "0801", TERN_ERR_MALFORMED},
    {"a field behind", "08011220" X32 "1800", TERN_ERR_MALFORMED},
    {"data cut short",
     "08011220"
     "4f5378",
     TERN_ERR_MALFORMED},
    {"type in a long form", "0881001220" X32, TERN_ERR_MALFORMED},
    {"length in a long form", "080112a000" X32, TERN_ERR_MALFORMED},
    {"an unknown type", "08041220" X32, TERN_ERR_UNSUPPORTED},
    {"a type of 2^32", "0880808080101220" X32, TERN_ERR_UNSUPPORTED},
    {"Ed25519 of 31 bytes",
     "0801121f"
     "4f5378d1ab550524e57903707c41ecf1a1466aaa8d3f6b2b45f3cd08816c06",
     TERN_ERR_BAD_KEY},
    {"Ed25519 without bytes", "08011200", TERN_ERR_BAD_KEY},
    {"secp256k1 uncompressed", "0802124104" X32 X32, TERN_ERR_BAD_KEY},
    {"secp256k1 with a prefix of 5", "0802122105" X32, TERN_ERR_BAD_KEY},
    {"secp256k1 not on the curve",
     "0802122102ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
     TERN_ERR_BAD_KEY},
    {"secp256k1 of 32 bytes", "08021220" X32, TERN_ERR_BAD_KEY},
    {"ECDSA without bytes", "08031200", TERN_ERR_BAD_KEY},
    {"ECDSA not on the curve", "0803125b" P256_HEAD "04" P256_X P256_X, TERN_ERR_BAD_KEY},
    {"ECDSA compressed",
     "0803123b3039301306072a8648ce3d020106082a8648ce3d030107032200"
     "02" P256_X,
     TERN_ERR_BAD_KEY},
    {"ECDSA hybrid point", "0803125b" P256_HEAD "06" P256_X P256_Y, TERN_ERR_BAD_KEY},
    {"ECDSA on secp384r1",
     "080312783076301006072a8648ce3d020106052b81040022036200"
     "04" P256_X P256_X P256_X,
     TERN_ERR_UNSUPPORTED},
    {"ECDSA on secp256k1",
     "080312583056301006072a8648ce3d020106052b8104000a034200"
     "04" P256_X P256_Y,
     TERN_ERR_UNSUPPORTED},
    {"ECDSA that is no DER", "08031204deadbeef", TERN_ERR_BAD_KEY},
    {"RSA without bytes", "08001200", TERN_ERR_BAD_KEY},
    {"RSA that is no DER", "08001204deadbeef", TERN_ERR_BAD_KEY},
    {"RSA that is an ECDSA key", "0800125b" P256_HEAD "04" P256_X P256_Y, TERN_ERR_BAD_KEY},
};

static void bad_public_keys_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < TERN_COUNT_OF(bad_public_keys); i++) {
        struct tern_public_key key;
        tern_err err = tern_public_key_decode(TEST_HEX(bad_public_keys[i].hex, HEX_SIZE_MAX), &key);
        if (err != bad_public_keys[i].err)
            fail_msg("%s: %s", bad_public_keys[i].what, tern_err_name(err));
        assert_int_equal(tern_verify_encoded(TEST_HEX(bad_public_keys[i].hex, HEX_SIZE_MAX),
                                             tern_view_str("a"), tern_view_str("b")),
                         bad_public_keys[i].err);
    }
}

static void bad_private_keys_are_refused(void **state)
{
    (void)state;
    static const struct bad_key cases[] = {
        {"nothing", "", TERN_ERR_MALFORMED},
        {"an unknown type", "08041220" X32, TERN_ERR_UNSUPPORTED},
        {"Ed25519 of a seed alone", "08011220" X32, TERN_ERR_BAD_KEY},
        {"Ed25519 with another's public key", "08011240" X32 X32, TERN_ERR_BAD_KEY},
        {"secp256k1 zero",
         "080212200000000000000000000000000000000000000000000000000000000000000000",
         TERN_ERR_BAD_KEY},
        {"secp256k1 at the group's order",
         "08021220fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
         TERN_ERR_BAD_KEY},
        {"secp256k1 of 31 bytes",
         "0802121f4f5378d1ab550524e57903707c41ecf1a1466aaa8d3f6b2b45f3cd08816c06",
         TERN_ERR_BAD_KEY},
        {"ECDSA that is no DER", "08031204deadbeef", TERN_ERR_BAD_KEY},
        {"ECDSA with another's public key",
         "080312793077020101042001"
         "00000000000000000000000000000000000000000000000000000000000000"
         "a00a06082a8648ce3d030107a144034200"
         "04" P256_X P256_Y,
         TERN_ERR_BAD_KEY},
        {"ECDSA zero",
         "080312793077020101042000"
         "00000000000000000000000000000000000000000000000000000000000000"
         "a00a06082a8648ce3d030107a144034200"
         "04" P256_X P256_Y,
         TERN_ERR_BAD_KEY},
        {"RSA that is no DER", "08001204deadbeef", TERN_ERR_BAD_KEY},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        struct tern_private_key key;
        tern_err err = tern_private_key_decode(TEST_HEX(cases[i].hex, HEX_SIZE_MAX), &key);
        if (err != cases[i].err)
            fail_msg("%s: %s", cases[i].what, tern_err_name(err));
    }
}

static void a_damaged_rsa_private_key_is_refused(void **state)
{
    (void)state;
    const struct key_vector *v = &key_vectors[3];
    assert_int_equal(v->type, TERN_KEY_RSA);
    struct tern_view good = TEST_HEX(v->private_key, HEX_SIZE_MAX);
    uint8_t bytes[HEX_SIZE_MAX];
    size_t refused = 0;
    size_t tried = 0;
    for (size_t at = 0; at < good.size; at += 37, tried++) {
        memcpy(bytes, good.data, good.size);
        bytes[at] ^= 0x10;
        struct tern_private_key key;
        tern_err err = tern_private_key_decode(tern_view_of(bytes, good.size), &key);
        if (err == TERN_OK)
            tern_private_key_fini(&key);
        else
            refused++;
    }
    assert_int_equal(refused, tried);
}

/* SPKI of a modulus of so many bits (its bytes all ones) and an exponent. */
static struct tern_view make_rsa(size_t bits, struct tern_view exponent, struct tern_span buffer)
{
    static uint8_t modulus[2100];
    memset(modulus, 0xff, sizeof modulus);
    if (bits % 8 != 0)
        modulus[0] = (uint8_t)(0xff >> (8 - bits % 8));
    struct tern_view m = tern_view_of(modulus, (bits + 7) / 8);
    size_t pair = tern_der_unsigned_size(m) + tern_der_unsigned_size(exponent);
    size_t string = 1 + tern_der_size(pair);
    static const uint8_t algorithm[] = {0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                        0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00};
    size_t spki = sizeof algorithm + tern_der_size(string);
    struct tern_writer w = tern_writer_of(buffer.data, buffer.size);
    tern_writer_u8(&w, 0x08);
    tern_writer_u8(&w, 0x00);
    tern_writer_u8(&w, 0x12);
    tern_writer_uvarint(&w, tern_der_size(spki));
    tern_der_write_header(&w, TERN_DER_SEQUENCE, spki);
    tern_writer_bytes(&w, tern_view_of(algorithm, sizeof algorithm));
    tern_der_write_header(&w, TERN_DER_BIT_STRING, string);
    tern_writer_u8(&w, 0);
    tern_der_write_header(&w, TERN_DER_SEQUENCE, pair);
    tern_der_write_unsigned(&w, m);
    tern_der_write_unsigned(&w, exponent);
    assert_true(tern_writer_ok(&w));
    return tern_writer_view(&w);
}

struct rsa_case {
    size_t bits;
    const char *exponent;
    size_t exponent_size;
    tern_err err;
};

static void rsa_keys_outside_the_bounds_are_refused(void **state)
{
    (void)state;
    static const struct rsa_case cases[] = {
        {2048, "\x01\x00\x01", 3, TERN_OK},
        {8192, "\x01\x00\x01", 3, TERN_OK},
        {2048, "\x03", 1, TERN_OK},
        {2048, "\x7f\xff\xff\xff", 4, TERN_OK},
        {2047, "\x01\x00\x01", 3, TERN_ERR_BAD_KEY},
        {1024, "\x01\x00\x01", 3, TERN_ERR_BAD_KEY},
        {8193, "\x01\x00\x01", 3, TERN_ERR_TOO_LARGE},
        {16384, "\x01\x00\x01", 3, TERN_ERR_TOO_LARGE},
        {2048, "\x80\x00\x00\x01", 4, TERN_ERR_TOO_LARGE},
        {2048, "\x01\x00\x00\x00\x01", 5, TERN_ERR_TOO_LARGE},
        {2048, "\x01", 1, TERN_ERR_BAD_KEY},
        {2048, "\x02", 1, TERN_ERR_BAD_KEY},
        {2048, "", 0, TERN_ERR_BAD_KEY},
    };
    for (size_t i = 0; i < TERN_COUNT_OF(cases); i++) {
        uint8_t bytes[2300];
        struct tern_view encoded =
            make_rsa(cases[i].bits, tern_view_of(cases[i].exponent, cases[i].exponent_size),
                     (struct tern_span){bytes, sizeof bytes});
        struct tern_public_key key;
        tern_err err = tern_public_key_decode(encoded, &key);
        if (err != cases[i].err)
            fail_msg("%zu bits, case %zu: %s", cases[i].bits, i, tern_err_name(err));
        if (err != TERN_OK)
            continue;
        uint8_t back[TERN_PUBLIC_KEY_SIZE_MAX];
        struct tern_view again = encode_public(&key, (struct tern_span){back, sizeof back});
        assert_true(tern_view_equal(again, encoded));
        tern_public_key_fini(&key);
    }
}

/* Each byte of the DER around the numbers counts: there is one encoding. */
static void rsa_keys_in_another_encoding_are_refused(void **state)
{
    (void)state;
    struct tern_view good = TEST_HEX(key_vectors[3].public_key, HEX_SIZE_MAX);
    uint8_t bytes[HEX_SIZE_MAX];
    enum { HEAD = 5 + 32 }; /* protobuf, then DER up to the modulus' value */
    for (size_t at = 0; at < HEAD; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            memcpy(bytes, good.data, good.size);
            bytes[at] ^= (uint8_t)(1U << bit);
            struct tern_public_key key;
            tern_err err = tern_public_key_decode(tern_view_of(bytes, good.size), &key);
            if (err == TERN_OK)
                fail_msg("byte %zu, bit %u", at, bit);
        }
    }
    /* a zero byte before the modulus' own */
    memcpy(bytes, good.data, good.size);
    bytes[good.size] = 0;
    struct tern_public_key key;
    assert_int_equal(tern_public_key_decode(tern_view_of(bytes, good.size + 1), &key),
                     TERN_ERR_MALFORMED);
}

/* s and order - s are both signatures; we sign with the lower and take either. */
static void the_higher_form_of_a_secp256k1_signature_verifies(void **state)
{
    (void)state;
    const struct key_vector *v = &key_vectors[1];
    assert_int_equal(v->type, TERN_KEY_SECP256K1);
    static const uint8_t order[32] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                      0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,
                                      0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b,
                                      0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41};
    struct tern_private_key key;
    assert_int_equal(tern_private_key_decode(TEST_HEX(v->private_key, HEX_SIZE_MAX), &key),
                     TERN_OK);
    uint8_t bytes[TERN_SIGNATURE_SIZE_MAX];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    struct tern_view message = tern_view_str(KEY_VECTOR_MESSAGE);
    assert_int_equal(tern_private_key_sign(&key, message, &w), TERN_OK);
    struct tern_reader r = tern_reader_of(tern_writer_view(&w));
    struct tern_view pair;
    struct tern_view numbers[2];
    assert_true(tern_der_read(&r, TERN_DER_SEQUENCE, &pair));
    r = tern_reader_of(pair);
    assert_true(tern_der_read_unsigned(&r, &numbers[0]) && tern_der_read_unsigned(&r, &numbers[1]));
    assert_true(numbers[1].size < 32 || numbers[1].data[0] < 0x80);
    uint8_t high[32] = {0};
    memcpy(high + 32 - numbers[1].size, numbers[1].data, numbers[1].size);
    int borrow = 0;
    for (size_t i = 32; i > 0; i--) {
        int digit = order[i - 1] - high[i - 1] - borrow;
        borrow = digit < 0;
        high[i - 1] = (uint8_t)(digit & 0xff);
    }
    numbers[1] = tern_view_of(high, sizeof high);
    uint8_t out[80];
    struct tern_writer o = tern_writer_of(out, sizeof out);
    tern_der_write_header(&o, TERN_DER_SEQUENCE,
                          tern_der_unsigned_size(numbers[0]) + tern_der_unsigned_size(numbers[1]));
    tern_der_write_unsigned(&o, numbers[0]);
    tern_der_write_unsigned(&o, numbers[1]);
    assert_int_equal(tern_public_key_verify(&key.public_key, message, tern_writer_view(&o)),
                     TERN_OK);
    tern_private_key_fini(&key);
}

/* What libsodium refuses on purpose, and other verifiers may let pass. */
static void ed25519_signatures_of_doubtful_shape_are_refused(void **state)
{
    (void)state;
    struct tern_random random;
    struct tern_private_key key;
    tern_random_init_u64(&random, 3);
    assert_int_equal(tern_private_key_generate(TERN_KEY_ED25519, &random, &key), TERN_OK);
    uint8_t bytes[64];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    struct tern_view message = tern_view_str("message");
    assert_int_equal(tern_private_key_sign(&key, message, &w), TERN_OK);
    /* S + L verifies under a lax verifier: S must be below the order. */
    static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,
                                      0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
                                      0,    0,    0,    0,    0,    0,    0,    0,
                                      0,    0,    0,    0,    0,    0,    0,    0x10};
    unsigned carry = 0;
    for (size_t i = 0; i < 32; i++) {
        carry += (unsigned)bytes[32 + i] + order[i];
        bytes[32 + i] = (uint8_t)carry;
        carry >>= 8;
    }
    assert_int_equal(tern_public_key_verify(&key.public_key, message, tern_view_of(bytes, 64)),
                     TERN_ERR_BAD_SIGNATURE);
    /* The identity as key, with R the identity and S = 0, "verifies" any message without a check.
     */
    const uint8_t identity[32] = {1};
    uint8_t forged[64] = {1};
    struct tern_public_key weak;
    tern_public_key_of_ed25519(identity, &weak);
    assert_int_equal(tern_public_key_verify(&weak, message, tern_view_of(forged, sizeof forged)),
                     TERN_ERR_BAD_SIGNATURE);
    tern_private_key_fini(&key);
}

static void types_have_names(void **state)
{
    (void)state;
    assert_string_equal(tern_key_type_name(TERN_KEY_RSA), "RSA");
    assert_string_equal(tern_key_type_name(TERN_KEY_ED25519), "Ed25519");
    assert_string_equal(tern_key_type_name(TERN_KEY_SECP256K1), "Secp256k1");
    assert_string_equal(tern_key_type_name(TERN_KEY_ECDSA), "ECDSA");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_of_another_program_are_read_and_written_the_same),
        cmocka_unit_test(peer_ids_are_those_of_another_program),
        cmocka_unit_test(signatures_of_another_program_verify),
        cmocka_unit_test(what_a_key_signs_its_public_key_verifies),
        cmocka_unit_test(signatures_are_repeatable_where_the_header_says_so),
        cmocka_unit_test(a_seed_makes_the_same_key_again),
        cmocka_unit_test(rsa_keys_are_made_within_the_bounds),
        cmocka_unit_test(keys_of_different_types_are_never_equal),
        cmocka_unit_test(a_copy_outlives_the_original),
        cmocka_unit_test(a_private_key_is_wiped_at_its_end),
        cmocka_unit_test(the_legacy_form_of_ed25519_is_read),
        cmocka_unit_test(bad_public_keys_are_refused),
        cmocka_unit_test(bad_private_keys_are_refused),
        cmocka_unit_test(a_damaged_rsa_private_key_is_refused),
        cmocka_unit_test(rsa_keys_outside_the_bounds_are_refused),
        cmocka_unit_test(rsa_keys_in_another_encoding_are_refused),
        cmocka_unit_test(the_higher_form_of_a_secp256k1_signature_verifies),
        cmocka_unit_test(ed25519_signatures_of_doubtful_shape_are_refused),
        cmocka_unit_test(types_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
