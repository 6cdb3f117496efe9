#include "crypto/key.h"

#include "base/check.h"
#include "base/reader.h"
#include "crypto/key_types.h"
#include "crypto/secret.h"
#include "wire/protobuf.h"

/* message PublicKey  { KeyType Type = 1; bytes Data = 2; }
 * message PrivateKey { KeyType Type = 1; bytes Data = 2; } */
enum { KEY_TYPE = 1, KEY_DATA = 2, ED25519_LEGACY_SIZE = 96 };

const char *tern_key_type_name(enum tern_key_type type)
{
    switch (type) {
    case TERN_KEY_RSA:
        return "RSA";
    case TERN_KEY_ED25519:
        return "Ed25519";
    case TERN_KEY_SECP256K1:
        return "Secp256k1";
    case TERN_KEY_ECDSA:
        return "ECDSA";
    }
    TERN_UNREACHABLE();
}

/* Reads type and data of either message, in the one encoding that the specification allows: both
 * fields, in order, minimal, and nothing else. */
static tern_err key_read(struct tern_view bytes, enum tern_key_type *type, struct tern_view *data)
{
    struct tern_reader r = tern_reader_of(bytes);
    uint8_t type_tag;
    uint8_t data_tag;
    uint64_t number;
    uint64_t size;
    if (!tern_reader_u8(&r, &type_tag) || type_tag != TERN_PB_TAG(KEY_TYPE, TERN_PB_VARINT) ||
        !tern_reader_uvarint(&r, &number) || !tern_reader_u8(&r, &data_tag) ||
        data_tag != TERN_PB_TAG(KEY_DATA, TERN_PB_BYTES) || !tern_reader_uvarint(&r, &size) ||
        size != tern_reader_left(&r) || !tern_reader_bytes(&r, (size_t)size, data))
        return TERN_ERR_MALFORMED;
    if (number > TERN_KEY_ECDSA)
        return TERN_ERR_UNSUPPORTED;
    *type = (enum tern_key_type)number;
    return TERN_OK;
}

static void key_write(enum tern_key_type type, struct tern_view data, struct tern_writer *w)
{
    tern_pb_write_varint(w, KEY_TYPE, type);
    tern_pb_write_bytes(w, KEY_DATA, data);
}

tern_err tern_public_key_decode(struct tern_view bytes, struct tern_public_key *key)
{
    *key = (struct tern_public_key){0};
    struct tern_view data;
    TERN_TRY(key_read(bytes, &key->type, &data));
    switch (key->type) {
    case TERN_KEY_RSA:
        return tern_rsa_decode_public(data, &key->as.openssl);
    case TERN_KEY_ECDSA:
        return tern_ecdsa_decode_public(data, &key->as.openssl);
    case TERN_KEY_SECP256K1:
        return tern_secp256k1_parse(data, key->as.secp256k1) ? TERN_OK : TERN_ERR_BAD_KEY;
    case TERN_KEY_ED25519:
        if (data.size != TERN_ED25519_PUBLIC_SIZE)
            return TERN_ERR_BAD_KEY;
        memcpy(key->as.ed25519, data.data, TERN_ED25519_PUBLIC_SIZE);
        return TERN_OK;
    }
    TERN_UNREACHABLE();
}

void tern_public_key_encode(const struct tern_public_key *key, struct tern_writer *w)
{
    uint8_t buffer[TERN_PUBLIC_KEY_SIZE_MAX];
    struct tern_writer data = tern_writer_of(buffer, sizeof buffer);
    switch (key->type) {
    case TERN_KEY_RSA:
    case TERN_KEY_ECDSA:
        tern_writer_bytes(&data, tern_openssl_key_public_data(key->as.openssl));
        break;
    case TERN_KEY_SECP256K1:
        tern_secp256k1_format(key->as.secp256k1,
                              tern_writer_reserve(&data, TERN_SECP256K1_DATA_SIZE));
        break;
    case TERN_KEY_ED25519:
        tern_writer_bytes(&data, tern_view_of(key->as.ed25519, TERN_ED25519_PUBLIC_SIZE));
        break;
    }
    TERN_CHECK(tern_writer_ok(&data));
    key_write(key->type, tern_writer_view(&data), w);
}

