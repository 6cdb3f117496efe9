/*
 * The public vectors of testing/vectors: Wycheproof's, and the key pairs of libp2p's peer ids.
 *
 * Where Wycheproof says "acceptable", both answers are right: X25519 with points off the curve or
 * of small order, RSA with a missing NULL.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "crypto/aead.h"
#include "crypto/key.h"
#include "crypto/key_types.h"
#include "crypto/sha256.h"
#include "crypto/sha384.h"
#include "crypto/test_hex.h"
#include "crypto/x25519.h"
#include "wire/protobuf.h"

#include <cmocka.h>

enum { BYTES_MAX = 1 << 17, LINE_SIZE_MAX = 1 << 14 };

static const char *path_of(const char *name, const char *ending)
{
    static char path[4096];
    const char *root = getenv("TERN_SOURCE_ROOT");
    assert_non_null(root);
    int size = snprintf(path, sizeof path, "%s/testing/vectors/%s%s", root, name, ending);
    assert_true(size > 0 && size < (int)sizeof path);
    return path;
}

static json_t *load(const char *name)
{
    const char *path = path_of(name, ".json");
    json_error_t error;
    json_t *root = json_load_file(path, 0, &error);
    if (root == NULL)
        fail_msg("%s: %s", path, error.text);
    return root;
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    if (text == NULL)
        fail_msg("no \"%s\"", name);
    return text;
}

/* One test of a file, with views of its hexadecimal fields. */
struct vector {
    const json_t *group;
    const json_t *test;
    int id;
    bool valid;
    bool acceptable; /* neither answer is wrong */
};

static struct tern_view field(const json_t *object, const char *name)
{
    static uint8_t buffers[8][BYTES_MAX];
    static size_t next;
    next = (next + 1) % TERN_COUNT_OF(buffers);
    return test_hex(text_of(object, name), (struct tern_span){buffers[next], BYTES_MAX});
}

/* Gives every test of a file to check, and counts them. */
static size_t for_each(const char *name, void (*check)(const struct vector *v))
{
    json_t *root = load(name);
    size_t count = 0;
    size_t i;
    json_t *group;
    json_array_foreach(json_object_get(root, "testGroups"), i, group)
    {
        size_t j;
        json_t *test;
        json_array_foreach(json_object_get(group, "tests"), j, test)
        {
            const char *result = text_of(test, "result");
            check(&(struct vector){
                .group = group,
                .test = test,
                .id = (int)json_integer_value(json_object_get(test, "tcId")),
                .valid = strcmp(result, "valid") == 0,
                .acceptable = strcmp(result, "acceptable") == 0,
            });
            count++;
        }
    }
    json_decref(root);
    return count;
}

static void check_verdict(const struct vector *v, bool accepted)
{
    if (!v->acceptable && accepted != v->valid)
        fail_msg("test %d: accepted %d, expected %d", v->id, accepted, v->valid);
}

static void check_x25519(const struct vector *v)
{
    struct tern_view private_key = field(v->test, "private");
    struct tern_view public_key = field(v->test, "public");
    struct tern_view expected = field(v->test, "shared");
    uint8_t shared[TERN_X25519_SIZE];
    tern_err err = tern_x25519_agree(private_key.data, public_key.data, shared);
    /* An all-zero secret is the one thing that is refused. */
    static const uint8_t zero[TERN_X25519_SIZE];
    bool all_zero = memcmp(expected.data, zero, sizeof zero) == 0;
    assert_int_equal(err, all_zero ? TERN_ERR_BAD_KEY : TERN_OK);
    if (!all_zero)
        assert_memory_equal(shared, expected.data, sizeof shared);
}

static void x25519_agrees(void **state)
{
    (void)state;
    assert_true(for_each("wycheproof/x25519", check_x25519) > 500);
}