void tern_public_key_of_ed25519(const uint8_t bytes[TERN_ED25519_PUBLIC_SIZE],
                                struct tern_public_key *key)
{
    *key = (struct tern_public_key){.type = TERN_KEY_ED25519};
    memcpy(key->as.ed25519, bytes, TERN_ED25519_PUBLIC_SIZE);
}

tern_err tern_public_key_of_peer_id(const struct tern_peer_id *id, struct tern_public_key *key)
{
    struct tern_view bytes;
    *key = (struct tern_public_key){0};
    if (!tern_peer_id_key(id, &bytes))
        return TERN_ERR_NOT_FOUND;
    return tern_public_key_decode(bytes, key);
}

void tern_public_key_peer_id(const struct tern_public_key *key, struct tern_peer_id *id)
{
    uint8_t buffer[TERN_PUBLIC_KEY_SIZE_MAX];
    struct tern_writer w = tern_writer_of(buffer, sizeof buffer);
    tern_public_key_encode(key, &w);
    TERN_CHECK(tern_writer_ok(&w));
    if (tern_peer_id_of_key(tern_writer_view(&w), id) == TERN_OK)
        return;
    uint8_t digest[TERN_SHA256_SIZE];
    tern_sha256(tern_writer_view(&w), digest);
    tern_peer_id_of_sha256(digest, id);
}

static bool key_has_openssl(const struct tern_public_key *key)
{
    return key->type == TERN_KEY_RSA || key->type == TERN_KEY_ECDSA;
}

void tern_public_key_copy(const struct tern_public_key *key, struct tern_public_key *copy)
{
    if (key_has_openssl(key))
        tern_openssl_key_ref(key->as.openssl);
    *copy = *key;
}

void tern_public_key_fini(struct tern_public_key *key)
{
    if (key_has_openssl(key))
        tern_openssl_key_unref(key->as.openssl);
    *key = (struct tern_public_key){.type = TERN_KEY_ED25519};
}

bool tern_public_key_equal(const struct tern_public_key *a, const struct tern_public_key *b)
{
    uint8_t buffers[2][TERN_PUBLIC_KEY_SIZE_MAX];
    struct tern_writer wa = tern_writer_of(buffers[0], sizeof buffers[0]);
    struct tern_writer wb = tern_writer_of(buffers[1], sizeof buffers[1]);
    tern_public_key_encode(a, &wa);
    tern_public_key_encode(b, &wb);
    return tern_view_equal(tern_writer_view(&wa), tern_writer_view(&wb));
}

static tern_err key_verdict(bool good)
{
    return good ? TERN_OK : TERN_ERR_BAD_SIGNATURE;
}

tern_err tern_public_key_verify(const struct tern_public_key *key, struct tern_view message,
                                struct tern_view signature)
{
    uint8_t digest[TERN_SHA256_SIZE];
    struct tern_openssl_scheme scheme = {.digest_size = sizeof digest};
    switch (key->type) {
    case TERN_KEY_ED25519:
        return key_verdict(signature.size == TERN_ED25519_SIGNATURE_SIZE &&
                           tern_ed25519_verify(key->as.ed25519, message, signature.data));
    case TERN_KEY_SECP256K1:
        tern_sha256(message, digest);
        return key_verdict(tern_secp256k1_verify(key->as.secp256k1, digest, signature));
    case TERN_KEY_RSA:
    case TERN_KEY_ECDSA:
        scheme.padding = key->type == TERN_KEY_RSA ? TERN_OPENSSL_PKCS1 : TERN_OPENSSL_ECDSA;
        tern_sha256(message, digest);
        return tern_openssl_verify(tern_openssl_key_pkey(key->as.openssl), &scheme, digest,
                                   signature);
    }
    TERN_UNREACHABLE();
}

tern_err tern_verify_encoded(struct tern_view public_key, struct tern_view message,
                             struct tern_view signature)
{
    struct tern_public_key key;
    TERN_TRY(tern_public_key_decode(public_key, &key));
    tern_err err = tern_public_key_verify(&key, message, signature);
    tern_public_key_fini(&key);
    return err;
}

void tern_private_key_of_ed25519_seed(const uint8_t seed[32], struct tern_private_key *key)
{
    *key = (struct tern_private_key){0};
    tern_ed25519_of_seed(seed, key->as.ed25519);
    tern_public_key_of_ed25519(key->as.ed25519 + 32, &key->public_key);
}

/* Makes the key of a secp256k1 secret. False: it is 0 or not below the group's order. */
static bool key_of_secp256k1(const uint8_t secret[TERN_SECP256K1_SECRET_SIZE],
                             struct tern_private_key *key)
{
    *key = (struct tern_private_key){.public_key.type = TERN_KEY_SECP256K1};
    memcpy(key->as.secp256k1, secret, TERN_SECP256K1_SECRET_SIZE);
    if (tern_secp256k1_public(secret, key->public_key.as.secp256k1))
        return true;
    tern_private_key_fini(key);
    return false;
}

tern_err tern_private_key_generate(enum tern_key_type type, struct tern_random *random,
                                   struct tern_private_key *key)
{
    uint8_t seed[32];
    *key = (struct tern_private_key){.public_key.type = type};
    switch (type) {
    case TERN_KEY_ED25519:
        tern_random_bytes(random, seed, sizeof seed);
        tern_private_key_of_ed25519_seed(seed, key);
        break;
    case TERN_KEY_SECP256K1:
        /* One draw in 2^128 is no secret. */
        do {
            tern_random_bytes(random, seed, sizeof seed);
        } while (!key_of_secp256k1(seed, key));
        break;
    case TERN_KEY_ECDSA: {
        tern_err err = tern_ecdsa_generate(random, key->as.ecdsa, &key->public_key.as.openssl);
        if (err != TERN_OK)
            tern_private_key_fini(key);
        return err;
    }
    case TERN_KEY_RSA:
        TERN_CHECK(type != TERN_KEY_RSA);
        break;
    }
    tern_secret_wipe(seed, sizeof seed);
    return TERN_OK;
}

tern_err tern_private_key_generate_rsa(unsigned bits, struct tern_private_key *key)
{
    *key = (struct tern_private_key){.public_key.type = TERN_KEY_RSA};
    return tern_rsa_generate(bits, &key->public_key.as.openssl);
}

/* Seed and public key, which must be the seed's own: signing with another one would give the seed
 * away. The legacy form has the public key a second time. */
static tern_err key_decode_ed25519(struct tern_view data, struct tern_private_key *key)
{
    if (data.size != sizeof key->as.ed25519 && data.size != ED25519_LEGACY_SIZE)
        return TERN_ERR_BAD_KEY;
    tern_private_key_of_ed25519_seed(data.data, key);
    for (size_t at = 32; at < data.size; at += 32) {
        if (memcmp(data.data + at, key->public_key.as.ed25519, 32) != 0) {
            tern_private_key_fini(key);
            return TERN_ERR_BAD_KEY;
        }
    }
    return TERN_OK;
}