/* A signature under a key given as the data of a protobuf PublicKey. */
static void check_signature(const struct vector *v, enum tern_key_type type, struct tern_view data)
{
    uint8_t bytes[TERN_PUBLIC_KEY_SIZE_MAX];
    struct tern_writer w = tern_writer_of(bytes, sizeof bytes);
    tern_pb_write_varint(&w, 1, type);
    tern_pb_write_bytes(&w, 2, data);
    assert_true(tern_writer_ok(&w));
    struct tern_public_key key;
    assert_int_equal(tern_public_key_decode(tern_writer_view(&w), &key), TERN_OK);
    tern_err err = tern_public_key_verify(&key, field(v->test, "msg"), field(v->test, "sig"));
    assert_true(err == TERN_OK || err == TERN_ERR_BAD_SIGNATURE);
    check_verdict(v, err == TERN_OK);
    tern_public_key_fini(&key);
}

static void check_ed25519(const struct vector *v)
{
    check_signature(v, TERN_KEY_ED25519, field(v->group, "key"));
}

static void ed25519_agrees(void **state)
{
    (void)state;
    assert_true(for_each("wycheproof/ed25519", check_ed25519) > 100);
}

static void check_p256(const struct vector *v)
{
    check_signature(v, TERN_KEY_ECDSA, field(v->group, "key"));
}

static void ecdsa_p256_agrees(void **state)
{
    (void)state;
    assert_true(for_each("wycheproof/ecdsa_secp256r1_sha256", check_p256) > 400);
}

/* P-384 is for certificates: no identity key. */
static void check_p384(const struct vector *v)
{
    const struct tern_openssl_scheme scheme = {TERN_OPENSSL_ECDSA, TERN_SHA384_SIZE};
    uint8_t digest[TERN_SHA384_SIZE];
    struct tern_view message = field(v->test, "msg");
    struct tern_openssl_key *key;
    assert_int_equal(tern_ecdsa_decode_p384(field(v->group, "key"), &key), TERN_OK);
    tern_sha384_parts(&message, 1, digest);
    tern_err err =
        tern_openssl_verify(tern_openssl_key_pkey(key), &scheme, digest, field(v->test, "sig"));
    assert_true(err == TERN_OK || err == TERN_ERR_BAD_SIGNATURE);
    check_verdict(v, err == TERN_OK);
    tern_openssl_key_unref(key);
}

static void ecdsa_p384_agrees(void **state)
{
    (void)state;
    assert_true(for_each("wycheproof/ecdsa_secp384r1_sha384", check_p384) > 400);
}

static void check_secp256k1(const struct vector *v)
{
    struct tern_view point = field(v->group, "key");
    assert_int_equal(point.size, 65);
    uint8_t compressed[33] = {(uint8_t)(2 + (point.data[64] & 1))};
    memcpy(compressed + 1, point.data + 1, 32);
    check_signature(v, TERN_KEY_SECP256K1, tern_view_of(compressed, sizeof compressed));
}

static void secp256k1_agrees(void **state)
{
    (void)state;
    assert_true(for_each("wycheproof/ecdsa_secp256k1_sha256", check_secp256k1) > 400);
}

static void check_rsa(const struct vector *v)
{
    check_signature(v, TERN_KEY_RSA, field(v->group, "key"));
}

static void rsa_agrees(void **state)
{
    (void)state;
    static const char *const names[] = {"wycheproof/rsa_signature_2048_sha256",
                                        "wycheproof/rsa_signature_4096_sha256"};
    for (size_t i = 0; i < TERN_COUNT_OF(names); i++)
        assert_true(for_each(names[i], check_rsa) > 200);
}

static struct tern_aead_engine engine;