tern_err tern_private_key_decode(struct tern_view bytes, struct tern_private_key *key)
{
    *key = (struct tern_private_key){0};
    enum tern_key_type type;
    struct tern_view data;
    TERN_TRY(key_read(bytes, &type, &data));
    key->public_key.type = type;
    switch (type) {
    case TERN_KEY_RSA:
        return tern_rsa_decode_private(data, &key->public_key.as.openssl);
    case TERN_KEY_ECDSA:
        return tern_ecdsa_decode_private(data, key->as.ecdsa, &key->public_key.as.openssl);
    case TERN_KEY_SECP256K1:
        if (data.size != TERN_SECP256K1_SECRET_SIZE || !key_of_secp256k1(data.data, key))
            return TERN_ERR_BAD_KEY;
        return TERN_OK;
    case TERN_KEY_ED25519:
        return key_decode_ed25519(data, key);
    }
    TERN_UNREACHABLE();
}

static void key_write_private_data(const struct tern_private_key *key, struct tern_writer *data)
{
    switch (key->public_key.type) {
    case TERN_KEY_RSA:
        tern_rsa_encode_private(key->public_key.as.openssl, data);
        break;
    case TERN_KEY_ECDSA:
        tern_ecdsa_encode_private(key->public_key.as.openssl, key->as.ecdsa, data);
        break;
    case TERN_KEY_SECP256K1:
        tern_writer_bytes(data, tern_view_of(key->as.secp256k1, sizeof key->as.secp256k1));
        break;
    case TERN_KEY_ED25519:
        tern_writer_bytes(data, tern_view_of(key->as.ed25519, sizeof key->as.ed25519));
        break;
    }
}

void tern_private_key_encode(const struct tern_private_key *key, struct tern_writer *w)
{
    uint8_t buffer[TERN_PRIVATE_KEY_SIZE_MAX];
    struct tern_writer data = tern_writer_of(buffer, sizeof buffer);
    key_write_private_data(key, &data);
    key_write(key->public_key.type, tern_writer_view(&data), w);
    w->overflow = w->overflow || data.overflow;
    tern_secret_wipe(buffer, sizeof buffer);
}

tern_err tern_private_key_sign(const struct tern_private_key *key, struct tern_view message,
                               struct tern_writer *signature)
{
    uint8_t digest[TERN_SHA256_SIZE];
    uint8_t ed25519[TERN_ED25519_SIGNATURE_SIZE];
    enum tern_key_type type = key->public_key.type;
    switch (type) {
    case TERN_KEY_ED25519:
        tern_ed25519_sign(key->as.ed25519, message, ed25519);
        tern_writer_bytes(signature, tern_view_of(ed25519, sizeof ed25519));
        break;
    case TERN_KEY_SECP256K1:
        tern_sha256(message, digest);
        tern_secp256k1_sign(key->as.secp256k1, digest, signature);
        break;
    case TERN_KEY_RSA:
    case TERN_KEY_ECDSA:
        tern_sha256(message, digest);
        TERN_TRY(tern_openssl_sign(tern_openssl_key_pkey(key->public_key.as.openssl),
                                   type == TERN_KEY_RSA, digest, signature));
        break;
    }
    return tern_writer_ok(signature) ? TERN_OK : TERN_ERR_TOO_LARGE;
}

bool tern_private_key_equal(const struct tern_private_key *a, const struct tern_private_key *b)
{
    if (a->public_key.type != b->public_key.type)
        return false;
    uint8_t buffers[2][TERN_PRIVATE_KEY_SIZE_MAX] = {{0}};
    struct tern_writer wa = tern_writer_of(buffers[0], sizeof buffers[0]);
    struct tern_writer wb = tern_writer_of(buffers[1], sizeof buffers[1]);
    key_write_private_data(a, &wa);
    key_write_private_data(b, &wb);
    bool equal = wa.size == wb.size && !wa.overflow && !wb.overflow &&
                 tern_secret_equal(buffers[0], buffers[1], sizeof buffers[0]);
    tern_secret_wipe(buffers, sizeof buffers);
    return equal;
}

void tern_private_key_fini(struct tern_private_key *key)
{
    tern_public_key_fini(&key->public_key);
    tern_secret_wipe(key, sizeof *key);
}