static void check_aead(const struct vector *v, enum tern_aead_cipher cipher)
{
    struct tern_view nonce = field(v->test, "iv");
    if (nonce.size != TERN_AEAD_NONCE_SIZE)
        return; /* not expressible here */
    static uint8_t sealed[BYTES_MAX];
    static uint8_t out[BYTES_MAX];
    struct tern_view message = field(v->test, "msg");
    struct tern_aead_params params = {
        .cipher = cipher, .key = field(v->test, "key").data, .associated = field(v->test, "aad")};
    memcpy(params.nonce, nonce.data, sizeof params.nonce);
    struct tern_writer w = tern_writer_of(sealed, sizeof sealed);
    tern_writer_bytes(&w, field(v->test, "ct"));
    tern_writer_bytes(&w, field(v->test, "tag"));
    tern_err err = tern_aead_open(&engine, &params, tern_writer_view(&w), out);
    check_verdict(v, err == TERN_OK);
    if (cipher == TERN_AEAD_CHACHA20_POLY1305)
        assert_int_equal(tern_aead_open_small(&params, tern_writer_view(&w), out), err);
    if (err != TERN_OK)
        return;
    assert_memory_equal(out, message.data, message.size);
    assert_int_equal(tern_aead_seal(&engine, &params, message, out), TERN_OK);
    assert_memory_equal(out, sealed, w.size);
}

static void check_chacha20(const struct vector *v)
{
    check_aead(v, TERN_AEAD_CHACHA20_POLY1305);
}

static size_t aes_counts[2];

static void check_aes(const struct vector *v)
{
    size_t key_size = field(v->test, "key").size;
    if (key_size == 24)
        return; /* AES-192 is not ours */
    bool longer = key_size == tern_aead_key_size(TERN_AEAD_AES_256_GCM);
    assert_true(longer || key_size == tern_aead_key_size(TERN_AEAD_AES_128_GCM));
    aes_counts[longer]++;
    check_aead(v, longer ? TERN_AEAD_AES_256_GCM : TERN_AEAD_AES_128_GCM);
}

static void aead_ciphers_agree(void **state)
{
    (void)state;
    assert_int_equal(tern_aead_engine_init(&engine), TERN_OK);
    assert_true(for_each("wycheproof/chacha20_poly1305", check_chacha20) > 300);
    assert_true(for_each("wycheproof/aes_gcm", check_aes) > 300);
    assert_true(aes_counts[0] > 90 && aes_counts[1] > 90);
    tern_aead_engine_fini(&engine);
}

static void check_hkdf(const struct vector *v)
{
    static uint8_t out[TERN_HKDF_SIZE_MAX];
    size_t size = (size_t)json_integer_value(json_object_get(v->test, "size"));
    /* The invalid ones ask for more than there is: a caller's mistake here, not an answer. */
    assert_int_equal(v->valid, size <= sizeof out);
    if (!v->valid)
        return;
    uint8_t key[TERN_SHA256_SIZE];
    tern_hkdf_extract(field(v->test, "salt"), field(v->test, "ikm"), key);
    tern_hkdf_expand(key, field(v->test, "info"), (struct tern_span){out, size});
    assert_true(tern_view_equal(tern_view_of(out, size), field(v->test, "okm")));
}

static void hkdf_agrees(void **state)
{
    (void)state;
    assert_true(for_each("wycheproof/hkdf_sha256", check_hkdf) > 80);
}

/* Extraction is an HMAC, with the salt as key. */
static void check_hkdf_sha384(const struct vector *v)
{
    static uint8_t out[TERN_HKDF_SHA384_SIZE_MAX];
    size_t size = (size_t)json_integer_value(json_object_get(v->test, "size"));
    assert_int_equal(v->valid, size <= sizeof out);
    if (!v->valid)
        return;
    uint8_t key[TERN_SHA384_SIZE];
    tern_hmac_sha384(field(v->test, "salt"), field(v->test, "ikm"), key);
    tern_hkdf_expand_sha384(key, field(v->test, "info"), (struct tern_span){out, size});
    assert_true(tern_view_equal(tern_view_of(out, size), field(v->test, "okm")));
}

static void hkdf_sha384_agrees(void **state)
{
    (void)state;
    assert_true(for_each("wycheproof/hkdf_sha384", check_hkdf_sha384) > 80);
}

static void check_hmac_sha384(const struct vector *v)
{
    uint8_t mac[TERN_SHA384_SIZE];
    tern_hmac_sha384(field(v->test, "key"), field(v->test, "msg"), mac);
    struct tern_view tag = field(v->test, "tag");
    check_verdict(v, tern_view_equal(tag, tern_view_of(mac, tern_min_size(tag.size, sizeof mac))));
}

static void hmac_sha384_agrees(void **state)
{
    (void)state;
    assert_true(for_each("wycheproof/hmac_sha384", check_hmac_sha384) > 150);
}

static void check_hmac(const struct vector *v)
{
    uint8_t mac[TERN_SHA256_SIZE];
    tern_hmac_sha256(field(v->test, "key"), field(v->test, "msg"), mac);
    struct tern_view tag = field(v->test, "tag");
    check_verdict(v, tern_view_equal(tag, tern_view_of(mac, tern_min_size(tag.size, sizeof mac))));
}

static void hmac_agrees(void **state)
{
    (void)state;
    assert_true(for_each("wycheproof/hmac_sha256", check_hmac) > 150);
}

static void check_pair(struct tern_view private_bytes, struct tern_view public_bytes)
{
    struct tern_private_key private_key;
    struct tern_public_key public_key;
    uint8_t out[TERN_PRIVATE_KEY_SIZE_MAX];
    assert_int_equal(tern_private_key_decode(private_bytes, &private_key), TERN_OK);
    struct tern_writer w = tern_writer_of(out, sizeof out);
    tern_private_key_encode(&private_key, &w);
    assert_true(tern_view_equal(tern_writer_view(&w), private_bytes));
    assert_int_equal(tern_public_key_decode(public_bytes, &public_key), TERN_OK);
    w = tern_writer_of(out, sizeof out);
    tern_public_key_encode(&public_key, &w);
    assert_true(tern_view_equal(tern_writer_view(&w), public_bytes));
    assert_true(tern_public_key_equal(&public_key, &private_key.public_key));
    tern_public_key_fini(&public_key);
    tern_private_key_fini(&private_key);
}

static void the_keys_of_the_specification_are_read_and_written_the_same(void **state)
{
    (void)state;
    FILE *f = fopen(path_of("libp2p_keys", ".txt"), "r");
    assert_non_null(f);
    static char line[LINE_SIZE_MAX];
    static uint8_t private_bytes[LINE_SIZE_MAX];
    static uint8_t public_bytes[LINE_SIZE_MAX];
    static const char *const names[] = {"rsa", "ed25519", "secp256k1", "ecdsa"};
    unsigned seen = 0; /* a bit for each type */
    while (fgets(line, sizeof line, f) != NULL) {
        if (line[0] == '#')
            continue;
        char *rest = NULL;
        const char *type = strtok_r(line, " \n", &rest);
        const char *private_hex = strtok_r(NULL, " \n", &rest);
        const char *public_hex = strtok_r(NULL, " \n", &rest);
        assert_true(type != NULL && private_hex != NULL && public_hex != NULL);
        struct tern_span private_span = {private_bytes, sizeof private_bytes};
        struct tern_span public_span = {public_bytes, sizeof public_bytes};
        check_pair(test_hex(private_hex, private_span), test_hex(public_hex, public_span));
        for (unsigned i = 0; i < TERN_COUNT_OF(names); i++)
            if (strcmp(type, names[i]) == 0)
                seen |= 1U << i;
    }
    fclose(f);
    assert_int_equal(seen, 0xf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(x25519_agrees),
        cmocka_unit_test(ed25519_agrees),
        cmocka_unit_test(ecdsa_p256_agrees),
        cmocka_unit_test(ecdsa_p384_agrees),
        cmocka_unit_test(secp256k1_agrees),
        cmocka_unit_test(rsa_agrees),
        cmocka_unit_test(aead_ciphers_agree),
        cmocka_unit_test(hkdf_agrees),
        cmocka_unit_test(hmac_agrees),
        cmocka_unit_test(hkdf_sha384_agrees),
        cmocka_unit_test(hmac_sha384_agrees),
        cmocka_unit_test(the_keys_of_the_specification_are_read_and_written_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
